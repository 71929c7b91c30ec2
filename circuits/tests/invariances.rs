//! What must not matter: how a network is written, and the order of pixels, channels, hidden units and classes, if the
//! weights are in the same order.

use nexus_circuits::reference::{Examples, FixedPoint, Integers, Loss, Schedule, Sgd, Shape, TrainingPlan, Weights};
use proptest::prelude::*;

const LOSSES: [Loss; 2] = [Loss::SquaredError, Loss::CrossEntropy];
const EXAMPLES: usize = 6;

/// Weights, inputs and labels that a seed determines.
struct Case {
    values: Vec<i32>,
    inputs: Vec<u8>,
    labels: Vec<u8>,
}

impl Case {
    fn new(shape: &Shape, seed: u64) -> Self {
        let mut state = seed | 1;
        let mut next = move |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        Self {
            values: (0..shape.parameters()).map(|_| next(1 << 22) as i32 - (1 << 21)).collect(),
            inputs: (0..EXAMPLES * shape.inputs()).map(|_| next(256) as u8).collect(),
            labels: (0..EXAMPLES).map(|_| next(shape.outputs() as u64) as u8).collect(),
        }
    }

    /// The weights after three steps.
    fn train(&self, shape: &str, loss: Loss) -> Vec<i32> {
        let shape: Shape = shape.parse().unwrap();
        let start = Weights::new(&shape, self.values.clone(), FixedPoint::V1).unwrap();
        let plan = TrainingPlan::with_loss(shape.clone(), FixedPoint::V1, loss, 4, 3, 4).unwrap();
        let schedule = Schedule::new([5; 32], EXAMPLES, 4, 3).unwrap();
        let examples = Examples::new(&self.inputs, &self.labels, shape.inputs()).unwrap();
        let trained = Sgd::new(plan, Integers).train(&start, examples, &schedule).unwrap();
        assert_ne!(trained.values(), self.values, "something is learnt");
        trained.values().to_vec()
    }
}

/// In each block of `block` values, the row of `width` at `order[i]` is moved to `i`; rows beyond the order stay.
fn moved<T: Copy>(values: &[T], block: usize, width: usize, order: &[usize]) -> Vec<T> {
    let blocks = values.chunks_exact(block).map(|block| {
        let (first, rest) = block.split_at(order.len() * width);
        let rows = order.iter().flat_map(|&i| &first[i * width..][..width]);
        rows.chain(rest).copied().collect::<Vec<T>>()
    });
    blocks.flatten().collect()
}

/// The positions of a `height × width` grid read column by column.
fn transposed(height: usize, width: usize) -> Vec<usize> {
    (0..width).flat_map(|x| (0..height).map(move |y| y * width + x)).collect()
}

fn permutation(length: usize) -> impl Strategy<Value = Vec<usize>> {
    Just((0..length).collect::<Vec<_>>()).prop_shuffle()
}

#[test]
fn a_dense_layer_written_as_a_convolution_over_the_image_trains_the_same() {
    for loss in LOSSES {
        let case = Case::new(&"18-4-3".parse().unwrap(), 7);
        let flat = case.train("18-4-3", loss);
        for same in ["3x3x2-4-3", "3x3x2-4c3-3", "1x1x18-4c1-3", "2x9x1-4-3"] {
            assert_eq!(case.train(same, loss), flat, "{same}");
        }
    }
}

#[test]
fn padding_and_a_kernel_of_the_middle_alone_is_a_kernel_of_one() {
    // The outer taps of a 3 × 3 kernel see other pixels and learn, so only the first forward pass is the same: compare
    // what the biases behind it learn in one step.
    let narrow: Shape = "4x3x2-2c1-3".parse().unwrap();
    let wide: Shape = "4x3x2-2c3p1-3".parse().unwrap();
    let case = Case::new(&narrow, 9);
    let (kernel, rest) = case.values.split_at(4);
    let mut values = vec![0; 9 * 4];
    values[4 * 4..5 * 4].copy_from_slice(kernel);
    values.extend_from_slice(rest);
    let step = |shape: &Shape, values: Vec<i32>| {
        let plan = TrainingPlan::with_loss(shape.clone(), FixedPoint::V1, Loss::CrossEntropy, 4, 1, 4).unwrap();
        let schedule = Schedule::new([5; 32], EXAMPLES, 4, 1).unwrap();
        let examples = Examples::new(&case.inputs, &case.labels, shape.inputs()).unwrap();
        let start = Weights::new(shape, values, FixedPoint::V1).unwrap();
        Sgd::new(plan, Integers).train(&start, examples, &schedule).unwrap().values().to_vec()
    };
    let (narrow, wide) = (step(&narrow, case.values.clone()), step(&wide, values));
    assert_eq!(wide[9 * 4..], narrow[4..], "the bias and the layer behind");
    assert_eq!(wide[4 * 4..5 * 4], narrow[..4], "the middle of the kernel");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn pixels_may_be_in_any_order_for_a_dense_layer(order in permutation(40), seed in any::<u64>()) {
        for loss in LOSSES {
            let text = "5x4x2-6-3";
            let case = Case::new(&text.parse().unwrap(), seed);
            let other = Case {
                values: moved(&case.values, case.values.len(), 6, &order),
                inputs: moved(&case.inputs, 40, 1, &order),
                labels: case.labels.clone(),
            };
            let trained = case.train(text, loss);
            prop_assert_eq!(other.train(text, loss), moved(&trained, trained.len(), 6, &order));
        }
    }

    #[test]
    fn channels_may_be_in_any_order(entering in permutation(2), hidden in permutation(3), seed in any::<u64>()) {
        // 3 × 3 taps of two channels and a bias, to three; then 2 × 2 taps of three channels and a bias, to two.
        let (first, second) = (19 * 3, 13 * 2);
        let reorder = |values: &[i32]| {
            let (kernel, rest) = values.split_at(first);
            let (taps, bias) = kernel.split_at(18 * 3);
            let kernel = [moved(taps, 2 * 3, 3, &entering), bias.to_vec()].concat();
            let kernel = moved(&kernel, 3, 1, &hidden);
            let (next, rest) = rest.split_at(second);
            let (taps, bias) = next.split_at(12 * 2);
            [kernel, moved(taps, 3 * 2, 2, &hidden), bias.to_vec(), rest.to_vec()].concat()
        };
        for loss in LOSSES {
            let text = "5x4x2-3c3p1-a2-2c2-3";
            let case = Case::new(&text.parse().unwrap(), seed);
            let other = Case {
                values: reorder(&case.values),
                inputs: moved(&case.inputs, 2, 1, &entering),
                labels: case.labels.clone(),
            };
            prop_assert_eq!(other.train(text, loss), reorder(&case.train(text, loss)));
        }
    }

    #[test]
    fn classes_may_be_in_any_order(order in permutation(4), seed in any::<u64>()) {
        for loss in LOSSES {
            let text = "4x4x1-2c3-4";
            let shape: Shape = text.parse().unwrap();
            let case = Case::new(&shape, seed);
            let last = shape.layers().last().unwrap().offset;
            let reorder = |values: &[i32]| [values[..last].to_vec(), moved(&values[last..], 4, 1, &order)].concat();
            let place = |class: &u8| order.iter().position(|&from| from == usize::from(*class)).unwrap() as u8;
            let other = Case {
                values: reorder(&case.values),
                inputs: case.inputs.clone(),
                labels: case.labels.iter().map(place).collect(),
            };
            prop_assert_eq!(other.train(text, loss), reorder(&case.train(text, loss)));
        }
    }

    #[test]
    fn rows_and_columns_may_change_places(seed in any::<u64>()) {
        // Both kernels, and the 3 × 2 image that the dense layer sees, have their positions in the order of columns.
        let reorder = |values: &[i32]| {
            let blocks = [(9, 2 * 3, 3), (4, 3 * 2, 2)];
            let mut rest = values;
            let mut all = Vec::new();
            for (taps, width, bias) in blocks {
                let (block, tail) = rest.split_at(taps * width + bias);
                let side = usize::isqrt(taps);
                all.extend(moved(block, block.len(), width, &transposed(side, side)));
                rest = tail;
            }
            (all, rest.to_vec())
        };
        for loss in LOSSES {
            // 9 × 7, padded, averaged to 4 × 3, then 3 × 2 positions of two channels, to three.
            let case = Case::new(&"9x7x2-3c3p1-a2-2c2-3".parse().unwrap(), seed);
            let reorder = |values: &[i32]| {
                let (mut all, dense) = reorder(values);
                all.extend(moved(&dense, dense.len(), 2 * 3, &transposed(3, 2)));
                all
            };
            let other = Case {
                values: reorder(&case.values),
                inputs: moved(&case.inputs, 9 * 7 * 2, 2, &transposed(9, 7)),
                labels: case.labels.clone(),
            };
            let trained = case.train("9x7x2-3c3p1-a2-2c2-3", loss);
            prop_assert_eq!(other.train("7x9x2-3c3p1-a2-2c2-3", loss), reorder(&trained));
        }
    }
}
