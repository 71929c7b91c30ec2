use crate::FheError;

/// A dense layer, `W·a + b`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    inputs: usize,
    outputs: usize,
    weights: Vec<f64>,
    bias: Vec<f64>,
}

impl Dense {
    /// The most inputs or outputs.
    pub const MAX_WIDTH: usize = 1 << 14;

    /// A layer of `outputs × inputs` weights, row by row, and `outputs` biases.
    ///
    /// # Errors
    /// [`FheError::OutOfRange`] for a width that is zero or above [`Self::MAX_WIDTH`]; [`FheError::Count`] for weights
    /// or biases that are too many or too few; [`FheError::NotFinite`].
    pub fn new(inputs: usize, outputs: usize, weights: Vec<f64>, bias: Vec<f64>) -> Result<Self, FheError> {
        for (what, width) in [("the number of a layer's inputs", inputs), ("the number of a layer's outputs", outputs)]
        {
            if !(1..=Self::MAX_WIDTH).contains(&width) {
                let value = i64::try_from(width).unwrap_or(i64::MAX);
                return Err(FheError::OutOfRange { what, value, low: 1, high: Self::MAX_WIDTH as i64 });
            }
        }
        expect_count("weights of a layer", inputs * outputs, weights.len())?;
        expect_count("biases of a layer", outputs, bias.len())?;
        expect_finite("a weight", &weights)?;
        expect_finite("a bias", &bias)?;
        Ok(Self { inputs, outputs, weights, bias })
    }

    /// The width of what enters.
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// The width of what leaves.
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// The weights, `outputs × inputs`, row by row.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// One bias an output.
    pub fn bias(&self) -> &[f64] {
        &self.bias
    }

    fn apply(&self, input: &[f64]) -> Vec<f64> {
        let rows = self.weights.chunks_exact(self.inputs).zip(&self.bias);
        rows.map(|(row, bias)| bias + row.iter().zip(input).map(|(weight, value)| weight * value).sum::<f64>())
            .collect()
    }
}

/// Dense layers with squares between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    layers: Vec<Dense>,
}

impl Network {
    /// A network of these layers, from the input's to the output's.
    ///
    /// # Errors
    /// [`FheError::Count`] for no layer, or a layer whose inputs are not as many as the outputs before.
    pub fn new(layers: Vec<Dense>) -> Result<Self, FheError> {
        if layers.is_empty() {
            return Err(FheError::Count { what: "layers of a network", expected: 1, got: 0 });
        }
        for pair in layers.windows(2) {
            expect_count("inputs of a layer", pair[0].outputs, pair[1].inputs)?;
        }
        Ok(Self { layers })
    }

    /// The layers.
    pub fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// The width of the input.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs
    }

    /// The number of classes.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// What the last layer gives for an input.
    ///
    /// # Errors
    /// [`FheError::Count`] for an input of another width, [`FheError::NotFinite`].
    pub fn evaluate(&self, input: &[f64]) -> Result<Vec<f64>, FheError> {
        expect_count("inputs of the network", self.inputs(), input.len())?;
        expect_finite("input", input)?;
        let mut values = input.to_vec();
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                for value in &mut values {
                    *value *= *value;
                }
            }
            values = layer.apply(&values);
        }
        Ok(values)
    }

    /// The class of the greatest output, the first among equals.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn classify(&self, input: &[f64]) -> Result<usize, FheError> {
        Ok(greatest(&self.evaluate(input)?))
    }
}

pub(super) fn expect_count(what: &'static str, expected: usize, got: usize) -> Result<(), FheError> {
    if expected == got { Ok(()) } else { Err(FheError::Count { what, expected, got }) }
}

pub(super) fn expect_finite(what: &'static str, values: &[f64]) -> Result<(), FheError> {
    let index = values.iter().position(|value| !value.is_finite());
    index.map_or(Ok(()), |index| Err(FheError::NotFinite { what, index }))
}

/// The index of the greatest, the least index among equals.
pub(super) fn greatest<T: PartialOrd + Copy>(values: &[T]) -> usize {
    let later = |best: usize, index: usize| if values[index] > values[best] { index } else { best };
    (0..values.len()).fold(0, later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_layers_are_as_computed_by_hand() {
        let hidden = Dense::new(2, 2, vec![1.0, 2.0, -1.0, 0.5], vec![0.0, 1.0]).unwrap();
        let last = Dense::new(2, 2, vec![1.0, 0.0, 2.0, -1.0], vec![3.0, 0.0]).unwrap();
        let network = Network::new(vec![hidden, last]).unwrap();
        // z = (5, 1), a = (25, 1)
        assert_eq!(network.evaluate(&[1.0, 2.0]), Ok(vec![28.0, 49.0]));
        assert_eq!(network.classify(&[1.0, 2.0]), Ok(1));
    }

    #[test]
    fn the_first_among_equals_is_the_greatest() {
        assert_eq!(greatest(&[1, 3, 2, 3]), 1);
        assert_eq!(greatest(&[-1]), 0);
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        let layer =
            |inputs, outputs| Dense::new(inputs, outputs, vec![0.5; inputs * outputs], vec![0.0; outputs]).unwrap();
        let expected = FheError::Count { what: "inputs of a layer", expected: 3, got: 4 };
        assert_eq!(Network::new(vec![layer(2, 3), layer(4, 2)]), Err(expected));
        let expected = FheError::Count { what: "layers of a network", expected: 1, got: 0 };
        assert_eq!(Network::new(vec![]), Err(expected));
        let expected = FheError::Count { what: "weights of a layer", expected: 6, got: 5 };
        assert_eq!(Dense::new(2, 3, vec![0.0; 5], vec![0.0; 3]), Err(expected));
        let expected = FheError::NotFinite { what: "a bias", index: 1 };
        assert_eq!(Dense::new(1, 2, vec![0.0; 2], vec![0.0, f64::NAN]), Err(expected));
        let expected = FheError::OutOfRange { what: "the number of a layer's inputs", value: 0, low: 1, high: 1 << 14 };
        assert_eq!(Dense::new(0, 2, vec![], vec![0.0; 2]), Err(expected));
        let network = Network::new(vec![layer(2, 3)]).unwrap();
        let expected = FheError::Count { what: "inputs of the network", expected: 2, got: 3 };
        assert_eq!(network.evaluate(&[0.0; 3]), Err(expected));
        assert_eq!(network.evaluate(&[0.0, f64::INFINITY]), Err(FheError::NotFinite { what: "input", index: 1 }));
    }
}
