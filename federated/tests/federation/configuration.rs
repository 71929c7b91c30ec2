//! Every bound, alone and together with the others, and what the configuration's hash binds.

use std::collections::BTreeMap;

use nexus_federated::config::TrainingProof;
use nexus_federated::config::{DataSource, Mechanism, Protection, RoundConfig, Settings};
use nexus_federated::data::Partition;
use nexus_federated::simulation::Simulation;
use nexus_federated::{ConfigError, Error, Hash};

type Change = fn(&mut Settings);

fn build(settings: &Settings) -> Result<RoundConfig, Error> {
    RoundConfig::build(settings, 64, 10)
}

fn refused(settings: &Settings) -> ConfigError {
    match build(settings) {
        Err(Error::Config(error)) => error,
        other => panic!("expected a refused setting, got {other:?}"),
    }
}

fn hash(change: impl FnOnce(&mut Settings)) -> Hash {
    let mut settings = Settings::default();
    change(&mut settings);
    build(&settings).expect("a changed setting that is allowed").hash()
}

/// Refuses each of `values`, naming `field` and the value as it is written.
fn expect_refusals<T: ToString + Copy>(field: &str, values: &[T], set: fn(&mut Settings, T)) {
    for &value in values {
        let mut settings = Settings::default();
        set(&mut settings, value);
        let error = refused(&settings);
        assert_eq!((error.field, error.value.as_str()), (field, value.to_string().as_str()), "{error}");
        assert!(!error.allowed.trim().is_empty(), "{error}");
    }
}

/// Accepts each of `values`.
fn expect_accepted<T: ToString + Copy>(values: &[T], set: fn(&mut Settings, T)) {
    for &value in values {
        let mut settings = Settings::default();
        set(&mut settings, value);
        assert!(build(&settings).is_ok(), "{}: {:?}", value.to_string(), build(&settings).err());
    }
}

const NO_NUMBERS: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

#[test]
fn a_count_out_of_range_is_named_with_its_value() {
    expect_refusals("training.clients", &[0, 1, 2, RoundConfig::MAX_CLIENTS + 1, usize::MAX], |s, v| {
        s.training.clients = v;
    });
    expect_refusals("training.rounds", &[0, RoundConfig::MAX_ROUNDS + 1, u32::MAX], |s, v| s.training.rounds = v);
    expect_refusals("training.steps", &[0, (1 << 16) + 1, usize::MAX], |s, v| s.training.steps = v);
    expect_refusals("training.batch", &[0, 3, 24, (1 << 16) + 1, 1 << 17, usize::MAX], |s, v| s.training.batch = v);
    // base = 8 + 12 − 20 + log₂ 16 = 4, and the shift base + rate_shift is to be 1 to 62.
    expect_refusals("training.rate_shift", &[i32::MIN, -4, 59, i32::MAX], |s, v| s.training.rate_shift = v);
    expect_accepted(&[-3, 0], |s, v| s.training.rate_shift = v);
    expect_refusals("privacy.fraction_bits", &[0, 21, u32::MAX], |s, v| s.privacy.fraction_bits = v);
    expect_refusals("aggregation.phase_timeout_ms", &[0, 86_400_001, u64::MAX], |s, v| {
        s.aggregation.phase_timeout_ms = v;
    });
    expect_accepted(&[3, 4, 200], |s, v| s.training.clients = v);
    expect_accepted(&[1, 4_096], |s, v| s.training.rounds = v);
    expect_refusals("training.rounds", &[4_097], |s, v| s.training.rounds = v);
    // A data commitment has no copy for more, but without proofs none is needed.
    expect_accepted(&[4_097, RoundConfig::MAX_ROUNDS], |s, v| {
        s.training.proof = TrainingProof::None;
        s.training.rounds = v;
    });
    expect_accepted(&[1, 86_400_000], |s, v| s.aggregation.phase_timeout_ms = v);
}

#[test]
fn a_real_out_of_range_or_not_a_number_is_named_with_its_value() {
    let with = |values: &[f64]| [&NO_NUMBERS, values].concat();
    expect_refusals("privacy.clip", &with(&[0.0, -0.3, 1e-9, 1e9, f64::MAX]), |s, v| s.privacy.clip = v);
    expect_refusals("privacy.noise_multiplier", &with(&[0.0, -1.0, 1e-300, 1e7]), |s, v| {
        s.privacy.noise_multiplier = v;
    });
    expect_refusals("privacy.epsilon", &with(&[0.0, -1.0, 1000.1]), |s, v| s.privacy.epsilon = v);
    expect_refusals("privacy.delta", &with(&[0.0, -1e-5, 1.1e-5, 0.01, 0.1, 1.0]), |s, v| s.privacy.delta = v);
    expect_refusals("simulation.dropout", &with(&[-0.1, 1.000_001]), |s, v| s.simulation.dropout = v);
    expect_accepted(&[0.0, 1.0], |s, v| s.simulation.dropout = v);
    expect_accepted(&[1e-5, 1e-9], |s, v| s.privacy.delta = v);
    expect_accepted(&[0.01, 1000.0], |s, v| s.privacy.epsilon = v);
}

#[test]
fn a_width_out_of_range_is_named_with_its_value() {
    expect_refusals("model.format.weight_bits", &[0, 7, 32], |s, v| s.model.format.weight_bits = v);
    expect_refusals("model.format.weight_fraction", &[0, 24, u32::MAX], |s, v| s.model.format.weight_fraction = v);
    expect_refusals("model.format.activation_bits", &[0, 7, 32], |s, v| s.model.format.activation_bits = v);
    expect_refusals("model.format.activation_fraction", &[0, 16, u32::MAX], |s, v| {
        s.model.format.activation_fraction = v;
    });
}

#[test]
fn the_cohort_s_numbers_bound_each_other() {
    // 100 clients: threshold ⌊200/3⌋ + 1 = 67 at least, and 2·67 > 100 + c leaves c ≤ 33.
    expect_refusals("aggregation.threshold", &[0, 66, 101, usize::MAX], |s, v| s.aggregation.threshold = Some(v));
    expect_refusals("aggregation.min_survivors", &[0, 66, 101, usize::MAX], |s, v| {
        s.aggregation.min_survivors = Some(v);
    });
    expect_refusals("aggregation.max_corrupt", &[34, usize::MAX], |s, v| s.aggregation.max_corrupt = Some(v));
    expect_accepted(&[67, 100], |s, v| s.aggregation.threshold = Some(v));
    expect_accepted(&[67, 100], |s, v| s.aggregation.min_survivors = Some(v));
    expect_accepted(&[0, 33], |s, v| s.aggregation.max_corrupt = Some(v));
    expect_refusals("aggregation.min_survivors", &[79], |s, v| {
        s.aggregation.threshold = Some(80);
        s.aggregation.min_survivors = Some(v);
    });
    // Three clients: 2·3 > 3 + c would allow two corrupt ones, but two honest ones must remain.
    expect_refusals("aggregation.max_corrupt", &[2], |s, v| {
        s.training.clients = 3;
        s.aggregation.max_corrupt = Some(v);
    });
}

#[test]
fn every_cohort_s_defaults_are_accepted_by_secure_aggregation() {
    let mut settings = Settings::default();
    settings.privacy.clip = 0.05;
    for clients in 3..=RoundConfig::MAX_CLIENTS {
        settings.training.clients = clients;
        let config = build(&settings).unwrap_or_else(|error| panic!("{clients} clients: {error}"));
        assert!(2 * config.threshold() > clients + config.max_corrupt(), "{clients} clients");
        assert!(config.min_survivors() >= config.threshold().max(config.max_corrupt() + 2), "{clients} clients");
        assert!(config.min_survivors() <= clients, "{clients} clients");
    }
}

#[test]
fn a_shape_that_does_not_fit_the_data_is_refused() {
    for (shape, end) in [("63-10", "begins with 64"), ("65-10", "begins with 64"), ("64-9", "ends with 10")] {
        let mut settings = Settings::default();
        settings.model.shape = shape.parse().unwrap();
        let error = refused(&settings);
        assert_eq!((error.field, error.value.as_str()), ("model.shape", shape));
        assert!(error.allowed.contains(end), "{error}");
    }
}

#[test]
fn a_shape_with_more_parameters_than_a_sum_may_have_is_refused() {
    let mut settings = Settings::default();
    settings.model.shape = "1024-131072".parse().unwrap();
    match RoundConfig::build(&settings, 1_024, 131_072) {
        Err(Error::Config(error)) => {
            assert_eq!((error.field, error.value.as_str()), ("model.shape", "1024-131072"));
            assert!(error.allowed.contains("134217728 parameters"), "{error}");
        }
        other => panic!("expected a refused shape, got {other:?}"),
    }
}

#[test]
fn a_modulus_too_small_for_the_clients_updates_and_noise_is_refused() {
    let least = build(&Settings::default()).unwrap().modulus_bits();
    expect_refusals("aggregation.modulus_bits", &[0, 1, 33, u32::MAX], |s, v| s.aggregation.modulus_bits = Some(v));
    for (bits, allowed) in [(least - 1, false), (least, true), (32, true)] {
        let mut settings = Settings::default();
        settings.aggregation.modulus_bits = Some(bits);
        match build(&settings) {
            Ok(config) => assert!(allowed && config.modulus_bits() == bits, "{bits} bits"),
            Err(Error::Config(error)) => {
                assert!(!allowed && error.field == "aggregation.modulus_bits", "{bits} bits: {error}");
                assert!(error.allowed.contains("100 clients"), "{error}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn the_modulus_leaves_one_bit_above_what_honest_clients_reach() {
    for mechanism in [Mechanism::DistributedGaussian, Mechanism::None] {
        for clients in [3, 4, 8, 100, 300] {
            let mut settings = Settings::default();
            settings.training.clients = clients;
            settings.privacy.mechanism = mechanism;
            let config = build(&settings).unwrap();
            let bound = config.entry_bound(clients);
            let half = 1 << (config.modulus_bits() - 1);
            assert!(2 * bound < half && half <= 4 * bound, "{clients} clients: ±{bound} in {half}");
        }
    }
}

#[test]
fn updates_that_32_bits_do_not_hold_are_refused_with_a_hint() {
    expect_refusals("training.clients", &[100, 256], |s, v| {
        s.training.clients = v;
        s.privacy.fraction_bits = 20;
        s.privacy.clip = 100.0;
    });
    let mut settings = Settings::default();
    (settings.privacy.fraction_bits, settings.privacy.clip) = (20, 100.0);
    let error = refused(&settings);
    assert!(error.allowed.contains("privacy.fraction_bits") && error.allowed.contains("privacy.clip"), "{error}");
    // Three clients' updates would fit, but not their noise; without noise they pass.
    settings.training.clients = 3;
    assert_eq!(refused(&settings).field, "training.clients");
    settings.privacy.mechanism = Mechanism::None;
    assert_eq!(build(&settings).unwrap().modulus_bits(), 31);
}

#[test]
fn a_clip_whose_squares_leave_the_field_is_refused() {
    expect_refusals("privacy.clip", &[200.0], |s, v| {
        s.privacy.fraction_bits = 20;
        s.privacy.clip = v;
    });
}

#[test]
fn noise_too_small_for_the_grid_is_refused() {
    // 80 survivors less 10 corrupt: one client's share is z·C/√70, and C is 19,660.
    let least = 1.5 * 70.0_f64.sqrt() / 19_660.0;
    for (multiplier, allowed) in [(0.999 * least, false), (1.001 * least, true)] {
        let mut settings = Settings::default();
        settings.privacy.noise_multiplier = multiplier;
        match build(&settings) {
            Ok(_) => assert!(allowed, "{multiplier}"),
            Err(Error::Config(error)) => {
                assert!(!allowed && error.field == "privacy.noise_multiplier", "{error}");
                assert_eq!(error.value, multiplier.to_string());
                assert!(error.allowed.contains("70 honest clients") && error.allowed.contains("1.5"), "{error}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn accumulators_that_lose_exactness_are_refused() {
    let refusal = |weight_bits, activation_bits, rate_shift| {
        let mut settings = Settings::default();
        settings.model.shape = "64-32-10".parse().unwrap();
        settings.model.format.weight_bits = weight_bits;
        settings.model.format.activation_bits = activation_bits;
        settings.training.rate_shift = rate_shift;
        refused(&settings)
    };
    // 33 rows · 2^19 · 2^30 > 2^53, 33 · 2^30 · 2^30 > p/2, and steps of up to 16 · 2^30 · 2^30 / 2^11 take weights beyond 2^31.
    let cases = [
        (refusal(31, 20, 12), "below 2^53"),
        (refusal(31, 31, 30), "within 9223372034707292160"),
        (refusal(31, 31, 3), "within 2147483647"),
    ];
    for (error, limit) in cases {
        assert_eq!(error.field, "model.format");
        assert!(error.value.contains("64-32-10") && error.allowed.contains(limit), "{error}");
    }
}

#[test]
fn a_share_kept_for_testing_and_a_split_out_of_range_are_refused_with_their_value() {
    let begin = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        let journal: std::sync::Arc<dyn nexus_mpc::journal::Journal> =
            std::sync::Arc::new(nexus_mpc::journal::MemoryJournal::new());
        match Simulation::new(&settings, None, &journal) {
            Err(Error::Data(error)) => error.to_string(),
            Err(other) => panic!("expected a data error, got {other}"),
            Ok(_) => panic!("expected a data error"),
        }
    };
    for value in [0.0, 1.0, -0.5, f64::NAN, f64::INFINITY] {
        let message = begin(&|settings| settings.data.test_fraction = value);
        assert!(message.contains(&value.to_string()), "{value}: {message}");
        let message = begin(&|settings| settings.data.split = Partition::Dirichlet { alpha: -value.abs() });
        assert!(message.contains(&(-value.abs()).to_string()), "{value}: {message}");
    }
    let message = begin(&|settings| settings.data.split = Partition::ByLabel { shards_per_client: 0 });
    assert!(message.contains('0'), "{message}");
}

#[test]
fn unknown_keys_and_misspelt_variants_are_refused() {
    let bad = [
        ("round = 3", "round"),
        ("[privcy]\nclip = 1.0", "privcy"),
        ("[data]\ntest_frac = 0.5", "test_frac"),
        ("[model]\nshapes = '64-10'", "shapes"),
        (
            "[model.format]\nweight_bits = 24\nweight_fraction = 20\nactivation_bits = 16\nactivation_fraction = 12\nx = 1",
            "x",
        ),
        ("[training]\nround = 3", "round"),
        ("[privacy]\nepsilons = 3.0", "epsilons"),
        ("[aggregation]\nmodulus = 3", "modulus"),
        ("[simulation]\nseeds = 3", "seeds"),
        ("[privacy]\nmechanism = 'gaussian'", "gaussian"),
        ("[privacy]\nmechanism = 'None'", "None"),
        ("[aggregation]\nprotect = 'sec-agg'", "sec-agg"),
        ("[data.source]\nkind = 'digit'", "digit"),
        ("[data.source]\nkind = 'digits'\npath = 'mine.csv'", "path"),
        ("[data.source]\nkind = 'mnist10k'\nclasses = 10", "classes"),
        ("[data.source]\nkind = 'csv'\npath = 'a.csv'\nmaximum = 16\nclasses = 10\nlabels = 'b'", "labels"),
        ("[data.source]\nkind = 'idx'\nimages = 'a'\nlabels = 'b'\nclasses = 10\nmaximum = 1", "maximum"),
        ("[data.split]\nkind = 'iid'\nalpha = 0.5", "alpha"),
        ("[data.split]\nkind = 'random'", "random"),
        ("[data.split]\nkind = 'dirichlet'\nalpha = 0.5\nshards_per_client = 2", "shards_per_client"),
        ("[training]\nclients = -1", "-1"),
        ("[training]\nclients = 1.5", "1.5"),
        ("[model]\nshape = '64-'", "64-"),
        ("[model]\nshape = '64'", "64"),
    ];
    for (text, culprit) in bad {
        match toml::from_str::<Settings>(text) {
            Ok(settings) => panic!("{text:?} was read as {settings:?}"),
            Err(error) => assert!(error.to_string().contains(culprit), "{text:?}: {error}"),
        }
    }
}

#[test]
fn sources_without_fields_are_read() {
    for (text, source) in [("digits", DataSource::Digits), ("mnist10k", DataSource::Mnist10k)] {
        let settings: Settings = toml::from_str(&format!("[data.source]\nkind = '{text}'")).unwrap();
        assert_eq!(
            settings,
            Settings {
                data: nexus_federated::config::DataSettings { source, ..settings.data.clone() },
                ..Settings::default()
            }
        );
    }
}

#[test]
fn settings_survive_toml() {
    let mut every = Settings::default();
    every.data.source = DataSource::Csv { path: "a b.csv".into(), maximum: 16, classes: 10 };
    every.data.split = Partition::ByLabel { shards_per_client: 2 };
    every.aggregation.threshold = Some(70);
    every.aggregation.min_survivors = Some(80);
    every.aggregation.max_corrupt = Some(0);
    every.aggregation.modulus_bits = Some(30);
    every.simulation.seed = i64::MAX as u64;
    every.simulation.dropout = 0.1 + 0.2;
    for settings in [Settings::default(), every] {
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<Settings>(&text).unwrap(), settings, "{text}");
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings, "{json}");
    }
    assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
}

#[test]
fn resolved_settings_make_the_same_configuration() {
    let settings = Settings::default();
    let config = build(&settings).unwrap();
    let resolved = config.resolved(&settings);
    assert_eq!(resolved.aggregation.threshold, Some(67));
    assert_eq!(resolved.aggregation.min_survivors, Some(80));
    assert_eq!(resolved.aggregation.max_corrupt, Some(10));
    assert_eq!(resolved.aggregation.modulus_bits, Some(config.modulus_bits()));
    let again = build(&resolved).unwrap();
    assert_eq!(again.hash(), config.hash());
    assert_eq!(again.resolved(&resolved), resolved);
}

#[test]
fn the_hash_is_of_the_documented_encoding() {
    // By Python's hashlib and struct from the default settings, 67 shares, 80 survivors, 10 corrupt, 24 bits.
    let expected = "768937248cf8d6c1e0e6cf3670a3400c3e7da57f09eb4c1a9116cbc7ef5d5e4f";
    assert_eq!(build(&Settings::default()).unwrap().hash().to_string(), expected);
}

#[test]
fn the_hash_binds_every_agreed_setting() {
    let changes: [(&str, Change); 23] = [
        ("nothing", |_| {}),
        ("model.shape", |s| s.model.shape = "64-12-10".parse().unwrap()),
        ("model.format.weight_bits", |s| s.model.format.weight_bits = 25),
        ("model.format.weight_fraction", |s| s.model.format.weight_fraction = 19),
        ("model.format.activation_bits", |s| s.model.format.activation_bits = 17),
        ("model.format.activation_fraction", |s| s.model.format.activation_fraction = 11),
        ("training.clients", |s| s.training.clients = 101),
        ("training.rounds", |s| s.training.rounds = 17),
        ("training.steps", |s| s.training.steps = 11),
        ("training.batch", |s| s.training.batch = 32),
        ("training.rate_shift", |s| s.training.rate_shift = 4),
        ("training.proof", |s| s.training.proof = TrainingProof::Transparent),
        ("no training.proof", |s| s.training.proof = TrainingProof::None),
        ("privacy.mechanism", |s| s.privacy.mechanism = Mechanism::None),
        ("privacy.noise_multiplier", |s| s.privacy.noise_multiplier = 3.0_f64.next_up()),
        ("privacy.clip", |s| s.privacy.clip = 0.3_f64.next_up()),
        ("privacy.fraction_bits", |s| s.privacy.fraction_bits = 15),
        ("privacy.epsilon", |s| s.privacy.epsilon = 8.0_f64.next_down()),
        ("privacy.delta", |s| s.privacy.delta = 1e-6),
        ("aggregation.protect", |s| s.aggregation.protect = Protection::Plain),
        ("aggregation.threshold", |s| s.aggregation.threshold = Some(68)),
        ("aggregation.min_survivors", |s| s.aggregation.min_survivors = Some(81)),
        ("aggregation.phase_timeout_ms", |s| s.aggregation.phase_timeout_ms = 60_001),
    ];
    let more: [(&str, Change); 3] = [
        ("other aggregation.protect", |s| s.aggregation.protect = Protection::ThresholdBfv),
        ("aggregation.max_corrupt", |s| s.aggregation.max_corrupt = Some(9)),
        ("aggregation.modulus_bits", |s| s.aggregation.modulus_bits = Some(32)),
    ];
    let mut seen = BTreeMap::new();
    for (name, change) in changes.into_iter().chain(more) {
        if let Some(other) = seen.insert(hash(change), name) {
            panic!("{name} and {other} have the same hash");
        }
    }
}

#[test]
fn encryption_has_a_ring_of_128_bits_for_whatever_is_configured() {
    let layout = |change: Change| {
        let mut settings = Settings::default();
        settings.aggregation.protect = Protection::ThresholdBfv;
        change(&mut settings);
        build(&settings).unwrap().layout().expect("a layout").clone()
    };
    let usual = layout(|_| {}).to_string();
    assert!(usual.starts_with("Ring of degree 4096, log2 Q = "), "{usual}");
    assert!(usual.contains("of 106 for 128 bits; values a coefficient: 1,"), "{usual}");
    for change in [
        (|s| s.training.clients = 3) as Change,
        |s| s.training.clients = RoundConfig::MAX_CLIENTS,
        |s| s.model.shape = "64-200-10".parse().unwrap(),
        |s| s.aggregation.modulus_bits = Some(32),
        |s| s.aggregation.threshold = Some(80),
    ] {
        assert!(layout(change).to_string().contains("for 128 bits"));
    }
    assert!(build(&Settings::default()).unwrap().layout().is_none());
}

#[test]
fn the_hash_leaves_out_what_only_a_simulation_has() {
    let base = hash(|_| {});
    let changes: [Change; 5] = [
        |s| s.simulation.seed = 2,
        |s| s.simulation.dropout = 0.7,
        |s| s.data.test_fraction = 0.4,
        |s| s.data.split = Partition::Iid,
        |s| s.data.source = DataSource::Mnist10k,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert_eq!(hash(change), base, "change {index}");
    }
}
