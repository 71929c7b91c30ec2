use crate::rlwe::KeyId;
use crate::threshold::{PartyId, Purpose};

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
    /// So many of so many parties cannot be what it takes to decrypt.
    #[error("{threshold} of {parties} parties: 2 to 1024 can hold a key, and 2 to all of them be needed")]
    Threshold {
        /// How many are to be needed.
        threshold: usize,
        /// How many there are.
        parties: usize,
    },
    /// Shamir shares are dealt where fewer than all parties decrypt, and nowhere else.
    #[error("{threshold} of {parties} parties decrypt: {}", if threshold == parties { "no shares are dealt" } else { "they need dealt shares" })]
    Dealing {
        /// How many are needed.
        threshold: usize,
        /// How many there are.
        parties: usize,
    },
    /// A party that does not belong where it was named.
    #[error("party {0} does not take part")]
    Stranger(PartyId),
    /// A party named twice, or a second message of one.
    #[error("party {0} is there twice")]
    Duplicate(PartyId),
    /// A party whose message is not there.
    #[error("nothing is there from party {0}")]
    Missing(PartyId),
    /// Not as many parties as a decryption takes.
    #[error("{got} parties are to decrypt; it takes exactly {expected}")]
    ActiveSet {
        /// The threshold.
        expected: usize,
        /// How many were named.
        got: usize,
    },
    /// Of another session.
    #[error("of another session: {} is expected, {} came", hex(expected), hex(got))]
    Session {
        /// The digest of the one at hand.
        expected: [u8; 32],
        /// The digest it was made for.
        got: [u8; 32],
    },
    /// A share for one thing, used for another.
    #[error("a share for {got}, where one for {expected} belongs")]
    Purpose {
        /// What was to be made of it.
        expected: Purpose,
        /// What it was made for.
        got: Purpose,
    },
    /// A secret share for another party.
    #[error("a share for party {got}, which party {expected} cannot use")]
    Recipient {
        /// Who reads it.
        expected: PartyId,
        /// Whom it was dealt to.
        got: PartyId,
    },
    /// A decryption share for another request: another ciphertext, bound, flooding, set of parties or reader.
    #[error("for another request: {} is expected, {} came", hex(expected), hex(got))]
    Request {
        /// The digest of the one at hand.
        expected: [u8; 32],
        /// The digest it was made for, or that was agreed to.
        got: [u8; 32],
    },
    /// A request to open a ciphertext to all, used as one to switch it to a reader's key, or the other way round.
    #[error("{}", match reader { Some(reader) => format!("to be switched to the key {reader}, not to be opened"), None => "to be opened, not to be switched to a reader's key".to_owned() })]
    Reader {
        /// The key of the request's reader, if it has one.
        reader: Option<KeyId>,
    },
    /// A second share for one ciphertext could give the key away.
    #[error("party {party} has given a share for this ciphertext already")]
    SecondShare {
        /// Who.
        party: PartyId,
    },
    /// What was said before cannot be known or made durable, so nothing more may be said.
    #[error("share ledger: {0}")]
    Ledger(String),
    /// An encoding's checksum is not that of its bytes.
    #[error("the checksum is not that of the bytes")]
    Checksum,
    /// A ciphertext has parts that must be brought back to two first.
    #[error("a ciphertext of {0} parts; two can be decrypted together, so relinearise first")]
    Parts(usize),
    /// Flooding must hide something.
    #[error("flooding of {bits} bits; {} to {} can be", range.0, range.1)]
    Flooding {
        /// What was asked for.
        bits: u32,
        /// The least and the most.
        range: (u32, u32),
    },
    /// The noise with flooding is more than the ciphertext has room for.
    #[error("flooded noise of 2^{noise:.1}, where a decryption is right up to 2^{capacity:.1}")]
    NoRoomToFlood {
        /// `log2` of the noise after flooding.
        noise: f64,
        /// `log2` of what there is room for.
        capacity: f64,
    },
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
