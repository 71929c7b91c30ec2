use p3_field::PrimeCharacteristicRing;
use rand_core::CryptoRng;

use super::commitment::{Committed, Fresh, FreshCommitment};
use super::proof::LinearProof;
use super::{Commitment, LigeroError, Parameters, open, verify};
use crate::{Ext, Transcript};

/// A proof that commitments hold one and the same vector.
///
/// For a random `φ` and `ξ`, it shows `Σ_{r ≥ 1} ξ^r · Σ_j φ^j·(m_r − m_0)_j = 0` by one opening of all copies. If they
/// differ this holds with probability at most `(n + copies)/|E|`, to be added to the [opening's](Parameters::security).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EqualityProof {
    pub(super) fresh: FreshCommitment,
    pub(super) linear: LinearProof,
}

impl EqualityProof {
    /// The fresh commitment and the bytes of the opening.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.fresh.to_bytes().to_vec();
        bytes.extend(self.linear.to_bytes());
        bytes
    }

    /// A proof from [`Self::to_bytes`] for as many copies, of vectors with `length` entries.
    ///
    /// # Errors
    /// As [`LinearProof::from_bytes`].
    pub fn from_bytes(
        parameters: &Parameters,
        copies: usize,
        length: usize,
        bytes: &[u8],
    ) -> Result<Self, LigeroError> {
        let short = LigeroError::Bytes { expected: FreshCommitment::BYTES, got: bytes.len() };
        let (fresh, rest) = bytes.split_first_chunk().ok_or(short)?;
        let linear = LinearProof::from_bytes(parameters, &vec![length; copies], 0, rest)?;
        Ok(Self { fresh: FreshCommitment::from_bytes(*fresh), linear })
    }
}

/// Proves that all copies hold the vector of the first one. Each pays one use.
///
/// # Errors
/// Before any use is paid: [`LigeroError::Copies`] for fewer than two, [`LigeroError::Unequal`] naming the first copy that
/// differs, and those of [`open`].
pub fn prove_equal<R: CryptoRng + ?Sized>(
    parameters: &Parameters,
    copies: &mut [&mut Committed],
    transcript: &mut Transcript,
    rng: &mut R,
) -> Result<EqualityProof, LigeroError> {
    let [first, rest @ ..] = &*copies else {
        return Err(LigeroError::Copies { got: 0 });
    };
    if let Some(other) = rest.iter().position(|copy| copy.message() != first.message()) {
        return Err(LigeroError::Unequal { copy: other + 1 });
    }
    let commitments: Vec<Commitment> = copies.iter().map(|copy| copy.commitment()).collect();
    let (root, fresh) = Fresh::commit(parameters, &[], rng)?;
    let coefficients = challenge(parameters, &commitments.iter().collect::<Vec<_>>(), &root, transcript)?;
    let mut oracles: Vec<(&mut Committed, &[Ext])> =
        copies.iter_mut().zip(&coefficients).map(|(copy, row)| (&mut **copy, row.as_slice())).collect();
    let linear = open(parameters, &mut oracles, fresh, &[], transcript)?;
    Ok(EqualityProof { fresh: root, linear })
}

/// Verifies that the commitments hold one vector.
///
/// # Errors
/// [`LigeroError::Copies`] for fewer than two, [`LigeroError::Unequal`] if lengths differ, [`LigeroError::Length`] if no vector
/// under these parameters is so long, and those of [`verify`].
pub fn verify_equal(
    parameters: &Parameters,
    copies: &[&Commitment],
    proof: &EqualityProof,
    transcript: &mut Transcript,
) -> Result<(), LigeroError> {
    let coefficients = challenge(parameters, copies, &proof.fresh, transcript)?;
    let oracles: Vec<(&Commitment, &[Ext])> =
        copies.iter().zip(&coefficients).map(|(&copy, row)| (copy, row.as_slice())).collect();
    verify(parameters, &oracles, &proof.fresh, &[], Ext::ZERO, &proof.linear, transcript)
}

/// Absorbs the commitments and draws every copy's coefficients.
fn challenge(
    parameters: &Parameters,
    copies: &[&Commitment],
    fresh: &FreshCommitment,
    transcript: &mut Transcript,
) -> Result<Vec<Vec<Ext>>, LigeroError> {
    if copies.len() < 2 {
        return Err(LigeroError::Copies { got: copies.len() });
    }
    if let Some(copy) = copies.iter().position(|copy| copy.length != copies[0].length) {
        return Err(LigeroError::Unequal { copy });
    }
    // The length may be the prover's; nothing is allocated for one that no vector has.
    if copies[0].length() > parameters.max_length() {
        return Err(LigeroError::Length { got: copies[0].length(), most: parameters.max_length() });
    }
    transcript.absorb_bytes("ligero equality", &(copies.len() as u64).to_le_bytes());
    for copy in copies {
        transcript.absorb_bytes("ligero copy", &copy.to_bytes());
    }
    transcript.absorb_bytes("ligero fresh commitment", &fresh.to_bytes());
    let (entry, copy) = (transcript.challenge(), transcript.challenge());
    let entries: Vec<Ext> = entry.powers().take(copies[0].length()).collect();
    let mut weights: Vec<Ext> = copy.powers().take(copies.len()).collect();
    weights[0] = -weights[1..].iter().copied().sum::<Ext>();
    Ok(weights.into_iter().map(|weight| entries.iter().map(|&entry| weight * entry).collect()).collect())
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::from_signed;

    fn parameters() -> Parameters {
        Parameters::with_queries(32, 4, 2, 5, 0).unwrap()
    }

    fn transcript() -> Transcript {
        Transcript::new("equality", b"session", b"statement")
    }

    fn commit(entries: &[i64], rng: &mut StdRng) -> (Commitment, Committed) {
        let message: Vec<_> = entries.iter().copied().map(from_signed).collect();
        Committed::commit(&parameters(), &message, rng).unwrap()
    }

    #[test]
    fn equal_vectors_are_shown_equal_through_bytes_for_one_use_each() {
        let mut rng = StdRng::seed_from_u64(1);
        let entries: Vec<i64> = (-20..30).collect();
        let (c0, mut first) = commit(&entries, &mut rng);
        let (c1, mut second) = commit(&entries, &mut rng);
        let (c2, mut third) = commit(&entries, &mut rng);
        let copies = &mut [&mut first, &mut second, &mut third];
        let proof = prove_equal(&parameters(), copies, &mut transcript(), &mut rng).unwrap();
        assert!(copies.iter().all(|copy| copy.uses_left() == 1));
        let bytes = proof.to_bytes();
        let read = EqualityProof::from_bytes(&parameters(), 3, 50, &bytes).unwrap();
        assert_eq!(read, proof);
        assert_eq!(verify_equal(&parameters(), &[&c0, &c1, &c2], &read, &mut transcript()), Ok(()));
        let swapped = verify_equal(&parameters(), &[&c0, &c2, &c1], &read, &mut transcript());
        assert_eq!(swapped, Err(LigeroError::Path { oracle: 0 }), "other challenges, and so other positions");
        let got = EqualityProof::from_bytes(&parameters(), 3, 50, &bytes[..31]);
        assert_eq!(got, Err(LigeroError::Bytes { expected: 32, got: 31 }));
    }

    #[test]
    fn a_vector_that_differs_in_one_entry_is_refused_by_prover_and_verifier() {
        let mut rng = StdRng::seed_from_u64(2);
        let (c0, mut first) = commit(&[1, 2, 3, 4], &mut rng);
        let (c1, mut second) = commit(&[1, 2, 3, 4], &mut rng);
        let (c2, mut third) = commit(&[1, 2, 3, 5], &mut rng);
        let copies = &mut [&mut first, &mut second, &mut third];
        let refused = prove_equal(&parameters(), copies, &mut transcript(), &mut rng);
        assert_eq!(refused, Err(LigeroError::Unequal { copy: 2 }));
        assert_eq!(third.uses_left(), 2);

        let mut forger = transcript();
        let (root, fresh) = Fresh::commit(&parameters(), &[], &mut rng).unwrap();
        let commitments = [&c0, &c1, &c2];
        let rows = challenge(&parameters(), &commitments, &root, &mut forger).unwrap();
        let oracles = &mut [(&mut first, &*rows[0]), (&mut second, &*rows[1]), (&mut third, &*rows[2])];
        let linear = open(&parameters(), oracles, fresh, &[], &mut forger).unwrap();
        let forged = EqualityProof { fresh: root, linear };
        assert_eq!(verify_equal(&parameters(), &commitments, &forged, &mut transcript()), Err(LigeroError::Sum));
    }

    #[test]
    fn one_vector_vectors_of_two_lengths_and_absurd_lengths_are_refused() {
        let mut rng = StdRng::seed_from_u64(3);
        let (c0, mut first) = commit(&[1, 2], &mut rng);
        let (c1, mut second) = commit(&[1, 2], &mut rng);
        let (shorter, _) = commit(&[1], &mut rng);
        let alone = prove_equal(&parameters(), &mut [&mut first], &mut transcript(), &mut rng);
        assert_eq!(alone, Err(LigeroError::Copies { got: 1 }));
        let copies = &mut [&mut first, &mut second];
        let proof = prove_equal(&parameters(), copies, &mut transcript(), &mut rng).unwrap();
        let verify = |copies: &[&Commitment]| verify_equal(&parameters(), copies, &proof, &mut transcript());
        assert_eq!(verify(&[&c0]), Err(LigeroError::Copies { got: 1 }));
        assert_eq!(verify(&[&c0, &shorter]), Err(LigeroError::Unequal { copy: 1 }));
        let vast = Commitment { length: 1 << 32, ..c1 };
        let most = parameters().max_length();
        assert_eq!(verify(&[&vast, &vast]), Err(LigeroError::Length { got: 1 << 32, most }));
    }
}
