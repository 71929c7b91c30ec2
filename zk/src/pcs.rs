//! Commitments to one multilinear polynomial over [`Base`], opened once at one point over [`Ext`].
//!
//! | scheme | an opening reveals | for |
//! |---|---|---|
//! | [`Whir`] | the value, and much about the polynomial besides | public polynomials |
//! | [`HidingWhir`] | the value, and nothing else to an honest verifier | witnesses |
//!
//! Both are hash-based (BLAKE3), need no setup, and take their parameters from a target for the *sum* of all proven
//! error terms, [`PcsSecurity`]; the folding, the encodings and the Merkle trees are those of `p3-whir`.
//!
//! ```
//! use nexus_zk::pcs::{HidingWhir, MultilinearPcs};
//! use nexus_zk::{Base, Ext, Transcript};
//! use p3_field::PrimeCharacteristicRing;
//! use rand::SeedableRng;
//!
//! let mut rng = rand_chacha::ChaCha20Rng::from_seed([7; 32]); // a program seeds from the operating system
//! let pcs = HidingWhir::new(10, 128)?;
//! let values: Vec<Base> = (0..1 << 10).map(Base::from_u64).collect();
//! let (commitment, committed) = pcs.commit(values, &mut rng)?;
//!
//! let start = || {
//!     let mut transcript = Transcript::new("example v1", b"session", b"statement");
//!     transcript.absorb_bytes("commitment", &commitment.to_bytes()); // before any challenge that it must not depend on
//!     transcript
//! };
//! let mut prover = start();
//! let point: Vec<Ext> = prover.challenges(10);
//! let (value, proof) = pcs.open(committed, &point, &mut prover, &mut rng)?;
//!
//! let mut verifier = start();
//! let point = verifier.challenges(10);
//! pcs.verify(&commitment, &point, value, &proof, &mut verifier)?;
//! # Ok::<(), nexus_zk::pcs::PcsError>(())
//! ```
//!
//! Not provided: several points or polynomials in one opening (reduce them to one first), a second opening of one
//! commitment, homomorphism, constant time, and zeroing of what the prover keeps.

mod hiding;
mod parameters;
mod soundness;
mod whir;

use std::fmt;

use p3_blake3::Blake3;
use p3_symmetric::{CompressionFunctionFromHasher, MerkleCap, SerializingHasher};
use p3_whir::{VerifierError, WhirConfigError, ZkVerifierError};
use rand_core::CryptoRng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::transcript::{Challenger, Sponge};
use crate::{Base, Ext, Transcript};

pub use hiding::{HidingCommitted, HidingWhir};
pub use whir::{Whir, WhirCommitted};

/// Fewest variables a scheme takes; pad a smaller polynomial.
pub const MIN_VARIABLES: usize = 7;

/// Most variables a scheme takes.
pub const MAX_VARIABLES: usize = 27;

/// Longest proof that is read, in bytes.
const MAX_PROOF: usize = 1 << 22;

/// A commitment to the `2ⁿ` values of one multilinear polynomial on the hypercube, opened once at one point.
///
/// Bits of an index are read most significant first: the first coordinate of a point belongs to the highest bit.
pub trait MultilinearPcs {
    /// What the prover keeps between commitment and opening.
    type Committed;

    /// `n`, the number of variables.
    fn variables(&self) -> usize;

    /// Commits to the `2ⁿ` values of a polynomial; the transcript is for the caller to tell.
    ///
    /// # Errors
    /// [`PcsError::ValueCount`] if there are not `2ⁿ` values.
    ///
    /// # Security
    /// Absorb [`Commitment::to_bytes`] before drawing any challenge that the polynomial must not depend on. Until the
    /// opening the commitment binds to a short list of polynomials only: see [`PcsSecurity::candidates`].
    fn commit<R: CryptoRng + ?Sized>(
        &self,
        values: Vec<Base>,
        rng: &mut R,
    ) -> Result<(Commitment, Self::Committed), PcsError>;

    /// Proves the value at `point`, and returns value and proof; commitment, point and value enter the transcript.
    ///
    /// The bytes depend on thread timing as well as on `rng`: the proof of work takes any solution it finds.
    ///
    /// # Errors
    /// [`PcsError::PointLength`] if the point does not have `n` coordinates.
    fn open<R: CryptoRng + ?Sized>(
        &self,
        committed: Self::Committed,
        point: &[Ext],
        transcript: &mut Transcript,
        rng: &mut R,
    ) -> Result<(Ext, Vec<u8>), PcsError>;

    /// Checks that the committed polynomial has `value` at `point`.
    ///
    /// # Errors
    /// [`PcsError::PointLength`] for a point of another arity, [`PcsError::Malformed`] or [`PcsError::TooLong`] for
    /// bytes that are no proof, [`PcsError::ValueMismatch`] for a proof of another value, [`PcsError::Rejected`] for
    /// one that does not verify.
    fn verify(
        &self,
        commitment: &Commitment,
        point: &[Ext],
        value: Ext,
        proof: &[u8],
        transcript: &mut Transcript,
    ) -> Result<(), PcsError>;

    /// The error terms of one opening.
    fn security(&self) -> &PcsSecurity;
}

/// A commitment: the root of a BLAKE3 Merkle tree over the codeword.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Commitment([u8; 32]);

impl Commitment {
    /// The root.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The commitment with this root; every 32 bytes are one.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn cap(self) -> MerkleCap<Base, [u8; 32]> {
        MerkleCap::new(vec![self.0])
    }
}

/// Error terms of one opening, as `−log₂` of their probabilities.
///
/// Each is a proven bound for the interactive protocol, in the list-decoding regime up to the Johnson radius, with the
/// credit for proofs of work that the random-oracle model gives. Sources: Arnon, Chiesa, Fenzi, Yogev 2024 (ePrint
/// 2024/1586) for WHIR, ePrint 2026/391 for its hiding variant, Dao, Kominers, Thaler 2026 (ePrint 2026/2056) for
/// correlated agreement as `p3-security` cites it.
///
/// # Security
/// Not included: collisions of BLAKE3 (128 bits), what the Fiat–Shamir transform loses to many hash queries, and
/// errors of implementation. That the hiding variant's terms may be added up this way is our reading of ePrint 2026/391
/// and has had no outside review; each list enters as a factor wherever several oracles are checked at once.
#[derive(Clone, Debug, PartialEq)]
pub struct PcsSecurity {
    terms: Vec<(&'static str, f64)>,
    candidates: f64,
}

impl PcsSecurity {
    /// The terms by name, in bits.
    pub fn terms(&self) -> &[(&'static str, f64)] {
        &self.terms
    }

    /// Bits of the sum of all terms.
    pub fn bits(&self) -> f64 {
        self.terms.iter().fold(f64::INFINITY, |sum, &(_, bits)| soundness::add_bits(sum, bits))
    }

    /// `log₂` of how many polynomials a commitment may stand for until it is opened.
    ///
    /// A protocol that draws challenges between commitment and opening multiplies its own error by this number.
    pub const fn candidates(&self) -> f64 {
        self.candidates
    }
}

/// Why a commitment or an opening failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PcsError {
    /// No scheme for this size.
    #[error("{got} variables, but a scheme has {MIN_VARIABLES} to {MAX_VARIABLES}")]
    Variables {
        /// How many were asked for.
        got: usize,
    },
    /// The parameters for this size do not reach the target.
    #[error("{variables} variables reach {reached} bits of security, not {expected}")]
    Insecure {
        /// How many variables.
        variables: usize,
        /// The target.
        expected: usize,
        /// The most that was reached, rounded down.
        reached: usize,
    },
    /// The polynomial is not given by `2ⁿ` values.
    #[error("{got} values, expected {expected}")]
    ValueCount {
        /// `2ⁿ`.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// The point has another arity.
    #[error("a point of {got} coordinates, expected {expected}")]
    PointLength {
        /// `n`.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// The proof is longer than any honest one.
    #[error("a proof of {got} bytes, more than {limit}")]
    TooLong {
        /// The longest proof that is read.
        limit: usize,
        /// Its length.
        got: usize,
    },
    /// The bytes are not the canonical encoding of a proof.
    #[error("the bytes are not the encoding of an opening")]
    Malformed,
    /// The proof is about another value.
    #[error("the proof opens to another value")]
    ValueMismatch,
    /// A check of the opening failed.
    #[error("the opening is rejected: {reason}")]
    Rejected {
        /// Which check.
        reason: String,
    },
    /// The prover cannot run with these parameters.
    #[error("the opening cannot be made: {reason}")]
    Parameters {
        /// What is wrong with them.
        reason: String,
    },
}

impl From<WhirConfigError> for PcsError {
    fn from(error: WhirConfigError) -> Self {
        Self::Parameters { reason: error.to_string() }
    }
}

impl From<VerifierError> for PcsError {
    fn from(error: VerifierError) -> Self {
        Self::Rejected { reason: error.to_string() }
    }
}

impl From<ZkVerifierError> for PcsError {
    fn from(error: ZkVerifierError) -> Self {
        Self::Rejected { reason: error.to_string() }
    }
}

type LeafHash = SerializingHasher<Blake3>;
type Compression = CompressionFunctionFromHasher<Blake3, 2, 32>;

const fn leaf_hash() -> LeafHash {
    LeafHash::new(Blake3)
}

const fn compression() -> Compression {
    Compression::new(Blake3)
}

/// For the one call of `p3-whir` that absorbs a commitment before the caller's own transcript exists.
fn unused_challenger() -> Challenger {
    Challenger::new(Sponge::new(Vec::new()))
}

fn check_variables(got: usize) -> Result<(), PcsError> {
    if (MIN_VARIABLES..=MAX_VARIABLES).contains(&got) { Ok(()) } else { Err(PcsError::Variables { got }) }
}

fn check_values(variables: usize, values: &[Base]) -> Result<(), PcsError> {
    let (expected, got) = (1 << variables, values.len());
    if got == expected { Ok(()) } else { Err(PcsError::ValueCount { expected, got }) }
}

fn check_point(expected: usize, point: &[Ext]) -> Result<(), PcsError> {
    let got = point.len();
    if got == expected { Ok(()) } else { Err(PcsError::PointLength { expected, got }) }
}

/// Commitment and point enter the transcript on both sides before the opening; the value does as the opening starts.
fn bind(transcript: &mut Transcript, scheme: &str, commitment: Commitment, point: &[Ext]) {
    transcript.absorb_bytes(scheme, &commitment.0);
    transcript.absorb_all(point);
}

fn encode<P: Serialize>(proof: &P) -> Vec<u8> {
    postcard::to_allocvec(proof).expect("every part of a proof has an encoding")
}

fn decode<P: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<P, PcsError> {
    if bytes.len() > MAX_PROOF {
        return Err(PcsError::TooLong { limit: MAX_PROOF, got: bytes.len() });
    }
    let proof: P = postcard::from_bytes(bytes).map_err(|_| PcsError::Malformed)?;
    // The format takes lengths in several spellings and ignores what follows: one encoding per proof is accepted.
    if encode(&proof) == bytes { Ok(proof) } else { Err(PcsError::Malformed) }
}

fn debug_secret(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("Secret(..)")
}

#[cfg(test)]
mod tests;
