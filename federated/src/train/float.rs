use candle_core::{DType, Device, Tensor, Var};
use nexus_circuits::reference::{Layer, Loss, Schedule, Shape, TrainingPlan};

use crate::Error;
use crate::data::Dataset;
use crate::model::Model;

/// Plain float SGD by candle's automatic differentiation, with the plan's rate, loss, batch and schedule.
///
/// For comparison and research: nothing here can be proven, and its results are not bit-stable across machines.
#[derive(Debug)]
pub struct FloatSgd {
    rate: f64,
    loss: Loss,
    shape: Shape,
    /// Weight and bias of each layer.
    variables: Vec<[Var; 2]>,
}

impl FloatSgd {
    /// A trainer that starts at `model` and moves at the rate of `plan`.
    ///
    /// # Errors
    /// [`Error::Candle`] if a tensor cannot be made.
    pub fn new(model: &Model, plan: &TrainingPlan) -> Result<Self, Error> {
        let tensors = model.to_tensors()?;
        let shape = model.weights().shape().clone();
        let variable = |name: String| Var::from_tensor(&tensors[&name].to_dtype(DType::F32)?);
        let variables = shape.layers().map(|layer| {
            let weight = variable(format!("layer{}.weight", layer.index))?;
            Ok::<_, Error>([weight, variable(format!("layer{}.bias", layer.index))?])
        });
        let variables = variables.collect::<Result<_, _>>()?;
        Ok(Self { rate: plan.rate(), loss: plan.loss(), shape, variables })
    }

    /// One step for each batch of the schedule.
    ///
    /// # Errors
    /// [`Error::Candle`] from the tensors.
    pub fn train(&mut self, data: &Dataset, schedule: &Schedule) -> Result<(), Error> {
        for batch in schedule.batches() {
            let rows: Vec<usize> = batch.iter().map(|&index| index as usize).collect();
            let outputs = self.outputs(&images(data, &rows)?)?;
            let labels: Vec<u32> = rows.iter().map(|&row| data.label(row).into()).collect();
            let loss = self.loss(&outputs, &labels)?;
            let gradients = loss.backward()?;
            for variable in self.variables.iter().flatten() {
                if let Some(gradient) = gradients.get(variable) {
                    variable.set(&(variable.as_tensor() - (gradient * self.rate)?)?)?;
                }
            }
        }
        Ok(())
    }

    /// The share of examples whose greatest output is their label's.
    ///
    /// # Errors
    /// [`Error::Candle`] from the tensors.
    pub fn accuracy(&self, data: &Dataset) -> Result<f64, Error> {
        let rows: Vec<usize> = (0..data.len()).collect();
        let predicted = self.outputs(&images(data, &rows)?)?.argmax(1)?.to_vec1::<u32>()?;
        let right = rows.iter().filter(|&&row| predicted[row] == u32::from(data.label(row))).count();
        Ok(right as f64 / rows.len().max(1) as f64)
    }

    /// The mean loss of the examples.
    fn loss(&self, outputs: &Tensor, labels: &[u32]) -> Result<Tensor, Error> {
        match self.loss {
            Loss::SquaredError => {
                let classes = outputs.dim(1)? as u32;
                let one_hot = labels.iter().flat_map(|&label| (0..classes).map(move |class| f32::from(class == label)));
                let targets = Tensor::from_vec(one_hot.collect::<Vec<_>>(), outputs.dims(), &Device::Cpu)?;
                Ok(((outputs - targets)?.sqr()?.sum_all()? * (0.5 / labels.len() as f64))?)
            }
            Loss::CrossEntropy => Ok(candle_nn::loss::cross_entropy(outputs, &Tensor::new(labels, &Device::Cpu)?)?),
        }
    }

    /// The outputs of examples `rows × features`, `rows × classes`.
    fn outputs(&self, inputs: &Tensor) -> Result<Tensor, Error> {
        let mut values = inputs.clone();
        for (layer, [weight, bias]) in self.shape.layers().zip(&self.variables) {
            values = apply(layer, &values, weight, bias)?;
            if layer.index + 1 < self.shape.depth() {
                values = values.relu()?;
            }
        }
        Ok(values)
    }
}

/// What leaves a layer, before its ReLU; examples are rows of pixels in the order (row, column, channel) throughout.
fn apply(layer: Layer, values: &Tensor, weight: &Var, bias: &Var) -> Result<Tensor, Error> {
    let (source, image) = (layer.source, layer.image());
    let rows = values.dim(0)?;
    let mut values = values.clone();
    if layer.pool > 1 || weight.rank() == 4 {
        values = values.reshape((rows, source.height, source.width, source.channels))?.permute((0, 3, 1, 2))?;
    }
    if layer.pool > 1 {
        // Candle spreads the errors of an average over everything that enters it.
        let whole = values.narrow(2, 0, image.height * layer.pool)?.narrow(3, 0, image.width * layer.pool)?;
        values = whole.contiguous()?.avg_pool2d(layer.pool)?;
    }
    if weight.rank() == 4 {
        let sums = values.contiguous()?.conv2d(weight, layer.padding, 1, 1, 1)?;
        let sums = sums.permute((0, 2, 3, 1))?.broadcast_add(bias)?;
        return Ok(sums.reshape((rows, layer.output().len()))?);
    }
    if layer.pool > 1 {
        values = values.permute((0, 2, 3, 1))?.reshape((rows, image.len()))?;
    }
    Ok(values.matmul(&weight.t()?)?.broadcast_add(bias)?)
}

/// Input bytes `v` as `v / 256`, `rows × features`.
fn images(data: &Dataset, rows: &[usize]) -> Result<Tensor, Error> {
    let values: Vec<f32> = rows.iter().flat_map(|&row| data.image(row)).map(|&byte| f32::from(byte) / 256.0).collect();
    Ok(Tensor::from_vec(values, (rows.len(), data.features()), &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use nexus_circuits::reference::{Examples, FixedPoint, Integers, Sgd, Weights};
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn floats_take_the_step_that_integers_take() {
        // Averages drop a row and a column of 5 × 7.
        for (text, loss) in [
            ("35-6-3", Loss::SquaredError),
            ("35-6-3", Loss::CrossEntropy),
            ("5x7x1-4c3p1-a2-3c2p1-a2-5-3", Loss::SquaredError),
            ("5x7x1-4c3p1-a2-3c2p1-a2-5-3", Loss::CrossEntropy),
            ("5x7x1-4c4p2-a2-3", Loss::CrossEntropy),
        ] {
            let rng = &mut ChaCha20Rng::seed_from_u64(3);
            let shape: Shape = text.parse().unwrap();
            let values = (0..shape.parameters()).map(|_| (rng.next_u32() >> 12) as i32 - (1 << 19)).collect();
            let weights = Weights::new(&shape, values, FixedPoint::V1).unwrap();
            let start = Model::new(weights, FixedPoint::V1);
            let inputs: Vec<u8> = (0..8 * 35).map(|_| rng.next_u32() as u8).collect();
            let labels = vec![0, 1, 2, 2, 1, 0, 1, 1];
            let data = Dataset::new("noise", inputs.clone(), labels.clone(), 35, 3).unwrap();
            let plan = TrainingPlan::with_loss(shape.clone(), FixedPoint::V1, loss, 8, 1, 1).unwrap();
            let schedule = Schedule::new([1; 32], 8, 8, 1).unwrap();

            let mut float = FloatSgd::new(&start, &plan).unwrap();
            float.train(&data, &schedule).unwrap();
            let examples = Examples::new(&inputs, &labels, 35).unwrap();
            let trained = Sgd::new(plan, Integers).train(start.weights(), examples, &schedule).unwrap();
            let exact = Model::new(trained, FixedPoint::V1).to_tensors().unwrap();
            let before = start.to_tensors().unwrap();
            for (layer, variables) in float.variables.iter().enumerate() {
                for (variable, kind) in variables.iter().zip(["weight", "bias"]) {
                    let name = format!("layer{layer}.{kind}");
                    let greatest = |difference: Tensor| -> f64 {
                        difference.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
                    };
                    let after = variable.to_dtype(DType::F64).unwrap();
                    let moved = greatest((&after - &before[&name]).unwrap());
                    let apart = greatest((&after - &exact[&name]).unwrap());
                    // Errors are rounded to 2^−12 at every pixel; a wrong divisor or order would be as far apart as it moved.
                    assert!(apart < 5e-4 && moved > 4.0 * apart, "{text} {name}: {apart} apart, {moved} moved");
                }
            }
        }
    }
}
