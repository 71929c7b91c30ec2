//! The sumcheck protocol (Lund, Fortnow, Karloff, Nisan 1992) for sums of low-degree functions of multilinears.
//!
//! The sum is `Σ_x eq(point, x')·f(t_1(x), …, t_N(x))`, where `x'` are the first `point.len()` variables and the others
//! are summed plainly. In a variable with an equality factor the prover sends the *other* factor `h(X)`, which has
//! the degree of `f`; the verifier's claim is `(1 − z)·h(0) + z·h(1)`, so `h(1)` follows from the claim and is not sent
//! (Gruen 2024, "Some improvements for the PIOP for `ZeroCheck`", §3). In a plain variable it is `h(0) + h(1)`.

#![expect(
    clippy::inline_always,
    reason = "as calls these pass vectors of the machine through memory, at half the speed"
)]

use p3_field::{Algebra, Field, PrimeCharacteristicRing};
use rayon::prelude::*;

use crate::argument::{Affine, Prover, Verifier};
use crate::multilinear::eq_table;
use crate::packed::{LANES, Packed, pack, unpack};
use crate::{Ext, ZkError};

/// The greatest degree that [`prove`] and [`verify`] take.
pub const MAX_DEGREE: usize = 3;

/// Entries, or packed ones, that a thread takes at once.
pub(crate) const CHUNK: usize = 1 << 9;

/// The function of `N` multilinears that is summed.
pub trait Summand<const N: usize>: Sync {
    /// Its total degree, at most [`MAX_DEGREE`].
    const DEGREE: usize;

    /// Its value, for one element or several at a time.
    fn evaluate<A: Algebra<Ext> + Copy>(&self, values: [A; N]) -> A;
}

/// The product of two multilinears.
#[derive(Clone, Copy, Debug)]
pub struct Product;

impl Summand<2> for Product {
    const DEGREE: usize = 2;
    fn evaluate<A: Algebra<Ext> + Copy>(&self, [left, right]: [A; 2]) -> A {
        left * right
    }
}

/// Proves a sum; returns the challenges and the tables' values at them.
///
/// `point` weighs the first variables. Costs about `2·degree·2^n` evaluations of the summand, in the tables' own memory.
pub fn prove<const N: usize, S: Summand<N>>(
    prover: &mut Prover<'_>,
    tables: [Vec<Ext>; N],
    point: &[Ext],
    summand: &S,
) -> (Vec<Ext>, [Ext; N]) {
    if tables[0].len() < 4 * LANES {
        return Rounds::new(tables, point).prove(prover, summand);
    }
    prove_packed(prover, tables.map(|table| pack(&table)), point, summand)
}

/// As [`prove`], of tables that are packed already.
pub(crate) fn prove_packed<const N: usize, S: Summand<N>>(
    prover: &mut Prover<'_>,
    tables: [Vec<Packed>; N],
    point: &[Ext],
    summand: &S,
) -> (Vec<Ext>, [Ext; N]) {
    // The lanes are the last variables: all before them are bound first.
    if tables[0].len() < 4 {
        return Rounds::new(tables.map(|table| unpack(&table)), point).prove(prover, summand);
    }
    let variables = (tables[0].len() * LANES).trailing_zeros() as usize;
    let mut rounds = Rounds {
        tables,
        weights: Weights::packed(point, variables),
        weighed: point.len(),
        challenges: Vec::with_capacity(variables),
    };
    let mut sums = rounds.sums(summand);
    while rounds.tables[0].len() > 2 {
        rounds.send(&sums.map(|sum| sum.sum_lanes()), S::DEGREE, prover);
        sums = rounds.bind(summand);
    }
    let unpacked = Rounds {
        tables: rounds.tables.map(|table| unpack(&table)),
        weights: rounds.weights.map(|Weights { high, low }| Weights { high, low: unpack(&low) }),
        weighed: rounds.weighed,
        challenges: rounds.challenges,
    };
    unpacked.prove(prover, summand)
}

/// The weight of what the first variable leaves: the weight of the high index bits times that of the low ones.
///
/// The low table is as long as a chunk, or all there is: it stays in the cache.
pub(crate) struct Weights<A> {
    high: Vec<Ext>,
    low: Vec<A>,
}

impl Weights<Ext> {
    /// None where all weights are one.
    fn single(point: &[Ext], variables: usize) -> Option<Self> {
        let (_, rest) = point.split_first().filter(|(_, rest)| !rest.is_empty())?;
        let low_bits = (variables - 1).min(CHUNK.trailing_zeros() as usize);
        let high_bits = variables - 1 - low_bits;
        let (high, low) = rest.split_at(high_bits.min(rest.len()));
        Some(Self { high: spread(high, high_bits), low: spread(low, low_bits) })
    }
}

impl Weights<Packed> {
    /// As [`Weights::single`], of at least two packed elements an index bit of which is bound.
    pub(crate) fn packed(point: &[Ext], variables: usize) -> Option<Self> {
        let (_, rest) = point.split_first().filter(|(_, rest)| !rest.is_empty())?;
        let low_bits = (variables - 1).min((CHUNK * LANES).trailing_zeros() as usize);
        let high_bits = variables - 1 - low_bits;
        let (high, low) = rest.split_at(high_bits.min(rest.len()));
        Some(Self { high: spread(high, high_bits), low: pack(&spread(low, low_bits)) })
    }
}

impl<A> Weights<A> {
    /// The weight of chunk `index`, and the weights within it.
    pub(crate) fn chunk(&self, index: usize) -> (Ext, &[A]) {
        (self.high[index], &self.low)
    }
}

/// The equality table of a point, each entry repeated for the index bits that have no coordinate.
fn spread(point: &[Ext], bits: usize) -> Vec<Ext> {
    let table = eq_table(point, Ext::ONE);
    if point.len() == bits {
        return table;
    }
    table.iter().flat_map(|&weight| std::iter::repeat_n(weight, 1 << (bits - point.len()))).collect()
}

/// The prover between two rounds; elements are single or packed.
struct Rounds<A, const N: usize> {
    tables: [Vec<A>; N],
    /// None where all weights are one.
    weights: Option<Weights<A>>,
    /// How many variables are weighed, those already bound included.
    weighed: usize,
    challenges: Vec<Ext>,
}

type Sums<A> = [A; MAX_DEGREE];

impl<const N: usize> Rounds<Ext, N> {
    fn new(tables: [Vec<Ext>; N], point: &[Ext]) -> Self {
        let variables = tables[0].len().trailing_zeros() as usize;
        assert!(tables.iter().all(|table| table.len() == 1 << variables), "tables of one power of two");
        assert!(point.len() <= variables, "a point of no more coordinates than variables");
        Self { weights: Weights::single(point, variables), tables, weighed: point.len(), challenges: Vec::new() }
    }

    fn prove<S: Summand<N>>(mut self, prover: &mut Prover<'_>, summand: &S) -> (Vec<Ext>, [Ext; N]) {
        if self.tables[0].len() > 1 {
            let mut sums = self.sums(summand);
            while self.tables[0].len() > 1 {
                self.send(&sums, S::DEGREE, prover);
                sums = self.bind(summand);
            }
        }
        (self.challenges, self.tables.map(|table| table[0]))
    }
}

impl<A: Algebra<Ext> + Copy + Send + Sync, const N: usize> Rounds<A, N> {
    fn send(&mut self, sums: &Sums<Ext>, degree: usize, prover: &mut Prover<'_>) {
        prover.send_all(&sums[..degree]);
        self.challenges.push(prover.challenge());
    }

    /// The first round's sums, with the first variable at 0, 2 and 3.
    fn sums<S: Summand<N>>(&self, summand: &S) -> Sums<A> {
        let half = self.tables[0].len() / 2;
        let range = |c: usize| {
            let (start, end) = (c * CHUNK, ((c + 1) * CHUNK).min(half));
            let halves = |t: usize| (&self.tables[t][start..end], &self.tables[t][half + start..half + end]);
            let halves: [(&[A], &[A]); N] = std::array::from_fn(halves);
            weighed_sums(self.weights.as_ref(), c, end - start, summand, |x| {
                let (mut low, mut high) = ([A::ZERO; N], [A::ZERO; N]);
                for t in 0..N {
                    (low[t], high[t]) = (halves[t].0[x], halves[t].1[x]);
                }
                (low, high)
            })
        };
        if half <= CHUNK {
            return range(0);
        }
        (0..half.div_ceil(CHUNK)).into_par_iter().map(range).reduce(|| [A::ZERO; MAX_DEGREE], add)
    }

    /// Binds the first variable to the last challenge, and sums for the next round in the same pass.
    fn bind<S: Summand<N>>(&mut self, summand: &S) -> Sums<A> {
        let challenge = *self.challenges.last().expect("a round has its challenge");
        let quarter = self.tables[0].len() / 4;
        if quarter == 0 {
            for table in &mut self.tables {
                table[0] = table[0] + (table[1] - table[0]) * challenge;
                table.truncate(1);
            }
            self.weights = None;
            return [A::ZERO; MAX_DEGREE];
        }
        self.drop_weights();
        let mut chunks: Vec<Vec<Quarters<'_, A>>> =
            (0..quarter.div_ceil(CHUNK)).map(|_| Vec::with_capacity(N)).collect();
        for table in &mut self.tables {
            let (low, high) = table.split_at_mut(2 * quarter);
            let (a, b) = low.split_at_mut(quarter);
            let (c, d) = high.split_at(quarter);
            let pieces = a.chunks_mut(CHUNK).zip(b.chunks_mut(CHUNK)).zip(c.chunks(CHUNK).zip(d.chunks(CHUNK)));
            for (chunk, ((a, b), (c, d))) in chunks.iter_mut().zip(pieces) {
                chunk.push(Quarters { low: [a, b], high: [c, d] });
            }
        }
        let weights = self.weights.as_ref();
        let factor = A::from(challenge);
        let work = |(c, mut quarters): (usize, Vec<Quarters<'_, A>>)| {
            let quarters: &mut [Quarters<'_, A>; N] =
                quarters.as_mut_slice().try_into().expect("a quarter of every table");
            weighed_sums(weights, c, quarters[0].low[0].len(), summand, |x| {
                // Loops, since of `from_fn` the compiler makes calls.
                let mut bound = [[A::ZERO; N]; 2];
                for (half, bound) in bound.iter_mut().enumerate() {
                    for (bound, Quarters { low, high }) in bound.iter_mut().zip(quarters.iter_mut()) {
                        *bound = (high[half][x] - low[half][x]) * factor + low[half][x];
                        low[half][x] = *bound;
                    }
                }
                let [low, high] = bound;
                (low, high)
            })
        };
        let sums = if chunks.len() == 1 {
            chunks.pop().map_or([A::ZERO; MAX_DEGREE], |chunk| work((0, chunk)))
        } else {
            chunks.into_par_iter().enumerate().map(work).reduce(|| [A::ZERO; MAX_DEGREE], add)
        };
        for table in &mut self.tables {
            table.truncate(2 * quarter);
        }
        sums
    }

    /// From the weights for the variables after the one just bound to those after the next.
    fn drop_weights(&mut self) {
        // Once the last weighed variable is the first one left, what it leaves has weight one.
        if self.challenges.len() + 1 >= self.weighed {
            self.weights = None;
        }
        if let Some(Weights { high, low }) = &mut self.weights {
            if high.len() > 1 { drop_first(high) } else { drop_first(low) }
        }
    }
}

/// Sums out the first variable.
fn drop_first<A: PrimeCharacteristicRing + Copy>(weights: &mut Vec<A>) {
    let half = weights.len() / 2;
    let (low, high) = weights.split_at_mut(half);
    low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
    weights.truncate(half);
}

/// Sums over a chunk of `len` entries, whose values with the first variable at 0 and 1 `values` gives.
#[inline(always)]
fn weighed_sums<A: Algebra<Ext> + Copy, S: Summand<N>, const N: usize>(
    weights: Option<&Weights<A>>,
    chunk: usize,
    len: usize,
    summand: &S,
    mut values: impl FnMut(usize) -> ([A; N], [A; N]),
) -> Sums<A> {
    let mut sums = [A::ZERO; MAX_DEGREE];
    let Some(weights) = weights else {
        for x in 0..len {
            let (low, high) = values(x);
            add_term(&mut sums, low, high, None, summand);
        }
        return sums;
    };
    let (scale, weights) = weights.chunk(chunk);
    for (x, &weight) in weights[..len].iter().enumerate() {
        let (low, high) = values(x);
        add_term(&mut sums, low, high, Some(weight), summand);
    }
    sums.map(|sum| sum * scale)
}

/// One chunk of a table's four quarters: the first variable is still to be bound, the second to be summed over.
struct Quarters<'a, A> {
    low: [&'a mut [A]; 2],
    high: [&'a [A]; 2],
}

fn add<A: PrimeCharacteristicRing + Copy>(a: Sums<A>, b: Sums<A>) -> Sums<A> {
    std::array::from_fn(|i| a[i] + b[i])
}

/// Adds the summand with the first variable at 0, 2 and 3 as far as its degree needs them.
#[inline(always)]
fn add_term<A: Algebra<Ext> + Copy, S: Summand<N>, const N: usize>(
    sums: &mut Sums<A>,
    low: [A; N],
    high: [A; N],
    weight: Option<A>,
    summand: &S,
) {
    sums[0] += weighed(summand.evaluate(low), weight);
    if S::DEGREE > 1 {
        let mut two = high;
        for t in 0..N {
            two[t] += high[t] - low[t];
        }
        sums[1] += weighed(summand.evaluate(two), weight);
        if S::DEGREE > 2 {
            for t in 0..N {
                two[t] += high[t] - low[t];
            }
            sums[2] += weighed(summand.evaluate(two), weight);
        }
    }
}

#[inline(always)]
fn weighed<A: Algebra<Ext>>(value: A, weight: Option<A>) -> A {
    if let Some(weight) = weight { value * weight } else { value }
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
    use crate::Base;
    use crate::argument::{Argument, ideal};
    use crate::multilinear::{Functional, Term};

    /// `Σ_{x, y} eq(point, x)·a(x, y)·b(x, y)·c(x, y) = claim`, for three vectors of 16 one after another; two variables weighed.
    struct Toy {
        weighed: usize,
        claim: Ext,
    }

    struct Three;

    impl Summand<3> for Three {
        const DEGREE: usize = 3;
        fn evaluate<A: Algebra<Ext> + Copy>(&self, [a, b, c]: [A; 3]) -> A {
            a * b * c
        }
    }

    fn term(column: usize, point: &[Ext]) -> Functional {
        let mut functional = Functional::new();
        let (row_point, column_point) = (point.to_vec(), Vec::new());
        functional.push(Term::Block {
            scale: Ext::ONE,
            offset: 16 * column,
            rows: 16,
            row_start: 0,
            row_point,
            column_point,
        });
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
            let (_, values) = prove(prover, [column(0), column(1), column(2)], &point, &Three);
            prover.send_all(&values);
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
