use nexus_zk::argument::{self, TransparentProof as ZkTransparentProof};
use nexus_zk::{SecurityReport, ligero};
use rand_core::CryptoRng;

use super::witness::Witness;
use super::{DataSecret, ModelCommitment, ModelSecret, StartModel, Statement, TrainingError};
use crate::reference::{Clipped, Examples, Products, TrainError, Weights};

/// What training gave, for its owner alone.
#[derive(Debug)]
pub struct Trained {
    /// The model after the last step.
    pub weights: Weights,
    /// The clipped update, if the statement has a clip.
    pub update: Option<Clipped>,
    /// What opens the proof's commitment to the end model, if the statement asks for one.
    pub end: Option<ModelSecret>,
}

/// A zero-knowledge proof of a [`Statement`].
///
/// # Security
/// Soundness is computed by [`Statement::security_report`]. Zero knowledge is that of `nexus_zk::argument::Proof`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    end: Option<ModelCommitment>,
    argument: argument::Proof,
}

/// A proof of a [`Statement`] that is **not** zero-knowledge: it tells values about the examples and the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransparentProof {
    end: Option<ModelCommitment>,
    argument: ZkTransparentProof,
}

/// What the bytes of a proof begin with that brings a commitment to the end model.
const WITH_END: [u8; 8] = *b"nxend\0\0\x01";

macro_rules! proof {
    ($name:ident, $inner:ty) => {
        impl $name {
            /// Trains by a statement whose start model is public, and proves it, within a session.
            ///
            /// The data's copy of the statement's round is used up, even if proving fails after it was taken.
            ///
            /// # Errors
            /// [`TrainingError::OtherData`] if the secret or the examples are not those of the statement's commitment,
            /// [`TrainingError::OtherModel`] if the start model is not public, [`TrainingError::DataSpent`] if the
            /// round's copy was used, and those of training.
            pub fn new<P: Products, R: CryptoRng + ?Sized>(
                statement: &Statement,
                data: &mut DataSecret,
                examples: Examples<'_>,
                products: P,
                session: &[u8],
                rng: &mut R,
            ) -> Result<(Self, Trained), TrainingError> {
                let start = statement.start().public().ok_or(TrainingError::OtherModel)?;
                Self::from_start(statement, start, None, data, examples, products, session, rng)
            }

            /// As [`Self::new`], from a model that was committed to, of which this takes a use.
            ///
            /// # Errors
            /// As [`Self::new`], [`TrainingError::OtherModel`] if the statement starts elsewhere, and
            /// [`TrainingError::Proof`] if no use is left.
            pub fn continued<P: Products, R: CryptoRng + ?Sized>(
                statement: &Statement,
                model: &mut ModelSecret,
                data: &mut DataSecret,
                examples: Examples<'_>,
                products: P,
                session: &[u8],
                rng: &mut R,
            ) -> Result<(Self, Trained), TrainingError> {
                if *statement.start() != StartModel::Committed(model.commitment()) {
                    return Err(TrainingError::OtherModel);
                }
                let start = model.weights().clone();
                start.validate(statement.plan().format())?;
                Self::from_start(statement, &start, Some(model), data, examples, products, session, rng)
            }

            #[expect(clippy::too_many_arguments, reason = "one call from each of the two ways to start")]
            fn from_start<P: Products, R: CryptoRng + ?Sized>(
                statement: &Statement,
                start: &Weights,
                model: Option<&mut ModelSecret>,
                data: &mut DataSecret,
                examples: Examples<'_>,
                products: P,
                session: &[u8],
                rng: &mut R,
            ) -> Result<(Self, Trained), TrainingError> {
                if data.commitment() != statement.data() || !data.holds(examples) {
                    return Err(TrainingError::OtherData);
                }
                let relation = &statement.relation;
                let witness = Witness::new(relation, start, examples, &statement.schedule, products);
                let Witness { vector, trained, update } = witness.map_err(|error| match error {
                    TrainError::Refused(error) => TrainingError::Refused(error),
                    TrainError::Products(error) => TrainingError::Products(error.to_string()),
                })?;
                let mut end = if statement.commits_to_the_end() {
                    Some(ModelCommitment::new(trained.clone(), statement.data(), rng)?.1)
                } else {
                    None
                };
                let mut copy = data.take(statement.round())?;
                let mut registered = vec![&mut copy];
                registered.extend(model.map(|model| &mut model.committed));
                registered.extend(end.as_mut().map(|end| &mut end.committed));
                let argument = <$inner>::new(
                    relation,
                    vector,
                    &mut registered,
                    &statement.security(),
                    &mut statement.transcript(session),
                    rng,
                )?;
                let proof = Self { end: end.as_ref().map(ModelSecret::commitment), argument };
                Ok((proof, Trained { weights: trained, update, end }))
            }

            /// Verifies the statement within its session.
            ///
            /// # Errors
            /// [`TrainingError::Proof`] if the proof does not show it, [`TrainingError::Mismatch`] if it has no commitment
            /// to an end model of the plan's shape where the statement asks for one, or has one where it does not.
            pub fn verify(&self, statement: &Statement, session: &[u8]) -> Result<(), TrainingError> {
                let parameters = statement.plan().shape().parameters();
                let expected = if statement.commits_to_the_end() { parameters } else { 0 };
                let got = self.end.map_or(0, |end| end.parameters());
                if expected != got {
                    return Err(TrainingError::Mismatch { what: "parameters of the end model", expected, got });
                }
                let mut registered: Vec<&ligero::Commitment> = vec![statement.data().copy(statement.round())?];
                registered.extend(statement.committed_start().map(|start| &start.0));
                registered.extend(self.end.as_ref().map(|end| &end.0));
                let transcript = &mut statement.transcript(session);
                Ok(self.argument.verify(&statement.relation, &registered, &statement.security(), transcript)?)
            }

            /// The commitment to the end model, if the statement asks for one: another proof can start from it.
            pub const fn end(&self) -> Option<&ModelCommitment> {
                self.end.as_ref()
            }

            /// The canonical bytes.
            pub fn to_bytes(&self) -> Vec<u8> {
                let mut bytes = Vec::new();
                if let Some(end) = &self.end {
                    bytes.extend(WITH_END);
                    bytes.extend(end.to_bytes());
                }
                bytes.extend(self.argument.to_bytes());
                bytes
            }

            /// A proof from its bytes.
            ///
            /// # Errors
            /// [`TrainingError::Proof`] or [`TrainingError::Linear`] if they are not a proof's.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, TrainingError> {
                let (end, rest) = match bytes.strip_prefix(&WITH_END) {
                    Some(rest) => {
                        let (end, rest) = rest
                            .split_at_checked(ModelCommitment::BYTES)
                            .ok_or(TrainingError::Malformed { what: "end model" })?;
                        (Some(ModelCommitment::from_bytes(end)?), rest)
                    }
                    None => (None, bytes),
                };
                Ok(Self { end, argument: <$inner>::from_bytes(rest)? })
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
