//! "Fixed-point SGD": training whose every intermediate value is an integer with a public bound.
//!
//! ```text
//! forward   Z = A·W          A' = relu(round_f(Z))    the last layer has no relu
//! loss      E = A_L − Y      half the squared error, averaged over the batch
//!           E = softmax(A_L) − Y                      or the cross-entropy, zero where a saturated output
//!                                                     would be pushed further out
//! backward  dW = Aᵀ·E        E' = round_f(E·Wᵀ), zero where the ReLU was off
//! update    W' = W − round_s(dW)
//! message   x = trunc₀(c·(W_T − W_0) / 2^g),  ‖x‖² ≤ C²
//! ```
//!
//! `round_f(z) = ⌊(z + 2^(f−1)) / 2^f⌋` rounds to nearest. Activations and errors of hidden layers saturate at the
//! bounds of their width; weights need not, since the plan bounds how far so many steps can take them (and is refused
//! where that is too far). The product of a convolution is that of its patches: the rows of `A` are what its kernel
//! covers, one row a position, and `E·Wᵀ` adds what goes back to the same pixel. An average keeps its sum, exactly, and
//! counts its divisor as fractional bits. A layer's bias is the last row of its weights: every activation row ends in the constant one.
//!
//! The code here is the *meaning*: whoever proves or speeds up training must give the same integers.
//! Matrix products are behind [`Products`], since they are what another machine may do otherwise; sums of
//! integers are exact in any order, so every correct implementation agrees bit for bit.

mod clip;
mod fixed_point;
mod layer;
mod loss;
mod plan;
mod products;
mod schedule;
mod sgd;
mod shape;
mod softmax;
mod weights;

pub use clip::{Clip, Clipped};
pub use fixed_point::FixedPoint;
pub use layer::{Image, Layer};
pub use loss::Loss;
pub use plan::{Accumulator, TrainingPlan};
pub use products::{Integers, Matrix, Products};
pub use schedule::Schedule;
pub use sgd::{Examples, Observer, Sgd, TrainError};
pub use shape::Shape;
pub(crate) use softmax::{Softmax, SoftmaxRow};
pub use weights::Weights;
