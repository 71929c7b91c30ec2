use std::num::NonZeroU64;

use rand_core::CryptoRng;

use super::bernoulli::{exp_fraction, inverse_e};
use super::uniform::uniform_below_and_bit;
use crate::DpError;

/// The discrete Laplace distribution of rational scale b: P(X = x) ∝ exp(−|x|/b) over the integers.
///
/// Algorithm 2 of Canonne, Kamath and Steinke (2020, arXiv 2004.00010); about 7 random words a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscreteLaplace {
    numerator: NonZeroU64,
    denominator: NonZeroU64,
}

impl DiscreteLaplace {
    /// The greatest numerator of a scale: no draw reaches 2⁶¹.
    pub const MAX_NUMERATOR: u64 = 1 << 32;

    /// The distribution of scale b = `numerator / denominator`.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] if either is zero or the numerator is above [`Self::MAX_NUMERATOR`].
    pub fn new(numerator: u64, denominator: u64) -> Result<Self, DpError> {
        let refused = |parameter, value: u64, max: u64| DpError::OutOfRange {
            parameter,
            value: value as f64,
            min: 1.0,
            max: max as f64,
        };
        Ok(Self {
            numerator: NonZeroU64::new(numerator)
                .filter(|n| n.get() <= Self::MAX_NUMERATOR)
                .ok_or_else(|| refused("numerator of a Laplace scale", numerator, Self::MAX_NUMERATOR))?,
            denominator: NonZeroU64::new(denominator)
                .ok_or_else(|| refused("denominator of a Laplace scale", denominator, u64::MAX))?,
        })
    }

    /// One draw, below 2⁶¹ in magnitude.
    pub fn sample<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> i64 {
        loop {
            let (magnitude, negative) = signed_geometric(self.numerator, rng);
            let magnitude = magnitude / self.denominator;
            // Zero would otherwise be counted under both signs.
            if !(negative && magnitude == 0) {
                return signed(magnitude, negative);
            }
        }
    }
}

/// A magnitude x with P(x) ∝ exp(−x/t) over x ≥ 0, below 2²⁹·t, and an independent fair sign; t ≤ 2³².
#[inline]
pub(super) fn signed_geometric<R: CryptoRng + ?Sized>(t: NonZeroU64, rng: &mut R) -> (u64, bool) {
    // Keeps every magnitude below 2⁶¹; reached with probability e^(−2²⁹), and then drawn again.
    const MAX_WHOLE: u64 = 1 << 29;
    loop {
        let (fraction, negative) = uniform_below_and_bit(t, rng);
        if !exp_fraction(fraction.into(), t.get().into(), rng) {
            continue;
        }
        let mut whole = 0;
        while whole < MAX_WHOLE && inverse_e(rng) {
            whole += 1;
        }
        if whole < MAX_WHOLE {
            return (fraction + t.get() * whole, negative);
        }
    }
}

/// A magnitude below 2⁶³ with its sign.
#[inline]
pub(super) const fn signed(magnitude: u64, negative: bool) -> i64 {
    let value = magnitude as i64;
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_out_of_range_are_refused() {
        for (n, d) in [(0, 1), (1, 0), (DiscreteLaplace::MAX_NUMERATOR + 1, 1)] {
            assert!(matches!(DiscreteLaplace::new(n, d), Err(DpError::OutOfRange { .. })), "{n}/{d}");
        }
        assert!(DiscreteLaplace::new(DiscreteLaplace::MAX_NUMERATOR, u64::MAX).is_ok());
    }
}
