//! Maps over slices, on all cores with feature `parallel` and on one without, with the same result.

#[cfg(feature = "parallel")]
use rayon::prelude::*;

use crate::FheError;

#[cfg(feature = "parallel")]
pub(crate) fn try_map<T: Sync, U: Send>(
    items: &[T],
    f: impl Fn(&T) -> Result<U, FheError> + Sync + Send,
) -> Result<Vec<U>, FheError> {
    items.par_iter().map(f).collect()
}

#[cfg(not(feature = "parallel"))]
pub(crate) fn try_map<T, U>(items: &[T], f: impl Fn(&T) -> Result<U, FheError>) -> Result<Vec<U>, FheError> {
    items.iter().map(f).collect()
}
