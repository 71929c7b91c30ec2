use std::fmt;

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::FheError;
use crate::ring::kernels::{self, Engine};
use crate::ring::sample::Noise;
use crate::ring::{Automorphism, Ntt, Poly, for_each_limb};
use crate::rlwe::{PublicKey, SwitchingKey, add_gadget, has_special};

use super::collective::RelinearisationRound;
use super::decryptor::Decryptor;
use super::session::{PartyId, Session};
use super::shamir::{self, PairKey, SecretShare};
use super::share::{KeyShare, Purpose};

/// What all secrets of a party come from: 32 bytes, to be kept as long as the party is to decrypt.
///
/// Zeroised when dropped. One seed may serve several sessions; what is derived for one says nothing of another.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PartySeed([u8; 32]);

impl PartySeed {
    /// A fresh seed.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self(seed)
    }

    /// The seed that was kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The seed, to be kept where secrets are.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PartySeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// One party of a session with its part `s_i` of the collective secret `s = Σ s_i`.
///
/// Everything that it says is derived from its seed, the session and what it answers, so a party that is started again
/// says the same again: a second run gives nobody a second look at its secret under other noise.
///
/// # Security
/// The protocols are those of Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux (2021), against parties that follow them and
/// look on, all but one of whom may collude. A party that deviates can spoil the keys, or make the second round of the
/// relinearisation key say more of another's secret than it should.
pub struct Party {
    session: Session,
    id: PartyId,
    /// Of this session and party.
    seed: Zeroizing<[u8; 32]>,
    /// `s_i` modulo `P·Q`.
    secret: Poly<Ntt>,
}

impl Party {
    /// The party of this name in the session.
    ///
    /// # Errors
    /// [`FheError::Stranger`].
    pub fn new(session: &Session, id: PartyId, seed: &PartySeed) -> Result<Self, FheError> {
        session.has(id)?;
        let mut hasher = blake3::Hasher::new_keyed(&seed.0);
        hasher.update(b"cipher-nexus threshold party v1").update(&session.digest()).update(&id.0.to_le_bytes());
        let seed = Zeroizing::new(*hasher.finalize().as_bytes());
        hasher.zeroize();
        let basis = session.parameters().key_basis();
        let coefficients = Noise::derived(&seed, &[b"secret"]).ternary(basis, 0);
        let secret = Poly::from_small(basis, basis.len(), &coefficients).into_ntt();
        Ok(Self { session: session.clone(), id, seed, secret })
    }

    /// Its name.
    pub const fn id(&self) -> PartyId {
        self.id
    }

    /// Its session.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    fn noise(&self, context: &[&[u8]]) -> Noise {
        Noise::derived(&self.seed, context)
    }

    fn share(&self, purpose: Purpose, parts: Vec<Poly<Ntt>>) -> KeyShare {
        KeyShare::new(&self.session, self.id, purpose, parts)
    }

    /// `b_i = e_i − a·s_i`, for the collective public key.
    pub fn public_key_share(&self) -> KeyShare {
        let parameters = self.session.parameters();
        let (basis, special, engine) = (parameters.ciphertext_basis(), parameters.special(), Engine::detect());
        let errors = self.noise(&[b"public key"]).errors(basis, 0);
        let mut b = Poly::from_small(basis, parameters.levels(), &errors).into_ntt();
        let mut masked = PublicKey::expand(parameters, self.session.common(b"public key"));
        for_each_limb(masked.values_mut(), basis, |i, prime, limb| {
            kernels::mul(engine, prime.modulus(), limb, self.secret.limb(special + i));
        });
        b.sub_assign(&masked);
        masked.zeroize();
        self.share(Purpose::PublicKey, vec![b])
    }

    /// `(P·g_d·s_i + e_{0,d,i} − a_d·u_i, a_d·s_i + e_{1,d,i})` for every digit `d`, with a ternary `u_i` of its own:
    /// the first of two rounds of the collective relinearisation key.
    ///
    /// # Errors
    /// [`FheError::NoSpecialPrimes`].
    pub fn relinearisation_share(&self) -> Result<KeyShare, FheError> {
        let parameters = self.session.parameters();
        has_special(parameters)?;
        let (seed, noise) = (self.session.common(b"relinearisation key"), self.noise(&[b"relinearisation first"]));
        let mut ephemeral = self.ephemeral();
        let mut parts = Vec::with_capacity(2 * parameters.digits());
        for digit in 0..parameters.digits() {
            let mut masked = SwitchingKey::expand(parameters, seed, digit);
            let mut second = self.error(&noise, 2 * digit as u64 + 1);
            second.mul_add(&masked, &self.secret);
            masked.mul_assign(&ephemeral);
            let mut first = self.error(&noise, 2 * digit as u64);
            first.sub_assign(&masked);
            masked.zeroize();
            add_gadget(parameters, &mut first, digit, &self.secret);
            parts.extend([first, second]);
        }
        ephemeral.zeroize();
        Ok(self.share(Purpose::RelinearisationFirst, parts))
    }

    /// `s_i·h_{0,d} + (u_i − s_i)·h_{1,d} + e_{2,d,i} + e_{3,d,i}` for every digit, `h` the sums of the first round.
    ///
    /// # Errors
    /// [`FheError::Session`].
    pub fn second_relinearisation_share(&self, round: &RelinearisationRound) -> Result<KeyShare, FheError> {
        self.session.matches(round.session().digest())?;
        let basis = self.session.parameters().key_basis();
        let purpose = Purpose::RelinearisationSecond { round: round.digest() };
        // Another first round is answered under other noise.
        let noise = self.noise(&[b"relinearisation second", &round.digest()]);
        let mut difference = self.ephemeral();
        difference.sub_assign(&self.secret);
        let parts = round
            .digits()
            .iter()
            .enumerate()
            .map(|(digit, [first, second])| {
                let mut errors = noise.errors(basis, 2 * digit as u64);
                let others = noise.errors(basis, 2 * digit as u64 + 1);
                errors.iter_mut().zip(&*others).for_each(|(error, other)| *error += other);
                let mut part = Poly::from_small(basis, basis.len(), &errors).into_ntt();
                part.mul_add(&self.secret, first);
                part.mul_add(&difference, second);
                part
            })
            .collect();
        difference.zeroize();
        Ok(self.share(purpose, parts))
    }

    /// `e_{d,i} − a_d·s_i + P·g_d·s_i(X^g)` for every digit, for the collective Galois key of the exponent `g`.
    ///
    /// # Errors
    /// [`FheError::NoSpecialPrimes`], [`FheError::Automorphism`].
    pub fn galois_share(&self, exponent: usize) -> Result<KeyShare, FheError> {
        let parameters = self.session.parameters();
        has_special(parameters)?;
        let automorphism = Automorphism::new(parameters.degree(), exponent)?;
        let exponent = automorphism.exponent();
        let context = (exponent as u64).to_le_bytes();
        let (seed, noise) = (self.session.galois(exponent), self.noise(&[b"galois", &context]));
        let mut image = self.secret.automorphism(&automorphism);
        let parts = (0..parameters.digits())
            .map(|digit| {
                let mut b = self.error(&noise, digit as u64);
                let mut masked = SwitchingKey::expand(parameters, seed, digit);
                masked.mul_assign(&self.secret);
                b.sub_assign(&masked);
                masked.zeroize();
                add_gadget(parameters, &mut b, digit, &image);
                b
            })
            .collect();
        image.zeroize();
        Ok(self.share(Purpose::Galois { exponent }, parts))
    }

    /// Shamir shares of `s_i` for every party, its own among them, each with a key for the pair: to be sent to each over a
    /// private channel.
    ///
    /// The polynomial has degree `threshold − 1` and is evaluated at the parties' places, from one on, modulo every
    /// prime of `Q`.
    ///
    /// # Errors
    /// [`FheError::Dealing`] where all parties decrypt together, so that nothing is dealt.
    pub fn deal(&self) -> Result<Vec<SecretShare>, FheError> {
        self.needs_shares(true)?;
        shamir::deal(
            &self.session,
            self.id,
            self.at_level(self.session.parameters().levels()),
            &self.noise(&[b"shamir"]),
            |to| self.pair_key(to),
        )
    }

    /// What decrypts where all parties are needed: with `s_i` itself.
    ///
    /// # Errors
    /// [`FheError::Dealing`] where fewer than all parties decrypt.
    pub fn decryptor(&self) -> Result<Decryptor, FheError> {
        self.needs_shares(false)?;
        let share = self.at_level(self.session.parameters().levels());
        Ok(Decryptor::new(&self.session, self.id, &self.seed, share, Vec::new()))
    }

    /// What decrypts where `threshold` of more parties are needed: with the sum of one share from every party, this one
    /// among them.
    ///
    /// # Errors
    /// [`FheError::Dealing`] where all parties decrypt; [`FheError::Session`], [`FheError::Recipient`],
    /// [`FheError::Stranger`], [`FheError::Duplicate`], [`FheError::Missing`].
    pub fn decryptor_from_shares(&self, shares: &[SecretShare]) -> Result<Decryptor, FheError> {
        self.needs_shares(true)?;
        let (share, received) = shamir::receive(&self.session, self.id, shares)?;
        let pairs = received.into_iter().map(|(peer, theirs)| (peer, [self.pair_key(peer), theirs])).collect();
        Ok(Decryptor::new(&self.session, self.id, &self.seed, share, pairs))
    }

    /// The key that this party draws for itself and one other.
    fn pair_key(&self, to: PartyId) -> PairKey {
        let mut hasher = blake3::Hasher::new_keyed(&self.seed);
        hasher.update(b"cipher-nexus pair key v1").update(&to.0.to_le_bytes());
        let key = PairKey(*hasher.finalize().as_bytes());
        hasher.zeroize();
        key
    }

    fn needs_shares(&self, dealt: bool) -> Result<(), FheError> {
        let (threshold, parties) = (self.session.threshold(), self.session.parties().len());
        if (threshold < parties) == dealt { Ok(()) } else { Err(FheError::Dealing { threshold, parties }) }
    }

    fn at_level(&self, level: usize) -> Poly<Ntt> {
        let parameters = self.session.parameters();
        self.secret.rebased(parameters.special(), level, parameters.ciphertext_basis())
    }

    #[cfg(test)]
    pub(super) const fn secret(&self) -> &Poly<Ntt> {
        &self.secret
    }

    /// `u_i`, the same in both rounds.
    fn ephemeral(&self) -> Poly<Ntt> {
        let basis = self.session.parameters().key_basis();
        let coefficients = self.noise(&[b"relinearisation ephemeral"]).ternary(basis, 0);
        Poly::from_small(basis, basis.len(), &coefficients).into_ntt()
    }

    fn error(&self, noise: &Noise, label: u64) -> Poly<Ntt> {
        let basis = self.session.parameters().key_basis();
        Poly::from_small(basis, basis.len(), &noise.errors(basis, label)).into_ntt()
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(party {})", self.id)
    }
}
