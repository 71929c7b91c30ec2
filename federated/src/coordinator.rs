//! The coordinator of a session as a state machine: bytes and time in, effects out.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_circuits::training::{Proof, TransparentProof};
use nexus_dp::account::Rho;
use nexus_dp::budget::{Budget, Permit};
use nexus_mpc::secagg::Params;
use nexus_mpc::session::{ClientId, Envelope, Identity, Party, Round};
use sha2::{Digest, Sha256};

use crate::config::{Privacy, TrainingProof};
use crate::message::{Message, RoundStart};
use crate::model::Model;
use crate::protect::{self, Closed, Outbound, Phase, ServerProtocol};
use crate::session::Session;
use crate::update::{Admitted, Aggregate};
use crate::{Error, Hash};

/// The server of a run: it opens rounds, admits messages, opens sums and moves the model.
///
/// It opens no socket and reads no clock: time is an argument, in milliseconds from any fixed point. Effects are to
/// be carried out in their order; [`Effect::Reserved`] is to be durable before the effects behind it.
pub struct Coordinator {
    session: Arc<Session>,
    identity: Arc<Identity>,
    model: Model,
    budget: Option<Budget>,
    next: Round,
    open: Option<OpenRound>,
}

struct OpenRound {
    round: Round,
    model: Hash,
    params: Arc<Params>,
    /// Whose proof of training held, and its SHA-256.
    proven: BTreeMap<ClientId, Hash>,
    protocol: Box<dyn ServerProtocol>,
    permit: Option<Permit>,
    deadline: u64,
}

/// What the coordinator wants done.
#[derive(Debug)]
pub enum Effect {
    /// The round's privacy cost is charged; to be stored durably before anything is sent.
    Reserved {
        /// The round.
        round: Round,
        /// The model that it begins at.
        model: Hash,
        /// All that is charged so far, this round included.
        spent: Option<Rho>,
    },
    /// To all who are still in the round.
    Broadcast(Vec<u8>),
    /// To one client.
    Send(ClientId, Vec<u8>),
    /// A message was taken.
    Admitted {
        /// Whose.
        client: ClientId,
        /// In which phase.
        phase: Phase,
        /// SHA-256 of the proof of training that came with it.
        proof: Option<Hash>,
    },
    /// A message was not taken.
    Rejected {
        /// Over whose connection it came.
        client: ClientId,
        /// In which phase.
        phase: Phase,
        /// Why.
        reason: Error,
    },
    /// The sum was opened, verified and applied.
    Completed(Completed),
    /// The round ended without a sum, or with one that honest clients cannot have made; the model is as before.
    Aborted {
        /// The round.
        round: Round,
        /// The phase that could not be closed.
        phase: Phase,
        /// Why.
        reason: Error,
    },
}

/// A round that moved the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The round.
    pub round: Round,
    /// The new model's hash.
    pub model: Hash,
    /// Whose updates are in it.
    pub contributors: Vec<ClientId>,
}

impl Coordinator {
    /// The coordinator of `session`, at `model`.
    ///
    /// # Errors
    /// [`Error::NotSignedByCoordinator`] if `identity` is not the session's coordinator.
    pub fn new(session: Arc<Session>, identity: Arc<Identity>, model: Model) -> Result<Self, Error> {
        if identity.verifying_key() != session.coordinator() {
            return Err(Error::NotSignedByCoordinator);
        }
        let budget = session.config().privacy().map(Privacy::budget);
        Ok(Self { session, identity, model, budget, next: Round(1), open: None })
    }

    /// Continues after a restart: the model, the next round, and what earlier rounds cost.
    ///
    /// # Errors
    /// [`Error::Privacy`] if more is spent than the budget holds.
    pub fn restore(&mut self, model: Model, next: Round, spent: Rho) -> Result<(), Error> {
        if let Some(privacy) = self.session.config().privacy() {
            self.budget = Some(Budget::restore(privacy.cap, spent)?);
        }
        self.model = model;
        self.next = next;
        self.open = None;
        Ok(())
    }

    /// The current model.
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// The session.
    pub const fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The next round to open, or nothing when all have been.
    pub fn next_round(&self) -> Option<Round> {
        (self.next.0 <= self.session.config().rounds()).then_some(self.next)
    }

    /// What is charged so far; nothing in a run without differential privacy.
    pub fn spent(&self) -> Option<Rho> {
        self.budget.as_ref().map(Budget::spent)
    }

    /// The phase that waits for messages.
    pub fn phase(&self) -> Option<Phase> {
        self.open.as_ref().map(|open| open.protocol.phase())
    }

    /// When the open phase closes with what has come.
    pub fn deadline(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.deadline)
    }

    /// Charges and opens the next round.
    ///
    /// # Errors
    /// [`Error::BudgetExhausted`] if the budget does not hold it, [`Error::OutOfTurn`] if a round is open or all are over.
    pub fn open(&mut self, now: u64) -> Result<Vec<Effect>, Error> {
        if self.open.is_some() {
            return Err(Error::OutOfTurn("a round is open"));
        }
        let round = self.next_round().ok_or(Error::OutOfTurn("all rounds are over"))?;
        let model = self.model.hash();
        let params = self.session.aggregation(round, model)?;
        let protocol = protect::server(&self.session, round, model, &self.identity)?;
        let permit = self.reserve()?;
        let start = RoundStart {
            session: self.session.id(),
            round,
            config: self.session.config().hash(),
            model: self.model.clone(),
        };
        let deadline = now.saturating_add(self.session.config().phase_timeout_ms());
        self.open = Some(OpenRound { round, model, params, proven: BTreeMap::new(), protocol, permit, deadline });
        self.next = Round(round.0 + 1);
        Ok(vec![
            Effect::Reserved { round, model, spent: self.spent() },
            Effect::Broadcast(Message::Start(&start.encode(&self.identity)).encode()),
        ])
    }

    /// Takes a message that came over the connection of `from`, and closes the phase if it was the last one expected.
    pub fn handle(&mut self, now: u64, from: ClientId, bytes: &[u8]) -> Vec<Effect> {
        let Some(open) = self.open.as_mut() else {
            let reason = Error::OutOfTurn("no round is open");
            return vec![Effect::Rejected { client: from, phase: Phase::Release, reason }];
        };
        let phase = open.protocol.phase();
        let taken = match Message::decode(bytes) {
            Ok(Message::Protocol(_)) if open.due(&self.session) => Err(Error::NoProof),
            Ok(Message::Proven { proof, body }) => open.receive_proven(&self.session, &self.model, proof, body),
            Ok(Message::Protocol(body)) => open.protocol.receive(body),
            Ok(Message::Start(_)) => Err(Error::OutOfTurn("a round is started by the coordinator alone")),
            Err(error) => Err(error),
        };
        match taken {
            // Whose signature it carries decides; a relay may have carried it.
            Ok(admitted) => {
                let mut effects = vec![Effect::Admitted {
                    client: admitted.client,
                    phase,
                    proof: open.proof_of(admitted.client, phase),
                }];
                if open.protocol.missing() == 0 {
                    effects.extend(self.close(now));
                }
                effects
            }
            Err(reason) => vec![Effect::Rejected { client: from, phase, reason }],
        }
    }

    /// Closes the open phase if its time is over.
    pub fn tick(&mut self, now: u64) -> Vec<Effect> {
        match self.deadline() {
            Some(deadline) if now >= deadline => self.close(now),
            _ => Vec::new(),
        }
    }

    fn close(&mut self, now: u64) -> Vec<Effect> {
        let Some(mut open) = self.open.take() else { return Vec::new() };
        let (round, phase) = (open.round, open.protocol.phase());
        match open.protocol.close() {
            Err(reason) => vec![Effect::Aborted { round, phase, reason }],
            Ok(Closed::Next(outbound)) => {
                open.deadline = now.saturating_add(self.session.config().phase_timeout_ms());
                self.open = Some(open);
                let wrap = |bytes: &[u8]| Message::Protocol(bytes).encode();
                match outbound {
                    Outbound::Broadcast(bytes) => vec![Effect::Broadcast(wrap(&bytes))],
                    Outbound::Each(all) => {
                        all.into_iter().map(|(client, bytes)| Effect::Send(client, wrap(&bytes))).collect()
                    }
                }
            }
            Ok(Closed::Opened(sum)) => {
                let aggregate = Aggregate::new(round, open.model, sum);
                let applied = aggregate.verify(self.session.config(), open.permit).and_then(|verified| {
                    self.model = self.model.apply(&verified)?;
                    Ok(verified.contributors().to_vec())
                });
                match applied {
                    Ok(contributors) => {
                        vec![Effect::Completed(Completed { round, model: self.model.hash(), contributors })]
                    }
                    Err(reason) => vec![Effect::Aborted { round, phase, reason }],
                }
            }
        }
    }

    fn reserve(&mut self) -> Result<Option<Permit>, Error> {
        let (Some(privacy), Some(budget)) = (self.session.config().privacy(), &mut self.budget) else {
            return Ok(None);
        };
        match budget.reserve(privacy.mechanism.event()) {
            Ok(permit) => Ok(Some(permit)),
            Err(nexus_dp::DpError::BudgetExceeded { spent, requested, .. }) => Err(Error::BudgetExhausted {
                spent: spent.epsilon(privacy.delta),
                next: spent.checked_add(requested).map_or(f64::INFINITY, |rho| rho.epsilon(privacy.delta)),
                allowed: privacy.epsilon,
                delta: privacy.delta.value(),
            }),
            Err(error) => Err(error.into()),
        }
    }
}

impl OpenRound {
    /// Whether the phase is the one whose messages carry proofs.
    fn due(&self, session: &Session) -> bool {
        let first = matches!(self.protocol.phase(), Phase::Advertise | Phase::Plain);
        first && session.config().proof() != TrainingProof::None
    }

    fn proof_of(&self, client: ClientId, phase: Phase) -> Option<Hash> {
        let first = matches!(phase, Phase::Advertise | Phase::Plain);
        self.proven.get(&client).copied().filter(|_| first)
    }

    /// Takes a first message only if its sender signed it and its proof holds.
    fn receive_proven(
        &mut self,
        session: &Session,
        model: &Model,
        proof: &[u8],
        body: &[u8],
    ) -> Result<Admitted, Error> {
        if session.config().proof() == TrainingProof::None {
            return Err(Error::OutOfTurn("a proof of training, in a run without"));
        }
        if !self.due(session) {
            return self.protocol.receive(body);
        }
        // The signature first: a stranger may not make the coordinator verify proofs, nor spoil another's name.
        let envelope = Envelope::decode(body)?;
        let Party::Client(client) = envelope.sender else {
            return Err(Error::OutOfTurn("a message of the coordinator"));
        };
        envelope.verify(&session.registration(client)?.identity, self.params.hash())?;
        // A second message is refused by the protocol, whatever proof it carries.
        if !self.proven.contains_key(&client) {
            verify(session, client, self.round, model, proof)?;
        }
        let admitted = self.protocol.receive(body)?;
        self.proven.entry(client).or_insert_with(|| Hash(Sha256::digest(proof).into()));
        Ok(admitted)
    }
}

/// Whether a proof shows what the client was to prove in this round.
fn verify(session: &Session, client: ClientId, round: Round, model: &Model, proof: &[u8]) -> Result<(), Error> {
    let statement = session.statement(client, round, model.weights())?;
    let context = session.proof_context(client, round);
    let verified = match session.config().proof() {
        TrainingProof::None => Ok(()),
        TrainingProof::Transparent => {
            TransparentProof::from_bytes(proof).and_then(|proof| proof.verify(&statement, &context))
        }
        TrainingProof::ZeroKnowledge => Proof::from_bytes(proof).and_then(|proof| proof.verify(&statement, &context)),
    };
    verified.map_err(|reason| Error::Training { client, reason })
}
