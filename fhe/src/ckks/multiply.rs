use crate::FheError;
use crate::noise::NoiseBound;
use crate::ring::kernels::{self, Engine};
use crate::ring::{Ntt, Poly, Prime};
use crate::rlwe::{RelinearisationKey, rescale, switch_once, switching_noise};

use super::ciphertext::product_noise;
use super::encoder::{fits, size};
use super::{Ciphertext, Scale};

impl Ciphertext {
    /// `self·other` slot by slot, of one key and level, brought back to two parts; scales multiply.
    ///
    /// # Errors
    /// [`FheError::Parameters`], [`FheError::Keys`], [`FheError::Level`], [`FheError::ScaleCapacity`].
    pub fn mul(&self, other: &Self, key: &RelinearisationKey) -> Result<Self, FheError> {
        let (scale, bound, noise) = self.product_bounds(other, key)?;
        let noise = noise.plus(key.noise(self.level()));
        fits(self.ring(), self.level(), bound, scale, noise)?;
        let parts = self.product(other, key, false)?;
        self.with(parts.to_vec(), scale, bound, noise)
    }

    /// The same and [`rescale`](Self::rescale) in one: one division by `P` and the prime instead of two.
    ///
    /// # Errors
    /// As [`Self::mul`] and [`Self::rescale`].
    pub fn mul_rescale(&self, other: &Self, key: &RelinearisationKey) -> Result<Self, FheError> {
        let (scale, bound, noise) = self.product_bounds(other, key)?;
        let noise = noise.plus(key.noise(self.level()));
        fits(self.ring(), self.level(), bound, scale, noise)?;
        let (scale, noise) = self.rescaled(scale, bound, noise, self.last_prime())?;
        let parts = self.product(other, key, true)?;
        self.with(parts.to_vec(), scale, bound, noise)
    }

    /// `self²`.
    ///
    /// # Errors
    /// As [`Self::mul`].
    pub fn square(&self, key: &RelinearisationKey) -> Result<Self, FheError> {
        self.mul(self, key)
    }

    /// Divides by the last prime and forgets it; the scale shrinks by it.
    ///
    /// # Errors
    /// [`FheError::Level`] at level 1, [`FheError::ScaleRange`] for a scale that would be below 1.
    pub fn rescale(&self) -> Result<Self, FheError> {
        let q = self.last_prime();
        let (scale, noise) = self.rescaled(self.scale(), self.bound(), self.noise(), q)?;
        let parts = self.inner().parts().iter().map(|part| rescale(self.ring(), part)).collect();
        self.with(parts, scale, self.bound(), noise)
    }

    /// The same slots at this level and scale: multiplies by one at the scale that is missing and rescales.
    ///
    /// One level is used up, so the target must be below the level there is.
    ///
    /// # Errors
    /// [`FheError::Level`], [`FheError::ScaleRange`] for a scale that cannot be reached, [`FheError::ScaleCapacity`].
    pub fn adjust(&self, level: usize, scale: Scale) -> Result<Self, FheError> {
        if level >= self.level() || level == 0 {
            return Err(FheError::Level { what: "adjusting a scale", left: self.level(), right: level + 1 });
        }
        let above = self.drop_to(level + 1)?;
        let missing = Scale::new(scale.value() * above.last_prime().value() / self.scale().value())?;
        above.mul_scalar_at(1.0, missing)?.rescale()
    }

    /// Scale and noise after a division by `q` and the rounding of two parts.
    pub(super) fn rescaled(
        &self,
        scale: Scale,
        bound: f64,
        noise: NoiseBound,
        q: Scale,
    ) -> Result<(Scale, NoiseBound), FheError> {
        if self.level() == 1 {
            return Err(FheError::Level { what: "a rescale", left: 1, right: 2 });
        }
        let scale = Scale::new(scale.value() / q.value())?;
        let rounding = size(bound, scale).times(NoiseBound::new(f64::EPSILON));
        let noise = noise.over(q.log2()).plus(self.ring().noise().rounding(self.secret())).plus(rounding);
        Ok((scale, noise))
    }

    /// What switching keys adds at this level.
    pub(super) fn switching(&self, deviation: f64) -> NoiseBound {
        switching_noise(self.ring(), self.level(), deviation, 1.0)
    }

    fn product_bounds(&self, other: &Self, key: &RelinearisationKey) -> Result<(Scale, f64, NoiseBound), FheError> {
        self.inner().goes_with(other.inner())?;
        self.ring().matches(key.parameters())?;
        self.inner().belongs_to(key.id())?;
        if self.level() != other.level() {
            return Err(FheError::Level { what: "a product", left: self.level(), right: other.level() });
        }
        let scale = Scale::new(self.scale().value() * other.scale().value())?;
        let noise = product_noise(
            (size(self.bound(), self.scale()), self.noise()),
            (size(other.bound(), other.scale()), other.noise()),
        );
        Ok((scale, self.bound() * other.bound(), noise))
    }

    /// The product under the secret alone, divided by the last prime or not.
    fn product(&self, other: &Self, key: &RelinearisationKey, rescaled: bool) -> Result<[Poly<Ntt>; 2], FheError> {
        let ([c0, c1], [d0, d1]) = (self.parts(), other.parts());
        let engine = Engine::detect();
        let third = |i: usize, prime: &Prime, limb: &mut [u64]| {
            kernels::product(engine, prime.modulus(), limb, c1.limb(i), d1.limb(i));
        };
        switch_once(self.ring(), self.level(), third, key.key(), Some([c0, c1, d0, d1]), rescaled)
    }

    /// The two parts.
    pub(super) fn parts(&self) -> [&Poly<Ntt>; 2] {
        let parts = self.inner().parts();
        assert_eq!(parts.len(), 2, "every operation ends with two parts");
        [&parts[0], &parts[1]]
    }
}
