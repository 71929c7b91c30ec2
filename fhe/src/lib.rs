//! Homomorphic encryption over ring learning with errors.
//!
//! Nothing is built yet: this page says what is to stand here, so that the crates around it can be read.
//!
//! | module | what it will hold |
//! |---|---|
//! | `ring` | moduli, RNS bases, polynomials in coefficient and transform form, on `tfhe-ntt` |
//! | `params` | named parameter sets, and a builder that refuses weak ones |
//! | `rlwe` | secret, public, relinearisation and Galois keys; hybrid key switching |
//! | `bfv`, `ckks` | exact and approximate arithmetic on encrypted vectors |
//! | `threshold` | collective keys, key switching, t-of-n decryption with flooded one-shot shares |
//! | `pack` | update vectors into BFV coefficients |
//! | `kahe` | key-homomorphic masks over Goldilocks for one-shot aggregation |
//! | `tfhe`, `concrete` | Zama's libraries behind features, for comparison and for table look-ups |
//! | `inference` | a candle network evaluated under CKKS and TFHE |

pub mod bfv;
mod bytes;
pub mod ckks;
mod error;
pub mod inference;
pub mod kahe;
pub mod noise;
pub mod pack;
mod params;
pub mod ring;
pub mod rlwe;
#[cfg(feature = "tfhe")]
pub mod tfhe;
pub mod threshold;

pub use error::FheError;
pub use params::{MODULUS_LINE, Parameters, Security};
pub use rlwe::KeyId;
