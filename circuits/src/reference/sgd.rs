use thiserror::Error;

use super::fixed_point::{round, saturate};
use super::{FixedPoint, Layer, Matrix, Products, Schedule, TrainingPlan, Weights};
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
    /// `Z = A·W`, `batch × outputs`.
    fn forward(&mut self, _layer: Layer, _sums: &[i64]) {}
    /// `dW = Aᵀ·E`, `(inputs + 1) × outputs`.
    fn gradient(&mut self, _layer: Layer, _sums: &[i64]) {}
    /// `E·Wᵀ` without the bias, `batch × inputs`.
    fn backward(&mut self, _layer: Layer, _sums: &[i64]) {}
}

impl Observer for () {}

/// A trainer: the plan, a way to multiply matrices, and buffers that are reused from step to step.
#[derive(Debug)]
pub struct Sgd<P> {
    plan: TrainingPlan,
    products: P,
    /// Per layer, the rows that enter it: `rows × (inputs + 1)`, the last column the constant one.
    activations: Vec<Vec<i32>>,
    /// `rows × outputs` of the last layer, then the errors of the layer at hand.
    errors: Vec<i32>,
    sums: Vec<i64>,
    back_sums: Vec<i64>,
}

impl<P: Products> Sgd<P> {
    /// How many examples [`Self::predict`] takes at once.
    const PREDICTION_ROWS: usize = 256;

    /// A trainer for `plan`.
    pub fn new(plan: TrainingPlan, products: P) -> Self {
        let activations = vec![Vec::new(); plan.shape().depth()];
        Self { plan, products, activations, errors: Vec::new(), sums: Vec::new(), back_sums: Vec::new() }
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
            predictions.extend(self.errors.chunks_exact(classes).map(|outputs| {
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

    /// Fills `activations` with what enters each layer, and `errors` with the last layer's outputs.
    fn forward(
        &mut self,
        weights: &Weights,
        examples: Examples<'_>,
        rows: &[u32],
        observer: &mut impl Observer,
    ) -> Result<(), TrainError<P::Error>> {
        let FixedPoint { activation_bits, activation_fraction, .. } = self.plan.format();
        let first = &mut self.activations[0];
        first.clear();
        for &row in rows {
            first.extend(examples.row(row as usize).iter().copied().map(i32::from));
            first.push(1 << FixedPoint::INPUT_FRACTION);
        }
        let last = self.plan.shape().depth() - 1;
        for layer in self.plan.shape().layers() {
            let left = Matrix::new(&self.activations[layer.index], rows.len(), layer.rows());
            let right = Matrix::new(weights.layer(layer), layer.rows(), layer.outputs);
            self.sums.resize(rows.len() * layer.outputs, 0);
            self.products.product(left, right, &mut self.sums).map_err(TrainError::Products)?;
            observer.forward(layer, &self.sums);
            let shift = self.plan.forward_shift(layer);
            let rounded = |&z: &i64| saturate(round(z, shift), activation_bits);
            if layer.index == last {
                self.errors.clear();
                self.errors.extend(self.sums.iter().map(rounded));
            } else {
                let next = &mut self.activations[layer.index + 1];
                next.clear();
                for row in self.sums.chunks_exact(layer.outputs) {
                    next.extend(row.iter().map(rounded).map(|q| q.max(0)));
                    next.push(1 << activation_fraction);
                }
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
        for (outputs, &row) in self.errors.chunks_exact_mut(classes).zip(batch) {
            let target = usize::from(examples.labels[row as usize]);
            for (class, output) in outputs.iter_mut().enumerate() {
                *output -= i32::from(class == target) << activation_fraction;
            }
        }
        let layers: Vec<Layer> = self.plan.shape().layers().collect();
        for &layer in layers.iter().rev() {
            let errors = Matrix::new(&self.errors, batch.len(), layer.outputs);
            let entering = Matrix::new(&self.activations[layer.index], batch.len(), layer.rows());
            self.sums.resize(layer.parameters(), 0);
            self.products.product(entering.transpose(), errors, &mut self.sums).map_err(TrainError::Products)?;
            observer.gradient(layer, &self.sums);
            // The errors of the layer before come from this layer's weights as they were in the forward pass.
            if layer.index > 0 {
                let inputs = &weights.layer(layer)[..layer.inputs * layer.outputs];
                let right = Matrix::new(inputs, layer.inputs, layer.outputs).transpose();
                self.back_sums.resize(batch.len() * layer.inputs, 0);
                self.products.product(errors, right, &mut self.back_sums).map_err(TrainError::Products)?;
                observer.backward(layer, &self.back_sums);
            }
            let shift = self.plan.update_shift(layer);
            for (weight, &gradient) in weights.layer_mut(layer).iter_mut().zip(&self.sums) {
                // The plan bounds weights and changes alike below 2³¹.
                *weight -= round(gradient, shift) as i32;
            }
            if layer.index > 0 {
                let shift = self.plan.backward_shift();
                let entered = self.activations[layer.index].chunks_exact(layer.rows());
                self.errors.clear();
                for (sums, entered) in self.back_sums.chunks_exact(layer.inputs).zip(entered) {
                    // A ReLU was on where its output is at least one: at zero the bit is determined, and off.
                    self.errors.extend(sums.iter().zip(entered).map(|(&sum, &output)| {
                        if output > 0 { saturate(round(sum, shift), activation_bits) } else { 0 }
                    }));
                }
            }
        }
        Ok(())
    }
}

fn mismatch(what: &'static str, expected: usize, got: usize) -> Result<(), CircuitError> {
    if expected == got { Ok(()) } else { Err(CircuitError::Mismatch { what, expected, got }) }
}

fn out_of_range(field: &'static str, value: usize, min: usize, max: usize) -> CircuitError {
    CircuitError::OutOfRange { field, value: value as i128, min: min as i128, max: max as i128 }
}
