//! The trainer against the definitions of convolution, average, ReLU and both losses, written out in wide integers,
//! pixel by pixel, without patches or matrices.

use nexus_circuits::reference::{
    Accumulator, Examples, FixedPoint, Integers, Layer, Loss, Observer, Schedule, Sgd, Shape, TrainingPlan, Weights,
};
use proptest::prelude::*;

/// One layer as it is written, with the average before it.
#[derive(Clone, Copy, Debug)]
struct Part {
    pool: usize,
    /// Side and padding; none for a dense layer.
    kernel: Option<(usize, usize)>,
    outputs: usize,
}

#[derive(Clone, Debug)]
struct Network {
    /// Height, width, channels.
    image: [usize; 3],
    parts: Vec<Part>,
}

impl Network {
    fn text(&self) -> String {
        let [height, width, channels] = self.image;
        let part = |part: &Part| {
            let pool = if part.pool > 1 { format!("-a{}", part.pool) } else { String::new() };
            let (kernel, padding) =
                part.kernel.map_or((String::new(), 0), |(side, padding)| (format!("c{side}"), padding));
            let padding = if padding > 0 { format!("p{padding}") } else { String::new() };
            format!("{pool}-{}{kernel}{padding}", part.outputs)
        };
        format!("{height}x{width}x{channels}{}", self.parts.iter().map(part).collect::<String>())
    }
}

/// An image, zero outside.
#[derive(Clone, Debug)]
struct Grid {
    sides: [usize; 3],
    values: Vec<i128>,
}

impl Grid {
    fn make(sides: [usize; 3], mut value: impl FnMut(usize, usize, usize) -> i128) -> Self {
        let mut values = Vec::new();
        for y in 0..sides[0] {
            for x in 0..sides[1] {
                for c in 0..sides[2] {
                    values.push(value(y, x, c));
                }
            }
        }
        Self { sides, values }
    }

    fn at(&self, y: isize, x: isize, c: usize) -> i128 {
        let [height, width, channels] = self.sides;
        let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
        if inside { self.values[(y as usize * width + x as usize) * channels + c] } else { 0 }
    }
}

/// Weights of one layer: kernel row, kernel column, channel, output; then the biases.
#[derive(Clone, Debug)]
struct Filter {
    part: Part,
    sides: [usize; 2],
    channels: usize,
    values: Vec<i128>,
}

impl Filter {
    fn padding(&self) -> isize {
        self.part.kernel.map_or(0, |(_, padding)| padding as isize)
    }

    fn index(&self, ky: usize, kx: usize, c: usize, j: usize) -> usize {
        ((ky * self.sides[1] + kx) * self.channels + c) * self.part.outputs + j
    }

    fn bias(&self, j: usize) -> usize {
        self.sides[0] * self.sides[1] * self.channels * self.part.outputs + j
    }

    fn taps(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let [height, width] = self.sides;
        (0..height).flat_map(move |ky| (0..width).map(move |kx| (ky, kx)))
    }
}

fn rounded(z: i128, f: u32) -> i128 {
    (z + (1i128 << f) / 2).div_euclid(1i128 << f)
}

fn saturated(v: i128, bits: u32) -> i128 {
    v.max(-(1i128 << (bits - 1))).min((1i128 << (bits - 1)) - 1)
}

/// Splits a flat list of parameters into layers, from the definition of each part.
fn filters(network: &Network, values: &[i32]) -> Vec<Filter> {
    let mut rest = values.iter().map(|&v| i128::from(v));
    let mut sides = network.image;
    let all = network.parts.iter().map(|&part| {
        let pooled = [sides[0] / part.pool, sides[1] / part.pool];
        let kernel = part.kernel.map_or(pooled, |(side, _)| [side; 2]);
        let padding = part.kernel.map_or(0, |(_, padding)| padding);
        let count = (kernel[0] * kernel[1] * sides[2] + 1) * part.outputs;
        let filter = Filter { part, sides: kernel, channels: sides[2], values: rest.by_ref().take(count).collect() };
        let side = |i: usize| pooled[i] + 2 * padding - kernel[i] + 1;
        sides = [side(0), side(1), part.outputs];
        filter
    });
    let all = all.collect();
    assert!(rest.next().is_none());
    all
}

/// What one layer did in the forward pass.
struct Trace {
    source: Grid,
    averaged: Grid,
    one: i128,
    /// Before it is saturated.
    whole: Grid,
    output: Grid,
}

fn forward(filters: &[Filter], example: Grid, q: FixedPoint) -> Vec<Trace> {
    let mut source = example;
    let mut traces = Vec::new();
    for (l, filter) in filters.iter().enumerate() {
        let s = filter.part.pool;
        let [height, width, channels] = source.sides;
        let averaged = Grid::make([height / s, width / s, channels], |y, x, c| {
            let square = (0..s).flat_map(|dy| (0..s).map(move |dx| (y * s + dy, x * s + dx)));
            square.map(|(y, x)| source.at(y as isize, x as isize, c)).sum()
        });
        let fraction = if l == 0 { 8 } else { q.activation_fraction } + 2 * s.ilog2();
        let one = 1i128 << fraction;
        let p = filter.padding();
        let side = |i: usize| averaged.sides[i] + 2 * p as usize - filter.sides[i] + 1;
        let whole = Grid::make([side(0), side(1), filter.part.outputs], |oy, ox, j| {
            let mut z = one * filter.values[filter.bias(j)];
            for (ky, kx) in filter.taps() {
                for c in 0..channels {
                    let pixel = averaged.at((oy + ky) as isize - p, (ox + kx) as isize - p, c);
                    z += pixel * filter.values[filter.index(ky, kx, c, j)];
                }
            }
            rounded(z, fraction + q.weight_fraction - q.activation_fraction)
        });
        let value = |&value: &i128| {
            let value = saturated(value, q.activation_bits);
            if l + 1 == filters.len() { value } else { value.max(0) }
        };
        let output = Grid { sides: whole.sides, values: whole.values.iter().map(value).collect() };
        traces.push(Trace { source, averaged, one, whole, output: output.clone() });
        source = output;
    }
    traces
}

/// The derivative of the loss by the outputs.
fn loss_error(whole: &[i128], outputs: &[i128], label: usize, loss: Loss, q: FixedPoint) -> Vec<i128> {
    let one = 1i128 << q.activation_fraction;
    let target = |j: usize| if j == label { one } else { 0 };
    match loss {
        Loss::SquaredError => outputs.iter().enumerate().map(|(j, &a)| a - target(j)).collect(),
        Loss::CrossEntropy => {
            let greatest = *outputs.iter().max().unwrap();
            // No entry of the table is so near to a half that a float could be on the other side of it.
            let e = |a: i128| (((a - greatest) as f64 / one as f64).exp() * 65_536.0).round() as i128;
            let sum: i128 = outputs.iter().map(|&a| e(a)).sum();
            let probability = |a: i128| (2 * one * e(a) + sum).div_euclid(2 * sum);
            // A saturated output is not pushed further out.
            let outward = |j: usize| if j == label { whole[j] > outputs[j] } else { whole[j] < outputs[j] };
            let error = |(j, &a): (usize, &i128)| if outward(j) { 0 } else { probability(a) - target(j) };
            outputs.iter().enumerate().map(error).collect()
        }
    }
}

/// Adds one example's gradient, and goes back layer by layer.
fn backward(filters: &[Filter], traces: &[Trace], mut error: Grid, gradients: &mut [Vec<i128>], q: FixedPoint) {
    for (l, filter) in filters.iter().enumerate().rev() {
        let Trace { source, averaged, one, output, .. } = &traces[l];
        let (p, channels) = (filter.padding(), averaged.sides[2]);
        for oy in 0..output.sides[0] {
            for ox in 0..output.sides[1] {
                for j in 0..filter.part.outputs {
                    let e = error.at(oy as isize, ox as isize, j);
                    gradients[l][filter.bias(j)] += one * e;
                    for (ky, kx) in filter.taps() {
                        for c in 0..channels {
                            let pixel = averaged.at((oy + ky) as isize - p, (ox + kx) as isize - p, c);
                            gradients[l][filter.index(ky, kx, c, j)] += pixel * e;
                        }
                    }
                }
            }
        }
        if l == 0 {
            break;
        }
        let s = filter.part.pool;
        let averaged_error = Grid::make(averaged.sides, |y, x, c| {
            let mut sum = 0;
            for (ky, kx) in filter.taps() {
                for j in 0..filter.part.outputs {
                    let e = error.at(y as isize + p - ky as isize, x as isize + p - kx as isize, j);
                    sum += e * filter.values[filter.index(ky, kx, c, j)];
                }
            }
            saturated(rounded(sum, q.weight_fraction + 2 * s.ilog2()), q.activation_bits)
        });
        error = Grid::make(source.sides, |y, x, c| {
            let on = source.at(y as isize, x as isize, c) > 0;
            // Rows and columns that no square takes in lie outside the averaged image.
            if on { averaged_error.at((y / s) as isize, (x / s) as isize, c) } else { 0 }
        });
    }
}

/// One step on a batch of images and labels.
fn step(filters: &mut [Filter], batch: &[(Grid, usize)], loss: Loss, q: FixedPoint, rate_shift: i32) {
    let mut gradients: Vec<Vec<i128>> = filters.iter().map(|filter| vec![0; filter.values.len()]).collect();
    for (example, label) in batch {
        let traces = forward(filters, example.clone(), q);
        let Trace { whole, output, .. } = traces.last().unwrap();
        let error = Grid { sides: output.sides, values: loss_error(&whole.values, &output.values, *label, loss, q) };
        backward(filters, &traces, error, &mut gradients, q);
    }
    for (l, (filter, gradient)) in filters.iter_mut().zip(&gradients).enumerate() {
        let fraction = if l == 0 { 8 } else { q.activation_fraction } + 2 * filter.part.pool.ilog2();
        let fractions = (fraction + q.activation_fraction) as i32 - q.weight_fraction as i32;
        let shift = fractions + batch.len().ilog2() as i32 + rate_shift;
        for (weight, &g) in filter.values.iter_mut().zip(gradient) {
            *weight -= rounded(g, shift as u32);
        }
    }
}

/// Notes the greatest sum of each kind and layer.
#[derive(Default)]
struct Greatest(std::collections::BTreeMap<String, u128>);

impl Greatest {
    fn note(&mut self, pass: &str, layer: Layer, sums: &[i64]) {
        let greatest = self.0.entry(format!("{pass} of layer {}", layer.index)).or_default();
        *greatest = sums.iter().map(|sum| u128::from(sum.unsigned_abs())).fold(*greatest, u128::max);
    }

    fn within(&self, bounds: &[Accumulator]) -> bool {
        let bound = |name: &String| bounds.iter().find(|accumulator| accumulator.name == *name).map(|a| a.bound);
        self.0.iter().all(|(name, &sum)| bound(name).is_some_and(|bound| sum < bound))
    }
}

impl Observer for Greatest {
    fn forward(&mut self, layer: Layer, sums: &[i64]) {
        self.note("forward", layer, sums);
    }

    fn gradient(&mut self, layer: Layer, sums: &[i64]) {
        self.note("gradient", layer, sums);
    }

    fn backward(&mut self, layer: Layer, sums: &[i64]) {
        self.note("backward", layer, sums);
    }
}

/// Trains both ways and compares every weight; the greatest sums that were seen.
fn agree(network: &Network, plan: &TrainingPlan, values: &[i32], inputs: &[u8], labels: &[u8], rate_shift: i32) {
    let (shape, q) = (plan.shape(), plan.format());
    let examples = Examples::new(inputs, labels, shape.inputs()).unwrap();
    let schedule = Schedule::new([3; 32], labels.len(), plan.batch(), plan.steps()).unwrap();
    let start = Weights::new(shape, values.to_vec(), q).unwrap();
    let mut greatest = Greatest::default();
    let trained = Sgd::new(plan.clone(), Integers).train_observed(&start, examples, &schedule, &mut greatest).unwrap();
    assert!(greatest.within(plan.accumulators()), "{:?} beyond {:?}", greatest.0, plan.accumulators());

    let mut by_hand = filters(network, values);
    for indices in schedule.batches() {
        let batch = indices.iter().map(|&i| {
            let mut pixels = inputs[i as usize * shape.inputs()..].iter();
            let example = Grid::make(network.image, |_, _, _| (*pixels.next().unwrap()).into());
            (example, labels[i as usize].into())
        });
        step(&mut by_hand, &batch.collect::<Vec<_>>(), plan.loss(), q, rate_shift);
    }
    let expected: Vec<i32> = by_hand.iter().flat_map(|filter| &filter.values).map(|&v| v as i32).collect();
    assert_eq!(trained.values(), expected, "{}", network.text());
}

fn network_strategy() -> impl Strategy<Value = Network> {
    let convolution = (1usize..4, 0usize..3, 1usize..4, 0u32..3);
    let convolutions = proptest::collection::vec(convolution, 0..4);
    let dense = proptest::collection::vec((1usize..6, 0u32..2), 1..3);
    ([1usize..8, 1..8, 1..4], convolutions, dense).prop_map(|(image, convolutions, dense)| {
        let mut sides = [image[0], image[1]];
        let mut parts: Vec<Part> = Vec::new();
        let pool = |log: u32, sides: [usize; 2], first: bool| {
            let pool = 1 << log;
            if first || pool > sides[0].min(sides[1]) { 1 } else { pool }
        };
        for (side, padding, outputs, log) in convolutions {
            let pool = pool(log, sides, parts.is_empty());
            let averaged = sides.map(|side| side / pool);
            let side = side.min(averaged[0].min(averaged[1]) + 2 * (padding % side));
            let padding = padding % side;
            sides = averaged.map(|extent| extent + 2 * padding + 1 - side);
            parts.push(Part { pool, kernel: Some((side, padding)), outputs });
        }
        for (outputs, log) in dense {
            let pool = pool(log, sides, parts.is_empty());
            sides = [1, 1];
            parts.push(Part { pool, kernel: None, outputs });
        }
        Network { image, parts }
    })
}

/// Numbers that a seed determines.
fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed | 1;
    move |bound| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    }
}

const NARROW: FixedPoint =
    FixedPoint { weight_bits: 20, weight_fraction: 16, activation_bits: 14, activation_fraction: 10 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn training_of_convolutions_is_what_the_definitions_say(
        network in network_strategy(),
        format in prop_oneof![Just(FixedPoint::V1), Just(NARROW)],
        loss in prop_oneof![Just(Loss::SquaredError), Just(Loss::CrossEntropy)],
        log_batch in 0u32..3,
        steps in 1usize..4,
        examples in 1usize..6,
        rate_shift in 4i32..8,
        // From ordinary weights to ones that saturate everything.
        magnitude in 0u32..7,
        seed in any::<u64>(),
    ) {
        let mut next = numbers(seed);
        let shape: Shape = network.text().parse().unwrap();
        let plan = TrainingPlan::with_loss(shape.clone(), format, loss, 1 << log_batch, steps, rate_shift).unwrap();
        let half = 1i64 << (format.weight_bits - 1 - magnitude);
        let values: Vec<i32> = (0..shape.parameters()).map(|_| (next(2 * half as u64) as i64 - half) as i32).collect();
        let inputs: Vec<u8> = (0..examples * shape.inputs()).map(|_| next(256) as u8).collect();
        let labels: Vec<u8> = (0..examples).map(|_| next(shape.outputs() as u64) as u8).collect();
        agree(&network, &plan, &values, &inputs, &labels, rate_shift);
    }
}

#[test]
fn a_network_with_every_part_is_what_the_definitions_say() {
    let part = |pool, kernel, outputs| Part { pool, kernel, outputs };
    // Averages drop the last row of 5 × 4 here, and nothing of the second layer's 1 × 1 padded.
    let parts = vec![part(1, Some((3, 1)), 3), part(2, Some((2, 0)), 2), part(1, None, 3)];
    let network = Network { image: [5, 4, 2], parts };
    assert_eq!(network.text(), "5x4x2-3c3p1-a2-2c2-3");
    let shape: Shape = network.text().parse().unwrap();
    for (loss, seed) in [(Loss::SquaredError, 1), (Loss::CrossEntropy, 2)] {
        let mut next = numbers(seed);
        let plan = TrainingPlan::with_loss(shape.clone(), FixedPoint::V1, loss, 4, 5, 2).unwrap();
        let values: Vec<i32> = (0..shape.parameters()).map(|_| next(1 << 20) as i32 - (1 << 19)).collect();
        let inputs: Vec<u8> = (0..7 * shape.inputs()).map(|_| next(256) as u8).collect();
        let labels: Vec<u8> = (0..7).map(|_| next(3) as u8).collect();
        agree(&network, &plan, &values, &inputs, &labels, 2);
    }
}

fn trained(shape: &str, loss: Loss, start: &[f64], input: &[u8], label: u8) -> Vec<f64> {
    let shape: Shape = shape.parse().unwrap();
    let values = start.iter().map(|&v| (v * f64::from(1 << 20)) as i32).collect();
    let start = Weights::new(&shape, values, FixedPoint::V1).unwrap();
    let plan = TrainingPlan::with_loss(shape, FixedPoint::V1, loss, 1, 1, 1).unwrap();
    let schedule = Schedule::new([0; 32], 1, 1, 1).unwrap();
    let labels = [label];
    let examples = Examples::new(input, &labels, input.len()).unwrap();
    let trained = Sgd::new(plan, Integers).train(&start, examples, &schedule).unwrap();
    trained.values().iter().map(|&v| f64::from(v) / f64::from(1 << 20)).collect()
}

#[test]
fn one_step_of_a_padded_and_averaged_convolution_by_hand() {
    // Image   ½ ¼      kernel   1 −1     padded by one: the output is 3 × 3, of which the average takes 2 × 2.
    //         0 ¾               ½  2
    // (0,0): 2·½ = 1                       (0,1): ½·½ + 2·¼ = ¾
    // (1,0): −1·½ + 2·0 = −½, ReLU: 0      (1,1): ½ − ¼ + 0 + 2·¾ = 1¾
    // Average (1 + ¾ + 0 + 1¾)/4 = ⅞; output 2·⅞ − 1 = ¾; error ¾ − 1 = −¼.
    // Gradients behind: ⅞·−¼ = −7/32 and −¼. Error of the average −¼·2 = −½, of each pixel that is on −⅛, and so
    //   kernel (0,0): −⅛·½ = −1/16 from (1,1)      (0,1): −⅛·¼ = −1/32 from (1,1)
    //          (1,0): −⅛·½ = −1/16 from (0,1)      (1,1): −⅛·(½ + ¼ + ¾) = −3/16      bias: 3·−⅛ = −3/8
    // The rate is ½.
    let start = [1.0, -1.0, 0.5, 2.0, 0.0, 2.0, -1.0];
    let got = trained("2x2x1-1c2p1-a2-1", Loss::SquaredError, &start, &[128, 64, 0, 192], 0);
    let change = [1.0 / 16.0, 1.0 / 32.0, 1.0 / 16.0, 3.0 / 16.0, 3.0 / 8.0, 7.0 / 32.0, 1.0 / 4.0];
    let expected: Vec<f64> = start.iter().zip(change).map(|(start, change)| start + change / 2.0).collect();
    assert_eq!(got, expected);
}

#[test]
fn one_step_on_the_cross_entropy_by_hand() {
    // Both outputs are zero and both probabilities ½, so the errors are ½ and −½ for label 1.
    // Gradients: input ½ gives ±¼, the bias ±½; the rate is ½.
    let got = trained("1-2", Loss::CrossEntropy, &[0.0; 4], &[128], 1);
    assert_eq!(got, [-0.125, 0.125, -0.25, 0.25]);
}
