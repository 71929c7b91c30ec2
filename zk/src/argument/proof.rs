use rand_core::CryptoRng;

use super::{Argument, BLINDING, Counts, Interaction, count, prove_interaction, random, tail, verify_interaction};
use crate::ligero::{self, Committed, Fresh, FreshCommitment, LinearProof};
use crate::pcs::{self, HidingWhir, MultilinearPcs, Whir};
use crate::sumcheck::MAX_DEGREE;
use crate::{Base, Ext, SecurityReport, Transcript, ZkError, ext_from_bytes, ext_to_bytes};

/// A zero-knowledge proof of an [`Argument`]: it shows that a committed vector satisfies it, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof(Parts);

/// A proof of an [`Argument`] that is sound and **not** zero-knowledge: it tells sums and values of the witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransparentProof(Parts);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    vector: pcs::Commitment,
    fresh: FreshCommitment,
    messages: Vec<Ext>,
    opening: Vec<u8>,
    linear: Vec<u8>,
}

/// What both sides fix: how secure a proof is to be, and the code of the registered commitments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// Soundness in bits, of all terms together.
    pub bits: usize,
    /// The code that registered commitments and pads are in.
    pub linear: ligero::Parameters,
}

impl Proof {
    /// Proves that `vector` satisfies the argument.
    ///
    /// `transcript` has absorbed the statement. `registered` are the commitments the argument speaks of; each pays one use.
    ///
    /// # Errors
    /// [`ZkError::Relation`] with the name of a relation that the witness breaks; those of the commitments.
    ///
    /// # Panics
    /// If the vector is not `2^variables` long, or the argument's two sides do not fit each other.
    pub fn new<R: CryptoRng + ?Sized>(
        argument: &impl Argument,
        mut vector: Vec<Base>,
        registered: &mut [&mut Committed],
        security: &Security,
        transcript: &mut Transcript,
        rng: &mut R,
    ) -> Result<Self, ZkError> {
        for entry in &mut vector[argument.blinding()..][..BLINDING] {
            *entry = rand::RngExt::random(rng);
        }
        let pads: Vec<Ext> = (0..count(argument)?.pads).map(|_| random(rng)).collect();
        let pcs = HidingWhir::new(argument.variables(), security.bits)?;
        prove(argument, vector, registered, security, Some(&pads), &pcs, transcript, rng).map(Self)
    }

    /// Verifies against the registered commitments, with the transcript in the state in which the prover found it.
    ///
    /// # Errors
    /// [`ZkError::Ligero`] where a relation among masked values does not hold, [`ZkError::Pcs`] where the committed vector
    /// does not open, and those of the argument.
    pub fn verify(
        &self,
        argument: &impl Argument,
        registered: &[&ligero::Commitment],
        security: &Security,
        transcript: &mut Transcript,
    ) -> Result<(), ZkError> {
        let pcs = HidingWhir::new(argument.variables(), security.bits)?;
        verify(&self.0, argument, registered, security, true, &pcs, transcript)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes(MASKED)
    }

    /// A proof from its bytes; what is inside is checked by [`Self::verify`].
    ///
    /// # Errors
    /// [`ZkError::Malformed`] if a length does not fit, an element is not canonical, or bytes are left over.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ZkError> {
        Parts::from_bytes(MASKED, bytes).map(Self)
    }

    /// What can go wrong with which probability.
    ///
    /// # Errors
    /// [`ZkError::Pcs`] if there are no parameters for so large a vector and so many bits.
    pub fn security(argument: &impl Argument, security: &Security) -> Result<SecurityReport, ZkError> {
        let pcs = HidingWhir::new(argument.variables(), security.bits)?;
        Ok(report(argument, security, &pcs))
    }
}

impl TransparentProof {
    /// As [`Proof::new`], without hiding anything of the vector. Registered commitments stay hidden but for the values
    /// that the argument asks of them.
    ///
    /// # Errors
    /// As [`Proof::new`].
    pub fn new<R: CryptoRng + ?Sized>(
        argument: &impl Argument,
        vector: Vec<Base>,
        registered: &mut [&mut Committed],
        security: &Security,
        transcript: &mut Transcript,
        rng: &mut R,
    ) -> Result<Self, ZkError> {
        let pcs = Whir::new(argument.variables(), security.bits)?;
        prove(argument, vector, registered, security, None, &pcs, transcript, rng).map(Self)
    }

    /// As [`Proof::verify`].
    ///
    /// # Errors
    /// As [`Proof::verify`], and [`ZkError::Relation`] by the name of the relation that does not hold.
    pub fn verify(
        &self,
        argument: &impl Argument,
        registered: &[&ligero::Commitment],
        security: &Security,
        transcript: &mut Transcript,
    ) -> Result<(), ZkError> {
        let pcs = Whir::new(argument.variables(), security.bits)?;
        verify(&self.0, argument, registered, security, false, &pcs, transcript)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes(TRANSPARENT)
    }

    /// As [`Proof::from_bytes`].
    ///
    /// # Errors
    /// As [`Proof::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ZkError> {
        Parts::from_bytes(TRANSPARENT, bytes).map(Self)
    }
}

/// The base-two logarithm of the extension's order, rounded down.
const EXTENSION_BITS: f64 = 191.0;

const MASKED: [u8; 8] = *b"nxzk\0\0\0\x01";
const TRANSPARENT: [u8; 8] = *b"nxtr\0\0\0\x01";

#[expect(clippy::too_many_arguments, reason = "one call from each of the two kinds of proof")]
fn prove<P: MultilinearPcs, R: CryptoRng + ?Sized>(
    argument: &impl Argument,
    vector: Vec<Base>,
    registered: &mut [&mut Committed],
    security: &Security,
    pads: Option<&[Ext]>,
    pcs: &P,
    transcript: &mut Transcript,
    rng: &mut R,
) -> Result<Parts, ZkError> {
    assert_eq!(vector.len(), 1 << argument.variables(), "the vector has an entry for every index");
    let (commitment, committed) = pcs.commit(vector.clone(), rng)?;
    let (fresh_commitment, fresh) = Fresh::commit(&security.linear, pads.unwrap_or_default(), rng)?;
    begin(transcript, &commitment, &fresh_commitment, registered.iter().map(|committed| committed.commitment()));
    let (messages, Interaction { point, value, relations, pads: used }) =
        prove_interaction(argument, &vector, pads, transcript)?;
    drop(vector);
    assert_eq!(used, fresh.pads().len(), "every pad is committed to");
    let (opened, opening) = pcs.open(committed, &point, transcript, rng)?;
    assert_eq!(opened, value, "the commitment opens to what the sumcheck ended with");
    let lengths: Vec<usize> = registered.iter().map(|committed| committed.message().len()).collect();
    let gathered = tail::gather(&relations, fresh.pads().len(), &lengths, transcript.challenge());
    let mut oracles: Vec<(&mut Committed, &[Ext])> = registered
        .iter_mut()
        .zip(&gathered.registered)
        .map(|(committed, row)| (&mut **committed, row.as_slice()))
        .collect();
    let linear = ligero::open(&security.linear, &mut oracles, fresh, &gathered.pads, transcript)?;
    Ok(Parts { vector: commitment, fresh: fresh_commitment, messages, opening, linear: linear.to_bytes() })
}

fn verify<P: MultilinearPcs>(
    parts: &Parts,
    argument: &impl Argument,
    registered: &[&ligero::Commitment],
    security: &Security,
    masked: bool,
    pcs: &P,
    transcript: &mut Transcript,
) -> Result<(), ZkError> {
    begin(transcript, &parts.vector, &parts.fresh, registered.iter().map(|&commitment| *commitment));
    let (after, Interaction { point, value, relations, pads }) =
        verify_interaction(argument, parts.messages.clone(), masked, transcript.clone())?;
    *transcript = after;
    pcs.verify(&parts.vector, &point, value, &parts.opening, transcript)?;
    let lengths: Vec<usize> = registered.iter().map(|commitment| commitment.length()).collect();
    let gathered = tail::gather(&relations, pads, &lengths, transcript.challenge());
    let linear = LinearProof::from_bytes(&security.linear, &lengths, pads, &parts.linear)?;
    let oracles: Vec<(&ligero::Commitment, &[Ext])> =
        registered.iter().zip(&gathered.registered).map(|(&commitment, row)| (commitment, row.as_slice())).collect();
    ligero::verify(&security.linear, &oracles, &parts.fresh, &gathered.pads, gathered.value, &linear, transcript)?;
    Ok(())
}

/// Absorbs every commitment before the first challenge.
fn begin(
    transcript: &mut Transcript,
    vector: &pcs::Commitment,
    fresh: &FreshCommitment,
    registered: impl Iterator<Item = ligero::Commitment>,
) {
    for commitment in registered {
        transcript.absorb_bytes("registered commitment", &commitment.to_bytes());
    }
    transcript.absorb_bytes("committed vector", &vector.to_bytes());
    transcript.absorb_bytes("pads", &fresh.to_bytes());
}

fn report<P: MultilinearPcs>(argument: &impl Argument, security: &Security, pcs: &P) -> SecurityReport {
    let mut report = SecurityReport::new();
    // A round of degree three, and a random combination of so many, each miss with at most this over the field's order.
    let Counts { messages, combined, .. } = count(argument).unwrap_or_default();
    // Until it is opened the commitment binds to a list of vectors, each of which has its chance.
    let bits = |errors: usize| EXTENSION_BITS - (errors.max(1) as f64).log2() - pcs.security().candidates();
    report.push("interaction", "sumcheck rounds", bits(MAX_DEGREE * messages));
    report.push("interaction", "random combinations", bits(combined));
    // A fingerprint of at most three columns for every leaf.
    report.push("interaction", "look-ups", bits(4 << argument.variables()));
    for &(name, bits) in pcs.security().terms() {
        report.push("opening of the vector", name, bits);
    }
    for (name, bits) in security.linear.security() {
        report.push("opening of pads and registered vectors", name, bits);
    }
    report
}

impl Parts {
    fn to_bytes(&self, kind: [u8; 8]) -> Vec<u8> {
        let mut bytes = kind.to_vec();
        bytes.extend(self.vector.to_bytes());
        bytes.extend(self.fresh.to_bytes());
        bytes.extend((self.messages.len() as u32).to_le_bytes());
        bytes.extend(self.messages.iter().flat_map(|&message| ext_to_bytes(message)));
        for part in [&self.opening, &self.linear] {
            bytes.extend((part.len() as u32).to_le_bytes());
            bytes.extend(part);
        }
        bytes
    }

    fn from_bytes(kind: [u8; 8], bytes: &[u8]) -> Result<Self, ZkError> {
        let mut rest = bytes;
        if take(&mut rest, 8, "the kind of proof")? != kind {
            return Err(ZkError::Malformed { what: "the kind of proof" });
        }
        let vector = array(&mut rest, "the vector's commitment")?;
        let fresh = array(&mut rest, "the pads' commitment")?;
        let count = length(&mut rest, "the count of messages")?;
        let encoded = take(&mut rest, count.saturating_mul(24), "the messages")?;
        let message = |chunk: &[u8]| chunk.try_into().ok().and_then(ext_from_bytes);
        let messages: Option<Vec<Ext>> = encoded.chunks_exact(24).map(message).collect();
        let messages = messages.ok_or(ZkError::Malformed { what: "a message" })?;
        let mut part = |what| {
            let len = length(&mut rest, what)?;
            take(&mut rest, len, what).map(<[u8]>::to_vec)
        };
        let (opening, linear) = (part("the vector's opening")?, part("the pads' opening")?);
        if !rest.is_empty() {
            return Err(ZkError::Malformed { what: "the end of the proof" });
        }
        let (vector, fresh) = (pcs::Commitment::from_bytes(vector), FreshCommitment::from_bytes(fresh));
        Ok(Self { vector, fresh, messages, opening, linear })
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize, what: &'static str) -> Result<&'a [u8], ZkError> {
    let (taken, left) = rest.split_at_checked(len).ok_or(ZkError::Malformed { what })?;
    *rest = left;
    Ok(taken)
}

fn array<const N: usize>(rest: &mut &[u8], what: &'static str) -> Result<[u8; N], ZkError> {
    let bytes = take(rest, N, what)?;
    bytes.try_into().map_err(|_| ZkError::Malformed { what })
}

fn length(rest: &mut &[u8], what: &'static str) -> Result<usize, ZkError> {
    array(rest, what).map(|bytes| u32::from_le_bytes(bytes) as usize)
}
