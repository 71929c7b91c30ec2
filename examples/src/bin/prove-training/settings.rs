use clap::ValueEnum;
use nexus_circuits::reference::{Clip, FixedPoint, Loss, Shape};
use nexus_examples::{Clipping, Network, ProofKind, Steps};
use nexus_federated::data::{DataError, Dataset};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::arguments::Arguments;

/// Everything that a run can be told, as its TOML file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) session: String,
    pub(crate) proof: ProofKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) beacon: Option<String>,
    pub(crate) data: DataSettings,
    pub(crate) model: ModelSettings,
    pub(crate) training: TrainingSettings,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clip: Option<ClipSettings>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DataSettings {
    pub(crate) source: Source,
    pub(crate) test_fraction: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) examples: Option<usize>,
}

/// What is learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub(crate) enum Source {
    /// 1,797 hand-written digits of 8 × 8 pixels
    Digits,
    /// 10,000 MNIST digits of 28 × 28 pixels
    Mnist10k,
    /// Random bytes and labels that fit the model: nothing to learn, only to measure
    Synthetic,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ModelSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shape: Option<Shape>,
    pub(crate) format: FixedPoint,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TrainingSettings {
    pub(crate) batch: usize,
    pub(crate) loss: Loss,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) steps: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate_shift: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClipSettings {
    pub(crate) norm: f64,
    #[serde(default = "ClipSettings::fraction_bits")]
    pub(crate) fraction_bits: u32,
}

impl Source {
    /// How many random examples there are.
    const SYNTHETIC: usize = 64;

    /// The data; random ones are of `seed`, and fit `shape`.
    pub(crate) fn load(self, shape: &Shape, seed: u64) -> Result<Dataset, DataError> {
        match self {
            Self::Digits => Ok(Dataset::digits()),
            Self::Mnist10k => Ok(Dataset::mnist10k()),
            Self::Synthetic => {
                let (features, classes) = (shape.inputs(), shape.outputs());
                let mut rng = ChaCha20Rng::seed_from_u64(seed);
                // The split and the start model have the streams before.
                rng.set_stream(2);
                let mut inputs = vec![0; Self::SYNTHETIC * features];
                rng.fill_bytes(&mut inputs);
                let labels = (0..Self::SYNTHETIC).map(|example| (example % classes.min(256)) as u8).collect();
                Dataset::new("synthetic", inputs, labels, features, classes)
            }
        }
    }

    fn shape(self) -> Shape {
        let widths: &[usize] = match self {
            Self::Digits | Self::Synthetic => &[64, 32, 10],
            Self::Mnist10k => &[784, 128, 10],
        };
        Shape::new(widths).expect("the default shapes are valid")
    }

    const fn steps(self) -> usize {
        if matches!(self, Self::Synthetic) { 1 } else { 32 }
    }

    const fn rate_shift(self) -> i32 {
        if matches!(self, Self::Synthetic) { 6 } else { 2 }
    }
}

impl ClipSettings {
    const fn fraction_bits() -> u32 {
        16
    }

    /// The clip in the update's integers: the norm is rounded down.
    pub(crate) fn integers(self, format: FixedPoint) -> Result<Clipping, String> {
        let Self { norm, fraction_bits } = self;
        let most = format.weight_fraction;
        let least = most.saturating_sub(Clip::SCALE_BITS - 1);
        if !(least..=most).contains(&fraction_bits) {
            return Err(format!("clip.fraction_bits is {fraction_bits}, allowed is {least} to {most}"));
        }
        let grid = f64::from(fraction_bits).exp2();
        let bound = (norm * grid).floor();
        // NaN, infinities and negative numbers do not lie in the range either.
        if !(1.0..=f64::from(u32::MAX)).contains(&bound) {
            let (least, most) = (1.0 / grid, f64::from(u32::MAX) / grid);
            return Err(format!("clip.norm is {norm}, allowed is {least:e} to {most:e}"));
        }
        Ok(Clipping { bound: bound as u64, dropped_bits: format.weight_fraction - fraction_bits })
    }
}

impl Settings {
    /// The settings of the file, or the defaults, with the flags on top, and what follows from others filled in.
    pub(crate) fn resolve(arguments: &Arguments) -> Result<Self, String> {
        let mut settings = match &arguments.config {
            None => Self::default(),
            Some(path) => {
                let refused = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
                let text = std::fs::read_to_string(path).map_err(|error| refused(&error))?;
                toml::from_str(&text).map_err(|error| refused(&error))?
            }
        };
        macro_rules! take {
            ($($flag:ident => $($place:ident).+;)*) => { $(
                if let Some(value) = arguments.$flag.clone() { settings.$($place).+ = value; }
            )* };
        }
        take! {
            seed => seed;
            session => session;
            data => data.source;
            batch => training.batch;
            loss => training.loss;
        }
        if arguments.synthetic {
            settings.data.source = Source::Synthetic;
        }
        let source = settings.data.source;
        settings.training.steps = arguments.steps.or(settings.training.steps).or(Some(source.steps()));
        settings.training.rate_shift =
            arguments.rate_shift.or(settings.training.rate_shift).or(Some(source.rate_shift()));
        settings.beacon = arguments.beacon.clone().or(settings.beacon);
        settings.data.examples = arguments.examples.or(settings.data.examples);
        settings.model.shape = arguments.model.clone().or(settings.model.shape);
        settings.model.shape.get_or_insert_with(|| settings.data.source.shape());
        if let Some(norm) = arguments.clip {
            let fraction_bits = settings.clip.map_or(ClipSettings::fraction_bits(), |clip| clip.fraction_bits);
            settings.clip = Some(ClipSettings { norm, fraction_bits });
        }
        if arguments.transparent {
            settings.proof = ProofKind::Transparent;
        }
        Ok(settings)
    }

    pub(crate) fn network(&self) -> Network {
        let shape = self.model.shape.clone().unwrap_or_else(|| self.data.source.shape());
        Network { shape, format: self.model.format }
    }

    pub(crate) fn steps(&self) -> Steps {
        let TrainingSettings { batch, loss, steps, rate_shift } = self.training;
        let source = self.data.source;
        let (steps, rate_shift) =
            (steps.unwrap_or_else(|| source.steps()), rate_shift.unwrap_or_else(|| source.rate_shift()));
        Steps { batch, loss, steps, rate_shift }
    }

    /// The beacon that was given, if one was.
    pub(crate) fn beacon(&self) -> Result<Option<[u8; 32]>, String> {
        let Some(text) = &self.beacon else { return Ok(None) };
        let mut beacon = [0; 32];
        hex::decode_to_slice(text, &mut beacon)
            .map_err(|_| format!("beacon is {text:?}, expected 64 hexadecimal digits"))
            .map(|()| Some(beacon))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            session: "standalone".to_owned(),
            proof: ProofKind::ZeroKnowledge,
            beacon: None,
            data: DataSettings::default(),
            model: ModelSettings::default(),
            training: TrainingSettings::default(),
            clip: None,
        }
    }
}

impl Default for DataSettings {
    fn default() -> Self {
        Self { source: Source::Digits, test_fraction: 0.2, examples: None }
    }
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self { shape: None, format: FixedPoint::V1 }
    }
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self { batch: 16, loss: Loss::SquaredError, steps: None, rate_shift: None }
    }
}
