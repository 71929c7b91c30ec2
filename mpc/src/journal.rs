//! What must be stored durably before a message leaves, so that a restored client cannot say two things.
//!
//! The protocols are safe only if a client masks once, consents to one survivor set and releases one set of
//! shares a round. A process that crashed, or was started again from an old image, does not remember; its
//! journal does. A client commits the digest of a message before the bytes are handed out: the same bytes may
//! be sent again, others never.
//!
//! # Security
//! A journal protects as long as it is not itself restored from a backup, copied, emptied or deleted.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use redb::{Database, Durability, ReadableTable, TableDefinition};

use crate::MpcError;
use crate::session::{ClientId, Round, SessionId};

/// The messages of a client that must never differ within one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Step {
    /// The masked vector.
    Masked = 1,
    /// The consent to a survivor set.
    Signed = 2,
    /// The released shares.
    Released = 3,
    /// A proof about the round that opens a hiding commitment, which hides for a counted number of openings.
    Proven = 4,
}

/// A store of the digests of messages, at most one for each client, session, round and step.
pub trait Journal: Send + Sync {
    /// Stores `digest` durably before it returns, unless a digest is there already.
    ///
    /// The same digest again is fine: the client may send the same bytes again.
    ///
    /// # Errors
    /// [`MpcError::AlreadyCommitted`] if another digest is there; [`MpcError::Journal`] if it cannot be known or
    /// made durable. After either the message must not be sent.
    fn commit(
        &self,
        client: ClientId,
        session: SessionId,
        round: Round,
        step: Step,
        digest: [u8; 32],
    ) -> Result<(), MpcError>;
}

type Key = (ClientId, SessionId, Round, Step);

/// A journal that forgets with the process, for tests and simulations.
///
/// # Security
/// Nothing is durable: a client that is started again with an empty one can be made to answer twice.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    entries: Mutex<BTreeMap<Key, [u8; 32]>>,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Journal for MemoryJournal {
    fn commit(
        &self,
        client: ClientId,
        session: SessionId,
        round: Round,
        step: Step,
        digest: [u8; 32],
    ) -> Result<(), MpcError> {
        // An insertion cannot be half done, so a lock poisoned by a panic elsewhere is still sound.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.entry((client, session, round, step)) {
            Entry::Vacant(free) => {
                free.insert(digest);
                Ok(())
            }
            Entry::Occupied(taken) if *taken.get() == digest => Ok(()),
            Entry::Occupied(_) => Err(MpcError::AlreadyCommitted { client, session, round, step }),
        }
    }
}

const TABLE: TableDefinition<'_, &[u8; KEY_LENGTH], &[u8; 32]> = TableDefinition::new("cipher-nexus/mpc/journal/v1");
const KEY_LENGTH: usize = 4 + 32 + 4 + 1;

/// A journal in one file, for any number of clients of one process.
///
/// Each commit is one transaction that is flushed to the device (`fsync`, two-phase) before it returns: some
/// milliseconds on common disks. The file is locked against a second process.
#[derive(Debug)]
pub struct DurableJournal {
    database: Database,
}

impl DurableJournal {
    /// Opens the journal at `path`, or creates it; an empty file is a new journal.
    ///
    /// # Errors
    /// [`MpcError::Journal`] if the file cannot be opened, is in use by another process or is no journal.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, MpcError> {
        let path = path.as_ref();
        let database = Database::create(path).map_err(failed)?;
        let transaction = database.begin_write().map_err(failed)?;
        transaction.open_table(TABLE).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        flush_directory(path)?;
        Ok(Self { database })
    }
}

impl Journal for DurableJournal {
    fn commit(
        &self,
        client: ClientId,
        session: SessionId,
        round: Round,
        step: Step,
        digest: [u8; 32],
    ) -> Result<(), MpcError> {
        let key = key(client, session, round, step);
        let mut transaction = self.database.begin_write().map_err(failed)?;
        transaction.set_durability(Durability::Immediate).map_err(failed)?;
        transaction.set_two_phase_commit(true);
        let stored = {
            let mut table = transaction.open_table(TABLE).map_err(failed)?;
            let stored = table.get(&key).map_err(failed)?.map(|entry| *entry.value());
            if stored.is_none() {
                table.insert(&key, &digest).map_err(failed)?;
            }
            stored
        };
        match stored {
            None => transaction.commit().map_err(failed),
            Some(stored) if stored == digest => transaction.abort().map_err(failed),
            Some(_) => Err(MpcError::AlreadyCommitted { client, session, round, step }),
        }
    }
}

fn key(client: ClientId, session: SessionId, round: Round, step: Step) -> [u8; KEY_LENGTH] {
    let mut key = [0; KEY_LENGTH];
    key[..4].copy_from_slice(&client.0.to_be_bytes());
    key[4..36].copy_from_slice(&session.0);
    key[36..40].copy_from_slice(&round.0.to_be_bytes());
    key[40] = step as u8;
    key
}

/// A new file survives a power cut only once its directory is flushed too.
fn flush_directory(path: &Path) -> Result<(), MpcError> {
    if cfg!(unix) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or_else(|| Path::new(".")))
            .and_then(|directory| directory.sync_all())
            .map_err(failed)?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` asks for")]
fn failed(error: impl ToString) -> MpcError {
    MpcError::Journal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionId = SessionId([9; 32]);
    const ROUND: Round = Round(4);
    const CLIENT: ClientId = ClientId(7);

    fn commit(journal: &dyn Journal, step: Step, digest: u8) -> Result<(), MpcError> {
        journal.commit(CLIENT, SESSION, ROUND, step, [digest; 32])
    }

    fn keeps_the_first_digest_of_each_key(journal: &dyn Journal) {
        assert_eq!(commit(journal, Step::Masked, 1), Ok(()));
        assert_eq!(commit(journal, Step::Masked, 1), Ok(()));
        assert_eq!(
            commit(journal, Step::Masked, 2),
            Err(MpcError::AlreadyCommitted { client: CLIENT, session: SESSION, round: ROUND, step: Step::Masked })
        );
        let other = [2; 32];
        for (client, session, round, step) in [
            (ClientId(8), SESSION, ROUND, Step::Masked),
            (CLIENT, SessionId([8; 32]), ROUND, Step::Masked),
            (CLIENT, SESSION, Round(5), Step::Masked),
            (CLIENT, SESSION, ROUND, Step::Signed),
            (CLIENT, SESSION, ROUND, Step::Released),
        ] {
            assert_eq!(journal.commit(client, session, round, step, other), Ok(()));
        }
    }

    #[test]
    fn a_memory_journal_keeps_the_first_digest_of_each_key() {
        keeps_the_first_digest_of_each_key(&MemoryJournal::new());
    }

    #[test]
    fn a_durable_journal_keeps_the_first_digest_of_each_key() {
        let directory = tempfile::tempdir().unwrap();
        keeps_the_first_digest_of_each_key(&DurableJournal::open(directory.path().join("journal")).unwrap());
    }

    #[test]
    fn a_durable_journal_remembers_across_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let journal = DurableJournal::open(&path).unwrap();
        assert_eq!(commit(&journal, Step::Released, 1), Ok(()));
        drop(journal);
        let journal = DurableJournal::open(&path).unwrap();
        assert_eq!(commit(&journal, Step::Released, 1), Ok(()));
        assert!(matches!(commit(&journal, Step::Released, 2), Err(MpcError::AlreadyCommitted { .. })));
    }

    #[test]
    fn a_file_that_is_no_journal_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        std::fs::write(&path, vec![0x5a; 4096]).unwrap();
        assert!(matches!(DurableJournal::open(&path), Err(MpcError::Journal(_))));
    }

    #[test]
    fn a_journal_in_use_cannot_be_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let _held = DurableJournal::open(&path).unwrap();
        assert!(matches!(DurableJournal::open(&path), Err(MpcError::Journal(_))));
    }
}
