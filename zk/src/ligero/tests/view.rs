//! What openings show, by linear algebra: zero knowledge of the interaction, exactly, at small sizes.

use p3_field::{BasedVectorSpace, Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;
use rand::rngs::StdRng;
use rand_core::SeedableRng;

use super::super::code::{Code, coordinates};
use super::super::commitment::Oracle;
use super::super::prover::{Response, Term, multiply};
use super::super::statement::{Challenges, pad_functional};
use super::super::{Fresh, Parameters};
use super::{inner, vector};
use crate::{Base, Ext};

/// The rank of a matrix given by rows.
fn rank(mut rows: Vec<Vec<Base>>) -> usize {
    let mut rank = 0;
    for column in 0..rows.first().map_or(0, Vec::len) {
        let Some(pivot) = (rank..rows.len()).find(|&row| rows[row][column] != Base::ZERO) else { continue };
        rows.swap(rank, pivot);
        let inverse = rows[rank][column].inverse();
        let (done, rest) = rows.split_at_mut(rank + 1);
        for row in rest {
            let factor = row[column] * inverse;
            row.iter_mut().zip(&done[rank]).for_each(|(to, &from)| *to -= factor * from);
        }
        rank += 1;
    }
    rank
}

/// All that openings show, as a linear function of the secrets (a vector of six entries in two rows, and one pad for
/// every opening) and of the prover's randomness, for fixed challenges and positions.
struct View {
    parameters: Parameters,
    openings: Vec<FixedOpening>,
}

struct FixedOpening {
    coefficients: Vec<Ext>,
    pad_coefficients: Vec<Ext>,
    challenges: Challenges,
    positions: [usize; 2],
}

impl View {
    const ENTRIES: usize = 6;
    const ROWS: usize = 2;

    fn new(openings: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(18);
        let parameters = Parameters::with_queries(8, 2, 2, 2, 0).unwrap();
        let openings = (0..openings)
            .map(|index| FixedOpening {
                coefficients: vector(Self::ENTRIES, &mut rng),
                pad_coefficients: vector(1, &mut rng),
                challenges: Challenges { proximity: vector(1, &mut rng)[0], linear: vector(1, &mut rng)[0] },
                positions: [3 * index, 20 + index],
            })
            .collect();
        Self { parameters, openings }
    }

    fn secrets(&self) -> usize {
        Self::ENTRIES + 3 * self.openings.len()
    }

    /// Four random slots in each of two rows; for every opening two in a row of pads, eight mask coefficients, and
    /// fourteen that are free, three coordinates each.
    fn randomness(&self) -> usize {
        8 + self.openings.len() * (2 + 24 + 42)
    }

    /// What is shown: for each opening both polynomials and two columns of both oracles.
    fn show(&self, secrets: &[Base], randomness: &[Base]) -> Vec<Base> {
        let parameters = &self.parameters;
        let code = Code::new(parameters);
        let salts = vec![[0; 32]; parameters.length()];
        let mut secrets = secrets.iter().copied();
        let mut randomness = randomness.iter().copied();
        let mut values = RowMajorMatrix::new(Base::zero_vec(8 * Self::ROWS), Self::ROWS);
        for entry in 0..Self::ENTRIES {
            values.values[entry % 4 * Self::ROWS + entry / 4] = secrets.next().unwrap();
        }
        values.values[4 * Self::ROWS..].fill_with(|| randomness.next().unwrap());
        let oracle = Oracle::new(&code, values, &[], salts.clone());
        let mut shown = Vec::new();
        for opening in &self.openings {
            let mut values = RowMajorMatrix::new(Base::zero_vec(8), 1);
            values.values[..3].fill_with(|| secrets.next().unwrap());
            values.values[6..].fill_with(|| randomness.next().unwrap());
            let mut draw = |count: usize| {
                (0..count).map(|_| Ext::from_basis_coefficients_fn(|_| randomness.next().unwrap())).collect()
            };
            let proximity_mask: Vec<Ext> = draw(8);
            let mut sum_mask: Vec<Ext> = draw(14);
            sum_mask.insert(0, -sum_mask[7]);
            let fresh = Fresh::with_masks(parameters, &[], values, [proximity_mask, sum_mask], salts.clone());
            let functional = pad_functional(&opening.pad_coefficients);
            let terms = [
                Term { oracle: &oracle, slots: parameters.slots(), coefficients: &opening.coefficients },
                Term { oracle: &fresh.oracle, slots: parameters.fresh_slots(), coefficients: &functional },
            ];
            let product = multiply(parameters, &terms);
            let response = Response::new(&terms, &fresh, &product, opening.challenges);
            shown.extend(response.proximity.into_iter().chain(response.linear).flat_map(coordinates));
            for term in terms {
                for position in opening.positions {
                    let width = term.oracle.word.width;
                    shown.extend_from_slice(&term.oracle.word.values[position * width..][..width]);
                }
            }
        }
        shown
    }

    /// The values of the openings, three coordinates each.
    fn values(&self, secrets: &[Base]) -> Vec<Base> {
        let (message, pads) = secrets.split_at(Self::ENTRIES);
        let values = self.openings.iter().zip(pads.chunks(3)).map(|(opening, pad)| {
            inner(&opening.coefficients, message) + inner(&pad_functional(&opening.pad_coefficients), pad)
        });
        values.flat_map(coordinates).collect()
    }

    /// By how much more the view depends on the secrets, beyond what randomness covers and the values tell.
    fn leaks(&self) -> usize {
        let unit = |length: usize, at: usize| (0..length).map(|i| Base::from_bool(i == at)).collect::<Vec<_>>();
        let (no_secrets, no_randomness) = (Base::zero_vec(self.secrets()), Base::zero_vec(self.randomness()));
        let random: Vec<Vec<Base>> =
            (0..self.randomness()).map(|at| self.show(&no_secrets, &unit(self.randomness(), at))).collect();
        let secret = (0..self.secrets()).map(|at| self.show(&unit(self.secrets(), at), &no_randomness));
        let all = random.iter().cloned().chain(secret).collect();
        let values = (0..self.secrets()).map(|at| self.values(&unit(self.secrets(), at))).collect();
        rank(all) - rank(random) - rank(values)
    }
}

#[test]
fn all_that_openings_within_the_budget_show_of_the_secrets_is_their_values() {
    assert_eq!(View::new(1).leaks(), 0);
    assert_eq!(View::new(2).leaks(), 0);
}

#[test]
fn an_opening_beyond_the_budget_would_leak() {
    assert!(View::new(3).leaks() > 0);
}
