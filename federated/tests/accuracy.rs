//! Fixed-point training against float SGD of the same start, schedule and rate, on real digits.

use std::time::Instant;

use nexus_circuits::reference::{Examples, FixedPoint, Loss, Schedule, Shape, TrainingPlan};
use nexus_federated::data::Dataset;
use nexus_federated::model::Model;
use nexus_federated::train::{CandleProducts, ExactTrainer, FloatSgd};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// What is learnt, and how.
struct Recipe {
    shape: &'static str,
    loss: Loss,
    batch: usize,
    steps: usize,
    rate_shift: i32,
}

impl Recipe {
    fn plan(&self, shape: &Shape, steps: usize) -> TrainingPlan {
        TrainingPlan::with_loss(shape.clone(), FixedPoint::V1, self.loss, self.batch, steps, self.rate_shift)
            .expect("a plan")
    }

    /// A trainer, for pieces of as many steps as keep every sum, in the worst case over all data, within the exact
    /// integers of candle's products: 50 at most.
    fn trainer(&self, shape: &Shape) -> (ExactTrainer, usize) {
        let exact = |steps: usize| {
            let (format, rate_shift) = (FixedPoint::V1, self.rate_shift);
            let plan = TrainingPlan::with_loss(shape.clone(), format, self.loss, self.batch, steps, rate_shift).ok()?;
            Some((CandleProducts::trainer(plan).ok()?, steps))
        };
        [50, 20, 10, 5, 2, 1].into_iter().find_map(exact).expect("one exact step")
    }
}

/// Test accuracies: in integers, and in floats.
fn accuracies(data: &Dataset, recipe: &Recipe) -> (f64, f64) {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let (train, test) = data.train_test(0.2, rng).expect("a split");
    let shape: Shape = recipe.shape.parse().expect("a shape");
    let (mut exact, piece) = recipe.trainer(&shape);
    let schedules: Vec<Schedule> = (0..recipe.steps / piece)
        .map(|piece| [piece as u8, (piece >> 8) as u8])
        .map(|[low, high]| std::array::from_fn(|i| if i == 0 { high } else { low }))
        .map(|seed| Schedule::new(seed, train.len(), recipe.batch, piece).expect("a schedule"))
        .collect();
    let start = Model::initial(&shape, FixedPoint::V1, rng).expect("a model");

    let started = Instant::now();
    let examples = Examples::new(train.inputs(), train.labels(), train.features()).expect("whole rows");
    let mut trained = start.weights().clone();
    for schedule in &schedules {
        trained = exact.train(&trained, examples, schedule).expect("training");
    }
    let examples = Examples::new(test.inputs(), test.labels(), test.features()).expect("whole rows");
    let integers = exact.accuracy(&trained, examples).expect("predictions");
    let first = started.elapsed();

    let started = Instant::now();
    let mut float = FloatSgd::new(&start, &recipe.plan(&shape, 1)).expect("tensors");
    for schedule in &schedules {
        float.train(&train, schedule).expect("training");
    }
    let floats = float.accuracy(&test).expect("predictions");
    println!("pieces of {piece}; {first:.1?} in integers, {:.1?} in floats", started.elapsed());
    (integers, floats)
}

fn within_a_point(name: &str, (integers, floats): (f64, f64), floor: f64) {
    println!("{name}: {:.2} % in integers, {:.2} % in floats", 100.0 * integers, 100.0 * floats);
    assert!((integers - floats).abs() <= 0.01, "{name}: {integers} in integers, {floats} in floats");
    assert!(floats >= floor, "{name}: float SGD itself must learn, got {floats}");
}

fn compare(data: &Dataset, recipe: &Recipe, floor: f64) {
    let name = format!("{} {} on the {}", data.name(), recipe.shape, recipe.loss);
    within_a_point(&name, accuracies(data, recipe), floor);
}

const LOSSES: [Loss; 2] = [Loss::SquaredError, Loss::CrossEntropy];

#[test]
fn digits_are_learnt_as_well_in_integers_as_in_floats() {
    let digits = Dataset::digits();
    for loss in LOSSES {
        compare(&digits, &Recipe { shape: "64-10", loss, batch: 32, steps: 1_500, rate_shift: 4 }, 0.90);
        compare(&digits, &Recipe { shape: "64-32-10", loss, batch: 32, steps: 1_500, rate_shift: 4 }, 0.93);
    }
}

#[test]
fn digits_are_learnt_as_well_by_convolutions_in_integers_as_in_floats() {
    let digits = Dataset::digits();
    let shape = "8x8x1-8c3p1-a2-16c3p1-a2-10";
    for (loss, floor) in [(Loss::SquaredError, 0.88), (Loss::CrossEntropy, 0.92)] {
        compare(&digits, &Recipe { shape, loss, batch: 16, steps: 1_000, rate_shift: 3 }, floor);
    }
}

#[test]
fn mnist_is_learnt_as_well_in_integers_as_in_floats() {
    let mnist = Dataset::mnist10k();
    let recipe = Recipe { shape: "784-128-10", loss: Loss::SquaredError, batch: 64, steps: 800, rate_shift: 4 };
    compare(&mnist, &recipe, 0.88);
}

#[test]
#[ignore = "two minutes: LeNet-5 four times, in floats most of it"]
fn mnist_is_learnt_as_well_by_lenet_5_in_integers_as_in_floats() {
    let mnist = Dataset::mnist10k();
    let shape = "28x28x1-6c5p2-a2-16c5-a2-120-84-10";
    for loss in LOSSES {
        compare(&mnist, &Recipe { shape, loss, batch: 32, steps: 500, rate_shift: 4 }, 0.85);
    }
}
