use p3_blake3::Blake3;
use p3_challenger::{
    ByteGrindingChallenger, CanObserve, CanSample, CanSampleBits, GrindingChallenger, HashChallenger,
    SerializingChallenger64,
};
use p3_field::BasedVectorSpace;
use p3_symmetric::Hash;

use crate::{Base, Ext};

/// The sponge underneath, over serialised field elements.
pub(crate) type Challenger = SerializingChallenger64<Base, Sponge>;

/// How many candidates for a proof of work are tried together.
const GRINDING_WINDOW: u64 = 1 << 12;

/// BLAKE3 over bytes, whose proof of work is the least one, so that a proof does not depend on how threads are timed.
#[derive(Clone, Debug)]
pub(crate) struct Sponge(HashChallenger<u8, Blake3, 32>);

impl Sponge {
    pub(crate) const fn new(state: Vec<u8>) -> Self {
        Self(HashChallenger::new(state, Blake3))
    }
}

impl CanObserve<u8> for Sponge {
    fn observe(&mut self, value: u8) {
        self.0.observe(value);
    }

    fn observe_slice(&mut self, values: &[u8]) {
        self.0.observe_slice(values);
    }
}

impl CanSample<u8> for Sponge {
    fn sample(&mut self) -> u8 {
        self.0.sample()
    }
}

impl ByteGrindingChallenger for Sponge {
    fn find_witness<const W: usize, const S: usize>(
        &self,
        num_candidates: u64,
        encode: impl Fn(u64) -> [u8; W] + Sync,
        accepts: impl Fn([u8; S]) -> bool + Sync,
    ) -> Option<u64> {
        (0..num_candidates.div_ceil(GRINDING_WINDOW)).find_map(|window| {
            let start = window * GRINDING_WINDOW;
            let any_below = |end| self.0.find_witness(end, |offset| encode(start + offset), &accepts);
            let mut found = any_below(GRINDING_WINDOW.min(num_candidates - start))?;
            while let Some(smaller) = any_below(found) {
                found = smaller;
            }
            Some(start + found)
        })
    }
}

/// A Fiat–Shamir transcript: what the prover has said so far, and challenges that depend on all of it.
///
/// Every transcript starts from a protocol name with its version, a session and a statement, each hashed with its
/// length, so a proof for another protocol, session or statement meets other challenges. Challenges are uniform in
/// the extension field, by rejection.
///
/// # Security
/// Fiat–Shamir in the random-oracle model of BLAKE3. Whoever absorbs values chosen by the prover only after the
/// challenge that is to bind them has lost soundness; this type cannot notice.
#[derive(Clone, Debug)]
pub struct Transcript {
    challenger: Challenger,
}

impl Transcript {
    /// A transcript for one protocol (with its version), session and statement.
    pub fn new(protocol: &str, session: &[u8], statement: &[u8]) -> Self {
        let challenger = Challenger::new(Sponge::new(b"cipher-nexus transcript v1".to_vec()));
        let mut transcript = Self { challenger };
        transcript.absorb_bytes("protocol", protocol.as_bytes());
        transcript.absorb_bytes("session", session);
        transcript.absorb_bytes("statement", statement);
        transcript
    }

    /// Absorbs bytes under a label; both lengths are bound.
    pub fn absorb_bytes(&mut self, label: &str, bytes: &[u8]) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(label.len() as u64).to_le_bytes()).update(label.as_bytes());
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        self.challenger.observe(Hash::<Base, u8, 32>::from(*hasher.finalize().as_bytes()));
    }

    /// Absorbs one extension element.
    pub fn absorb(&mut self, value: Ext) {
        let coefficients: &[Base] = value.as_basis_coefficients_slice();
        self.challenger.observe_slice(coefficients);
    }

    /// Absorbs extension elements; how many is for the protocol to fix.
    pub fn absorb_all(&mut self, values: &[Ext]) {
        for &value in values {
            self.absorb(value);
        }
    }

    /// A uniform extension element.
    pub fn challenge(&mut self) -> Ext {
        self.challenger.sample()
    }

    /// `count` uniform extension elements.
    pub fn challenges(&mut self, count: usize) -> Vec<Ext> {
        (0..count).map(|_| self.challenge()).collect()
    }

    /// A uniform integer below `2^bits`, `bits` at most 32.
    pub fn challenge_bits(&mut self, bits: usize) -> usize {
        assert!(bits <= 32, "a challenge index has at most 32 bits");
        self.challenger.sample_bits(bits)
    }

    /// Searches a proof of work of `bits` bits, and absorbs it.
    pub fn grind(&mut self, bits: usize) -> Base {
        self.challenger.grind(bits)
    }

    /// Absorbs a proof of work and says whether it has `bits` bits.
    #[must_use = "a proof of work that is not looked at adds nothing"]
    pub fn check_work(&mut self, bits: usize, witness: Base) -> bool {
        self.challenger.check_witness(bits, witness)
    }

    pub(crate) const fn challenger(&mut self) -> &mut Challenger {
        &mut self.challenger
    }
}

#[cfg(test)]
mod tests {
    use p3_field::PrimeCharacteristicRing;

    use super::*;

    #[test]
    fn a_challenge_depends_on_every_part() {
        let base = Transcript::new("p", b"s", b"x").challenge();
        assert_eq!(base, Transcript::new("p", b"s", b"x").challenge());
        assert_ne!(base, Transcript::new("q", b"s", b"x").challenge());
        assert_ne!(base, Transcript::new("p", b"t", b"x").challenge());
        assert_ne!(base, Transcript::new("p", b"s", b"y").challenge());
        assert_ne!(base, Transcript::new("p", b"sx", b"").challenge(), "lengths are bound");
        let mut with = Transcript::new("p", b"s", b"x");
        with.absorb(Ext::ONE);
        assert_ne!(base, with.challenge());
    }

    #[test]
    fn the_least_work_is_found() {
        for session in 0..8_u8 {
            for bits in [1, 6, 13] {
                let transcript = Transcript::new("p", &[session], b"x");
                let least = (0..1 << 20)
                    .map(Base::from_u64)
                    .find(|&candidate| transcript.clone().check_work(bits, candidate))
                    .unwrap();
                assert_eq!(transcript.clone().grind(bits), least, "{bits} bits in session {session}");
            }
        }
    }

    #[test]
    fn work_is_bound_to_the_transcript() {
        let mut prover = Transcript::new("p", b"s", b"x");
        let mut verifier = prover.clone();
        let mut other = Transcript::new("p", b"s", b"y");
        let witness = prover.grind(12);
        assert!(verifier.check_work(12, witness));
        assert_eq!(prover.challenge(), verifier.challenge());
        assert!(!other.check_work(12, witness) || !other.check_work(12, witness));
    }
}
