use std::num::{NonZeroU64, NonZeroU128};

use dashu_int::UBig;
use rand_core::CryptoRng;

use super::Variance;
use super::bernoulli::{bernoulli_exp, bernoulli_exp_big};
use super::laplace::{signed, signed_geometric};
use crate::DpError;

/// The discrete Gaussian of parameter σ²: P(X = x) ∝ exp(−x²/2σ²) over the integers.
///
/// Algorithm 3 of Canonne, Kamath and Steinke (2020, arXiv 2004.00010): a discrete Laplace draw y of scale t = ⌊σ⌋ + 1 is
/// kept with probability exp(−(|y| − σ²/t)²/2σ²). For σ ≥ 1 a draw takes about 10 random words.
///
/// Exact over the integers, see [`sample`](crate::sample). The variance of the distribution is at most σ², and σ² to
/// within 10⁻⁶ from σ = 1 on.
///
/// ```
/// use nexus_dp::sample::{DiscreteGaussian, Variance};
/// use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
///
/// let noise = DiscreteGaussian::new(Variance::new(25, 4)?); // σ = 2.5
/// let mut values = [0; 1_000];
/// noise.fill(&mut values, &mut ChaCha20Rng::from_seed([7; 32])); // a program seeds from the system's generator
/// assert!(values.iter().all(|v| v.abs() < 25));
/// # Ok::<(), nexus_dp::DpError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscreteGaussian {
    variance: Variance,
    /// t = ⌊σ⌋ + 1, at most 2³².
    scale: NonZeroU64,
    /// With σ² = p/q: the exponent is (|y|·tq − p)² / 2pqt², of which these are tq and 2pqt², if it fits.
    step: u128,
    divisor: Option<NonZeroU128>,
}

impl DiscreteGaussian {
    /// No draw is larger in magnitude.
    pub const MAX_MAGNITUDE: u64 = (1 << 61) - 1;

    /// The distribution of parameter σ² = `variance`.
    pub fn new(variance: Variance) -> Self {
        let scale = variance.floor_sigma() + 1;
        let step = u128::from(scale) * u128::from(variance.denominator().get());
        let divisor = u128::from(variance.numerator().get())
            .checked_mul(2 * u128::from(scale))
            .and_then(|twice| twice.checked_mul(step))
            .and_then(NonZeroU128::new);
        Self { variance, scale: NonZeroU64::new(scale).expect("one more than a square root"), step, divisor }
    }

    /// σ².
    pub const fn variance(&self) -> Variance {
        self.variance
    }

    /// One draw, at most [`Self::MAX_MAGNITUDE`] in magnitude.
    pub fn sample<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> i64 {
        loop {
            let (magnitude, negative) = signed_geometric(self.scale, rng);
            // Zero would otherwise be counted under both signs.
            if !(negative && magnitude == 0) && self.keeps(magnitude, rng) {
                return signed(magnitude, negative);
            }
        }
    }

    /// Overwrites `values` with independent draws.
    pub fn fill<R: CryptoRng + ?Sized>(&self, values: &mut [i64], rng: &mut R) {
        values.fill_with(|| self.sample(rng));
    }

    /// Adds an independent draw to each of `values`.
    ///
    /// # Errors
    /// [`DpError::EntryTooLarge`] if an entry is so large that a draw could carry it past 64 bits; all are unchanged then.
    pub fn add_to<R: CryptoRng + ?Sized>(&self, values: &mut [i64], rng: &mut R) -> Result<(), DpError> {
        const ROOM: u64 = i64::MAX as u64 - DiscreteGaussian::MAX_MAGNITUDE;
        if let Some(index) = values.iter().position(|value| value.unsigned_abs() > ROOM) {
            return Err(DpError::EntryTooLarge { index });
        }
        for value in values {
            *value = value.checked_add(self.sample(rng)).expect("entry and draw both have room in 64 bits");
        }
        Ok(())
    }

    #[inline]
    fn keeps<R: CryptoRng + ?Sized>(&self, magnitude: u64, rng: &mut R) -> bool {
        match self.exponent(magnitude) {
            Some((numerator, divisor)) => bernoulli_exp(numerator, divisor, rng),
            None => self.keeps_big(magnitude, rng),
        }
    }

    /// The exponent of the acceptance probability as a fraction, unless it needs more than 128 bits.
    #[inline]
    fn exponent(&self, magnitude: u64) -> Option<(u128, NonZeroU128)> {
        let divisor = self.divisor?;
        let offset =
            u128::from(magnitude).checked_mul(self.step)?.abs_diff(u128::from(self.variance.numerator().get()));
        Some((offset.checked_mul(offset)?, divisor))
    }

    #[cold]
    fn keeps_big<R: CryptoRng + ?Sized>(&self, magnitude: u64, rng: &mut R) -> bool {
        let numerator = UBig::from(self.variance.numerator().get());
        let position = UBig::from(self.step) * magnitude;
        let offset = if position > numerator { position - &numerator } else { &numerator - position };
        let divisor = numerator * (2 * u128::from(self.scale.get())) * self.step;
        bernoulli_exp_big(&offset * &offset, &divisor, rng)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::super::script::Script;
    use super::*;

    fn of(numerator: u64, denominator: u64) -> DiscreteGaussian {
        DiscreteGaussian::new(Variance::new(numerator, denominator).unwrap())
    }

    #[test]
    fn big_integers_draw_the_same_from_the_same_words() {
        for (p, q) in [(9, 4), (1, 3), (1_000_003, 7), (1 << 40, 1), (u64::MAX >> 30, 11)] {
            let noise = of(p, q);
            let (mut narrow, mut wide) = (ChaCha20Rng::seed_from_u64(p), ChaCha20Rng::seed_from_u64(p));
            for _ in 0..2_000 {
                let magnitude = signed_geometric(noise.scale, &mut narrow).0;
                assert_eq!(signed_geometric(noise.scale, &mut wide).0, magnitude);
                assert!(noise.exponent(magnitude).is_some());
                assert_eq!(noise.keeps(magnitude, &mut narrow), noise.keeps_big(magnitude, &mut wide), "{p}/{q}");
            }
        }
    }

    #[test]
    fn parameters_past_128_bits_still_sample() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        // σ = 2³² − 1, σ ≈ 1 written with 64-bit terms, and σ tiny.
        for (p, q, sigma) in [
            (u64::MAX, 1, 4_294_967_295.0_f64),
            (u64::MAX, u64::MAX - 1, 1.0),
            (u64::MAX, (1 << 44) - 1, 1024.0),
            (1, u64::MAX, 2.4e-10),
        ] {
            let noise = of(p, q);
            assert!(noise.divisor.is_none() || noise.exponent(DiscreteGaussian::MAX_MAGNITUDE).is_none(), "{p}/{q}");
            for _ in 0..500 {
                assert!((noise.sample(&mut rng).unsigned_abs() as f64) < 9.0 * sigma.max(0.1));
            }
        }
    }

    #[test]
    fn the_greatest_magnitude_has_an_exponent_or_goes_to_big_integers() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        for (p, q) in [(1, 1), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX - 2)] {
            // Whether kept or not, it must not overflow; the probability to be kept is nil where σ is small.
            let kept = of(p, q).keeps(DiscreteGaussian::MAX_MAGNITUDE, &mut rng);
            assert!(!kept, "{p}/{q}");
        }
    }

    #[test]
    fn zero_is_not_counted_twice() {
        // σ² = 1/2, t = 1. The word's low bit is the sign; u = 0 < t is kept on any word, as exp(0) = 1; a large word
        // ends the geometric part. Magnitude 0 with a minus sign is rejected, with a plus it goes on to acceptance.
        let noise = of(1, 2);
        let (negative, positive, any, end) = (3, 2, u64::MAX, u64::MAX);
        let mut words = Script::new([negative, any, end, positive, any, end, u64::MAX]);
        assert_eq!(noise.sample(&mut words), 0);
        assert!(words.is_spent());
    }

    #[test]
    fn an_entry_without_room_is_refused_and_nothing_changes() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        for large in [i64::MAX, i64::MIN, i64::MAX - (1 << 61) + 2, -(i64::MAX - (1 << 61) + 2)] {
            let mut values = [1, large, 3];
            assert_eq!(of(4, 1).add_to(&mut values, &mut rng), Err(DpError::EntryTooLarge { index: 1 }));
            assert_eq!(values, [1, large, 3]);
        }
        let mut values = [i64::MAX - (1 << 61) + 1];
        assert_eq!(of(4, 1).add_to(&mut values, &mut rng), Ok(()));
    }

    #[test]
    fn filling_and_adding_draw_the_same_noise() {
        let noise = of(100, 3);
        let (mut filled, mut added) = ([0; 100], [1_000; 100]);
        noise.fill(&mut filled, &mut ChaCha20Rng::seed_from_u64(6));
        noise.add_to(&mut added, &mut ChaCha20Rng::seed_from_u64(6)).unwrap();
        assert!(filled.iter().zip(added).all(|(f, a)| f + 1_000 == a));
        assert!(filled.iter().any(|f| *f != 0));
    }
}
