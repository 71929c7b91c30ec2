//! WHIR with hiding commitments and openings.

use std::fmt;

use p3_commit::MultilinearPcs as _;
use p3_dft::Radix2DFTSmallBatch;
use p3_merkle_tree::MerkleTreeHidingMmcs;
use p3_multilinear_util::point::Point;
use p3_multilinear_util::poly::Poly;
use p3_whir::{HidingWhirPcs, HidingWhirProverData, ZkWhirProof};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_core::CryptoRng;

use super::parameters::{self, HidingConfig, Settings};
use super::{Commitment, Compression, LeafHash, MultilinearPcs, PcsError, PcsSecurity, bind, compression, leaf_hash};
use crate::transcript::Challenger;
use crate::{Base, Ext, Transcript};

/// Field elements of salt in a leaf: 192 bits.
const SALT: usize = 3;

type Dft = Radix2DFTSmallBatch<Base>;
type Mmcs = MerkleTreeHidingMmcs<Base, u8, LeafHash, Compression, StdRng, 2, 32, SALT>;
type Pcs = HidingWhirPcs<Ext, Base, Dft, Mmcs, Challenger, StdRng>;
pub(super) type Proof = ZkWhirProof<Base, Ext, Mmcs>;

const SCHEME: &str = "hiding whir opening";

/// WHIR with zero-knowledge encodings, masked sumchecks and salted leaves (ePrint 2026/391).
///
/// Cost: about twice the time of [`Whir`](super::Whir) for large polynomials and several times that of small ones,
/// where masks and their openings outweigh the polynomial. Measured once at 128 bits on two shared AVX-512 cores, built
/// for that processor; milliseconds:
///
/// | `n` | commit | open | verify | proof | commit and open, portable build |
/// |---|---|---|---|---|---|
/// | 10 | 1 | 4 | 0.8 | 59 KiB | 5 |
/// | 15 | 6 | 17 | 2.2 | 162 KiB | 36 |
/// | 18 | 11 | 53 | 3.6 | 287 KiB | 89 |
/// | 20 | 74 | 133 | 4.5 | 333 KiB | 288 |
///
/// From 21 to 23 variables the code is twice as long. Measured later, in milliseconds of processor time on one thread
/// of a busy machine, where rate 1/2 took 165 and 405 for 22 variables, and 483 KiB:
///
/// | `n` | commit | open | verify | proof |
/// |---|---|---|---|---|
/// | 22 | 300 | 520 | 5.4 | 346 KiB |
/// | 23 | 680 | 1000 | 6.5 | 388 KiB |
///
/// # Security
/// Zero knowledge is against honest verifiers, which is what Fiat–Shamir asks for, statistical up to the hash: leaves
/// carry 192 bits of salt. It needs `rng` unpredictable at commitment and at opening, and one opening per commitment,
/// which the types enforce. The value itself is revealed: a caller for whom it is secret masks it first. What the
/// prover keeps lies in buffers of `p3-whir` that are freed, not zeroed.
pub struct HidingWhir {
    config: HidingConfig,
    dft: Dft,
    security: PcsSecurity,
}

/// What the prover keeps between a hiding commitment and its opening: the polynomial, its codeword and the Merkle tree.
pub struct HidingCommitted {
    commitment: Commitment,
    data: HidingWhirProverData<Base, Ext, Mmcs>,
}

impl HidingWhir {
    /// The scheme for polynomials in `variables` variables whose openings err with probability at most `2^−bits`.
    ///
    /// # Errors
    /// [`PcsError::Variables`] outside [`MIN_VARIABLES`](super::MIN_VARIABLES) to
    /// [`MAX_VARIABLES`](super::MAX_VARIABLES), [`PcsError::Insecure`] if the field is too small for `bits`.
    pub fn new(variables: usize, bits: usize) -> Result<Self, PcsError> {
        super::check_variables(variables)?;
        let (config, security) = parameters::hiding(variables, bits, &Settings::hiding(variables))?;
        Ok(Self { config, dft: Dft::default(), security })
    }

    fn pcs(&self, salts: StdRng, masks: StdRng) -> Pcs {
        let mmcs = Mmcs::new(leaf_hash(), compression(), 0, salts);
        Pcs::new(self.config.clone(), self.dft.clone(), mmcs, masks)
    }
}

impl MultilinearPcs for HidingWhir {
    type Committed = HidingCommitted;

    fn variables(&self) -> usize {
        self.config.num_variables()
    }

    fn commit<R: CryptoRng + ?Sized>(
        &self,
        values: Vec<Base>,
        rng: &mut R,
    ) -> Result<(Commitment, HidingCommitted), PcsError> {
        super::check_values(self.variables(), &values)?;
        let pcs = self.pcs(StdRng::from_rng(rng), StdRng::from_rng(rng));
        let (cap, data) = pcs.commit(Poly::new(values), &mut super::unused_challenger())?;
        let commitment = Commitment(cap[0]);
        Ok((commitment, HidingCommitted { commitment, data }))
    }

    fn open<R: CryptoRng + ?Sized>(
        &self,
        committed: HidingCommitted,
        point: &[Ext],
        transcript: &mut Transcript,
        rng: &mut R,
    ) -> Result<(Ext, Vec<u8>), PcsError> {
        super::check_point(self.variables(), point)?;
        bind(transcript, SCHEME, committed.commitment, point);
        let pcs = self.pcs(StdRng::from_rng(rng), StdRng::from_rng(rng));
        pcs.observe_commitment(&committed.commitment.cap(), transcript.challenger());
        let proof = pcs.open(committed.data, vec![Point::new(point.to_vec())], transcript.challenger())?;
        Ok((proof.evals[0], super::encode(&proof)))
    }

    fn verify(
        &self,
        commitment: &Commitment,
        point: &[Ext],
        value: Ext,
        proof: &[u8],
        transcript: &mut Transcript,
    ) -> Result<(), PcsError> {
        super::check_point(self.variables(), point)?;
        let proof: Proof = super::decode(proof)?;
        bind(transcript, SCHEME, *commitment, point);
        if proof.evals != [value] {
            return Err(PcsError::ValueMismatch);
        }
        // A verifier commits to nothing, so it salts nothing.
        let pcs = self.pcs(StdRng::from_seed([0; 32]), StdRng::from_seed([0; 32]));
        pcs.verify(&commitment.cap(), &proof, transcript.challenger(), vec![Point::new(point.to_vec())])?;
        Ok(())
    }

    fn security(&self) -> &PcsSecurity {
        &self.security
    }
}

impl fmt::Debug for HidingWhir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HidingWhir")
            .field("variables", &self.variables())
            .field("bits", &self.security.bits())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HidingCommitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug_secret(f)
    }
}
