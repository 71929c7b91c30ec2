use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;

#[test]
fn a_million_values_take_the_stated_number_of_ciphertexts() {
    let (ring, mut rng) = (update_ring(), ChaCha20Rng::seed_from_u64(1));
    let packing = Packing::new(&ring, 16, 32_767, Opened::ByParties { parties: 16, flooding: 40 }).unwrap();
    println!("{} {} {}", packing.values_a_coefficient(), packing.bits(), packing.ciphertexts(1_000_000));
    let key = SecretKey::generate(&ring, &mut rng);
    let public = key.public_key(&mut rng);
    let values: Vec<i64> = (0..1_000_000).map(|_| (rng.next_u64() % 65535) as i64 - 32767).collect();
    for _ in 0..3 {
        let start = std::time::Instant::now();
        let update = packing.encrypt(&values, &public, &mut rng).unwrap();
        println!("encrypt {:?}", start.elapsed());
        let bytes = update.to_bytes();
        println!("bytes {:?} {}", start.elapsed(), bytes.len());
        let back = EncryptedUpdate::from_bytes(&packing, values.len(), &bytes).unwrap();
        println!("read {:?}", start.elapsed());
        assert_eq!(back.decrypt(&key).unwrap(), values);
        println!("decrypt {:?}", start.elapsed());
    }
}
