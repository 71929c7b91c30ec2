use super::Weights;
use crate::{CircuitError, FIELD_ORDER};

/// The clip of an update: a scale that is part of the statement, and the bound it guarantees.
///
/// `x = trunc₀(c·(W_T − W_0) / 2^g)` with `0 ≤ c ≤ 2^(g−d)` and `‖x‖₂ ≤ C`, all integers; `d` is how many
/// fractional bits the message drops. `C` is the ℓ₂ sensitivity that differential privacy accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clip {
    bound: u64,
    dropped_bits: u32,
}

/// An update with `‖x‖₂ ≤ C`, and the scale that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clipped {
    /// The update's integers, in the order of the network's parameters.
    pub values: Vec<i64>,
    /// The private scale `c`.
    pub scale: u64,
}

impl Clip {
    /// `g`, the bits of the scale.
    pub const SCALE_BITS: u32 = 24;

    /// A clip to ℓ₂ norm `bound`, in units of the message, for `parameters` entries.
    ///
    /// # Errors
    /// [`CircuitError::OutOfRange`] for a zero bound, one with `parameters · bound² ≥ p` (the proven norm would wrap), or
    /// more dropped bits than the scale has.
    pub fn new(bound: u64, dropped_bits: u32, parameters: usize) -> Result<Self, CircuitError> {
        let max = (u128::from(FIELD_ORDER - 1) / parameters.max(1) as u128).isqrt() as u64;
        if !(1..=max).contains(&bound) {
            return Err(CircuitError::OutOfRange { field: "clip bound", value: bound.into(), min: 1, max: max.into() });
        }
        if dropped_bits >= Self::SCALE_BITS {
            return Err(CircuitError::OutOfRange {
                field: "dropped bits",
                value: dropped_bits.into(),
                min: 0,
                max: i128::from(Self::SCALE_BITS) - 1,
            });
        }
        Ok(Self { bound, dropped_bits })
    }

    /// `C`, the greatest ℓ₂ norm, in units of the message.
    pub const fn bound(&self) -> u64 {
        self.bound
    }

    /// How many fractional bits of a weight the message drops.
    pub const fn dropped_bits(&self) -> u32 {
        self.dropped_bits
    }

    /// The clipped difference `trained − start`, with the greatest scale that keeps the bound before truncation.
    ///
    /// Truncation toward zero only shortens, so `c·‖W_T − W_0‖ ≤ C·2^g` suffices.
    ///
    /// # Errors
    /// [`CircuitError::Mismatch`] if the two networks differ in their parameters' count.
    pub fn apply(&self, start: &Weights, trained: &Weights) -> Result<Clipped, CircuitError> {
        if start.shape() != trained.shape() {
            return Err(CircuitError::Mismatch {
                what: "parameters of the trained model",
                expected: start.values().len(),
                got: trained.values().len(),
            });
        }
        let difference = || start.values().iter().zip(trained.values()).map(|(&s, &t)| i64::from(t) - i64::from(s));
        let norm: u128 = difference().map(|d| u128::from(d.unsigned_abs()).pow(2)).sum();
        let full = 1u64 << (Self::SCALE_BITS - self.dropped_bits);
        // c² ≤ C²·2^(2g) / ‖Δ‖²; C ≤ 2^32 and 2g = 48, so the dividend stays below 2^112.
        let allowed = (u128::from(self.bound).pow(2) << (2 * Self::SCALE_BITS)).checked_div(norm);
        let scale = allowed.map_or(full, |square| u64::try_from(square.isqrt()).unwrap_or(full).min(full));
        let divisor = 1i64 << Self::SCALE_BITS;
        // |Δ| < 2^32 and c ≤ 2^24: the product stays below 2^56; `/` truncates toward zero.
        let values = difference().map(|d| d * scale as i64 / divisor).collect();
        Ok(Clipped { values, scale })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{FixedPoint, Shape};

    fn weights(values: &[i32]) -> Weights {
        let shape = Shape::new(&[values.len() - 1, 1]).unwrap();
        Weights::new(&shape, values.to_vec(), FixedPoint::V1).unwrap()
    }

    fn norm_squared(values: &[i64]) -> u128 {
        values.iter().map(|&x| u128::from(x.unsigned_abs()).pow(2)).sum()
    }

    #[test]
    fn a_short_update_passes_whole_and_a_long_one_is_scaled() {
        let clip = Clip::new(50, 0, 2).unwrap();
        let zero = weights(&[0, 0]);
        let short = clip.apply(&zero, &weights(&[30, -40])).unwrap();
        assert_eq!(short, Clipped { values: vec![30, -40], scale: 1 << 24 });
        let long = clip.apply(&zero, &weights(&[300, -400])).unwrap();
        assert_eq!(long.values, [29, -39]);
        assert_eq!(long.scale, (1 << 24) / 10);
        let none = clip.apply(&zero, &zero).unwrap();
        assert_eq!(none, Clipped { values: vec![0, 0], scale: 1 << 24 });
    }

    #[test]
    fn dropped_bits_coarsen_the_message() {
        let clip = Clip::new(1_000, 4, 2).unwrap();
        let update = clip.apply(&weights(&[0, 0]), &weights(&[160, -175])).unwrap();
        assert_eq!(update.values, [10, -10]);
    }

    #[test]
    fn a_bound_whose_proof_would_wrap_is_refused() {
        // 4 · C² < p  ⇔  C ≤ 2^31 − 1 (2^31 squared times four is 2^64 > p − 1).
        assert!(Clip::new((1 << 31) - 1, 0, 4).is_ok());
        assert_eq!(
            Clip::new(1 << 31, 0, 4),
            Err(CircuitError::OutOfRange { field: "clip bound", value: 1 << 31, min: 1, max: (1 << 31) - 1 })
        );
        assert!(Clip::new(0, 0, 4).is_err());
        assert!(Clip::new(1, 24, 4).is_err());
    }

    proptest! {
        #[test]
        fn the_bound_holds_for_every_update(
            start in proptest::collection::vec(-(1i32 << 23)..1 << 23, 12),
            end in proptest::collection::vec(-(1i32 << 23)..1 << 23, 12),
            bound in 1u64..1 << 26,
            dropped in 0u32..12,
        ) {
            let clip = Clip::new(bound, dropped, 12).unwrap();
            let update = clip.apply(&weights(&start), &weights(&end)).unwrap();
            prop_assert!(norm_squared(&update.values) <= u128::from(bound).pow(2));
            prop_assert!(update.scale <= 1 << (24 - dropped));
        }
    }
}
