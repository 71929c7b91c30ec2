//! Whole rounds, and what goes wrong in them.

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::field::{add, from_signed, multiply, subtract};
use super::*;
use crate::FheError;

const BINDING: RoundBinding = RoundBinding { session: [1; 32], round: 7, model: [2; 32], config: [3; 32] };

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn round(clients: u32, bound: u64, length: usize, entries: u32) -> KaheRound {
    KaheRound::new(KaheParams::new(clients, bound, length, entries).unwrap(), &BINDING)
}

fn random_vector(params: &KaheParams, rng: &mut ChaCha20Rng) -> Vec<i64> {
    let width = 2 * u128::from(params.bound()) + 1;
    (0..params.length()).map(|_| (u128::from(rng.next_u64()) % width) as i64 - params.bound() as i64).collect()
}

/// Masks for `masked`, adds for `summed`, and the sum of the keys.
fn contribute(masked: &KaheRound, sum: &mut MaskedSum, vectors: &[Vec<i64>], seed: u64) -> Vec<u64> {
    let mut keys = vec![0; DEGREE];
    for (client, vector) in vectors.iter().enumerate() {
        let key = MaskKey::generate(masked, &mut rng(seed + client as u64));
        keys.iter_mut().zip(key.coefficients()).for_each(|(sum, s)| *sum = add(*sum, *s));
        sum.add(&key.mask(vector).unwrap()).unwrap();
    }
    keys
}

fn open(round: &KaheRound, vectors: &[Vec<i64>], seed: u64) -> Result<Vec<i64>, FheError> {
    let mut sum = MaskedSum::new(round);
    let keys = contribute(round, &mut sum, vectors, seed);
    sum.open(&KeySum::new(round, vectors.len() as u32, keys)?)
}

fn added(vectors: &[Vec<i64>]) -> Vec<i64> {
    (0..vectors[0].len()).map(|i| vectors.iter().map(|vector| vector[i]).sum()).collect()
}

/// The bytes of fixed seeds: what every machine, with threads and without, sends.
#[test]
fn masked_bytes_are_known() {
    let round = round(100, 32_767, 20_001, 2);
    let vector = random_vector(round.params(), &mut rng(1));
    let bytes = |key: MaskKey| key.mask(&vector).unwrap().into_bytes();
    let expected = bytes(MaskKey::generate(&round, &mut rng(2)));
    assert_eq!(expected.len(), 32 + 8 * 10_001);
    assert_eq!(
        blake3::hash(&expected).to_hex().as_str(),
        "3dc6ce6aed836518e494f42ce51536f02c8ed18e1c187294c23a23202a44a7bf"
    );
    #[cfg(feature = "parallel")]
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| bytes(MaskKey::generate(&round, &mut rng(2)))) == expected);
    }
}

/// y − a·s, computed from the definition of the ring, is T·e + m with |e| ≤ 40.
#[test]
fn a_masked_update_satisfies_its_relation() {
    let round = round(5, 1000, 9, 3);
    let params = round.params();
    let vector = random_vector(params, &mut rng(3));
    let key = MaskKey::generate(&round, &mut rng(4));
    let secret = key.coefficients().to_vec();
    let update = key.mask(&vector).unwrap();
    let public = round.public_polynomial(0);
    for (i, bytes) in update.residues().as_chunks::<8>().0.iter().enumerate() {
        let product = (0..DEGREE).fold(0, |sum, j| {
            let term = multiply(secret[j], public[(i + DEGREE - j) % DEGREE]);
            if j <= i { add(sum, term) } else { subtract(sum, term) }
        });
        let rest = subtract(u64::from_le_bytes(*bytes), product);
        let message = (0..3).map(|j| vector[i + 3 * j] * (params.radix() as i64).pow(j as u32)).sum::<i64>();
        let noise = (-40..=40).find(|e| from_signed(params.scale() as i64 * e + message) == rest);
        assert!(noise.is_some(), "coefficient {i}");
    }
}

/// Every client at the bound with the largest bound allowed, for each number of entries a coefficient.
#[test]
fn the_worst_case_at_the_largest_bound_is_exact() {
    for clients in [2, 9] {
        for entries in 1..=8 {
            let bound = KaheParams::largest_bound(clients, entries);
            let round = round(clients, bound, 8 * 50 + 3, entries);
            for sign in [1, -1] {
                let extreme = vec![sign * bound as i64; 8 * 50 + 3];
                let mut alternating = extreme.clone();
                alternating.iter_mut().step_by(2).for_each(|entry| *entry = -*entry);
                for vector in [extreme, alternating] {
                    let vectors = vec![vector; clients as usize];
                    assert_eq!(open(&round, &vectors, 5).unwrap(), added(&vectors));
                }
            }
        }
    }
}

/// Opens a sum of three coefficients of two entries, under the key zero: the first with so much noise, the others without,
/// all with the digits `entry`. More than one coefficient with extreme noise would be refused for its spread.
fn open_noise(round: &KaheRound, noise: i128, entry: i128) -> Result<Vec<i64>, FheError> {
    let params = round.params();
    let residues = [noise, 0, 0].map(|noise| {
        let whole = i128::from(params.scale()) * noise + entry + i128::from(params.radix()) * entry;
        whole.rem_euclid(i128::from(MODULUS)) as u64
    });
    let mut sum = MaskedSum::new(round);
    for residues in [residues, [0; 3]] {
        let bytes = [round.digest().as_slice(), &residues.map(u64::to_le_bytes).concat()].concat();
        sum.add(&MaskedUpdate::from_bytes(round, bytes)?)?;
    }
    sum.open(&KeySum::new(round, 2, vec![0; DEGREE])?)
}

#[test]
fn the_largest_noise_is_decoded_exactly() {
    let bound = KaheParams::largest_bound(2, 2);
    let round = round(2, bound, 6, 2);
    let most = 2 * i128::from(bound);
    for noise in [-80, 80] {
        for entry in [-most, 0, most] {
            assert_eq!(open_noise(&round, noise, entry), Ok(vec![entry as i64; 6]), "noise {noise}, entry {entry}");
        }
    }
}

#[test]
fn more_noise_than_the_contributors_can_have_is_refused() {
    let round = round(2, KaheParams::largest_bound(2, 2) / 2, 6, 2);
    for noise in [-81, 81] {
        assert_eq!(open_noise(&round, noise, 0), Err(FheError::MasksDoNotCancel { polynomial: 0 }));
    }
}

#[test]
fn an_entry_beyond_the_bound_is_named() {
    let round = round(3, 100, 10_000, 2);
    for value in [101, -101, i64::MAX, i64::MIN] {
        let mut vector = vec![100; 10_000];
        vector[9_001] = value;
        vector[9_002] = value;
        let refused = MaskKey::generate(&round, &mut rng(6)).mask(&vector).unwrap_err();
        assert_eq!(refused, FheError::EntryOutOfRange { index: 9_001, value, bound: 100 });
    }
}

#[test]
fn the_bound_check_is_exact_for_the_largest_bounds() {
    let bound = KaheParams::largest_bound(2, 1);
    let round = round(2, bound, 2, 1);
    for (value, accepted) in [(bound as i64, true), (bound as i64 + 1, false), (-(bound as i64) - 1, false)] {
        assert_eq!(MaskKey::generate(&round, &mut rng(6)).mask(&[value, 0]).is_ok(), accepted);
    }
}

#[test]
fn a_vector_of_another_length_is_refused() {
    let refused = MaskKey::generate(&round(3, 100, 10, 2), &mut rng(6)).mask(&[0; 11]).unwrap_err();
    assert_eq!(refused, FheError::VectorLength { expected: 10, got: 11 });
}

#[test]
fn an_update_that_says_another_round_is_refused() {
    let here = round(3, 100, 10, 2);
    let there = KaheRound::new(*here.params(), &RoundBinding { model: [9; 32], ..BINDING });
    let update = MaskKey::generate(&there, &mut rng(6)).mask(&[0; 10]).unwrap();
    let expected = FheError::OtherRound { what: "the masked update", expected: *here.digest(), got: *there.digest() };
    assert_eq!(MaskedSum::new(&here).add(&update).unwrap_err(), expected);
    assert_eq!(MaskedUpdate::from_bytes(&here, update.into_bytes()).unwrap_err(), expected);
    let keys = KeySum::new(&there, 2, vec![0; DEGREE]).unwrap();
    let error = MaskedSum::new(&here).open(&keys).unwrap_err();
    assert!(matches!(error, FheError::OtherRound { what: "the sum of keys", .. }));
}

/// The label can be forged, the masks cannot: one of several clients was shown another model.
#[test]
fn masks_for_another_session_round_model_or_configuration_do_not_cancel() {
    for clients in [2, 40] {
        let here = round(clients, 100, DEGREE, 1);
        for elsewhere in [
            RoundBinding { session: [9; 32], ..BINDING },
            RoundBinding { round: 8, ..BINDING },
            RoundBinding { model: [9; 32], ..BINDING },
            RoundBinding { config: [9; 32], ..BINDING },
        ] {
            let mut sum = MaskedSum::new(&here);
            let mut keys = contribute(&here, &mut sum, &vec![vec![1; DEGREE]; clients as usize - 1], 10);
            let key = MaskKey::generate(&KaheRound::new(*here.params(), &elsewhere), &mut rng(9));
            keys.iter_mut().zip(key.coefficients()).for_each(|(sum, s)| *sum = add(*sum, *s));
            let mut bytes = key.mask(&vec![1; DEGREE]).unwrap().into_bytes();
            bytes[..32].copy_from_slice(here.digest());
            sum.add(&MaskedUpdate::from_bytes(&here, bytes).unwrap()).unwrap();
            let opened = sum.open(&KeySum::new(&here, clients, keys).unwrap());
            assert_eq!(opened, Err(FheError::MasksDoNotCancel { polynomial: 0 }));
        }
    }
}

/// With parameters that fill the modulus no residue is out of reach of the noise: only its spread tells.
#[test]
fn a_wrong_key_is_found_even_where_the_parameters_leave_no_slack() {
    let clients = 2;
    let round = round(clients, KaheParams::largest_bound(clients, 1), 2 * DEGREE, 1);
    let vectors = vec![vec![5; 2 * DEGREE]; 2];
    let mut sum = MaskedSum::new(&round);
    let mut keys = contribute(&round, &mut sum, &vectors, 11);
    assert!(sum.open(&KeySum::new(&round, 2, keys.clone()).unwrap()).is_ok());
    keys[4095] ^= 1;
    let wrong = sum.open(&KeySum::new(&round, 2, keys).unwrap());
    assert_eq!(wrong, Err(FheError::MasksDoNotCancel { polynomial: 0 }));
}

#[test]
fn a_sum_of_more_contributors_than_the_parameters_name_is_refused() {
    let round = round(2, 100, 10, 2);
    let mut sum = MaskedSum::new(&round);
    contribute(&round, &mut sum, &[vec![1; 10], vec![2; 10]], 12);
    let (before, third) = (sum.clone(), MaskKey::generate(&round, &mut rng(15)).mask(&[3; 10]).unwrap());
    assert_eq!(sum.add(&third), Err(FheError::Contributors { got: 3, least: 2, most: 2 }));
    assert_eq!(sum, before);
    let too_many = KeySum::new(&round, 3, vec![0; DEGREE]).unwrap_err();
    assert_eq!(too_many, FheError::Contributors { got: 3, least: 2, most: 2 });
}

#[test]
fn a_sum_of_one_is_not_opened() {
    let round = round(2, 100, 10, 2);
    let mut sum = MaskedSum::new(&round);
    let keys = contribute(&round, &mut sum, &[vec![1; 10]], 12);
    assert_eq!(KeySum::new(&round, 1, keys).unwrap_err(), FheError::Contributors { got: 1, least: 2, most: 2 });
    let keys = KeySum::new(&round, 2, vec![0; DEGREE]).unwrap();
    assert_eq!(sum.open(&keys), Err(FheError::ContributorsDisagree { summed: 1, keys: 2 }));
}

#[test]
fn keys_of_other_contributors_than_the_sum_are_refused_by_count_or_do_not_cancel() {
    let round = round(4, 100, 5000, 1);
    let mut sum = MaskedSum::new(&round);
    let keys = contribute(&round, &mut sum, &vec![vec![1; 5000]; 3], 12);
    let fewer = KeySum::new(&round, 2, keys).unwrap();
    assert_eq!(sum.open(&fewer), Err(FheError::ContributorsDisagree { summed: 3, keys: 2 }));
    let others = contribute(&round, &mut MaskedSum::new(&round), &vec![vec![1; 5000]; 3], 13);
    let others = KeySum::new(&round, 3, others).unwrap();
    assert_eq!(sum.open(&others), Err(FheError::MasksDoNotCancel { polynomial: 0 }));
}

#[test]
fn coefficients_that_are_no_sum_of_keys_are_refused() {
    let round = round(3, 100, 10, 2);
    let refused = |coefficients| KeySum::new(&round, 2, coefficients).unwrap_err();
    let what = "coefficients of a sum of keys";
    assert_eq!(refused(vec![0; 4095]), FheError::MaskLength { what, expected: 4096, got: 4095 });
    let mut coefficients = vec![MODULUS - 1; DEGREE];
    coefficients[17] = MODULUS;
    assert_eq!(refused(coefficients), FheError::MaskResidue { what: "a sum of keys", index: 17, got: MODULUS });
}

/// A client that puts more than its bound under a correct mask.
#[test]
fn a_sum_beyond_what_the_contributors_can_reach_is_refused() {
    let wide = round(9, 100, 10_000, 1);
    let mut sum = MaskedSum::new(&wide);
    let mut keys = contribute(&wide, &mut sum, &[vec![100; 10_000]], 12);
    let key = MaskKey::generate(&wide, &mut rng(20));
    keys.iter_mut().zip(key.coefficients()).for_each(|(sum, s)| *sum = add(*sum, *s));
    let mut bytes = key.mask(&vec![100; 10_000]).unwrap().into_bytes();
    let at = 32 + 8 * 5000;
    let residue = u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    bytes[at..at + 8].copy_from_slice(&add(residue, 1).to_le_bytes());
    sum.add(&MaskedUpdate::from_bytes(&wide, bytes).unwrap()).unwrap();
    let opened = sum.open(&KeySum::new(&wide, 2, keys).unwrap());
    assert_eq!(opened, Err(FheError::SumOutOfRange { index: 5000, got: 201, most: 200 }));
}

#[test]
fn a_residue_not_below_the_modulus_is_named() {
    let round = round(3, 100, 10, 2);
    let bytes = MaskKey::generate(&round, &mut rng(6)).mask(&[0; 10]).unwrap().into_bytes();
    for (value, accepted) in [(MODULUS - 1, true), (MODULUS, false), (u64::MAX, false)] {
        let mut bytes = bytes.clone();
        bytes[32 + 16..32 + 24].copy_from_slice(&value.to_le_bytes());
        let refused = FheError::MaskResidue { what: "a masked update", index: 2, got: value };
        assert_eq!(MaskedUpdate::from_bytes(&round, bytes).err(), (!accepted).then_some(refused));
    }
}

#[test]
fn truncated_and_extended_bytes_are_refused() {
    let round = round(3, 100, 10, 2);
    let bytes = MaskKey::generate(&round, &mut rng(6)).mask(&[0; 10]).unwrap().into_bytes();
    for length in [0, 31, 32, 71, 73, 1000] {
        let mut bytes = bytes.clone();
        bytes.resize(length, 0);
        let what = "bytes of a masked update";
        let refused = MaskedUpdate::from_bytes(&round, bytes).unwrap_err();
        assert_eq!(refused, FheError::MaskLength { what, expected: 72, got: length });
    }
}

#[test]
fn secrets_are_not_printed() {
    let key = MaskKey::generate(&round(3, 100, 10, 2), &mut rng(6));
    assert_eq!(format!("{key:?}"), "Secret(..)");
}

#[test]
fn a_second_key_of_a_generator_is_another() {
    let round = round(3, 100, 10, 2);
    let mut rng = rng(6);
    let (first, second) = (MaskKey::generate(&round, &mut rng), MaskKey::generate(&round, &mut rng));
    assert!(first.coefficients().iter().zip(second.coefficients()).all(|(a, b)| a != b));
    assert_ne!(first.mask(&[0; 10]).unwrap(), second.mask(&[0; 10]).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sums_are_exact(clients in 2_u32..12, absent in 0_u32..10, entries in 1_u32..=8, length in 1_usize..20_000, part: u64, seed in 0..1_u64 << 40) {
        let largest = KaheParams::largest_bound(clients, entries);
        let round = round(clients, 1 + part % largest, length, entries);
        let mut rng = rng(seed);
        let contributors = (clients.saturating_sub(absent)).max(2);
        let vectors: Vec<_> = (0..contributors).map(|_| random_vector(round.params(), &mut rng)).collect();
        prop_assert_eq!(open(&round, &vectors, seed).unwrap(), added(&vectors));
    }

    #[test]
    fn updates_survive_their_bytes_and_mutated_ones_never_panic(length in 1_usize..200, at: prop::sample::Index, value: u8) {
        let round = round(3, 100, length, 2);
        let update = MaskKey::generate(&round, &mut rng(1)).mask(&vec![1; length]).unwrap();
        let mut bytes = update.as_bytes().to_vec();
        prop_assert_eq!(MaskedUpdate::from_bytes(&round, bytes.clone()).unwrap(), update);
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(read) = MaskedUpdate::from_bytes(&round, bytes.clone()) {
            prop_assert_eq!(read.into_bytes(), bytes);
        }
    }
}
