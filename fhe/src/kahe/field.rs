//! Arithmetic of the field of p = 2⁶⁴ − 2³² + 1 elements, on slices.
//!
//! The slices are worked on by loops that the compiler turns into vector instructions, chosen at run time by `pulp`;
//! the results are those of any other machine, bit for bit. No operation branches on a value.
#![expect(clippy::inline_always, reason = "a loop body that stays a call is not vectorised")]

use pulp::Arch;

/// p = 2⁶⁴ − 2³² + 1.
pub const MODULUS: u64 = 0xffff_ffff_0000_0001;

/// 2⁶⁴ mod p.
const EPSILON: u64 = 0xffff_ffff;

/// a + b mod p of canonical residues.
#[inline(always)]
pub(crate) const fn add(a: u64, b: u64) -> u64 {
    let sum = a.wrapping_add(b);
    let over = (sum < a) as u64 | (sum >= MODULUS) as u64;
    sum.wrapping_sub(MODULUS & over.wrapping_neg())
}

/// a − b mod p of canonical residues.
#[inline(always)]
pub(crate) const fn subtract(a: u64, b: u64) -> u64 {
    a.wrapping_sub(b).wrapping_add(MODULUS & ((a < b) as u64).wrapping_neg())
}

/// a·b mod p.
///
/// With a·b = low + 2⁶⁴·middle + 2⁹⁶·high, middle and high of 32 bits, it is low − high + (2³² − 1)·middle, since
/// 2⁹⁶ = −1 and 2⁶⁴ = 2³² − 1.
#[inline(always)]
pub(crate) const fn multiply(a: u64, b: u64) -> u64 {
    let (low, above) = widening(a, b);
    let (middle, high) = (above & EPSILON, above >> 32);
    let difference = low.wrapping_sub(high);
    // A wrap by 2⁶⁴ is one by ε.
    let difference = difference.wrapping_sub(EPSILON & ((low < high) as u64).wrapping_neg());
    let product = (middle << 32).wrapping_sub(middle);
    let sum = difference.wrapping_add(product);
    let sum = sum.wrapping_add(EPSILON & ((sum < product) as u64).wrapping_neg());
    sum.wrapping_sub(MODULUS & ((sum >= MODULUS) as u64).wrapping_neg())
}

/// The low and the high word of a·b, from products of 32 bits: those are what vectors multiply.
#[inline(always)]
const fn widening(a: u64, b: u64) -> (u64, u64) {
    let (a0, a1) = (a & EPSILON, a >> 32);
    let (b0, b1) = (b & EPSILON, b >> 32);
    let (p00, p01, p10, p11) = (a0 * b0, a0 * b1, a1 * b0, a1 * b1);
    let first = p01 + (p00 >> 32);
    let second = p10 + (first & EPSILON);
    ((second << 32) | (p00 & EPSILON), p11 + (first >> 32) + (second >> 32))
}

/// The residue of an integer −p < v < p.
#[inline(always)]
pub(crate) const fn from_signed(value: i64) -> u64 {
    (value as u64).wrapping_add(MODULUS & ((value >> 63) as u64))
}

/// `values` becomes its product with `factors`, entry by entry.
pub(crate) fn multiply_all(values: &mut [u64], factors: &[u64]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (value, factor) in values.iter_mut().zip(factors) {
                *value = multiply(*value, *factor);
            }
        },
    );
}

/// `values` becomes its product with one factor.
pub(crate) fn multiply_each(values: &mut [u64], factor: u64) {
    Arch::new().dispatch(
        #[inline(always)]
        || values.iter_mut().for_each(|value| *value = multiply(*value, factor)),
    );
}

/// Adds canonical residues, encoded as eight bytes each, to `sums`.
pub(crate) fn add_encoded(sums: &mut [u64], encoded: &[u8]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (sum, bytes) in sums.iter_mut().zip(encoded.as_chunks::<8>().0) {
                *sum = add(*sum, u64::from_le_bytes(*bytes));
            }
        },
    );
}

/// Reads little-endian words and returns the largest of them.
pub(crate) fn decode(words: &mut [u64], encoded: &[u8]) -> u64 {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut largest = 0;
            for (word, bytes) in words.iter_mut().zip(encoded.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*bytes);
                largest = largest.max(*word);
            }
            largest
        },
    )
}

/// The largest of the little-endian words.
pub(crate) fn largest(encoded: &[u8]) -> u64 {
    Arch::new().dispatch(
        #[inline(always)]
        || encoded.as_chunks::<8>().0.iter().fold(0, |largest: u64, bytes| largest.max(u64::from_le_bytes(*bytes))),
    )
}

/// Reads `encoded` as the first words of a stream and keeps those below p, in their order; `more` yields the words that
/// follow.
///
/// A word is dropped with probability 2⁻³², so that which words are read depends on the values next to never.
pub(crate) fn residues(words: &mut [u64], encoded: &[u8], mut more: impl FnMut(&mut [u8; 8])) {
    if decode(words, encoded) < MODULUS {
        return;
    }
    let mut kept = 0;
    for index in 0..words.len() {
        if words[index] < MODULUS {
            words[kept] = words[index];
            kept += 1;
        }
    }
    let mut bytes = [0; 8];
    while kept < words.len() {
        more(&mut bytes);
        let word = u64::from_le_bytes(bytes);
        if word < MODULUS {
            words[kept] = word;
            kept += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wide(a: u64, b: u64, operation: impl Fn(u128, u128) -> u128) -> u64 {
        (operation(u128::from(a), u128::from(b)) % u128::from(MODULUS)) as u64
    }

    const EDGES: [u64; 8] = [0, 1, EPSILON, EPSILON + 1, 1 << 63, MODULUS - EPSILON - 1, MODULUS - 2, MODULUS - 1];

    fn agrees_with_wide_integers(a: u64, b: u64) {
        assert_eq!(add(a, b), wide(a, b, |a, b| a + b));
        assert_eq!(subtract(a, b), wide(a, b, |a, b| a + u128::from(MODULUS) - b));
        assert_eq!(multiply(a, b), wide(a, b, |a, b| a * b));
    }

    #[test]
    fn arithmetic_is_exact_at_the_edges() {
        for a in EDGES {
            for b in EDGES {
                agrees_with_wide_integers(a, b);
            }
        }
        for value in [0, 1, -1, i64::MAX, i64::MIN + 1, i64::MIN] {
            assert_eq!(i128::from(from_signed(value)), i128::from(value).rem_euclid(i128::from(MODULUS)));
        }
    }

    #[test]
    fn words_not_below_the_modulus_are_skipped_and_replaced_by_those_that_follow() {
        let stream = [MODULUS, 1, u64::MAX, MODULUS - 1, 2, MODULUS + 1, 3, 4];
        let encoded: Vec<u8> = stream.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut following = stream[4..].iter();
        let mut words = [0; 4];
        residues(&mut words, &encoded[..32], |bytes| *bytes = following.next().unwrap().to_le_bytes());
        assert_eq!(words, [1, MODULUS - 1, 2, 3]);
        assert_eq!(following.next(), Some(&4));
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_wide_integers(a in 0..MODULUS, b in 0..MODULUS) {
            agrees_with_wide_integers(a, b);
        }

        #[test]
        fn slices_are_worked_on_like_single_values(values in prop::collection::vec(0..MODULUS, 0..70), factor in 0..MODULUS) {
            let factors = vec![factor; values.len()];
            let mut products = values.clone();
            multiply_all(&mut products, &factors);
            let expected: Vec<_> = values.iter().map(|v| multiply(*v, factor)).collect();
            prop_assert_eq!(&products, &expected);
            let mut products = values.clone();
            multiply_each(&mut products, factor);
            prop_assert_eq!(products, expected);
            let encoded: Vec<u8> = values.iter().flat_map(|word| word.to_le_bytes()).collect();
            let mut sums = factors;
            add_encoded(&mut sums, &encoded);
            prop_assert_eq!(sums, values.iter().map(|v| add(*v, factor)).collect::<Vec<_>>());
            prop_assert_eq!(largest(&encoded), values.iter().copied().max().unwrap_or(0));
        }
    }
}
