//! Hiding commitments to vectors, opened a counted number of times to values of linear functionals.
//!
//! A [`Committed`] vector `m` of base elements is later shown, together with others, to satisfy
//! `Σ ⟨c, m⟩ + ⟨d, pads⟩ = value` for public coefficients `c`, `d` and a public value in the extension field. The pads are
//! a one-time vector of the proof itself, committed in a [`Fresh`] oracle before the protocol that uses them starts.
//! After Ames, Hazay, Ishai and Venkitasubramaniam, "Ligero" (CCS 2017), interleaved code and linear test.
//!
//! ```
//! use nexus_zk::ligero::{Committed, Fresh, Parameters, open, verify};
//! use nexus_zk::{Base, Ext, Transcript, from_signed};
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! // A fixed seed is for examples only.
//! let mut rng = StdRng::seed_from_u64(7);
//! let parameters = Parameters::new(512, 2, 128)?;
//! let (commitment, mut committed) = Committed::commit(&parameters, &[3, -5, 7].map(from_signed), &mut rng)?;
//!
//! let coefficients = [1, 2, 10].map(|c| Ext::from(from_signed(c)));
//! let (root, fresh) = Fresh::commit(&parameters, &[], &mut rng)?;
//! let mut transcript = Transcript::new("example", b"session", b"statement");
//! let oracles = &mut [(&mut committed, coefficients.as_slice())];
//! let proof = open(&parameters, oracles, fresh, &[], &mut transcript)?;
//!
//! let value = Ext::from(from_signed(3 - 10 + 70));
//! let mut transcript = Transcript::new("example", b"session", b"statement");
//! verify(&parameters, &[(&commitment, &coefficients)], &root, &[], value, &proof, &mut transcript)?;
//! # Ok::<(), nexus_zk::ligero::LigeroError>(())
//! ```
//!
//! # Protocol
//! `H` is the subgroup of order `K`, and `t = uses·Q` for `Q` queries. A row is a polynomial `p` of degree below `K` with
//! `K − t` message entries on the first points of `H` and uniform values on the last `t`; its codeword is the list of its values on
//! `g·Ω`, with `|Ω| = N = K/ρ`, which is disjoint from `H`. A salted BLAKE3 tree commits to the columns. The fresh oracle
//! has rows of pads (with `t = Q`), a uniform mask `U` of degree below `K`, and a mask `M` of degree below `2K − 1`,
//! uniform among those with `Σ_H M = 0`. All over the extension field `E`:
//!
//! 1. The transcript absorbs parameters, commitments, coefficients and value, and draws `θ` and `γ`.
//! 2. The prover sends `v = U + Σ θ^i·p_i` over all message rows, and `q = M + γ·R` with `R = Σ C_i·p_i`, where `C_i`
//!    interpolates the row's coefficients on `H` and is zero on random slots. `Σ_H R` is the value.
//! 3. The verifier checks `Σ_H q = γ·value`, draws `Q` positions after a proof of work, and compares `v` and `q` with the
//!    opened columns there.
//!
//! # Soundness
//! Let `e = 1/2 − ρ`. The bounds on proximity are the theorems on
//! correlated agreement of Ben-Sasson, Carmon, Ishai, Kopparty and Saraf (FOCS 2020) within the unique-decoding radius,
//! for curves and for lines: `e` is below `(1 − ρ)/2`, the radius of the rows' code, and equal to `(1 − 2ρ)/2`, that of the
//! code of degree below `2K`.
//!
//! - Unless the rows and `U` agree with codewords on one set `S` of at least `(1 − e)N` positions, then except with
//!   probability `rows·N/|E|` over `θ` no `v` agrees with more than `(1 − e)N` columns.
//! - Unless the words `M` and `R` agree with polynomials `M̂`, `R̂` of degree below `2K` on one set `S'` of at least
//!   `(1 − e)N` positions, then except with probability `N/|E|` over `γ` no `q` agrees with more than `(1 − e)N` columns.
//! - Otherwise let `p̂_i` be the codewords of the rows. `S` and `S'` share at least `(1 − 2e)N = 2K` positions, so
//!   `R̂ = Σ C_i·p̂_i`, and `Σ_H R̂` is the functional of the vectors that the `p̂_i` hold. If that is not the claimed value,
//!   `Σ_H (M̂ + γ·R̂) = γ·value` for at most one `γ`; for any other, `q ≠ M̂ + γ·R̂` agrees with it on fewer than `2K`
//!   positions, so with at most `eN + 2ρN = (1 − e)N` columns.
//!
//! So each query misses with probability at most `1 − e = 1/2 + ρ`; [`Parameters::security`] gives the terms. The `p̂_i` are
//! unique, because `e` is below half the distance, so all openings speak of the same vector. The transform to a
//! transcript is in the random-oracle model.
//!
//! # Zero knowledge
//! Honest verifier, hence in the random-oracle model for the transcript; statistical but for the salted hashes. Let `Z`
//! vanish on the message points. A row is `p = p_m + Z·s`, with `p_m` given by the message and `s` uniform of degree below
//! `t`; `Z` has no zero outside `H`, so the values of `p` at up to `t` points outside `H` are independent and uniform
//! whatever the message: that covers all openings that the budget allows. Given all rows, `v` is uniform because `U` is,
//! and `q` is uniform with `Σ_H q = γ·value` because `M` is uniform with sum zero; and the opened values of `U` and `M` follow
//! from `v`, `q` and the rows' opened values. A simulator draws positions, rows' columns, `v` and `q`, and computes these.
//! `M` is committed as one word of degree below `2K − 1`: halves of degree below `K`, opened apart, would show the halves of
//! `R` at every query, which are functionals of the rows beyond their opened values.
//!
//! # Not provided
//! Polynomial or quadratic constraints, batching of several openings, state that survives a restart, constant-time
//! arithmetic. Which vector is committed is fixed by the commitment, but not who made it: a registry has to see to that.
//!
//! # Map
//! [`Parameters`]; [`Committed`] and [`Commitment`]; [`Fresh`] and [`FreshCommitment`]; [`open`], [`LinearProof`],
//! [`verify`]; [`prove_equal`], [`EqualityProof`], [`verify_equal`]; [`LigeroError`].

mod code;
mod commitment;
mod equality;
mod error;
mod merkle;
mod parameters;
mod proof;
mod prover;
mod statement;
#[cfg(test)]
mod tests;
mod verifier;

pub use commitment::{Commitment, Committed, Fresh, FreshCommitment};
pub use equality::{EqualityProof, prove_equal, verify_equal};
pub use error::LigeroError;
pub use parameters::Parameters;
pub use proof::LinearProof;
pub use prover::open;
pub use verifier::verify;
