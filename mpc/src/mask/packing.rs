use std::fmt;

use crate::MpcError;

/// Entries of a block: 32 entries of b bits are b whole 32-bit words.
const BLOCK: usize = 32;

/// b, the width in bits of the entries of a sum: they are integers mod 2ᵇ, 1 ≤ b ≤ 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModulusBits(u32);

impl ModulusBits {
    /// The width `bits`.
    ///
    /// # Errors
    /// [`MpcError::Parameter`] outside 1 to 32.
    pub fn new(bits: u32) -> Result<Self, MpcError> {
        if (1..=32).contains(&bits) {
            Ok(Self(bits))
        } else {
            Err(MpcError::Parameter { name: "modulus_bits", got: u64::from(bits), least: 1, most: 32 })
        }
    }

    /// b.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Bytes of a packed vector of `length` entries: ⌈b · length / 8⌉.
    pub fn packed_length(self, length: usize) -> usize {
        // Eight entries are b whole bytes; the product of all bits need not fit.
        length / 8 * self.0 as usize + (length % 8 * self.0 as usize).div_ceil(8)
    }

    /// Whether −2^(b−1) ≤ `value` < 2^(b−1).
    pub fn holds(self, value: i64) -> bool {
        let half = 1_i64 << (self.0 - 1);
        (-half..half).contains(&value)
    }

    /// The representative of `word` mod 2ᵇ nearest to zero.
    pub fn centred(self, word: u32) -> i64 {
        let unused = 32 - self.0;
        i64::from(((word << unused) as i32) >> unused)
    }

    /// Packs the low b bits of each entry, the first entry in the lowest bits of the first byte; what is left of
    /// the last byte is zero.
    ///
    /// # Panics
    /// If `packed` does not have the [packed length](Self::packed_length) of the entries.
    pub fn pack(self, entries: &[u32], packed: &mut [u8]) {
        assert_eq!(packed.len(), self.packed_length(entries.len()));
        let block_bytes = 4 * self.0 as usize;
        let whole = entries.len() / BLOCK;
        let (entries, rest) = entries.split_at(whole * BLOCK);
        let (packed, rest_packed) = packed.split_at_mut(whole * block_bytes);
        let (entries, _) = entries.as_chunks::<BLOCK>();
        for (block, bytes) in entries.iter().zip(packed.chunks_exact_mut(block_bytes)) {
            self.pack_block(block, bytes);
        }
        if !rest.is_empty() {
            let mut block = [0; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            let mut bytes = [0; 4 * 32];
            self.pack_block(&block, &mut bytes[..block_bytes]);
            rest_packed.copy_from_slice(&bytes[..rest_packed.len()]);
        }
    }

    /// Adds the packed entries to `sums`, word by word mod 2³².
    ///
    /// # Panics
    /// If `packed` does not have the [packed length](Self::packed_length) of the sums.
    pub fn add_packed(self, packed: &[u8], sums: &mut [u32]) {
        assert_eq!(packed.len(), self.packed_length(sums.len()));
        let block_bytes = 4 * self.0 as usize;
        let whole = sums.len() / BLOCK;
        let (sums, rest) = sums.split_at_mut(whole * BLOCK);
        let (packed, rest_packed) = packed.split_at(whole * block_bytes);
        let (sums, _) = sums.as_chunks_mut::<BLOCK>();
        for (block, bytes) in sums.iter_mut().zip(packed.chunks_exact(block_bytes)) {
            self.add_block(bytes, block);
        }
        if !rest.is_empty() {
            let mut bytes = [0; 4 * 32];
            bytes[..rest_packed.len()].copy_from_slice(rest_packed);
            let mut block = [0; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            self.add_block(&bytes[..block_bytes], &mut block);
            rest.copy_from_slice(&block[..rest.len()]);
        }
    }

    /// Whether `packed` is the canonical packing of some vector of `length` entries: its length is right and the
    /// bits after the last entry are zero.
    ///
    /// # Errors
    /// [`MpcError::Length`], [`MpcError::Malformed`].
    pub fn check_packed(self, packed: &[u8], length: usize) -> Result<(), MpcError> {
        let expected = self.packed_length(length);
        if packed.len() != expected {
            return Err(MpcError::Length { what: "packed vector", expected, got: packed.len() });
        }
        let used = (length % 8 * self.0 as usize) % 8;
        if used != 0 && packed.last().is_some_and(|last| last >> used != 0) {
            return Err(MpcError::Malformed { what: "bits after the last entry of a packed vector" });
        }
        Ok(())
    }
}

impl fmt::Display for ModulusBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bits", self.0)
    }
}

/// One instance for each width, so that every shift is a constant.
macro_rules! for_width {
    ($bits:expr, $call:ident, $one:expr, $two:expr) => {
        for_width!(@ $bits, $call, $one, $two,
            1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
    };
    (@ $bits:expr, $call:ident, $one:expr, $two:expr, $($width:literal)*) => {
        match $bits {
            $($width => $call::<$width>($one, $two),)*
            _ => unreachable!("a width is 1 to 32 by construction"),
        }
    };
}

impl ModulusBits {
    fn pack_block(self, entries: &[u32; BLOCK], bytes: &mut [u8]) {
        for_width!(self.0, pack_block, entries, bytes);
    }

    fn add_block(self, bytes: &[u8], sums: &mut [u32; BLOCK]) {
        for_width!(self.0, add_block, bytes, sums);
    }
}

fn pack_block<const B: u32>(entries: &[u32; BLOCK], bytes: &mut [u8]) {
    let (words, _) = bytes[..4 * B as usize].as_chunks_mut::<4>();
    let mut pending = 0_u64;
    let mut filled = 0;
    let mut next = 0;
    for entry in entries {
        pending |= (u64::from(*entry) & ((1 << B) - 1)) << filled;
        filled += B;
        if filled >= 32 {
            words[next] = (pending as u32).to_le_bytes();
            next += 1;
            pending >>= 32;
            filled -= 32;
        }
    }
}

fn add_block<const B: u32>(bytes: &[u8], sums: &mut [u32; BLOCK]) {
    let (words, _) = bytes[..4 * B as usize].as_chunks::<4>();
    let mut pending = 0_u64;
    let mut filled = 0;
    let mut next = 0;
    for sum in sums {
        if filled < B {
            pending |= u64::from(u32::from_le_bytes(words[next])) << filled;
            next += 1;
            filled += 32;
        }
        *sum = sum.wrapping_add((pending & ((1 << B) - 1)) as u32);
        pending >>= B;
        filled -= B;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_are_packed_from_the_lowest_bit_up() {
        let bits = ModulusBits::new(12).unwrap();
        let mut packed = [0xff; 5];
        bits.pack(&[0xabc, 0x123, 0xdef], &mut packed);
        assert_eq!(packed, [0xbc, 0x3a, 0x12, 0xef, 0x0d]);
    }

    #[test]
    fn the_packed_length_is_right_wherever_it_can_be_counted() {
        for (width, length, bytes) in [(1, 1, 1), (3, 8, 3), (3, 9, 4), (32, 1 << 27, 1 << 29)] {
            assert_eq!(ModulusBits::new(width).unwrap().packed_length(length), bytes);
        }
        let widest = ModulusBits::new(32).unwrap();
        let length = usize::MAX / 4;
        assert_eq!(widest.packed_length(length), 4 * length);
        // 32 bits of each are a multiple of 2^(bits of a pointer), which must not count as none.
        assert!(matches!(widest.check_packed(&[], 1 << (usize::BITS - 5)), Err(MpcError::Length { .. })));
    }

    #[test]
    fn widths_outside_1_to_32_are_refused() {
        for bits in [0, 33, u32::MAX] {
            assert!(matches!(ModulusBits::new(bits), Err(MpcError::Parameter { name: "modulus_bits", .. })));
        }
    }

    #[test]
    fn bits_after_the_last_entry_must_be_zero() {
        let bits = ModulusBits::new(3).unwrap();
        assert_eq!(bits.check_packed(&[0xff, 0x01], 3), Ok(()));
        assert!(matches!(bits.check_packed(&[0xff, 0x02], 3), Err(MpcError::Malformed { .. })));
        for wrong in [&[0xff][..], &[0xff, 1, 0]] {
            assert!(matches!(bits.check_packed(wrong, 3), Err(MpcError::Length { expected: 2, .. })));
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back_for_every_width(width in 1_u32..=32, entries in prop::collection::vec(any::<u32>(), 0..200)) {
            let bits = ModulusBits::new(width).unwrap();
            let mut packed = vec![0xaa; bits.packed_length(entries.len())];
            bits.pack(&entries, &mut packed);
            prop_assert_eq!(bits.check_packed(&packed, entries.len()), Ok(()));
            let mut sums = vec![7_u32; entries.len()];
            bits.add_packed(&packed, &mut sums);
            for (sum, entry) in sums.iter().zip(&entries) {
                let low = if width == 32 { *entry } else { entry & ((1 << width) - 1) };
                prop_assert_eq!(*sum, low.wrapping_add(7));
            }
        }

        #[test]
        fn centring_undoes_reduction(width in 1_u32..=32, value: i64) {
            let bits = ModulusBits::new(width).unwrap();
            let centred = bits.centred(value as u32);
            prop_assert!(bits.holds(centred));
            prop_assert_eq!((centred - value).rem_euclid(1 << width), 0);
            prop_assert_eq!(bits.holds(value), centred == value);
        }
    }
}
