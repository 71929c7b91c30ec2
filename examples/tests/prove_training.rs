//! `prove-training` and `verify-training` as a user runs them: exit codes, files, and what becomes of changed files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nexus_circuits::reference::{Examples, FixedPoint};
use nexus_circuits::training::DataCommitment;
use nexus_federated::model::Model;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::Value;
use tempfile::TempDir;

const SMALL: [&str; 8] = ["--model", "64-10", "--examples", "40", "--batch", "4", "--steps", "3"];
const STATEMENT: &str = "statement.toml";
const START: &str = "start.bin";
const DATA: &str = "data.commitment";
const PROOF: &str = "proof.bin";

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("the program starts")
}

fn prove(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_prove-training"), arguments)
}

fn verify(arguments: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_verify-training"), arguments)
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is UTF-8")
}

/// Public files of a small proof, the private ones gone.
struct Folder {
    _parent: TempDir,
    path: PathBuf,
    proven: Value,
}

impl Folder {
    fn new(arguments: &[&str]) -> Self {
        let parent = tempfile::tempdir().expect("a folder");
        let path = parent.path().join("out");
        let output = prove(&[&SMALL[..], arguments, &["--json", "--out", text(&path)]].concat());
        assert_eq!(code(&output), 0, "{}", message(&output));
        fs::remove_dir_all(path.join("private")).expect("a private folder");
        Self { _parent: parent, path, proven: json(&output) }
    }

    fn verify(&self) -> Output {
        verify(&[text(&self.path), "--json"])
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path.join(name)).expect("a public file")
    }

    /// The exit code of verification while a file has other bytes.
    fn code_with(&self, name: &str, bytes: &[u8]) -> i32 {
        let honest = self.read(name);
        fs::write(self.path.join(name), bytes).expect("a file");
        let output = self.verify();
        fs::write(self.path.join(name), honest).expect("a file");
        code(&output)
    }

    /// The same with a piece of the statement's file replaced.
    fn code_with_statement(&self, from: &str, to: &str) -> i32 {
        let honest = String::from_utf8(self.read(STATEMENT)).expect("UTF-8");
        assert_eq!(honest.matches(from).count(), 1, "{from} in\n{honest}");
        self.code_with(STATEMENT, honest.replace(from, to).as_bytes())
    }
}

#[test]
fn a_zero_knowledge_proof_verifies_from_its_public_files_alone() {
    let folder = Folder::new(&["--clip", "0.05", "--session", "round 7"]);
    let output = folder.verify();
    assert_eq!(code(&output), 0, "{}", message(&output));
    let (proven, verified) = (&folder.proven, json(&output));
    assert_eq!(verified["verified"], true);
    assert_eq!(verified["statement"], proven["statement"], "prover and verifier speak of one statement");
    let statement = &verified["statement"];
    assert_eq!(statement["proof"], "zero-knowledge");
    assert_eq!(statement["session"], "round 7");
    assert_eq!((&statement["examples"], &statement["features"]), (&40.into(), &64.into()));
    assert_eq!((&statement["batch"], &statement["steps"]), (&4.into(), &3.into()));
    assert_eq!(statement["clip"]["bound"], (0.05f64 * 65536.0).floor() as u64);
    assert!(statement["security"]["bits"].as_f64().is_some_and(|bits| bits >= 100.0), "{statement}");
    assert_eq!(verified["proof_bytes"], folder.read(PROOF).len());
    assert_eq!(proven["bytes"]["proof"], folder.read(PROOF).len());
    assert!(proven["milliseconds"]["prove"].as_f64().is_some_and(|ms| ms > 0.0));

    let words = verify(&[text(&folder.path)]);
    let words = String::from_utf8(words.stdout).expect("UTF-8");
    for part in ["VERIFIED", "zero-knowledge", "64-10", "40 labelled examples", "round 7", "Not shown"] {
        assert!(words.contains(part), "{part} in\n{words}");
    }
    let digest = statement["statement"].as_str().expect("a digest");
    assert_eq!(code(&verify(&[text(&folder.path), "--expect", digest])), 0);
    let other = verify(&[text(&folder.path), "--expect", &"00".repeat(32)]);
    assert_eq!(code(&other), 3);
    assert!(String::from_utf8_lossy(&other.stdout).starts_with("NOT VERIFIED"));
}

#[test]
fn a_transparent_proof_verifies_and_says_what_it_is() {
    let folder = Folder::new(&["--transparent"]);
    assert_eq!(code(&folder.verify()), 0);
    let words = String::from_utf8(verify(&[text(&folder.path)]).stdout).expect("UTF-8");
    assert!(words.contains("NOT zero-knowledge"), "{words}");
    assert_eq!(folder.code_with_statement("\"transparent\"", "\"zero-knowledge\""), 2);
    let mut bytes = folder.read(PROOF);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert_eq!(folder.code_with(PROOF, &bytes), 3);
}

#[test]
fn every_field_of_the_statement_that_is_changed_is_noticed() {
    let folder = Folder::new(&["--clip", "0.05", "--beacon", &"5a".repeat(32)]);
    // What still makes a statement is another statement, which the proof does not show; the rest makes none.
    for (from, to, expected) in [
        ("version = 2", "version = 1", 2),
        ("squared-error", "cross-entropy", 3),
        ("squared-error", "absolute-error", 2),
        ("zero-knowledge", "transparent", 2),
        ("zero-knowledge", "opaque", 2),
        ("standalone", "elsewhere", 3),
        ("beacon = \"5a", "beacon = \"5b", 3),
        ("beacon = \"5a", "beacon = \"", 2),
        ("shape = \"64-10\"", "shape = \"64-11\"", 2),
        ("shape = \"64-10\"", "shape = \"64-9-5\"", 2),
        ("weight_bits = 24", "weight_bits = 25", 3),
        ("weight_fraction = 20", "weight_fraction = 19", 3),
        ("activation_bits = 16", "activation_bits = 17", 3),
        ("activation_fraction = 12", "activation_fraction = 11", 3),
        ("batch = 4", "batch = 8", 3),
        ("batch = 4", "batch = 5", 2),
        ("steps = 3", "steps = 2", 3),
        ("steps = 3", "steps = -3", 2),
        ("rate_shift = 2", "rate_shift = 3", 3),
        ("bound = 3276", "bound = 3277", 3),
        ("bound = 3276", "bound = 0", 2),
        ("dropped_bits = 4", "dropped_bits = 5", 3),
        ("dropped_bits = 4", "dropped_bits = 24", 2),
        ("[clip]\nbound = 3276\ndropped_bits = 4\n", "", 3),
        ("[training]", "[schooling]", 2),
    ] {
        assert_eq!(folder.code_with_statement(from, to), expected, "{from} to {to}");
    }
    assert_eq!(code(&folder.verify()), 0, "and nothing else was wrong");
}

#[test]
fn another_start_model_or_other_data_is_noticed() {
    let folder = Folder::new(&[]);
    let start = folder.read(START);
    let shape = "64-10".parse().expect("a shape");
    let mut model = start.clone();
    for position in [0, start.len() - 4] {
        model[position] ^= 1;
        assert!(Model::from_bytes(&shape, FixedPoint::V1, &model).is_ok(), "still a model");
        assert_eq!(folder.code_with(START, &model), 3);
    }
    model[3] = 0x7f;
    assert_eq!(folder.code_with(START, &model), 2, "beyond the weights' width");
    assert_eq!(folder.code_with(START, &start[1..]), 2);
    assert_eq!(folder.code_with(START, &[&start[..], &[0]].concat()), 2);

    let data = folder.read(DATA);
    let last = data.len() - 1;
    for position in 0..data.len() {
        let mut changed = data.clone();
        changed[position] ^= 1;
        let got = folder.code_with(DATA, &changed);
        assert!(matches!(got, 2 | 3), "{got} at {position}");
    }
    assert_eq!(folder.code_with(DATA, &data[..last]), 2);
    // A commitment of somebody else's to as many examples.
    let (inputs, labels) = (vec![9; 40 * 64], vec![3; 40]);
    let examples = Examples::new(&inputs, &labels, 64).expect("whole rows");
    let commitment = |copies| {
        let rng = &mut ChaCha20Rng::seed_from_u64(3);
        DataCommitment::new(examples, copies, b"", rng).expect("a commitment").0.to_bytes()
    };
    assert_eq!(folder.code_with(DATA, &commitment(1)), 3);
    assert_eq!(folder.code_with(DATA, &commitment(2)), 2, "copies that nothing shows to be equal");
}

#[test]
fn a_proof_with_any_byte_changed_is_noticed() {
    let folder = Folder::new(&[]);
    let proof = folder.read(PROOF);
    let positions = (0..16).chain((16..proof.len()).step_by(proof.len() / 40)).chain([proof.len() - 1]);
    for position in positions {
        let mut changed = proof.clone();
        changed[position] ^= 0x40;
        let got = folder.code_with(PROOF, &changed);
        assert!(matches!(got, 2 | 3), "{got} at {position} of {}", proof.len());
    }
    for length in [0, 7, 8, 100, proof.len() / 2, proof.len() - 1] {
        let got = folder.code_with(PROOF, &proof[..length]);
        assert!(matches!(got, 2 | 3), "{got} for {length} bytes");
    }
    assert_eq!(folder.code_with(PROOF, &[&proof[..], &[0]].concat()), 2);
    // A proof of the same about the same, made elsewhere: another start of the same shape would do as well.
    let other = Folder::new(&[]);
    assert_eq!(folder.code_with(PROOF, &other.read(PROOF)), 3, "its commitment has other randomness");
}

#[test]
fn hostile_files_are_refused_without_a_panic() {
    let folder = Folder::new(&[]);
    for name in [STATEMENT, START, DATA, PROOF] {
        assert_eq!(folder.code_with(name, b""), 2, "{name} empty");
        assert_eq!(folder.code_with(name, &[0xff; 4096]), 2, "{name} of ones");
        let honest = folder.read(name);
        fs::remove_file(folder.path.join(name)).expect("a file");
        let output = folder.verify();
        assert_eq!(code(&output), 1, "{name} missing");
        assert!(message(&output).contains(name), "{}", message(&output));
        fs::write(folder.path.join(name), honest).expect("a file");
    }
    assert_eq!(folder.code_with(STATEMENT, "#".repeat(1 << 15).as_bytes()), 2, "too long");
    assert_eq!(folder.code_with(STATEMENT, "[".repeat(1 << 13).as_bytes()), 2, "nested");
    for (from, to) in [
        ("steps = 3", "steps = 65536"),
        ("batch = 4", "batch = 131072"),
        ("steps = 3", "steps = 9223372036854775807"),
        ("64-10", "64-1048576-10"),
        ("64-10", "1048576-255"),
    ] {
        assert_eq!(folder.code_with_statement(from, to), 2, "{to}");
    }
    assert_eq!(code(&verify(&["no-such-folder"])), 1);
    assert_eq!(code(&verify(&[])), 2);
}

#[test]
fn the_private_files_are_the_trained_model_and_its_update() {
    let parent = tempfile::tempdir().expect("a folder");
    let out = parent.path().join("out");
    let arguments = [&SMALL[..], &["--clip", "0.05", "--json", "--out", text(&out)]].concat();
    let proven = prove(&arguments);
    assert_eq!(code(&proven), 0, "{}", message(&proven));
    let shape = "64-10".parse().expect("a shape");
    let private = out.join("private");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&private).expect("a folder").permissions().mode();
        assert_eq!(mode & 0o077, 0, "its owner's alone");
    }
    let trained = Model::load(&private.join("model.safetensors"), &shape, FixedPoint::V1).expect("a model");
    let start = Model::from_bytes(&shape, FixedPoint::V1, &fs::read(out.join(START)).expect("a file"));
    let start = start.expect("a model");
    assert_ne!(trained, start);
    let update = fs::read(private.join("update.json")).expect("an update");
    let update: Value = serde_json::from_slice(&update).expect("JSON");
    let scale = update["scale"].as_i64().expect("a scale");
    let values: Vec<i64> = update["values"].as_array().expect("values").iter().map(|v| v.as_i64().unwrap()).collect();
    let expected = trained.weights().values().iter().zip(start.weights().values());
    let expected: Vec<i64> = expected.map(|(&t, &s)| i64::from(t - s) * scale / (1 << 24)).collect();
    assert_eq!(values, expected);
    assert!(values.iter().map(|v| v * v).sum::<i64>() <= 3276 * 3276);

    let again = prove(&arguments);
    assert_eq!(code(&again), 1, "a folder that is not empty is left alone");
    assert!(message(&again).contains("--force"));
    let forced = prove(&[&SMALL[..], &["--force", "--json", "--out", text(&out)]].concat());
    assert_eq!(code(&forced), 0, "{}", message(&forced));
    assert!(!private.join("update.json").exists(), "the update of another run is gone");
    assert_eq!(code(&verify(&[text(&out)])), 0);
}

#[test]
fn a_refused_setting_names_itself_and_leaves_no_folder() {
    let parent = tempfile::tempdir().expect("a folder");
    let (out, config) = (parent.path().join("out"), parent.path().join("training.toml"));
    for (settings, arguments, part) in [
        ("[training]\nstep = 3\n", &[][..], "step"),
        ("[model]\nshape = \"64-\"\n", &[], "64-"),
        ("[clip]\nnorm = nan\n", &[], "clip.norm"),
        ("[clip]\nnorm = 1.0\nfraction_bits = 21\n", &[], "clip.fraction_bits"),
        ("", &["--model", "63-10"], "63-10"),
        ("", &["--data", "mnist10k", "--model", "64-10"], "784"),
        ("", &["--examples", "0"], "data.examples"),
        ("", &["--examples", "1797"], "data.examples"),
        ("", &["--batch", "3"], "batch"),
        ("", &["--steps", "0"], "steps"),
        ("", &["--rate-shift", "-40"], "rate_shift"),
        ("", &["--beacon", "12"], "beacon"),
        ("", &["--clip", "-1"], "clip.norm"),
    ] {
        fs::write(&config, settings).expect("a file");
        let refused = prove(&[&["--config", text(&config), "--out", text(&out)], arguments].concat());
        assert_eq!(code(&refused), 2, "{settings}{arguments:?}: {}", message(&refused));
        assert!(message(&refused).contains(part), "{settings}{arguments:?}: {}", message(&refused));
        assert!(!out.exists());
    }
    assert_eq!(code(&prove(&SMALL)), 2, "--out is required");
}

#[test]
fn the_commented_settings_are_the_defaults() {
    let parent = tempfile::tempdir().expect("a folder");
    let config = parent.path().join("training.toml");
    let commented = include_str!("../training.toml");
    fs::write(&config, commented).expect("a file");
    let printed = prove(&["--print-config", "--config", text(&config)]);
    assert_eq!(code(&printed), 0, "{}", message(&printed));
    assert_eq!(printed.stdout, prove(&["--print-config"]).stdout);

    // What is commented out is understood too.
    let keys = ["[clip]", "norm =", "fraction_bits =", "examples =", "beacon ="];
    let every = keys.iter().fold(commented.to_owned(), |text, key| text.replace(&format!("# {key}"), key));
    fs::write(&config, every).expect("a file");
    let printed = prove(&["--print-config", "--config", text(&config)]);
    let text = String::from_utf8(printed.stdout).expect("UTF-8");
    for part in ["norm = 0.3", "fraction_bits = 16", "examples = 256", "beacon"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}
