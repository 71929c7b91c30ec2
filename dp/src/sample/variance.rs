use std::num::NonZeroU64;

use crate::DpError;

/// A variance σ² as an exact positive rational in lowest terms, in squared grid units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variance {
    numerator: NonZeroU64,
    denominator: NonZeroU64,
}

impl Variance {
    /// The variance `numerator / denominator`.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] if either is zero.
    pub fn new(numerator: u64, denominator: u64) -> Result<Self, DpError> {
        let positive = |parameter, value: u64| {
            NonZeroU64::new(value).ok_or(DpError::OutOfRange { parameter, value: 0.0, min: 1.0, max: u64::MAX as f64 })
        };
        let numerator = positive("numerator of a variance", numerator)?;
        let denominator = positive("denominator of a variance", denominator)?;
        let common = gcd(numerator, denominator);
        let reduced = |n: NonZeroU64| NonZeroU64::new(n.get() / common).expect("a divisor is at most the number");
        Ok(Self { numerator: reduced(numerator), denominator: reduced(denominator) })
    }

    /// The numerator in lowest terms.
    pub const fn numerator(self) -> NonZeroU64 {
        self.numerator
    }

    /// The denominator in lowest terms.
    pub const fn denominator(self) -> NonZeroU64 {
        self.denominator
    }

    /// σ² to the nearest double or one beside it; for accounts, never for sampling.
    pub fn to_f64(self) -> f64 {
        self.numerator.get() as f64 / self.denominator.get() as f64
    }

    /// ⌊σ⌋.
    pub(crate) const fn floor_sigma(self) -> u64 {
        (self.numerator.get() / self.denominator.get()).isqrt()
    }

    /// Whether σ² ≥ numerator / denominator.
    pub(crate) fn is_at_least(self, numerator: u64, denominator: u64) -> bool {
        u128::from(self.numerator.get()) * u128::from(denominator)
            >= u128::from(self.denominator.get()) * u128::from(numerator)
    }

    /// Whether σ² ≤ `most`.
    pub(crate) fn is_at_most(self, most: u64) -> bool {
        u128::from(self.numerator.get()) <= u128::from(self.denominator.get()) * u128::from(most)
    }
}

fn gcd(a: NonZeroU64, b: NonZeroU64) -> u64 {
    let (mut a, mut b) = (a.get(), b.get());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rationals_are_one_variance() {
        assert_eq!(Variance::new(18, 8), Variance::new(9, 4));
        let variance = Variance::new(18, 8).unwrap();
        assert_eq!((variance.numerator().get(), variance.denominator().get()), (9, 4));
        assert_eq!(variance.floor_sigma(), 1);
        assert!(variance.is_at_least(9, 4) && !variance.is_at_least(9_000_001, 4_000_000));
        assert!(variance.is_at_most(3) && !variance.is_at_most(2));
    }

    #[test]
    fn a_zero_on_either_side_is_refused() {
        for (n, d, culprit) in [(0, 1, "numerator of a variance"), (1, 0, "denominator of a variance")] {
            let refused = Variance::new(n, d);
            assert!(matches!(refused, Err(DpError::OutOfRange { parameter, .. }) if parameter == culprit));
        }
    }
}
