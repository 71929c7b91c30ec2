/// Everything that can go wrong in this crate, with what was expected and what came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FheError {
    // Of the key-homomorphic masks (`kahe`):
    /// A parameter of the masks outside its range.
    #[error("parameter {name} of the masks is {got}, allowed is {least} to {most}")]
    MaskParameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        got: u64,
        /// The least value allowed.
        least: u64,
        /// The largest value allowed.
        most: u64,
    },
    /// The sum of all clients would not be exact in the worst case.
    #[error(
        "the sum of {clients} clients with entries up to {bound}, {entries} a coefficient, can pass the modulus: \
         entries up to {largest} cannot"
    )]
    MaskRoom {
        /// n, the number of clients.
        clients: u32,
        /// The largest absolute value of an entry that was asked for.
        bound: u64,
        /// Entries a coefficient.
        entries: u32,
        /// The largest bound that is exact beside the other parameters; 0 if there is none.
        largest: u64,
    },
    /// An input vector of another length than the parameters name.
    #[error("the vector has {got} entries, the parameters say {expected}")]
    VectorLength {
        /// The length of the parameters.
        expected: usize,
        /// The length that came.
        got: usize,
    },
    /// An entry of an input vector outside −bound to bound.
    ///
    /// The value is a piece of a secret update: show this error to the client alone.
    #[error("entry {index} is {value}, allowed is -{bound} to {bound}")]
    EntryOutOfRange {
        /// Where it is.
        index: usize,
        /// The entry.
        value: i64,
        /// The largest absolute value allowed.
        bound: u64,
    },
    /// Bytes or coefficients of the wrong number.
    #[error("{what}: expected {expected}, got {got}")]
    MaskLength {
        /// What was read.
        what: &'static str,
        /// The number that the parameters ask for.
        expected: usize,
        /// The number that was there.
        got: usize,
    },
    /// Bytes of parameters with another version than the one that this crate reads.
    #[error("mask parameters of version {got}, this is version {expected}")]
    MaskVersion {
        /// The version read here.
        expected: u8,
        /// The version that came.
        got: u8,
    },
    /// A residue that is not below the modulus p = 2^64 − 2^32 + 1: not the canonical encoding.
    #[error("coefficient {index} of {what} is {got}, which is not below 2^64 - 2^32 + 1")]
    MaskResidue {
        /// What was read.
        what: &'static str,
        /// The coefficient.
        index: usize,
        /// Its value.
        got: u64,
    },
    /// A message, a sum or a key of other parameters, or of another session, round, model or configuration.
    #[error("{what} belongs to round {}, not {}", digest_prefix(.got), digest_prefix(.expected))]
    OtherRound {
        /// What was given.
        what: &'static str,
        /// The digest of the round at hand.
        expected: [u8; 32],
        /// The digest that came.
        got: [u8; 32],
    },
    /// More contributors than the parameters leave room for, or fewer than two.
    #[error("{got} contributors, allowed is {least} to {most}")]
    Contributors {
        /// How many there are or would be.
        got: u32,
        /// The least number.
        least: u32,
        /// The number of clients of the parameters.
        most: u32,
    },
    /// The sum of masked updates and the sum of keys have different numbers of contributors.
    #[error("{summed} masked updates were added but the keys are of {keys} clients")]
    ContributorsDisagree {
        /// Masked updates in the sum.
        summed: u32,
        /// Contributors of the sum of keys.
        keys: u32,
    },
    /// What is left after the keys were subtracted is not the noise of that many honest contributors.
    ///
    /// The sum of keys is of other clients, or a contributor masked for another model or round, or used another key
    /// than it shared, or chose its noise. Which contributor it was is not known.
    #[error("the masks do not cancel in polynomial {polynomial}")]
    MasksDoNotCancel {
        /// The first polynomial of the sum where it shows.
        polynomial: usize,
    },
    /// An entry of the sum that entries within the bound cannot add up to: a contributor broke the bound.
    #[error("entry {index} of the sum is {got}, the contributors can reach {most}")]
    SumOutOfRange {
        /// Where it is.
        index: usize,
        /// The entry of the sum.
        got: i64,
        /// The largest absolute value that the contributors can reach.
        most: u64,
    },
}

/// The first bytes of a digest, enough for a person to tell two apart.
fn digest_prefix(digest: &[u8; 32]) -> impl std::fmt::Display {
    struct Prefix([u8; 6]);
    impl std::fmt::Display for Prefix {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            f.write_str("…")
        }
    }
    Prefix(std::array::from_fn(|i| digest[i]))
}
