use candle_core::{Device, Tensor, Var};
use nexus_circuits::reference::{Schedule, TrainingPlan};

use crate::Error;
use crate::data::Dataset;
use crate::model::Model;

/// Plain float SGD by candle's automatic differentiation, with the plan's rate, batch and schedule.
///
/// For comparison and research: nothing here can be proven, and its results are not bit-stable across machines.
#[derive(Debug)]
pub struct FloatSgd {
    rate: f64,
    layers: Vec<(Var, Var)>,
}

impl FloatSgd {
    /// A trainer that starts at `model` and moves at the rate of `plan`.
    ///
    /// # Errors
    /// [`Error::Candle`] if a tensor cannot be made.
    pub fn new(model: &Model, plan: &TrainingPlan) -> Result<Self, Error> {
        let tensors = model.to_tensors()?;
        let variable = |name: String| Var::from_tensor(&tensors[&name].to_dtype(candle_core::DType::F32)?);
        let layers = model.weights().shape().layers().map(|layer| {
            let weight = variable(format!("layer{}.weight", layer.index))?;
            Ok::<_, Error>((weight, variable(format!("layer{}.bias", layer.index))?))
        });
        Ok(Self { rate: plan.rate(), layers: layers.collect::<Result<_, _>>()? })
    }

    /// One step for each batch of the schedule.
    ///
    /// # Errors
    /// [`Error::Candle`] from the tensors.
    pub fn train(&mut self, data: &Dataset, schedule: &Schedule) -> Result<(), Error> {
        for batch in schedule.batches() {
            let rows: Vec<usize> = batch.iter().map(|&index| index as usize).collect();
            let inputs = images(data, &rows)?;
            let classes = data.classes();
            let targets = rows.iter().flat_map(|&row| {
                (0..classes).map(move |class| f32::from(u8::from(class == usize::from(data.label(row)))))
            });
            let targets = Tensor::from_vec(targets.collect::<Vec<_>>(), (rows.len(), classes), &Device::Cpu)?;
            let loss = ((self.outputs(&inputs)? - targets)?.sqr()?.sum_all()? * (0.5 / rows.len() as f64))?;
            let gradients = loss.backward()?;
            for variable in self.layers.iter().flat_map(|(weight, bias)| [weight, bias]) {
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

    fn outputs(&self, inputs: &Tensor) -> Result<Tensor, Error> {
        let mut values = inputs.clone();
        for (index, (weight, bias)) in self.layers.iter().enumerate() {
            values = values.matmul(&weight.t()?)?.broadcast_add(bias)?;
            if index + 1 < self.layers.len() {
                values = values.relu()?;
            }
        }
        Ok(values)
    }
}

/// Input bytes `v` as `v / 256`, `rows × features`.
fn images(data: &Dataset, rows: &[usize]) -> Result<Tensor, Error> {
    let values: Vec<f32> = rows.iter().flat_map(|&row| data.image(row)).map(|&byte| f32::from(byte) / 256.0).collect();
    Ok(Tensor::from_vec(values, (rows.len(), data.features()), &Device::Cpu)?)
}
