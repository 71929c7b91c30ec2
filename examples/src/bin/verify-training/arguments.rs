use std::path::PathBuf;

use clap::Parser;

/// Verify a proof of training from its public files alone.
///
/// DIR holds statement.toml, start.bin, data.commitment and proof.bin, as prove-training writes them; nothing else in
/// it is read. The files may be anybody's: what they say is printed, and it is for you to compare it with what you
/// expect: the commitment with the one that was registered, the start model with the one that was published, the
/// beacon with the one that was drawn after registration, and the session with yours.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Exit codes:
  0  verified
  1  a file could not be read
  2  the command or a file is malformed, or the files make no statement
  3  the proof does not show the statement, or the statement is not the expected one"
)]
pub(crate) struct Arguments {
    /// Folder with the public files
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,

    /// Fail unless the statement has this digest, 64 hexadecimal digits
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub(crate) expect: Option<[u8; 32]>,

    /// Print the verdict as one JSON document; where there is none (exit codes 1 and 2) only an error is printed
    #[arg(long)]
    pub(crate) json: bool,
}

fn digest(text: &str) -> Result<[u8; 32], String> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).map_err(|_| "expected 64 hexadecimal digits".to_owned())?;
    Ok(digest)
}
