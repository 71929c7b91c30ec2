use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::bytes::{Kind, Reader, Writer};
use crate::noise::{NoiseBound, TERNARY_DEVIATION};
use crate::ring::kernels::{self, Engine};
use crate::ring::poly::{add_small, small};
use crate::ring::sample::{Noise, Seed, uniform};
use crate::ring::{Coeff, Ntt, Poly, for_each_limb_pair};
use crate::{FheError, Parameters};

use super::Ciphertext;

/// What `a` of a public key is expanded under; evaluation keys count up from here.
pub(super) const PUBLIC_KEY: u64 = 0;
pub(super) const SECRET_KEY_ENCRYPTION: u64 = 1;

/// Which secret key something belongs to: a random name, which says nothing of the key.
///
/// It keeps honest programs from mixing keys up; it authenticates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 16]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A secret polynomial with coefficients uniform in −1, 0, 1.
///
/// Zeroised when dropped; its `Debug` shows no coefficient.
pub struct SecretKey {
    parameters: Parameters,
    id: KeyId,
    /// Modulo `P·Q`.
    value: Poly<Ntt>,
    deviation: f64,
}

impl SecretKey {
    /// A fresh key.
    pub fn generate<R: CryptoRng + ?Sized>(parameters: &Parameters, rng: &mut R) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let basis = parameters.key_basis();
        let coefficients = Noise::new(rng).ternary(basis, 0);
        let value = Poly::from_small(basis, basis.len(), &coefficients).into_ntt();
        Self { parameters: parameters.clone(), id: KeyId(id), value, deviation: TERNARY_DEVIATION }
    }

    /// A key by its value modulo `P·Q`, whose coefficients have the given deviation: sums and shares of keys.
    #[cfg(test)]
    pub(crate) fn from_value(parameters: &Parameters, id: KeyId, value: Poly<Ntt>, deviation: f64) -> Self {
        Self { parameters: parameters.clone(), id, value, deviation }
    }

    /// The parameters it was made for.
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Its name.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Modulo `P·Q`, the special primes first.
    pub(crate) const fn value(&self) -> &Poly<Ntt> {
        &self.value
    }

    /// Modulo the first `level` primes of `Q`.
    pub(crate) fn at_level(&self, level: usize) -> Poly<Ntt> {
        self.value.rebased(self.parameters.special(), level, self.parameters.ciphertext_basis())
    }

    /// The standard deviation of its coefficients, for bounds of noise.
    pub(crate) const fn deviation(&self) -> f64 {
        self.deviation
    }

    /// `message` with fresh noise, at the level of its limbs; the second part is a seed, so half is to be sent.
    pub fn encrypt<R: CryptoRng + ?Sized>(&self, message: &Poly<Coeff>, rng: &mut R) -> (Ciphertext, NoiseBound) {
        let (basis, level) = (self.parameters.ciphertext_basis(), message.limbs());
        let seed = Seed::random(rng);
        let mut c0 = message.clone();
        c0.add_small(&Noise::new(rng).errors(basis, 0));
        let mut c0 = c0.into_ntt();
        let c1 = uniform(basis, level, seed, SECRET_KEY_ENCRYPTION);
        let mut masked = self.at_level(level);
        masked.mul_assign(&c1);
        c0.sub_assign(&masked);
        masked.zeroize();
        (Ciphertext::seeded(&self.parameters, self.id, c0, c1, seed), self.parameters.noise().error())
    }

    /// `c_0 + c_1·s + c_2·s² + …`: message and noise, to be parted by a scheme and shown to nobody before.
    ///
    /// # Errors
    /// [`FheError::Parameters`] and [`FheError::Keys`] for a ciphertext of another key.
    pub(crate) fn phase(&self, ciphertext: &Ciphertext) -> Result<Poly<Coeff>, FheError> {
        self.parameters.matches(ciphertext.parameters())?;
        ciphertext.belongs_to(self.id)?;
        let mut secret = self.at_level(ciphertext.level());
        let (last, others) = ciphertext.parts().split_last().expect("a ciphertext has parts");
        let mut phase = last.clone();
        for part in others.iter().rev() {
            phase.mul_assign(&secret);
            phase.add_assign(part);
        }
        secret.zeroize();
        Ok(phase.into_coeff())
    }

    /// The public key of this secret.
    pub fn public_key<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> PublicKey {
        let (basis, level) = (self.parameters.ciphertext_basis(), self.parameters.levels());
        let (seed, errors) = (Seed::random(rng), Noise::new(rng).errors(basis, 0));
        let a = uniform(basis, level, seed, PUBLIC_KEY);
        let mut b = Poly::from_small(basis, level, &errors).into_ntt();
        let mut masked = self.at_level(level);
        masked.mul_assign(&a);
        b.sub_assign(&masked);
        masked.zeroize();
        PublicKey { parameters: self.parameters.clone(), id: self.id, deviation: self.deviation, seed, b, a }
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(key {})", self.id)
    }
}

/// `(b, a)` with `b = e − a·s`: what anyone encrypts with.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicKey {
    parameters: Parameters,
    id: KeyId,
    deviation: f64,
    seed: Seed,
    b: Poly<Ntt>,
    a: Poly<Ntt>,
}

impl PublicKey {
    /// A key whose `b` several parties made together from `a` of this seed.
    pub(crate) fn from_parts(parameters: &Parameters, id: KeyId, deviation: f64, seed: Seed, b: Poly<Ntt>) -> Self {
        let a = Self::expand(parameters, seed);
        Self { parameters: parameters.clone(), id, deviation, seed, b, a }
    }

    /// `a` of a public key.
    pub(crate) fn expand(parameters: &Parameters, seed: Seed) -> Poly<Ntt> {
        uniform(parameters.ciphertext_basis(), parameters.levels(), seed, PUBLIC_KEY)
    }

    /// The parameters it was made for.
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The name of its secret key.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The standard deviation of the secret's coefficients, for bounds of noise.
    pub(crate) const fn deviation(&self) -> f64 {
        self.deviation
    }

    /// `b` and `a`.
    pub(crate) const fn parts(&self) -> [&Poly<Ntt>; 2] {
        [&self.b, &self.a]
    }

    /// `message + e_0 + b·u` and `e_1 + a·u`, at the level of the message's limbs.
    #[expect(clippy::needless_pass_by_value, reason = "schemes make the polynomial for this call")]
    pub fn encrypt<R: CryptoRng + ?Sized>(&self, message: Poly<Coeff>, rng: &mut R) -> (Ciphertext, NoiseBound) {
        self.encrypt_ref(&message, rng)
    }

    /// The same of a message that is kept.
    pub(crate) fn encrypt_ref<R: CryptoRng + ?Sized>(
        &self,
        message: &Poly<Coeff>,
        rng: &mut R,
    ) -> (Ciphertext, NoiseBound) {
        let (basis, level, degree) = (self.parameters.ciphertext_basis(), message.limbs(), self.parameters.degree());
        let noise = Noise::new(rng);
        let (u, e0, e1) = (noise.ternary(basis, 0), noise.errors(basis, 1), noise.errors(basis, 2));
        let [mut c0, mut c1] = [0, 1].map(|_| Poly::any(basis, level));
        let engine = Engine::detect();
        for_each_limb_pair((c0.values_mut(), c1.values_mut()), degree, degree, |i, (c0, c1), room| {
            let (prime, q) = (&basis.primes()[i], basis.primes()[i].modulus());
            small(q, &u, room);
            prime.forward(room);
            c0.copy_from_slice(message.limb(i));
            add_small(q, &e0, c0);
            prime.forward(c0);
            small(q, &e1, c1);
            prime.forward(c1);
            kernels::mul_add(engine, q, c0, self.b.limb(i), room);
            kernels::mul_add(engine, q, c1, self.a.limb(i), room);
            room.zeroize();
        });
        let bound = self.parameters.noise().fresh_public(self.deviation);
        (Ciphertext::new(&self.parameters, self.id, vec![c0, c1]), bound)
    }

    /// `b` and the seed of `a`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(Kind::PublicKey, &self.parameters);
        writer.bytes(&self.id.0);
        writer.f64(self.deviation);
        writer.bytes(&self.seed.0);
        writer.poly(&self.b);
        writer.finish()
    }

    /// Reads a public key made for these parameters.
    ///
    /// # Errors
    /// [`FheError::EncodedParameters`], [`FheError::Truncated`], [`FheError::Residue`], [`FheError::Malformed`],
    /// [`FheError::Trailing`].
    pub fn from_bytes(parameters: &Parameters, bytes: &[u8]) -> Result<Self, FheError> {
        let mut reader = Reader::new(Kind::PublicKey, parameters, bytes)?;
        let id = KeyId(reader.array("the key's name")?);
        let deviation = read_deviation(&mut reader)?;
        let seed = Seed(reader.array("the seed")?);
        let b = reader.poly(parameters.ciphertext_basis(), parameters.levels(), "b")?;
        reader.finish()?;
        Ok(Self::from_parts(parameters, id, deviation, seed, b))
    }
}

/// The deviation of a secret that is a sum of 1 to 2^20 ternary ones.
pub(crate) fn read_deviation(reader: &mut Reader<'_>) -> Result<f64, FheError> {
    let what = "the deviation of the secret";
    let deviation = reader.f64(what)?;
    if (TERNARY_DEVIATION..=TERNARY_DEVIATION * 1024.0).contains(&deviation) {
        Ok(deviation)
    } else {
        Err(FheError::Malformed(what))
    }
}
