//! Who takes part in a run, agreed before its first round.

use std::sync::Arc;

use nexus_mpc::secagg::{Params, ParamsBuilder};
use nexus_mpc::session::{ClientId, PublicIdentity, Round, SessionId};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use crate::config::RoundConfig;
use crate::data::Dataset;
use crate::{Error, Hash};

/// A client as it registers: its signing key, and a commitment to the data that it will train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The client.
    pub client: ClientId,
    /// Its long-term key.
    pub identity: PublicIdentity,
    /// A salted hash of its data; see [`commit_to`].
    pub data: Hash,
}

/// SHA-256 of a fresh 256-bit salt and the data's digest.
///
/// The salt hides the data from guessing (in the random-oracle model). It is not kept, so nothing can open this hash: it
/// fixes the session's id after the data, and no more. The training proof brings a commitment that opens.
pub fn commit_to<R: CryptoRng + ?Sized>(data: &Dataset, rng: &mut R) -> Hash {
    let mut salt = [0; 32];
    rng.fill_bytes(&mut salt);
    let hash = Sha256::new().chain_update(b"cipher-nexus data commitment v1").chain_update(salt);
    Hash(hash.chain_update(data.digest()).finalize().into())
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
    /// refused when a round's parameters are built.
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
        let mut hash = Sha256::new();
        hash.update(b"cipher-nexus session v1");
        hash.update(nonce);
        hash.update(config.hash().0);
        hash.update(coordinator.0);
        for Registration { client, identity, data } in &clients {
            hash.update(client.0.to_le_bytes());
            hash.update(identity.0);
            hash.update(data.0);
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
}
