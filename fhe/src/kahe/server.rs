use std::fmt;

#[cfg(feature = "parallel")]
use rayon::prelude::*;

use super::field::{MODULUS, add, add_encoded, subtract};
use super::noise::{NOISE_BOUND, NOISE_VARIANCE};
use super::ring::{DEGREE, product, scaled_values};
use super::round::KaheRound;
use super::update::MaskedUpdate;
use crate::FheError;

const LEAST_CONTRIBUTORS: u32 = 2;

/// Coefficients of a tile of the sum: what one thread adds at once.
const TILE: usize = 1 << 14;

/// The running sum of masked updates at the server: one accumulator, however many clients there are.
///
/// It counts what is added but does not know who sent it: that no client is added twice, and that the keys are those of
/// the same clients, is the caller's to see to.
#[derive(Clone, PartialEq, Eq)]
pub struct MaskedSum {
    round: KaheRound,
    contributors: u32,
    residues: Vec<u64>,
}

impl MaskedSum {
    /// The empty sum.
    pub fn new(round: &KaheRound) -> Self {
        Self { round: *round, contributors: 0, residues: vec![0; round.params().coefficients()] }
    }

    /// Updates added so far.
    pub fn contributors(&self) -> u32 {
        self.contributors
    }

    /// Adds one client's update. Cost: one pass over the message and the accumulator.
    ///
    /// # Errors
    /// [`FheError::OtherRound`], or [`FheError::Contributors`] when all n clients of the parameters are in the sum; the
    /// sum is then as it was.
    pub fn add(&mut self, update: &MaskedUpdate) -> Result<(), FheError> {
        self.round.check("the masked update", update.digest())?;
        let most = self.round.params().clients();
        if self.contributors == most {
            return Err(FheError::Contributors { got: most + 1, least: LEAST_CONTRIBUTORS, most });
        }
        self.contributors += 1;
        #[cfg(feature = "parallel")]
        let tiles = self.residues.par_chunks_mut(TILE).zip(update.residues().par_chunks(8 * TILE));
        #[cfg(not(feature = "parallel"))]
        let tiles = self.residues.chunks_mut(TILE).zip(update.residues().chunks(8 * TILE));
        tiles.for_each(|(sums, encoded)| add_encoded(sums, encoded));
        Ok(())
    }

    /// Opens the sum with the sum of the keys: the exact sum of the contributors' vectors.
    ///
    /// What is left after subtracting aₖ·Σs is T·Σe + Σm, centred mod p; its digits in the radices T and M are the
    /// sum of the noise and those of the entries. Cost: an inverse transform for each polynomial.
    ///
    /// The noise is looked at, too: every coefficient of it must be one that so many contributors can reach, and the mean
    /// of its squares in a polynomial near what honest noise has. With L coefficients and c contributors it is refused
    /// if `Σe² > 20c·(4L + 200)`. Honest noise passes that with a probability below 2⁻¹²⁸ (Chernoff's bound,
    /// since binomial noise has a moment generating function below that of the Gaussian of its variance). Masks that do
    /// not cancel leave uniform values, which pass in a full polynomial with a probability just as small; in a vector
    /// of few coefficients they may pass.
    ///
    /// # Errors
    /// [`FheError::OtherRound`], [`FheError::Contributors`] for fewer than two, [`FheError::ContributorsDisagree`],
    /// [`FheError::MasksDoNotCancel`], [`FheError::SumOutOfRange`].
    ///
    /// # Security
    /// Nothing here shows that contributors were honest: one that adds to its noise or to its entries within what the
    /// checks allow shifts the sum, unseen. Their honesty is what proofs are for. Opened twice with different sets of
    /// contributors a round gives away the difference: the parties that hold the shares must release one sum.
    pub fn open(&self, keys: &KeySum) -> Result<Vec<i64>, FheError> {
        self.round.check("the sum of keys", keys.round.digest())?;
        if self.contributors != keys.contributors {
            return Err(FheError::ContributorsDisagree { summed: self.contributors, keys: keys.contributors });
        }
        let mut key = keys.coefficients.clone();
        scaled_values(&mut key);
        let params = self.round.params();
        let decoder = Decoder::new(&self.round, self.contributors);
        let each = params.entries_per_polynomial();
        let mut sums = vec![0; params.length()];
        let open = |scratch: &mut Scratch, (index, (out, residues)): (usize, (&mut [i64], &[u64]))| {
            self.round.public_values(index as u32, &mut scratch.bytes, &mut scratch.words);
            product(&mut scratch.words, &key);
            decoder.decode(index, residues, &mut scratch.words, out)
        };
        #[cfg(feature = "parallel")]
        let opened: Vec<_> = {
            let parts = sums.par_chunks_mut(each).zip(self.residues.par_chunks(DEGREE)).enumerate();
            parts.map_init(Scratch::new, open).collect()
        };
        #[cfg(not(feature = "parallel"))]
        let opened: Vec<_> = {
            let mut scratch = Scratch::new();
            let parts = sums.chunks_mut(each).zip(self.residues.chunks(DEGREE)).enumerate();
            parts.map(|part| open(&mut scratch, part)).collect()
        };
        opened.into_iter().collect::<Result<(), _>>()?;
        Ok(sums)
    }
}

impl fmt::Debug for MaskedSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskedSum")
            .field("round", &self.round)
            .field("contributors", &self.contributors)
            .finish_non_exhaustive()
    }
}

/// Σs, the sum of the contributors' keys, from its 4096 coefficients mod p.
///
/// Committee members add the shares that they hold of the contributors' coefficients and reconstruct this sum alone.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySum {
    round: KaheRound,
    contributors: u32,
    coefficients: Vec<u64>,
}

impl KeySum {
    /// The sum of the keys of `contributors` clients, least power first.
    ///
    /// # Errors
    /// [`FheError::Contributors`] unless there are between two and the parameters' n: the sum of one would be that
    /// client's own vector. [`FheError::MaskLength`] and [`FheError::MaskResidue`] for coefficients that are not 4096
    /// canonical residues.
    pub fn new(round: &KaheRound, contributors: u32, coefficients: Vec<u64>) -> Result<Self, FheError> {
        let most = round.params().clients();
        if !(LEAST_CONTRIBUTORS..=most).contains(&contributors) {
            return Err(FheError::Contributors { got: contributors, least: LEAST_CONTRIBUTORS, most });
        }
        let what = "coefficients of a sum of keys";
        if coefficients.len() != DEGREE {
            return Err(FheError::MaskLength { what, expected: DEGREE, got: coefficients.len() });
        }
        if let Some(index) = coefficients.iter().position(|word| *word >= MODULUS) {
            return Err(FheError::MaskResidue { what: "a sum of keys", index, got: coefficients[index] });
        }
        Ok(Self { round: *round, contributors, coefficients })
    }

    /// How many keys are in it.
    pub fn contributors(&self) -> u32 {
        self.contributors
    }
}

impl fmt::Debug for KeySum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySum")
            .field("round", &self.round)
            .field("contributors", &self.contributors)
            .finish_non_exhaustive()
    }
}

/// Takes the noise and the digits of the sum apart.
struct Decoder {
    contributors: u64,
    scale: Divisor,
    radix: Divisor,
    /// n·E, what is added to the digit of the noise to make it unsigned.
    noise_offset: u64,
    /// n·bound, the same for the digits of the entries.
    digit_offset: u64,
    /// What is added to the whole for both.
    offset: u64,
    entry_bound: u64,
    entries_per_polynomial: usize,
}

impl Decoder {
    fn new(round: &KaheRound, contributors: u32) -> Self {
        let params = round.params();
        let clients = u64::from(params.clients());
        let noise_offset = clients * NOISE_BOUND;
        Self {
            contributors: contributors.into(),
            scale: Divisor::new(params.scale()),
            radix: Divisor::new(params.radix()),
            noise_offset,
            digit_offset: clients * params.bound(),
            // (T − 1)/2 = n·bound·(1 + M + … + M^(r−1)), since M − 1 = 2·n·bound.
            offset: params.scale() * noise_offset + (params.scale() - 1) / 2,
            entry_bound: u64::from(contributors) * params.bound(),
            entries_per_polynomial: params.entries_per_polynomial(),
        }
    }

    /// Decodes one polynomial of the sum, of which `mask` is aₖ·Σs, and overwrites the mask.
    fn decode(&self, polynomial: usize, residues: &[u64], mask: &mut [u64], out: &mut [i64]) -> Result<(), FheError> {
        let mask = &mut mask[..residues.len()];
        let (mut squares, mut largest) = (0_u64, 0);
        for (residue, rest) in residues.iter().zip(mask.iter_mut()) {
            let unsigned = add(subtract(*residue, *rest), self.offset);
            let (noise, digits) = self.scale.divide(unsigned);
            *rest = digits;
            let noise = noise.abs_diff(self.noise_offset);
            largest = noise.max(largest);
            // Whatever wraps has been seen to be too large.
            squares = squares.wrapping_add(noise.wrapping_mul(noise));
        }
        let most = NOISE_VARIANCE * self.contributors * (4 * residues.len() as u64 + 200);
        if largest > NOISE_BOUND * self.contributors || squares > most {
            return Err(FheError::MasksDoNotCancel { polynomial });
        }
        let mut furthest = 0;
        for out in out.chunks_mut(residues.len()) {
            for (out, rest) in out.iter_mut().zip(mask.iter_mut()) {
                let (quotient, digit) = self.radix.divide(*rest);
                *rest = quotient;
                *out = digit as i64 - self.digit_offset as i64;
                furthest = furthest.max(digit.abs_diff(self.digit_offset));
            }
        }
        if furthest > self.entry_bound {
            let index = out.iter().position(|sum| sum.unsigned_abs() > self.entry_bound);
            let index = index.expect("the furthest sum is one of them");
            let (got, most) = (out[index], self.entry_bound);
            return Err(FheError::SumOutOfRange { index: polynomial * self.entries_per_polynomial + index, got, most });
        }
        Ok(())
    }
}

/// Division by an integer of at least 2 that is known beforehand, by one multiplication and one correction.
struct Divisor {
    divisor: u64,
    /// ⌊2⁶⁴/divisor⌋: the high word of its product with a dividend is the quotient or one less.
    inverse: u64,
}

impl Divisor {
    fn new(divisor: u64) -> Self {
        Self { divisor, inverse: ((1_u128 << 64) / u128::from(divisor)) as u64 }
    }

    /// The quotient and the remainder.
    fn divide(&self, dividend: u64) -> (u64, u64) {
        let quotient = ((u128::from(dividend) * u128::from(self.inverse)) >> 64) as u64;
        let remainder = dividend - quotient * self.divisor;
        let short = u64::from(remainder >= self.divisor);
        (quotient + short, remainder - short * self.divisor)
    }
}

struct Scratch {
    bytes: Vec<u8>,
    words: Vec<u64>,
}

impl Scratch {
    fn new() -> Self {
        Self { bytes: vec![0; 8 * DEGREE], words: vec![0; DEGREE] }
    }
}
