use nexus_mpc::session::Round;
use serde::{Deserialize, Serialize};

use super::summary::Header;
use crate::Hash;
use crate::engine::RoundReport;

/// One line of a run's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// What is run: always the first line.
    Run(Box<Header>),
    /// A round's cost is charged, before any of its messages left.
    Reserved {
        /// The round.
        round: Round,
        /// The model that it begins at.
        model: Hash,
        /// All that is charged so far, this round included, in units of 2⁻⁴⁰ of zCDP's ρ.
        spent: Option<u64>,
    },
    /// A round is over, with or without a sum.
    Round(Box<RoundRecord>),
}

/// A round that is over, with what the run measures of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundRecord {
    /// What the engine saw.
    #[serde(flatten)]
    pub report: RoundReport,
    /// Test accuracy of the model after the round.
    pub accuracy: f64,
    /// Privacy cost so far, in units of 2⁻⁴⁰ of zCDP's ρ.
    pub spent: Option<u64>,
    /// ε so far, at the run's δ.
    pub epsilon: Option<f64>,
}
