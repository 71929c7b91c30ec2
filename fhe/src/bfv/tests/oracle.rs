//! The same values through the `fhe` crate, written by others.

use std::sync::Arc;

use fhe::bfv::{self as theirs, Encoding};
use fhe_traits::{FheDecoder, FheDecrypter, FheEncoder, FheEncrypter};
use oracle_rand::rand_core::SeedableRng as _;

use super::*;

const DEGREE: usize = 1 << 11;
const MODULUS: u64 = 65537;

struct Oracle {
    parameters: Arc<theirs::BfvParameters>,
    secret: theirs::SecretKey,
    relinearisation: theirs::RelinearizationKey,
    evaluation: theirs::EvaluationKey,
    rng: oracle_rand::ChaCha8Rng,
}

impl Oracle {
    fn new(steps: usize) -> Self {
        let mut rng = oracle_rand::ChaCha8Rng::seed_from_u64(1);
        let parameters = theirs::BfvParametersBuilder::new()
            .set_degree(DEGREE)
            .set_plaintext_modulus(MODULUS)
            .set_moduli_sizes(&[50; 4])
            .build_arc()
            .unwrap();
        let secret = theirs::SecretKey::random(&parameters, &mut rng);
        let relinearisation = theirs::RelinearizationKey::new(&secret, &mut rng).unwrap();
        let evaluation = theirs::EvaluationKeyBuilder::new(&secret)
            .unwrap()
            .enable_row_rotation()
            .unwrap()
            .enable_column_rotation(steps)
            .unwrap()
            .build(&mut rng)
            .unwrap();
        Self { parameters, secret, relinearisation, evaluation, rng }
    }

    fn encrypt(&mut self, values: &[i64], encoding: &Encoding) -> theirs::Ciphertext {
        let plaintext = theirs::Plaintext::try_encode(values, encoding.clone(), &self.parameters).unwrap();
        self.secret.try_encrypt(&plaintext, &mut self.rng).unwrap()
    }

    fn decrypt(&self, ciphertext: &theirs::Ciphertext, encoding: &Encoding) -> Vec<i64> {
        let plaintext = self.secret.try_decrypt(ciphertext).unwrap();
        Vec::<i64>::try_decode(&plaintext, encoding.clone()).unwrap()
    }
}

#[test]
fn another_implementation_computes_the_same_values() {
    let (steps, mut rng) = (7, ChaCha20Rng::seed_from_u64(4));
    let mut oracle = Oracle::new(steps);
    let ours = Setting::new(DEGREE, &[50; 4], &[50, 50], PlaintextModulus::prime(MODULUS).unwrap(), &[steps as i64]);
    let coefficients = Coefficients::new(&ours.parameters);
    let slots = Slots::new(&ours.parameters).unwrap();
    for (round, encoding) in [Encoding::simd(), Encoding::poly()].into_iter().enumerate() {
        let encode = |values: &[i64]| if round == 0 { slots.encode(values) } else { coefficients.encode(values) };
        let open = |ciphertext: &BfvCiphertext| {
            let plaintext = ciphertext.decrypt(&ours.secret).unwrap();
            if round == 0 { slots.decode(&plaintext) } else { coefficients.decode(&plaintext) }.unwrap()
        };
        let mut draw = || -> Vec<i64> { (0..DEGREE).map(|_| (rng.next_u64() % MODULUS) as i64 - 32768).collect() };
        let (x, y, z) = (draw(), draw(), draw());
        let [a, b, c] = [&x, &y, &z].map(|values| ours.encrypt(&encode(values).unwrap()));
        let [theirs_a, theirs_b, theirs_c] = [&x, &y, &z].map(|values| oracle.encrypt(values, &encoding));

        // a·b + c, and (a·b)·c
        let mut sum = a.mul(&b, &ours.relinearisation).unwrap();
        let mut theirs_sum = &theirs_a * &theirs_b;
        oracle.relinearisation.relinearizes(&mut theirs_sum).unwrap();
        let product = sum.mul(&c, &ours.relinearisation).unwrap();
        let mut theirs_product = &theirs_sum * &theirs_c;
        oracle.relinearisation.relinearizes(&mut theirs_product).unwrap();
        assert_eq!(open(&product), oracle.decrypt(&theirs_product, &encoding));
        sum.add_assign(&c).unwrap();
        assert_eq!(open(&sum), oracle.decrypt(&(&theirs_sum + &theirs_c), &encoding));

        // Both rotate to the left, and swap.
        let rotated = a.rotate(steps as i64, &ours.galois).unwrap();
        let theirs_rotated = oracle.evaluation.rotates_columns_by(&theirs_a, steps).unwrap();
        assert_eq!(open(&rotated), oracle.decrypt(&theirs_rotated, &encoding));
        let swapped = a.swap_rows(&ours.galois).unwrap();
        assert_eq!(open(&swapped), oracle.decrypt(&oracle.evaluation.rotates_rows(&theirs_a).unwrap(), &encoding));
    }
}
