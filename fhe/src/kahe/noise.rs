use aes::Aes256;
use ctr::Ctr32BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use pulp::Arch;
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::ring::DEGREE;

/// E = 40: the noise is centred binomial of 2·40 bits, −40 to 40, with variance 20.
pub const NOISE_BOUND: u64 = 40;

/// The variance of the noise, E/2.
pub(crate) const NOISE_VARIANCE: u64 = NOISE_BOUND / 2;

/// Bytes of one polynomial's noise: 80 bits a coefficient.
pub(crate) const NOISE_BYTES: usize = 10 * DEGREE;

/// The key of a stream of AES-256 in counter mode (SP 800-38A, §6.5), from which secrets are drawn.
///
/// A stream of B blocks is told from random bytes with an advantage of at most B²/2¹²⁹ beyond that against AES.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct StreamKey([u8; 32]);

impl StreamKey {
    pub(crate) fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// The stream with the number `index`, of up to 2³² blocks.
    pub(crate) fn stream(&self, index: u32) -> Ctr32BE<Aes256> {
        let mut counter = [0; 16];
        counter[..4].copy_from_slice(&index.to_le_bytes());
        Ctr32BE::new(&self.0.into(), &counter.into())
    }

    /// Fills `bytes` from the start of a stream.
    pub(crate) fn fill(&self, index: u32, bytes: &mut [u8]) {
        self.stream(index).write_keystream(bytes);
    }
}

/// T·e for one polynomial of noise e, from [`NOISE_BYTES`] uniform bytes.
///
/// e = weight(80 bits) − 40, which is distributed like the difference of the weights of 40 bits each. The first eight
/// bytes of each coefficient come first, then the last two of each. Neither time nor memory depends on the bits.
pub(crate) fn scaled_noise(scale: u64, bytes: &[u8], noise: &mut [i64]) {
    let (heads, tails) = bytes.split_at(8 * DEGREE);
    let (heads, tails) = (heads.as_chunks::<8>().0, tails.as_chunks::<2>().0);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for ((noise, head), tail) in noise.iter_mut().zip(heads).zip(tails) {
                let weight = u64::from_le_bytes(*head).count_ones() + u64::from(u16::from_le_bytes(*tail)).count_ones();
                *noise = (i64::from(weight) - NOISE_BOUND as i64).wrapping_mul(scale as i64);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn sample(index: u32) -> Vec<i64> {
        let key = StreamKey::generate(&mut ChaCha20Rng::seed_from_u64(7));
        let mut bytes = vec![0; NOISE_BYTES];
        key.fill(index, &mut bytes);
        let mut noise = vec![0; DEGREE];
        scaled_noise(1, &bytes, &mut noise);
        noise
    }

    /// SP 800-38A, F.5.5: CTR-AES256, whose keystream is the listed output blocks.
    #[test]
    fn the_stream_is_that_of_sp_800_38a() {
        let mut key = [0; 32];
        let hex = b"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
        for (byte, digits) in key.iter_mut().zip(hex.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
        }
        // The vector starts at another counter, so the cipher is asked for its blocks and ours for the difference.
        let mut theirs = [0; 16];
        let counter: [u8; 16] = std::array::from_fn(|i| 0xf0 + i as u8);
        Ctr32BE::<Aes256>::new(&key.into(), &counter.into()).write_keystream(&mut theirs);
        assert_eq!(theirs[..4], [0x0b, 0xdf, 0x7d, 0xf1]);
        let (mut ours, mut at_zero) = ([0; 16], [0; 16]);
        StreamKey(key).fill(0, &mut ours);
        Ctr32BE::<Aes256>::new(&key.into(), &[0; 16].into()).write_keystream(&mut at_zero);
        assert_eq!(ours, at_zero);
    }

    /// P(e = v) = C(80, 40 + v)/2⁸⁰, by Pearson's χ² over all values with 5 or more expected.
    #[test]
    fn noise_is_centred_binomial_of_eighty_bits() {
        let polynomials = 64;
        let total = f64::from(polynomials) * DEGREE as f64;
        let mut counts = [0_u32; 81];
        for index in 0..polynomials {
            for value in sample(index) {
                counts[usize::try_from(value + 40).expect("noise is at least -40")] += 1;
            }
        }
        let mut probability = 0.5_f64.powi(80);
        let (mut statistic, mut cells, mut rest, mut rest_expected) = (0.0, 0, 0.0, 0.0);
        for (weight, count) in counts.iter().enumerate() {
            let expected = total * probability;
            if expected < 5.0 {
                rest += f64::from(*count);
                rest_expected += expected;
            } else {
                statistic += (f64::from(*count) - expected).powi(2) / expected;
                cells += 1;
            }
            probability *= (80 - weight) as f64 / (weight + 1) as f64;
        }
        statistic += (rest - rest_expected).powi(2) / rest_expected;
        // χ² with `cells` degrees of freedom has mean `cells` and variance twice that; five deviations above.
        let degrees = f64::from(cells);
        assert!(statistic < degrees + 5.0 * (2.0 * degrees).sqrt(), "χ² is {statistic} of {degrees} degrees");
        assert!(statistic > degrees - 5.0 * (2.0 * degrees).sqrt(), "χ² is {statistic} of {degrees} degrees");
    }

    #[test]
    fn the_extremes_of_the_bits_are_the_bounds_of_the_noise() {
        let mut noise = vec![0; DEGREE];
        scaled_noise(1 << 50, &vec![0; NOISE_BYTES], &mut noise);
        assert!(noise.iter().all(|value| *value == -(40 << 50)));
        scaled_noise(1 << 50, &vec![0xff; NOISE_BYTES], &mut noise);
        assert!(noise.iter().all(|value| *value == 40 << 50));
    }

    #[test]
    fn streams_of_two_polynomials_differ() {
        assert_ne!(sample(0), sample(1));
    }
}
