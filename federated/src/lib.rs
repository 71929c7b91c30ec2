//! The reference orchestrator of private federated learning over candle models.
//!
//! It holds no cryptography of its own: it puts the other crates together, so that a server moves a model by sums that
//! it never sees the parts of, at a stated privacy cost.
//!
//! ```
//! use nexus_federated::config::Settings;
//! use nexus_federated::run::{self, Outcome, Silent};
//!
//! let mut settings = Settings::default(); // digits, 64-10, secure aggregation, distributed discrete Gaussian noise
//! settings.training.clients = 8;
//! settings.training.rounds = 2;
//!
//! let summary = run::simulate(&settings, None, None, &mut Silent)?;
//! assert_eq!(summary.outcome, Outcome::Done);
//! assert!(summary.epsilon().is_some_and(|epsilon| epsilon < settings.privacy.epsilon));
//! # Ok::<(), nexus_federated::Error>(())
//! ```
//!
//! # A round
//!
//! ```text
//! RoundStart (signed: session, round, configuration, model)
//!   participant: Trained → Clipped → a proof of both, signed         [participant, train]
//!   coordinator: proofs that hold → who takes part in the round      [coordinator, session]
//!   participant: Clipped → Noised → masked message                   [update, protect]
//!   coordinator: admitted messages → Aggregate → VerifiedAggregate   [coordinator, update, protect]
//!   Model::apply(VerifiedAggregate)                                  [model]
//! ```
//!
//! [`coordinator::Coordinator`] and [`participant::Participant`] are state machines without sockets, threads or clocks:
//! bytes go in, bytes and effects come out, time is an argument.
//!
//! # Modules
//!
//! | module | what |
//! |---|---|
//! | [`config`] | settings of a file, and the one configuration that they make when all bounds hold together |
//! | [`data`] | data sets, loaders, splits among clients |
//! | [`model`], [`quantise`] | candle tensors and fixed-point integers, in one order |
//! | [`train`] | the reference's integers through candle's matrix products; float SGD to compare with |
//! | [`update`] | an update's stages as types |
//! | [`protect`] | secure aggregation by masks or under encryption, and none, behind one pair of traits |
//! | [`session`], [`message`] | who takes part, and what is sent |
//! | [`participant`], [`coordinator`] | the two state machines |
//! | [`engine`], [`simulation`], [`attack`] | all parties in one process, from one seed; cheats to be caught |
//! | [`run`], [`report`] | a run on disk that survives being killed, and its page |
//!
//! # Not provided yet
//!
//! A proof that binds what is sent to what was proven: a client proves its local steps and clip before it is let into a
//! round, but can then mask any other update; range and norm are checked on the opened sum only. Transports over a network,
//! contracts on data use, attestation, a verifiable log, durable budgets of clients.

mod error;
mod hash;

pub mod attack;
pub mod config;
pub mod coordinator;
pub mod data;
pub mod engine;
pub mod message;
pub mod model;
pub mod participant;
pub mod protect;
pub mod quantise;
pub mod report;
pub mod run;
pub mod session;
pub mod simulation;
pub mod train;
pub mod update;

pub use error::{ConfigError, Error};
pub use hash::Hash;
pub use nexus_mpc::session::{ClientId, Round};
