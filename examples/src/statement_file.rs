use nexus_circuits::reference::{Clip, FixedPoint, Loss, Schedule, Shape, TrainingPlan};
use nexus_circuits::training::{DataCommitment, Statement};
use nexus_federated::model::Model;
use nexus_zk::pcs::MAX_VARIABLES;
use serde::{Deserialize, Serialize};

use crate::{FileError, ProofKind};

/// `statement.toml`: what a proof of training says, but for the start model and the data's commitment.
///
/// Every key is required, `[clip]` excepted: without it nothing is said about an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementFile {
    /// Version of the file, [`Self::VERSION`].
    pub version: u32,
    /// Whether the proof hides what it is about.
    pub proof: ProofKind,
    /// Where the proof belongs; it holds nowhere else.
    pub session: String,
    /// Public randomness from after the data's registration; the order of the batches comes from it.
    #[serde(with = "hex::serde")]
    pub beacon: [u8; 32],
    /// What is trained.
    pub model: Network,
    /// How it is trained.
    pub training: Steps,
    /// The clip of the update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<Clipping>,
}

/// A network and its integers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// What enters, and the layers.
    pub shape: Shape,
    /// Widths of the integers that stand for reals.
    pub format: FixedPoint,
}

/// Steps of mini-batch SGD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// Examples a step, a power of two.
    pub batch: usize,
    /// What is minimised.
    pub loss: Loss,
    /// Steps in all.
    pub steps: usize,
    /// The learning rate is 2 to the minus this.
    pub rate_shift: i32,
}

/// The bound of an update, in its own integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clipping {
    /// The greatest ℓ₂ norm, in units of the update's entries.
    pub bound: u64,
    /// Fractional bits of a weight that an entry of the update drops.
    pub dropped_bits: u32,
}

impl StatementFile {
    /// The version that is written and read.
    pub const VERSION: u32 = 2;

    /// What the programs put before a session's text.
    const SESSION: &'static [u8] = b"prove-training:";

    // What a file may ask a verifier to allocate for, before it is known whether it makes a statement.
    const MAX_SESSION: usize = 1 << 10;
    const MAX_PARAMETERS: usize = 1 << 24;
    const MAX_ROWS: usize = 1 << 22;
    const MAX_LAYER_STEPS: usize = 1 << 18;
    const MAX_PRODUCTS: usize = 1 << 28;
    const MAX_EXAMPLES: usize = 1 << 22;
    const MAX_DATA_BYTES: usize = 1 << 26;

    /// The session as a proof's transcript has it.
    pub fn session(&self) -> Vec<u8> {
        [Self::SESSION, self.session.as_bytes()].concat()
    }

    /// The statement about this start model and this data.
    ///
    /// # Errors
    /// [`FileError::OutOfRange`] for an unknown version, data of more than one copy, or sizes beyond what is handled here;
    /// [`FileError::Statement`] for whatever else does not fit together.
    pub fn statement(&self, start: &Model, data: &DataCommitment) -> Result<Statement, FileError> {
        self.check()?;
        // Copies would have to be shown to be equal, and there is no file for that.
        range("the number of copies of the data", data.rounds(), 1, 1)?;
        range("the number of examples", data.examples(), 1, Self::MAX_EXAMPLES)?;
        let bytes = data.examples().saturating_mul(data.features().saturating_add(1));
        range("the bytes of all examples", bytes, 1, Self::MAX_DATA_BYTES)?;
        let Network { shape, format } = &self.model;
        let Steps { batch, loss, steps, rate_shift } = self.training;
        let refused = |error| FileError::statement(&error);
        let plan = TrainingPlan::with_loss(shape.clone(), *format, loss, batch, steps, rate_shift).map_err(refused)?;
        let clip = self.clip.map(|Clipping { bound, dropped_bits }| Clip::new(bound, dropped_bits, shape.parameters()));
        let clip = clip.transpose().map_err(refused)?;
        let seed = Schedule::seed(&self.beacon, &data.digest(), 0, 0);
        let statement = Statement::new(plan, start.weights().clone(), data.clone(), 0, seed, clip);
        let statement = statement.map_err(|error| FileError::statement(&error))?;
        range("the base-two logarithm of the committed entries", statement.variables(), 0, MAX_VARIABLES)?;
        Ok(statement)
    }

    /// Checks what allocations depend on.
    pub(crate) fn check(&self) -> Result<(), FileError> {
        range("the version", self.version as usize, Self::VERSION as usize, Self::VERSION as usize)?;
        range("the bytes of the session", self.session.len(), 0, Self::MAX_SESSION)?;
        let shape = &self.model.shape;
        let Steps { batch, steps, .. } = self.training;
        range("the number of parameters", shape.parameters(), 1, Self::MAX_PARAMETERS)?;
        range("steps × batch", steps.saturating_mul(batch), 1, Self::MAX_ROWS)?;
        range("steps × layers", steps.saturating_mul(shape.depth()), 1, Self::MAX_LAYER_STEPS)?;
        let products = shape.layers().map(|layer| layer.inputs.saturating_mul(layer.output().positions()));
        let products = products.fold(0, usize::saturating_add);
        range("the products of an example for one channel", products, 1, Self::MAX_PRODUCTS)?;
        let values = shape.layers().map(|layer| layer.output().len()).fold(0, usize::saturating_add);
        let values = values.saturating_mul(steps.saturating_mul(batch));
        range("steps × batch × values of the layers", values, 1, 1 << MAX_VARIABLES)?;
        // A proof commits to an entry at least for every change of every parameter.
        range("steps × parameters", steps.saturating_mul(shape.parameters()), 1, 1 << MAX_VARIABLES)
    }
}

fn range(field: &'static str, value: usize, min: usize, max: usize) -> Result<(), FileError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(FileError::OutOfRange { field, value, min, max }) }
}

#[cfg(test)]
mod tests {
    use nexus_circuits::reference::{Examples, Weights};
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn file() -> StatementFile {
        StatementFile {
            version: StatementFile::VERSION,
            proof: ProofKind::Transparent,
            session: "a \"session\"\n".into(),
            beacon: [0xab; 32],
            model: Network { shape: "2-3-2".parse().unwrap(), format: FixedPoint::V1 },
            training: Steps { batch: 8, loss: Loss::SquaredError, steps: 3, rate_shift: -1 },
            clip: Some(Clipping { bound: 1000, dropped_bits: 4 }),
        }
    }

    fn data(copies: usize) -> DataCommitment {
        let examples = Examples::new(&[1, 2, 3, 4], &[0, 1], 2).unwrap();
        DataCommitment::new(examples, copies, b"", &mut ChaCha20Rng::seed_from_u64(1)).unwrap().0
    }

    fn zeros(file: &StatementFile) -> Model {
        Model::new(Weights::zeros(&file.model.shape), file.model.format)
    }

    #[test]
    fn a_statement_survives_its_file() {
        for clip in [None, file().clip] {
            let file = StatementFile { clip, ..file() };
            assert_eq!(toml::from_str::<StatementFile>(&toml::to_string(&file).unwrap()).unwrap(), file);
        }
    }

    #[test]
    fn a_key_that_is_unknown_or_missing_is_refused() {
        let text = toml::to_string(&file()).unwrap();
        let read = |text: &str| toml::from_str::<StatementFile>(text);
        assert!(read(&format!("extra = 1\n{text}")).is_err());
        for line in text.lines().filter(|line| line.contains(" = ")) {
            assert!(read(&text.replace(&format!("{line}\n"), "")).is_err(), "{line}");
        }
    }

    #[test]
    fn data_of_several_copies_is_refused() {
        let file = file();
        assert!(file.statement(&zeros(&file), &data(1)).is_ok());
        let error = file.statement(&zeros(&file), &data(2)).unwrap_err();
        assert!(matches!(error, FileError::OutOfRange { value: 2, max: 1, .. }), "{error}");
    }

    #[test]
    fn sizes_that_would_fill_the_memory_are_refused_by_name() {
        let refused = |shape: &str, batch, steps| {
            let model = Network { shape: shape.parse().unwrap(), ..file().model };
            let file = StatementFile {
                model,
                training: Steps { batch, loss: Loss::SquaredError, steps, rate_shift: 1 },
                ..file()
            };
            match file.check() {
                Err(FileError::OutOfRange { field, .. }) => field,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(refused("16384-2048", 1, 1), "the number of parameters");
        assert_eq!(refused("2-2", 1 << 16, 1 << 16), "steps × batch");
        assert_eq!(refused("2-2", usize::MAX, usize::MAX), "steps × batch");
        assert_eq!(refused("1-1-1-1-1-1-1-1-1", 1, 1 << 16), "steps × layers");
        assert_eq!(refused("1000-1000", 1, 1000), "steps × parameters");
        assert_eq!(refused("2-2", 0, 1), "steps × batch");
        assert_eq!(refused("2048x2048x1-1c16-2", 1, 1), "the products of an example for one channel");
        assert_eq!(refused("256x256x1-4c1-2", 1 << 10, 1), "steps × batch × values of the layers");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_file_makes_the_statement_panic(
            widths in proptest::collection::vec(1usize..40, 0..4),
            widths_of_integers in prop_oneof![
                4 => Just([24, 20, 16, 12]),
                1 => proptest::array::uniform4(8u32..32),
                1 => proptest::array::uniform4(any::<u32>()),
            ],
            log_batch in 0u32..14,
            steps in prop_oneof![4 => 1usize..100, 1 => any::<usize>()],
            rate_shift in prop_oneof![4 => -4i32..24, 1 => any::<i32>()],
            loss in prop_oneof![Just(Loss::SquaredError), Just(Loss::CrossEntropy)],
            clip in proptest::option::of((prop_oneof![4 => 1u64..1 << 20, 1 => any::<u64>()], 0u32..30)),
        ) {
            let [weight_bits, weight_fraction, activation_bits, activation_fraction] = widths_of_integers;
            let format = FixedPoint { weight_bits, weight_fraction, activation_bits, activation_fraction };
            let widths: Vec<usize> = [2].into_iter().chain(widths).chain([2]).collect();
            let file = StatementFile {
                model: Network { shape: Shape::new(&widths).unwrap(), format },
                training: Steps { batch: 1 << log_batch, loss, steps, rate_shift },
                clip: clip.map(|(bound, dropped_bits)| Clipping { bound, dropped_bits }),
                ..file()
            };
            if let Ok(statement) = file.statement(&zeros(&file), &data(1)) {
                prop_assert!(statement.security_report().is_ok_and(|report| report.bits() > 100.0));
            }
        }
    }
}
