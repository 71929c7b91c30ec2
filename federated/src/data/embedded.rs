use super::source::Source;
use super::{Dataset, csv, idx};

const DIGITS: &[u8] = include_bytes!("../../data/digits.csv.gz");
const MNIST_IMAGES: &[u8] = include_bytes!("../../data/mnist10k-images.idx3.gz");
const MNIST_LABELS: &[u8] = include_bytes!("../../data/mnist10k-labels.idx1.gz");

impl Dataset {
    /// 1,797 hand-written digits of 8 × 8 pixels, embedded in the crate.
    ///
    /// The test part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, UCI 1998, CC BY 4.0). Its
    /// pixels are 0 to 16; they become `min(255, 16·v)`.
    pub fn digits() -> Self {
        let source = Source::from_bytes("digits.csv.gz", DIGITS);
        csv::read(source, 16, 10).expect("the embedded digits are well formed").named("digits")
    }

    /// 10,000 MNIST digits of 28 × 28 pixels, shuffled, embedded in the crate (7.5 MiB in memory).
    ///
    /// A fixed subset of MNIST ([LeCun, Cortes and Burges](http://yann.lecun.com/exdb/mnist/), CC BY-SA 3.0) without MNIST's own division into training and
    /// test: accuracies measured on it are not MNIST accuracies.
    pub fn mnist10k() -> Self {
        let images = Source::from_bytes("mnist10k-images.idx3.gz", MNIST_IMAGES);
        let labels = Source::from_bytes("mnist10k-labels.idx1.gz", MNIST_LABELS);
        idx::read(images, labels, 10).expect("the embedded MNIST subset is well formed").named("mnist10k")
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn counts(data: &Dataset) -> [usize; 10] {
        let mut counts = [0; 10];
        data.labels().iter().for_each(|&label| counts[usize::from(label)] += 1);
        counts
    }

    #[test]
    fn the_digits_are_the_published_ones() {
        let data = Dataset::digits();
        assert_eq!((data.len(), data.features(), data.classes(), data.name()), (1797, 64, 10, "digits"));
        assert_eq!(counts(&data), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        // Rows 1 and 2 of the published file begin 0,0,5,13,9,1,0,0 and 0,0,0,12,13,5,0,0.
        assert_eq!(data.image(0)[..8], [0, 0, 80, 208, 144, 16, 0, 0]);
        assert_eq!(data.image(1)[..8], [0, 0, 0, 192, 208, 80, 0, 0]);
        assert_eq!(data.image(1)[10..16], [0, 176, 255, 144, 0, 0], "16 becomes 255");
        assert_eq!(data.labels()[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn the_digest_of_the_digits_is_as_computed_elsewhere() {
        // By Python's hashlib from the decompressed file, following the documented layout.
        let expected = "f96a4088c3441c1aec37153e1d446ad3c120ecdc332f904f7e31ef3241778b73";
        assert_eq!(hex(Dataset::digits().digest()), expected);
    }

    #[test]
    fn the_mnist_subset_is_the_packaged_one() {
        let data = Dataset::mnist10k();
        assert_eq!((data.len(), data.features(), data.classes(), data.name()), (10_000, 784, 10, "mnist10k"));
        assert_eq!(counts(&data), [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]);
        assert_eq!(data.labels()[..10], [5, 6, 8, 8, 2, 2, 7, 0, 7, 6]);
        assert_eq!(data.image(0)[280 + 12..280 + 19], [0x00, 0x2e, 0xdd, 0xfe, 0xfb, 0x54, 0x00]);
        assert_eq!(data.image(0).iter().map(|&pixel| u32::from(pixel)).sum::<u32>(), 21_026);
        // By Python's hashlib over everything after the decompressed header.
        let expected = "7a08b3ac78e0d4a86a8253c9bc31a8ecd2d7671f465c0ff07a0cf44ccea44e57";
        assert_eq!(hex(Sha256::digest(data.inputs()).into()), expected);
    }

    fn hex(bytes: [u8; 32]) -> String {
        use std::fmt::Write;
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }
}
