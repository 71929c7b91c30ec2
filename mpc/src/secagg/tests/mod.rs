//! Whole rounds, honest and not. This file holds the cohort that the tests share.

mod client_cheats;
mod decoders;
mod dropout;
mod order;
mod server_cheats;

use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;
use crate::journal::MemoryJournal;
use crate::session::{Envelope, Identity, Kind, Party, Round, SessionId};

/// The parties of one round; everything follows from a seed, so that building it twice restores a state.
pub(super) struct Cohort {
    pub(super) params: Arc<Params>,
    pub(super) server: Arc<Identity>,
    pub(super) clients: Vec<Arc<Identity>>,
    pub(super) inputs: Vec<Vec<i64>>,
    pub(super) journal: Arc<MemoryJournal>,
    pub(super) rng: ChaCha20Rng,
}

impl Cohort {
    pub(super) fn new(clients: usize) -> Self {
        Self::with(clients, 16, 5, |_| ())
    }

    pub(super) fn with(clients: usize, bits: u32, length: usize, change: impl FnOnce(&mut ParamsBuilder)) -> Self {
        let identity = |seed: usize| {
            let mut bytes = [1; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            Arc::new(Identity::from_seed(bytes))
        };
        let server = identity(usize::MAX);
        let identities: Vec<_> = (0..clients).map(identity).collect();
        let least = Params::least_threshold(clients);
        let mut builder = ParamsBuilder {
            session: SessionId([7; 32]),
            round: Round(3),
            clients: identities.iter().enumerate().map(|(index, key)| (Self::id(index), key.verifying_key())).collect(),
            server: server.verifying_key(),
            threshold: least,
            modulus_bits: bits,
            length,
            model_hash: [4; 32],
            config_hash: [5; 32],
            min_survivors: least,
            max_corrupt: 1,
        };
        change(&mut builder);
        let mut rng = ChaCha20Rng::from_seed([clients as u8; 32]);
        let params = Arc::new(builder.build().unwrap());
        let inputs = (0..clients)
            .map(|_| (0..length).map(|_| params.modulus_bits().centred(rng.next_u32())).collect())
            .collect();
        Self { params, server, clients: identities, inputs, journal: Arc::new(MemoryJournal::new()), rng }
    }

    /// The same parties with the same randomness, remembering only the journal: a state restored from a backup.
    pub(super) fn restored(&self) -> Self {
        let params = self.params.to_builder();
        Self {
            journal: self.journal.clone(),
            ..Self::with(self.clients.len(), params.modulus_bits, params.length, |builder| *builder = params)
        }
    }

    /// Ids that are neither dense nor indices.
    pub(super) fn id(index: usize) -> ClientId {
        ClientId(10 + 3 * index as u32)
    }

    /// A server message that the protocol would not send, with a good signature.
    pub(super) fn by_server(&self, kind: Kind, body: &[u8]) -> Vec<u8> {
        Envelope::seal(Party::Server, kind, self.params.hash(), body, &self.server)
    }

    /// A client message that the protocol would not send, with a good signature.
    pub(super) fn by_client(&self, index: usize, kind: Kind, body: &[u8]) -> Vec<u8> {
        Envelope::seal(Party::Client(Self::id(index)), kind, self.params.hash(), body, &self.clients[index])
    }

    pub(super) fn new_server(&self) -> Server<Advertising> {
        Server::new(self.params.clone(), self.server.clone()).unwrap()
    }

    pub(super) fn advertise(&mut self, index: usize) -> (Client<Advertised>, Vec<u8>) {
        let identity = self.clients[index].clone();
        Client::advertise(self.params.clone(), Self::id(index), identity, &mut self.rng).unwrap()
    }

    /// All clients and the server after step 1, with the messages of the clients and the roster.
    pub(super) fn advertised(&mut self) -> After<Advertised, Sharing, Vec<u8>> {
        let mut server = self.new_server();
        let (clients, sent) = (0..self.clients.len())
            .map(|index| {
                let (client, message) = self.advertise(index);
                assert_eq!(server.receive(&message), Ok(Self::id(index)));
                (client, message)
            })
            .unzip();
        let (server, answer) = server.close().unwrap();
        After { clients, server, sent, answer }
    }

    /// All after step 2, with the inboxes.
    pub(super) fn shared(&mut self) -> After<Shared, Masking, Inboxes> {
        let After { clients, mut server, answer: roster, .. } = self.advertised();
        let (clients, sent) = clients
            .into_iter()
            .map(|client| {
                let (client, message) = client.share(&roster, &mut self.rng).unwrap();
                assert_eq!(server.receive(&message), Ok(client.id()));
                (client, message)
            })
            .unzip();
        let (server, answer) = server.close().unwrap();
        After { clients, server, sent, answer }
    }

    /// All after step 3, with the claim; the clients from `masking` on drop before.
    pub(super) fn masked(&mut self, masking: usize) -> After<Masked, Signing, Vec<u8>> {
        let After { clients, mut server, answer: inboxes, .. } = self.shared();
        let (clients, sent) = clients
            .into_iter()
            .zip(&inboxes)
            .zip(&self.inputs)
            .take(masking)
            .map(|((client, (_, inbox)), input)| {
                let (client, message) = client.mask(inbox, input, &*self.journal).unwrap();
                assert_eq!(server.receive(&message), Ok(client.id()));
                (client, message)
            })
            .unzip();
        let (server, answer) = server.close().unwrap();
        After { clients, server, sent, answer }
    }

    /// All after step 4, with the quorum.
    pub(super) fn signed(&mut self, masking: usize) -> After<Signed, Releasing, Vec<u8>> {
        let After { clients, mut server, answer: claim, .. } = self.masked(masking);
        let (clients, sent) = clients
            .into_iter()
            .map(|client| {
                let (client, message) = client.sign(&claim, &*self.journal).unwrap();
                assert_eq!(server.receive(&message), Ok(client.id()));
                (client, message)
            })
            .unzip();
        let (server, answer) = server.close().unwrap();
        After { clients, server, sent, answer }
    }

    /// The server after step 5 and what the clients sent.
    pub(super) fn released(&mut self, masking: usize) -> (Server<Releasing>, Vec<Vec<u8>>) {
        let After { clients, mut server, answer: quorum, .. } = self.signed(masking);
        let sent = clients
            .into_iter()
            .map(|client| {
                let id = client.id();
                let message = client.release(&quorum, &*self.journal).unwrap();
                assert_eq!(server.receive(&message), Ok(id));
                message
            })
            .collect();
        (server, sent)
    }

    /// The sum of the inputs of some clients by plain addition.
    pub(super) fn plain_sum(&self, of: &(impl Iterator<Item = usize> + Clone)) -> Vec<i64> {
        (0..self.params.length())
            .map(|entry| {
                let sum: i64 = of.clone().map(|index| self.inputs[index][entry]).sum();
                let modulus = 1_i64 << self.params.modulus_bits().bits();
                let half = modulus / 2;
                (sum + half).rem_euclid(modulus) - half
            })
            .collect()
    }
}

/// The parties after a step.
pub(super) struct After<C, S, A> {
    pub(super) clients: Vec<Client<C>>,
    pub(super) server: Server<S>,
    /// What the clients sent in this step.
    pub(super) sent: Vec<Vec<u8>>,
    /// What the server answered.
    pub(super) answer: A,
}
