//! Settings, files and bytes that must be refused, each by name.

mod parties;

use std::sync::Arc;

use nexus_circuits::reference::FixedPoint;
use nexus_federated::config::{Mechanism, RoundConfig, Settings};
use nexus_federated::data::Dataset;
use nexus_federated::message::{Message, RoundStart};
use nexus_federated::participant::Participant;
use nexus_federated::{ClientId, Error, Hash, Round};
use nexus_mpc::journal::MemoryJournal;
use nexus_mpc::session::{Identity, SessionId};
use parties::Parties;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const FEATURES: usize = 64;
const CLASSES: usize = 10;

fn build(settings: &Settings) -> Result<RoundConfig, Error> {
    RoundConfig::build(settings, FEATURES, CLASSES)
}

/// The field that refuses the settings after `change`.
fn refused(change: impl FnOnce(&mut Settings)) -> &'static str {
    let mut settings = Settings::default();
    change(&mut settings);
    match build(&settings) {
        Err(Error::Config(error)) => {
            assert!(!error.value.is_empty() && !error.allowed.is_empty(), "{error}");
            error.field
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn each_setting_out_of_range_is_named() {
    for clients in [0, 2, 513, usize::MAX] {
        assert_eq!(refused(|s| s.training.clients = clients), "training.clients");
    }
    for rounds in [0, 100_001] {
        assert_eq!(refused(|s| s.training.rounds = rounds), "training.rounds");
    }
    for steps in [0, usize::MAX] {
        assert_eq!(refused(|s| s.training.steps = steps), "training.steps");
    }
    for batch in [0, 3, usize::MAX] {
        assert_eq!(refused(|s| s.training.batch = batch), "training.batch");
    }
    for rate in [i32::MIN, -10, 100, i32::MAX] {
        assert_eq!(refused(|s| s.training.rate_shift = rate), "training.rate_shift");
    }
    for clip in [f64::NAN, f64::INFINITY, -0.3, 0.0, 1e-9, 1e9] {
        assert_eq!(refused(|s| s.privacy.clip = clip), "privacy.clip");
    }
    for bits in [0, 21, u32::MAX] {
        assert_eq!(refused(|s| s.privacy.fraction_bits = bits), "privacy.fraction_bits");
    }
    for multiplier in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e7] {
        assert_eq!(refused(|s| s.privacy.noise_multiplier = multiplier), "privacy.noise_multiplier");
    }
    for epsilon in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e4] {
        assert_eq!(refused(|s| s.privacy.epsilon = epsilon), "privacy.epsilon");
    }
    for delta in [f64::NAN, f64::INFINITY, -1e-6, 0.0, 1.1e-5, 1.0] {
        assert_eq!(refused(|s| s.privacy.delta = delta), "privacy.delta");
    }
    for dropout in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
        assert_eq!(refused(|s| s.simulation.dropout = dropout), "simulation.dropout");
    }
    for timeout in [0, u64::MAX] {
        assert_eq!(refused(|s| s.aggregation.phase_timeout_ms = timeout), "aggregation.phase_timeout_ms");
    }
    assert_eq!(refused(|s| s.model.format.weight_bits = 32), "model.format.weight_bits");
    assert_eq!(refused(|s| s.model.format.weight_fraction = 24), "model.format.weight_fraction");
    assert_eq!(refused(|s| s.model.format.activation_bits = 7), "model.format.activation_bits");
    assert_eq!(refused(|s| s.model.format.activation_fraction = 0), "model.format.activation_fraction");
}

#[test]
fn settings_that_do_not_go_together_are_named() {
    assert_eq!(refused(|s| s.model.shape = "63-10".parse().unwrap()), "model.shape");
    assert_eq!(refused(|s| s.model.shape = "64-9".parse().unwrap()), "model.shape");
    for threshold in [0, 66, 101] {
        assert_eq!(refused(|s| s.aggregation.threshold = Some(threshold)), "aggregation.threshold");
    }
    for survivors in [0, 66, 101] {
        assert_eq!(refused(|s| s.aggregation.min_survivors = Some(survivors)), "aggregation.min_survivors");
    }
    for corrupt in [34, usize::MAX] {
        assert_eq!(refused(|s| s.aggregation.max_corrupt = Some(corrupt)), "aggregation.max_corrupt");
    }
    // The default cohort's updates and noise need 24 bits, with one to spare.
    for bits in [0, 23, 33] {
        assert_eq!(refused(|s| s.aggregation.modulus_bits = Some(bits)), "aggregation.modulus_bits");
    }
    // So long a clip on so fine a grid leaves no 32 bits for a hundred clients.
    let crowded = |s: &mut Settings| (s.privacy.fraction_bits, s.privacy.clip) = (20, 100.0);
    assert_eq!(refused(crowded), "training.clients");
    // Noise of less than 1.5 grid units a client.
    let coarse = |s: &mut Settings| (s.privacy.fraction_bits, s.privacy.noise_multiplier) = (4, 1.0);
    assert_eq!(refused(coarse), "privacy.noise_multiplier");
    let wide = FixedPoint { weight_bits: 31, weight_fraction: 20, activation_bits: 24, activation_fraction: 12 };
    // Beyond 2^53 the sums are no exact doubles; beyond p/2 they wrap.
    assert_eq!(refused(|s| (s.model.format, s.model.shape) = (wide, "64-64-10".parse().unwrap())), "model.format");
    let wider = FixedPoint { activation_bits: 31, ..wide };
    assert_eq!(refused(|s| (s.model.format, s.model.shape) = (wider, "64-64-10".parse().unwrap())), "model.format");
}

#[test]
fn the_modulus_just_holds_what_honest_clients_can_add_up_to() {
    let config = build(&Settings::default()).unwrap();
    let half = 1u64 << (config.modulus_bits() - 1);
    assert!(2 * config.entry_bound(100) < half && 4 * config.entry_bound(100) >= half);
    assert_eq!(config.clip().bound(), 19_660);
}

#[test]
fn the_hash_covers_what_is_agreed_and_nothing_else() {
    let base = Settings::default();
    let hash = build(&base).unwrap().hash();
    let changed = |change: fn(&mut Settings)| {
        let mut settings = base.clone();
        change(&mut settings);
        build(&settings).unwrap().hash() != hash
    };
    assert!(changed(|s| s.model.shape = "64-8-10".parse().unwrap()));
    assert!(changed(|s| s.model.format.activation_fraction = 11));
    assert!(changed(|s| s.training.clients = 99));
    assert!(changed(|s| s.training.rounds = 15));
    assert!(changed(|s| s.training.steps = 9));
    assert!(changed(|s| s.training.batch = 8));
    assert!(changed(|s| s.training.rate_shift = 4));
    assert!(changed(|s| s.privacy.mechanism = Mechanism::None));
    assert!(changed(|s| s.privacy.noise_multiplier = 3.1));
    assert!(changed(|s| s.privacy.clip = 0.31));
    assert!(changed(|s| s.privacy.fraction_bits = 15));
    assert!(changed(|s| s.privacy.epsilon = 7.0));
    assert!(changed(|s| s.privacy.delta = 1e-6));
    assert!(changed(|s| s.aggregation.threshold = Some(68)));
    assert!(changed(|s| s.aggregation.min_survivors = Some(81)));
    assert!(changed(|s| s.aggregation.max_corrupt = Some(9)));
    assert!(changed(|s| s.aggregation.modulus_bits = Some(25)));
    assert!(changed(|s| s.aggregation.phase_timeout_ms = 1));
    assert!(!changed(|s| s.simulation.seed = 2));
    assert!(!changed(|s| s.simulation.dropout = 0.0));
    let resolved = build(&base).unwrap().resolved(&base);
    assert_ne!(resolved, base);
    assert_eq!(build(&resolved).unwrap().hash(), hash);
}

#[test]
fn misspelt_settings_are_refused_and_good_ones_read_back() {
    for text in [
        "[training]\nrunds = 1\n",
        "sede = 1\n",
        "[data.source]\nkind = \"digit\"\n",
        "[data.source]\nkind = \"digits\"\npath = \"x\"\n",
        "[data.source]\nkind = \"mnist10k\"\nclasses = 3\n",
        "[data.split]\nkind = \"iid\"\nalpha = 1.0\n",
        "[privacy]\nmechanism = \"gaussian\"\n",
        "[aggregation]\nprotect = \"sec-agg\"\n",
        "[training]\nclients = -1\n",
        "[model]\nshape = \"64-ten\"\n",
    ] {
        assert!(toml::from_str::<Settings>(text).is_err(), "{text}");
    }
    let settings = Settings::default();
    assert_eq!(toml::from_str::<Settings>(&toml::to_string(&settings).unwrap()).unwrap(), settings);
    assert_eq!(toml::from_str::<Settings>("").unwrap(), settings);
}

fn decode(parties: &Parties, bytes: &[u8]) -> Result<RoundStart, Error> {
    let Parties { session, coordinator, .. } = parties;
    RoundStart::decode(bytes, &coordinator.verifying_key(), session.id(), session.config())
}

#[test]
fn a_round_start_survives_bytes_and_is_bound_to_its_session_configuration_and_signer() {
    let parties = Parties::new(3);
    let start = parties.start(3);
    let bytes = start.encode(&parties.coordinator);
    assert_eq!(decode(&parties, &bytes).unwrap(), start);
    let elsewhere = RoundStart { session: SessionId([0; 32]), ..start.clone() }.encode(&parties.coordinator);
    assert!(matches!(decode(&parties, &elsewhere), Err(Error::WrongSession)));
    let otherwise = RoundStart { config: Hash([0; 32]), ..start.clone() }.encode(&parties.coordinator);
    assert!(matches!(decode(&parties, &otherwise), Err(Error::WrongConfig { got: Hash([0, ..]), .. })));
    let forged = start.encode(&parties.clients[0]);
    assert!(matches!(decode(&parties, &forged), Err(Error::NotSignedByCoordinator)));
}

#[test]
fn every_flipped_bit_and_every_other_length_of_a_round_start_is_refused() {
    let parties = Parties::new(3);
    let bytes = parties.start(1).encode(&parties.coordinator);
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(decode(&parties, &flipped), Err(Error::NotSignedByCoordinator)), "bit {bit}");
    }
    for length in (0..bytes.len()).chain([bytes.len() + 1]) {
        let mut cut = bytes.clone();
        cut.resize(length, 0);
        assert!(matches!(decode(&parties, &cut), Err(Error::Malformed { .. })), "length {length}");
    }
}

#[test]
fn a_round_is_entered_once_and_in_order() {
    let parties = Parties::new(3);
    let mut participant = parties.participant(0);
    let rng = &mut ChaCha20Rng::seed_from_u64(2);
    let message = |round| Message::Start(&parties.start(round).encode(&parties.coordinator)).encode();
    assert!(matches!(participant.handle(&Message::Protocol(&[]).encode(), rng), Err(Error::OutOfTurn(_))));
    participant.handle(&message(2), rng).unwrap();
    for round in [0, 1, 2, 17, u32::MAX] {
        let refused = participant.handle(&message(round), rng);
        let expected = Round(3);
        assert!(
            matches!(refused, Err(Error::WrongRound { expected: e, got }) if e == expected && got == Round(round)),
            "round {round}"
        );
    }
    participant.handle(&message(16), rng).unwrap();
}

#[test]
fn a_clients_own_budget_stops_it_whatever_the_coordinator_says() {
    let parties = Parties::new(3);
    let mut participant = parties.participant(0);
    let privacy = parties.session.config().privacy().unwrap();
    participant.restore(Round(1), privacy.cap).unwrap();
    let message = Message::Start(&parties.start(1).encode(&parties.coordinator)).encode();
    let rng = &mut ChaCha20Rng::seed_from_u64(3);
    let refused = participant.handle(&message, rng);
    assert!(matches!(refused, Err(Error::Privacy(nexus_dp::DpError::BudgetExceeded { .. }))), "{refused:?}");
}

#[test]
fn a_stranger_or_data_of_another_shape_makes_no_participant() {
    let parties = Parties::new(3);
    let journal = Arc::new(MemoryJournal::new());
    let make = |client, identity: &Arc<Identity>, data: &Dataset| {
        let session = Arc::clone(&parties.session);
        Participant::new(session, ClientId(client), Arc::clone(identity), data.clone(), journal.clone()).err()
    };
    let other_key = make(0, &parties.clients[1], &parties.data);
    assert!(matches!(other_key, Some(Error::UnknownClient(ClientId(0)))), "{other_key:?}");
    let other_data = make(0, &parties.clients[0], &Dataset::digits());
    assert!(matches!(other_data, Some(Error::Malformed { what: "client's data", .. })), "{other_data:?}");
}

proptest! {
    #[test]
    fn no_bytes_make_a_participant_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..4) {
        let parties = Parties::new(3);
        let mut participant = parties.participant(0);
        let rng = &mut ChaCha20Rng::seed_from_u64(4);
        let start = Message::Start(&parties.start(1).encode(&parties.coordinator)).encode();
        participant.handle(&start, rng).unwrap();
        let message = [&[kind], &bytes[..]].concat();
        prop_assert!(participant.handle(&message, rng).is_err());
        prop_assert!(participant.handle(&bytes, rng).is_err());
    }
}
