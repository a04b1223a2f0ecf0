//! One bucket in memory: the versions of its keys, and the uploads that are not complete.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::{Batch, id};
use serde_json::Value;

use crate::Error;
use crate::blob::Blob;
use crate::record::{BucketRecord, NOTIFICATION, Upload, Version, Versioning};
use crate::store::{Deleted, NULL, VERSIONS};

/// A bucket with what it holds.
pub(crate) struct Bucket {
    pub(crate) record: BucketRecord,
    /// The versions of each key, the newest last; never empty.
    pub(crate) keys: BTreeMap<String, Vec<Arc<Version>>>,
    pub(crate) uploads: BTreeMap<String, Upload>,
}

impl Bucket {
    pub(crate) fn new(record: BucketRecord) -> Self {
        Bucket { record, keys: BTreeMap::new(), uploads: BTreeMap::new() }
    }

    pub(crate) fn find(&self, key: &str, version: Option<&str>) -> Result<Arc<Version>, Error> {
        let versions = self.keys.get(key).map(Vec::as_slice).unwrap_or_default();
        let Some(id) = version else {
            let missing = |marker| Error::NoSuchKey { key: key.to_owned(), marker };
            let newest = versions.last().ok_or_else(|| missing(None))?;
            return match newest.is_marker() {
                true => Err(missing(Some(newest.id.clone()))),
                false => Ok(newest.clone()),
            };
        };
        check_version(id)?;
        let found = versions
            .iter()
            .find(|version| version.id == id)
            .ok_or_else(|| Error::NoSuchVersion { key: key.to_owned(), version: id.to_owned() })?;
        match found.is_marker() {
            true => Err(Error::DeleteMarker { version: id.to_owned() }),
            false => Ok(found.clone()),
        }
    }

    pub(crate) fn holds(&self, key: &str, id: &str) -> bool {
        self.keys.get(key).is_some_and(|versions| versions.iter().any(|v| v.id == id))
    }

    /// Whom to tell about changes.
    pub(crate) fn notification(&self) -> Option<Value> {
        self.record.settings.get(NOTIFICATION.name).cloned()
    }

    pub(crate) fn next_version_id(&self) -> String {
        match self.record.versioning {
            Versioning::Enabled => id::hex_digits(32),
            Versioning::Never | Versioning::Suspended => NULL.to_owned(),
        }
    }

    /// Adds a version; one with the same id (`null`) goes.
    pub(crate) fn push(&mut self, version: Arc<Version>, batch: &mut Batch) -> Vec<Blob> {
        let (_, blobs) = self.remove(&version.key.clone(), &version.id.clone(), batch);
        batch.put(VERSIONS, version.record_key(), &*version);
        self.keys.entry(version.key.clone()).or_default().push(version);
        blobs
    }

    pub(crate) fn remove(
        &mut self,
        key: &str,
        id: &str,
        batch: &mut Batch,
    ) -> (Deleted, Vec<Blob>) {
        let mut deleted = Deleted { marker: false, version: Some(id.to_owned()) };
        let Some(versions) = self.keys.get_mut(key) else { return (deleted, Vec::new()) };
        let Some(at) = versions.iter().position(|version| version.id == id) else {
            return (deleted, Vec::new());
        };
        let gone = versions.remove(at);
        if versions.is_empty() {
            self.keys.remove(key);
        }
        batch.remove(VERSIONS, gone.record_key());
        deleted.marker = gone.is_marker();
        (deleted, gone.content.iter().map(|content| content.blob.clone()).collect())
    }
}

/// Ids of versions have a form, which is looked at before the object is.
pub(crate) fn check_version(id: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match id == NULL || (id.len() == 32 && id.chars().all(fits)) {
        true => Ok(()),
        false => Err(Error::InvalidVersion(id.to_owned())),
    }
}
