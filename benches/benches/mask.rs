//! Expansion of a mask: AES-128 in counter mode, added to a vector of 32-bit entries.

use std::hint::black_box;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nexus_mpc::mask::{Mask, MaskSeed, Sign, apply};

fn masks(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask");
    let masks = [Mask { seed: MaskSeed::derive(&[7; 32], &[b"bench"]), sign: Sign::Minus }];
    for length in [1usize << 10, 1 << 15, 1_000_000] {
        group.throughput(Throughput::Bytes(4 * length as u64));
        let mut values = vec![0u32; length];
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
        group.bench_function(BenchmarkId::new("one thread", length), |b| {
            // The hop into the pool is not what is timed.
            b.iter_custom(|times| {
                alone.install(|| {
                    let begun = Instant::now();
                    for _ in 0..times {
                        apply(black_box(&masks), &mut values);
                    }
                    begun.elapsed()
                })
            });
        });
        group.bench_function(BenchmarkId::new("all threads", length), |b| b.iter(|| apply(&masks, &mut values)));
    }
    group.finish();
}

criterion_group!(benches, masks);
criterion_main!(benches);
