//! Multilinear polynomials over the hypercube, and the public functionals that claims about them make.
//!
//! Index bits are read most significant first: the first coordinate of a point belongs to the highest bit.

use p3_field::{PackedFieldExtension, PrimeCharacteristicRing};
use rayon::prelude::*;

use crate::sumcheck::{LANES, Packed, pack, place, unpack};
use crate::{Base, Ext};

/// Below this many entries a loop stays on one thread: some tens of microseconds of work, well above a task's cost.
pub(crate) const PARALLEL: usize = 1 << 14;

/// `scale · eq(point, i)` for every index `i` below `2^point.len()`.
pub fn eq_table(point: &[Ext], scale: Ext) -> Vec<Ext> {
    let mut table = vec![Ext::ZERO; 1 << point.len()];
    table[0] = scale;
    // The last coordinate is the lowest bit, so it doubles the table first.
    for (done, &z) in point.iter().rev().enumerate() {
        let (low, rest) = table.split_at_mut(1 << done);
        let high = &mut rest[..1 << done];
        let double = |(low, high): (&mut Ext, &mut Ext)| {
            *high = *low * z;
            *low -= *high;
        };
        if low.len() < PARALLEL {
            low.iter_mut().zip(high).for_each(double);
        } else {
            low.par_iter_mut().zip(high).with_min_len(PARALLEL / 4).for_each(double);
        }
    }
    table
}

/// Calls `f` with each aligned block that `start..start + count` is made of: its place in the range, and its size's bits.
fn for_eq_blocks(start: usize, count: usize, mut f: impl FnMut(usize, usize)) {
    let (mut at, end) = (start, start + count);
    while at < end {
        let bits = at.trailing_zeros().min((end - at).ilog2()) as usize;
        f(at - start, bits);
        at += 1 << bits;
    }
}

/// `eq(x, y) = Π (x_i·y_i + (1 − x_i)(1 − y_i))`, for points of one length.
pub fn eq(x: &[Ext], y: &[Ext]) -> Ext {
    assert_eq!(x.len(), y.len(), "points of one length");
    x.iter().zip(y).map(|(&a, &b)| (a * b).double() + Ext::ONE - a - b).product()
}

/// `eq(point, index)` for a vertex of the hypercube.
pub fn eq_index(point: &[Ext], index: usize) -> Ext {
    let bits = point.len();
    assert!(bits >= usize::BITS as usize || index >> bits == 0, "the index is a vertex");
    let factor = |(i, &z): (usize, &Ext)| if index >> (bits - 1 - i) & 1 == 1 { z } else { Ext::ONE - z };
    point.iter().enumerate().map(factor).product()
}

/// `Σ_{i < end} eq(point, i)`.
pub fn eq_prefix(point: &[Ext], end: usize) -> Ext {
    if end >> point.len() != 0 {
        assert_eq!(end, 1 << point.len(), "a prefix ends within the hypercube");
        return Ext::ONE;
    }
    let (mut sum, mut equal) = (Ext::ZERO, Ext::ONE);
    for (i, &z) in point.iter().enumerate() {
        if end >> (point.len() - 1 - i) & 1 == 1 {
            sum += equal * (Ext::ONE - z);
            equal *= z;
        } else {
            equal *= Ext::ONE - z;
        }
    }
    sum
}

/// `Σ_{i < count} eq(x, x_start + i) · eq(y, y_start + i)`, in time linear in the coordinates.
///
/// A branching program over the bits of `i`, lowest first, whose state is the two carries and whether the bits so far
/// lie below those of `count` (the idea of Hemo, Jue, Rabinovich, Roh, Rothblum 2025, "Jagged polynomial commitments").
pub fn eq_shifted(x: &[Ext], x_start: usize, y: &[Ext], y_start: usize, count: usize) -> Ext {
    if count == 0 {
        return Ext::ZERO;
    }
    assert!(x_start + count <= 1 << x.len() && y_start + count <= 1 << y.len(), "both ranges lie within");
    let bits = x.len().max(y.len());
    // states[4·below + 2·carry_x + carry_y]; "below" starts as false: equal so far, and i < count is wanted.
    let mut states = [Ext::ZERO; 8];
    states[0] = Ext::ONE;
    let coordinate = |point: &[Ext], bit: usize| point.len().checked_sub(bit + 1).map(|i| point[i]);
    for bit in 0..bits {
        // A point with fewer coordinates has zero bits above them.
        let factors = |point: &[Ext]| coordinate(point, bit).map_or([Ext::ONE, Ext::ZERO], |z| [Ext::ONE - z, z]);
        let (fx, fy) = (factors(x), factors(y));
        let both = [[fx[0] * fy[0], fx[0] * fy[1]], [fx[1] * fy[0], fx[1] * fy[1]]];
        let (xs, ys, cs) = (x_start >> bit & 1, y_start >> bit & 1, count >> bit & 1);
        let mut next = [Ext::ZERO; 8];
        for (state, &value) in states.iter().enumerate() {
            if value == Ext::ZERO {
                continue;
            }
            let (below, cx, cy) = (state >> 2, state >> 1 & 1, state & 1);
            for i in 0..2 {
                let (sx, sy) = (xs + i + cx, ys + i + cy);
                let below = if i == cs { below } else { usize::from(i < cs) };
                next[below << 2 | (sx >> 1) << 1 | sy >> 1] += value * both[sx & 1][sy & 1];
            }
        }
        states = next;
    }
    // A count of 2^bits has its only one above all bits: then every i is below it.
    if count >> bits == 1 { states[0] + states[4] } else { states[4] }
}

/// The multilinear extension of `values` (padded with zeros to a power of two) at a point.
pub fn evaluate(values: &[Base], point: &[Ext]) -> Ext {
    assert!(values.len() <= 1 << point.len(), "the point has a coordinate for every bit");
    let half = point.len() / 2;
    let (high, low) = (eq_table(&point[..half], Ext::ONE), eq_table(&point[half..], Ext::ONE));
    let row = |(chunk, &scale): (&[Base], &Ext)| {
        chunk.iter().zip(&low).map(|(&value, &weight)| weight * value).sum::<Ext>() * scale
    };
    values.par_chunks(low.len()).zip(&high).map(row).sum()
}

/// One part of a linear functional of a committed vector `w`, of rows of `2^columns` entries from `offset`.
///
/// `offset` is a multiple of the row length.
#[derive(Clone, Debug)]
pub enum Term {
    /// `scale · Σ_{i < rows} eq(row_point, row_start + i) · Σ_j eq(column_point, j) · w[offset + i·2^c + j]`.
    Block {
        /// The public factor.
        scale: Ext,
        /// Where the first row starts in the vector.
        offset: usize,
        /// How many rows there are.
        rows: usize,
        /// Where the first row lies in the hypercube of `row_point`.
        row_start: usize,
        /// Weighs the rows.
        row_point: Vec<Ext>,
        /// Weighs the columns; empty for rows of one entry.
        column_point: Vec<Ext>,
    },
    /// `Σ_i rows[i] · Σ_j columns[j] · w[offset + i·columns.len() + j]`, `columns.len()` a power of two.
    Outer {
        /// Where the first row starts in the vector.
        offset: usize,
        /// The weight of each row.
        rows: Vec<Ext>,
        /// The weight of each column.
        columns: Vec<Ext>,
    },
}

impl Term {
    /// Where the entries end that the term looks at.
    fn end(&self) -> usize {
        match self {
            Self::Block { offset, rows, column_point, .. } => offset + (rows << column_point.len()),
            Self::Outer { offset, rows, columns } => offset + rows.len() * columns.len(),
        }
    }

    /// Adds `scale` times the term's coefficients.
    fn add_to(&self, scale: Ext, dense: &mut Coefficients) {
        match self {
            Self::Block { scale: own, offset, rows, row_start, row_point, column_point } => {
                let columns = eq_table(column_point, scale * *own);
                let first = if columns.len() == 1 { columns[0] } else { Ext::ONE };
                for_eq_blocks(*row_start, *rows, |place, bits| {
                    let (high, low) = row_point.split_at(row_point.len() - bits);
                    let factor = eq_index(high, (row_start + place) >> bits) * first;
                    if columns.len() == 1 {
                        dense.add_eq(offset + place, low, factor);
                    } else {
                        dense.add_outer(offset + place * columns.len(), &eq_table(low, factor), &columns);
                    }
                });
            }
            Self::Outer { offset, rows, columns } => {
                let columns: Vec<Ext> = columns.iter().map(|&c| c * scale).collect();
                dense.add_outer(*offset, rows, &columns);
            }
        }
    }

    /// The multilinear extension of the term's coefficients at a point of the whole vector's hypercube.
    fn evaluate(&self, point: &[Ext]) -> Ext {
        match self {
            Self::Block { scale, offset, rows, row_start, row_point, column_point } => {
                let (high, low) = point.split_at(point.len() - column_point.len());
                let start = offset >> column_point.len();
                *scale * eq(column_point, low) * eq_shifted(row_point, *row_start, high, start, *rows)
            }
            Self::Outer { offset, rows, columns } => {
                let bits = columns.len().trailing_zeros() as usize;
                let (high, low) = point.split_at(point.len() - bits);
                let inner: Ext = eq_table(low, Ext::ONE).iter().zip(columns).map(|(&e, &c)| e * c).sum();
                inner * outer_rows(rows, high, offset >> bits)
            }
        }
    }
}

/// `Σ_i rows[i] · eq(point, start + i)`, in the size of the smallest aligned block around the rows.
fn outer_rows(rows: &[Ext], point: &[Ext], start: usize) -> Ext {
    let last = start + rows.len().max(1) - 1;
    let bits = (usize::BITS - (start ^ last).leading_zeros()) as usize;
    let (high, low) = point.split_at(point.len() - bits);
    let table = eq_table(low, eq_index(high, start >> bits));
    let first = start & ((1 << bits) - 1);
    rows.iter().zip(&table[first..]).map(|(&row, &weight)| row * weight).sum()
}

/// The coefficients of a functional, entry by entry, packed; those beyond the end are zero.
#[derive(Clone, Debug)]
pub struct Coefficients {
    packed: Vec<Packed>,
}

impl Coefficients {
    /// Zero for `len` entries, rounded up to whole vectors of the machine.
    pub fn zeros(len: usize) -> Self {
        Self { packed: Packed::zero_vec(len.div_ceil(LANES)) }
    }

    /// The coefficients, padded with zeros to `len`.
    pub fn to_ext(&self, len: usize) -> Vec<Ext> {
        let mut values = unpack(self.packed.clone());
        values.resize(len, Ext::ZERO);
        values
    }

    pub(crate) fn packed(&self) -> &[Packed] {
        &self.packed
    }

    /// Adds `scale·eq(point, ·)` from `offset` on.
    fn add_eq(&mut self, offset: usize, point: &[Ext], scale: Ext) {
        let lane_bits = LANES.trailing_zeros() as usize;
        if !offset.is_multiple_of(LANES) || point.len() < lane_bits {
            return self.add(offset, &eq_table(point, scale));
        }
        let (blocks, lanes) = point.split_at(point.len() - lane_bits);
        let lanes = Packed::from_ext_slice(&eq_table(lanes, Ext::ONE));
        let target = &mut self.packed[offset / LANES..];
        // A block's factor is that of its high bits, a table small enough for the cache, times that of its low ones.
        let (high, low) = blocks.split_at(blocks.len().saturating_sub(10));
        let low: Vec<Packed> = eq_table(low, Ext::ONE).into_iter().map(|weight| lanes * weight).collect();
        let high = eq_table(high, scale);
        target.par_chunks_mut(low.len()).zip(&high).for_each(|(target, &factor)| {
            let factor = Packed::from(factor);
            target.iter_mut().zip(&low).for_each(|(slot, &weight)| *slot += weight * factor);
        });
    }

    /// Adds `rows[i]·columns[j]` at `offset + i·columns.len() + j`.
    fn add_outer(&mut self, offset: usize, rows: &[Ext], columns: &[Ext]) {
        if !offset.is_multiple_of(LANES) || columns.len() < LANES {
            for (i, &row) in rows.iter().enumerate() {
                let products: Vec<Ext> = columns.iter().map(|&column| row * column).collect();
                self.add(offset + i * columns.len(), &products);
            }
            return;
        }
        let columns = pack(columns);
        let target = self.packed[offset / LANES..].par_chunks_exact_mut(columns.len()).zip(rows);
        target.with_min_len((PARALLEL / LANES).div_ceil(columns.len())).for_each(|(chunk, &row)| {
            let row = Packed::from(row);
            chunk.iter_mut().zip(&columns).for_each(|(slot, &column)| *slot += row * column);
        });
    }

    fn add(&mut self, offset: usize, values: &[Ext]) {
        for (i, &value) in (offset..).zip(values) {
            let (block, lane) = place(i, LANES);
            self.packed[block].add_assign_lane(lane, value);
        }
    }
}

/// A public linear functional of a committed vector: the sum of its terms.
#[derive(Clone, Debug, Default)]
pub struct Functional {
    terms: Vec<Term>,
}

impl Functional {
    /// The zero functional.
    pub const fn new() -> Self {
        Self { terms: Vec::new() }
    }

    /// Adds a term.
    pub fn push(&mut self, term: Term) {
        self.terms.push(term);
    }

    /// `scale` times the single entry at `offset`.
    pub fn push_entry(&mut self, offset: usize, scale: Ext) {
        self.push(Term::Outer { offset, rows: vec![scale], columns: vec![Ext::ONE] });
    }

    /// Where the entries end that it looks at.
    pub fn end(&self) -> usize {
        self.terms.iter().map(Term::end).max().unwrap_or(0)
    }

    /// Adds `scale` times its coefficients.
    pub fn add_to(&self, scale: Ext, dense: &mut Coefficients) {
        for term in &self.terms {
            term.add_to(scale, dense);
        }
    }

    /// The multilinear extension of the coefficients at a point.
    pub fn evaluate(&self, point: &[Ext]) -> Ext {
        self.terms.par_iter().with_min_len(8).map(|term| term.evaluate(point)).sum()
    }
}

#[cfg(test)]
mod tests {
    use p3_field::BasedVectorSpace;
    use proptest::prelude::*;
    use rand::RngExt;
    use rand::rngs::StdRng;
    use rand_core::SeedableRng;

    use super::*;

    fn ext(rng: &mut StdRng) -> Ext {
        Ext::from_basis_coefficients_fn(|_| Base::from_u64(rng.random()))
    }

    fn point(rng: &mut StdRng, bits: usize) -> Vec<Ext> {
        (0..bits).map(|_| ext(rng)).collect()
    }

    #[test]
    fn the_equality_table_by_hand() {
        let two = Ext::from_u64(2);
        let three = Ext::from_u64(3);
        // eq((2, 3), (a, b)) with 1 − 2 = −1 and 1 − 3 = −2.
        let expected = [two, -three, -(two * two), two * three];
        assert_eq!(eq_table(&[two, three], Ext::ONE), expected);
        for (index, value) in expected.into_iter().enumerate() {
            assert_eq!(eq_index(&[two, three], index), value);
        }
    }

    proptest! {
        #[test]
        fn sums_of_equality_agree_with_their_tables(
            seed: u64, bits_x in 1usize..6, bits_y in 1usize..7, a: u16, b: u16, c: u16,
        ) {
            let mut rng = StdRng::seed_from_u64(seed);
            let (x, y) = (point(&mut rng, bits_x), point(&mut rng, bits_y));
            let (tx, ty) = (eq_table(&x, Ext::ONE), eq_table(&y, Ext::ONE));
            let (x_start, y_start) = (a as usize % tx.len(), b as usize % ty.len());
            let count = c as usize % (tx.len() - x_start).min(ty.len() - y_start) + 1;
            let slow: Ext = (0..count).map(|i| tx[x_start + i] * ty[y_start + i]).sum();
            prop_assert_eq!(eq_shifted(&x, x_start, &y, y_start, count), slow);
            let prefix: Ext = tx[..x_start].iter().copied().sum();
            prop_assert_eq!(eq_prefix(&x, x_start), prefix);
            prop_assert_eq!(eq_prefix(&x, tx.len()), Ext::ONE);
            prop_assert_eq!(eq(&x, &x.iter().map(|_| Ext::ZERO).collect::<Vec<_>>()), tx[0]);
        }

        #[test]
        fn a_functional_evaluates_as_its_dense_coefficients(seed: u64, rows in 1usize..9, start in 0usize..4, place in 0usize..12) {
            let mut rng = StdRng::seed_from_u64(seed);
            let block = Term::Block {
                scale: ext(&mut rng), offset: place * 4, rows, row_start: start,
                row_point: point(&mut rng, 4), column_point: point(&mut rng, 2),
            };
            let outer = Term::Outer { offset: place * 4, rows: point(&mut rng, rows), columns: point(&mut rng, 4) };
            let mut functional = Functional::new();
            functional.push(block);
            functional.push(outer);
            functional.push_entry(place, ext(&mut rng));
            let scale = ext(&mut rng);
            let mut dense = Coefficients::zeros(functional.end());
            functional.add_to(scale, &mut dense);
            let dense = dense.to_ext(128);
            let at = point(&mut rng, 7);
            let slow: Ext = eq_table(&at, Ext::ONE).iter().zip(&dense).map(|(&e, &d)| e * d).sum();
            prop_assert_eq!(functional.evaluate(&at) * scale, slow);
        }

        #[test]
        fn evaluation_agrees_with_the_table(seed: u64, bits in 0usize..8, cut in 0usize..3) {
            let mut rng = StdRng::seed_from_u64(seed);
            let values: Vec<Base> = (0..(1usize << bits).saturating_sub(cut)).map(|_| Base::from_u64(rng.random())).collect();
            let at = point(&mut rng, bits);
            let slow: Ext = eq_table(&at, Ext::ONE).iter().zip(&values).map(|(&e, &v)| e * v).sum();
            prop_assert_eq!(evaluate(&values, &at), slow);
        }
    }
}
