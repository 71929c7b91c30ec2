use std::sync::Arc;

use zeroize::Zeroizing;

use crate::noise::{NoiseBound, NoiseModel};
use crate::ring::kernels::{self, Engine};
use crate::ring::sample::Noise;
use crate::ring::{Coeff, Poly, RnsBasis, for_each_limb};
use crate::{FheError, Parameters};

/// How much noise a decryption share carries, to hide the noise of the ciphertext: `2^bits` times its bound, rounded up
/// to a power of two, uniform in every coefficient.
///
/// # Security
/// What the shares show can be simulated from the decrypted polynomial alone, up to the statistical distance between
/// the flood and the flood shifted by the ciphertext's noise `e` (Asharov et al., 2012, Lemma 1):
/// `Σ_j |e_j| / 2B ≤ √N·‖e‖ / 2B ≤ √N·2^(−bits − 1)`, since `‖e‖₂` is at most the bound of the canonical norm. This is
/// statistical, an opening, and stands apart from the 128 bits of the parameters: see
/// [`Self::log2_distance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flooding {
    bits: u32,
}

impl Flooding {
    /// `2^40` times the bound.
    pub const DEFAULT: Self = Self { bits: 40 };

    const LEAST: u32 = 30;
    const MOST: u32 = 128;

    /// `2^bits` times the bound.
    ///
    /// # Errors
    /// [`FheError::Flooding`] unless `bits` is 30 to 128.
    pub const fn new(bits: u32) -> Result<Self, FheError> {
        if bits < Self::LEAST || bits > Self::MOST {
            return Err(FheError::Flooding { bits, range: (Self::LEAST, Self::MOST) });
        }
        Ok(Self { bits })
    }

    /// `log2` of how many times the bound.
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// `log2` of the statistical distance that so many openings add up to, at most: `½·log2 N − bits − 1` for one.
    ///
    /// With 40 bits and `N = 2^14` one opening is `2^-34`, and a vector in a hundred ciphertexts `2^-27`.
    pub fn log2_distance(self, parameters: &Parameters, openings: usize) -> f64 {
        (parameters.degree() as f64).log2() / 2.0 - f64::from(self.bits) - 1.0 + (openings as f64).log2()
    }

    /// The flood for a ciphertext with this bound.
    pub(super) fn over(self, noise: NoiseBound) -> Flood {
        // Exact ciphertexts are flooded as if their noise were one.
        Flood { exponent: (noise.log2().max(0.0) + f64::from(self.bits)).ceil() as u32 }
    }

    /// The noise of an opened ciphertext: its own of this bound, and the floods of so many parties.
    pub(crate) fn flooded(self, model: NoiseModel, noise: NoiseBound, parties: usize) -> NoiseBound {
        noise.plus(self.over(noise).bound(model, parties))
    }

    #[cfg(test)]
    pub(super) const fn insecure(bits: u32) -> Self {
        Self { bits }
    }
}

/// Coefficients uniform in `[−2^exponent, 2^exponent)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flood {
    exponent: u32,
}

/// Words are of so many bits: whole bytes, and fit for the kernels.
const WORD: u32 = 48;

impl Flood {
    /// The bound of the sum of the floods of so many parties.
    pub(super) fn bound(self, noise: NoiseModel, parties: usize) -> NoiseBound {
        let parties = parties as f64;
        // Uniform coefficients are sub-Gaussian of their own deviation about their mean −½.
        noise
            .random((parties / 3.0).sqrt())
            .times(NoiseBound::from_log2(f64::from(self.exponent)))
            .plus(noise.worst(parties / 2.0))
    }

    /// One flood, in time that does not depend on it.
    pub(super) fn sample(self, basis: &Arc<RnsBasis>, limbs: usize, noise: &Noise) -> Poly<Coeff> {
        let words = self.words(basis.degree(), noise);
        let mut poly = Poly::zero(basis, limbs);
        let engine = Engine::detect();
        for_each_limb(poly.values_mut(), basis, |_, prime, limb| {
            let q = prime.modulus();
            limb.fill(q.neg(q.pow(2, u64::from(self.exponent))));
            let (base, mut weight) = (q.pow(2, u64::from(WORD)), 1);
            let mut residues = Zeroizing::new(vec![0; limb.len()]);
            for word in &words {
                residues.copy_from_slice(word);
                kernels::scale(engine, q, &mut residues, q.factor(weight));
                kernels::add(engine, q, limb, &residues);
                weight = q.mul(weight, base);
            }
        });
        poly
    }

    /// `exponent + 1` random bits a coefficient, lowest word first.
    fn words(self, degree: usize, noise: &Noise) -> Vec<Zeroizing<Vec<u64>>> {
        let bits = self.exponent + 1;
        (0..bits.div_ceil(WORD))
            .map(|index| {
                let mask = (1_u64 << (bits - index * WORD).min(WORD)) - 1;
                let bytes = noise.bytes(u64::from(index), degree * WORD as usize / 8);
                let word = |chunk: &[u8; 6]| {
                    let mut word = [0; 8];
                    word[..6].copy_from_slice(chunk);
                    u64::from_le_bytes(word) & mask
                };
                Zeroizing::new(bytes.as_chunks::<6>().0.iter().map(word).collect())
            })
            .collect()
    }
}
