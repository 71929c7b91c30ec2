//! Honest runs, and attempts at false ones: at the relation, entry by entry ([`entries`]) and with whole false runs
//! ([`wires`], [`patches`], [`softmax`]), at its bounds ([`bounds`]), with whole proofs ([`forged`]), with statements and
//! bytes ([`mutated`]), and at the privacy of a masked proof ([`hiding`]).

mod bounds;
mod entries;
mod forged;
mod hiding;
mod models;
mod mutated;
mod patches;
mod softmax;
mod wires;

use nexus_zk::argument::check;
use nexus_zk::logup::Lookups;
use nexus_zk::{Base, ZkError};
use p3_field::PrimeCharacteristicRing;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::layout::{Column, Forward, LayerColumns, Layout, Limbs, Rounding};
use super::relation::Relation;
use super::witness::Witness;
use super::{DataCommitment, Proof, Statement, TransparentProof};
use crate::reference::{
    Clip, Examples, FixedPoint, Integers, Loss, Products, Schedule, Sgd, Shape, TrainingPlan, Weights,
};

/// How many examples every case has.
const EXAMPLES: usize = 7;

/// Narrow integers, whose exponentials are a small table: weights and activations in ±8.
const NARROW: FixedPoint =
    FixedPoint { weight_bits: 12, weight_fraction: 8, activation_bits: 8, activation_fraction: 4 };

/// What a case is made of.
#[derive(Clone, Copy)]
struct Spec {
    shape: &'static str,
    format: FixedPoint,
    loss: Loss,
    batch: usize,
    steps: usize,
    rate: i32,
    /// Bound and dropped bits.
    clip: Option<(u64, u32)>,
    seed: u8,
    /// Other data for another number.
    data: usize,
    /// Other start weights for another number.
    start: i32,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            shape: "3-3-2",
            format: FixedPoint::V1,
            loss: Loss::SquaredError,
            batch: 2,
            steps: 2,
            rate: 1,
            clip: Some((20_000, 4)),
            seed: 7,
            data: 37,
            start: 792_319,
        }
    }
}

/// A training run: what is public, what is private, and the vector an honest prover commits to.
struct Case {
    inputs: Vec<u8>,
    labels: Vec<u8>,
    plan: TrainingPlan,
    schedule: Schedule,
    start: Weights,
    clip: Option<Clip>,
    relation: Relation,
    witness: Witness,
    registered: Vec<Base>,
}

impl Spec {
    fn case(self) -> Case {
        let shape: Shape = self.shape.parse().unwrap();
        let (features, classes) = (shape.inputs(), shape.outputs());
        let inputs: Vec<u8> = (0..EXAMPLES * features).map(|i| (i * self.data % 256) as u8).collect();
        let labels: Vec<u8> = (0..EXAMPLES).map(|i| (i % classes) as u8).collect();
        let examples = Examples::new(&inputs, &labels, features).unwrap();
        let plan = TrainingPlan::with_loss(shape.clone(), self.format, self.loss, self.batch, self.steps, self.rate);
        let plan = plan.unwrap();
        let schedule = Schedule::new([self.seed; 32], EXAMPLES, self.batch, self.steps).unwrap();
        // In ±2, as weights of 24 bits and in those of the format.
        let weight = |i: usize| (i as i32).wrapping_mul(self.start).rem_euclid(4_000_000) - 2_000_000;
        let narrower = 24 - self.format.weight_bits;
        let start = (0..shape.parameters()).map(|i| weight(i) >> narrower).collect();
        let start = Weights::new(&shape, start, self.format).unwrap();
        let clip = self.clip.map(|(bound, dropped)| Clip::new(bound, dropped, shape.parameters()).unwrap());
        let relation = Relation::new(plan.clone(), start.clone(), clip, EXAMPLES, &schedule).unwrap();
        let witness = Witness::new(&relation, &start, examples, &schedule, Integers).unwrap();
        assert_eq!(witness.trained, Sgd::new(plan.clone(), Integers).train(&start, examples, &schedule).unwrap());
        let mut registered = Vec::new();
        for (row, &label) in inputs.chunks_exact(features).zip(&labels) {
            let bytes: Vec<u8> = row.iter().copied().chain([label]).collect();
            registered.extend(bytes.chunks(7).map(|chunk| {
                chunk.iter().rev().fold(Base::ZERO, |word, &byte| word * Base::from_u16(256) + Base::from_u8(byte))
            }));
        }
        Case { inputs, labels, plan, schedule, start, clip, relation, witness, registered }
    }
}

impl Case {
    fn examples(&self) -> Examples<'_> {
        Examples::new(&self.inputs, &self.labels, self.plan.shape().inputs()).unwrap()
    }

    fn honest(&self) -> Vec<Base> {
        self.witness.vector.clone()
    }

    /// The vector of a prover whose products are of other matrices: `tamper` gets the number of the product, in the order
    /// of training, and the values of both factors.
    fn tampered(&self, tamper: impl FnMut(usize, &mut [i32], &mut [i32])) -> Vec<Base> {
        Witness::new(&self.relation, &self.start, self.examples(), &self.schedule, Liar { tamper, call: 0 })
            .unwrap()
            .vector
    }

    /// Checks a vector, with its multiplicities counted anew as far as what is looked up is in its table.
    fn check(&self, vector: &[Base]) -> Result<(), ZkError> {
        let mut counted = vector.to_vec();
        let vector = if self.relation.layout.lookups.count(&mut counted).is_ok() { &counted } else { vector };
        check(&self.relation, vector, &[&self.registered])
    }

    /// That the vector is a run but for numbers out of their ranges, and that the look-ups notice.
    fn only_ranges_fail(&self, what: &str, vector: &[Base]) {
        let blind = blind(&self.relation);
        assert_eq!(check(&blind, vector, &[&self.registered]), Ok(()), "{what}: all but the ranges");
        let counted = self.relation.layout.lookups.count(&mut vector.to_vec());
        assert!(matches!(counted, Err(ZkError::NotInTable { .. })), "{what}: {counted:?}");
        assert_eq!(check(&self.relation, vector, &[&self.registered]), Err(relation(SUM)), "{what}");
    }
}

/// Products of matrices that were tampered with.
struct Liar<F> {
    tamper: F,
    call: usize,
}

impl<F: FnMut(usize, &mut [i32], &mut [i32])> Products for Liar<F> {
    type Error = std::convert::Infallible;

    fn product(
        &mut self,
        left: crate::reference::Matrix<'_>,
        right: crate::reference::Matrix<'_>,
        out: &mut [i64],
    ) -> Result<(), Self::Error> {
        let (mut l, mut r) = (left.values().to_vec(), right.values().to_vec());
        (self.tamper)(self.call, &mut l, &mut r);
        self.call += 1;
        let matrix = |like: crate::reference::Matrix<'_>, values| {
            let (rows, columns) = like.stored();
            let plain = crate::reference::Matrix::new(values, rows, columns);
            if like.is_transposed() { plain.transpose() } else { plain }
        };
        Integers.product(matrix(left, &l), matrix(right, &r), out)
    }
}

const SUM: &str = "the sum of the look-ups' fractions";
const CLAIM: &str = "a claim about the committed vector";

const fn relation(name: &'static str) -> ZkError {
    ZkError::Relation { name }
}

/// The relation of a prover who looks nothing up, and is otherwise honest about what the messages are.
fn blind(relation: &Relation) -> Relation {
    let mut blind = relation.clone();
    let end = looked_up(relation).iter().map(|column| column.offset + column.len).max().unwrap();
    blind.layout.lookups = Lookups::new(end.next_power_of_two().trailing_zeros() as usize, Vec::new(), Vec::new());
    blind
}

/// Columns that make one number, each with how many bits lie below it.
type Chain = Vec<(Column, u32)>;

/// Every number of more than one column: sums with their remainders below them, changes, the clip's parts.
fn chains(relation: &Relation) -> Vec<(&'static str, Chain)> {
    let limbs = |limbs: &Limbs, shift: u32| -> Chain { limbs.columns.iter().map(|&(c, b)| (c, b + shift)).collect() };
    let rounding = |r: &Rounding| -> Chain {
        [limbs(&r.remainder, 0), limbs(&r.low, r.shift), vec![(r.high, r.shift + r.width)]].concat()
    };
    let mut all = Vec::new();
    for columns in &relation.layout.layers {
        all.push(("a forward sum", rounding(&columns.forward.rounding)));
        all.extend(columns.backward.as_ref().map(|(backward, _)| ("a backward sum", rounding(backward))));
        let shift = relation.plan.update_shift(columns.layer);
        for (change, remainder) in &columns.changes {
            all.push(("a gradient", [limbs(remainder, 0), limbs(change, shift)].concat()));
        }
    }
    if let Some(softmax) = &relation.layout.softmax {
        all.push(("a probability", limbs(&softmax.probability, 0)));
        all.push(("a remainder", limbs(&softmax.remainder, 0)));
        all.push(("a slack", limbs(&softmax.slack, 0)));
    }
    if let Some(clip) = &relation.layout.clip {
        all.push((
            "a scaled difference",
            [limbs(&clip.remainder, 0), limbs(&clip.magnitude, Clip::SCALE_BITS)].concat(),
        ));
        all.push(("the scale", limbs(&clip.scale, 0)));
        all.push(("the scale's slack", limbs(&clip.scale_slack, 0)));
        all.push(("the norm's slack", limbs(&clip.norm_slack, 0)));
    }
    all
}

/// The columns that are looked up, those beside a table's first column left out.
fn looked_up(relation: &Relation) -> Vec<Column> {
    let data = &relation.layout.data;
    let numbers = chains(relation).into_iter().flat_map(|(_, chain)| chain).map(|(column, _)| column);
    let sign = relation.layout.clip.as_ref().map(|clip| clip.negative);
    let softmax = relation.layout.softmax.iter().flat_map(|columns| [columns.difference, columns.first]);
    numbers.chain([data.inputs, data.targets]).chain(sign).chain(softmax).collect()
}

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

#[test]
fn honest_training_satisfies_the_relation() {
    for (shape, batch, steps, rate, clip) in [
        ("3-2", 2, 1, 3, false),
        ("3-2", 2, 3, 3, true),
        ("4-3-2", 2, 1, 3, false),
        ("5-4-2", 4, 3, 2, true),
        ("6-5-4-3", 2, 5, 1, true),
    ] {
        let clip = clip.then_some((20_000, 4));
        let case = Spec { shape, batch, steps, rate, clip, ..Spec::default() }.case();
        assert_eq!(check(&case.relation, &case.witness.vector, &[&case.registered]), Ok(()), "{shape}");
    }
}

#[test]
fn a_proof_of_training_holds_for_its_statement() {
    let mut rng = rng(1);
    let shape: Shape = "5-4-3".parse().unwrap();
    let inputs: Vec<u8> = (0..9 * 5).map(|i| (i * 37 % 256) as u8).collect();
    let labels: Vec<u8> = (0..9).map(|i| (i % 3) as u8).collect();
    let examples = Examples::new(&inputs, &labels, 5).unwrap();
    let (data, mut secret, proof) = DataCommitment::new(examples, 3, b"session", &mut rng).unwrap();
    data.verify(&proof, b"session").unwrap();
    let plan = TrainingPlan::new(shape.clone(), FixedPoint::V1, 4, 3, 2).unwrap();
    let start: Vec<i32> = (0..shape.parameters()).map(|i| (i as i32 * 792_319 % 4_000_000) - 2_000_000).collect();
    let start = Weights::new(&shape, start, FixedPoint::V1).unwrap();
    let clip = Clip::new(20_000, 4, shape.parameters()).unwrap();
    let statement =
        |round| Statement::new(plan.clone(), start.clone(), data.clone(), round, [5; 32], Some(clip)).unwrap();
    let (transparent, trained) =
        TransparentProof::new(&statement(0), &mut secret, examples, Integers, b"session", &mut rng).unwrap();
    transparent.verify(&statement(0), b"session").unwrap();
    let (proof, again) = Proof::new(&statement(1), &mut secret, examples, Integers, b"session", &mut rng).unwrap();
    assert_eq!((trained.weights, trained.update), (again.weights, again.update));
    let proof = Proof::from_bytes(&proof.to_bytes()).unwrap();
    proof.verify(&statement(1), b"session").unwrap();
    assert!(proof.verify(&statement(2), b"session").is_err());
    assert!(proof.verify(&statement(1), b"another").is_err());
    println!("{}", statement(1).security_report().unwrap());
    println!("{} bytes, transparent {}", proof.to_bytes().len(), transparent.to_bytes().len());
}

#[test]
fn honest_networks_of_every_kind_pass() {
    let shapes = [
        ("3-3-2", 2, 3),
        ("2-1", 1, 1),
        ("4x3x2-3c2p1-a2-2c2-3", 2, 3),
        ("5x5x1-3c3p1-a2-3", 2, 2),
        ("3x3x2-5", 4, 1),
        ("6x5x1-2c3-2c2p1-a2-4-3", 1, 5),
        // Squares of one, two and four pixels in one network, and hidden layers of four sizes.
        ("9x8x1-3c2p1-a4-2c1-2c2p1-a2-5-3", 2, 3),
        // A kernel as wide as the padded image, one pixel an output, and one more padding than pixels.
        ("2x3x1-2c4p1-1c2p1-3", 2, 3),
        ("1x1x3-2c2p1-a2-3", 1, 3),
        // A dense layer before a narrower and a wider one: the stack of ReLU layers is not in their order.
        ("2-3-9-2-5-3", 2, 3),
        // Rows and columns dropped, and a whole half of an image.
        ("7x3x1-2c1-a2-3", 2, 3),
        ("3x2x1-3c2p1-a2-3", 1, 3),
    ];
    for (shape, batch, steps) in shapes {
        for loss in [Loss::SquaredError, Loss::CrossEntropy] {
            for format in [FixedPoint::V1, NARROW] {
                let case = Spec { shape, loss, batch, steps, format, rate: 4, ..Spec::default() }.case();
                assert_eq!(case.check(&case.honest()), Ok(()), "{shape} {loss}");
            }
        }
    }
}

#[test]
fn saturated_outputs_are_not_pushed_further_out() {
    // Start weights near their ends saturate outputs on both sides, labels among them.
    for start in [1_999_999, 792_319, 3_999_983] {
        let spec = Spec { shape: "6-5", batch: 4, steps: 3, loss: Loss::CrossEntropy, start, ..Spec::default() };
        let mut case = spec.case();
        let wide: Vec<i32> = case.start.values().iter().map(|&w| (w * 4).clamp(-(1 << 23), (1 << 23) - 1)).collect();
        case.start = Weights::new(case.plan.shape(), wide, case.plan.format()).unwrap();
        case.relation.models = case.start.clone().into();
        let vector =
            Witness::new(&case.relation, &case.start, case.examples(), &case.schedule, Integers).unwrap().vector;
        let columns = case.relation.layout.softmax.as_ref().unwrap();
        let rounding = &case.relation.layout.layers[0].forward.rounding;
        let (mut stopped, mut kept) = (0, 0);
        for i in (0..columns.error.len).filter(|i| i % 8 < 5) {
            if vector[rounding.in_range.offset + i] == Base::ZERO {
                *(if vector[columns.error.offset + i] == Base::ZERO { &mut stopped } else { &mut kept }) += 1;
            }
        }
        assert!(stopped > 0 && kept > 0, "{start}: {stopped} stopped, {kept} kept");
        assert_eq!(case.check(&vector), Ok(()), "{start}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_global_rejects: 1 << 16, ..ProptestConfig::default() })]
    #[test]
    fn honest_networks_of_any_kind_pass(
        text in bounds::networks(), batch in 0usize..3, steps in 1usize..5, entropy: bool,
    ) {
        let (loss, batch) = (if entropy { Loss::CrossEntropy } else { Loss::SquaredError }, 1 << batch);
        let plan = text.parse().and_then(|shape| TrainingPlan::with_loss(shape, NARROW, loss, batch, steps, 6));
        let layout = plan.as_ref().ok().and_then(|plan| Layout::new(plan, EXAMPLES.min(batch * steps), None, false).ok());
        // Refused ones, and large ones, do not count as cases.
        prop_assume!(layout.is_some_and(|layout| layout.variables <= 15));
        let case = Spec { shape: text.leak(), loss, batch, steps, format: NARROW, rate: 6, clip: None, ..Spec::default() }.case();
        prop_assert_eq!(case.check(&case.honest()), Ok(()));
    }
}
