use thiserror::Error;

use super::fixed_point::{round, saturate};
use super::{FixedPoint, Layer, Loss, Matrix, Products, Schedule, Softmax, TrainingPlan, Weights};
use crate::CircuitError;

/// Borrowed examples: `n × features` input bytes, row-major, and `n` labels.
#[derive(Clone, Copy, Debug)]
pub struct Examples<'a> {
    inputs: &'a [u8],
    labels: &'a [u8],
    features: usize,
}

impl<'a> Examples<'a> {
    /// Examples of `features` input bytes each.
    ///
    /// # Errors
    /// [`CircuitError::Mismatch`] if the inputs are not `labels.len() · features` bytes.
    pub fn new(inputs: &'a [u8], labels: &'a [u8], features: usize) -> Result<Self, CircuitError> {
        let expected = labels.len().saturating_mul(features);
        if inputs.len() != expected {
            return Err(CircuitError::Mismatch { what: "input bytes", expected, got: inputs.len() });
        }
        Ok(Self { inputs, labels, features })
    }

    /// How many examples there are.
    pub const fn len(&self) -> usize {
        self.labels.len()
    }

    /// Input bytes of an example.
    pub const fn features(&self) -> usize {
        self.features
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The inputs and the label of one example.
    ///
    /// # Panics
    /// If there is no such example.
    pub fn get(&self, index: usize) -> (&'a [u8], u8) {
        (self.row(index), self.labels[index])
    }

    fn row(&self, index: usize) -> &'a [u8] {
        &self.inputs[index * self.features..][..self.features]
    }
}

/// Why training stopped.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TrainError<E: std::error::Error + 'static> {
    /// The examples, weights or schedule do not belong to the plan.
    #[error(transparent)]
    Refused(#[from] CircuitError),
    /// The matrix products failed.
    #[error("matrix product: {0}")]
    Products(#[source] E),
}

/// Somebody who wants to see every sum of products of a training run, as a prover does.
///
/// Each method is called once a step and layer: `forward` from the first layer to the last, then `gradient` and,
/// but for the first layer, `backward`, from the last to the first.
pub trait Observer {
    /// `Z = A·W`, `batch × positions × outputs`.
    fn forward(&mut self, _layer: Layer, _sums: &[i64]) {}
    /// `dW = Aᵀ·E`, `(inputs + 1) × outputs`.
    fn gradient(&mut self, _layer: Layer, _sums: &[i64]) {}
    /// `E·Wᵀ` without the bias, added up by what enters: `batch ×` the layer's image.
    fn backward(&mut self, _layer: Layer, _sums: &[i64]) {}
}

impl Observer for () {}

/// A trainer: the plan, a way to multiply matrices, and buffers that are reused from step to step.
#[derive(Debug)]
pub struct Sgd<P> {
    plan: TrainingPlan,
    products: P,
    /// The last layer's, where the loss is the cross-entropy.
    softmax: Option<Softmax>,
    /// Per layer, what its kernel covers: `examples × positions` rows of `inputs + 1`, the last the constant one.
    patches: Vec<Vec<i32>>,
    /// Per layer, what leaves it: `examples × positions × outputs`, after the ReLU but for the last.
    values: Vec<Vec<i32>>,
    /// What enters the layer at hand.
    image: Vec<i32>,
    /// The errors of the layer at hand, as its values.
    errors: Vec<i32>,
    sums: Vec<i64>,
    back_patches: Vec<i64>,
    back_sums: Vec<i64>,
}

impl<P: Products> Sgd<P> {
    /// How many examples [`Self::predict`] takes at once.
    const PREDICTION_ROWS: usize = 256;

    /// A trainer for `plan`.
    pub fn new(plan: TrainingPlan, products: P) -> Self {
        let softmax = (plan.loss() == Loss::CrossEntropy).then(|| Softmax::new(plan.format()));
        let (patches, values) = (vec![Vec::new(); plan.shape().depth()], vec![Vec::new(); plan.shape().depth()]);
        let (image, errors) = (Vec::new(), Vec::new());
        let (sums, back_patches, back_sums) = (Vec::new(), Vec::new(), Vec::new());
        Self { plan, products, softmax, patches, values, image, errors, sums, back_patches, back_sums }
    }

    /// What is trained and how.
    pub const fn plan(&self) -> &TrainingPlan {
        &self.plan
    }

    /// The weights after all steps of the schedule, from `start`.
    ///
    /// # Errors
    /// [`TrainError::Refused`] if the weights' shape, the features, a label or the schedule is not the plan's;
    /// [`TrainError::Products`] if a product fails.
    pub fn train(
        &mut self,
        start: &Weights,
        examples: Examples<'_>,
        schedule: &Schedule,
    ) -> Result<Weights, TrainError<P::Error>> {
        self.train_observed(start, examples, schedule, &mut ())
    }

    /// As [`Self::train`], and tells `observer` every sum of products on the way.
    ///
    /// # Errors
    /// As [`Self::train`].
    pub fn train_observed(
        &mut self,
        start: &Weights,
        examples: Examples<'_>,
        schedule: &Schedule,
        observer: &mut impl Observer,
    ) -> Result<Weights, TrainError<P::Error>> {
        self.check(start, examples)?;
        let classes = self.plan.shape().outputs();
        if let Some(&label) = examples.labels.iter().find(|&&label| usize::from(label) >= classes) {
            return Err(out_of_range("label", label.into(), 0, classes - 1).into());
        }
        mismatch("steps of the schedule", self.plan.steps(), schedule.batches().len())?;
        let mut weights = start.clone();
        for batch in schedule.batches() {
            mismatch("examples of a batch", self.plan.batch(), batch.len())?;
            if let Some(&index) = batch.iter().find(|&&index| index as usize >= examples.len()) {
                return Err(out_of_range("example index", index as usize, 0, examples.len().saturating_sub(1)).into());
            }
            self.step(&mut weights, examples, batch, observer)?;
        }
        Ok(weights)
    }

    /// The class of each example: the index of the greatest output, the first of equals.
    ///
    /// # Errors
    /// As [`Self::train`], labels apart.
    pub fn predict(&mut self, weights: &Weights, examples: Examples<'_>) -> Result<Vec<u8>, TrainError<P::Error>> {
        self.check(weights, examples)?;
        let classes = self.plan.shape().outputs();
        if classes > 256 {
            return Err(out_of_range("classes", classes, 1, 256).into());
        }
        let mut predictions = Vec::with_capacity(examples.len());
        let indices: Vec<u32> = (0..examples.len() as u32).collect();
        for rows in indices.chunks(Self::PREDICTION_ROWS) {
            self.forward(weights, examples, rows, &mut ())?;
            predictions.extend(self.outputs().chunks_exact(classes).map(|outputs| {
                let best = outputs.iter().enumerate().max_by_key(|&(class, &value)| (value, std::cmp::Reverse(class)));
                best.map_or(0, |(class, _)| class as u8)
            }));
        }
        Ok(predictions)
    }

    /// The share of examples whose predicted class is their label; 0 for none.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub fn accuracy(&mut self, weights: &Weights, examples: Examples<'_>) -> Result<f64, TrainError<P::Error>> {
        let predictions = self.predict(weights, examples)?;
        let right = predictions.iter().zip(examples.labels).filter(|(predicted, label)| predicted == label).count();
        Ok(right as f64 / examples.len().max(1) as f64)
    }

    fn check(&self, weights: &Weights, examples: Examples<'_>) -> Result<(), CircuitError> {
        let shape = self.plan.shape();
        if weights.shape() != shape {
            return Err(CircuitError::Mismatch {
                what: "parameters of the start model",
                expected: shape.parameters(),
                got: weights.values().len(),
            });
        }
        mismatch("features of an example", shape.inputs(), examples.features)
    }

    /// The last layer's values.
    fn outputs(&self) -> &[i32] {
        &self.values[self.plan.shape().depth() - 1]
    }

    /// Fills `patches` with what enters each layer, and `values` with what leaves it.
    fn forward(
        &mut self,
        weights: &Weights,
        examples: Examples<'_>,
        rows: &[u32],
        observer: &mut impl Observer,
    ) -> Result<(), TrainError<P::Error>> {
        let bits = self.plan.format().activation_bits;
        self.image.clear();
        for &row in rows {
            self.image.extend(examples.row(row as usize).iter().copied().map(i32::from));
        }
        let last = self.plan.shape().depth() - 1;
        let layers: Vec<Layer> = self.plan.shape().layers().collect();
        for &layer in &layers {
            if let Some(before) = layer.index.checked_sub(1) {
                average(layer, &self.values[before], &mut self.image);
            }
            let one = 1 << self.plan.input_fraction(layer);
            let patches = &mut self.patches[layer.index];
            unfold(layer, &self.image, one, patches);
            let count = rows.len() * layer.output().positions();
            let left = Matrix::new(patches, count, layer.rows());
            let right = Matrix::new(weights.layer(layer), layer.rows(), layer.outputs);
            self.sums.resize(count * layer.outputs, 0);
            self.products.product(left, right, &mut self.sums).map_err(TrainError::Products)?;
            observer.forward(layer, &self.sums);
            let shift = self.plan.forward_shift(layer);
            let rounded = |&z: &i64| saturate(round(z, shift), bits);
            let values = &mut self.values[layer.index];
            values.clear();
            if layer.index == last {
                values.extend(self.sums.iter().map(rounded));
            } else {
                values.extend(self.sums.iter().map(rounded).map(|q| q.max(0)));
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        weights: &mut Weights,
        examples: Examples<'_>,
        batch: &[u32],
        observer: &mut impl Observer,
    ) -> Result<(), TrainError<P::Error>> {
        self.forward(weights, examples, batch, observer)?;
        let FixedPoint { activation_bits, activation_fraction, .. } = self.plan.format();
        let classes = self.plan.shape().outputs();
        self.errors.clone_from(&self.values[self.plan.shape().depth() - 1]);
        let layers: Vec<Layer> = self.plan.shape().layers().collect();
        // The sums are still those of the last layer.
        let shift = self.plan.forward_shift(layers[layers.len() - 1]);
        let rows = self.errors.chunks_exact_mut(classes).zip(self.sums.chunks_exact(classes));
        for ((outputs, sums), &row) in rows.zip(batch) {
            let label = usize::from(examples.labels[row as usize]);
            if let Some(softmax) = &self.softmax {
                softmax.apply(outputs);
            }
            outputs[label] -= 1 << activation_fraction;
            if self.softmax.is_some() {
                // The loss does not change with what was saturated, and nothing else would stop the weights behind it.
                for (class, (error, &sum)) in outputs.iter_mut().zip(sums).enumerate() {
                    let rounded = round(sum, shift);
                    let saturated = i64::from(saturate(rounded, activation_bits));
                    if if class == label { rounded > saturated } else { rounded < saturated } {
                        *error = 0;
                    }
                }
            }
        }
        for &layer in layers.iter().rev() {
            let rows = batch.len() * layer.output().positions();
            let errors = Matrix::new(&self.errors, rows, layer.outputs);
            let entering = Matrix::new(&self.patches[layer.index], rows, layer.rows());
            self.sums.resize(layer.parameters(), 0);
            self.products.product(entering.transpose(), errors, &mut self.sums).map_err(TrainError::Products)?;
            observer.gradient(layer, &self.sums);
            // The errors of the layer before come from this layer's weights as they were in the forward pass.
            if layer.index > 0 {
                let inputs = &weights.layer(layer)[..layer.inputs * layer.outputs];
                let right = Matrix::new(inputs, layer.inputs, layer.outputs).transpose();
                let sums = &mut self.back_patches;
                sums.resize(rows * layer.inputs, 0);
                self.products.product(errors, right, sums).map_err(TrainError::Products)?;
                fold(layer, sums, &mut self.back_sums);
                observer.backward(layer, &self.back_sums);
            }
            let shift = self.plan.update_shift(layer);
            for (weight, &gradient) in weights.layer_mut(layer).iter_mut().zip(&self.sums) {
                // The plan bounds weights and changes alike below 2³¹.
                *weight -= round(gradient, shift) as i32;
            }
            if layer.index > 0 {
                let shift = self.plan.backward_shift(layer);
                let rounded = |&sum: &i64| saturate(round(sum, shift), activation_bits);
                self.image.clear();
                self.image.extend(self.back_sums.iter().map(rounded));
                spread(layer, &self.image, &self.values[layer.index - 1], &mut self.errors);
            }
        }
        Ok(())
    }
}

/// The sums over a layer's squares of `values`, which are images of its source.
fn average(layer: Layer, values: &[i32], image: &mut Vec<i32>) {
    let (source, entering) = (layer.source, layer.image());
    image.clear();
    if layer.pool == 1 {
        image.extend_from_slice(values);
        return;
    }
    image.resize(values.len() / source.len() * entering.len(), 0);
    for (sums, values) in image.chunks_exact_mut(entering.len()).zip(values.chunks_exact(source.len())) {
        for (position, pixel) in values.chunks_exact(source.channels).enumerate() {
            if let Some(pooled) = layer.pooled(position) {
                let sums = &mut sums[pooled * source.channels..][..source.channels];
                sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += value);
            }
        }
    }
}

/// One row a position: what the kernel covers there, and the constant one.
fn unfold(layer: Layer, image: &[i32], one: i32, patches: &mut Vec<i32>) {
    let (entering, width) = (layer.image(), layer.rows());
    let examples = image.len() / entering.len();
    let block = layer.output().positions() * width;
    patches.clear();
    patches.resize(examples * block, 0);
    for (patches, image) in patches.chunks_exact_mut(block).zip(image.chunks_exact(entering.len())) {
        layer.for_taps(|tap, output, position| {
            let channels = entering.channels;
            let pixel = &image[position * channels..][..channels];
            patches[output * width + tap * channels..][..channels].copy_from_slice(pixel);
        });
        patches.iter_mut().skip(layer.inputs).step_by(width).for_each(|slot| *slot = one);
    }
}

/// Adds up what goes back to each pixel from every patch that saw it.
fn fold(layer: Layer, patches: &[i64], sums: &mut Vec<i64>) {
    let (entering, block) = (layer.image(), layer.output().positions() * layer.inputs);
    let examples = patches.len() / block;
    sums.clear();
    sums.resize(examples * entering.len(), 0);
    for (sums, patches) in sums.chunks_exact_mut(entering.len()).zip(patches.chunks_exact(block)) {
        layer.for_taps(|tap, output, position| {
            let channels = entering.channels;
            let pixel = &patches[output * layer.inputs + tap * channels..][..channels];
            let sums = &mut sums[position * channels..][..channels];
            sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += value);
        });
    }
}

/// The errors of a layer's source: those of its image at each pixel of a square, where the ReLU was on.
fn spread(layer: Layer, image: &[i32], values: &[i32], errors: &mut Vec<i32>) {
    let (source, entering) = (layer.source, layer.image());
    errors.clear();
    errors.resize(values.len(), 0);
    let blocks = errors.chunks_exact_mut(source.len()).zip(values.chunks_exact(source.len()));
    for ((errors, values), image) in blocks.zip(image.chunks_exact(entering.len())) {
        let pixels = errors.chunks_exact_mut(source.channels).zip(values.chunks_exact(source.channels));
        for (position, (errors, values)) in pixels.enumerate() {
            let Some(pooled) = layer.pooled(position) else { continue };
            let pixel = &image[pooled * source.channels..][..source.channels];
            // A ReLU was on where its output is at least one: at zero the bit is determined, and off.
            for ((error, &value), &sum) in errors.iter_mut().zip(values).zip(pixel) {
                *error = if value > 0 { sum } else { 0 };
            }
        }
    }
}

fn mismatch(what: &'static str, expected: usize, got: usize) -> Result<(), CircuitError> {
    if expected == got { Ok(()) } else { Err(CircuitError::Mismatch { what, expected, got }) }
}

fn out_of_range(field: &'static str, value: usize, min: usize, max: usize) -> CircuitError {
    CircuitError::OutOfRange { field, value: value as i128, min: min as i128, max: max as i128 }
}
