use std::fmt;

use p3_field::PrimeCharacteristicRing;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use rand::RngExt;
use rand_core::CryptoRng;
use rayon::prelude::*;
use zeroize::ZeroizeOnDrop;

use super::code::{Code, coordinates, join, wipe};
use super::merkle::{Digest, Tree, leaf};
use super::{LigeroError, Parameters};
use crate::{Base, EXTENSION_DEGREE, Ext};

/// A commitment to a vector of base elements: the root of the tree over its codewords' columns, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Commitment {
    pub(super) root: Digest,
    pub(super) length: u64,
}

impl Commitment {
    /// How many bytes [`Self::to_bytes`] gives.
    pub const BYTES: usize = 40;

    /// How many entries the vector has.
    pub const fn length(&self) -> usize {
        self.length as usize
    }

    /// The root, then the length as a little-endian word.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(&self.root);
        bytes[32..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    /// A commitment from [`Self::to_bytes`]. Whether the length suits the parameters is seen by whoever uses it.
    ///
    /// # Errors
    /// [`LigeroError::Bytes`] for another number of bytes, [`LigeroError::Encoding`] for a length that no parameters
    /// allow.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LigeroError> {
        let wrong = LigeroError::Bytes { expected: Self::BYTES, got: bytes.len() };
        let bytes: &[u8; Self::BYTES] = bytes.try_into().map_err(|_| wrong)?;
        let (root, length) = bytes.split_at(32);
        let length = u64::from_le_bytes(length.try_into().expect("eight bytes follow the root"));
        // A row has at most 2¹⁶ slots.
        if length == 0 || length > (Parameters::MAX_ROWS as u64) << 16 {
            return Err(LigeroError::Encoding { what: "the length of a committed vector" });
        }
        Ok(Self { root: root.try_into().expect("the root has 32 bytes"), length })
    }
}

/// A committed vector with all that opens it. One opening takes one of its uses.
///
/// Zeroed on drop, best effort: the transforms' temporary copies are not.
pub struct Committed {
    pub(super) parameters: Parameters,
    pub(super) commitment: Commitment,
    pub(super) oracle: Oracle,
    pub(super) uses_left: usize,
    message: Vec<Base>,
}

impl Committed {
    /// Commits to a vector. Hiding as long as it is opened at most [`Parameters::uses`] times.
    ///
    /// Costs one transform of length `N` and `8N` bytes of memory for every row of [`Parameters::slots`] entries, and
    /// `2N` hashes.
    ///
    /// # Errors
    /// [`LigeroError::Length`] if the vector is empty or longer than [`Parameters::max_length`].
    ///
    /// # Security
    /// The uses are counted in memory alone. Whoever commits again to the same vector, with randomness of its own, gets
    /// a commitment with uses of its own; whoever restores this state from a copy, and opens both, loses the hiding.
    pub fn commit<R: CryptoRng + ?Sized>(
        parameters: &Parameters,
        message: &[Base],
        rng: &mut R,
    ) -> Result<(Commitment, Self), LigeroError> {
        if message.is_empty() || message.len() > parameters.max_length() {
            return Err(LigeroError::Length { got: message.len(), most: parameters.max_length() });
        }
        let values = lay(message, parameters.slots(), parameters.degree(), rng);
        let oracle = Oracle::new(&Code::new(parameters), values, &[], random_salts(parameters, rng));
        let commitment = Commitment { root: oracle.tree.root(), length: message.len() as u64 };
        let uses_left = parameters.uses();
        let message = message.to_vec();
        Ok((commitment, Self { parameters: *parameters, commitment, oracle, uses_left, message }))
    }

    /// The vector.
    pub fn message(&self) -> &[Base] {
        &self.message
    }

    /// The commitment.
    pub const fn commitment(&self) -> Commitment {
        self.commitment
    }

    /// How often it can still be opened.
    pub const fn uses_left(&self) -> usize {
        self.uses_left
    }
}

impl fmt::Debug for Committed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({:?}, {} uses left)", self.commitment, self.uses_left)
    }
}

impl Drop for Committed {
    fn drop(&mut self) {
        wipe(&mut self.message);
    }
}

impl ZeroizeOnDrop for Committed {}

/// The commitment that one opening brings along: the root over its pads and masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FreshCommitment(pub(super) Digest);

impl FreshCommitment {
    /// How many bytes it has.
    pub const BYTES: usize = 32;

    /// The root.
    pub const fn to_bytes(&self) -> [u8; Self::BYTES] {
        self.0
    }

    /// The commitment with this root; any 32 bytes may be one.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }
}

/// What one opening uses up: pads, a vector of extension elements that may be empty, and the masks of the two tests.
///
/// Zeroed on drop, best effort.
pub struct Fresh {
    pub(super) parameters: Parameters,
    pub(super) commitment: FreshCommitment,
    pub(super) oracle: Oracle,
    /// A uniform polynomial of degree below `K`.
    pub(super) proximity_mask: Vec<Ext>,
    /// A polynomial of degree below `2K − 1`, uniform among those that sum to zero over the message points.
    pub(super) sum_mask: Vec<Ext>,
    pads: Vec<Ext>,
}

impl Fresh {
    /// Commits to pads and draws the masks. Costs as [`Committed::commit`] does, with six rows more.
    ///
    /// # Errors
    /// [`LigeroError::Length`] if there are too many pads.
    pub fn commit<R: CryptoRng + ?Sized>(
        parameters: &Parameters,
        pads: &[Ext],
        rng: &mut R,
    ) -> Result<(FreshCommitment, Self), LigeroError> {
        if parameters.fresh_rows(pads.len()) > Parameters::MAX_ROWS {
            let most = Parameters::MAX_ROWS * parameters.fresh_slots() / EXTENSION_DEGREE;
            return Err(LigeroError::Length { got: pads.len(), most });
        }
        let degree = parameters.degree();
        let mut entries: Vec<Base> = pads.iter().flat_map(|pad| coordinates(*pad)).collect();
        let values = lay(&entries, parameters.fresh_slots(), degree, rng);
        wipe(&mut entries);
        let proximity_mask = random_polynomial(degree, rng);
        let mut sum_mask = random_polynomial(2 * degree - 1, rng);
        // X^j sums to K over the message points if K divides j, and to zero otherwise.
        sum_mask[0] = -sum_mask[degree];
        let fresh =
            Self::with_masks(parameters, pads, values, [proximity_mask, sum_mask], random_salts(parameters, rng));
        Ok((fresh.commitment, fresh))
    }

    /// The fresh oracle of given rows and masks.
    pub(super) fn with_masks(
        parameters: &Parameters,
        pads: &[Ext],
        values: RowMajorMatrix<Base>,
        [proximity_mask, sum_mask]: [Vec<Ext>; 2],
        salts: Vec<Digest>,
    ) -> Self {
        let oracle = Oracle::new(&Code::new(parameters), values, &[&proximity_mask, &sum_mask], salts);
        let commitment = FreshCommitment(oracle.tree.root());
        Self { parameters: *parameters, commitment, oracle, proximity_mask, sum_mask, pads: pads.to_vec() }
    }

    /// The pads.
    pub fn pads(&self) -> &[Ext] {
        &self.pads
    }

    /// The commitment.
    pub const fn commitment(&self) -> FreshCommitment {
        self.commitment
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({:?}, {} pads)", self.commitment, self.pads.len())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        wipe(&mut self.pads);
        wipe(&mut self.proximity_mask);
        wipe(&mut self.sum_mask);
    }
}

impl ZeroizeOnDrop for Fresh {}

/// Rows and masks, their codewords, and the salted tree over the codewords' columns.
pub(super) struct Oracle {
    /// `K` by the number of rows: the message rows' coefficients.
    pub(super) coefficients: RowMajorMatrix<Base>,
    /// `N` by the number of rows and of the masks' coordinates: one matrix row is one column of the interleaved code.
    pub(super) word: RowMajorMatrix<Base>,
    pub(super) salts: Vec<Digest>,
    pub(super) tree: Tree,
}

impl Oracle {
    /// The oracle of message rows, given as their values on the message points, and of masks, given by coefficients.
    pub(super) fn new(code: &Code, values: RowMajorMatrix<Base>, masks: &[&[Ext]], salts: Vec<Digest>) -> Self {
        let (degree, rows) = (values.height(), values.width());
        let coefficients = code.interpolate(values);
        let width = rows + EXTENSION_DEGREE * masks.len();
        let height = masks.iter().map(|mask| mask.len()).max().unwrap_or(0).max(degree);
        let mut all = RowMajorMatrix::new(Base::zero_vec(height * width), width);
        for (to, from) in all.values.chunks_exact_mut(width).zip(coefficients.values.chunks_exact(rows.max(1))) {
            to[..rows].copy_from_slice(from);
        }
        for (index, mask) in masks.iter().enumerate() {
            let start = rows + EXTENSION_DEGREE * index;
            for (to, &from) in all.values.chunks_exact_mut(width).zip(*mask) {
                to[start..start + EXTENSION_DEGREE].copy_from_slice(&coordinates(from));
            }
        }
        let word = code.encode(&all);
        wipe(&mut all.values);
        let leaves: Vec<Digest> = salts
            .par_iter()
            .zip(word.values.par_chunks_exact(width))
            .map(|(salt, column)| leaf(salt, column))
            .collect();
        Self { coefficients, word, salts, tree: Tree::new(&leaves) }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        wipe(&mut self.coefficients.values);
        wipe(&mut self.word.values);
        self.salts.fill([0; 32]);
        std::hint::black_box(&mut self.salts);
    }
}

/// Lays a vector out in rows, on the first `slots` of `degree` message points, and fills the others at random.
fn lay<R: CryptoRng + ?Sized>(message: &[Base], slots: usize, degree: usize, rng: &mut R) -> RowMajorMatrix<Base> {
    let rows = message.len().div_ceil(slots);
    let mut values = RowMajorMatrix::new(Base::zero_vec(degree * rows), rows);
    for (row, part) in message.chunks(slots).enumerate() {
        for slot in 0..degree {
            values.values[slot * rows + row] =
                if slot < slots { part.get(slot).copied().unwrap_or_default() } else { rng.random::<Base>() };
        }
    }
    values
}

fn random_polynomial<R: CryptoRng + ?Sized>(coefficients: usize, rng: &mut R) -> Vec<Ext> {
    (0..coefficients).map(|_| join(&std::array::from_fn::<Base, EXTENSION_DEGREE, _>(|_| rng.random()))).collect()
}

fn random_salts<R: CryptoRng + ?Sized>(parameters: &Parameters, rng: &mut R) -> Vec<Digest> {
    let mut salts = vec![[0; 32]; parameters.length()];
    rng.fill_bytes(salts.as_flattened_mut());
    salts
}
