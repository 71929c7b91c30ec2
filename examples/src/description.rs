use std::fmt;

use nexus_circuits::reference::Loss;
use nexus_circuits::training::Statement;
use nexus_federated::Hash;
use nexus_federated::model::Model;
use serde::Serialize;

use crate::{FileError, ProofKind, StatementFile};

/// What a statement says, for people (`Display`) and for programs (`Serialize`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// Whether the proof hides what it is about.
    pub proof: ProofKind,
    /// Where the proof belongs.
    pub session: String,
    /// What enters the network, and its layers.
    pub model: String,
    /// How many parameters it has.
    pub parameters: usize,
    /// Examples a step.
    pub batch: usize,
    /// What is minimised.
    pub loss: Loss,
    /// Steps in all.
    pub steps: usize,
    /// The learning rate.
    pub learning_rate: f64,
    /// How many examples are committed to.
    pub examples: usize,
    /// Input bytes of an example.
    pub features: usize,
    /// The clip of the update.
    pub clip: Option<ClipDescription>,
    /// SHA-256 of the start model.
    pub start_model: Hash,
    /// SHA-256 of the commitment to the examples.
    pub data_commitment: Hash,
    /// Where the order of the batches comes from.
    pub beacon: Hash,
    /// SHA-256 of the statement: all of the above but for the kind of proof and the session.
    pub statement: Hash,
    /// The base-two logarithm of how many field elements the proof commits to.
    pub variables: usize,
    /// What a proof of a false statement could slip through by.
    pub security: SecurityDescription,
}

/// The clip, in integers and in reals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClipDescription {
    /// The greatest ℓ₂ norm of the update in units of its entries.
    pub bound: u64,
    /// Fractional bits of an entry of the update.
    pub fraction_bits: u32,
    /// The greatest ℓ₂ norm of the update in units of the weights.
    pub norm: f64,
}

/// The soundness of a proof.
///
/// It is computed for the zero-knowledge form of the proof; the transparent form aims at the same, and masks nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SecurityDescription {
    /// Minus the base-two logarithm of all errors together.
    pub bits: f64,
    /// The errors one by one.
    pub terms: Vec<SecurityTerm>,
}

/// One error of a proof.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SecurityTerm {
    /// The part of the proof.
    pub part: String,
    /// What can go wrong there.
    pub term: String,
    /// Minus the base-two logarithm of its probability.
    pub bits: f64,
}

impl Description {
    /// The description of the statement that `file` made with `start`.
    ///
    /// # Errors
    /// [`FileError::Statement`] if there is no proof of so large a statement.
    pub fn new(file: &StatementFile, start: &Model, statement: &Statement) -> Result<Self, FileError> {
        let report = statement.security_report().map_err(|error| FileError::statement(&error))?;
        let term =
            |&(part, term, bits): &(&str, &str, f64)| SecurityTerm { part: part.into(), term: term.into(), bits };
        let plan = statement.plan();
        let clip = statement.clip().map(|clip| {
            let fraction_bits = plan.format().weight_fraction.saturating_sub(clip.dropped_bits());
            let unit = (f64::from(clip.dropped_bits()) - f64::from(plan.format().weight_fraction)).exp2();
            ClipDescription { bound: clip.bound(), fraction_bits, norm: clip.bound() as f64 * unit }
        });
        Ok(Self {
            proof: file.proof,
            session: file.session.clone(),
            model: plan.shape().to_string(),
            parameters: plan.shape().parameters(),
            batch: plan.batch(),
            loss: plan.loss(),
            steps: plan.steps(),
            learning_rate: plan.rate(),
            examples: statement.data().examples(),
            features: statement.data().features(),
            clip,
            start_model: start.hash(),
            data_commitment: Hash(statement.data().digest()),
            beacon: Hash(file.beacon),
            statement: Hash(statement.digest()),
            variables: statement.variables(),
            security: SecurityDescription { bits: report.bits(), terms: report.terms().iter().map(term).collect() },
        })
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, parameters, batch, loss, steps, learning_rate, examples, features, .. } = self;
        writeln!(f, "Whoever made this proof knows {examples} labelled examples of {features} bytes, fixed by their")?;
        writeln!(
            f,
            "commitment, and trained the network {model} ({parameters} parameters) on them: {steps} step(s) of SGD,"
        )?;
        writeln!(f, "{batch} example(s) a step, {loss}, learning rate {learning_rate}, from the start model, in the")?;
        writeln!(f, "order that the beacon gives.")?;
        match &self.clip {
            Some(ClipDescription { bound, fraction_bits, norm }) => writeln!(
                f,
                "The update, scaled by a factor of at most one, has an L2 norm of at most {norm:.6} ({bound} units of 2^-{fraction_bits})."
            )?,
            None => writeln!(f, "Nothing is said about the size of the update: there is no clip.")?,
        }
        match self.proof {
            ProofKind::ZeroKnowledge => {
                writeln!(f, "The proof is zero-knowledge: examples, trained model and update stay private.")?;
            }
            ProofKind::Transparent => {
                writeln!(f, "The proof is transparent, NOT zero-knowledge: it tells values about examples and model.")?;
            }
        }
        writeln!(f, "Not shown: that the examples are genuine, and that the beacon is younger than the commitment.")?;
        writeln!(f)?;
        // A session is anybody's text: control characters stay visible.
        writeln!(f, "session          {:?}", self.session)?;
        writeln!(f, "start model      {}", self.start_model)?;
        writeln!(f, "data commitment  {}", self.data_commitment)?;
        writeln!(f, "beacon           {}", self.beacon)?;
        writeln!(f, "statement        {}", self.statement)?;
        write!(f, "soundness        {:.1} bits; 2^{} committed entries", self.security.bits, self.variables)
    }
}
