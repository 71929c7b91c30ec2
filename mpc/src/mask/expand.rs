use std::fmt;

use aes::Aes128;
use ctr::Ctr32BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
#[cfg(feature = "parallel")]
use rayon::prelude::*;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{ModulusBits, TILE};
use crate::MpcError;
use crate::digest::derive_key;

const DOMAIN: &str = "cipher-nexus/mpc/mask-seed/v1";
const BLOCKS_PER_TILE: usize = TILE * 4 / 16;

/// The seed of one mask: an AES-128 key and the first 96 bits of the counter blocks; the last 32 count from zero.
///
/// The nonce is derived too, so that an attacker with many masks gains nothing from trying one key against all
/// of them.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MaskSeed {
    key: [u8; 16],
    nonce: [u8; 12],
}

impl MaskSeed {
    /// Derives a seed by HKDF-SHA256 from a secret of at least 128 bits of entropy and the context in which it is
    /// used. The parts of the context must have fixed lengths.
    pub fn derive(secret: &[u8], context: &[&[u8]]) -> Self {
        let mut bytes = [0; 32];
        derive_key(DOMAIN, secret, context, &mut bytes);
        let mut seed = Self { key: [0; 16], nonce: [0; 12] };
        seed.key.copy_from_slice(&bytes[..16]);
        seed.nonce.copy_from_slice(&bytes[16..28]);
        bytes.zeroize();
        seed
    }

    /// Writes whole blocks of keystream, from the block `first` on.
    fn fill(&self, first: u32, keystream: &mut [u8]) {
        let mut counter = [0; 16];
        counter[..12].copy_from_slice(&self.nonce);
        counter[12..].copy_from_slice(&first.to_be_bytes());
        Ctr32BE::<Aes128>::new(&self.key.into(), &counter.into()).write_keystream(keystream);
    }
}

impl fmt::Debug for MaskSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Whether a mask is added or subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Added.
    Plus,
    /// Subtracted.
    Minus,
}

impl Sign {
    /// The other sign.
    pub fn flipped(self) -> Self {
        match self {
            Self::Plus => Self::Minus,
            Self::Minus => Self::Plus,
        }
    }
}

/// A seed and the sign with which its keystream counts.
#[derive(Debug)]
pub struct Mask {
    /// What is expanded.
    pub seed: MaskSeed,
    /// How it counts.
    pub sign: Sign,
}

impl Mask {
    /// Adds the mask's tile at `index` to `tile`.
    ///
    /// The sign selects arithmetically, (w ⊕ s) − s with s = 0 or −1, without a branch: it follows from public ids
    /// today, but need not tomorrow.
    fn add_tile(&self, index: usize, tile: &mut [u32], keystream: &mut [u8; 4 * TILE]) {
        let keystream = &mut keystream[..4 * tile.len()];
        let first = u32::try_from(index * BLOCKS_PER_TILE).expect("`check_length` keeps the counter below 2^32");
        self.seed.fill(first, keystream);
        let sign = (self.sign as u32).wrapping_neg();
        let (words, _) = keystream.as_chunks::<4>();
        for (entry, word) in tile.iter_mut().zip(words) {
            let word = (u32::from_le_bytes(*word) ^ sign).wrapping_sub(sign);
            *entry = entry.wrapping_add(word);
        }
    }
}

/// Adds all masks to `values`, word by word mod 2³².
///
/// Cost: one AES block for each four words and mask, with AES instructions where the processor has them.
///
/// # Panics
/// If there are more than 2³³ values: the counter would repeat beyond 2³⁴.
pub fn apply(masks: &[Mask], values: &mut [u32]) {
    check_length(values.len());
    let add = |scratch: &mut Box<Scratch>, (index, tile): (usize, &mut [u32])| {
        for mask in masks {
            mask.add_tile(index, tile, &mut scratch.keystream);
        }
    };
    #[cfg(feature = "parallel")]
    values.par_chunks_mut(TILE).enumerate().for_each_init(Scratch::new, add);
    #[cfg(not(feature = "parallel"))]
    {
        let mut scratch = Scratch::new();
        values.chunks_mut(TILE).enumerate().for_each(|tile| add(&mut scratch, tile));
    }
}

/// The packed sum of `input` and all masks mod 2ᵇ.
///
/// Input and masks meet tile by tile in a scratch buffer that is erased: no unmasked copy of the vector is made.
///
/// # Errors
/// [`MpcError::OutOfRange`] for the first entry outside −2^(b−1) ≤ x < 2^(b−1).
///
/// # Panics
/// If there are more than 2³³ entries.
pub fn mask_and_pack(bits: ModulusBits, input: &[i64], masks: &[Mask]) -> Result<Vec<u8>, MpcError> {
    check_length(input.len());
    check_range(bits, input)?;
    let mut packed = vec![0; bits.packed_length(input.len())];
    let pack = |scratch: &mut Box<Scratch>, (index, (out, values)): (usize, (&mut [u8], &[i64]))| {
        let Scratch { tile, keystream } = &mut **scratch;
        let tile = &mut tile[..values.len()];
        for (entry, value) in tile.iter_mut().zip(values) {
            *entry = *value as u32;
        }
        for mask in masks {
            mask.add_tile(index, tile, keystream);
        }
        bits.pack(tile, out);
    };
    let tile_bytes = bits.packed_length(TILE);
    #[cfg(feature = "parallel")]
    packed.par_chunks_mut(tile_bytes).zip(input.par_chunks(TILE)).enumerate().for_each_init(Scratch::new, pack);
    #[cfg(not(feature = "parallel"))]
    {
        let mut scratch = Scratch::new();
        packed.chunks_mut(tile_bytes).zip(input.chunks(TILE)).enumerate().for_each(|tile| pack(&mut scratch, tile));
    }
    Ok(packed)
}

fn check_length(length: usize) {
    assert!(length as u64 <= 1 << 33, "a mask has at most 2^33 words");
}

/// Without a branch for each entry: only whether all are in range is learned, and which is not once one is not.
fn check_range(bits: ModulusBits, input: &[i64]) -> Result<(), MpcError> {
    let half = 1_i64 << (bits.bits() - 1);
    // In range, x + 2^(b−1) is 0 to 2^b − 1; everything else has a bit above, also after wrapping.
    let seen = input.iter().fold(0, |seen, value| seen | value.wrapping_add(half) as u64);
    if seen >> bits.bits() == 0 {
        return Ok(());
    }
    let index = input.iter().position(|value| !bits.holds(*value));
    Err(MpcError::OutOfRange { index: index.expect("an entry set a bit above the width"), bits: bits.bits() })
}

/// Buffers of one worker, reused from tile to tile and erased at the end.
struct Scratch {
    tile: [u32; TILE],
    keystream: [u8; 4 * TILE],
}

impl Scratch {
    fn new() -> Box<Self> {
        Box::new(Self { tile: [0; TILE], keystream: [0; 4 * TILE] })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Wide stores instead of `zeroize`, which would write the buffers byte by byte; the black box keeps them.
        self.tile.fill(0);
        self.keystream.fill(0);
        std::hint::black_box(&mut *self);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(seed: u8, sign: Sign) -> Mask {
        Mask { seed: MaskSeed::derive(&[seed; 32], &[b"test"]), sign }
    }

    /// SP 800-38A, F.5.1: CTR-AES128. The keystream is the listed output blocks.
    #[test]
    fn keystream_is_that_of_sp_800_38a() {
        let mut seed = MaskSeed::derive(&[], &[]);
        hex::decode_to_slice("2b7e151628aed2a6abf7158809cf4f3c", &mut seed.key).unwrap();
        hex::decode_to_slice("f0f1f2f3f4f5f6f7f8f9fafb", &mut seed.nonce).unwrap();
        let mut keystream = [0; 64];
        seed.fill(0xfcfd_feff, &mut keystream);
        assert_eq!(
            hex::encode(keystream),
            "ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae\
             6a2cc3787889374fbeb4c81b17ba6c44e89c399ff0f198c6d40a31db156cabfe"
        );
    }

    #[test]
    fn tiles_continue_one_keystream_of_little_endian_words() {
        let length = 3 * TILE + 8;
        let mut keystream = vec![0; 4 * length];
        MaskSeed::derive(&[1; 32], &[b"test"]).fill(0, &mut keystream);
        let mut values = vec![0; length];
        apply(&[mask(1, Sign::Plus)], &mut values);
        let bytes: Vec<u8> = values.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert!(bytes == keystream);
    }

    #[test]
    fn the_context_and_the_secret_change_the_mask() {
        let expand = |secret: u8, context: &[u8]| {
            let mut values = [0; 4];
            let seed = MaskSeed::derive(&[secret; 32], &[context]);
            apply(&[Mask { seed, sign: Sign::Plus }], &mut values);
            values
        };
        assert_ne!(expand(1, b"a"), expand(2, b"a"));
        assert_ne!(expand(1, b"a"), expand(1, b"b"));
    }

    #[test]
    fn the_first_entry_out_of_range_is_named_but_not_shown() {
        let bits = ModulusBits::new(8).unwrap();
        assert!(mask_and_pack(bits, &[-128, 127], &[]).is_ok());
        for wrong in [128, -129, i64::MAX, i64::MIN] {
            let error = mask_and_pack(bits, &[0, wrong], &[]).unwrap_err();
            assert_eq!(error, MpcError::OutOfRange { index: 1, bits: 8 });
            assert!(!error.to_string().contains("12"));
        }
    }

    /// On one thread and on two, and (by the vector being fixed) with the feature and without, the bytes agree.
    #[test]
    fn masked_bytes_do_not_depend_on_threads() {
        use sha2::{Digest, Sha256};
        let bits = ModulusBits::new(22).unwrap();
        let input: Vec<i64> = (0..(2 * TILE as i64 + 77)).map(|i| i * 17 - 60_000).collect();
        let masks = [mask(1, Sign::Plus), mask(2, Sign::Minus)];
        let packed = mask_and_pack(bits, &input, &masks).unwrap();
        assert_eq!(
            hex::encode(Sha256::digest(&packed)),
            "4c29b0686098eae9e67b28ab64f14dedd3c9de28de3a7473a5f70b47c5ca1c4d"
        );
        #[cfg(feature = "parallel")]
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(packed == pool.install(|| mask_and_pack(bits, &input, &masks)).unwrap());
        }
    }

    proptest! {
        #[test]
        fn a_mask_and_its_opposite_cancel(secret: u8, value: u32, length in 0_usize..300) {
            let mut values = vec![value; length];
            apply(&[mask(secret, Sign::Plus)], &mut values);
            prop_assert!(length < 8 || values.iter().any(|now| *now != value));
            apply(&[mask(secret, Sign::Plus.flipped())], &mut values);
            prop_assert!(values.iter().all(|now| *now == value));
        }

        #[test]
        fn masking_adds_masks_to_the_input(width in 1_u32..=32, length in 0_usize..300, value: i64) {
            let bits = ModulusBits::new(width).unwrap();
            let value = bits.centred(value as u32);
            let masks = [mask(3, Sign::Minus), mask(4, Sign::Plus)];
            let packed = mask_and_pack(bits, &vec![value; length], &masks).unwrap();
            let mut sums = vec![0; length];
            bits.add_packed(&packed, &mut sums);
            let mut expected = vec![value as u32; length];
            apply(&masks, &mut expected);
            for (sum, expected) in sums.iter().zip(&expected) {
                prop_assert_eq!(bits.centred(*sum), bits.centred(*expected));
            }
        }
    }
}
