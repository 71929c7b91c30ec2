//! Known answers, properties, cheating provers, budgets and statistics.

mod view;

use p3_field::{BasedVectorSpace, Field, PrimeCharacteristicRing, PrimeField64, TwoAdicField};
use proptest::prelude::*;
use rand::RngExt;
use rand::rngs::StdRng;
use rand_core::SeedableRng;

use super::code::{Code, coordinates};
use super::commitment::Oracle;
use super::merkle::{Digest, Tree, leaf};
use super::prover::{Response, Term, finish, multiply};
use super::statement::{Challenges, Statement, pad_functional};
use super::*;
use crate::{Base, Ext, Transcript, from_signed};

fn transcript() -> Transcript {
    Transcript::new("ligero test", b"session", b"statement")
}

fn small() -> Parameters {
    Parameters::with_queries(64, 4, 2, 8, 0).unwrap()
}

fn base_vector(length: usize, rng: &mut StdRng) -> Vec<Base> {
    (0..length).map(|_| rng.random()).collect()
}

fn vector(length: usize, rng: &mut StdRng) -> Vec<Ext> {
    (0..length).map(|_| Ext::from_basis_coefficients_fn(|_| rng.random::<Base>())).collect()
}

fn inner(coefficients: &[Ext], message: &[Base]) -> Ext {
    coefficients.iter().zip(message).map(|(&c, &m)| c * m).sum()
}

/// A prover of one committed vector and some pads, before it has proven anything.
struct Case {
    parameters: Parameters,
    commitment: Commitment,
    committed: Committed,
    coefficients: Vec<Ext>,
    root: FreshCommitment,
    fresh: Fresh,
    pad_coefficients: Vec<Ext>,
    value: Ext,
}

impl Case {
    fn new(parameters: Parameters, length: usize, pads: usize, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let message = base_vector(length, &mut rng);
        let pads = vector(pads, &mut rng);
        let (coefficients, pad_coefficients) = (vector(length, &mut rng), vector(pads.len(), &mut rng));
        let padded: Ext = pads.iter().zip(&pad_coefficients).map(|(&pad, &d)| pad * d).sum();
        let value = inner(&coefficients, &message) + padded;
        let (commitment, committed) = Committed::commit(&parameters, &message, &mut rng).unwrap();
        let (root, fresh) = Fresh::commit(&parameters, &pads, &mut rng).unwrap();
        Self { parameters, commitment, committed, coefficients, root, fresh, pad_coefficients, value }
    }

    /// The proof, and what is needed to verify it.
    fn prove(mut self) -> Proven {
        let oracles = &mut [(&mut self.committed, self.coefficients.as_slice())];
        let proof = open(&self.parameters, oracles, self.fresh, &self.pad_coefficients, &mut transcript()).unwrap();
        Proven {
            parameters: self.parameters,
            commitment: self.commitment,
            coefficients: self.coefficients,
            root: self.root,
            pad_coefficients: self.pad_coefficients,
            value: self.value,
            proof,
        }
    }

    /// A prover who claims `value` and changes the tests' polynomials before the positions are drawn.
    fn cheat(self, value: Ext, tamper: impl FnOnce(&mut Response, Challenges)) -> Result<(), LigeroError> {
        let functional = pad_functional(&self.pad_coefficients);
        let term = |oracle, slots, coefficients| Term { oracle, slots, coefficients };
        let terms = [
            term(&self.committed.oracle, self.parameters.slots(), &self.coefficients),
            term(&self.fresh.oracle, self.parameters.fresh_slots(), &functional),
        ];
        let mut prover = transcript();
        let statement = Statement {
            parameters: &self.parameters,
            oracles: &[(&self.commitment, &self.coefficients)],
            fresh: &self.root,
            pad_coefficients: &self.pad_coefficients,
        };
        let challenges = statement.begin(value, &mut prover);
        let product = multiply(&self.parameters, &terms);
        let mut response = Response::new(&terms, &self.fresh, &product, challenges);
        tamper(&mut response, challenges);
        let proof = finish(&self.parameters, &terms, response, &mut prover);
        verify(
            &self.parameters,
            &[(&self.commitment, &self.coefficients)],
            &self.root,
            &self.pad_coefficients,
            value,
            &proof,
            &mut transcript(),
        )
    }
}

#[derive(Clone)]
struct Proven {
    parameters: Parameters,
    commitment: Commitment,
    coefficients: Vec<Ext>,
    root: FreshCommitment,
    pad_coefficients: Vec<Ext>,
    value: Ext,
    proof: LinearProof,
}

impl Proven {
    fn verify_in(&self, mut transcript: Transcript) -> Result<(), LigeroError> {
        verify(
            &self.parameters,
            &[(&self.commitment, &self.coefficients)],
            &self.root,
            &self.pad_coefficients,
            self.value,
            &self.proof,
            &mut transcript,
        )
    }

    fn verify(&self) -> Result<(), LigeroError> {
        self.verify_in(transcript())
    }

    /// Verifies with one thing changed.
    fn with(&self, change: impl FnOnce(&mut Self)) -> Result<(), LigeroError> {
        let mut changed = self.clone();
        change(&mut changed);
        changed.verify()
    }

    fn read(&self, bytes: &[u8]) -> Result<LinearProof, LigeroError> {
        let pads = self.pad_coefficients.len();
        LinearProof::from_bytes(&self.parameters, &[self.commitment.length()], pads, bytes)
    }
}

#[test]
fn a_functional_computed_by_hand_is_accepted_and_its_neighbours_are_not() {
    let mut rng = StdRng::seed_from_u64(1);
    let ext = |x: [i64; 3]| Ext::from_basis_coefficients_fn(|axis| from_signed(x[axis]));
    // (3, −5)·(1, 2X) + (7)·(X²) + (2 + X)·(4X) = 3 − 10X + 7X² + 8X + 4X² = 3 − 2X + 11X².
    let (c0, mut first) = Committed::commit(&small(), &[3, -5].map(from_signed), &mut rng).unwrap();
    let (c1, mut second) = Committed::commit(&small(), &[from_signed(7)], &mut rng).unwrap();
    let (root, fresh) = Fresh::commit(&small(), &[ext([2, 1, 0])], &mut rng).unwrap();
    let (for_first, for_second) = ([ext([1, 0, 0]), ext([0, 2, 0])], [ext([0, 0, 1])]);
    let pad_coefficients = [ext([0, 4, 0])];
    let oracles = &mut [(&mut first, for_first.as_slice()), (&mut second, for_second.as_slice())];
    let proof = open(&small(), oracles, fresh, &pad_coefficients, &mut transcript()).unwrap();
    let check = |value| {
        let oracles = [(&c0, for_first.as_slice()), (&c1, for_second.as_slice())];
        verify(&small(), &oracles, &root, &pad_coefficients, value, &proof, &mut transcript())
    };
    assert_eq!(check(ext([3, -2, 11])), Ok(()));
    assert_eq!(check(ext([4, -2, 11])), Err(LigeroError::Sum));
    assert_eq!(check(ext([3, -2, 12])), Err(LigeroError::Sum));
}

#[test]
fn a_coordinate_of_a_pad_weighs_a_power_of_the_generator() {
    let pad = Ext::from_basis_coefficients_fn(|axis| from_signed(axis as i64 + 5));
    let weight = Ext::from_basis_coefficients_fn(|axis| from_signed(3 - axis as i64));
    assert_eq!(inner(&pad_functional(&[weight]), &coordinates(pad)), pad * weight);
}

#[test]
fn an_opening_at_full_security_is_accepted_with_and_without_work() {
    for work_bits in [0, 8] {
        let parameters = Parameters::tuned(512, 4, 2, 128, work_bits).unwrap();
        let proven = Case::new(parameters, 3 * parameters.slots() + 1, 120, 2).prove();
        assert_eq!(proven.verify(), Ok(()));
        assert_eq!(proven.read(&proven.proof.to_bytes()).as_ref(), Ok(&proven.proof));
    }
}

#[test]
fn sizes_at_the_edge_of_a_row_are_accepted() {
    for (degree, rate, uses, queries) in [(4, 2, 1, 3), (4, 6, 3, 1), (8, 3, 1, 1), (16, 2, 3, 5), (256, 4, 1, 20)] {
        let parameters = Parameters::with_queries(degree, rate, uses, queries, 0).unwrap();
        let slots = parameters.slots();
        for length in [1, slots, slots + 1, 3 * slots] {
            for pads in [0, 1, parameters.fresh_slots() / 3 + 1] {
                let proven = Case::new(parameters, length, pads, 3).prove();
                assert_eq!(proven.verify(), Ok(()), "{parameters:?}, {length} entries, {pads} pads");
                assert_eq!(proven.read(&proven.proof.to_bytes()).as_ref(), Ok(&proven.proof));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn true_values_are_accepted_and_others_are_not(length in 1_usize..200, pads in 0_usize..50, seed: u64) {
        let proven = Case::new(small(), length, pads, seed).prove();
        prop_assert_eq!(proven.verify(), Ok(()));
        prop_assert_eq!(proven.with(|p| p.value += Ext::ONE), Err(LigeroError::Sum));
        let at = seed as usize % length;
        prop_assert_eq!(proven.with(|p| p.coefficients[at] += Ext::ONE), Err(LigeroError::Sum));
    }

    #[test]
    fn changed_bytes_are_never_a_proof_of_the_same_and_never_panic(at: prop::sample::Index, flip in 1_u8..=255, cut: bool) {
        let proven = Case::new(small(), 60, 5, 4).prove();
        let mut bytes = proven.proof.to_bytes();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= flip;
        }
        if let Ok(proof) = proven.read(&bytes) {
            prop_assert_eq!(proof.to_bytes(), bytes, "one encoding for each proof");
            prop_assert!(proven.with(|p| p.proof = proof).is_err());
        }
    }
}

#[test]
fn each_change_of_statement_or_proof_is_rejected_by_name() {
    // A long code, so that two of the few positions hardly ever fall together.
    let parameters = Parameters::with_queries(64, 6, 2, 8, 0).unwrap();
    let proven = Case::new(parameters, 150, 30, 5).prove();
    assert_eq!(proven.verify(), Ok(()));
    let path = |oracle| Err(LigeroError::Path { oracle });

    assert_eq!(proven.with(|p| p.proof.openings[0].columns[5] += Base::ONE), path(0));
    assert_eq!(proven.with(|p| p.proof.openings[1].columns[5] += Base::ONE), path(1));
    assert_eq!(proven.with(|p| p.proof.openings[0].salts[1][0] ^= 1), path(0));
    assert_eq!(proven.with(|p| p.proof.openings[1].path[3][31] ^= 1), path(1));
    assert_eq!(proven.with(|p| p.proof.openings[0].path.push([0; 32])), path(0));
    // Another polynomial asks for other positions than those opened.
    assert_eq!(proven.with(|p| p.proof.proximity[9] += Ext::ONE), path(0));
    assert_eq!(proven.with(|p| p.proof.linear[9] += Ext::ONE), path(0));

    assert_eq!(proven.with(|p| p.proof.linear[0] += Ext::ONE), Err(LigeroError::Sum));
    assert_eq!(proven.with(|p| p.proof.linear[64] += Ext::ONE), Err(LigeroError::Sum));
    assert_eq!(proven.with(|p| p.commitment.root[0] ^= 1), Err(LigeroError::Sum));
    assert_eq!(proven.with(|p| p.root.0[0] ^= 1), Err(LigeroError::Sum));
    assert_eq!(proven.with(|p| p.pad_coefficients[29] += Ext::ONE), Err(LigeroError::Sum));
    let other_parameters = Parameters::with_queries(64, 6, 2, 8, 1).unwrap();
    assert_eq!(proven.with(|p| p.parameters = other_parameters), Err(LigeroError::Sum));
    assert_eq!(proven.verify_in(Transcript::new("ligero test", b"session 2", b"statement")), Err(LigeroError::Sum));
    let mut later = transcript();
    later.absorb(Ext::ONE);
    assert_eq!(proven.verify_in(later), Err(LigeroError::Sum));

    assert_eq!(proven.with(|p| p.proof.work += Base::ONE), Err(LigeroError::Work));
    let shape = |what, expected, got| Err(LigeroError::Shape { what, expected, got });
    let fewer = proven.with(|p| {
        for opening in &mut p.proof.openings {
            let width = opening.columns.len() / opening.salts.len();
            opening.salts.pop();
            opening.columns.truncate(opening.columns.len() - width);
        }
    });
    assert_eq!(fewer, shape("opened columns", 8, 7));
    let narrower = proven.with(|p| p.proof.openings[0].columns.truncate(31));
    assert_eq!(narrower, shape("entries of opened columns", 32, 31));
    assert_eq!(proven.with(|p| p.proof.openings.truncate(1)), shape("opened oracles", 2, 1));
    assert_eq!(proven.with(|p| p.proof.proximity.push(Ext::ZERO)), shape("coefficients of the proximity test", 64, 65));
    assert_eq!(proven.with(|p| p.proof.linear.push(Ext::ZERO)), shape("coefficients of the linear test", 127, 128));
    let coefficients = Err(LigeroError::Coefficients { oracle: 0, expected: 150, got: 149 });
    assert_eq!(proven.with(|p| p.coefficients.truncate(149)), coefficients);
}

#[test]
fn bytes_that_are_too_few_too_many_or_not_canonical_are_refused() {
    let proven = Case::new(small(), 60, 5, 6).prove();
    let bytes = proven.proof.to_bytes();
    let length = bytes.len();
    for cut in [0, 1, 23, length - 1] {
        assert!(matches!(proven.read(&bytes[..cut]), Err(LigeroError::Bytes { got, .. }) if got == cut));
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(proven.read(&longer), Err(LigeroError::Bytes { expected: length, got: length + 1 }));
    let with = |at: usize, patch: &[u8]| {
        let mut changed = bytes.clone();
        changed[at..at + patch.len()].copy_from_slice(patch);
        proven.read(&changed)
    };
    let prime = Base::ORDER_U64.to_le_bytes();
    let work = 24 * (64 + 127);
    assert_eq!(with(8, &prime), Err(LigeroError::Encoding { what: "an extension element" }));
    assert_eq!(with(work, &prime), Err(LigeroError::Encoding { what: "a base element" }));
    assert_eq!(with(work + 8, &[9, 0, 0, 0]), Err(LigeroError::Encoding { what: "the number of positions" }));
    assert_eq!(with(work + 8, &[255; 4]), Err(LigeroError::Encoding { what: "the number of positions" }));

    let commitment = proven.commitment.to_bytes();
    assert_eq!(Commitment::from_bytes(&commitment), Ok(proven.commitment));
    assert_eq!(Commitment::from_bytes(&commitment[1..]), Err(LigeroError::Bytes { expected: 40, got: 39 }));
    let mut vast = commitment;
    vast[39] = 1;
    assert_eq!(Commitment::from_bytes(&vast), Err(LigeroError::Encoding { what: "the length of a committed vector" }));
}

#[test]
fn missing_work_is_rejected() {
    let parameters = Parameters::with_queries(64, 4, 1, 8, 12).unwrap();
    let proven = Case::new(parameters, 10, 0, 7).prove();
    assert_eq!(proven.verify(), Ok(()));
    assert_eq!(proven.with(|p| p.proof.work += Base::ONE), Err(LigeroError::Work));
}

/// Hashes changed columns again.
fn rehash(oracle: &mut Oracle) -> Digest {
    let columns = oracle.word.values.chunks_exact(oracle.word.width);
    let leaves: Vec<Digest> = oracle.salts.iter().zip(columns).map(|(salt, column)| leaf(salt, column)).collect();
    oracle.tree = Tree::new(&leaves);
    oracle.tree.root()
}

#[test]
fn polynomials_changed_before_the_positions_are_drawn_fail_their_own_test() {
    let case = || Case::new(small(), 150, 30, 8);
    let value = case().value;
    assert_eq!(case().cheat(value, |_, _| ()), Ok(()), "the cheating prover is honest without its change");
    let proximity = case().cheat(value, |response, _| response.proximity[3] += Ext::ONE);
    assert!(matches!(proximity, Err(LigeroError::Proximity { .. })));
    let linear = case().cheat(value, |response, _| response.linear[3] += Ext::ONE);
    assert!(matches!(linear, Err(LigeroError::Linear { .. })));
}

#[test]
fn a_false_value_is_not_repaired_by_the_polynomial_nor_by_a_mask_that_does_not_sum_to_zero() {
    let case = || Case::new(small(), 150, 30, 9);
    let false_value = case().value + Ext::ONE;
    assert_eq!(case().cheat(false_value, |_, _| ()), Err(LigeroError::Sum));
    let scale = Base::from_u64(64).inverse();
    let repaired = case().cheat(false_value, |response, challenges| response.linear[0] += challenges.linear * scale);
    assert!(matches!(repaired, Err(LigeroError::Linear { .. })));

    let unbalanced = || {
        let mut case = case();
        case.fresh.sum_mask[0] += scale;
        let width = case.fresh.oracle.word.width;
        for column in case.fresh.oracle.word.values.chunks_exact_mut(width) {
            column[width - 3] += scale;
        }
        case.root = FreshCommitment(rehash(&mut case.fresh.oracle));
        case
    };
    // Its sum of one is the difference of the values, but the challenge comes between.
    assert_eq!(unbalanced().cheat(false_value, |_, _| ()), Err(LigeroError::Sum));
    let value = unbalanced().value;
    assert_eq!(unbalanced().cheat(value, |_, _| ()), Err(LigeroError::Sum));
    let repaired = unbalanced().cheat(false_value, |response, challenges| {
        response.linear[0] += (challenges.linear - Ext::ONE) * scale;
    });
    assert!(matches!(repaired, Err(LigeroError::Linear { .. })));
}

#[test]
fn a_prover_who_opens_another_vector_than_committed_is_rejected() {
    let other = || Case::new(small(), 150, 30, 11);
    // The rows of another vector against the committed columns.
    let mut rows = Case::new(small(), 150, 30, 10);
    std::mem::swap(&mut rows.committed.oracle.coefficients, &mut other().committed.oracle.coefficients);
    let value = rows.value;
    assert!(matches!(rows.cheat(value, |_, _| ()), Err(LigeroError::Proximity { .. })));
    // Another vector altogether, under the first one's root.
    let mut all = Case::new(small(), 150, 30, 10);
    let mut replacement = other();
    std::mem::swap(&mut all.committed.oracle, &mut replacement.committed.oracle);
    let [was, is] = [&all, &replacement].map(|case| inner(&all.coefficients, case.committed.message()));
    let value = all.value - was + is;
    assert_eq!(all.cheat(value, |_, _| ()), Err(LigeroError::Path { oracle: 0 }));
}

#[test]
fn a_row_of_too_high_a_degree_is_rejected() {
    let mut case = Case::new(small(), 150, 30, 12);
    let code = Code::new(&case.parameters);
    let oracle = &mut case.committed.oracle;
    let width = oracle.word.width;
    for (position, column) in oracle.word.values.chunks_exact_mut(width).enumerate() {
        // Of degree 128, and zero where the linear test's product is computed, so that the value stays.
        column[0] += code.point(position).exp_u64(128) - code.point(0).exp_u64(128);
    }
    case.commitment.root = rehash(oracle);
    let value = case.value;
    assert!(matches!(case.cheat(value, |_, _| ()), Err(LigeroError::Proximity { .. })));
}

#[test]
fn the_opening_after_the_last_is_refused_and_refusals_cost_nothing() {
    let mut rng = StdRng::seed_from_u64(13);
    let (_, mut committed) = Committed::commit(&small(), &base_vector(100, &mut rng), &mut rng).unwrap();
    let coefficients = vector(100, &mut rng);
    let mut attempt = |committed: &mut Committed, parameters: &Parameters, coefficients: &[Ext], pads: &[Ext]| {
        let (_, fresh) = Fresh::commit(&small(), &[], &mut rng).unwrap();
        open(parameters, &mut [(committed, coefficients)], fresh, pads, &mut transcript()).map(|_| ())
    };
    let other = Parameters::with_queries(64, 4, 1, 8, 0).unwrap();
    let refused = attempt(&mut committed, &other, &coefficients, &[]);
    assert_eq!(refused, Err(LigeroError::OtherParameters { oracle: 0 }));
    let refused = attempt(&mut committed, &small(), &coefficients[1..], &[]);
    assert_eq!(refused, Err(LigeroError::Coefficients { oracle: 0, expected: 100, got: 99 }));
    let refused = attempt(&mut committed, &small(), &coefficients, &[Ext::ONE]);
    assert_eq!(refused, Err(LigeroError::Coefficients { oracle: 1, expected: 0, got: 1 }));
    assert_eq!(committed.uses_left(), 2);
    assert_eq!(attempt(&mut committed, &small(), &coefficients, &[]), Ok(()));
    assert_eq!(committed.uses_left(), 1);
    assert_eq!(attempt(&mut committed, &small(), &coefficients, &[]), Ok(()));
    let refused = attempt(&mut committed, &small(), &coefficients, &[]);
    assert_eq!(refused, Err(LigeroError::Spent { oracle: 0 }));
}

#[test]
fn empty_and_overlong_vectors_are_refused() {
    let mut rng = StdRng::seed_from_u64(14);
    let parameters = Parameters::with_queries(4, 2, 1, 3, 0).unwrap();
    let most = parameters.max_length();
    let refused = |length: usize, rng: &mut StdRng| {
        Committed::commit(&parameters, &vec![Base::ONE; length], rng).map(|_| ()).unwrap_err()
    };
    assert_eq!(refused(0, &mut rng), LigeroError::Length { got: 0, most });
    assert_eq!(refused(most + 1, &mut rng), LigeroError::Length { got: most + 1, most });
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let case = Case::new(small(), 3, 2, 15);
    let shown = format!("{:?} {:?}", case.committed, case.fresh);
    assert_eq!(shown.matches("Secret(").count(), 2);
    for secret in case.committed.message() {
        assert!(!shown.contains(&secret.to_string()));
    }
}

#[test]
fn the_linear_mask_sums_to_zero_over_the_message_points() {
    let case = Case::new(small(), 3, 2, 16);
    let sum: Ext = Base::two_adic_generator(6)
        .powers()
        .take(64)
        .map(|point| case.fresh.sum_mask.iter().rev().fold(Ext::ZERO, |sum, &c| sum * point + c))
        .sum();
    assert_eq!(sum, Ext::ZERO);
    assert_eq!(case.fresh.sum_mask.len(), 127);
    assert_ne!(case.fresh.sum_mask[126], Ext::ZERO);
}

/// `Σ (count − expected)²/expected` over sixteen cells.
fn chi_square(cells: &[u32; 16]) -> f64 {
    let expected = f64::from(cells.iter().sum::<u32>()) / 16.0;
    cells.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum()
}

#[test]
fn opened_columns_of_a_fixed_vector_look_uniform_and_do_not_tell_two_vectors_apart() {
    const RUNS: usize = 4000;
    let parameters = Parameters::with_queries(16, 2, 2, 3, 0).unwrap();
    let mut rng = StdRng::seed_from_u64(17);
    let mut means = [0.0; 2];
    for (mean, entry) in means.iter_mut().zip([0, 1 << 40]) {
        let message = [from_signed(entry); 12];
        let (mut single, mut joint) = ([0; 16], [0; 16]);
        for _ in 0..RUNS {
            let (_, committed) = Committed::commit(&parameters, &message, &mut rng).unwrap();
            let at = |position: usize, row: usize| committed.oracle.word.values[2 * position + row].as_canonical_u64();
            single[at(5, 0) as usize % 16] += 1;
            joint[(at(5, 1) % 4 * 4 + at(40, 1) % 4) as usize] += 1;
            *mean += at(5, 0) as f64 / Base::ORDER_U64 as f64 / RUNS as f64;
        }
        // Fifteen degrees of freedom: exceeded with probability 10⁻⁵.
        assert!(chi_square(&single) < 50.0, "{single:?}");
        assert!(chi_square(&joint) < 50.0, "{joint:?}");
    }
    // Four standard deviations of the difference of two means of uniform variables.
    assert!((means[0] - means[1]).abs() < 4.0 * (1.0 / 6.0 / RUNS as f64).sqrt(), "{means:?}");
}
