//! The in-process engine: participants in parallel, a clock that only moves when the coordinator has to wait.

mod lanes;
mod rogue;

use std::sync::Arc;
use std::time::Instant;

use nexus_dp::account::Rho;
use nexus_mpc::MpcError;
use nexus_mpc::session::{ClientId, Identity, Round};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};

use crate::attack::{Accused, Attack, Incident, Party};
use crate::coordinator::{Completed, Coordinator, Effect};
use crate::message::Message;
use crate::model::Model;
use crate::participant::Participant;
use crate::protect::Phase;
use crate::simulation::Seed;
use crate::{Error, Hash};
use lanes::Lanes;
use rogue::Rogue;

/// A coordinator and its participants in one process.
///
/// Dropouts are drawn from the seed; a client that leaves sends nothing any more in that round. The coordinator's
/// deadlines pass at once when nobody is left who would answer.
pub struct Engine {
    coordinator: Coordinator,
    identity: Arc<Identity>,
    participants: Vec<Participant>,
    seed: Seed,
    dropout: f64,
    clock: u64,
    attack: Option<Attack>,
    /// What the replaying client sent in the round before.
    kept: Option<Vec<u8>>,
    lanes: Lanes,
}

/// What a round came to, and what it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// The round.
    pub round: Round,
    /// The model after it.
    pub model: Hash,
    /// Whose updates are in the model; empty if the round aborted.
    pub contributors: Vec<ClientId>,
    /// Why there is no sum, if there is none.
    pub aborted: Option<String>,
    /// Who left, and before which phase's message.
    pub left: Vec<(ClientId, Phase)>,
    /// What was refused, and who is to blame.
    pub incidents: Vec<Incident>,
    /// SHA-256 of each proof of training that was admitted.
    pub proofs: Vec<(ClientId, Hash)>,
    /// What each phase took.
    pub phases: Vec<PhaseMetrics>,
}

impl RoundReport {
    /// The sum of a quantity over the round's phases.
    pub fn total(&self, quantity: fn(&PhaseMetrics) -> f64) -> f64 {
        self.phases.iter().map(quantity).sum()
    }
}

/// Time and bytes of one phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseMetrics {
    /// The phase.
    pub phase: Phase,
    /// Wall-clock time of all clients together on this machine, in milliseconds.
    pub clients_ms: f64,
    /// Wall-clock time of one client on one thread, on the mean over those that answered, in milliseconds.
    pub client_ms: f64,
    /// Wall-clock time of the coordinator on this machine, in milliseconds.
    pub coordinator_ms: f64,
    /// Of it, for one proof of training on one thread, on the mean; zero where there is none.
    pub verify_ms: f64,
    /// Clients that answered.
    pub answers: usize,
    /// Proofs of training that they sent.
    pub proofs: usize,
    /// Bytes that clients sent, all together.
    pub sent: u64,
    /// Those of them that were proofs of training.
    pub proof_bytes: u64,
    /// Bytes that clients received to begin the phase, all together.
    pub received: u64,
}

impl PhaseMetrics {
    /// Of a phase in which nothing has happened yet.
    const fn none(phase: Phase) -> Self {
        Self {
            phase,
            clients_ms: 0.0,
            client_ms: 0.0,
            coordinator_ms: 0.0,
            verify_ms: 0.0,
            answers: 0,
            proofs: 0,
            sent: 0,
            proof_bytes: 0,
            received: 0,
        }
    }
}

/// What a client made of a message, and how long it took.
struct Answer {
    bytes: Result<Vec<u8>, Error>,
    milliseconds: f64,
}

/// A client's place in a round.
struct Seat {
    rng: ChaCha20Rng,
    /// The phase before whose message it leaves.
    leaves: Option<Phase>,
    present: bool,
}

impl Engine {
    /// An engine; `participants` are in the order of the session's clients.
    pub(crate) fn new(
        coordinator: Coordinator,
        identity: Arc<Identity>,
        participants: Vec<Participant>,
        seed: Seed,
        dropout: f64,
        attack: Option<Attack>,
    ) -> Self {
        Self { coordinator, identity, participants, seed, dropout, clock: 0, attack, kept: None, lanes: Lanes::new() }
    }

    pub(crate) fn restore(&mut self, model: Model, next: Round, spent: Rho) -> Result<(), Error> {
        for participant in &mut self.participants {
            participant.restore(next, spent)?;
        }
        self.coordinator.restore(model, next, spent)
    }

    /// The coordinator as it stands.
    pub const fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// Plays the next round; `reserved` is called before anything is sent, to store the round's cost durably, and
    /// `entered` whenever a phase begins.
    ///
    /// # Errors
    /// [`Error::BudgetExhausted`] before a round that the budget does not hold, or what `reserved` fails with. A round
    /// that aborts is no error: its report says why.
    pub fn round(
        &mut self,
        reserved: impl FnOnce(Round, Hash, Option<Rho>) -> Result<(), Error>,
        mut entered: impl FnMut(Round, Phase),
    ) -> Result<RoundReport, Error> {
        let begun = Instant::now();
        let mut effects = self.coordinator.open(self.clock)?;
        let mut coordinator_ms = milliseconds(begun);
        let Some(Effect::Reserved { round, model, spent }) = effects.first() else {
            unreachable!("opening a round charges it first")
        };
        let (round, model) = (*round, *model);
        reserved(round, model, *spent)?;
        let mut seats = self.seats(round);
        let mut rogue = Rogue::new(self, round, model)?;
        let mut report = RoundReport {
            round,
            model,
            contributors: Vec::new(),
            aborted: None,
            left: Vec::new(),
            incidents: Vec::new(),
            proofs: Vec::new(),
            phases: Vec::new(),
        };
        while let Some(phase) = self.coordinator.phase() {
            entered(round, phase);
            let begun = Instant::now();
            let inboxes = self.deliver(effects, &mut seats, phase, &rogue, &mut report);
            let received = inboxes.iter().flatten().map(|bytes| bytes.len() as u64).sum();
            let mut answers = self.answer(&inboxes, &mut seats, &rogue);
            let clients_ms = milliseconds(begun);
            let begun = Instant::now();
            self.tamper(phase, &mut answers, &rogue);
            let mut metrics = PhaseMetrics { phase, clients_ms, received, ..PhaseMetrics::none(phase) };
            effects = self.take(&answers, &mut seats, &mut rogue, &mut metrics, &mut report);
            if self.coordinator.phase() == Some(phase) {
                self.clock = self.coordinator.deadline().unwrap_or(self.clock);
                effects.extend(self.coordinator.tick(self.clock));
            }
            metrics.coordinator_ms = coordinator_ms + milliseconds(begun);
            report.phases.push(metrics);
            rogue.close(phase);
            coordinator_ms = 0.0;
            // Whose message was not taken has no further part in the round.
            for effect in &effects {
                if let Effect::Rejected { client, .. } = effect
                    && !rogue.hides_rejection(*client)
                    && let Some(index) = self.place(*client)
                {
                    seats[index].present = false;
                }
            }
            effects = conclude(effects, &rogue, &mut report);
        }
        if let Some(claim) = rogue.second_claim.take() {
            self.ask_again(&claim, &mut seats, &mut report);
        }
        self.kept = rogue.kept.take().or_else(|| self.kept.take());
        Ok(report)
    }

    /// The coordinator takes every answer, in the order of the clients; proofs are verified before, in parallel.
    fn take(
        &mut self,
        answers: &[Option<Answer>],
        seats: &mut [Seat],
        rogue: &mut Rogue,
        metrics: &mut PhaseMetrics,
        report: &mut RoundReport,
    ) -> Vec<Effect> {
        let sent = answers.iter().map(|answer| answer.as_ref().and_then(|answer| answer.bytes.as_deref().ok()));
        let judged = self.lanes.map(sent.collect(), |sent| {
            let begun = Instant::now();
            sent.map(|bytes| (self.coordinator.judge(bytes), milliseconds(begun)))
        });
        let mut effects = Vec::new();
        for (index, (answer, judged)) in answers.iter().zip(judged).enumerate() {
            let client = self.participants[index].client();
            match answer {
                None => {}
                Some(Answer { bytes: Ok(bytes), milliseconds }) => {
                    metrics.answers += 1;
                    metrics.sent += bytes.len() as u64;
                    metrics.client_ms += milliseconds;
                    rogue.overhear(client, metrics.phase, bytes);
                    let Some((judged, milliseconds)) = judged else { unreachable!("every answer is judged") };
                    if let Ok(Message::Proven { proof, .. }) = Message::decode(bytes) {
                        metrics.proofs += 1;
                        metrics.proof_bytes += proof.len() as u64;
                        metrics.verify_ms += milliseconds;
                    }
                    effects.extend(self.coordinator.handle_judged(self.clock, client, judged));
                }
                Some(Answer { bytes: Err(error), .. }) => {
                    seats[index].present = false;
                    report.incidents.push(refused(report.round, metrics.phase, client, error));
                }
            }
        }
        metrics.client_ms /= (metrics.answers as f64).max(1.0);
        metrics.verify_ms /= (metrics.proofs as f64).max(1.0);
        effects
    }

    fn seats(&self, round: Round) -> Vec<Seat> {
        let phases: &[Phase] = match self.coordinator.phase() {
            Some(Phase::Plain) => &[Phase::Plain],
            _ => &[Phase::Advertise, Phase::Share, Phase::Mask, Phase::Sign, Phase::Release],
        };
        let seat = |participant: &Participant| {
            let client = participant.client();
            let mut failures = self.seed.stream("dropout", client, round);
            let leaves = failures.random_bool(self.dropout);
            // One draw for every kind of round, so that a run without masks loses the same clients as far as it can.
            let point = failures.random_range(0..5);
            let leaves = leaves.then(|| phases.get(point).copied()).flatten();
            // The part that an attack needs is not lost to chance.
            let acts = self.attack.is_some() && client == Attack::CLIENT;
            Seat { rng: self.seed.stream("round", client, round), leaves: leaves.filter(|_| !acts), present: true }
        };
        self.participants.iter().map(seat).collect()
    }

    /// What each client receives; who leaves before this phase receives nothing any more.
    fn deliver(
        &self,
        effects: Vec<Effect>,
        seats: &mut [Seat],
        phase: Phase,
        rogue: &Rogue,
        report: &mut RoundReport,
    ) -> Vec<Option<Vec<u8>>> {
        for (seat, participant) in seats.iter_mut().zip(&self.participants) {
            if seat.present && seat.leaves == Some(phase) {
                seat.present = false;
                report.left.push((participant.client(), phase));
            }
        }
        let mut inboxes = vec![None; seats.len()];
        for effect in effects {
            match effect {
                Effect::Broadcast(bytes) => {
                    for (inbox, seat) in inboxes.iter_mut().zip(seats.iter()) {
                        *inbox = seat.present.then(|| bytes.clone());
                    }
                }
                Effect::Send(client, bytes) => {
                    if let Some(index) = self.place(client).filter(|&index| seats[index].present) {
                        inboxes[index] = Some(bytes);
                    }
                }
                _ => {}
            }
        }
        if let (Some(start), Phase::Advertise, Some(index)) = (&rogue.other_start, phase, self.place(Attack::CLIENT)) {
            inboxes[index] = Some(start.clone());
        }
        inboxes
    }

    /// Every client's answer, in parallel; each has its own stream of randomness, so the order does not matter.
    fn answer(&mut self, inboxes: &[Option<Vec<u8>>], seats: &mut [Seat], rogue: &Rogue) -> Vec<Option<Answer>> {
        let half = 1i64 << (self.coordinator.session().config().modulus_bits() - 1);
        let overflow = rogue.hides_overflow;
        let forged = rogue.attack.filter(|attack| attack.is_about_training());
        let jobs = self.participants.iter_mut().zip(inboxes).zip(seats).collect();
        self.lanes.map(jobs, |((participant, inbox), seat)| {
            let received = inbox.as_deref()?;
            let cheats = participant.client() == Attack::CLIENT;
            let begun = Instant::now();
            let bytes = if let Some(attack) = forged.filter(|_| cheats) {
                participant.handle_forged(received, attack, &mut seat.rng)
            } else if overflow && cheats {
                participant.handle_tampered(received, |update| update[0] = half - 1, &mut seat.rng)
            } else {
                participant.handle(received, &mut seat.rng)
            };
            Some(Answer { bytes, milliseconds: milliseconds(begun) })
        })
    }

    /// What the cheating client puts in the place of its honest answer.
    fn tamper(&self, phase: Phase, answers: &mut [Option<Answer>], rogue: &Rogue) {
        let Some(index) = self.place(Attack::CLIENT) else { return };
        if phase == Phase::Advertise {
            let others = answers.iter().enumerate().filter(|(other, _)| *other != index);
            let others: Vec<&[u8]> = others.filter_map(|(_, answer)| answer.as_ref()?.bytes.as_deref().ok()).collect();
            let own = answers[index].as_ref().and_then(|answer| answer.bytes.as_deref().ok());
            let stolen = own.and_then(|own| rogue.stolen(own, &others, &self.participants[index]));
            if let (Some(stolen), Some(answer)) = (stolen, &mut answers[index]) {
                answer.bytes = Ok(stolen);
            }
        }
        if phase != Phase::Mask {
            return;
        }
        if let Some(Answer { bytes: Ok(bytes), .. }) = &mut answers[index]
            && let Some(cheat) = rogue.replacement(bytes, self.kept.as_ref(), &self.participants[index])
        {
            *bytes = cheat;
        }
    }

    /// Where a client sits.
    fn place(&self, client: ClientId) -> Option<usize> {
        self.participants.iter().position(|participant| participant.client() == client)
    }

    /// The coordinator's second question, after the round's one release, to all who are there.
    fn ask_again(&mut self, claim: &[u8], seats: &mut [Seat], report: &mut RoundReport) {
        let bytes = Message::Protocol(claim).encode();
        let present = self.participants.iter_mut().zip(seats).filter(|(_, seat)| seat.present);
        let answers: Vec<_> = present
            .map(|(participant, seat)| (participant.client(), participant.handle(&bytes, &mut seat.rng)))
            .collect();
        let refusals: Vec<_> = answers.iter().filter_map(|(id, answer)| Some((*id, answer.as_ref().err()?))).collect();
        // Only if every one refuses is the cheat caught.
        if let (Some((client, error)), true) = (refusals.first(), refusals.len() == answers.len()) {
            let mut incident = refused(report.round, Phase::Release, *client, error);
            incident.reason = format!(
                "asked about a second survivor set, {} of {} clients refused: {error}",
                refusals.len(),
                answers.len()
            );
            report.incidents.push(incident);
        }
    }
}

/// Takes what the report keeps out of the effects and gives back the rest.
fn conclude(effects: Vec<Effect>, rogue: &Rogue, report: &mut RoundReport) -> Vec<Effect> {
    let mut rest = Vec::new();
    for effect in effects {
        match effect {
            Effect::Rejected { client, phase, reason } => {
                if !rogue.hides_rejection(client) {
                    report.incidents.push(Incident {
                        round: report.round,
                        phase,
                        found_by: Party::Coordinator,
                        accused: Accused::Party(Party::Client(client)),
                        reason: reason.to_string(),
                    });
                }
            }
            Effect::Completed(Completed { model, contributors, .. }) => {
                report.model = model;
                report.contributors = contributors;
            }
            Effect::Aborted { round, phase, reason } => {
                let accused = match reason {
                    Error::SumOutOfRange { contributors, .. } | Error::SumTooLong { contributors, .. } => {
                        Some(Accused::OneOf(contributors))
                    }
                    Error::Aggregation(MpcError::Unrecoverable(client)) => Some(Accused::Party(Party::Client(client))),
                    _ => None,
                };
                report.aborted = Some(reason.to_string());
                report.incidents.extend(accused.map(|accused| Incident {
                    round,
                    phase,
                    found_by: Party::Coordinator,
                    accused,
                    reason: reason.to_string(),
                }));
            }
            Effect::Admitted { client, proof, .. } => report.proofs.extend(proof.map(|proof| (client, proof))),
            Effect::Reserved { .. } => {}
            Effect::Broadcast(_) | Effect::Send(..) => rest.push(effect),
        }
    }
    rest
}

/// What a client refused: a peer's fault where the error names one for it, the coordinator's else.
fn refused(round: Round, phase: Phase, client: ClientId, error: &Error) -> Incident {
    let (accused, reason) = match error {
        Error::Aggregation(MpcError::BadShare(peer) | MpcError::LowOrderKey(peer)) => {
            (Party::Client(*peer), error.to_string())
        }
        Error::Aggregation(MpcError::ParamsMismatch { .. }) => {
            (Party::Coordinator, format!("it was shown another model, configuration or round than the others: {error}"))
        }
        _ => (Party::Coordinator, error.to_string()),
    };
    Incident { round, phase, found_by: Party::Client(client), accused: Accused::Party(accused), reason }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
