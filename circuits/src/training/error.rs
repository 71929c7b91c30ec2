use nexus_zk::ZkError;
use nexus_zk::ligero::LigeroError;
use thiserror::Error;

use crate::CircuitError;

/// Why a proof of training was not made, or rejected.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum TrainingError {
    /// The statement or its inputs were refused.
    #[error(transparent)]
    Refused(#[from] CircuitError),
    /// A number lies outside its range.
    #[error("{field} is {value}, allowed is {min} to {max}")]
    OutOfRange {
        /// The name of the field.
        field: &'static str,
        /// What was given.
        value: usize,
        /// The least allowed value.
        min: usize,
        /// The greatest allowed value.
        max: usize,
    },
    /// Two things that belong together differ.
    #[error("{what}: expected {expected}, got {got}")]
    Mismatch {
        /// What was compared.
        what: &'static str,
        /// What the statement says.
        expected: usize,
        /// What was given.
        got: usize,
    },
    /// The copy of the data for a round has been used: it would no longer hide the examples.
    #[error("the data commitment's copy for round {round} has been used")]
    DataSpent {
        /// The round, from zero.
        round: usize,
    },
    /// The examples are not those that were committed to.
    #[error("the examples are not those of the data commitment")]
    OtherData,
    /// The model is not the one that was committed to, or none was and one is asked for.
    #[error("the start model is not that of the statement")]
    OtherModel,
    /// Matrix products failed while training.
    #[error("training: {0}")]
    Products(String),
    /// Bytes that are not what they should be.
    #[error("{what} is malformed")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
    /// The proof does not show the statement.
    #[error("the proof of training does not hold: {0}")]
    Proof(#[from] ZkError),
    /// Copies of a data commitment are not shown to be equal, or not well-formed.
    #[error("the data commitment: {0}")]
    Linear(#[from] LigeroError),
}
