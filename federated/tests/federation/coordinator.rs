//! Phases, deadlines, refusals, and what is charged.

use std::sync::Arc;

use nexus_dp::account::Rho;
use nexus_federated::config::{Mechanism, Protection, Settings};
use nexus_federated::coordinator::{Coordinator, Effect};
use nexus_federated::message::Message;
use nexus_federated::protect::Phase;
use nexus_federated::{ClientId, Error, Hash, Round};
use nexus_mpc::MpcError;
use nexus_mpc::secagg::Phase as Step;
use nexus_mpc::session::{Envelope, Kind, Party};
use proptest::prelude::*;
use rand::seq::SliceRandom;

use crate::support::{
    Parties, TIMEOUT, client_identity, completed, coordinator_identity, initial, rejections, rng, session,
    session_with, settings,
};

const SECAGG: [Phase; 5] = [Phase::Advertise, Phase::Share, Phase::Mask, Phase::Sign, Phase::Release];

/// Five clients, four of whom make a sum.
fn five() -> Parties {
    let parties = Parties::new(&settings(5));
    assert_eq!(parties.session.config().min_survivors(), 4);
    parties
}

fn plain(clients: usize) -> Settings {
    let mut settings = settings(clients);
    settings.aggregation.protect = Protection::Plain;
    settings
}

fn only_rejection(effects: &[Effect], from: u32) -> &Error {
    match rejections(effects)[..] {
        [(client, reason)] if effects.len() == 1 => {
            assert_eq!(client, ClientId(from), "{reason}");
            reason
        }
        ref other => panic!("expected one refusal, got {other:?} of {effects:?}"),
    }
}

fn abort(effects: &[Effect]) -> (Round, Phase, &Error) {
    match effects {
        [Effect::Aborted { round, phase, reason }] => (*round, *phase, reason),
        other => panic!("expected an aborted round, got {other:?}"),
    }
}

#[test]
fn an_honest_round_goes_through_five_phases_and_moves_the_model() {
    let mut parties = five();
    let before = parties.coordinator.model().hash();
    let mut phases = Vec::new();
    let mut effects = parties.coordinator.open(0).unwrap();
    while let Some(phase) = parties.coordinator.phase() {
        phases.push(phase);
        let answers = parties.answers(&effects);
        assert_eq!(answers.len(), 5);
        effects = parties.deliver(0, &answers);
        let admitted = effects.iter().filter(|e| matches!(e, Effect::Admitted { phase: p, .. } if *p == phase));
        assert_eq!(admitted.count(), 5);
    }
    assert_eq!(phases, SECAGG);
    let completed = completed(&effects).unwrap();
    assert_eq!(completed.round, Round(1));
    assert_eq!(completed.contributors, (0..5).map(ClientId).collect::<Vec<_>>());
    assert_eq!(completed.model, parties.coordinator.model().hash());
    assert_ne!(completed.model, before);
    assert_eq!(parties.coordinator.next_round(), Some(Round(2)));
}

#[test]
fn a_round_is_charged_before_anything_is_sent() {
    let mut parties = five();
    let cost = parties.session.config().privacy().unwrap().mechanism.cost();
    assert_eq!(parties.coordinator.spent(), Some(Rho::ZERO));
    match &parties.coordinator.open(0).unwrap()[..] {
        [Effect::Reserved { round: Round(1), model, spent }, Effect::Broadcast(_)] => {
            assert_eq!((*model, *spent), (parties.coordinator.model().hash(), Some(cost)));
        }
        other => panic!("expected a charge and a broadcast, got {other:?}"),
    }
    assert_eq!(parties.coordinator.spent(), Some(cost));
}

#[test]
fn a_phase_closes_at_its_deadline_and_not_before() {
    let mut parties = five();
    let start = 17;
    let mut effects = parties.coordinator.open(start).unwrap();
    let mut now = start;
    for (index, phase) in SECAGG.into_iter().enumerate() {
        assert_eq!(parties.coordinator.phase(), Some(phase));
        let deadline = now + TIMEOUT;
        assert_eq!(parties.coordinator.deadline(), Some(deadline));
        // One client is silent from the first phase on, so that no phase is complete before its time.
        let mut answers = parties.answers(&effects);
        answers.retain(|(client, _)| *client != ClientId(4));
        effects = parties.deliver(now + 1, &answers);
        if index == 0 {
            assert_eq!(parties.coordinator.phase(), Some(phase), "client 4 is waited for");
            assert!(parties.coordinator.tick(start).is_empty());
            assert!(parties.coordinator.tick(deadline - 1).is_empty());
            effects = parties.coordinator.tick(deadline);
            now = deadline;
        } else {
            now += 1;
        }
        // Client 4 is not in the roster and would refuse it.
        parties.clients.truncate(4);
    }
    assert_eq!(completed(&effects).unwrap().contributors, (0..4).map(ClientId).collect::<Vec<_>>());
    assert_eq!((parties.coordinator.phase(), parties.coordinator.deadline()), (None, None));
    assert!(parties.coordinator.tick(u64::MAX).is_empty());
}

#[test]
fn a_client_may_leave_before_any_phase_and_is_counted_once_it_has_masked() {
    for leaves in SECAGG {
        let mut parties = five();
        let mut effects = parties.coordinator.open(0).unwrap();
        while let Some(phase) = parties.coordinator.phase() {
            if phase == leaves {
                parties.clients.remove(0);
            }
            let answers = parties.answers(&effects);
            effects = parties.deliver(0, &answers);
            if parties.coordinator.phase() == Some(phase) {
                effects.extend(parties.coordinator.tick(parties.coordinator.deadline().unwrap()));
            }
        }
        let first = u32::from(leaves <= Phase::Mask);
        let completed = completed(&effects).unwrap_or_else(|| panic!("left before {leaves:?}: {effects:?}"));
        assert_eq!(completed.contributors, (first..5).map(ClientId).collect::<Vec<_>>(), "left before {leaves:?}");
    }
}

#[test]
fn too_few_clients_end_a_round_without_a_sum_and_the_charge_stays() {
    for (index, leaves) in SECAGG.into_iter().enumerate() {
        let mut parties = five();
        let before = parties.coordinator.model().clone();
        let cost = parties.session.config().privacy().unwrap().mechanism.cost();
        let mut effects = parties.coordinator.open(0).unwrap();
        for phase in SECAGG {
            assert_eq!(parties.coordinator.phase(), Some(phase));
            if phase == leaves {
                // Three of five are below min_survivors, the quorum and the threshold alike, which are four.
                parties.clients.truncate(3);
                let answers = parties.answers(&effects);
                let taken = parties.deliver(0, &answers);
                assert!(taken.iter().all(|effect| matches!(effect, Effect::Admitted { .. })), "{taken:?}");
                effects = parties.coordinator.tick(TIMEOUT);
                break;
            }
            let answers = parties.answers(&effects);
            effects = parties.deliver(0, &answers);
        }
        let step = [Step::Advertising, Step::Sharing, Step::Masking, Step::Signing, Step::Releasing][index];
        match abort(&effects) {
            (Round(1), phase, Error::Aggregation(MpcError::TooFewClients { phase: at, got: 3, needed: 4 })) => {
                assert_eq!((phase, *at), (leaves, step));
            }
            other => panic!("left before {leaves:?}: {other:?}"),
        }
        assert_eq!(parties.coordinator.model(), &before);
        assert_eq!(parties.coordinator.spent(), Some(cost), "what is charged stays charged");
        let again = parties.coordinator.open(TIMEOUT).unwrap();
        let twice = cost.checked_add(cost).unwrap();
        assert!(matches!(again[0], Effect::Reserved { round: Round(2), spent, .. } if spent == Some(twice)));
    }
}

#[test]
fn a_late_message_is_refused() {
    let mut parties = five();
    let effects = parties.coordinator.open(0).unwrap();
    let answers = parties.answers(&effects);
    let (late, on_time) = answers.split_last().unwrap();
    parties.deliver(0, on_time);
    parties.coordinator.tick(TIMEOUT);
    assert_eq!(parties.coordinator.phase(), Some(Phase::Share));
    let effects = parties.deliver(TIMEOUT, std::slice::from_ref(late));
    match only_rejection(&effects, 4) {
        Error::Aggregation(MpcError::Late { client, got }) => {
            assert_eq!((*client, *got), (ClientId(4), Kind::Advertise));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_message_when_no_round_is_open_is_refused() {
    let mut parties = five();
    let effects = parties.coordinator.open(0).unwrap();
    let answers = parties.answers(&effects);
    let mut fresh = five();
    let effects = fresh.deliver(0, &answers[..1]);
    assert!(matches!(only_rejection(&effects, 0), Error::OutOfTurn("no round is open")));
}

#[test]
fn the_first_of_two_messages_stands_in_every_phase() {
    let mut parties = five();
    let undisturbed = five().round();
    let mut effects = parties.coordinator.open(0).unwrap();
    while let Some(phase) = parties.coordinator.phase() {
        let answers = parties.answers(&effects);
        parties.deliver(0, &answers[..1]);
        let again = parties.deliver(0, &answers[..1]);
        match only_rejection(&again, 0) {
            Error::Aggregation(MpcError::DuplicateMessage { client: ClientId(0), .. }) => {}
            other => panic!("{phase:?}: {other}"),
        }
        effects = parties.deliver(0, &answers[1..]);
    }
    assert_eq!(completed(&effects), Some(undisturbed));
}

#[test]
fn garbage_is_refused_in_every_phase_and_names_the_connection() {
    let mut parties = five();
    let undisturbed = five().round();
    let mut effects = parties.coordinator.open(0).unwrap();
    while parties.coordinator.phase().is_some() {
        for garbage in [&b""[..], &[0], &[2], &[2, 1], &[9; 40], &[2; 400]] {
            let effects = parties.coordinator.handle(0, ClientId(3), garbage);
            let reason = only_rejection(&effects, 3);
            assert!(matches!(reason, Error::Malformed { .. } | Error::Aggregation(_)), "{reason}");
        }
        let start = parties.coordinator.handle(0, ClientId(3), &Message::Start(&[1; 156]).encode());
        assert!(matches!(only_rejection(&start, 3), Error::OutOfTurn("a round is started by the coordinator alone")));
        let answers = parties.answers(&effects);
        effects = parties.deliver(0, &answers);
    }
    assert_eq!(completed(&effects), Some(undisturbed), "what is refused leaves no trace");
}

#[test]
fn whose_signature_it_is_counts_and_not_whose_connection() {
    let mut parties = five();
    let effects = parties.coordinator.open(0).unwrap();
    let answers = parties.answers(&effects);
    let effects = parties.coordinator.handle(0, ClientId(0), &answers[3].1);
    assert!(matches!(effects[..], [Effect::Admitted { client: ClientId(3), phase: Phase::Advertise, proof: None }]));
}

#[test]
fn a_message_of_another_session_is_refused() {
    let settings = settings(5);
    let mut parties = five();
    let mut elsewhere = five();
    elsewhere.session = session_with(&settings, [8; 32]);
    elsewhere.coordinator =
        Coordinator::new(Arc::clone(&elsewhere.session), coordinator_identity(), initial(&elsewhere.session)).unwrap();
    let effects = parties.coordinator.open(0).unwrap();
    let answers = parties.answers(&effects);
    elsewhere.coordinator.open(0).unwrap();
    let effects = elsewhere.deliver(0, &answers[..1]);
    assert!(matches!(only_rejection(&effects, 0), Error::Aggregation(MpcError::ParamsMismatch { .. })));
}

#[test]
fn a_coordinator_needs_the_session_s_key() {
    let session = session(&settings(4));
    let refused = Coordinator::new(Arc::clone(&session), client_identity(0), initial(&session));
    assert!(matches!(refused, Err(Error::NotSignedByCoordinator)));
}

#[test]
fn rounds_are_opened_one_at_a_time_and_no_more_than_agreed() {
    let mut parties = five();
    parties.coordinator.open(0).unwrap();
    let spent = parties.coordinator.spent();
    assert!(matches!(parties.coordinator.open(0), Err(Error::OutOfTurn("a round is open"))));
    assert_eq!(parties.coordinator.spent(), spent, "a refused opening costs nothing");

    let mut parties = five();
    for round in 1..=3 {
        assert_eq!(parties.round().round, Round(round));
    }
    assert_eq!(parties.coordinator.next_round(), None);
    assert!(matches!(parties.coordinator.open(0), Err(Error::OutOfTurn("all rounds are over"))));
}

#[test]
fn a_deadline_past_the_end_of_time_is_never_reached_early() {
    let mut parties = five();
    parties.coordinator.open(u64::MAX - 1).unwrap();
    assert_eq!(parties.coordinator.deadline(), Some(u64::MAX));
    assert!(parties.coordinator.tick(u64::MAX - 1).is_empty());
}

#[test]
fn a_budget_of_two_rounds_opens_two() {
    let mut settings = settings(4);
    settings.training.rounds = 9;
    let privacy = session(&settings).config().privacy().unwrap().clone();
    let epsilon = |rounds| Rho::from_units(rounds * privacy.mechanism.cost().units()).epsilon(privacy.delta);
    settings.privacy.epsilon = f64::midpoint(epsilon(2), epsilon(3));
    let mut parties = Parties::new(&settings);
    parties.round();
    parties.round();
    let model = parties.coordinator.model().hash();
    match parties.coordinator.open(0) {
        Err(Error::BudgetExhausted { spent, next, allowed, delta }) => {
            let expected = [epsilon(2), epsilon(3), settings.privacy.epsilon, 1e-5];
            assert_eq!([spent, next, allowed, delta].map(f64::to_bits), expected.map(f64::to_bits));
            assert!(spent <= allowed && allowed < next);
        }
        other => panic!("expected a spent budget, got {other:?}"),
    }
    assert_eq!(parties.coordinator.phase(), None);
    assert_eq!(parties.coordinator.model().hash(), model);
    assert_eq!(parties.coordinator.next_round(), Some(Round(3)), "the round was not begun");
}

#[test]
fn a_restored_coordinator_goes_on_where_it_stood() {
    let mut parties = five();
    parties.round();
    let (model, spent) = (parties.coordinator.model().clone(), parties.coordinator.spent().unwrap());
    let mut restored = five();
    restored.coordinator.restore(model.clone(), Round(2), spent).unwrap();
    for (client, _) in &mut restored.clients {
        client.restore(Round(2), spent).unwrap();
    }
    // The randomness of round 1 is behind the clients that went on.
    for ((_, restored), (_, went_on)) in restored.clients.iter_mut().zip(&parties.clients) {
        *restored = went_on.clone();
    }
    assert_eq!(restored.round(), parties.round());
    assert_eq!(restored.coordinator.spent(), parties.coordinator.spent());
    assert!(matches!(restored.coordinator.restore(model, Round(3), Rho::MAX), Err(Error::Privacy(_))));
}

/// With every example in every batch and the same noise, masks and encryption change nothing in the models.
#[test]
fn the_sum_under_masks_or_encryption_is_the_sum_in_the_clear() {
    for mechanism in [Mechanism::DistributedGaussian, Mechanism::None] {
        let models = |protect| -> Vec<Hash> {
            let mut settings = settings(5);
            settings.privacy.mechanism = mechanism;
            settings.training.rounds = 1;
            settings.aggregation.protect = protect;
            let mut parties = Parties::new(&settings);
            vec![parties.coordinator.model().hash(), parties.round().model]
        };
        let (masked, clear) = (models(Protection::Secagg), models(Protection::Plain));
        assert_eq!(masked, clear, "{mechanism:?}");
        assert_eq!(models(Protection::ThresholdBfv), clear, "{mechanism:?}");
        assert_ne!(masked[0], masked[1], "{mechanism:?}");
    }
}

#[test]
fn too_few_updates_in_the_clear_move_no_model() {
    let mut parties = Parties::new(&plain(5));
    let before = parties.coordinator.model().hash();
    let effects = parties.coordinator.open(0).unwrap();
    let answers = parties.answers(&effects);
    parties.deliver(0, &answers[..3]);
    let effects = parties.coordinator.tick(TIMEOUT);
    assert!(matches!(abort(&effects), (Round(1), Phase::Plain, Error::TooFewContributors { expected: 4, got: 3 })));
    assert_eq!(parties.coordinator.model().hash(), before);
    assert_eq!(parties.coordinator.phase(), None);
}

#[test]
fn an_update_in_the_clear_is_checked_before_it_is_added() {
    let mut parties = Parties::new(&plain(5));
    let effects = parties.coordinator.open(0).unwrap();
    let answers = parties.answers(&effects);
    let params = parties.session.aggregation(Round(1), parties.coordinator.model().hash()).unwrap();
    let half = 1_i64 << (parties.session.config().modulus_bits() - 1);
    let update = |values: &[i64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let mut send = |sender, kind, params: &[u8; 32], body: &[u8], identity: u32| {
        let bytes = Envelope::seal(sender, kind, params, body, &client_identity(identity));
        parties.coordinator.handle(0, ClientId(1), &Message::Protocol(&bytes).encode())
    };
    let one = Party::Client(ClientId(1));
    let good = update(&[0; 6]);

    let effects = send(one, Kind::Masked, params.hash(), &good, 2);
    assert!(matches!(only_rejection(&effects, 1), Error::Aggregation(MpcError::BadSignature(party)) if *party == one));
    let effects = send(one, Kind::Masked, &[0; 32], &good, 1);
    assert!(matches!(only_rejection(&effects, 1), Error::Aggregation(MpcError::ParamsMismatch { .. })));
    let effects = send(Party::Client(ClientId(5)), Kind::Masked, params.hash(), &good, 5);
    assert!(matches!(only_rejection(&effects, 1), Error::UnknownClient(ClientId(5))));
    let effects = send(Party::Server, Kind::Masked, params.hash(), &good, 1);
    assert!(matches!(only_rejection(&effects, 1), Error::OutOfTurn("a message of the coordinator")));
    let effects = send(one, Kind::Release, params.hash(), &good, 1);
    assert!(matches!(only_rejection(&effects, 1), Error::Malformed { what: "update", .. }));
    for body in [&good[..47], &good[..40], &[&good[..], &good[..8]].concat(), &[]] {
        let effects = send(one, Kind::Masked, params.hash(), body, 1);
        assert!(matches!(only_rejection(&effects, 1), Error::Malformed { what: "update", .. }));
    }
    for wide in [half, -half - 1, i64::MAX, i64::MIN] {
        let effects = send(one, Kind::Masked, params.hash(), &update(&[0, 0, 0, wide, 0, 0]), 1);
        match only_rejection(&effects, 1) {
            Error::SumOutOfRange { index: 3, value, contributors: 1, .. } => assert_eq!(*value, wide),
            other => panic!("{other}"),
        }
    }
    let edge = update(&[0, 0, 0, half - 1, -half, 0]);
    let effects = send(one, Kind::Masked, params.hash(), &edge, 1);
    assert!(matches!(effects[..], [Effect::Admitted { client: ClientId(1), phase: Phase::Plain, proof: None }]));
    let effects = send(one, Kind::Masked, params.hash(), &good, 1);
    assert!(matches!(only_rejection(&effects, 1), Error::OutOfTurn("a second update of one client")));

    // Alone each entry passed; the sum with the others is what honest clients cannot have made.
    let before = parties.coordinator.model().hash();
    let others: Vec<_> = answers.into_iter().filter(|(client, _)| *client != ClientId(1)).collect();
    let effects = parties.deliver(0, &others);
    match effects.last() {
        Some(Effect::Aborted { reason: Error::SumOutOfRange { index: 3, contributors: 5, .. }, .. }) => {}
        other => panic!("expected an aborted round, got {other:?}"),
    }
    assert_eq!(parties.coordinator.model().hash(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_messages_within_a_phase_does_not_matter(seed in any::<u64>(), masked in any::<bool>()) {
        let settings = if masked { settings(5) } else { plain(5) };
        let mut rng = rng(seed);
        let shuffled = Parties::new(&settings).round_arranged(|answers| answers.shuffle(&mut rng));
        prop_assert_eq!(completed(&shuffled), Some(Parties::new(&settings).round()));
    }

    #[test]
    fn any_bytes_in_any_phase_leave_the_coordinator_as_it_was(
        junk in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 5),
    ) {
        let mut parties = five();
        let mut effects = parties.coordinator.open(0).unwrap();
        for bytes in junk {
            let phase = parties.coordinator.phase();
            for kind in [None, Some(1), Some(2), Some(3)] {
                let bytes = [kind.as_slice(), &bytes[..]].concat();
                let refused = parties.coordinator.handle(0, ClientId(2), &bytes);
                prop_assert_eq!(rejections(&refused).len(), 1);
                prop_assert_eq!(parties.coordinator.phase(), phase);
            }
            let answers = parties.answers(&effects);
            effects = parties.deliver(0, &answers);
        }
        prop_assert_eq!(completed(&effects), Some(five().round()));
    }

    #[test]
    fn a_flipped_bit_in_any_client_message_is_refused(phase in 0..5_usize, position in any::<prop::sample::Index>()) {
        let mut parties = five();
        let mut effects = parties.coordinator.open(0).unwrap();
        for _ in 0..phase {
            let answers = parties.answers(&effects);
            effects = parties.deliver(0, &answers);
        }
        let mut answers = parties.answers(&effects);
        let bytes = &mut answers[2].1;
        let bit = position.index(8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        let effects = parties.deliver(0, &answers[2..3]);
        let refused = rejections(&effects);
        let [(ClientId(2), reason)] = refused[..] else { panic!("expected a refusal, got {effects:?}") };
        let known = matches!(
            reason,
            Error::Malformed { .. }
                | Error::Aggregation(_)
                | Error::UnknownClient(_)
                | Error::OutOfTurn(_)
        );
        prop_assert!(known, "{reason}");
    }
}
