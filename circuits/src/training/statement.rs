use nexus_zk::Transcript;
use nexus_zk::argument::Security;
use nexus_zk::pcs::MAX_VARIABLES;
use sha2::{Digest, Sha256};

use super::relation::{Models, Relation};
use super::{DataCommitment, ModelCommitment, StartModel, TrainingError};
use crate::reference::{Clip, FixedPoint, Schedule, TrainingPlan};

/// Soundness of the committed vector's opening, in bits; leaves room for the other terms below 128.
const OPENING_BITS: usize = 129;

/// What a proof of training says: everything that is public about it.
///
/// "I know examples that are committed to in `data` (and a start model, where it is committed to), such that
/// `plan.steps()` steps of fixed-point SGD from `start` in the order of the schedule give some model (the one the proof
/// commits to, where it does), and (where there is a clip) an update of it within the bound." The model and the update stay
/// private: the proof binds its maker to them, and shows them to nobody. The clip's scale is the
/// prover's choice below the greatest, so "an update within the bound" is not "the greatest such update".
///
/// Whoever verifies proofs of several rounds checks once, by [`DataCommitment::verify`], that the data's copies are equal;
/// a proof of one round speaks of its own copy alone.
#[derive(Clone, Debug)]
pub struct Statement {
    start: StartModel,
    data: DataCommitment,
    round: usize,
    seed: [u8; 32],
    pub(super) schedule: Schedule,
    pub(super) relation: Relation,
}

impl Statement {
    /// A statement about the data's copy number `round`, from zero, with batches in the order of `seed`.
    ///
    /// `seed` must be fixed after the data was committed to, as [`Schedule::seed`] makes it.
    ///
    /// # Errors
    /// [`TrainingError::Refused`] if the start model or the clip does not fit the plan, or a sum could wrap;
    /// [`TrainingError::Mismatch`] if the data has other features, [`TrainingError::OutOfRange`] for a
    /// round beyond the data's, and more than 256 classes.
    pub fn new(
        plan: TrainingPlan,
        start: impl Into<StartModel>,
        data: DataCommitment,
        round: usize,
        seed: [u8; 32],
        clip: Option<Clip>,
    ) -> Result<Self, TrainingError> {
        let shape = plan.shape();
        // Inputs and the label are packed as bytes.
        if shape.outputs() > 256 {
            return Err(TrainingError::OutOfRange { field: "classes", value: shape.outputs(), min: 1, max: 256 });
        }
        let same = |what, expected, got| {
            if expected == got { Ok(()) } else { Err(TrainingError::Mismatch { what, expected, got }) }
        };
        same("features of the data", shape.inputs(), data.features())?;
        let start = start.into();
        match &start {
            StartModel::Public(weights) => {
                same("parameters of the start model", shape.parameters(), weights.values().len())?;
                if weights.shape() != shape {
                    return Err(TrainingError::OtherModel);
                }
                // Weights that came out of training may be wider than those a plan starts from.
                weights.validate(plan.format())?;
            }
            // A range of the weights is part of the proof.
            StartModel::Committed(model) => {
                same("parameters of the start model", shape.parameters(), model.parameters())?;
            }
        }
        data.copy(round)?;
        // Every row of every batch takes five entries at least; refused here before the schedule is drawn.
        let (rows, most) = (plan.batch().saturating_mul(plan.steps()), (1 << MAX_VARIABLES) / 5);
        if rows > most {
            return Err(TrainingError::OutOfRange { field: "batch × steps", value: rows, min: 1, max: most });
        }
        let schedule = Schedule::new(seed, data.examples(), plan.batch(), plan.steps())?;
        let models = Models { start: start.public().cloned(), end: false };
        let relation = Relation::new(plan, models, clip, data.examples(), &schedule)?;
        Ok(Self { start, data, round, seed, schedule, relation })
    }

    /// The same statement, whose proof brings a commitment to the end model that another proof can start from.
    #[must_use]
    pub fn committing_to_the_end(mut self) -> Self {
        self.relation.models.end = true;
        self
    }

    /// Whether a proof brings a commitment to the end model.
    pub const fn commits_to_the_end(&self) -> bool {
        self.relation.models.end
    }

    /// What is trained and how.
    pub const fn plan(&self) -> &TrainingPlan {
        &self.relation.plan
    }

    /// The start model.
    pub const fn start(&self) -> &StartModel {
        &self.start
    }

    /// The commitment to the start model, where it is not public.
    pub(super) const fn committed_start(&self) -> Option<&ModelCommitment> {
        match &self.start {
            StartModel::Committed(commitment) => Some(commitment),
            StartModel::Public(_) => None,
        }
    }

    /// The commitment to the examples.
    pub const fn data(&self) -> &DataCommitment {
        &self.data
    }

    /// Which of the data's copies is used.
    pub const fn round(&self) -> usize {
        self.round
    }

    /// The order of the batches.
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The clip of the update.
    pub const fn clip(&self) -> Option<&Clip> {
        self.relation.clip.as_ref()
    }

    /// The base-two logarithm of how many entries a proof commits to.
    pub const fn variables(&self) -> usize {
        self.relation.layout.variables
    }

    /// SHA-256 of the whole statement, version included.
    pub fn digest(&self) -> [u8; 32] {
        let plan = self.plan();
        let FixedPoint { weight_bits, weight_fraction, activation_bits, activation_fraction } = plan.format();
        let mut hash = Sha256::new();
        hash.update(b"cipher-nexus fixed-point SGD, layout 2");
        for text in [plan.shape().to_string(), plan.loss().to_string()] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        let mut word = |value: u64| hash.update(value.to_le_bytes());
        for width in [weight_bits, weight_fraction, activation_bits, activation_fraction] {
            word(width.into());
        }
        [plan.batch() as u64, plan.steps() as u64, self.round as u64].into_iter().for_each(&mut word);
        plan.shape().layers().for_each(|layer| word(plan.update_shift(layer).into()));
        let (clipped, bound, dropped) =
            self.clip().map_or((0, 0, 0), |clip| (1, clip.bound(), u64::from(clip.dropped_bits())));
        [clipped, bound, dropped].into_iter().for_each(&mut word);
        hash.update(self.data.digest());
        hash.update(self.seed);
        hash.update([u8::from(self.commits_to_the_end()), u8::from(self.committed_start().is_some())]);
        match &self.start {
            StartModel::Public(weights) => weights.values().iter().for_each(|weight| hash.update(weight.to_le_bytes())),
            StartModel::Committed(commitment) => hash.update(commitment.to_bytes()),
        }
        hash.finalize().into()
    }

    pub(super) fn transcript(&self, session: &[u8]) -> Transcript {
        Transcript::new("cipher-nexus training v2", session, &self.digest())
    }

    pub(super) fn security(&self) -> Security {
        Security { bits: OPENING_BITS, linear: *self.data.parameters() }
    }
}
