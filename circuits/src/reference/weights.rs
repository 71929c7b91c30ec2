use super::{FixedPoint, Layer, Shape};
use crate::CircuitError;

/// The parameters of a network as fixed-point integers, in the order of its [`Shape`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    shape: Shape,
    values: Vec<i32>,
}

impl Weights {
    /// All parameters zero.
    pub fn zeros(shape: &Shape) -> Self {
        Self { shape: shape.clone(), values: vec![0; shape.parameters()] }
    }

    /// Parameters from their integers, `shape.parameters()` of them.
    ///
    /// # Errors
    /// [`CircuitError::Mismatch`] if the count differs, [`CircuitError::OutOfRange`] if one does not fit `format.weight_bits`.
    pub fn new(shape: &Shape, values: Vec<i32>, format: FixedPoint) -> Result<Self, CircuitError> {
        if values.len() != shape.parameters() {
            return Err(CircuitError::Mismatch { what: "parameters", expected: shape.parameters(), got: values.len() });
        }
        let weights = Self { shape: shape.clone(), values };
        weights.validate(format).map(|()| weights)
    }

    /// Checks that every parameter fits `format.weight_bits`, as those do that training starts from.
    ///
    /// # Errors
    /// [`CircuitError::OutOfRange`] if one does not.
    pub fn validate(&self, format: FixedPoint) -> Result<(), CircuitError> {
        let limit = 1i64 << (format.validate()?.weight_bits - 1);
        match self.values.iter().find(|&&value| !(-limit..limit).contains(&i64::from(value))) {
            None => Ok(()),
            Some(&value) => Err(CircuitError::OutOfRange {
                field: "weight",
                value: value.into(),
                min: (-limit).into(),
                max: (limit - 1).into(),
            }),
        }
    }

    /// The network.
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// All parameters in order.
    pub fn values(&self) -> &[i32] {
        &self.values
    }

    /// One layer's block, `(inputs + 1) × outputs`, row-major.
    pub fn layer(&self, layer: Layer) -> &[i32] {
        &self.values[layer.range()]
    }

    pub(super) fn layer_mut(&mut self, layer: Layer) -> &mut [i32] {
        &mut self.values[layer.range()]
    }
}
