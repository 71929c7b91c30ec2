//! WHIR without hiding.

use std::fmt;

use p3_commit::MultilinearPcs as _;
use p3_dft::Radix2DFTSmallBatch;
use p3_matrix::dense::RowMajorMatrix;
use p3_merkle_tree::MerkleTreeMmcs;
use p3_multilinear_util::point::Point;
use p3_sumcheck::layout::{Layout as _, PrefixProver, Table};
use p3_sumcheck::{OpeningBatch, OpeningProtocol, PrescribedPointPcs, TableShape, TableSpec};
use p3_whir::{PcsProof, WhirProver, WhirProverData};
use rand_core::CryptoRng;

use super::parameters::{self, Settings};
use super::{Commitment, Compression, LeafHash, MultilinearPcs, PcsError, PcsSecurity, bind, compression, leaf_hash};
use crate::transcript::Challenger;
use crate::{Base, Ext, Transcript};

type Mmcs = MerkleTreeMmcs<Base, u8, LeafHash, Compression, 2, 32>;
type Layout = PrefixProver<Base, Ext>;
type Prover = WhirProver<Ext, Base, Radix2DFTSmallBatch<Base>, Mmcs, Challenger, Layout>;
pub(super) type Proof = PcsProof<Base, Ext, Mmcs>;

const SCHEME: &str = "whir opening";

/// WHIR (Arnon, Chiesa, Fenzi, Yogev 2024, ePrint 2024/1586): binding, but **not hiding**.
///
/// Cost: the prover works in `O(N log N)` for `N = 2ⁿ` values, the proof has `O(log² N)` digests and field elements.
/// Measured once at 128 bits on two shared AVX-512 cores, built for that processor; milliseconds:
///
/// | `n` | commit | open | verify | proof | commit and open, portable build |
/// |---|---|---|---|---|---|
/// | 10 | 0.1 | 0.5 | 0.3 | 15 KiB | 0.6 |
/// | 15 | 2 | 3 | 0.7 | 61 KiB | 7 |
/// | 18 | 10 | 13 | 1.2 | 108 KiB | 37 |
/// | 20 | 77 | 52 | 1.4 | 142 KiB | 193 |
/// | 22 | 164 | 128 | 2.6 | 287 KiB | 481 |
/// | 23 | 443 | 384 | 2.8 | 338 KiB | 1035 |
pub struct Whir {
    prover: Prover,
    security: PcsSecurity,
}

/// What the prover keeps between a plain commitment and its opening: the polynomial, its codeword and the Merkle tree.
pub struct WhirCommitted {
    commitment: Commitment,
    data: WhirProverData<Base, Ext, Mmcs, Layout>,
}

impl Whir {
    /// The scheme for polynomials in `variables` variables whose openings err with probability at most `2^−bits`.
    ///
    /// # Errors
    /// [`PcsError::Variables`] outside [`MIN_VARIABLES`](super::MIN_VARIABLES) to
    /// [`MAX_VARIABLES`](super::MAX_VARIABLES), [`PcsError::Insecure`] if the field is too small for `bits`.
    pub fn new(variables: usize, bits: usize) -> Result<Self, PcsError> {
        super::check_variables(variables)?;
        let (config, security) = parameters::plain(variables, bits, &Settings::plain(variables))?;
        let mmcs = Mmcs::new(leaf_hash(), compression(), 0);
        Ok(Self { prover: Prover::new(config, Radix2DFTSmallBatch::default(), mmcs), security })
    }

    /// One table of one column, opened once.
    fn protocol(&self) -> OpeningProtocol {
        let shape = TableShape::new(self.variables(), 1);
        OpeningProtocol::new(vec![TableSpec::new(shape, vec![OpeningBatch::new(vec![0], Vec::new())])])
    }
}

impl MultilinearPcs for Whir {
    type Committed = WhirCommitted;

    fn variables(&self) -> usize {
        self.prover.num_vars()
    }

    fn commit<R: CryptoRng + ?Sized>(
        &self,
        values: Vec<Base>,
        _rng: &mut R,
    ) -> Result<(Commitment, WhirCommitted), PcsError> {
        super::check_values(self.variables(), &values)?;
        let width = values.len();
        let table = Table::new(RowMajorMatrix::new(values, width));
        let witness = Layout::new_witness(vec![table], self.prover.folding_schedule()[0]);
        let (cap, data) = self.prover.commit(witness, &mut super::unused_challenger())?;
        let commitment = Commitment(cap[0]);
        Ok((commitment, WhirCommitted { commitment, data }))
    }

    fn open<R: CryptoRng + ?Sized>(
        &self,
        committed: WhirCommitted,
        point: &[Ext],
        transcript: &mut Transcript,
        _rng: &mut R,
    ) -> Result<(Ext, Vec<u8>), PcsError> {
        super::check_point(self.variables(), point)?;
        bind(transcript, SCHEME, committed.commitment, point);
        let point = [Point::new(point.to_vec())];
        let proof = self.prover.open_at(committed.data, &self.protocol(), &point, transcript.challenger())?;
        let value = proof.evals[0].current()[0];
        Ok((value, super::encode(&proof)))
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
        let claimed = |batch: &OpeningBatch<Ext>| batch.current() == [value] && batch.next().is_empty();
        if !matches!(proof.evals.as_slice(), [batch] if claimed(batch)) {
            return Err(PcsError::ValueMismatch);
        }
        let point = [Point::new(point.to_vec())];
        self.prover.verify_at(&commitment.cap(), &proof, &self.protocol(), &point, transcript.challenger())?;
        Ok(())
    }

    fn security(&self) -> &PcsSecurity {
        &self.security
    }
}

impl fmt::Debug for Whir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whir")
            .field("variables", &self.variables())
            .field("bits", &self.security.bits())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WhirCommitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug_secret(f)
    }
}
