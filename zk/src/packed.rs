#![expect(
    clippy::inline_always,
    reason = "as calls these pass vectors of the machine through memory, at half the speed"
)]

use std::iter::{Product, Sum};
use std::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use p3_field::{Algebra, BasedVectorSpace, Field, PackedValue, PrimeCharacteristicRing};
use rayon::prelude::*;

use crate::multilinear::PARALLEL;
use crate::{Base, EXTENSION_DEGREE, Ext};

/// As many base elements as the machine's vectors hold.
pub(crate) type PackedBase = <Base as Field>::Packing;

/// How many that is: one where the code was compiled without vectors.
pub(crate) const LANES: usize = <PackedBase as PackedValue>::WIDTH;

/// As many extension elements as the machine's vectors hold, coefficient by coefficient.
///
/// The type of `p3-field` does the same; its product is a call that passes everything through memory, and a sum of two
/// products is reduced twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packed([PackedBase; EXTENSION_DEGREE]);

impl Packed {
    /// The elements of [`LANES`] entries.
    pub(crate) fn from_ext_slice(values: &[Ext]) -> Self {
        let coefficient =
            |c: usize, lane: usize| BasedVectorSpace::<Base>::as_basis_coefficients_slice(&values[lane])[c];
        Self(std::array::from_fn(|c| PackedBase::from_fn(|lane| coefficient(c, lane))))
    }

    /// The element of one lane.
    pub(crate) fn lane(&self, lane: usize) -> Ext {
        Ext::from_basis_coefficients_fn(|c| self.0[c].as_slice()[lane])
    }

    fn set_lane(&mut self, lane: usize, value: Ext) {
        let coefficients: &[Base] = value.as_basis_coefficients_slice();
        for (packed, &coefficient) in self.0.iter_mut().zip(coefficients) {
            packed.as_slice_mut()[lane] = coefficient;
        }
    }

    pub(crate) fn add_lane(&mut self, lane: usize, value: Ext) {
        self.set_lane(lane, self.lane(lane) + value);
    }

    /// The sum of all lanes.
    pub(crate) fn sum_lanes(&self) -> Ext {
        (0..LANES).map(|lane| self.lane(lane)).sum()
    }

    /// `self + factor·(other − self)`.
    #[inline(always)]
    pub(crate) fn toward(self, other: Self, factor: Self) -> Self {
        (other - self) * factor + self
    }

    /// The elements of the base field.
    #[inline(always)]
    pub(crate) const fn from_base(value: PackedBase) -> Self {
        Self([value, PackedBase::ZERO, PackedBase::ZERO])
    }

    #[inline(always)]
    pub(crate) fn plus(mut self, value: PackedBase) -> Self {
        self.0[0] += value;
        self
    }

    #[inline(always)]
    pub(crate) fn minus(mut self, value: PackedBase) -> Self {
        self.0[0] -= value;
        self
    }

    #[inline(always)]
    pub(crate) fn times(self, factor: PackedBase) -> Self {
        let [a, b, c] = self.0;
        Self([a * factor, b * factor, c * factor])
    }

    /// Zeros, written by all threads: they meet the pages for the first time.
    pub(crate) fn zeros(len: usize) -> Vec<Self> {
        (0..len).into_par_iter().with_min_len(PARALLEL / LANES).map(|_| Self::ZERO).collect()
    }
}

/// Packs whole vectors of entries.
pub(crate) fn pack(values: &[Ext]) -> Vec<Packed> {
    values.par_chunks_exact(LANES).with_min_len(PARALLEL / LANES).map(Packed::from_ext_slice).collect()
}

/// The entries of packed ones.
pub(crate) fn unpack(values: &[Packed]) -> Vec<Ext> {
    values.iter().flat_map(|packed| (0..LANES).map(|lane| packed.lane(lane))).collect()
}

/// The packed element and the lane in it of an entry.
pub(crate) const fn lane_of(index: usize, lanes: usize) -> (usize, usize) {
    (index / lanes, index % lanes)
}

/// `X³ = X + 1`: each coefficient of a product is a sum of three products, reduced once.
#[inline(always)]
fn rows([b0, b1, b2]: [PackedBase; 3]) -> [[PackedBase; 3]; 3] {
    let (b02, b12) = (b0 + b2, b1 + b2);
    [[b0, b2, b1], [b1, b02, b12], [b2, b1, b02]]
}

impl Mul for Packed {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // Written out: of a closure the compiler makes a call.
        let [r0, r1, r2] = rows(other.0);
        let dot = PackedBase::dot_product::<3>;
        Self([dot(&self.0, &r0), dot(&self.0, &r1), dot(&self.0, &r2)])
    }
}

/// `a·b + c·d`, each coefficient reduced once.
#[inline(always)]
fn two_products([a, c]: [Packed; 2], [b, d]: [Packed; 2]) -> Packed {
    let ([b0, b1, b2], [d0, d1, d2]) = (rows(b.0), rows(d.0));
    let left = join(a.0, c.0);
    let dot = PackedBase::dot_product::<6>;
    Packed([dot(&left, &join(b0, d0)), dot(&left, &join(b1, d1)), dot(&left, &join(b2, d2))])
}

#[inline(always)]
const fn join([a, b, c]: [PackedBase; 3], [d, e, f]: [PackedBase; 3]) -> [PackedBase; 6] {
    [a, b, c, d, e, f]
}

impl PrimeCharacteristicRing for Packed {
    type PrimeSubfield = Base;

    const ZERO: Self = Self([PackedBase::ZERO; 3]);
    const ONE: Self = Self([PackedBase::ONE, PackedBase::ZERO, PackedBase::ZERO]);
    const TWO: Self = Self([PackedBase::TWO, PackedBase::ZERO, PackedBase::ZERO]);
    const NEG_ONE: Self = Self([PackedBase::NEG_ONE, PackedBase::ZERO, PackedBase::ZERO]);

    fn from_prime_subfield(value: Base) -> Self {
        Self::from_base(PackedBase::broadcast(value))
    }

    #[inline(always)]
    fn dot_product<const N: usize>(left: &[Self; N], right: &[Self; N]) -> Self {
        if N == 2 {
            return two_products([left[0], left[1]], [right[0], right[1]]);
        }
        left.iter().zip(right).map(|(&a, &b)| a * b).sum()
    }
}

impl From<Ext> for Packed {
    #[inline(always)]
    fn from(value: Ext) -> Self {
        let coefficients: &[Base] = value.as_basis_coefficients_slice();
        let broadcast = PackedBase::broadcast;
        Self([broadcast(coefficients[0]), broadcast(coefficients[1]), broadcast(coefficients[2])])
    }
}

impl Add for Packed {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let ([a, b, c], [d, e, f]) = (self.0, other.0);
        Self([a + d, b + e, c + f])
    }
}

impl Sub for Packed {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let ([a, b, c], [d, e, f]) = (self.0, other.0);
        Self([a - d, b - e, c - f])
    }
}

impl Neg for Packed {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        let [a, b, c] = self.0;
        Self([-a, -b, -c])
    }
}

macro_rules! with_ext {
    ($trait:ident, $method:ident) => {
        impl $trait<Ext> for Packed {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Ext) -> Self {
                $trait::$method(self, Self::from(other))
            }
        }
    };
}

with_ext!(Add, add);
with_ext!(Sub, sub);
with_ext!(Mul, mul);

macro_rules! assign {
    ($trait:ident, $method:ident, $operation:ident, $with:ty) => {
        impl $trait<$with> for Packed {
            #[inline(always)]
            fn $method(&mut self, other: $with) {
                *self = (*self).$operation(other);
            }
        }
    };
}

assign!(AddAssign, add_assign, add, Packed);
assign!(SubAssign, sub_assign, sub, Packed);
assign!(MulAssign, mul_assign, mul, Packed);
assign!(AddAssign, add_assign, add, Ext);
assign!(SubAssign, sub_assign, sub, Ext);
assign!(MulAssign, mul_assign, mul, Ext);

impl Algebra<Ext> for Packed {}

impl Sum for Packed {
    fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
        values.fold(Self::ZERO, |sum, value| sum + value)
    }
}

impl Product for Packed {
    fn product<I: Iterator<Item = Self>>(values: I) -> Self {
        values.fold(Self::ONE, |product, value| product * value)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn every_lane_computes_as_the_extension_does() {
        let rng = &mut StdRng::seed_from_u64(2);
        let mut random =
            || -> Vec<Ext> { (0..LANES).map(|_| Ext::from_basis_coefficients_fn(|_| rng.random::<Base>())).collect() };
        let [a, b, c, d] = std::array::from_fn(|_| random());
        let [pa, pb, pc, pd] = [&a, &b, &c, &d].map(|values| Packed::from_ext_slice(values));
        let numbers: Vec<Base> = (0..LANES).map(|_| rng.random()).collect();
        let packed = *PackedBase::from_slice(&numbers);
        for lane in 0..LANES {
            let [a, b, c, d, n] = [a[lane], b[lane], c[lane], d[lane], numbers[lane].into()];
            assert_eq!((pa * pb).lane(lane), a * b);
            assert_eq!(Packed::dot_product(&[pa, pb], &[pc, pd]).lane(lane), a * c + b * d);
            assert_eq!(Packed::dot_product(&[pa, pb, pc], &[pc, pd, pa]).lane(lane), a * c + b * d + c * a);
            assert_eq!(pa.toward(pb, pc).lane(lane), a + c * (b - a));
            assert_eq!((pa.times(packed).plus(packed) - pb).lane(lane), a * n + n - b);
            assert_eq!(pa.minus(packed).lane(lane), a - n);
            assert_eq!((pa * b + c - d).lane(lane), a * b + c - d);
            assert_eq!((-pa).lane(lane), -a);
        }
        let mut changed = pa;
        changed.add_lane(LANES - 1, d[0]);
        assert_eq!(changed.lane(LANES - 1), a[LANES - 1] + d[0]);
        assert_eq!(changed.sum_lanes(), a.iter().copied().sum::<Ext>() + d[0]);
        assert_eq!(unpack(&pack(&[a.clone(), b.clone()].concat())), [a, b].concat());
    }
}
