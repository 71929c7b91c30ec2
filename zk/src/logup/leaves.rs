#![expect(
    clippy::inline_always,
    reason = "as calls these pass vectors of the machine through memory, at half the speed"
)]

use p3_field::{PackedValue, PrimeCharacteristicRing};
use rayon::prelude::*;

use super::fractions::{Crossed, Fractions, Layer, separated};
use super::{Lookups, Table, offset, powers};
use crate::argument::Prover;
use crate::multilinear::PARALLEL;
use crate::packed::{LANES, Packed, PackedBase};
use crate::sumcheck::{self, CHUNK, Weights};
use crate::{Base, Ext};

/// The fraction of every entry: 1 over a look-up, minus the multiplicity over a row, and 0/1 where nothing stands.
///
/// They are computed from the committed vector whenever they are needed, which takes little time and no memory.
pub(super) struct Leaves<'a> {
    vector: &'a [Base],
    len: usize,
    powers: [Ext; 3],
    segments: Vec<Segment<'a>>,
}

/// Neighbouring leaves of one kind.
struct Segment<'a> {
    start: usize,
    end: usize,
    kind: Kind<'a>,
    /// The denominator before columns are taken off.
    base: Ext,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    Nothing,
    Lookup(&'a [usize]),
    Table(&'a Table),
}

impl<'a> Leaves<'a> {
    pub(super) fn new(lookups: &'a Lookups, vector: &'a [Base], alpha: Ext, gamma: Ext) -> Self {
        let mut parts: Vec<Segment<'a>> = Vec::new();
        for lookup in lookups.entries.iter().filter(|lookup| lookup.rows > 0) {
            let (start, base) = (lookup.columns[0], offset(alpha, gamma, lookup.table));
            parts.push(Segment { start, end: start + lookup.rows, kind: Kind::Lookup(&lookup.columns), base });
        }
        for (index, &(ref table, start)) in lookups.tables.iter().enumerate() {
            let (end, base) = (start + (1 << table.bits()), offset(alpha, gamma, index));
            parts.push(Segment { start, end, kind: Kind::Table(table), base });
        }
        parts.sort_unstable_by_key(|part| part.start);
        let len = 1 << lookups.variables;
        let nothing = |start, end| Segment { start, end, kind: Kind::Nothing, base: Ext::ONE };
        let mut segments = Vec::with_capacity(2 * parts.len() + 1);
        let mut end = 0;
        for part in parts {
            if end < part.start {
                segments.push(nothing(end, part.start));
            }
            end = part.end;
            segments.push(part);
        }
        if end < len {
            segments.push(nothing(end, len));
        }
        Self { vector, len, powers: powers(gamma), segments }
    }

    /// Whether there are enough to be packed.
    pub(super) const fn are_many(&self) -> bool {
        self.len >= 32 * LANES
    }

    /// The fractions themselves, of a few.
    pub(super) fn layer(&self) -> Layer {
        let all =
            self.segments.iter().flat_map(|segment| (segment.start..segment.end).map(|i| self.single(segment, i)));
        let (mut n0, mut d0): (Vec<Ext>, Vec<Ext>) = all.map(|(n, d)| (Ext::from(n), d)).unzip();
        let (n1, d1) = (n0.split_off(self.len / 2), d0.split_off(self.len / 2));
        Layer::Single(Fractions { numerators: [n0, n1], denominators: [d0, d1] })
    }

    /// The layer of the sums of two leaves.
    pub(super) fn above(&self) -> Layer {
        let quarter = self.len / (4 * LANES);
        let [low, high] = [0, quarter].map(|start| -> (Vec<Packed>, Vec<Packed>) {
            let blocks = (start..start + quarter).into_par_iter().with_min_len(PARALLEL / LANES);
            let cursors = || [self.cursor(), self.cursor()];
            let sum = |[first, second]: &mut [Cursor<'_, '_>; 2], block: usize| {
                let ((n0, d0), (n1, d1)) = (first.at(block), second.at(block + 2 * quarter));
                (d1.times(n0) + d0.times(n1), d0 * d1)
            };
            blocks.map_init(cursors, sum).unzip()
        });
        Layer::Packed(Fractions { numerators: [low.0, high.0], denominators: [low.1, high.1] })
    }

    /// The layer above [`Self::above`].
    pub(super) fn above_twice(&self) -> Layer {
        let eighth = self.len / (8 * LANES);
        let [low, high] = [0, eighth].map(|start| -> (Vec<Packed>, Vec<Packed>) {
            let blocks = (start..start + eighth).into_par_iter().with_min_len(PARALLEL / LANES);
            let cursors = || -> [Cursor<'_, '_>; 4] { std::array::from_fn(|_| self.cursor()) };
            let sum = |cursors: &mut [Cursor<'_, '_>; 4], block: usize| {
                let [first, second] = pairs(cursors, block, 2 * eighth);
                let ((n0, d0), (n1, d1)) = (first.sum(), second.sum());
                (Packed::dot_product(&[n0, n1], &[d1, d0]), d0 * d1)
            };
            blocks.map_init(cursors, sum).unzip()
        });
        Layer::Packed(Fractions { numerators: [low.0, high.0], denominators: [low.1, high.1] })
    }

    /// Proves the claims about the layer above at `point`; as [`Layer::prove`].
    ///
    /// The first round and the binding of its variable compute the leaves as they go.
    pub(super) fn prove(&self, point: &[Ext], lambda: Ext, prover: &mut Prover<'_>) -> (Vec<Ext>, [Ext; 4]) {
        let quarter = self.len / (4 * LANES);
        let cursors = || -> [Cursor<'_, '_>; 4] { std::array::from_fn(|_| self.cursor()) };
        let weights = Weights::packed(point, point.len()).expect("many leaves have many coordinates");
        let mixer = Packed::from(lambda);
        let chunk = |cursors: &mut [Cursor<'_, '_>; 4], c: usize| {
            let (scale, weights) = weights.chunk(c);
            let mut sums = [Packed::ZERO; 2];
            for (block, &weight) in (c * CHUNK..).zip(weights) {
                let [low, high] = pairs(cursors, block, quarter);
                let two = |low: Packed, high: Packed| high.double() - low;
                let [mixed, high_mixed] = [&low, &high].map(|pair| (pair.d1 * mixer).plus(pair.n1));
                sums[0] += (low.d1.times(low.n0) + mixed * low.d0) * weight;
                let n0 = high.n0.double() - low.n0;
                let crossed = two(low.d1, high.d1).times(n0) + two(mixed, high_mixed) * two(low.d0, high.d0);
                sums[1] += crossed * weight;
            }
            sums.map(|sum| sum * scale)
        };
        let chunks = (0..quarter.div_ceil(CHUNK)).into_par_iter().map_init(cursors, chunk);
        let sums = chunks.reduce(|| [Packed::ZERO; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
        prover.send_all(&sums.map(|sum| sum.sum_lanes()));
        let challenge = prover.challenge();

        let factor = Packed::from(challenge);
        let bind = |cursors: &mut [Cursor<'_, '_>; 4], block: usize| {
            let [low, high] = pairs(cursors, block, quarter);
            let toward = |low: PackedBase, high: PackedBase| factor.times(high - low).plus(low);
            let d1 = low.d1.toward(high.d1, factor);
            let mixed = d1 * mixer + toward(low.n1, high.n1);
            ((toward(low.n0, high.n0), mixed), (low.d0.toward(high.d0, factor), d1))
        };
        let blocks = (0..quarter).into_par_iter().with_min_len(PARALLEL / LANES);
        let ((n0, mixed), (d0, d1)) = blocks.map_init(cursors, bind).unzip();
        let (mut challenges, values) = sumcheck::prove_packed(prover, [n0, mixed, d0, d1], &point[1..], &Crossed);
        challenges.insert(0, challenge);
        (challenges, separated(values, lambda))
    }

    const fn cursor(&self) -> Cursor<'_, 'a> {
        Cursor { leaves: self, segment: 0 }
    }

    fn single(&self, segment: &Segment<'_>, index: usize) -> (Base, Ext) {
        let taken = |columns: [Base; 3]| columns.iter().zip(&self.powers).map(|(&c, &power)| power * c).sum::<Ext>();
        let row = index - segment.start;
        match segment.kind {
            Kind::Nothing => (Base::ZERO, Ext::ONE),
            Kind::Lookup(columns) => {
                let column = |c: usize| columns.get(c).map_or(Base::ZERO, |start| self.vector[start + row]);
                (Base::ONE, segment.base - taken(std::array::from_fn(column)))
            }
            Kind::Table(table) => (-self.vector[index], segment.base - taken(table.row(row as u64))),
        }
    }

    /// The leaves of one vector of the machine that lies in a segment.
    #[inline(always)]
    fn packed(&self, segment: &Segment<'_>, index: usize) -> (PackedBase, Packed) {
        let row = index - segment.start;
        let entries = |start: usize| *PackedBase::from_slice(&self.vector[start..][..LANES]);
        let base = Packed::from(segment.base);
        match segment.kind {
            Kind::Nothing => (PackedBase::ZERO, base),
            Kind::Lookup([column]) => (PackedBase::ONE, base.minus(entries(column + row))),
            Kind::Lookup(columns) => {
                let column =
                    |d: Packed, (&start, &power): (&usize, &Ext)| d - Packed::from(power).times(entries(start + row));
                (PackedBase::ONE, columns.iter().zip(&self.powers).fold(base, column))
            }
            Kind::Table(table) => {
                let rows: [[Base; 3]; LANES] = std::array::from_fn(|lane| table.row((row + lane) as u64));
                let column = |d: Packed, c: usize| {
                    d - Packed::from(self.powers[c]).times(PackedBase::from_fn(|lane| rows[lane][c]))
                };
                (-entries(index), (0..table.columns()).fold(base, column))
            }
        }
    }
}

/// Two leaves that are added.
struct Pair {
    n0: PackedBase,
    n1: PackedBase,
    d0: Packed,
    d1: Packed,
}

impl Pair {
    #[inline(always)]
    fn sum(&self) -> (Packed, Packed) {
        (self.d1.times(self.n0) + self.d0.times(self.n1), self.d0 * self.d1)
    }
}

/// The pairs of a block with the first variable at 0 and at 1.
#[inline(always)]
fn pairs([a, b, c, d]: &mut [Cursor<'_, '_>; 4], block: usize, quarter: usize) -> [Pair; 2] {
    let pair = |first: &mut Cursor<'_, '_>, second: &mut Cursor<'_, '_>, block: usize| {
        let ((n0, d0), (n1, d1)) = (first.at(block), second.at(block + 2 * quarter));
        Pair { n0, n1, d0, d1 }
    };
    [pair(a, c, block), pair(b, d, block + quarter)]
}

/// Reads leaves one after another, a vector of the machine at a time.
struct Cursor<'l, 'a> {
    leaves: &'l Leaves<'a>,
    /// Where the last leaf was.
    segment: usize,
}

impl Cursor<'_, '_> {
    #[inline(always)]
    fn at(&mut self, block: usize) -> (PackedBase, Packed) {
        let index = block * LANES;
        let segment = &self.leaves.segments[self.segment];
        if segment.start <= index && index + LANES <= segment.end {
            return self.leaves.packed(segment, index);
        }
        self.seek(index)
    }

    #[cold]
    #[inline(never)]
    fn seek(&mut self, index: usize) -> (PackedBase, Packed) {
        let leaves = self.leaves;
        let holder = |index: usize| leaves.segments.partition_point(|segment| segment.end <= index);
        self.segment = holder(index);
        let segment = &leaves.segments[self.segment];
        if index + LANES <= segment.end {
            return leaves.packed(segment, index);
        }
        let singles: [(Base, Ext); LANES] =
            std::array::from_fn(|lane| leaves.single(&leaves.segments[holder(index + lane)], index + lane));
        (
            PackedBase::from_fn(|lane| singles[lane].0),
            Packed::from_ext_slice(&singles.map(|(_, denominator)| denominator)),
        )
    }
}
