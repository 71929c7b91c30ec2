use std::ops::{Add, AddAssign, Sub};

use p3_field::PrimeCharacteristicRing;

use crate::Ext;

/// A value the verifier knows up to one-time pads: `constant + Σ coefficient_i · pad_i`.
///
/// In a transparent proof there are no pads, and it is just a number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Affine {
    pub(super) constant: Ext,
    /// Pads by index, each at most once, in increasing order.
    pub(super) terms: Vec<(usize, Ext)>,
}

impl Affine {
    /// A known number.
    pub const fn known(constant: Ext) -> Self {
        Self { constant, terms: Vec::new() }
    }

    /// `constant − pad`: what a message hides.
    pub(super) fn masked(constant: Ext, pad: usize) -> Self {
        Self { constant, terms: vec![(pad, -Ext::ONE)] }
    }

    /// The pad itself.
    pub(super) fn pad(pad: usize) -> Self {
        Self { constant: Ext::ZERO, terms: vec![(pad, Ext::ONE)] }
    }

    /// `factor` times the value.
    pub fn scaled(mut self, factor: Ext) -> Self {
        self.constant *= factor;
        for (_, coefficient) in &mut self.terms {
            *coefficient *= factor;
        }
        self
    }

    /// Adds `factor · other`.
    pub fn add_scaled(&mut self, other: &Self, factor: Ext) {
        self.constant += other.constant * factor;
        if other.terms.is_empty() {
            return;
        }
        let mut merged = Vec::with_capacity(self.terms.len() + other.terms.len());
        let mut own = std::mem::take(&mut self.terms).into_iter().peekable();
        for &(pad, coefficient) in &other.terms {
            while let Some(term) = own.next_if(|&(earlier, _)| earlier < pad) {
                merged.push(term);
            }
            let before = own.next_if(|&(same, _)| same == pad).map_or(Ext::ZERO, |(_, before)| before);
            merged.push((pad, before + coefficient * factor));
        }
        merged.extend(own);
        self.terms = merged;
    }

    /// `Σ factor·value`, for many values: linear in the greatest pad and in all terms.
    pub(super) fn sum<'a>(values: impl IntoIterator<Item = (Ext, &'a Self)>) -> Self {
        let (mut constant, mut dense) = (Ext::ZERO, Vec::new());
        for (factor, value) in values {
            constant += value.constant * factor;
            let pads = value.terms.last().map_or(0, |&(pad, _)| pad + 1);
            dense.resize(dense.len().max(pads), Ext::ZERO);
            for &(pad, coefficient) in &value.terms {
                dense[pad] += coefficient * factor;
            }
        }
        let terms = dense.into_iter().enumerate().filter(|&(_, coefficient)| coefficient != Ext::ZERO).collect();
        Self { constant, terms }
    }

    /// The value, given the pads.
    pub(super) fn open(&self, pads: &[Ext]) -> Ext {
        self.constant + self.terms.iter().map(|&(pad, coefficient)| pads[pad] * coefficient).sum::<Ext>()
    }
}

impl From<Ext> for Affine {
    fn from(constant: Ext) -> Self {
        Self::known(constant)
    }
}

impl AddAssign<&Self> for Affine {
    fn add_assign(&mut self, other: &Self) {
        self.add_scaled(other, Ext::ONE);
    }
}

impl Add<&Self> for Affine {
    type Output = Self;
    fn add(mut self, other: &Self) -> Self {
        self += other;
        self
    }
}

impl Sub<&Self> for Affine {
    type Output = Self;
    fn sub(mut self, other: &Self) -> Self {
        self.add_scaled(other, -Ext::ONE);
        self
    }
}

impl Add<Ext> for Affine {
    type Output = Self;
    fn add(mut self, constant: Ext) -> Self {
        self.constant += constant;
        self
    }
}

impl Sub<Ext> for Affine {
    type Output = Self;
    fn sub(mut self, constant: Ext) -> Self {
        self.constant -= constant;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_scales_open_to_the_same_values() {
        let pads: Vec<Ext> = (0..4).map(|i| Ext::from_u64(100 + i)).collect();
        let number = |n: u64| Ext::from_u64(n);
        let a = Affine::masked(number(7), 2) + &Affine::pad(0).scaled(number(3));
        let b = Affine::masked(number(1), 1) + &Affine::pad(2).scaled(number(5));
        let sum = a.clone().scaled(number(2)) - &b + number(9);
        assert_eq!(sum.open(&pads), a.open(&pads) * number(2) - b.open(&pads) + number(9));
        assert_eq!(sum.terms.iter().map(|t| t.0).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(a.open(&pads), number(7) - number(102) + number(300));
    }
}
