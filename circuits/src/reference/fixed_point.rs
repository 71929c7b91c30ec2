use serde::{Deserialize, Serialize};

use crate::CircuitError;

/// The widths of the integers that stand for reals.
///
/// A value of `b` bits with `f` fractional bits is an integer `v` in `[−2^(b−1), 2^(b−1))` that means `v / 2^f`.
/// Inputs are unsigned: 8 bits, all fractional.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedPoint {
    /// Width of a weight in bits.
    pub weight_bits: u32,
    /// Fractional bits of a weight.
    pub weight_fraction: u32,
    /// Width of an activation, and of an error, in bits.
    pub activation_bits: u32,
    /// Fractional bits of an activation, and of an error.
    pub activation_fraction: u32,
}

impl FixedPoint {
    /// Fractional bits of an input; an input byte `v` means `v / 2⁸`.
    pub const INPUT_FRACTION: u32 = 8;

    /// The widths of version 1: weights in ±8 with 20 fractional bits, activations in ±8 with 12.
    pub const V1: Self = Self { weight_bits: 24, weight_fraction: 20, activation_bits: 16, activation_fraction: 12 };

    pub(super) fn validate(self) -> Result<Self, CircuitError> {
        let check = |field, value: u32, min: u32, max: u32| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(CircuitError::OutOfRange { field, value: value.into(), min: min.into(), max: max.into() })
        };
        check("weight_bits", self.weight_bits, 8, 31)?;
        check("weight_fraction", self.weight_fraction, 1, self.weight_bits - 1)?;
        check("activation_bits", self.activation_bits, 8, 31)?;
        check("activation_fraction", self.activation_fraction, 1, self.activation_bits - 1)?;
        // The first layer rounds from 8 + weight_fraction to activation_fraction bits, by one bit at least.
        check("activation_fraction", self.activation_fraction, 1, Self::INPUT_FRACTION + self.weight_fraction - 1)
            .map(|()| self)
    }
}

/// `⌊(z + 2^(shift−1)) / 2^shift⌋`, to nearest and half up. `z + 2^(shift−1)` is bounded by the plan.
pub(super) const fn round(z: i64, shift: u32) -> i64 {
    (z + (1 << (shift - 1))) >> shift
}

/// The nearest value of `bits` bits, signed.
pub(super) fn saturate(value: i64, bits: u32) -> i32 {
    let limit = 1i64 << (bits - 1);
    value.clamp(-limit, limit - 1) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_nearest_and_half_up() {
        let cases = [(7, 1), (8, 1), (11, 1), (12, 2), (-4, 0), (-5, -1), (-12, -1), (-13, -2), (0, 0)];
        for (z, expected) in cases {
            assert_eq!(round(z, 3), expected, "round({z} / 8)");
        }
    }

    #[test]
    fn saturation_keeps_both_ends() {
        assert_eq!(saturate(32_767, 16), 32_767);
        assert_eq!(saturate(32_768, 16), 32_767);
        assert_eq!(saturate(-32_768, 16), -32_768);
        assert_eq!(saturate(i64::MIN, 16), -32_768);
    }

    #[test]
    fn a_width_out_of_range_is_named() {
        let wide = FixedPoint { weight_bits: 32, ..FixedPoint::V1 };
        assert_eq!(wide.validate(), Err(CircuitError::OutOfRange { field: "weight_bits", value: 32, min: 8, max: 31 }));
        let fraction = FixedPoint { activation_fraction: 16, ..FixedPoint::V1 };
        assert_eq!(
            fraction.validate(),
            Err(CircuitError::OutOfRange { field: "activation_fraction", value: 16, min: 1, max: 15 })
        );
    }
}
