//! Shamir secret sharing over the Ristretto scalar field and over Goldilocks.

mod field;
mod shamir;

pub use field::ShareField;
pub use shamir::{Lagrange, Point, Shamir, Share};
