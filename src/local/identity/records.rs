//! Records of one kind: in memory, in order, written through to the store.
//!
//! A change sees all records under the lock, decides, and puts or removes; what
//! it did is handed to the store before the lock opens. A change that fails must
//! have touched nothing, so it checks before it puts.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use iotstack_local_kernel::{Batch, Commit, Fault, Reply, Store, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The records of a table by their key.
pub(crate) struct Records<T> {
    table: &'static str,
    store: Store,
    all: Mutex<BTreeMap<String, T>>,
}

/// A change in progress.
pub(crate) struct Change<'a, T> {
    table: &'static str,
    all: MutexGuard<'a, BTreeMap<String, T>>,
    batch: Batch,
}

impl<T: Clone + Serialize + DeserializeOwned> Records<T> {
    pub(crate) fn restore(store: &Store, table: &'static str) -> Result<Self, StoreError> {
        let all = store.load(table)?.into_iter().collect();
        Ok(Records { table, store: store.clone(), all: Mutex::new(all) })
    }

    /// A record.
    pub(crate) fn get(&self, key: &str) -> Option<T> {
        self.lock().get(key).cloned()
    }

    /// All records in the order of their keys.
    pub(crate) fn all(&self) -> Vec<T> {
        self.lock().values().cloned().collect()
    }

    /// The first record that fits.
    pub(crate) fn find(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        self.lock().values().find(|record| fits(record)).cloned()
    }

    /// Changes records.
    pub(crate) fn change<R>(
        &self,
        change: impl FnOnce(&mut Change<'_, T>) -> Result<R, Fault>,
    ) -> Result<(R, Commit), Fault> {
        let mut changing =
            Change { table: self.table, all: self.lock(), batch: self.store.batch() };
        let outcome = change(&mut changing)?;
        // Committed under the lock, so that changes reach the store in their order.
        let commit = self.store.commit(std::mem::take(&mut changing.batch));
        Ok((outcome, commit))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, T>> {
        self.all.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T: Serialize> Change<'_, T> {
    pub(crate) fn get(&self, key: &str) -> Option<&T> {
        self.all.get(key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.all.values()
    }

    pub(crate) fn put(&mut self, key: &str, value: T) {
        self.batch.put(self.table, key, &value);
        self.all.insert(key.to_owned(), value);
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<T> {
        self.batch.remove(self.table, key);
        self.all.remove(key)
    }
}

/// What an operation answers, and when its change is stored.
pub(crate) type Written = Result<(Reply, Commit), Fault>;
