//! Bounds on the largest coefficient of the noise `v` of a ciphertext: its phase is `(Q/t)·m + v` modulo `Q`.
//!
//! The encoding's rounding is part of `v`. Where a polynomial's coefficients are independent, given the other factor,
//! a product's coefficients are sums of independent terms, which [`NoiseModel`](crate::noise::NoiseModel) bounds; for
//! parts of ciphertexts that they are as good as uniform is the assumption under which they hide anything.

use crate::Parameters;
use crate::noise::{CoefficientBound, TERNARY_DEVIATION, UNIFORM_DEVIATION};
use crate::ring::sample::{ERROR_BOUND, ERROR_DEVIATION};

/// What `round(Q·m/t)` is off by, at most.
pub(super) fn encoding() -> CoefficientBound {
    CoefficientBound::new(0.5)
}

/// An error and the encoding's rounding.
pub(super) fn fresh_secret() -> CoefficientBound {
    CoefficientBound::new(f64::from(ERROR_BOUND)).plus(encoding())
}

/// `e·u + e_0 + e_1·s`, and the encoding's rounding; the public key's error has as many parts as its secret.
pub(crate) fn fresh_public(ring: &Parameters, secret: f64) -> CoefficientBound {
    let (noise, parts) = (ring.noise(), secret / TERNARY_DEVIATION);
    noise
        .largest_of_product(ERROR_DEVIATION * parts, noise.euclidean(TERNARY_DEVIATION))
        .plus(noise.largest_of_product(ERROR_DEVIATION, noise.euclidean(secret)))
        .plus(fresh_secret())
}

/// What rounding of two parts adds: `ε_0 + ε_1·s`.
pub(super) fn rounding(ring: &Parameters, secret: f64) -> CoefficientBound {
    let noise = ring.noise();
    CoefficientBound::new(0.5).plus(noise.largest_of_product(UNIFORM_DEVIATION, noise.euclidean(secret)))
}

/// What key switching adds: `Σ_d digit_d·e_d / P` and the rounding of both parts; the key's errors are as many as the
/// secret has parts, or `factor` times as large.
pub(super) fn switching(ring: &Parameters, level: usize, secret: f64, factor: f64) -> CoefficientBound {
    let (noise, special) = (ring.noise(), ring.special());
    let moduli: Vec<f64> = ring.ciphertext_basis().moduli().take(level).map(|q| (q.value() as f64).log2()).collect();
    let divisor = ring.key_basis().log2(special);
    let errors = noise.euclidean(ERROR_DEVIATION * factor * secret / TERNARY_DEVIATION);
    moduli
        .chunks(special)
        .map(|digit| noise.largest_of_product(UNIFORM_DEVIATION, errors).scaled(digit.iter().sum::<f64>() - divisor))
        .fold(rounding(ring, secret), CoefficientBound::plus)
}

/// The three parts of a product of two ciphertexts with noises `v` and `w`, `t` and `Q` by their logarithms.
///
/// With the phases `x = (Q/t)·m + v + Q·k` and `y` likewise, as integers, `(t/Q)·x·y` is `(Q/t)·m·m'` modulo `Q` and
/// `(t/Q)·(v·y + w·x − v·w)`; then the parts' rounding adds `ε_0 + ε_1·s + ε_2·s²`. In `v·y = v·c_0 + (v·s)·c_1` the
/// parts are as good as uniform, and `‖v·s‖₂ ≤ ‖v‖₂·max|s(ζ)|`.
pub(super) fn product(
    ring: &Parameters,
    secret: f64,
    (log_t, log_q): (f64, f64),
    (v, w): (CoefficientBound, CoefficientBound),
) -> CoefficientBound {
    let noise = ring.noise();
    let half_degree = (ring.degree() as f64).log2() / 2.0;
    let canonical = noise.random(secret).log2().exp2();
    let linear = noise.largest_of_product(UNIFORM_DEVIATION, 1.0 + canonical).scaled(log_t + half_degree);
    let square = v.scaled(w.log2() + 2.0 * half_degree + log_t - log_q);
    let rounding =
        rounding(ring, secret).plus(noise.largest_of_product(UNIFORM_DEVIATION, canonical * noise.euclidean(secret)));
    v.plus(w).scaled(linear.log2()).plus(square).plus(rounding)
}
