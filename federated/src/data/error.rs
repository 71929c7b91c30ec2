use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::Dataset;

/// Why data could not be read, made or divided.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum DataError {
    /// A file could not be opened.
    #[error("{file}: cannot be opened: {reason}; expected a readable file", file = file.display())]
    Unopened {
        /// The file.
        file: PathBuf,
        /// The system's kind of error.
        kind: io::ErrorKind,
        /// The system's words.
        reason: String,
    },
    /// A file does not hold what it should.
    #[error("{file}, {at}: {fault}", file = file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Where in the file.
        at: Place,
        /// What is wrong there.
        fault: Fault,
    },
    /// A file of labels does not belong to a file of images.
    #[error(
        "{image_file} holds {images} images, {label_file} holds {labels} labels; expected as many labels as images",
        image_file = image_file.display(),
        label_file = label_file.display()
    )]
    CountMismatch {
        /// The file of images.
        image_file: PathBuf,
        /// Its count.
        images: usize,
        /// The file of labels.
        label_file: PathBuf,
        /// Its count.
        labels: usize,
    },
    /// A number of classes is out of range.
    #[error("the number of classes is {got}; allowed is 1 to {max}", max = Dataset::MAX_CLASSES)]
    Classes {
        /// The number.
        got: usize,
    },
    /// A number of features is out of range.
    #[error("the number of features is {got}; allowed is 1 to {max}", max = Dataset::MAX_FEATURES)]
    Features {
        /// The number.
        got: usize,
    },
    /// Inputs cannot be scaled by a greatest value of zero.
    #[error("the greatest value of an input is 0; allowed is 1 to {max}", max = u32::MAX)]
    ZeroMaximum,
    /// There are not `features` input bytes for each label.
    #[error("expected {expected} input bytes for {examples} labels, got {got}")]
    Shape {
        /// The number of labels.
        examples: usize,
        /// Input bytes that they need.
        expected: usize,
        /// Input bytes given.
        got: usize,
    },
    /// A label is not below the number of classes.
    #[error("the label of example {example} is {got}; allowed is 0 to {max}", max = classes.saturating_sub(1))]
    Label {
        /// The example.
        example: usize,
        /// Its label.
        got: u8,
        /// The number of classes, at least 1.
        classes: usize,
    },
    /// A test share is not a proper fraction.
    #[error("the test fraction is {got}; allowed is more than 0 and less than 1")]
    TestFraction {
        /// The share.
        got: f64,
    },
    /// A single example, or none, cannot be both trained on and tested on.
    #[error("{got} examples cannot be split; allowed is 2 or more")]
    TooFewExamples {
        /// The number of examples.
        got: usize,
    },
    /// Data cannot be divided among no clients.
    #[error("the number of clients is 0; allowed is 1 or more")]
    NoClients,
    /// Some client would have no example.
    #[error("{clients} clients cannot share {examples} examples; allowed is 1 to {examples} clients")]
    MoreClientsThanExamples {
        /// The number of clients.
        clients: usize,
        /// The number of examples.
        examples: usize,
    },
    /// The shards of a by-label division are none, or more than there are examples.
    #[error(
        "{shards_per_client} shards for each of {clients} clients cannot be cut from {examples} examples; allowed is 1 to {max} shards a client",
        max = examples.checked_div(*clients).unwrap_or(0)
    )]
    Shards {
        /// Shards for each client.
        shards_per_client: usize,
        /// The number of clients, at least 1.
        clients: usize,
        /// The number of examples.
        examples: usize,
    },
    /// A Dirichlet concentration is not a positive finite number.
    #[error("the Dirichlet concentration α is {got}; allowed is finite and more than 0")]
    Concentration {
        /// The concentration.
        got: f64,
    },
}

/// Where in a file something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A line of text, the first being 1.
    Line(u64),
    /// A column of a line, the first being 1.
    Field {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
    },
    /// A byte, the first being 0; of a gzip file, after decompression.
    Byte(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Field { line, column } => write!(f, "line {line}, column {column}"),
            Self::Byte(offset) => write!(f, "byte {offset}"),
        }
    }
}

/// What is wrong at a place in a file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Reading stopped: the system failed, or a gzip stream is cut short or corrupt.
    #[error("cannot be read further: {reason}")]
    Unreadable {
        /// The kind of error.
        kind: io::ErrorKind,
        /// The reader's words.
        reason: String,
    },
    /// There is nothing in the file.
    #[error("the file is empty, expected at least one example")]
    Empty,
    /// The first line has no room for an input and a label.
    #[error("expected at least 2 columns, the inputs and then the label, got {got}")]
    TooFewColumns {
        /// How many it has.
        got: usize,
    },
    /// A line does not have as many columns as the first.
    #[error("expected {expected} columns as in line 1, got {got}")]
    Columns {
        /// How many the first has.
        expected: usize,
        /// How many this has.
        got: usize,
    },
    /// A line is too long to be a row of inputs.
    #[error("expected a line of at most {maximum} bytes, got a longer one")]
    LineTooLong {
        /// The greatest length.
        maximum: u64,
    },
    /// A column does not hold an integer.
    #[error("expected an integer from 0 to {maximum}, got \"{got}\"")]
    NotAnInteger {
        /// The greatest value allowed.
        maximum: u32,
        /// The beginning of the text, escaped.
        got: String,
    },
    /// An input is negative or above the stated greatest value.
    #[error("expected an input from 0 to {maximum}, got {got}")]
    InputOutOfRange {
        /// The greatest value allowed.
        maximum: u32,
        /// The beginning of its digits.
        got: String,
    },
    /// A label is negative or not below the number of classes.
    #[error("expected a label from 0 to {maximum}, got {got}")]
    LabelOutOfRange {
        /// The greatest label allowed.
        maximum: u32,
        /// The beginning of its digits.
        got: String,
    },
    /// A file is of another kind.
    #[error("expected the magic number {expected:#010x}, got {got:#010x}")]
    Magic {
        /// The number of this kind.
        expected: u32,
        /// The number found.
        got: u32,
    },
    /// A file is, or says it is, of a size that is not accepted.
    #[error("expected 1 to {maximum} {what}, got {got}")]
    Size {
        /// What was counted.
        what: &'static str,
        /// The greatest count.
        maximum: u64,
        /// The count.
        got: u64,
    },
    /// A file ends too early.
    #[error("expected a file of {expected} bytes, got {got}")]
    Truncated {
        /// The length that its header asks for.
        expected: u64,
        /// Its length.
        got: u64,
    },
    /// A file goes on after its last example.
    #[error("expected a file of {expected} bytes, got more")]
    TrailingBytes {
        /// The length that its header asks for.
        expected: u64,
    },
}
