//! A session of a few clients with a network of six parameters, played message by message.

use std::sync::Arc;

use nexus_circuits::training::DataSecret;
use nexus_federated::config::{RoundConfig, Settings, TrainingProof};
use nexus_federated::coordinator::{Completed, Coordinator, Effect};
use nexus_federated::data::Dataset;
use nexus_federated::model::Model;
use nexus_federated::participant::Participant;
use nexus_federated::session::{Registration, Session};
use nexus_federated::{ClientId, Error};
use nexus_mpc::journal::MemoryJournal;
use nexus_mpc::session::Identity;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub(crate) const FEATURES: usize = 2;
pub(crate) const CLASSES: usize = 2;
pub(crate) const TIMEOUT: u64 = 1_000;
/// Examples of a client and of a batch: each step sees all of them, so that their order does not matter.
const EXAMPLES: usize = 4;

/// Settings for a network 2-2, by default under masks and noise; nothing is proven, which is faster.
pub(crate) fn settings(clients: usize) -> Settings {
    let mut settings = Settings::default();
    settings.model.shape = "2-2".parse().expect("a shape");
    settings.training.clients = clients;
    settings.training.rounds = 3;
    settings.training.steps = 2;
    settings.training.batch = EXAMPLES;
    settings.training.proof = TrainingProof::None;
    settings.aggregation.phase_timeout_ms = TIMEOUT;
    settings
}

/// As [`settings`], with a zero-knowledge proof of each client's training.
pub(crate) fn proven(clients: usize) -> Settings {
    let mut settings = settings(clients);
    settings.training.proof = TrainingProof::ZeroKnowledge;
    settings
}

pub(crate) fn config(settings: &Settings) -> Arc<RoundConfig> {
    Arc::new(RoundConfig::build(settings, FEATURES, CLASSES).expect("settings that fit"))
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn coordinator_identity() -> Arc<Identity> {
    Arc::new(Identity::from_seed([200; 32]))
}

pub(crate) fn client_identity(client: u32) -> Arc<Identity> {
    Arc::new(Identity::from_seed([client as u8; 32]))
}

/// Examples that differ from client to client: a bright first or second pixel.
pub(crate) fn data(client: u32) -> Dataset {
    let shade = 8 * client as u8;
    let inputs = vec![250 - shade, 10, 20, 240, 200, 30 + shade, 40, 190];
    Dataset::new("pixels", inputs, vec![0, 1, 0, 1], FEATURES, CLASSES).expect("two rows of each label")
}

pub(crate) fn session(settings: &Settings) -> Arc<Session> {
    session_with(settings, [9; 32])
}

pub(crate) fn session_with(settings: &Settings, nonce: [u8; 32]) -> Arc<Session> {
    let clients = 0..settings.training.clients as u32;
    let config = config(settings);
    let clients = clients.map(|client| register(&config, client).0);
    let coordinator = coordinator_identity().verifying_key();
    Arc::new(Session::new(Arc::clone(&config), coordinator, clients.collect(), nonce).expect("all clients"))
}

/// A client's registration and what opens it, the same whenever it is made.
pub(crate) fn register(config: &RoundConfig, client: u32) -> (Registration, DataSecret) {
    let (coordinator, identity) = (coordinator_identity().verifying_key(), client_identity(client).verifying_key());
    let rng = &mut rng(u64::from(client));
    Registration::new(config, &coordinator, ClientId(client), identity, &data(client), rng).expect("data that fits")
}

/// What opens a client's data.
pub(crate) fn secret(session: &Session, client: u32) -> DataSecret {
    register(session.config(), client).1
}

/// A client with an empty journal.
pub(crate) fn participant(session: &Arc<Session>, client: u32) -> Participant {
    let journal = Arc::new(MemoryJournal::new());
    Participant::new(
        Arc::clone(session),
        ClientId(client),
        client_identity(client),
        data(client),
        secret(session, client),
        journal,
    )
    .expect("a client of the session")
}

pub(crate) fn initial(session: &Session) -> Model {
    let plan = session.config().plan();
    Model::initial(plan.shape(), plan.format(), &mut rng(7)).expect("a model")
}

pub(crate) fn coordinator(session: &Arc<Session>) -> Coordinator {
    Coordinator::new(Arc::clone(session), coordinator_identity(), initial(session)).expect("its coordinator")
}

/// Messages as they come to the coordinator.
pub(crate) type Answers = Vec<(ClientId, Vec<u8>)>;

/// All parties of a session, each client with its own randomness.
pub(crate) struct Parties {
    pub(crate) session: Arc<Session>,
    pub(crate) coordinator: Coordinator,
    pub(crate) clients: Vec<(Participant, ChaCha20Rng)>,
}

impl Parties {
    pub(crate) fn new(settings: &Settings) -> Self {
        let session = session(settings);
        let clients = 0..settings.training.clients as u32;
        let clients = clients.map(|client| (participant(&session, client), rng(1_000 + u64::from(client)))).collect();
        Self { coordinator: coordinator(&session), session, clients }
    }

    /// What the clients answer to the coordinator's messages, by id.
    pub(crate) fn try_answers(&mut self, effects: &[Effect]) -> Vec<(ClientId, Result<Vec<u8>, Error>)> {
        let mut answers = Vec::new();
        for (client, rng) in &mut self.clients {
            let id = client.client();
            for effect in effects {
                match effect {
                    Effect::Broadcast(bytes) => answers.push((id, client.handle(bytes, rng))),
                    Effect::Send(to, bytes) if *to == id => answers.push((id, client.handle(bytes, rng))),
                    _ => {}
                }
            }
        }
        answers
    }

    /// As [`Self::try_answers`], where none refuses.
    pub(crate) fn answers(&mut self, effects: &[Effect]) -> Answers {
        let answers = self.try_answers(effects).into_iter();
        answers.map(|(client, answer)| (client, answer.expect("honest messages are answered"))).collect()
    }

    pub(crate) fn deliver(&mut self, now: u64, answers: &[(ClientId, Vec<u8>)]) -> Vec<Effect> {
        answers.iter().flat_map(|(client, bytes)| self.coordinator.handle(now, *client, bytes)).collect()
    }

    /// Plays one round to its end; `arrange` orders each phase's answers.
    pub(crate) fn round_arranged(&mut self, mut arrange: impl FnMut(&mut Answers)) -> Vec<Effect> {
        let mut effects = self.coordinator.open(0).expect("a round is due");
        while self.coordinator.phase().is_some() {
            let mut answers = self.answers(&effects);
            arrange(&mut answers);
            effects = self.deliver(0, &answers);
        }
        effects
    }

    pub(crate) fn round(&mut self) -> Completed {
        completed(&self.round_arranged(|_| {})).expect("an honest round completes")
    }
}

/// The end of the round, if it ended with a sum.
pub(crate) fn completed(effects: &[Effect]) -> Option<Completed> {
    effects.iter().find_map(|effect| match effect {
        Effect::Completed(completed) => Some(completed.clone()),
        _ => None,
    })
}

/// What was refused, and whose connection it came over.
pub(crate) fn rejections(effects: &[Effect]) -> Vec<(ClientId, &Error)> {
    let rejections = effects.iter().filter_map(|effect| match effect {
        Effect::Rejected { client, reason, .. } => Some((*client, reason)),
        _ => None,
    });
    rejections.collect()
}
