//! Who speaks in which round, and how messages are signed and shares sealed.
//!
//! Every message travels in a signed [envelope](Envelope) that names its sender, its kind and the hash of the
//! parameters of the round. Shares for one recipient are sealed with HPKE to its key of the round.

mod envelope;
mod identity;
mod names;
mod sealed;

pub use envelope::{Envelope, Kind};
pub use identity::{Identity, PublicIdentity};
pub use names::{ClientId, Party, Round, SessionId};

pub(crate) use envelope::ENVELOPE_OVERHEAD;
pub(crate) use identity::SIGNATURE_LENGTH;
pub(crate) use sealed::{ChannelKey, SEALED_OVERHEAD, SealError};
