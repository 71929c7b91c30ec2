//! Key-homomorphic masks of a million entries of 16 bits: a client, the server's sum, and its opening.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use nexus_benches::{integers, rng};
use nexus_fhe::kahe::{KaheParams, KaheRound, KeySum, MODULUS, MaskKey, MaskedSum, MaskedUpdate, RoundBinding};
use rayon::{ThreadPool, ThreadPoolBuilder};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENTRIES: usize = 1_000_000;
const CLIENTS: u32 = 255;

fn one_thread() -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread")
}

fn round() -> KaheRound {
    let params = KaheParams::densest(CLIENTS, 1 << 15, ENTRIES).expect("255 clients of 16 bits fit");
    KaheRound::new(params, &RoundBinding { session: [1; 32], round: 0, model: [2; 32], config: [3; 32] })
}

fn masks(c: &mut Criterion) {
    let round = round();
    println!("kahe: {} bytes for {ENTRIES} entries of one client", round.params().message_bytes());
    println!("kahe: {}", round.params().security());
    let vector = integers(ENTRIES, 16, &mut rng(1));
    let mut keys = vec![0; nexus_fhe::kahe::DEGREE];
    let updates: Vec<MaskedUpdate> = (0..2)
        .map(|client| {
            let key = MaskKey::generate(&round, &mut rng(2 + client));
            for (sum, s) in keys.iter_mut().zip(key.coefficients()) {
                *sum = ((u128::from(*sum) + u128::from(*s)) % u128::from(MODULUS)) as u64;
            }
            key.mask(&vector).expect("entries are in range")
        })
        .collect();
    let mut sum = MaskedSum::new(&round);
    for update in &updates {
        sum.add(update).expect("both have room");
    }
    let keys = KeySum::new(&round, 2, keys).expect("canonical sums");
    assert!(sum.open(&keys).expect("masks cancel").iter().zip(&vector).all(|(sum, x)| *sum == 2 * x));

    let alone = one_thread();
    let mut group = c.benchmark_group("kahe");
    group.throughput(Throughput::Elements(ENTRIES as u64)).sample_size(30);
    let mut random = rng(5);
    let mut mask = || MaskKey::generate(&round, &mut random).mask(black_box(&vector));
    group.bench_function("mask/all threads", |b| b.iter(&mut mask));
    group.bench_function("mask/one thread", |b| alone.install(|| b.iter(&mut mask)));
    let fresh = || {
        let mut sum = MaskedSum::new(&round);
        sum.add(&updates[0]).expect("there is room");
        sum
    };
    let add = |sum: &mut MaskedSum| sum.add(black_box(&updates[1]));
    group.bench_function("add/one thread", |b| {
        alone.install(|| b.iter_batched_ref(fresh, add, BatchSize::PerIteration));
    });
    group.bench_function("read/one thread", |b| {
        let copy = || updates[0].as_bytes().to_vec();
        b.iter_batched(copy, |bytes| MaskedUpdate::from_bytes(&round, bytes), BatchSize::PerIteration);
    });
    let open = || sum.open(black_box(&keys));
    group.bench_function("open/all threads", |b| b.iter(open));
    group.bench_function("open/one thread", |b| alone.install(|| b.iter(open)));
    group.finish();
}

criterion_group!(benches, masks);
criterion_main!(benches);
