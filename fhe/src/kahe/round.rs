use std::fmt;

use super::field::residues;
use super::params::KaheParams;
use super::ring::{DEGREE, coefficients};
use crate::FheError;

const DOMAIN: &str = "cipher-nexus/fhe/kahe/round/v1";

/// What a round's masks are bound to beside its parameters.
///
/// Masks of clients that differ in any of it do not cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoundBinding {
    /// The session.
    pub session: [u8; 32],
    /// The number of the round in its session.
    pub round: u64,
    /// Hash of the model that the updates start from.
    pub model: [u8; 32],
    /// Hash of the configuration: clip, quantiser and whatever else the clients must agree on.
    pub config: [u8; 32],
}

/// One round: its parameters, and the public polynomials aₖ that follow from the binding.
///
/// With d = BLAKE3(H(params) ‖ session ‖ round ‖ H(model) ‖ H(config)), aₖ is given by its values, which are the
/// words below p of the output stream of BLAKE3 keyed with d over k (32 bits, little-endian): nobody chooses aₖ, and no
/// transform is needed to make it. The value at ψ^(2i+1) has the place i with its 12 bits reversed, ψ the 8192nd root
/// of unity of `tfhe-ntt`.
///
/// # Security
/// BLAKE3 takes the place of a random oracle. AES in counter mode would be twice to three times as fast (0.2 against
/// 0.7 ms for a million entries) but under a key that everyone knows its outputs are random in the ideal-cipher model
/// alone, and a key of 128 bits would bind the model with 64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KaheRound {
    params: KaheParams,
    digest: [u8; 32],
}

impl KaheRound {
    /// The round with these parameters and this binding.
    pub fn new(params: KaheParams, binding: &RoundBinding) -> Self {
        let mut hash = blake3::Hasher::new_derive_key(DOMAIN);
        // All parts have a fixed length.
        hash.update(&params.hash());
        hash.update(&binding.session);
        hash.update(&binding.round.to_le_bytes());
        hash.update(&binding.model);
        hash.update(&binding.config);
        Self { params, digest: hash.finalize().into() }
    }

    /// The parameters.
    pub fn params(&self) -> &KaheParams {
        &self.params
    }

    /// d, which names the round in its messages.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The 4096 coefficients of aₖ, k = `index`, least power first: for whoever checks or proves the relation of a
    /// masked update.
    pub fn public_polynomial(&self, index: u32) -> Vec<u64> {
        let mut words = vec![0; DEGREE];
        self.public_values(index, &mut vec![0; 8 * DEGREE], &mut words);
        coefficients(&mut words);
        words
    }

    /// The values of aₖ; `bytes` is scratch of at least eight bytes for each.
    pub(crate) fn public_values(&self, index: u32, bytes: &mut [u8], words: &mut [u64]) {
        let bytes = &mut bytes[..8 * DEGREE];
        let mut stream = blake3::Hasher::new_keyed(&self.digest).update(&index.to_le_bytes()).finalize_xof();
        stream.fill(bytes);
        residues(words, bytes, |more| stream.fill(more));
    }

    pub(crate) fn check(&self, what: &'static str, got: &[u8; 32]) -> Result<(), FheError> {
        if *got == self.digest { Ok(()) } else { Err(FheError::OtherRound { what, expected: self.digest, got: *got }) }
    }
}

impl fmt::Debug for KaheRound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KaheRound")
            .field("params", &self.params)
            .field("digest", &blake3::Hash::from(self.digest))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_binding_changes_the_public_polynomials() {
        let params = KaheParams::new(3, 10, 100, 2).unwrap();
        let other = KaheParams::new(3, 10, 100, 1).unwrap();
        let binding = RoundBinding { session: [1; 32], round: 2, model: [3; 32], config: [4; 32] };
        let rounds = [
            KaheRound::new(params, &binding),
            KaheRound::new(other, &binding),
            KaheRound::new(params, &RoundBinding { session: [0; 32], ..binding }),
            KaheRound::new(params, &RoundBinding { round: 3, ..binding }),
            KaheRound::new(params, &RoundBinding { model: [0; 32], ..binding }),
            KaheRound::new(params, &RoundBinding { config: [0; 32], ..binding }),
        ];
        let mut polynomials: Vec<_> = rounds.iter().map(|round| round.public_polynomial(0)).collect();
        polynomials.push(rounds[0].public_polynomial(1));
        for (i, polynomial) in polynomials.iter().enumerate() {
            assert!(!polynomials[..i].contains(polynomial));
        }
    }
}
