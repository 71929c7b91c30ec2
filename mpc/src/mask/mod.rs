//! Expansion of short seeds into long masks, and the packing of masked vectors.
//!
//! Entries live in Z mod 2ᵇ with b ≤ 32 ([`ModulusBits`]). A [`Mask`] is a keystream of AES-128 in counter mode
//! (SP 800-38A, §6.5), read as little-endian 32-bit words, added to a vector or subtracted from it; since 2ᵇ divides
//! 2³², the words need no rejection. The work is done in tiles that stay in the first-level cache, each
//! of which can be computed on its own: with the feature `parallel` they are spread over threads, with the same result.

mod expand;
mod packing;

pub use expand::{Mask, MaskSeed, Sign, apply, mask_and_pack};
pub use packing::ModulusBits;

/// Entries of a tile. A tile of 32-bit words is 16 KiB; packed it is a whole number of bytes for every width.
pub(crate) const TILE: usize = 4096;
