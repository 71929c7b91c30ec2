use std::sync::Arc;

use super::ciphertext::BfvCiphertext;
use super::modulus::{PlaintextModulus, Shape};
use super::noise;
use crate::noise::CoefficientBound;
use crate::ring::convert::{BaseConversion, moduli};
use crate::ring::kernels::{self, Engine};
use crate::ring::{Coeff, Factor, MAX_MODULUS_BITS, Modulus, Ntt, Poly, RnsBasis, for_each_limb, ntt_primes};
use crate::rlwe::{Ciphertext, Digits, RelinearisationKey, lower};
use crate::{FheError, Parameters};

/// How many primes base conversion goes from.
const MAX_PRIMES: usize = 15;

/// A second modulus `B`, in which `(t/Q)·x·y` is an integer that does not wrap.
#[derive(Debug)]
pub(super) struct Auxiliary {
    basis: Arc<RnsBasis>,
    /// By level − 1.
    levels: Vec<Level>,
}

/// What multiplies modulo the first `l` primes of `Q`, and the first few of `B`, the product of which is above `t·N·Q`.
#[derive(Debug)]
struct Level {
    /// How many primes of `B`.
    limbs: usize,
    /// From `Q`, unscaled from its transform, to `B`.
    raise: BaseConversion,
    /// From `x` modulo `Q`, unscaled from its transform, to the centred residue of `t·x`, times `N/t` modulo `B`.
    remainder: BaseConversion,
    /// `t/(N·Q)` modulo `B`.
    divide: Vec<Factor>,
    /// From `B` to `Q`.
    back: BaseConversion,
    /// The same, times `N`: as an unscaled transform gives it.
    back_unscaled: BaseConversion,
}

impl Auxiliary {
    /// # Errors
    /// [`FheError::ProductTooLarge`], [`FheError::NoPrimes`].
    pub(super) fn new(ring: &Parameters, t: PlaintextModulus) -> Result<Self, FheError> {
        let (basis, degree) = (ring.ciphertext_basis(), ring.degree());
        // Of `x_0·y_1 + x_1·y_0` a coefficient is at most `N·Q²/2`, so `(t/Q)` times that is below `B/2`.
        let limbs = |level| {
            let bits = basis.log2(level) + t.log2() + (degree as f64).log2() + 0.01;
            // The primes are close below 2^50.
            (bits / (f64::from(MAX_MODULUS_BITS) - 0.001)).ceil() as usize
        };
        let needed = limbs(ring.levels());
        if needed > MAX_PRIMES {
            return Err(FheError::ProductTooLarge { needed, most: MAX_PRIMES });
        }
        let mut taken: Vec<u64> = basis.moduli().map(Modulus::value).collect();
        if let Shape::Prime(t) = t.shape() {
            taken.push(t.value());
        }
        let auxiliary = RnsBasis::new(degree, &ntt_primes(MAX_MODULUS_BITS, degree, needed, &taken)?)?;
        let level = |level| {
            let limbs: usize = limbs(level);
            assert!(auxiliary.log2(limbs) > basis.log2(level) + t.log2() + (degree as f64).log2(), "B is above t·N·Q");
            let (q, b) = (moduli(basis, 0..level), moduli(&auxiliary, 0..limbs));
            let n = |p: Modulus| p.reduce(degree as u64);
            let divide = |b: Modulus| {
                let product = q.iter().fold(n(b), |product, q| b.mul(product, b.reduce(q.value())));
                b.factor(b.mul(t.residue(b), b.inverse(product)))
            };
            let before = |q: Modulus| q.mul(t.residue(q), q.inverse(n(q)));
            Level {
                limbs,
                raise: BaseConversion::new(&q, &b, degree as u64),
                remainder: BaseConversion::scaled(&q, &b, before, |b| b.mul(n(b), b.inverse(t.residue(b)))),
                divide: b.iter().map(|&b| divide(b)).collect(),
                back: BaseConversion::new(&b, &q, 1),
                back_unscaled: BaseConversion::scaled(&b, &q, |_| 1, n),
            }
        };
        let levels = (1..=ring.levels()).map(level).collect();
        Ok(Self { basis: auxiliary, levels })
    }
}

impl Auxiliary {
    fn level(&self, level: usize) -> &Level {
        &self.levels[level - 1]
    }
}

/// A polynomial modulo `Q` and, of the same integers between `−Q/2` and `Q/2`, modulo `B`.
struct Raised<'a> {
    q: &'a Poly<Ntt>,
    b: Poly<Ntt>,
}

impl Level {
    fn raise<'a>(&self, basis: &Arc<RnsBasis>, q: &'a Poly<Ntt>) -> Raised<'a> {
        let mut coefficients = q.clone();
        for_each_limb(coefficients.values_mut(), q.basis(), |_, prime, limb| prime.backward_unscaled(limb));
        let mut b = Poly::zero(basis, self.limbs);
        convert(&self.raise, coefficients.values(), b.values_mut(), basis.degree());
        for_each_limb(b.values_mut(), basis, |_, prime, limb| prime.forward(limb));
        Raised { q, b }
    }

    /// `round(t·x/Q)` modulo `B` of the sum `x` of the products of these pairs.
    fn scaled_sum(&self, pairs: &[(&Raised<'_>, &Raised<'_>)]) -> Poly<Coeff> {
        let q = sum(&pairs.iter().map(|(x, y)| (x.q, y.q)).collect::<Vec<_>>());
        let mut b = sum(&pairs.iter().map(|(x, y)| (&x.b, &y.b)).collect::<Vec<_>>());
        let basis = Arc::clone(b.basis());
        let mut remainder = Poly::<Coeff>::zero(&basis, self.limbs);
        convert(&self.remainder, q.values(), remainder.values_mut(), basis.degree());
        for_each_limb(b.values_mut(), &basis, |i, prime, limb| {
            kernels::sub_scale(Engine::detect(), prime.modulus(), limb, remainder.limb(i), self.divide[i]);
        });
        b
    }
}

/// The sum of the products of these pairs, by its coefficients, unscaled from its transform.
fn sum(pairs: &[(&Poly<Ntt>, &Poly<Ntt>)]) -> Poly<Coeff> {
    let (first, engine) = (pairs[0].0, Engine::detect());
    let mut sum = Poly::zero(first.basis(), first.limbs());
    for_each_limb(sum.values_mut(), first.basis(), |i, prime, limb| {
        let pairs: Vec<_> = pairs.iter().map(|(x, y)| (x.limb(i), y.limb(i))).collect();
        kernels::dot(engine, prime.modulus(), limb, &pairs);
        prime.backward_unscaled(limb);
    });
    sum
}

/// Converts whole limbs, on several threads if there are: coefficients are independent.
fn convert(conversion: &BaseConversion, from: &[u64], to: &mut [u64], degree: usize) {
    let from: Vec<&[u64]> = from.chunks_exact(degree).collect();
    let mut to: Vec<&mut [u64]> = to.chunks_exact_mut(degree).collect();
    conversion.convert(&from, &mut to);
}

impl BfvCiphertext {
    /// `self·other` in three parts, to be brought back to two by [`relinearise`](Self::relinearise): sums of products
    /// can be relinearised together.
    ///
    /// Each part of the product of phases over the integers is scaled by `t/Q` and rounded (Halevi, Polyakov, Shoup
    /// 2019, §4; without floating point here).
    ///
    /// # Errors
    /// [`FheError::Parts`] for an operand that is a product itself; [`FheError::Parameters`],
    /// [`FheError::PlaintextModuli`], [`FheError::Keys`] and [`FheError::Level`], naming both;
    /// [`FheError::ProductTooLarge`] if these parameters have no products.
    pub fn tensor(&self, other: &Self) -> Result<Self, FheError> {
        let parts = self.scaled_parts(other)?;
        let level = self.parameters().auxiliary()?.level(self.level());
        let parts = parts.iter().map(|part| self.lowered(&level.back, part).into_ntt()).collect();
        Ok(self.with_parts(parts, self.product_noise(other)))
    }

    /// Back to two parts, by key switching.
    ///
    /// # Errors
    /// [`FheError::Parameters`], [`FheError::Keys`], [`FheError::Parts`] for what is no product.
    pub fn relinearise(&self, key: &RelinearisationKey) -> Result<Self, FheError> {
        let ring = self.switches_with(key)?;
        let [c0, c1, c2] = self.inner().parts() else {
            return Err(FheError::Parts { what: "relinearisation", expected: 3, got: self.inner().parts().len() });
        };
        let parts = self.switched(Digits::new(ring, c2)?.switch(key.key()), [c0, c1]);
        Ok(self
            .with_parts(parts, self.noise().plus(noise::switching(ring, self.level(), key.deviation(), key.factor()))))
    }

    /// `self·other`: of slots entry by entry, of coefficients as polynomials modulo `X^N + 1`.
    ///
    /// The same as [`tensor`](Self::tensor) and [`relinearise`](Self::relinearise), with fewer transforms.
    ///
    /// # Errors
    /// As those two.
    pub fn mul(&self, other: &Self, key: &RelinearisationKey) -> Result<Self, FheError> {
        self.tensor(other)?.relinearise(key)
    }

    /// `self²`.
    ///
    /// # Errors
    /// As [`Self::mul`].
    pub fn square(&self, key: &RelinearisationKey) -> Result<Self, FheError> {
        self.mul(self, key)
    }

    /// `round(t·d/Q)` modulo `B`, for every part `d` of the product.
    fn scaled_parts(&self, other: &Self) -> Result<[Poly<Coeff>; 3], FheError> {
        self.goes_with(other, "a product")?;
        let parts = |operand: &'_ Self| operand.inner().parts().len();
        if let Some(got) = [parts(self), parts(other)].into_iter().find(|&count| count != 2) {
            return Err(FheError::Parts { what: "a product", expected: 2, got });
        }
        let auxiliary = self.parameters().auxiliary()?;
        let level = auxiliary.level(self.level());
        let raise = |part| level.raise(&auxiliary.basis, part);
        let [x0, x1] = [0, 1].map(|i| raise(&self.inner().parts()[i]));
        if std::ptr::eq(self, other) {
            return Ok([&[(&x0, &x0)][..], &[(&x0, &x1), (&x1, &x0)], &[(&x1, &x1)]].map(|p| level.scaled_sum(p)));
        }
        let [y0, y1] = [0, 1].map(|i| raise(&other.inner().parts()[i]));
        Ok([&[(&x0, &y0)][..], &[(&x0, &y1), (&x1, &y0)], &[(&x1, &y1)]].map(|p| level.scaled_sum(p)))
    }

    fn product_noise(&self, other: &Self) -> CoefficientBound {
        let (parameters, level) = (self.parameters(), self.level());
        let scale = (parameters.modulus().log2(), parameters.log2(level));
        noise::product(parameters.ring(), self.secret(), scale, (self.noise(), other.noise()))
    }

    fn lowered(&self, back: &BaseConversion, part: &Poly<Coeff>) -> Poly<Coeff> {
        let basis = self.parameters().ring().ciphertext_basis();
        let mut lowered = Poly::zero(basis, self.level());
        convert(back, part.values(), lowered.values_mut(), basis.degree());
        lowered
    }

    /// What was switched, and these parts.
    pub(super) fn switched(&self, sums: [Poly<Ntt>; 2], parts: [&Poly<Ntt>; 2]) -> Vec<Poly<Ntt>> {
        let add = |(sum, part)| {
            let mut lowered = lower(self.parameters().ring(), sum);
            lowered.add_assign(part);
            lowered
        };
        sums.into_iter().zip(parts).map(add).collect()
    }

    /// The ring, if this key goes with it.
    fn switches_with(&self, key: &RelinearisationKey) -> Result<&Parameters, FheError> {
        let ring = self.parameters().ring();
        ring.matches(key.parameters())?;
        self.inner().belongs_to(key.id())?;
        Ok(ring)
    }

    pub(super) fn with_parts(&self, parts: Vec<Poly<Ntt>>, noise: CoefficientBound) -> Self {
        let inner = Ciphertext::new(self.parameters().ring(), self.key(), parts);
        Self::from_parts(self.parameters(), inner, noise, self.secret())
    }
}
