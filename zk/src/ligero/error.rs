use thiserror::Error;

/// Why parameters, an opening or a proof were refused. Oracles are counted from zero, the fresh one last.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LigeroError {
    /// A parameter is out of its range, or not a power of two where one is needed.
    #[error("{name} is {got}, allowed are {least} to {most}")]
    Parameter {
        /// Which one.
        name: &'static str,
        /// What was asked for.
        got: usize,
        /// The least allowed.
        least: usize,
        /// The most allowed.
        most: usize,
    },
    /// A vector is empty or takes more rows than the soundness bound counts.
    #[error("a vector of {got} entries; allowed are 1 to {most}")]
    Length {
        /// How many entries there are.
        got: usize,
        /// How many there may be.
        most: usize,
    },
    /// All oracles of one opening together take more rows than the soundness bound counts.
    #[error("an opening of {got} rows; allowed are at most {most}")]
    Rows {
        /// How many rows there are.
        got: usize,
        /// How many there may be.
        most: usize,
    },
    /// A functional has not one coefficient for every entry.
    #[error("oracle {oracle} takes {expected} coefficients, got {got}")]
    Coefficients {
        /// Whose coefficients.
        oracle: usize,
        /// One per entry.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// A vector was committed under other parameters than those of the opening.
    #[error("oracle {oracle} was committed under other parameters")]
    OtherParameters {
        /// Which one.
        oracle: usize,
    },
    /// A vector was opened as often as its random slots allow; one more opening could reveal it.
    #[error("oracle {oracle} has no opening left")]
    Spent {
        /// Which one.
        oracle: usize,
    },
    /// An equality is about fewer than two vectors.
    #[error("equality of {got} vectors, at least 2 are needed")]
    Copies {
        /// How many were given.
        got: usize,
    },
    /// A vector differs from the first one.
    #[error("vector {copy} is not the first one")]
    Unequal {
        /// Which one, the first being zero.
        copy: usize,
    },
    /// Bytes are not an encoding.
    #[error("{what} is not canonical or out of range")]
    Encoding {
        /// The part that is wrong.
        what: &'static str,
    },
    /// Bytes end too early or too late.
    #[error("an encoding of {expected} bytes, got {got}")]
    Bytes {
        /// How many were needed up to the place where reading stopped.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// A part of the proof has not the size that the statement and the challenges give it.
    #[error("{what}: expected {expected}, got {got}")]
    Shape {
        /// The part.
        what: &'static str,
        /// The size it is to have.
        expected: usize,
        /// The size it has.
        got: usize,
    },
    /// The sum over the message points is not that of the claimed value.
    #[error("the linear test does not sum to the claimed value")]
    Sum,
    /// The proof of work is missing.
    #[error("the proof of work has too few bits")]
    Work,
    /// Opened columns do not hash to the commitment.
    #[error("the opened columns of oracle {oracle} are not those committed")]
    Path {
        /// Whose columns.
        oracle: usize,
    },
    /// The random combination of rows disagrees with a column.
    #[error("the proximity test fails at position {position}")]
    Proximity {
        /// The least position where it does.
        position: usize,
    },
    /// The linear test disagrees with a column.
    #[error("the linear test fails at position {position}")]
    Linear {
        /// The least position where it does.
        position: usize,
    },
}
