use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why public files were not written, not read, or make no statement.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system did not read or write it.
    #[error("{}: {reason}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// A file is longer than any honest one.
    #[error("{}: longer than {most} bytes", file.display())]
    TooLong {
        /// The file.
        file: PathBuf,
        /// The greatest allowed length.
        most: u64,
    },
    /// A file's content is not what it should be.
    #[error("{}: {reason}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A number of the statement is beyond what these programs handle.
    #[error("{field} is {value}, allowed is {min} to {max}")]
    OutOfRange {
        /// What the number is.
        field: &'static str,
        /// What was given.
        value: usize,
        /// The least allowed value.
        min: usize,
        /// The greatest allowed value.
        max: usize,
    },
    /// The files are each well-formed and make no statement together.
    #[error("not a statement: {reason}")]
    Statement {
        /// What does not fit.
        reason: String,
    },
}

impl FileError {
    pub(crate) fn io(file: &Path, reason: &impl ToString) -> Self {
        Self::Io { file: file.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn malformed(file: &Path, reason: &impl ToString) -> Self {
        Self::Malformed { file: file.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn statement(reason: &impl ToString) -> Self {
        Self::Statement { reason: reason.to_string() }
    }
}
