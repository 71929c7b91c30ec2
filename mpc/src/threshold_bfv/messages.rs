//! The bodies of the messages that `secagg` does not have.

use nexus_fhe::Parameters;
use nexus_fhe::ring::{Ntt, Poly};
use zeroize::Zeroizing;

use super::layout::Layout;
use super::sharing::Residues;
use crate::MpcError;
use crate::secagg::messages::{Advertisement, x25519_key};
use crate::wire::Reader;

/// Step 1, from a client: the X25519 key to which peers seal shares, 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advertise {
    pub(crate) channel: [u8; 32],
}

impl Advertisement for Advertise {
    const LENGTH: usize = 32;

    fn decode(body: &[u8]) -> Result<Self, MpcError> {
        let mut reader = Reader::new(body);
        let channel = x25519_key(&mut reader, "channel key")?;
        reader.finish("bytes after the advertisement")?;
        Ok(Self { channel })
    }

    fn keys(&self) -> impl Iterator<Item = [u8; 32]> {
        std::iter::once(self.channel)
    }
}

/// Step 3, from a client: the view, then the ciphertext's polynomials.
pub(crate) struct Masked {
    pub(crate) view: [u8; 32],
    pub(crate) chunks: Vec<Poly<Ntt>>,
}

impl Masked {
    pub(crate) fn encode(layout: &Layout, chunks: &[Poly<Ntt>]) -> Vec<u8> {
        let mut body = Vec::with_capacity(layout.masked_length());
        for chunk in chunks {
            pack(layout.ring(), chunk.values(), &mut body);
        }
        body
    }

    pub(crate) fn decode(layout: &Layout, body: &[u8]) -> Result<Self, MpcError> {
        let mut reader = Reader::new(body);
        let view = reader.array("view")?;
        let (ring, packed) = (layout.ring(), reader.rest());
        let expected = layout.masked_length();
        if packed.len() != expected {
            return Err(MpcError::Length { what: "masked vector", expected, got: packed.len() });
        }
        let chunks = packed
            .chunks_exact(expected / layout.chunks())
            .map(|chunk| {
                let residues = unpack(ring, ring.degree(), chunk)?;
                let poly = Poly::from_residues(ring.ciphertext_basis(), residues.to_vec());
                Ok(poly.expect("residues were checked when they were unpacked"))
            })
            .collect::<Result<_, MpcError>>()?;
        Ok(Self { view, chunks })
    }
}

/// Step 5, from a client: the claim, then its share of the sum of the survivors' keys.
pub(crate) struct Release {
    pub(crate) claim: [u8; 32],
    pub(crate) share: Residues,
}

impl Release {
    pub(crate) fn encode(&self, layout: &Layout) -> Vec<u8> {
        let mut body = self.claim.to_vec();
        pack(layout.ring(), &self.share, &mut body);
        body
    }

    pub(crate) fn decode(layout: &Layout, body: &[u8]) -> Result<Self, MpcError> {
        let mut reader = Reader::new(body);
        Ok(Self { claim: reader.array("claim hash")?, share: decode_share(layout, reader.rest())? })
    }
}

/// A share as the plaintext to be sealed.
pub(crate) fn encode_share(layout: &Layout, share: &Residues) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(layout.share_length()));
    pack(layout.ring(), share, &mut bytes);
    bytes
}

pub(crate) fn decode_share(layout: &Layout, bytes: &[u8]) -> Result<Residues, MpcError> {
    let expected = layout.share_length();
    if bytes.len() != expected {
        return Err(MpcError::Length { what: "share of a key", expected, got: bytes.len() });
    }
    unpack(layout.ring(), layout.inner().sharing.blocks(), bytes)
}

/// Bytes of `count` residues modulo each prime.
pub(crate) fn packed_length(ring: &Parameters, count: usize) -> usize {
    ring.ciphertext_basis().moduli().map(|q| (count * q.bits() as usize).div_ceil(8)).sum()
}

/// As many residues modulo each prime, each in the bits of its prime, the first in the lowest bits of the first byte; the
/// rest of a prime's last byte is zero.
fn pack(ring: &Parameters, residues: &[u64], bytes: &mut Vec<u8>) {
    let basis = ring.ciphertext_basis();
    for (q, residues) in basis.moduli().zip(residues.chunks_exact(residues.len() / basis.len())) {
        let (mut pending, mut filled) = (0_u64, 0);
        for residue in residues {
            pending |= residue << filled;
            filled += q.bits();
            while filled >= 8 {
                bytes.push(pending as u8);
                pending >>= 8;
                filled -= 8;
            }
        }
        if filled > 0 {
            bytes.push(pending as u8);
        }
    }
}

/// `count` residues modulo each prime, from as many bytes as they take.
fn unpack(ring: &Parameters, count: usize, bytes: &[u8]) -> Result<Residues, MpcError> {
    let basis = ring.ciphertext_basis();
    let mut residues = Zeroizing::new(Vec::with_capacity(count * basis.len()));
    let mut reader = Reader::new(bytes);
    for q in basis.moduli() {
        let mut bytes = reader.take("residues", (count * q.bits() as usize).div_ceil(8))?.iter();
        let (mut pending, mut filled) = (0_u64, 0);
        for _ in 0..count {
            while filled < q.bits() {
                pending |= u64::from(*bytes.next().expect("as many bytes as the residues take")) << filled;
                filled += 8;
            }
            let residue = pending & ((1 << q.bits()) - 1);
            if residue >= q.value() {
                return Err(MpcError::Malformed { what: "a residue below its prime" });
            }
            residues.push(residue);
            pending >>= q.bits();
            filled -= q.bits();
        }
        if pending != 0 {
            return Err(MpcError::Malformed { what: "bits after the last residue" });
        }
    }
    reader.finish("bytes after the residues")?;
    Ok(residues)
}
