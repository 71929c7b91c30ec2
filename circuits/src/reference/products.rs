use std::convert::Infallible;

use rayon::prelude::*;

/// A matrix of integers, row-major, perhaps read transposed.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    values: &'a [i32],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// `values` as `rows × columns`, row-major.
    ///
    /// # Panics
    /// If the count of values is not `rows · columns`.
    pub fn new(values: &'a [i32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix has rows × columns values");
        Self { values, rows, columns, transposed: false }
    }

    /// The same values read as `columns × rows`.
    pub const fn transpose(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    /// The values as they are stored.
    pub const fn values(&self) -> &'a [i32] {
        self.values
    }

    /// Rows and columns as they are stored, before any transposition.
    pub const fn stored(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Whether it is read transposed.
    pub const fn is_transposed(&self) -> bool {
        self.transposed
    }

    /// Rows and columns as it is read.
    pub const fn dimensions(&self) -> (usize, usize) {
        if self.transposed { (self.columns, self.rows) } else { (self.rows, self.columns) }
    }

    /// How far apart in `values` two neighbours of a column, and of a row, lie.
    const fn strides(&self) -> (usize, usize) {
        if self.transposed { (1, self.columns) } else { (self.columns, 1) }
    }
}

/// Exact matrix products of integers.
///
/// The training plan bounds every sum below p/2 < 2⁶³, so `i64` holds it; an implementation that works in other
/// numbers checks [`TrainingPlan::max_accumulator`](super::TrainingPlan::max_accumulator) against what those hold.
pub trait Products {
    /// What can go wrong apart from the dimensions.
    type Error: std::error::Error + Send + Sync + 'static;

    /// `out = left · right`, row-major, `m × k` times `k × n`.
    ///
    /// # Errors
    /// Whatever the implementation's arithmetic can fail at.
    fn product(&mut self, left: Matrix<'_>, right: Matrix<'_>, out: &mut [i64]) -> Result<(), Self::Error>;
}

/// Products by schoolbook integer arithmetic: slow, and plain enough to be the reference.
#[derive(Clone, Copy, Debug, Default)]
pub struct Integers;

impl Products for Integers {
    type Error = Infallible;

    fn product(&mut self, left: Matrix<'_>, right: Matrix<'_>, out: &mut [i64]) -> Result<(), Infallible> {
        let (m, k) = left.dimensions();
        let (inner, n) = right.dimensions();
        assert_eq!((k, m * n), (inner, out.len()), "the dimensions of a product agree");
        let (left_row, left_column) = left.strides();
        let (right_row, right_column) = right.strides();
        out.par_chunks_exact_mut(n).enumerate().for_each(|(row, sums)| {
            sums.fill(0);
            for step in 0..k {
                let factor = i64::from(left.values[row * left_row + step * left_column]);
                for (column, sum) in sums.iter_mut().enumerate() {
                    *sum += factor * i64::from(right.values[step * right_row + column * right_column]);
                }
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_transposes_by_hand() {
        let a = [1, 2, 3, 4, 5, 6];
        let b = [7, 8, 9, 10, 11, 12];
        let mut out = [0; 4];
        Integers.product(Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2), &mut out).unwrap();
        assert_eq!(out, [58, 64, 139, 154]);
        Integers.product(Matrix::new(&a, 3, 2).transpose(), Matrix::new(&b, 3, 2), &mut out).unwrap();
        assert_eq!(out, [89, 98, 116, 128]);
        Integers.product(Matrix::new(&a, 2, 3), Matrix::new(&b, 2, 3).transpose(), &mut out).unwrap();
        assert_eq!(out, [50, 68, 122, 167]);
    }
}
