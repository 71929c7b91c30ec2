//! Circuits in small rings, insecure but with the arithmetic of large ones: results against the clear, errors against bounds.

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;
use crate::rlwe::{GaloisKeys, PublicKey, RelinearisationKey, SecretKey};
use crate::{FheError, Parameters};

const DEGREE: usize = 64;
const SLOTS: usize = DEGREE / 2;

struct Setup {
    encoder: Encoder,
    secret: SecretKey,
    public: PublicKey,
    relinearisation: RelinearisationKey,
    galois: GaloisKeys,
    rng: ChaCha20Rng,
}

impl Setup {
    fn new(seed: u64) -> Self {
        Self::with(&[50, 45, 45, 45, 45, 45], &[50, 50], 45, seed)
    }

    fn with(moduli: &[u32], special: &[u32], scale: u32, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let ring = Parameters::insecure(DEGREE, moduli, special).unwrap();
        let parameters = CkksParameters::new(ring, Scale::power_of_two(scale).unwrap()).unwrap();
        let secret = SecretKey::generate(parameters.ring(), &mut rng);
        let exponents = (1..SLOTS as isize).map(|steps| parameters.rotation(steps)).chain([parameters.conjugation()]);
        let galois = GaloisKeys::generate(&secret, exponents, &mut rng).unwrap();
        let relinearisation = RelinearisationKey::generate(&secret, &mut rng).unwrap();
        let public = secret.public_key(&mut rng);
        Self { encoder: Encoder::new(&parameters), secret, public, relinearisation, galois, rng }
    }

    fn unit(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 * (-52_f64).exp2() - 1.0
    }

    fn vector(&mut self, bound: f64) -> Vec<f64> {
        (0..SLOTS).map(|_| self.unit() * bound).collect()
    }

    fn encrypt(&mut self, values: &[f64], bound: f64) -> Ciphertext {
        Ciphertext::encrypt(&self.encoder.encode(values, bound).unwrap(), &self.public, &mut self.rng).unwrap()
    }

    /// A ciphertext decrypts to these values within its own bounds.
    fn check(&self, ciphertext: &Ciphertext, wanted: &[f64]) -> f64 {
        let raw = self.encoder.decode_raw(ciphertext, &self.secret).unwrap();
        let worst = raw.iter().zip(wanted).map(|(a, &b)| Complex::new(a.re - b, a.im).abs()).fold(0.0, f64::max);
        assert!(worst <= ciphertext.error(), "{worst:e} within {:e}", ciphertext.error());
        let largest = wanted.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        assert!(largest <= ciphertext.bound() * (1.0 + 1e-12), "{largest} within {}", ciphertext.bound());
        worst
    }
}

fn zip(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

fn turned(values: &[f64], steps: isize) -> Vec<f64> {
    (0..values.len() as isize).map(|j| values[(j + steps).rem_euclid(values.len() as isize) as usize]).collect()
}

#[test]
fn a_matrix_multiplies_every_block_of_a_vector() {
    let mut setup = Setup::new(3);
    for (rows, columns, block) in [(4, 4, 4), (3, 7, 8), (8, 2, 8), (1, 5, 16), (32, 32, 32), (10, 16, 32), (1, 1, 1)] {
        let entries: Vec<f64> = (0..rows * columns).map(|_| setup.unit()).collect();
        let matrix = Matrix::new(&setup.encoder, &entries, (rows, columns), block, 4).unwrap();
        let x = setup.vector(2.0);
        let mut wanted = vec![0.0; SLOTS];
        for slot in (0..SLOTS).filter(|slot| slot % block < rows) {
            let (start, row) = (slot - slot % block, slot % block);
            wanted[slot] = (0..columns).map(|j| entries[row * columns + j] * x[start + j]).sum();
        }
        let x = setup.encrypt(&x, 2.0);
        let y = matrix.apply(&x, &setup.galois).unwrap();
        assert_eq!((y.level(), matrix.rotations().len() <= 2 * SLOTS), (3, true));
        setup.check(&y, &wanted);
        y.scale().matches(x.scale()).unwrap();
    }
}

#[test]
fn a_polynomial_is_evaluated_at_every_slot() {
    let mut setup = Setup::with(&[50, 45, 45, 45, 45, 45, 45, 45], &[50, 50], 45, 4);
    for length in 2..=40 {
        let coefficients: Vec<f64> =
            (0..length).map(|i| if i % 3 == 1 && i + 1 < length { 0.0 } else { setup.unit() }).collect();
        let polynomial = Polynomial::new(&coefficients).unwrap();
        let x = setup.vector(1.0);
        let wanted: Vec<f64> = x.iter().map(|&x| polynomial.value(x)).collect();
        let x = setup.encrypt(&x, 1.0);
        let y = polynomial.apply(&x, &setup.relinearisation).unwrap();
        assert_eq!(y.level(), 8 - polynomial.depth());
        y.scale().matches(x.scale()).unwrap();
        setup.check(&y, &wanted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn random_circuits_stay_within_their_bounds(seed: u64, steps in prop::collection::vec((0..12_u8, any::<u8>()), 1..14)) {
        let mut setup = Setup::new(seed);
        let clear = [setup.vector(1.0), setup.vector(2.0), setup.vector(0.5)];
        let mut pool: Vec<(Ciphertext, Vec<f64>)> =
            clear.iter().zip([1.0, 2.0, 0.5]).map(|(x, bound)| (setup.encrypt(x, bound), x.clone())).collect();
        for (operation, choice) in steps {
            let (a, x) = pool[usize::from(choice) % pool.len()].clone();
            let (b, y) = pool[usize::from(choice / 16) % pool.len()].clone();
            let level = a.level().min(b.level());
            let (low_a, low_b) = (a.drop_to(level).unwrap(), b.drop_to(level).unwrap());
            let turn = isize::from(choice) - 100;
            let made = match operation {
                0 => low_a.add(&low_b).map(|c| (c, zip(&x, &y, |x, y| x + y))),
                1 => low_a.sub(&low_b).map(|c| (c, zip(&x, &y, |x, y| x - y))),
                2 => low_a.mul_rescale(&low_b, &setup.relinearisation).map(|c| (c, zip(&x, &y, |x, y| x * y))),
                3 => low_a.mul(&low_b, &setup.relinearisation).and_then(|c| c.rescale()).map(|c| (c, zip(&x, &y, |x, y| x * y))),
                4 => a.rotate(turn, &setup.galois).map(|c| (c, turned(&x, turn))),
                5 => a.mul_scalar(-1.75).and_then(|c| c.rescale()).map(|c| (c, x.iter().map(|x| x * -1.75).collect())),
                6 => a.add_scalar(0.375).map(|c| (c, x.iter().map(|x| x + 0.375).collect())),
                7 => a.mul_integer(-3).map(|c| (c, x.iter().map(|x| x * -3.0).collect())),
                8 => {
                    let plain = setup.vector(1.5);
                    let encoded = setup.encoder.encode_at(&plain, 1.5, a.level(), a.last_prime()).unwrap();
                    a.mul_plain(&encoded).and_then(|c| c.rescale()).map(|c| (c, zip(&x, &plain, |x, y| x * y)))
                }
                9 => {
                    let plain = setup.vector(3.0);
                    let encoded = setup.encoder.encode_at(&plain, 3.0, a.level(), a.scale()).unwrap();
                    a.add_plain(&encoded).map(|c| (c, zip(&x, &plain, |x, y| x + y)))
                }
                10 => a.conjugate(&setup.galois).map(|c| (c.neg(), x.iter().map(|x| -x).collect())),
                _ if a.level() > 1 => a.adjust(a.level() - 1, setup.encoder.parameters().scale()).map(|c| (c, x.clone())),
                _ => a.square(&setup.relinearisation).map(|c| (c, zip(&x, &x, |x, y| x * y))),
            };
            match made {
                Ok((c, wanted)) => {
                    setup.check(&c, &wanted);
                    pool.push((c, wanted));
                }
                Err(FheError::Level { .. } | FheError::ScaleCapacity { .. } | FheError::Scales { .. }) => {}
                Err(other) => prop_assert!(false, "unexpected: {}", other),
            }
        }
    }
}
