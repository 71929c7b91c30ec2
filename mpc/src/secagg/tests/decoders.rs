//! Every message with its bytes cut, lengthened or flipped: a typed error or, if it was signed again, never a panic.

use proptest::prelude::*;

use super::super::messages::{
    Advertise, Advertisement, Claim, MaskedVector, Quorum, Release, Roster, SEALED_LENGTH, SealedShares,
};
use super::*;

const CLIENTS: usize = 3;

#[derive(Clone, Debug)]
enum Change {
    Cut(usize),
    Append(Vec<u8>),
    Flip(Vec<(usize, u8)>),
    Overwrite(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        match self {
            Self::Cut(keep) => changed.truncate(keep % bytes.len()),
            Self::Append(more) => changed.extend_from_slice(more),
            Self::Flip(flips) => {
                for (position, bit) in flips {
                    changed[position % bytes.len()] ^= 1 << bit;
                }
            }
            Self::Overwrite(position, with) => {
                for (offset, byte) in with.iter().enumerate() {
                    changed[(position + offset) % bytes.len()] = *byte;
                }
            }
        }
        changed
    }

    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            (0_usize..4096).prop_map(Self::Cut),
            prop::collection::vec(any::<u8>(), 1..40).prop_map(Self::Append),
            prop::collection::vec((0_usize..4096, 0_u8..8), 1..4).prop_map(Self::Flip),
            (0_usize..4096, prop::collection::vec(any::<u8>(), 1..40))
                .prop_map(|(position, with)| Self::Overwrite(position, with)),
        ]
    }

    fn length_only(&self) -> bool {
        matches!(self, Self::Cut(_) | Self::Append(_))
    }
}

const KINDS: [Kind; 9] = [
    Kind::Advertise,
    Kind::Roster,
    Kind::Shares,
    Kind::Inbox,
    Kind::Masked,
    Kind::Claim,
    Kind::Consent,
    Kind::Quorum,
    Kind::Release,
];

/// Brings a fresh cohort to the point where a message of `kind` is due, lets `tamper` change the honest one of
/// client 0 or of the server, and says what the reader made of it.
fn deliver(kind: Kind, tamper: impl Fn(&Cohort, &[u8]) -> Vec<u8>) -> (bool, Result<(), MpcError>) {
    let mut cohort = Cohort::new(CLIENTS);
    let (honest, changed, result) = match kind {
        Kind::Advertise => {
            let (_, honest) = cohort.advertise(0);
            let changed = tamper(&cohort, &honest);
            let result = cohort.new_server().receive(&changed).map(drop);
            (honest, changed, result)
        }
        Kind::Roster => {
            let After { mut clients, answer, .. } = cohort.advertised();
            let changed = tamper(&cohort, &answer);
            let result = clients.remove(0).share(&changed, &mut cohort.rng).map(drop);
            (answer, changed, result)
        }
        Kind::Shares => {
            let After { mut clients, mut server, answer, .. } = cohort.advertised();
            let (_, honest) = clients.remove(0).share(&answer, &mut cohort.rng).unwrap();
            let changed = tamper(&cohort, &honest);
            let result = server.receive(&changed).map(drop);
            (honest, changed, result)
        }
        Kind::Inbox => {
            let After { mut clients, answer, .. } = cohort.shared();
            let honest = answer[0].1.clone();
            let changed = tamper(&cohort, &honest);
            let result = clients.remove(0).mask(&changed, &cohort.inputs[0], &*cohort.journal).map(drop);
            (honest, changed, result)
        }
        Kind::Masked => {
            let After { mut clients, mut server, answer, .. } = cohort.shared();
            let (_, honest) = clients.remove(0).mask(&answer[0].1, &cohort.inputs[0], &*cohort.journal).unwrap();
            let changed = tamper(&cohort, &honest);
            let result = server.receive(&changed).map(drop);
            (honest, changed, result)
        }
        Kind::Claim => {
            let After { mut clients, answer, .. } = cohort.masked(CLIENTS);
            let changed = tamper(&cohort, &answer);
            let result = clients.remove(0).sign(&changed, &*cohort.journal).map(drop);
            (answer, changed, result)
        }
        Kind::Consent => {
            let After { mut clients, mut server, answer, .. } = cohort.masked(CLIENTS);
            let (_, honest) = clients.remove(0).sign(&answer, &*cohort.journal).unwrap();
            let changed = tamper(&cohort, &honest);
            let result = server.receive(&changed).map(drop);
            (honest, changed, result)
        }
        Kind::Quorum => {
            let After { mut clients, answer, .. } = cohort.signed(CLIENTS);
            let changed = tamper(&cohort, &answer);
            let result = clients.remove(0).release(&changed, &*cohort.journal).map(drop);
            (answer, changed, result)
        }
        Kind::Release => {
            let After { mut clients, mut server, answer, .. } = cohort.signed(CLIENTS);
            let honest = clients.remove(0).release(&answer, &*cohort.journal).unwrap();
            let changed = tamper(&cohort, &honest);
            let result = server.receive(&changed).map(drop);
            (honest, changed, result)
        }
    };
    (honest == changed, result)
}

/// The body changed and signed again by the one who sends such messages.
fn resigned(cohort: &Cohort, message: &[u8], change: &Change) -> Vec<u8> {
    let envelope = Envelope::decode(message).unwrap();
    let body = change.apply(envelope.body);
    match envelope.sender {
        Party::Server => cohort.by_server(envelope.kind, &body),
        Party::Client(id) => cohort.by_client(cohort.params.client_index(id).unwrap(), envelope.kind, &body),
    }
}

#[test]
fn every_honest_message_is_accepted() {
    for kind in KINDS {
        assert_eq!(deliver(kind, |_, honest| honest.to_vec()), (true, Ok(())), "{kind:?}");
    }
}

/// Whatever decodes encodes to the same bytes: no message has two encodings.
fn check_canonical(params: &Params, body: &[u8]) {
    if let Ok(read) = Advertise::decode(body) {
        assert_eq!(read.encode(), body);
    }
    if let Ok(read) = SealedShares::decode(params, SEALED_LENGTH, body) {
        let entries = read.entries.iter().map(|(id, share)| (*id, share));
        assert_eq!(SealedShares::encode(&read.roster, entries), body);
    }
    if let Ok(read) = Claim::decode(params, body) {
        assert_eq!(read.encode(), body);
    }
    if let Ok(read) = Quorum::decode(params, body) {
        assert_eq!(read.encode(), body);
    }
    if let Ok((claim, releases)) = Release::decode_all(body, CLIENTS) {
        assert_eq!(Release::encode_all(&claim, &releases), body);
    }
    if let Ok(read) = MaskedVector::decode(params, body) {
        let mut sums = vec![0; params.length()];
        params.modulus_bits().add_packed(read.packed, &mut sums);
        let mut packed = vec![0; read.packed.len()];
        params.modulus_bits().pack(&sums, &mut packed);
        assert_eq!([&read.view[..], &packed].concat(), body);
    }
    if let Ok(read) = Envelope::decode(body) {
        assert!(read.body.len() < body.len());
    }
    // Its entries are envelopes, which are signed over the whole of their bytes.
    let _ = Roster::<Advertise>::decode(params, body, (Cohort::id(0), &[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn changed_bytes_of_any_message_are_an_error(kind in 0_usize..9, change in Change::any()) {
        let (same, result) = deliver(KINDS[kind], |_, honest| change.apply(honest));
        prop_assert!(same || result.is_err(), "{:?} {change:?}", KINDS[kind]);
    }

    #[test]
    fn changed_bodies_signed_again_never_panic(kind in 0_usize..9, change in Change::any()) {
        let (same, result) = deliver(KINDS[kind], |cohort, honest| resigned(cohort, honest, &change));
        prop_assert!(same || !change.length_only() || result.is_err(), "{:?} {change:?}", KINDS[kind]);
    }

    #[test]
    fn whatever_decodes_has_one_encoding(body in prop::collection::vec(any::<u8>(), 0..400)) {
        check_canonical(&Cohort::new(CLIENTS).params, &body);
    }
}

#[test]
fn changed_honest_bodies_that_still_decode_have_one_encoding() {
    let mut cohort = Cohort::new(CLIENTS);
    let limit = cohort.params.message_limit();
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    let mut keep = |messages: &[Vec<u8>]| {
        assert!(messages.iter().all(|message| message.len() <= limit));
        bodies.extend(messages.iter().map(|message| Envelope::decode(message).unwrap().body.to_vec()));
    };
    let After { sent, answer, .. } = cohort.advertised();
    keep(&sent);
    keep(&[answer]);
    let After { sent, answer, .. } = cohort.restored().shared();
    keep(&sent);
    keep(&answer.into_iter().map(|(_, inbox)| inbox).collect::<Vec<_>>());
    let After { sent, answer, .. } = cohort.restored().masked(CLIENTS);
    keep(&sent);
    keep(&[answer]);
    let After { sent, answer, .. } = cohort.restored().signed(CLIENTS);
    keep(&sent);
    keep(&[answer]);
    keep(&cohort.restored().released(CLIENTS).1);
    for body in bodies {
        check_canonical(&cohort.params, &body);
        for position in 0..body.len() {
            let mut flipped = body.clone();
            flipped[position] ^= 1 << (position % 8);
            check_canonical(&cohort.params, &flipped);
        }
    }
}
