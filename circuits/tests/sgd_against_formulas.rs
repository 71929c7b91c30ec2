//! The trainer against the formulas of the statement, written out once more example by example in wide integers.

use nexus_circuits::CircuitError;
use nexus_circuits::reference::{
    Examples, FixedPoint, Integers, Schedule, Sgd, Shape, TrainError, TrainingPlan, Weights,
};
use proptest::prelude::*;

fn round_floor(z: i128, f: u32) -> i128 {
    (z + (1i128 << f) / 2).div_euclid(1i128 << f)
}

fn clamp(v: i128, bits: u32) -> i128 {
    v.max(-(1i128 << (bits - 1))).min((1i128 << (bits - 1)) - 1)
}

/// One step of "fixed-point SGD v1", by the book: `w[layer][row][column]`, the bias row last.
fn step(w: &mut [Vec<Vec<i128>>], x: &[Vec<i128>], y: &[usize], q: FixedPoint, rate_shift: i32) {
    let (wf, af, ab) = (q.weight_fraction, q.activation_fraction, q.activation_bits);
    let depth = w.len();
    let mut gradients: Vec<Vec<Vec<i128>>> =
        w.iter().map(|layer| layer.iter().map(|row| vec![0; row.len()]).collect()).collect();
    for (input, &label) in x.iter().zip(y) {
        let mut entering = vec![input.clone()];
        let mut on = vec![];
        for (l, layer) in w.iter().enumerate() {
            let fraction = if l == 0 { 8 } else { af };
            let mut row = entering[l].clone();
            row.push(1i128 << fraction);
            let out: Vec<i128> = (0..layer[0].len())
                .map(|j| {
                    let z: i128 = row.iter().zip(layer).map(|(a, weights)| a * weights[j]).sum();
                    clamp(round_floor(z, fraction + wf - af), ab)
                })
                .collect();
            entering[l] = row;
            on.push(out.iter().map(|&v| v >= 1).collect::<Vec<_>>());
            entering.push(if l + 1 == depth { out } else { out.into_iter().map(|v| v.max(0)).collect() });
        }
        let mut error: Vec<i128> =
            entering[depth].iter().enumerate().map(|(j, &a)| a - if j == label { 1i128 << af } else { 0 }).collect();
        for l in (0..depth).rev() {
            for (i, a) in entering[l].iter().enumerate() {
                for (j, e) in error.iter().enumerate() {
                    gradients[l][i][j] += a * e;
                }
            }
            if l > 0 {
                error = (0..w[l].len() - 1)
                    .map(|i| {
                        let z: i128 = error.iter().zip(&w[l][i]).map(|(e, weight)| e * weight).sum();
                        if on[l - 1][i] { clamp(round_floor(z, wf), ab) } else { 0 }
                    })
                    .collect();
            }
        }
    }
    let log_batch = x.len().ilog2() as i32;
    for (l, layer) in w.iter_mut().enumerate() {
        let fraction = if l == 0 { 8 } else { af as i32 };
        let shift = (fraction + af as i32 - wf as i32 + log_batch + rate_shift) as u32;
        for (row, gradient) in layer.iter_mut().zip(&gradients[l]) {
            for (weight, g) in row.iter_mut().zip(gradient) {
                *weight -= round_floor(*g, shift);
            }
        }
    }
}

fn flatten(w: &[Vec<Vec<i128>>]) -> Vec<i32> {
    w.iter().flatten().flatten().map(|&v| v as i32).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn training_is_what_the_formulas_say(
        widths in proptest::collection::vec(1usize..7, 2..5),
        log_batch in 0u32..4,
        steps in 1usize..4,
        examples in 1usize..9,
        // Large weights too, so that every saturation is met.
        magnitude in prop_oneof![Just(18u32), Just(21), Just(24)],
        seed in any::<u64>(),
    ) {
        let mut state = seed | 1;
        let mut next = move |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        let shape = Shape::new(&widths).unwrap();
        let format = FixedPoint::V1;
        let batch = 1 << log_batch;
        let plan = TrainingPlan::new(shape.clone(), format, batch, steps, 1).unwrap();
        let half = 1i64 << (magnitude - 1);
        let values: Vec<i32> = (0..shape.parameters()).map(|_| (next(2 * half as u64) as i64 - half) as i32).collect();
        let inputs: Vec<u8> = (0..examples * shape.inputs()).map(|_| next(256) as u8).collect();
        let labels: Vec<u8> = (0..examples).map(|_| next(shape.outputs() as u64) as u8).collect();
        let start = Weights::new(&shape, values.clone(), format).unwrap();
        let schedule = Schedule::new([3; 32], examples, batch, steps).unwrap();
        let borrowed = Examples::new(&inputs, &labels, shape.inputs()).unwrap();
        let trained = Sgd::new(plan, Integers).train(&start, borrowed, &schedule).unwrap();

        let mut w: Vec<Vec<Vec<i128>>> = shape
            .layers()
            .map(|l| values[l.range()].chunks(l.outputs).map(|row| row.iter().map(|&v| v.into()).collect()).collect())
            .collect();
        for indices in schedule.batches() {
            let x: Vec<Vec<i128>> = indices
                .iter()
                .map(|&i| inputs[i as usize * shape.inputs()..][..shape.inputs()].iter().map(|&v| v.into()).collect())
                .collect();
            let y: Vec<usize> = indices.iter().map(|&i| labels[i as usize].into()).collect();
            step(&mut w, &x, &y, format, 1);
        }
        prop_assert_eq!(trained.values(), flatten(&w));
    }
}

#[test]
fn one_step_by_hand() {
    // One input of 1/2 (128/256), one output, weight 1, bias 0, label 0 (target 1): Z = 1/2, E = −1/2.
    // dw = 1/2 · −1/2 = −1/4, db = −1/2; rate 1/2 moves them by 1/8 and 1/4.
    let shape = Shape::new(&[1, 1]).unwrap();
    let start = Weights::new(&shape, vec![1 << 20, 0], FixedPoint::V1).unwrap();
    let plan = TrainingPlan::new(shape, FixedPoint::V1, 1, 1, 1).unwrap();
    let schedule = Schedule::new([0; 32], 1, 1, 1).unwrap();
    let trained = Sgd::new(plan, Integers).train(&start, Examples::new(&[128], &[0], 1).unwrap(), &schedule).unwrap();
    assert_eq!(trained.values(), [(1 << 20) + (1 << 17), 1 << 18]);
}

#[test]
fn what_does_not_belong_to_the_plan_is_named() {
    let shape = Shape::new(&[2, 2]).unwrap();
    let plan = TrainingPlan::new(shape.clone(), FixedPoint::V1, 1, 1, 1).unwrap();
    let schedule = Schedule::new([0; 32], 1, 1, 1).unwrap();
    let weights = Weights::zeros(&shape);
    let mut sgd = Sgd::new(plan, Integers);
    let mut refused = |weights: &Weights, inputs: &[u8], labels: &[u8], features, schedule: &Schedule| match sgd.train(
        weights,
        Examples::new(inputs, labels, features).unwrap(),
        schedule,
    ) {
        Err(TrainError::Refused(error)) => error,
        other => panic!("{other:?}"),
    };
    let other = Weights::zeros(&Shape::new(&[2, 1]).unwrap());
    let mismatch = |what, expected, got| CircuitError::Mismatch { what, expected, got };
    assert_eq!(refused(&other, &[1, 2], &[0], 2, &schedule), mismatch("parameters of the start model", 6, 3));
    assert_eq!(refused(&weights, &[1], &[0], 1, &schedule), mismatch("features of an example", 2, 1));
    assert_eq!(
        refused(&weights, &[1, 2], &[2], 2, &schedule),
        CircuitError::OutOfRange { field: "label", value: 2, min: 0, max: 1 }
    );
    let long = Schedule::new([0; 32], 1, 1, 2).unwrap();
    assert_eq!(refused(&weights, &[1, 2], &[0], 2, &long), mismatch("steps of the schedule", 1, 2));
    let wide = Schedule::new([0; 32], 1, 2, 1).unwrap();
    assert_eq!(refused(&weights, &[1, 2], &[0], 2, &wide), mismatch("examples of a batch", 1, 2));
    let beyond = Schedule::new([0; 32], 9, 1, 1).unwrap();
    assert!(matches!(
        refused(&weights, &[1, 2], &[0], 2, &beyond),
        CircuitError::OutOfRange { field: "example index", .. }
    ));
    assert!(matches!(Examples::new(&[1, 2, 3], &[0], 2), Err(CircuitError::Mismatch { what: "input bytes", .. })));
}
