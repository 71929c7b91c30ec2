use std::path::Path;

use super::source::Source;
use super::{DataError, Dataset, Fault, Place};

/// Unsigned bytes in three dimensions.
const IMAGES: u32 = 0x0803;
/// Unsigned bytes in one dimension.
const LABELS: u32 = 0x0801;

impl Dataset {
    /// Reads a pair of IDX files of unsigned bytes, images in three dimensions and labels in one, as MNIST has them.
    ///
    /// Each is a big-endian magic number (0x0803 or 0x0801), its dimensions as 32-bit integers, and the bytes
    /// ([LeCun, Cortes and Burges](http://yann.lecun.com/exdb/mnist/)). gzip is recognised by its first bytes. Labels are
    /// below `classes`. The data is named after the file of images.
    ///
    /// Memory is that of the data, at most [`MAX_INPUT_BYTES`](Self::MAX_INPUT_BYTES) for the images, and grows with what
    /// the files hold, not with what they claim.
    ///
    /// # Errors
    /// [`DataError::Unopened`] or [`DataError::File`] naming the file, the byte's offset after decompression, and what was
    /// expected; [`DataError::CountMismatch`] naming both files; [`DataError::Classes`] for the argument.
    pub fn load_idx(images: impl AsRef<Path>, labels: impl AsRef<Path>, classes: usize) -> Result<Self, DataError> {
        Self::check_classes(classes)?;
        read(Source::open(images.as_ref())?, Source::open(labels.as_ref())?, classes)
    }
}

/// The examples in two sources, for 1 to 256 `classes`.
pub(super) fn read(mut images: Source<'_>, mut labels: Source<'_>, classes: usize) -> Result<Dataset, DataError> {
    let most = Dataset::MAX_INPUT_BYTES;
    let wide = Dataset::MAX_FEATURES as u64;
    let [count, rows, columns] = header(&mut images, IMAGES, [("images", most), ("rows", wide), ("columns", wide)])?;
    let [label_count] = header(&mut labels, LABELS, [("labels", most)])?;
    let features = rows * columns;
    check_size(features, wide, "bytes an image").map_err(|fault| images.refuse(Place::Byte(8), fault))?;
    let size = count * features;
    check_size(size, most, "bytes of images").map_err(|fault| images.refuse(Place::Byte(4), fault))?;
    if label_count != count {
        return Err(DataError::CountMismatch {
            image_file: images.file().to_owned(),
            images: count as usize,
            label_file: labels.file().to_owned(),
            labels: label_count as usize,
        });
    }
    let inputs = body(&mut images, 16, size)?;
    let values = body(&mut labels, 8, count)?;
    if let Some(index) = values.iter().position(|&label| usize::from(label) >= classes) {
        let fault = Fault::LabelOutOfRange { maximum: classes as u32 - 1, got: values[index].to_string() };
        return Err(labels.refuse(Place::Byte(8 + index as u64), fault));
    }
    let data = Dataset::new(images.name(), inputs, values, features as usize, classes);
    Ok(data.expect("dimensions and labels were checked as they were read"))
}

/// The `N` dimensions after the magic number, each at least 1 and at most the maximum beside its name.
fn header<const N: usize>(
    source: &mut Source<'_>,
    magic: u32,
    dimensions: [(&'static str, u64); N],
) -> Result<[u64; N], DataError> {
    let bytes = exactly(source, 0, 4 + 4 * N as u64)?;
    let word =
        |index: usize| u32::from_be_bytes(bytes[4 * index..][..4].try_into().expect("the header is 4 + 4N bytes"));
    if word(0) != magic {
        return Err(source.refuse(Place::Byte(0), Fault::Magic { expected: magic, got: word(0) }));
    }
    let values = std::array::from_fn(|index| word(index + 1).into());
    for (index, (&value, (what, maximum))) in values.iter().zip(dimensions).enumerate() {
        let at = Place::Byte(4 + 4 * index as u64);
        check_size(value, maximum, what).map_err(|fault| source.refuse(at, fault))?;
    }
    Ok(values)
}

fn check_size(got: u64, maximum: u64, what: &'static str) -> Result<(), Fault> {
    if (1..=maximum).contains(&got) { Ok(()) } else { Err(Fault::Size { what, maximum, got }) }
}

/// The `length` bytes from `offset` to the end of the file.
fn body(source: &mut Source<'_>, offset: u64, length: u64) -> Result<Vec<u8>, DataError> {
    let bytes = exactly(source, offset, length)?;
    let end = Place::Byte(offset + length);
    let mut rest = Vec::new();
    source.read_up_to(1, &mut rest).map_err(|error| source.unreadable(end, &error))?;
    if rest.is_empty() {
        Ok(bytes)
    } else {
        Err(source.refuse(end, Fault::TrailingBytes { expected: offset + length }))
    }
}

/// The `length` bytes from `offset` on.
fn exactly(source: &mut Source<'_>, offset: u64, length: u64) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let read = source.read_up_to(length, &mut bytes);
    let end = offset + bytes.len() as u64;
    read.map_err(|error| source.unreadable(Place::Byte(end), &error))?;
    let fault = match bytes.len() as u64 {
        got if got == length => return Ok(bytes),
        0 if offset == 0 => Fault::Empty,
        _ => Fault::Truncated { expected: offset + length, got: end },
    };
    Err(source.refuse(Place::Byte(end), fault))
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};
    use std::path::PathBuf;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    /// Three images of 2 × 2.
    fn images() -> Vec<u8> {
        let header = [0x0803u32, 3, 2, 2].map(u32::to_be_bytes).concat();
        [header, (1..=12).collect()].concat()
    }

    fn labels() -> Vec<u8> {
        [[0x0801u32, 3].map(u32::to_be_bytes).concat(), vec![2, 0, 1]].concat()
    }

    fn parse(images: &[u8], labels: &[u8]) -> Result<Dataset, DataError> {
        read(Source::from_bytes("images", images), Source::from_bytes("labels", labels), 3)
    }

    fn refused(images: &[u8], labels: &[u8]) -> (PathBuf, Place, Fault) {
        match parse(images, labels) {
            Err(DataError::File { file, at, fault }) => (file, at, fault),
            other => panic!("{other:?}"),
        }
    }

    fn with(mut bytes: Vec<u8>, offset: usize, value: u32) -> Vec<u8> {
        bytes[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn images_and_labels_are_read_from_plain_and_compressed_files() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["images.idx", "labels.idx"].map(|name| folder.path().join(name));
        for (image_bytes, label_bytes) in
            [(images(), labels()), (gzip(&images()), labels()), (images(), gzip(&labels()))]
        {
            std::fs::write(&paths[0], image_bytes).unwrap();
            std::fs::write(&paths[1], label_bytes).unwrap();
            let data = Dataset::load_idx(&paths[0], &paths[1], 3).unwrap();
            assert_eq!(data.inputs(), (1..=12).collect::<Vec<u8>>());
            assert_eq!(data.labels(), [2, 0, 1]);
            assert_eq!((data.features(), data.classes(), data.name()), (4, 3, "images.idx"));
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let [images, absent] = ["images", "absent"].map(|name| folder.path().join(name));
        std::fs::write(&images, self::images()).unwrap();
        for (images, labels) in [(&images, &absent), (&absent, &images)] {
            let error = Dataset::load_idx(images, labels, 3).unwrap_err();
            assert!(matches!(&error, DataError::Unopened { file, kind: ErrorKind::NotFound, .. } if *file == absent));
        }
        assert_eq!(Dataset::load_idx(&absent, &absent, 0), Err(DataError::Classes { got: 0 }));
    }

    #[test]
    fn an_empty_file_is_refused() {
        assert_eq!(refused(&[], &labels()), ("images".into(), Place::Byte(0), Fault::Empty));
        assert_eq!(refused(&images(), &gzip(&[])), ("labels".into(), Place::Byte(0), Fault::Empty));
    }

    #[test]
    fn another_magic_number_is_refused() {
        let fault = Fault::Magic { expected: 0x0803, got: 0x0801 };
        assert_eq!(refused(&with(images(), 0, 0x0801), &labels()), ("images".into(), Place::Byte(0), fault));
        let fault = Fault::Magic { expected: 0x0801, got: 0x0803 };
        assert_eq!(refused(&images(), &images()), ("labels".into(), Place::Byte(0), fault));
        let message = parse(&images(), &images()).unwrap_err().to_string();
        assert_eq!(message, "labels, byte 0: expected the magic number 0x00000801, got 0x00000803");
    }

    #[test]
    fn a_truncated_file_names_where_it_ends() {
        let truncated = |expected, got| (Place::Byte(got), Fault::Truncated { expected, got });
        for cut in 1..28 {
            let (at, fault) = truncated(if cut < 16 { 16 } else { 28 }, cut);
            assert_eq!(refused(&images()[..cut as usize], &labels()), ("images".into(), at, fault));
        }
        for cut in 1..11 {
            let (at, fault) = truncated(if cut < 8 { 8 } else { 11 }, cut);
            assert_eq!(refused(&images(), &labels()[..cut as usize]), ("labels".into(), at, fault));
        }
        let message = parse(&images()[..20], &labels()).unwrap_err().to_string();
        assert_eq!(message, "images, byte 20: expected a file of 28 bytes, got 20");
    }

    #[test]
    fn a_truncated_or_corrupt_gzip_stream_names_where_it_breaks() {
        let compressed = gzip(&images());
        let (file, at, fault) = refused(&compressed[..compressed.len() - 2], &labels());
        assert_eq!((file, at), ("images".into(), Place::Byte(28)));
        assert!(matches!(fault, Fault::Unreadable { kind: ErrorKind::UnexpectedEof, .. }), "{fault}");
        let mut corrupt = compressed;
        let checksum = corrupt.len() - 6;
        corrupt[checksum] ^= 1;
        let (_, at, fault) = refused(&corrupt, &labels());
        assert_eq!(at, Place::Byte(28));
        assert!(matches!(fault, Fault::Unreadable { kind: ErrorKind::InvalidInput, .. }), "{fault}");
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let fault = Fault::TrailingBytes { expected: 28 };
        assert_eq!(refused(&[images(), vec![0]].concat(), &labels()), ("images".into(), Place::Byte(28), fault));
        let fault = Fault::TrailingBytes { expected: 11 };
        assert_eq!(refused(&images(), &[labels(), vec![0]].concat()), ("labels".into(), Place::Byte(11), fault));
    }

    #[test]
    fn absurd_dimensions_are_refused() {
        let size = |at, what, maximum, got| ("images".into(), Place::Byte(at), Fault::Size { what, maximum, got });
        let max = u64::from(u32::MAX);
        assert_eq!(refused(&with(images(), 4, 0), &labels()), size(4, "images", 1 << 30, 0));
        assert_eq!(refused(&with(images(), 4, u32::MAX), &labels()), size(4, "images", 1 << 30, max));
        assert_eq!(refused(&with(images(), 8, 0), &labels()), size(8, "rows", 1 << 18, 0));
        assert_eq!(refused(&with(images(), 12, u32::MAX), &labels()), size(12, "columns", 1 << 18, max));
        let wide = with(with(images(), 8, 1 << 18), 12, 1 << 18);
        assert_eq!(refused(&wide, &labels()), size(8, "bytes an image", 1 << 18, 1 << 36));
        let many = with(images(), 4, 1 << 30);
        assert_eq!(refused(&many, &labels()), size(4, "bytes of images", 1 << 30, 1 << 32));
        let message = parse(&many, &labels()).unwrap_err().to_string();
        assert_eq!(message, "images, byte 4: expected 1 to 1073741824 bytes of images, got 4294967296");
    }

    #[test]
    fn a_header_that_claims_more_than_the_file_holds_allocates_nothing_for_it() {
        let claims = with(with(with(images(), 4, 1 << 20), 8, 32), 12, 32);
        let fault = Fault::Truncated { expected: 16 + (1 << 30), got: 28 };
        assert_eq!(refused(&claims, &with(labels(), 4, 1 << 20)), ("images".into(), Place::Byte(28), fault));
    }

    #[test]
    fn a_compressed_body_beyond_its_header_is_not_unpacked() {
        let bomb = gzip(&[images(), vec![0; 1 << 24]].concat());
        assert!(bomb.len() < 1 << 16);
        let fault = Fault::TrailingBytes { expected: 28 };
        assert_eq!(refused(&bomb, &labels()), ("images".into(), Place::Byte(28), fault));
    }

    #[test]
    fn another_count_of_labels_names_both_files() {
        let error = parse(&images(), &with(labels(), 4, 2)).unwrap_err();
        let expected =
            DataError::CountMismatch { image_file: "images".into(), images: 3, label_file: "labels".into(), labels: 2 };
        assert_eq!(error, expected);
        assert_eq!(
            error.to_string(),
            "images holds 3 images, labels holds 2 labels; expected as many labels as images"
        );
    }

    #[test]
    fn a_label_out_of_range_names_its_byte() {
        let mut bytes = labels();
        bytes[9] = 3;
        let fault = Fault::LabelOutOfRange { maximum: 2, got: "3".into() };
        assert_eq!(refused(&images(), &bytes), ("labels".into(), Place::Byte(9), fault));
        let message = parse(&images(), &bytes).unwrap_err().to_string();
        assert_eq!(message, "labels, byte 9: expected a label from 0 to 2, got 3");
    }

    fn mutate(mut bytes: Vec<u8>, cut: usize, flips: &[(prop::sample::Index, u8)]) -> Vec<u8> {
        bytes.truncate(cut);
        for (at, byte) in flips {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
        }
        bytes
    }

    fn flips() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
        proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4)
    }

    proptest! {
        #[test]
        fn mutated_files_never_panic(cuts in any::<[u8; 2]>(), flips in (flips(), flips()), compress: bool) {
            let wrap = |bytes: Vec<u8>| if compress { gzip(&bytes) } else { bytes };
            let images = mutate(wrap(images()), cuts[0].into(), &flips.0);
            let labels = mutate(wrap(labels()), cuts[1].into(), &flips.1);
            match parse(&images, &labels) {
                Ok(data) => {
                    prop_assert_eq!(data.inputs().len(), data.len() * data.features());
                    prop_assert!(!data.is_empty() && data.labels().iter().all(|&label| label < 3));
                }
                Err(DataError::File { .. } | DataError::CountMismatch { .. }) => {}
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}
