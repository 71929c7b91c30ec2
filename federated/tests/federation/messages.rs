//! The round's start on the wire, whole and damaged.

use nexus_federated::config::Settings;
use nexus_federated::message::{Message, RoundStart};
use nexus_federated::session::{Registration, Session};
use nexus_federated::{ClientId, Error, Round};
use nexus_mpc::session::{Identity, SessionId};
use proptest::prelude::*;

use crate::support::{client_identity, config, coordinator_identity, data, initial, proven, rng, session, settings};

fn start(session: &Session, round: u32) -> RoundStart {
    RoundStart { session: session.id(), round: Round(round), config: session.config().hash(), model: initial(session) }
}

fn decode(session: &Session, bytes: &[u8]) -> Result<RoundStart, Error> {
    RoundStart::decode(bytes, &session.coordinator(), session.id(), session.config())
}

fn signed(session: &Session) -> Vec<u8> {
    start(session, 2).encode(&coordinator_identity())
}

#[test]
fn a_round_start_survives_its_bytes() {
    let session = session(&settings(4));
    for round in [0, 1, 2, u32::MAX] {
        let start = start(&session, round);
        let bytes = start.encode(&coordinator_identity());
        assert_eq!(bytes.len(), 32 + 4 + 32 + 4 * 6 + 64);
        assert_eq!(decode(&session, &bytes).unwrap(), start);
    }
}

#[test]
fn the_fields_of_a_round_start_stand_where_they_are_documented() {
    let session = session(&settings(4));
    let (start, bytes) = (start(&session, 0x0403_0201), start(&session, 0x0403_0201).encode(&coordinator_identity()));
    assert_eq!(bytes[..32], session.id().0);
    assert_eq!(bytes[32..36], [1, 2, 3, 4]);
    assert_eq!(bytes[36..68], session.config().hash().0);
    assert_eq!(bytes[68..92], start.model.bytes());
}

#[test]
fn a_round_start_that_is_cut_or_has_more_is_refused() {
    let session = session(&settings(4));
    let bytes = signed(&session);
    let refusal = |bytes: &[u8]| match decode(&session, bytes) {
        Err(Error::Malformed { what: "round start", expected, got }) => (expected, got),
        other => panic!("expected a wrong length, got {other:?}"),
    };
    let length = bytes.len();
    for cut in 0..length {
        assert_eq!(refusal(&bytes[..cut]), (format!("{length} bytes"), format!("{cut} bytes")));
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(refusal(&longer), (format!("{length} bytes"), format!("{} bytes", length + 1)));
}

#[test]
fn every_flipped_bit_of_a_round_start_breaks_its_signature() {
    let session = session(&settings(4));
    let bytes = signed(&session);
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(decode(&session, &flipped), Err(Error::NotSignedByCoordinator)), "bit {bit}");
    }
}

#[test]
fn a_round_start_signed_by_someone_else_is_refused() {
    let session = session(&settings(4));
    for stranger in [client_identity(0), Identity::from_seed([99; 32]).into()] {
        let bytes = start(&session, 1).encode(&stranger);
        assert!(matches!(decode(&session, &bytes), Err(Error::NotSignedByCoordinator)));
    }
}

#[test]
fn a_signature_in_another_context_is_none() {
    let session = session(&settings(4));
    let mut bytes = signed(&session);
    let body = bytes.len() - 64;
    let signature = coordinator_identity().sign("envelope", &bytes[..body]);
    bytes[body..].copy_from_slice(&signature);
    assert!(matches!(decode(&session, &bytes), Err(Error::NotSignedByCoordinator)));
}

#[test]
fn a_round_start_of_another_session_is_refused() {
    let session = session(&settings(4));
    let elsewhere = RoundStart { session: SessionId([1; 32]), ..start(&session, 1) };
    let bytes = elsewhere.encode(&coordinator_identity());
    assert!(matches!(decode(&session, &bytes), Err(Error::WrongSession)));
}

#[test]
fn a_round_start_of_another_configuration_is_refused() {
    let session = session(&settings(4));
    let other = config(&Settings { privacy: Settings::default().privacy, ..settings(5) }).hash();
    let elsewhere = RoundStart { config: other, ..start(&session, 1) };
    match decode(&session, &elsewhere.encode(&coordinator_identity())) {
        Err(Error::WrongConfig { expected, got }) => assert_eq!((expected, got), (session.config().hash(), other)),
        other => panic!("expected the wrong configuration, got {other:?}"),
    }
}

#[test]
fn a_signed_parameter_that_does_not_fit_is_refused() {
    let session = session(&settings(4));
    let mut bytes = signed(&session);
    let body = bytes.len() - 64;
    // 2^23 is one above the greatest weight of 24 bits.
    bytes[68..72].copy_from_slice(&(1_i32 << 23).to_le_bytes());
    let signature = coordinator_identity().sign("federated/round-start/v1", &bytes[..body]);
    bytes[body..].copy_from_slice(&signature);
    assert!(matches!(decode(&session, &bytes), Err(Error::Circuit(_))));
    bytes[68..72].copy_from_slice(&((1_i32 << 23) - 1).to_le_bytes());
    let signature = coordinator_identity().sign("federated/round-start/v1", &bytes[..body]);
    bytes[body..].copy_from_slice(&signature);
    assert_eq!(decode(&session, &bytes).unwrap().model.weights().values()[0], (1 << 23) - 1);
}

#[test]
fn a_proven_message_survives_its_bytes_and_stands_as_documented() {
    let (proof, body) = ([7; 300], [8; 50]);
    let bytes = Message::proven(&proof, &body, &client_identity(1));
    assert_eq!(bytes.len(), 1 + 64 + 4 + 300 + 50);
    assert_eq!((bytes[0], &bytes[65..69]), (3, &[44, 1, 0, 0][..]));
    match Message::decode(&bytes).unwrap() {
        Message::Proven { signature, proof: read, body: rest } => {
            assert_eq!((signature, read, rest), (&bytes[1..65].try_into().unwrap(), &proof[..], &body[..]));
        }
        other => panic!("expected a proven message, got {other:?}"),
    }
    assert_eq!(Message::decode(&bytes).unwrap().encode(), bytes);
    // A body may be empty for all that this reader knows; a proof that is longer than the message is none.
    for cut in 1..bytes.len() - body.len() {
        let refused = Message::decode(&bytes[..cut]);
        assert!(matches!(refused, Err(Error::Malformed { what: "proven message", .. })), "cut at {cut}");
    }
    let mut longer = bytes;
    longer[65..69].fill(0xff);
    assert!(matches!(Message::decode(&longer), Err(Error::Malformed { what: "proven message", .. })));
}

#[test]
fn the_session_s_id_binds_everything_it_is_made_of() {
    let base = session(&settings(4));
    let config = base.config();
    let make = |seed: u64, last: u32, nonce| {
        let register = |client: u32| {
            let (coordinator, identity) =
                (coordinator_identity().verifying_key(), client_identity(client).verifying_key());
            let rng = &mut rng(seed + u64::from(client));
            Registration::new(config, &coordinator, ClientId(client), identity, &data(client), rng).unwrap().0
        };
        let clients = [0, 1, 2, last].map(register).to_vec();
        Session::new(config.clone(), coordinator_identity().verifying_key(), clients, nonce).unwrap().id()
    };
    assert_eq!(make(0, 3, [9; 32]), base.id());
    let reversed = base.clients().iter().rev().cloned().collect();
    let reversed = Session::new(config.clone(), base.coordinator(), reversed, [9; 32]).unwrap();
    assert_eq!(reversed.id(), base.id(), "clients are ordered by id");
    let mut other = settings(4);
    other.training.rounds += 1;
    // The nonce, a client and its key, the commitments, the configuration.
    let mut ids =
        vec![base.id(), make(0, 3, [8; 32]), make(0, 17, [9; 32]), make(50, 3, [9; 32]), session(&other).id()];
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[test]
fn a_registration_that_does_not_hold_names_its_client() {
    let base = session(&proven(4));
    let cheats: [fn(&mut Vec<Registration>); 4] = [
        // Another's proof, another's commitment, another's id, another's key.
        |clients| clients[2].proof = clients[1].proof.clone(),
        |clients| clients[2].data = clients[1].data.clone(),
        |clients| clients[2].client.0 = 17,
        |clients| clients[2].identity = clients[1].identity,
    ];
    for (index, cheat) in cheats.into_iter().enumerate() {
        let mut clients = base.clients().to_vec();
        cheat(&mut clients);
        let blamed = clients[2].client;
        match Session::new(base.config().clone(), base.coordinator(), clients, [9; 32]) {
            Err(Error::Registration { client, .. }) => assert_eq!(client, blamed, "cheat {index}"),
            other => panic!("cheat {index}: {other:?}"),
        }
    }
}

#[test]
fn a_session_of_more_or_fewer_clients_than_configured_is_refused() {
    let base = session(&settings(4));
    for clients in [base.clients()[..3].to_vec(), [base.clients(), &base.clients()[..1]].concat()] {
        let got = format!("{} clients", clients.len());
        match Session::new(base.config().clone(), base.coordinator(), clients, [0; 32]) {
            Err(Error::Malformed { what: "registrations", expected, got: found }) => {
                assert_eq!((expected.as_str(), found), ("4 clients", got));
            }
            other => panic!("expected a wrong count, got {other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn a_message_of_any_bytes_is_read_back_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        match Message::decode(&bytes) {
            Ok(message) => {
                prop_assert!(matches!(bytes[0], 1..=3));
                prop_assert_eq!(message.encode(), bytes);
            }
            Err(Error::Malformed { what, .. }) => {
                let kind = bytes.first();
                prop_assert!(matches!(kind, Some(3)) == (what == "proven message"), "{what}");
                prop_assert!(!matches!(kind, Some(1 | 2)));
            }
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
    }

    #[test]
    fn a_round_start_of_any_bytes_is_refused(bytes in proptest::collection::vec(any::<u8>(), 156)) {
        let session = session(&settings(4));
        prop_assert!(matches!(decode(&session, &bytes), Err(Error::NotSignedByCoordinator)));
    }
}
