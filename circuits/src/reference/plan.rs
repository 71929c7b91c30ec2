use super::{FixedPoint, Layer, Loss, Shape};
use crate::{CircuitError, FIELD_ORDER};

/// What is trained and how: dimensions, widths, batch, steps and rate, with every accumulator bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingPlan {
    shape: Shape,
    format: FixedPoint,
    loss: Loss,
    batch: usize,
    steps: usize,
    rate_shift: i32,
    update_shifts: Vec<u32>,
    accumulators: Vec<Accumulator>,
}

/// One sum of products and the most it can reach in absolute value, rounding included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accumulator {
    /// `forward`, `backward` or `gradient`, and the layer from zero.
    pub name: String,
    /// The worst case over all inputs, weights and activations in range.
    pub bound: u128,
}

impl TrainingPlan {
    /// The most examples a batch may hold.
    pub const MAX_BATCH: usize = 1 << 16;
    /// The most steps a plan may hold.
    pub const MAX_STEPS: usize = 1 << 16;

    /// The greatest magnitude that a factor of a product may be able to reach: weights in training, and sums of
    /// activations where an average comes before a layer.
    pub const MAX_FACTOR: u128 = i32::MAX as u128;

    /// A plan of `steps` steps with batches of `batch` at learning rate `2^−rate_shift`, on the mean squared error.
    ///
    /// # Errors
    /// As [`Self::with_loss`].
    pub fn new(
        shape: Shape,
        format: FixedPoint,
        batch: usize,
        steps: usize,
        rate_shift: i32,
    ) -> Result<Self, CircuitError> {
        Self::with_loss(shape, format, Loss::SquaredError, batch, steps, rate_shift)
    }

    /// A plan of `steps` steps with batches of `batch` at learning rate `2^−rate_shift`, on the mean of the loss over the batch.
    ///
    /// The gradient of layer `l` is divided by `2^s`, `s = fractions of its two factors − weight fraction + log₂ batch + rate_shift`.
    /// A rounding of `z` by `f` bits to a value of at most `Q` needs `|z| + 2^f·(Q + 1) < p/2`.
    ///
    /// # Errors
    /// [`CircuitError::OutOfRange`] for widths, batch, steps or a rate whose shift leaves 1 to 62;
    /// and for widths or classes that [`Loss::CrossEntropy`] has no table for; [`CircuitError::NotAPowerOfTwo`] for the
    /// batch; [`CircuitError::AccumulatorTooWide`] if a sum could reach p/2, or a weight or what enters a layer exceed
    /// [`Self::MAX_FACTOR`], in the worst case over all data.
    pub fn with_loss(
        shape: Shape,
        format: FixedPoint,
        loss: Loss,
        batch: usize,
        steps: usize,
        rate_shift: i32,
    ) -> Result<Self, CircuitError> {
        let format = format.validate()?;
        loss.validate(format, shape.outputs())?;
        let check = |field, value: i128, min: i128, max: i128| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(CircuitError::OutOfRange { field, value, min, max })
        };
        check("batch", batch as i128, 1, Self::MAX_BATCH as i128)?;
        check("steps", steps as i128, 1, Self::MAX_STEPS as i128)?;
        if !batch.is_power_of_two() {
            return Err(CircuitError::NotAPowerOfTwo { field: "batch", value: batch });
        }
        let mut plan =
            Self { shape, format, loss, batch, steps, rate_shift, update_shifts: Vec::new(), accumulators: Vec::new() };
        for layer in plan.shape.layers() {
            let base = plan.input_fraction(layer) as i32 + format.activation_fraction as i32
                - format.weight_fraction as i32
                + batch.trailing_zeros() as i32;
            check("rate_shift", rate_shift.into(), (1 - base).into(), (62 - base).into())?;
            plan.update_shifts.push((base + rate_shift) as u32);
        }
        for layer in plan.shape.layers() {
            let factors = [("inputs", plan.input_bound(layer)), ("weights", plan.weight_bound(layer))];
            if let Some(&(name, bound)) = factors.iter().find(|(_, bound)| *bound > Self::MAX_FACTOR) {
                let accumulator = format!("{name} of layer {}", layer.index);
                return Err(CircuitError::AccumulatorTooWide { accumulator, bound, limit: Self::MAX_FACTOR });
            }
        }
        plan.accumulators = plan.shape.layers().flat_map(|layer| plan.layer_accumulators(layer)).collect();
        let limit = u128::from(FIELD_ORDER / 2);
        match plan.accumulators.iter().find(|accumulator| accumulator.bound >= limit) {
            None => Ok(plan),
            Some(Accumulator { name, bound }) => {
                Err(CircuitError::AccumulatorTooWide { accumulator: name.clone(), bound: *bound, limit })
            }
        }
    }

    /// The network.
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The widths of the integers.
    pub const fn format(&self) -> FixedPoint {
        self.format
    }

    /// What is minimised.
    pub const fn loss(&self) -> Loss {
        self.loss
    }

    /// Examples a step.
    pub const fn batch(&self) -> usize {
        self.batch
    }

    /// Steps in all.
    pub const fn steps(&self) -> usize {
        self.steps
    }

    /// The learning rate, `2^−rate_shift`.
    pub fn rate(&self) -> f64 {
        f64::from(-self.rate_shift).exp2()
    }

    /// Every sum of products with its worst case.
    pub fn accumulators(&self) -> &[Accumulator] {
        &self.accumulators
    }

    /// The greatest of the worst cases.
    pub fn max_accumulator(&self) -> u128 {
        self.accumulators.iter().map(|accumulator| accumulator.bound).max().unwrap_or(0)
    }

    /// Fractional bits of what enters a layer: an average keeps its sum, and has more of them.
    pub(crate) const fn input_fraction(&self, layer: Layer) -> u32 {
        let fraction = if layer.index == 0 { FixedPoint::INPUT_FRACTION } else { self.format.activation_fraction };
        fraction + layer.pool_bits()
    }

    /// How far a layer's products are shifted to become activations.
    pub(crate) const fn forward_shift(&self, layer: Layer) -> u32 {
        self.input_fraction(layer) + self.format.weight_fraction - self.format.activation_fraction
    }

    /// How far a layer's errors times its weights are shifted to become the errors of the layer before.
    pub(crate) const fn backward_shift(&self, layer: Layer) -> u32 {
        self.format.weight_fraction + layer.pool_bits()
    }

    /// How far a layer's gradient is shifted to become a step of its weights.
    pub(crate) fn update_shift(&self, layer: Layer) -> u32 {
        self.update_shifts[layer.index]
    }

    /// The greatest magnitude of what enters a layer, the bias's constant one included.
    pub(crate) fn input_bound(&self, layer: Layer) -> u128 {
        // The constant one, 2^fraction, may exceed the activations themselves.
        let one = 1u128 << self.input_fraction(layer);
        if layer.index == 0 { one } else { one.max(1 << (self.format.activation_bits - 1 + layer.pool_bits())) }
    }

    /// The greatest magnitude of an error behind a layer.
    pub(crate) fn error_bound(&self, layer: Layer) -> u128 {
        let (rounded, one) = (1 << (self.format.activation_bits - 1), 1 << self.format.activation_fraction);
        match self.loss {
            _ if layer.index + 1 < self.shape.depth() => rounded,
            // An output, and the target's one.
            Loss::SquaredError => rounded + one,
            // A probability minus the target.
            Loss::CrossEntropy => one,
        }
    }

    /// The greatest magnitude of a gradient, summed over the batch and all positions.
    pub(crate) fn gradient_bound(&self, layer: Layer) -> u128 {
        let terms = self.batch as u128 * layer.output().positions() as u128;
        terms * self.input_bound(layer) * self.error_bound(layer)
    }

    /// The greatest magnitude of an error on its way back through a layer's weights, before it is rounded.
    pub(crate) fn backward_bound(&self, layer: Layer) -> u128 {
        (layer.taps() * layer.outputs) as u128 * self.error_bound(layer) * self.weight_bound(layer)
    }

    /// The greatest magnitude of a layer's sums, before they are rounded.
    pub(crate) fn forward_bound(&self, layer: Layer) -> u128 {
        layer.rows() as u128 * self.input_bound(layer) * self.weight_bound(layer)
    }

    /// The greatest magnitude of one step's change of a weight.
    pub(crate) fn change_bound(&self, layer: Layer) -> u128 {
        (self.gradient_bound(layer) >> self.update_shift(layer)) + 1
    }

    /// The greatest magnitude of a weight before the last step.
    pub(crate) fn weight_bound(&self, layer: Layer) -> u128 {
        (1 << (self.format.weight_bits - 1)) + (self.steps as u128) * self.change_bound(layer)
    }

    fn layer_accumulators(&self, layer: Layer) -> Vec<Accumulator> {
        let activation = 1u128 << (self.format.activation_bits - 1);
        let named = |pass, z: u128, shift: u32, quotient: u128| Accumulator {
            name: format!("{pass} of layer {}", layer.index),
            bound: z + ((quotient + 1) << shift),
        };
        let (gradient, change) = (self.gradient_bound(layer), self.change_bound(layer));
        let mut all = vec![
            named("forward", self.forward_bound(layer), self.forward_shift(layer), activation),
            named("gradient", gradient, self.update_shift(layer), change),
        ];
        if layer.index > 0 {
            all.push(named("backward", self.backward_bound(layer), self.backward_shift(layer), activation));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Shape {
        text.parse().unwrap()
    }

    #[test]
    fn the_bounds_of_a_known_network() {
        let plan = TrainingPlan::new(shape("784-128-10"), FixedPoint::V1, 64, 8, 4).unwrap();
        let bounds: Vec<_> = plan.accumulators().iter().map(|a| (a.name.as_str(), a.bound)).collect();
        // Errors reach 2^15, and 2^15 + 2^12 behind the last layer. A step changes a weight by at most
        // ⌊64·2^8·2^15 / 2^10⌋ + 1 in the first layer and ⌊64·2^15·error / 2^14⌋ + 1 in the last; eight steps start below 2^23.
        let error = (1 << 15) + (1 << 12);
        let changes = [64 * (1 << 8) * (1 << 15) / (1 << 10) + 1, 64 * (1 << 15) * error / (1 << 14) + 1];
        let weights = changes.map(|change| (1 << 23) + 8 * change);
        assert_eq!(
            bounds,
            [
                ("forward of layer 0", 785 * (1 << 8) * weights[0] + (((1 << 15) + 1) << 16)),
                ("gradient of layer 0", 64 * (1 << 8) * (1 << 15) + ((changes[0] + 1) << 10)),
                ("forward of layer 1", 129 * (1 << 15) * weights[1] + (((1 << 15) + 1) << 20)),
                ("gradient of layer 1", 64 * (1 << 15) * error + ((changes[1] + 1) << 14)),
                ("backward of layer 1", 10 * error * weights[1] + (((1 << 15) + 1) << 20)),
            ]
        );
    }

    #[test]
    fn an_accumulator_that_could_reach_half_the_field_is_refused() {
        let wide = FixedPoint { weight_bits: 31, activation_bits: 31, ..FixedPoint::V1 };
        assert!(TrainingPlan::new(shape("64-3-2"), wide, 1, 1, 28).is_ok());
        // Seven weights and a bias of 2^30 · 2^30 each make 2^63, which is beyond p/2.
        let error = TrainingPlan::new(shape("64-7-2"), wide, 1, 1, 28).unwrap_err();
        let CircuitError::AccumulatorTooWide { accumulator, bound, limit } = error else { panic!("{error:?}") };
        assert_eq!(accumulator, "forward of layer 1");
        assert!(bound >= limit && limit == 0x7fff_ffff_8000_0000);
    }

    #[test]
    fn weights_that_so_many_steps_could_take_too_far_are_refused() {
        // At rate 1 a step changes a weight of the only layer by 16·2^8·36864 / 2^4 + 1 < 2^24 at most.
        let plan = |steps| TrainingPlan::new(shape("64-10"), FixedPoint::V1, 16, steps, 0);
        assert!(plan(200).is_ok());
        let error = plan(1_000).unwrap_err();
        let CircuitError::AccumulatorTooWide { accumulator, limit, .. } = error else { panic!("{error:?}") };
        assert_eq!((accumulator.as_str(), limit), ("weights of layer 0", i32::MAX as u128));
    }

    #[test]
    fn sums_of_an_average_that_could_leave_their_integers_are_refused() {
        // Four of 16 activations below 2^(bits − 1) sum to less than 2^(bits + 3).
        let plan = |activation_bits, weight_bits| {
            let format = FixedPoint { activation_bits, activation_fraction: 12, weight_bits, weight_fraction: 7 };
            TrainingPlan::new(shape("4x4x1-1c1-a4-1"), format, 1, 1, 20)
        };
        assert!(plan(27, 8).is_ok());
        let error = plan(28, 8).unwrap_err();
        let CircuitError::AccumulatorTooWide { accumulator, bound, limit } = error else { panic!("{error:?}") };
        assert_eq!((accumulator.as_str(), bound, limit), ("inputs of layer 1", 1 << 31, i32::MAX as u128));
    }

    #[test]
    fn a_convolution_multiplies_its_gradients_by_its_positions() {
        let plan = TrainingPlan::with_loss(shape("6x5x2-3c3p1-a2-4"), FixedPoint::V1, Loss::CrossEntropy, 2, 3, 2);
        let plan = plan.unwrap();
        let bounds: Vec<_> = plan.accumulators().iter().map(|a| (a.name.as_str(), a.bound)).collect();
        // 30 positions of two examples; behind, the sums of four activations, with two more fractional bits, and errors
        // of a probability: 2^12 at most. Shifts 8 + 12 − 20 + 1 + 2 and 14 + 12 − 20 + 1 + 2.
        let gradients = [2 * 30 * (1 << 8) * (1 << 15), 2 * (1 << 17) * (1 << 12)];
        let changes = [(gradients[0] >> 3) + 1, (gradients[1] >> 9) + 1];
        let weights = changes.map(|change| (1 << 23) + 3 * change);
        let rounded = (1 << 15) + 1;
        assert_eq!(
            bounds,
            [
                ("forward of layer 0", (9 * 2 + 1) * (1 << 8) * weights[0] + (rounded << 16)),
                ("gradient of layer 0", gradients[0] + ((changes[0] + 1) << 3)),
                ("forward of layer 1", (3 * 2 * 3 + 1) * (1 << 17) * weights[1] + (rounded << 22)),
                ("gradient of layer 1", gradients[1] + ((changes[1] + 1) << 9)),
                // The kernel of the last layer covers 3 × 2 positions, each of which sees every tap at most once.
                ("backward of layer 1", 6 * 4 * (1 << 12) * weights[1] + (rounded << 22)),
            ]
        );
    }

    #[test]
    fn gradients_that_a_large_image_could_wrap_are_refused() {
        // 2^14 examples of 2^23 positions with 2^8 · 2^15 each make 2^60, and the rounding's quotient about as much again;
        // 2^16 of 2^24 make 2^63. Rates are near the least that the shifts allow.
        let plan = |text: &str, batch, rate| TrainingPlan::new(shape(text), FixedPoint::V1, batch, 1, rate);
        assert!(plan("4096x2048x1-1c1-a16-1", 1 << 14, 34).is_ok());
        let error = plan("4096x4096x1-1c1-a16-1", 1 << 16, 34).unwrap_err();
        let CircuitError::AccumulatorTooWide { accumulator, bound, limit } = error else { panic!("{error:?}") };
        assert_eq!(accumulator, "gradient of layer 0");
        assert!(bound >= limit, "{bound} against {limit}");
        // A rate that is not so small lets the weights grow too far first.
        let error = plan("1024x1024x1-1c1-a16-1", 1, 4).unwrap_err();
        assert!(
            matches!(&error, CircuitError::AccumulatorTooWide { accumulator, .. } if accumulator == "weights of layer 0"),
            "{error:?}"
        );
    }

    #[test]
    fn batch_steps_and_rate_are_named_when_out_of_range() {
        let plan = |batch, steps, rate| TrainingPlan::new(shape("4-2"), FixedPoint::V1, batch, steps, rate);
        assert_eq!(plan(3, 1, 0), Err(CircuitError::NotAPowerOfTwo { field: "batch", value: 3 }));
        let field = |result: Result<TrainingPlan, CircuitError>| match result {
            Err(CircuitError::OutOfRange { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(plan(0, 1, 0)), "batch");
        assert_eq!(field(plan(1, 0, 0)), "steps");
        assert_eq!(field(plan(1, 1, 0)), "rate_shift");
        assert_eq!(field(plan(1, 1, i32::MAX)), "rate_shift");
        assert!(plan(2, 1, 0).is_ok());
    }
}
