/// The sides of an image: its numbers are in the order (row, column, channel).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Numbers of a pixel.
    pub channels: usize,
}

impl Image {
    /// The count of pixels.
    pub const fn positions(self) -> usize {
        self.height * self.width
    }

    /// The count of numbers.
    pub const fn len(self) -> usize {
        self.positions() * self.channels
    }

    /// Whether it has no numbers; no image of a [`Shape`](super::Shape) is empty.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// One layer with weights, and its place in the parameters: a convolution with stride one.
///
/// A dense layer is the convolution whose kernel covers the whole image: it has one output position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Position, from zero at the inputs.
    pub index: usize,
    /// What leaves the layer before, or the example.
    pub source: Image,
    /// The side of the squares that are averaged before the layer; one for none.
    pub pool: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Zeros on each side of the image.
    pub padding: usize,
    /// What one output is made of, the constant one aside: rows × columns of the kernel × channels.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Where the block starts among all parameters.
    pub offset: usize,
}

impl Layer {
    /// What enters, after averaging; rows and columns that do not fill a square are dropped.
    pub const fn image(&self) -> Image {
        let Image { height, width, channels } = self.source;
        Image { height: height / self.pool, width: width / self.pool, channels }
    }

    /// What leaves.
    pub const fn output(&self) -> Image {
        let Image { height, width, .. } = self.image();
        Image {
            height: height + 2 * self.padding + 1 - self.kernel[0],
            width: width + 2 * self.padding + 1 - self.kernel[1],
            channels: self.outputs,
        }
    }

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

    /// How many positions a kernel covers.
    pub const fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Calls `f(tap, output position, entering position)` wherever a tap of the kernel lies on the image.
    pub(crate) fn for_taps(&self, mut f: impl FnMut(usize, usize, usize)) {
        let (image, output) = (self.image(), self.output());
        for tap in 0..self.taps() {
            let (down, right) = (tap / self.kernel[1], tap % self.kernel[1]);
            for row in 0..output.height {
                let Some(y) = (row + down).checked_sub(self.padding).filter(|&y| y < image.height) else { continue };
                for column in 0..output.width {
                    let x = (column + right).checked_sub(self.padding).filter(|&x| x < image.width);
                    if let Some(x) = x {
                        f(tap, row * output.width + column, y * image.width + x);
                    }
                }
            }
        }
    }

    /// The entering position that a position of the source is averaged into; none for what is dropped, or beyond the source.
    pub(crate) const fn pooled(&self, position: usize) -> Option<usize> {
        let image = self.image();
        let (y, x) = (position / self.source.width / self.pool, position % self.source.width / self.pool);
        if y < image.height && x < image.width { Some(y * image.width + x) } else { None }
    }

    /// The base-two logarithm of how many positions are averaged into one.
    pub(crate) const fn pool_bits(&self) -> u32 {
        2 * self.pool.trailing_zeros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Shape;

    fn layers(text: &str) -> Vec<Layer> {
        text.parse::<Shape>().unwrap().layers().collect()
    }

    #[test]
    fn taps_of_a_padded_kernel_by_hand() {
        // A 2 × 2 image, kernel 2, padding 1: the output is 3 × 3 and its corners see one pixel each.
        let layer = layers("2x2x1-1c2p1-1")[0];
        let mut seen = vec![Vec::new(); 9];
        layer.for_taps(|tap, output, entering| seen[output].push((tap, entering)));
        assert_eq!(seen[0], [(3, 0)]);
        assert_eq!(seen[2], [(2, 1)]);
        assert_eq!(seen[4], [(0, 0), (1, 1), (2, 2), (3, 3)]);
        assert_eq!(seen[8], [(0, 3)]);
    }

    #[test]
    fn a_dense_layer_sees_every_pixel_once() {
        let layer = layers("3x2x4-5")[0];
        assert_eq!((layer.inputs, layer.output().positions(), layer.taps()), (24, 1, 6));
        let mut seen = Vec::new();
        layer.for_taps(|tap, output, entering| seen.push((tap, output, entering)));
        assert_eq!(seen, (0..6).map(|i| (i, 0, i)).collect::<Vec<_>>());
    }

    #[test]
    fn averages_drop_what_does_not_fill_a_square() {
        let layer = layers("5x3x1-1c1-a2-1")[1];
        assert_eq!(layer.image(), Image { height: 2, width: 1, channels: 1 });
        let pooled: Vec<_> = (0..15).map(|position| layer.pooled(position)).collect();
        assert!((15..40).all(|position| layer.pooled(position).is_none()), "beyond the source");
        let whole = layers("3x2x1-1c1-1")[1];
        assert!((0..16).all(|position| whole.pooled(position) == (position < 6).then_some(position)));
        let square = [Some(0), Some(0), None];
        let next = [Some(1), Some(1), None];
        assert_eq!(pooled, [square, square, next, next, [None; 3]].concat());
        assert_eq!(layer.pool_bits(), 2);
    }
}
