use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use rayon::prelude::*;

use super::code::{Code, coordinates, join, wipe};
use super::commitment::{Committed, Fresh, Oracle};
use super::proof::{LinearProof, Opening, polynomial_bytes};
use super::statement::{Challenges, Statement, pad_functional};
use super::{Commitment, LigeroError, Parameters};
use crate::{Base, EXTENSION_DEGREE, Ext, Transcript};

/// Proves the value of `Σ ⟨c, m⟩ + ⟨d, pads⟩`, summed over committed vectors `m` with coefficients `c` each.
///
/// The value itself is not sent: the verifier is to know it. Every vector pays one use, `fresh` is used up. Costs one
/// transform of length `K` and one of length `2K` for three coordinates of every row's coefficients.
///
/// # Errors
/// Before any use is paid: [`LigeroError::OtherParameters`], [`LigeroError::Coefficients`], [`LigeroError::Rows`], and
/// [`LigeroError::Spent`] if a vector has no use left.
///
/// # Security
/// The commitments, the coefficients and the value are absorbed here. What the caller sends between `fresh` and this
/// call, masked by the pads, and the challenges it draws for that, are sound only if it has absorbed the fresh
/// commitment before.
#[expect(clippy::needless_pass_by_value, reason = "a fresh oracle is used up by its opening")]
pub fn open(
    parameters: &Parameters,
    oracles: &mut [(&mut Committed, &[Ext])],
    fresh: Fresh,
    pad_coefficients: &[Ext],
    transcript: &mut Transcript,
) -> Result<LinearProof, LigeroError> {
    for (oracle, (committed, _)) in oracles.iter().enumerate() {
        if committed.parameters != *parameters {
            return Err(LigeroError::OtherParameters { oracle });
        }
        if committed.uses_left == 0 {
            return Err(LigeroError::Spent { oracle });
        }
    }
    let last = oracles.len();
    if fresh.parameters != *parameters {
        return Err(LigeroError::OtherParameters { oracle: last });
    }
    if pad_coefficients.len() != fresh.pads().len() {
        let expected = fresh.pads().len();
        return Err(LigeroError::Coefficients { oracle: last, expected, got: pad_coefficients.len() });
    }
    let commitments: Vec<Commitment> = oracles.iter().map(|(committed, _)| committed.commitment).collect();
    let described: Vec<(&Commitment, &[Ext])> = commitments
        .iter()
        .zip(oracles.iter())
        .map(|(commitment, (_, coefficients))| (commitment, *coefficients))
        .collect();
    let statement = Statement { parameters, oracles: &described, fresh: &fresh.commitment, pad_coefficients };
    statement.check()?;
    for (committed, _) in oracles.iter_mut() {
        committed.uses_left -= 1;
    }

    let functional = pad_functional(pad_coefficients);
    let mut terms: Vec<Term<'_>> = oracles
        .iter()
        .map(|(committed, coefficients)| Term { oracle: &committed.oracle, slots: parameters.slots(), coefficients })
        .collect();
    terms.push(Term { oracle: &fresh.oracle, slots: parameters.fresh_slots(), coefficients: &functional });
    let mut product = multiply(parameters, &terms);
    let value = (product[0] + product[parameters.degree()]) * Base::from_usize(parameters.degree());
    let challenges = statement.begin(value, transcript);
    let response = Response::new(&terms, &fresh, &product, challenges);
    // A secret: it tells of every row, and no mask covers it yet.
    wipe(&mut product);
    Ok(finish(parameters, &terms, response, transcript))
}

/// One oracle with the coefficients of its message.
pub(super) struct Term<'a> {
    pub(super) oracle: &'a Oracle,
    pub(super) slots: usize,
    pub(super) coefficients: &'a [Ext],
}

/// The polynomials of both tests.
pub(super) struct Response {
    pub(super) proximity: Vec<Ext>,
    pub(super) linear: Vec<Ext>,
}

impl Response {
    pub(super) fn new(terms: &[Term<'_>], fresh: &Fresh, product: &[Ext], challenges: Challenges) -> Self {
        let mut proximity = fresh.proximity_mask.clone();
        let mut power = challenges.proximity;
        for term in terms {
            let rows = term.oracle.coefficients.width;
            let powers: Vec<Ext> = challenges.proximity.shifted_powers(power).take(rows + 1).collect();
            power = powers[rows];
            for (to, row) in proximity.iter_mut().zip(term.oracle.coefficients.values.chunks_exact(rows.max(1))) {
                *to += row.iter().zip(&powers).map(|(&entry, &power)| power * entry).sum::<Ext>();
            }
        }
        let linear = fresh.sum_mask.iter().zip(product).map(|(&mask, &term)| mask + challenges.linear * term).collect();
        Self { proximity, linear }
    }
}

/// The coefficients of `R = Σ C·p` over all rows, with `C` the interpolation of a row's coefficients, zero on its random
/// slots, and `p` the row. Its degree is below `2K − 1`; the result is one longer.
pub(super) fn multiply(parameters: &Parameters, terms: &[Term<'_>]) -> Vec<Ext> {
    let code = Code::new(parameters);
    let degree = parameters.degree();
    let rows: usize = terms.iter().map(|term| term.oracle.coefficients.width).sum();
    if rows == 0 {
        return Ext::zero_vec(2 * degree);
    }
    let width = EXTENSION_DEGREE * rows;
    let mut functional = RowMajorMatrix::new(Base::zero_vec(degree * width), width);
    let parts = terms.iter().flat_map(|term| term.coefficients.chunks(term.slots));
    for (row, part) in parts.enumerate() {
        for (to, &coefficient) in functional.values.chunks_exact_mut(width).zip(part) {
            to[EXTENSION_DEGREE * row..][..EXTENSION_DEGREE].copy_from_slice(&coordinates(coefficient));
        }
    }
    let functional = code.double(functional);
    let stride = parameters.inverse_rate() / 2;
    let mut products: Vec<Ext> = functional
        .values
        .par_chunks_exact(width)
        .with_min_len(64)
        .enumerate()
        .map(|(index, weights)| {
            let columns = terms.iter().flat_map(|term| {
                let width = term.oracle.word.width;
                let rows = term.oracle.coefficients.width;
                &term.oracle.word.values[index * stride * width..][..rows]
            });
            let mut sum = [Base::ZERO; EXTENSION_DEGREE];
            for (weight, &entry) in weights.as_chunks::<EXTENSION_DEGREE>().0.iter().zip(columns) {
                for (to, &coordinate) in sum.iter_mut().zip(weight) {
                    *to += coordinate * entry;
                }
            }
            join(&sum)
        })
        .collect();
    let coefficients = code.interpolate_double(&products);
    wipe(&mut products);
    coefficients
}

/// Absorbs the response, works, and opens the columns that the transcript asks for.
pub(super) fn finish(
    parameters: &Parameters,
    terms: &[Term<'_>],
    response: Response,
    transcript: &mut Transcript,
) -> LinearProof {
    transcript.absorb_bytes("ligero proximity test", &polynomial_bytes(&response.proximity));
    transcript.absorb_bytes("ligero linear test", &polynomial_bytes(&response.linear));
    let work = transcript.grind(parameters.work_bits());
    let positions = super::statement::positions(parameters, transcript);
    let openings = terms.iter().map(|term| open_columns(term.oracle, &positions)).collect();
    LinearProof { proximity: response.proximity, linear: response.linear, work, openings }
}

fn open_columns(oracle: &Oracle, positions: &[usize]) -> Opening {
    let width = oracle.word.width;
    Opening {
        columns: positions
            .iter()
            .flat_map(|position| &oracle.word.values[position * width..][..width])
            .copied()
            .collect(),
        salts: positions.iter().map(|&position| oracle.salts[position]).collect(),
        path: oracle.tree.path(positions),
    }
}
