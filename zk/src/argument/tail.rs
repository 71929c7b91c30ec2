//! How every argument ends: its products are proven by one sumcheck, its claims about the committed vector by another
//! that leaves a single point, and its linear relations are gathered into one functional.

use p3_field::{Algebra, PackedValue, PrimeCharacteristicRing};
use rayon::prelude::*;

use super::channel::{ProductRelation, Relations};
use super::{Affine, Prover, Verifier};
use crate::multilinear::{Coefficients, Functional, PARALLEL, eq_table};
use crate::packed::{LANES, Packed, PackedBase};
use crate::sumcheck::{self, Product, Summand};
use crate::{Base, Ext, ZkError};

/// All product relations as one: `Σ_t weight_t · left_t · right_t = −rest`, each relation by its power of a challenge.
struct Batch {
    weights: Vec<Ext>,
    left: Vec<Affine>,
    right: Vec<Affine>,
    rest: Affine,
}

impl Batch {
    /// `blinds` are two pads that fill an entry of weight zero, so the vectors' extensions are uniform.
    fn new(relations: Vec<ProductRelation>, challenge: Ext, blinds: [Affine; 2]) -> Self {
        let powers: Vec<Ext> = challenge.powers().take(relations.len()).collect();
        let rest = Affine::sum(powers.iter().copied().zip(relations.iter().map(|relation| &relation.rest)));
        let mut batch = Self { weights: Vec::new(), left: Vec::new(), right: Vec::new(), rest };
        for (ProductRelation { products, .. }, power) in relations.into_iter().zip(powers) {
            for (coefficient, left, right) in products {
                batch.weights.push(power * coefficient);
                batch.left.push(left);
                batch.right.push(right);
            }
        }
        let [left, right] = blinds;
        batch.weights.push(Ext::ZERO);
        batch.left.push(left);
        batch.right.push(right);
        batch
    }

    fn variables(&self) -> usize {
        self.weights.len().next_power_of_two().trailing_zeros() as usize
    }
}

struct WeighedProduct;

impl Summand<3> for WeighedProduct {
    const DEGREE: usize = 3;
    fn evaluate<A: Algebra<Ext> + Copy>(&self, [weight, left, right]: [A; 3]) -> A {
        weight * left * right
    }
}

/// Proves the products of a masked argument. `pads` are all pads of the proof.
pub(super) fn prove_products(
    relations: Vec<ProductRelation>,
    blinds: [Affine; 2],
    pads: &[Ext],
    prover: &mut Prover<'_>,
) {
    prover.reserve();
    prover.reserve();
    let batch = Batch::new(relations, prover.challenge(), blinds);
    let padded = |mut values: Vec<Ext>| {
        values.resize(1 << batch.variables(), Ext::ZERO);
        values
    };
    let open = |values: &[Affine]| padded(values.iter().map(|value| value.open(pads)).collect());
    let tables = [padded(batch.weights.clone()), open(&batch.left), open(&batch.right)];
    let (_, [_, left, right]) = sumcheck::prove(prover, tables, &[], &WeighedProduct);
    prover.send_clear(left);
    prover.send_clear(right);
}

/// Follows [`prove_products`], which leaves linear relations only.
pub(super) fn verify_products(verifier: &mut Verifier) -> Result<(), ZkError> {
    let blinds = [verifier.reserve(), verifier.reserve()];
    let relations = std::mem::take(&mut verifier.relations.products);
    let batch = Batch::new(relations, verifier.challenge(), blinds);
    let claim = batch.rest.clone().scaled(-Ext::ONE);
    let (point, last) = sumcheck::verify(verifier, claim, &[], batch.variables(), 3)?;
    let (left, right) = (verifier.receive_clear()?, verifier.receive_clear()?);
    let table = eq_table(&point, Ext::ONE);
    let weight: Ext = batch.weights.iter().zip(&table).map(|(&w, &e)| w * e).sum();
    verifier.assert_zero("the products' last claim", last - weight * left * right)?;
    for (name, value, vector) in [("the left factors", left, &batch.left), ("the right factors", right, &batch.right)] {
        let sum = Affine::sum(table.iter().copied().zip(vector));
        verifier.assert_zero(name, sum - value)?;
    }
    Ok(())
}

/// Claims about the committed vector as one, each by its power of a challenge.
fn combine(claims: &[(Functional, Affine)], challenge: Ext) -> impl Iterator<Item = (Ext, &Functional, &Affine)> {
    let mut power = Ext::ONE;
    claims.iter().map(move |(functional, value)| {
        let scale = power;
        power *= challenge;
        (scale, functional, value)
    })
}

/// Proves the claims about `vector`; returns the point at which it is to be opened, and sends the value there in clear.
///
/// # Security
/// That value must be uniform: the vector carries random entries for it.
pub(super) fn prove_claims(claims: &[(Functional, Affine)], vector: &[Base], prover: &mut Prover<'_>) -> Vec<Ext> {
    let challenge = prover.challenge();
    let coefficients = Coefficients::of(combine(claims, challenge).map(|(scale, functional, _)| (scale, functional)));
    let (point, value) = if vector.len() < 8 * LANES {
        let lifted: Vec<Ext> = vector.iter().map(|&entry| Ext::from(entry)).collect();
        let (point, [_, value]) = sumcheck::prove(prover, [coefficients.to_ext(vector.len()), lifted], &[], &Product);
        (point, value)
    } else {
        prove_inner_product(coefficients.into_packed(), vector, prover)
    };
    prover.send_clear(value);
    point
}

/// The sumcheck of `⟨coefficients, vector⟩`, whose first round is over base elements.
fn prove_inner_product(mut coefficients: Vec<Packed>, vector: &[Base], prover: &mut Prover<'_>) -> (Vec<Ext>, Ext) {
    let vector = PackedBase::pack_slice(vector);
    let half = vector.len() / 2;
    let (v0, v1) = vector.split_at(half);
    let whole = half.min(coefficients.len());
    let (c0, c1) = coefficients.split_at_mut(whole);
    // Beyond the end of the coefficients there is nothing to sum.
    let both = c0.par_iter().zip(v0).zip(c1.par_iter().zip(v1)).with_min_len(PARALLEL / LANES);
    let add = |a: [Packed; 2], b: [Packed; 2]| [a[0] + b[0], a[1] + b[1]];
    let zero = || [Packed::ZERO; 2];
    let sums = both
        .fold(zero, |[at_zero, at_two], ((&c0, &v0), (&c1, &v1))| {
            [at_zero + c0.times(v0), at_two + (c1.double() - c0).times(v1.double() - v0)]
        })
        .reduce(zero, add);
    // Where the second half has no coefficients, c(2) = −c_0, and v(2) = 2·v_1 − v_0.
    let single = c0[c1.len()..].par_iter().zip(&v0[c1.len()..]).zip(&v1[c1.len()..]).with_min_len(PARALLEL / LANES);
    let rest = single
        .fold(zero, |[at_zero, at_two], ((&c, &v0), &v1)| [at_zero + c.times(v0), at_two + c.times(v0 - v1.double())])
        .reduce(zero, add);
    for sum in add(sums, rest) {
        prover.send(sum.sum_lanes());
    }
    let challenge = prover.challenge();
    let factor = Packed::from(challenge);
    let (both, single) = c0.split_at_mut(c1.len());
    both.par_iter_mut().zip(c1).with_min_len(PARALLEL / LANES).for_each(|(c0, &mut c1)| *c0 = c0.toward(c1, factor));
    let rest = Packed::ONE - factor;
    single.par_iter_mut().with_min_len(PARALLEL / LANES).for_each(|c| *c *= rest);
    coefficients.truncate(half);
    coefficients.resize(half, Packed::ZERO);
    let right: Vec<Packed> =
        v0.par_iter().zip(v1).with_min_len(PARALLEL / LANES).map(|(&v0, &v1)| factor.times(v1 - v0).plus(v0)).collect();
    let (mut point, [_, value]) = sumcheck::prove_packed(prover, [coefficients, right], &[], &Product);
    point.insert(0, challenge);
    (point, value)
}

/// Follows [`prove_claims`]; returns the point and the value the commitment is to be opened to.
pub(super) fn verify_claims(verifier: &mut Verifier, variables: usize) -> Result<(Vec<Ext>, Ext), ZkError> {
    let claims = std::mem::take(&mut verifier.relations.claims);
    let challenge = verifier.challenge();
    let total = Affine::sum(combine(&claims, challenge).map(|(scale, _, value)| (scale, value)));
    let (point, last) = sumcheck::verify(verifier, total, &[], variables, 2)?;
    let value = verifier.receive_clear()?;
    let coefficient: Ext =
        combine(&claims, challenge).map(|(scale, functional, _)| scale * functional.evaluate(&point)).sum();
    verifier.assert_zero("the claims about the committed vector", last - coefficient * value)?;
    Ok((point, value))
}

/// One functional of the pads and of each registered commitment, and the value it must have.
pub(super) struct Gathered {
    pub(super) pads: Vec<Ext>,
    pub(super) registered: Vec<Vec<Ext>>,
    pub(super) value: Ext,
}

/// All linear relations and claims about registered commitments as one, each by its power of `challenge`.
///
/// `lengths` are those of the registered commitments.
pub(super) fn gather(relations: &Relations, pads: usize, lengths: &[usize], challenge: Ext) -> Gathered {
    let mut gathered = Gathered {
        pads: vec![Ext::ZERO; pads],
        registered: lengths.iter().map(|&length| vec![Ext::ZERO; length]).collect(),
        value: Ext::ZERO,
    };
    let mut power = Ext::ONE;
    let add_affine = |gathered: &mut Gathered, value: &Affine, scale: Ext| {
        gathered.value -= value.constant * scale;
        for &(pad, coefficient) in &value.terms {
            gathered.pads[pad] += coefficient * scale;
        }
    };
    for (_, value) in &relations.linear {
        add_affine(&mut gathered, value, power);
        power *= challenge;
    }
    // ⟨coefficients, m⟩ − value = 0.
    for (index, coefficients, value) in &relations.registered {
        for (slot, &coefficient) in gathered.registered[*index].iter_mut().zip(coefficients) {
            *slot += coefficient * power;
        }
        add_affine(&mut gathered, value, -power);
        power *= challenge;
    }
    gathered
}
