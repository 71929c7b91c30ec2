#![expect(
    clippy::inline_always,
    reason = "as calls these pass vectors of the machine through memory, at half the speed"
)]

use p3_field::Algebra;
use rayon::prelude::*;

use crate::Ext;
use crate::argument::Prover;
use crate::multilinear::PARALLEL;
use crate::packed::{LANES, Packed, unpack};
use crate::sumcheck::{self, Summand};

/// A layer of the tree of fractions.
pub(super) enum Layer {
    Packed(Fractions<Packed>),
    /// Too few to be packed.
    Single(Fractions<Ext>),
}

/// The fractions of a layer's first half, and those of its second: the `i`-th of both are added.
pub(super) struct Fractions<A> {
    pub(super) numerators: [Vec<A>; 2],
    pub(super) denominators: [Vec<A>; 2],
}

/// A layer and all above it, to the one of two fractions.
pub(super) fn tower(layer: Layer) -> Vec<Layer> {
    let mut layers = vec![layer];
    while let Some(above) = layers.last().and_then(Layer::above_if_any) {
        layers.push(above);
    }
    layers
}

impl Layer {
    fn above_if_any(&self) -> Option<Self> {
        match self {
            Self::Single(fractions) if fractions.numerators[0].len() == 1 => None,
            _ => Some(self.above()),
        }
    }

    /// The layer of the sums.
    pub(super) fn above(&self) -> Self {
        match self {
            Self::Packed(fractions) if fractions.numerators[0].len() < 8 => Self::Single(fractions.unpack().above()),
            Self::Packed(fractions) => Self::Packed(fractions.above()),
            Self::Single(fractions) => Self::Single(fractions.above()),
        }
    }

    /// The two fractions of the topmost layer, numerators first.
    pub(super) fn last(&self) -> [Ext; 4] {
        let Self::Single(Fractions { numerators: [n0, n1], denominators: [d0, d1] }) = self else {
            unreachable!("a layer of two fractions is not packed");
        };
        [n0[0], n1[0], d0[0], d1[0]]
    }

    /// Proves the claims about the layer above at `point` from this one.
    pub(super) fn prove(self, point: &[Ext], lambda: Ext, prover: &mut Prover<'_>) -> (Vec<Ext>, [Ext; 4]) {
        let (challenges, values) = match self {
            Self::Packed(fractions) => sumcheck::prove_packed(prover, fractions.mixed(lambda), point, &Crossed),
            Self::Single(fractions) => sumcheck::prove(prover, fractions.mixed(lambda), point, &Crossed),
        };
        (challenges, separated(values, lambda))
    }
}

impl Fractions<Packed> {
    fn unpack(&self) -> Fractions<Ext> {
        let [numerators, denominators] =
            [&self.numerators, &self.denominators].map(|halves| [0, 1].map(|h| unpack(&halves[h])));
        Fractions { numerators, denominators }
    }
}

impl<A: Algebra<Ext> + Copy + Send + Sync> Fractions<A> {
    fn above(&self) -> Self {
        let ([n0, n1], [d0, d1]) = (&self.numerators, &self.denominators);
        let half = n0.len() / 2;
        let [low, high] = [0..half, half..n0.len()].map(|range| -> (Vec<A>, Vec<A>) {
            let numerators = n0[range.clone()].par_iter().zip(&n1[range.clone()]);
            let denominators = d0[range.clone()].par_iter().zip(&d1[range]);
            let pairs = numerators.zip(denominators).with_min_len(PARALLEL / LANES);
            pairs.map(|((&n0, &n1), (&d0, &d1))| (A::dot_product(&[n0, n1], &[d1, d0]), d0 * d1)).unzip()
        });
        Self { numerators: [low.0, high.0], denominators: [low.1, high.1] }
    }

    /// `[n_0, n_1 + λ·d_1, d_0, d_1]`.
    fn mixed(self, lambda: Ext) -> [Vec<A>; 4] {
        let ([n0, mut n1], [d0, d1]) = (self.numerators, self.denominators);
        let lambda = A::from(lambda);
        n1.par_iter_mut().zip(&d1).with_min_len(PARALLEL / LANES).for_each(|(n, &d)| *n += d * lambda);
        [n0, n1, d0, d1]
    }
}

/// The numerators and denominators of mixed values.
pub(super) fn separated([n0, mixed, d0, d1]: [Ext; 4], lambda: Ext) -> [Ext; 4] {
    [n0, mixed - lambda * d1, d0, d1]
}

/// `n_0·d_1 + m·d_0`: with `m = n_1 + λ·d_1`, the numerator of a sum of two fractions and λ times its denominator.
pub(super) struct Crossed;

impl Summand<4> for Crossed {
    const DEGREE: usize = 2;
    #[inline(always)]
    fn evaluate<A: Algebra<Ext> + Copy>(&self, [n0, mixed, d0, d1]: [A; 4]) -> A {
        A::dot_product(&[n0, mixed], &[d1, d0])
    }
}
