use nexus_zk::argument::{self, TransparentProof as ZkTransparentProof};
use nexus_zk::{SecurityReport, ligero};
use rand_core::CryptoRng;

use super::witness::Witness;
use super::{DataSecret, Statement, TrainingError};
use crate::reference::{Clipped, Examples, Products, TrainError, Weights};

/// What training gave, for its owner alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trained {
    /// The model after the last step.
    pub weights: Weights,
    /// The clipped update, if the statement has a clip.
    pub update: Option<Clipped>,
}

/// A zero-knowledge proof of a [`Statement`].
///
/// # Security
/// Soundness is computed by [`Statement::security_report`]. Zero knowledge is that of `nexus_zk::argument::Proof`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof(argument::Proof);

/// A proof of a [`Statement`] that is **not** zero-knowledge: it tells values about the examples and the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransparentProof(ZkTransparentProof);

macro_rules! proof {
    ($name:ident, $inner:ty) => {
        impl $name {
            /// Trains by the statement and proves it, within a session.
            ///
            /// The data's copy of the statement's round is used up, even if proving fails after it was taken.
            ///
            /// # Errors
            /// [`TrainingError::OtherData`] if the secret or the examples are not those of the statement's commitment,
            /// [`TrainingError::DataSpent`] if the round's copy was used, and those of training.
            pub fn new<P: Products, R: CryptoRng + ?Sized>(
                statement: &Statement,
                data: &mut DataSecret,
                examples: Examples<'_>,
                products: P,
                session: &[u8],
                rng: &mut R,
            ) -> Result<(Self, Trained), TrainingError> {
                if data.commitment() != statement.data() || !data.holds(examples) {
                    return Err(TrainingError::OtherData);
                }
                let witness =
                    Witness::new(&statement.relation, examples, &statement.schedule, products).map_err(|error| {
                        match error {
                            TrainError::Refused(error) => TrainingError::Refused(error),
                            TrainError::Products(error) => TrainingError::Products(error.to_string()),
                        }
                    })?;
                let mut copy = data.take(statement.round())?;
                let Witness { vector, trained, update } = witness;
                let proof = <$inner>::new(
                    &statement.relation,
                    vector,
                    &mut [&mut copy],
                    &statement.security(),
                    &mut statement.transcript(session),
                    rng,
                )?;
                Ok((Self(proof), Trained { weights: trained, update }))
            }

            /// Verifies the statement within its session.
            ///
            /// # Errors
            /// [`TrainingError::Proof`] if the proof does not show it.
            pub fn verify(&self, statement: &Statement, session: &[u8]) -> Result<(), TrainingError> {
                let copy: &ligero::Commitment = statement.data().copy(statement.round())?;
                let transcript = &mut statement.transcript(session);
                Ok(self.0.verify(&statement.relation, &[copy], &statement.security(), transcript)?)
            }

            /// The canonical bytes.
            pub fn to_bytes(&self) -> Vec<u8> {
                self.0.to_bytes()
            }

            /// A proof from its bytes.
            ///
            /// # Errors
            /// [`TrainingError::Proof`] if they are not a proof's.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, TrainingError> {
                Ok(Self(<$inner>::from_bytes(bytes)?))
            }
        }
    };
}

proof!(Proof, argument::Proof);
proof!(TransparentProof, ZkTransparentProof);

impl Statement {
    /// The soundness error of a proof of this statement, term by term.
    ///
    /// # Errors
    /// [`TrainingError::Proof`] if there are no parameters for so large a statement.
    pub fn security_report(&self) -> Result<SecurityReport, TrainingError> {
        Ok(argument::Proof::security(&self.relation, &self.security())?)
    }
}
