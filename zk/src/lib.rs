//! Proof systems behind one face.

pub mod argument;
mod error;
mod field;
pub mod ligero;
pub mod logup;
pub mod multilinear;
pub mod pcs;
mod security;
pub mod sumcheck;
mod transcript;

pub use error::ZkError;
pub use field::{Base, EXTENSION_DEGREE, Ext, ext_from_bytes, ext_to_bytes, from_signed};
pub use security::SecurityReport;
pub use transcript::Transcript;
