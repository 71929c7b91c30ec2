use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::{DataError, Fault, Place};

/// A file or embedded bytes, decompressed where they begin with gzip's magic number.
pub(super) struct Source<'a> {
    file: PathBuf,
    reader: Box<dyn BufRead + 'a>,
}

impl<'a> Source<'a> {
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let unopened =
            |error: io::Error| DataError::Unopened { file: path.into(), kind: error.kind(), reason: error.to_string() };
        let reader = BufReader::new(File::open(path).map_err(unopened)?);
        Self::detect(path, reader).map_err(unopened)
    }

    pub(super) fn from_bytes(name: &str, bytes: &'a [u8]) -> Self {
        Self::detect(Path::new(name), bytes).expect("reading from memory does not fail")
    }

    fn detect(file: &Path, mut reader: impl BufRead + 'a) -> io::Result<Self> {
        let compressed = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn BufRead + 'a> =
            if compressed { Box::new(BufReader::new(MultiGzDecoder::new(reader))) } else { Box::new(reader) };
        Ok(Self { file: file.to_owned(), reader })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The file's name without its folders.
    pub(super) fn name(&self) -> String {
        self.file.file_name().unwrap_or(self.file.as_os_str()).to_string_lossy().into_owned()
    }

    /// Appends at most `limit` bytes, as many as there are.
    ///
    /// The buffer grows with what is read, never with what a header claims.
    pub(super) fn read_up_to(&mut self, limit: u64, into: &mut Vec<u8>) -> io::Result<()> {
        self.reader.by_ref().take(limit).read_to_end(into).map(drop)
    }

    /// Appends bytes up to and with the next line feed, at most `limit` of them.
    pub(super) fn read_line(&mut self, limit: u64, into: &mut Vec<u8>) -> io::Result<()> {
        self.reader.by_ref().take(limit).read_until(b'\n', into).map(drop)
    }

    pub(super) fn refuse(&self, at: Place, fault: Fault) -> DataError {
        DataError::File { file: self.file.clone(), at, fault }
    }

    pub(super) fn unreadable(&self, at: Place, error: &io::Error) -> DataError {
        self.refuse(at, Fault::Unreadable { kind: error.kind(), reason: error.to_string() })
    }
}
