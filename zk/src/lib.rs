//! Proof systems behind one face.

mod field;
mod transcript;

pub use field::{Base, EXTENSION_DEGREE, Ext, ext_from_bytes, ext_to_bytes, from_signed};
pub use transcript::Transcript;
