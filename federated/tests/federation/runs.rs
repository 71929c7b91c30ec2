//! Runs on disk that are cut off, changed or taken up again, and runs that are repeated.

use std::fs;
use std::path::Path;

use nexus_dp::account::{Delta, Rho};
use nexus_federated::attack::Attack;
use nexus_federated::config::{Mechanism, Settings, TrainingProof};
use nexus_federated::model::Model;
use nexus_federated::run::{self, Directory, Outcome, Record, Silent, Summary};
use nexus_federated::{Error, Hash, Round};
use tempfile::TempDir;

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.training.clients = 6;
    settings.training.rounds = 3;
    settings.training.steps = 2;
    settings.training.proof = TrainingProof::None;
    settings.simulation.dropout = 0.05;
    settings
}

fn simulate(directory: &mut Directory) -> Result<Summary, Error> {
    run::simulate(&settings(), None, Some(directory), &mut Silent)
}

/// A finished run in a folder of its own.
fn finished() -> (TempDir, Summary) {
    let folder = tempfile::tempdir().unwrap();
    let summary = simulate(&mut Directory::create(folder.path()).unwrap()).unwrap();
    assert_eq!(summary.outcome, Outcome::Done);
    (folder, summary)
}

fn record(folder: &Path) -> String {
    fs::read_to_string(folder.join("run.jsonl")).unwrap()
}

fn write(folder: &Path, text: &[u8]) {
    fs::write(folder.join("run.jsonl"), text).unwrap();
}

/// Round, model, contributors, accuracy and cost.
type Facts = (Round, Hash, usize, f64, Option<u64>, Option<f64>);

/// What does not depend on the clock.
fn facts(summary: &Summary) -> Vec<Facts> {
    let rounds = summary.rounds.iter();
    let facts = rounds.map(|record| {
        let report = &record.report;
        (report.round, report.model, report.contributors.len(), record.accuracy, record.spent, record.epsilon)
    });
    facts.collect()
}

fn same(one: &Summary, other: &Summary) {
    assert_eq!(facts(one), facts(other));
    assert_eq!((one.model, one.epsilon(), &one.outcome), (other.model, other.epsilon(), &other.outcome));
    assert_eq!((one.config, one.session), (other.config, other.session));
}

/// The reason for which a file is refused.
#[track_caller]
fn refused<T>(result: Result<T, Error>, file: &str) -> String {
    match result {
        Err(Error::File { path, reason }) => {
            assert!(path.ends_with(file), "{} is not {file}: {reason}", path.display());
            reason
        }
        Err(other) => panic!("expected a refused file, got {other}"),
        Ok(_) => panic!("expected a refused file"),
    }
}

#[test]
fn a_run_on_disk_is_the_run_in_memory_and_its_record_holds_it() {
    let (folder, summary) = finished();
    same(&run::simulate(&settings(), None, None, &mut Silent).unwrap(), &summary);
    let directory = Directory::open(folder.path()).unwrap();
    let mut expected = vec!["run"];
    expected.extend(["reserved", "round"].repeat(3));
    let kinds = directory.records().iter().map(|record| match record {
        Record::Run(_) => "run",
        Record::Reserved { .. } => "reserved",
        Record::Round(_) => "round",
    });
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
    let rounds: Vec<_> = directory
        .records()
        .iter()
        .filter_map(|record| if let Record::Round(round) = record { Some(round.as_ref().clone()) } else { None })
        .collect();
    assert_eq!(rounds, summary.rounds);
    assert_eq!(directory.header().unwrap().settings, settings());
}

#[test]
fn a_finished_run_is_read_back_as_it_was() {
    let (folder, summary) = finished();
    let before = record(folder.path());
    let again = simulate(&mut Directory::open(folder.path()).unwrap()).unwrap();
    assert_eq!(again, summary);
    assert_eq!(record(folder.path()), before);
}

#[test]
fn a_folder_that_holds_a_run_is_not_begun_anew() {
    let (folder, _) = finished();
    let before = record(folder.path());
    assert!(refused(Directory::create(folder.path()), "run.jsonl").contains("holds a run already"));
    assert_eq!(record(folder.path()), before);
}

#[test]
fn a_folder_without_a_run_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refused(Directory::open(folder.path()), "run.jsonl").contains("expected the record of a run"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let held = Directory::create(folder.path()).unwrap();
    assert!(refused(Directory::open(folder.path()), "run.jsonl").contains("another process is at work"));
    drop(held);
    let (folder, _) = finished();
    let held = Directory::open(folder.path()).unwrap();
    assert!(refused(Directory::open(folder.path()), "run.jsonl").contains("another process is at work"));
    drop(held);
    Directory::open(folder.path()).expect("the lock goes with its holder");
}

#[test]
fn a_last_line_cut_anywhere_is_removed() {
    let (folder, _) = finished();
    let whole = record(folder.path()).into_bytes();
    let records = Directory::open(folder.path()).unwrap().records().to_vec();
    let last = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for cut in last..whole.len() {
        write(folder.path(), &whole[..cut]);
        let directory = Directory::open(folder.path()).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        assert_eq!(directory.records(), &records[..6], "cut at {cut}");
        assert_eq!(record(folder.path()).as_bytes(), &whole[..last], "cut at {cut}");
    }
    write(folder.path(), &whole);
    assert_eq!(Directory::open(folder.path()).unwrap().records(), records);
}

/// After any line and within any line, as if the process was killed there.
#[test]
fn a_run_cut_off_anywhere_ends_as_an_undisturbed_one() {
    let (folder, undisturbed) = finished();
    let whole = record(folder.path());
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for kept in 1..lines.len() {
        for torn in [0, 1, lines[kept].len() / 2, lines[kept].len() - 1] {
            let text = lines[..kept].concat() + &lines[kept][..torn];
            write(folder.path(), text.as_bytes());
            let resumed = simulate(&mut Directory::open(folder.path()).unwrap()).unwrap();
            same(&resumed, &undisturbed);
            let records = Directory::open(folder.path()).unwrap().records().to_vec();
            assert_eq!(records.len(), lines.len(), "{kept} lines kept: nothing is charged twice");
            for (index, record) in records.iter().enumerate() {
                let reserved =
                    matches!(record, Record::Reserved { round, .. } if round.0 as usize == index.div_ceil(2));
                assert_eq!(reserved, index % 2 == 1, "line {}", index + 1);
            }
        }
    }
}

/// Cut off after a round, and after the charge of one; on one thread, as if on another machine.
#[test]
fn a_run_with_proofs_that_is_taken_up_again_gives_the_same_models_and_proofs() {
    let mut settings = settings();
    settings.training.clients = 4;
    settings.training.proof = TrainingProof::ZeroKnowledge;
    let folder = tempfile::tempdir().unwrap();
    let play = |directory: Result<Directory, Error>| {
        run::simulate(&settings, None, Some(&mut directory.unwrap()), &mut Silent).unwrap()
    };
    let proofs =
        |summary: &Summary| summary.rounds.iter().map(|record| record.report.proofs.clone()).collect::<Vec<_>>();
    let undisturbed = play(Directory::create(folder.path()));
    assert!(proofs(&undisturbed).iter().all(|proofs| proofs.len() >= 3), "who is in a sum has proven");
    let whole = record(folder.path());
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for kept in [3, 4] {
        write(folder.path(), lines[..kept].concat().as_bytes());
        // The journal knows the proofs of the rounds that are repeated, and would refuse others.
        let resumed = alone.install(|| play(Directory::open(folder.path())));
        same(&resumed, &undisturbed);
        assert_eq!(proofs(&resumed), proofs(&undisturbed), "{kept} lines kept");
    }
}

#[test]
fn a_charge_without_its_round_is_not_charged_again() {
    let (folder, undisturbed) = finished();
    let whole = record(folder.path());
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    // The run, round 1, and the charge of round 2.
    write(folder.path(), lines[..4].concat().as_bytes());
    let resumed = simulate(&mut Directory::open(folder.path()).unwrap()).unwrap();
    same(&resumed, &undisturbed);
    let after = record(folder.path());
    assert_eq!(after.lines().nth(3), whole.lines().nth(3), "the charge stands as it was written");
    let charges = after.lines().filter(|line| line.contains(r#""kind":"reserved","round":2,"#));
    assert_eq!(charges.count(), 1);
}

#[test]
fn an_attack_is_taken_up_again_only_once_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let play = |directory: Result<Directory, Error>| {
        run::simulate(&settings(), Some(Attack::Replay), Some(&mut directory.unwrap()), &mut Silent)
    };
    let whole = play(Directory::create(folder.path())).unwrap();
    assert_eq!(whole.caught(), Some(true));
    let text = record(folder.path());
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    // The run, and rounds 1 and 2: the replay is played and found.
    write(folder.path(), lines[..5].concat().as_bytes());
    same(&play(Directory::open(folder.path())).unwrap(), &whole);
    // The run and round 1: what the cheat kept of it is gone.
    write(folder.path(), lines[..3].concat().as_bytes());
    let folder_name = folder.path().file_name().unwrap().to_str().unwrap();
    assert!(refused(play(Directory::open(folder.path())), folder_name).contains("begin anew"));
}

#[test]
fn a_record_torn_within_its_first_line_is_refused() {
    let (folder, _) = finished();
    let whole = record(folder.path());
    let first = whole.find('\n').unwrap();
    for cut in [0, 1, first / 2, first] {
        write(folder.path(), &whole.as_bytes()[..cut]);
        let reason = refused(Directory::open(folder.path()), "run.jsonl");
        assert!(reason.contains("line 1") && reason.contains("begin anew"), "{reason}");
        assert_eq!(record(folder.path()).len(), cut, "what cannot be read is not touched");
    }
}

#[test]
fn a_broken_line_names_file_and_line() {
    let (folder, _) = finished();
    let whole = record(folder.path());
    for broken in 1..=7 {
        let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
        lines[broken - 1].truncate(10);
        write(folder.path(), (lines.join("\n") + "\n").as_bytes());
        let reason = refused(Directory::open(folder.path()), "run.jsonl");
        assert!(reason.starts_with(&format!("line {broken}: ")), "{reason}");
    }
    let unknown = whole.replacen(r#""kind":"reserved""#, r#""kind":"refunded""#, 1);
    write(folder.path(), unknown.as_bytes());
    assert!(refused(Directory::open(folder.path()), "run.jsonl").starts_with("line 2: "));
}

#[test]
fn lines_out_of_their_order_are_refused() {
    let (folder, _) = finished();
    let whole = record(folder.path());
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    // Without a charge, without a round, twice the same, a second run, rounds exchanged.
    let orders: [(&[usize], usize); 6] = [
        (&[0, 2], 2),
        (&[0, 1, 3], 3),
        (&[0, 1, 2, 1, 2], 4),
        (&[0, 1, 2, 0], 4),
        (&[0, 3, 4, 1, 2], 2),
        (&[0, 1, 2, 5, 6], 4),
    ];
    for (order, line) in orders {
        let text: String = order.iter().map(|&index| lines[index]).collect();
        write(folder.path(), text.as_bytes());
        let reason = refused(Directory::open(folder.path()), "run.jsonl");
        assert!(reason.starts_with(&format!("line {line}: ")), "{order:?}: {reason}");
    }
}

#[test]
fn a_run_does_not_go_on_with_other_settings() {
    let (folder, _) = finished();
    let before = record(folder.path());
    let changes: [fn(&mut Settings); 4] = [
        |settings| settings.training.rounds = 4,
        |settings| settings.simulation.seed = 2,
        |settings| settings.privacy.epsilon = 9.0,
        |settings| settings.simulation.dropout = 0.5,
    ];
    for change in changes {
        let mut other = settings();
        change(&mut other);
        let mut directory = Directory::open(folder.path()).unwrap();
        let result = run::simulate(&other, None, Some(&mut directory), &mut Silent);
        assert!(refused(result, "run.jsonl").contains("other settings"));
    }
    let mut directory = Directory::open(folder.path()).unwrap();
    let attack = Some(nexus_federated::attack::Attack::Replay);
    let result = run::simulate(&settings(), attack, Some(&mut directory), &mut Silent);
    assert!(refused(result, "run.jsonl").contains("other settings"));
    assert_eq!(record(folder.path()), before);
}

#[test]
fn a_changed_checkpoint_is_refused() {
    const CHECKPOINT: &str = "round-00002.safetensors";
    let (folder, _) = finished();
    let whole = record(folder.path());
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let text = lines[..5].concat();
    let checkpoint = folder.path().join("checkpoints").join(CHECKPOINT);
    let good = fs::read(&checkpoint).unwrap();
    let resume = || {
        write(folder.path(), text.as_bytes());
        simulate(&mut Directory::open(folder.path()).unwrap())
    };

    // A model of another round, in its place.
    let plan_shape = settings().model.shape;
    let first = folder.path().join("checkpoints/round-00001.safetensors");
    let other = Model::load(&first, &plan_shape, settings().model.format).unwrap();
    other.save(&checkpoint).unwrap();
    let reason = refused(resume(), CHECKPOINT);
    assert!(reason.contains(&other.hash().to_string()) && reason.contains("the record's round 2"), "{reason}");

    // One bit of a weight: the last byte but one is of the last weight's exponent.
    for byte in [good.len() - 1, good.len() - 4] {
        let mut flipped = good.clone();
        flipped[byte] ^= 0x10;
        fs::write(&checkpoint, &flipped).unwrap();
        resume().map(drop).expect_err("another weight is another model");
    }
    for cut in [0, 7, 8, 100, good.len() - 1] {
        fs::write(&checkpoint, &good[..cut]).unwrap();
        refused(resume(), CHECKPOINT);
    }
    fs::remove_file(&checkpoint).unwrap();
    refused(resume(), CHECKPOINT);
    fs::write(&checkpoint, &good).unwrap();
    resume().expect("the true one is accepted");
}

#[test]
fn a_budget_that_holds_two_rounds_ends_the_run_after_two() {
    let mut settings = settings();
    settings.training.rounds = 5;
    settings.simulation.dropout = 0.0;
    let delta = Delta::new(settings.privacy.delta).unwrap();
    let free = run::simulate(&settings, None, None, &mut Silent).unwrap();
    let cost = free.rounds[0].spent.unwrap();
    let epsilon = |rounds: u64| Rho::from_units(rounds * cost).epsilon(delta);
    assert_eq!(free.epsilon(), Some(epsilon(5)));
    for held in 1..=4 {
        settings.privacy.epsilon = f64::midpoint(epsilon(held), epsilon(held + 1));
        let folder = tempfile::tempdir().unwrap();
        let mut directory = Directory::create(folder.path()).unwrap();
        let summary = run::simulate(&settings, None, Some(&mut directory), &mut Silent).unwrap();
        assert_eq!(summary.rounds.len() as u64, held);
        assert_eq!(summary.epsilon(), Some(epsilon(held)));
        assert!(summary.epsilon().unwrap() <= settings.privacy.epsilon);
        assert!(matches!(&summary.outcome, Outcome::BudgetExhausted(reason) if reason.contains("no further round")));
        drop(directory);
        // Taken up again, it is as spent as before.
        let mut directory = Directory::open(folder.path()).unwrap();
        let again = run::simulate(&settings, None, Some(&mut directory), &mut Silent).unwrap();
        assert_eq!(again, summary);
    }
}

#[test]
fn a_budget_that_holds_no_round_plays_none() {
    let mut settings = settings();
    settings.privacy.epsilon = 0.01;
    let summary = run::simulate(&settings, None, None, &mut Silent).unwrap();
    assert!(summary.rounds.is_empty() && summary.epsilon().is_none());
    assert!(matches!(summary.outcome, Outcome::BudgetExhausted(_)));
}

#[test]
fn a_run_without_noise_states_no_epsilon() {
    let mut settings = settings();
    settings.privacy.mechanism = Mechanism::None;
    let folder = tempfile::tempdir().unwrap();
    let mut directory = Directory::create(folder.path()).unwrap();
    let summary = run::simulate(&settings, None, Some(&mut directory), &mut Silent).unwrap();
    drop(directory);
    assert_eq!((summary.epsilon(), summary.local_sigma), (None, None));
    assert!(summary.rounds.iter().all(|record| record.spent.is_none()));
    let whole = record(folder.path());
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    write(folder.path(), lines[..4].concat().as_bytes());
    let mut directory = Directory::open(folder.path()).unwrap();
    same(&run::simulate(&settings, None, Some(&mut directory), &mut Silent).unwrap(), &summary);
}

#[test]
fn the_same_seed_gives_the_same_run_on_any_number_of_threads() {
    let with = |threads: usize, seed: u64| {
        let mut settings = settings();
        settings.simulation.seed = seed;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run::simulate(&settings, None, None, &mut Silent)).unwrap()
    };
    let (one, two) = (with(1, 1), with(2, 1));
    same(&one, &two);
    let left = |summary: &Summary| summary.rounds.iter().map(|record| record.report.left.clone()).collect::<Vec<_>>();
    assert_eq!(left(&one), left(&two));
    let other = with(2, 2);
    assert_ne!(other.model, one.model);
    assert_ne!(other.session, one.session);
    assert_eq!(other.config, one.config);
}
