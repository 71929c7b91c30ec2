//! What coordinator and participants send each other: a round's start, and whatever the protection sends.

use nexus_mpc::session::{Identity, PublicIdentity, Round, SessionId};
use sha2::{Digest, Sha256};

use crate::config::RoundConfig;
use crate::model::Model;
use crate::{Error, Hash};

const CONTEXT: &str = "federated/round-start/v1";
const PROVEN_CONTEXT: &str = "federated/proven/v1";
const START: u8 = 1;
const PROTOCOL: u8 = 2;
const PROVEN: u8 = 3;

/// A message, told apart by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The signed start of a round.
    Start(&'a [u8]),
    /// Bytes of the protection.
    Protocol(&'a [u8]),
    /// The first bytes of the protection, behind a proof of the round's training.
    Proven {
        /// The client's over both, so that nobody who passes the message on can change the proof in its name.
        signature: &'a [u8; 64],
        /// The proof.
        proof: &'a [u8],
        /// Bytes of the protection.
        body: &'a [u8],
    },
}

impl<'a> Message<'a> {
    /// A first message with its proof, signed: the bytes that [`Self::decode`] reads.
    ///
    /// The signature is over the SHA-256 of the proof and that of the body, which names session, round and client.
    ///
    /// # Panics
    /// As [`Self::encode`].
    pub fn proven(proof: &'a [u8], body: &'a [u8], client: &Identity) -> Vec<u8> {
        let signature = &client.sign(PROVEN_CONTEXT, &Self::digest(proof, body));
        Message::Proven { signature, proof, body }.encode()
    }

    /// Whether a message with a proof is as this client signed it.
    pub(crate) fn is_signed(signature: &[u8; 64], proof: &[u8], body: &[u8], client: &PublicIdentity) -> bool {
        client.verify(PROVEN_CONTEXT, &Self::digest(proof, body), signature)
    }

    fn digest(proof: &[u8], body: &[u8]) -> [u8; 64] {
        let mut digest = [0; 64];
        digest[..32].copy_from_slice(&Sha256::digest(proof));
        digest[32..].copy_from_slice(&Sha256::digest(body));
        digest
    }

    /// Reads the first byte, and before a proof its signature (64 bytes) and length (4, little-endian).
    ///
    /// # Errors
    /// [`Error::Malformed`] for no bytes, an unknown kind, or a proof longer than the message.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        match bytes.split_first() {
            Some((&START, rest)) => Ok(Self::Start(rest)),
            Some((&PROTOCOL, rest)) => Ok(Self::Protocol(rest)),
            Some((&PROVEN, rest)) => Self::split(rest).ok_or_else(|| Error::Malformed {
                what: "proven message",
                expected: "a signature, a proof's length, the proof, and a message".to_owned(),
                got: format!("{} bytes", bytes.len()),
            }),
            other => Err(Error::Malformed {
                what: "message",
                expected: format!("kind {START}, {PROTOCOL} or {PROVEN}"),
                got: other.map_or_else(|| "no bytes".to_owned(), |(kind, _)| format!("kind {kind}")),
            }),
        }
    }

    fn split(bytes: &'a [u8]) -> Option<Self> {
        let (signature, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (proof, body) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        Some(Self::Proven { signature, proof, body })
    }

    /// The bytes that [`Self::decode`] reads.
    ///
    /// # Panics
    /// For a proof of 4 GiB or more.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Start(body) => [&[START], *body].concat(),
            Self::Protocol(body) => [&[PROTOCOL], *body].concat(),
            Self::Proven { signature, proof, body } => {
                let length = u32::try_from(proof.len()).expect("proofs are far below 4 GiB");
                [&[PROVEN], &signature[..], &length.to_le_bytes(), proof, body].concat()
            }
        }
    }
}

/// The coordinator's call to a round: session, round, configuration and the model itself, signed.
///
/// Encoding: session (32 bytes), round (4, little-endian), configuration hash (32), parameters (4 each,
/// little-endian), Ed25519 signature (64) over all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundStart {
    /// The session.
    pub session: SessionId,
    /// The round that begins.
    pub round: Round,
    /// The configuration that all agreed on.
    pub config: Hash,
    /// The model that updates begin at.
    pub model: Model,
}

impl RoundStart {
    const HEADER: usize = 32 + 4 + 32;
    const SIGNATURE: usize = 64;

    /// The message, signed by the coordinator.
    pub fn encode(&self, coordinator: &Identity) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::HEADER + 4 * self.model.weights().values().len() + Self::SIGNATURE);
        bytes.extend_from_slice(&self.session.0);
        bytes.extend_from_slice(&self.round.0.to_le_bytes());
        bytes.extend_from_slice(&self.config.0);
        bytes.extend_from_slice(&self.model.bytes());
        let signature = coordinator.sign(CONTEXT, &bytes);
        bytes.extend_from_slice(&signature);
        bytes
    }

    /// Reads a message of this session and configuration, its signature first.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a wrong length, [`Error::NotSignedByCoordinator`], [`Error::WrongSession`],
    /// [`Error::WrongConfig`], [`Error::Circuit`] for a parameter that does not fit.
    pub fn decode(
        bytes: &[u8],
        coordinator: &PublicIdentity,
        session: SessionId,
        config: &RoundConfig,
    ) -> Result<Self, Error> {
        let shape = config.plan().shape();
        let expected = Self::HEADER + 4 * shape.parameters() + Self::SIGNATURE;
        let malformed = || Error::Malformed {
            what: "round start",
            expected: format!("{expected} bytes"),
            got: format!("{} bytes", bytes.len()),
        };
        if bytes.len() != expected {
            return Err(malformed());
        }
        let (signed, signature) = bytes.split_last_chunk::<64>().ok_or_else(malformed)?;
        if !coordinator.verify(CONTEXT, signed, signature) {
            return Err(Error::NotSignedByCoordinator);
        }
        let (named, rest) = signed.split_first_chunk::<32>().ok_or_else(malformed)?;
        let (round, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let (hash, parameters) = rest.split_first_chunk::<32>().ok_or_else(malformed)?;
        if *named != session.0 {
            return Err(Error::WrongSession);
        }
        if Hash(*hash) != config.hash() {
            return Err(Error::WrongConfig { expected: config.hash(), got: Hash(*hash) });
        }
        Ok(Self {
            session,
            round: Round(u32::from_le_bytes(*round)),
            config: config.hash(),
            model: Model::from_bytes(shape, config.plan().format(), parameters)?,
        })
    }
}
