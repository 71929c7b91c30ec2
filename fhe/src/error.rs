use crate::rlwe::KeyId;

/// Everything that can go wrong in this crate, with what was expected and what came.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FheError {
    /// Not a prime that the ring can be built on.
    #[error("{0} is no prime between 2^19 and 2^50 with a transform of this degree, or stands there twice")]
    Modulus(u64),
    /// There are not so many primes of that size with a transform of that degree.
    #[error("there are no {count} primes of {bits} bits that are 1 modulo {}", 2 * degree)]
    NoPrimes {
        /// The bits of each.
        bits: u32,
        /// The ring's degree.
        degree: usize,
        /// How many were asked for.
        count: usize,
    },
    /// Not a degree that this crate computes with.
    #[error("the ring degree {0} is no power of two from 2^4 to 2^16")]
    Degree(usize),
    /// An automorphism of the ring is `X → X^g` for an odd `g`.
    #[error("X → X^{0} is no automorphism: the exponent must be odd")]
    Automorphism(usize),
    /// The ring is too small for the modulus.
    #[error("log2(QP) = {modulus_bits:.1} in degree {degree}; 128 bits of security allow at most {line}")]
    Weak {
        /// The ring's degree.
        degree: usize,
        /// `log2(Q·P)`, special primes included.
        modulus_bits: f64,
        /// The largest that this degree allows.
        line: u32,
    },
    /// Too few or too many primes.
    #[error("{moduli} primes and {special} special primes; 1 to 64 and 0 to 15 can be")]
    Levels {
        /// Of ciphertexts.
        moduli: usize,
        /// Of evaluation keys.
        special: usize,
    },
    /// Key switching with a digit above the special primes would drown the message in noise.
    #[error("a digit of {digit:.1} bits is larger than the special primes' {special:.1} bits")]
    Digit {
        /// `log2` of the digit.
        digit: f64,
        /// `log2` of the product of the special primes.
        special: f64,
    },
    /// Two operands, or a key and what it is used on, have other parameters.
    #[error("mixed parameters: {left} and {right}")]
    Parameters {
        /// Of the one.
        left: String,
        /// Of the other.
        right: String,
    },
    /// Two operands, or a key and what it is used on, belong to other secret keys.
    #[error("mixed keys: {left} and {right}")]
    Keys {
        /// Of the one.
        left: KeyId,
        /// Of the other.
        right: KeyId,
    },
    /// Two operands have other levels, or an operation needs more than there are.
    #[error("{what}: levels {left} and {right}")]
    Level {
        /// Which operation.
        what: &'static str,
        /// Of the one.
        left: usize,
        /// Of the other, or the least that is needed.
        right: usize,
    },
    /// The parameters have no special primes, so nothing can switch keys.
    #[error("parameters without special primes ({0}) have no key switching")]
    NoSpecialPrimes(String),
    /// There is no key for this automorphism.
    #[error("no Galois key for the exponent {0}")]
    NoGaloisKey(usize),
    /// An encoding ends before what was to be read.
    #[error("{what}: expected {expected} bytes, {got} are left")]
    Truncated {
        /// What was read.
        what: &'static str,
        /// Its length.
        expected: usize,
        /// What was left.
        got: usize,
    },
    /// Bytes follow a whole encoding.
    #[error("{0} bytes follow the encoding")]
    Trailing(usize),
    /// An encoding breaks a rule.
    #[error("not a canonical encoding: {0}")]
    Malformed(&'static str),
    /// An encoding was made with other parameters.
    #[error("encoded with other parameters: hash {} is expected, {} was read", hex(expected), hex(got))]
    EncodedParameters {
        /// The hash of the parameters it is read with.
        expected: [u8; 32],
        /// The hash it carries.
        got: [u8; 32],
    },
    /// A residue that is not below its prime.
    #[error("the residue {value} is not below {modulus}")]
    Residue {
        /// What was read.
        value: u64,
        /// The prime.
        modulus: u64,
    },
    /// A scale of CKKS that rounding or floats have no room for.
    #[error("the scale {0} is not in its range: at least 1 (2N for parameters) and at most 2^500")]
    ScaleRange(f64),
    /// Slots, scale and noise of CKKS do not fit the modulus that is left.
    #[error("slots times scale and noise take {needed:.2} bits, the level's modulus has room for {available:.2}")]
    ScaleCapacity {
        /// `log2` of the bound of slots times scale, and noise.
        needed: f64,
        /// `log2` of half the modulus.
        available: f64,
    },
    /// Two operands of CKKS have other scales.
    #[error("mixed scales: {left} and {right}")]
    Scales {
        /// Of the one.
        left: f64,
        /// Of the other.
        right: f64,
    },
    /// More values than slots.
    #[error("{got} values for {slots} slots")]
    SlotCount {
        /// How many values.
        got: usize,
        /// How many slots there are.
        slots: usize,
    },
    /// No bound of slots.
    #[error("{0} cannot bound slots: 0 or more, finite, and no looser than what is known already")]
    SlotBound(f64),
    /// A value that is not finite, or larger than was declared.
    #[error("the value at {index} has size {value}, {bound} was declared as the largest")]
    SlotValue {
        /// Its index.
        index: usize,
        /// Its absolute value.
        value: f64,
        /// The bound that was declared.
        bound: f64,
    },
    /// More precision than the noise leaves.
    #[error("{asked} bits after the point were asked for, {possible:.1} can be released")]
    Precision {
        /// How many bits were asked for.
        asked: i32,
        /// How many there are.
        possible: f64,
    },
    /// Flooding below what its proof asks for.
    #[error(
        "flooding with {security} statistical bits for {queries} queries; 30 to 128 bits and 1 to 2^40 queries can be"
    )]
    FloodingRange {
        /// The statistical bits.
        security: u32,
        /// How many releases it is to cover.
        queries: u64,
    },
    /// Every release that the flooding covers has been made.
    #[error("flooding for {0} queries has answered them all")]
    FloodingSpent(u64),
    /// A matrix that does not fit its vector or the slots.
    #[error("a matrix of {rows} × {columns} with {entries} entries does not fit blocks of {block} of {slots} slots")]
    MatrixShape {
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
        /// How many entries were given.
        entries: usize,
        /// The length of a block.
        block: usize,
        /// How many slots there are.
        slots: usize,
    },
    /// A polynomial that cannot be evaluated.
    #[error("a polynomial of {0} coefficients; 2 to 1024 can be evaluated, the last not zero")]
    PolynomialLength(usize),
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
