//! Noise as it is, against what the ciphertext says it can be.

use dashu_int::{IBig, UBig};

use super::*;
use crate::ring::Modulus;

/// The largest coefficient of the noise of a ciphertext that should hold this plaintext, in bits.
fn measured(ciphertext: &BfvCiphertext, secret: &SecretKey, plaintext: &Plaintext) -> f64 {
    let mut noise = secret.phase(ciphertext.inner()).unwrap();
    noise.sub_assign(&ciphertext.parameters().scale_up(plaintext, ciphertext.level()).unwrap());
    let moduli: Vec<u64> = noise.basis().moduli().take(noise.limbs()).map(Modulus::value).collect();
    let product: UBig = moduli.iter().map(|&q| UBig::from(q)).product();
    let weights: Vec<UBig> = moduli
        .iter()
        .enumerate()
        .map(|(i, &q)| {
            let others = &product / q;
            let inverse = noise.basis().primes()[i].modulus().inverse(&others % q);
            others * inverse
        })
        .collect();
    (0..noise.basis().degree())
        .map(|j| {
            let sum: UBig = weights.iter().enumerate().map(|(i, weight)| weight * noise.limb(i)[j]).sum();
            let value = sum % &product;
            let value = if &value * 2u8 > product { &product - value } else { value };
            value.to_f64().value().max(1.0).log2()
        })
        .fold(0.0, f64::max)
}

/// Coefficients modulo `t`, as a reference computes with them.
#[derive(Clone)]
struct Reference {
    t: i64,
    values: Vec<i64>,
}

impl Reference {
    fn map2(&self, other: &Self, f: impl Fn(i64, i64) -> i64) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(&a, &b)| centred(f(a, b), self.t)).collect();
        Self { t: self.t, values }
    }

    fn product(&self, other: &Self) -> Self {
        let degree = self.values.len();
        let mut values = vec![0; degree];
        for (i, a) in self.values.iter().enumerate() {
            for (j, b) in other.values.iter().enumerate() {
                let sign = if i + j < degree { 1 } else { -1 };
                values[(i + j) % degree] = centred(values[(i + j) % degree] + sign * (a * b % self.t), self.t);
            }
        }
        Self { t: self.t, values }
    }

    fn image(&self, exponent: usize) -> Self {
        let degree = self.values.len();
        let mut values = vec![0; degree];
        for (i, &a) in self.values.iter().enumerate() {
            let power = i * exponent % (2 * degree);
            values[power % degree] = if power < degree { a } else { centred(-a, self.t) };
        }
        Self { t: self.t, values }
    }
}

#[test]
fn noise_is_within_its_bound_in_thousands_of_circuits_until_decryption_refuses() {
    const DEGREE: usize = 32;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let ring = Parameters::insecure(DEGREE, &[50, 45, 40], &[50]).unwrap();
    let parameters = BfvParameters::new(&ring, PlaintextModulus::prime(65537).unwrap()).unwrap();
    let coefficients = Coefficients::new(&parameters);
    let secret = SecretKey::generate(&ring, &mut rng);
    let public = secret.public_key(&mut rng);
    let relinearisation = RelinearisationKey::generate(&secret, &mut rng).unwrap();
    let galois = GaloisKeys::generate(&secret, [3, 5, 63], &mut rng).unwrap();
    let (mut refused, mut steps) = (0, 0);
    for circuit in 0..2000 {
        let draw = |rng: &mut ChaCha20Rng, most: i64| {
            let values = (0..DEGREE).map(|_| rng.next_u64() as i64 % (most + 1)).collect();
            Reference { t: 65537, values }
        };
        let encode = |reference: &Reference| coefficients.encode(&reference.values).unwrap();
        let encrypt = |reference: &Reference, rng: &mut ChaCha20Rng| {
            if circuit % 2 == 0 {
                BfvCiphertext::encrypt(&parameters, &encode(reference), &public, rng).unwrap()
            } else {
                BfvCiphertext::encrypt_secret(&parameters, &encode(reference), &secret, rng).unwrap()
            }
        };
        let mut clear = draw(&mut rng, 32768);
        let mut sealed = encrypt(&clear, &mut rng);
        for _ in 0..6 {
            let (other, small) = (draw(&mut rng, 32768), draw(&mut rng, 3));
            match rng.next_u64() % 9 {
                0 => {
                    sealed = sealed.mul(&sealed.clone(), &relinearisation).unwrap();
                    clear = clear.product(&clear);
                }
                1 if sealed.level() == 3 => {
                    sealed = sealed.mul(&encrypt(&other, &mut rng), &relinearisation).unwrap();
                    clear = clear.product(&other);
                }
                2 => {
                    sealed = sealed.square(&relinearisation).unwrap();
                    clear = clear.product(&clear);
                }
                3 if sealed.level() == 3 => {
                    sealed.sub_assign(&encrypt(&other, &mut rng)).unwrap();
                    clear = clear.map2(&other, |a, b| a - b);
                }
                4 => {
                    sealed.add_plain(&encode(&other)).unwrap();
                    clear = clear.map2(&other, |a, b| a + b);
                }
                5 => {
                    sealed.mul_plain(&encode(&small)).unwrap();
                    clear = clear.product(&small);
                }
                6 => {
                    let exponent = [3, 5, 63][rng.next_u64() as usize % 3];
                    sealed = sealed.automorphism(exponent, &galois).unwrap();
                    clear = clear.image(exponent);
                }
                7 if sealed.level() > 1 => sealed = sealed.switch_down().unwrap(),
                _ => {
                    sealed.add_assign(&sealed.clone()).unwrap();
                    clear = clear.map2(&clear, |a, b| a + b);
                }
            }
            steps += 1;
            if sealed.noise().log2() >= parameters.log2(sealed.level()) - 1.0 {
                break;
            }
            let noise = measured(&sealed, &secret, &encode(&clear));
            assert!(noise <= sealed.noise().log2(), "circuit {circuit}: 2^{noise}, bound {:?}", sealed.noise());
        }
        match sealed.decrypt(&secret) {
            Ok(plaintext) => assert_eq!(coefficients.decode(&plaintext).unwrap(), clear.values, "circuit {circuit}"),
            Err(error) => {
                assert!(matches!(error, FheError::NoiseTooLarge { .. }), "{error}");
                refused += 1;
            }
        }
    }
    assert!(steps > 8000 && refused > 20 && refused < 1000, "{refused} of 2000 circuits were refused, {steps} steps");
}

#[test]
fn the_bound_of_a_product_is_less_than_twelve_bits_above_the_noise() {
    for degree in [1 << 9, 1 << 12] {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let ring = Parameters::insecure(degree, &[50; 4], &[50, 50]).unwrap();
        let modulus = PlaintextModulus::for_slots(20, degree).unwrap();
        let parameters = BfvParameters::new(&ring, modulus).unwrap();
        let slots = Slots::new(&parameters).unwrap();
        let secret = SecretKey::generate(&ring, &mut rng);
        let public = secret.public_key(&mut rng);
        let key = RelinearisationKey::generate(&secret, &mut rng).unwrap();
        let t = modulus.log2().exp2().round() as i64;
        let mut fresh = || {
            let values: Vec<i64> = (0..degree).map(|_| centred(rng.next_u64() as i64 % t, t)).collect();
            let plaintext = slots.encode(&values).unwrap();
            (BfvCiphertext::encrypt(&parameters, &plaintext, &public, &mut rng).unwrap(), values, plaintext)
        };
        let ((a, x, plaintext), (b, y, _)) = (fresh(), fresh());
        let loose = a.noise().log2() - measured(&a, &secret, &plaintext);
        assert!((0.0..4.0).contains(&loose), "fresh, degree {degree}: {loose}");
        let product: Vec<i64> = x.iter().zip(&y).map(|(x, y)| centred(x * y % t, t)).collect();
        let sealed = a.mul(&b, &key).unwrap();
        let loose = sealed.noise().log2() - measured(&sealed, &secret, &slots.encode(&product).unwrap());
        assert!((0.0..12.0).contains(&loose), "product, degree {degree}: {loose}");
        println!("degree {degree}: {loose:.1} bits");
    }
}

#[test]
fn scaling_is_that_of_exact_integers() {
    let ring = Parameters::insecure(16, &[50, 45, 30, 50], &[]).unwrap();
    let moduli =
        [PlaintextModulus::prime(65537), PlaintextModulus::prime(1_125_899_906_840_833), PlaintextModulus::prime(3)];
    let powers = [1, 2, 47, 48, 49, 96, 100].map(PlaintextModulus::power_of_two);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    for modulus in moduli.into_iter().chain(powers).map(Result::unwrap) {
        let parameters = BfvParameters::new(&ring, modulus).unwrap();
        let t = match modulus.shape() {
            super::super::modulus::Shape::Prime(t) => UBig::from(t.value()),
            super::super::modulus::Shape::PowerOfTwo(bits) => UBig::ONE << bits as usize,
        };
        let value = |plaintext: &Plaintext, j: usize| {
            plaintext.rows().rev().fold(UBig::ZERO, |value, row| (value << 48) + UBig::from(row[j]))
        };
        for level in 1..=4 {
            let moduli: Vec<u64> = ring.ciphertext_basis().moduli().take(level).map(Modulus::value).collect();
            let product: UBig = moduli.iter().map(|&q| UBig::from(q)).product();
            for round in 0..8 {
                let mut plaintext = Plaintext::zero(modulus, 16);
                for row in plaintext.rows_mut() {
                    for digit in row {
                        *digit = rng.next_u64() >> 16;
                    }
                }
                for j in 0..16 {
                    let m = if round == 0 { &t - UBig::ONE } else { value(&plaintext, j) % &t };
                    for (k, row) in plaintext.rows_mut().enumerate() {
                        row[j] = if modulus.digits() == 1 {
                            u64::try_from(m.clone()).unwrap()
                        } else {
                            ((&m >> (48 * k)) & UBig::from((1_u64 << 48) - 1)).try_into().unwrap()
                        };
                    }
                }
                let scaled = parameters.scale_up(&plaintext, level).unwrap();
                for j in 0..16 {
                    // A remainder of exactly a half may go either way.
                    let doubled = &product * value(&plaintext, j) * 2u8;
                    let (nearest, rest) = ((&doubled + &t) / (&t * 2u8), (&doubled + &t) % (&t * 2u8));
                    let is = |wanted: &UBig| moduli.iter().enumerate().all(|(i, &q)| wanted % q == scaled.limb(i)[j]);
                    assert!(is(&nearest) || (rest == UBig::ZERO && is(&(&nearest - UBig::ONE))), "{modulus}, {level}");
                }
                // Any phase comes back as the nearest plaintext.
                let phase: Vec<UBig> = (0..16)
                    .map(|_| {
                        moduli.iter().fold(UBig::ZERO, |x, &q| (x << 60) + UBig::from(rng.next_u64() % q)) % &product
                    })
                    .collect();
                let values = moduli.iter().flat_map(|&q| phase.iter().map(move |x| x % q)).collect::<Vec<_>>();
                let poly = crate::ring::Poly::from_residues(ring.ciphertext_basis(), &values).unwrap();
                let lowered = parameters.scaled_down(&poly);
                for (j, x) in phase.iter().enumerate() {
                    let wanted = ((x * &t * 2u8 + &product) / (&product * 2u8)) % &t;
                    let off = IBig::from(x * &t * 2u8) + IBig::from(product.clone());
                    let away = (off % IBig::from(&product * 2u8)).to_f64().value() / (&product * 2u8).to_f64().value();
                    if away > 1e-6 && away < 1.0 - 1e-6 {
                        assert_eq!(value(&lowered, j), wanted, "{modulus} at level {level}");
                    }
                }
            }
        }
    }
}
