//! The bodies of the messages and what they hash to; what depends on the scheme is a parameter.

use curve25519_dalek::Scalar;

use super::inbound::rejected;
use super::members::Members;
use super::params::Params;
use super::{Phase, check_enough};
use crate::MpcError;
use crate::digest::digest;
use crate::session::{ClientId, ENVELOPE_OVERHEAD, Envelope, Identity, Kind, Party, SEALED_OVERHEAD, SIGNATURE_LENGTH};
use crate::wire::Reader;

const SCALAR_LENGTH: usize = 32;

/// Bytes of the two shares, sealed.
pub(crate) const SEALED_LENGTH: usize = SEALED_OVERHEAD + 2 * SCALAR_LENGTH;

/// Bytes of a sealed share in a list: the other client's id, the ciphertext, the dealer's signature over it.
pub(crate) const fn sealed_entry(ciphertext: usize) -> usize {
    4 + ciphertext + SIGNATURE_LENGTH
}

const ROSTER_DOMAIN: &str = "cipher-nexus/mpc/secagg/roster/v1";
const VIEW_DOMAIN: &str = "cipher-nexus/mpc/secagg/view/v1";
const CLAIM_DOMAIN: &str = "cipher-nexus/mpc/secagg/claim/v1";
const SEALED_CONTEXT: &str = "sealed share";

/// What a client advertises in step 1, in a scheme.
pub(crate) trait Advertisement: Copy + PartialEq {
    /// Bytes of the encoding.
    const LENGTH: usize;

    fn decode(body: &[u8]) -> Result<Self, MpcError>;

    /// Its X25519 keys, none of which may occur twice in a roster.
    fn keys(&self) -> impl Iterator<Item = [u8; 32]>;
}

/// Step 1, from a client: 96 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advertise {
    /// To which peers seal shares.
    pub(crate) channel: [u8; 32],
    /// With which peers agree on masks.
    pub(crate) mask: [u8; 32],
    /// To the self-mask seed.
    pub(crate) commitment: [u8; 32],
}

impl Advertise {
    pub(crate) fn encode(&self) -> [u8; <Self as Advertisement>::LENGTH] {
        let mut bytes = [0; <Self as Advertisement>::LENGTH];
        bytes[..32].copy_from_slice(&self.channel);
        bytes[32..64].copy_from_slice(&self.mask);
        bytes[64..].copy_from_slice(&self.commitment);
        bytes
    }
}

impl Advertisement for Advertise {
    const LENGTH: usize = 96;

    fn decode(body: &[u8]) -> Result<Self, MpcError> {
        let mut reader = Reader::new(body);
        let advertise = Self {
            channel: x25519_key(&mut reader, "channel key")?,
            mask: x25519_key(&mut reader, "mask key")?,
            commitment: reader.array("commitment")?,
        };
        reader.finish("bytes after the advertisement")?;
        Ok(advertise)
    }

    fn keys(&self) -> impl Iterator<Item = [u8; 32]> {
        [self.channel, self.mask].into_iter()
    }
}

/// Step 1, from the server: the clients' signed advertisements, in ascending order of their ids.
pub(crate) struct Roster<A = Advertise> {
    /// What every later message of a client binds.
    pub(crate) hash: [u8; 32],
    /// By client index.
    pub(crate) keys: Vec<Option<A>>,
}

impl Roster {
    /// The message body for envelopes that were already verified.
    pub(crate) fn encode<'a>(messages: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut body = vec![0; 4];
        let mut count = 0_u32;
        for message in messages {
            body.extend_from_slice(message);
            count += 1;
        }
        body[..4].copy_from_slice(&count.to_le_bytes());
        body
    }

    pub(crate) fn hash(params: &Params, body: &[u8]) -> [u8; 32] {
        digest(ROSTER_DOMAIN, &[params.hash(), body])
    }
}

impl<A: Advertisement> Roster<A> {
    const ENTRY: usize = ENVELOPE_OVERHEAD + A::LENGTH;

    /// Verifies every advertisement in the roster and that no X25519 key occurs twice.
    ///
    /// `own` is the reader's own message, which must be there unchanged. Keys of low order are found
    /// when they are used.
    pub(crate) fn decode(params: &Params, body: &[u8], own: (ClientId, &[u8])) -> Result<Self, MpcError> {
        let mut reader = Reader::new(body);
        let count = reader.count("roster", Self::ENTRY)?;
        let mut keys = vec![None; params.clients().len()];
        let mut last = None;
        let mut own_is_there = false;
        let mut seen = Vec::with_capacity(2 * count);
        for _ in 0..count {
            let message = reader.take("advertisement", Self::ENTRY)?;
            let envelope = params.open(message, Kind::Advertise)?;
            let Party::Client(id) = envelope.sender else {
                return Err(MpcError::UnknownSender(envelope.sender));
            };
            let index = ascending(params, &mut last, id)?;
            let advertise = A::decode(envelope.body)?;
            seen.extend(advertise.keys().map(|key| (key, id)));
            own_is_there |= (id, message) == own;
            keys[index] = Some(advertise);
        }
        if !own_is_there {
            return Err(MpcError::LeftOut(own.0));
        }
        seen.sort_unstable();
        if let Some(pair) = seen.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(MpcError::DuplicateKey { first: pair[0].1, second: pair[1].1 });
        }
        Ok(Self { hash: Roster::hash(params, body), keys })
    }
}

/// A sealed pair of shares from one client for another, with the dealer's signature, so that neither the server nor
/// a peer can pass it off as something else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SealedShare {
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) signature: [u8; SIGNATURE_LENGTH],
}

impl SealedShare {
    pub(crate) fn sign(associated: &[u8], ciphertext: Vec<u8>, dealer: &Identity) -> Self {
        let signature = dealer.sign(SEALED_CONTEXT, &[associated, &ciphertext].concat());
        Self { ciphertext, signature }
    }

    pub(crate) fn verify(&self, params: &Params, associated: &[u8], dealer: usize) -> Result<(), MpcError> {
        let (id, key) = params.clients()[dealer];
        let signed = [associated, &self.ciphertext].concat();
        if key.verify(SEALED_CONTEXT, &signed, &self.signature) {
            Ok(())
        } else {
            Err(MpcError::BadSignature(Party::Client(id)))
        }
    }

    /// (H(P), session, round, from, to, roster): what a ciphertext is bound to.
    pub(crate) fn associated(params: &Params, from: ClientId, to: ClientId, roster: &[u8; 32]) -> Vec<u8> {
        [
            &params.hash()[..],
            &params.session().0,
            &params.round().0.to_le_bytes(),
            &from.0.to_le_bytes(),
            &to.0.to_le_bytes(),
            roster,
        ]
        .concat()
    }

    /// The two shares as the plaintext to be sealed.
    pub(crate) fn plaintext(mask_key: Scalar, self_mask: Scalar) -> [u8; 2 * SCALAR_LENGTH] {
        let mut bytes = [0; 2 * SCALAR_LENGTH];
        bytes[..SCALAR_LENGTH].copy_from_slice(mask_key.as_bytes());
        bytes[SCALAR_LENGTH..].copy_from_slice(self_mask.as_bytes());
        bytes
    }

    pub(crate) fn parse(plaintext: &[u8]) -> Result<(Scalar, Scalar), MpcError> {
        let mut reader = Reader::new(plaintext);
        let shares = (scalar(&mut reader)?, scalar(&mut reader)?);
        reader.finish("bytes after the shares")?;
        Ok(shares)
    }
}

/// Step 2, both ways: sealed shares with the id of the other client (the recipient on the way up, the dealer on the
/// way down), in ascending order; every ciphertext is as long as the scheme makes them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SealedShares {
    pub(crate) roster: [u8; 32],
    pub(crate) entries: Vec<(ClientId, SealedShare)>,
}

impl SealedShares {
    pub(crate) fn encode<'a>(
        roster: &[u8; 32],
        entries: impl ExactSizeIterator<Item = (ClientId, &'a SealedShare)>,
    ) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(roster);
        body.extend_from_slice(&(entries.len() as u32).to_le_bytes());
        for (id, share) in entries {
            body.extend_from_slice(&id.0.to_le_bytes());
            body.extend_from_slice(&share.ciphertext);
            body.extend_from_slice(&share.signature);
        }
        body
    }

    /// `length` is that of a ciphertext.
    pub(crate) fn decode(params: &Params, length: usize, body: &[u8]) -> Result<Self, MpcError> {
        let mut reader = Reader::new(body);
        let roster = reader.array("roster hash")?;
        let count = reader.count("sealed shares", sealed_entry(length))?;
        let mut last = None;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let id = ClientId(reader.number("client id")?);
            ascending(params, &mut last, id)?;
            let share = SealedShare {
                ciphertext: reader.take("sealed share", length)?.to_vec(),
                signature: reader.array("signature of a sealed share")?,
            };
            entries.push((id, share));
        }
        Ok(Self { roster, entries })
    }

    /// Decodes the shares of one dealer and checks that they are for this roster, one for each peer in it.
    pub(crate) fn from_dealer(
        params: &Params,
        length: usize,
        body: &[u8],
        dealer: ClientId,
        roster: (&[u8; 32], &Members),
    ) -> Result<Self, MpcError> {
        let rejected = |reason| rejected(dealer, reason);
        let shares = Self::decode(params, length, body).map_err(rejected)?;
        if shares.roster != *roster.0 {
            return Err(MpcError::InconsistentView(Party::Client(dealer)));
        }
        let peers = roster.1.ids(params).filter(|peer| *peer != dealer);
        if !peers.eq(shares.entries.iter().map(|(peer, _)| *peer)) {
            return Err(rejected(MpcError::Malformed { what: "one sealed share for each peer in the roster" }));
        }
        Ok(shares)
    }

    /// The body of what each dealer gets: the shares that the others sealed to it. `received` is by client index.
    pub(crate) fn distribute<'a>(
        params: &'a Params,
        roster: &'a [u8; 32],
        received: &'a [Option<Self>],
    ) -> impl Iterator<Item = (ClientId, Vec<u8>)> + 'a {
        let dealers =
            || received.iter().enumerate().filter_map(|(at, shares)| Some((params.client_id(at), shares.as_ref()?)));
        dealers().map(move |(to, _)| {
            let others = dealers().filter(|(from, _)| *from != to);
            let entries: Vec<_> = others.map(|(from, shares)| (from, shares.to(to))).collect();
            (to, Self::encode(roster, entries.into_iter()))
        })
    }

    /// The share for a peer that is known to be listed.
    fn to(&self, peer: ClientId) -> &SealedShare {
        let position = self
            .entries
            .binary_search_by_key(&peer, |(id, _)| *id)
            .expect("the server checked that every peer in the roster has a share");
        &self.entries[position].1
    }
}

/// What a client has seen when it masks: the roster and U₁, the clients that shared.
pub(crate) fn view_hash(params: &Params, roster: &[u8; 32], sharers: &Members) -> [u8; 32] {
    digest(VIEW_DOMAIN, &[params.hash(), roster, &sharers.encode()])
}

/// Step 3, from a client: the view, then the packed vector.
pub(crate) struct MaskedVector<'a> {
    pub(crate) view: [u8; 32],
    pub(crate) packed: &'a [u8],
}

impl<'a> MaskedVector<'a> {
    pub(crate) fn decode(params: &Params, body: &'a [u8]) -> Result<Self, MpcError> {
        let mut reader = Reader::new(body);
        let view = reader.array("view")?;
        let packed = reader.rest();
        params.modulus_bits().check_packed(packed, params.length())?;
        Ok(Self { view, packed })
    }
}

/// Step 3, from the server: U₂, the clients whose vectors are summed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) view: [u8; 32],
    pub(crate) survivors: Members,
}

impl Claim {
    pub(crate) fn encode(&self) -> Vec<u8> {
        [&self.view[..], &self.survivors.encode()].concat()
    }

    pub(crate) fn decode(params: &Params, body: &[u8]) -> Result<Self, MpcError> {
        let mut reader = Reader::new(body);
        let view = reader.array("view")?;
        let survivors = Members::decode(params, reader.rest())?;
        Ok(Self { view, survivors })
    }

    /// Reads the server's message and checks that the client at `own` may sign it, given what it has seen itself.
    ///
    /// # Errors
    /// [`MpcError::InconsistentView`], [`MpcError::LeftOut`], [`MpcError::NeverShared`], [`MpcError::TooFewClients`];
    /// and what any malformed message gives.
    pub(crate) fn open(
        params: &Params,
        message: &[u8],
        view: &[u8; 32],
        sharers: &Members,
        own: usize,
    ) -> Result<Self, MpcError> {
        let claim = Self::decode(params, params.open_from_server(message, Kind::Claim)?)?;
        if claim.view != *view {
            return Err(MpcError::InconsistentView(Party::Server));
        }
        if !claim.survivors.contains(own) {
            return Err(MpcError::LeftOut(params.client_id(own)));
        }
        if let Some(stranger) = claim.survivors.indices().find(|index| !sharers.contains(*index)) {
            return Err(MpcError::NeverShared(params.client_id(stranger)));
        }
        check_enough(Phase::Masking, claim.survivors.count(), params.min_survivors())?;
        Ok(claim)
    }

    /// What clients sign in step 4.
    pub(crate) fn hash(&self, params: &Params) -> [u8; 32] {
        digest(CLAIM_DOMAIN, &[params.hash(), &self.view, &self.survivors.encode()])
    }
}

/// Step 4, from the server: the signatures of the clients' consent envelopes, whose other fields the reader knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Quorum {
    pub(crate) claim: [u8; 32],
    pub(crate) signatures: Vec<(ClientId, [u8; SIGNATURE_LENGTH])>,
}

impl Quorum {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = self.claim.to_vec();
        body.extend_from_slice(&(self.signatures.len() as u32).to_le_bytes());
        for (id, signature) in &self.signatures {
            body.extend_from_slice(&id.0.to_le_bytes());
            body.extend_from_slice(signature);
        }
        body
    }

    pub(crate) fn decode(params: &Params, body: &[u8]) -> Result<Self, MpcError> {
        let mut reader = Reader::new(body);
        let claim = reader.array("claim hash")?;
        let count = reader.count("quorum", 4 + SIGNATURE_LENGTH)?;
        let mut last = None;
        let mut signatures = Vec::with_capacity(count);
        for _ in 0..count {
            let id = ClientId(reader.number("client id")?);
            ascending(params, &mut last, id)?;
            signatures.push((id, reader.array("signature of a consent")?));
        }
        Ok(Self { claim, signatures })
    }

    /// Reads the server's message and checks that enough of the survivors signed the claim.
    ///
    /// # Errors
    /// [`MpcError::ClaimMismatch`], [`MpcError::TooFewClients`], [`MpcError::BadSignature`],
    /// [`MpcError::UnknownSender`] for a signature of a client that is not a survivor; and what any malformed message
    /// gives.
    pub(crate) fn open(
        params: &Params,
        message: &[u8],
        claim: &[u8; 32],
        survivors: &Members,
    ) -> Result<Self, MpcError> {
        let quorum = Self::decode(params, params.open_from_server(message, Kind::Quorum)?)?;
        if quorum.claim != *claim {
            return Err(MpcError::ClaimMismatch);
        }
        check_enough(Phase::Signing, quorum.signatures.len(), params.quorum())?;
        let is_survivor = |id| params.client_index(id).is_some_and(|index| survivors.contains(index));
        if let Some((stranger, _)) = quorum.signatures.iter().find(|(id, _)| !is_survivor(*id)) {
            return Err(MpcError::UnknownSender(Party::Client(*stranger)));
        }
        quorum.verify(params)?;
        Ok(quorum)
    }

    fn verify(&self, params: &Params) -> Result<(), MpcError> {
        self.signatures.iter().try_for_each(|(id, signature)| {
            params.verify(&Envelope::rebuild(
                Party::Client(*id),
                Kind::Consent,
                *params.hash(),
                &self.claim,
                *signature,
            ))
        })
    }
}

/// What a client reveals about a peer: never both.
#[derive(Clone, Copy)]
pub(crate) enum Release {
    /// Its share of the peer's self-mask seed: the peer's vector is counted.
    SelfMask(Scalar),
    /// Its share of the peer's mask key: the peer dropped.
    MaskKey(Scalar),
}

impl Release {
    const LENGTH: usize = 1 + SCALAR_LENGTH;

    /// Step 5, from a client: the claim and one release for each client of U₁, in ascending order.
    pub(crate) fn encode_all(claim: &[u8; 32], releases: &[Self]) -> Vec<u8> {
        let mut body = Vec::with_capacity(32 + releases.len() * Self::LENGTH);
        body.extend_from_slice(claim);
        for release in releases {
            let (tag, scalar) = match release {
                Self::SelfMask(scalar) => (1, scalar),
                Self::MaskKey(scalar) => (2, scalar),
            };
            body.push(tag);
            body.extend_from_slice(scalar.as_bytes());
        }
        body
    }

    pub(crate) fn decode_all(body: &[u8], count: usize) -> Result<([u8; 32], Vec<Self>), MpcError> {
        let mut reader = Reader::new(body);
        let claim = reader.array("claim hash")?;
        let releases = (0..count)
            .map(|_| match reader.byte("release")? {
                1 => scalar(&mut reader).map(Self::SelfMask),
                2 => scalar(&mut reader).map(Self::MaskKey),
                _ => Err(MpcError::Malformed { what: "kind of a release" }),
            })
            .collect::<Result<_, _>>()?;
        reader.finish("bytes after the releases")?;
        Ok((claim, releases))
    }
}

/// The index of a registered client whose id is above the last one's.
fn ascending(params: &Params, last: &mut Option<ClientId>, id: ClientId) -> Result<usize, MpcError> {
    if last.is_some_and(|last| last >= id) {
        return Err(MpcError::Malformed { what: "clients in ascending order" });
    }
    *last = Some(id);
    params.client_index(id).ok_or(MpcError::UnknownSender(Party::Client(id)))
}

/// A u-coordinate below p = 2²⁵⁵ − 19. RFC 7748 reads other bytes too, but then one key would have several encodings,
/// and comparing bytes would not find it twice.
pub(crate) fn x25519_key(reader: &mut Reader<'_>, what: &'static str) -> Result<[u8; 32], MpcError> {
    let key: [u8; 32] = reader.array(what)?;
    let above_p = key[31] == 0x7f && key[1..31].iter().all(|byte| *byte == 0xff) && key[0] >= 0xed;
    if key[31] & 0x80 != 0 || above_p {
        return Err(MpcError::Malformed { what });
    }
    Ok(key)
}

fn scalar(reader: &mut Reader<'_>) -> Result<Scalar, MpcError> {
    Option::from(Scalar::from_canonical_bytes(reader.array("scalar")?))
        .ok_or(MpcError::Malformed { what: "a scalar below the group order" })
}
