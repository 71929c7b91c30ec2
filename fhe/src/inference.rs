//! A trained network on encrypted inputs: the same dense layers in the clear, in small integers, and under encryption.
//!
//! Layers are `z = W·a + b`, and between two of them stands the square, `a = z²`: of degree two, so that CKKS evaluates
//! it at the cost of one level, and even, so that a table of 16 entries holds it to some 3 bits.
//!
//! | item | what |
//! |---|---|
//! | [`Network`], [`Dense`] | the network in floating point, trained elsewhere |
//! | [`QuantisedNetwork`], [`Quantisation`] | the same weights as integers, squares as tables: what TFHE computes, bit for bit |
//! | [`CkksInference`] | the network as it is, on many inputs in one ciphertext, to the precision that noise leaves |
//! | `TfheInference` (feature `tfhe`) | the quantised network on encrypted inputs, refused where the noise budget does not carry it |
//!
//! ```
//! use nexus_fhe::inference::{Dense, Network, Quantisation, QuantisedNetwork};
//!
//! // Which half of four pixels is lighter?
//! let hidden = Dense::new(4, 2, vec![1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0], vec![0.1, 0.1])?;
//! let network = Network::new(vec![hidden, Dense::new(2, 2, vec![1.0, -1.0, -1.0, 1.0], vec![0.0, 0.0])?])?;
//! assert_eq!(network.classify(&[0.9, 0.7, 0.2, 0.1])?, 0);
//!
//! let examples = [vec![0.9, 0.7, 0.2, 0.1], vec![0.0, 0.3, 0.9, 0.5]];
//! let integers = QuantisedNetwork::new(&network, Quantisation::default(), &examples)?;
//! assert_eq!(integers.classify(&integers.input(&examples[1])?)?, 1);
//! # Ok::<(), nexus_fhe::FheError>(())
//! ```
//!
//! # Security
//! Weights are in the clear with whoever evaluates; inputs and results are the key owner's alone. A result tells its owner
//! something about the weights, and its noise may tell more: there is no circuit privacy here. Nothing proves that the
//! evaluator used the weights that it promised.

mod approximate;
mod network;
mod quantised;
#[cfg(feature = "tfhe")]
mod tables;

pub use approximate::{CkksInference, CkksInferenceKeys};
pub use network::{Dense, Network};
pub use quantised::{Quantisation, QuantisedNetwork};
#[cfg(feature = "tfhe")]
pub use tables::{Answer, TfheInference};
