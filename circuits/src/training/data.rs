use std::fmt;

use nexus_zk::ligero::{self, Committed, EqualityProof, Parameters, prove_equal, verify_equal};
use nexus_zk::{Base, Transcript};
use p3_field::PrimeCharacteristicRing;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use super::TrainingError;
use crate::reference::Examples;

/// How many bytes of an example one entry of a registered vector holds: `256⁷ < p`.
pub(super) const PACKED: usize = 7;

/// Soundness of what is shown about registered vectors, in bits; leaves room for the other terms below 128.
const LINEAR_BITS: usize = 130;

/// A client's examples, committed to once and proven about in a counted number of rounds.
///
/// Each round opens a copy of its own, made with fresh randomness: a hiding commitment hides for a counted number of
/// openings, and one row of the code would have to be as long as all openings together. That the copies are equal
/// is shown when they are registered, which is the other opening each of them can bear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataCommitment {
    examples: usize,
    features: usize,
    parameters: Parameters,
    copies: Vec<ligero::Commitment>,
}

/// The opening of a [`DataCommitment`]: the examples, and the randomness of every copy that is left.
pub struct DataSecret {
    commitment: DataCommitment,
    /// None where the copy was used.
    copies: Vec<Option<Committed>>,
}

/// Shows that all copies of a [`DataCommitment`] hold the same examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataProof(Option<EqualityProof>);

impl DataCommitment {
    /// The most rounds one commitment may serve.
    pub const MAX_ROUNDS: usize = 1 << 12;

    /// The most entries all copies may have together, an entry being seven bytes of an example. A verifier's memory is
    /// linear in what a commitment claims to have: about fifty bytes an entry.
    pub const MAX_ENTRIES: usize = 1 << 23;

    /// Commits to examples for `rounds` proofs, under a session's name.
    ///
    /// # Errors
    /// [`TrainingError::OutOfRange`] for no examples or rounds, or too many; [`TrainingError::Linear`] if the examples are
    /// more than one commitment holds.
    pub fn new<R: CryptoRng + ?Sized>(
        examples: Examples<'_>,
        rounds: usize,
        session: &[u8],
        rng: &mut R,
    ) -> Result<(Self, DataSecret, DataProof), TrainingError> {
        let range = |field, value: usize, max: usize| {
            if (1..=max).contains(&value) {
                Ok(())
            } else {
                Err(TrainingError::OutOfRange { field, value, min: 1, max })
            }
        };
        range("rounds", rounds, Self::MAX_ROUNDS)?;
        let most = Self::MAX_ENTRIES / rounds / entries(examples.features()).max(1);
        range("examples", examples.len(), most)?;
        let packed = pack(examples);
        let parameters = parameters(packed.len())?;
        let mut copies = (0..rounds)
            .map(|_| Committed::commit(&parameters, &packed, rng).map(|(_, committed)| committed))
            .collect::<Result<Vec<_>, _>>()?;
        let commitment = Self {
            examples: examples.len(),
            features: examples.features(),
            parameters,
            copies: copies.iter().map(Committed::commitment).collect(),
        };
        let proof = if rounds > 1 {
            let mut transcript = commitment.transcript(session);
            let mut all: Vec<&mut Committed> = copies.iter_mut().collect();
            Some(prove_equal(&parameters, &mut all, &mut transcript, rng)?)
        } else {
            None
        };
        let copies = copies.into_iter().map(Some).collect();
        Ok((commitment.clone(), DataSecret { commitment, copies }, DataProof(proof)))
    }

    /// Checks that all copies hold the same examples.
    ///
    /// # Errors
    /// [`TrainingError::Linear`] if the proof fails or there is none where one is needed.
    pub fn verify(&self, proof: &DataProof, session: &[u8]) -> Result<(), TrainingError> {
        match (&proof.0, self.copies.len()) {
            (None, 1) => Ok(()),
            (Some(proof), 2..) => {
                let copies: Vec<&ligero::Commitment> = self.copies.iter().collect();
                Ok(verify_equal(&self.parameters, &copies, proof, &mut self.transcript(session))?)
            }
            (_, copies) => Err(TrainingError::Mismatch { what: "copies of the data", expected: 2, got: copies }),
        }
    }

    /// SHA-256 of everything in the commitment.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// How many examples are committed to.
    pub const fn examples(&self) -> usize {
        self.examples
    }

    /// Input bytes of an example.
    pub const fn features(&self) -> usize {
        self.features
    }

    /// How many proofs it can serve.
    pub fn rounds(&self) -> usize {
        self.copies.len()
    }

    pub(super) const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(super) fn copy(&self, round: usize) -> Result<&ligero::Commitment, TrainingError> {
        let max = self.copies.len() - 1;
        self.copies.get(round).ok_or(TrainingError::OutOfRange { field: "data round", value: round, min: 0, max })
    }

    /// Canonical bytes: version, counts, and the copies.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"nxdata\0\x01".to_vec();
        for count in [self.examples, self.features, self.copies.len()] {
            bytes.extend((count as u64).to_le_bytes());
        }
        self.copies.iter().for_each(|copy| bytes.extend(copy.to_bytes()));
        bytes
    }

    /// A commitment from [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`TrainingError::Malformed`] if the bytes are not a commitment's; the errors of [`Self::new`] for its counts.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TrainingError> {
        let malformed = || TrainingError::Malformed { what: "data commitment" };
        let rest = bytes.strip_prefix(b"nxdata\0\x01").ok_or_else(malformed)?;
        let (head, rest) = rest.split_first_chunk::<24>().ok_or_else(malformed)?;
        let count = |i: usize| {
            let word = head[8 * i..][..8].try_into().map_err(|_| malformed())?;
            usize::try_from(u64::from_le_bytes(word)).map_err(|_| malformed())
        };
        let (examples, features, copies) = (count(0)?, count(1)?, count(2)?);
        let (chunks, tail) = rest.as_chunks::<{ ligero::Commitment::BYTES }>();
        let sizes = (1..=u32::MAX as usize).contains(&examples) && (1..=1 << 24).contains(&features);
        if !tail.is_empty() || chunks.len() != copies || !(1..=Self::MAX_ROUNDS).contains(&copies) || !sizes {
            return Err(malformed());
        }
        let length = examples.checked_mul(entries(features)).ok_or_else(malformed)?;
        if length.saturating_mul(copies) > Self::MAX_ENTRIES {
            let (value, max) = (length.saturating_mul(copies), Self::MAX_ENTRIES);
            return Err(TrainingError::OutOfRange { field: "entries of all copies", value, min: 1, max });
        }
        let parameters = parameters(length)?;
        let copies = chunks.iter().map(|chunk| ligero::Commitment::from_bytes(chunk)).collect::<Result<Vec<_>, _>>()?;
        if copies.iter().any(|copy| copy.length() != length) {
            return Err(malformed());
        }
        Ok(Self { examples, features, parameters, copies })
    }

    fn transcript(&self, session: &[u8]) -> Transcript {
        Transcript::new("cipher-nexus data registration v1", session, &self.to_bytes())
    }
}

impl DataSecret {
    /// The commitment this opens.
    pub const fn commitment(&self) -> &DataCommitment {
        &self.commitment
    }

    /// How many copies are left.
    pub fn rounds_left(&self) -> usize {
        self.copies.iter().flatten().count()
    }

    /// Whether these are the examples that were committed to.
    pub(super) fn holds(&self, examples: Examples<'_>) -> bool {
        let packed = pack(examples);
        let same = (examples.len(), examples.features()) == (self.commitment.examples, self.commitment.features);
        same && self.copies.iter().flatten().next().is_none_or(|copy| copy.message() == packed)
    }

    /// Takes the copy of one round, for good.
    pub(super) fn take(&mut self, round: usize) -> Result<Committed, TrainingError> {
        self.commitment.copy(round)?;
        self.copies[round].take().ok_or(TrainingError::DataSpent { round })
    }
}

impl fmt::Debug for DataSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataSecret").field("commitment", &self.commitment).finish_non_exhaustive()
    }
}

impl DataProof {
    /// The canonical bytes; none for a single copy.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.as_ref().map(EqualityProof::to_bytes).unwrap_or_default()
    }

    /// A proof from its bytes, for a commitment.
    ///
    /// # Errors
    /// [`TrainingError::Linear`] if the bytes are not a proof's.
    pub fn from_bytes(commitment: &DataCommitment, bytes: &[u8]) -> Result<Self, TrainingError> {
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        let (copies, length) = (commitment.copies.len(), commitment.copies[0].length());
        Ok(Self(Some(EqualityProof::from_bytes(&commitment.parameters, copies, length, bytes)?)))
    }
}

/// Entries of an example: its bytes and its label, packed.
pub(super) const fn entries(features: usize) -> usize {
    (features + 1).div_ceil(PACKED)
}

/// The examples as a vector: each one's bytes and label, [`PACKED`] an entry, little-endian.
fn pack(examples: Examples<'_>) -> Vec<Base> {
    let mut packed = Vec::with_capacity(examples.len() * entries(examples.features()));
    for index in 0..examples.len() {
        let (inputs, label) = examples.get(index);
        let bytes: Vec<u8> = inputs.iter().copied().chain([label]).collect();
        packed.extend(
            bytes
                .chunks(PACKED)
                .map(|chunk| Base::from_u64(chunk.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)))),
        );
    }
    packed
}

/// The code in which a vector of so many entries makes the smallest proofs.
fn parameters(length: usize) -> Result<Parameters, TrainingError> {
    let mut best: Option<(usize, Parameters)> = None;
    for bits in 9..=14 {
        let parameters = Parameters::new(1 << bits, 2, LINEAR_BITS)?;
        // Columns of both oracles, and two polynomials of three words a coefficient.
        let size = parameters.queries() * length.div_ceil(parameters.slots()) + 9 * parameters.degree();
        if length <= parameters.max_length() && best.as_ref().is_none_or(|&(least, _)| size < least) {
            best = Some((size, parameters));
        }
    }
    let max = Parameters::new(1 << 14, 2, LINEAR_BITS)?.max_length();
    best.map(|(_, parameters)| parameters).ok_or(TrainingError::OutOfRange {
        field: "entries of the data",
        value: length,
        min: 1,
        max,
    })
}
