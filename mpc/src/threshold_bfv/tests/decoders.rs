//! Every message with its bytes cut, lengthened or flipped: a typed error or, if it was signed again, never a panic.

use proptest::prelude::*;

use super::super::messages::{Masked as MaskedBody, Release};
use super::*;

const CLIENTS: usize = 3;

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

/// Bytes with a few of them overwritten, then cut or lengthened.
fn changed(bytes: &[u8], writes: &[(usize, u8)], cut: usize, more: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for (position, value) in writes {
        changed[position % bytes.len()] = *value;
    }
    changed.truncate(bytes.len() - cut.min(bytes.len()));
    changed.extend_from_slice(more);
    changed
}

/// Brings a fresh cohort to the point where a message of `kind` is due, lets `tamper` change the honest one of
/// client 0 or of the server, and says whether it is the same and what the reader made of it.
fn deliver(kind: Kind, tamper: impl Fn(&Cohort, &[u8]) -> Vec<u8>) -> (bool, Result<(), MpcError>) {
    let mut cohort = Cohort::new(CLIENTS);
    let journal = MemoryJournal::new();
    let input = cohort.inputs[0].clone();
    let honest: Vec<u8>;
    let bytes: Vec<u8>;
    let result = match kind {
        Kind::Advertise => {
            honest = cohort.advertise(0).1;
            bytes = tamper(&cohort, &honest);
            cohort.new_server().receive(&bytes).map(drop)
        }
        Kind::Roster => {
            let After { mut clients, answer, .. } = cohort.advertised();
            honest = answer;
            bytes = tamper(&cohort, &honest);
            clients.remove(0).share(&bytes, &mut cohort.rng).map(drop)
        }
        Kind::Shares => {
            let After { mut clients, mut server, answer, .. } = cohort.advertised();
            honest = clients.remove(0).share(&answer, &mut cohort.rng).unwrap().1;
            bytes = tamper(&cohort, &honest);
            server.receive(&bytes).map(drop)
        }
        Kind::Inbox => {
            let After { mut clients, answer, .. } = cohort.shared();
            honest = answer[0].1.clone();
            bytes = tamper(&cohort, &honest);
            clients.remove(0).mask(&bytes, &input, &journal, &mut cohort.rng).map(drop)
        }
        Kind::Masked => {
            let After { mut clients, mut server, answer, .. } = cohort.shared();
            honest = clients.remove(0).mask(&answer[0].1, &input, &journal, &mut cohort.rng).unwrap().1;
            bytes = tamper(&cohort, &honest);
            server.receive(&bytes).map(drop)
        }
        Kind::Claim => {
            let After { mut clients, answer, .. } = cohort.masked(CLIENTS);
            honest = answer;
            bytes = tamper(&cohort, &honest);
            clients.remove(0).sign(&bytes, &journal).map(drop)
        }
        Kind::Consent => {
            let After { mut clients, mut server, answer, .. } = cohort.masked(CLIENTS);
            honest = clients.remove(0).sign(&answer, &journal).unwrap().1;
            bytes = tamper(&cohort, &honest);
            server.receive(&bytes).map(drop)
        }
        Kind::Quorum => {
            let After { mut clients, answer, .. } = cohort.signed(CLIENTS);
            honest = answer;
            bytes = tamper(&cohort, &honest);
            clients.remove(0).release(&bytes, &journal).map(drop)
        }
        Kind::Release => {
            let After { mut clients, mut server, answer, .. } = cohort.signed(CLIENTS);
            honest = clients.remove(0).release(&answer, &journal).unwrap();
            bytes = tamper(&cohort, &honest);
            server.receive(&bytes).map(drop)
        }
    };
    (honest == bytes, result)
}

#[test]
fn every_honest_message_is_accepted() {
    for kind in KINDS {
        assert_eq!(deliver(kind, |_, honest| honest.to_vec()), (true, Ok(())), "{kind:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn changed_bytes_of_any_message_are_an_error(
        kind in 0_usize..9, writes in prop::collection::vec((0_usize..4096, any::<u8>()), 0..4),
        cut in 0_usize..80, more in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let (same, result) = deliver(KINDS[kind], |_, honest| changed(honest, &writes, cut, &more));
        prop_assert!(same || result.is_err(), "{:?}", KINDS[kind]);
    }

    #[test]
    fn changed_bodies_signed_again_never_panic(
        kind in 0_usize..9, writes in prop::collection::vec((0_usize..4096, any::<u8>()), 0..4),
        cut in 0_usize..80, more in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        // Another body of the same length can be as good: another channel key, say.
        let as_long = std::cell::Cell::new(false);
        let (_, result) = deliver(KINDS[kind], |cohort, honest| {
            let envelope = Envelope::decode(honest).unwrap();
            let body = changed(envelope.body, &writes, cut.min(envelope.body.len() - 1), &more);
            as_long.set(body.len() == envelope.body.len());
            match envelope.sender {
                Party::Server => cohort.by_server(envelope.kind, &body),
                Party::Client(_) => cohort.by_client(0, envelope.kind, &body),
            }
        });
        prop_assert!(as_long.get() || result.is_err(), "{:?}", KINDS[kind]);
    }

    #[test]
    fn residues_that_decode_have_one_encoding(flips in prop::collection::vec((0_usize..4096, 0_u8..8), 0..3)) {
        let mut cohort = Cohort::new(CLIENTS);
        let layout = cohort.params.layout().clone();
        let body_of = |message: &[u8]| Envelope::decode(message).unwrap().body.to_vec();
        let mut vector = body_of(&cohort.masked(CLIENTS).sent[0]);
        let mut release = body_of(&cohort.restored().with_empty_journal().released(CLIENTS).1[0]);
        for (position, bit) in flips {
            let (at, length) = (position, vector.len());
            vector[at % length] ^= 1 << bit;
            let length = release.len();
            release[at % length] ^= 1 << bit;
        }
        if let Ok(read) = MaskedBody::decode(&layout, &vector) {
            prop_assert_eq!([&read.view[..], &MaskedBody::encode(&layout, &read.chunks)].concat(), vector);
        }
        if let Ok(read) = Release::decode(&layout, &release) {
            prop_assert_eq!(read.encode(&layout), release);
        }
    }
}

impl Cohort {
    fn with_empty_journal(self) -> Self {
        Self { journal: Arc::new(MemoryJournal::new()), ..self }
    }
}
