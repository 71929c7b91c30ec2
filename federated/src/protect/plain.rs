//! No protection: signed updates in the clear. For research and for the comparison without noise.

use std::sync::Arc;

use nexus_mpc::journal::Step;
use nexus_mpc::secagg::{Params, Sum};
use nexus_mpc::session::{ClientId, Envelope, Kind, Party};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use super::{ClientProtocol, ClientStart, Closed, Phase, ServerProtocol};
use crate::update::Admitted;
use crate::{Error, Hash};

/// The client's half is over with its first message.
struct PlainClient;

impl ClientProtocol for PlainClient {
    fn handle(&mut self, _: &[u8], _: &mut dyn CryptoRng) -> Result<Vec<u8>, Error> {
        Err(Error::OutOfTurn("an update in the clear is one message"))
    }
}

pub(super) fn client(
    start: &ClientStart<'_>,
    model: Hash,
    values: &[i64],
) -> Result<(Box<dyn ClientProtocol>, Vec<u8>), Error> {
    let params = start.session.aggregation(start.round, model)?;
    let body: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let sender = Party::Client(start.client);
    let bytes = Envelope::seal(sender, Kind::Masked, params.hash(), &body, start.identity);
    let digest = Sha256::digest(&bytes).into();
    start.journal.commit(start.client, start.session.id(), start.round, Step::Masked, digest)?;
    Ok((Box::new(PlainClient), bytes))
}

/// The coordinator's half: adds what comes.
pub struct PlainServer {
    params: Arc<Params>,
    sum: Vec<i64>,
    contributors: Vec<ClientId>,
    transcript: Sha256,
}

impl PlainServer {
    pub(super) fn new(params: Arc<Params>) -> Self {
        let sum = vec![0; params.length()];
        let transcript = Sha256::new().chain_update(params.hash());
        Self { params, sum, contributors: Vec::new(), transcript }
    }
}

impl ServerProtocol for PlainServer {
    fn params_hash(&self) -> &[u8; 32] {
        self.params.hash()
    }

    fn phase(&self) -> Phase {
        Phase::Plain
    }

    fn missing(&self) -> usize {
        self.params.clients().len() - self.contributors.len()
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<Admitted, Error> {
        let envelope = Envelope::decode(bytes)?;
        let Party::Client(client) = envelope.sender else {
            return Err(Error::OutOfTurn("a message of the coordinator"));
        };
        let registered = self.params.clients().iter().find(|(id, _)| *id == client);
        let (_, key) = registered.ok_or(Error::UnknownClient(client))?;
        envelope.verify(key, self.params.hash())?;
        let (words, rest) = envelope.body.as_chunks::<8>();
        if envelope.kind != Kind::Masked || !rest.is_empty() || words.len() != self.sum.len() {
            return Err(Error::Malformed {
                what: "update",
                expected: format!("{} entries", self.sum.len()),
                got: format!("{} bytes of kind {:?}", envelope.body.len(), envelope.kind),
            });
        }
        if self.contributors.contains(&client) {
            return Err(Error::OutOfTurn("a second update of one client"));
        }
        let half = 1i64 << (self.params.modulus_bits().bits() - 1);
        let entries = || words.iter().map(|word| i64::from_le_bytes(*word));
        if let Some((index, value)) = entries().enumerate().find(|(_, value)| !(-half..half).contains(value)) {
            let bound = half.unsigned_abs();
            return Err(Error::SumOutOfRange { index, value, bound, contributors: 1 });
        }
        for (sum, value) in self.sum.iter_mut().zip(entries()) {
            *sum += value;
        }
        self.transcript.update(bytes);
        self.contributors.push(client);
        Ok(Admitted { client })
    }

    fn close(&mut self) -> Result<Closed, Error> {
        let mut contributors = std::mem::take(&mut self.contributors);
        contributors.sort_unstable();
        let clients = self.params.clients().iter().map(|(id, _)| *id);
        let dropped = clients.filter(|id| contributors.binary_search(id).is_err()).collect();
        let transcript = self.transcript.finalize_reset().into();
        Ok(Closed::Opened(Sum { values: std::mem::take(&mut self.sum), contributors, dropped, transcript }))
    }
}
