//! State that outlives the process, in an embedded database.
//!
//! A service keeps its state in memory, in the shape it likes, and writes every
//! changed record through: a [`Batch`] per operation, which is stored whole or
//! not at all. Batches are written in the order in which they were handed in,
//! so a service commits while it still holds its lock, and waits afterwards.
//! One thread writes; batches that wait share one transaction, so that a
//! thousand devices that report at once do not wait for a thousand syncs; how it
//! writes, and what it does on a full disk, is in `writer`.
//!
//! Without a folder nothing is stored and nothing waits.

mod writer;

use std::path::Path;
use std::pin::Pin;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;

use redb::{ReadableDatabase, ReadableTable, TableError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

pub use writer::close_to_others;
use writer::{StateFile, definition};

/// The state of a cloud.
#[derive(Clone)]
pub struct Store {
    disk: Option<Arc<Disk>>,
}

struct Disk {
    file: Arc<StateFile>,
    // Taken when the store is dropped, which ends the writer.
    writer: Mutex<Option<(mpsc::Sender<Pending>, thread::JoinHandle<()>)>>,
}

struct Pending {
    batch: Batch,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// Why state could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened; another process may use it.
    #[error("the state in `{folder}` cannot be opened: {reason}")]
    Open {
        /// The folder.
        folder: String,
        /// What the database said.
        reason: String,
    },
    /// A record cannot be read; it was written by another version.
    #[error("record `{key}` of `{table}` cannot be read: {reason}")]
    Read {
        /// The table.
        table: String,
        /// The key.
        key: String,
        /// Why.
        reason: String,
    },
    /// A change could not be written; the disk may be full. It is kept in memory
    /// and tried again.
    #[error("a change could not be stored: {reason}")]
    Write {
        /// What the database said.
        reason: String,
    },
}

impl Store {
    /// Keeps nothing.
    pub fn memory() -> Self {
        Store { disk: None }
    }

    /// Opens or makes the state in `folder`, readable by its owner alone.
    ///
    /// # Errors
    /// [`StoreError::Open`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let file = Arc::new(StateFile::open(folder)?);
        let (sender, receiver) = mpsc::channel();
        let writer = thread::Builder::new()
            .name("store".to_owned())
            .spawn({
                let file = file.clone();
                move || file.write_all(&receiver)
            })
            .map_err(|error| StoreError::Open {
                folder: folder.display().to_string(),
                reason: error.to_string(),
            })?;
        let writer = Mutex::new(Some((sender, writer)));
        Ok(Store { disk: Some(Arc::new(Disk { file, writer })) })
    }

    /// Where files of services may lie (the bytes of objects); nothing for a
    /// cloud that keeps nothing.
    pub fn folder(&self) -> Option<&Path> {
        self.disk.as_ref().map(|disk| disk.file.folder())
    }

    /// All records of a table, in the order of their keys.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn load<T: DeserializeOwned>(&self, table: &str) -> Result<Vec<(String, T)>, StoreError> {
        let Some(disk) = &self.disk else { return Ok(Vec::new()) };
        let refuse = |key: &str, reason: String| StoreError::Read {
            table: table.to_owned(),
            key: key.to_owned(),
            reason,
        };
        let read = disk.file.with(|database| {
            let records = match database.begin_read()?.open_table(definition(table)) {
                Ok(records) => records,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Ok(Vec::new())),
                Err(error) => return Err(error.into()),
            };
            let mut found = Vec::new();
            for record in records.iter()? {
                let (key, value) = record?;
                match serde_json::from_slice(value.value()) {
                    Ok(value) => found.push((key.value().to_owned(), value)),
                    Err(error) => return Ok(Err(refuse(key.value(), error.to_string()))),
                }
            }
            Ok(Ok(found))
        });
        read.unwrap_or_else(|error| Err(refuse("", error.to_string())))
    }

    /// Hands a batch in. It is stored when the answer says so, and after all
    /// batches that were handed in before.
    pub fn commit(&self, batch: Batch) -> Commit {
        let Some(disk) = &self.disk else { return Commit(None) };
        // Whoever repeats a request finds nothing to change; that it is stored is not true
        // as long as the first one's change is owed.
        if batch.changes.is_empty() && !disk.file.is_behind() {
            return Commit(None);
        }
        let (done, wait) = oneshot::channel();
        let writer = disk.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((sender, _)) = &*writer {
            // A writer that is gone shows in the answer: `done` is dropped.
            let _ = sender.send(Pending { batch, done });
        }
        Commit(Some(wait))
    }

    /// An empty batch.
    pub fn batch(&self) -> Batch {
        Batch { changes: Vec::new(), wanted: self.disk.is_some() }
    }
}

/// Changes that are stored together.
#[derive(Debug, Default)]
pub struct Batch {
    changes: Vec<Change>,
    wanted: bool,
}

#[derive(Debug)]
struct Change {
    table: &'static str,
    key: String,
    value: Option<Vec<u8>>,
    /// Whether the file has no record under this key before.
    is_new: bool,
}

impl Batch {
    /// Writes a record. A cloud that keeps nothing does not even serialize it.
    pub fn put(&mut self, table: &'static str, key: impl Into<String>, value: &impl Serialize) {
        self.write(table, key, value, false);
    }

    /// Writes a record under a key that no record has. For those that come and go: while
    /// the disk is full, one that has gone again before it was stored leaves nothing to do.
    pub fn put_new(&mut self, table: &'static str, key: impl Into<String>, value: &impl Serialize) {
        self.write(table, key, value, true);
    }

    /// Removes a record.
    pub fn remove(&mut self, table: &'static str, key: impl Into<String>) {
        if self.wanted {
            self.changes.push(Change { table, key: key.into(), value: None, is_new: false });
        }
    }

    fn write(
        &mut self,
        table: &'static str,
        key: impl Into<String>,
        value: &impl Serialize,
        is_new: bool,
    ) {
        if !self.wanted {
            return;
        }
        match serde_json::to_vec(value) {
            Ok(bytes) => {
                let (key, value) = (key.into(), Some(bytes));
                self.changes.push(Change { table, key, value, is_new });
            }
            Err(error) => tracing::error!(table, %error, "a record cannot be written as JSON"),
        }
    }
}

/// The promise that a batch will be stored.
#[must_use = "an answer must wait until its change is stored"]
pub struct Commit(Option<oneshot::Receiver<Result<(), StoreError>>>);

impl Commit {
    /// Waits until the batch is stored.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub async fn stored(self) -> Result<(), StoreError> {
        match self.0 {
            None => Ok(()),
            Some(wait) => wait.await.unwrap_or_else(|_| Err(gone())),
        }
    }

    /// Whether the batch is stored; if not yet, the task is woken when it is. Not to be
    /// asked again after the answer.
    pub fn poll_stored(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StoreError>> {
        match &mut self.0 {
            None => Poll::Ready(Ok(())),
            Some(wait) => {
                Pin::new(wait).poll(cx).map(|answer| answer.unwrap_or_else(|_| Err(gone())))
            }
        }
    }

    /// Runs `then` when the batch is stored: at once if nothing is kept, on a
    /// task of its own otherwise. What could not be stored is only logged, and
    /// `then` does not run.
    pub fn then(self, then: impl FnOnce() + Send + 'static) {
        match self.0 {
            None => then(),
            Some(wait) => {
                tokio::spawn(async move {
                    match wait.await.unwrap_or_else(|_| Err(gone())) {
                        Ok(()) => then(),
                        Err(error) => tracing::error!(%error, "an answer is withheld"),
                    }
                });
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some((sender, thread)) = writer {
            drop(sender);
            let _ = thread.join();
        }
    }
}

fn gone() -> StoreError {
    StoreError::Write { reason: "the store is closed".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_confirmed_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        {
            let store = Store::open(folder.path()).unwrap();
            let mut batch = store.batch();
            batch.put("things", "lamp-1", &1);
            batch.put("things", "lamp-2", &2);
            store.commit(batch).stored().await.unwrap();
            let mut batch = store.batch();
            batch.remove("things", "lamp-1");
            store.commit(batch).stored().await.unwrap();
        }
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.load::<i32>("things").unwrap(), [("lamp-2".to_owned(), 2)]);
        assert_eq!(store.load::<i32>("groups").unwrap(), []);
        assert!(store.load::<String>("things").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_the_state_even_if_it_was_open_before() {
        use std::os::unix::fs::PermissionsExt;
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("state");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        drop(Store::open(&folder).unwrap());
        assert_eq!((mode(&folder), mode(&folder.join(writer::FILE))), (0o700, 0o600));
        std::fs::set_permissions(folder.join(writer::FILE), std::fs::Permissions::from_mode(0o644))
            .unwrap();
        drop(Store::open(&folder).unwrap());
        assert_eq!(mode(&folder.join(writer::FILE)), 0o600);
    }

    #[tokio::test]
    async fn a_second_process_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Store::open(folder.path()).unwrap();
        let refused = Store::open(folder.path()).err().unwrap().to_string();
        assert!(refused.contains(&folder.path().display().to_string()), "{refused}");
    }

    #[tokio::test]
    async fn a_store_in_memory_confirms_at_once() {
        let store = Store::memory();
        let mut batch = store.batch();
        batch.put("things", "lamp-1", &1);
        store.commit(batch).stored().await.unwrap();
        assert!(store.folder().is_none());
    }
}
