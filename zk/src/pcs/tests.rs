use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;

const SIZES: [usize; 5] = [MIN_VARIABLES, 10, 13, 14, 17];

struct Opened {
    commitment: Commitment,
    point: Vec<Ext>,
    value: Ext,
    proof: Vec<u8>,
}

fn transcript() -> Transcript {
    Transcript::new("pcs test v1", b"session", b"statement")
}

fn values(variables: usize, rng: &mut ChaCha20Rng) -> Vec<Base> {
    (0..1_usize << variables).map(|_| rng.random()).collect()
}

fn point(variables: usize, rng: &mut ChaCha20Rng) -> Vec<Ext> {
    (0..variables).map(|_| Ext::from_basis_coefficients_fn(|_| rng.random::<Base>())).collect()
}

fn opened<P: MultilinearPcs>(pcs: &P, seed: u8) -> Opened {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let values = values(pcs.variables(), &mut rng);
    let point = point(pcs.variables(), &mut rng);
    let (commitment, committed) = pcs.commit(values, &mut rng).unwrap();
    let (value, proof) = pcs.open(committed, &point, &mut transcript(), &mut rng).unwrap();
    Opened { commitment, point, value, proof }
}

fn verify<P: MultilinearPcs>(pcs: &P, opened: &Opened) -> Result<(), PcsError> {
    pcs.verify(&opened.commitment, &opened.point, opened.value, &opened.proof, &mut transcript())
}

/// `Σ_i values[i]·Π_j (i_j·z_j + (1 − i_j)(1 − z_j))`, `i_0` the highest bit of `i`: the definition.
fn evaluate(values: &[Base], point: &[Ext]) -> Ext {
    let weight = |index: usize| -> Ext {
        let last = point.len() - 1;
        point.iter().enumerate().map(|(j, &z)| if index >> (last - j) & 1 == 1 { z } else { Ext::ONE - z }).product()
    };
    values.iter().enumerate().map(|(index, &value)| weight(index) * value).sum()
}

fn opens_to_its_value_in_step<P: MultilinearPcs>(pcs: &P) {
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let values = values(pcs.variables(), &mut rng);
    let point = point(pcs.variables(), &mut rng);
    let (commitment, committed) = pcs.commit(values.clone(), &mut rng).unwrap();
    let (mut prover, mut verifier) = (transcript(), transcript());
    let (value, proof) = pcs.open(committed, &point, &mut prover, &mut rng).unwrap();
    assert_eq!(value, evaluate(&values, &point));
    assert!(proof.len() < MAX_PROOF / 4, "{} bytes", proof.len());
    let commitment = Commitment::from_bytes(commitment.to_bytes());
    assert_eq!(pcs.verify(&commitment, &point, value, &proof, &mut verifier), Ok(()));
    assert_eq!(prover.challenge(), verifier.challenge(), "both transcripts go on from one state");
}

#[test]
fn an_opening_is_the_multilinear_evaluation_and_verifies() {
    for variables in SIZES {
        opens_to_its_value_in_step(&Whir::new(variables, 128).unwrap());
        opens_to_its_value_in_step(&HidingWhir::new(variables, 128).unwrap());
    }
}

#[test]
fn a_vertex_with_the_first_coordinate_set_opens_the_upper_half() {
    let pcs = HidingWhir::new(10, 128).unwrap();
    let mut rng = ChaCha20Rng::from_seed([4; 32]);
    let (commitment, committed) = pcs.commit((0..1024).map(Base::from_u64).collect(), &mut rng).unwrap();
    let mut point = vec![Ext::ZERO; 10];
    point[0] = Ext::ONE;
    point[9] = Ext::ONE;
    let (value, proof) = pcs.open(committed, &point, &mut transcript(), &mut rng).unwrap();
    assert_eq!(value, Ext::from(Base::from_u64(513)));
    assert_eq!(pcs.verify(&commitment, &point, value, &proof, &mut transcript()), Ok(()));
}

fn cheats_are_rejected<P: MultilinearPcs>(pcs: &P) {
    let honest = opened(pcs, 1);
    assert_eq!(verify(pcs, &honest), Ok(()));
    let rejected =
        |result: Result<(), PcsError>| assert!(matches!(result, Err(PcsError::Rejected { .. })), "{result:?}");

    let wrong = honest.value + Ext::ONE;
    let result = pcs.verify(&honest.commitment, &honest.point, wrong, &honest.proof, &mut transcript());
    assert_eq!(result, Err(PcsError::ValueMismatch));

    for coordinate in 0..honest.point.len() {
        let mut point = honest.point.clone();
        point[coordinate] += Ext::ONE;
        rejected(pcs.verify(&honest.commitment, &point, honest.value, &honest.proof, &mut transcript()));
    }
    let mut root = honest.commitment.to_bytes();
    root[31] ^= 1;
    rejected(verify_with(pcs, &honest, Commitment::from_bytes(root), &mut transcript()));
    let other = Transcript::new("pcs test v1", b"session", b"another statement");
    rejected(verify_with(pcs, &honest, honest.commitment, &mut other.clone()));

    let short = &honest.point[1..];
    let expected = Err(PcsError::PointLength { expected: pcs.variables(), got: pcs.variables() - 1 });
    assert_eq!(pcs.verify(&honest.commitment, short, honest.value, &honest.proof, &mut transcript()), expected);

    // The same value from another polynomial: its proof under this commitment.
    let another = opened(pcs, 2);
    rejected(verify(pcs, &Opened { commitment: honest.commitment, ..another }));
}

fn verify_with<P: MultilinearPcs>(
    pcs: &P,
    opened: &Opened,
    commitment: Commitment,
    transcript: &mut Transcript,
) -> Result<(), PcsError> {
    pcs.verify(&commitment, &opened.point, opened.value, &opened.proof, transcript)
}

#[test]
fn another_value_point_commitment_or_transcript_is_rejected() {
    cheats_are_rejected(&Whir::new(14, 128).unwrap());
    cheats_are_rejected(&HidingWhir::new(14, 128).unwrap());
}

#[test]
fn a_proof_of_the_other_scheme_or_size_is_rejected() {
    let (plain, hiding) = (Whir::new(10, 128).unwrap(), HidingWhir::new(10, 128).unwrap());
    assert!(verify(&hiding, &opened(&plain, 1)).is_err());
    assert!(verify(&plain, &opened(&hiding, 1)).is_err());
    let weaker = HidingWhir::new(10, 100).unwrap();
    assert!(verify(&hiding, &opened(&weaker, 1)).is_err());
}

/// Every byte string but the honest one is an error: flips, cuts, extensions, and lengths blown up.
fn bytes_are_canonical<P: MultilinearPcs>(pcs: &P) {
    let honest = opened(pcs, 5);
    let attempt = |proof: Vec<u8>| {
        let changed = Opened { proof, point: honest.point.clone(), ..honest };
        let result = verify(pcs, &changed);
        assert!(
            matches!(result, Err(PcsError::Malformed | PcsError::Rejected { .. } | PcsError::ValueMismatch)),
            "{result:?}"
        );
    };
    let len = honest.proof.len();
    for cut in [0, 1, 2, 3, len / 3, len / 2, len - 33, len - 1] {
        attempt(honest.proof[..cut].to_vec());
    }
    for tail in [&[0_u8][..], &[1], &[0xff; 40]] {
        attempt([&honest.proof, tail].concat());
    }
    // The first bytes are lengths and elements; each is tried with several values.
    for position in 0..48 {
        for value in [0, 1, 2, 0x7f, 0x80, 0xff] {
            let mut proof = honest.proof.clone();
            if proof[position] != value {
                proof[position] = value;
                attempt(proof);
            }
        }
    }
    // A length spelled in two bytes where one would do.
    assert!(honest.proof[0] < 0x80);
    attempt([&[honest.proof[0] | 0x80, 0], &honest.proof[1..]].concat());
    // A length of four billion.
    attempt([&[0xff, 0xff, 0xff, 0xff, 0x0f], &honest.proof[1..]].concat());
    let mut rng = ChaCha20Rng::from_seed([6; 32]);
    for _ in 0..600 {
        let mut proof = honest.proof.clone();
        for _ in 0..rng.random_range(1..4) {
            let position = rng.random_range(0..len);
            proof[position] ^= 1 << rng.random_range(0..8);
        }
        attempt(proof);
    }
    for _ in 0..100 {
        let (from, to) = (rng.random_range(0..len), rng.random_range(0..len));
        let mut proof = honest.proof.clone();
        let removed = proof.remove(from);
        proof.insert(to.min(proof.len()), removed ^ 0x55);
        attempt(proof);
    }
    let long = verify(pcs, &Opened { proof: vec![0; MAX_PROOF + 1], point: honest.point.clone(), ..honest });
    assert_eq!(long, Err(PcsError::TooLong { limit: MAX_PROOF, got: MAX_PROOF + 1 }));
}

#[test]
fn altered_bytes_are_errors_and_never_panic() {
    bytes_are_canonical(&Whir::new(13, 128).unwrap());
    bytes_are_canonical(&HidingWhir::new(10, 128).unwrap());
    bytes_are_canonical(&HidingWhir::new(14, 128).unwrap());
}

/// Drops, repeats or empties a list: well-formed bytes of a proof with another shape.
fn reshape<T: Clone>(list: &mut Vec<T>, how: usize) {
    match how {
        0 => drop(list.pop()),
        1 => list.extend(list.last().cloned()),
        _ => list.clear(),
    }
}

fn shapes_are_checked<P: MultilinearPcs, Proof: Serialize + DeserializeOwned>(
    pcs: &P,
    changes: &[fn(&mut Proof, usize)],
) {
    let honest = opened(pcs, 11);
    for (number, change) in changes.iter().enumerate() {
        for how in 0..3 {
            let mut proof: Proof = decode(&honest.proof).unwrap();
            change(&mut proof, how);
            let proof = encode(&proof);
            if proof == honest.proof {
                continue;
            }
            let result = verify(pcs, &Opened { proof, point: honest.point.clone(), ..honest });
            assert!(
                matches!(result, Err(PcsError::Rejected { .. } | PcsError::ValueMismatch)),
                "change {number}, {how}: {result:?}"
            );
        }
    }
}

#[test]
fn a_plain_proof_of_another_shape_is_rejected() {
    use p3_whir::QueryOpenings::{Base as InBase, Extension as InExtension};
    shapes_are_checked::<_, super::whir::Proof>(
        &Whir::new(13, 128).unwrap(),
        &[
            |p, how| reshape(&mut p.evals, how),
            |p, how| reshape(&mut p.whir.initial_ood_answers, how),
            |p, how| reshape(&mut p.whir.initial_sumcheck.polynomial_evaluations, how),
            |p, how| reshape(&mut p.whir.initial_sumcheck.pow_witnesses, how),
            |p, how| reshape(&mut p.whir.rounds, how),
            |p, how| reshape(&mut p.whir.rounds[0].ood_answers, how),
            |p, how| reshape(&mut p.whir.rounds[0].sumcheck.polynomial_evaluations, how),
            |p, how| reshape(&mut p.whir.rounds[0].sumcheck.pow_witnesses, how),
            |p, _| p.whir.rounds[0].commitment = None,
            |p, how| p.whir.rounds[0].commitment = Some(MerkleCap::new(vec![[how as u8; 32]; 1 << how])),
            |p, _| p.whir.final_poly = None,
            |p, how| {
                let mut evaluations = p.whir.final_poly.take().unwrap().into_evals();
                evaluations.truncate([0, 1, 32][how]);
                // The format can carry a length that is no power of two; the library's constructor cannot.
                p.whir.final_poly = Some(postcard::from_bytes(&encode(&(evaluations,))).unwrap());
            },
            |p, how| {
                let evaluations = p.whir.final_poly.take().unwrap().into_evals();
                let evaluations = [&evaluations[..], &evaluations[..=how]].concat();
                p.whir.final_poly = Some(postcard::from_bytes(&encode(&(evaluations,))).unwrap());
            },
            |p, _| p.whir.final_sumcheck = None,
            |p, how| reshape(&mut p.whir.final_sumcheck.as_mut().unwrap().polynomial_evaluations, how),
            |p, how| reshape(&mut p.whir.final_sumcheck.as_mut().unwrap().pow_witnesses, how),
            |p, how| match &mut p.whir.rounds[0].openings {
                InBase(opening) => reshape(&mut opening.rows, how),
                InExtension(opening) => reshape(&mut opening.rows, how),
            },
            |p, how| match &mut p.whir.rounds[0].openings {
                InBase(opening) => opening.rows.iter_mut().for_each(|row| reshape(row, how)),
                InExtension(opening) => opening.rows.iter_mut().for_each(|row| reshape(row, how)),
            },
            |p, how| match &mut p.whir.rounds[0].openings {
                InBase(opening) => reshape(&mut opening.proof.sibling_hashes, how),
                InExtension(opening) => reshape(&mut opening.proof.sibling_hashes, how),
            },
            |p, how| match &mut p.whir.final_openings {
                InBase(opening) => reshape(&mut opening.rows[3], how),
                InExtension(opening) => reshape(&mut opening.rows[3], how),
            },
            |p, _| std::mem::swap(&mut p.whir.rounds[0].openings, &mut p.whir.final_openings),
            |p, how| p.whir.final_pow_witness += Base::from_usize(how + 1),
            |p, how| p.whir.rounds[0].pow_witness += Base::from_usize(how + 1),
        ],
    );
}

#[test]
fn a_hiding_proof_of_another_shape_is_rejected() {
    use p3_whir::QueryOpenings::{Base as InBase, Extension as InExtension};
    shapes_are_checked::<_, super::hiding::Proof>(
        &HidingWhir::new(14, 128).unwrap(),
        &[
            |p, how| reshape(&mut p.evals, how),
            |p, how| reshape(&mut p.sumchecks, how),
            |p, how| reshape(&mut p.sumchecks[0].round_coefficients, how),
            |p, how| reshape(&mut p.sumchecks[1].round_coefficients[0], how),
            |p, how| p.sumchecks[0].round_coefficients.iter_mut().for_each(|list| reshape(list, how)),
            |p, how| reshape(&mut p.sumchecks[0].pow_witnesses, how),
            |p, how| reshape(&mut p.sumcheck_mask_commitments, how),
            |p, how| reshape(&mut p.rounds, how),
            |p, how| p.rounds[0].commitment = MerkleCap::new(vec![[how as u8; 32]; 1 << how]),
            |p, how| p.rounds[0].mask_commitment = MerkleCap::new(vec![[how as u8; 32]; 2 << how]),
            |p, how| p.sumcheck_mask_commitments[0] = MerkleCap::new(vec![[how as u8; 32]; 2 << how]),
            |p, how| p.base_case.fresh_main_commitment = MerkleCap::new(vec![[how as u8; 32]; 2 << how]),
            |p, how| reshape(&mut p.rounds[0].ood_answers, how),
            |p, how| match &mut p.rounds[0].openings {
                InBase(opening) => reshape(&mut opening.rows, how),
                InExtension(opening) => reshape(&mut opening.rows, how),
            },
            |p, how| match &mut p.rounds[0].openings {
                InBase(opening) => opening.rows.iter_mut().for_each(|row| reshape(row, how)),
                InExtension(opening) => opening.rows.iter_mut().for_each(|row| reshape(row, how)),
            },
            |p, how| match &mut p.rounds[0].openings {
                InBase(opening) => reshape(&mut opening.proof.0, how),
                InExtension(opening) => reshape(&mut opening.proof.0, how),
            },
            |p, how| match &mut p.rounds[0].openings {
                InBase(opening) => opening.proof.0.iter_mut().for_each(|salts| reshape(&mut salts[0], how)),
                InExtension(opening) => opening.proof.0.iter_mut().for_each(|salts| reshape(&mut salts[0], how)),
            },
            |p, how| match &mut p.rounds[0].openings {
                InBase(opening) => reshape(&mut opening.proof.1.sibling_hashes, how),
                InExtension(opening) => reshape(&mut opening.proof.1.sibling_hashes, how),
            },
            |p, how| match &mut p.base_case.source_openings {
                InBase(opening) => reshape(&mut opening.rows[0], how),
                InExtension(opening) => reshape(&mut opening.rows[0], how),
            },
            |p, _| std::mem::swap(&mut p.rounds[0].openings, &mut p.base_case.source_openings),
            |p, how| reshape(&mut p.base_case.fresh_mask_commitments, how),
            |p, how| reshape(&mut p.base_case.blinded_message, how),
            |p, how| reshape(&mut p.base_case.blinded_randomness, how),
            |p, how| reshape(&mut p.base_case.blinded_masks, how),
            |p, how| reshape(&mut p.base_case.blinded_masks[2].message, how),
            |p, how| reshape(&mut p.base_case.blinded_masks[2].randomness, how),
            |p, how| reshape(&mut p.base_case.fresh_main_openings.rows, how),
            |p, how| reshape(&mut p.base_case.fresh_main_openings.rows[1], how),
            |p, how| reshape(&mut p.base_case.fresh_main_openings.proof.1.sibling_hashes, how),
            |p, how| reshape(&mut p.base_case.mask_openings, how),
            |p, how| reshape(&mut p.base_case.mask_openings[1].carried.rows, how),
            |p, how| reshape(&mut p.base_case.mask_openings[1].fresh.rows[0], how),
            |p, how| reshape(&mut p.base_case.mask_openings[0].fresh.proof.1.sibling_hashes, how),
            |p, _| p.base_case.mask_openings.swap(0, 1),
            |p, _| p.base_case.masked_claim += Ext::ONE,
            |p, how| p.base_case.pow_witness += Base::from_usize(how + 1),
            |p, how| p.rounds[0].pow_witness += Base::from_usize(how + 1),
        ],
    );
}

#[test]
fn a_field_element_above_the_modulus_is_malformed() {
    let pcs = HidingWhir::new(10, 128).unwrap();
    let mut honest = opened(&pcs, 7);
    // The value leads the proof: one length byte, then three words.
    honest.proof[1..9].fill(0xff);
    assert_eq!(verify(&pcs, &honest), Err(PcsError::Malformed));
}

#[test]
fn two_hiding_commitments_to_one_polynomial_share_nothing() {
    let pcs = HidingWhir::new(10, 128).unwrap();
    let mut rng = ChaCha20Rng::from_seed([8; 32]);
    let (values, point) = (values(10, &mut rng), point(10, &mut rng));
    let mut open = || {
        let (commitment, committed) = pcs.commit(values.clone(), &mut rng).unwrap();
        let (value, proof) = pcs.open(committed, &point, &mut transcript(), &mut rng).unwrap();
        (commitment, value, proof)
    };
    let (first, second) = (open(), open());
    assert_ne!(first.0, second.0);
    assert_eq!(first.1, second.1);
    assert_ne!(first.2, second.2);
    let plain = Whir::new(10, 128).unwrap();
    let commit = |rng: &mut ChaCha20Rng| plain.commit(values.clone(), rng).unwrap().0;
    assert_eq!(commit(&mut rng), commit(&mut rng), "the plain scheme does not hide, and says so");
}

/// No opened row of a hiding proof is a row of the plain codeword: leaves mix in the encoding's randomness.
#[test]
fn a_hiding_opening_of_the_zero_polynomial_is_not_zero() {
    let pcs = HidingWhir::new(10, 128).unwrap();
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let (commitment, committed) = pcs.commit(vec![Base::ZERO; 1024], &mut rng).unwrap();
    let point = point(10, &mut rng);
    let (value, proof) = pcs.open(committed, &point, &mut transcript(), &mut rng).unwrap();
    assert_eq!(value, Ext::ZERO);
    assert_eq!(pcs.verify(&commitment, &point, value, &proof, &mut transcript()), Ok(()));
    let longest = proof.split(|&byte| byte != 0).map(<[u8]>::len).max();
    assert!(longest < Some(32), "a run of {longest:?} zero bytes");
}

#[test]
fn every_size_reaches_its_target() {
    for variables in MIN_VARIABLES..=MAX_VARIABLES {
        for bits in [80, 100, 128] {
            let plain = Whir::new(variables, bits).unwrap();
            let hiding = HidingWhir::new(variables, bits).unwrap();
            for security in [plain.security(), hiding.security()] {
                let sum: f64 = security.terms().iter().map(|&(_, bits)| (-bits).exp2()).sum();
                assert!((security.bits() + sum.log2()).abs() < 1e-9);
                assert!(security.bits() >= bits as f64, "{variables} variables: {security:?}");
                assert!(security.bits() < bits as f64 + 12.0, "{variables} variables: {security:?}");
                assert!(security.candidates() > 0.0 && security.candidates() < 24.0);
            }
        }
    }
}

#[test]
fn sizes_and_targets_out_of_range_are_named() {
    for got in [0, MIN_VARIABLES - 1, MAX_VARIABLES + 1, usize::MAX] {
        assert_eq!(Whir::new(got, 128).unwrap_err(), PcsError::Variables { got });
        assert_eq!(HidingWhir::new(got, 128).unwrap_err(), PcsError::Variables { got });
    }
    for bits in [190, 1 << 20, usize::MAX] {
        assert!(matches!(Whir::new(20, bits), Err(PcsError::Insecure { expected, .. }) if expected == bits));
        assert!(matches!(HidingWhir::new(20, bits), Err(PcsError::Insecure { expected, .. }) if expected == bits));
    }
    let pcs = Whir::new(7, 128).unwrap();
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let error = pcs.commit(vec![Base::ZERO; 127], &mut rng).unwrap_err();
    assert_eq!(error, PcsError::ValueCount { expected: 128, got: 127 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_polynomial_of_seven_to_nine_variables_opens(seed in any::<[u8; 32]>(), variables in 7_usize..10) {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let pcs = HidingWhir::new(variables, 100).unwrap();
        let (values, point) = (values(variables, &mut rng), point(variables, &mut rng));
        let (commitment, committed) = pcs.commit(values.clone(), &mut rng).unwrap();
        let (value, proof) = pcs.open(committed, &point, &mut transcript(), &mut rng).unwrap();
        prop_assert_eq!(value, evaluate(&values, &point));
        prop_assert_eq!(pcs.verify(&commitment, &point, value, &proof, &mut transcript()), Ok(()));
    }
}
