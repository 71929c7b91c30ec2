//! What Cipher Nexus proves: the meaning of a training run in integers, and the statements about it.
//!
//! A proof needs a relation that is exact. This crate says what "T steps of mini-batch SGD" *is*, over
//! the integers, so that a proof, a trainer and a verifier can agree bit for bit.
//!
//! ```
//! use nexus_circuits::reference::{Examples, FixedPoint, Integers, Schedule, Sgd, Shape, TrainingPlan, Weights};
//!
//! // Two examples of two features; the class is 1 when the second feature is the brighter one.
//! let inputs = [200, 10, 20, 220];
//! let labels = [0, 1];
//! let examples = Examples::new(&inputs, &labels, 2)?;
//!
//! let shape = Shape::new(&[2, 2])?;
//! let plan = TrainingPlan::new(shape.clone(), FixedPoint::V1, 2, 40, 1)?;
//! let schedule = Schedule::new([7; 32], examples.len(), plan.batch(), plan.steps())?;
//!
//! let mut sgd = Sgd::new(plan, Integers);
//! let trained = sgd.train(&Weights::zeros(&shape), examples, &schedule)?;
//! assert_eq!(sgd.predict(&trained, examples)?, [0, 1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! | module | what |
//! |---|---|
//! | [`mod@reference`] | fixed-point SGD: dense and convolutional layers, averages, ReLU, squared error or cross-entropy, and the clip, in plain integers |
//! | [`training`] | proofs of it: T steps and the clip in one, about data registered once, in zero knowledge |
//!
//! # Not provided yet
//!
//! `UpdateBound`, `Inference`, `SemanticSimilarity` and
//! `DataMembership`, which are designed and not built.

mod error;
pub mod reference;
pub mod training;

pub use error::CircuitError;

/// The order of the Goldilocks field, `p = 2⁶⁴ − 2³² + 1`, over which every statement is to be proven.
pub const FIELD_ORDER: u64 = 0xffff_ffff_0000_0001;
