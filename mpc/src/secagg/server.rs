use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::inbound::{Slot, accept, missing, partition, rejected};
use super::keys::is_low_order;
use super::members::Members;
use super::messages::{
    Advertise, Advertisement, Claim, MaskedVector, Quorum, Release, Roster, SEALED_LENGTH, SealedShares, view_hash,
};
use super::opening::{Opening, Released};
use super::params::Params;
use super::{Inboxes, Phase, check_enough};
use crate::MpcError;
use crate::digest::digest;
use crate::session::{ClientId, Envelope, Identity, Kind, Party};

const TRANSCRIPT_DOMAIN: &str = "cipher-nexus/mpc/secagg/transcript/v1";

/// The server in one of its phases: it receives messages until the caller closes the phase (when
/// [`awaiting`](Server::awaiting) is empty, or at a deadline), and then has something to send.
///
/// A message that is refused leaves the state as it was. Once too few clients are left, closing gives an error, the
/// round is over, and nothing about any input was opened.
pub struct Server<S> {
    params: Arc<Params>,
    identity: Arc<Identity>,
    transcript: [u8; 32],
    state: S,
}

/// The phase of a [`Server`] that collects keys.
pub struct Advertising {
    received: Vec<Option<(Advertise, Vec<u8>)>>,
    owners: BTreeMap<[u8; 32], ClientId>,
}

/// The phase of a [`Server`] that collects sealed shares.
pub struct Sharing {
    keys: Vec<Option<Advertise>>,
    roster: [u8; 32],
    received: Vec<Option<SealedShares>>,
}

/// The phase of a [`Server`] that adds up masked vectors as they come; none is kept.
pub struct Masking {
    keys: Vec<Option<Advertise>>,
    sharers: Members,
    view: [u8; 32],
    received: Members,
    sums: Vec<u32>,
}

/// The phase of a [`Server`] that collects consent to the survivor set.
pub struct Signing {
    opening: Opening,
    received: Vec<Option<[u8; 64]>>,
}

/// The phase of a [`Server`] that collects released shares.
pub struct Releasing {
    opening: Opening,
    signers: Members,
    /// By holder.
    received: Vec<Option<Released>>,
}

/// The sum of the vectors of `contributors`, and a hash of how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The entries mod 2ᵇ, in −2^(b−1) ≤ x < 2^(b−1).
    pub values: Vec<i64>,
    /// U₂, whose vectors are in the sum.
    pub contributors: Vec<ClientId>,
    /// The registered clients whose vectors are not in it.
    pub dropped: Vec<ClientId>,
    /// A hash chain over H(P), roster, U₁, survivor set, signatures and sum.
    pub transcript: [u8; 32],
}

impl<S> Server<S> {
    /// The parameters of the round.
    pub fn params(&self) -> &Params {
        &self.params
    }

    fn next<T>(self, label: &str, event: &[u8], state: T) -> Server<T> {
        Server {
            transcript: chain(&self.transcript, label, event),
            params: self.params,
            identity: self.identity,
            state,
        }
    }

    fn seal(&self, kind: Kind, body: &[u8]) -> Vec<u8> {
        Envelope::seal(Party::Server, kind, self.params.hash(), body, &self.identity)
    }

    /// Opens a client's message of this phase; `open_to` says who may still send one.
    fn accept<'a>(
        &self,
        message: &'a [u8],
        due: Kind,
        open_to: impl Fn(usize) -> Slot,
    ) -> Result<(usize, ClientId, &'a [u8]), MpcError> {
        accept(&self.params, message, due, open_to)
    }

    fn ids(&self, indices: impl Iterator<Item = usize>) -> Vec<ClientId> {
        indices.map(|index| self.params.client_id(index)).collect()
    }
}

impl Server<Advertising> {
    /// The server at the start of a round.
    ///
    /// # Errors
    /// [`MpcError::NotMyIdentity`] if the parameters list another server key.
    pub fn new(params: Arc<Params>, identity: Arc<Identity>) -> Result<Self, MpcError> {
        if params.server() != identity.verifying_key() {
            return Err(MpcError::NotMyIdentity(Party::Server));
        }
        let clients = params.clients().len();
        Ok(Self {
            transcript: *params.hash(),
            params,
            identity,
            state: Advertising { received: vec![None; clients], owners: BTreeMap::new() },
        })
    }

    /// The clients whose keys have not come.
    pub fn awaiting(&self) -> Vec<ClientId> {
        self.ids(missing(&self.state.received))
    }

    /// Takes a client's keys.
    ///
    /// # Errors
    /// [`MpcError::LowOrderKey`], [`MpcError::DuplicateKey`]; and the errors common to all phases:
    /// [`MpcError::Late`], [`MpcError::UnexpectedKind`], [`MpcError::UnknownSender`],
    /// [`MpcError::DuplicateMessage`], [`MpcError::BadSignature`], [`MpcError::ParamsMismatch`],
    /// [`MpcError::Rejected`] for a signed message with a bad body, [`MpcError::Length`] and [`MpcError::Malformed`]
    /// for bytes that are no message.
    pub fn receive(&mut self, message: &[u8]) -> Result<ClientId, MpcError> {
        let (index, id, body) =
            self.accept(message, Kind::Advertise, |index| Slot::of(true, self.state.received[index].is_some()))?;
        let keys = Advertise::decode(body).map_err(|reason| rejected(id, reason))?;
        if is_low_order(&keys.channel) || is_low_order(&keys.mask) {
            return Err(MpcError::LowOrderKey(id));
        }
        let owner = |key| self.state.owners.get(key).copied();
        let twice = (keys.channel == keys.mask).then_some(id);
        if let Some(first) = owner(&keys.channel).or(owner(&keys.mask)).or(twice) {
            return Err(MpcError::DuplicateKey { first, second: id });
        }
        self.state.owners.extend([(keys.channel, id), (keys.mask, id)]);
        self.state.received[index] = Some((keys, message.to_vec()));
        Ok(id)
    }

    /// Closes the phase; the roster goes to every client in it.
    ///
    /// # Errors
    /// [`MpcError::TooFewClients`].
    pub fn close(mut self) -> Result<(Server<Sharing>, Vec<u8>), MpcError> {
        let received = std::mem::take(&mut self.state.received);
        let present = received.iter().flatten().count();
        check_enough(Phase::Advertising, present, self.params.min_survivors())?;
        let body = Roster::encode(received.iter().flatten().map(|(_, message)| &message[..]));
        let roster = Roster::hash(&self.params, &body);
        let message = self.seal(Kind::Roster, &body);
        let keys = received.into_iter().map(|entry| entry.map(|(keys, _)| keys)).collect::<Vec<_>>();
        let state = Sharing { roster, received: keys.iter().map(|_| None).collect(), keys };
        Ok((self.next("roster", &roster, state), message))
    }
}

impl Server<Sharing> {
    /// The clients of the roster whose shares have not come.
    pub fn awaiting(&self) -> Vec<ClientId> {
        self.ids(missing(&self.state.received).filter(|index| self.state.keys[*index].is_some()))
    }

    /// Takes a client's sealed shares.
    ///
    /// The dealer's signatures over the single shares are left to the recipients.
    ///
    /// # Errors
    /// [`MpcError::InconsistentView`] if the client saw another roster; and as in the first phase.
    pub fn receive(&mut self, message: &[u8]) -> Result<ClientId, MpcError> {
        let (index, id, body) = self.accept(message, Kind::Shares, |index| {
            Slot::of(self.state.keys[index].is_some(), self.state.received[index].is_some())
        })?;
        let members = Members::of(&self.state.keys);
        let roster = (&self.state.roster, &members);
        let shares = SealedShares::from_dealer(&self.params, SEALED_LENGTH, body, id, roster)?;
        self.state.received[index] = Some(shares);
        Ok(id)
    }

    /// Closes the phase; each client that shared gets what the others sealed to it.
    ///
    /// # Errors
    /// [`MpcError::TooFewClients`].
    pub fn close(mut self) -> Result<(Server<Masking>, Inboxes), MpcError> {
        let received = std::mem::take(&mut self.state.received);
        let sharers = Members::of(&received);
        check_enough(Phase::Sharing, sharers.count(), self.params.min_survivors())?;
        let inboxes = SealedShares::distribute(&self.params, &self.state.roster, &received)
            .map(|(to, body)| (to, self.seal(Kind::Inbox, &body)))
            .collect();
        let view = view_hash(&self.params, &self.state.roster, &sharers);
        let state = Masking {
            keys: std::mem::take(&mut self.state.keys),
            received: Members::none(&self.params),
            sharers,
            view,
            sums: vec![0; self.params.length()],
        };
        Ok((self.next("view", &view, state), inboxes))
    }
}

impl Server<Masking> {
    /// The clients that shared and whose vectors have not come.
    pub fn awaiting(&self) -> Vec<ClientId> {
        let state = &self.state;
        self.ids(state.sharers.indices().filter(|index| !state.received.contains(*index)))
    }

    /// Adds a client's masked vector to the sum; the vector itself is not kept.
    ///
    /// # Errors
    /// [`MpcError::InconsistentView`] if the client saw other sharing clients; and as in the first phase.
    pub fn receive(&mut self, message: &[u8]) -> Result<ClientId, MpcError> {
        let (index, id, body) = self.accept(message, Kind::Masked, |index| {
            Slot::of(self.state.sharers.contains(index), self.state.received.contains(index))
        })?;
        let vector = MaskedVector::decode(&self.params, body).map_err(|reason| rejected(id, reason))?;
        if vector.view != self.state.view {
            return Err(MpcError::InconsistentView(Party::Client(id)));
        }
        let bits = self.params.modulus_bits();
        bits.add_packed(vector.packed, &mut self.state.sums);
        self.state.received.insert(index);
        Ok(id)
    }

    /// Closes the phase; the claim goes to every survivor. Vectors that come later are refused as
    /// [`MpcError::Late`].
    ///
    /// # Errors
    /// [`MpcError::TooFewClients`].
    pub fn close(mut self) -> Result<(Server<Signing>, Vec<u8>), MpcError> {
        let survivors = self.state.received.clone();
        check_enough(Phase::Masking, survivors.count(), self.params.min_survivors())?;
        let claim = Claim { view: self.state.view, survivors };
        let message = self.seal(Kind::Claim, &claim.encode());
        let hash = claim.hash(&self.params);
        let state = Signing {
            opening: Opening {
                keys: std::mem::take(&mut self.state.keys),
                sharers: self.state.sharers.clone(),
                survivors: claim.survivors,
                claim: hash,
                sums: std::mem::take(&mut self.state.sums),
            },
            received: vec![None; self.params.clients().len()],
        };
        Ok((self.next("claim", &hash, state), message))
    }
}

impl Server<Signing> {
    /// The survivors that have not signed.
    pub fn awaiting(&self) -> Vec<ClientId> {
        let survivors = &self.state.opening.survivors;
        self.ids(missing(&self.state.received).filter(|index| survivors.contains(*index)))
    }

    /// Takes a survivor's signature over the survivor set.
    ///
    /// # Errors
    /// [`MpcError::Rejected`] with [`MpcError::ClaimMismatch`] if it signed another set; and as in the first phase.
    pub fn receive(&mut self, message: &[u8]) -> Result<ClientId, MpcError> {
        let (index, id, body) = self.accept(message, Kind::Consent, |index| {
            Slot::of(self.state.opening.survivors.contains(index), self.state.received[index].is_some())
        })?;
        if *body != self.state.opening.claim {
            return Err(rejected(id, MpcError::ClaimMismatch));
        }
        self.state.received[index] = Some(Envelope::decode(message)?.signature());
        Ok(id)
    }

    /// Closes the phase; the signatures go to every client that signed.
    ///
    /// # Errors
    /// [`MpcError::TooFewClients`] below the threshold, which is at least the quorum: only signers can release.
    pub fn close(mut self) -> Result<(Server<Releasing>, Vec<u8>), MpcError> {
        let received = std::mem::take(&mut self.state.received);
        let signers = Members::of(&received);
        check_enough(Phase::Signing, signers.count(), self.params.threshold())?;
        let signatures = received
            .iter()
            .enumerate()
            .filter_map(|(index, signature)| Some((self.params.client_id(index), (*signature)?)))
            .collect();
        let body = Quorum { claim: self.state.opening.claim, signatures }.encode();
        let message = self.seal(Kind::Quorum, &body);
        let Self { params, identity, transcript, state } = self;
        let server = Server {
            transcript: chain(&transcript, "quorum", &body),
            state: Releasing {
                opening: state.opening,
                signers,
                received: params.clients().iter().map(|_| None).collect(),
            },
            params,
            identity,
        };
        Ok((server, message))
    }
}

impl Server<Releasing> {
    /// The signers that have not released; the sum opens with any t of them.
    pub fn awaiting(&self) -> Vec<ClientId> {
        let signers = &self.state.signers;
        self.ids(missing(&self.state.received).filter(|index| signers.contains(*index)))
    }

    /// Takes the shares that a signer releases.
    ///
    /// # Errors
    /// [`MpcError::WrongRelease`] if one is of the wrong kind; and as in the first phase.
    pub fn receive(&mut self, message: &[u8]) -> Result<ClientId, MpcError> {
        let (index, id, body) = self.accept(message, Kind::Release, |index| {
            Slot::of(self.state.signers.contains(index), self.state.received[index].is_some())
        })?;
        let opening = &self.state.opening;
        let (claim, releases) =
            Release::decode_all(body, opening.sharers.count()).map_err(|reason| rejected(id, reason))?;
        if claim != opening.claim {
            return Err(rejected(id, MpcError::ClaimMismatch));
        }
        let shares = opening.check(&self.params, index, releases)?;
        self.state.received[index] = Some(shares);
        Ok(id)
    }

    /// Opens the sum: reconstructs the self-masks of the survivors and the mask keys of the dropped, checks each
    /// against what its owner advertised, and strips the masks.
    ///
    /// Of more than t releases those of the t lowest ids are used, with one set of Lagrange coefficients. Cost: t
    /// multiplications a secret, one agreement for each pair of a dropped and a surviving client, one mask
    /// expansion for each such pair and each survivor.
    ///
    /// # Errors
    /// [`MpcError::TooFewClients`]; [`MpcError::Unrecoverable`] naming a dealer whose shares do not open its
    /// commitment. No part of the sum is returned with an error.
    pub fn close(self) -> Result<Sum, MpcError> {
        let present = self.state.received.iter().flatten().count();
        check_enough(Phase::Releasing, present, self.params.threshold())?;
        let Self { params, transcript, state, .. } = self;
        let survivors = state.opening.survivors.clone();
        let released: Vec<&Released> = state.received.iter().flatten().take(params.threshold()).collect();
        let sums = state.opening.strip(&params, &released)?;

        let bits = params.modulus_bits();
        let mut packed = vec![0; bits.packed_length(sums.len())];
        bits.pack(&sums, &mut packed);
        let (contributors, dropped) = partition(&params, &survivors);
        Ok(Sum {
            values: sums.iter().map(|word| bits.centred(*word)).collect(),
            contributors,
            dropped,
            transcript: chain(&transcript, "sum", &packed),
        })
    }
}

fn chain(last: &[u8; 32], label: &str, event: &[u8]) -> [u8; 32] {
    digest(TRANSCRIPT_DOMAIN, &[last, label.as_bytes(), event])
}

impl<S> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("round", &self.params.round()).finish_non_exhaustive()
    }
}
