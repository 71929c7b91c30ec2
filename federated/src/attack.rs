//! Cheats that the simulation can play, each to be caught by an honest party.

use std::fmt;

use nexus_mpc::session::{ClientId, Round};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::config::{Protection, Settings, TrainingProof};
use crate::error::ConfigError;
use crate::protect::Phase;

/// A cheat, by one client or by the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// A client first sends a vector of wider entries than agreed, then hides an entry near half the modulus in its update.
    Overflow,
    /// A client sends its masked message of the round before.
    Replay,
    /// The coordinator shows one client another model.
    InconsistentModel,
    /// The coordinator names a second survivor set, to have a client's other secret released too.
    DoubleRelease,
    /// A client proves training on other labels than those it registered.
    WrongData,
    /// A client proves one step fewer.
    SkippedStep,
    /// A client proves a clip ten times as long.
    ScaledUpdate,
    /// A client proves training that begins at another model.
    OtherModel,
    /// A client sends another client's proof.
    StolenProof,
}

impl Attack {
    /// The client that cheats, or that the coordinator aims at.
    pub const CLIENT: ClientId = ClientId(1);

    /// The first round in which it is played.
    pub const fn first_round(self) -> Round {
        match self {
            // There must be a round before.
            Self::Replay => Round(2),
            _ => Round(1),
        }
    }

    /// Whether a run with these settings has what the cheat needs.
    ///
    /// # Errors
    /// [`ConfigError`] for too few rounds, a run in the clear, or without proofs where the cheat is about them.
    pub fn check(self, settings: &Settings) -> Result<(), Error> {
        let needed = self.last_round().0;
        if settings.training.rounds < needed {
            let allowed = format!("{needed} or more for this attack");
            return Err(ConfigError::new("training.rounds", settings.training.rounds, allowed).into());
        }
        if settings.aggregation.protect == Protection::Plain {
            let allowed = "secagg or threshold-bfv for an attack";
            return Err(ConfigError::new("aggregation.protect", "plain", allowed).into());
        }
        if self.is_about_training() && settings.training.proof == TrainingProof::None {
            return Err(ConfigError::new("training.proof", "none", "a proof for an attack on what is trained").into());
        }
        if self == Self::SkippedStep && settings.training.steps < 2 {
            return Err(ConfigError::new("training.steps", settings.training.steps, "2 or more for this attack").into());
        }
        Ok(())
    }

    /// Whether these incidents are exactly what honest parties should have found: everyone who is to blame, nobody else.
    pub fn is_caught_by<'a>(self, incidents: impl Iterator<Item = &'a Incident>) -> bool {
        let client = Accused::Party(Party::Client(Self::CLIENT));
        let incidents: Vec<&Incident> = incidents.collect();
        let accused: Vec<Accused> = incidents.iter().map(|incident| incident.accused).collect();
        match self {
            // Once on the wire, where it has a name, and once in the sum, where it has none.
            Self::Overflow => matches!(accused[..], [first, Accused::OneOf(_)] if first == client),
            Self::Replay => accused == [client],
            Self::InconsistentModel | Self::DoubleRelease => accused == [Accused::Party(Party::Coordinator)],
            // Before the client is let into the round at all.
            _ => accused == [client] && incidents[0].phase == Phase::Advertise,
        }
    }

    /// The last round that it needs.
    pub const fn last_round(self) -> Round {
        match self {
            Self::Overflow | Self::Replay => Round(2),
            _ => Round(1),
        }
    }

    /// Whether it is a cheat about what was trained, which needs proofs to be caught.
    pub const fn is_about_training(self) -> bool {
        matches!(self, Self::WrongData | Self::SkippedStep | Self::ScaledUpdate | Self::OtherModel | Self::StolenProof)
    }
}

/// Something that an honest party refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The round.
    pub round: Round,
    /// The phase.
    pub phase: Phase,
    /// Who found it.
    pub found_by: Party,
    /// Who is to blame, as far as can be known.
    pub accused: Accused,
    /// What was found.
    pub reason: String,
}

/// One of the run's parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// The coordinator.
    Coordinator,
    /// A client.
    Client(ClientId),
}

/// Who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accused {
    /// This party.
    Party(Party),
    /// One of so many contributors: a sum cannot tell which, and no message is bound to its sender's proof yet.
    OneOf(usize),
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => f.write_str("coordinator"),
            Self::Client(client) => client.fmt(f),
        }
    }
}

impl fmt::Display for Accused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Party(party) => party.fmt(f),
            Self::OneOf(count) => write!(f, "one of {count} contributors"),
        }
    }
}
