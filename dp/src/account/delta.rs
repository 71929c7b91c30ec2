use crate::DpError;
use crate::error::in_range;

/// The δ of (ε, δ): a bound on the probability that ε does not hold; above 0 and below 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Delta(f64);

impl Delta {
    /// The greatest δ that users are given by default, however few they are.
    pub const USER_DEFAULT: f64 = 1e-5;

    /// The greatest number below 1.
    const MAX: f64 = 1.0 - f64::EPSILON / 2.0;

    /// Any δ above 0 and below 1.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] otherwise, and if it is not a number.
    pub fn new(delta: f64) -> Result<Self, DpError> {
        in_range("delta", delta, f64::MIN_POSITIVE, Self::MAX).map(Self)
    }

    /// A δ fit for `users` users: at most [`Self::USER_DEFAULT`] and below 1 / `users`, since δ = 1/n allows to publish
    /// one user's data outright.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] otherwise, if it is not above 0 or not a number.
    pub fn for_users(delta: f64, users: usize) -> Result<Self, DpError> {
        let max = Self::USER_DEFAULT.min((1.0 / users as f64).next_down());
        in_range("delta", delta, f64::MIN_POSITIVE, max).map(Self)
    }

    /// δ as a number.
    pub const fn value(self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_that_is_no_small_probability_is_refused() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-9, -0.0, 0.0, 1.0, 2.0] {
            assert!(matches!(Delta::new(bad), Err(DpError::OutOfRange { parameter: "delta", .. })), "{bad}");
            assert!(matches!(Delta::for_users(bad, 10), Err(DpError::OutOfRange { .. })), "{bad}");
        }
        assert_eq!(Delta::new(0.999).map(Delta::value), Ok(0.999));
    }

    #[test]
    fn users_get_a_delta_below_the_default_and_below_one_over_their_number() {
        assert!(Delta::for_users(1e-5, 10).is_ok());
        assert!(Delta::for_users(1.1e-5, 10).is_err());
        assert!(Delta::for_users(1e-6, 1_000_000).is_err());
        assert!(Delta::for_users(0.99e-6, 1_000_000).is_ok());
        assert!(Delta::for_users(1e-5, 0).is_ok());
    }
}
