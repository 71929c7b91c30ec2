//! Every cheat that the simulation plays is found by the right party, in the right phase, and nobody else is blamed.

use nexus_federated::attack::{Accused, Attack, Incident, Party};
use nexus_federated::config::{Protection, Settings, TrainingProof};
use nexus_federated::protect::Phase;
use nexus_federated::run::{self, Outcome, Silent, Summary};
use nexus_federated::{ClientId, Error, Round};

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.training.clients = 8;
    settings.training.rounds = 3;
    settings.training.steps = 2;
    settings.training.proof = TrainingProof::None;
    settings.simulation.dropout = 0.0;
    settings
}

/// What is asked of a run in which cheats are about training.
fn proven(proof: TrainingProof) -> Settings {
    let mut settings = settings();
    settings.training.rounds = 2;
    settings.training.proof = proof;
    settings
}

fn play(attack: Option<Attack>) -> Summary {
    run::simulate(&settings(), attack, None, &mut Silent).expect("a run")
}

/// Round, phase, who found it, who is to blame.
type Found = (Round, Phase, Party, Accused);

/// The run, and its incidents without their reasons.
fn caught(attack: Attack) -> (Summary, Vec<Found>) {
    caught_in(&settings(), attack)
}

fn caught_in(settings: &Settings, attack: Attack) -> (Summary, Vec<Found>) {
    let summary = run::simulate(settings, Some(attack), None, &mut Silent).expect("a run");
    assert_eq!(summary.outcome, Outcome::Done);
    assert_eq!(summary.rounds.len(), settings.training.rounds as usize);
    assert_eq!(summary.caught(), Some(true), "{:?}", summary.incidents().collect::<Vec<_>>());
    let incidents = summary.incidents().map(|i| (i.round, i.phase, i.found_by, i.accused)).collect();
    (summary, incidents)
}

fn reason(summary: &Summary, index: usize) -> &str {
    &summary.incidents().nth(index).expect("an incident").reason
}

fn contributors(summary: &Summary) -> Vec<Vec<u32>> {
    let rounds = summary.rounds.iter();
    rounds.map(|record| record.report.contributors.iter().map(|client| client.0).collect()).collect()
}

fn all() -> Vec<u32> {
    (0..8).collect()
}

fn all_but_the_cheat() -> Vec<u32> {
    all().into_iter().filter(|client| *client != Attack::CLIENT.0).collect()
}

const CHEAT: Accused = Accused::Party(Party::Client(Attack::CLIENT));
const COORDINATOR: Accused = Accused::Party(Party::Coordinator);

#[test]
fn an_honest_run_has_no_incidents() {
    let summary = play(None);
    assert_eq!(summary.incidents().count(), 0);
    assert_eq!((summary.caught(), summary.aborted()), (None, 0));
    assert_eq!(contributors(&summary), [all(), all(), all()]);
}

#[test]
fn an_honest_run_with_dropouts_blames_nobody() {
    let mut settings = settings();
    settings.training.rounds = 6;
    settings.simulation.dropout = 0.2;
    let summary = run::simulate(&settings, None, None, &mut Silent).unwrap();
    assert!(summary.rounds.iter().any(|record| !record.report.left.is_empty()), "the seed makes some leave");
    assert_eq!(summary.incidents().count(), 0, "{:?}", summary.incidents().collect::<Vec<_>>());
}

#[test]
fn an_overflow_is_seen_on_the_wire_and_in_the_sum() {
    let (summary, incidents) = caught(Attack::Overflow);
    assert_eq!(
        incidents,
        [
            (Round(1), Phase::Mask, Party::Coordinator, CHEAT),
            (Round(2), Phase::Release, Party::Coordinator, Accused::OneOf(8)),
        ]
    );
    assert_eq!(contributors(&summary), [all_but_the_cheat(), vec![], all()]);
    let [first, second, third] = &summary.rounds[..] else { panic!("three rounds") };
    assert_eq!(second.report.model, first.report.model, "the aborted round leaves the model as it was");
    assert_ne!(third.report.model, second.report.model);
    assert!(second.report.aborted.as_ref().unwrap().starts_with("entry 0 of the sum"), "{:?}", second.report.aborted);
    assert_eq!(summary.aborted(), 1);
    // The aborted round was charged too.
    let units: Vec<u64> = summary.rounds.iter().map(|record| record.spent.unwrap()).collect();
    assert_eq!(units, [units[0], 2 * units[0], 3 * units[0]]);
}

#[test]
fn a_replayed_message_is_refused_as_one_of_the_round_before() {
    let (summary, incidents) = caught(Attack::Replay);
    assert_eq!(incidents, [(Round(2), Phase::Mask, Party::Coordinator, CHEAT)]);
    assert!(reason(&summary, 0).contains("works with parameters"), "{}", reason(&summary, 0));
    assert_eq!(contributors(&summary), [all(), all_but_the_cheat(), all()]);
    assert_eq!(summary.aborted(), 0);
}

#[test]
fn another_model_for_one_client_is_found_by_that_client() {
    let (summary, incidents) = caught(Attack::InconsistentModel);
    assert_eq!(incidents, [(Round(1), Phase::Share, Party::Client(Attack::CLIENT), COORDINATOR)]);
    assert!(reason(&summary, 0).contains("another model"), "{}", reason(&summary, 0));
    assert_eq!(contributors(&summary), [all_but_the_cheat(), all(), all()]);
}

#[test]
fn a_second_release_is_refused_by_all() {
    let (summary, incidents) = caught(Attack::DoubleRelease);
    assert_eq!(incidents, [(Round(1), Phase::Release, Party::Client(ClientId(0)), COORDINATOR)]);
    assert!(reason(&summary, 0).contains("8 of 8 clients refused"), "{}", reason(&summary, 0));
    assert_eq!(contributors(&summary), [all(), all(), all()]);
}

/// The same cheats under encryption: the same parties find them in the same phases.
#[test]
fn every_cheat_on_messages_is_caught_under_encryption_too() {
    let mut encrypted = settings();
    encrypted.aggregation.protect = Protection::ThresholdBfv;
    for attack in [Attack::Overflow, Attack::Replay, Attack::InconsistentModel, Attack::DoubleRelease] {
        let (masked, found) = caught(attack);
        let (summary, incidents) = caught_in(&encrypted, attack);
        assert_eq!(incidents, found, "{attack:?}");
        assert_eq!(contributors(&summary), contributors(&masked), "{attack:?}");
    }
}

#[test]
fn an_encrypted_run_with_dropouts_blames_nobody() {
    let mut settings = settings();
    settings.training.rounds = 6;
    settings.simulation.dropout = 0.2;
    let masked = run::simulate(&settings, None, None, &mut Silent).unwrap();
    settings.aggregation.protect = Protection::ThresholdBfv;
    let summary = run::simulate(&settings, None, None, &mut Silent).unwrap();
    assert_eq!(summary.incidents().count(), 0, "{:?}", summary.incidents().collect::<Vec<_>>());
    // Who leaves when is the same, and so is what comes of it: nobody has to stay for what was begun.
    assert_eq!(contributors(&summary), contributors(&masked));
    assert!(summary.encryption.as_ref().is_some_and(|encryption| encryption.contains("128 bits")));
}

#[test]
fn blaming_one_too_many_or_the_wrong_one_is_not_catching_the_cheat() {
    let (summary, _) = caught(Attack::Replay);
    let found: Vec<Incident> = summary.incidents().cloned().collect();
    assert!(Attack::Replay.is_caught_by(found.iter()));
    assert!(!Attack::Replay.is_caught_by([].iter()));
    assert!(!Attack::Replay.is_caught_by(found.iter().chain(&found)));
    for accused in [COORDINATOR, Accused::OneOf(8), Accused::Party(Party::Client(ClientId(2)))] {
        let wrong = Incident { accused, ..found[0].clone() };
        assert!(!Attack::Replay.is_caught_by([wrong].iter()), "{accused}");
    }
    assert!(!Attack::Overflow.is_caught_by(found.iter()), "half of it is not all of it");
}

#[test]
fn a_run_without_what_a_cheat_needs_is_refused() {
    let mut short = settings();
    short.training.rounds = 1;
    let mut plain = settings();
    plain.aggregation.protect = Protection::Plain;
    for attack in [Attack::Overflow, Attack::Replay, Attack::InconsistentModel, Attack::DoubleRelease] {
        attack.check(&settings()).unwrap();
        match attack.check(&plain) {
            Err(Error::Config(error)) => assert_eq!(error.field, "aggregation.protect"),
            other => panic!("{other:?}"),
        }
        let needs_two = matches!(attack, Attack::Overflow | Attack::Replay);
        match attack.check(&short) {
            Err(Error::Config(error)) => assert!(needs_two && error.field == "training.rounds", "{attack:?}: {error}"),
            other => assert!(!needs_two && other.is_ok(), "{attack:?}: {other:?}"),
        }
    }
}

const ABOUT_TRAINING: [Attack; 5] =
    [Attack::WrongData, Attack::SkippedStep, Attack::ScaledUpdate, Attack::OtherModel, Attack::StolenProof];

#[test]
fn each_cheat_about_training_is_kept_out_of_its_round_by_name() {
    for attack in ABOUT_TRAINING {
        let (summary, incidents) = caught_in(&proven(TrainingProof::ZeroKnowledge), attack);
        assert_eq!(incidents, [(Round(1), Phase::Advertise, Party::Coordinator, CHEAT)], "{attack:?}");
        let reason = reason(&summary, 0);
        assert!(reason.starts_with("client 1's proof of training is refused"), "{attack:?}: {reason}");
        assert_eq!(contributors(&summary), [all_but_the_cheat(), all()], "{attack:?}");
        // Of those who were let in there is the digest of a proof each, all different.
        for record in &summary.rounds {
            let proofs = &record.report.proofs;
            assert_eq!(proofs.iter().map(|(client, _)| *client).collect::<Vec<_>>(), record.report.contributors);
            let digests: std::collections::BTreeSet<_> = proofs.iter().map(|(_, digest)| digest.to_string()).collect();
            assert_eq!(digests.len(), proofs.len(), "{attack:?}");
        }
    }
}

#[test]
fn a_transparent_proof_catches_a_cheat_too() {
    let (summary, incidents) = caught_in(&proven(TrainingProof::Transparent), Attack::OtherModel);
    assert_eq!(incidents, [(Round(1), Phase::Advertise, Party::Coordinator, CHEAT)]);
    assert_eq!(contributors(&summary), [all_but_the_cheat(), all()]);
}

#[test]
fn a_cheat_about_training_needs_proofs_and_steps_to_be_caught() {
    for attack in ABOUT_TRAINING {
        attack.check(&proven(TrainingProof::Transparent)).unwrap();
        match attack.check(&settings()) {
            Err(Error::Config(error)) => assert_eq!(error.field, "training.proof"),
            other => panic!("{attack:?}: {other:?}"),
        }
    }
    let mut short = proven(TrainingProof::ZeroKnowledge);
    short.training.steps = 1;
    match Attack::SkippedStep.check(&short) {
        Err(Error::Config(error)) => assert_eq!(error.field, "training.steps"),
        other => panic!("{other:?}"),
    }
}
