use std::sync::OnceLock;

use tfhe_ntt::prime64::Plan;

use super::field::{MODULUS, multiply_all, multiply_each};

/// N, the degree of the ring `Z_p[X]/(X^N + 1)`.
pub const DEGREE: usize = 4096;

/// N⁻¹ mod p: the transform of the library leaves out the factor.
const DEGREE_INVERSE: u64 = MODULUS - (MODULUS >> 12);

/// The transform of the ring: a constant table, made when it is first used.
fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| Plan::try_new(DEGREE, MODULUS).expect("2·4096 divides p − 1"))
}

/// The values of a polynomial at the odd powers of a root of unity, each divided by N: ready to be multiplied with the
/// values of others.
///
/// The coefficients are overwritten.
pub(crate) fn scaled_values(coefficients: &mut [u64]) {
    plan().fwd(coefficients);
    multiply_each(coefficients, DEGREE_INVERSE);
}

/// The coefficients of the product of two polynomials, of which `values` holds the values and `scaled` what
/// [`scaled_values`] makes. `values` is overwritten with them.
pub(crate) fn product(values: &mut [u64], scaled: &[u64]) {
    multiply_all(values, scaled);
    plan().inv(values);
}

/// The coefficients of a polynomial that is given by its values.
pub(crate) fn coefficients(values: &mut [u64]) {
    multiply_each(values, DEGREE_INVERSE);
    plan().inv(values);
}

#[cfg(test)]
mod tests {
    use super::super::field::{add, multiply, subtract};
    use super::*;

    fn polynomial(seed: u64) -> Vec<u64> {
        let mut state = seed;
        (0..DEGREE)
            .map(|_| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                state % MODULUS
            })
            .collect()
    }

    /// The definition of the ring, without a transform.
    #[test]
    fn products_are_those_of_the_ring() {
        let (a, b) = (polynomial(1), polynomial(2));
        let mut expected = vec![0; DEGREE];
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                let entry = &mut expected[(i + j) % DEGREE];
                let term = multiply(*x, *y);
                *entry = if i + j < DEGREE { add(*entry, term) } else { subtract(*entry, term) };
            }
        }
        let (mut values, mut scaled) = (a.clone(), b);
        plan().fwd(&mut values);
        scaled_values(&mut scaled);
        product(&mut values, &scaled);
        assert_eq!(values, expected);
    }

    /// Parties agree on public polynomials only if they agree on the order of the values: it is pinned here.
    #[test]
    fn values_are_at_the_odd_powers_of_the_root_in_bit_reversed_order() {
        let mut powers = vec![0; DEGREE];
        powers[1] = 1;
        plan().fwd(&mut powers);
        let root = powers[0];
        assert_eq!(root, ROOT);
        let square = multiply(root, root);
        let mut power = root;
        for exponent in 0..DEGREE {
            assert_eq!(powers[exponent.reverse_bits() >> (usize::BITS - 12)], power);
            power = multiply(power, square);
        }
        assert_eq!(power, root);
        assert_eq!((0..12).fold(root, |power, _| multiply(power, power)), MODULUS - 1);
    }

    const ROOT: u64 = 1_206_500_561_358_145_487;
}
