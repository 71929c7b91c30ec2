use std::num::NonZeroU128;

use dashu_int::UBig;
use rand_core::CryptoRng;

/// The first 64 fractional bits of 1/e.
const INVERSE_E: u64 = 0x5e2d_58d8_b3bc_df1a;

/// Draws true with probability exp(−n/d) exactly.
///
/// Algorithm 1 of Canonne, Kamath and Steinke (2020, arXiv 2004.00010); the factors exp(−1) are drawn by comparison with
/// the binary expansion of 1/e. Takes 1 to 3 random words on average; allocates only when a multiple of the denominator
/// exceeds 128 bits, or on a tie of probability 2⁻⁶⁴.
pub fn bernoulli_exp<R: CryptoRng + ?Sized>(numerator: u128, denominator: NonZeroU128, rng: &mut R) -> bool {
    let d = denominator.get();
    let mut n = numerator;
    while n > d {
        if !inverse_e(rng) {
            return false;
        }
        n -= d;
    }
    exp_fraction(n, d, rng)
}

/// [`bernoulli_exp`] over big integers: the same words give the same draw.
pub(super) fn bernoulli_exp_big<R: CryptoRng + ?Sized>(mut n: UBig, d: &UBig, rng: &mut R) -> bool {
    while n > *d {
        if !inverse_e(rng) {
            return false;
        }
        n -= d;
    }
    exp_fraction_big(&n, d, d.clone(), true, rng)
}

/// True with probability exp(−n/d), for n ≤ d.
///
/// The number of successes in a row of Bernoulli(n/d), Bernoulli(n/2d), Bernoulli(n/3d), … is even with this probability,
/// as P(at least k) = (n/d)ᵏ/k!.
#[inline]
pub(super) fn exp_fraction<R: CryptoRng + ?Sized>(n: u128, d: u128, rng: &mut R) -> bool {
    let mut multiple = d;
    let mut even = true;
    while ratio(n, multiple, rng) {
        even = !even;
        multiple = match multiple.checked_add(d) {
            Some(next) => next,
            None => return exp_fraction_big(&n.into(), &d.into(), UBig::from(multiple) + d, even, rng),
        };
    }
    even
}

#[cold]
fn exp_fraction_big<R: CryptoRng + ?Sized>(
    n: &UBig,
    d: &UBig,
    mut multiple: UBig,
    mut even: bool,
    rng: &mut R,
) -> bool {
    while ratio_big(n.clone(), &multiple, rng) {
        even = !even;
        multiple += d;
    }
    even
}

/// True with probability n/d, for n ≤ d.
///
/// After a word r a uniform number U lies in [r, r + 1)/2⁶⁴. Either that decides U < n/d, or what is left to decide is
/// U' < n'/d for a fresh U' and n' = 2⁶⁴n − rd, which lies strictly between 0 and d.
#[inline]
fn ratio<R: CryptoRng + ?Sized>(n: u128, d: u128, rng: &mut R) -> bool {
    match (u64::try_from(n), u64::try_from(d)) {
        (Ok(n), Ok(d)) => ratio_narrow(n, d, rng),
        _ => ratio_wide(n, d, rng),
    }
}

#[inline]
fn ratio_narrow<R: CryptoRng + ?Sized>(mut n: u64, d: u64, rng: &mut R) -> bool {
    loop {
        let below = u128::from(rng.next_u64()) * u128::from(d);
        let Some(left) = (u128::from(n) << 64).checked_sub(below).filter(|left| *left > 0) else {
            return false;
        };
        if left >= u128::from(d) {
            return true;
        }
        n = left as u64;
    }
}

fn ratio_wide<R: CryptoRng + ?Sized>(mut n: u128, d: u128, rng: &mut R) -> bool {
    const WORD: u128 = 1 << 64;
    loop {
        let r = u128::from(rng.next_u64());
        // r·d = high·2⁶⁴ + low, and high fits as r·d < 2¹⁹².
        let product = r * (d % WORD);
        let high = r * (d / WORD) + product / WORD;
        let low = product % WORD;
        if high >= n {
            return false;
        }
        // What is left is gap·2⁶⁴ − low > 0; from 2¹²⁸ on it is above every d.
        let gap = n - high;
        if gap > WORD || (gap == WORD && low == 0) {
            return true;
        }
        let left = (gap << 64).wrapping_sub(low);
        if left >= d {
            return true;
        }
        n = left;
    }
}

fn ratio_big<R: CryptoRng + ?Sized>(mut n: UBig, d: &UBig, rng: &mut R) -> bool {
    loop {
        let below = d * rng.next_u64();
        n <<= 64;
        if n <= below {
            return false;
        }
        n -= below;
        if n >= *d {
            return true;
        }
    }
}

/// True with probability 1/e.
#[inline]
pub(super) fn inverse_e<R: CryptoRng + ?Sized>(rng: &mut R) -> bool {
    let word = rng.next_u64();
    if word == INVERSE_E { inverse_e_after_tie(rng) } else { word < INVERSE_E }
}

#[cold]
fn inverse_e_after_tie<R: CryptoRng + ?Sized>(rng: &mut R) -> bool {
    let mut index = 1;
    loop {
        let (word, expected) = (rng.next_u64(), inverse_e_word(index));
        if word != expected {
            return word < expected;
        }
        index += 1;
    }
}

/// The `index`-th 64 fractional bits of 1/e, from the partial sums of Σ(−1)ᵏ/k!, which bracket it.
fn inverse_e_word(index: usize) -> u64 {
    let bits = 64 * (index + 1);
    // Partial sums as numerators over k!; those that end at odd k lie below 1/e, those at even k above.
    let (mut numerator, mut factorial) = (UBig::ONE, UBig::ONE);
    let mut k = 0_u64;
    loop {
        k += 1;
        factorial *= k;
        numerator = numerator * k - UBig::ONE;
        let below = (&numerator << bits) / &factorial;
        k += 1;
        factorial *= k;
        numerator = numerator * k + UBig::ONE;
        let above = (&numerator << bits) / &factorial;
        if below == above {
            let word = below % (UBig::ONE << 64);
            return u64::try_from(word).expect("a remainder modulo 2^64 has 64 bits");
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::super::script::Script;
    use super::*;

    #[test]
    fn the_words_of_1_over_e_are_its_known_digits() {
        // OEIS A068985 in binary: ⌊2²⁵⁶/e⌋.
        let known = [0x5e2d_58d8_b3bc_df1a, 0xbade_c782_9054_f90d, 0xda98_05aa_b56c_7733, 0x3024_b9d0_a507_daed];
        assert_eq!(INVERSE_E, known[0]);
        assert_eq!([0, 1, 2, 3].map(inverse_e_word), known);
    }

    #[test]
    fn a_tie_with_1_over_e_is_decided_by_the_next_word() {
        for (last, drawn) in [(0xbade_c782_9054_f90c, true), (0xbade_c782_9054_f90e, false)] {
            let mut words = Script::new([INVERSE_E, last]);
            assert_eq!(inverse_e(&mut words), drawn);
            assert!(words.is_spent());
        }
    }

    #[test]
    fn an_undecided_comparison_goes_on_with_what_is_left() {
        const THIRD: u64 = u64::MAX / 3;
        for (words, drawn) in [
            (vec![THIRD - 1], true),
            (vec![THIRD + 1], false),
            (vec![THIRD, THIRD - 1], true),
            (vec![THIRD, THIRD, THIRD + 1], false),
        ] {
            for scale in [1, 1 << 70] {
                let mut words = Script::new(words.clone());
                assert_eq!(ratio(scale, 3 * scale, &mut words), drawn);
                assert!(words.is_spent());
            }
        }
    }

    #[test]
    fn certain_and_impossible_draws_are_so_for_every_word() {
        for d in [1, u128::from(u64::MAX), 1 << 64, u128::MAX - 1, u128::MAX] {
            for word in [0, 1, u64::MAX - 1, u64::MAX] {
                assert!(ratio(d, d, &mut Script::new([word])), "{d}");
                assert!(!ratio(0, d, &mut Script::new([word])), "{d}");
            }
        }
    }

    #[test]
    fn all_widths_draw_the_same_from_the_same_words() {
        let edges = [0, 1, 2, 3, 5, 1 << 32, u128::from(u64::MAX) - 1, u128::from(u64::MAX), 1 << 64, 1 << 96];
        let edges = edges.into_iter().chain([u128::MAX / 3, u128::MAX / 2, u128::MAX - 1, u128::MAX]);
        let edges: Vec<u128> = edges.collect();
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        for &d in edges.iter().filter(|d| **d > 0) {
            for &n in edges.iter().filter(|n| **n <= d) {
                // Words near ⌊2⁶⁴·n/d⌋ are where the comparison is close.
                let centre: UBig = (UBig::from(n) << 64) / UBig::from(d);
                let centre = u64::try_from(centre).unwrap_or(u64::MAX);
                for first in [centre.saturating_sub(1), centre, centre.saturating_add(1)] {
                    let words: Vec<u64> =
                        std::iter::once(first).chain((0..8).map(|_| rand_core::Rng::next_u64(&mut rng))).collect();
                    let big = ratio_big(n.into(), &d.into(), &mut Script::new(words.clone()));
                    assert_eq!(ratio_wide(n, d, &mut Script::new(words.clone())), big, "{n}/{d}");
                    assert_eq!(ratio(n, d, &mut Script::new(words)), big, "{n}/{d}");
                }
                let (mut narrow, mut wide) =
                    (ChaCha20Rng::seed_from_u64(n as u64), ChaCha20Rng::seed_from_u64(n as u64));
                for _ in 0..20 {
                    let one = bernoulli_exp(n, NonZeroU128::new(d).unwrap(), &mut narrow);
                    assert_eq!(one, bernoulli_exp_big(n.into(), &d.into(), &mut wide), "exp(-{n}/{d})");
                }
            }
        }
    }

    #[test]
    fn the_frequency_of_exp_is_its_probability() {
        const DRAWS: u32 = 200_000;
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for (n, d) in [(0, 1), (1, 3), (1, 1), (5, 2), (7, 1), (u128::MAX / 2, u128::MAX), (3 << 90, 1 << 91)] {
            let p = (-(n as f64) / d as f64).exp();
            let hits = (0..DRAWS).filter(|_| bernoulli_exp(n, NonZeroU128::new(d).unwrap(), &mut rng)).count();
            let deviation = (hits as f64 - f64::from(DRAWS) * p).abs();
            let bound = 5.0 * (f64::from(DRAWS) * p * (1.0 - p)).sqrt();
            assert!(deviation <= bound, "exp(-{n}/{d}): {hits} hits, off by {deviation} of {bound}");
        }
    }
}
