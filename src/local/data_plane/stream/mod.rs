//! Streams: files of a bucket, delivered over MQTT in blocks.
//!
//! A stream names up to 50 files and the role that may read them. Devices ask for
//! a description and for blocks on reserved topics; [`wire`] is what they say,
//! [`topics`] answers, [`files`] reads the objects as the stream's role.
//!
//! The entity tag of each object is noted when the stream is made or changed: an
//! object that has been overwritten since is refused as `ETagMismatch`, so that a
//! device never puts two images together.

pub mod files;
pub mod resource;
pub mod service;
mod tags;
pub mod topics;
pub mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use iotstack_local_kernel::tags::{ChangeTags, Tags};
use iotstack_local_kernel::{Cloud, Commit, Fault, Store, StoreError, Timestamp};
use serde::{Deserialize, Serialize};

/// All streams of the cloud.
pub struct Streams {
    kept: Mutex<BTreeMap<Arc<str>, Arc<Stream>>>,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    /// Grows with each change; begins with 1.
    pub version: u16,
    /// What it is for.
    pub description: Option<String>,
    /// The files.
    pub files: Vec<File>,
    /// The role that reads them.
    pub role_arn: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Its tags, pairs on disk.
    #[serde(default, with = "iotstack_local_kernel::tags::pairs")]
    pub tags: Tags,
    /// The entity tags of the files, as far as the objects were there.
    #[serde(default)]
    pub etags: BTreeMap<u8, String>,
}

/// A file of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Its number in the stream.
    #[serde(default)]
    pub file_id: u8,
    /// Where it lies.
    pub s3_location: Location,
}

/// Where a file lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The version; without one the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What a caller wants of a stream.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// A new description.
    pub description: Option<String>,
    /// New files.
    pub files: Option<Vec<File>>,
    /// A new role.
    pub role_arn: Option<String>,
    /// Other tags.
    pub tags: Option<Tags>,
}

impl Streams {
    /// The streams that the cloud has stored.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn restore(store: &Store) -> Result<Arc<Streams>, StoreError> {
        let kept = store.load::<Stream>(TABLE)?;
        let kept = kept.into_iter().map(|(id, stream)| (id.into(), Arc::new(stream)));
        Ok(Arc::new(Streams { kept: Mutex::new(kept.collect()) }))
    }

    /// A stream.
    pub fn stream(&self, id: &str) -> Option<Arc<Stream>> {
        self.lock().get(id).cloned()
    }

    /// All streams in the order of their ids.
    pub fn all(&self) -> Vec<(Arc<str>, Arc<Stream>)> {
        self.lock().iter().map(|(id, stream)| (id.clone(), stream.clone())).collect()
    }

    /// Makes a stream.
    pub async fn create(&self, cloud: &Cloud, id: &str, wish: Wish) -> Result<Arc<Stream>, Fault> {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !((1..=128).contains(&id.len()) && id.chars().all(good)) {
            return Err(invalid(format!(
                "stream id `{id}` is not valid: expected 1 to 128 letters, digits, _ and -"
            )));
        }
        let (Some(files), Some(role_arn)) = (wish.files, wish.role_arn) else {
            return Err(invalid("a stream needs files and a roleArn"));
        };
        check(wish.description.as_deref(), &files, &role_arn)?;
        let etags = files::etags(cloud, &files).await;
        let now = cloud.clock.now();
        let stream = Arc::new(Stream {
            version: 1,
            description: wish.description,
            files,
            role_arn,
            created_at: now,
            updated_at: now,
            tags: wish.tags.unwrap_or_default(),
            etags,
        });
        let commit = {
            let mut all = self.lock();
            if all.contains_key(id) {
                return Err(Fault::new(
                    "ResourceAlreadyExistsException",
                    409,
                    format!("stream `{id}` exists already"),
                )
                .with("resourceId", id)
                .with("resourceArn", arn(cloud, id)));
            }
            if all.len() >= MOST {
                return Err(Fault::new(
                    "LimitExceededException",
                    410,
                    format!("an account has at most {MOST} streams"),
                ));
            }
            keep(cloud, &mut all, id, stream.clone())
        };
        commit.stored().await?;
        Ok(stream)
    }

    /// Changes a stream; what is not wished stays.
    pub async fn update(&self, cloud: &Cloud, id: &str, wish: Wish) -> Result<Arc<Stream>, Fault> {
        let old = self.stream(id).ok_or_else(|| missing(id))?;
        let files = wish.files.unwrap_or_else(|| old.files.clone());
        let role_arn = wish.role_arn.unwrap_or_else(|| old.role_arn.clone());
        let description = wish.description.or_else(|| old.description.clone());
        check(description.as_deref(), &files, &role_arn)?;
        let etags = files::etags(cloud, &files).await;
        let (stream, commit) = {
            let mut all = self.lock();
            let old = all.get(id).cloned().ok_or_else(|| missing(id))?;
            let stream = Arc::new(Stream {
                version: old.version.wrapping_add(1),
                description,
                files,
                role_arn,
                updated_at: cloud.clock.now(),
                tags: wish.tags.unwrap_or_else(|| old.tags.clone()),
                etags,
                created_at: old.created_at,
            });
            let commit = keep(cloud, &mut all, id, stream.clone());
            (stream, commit)
        };
        commit.stored().await?;
        Ok(stream)
    }

    /// Changes the tags of a stream; its version stays, as its content does.
    pub fn retag(&self, cloud: &Cloud, id: &str, change: ChangeTags) -> Result<Commit, Fault> {
        let mut all = self.lock();
        let mut stream = all.get(id).map(|old| (**old).clone()).ok_or_else(|| missing(id))?;
        change(&mut stream.tags)?;
        Ok(keep(cloud, &mut all, id, Arc::new(stream)))
    }

    /// Removes a stream.
    pub fn delete(&self, cloud: &Cloud, id: &str) -> Result<Commit, Fault> {
        let mut all = self.lock();
        all.remove(id).ok_or_else(|| missing(id))?;
        let mut batch = cloud.store.batch();
        batch.remove(TABLE, id);
        Ok(cloud.store.commit(batch))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<Stream>>> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The ARN of a stream.
pub fn arn(cloud: &Cloud, id: &str) -> String {
    cloud.account.arn("iot", format_args!("stream/{id}"))
}

fn keep(
    cloud: &Cloud,
    all: &mut BTreeMap<Arc<str>, Arc<Stream>>,
    id: &str,
    stream: Arc<Stream>,
) -> Commit {
    let mut batch = cloud.store.batch();
    batch.put(TABLE, id, &*stream);
    all.insert(id.into(), stream);
    cloud.store.commit(batch)
}

fn check(description: Option<&str>, files: &[File], role_arn: &str) -> Result<(), Fault> {
    if description.is_some_and(|text| {
        text.is_empty() || text.chars().count() > 2028 || text.chars().any(char::is_control)
    }) {
        return Err(invalid("description must have 1 to 2028 characters, none of them control"));
    }
    if files.is_empty() || files.len() > MOST_FILES {
        return Err(invalid(format!("a stream has 1 to {MOST_FILES} files, not {}", files.len())));
    }
    let mut seen = [false; 256];
    for file in files {
        if std::mem::replace(&mut seen[usize::from(file.file_id)], true) {
            return Err(invalid(format!("file id {} is used twice", file.file_id)));
        }
        if file.s3_location.bucket.is_empty() || file.s3_location.key.is_empty() {
            return Err(invalid(format!("file {} has no bucket or no key", file.file_id)));
        }
    }
    if !(20..=2048).contains(&role_arn.len()) || !role_arn.starts_with("arn:") {
        return Err(invalid(format!("roleArn `{role_arn}` is not the ARN of a role")));
    }
    Ok(())
}

fn missing(id: &str) -> Fault {
    Fault::new("ResourceNotFoundException", 404, format!("stream `{id}` does not exist"))
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidRequestException", 400, message)
}

const TABLE: &str = "streams";
const MOST: usize = 10_000;
const MOST_FILES: usize = 50;
