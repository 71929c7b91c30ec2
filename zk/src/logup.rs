//! Look-ups: proves that entries of the committed vector occur in public tables.
//!
//! LogUp (Haböck 2022, ePrint 2022/1530) with the sum of fractions proven by GKR (Papini and Haböck 2023, ePrint
//! 2023/1284): for a random α, `Σ 1/(α − entry) = Σ m_i/(α − table_i)` as rational functions if and only if every entry
//! is in the table, `m_i` times. All look-ups of all tables are one sum: an entry's fingerprint is
//! `table + γ·v_0 + γ²·v_1 + γ³·v_2`.
//!
//! The leaves of the tree of fractions are indexed like the committed vector: the fraction of a looked-up entry stands
//! where the entry stands, and that of a table's row where its multiplicity stands. So the tree's last claims are
//! claims about the committed vector at one point, plus what the verifier computes itself.
//!
//! Multiplicities are field elements: with fewer than `p` look-ups in all, the identity forces them to be the true counts.

use std::ops::Mul;
use std::sync::Arc;

use p3_field::{Algebra, Field, PackedFieldExtension, PackedValue, PrimeCharacteristicRing, PrimeField64};
use rayon::prelude::*;

use crate::argument::{Affine, Prover, Verifier};
use crate::multilinear::{self, Functional, PARALLEL, Term, eq_index, eq_prefix};
use crate::sumcheck::{self, LANES, Packed, Summand, place, unpack};
use crate::{Base, Ext, ZkError};

/// A public table, of rows `0 … 2^bits − 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Table {
    /// One column: the row's index. What is looked up in it lies in `[0, 2^bits)`.
    Range {
        /// The base-two logarithm of the count of rows.
        bits: u32,
    },
    /// Three columns: the index `h`, whether `h = middle`, and `top` where `h > middle`.
    ///
    /// The high part of a number that is in range if it is `middle`, too low if below, and too high if above.
    Saturation {
        /// The base-two logarithm of the count of rows.
        bits: u32,
        /// The row of numbers in range.
        middle: u64,
        /// The third column, above the middle.
        top: u64,
    },
    /// Two columns: the index and the function's value there.
    ///
    /// The verifier evaluates the values' extension itself, in time linear in the table.
    Function {
        /// The values; a power of two of them.
        values: Arc<[u32]>,
    },
}

impl Table {
    /// The base-two logarithm of the count of rows.
    pub fn bits(&self) -> u32 {
        match self {
            Self::Range { bits } | Self::Saturation { bits, .. } => *bits,
            Self::Function { values } => values.len().trailing_zeros(),
        }
    }

    /// How many columns a row has.
    pub const fn columns(&self) -> usize {
        match self {
            Self::Range { .. } => 1,
            Self::Function { .. } => 2,
            Self::Saturation { .. } => 3,
        }
    }

    /// The columns of one row, unused ones zero.
    fn row(&self, index: u64) -> [Base; 3] {
        let first = Base::from_u64(index);
        match *self {
            Self::Range { .. } => [first, Base::ZERO, Base::ZERO],
            Self::Function { ref values } => [first, Base::from_u32(values[index as usize]), Base::ZERO],
            Self::Saturation { middle, top, .. } => {
                [first, Base::from_bool(index == middle), if index > middle { Base::from_u64(top) } else { Base::ZERO }]
            }
        }
    }

    /// The multilinear extensions of the columns at a point of `bits` coordinates.
    fn evaluate(&self, point: &[Ext]) -> [Ext; 3] {
        let index = point.iter().fold(Ext::ZERO, |index, &z| index.double() + z);
        match *self {
            Self::Range { .. } => [index, Ext::ZERO, Ext::ZERO],
            Self::Function { ref values } => {
                let values: Vec<Base> = values.iter().map(|&value| Base::from_u32(value)).collect();
                [index, multilinear::evaluate(&values, point), Ext::ZERO]
            }
            Self::Saturation { middle, top, .. } => {
                let above = Ext::ONE - eq_prefix(point, middle as usize + 1);
                [index, eq_index(point, middle as usize), above * Base::from_u64(top)]
            }
        }
    }
}

/// Entries of the committed vector that are looked up together, row by row.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The index of the table.
    pub table: usize,
    /// Where each column starts in the committed vector; the fractions stand where the first one does.
    pub columns: Vec<usize>,
    /// How many rows are looked up.
    pub rows: usize,
}

/// Tables, where their multiplicities are, and what is looked up in them.
#[derive(Clone, Debug)]
pub struct Lookups {
    variables: usize,
    tables: Vec<(Table, usize)>,
    entries: Vec<Lookup>,
}

impl Lookups {
    /// Look-ups in `tables`, each with the offset of its multiplicities, in the first `2^variables` entries of the vector.
    ///
    /// # Panics
    /// If a part lies outside, two parts overlap, multiplicities are not aligned to their count, or a look-up does not
    /// have the columns of its table.
    pub fn new(variables: usize, tables: Vec<(Table, usize)>, lookups: Vec<Lookup>) -> Self {
        let mut parts: Vec<(usize, usize)> = Vec::new();
        for (table, offset) in &tables {
            if let Table::Function { values } = table {
                assert!(values.len().is_power_of_two(), "a function has a power of two of values");
            }
            assert!(offset.is_multiple_of(1 << table.bits()), "multiplicities are aligned to their count");
            parts.push((*offset, 1 << table.bits()));
        }
        for lookup in &lookups {
            assert_eq!(lookup.columns.len(), tables[lookup.table].0.columns(), "a look-up has its table's columns");
            parts.push((lookup.columns[0], lookup.rows));
        }
        parts.sort_unstable();
        assert!(parts.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "parts do not overlap");
        assert!(parts.last().is_none_or(|&(start, len)| start + len <= 1 << variables), "parts lie within");
        Self { variables, tables, entries: lookups }
    }

    /// Counts what is looked up and writes the multiplicities into the vector.
    ///
    /// # Errors
    /// [`ZkError::NotInTable`] if a first column is not a row of its table.
    pub fn count(&self, vector: &mut [Base]) -> Result<(), ZkError> {
        for (index, (table, offset)) in self.tables.iter().enumerate() {
            let mut counts = vec![0u64; 1 << table.bits()];
            for lookup in self.entries.iter().filter(|lookup| lookup.table == index) {
                let start = lookup.columns[0];
                for (row, entry) in vector[start..][..lookup.rows].iter().enumerate() {
                    let value = entry.as_canonical_u64();
                    let slot = usize::try_from(value).ok().and_then(|value| counts.get_mut(value));
                    *slot.ok_or(ZkError::NotInTable { entry: start + row, value, rows: 1 << table.bits() })? += 1;
                }
            }
            for (slot, count) in vector[*offset..].iter_mut().zip(counts) {
                *slot = Base::from_u64(count);
            }
        }
        Ok(())
    }

    /// Proves all look-ups about the committed `vector`.
    pub fn prove(&self, vector: &[Base], prover: &mut Prover<'_>) {
        let [alpha, gamma] = [prover.challenge(), prover.challenge()];
        let mut layers = vec![self.leaves(vector, alpha, gamma)];
        while layers.last().is_some_and(|layer| layer.len() > 2) {
            let next = layers.last().map(Layer::half);
            layers.extend(next);
        }
        let Some(Layer::Single { numerators: n, denominators: d }) = layers.pop() else {
            unreachable!("a layer of two fractions is not packed");
        };
        prover.send_all(&[n[0], n[1], d[0], d[1]]);
        let root = d[0] * d[1];
        prover.send(root);
        prover.send(root.inverse());
        let mut point = vec![prover.challenge()];
        while let Some(layer) = layers.pop() {
            let lambda = prover.challenge();
            let (challenges, values) = layer.prove(&point, lambda, prover);
            prover.send_all(&values);
            point = [vec![prover.challenge()], challenges].concat();
        }
    }

    /// Follows the proof, and leaves claims about the committed vector.
    ///
    /// # Errors
    /// Those of the verifier's ends: [`ZkError::Relation`], [`ZkError::Truncated`], [`ZkError::ExceptionalChallenge`].
    pub fn verify(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
        let [alpha, gamma] = [verifier.challenge(), verifier.challenge()];
        let [n0, n1, d0, d1] = receive_four(verifier)?;
        let crossed = vec![(Ext::ONE, n0.clone(), d1.clone()), (Ext::ONE, n1.clone(), d0.clone())];
        verifier.assert_products("the sum of the look-ups' fractions", crossed, Affine::default())?;
        let root = verifier.receive()?;
        let inverse = verifier.receive()?;
        let denominators = vec![(Ext::ONE, d0.clone(), d1.clone())];
        verifier.assert_products("the look-ups' root", denominators, root.clone().scaled(-Ext::ONE))?;
        let unit = vec![(Ext::ONE, root, inverse)];
        verifier.assert_products("the look-ups' invertible root", unit, Affine::known(-Ext::ONE))?;
        let mut point = vec![verifier.challenge()];
        let (mut numerator, mut denominator) = (mix(&n0, &n1, point[0]), mix(&d0, &d1, point[0]));
        for variables in 1..self.variables {
            let lambda = verifier.challenge();
            let mut claim = numerator;
            claim.add_scaled(&denominator, lambda);
            let (challenges, last) = sumcheck::verify(verifier, claim, &point, variables, 2)?;
            let [n0, n1, d0, d1] = receive_four(verifier)?;
            let products = vec![
                (Ext::ONE, n0.clone(), d1.clone()),
                (Ext::ONE, n1.clone(), d0.clone()),
                (lambda, d0.clone(), d1.clone()),
            ];
            verifier.assert_products("a layer of the look-ups", products, last.scaled(-Ext::ONE))?;
            let challenge = verifier.challenge();
            (numerator, denominator) = (mix(&n0, &n1, challenge), mix(&d0, &d1, challenge));
            point = [vec![challenge], challenges].concat();
        }
        self.claim_leaves(&point, alpha, gamma, numerator, denominator, verifier);
        Ok(())
    }

    /// The fraction of every entry: 1 over a look-up, minus the multiplicity over a row, and 0/1 where nothing stands.
    fn leaves(&self, vector: &[Base], alpha: Ext, gamma: Ext) -> Layer {
        let len = 1usize << self.variables;
        let mut numerators = Base::zero_vec(len);
        let mut denominators = Packed::zero_vec(len.div_ceil(LANES));
        denominators.par_iter_mut().with_min_len(PARALLEL).for_each(|denominator| *denominator = Packed::ONE);
        let powers = [gamma, gamma.square(), gamma.cube()];
        let set = |denominators: &mut [Packed], index: usize, value: Ext| {
            // Nothing was there but one.
            let (block, lane) = place(index, LANES);
            denominators[block].add_assign_lane(lane, value - Ext::ONE);
        };
        for lookup in &self.entries {
            let (start, end) = (lookup.columns[0], lookup.columns[0] + lookup.rows);
            let base = alpha - Ext::from_usize(lookup.table);
            numerators[start..end].fill(Base::ONE);
            let single = |index: usize| {
                let columns = lookup.columns.iter().zip(&powers);
                base - columns.map(|(&column, &power)| power * vector[column + index - start]).sum::<Ext>()
            };
            let (first, last) = (start.next_multiple_of(LANES).min(end), (end - place(end, LANES).1).max(start));
            if first >= last {
                (start..end).for_each(|index| set(&mut denominators, index, single(index)));
                continue;
            }
            (start..first).chain(last..end).for_each(|index| set(&mut denominators, index, single(index)));
            let whole = denominators[first / LANES..last / LANES].par_iter_mut().with_min_len(PARALLEL / LANES);
            let (base, powers) = (Packed::from(base), powers.map(Packed::from));
            whole.enumerate().for_each(|(block, denominator)| {
                let row = first - start + block * LANES;
                *denominator = base;
                for (&column, &power) in lookup.columns.iter().zip(&powers) {
                    *denominator -= power * *PackedBase::from_slice(&vector[column + row..][..LANES]);
                }
            });
        }
        for (index, (table, offset)) in self.tables.iter().enumerate() {
            let base = alpha - Ext::from_usize(index);
            for row in 0..1 << table.bits() {
                let columns = table.row(row as u64);
                numerators[offset + row] = -vector[offset + row];
                let fingerprint: Ext = columns.iter().zip(&powers).map(|(&column, &power)| power * column).sum();
                set(&mut denominators, offset + row, base - fingerprint);
            }
        }
        if len < 4 * LANES {
            let mut denominators = unpack(denominators);
            denominators.truncate(len);
            return Layer::Single { numerators: numerators.into_iter().map(Ext::from).collect(), denominators };
        }
        Layer::Leaves { numerators, denominators }
    }

    /// Claims what the leaves' extensions at `point` say about the committed vector.
    fn claim_leaves(
        &self,
        point: &[Ext],
        alpha: Ext,
        gamma: Ext,
        numerator: Affine,
        denominator: Affine,
        verifier: &mut Verifier,
    ) {
        let powers = [gamma, gamma.square(), gamma.cube()];
        let interval = |start: usize, len: usize| eq_prefix(point, start + len) - eq_prefix(point, start);
        // A leaf is 0/1 where nothing stands.
        let (mut numerator, mut denominator) = (numerator, denominator - Ext::ONE);
        let (mut multiplicities, mut entries) = (Functional::new(), Functional::new());
        for lookup in &self.entries {
            let start = lookup.columns[0];
            let weight = interval(start, lookup.rows);
            numerator = numerator - weight;
            denominator = denominator - weight * (alpha - Ext::from_usize(lookup.table) - Ext::ONE);
            for (&column, &power) in lookup.columns.iter().zip(&powers) {
                entries.push(Term::Block {
                    scale: -power,
                    offset: column,
                    rows: lookup.rows,
                    row_start: start,
                    row_point: point.to_vec(),
                    column_point: Vec::new(),
                });
            }
        }
        for (index, (table, offset)) in self.tables.iter().enumerate() {
            let rows = 1usize << table.bits();
            let (high, low) = point.split_at(point.len() - table.bits() as usize);
            let weight = eq_index(high, offset >> table.bits());
            let fingerprint: Ext =
                table.evaluate(low).iter().zip(&powers).map(|(&column, &power)| column * power).sum();
            denominator = denominator - weight * (alpha - Ext::from_usize(index) - Ext::ONE - fingerprint);
            multiplicities.push(Term::Block {
                scale: -Ext::ONE,
                offset: *offset,
                rows,
                row_start: *offset,
                row_point: point.to_vec(),
                column_point: Vec::new(),
            });
        }
        verifier.claim(multiplicities, numerator);
        verifier.claim(entries, denominator);
    }
}

/// `value_0 + challenge·(value_1 − value_0)`.
fn mix(zero: &Affine, one: &Affine, challenge: Ext) -> Affine {
    let mut value = zero.clone().scaled(Ext::ONE - challenge);
    value.add_scaled(one, challenge);
    value
}

fn receive_four(verifier: &mut Verifier) -> Result<[Affine; 4], ZkError> {
    Ok([verifier.receive()?, verifier.receive()?, verifier.receive()?, verifier.receive()?])
}

/// Fractions of one layer of the tree.
enum Layer {
    /// The lowest layer, whose numerators are in the base field.
    Leaves {
        numerators: Vec<Base>,
        denominators: Vec<Packed>,
    },
    Packed {
        numerators: Vec<Packed>,
        denominators: Vec<Packed>,
    },
    /// Too few to be packed.
    Single {
        numerators: Vec<Ext>,
        denominators: Vec<Ext>,
    },
}

type PackedBase = <Base as Field>::Packing;

impl Layer {
    fn len(&self) -> usize {
        match self {
            Self::Leaves { numerators, .. } => numerators.len(),
            Self::Packed { denominators, .. } => denominators.len() * LANES,
            Self::Single { denominators, .. } => denominators.len(),
        }
    }

    /// The layer above: fraction `i` plus fraction `i + half`.
    fn half(&self) -> Self {
        let (numerators, denominators) = match self {
            Self::Leaves { numerators, denominators } => half(PackedBase::pack_slice(numerators), denominators),
            Self::Packed { numerators, denominators } => half(numerators, denominators),
            Self::Single { numerators, denominators } => {
                let (numerators, denominators) = half(numerators, denominators);
                return Self::Single { numerators, denominators };
            }
        };
        if denominators.len() < 4 {
            return Self::Single { numerators: unpack(numerators), denominators: unpack(denominators) };
        }
        Self::Packed { numerators, denominators }
    }

    /// Proves the claims about the layer above at `point` from this one.
    ///
    /// With `m = n_1 + λ·d_1`, the numerator and λ times the denominator of a sum are `n_0·d_1 + m·d_0`.
    fn prove(self, point: &[Ext], lambda: Ext, prover: &mut Prover<'_>) -> (Vec<Ext>, [Ext; 4]) {
        let (challenges, [n0, mixed, d0, d1]) = match self {
            Self::Leaves { numerators, denominators } => {
                let lifted = PackedBase::pack_slice(&numerators).par_iter().map(|&n| Packed::from(n)).collect();
                sumcheck::prove_packed(prover, mixed(lifted, denominators, lambda), point, &Crossed)
            }
            Self::Packed { numerators, denominators } => {
                sumcheck::prove_packed(prover, mixed(numerators, denominators, lambda), point, &Crossed)
            }
            Self::Single { numerators, denominators } => {
                sumcheck::prove(prover, mixed(numerators, denominators, lambda), point, &Crossed)
            }
        };
        (challenges, [n0, mixed - lambda * d1, d0, d1])
    }
}

/// Fraction `i` plus fraction `i + half`, of numerators in the field or below it.
fn half<N, A>(numerators: &[N], denominators: &[A]) -> (Vec<A>, Vec<A>)
where
    N: Copy + Sync,
    A: PrimeCharacteristicRing + Copy + Send + Sync + Mul<N, Output = A>,
{
    let half = denominators.len() / 2;
    let (n0, n1) = numerators.split_at(half);
    let (d0, d1) = denominators.split_at(half);
    let pairs = n0.par_iter().zip(n1).zip(d0).zip(d1).with_min_len(PARALLEL / LANES);
    pairs.map(|(((&n0, &n1), &d0), &d1)| (d1 * n0 + d0 * n1, d0 * d1)).unzip()
}

/// The halves of both, `[n_0, n_1 + λ·d_1, d_0, d_1]`.
fn mixed<A: Algebra<Ext> + Copy + Send + Sync>(numerators: Vec<A>, denominators: Vec<A>, lambda: Ext) -> [Vec<A>; 4] {
    let half = denominators.len() / 2;
    let (mut n0, mut d0) = (numerators, denominators);
    let (mut n1, d1) = (n0.split_off(half), d0.split_off(half));
    n1.par_iter_mut().zip(&d1).with_min_len(PARALLEL / LANES).for_each(|(n, &d)| *n += d * lambda);
    [n0, n1, d0, d1]
}

/// `n_0·d_1 + m·d_0`.
struct Crossed;

impl Summand<4> for Crossed {
    const DEGREE: usize = 2;
    fn evaluate<A: Algebra<Ext> + Copy>(&self, [n0, mixed, d0, d1]: [A; 4]) -> A {
        n0 * d1 + mixed * d0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argument::{Argument, ideal};

    /// Three tables and four look-ups in 64 entries.
    struct Toy(Lookups);

    /// The function that is looked up.
    const VALUES: [u32; 4] = [16, 9, 5, 3];

    impl Toy {
        fn new() -> Self {
            let tables = vec![
                (Table::Range { bits: 3 }, 32),
                (Table::Saturation { bits: 2, middle: 1, top: 7 }, 40),
                (Table::Function { values: VALUES.into() }, 44),
            ];
            let range = |start, rows| Lookup { table: 0, columns: vec![start], rows };
            let saturation = Lookup { table: 1, columns: vec![20, 48, 52], rows: 4 };
            let function = Lookup { table: 2, columns: vec![24, 28], rows: 3 };
            Self(Lookups::new(6, tables, vec![range(0, 9), range(11, 5), saturation, function]))
        }

        fn vector() -> Vec<Base> {
            let mut vector = vec![Base::ZERO; 64];
            for (slot, value) in vector.iter_mut().zip([1, 7, 0, 0, 3, 5, 6, 2, 2, 99, 99, 4, 4, 1, 0, 7]) {
                *slot = Base::from_u64(value);
            }
            for (row, h) in [0, 1, 3, 2].into_iter().enumerate() {
                vector[20 + row] = Base::from_u64(h);
                vector[48 + row] = Base::from_bool(h == 1);
                vector[52 + row] = Base::from_u64(if h > 1 { 7 } else { 0 });
            }
            for (row, x) in [0, 2, 0].into_iter().enumerate() {
                vector[24 + row] = Base::from_u64(x);
                vector[28 + row] = Base::from_u32(VALUES[x as usize]);
            }
            Self::new().0.count(&mut vector).unwrap();
            vector
        }
    }

    impl Argument for Toy {
        fn variables(&self) -> usize {
            6
        }
        fn blinding(&self) -> usize {
            56
        }
        fn prove(&self, vector: &[Base], prover: &mut Prover<'_>) {
            self.0.prove(vector, prover);
        }
        fn verify(&self, verifier: &mut Verifier) -> Result<(), ZkError> {
            self.0.verify(verifier)
        }
    }

    const SUM: ZkError = ZkError::Relation { name: "the sum of the look-ups' fractions" };

    #[test]
    fn honest_look_ups_are_accepted_transparent_and_masked() {
        let vector = Toy::vector();
        let counts: Vec<u64> = vector[32..48].iter().map(PrimeField64::as_canonical_u64).collect();
        assert_eq!(counts, [3, 2, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 2, 0, 1, 0]);
        for masked in [false, true] {
            ideal::run(&Toy::new(), &vector, masked, |_| ()).unwrap();
        }
    }

    #[test]
    fn every_entry_that_is_changed_is_noticed() {
        let looked_up: Vec<usize> = (0..9).chain(11..16).chain(20..27).chain(28..31).chain(32..56).collect();
        for masked in [false, true] {
            for &entry in &looked_up {
                let mut vector = Toy::vector();
                vector[entry] += Base::ONE;
                assert_eq!(ideal::run(&Toy::new(), &vector, masked, |_| ()), Err(SUM), "entry {entry}");
            }
            let mut free = Toy::vector();
            free[10] += Base::ONE;
            ideal::run(&Toy::new(), &free, masked, |_| ()).unwrap();
        }
    }

    #[test]
    fn a_function_has_one_value_at_each_index_and_none_beyond_its_table() {
        let set = |row: usize, x: u64, y: u64| {
            let mut vector = Toy::vector();
            vector[24 + row] = Base::from_u64(x);
            vector[28 + row] = Base::from_u64(y);
            let counted = Toy::new().0.count(&mut vector);
            (vector, counted)
        };
        for masked in [false, true] {
            let run = |vector: &[Base]| ideal::run(&Toy::new(), vector, masked, |_| ());
            for x in 0..4 {
                for y in [0, 1, 3, 5, 9, 16, 17] {
                    let (vector, counted) = set(1, x, y);
                    assert_eq!(counted, Ok(()), "only indices are counted");
                    let right = y == VALUES[x as usize].into();
                    assert_eq!(run(&vector), if right { Ok(()) } else { Err(SUM) }, "{y} at {x}");
                }
            }
            // Beyond the table, p − 1 included, whatever is counted.
            for (x, y) in [(4, 16), (4, 0), (4, 3), (PrimeField64::as_canonical_u64(&-Base::ONE), 23)] {
                let (mut vector, counted) = set(1, x, y);
                assert_eq!(counted, Err(ZkError::NotInTable { entry: 25, value: x, rows: 4 }));
                assert_eq!(run(&vector), Err(SUM), "{y} at {x}");
                for multiplicity in 32..48 {
                    vector[multiplicity] += Base::ONE;
                    assert_eq!(run(&vector), Err(SUM), "{y} at {x}, counted as {multiplicity}");
                    vector[multiplicity] -= Base::ONE;
                }
            }
            // Two rows' values change places: each column holds what it held.
            let mut vector = Toy::vector();
            vector.swap(28, 29);
            assert_eq!(run(&vector), Err(SUM));
            // An index of the function in another table's place, and its value as an index.
            let mut vector = Toy::vector();
            vector.swap(25, 29);
            assert_eq!(run(&vector), Err(SUM));
        }
    }

    #[test]
    fn every_message_that_is_changed_is_noticed() {
        let mut count = 0;
        ideal::run(&Toy::new(), &Toy::vector(), true, |messages| count = messages.len()).unwrap();
        for masked in [false, true] {
            for message in 0..count {
                let forge = |messages: &mut Vec<Ext>| {
                    if let Some(value) = messages.get_mut(message) {
                        *value += Ext::ONE;
                    } else {
                        messages.push(Ext::ONE);
                    }
                };
                assert!(ideal::run(&Toy::new(), &Toy::vector(), masked, forge).is_err(), "message {message}");
            }
        }
        let cut = |messages: &mut Vec<Ext>| messages.truncate(7);
        assert_eq!(ideal::run(&Toy::new(), &Toy::vector(), true, cut), Err(ZkError::Truncated));
    }
}
