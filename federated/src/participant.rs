//! A client of the session as a state machine: bytes in, bytes out.

use std::sync::Arc;

use nexus_circuits::reference::{Examples, Schedule};
use nexus_dp::account::Rho;
use nexus_dp::budget::Budget;
use nexus_mpc::journal::Journal;
use nexus_mpc::session::{ClientId, Identity, Round};
use rand_core::CryptoRng;

use crate::Error;
use crate::config::Privacy;
use crate::data::Dataset;
use crate::message::{Message, RoundStart};
use crate::protect::{self, ClientProtocol, ClientStart};
use crate::session::Session;
use crate::train::{CandleProducts, ExactTrainer};
use crate::update::{Noised, Trained};

/// One client: its key, its data, its own privacy budget and its journal.
///
/// It opens no socket and reads no clock. A round goes: [`RoundStart`] → train, clip, add noise, first message; then an
/// answer to each message of the protection. A round is entered once: whatever comes again for it is refused.
///
/// # Security
/// The client charges its own budget before noise is drawn and never takes it back, whether or not the round completes.
/// The budget lives in memory here; whoever restarts a client restores it with [`Self::restore`]. What must hold
/// across a crash without that help, one masked message and one release a round, is in the [`Journal`].
pub struct Participant {
    session: Arc<Session>,
    client: ClientId,
    identity: Arc<Identity>,
    journal: Arc<dyn Journal>,
    data: Dataset,
    data_digest: [u8; 32],
    trainer: ExactTrainer,
    budget: Option<Budget>,
    next: Round,
    protocol: Option<Box<dyn ClientProtocol>>,
}

impl Participant {
    /// A client of `session` with its data.
    ///
    /// # Errors
    /// [`Error::UnknownClient`] if the session does not hold this client with this key; [`Error::Malformed`] if the data's
    /// features or labels do not fit the model, or there are none.
    pub fn new(
        session: Arc<Session>,
        client: ClientId,
        identity: Arc<Identity>,
        data: Dataset,
        journal: Arc<dyn Journal>,
    ) -> Result<Self, Error> {
        let key = identity.verifying_key();
        if !session.clients().iter().any(|known| known.client == client && known.identity == key) {
            return Err(Error::UnknownClient(client));
        }
        let plan = session.config().plan().clone();
        if data.features() != plan.shape().inputs() {
            return Err(Error::Malformed {
                what: "client's data",
                expected: format!("{} features", plan.shape().inputs()),
                got: format!("{} features", data.features()),
            });
        }
        if data.is_empty() {
            let expected = "one example or more".to_owned();
            return Err(Error::Malformed { what: "client's data", expected, got: "none".to_owned() });
        }
        let outputs = plan.shape().outputs();
        if let Some(label) = data.labels().iter().find(|&&label| usize::from(label) >= outputs) {
            return Err(Error::Malformed {
                what: "client's data",
                expected: format!("labels below {outputs}"),
                got: format!("label {label}"),
            });
        }
        Ok(Self {
            trainer: CandleProducts::trainer(plan)?,
            budget: session.config().privacy().map(Privacy::budget),
            data_digest: data.digest(),
            session,
            client,
            identity,
            journal,
            data,
            next: Round(1),
            protocol: None,
        })
    }

    /// Continues after a restart: `next` is the first round that may be entered, `spent` what earlier ones cost.
    ///
    /// # Errors
    /// [`Error::Privacy`] if more is spent than the budget holds.
    pub fn restore(&mut self, next: Round, spent: Rho) -> Result<(), Error> {
        self.next = next;
        if let Some(privacy) = self.session.config().privacy() {
            self.budget = Some(Budget::restore(privacy.cap, spent)?);
        }
        Ok(())
    }

    /// Who this is.
    pub const fn client(&self) -> ClientId {
        self.client
    }

    /// The answer to one message of the coordinator.
    ///
    /// # Errors
    /// What the message violates: not signed, another session, configuration or round, a peer that was shown another
    /// model, a second release, and so on; or [`Error::Privacy`] when the client's budget is spent.
    pub fn handle(&mut self, bytes: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, Error> {
        match Message::decode(bytes)? {
            Message::Start(body) => {
                let start = self.enter(body)?;
                let update = self.update(&start, rng)?;
                self.begin(start.round, update, rng)
            }
            Message::Protocol(body) => {
                let protocol = self.protocol.as_mut().ok_or(Error::OutOfTurn("no round has begun"))?;
                Ok(Message::Protocol(&protocol.handle(body, rng)?).encode())
            }
        }
    }

    /// Checks a round's start and marks the round as entered.
    pub(crate) fn enter(&mut self, body: &[u8]) -> Result<RoundStart, Error> {
        let coordinator = self.session.coordinator();
        let start = RoundStart::decode(body, &coordinator, self.session.id(), self.session.config())?;
        let last = Round(self.session.config().rounds());
        if start.round < self.next || start.round > last {
            return Err(Error::WrongRound { expected: self.next, got: start.round });
        }
        self.next = Round(start.round.0 + 1);
        self.protocol = None;
        Ok(start)
    }

    /// Trains, clips and adds noise.
    fn update(&mut self, start: &RoundStart, rng: &mut dyn CryptoRng) -> Result<Noised, Error> {
        let config = Arc::clone(self.session.config());
        let plan = config.plan();
        let seed = Schedule::seed(&self.session.id().0, &self.data_digest, self.client.0, start.round.0);
        let schedule = Schedule::new(seed, self.data.len(), plan.batch(), plan.steps())?;
        let examples = Examples::new(self.data.inputs(), self.data.labels(), self.data.features())?;
        let trained = Trained::train(&mut self.trainer, &start.model, examples, &schedule)?;
        let clipped = trained.clip(config.clip())?;
        match (config.privacy(), &mut self.budget) {
            (Some(privacy), Some(budget)) => {
                let permit = budget.reserve(privacy.mechanism.event())?;
                clipped.privatise(privacy, permit, rng)
            }
            _ => clipped.without_noise(&config),
        }
    }

    /// Hands the update to the protection, which makes the round's first message.
    fn begin(&mut self, round: Round, update: Noised, rng: &mut dyn CryptoRng) -> Result<Vec<u8>, Error> {
        let (protocol, bytes) = protect::client(&self.start(round), update, rng)?;
        self.protocol = Some(protocol);
        Ok(Message::Protocol(&bytes).encode())
    }

    fn start(&self, round: Round) -> ClientStart<'_> {
        ClientStart {
            session: &self.session,
            round,
            client: self.client,
            identity: &self.identity,
            journal: &self.journal,
        }
    }
}

/// What a cheating client does instead, for the simulation of attacks.
impl Participant {
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// As [`Self::handle`], but what is masked is `tamper` of the honest update.
    pub(crate) fn handle_tampered(
        &mut self,
        bytes: &[u8],
        tamper: impl FnOnce(&mut [i64]),
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let Message::Start(body) = Message::decode(bytes)? else { return self.handle(bytes, rng) };
        let start = self.enter(body)?;
        let update = self.update(&start, rng)?;
        let model = update.model();
        let mut values = update.into_values();
        tamper(&mut values);
        let (protocol, bytes) = protect::secagg::client(&self.start(start.round), model, values, rng)?;
        self.protocol = Some(protocol);
        Ok(Message::Protocol(&bytes).encode())
    }
}
