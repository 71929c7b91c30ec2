use std::fmt;

use ::tfhe::core_crypto::commons::math::random::Seed;
use ::tfhe::core_crypto::prelude::{
    CiphertextModulus, ContiguousEntityContainer, LweCiphertextCount, LweCiphertextOwned, LweSize,
    SeededLweCiphertextListOwned,
};

use super::{Encoding, Known, Parameters};
use crate::{FheError, KeyId};

/// One encrypted integer.
#[derive(Clone)]
pub struct Ciphertext {
    pub(super) parameters: Parameters,
    pub(super) key: KeyId,
    pub(super) known: Known,
    pub(super) lwe: LweCiphertextOwned<u64>,
}

impl Ciphertext {
    /// What anybody knows of it.
    pub const fn known(&self) -> Known {
        self.known
    }

    /// The public name of its key.
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// `bias + Σ weight·term`, modulo the torus; costs no key and no bootstrapping.
    ///
    /// Terms must have independent noise, as [`Known::linear`] says.
    ///
    /// # Errors
    /// As [`Known::linear`]; [`FheError::Keys`] and [`FheError::Parameters`] if the terms are of several.
    pub fn linear<'a>(terms: impl IntoIterator<Item = (i64, &'a Self)> + Clone, bias: i64) -> Result<Self, FheError> {
        let known = Known::linear(terms.clone().into_iter().map(|(weight, term)| (weight, &term.known)), bias)?;
        let mut sum: Option<Self> = None;
        for (weight, term) in terms {
            let sum = sum.get_or_insert_with(|| term.trivial(known, bias));
            term.expect_key(sum.key)?;
            term.expect_parameters(&sum.parameters)?;
            for (word, &other) in sum.lwe.as_mut().iter_mut().zip(term.lwe.as_ref()) {
                *word = word.wrapping_add(other.wrapping_mul(weight as u64));
            }
        }
        Ok(sum.expect("known of no terms is an error"))
    }

    /// Canonical bytes, some 16 kB: 8 of each coordinate.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = header(ONE, &self.parameters, self.key, self.known.encoding);
        bytes.extend(self.known.variance.to_le_bytes());
        bytes.extend(self.lwe.as_ref().iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Security
    /// Range and noise are what the sender says: a false claim makes the sender's result wrong, and nothing else. Whoever
    /// decrypts results of somebody who may lie has to keep to itself whether they made sense.
    ///
    /// # Errors
    /// [`FheError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FheError> {
        let Header { parameters, key, encoding, rest } = read_header(ONE, bytes)?;
        let malformed = FheError::Malformed;
        let (variance, words) = rest.split_first_chunk().ok_or(malformed("it is too short"))?;
        let variance = f64::from_le_bytes(*variance);
        if !(parameters.fresh_variance()..=1.0).contains(&variance) {
            return Err(malformed("its noise is less than that of a fresh one, or more than the torus"));
        }
        let (words, []) = words.as_chunks::<8>() else { return Err(malformed("its length is wrong")) };
        if words.len() != parameters.polynomial_size() + 1 {
            return Err(malformed("its length is wrong"));
        }
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let lwe = LweCiphertextOwned::from_container(words, CiphertextModulus::new_native());
        Ok(Self { parameters, key, known: Known { encoding, variance }, lwe })
    }

    pub(super) fn expect_key(&self, expected: KeyId) -> Result<(), FheError> {
        if self.key == expected { Ok(()) } else { Err(FheError::Keys { left: self.key, right: expected }) }
    }

    pub(super) fn expect_parameters(&self, expected: &Parameters) -> Result<(), FheError> {
        if self.parameters == *expected {
            return Ok(());
        }
        Err(FheError::Parameters { left: self.parameters.name().into(), right: expected.name().into() })
    }

    /// `value`, which everybody can read, where sums to `known` begin.
    pub(super) fn trivial(&self, known: Known, value: i64) -> Self {
        let mut words = vec![0; self.lwe.as_ref().len()];
        *words.last_mut().expect("a ciphertext has a body") = known.encoding.torus(value);
        let lwe = LweCiphertextOwned::from_container(words, CiphertextModulus::new_native());
        Self { known, lwe, ..*self }
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ciphertext").field("key", &self.key).field("known", &self.known).finish_non_exhaustive()
    }
}

/// Integers as their owner sends them: the seed of all masks, and 8 bytes each.
#[derive(Clone, Debug, PartialEq)]
pub struct FreshCiphertexts {
    pub(super) parameters: Parameters,
    pub(super) key: KeyId,
    pub(super) encoding: Encoding,
    pub(super) mask_seed: [u8; 16],
    pub(super) bodies: Vec<u64>,
}

impl FreshCiphertexts {
    /// The most integers under one seed.
    pub const MAX_COUNT: usize = 1 << 16;

    /// How many integers there are.
    pub const fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Never: there is at least one.
    pub const fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// The public name of the key.
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// Where the integers stand.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The ciphertexts one by one, some 16 kB each.
    pub fn expand(&self) -> Vec<Ciphertext> {
        let known = Known::fresh(&self.parameters, self.encoding);
        let (list, _) = Self::list(&self.parameters, self.mask_seed, &self.bodies);
        let list = SeededLweCiphertextListOwned::decompress_into_lwe_ciphertext_list(list);
        let ciphertext = |words: &[u64]| Ciphertext {
            parameters: self.parameters,
            key: self.key,
            known,
            lwe: LweCiphertextOwned::from_container(words.to_vec(), CiphertextModulus::new_native()),
        };
        list.iter().map(|one| ciphertext(one.as_ref())).collect()
    }

    /// Canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = header(MANY, &self.parameters, self.key, self.encoding);
        bytes.extend(self.mask_seed);
        bytes.extend((self.bodies.len() as u32).to_le_bytes());
        bytes.extend(self.bodies.iter().flat_map(|body| body.to_le_bytes()));
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`FheError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FheError> {
        let Header { parameters, key, encoding, rest } = read_header(MANY, bytes)?;
        let malformed = FheError::Malformed;
        let (&mask_seed, rest) = rest.split_first_chunk().ok_or(malformed("they are too short"))?;
        let (&count, rest) = rest.split_first_chunk().ok_or(malformed("they are too short"))?;
        let count = u32::from_le_bytes(count) as usize;
        let (bodies, []) = rest.as_chunks::<8>() else { return Err(malformed("their length is wrong")) };
        if bodies.len() != count || Self::check_count(count).is_err() {
            return Err(malformed("their count is wrong"));
        }
        let bodies = bodies.iter().map(|body| u64::from_le_bytes(*body)).collect();
        Ok(Self { parameters, key, encoding, mask_seed, bodies })
    }

    pub(super) fn check_count(got: usize) -> Result<(), FheError> {
        match got {
            1..=Self::MAX_COUNT => Ok(()),
            0 => Err(FheError::Count { what: "integers to encrypt", expected: 1, got }),
            _ => Err(FheError::Count { what: "integers to encrypt", expected: Self::MAX_COUNT, got }),
        }
    }

    pub(super) fn list(
        parameters: &Parameters,
        mask_seed: [u8; 16],
        bodies: &[u64],
    ) -> (SeededLweCiphertextListOwned<u64>, LweSize) {
        let size = LweSize(parameters.polynomial_size() * parameters.set().glwe_dimension.0 + 1);
        let count = LweCiphertextCount(bodies.len());
        let seed = Seed(u128::from_le_bytes(mask_seed));
        let modulus = CiphertextModulus::new_native();
        let mut list = SeededLweCiphertextListOwned::new(0, size, count, seed.into(), modulus);
        list.as_mut().copy_from_slice(bodies);
        (list, size)
    }
}

/// Kinds of bytes.
const ONE: u8 = 1;
const MANY: u8 = 2;

/// What bytes begin with: a name, their version, and their kind.
const MAGIC: &[u8; 7] = b"nxtfhe1";

struct Header<'a> {
    parameters: Parameters,
    key: KeyId,
    encoding: Encoding,
    rest: &'a [u8],
}

fn header(kind: u8, parameters: &Parameters, key: KeyId, encoding: Encoding) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([kind, parameters.id()]);
    bytes.extend(key.0);
    bytes.push(encoding.width() as u8);
    bytes.extend(encoding.low().to_le_bytes());
    bytes.extend(encoding.high().to_le_bytes());
    bytes
}

fn read_header(kind: u8, bytes: &[u8]) -> Result<Header<'_>, FheError> {
    let malformed = FheError::Malformed;
    let short = malformed("the header is too short");
    let rest = bytes.strip_prefix(MAGIC).ok_or(malformed("it begins with another name or version"))?;
    let (&[got, set], rest) = rest.split_first_chunk().ok_or(short.clone())?;
    if got != kind {
        return Err(malformed("it is of another kind"));
    }
    let parameters = Parameters::with_id(set).ok_or(malformed("its parameter set is unknown"))?;
    let (&key, rest) = rest.split_first_chunk().ok_or(short.clone())?;
    let (&[width], rest) = rest.split_first_chunk().ok_or(short.clone())?;
    let (&low, rest) = rest.split_first_chunk().ok_or(short.clone())?;
    let (&high, rest) = rest.split_first_chunk().ok_or(short)?;
    let encoding = Encoding::new(width.into(), i64::from_le_bytes(low), i64::from_le_bytes(high));
    let encoding = encoding.map_err(|_| malformed("its range does not fit its width"))?;
    Ok(Header { parameters, key: KeyId(key), encoding, rest })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::super::SecretKey;
    use super::*;

    fn sent() -> (SecretKey, FreshCiphertexts) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let secret = SecretKey::generate(Parameters::MESSAGE_2_CARRY_2_FINE, &mut rng);
        let sent = secret.encrypt(&[3, -2, 7], Encoding::new(8, -20, 20).unwrap(), &mut rng).unwrap();
        (secret, sent)
    }

    #[test]
    fn a_sum_is_the_sum_of_what_is_encrypted() {
        let (secret, sent) = sent();
        let terms = sent.expand();
        let sum = Ciphertext::linear([5, -1, 2].into_iter().zip(&terms), -4);
        // The range would be 8·20·2 wide.
        let expected = FheError::RangeTooWide { operation: "a sum", low: -164, high: 156, width: 8 };
        assert_eq!(sum.map(|_| ()), Err(expected));
        let sum = Ciphertext::linear([2, -1, 2].into_iter().zip(&terms), -4).unwrap();
        assert_eq!((sum.known().encoding().low(), sum.known().encoding().high()), (-104, 96));
        assert_eq!(secret.decrypt(&sum), Ok(2 * 3 + 2 + 2 * 7 - 4));
    }

    #[test]
    fn ciphertexts_of_two_keys_or_widths_are_not_added() {
        let (secret, sent) = sent();
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let other = SecretKey::generate(Parameters::MESSAGE_2_CARRY_2_FINE, &mut rng);
        let elsewhere = other.encrypt(&[3], Encoding::new(8, -20, 20).unwrap(), &mut rng).unwrap();
        let add = |left: &Ciphertext, right: &Ciphertext| Ciphertext::linear([(1, left), (1, right)], 0).map(|_| ());
        let one = &sent.expand()[0];
        let expected = FheError::Keys { left: other.id(), right: secret.id() };
        assert_eq!(add(one, &elsewhere.expand()[0]), Err(expected));
        let wider = secret.encrypt(&[3], Encoding::new(9, -20, 20).unwrap(), &mut rng).unwrap();
        assert_eq!(add(one, &wider.expand()[0]), Err(FheError::WidthMismatch { expected: 8, got: 9 }));
        let no_terms: [(i64, &Ciphertext); 0] = [];
        let expected = FheError::Count { what: "terms of a sum", expected: 1, got: 0 };
        assert_eq!(Ciphertext::linear(no_terms, 1).map(|_| ()), Err(expected));
    }

    #[test]
    fn bytes_come_back_as_they_went() {
        let (secret, sent) = sent();
        let bytes = sent.to_bytes();
        assert_eq!(bytes.len(), 7 + 2 + 16 + 17 + 16 + 4 + 3 * 8);
        let read = FreshCiphertexts::from_bytes(&bytes).unwrap();
        assert_eq!(read, sent);
        let one = &read.expand()[1];
        let bytes = one.to_bytes();
        let read = Ciphertext::from_bytes(&bytes).unwrap();
        assert_eq!(read.to_bytes(), bytes);
        assert_eq!(secret.decrypt(&read), Ok(-2));
    }

    #[test]
    fn a_claim_of_too_little_noise_is_refused() {
        let mut one = sent().1.expand().remove(0);
        for variance in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            one.known.variance = variance;
            assert!(matches!(Ciphertext::from_bytes(&one.to_bytes()), Err(FheError::Malformed(_))), "{variance}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn malformed_bytes_are_refused_or_read_as_they_stand(
            kind: bool,
            cut in 0usize..20_000,
            flips in proptest::collection::vec((0usize..80, any::<u8>()), 0..4),
        ) {
            let (_, sent) = sent();
            let mut bytes = if kind { sent.to_bytes() } else { sent.expand()[0].to_bytes() };
            bytes.truncate(cut);
            for (at, byte) in flips {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            if let Ok(read) = FreshCiphertexts::from_bytes(&bytes) {
                prop_assert_eq!(read.to_bytes(), bytes.clone());
            }
            if let Ok(read) = Ciphertext::from_bytes(&bytes) {
                prop_assert_eq!(read.to_bytes(), bytes);
            }
        }
    }
}
