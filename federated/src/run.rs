//! A run on disk: its record, its checkpoints, and how it goes on after it was killed.
//!
//! | file | what |
//! |---|---|
//! | `config.toml` | every setting, defaults included |
//! | `run.jsonl` | the record: one line for the run, for each round's charge and for each round's end |
//! | `checkpoints/` | the model after each round, as safetensors |
//! | `journal.redb` | what each client has sent once and may not send otherwise |
//! | `report.html` | the report, self-contained |
//!
//! Order within a round: the charge is durable before anything is sent; the checkpoint is durable before the line that
//! says that the round ended. A run that is killed in between repeats the round with the same randomness, hence
//! the same bytes, which the journal lets pass; so nothing is paid or said twice.

mod directory;
mod record;
mod summary;

pub use directory::{Directory, write_durably};
pub use record::{Record, RoundRecord};
pub use summary::{Outcome, PhaseMeans, ProofMeans, Summary};

use std::sync::Arc;

use nexus_dp::account::Rho;
use nexus_mpc::journal::{Journal, MemoryJournal};
use nexus_mpc::session::Round;

use crate::Error;
use crate::attack::Attack;
use crate::config::{Mechanism, Protection, Settings, TrainingProof};
use crate::engine::RoundReport;
use crate::model::Model;
use crate::protect::Phase;
use crate::simulation::Simulation;

/// What a run tells while it goes on.
pub trait Observer {
    /// The run begins, or goes on after `done` rounds.
    fn begun(&mut self, done: u32, rounds: u32) {
        let _ = (done, rounds);
    }

    /// A round's phase begins.
    fn entered(&mut self, round: Round, phase: Phase) {
        let _ = (round, phase);
    }

    /// A round is over.
    fn round(&mut self, record: &RoundRecord) {
        let _ = record;
    }
}

/// An observer that hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}

/// Runs all rounds that the settings ask for, or those that are left of a run in `directory`.
///
/// # Errors
/// [`Error::Config`] and [`Error::Data`] before the first round; [`Error::File`] if the directory cannot be used. A
/// budget that is spent and rounds that abort are no errors: the summary's outcome says so.
pub fn simulate(
    settings: &Settings,
    attack: Option<Attack>,
    mut directory: Option<&mut Directory>,
    observer: &mut dyn Observer,
) -> Result<Summary, Error> {
    let journal: Arc<dyn Journal> = match &directory {
        Some(directory) => Arc::new(directory.journal()?),
        None => Arc::new(MemoryJournal::new()),
    };
    let mut simulation = Simulation::new(settings, attack, &journal)?;
    let mut summary = Summary::new(settings, attack, &simulation);
    summary.initial_accuracy = simulation.accuracy(&simulation.initial().clone())?;
    if let Some(directory) = directory.as_deref_mut() {
        if directory.records().is_empty() {
            directory.append(Record::Run(Box::new(summary.header())))?;
        } else {
            resume(&mut simulation, &mut summary, directory)?;
        }
    }
    observer.begun(summary.rounds.len() as u32, settings.training.rounds);
    while simulation.engine.coordinator().next_round().is_some() {
        let mut rho = None;
        let reserved = |round, model, spent: Option<Rho>| {
            rho = spent;
            match directory.as_deref_mut() {
                // A repeated round is charged already.
                Some(directory) if !directory.has_reserved(round) => {
                    directory.append(Record::Reserved { round, model, spent: spent.map(Rho::units) })
                }
                _ => Ok(()),
            }
        };
        let report = match simulation.engine.round(reserved, |round, phase| observer.entered(round, phase)) {
            Ok(report) => report,
            Err(error @ Error::BudgetExhausted { .. }) => {
                summary.outcome = Outcome::BudgetExhausted(error.to_string());
                break;
            }
            Err(error) => return Err(error),
        };
        let record = finish_round(&mut simulation, report, rho)?;
        if let Some(directory) = directory.as_deref_mut() {
            directory.checkpoint(record.report.round, simulation.engine.coordinator().model())?;
            directory.append(Record::Round(Box::new(record.clone())))?;
        }
        observer.round(&record);
        summary.rounds.push(record);
    }
    summary.conclude(simulation.engine.coordinator().model());
    Ok(summary)
}

/// Test accuracies, round for round, of the same run without noise, masks and proofs.
///
/// Same clients, data, first model, clip and seed; the order of examples is another, since the session's id, which
/// seeds it, binds the configuration. Clients that leave late in a round that has masks have no late phase
/// to leave in here, so the contributors can differ by those.
///
/// # Errors
/// As [`simulate`].
pub fn without_noise(settings: &Settings, observer: &mut dyn Observer) -> Result<Vec<f64>, Error> {
    let mut settings = settings.clone();
    settings.training.proof = TrainingProof::None;
    settings.privacy.mechanism = Mechanism::None;
    settings.aggregation.protect = Protection::Plain;
    settings.aggregation.modulus_bits = None;
    let summary = simulate(&settings, None, None, observer)?;
    Ok(summary.rounds.iter().map(|record| record.accuracy).collect())
}

fn finish_round(simulation: &mut Simulation, report: RoundReport, spent: Option<Rho>) -> Result<RoundRecord, Error> {
    let model = simulation.engine.coordinator().model().clone();
    let accuracy = simulation.accuracy(&model)?;
    let privacy = simulation.session().config().privacy();
    let epsilon = spent.zip(privacy).map(|(spent, privacy)| spent.epsilon(privacy.delta));
    Ok(RoundRecord { report, accuracy, spent: spent.map(Rho::units), epsilon })
}

/// Puts the simulation where the record says the run stands.
fn resume(simulation: &mut Simulation, summary: &mut Summary, directory: &Directory) -> Result<(), Error> {
    directory.expect_header(&summary.header())?;
    summary.rounds = directory.rounds().cloned().collect();
    let Some(last) = summary.rounds.last() else { return Ok(()) };
    if let Some(attack) = summary.attack.filter(|attack| last.report.round < attack.last_round()) {
        // What the cheat has heard so far is not on disk.
        let reason = format!("the attack {attack:?} is not over, and is not played by halves; begin anew");
        return Err(Error::file(directory.path(), reason));
    }
    let shape = simulation.session().config().plan().shape().clone();
    let format = simulation.session().config().plan().format();
    let path = directory.checkpoint_path(last.report.round);
    let model = Model::load(&path, &shape, format)?;
    if model.hash() != last.report.model {
        let reason = format!(
            "model {}, but the record's round {} ended at {}",
            model.hash(),
            last.report.round.0,
            last.report.model
        );
        return Err(Error::file(&path, reason));
    }
    let spent = Rho::from_units(last.spent.unwrap_or(0));
    simulation.restore(model, Round(last.report.round.0 + 1), spent)
}
