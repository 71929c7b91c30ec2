//! Proofs of training: proving with and without zero knowledge, and verifying, by network and steps.
//!
//! One and eight steps by default; `LONG=1 cargo bench -p nexus-benches --bench training_proof` adds 64, which
//! takes many minutes and several GB. Bytes and peak memory of each case are printed once, before it is timed.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use nexus_circuits::reference::{Clip, Examples, FixedPoint, Integers, Schedule, Shape, TrainingPlan, Weights};
use nexus_circuits::training::{DataCommitment, DataSecret, Proof, Statement, TransparentProof};
use nexus_federated::data::Dataset;
use nexus_federated::model::Model;
use rand_chacha::ChaCha20Rng;

/// Keeps big buffers between phases: threads that fault pages in, one beside the other, take twice as long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SESSION: &[u8] = b"bench";
/// LeNet-5 (LeCun et al. 1998) with averages and ReLU.
const LENET_5: &str = "28x28x1-6c5p2-a2-16c5-a2-120-84-10";
/// A client's share of MNIST-10k among a hundred.
const EXAMPLES: usize = 100;

struct Case {
    data: Dataset,
    plan: TrainingPlan,
    start: Weights,
    clip: Clip,
}

impl Case {
    fn new(shape: &str, batch: usize, steps: usize) -> Self {
        // In worst cases a convolution's weights move further, by the count of its positions.
        let rate_shift = if shape.contains('c') { 8 } else { 4 };
        let data = if shape.starts_with("64") { Dataset::digits() } else { Dataset::mnist10k() };
        let data = data.subset(&(0..EXAMPLES).collect::<Vec<_>>());
        let shape: Shape = shape.parse().expect("a valid shape");
        let start = Model::initial(&shape, FixedPoint::V1, &mut nexus_benches::rng(3)).expect("weights in range");
        let plan = TrainingPlan::new(shape.clone(), FixedPoint::V1, batch, steps, rate_shift).expect("a valid plan");
        let clip = Clip::new(1 << 15, 4, shape.parameters()).expect("a valid clip");
        Self { data, plan, start: start.weights().clone(), clip }
    }

    fn examples(&self) -> Examples<'_> {
        Examples::new(self.data.inputs(), self.data.labels(), self.data.features()).expect("whole rows")
    }

    /// A statement about a copy of the data that no proof has used.
    fn register(&self, rng: &mut ChaCha20Rng) -> (Statement, DataSecret) {
        let (data, secret, _) = DataCommitment::new(self.examples(), 1, SESSION, rng).expect("data that fits");
        let seed = Schedule::seed(&[1; 32], &data.digest(), 0, 0);
        let statement = Statement::new(self.plan.clone(), self.start.clone(), data, 0, seed, Some(self.clip));
        (statement.expect("a valid statement"), secret)
    }

    fn prove(&self, (statement, mut secret): (Statement, DataSecret), rng: &mut ChaCha20Rng) -> Proof {
        let proven = Proof::new(&statement, &mut secret, self.examples(), Integers, SESSION, rng);
        proven.expect("an honest prover").0
    }

    fn prove_transparently(&self, (statement, mut secret): (Statement, DataSecret), rng: &mut ChaCha20Rng) {
        let proven = TransparentProof::new(&statement, &mut secret, self.examples(), Integers, SESSION, rng);
        proven.expect("an honest prover");
    }
}

fn training_proof(c: &mut Criterion) {
    let mut group = c.benchmark_group("training proof");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(5));
    let long = std::env::var_os("LONG").is_some_and(|value| value != "0");
    for steps in [1, 8, 64] {
        // LeNet-5 has a million activations in 64 steps of two examples.
        for (shape, batch) in [("64-32-10", 16), ("784-128-10", 64), (LENET_5, if steps < 64 { 16 } else { 2 })] {
            if steps < 64 || long {
                measure(&mut group, shape, batch, steps);
            }
        }
    }
    group.finish();
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, shape: &str, batch: usize, steps: usize) {
    let case = Case::new(shape, batch, steps);
    let rng = &mut nexus_benches::rng(6);
    let name = format!("{shape}, batch {batch}, {steps} steps");
    group.throughput(Throughput::Elements((batch * steps) as u64));

    reset_peak();
    let (statement, secret) = case.register(rng);
    let proof = case.prove((statement.clone(), secret), rng);
    println!(
        "{name}: proof of {} bytes, 2^{} committed entries, {:.1} bits, peak memory {}",
        proof.to_bytes().len(),
        statement.variables(),
        statement.security_report().expect("a provable statement").bits(),
        peak()
    );
    proof.verify(&statement, SESSION).expect("an honest proof");
    group.bench_function(BenchmarkId::new("verify", &name), |b| b.iter(|| proof.verify(&statement, SESSION)));

    let registration = &mut nexus_benches::rng(7);
    group.bench_function(BenchmarkId::new("prove", &name), |b| {
        b.iter_batched(
            || case.register(registration),
            |registered| case.prove(registered, rng),
            BatchSize::PerIteration,
        );
    });
    group.bench_function(BenchmarkId::new("prove, transparent", &name), |b| {
        b.iter_batched(
            || case.register(registration),
            |registered| case.prove_transparently(registered, rng),
            BatchSize::PerIteration,
        );
    });
}

/// Sets the process's peak memory back to what it uses now, where Linux lets it.
fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").ok();
}

/// The process's peak memory since [`reset_peak`], where Linux tells it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or_else(|| "unknown".to_owned(), |peak| peak.trim().to_owned())
}

criterion_group!(benches, training_proof);
criterion_main!(benches);
