use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use nexus_mpc::journal::DurableJournal;
use nexus_mpc::session::Round;

use super::summary::Header;
use super::{Record, RoundRecord};
use crate::Error;
use crate::model::Model;

/// A run's folder, held by one process at a time.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    file: File,
    records: Vec<Record>,
}

impl Directory {
    const RECORD: &str = "run.jsonl";
    const FIRST_LINE: &str = "the run's settings; begin anew in another folder";

    /// A new run's folder; it may exist, but not hold a run.
    ///
    /// # Errors
    /// [`Error::File`] if it holds a run or cannot be made.
    pub fn create(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path.join("checkpoints")).map_err(|error| Error::file(path, error))?;
        let record = path.join(Self::RECORD);
        let file = OpenOptions::new().append(true).create_new(true).open(&record);
        let file = file.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Error::file(&record, "holds a run already; go on with --resume"),
            _ => Error::file(&record, error),
        })?;
        let directory = Self { path: path.to_owned(), file, records: Vec::new() };
        directory.lock()?;
        flush_folder(path)?;
        Ok(directory)
    }

    /// The folder of a run that was begun.
    ///
    /// A last line that was cut off when the process died is removed: what it would have said has not happened yet.
    ///
    /// # Errors
    /// [`Error::File`] naming file and line: no record, a line that cannot be read or does not follow from the one before,
    /// or another process at work.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let record = path.join(Self::RECORD);
        let file = OpenOptions::new().read(true).append(true).open(&record);
        let file = file.map_err(|error| Error::file(&record, format!("expected the record of a run: {error}")))?;
        let mut directory = Self { path: path.to_owned(), file, records: Vec::new() };
        directory.lock()?;
        let bytes = fs::read(&record).map_err(|error| Error::file(&record, error))?;
        // A line counts once its newline is there.
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        for (index, line) in bytes[..whole].split_inclusive(|&byte| byte == b'\n').enumerate() {
            let parsed = serde_json::from_slice(line);
            let parsed = parsed.map_err(|error| Error::file(&record, format!("line {}: {error}", index + 1)))?;
            directory
                .follows(&parsed)
                .map_err(|expected| Error::file(&record, format!("line {}: expected {expected}", index + 1)))?;
            directory.records.push(parsed);
        }
        if directory.records.is_empty() {
            return Err(Error::file(&record, format!("line 1: expected {}", Self::FIRST_LINE)));
        }
        if whole < bytes.len() {
            directory.file.set_len(whole as u64).map_err(|error| Error::file(&record, error))?;
            directory.file.seek(SeekFrom::End(0)).map_err(|error| Error::file(&record, error))?;
        }
        Ok(directory)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every line so far.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What is run, as the first line says.
    pub fn header(&self) -> Option<&Header> {
        match self.records.first() {
            Some(Record::Run(header)) => Some(header),
            _ => None,
        }
    }

    pub(super) fn rounds(&self) -> impl Iterator<Item = &RoundRecord> {
        self.records.iter().filter_map(|record| match record {
            Record::Round(round) => Some(round.as_ref()),
            _ => None,
        })
    }

    pub(super) fn has_reserved(&self, wanted: Round) -> bool {
        self.records.iter().any(|record| matches!(record, Record::Reserved { round, .. } if *round == wanted))
    }

    /// Whether `record` may come next: the run, then each round's charge and end in turn; or else what should come.
    fn follows(&self, record: &Record) -> Result<(), String> {
        let charge = |round: Option<Round>| match (round, record) {
            (Some(due), Record::Reserved { round, .. }) if *round == due => Ok(()),
            (Some(due), _) => Err(format!("the charge of {due}")),
            (None, _) => Err("nothing after the last round that can be counted".to_owned()),
        };
        match (self.records.last(), record) {
            (None, Record::Run(_)) => Ok(()),
            (None, _) => Err(Self::FIRST_LINE.to_owned()),
            (Some(Record::Run(_)), _) => charge(Some(Round(1))),
            (Some(Record::Round(last)), _) => charge(last.report.round.next()),
            (Some(Record::Reserved { round, .. }), Record::Round(end)) if end.report.round == *round => Ok(()),
            (Some(Record::Reserved { round, .. }), _) => Err(format!("the end of {round}")),
        }
    }

    /// Writes a line and waits until it is on the disk.
    pub(super) fn append(&mut self, record: Record) -> Result<(), Error> {
        let fail = |error: &dyn ToString| Error::file(&self.path.join(Self::RECORD), error.to_string());
        let mut line = serde_json::to_vec(&record).map_err(|error| fail(&error))?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).map_err(|error| fail(&error))?;
        self.records.push(record);
        Ok(())
    }

    pub(super) fn expect_header(&self, expected: &Header) -> Result<(), Error> {
        if self.header() == Some(expected) {
            return Ok(());
        }
        let reason = "line 1: the run was begun with other settings; a run goes on with its own";
        Err(Error::file(&self.path.join(Self::RECORD), reason))
    }

    pub(super) fn journal(&self) -> Result<DurableJournal, Error> {
        Ok(DurableJournal::open(self.path.join("journal.redb"))?)
    }

    pub(super) fn checkpoint_path(&self, round: Round) -> PathBuf {
        self.path.join("checkpoints").join(format!("round-{:05}.safetensors", round.0))
    }

    pub(super) fn checkpoint(&self, round: Round, model: &Model) -> Result<(), Error> {
        model.save(&self.checkpoint_path(round))
    }

    fn lock(&self) -> Result<(), Error> {
        let record = self.path.join(Self::RECORD);
        self.file.try_lock().map_err(|error| Error::file(&record, format!("another process is at work here: {error}")))
    }
}

/// Writes a file so that a crash leaves the old or the new one whole.
///
/// # Errors
/// [`Error::File`] naming the file.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| Error::file(path, error))?;
    flush_folder(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// A new name survives a power cut only once its folder is flushed too.
fn flush_folder(path: &Path) -> Result<(), Error> {
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| Error::file(path, error))?;
    }
    Ok(())
}
