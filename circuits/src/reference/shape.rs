use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Image, Layer};
use crate::CircuitError;

/// A network: what enters it, and its layers.
///
/// Written as a line of parts: what enters, then layers. `64-32-10` is a multilayer perceptron with one hidden layer.
/// `28x28x1-6c5p2-a2-16c5-a2-120-84-10` is LeNet-5 (LeCun et al. 1998) with ReLU: images of 28 × 28 pixels and one
/// channel; `6c5p2` is a convolution to six channels with kernels of 5 × 5 and two pixels of zeros around the image (`p2`,
/// none if not said); `a2` averages squares of 2 × 2; a number is a dense layer of so many outputs. The last is dense.
///
/// The parameters have one order: layer after layer, each a block of `inputs + 1` rows of `outputs`, row-major, with the
/// bias as the last row; the rows of a convolution are in the order (row of the kernel, column of the kernel, channel).
/// Pixels are in the order (row, column, channel).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shape {
    image: Image,
    layers: Vec<Layer>,
}

impl Shape {
    /// The widest layer, image side or count of channels that is accepted.
    pub const MAX_WIDTH: usize = 1 << 20;
    /// The deepest network that is accepted, in layers with weights.
    pub const MAX_DEPTH: usize = 64;
    /// The most parameters that are accepted.
    pub const MAX_PARAMETERS: usize = 1 << 28;
    /// The most numbers an image may have, that enters a layer or leaves it.
    pub const MAX_IMAGE: usize = 1 << 24;
    /// The greatest side of a kernel, and of a square that is averaged.
    pub const MAX_KERNEL: usize = 16;

    /// A multilayer perceptron of the given widths, inputs first.
    ///
    /// # Errors
    /// [`CircuitError::OutOfRange`] for fewer than two widths, a zero or an excessive width, or too many parameters.
    pub fn new(widths: &[usize]) -> Result<Self, CircuitError> {
        in_range("layers", widths.len().saturating_sub(1), 1, Self::MAX_DEPTH)?;
        let mut parts = widths.iter().map(|&width| Part::Dense { outputs: width });
        let Some(Part::Dense { outputs }) = parts.next() else { unreachable!("there are two widths at least") };
        Self::build(Image { height: 1, width: 1, channels: outputs }, parts)
    }

    fn build(image: Image, parts: impl Iterator<Item = Part>) -> Result<Self, CircuitError> {
        check_image(image)?;
        let mut layers: Vec<Layer> = Vec::new();
        let (mut source, mut pool, mut offset) = (image, 1, 0);
        let mut dense = false;
        for part in parts {
            let entering = Image { height: source.height / pool, width: source.width / pool, ..source };
            let (kernel, padding, outputs) = match part {
                Part::Average { side } => {
                    // Averages follow a layer, whose outputs they average, one at most.
                    in_range("averages in a row", if pool == 1 { 1 } else { 2 }, 1, 1)?;
                    in_range("layers before an average", layers.len(), 1, Self::MAX_DEPTH)?;
                    in_range("side of an average", side, 2, Self::MAX_KERNEL.min(source.height.min(source.width)))?;
                    if !side.is_power_of_two() {
                        return Err(CircuitError::NotAPowerOfTwo { field: "side of an average", value: side });
                    }
                    pool = side;
                    continue;
                }
                Part::Dense { outputs } => ([entering.height, entering.width], 0, outputs),
                Part::Convolution { outputs, kernel, padding } => {
                    let most = Self::MAX_KERNEL
                        .min(entering.height.min(entering.width).saturating_add(padding.saturating_mul(2)));
                    in_range("kernel", kernel, 1, most)?;
                    in_range("padding", padding, 0, kernel - 1)?;
                    ([kernel; 2], padding, outputs)
                }
            };
            in_range("layer width", outputs, 1, Self::MAX_WIDTH)?;
            let inputs = kernel[0] * kernel[1] * entering.channels;
            let layer = Layer { index: layers.len(), source, pool, kernel, padding, inputs, outputs, offset };
            offset += layer.parameters();
            in_range("parameters", offset, 1, Self::MAX_PARAMETERS)?;
            source = layer.output();
            check_image(source)?;
            (pool, dense) = (1, matches!(part, Part::Dense { .. }));
            layers.push(layer);
        }
        in_range("layers", layers.len(), 1, Self::MAX_DEPTH)?;
        in_range("averages after the last layer", usize::from(pool > 1), 0, 0)?;
        in_range("dense layers at the end", usize::from(dense), 1, Self::MAX_DEPTH)?;
        Ok(Self { image, layers })
    }

    /// Numbers of an example.
    pub const fn inputs(&self) -> usize {
        self.image.len()
    }

    /// Width of the output, one entry a class.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// The number of layers with weights.
    pub const fn depth(&self) -> usize {
        self.layers.len()
    }

    /// The layers with weights, inputs first.
    pub fn layers(&self) -> impl DoubleEndedIterator<Item = Layer> + ExactSizeIterator {
        self.layers.iter().copied()
    }

    /// The number of parameters, biases included.
    pub fn parameters(&self) -> usize {
        self.layers[self.layers.len() - 1].range().end
    }
}

/// A part of a network's line.
enum Part {
    Dense { outputs: usize },
    Convolution { outputs: usize, kernel: usize, padding: usize },
    Average { side: usize },
}

impl Part {
    fn read(text: &str) -> Option<Self> {
        if let Some(side) = text.strip_prefix('a') {
            return Some(Self::Average { side: side.parse().ok()? });
        }
        let Some((outputs, rest)) = text.split_once('c') else {
            return Some(Self::Dense { outputs: text.parse().ok()? });
        };
        let (kernel, padding) = rest.split_once('p').unwrap_or((rest, "0"));
        let number = |text: &str| text.parse().ok();
        Some(Self::Convolution { outputs: number(outputs)?, kernel: number(kernel)?, padding: number(padding)? })
    }
}

fn in_range(field: &'static str, value: usize, min: usize, max: usize) -> Result<(), CircuitError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(CircuitError::OutOfRange { field, value: value as i128, min: min as i128, max: max as i128 })
}

fn check_image(image: Image) -> Result<(), CircuitError> {
    for side in [image.height, image.width, image.channels] {
        in_range("layer width", side, 1, Shape::MAX_WIDTH)?;
    }
    // Three sides of at most 2^20 each.
    let len = (image.height as u64 * image.width as u64).saturating_mul(image.channels as u64);
    in_range("numbers of an image", usize::try_from(len).unwrap_or(usize::MAX), 1, Shape::MAX_IMAGE)
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Image { height, width, channels } = self.image;
        if height * width == 1 {
            write!(f, "{channels}")?;
        } else {
            write!(f, "{height}x{width}x{channels}")?;
        }
        for layer in &self.layers {
            if layer.pool > 1 {
                write!(f, "-a{}", layer.pool)?;
            }
            write!(f, "-{}", layer.outputs)?;
            let image = layer.image();
            // A kernel that covers the image without padding is a dense layer, however it was written.
            if layer.kernel != [image.height, image.width] || layer.padding > 0 {
                write!(f, "c{}", layer.kernel[0])?;
                if layer.padding > 0 {
                    write!(f, "p{}", layer.padding)?;
                }
            }
        }
        Ok(())
    }
}

impl FromStr for Shape {
    type Err = CircuitError;

    fn from_str(text: &str) -> Result<Self, CircuitError> {
        let unreadable = || CircuitError::Unreadable { got: text.to_owned() };
        let mut parts = text.split('-').map(str::trim);
        let sides: Option<Vec<usize>> =
            parts.next().and_then(|first| first.split('x').map(|side| side.parse().ok()).collect());
        let image = match sides.as_deref() {
            Some(&[channels]) => Image { height: 1, width: 1, channels },
            Some(&[height, width, channels]) => Image { height, width, channels },
            _ => return Err(unreadable()),
        };
        let parts = parts.map(Part::read).collect::<Option<Vec<_>>>().ok_or_else(unreadable)?;
        Self::build(image, parts.into_iter())
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
        assert_eq!(shape, Shape::new(&[784, 128, 10]).unwrap());
        assert_eq!(shape.to_string(), "784-128-10");
        assert_eq!(shape.parameters(), 785 * 128 + 129 * 10);
        let last = shape.layers().next_back().unwrap();
        assert_eq!((last.index, last.inputs, last.outputs, last.offset), (1, 128, 10, 785 * 128));
        assert_eq!(last.range().end, shape.parameters());
    }

    #[test]
    fn lenet_5_has_the_dimensions_that_are_known() {
        let text = "28x28x1-6c5p2-a2-16c5-a2-120-84-10";
        let shape: Shape = text.parse().unwrap();
        assert_eq!(shape.to_string(), text);
        assert_eq!(shape.inputs(), 784);
        let sizes: Vec<_> = shape.layers().map(|l| (l.image().len(), l.inputs, l.output().len())).collect();
        assert_eq!(
            sizes,
            [(784, 25, 28 * 28 * 6), (14 * 14 * 6, 150, 10 * 10 * 16), (400, 400, 120), (120, 120, 84), (84, 84, 10)]
        );
        // Every map of the second convolution sees all six maps; LeCun's table of 60 connections had 1516 weights there.
        assert_eq!(shape.parameters(), 26 * 6 + 151 * 16 + 401 * 120 + 121 * 84 + 85 * 10);
    }

    #[test]
    fn unreadable_and_absurd_shapes_are_refused() {
        for text in ["64-x", "", "8x8-10", "8x8x1x1-10", "8x8x1-4k3-10", "8x8x1-4c3q1-10", "8x8x1-4c3-b2-10", "a2-10"] {
            assert!(matches!(text.parse::<Shape>(), Err(CircuitError::Unreadable { .. })), "{text}");
        }
        let field = |text: &str| match text.parse::<Shape>() {
            Err(CircuitError::OutOfRange { field, .. } | CircuitError::NotAPowerOfTwo { field, .. }) => field,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(field("64"), "layers");
        assert_eq!(field("64-0-10"), "layer width");
        assert_eq!(field("1048576-1048576"), "parameters");
        assert_eq!(field("64-18446744073709551615"), "layer width");
        assert_eq!(field("8x8x1-4c9-10"), "kernel");
        assert_eq!(field("8x8x1-4c0-10"), "kernel");
        assert_eq!(field("8x8x1-4c3p3-10"), "padding");
        assert_eq!(field("8x8x1-4c3p18446744073709551615-10"), "padding");
        assert_eq!(field("8x8x1-4c3-a3-10"), "side of an average");
        assert_eq!(field("8x8x1-4c3-a8-10"), "side of an average");
        assert_eq!(field("8x8x1-a2-10"), "layers before an average");
        assert_eq!(field("8x8x1-4c3-a2-a2-10"), "averages in a row");
        assert_eq!(field("8x8x1-10-a2"), "side of an average");
        assert_eq!(field("8x8x1-4c3-a2"), "averages after the last layer");
        assert_eq!(field("8x8x1-4c3"), "dense layers at the end");
        assert_eq!(field("1048576x1048576x1048576-10"), "numbers of an image");
    }
}
