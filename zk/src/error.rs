use thiserror::Error;

use crate::ligero::LigeroError;
use crate::pcs::PcsError;

/// Why a proof was rejected, or could not be made.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ZkError {
    /// The proof has fewer messages than the argument.
    #[error("the proof ends before the argument does")]
    Truncated,
    /// The proof has more messages than the argument.
    #[error("the proof has {got} messages, expected {expected}")]
    Trailing {
        /// How many the argument has.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// A relation does not hold.
    #[error("{name} does not hold")]
    Relation {
        /// Which one.
        name: &'static str,
    },
    /// What is to be looked up is not in its table.
    #[error("entry {entry} is {value}, its table has rows 0 to {}", rows - 1)]
    NotInTable {
        /// Where it stands in the committed vector.
        entry: usize,
        /// What stands there.
        value: u64,
        /// How many rows the table has.
        rows: u64,
    },
    /// Bytes that are not a proof's.
    #[error("{what} is malformed")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
    /// The committed vector does not open as claimed.
    #[error("the committed vector: {0}")]
    Pcs(#[from] PcsError),
    /// Pads and registered vectors do not satisfy what they should.
    #[error("pads and registered vectors: {0}")]
    Ligero(#[from] LigeroError),
    /// A challenge fell on a value for which the argument is not defined; another transcript will do.
    #[error("an exceptional challenge")]
    ExceptionalChallenge,
}
