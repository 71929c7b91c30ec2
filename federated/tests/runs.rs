//! Whole runs: determinism, attacks, budgets, and going on from a record that was cut off anywhere.

use std::fs;
use std::path::Path;

use nexus_federated::attack::{Accused, Attack, Party};
use nexus_federated::config::Settings;
use nexus_federated::protect::Phase;
use nexus_federated::run::{self, Directory, Outcome, Silent, Summary};
use nexus_federated::{Error, Hash};

fn settings(clients: usize, rounds: u32) -> Settings {
    let mut settings = Settings::default();
    settings.training.clients = clients;
    settings.training.rounds = rounds;
    settings.training.steps = 2;
    settings
}

fn play(settings: &Settings, attack: Option<Attack>) -> Summary {
    run::simulate(settings, attack, None, &mut Silent).unwrap()
}

fn resume(settings: &Settings, path: &Path) -> Result<Summary, Error> {
    run::simulate(settings, None, Some(&mut Directory::open(path)?), &mut Silent)
}

/// Models, ε and contributors of all rounds: what time and interruptions must not change.
fn essence(summary: &Summary) -> Vec<(Hash, Option<u64>, usize)> {
    let rounds = summary.rounds.iter();
    rounds.map(|round| (round.report.model, round.spent, round.report.contributors.len())).collect()
}

fn with_threads(threads: usize, settings: &Settings) -> Summary {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| play(settings, None))
}

#[test]
fn the_seed_alone_decides_the_model() {
    let settings = settings(6, 2);
    let one = with_threads(1, &settings);
    assert_eq!(essence(&one), essence(&with_threads(2, &settings)));
    let mut other = settings.clone();
    other.simulation.seed = 2;
    assert_ne!(essence(&one), essence(&play(&other, None)));
}

#[test]
fn an_honest_run_refuses_nothing() {
    let mut settings = settings(8, 3);
    settings.simulation.dropout = 0.0;
    let summary = play(&settings, None);
    assert_eq!((summary.incidents().count(), summary.aborted(), summary.caught()), (0, 0, None));
    assert_eq!(summary.outcome, Outcome::Done);
}

#[test]
fn each_attack_is_found_where_it_happens_and_blamed_on_who_did_it() {
    let client = Accused::Party(Party::Client(Attack::CLIENT));
    let coordinator = Accused::Party(Party::Coordinator);
    let victim = Party::Client(Attack::CLIENT);
    for (attack, expected) in [
        (
            Attack::Overflow,
            vec![
                (1, Phase::Mask, Party::Coordinator, client),
                (2, Phase::Release, Party::Coordinator, Accused::OneOf(8)),
            ],
        ),
        (Attack::Replay, vec![(2, Phase::Mask, Party::Coordinator, client)]),
        (Attack::InconsistentModel, vec![(1, Phase::Share, victim, coordinator)]),
        (Attack::DoubleRelease, vec![(1, Phase::Release, Party::Client(nexus_federated::ClientId(0)), coordinator)]),
    ] {
        let mut settings = settings(8, 2);
        settings.simulation.dropout = 0.0;
        let summary = play(&settings, Some(attack));
        let found = summary.incidents().map(|found| (found.round.0, found.phase, found.found_by, found.accused));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{attack:?}");
        assert_eq!(summary.caught(), Some(true), "{attack:?}");
        let aborted = summary.rounds.iter().filter(|round| round.report.aborted.is_some());
        let aborted: Vec<u32> = aborted.map(|round| round.report.round.0).collect();
        if attack == Attack::Overflow {
            assert_eq!(aborted, [2]);
            assert_eq!(
                summary.rounds[0].report.model, summary.rounds[1].report.model,
                "an aborted round moves nothing"
            );
        } else {
            assert_eq!(aborted, [0; 0], "{attack:?}");
        }
    }
}

#[test]
fn an_attack_that_is_not_found_does_not_count_as_caught() {
    for attack in [Attack::Overflow, Attack::Replay, Attack::InconsistentModel, Attack::DoubleRelease] {
        assert!(!attack.is_caught_by([].iter()));
    }
}

#[test]
fn a_run_ends_when_its_budget_does_not_hold_another_round() {
    let mut settings = settings(4, 9);
    let whole = play(&settings, None);
    let after_three = whole.rounds[2].epsilon.unwrap();
    for (cap, rounds) in [(after_three * 1.000_001, 3), (after_three * 0.999_999, 2)] {
        settings.privacy.epsilon = cap;
        let summary = play(&settings, None);
        assert!(matches!(summary.outcome, Outcome::BudgetExhausted(_)), "{:?}", summary.outcome);
        assert_eq!(summary.rounds.len(), rounds);
        assert!(summary.epsilon().unwrap() <= cap);
    }
}

#[test]
fn a_record_cut_off_at_any_byte_goes_on_to_the_same_end() {
    let settings = settings(4, 3);
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let mut directory = Directory::create(&whole).unwrap();
    let undisturbed = run::simulate(&settings, None, Some(&mut directory), &mut Silent).unwrap();
    drop(directory);
    let record = fs::read(whole.join("run.jsonl")).unwrap();
    let first = record.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    // Every byte would take long; every line's ends, and steps in between, with the rest of the folder as it was.
    let ends = record.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(index, _)| index);
    let cuts = ends.flat_map(|end| [end, end + 1, end + 2]).chain((first..record.len()).step_by(97));
    for cut in cuts.filter(|&cut| (first..=record.len()).contains(&cut)) {
        fs::write(whole.join("run.jsonl"), &record[..cut]).unwrap();
        let resumed = resume(&settings, &whole).unwrap();
        assert_eq!(essence(&resumed), essence(&undisturbed), "cut at {cut}");
        assert_eq!(resumed.epsilon(), undisturbed.epsilon(), "cut at {cut}");
    }
    let again = fs::read_to_string(whole.join("run.jsonl")).unwrap();
    assert_eq!(again.matches(r#""kind":"reserved""#).count(), 3, "no round is charged twice");
}

#[test]
fn a_folder_that_does_not_hold_what_it_should_is_refused_by_name() {
    let mut settings = settings(4, 2);
    settings.simulation.dropout = 0.0;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut directory = Directory::create(&path).unwrap();
    run::simulate(&settings, None, Some(&mut directory), &mut Silent).unwrap();
    let message = |result: Result<Summary, Error>| match result {
        Err(error @ Error::File { .. }) => error.to_string(),
        other => panic!("expected a file to be refused, got {other:?}"),
    };
    // Held by a process that is still at work, though it is this one.
    assert!(message(resume(&settings, &path)).contains("another process"));
    drop(directory);
    assert!(matches!(Directory::create(&path), Err(Error::File { .. })));

    let mut other = settings.clone();
    other.training.rounds = 3;
    assert!(message(resume(&other, &path)).contains("line 1"));

    let record = fs::read_to_string(path.join("run.jsonl")).unwrap();
    fs::write(path.join("run.jsonl"), record.replacen(r#"{"kind":"reserved""#, r#"{"kind":"reserve""#, 1)).unwrap();
    assert!(message(resume(&settings, &path)).contains("run.jsonl: line 2"));
    fs::write(path.join("run.jsonl"), &record).unwrap();

    let checkpoints = path.join("checkpoints");
    fs::copy(checkpoints.join("round-00001.safetensors"), checkpoints.join("round-00002.safetensors")).unwrap();
    assert!(message(resume(&settings, &path)).contains("round-00002.safetensors"));
    fs::write(checkpoints.join("round-00002.safetensors"), b"no model").unwrap();
    assert!(message(resume(&settings, &path)).contains("round-00002.safetensors"));
    assert!(message(resume(&settings, folder.path())).contains("run.jsonl"));
}
