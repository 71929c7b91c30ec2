use std::path::PathBuf;

use clap::Parser;
use nexus_circuits::reference::{Loss, Shape};

use crate::settings::Source;

/// Train a model on committed data and prove it: the proof says how the model was trained, and shows neither the
/// data nor the model.
///
/// One run commits to the examples, trains by fixed-point SGD, proves it, and writes a folder:
///
///   statement.toml, start.bin, data.commitment, proof.bin   to publish; verify-training needs no more
///   private/                                                the trained model and its update: keep them
///
/// The order of the batches comes from a beacon. Where it matters, the beacon has to be somebody else's, drawn after
/// the data was committed to: whoever knows it before can try data or beacons until the order pleases. This program
/// commits and proves in one run, and so cannot show that, with or without --beacon: the parties have to see to it.
/// The proof's own randomness comes from the operating system.
#[derive(Debug, Parser)]
#[command(
    version,
    verbatim_doc_comment,
    after_help = "\
Exit codes:
  0  proven, verified and written
  1  a file could not be written or read, or the folder is not empty
  2  the settings are refused"
)]
#[expect(clippy::struct_excessive_bools, reason = "a flag of a command line is a bool")]
pub(crate) struct Arguments {
    /// Settings to run with, as TOML; what it leaves out has its default
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Print every setting, defaults included, and stop
    #[arg(long)]
    pub(crate) print_config: bool,

    /// Folder to write to
    #[arg(long, value_name = "DIR", required_unless_present = "print_config")]
    pub(crate) out: Option<PathBuf>,

    /// Write even if the folder is not empty
    #[arg(long)]
    pub(crate) force: bool,

    /// What to learn from [default: digits]
    #[arg(long, value_name = "NAME")]
    pub(crate) data: Option<Source>,

    /// Random bytes that fit the model instead of data: there is nothing to learn, only to measure. Short for
    /// --data synthetic
    #[arg(long, conflicts_with = "data")]
    pub(crate) synthetic: bool,

    /// The network: lenet5, vgg11, or its parts, as in 64-32-10 or 28x28x1-6c5p2-a2-16c5-a2-120-84-10 (convolutions
    /// to 6 and 16 channels with kernels of 5 x 5, the first with 2 pixels of padding, averages of 2 x 2, dense layers)
    /// [default: 64-32-10 for digits, 784-128-10 for mnist10k]
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    pub(crate) model: Option<Shape>,

    /// What to minimise: squared-error or cross-entropy [default: squared-error]
    #[arg(long, value_name = "LOSS", value_parser = loss)]
    pub(crate) loss: Option<Loss>,

    /// Number of examples to commit to [default: all but those kept apart to measure accuracy]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) examples: Option<usize>,

    /// Examples a step, a power of two [default: 16]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) batch: Option<usize>,

    /// Steps of training [default: 32; 1 for synthetic data]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) steps: Option<usize>,

    /// The learning rate is 2 to the minus this [default: 2; 6 for synthetic data]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) rate_shift: Option<i32>,

    /// Prove that the update has at most this L2 norm [default: no clip]
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub(crate) clip: Option<f64>,

    /// Seed of the split of the data and of the start model [default: 1]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,

    /// Name of what the proof belongs to; it holds nowhere else [default: standalone]
    #[arg(long, value_name = "TEXT")]
    pub(crate) session: Option<String>,

    /// Public randomness as 64 hexadecimal digits [default: drawn here, after the data is committed to]
    #[arg(long, value_name = "HEX")]
    pub(crate) beacon: Option<String>,

    /// Make a proof that is sound and NOT zero-knowledge: research only
    #[arg(long)]
    pub(crate) transparent: bool,

    /// Print the result as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// LeNet-5 (LeCun et al. 1998) with averages and ReLU.
const LENET_5: &str = "28x28x1-6c5p2-a2-16c5-a2-120-84-10";

/// VGG-11 (Simonyan and Zisserman 2015, configuration A) for images of 32 × 32 pixels, with averages, and one hidden
/// dense layer of 512: 9.5 million parameters.
const VGG_11: &str = "32x32x3-64c3p1-a2-128c3p1-a2-256c3p1-256c3p1-a2-512c3p1-512c3p1-a2-512c3p1-512c3p1-a2-512-10";

/// A network by its name or its parts.
fn network(text: &str) -> Result<Shape, String> {
    let parts = match text {
        "lenet5" => LENET_5,
        "vgg11" => VGG_11,
        parts => parts,
    };
    parts.parse::<Shape>().map_err(|error| error.to_string())
}

fn loss(text: &str) -> Result<Loss, String> {
    let all = [Loss::SquaredError, Loss::CrossEntropy];
    let found = all.into_iter().find(|loss| loss.to_string() == text);
    found.ok_or_else(|| "expected squared-error or cross-entropy".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_networks_are_those_of_the_papers() {
        assert_eq!(network("lenet5").unwrap().parameters(), 61_706);
        let vgg = network("vgg11").unwrap();
        assert_eq!((vgg.depth(), vgg.parameters()), (10, 9_488_266));
        assert!(network("lenet").is_err());
        assert_eq!(loss("cross-entropy"), Ok(Loss::CrossEntropy));
        assert!(loss("l1").is_err());
    }
}
