use std::path::{Path, PathBuf};

use nexus_circuits::CircuitError;
use nexus_circuits::reference::TrainError;
use nexus_circuits::training::TrainingError;
use nexus_dp::DpError;
use nexus_mpc::MpcError;
use nexus_mpc::session::{ClientId, Round};
use thiserror::Error;

use crate::Hash;
use crate::data::DataError;

/// Why the orchestrator refused something or stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A client's proof of its training is not made, or does not hold for the round's statement.
    #[error("{client}'s proof of training is refused: {reason}")]
    Training {
        /// Whose.
        client: ClientId,
        /// Why.
        reason: TrainingError,
    },
    /// A client's first message of a round came without the proof that the configuration asks for.
    #[error("the round's first message carries no proof of training")]
    NoProof,
    /// A client whose proof of the round was refused tries again; it has no further part in the round.
    #[error("{0} is out of this round: its proof of training was refused")]
    Excluded(ClientId),
    /// A client's data commitment is refused, or does not suit the configuration.
    #[error("{client}'s registration is refused: {reason}")]
    Registration {
        /// Whose.
        client: ClientId,
        /// Why.
        reason: TrainingError,
    },
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A data set could not be read or split.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A statement, plan or clip was refused.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// A privacy parameter, budget or sampler refused.
    #[error(transparent)]
    Privacy(#[from] DpError),
    /// Secure aggregation refused a message or aborted.
    #[error(transparent)]
    Aggregation(#[from] MpcError),
    /// A tensor operation failed.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
    /// A float is NaN or infinite.
    #[error("value {index} is {value}, allowed are finite numbers")]
    NotFinite {
        /// Its position.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A float does not fit the weights' width.
    #[error("value {index} is {value}, allowed is {min} to {max}")]
    WeightOutOfRange {
        /// Its position.
        index: usize,
        /// The value.
        value: f64,
        /// The least allowed value.
        min: f64,
        /// The greatest allowed value.
        max: f64,
    },
    /// A product could leave the integers that `f64` holds exactly.
    #[error(
        "the {accumulator} accumulator can reach {bound}, which double precision does not hold exactly; allowed is below 2^53"
    )]
    NotExact {
        /// Which product, by layer.
        accumulator: String,
        /// The worst case.
        bound: u128,
    },
    /// Bytes or tensors do not have the form they should.
    #[error("{what}: expected {expected}, got {got}")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// What should have been there.
        expected: String,
        /// What was there.
        got: String,
    },
    /// A message carries no valid signature of the coordinator.
    #[error("the round's start is not signed by the coordinator")]
    NotSignedByCoordinator,
    /// A message speaks of another session.
    #[error("the round's start is of another session")]
    WrongSession,
    /// A message speaks of another configuration than the one agreed.
    #[error("configuration {got}, expected {expected}")]
    WrongConfig {
        /// The agreed one.
        expected: Hash,
        /// The one named.
        got: Hash,
    },
    /// Something was made from another model.
    #[error("model {got}, expected {expected}")]
    WrongModel {
        /// The model at hand.
        expected: Hash,
        /// The one named.
        got: Hash,
    },
    /// A round is not the one that is due.
    #[error("round {got}, expected round {expected} or later")]
    WrongRound {
        /// The first round that is acceptable.
        expected: Round,
        /// The one named.
        got: Round,
    },
    /// A message came when nothing of its kind was due.
    #[error("nothing was due: {0}")]
    OutOfTurn(&'static str),
    /// Fewer clients contributed than the configuration asks for.
    #[error("{got} clients contributed, expected at least {expected}")]
    TooFewContributors {
        /// The least count.
        expected: usize,
        /// How many there were.
        got: usize,
    },
    /// An entry of the opened sum is beyond what honest clients can add up to.
    #[error("entry {index} of the sum is {value}, allowed is ±{bound} for {contributors} honest clients")]
    SumOutOfRange {
        /// The entry.
        index: usize,
        /// Its value.
        value: i64,
        /// The bound.
        bound: u64,
        /// How many clients the sum holds.
        contributors: usize,
    },
    /// The opened sum is longer than honest clients can make it.
    #[error("the sum's ℓ₂ norm is {norm:.0}, allowed is {bound:.0} for {contributors} honest clients")]
    SumTooLong {
        /// Its norm.
        norm: f64,
        /// The bound.
        bound: f64,
        /// How many clients the sum holds.
        contributors: usize,
    },
    /// A client named in a message is not of this session.
    #[error("{0} is not of this session")]
    UnknownClient(ClientId),
    /// The privacy budget does not hold another round.
    #[error(
        "the privacy budget holds no further round: ε is {spent:.3} of {allowed:.3} at δ = {delta:e}, and a round more would make it {next:.3}"
    )]
    BudgetExhausted {
        /// ε spent.
        spent: f64,
        /// ε after one round more.
        next: f64,
        /// ε allowed.
        allowed: f64,
        /// The δ of all three.
        delta: f64,
    },
    /// A file could not be read or written.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What happened, and what was expected.
        reason: String,
    },
}

impl Error {
    /// A file's error, with its name.
    #[expect(clippy::needless_pass_by_value, reason = "what `map_err` has at hand is passed as it is")]
    pub(crate) fn file(path: &Path, reason: impl ToString) -> Self {
        Self::File { path: path.to_owned(), reason: reason.to_string() }
    }
}

impl From<TrainError<candle_core::Error>> for Error {
    fn from(error: TrainError<candle_core::Error>) -> Self {
        match error {
            TrainError::Refused(error) => Self::Circuit(error),
            TrainError::Products(error) => Self::Candle(error),
        }
    }
}

/// A setting that is out of range, alone or together with others.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{field} is {value}; allowed is {allowed}")]
pub struct ConfigError {
    /// The setting, as the configuration file names it.
    pub field: &'static str,
    /// What was given.
    pub value: String,
    /// What is allowed, and why where another setting decides it.
    pub allowed: String,
}

impl ConfigError {
    #[expect(clippy::needless_pass_by_value, reason = "what `map_err` has at hand is passed as it is")]
    pub(crate) fn new(field: &'static str, value: impl ToString, allowed: impl ToString) -> Self {
        Self { field, value: value.to_string(), allowed: allowed.to_string() }
    }
}
