//! BFV: exact arithmetic on encrypted integers.

mod ciphertext;
mod encoding;
mod modulus;
mod multiply;
mod noise;
mod params;
mod plaintext;
mod rotate;
mod scaling;

pub use ciphertext::BfvCiphertext;
pub use encoding::{Coefficients, Slots, rotation_exponent, swap_exponent};
pub use modulus::PlaintextModulus;
pub use params::BfvParameters;
pub use plaintext::Plaintext;

pub(crate) use modulus::DIGIT_BITS;
pub(crate) use noise::fresh_public as fresh_noise;

#[cfg(test)]
mod tests;
