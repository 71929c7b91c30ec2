use crate::bfv::{DIGIT_BITS, Plaintext};

const MASK: u64 = (1 << DIGIT_BITS) - 1;

/// How many digits the largest coefficient has.
const MAX_DIGITS: usize = 4;

/// `count` signed values of `bits` bits each in an integer of `bits·count` bits: `Σ_j x_j·2^(bits·j)`.
///
/// With a half of `2^bits` added to every value none is negative, and the integer is the values' bits one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lanes {
    bits: u32,
    count: u32,
    /// The half of every lane, by digits.
    halves: [u64; MAX_DIGITS],
}

impl Lanes {
    /// At most 63 bits each, at most 192 together.
    pub(super) fn new(bits: u32, count: u32) -> Self {
        assert!(bits <= 63 && bits * count <= DIGIT_BITS * MAX_DIGITS as u32, "lanes fit the largest coefficient");
        let mut halves = [0; MAX_DIGITS];
        for lane in 0..count {
            let place = lane * bits + bits - 1;
            halves[(place / DIGIT_BITS) as usize] |= 1 << (place % DIGIT_BITS);
        }
        Self { bits, count, halves }
    }

    pub(super) const fn bits(&self) -> u32 {
        self.bits
    }

    pub(super) const fn count(&self) -> usize {
        self.count as usize
    }

    pub(super) const fn total(&self) -> u32 {
        self.bits * self.count
    }

    const fn half(&self) -> i64 {
        1 << (self.bits - 1)
    }

    /// Writes values, as many as the coefficients hold or fewer, each of which fits its lane.
    pub(super) fn join(&self, values: &[i64], plaintext: &mut Plaintext) {
        let last = (self.total() - 1) / DIGIT_BITS;
        let top = (1 << (self.total() - last * DIGIT_BITS)) - 1;
        let mut rows: Vec<&mut [u64]> = plaintext.rows_mut().collect();
        for (j, values) in values.chunks(self.count()).enumerate() {
            let mut digits = [0; MAX_DIGITS];
            let (mut pending, mut filled, mut next) = (0_u128, 0, 0);
            // Lanes that no value is left for hold zero.
            for value in values.iter().copied().chain(std::iter::repeat(0)).take(self.count()) {
                pending |= u128::from((value + self.half()) as u64) << filled;
                filled += self.bits;
                while filled >= DIGIT_BITS {
                    digits[next] = pending as u64 & MASK;
                    pending >>= DIGIT_BITS;
                    filled -= DIGIT_BITS;
                    next += 1;
                }
            }
            if filled > 0 {
                digits[next] = pending as u64;
            }
            let mut borrow = 0;
            for ((row, digit), half) in rows.iter_mut().zip(digits).zip(self.halves) {
                let difference = digit.wrapping_sub(half).wrapping_sub(borrow);
                borrow = difference >> 63;
                row[j] = difference & MASK;
            }
            rows[last as usize][j] &= top;
        }
    }

    /// Appends the values of every coefficient.
    pub(super) fn split(&self, plaintext: &Plaintext, values: &mut Vec<i64>) {
        let rows: Vec<&[u64]> = plaintext.rows().collect();
        let mask = (1 << self.bits) - 1;
        for j in 0..plaintext.degree() {
            let (mut pending, mut held, mut carry) = (0_u128, 0, 0);
            let mut left = self.count;
            for (row, half) in rows.iter().zip(self.halves) {
                let sum = row[j] + half + carry;
                carry = sum >> DIGIT_BITS;
                pending |= u128::from(sum & MASK) << held;
                held += DIGIT_BITS;
                while held >= self.bits && left > 0 {
                    values.push((pending as u64 & mask) as i64 - self.half());
                    pending >>= self.bits;
                    held -= self.bits;
                    left -= 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bfv::PlaintextModulus;

    proptest! {
        #[test]
        fn lanes_keep_their_values_and_their_sums(bits in 2..=63_u32, count in 1..=96_u32, seed: i64, fill in 0..=100_usize) {
            let count = count.min(192 / bits);
            let lanes = Lanes::new(bits, count);
            let modulus = PlaintextModulus::power_of_two(lanes.total()).unwrap();
            let most = (1_i64 << (bits - 1)) - 1;
            let value = |i: usize, salt: i64| {
                let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64).wrapping_add(salt).rotate_left(i as u32 * 7);
                match i % 4 { 0 => most, 1 => -most, 2 => 0, _ => mixed % (most + 1) }
            };
            let length = (16 * count as usize).min(fill * 16 * count as usize / 100);
            let values: Vec<i64> = (0..length).map(|i| value(i, 1)).collect();
            let mut plaintext = Plaintext::zero(modulus, 16);
            lanes.join(&values, &mut plaintext);
            let mut split = Vec::new();
            lanes.split(&plaintext, &mut split);
            prop_assert_eq!(split.len(), 16 * count as usize);
            prop_assert_eq!(&split[..length], &values[..]);
            prop_assert!(split[length..].iter().all(|&value| value == 0));
        }
    }
}
