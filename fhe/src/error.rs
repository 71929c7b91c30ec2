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
    /// Not a prime that plaintexts can be computed modulo.
    #[error("{0} is no odd prime below 2^50")]
    PlaintextPrime(u64),
    /// Not a power of two that plaintexts can be computed modulo.
    #[error("the plaintext modulus 2^{0} is not one of 2^1 to 2^192")]
    PlaintextBits(u32),
    /// Plaintexts cannot be computed modulo a prime of the ciphertexts.
    #[error("the plaintext modulus {0} is one of the primes of Q")]
    PlaintextDividesModulus(u64),
    /// A plaintext, or what it is used on, has another modulus.
    #[error("mixed plaintext moduli: {left} and {right}")]
    PlaintextModuli {
        /// Of the one.
        left: String,
        /// Of the other.
        right: String,
    },
    /// Slots want a prime with a transform.
    #[error("plaintexts modulo {modulus} have no slots in degree {degree}: a prime that is 1 modulo {} does", 2 * degree)]
    NoSlots {
        /// The plaintext modulus.
        modulus: String,
        /// The ring's degree.
        degree: usize,
    },
    /// More values than a plaintext holds.
    #[error("{got} values for a plaintext of {most}")]
    TooManyValues {
        /// How many it holds.
        most: usize,
        /// How many came.
        got: usize,
    },
    /// A value that a plaintext cannot hold.
    #[error("the value {value} at {index} is not within {least}..={most}")]
    ValueRange {
        /// Where it stands.
        index: usize,
        /// What it is.
        value: i128,
        /// The least that can be.
        least: i128,
        /// The largest that can be.
        most: i128,
    },
    /// The noise may be so large that a decryption would be wrong.
    #[error("noise of up to 2^{noise:.1}, and a correct decryption allows 2^{allowed:.1}")]
    NoiseTooLarge {
        /// `log2` of the bound on the noise.
        noise: f64,
        /// `log2` of what a decryption can bear.
        allowed: f64,
    },
    /// An operation wants a ciphertext of another number of parts.
    #[error("{what} wants a ciphertext of {expected} parts, not of {got}")]
    Parts {
        /// Which operation.
        what: &'static str,
        /// How many it wants.
        expected: usize,
        /// How many came.
        got: usize,
    },
    /// Products of ciphertexts would need more primes than base conversion computes with.
    #[error("a product of ciphertexts needs {needed} auxiliary primes; {most} can be")]
    ProductTooLarge {
        /// How many are needed.
        needed: usize,
        /// How many there can be.
        most: usize,
    },
    /// Not one value fits a coefficient.
    #[error("a sum of {clients} values of up to {bound} takes {bits} bits, and a coefficient has {capacity}")]
    NoPacking {
        /// How many values are summed.
        clients: u32,
        /// The largest value.
        bound: u64,
        /// The bits of their sum.
        bits: u32,
        /// The bits of a coefficient.
        capacity: u32,
    },
    /// A sum of more updates than there is room for.
    #[error("a sum of {got} updates, where there is room for {most}")]
    TooManyUpdates {
        /// How many there is room for.
        most: u32,
        /// How many there would be.
        got: u64,
    },
    /// Two updates, or an update and what it is read with, differ in their shape.
    #[error("{what}: {left} and {right}")]
    UpdateShape {
        /// In what they differ.
        what: &'static str,
        /// Of the one.
        left: u64,
        /// Of the other.
        right: u64,
    },
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
