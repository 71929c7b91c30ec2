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
    use super::*;

    #[test]
    fn the_table_is_that_of_the_exponential_function() {
        let softmax = Softmax::new(FixedPoint::V1);
        assert_eq!(softmax.exponentials.len(), 1 << 16);
        for (difference, &value) in softmax.exponentials.iter().enumerate() {
            let exact = (-(difference as f64) / 4096.0).exp() * 65536.0;
            assert!((f64::from(value) - exact).abs() <= 0.500_001, "{difference}: {value} against {exact}");
        }
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
