use std::fmt;
use std::sync::{Arc, OnceLock};

use super::modulus::{PlaintextModulus, Shape};
use super::multiply::Auxiliary;
use super::noise;
use super::plaintext::Plaintext;
use super::scaling::Scaling;
use crate::noise::{CoefficientBound, TERNARY_DEVIATION};
use crate::ring::{Coeff, Poly};
use crate::{FheError, Parameters};

/// How many primes of `Q` base conversion goes from.
const MAX_LEVELS: usize = 15;

/// By how much, in bits, noise must stay below half of `Q/t`: for the encoding's and the decoding's own rounding.
const MARGIN: f64 = 0.01;

/// A ring with its primes, and the plaintext modulus `t`.
///
/// Cloning is cheap. Two are equal if their rings and their plaintext moduli are.
#[derive(Clone)]
pub struct BfvParameters(Arc<Inner>);

struct Inner {
    ring: Parameters,
    modulus: PlaintextModulus,
    /// By level − 1.
    scalings: Vec<Scaling>,
    /// Made when first a product is: many uses have none.
    auxiliary: OnceLock<Result<Auxiliary, FheError>>,
}

impl BfvParameters {
    /// Plaintexts modulo `modulus`, encrypted in the ring of `ring`.
    ///
    /// # Errors
    /// [`FheError::PlaintextDividesModulus`] if `t` is one of the ring's primes, [`FheError::Levels`] for more than 15
    /// primes, and [`FheError::NoiseTooLarge`] if not even a fresh encryption could be decrypted.
    pub fn new(ring: &Parameters, modulus: PlaintextModulus) -> Result<Self, FheError> {
        if ring.levels() > MAX_LEVELS {
            return Err(FheError::Levels { moduli: ring.levels(), special: ring.special() });
        }
        let basis = ring.ciphertext_basis();
        if let Shape::Prime(t) = modulus.shape()
            && ring.key_basis().moduli().any(|q| q == t)
        {
            return Err(FheError::PlaintextDividesModulus(t.value()));
        }
        let scalings = (1..=ring.levels()).map(|level| Scaling::new(modulus, basis, level)).collect();
        let parameters = Self(Arc::new(Inner { ring: ring.clone(), modulus, scalings, auxiliary: OnceLock::new() }));
        parameters.bears(noise::fresh_public(ring, TERNARY_DEVIATION), ring.levels())?;
        Ok(parameters)
    }

    /// The ring.
    pub fn ring(&self) -> &Parameters {
        &self.0.ring
    }

    /// `t`.
    pub fn modulus(&self) -> PlaintextModulus {
        self.0.modulus
    }

    /// The ring's degree `N`.
    pub fn degree(&self) -> usize {
        self.0.ring.degree()
    }

    /// The largest noise with which a ciphertext of this level decrypts: a little less than `Q/2t`.
    pub fn capacity(&self, level: usize) -> CoefficientBound {
        CoefficientBound::from_log2(self.log2(level) - self.0.modulus.log2() - 1.0 - MARGIN)
    }

    /// `log2 Q` at a level.
    pub(super) fn log2(&self, level: usize) -> f64 {
        self.0.ring.ciphertext_basis().log2(level)
    }

    /// # Errors
    /// [`FheError::NoiseTooLarge`] unless a ciphertext of this level and noise decrypts to what it was made from.
    pub(crate) fn bears(&self, noise: CoefficientBound, level: usize) -> Result<(), FheError> {
        let allowed = self.capacity(level);
        if noise <= allowed {
            return Ok(());
        }
        Err(FheError::NoiseTooLarge { noise: noise.log2(), allowed: allowed.log2() })
    }

    /// # Errors
    /// [`FheError::Parameters`] and [`FheError::PlaintextModuli`], naming both, if the other's are not these.
    pub(crate) fn matches(&self, other: &Self) -> Result<(), FheError> {
        self.0.ring.matches(&other.0.ring)?;
        self.0.modulus.matches(other.0.modulus)
    }

    /// # Errors
    /// [`FheError::Degree`] and [`FheError::PlaintextModuli`] for a plaintext of another ring or modulus.
    pub(crate) fn holds(&self, plaintext: &Plaintext) -> Result<(), FheError> {
        if plaintext.degree() != self.degree() {
            return Err(FheError::Degree(plaintext.degree()));
        }
        self.0.modulus.matches(plaintext.modulus())
    }

    /// `round(Q·m/t)`, what a phase of this level carries.
    ///
    /// # Errors
    /// As [`Self::holds`].
    pub(crate) fn scale_up(&self, plaintext: &Plaintext, level: usize) -> Result<Poly<Coeff>, FheError> {
        self.holds(plaintext)?;
        Ok(self.0.scalings[level - 1].up(plaintext, self.0.ring.ciphertext_basis()))
    }

    /// The plaintext that a phase with this noise carries.
    ///
    /// # Errors
    /// [`FheError::NoiseTooLarge`].
    pub(crate) fn scale_down(&self, phase: &Poly<Coeff>, noise: CoefficientBound) -> Result<Plaintext, FheError> {
        self.bears(noise, phase.limbs())?;
        Ok(self.scaled_down(phase))
    }

    pub(super) fn scaled_down(&self, phase: &Poly<Coeff>) -> Plaintext {
        self.0.scalings[phase.limbs() - 1].down(phase)
    }

    /// # Errors
    /// [`FheError::ProductTooLarge`].
    pub(super) fn auxiliary(&self) -> Result<&Auxiliary, FheError> {
        self.0.auxiliary.get_or_init(|| Auxiliary::new(&self.0.ring, self.0.modulus)).as_ref().map_err(Clone::clone)
    }
}

impl PartialEq for BfvParameters {
    fn eq(&self, other: &Self) -> bool {
        self.0.ring == other.0.ring && self.0.modulus == other.0.modulus
    }
}

impl Eq for BfvParameters {}

impl fmt::Display for BfvParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, plaintexts modulo {}", self.0.ring, self.0.modulus)
    }
}

impl fmt::Debug for BfvParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BfvParameters({self})")
    }
}
