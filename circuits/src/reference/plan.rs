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

    /// The greatest magnitude that weights may be able to reach in training.
    pub const MAX_WEIGHT: u128 = i32::MAX as u128;

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
    /// batch; [`CircuitError::AccumulatorTooWide`] if a sum could reach p/2, or a weight exceed [`Self::MAX_WEIGHT`], in
    /// the worst case over all data.
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
            let bound = plan.weight_bound(layer);
            if bound > Self::MAX_WEIGHT {
                let accumulator = format!("weights of layer {}", layer.index);
                return Err(CircuitError::AccumulatorTooWide { accumulator, bound, limit: Self::MAX_WEIGHT });
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

    /// The network's widths.
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
