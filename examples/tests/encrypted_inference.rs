//! `encrypted-inference` as a user runs it: exit codes, and what it prints.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_encrypted-inference");
    Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("the program starts")
}

fn refused(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(output.stdout.is_empty());
    message
}

#[test]
fn help_says_what_the_exit_codes_mean() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("--backend") && text.contains("5  the noise budget does not carry the network"), "{text}");
}

#[test]
fn settings_out_of_range_are_refused() {
    assert!(refused(&["--images", "0"], 2).contains("--images is 0, allowed is 1 to 359"));
    assert!(refused(&["--images", "360"], 2).contains("allowed is 1 to 359"));
    refused(&["--backend", "rot13"], 2);
}

#[test]
fn every_encrypted_digit_gets_the_class_of_the_clear_network() {
    let output = run(&["--images", "65", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let outcome: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let share = |value: &Value| value.as_f64().expect("a number");
    assert!(share(&outcome["clear_test_accuracy"]) > 0.95, "{outcome}");
    // A point is less than one of 65 images.
    assert!(share(&outcome["accuracy"]["encrypted_as_clear"]) > 0.99, "{outcome}");
    assert_eq!(outcome["encryption"]["backend"], "CKKS");
    assert!(share(&outcome["encryption"]["milliseconds"]["evaluate"]) > 0.0, "{outcome}");
    assert!(outcome["encryption"]["bytes"]["evaluation_key"].as_u64() > Some(1 << 20), "{outcome}");
}

#[test]
fn levels_that_do_not_carry_the_network_are_refused_by_name() {
    let message = refused(&["--levels", "3"], 5);
    assert!(message.contains("the network: levels 3 and 4"), "{message}");
    // More than a ring of this degree hides.
    let message = refused(&["--levels", "5"], 2);
    assert!(message.contains("128 bits of security allow at most 214"), "{message}");
    refused(&["--levels", "0"], 2);
}

#[cfg(not(feature = "tfhe"))]
#[test]
fn a_build_without_tfhe_says_so() {
    assert!(refused(&["--backend", "tfhe"], 2).contains("--features tfhe"));
}

#[cfg(feature = "tfhe")]
mod tfhe {
    use super::*;

    #[test]
    fn encrypted_digits_get_the_classes_of_the_quantised_network() {
        let output = run(&["--backend", "tfhe", "--images", "2", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let outcome: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let share = |value: &Value| value.as_f64().expect("a number");
        assert!(share(&outcome["clear_test_accuracy"]) > 0.95, "{outcome}");
        let encryption = &outcome["encryption"];
        assert!(share(&encryption["reference_test_accuracy"]) > 0.94, "{outcome}");
        assert!(encryption["bytes"]["upload"].as_u64() < Some(1000), "{outcome}");
        assert!(encryption["bytes"]["evaluation_key"].as_u64() > Some(1 << 26), "{outcome}");
        assert!(share(&encryption["milliseconds"]["evaluate"]) > 0.0, "{outcome}");
    }

    #[test]
    fn a_network_beyond_the_noise_budget_is_refused_by_name() {
        let message = refused(&["--backend", "tfhe", "--parameters", "coarse"], 5);
        assert!(message.contains("the noise budget does not carry"), "{message}");
        let message = refused(&["--backend", "tfhe", "--last-weight-bits", "8", "--activation-bits", "6"], 5);
        assert!(message.contains("a decryption of "), "{message}");
        assert!(refused(&["--backend", "tfhe", "--weight-bits", "9"], 2).contains("allowed is 2 to 8"));
    }
}
