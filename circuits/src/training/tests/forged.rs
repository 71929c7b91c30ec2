//! Whole proofs of false statements, made by the real prover: it believes a relation of its own and speaks with the
//! transcript of the statement it wants accepted, so that nothing it does fails on its side.

use nexus_zk::ligero::LigeroError;
use nexus_zk::{Base, ZkError, argument};

use super::softmax::out_of_tables;
use super::wires::{mixed, rescale, shifted_rounding, swapped_steps, wrapped_norm};
use super::{Case, Loss, NARROW, Proof, Relation, Spec, Statement, TransparentProof, blind, relation, rng};
use crate::reference::Clip;
use crate::training::{DataCommitment, DataSecret, TrainingError};

pub(super) const SESSION: &[u8] = b"session";

/// A case with its data committed to for `rounds` proofs.
pub(super) fn registered(case: &Case, rounds: usize) -> (DataCommitment, DataSecret) {
    let (data, secret, proof) = DataCommitment::new(case.examples(), rounds, SESSION, &mut rng(1)).unwrap();
    data.verify(&proof, SESSION).unwrap();
    (data, secret)
}

pub(super) fn statement(case: &Case, seed: u8, data: DataCommitment, round: usize) -> Statement {
    Statement::new(case.plan.clone(), case.start.clone(), data, round, [seed; 32], case.clip).unwrap()
}

/// What becomes of a proof of `vector`, which satisfies `believed`, as one of the case's own statement: transparent, and
/// in zero knowledge.
fn forge(case: &Case, believed: &Relation, vector: &[Base]) -> [Result<(), TrainingError>; 2] {
    let (data, mut secret) = registered(case, 2);
    let target = |round| statement(case, Spec::default().seed, data.clone(), round);

    let (plain, mut copy) = (target(0), secret.take(0).unwrap());
    let transcript = &mut plain.transcript(SESSION);
    let copies = &mut [&mut copy];
    let security = plain.security();
    let proof = argument::TransparentProof::new(believed, vector.to_vec(), copies, &security, transcript, &mut rng(2));
    let proof = TransparentProof::from_bytes(&proof.expect("the prover believes it").to_bytes()).unwrap();

    let (hidden, mut copy) = (target(1), secret.take(1).unwrap());
    let transcript = &mut hidden.transcript(SESSION);
    let copies = &mut [&mut copy];
    let masked = argument::Proof::new(believed, vector.to_vec(), copies, &security, transcript, &mut rng(3));
    let masked = Proof::from_bytes(&masked.expect("the prover believes it").to_bytes()).unwrap();
    [proof.verify(&plain, SESSION), masked.verify(&hidden, SESSION)]
}

/// What a masked forgery fails with: the pads do not make up for what is false.
const PADS: TrainingError = TrainingError::Proof(ZkError::Ligero(LigeroError::Sum));

/// What a transparent one fails with, where the claims about the committed vector are the prover's own.
const CLAIMS: TrainingError = TrainingError::Proof(relation("the claims about the committed vector"));

#[test]
fn a_proof_of_what_the_prover_believes_verifies_if_it_is_the_statement() {
    let case = mixed();
    assert_eq!(forge(&case, &case.relation, &case.witness.vector), [Ok(()), Ok(())]);
}

#[test]
fn a_run_from_another_model_is_rejected() {
    let case = mixed();
    let mut believed = case.relation.clone();
    let mut weights = case.start.values().to_vec();
    weights[3] += 1;
    let start = super::Weights::new(case.plan.shape(), weights, case.plan.format()).unwrap();
    believed.models = start.clone().into();
    let vector =
        super::Witness::new(&believed, &start, case.examples(), &case.schedule, super::Integers).unwrap().vector;
    assert_eq!(forge(&case, &believed, &vector), [CLAIMS, PADS].map(Err));
}

#[test]
fn a_run_on_other_data_is_rejected() {
    let case = Spec::default().case();
    let other = Spec { data: 41, ..Spec::default() }.case();
    // The prover has no check of its own here: only the registered vector knows.
    assert_eq!(forge(&case, &case.relation, &other.witness.vector), [PADS, PADS].map(Err));
}

#[test]
fn swapped_steps_are_rejected() {
    let case = Spec { shape: "3-4-2", steps: 3, ..Spec::default() }.case();
    let (believed, vector) = swapped_steps(&case);
    assert_eq!(forge(&case, &believed, &vector), [CLAIMS, PADS].map(Err));
}

#[test]
fn a_run_of_fewer_or_more_steps_is_rejected() {
    let case = Spec { steps: 3, ..Spec::default() }.case();
    for steps in [1, 2, 4] {
        let other = Spec { steps, ..Spec::default() }.case();
        for result in forge(&case, &other.relation, &other.witness.vector) {
            assert!(matches!(result, Err(TrainingError::Proof(_))), "{steps} steps: {result:?}");
        }
    }
}

#[test]
fn an_update_beyond_the_bound_is_rejected() {
    let case = Spec { clip: Some((2_000, 4)), ..Spec::default() }.case();
    let believed = Spec { clip: Some((2_040, 4)), ..Spec::default() }.case();
    assert_eq!(format!("{:?}", case.relation.layout), format!("{:?}", believed.relation.layout), "one layout for both");
    let parameters = case.plan.shape().parameters();
    assert_eq!(believed.relation.clip, Some(Clip::new(2_040, 4, parameters).unwrap()));
    assert_eq!(forge(&case, &believed.relation, &believed.witness.vector), [CLAIMS, PADS].map(Err));
}

#[test]
fn numbers_out_of_their_ranges_are_rejected() {
    let case = mixed();
    let mut scaled = case.honest();
    rescale(&case, &mut scaled, (1 << (Clip::SCALE_BITS - 4)) + 1);
    for (what, vector) in [
        ("nothing false, and nothing looked up", case.honest()),
        ("a shifted rounding", shifted_rounding(&case)),
        ("a norm that wraps", wrapped_norm(&case)),
        ("too great a scale", scaled),
    ] {
        assert_eq!(forge(&case, &blind(&case.relation), &vector), [CLAIMS, PADS].map(Err), "{what}");
    }
}

/// A convolutional network that learns by its cross-entropy; three steps.
pub(super) fn network() -> Spec {
    let (loss, format) = (Loss::CrossEntropy, NARROW);
    Spec { shape: "4x3x1-3c2p1-a2-2c2-3", loss, format, steps: 3, ..Spec::default() }
}

#[test]
fn a_run_of_an_image_of_other_sides_is_rejected() {
    let case = network().case();
    assert_eq!(forge(&case, &case.relation, &case.witness.vector), [Ok(()), Ok(())]);
    let other = Spec { shape: "3x4x1-3c2p1-a2-2c2-3", ..network() }.case();
    assert_eq!(format!("{:?}", case.relation.layout.lookups), format!("{:?}", other.relation.layout.lookups));
    assert_eq!(forge(&case, &other.relation, &other.witness.vector), [CLAIMS, PADS].map(Err));
}

#[test]
fn a_softmax_that_is_not_looked_up_is_rejected() {
    let (case, runs) = out_of_tables();
    for vector in runs {
        assert_eq!(forge(&case, &blind(&case.relation), &vector), [CLAIMS, PADS].map(Err));
    }
}

#[test]
fn an_honest_prover_names_what_is_false_and_makes_no_proof() {
    let case = mixed();
    let (data, mut secret) = registered(&case, 2);
    for (round, vector, name) in [(0, shifted_rounding(&case), super::SUM), (1, wrapped_norm(&case), super::SUM)] {
        let statement = statement(&case, Spec::default().seed, data.clone(), round);
        let mut copy = secret.take(round).unwrap();
        let (transcript, copies) = (&mut statement.transcript(SESSION), &mut [&mut copy]);
        let security = statement.security();
        let refused = if round == 0 {
            argument::Proof::new(&case.relation, vector, copies, &security, transcript, &mut rng(4)).err()
        } else {
            argument::TransparentProof::new(&case.relation, vector, copies, &security, transcript, &mut rng(4)).err()
        };
        assert_eq!(refused, Some(relation(name)));
    }
}
