//! The files of streams, read from their buckets as the stream's role.
//!
//! A device asks for a file in hundreds of requests, so the newest objects stay in
//! memory for a while, within a bound. An object that is overwritten is forgotten
//! at once: the bus tells.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use iotstack_local_kernel::ports::Object;
use iotstack_local_kernel::{Caller, Cloud};

use super::wire::Refusal;
use super::{File, Location, Stream};

/// Objects that were read lately.
#[derive(Default)]
pub struct Files {
    newest: Mutex<VecDeque<(Location, Arc<Object>)>>,
}

impl Files {
    /// The bytes of a file.
    pub async fn read(
        &self,
        cloud: &Cloud,
        stream: &Stream,
        file: &File,
    ) -> Result<Arc<Object>, Refusal> {
        let location = &file.s3_location;
        may(cloud, &stream.role_arn, location)?;
        let object = match self.known(location) {
            Some(object) => object,
            None => {
                let object = Arc::new(fetch(cloud, location).await?);
                self.keep(location, object.clone());
                object
            }
        };
        if object.bytes.len() > LARGEST {
            return Err(Refusal::new(
                "InvalidRequest",
                format!("file {} is larger than {LARGEST} bytes", file.file_id),
            ));
        }
        let noted = stream.etags.get(&file.file_id);
        if location.version.is_none() && noted.is_some_and(|etag| *etag != object.etag) {
            return Err(Refusal::new(
                "ETagMismatch",
                format!(
                    "the object of file {} was overwritten after the stream was made",
                    file.file_id
                ),
            ));
        }
        Ok(object)
    }

    /// Forgets what was read of an object.
    pub fn forget(&self, bucket: &str, key: &str) {
        self.lock().retain(|(known, _)| known.bucket != bucket || known.key != key);
    }

    fn known(&self, location: &Location) -> Option<Arc<Object>> {
        let newest = self.lock();
        newest.iter().find(|(known, _)| known == location).map(|(_, object)| object.clone())
    }

    fn keep(&self, location: &Location, object: Arc<Object>) {
        let mut newest = self.lock();
        newest.push_front((location.clone(), object));
        let mut total = 0;
        newest.retain(|(_, object)| {
            total += object.bytes.len();
            total <= MEMORY
        });
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Location, Arc<Object>)>> {
        self.newest.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The entity tags of those objects that are there.
pub async fn etags(cloud: &Cloud, files: &[File]) -> BTreeMap<u8, String> {
    let mut etags = BTreeMap::new();
    for file in files.iter().filter(|file| file.s3_location.version.is_none()) {
        if let Ok(object) = fetch(cloud, &file.s3_location).await {
            etags.insert(file.file_id, object.etag);
        }
    }
    etags
}

async fn fetch(cloud: &Cloud, location: &Location) -> Result<Object, Refusal> {
    let objects =
        cloud.ports.objects().map_err(|fault| Refusal::new("InternalError", fault.message))?;
    let version = location.version.as_deref();
    objects.get(&location.bucket, &location.key, version).await.map_err(|fault| {
        let code = if fault.status == 404 { "ResourceNotFound" } else { "InternalError" };
        Refusal::new(code, fault.message)
    })
}

/// Whether IoT may take the stream's role, and the role may read the object.
fn may(cloud: &Cloud, role: &str, location: &Location) -> Result<(), Refusal> {
    // A cloud without identities, as tests of single services run it, allows all.
    let Ok(credentials) = cloud.ports.credentials() else { return Ok(()) };
    let refuse = |message: String| Refusal::new("Unauthorized", message);
    let keys = credentials
        .assume(role, "iot-streams", "iot.amazonaws.com")
        .map_err(|fault| refuse(format!("role {role} cannot be taken: {}", fault.message)))?;
    let caller = match credentials.identity(&keys.access_key_id) {
        Some(identity) => identity.caller,
        None => Caller::Principal { arn: role.to_owned() },
    };
    let action = match location.version {
        None => "s3:GetObject",
        Some(_) => "s3:GetObjectVersion",
    };
    let Location { bucket, key, .. } = location;
    let arn = format!("arn:{}:s3:::{bucket}/{key}", cloud.account.partition());
    if credentials.allows(&caller, action, &arn) {
        return Ok(());
    }
    Err(refuse(format!("role {role} is not allowed to do {action} on {arn}")))
}

/// The largest file of a stream.
const LARGEST: usize = 24 * 1024 * 1024;
/// How many bytes of objects stay in memory.
const MEMORY: usize = 64 * 1024 * 1024;
