use candle_core::{Device, Tensor};
use nexus_circuits::reference::{Matrix, Products, Sgd, TrainingPlan};

use crate::Error;

/// A trainer whose integers go through candle.
pub type ExactTrainer = Sgd<CandleProducts>;

/// Exact integer products by candle's double-precision matrix product.
///
/// Every partial sum is an integer below 2⁵³, so an `f64` holds it and the order of additions, and with it the number
/// of threads, cannot matter.
#[derive(Clone, Copy, Debug)]
pub struct CandleProducts {
    _bounded: (),
}

impl CandleProducts {
    /// Integers of an `f64` are exact below this.
    pub const LIMIT: u128 = 1 << 53;

    /// A trainer for `plan`.
    ///
    /// # Errors
    /// As [`Self::for_plan`].
    pub fn trainer(plan: TrainingPlan) -> Result<ExactTrainer, Error> {
        let products = Self::for_plan(&plan)?;
        Ok(Sgd::new(plan, products))
    }

    /// Products for `plan` and nothing wider.
    ///
    /// # Errors
    /// [`Error::NotExact`] if an accumulator of the plan could reach 2⁵³.
    pub fn for_plan(plan: &TrainingPlan) -> Result<Self, Error> {
        match plan.accumulators().iter().find(|accumulator| accumulator.bound >= Self::LIMIT) {
            None => Ok(Self { _bounded: () }),
            Some(accumulator) => {
                Err(Error::NotExact { accumulator: accumulator.name.clone(), bound: accumulator.bound })
            }
        }
    }
}

impl Products for CandleProducts {
    type Error = candle_core::Error;

    fn product(&mut self, left: Matrix<'_>, right: Matrix<'_>, out: &mut [i64]) -> Result<(), candle_core::Error> {
        let product = tensor(left)?.matmul(&tensor(right)?)?.flatten_all()?.to_vec1::<f64>()?;
        for (sum, value) in out.iter_mut().zip(product) {
            *sum = value as i64;
        }
        Ok(())
    }
}

fn tensor(matrix: Matrix<'_>) -> Result<Tensor, candle_core::Error> {
    let values: Vec<f64> = matrix.values().iter().copied().map(f64::from).collect();
    let stored = Tensor::from_vec(values, matrix.stored(), &Device::Cpu)?;
    if matrix.is_transposed() { stored.t() } else { Ok(stored) }
}

#[cfg(test)]
mod tests {
    use nexus_circuits::reference::{Examples, FixedPoint, Integers, Schedule, Shape, Weights};
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn candle_and_the_reference_agree_bit_for_bit(
            widths in proptest::collection::vec(1usize..40, 2..5),
            log_batch in 0u32..6,
            steps in 1usize..5,
            examples in 1usize..40,
            // From ordinary weights to ones that saturate everything.
            magnitude in prop_oneof![Just(18u32), Just(21), Just(24)],
            rate_shift in 1i32..6,
            seed in any::<u64>(),
        ) {
            let rng = &mut ChaCha20Rng::seed_from_u64(seed);
            let shape = Shape::new(&widths).unwrap();
            let plan = TrainingPlan::new(shape.clone(), FixedPoint::V1, 1 << log_batch, steps, rate_shift).unwrap();
            let values = (0..shape.parameters()).map(|_| rng.next_u32() as i32 >> (32 - magnitude)).collect();
            let start = Weights::new(&shape, values, FixedPoint::V1).unwrap();
            let inputs: Vec<u8> = (0..examples * shape.inputs()).map(|_| rng.next_u32() as u8).collect();
            let labels: Vec<u8> = (0..examples).map(|_| (rng.next_u32() % shape.outputs() as u32) as u8).collect();
            let borrowed = Examples::new(&inputs, &labels, shape.inputs()).unwrap();
            let schedule = Schedule::new([9; 32], examples, plan.batch(), steps).unwrap();
            let mut reference = Sgd::new(plan.clone(), Integers);
            let mut candle = CandleProducts::trainer(plan).unwrap();
            let expected = reference.train(&start, borrowed, &schedule).unwrap();
            let trained = candle.train(&start, borrowed, &schedule).unwrap();
            prop_assert_eq!(&trained, &expected);
            prop_assert_eq!(candle.predict(&trained, borrowed).unwrap(), reference.predict(&expected, borrowed).unwrap());
        }
    }

    #[test]
    fn a_plan_that_leaves_the_exact_integers_of_f64_is_refused() {
        let wide = FixedPoint { weight_bits: 31, weight_fraction: 27, activation_bits: 24, activation_fraction: 20 };
        let plan = TrainingPlan::new(Shape::new(&[4, 4, 2]).unwrap(), wide, 1, 1, 8).unwrap();
        let error = CandleProducts::trainer(plan).unwrap_err();
        assert!(matches!(error, Error::NotExact { bound, .. } if bound >= 1 << 53), "{error:?}");
    }
}
