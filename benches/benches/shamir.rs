//! Shamir sharing of one secret, over the Ristretto scalar field and over Goldilocks.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use curve25519_dalek::Scalar;
use nexus_mpc::share::{Lagrange, Point, Shamir, Share, ShareField};
use p3_goldilocks::Goldilocks;

fn field<F: ShareField>(c: &mut Criterion, name: &str) {
    let mut group = c.benchmark_group(format!("shamir {name}"));
    for (threshold, parties) in [(14, 20), (67, 100)] {
        let id = format!("{threshold} of {parties}");
        let rng = &mut nexus_benches::rng(1);
        let sharing = Shamir::new(threshold, parties).expect("a threshold below the parties");
        let points: Vec<Point> = (0..parties).map(Point::of_index).collect();
        let secret = F::random(rng);
        group.throughput(Throughput::Elements(parties as u64));
        group.bench_function(BenchmarkId::new("split", &id), |b| b.iter(|| sharing.split(secret, &points, rng)));
        let shares: Vec<Share<F>> = sharing.split(secret, &points, rng).expect("distinct points");
        let used = &shares[..threshold];
        group.throughput(Throughput::Elements(threshold as u64));
        group.bench_function(BenchmarkId::new("reconstruct", &id), |b| b.iter(|| sharing.reconstruct(used)));
        let coefficients = Lagrange::<F>::new(&points[..threshold]).expect("distinct points");
        group.bench_function(BenchmarkId::new("reconstruct, coefficients at hand", &id), |b| {
            b.iter(|| coefficients.reconstruct(used));
        });
    }
    group.finish();
}

fn shamir(c: &mut Criterion) {
    field::<Scalar>(c, "over Ristretto scalars");
    field::<Goldilocks>(c, "over Goldilocks");
}

criterion_group!(benches, shamir);
criterion_main!(benches);
