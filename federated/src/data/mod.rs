//! Labelled images, the files they come from, and their division among clients.
//!
//! | item | what |
//! |---|---|
//! | [`Dataset`] | rows of 8-bit inputs with labels, a digest of them, a train/test split |
//! | [`Dataset::digits`], [`Dataset::mnist10k`] | real data embedded in the crate |
//! | [`Dataset::load_csv`], [`Dataset::load_idx`] | data from files, gzip or not |
//! | [`Partition`] | IID, by-label and Dirichlet divisions among simulated clients |
//! | [`DataError`] | what was refused, naming file, place, and expected against got |
//!
//! Not provided: data with more than one label an example, missing values, augmentation, and any check that data is
//! genuine. Rows are private to their owner, yet are neither encrypted nor erased from memory when dropped.
//!
//! ```
//! use nexus_federated::data::{DataError, Dataset, Partition};
//! use rand_chacha::ChaCha20Rng;
//! use rand_core::SeedableRng;
//!
//! # fn main() -> Result<(), DataError> {
//! let mut rng = ChaCha20Rng::seed_from_u64(1);
//! let (train, test) = Dataset::digits().train_test(0.2, &mut rng)?;
//! assert_eq!((train.len(), test.len()), (1438, 359));
//!
//! let rows = Partition::Dirichlet { alpha: 0.5 }.split(&train, 10, &mut rng)?;
//! let clients: Vec<Dataset> = rows.iter().map(|rows| train.subset(rows)).collect();
//! assert_eq!(clients.iter().map(Dataset::len).sum::<usize>(), train.len());
//! # Ok(())
//! # }
//! ```

mod csv;
mod dataset;
mod embedded;
mod error;
mod idx;
mod partition;
mod source;

pub use dataset::Dataset;
pub use error::{DataError, Fault, Place};
pub use partition::Partition;

pub(crate) use partition::no_fields;
