use thiserror::Error;

/// Why a statement, a plan or an input was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CircuitError {
    /// A number lies outside its range.
    #[error("{field} is {value}, allowed is {min} to {max}")]
    OutOfRange {
        /// The name of the field.
        field: &'static str,
        /// What was given.
        value: i128,
        /// The least allowed value.
        min: i128,
        /// The greatest allowed value.
        max: i128,
    },
    /// A number that divides by shifting must be a power of two.
    #[error("{field} is {value}, allowed are powers of two")]
    NotAPowerOfTwo {
        /// The name of the field.
        field: &'static str,
        /// What was given.
        value: usize,
    },
    /// A shape could not be read.
    #[error(
        "shape {got:?} cannot be read, expected parts joined by hyphens, as in 64-32-10 or 28x28x1-6c5p2-a2-16c5-a2-120-84-10"
    )]
    Unreadable {
        /// What was given.
        got: String,
    },
    /// Two lengths that belong together differ.
    #[error("{what}: expected {expected}, got {got}")]
    Mismatch {
        /// What was measured, with its unit.
        what: &'static str,
        /// What the plan asks for.
        expected: usize,
        /// What was given.
        got: usize,
    },
    /// A sum could grow too wide: to half the field's order, where an integer is no longer told from its residue, or
    /// beyond what weights may reach.
    #[error("{accumulator} can reach {bound}, the limit is {limit}")]
    AccumulatorTooWide {
        /// Which product or sum, by layer.
        accumulator: String,
        /// The worst case, from the dimensions.
        bound: u128,
        /// Half the order of the field.
        limit: u128,
    },
}
