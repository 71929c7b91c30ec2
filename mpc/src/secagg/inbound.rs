//! What a server makes of a message before it looks at the body.

use super::members::Members;
use super::params::Params;
use crate::MpcError;
use crate::session::{ClientId, Envelope, Kind, Party};

/// Whether a client may send a message in this phase.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Open,
    Taken,
    Closed,
}

impl Slot {
    pub(crate) fn of(may_send: bool, has_sent: bool) -> Self {
        match (may_send, has_sent) {
            (false, _) => Self::Closed,
            (true, true) => Self::Taken,
            (true, false) => Self::Open,
        }
    }
}

/// Opens a client's message of this phase; `open_to` says who may still send one.
///
/// # Errors
/// [`MpcError::Late`], [`MpcError::UnexpectedKind`], [`MpcError::UnknownSender`], [`MpcError::DuplicateMessage`],
/// [`MpcError::BadSignature`], [`MpcError::ParamsMismatch`], and what any malformed envelope gives.
pub(crate) fn accept<'a>(
    params: &Params,
    message: &'a [u8],
    due: Kind,
    open_to: impl Fn(usize) -> Slot,
) -> Result<(usize, ClientId, &'a [u8]), MpcError> {
    let envelope = Envelope::decode(message)?;
    let Party::Client(id) = envelope.sender else {
        return Err(MpcError::UnknownSender(envelope.sender));
    };
    if envelope.kind < due && envelope.kind.is_from_client() {
        return Err(MpcError::Late { client: id, got: envelope.kind });
    }
    if envelope.kind != due {
        return Err(MpcError::UnexpectedKind { sender: envelope.sender, expected: due, got: envelope.kind });
    }
    params.verify(&envelope)?;
    let index = params.client_index(id).expect("verified messages are of registered clients");
    match open_to(index) {
        Slot::Open => Ok((index, id, envelope.body)),
        Slot::Taken => Err(MpcError::DuplicateMessage { client: id, kind: due }),
        Slot::Closed => Err(MpcError::UnknownSender(envelope.sender)),
    }
}

/// Who is missing, by index.
pub(crate) fn missing<T>(received: &[Option<T>]) -> impl Iterator<Item = usize> + '_ {
    (0..received.len()).filter(|index| received[*index].is_none())
}

/// The registered clients in a set and those that are not, by id.
pub(crate) fn partition(params: &Params, members: &Members) -> (Vec<ClientId>, Vec<ClientId>) {
    let (within, without) = (0..params.clients().len()).partition::<Vec<usize>, _>(|index| members.contains(*index));
    let ids = |indices: Vec<usize>| indices.into_iter().map(|index| params.client_id(index)).collect();
    (ids(within), ids(without))
}

/// A signed message that breaks the protocol.
pub(crate) fn rejected(client: ClientId, reason: MpcError) -> MpcError {
    MpcError::Rejected { sender: Party::Client(client), reason: Box::new(reason) }
}
