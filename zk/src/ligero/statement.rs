//! What prover and verifier agree on: sizes, and what the transcript absorbs and draws.

use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};

use super::commitment::{Commitment, FreshCommitment};
use super::proof::polynomial_bytes;
use super::{LigeroError, Parameters};
use crate::{Base, EXTENSION_DEGREE, Ext, Transcript, ext_to_bytes};

/// A functional of committed vectors and pads.
pub(super) struct Statement<'a> {
    pub(super) parameters: &'a Parameters,
    pub(super) oracles: &'a [(&'a Commitment, &'a [Ext])],
    pub(super) fresh: &'a FreshCommitment,
    pub(super) pad_coefficients: &'a [Ext],
}

/// The challenges of both tests; the two do not depend on one another.
#[derive(Clone, Copy)]
pub(super) struct Challenges {
    /// `θ`, whose powers combine the rows.
    pub(super) proximity: Ext,
    /// `γ`, which combines mask and rows in the linear test.
    pub(super) linear: Ext,
}

impl Statement<'_> {
    /// Checks the sizes.
    pub(super) fn check(&self) -> Result<(), LigeroError> {
        let mut rows = self.parameters.fresh_rows(self.pad_coefficients.len());
        for (oracle, (commitment, coefficients)) in self.oracles.iter().enumerate() {
            if coefficients.len() as u64 != commitment.length {
                let (expected, got) = (commitment.length(), coefficients.len());
                return Err(LigeroError::Coefficients { oracle, expected, got });
            }
            rows = rows.saturating_add(self.parameters.rows(coefficients.len()));
        }
        if rows > Parameters::MAX_ROWS {
            return Err(LigeroError::Rows { got: rows, most: Parameters::MAX_ROWS });
        }
        Ok(())
    }

    /// Absorbs everything, value included, and draws the challenges.
    pub(super) fn begin(&self, value: Ext, transcript: &mut Transcript) -> Challenges {
        transcript.absorb_bytes("ligero parameters", &self.parameters.to_bytes());
        transcript.absorb_bytes("ligero oracles", &(self.oracles.len() as u64).to_le_bytes());
        for (commitment, coefficients) in self.oracles {
            transcript.absorb_bytes("ligero commitment", &commitment.to_bytes());
            transcript.absorb_bytes("ligero coefficients", &polynomial_bytes(coefficients));
        }
        transcript.absorb_bytes("ligero fresh commitment", &self.fresh.to_bytes());
        transcript.absorb_bytes("ligero pad coefficients", &polynomial_bytes(self.pad_coefficients));
        transcript.absorb_bytes("ligero value", &ext_to_bytes(value));
        Challenges { proximity: transcript.challenge(), linear: transcript.challenge() }
    }
}

/// The coefficients of the pads' coordinates: a pad is `Σ x_k·X^k`, so coordinate `k` weighs `d·X^k`.
pub(super) fn pad_functional(pad_coefficients: &[Ext]) -> Vec<Ext> {
    let basis: [Ext; EXTENSION_DEGREE] =
        std::array::from_fn(|k| Ext::from_basis_coefficients_fn(|axis| Base::from_bool(axis == k)));
    pad_coefficients.iter().flat_map(|&coefficient| basis.map(|power| coefficient * power)).collect()
}

/// Draws the positions, with repetition, and gives them sorted and once each.
pub(super) fn positions(parameters: &Parameters, transcript: &mut Transcript) -> Vec<usize> {
    let bits = parameters.length().trailing_zeros() as usize;
    let mut positions: Vec<usize> = (0..parameters.queries()).map(|_| transcript.challenge_bits(bits)).collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}
