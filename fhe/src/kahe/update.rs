use std::fmt;

use super::field::{MODULUS, largest};
use super::round::KaheRound;
use crate::FheError;

/// The digest of the round stands before the residues.
pub(crate) const HEADER: usize = 32;

/// What a client sends: its vector under a mask, 8 bytes for each coefficient.
///
/// The encoding is the digest of the round followed by the residues below p as little-endian words of 64 bits. It says
/// nothing of who sent it and has no integrity of its own: sign it.
#[derive(Clone, PartialEq, Eq)]
pub struct MaskedUpdate {
    bytes: Vec<u8>,
}

impl MaskedUpdate {
    /// An update of zero residues, to be filled in.
    pub(crate) fn blank(round: &KaheRound) -> Self {
        let mut bytes = vec![0; round.params().message_bytes()];
        bytes[..HEADER].copy_from_slice(round.digest());
        Self { bytes }
    }

    /// Reads an encoding and checks all of it. Cost: one pass over the bytes.
    ///
    /// # Errors
    /// [`FheError::MaskLength`], [`FheError::OtherRound`], or [`FheError::MaskResidue`] for the first residue not
    /// below p.
    pub fn from_bytes(round: &KaheRound, bytes: Vec<u8>) -> Result<Self, FheError> {
        let expected = round.params().message_bytes();
        if bytes.len() != expected {
            return Err(FheError::MaskLength { what: "bytes of a masked update", expected, got: bytes.len() });
        }
        let update = Self { bytes };
        round.check("the masked update", update.digest())?;
        if largest(update.residues()) >= MODULUS {
            let mut words =
                update.residues().as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).enumerate();
            let (index, got) = words.find(|(_, word)| *word >= MODULUS).expect("the largest word is one of them");
            return Err(FheError::MaskResidue { what: "a masked update", index, got });
        }
        Ok(update)
    }

    /// The encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoding, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The digest of the round that the update says it is for.
    pub fn digest(&self) -> &[u8; 32] {
        self.bytes.first_chunk().expect("an update has a header")
    }

    pub(crate) fn residues(&self) -> &[u8] {
        &self.bytes[HEADER..]
    }

    pub(crate) fn residues_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[HEADER..]
    }
}

impl fmt::Debug for MaskedUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MaskedUpdate({} bytes, round {})", self.bytes.len(), blake3::Hash::from(*self.digest()))
    }
}
