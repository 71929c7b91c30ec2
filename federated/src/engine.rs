//! The in-process engine: every participant on rayon, a clock that only moves when the coordinator has to wait.

use std::sync::Arc;
use std::time::Instant;

use nexus_dp::account::Rho;
use nexus_mpc::MpcError;
use nexus_mpc::session::{ClientId, Envelope, Identity, Round};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::attack::{Accused, Attack, Incident, Party};
use crate::coordinator::{Completed, Coordinator, Effect};
use crate::message::{Message, RoundStart};
use crate::model::Model;
use crate::participant::Participant;
use crate::protect::{self, Closed, Outbound, Phase, ServerProtocol};
use crate::simulation::Seed;
use crate::{Error, Hash};

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
    /// Wall-clock time of the coordinator, in milliseconds.
    pub coordinator_ms: f64,
    /// Clients that answered.
    pub answers: usize,
    /// Bytes that clients sent, all together.
    pub sent: u64,
    /// Those of them that were proofs of training.
    pub proofs: u64,
    /// Bytes that clients received to begin the phase, all together.
    pub received: u64,
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
    pub(crate) const fn new(
        coordinator: Coordinator,
        identity: Arc<Identity>,
        participants: Vec<Participant>,
        seed: Seed,
        dropout: f64,
        attack: Option<Attack>,
    ) -> Self {
        Self { coordinator, identity, participants, seed, dropout, clock: 0, attack, kept: None }
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
            effects = Vec::new();
            let (mut count, mut sent, mut proofs) = (0, 0, 0);
            for (index, answer) in answers.into_iter().enumerate() {
                let client = self.participants[index].client();
                match answer {
                    None => {}
                    Some(Ok(bytes)) => {
                        count += 1;
                        sent += bytes.len() as u64;
                        if let Ok(Message::Proven { proof, .. }) = Message::decode(&bytes) {
                            proofs += proof.len() as u64;
                        }
                        rogue.overhear(client, phase, &bytes);
                        effects.extend(self.coordinator.handle(self.clock, client, &bytes));
                    }
                    Some(Err(error)) => {
                        seats[index].present = false;
                        report.incidents.push(refused(round, phase, client, &error));
                    }
                }
            }
            if self.coordinator.phase() == Some(phase) {
                self.clock = self.coordinator.deadline().unwrap_or(self.clock);
                effects.extend(self.coordinator.tick(self.clock));
            }
            coordinator_ms += milliseconds(begun);
            rogue.close(phase);
            report.phases.push(PhaseMetrics {
                phase,
                clients_ms,
                coordinator_ms,
                answers: count,
                sent,
                proofs,
                received,
            });
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
    fn answer(
        &mut self,
        inboxes: &[Option<Vec<u8>>],
        seats: &mut [Seat],
        rogue: &Rogue,
    ) -> Vec<Option<Result<Vec<u8>, Error>>> {
        let half = 1i64 << (self.coordinator.session().config().modulus_bits() - 1);
        let overflow = rogue.hides_overflow;
        let forged = rogue.attack.filter(|attack| attack.is_about_training());
        self.participants
            .par_iter_mut()
            .zip(inboxes)
            .zip(seats)
            .map(|((participant, inbox), seat)| {
                let bytes = inbox.as_deref()?;
                let cheats = participant.client() == Attack::CLIENT;
                Some(if let Some(attack) = forged.filter(|_| cheats) {
                    participant.handle_forged(bytes, attack, &mut seat.rng)
                } else if overflow && cheats {
                    participant.handle_tampered(bytes, |update| update[0] = half - 1, &mut seat.rng)
                } else {
                    participant.handle(bytes, &mut seat.rng)
                })
            })
            .collect()
    }

    /// What the cheating client puts in the place of its honest answer.
    fn tamper(&self, phase: Phase, answers: &mut [Option<Result<Vec<u8>, Error>>], rogue: &Rogue) {
        let Some(index) = self.place(Attack::CLIENT) else { return };
        if phase == Phase::Advertise && rogue.attack == Some(Attack::StolenProof) {
            let stolen = answers.iter().enumerate().find_map(|(other, answer)| match answer {
                Some(Ok(bytes)) if other != index => Some(bytes.clone()),
                _ => None,
            });
            if let (Some(theirs), Some(Ok(own))) = (stolen, &mut answers[index])
                && let (Ok(Message::Proven { proof, .. }), Ok(Message::Proven { body, .. })) =
                    (Message::decode(&theirs), Message::decode(own))
            {
                *own = Message::Proven { proof, body }.encode();
            }
        }
        if phase != Phase::Mask {
            return;
        }
        if let Some(Ok(answer)) = &mut answers[index]
            && let Some(cheat) = rogue.replacement(answer, self.kept.as_ref(), &self.participants[index])
        {
            *answer = cheat;
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

/// The cheat of one round, if there is one.
#[derive(Default)]
struct Rogue {
    attack: Option<Attack>,
    round: u32,
    /// The start of the round with another model, for the coordinator's victim.
    other_start: Option<Vec<u8>>,
    /// The coordinator's second state, which has not seen the victim's masked message.
    shadow: Option<Box<dyn ServerProtocol>>,
    second_claim: Option<Vec<u8>>,
    hides_overflow: bool,
    kept: Option<Vec<u8>>,
}

impl Rogue {
    fn new(engine: &Engine, round: Round, model: Hash) -> Result<Self, Error> {
        let attack = engine.attack.filter(|attack| (attack.first_round()..=attack.last_round()).contains(&round));
        let mut rogue = Self { attack, round: round.0, ..Self::default() };
        // The replaying client listens one round early.
        if engine.attack == Some(Attack::Replay) && round.0 < Attack::Replay.first_round().0 {
            rogue.attack = engine.attack;
        }
        match attack {
            Some(Attack::InconsistentModel) => {
                let session = engine.coordinator.session();
                let honest = engine.coordinator.model();
                let mut values = honest.weights().values().to_vec();
                values[0] ^= 1;
                let weights =
                    nexus_circuits::reference::Weights::new(honest.weights().shape(), values, honest.format())?;
                let start = RoundStart {
                    session: session.id(),
                    round,
                    config: session.config().hash(),
                    model: Model::new(weights, honest.format()),
                };
                rogue.other_start = Some(Message::Start(&start.encode(&engine.identity)).encode());
            }
            Some(Attack::DoubleRelease) => {
                let session = engine.coordinator.session();
                rogue.shadow = Some(protect::server(session, round, model, &engine.identity)?);
            }
            Some(Attack::Overflow) => rogue.hides_overflow = round == Attack::Overflow.last_round(),
            Some(_) | None => {}
        }
        Ok(rogue)
    }

    /// A coordinator that cheats does not act on what its own cheat makes fail.
    fn hides_rejection(&self, client: ClientId) -> bool {
        self.other_start.is_some() && client == Attack::CLIENT
    }

    /// The second state hears what the coordinator hears, but for the victim's masked message.
    fn overhear(&mut self, client: ClientId, phase: Phase, bytes: &[u8]) {
        if self.attack == Some(Attack::Replay) && client == Attack::CLIENT && phase == Phase::Mask {
            self.kept = Some(bytes.to_vec());
        }
        let victim = client == Attack::CLIENT && phase == Phase::Mask;
        if let (Some(shadow), Ok(Message::Protocol(body) | Message::Proven { body, .. }), false) =
            (&mut self.shadow, Message::decode(bytes), victim)
        {
            // What the second state makes of it does not matter unless it comes to a claim.
            shadow.receive(body).ok();
        }
    }

    fn close(&mut self, phase: Phase) {
        let closed = match phase {
            Phase::Advertise | Phase::Share | Phase::Mask => self.shadow.as_mut().map(|shadow| shadow.close()),
            _ => None,
        };
        if let (Phase::Mask, Some(Ok(Closed::Next(Outbound::Broadcast(claim))))) = (phase, closed) {
            self.second_claim = Some(claim);
        }
    }

    /// What the cheating client sends for its masked message.
    fn replacement(&self, honest: &[u8], kept: Option<&Vec<u8>>, client: &Participant) -> Option<Vec<u8>> {
        match self.attack? {
            Attack::Replay if self.round >= Attack::Replay.first_round().0 => kept.cloned(),
            Attack::Overflow if !self.hides_overflow => {
                let Ok(Message::Protocol(body)) = Message::decode(honest) else { return None };
                let Envelope { sender, kind, params, body, .. } = Envelope::decode(body).ok()?;
                // Twice the bytes, as a client would send that does not reduce its entries; properly signed.
                let wide = Envelope::seal(sender, kind, &params, &[body, body].concat(), client.identity());
                Some(Message::Protocol(&wide).encode())
            }
            _ => None,
        }
    }
}
