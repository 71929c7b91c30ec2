use std::sync::Arc;

use super::FixedPoint;

/// Softmax in integers: `p_j = round(2^f · e_j / Σ_i e_i)` with `e_j = round(2^16 · exp(−(m − q_j) / 2^f))`, `m = max q`.
///
/// The exponentials are a table of all differences of two outputs, computed in integers, so that it is the same on every
/// machine. The greatest output's exponential is `2^16`, so the sum is never zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Softmax {
    exponentials: Arc<[u32]>,
    fraction: u32,
}

/// The softmax of one example, with what leads to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SoftmaxRow {
    /// `m`.
    pub(crate) greatest: i64,
    /// The first output that is the greatest.
    pub(crate) first: usize,
    /// `Σ_i e_i`.
    pub(crate) sum: u64,
}

impl Softmax {
    /// Bits of the exponential of zero.
    pub(crate) const PRECISION: u32 = 16;
    /// The most bits of a difference of two outputs.
    pub(crate) const MAX_BITS: u32 = 20;

    /// For outputs of a format's activations.
    pub(crate) fn new(format: FixedPoint) -> Self {
        let FixedPoint { activation_bits, activation_fraction, .. } = format;
        assert!(activation_bits <= Self::MAX_BITS, "the plan bounds the table");
        // exp(−2^(i−f)) with 62 fractional bits: Taylor's series for the first, then squares.
        let mut power = exponential(activation_fraction);
        let mut table: Vec<u64> = vec![1 << FRACTION];
        for _ in 0..activation_bits {
            let upper: Vec<u64> = table.iter().map(|&value| multiply(value, power)).collect();
            table.extend(upper);
            power = multiply(power, power);
        }
        let drop = FRACTION - Self::PRECISION;
        let rounded = table.iter().map(|value| ((value + (1 << (drop - 1))) >> drop) as u32);
        Self { exponentials: rounded.collect(), fraction: activation_fraction }
    }

    /// The table of exponentials by difference.
    pub(crate) const fn exponentials(&self) -> &Arc<[u32]> {
        &self.exponentials
    }

    /// `e` of a difference.
    pub(crate) fn exponential(&self, difference: i64) -> u64 {
        self.exponentials[difference as usize].into()
    }

    /// The greatest output and the sum of exponentials.
    pub(crate) fn row(&self, outputs: &[i32]) -> SoftmaxRow {
        let mut row = SoftmaxRow { greatest: i64::MIN, ..SoftmaxRow::default() };
        for (j, &output) in outputs.iter().enumerate() {
            if i64::from(output) > row.greatest {
                (row.greatest, row.first) = (output.into(), j);
            }
        }
        row.sum = outputs.iter().map(|&output| self.exponential(row.greatest - i64::from(output))).sum();
        row
    }

    /// The probability and the remainder of the division: `2^(f+1)·e + sum = 2·sum·p + r`, `0 ≤ r < 2·sum`.
    pub(crate) const fn divide(&self, exponential: u64, sum: u64) -> (u64, u64) {
        let dividend = (exponential << (self.fraction + 1)) + sum;
        (dividend / (2 * sum), dividend % (2 * sum))
    }

    /// Replaces outputs by their probabilities, in place.
    pub(crate) fn apply(&self, outputs: &mut [i32]) {
        let row = self.row(outputs);
        for output in outputs {
            let exponential = self.exponential(row.greatest - i64::from(*output));
            *output = self.divide(exponential, row.sum).0 as i32;
        }
    }
}

/// Fractional bits of the table before it is rounded.
const FRACTION: u32 = 62;

fn multiply(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b) + (1 << (FRACTION - 1))) >> FRACTION) as u64
}

/// `exp(−2^−shift)` by Taylor's series, `shift ≥ 1`.
fn exponential(shift: u32) -> u64 {
    let (mut sum, mut term) = (0i128, 1i128 << FRACTION);
    let mut n = 0;
    while term != 0 {
        sum += term;
        n += 1;
        term = -((term >> shift) / n);
    }
    sum as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bounds of `2^(16 + GUARD) · exp(−difference / 2^fraction)` for arguments to −16, from `exp(x) = Σ xⁿ/n!` in rationals.
    fn exponential_bounds(difference: u32, fraction: u32) -> (u128, u128) {
        const PRECISION: u32 = 80;
        const TERMS: u128 = 128;
        assert!(difference >> fraction <= 16, "terms stay below 2^24 and vanish after 128");
        let one = 1u128 << PRECISION;
        let (mut low, mut high, mut sum_low, mut sum_high) = (one, one, one, one);
        for n in 1..=TERMS {
            low = low * u128::from(difference) / (n << fraction);
            high = (high * u128::from(difference)).div_ceil(n << fraction);
            sum_low += low;
            sum_high += high;
        }
        // Beyond, each term is less than half of the one before.
        sum_high += high;
        let dividend = one << (16 + GUARD);
        (dividend / sum_high, (dividend / sum_low) + 1)
    }

    /// Fractional bits behind an entry of the table that tell how near it is to a tie.
    const GUARD: u32 = 24;

    #[test]
    fn the_table_is_the_nearest_to_the_exponential_function() {
        let narrow = FixedPoint { activation_bits: 14, activation_fraction: 10, ..FixedPoint::V1 };
        for format in [FixedPoint::V1, narrow] {
            let softmax = Softmax::new(format);
            assert_eq!(softmax.exponentials.len(), 1 << format.activation_bits);
            for (difference, &value) in softmax.exponentials.iter().enumerate() {
                let (low, high) = exponential_bounds(difference as u32, format.activation_fraction);
                assert!(low <= high && high - low <= 2);
                let half = 1 << (GUARD - 1);
                assert_eq!((low + half) >> GUARD, value.into(), "{difference}");
                assert_eq!((high + half) >> GUARD, value.into(), "{difference}");
                // No entry is within 2^-19 of a tie, so that floats of any make round to the same.
                let rest = (low + half) % (1 << GUARD);
                assert!(
                    (32..(1 << GUARD) - 32).contains(&rest) || value == 0 || difference == 0,
                    "{difference}: {rest}"
                );
            }
        }
    }

    #[test]
    fn the_widest_table_is_that_of_the_exponential_function() {
        let format = FixedPoint { activation_bits: 20, activation_fraction: 18, weight_fraction: 22, ..FixedPoint::V1 };
        let softmax = Softmax::new(format);
        for (difference, &value) in softmax.exponentials.iter().enumerate() {
            let exact = (-(difference as f64) / f64::from(1 << 18)).exp() * 65536.0;
            assert!((f64::from(value) - exact).abs() <= 0.500_001, "{difference}: {value} against {exact}");
        }
    }

    /// `round(2^12 · e_j / Σ e_i)` by the definition, from the table's entries.
    fn probabilities(softmax: &Softmax, outputs: &[i32]) -> Vec<i32> {
        let greatest = *outputs.iter().max().unwrap();
        let exponential = |&q: &i32| u128::from(softmax.exponentials[(greatest - q) as usize]);
        let sum: u128 = outputs.iter().map(exponential).sum();
        // The nearest p has |2·(p·sum − 2^12·e)| ≤ sum; of two that are as near, the greater.
        let nearest = |q| {
            let exact = exponential(q) << 12;
            let p = (0..=4096u128).rev().find(|p| (2 * p * sum).abs_diff(2 * exact) <= sum);
            i32::try_from(p.unwrap()).unwrap()
        };
        outputs.iter().map(nearest).collect()
    }

    proptest! {
        #[test]
        fn probabilities_are_the_nearest_to_the_rational_ones(
            outputs in proptest::collection::vec(prop_oneof![-32_768i32..32_768, -4_000i32..4_000, 0i32..3], 1..12),
        ) {
            let softmax = Softmax::new(FixedPoint::V1);
            let mut got = outputs.clone();
            softmax.apply(&mut got);
            prop_assert_eq!(&got, &probabilities(&softmax, &outputs));
            // Each is off by a half at most.
            prop_assert!((2 * (got.iter().sum::<i32>() - 4096)).unsigned_abs() as usize <= outputs.len());
        }

        #[test]
        fn a_class_far_below_the_greatest_changes_nothing(
            outputs in proptest::collection::vec(20_000i32..32_768, 1..10),
            far in -32_768i32..-28_300,
            place in any::<proptest::sample::Index>(),
        ) {
            // exp(−11.79) · 2^16 is below a half.
            let softmax = Softmax::new(FixedPoint::V1);
            let (mut alone, mut padded) = (outputs.clone(), outputs);
            let place = place.index(padded.len() + 1);
            padded.insert(place, far);
            softmax.apply(&mut alone);
            softmax.apply(&mut padded);
            prop_assert_eq!(padded.remove(place), 0);
            prop_assert_eq!(padded, alone);
        }

        #[test]
        fn a_constant_added_to_every_output_changes_nothing(
            outputs in proptest::collection::vec(-10_000i32..10_000, 1..10),
            constant in -20_000i32..20_000,
        ) {
            let softmax = Softmax::new(FixedPoint::V1);
            let mut shifted: Vec<i32> = outputs.iter().map(|q| q + constant).collect();
            let mut outputs = outputs;
            softmax.apply(&mut outputs);
            softmax.apply(&mut shifted);
            prop_assert_eq!(outputs, shifted);
        }
    }

    #[test]
    fn of_equal_outputs_the_first_is_the_greatest() {
        let softmax = Softmax::new(FixedPoint::V1);
        let row = softmax.row(&[-7, 12, 3, 12, 12]);
        assert_eq!((row.greatest, row.first), (12, 1));
        let rest = softmax.exponential(9) + softmax.exponential(19);
        assert_eq!(row.sum, 3 * (1 << 16) + rest);
    }

    #[test]
    fn probabilities_by_hand() {
        let softmax = Softmax::new(FixedPoint::V1);
        // Equal outputs share: round(4096 / 2) and round(4096 / 3).
        let mut two = [700, 700];
        softmax.apply(&mut two);
        assert_eq!(two, [2048, 2048]);
        let mut three = [-5, -5, -5];
        softmax.apply(&mut three);
        assert_eq!(three, [1365; 3]);
        // ln 3 apart: three to one, up to the table's rounding.
        let mut apart = [4500, 0];
        softmax.apply(&mut apart);
        assert_eq!(apart, [3072, 1024]);
        // The widest difference there is.
        let mut extreme = [32_767, -32_768];
        softmax.apply(&mut extreme);
        assert_eq!(extreme, [4096, 0]);
    }

    #[test]
    fn the_division_is_the_rounded_quotient() {
        let softmax = Softmax::new(FixedPoint::V1);
        for (exponential, sum) in [(1, 65_536), (65_536, 65_536), (40_000, 123_457), (0, 70_000)] {
            let (quotient, remainder) = softmax.divide(exponential, sum);
            assert_eq!((exponential << 13) + sum, 2 * sum * quotient + remainder);
            assert_eq!(quotient, (4096.0 * exponential as f64 / sum as f64 + 0.5).floor() as u64);
        }
    }
}
