//! One step of fixed-point SGD: the reference's plain integers, the same integers through candle, and candle's floats.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nexus_circuits::reference::{Examples, FixedPoint, Integers, Schedule, Sgd, Shape, TrainingPlan};
use nexus_federated::data::Dataset;
use nexus_federated::model::Model;
use nexus_federated::train::{CandleProducts, FloatSgd};

fn training(c: &mut Criterion) {
    let mut group = c.benchmark_group("training step");
    for (shape, batch) in [("64-10", 16), ("64-32-10", 16), ("784-128-10", 64)] {
        let data = if shape.starts_with("64") { Dataset::digits() } else { Dataset::mnist10k() };
        let shape: Shape = shape.parse().expect("a valid shape");
        let plan = TrainingPlan::new(shape.clone(), FixedPoint::V1, batch, 1, 4).expect("a valid plan");
        let schedule = Schedule::new([1; 32], data.len(), batch, 1).expect("a valid schedule");
        let start = Model::initial(&shape, FixedPoint::V1, &mut nexus_benches::rng(3)).expect("weights in range");
        let examples = Examples::new(data.inputs(), data.labels(), data.features()).expect("whole rows");
        group.throughput(Throughput::Elements(batch as u64));
        let id = |name| BenchmarkId::new(name, format!("{shape}, batch {batch}"));
        let mut reference = Sgd::new(plan.clone(), Integers);
        group.bench_function(id("plain integers"), |b| {
            b.iter(|| reference.train(start.weights(), examples, &schedule));
        });
        let mut candle = CandleProducts::trainer(plan.clone()).expect("an exact plan");
        group.bench_function(id("candle, exact"), |b| {
            b.iter(|| candle.train(start.weights(), examples, &schedule));
        });
        let mut float = FloatSgd::new(&start, &plan).expect("tensors");
        group.bench_function(id("candle, float"), |b| b.iter(|| float.train(&data, &schedule)));
    }
    group.finish();
}

criterion_group!(benches, training);
criterion_main!(benches);
