use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::CircuitError;

/// The widths of a multilayer perceptron, inputs first: `64-32-10` has one hidden layer.
///
/// Its parameters have one order: layer after layer, each an `(inputs + 1) × outputs` block, row-major,
/// with the bias as the last row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shape {
    widths: Vec<usize>,
}

/// One dense layer's place in the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Position, from zero at the inputs.
    pub index: usize,
    /// Inputs without the constant one.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
    /// Where the block starts among all parameters.
    pub offset: usize,
}

impl Layer {
    /// Rows of the block: the inputs and the bias.
    pub const fn rows(&self) -> usize {
        self.inputs + 1
    }

    /// Entries of the block.
    pub const fn parameters(&self) -> usize {
        self.rows() * self.outputs
    }

    /// Where the block lies among all parameters.
    pub const fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.parameters()
    }
}

impl Shape {
    /// The widest layer that is accepted.
    pub const MAX_WIDTH: usize = 1 << 20;
    /// The deepest network that is accepted, in dense layers.
    pub const MAX_DEPTH: usize = 64;
    /// The most parameters that are accepted.
    pub const MAX_PARAMETERS: usize = 1 << 28;

    /// A network of the given widths, inputs first.
    ///
    /// # Errors
    /// [`CircuitError::OutOfRange`] for fewer than two widths, a zero or an excessive width, or too many parameters.
    pub fn new(widths: &[usize]) -> Result<Self, CircuitError> {
        in_range("dense layers", widths.len().saturating_sub(1), 1, Self::MAX_DEPTH)?;
        for &width in widths {
            in_range("layer width", width, 1, Self::MAX_WIDTH)?;
        }
        let shape = Self { widths: widths.to_vec() };
        in_range("parameters", shape.parameters(), 1, Self::MAX_PARAMETERS)?;
        Ok(shape)
    }

    /// Width of the input.
    pub fn inputs(&self) -> usize {
        self.widths[0]
    }

    /// Width of the output, one entry a class.
    pub fn outputs(&self) -> usize {
        self.widths[self.widths.len() - 1]
    }

    /// The number of dense layers.
    pub fn depth(&self) -> usize {
        self.widths.len() - 1
    }

    /// The dense layers, inputs first.
    pub fn layers(&self) -> impl DoubleEndedIterator<Item = Layer> + ExactSizeIterator {
        let mut offset = 0;
        let layers: Vec<_> = self
            .widths
            .windows(2)
            .enumerate()
            .map(|(index, pair)| {
                let layer = Layer { index, inputs: pair[0], outputs: pair[1], offset };
                offset += layer.parameters();
                layer
            })
            .collect();
        layers.into_iter()
    }

    /// The number of parameters, biases included.
    pub fn parameters(&self) -> usize {
        self.widths.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum()
    }
}

fn in_range(field: &'static str, value: usize, min: usize, max: usize) -> Result<(), CircuitError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(CircuitError::OutOfRange { field, value: value as i128, min: min as i128, max: max as i128 })
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, width) in self.widths.iter().enumerate() {
            if index > 0 {
                f.write_str("-")?;
            }
            write!(f, "{width}")?;
        }
        Ok(())
    }
}

impl FromStr for Shape {
    type Err = CircuitError;

    fn from_str(text: &str) -> Result<Self, CircuitError> {
        let unreadable = || CircuitError::Unreadable { got: text.to_owned() };
        let widths = text
            .split('-')
            .map(|width| width.trim().parse::<usize>().map_err(|_| unreadable()))
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(&widths)
    }
}

impl TryFrom<String> for Shape {
    type Error = CircuitError;

    fn try_from(text: String) -> Result<Self, CircuitError> {
        text.parse()
    }
}

impl From<Shape> for String {
    fn from(shape: Shape) -> Self {
        shape.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_reads_back_what_it_writes() {
        let shape: Shape = "784-128-10".parse().unwrap();
        assert_eq!(shape.to_string(), "784-128-10");
        assert_eq!(shape.parameters(), 785 * 128 + 129 * 10);
        let last = shape.layers().next_back().unwrap();
        assert_eq!(last, Layer { index: 1, inputs: 128, outputs: 10, offset: 785 * 128 });
        assert_eq!(last.range().end, shape.parameters());
    }

    #[test]
    fn unreadable_and_absurd_shapes_are_refused() {
        assert!(matches!("64-x".parse::<Shape>(), Err(CircuitError::Unreadable { .. })));
        assert!(matches!("".parse::<Shape>(), Err(CircuitError::Unreadable { .. })));
        let field = |text: &str| match text.parse::<Shape>() {
            Err(CircuitError::OutOfRange { field, .. }) => field,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(field("64"), "dense layers");
        assert_eq!(field("64-0-10"), "layer width");
        assert_eq!(field("1048576-1048576"), "parameters");
        assert_eq!(field("64-18446744073709551615"), "layer width");
    }
}
