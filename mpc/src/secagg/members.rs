use super::params::Params;
use crate::MpcError;
use crate::session::ClientId;

/// A set of the registered clients, by their index in the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Members(Vec<bool>);

impl Members {
    pub(crate) fn none(params: &Params) -> Self {
        Self(vec![false; params.clients().len()])
    }

    pub(crate) fn of<T>(present: &[Option<T>]) -> Self {
        Self(present.iter().map(Option::is_some).collect())
    }

    pub(crate) fn insert(&mut self, index: usize) {
        self.0[index] = true;
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        self.0[index]
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().filter(|present| **present).count()
    }

    /// The members in ascending order.
    pub(crate) fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len()).filter(|index| self.0[*index])
    }

    pub(crate) fn ids<'a>(&'a self, params: &'a Params) -> impl Iterator<Item = ClientId> + 'a {
        self.indices().map(|index| params.client_id(index))
    }

    /// One bit a registered client, the first in the lowest bit of the first byte; bits beyond are zero.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.0
            .chunks(8)
            .map(|chunk| chunk.iter().enumerate().fold(0, |byte, (bit, present)| byte | u8::from(*present) << bit))
            .collect()
    }

    pub(crate) fn decode(params: &Params, bytes: &[u8]) -> Result<Self, MpcError> {
        let clients = params.clients().len();
        if bytes.len() != clients.div_ceil(8) {
            return Err(MpcError::Length { what: "set of clients", expected: clients.div_ceil(8), got: bytes.len() });
        }
        let members = Self((0..clients).map(|index| bytes[index / 8] >> (index % 8) & 1 == 1).collect());
        if members.encode() != bytes {
            return Err(MpcError::Malformed { what: "bits after the last client of a set" });
        }
        Ok(members)
    }
}
