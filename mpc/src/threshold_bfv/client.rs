use std::fmt;
use std::sync::Arc;

use nexus_fhe::aggregate::OneTimeKey;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::messages::{Advertise, Masked as MaskedBody, Release, decode_share, encode_share};
use super::params::Params;
use super::sharing::Residues;
use crate::MpcError;
use crate::journal::{Journal, Step};
use crate::secagg::members::Members;
use crate::secagg::messages::{Claim, Quorum, Roster, SealedShare, SealedShares, view_hash};
use crate::secagg::seat::Seat;
use crate::secagg::{Phase, check_enough};
use crate::session::{ChannelKey, ClientId, Identity, Kind, Party};

/// A client in one of the states of the protocol: each step takes it and returns the next with the message to send.
///
/// As with [`secagg::Client`](crate::secagg::Client) an error ends the client's part in the round, and a state
/// cannot be stored and loaded: what a process that starts again must not repeat is kept by the [`Journal`].
///
/// # Security
/// Secrets are erased when they are no longer needed, as far as the compiler can be made to.
pub struct Client<S> {
    seat: Seat,
    params: Arc<Params>,
    state: S,
}

/// The state of a [`Client`] that has sent its key and waits for the roster.
pub struct Advertised {
    channel: ChannelKey,
    message: Vec<u8>,
}

/// The state of a [`Client`] that has sealed its shares and waits for those of the others.
pub struct Shared {
    channel: ChannelKey,
    key: OneTimeKey,
    own_share: Residues,
    roster: [u8; 32],
    members: Members,
}

/// The state of a [`Client`] that has sent its vector and waits for the survivor set.
pub struct Masked {
    held: Held,
    view: [u8; 32],
}

/// The state of a [`Client`] that has signed one survivor set and waits for the signatures of the others.
pub struct Signed {
    held: Held,
    survivors: Members,
    claim: [u8; 32],
}

/// The shares of keys that a client keeps, its own key's among them.
struct Held {
    sharers: Members,
    /// By client index, for everyone in `sharers`.
    shares: Vec<Option<Residues>>,
}

impl<S> Client<S> {
    /// The client's id.
    pub fn id(&self) -> ClientId {
        self.seat.id()
    }

    /// The parameters of the round.
    pub fn params(&self) -> &Params {
        &self.params
    }
}

impl Client<Advertised> {
    /// Step 1: draws the channel key of the round and advertises it.
    ///
    /// # Errors
    /// [`MpcError::UnknownSender`] if `id` is not registered, [`MpcError::NotMyIdentity`] if it is so
    /// with another key.
    pub fn advertise<R: CryptoRng + ?Sized>(
        params: Arc<Params>,
        id: ClientId,
        identity: Arc<Identity>,
        rng: &mut R,
    ) -> Result<(Self, Vec<u8>), MpcError> {
        let seat = Seat::take(Arc::clone(params.common()), id, identity)?;
        let channel = ChannelKey::generate(rng);
        let (message, _) = seat.seal(Kind::Advertise, &[&channel.public()]);
        let state = Advertised { channel, message: message.clone() };
        Ok((Self { seat, params, state }, message))
    }

    /// Step 2: checks the roster, draws the key of the round, and seals to each peer its share of it.
    ///
    /// Cost: one signature check, one HPKE seal and one signature a peer, beside the dealing of the shares.
    ///
    /// # Errors
    /// [`MpcError::ParamsMismatch`] naming a peer that works with other parameters, for example another model;
    /// [`MpcError::BadSignature`], [`MpcError::UnknownSender`], [`MpcError::DuplicateKey`],
    /// [`MpcError::LowOrderKey`]; [`MpcError::LeftOut`] if the own message is not there unchanged;
    /// [`MpcError::TooFewClients`]; and what any malformed message gives.
    pub fn share<R: CryptoRng + ?Sized>(
        self,
        roster: &[u8],
        rng: &mut R,
    ) -> Result<(Client<Shared>, Vec<u8>), MpcError> {
        let (common, layout, id) = (&*self.seat.params, self.params.layout(), self.id());
        let body = common.open_from_server(roster, Kind::Roster)?;
        let roster: Roster<Advertise> = Roster::decode(common, body, (id, &self.state.message))?;
        let members = Members::of(&roster.keys);
        check_enough(Phase::Advertising, members.count(), common.min_survivors())?;

        let inner = layout.inner();
        let key = OneTimeKey::generate(&inner.sums, rng);
        let mut shares = inner.sharing.deal(key.residues().values(), rng);
        let mut sealed = Vec::with_capacity(members.count() - 1);
        for index in members.indices().filter(|index| *index != self.seat.index) {
            let (peer, keys) = (common.client_id(index), roster.keys[index].expect("members have keys"));
            let associated = SealedShare::associated(common, id, peer, &roster.hash);
            let plaintext = encode_share(layout, &shares[index]);
            let ciphertext = ChannelKey::seal(&keys.channel, &associated, &plaintext, rng)
                .map_err(|_| MpcError::LowOrderKey(peer))?;
            sealed.push((peer, SealedShare::sign(&associated, ciphertext, &self.seat.identity)));
        }
        let body = SealedShares::encode(&roster.hash, sealed.iter().map(|(peer, share)| (*peer, share)));
        let (message, _) = self.seat.seal(Kind::Shares, &[&body]);
        let Self { seat, params, state } = self;
        let own_share = shares.swap_remove(seat.index);
        let state = Shared { channel: state.channel, key, own_share, roster: roster.hash, members };
        Ok((Client { seat, params, state }, message))
    }
}

impl Client<Shared> {
    /// Step 3: opens the shares of the peers and encrypts the input under the key of the round.
    ///
    /// The input has the length of the parameters and entries −2^(b−1) ≤ x < 2^(b−1); the caller erases it. What
    /// leaves is committed to the journal first. The key is erased: only its shares are left.
    ///
    /// Cost: one signature check and one HPKE opening a peer, and one encryption a chunk.
    ///
    /// # Errors
    /// [`MpcError::BadSignature`] or [`MpcError::BadShare`] naming a peer; [`MpcError::TooFewClients`];
    /// [`MpcError::InconsistentView`] if the inbox is for another roster; [`MpcError::Length`] and
    /// [`MpcError::OutOfRange`] for the input; [`MpcError::AlreadyCommitted`] if this client has masked in this round
    /// before; and what any malformed message gives.
    pub fn mask<R: CryptoRng + ?Sized>(
        self,
        inbox: &[u8],
        input: &[i64],
        journal: &dyn Journal,
        rng: &mut R,
    ) -> Result<(Client<Masked>, Vec<u8>), MpcError> {
        let (common, layout) = (&*self.seat.params, self.params.layout());
        let bits = common.modulus_bits();
        if input.len() != common.length() {
            return Err(MpcError::Length { what: "input", expected: common.length(), got: input.len() });
        }
        if let Some(index) = input.iter().position(|value| !bits.holds(*value)) {
            return Err(MpcError::OutOfRange { index, bits: bits.bits() });
        }
        let inbox = SealedShares::decode(common, layout.sealed_length(), common.open_from_server(inbox, Kind::Inbox)?)?;
        if inbox.roster != self.state.roster {
            return Err(MpcError::InconsistentView(Party::Server));
        }
        let mut sharers = Members::none(common);
        let mut shares: Vec<Option<Residues>> = std::iter::repeat_with(|| None).take(common.clients().len()).collect();
        sharers.insert(self.seat.index);
        for (peer, sealed) in &inbox.entries {
            let index = common.client_index(*peer).expect("decoding checked the ids");
            // A client does not write to itself either.
            if index == self.seat.index || !self.state.members.contains(index) {
                return Err(MpcError::UnknownSender(Party::Client(*peer)));
            }
            shares[index] = Some(self.open_share(index, sealed)?);
            sharers.insert(index);
        }
        check_enough(Phase::Sharing, sharers.count(), common.min_survivors())?;

        let view = view_hash(common, &self.state.roster, &sharers);
        let (seed, sums) = (self.params.seed(&view), &layout.inner().sums);
        let chunks: Vec<_> = input
            .chunks(sums.chunk())
            .zip(0..)
            .map(|(values, chunk)| {
                let ciphertext = self.state.key.encrypt(sums, seed, chunk, values, rng);
                ciphertext.expect("the key is of this layout, lengths and ranges were checked")
            })
            .collect();
        let (message, digest) = self.seat.seal(Kind::Masked, &[&view, &MaskedBody::encode(layout, &chunks)]);
        self.seat.commit(journal, Step::Masked, digest)?;

        let Self { seat, params, state } = self;
        shares[seat.index] = Some(state.own_share);
        let state = Masked { held: Held { sharers, shares }, view };
        Ok((Client { seat, params, state }, message))
    }

    fn open_share(&self, dealer: usize, sealed: &SealedShare) -> Result<Residues, MpcError> {
        let (common, layout) = (&*self.seat.params, self.params.layout());
        let from = common.client_id(dealer);
        let associated = SealedShare::associated(common, from, self.id(), &self.state.roster);
        sealed.verify(common, &associated, dealer)?;
        let plaintext =
            self.state.channel.open(&associated, &sealed.ciphertext).map_err(|_| MpcError::BadShare(from))?;
        decode_share(layout, &plaintext).map_err(|_| MpcError::BadShare(from))
    }
}

impl Client<Masked> {
    /// Step 4: signs the one survivor set that this client will ever accept in this round, journal first.
    ///
    /// # Errors
    /// [`MpcError::InconsistentView`] if the server speaks of another roster or U₁; [`MpcError::LeftOut`] if this client
    /// is not among the survivors; [`MpcError::NeverShared`]; [`MpcError::TooFewClients`];
    /// [`MpcError::AlreadyCommitted`] if it has signed another set; and what any malformed message gives.
    pub fn sign(self, claim: &[u8], journal: &dyn Journal) -> Result<(Client<Signed>, Vec<u8>), MpcError> {
        let common = &*self.seat.params;
        let claim = Claim::open(common, claim, &self.state.view, &self.state.held.sharers, self.seat.index)?;
        let hash = claim.hash(common);
        let (message, digest) = self.seat.seal(Kind::Consent, &[&hash]);
        self.seat.commit(journal, Step::Signed, digest)?;
        let Self { seat, params, state } = self;
        let state = Signed { held: state.held, survivors: claim.survivors, claim: hash };
        Ok((Client { seat, params, state }, message))
    }
}

impl Client<Signed> {
    /// Step 5: once more than two thirds of all registered clients have signed the same survivor set, releases this
    /// client's share of the sum of the survivors' keys, journal first.
    ///
    /// Whose keys follows from the set that this client signed, not from anything the server says now.
    ///
    /// # Errors
    /// [`MpcError::ClaimMismatch`] if the quorum is about another set; [`MpcError::TooFewClients`] and
    /// [`MpcError::BadSignature`]; [`MpcError::UnknownSender`] for a signature of a client that is not a survivor;
    /// [`MpcError::AlreadyCommitted`] if it has released another share; and what any malformed message gives.
    pub fn release(self, quorum: &[u8], journal: &dyn Journal) -> Result<Vec<u8>, MpcError> {
        let (common, layout) = (&*self.seat.params, self.params.layout());
        let Signed { held, survivors, claim } = &self.state;
        Quorum::open(common, quorum, claim, survivors)?;
        let sharing = &layout.inner().sharing;
        let mut share = sharing.zero();
        for index in survivors.indices() {
            sharing.add(&mut share, held.shares[index].as_ref().expect("shares of every client that shared are held"));
        }
        let body = Zeroizing::new(Release { claim: *claim, share }.encode(layout));
        let (message, digest) = self.seat.seal(Kind::Release, &[&body]);
        self.seat.commit(journal, Step::Released, digest)?;
        Ok(message)
    }
}

impl<S> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id())
            .field("round", &self.seat.params.round())
            .field("state", &format_args!("Secret(..)"))
            .finish_non_exhaustive()
    }
}
