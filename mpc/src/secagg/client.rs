use std::fmt;
use std::sync::Arc;

use curve25519_dalek::Scalar;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::keys::{MaskKey, PairSecret, SelfMask};
use super::members::Members;
use super::messages::{Advertise, Claim, Quorum, Release, Roster, SEALED_LENGTH, SealedShare, SealedShares, view_hash};
use super::params::Params;
use super::seat::Seat;
use super::{Phase, check_enough};
use crate::MpcError;
use crate::journal::{Journal, Step};
use crate::mask::{Mask, Sign, mask_and_pack};
use crate::session::{ChannelKey, ClientId, Identity, Kind, Party, SealError};
use crate::share::{Point, Shamir, Share};

/// A client in one of the states of the protocol: each step takes it and returns the next with the message to send.
///
/// An error ends the client's part in the round: its state is consumed and erased. Messages are authenticated, so
/// a server that wants the round to succeed never causes one; let the transport keep strangers out.
///
/// A state cannot be stored and loaded. What a process that starts again must not repeat is kept by the
/// [`Journal`]; it takes part again in the next round.
///
/// # Security
/// Secrets are erased when they are no longer needed, as far as the compiler can be made to.
pub struct Client<S> {
    seat: Seat,
    state: S,
}

/// The state of a [`Client`] that has sent its keys and waits for the roster.
pub struct Advertised {
    channel: ChannelKey,
    mask_key: MaskKey,
    self_mask: SelfMask,
    message: Vec<u8>,
}

/// The state of a [`Client`] that has sealed its shares and waits for those of the others.
pub struct Shared {
    channel: ChannelKey,
    self_mask: SelfMask,
    own_share: Share<Scalar>,
    roster: [u8; 32],
    /// By client index, for everyone else in the roster.
    pairs: Vec<Option<PairSecret>>,
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

/// The shares of its peers that a client keeps.
struct Held {
    sharers: Members,
    /// By client index, for everyone in `sharers`.
    shares: Vec<Option<HeldShares>>,
}

struct HeldShares {
    /// None of the client's own mask key: it never releases that.
    mask_key: Option<Share<Scalar>>,
    self_mask: Share<Scalar>,
}

impl<S> Client<S> {
    /// The client's id.
    pub fn id(&self) -> ClientId {
        self.seat.id()
    }

    /// The parameters of the round.
    pub fn params(&self) -> &Params {
        &self.seat.params
    }
}

impl Client<Advertised> {
    /// Step 1: draws the keys of the round and advertises them.
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
        let seat = Seat::take(params, id, identity)?;
        let params = &*seat.params;
        let channel = ChannelKey::generate(rng);
        let mask_key = MaskKey::generate(rng);
        let self_mask = SelfMask::generate(rng);
        let advertise = Advertise {
            channel: channel.public(),
            mask: x25519_dalek::PublicKey::from(&mask_key.exchange_key(params)).to_bytes(),
            commitment: self_mask.commitment(params, id),
        };
        let (message, _) = seat.seal(Kind::Advertise, &[&advertise.encode()]);
        let state = Advertised { channel, mask_key, self_mask, message: message.clone() };
        Ok((Self { seat, state }, message))
    }

    /// Step 2: checks the roster, agrees with every peer on a mask, and seals to each its shares of both secrets.
    ///
    /// Cost: one signature check, one X25519 agreement, one HPKE seal and one signature a peer, beside n·t scalar
    /// multiplications.
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
        let params = &*self.seat.params;
        let id = self.id();
        let body = params.open_from_server(roster, Kind::Roster)?;
        let roster: Roster = Roster::decode(params, body, (id, &self.state.message))?;
        let members = Members::of(&roster.keys);
        check_enough(Phase::Advertising, members.count(), params.min_survivors())?;

        let sharing = Shamir::new(params.threshold(), members.count())?;
        let points: Vec<Point> = members.indices().map(Point::of_index).collect();
        let mask_key_shares = sharing.split(self.state.mask_key.scalar(), &points, rng)?;
        let self_mask_shares = sharing.split(self.state.self_mask.scalar(), &points, rng)?;
        let exchange_key = self.state.mask_key.exchange_key(params);

        let mut pairs = std::iter::repeat_with(|| None).take(roster.keys.len()).collect::<Vec<_>>();
        let mut sealed = Vec::with_capacity(points.len() - 1);
        let mut own_share = None;
        for ((index, mask_key), self_mask) in members.indices().zip(&mask_key_shares).zip(self_mask_shares) {
            if index == self.seat.index {
                own_share = Some(self_mask);
                continue;
            }
            let peer = params.client_id(index);
            let keys = roster.keys[index].expect("members have keys");
            let pair = PairSecret::agree(&exchange_key, &keys.mask).ok_or(MpcError::LowOrderKey(peer))?;
            pairs[index] = Some(pair);

            let associated = SealedShare::associated(params, id, peer, &roster.hash);
            let plaintext = Zeroizing::new(SealedShare::plaintext(mask_key.value(), self_mask.value()));
            let ciphertext = ChannelKey::seal(&keys.channel, &associated, &*plaintext, rng)
                .map_err(|_| MpcError::LowOrderKey(peer))?;
            sealed.push((peer, SealedShare::sign(&associated, ciphertext, &self.seat.identity)));
        }
        let own_share = own_share.expect("the roster holds the own message");
        let body = SealedShares::encode(&roster.hash, sealed.iter().map(|(peer, share)| (*peer, share)));
        let (message, _) = self.seat.seal(Kind::Shares, &[&body]);
        let Self { seat, state: Advertised { channel, self_mask, .. } } = self;
        let state = Shared { channel, self_mask, own_share, roster: roster.hash, pairs };
        Ok((Client { seat, state }, message))
    }
}

impl Client<Shared> {
    /// Step 3: opens the shares of the peers and masks the input with those that shared.
    ///
    /// The input has the length of the parameters and entries −2^(b−1) ≤ x < 2^(b−1); the caller erases it. What
    /// leaves is committed to the journal first.
    ///
    /// Cost: one signature check and one HPKE opening a peer, and one mask expansion a peer and for itself.
    ///
    /// # Errors
    /// [`MpcError::BadSignature`] or [`MpcError::BadShare`] naming a peer; [`MpcError::TooFewClients`];
    /// [`MpcError::InconsistentView`] if the inbox is for another roster; [`MpcError::Length`] and
    /// [`MpcError::OutOfRange`] for the input; [`MpcError::AlreadyCommitted`] if this client has masked in this round
    /// before; and what any malformed message gives.
    pub fn mask(
        self,
        inbox: &[u8],
        input: &[i64],
        journal: &dyn Journal,
    ) -> Result<(Client<Masked>, Vec<u8>), MpcError> {
        let params = &*self.seat.params;
        let id = self.id();
        if input.len() != params.length() {
            return Err(MpcError::Length { what: "input", expected: params.length(), got: input.len() });
        }
        let body = params.open_from_server(inbox, Kind::Inbox)?;
        let inbox = SealedShares::decode(params, SEALED_LENGTH, body)?;
        if inbox.roster != self.state.roster {
            return Err(MpcError::InconsistentView(Party::Server));
        }

        let mut sharers = Members::none(params);
        let mut shares: Vec<Option<HeldShares>> =
            std::iter::repeat_with(|| None).take(params.clients().len()).collect();
        let mut masks = Vec::with_capacity(inbox.entries.len() + 1);
        sharers.insert(self.seat.index);
        masks.push(Mask { seed: self.state.self_mask.seed(params, id), sign: Sign::Plus });
        for (peer, sealed) in &inbox.entries {
            let index = params.client_index(*peer).expect("decoding checked the ids");
            // The own index has no pair either: a client does not write to itself.
            let pair = self.state.pairs[index].as_ref().ok_or(MpcError::UnknownSender(Party::Client(*peer)))?;
            shares[index] = Some(self.open_share(index, sealed)?);
            sharers.insert(index);
            masks.push(Mask { seed: pair.seed(params, id, *peer), sign: pair_sign(self.seat.index, index) });
        }
        check_enough(Phase::Sharing, sharers.count(), params.min_survivors())?;

        let view = view_hash(params, &self.state.roster, &sharers);
        let packed = mask_and_pack(params.modulus_bits(), input, &masks)?;
        let (message, digest) = self.seat.seal(Kind::Masked, &[&view, &packed]);
        self.seat.commit(journal, Step::Masked, digest)?;

        let Self { seat, state } = self;
        shares[seat.index] = Some(HeldShares { mask_key: None, self_mask: state.own_share });
        let state = Masked { held: Held { sharers, shares }, view };
        Ok((Client { seat, state }, message))
    }

    fn open_share(&self, dealer: usize, sealed: &SealedShare) -> Result<HeldShares, MpcError> {
        let from = self.seat.params.client_id(dealer);
        let associated = SealedShare::associated(&self.seat.params, from, self.id(), &self.state.roster);
        sealed.verify(&self.seat.params, &associated, dealer)?;
        let plaintext = self
            .state
            .channel
            .open(&associated, &sealed.ciphertext)
            .map_err(|_: SealError| MpcError::BadShare(from))?;
        let (mask_key, self_mask) = SealedShare::parse(&plaintext).map_err(|_| MpcError::BadShare(from))?;
        let own = Point::of_index(self.seat.index);
        Ok(HeldShares { mask_key: Some(Share::new(own, mask_key)), self_mask: Share::new(own, self_mask) })
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
        let params = &*self.seat.params;
        let claim = Claim::open(params, claim, &self.state.view, &self.state.held.sharers, self.seat.index)?;
        let hash = claim.hash(params);
        let (message, digest) = self.seat.seal(Kind::Consent, &[&hash]);
        self.seat.commit(journal, Step::Signed, digest)?;
        let Self { seat, state } = self;
        let state = Signed { held: state.held, survivors: claim.survivors, claim: hash };
        Ok((Client { seat, state }, message))
    }
}

impl Client<Signed> {
    /// Step 5: once more than two thirds of all registered clients have signed the same survivor set, releases one
    /// share for each client of U₁, of the self-mask seed for a survivor and of the mask key for a dropped one.
    ///
    /// Which one follows from the set that this client signed, not from anything the server says now.
    ///
    /// # Errors
    /// [`MpcError::ClaimMismatch`] if the quorum is about another set; [`MpcError::TooFewClients`] and
    /// [`MpcError::BadSignature`]; [`MpcError::UnknownSender`] for a signature of a client that is not a survivor;
    /// [`MpcError::AlreadyCommitted`] if it has released other shares; and what any malformed message gives.
    pub fn release(self, quorum: &[u8], journal: &dyn Journal) -> Result<Vec<u8>, MpcError> {
        let params = &*self.seat.params;
        Quorum::open(params, quorum, &self.state.claim, &self.state.survivors)?;
        let releases: Vec<Release> = self.state.held.sharers.indices().map(|index| self.state.release(index)).collect();
        let body = Zeroizing::new(Release::encode_all(&self.state.claim, &releases));
        let (message, digest) = self.seat.seal(Kind::Release, &[&body]);
        self.seat.commit(journal, Step::Released, digest)?;
        Ok(message)
    }
}

impl Signed {
    fn release(&self, index: usize) -> Release {
        let held = self.held.shares[index].as_ref().expect("shares of every client that shared are held");
        if self.survivors.contains(index) {
            Release::SelfMask(held.self_mask.value())
        } else {
            let mask_key = held.mask_key.as_ref();
            Release::MaskKey(mask_key.expect("this client is a survivor itself").value())
        }
    }
}

/// Of each pair the client that comes first adds the common mask and the other subtracts it.
pub(super) fn pair_sign(own: usize, other: usize) -> Sign {
    if own < other { Sign::Plus } else { Sign::Minus }
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
