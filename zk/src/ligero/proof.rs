use p3_field::{PrimeCharacteristicRing, PrimeField64};

use super::merkle::Digest;
use super::{LigeroError, Parameters};
use crate::{Base, EXTENSION_DEGREE, Ext, ext_from_bytes, ext_to_bytes};

/// A proof of the value of a linear functional of committed vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearProof {
    /// The `K` coefficients of the proximity test's polynomial.
    pub(super) proximity: Vec<Ext>,
    /// The `2K − 1` coefficients of the linear test's polynomial.
    pub(super) linear: Vec<Ext>,
    pub(super) work: Base,
    /// One per oracle, the fresh one last.
    pub(super) openings: Vec<Opening>,
}

/// The opened columns of one oracle, in the order of their positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) columns: Vec<Base>,
    pub(super) salts: Vec<Digest>,
    pub(super) path: Vec<Digest>,
}

/// How wide every oracle's columns are: what the statement alone says of a proof's shape.
pub(super) fn widths(parameters: &Parameters, lengths: impl Iterator<Item = usize>, pads: usize) -> Vec<usize> {
    let fresh = parameters.fresh_rows(pads).saturating_add(MASK_ROWS);
    lengths.map(|length| parameters.rows(length)).chain([fresh]).collect()
}

/// The coordinates of two masks.
pub(super) const MASK_ROWS: usize = 2 * EXTENSION_DEGREE;

impl LinearProof {
    /// The canonical bytes.
    ///
    /// Coefficients of both polynomials, the work, how many positions there are, and for each oracle columns, salts,
    /// how many digests its path has, and these; words are little-endian, counts have four bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = polynomial_bytes(&self.proximity);
        bytes.extend(polynomial_bytes(&self.linear));
        bytes.extend(self.work.as_canonical_u64().to_le_bytes());
        let positions = self.openings.last().map_or(0, |opening| opening.salts.len());
        bytes.extend((positions as u32).to_le_bytes());
        for opening in &self.openings {
            for entry in &opening.columns {
                bytes.extend(entry.as_canonical_u64().to_le_bytes());
            }
            bytes.extend(opening.salts.as_flattened());
            bytes.extend((opening.path.len() as u32).to_le_bytes());
            bytes.extend(opening.path.as_flattened());
        }
        bytes
    }

    /// A proof from [`Self::to_bytes`], for commitments of the given lengths and a number of pads.
    ///
    /// # Errors
    /// [`LigeroError::Bytes`] if there are too few or too many bytes, [`LigeroError::Encoding`] for an element that is
    /// not canonical or a count that no proof under these parameters has.
    pub fn from_bytes(
        parameters: &Parameters,
        lengths: &[usize],
        pads: usize,
        bytes: &[u8],
    ) -> Result<Self, LigeroError> {
        let mut reader = Reader { bytes, at: 0 };
        let proof = Self::read(parameters, lengths, pads, &mut reader)?;
        if reader.at != bytes.len() {
            return Err(LigeroError::Bytes { expected: reader.at, got: bytes.len() });
        }
        Ok(proof)
    }

    fn read(
        parameters: &Parameters,
        lengths: &[usize],
        pads: usize,
        reader: &mut Reader<'_>,
    ) -> Result<Self, LigeroError> {
        let proximity = reader.extensions(parameters.degree())?;
        let linear = reader.extensions(2 * parameters.degree() - 1)?;
        let work = reader.bases(1)?[0];
        let positions = reader.count("the number of positions", parameters.queries())?;
        let depth = parameters.length().trailing_zeros() as usize;
        let openings = widths(parameters, lengths.iter().copied(), pads)
            .into_iter()
            .map(|width| {
                let columns = reader.bases(positions.saturating_mul(width))?;
                let salts = reader.digests(positions)?;
                let path = reader.count("the length of a path", positions * depth)?;
                Ok(Opening { columns, salts, path: reader.digests(path)? })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { proximity, linear, work, openings })
    }
}

/// Canonical bytes of a polynomial or a functional, as they are sent and absorbed.
pub(super) fn polynomial_bytes(coefficients: &[Ext]) -> Vec<u8> {
    coefficients.iter().flat_map(|&coefficient| ext_to_bytes(coefficient)).collect()
}

/// Reads from bytes that anyone may have made; nothing is allocated before the bytes for it are there.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, size: usize) -> Result<&'a [u8], LigeroError> {
        let end = count.saturating_mul(size).saturating_add(self.at);
        let taken = self.bytes.get(self.at..end);
        self.at = end;
        taken.ok_or(LigeroError::Bytes { expected: end, got: self.bytes.len() })
    }

    fn count(&mut self, what: &'static str, most: usize) -> Result<usize, LigeroError> {
        let bytes = self.take(1, 4)?.try_into().expect("a count has four bytes");
        let count = u32::from_le_bytes(bytes) as usize;
        if count <= most { Ok(count) } else { Err(LigeroError::Encoding { what }) }
    }

    fn extensions(&mut self, count: usize) -> Result<Vec<Ext>, LigeroError> {
        let (chunks, _) = self.take(count, 24)?.as_chunks::<24>();
        chunks
            .iter()
            .map(|chunk| ext_from_bytes(chunk).ok_or(LigeroError::Encoding { what: "an extension element" }))
            .collect()
    }

    fn bases(&mut self, count: usize) -> Result<Vec<Base>, LigeroError> {
        let (chunks, _) = self.take(count, 8)?.as_chunks::<8>();
        chunks
            .iter()
            .map(|chunk| match u64::from_le_bytes(*chunk) {
                word if word < Base::ORDER_U64 => Ok(Base::from_u64(word)),
                _ => Err(LigeroError::Encoding { what: "a base element" }),
            })
            .collect()
    }

    fn digests(&mut self, count: usize) -> Result<Vec<Digest>, LigeroError> {
        Ok(self.take(count, 32)?.as_chunks::<32>().0.to_vec())
    }
}
