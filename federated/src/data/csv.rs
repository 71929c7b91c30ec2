use std::path::Path;

use super::source::Source;
use super::{DataError, Dataset, Fault, Place};

/// Room for [`Dataset::MAX_FEATURES`] columns of 15 digits and a comma.
const MAX_LINE_BYTES: u64 = 1 << 22;
/// Four bytes of text for each input byte, as three digits and a comma take.
const MAX_TEXT_BYTES: u64 = 4 * Dataset::MAX_INPUT_BYTES;
/// How much of a wrong field an error repeats.
const MAX_QUOTED_CHARS: usize = 32;

impl Dataset {
    /// Reads comma-separated integers, one example a line, the label last; gzip is recognised by its first bytes.
    ///
    /// Inputs are 0 to `maximum` and become `min(255, ⌊256·v / maximum⌋)`, so that 255 leaves them as they are; labels
    /// are below `classes`. Spaces around a number are ignored. There is no heading, no quoting and no empty line; a
    /// file cut at the end of a line cannot be told from a shorter one. The data is named after the file.
    ///
    /// Bounded for a hostile file too, compressed or not: at most [`MAX_INPUT_BYTES`](Self::MAX_INPUT_BYTES) of inputs, as many
    /// labels, lines of 4 MiB, and 4 GiB of text.
    ///
    /// # Errors
    /// [`DataError::Unopened`] or [`DataError::File`] naming the file, the line, the column where there is one, and what was
    /// expected; [`DataError::ZeroMaximum`] and [`DataError::Classes`] for the arguments.
    pub fn load_csv(path: impl AsRef<Path>, maximum: u32, classes: usize) -> Result<Self, DataError> {
        Self::check_classes(classes)?;
        if maximum == 0 {
            return Err(DataError::ZeroMaximum);
        }
        read(Source::open(path.as_ref())?, maximum, classes)
    }
}

/// The examples in `source`, for `maximum` ≥ 1 and 1 to 256 `classes`.
pub(super) fn read(mut source: Source<'_>, maximum: u32, classes: usize) -> Result<Dataset, DataError> {
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    let (mut line, mut text, mut features) = (Vec::new(), 0, None);
    for number in 1.. {
        line.clear();
        let at = Place::Line(number);
        source.read_line(MAX_LINE_BYTES + 1, &mut line).map_err(|error| source.unreadable(at, &error))?;
        if line.is_empty() {
            break;
        }
        text += line.len() as u64;
        let width = check_line(&line, text, features, inputs.len()).map_err(|fault| source.refuse(at, fault))?;
        features = Some(width);
        for (index, field) in line.split(|&byte| byte == b',').enumerate() {
            let value = if index < width { input(field, maximum) } else { label(field, classes) };
            let at = Place::Field { line: number, column: index + 1 };
            let value = value.map_err(|fault| source.refuse(at, fault))?;
            if index < width { &mut inputs } else { &mut labels }.push(value);
        }
    }
    let Some(features) = features else {
        return Err(source.refuse(Place::Line(1), Fault::Empty));
    };
    let data = Dataset::new(source.name(), inputs, labels, features, classes);
    Ok(data.expect("every row was checked as it was read"))
}

/// The number of inputs in a line that may be added to `read` inputs, `text` bytes having been read with it.
fn check_line(line: &[u8], text: u64, expected: Option<usize>, read: usize) -> Result<usize, Fault> {
    if line.len() as u64 > MAX_LINE_BYTES {
        return Err(Fault::LineTooLong { maximum: MAX_LINE_BYTES });
    }
    if text > MAX_TEXT_BYTES {
        return Err(Fault::Size { what: "bytes of text", maximum: MAX_TEXT_BYTES, got: text });
    }
    let columns = if line.trim_ascii().is_empty() { 0 } else { line.split(|&byte| byte == b',').count() };
    if let Some(features) = expected
        && columns != features + 1
    {
        return Err(Fault::Columns { expected: features + 1, got: columns });
    }
    if columns < 2 {
        return Err(Fault::TooFewColumns { got: columns });
    }
    let features = columns - 1;
    if features > Dataset::MAX_FEATURES {
        let maximum = Dataset::MAX_FEATURES as u64;
        return Err(Fault::Size { what: "inputs in a line", maximum, got: features as u64 });
    }
    let total = (read + features) as u64;
    if total > Dataset::MAX_INPUT_BYTES {
        return Err(Fault::Size { what: "inputs", maximum: Dataset::MAX_INPUT_BYTES, got: total });
    }
    Ok(features)
}

/// An input of 0 to `maximum`, on the scale of 0 to 255.
fn input(field: &[u8], maximum: u32) -> Result<u8, Fault> {
    let value = integer(field, maximum)?.ok_or_else(|| Fault::InputOutOfRange { maximum, got: quoted(field) })?;
    Ok(to_byte(value, maximum))
}

fn label(field: &[u8], classes: usize) -> Result<u8, Fault> {
    let maximum = classes as u32 - 1;
    let value = integer(field, maximum)?.ok_or_else(|| Fault::LabelOutOfRange { maximum, got: quoted(field) })?;
    Ok(value as u8)
}

/// The integer in `field`, or none where it is negative or above `maximum`.
fn integer(field: &[u8], maximum: u32) -> Result<Option<u32>, Fault> {
    let field = field.trim_ascii();
    let digits = field.strip_prefix(b"-").unwrap_or(field);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::NotAnInteger { maximum, got: quoted(field) });
    }
    Ok(str::from_utf8(field).ok().and_then(|text| text.parse().ok()).filter(|&value| value <= maximum))
}

/// The beginning of a field, safe to print on a terminal.
fn quoted(field: &[u8]) -> String {
    let field = field.trim_ascii();
    // A character takes at most 4 bytes.
    let text = String::from_utf8_lossy(&field[..field.len().min(4 * MAX_QUOTED_CHARS + 4)]);
    let mut quoted: String = text.chars().take(MAX_QUOTED_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_QUOTED_CHARS).is_some() {
        quoted.push('…');
    }
    quoted
}

/// An input of 0 to `maximum` on the scale of 0 to 255.
fn to_byte(value: u32, maximum: u32) -> u8 {
    (u64::from(value) * 256 / u64::from(maximum)).min(255) as u8
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};
    use std::path::PathBuf;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "0,16,2\n1,8,0\n";

    fn parse(bytes: &[u8]) -> Result<Dataset, DataError> {
        read(Source::from_bytes("rows.csv", bytes), 16, 3)
    }

    fn refused(text: &str) -> (Place, Fault) {
        match parse(text.as_bytes()) {
            Err(DataError::File { file, at, fault }) => {
                assert_eq!(file, PathBuf::from("rows.csv"));
                (at, fault)
            }
            other => panic!("{other:?}"),
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn rows_are_read_from_plain_and_compressed_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        for bytes in
            [GOOD.into(), gzip(GOOD.as_bytes()), b" 0, 16 ,2\r\n01,8,0\r\n".to_vec(), b"0,16,2\n1,8,0".to_vec()]
        {
            std::fs::write(&path, bytes).unwrap();
            let data = Dataset::load_csv(&path, 16, 3).unwrap();
            assert_eq!(data.inputs(), [0, 255, 16, 128]);
            assert_eq!(data.labels(), [2, 0]);
            assert_eq!((data.features(), data.classes(), data.name()), (2, 3, "rows.csv"));
        }
    }

    #[test]
    fn inputs_are_scaled_to_eight_bits() {
        for value in 0..=16 {
            assert_eq!(u32::from(to_byte(value, 16)), (16 * value).min(255));
        }
        for value in 0..=255 {
            assert_eq!(u32::from(to_byte(value, 255)), value);
        }
        assert_eq!([0, 1].map(|value| to_byte(value, 1)), [0, 255]);
        assert_eq!([0, u32::MAX / 2, u32::MAX].map(|value| to_byte(value, u32::MAX)), [0, 127, 255]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent.csv");
        let error = Dataset::load_csv(&path, 16, 3).unwrap_err();
        assert!(matches!(&error, DataError::Unopened { file, kind: ErrorKind::NotFound, .. } if *file == path));
        let message = error.to_string();
        assert!(message.contains("absent.csv") && message.contains("expected a readable file"), "{message}");
    }

    #[test]
    fn a_folder_is_not_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = Dataset::load_csv(folder.path(), 16, 3).unwrap_err();
        assert!(matches!(&error, DataError::Unopened { file, .. } if file == folder.path()), "{error}");
    }

    #[test]
    fn an_empty_file_is_refused() {
        assert_eq!(refused(""), (Place::Line(1), Fault::Empty));
        let message = parse(b"").unwrap_err().to_string();
        assert_eq!(message, "rows.csv, line 1: the file is empty, expected at least one example");
    }

    #[test]
    fn a_line_with_another_number_of_columns_is_named() {
        assert_eq!(refused("1,2,0\n1,0\n"), (Place::Line(2), Fault::Columns { expected: 3, got: 2 }));
        assert_eq!(refused("1,2,0\n1,2,3,0\n"), (Place::Line(2), Fault::Columns { expected: 3, got: 4 }));
        assert_eq!(refused("1,2,0\n\n1,2,0\n"), (Place::Line(2), Fault::Columns { expected: 3, got: 0 }));
        assert_eq!(refused("1\n"), (Place::Line(1), Fault::TooFewColumns { got: 1 }));
        assert_eq!(refused("\n1,2,0\n"), (Place::Line(1), Fault::TooFewColumns { got: 0 }));
        let message = parse(b"1,2,0\n1,0\n").unwrap_err().to_string();
        assert_eq!(message, "rows.csv, line 2: expected 3 columns as in line 1, got 2");
    }

    #[test]
    fn a_field_that_is_no_integer_is_named() {
        for (text, got) in
            [("1.5", "1.5"), ("", ""), ("x\u{1b}[2J", "x\\u{1b}[2J"), ("+1", "+1"), ("-", "-"), ("\"1\"", "\\\"1\\\"")]
        {
            let fault = Fault::NotAnInteger { maximum: 16, got: got.into() };
            assert_eq!(refused(&format!("1,2,0\n3,{text},1\n")), (Place::Field { line: 2, column: 2 }, fault));
        }
        let fault = Fault::NotAnInteger { maximum: 2, got: "cat".into() };
        assert_eq!(refused("1,2,cat\n"), (Place::Field { line: 1, column: 3 }, fault));
        let message = parse(b"1,2,0\n3,1.5,1\n").unwrap_err().to_string();
        assert_eq!(message, "rows.csv, line 2, column 2: expected an integer from 0 to 16, got \"1.5\"");
    }

    #[test]
    fn an_input_out_of_range_is_named() {
        for got in ["17", "-1", "99999999999999999999"] {
            let fault = Fault::InputOutOfRange { maximum: 16, got: got.into() };
            assert_eq!(refused(&format!("{got},2,0\n")), (Place::Field { line: 1, column: 1 }, fault));
        }
        let message = parse(b"1,2,0\n3,17,1\n").unwrap_err().to_string();
        assert_eq!(message, "rows.csv, line 2, column 2: expected an input from 0 to 16, got 17");
    }

    #[test]
    fn a_label_out_of_range_is_named() {
        for got in ["3", "-1", "256", "258"] {
            let fault = Fault::LabelOutOfRange { maximum: 2, got: got.into() };
            assert_eq!(refused(&format!("1,2,{got}\n")), (Place::Field { line: 1, column: 3 }, fault));
        }
        let message = parse(b"1,2,3").unwrap_err().to_string();
        assert_eq!(message, "rows.csv, line 1, column 3: expected a label from 0 to 2, got 3");
    }

    #[test]
    fn a_long_field_is_repeated_in_part() {
        let Fault::NotAnInteger { got, .. } = refused(&format!("{},1\n", "é".repeat(1000))).1 else { panic!() };
        assert_eq!(got, format!("{}…", "é".repeat(MAX_QUOTED_CHARS)));
    }

    #[test]
    fn a_compressed_line_without_end_is_refused() {
        let bomb = gzip(&vec![b'1'; 3 * MAX_LINE_BYTES as usize]);
        assert!(bomb.len() < 20_000);
        let fault = Fault::LineTooLong { maximum: MAX_LINE_BYTES };
        let expected = DataError::File { file: "rows.csv".into(), at: Place::Line(1), fault };
        assert_eq!(parse(&bomb), Err(expected));
    }

    #[test]
    fn too_many_columns_are_refused() {
        let columns = Dataset::MAX_FEATURES + 2;
        let fault = Fault::Size { what: "inputs in a line", maximum: 1 << 18, got: columns as u64 - 1 };
        assert_eq!(refused(&vec!["0"; columns].join(",")), (Place::Line(1), fault));
    }

    #[test]
    fn a_compressed_file_that_is_cut_or_corrupt_is_refused() {
        let whole = gzip(&GOOD.repeat(1000).into_bytes());
        let mut corrupt = whole.clone();
        let checksum = whole.len() - 6;
        corrupt[checksum] ^= 1;
        for (bytes, kind) in
            [(&whole[..whole.len() - 9], ErrorKind::UnexpectedEof), (&corrupt[..], ErrorKind::InvalidInput)]
        {
            let error = parse(bytes).unwrap_err();
            let DataError::File { at: Place::Line(_), fault: Fault::Unreadable { kind: got, .. }, .. } = &error else {
                panic!("{error:?}")
            };
            assert_eq!(*got, kind);
        }
        let garbage = [&whole[..], b"garbage"].concat();
        assert!(matches!(parse(&garbage), Err(DataError::File { fault: Fault::Unreadable { .. }, .. })));
    }

    #[test]
    fn arguments_out_of_range_are_refused_before_the_file_is_opened() {
        assert_eq!(Dataset::load_csv("absent", 0, 10), Err(DataError::ZeroMaximum));
        assert_eq!(Dataset::load_csv("absent", 16, 0), Err(DataError::Classes { got: 0 }));
        assert_eq!(Dataset::load_csv("absent", 16, 257), Err(DataError::Classes { got: 257 }));
    }

    fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
        match parse(bytes) {
            Ok(data) => {
                prop_assert_eq!(data.inputs().len(), data.len() * data.features());
                prop_assert!(!data.is_empty() && data.labels().iter().all(|&label| label < 3));
            }
            Err(DataError::File { .. }) => {}
            Err(other) => prop_assert!(false, "{}", other),
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn any_rows_come_back(rows in proptest::collection::vec((proptest::array::uniform3(0u8..=255), 0u8..5), 1..50)) {
            let lines: Vec<String> = rows.iter().map(|([a, b, c], label)| format!("{a},{b},{c},{label}")).collect();
            let text = lines.join("\n");
            let data = read(Source::from_bytes("", text.as_bytes()), 255, 5).unwrap();
            prop_assert_eq!(data.inputs(), rows.iter().flat_map(|row| row.0).collect::<Vec<u8>>());
            prop_assert_eq!(data.labels(), rows.iter().map(|row| row.1).collect::<Vec<u8>>());
        }

        #[test]
        fn mutated_text_never_panics(cut in 0usize..200, flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), compress: bool) {
            let mut bytes = GOOD.repeat(10).into_bytes();
            if compress {
                bytes = gzip(&bytes);
            }
            bytes.truncate(cut);
            for (at, byte) in flips {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            check(&bytes)?;
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[-0-9,\n\r ]{0,80}") {
            check(&bytes)?;
            check(text.as_bytes())?;
        }
    }
}
