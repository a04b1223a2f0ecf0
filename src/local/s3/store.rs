//! The state of S3 and its rules: no HTTP, no XML.
//!
//! Everything is in memory in the order of keys, and written through to the
//! store, one record per bucket, version and upload. One lock guards it and is
//! never held across a wait. Bytes are kept before a version is entered, and
//! removed after it has gone.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use iotstack_local_kernel::{Cloud, CloudEvent, Commit, StoreError};
use serde_json::Value;

use crate::Error;
use crate::blob::{Blob, Blobs};
use crate::bucket::{Bucket, check_version};
use crate::condition::WriteCondition;
use crate::notify::{self, Happening};
use crate::record::{BucketRecord, Content, Part, Setting, Upload, Version, Versioning};

/// All buckets of the account.
pub(crate) struct Buckets {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) blobs: Blobs,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    buckets: BTreeMap<String, Bucket>,
    sequence: u64,
}

/// Where a new version comes from.
enum Origin<'a> {
    /// A request that brought or copied it.
    Request(Happening),
    /// An upload in parts, which ends with it.
    Upload(&'a Upload),
}

/// What a deletion did.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Deleted {
    /// Whether a delete marker was made, or was what got deleted.
    pub(crate) marker: bool,
    /// The version that was made or deleted.
    pub(crate) version: Option<String>,
}

impl Buckets {
    pub(crate) fn restore(cloud: &Arc<Cloud>) -> Result<Self, StoreError> {
        let refuse = |error: std::io::Error| StoreError::Open {
            folder: cloud.store.folder().unwrap_or(std::path::Path::new("")).display().to_string(),
            reason: error.to_string(),
        };
        let blobs = Blobs::open(cloud.store.folder()).map_err(refuse)?;
        let mut state = State::default();
        for (name, record) in cloud.store.load::<BucketRecord>(BUCKETS)? {
            state.buckets.insert(name, Bucket::new(record));
        }
        let mut named = HashSet::new();
        // Sorted by their sequence, so that the newest comes last.
        for (_, version) in cloud.store.load::<Version>(VERSIONS)? {
            state.sequence = state.sequence.max(version.sequence);
            named.extend(version.content.iter().filter_map(|c| c.blob.file().map(str::to_owned)));
            if let Some(bucket) = state.buckets.get_mut(&version.bucket) {
                bucket.keys.entry(version.key.clone()).or_default().push(Arc::new(version));
            }
        }
        for (_, upload) in cloud.store.load::<Upload>(UPLOADS)? {
            let files = upload.parts.values().filter_map(|part| part.blob.file());
            named.extend(files.map(str::to_owned));
            if let Some(bucket) = state.buckets.get_mut(&upload.bucket) {
                bucket.uploads.insert(upload.id.clone(), upload);
            }
        }
        blobs.sweep(&named).map_err(refuse)?;
        Ok(Buckets { cloud: cloud.clone(), blobs, state: Mutex::new(state) })
    }

    /// Reads a bucket.
    pub(crate) fn read<T>(&self, name: &str, read: impl FnOnce(&Bucket) -> T) -> Result<T, Error> {
        Ok(read(self.lock().bucket(name)?))
    }

    /// The records of all buckets, by name.
    pub(crate) fn all(&self) -> Vec<BucketRecord> {
        self.lock().buckets.values().map(|bucket| bucket.record.clone()).collect()
    }

    /// Makes a bucket.
    pub(crate) async fn create(&self, record: BucketRecord) -> Result<(), Error> {
        if !s3s::path::check_bucket_name(&record.name) {
            return Err(Error::InvalidBucketName(record.name));
        }
        let commit = {
            let mut state = self.lock();
            if state.buckets.contains_key(&record.name) {
                return Err(Error::BucketAlreadyOwnedByYou(record.name));
            }
            let mut batch = self.cloud.store.batch();
            batch.put(BUCKETS, &record.name, &record);
            state.buckets.insert(record.name.clone(), Bucket::new(record));
            self.cloud.store.commit(batch)
        };
        Ok(commit.stored().await?)
    }

    /// Deletes an empty bucket.
    pub(crate) async fn delete_bucket(&self, name: &str) -> Result<(), Error> {
        let (commit, blobs) = {
            let mut state = self.lock();
            let bucket = state.bucket(name)?;
            if !bucket.keys.is_empty() {
                return Err(Error::BucketNotEmpty {
                    bucket: name.to_owned(),
                    versioned: bucket.record.versioning != Versioning::Never,
                });
            }
            let mut batch = self.cloud.store.batch();
            batch.remove(BUCKETS, name);
            let mut blobs = Vec::new();
            // Uploads that go on do not keep a bucket.
            for upload in bucket.uploads.values() {
                batch.remove(UPLOADS, upload.record_key());
                blobs.extend(upload.parts.values().map(|part| part.blob.clone()));
            }
            state.buckets.remove(name);
            (self.cloud.store.commit(batch), blobs)
        };
        self.finish(commit, blobs).await
    }

    /// Changes the record of a bucket.
    pub(crate) async fn configure(
        &self,
        name: &str,
        change: impl FnOnce(&mut BucketRecord),
    ) -> Result<(), Error> {
        let commit = {
            let mut state = self.lock();
            let bucket = state.bucket_mut(name)?;
            change(&mut bucket.record);
            let mut batch = self.cloud.store.batch();
            batch.put(BUCKETS, name, &bucket.record);
            self.cloud.store.commit(batch)
        };
        Ok(commit.stored().await?)
    }

    /// A configuration of a bucket.
    pub(crate) fn setting(&self, name: &str, setting: &Setting) -> Result<Value, Error> {
        self.read(name, |bucket| bucket.record.settings.get(setting.name).cloned())?.ok_or_else(
            || Error::NotConfigured {
                code: setting.missing,
                message: setting.message,
                bucket: name.to_owned(),
            },
        )
    }

    /// A version of an object; the newest if none is named.
    pub(crate) fn find(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Arc<Version>, Error> {
        self.lock().bucket(bucket)?.find(key, version)
    }

    /// Enters a new version of an object.
    pub(crate) async fn put(
        &self,
        bucket: &str,
        key: &str,
        content: Content,
        condition: &WriteCondition,
        happening: Happening,
    ) -> Result<Arc<Version>, Error> {
        self.enter(bucket, key, content, condition, Origin::Request(happening)).await
    }

    /// Enters the object of a completed upload, and ends the upload.
    pub(crate) async fn complete(
        &self,
        upload: &Upload,
        content: Content,
        condition: &WriteCondition,
    ) -> Result<Arc<Version>, Error> {
        self.enter(&upload.bucket, &upload.key, content, condition, Origin::Upload(upload)).await
    }

    async fn enter(
        &self,
        bucket: &str,
        key: &str,
        content: Content,
        condition: &WriteCondition,
        origin: Origin<'_>,
    ) -> Result<Arc<Version>, Error> {
        let (upload, happening) = match origin {
            Origin::Upload(upload) => (Some(upload), Happening::Completed),
            Origin::Request(happening) => (None, happening),
        };
        let fresh = content.blob.clone();
        let entered = (|| {
            let mut state = self.lock();
            let sequence = state.sequence + 1;
            let owner = state.bucket_mut(bucket)?;
            if let Some(upload) = upload
                && !owner.uploads.contains_key(&upload.id)
            {
                return Err(Error::NoSuchUpload(upload.id.clone()));
            }
            condition.check(key, owner.find(key, None).ok().as_deref())?;
            let version = Arc::new(Version {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                id: owner.next_version_id(),
                sequence,
                modified: self.cloud.clock.now(),
                content: Some(content),
            });
            let mut batch = self.cloud.store.batch();
            let mut blobs = owner.push(version.clone(), &mut batch);
            if let Some(upload) = upload.and_then(|upload| owner.uploads.remove(&upload.id)) {
                batch.remove(UPLOADS, upload.record_key());
                blobs.extend(upload.parts.into_values().map(|part| part.blob));
            }
            let told = owner.notification();
            state.sequence = sequence;
            Ok((version, self.cloud.store.commit(batch), blobs, told))
        })();
        match entered {
            Err(error) => {
                self.blobs.remove(&fresh);
                Err(error)
            }
            Ok((version, commit, blobs, told)) => {
                self.finish(commit, blobs).await?;
                notify::tell(&self.cloud, told, &version, happening);
                self.cloud
                    .bus
                    .tell(&CloudEvent::ObjectCreated { bucket: bucket.into(), key: key.into() });
                Ok(version)
            }
        }
    }

    /// Deletes an object (which may only mean a delete marker), or one version.
    pub(crate) async fn delete(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        condition: &WriteCondition,
    ) -> Result<Deleted, Error> {
        version.map(check_version).transpose()?;
        let (deleted, commit, blobs, told, gone) = {
            let mut state = self.lock();
            let sequence = state.sequence + 1;
            let owner = state.bucket_mut(bucket)?;
            // The condition is about the current version, whichever is deleted.
            condition.check(key, owner.find(key, None).ok().as_deref())?;
            let mut batch = self.cloud.store.batch();
            // What is told of the deletion, which has no content any more.
            let gone = Version {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                id: version.unwrap_or(NULL).to_owned(),
                sequence,
                modified: self.cloud.clock.now(),
                content: None,
            };
            let marks = owner.record.versioning != Versioning::Never;
            // Deleting what is not there changes nothing that could be told.
            let happens = (marks && version.is_none()) || owner.holds(key, &gone.id);
            let told = owner.notification().filter(|_| happens);
            let (deleted, blobs) = match version {
                Some(version) => owner.remove(key, version, &mut batch),
                None if marks => {
                    let marker = Arc::new(Version {
                        bucket: bucket.to_owned(),
                        key: key.to_owned(),
                        id: owner.next_version_id(),
                        sequence,
                        modified: self.cloud.clock.now(),
                        content: None,
                    });
                    let deleted = Deleted { marker: true, version: Some(marker.id.clone()) };
                    (deleted, owner.push(marker, &mut batch))
                }
                None => {
                    let (_, blobs) = owner.remove(key, NULL, &mut batch);
                    (Deleted::default(), blobs)
                }
            };
            state.sequence = sequence;
            (deleted, self.cloud.store.commit(batch), blobs, told, gone)
        };
        self.finish(commit, blobs).await?;
        let marked = deleted.marker && version.is_none();
        let happening = if marked { Happening::Marked } else { Happening::Deleted };
        let id = deleted.version.clone().unwrap_or(gone.id.clone());
        notify::tell(&self.cloud, told, &Version { id, ..gone }, happening);
        Ok(deleted)
    }

    /// Replaces the tags of a version.
    pub(crate) async fn tag(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        tags: Vec<(String, String)>,
    ) -> Result<Arc<Version>, Error> {
        let happening = if tags.is_empty() { Happening::Untagged } else { Happening::Tagged };
        let (version, commit, told) = {
            let mut state = self.lock();
            let owner = state.bucket_mut(bucket)?;
            let found = owner.find(key, version)?;
            let mut changed = Version::clone(&found);
            if let Some(content) = &mut changed.content {
                content.tags = tags;
            }
            let changed = Arc::new(changed);
            if let Some(versions) = owner.keys.get_mut(key) {
                for version in versions.iter_mut().filter(|other| Arc::ptr_eq(other, &found)) {
                    *version = changed.clone();
                }
            }
            let mut batch = self.cloud.store.batch();
            batch.put(VERSIONS, changed.record_key(), &*changed);
            let told = owner.notification();
            (changed, self.cloud.store.commit(batch), told)
        };
        commit.stored().await?;
        notify::tell(&self.cloud, told, &version, happening);
        Ok(version)
    }

    /// Begins an upload.
    pub(crate) async fn begin(&self, upload: Upload) -> Result<(), Error> {
        let commit = {
            let mut state = self.lock();
            let bucket = state.bucket_mut(&upload.bucket)?;
            let mut batch = self.cloud.store.batch();
            batch.put(UPLOADS, upload.record_key(), &upload);
            bucket.uploads.insert(upload.id.clone(), upload);
            self.cloud.store.commit(batch)
        };
        Ok(commit.stored().await?)
    }

    /// An upload of a key.
    pub(crate) fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Upload, Error> {
        self.read(bucket, |bucket| bucket.uploads.get(id).cloned())?
            .filter(|upload| upload.key == key)
            .ok_or_else(|| Error::NoSuchUpload(id.to_owned()))
    }

    /// Enters a part; one with the same number is replaced.
    pub(crate) async fn put_part(
        &self,
        bucket: &str,
        id: &str,
        number: i32,
        part: Part,
    ) -> Result<(), Error> {
        let fresh = part.blob.clone();
        let entered = (|| {
            let mut state = self.lock();
            let uploads = &mut state.bucket_mut(bucket)?.uploads;
            let upload = uploads.get_mut(id).ok_or_else(|| Error::NoSuchUpload(id.to_owned()))?;
            let old = upload.parts.insert(number, part).map(|part| part.blob);
            let mut batch = self.cloud.store.batch();
            batch.put(UPLOADS, upload.record_key(), &*upload);
            Ok((self.cloud.store.commit(batch), old))
        })();
        match entered {
            Err(error) => {
                self.blobs.remove(&fresh);
                Err(error)
            }
            Ok((commit, old)) => self.finish(commit, old.into_iter().collect()).await,
        }
    }

    /// What an upload became that has been completed, if it is still there.
    pub(crate) fn completed(&self, bucket: &str, key: &str, id: &str) -> Option<Arc<Version>> {
        let made = |version: &&Arc<Version>| {
            version.content.as_ref().is_some_and(|content| content.upload.as_deref() == Some(id))
        };
        let find = |bucket: &Bucket| bucket.keys.get(key)?.iter().find(made).cloned();
        self.read(bucket, find).ok().flatten()
    }

    /// Gives an upload up.
    pub(crate) async fn abort(&self, bucket: &str, key: &str, id: &str) -> Result<(), Error> {
        let upload = self.upload(bucket, key, id)?;
        let (commit, blobs) = {
            let mut state = self.lock();
            let mut batch = self.cloud.store.batch();
            batch.remove(UPLOADS, upload.record_key());
            let removed = state.bucket_mut(bucket)?.uploads.remove(id);
            let parts = removed.into_iter().flat_map(|upload| upload.parts.into_values());
            let blobs = parts.map(|part| part.blob).collect();
            (self.cloud.store.commit(batch), blobs)
        };
        self.finish(commit, blobs).await
    }

    /// Waits until a change is stored, then removes the bytes that it made useless.
    async fn finish(&self, commit: Commit, blobs: Vec<Blob>) -> Result<(), Error> {
        commit.stored().await?;
        for blob in &blobs {
            self.blobs.remove(blob);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn bucket(&self, name: &str) -> Result<&Bucket, Error> {
        self.buckets.get(name).ok_or_else(|| Error::NoSuchBucket(name.to_owned()))
    }

    fn bucket_mut(&mut self, name: &str) -> Result<&mut Bucket, Error> {
        self.buckets.get_mut(name).ok_or_else(|| Error::NoSuchBucket(name.to_owned()))
    }
}

/// The id of a version that was written while the bucket kept none.
pub(crate) const NULL: &str = "null";

const BUCKETS: &str = "s3_buckets";
pub(crate) const VERSIONS: &str = "s3_versions";
const UPLOADS: &str = "s3_uploads";
