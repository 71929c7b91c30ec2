use crate::FheError;
use crate::rlwe::RelinearisationKey;

use super::{Ciphertext, Scale};

/// A polynomial with real coefficients in the clear, to be evaluated at every slot.
///
/// By Paterson and Stockmeyer (1973) in the form of Bossuat, Mouchet, Troncoso-Pastoriza, Hubaux (2021, §3): `p = q·x^m + r`
/// again and again, with the scale of every part chosen so that sums meet at the same scale and no level is lost to adjusting.
/// The bound of the result is `Σ|c_i|·bound^i`: where more is known, say so by
/// [`unchecked_bound`](Ciphertext::unchecked_bound).
#[derive(Clone, Debug, PartialEq)]
pub struct Polynomial {
    coefficients: Vec<f64>,
    /// Powers below this one are multiplied by coefficients; a power of two.
    baby: usize,
}

impl Polynomial {
    /// By its coefficients, that of `x^0` first.
    ///
    /// # Errors
    /// [`FheError::PolynomialLength`] for less than 2 or more than 1024 coefficients or a last one of 0,
    /// [`FheError::SlotValue`] for one that is not finite.
    pub fn new(coefficients: &[f64]) -> Result<Self, FheError> {
        if !(2..=1024).contains(&coefficients.len()) || coefficients.last() == Some(&0.0) {
            return Err(FheError::PolynomialLength(coefficients.len()));
        }
        if let Some((index, &value)) = coefficients.iter().enumerate().find(|(_, c)| !c.is_finite()) {
            return Err(FheError::SlotValue { index, value, bound: f64::MAX });
        }
        let baby = match coefficients.len() {
            ..=16 => 2,
            17..=64 => 4,
            _ => 8,
        };
        Ok(Self { coefficients: coefficients.to_vec(), baby })
    }

    /// The levels that it takes: `⌈log2 (degree + 1)⌉` up to degree 15, one more above, where fewer products are worth it.
    pub fn depth(&self) -> usize {
        let log = self.coefficients.len().next_power_of_two().trailing_zeros() as usize;
        log + usize::from(self.baby > 2)
    }

    /// Its value at a number in the clear.
    pub fn value(&self, x: f64) -> f64 {
        self.coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
    }

    /// `p(x)` in every slot, at the scale of `x` and [`depth`](Self::depth) levels below.
    ///
    /// # Errors
    /// [`FheError::Parameters`], [`FheError::Keys`], [`FheError::Level`], [`FheError::ScaleCapacity`].
    pub fn apply(&self, x: &Ciphertext, key: &RelinearisationKey) -> Result<Ciphertext, FheError> {
        if x.level() <= self.depth() {
            return Err(FheError::Level { what: "a polynomial", left: x.level(), right: self.depth() + 1 });
        }
        let powers = Powers::new(x, self.coefficients.len(), self.baby, key)?;
        powers.evaluate(&self.coefficients, x.level() - self.depth(), x.scale())
    }
}

/// `x, x², …, x^(baby − 1)` and `x^baby, x^(2·baby), …`
struct Powers<'a> {
    babies: Vec<Ciphertext>,
    giants: Vec<Ciphertext>,
    key: &'a RelinearisationKey,
}

impl<'a> Powers<'a> {
    fn new(x: &Ciphertext, length: usize, baby: usize, key: &'a RelinearisationKey) -> Result<Self, FheError> {
        // powers[i] is x^(i+1).
        let mut powers = vec![x.clone()];
        let last = if length > baby { baby } else { length - 1 };
        for power in 2..=last {
            let half: usize = power.next_power_of_two() / 2;
            powers.push(product(&powers[half - 1], &powers[power - half - 1], key)?);
        }
        let mut giants = Vec::new();
        if length > baby {
            giants.push(powers.pop().expect("the baby-th power is the last"));
            while length > baby << giants.len() {
                let largest = giants.last().expect("one at least");
                giants.push(largest.mul_rescale(largest, key)?);
            }
        }
        Ok(Self { babies: powers, giants, key })
    }

    /// The polynomial with these coefficients, not all of degree 0, at this level and scale.
    fn evaluate(&self, coefficients: &[f64], level: usize, scale: Scale) -> Result<Ciphertext, FheError> {
        let above = |power: &Ciphertext| -> Result<(Ciphertext, Scale), FheError> {
            let power = power.drop_to(level + 1)?;
            let missing = Scale::new(scale.value() * power.last_prime().value() / power.scale().value())?;
            Ok((power, missing))
        };
        let split = self.giants.iter().enumerate().rev().find(|(i, _)| coefficients.len() > self.baby() << i);
        let Some((index, giant)) = split else {
            let mut sum: Option<Ciphertext> = None;
            for (power, &coefficient) in self.babies.iter().zip(&coefficients[1..]) {
                if coefficient != 0.0 {
                    let (power, missing) = above(power)?;
                    let term = power.mul_scalar_at(coefficient, missing)?;
                    sum = Some(match sum {
                        None => term,
                        Some(sum) => sum.add(&term)?,
                    });
                }
            }
            let sum = match sum {
                Some(sum) => sum,
                // Nothing but a constant: zero times x, so that there is something to add it to.
                None => above(&self.babies[0]).and_then(|(x, missing)| x.mul_scalar_at(0.0, missing))?,
            };
            return sum.add_scalar(coefficients[0])?.rescale();
        };
        let (low, high) = coefficients.split_at(self.baby() << index);
        let (giant, missing) = above(giant)?;
        let product = if high[1..].iter().all(|&c| c == 0.0) {
            giant.mul_scalar_at(high[0], missing)?.rescale()?
        } else {
            self.evaluate(high, level + 1, missing)?.mul_rescale(&giant, self.key)?
        };
        if low[1..].iter().all(|&c| c == 0.0) {
            return product.add_scalar(low[0]);
        }
        product.add(&self.evaluate(low, level, scale)?)
    }

    fn baby(&self) -> usize {
        self.babies.len() + 1
    }
}

/// `a·b` with `a` brought to the level of `b` or the other way round.
fn product(a: &Ciphertext, b: &Ciphertext, key: &RelinearisationKey) -> Result<Ciphertext, FheError> {
    let level = a.level().min(b.level());
    a.drop_to(level)?.mul_rescale(&b.drop_to(level)?, key)
}
