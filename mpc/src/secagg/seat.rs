use std::sync::Arc;

use super::params::Params;
use crate::MpcError;
use crate::journal::{Journal, Step};
use crate::session::{ClientId, Envelope, Identity, Kind, Party};

/// A client's place in a round: who it is there, whatever it has done so far.
pub(crate) struct Seat {
    pub(crate) params: Arc<Params>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) index: usize,
}

impl Seat {
    /// The place of the client `id`.
    ///
    /// # Errors
    /// [`MpcError::UnknownSender`] if `id` is not registered, [`MpcError::NotMyIdentity`] if it is so with another key.
    pub(crate) fn take(params: Arc<Params>, id: ClientId, identity: Arc<Identity>) -> Result<Self, MpcError> {
        let index = params.client_index(id).ok_or(MpcError::UnknownSender(Party::Client(id)))?;
        if params.clients()[index].1 != identity.verifying_key() {
            return Err(MpcError::NotMyIdentity(Party::Client(id)));
        }
        Ok(Self { params, identity, index })
    }

    pub(crate) fn id(&self) -> ClientId {
        self.params.client_id(self.index)
    }

    /// A message of this client, and the digest that stands for it in a journal.
    pub(crate) fn seal(&self, kind: Kind, parts: &[&[u8]]) -> (Vec<u8>, [u8; 32]) {
        Envelope::seal_parts(Party::Client(self.id()), kind, self.params.hash(), parts, &self.identity)
    }

    pub(crate) fn commit(&self, journal: &dyn Journal, step: Step, digest: [u8; 32]) -> Result<(), MpcError> {
        journal.commit(self.id(), self.params.session(), self.params.round(), step, digest)
    }
}
