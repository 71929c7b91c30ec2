//! A tiny session for tests: two features, two classes, four examples a client.

use std::sync::Arc;

use nexus_federated::config::{RoundConfig, Settings};
use nexus_federated::data::Dataset;
use nexus_federated::message::RoundStart;
use nexus_federated::model::Model;
use nexus_federated::participant::Participant;
use nexus_federated::session::{Registration, Session, commit_to};
use nexus_federated::{ClientId, Round};
use nexus_mpc::journal::MemoryJournal;
use nexus_mpc::session::Identity;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The parties' keys and what they agreed on; sums need two thirds of the clients and one.
pub(crate) struct Parties {
    pub(crate) session: Arc<Session>,
    pub(crate) coordinator: Arc<Identity>,
    pub(crate) clients: Vec<Arc<Identity>>,
    pub(crate) data: Dataset,
    pub(crate) model: Model,
}

impl Parties {
    pub(crate) fn new(count: u32) -> Self {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let mut settings = Settings::default();
        settings.training.clients = count as usize;
        settings.model.shape = "2-2".parse().unwrap();
        settings.aggregation.max_corrupt = Some(0);
        settings.aggregation.min_survivors = Some(2 * count as usize / 3 + 1);
        settings.aggregation.phase_timeout_ms = 1_000;
        let config = Arc::new(RoundConfig::build(&settings, 2, 2).unwrap());
        let data = Dataset::new("tiny", vec![10, 200, 220, 30, 15, 180, 250, 5], vec![1, 0, 1, 0], 2, 2).unwrap();
        let coordinator = Arc::new(Identity::generate(rng));
        let clients: Vec<_> = (0..count).map(|_| Arc::new(Identity::generate(rng))).collect();
        let registrations = clients.iter().zip(0..).map(|(identity, id)| Registration {
            client: ClientId(id),
            identity: identity.verifying_key(),
            data: commit_to(&data, &mut ChaCha20Rng::seed_from_u64(id.into())),
        });
        let registrations = registrations.collect();
        let session = Session::new(Arc::clone(&config), coordinator.verifying_key(), registrations, [7; 32]).unwrap();
        let model = Model::initial(config.plan().shape(), config.plan().format(), rng).unwrap();
        Self { session: Arc::new(session), coordinator, clients, data, model }
    }

    pub(crate) fn participant(&self, id: u32) -> Participant {
        let identity = Arc::clone(&self.clients[id as usize]);
        let journal = Arc::new(MemoryJournal::new());
        Participant::new(Arc::clone(&self.session), ClientId(id), identity, self.data.clone(), journal).unwrap()
    }

    /// The coordinator's call to a round, at this session's model.
    pub(crate) fn start(&self, round: u32) -> RoundStart {
        RoundStart {
            session: self.session.id(),
            round: Round(round),
            config: self.session.config().hash(),
            model: self.model.clone(),
        }
    }
}
