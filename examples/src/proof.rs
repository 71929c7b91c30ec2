use std::fmt;

use nexus_circuits::reference::{Examples, Products};
use nexus_circuits::training::{DataSecret, Proof, Statement, Trained, TrainingError, TransparentProof};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// Whether a proof hides what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofKind {
    /// It tells nothing but that its statement holds.
    ZeroKnowledge,
    /// It is sound and tells values about the examples and the model.
    Transparent,
}

impl fmt::Display for ProofKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroKnowledge => "zero-knowledge",
            Self::Transparent => "transparent",
        })
    }
}

/// A proof of training of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrainingProof {
    /// A zero-knowledge proof.
    ZeroKnowledge(Box<Proof>),
    /// A proof that is **not** zero-knowledge.
    Transparent(Box<TransparentProof>),
}

impl TrainingProof {
    /// Trains by the statement and proves it.
    ///
    /// # Errors
    /// Those of [`Proof::new`].
    pub fn new<P: Products, R: CryptoRng + ?Sized>(
        kind: ProofKind,
        statement: &Statement,
        data: &mut DataSecret,
        examples: Examples<'_>,
        products: P,
        session: &[u8],
        rng: &mut R,
    ) -> Result<(Self, Trained), TrainingError> {
        Ok(match kind {
            ProofKind::ZeroKnowledge => {
                let (proof, trained) = Proof::new(statement, data, examples, products, session, rng)?;
                (Self::ZeroKnowledge(Box::new(proof)), trained)
            }
            ProofKind::Transparent => {
                let (proof, trained) = TransparentProof::new(statement, data, examples, products, session, rng)?;
                (Self::Transparent(Box::new(proof)), trained)
            }
        })
    }

    /// Which kind it is.
    pub const fn kind(&self) -> ProofKind {
        match self {
            Self::ZeroKnowledge(_) => ProofKind::ZeroKnowledge,
            Self::Transparent(_) => ProofKind::Transparent,
        }
    }

    /// Verifies the statement within its session.
    ///
    /// # Errors
    /// [`TrainingError::Proof`] if the proof does not show it.
    pub fn verify(&self, statement: &Statement, session: &[u8]) -> Result<(), TrainingError> {
        match self {
            Self::ZeroKnowledge(proof) => proof.verify(statement, session),
            Self::Transparent(proof) => proof.verify(statement, session),
        }
    }

    /// The canonical bytes, the kind included.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::ZeroKnowledge(proof) => proof.to_bytes(),
            Self::Transparent(proof) => proof.to_bytes(),
        }
    }

    /// A proof of this kind from its bytes.
    ///
    /// # Errors
    /// [`TrainingError::Proof`] if they are not such a proof's.
    pub fn from_bytes(kind: ProofKind, bytes: &[u8]) -> Result<Self, TrainingError> {
        Ok(match kind {
            ProofKind::ZeroKnowledge => Self::ZeroKnowledge(Box::new(Proof::from_bytes(bytes)?)),
            ProofKind::Transparent => Self::Transparent(Box::new(TransparentProof::from_bytes(bytes)?)),
        })
    }
}
