//! Look-ups: proves that entries of the committed vector occur in public tables.
//!
//! LogUp (Haböck 2022, ePrint 2022/1530) with the sum of fractions proven by GKR (Papini and Haböck 2023, ePrint
//! 2023/1284): for a random α, `Σ 1/(α − entry) = Σ m_i/(α − table_i)` as rational functions if and only if every entry
//! is in the table, `m_i` times. All look-ups of all tables are one sum: an entry's fingerprint is
//! `v_0 + γ·v_1 + γ²·v_2 + γ³·table`.
//!
//! The leaves of the tree of fractions are indexed like the committed vector: the fraction of a looked-up entry stands
//! where the entry stands, and that of a table's row where its multiplicity stands. So the tree's last claims are
//! claims about the committed vector at one point, plus what the verifier computes itself.
//!
//! Multiplicities are field elements: with fewer than `p` look-ups in all, the identity forces them to be the true counts.

mod fractions;
mod leaves;

use std::sync::Arc;

use p3_field::{Field, PrimeCharacteristicRing, PrimeField64};

use crate::argument::{Affine, Prover, Verifier};
use crate::multilinear::{self, Functional, Term, eq_index, eq_prefix};
use crate::sumcheck;
use crate::{Base, Ext, ZkError};
use fractions::tower;
use leaves::Leaves;

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
        let leaves = Leaves::new(self, vector, alpha, gamma);
        // The largest layers, leaves and the sums of two of them, are computed only when they are proven.
        let streamed = leaves.are_many();
        let mut layers = tower(if streamed { leaves.above_twice() } else { leaves.layer() });
        let [n0, n1, d0, d1] = layers.pop().expect("a tower has a top").last();
        prover.send_all(&[n0, n1, d0, d1]);
        let root = d0 * d1;
        prover.send(root);
        prover.send(root.inverse());
        let mut point = vec![prover.challenge()];
        for layer in layers.into_iter().rev() {
            descend(&mut point, prover, |point, lambda, prover| layer.prove(point, lambda, prover));
        }
        if streamed {
            descend(&mut point, prover, |point, lambda, prover| leaves.above().prove(point, lambda, prover));
            descend(&mut point, prover, |point, lambda, prover| leaves.prove(point, lambda, prover));
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
        let powers = powers(gamma);
        let interval = |start: usize, len: usize| eq_prefix(point, start + len) - eq_prefix(point, start);
        // A leaf is 0/1 where nothing stands.
        let (mut numerator, mut denominator) = (numerator, denominator - Ext::ONE);
        let (mut multiplicities, mut entries) = (Functional::new(), Functional::new());
        for lookup in &self.entries {
            let start = lookup.columns[0];
            let weight = interval(start, lookup.rows);
            numerator = numerator - weight;
            denominator = denominator - weight * (offset(alpha, gamma, lookup.table) - Ext::ONE);
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
        for (index, &(ref table, start)) in self.tables.iter().enumerate() {
            let rows = 1usize << table.bits();
            let (high, low) = point.split_at(point.len() - table.bits() as usize);
            let weight = eq_index(high, start >> table.bits());
            let fingerprint: Ext =
                table.evaluate(low).iter().zip(&powers).map(|(&column, &power)| column * power).sum();
            denominator = denominator - weight * (offset(alpha, gamma, index) - Ext::ONE - fingerprint);
            multiplicities.push(Term::Block {
                scale: -Ext::ONE,
                offset: start,
                rows,
                row_start: start,
                row_point: point.to_vec(),
                column_point: Vec::new(),
            });
        }
        verifier.claim(multiplicities, numerator);
        verifier.claim(entries, denominator);
    }
}

/// Proves one layer, whose claims `prove` reduces to its halves at one point, and moves the point into the layer.
fn descend(
    point: &mut Vec<Ext>,
    prover: &mut Prover<'_>,
    prove: impl FnOnce(&[Ext], Ext, &mut Prover<'_>) -> (Vec<Ext>, [Ext; 4]),
) {
    let lambda = prover.challenge();
    let (challenges, values) = prove(point, lambda, prover);
    prover.send_all(&values);
    *point = [vec![prover.challenge()], challenges].concat();
}

/// What the columns of a row are weighed by.
fn powers(gamma: Ext) -> [Ext; 3] {
    [Ext::ONE, gamma, gamma.square()]
}

/// A denominator before its columns are taken off.
fn offset(alpha: Ext, gamma: Ext, table: usize) -> Ext {
    alpha - gamma.cube() * Ext::from_usize(table)
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

    /// Two tables and five look-ups in 1024 entries, none of which starts or ends where a vector of the machine does.
    struct Wide(Lookups);

    impl Wide {
        fn new() -> Self {
            let tables = vec![(Table::Range { bits: 6 }, 576), (Table::Saturation { bits: 2, middle: 1, top: 7 }, 644)];
            let range = |start, rows| Lookup { table: 0, columns: vec![start], rows };
            let saturation = |start, rows| Lookup { table: 1, columns: vec![start, 701, 851], rows };
            let lookups = vec![range(3, 250), saturation(257, 150), range(409, 1), range(411, 160), range(1001, 23)];
            Self(Lookups::new(10, tables, lookups))
        }

        fn vector() -> Vec<Base> {
            let mut vector: Vec<Base> = (0..1024).map(|i: u64| Base::from_u64(i * i % 64)).collect();
            for row in 0..150 {
                let h = row as u64 % 4;
                vector[257 + row] = Base::from_u64(h);
                vector[701 + row] = Base::from_bool(h == 1);
                vector[851 + row] = Base::from_u64(if h > 1 { 7 } else { 0 });
            }
            Self::new().0.count(&mut vector).unwrap();
            vector
        }
    }

    impl Argument for Wide {
        fn variables(&self) -> usize {
            10
        }
        fn blinding(&self) -> usize {
            660
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
    fn entries_at_the_ends_of_many_look_ups_are_noticed_too() {
        ideal::run(&Wide::new(), &Wide::vector(), true, |_| ()).unwrap();
        let ends = [3, 252, 257, 406, 409, 411, 570, 1001, 1023, 576, 639, 644, 647, 701, 850, 851, 1000];
        for entry in ends {
            let mut vector = Wide::vector();
            vector[entry] += Base::ONE;
            assert_eq!(ideal::run(&Wide::new(), &vector, false, |_| ()), Err(SUM), "entry {entry}");
        }
        for entry in [0, 2, 253, 256, 407, 408, 410, 571, 575, 640, 643, 648, 700] {
            let mut vector = Wide::vector();
            vector[entry] += Base::ONE;
            ideal::run(&Wide::new(), &vector, false, |_| ()).unwrap();
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
