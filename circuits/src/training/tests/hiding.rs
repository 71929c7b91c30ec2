//! Real proofs of two witnesses against a simulator's uniform words: what a masked proof says in the clear must look
//! uniform, word by word, and tell the two apart neither by a mean nor by a direction learned from half of the proofs.
//!
//! Looked at are the messages, both polynomials of the linear proof, and its first opened entries. The opening of the
//! committed vector has tests of its own where it is made.

use nexus_zk::Base;
use p3_field::PrimeField64;
use rand_core::Rng;

use super::forged::{SESSION, statement};
use super::{Case, Integers, Proof, Spec, TransparentProof, rng};
use crate::training::DataCommitment;

/// Proofs of each kind; even.
const PROOFS: usize = 128;

/// Two runs of one statement's size, as different as their data and start models can make them.
fn witnesses() -> [Case; 2] {
    let spec = Spec { shape: "2-2", batch: 1, steps: 1, ..Spec::default() };
    [Spec { data: 0, start: 0, ..spec }, Spec { data: 255, start: 3_999_999, ..spec }].map(Spec::case)
}

/// The words of a proof at places that depend on the statement alone.
fn words(bytes: &[u8]) -> Vec<u64> {
    let count = |at: usize| u32::from_le_bytes(bytes[at..][..4].try_into().unwrap()) as usize;
    let messages = &bytes[76..][..24 * count(72)];
    let opening = 76 + messages.len();
    let linear = opening + 4 + count(opening) + 4;
    // K and 2K − 1 coefficients with K = 512, work and a count of positions, then the columns of the data.
    let polynomials = &bytes[linear..][..24 * (3 * 512 - 1)];
    let columns = &bytes[linear + polynomials.len() + 12..][..8 * 32];
    let all = [messages, polynomials, columns].concat();
    all.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

/// The words of many proofs of one case, one row a proof.
fn proofs(case: &Case, masked: bool, count: usize, seed: u8) -> Vec<Vec<u64>> {
    let mut rng = rng(seed);
    let one = |_| {
        let (data, mut secret, _) = DataCommitment::new(case.examples(), 1, SESSION, &mut rng).unwrap();
        let statement = statement(case, Spec::default().seed, data, 0);
        let (secret, examples) = (&mut secret, case.examples());
        words(&if masked {
            Proof::new(&statement, secret, examples, Integers, SESSION, &mut rng).unwrap().0.to_bytes()
        } else {
            TransparentProof::new(&statement, secret, examples, Integers, SESSION, &mut rng).unwrap().0.to_bytes()
        })
    };
    (0..count).map(one).collect()
}

/// What the simulator says in their place.
fn simulated(words: usize, count: usize) -> Vec<Vec<u64>> {
    let mut rng = rng(99);
    let word = |rng: &mut rand_chacha::ChaCha20Rng| loop {
        let word = rng.next_u64();
        if word < Base::ORDER_U64 {
            return word;
        }
    };
    (0..count).map(|_| (0..words).map(|_| word(&mut rng)).collect()).collect()
}

/// The greatest chi-square of any word's low, and of its high, four bits (15 degrees of freedom), and how many standard
/// deviations all of them together lie above their mean.
fn uniformity(rows: &[Vec<u64>]) -> (f64, f64) {
    let (mut greatest, mut sum, mut cells) = (0.0, 0.0, 0.0);
    for place in 0..rows[0].len() {
        for shift in [0, 60] {
            let mut counts = [0.0; 16];
            for row in rows {
                counts[(row[place] >> shift & 15) as usize] += 1.0;
            }
            let expected = rows.len() as f64 / 16.0;
            let chi: f64 = counts.iter().map(|count| (count - expected) * (count - expected) / expected).sum();
            greatest = f64::max(greatest, chi);
            sum += chi;
            cells += 1.0;
        }
    }
    (greatest, (sum - 15.0 * cells) / (30.0 * cells).sqrt())
}

fn mean(rows: &[Vec<u64>], place: usize) -> f64 {
    rows.iter().map(|row| row[place] as f64 / 2f64.powi(64) - 0.5).sum::<f64>() / rows.len() as f64
}

/// The greatest difference of two means of a word, in standard deviations, and how well a direction learned from the
/// first half of both tells the second halves apart.
fn distinguished(left: &[Vec<u64>], right: &[Vec<u64>]) -> (f64, f64) {
    let places = left[0].len();
    let difference = |a: &[Vec<u64>], b: &[Vec<u64>]| -> Vec<f64> {
        // A uniform word has variance 1/12; the difference of two means of n has 1/6n.
        let scale = (6.0 * a.len() as f64).sqrt();
        (0..places).map(|place| (mean(a, place) - mean(b, place)) * scale).collect()
    };
    let greatest = difference(left, right).into_iter().fold(0.0, |most, z| f64::max(most, z.abs()));
    let half = left.len() / 2;
    let (learned, seen) = (difference(&left[..half], &right[..half]), difference(&left[half..], &right[half..]));
    let norm = learned.iter().map(|z| z * z).sum::<f64>().sqrt();
    (greatest, learned.iter().zip(seen).map(|(a, b)| a * b).sum::<f64>() / norm)
}

#[test]
fn masked_proofs_of_two_witnesses_are_told_neither_from_each_other_nor_from_simulated_ones() {
    let [left, right] = witnesses().each_ref().map(|case| proofs(case, true, PROOFS, case.inputs[1]));
    let simulated = simulated(left[0].len(), PROOFS);
    assert_eq!(left[0].len(), right[0].len(), "one size of statement");
    for (who, rows) in [("left", &left), ("right", &right), ("simulated", &simulated)] {
        let (greatest, all) = uniformity(rows);
        println!("{who}: chi-square {greatest:.1}, together {all:.2}");
        // Of 10^4 values with 15 degrees of freedom one is above 80 with probability below 10^-6.
        assert!(greatest < 80.0 && all.abs() < 6.0, "{who}: chi-square {greatest:.1}, together {all:.2}");
    }
    for (who, [a, b]) in [
        ("each other", [&left, &right]),
        ("left, simulated", [&left, &simulated]),
        ("right, simulated", [&right, &simulated]),
    ] {
        let (greatest, direction) = distinguished(a, b);
        println!("{who}: mean {greatest:.2}, direction {direction:.2}");
        assert!(greatest < 6.5 && direction.abs() < 6.0, "{who}: mean {greatest:.2}, direction {direction:.2}");
    }
}

#[test]
fn transparent_proofs_fail_the_same_tests() {
    let [left, right] = witnesses().each_ref().map(|case| proofs(case, false, 32, 7));
    let (greatest, all) = uniformity(&left);
    let (difference, direction) = distinguished(&left, &right);
    println!("chi-square {greatest:.1}, together {all:.1}, mean {difference:.1}, direction {direction:.1}");
    assert!(greatest > 80.0 && all > 6.0, "chi-square {greatest:.1}, together {all:.1}");
    assert!(difference > 6.5 && direction > 6.0, "mean {difference:.1}, direction {direction:.1}");
}
