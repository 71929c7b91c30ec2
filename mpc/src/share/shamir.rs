use std::fmt;
use std::num::NonZeroU32;

use rand_core::CryptoRng;

use super::ShareField;
use crate::MpcError;

/// The evaluation point of a share: never zero, since the polynomial at zero is the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(NonZeroU32);

impl Point {
    /// The point `value`.
    ///
    /// # Errors
    /// [`MpcError::ZeroPoint`].
    pub fn new(value: u32) -> Result<Self, MpcError> {
        NonZeroU32::new(value).map(Self).ok_or(MpcError::ZeroPoint)
    }

    /// The point of the party at `index` in an ordered list: one more than the index.
    ///
    /// # Panics
    /// If the index is 2³² − 1 or more.
    pub fn of_index(index: usize) -> Self {
        u32::try_from(index)
            .ok()
            .and_then(|index| NonZeroU32::MIN.checked_add(index))
            .map(Self)
            .expect("a party's index is below 2^32 − 1")
    }

    /// The point as an integer.
    pub fn value(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One party's share: the polynomial's value at the party's point. Erased on drop.
pub struct Share<F: ShareField> {
    point: Point,
    value: F,
}

impl<F: ShareField> Share<F> {
    /// The share `value` at `point`.
    pub fn new(point: Point, value: F) -> Self {
        Self { point, value }
    }

    /// Where the polynomial was evaluated.
    pub fn point(&self) -> Point {
        self.point
    }

    /// The secret value of the share.
    pub fn value(&self) -> F {
        self.value
    }
}

impl<F: ShareField> Drop for Share<F> {
    fn drop(&mut self) {
        self.value.erase();
    }
}

impl<F: ShareField> fmt::Debug for Share<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("point", &self.point).field("value", &format_args!("Secret(..)")).finish()
    }
}

/// Threshold sharing: any `threshold` shares give the secret, fewer say nothing about it (Shamir 1979).
///
/// The secret is f(0) of a polynomial f of degree `threshold − 1` with otherwise uniform coefficients; a share is
/// f(point). Splitting costs n·t, reconstruction t field multiplications beside t² for the coefficients.
///
/// # Security
/// A share is not verifiable: a wrong one gives a wrong secret, without an error. Compare the result with a
/// commitment to the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shamir {
    threshold: usize,
}

impl Shamir {
    /// Sharing with a threshold of `threshold` shares among `parties` parties.
    ///
    /// # Errors
    /// [`MpcError::Parameter`] unless 1 ≤ threshold ≤ parties < 2³².
    pub fn new(threshold: usize, parties: usize) -> Result<Self, MpcError> {
        if parties as u64 >= u64::from(u32::MAX) {
            return Err(MpcError::Parameter {
                name: "parties",
                got: parties as u64,
                least: 1,
                most: u64::from(u32::MAX) - 1,
            });
        }
        if threshold == 0 || threshold > parties {
            return Err(MpcError::Parameter {
                name: "threshold",
                got: threshold as u64,
                least: 1,
                most: parties as u64,
            });
        }
        Ok(Self { threshold })
    }

    /// The number of shares that give the secret.
    pub fn threshold(self) -> usize {
        self.threshold
    }

    /// One share of `secret` for each point, in the order of the points.
    ///
    /// # Errors
    /// [`MpcError::DuplicatePoint`]; [`MpcError::TooFewShares`] if there are fewer points than the threshold.
    pub fn split<F: ShareField, R: CryptoRng + ?Sized>(
        &self,
        secret: F,
        points: &[Point],
        rng: &mut R,
    ) -> Result<Vec<Share<F>>, MpcError> {
        self.check_count(points.len())?;
        check_distinct(points)?;
        let polynomial = Polynomial::random(secret, self.threshold, rng);
        Ok(points.iter().map(|point| Share::new(*point, polynomial.at(*point))).collect())
    }

    /// The secret of at least `threshold` shares; of more, the first `threshold` are used.
    ///
    /// For many secrets shared to the same parties compute [`Lagrange`] once instead.
    ///
    /// # Errors
    /// [`MpcError::TooFewShares`], [`MpcError::DuplicatePoint`] (anywhere among the shares).
    pub fn reconstruct<F: ShareField>(&self, shares: &[Share<F>]) -> Result<F, MpcError> {
        self.check_count(shares.len())?;
        let points: Vec<Point> = shares.iter().map(Share::point).collect();
        check_distinct(&points)?;
        Lagrange::new(&points[..self.threshold])?.reconstruct(&shares[..self.threshold])
    }

    fn check_count(self, got: usize) -> Result<(), MpcError> {
        if got < self.threshold {
            return Err(MpcError::TooFewShares { got, needed: self.threshold });
        }
        Ok(())
    }
}

/// The Lagrange coefficients at zero of one set of points: λᵢ = Πⱼ≠ᵢ xⱼ / (xⱼ − xᵢ).
///
/// They depend on the points alone, so that all secrets of a round that are opened by the same parties share one
/// set: t² multiplications and one inversion once, then t multiplications a secret.
#[derive(Clone, Debug)]
pub struct Lagrange<F> {
    points: Vec<Point>,
    coefficients: Vec<F>,
}

impl<F: ShareField> Lagrange<F> {
    /// The coefficients for exactly these points, as many as the threshold of the sharing.
    ///
    /// # Errors
    /// [`MpcError::DuplicatePoint`]; [`MpcError::TooFewShares`] without any point.
    pub fn new(points: &[Point]) -> Result<Self, MpcError> {
        if points.is_empty() {
            return Err(MpcError::TooFewShares { got: 0, needed: 1 });
        }
        check_distinct(points)?;
        let at: Vec<F> = points.iter().map(|point| F::from_u32(point.value())).collect();
        let (numerators, denominators): (Vec<F>, Vec<F>) = at
            .iter()
            .enumerate()
            .map(|(i, own)| {
                at.iter().enumerate().filter(|(j, _)| *j != i).fold((F::ONE, F::ONE), |(above, below), (_, other)| {
                    (above.times(*other), below.times(other.minus(*own)))
                })
            })
            .unzip();
        let coefficients =
            numerators.into_iter().zip(invert_all(&denominators)).map(|(above, below)| above.times(below)).collect();
        Ok(Self { points: points.to_vec(), coefficients })
    }

    /// The value at zero of the polynomial through `shares`, which come in the order of the points.
    ///
    /// # Errors
    /// [`MpcError::TooFewShares`] or [`MpcError::WrongPoint`] unless there is exactly one share at each point.
    pub fn reconstruct(&self, shares: &[Share<F>]) -> Result<F, MpcError> {
        if shares.len() < self.points.len() {
            return Err(MpcError::TooFewShares { got: shares.len(), needed: self.points.len() });
        }
        if shares.len() > self.points.len() {
            return Err(MpcError::Length { what: "shares", expected: self.points.len(), got: shares.len() });
        }
        let mut secret = F::ZERO;
        for ((share, point), coefficient) in shares.iter().zip(&self.points).zip(&self.coefficients) {
            if share.point != *point {
                return Err(MpcError::WrongPoint { expected: *point, got: share.point });
            }
            secret = secret.plus(share.value.times(*coefficient));
        }
        Ok(secret)
    }
}

/// Coefficients from the constant term up; erased on drop.
struct Polynomial<F: ShareField>(Vec<F>);

impl<F: ShareField> Polynomial<F> {
    fn random<R: CryptoRng + ?Sized>(constant: F, threshold: usize, rng: &mut R) -> Self {
        let mut coefficients = Vec::with_capacity(threshold);
        coefficients.push(constant);
        coefficients.extend((1..threshold).map(|_| F::random(rng)));
        Self(coefficients)
    }

    fn at(&self, point: Point) -> F {
        let x = F::from_u32(point.value());
        self.0.iter().rev().fold(F::ZERO, |sum, coefficient| sum.times(x).plus(*coefficient))
    }
}

impl<F: ShareField> Drop for Polynomial<F> {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(F::erase);
    }
}

/// Montgomery's trick: one inversion for all; no element is zero.
fn invert_all<F: ShareField>(elements: &[F]) -> Vec<F> {
    let mut product = F::ONE;
    let before: Vec<F> = elements
        .iter()
        .map(|element| {
            let before = product;
            product = product.times(*element);
            before
        })
        .collect();
    let mut inverse = product.inverse();
    let mut inverses: Vec<F> = elements
        .iter()
        .zip(&before)
        .rev()
        .map(|(element, before)| {
            let own = inverse.times(*before);
            inverse = inverse.times(*element);
            own
        })
        .collect();
    inverses.reverse();
    inverses
}

fn check_distinct(points: &[Point]) -> Result<(), MpcError> {
    let mut sorted = points.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(MpcError::DuplicatePoint(pair[0])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::Scalar;
    use p3_goldilocks::Goldilocks;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn scalar(text: &str) -> Scalar {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).unwrap();
        Scalar::from_canonical_bytes(bytes).unwrap()
    }

    fn points(values: impl IntoIterator<Item = u32>) -> Vec<Point> {
        values.into_iter().map(|value| Point::new(value).unwrap()).collect()
    }

    /// RFC 9591, Appendix E.3, FROST(ristretto255, SHA-512): the trusted dealer's polynomial and the shares of
    /// its three participants, threshold 2.
    #[test]
    fn shares_are_those_of_rfc_9591() {
        let secret = scalar("1b25a55e463cfd15cf14a5d3acc3d15053f08da49c8afcf3ab265f2ebc4f970b");
        let polynomial =
            Polynomial(vec![secret, scalar("410f8b744b19325891d73736923525a4f596c805d060dfb9c98009d34e3fec02")]);
        let shares: Vec<Share<Scalar>> = [
            "5c3430d391552f6e60ecdc093ff9f6f4488756aa6cebdbad75a768010b8f830e",
            "b06fc5eac20b4f6e1b271d9df2343d843e1e1fb03c4cbb673f2872d459ce6f01",
            "f17e505f0e2581c6acfe54d3846a622834b5e7b50cad9a2109a97ba7a80d5c04",
        ]
        .into_iter()
        .enumerate()
        .map(|(index, value)| Share::new(Point::of_index(index), scalar(value)))
        .collect();
        for share in &shares {
            assert!(polynomial.at(share.point()) == share.value());
        }
        let sharing = Shamir::new(2, 3).unwrap();
        for pair in [[0, 1], [0, 2], [2, 1]] {
            let pair = pair.map(|index| Share::new(shares[index].point(), shares[index].value()));
            assert!(sharing.reconstruct(&pair).unwrap() == secret);
        }
    }

    fn any_threshold_of_the_shares_gives_the_secret<F: ShareField>() {
        let mut rng = ChaCha20Rng::from_seed([5; 32]);
        let at = points([1, 2, 3, 70_000, u32::MAX]);
        for threshold in 1..=at.len() {
            let sharing = Shamir::new(threshold, at.len()).unwrap();
            let secret = F::random(&mut rng);
            let shares = sharing.split(secret, &at, &mut rng).unwrap();
            for chosen in 0_u32..32 {
                let chosen: Vec<Share<F>> = shares
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| chosen >> index & 1 == 1)
                    .map(|(_, share)| Share::new(share.point(), share.value()))
                    .collect();
                match sharing.reconstruct(&chosen) {
                    Ok(opened) => assert!(chosen.len() >= threshold && opened == secret),
                    Err(error) => {
                        assert!(chosen.len() < threshold);
                        let got = chosen.len();
                        assert_eq!(error, MpcError::TooFewShares { got, needed: threshold });
                    }
                }
            }
        }
    }

    #[test]
    fn any_threshold_of_the_shares_gives_a_ristretto_scalar() {
        any_threshold_of_the_shares_gives_the_secret::<Scalar>();
    }

    #[test]
    fn any_threshold_of_the_shares_gives_a_goldilocks_element() {
        any_threshold_of_the_shares_gives_the_secret::<Goldilocks>();
    }

    #[test]
    fn a_zero_point_is_refused() {
        assert_eq!(Point::new(0), Err(MpcError::ZeroPoint));
    }

    #[test]
    fn a_duplicate_point_is_refused_everywhere() {
        let mut rng = ChaCha20Rng::from_seed([5; 32]);
        let twice = points([4, 9, 4]);
        let refused = MpcError::DuplicatePoint(twice[0]);
        let sharing = Shamir::new(2, 3).unwrap();
        assert_eq!(sharing.split(Goldilocks::from_u32(1), &twice, &mut rng).unwrap_err(), refused);
        let shares: Vec<Share<Goldilocks>> =
            twice.iter().map(|point| Share::new(*point, <Goldilocks as ShareField>::ONE)).collect();
        assert_eq!(sharing.reconstruct(&shares).unwrap_err(), refused);
        assert_eq!(Lagrange::<Scalar>::new(&twice).unwrap_err(), refused);
    }

    #[test]
    fn a_threshold_outside_its_range_is_refused() {
        for threshold in [0, 4] {
            assert_eq!(
                Shamir::new(threshold, 3),
                Err(MpcError::Parameter { name: "threshold", got: threshold as u64, least: 1, most: 3 })
            );
        }
    }

    #[test]
    fn coefficients_for_other_points_are_refused() {
        let at = points([1, 2]);
        let lagrange = Lagrange::<Scalar>::new(&at).unwrap();
        let shares = points([2, 1]).into_iter().map(|p| Share::new(p, Scalar::ONE));
        assert_eq!(
            lagrange.reconstruct(&shares.collect::<Vec<_>>()),
            Err(MpcError::WrongPoint { expected: at[0], got: at[1] })
        );
    }

    #[test]
    fn debug_output_hides_the_value() {
        let share = Share::new(Point::of_index(0), Scalar::from(4_242_424_242_u64));
        assert!(format!("{share:?}").contains("Secret(..)"));
        assert!(!format!("{share:?}").contains("178, 4"));
    }

    proptest! {
        #[test]
        fn one_wrong_share_gives_another_secret(seed: [u8; 32], threshold in 1_usize..6, wrong in 0_usize..6) {
            let mut rng = ChaCha20Rng::from_seed(seed);
            let at = points(1..=6);
            let sharing = Shamir::new(threshold, 6).unwrap();
            let secret = Goldilocks::random(&mut rng);
            let mut shares = sharing.split(secret, &at, &mut rng).unwrap();
            shares[wrong].value = shares[wrong].value.plus(<Goldilocks as ShareField>::ONE);
            prop_assert_eq!(sharing.reconstruct(&shares).unwrap() != secret, wrong < threshold);
        }
    }
}
