//! Key-homomorphic masks over Goldilocks: vectors of many clients under masks that open only as a sum.
//!
//! A client masks a vector of bounded integers under a fresh secret polynomial s and speaks once. Anyone adds the masked
//! vectors. The sum opens with the sum of the keys, which a committee gets from shares of the keys' coefficients;
//! neither a vector nor a key ever shows.
//!
//! ```
//! use nexus_fhe::kahe::{KaheParams, KaheRound, KeySum, MODULUS, MaskKey, MaskedSum, MaskedUpdate, RoundBinding};
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//!
//! // Three clients, entries of 16 bits, vectors of 5 entries; as many to a coefficient as fit.
//! let params = KaheParams::densest(3, 32_767, 5)?;
//! let binding = RoundBinding { session: [1; 32], round: 0, model: [2; 32], config: [3; 32] };
//! let round = KaheRound::new(params, &binding);
//!
//! // Programs take a generator of the operating system; a seed makes this example repeat.
//! let mut rng = ChaCha20Rng::from_seed([7; 32]);
//! let mut sum = MaskedSum::new(&round);
//! let mut keys = vec![0; 4096];
//! for vector in [[1, -2, 3, 0, 5], [10, 20, 30, 40, 50], [-32_767, 0, 0, 0, 32_767]] {
//!     let key = MaskKey::generate(&round, &mut rng);
//!     // A client shares these coefficients among a committee. Here they are added in the clear.
//!     for (sum, s) in keys.iter_mut().zip(key.coefficients()) {
//!         *sum = ((u128::from(*sum) + u128::from(*s)) % u128::from(MODULUS)) as u64;
//!     }
//!     let sent = key.mask(&vector)?.into_bytes();
//!     sum.add(&MaskedUpdate::from_bytes(&round, sent)?)?;
//! }
//! assert_eq!(sum.open(&KeySum::new(&round, 3, keys)?)?, [-32_756, 18, 33, 40, 32_822]);
//! println!("{}", params.security());
//! # Ok::<(), nexus_fhe::FheError>(())
//! ```
//!
//! # The scheme
//!
//! In `Z_p[X]/(X^N + 1)`, p = 2⁶⁴ − 2³² + 1 and N = 4096, with public aₖ that follow from a hash of the round
//! ([`KaheRound`]), client i sends
//!
//! `y_k = a_k·s + T·e_k + m_k`,
//!
//! s uniform and fresh, eₖ of centred binomial noise of 80 bits (|e| ≤ 40, σ = 4.47), mₖ the entries as digits
//! ([`KaheParams`], which also says why sums are exact). Then `Σy_k − a_k·Σs = T·Σe_k + Σm_k`. This is the masking of
//! one-shot secure aggregation (OPA, arXiv 2410.22303; Willow, ePrint 2024/936) over the field of the training proofs,
//! so that a mask and a proven update meet in one linear relation. `T` and `p` have no common factor, so that the masks
//! are those of ring learning with errors for the public aₖ/T.
//!
//! Keys are handled as their 4096 coefficients, least power first, not as values at points of evaluation: shares, sums of
//! shares and [`KeySum`] are all in that form.
//!
//! # Security
//!
//! *What the public sum of keys says.* Each s is uniform in the whole ring. So for contributors of whom h ≥ 2 are honest,
//! the honest keys are uniform subject to their sum: any h − 1 of them are independent of Σs, and Σs says
//! nothing about any one.
//!
//! *What the opened sum says.* With Σs everyone can compute Σmₖ, which is meant, and Σeₖ exactly, which is not. The
//! vectors are hidden as in ring learning with errors where a sum of errors is given as a hint. Of two honest clients'
//! noise with variance 20 each, given the sum, a variance of 10 is left on average (their sum explains half): σ = 3.16; of h
//! clients' 20·(1 − 1/h), which is more. For Gaussian noise such hints reduce to the problem without hint and narrower
//! noise (Kim, Lee, Seo and Song, CRYPTO 2023); for binomial noise that is a heuristic. [`KaheParams::security`] gives the
//! estimate for σ = 3.16 and the number of samples at hand: for a million entries about 209 bits classically, of which
//! the seeds of 256 bits are no limit.
//!
//! *What is not provided.* No integrity: a contributor that deviates spoils the sum or shifts it, and only the first is
//! noticed. No check that shares of a key belong to the mask. No memory across restarts: that a client never masks
//! twice in one round, and that keys of one set of contributors alone are released, is kept by those who hold the
//! journals. Names of senders are not known here.

mod client;
mod field;
mod noise;
mod params;
mod ring;
mod round;
mod security;
mod server;
#[cfg(test)]
mod tests;
mod update;

pub use client::MaskKey;
pub use field::MODULUS;
pub use noise::NOISE_BOUND;
pub use params::KaheParams;
pub use ring::DEGREE;
pub use round::{KaheRound, RoundBinding};
pub use security::SecurityEstimate;
pub use server::{KeySum, MaskedSum};
pub use update::MaskedUpdate;
