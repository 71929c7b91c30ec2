use std::fmt;

use ::tfhe::core_crypto::commons::generators::DeterministicSeeder;
use ::tfhe::core_crypto::commons::math::random::{DefaultRandomGenerator, Seed};
use ::tfhe::core_crypto::prelude::{
    EncryptionRandomGenerator, FourierLweBootstrapKeyOwned, GlweSecretKeyOwned, LweBootstrapKeyOwned,
    LweKeyswitchKeyOwned, LweSecretKeyOwned, Plaintext, PlaintextList, SecretRandomGenerator,
    SeededLweCiphertextListOwned, allocate_and_generate_new_lwe_keyswitch_key, decrypt_lwe_ciphertext,
    encrypt_seeded_lwe_ciphertext_list, par_convert_standard_lwe_bootstrap_key_to_fourier,
    par_generate_lwe_bootstrap_key,
};
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Ciphertext, Cost, Encoding, FreshCiphertexts, Known, Parameters};
use crate::{FheError, KeyId};

/// What encrypts and decrypts.
pub struct SecretKey {
    parameters: Parameters,
    id: KeyId,
    /// Of ciphertexts.
    glwe: GlweSecretKeyOwned<u64>,
    /// Between key switch and bootstrapping.
    lwe: LweSecretKeyOwned<u64>,
}

impl SecretKey {
    /// A fresh key.
    ///
    /// # Security
    /// 128 bits of `rng` seed `tfhe`'s generator of binary keys.
    pub fn generate<R: CryptoRng + ?Sized>(parameters: Parameters, rng: &mut R) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let mut generator = SecretRandomGenerator::<DefaultRandomGenerator>::new(seed(rng));
        let set = parameters.set();
        let glwe = GlweSecretKeyOwned::generate_new_binary(set.glwe_dimension, set.polynomial_size, &mut generator);
        let lwe = LweSecretKeyOwned::generate_new_binary(set.lwe_dimension, &mut generator);
        Self { parameters, id: KeyId(id), glwe, lwe }
    }

    /// The key's public name.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The parameter set.
    pub const fn parameters(&self) -> Parameters {
        self.parameters
    }

    /// What an evaluator needs: encryptions of this key under itself, to be given away.
    ///
    /// Takes a second or two of one core, and twice its final memory.
    pub fn evaluation_key<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> EvaluationKey {
        let set = self.parameters.set();
        let mut generator = generator(rng);
        let mut standard = LweBootstrapKeyOwned::new(
            0,
            set.glwe_dimension.to_glwe_size(),
            set.polynomial_size,
            set.pbs_base_log,
            set.pbs_level,
            set.lwe_dimension,
            set.ciphertext_modulus,
        );
        par_generate_lwe_bootstrap_key(
            &self.lwe,
            &self.glwe,
            &mut standard,
            set.glwe_noise_distribution,
            &mut generator,
        );
        let mut bootstrap = FourierLweBootstrapKeyOwned::new(
            set.lwe_dimension,
            set.glwe_dimension.to_glwe_size(),
            set.polynomial_size,
            set.pbs_base_log,
            set.pbs_level,
        );
        par_convert_standard_lwe_bootstrap_key_to_fourier(&standard, &mut bootstrap);
        let key_switch = allocate_and_generate_new_lwe_keyswitch_key(
            &self.glwe.as_lwe_secret_key(),
            &self.lwe,
            set.ks_base_log,
            set.ks_level,
            set.lwe_noise_distribution,
            set.ciphertext_modulus,
            &mut generator,
        );
        EvaluationKey { parameters: self.parameters, id: self.id, bootstrap, key_switch }
    }

    /// Encrypts integers, as one seed and 8 bytes each.
    ///
    /// # Errors
    /// [`FheError::OutOfRange`] for an integer that the encoding does not hold; [`FheError::Count`] unless there are 1 to
    /// [`FreshCiphertexts::MAX_COUNT`].
    pub fn encrypt<R: CryptoRng + ?Sized>(
        &self,
        values: &[i64],
        encoding: Encoding,
        rng: &mut R,
    ) -> Result<FreshCiphertexts, FheError> {
        FreshCiphertexts::check_count(values.len())?;
        values.iter().try_for_each(|&value| encoding.expect("a plaintext", value))?;
        let set = self.parameters.set();
        let mut mask_seed = [0; 16];
        rng.fill_bytes(&mut mask_seed);
        let (mut list, size) = FreshCiphertexts::list(&self.parameters, mask_seed, &vec![0; values.len()]);
        debug_assert_eq!(size, self.glwe.as_lwe_secret_key().lwe_dimension().to_lwe_size());
        let plain: Vec<u64> = values.iter().map(|&value| encoding.torus(value)).collect();
        let mut plain = PlaintextList::from_container(plain);
        encrypt_seeded_lwe_ciphertext_list(
            &self.glwe.as_lwe_secret_key(),
            &mut list,
            &plain,
            set.glwe_noise_distribution,
            &mut seeder(rng),
        );
        plain.as_mut().zeroize();
        let bodies = SeededLweCiphertextListOwned::into_container(list);
        Ok(FreshCiphertexts { parameters: self.parameters, key: self.id, encoding, mask_seed, bodies })
    }

    /// The integer of a ciphertext.
    ///
    /// # Errors
    /// [`FheError::Keys`], [`FheError::Parameters`]; [`FheError::NoiseBudget`] if the noise could make it wrong;
    /// [`FheError::OutOfRange`] if it does not lie in the range that the ciphertext claims: it is not what it says.
    pub fn decrypt(&self, ciphertext: &Ciphertext) -> Result<i64, FheError> {
        ciphertext.expect_key(self.id)?;
        ciphertext.expect_parameters(&self.parameters)?;
        ciphertext.known.decrypted(&mut Cost::default())?;
        let encoding = ciphertext.known.encoding;
        let Plaintext(phase) = decrypt_lwe_ciphertext(&self.glwe.as_lwe_secret_key(), &ciphertext.lwe);
        let width = encoding.width();
        let above = phase.wrapping_sub(encoding.torus(encoding.low())).wrapping_add(1 << (63 - width)) >> (64 - width);
        let value = encoding.low() + above.cast_signed();
        encoding.expect("a decrypted integer", value)?;
        Ok(value)
    }
}

#[cfg(test)]
impl SecretKey {
    /// The noise of an encryption of zero, as a part of the torus.
    pub(super) fn phase(&self, ciphertext: &Ciphertext) -> f64 {
        let Plaintext(phase) = decrypt_lwe_ciphertext(&self.glwe.as_lwe_secret_key(), &ciphertext.lwe);
        phase.cast_signed() as f64 * f64::from(-64).exp2()
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.glwe.as_mut().zeroize();
        self.lwe.as_mut().zeroize();
    }
}

impl ZeroizeOnDrop for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What computes on ciphertexts of one secret key.
pub struct EvaluationKey {
    pub(super) parameters: Parameters,
    pub(super) id: KeyId,
    pub(super) bootstrap: FourierLweBootstrapKeyOwned,
    pub(super) key_switch: LweKeyswitchKeyOwned<u64>,
}

impl EvaluationKey {
    /// The public name of the secret key.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The parameter set.
    pub const fn parameters(&self) -> Parameters {
        self.parameters
    }

    /// Bytes of the key in memory, ready for use.
    pub fn size(&self) -> usize {
        let complex = 16;
        self.bootstrap.as_view().data().len() * complex + size_of_val(self.key_switch.as_ref())
    }

    /// What is known of fresh ciphertexts.
    pub fn fresh(&self, encoding: Encoding) -> Known {
        Known::fresh(&self.parameters, encoding)
    }
}

impl fmt::Debug for EvaluationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parameters, id, .. } = self;
        f.debug_struct("EvaluationKey").field("parameters", &parameters.name()).field("id", id).finish_non_exhaustive()
    }
}

fn seed<R: CryptoRng + ?Sized>(rng: &mut R) -> Seed {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    let seed = Seed(u128::from_le_bytes(bytes));
    bytes.zeroize();
    seed
}

fn seeder<R: CryptoRng + ?Sized>(rng: &mut R) -> DeterministicSeeder<DefaultRandomGenerator> {
    DeterministicSeeder::new(seed(rng))
}

fn generator<R: CryptoRng + ?Sized>(rng: &mut R) -> EncryptionRandomGenerator<DefaultRandomGenerator> {
    let mask = seed(rng);
    EncryptionRandomGenerator::new(mask, &mut seeder(rng))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn key(seed: u64) -> (SecretKey, ChaCha20Rng) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        (SecretKey::generate(Parameters::MESSAGE_2_CARRY_2, &mut rng), rng)
    }

    #[test]
    fn every_integer_of_a_range_is_decrypted_as_encrypted() {
        let (secret, mut rng) = key(1);
        for (width, low, high) in [(1, 0, 1), (5, -16, 15), (7, 1000, 1127), (12, -5, 900)] {
            let values: Vec<i64> = (low..=high).collect();
            let encoding = Encoding::new(width, low, high).unwrap();
            let sent = secret.encrypt(&values, encoding, &mut rng).unwrap();
            let decrypted: Vec<i64> = sent.expand().iter().map(|one| secret.decrypt(one).unwrap()).collect();
            assert_eq!(decrypted, values);
        }
    }

    #[test]
    fn a_ciphertext_under_another_key_is_refused() {
        let (secret, mut rng) = key(2);
        let other = SecretKey::generate(Parameters::MESSAGE_2_CARRY_2, &mut rng);
        let sent = secret.encrypt(&[1], Encoding::new(5, 0, 3).unwrap(), &mut rng).unwrap();
        let expected = FheError::Keys { left: secret.id(), right: other.id() };
        assert_eq!(other.decrypt(&sent.expand()[0]), Err(expected));
    }

    #[test]
    fn a_plaintext_out_of_range_is_refused() {
        let (secret, mut rng) = key(3);
        let encoding = Encoding::new(5, 0, 3).unwrap();
        let refused = |value| Err(FheError::OutOfRange { what: "a plaintext", value, low: 0, high: 3 });
        assert_eq!(secret.encrypt(&[1, 4], encoding, &mut rng).map(|_| ()), refused(4));
        assert_eq!(secret.encrypt(&[-1], encoding, &mut rng).map(|_| ()), refused(-1));
    }

    #[test]
    fn a_ciphertext_that_does_not_hold_what_it_claims_is_an_error() {
        let (secret, mut rng) = key(4);
        let sent = secret.encrypt(&[9], Encoding::new(5, 0, 9).unwrap(), &mut rng).unwrap();
        let mut claims = sent.expand().remove(0);
        claims.known.encoding = Encoding::new(5, 0, 8).unwrap();
        let expected = FheError::OutOfRange { what: "a decrypted integer", value: 9, low: 0, high: 8 };
        assert_eq!(secret.decrypt(&claims), Err(expected));
    }

    #[test]
    fn the_same_generator_makes_the_same_keys_and_ciphertexts() {
        let (secret, mut rng) = key(5);
        let (again, mut other) = key(5);
        assert!(secret.glwe == again.glwe && secret.lwe == again.lwe && secret.id() == again.id());
        let encoding = Encoding::new(5, 0, 3).unwrap();
        let sent = secret.encrypt(&[1, 2], encoding, &mut rng).unwrap().to_bytes();
        assert_eq!(sent, again.encrypt(&[1, 2], encoding, &mut other).unwrap().to_bytes());
        assert_ne!(sent, secret.encrypt(&[1, 2], encoding, &mut rng).unwrap().to_bytes());
    }

    #[test]
    fn a_secret_key_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", key(6).0), "Secret(..)");
    }
}
