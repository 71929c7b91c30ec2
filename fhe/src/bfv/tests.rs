use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;
use crate::Parameters;
use crate::rlwe::{GaloisKeys, RelinearisationKey, SecretKey};

#[test]
fn everything_at_once() {
    for (degree, q, p, t) in
        [(1 << 9, vec![50; 3], vec![50], 14), (1 << 10, vec![50, 45, 40, 50, 50, 50], vec![50, 50], 17)]
    {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let ring = Parameters::insecure(degree, &q, &p).unwrap();
        let t = PlaintextModulus::for_slots(t, degree).unwrap();
        let parameters = BfvParameters::new(&ring, t).unwrap();
        let slots = Slots::new(&parameters).unwrap();
        let secret = SecretKey::generate(&ring, &mut rng);
        let public = secret.public_key(&mut rng);
        let relin = RelinearisationKey::generate(&secret, &mut rng).unwrap();
        let galois =
            GaloisKeys::generate(&secret, [rotation_exponent(&parameters, 1), swap_exponent(&parameters)], &mut rng)
                .unwrap();
        let values: Vec<i64> = (0..degree).map(|_| (rng.next_u64() % 1000) as i64 - 500).collect();
        let others: Vec<i64> = (0..degree).map(|_| (rng.next_u64() % 1000) as i64 - 500).collect();
        let a = BfvCiphertext::encrypt(&parameters, &slots.encode(&values).unwrap(), &public, &mut rng).unwrap();
        let b = BfvCiphertext::encrypt(&parameters, &slots.encode(&others).unwrap(), &public, &mut rng).unwrap();
        assert_eq!(slots.decode(&a.decrypt(&secret).unwrap()).unwrap(), values);
        let c = a.mul(&b, &relin).unwrap();
        println!("{} {} {}", a.budget(), c.budget(), a.noise().log2());
        let modulus = t.log2().exp2().round() as i64;
        let reduce = |x: i64| {
            let r = x.rem_euclid(modulus);
            if r > modulus / 2 { r - modulus } else { r }
        };
        let product: Vec<i64> = values.iter().zip(&others).map(|(a, b)| reduce(a * b)).collect();
        assert_eq!(slots.decode(&c.decrypt(&secret).unwrap()).unwrap(), product);
        let r = a.rotate(1, &galois).unwrap();
        let mut rotated = values.clone();
        rotated[..degree / 2].rotate_left(1);
        rotated[degree / 2..].rotate_left(1);
        assert_eq!(slots.decode(&r.decrypt(&secret).unwrap()).unwrap(), rotated);
        let r = a.swap_rows(&galois).unwrap();
        let mut swapped = values.clone();
        swapped.rotate_left(degree / 2);
        assert_eq!(slots.decode(&r.decrypt(&secret).unwrap()).unwrap(), swapped);
    }
}

#[test]
fn wide() {
    for bits in [1, 5, 48, 49, 96, 120, 140] {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let ring = Parameters::insecure(1 << 9, &[50, 45, 40, 50, 50], &[]).unwrap();
        let parameters = BfvParameters::new(&ring, PlaintextModulus::power_of_two(bits).unwrap()).unwrap();
        let secret = SecretKey::generate(&ring, &mut rng);
        let coefficients = Coefficients::new(&parameters);
        let values: Vec<i64> =
            (0..512).map(|_| (rng.next_u64() as i64) >> 64_u32.saturating_sub(bits).min(63)).collect();
        let a = BfvCiphertext::encrypt_secret(&parameters, &coefficients.encode(&values).unwrap(), &secret, &mut rng)
            .unwrap();
        assert_eq!(coefficients.decode(&a.decrypt(&secret).unwrap()).unwrap(), values, "{bits}");
    }
}
