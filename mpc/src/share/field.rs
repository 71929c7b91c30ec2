use curve25519_dalek::Scalar;
use p3_field::integers::QuotientMap;
use p3_field::{Field, PrimeCharacteristicRing, PrimeField64};
use p3_goldilocks::Goldilocks;
use rand_core::CryptoRng;
use zeroize::Zeroize;

/// A prime field larger than 2³² over which secrets are shared.
///
/// Implemented for [`Scalar`] (ℓ = 2²⁵² + …, the order of Ristretto) and for [`Goldilocks`] (2⁶⁴ − 2³² + 1).
/// The order must exceed 2³², or two evaluation points could be equal in the field.
pub trait ShareField: Copy + PartialEq + Send + Sync + sealed::Sealed {
    /// The sum's neutral element.
    const ZERO: Self;
    /// The product's neutral element.
    const ONE: Self;
    /// The image of an integer.
    fn from_u32(value: u32) -> Self;
    /// `self + other`.
    fn plus(self, other: Self) -> Self;
    /// `self − other`.
    fn minus(self, other: Self) -> Self;
    /// `self · other`.
    fn times(self, other: Self) -> Self;
    /// `1 / self` of an element that is not zero.
    fn inverse(self) -> Self;
    /// A uniform element.
    fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self;
    /// Overwrites the element with zero, as far as the compiler can be made to (best effort).
    fn erase(&mut self);
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for curve25519_dalek::Scalar {}
    impl Sealed for p3_goldilocks::Goldilocks {}
}

impl ShareField for Scalar {
    const ZERO: Self = Scalar::ZERO;
    const ONE: Self = Scalar::ONE;

    fn from_u32(value: u32) -> Self {
        Scalar::from(value)
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn minus(self, other: Self) -> Self {
        self - other
    }

    fn times(self, other: Self) -> Self {
        self * other
    }

    fn inverse(self) -> Self {
        self.invert()
    }

    fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Scalar::random(rng)
    }

    fn erase(&mut self) {
        self.zeroize();
    }
}

impl ShareField for Goldilocks {
    const ZERO: Self = <Goldilocks as PrimeCharacteristicRing>::ZERO;
    const ONE: Self = <Goldilocks as PrimeCharacteristicRing>::ONE;

    fn from_u32(value: u32) -> Self {
        <Goldilocks as PrimeCharacteristicRing>::from_u32(value)
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn minus(self, other: Self) -> Self {
        self - other
    }

    fn times(self, other: Self) -> Self {
        self * other
    }

    fn inverse(self) -> Self {
        Field::inverse(&self)
    }

    fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        loop {
            // Rejection keeps the draw uniform; a draw is refused with probability 2⁻³².
            let candidate = rng.next_u64();
            if candidate < Goldilocks::ORDER_U64 {
                return Goldilocks::from_int(candidate);
            }
        }
    }

    fn erase(&mut self) {
        *self = <Goldilocks as PrimeCharacteristicRing>::ZERO;
        // The type has no volatile write of its own; the fences keep the store from being dropped as dead.
        std::hint::black_box(&mut *self);
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
    }
}
