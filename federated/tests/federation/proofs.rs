//! What is asked of a round's first messages: a proof that holds, for this client, round and session, signed with it.

use std::sync::{Arc, LazyLock};

use nexus_federated::config::{Protection, Settings, TrainingProof};
use nexus_federated::coordinator::Effect;
use nexus_federated::message::Message;
use nexus_federated::protect::Phase;
use nexus_federated::session::Session;
use nexus_federated::{ClientId, Error, Hash, Round};
use nexus_mpc::MpcError;
use nexus_mpc::session::Party;
use proptest::prelude::*;
use rand_core::Rng;
use sha2::{Digest, Sha256};

use crate::support::{
    Answers, Parties, TIMEOUT, client_identity, completed, coordinator, participant, proven, rejections, rng,
    session_with, settings,
};

const CLIENT: ClientId = ClientId(1);

/// Proof and body of a first message.
fn parts(message: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match Message::decode(message) {
        Ok(Message::Proven { proof, body, .. }) => (proof.to_vec(), body.to_vec()),
        other => panic!("expected a proof, got {other:?}"),
    }
}

fn of(answers: &Answers, client: ClientId) -> &[u8] {
    &answers.iter().find(|(id, _)| *id == client).expect("every client answers").1
}

#[track_caller]
fn only_rejection(effects: &[Effect]) -> &Error {
    match rejections(effects)[..] {
        [(CLIENT, reason)] if effects.len() == 1 => reason,
        ref other => panic!("expected one refusal of client 1, got {other:?} of {effects:?}"),
    }
}

#[track_caller]
fn admitted(effects: &[Effect]) -> (ClientId, Option<Hash>) {
    match effects.first() {
        Some(Effect::Admitted { client, proof, .. }) => (*client, *proof),
        other => panic!("expected an admission, got {other:?}"),
    }
}

#[test]
fn an_honest_round_completes_with_every_kind_of_proof_masked_or_not() {
    for proof in [TrainingProof::ZeroKnowledge, TrainingProof::Transparent, TrainingProof::None] {
        for protect in [Protection::Secagg, Protection::ThresholdBfv, Protection::Plain] {
            let mut settings = settings(4);
            settings.training.proof = proof;
            settings.aggregation.protect = protect;
            assert_eq!(Parties::new(&settings).round().contributors.len(), 4, "{proof:?}, {protect:?}");
        }
    }
}

#[test]
fn the_digest_of_the_proof_is_told_with_the_admission() {
    let mut parties = Parties::new(&proven(4));
    let effects = parties.coordinator.open(0).unwrap();
    let answers = parties.answers(&effects);
    let (proof, _) = parts(of(&answers, CLIENT));
    let digest = Hash(Sha256::digest(&proof).into());
    // Over another connection: the signature counts.
    let effects = parties.coordinator.handle(0, ClientId(0), of(&answers, CLIENT));
    assert_eq!(admitted(&effects), (CLIENT, Some(digest)));
}

/// Cut, extended and flipped proofs, and good ones of somebody else or of another session.
#[test]
fn a_proof_that_does_not_hold_keeps_its_client_alone_out_of_the_round() {
    let mut parties = Parties::new(&proven(5));
    let effects = parties.coordinator.open(0).unwrap();
    let answers = parties.answers(&effects);
    let (own, body) = parts(of(&answers, CLIENT));
    let elsewhere = {
        let session = session_with(&proven(5), [8; 32]);
        let effects = coordinator(&session).open(0).unwrap();
        let Some(Effect::Broadcast(start)) = effects.last() else { panic!("a start follows the charge") };
        parts(&participant(&session, CLIENT.0).handle(start, &mut rng(5)).unwrap()).0
    };
    let flipped = |at: usize| {
        let mut proof = own.clone();
        proof[at] ^= 1;
        proof
    };
    let length = own.len();
    let cheats = [
        Vec::new(),
        own[..1].to_vec(),
        own[..length / 2].to_vec(),
        own[..length - 1].to_vec(),
        [&own[..], &[0]].concat(),
        [&own[..], &own[..]].concat(),
        flipped(0),
        flipped(length / 3),
        flipped(length / 2),
        flipped(length - 1),
        parts(of(&answers, ClientId(0))).0,
        elsewhere,
    ];
    for (index, proof) in cheats.iter().enumerate() {
        let mut fresh = coordinator(&parties.session);
        fresh.open(0).unwrap();
        let effects = fresh.handle(0, CLIENT, &Message::proven(proof, &body, &client_identity(CLIENT.0)));
        match only_rejection(&effects) {
            Error::Training { client: CLIENT, .. } => {}
            other => panic!("cheat {index}: {other}"),
        }
        // It had its try; the others go on without it.
        let effects = fresh.handle(0, CLIENT, of(&answers, CLIENT));
        assert!(matches!(only_rejection(&effects), Error::Excluded(CLIENT)), "cheat {index}");
        for (client, message) in answers.iter().filter(|(client, _)| *client != CLIENT) {
            assert_eq!(admitted(&fresh.handle(0, *client, message)).0, *client, "cheat {index}");
        }
        fresh.tick(TIMEOUT);
        assert_eq!(fresh.phase(), Some(Phase::Share), "cheat {index}: the round goes on");
    }
}

#[test]
fn a_refused_client_s_round_ends_with_the_sum_of_the_others() {
    let mut parties = Parties::new(&proven(5));
    let mut effects = parties.coordinator.open(0).unwrap();
    while let Some(phase) = parties.coordinator.phase() {
        let mut answers = parties.answers(&effects);
        if phase == Phase::Advertise {
            let (_, body) = parts(of(&answers, CLIENT));
            answers[1].1 = Message::proven(b"trust me", &body, &client_identity(CLIENT.0));
            parties.clients.remove(1);
        }
        effects = parties.deliver(0, &answers);
        effects.retain(|effect| !matches!(effect, Effect::Rejected { .. }));
        if parties.coordinator.phase() == Some(phase) {
            effects.extend(parties.coordinator.tick(TIMEOUT));
        }
    }
    assert_eq!(completed(&effects).unwrap().contributors, [0, 2, 3, 4].map(ClientId));
}

/// With the model as it was, so that nothing but the round is another.
#[test]
fn a_client_s_own_proof_of_an_earlier_round_is_refused_by_name() {
    let mut parties = Parties::new(&proven(4));
    let effects = parties.coordinator.open(0).unwrap();
    let before = parties.answers(&effects);
    let model = parties.coordinator.model().hash();
    let aborted = parties.coordinator.tick(TIMEOUT);
    assert!(matches!(aborted[..], [Effect::Aborted { round: Round(1), .. }]), "nobody was heard: {aborted:?}");

    let effects = parties.coordinator.open(TIMEOUT).unwrap();
    assert_eq!(parties.coordinator.model().hash(), model);
    let answers = parties.answers(&effects);
    // The message as it was is one of round 1 by its signature.
    let effects = parties.coordinator.handle(TIMEOUT, CLIENT, of(&before, CLIENT));
    assert!(matches!(only_rejection(&effects), Error::Aggregation(MpcError::ParamsMismatch { .. })));
    // The old proof with a message of this round is a proof of something else.
    let (old, _) = parts(of(&before, CLIENT));
    let (own, body) = parts(of(&answers, CLIENT));
    assert_ne!(old, own);
    let replayed = Message::proven(&old, &body, &client_identity(CLIENT.0));
    let effects = parties.coordinator.handle(TIMEOUT, CLIENT, &replayed);
    match only_rejection(&effects) {
        Error::Training { client: CLIENT, .. } => {}
        other => panic!("expected a refused proof, got {other}"),
    }
}

#[test]
fn a_proof_changed_on_its_way_does_not_spoil_its_client_s_name() {
    let mut parties = Parties::new(&proven(4));
    let effects = parties.coordinator.open(0).unwrap();
    let answers = parties.answers(&effects);
    let message = of(&answers, CLIENT);
    let (proof, body) = parts(message);
    let mut flipped = message.to_vec();
    flipped[1 + 64 + 4 + proof.len() / 2] ^= 1;
    let by_another = Message::proven(b"", &body, &client_identity(2));
    let mut unsigned = message.to_vec();
    unsigned[1..65].fill(0);
    for changed in [flipped, by_another, unsigned] {
        let effects = parties.coordinator.handle(0, CLIENT, &changed);
        match only_rejection(&effects) {
            Error::Aggregation(MpcError::BadSignature(Party::Client(CLIENT))) => {}
            other => panic!("expected a bad signature, got {other}"),
        }
    }
    assert_eq!(admitted(&parties.coordinator.handle(0, CLIENT, message)).0, CLIENT);
    // What comes after is a second message, whatever proof is with it.
    for again in [message.to_vec(), Message::proven(b"", &body, &client_identity(CLIENT.0))] {
        let effects = parties.coordinator.handle(0, CLIENT, &again);
        assert!(matches!(
            only_rejection(&effects),
            Error::Aggregation(MpcError::DuplicateMessage { client: CLIENT, .. })
        ));
    }
}

#[test]
fn a_first_message_has_a_proof_exactly_where_one_is_asked_for() {
    for protect in [Protection::Secagg, Protection::ThresholdBfv, Protection::Plain] {
        let with = |mut settings: Settings| {
            settings.aggregation.protect = protect;
            let mut parties = Parties::new(&settings);
            let effects = parties.coordinator.open(0).unwrap();
            let answers = parties.answers(&effects);
            (parties, answers)
        };
        let (mut asked, answers) = with(proven(4));
        let (proof, body) = parts(of(&answers, CLIENT));
        let effects = asked.coordinator.handle(0, CLIENT, &Message::Protocol(&body).encode());
        assert!(matches!(only_rejection(&effects), Error::NoProof), "{protect:?}");
        assert_eq!(admitted(&asked.coordinator.handle(0, CLIENT, of(&answers, CLIENT))).0, CLIENT);

        let (mut unasked, answers) = with(settings(4));
        let Ok(Message::Protocol(body)) = Message::decode(of(&answers, CLIENT)) else { panic!("a bare message") };
        let effects = unasked.coordinator.handle(0, CLIENT, &Message::proven(&proof, body, &client_identity(1)));
        let reason = only_rejection(&effects);
        assert!(matches!(reason, Error::OutOfTurn("a proof of training, in a run without")), "{protect:?}: {reason}");
        assert_eq!(admitted(&unasked.coordinator.handle(0, CLIENT, of(&answers, CLIENT))).0, CLIENT);
    }
}

#[test]
fn a_proof_of_another_kind_than_agreed_is_refused() {
    let answer = |proof| {
        let mut settings = settings(4);
        settings.training.proof = proof;
        let mut parties = Parties::new(&settings);
        let effects = parties.coordinator.open(0).unwrap();
        let answers = parties.answers(&effects);
        (parties, parts(of(&answers, CLIENT)))
    };
    let (mut hiding, (_, body)) = answer(TrainingProof::ZeroKnowledge);
    let (_, (transparent, _)) = answer(TrainingProof::Transparent);
    let effects = hiding.coordinator.handle(0, CLIENT, &Message::proven(&transparent, &body, &client_identity(1)));
    assert!(matches!(only_rejection(&effects), Error::Training { client: CLIENT, .. }));
}

#[test]
fn a_message_is_taken_in_the_round_that_it_was_judged_in() {
    let mut parties = Parties::new(&proven(4));
    let effects = parties.coordinator.open(0).unwrap();
    let answers = parties.answers(&effects);
    let message = of(&answers, CLIENT);
    let mut elsewhere = coordinator(&parties.session);
    let before = elsewhere.judge(message);
    elsewhere.open(0).unwrap();
    assert!(matches!(only_rejection(&elsewhere.handle_judged(0, CLIENT, before)), Error::OutOfTurn(_)));
    let judged = elsewhere.judge(message);
    elsewhere.tick(TIMEOUT);
    elsewhere.open(TIMEOUT).unwrap();
    assert!(matches!(only_rejection(&elsewhere.handle_judged(TIMEOUT, CLIENT, judged)), Error::OutOfTurn(_)));
    // In its round it is worth as much as if it had been handled at once.
    let judged = parties.coordinator.judge(message);
    assert_eq!(admitted(&parties.coordinator.handle_judged(0, CLIENT, judged)).0, CLIENT);
}

#[test]
fn a_client_takes_no_proof_from_its_coordinator() {
    let session = session_with(&settings(4), [9; 32]);
    let message = Message::proven(b"", b"", &client_identity(0));
    let refused = participant(&session, 0).handle(&message, &mut rng(1));
    assert!(matches!(refused, Err(Error::OutOfTurn("a coordinator proves no training"))), "{refused:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Signed by the client itself, so that it is the proof that is looked at.
    #[test]
    fn random_bytes_are_no_proof(length in 0..2_000_usize, seed in any::<u64>(), tail in any::<bool>()) {
        static FIRST: LazyLock<(Arc<Session>, Vec<u8>)> = LazyLock::new(|| {
            let mut parties = Parties::new(&proven(3));
            let effects = parties.coordinator.open(0).unwrap();
            let answers = parties.answers(&effects);
            (parties.session, of(&answers, CLIENT).to_vec())
        });
        let (session, message) = &*FIRST;
        let mut coordinator = coordinator(session);
        coordinator.open(0).unwrap();
        let (mut proof, body) = parts(message);
        let place = if tail { proof.len() - length } else { 0 };
        rng(seed).fill_bytes(&mut proof[place..place + length]);
        let effects = coordinator.handle(0, CLIENT, &Message::proven(&proof, &body, &client_identity(CLIENT.0)));
        if length > 0 {
            let reason = only_rejection(&effects);
            prop_assert!(matches!(reason, Error::Training { client: CLIENT, .. }), "{reason}");
        } else {
            prop_assert_eq!(admitted(&effects).0, CLIENT);
        }
    }
}
