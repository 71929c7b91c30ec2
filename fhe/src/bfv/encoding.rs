use super::modulus::{DIGIT_BITS, Shape};
use super::params::BfvParameters;
use super::plaintext::Plaintext;
use super::scaling::top_mask;
use crate::FheError;
use crate::ring::{Modulus, Prime, place_of};

/// Values as coefficients: sums of plaintexts are sums of values, and products are negacyclic convolutions.
#[derive(Clone, Debug)]
pub struct Coefficients {
    parameters: BfvParameters,
}

impl Coefficients {
    /// Values modulo `t`, `N` at most.
    pub fn new(parameters: &BfvParameters) -> Self {
        Self { parameters: parameters.clone() }
    }

    /// Encodes values, the first as the constant coefficient; coefficients that none is left for are zero.
    ///
    /// # Errors
    /// [`FheError::TooManyValues`] for more than `N`, [`FheError::ValueRange`] for one that is not between `−t/2` and `t/2`.
    pub fn encode(&self, values: &[i64]) -> Result<Plaintext, FheError> {
        let modulus = self.parameters.modulus();
        let mut plaintext = Plaintext::zero(modulus, self.parameters.degree());
        check(values, plaintext.degree(), modulus.centred_range())?;
        match modulus.shape() {
            Shape::Prime(t) => {
                let row = plaintext.rows_mut().next().expect("a coefficient has a digit");
                row.iter_mut().zip(values).for_each(|(digit, &value)| *digit = t.reduce_signed(value));
            }
            Shape::PowerOfTwo(bits) => {
                let last = modulus.digits() - 1;
                for (k, row) in plaintext.rows_mut().enumerate() {
                    let mask = if k == last { top_mask(bits) } else { (1 << DIGIT_BITS) - 1 };
                    let shift = (k as u32 * DIGIT_BITS).min(63);
                    row.iter_mut().zip(values).for_each(|(digit, &value)| *digit = (value >> shift) as u64 & mask);
                }
            }
        }
        Ok(plaintext)
    }

    /// Every coefficient's representative nearest to zero.
    ///
    /// # Errors
    /// [`FheError::PlaintextModuli`] and [`FheError::Degree`] for a plaintext of other parameters,
    /// [`FheError::ValueRange`] for a coefficient that 64 bits do not hold.
    pub fn decode(&self, plaintext: &Plaintext) -> Result<Vec<i64>, FheError> {
        self.parameters.holds(plaintext)?;
        match self.parameters.modulus().shape() {
            Shape::Prime(t) => Ok(plaintext.row(0).iter().map(|&value| t.centred(value)).collect()),
            Shape::PowerOfTwo(bits) => (0..plaintext.degree())
                .map(|index| {
                    let mut value = 0_i128;
                    let mut digits = plaintext.rows().enumerate().map(|(k, row)| (k as u32 * DIGIT_BITS, row[index]));
                    // Below 2^144 the three lowest digits tell whether 64 bits hold the value.
                    digits.by_ref().take(2).for_each(|(shift, digit)| value |= i128::from(digit) << shift);
                    let known = bits.min(2 * DIGIT_BITS);
                    let value = value << (128 - known) >> (128 - known);
                    let sign = (value >> 127) as u64;
                    let extended = digits.all(|(shift, digit)| digit == sign & mask_at(bits, shift));
                    i64::try_from(value).ok().filter(|_| extended).ok_or(FheError::ValueRange {
                        index,
                        value,
                        least: i64::MIN.into(),
                        most: i64::MAX.into(),
                    })
                })
                .collect(),
        }
    }
}

fn mask_at(bits: u32, shift: u32) -> u64 {
    if shift + DIGIT_BITS >= bits { top_mask(bits) } else { (1 << DIGIT_BITS) - 1 }
}

/// `N` values modulo a prime `t ≡ 1 mod 2N`, as two rows of `N/2`: sums and products of plaintexts are those of the
/// values, entry by entry (Smart, Vercauteren 2014).
///
/// The entry at `j` of the first row is the plaintext's value at `ψ^(3^j)`, that of the second row at `ψ^(−3^j)`, for a
/// primitive `2N`-th root of unity ψ modulo `t`. `X → X^(3^k)` rotates both rows by `k` to the left, `X → X^(−1)`
/// swaps them.
#[derive(Debug)]
pub struct Slots {
    parameters: BfvParameters,
    modulus: Modulus,
    prime: Prime,
    /// Slot `i` is place `places[i]` of the transform.
    places: Vec<u32>,
}

/// A row's order: powers of 3 and −1 are all odd numbers modulo `2N`.
const GENERATOR: usize = 3;

impl Slots {
    /// The slots of these parameters.
    ///
    /// # Errors
    /// [`FheError::NoSlots`] unless `t` is a prime that is 1 modulo `2N`.
    pub fn new(parameters: &BfvParameters) -> Result<Self, FheError> {
        let degree = parameters.degree();
        let none = || FheError::NoSlots { modulus: parameters.modulus().to_string(), degree };
        let Shape::Prime(modulus) = parameters.modulus().shape() else {
            return Err(none());
        };
        let prime = Prime::of(degree, modulus).ok_or_else(none)?;
        let powers = std::iter::successors(Some(1), |power| Some(power * GENERATOR % (2 * degree))).take(degree / 2);
        let places = powers
            .clone()
            .chain(powers.map(|power| 2 * degree - power))
            .map(|exponent| place_of(degree, exponent) as u32)
            .collect();
        Ok(Self { parameters: parameters.clone(), modulus, prime, places })
    }

    /// How many values a row has, `N/2`.
    pub fn row(&self) -> usize {
        self.parameters.degree() / 2
    }

    /// Encodes up to `N` values, the first row's first; slots that none is left for are zero.
    ///
    /// # Errors
    /// [`FheError::TooManyValues`], [`FheError::ValueRange`] for one that is not between `−t/2` and `t/2`.
    pub fn encode(&self, values: &[i64]) -> Result<Plaintext, FheError> {
        let modulus = self.parameters.modulus();
        check(values, self.parameters.degree(), modulus.centred_range())?;
        let mut coefficients = vec![0; self.parameters.degree()];
        for (&value, &place) in values.iter().zip(&self.places) {
            coefficients[place as usize] = self.modulus.reduce_signed(value);
        }
        self.prime.backward(&mut coefficients);
        Ok(Plaintext::from_digits(modulus, self.parameters.degree(), coefficients))
    }

    /// Every slot's representative nearest to zero.
    ///
    /// # Errors
    /// [`FheError::PlaintextModuli`] and [`FheError::Degree`] for a plaintext of other parameters.
    pub fn decode(&self, plaintext: &Plaintext) -> Result<Vec<i64>, FheError> {
        self.parameters.holds(plaintext)?;
        let mut values = plaintext.row(0).to_vec();
        self.prime.forward(&mut values);
        Ok(self.places.iter().map(|&place| self.modulus.centred(values[place as usize])).collect())
    }
}

/// The exponent `g` of the automorphism `X → X^g` that rotates both rows of slots by `steps` to the left, or by
/// `−steps` to the right: what [`GaloisKeys`](crate::rlwe::GaloisKeys) are to be made for.
pub fn rotation_exponent(parameters: &BfvParameters, steps: i64) -> usize {
    let row = parameters.degree() / 2;
    let steps = steps.rem_euclid(row as i64);
    (0..steps).fold(1, |power, _| power * GENERATOR % (2 * parameters.degree()))
}

/// The exponent of the automorphism that swaps the two rows of slots.
pub fn swap_exponent(parameters: &BfvParameters) -> usize {
    2 * parameters.degree() - 1
}

fn check(values: &[i64], most: usize, (least, largest): (i128, i128)) -> Result<(), FheError> {
    if values.len() > most {
        return Err(FheError::TooManyValues { most, got: values.len() });
    }
    let range = least..=largest;
    match values.iter().position(|&value| !range.contains(&i128::from(value))) {
        Some(index) => Err(FheError::ValueRange { index, value: i128::from(values[index]), least, most: largest }),
        None => Ok(()),
    }
}
