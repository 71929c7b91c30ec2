//! Multilinear polynomials over the hypercube, and the public functionals that claims about them make.
//!
//! Index bits are read most significant first: the first coordinate of a point belongs to the highest bit.

use p3_field::PrimeCharacteristicRing;
use rayon::prelude::*;

use crate::packed::{LANES, Packed, lane_of, pack, unpack};
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
    /// Adds what `scale` times the term's coefficients are made of.
    fn pieces(&self, scale: Ext, pieces: &mut Vec<Piece>) {
        match self {
            Self::Block { scale: own, offset, rows, row_start, row_point, column_point } => {
                let columns = eq_table(column_point, scale * *own);
                for_eq_blocks(*row_start, *rows, |place, bits| {
                    let (high, low) = row_point.split_at(row_point.len() - bits);
                    let factor = eq_index(high, (row_start + place) >> bits);
                    if columns.len() == 1 {
                        // Tables of the square root of the size, at least a vector of the machine wide.
                        let (rows, inner) = low.split_at(low.len() - low.len().min(INNER_BITS));
                        let rows = eq_table(rows, factor * columns[0]);
                        pieces.push(Piece::new(offset + place, rows, &eq_table(inner, Ext::ONE)));
                    } else {
                        pieces.push(Piece::new(offset + place * columns.len(), eq_table(low, factor), &columns));
                    }
                });
            }
            Self::Outer { offset, rows, columns } => {
                let columns: Vec<Ext> = columns.iter().map(|&c| c * scale).collect();
                pieces.push(Piece::new(*offset, rows.clone(), &columns));
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

/// Index bits of an equality table's inner factor: small enough for the cache, many enough to hide the outer one.
const INNER_BITS: usize = 10;

/// Packed entries a thread computes at once; all terms that look at them are added while they are in the cache.
const BLOCK: usize = (1 << 13) / LANES;

/// Coefficients `rows[i]·columns[j]` at `offset + i·columns.len() + j`.
struct Piece {
    offset: usize,
    end: usize,
    rows: Vec<Ext>,
    columns: Columns,
}

enum Columns {
    /// Whole vectors of the machine that lie on whole vectors.
    Packed(Vec<Packed>),
    Single(Vec<Ext>),
}

impl Piece {
    fn new(offset: usize, rows: Vec<Ext>, columns: &[Ext]) -> Self {
        let whole = offset.is_multiple_of(LANES) && columns.len().is_multiple_of(LANES);
        let end = offset + rows.len() * columns.len();
        let columns = if whole { Columns::Packed(pack(columns)) } else { Columns::Single(columns.to_vec()) };
        Self { offset, end, rows, columns }
    }

    /// Adds the part that lies in a block, which starts at entry `start`.
    fn add_to(&self, start: usize, block: &mut [Packed]) {
        let (from, to) = (self.offset.max(start), self.end.min(start + block.len() * LANES));
        if from >= to {
            return;
        }
        match &self.columns {
            Columns::Packed(columns) => {
                let (mut at, end) = ((from - self.offset) / LANES, (to - self.offset) / LANES);
                let mut target = &mut block[(from - start) / LANES..];
                while at < end {
                    let (row, column) = (Packed::from(self.rows[at / columns.len()]), at % columns.len());
                    let count = (columns.len() - column).min(end - at);
                    let (slots, rest) = target.split_at_mut(count);
                    slots.iter_mut().zip(&columns[column..]).for_each(|(slot, &column)| *slot += row * column);
                    (at, target) = (at + count, rest);
                }
            }
            Columns::Single(columns) => {
                for index in from - self.offset..to - self.offset {
                    let place = self.offset + index - start;
                    let value = self.rows[index / columns.len()] * columns[index % columns.len()];
                    let (packed, lane) = lane_of(place, LANES);
                    block[packed].add_lane(lane, value);
                }
            }
        }
    }
}

/// The coefficients of a sum of functionals, entry by entry, packed; those beyond the end are zero.
#[derive(Clone, Debug)]
pub struct Coefficients {
    packed: Vec<Packed>,
}

impl Coefficients {
    /// The coefficients of `Σ scale·functional`.
    pub fn of<'a>(functionals: impl IntoIterator<Item = (Ext, &'a Functional)>) -> Self {
        let mut pieces = Vec::new();
        for (scale, functional) in functionals {
            functional.terms.iter().for_each(|term| term.pieces(scale, &mut pieces));
        }
        let end = pieces.iter().map(|piece| piece.end).max().unwrap_or(0);
        let mut packed = Packed::zeros(end.div_ceil(LANES));
        packed.par_chunks_mut(BLOCK).enumerate().for_each(|(index, block)| {
            for piece in &pieces {
                piece.add_to(index * BLOCK * LANES, block);
            }
        });
        Self { packed }
    }

    /// The coefficients, padded with zeros to `len`.
    pub fn to_ext(&self, len: usize) -> Vec<Ext> {
        let mut values = unpack(&self.packed);
        values.resize(len, Ext::ZERO);
        values
    }

    pub(crate) fn into_packed(self) -> Vec<Packed> {
        self.packed
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
            let mut other = Functional::new();
            other.push(Term::Block {
                scale: ext(&mut rng), offset: place, rows: 10 * rows, row_start: 7 * start,
                row_point: point(&mut rng, 7), column_point: Vec::new(),
            });
            let (scale, second) = (ext(&mut rng), ext(&mut rng));
            let dense = Coefficients::of([(scale, &functional), (second, &other)]).to_ext(128);
            let at = point(&mut rng, 7);
            let slow: Ext = eq_table(&at, Ext::ONE).iter().zip(&dense).map(|(&e, &d)| e * d).sum();
            prop_assert_eq!(functional.evaluate(&at) * scale + other.evaluate(&at) * second, slow);
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
