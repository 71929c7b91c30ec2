//! Where floats end: reals to fixed-point integers, refused when they are not finite or do not fit.

use nexus_circuits::reference::FixedPoint;

use crate::Error;

/// The integer nearest to `value · 2^weight_fraction`, for each of `values`.
///
/// # Errors
/// [`Error::NotFinite`] for NaN and infinities, [`Error::WeightOutOfRange`] for what does not fit `weight_bits`; both name the index.
pub fn quantise(values: &[f64], format: FixedPoint) -> Result<Vec<i32>, Error> {
    let scale = f64::from(format.weight_fraction).exp2();
    let limit = f64::from(format.weight_bits - 1).exp2();
    let integer = |(index, &value): (usize, &f64)| {
        if !value.is_finite() {
            return Err(Error::NotFinite { index, value });
        }
        let scaled = (value * scale).round();
        if !(-limit..limit).contains(&scaled) {
            return Err(Error::WeightOutOfRange { index, value, min: -limit / scale, max: (limit - 1.0) / scale });
        }
        Ok(scaled as i32)
    };
    values.iter().enumerate().map(integer).collect()
}

/// The reals that fixed-point integers stand for, exactly: an `f64` holds every one of them.
pub fn dequantise(values: &[i32], format: FixedPoint) -> Vec<f64> {
    let scale = f64::from(format.weight_fraction).exp2();
    values.iter().map(|&value| f64::from(value) / scale).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_nearest_integer_is_taken_and_the_ends_are_refused() {
        let one = 1 << 20;
        assert_eq!(quantise(&[1.0, -0.5, 0.0, -8.0], FixedPoint::V1).unwrap(), [one, -one / 2, 0, -8 * one]);
        for (value, index) in [(8.0, 0), (-8.1, 0), (1e300, 0)] {
            let error = quantise(&[value], FixedPoint::V1).unwrap_err();
            assert!(matches!(error, Error::WeightOutOfRange { index: i, .. } if i == index), "{error:?}");
        }
    }

    #[test]
    fn what_is_not_finite_is_refused_by_index() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = quantise(&[0.0, value], FixedPoint::V1).unwrap_err();
            assert!(matches!(error, Error::NotFinite { index: 1, .. }), "{error:?}");
        }
    }

    proptest! {
        #[test]
        fn integers_survive_the_way_through_reals(values in proptest::collection::vec(-(1i32 << 23)..1 << 23, 0..64)) {
            prop_assert_eq!(quantise(&dequantise(&values, FixedPoint::V1), FixedPoint::V1).unwrap(), values);
        }
    }
}
