use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use nexus_federated::attack::Attack;
use nexus_federated::config::{Protection, TrainingProof};

/// Train a model across many clients on real digits: the server sees only sums, and the published models
/// carry a stated (ε, δ).
///
/// Each run gets a folder with its record, checkpoints, settings and a report.html to open in a browser. A run that
/// was interrupted, even killed, goes on with --resume. All randomness of a simulation, keys and noise included, comes
/// from its seed, so the same seed gives the same model.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Exit codes:
  0  every round was played
  1  a file could not be written or read
  2  the configuration or the data is refused
  3  played to the end, but at least one round aborted
  4  an --attack was not caught
  5  the privacy budget was spent before the last round"
)]
pub(crate) struct Arguments {
    /// Settings to run with, as TOML; what it leaves out has its default
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(crate) config: Option<PathBuf>,

    /// Print every setting, defaults included, and stop
    #[arg(long, conflicts_with = "resume")]
    pub(crate) print_config: bool,

    /// Folder for the run; left out: a new one under runs/
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub(crate) out: Option<PathBuf>,

    /// Go on with the run in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) resume: Option<PathBuf>,

    /// Seed of all randomness [default: 1]
    #[arg(long, value_name = "NUMBER", conflicts_with = "resume")]
    pub(crate) seed: Option<u64>,

    /// Number of clients [default: 100]
    #[arg(long, value_name = "NUMBER", conflicts_with = "resume")]
    pub(crate) clients: Option<usize>,

    /// Number of rounds [default: 16]
    #[arg(long, value_name = "NUMBER", conflicts_with = "resume")]
    pub(crate) rounds: Option<u32>,

    /// How each client proves its local steps [default: zero-knowledge]
    #[arg(long, value_name = "KIND", conflicts_with = "resume")]
    pub(crate) proof: Option<ProofName>,

    /// How updates are summed [default: secagg]
    #[arg(long, value_name = "KIND", conflicts_with = "resume")]
    pub(crate) aggregate: Option<AggregateName>,

    /// Play a cheat and see who catches it
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    pub(crate) attack: Option<AttackName>,

    /// Leave out the comparison run without noise
    #[arg(long)]
    pub(crate) no_comparison: bool,

    /// Print the whole result as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// The cheats that can be played.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AttackName {
    /// A client sends entries that are too wide, then hides one near half the modulus
    Overflow,
    /// A client sends its message of the round before
    Replay,
    /// The coordinator shows one client another model
    InconsistentModel,
    /// The coordinator asks for a second release with another survivor set
    DoubleRelease,
    /// A client proves training on other labels than those it registered
    WrongData,
    /// A client proves one step fewer
    SkippedStep,
    /// A client proves a clip ten times as long
    ScaledUpdate,
    /// A client proves training that begins at another model
    OtherModel,
    /// A client sends another client's proof
    StolenProof,
}

/// The kinds of proof.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProofName {
    /// A zero-knowledge proof
    ZeroKnowledge,
    /// A sound proof that tells values about the examples
    Transparent,
    /// None
    None,
}

/// The ways of summing.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AggregateName {
    /// Pairwise masks: the coordinator sees a sum alone
    Secagg,
    /// Homomorphic encryption, opened by a threshold of the clients
    ThresholdBfv,
    /// None: the coordinator sees every update
    Plain,
}

impl From<AggregateName> for Protection {
    fn from(name: AggregateName) -> Self {
        match name {
            AggregateName::Secagg => Self::Secagg,
            AggregateName::ThresholdBfv => Self::ThresholdBfv,
            AggregateName::Plain => Self::Plain,
        }
    }
}

impl From<ProofName> for TrainingProof {
    fn from(name: ProofName) -> Self {
        match name {
            ProofName::ZeroKnowledge => Self::ZeroKnowledge,
            ProofName::Transparent => Self::Transparent,
            ProofName::None => Self::None,
        }
    }
}

impl From<AttackName> for Attack {
    fn from(name: AttackName) -> Self {
        match name {
            AttackName::Overflow => Self::Overflow,
            AttackName::Replay => Self::Replay,
            AttackName::InconsistentModel => Self::InconsistentModel,
            AttackName::DoubleRelease => Self::DoubleRelease,
            AttackName::WrongData => Self::WrongData,
            AttackName::SkippedStep => Self::SkippedStep,
            AttackName::ScaledUpdate => Self::ScaledUpdate,
            AttackName::OtherModel => Self::OtherModel,
            AttackName::StolenProof => Self::StolenProof,
        }
    }
}
