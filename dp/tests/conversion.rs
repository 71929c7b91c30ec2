//! ρ to (ε, δ) and back against independent computations.

use nexus_dp::account::{Delta, Rho};
use proptest::prelude::*;
use statrs::function::erf::erfc;

fn delta(value: f64) -> Delta {
    Delta::new(value).unwrap()
}

fn rho(value: f64) -> Rho {
    Rho::rounded_up(value).unwrap()
}

/// Proposition 12 as printed, least over a fine grid of α − 1 in steps of one part in a thousand; and the sum of the
/// sizes of its terms there, to which errors are relative: near ε = 0 the terms cancel.
fn epsilon_on_grid(rho: f64, delta: f64) -> (f64, f64) {
    (-20_000..30_000)
        .map(|i| {
            let alpha = 1.0 + (f64::from(i) / 1_000.0).exp();
            let terms = [rho * alpha, ((alpha - 1.0) / alpha).ln(), -(delta * alpha).ln() / (alpha - 1.0)];
            (terms.iter().sum(), terms.iter().map(|term| term.abs()).sum())
        })
        .fold((f64::INFINITY, 0.0), |least, next| if next.0 < least.0 { next } else { least })
}

/// δ of one Gaussian release of zCDP cost ρ at ε, exactly: Balle and Wang (2018, arXiv 1805.06530), Theorem 8.
fn delta_of_gaussian(rho: f64, epsilon: f64) -> f64 {
    let mu = (2.0 * rho).sqrt();
    let normal = |x: f64| 0.5 * erfc(-x / std::f64::consts::SQRT_2);
    normal(-epsilon / mu + mu / 2.0) - epsilon.exp() * normal(-epsilon / mu - mu / 2.0)
}

/// (ρ, δ, ε) of Proposition 12, minimised in 40-digit arithmetic.
const KNOWN: [(f64, f64, f64); 9] = [
    (0.5, 1e-5, 4.728_386_984_943_314),
    (0.5, 1e-6, 5.221_534_444_530_169),
    (2.5, 1e-10, 16.922_754_881_777_8),
    (0.0625, 1e-6, 1.659_979_049_968_869),
    (0.000_976_562_5, 1e-6, 0.180_606_392_756_292),
    (9.536_743_164_062_5e-7, 1e-5, 0.003_363_919_985_447_093),
    (10.0, 1e-5, 30.110_857_303_795_73),
    (100.0, 1e-9, 189.055_652_902_111_6),
    (1.0, 0.1, 2.854_981_883_034_463),
];

#[test]
fn known_conversions_are_met_from_above() {
    for (cost, delta_value, expected) in KNOWN {
        let epsilon = rho(cost).epsilon(delta(delta_value));
        assert!((expected..expected * (1.0 + 1e-9)).contains(&epsilon), "ρ = {cost}, δ = {delta_value}: {epsilon}");
    }
}

#[test]
fn no_cost_is_no_loss() {
    assert!(Rho::ZERO.epsilon(delta(1e-9)).abs() < f64::MIN_POSITIVE);
    assert!(Rho::ZERO.delta(0.0).unwrap().abs() < f64::MIN_POSITIVE);
}

proptest! {
    #[test]
    fn epsilon_is_the_least_over_a_grid_and_no_less(log_rho in -16.0..5.0_f64, log_delta in -30.0..-1.0_f64) {
        let (cost, delta_value) = (rho(log_rho.exp()), log_delta.exp());
        let epsilon = cost.epsilon(delta(delta_value));
        let (grid, sizes) = epsilon_on_grid(cost.value(), delta_value);
        // The grid is at most half a thousandth off in ln(α − 1), which moves the terms by their millionth.
        prop_assert!(epsilon <= grid.max(0.0) + 1e-13 * sizes, "{epsilon} above {grid}");
        prop_assert!(epsilon >= grid - 1e-6 * sizes, "{epsilon} below {grid}");
    }

    #[test]
    fn epsilon_lies_between_the_exact_gaussian_and_the_simple_bound(
        log_rho in -8.0..2.0_f64, log_delta in -25.0..-3.0_f64,
    ) {
        let (cost, delta_value) = (rho(log_rho.exp()), log_delta.exp());
        let epsilon = cost.epsilon(delta(delta_value));
        // A Gaussian release of this cost has δ at this ε no greater than claimed.
        prop_assert!(delta_of_gaussian(cost.value(), epsilon) <= delta_value);
        // Bun and Steinke (2016), Proposition 1.3.
        prop_assert!(epsilon <= cost.value() + 2.0 * (cost.value() * -delta_value.ln()).sqrt());
    }

    #[test]
    fn delta_inverts_epsilon(log_rho in -8.0..3.0_f64, log_delta in -30.0..-2.0_f64) {
        let (cost, delta_value) = (rho(log_rho.exp()), log_delta.exp());
        let epsilon = cost.epsilon(delta(delta_value));
        prop_assume!(epsilon > 0.0);
        let back = cost.delta(epsilon).unwrap();
        prop_assert!((back / delta_value - 1.0).abs() < 1e-6, "{back} for {delta_value}");
    }

    #[test]
    fn delta_is_no_less_than_a_gaussian_release_has(log_rho in -8.0..2.0_f64, epsilon in 0.0..20.0_f64) {
        let cost = rho(log_rho.exp());
        let bound = cost.delta(epsilon).unwrap();
        prop_assert!((0.0..=1.0).contains(&bound));
        prop_assert!(delta_of_gaussian(cost.value(), epsilon) <= bound * (1.0 + 1e-9) + 1e-14);
    }

    #[test]
    fn more_cost_is_more_epsilon_and_more_delta(units in 1..1_u64 << 45, more in 1..1_u64 << 45, epsilon in 0.0..50.0_f64) {
        let (less, greater) = (Rho::from_units(units), Rho::from_units(units + more));
        let at = delta(1e-6);
        // Two units in 2⁴⁰ may differ by less than the rounding.
        prop_assert!(less.epsilon(at) <= greater.epsilon(at) * (1.0 + 1e-12));
        prop_assert!(less.delta(epsilon).unwrap() <= greater.delta(epsilon).unwrap() * (1.0 + 1e-9));
    }
}
