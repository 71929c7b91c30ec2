use std::fmt;

use nexus_zk::ligero::{self, Committed};
use nexus_zk::{Base, from_signed};
use rand_core::CryptoRng;

use super::{DataCommitment, TrainingError};
use crate::reference::Weights;

/// A commitment to a model that stays with its owner: where one proof of training ends and another one starts.
///
/// It bears two openings, as the end of one proof and as the start of another. A third is refused: it would no longer
/// hide the model. Whoever goes on from a model more than once commits to it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelCommitment(pub(super) ligero::Commitment);

/// The opening of a [`ModelCommitment`]: the model, and the commitment's randomness.
pub struct ModelSecret {
    weights: Weights,
    pub(super) committed: Committed,
}

/// The model that training starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartModel {
    /// Known to everybody.
    Public(Weights),
    /// Known to its owner.
    Committed(ModelCommitment),
}

impl ModelCommitment {
    /// How many bytes [`Self::to_bytes`] gives.
    pub const BYTES: usize = ligero::Commitment::BYTES;

    /// Commits to a model, for proofs about `data`: one opening shows both, so they share a code.
    ///
    /// # Errors
    /// [`TrainingError::Linear`] if the model has more parameters than the data's code holds.
    pub fn new<R: CryptoRng + ?Sized>(
        weights: Weights,
        data: &DataCommitment,
        rng: &mut R,
    ) -> Result<(Self, ModelSecret), TrainingError> {
        let (commitment, committed) = Committed::commit(data.parameters(), &entries(&weights), rng)?;
        Ok((Self(commitment), ModelSecret { weights, committed }))
    }

    /// How many parameters the model has.
    pub const fn parameters(&self) -> usize {
        self.0.length()
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        self.0.to_bytes()
    }

    /// A commitment from [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`TrainingError::Linear`] if the bytes are not a commitment's.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TrainingError> {
        Ok(Self(ligero::Commitment::from_bytes(bytes)?))
    }
}

impl ModelSecret {
    /// The commitment this opens.
    pub const fn commitment(&self) -> ModelCommitment {
        ModelCommitment(self.committed.commitment())
    }

    /// The model.
    pub const fn weights(&self) -> &Weights {
        &self.weights
    }

    /// In how many more proofs it can stand.
    pub const fn uses_left(&self) -> usize {
        self.committed.uses_left()
    }
}

impl fmt::Debug for ModelSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({:?})", self.commitment())
    }
}

impl From<Weights> for StartModel {
    fn from(weights: Weights) -> Self {
        Self::Public(weights)
    }
}

impl From<ModelCommitment> for StartModel {
    fn from(commitment: ModelCommitment) -> Self {
        Self::Committed(commitment)
    }
}

impl StartModel {
    /// The parameters that everybody knows.
    pub const fn public(&self) -> Option<&Weights> {
        match self {
            Self::Public(weights) => Some(weights),
            Self::Committed(_) => None,
        }
    }
}

/// One entry a parameter.
fn entries(weights: &Weights) -> Vec<Base> {
    weights.values().iter().map(|&weight| from_signed(weight.into())).collect()
}
