//! A whole session in one process: data dealt to clients, all randomness from one seed.

use std::sync::Arc;

use nexus_dp::account::Rho;
use nexus_mpc::journal::Journal;
use nexus_mpc::session::{ClientId, Identity, Round};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::attack::Attack;
use crate::config::{DataSource, RoundConfig, Settings};
use crate::coordinator::Coordinator;
use crate::data::Dataset;
use crate::engine::Engine;
use crate::model::Model;
use crate::participant::Participant;
use crate::session::{Registration, Session};
use crate::train::{CandleProducts, ExactTrainer};

/// The streams of randomness of a simulated run.
///
/// # Security
/// Everything follows from one number, keys and noise included: for simulations only.
#[derive(Clone, Copy, Debug)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream for one purpose, client and round; streams are independent as far as SHA-256 and ChaCha20 are.
    pub fn stream(self, purpose: &str, client: ClientId, round: Round) -> ChaCha20Rng {
        let hash = Sha256::new()
            .chain_update(b"cipher-nexus simulation v1")
            .chain_update(self.0.to_le_bytes())
            .chain_update(client.0.to_le_bytes())
            .chain_update(round.0.to_le_bytes())
            .chain_update(purpose);
        ChaCha20Rng::from_seed(hash.finalize().into())
    }

    /// The stream of the run itself.
    pub fn run_stream(self, purpose: &str) -> ChaCha20Rng {
        self.stream(purpose, ClientId(u32::MAX), Round(0))
    }
}

/// A simulated session, ready for its first round.
pub struct Simulation {
    /// Plays the rounds.
    pub engine: Engine,
    session: Arc<Session>,
    initial: Model,
    test: Dataset,
    evaluator: ExactTrainer,
}

impl Simulation {
    /// The configuration that `settings` make with the data they name, without beginning anything.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn check(settings: &Settings) -> Result<RoundConfig, Error> {
        let data = load(&settings.data.source)?;
        RoundConfig::build(settings, data.features(), data.classes())
    }

    /// Loads and deals the data, registers clients, and makes the first model.
    ///
    /// # Errors
    /// [`Error::Data`] from loading and splitting, [`Error::Config`] naming a setting.
    pub fn new(settings: &Settings, attack: Option<Attack>, journal: &Arc<dyn Journal>) -> Result<Self, Error> {
        let seed = Seed(settings.simulation.seed);
        let data = load(&settings.data.source)?;
        let config = Arc::new(RoundConfig::build(settings, data.features(), data.classes())?);
        let (train, test) = data.train_test(settings.data.test_fraction, &mut seed.run_stream("test split"))?;
        let parts = settings.data.split.split(&train, config.clients(), &mut seed.run_stream("client split"))?;
        let parts: Vec<Dataset> = parts.iter().map(|indices| train.subset(indices)).collect();

        let identity = |purpose, client| Arc::new(Identity::generate(&mut seed.stream(purpose, client, Round(0))));
        let coordinator = identity("coordinator", ClientId(u32::MAX));
        let ids: Vec<ClientId> = (0..config.clients() as u32).map(ClientId).collect();
        let identities: Vec<_> = ids.iter().map(|&client| identity("client", client)).collect();
        let register = |((&client, identity), data): ((&ClientId, &Arc<Identity>), &Dataset)| {
            let rng = &mut seed.stream("data commitment", client, Round(0));
            Registration::new(&config, &coordinator.verifying_key(), client, identity.verifying_key(), data, rng)
        };
        let registered = ids.par_iter().zip(&identities).zip(&parts).map(register);
        let (registrations, secrets): (Vec<_>, Vec<_>) = registered.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let mut nonce = [0; 32];
        seed.run_stream("session nonce").fill_bytes(&mut nonce);
        let session = Session::new(Arc::clone(&config), coordinator.verifying_key(), registrations, nonce)?;
        let session = Arc::new(session);

        let plan = config.plan();
        let initial = Model::initial(plan.shape(), plan.format(), &mut seed.run_stream("initial model"))?;
        let participants = ids.iter().zip(identities).zip(parts).zip(secrets);
        let participants = participants.map(|(((&client, identity), data), secret)| {
            Participant::new(Arc::clone(&session), client, identity, data, secret, Arc::clone(journal))
        });
        let participants = participants.collect::<Result<Vec<_>, _>>()?;
        let evaluator = CandleProducts::trainer(plan.clone())?;
        let state = Coordinator::new(Arc::clone(&session), Arc::clone(&coordinator), initial.clone())?;
        let engine = Engine::new(state, coordinator, participants, seed, settings.simulation.dropout, attack);
        Ok(Self { engine, session, initial, test, evaluator })
    }

    /// Continues after `model`, with `next` the next round and `spent` what the rounds before it cost.
    ///
    /// # Errors
    /// [`Error::Privacy`] if more is spent than the budget holds.
    pub fn restore(&mut self, model: Model, next: Round, spent: Rho) -> Result<(), Error> {
        self.engine.restore(model, next, spent)
    }

    /// The parties and the configuration.
    pub const fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The model before the first round.
    pub const fn initial(&self) -> &Model {
        &self.initial
    }

    /// Test accuracy of a model.
    ///
    /// # Errors
    /// [`Error::Circuit`] if the model is not of this shape.
    pub fn accuracy(&mut self, model: &Model) -> Result<f64, Error> {
        let examples = self.test.examples()?;
        Ok(self.evaluator.accuracy(model.weights(), examples)?)
    }
}

fn load(source: &DataSource) -> Result<Dataset, Error> {
    Ok(match source {
        DataSource::Digits => Dataset::digits(),
        DataSource::Mnist10k => Dataset::mnist10k(),
        DataSource::Csv { path, maximum, classes } => Dataset::load_csv(path, *maximum, *classes)?,
        DataSource::Idx { images, labels, classes } => Dataset::load_idx(images, labels, *classes)?,
    })
}
