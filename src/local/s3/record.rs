//! What is known of buckets, versions and uploads: records as they are stored.
//!
//! Bytes lie beside them as blobs. Configurations are kept as the wire library
//! writes them, as nothing but their form matters here.

use std::collections::BTreeMap;

use iotstack_local_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::blob::Blob;

/// A bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BucketRecord {
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    pub(crate) region: String,
    pub(crate) versioning: Versioning,
    /// Configurations as the wire library reads them, by [`Setting`]'s name.
    pub(crate) settings: BTreeMap<String, Value>,
}

/// Whether a bucket keeps old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Versioning {
    /// It never did.
    #[default]
    Never,
    /// It does.
    Enabled,
    /// It did, and keeps those.
    Suspended,
}

/// A version of an object, or a delete marker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// `null` if it was written while the bucket kept no versions.
    pub(crate) id: String,
    /// Grows with every version of the cloud; the order of versions.
    pub(crate) sequence: u64,
    pub(crate) modified: Timestamp,
    /// Nothing for a delete marker.
    pub(crate) content: Option<Content>,
}

/// What an object holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) blob: Blob,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) headers: Headers,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) checksums: Checksums,
    pub(crate) encryption: Encryption,
    pub(crate) storage_class: Option<String>,
    /// The sizes of its parts, if it was uploaded in parts.
    pub(crate) parts: Vec<u64>,
    /// The upload that it was made of, for those who complete it again.
    #[serde(default)]
    pub(crate) upload: Option<String>,
}

/// Headers that travel with an object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Headers {
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) expires: Option<s3s::dto::Timestamp>,
    pub(crate) website_redirect_location: Option<String>,
}

/// Checksums that the writer asked for, base64.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checksums {
    pub(crate) crc32: Option<String>,
    pub(crate) crc32c: Option<String>,
    pub(crate) crc64nvme: Option<String>,
    pub(crate) sha1: Option<String>,
    pub(crate) sha256: Option<String>,
}

/// How S3 says that it encrypts an object. It is said, not done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Encryption {
    pub(crate) algorithm: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) bucket_key: Option<bool>,
}

/// A multipart upload that goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) initiated: Timestamp,
    /// What the object will be, but for its bytes.
    pub(crate) content: Content,
    pub(crate) checksum_algorithm: Option<String>,
    #[serde(default)]
    pub(crate) checksum_type: Option<String>,
    pub(crate) parts: BTreeMap<i32, Part>,
}

/// A part of an upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) blob: Blob,
    pub(crate) md5: [u8; 16],
    pub(crate) modified: Timestamp,
    pub(crate) checksums: Checksums,
}

/// The configurations of a bucket.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    /// What AWS answers if it was never set.
    pub(crate) missing: &'static str,
    /// What it says then.
    pub(crate) message: &'static str,
}

pub(crate) const CORS: Setting = Setting {
    name: "cors",
    missing: "NoSuchCORSConfiguration",
    message: "The CORS configuration does not exist",
};
pub(crate) const ENCRYPTION: Setting = Setting {
    name: "encryption",
    missing: "ServerSideEncryptionConfigurationNotFoundError",
    message: "The server side encryption configuration was not found",
};
pub(crate) const LIFECYCLE: Setting = Setting {
    name: "lifecycle",
    missing: "NoSuchLifecycleConfiguration",
    message: "The lifecycle configuration does not exist",
};
pub(crate) const NOTIFICATION: Setting = Setting { name: "notification", missing: "", message: "" };
pub(crate) const OWNERSHIP: Setting = Setting {
    name: "ownership",
    missing: "OwnershipControlsNotFoundError",
    message: "The bucket ownership controls were not found",
};
pub(crate) const POLICY: Setting = Setting {
    name: "policy",
    missing: "NoSuchBucketPolicy",
    message: "The bucket policy does not exist",
};
pub(crate) const PUBLIC_ACCESS: Setting = Setting {
    name: "public-access",
    missing: "NoSuchPublicAccessBlockConfiguration",
    message: "The public access block configuration was not found",
};
pub(crate) const TAGGING: Setting =
    Setting { name: "tagging", missing: "NoSuchTagSet", message: "The TagSet does not exist" };

impl Checksums {
    /// The checksums that there are, with their algorithms.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("CRC32", &self.crc32),
            ("CRC32C", &self.crc32c),
            ("CRC64NVME", &self.crc64nvme),
            ("SHA1", &self.sha1),
            ("SHA256", &self.sha256),
        ];
        all.into_iter().filter_map(|(name, sum)| Some((name, sum.as_deref()?)))
    }

    /// Whether it is of the whole object or of the checksums of its parts, if there is any.
    pub(crate) fn kind(&self) -> Option<&'static str> {
        let mut sums = self.each().peekable();
        sums.peek()?;
        // Such a checksum ends with the number of parts.
        Some(if sums.any(|(_, sum)| sum.contains('-')) { COMPOSITE } else { FULL_OBJECT })
    }

    /// The checksum of an algorithm.
    pub(crate) fn get(&self, algorithm: &str) -> Option<&str> {
        self.each().find(|(name, _)| *name == algorithm).map(|(_, sum)| sum)
    }
}

pub(crate) const COMPOSITE: &str = "COMPOSITE";
pub(crate) const FULL_OBJECT: &str = "FULL_OBJECT";

impl Version {
    /// Whether it only says that the object is deleted.
    pub(crate) fn is_marker(&self) -> bool {
        self.content.is_none()
    }

    /// Under what it is stored.
    pub(crate) fn record_key(&self) -> String {
        format!("{:020}", self.sequence)
    }
}

impl Upload {
    /// Under what it is stored.
    pub(crate) fn record_key(&self) -> String {
        format!("{}/{}", self.bucket, self.id)
    }
}
