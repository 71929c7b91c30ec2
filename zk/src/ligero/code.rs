//! The Reed–Solomon code: transforms, and the kernels that evaluate polynomials at single points.

use p3_dft::{Radix2DFTSmallBatch, TwoAdicSubgroupDft};
use p3_field::{BasedVectorSpace, Field, PrimeCharacteristicRing, TwoAdicField, batch_multiplicative_inverse};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;

use super::Parameters;
use crate::{Base, EXTENSION_DEGREE, Ext};

/// The code of given parameters. Message points are the subgroup `H` of order `K`, in the order of its generator's
/// powers; position `j` of a codeword is the value at `g·ωʲ`, with `g` the field's generator and `ω` of order `N`, and
/// lies outside `H` because `g` is in no subgroup of order a power of two.
pub(super) struct Code {
    length: usize,
    transform: Radix2DFTSmallBatch<Base>,
}

impl Code {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { length: parameters.length(), transform: Radix2DFTSmallBatch::default() }
    }

    /// Coefficients of the polynomials whose values on `H` are the matrix's columns.
    pub(super) fn interpolate(&self, values: RowMajorMatrix<Base>) -> RowMajorMatrix<Base> {
        if values.width() == 0 { values } else { self.transform.idft_batch(values) }
    }

    /// Codewords of polynomials with at most `N` coefficients, one a column: row `j` of the result is position `j`.
    pub(super) fn encode(&self, coefficients: &RowMajorMatrix<Base>) -> RowMajorMatrix<Base> {
        let mut values = Base::zero_vec(self.length * coefficients.width());
        values[..coefficients.values.len()].copy_from_slice(&coefficients.values);
        self.transform.coset_dft_batch(RowMajorMatrix::new(values, coefficients.width()), Base::GENERATOR)
    }

    /// From values on `H`, one polynomial a column, to values at the `2K` positions that are multiples of `N / 2K`.
    pub(super) fn double(&self, values: RowMajorMatrix<Base>) -> RowMajorMatrix<Base> {
        self.transform.coset_lde_batch(values, 1, Base::GENERATOR)
    }

    /// Coefficients of the polynomial of degree below `2K` with these values at the positions of [`Self::double`].
    pub(super) fn interpolate_double(&self, values: &[Ext]) -> Vec<Ext> {
        let values = values.iter().flat_map(|value| coordinates(*value)).collect();
        let matrix = RowMajorMatrix::new(values, EXTENSION_DEGREE);
        let coefficients = self.transform.coset_idft_batch(matrix, Base::GENERATOR);
        coefficients.values.chunks_exact(EXTENSION_DEGREE).map(join).collect()
    }

    /// The point of a position.
    pub(super) fn point(&self, position: usize) -> Base {
        let root = Base::two_adic_generator(self.length.trailing_zeros() as usize);
        Base::GENERATOR * root.exp_u64(position as u64)
    }
}

/// Lagrange weights of the message points at every position.
///
/// The polynomial with values `c_k` at `h_k = ω^{kN/K}` is, at `η = g·ωʲ`,
/// `(η^K − 1)/K · Σ_k c_k / (η/h_k − 1)`, and `η/h_k = g·ω^{j − kN/K}` takes `N` values in all: one batch inversion.
pub(super) struct Lagrange {
    degree: usize,
    inverse_rate: usize,
    /// `1/(g·ω^m − 1)`, ordered by the remainder of `m` modulo `N/K`, then by falling `m`, and each group twice in a
    /// row, so that the weights of one position are a slice.
    weights: Vec<Base>,
}

impl Lagrange {
    pub(super) fn new(parameters: &Parameters) -> Self {
        let (degree, inverse_rate) = (parameters.degree(), parameters.inverse_rate());
        let root = Base::two_adic_generator(parameters.length().trailing_zeros() as usize);
        let shifted: Vec<Base> =
            root.shifted_powers(Base::GENERATOR).take(parameters.length()).map(|x| x - Base::ONE).collect();
        let inverses = batch_multiplicative_inverse(&shifted);
        let mut weights = Vec::with_capacity(2 * inverses.len());
        for remainder in 0..inverse_rate {
            let falling = (0..degree).rev().map(|quotient| inverses[inverse_rate * quotient + remainder]);
            weights.extend(falling.clone().chain(falling));
        }
        Self { degree, inverse_rate, weights }
    }

    /// The weights of the first `slots` message points at a position, short of the factor `(η^K − 1)/K`.
    pub(super) fn at(&self, position: usize, slots: usize) -> &[Base] {
        let (quotient, remainder) = (position / self.inverse_rate, position % self.inverse_rate);
        let start = 2 * self.degree * remainder + (self.degree - 1 - quotient);
        &self.weights[start..start + slots]
    }

    /// The factor `(η^K − 1)/K`.
    pub(super) fn factor(&self, point: Base) -> Base {
        (point.exp_u64(self.degree as u64) - Base::ONE) * Base::from_usize(self.degree).inverse()
    }
}

/// A vector over the extension as three vectors of coordinates, for dot products with base elements.
pub(super) struct Coordinates([Vec<Base>; EXTENSION_DEGREE]);

impl Coordinates {
    pub(super) fn new(values: &[Ext]) -> Self {
        Self(std::array::from_fn(|axis| values.iter().map(|value| coordinates(*value)[axis]).collect()))
    }

    /// How long the vector is.
    pub(super) fn len(&self) -> usize {
        self.0[0].len()
    }

    /// The dot product of the part that starts at `from` with as many weights as remain, at most.
    pub(super) fn dot(&self, from: usize, weights: &[Base]) -> Ext {
        Ext::from_basis_coefficients_fn(|axis| {
            let values = &self.0[axis][from..];
            let common = values.len().min(weights.len());
            dot(&values[..common], &weights[..common])
        })
    }
}

/// The dot product of two vectors of one length, reduced once in sixteen products.
fn dot(left: &[Base], right: &[Base]) -> Base {
    let (left_chunks, left_rest) = left.as_chunks::<16>();
    let (right_chunks, right_rest) = right.as_chunks::<16>();
    let whole: Base = left_chunks.iter().zip(right_chunks).map(|(a, b)| Base::dot_product(a, b)).sum();
    whole + left_rest.iter().zip(right_rest).map(|(&a, &b)| a * b).sum::<Base>()
}

/// The coordinates of an extension element.
pub(super) fn coordinates(value: Ext) -> [Base; EXTENSION_DEGREE] {
    let slice: &[Base] = value.as_basis_coefficients_slice();
    std::array::from_fn(|axis| slice[axis])
}

/// The extension element of three coordinates.
pub(super) fn join(coordinates: &[Base]) -> Ext {
    Ext::from_basis_coefficients_fn(|axis| coordinates[axis])
}

/// Overwrites secrets. Best effort: the black box keeps the stores, copies made by moves and transforms stay.
pub(super) fn wipe<T: PrimeCharacteristicRing + Copy>(values: &mut [T]) {
    values.fill(T::ZERO);
    std::hint::black_box(values);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_evaluate_what_the_code_encodes() {
        for rate in 2..=4 {
            let parameters = Parameters::with_queries(8, rate, 1, 3, 0).unwrap();
            let (code, lagrange) = (Code::new(&parameters), Lagrange::new(&parameters));
            let message: Vec<Base> = (0..8).map(|i| Base::from_u64(i * i + 3)).collect();
            let values = RowMajorMatrix::new(message.clone(), 1);
            let coefficients = code.interpolate(values.clone());
            let word = code.encode(&coefficients);
            let doubled = code.double(values);
            for position in 0..parameters.length() {
                let point = code.point(position);
                let horner = coefficients.values.iter().rev().fold(Base::ZERO, |sum, &c| sum * point + c);
                assert_eq!(word.values[position], horner);
                assert_eq!(lagrange.factor(point) * dot(lagrange.at(position, 8), &message), horner);
                if position % (parameters.length() / 16) == 0 {
                    assert_eq!(doubled.values[position * 16 / parameters.length()], horner);
                }
            }
        }
    }
}
