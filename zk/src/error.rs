use thiserror::Error;

/// Why a proof was rejected, or could not be made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
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
    /// A challenge fell on a value for which the argument is not defined; another transcript will do.
    #[error("an exceptional challenge")]
    ExceptionalChallenge,
}
