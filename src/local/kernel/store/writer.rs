//! The file of the state, and the thread that writes it.
//!
//! A disk may be full for a while, and the cloud must live on when there is space again.
//! The database refuses all work after a write that failed, so it is closed then and
//! opened anew for the next one; what it had confirmed is in it, whatever was cut short.
//! Changes that could not be written are owed: they are tried again with what comes
//! next, and when nothing comes, after a while, so that the file is whole as soon as it
//! can be. Of several changes to one record the last is owed, and none of a record that
//! was written as new and has gone again, so that a disk that stays full costs no more
//! memory than the state itself and the names of records that were removed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use redb::{Database, TableDefinition};

use super::{Change, Pending, StoreError};

/// The file of the state.
pub(super) struct StateFile {
    folder: PathBuf,
    /// Nothing after a write that failed, until the next one.
    database: Mutex<Option<Database>>,
    is_behind: AtomicBool,
}

impl StateFile {
    /// Opens the file in `folder`, or makes it.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let database = open(folder).map_err(|error| StoreError::Open {
            folder: folder.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(StateFile {
            folder: folder.to_owned(),
            database: Mutex::new(Some(database)),
            is_behind: AtomicBool::new(false),
        })
    }

    /// Where it lies.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether changes are owed.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Acquire)
    }

    /// Works with the database.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let mut database = self.lock();
        let opened = match database.take() {
            Some(opened) => opened,
            None => open(&self.folder)?,
        };
        let outcome = work(&opened);
        if outcome.is_ok() {
            *database = Some(opened);
        }
        outcome
    }

    /// Writes batches until the store is dropped.
    pub(super) fn write_all(&self, receiver: &Receiver<Pending>) {
        let mut owed: Vec<Change> = Vec::new();
        loop {
            let first = match owed.is_empty() {
                true => receiver.recv().map_err(RecvTimeoutError::from),
                false => receiver.recv_timeout(AGAIN),
            };
            let mut waiting = Vec::new();
            match first {
                Ok(first) => {
                    waiting.push(first.done);
                    owed.extend(first.batch.changes);
                }
                Err(RecvTimeoutError::Timeout) => {}
                // What is still owed gets a last chance.
                Err(RecvTimeoutError::Disconnected) if owed.is_empty() => return,
                Err(RecvTimeoutError::Disconnected) => {
                    self.settle(&mut owed).ok();
                    return;
                }
            }
            while waiting.len() < LARGEST_GROUP {
                let Ok(next) = receiver.try_recv() else { break };
                waiting.push(next.done);
                owed.extend(next.batch.changes);
            }
            let outcome = self.settle(&mut owed);
            for done in waiting {
                // Whoever asked may have gone away.
                let _ = done.send(outcome.clone());
            }
        }
    }

    /// Writes what is owed, whole or not at all: a later record must not be stored
    /// without an earlier one.
    fn settle(&self, owed: &mut Vec<Change>) -> Result<(), StoreError> {
        let was_behind = self.is_behind();
        let outcome = self.with(|database| write(database, owed));
        self.is_behind.store(outcome.is_err(), Ordering::Release);
        let Err(error) = outcome else {
            owed.clear();
            if was_behind {
                tracing::warn!(folder = %self.folder.display(), "the state on disk is whole again");
            }
            return Ok(());
        };
        forget_overtaken(owed);
        if !was_behind {
            let folder = self.folder.display();
            tracing::error!(%folder, %error, "the state on disk lags behind");
        }
        Err(StoreError::Write { reason: error.to_string() })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Database>> {
        self.database.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The table of the database with this name.
pub(super) fn definition(table: &str) -> TableDefinition<'_, &'static str, &'static [u8]> {
    TableDefinition::new(table)
}

fn write(database: &Database, changes: &[Change]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for changes in changes.chunk_by(|one, next| one.table == next.table) {
        let mut table = transaction.open_table(definition(changes[0].table))?;
        for change in changes {
            match &change.value {
                Some(value) => {
                    table.insert(change.key.as_str(), value.as_slice())?;
                }
                None => {
                    table.remove(change.key.as_str())?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Leaves the last change of each record, in their order. Whether the file has the record
/// is known from the first: a key may have been used, given up and used anew.
fn forget_overtaken(changes: &mut Vec<Change>) {
    let mut records = HashMap::new();
    for (place, change) in changes.iter().enumerate() {
        let (_, last) =
            records.entry((change.table, &*change.key)).or_insert((change.is_new, place));
        *last = place;
    }
    let mut left = vec![None; changes.len()];
    for (is_new, last) in records.into_values() {
        if !is_new || changes[last].value.is_some() {
            left[last] = Some(is_new);
        }
    }
    let mut left = left.into_iter();
    changes.retain_mut(|change| match left.next().flatten() {
        Some(is_new) => {
            change.is_new = is_new;
            true
        }
        None => false,
    });
}

fn open(folder: &Path) -> Result<Database, redb::Error> {
    Ok(Database::create(prepare(folder)?)?)
}

/// Makes a file if it is missing, empty, and readable by its owner alone from its first
/// moment. One that was left readable is closed as well.
///
/// # Errors
/// A file that can be neither made nor changed.
pub fn close_to_others(file: &Path) -> std::io::Result<()> {
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(file)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
    }
    #[cfg(not(unix))]
    options.open(file).map(drop)
}

/// Makes folder and file of the state. It holds private keys of certificates and
/// secrets, so the file is closed to others, and not only its folder: somebody may
/// copy it.
fn prepare(folder: &Path) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    let path = folder.join(FILE);
    close_to_others(&path)?;
    Ok(path)
}

/// The database's file in the folder of the state.
pub(super) const FILE: &str = "state.redb";

/// How many batches share one transaction at most.
const LARGEST_GROUP: usize = 1024;

/// When owed changes are tried again though nothing else is written.
const AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, value: Option<u8>) -> Change {
        let value = value.map(|value| vec![value]);
        Change { table: "things", key: key.to_owned(), value, is_new: false }
    }

    fn new(key: &str) -> Change {
        Change { is_new: true, ..change(key, Some(1)) }
    }

    fn owed(changes: impl IntoIterator<Item = Change>) -> Vec<(String, bool)> {
        let mut changes = changes.into_iter().collect();
        forget_overtaken(&mut changes);
        changes.into_iter().map(|each| (each.key, each.value.is_some())).collect()
    }

    #[test]
    fn owes_the_last_change_of_each_record() {
        let mut changes = vec![
            change("a", Some(1)),
            change("b", Some(1)),
            change("a", Some(2)),
            change("c", Some(1)),
            change("b", None),
        ];
        forget_overtaken(&mut changes);
        let left: Vec<_> = changes.iter().map(|one| (&*one.key, one.value.as_deref())).collect();
        assert_eq!(left, [("a", Some(&[2][..])), ("c", Some(&[1][..])), ("b", None)]);
    }

    #[test]
    fn owes_nothing_of_a_record_that_came_and_went_meanwhile() {
        let gone = [new("a"), change("a", Some(2)), new("b"), change("a", None)];
        assert_eq!(owed(gone), [("b".to_owned(), true)]);
        // The file has what was not written as new.
        assert_eq!(owed([change("a", Some(1)), change("a", None)]), [("a".to_owned(), false)]);
    }

    #[test]
    fn owes_the_removal_of_a_record_whose_key_is_used_anew() {
        let removed = [("a".to_owned(), false)];
        assert_eq!(owed([change("a", None), new("a"), change("a", None)]), removed);
        // The same when the disk was tried in between.
        let mut changes = vec![change("a", None), new("a")];
        forget_overtaken(&mut changes);
        changes.push(change("a", None));
        assert_eq!(owed(changes), removed);
        let mut changes = vec![new("a"), change("a", Some(2))];
        forget_overtaken(&mut changes);
        changes.push(change("a", None));
        assert_eq!(owed(changes), []);
    }

    #[test]
    fn a_write_that_fails_is_owed_and_written_with_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::open(folder.path()).unwrap();
        let mut owed = vec![change("a", Some(1))];
        let failed = file.with(|_| Err::<(), _>(redb::Error::PreviousIo));
        assert!(failed.is_err());
        assert!(file.lock().is_none(), "a database that has failed is closed");
        file.settle(&mut owed).unwrap();
        assert!(owed.is_empty() && !file.is_behind());

        // Nobody can open a database where a folder is.
        file.with(|_| Err::<(), _>(redb::Error::PreviousIo)).unwrap_err();
        let (path, aside) = (folder.path().join(FILE), folder.path().join("aside"));
        std::fs::rename(&path, &aside).unwrap();
        std::fs::create_dir(&path).unwrap();
        owed.extend([change("a", Some(2)), change("b", Some(1)), change("b", Some(2))]);
        assert!(matches!(file.settle(&mut owed), Err(StoreError::Write { .. })));
        assert!(file.is_behind());
        assert_eq!(owed.len(), 2);
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        file.settle(&mut owed).unwrap();
        assert!(owed.is_empty() && !file.is_behind());
        let read = |key: &str| {
            file.with(|database| {
                use redb::ReadableDatabase;
                let table = database.begin_read()?.open_table(definition("things"))?;
                Ok(table.get(key)?.map(|value| value.value().to_vec()))
            })
            .unwrap()
        };
        assert_eq!((read("a"), read("b")), (Some(vec![2]), Some(vec![2])));
    }
}
