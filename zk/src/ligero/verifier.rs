use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use super::code::{Code, Coordinates, Lagrange, join};
use super::merkle::{Digest, leaf, root};
use super::proof::{LinearProof, MASK_ROWS, Opening, polynomial_bytes, widths};
use super::statement::{Challenges, Statement, pad_functional, positions};
use super::{Commitment, FreshCommitment, LigeroError, Parameters};
use crate::{Base, EXTENSION_DEGREE, Ext, Transcript};

/// Verifies that `Σ ⟨c, m⟩ + ⟨d, pads⟩ = value`, with the transcript in the state in which [`open`](super::open) found it.
///
/// Costs `queries` multiplications of base elements for three coordinates of every coefficient, and hashing.
///
/// # Errors
/// [`LigeroError::Coefficients`], [`LigeroError::Rows`] and [`LigeroError::Shape`] if sizes do not fit;
/// [`LigeroError::Sum`] for another value, and [`LigeroError::Work`], [`LigeroError::Path`], [`LigeroError::Proximity`] or
/// [`LigeroError::Linear`] by the first check that fails. With another statement or transcript, the challenges change,
/// and it is as a rule the sum that fails.
pub fn verify(
    parameters: &Parameters,
    oracles: &[(&Commitment, &[Ext])],
    fresh: &FreshCommitment,
    pad_coefficients: &[Ext],
    value: Ext,
    proof: &LinearProof,
    transcript: &mut Transcript,
) -> Result<(), LigeroError> {
    let statement = Statement { parameters, oracles, fresh, pad_coefficients };
    statement.check()?;
    let widths = widths(parameters, oracles.iter().map(|(commitment, _)| commitment.length()), pad_coefficients.len());
    let degree = parameters.degree();
    shape("coefficients of the proximity test", degree, proof.proximity.len())?;
    shape("coefficients of the linear test", 2 * degree - 1, proof.linear.len())?;
    shape("opened oracles", widths.len(), proof.openings.len())?;

    let challenges = statement.begin(value, transcript);
    // Over the message points, X^j sums to K if K divides j, and to zero otherwise.
    if (proof.linear[0] + proof.linear[degree]) * Base::from_usize(degree) != challenges.linear * value {
        return Err(LigeroError::Sum);
    }
    transcript.absorb_bytes("ligero proximity test", &polynomial_bytes(&proof.proximity));
    transcript.absorb_bytes("ligero linear test", &polynomial_bytes(&proof.linear));
    // Without work to do, any witness would pass, and a proof would have many encodings.
    let idle = parameters.work_bits() == 0 && proof.work != Base::ZERO;
    if !transcript.check_work(parameters.work_bits(), proof.work) || idle {
        return Err(LigeroError::Work);
    }
    let positions = positions(parameters, transcript);
    for (opening, &width) in proof.openings.iter().zip(&widths) {
        shape("opened columns", positions.len(), opening.salts.len())?;
        shape("entries of opened columns", positions.len() * width, opening.columns.len())?;
    }
    let roots = oracles.iter().map(|(commitment, _)| commitment.root).chain([fresh.0]);
    for (oracle, (opening, expected)) in proof.openings.iter().zip(roots).enumerate() {
        if opened_root(parameters, &positions, opening) != Some(expected) {
            return Err(LigeroError::Path { oracle });
        }
    }

    let pads = pad_functional(pad_coefficients);
    let functionals = oracles
        .iter()
        .map(|&(_, coefficients)| (coefficients, parameters.slots()))
        .chain([(pads.as_slice(), parameters.fresh_slots())]);
    let checks = Checks {
        code: Code::new(parameters),
        lagrange: Lagrange::new(parameters),
        proximity: Coordinates::new(&proof.proximity),
        linear: Coordinates::new(&proof.linear),
        rows: functionals.map(|(all, slots)| all.chunks(slots).map(Coordinates::new).collect()).collect(),
        degree,
        challenges,
    };
    let failed = positions.par_iter().enumerate().filter_map(|(index, &position)| {
        let columns =
            proof.openings.iter().zip(&widths).map(|(opening, width)| &opening.columns[index * width..][..*width]);
        checks.check(position, columns).err()
    });
    failed.find_first(|_| true).map_or(Ok(()), Err)
}

/// What the checks at every position share.
struct Checks {
    code: Code,
    lagrange: Lagrange,
    proximity: Coordinates,
    linear: Coordinates,
    /// The coefficients of every row of every oracle.
    rows: Vec<Vec<Coordinates>>,
    degree: usize,
    challenges: Challenges,
}

impl Checks {
    /// Compares both tests' polynomials with the columns of all oracles at one position.
    fn check<'a>(&self, position: usize, columns: impl Iterator<Item = &'a [Base]>) -> Result<(), LigeroError> {
        let point = self.code.point(position);
        let (mut combined, mut functional) = (Ext::ZERO, Ext::ZERO);
        let mut power = self.challenges.proximity;
        let mut masks: &[Base] = &[];
        for (rows, column) in self.rows.iter().zip(columns) {
            let (entries, rest) = column.split_at(rows.len());
            for (row, &entry) in rows.iter().zip(entries) {
                combined += power * entry;
                power *= self.challenges.proximity;
                functional += row.dot(0, self.lagrange.at(position, row.len())) * entry;
            }
            masks = rest;
        }
        let (masks, _) = masks.as_chunks::<EXTENSION_DEGREE>();
        assert_eq!(EXTENSION_DEGREE * masks.len(), MASK_ROWS, "the fresh oracle comes last and ends with its masks");

        let powers: Vec<Base> = point.powers().take(self.degree + 1).collect();
        let top = powers[self.degree];
        let powers = &powers[..self.degree];
        if self.proximity.dot(0, powers) != join(&masks[0]) + combined {
            return Err(LigeroError::Proximity { position });
        }
        let evaluated = self.linear.dot(0, powers) + self.linear.dot(self.degree, powers) * top;
        let expected = functional * self.lagrange.factor(point) * self.challenges.linear;
        if evaluated != join(&masks[1]) + expected {
            return Err(LigeroError::Linear { position });
        }
        Ok(())
    }
}

fn opened_root(parameters: &Parameters, positions: &[usize], opening: &Opening) -> Option<Digest> {
    let width = opening.columns.len() / positions.len();
    let columns = opening.columns.chunks_exact(width);
    let leaves: Vec<Digest> = opening.salts.iter().zip(columns).map(|(salt, column)| leaf(salt, column)).collect();
    root(parameters.length(), positions, &leaves, &opening.path)
}

const fn shape(what: &'static str, expected: usize, got: usize) -> Result<(), LigeroError> {
    if expected == got { Ok(()) } else { Err(LigeroError::Shape { what, expected, got }) }
}
