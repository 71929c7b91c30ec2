//! Proofs about committed vectors: transparent ones, and zero-knowledge ones without trusted setup.
//!
//! The core is a sumcheck prover over the Goldilocks field. Somebody commits to a vector and shows that it satisfies an
//! [`Argument`](argument::Argument): sums of products, look-ups in tables, linear claims. Written once, an argument runs as
//! a [`TransparentProof`](argument::TransparentProof) or as a zero-knowledge [`Proof`](argument::Proof).
//!
//! ```
//! use nexus_zk::argument::{Argument, BLINDING, Proof, Prover, Security, Verifier};
//! use nexus_zk::logup::{Lookup, Lookups, Table};
//! use nexus_zk::{Base, Transcript, ZkError, ligero};
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! /// A hundred committed numbers are bytes.
//! struct Bytes(Lookups);
//!
//! impl Bytes {
//!     fn new() -> Self {
//!         // The table's multiplicities stand at 256..512, the numbers at 0..100.
//!         let numbers = Lookup { table: 0, columns: vec![0], rows: 100 };
//!         Self(Lookups::new(9, vec![(Table::Range { bits: 8 }, 256)], vec![numbers]))
//!     }
//! }
//!
//! impl Argument for Bytes {
//!     fn variables(&self) -> usize { 9 }
//!     fn blinding(&self) -> usize { 256 - BLINDING }
//!     fn prove(&self, vector: &[Base], prover: &mut Prover<'_>) { self.0.prove(vector, prover) }
//!     fn verify(&self, verifier: &mut Verifier) -> Result<(), ZkError> { self.0.verify(verifier) }
//! }
//!
//! let mut vector = vec![Base::new(0); 512];
//! (0..100).for_each(|i| vector[i] = Base::new(2 * i as u64));
//! Bytes::new().0.count(&mut vector)?;
//!
//! let security = Security { bits: 129, linear: ligero::Parameters::new(512, 1, 130)? };
//! // A fixed seed is for examples only: whoever knows it sees through the proof.
//! let mut rng = StdRng::seed_from_u64(7);
//! let mut transcript = Transcript::new("example v1", b"session", b"a hundred bytes");
//! let proof = Proof::new(&Bytes::new(), vector, &mut [], &security, &mut transcript, &mut rng)?;
//!
//! let proof = Proof::from_bytes(&proof.to_bytes())?;
//! let mut transcript = Transcript::new("example v1", b"session", b"a hundred bytes");
//! proof.verify(&Bytes::new(), &[], &security, &mut transcript)?;
//! assert!(Proof::security(&Bytes::new(), &security)?.bits() > 128.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! | module | what |
//! |---|---|
//! | [`argument`] | the two sides of an argument, one-time pads, proofs |
//! | [`sumcheck`] | sums of low-degree functions of multilinears |
//! | [`logup`] | look-ups: LogUp with the sum of fractions by GKR |
//! | [`multilinear`] | multilinear extensions, and public functionals that a verifier evaluates fast |
//! | [`pcs`] | commitments to multilinear polynomials: WHIR, plain and hiding |
//! | [`ligero`] | hiding commitments to vectors that are opened a counted number of times |
//! | [`Transcript`] | Fiat–Shamir over (protocol, session, statement) |
//!
//! # Security
//!
//! The argument for soundness, term by term, and for zero knowledge is in `SECURITY.md` beside this crate. It has had no
//! outside review, and it rests on `p3-whir` 0.8, which is young.
//!
//! # Not provided yet
//!
//! The other back ends (Groth16, halo2, plonky2, STARK, Bulletproofs), a builder that states a relation once for all of
//! them, and Hyrax over Ristretto.

pub mod argument;
mod error;
mod field;
pub mod ligero;
pub mod logup;
pub mod multilinear;
mod packed;
pub mod pcs;
mod security;
pub mod sumcheck;
mod transcript;

pub use error::ZkError;
pub use field::{Base, EXTENSION_DEGREE, Ext, ext_from_bytes, ext_to_bytes, from_signed};
pub use security::SecurityReport;
pub use transcript::Transcript;
