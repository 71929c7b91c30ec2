//! `simulate` as a user runs it: exit codes, output, and going on after being killed.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn simulate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulate"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    simulate(arguments).output().expect("the program starts")
}

fn json(output: &Output) -> Value {
    assert!(output.status.code().is_some(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("one JSON document on standard output")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is UTF-8")
}

/// The parts of a result that time and machine must not change.
fn essence(result: &Value) -> (Value, Value, Vec<[Value; 4]>) {
    let rounds = result["rounds"].as_array().expect("rounds");
    let of_round = |round: &Value| ["model", "epsilon", "contributors", "proofs"].map(|field| round[field].clone());
    (result["model"].clone(), result["session"].clone(), rounds.iter().map(of_round).collect())
}

#[test]
fn a_run_killed_at_any_moment_and_resumed_ends_as_an_undisturbed_one() {
    let small = ["--clients", "16", "--rounds", "5", "--seed", "11", "--proof", "none", "--json"];
    killed_and_resumed(&small, &[0, 2, 5, 9, 14, 20, 27, 35, 44, 54]);
}

#[test]
fn a_run_with_proofs_killed_at_any_moment_and_resumed_ends_as_an_undisturbed_one() {
    let small = ["--clients", "4", "--rounds", "4", "--seed", "11", "--json"];
    killed_and_resumed(&small, &[0, 60, 150, 250]);
}

/// Each start is killed a little later after the record's next line, so that every phase of a round is hit.
fn killed_and_resumed(settings: &[&str], delays: &[u64]) {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("whole");
    let undisturbed = json(&output(&[settings, &["--no-comparison", "--out", text(&whole)]].concat()));
    let rounds = settings[3].parse().expect("the number of rounds");
    assert_eq!(undisturbed["rounds"].as_array().map(Vec::len), Some(rounds));

    let killed = folder.path().join("killed");
    let record = killed.join("run.jsonl");
    let lines = || std::fs::read_to_string(&record).map_or(0, |text| text.matches('\n').count());
    let mut resumptions = 0;
    for &delay in delays {
        let arguments = if resumptions == 0 { settings } else { &["--json"] };
        let place = if resumptions == 0 { "--out" } else { "--resume" };
        let before = lines();
        let mut child = simulate(&[arguments, &["--no-comparison", place, text(&killed)]].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let begun = Instant::now();
        while lines() < before + 1 && child.try_wait().expect("a child").is_none() {
            assert!(begun.elapsed() < Duration::from_mins(1), "no progress");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().ok(); // SIGKILL
        let status = child.wait().expect("a child");
        resumptions += 1;
        if status.success() {
            break;
        }
    }
    assert!(resumptions > 1, "the first start was not killed in time");
    let resumed = json(&output(&["--json", "--no-comparison", "--resume", text(&killed)]));
    assert_eq!(essence(&resumed), essence(&undisturbed));
    let page = std::fs::read_to_string(killed.join("report.html")).expect("a report");
    assert!(page.contains("A private training run") && page.contains("<svg"));
}

#[test]
fn an_encrypted_run_ends_as_one_under_masks_and_is_resumed_as_such() {
    let settings = ["--clients", "5", "--rounds", "2", "--proof", "none", "--no-comparison", "--json"];
    let folder = tempfile::tempdir().expect("a folder");
    let run = |kind: &str| {
        let out = folder.path().join(kind);
        json(&output(&[&settings[..], &["--aggregate", kind, "--out", text(&out)]].concat()))
    };
    let (masked, encrypted) = (run("secagg"), run("threshold-bfv"));
    let contributors = |result: &Value| essence(result).2.into_iter().map(|[_, _, who, _]| who).collect::<Vec<_>>();
    assert_eq!(contributors(&encrypted), contributors(&masked));
    assert_ne!(encrypted["config"], masked["config"]);
    assert_eq!(encrypted["settings"]["aggregation"]["protect"], "threshold-bfv");
    assert!(encrypted["encryption"].as_str().is_some_and(|ring| ring.contains("128 bits")), "{encrypted}");
    let page = std::fs::read_to_string(folder.path().join("threshold-bfv/report.html")).expect("a report");
    assert!(page.contains("homomorphically encrypted updates") && page.contains("Ring of degree 4096"));
    let resumed = json(&output(&["--json", "--no-comparison", "--resume", text(&folder.path().join("threshold-bfv"))]));
    assert_eq!(essence(&resumed), essence(&encrypted));
    assert_eq!(output(&["--aggregate", "no-such-kind"]).status.code(), Some(2));
}

#[test]
fn a_refused_setting_names_itself_and_exits_with_two() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("run.toml");
    for (settings, field) in [
        ("[privacy]\nclip = nan\n", "privacy.clip"),
        ("[training]\nclients = 2\n", "training.clients"),
        ("[aggregation]\nmodulus_bits = 8\n", "aggregation.modulus_bits"),
        ("[training]\nrunds = 3\n", "runds"),
        ("[model]\nshape = \"64-\"\n", "64-"),
        ("[training]\nproof = \"snark\"\n", "`zero-knowledge`, `transparent`, `none`"),
        ("[training]\nproof = true\n", "proof = true"),
        ("[training]\nrounds = 5000\n", "training.rounds"),
    ] {
        std::fs::write(&config, settings).expect("a file");
        let out = folder.path().join("out");
        let refused = output(&["--config", text(&config), "--out", text(&out)]);
        let message = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{settings}: {message}");
        assert!(message.contains(field), "{settings}: {message}");
        assert!(!out.exists(), "a refused run leaves no folder");
    }
    assert_eq!(output(&["--config", "no-such-file.toml"]).status.code(), Some(2));
    assert_eq!(output(&["--attack", "no-such-attack"]).status.code(), Some(2));
    assert_eq!(output(&["--proof", "no-such-proof"]).status.code(), Some(2));
    let unprovable = output(&["--proof", "none", "--attack", "skipped-step"]);
    assert_eq!(unprovable.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unprovable.stderr).contains("training.proof"));
}

#[test]
fn the_printed_settings_are_read_back_as_they_were() {
    let folder = tempfile::tempdir().expect("a folder");
    let printed = output(&["--print-config", "--clients", "30"]);
    assert_eq!(printed.status.code(), Some(0));
    let config = folder.path().join("run.toml");
    std::fs::write(&config, &printed.stdout).expect("a file");
    assert_eq!(output(&["--print-config", "--config", text(&config)]).stdout, printed.stdout);
}

#[test]
fn each_attack_is_caught_and_its_author_named_where_that_can_be_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = r#"{"party":{"client":1}}"#;
    let coordinator = r#"{"party":"coordinator"}"#;
    // What is proven does not matter to the first four, and one round is enough for the others.
    let quick: &[&str] = &["--clients", "12", "--rounds", "2", "--proof", "none"];
    let proven: &[&str] = &["--clients", "6", "--rounds", "1"];
    for (attack, settings, code, accused) in [
        ("overflow", quick, 3, client),
        ("replay", quick, 0, client),
        ("inconsistent-model", quick, 0, coordinator),
        ("double-release", quick, 0, coordinator),
        ("wrong-data", proven, 0, client),
        ("skipped-step", proven, 0, client),
        ("scaled-update", proven, 0, client),
        ("other-model", proven, 0, client),
        ("stolen-proof", proven, 0, client),
    ] {
        let out = folder.path().join(attack);
        let arguments = ["--no-comparison", "--json", "--attack", attack, "--out", text(&out)];
        let played = output(&[settings, &arguments].concat());
        assert_eq!(played.status.code(), Some(code), "{attack}: {}", String::from_utf8_lossy(&played.stderr));
        let result = json(&played);
        let incidents = result["rounds"]
            .as_array()
            .expect("rounds")
            .iter()
            .flat_map(|round| round["incidents"].as_array().expect("incidents").iter());
        let incidents: Vec<&Value> = incidents.collect();
        assert_eq!(incidents[0]["accused"].to_string(), accused, "{attack}");
        assert!(incidents.iter().all(|incident| incident["reason"].as_str().is_some_and(|why| !why.is_empty())));
    }
}

#[test]
fn the_kind_of_proof_is_chosen_by_a_flag_and_its_cost_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    for (kind, proofs) in [("zero-knowledge", 4), ("transparent", 4), ("none", 0)] {
        let out = folder.path().join(kind);
        let arguments = ["--clients", "4", "--rounds", "1", "--seed", "2", "--no-comparison", "--out", text(&out)];
        let played = output(&[&arguments[..], &["--proof", kind, "--json"]].concat());
        assert_eq!(played.status.code(), Some(0), "{kind}: {}", String::from_utf8_lossy(&played.stderr));
        let result = json(&played);
        assert_eq!(result["settings"]["training"]["proof"], kind);
        let round = &result["rounds"][0];
        assert_eq!(round["proofs"].as_array().map(Vec::len), Some(proofs), "{kind}: digests");
        let first = &round["phases"][0];
        assert_eq!(first["proofs"], proofs, "{kind}");
        let bytes = first["proof_bytes"].as_u64().expect("a number");
        let verify = first["verify_ms"].as_f64().expect("a number");
        assert_eq!((bytes > 10_000 * proofs as u64, verify > 0.0), (proofs > 0, proofs > 0), "{kind}");
        assert!(bytes < first["sent"].as_u64().expect("a number"), "{kind}: proofs are part of what is sent");
        assert!(std::fs::read_to_string(out.join("config.toml")).expect("settings").contains(kind));
    }
}

#[test]
fn what_a_proof_costs_is_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let printed = |kind| {
        let out = folder.path().join(kind);
        let arguments = ["--clients", "3", "--rounds", "1", "--no-comparison", "--out", text(&out), "--proof", kind];
        String::from_utf8(output(&arguments).stdout).expect("UTF-8")
    };
    let (with, without) = (printed("zero-knowledge"), printed("none"));
    assert!(with.contains("not bound to its proof yet"), "{with}");
    assert!(with.contains("A proof of training (zero-knowledge): ") && with.contains(" to verify"), "{with}");
    assert!(!without.contains("A proof of training"), "{without}");
    assert!(without.contains("nothing is proven"), "{without}");
}

#[test]
fn a_spent_budget_stops_the_run_with_its_own_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("run.toml");
    let settings = "[training]\nclients = 8\nrounds = 6\nproof = \"none\"\n[privacy]\nepsilon = 2.1\n";
    std::fs::write(&config, settings).expect("a file");
    let out = folder.path().join("out");
    let arguments = ["--no-comparison", "--json", "--config", text(&config)];
    let stopped = output(&[&arguments[..], &["--out", text(&out)]].concat());
    assert_eq!(stopped.status.code(), Some(5), "{}", String::from_utf8_lossy(&stopped.stderr));
    let result = json(&stopped);
    let rounds = result["rounds"].as_array().expect("rounds");
    assert_eq!(rounds.len(), 2);
    assert!(rounds[1]["epsilon"].as_f64().expect("a number") <= 2.1);
    // Going on does not help.
    assert_eq!(output(&["--no-comparison", "--resume", text(&out)]).status.code(), Some(5));
}

#[test]
fn a_folder_that_holds_a_run_is_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let arguments = ["--clients", "4", "--rounds", "1", "--proof", "none", "--no-comparison", "--out", text(&out)];
    assert_eq!(output(&arguments).status.code(), Some(0));
    let again = output(&arguments);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--resume"));
}

#[test]
fn the_commented_settings_are_the_defaults() {
    let commented = include_str!("../simulate.toml");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("run.toml");
    std::fs::write(&config, commented).expect("a file");
    let printed = output(&["--print-config", "--config", text(&config)]);
    assert_eq!(printed.status.code(), Some(0), "{}", String::from_utf8_lossy(&printed.stderr));
    assert_eq!(printed.stdout, output(&["--print-config"]).stdout);

    // What is commented out because it follows from other settings is right too.
    let resolved = String::from_utf8(printed.stdout).expect("UTF-8");
    for name in ["threshold", "min_survivors", "max_corrupt", "modulus_bits"] {
        let line = resolved.lines().find(|line| line.starts_with(name)).expect("a resolved setting");
        assert!(commented.contains(&format!("# {line} ")), "{line}");
    }
}
