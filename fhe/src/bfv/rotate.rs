use super::ciphertext::BfvCiphertext;
use super::encoding::{rotation_exponent, swap_exponent};
use super::noise;
use crate::FheError;
use crate::ring::Poly;
use crate::rlwe::{Digits, GaloisKeys};

impl BfvCiphertext {
    /// Both rows of slots rotated by `steps` to the left, or by `−steps` to the right.
    ///
    /// # Errors
    /// [`FheError::NoGaloisKey`] without a key for [`rotation_exponent`]; [`FheError::Parameters`], [`FheError::Keys`],
    /// naming both; [`FheError::Parts`] for a product that is not relinearised.
    pub fn rotate(&self, steps: i64, keys: &GaloisKeys) -> Result<Self, FheError> {
        self.automorphism(rotation_exponent(self.parameters(), steps), keys)
    }

    /// The two rows of slots swapped.
    ///
    /// # Errors
    /// As [`Self::rotate`], with [`swap_exponent`].
    pub fn swap_rows(&self, keys: &GaloisKeys) -> Result<Self, FheError> {
        self.automorphism(swap_exponent(self.parameters()), keys)
    }

    /// The plaintext polynomial `m(X)` to `m(X^exponent)`.
    ///
    /// # Errors
    /// As [`Self::rotate`].
    pub fn automorphism(&self, exponent: usize, keys: &GaloisKeys) -> Result<Self, FheError> {
        let mut images = self.automorphisms(&[exponent], keys)?;
        Ok(images.pop().expect("an image for each exponent"))
    }

    /// Several rotations of one ciphertext, which share most of the work (Halevi, Shoup 2018, §4).
    ///
    /// # Errors
    /// As [`Self::rotate`].
    pub fn rotations(&self, steps: &[i64], keys: &GaloisKeys) -> Result<Vec<Self>, FheError> {
        let exponents: Vec<usize> = steps.iter().map(|&steps| rotation_exponent(self.parameters(), steps)).collect();
        self.automorphisms(&exponents, keys)
    }

    fn automorphisms(&self, exponents: &[usize], keys: &GaloisKeys) -> Result<Vec<Self>, FheError> {
        let ring = self.parameters().ring();
        ring.matches(keys.parameters())?;
        self.inner().belongs_to(keys.id())?;
        let [c0, c1] = self.inner().parts() else {
            return Err(FheError::Parts { what: "an automorphism", expected: 2, got: self.inner().parts().len() });
        };
        let noise = self.noise().plus(noise::switching(ring, self.level(), keys.deviation(), 1.0));
        // A rotation by nothing needs no key.
        if exponents.iter().all(|&exponent| exponent == 1) {
            return Ok(vec![self.clone(); exponents.len()]);
        }
        let digits = Digits::new(ring, c1)?;
        let image = |&exponent: &usize| {
            if exponent == 1 {
                return Ok(self.clone());
            }
            let (automorphism, key) = keys.key(exponent)?;
            let sums = digits.automorphism(automorphism).switch(key);
            let zero = Poly::zero(ring.ciphertext_basis(), self.level());
            Ok(self.with_parts(self.switched(sums, [&c0.automorphism(automorphism), &zero]), noise))
        };
        exponents.iter().map(image).collect()
    }
}
