//! The sumcheck protocol (Lund, Fortnow, Karloff, Nisan 1992) for sums of low-degree functions of multilinears.
//!
//! The sum is `Σ_x eq(point, x')·f(t_1(x), …, t_N(x))`, where `x'` are the first `point.len()` variables and the others
//! are summed plainly. In a variable with an equality factor the prover sends the *other* factor `h(X)`, which has
//! the degree of `f`; the verifier's claim is `(1 − z)·h(0) + z·h(1)`, so `h(1)` follows from the claim and is not sent
//! (Gruen 2024, "Some improvements for the PIOP for ZeroCheck", §3). In a plain variable it is `h(0) + h(1)`.

use p3_field::{Field, PrimeCharacteristicRing};
use rayon::prelude::*;

use crate::argument::{Affine, Prover, Verifier};
use crate::multilinear::{PARALLEL, eq_table};
use crate::{Ext, ZkError};

/// The degrees in each variable that [`prove`] and [`verify`] take.
pub const MAX_DEGREE: usize = 3;

/// Proves a sum; returns the challenges and the tables' values at them.
///
/// `f` has total degree `degree` in its arguments. Costs about `2·2^n` evaluations of `f` times `degree`.
pub fn prove<const N: usize>(
    prover: &mut Prover<'_>,
    mut tables: [Vec<Ext>; N],
    point: &[Ext],
    degree: usize,
    f: impl Fn(&[Ext; N]) -> Ext + Sync,
) -> (Vec<Ext>, [Ext; N]) {
    let variables = tables[0].len().trailing_zeros() as usize;
    assert!(tables.iter().all(|table| table.len() == 1 << variables), "tables of one power of two");
    assert!((1..=MAX_DEGREE).contains(&degree) && point.len() <= variables, "a degree and a point that fit");
    let plain = variables - point.len();
    let mut weights = eq_table(point.get(1..).unwrap_or_default(), Ext::ONE);
    let mut challenges = Vec::with_capacity(variables);
    for round in 0..variables {
        let sums = round_sums(&tables, &weights, plain.min(variables - round - 1), degree, &f);
        for &sum in &sums[..degree] {
            prover.send(sum);
        }
        let challenge = prover.challenge();
        for table in &mut tables {
            fold(table, challenge);
        }
        if round + 1 < point.len() {
            drop_first_variable(&mut weights);
        }
        challenges.push(challenge);
    }
    (challenges, tables.map(|table| table[0]))
}

/// `Σ_x weight(x)·f` with the first variable at 0, 2 and (for degree 3) 3.
fn round_sums<const N: usize>(
    tables: &[Vec<Ext>; N],
    weights: &[Ext],
    plain: usize,
    degree: usize,
    f: &(impl Fn(&[Ext; N]) -> Ext + Sync),
) -> [Ext; MAX_DEGREE] {
    let half = tables[0].len() / 2;
    let part = |range: std::ops::Range<usize>| {
        let mut sums = [Ext::ZERO; MAX_DEGREE];
        for x in range {
            let weight = weights[x >> plain];
            let mut at: [Ext; N] = std::array::from_fn(|t| tables[t][x]);
            let step: [Ext; N] = std::array::from_fn(|t| tables[t][half + x] - tables[t][x]);
            sums[0] += weight * f(&at);
            if degree > 1 {
                at = std::array::from_fn(|t| at[t] + step[t].double());
                sums[1] += weight * f(&at);
            }
            if degree > 2 {
                at = std::array::from_fn(|t| at[t] + step[t]);
                sums[2] += weight * f(&at);
            }
        }
        sums
    };
    if half < PARALLEL {
        return part(0..half);
    }
    let chunks = (0..half.div_ceil(PARALLEL / 4)).into_par_iter();
    let chunk = |c: usize| c * (PARALLEL / 4)..((c + 1) * (PARALLEL / 4)).min(half);
    let add = |a: [Ext; MAX_DEGREE], b: [Ext; MAX_DEGREE]| std::array::from_fn(|i| a[i] + b[i]);
    chunks.map(|c| part(chunk(c))).reduce(|| [Ext::ZERO; MAX_DEGREE], add)
}

/// Binds the first variable: `t[x] ← t[0, x] + challenge·(t[1, x] − t[0, x])`.
pub(crate) fn fold(table: &mut Vec<Ext>, challenge: Ext) {
    let half = table.len() / 2;
    let (low, high) = table.split_at_mut(half);
    let bind = |(low, high): (&mut Ext, &mut Ext)| *low += challenge * (*high - *low);
    if half < PARALLEL {
        low.iter_mut().zip(high).for_each(bind);
    } else {
        low.par_iter_mut().zip(high).with_min_len(PARALLEL / 4).for_each(bind);
    }
    table.truncate(half);
}

/// From the equality table of a point to that of the point without its first coordinate.
pub(crate) fn drop_first_variable(weights: &mut Vec<Ext>) {
    let half = weights.len() / 2;
    let (low, high) = weights.split_at_mut(half);
    low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
    weights.truncate(half);
}

/// Follows a sumcheck from its claim; returns the challenges and what `f` must be at them.
///
/// # Errors
/// [`ZkError::Truncated`] if messages are missing, [`ZkError::ExceptionalChallenge`] if a coordinate of `point` is zero.
pub fn verify(
    verifier: &mut Verifier,
    claim: Affine,
    point: &[Ext],
    variables: usize,
    degree: usize,
) -> Result<(Vec<Ext>, Affine), ZkError> {
    let mut claim = claim;
    let mut challenges = Vec::with_capacity(variables);
    for round in 0..variables {
        let at_zero = verifier.receive()?;
        let mut values = vec![at_zero.clone()];
        // (1 − z)·h(0) + z·h(1) = claim, or h(0) + h(1) = claim.
        let at_one = match point.get(round) {
            Some(&z) => {
                let inverse = z.try_inverse().ok_or(ZkError::ExceptionalChallenge)?;
                (claim - &at_zero.scaled(Ext::ONE - z)).scaled(inverse)
            }
            None => claim - &at_zero,
        };
        values.push(at_one);
        for _ in 1..degree {
            values.push(verifier.receive()?);
        }
        let challenge = verifier.challenge();
        claim = Affine::default();
        for (node, value) in values.iter().enumerate() {
            claim.add_scaled(value, lagrange(node, degree, challenge));
        }
        challenges.push(challenge);
    }
    Ok((challenges, claim))
}

/// The Lagrange polynomial of `node` among `0, …, degree`, at `x`.
fn lagrange(node: usize, degree: usize, x: Ext) -> Ext {
    let number = |n: usize| Ext::from_usize(n);
    let others = (0..=degree).filter(|&other| other != node);
    let (above, below) = others.fold((Ext::ONE, Ext::ONE), |(above, below), other| {
        (above * (x - number(other)), below * (number(node) - number(other)))
    });
    above * below.inverse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argument::{Argument, ideal};
    use crate::Base;
    use crate::multilinear::{Functional, Term};

    /// `Σ_{x, y} eq(point, x)·a(x, y)·b(x, y)·c(x, y) = claim`, for three vectors of 16 one after another; two variables weighed.
    struct Toy {
        weighed: usize,
        claim: Ext,
    }

    fn term(column: usize, point: &[Ext]) -> Functional {
        let mut functional = Functional::new();
        let (row_point, column_point) = (point.to_vec(), Vec::new());
        functional.push(Term::Block { scale: Ext::ONE, offset: 16 * column, rows: 16, row_start: 0, row_point, column_point });
        functional
    }

    impl Argument for Toy {
        fn variables(&self) -> usize {
            6
        }
        fn blinding(&self) -> usize {
            48
        }
        fn prove(&self, vector: &[Base], prover: &mut Prover<'_>) {
            let column = |c: usize| vector[16 * c..][..16].iter().map(|&v| Ext::from(v)).collect::<Vec<_>>();
            let point: Vec<Ext> = (0..self.weighed).map(|i| Ext::from_usize(5 + i)).collect();
            let (_, values) = prove(prover, [column(0), column(1), column(2)], &point, 3, |&[a, b, c]| a * b * c);
            values.into_iter().for_each(|value| prover.send(value));
            prover.send(values[0] * values[1]);
        }
        fn verify(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
            let point: Vec<Ext> = (0..self.weighed).map(|i| Ext::from_usize(5 + i)).collect();
            let (at, last) = verify(verifier, Affine::known(self.claim), &point, 4, 3)?;
            let [a, b, c] = [verifier.receive()?, verifier.receive()?, verifier.receive()?];
            let ab = verifier.receive()?;
            verifier.assert_products("a·b", vec![(Ext::ONE, a.clone(), b.clone())], ab.clone().scaled(-Ext::ONE))?;
            verifier.assert_products("a·b·c", vec![(Ext::ONE, ab, c.clone())], last.scaled(-Ext::ONE))?;
            for (column, value) in [a, b, c].into_iter().enumerate() {
                verifier.claim(term(column, &at), value);
            }
            Ok(())
        }
    }

    #[test]
    fn a_sum_equals_the_naive_one_and_no_other() {
        let vector: Vec<Base> = (0..64).map(|i: u64| Base::from_u64(i * i * 7919 + 3 * i + 1)).collect();
        for weighed in [0, 2, 4] {
            let point: Vec<Ext> = (0..weighed).map(|i| Ext::from_usize(5 + i)).collect();
            let weights = eq_table(&point, Ext::ONE);
            let term = |i: usize| weights[i >> (4 - weighed)] * vector[i] * vector[16 + i] * vector[32 + i];
            let claim: Ext = (0..16).map(term).sum();
            for masked in [false, true] {
                ideal::run(&Toy { weighed, claim }, &vector, masked, |_| ()).unwrap();
                let wrong = Toy { weighed, claim: claim + Ext::ONE };
                assert_eq!(ideal::run(&wrong, &vector, masked, |_| ()), Err(ZkError::Relation { name: "a·b·c" }));
                for message in 0..16 {
                    let forge = |messages: &mut Vec<Ext>| messages[message] += Ext::ONE;
                    assert!(ideal::run(&Toy { weighed, claim }, &vector, masked, forge).is_err());
                }
            }
        }
    }
}
