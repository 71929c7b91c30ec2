//! Proofs that start from a model that was committed to, and end with one.

use nexus_zk::ZkError;
use nexus_zk::argument::check;
use nexus_zk::ligero::LigeroError;

use super::super::relation::Models;
use super::super::{DataSecret, ModelCommitment, ModelSecret, TrainingError};
use super::*;

const SESSION: &[u8] = b"models";

/// Data for three rounds, and statements of two runs, the second from the end of the first.
struct Chain {
    case: Case,
    data: DataCommitment,
    secret: DataSecret,
}

impl Chain {
    fn new(shape: &'static str) -> Self {
        let case = Spec { shape, clip: None, ..Spec::default() }.case();
        let (data, secret, _) = DataCommitment::new(case.examples(), 3, SESSION, &mut rng(1)).unwrap();
        Self { case, data, secret }
    }

    fn first(&self) -> Statement {
        let (plan, start) = (self.case.plan.clone(), self.case.start.clone());
        Statement::new(plan, start, self.data.clone(), 0, [1; 32], None).unwrap().committing_to_the_end()
    }

    fn second(&self, start: ModelCommitment, round: usize) -> Statement {
        Statement::new(self.case.plan.clone(), start, self.data.clone(), round, [2; 32], None).unwrap()
    }

    fn prove_first(&mut self) -> (Proof, ModelSecret) {
        let statement = self.first();
        let examples = Examples::new(&self.case.inputs, &self.case.labels, self.case.plan.shape().inputs()).unwrap();
        let (proof, trained) =
            Proof::new(&statement, &mut self.secret, examples, Integers, SESSION, &mut rng(2)).unwrap();
        let end = trained.end.expect("the statement asks for a commitment");
        assert_eq!(*end.weights(), trained.weights);
        (proof, end)
    }

    fn prove_second(&mut self, statement: &Statement, model: &mut ModelSecret) -> Result<Proof, TrainingError> {
        let examples = Examples::new(&self.case.inputs, &self.case.labels, self.case.plan.shape().inputs()).unwrap();
        Proof::continued(statement, model, &mut self.secret, examples, Integers, SESSION, &mut rng(3)).map(|(p, _)| p)
    }
}

#[test]
fn one_proof_goes_on_from_the_private_end_of_another() {
    for shape in ["3-3-2", "3x3x1-2c2p1-a2-3"] {
        let mut chain = Chain::new(shape);
        let (first, mut model) = chain.prove_first();
        let first = Proof::from_bytes(&first.to_bytes()).unwrap();
        first.verify(&chain.first(), SESSION).unwrap();
        let statement = chain.second(*first.end().unwrap(), 1);
        let second = chain.prove_second(&statement, &mut model).unwrap();
        second.verify(&statement, SESSION).unwrap();
        assert_eq!(second.end(), None);
        assert_eq!(model.uses_left(), 0);
    }
}

#[test]
fn a_model_stands_in_two_proofs_and_in_no_third() {
    let mut chain = Chain::new("3-3-2");
    let (_, mut model) = chain.prove_first();
    let (second, third) = (chain.second(model.commitment(), 1), chain.second(model.commitment(), 2));
    chain.prove_second(&second, &mut model).unwrap();
    let refused = chain.prove_second(&third, &mut model).unwrap_err();
    assert!(matches!(refused, TrainingError::Proof(ZkError::Ligero(LigeroError::Spent { .. }))), "{refused:?}");
}

#[test]
fn a_proof_holds_for_its_own_models_alone() {
    let mut chain = Chain::new("3-3-2");
    let (first, mut model) = chain.prove_first();
    let (again, _) = ModelCommitment::new(model.weights().clone(), &chain.data, &mut rng(4)).unwrap();

    // Another commitment in place of the end's, even one to the same model.
    let mut bytes = first.to_bytes();
    bytes[8..8 + ModelCommitment::BYTES].copy_from_slice(&again.to_bytes());
    let swapped = Proof::from_bytes(&bytes).unwrap();
    assert!(matches!(swapped.verify(&chain.first(), SESSION), Err(TrainingError::Proof(_))));
    // No commitment where one is asked for, and one where none is.
    let without = Proof::from_bytes(&first.to_bytes()[8 + ModelCommitment::BYTES..]).unwrap();
    let what = "parameters of the end model";
    let missing = TrainingError::Mismatch { what, expected: 20, got: 0 };
    assert_eq!(without.verify(&chain.first(), SESSION), Err(missing));
    let plain = Statement::new(chain.case.plan.clone(), chain.case.start.clone(), chain.data.clone(), 0, [1; 32], None);
    let unasked = TrainingError::Mismatch { what, expected: 0, got: 20 };
    assert_eq!(first.verify(&plain.unwrap(), SESSION), Err(unasked));
    for end in 0..8 + ModelCommitment::BYTES {
        assert!(Proof::from_bytes(&first.to_bytes()[..end]).is_err());
    }

    // A start that the prover does not hold, or that is of another commitment.
    let other = chain.second(again, 1);
    assert_eq!(chain.prove_second(&other, &mut model).unwrap_err(), TrainingError::OtherModel);
    let statement = chain.second(model.commitment(), 1);
    let proof = chain.prove_second(&statement, &mut model).unwrap();
    assert!(matches!(proof.verify(&other, SESSION), Err(TrainingError::Proof(_))));
    let mut secret = DataCommitment::new(chain.case.examples(), 3, SESSION, &mut rng(1)).unwrap().1;
    let refused = Proof::new(&statement, &mut secret, chain.case.examples(), Integers, SESSION, &mut rng(5));
    assert_eq!(refused.unwrap_err(), TrainingError::OtherModel);
}

#[test]
fn a_start_out_of_range_or_of_another_size_is_refused() {
    let mut chain = Chain::new("3-3-2");
    let wide = FixedPoint { weight_bits: 26, ..FixedPoint::V1 };
    let mut values = chain.case.start.values().to_vec();
    values[3] = 1 << 23;
    let wide = Weights::new(chain.case.plan.shape(), values, wide).unwrap();
    let (commitment, mut model) = ModelCommitment::new(wide, &chain.data, &mut rng(4)).unwrap();
    let statement = chain.second(commitment, 1);
    let refused = chain.prove_second(&statement, &mut model).unwrap_err();
    assert!(matches!(&refused, TrainingError::Refused(error) if error.to_string().contains("8388608")), "{refused}");

    let shape: Shape = "2-2".parse().unwrap();
    let (small, _) = ModelCommitment::new(Weights::zeros(&shape), &chain.data, &mut rng(4)).unwrap();
    let refused = Statement::new(chain.case.plan.clone(), small, chain.data.clone(), 0, [0; 32], None).unwrap_err();
    let what = "parameters of the start model";
    assert_eq!(refused, TrainingError::Mismatch { what, expected: 20, got: 6 });
}

/// The relation with both models registered, its honest vector, and what is registered.
fn committed(spec: Spec) -> (Case, Relation, Vec<Base>, [Vec<Base>; 2]) {
    let case = spec.case();
    let models = Models { start: None, end: true };
    let relation = Relation::new(case.plan.clone(), models, case.clip, EXAMPLES, &case.schedule).unwrap();
    let witness = Witness::new(&relation, &case.start, case.examples(), &case.schedule, Integers).unwrap();
    let entries = |weights: &Weights| weights.values().iter().map(|&w| nexus_zk::from_signed(w.into())).collect();
    let models = [entries(&case.start), entries(&witness.trained)];
    (case, relation, witness.vector, models)
}

#[test]
fn every_parameter_of_both_models_is_bound() {
    for shape in ["3-3-2", "3x3x2-3c2-3"] {
        let (case, relation, vector, models) = committed(Spec { shape, ..Spec::default() });
        let run =
            |vector: &[Base], start: &[Base], end: &[Base]| check(&relation, vector, &[&case.registered, start, end]);
        let [start, end] = &models;
        assert_eq!(run(&vector, start, end), Ok(()), "{shape}");
        for i in 0..start.len() {
            for which in 0..2 {
                let mut changed = models.clone();
                changed[which][i] += Base::ONE;
                let got = run(&vector, &changed[0], &changed[1]);
                assert_eq!(got, Err(super::relation("a claim about a registered vector")), "{shape} {which} {i}");
            }
        }
        // In the vector: each entry of the start, real ones caught by a relation, those beside the outputs of no account.
        let mut counted = vector.clone();
        for columns in &relation.layout.layers {
            let limbs = columns.start.as_ref().unwrap();
            let (low, _) = limbs.columns[0];
            for i in 0..low.len {
                counted[low.offset + i] += Base::ONE;
                let mut recounted = counted.clone();
                let in_range = relation.layout.lookups.count(&mut recounted).is_ok();
                let real = i % (1 << columns.output_bits) < columns.layer.outputs;
                let got = run(if in_range { &recounted } else { &counted }, start, end);
                assert_eq!(got.is_ok(), !real, "{shape}, layer {}, entry {i}: {got:?}", columns.layer.index);
                counted[low.offset + i] -= Base::ONE;
            }
        }
    }
}

#[test]
fn a_start_beyond_its_range_is_not_looked_up() {
    let (case, relation, mut vector, [mut start, mut end]) = committed(Spec::default());
    // One weight of the start, and the end's, greater by 2^24: the vector's limbs would have to say so.
    let columns = &relation.layout.layers[0];
    let limbs = columns.start.as_ref().unwrap();
    let &(high, below) = limbs.columns.last().unwrap();
    let step = Base::from_u64(1 << (24 - below));
    vector[high.offset] += step;
    start[0] += Base::from_u64(1 << 24);
    end[0] += Base::from_u64(1 << 24);
    let counted = relation.layout.lookups.count(&mut vector.clone());
    assert!(matches!(counted, Err(ZkError::NotInTable { .. })), "{counted:?}");
    assert_eq!(check(&relation, &vector, &[&case.registered, &start, &end]), Err(super::relation(SUM)));
}
