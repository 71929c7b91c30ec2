//! Who takes part in a run, agreed before its first round.

use std::sync::Arc;

use nexus_circuits::reference::{Schedule, Weights};
use nexus_circuits::training::{DataCommitment, DataProof, DataSecret, Statement, TrainingError};
use nexus_mpc::secagg::{Params, ParamsBuilder};
use nexus_mpc::session::{ClientId, PublicIdentity, Round, SessionId};
use nexus_mpc::threshold_bfv;
use rand_core::CryptoRng;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::config::{RoundConfig, TrainingProof};
use crate::data::Dataset;
use crate::{Error, Hash};

/// A client as it registers: its signing key, and a commitment to the data that it will train on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The client.
    pub client: ClientId,
    /// Its long-term key.
    pub identity: PublicIdentity,
    /// The commitment to its data, with a copy for each round.
    pub data: DataCommitment,
    /// Shows that the copies hold the same data.
    pub proof: DataProof,
}

impl Registration {
    /// Commits to a client's data for every round of the configuration; the secret stays with the client.
    ///
    /// # Errors
    /// [`Error::Circuit`] if the data is empty or malformed, [`Error::Registration`] if it is more than one commitment holds.
    pub fn new<R: CryptoRng + ?Sized>(
        config: &RoundConfig,
        coordinator: &PublicIdentity,
        client: ClientId,
        identity: PublicIdentity,
        data: &Dataset,
        rng: &mut R,
    ) -> Result<(Self, DataSecret), Error> {
        let context = Self::context(config, coordinator, client, &identity);
        let (data, secret, proof) = DataCommitment::new(data.examples()?, config.data_copies(), &context, rng)
            .map_err(|reason| Error::Registration { client, reason })?;
        Ok((Self { client, identity, data, proof }, secret))
    }

    /// What the proof of equal copies is bound to: the session's id is made from registrations, so it comes too late.
    fn context(
        config: &RoundConfig,
        coordinator: &PublicIdentity,
        client: ClientId,
        identity: &PublicIdentity,
    ) -> [u8; 32] {
        let hash = Sha256::new()
            .chain_update(b"cipher-nexus registration v1")
            .chain_update(config.hash().0)
            .chain_update(coordinator.0)
            .chain_update(client.0.to_le_bytes())
            .chain_update(identity.0);
        hash.finalize().into()
    }

    /// Checks the copies, their number, and that the data suits the model.
    fn verify(&self, config: &RoundConfig, coordinator: &PublicIdentity) -> Result<(), TrainingError> {
        let (expected, got) = (config.data_copies(), self.data.rounds());
        if expected != got {
            return Err(TrainingError::Mismatch { what: "copies of the data", expected, got });
        }
        let (expected, got) = (config.plan().shape().inputs(), self.data.features());
        if expected != got {
            return Err(TrainingError::Mismatch { what: "features of the data", expected, got });
        }
        self.data.verify(&self.proof, &Self::context(config, coordinator, self.client, &self.identity))?;
        if config.proof() != TrainingProof::None {
            // Refused now rather than in the first round.
            let start = Weights::zeros(config.plan().shape());
            let clip = Some(*config.clip());
            Statement::new(config.plan().clone(), start, self.data.clone(), 0, [0; 32], clip)?;
        }
        Ok(())
    }
}

/// A run's fixed facts: configuration, coordinator, clients, and the session id that binds them.
#[derive(Clone, Debug)]
pub struct Session {
    id: SessionId,
    config: Arc<RoundConfig>,
    coordinator: PublicIdentity,
    clients: Vec<Registration>,
}

impl Session {
    /// The session of these parties; `nonce` is the coordinator's and is drawn after the clients registered.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless there are exactly as many clients as the configuration says. Doubled ids and keys are
    /// refused when a round's parameters are built. [`Error::Registration`] naming a client whose data commitment is not
    /// shown to hold the same data in a copy for each round, or does not suit the model.
    pub fn new(
        config: Arc<RoundConfig>,
        coordinator: PublicIdentity,
        mut clients: Vec<Registration>,
        nonce: [u8; 32],
    ) -> Result<Self, Error> {
        if clients.len() != config.clients() {
            return Err(Error::Malformed {
                what: "registrations",
                expected: format!("{} clients", config.clients()),
                got: format!("{} clients", clients.len()),
            });
        }
        clients.sort_by_key(|registration| registration.client);
        let verified = clients.par_iter().map(|registration| {
            let client = registration.client;
            let verified = registration.verify(&config, &coordinator);
            verified.map_err(|reason| Error::Registration { client, reason })
        });
        // Collected first, so that the first by id is named whichever thread is faster.
        verified.collect::<Vec<_>>().into_iter().collect::<Result<(), _>>()?;
        let mut hash = Sha256::new();
        hash.update(b"cipher-nexus session v2");
        hash.update(nonce);
        hash.update(config.hash().0);
        hash.update(coordinator.0);
        for Registration { client, identity, data, proof: _ } in &clients {
            hash.update(client.0.to_le_bytes());
            hash.update(identity.0);
            hash.update(data.digest());
        }
        Ok(Self { id: SessionId(hash.finalize().into()), config, coordinator, clients })
    }

    /// The session's id, which also seeds the batch schedules: it is fixed after every data commitment.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// What every round holds to.
    pub const fn config(&self) -> &Arc<RoundConfig> {
        &self.config
    }

    /// The coordinator's key.
    pub const fn coordinator(&self) -> PublicIdentity {
        self.coordinator
    }

    /// The clients, by id.
    pub fn clients(&self) -> &[Registration] {
        &self.clients
    }

    /// What a client proves in a round that begins at `start`: its steps on its registered data, in the order that the
    /// session's id fixes, and the clip of its update.
    ///
    /// # Errors
    /// [`Error::UnknownClient`]; [`Error::Training`] for a round beyond the data's copies, or a model that does not fit.
    pub fn statement(&self, client: ClientId, round: Round, start: &Weights) -> Result<Statement, Error> {
        let config = &self.config;
        let seed = self.schedule_seed(client, round)?;
        let data = self.registration(client)?.data.clone();
        let copy = (round.0 as usize).checked_sub(1).ok_or(Error::WrongRound { expected: Round(1), got: round })?;
        Statement::new(config.plan().clone(), start.clone(), data, copy, seed, Some(*config.clip()))
            .map_err(|reason| Error::Training { client, reason })
    }

    /// The session of a proof of training: this session, the round and the client, so that none is of use elsewhere.
    pub fn proof_context(&self, client: ClientId, round: Round) -> [u8; 32] {
        let hash = Sha256::new()
            .chain_update(b"cipher-nexus round proof v1")
            .chain_update(self.id.0)
            .chain_update(round.0.to_le_bytes())
            .chain_update(client.0.to_le_bytes());
        hash.finalize().into()
    }

    /// What fixes the order of a client's examples in a round.
    pub(crate) fn schedule_seed(&self, client: ClientId, round: Round) -> Result<[u8; 32], Error> {
        let digest = self.registration(client)?.data.digest();
        Ok(Schedule::seed(&self.id.0, &digest, client.0, round.0))
    }

    /// A client as it registered.
    pub(crate) fn registration(&self, client: ClientId) -> Result<&Registration, Error> {
        self.clients.iter().find(|known| known.client == client).ok_or(Error::UnknownClient(client))
    }

    /// The parameters of one round's secure aggregation, for updates of the model with this hash.
    ///
    /// # Errors
    /// [`Error::Aggregation`] naming the parameter that is refused.
    pub fn aggregation(&self, round: Round, model: Hash) -> Result<Arc<Params>, Error> {
        let config = &self.config;
        let params = ParamsBuilder {
            session: self.id,
            round,
            clients: self.clients.iter().map(|registration| (registration.client, registration.identity)).collect(),
            server: self.coordinator,
            threshold: config.threshold(),
            modulus_bits: config.modulus_bits(),
            length: config.plan().shape().parameters(),
            model_hash: model.0,
            config_hash: config.hash().0,
            min_survivors: config.min_survivors(),
            max_corrupt: config.max_corrupt(),
        };
        Ok(Arc::new(params.build()?))
    }

    /// The parameters of one round's encrypted aggregation, where the configuration says so.
    ///
    /// # Errors
    /// [`Error::Aggregation`] naming the parameter that is refused; [`Error::OutOfTurn`] if the configuration has another
    /// protection.
    pub fn threshold_bfv(&self, round: Round, model: Hash) -> Result<Arc<threshold_bfv::Params>, Error> {
        let layout =
            self.config.layout().ok_or(Error::OutOfTurn("encryption, in a run that has another protection"))?;
        let common = Arc::unwrap_or_clone(self.aggregation(round, model)?);
        Ok(Arc::new(threshold_bfv::Params::new(common, layout.clone())?))
    }
}
