//! Draws of the exact discrete Gaussian.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nexus_dp::sample::{DiscreteGaussian, Variance};

fn noise(c: &mut Criterion) {
    const DRAWS: usize = 100_000;
    let mut group = c.benchmark_group("discrete Gaussian");
    group.throughput(Throughput::Elements(DRAWS as u64));
    group.sample_size(20);
    for sigma in [2u64, 450, 7_000, 1_000_000] {
        let variance = Variance::new(sigma * sigma, 1).expect("a variance in range");
        let sampler = DiscreteGaussian::new(variance);
        let mut values = vec![0; DRAWS];
        let rng = &mut nexus_benches::rng(2);
        group.bench_function(BenchmarkId::new("exact", format!("sigma {sigma}")), |b| {
            b.iter(|| sampler.fill(&mut values, rng));
        });
    }
    group.finish();
}

criterion_group!(benches, noise);
criterion_main!(benches);
