use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use nexus_circuits::training::{DataCommitment, Statement, TrainingError};
use nexus_federated::model::Model;
use nexus_federated::run::write_durably;

use crate::{Description, FileError, StatementFile, TrainingProof};

/// The public files of a proof of training: all that a verifier needs, and nothing that is private.
///
/// | file | what |
/// |---|---|
/// | `statement.toml` | [`StatementFile`] |
/// | `start.bin` | the start model's parameters, little-endian 32-bit integers ([`Model::bytes`]) |
/// | `data.commitment` | [`DataCommitment::to_bytes`], of one copy |
/// | `proof.bin` | [`TrainingProof::to_bytes`] |
#[derive(Clone, Debug)]
pub struct Published {
    /// What the proof says.
    pub file: StatementFile,
    /// The model that training began from.
    pub start: Model,
    /// The commitment to the examples.
    pub data: DataCommitment,
    /// The proof.
    pub proof: TrainingProof,
}

/// Public files that make one statement.
#[derive(Debug)]
pub struct Checked {
    published: Published,
    statement: Statement,
    description: Description,
}

impl Published {
    /// The name of the statement's file.
    pub const STATEMENT: &'static str = "statement.toml";
    /// The name of the start model's file.
    pub const START: &'static str = "start.bin";
    /// The name of the file of the commitment to the examples.
    pub const DATA: &'static str = "data.commitment";
    /// The name of the proof's file.
    pub const PROOF: &'static str = "proof.bin";

    const MAX_STATEMENT: u64 = 1 << 14;
    const MAX_DATA: u64 = 1 << 20;
    const MAX_PROOF: u64 = 1 << 26;

    /// Reads the files of a folder.
    ///
    /// No more is read than honest files have: 16 KiB of statement, four bytes a parameter, 1 MiB of commitment and
    /// 64 MiB of proof.
    ///
    /// # Errors
    /// [`FileError::Io`], [`FileError::TooLong`] or [`FileError::Malformed`] naming the file, and
    /// [`FileError::OutOfRange`] for a statement beyond what is handled here.
    pub fn read(folder: &Path) -> Result<Self, FileError> {
        let path = folder.join(Self::STATEMENT);
        let text = String::from_utf8(read(&path, Self::MAX_STATEMENT)?);
        let text = text.map_err(|error| FileError::malformed(&path, &error))?;
        let file: StatementFile = toml::from_str(&text).map_err(|error| FileError::malformed(&path, &error))?;
        file.check()?;

        let path = folder.join(Self::START);
        let bytes = read(&path, 4 * file.model.shape.parameters() as u64)?;
        let start = Model::from_bytes(&file.model.shape, file.model.format, &bytes);
        let start = start.map_err(|error| FileError::malformed(&path, &error))?;

        let path = folder.join(Self::DATA);
        let data = DataCommitment::from_bytes(&read(&path, Self::MAX_DATA)?);
        let data = data.map_err(|error| FileError::malformed(&path, &error))?;

        let path = folder.join(Self::PROOF);
        let proof = TrainingProof::from_bytes(file.proof, &read(&path, Self::MAX_PROOF)?);
        let proof = proof.map_err(|error| FileError::malformed(&path, &error))?;
        Ok(Self { file, start, data, proof })
    }

    /// Writes the files into a folder, which is made if need be; each is whole or as it was before.
    ///
    /// # Errors
    /// [`FileError::Io`] naming the file.
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        fs::create_dir_all(folder).map_err(|error| FileError::io(folder, &error))?;
        let text = toml::to_string(&self.file).map_err(|error| FileError::statement(&error))?;
        for (name, bytes) in [
            (Self::STATEMENT, text.into_bytes()),
            (Self::START, self.start.bytes()),
            (Self::DATA, self.data.to_bytes()),
            (Self::PROOF, self.proof.to_bytes()),
        ] {
            let path = folder.join(name);
            write_durably(&path, &bytes).map_err(|error| FileError::io(&path, &error))?;
        }
        Ok(())
    }

    /// The statement that the files make together; the proof is not verified by this.
    ///
    /// # Errors
    /// Those of [`StatementFile::statement`].
    pub fn check(self) -> Result<Checked, FileError> {
        let statement = self.file.statement(&self.start, &self.data)?;
        let description = Description::new(&self.file, &self.start, &statement)?;
        Ok(Checked { published: self, statement, description })
    }
}

impl Checked {
    /// Verifies the proof.
    ///
    /// # Errors
    /// [`TrainingError::Proof`] if it does not show the statement.
    pub fn verify(&self) -> Result<(), TrainingError> {
        self.published.proof.verify(&self.statement, &self.published.file.session())
    }

    /// The statement.
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// What the statement says.
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// The files.
    pub const fn published(&self) -> &Published {
        &self.published
    }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| FileError::io(path, &error))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| FileError::io(path, &error))?;
    if bytes.len() as u64 > most {
        return Err(FileError::TooLong { file: path.to_owned(), most });
    }
    Ok(bytes)
}
