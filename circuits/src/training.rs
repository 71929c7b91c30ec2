//! Proof of training: T steps of fixed-point SGD of dense and convolutional networks, and the clip of the update, in one
//! proof.
//!
//! ```
//! use nexus_circuits::reference::{Clip, Examples, FixedPoint, Integers, Schedule, Shape, TrainingPlan, Weights};
//! use nexus_circuits::training::{DataCommitment, Proof, Statement};
//! use rand_chacha::ChaCha20Rng;
//! use rand_core::SeedableRng;
//!
//! // A fixed seed is for examples only: whoever knows it sees through commitments and proofs.
//! let mut rng = ChaCha20Rng::from_seed([1; 32]);
//! let (inputs, labels) = ([200, 10, 20, 220], [0, 1]);
//! let examples = Examples::new(&inputs, &labels, 2)?;
//!
//! // Once: commit to the examples, for two rounds.
//! let (data, mut secret, registration) = DataCommitment::new(examples, 2, b"session", &mut rng)?;
//! data.verify(&registration, b"session")?;
//!
//! // Each round: four steps from a public model, in an order that nobody chose, the update clipped to norm 1000.
//! let shape = Shape::new(&[2, 3, 2])?;
//! let plan = TrainingPlan::new(shape.clone(), FixedPoint::V1, 2, 4, 1)?;
//! let clip = Clip::new(1_000, 4, shape.parameters())?;
//! let seed = Schedule::seed(&[7; 32], &data.digest(), 5, 0);
//! let statement = Statement::new(plan, Weights::zeros(&shape), data, 0, seed, Some(clip))?;
//!
//! let (proof, trained) = Proof::new(&statement, &mut secret, examples, Integers, b"session", &mut rng)?;
//! proof.verify(&statement, b"session")?;
//! assert!(trained.update.is_some(), "the update stays with its owner");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The relation
//!
//! One committed vector holds, for all steps: the examples used, each once; for every weight and step its change and the
//! remainder of its gradient; for every activation and error the parts of its rounding; what a softmax divides; and the
//! clipped update. Sums of products are not committed: they are linear in these. Nor are the patches that a kernel covers,
//! or averages: both are public linear maps of activations, and a claim about them is a claim about activations with other
//! coefficients. Each line is shown for all steps and entries at once.
//!
//! | what | how |
//! |---|---|
//! | `z = 2^f·(2^b·(high − middle) + low − offset) + remainder − 2^(f−1)` for the sums `z` of a layer's products | Thaler's sumcheck over step and inner index, at a random point |
//! | `low ∈ [0, 2^b)`, `remainder ∈ [0, 2^f)`, limb by limb; `(high, in_range, top)` in a table | look-ups |
//! | `value = in_range·low + top`: the rounded value, or the nearest bound | sumcheck |
//! | `on = value·inverse`, `(1 − on)·value = 0`: a ReLU is on where its value is not zero | sumcheck |
//! | errors are what was rounded on the way back, once for each square that is averaged, times `on` | sumcheck |
//! | behind the last layer, errors are outputs minus targets; or `p` minus targets, zero where a saturated output would be pushed further out | linear; sumcheck |
//! | `d = m − output`, one of `first` is one, `first·d = 0`: `m` is the greatest output | look-up of `d`, linear, sumcheck |
//! | `e = round(2^16·exp(−d/2^f))`, `2^(f+1)·e + S = 2·S·p + r`, `S = Σ e` over the classes, `r + slack + 1 = 2·S` | look-ups, sumcheck, linear |
//! | `dW = 2^s·change + remainder − 2^(s−1)`, and a step's weights are the start minus all earlier changes | Thaler's sumcheck; linear |
//! | a start or an end model that is committed to is that of the vector; such a start is in the range of weights | a random functional; look-ups |
//! | inputs are bytes, targets are bits that sum to one, and packed they are the registered examples | look-ups; a random functional |
//! | `c·(W_T − W_0) = ±(2^g·\|x\| + ρ)`, `‖x‖² + slack = C²`, `c + slack = 2^(g−d)` | sumchecks, look-ups |
//!
//! Why these equations of field elements are equations of integers: every column is looked up in a range, so both sides of
//! every line are integers whose magnitude follows from the dimensions alone, and a [`Statement`] is refused where one could
//! reach `p/2` (or, for the norm, `p`). Rounding then has one solution, as `remainder` and `low` are below their powers of
//! two; the weights' bound follows step by step from the true quotients. Entries beyond a network's widths, and at
//! positions beyond an image, hold the rounding of zero: they start at zero, and no product takes them. The softmax's columns
//! beside the classes are free, and no sum or error counts them.
//!
//! # What is public and what stays private
//!
//! Public: the network, loss, batch, steps, rate and widths of integers, how many examples are registered, the start
//! model or a commitment to it, the schedule, the clip's bound. Private: the examples, every intermediate value, the trained
//! model, the update and its scale. The proof of a statement [that commits to the end](Statement::committing_to_the_end)
//! brings a commitment from which another proof can start: so a run of many pieces shows none of the models between them. A [`TransparentProof`] is sound, and hides none of that from whoever tries.
//!
//! # Not provided yet
//!
//! Strides, other activations, normalisation, momentum, and clipping per example. The bounds are worst cases over all data:
//! a convolution's gradient sums over all positions, so plans of many steps at a high rate are refused, and such runs are
//! proven in pieces. Nothing yet binds a message that is sent, masked, to the proven update.

mod data;
mod error;
mod layout;
mod matrix;
mod model;
mod proof;
mod relation;
mod statement;
mod witness;

pub use data::{DataCommitment, DataProof, DataSecret};
pub use error::TrainingError;
pub use model::{ModelCommitment, ModelSecret, StartModel};
pub use proof::{Proof, Trained, TransparentProof};
pub use statement::Statement;

#[cfg(test)]
mod tests;
