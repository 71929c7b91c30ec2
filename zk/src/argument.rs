//! Arguments about a committed vector: written once, run transparent or in zero knowledge.

mod affine;
mod channel;
mod proof;
mod tail;
#[cfg(test)]
mod tests;

pub use affine::Affine;
pub use channel::{Prover, Verifier};
pub use proof::{Proof, Security, TransparentProof};

use rand_core::CryptoRng;

use crate::multilinear::Coefficients;
use crate::{Base, Ext, Transcript, ZkError};
use channel::Relations;
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};
use rand::RngExt;

/// What is shown about one committed vector, and about commitments that were registered before.
///
/// `prove` sends and draws what `verify` receives and draws, in the same order; how many messages there are, and which
/// relations they stand in, depends on the statement alone. The verifier's side is run by both.
pub trait Argument {
    /// The base-two logarithm of the committed vector's length.
    fn variables(&self) -> usize;

    /// Where [`BLINDING`] entries of the vector lie that no relation looks at.
    fn blinding(&self) -> usize;

    /// The prover's messages.
    fn prove(&self, vector: &[Base], prover: &mut Prover<'_>);

    /// Receives the messages and demands what must hold.
    ///
    /// # Errors
    /// Those of [`Verifier`]'s methods.
    fn verify(&self, verifier: &mut Verifier) -> Result<(), ZkError>;
}

/// How many entries of the committed vector are random, so that its value at a random point is uniform.
///
/// The entries' weights are the point's low coordinates' equality table, scaled by the high ones'. The value is uniform
/// unless these weights span less than the extension over the base field: a coordinate is zero or one, or lies in the base
/// field, which for a random point of at most 27 coordinates has probability below `2^−180`.
pub const BLINDING: usize = 8;

/// What a masked run of an argument takes.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    pads: usize,
    messages: usize,
    /// Relations, products and claims that are combined at random.
    combined: usize,
}

/// Counts by a dry run of the verifier.
fn count(argument: &impl Argument) -> Result<Counts, ZkError> {
    let mut verifier = Verifier::counting();
    argument.verify(&mut verifier)?;
    let relations = &verifier.relations;
    let products: usize = relations.products.iter().map(|relation| relation.products.len()).sum();
    let product_rounds = (products + 1).next_power_of_two().trailing_zeros() as usize;
    let tail = 3 * product_rounds + 2 * argument.variables();
    Ok(Counts {
        pads: verifier.pads() + 2 + tail,
        messages: verifier.pads() + tail + 3,
        combined: products + relations.linear.len() + relations.claims.len() + relations.registered.len() + 4,
    })
}

/// A uniform extension element.
fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Ext {
    Ext::from_basis_coefficients_fn(|_| rng.random::<Base>())
}

/// What the interaction leaves: the point and value of the committed vector's opening, and relations still to be shown.
struct Interaction {
    point: Vec<Ext>,
    value: Ext,
    relations: Relations,
    /// How many pads there are, used or not.
    pads: usize,
}

/// Runs the prover. `transcript` has absorbed the statement and every commitment.
fn prove_interaction(
    argument: &impl Argument,
    vector: &[Base],
    pads: Option<&[Ext]>,
    transcript: &mut Transcript,
) -> Result<(Vec<Ext>, Interaction), ZkError> {
    let masked = pads.is_some();
    let mut replay = Verifier::new(transcript.clone(), Vec::new(), masked);
    let mut prover = Prover::new(transcript, pads);
    argument.prove(vector, &mut prover);
    replay.extend(prover.messages());
    argument.verify(&mut replay)?;
    if let Some(pads) = pads {
        replay.relations.check(pads)?;
        let products = replay.relations.products.clone();
        let blinds = [Affine::pad(replay.pads()), Affine::pad(replay.pads() + 1)];
        tail::prove_products(products, blinds, pads, &mut prover);
        replay.extend(prover.messages());
        tail::verify_products(&mut replay)?;
    }
    tail::prove_claims(&replay.relations.claims, vector, &mut prover);
    replay.extend(prover.messages());
    let (point, value) = tail::verify_claims(&mut replay, argument.variables())?;
    if let Some(pads) = pads {
        replay.relations.check(pads)?;
    }
    let messages = prover.into_messages();
    let pads = if pads.is_some() { replay.pads() } else { 0 };
    let (_, relations) = replay.finish()?;
    Ok((messages, Interaction { point, value, relations, pads }))
}

/// Follows the messages; `transcript` as in [`prove_interaction`], and is returned for what follows.
fn verify_interaction(
    argument: &impl Argument,
    messages: Vec<Ext>,
    masked: bool,
    transcript: Transcript,
) -> Result<(Transcript, Interaction), ZkError> {
    let mut verifier = Verifier::new(transcript, messages, masked);
    argument.verify(&mut verifier)?;
    if masked {
        tail::verify_products(&mut verifier)?;
    }
    let (point, value) = tail::verify_claims(&mut verifier, argument.variables())?;
    // As many as there are messages and reserved pads: it follows from the statement, not from the proof.
    let pads = if masked { verifier.pads() } else { 0 };
    let (transcript, relations) = verifier.finish()?;
    Ok((transcript, Interaction { point, value, relations, pads }))
}

/// Runs an argument against itself, with the vectors at hand in place of commitments to them.
///
/// A way to find out which relation a witness breaks; it proves nothing to anybody.
///
/// # Errors
/// [`ZkError::Relation`] with the name of the first relation that does not hold.
pub fn check(argument: &impl Argument, vector: &[Base], registered: &[&[Base]]) -> Result<(), ZkError> {
    let mut transcript = Transcript::new("check", &[], &[]);
    let start = transcript.clone();
    let mut prover = Prover::new(&mut transcript, None);
    argument.prove(vector, &mut prover);
    let mut verifier = Verifier::new(start, prover.into_messages(), false);
    argument.verify(&mut verifier)?;
    let (_, relations) = verifier.finish()?;
    for (functional, value) in &relations.claims {
        let dense = Coefficients::of([(Ext::ONE, functional)]);
        let sum: Ext = dense.to_ext(vector.len()).iter().zip(vector).map(|(&c, &v)| c * v).sum();
        if sum != value.constant {
            return Err(ZkError::Relation { name: "a claim about the committed vector" });
        }
    }
    for (index, coefficients, value) in &relations.registered {
        let sum: Ext = coefficients.iter().zip(registered[*index]).map(|(&c, &v)| c * v).sum();
        if sum != value.constant {
            return Err(ZkError::Relation { name: "a claim about a registered vector" });
        }
    }
    Ok(())
}

/// How the tests of arguments run one, with an ideal commitment in place of a real one.
#[cfg(test)]
pub(crate) mod ideal {
    use rand::rngs::StdRng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::multilinear::evaluate;

    /// Runs an argument, transparent or masked, with a change of the messages between prover and verifier.
    pub(crate) fn run(
        argument: &impl Argument,
        vector: &[Base],
        masked: bool,
        forge: impl FnOnce(&mut Vec<Ext>),
    ) -> Result<(), ZkError> {
        let mut rng = StdRng::seed_from_u64(1);
        let transcript = Transcript::new("ideal", &[], &[]);
        let pads: Vec<Ext> = (0..count(argument)?.pads).map(|_| random(&mut rng)).collect();
        let given = masked.then_some(pads.as_slice());
        let (mut messages, _) = prove_interaction(argument, vector, given, &mut transcript.clone())?;
        forge(&mut messages);
        let (mut transcript, interaction) = verify_interaction(argument, messages, masked, transcript)?;
        if evaluate(vector, &interaction.point) != interaction.value {
            return Err(ZkError::Relation { name: "the ideal opening" });
        }
        let gathered = tail::gather(&interaction.relations, pads.len(), &[], transcript.challenge());
        let sum: Ext = gathered.pads.iter().zip(&pads).map(|(&c, &p)| c * p).sum();
        if sum != gathered.value {
            return Err(ZkError::Relation { name: "the ideal pads" });
        }
        Ok(())
    }
}
