use sha2::{Digest, Sha256};

use super::identity::SIGNATURE_LENGTH;
use super::{ClientId, Identity, Party, PublicIdentity};
use crate::MpcError;
use crate::wire::Reader;

const VERSION: u8 = 1;
const CONTEXT: &str = "envelope";
const HEADER_LENGTH: usize = 1 + 1 + 5 + 32 + 4;

/// Bytes of an envelope beside its body.
pub(crate) const ENVELOPE_OVERHEAD: usize = HEADER_LENGTH + SIGNATURE_LENGTH;

/// What a message is about: the steps of secure aggregation in their order, up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Client: its keys of the round.
    Advertise = 1,
    /// Server: everybody's keys.
    Roster = 2,
    /// Client: its sealed shares.
    Shares = 3,
    /// Server: the shares sealed to one client.
    Inbox = 4,
    /// Client: its masked vector.
    Masked = 5,
    /// Server: who is in the sum.
    Claim = 6,
    /// Client: its consent to that set.
    Consent = 7,
    /// Server: everybody's consent.
    Quorum = 8,
    /// Client: one share for each peer.
    Release = 9,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Advertise,
        Self::Roster,
        Self::Shares,
        Self::Inbox,
        Self::Masked,
        Self::Claim,
        Self::Consent,
        Self::Quorum,
        Self::Release,
    ];

    pub(crate) fn is_from_client(self) -> bool {
        matches!(self, Self::Advertise | Self::Shares | Self::Masked | Self::Consent | Self::Release)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A message with its sender, its kind and the hash of the parameters of the round, signed as a whole.
///
/// Encoding: version 1, kind, sender (0 and four zero bytes for the server; 1 and the id, little endian, for a
/// client), parameters hash (32), length of the body (4, little endian), body, signature (64). Signed are the
/// header and the SHA-256 hash of the body, in the context `envelope` of [`Identity::sign`]; hashing first
/// halves the time for long bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Who claims to have sent it.
    pub sender: Party,
    /// What it is.
    pub kind: Kind,
    /// H(P) of the sender.
    pub params: [u8; 32],
    /// The message.
    pub body: &'a [u8],
    signature: [u8; SIGNATURE_LENGTH],
}

impl<'a> Envelope<'a> {
    /// Signs and encodes a message.
    ///
    /// # Panics
    /// If the body has 4 GiB or more.
    pub fn seal(sender: Party, kind: Kind, params: &[u8; 32], body: &[u8], identity: &Identity) -> Vec<u8> {
        Self::seal_parts(sender, kind, params, &[body], identity).0
    }

    /// Seals a body given in parts, without joining them first; also returns the digest of what was signed,
    /// which stands for the whole message in a journal.
    pub(crate) fn seal_parts(
        sender: Party,
        kind: Kind,
        params: &[u8; 32],
        parts: &[&[u8]],
        identity: &Identity,
    ) -> (Vec<u8>, [u8; 32]) {
        let length = parts.iter().map(|part| part.len()).sum();
        let header = header(sender, kind, params, length);
        let signed = signed(&header, parts);
        let mut bytes = Vec::with_capacity(ENVELOPE_OVERHEAD + length);
        bytes.extend_from_slice(&header);
        for part in parts {
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(&identity.sign(CONTEXT, &signed));
        (bytes, Sha256::digest(signed).into())
    }

    /// Reads an envelope; nothing is verified yet.
    ///
    /// # Errors
    /// [`MpcError::Length`] or [`MpcError::Malformed`] unless the bytes are exactly one envelope.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, MpcError> {
        let mut reader = Reader::new(bytes);
        if reader.byte("envelope version")? != VERSION {
            return Err(MpcError::Malformed { what: "version of the envelope" });
        }
        let kind = Kind::from_byte(reader.byte("envelope kind")?)
            .ok_or(MpcError::Malformed { what: "kind of the envelope" })?;
        let sender = match (reader.byte("sender role")?, reader.number("sender id")?) {
            (0, 0) => Party::Server,
            (1, id) => Party::Client(ClientId(id)),
            _ => {
                return Err(MpcError::Malformed { what: "sender of the envelope" });
            }
        };
        let params = reader.array("parameters hash")?;
        let length = reader.number("body length")? as usize;
        let body = reader.take("body", length)?;
        let signature = reader.array("signature")?;
        reader.finish("bytes after the signature")?;
        Ok(Self { sender, kind, params, body, signature })
    }

    /// Checks the signature with the registered key of the sender, then the parameters hash, in this order: a
    /// mismatch of parameters is then the sender's own statement.
    ///
    /// # Errors
    /// [`MpcError::BadSignature`], [`MpcError::ParamsMismatch`].
    pub fn verify(&self, key: &PublicIdentity, params: &[u8; 32]) -> Result<(), MpcError> {
        let header = header(self.sender, self.kind, &self.params, self.body.len());
        if !key.verify(CONTEXT, &signed(&header, &[self.body]), &self.signature) {
            return Err(MpcError::BadSignature(self.sender));
        }
        if self.params != *params {
            return Err(MpcError::ParamsMismatch { sender: self.sender, expected: *params, got: self.params });
        }
        Ok(())
    }

    /// The signature, for a message that is passed on without the parts that the reader already knows.
    pub(crate) fn signature(&self) -> [u8; SIGNATURE_LENGTH] {
        self.signature
    }

    /// Puts an envelope together from a body that the reader knows and a signature that was passed on.
    pub(crate) fn rebuild(
        sender: Party,
        kind: Kind,
        params: [u8; 32],
        body: &'a [u8],
        signature: [u8; SIGNATURE_LENGTH],
    ) -> Self {
        Self { sender, kind, params, body, signature }
    }
}

fn header(sender: Party, kind: Kind, params: &[u8; 32], length: usize) -> [u8; HEADER_LENGTH] {
    let (role, id) = match sender {
        Party::Server => (0, 0),
        Party::Client(ClientId(id)) => (1, id),
    };
    let length = u32::try_from(length).expect("the parameters bound every body below 4 GiB");
    let mut bytes = [0; HEADER_LENGTH];
    bytes[0] = VERSION;
    bytes[1] = kind as u8;
    bytes[2] = role;
    bytes[3..7].copy_from_slice(&id.to_le_bytes());
    bytes[7..39].copy_from_slice(params);
    bytes[39..].copy_from_slice(&length.to_le_bytes());
    bytes
}

fn signed(header: &[u8; HEADER_LENGTH], body: &[&[u8]]) -> [u8; HEADER_LENGTH + 32] {
    let mut hash = Sha256::new();
    for part in body {
        hash.update(part);
    }
    let mut bytes = [0; HEADER_LENGTH + 32];
    bytes[..HEADER_LENGTH].copy_from_slice(header);
    bytes[HEADER_LENGTH..].copy_from_slice(&hash.finalize());
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARAMS: [u8; 32] = [7; 32];
    const SENDER: Party = Party::Client(ClientId(3));

    fn sample(identity: &Identity) -> Vec<u8> {
        Envelope::seal(SENDER, Kind::Masked, &PARAMS, b"body", identity)
    }

    #[test]
    fn an_envelope_comes_back_as_it_was_sealed() {
        let identity = Identity::from_seed([1; 32]);
        let bytes = sample(&identity);
        let envelope = Envelope::decode(&bytes).unwrap();
        assert_eq!((envelope.sender, envelope.kind, envelope.body), (SENDER, Kind::Masked, &b"body"[..]));
        assert_eq!(envelope.verify(&identity.verifying_key(), &PARAMS), Ok(()));
    }

    #[test]
    fn other_parameters_are_named_only_after_the_signature_holds() {
        let identity = Identity::from_seed([1; 32]);
        let stranger = Identity::from_seed([2; 32]);
        let bytes = sample(&identity);
        let envelope = Envelope::decode(&bytes).unwrap();
        assert_eq!(
            envelope.verify(&identity.verifying_key(), &[8; 32]),
            Err(MpcError::ParamsMismatch { sender: SENDER, expected: [8; 32], got: PARAMS })
        );
        assert_eq!(envelope.verify(&stranger.verifying_key(), &[8; 32]), Err(MpcError::BadSignature(SENDER)));
    }

    proptest! {
        #[test]
        fn any_bit_flipped_or_length_changed_is_an_error(position in 0_usize..111, bit in 0_u8..8, cut in 0_usize..111) {
            let identity = Identity::from_seed([1; 32]);
            let bytes = sample(&identity);
            prop_assert_eq!(bytes.len(), 111);
            let accepts = |bytes: &[u8]| Envelope::decode(bytes)
                .and_then(|envelope| envelope.verify(&identity.verifying_key(), &PARAMS))
                .is_ok();
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << bit;
            prop_assert!(!accepts(&flipped));
            prop_assert!(!accepts(&bytes[..cut]));
            let longer = [&bytes[..], &bytes[..cut.max(1)]].concat();
            prop_assert!(!accepts(&longer));
        }
    }
}
