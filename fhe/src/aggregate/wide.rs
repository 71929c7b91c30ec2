//! Public integers that are wider than a machine word, from their residues.

use crate::ring::{Modulus, RnsBasis};

/// Puts residues together: `x = Σ y_i·(Q/q_i) mod Q` with `y_i = x·(Q/q_i)^{-1} mod q_i`. In time that depends on them.
pub(super) struct Joined {
    moduli: Vec<Modulus>,
    /// `(Q/q_i)^{-1} mod q_i`.
    inverses: Vec<u64>,
    /// `Q/q_i`, in words from the lowest.
    punctured: Vec<Vec<u64>>,
    /// `Q`.
    product: Vec<u64>,
}

impl Joined {
    /// For the first `limbs` primes.
    pub(super) fn new(basis: &RnsBasis, limbs: usize) -> Self {
        let moduli: Vec<Modulus> = basis.moduli().take(limbs).collect();
        // One word more than the sum of as many residues as there are primes can fill.
        let words = (basis.log2(limbs) / 64.0).ceil() as usize + 1;
        let product_of = |skipped: Option<usize>| {
            let mut product = vec![0; words];
            product[0] = 1;
            for (_, q) in moduli.iter().enumerate().filter(|(i, _)| Some(*i) != skipped) {
                let factor = std::mem::replace(&mut product, vec![0; words]);
                add_product(&mut product, &factor, q.value());
            }
            product
        };
        let punctured: Vec<Vec<u64>> = (0..limbs).map(|i| product_of(Some(i))).collect();
        let inverses = moduli
            .iter()
            .enumerate()
            .map(|(i, q)| {
                let others = moduli.iter().enumerate().filter(|(j, _)| *j != i);
                q.inverse(others.fold(1, |product, (_, other)| q.mul(product, q.reduce(other.value()))))
            })
            .collect();
        Self { inverses, punctured, product: product_of(None), moduli }
    }

    /// As many words as an integer takes.
    pub(super) fn zero(&self) -> Vec<u64> {
        vec![0; self.product.len()]
    }

    /// The integer from 0 to `Q` of these residues.
    pub(super) fn join(&self, residue: impl Fn(usize) -> u64, words: &mut [u64]) {
        words.fill(0);
        for (i, q) in self.moduli.iter().enumerate() {
            add_product(words, &self.punctured[i], q.mul(residue(i), self.inverses[i]));
        }
        // At most as often as there are primes.
        while !is_below(words, &self.product) {
            subtract(words, &self.product);
        }
    }
}

/// `count` bits from the bit `first` on, at most 63 of them.
pub(super) fn bits(words: &[u64], first: u32, count: u32) -> u64 {
    let (word, bit) = ((first / 64) as usize, first % 64);
    let at = |index: usize| u128::from(words.get(index).copied().unwrap_or(0));
    ((at(word) | at(word + 1) << 64) >> bit) as u64 & ((1 << count) - 1)
}

/// `sum += a·factor`, which fits.
fn add_product(sum: &mut [u64], a: &[u64], factor: u64) {
    let mut carry = 0;
    for (sum, a) in sum.iter_mut().zip(a) {
        carry += u128::from(*sum) + u128::from(*a) * u128::from(factor);
        *sum = carry as u64;
        carry >>= 64;
    }
}

fn is_below(a: &[u64], b: &[u64]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

fn subtract(a: &mut [u64], b: &[u64]) {
    let mut borrow = false;
    for (a, b) in a.iter_mut().zip(b) {
        let (difference, first) = a.overflowing_sub(*b);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        (*a, borrow) = (difference, first || second);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ring::ntt_primes;

    proptest! {
        #[test]
        fn integers_come_back_from_their_residues(low: u128, high in 0..1_u64 << 20, at in 0..130_u32, count in 1..40_u32) {
            let basis = RnsBasis::new(16, &ntt_primes(50, 16, 3, &[]).unwrap()).unwrap();
            let joined = Joined::new(&basis, 3);
            let residue = |i: usize| {
                let q = joined.moduli[i];
                let word = q.mul(q.reduce(1 << 63), 2);
                q.add(q.mul(q.mul(word, word), q.reduce(high)), q.reduce_wide(low))
            };
            let mut words = joined.zero();
            joined.join(residue, &mut words);
            prop_assert_eq!(&words[..], [low as u64, (low >> 64) as u64, high, 0]);
            let expected = (0..count).fold(0, |value, bit| {
                let place = (at + bit) as usize;
                value | (words.get(place / 64).copied().unwrap_or(0) >> (place % 64) & 1) << bit
            });
            prop_assert_eq!(bits(&words, at, count), expected);
        }
    }
}
