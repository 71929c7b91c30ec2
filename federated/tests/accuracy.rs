//! Fixed-point training against float SGD of the same start, schedule and rate, on real digits.

use nexus_circuits::reference::{Examples, FixedPoint, Schedule, Shape, TrainingPlan};
use nexus_federated::data::Dataset;
use nexus_federated::model::Model;
use nexus_federated::train::{CandleProducts, FloatSgd};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// Steps of one plan: so many that weights cannot, in the worst case over all data, grow beyond the exact integers.
const PIECE: usize = 50;

/// Test accuracies after `steps` steps: in integers, and in floats.
fn accuracies(data: &Dataset, shape: &str, batch: usize, steps: usize, rate_shift: i32) -> (f64, f64) {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let (train, test) = data.train_test(0.2, rng).expect("a split");
    let shape: Shape = shape.parse().expect("a shape");
    let plan = TrainingPlan::new(shape.clone(), FixedPoint::V1, batch, PIECE, rate_shift).expect("a plan");
    let schedules: Vec<Schedule> = (0..steps / PIECE)
        .map(|piece| Schedule::new([piece as u8; 32], train.len(), batch, PIECE).expect("a schedule"))
        .collect();
    let start = Model::initial(&shape, FixedPoint::V1, rng).expect("a model");
    let borrow = |data: &Dataset| -> (Vec<u8>, Vec<u8>) { (data.inputs().to_vec(), data.labels().to_vec()) };

    let (inputs, labels) = borrow(&train);
    let examples = Examples::new(&inputs, &labels, train.features()).expect("whole rows");
    let mut exact = CandleProducts::trainer(plan.clone()).expect("an exact plan");
    let mut trained = start.weights().clone();
    for schedule in &schedules {
        trained = exact.train(&trained, examples, schedule).expect("training");
    }
    let (inputs, labels) = borrow(&test);
    let examples = Examples::new(&inputs, &labels, test.features()).expect("whole rows");
    let integers = exact.accuracy(&trained, examples).expect("predictions");

    let mut float = FloatSgd::new(&start, &plan).expect("tensors");
    for schedule in &schedules {
        float.train(&train, schedule).expect("training");
    }
    (integers, float.accuracy(&test).expect("predictions"))
}

fn within_a_point(name: &str, (integers, floats): (f64, f64), floor: f64) {
    println!("{name}: {:.2} % in integers, {:.2} % in floats", 100.0 * integers, 100.0 * floats);
    assert!((integers - floats).abs() <= 0.01, "{name}: {integers} in integers, {floats} in floats");
    assert!(floats >= floor, "{name}: float SGD itself must learn, got {floats}");
}

#[test]
fn digits_are_learnt_as_well_in_integers_as_in_floats() {
    let digits = Dataset::digits();
    within_a_point("digits 64-10", accuracies(&digits, "64-10", 32, 1_500, 4), 0.90);
    within_a_point("digits 64-32-10", accuracies(&digits, "64-32-10", 32, 1_500, 4), 0.93);
}

#[test]
fn mnist_is_learnt_as_well_in_integers_as_in_floats() {
    let mnist = Dataset::mnist10k();
    within_a_point("MNIST-10k 784-128-10", accuracies(&mnist, "784-128-10", 64, 800, 4), 0.88);
}
