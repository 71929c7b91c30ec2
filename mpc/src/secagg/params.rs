use crate::MpcError;
use crate::digest::digest;
use crate::mask::ModulusBits;
use crate::session::{ClientId, ENVELOPE_OVERHEAD, Envelope, Kind, Party, PublicIdentity, Round, SessionId};

use super::messages::{Advertise, Advertisement, SEALED_LENGTH, sealed_entry};

/// The largest cohort: on the full graph the server passes on n² sealed shares, here 47 MB.
pub const MAX_CLIENTS: usize = 512;

/// The longest vector: the server's accumulator then takes 512 MiB.
pub const MAX_LENGTH: usize = 1 << 27;

const DOMAIN: &str = "cipher-nexus/mpc/secagg/params/v1";
const LEAST_CLIENTS: usize = 3;

/// The parameters of a round before they are checked together by [`build`](Self::build).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamsBuilder {
    /// The session, chosen at random.
    pub session: SessionId,
    /// The round.
    pub round: Round,
    /// Who may take part, in ascending order: nobody else counts, so that the server cannot add clients of its own.
    pub clients: Vec<(ClientId, PublicIdentity)>,
    /// The server's key.
    pub server: PublicIdentity,
    /// t, the number of shares that open a secret; see [`Params::least_threshold`].
    pub threshold: usize,
    /// b, the width of an entry of the sum.
    pub modulus_bits: u32,
    /// The number of entries of a vector.
    pub length: usize,
    /// The hash of the model that the vectors are about. It is part of every mask: clients that were shown different
    /// models refuse each other's keys, and their masks would not cancel.
    pub model_hash: [u8; 32],
    /// The hash of whatever else must be agreed on: clip, quantiser, noise, deadlines.
    pub config_hash: [u8; 32],
    /// The fewest clients over whom a sum may be opened.
    pub min_survivors: usize,
    /// The number of clients that may collude with the server.
    pub max_corrupt: usize,
}

impl ParamsBuilder {
    /// Checks all parameters together.
    ///
    /// With n clients, c corrupt, threshold t and q = ⌊2n/3⌋ + 1 signatures for a survivor set:
    ///
    /// - 3 ≤ n ≤ [`MAX_CLIENTS`]: of a sum of two each knows the other's part;
    /// - 2q > n + c: two survivor sets with q signatures each would need an honest client to sign twice;
    /// - t ≥ q, t ≤ n, so also 2t > n + c: opening both secrets of a client needs t shares of each, and an honest
    ///   client gives only one;
    /// - `min_survivors` ≥ t, so also `min_survivors` + q > n + c: a client that was told of other sharing clients than
    ///   the signers has a common mask with one of them, which stays closed;
    /// - `min_survivors` ≥ c + 2: the corrupt ones know their own inputs, and two honest ones must remain;
    /// - 1 ≤ b ≤ 32, 1 ≤ length ≤ [`MAX_LENGTH`];
    /// - ids ascend, keys are usable and distinct, the server's among them.
    ///
    /// # Errors
    /// [`MpcError::Parameter`], [`MpcError::ClientOrder`], [`MpcError::SharedIdentity`], [`MpcError::WeakIdentity`].
    pub fn build(self) -> Result<Params, MpcError> {
        let clients = self.clients.len();
        check("clients", clients, LEAST_CLIENTS, MAX_CLIENTS)?;
        let bits = ModulusBits::new(self.modulus_bits)?;
        check("length", self.length, 1, MAX_LENGTH)?;
        let quorum = Params::least_threshold(clients);
        check("max_corrupt", self.max_corrupt, 0, Params::most_corrupt(clients))?;
        check("threshold", self.threshold, quorum, clients)?;
        check("min_survivors", self.min_survivors, self.threshold.max(self.max_corrupt + 2), clients)?;
        if let Some(pair) = self.clients.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            return Err(MpcError::ClientOrder(pair[1].0));
        }
        check_keys(&self.clients, self.server)?;
        let hash = hash(&self);
        Ok(Params { fields: self, bits, hash })
    }
}

/// P, the parameters of a round, checked: all parties of the round have the same, and every message binds
/// their [hash](Self::hash).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    fields: ParamsBuilder,
    bits: ModulusBits,
    hash: [u8; 32],
}

impl Params {
    /// ⌊2n/3⌋ + 1: the least threshold for `clients` clients, and the number of signatures that a survivor set needs.
    pub fn least_threshold(clients: usize) -> usize {
        2 * clients / 3 + 1
    }

    /// The most corrupt clients that parameters may allow for among `clients`, three or more: two survivor sets would
    /// need an honest client to sign both, and two honest ones are left in a sum.
    pub(crate) fn most_corrupt(clients: usize) -> usize {
        (2 * Self::least_threshold(clients) - clients - 1).min(clients - 2)
    }

    /// H(P): SHA-256 over all parameters in a canonical encoding.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The session.
    pub fn session(&self) -> SessionId {
        self.fields.session
    }

    /// The round.
    pub fn round(&self) -> Round {
        self.fields.round
    }

    /// The registered clients, in ascending order.
    pub fn clients(&self) -> &[(ClientId, PublicIdentity)] {
        &self.fields.clients
    }

    /// The server's key.
    pub fn server(&self) -> PublicIdentity {
        self.fields.server
    }

    /// t.
    pub fn threshold(&self) -> usize {
        self.fields.threshold
    }

    /// The number of signatures that a survivor set needs.
    pub fn quorum(&self) -> usize {
        Self::least_threshold(self.fields.clients.len())
    }

    /// b.
    pub fn modulus_bits(&self) -> ModulusBits {
        self.bits
    }

    /// Entries of a vector.
    pub fn length(&self) -> usize {
        self.fields.length
    }

    /// The hash of the model.
    pub fn model_hash(&self) -> &[u8; 32] {
        &self.fields.model_hash
    }

    /// The hash of the rest of the configuration.
    pub fn config_hash(&self) -> &[u8; 32] {
        &self.fields.config_hash
    }

    /// The fewest clients over whom a sum may be opened.
    pub fn min_survivors(&self) -> usize {
        self.fields.min_survivors
    }

    /// The number of clients that may collude with the server.
    pub fn max_corrupt(&self) -> usize {
        self.fields.max_corrupt
    }

    /// The length in bytes that no honest message of the round exceeds, for transports to refuse longer ones.
    pub fn message_limit(&self) -> usize {
        let clients = self.fields.clients.len();
        let roster = 4 + clients * (ENVELOPE_OVERHEAD + <Advertise as Advertisement>::LENGTH);
        let sealed = 36 + clients * sealed_entry(SEALED_LENGTH);
        let masked = 32 + self.bits.packed_length(self.fields.length);
        ENVELOPE_OVERHEAD + roster.max(sealed).max(masked)
    }

    /// The parameters as a builder, to make those of another round from.
    pub fn to_builder(&self) -> ParamsBuilder {
        self.fields.clone()
    }

    /// The same parameters for another protocol: their hash is over that and over what else it has.
    #[cfg(feature = "threshold-bfv")]
    pub(crate) fn bound_to(mut self, domain: &str, parts: &[&[u8]]) -> Self {
        let all: Vec<&[u8]> = std::iter::once(&self.hash[..]).chain(parts.iter().copied()).collect();
        self.hash = digest(domain, &all);
        self
    }

    pub(crate) fn client_index(&self, id: ClientId) -> Option<usize> {
        self.fields.clients.binary_search_by_key(&id, |(id, _)| *id).ok()
    }

    pub(crate) fn client_id(&self, index: usize) -> ClientId {
        self.fields.clients[index].0
    }

    /// Decodes an envelope of the given kind and checks that the sender it names signed it for these parameters.
    pub(crate) fn open<'a>(&self, bytes: &'a [u8], expected: Kind) -> Result<Envelope<'a>, MpcError> {
        let envelope = Envelope::decode(bytes)?;
        if envelope.kind != expected {
            return Err(MpcError::UnexpectedKind { sender: envelope.sender, expected, got: envelope.kind });
        }
        self.verify(&envelope)?;
        Ok(envelope)
    }

    pub(crate) fn open_from_server<'a>(&self, bytes: &'a [u8], expected: Kind) -> Result<&'a [u8], MpcError> {
        let envelope = self.open(bytes, expected)?;
        if envelope.sender == Party::Server {
            Ok(envelope.body)
        } else {
            Err(MpcError::WrongSender { expected: Party::Server, got: envelope.sender })
        }
    }

    pub(crate) fn verify(&self, envelope: &Envelope<'_>) -> Result<(), MpcError> {
        let key = match envelope.sender {
            Party::Server => Some(self.fields.server),
            Party::Client(id) => self.client_index(id).map(|index| self.fields.clients[index].1),
        };
        let key = key.ok_or(MpcError::UnknownSender(envelope.sender))?;
        envelope.verify(&key, &self.hash)
    }
}

fn check(name: &'static str, got: usize, least: usize, most: usize) -> Result<(), MpcError> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(MpcError::Parameter { name, got: got as u64, least: least as u64, most: most as u64 })
}

fn check_keys(clients: &[(ClientId, PublicIdentity)], server: PublicIdentity) -> Result<(), MpcError> {
    let mut keys: Vec<(PublicIdentity, Party)> =
        clients.iter().map(|(id, key)| (*key, Party::Client(*id))).chain([(server, Party::Server)]).collect();
    if let Some((_, party)) = keys.iter().find(|(key, _)| !key.is_usable()) {
        return Err(MpcError::WeakIdentity(*party));
    }
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(MpcError::SharedIdentity { first: pair[0].1, second: pair[1].1 }),
        None => Ok(()),
    }
}

fn hash(fields: &ParamsBuilder) -> [u8; 32] {
    let ParamsBuilder {
        session,
        round,
        clients,
        server,
        threshold,
        modulus_bits,
        length,
        model_hash,
        config_hash,
        min_survivors,
        max_corrupt,
    } = fields;
    let clients: Vec<u8> = clients.iter().flat_map(|(id, key)| id.0.to_le_bytes().into_iter().chain(key.0)).collect();
    let number = |value: usize| (value as u64).to_le_bytes();
    digest(
        DOMAIN,
        &[
            &session.0,
            &round.0.to_le_bytes(),
            &clients,
            &server.0,
            &number(*threshold),
            &modulus_bits.to_le_bytes(),
            &number(*length),
            model_hash,
            config_hash,
            &number(*min_survivors),
            &number(*max_corrupt),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Identity;

    fn key(seed: u8) -> PublicIdentity {
        Identity::from_seed([seed; 32]).verifying_key()
    }

    fn builder(clients: usize) -> ParamsBuilder {
        ParamsBuilder {
            session: SessionId([1; 32]),
            round: Round(2),
            clients: (0..clients).map(|index| (ClientId(10 + index as u32), key(index as u8))).collect(),
            server: key(200),
            threshold: Params::least_threshold(clients),
            modulus_bits: 16,
            length: 4,
            model_hash: [3; 32],
            config_hash: [4; 32],
            min_survivors: Params::least_threshold(clients),
            max_corrupt: 1,
        }
    }

    fn range(change: impl FnOnce(&mut ParamsBuilder)) -> (&'static str, u64, u64) {
        let mut builder = builder(6);
        change(&mut builder);
        match builder.build() {
            Err(MpcError::Parameter { name, least, most, .. }) => (name, least, most),
            other => panic!("expected a refused parameter, got {other:?}"),
        }
    }

    #[test]
    fn every_number_outside_its_range_is_refused_with_the_range() {
        assert_eq!(range(|p| p.clients.truncate(2)), ("clients", 3, 512));
        assert_eq!(range(|p| p.threshold = 4), ("threshold", 5, 6));
        assert_eq!(range(|p| p.threshold = 7), ("threshold", 5, 6));
        assert_eq!(range(|p| p.max_corrupt = 4), ("max_corrupt", 0, 3));
        assert_eq!(range(|p| p.min_survivors = 4), ("min_survivors", 5, 6));
        assert_eq!(range(|p| p.min_survivors = 7), ("min_survivors", 5, 6));
        assert_eq!(range(|p| p.modulus_bits = 0), ("modulus_bits", 1, 32));
        assert_eq!(range(|p| p.modulus_bits = 33), ("modulus_bits", 1, 32));
        assert_eq!(range(|p| p.length = 0), ("length", 1, MAX_LENGTH as u64));
        assert_eq!(range(|p| p.length = MAX_LENGTH + 1), ("length", 1, MAX_LENGTH as u64));
    }

    /// The inequalities of the security argument for every cohort, at the limits that `build` names.
    #[test]
    fn permitted_parameters_leave_no_room_for_two_sets_or_two_secrets() {
        let small = builder(LEAST_CLIENTS);
        for clients in LEAST_CLIENTS..=MAX_CLIENTS {
            // Numbers are checked before keys, so that one key will do.
            let limits = |name, threshold, min_survivors, max_corrupt| {
                let clients = vec![small.clients[0]; clients];
                match (ParamsBuilder { clients, threshold, min_survivors, max_corrupt, ..small.clone() }).build() {
                    Err(MpcError::Parameter { name: culprit, least, most, .. }) if culprit == name => {
                        (least as usize, most as usize)
                    }
                    other => panic!("expected {name} to be refused, got {other:?}"),
                }
            };
            let (_, corrupt) = limits("max_corrupt", 0, 0, usize::MAX);
            let (threshold, most) = limits("threshold", 0, 0, corrupt);
            let (survivors, _) = limits("min_survivors", threshold, 0, corrupt);
            let quorum = 2 * clients / 3 + 1;
            assert!(quorum <= threshold && threshold <= survivors && survivors <= clients && most == clients);
            // Two sets with a quorum each; both secrets of one client; a secret opened by the corrupt ones alone.
            assert!(2 * quorum > clients + corrupt && 2 * threshold > clients + corrupt && corrupt < threshold);
            // A client that was told of other sharers than the signers, all but it dropped; a sum with one honest part.
            assert!(survivors + quorum > clients + corrupt && survivors >= corrupt + 2);
            // Not stricter than it must be.
            assert!(2 * quorum <= clients + corrupt + 1 || corrupt + 2 == clients);
        }
    }

    #[test]
    fn clients_out_of_order_or_twice_are_refused() {
        for (index, id) in [(2, 10), (2, 11)] {
            let mut builder = builder(4);
            builder.clients[index].0 = ClientId(id);
            assert_eq!(builder.build(), Err(MpcError::ClientOrder(ClientId(id))));
        }
    }

    #[test]
    fn one_key_for_two_parties_is_refused() {
        let mut twice = builder(4);
        twice.clients[3].1 = twice.clients[0].1;
        assert_eq!(
            twice.build(),
            Err(MpcError::SharedIdentity { first: Party::Client(ClientId(10)), second: Party::Client(ClientId(13)) })
        );
        let mut server = builder(4);
        server.server = server.clients[1].1;
        assert!(matches!(server.build(), Err(MpcError::SharedIdentity { .. })));
    }

    #[test]
    fn a_weak_key_is_refused() {
        let mut builder = builder(4);
        builder.clients[2].1 = PublicIdentity([0; 32]);
        assert_eq!(builder.build(), Err(MpcError::WeakIdentity(Party::Client(ClientId(12)))));
    }

    #[test]
    fn every_field_changes_the_hash() {
        let base = builder(6);
        let changes: [fn(&mut ParamsBuilder); 12] = [
            |p| p.session.0[31] ^= 1,
            |p| p.round.0 += 1,
            |p| p.clients[0].0 = ClientId(1),
            |p| p.clients[5].1 = key(99),
            |p| {
                p.clients.pop();
            },
            |p| p.server = key(201),
            |p| {
                p.threshold = 6;
                p.min_survivors = 6;
            },
            |p| p.modulus_bits += 1,
            |p| p.length += 1,
            |p| p.model_hash[0] ^= 1,
            |p| p.config_hash[0] ^= 1,
            |p| p.max_corrupt = 0,
        ];
        let mut hashes = vec![*base.clone().build().unwrap().hash()];
        for change in changes {
            let mut other = base.clone();
            change(&mut other);
            hashes.push(*other.build().unwrap().hash());
        }
        let mut survivors = base.clone();
        survivors.min_survivors = 6;
        hashes.push(*survivors.build().unwrap().hash());
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }
}
