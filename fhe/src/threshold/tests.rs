use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;
use crate::noise::NoiseBound;
use crate::ring::sample::{Noise, uniform};
use crate::ring::{Automorphism, Coeff, Ntt, Poly};
use crate::rlwe::{Ciphertext, Digits, GaloisKeys, PublicKey, RelinearisationKey, SecretKey, lower};
use crate::{FheError, Parameters};

const DEGREE: usize = 1 << 9;
/// Messages are multiples of this.
const SCALE: i128 = 1 << 75;

fn parameters() -> Parameters {
    Parameters::insecure(DEGREE, &[50, 49, 40, 45, 50], &[50, 50]).unwrap()
}

fn ids(parties: usize) -> Vec<PartyId> {
    (0..parties).map(|i| PartyId(100 + 7 * i as u32)).collect()
}

fn session(parties: usize, threshold: usize) -> Session {
    Session::new(&parameters(), SessionId([1; 32]), &ids(parties), threshold, Seed([2; 32])).unwrap()
}

fn seed(id: PartyId) -> PartySeed {
    PartySeed::from_bytes([id.0 as u8; 32])
}

fn parties(session: &Session) -> Vec<Party> {
    session.parties().iter().map(|&id| Party::new(session, id, &seed(id)).unwrap()).collect()
}

/// The secret that nobody has.
fn whole(parties: &[Party]) -> SecretKey {
    let session = parties[0].session();
    let mut sum = parties[0].secret().clone();
    parties[1..].iter().for_each(|party| sum.add_assign(party.secret()));
    SecretKey::from_value(session.parameters(), session.key(), sum, session.deviation())
}

fn public_key(parties: &[Party]) -> PublicKey {
    let shares: Vec<KeyShare> = parties.iter().map(Party::public_key_share).collect();
    parties[0].session().public_key(&shares).unwrap()
}

fn decryptors(parties: &[Party]) -> Vec<Decryptor> {
    let session = parties[0].session();
    if session.threshold() == session.parties().len() {
        return parties.iter().map(|party| party.decryptor().unwrap()).collect();
    }
    let mut dealt: Vec<Vec<SecretShare>> = parties.iter().map(|party| party.deal().unwrap()).collect();
    parties
        .iter()
        .map(|party| {
            let own: Vec<SecretShare> = dealt.iter_mut().map(|shares| shares.remove(0)).collect();
            party.decryptor_from_shares(&own).unwrap()
        })
        .collect()
}

fn message(parameters: &Parameters, level: usize, values: &[i64]) -> Poly<Coeff> {
    let mut poly = Poly::from_signed(parameters.ciphertext_basis(), level, values);
    poly.mul_integer(1 << 37);
    poly.mul_integer(1 << 38);
    poly
}

fn values(rng: &mut ChaCha20Rng) -> Vec<i64> {
    (0..DEGREE).map(|_| (rng.next_u64() % 2001) as i64 - 1000).collect()
}

/// The coefficients of a polynomial, none above half of the first two primes, from its first two limbs; the other limbs
/// are checked to be of the same integers.
fn lift(poly: &Poly<Coeff>) -> Vec<i128> {
    let moduli: Vec<_> = poly.basis().moduli().take(poly.limbs()).collect();
    let (q, r) = (moduli[0], moduli[1]);
    let product = i128::from(q.value()) * i128::from(r.value());
    let inverse = r.inverse(r.reduce(q.value()));
    (0..DEGREE)
        .map(|i| {
            let (a, b) = (poly.limb(0)[i], poly.limb(1)[i]);
            let value = i128::from(a) + i128::from(q.value()) * i128::from(r.mul(r.sub(b, r.reduce(a)), inverse));
            let value = if value > product / 2 { value - product } else { value };
            for (limb, modulus) in moduli.iter().enumerate() {
                assert_eq!(value.rem_euclid(i128::from(modulus.value())) as u64, poly.limb(limb)[i], "limb {limb}");
            }
            value
        })
        .collect()
}

/// `log2` of the canonical norm: of the largest absolute value at a root of `X^N + 1`.
fn log2_norm(values: &[i128]) -> f64 {
    let angle = std::f64::consts::PI / DEGREE as f64;
    let circle: Vec<(f64, f64)> = (0..2 * DEGREE).map(|i| (angle * i as f64).sin_cos()).collect();
    let at_root = |root: usize| {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (i, &value) in values.iter().enumerate() {
            let (sin, cos) = circle[(2 * root + 1) * i % (2 * DEGREE)];
            real += value as f64 * cos;
            imaginary += value as f64 * sin;
        }
        real.hypot(imaginary)
    };
    (0..DEGREE / 2).map(at_root).fold(0.0, f64::max).log2()
}

/// The message of an opening and `log2` of its noise.
fn decode(phase: &Poly<Coeff>) -> (Vec<i64>, f64) {
    let lifted = lift(phase);
    let rounded: Vec<i128> = lifted.iter().map(|value| (value + SCALE / 2).div_euclid(SCALE)).collect();
    let noise: Vec<i128> = lifted.iter().zip(&rounded).map(|(value, message)| value - message * SCALE).collect();
    (rounded.iter().map(|&value| value as i64).collect(), log2_norm(&noise))
}

/// Everybody agrees and answers.
fn answer(request: &Request, decryptors: &[Decryptor]) -> Vec<DecryptionShare> {
    let ledger = MemoryLedger::new();
    decryptors
        .iter()
        .filter(|decryptor| request.active().contains(&decryptor.party()))
        .map(|decryptor| decryptor.share(request, request.digest(), &ledger).unwrap())
        .collect()
}

fn encrypt(public: &PublicKey, level: usize, rng: &mut ChaCha20Rng) -> (Vec<i64>, Ciphertext, NoiseBound) {
    let values = values(rng);
    let (ciphertext, noise) = public.encrypt(message(public.parameters(), level, &values), rng);
    (values, ciphertext, noise)
}

fn request(session: &Session, rng: &mut ChaCha20Rng) -> Request {
    let public = public_key(&parties(session));
    let (_, ciphertext, noise) = encrypt(&public, 3, rng);
    Request::new(session, ciphertext, noise, &session.parties()[..session.threshold()], Flooding::DEFAULT).unwrap()
}

#[test]
fn all_parties_together_open_what_was_encrypted_to_their_key() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for (count, level) in [(2, 5), (3, 4), (5, 3)] {
        let session = session(count, count);
        let parties = parties(&session);
        let (values, ciphertext, noise) = encrypt(&public_key(&parties), level, &mut rng);
        let fresh = whole(&parties).phase(&ciphertext).unwrap();
        let (seen, unflooded) = decode(&fresh);
        assert_eq!(seen, values);
        assert!(unflooded <= noise.log2() && unflooded > noise.log2() - 6.0, "{unflooded} of {}", noise.log2());
        let request = Request::new(&session, ciphertext, noise, session.parties(), Flooding::DEFAULT).unwrap();
        let opening = request.open(&answer(&request, &decryptors(&parties))).unwrap();
        let (seen, flooded) = decode(opening.phase());
        assert_eq!(seen, values);
        let bound = opening.noise().log2();
        assert!(flooded <= bound && flooded > bound - 3.0, "{flooded} of {bound}");
        assert!(flooded > noise.log2() + 38.0, "the flood is there");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_threshold_of_the_parties_opens(count in 3..9_usize, threshold: u64, picks: u64, seed: u64) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let threshold = 2 + (threshold % (count as u64 - 2)) as usize;
        let session = session(count, threshold);
        let parties = parties(&session);
        let (values, ciphertext, noise) = encrypt(&public_key(&parties), 3, &mut rng);
        let mut active = session.parties().to_vec();
        (0..count).for_each(|i| active.swap(i, (picks.rotate_left(7 * i as u32) % count as u64) as usize));
        active.truncate(threshold);
        let request = Request::new(&session, ciphertext, noise, &active, Flooding::DEFAULT).unwrap();
        let opening = request.open(&answer(&request, &decryptors(&parties))).unwrap();
        let (seen, flooded) = decode(opening.phase());
        prop_assert_eq!(seen, values);
        prop_assert!(flooded <= opening.noise().log2());
    }
}

#[test]
fn a_reader_gets_a_ciphertext_under_its_own_key() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    for threshold in [3, 4] {
        let session = session(4, threshold);
        let parties = parties(&session);
        let reader = SecretKey::generate(session.parameters(), &mut rng);
        let (values, ciphertext, noise) = encrypt(&public_key(&parties), 4, &mut rng);
        let active = &session.parties()[4 - threshold..];
        let request = Request::new(&session, ciphertext, noise, active, Flooding::DEFAULT)
            .and_then(|request| request.for_reader(&reader.public_key(&mut rng)))
            .unwrap();
        let shares = answer(&request, &decryptors(&parties));
        let again: Vec<DecryptionShare> =
            shares.iter().map(|share| DecryptionShare::from_bytes(&request, &share.to_bytes()).unwrap()).collect();
        assert_eq!(shares, again);
        let (switched, bound) = request.switch(&shares).unwrap();
        assert_eq!(switched.key(), reader.id());
        let (seen, flooded) = decode(&reader.phase(&switched).unwrap());
        assert_eq!(seen, values);
        assert!(flooded <= bound.log2() && flooded > bound.log2() - 3.0, "{flooded} of {}", bound.log2());
        assert_eq!(request.open(&shares).unwrap_err(), FheError::Reader { reader: Some(reader.id()) });
    }
    let session = session(2, 2);
    let opened = request(&session, &mut rng);
    let shares = answer(&opened, &decryptors(&parties(&session)));
    assert_eq!(opened.switch(&shares).unwrap_err(), FheError::Reader { reader: None });
}

fn relinearisation_key(parties: &[Party]) -> RelinearisationKey {
    let session = parties[0].session();
    let first: Vec<KeyShare> = parties.iter().map(|party| party.relinearisation_share().unwrap()).collect();
    let round = session.relinearisation_round(&first).unwrap();
    let second: Vec<KeyShare> =
        parties.iter().map(|party| party.second_relinearisation_share(&round).unwrap()).collect();
    session.relinearisation_key(&round, &second).unwrap()
}

#[test]
fn the_collective_relinearisation_key_switches_from_the_square_within_its_own_bound() {
    for count in [2, 7] {
        let session = session(count, count);
        let parties = parties(&session);
        let (key, secret) = (relinearisation_key(&parties), whole(&parties));
        for level in 1..=5 {
            let basis = session.parameters().ciphertext_basis();
            let c: Poly<Ntt> = uniform(basis, level, Seed([9; 32]), level as u64);
            let parts = Digits::new(session.parameters(), &c)
                .unwrap()
                .switch(key.key())
                .map(|part| lower(session.parameters(), part));
            let square = c.product(&secret.at_level(level)).product(&secret.at_level(level)).into_coeff();
            let switched = Ciphertext::new(session.parameters(), session.key(), parts.to_vec());
            let mut noise = secret.phase(&switched).unwrap();
            noise.sub_assign(&square);
            let (noise, bound) = (log2_norm(&one_limb(&noise)), key.noise(level).log2());
            assert!(noise <= bound && noise > bound - 8.5, "{noise} of {bound}");
        }
        let ordinary = RelinearisationKey::generate(&secret, &mut ChaCha20Rng::seed_from_u64(4)).unwrap();
        assert!(key.noise(3).log2() > ordinary.noise(3).log2() + 6.0, "it carries that its noise is larger");
        assert_eq!(RelinearisationKey::from_bytes(session.parameters(), &key.to_bytes()).unwrap(), key);
    }
}

/// The coefficients of a polynomial below half of the first prime.
fn one_limb(poly: &Poly<Coeff>) -> Vec<i128> {
    let moduli: Vec<_> = poly.basis().moduli().take(poly.limbs()).collect();
    let value = |i: usize| moduli[0].centred(poly.limb(0)[i]);
    assert!((0..DEGREE).all(|i| moduli.iter().enumerate().all(|(l, q)| q.reduce_signed(value(i)) == poly.limb(l)[i])));
    (0..DEGREE).map(|i| i128::from(value(i))).collect()
}

#[test]
fn collective_galois_keys_switch_from_the_image_within_their_bound() {
    let session = session(4, 2);
    let parties = parties(&session);
    let exponents = [5, 1023, 25 + 1024];
    let shares: Vec<KeyShare> =
        parties.iter().flat_map(|party| exponents.map(|exponent| party.galois_share(exponent).unwrap())).collect();
    let keys = session.galois_keys(&exponents, &shares).unwrap();
    assert_eq!(keys.exponents().collect::<Vec<_>>(), [5, 25, 1023]);
    assert_eq!(GaloisKeys::from_bytes(session.parameters(), &keys.to_bytes()).unwrap(), keys);
    let secret = whole(&parties);
    for exponent in keys.exponents() {
        let automorphism = Automorphism::new(DEGREE, exponent).unwrap();
        let c: Poly<Ntt> = uniform(session.parameters().ciphertext_basis(), 4, Seed([9; 32]), 7);
        let parts = Digits::new(session.parameters(), &c)
            .unwrap()
            .switch(&keys.key(exponent).unwrap().1)
            .map(|part| lower(session.parameters(), part));
        let wanted = c.product(&secret.at_level(4).automorphism(&automorphism)).into_coeff();
        let mut noise = secret.phase(&Ciphertext::new(session.parameters(), session.key(), parts.to_vec())).unwrap();
        noise.sub_assign(&wanted);
        let (noise, bound) = (log2_norm(&one_limb(&noise)), keys.noise(4).log2());
        assert!(noise <= bound && noise > bound - 6.0, "{noise} of {bound}");
    }
    let missing = session.galois_keys(&[5, 3], &shares[..1]).unwrap_err();
    assert_eq!(missing, FheError::Missing(ids(4)[1]));
    let stray = session.galois_keys(&[3], &shares).unwrap_err();
    assert_eq!(
        stray,
        FheError::Purpose { expected: Purpose::Galois { exponent: 3 }, got: Purpose::Galois { exponent: 5 } }
    );
    assert_eq!(parties[0].galois_share(4).unwrap_err(), FheError::Automorphism(4));
}

#[test]
fn without_special_primes_there_are_no_shares_of_evaluation_keys() {
    let parameters = Parameters::insecure(DEGREE, &[50, 50], &[]).unwrap();
    let session = Session::new(&parameters, SessionId([1; 32]), &ids(2), 2, Seed([2; 32])).unwrap();
    let party = &parties(&session)[0];
    let refused = FheError::NoSpecialPrimes(parameters.to_string());
    assert_eq!(party.relinearisation_share().unwrap_err(), refused);
    assert_eq!(party.galois_share(5).unwrap_err(), refused);
    assert_eq!(session.galois_keys(&[5], &[]).unwrap_err(), refused);
}

#[test]
fn shares_survive_their_bytes() {
    let session = session(3, 2);
    let parties = parties(&session);
    let firsts: Vec<KeyShare> = parties.iter().map(|party| party.relinearisation_share().unwrap()).collect();
    let round = session.relinearisation_round(&firsts).unwrap();
    assert_eq!(RelinearisationRound::from_bytes(&session, &round.to_bytes()).unwrap(), round);
    for share in [
        parties[0].public_key_share(),
        firsts[1].clone(),
        parties[1].second_relinearisation_share(&round).unwrap(),
        parties[2].galois_share(77).unwrap(),
    ] {
        assert_eq!(KeyShare::from_bytes(&session, &share.to_bytes()).unwrap(), share);
    }
    let dealt = parties[0].deal().unwrap();
    let again = SecretShare::from_bytes(&session, &dealt[1].to_bytes()).unwrap();
    assert_eq!((again.from(), again.to(), again.to_bytes()), (ids(3)[0], ids(3)[1], dealt[1].to_bytes()));
}

#[test]
fn a_session_of_too_few_or_too_many_or_the_same_party_twice_is_refused() {
    let make =
        |ids: &[PartyId], threshold| Session::new(&parameters(), SessionId([1; 32]), ids, threshold, Seed([2; 32]));
    for (count, threshold) in [(0, 0), (1, 1), (3, 0), (3, 1), (3, 4), (1025, 3)] {
        assert_eq!(make(&ids(count), threshold), Err(FheError::Threshold { threshold, parties: count }));
    }
    assert_eq!(make(&[PartyId(4), PartyId(9), PartyId(4)], 2), Err(FheError::Duplicate(PartyId(4))));
    assert_eq!(make(&[PartyId(9), PartyId(4)], 2), make(&[PartyId(4), PartyId(9)], 2), "in any order");
    assert_eq!(Party::new(&session(2, 2), PartyId(1), &seed(PartyId(1))).unwrap_err(), FheError::Stranger(PartyId(1)));
}

#[test]
fn a_session_is_told_apart_by_everything_it_is() {
    let base = session(3, 2);
    let other_parameters = Parameters::insecure(DEGREE, &[50, 49, 40, 45], &[50, 50]).unwrap();
    for other in [
        Session::new(&other_parameters, SessionId([1; 32]), &ids(3), 2, Seed([2; 32])),
        Session::new(&parameters(), SessionId([3; 32]), &ids(3), 2, Seed([2; 32])),
        Session::new(&parameters(), SessionId([1; 32]), &ids(4), 2, Seed([2; 32])),
        Session::new(&parameters(), SessionId([1; 32]), &ids(3), 3, Seed([2; 32])),
        Session::new(&parameters(), SessionId([1; 32]), &ids(3), 2, Seed([4; 32])),
    ] {
        let other = other.unwrap();
        assert_ne!(base, other);
        assert_ne!(base.key(), other.key());
        let (own, theirs) = (&parties(&base)[0], &parties(&other)[0]);
        assert_ne!(own.secret().limb(0), theirs.secret().limb(0), "one seed has another secret in each session");
        let wrong = FheError::Session { expected: base.digest(), got: other.digest() };
        assert_eq!(base.public_key(&[theirs.public_key_share()]).unwrap_err(), wrong);
        let bytes = theirs.public_key_share().to_bytes();
        let read = KeyShare::from_bytes(&base, &bytes).unwrap_err();
        if other.parameters() == base.parameters() {
            assert_eq!(read, wrong);
        } else {
            assert!(matches!(read, FheError::EncodedParameters { .. }));
        }
    }
}

#[test]
fn key_shares_that_do_not_belong_are_refused_by_name() {
    let session = session(3, 3);
    let parties = parties(&session);
    let mut shares: Vec<KeyShare> = parties.iter().map(Party::public_key_share).collect();
    assert_eq!(session.public_key(&shares[..2]).unwrap_err(), FheError::Missing(ids(3)[2]));
    assert_eq!(session.public_key(&[]).unwrap_err(), FheError::Missing(ids(3)[0]));
    shares.push(shares[1].clone());
    assert_eq!(session.public_key(&shares).unwrap_err(), FheError::Duplicate(ids(3)[1]));
    shares[3] = KeyShare::new(&session, PartyId(5), Purpose::PublicKey, shares[0].parts().to_vec());
    assert_eq!(session.public_key(&shares).unwrap_err(), FheError::Stranger(PartyId(5)));
    assert_eq!(KeyShare::from_bytes(&session, &shares[3].to_bytes()).unwrap_err(), FheError::Stranger(PartyId(5)));
    shares[0] = parties[0].galois_share(3).unwrap();
    assert_eq!(
        session.public_key(&shares).unwrap_err(),
        FheError::Purpose { expected: Purpose::PublicKey, got: Purpose::Galois { exponent: 3 } }
    );
}

#[test]
fn an_answer_to_another_first_round_is_refused() {
    let session = session(2, 2);
    let parties = parties(&session);
    let firsts: Vec<KeyShare> = parties.iter().map(|party| party.relinearisation_share().unwrap()).collect();
    let round = session.relinearisation_round(&firsts).unwrap();
    let mut changed = firsts.clone();
    let mut parts = firsts[1].parts().to_vec();
    parts[0].add_assign(firsts[0].parts().first().unwrap());
    changed[1] = KeyShare::new(&session, firsts[1].party(), Purpose::RelinearisationFirst, parts);
    let other = session.relinearisation_round(&changed).unwrap();
    let shares = [
        parties[0].second_relinearisation_share(&round).unwrap(),
        parties[1].second_relinearisation_share(&other).unwrap(),
    ];
    let expected = Purpose::RelinearisationSecond { round: round.digest() };
    let got = Purpose::RelinearisationSecond { round: other.digest() };
    assert_eq!(session.relinearisation_key(&round, &shares).unwrap_err(), FheError::Purpose { expected, got });
    let elsewhere = self::session(2, 2);
    let elsewhere =
        Session::new(elsewhere.parameters(), SessionId([7; 32]), elsewhere.parties(), 2, Seed([2; 32])).unwrap();
    let wrong = FheError::Session { expected: elsewhere.digest(), got: session.digest() };
    let party = &self::parties(&elsewhere)[0];
    assert_eq!(party.second_relinearisation_share(&round).unwrap_err(), wrong);
}

#[test]
fn shamir_shares_that_do_not_belong_are_refused_by_name() {
    let session = session(4, 3);
    let parties = parties(&session);
    let deal =
        |to: usize| -> Vec<SecretShare> { parties.iter().map(|party| party.deal().unwrap().swap_remove(to)).collect() };
    assert!(parties[1].decryptor_from_shares(&deal(1)).is_ok());
    let ids = ids(4);
    let wrong = |shares: &[SecretShare]| parties[1].decryptor_from_shares(shares).unwrap_err();
    assert_eq!(wrong(&deal(2)), FheError::Recipient { expected: ids[1], got: ids[2] });
    assert_eq!(wrong(&deal(1)[..3]), FheError::Missing(ids[3]));
    let mut twice = deal(1);
    twice.push(parties[2].deal().unwrap().swap_remove(1));
    assert_eq!(wrong(&twice), FheError::Duplicate(ids[2]));
    assert_eq!(parties[0].decryptor().unwrap_err(), FheError::Dealing { threshold: 3, parties: 4 });
    let all = self::session(2, 2);
    let refused = FheError::Dealing { threshold: 2, parties: 2 };
    assert_eq!(self::parties(&all)[0].deal().unwrap_err(), refused);
    assert_eq!(self::parties(&all)[0].decryptor_from_shares(&[]).unwrap_err(), refused);
}

/// Fewer shares than the threshold fit every secret: interpolating through all of them and another secret works.
#[test]
fn fewer_shamir_shares_than_the_threshold_are_uniform() {
    let session = session(3, 2);
    let dealt = parties(&session)[0].deal().unwrap();
    let basis = session.parameters().ciphertext_basis();
    let q = basis.primes()[0].modulus().value();
    let bytes = dealt[1].to_bytes();
    let limb = basis.primes()[0].modulus().bits() as usize * DEGREE / 8;
    let residues = &bytes[37 + 32 + 8..][..limb];
    let mut low = [0_u32; 16];
    for packed in residues.chunks_exact(25) {
        // Four residues of fifty bits are twenty-five bytes; the first byte of each group ends the first one's low bits.
        low[usize::from(packed[0] & 15)] += 1;
    }
    let expected = (DEGREE / 4) as f64 / 16.0;
    let chi: f64 = low.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
    assert!(chi < 50.0, "χ² of 15 degrees of freedom is {chi}, modulo {q}");
    // Two shares of another party's are needed for a secret; one of a dealer that shared the zero secret looks the same.
    let again = parties(&session)[0].deal().unwrap();
    assert_eq!(again[1].to_bytes(), bytes, "and dealing again says nothing new");
}

#[test]
fn requests_that_break_a_rule_are_refused() {
    let (session, mut rng) = (session(4, 3), ChaCha20Rng::seed_from_u64(5));
    let parties = parties(&session);
    let (_, ciphertext, noise) = encrypt(&public_key(&parties), 3, &mut rng);
    let ids = ids(4);
    let make = |active: &[PartyId], noise, bits: u32| {
        Request::new(&session, ciphertext.clone(), noise, active, Flooding::new(bits)?)
    };
    assert!(make(&ids[1..], noise, 40).is_ok());
    assert_eq!(make(&ids, noise, 40).unwrap_err(), FheError::ActiveSet { expected: 3, got: 4 });
    assert_eq!(make(&ids[2..], noise, 40).unwrap_err(), FheError::ActiveSet { expected: 3, got: 2 });
    assert_eq!(make(&[ids[0], ids[1], ids[0]], noise, 40).unwrap_err(), FheError::Duplicate(ids[0]));
    assert_eq!(make(&[ids[0], ids[1], PartyId(1)], noise, 40).unwrap_err(), FheError::Stranger(PartyId(1)));
    assert_eq!(make(&ids[1..], noise, 29).unwrap_err(), FheError::Flooding { bits: 29, range: (30, 128) });
    assert_eq!(make(&ids[1..], noise, 129).unwrap_err(), FheError::Flooding { bits: 129, range: (30, 128) });
    assert!(matches!(make(&ids[1..], noise, 128), Err(FheError::NoRoomToFlood { .. })), "139 bits are left");
    assert!(matches!(make(&ids[1..], NoiseBound::from_log2(98.0), 40), Err(FheError::NoRoomToFlood { .. })));
    for broken in [f64::NAN, f64::INFINITY] {
        assert!(matches!(make(&ids[1..], NoiseBound::from_log2(broken), 40), Err(FheError::NoRoomToFlood { .. })));
    }
    let capacity = NoiseBound::from_log2(50.0);
    assert!(matches!(make(&ids[1..], noise, 40).unwrap().within(capacity), Err(FheError::NoRoomToFlood { .. })));

    let own = SecretKey::generate(session.parameters(), &mut rng);
    let stray = own.encrypt(&message(session.parameters(), 3, &values(&mut rng)), &mut rng).0;
    assert_eq!(
        Request::new(&session, stray, noise, &ids[1..], Flooding::DEFAULT).unwrap_err(),
        FheError::Keys { left: own.id(), right: session.key() }
    );
    let mut parts = ciphertext.parts().to_vec();
    parts.push(parts[0].clone());
    let three = Ciphertext::new(session.parameters(), session.key(), parts);
    assert_eq!(
        Request::new(&session, three, noise, &ids[1..], Flooding::DEFAULT).unwrap_err(),
        FheError::Parts { what: "a decryption together", expected: 2, got: 3 }
    );
    let elsewhere = Parameters::insecure(DEGREE, &[50, 49, 40], &[50]).unwrap();
    let reader = SecretKey::generate(&elsewhere, &mut rng).public_key(&mut rng);
    assert!(matches!(make(&ids[1..], noise, 40).unwrap().for_reader(&reader), Err(FheError::Parameters { .. })));
}

#[test]
fn a_second_share_for_a_ciphertext_is_refused_whatever_is_asked() {
    let (session, mut rng) = (session(4, 2), ChaCha20Rng::seed_from_u64(6));
    let parties = parties(&session);
    let decryptors = decryptors(&parties);
    let (_, ciphertext, noise) = encrypt(&public_key(&parties), 4, &mut rng);
    let ids = ids(4);
    let make = |ciphertext: &Ciphertext, active: [PartyId; 2], bits| {
        Request::new(&session, ciphertext.clone(), noise, &active, Flooding::new(bits).unwrap()).unwrap()
    };
    let ledger = MemoryLedger::new();
    let request = make(&ciphertext, [ids[0], ids[1]], 40);
    assert!(decryptors[0].share(&request, request.digest(), &ledger).is_ok());
    let mut shifted = ciphertext.clone();
    shifted.parts_mut()[0].mul_integer(3);
    let mut lowered = ciphertext.clone();
    lowered.parts_mut().iter_mut().for_each(|part| part.truncate(3));
    let reader = SecretKey::generate(session.parameters(), &mut rng).public_key(&mut rng);
    for again in [
        request.clone(),
        make(&ciphertext, [ids[0], ids[2]], 40),
        make(&ciphertext, [ids[0], ids[1]], 41),
        make(&shifted, [ids[0], ids[1]], 40),
        make(&lowered, [ids[0], ids[1]], 40),
        request.clone().for_reader(&reader).unwrap(),
    ] {
        let refused = decryptors[0].share(&again, again.digest(), &ledger).unwrap_err();
        assert_eq!(refused, FheError::SecondShare { party: ids[0] });
    }
    assert!(decryptors[1].share(&request, request.digest(), &ledger).is_ok(), "another party has its own say");
    let (_, other, _) = encrypt(&public_key(&parties), 4, &mut rng);
    let other = make(&other, [ids[0], ids[1]], 40);
    assert!(decryptors[0].share(&other, other.digest(), &ledger).is_ok(), "so has another ciphertext");
}

#[test]
fn what_was_not_agreed_on_or_not_asked_of_a_party_is_not_answered_and_not_recorded() {
    let (session, mut rng) = (session(3, 2), ChaCha20Rng::seed_from_u64(7));
    let (request, other) = (request(&session, &mut rng), request(&session, &mut rng));
    let decryptors = decryptors(&parties(&session));
    let ledger = MemoryLedger::new();
    assert_eq!(
        decryptors[0].share(&request, other.digest(), &ledger).unwrap_err(),
        FheError::Request { expected: request.digest().0, got: other.digest().0 }
    );
    assert_eq!(decryptors[2].share(&request, request.digest(), &ledger).unwrap_err(), FheError::Stranger(ids(3)[2]));
    let elsewhere = self::session(3, 3);
    let foreign = self::decryptors(&parties(&elsewhere));
    assert_eq!(
        foreign[0].share(&request, request.digest(), &ledger).unwrap_err(),
        FheError::Session { expected: elsewhere.digest(), got: session.digest() }
    );
    assert!(decryptors[0].share(&request, request.digest(), &ledger).is_ok());
}

#[test]
fn a_ledger_that_fails_lets_no_share_out() {
    struct Broken;
    impl ShareLedger for Broken {
        fn record(&self, _: &LedgerEntry) -> Result<(), FheError> {
            Err(FheError::Ledger("disk full".into()))
        }
    }
    let (session, mut rng) = (session(2, 2), ChaCha20Rng::seed_from_u64(8));
    let request = request(&session, &mut rng);
    let decryptor = &decryptors(&parties(&session))[0];
    let refused = decryptor.share(&request, request.digest(), &Broken).unwrap_err();
    assert_eq!(refused, FheError::Ledger("disk full".into()));
}

#[test]
fn a_second_share_is_refused_after_a_restart() {
    let (session, mut rng) = (session(2, 2), ChaCha20Rng::seed_from_u64(9));
    let request = request(&session, &mut rng);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger");
    let first = {
        let ledger = FileLedger::create(&path).unwrap();
        decryptors(&parties(&session))[0].share(&request, request.digest(), &ledger).unwrap()
    };
    let ledger = FileLedger::open(&path).unwrap();
    let restarted = &decryptors(&parties(&session))[0];
    let refused = restarted.share(&request, request.digest(), &ledger).unwrap_err();
    assert_eq!(refused, FheError::SecondShare { party: first.party() });
    // Were the ledger lost, the same request would be answered with the same bytes, which say nothing new.
    assert_eq!(restarted.share(&request, request.digest(), &MemoryLedger::new()).unwrap(), first);
}

#[test]
fn decryption_shares_that_do_not_belong_are_refused_by_name() {
    let (session, mut rng) = (session(3, 2), ChaCha20Rng::seed_from_u64(10));
    let decryptors = decryptors(&parties(&session));
    let (request, other) = (request(&session, &mut rng), request(&session, &mut rng));
    let shares = answer(&request, &decryptors);
    assert!(request.open(&shares).is_ok());
    let ids = ids(3);
    assert_eq!(request.open(&shares[1..]).unwrap_err(), FheError::Missing(ids[0]));
    assert_eq!(request.open(&[shares[0].clone(), shares[0].clone()]).unwrap_err(), FheError::Duplicate(ids[0]));
    let stray = answer(&other, &decryptors).swap_remove(1);
    let wrong = FheError::Request { expected: request.digest().0, got: other.digest().0 };
    assert_eq!(request.open(&[shares[0].clone(), stray.clone()]).unwrap_err(), wrong);
    assert_eq!(DecryptionShare::from_bytes(&request, &stray.to_bytes()).unwrap_err(), wrong);
    let uninvited = decryptors[2].unrecorded_share(&request, request.digest());
    assert_eq!(request.open(&[shares[0].clone(), uninvited.clone()]).unwrap_err(), FheError::Stranger(ids[2]));
    assert_eq!(DecryptionShare::from_bytes(&request, &uninvited.to_bytes()).unwrap_err(), FheError::Stranger(ids[2]));
    let elsewhere = self::session(2, 2);
    let far = self::request(&elsewhere, &mut rng);
    let foreign = answer(&far, &self::decryptors(&parties(&elsewhere))).swap_remove(0);
    let wrong = FheError::Session { expected: session.digest(), got: elsewhere.digest() };
    assert_eq!(request.open(&[shares[1].clone(), foreign.clone()]).unwrap_err(), wrong);
    assert_eq!(DecryptionShare::from_bytes(&request, &foreign.to_bytes()).unwrap_err(), wrong);
}

/// The lengths of a header: format, kind, hash of the parameters.
const HEADER: usize = 37;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn broken_bytes_of_shares_are_typed_errors(at: u64, flip in 1..=255_u8, cut: u64) {
        let (session, mut rng) = (session(3, 2), ChaCha20Rng::seed_from_u64(11));
        let request = request(&session, &mut rng);
        let parties = parties(&session);
        let decryption = decryptors(&parties)[0].unrecorded_share(&request, request.digest()).to_bytes();
        let (key, secret) = (parties[0].public_key_share().to_bytes(), parties[0].deal().unwrap()[1].to_bytes());
        let read = |which: usize, bytes: &[u8]| match which {
            0 => DecryptionShare::from_bytes(&request, bytes).map(|_| ()),
            1 => KeyShare::from_bytes(&session, bytes).map(|_| ()),
            2 => SecretShare::from_bytes(&session, bytes).map(|_| ()),
            _ => RelinearisationRound::from_bytes(&session, bytes).map(|_| ()),
        };
        for (which, bytes) in [&decryption, &key, &*secret].into_iter().enumerate() {
            prop_assert_eq!(read(which, bytes), Ok(()));
            let at = (at % bytes.len() as u64) as usize;
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            let error = read(which, &changed).unwrap_err();
            let expected = match at {
                0..5 => matches!(error, FheError::Malformed(_)),
                5..HEADER => matches!(error, FheError::EncodedParameters { .. }),
                _ => error == FheError::Checksum,
            };
            prop_assert!(expected, "{:?} for byte {}", error, at);
            let cut = (cut % bytes.len() as u64) as usize;
            let short = read(which, &bytes[..cut]);
            let refused = matches!(short, Err(FheError::Truncated { .. } | FheError::Checksum));
            prop_assert!(refused, "{:?} for {} bytes", short, cut);
            for other in 0..4 {
                prop_assert_eq!(read(other, bytes).is_ok(), other == which, "a share of one kind is none of another");
            }
        }
    }
}

/// A checksum can be made by anyone, so what is under it is checked as well.
#[test]
fn a_right_checksum_over_wrong_contents_does_not_help() {
    let session = session(2, 2);
    let honest = parties(&session)[0].public_key_share().to_bytes();
    let forged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = honest[..honest.len() - 32].to_vec();
        change(&mut bytes);
        let checksum = blake3::hash(&bytes);
        bytes.extend(checksum.as_bytes());
        KeyShare::from_bytes(&session, &bytes).unwrap_err()
    };
    assert_eq!(forged(&|bytes| bytes.push(0)), FheError::Trailing(1));
    assert!(matches!(forged(&|bytes| bytes.truncate(1000)), FheError::Truncated { .. }));
    assert!(matches!(forged(&|bytes| bytes[HEADER] ^= 1), FheError::Session { .. }));
    assert!(matches!(forged(&|bytes| bytes[HEADER + 32] ^= 1), FheError::Stranger(_)));
    assert_eq!(forged(&|bytes| bytes[HEADER + 36] = 9), FheError::Malformed("the purpose of a share"));
    assert!(matches!(forged(&|bytes| bytes[HEADER + 37..][..8].fill(0xff)), FheError::Residue { .. }));
}

#[test]
fn shares_from_fixed_seeds_are_these_bytes() {
    let session = session(3, 2);
    let parties = parties(&session);
    let request = request(&session, &mut ChaCha20Rng::seed_from_u64(12));
    let firsts: Vec<KeyShare> = parties.iter().map(|party| party.relinearisation_share().unwrap()).collect();
    let round = session.relinearisation_round(&firsts).unwrap();
    let decryption = decryptors(&parties)[1].unrecorded_share(&request, request.digest());
    let digest = |bytes: &[u8]| blake3::hash(bytes).to_hex()[..16].to_string();
    let digests = [
        digest(&parties[0].public_key_share().to_bytes()),
        digest(&firsts[0].to_bytes()),
        digest(&parties[0].second_relinearisation_share(&round).unwrap().to_bytes()),
        digest(&parties[0].galois_share(5).unwrap().to_bytes()),
        digest(&parties[0].deal().unwrap()[2].to_bytes()),
        digest(&decryption.to_bytes()),
    ];
    assert_eq!(
        digests,
        [
            "77a5cea4d0c701e9",
            "666f7a04976ac81e",
            "f7be08cde1ccda09",
            "1538724a15c0bfed",
            "9c753c3b5420b465",
            "dbaab9af26fd9a72"
        ]
    );
}

#[cfg(feature = "parallel")]
#[test]
fn any_number_of_threads_makes_the_same_bytes() {
    let run = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let session = session(3, 2);
            let parties = parties(&session);
            let request = request(&session, &mut ChaCha20Rng::seed_from_u64(13));
            let share = decryptors(&parties)[0].unrecorded_share(&request, request.digest());
            (relinearisation_key(&parties).to_bytes(), share.to_bytes())
        })
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn a_flood_is_uniform_in_its_range() {
    let basis = parameters().ciphertext_basis().clone();
    for exponent in [30, 47, 48, 57, 80] {
        let flood = Flooding::insecure(exponent).over(NoiseBound::ZERO);
        let mut lifted = Vec::new();
        for run in 0..16_u8 {
            lifted.extend(lift(&flood.sample(&basis, 5, &Noise::derived(&[run; 32], &[b"test"]))));
        }
        let range = 2_f64.powi(exponent as i32);
        let count = lifted.len() as f64;
        let scaled: Vec<f64> = lifted.iter().map(|&value| value as f64 / range).collect();
        assert!(scaled.iter().all(|value| (-1.0..1.0).contains(value)), "2^{exponent}");
        let mean = scaled.iter().sum::<f64>() / count;
        let variance = scaled.iter().map(|value| value * value).sum::<f64>() / count;
        assert!(mean.abs() < 5.0 / (3.0 * count).sqrt(), "mean {mean}");
        assert!((variance - 1.0 / 3.0).abs() < 5.0 * (4.0 / 45.0 / count).sqrt(), "variance {variance}");
        // Both the highest and the lowest five bits.
        for shift in [exponent - 4, 0] {
            let mut bins = [0_u32; 32];
            for value in &lifted {
                bins[((value + (1 << exponent)) >> shift & 31) as usize] += 1;
            }
            let expected = count / 32.0;
            let chi: f64 = bins.iter().map(|&bin| (f64::from(bin) - expected).powi(2) / expected).sum();
            assert!(chi < 80.0, "χ² of 31 degrees of freedom is {chi} for 2^{exponent}");
        }
    }
}

#[test]
fn the_statistical_distance_is_that_of_the_documentation() {
    let parameters = Parameters::new(1 << 14, &[50], &[]).unwrap();
    assert!((Flooding::DEFAULT.log2_distance(&parameters, 1) + 34.0).abs() < 1e-9);
    assert!((Flooding::DEFAULT.log2_distance(&parameters, 128) + 27.0).abs() < 1e-9);
    assert!((Flooding::new(60).unwrap().log2_distance(&parameters, 1) + 54.0).abs() < 1e-9);
}

/// Whoever encrypted knows its own errors; the noise `e_0 + e·u + e_1·s` of an opening then tells of `s`, unless it is
/// flooded. How far the opened noise, multiplied by the adjoint of `e_1`, goes along with `s`: a standard normal if it
/// does not.
fn score(flooded: bool) -> f64 {
    let session = session(3, 3);
    let parties = parties(&session);
    let (public, secret) = (public_key(&parties), whole(&parties));
    let own: Vec<f64> = one_limb(&secret.at_level(3).into_coeff()).iter().map(|&s| s as f64).collect();
    let basis = session.parameters().ciphertext_basis();
    let mut estimate = vec![0.0; DEGREE];
    for run in 0..4 {
        let values = values(&mut ChaCha20Rng::seed_from_u64(run));
        let message = message(session.parameters(), 3, &values);
        let (ciphertext, noise) = public.encrypt(message.clone(), &mut ChaCha20Rng::seed_from_u64(100 + run));
        let errors = Noise::new(&mut ChaCha20Rng::seed_from_u64(100 + run)).errors(basis, 2).to_vec();
        let mut opened = if flooded {
            let request = Request::new(&session, ciphertext, noise, session.parties(), Flooding::DEFAULT).unwrap();
            request.open(&answer(&request, &decryptors(&parties))).unwrap().phase().clone()
        } else {
            secret.phase(&ciphertext).unwrap()
        };
        opened.sub_assign(&message);
        let residual: Vec<f64> = lift(&opened).iter().map(|&r| r as f64).collect();
        for (k, estimate) in estimate.iter_mut().enumerate() {
            for (j, &error) in errors.iter().enumerate() {
                let sign = if j + k < DEGREE { 1.0 } else { -1.0 };
                *estimate += sign * residual[(j + k) % DEGREE] * error as f64;
            }
        }
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&estimate, &own) / (dot(&estimate, &estimate) * dot(&own, &own)).sqrt() * (DEGREE as f64).sqrt()
}

#[test]
fn unflooded_noise_tells_of_the_key_and_flooded_noise_does_not() {
    let (bare, flooded) = (score(false), score(true));
    assert!(bare > 10.0, "the attack works on unflooded openings: {bare} deviations");
    assert!(flooded.abs() < 5.0, "and not on flooded ones: {flooded} deviations");
}

#[test]
fn a_share_without_a_flood_would_be_the_key() {
    let (session, mut rng) = (session(2, 2), ChaCha20Rng::seed_from_u64(14));
    let party = &parties(&session)[0];
    let request = request(&session, &mut rng);
    let c1 = &request.ciphertext().parts()[1];
    let divide = |share: &Poly<Ntt>| {
        let q = share.basis().primes()[0].modulus();
        let own = party.secret().limb(session.parameters().special());
        share
            .limb(0)
            .iter()
            .zip(c1.limb(0))
            .zip(own)
            .filter(|((h, c), s)| **c != 0 && q.mul(**h, q.inverse(**c)) == **s)
            .count()
    };
    let bare = c1.product(&party.decryptor().unwrap().truncated(3));
    assert_eq!(divide(&bare), DEGREE, "h_i / c_1 is s_i");
    let flooded = party.decryptor().unwrap().unrecorded_share(&request, request.digest());
    assert_eq!(divide(&flooded.parts()[0]), 0);
}

#[test]
fn all_shares_but_one_leave_what_looks_uniform() {
    let mut rng = ChaCha20Rng::seed_from_u64(15);
    for threshold in [3, 4] {
        let session = session(4, threshold);
        let parties = parties(&session);
        let (public, decryptors) = (public_key(&parties), decryptors(&parties));
        let (mut bins, mut count) = ([0_u32; 32], 0.0);
        for _ in 0..16 {
            let (_, ciphertext, noise) = encrypt(&public, 2, &mut rng);
            let active = &session.parties()[..threshold];
            let request = Request::new(&session, ciphertext, noise, active, Flooding::DEFAULT).unwrap();
            let mut sum = request.ciphertext().parts()[0].clone();
            answer(&request, &decryptors)[1..].iter().for_each(|share| sum.add_assign(&share.parts()[0]));
            let q = sum.basis().primes()[0].modulus().value();
            let sum = sum.into_coeff();
            sum.limb(0).iter().for_each(|&r| bins[(u128::from(r) * 32 / u128::from(q)) as usize] += 1);
            count += DEGREE as f64;
        }
        let chi: f64 = bins.iter().map(|&bin| (f64::from(bin) - count / 32.0).powi(2) / (count / 32.0)).sum();
        assert!(chi < 80.0, "χ² of 31 degrees of freedom is {chi}");
    }
}

#[test]
fn parties_open_a_product_of_bfv_that_their_own_key_relinearised() {
    use crate::bfv::{BfvCiphertext, BfvParameters, Coefficients, PlaintextModulus};
    let mut rng = ChaCha20Rng::seed_from_u64(16);
    for (count, threshold) in [(2, 2), (5, 3)] {
        let session = session(count, threshold);
        let parties = parties(&session);
        let (public, key) = (public_key(&parties), relinearisation_key(&parties));
        let parameters = BfvParameters::new(session.parameters(), PlaintextModulus::power_of_two(20).unwrap()).unwrap();
        let coefficients = Coefficients::new(&parameters);
        let mut encrypt = |values: &[i64]| {
            BfvCiphertext::encrypt(&parameters, &coefficients.encode(values).unwrap(), &public, &mut rng).unwrap()
        };
        let (a, b) = (encrypt(&[3, -7]), encrypt(&[11, 2]));
        let product = a.mul(&b, &key).unwrap();
        // The exact noise, coefficient by coefficient, from the secret that nobody has.
        let exact = coefficients.encode(&[33, -71, -14]).unwrap();
        let mut noise = whole(&parties).phase(product.inner()).unwrap();
        noise.sub_assign(&parameters.scale_up(&exact, product.level()).unwrap());
        let largest = lift(&noise).iter().map(|value| value.unsigned_abs()).max().unwrap() as f64;
        assert!(largest.log2() <= product.noise().log2(), "{} of {}", largest.log2(), product.noise().log2());

        let active = &session.parties()[count - threshold..];
        let request = product.request(&session, active, Flooding::DEFAULT).unwrap();
        let shares = answer(&request, &decryptors(&parties));
        let opened = coefficients.decode(&request.open_bfv(&parameters, &shares).unwrap()).unwrap();
        assert_eq!(opened[..4], [33, -71, -14, 0]);

        let reader = SecretKey::generate(session.parameters(), &mut ChaCha20Rng::seed_from_u64(17));
        let request = request.for_reader(&reader.public_key(&mut ChaCha20Rng::seed_from_u64(18))).unwrap();
        let switched = request.switch_bfv(&parameters, &answer(&request, &decryptors(&parties))).unwrap();
        assert_eq!(coefficients.decode(&switched.decrypt(&reader).unwrap()).unwrap(), opened);

        let tight = BfvParameters::new(session.parameters(), PlaintextModulus::power_of_two(150).unwrap()).unwrap();
        let one = Coefficients::new(&tight).encode(&[1]).unwrap();
        let full = BfvCiphertext::encrypt(&tight, &one, &public, &mut ChaCha20Rng::seed_from_u64(19)).unwrap();
        let refused = full.request(&session, active, Flooding::new(80).unwrap()).unwrap_err();
        assert!(matches!(refused, FheError::NoRoomToFlood { .. }));
    }
}

#[test]
fn parties_open_a_sum_of_ckks_to_the_precision_that_floods_leave() {
    use crate::ckks::{Ciphertext, CkksParameters, Encoder, Precision, Scale};
    let mut rng = ChaCha20Rng::seed_from_u64(20);
    let session = session(3, 2);
    let parties = parties(&session);
    let public = public_key(&parties);
    let mut encrypt = |bits: u32, values: &[f64]| {
        let scale = Scale::power_of_two(bits).unwrap();
        let encoder = Encoder::new(&CkksParameters::new(session.parameters().clone(), scale).unwrap());
        let plaintext = encoder.encode(values, 512.0).unwrap();
        (encoder, Ciphertext::encrypt(&plaintext, &public, &mut rng).unwrap())
    };
    let values: Vec<f64> = (0..DEGREE / 2).map(|i| 2.0 * i as f64 - 255.5).collect();
    let (encoder, fresh) = encrypt(80, &values);
    let sum = fresh.add(&fresh).unwrap();
    let active = &session.parties()[1..];
    let flooding = Flooding::new(30).unwrap();
    let request = sum.request(&session, active, flooding).unwrap();
    let shares = answer(&request, &decryptors(&parties));
    let precision = Precision(-8);
    let released = encoder.open(&sum, &request, precision, &shares).unwrap();
    for (value, opened) in values.iter().zip(released.real()) {
        assert!((2.0 * value - opened).abs() <= 128.0, "twice {value} is {opened}");
    }
    assert_eq!((released.mode().flooding, released.mode().parties), (flooding, 2));
    assert!(matches!(encoder.open(&sum, &request, Precision(30), &shares), Err(FheError::Precision { .. })));
    assert!(matches!(encoder.open(&fresh, &request, precision, &shares), Err(FheError::Request { .. })));
    // With a scale below the floods nothing is left of the message.
    let (encoder, drowned) = encrypt(48, &values);
    let request = drowned.request(&session, active, Flooding::DEFAULT).unwrap();
    let shares = answer(&request, &decryptors(&parties));
    assert!(matches!(encoder.open(&drowned, &request, Precision(0), &shares), Err(FheError::Precision { .. })));
}

#[test]
fn secrets_print_as_secrets() {
    let session = session(3, 2);
    let party = &parties(&session)[0];
    assert_eq!(format!("{party:?}"), "Secret(party 100)");
    assert_eq!(format!("{:?}", seed(PartyId(1))), "Secret(..)");
    assert_eq!(format!("{:?}", party.deal().unwrap()[1]), "Secret(share of 100 for 107)");
    assert_eq!(format!("{:?}", decryptors(&parties(&session))[0]), "Secret(decryptor of party 100)");
}

/// What a share has beside `c_1·λ_i·σ_i`, by its largest coefficient modulo the first prime, and the sum of that.
#[test]
fn a_share_of_some_parties_is_uniform_but_for_the_sum_of_all() {
    let session = session(4, 3);
    let (parties, mut rng) = (parties(&session), ChaCha20Rng::seed_from_u64(77));
    let decryptors = decryptors(&parties);
    let (ciphertext, noise) =
        public_key(&parties).encrypt(message(session.parameters(), 5, &values(&mut rng)), &mut rng);
    let c1 = ciphertext.parts()[1].clone();
    // Little flooding, so that it shows in one prime what is uniform and what is not.
    let active = &ids(4)[1..];
    let request = Request::new(&session, ciphertext, noise, active, Flooding::insecure(1)).unwrap();
    let points: Vec<u64> = active.iter().map(|&id| session.point(id).unwrap()).collect();
    let q = session.parameters().ciphertext_basis().primes()[0].modulus();
    let largest = |poly: &Poly<Ntt>| {
        let poly = poly.clone().into_coeff();
        poly.limb(0).iter().map(|&value| q.centred(value).unsigned_abs()).max().unwrap() as f64
    };
    let mut sum = Poly::zero(session.parameters().ciphertext_basis(), 5);
    for (decryptor, &id) in decryptors[1..].iter().zip(active) {
        let mut rest = decryptor.unrecorded_share(&request, request.digest()).parts()[0].clone();
        let mut bare = decryptor.truncated(5);
        bare.scale(|prime| super::shamir::lagrange(prime, &points, session.point(id).unwrap()));
        bare.mul_assign(&c1);
        rest.sub_assign(&bare);
        assert!(largest(&rest) > 0.9 * q.value() as f64 / 2.0, "party {id} hides its share");
        sum.add_assign(&rest);
    }
    let flood = request.flooded_noise().log2();
    assert!(largest(&sum).log2() < flood, "what is uniform cancels: {} against {flood}", largest(&sum).log2());
}
