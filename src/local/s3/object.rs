//! Objects: put, get, head, copy, delete, tags.
//!
//! What the wire library hands over becomes a [`Content`] and back. Which versions
//! there are the store knows; encryption is told as asked, and not done.

use std::collections::BTreeMap;

use bytes::Bytes;
use iotstack_local_kernel::Timestamp;
use md5::{Digest, Md5};
use s3s::TrailingHeaders;
use s3s::dto;

use crate::Error;
use crate::blob::Blob;
use crate::body::{Received, checksums};
use crate::condition::{ReadCondition, Verdict, WriteCondition, wire_etag};
use crate::members::{announced, headers, show_checksums, shown, wanted};
use crate::notify::Happening;
use crate::record::{Content, ENCRYPTION, Encryption, Version};
use crate::store::Buckets;
use crate::tags::tags_of_header;

/// Writes an object.
pub(crate) async fn put(
    buckets: &Buckets,
    mut input: dto::PutObjectInput,
    trailers: Option<TrailingHeaders>,
) -> Result<dto::PutObjectOutput, Error> {
    check_key(&input.key)?;
    buckets.read(&input.bucket, |_| ())?;
    let announced = announced!(input);
    let algorithm = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str());
    let body = Received::all(input.body.take(), input.content_length).await?;
    let sums = body.check(announced, algorithm, trailers, input.content_md5.as_deref())?;
    let tags = input.tagging.as_deref().map(tags_of_header).transpose()?.unwrap_or_default();
    input.content_encoding = input.content_encoding.and_then(without_aws_chunked);
    let content = Content {
        etag: iotstack_local_kernel::id::hex(&body.md5),
        headers: headers!(input),
        metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        tags,
        checksums: sums.clone(),
        encryption: encryption(
            buckets,
            &input.bucket,
            input.server_side_encryption.as_ref().map(dto::ServerSideEncryption::as_str),
            input.ssekms_key_id,
            input.bucket_key_enabled,
        )?,
        storage_class: storage_class(input.storage_class)?,
        blob: buckets.blobs.keep(body.bytes).await?,
        parts: Vec::new(),
        upload: None,
    };
    let condition = WriteCondition { if_match: input.if_match, if_none_match: input.if_none_match };
    let version =
        buckets.put(&input.bucket, &input.key, content, &condition, Happening::Put).await?;
    let content = version.content.clone().unwrap_or_default();
    let mut output = dto::PutObjectOutput {
        e_tag: Some(wire_etag(&content.etag)),
        version_id: shown_version(buckets, &version)?,
        server_side_encryption: content.encryption.wire(),
        ssekms_key_id: content.encryption.kms_key_id,
        bucket_key_enabled: content.encryption.bucket_key,
        checksum_type: sums.kind().map(dto::ChecksumType::from_static),
        ..Default::default()
    };
    show_checksums!(output, sums);
    Ok(output)
}

/// Reads an object, or a part of it.
pub(crate) async fn get(
    buckets: &Buckets,
    input: dto::GetObjectInput,
) -> Result<dto::GetObjectOutput, Error> {
    let version = input.version_id.as_deref();
    let view = View::of(buckets, &input.bucket, &input.key, version, wanted!(input))?;
    let (start, end) = view.range;
    let body = buckets.blobs.stream(&view.content.blob, start, end).await?;
    let tag_count = count(view.content.tags.len());
    let mut output = shown!(dto::GetObjectOutput, view);
    output.body = Some(body);
    output.tag_count = tag_count;
    Ok(output)
}

/// What [`get`] says, without the bytes.
pub(crate) fn head(
    buckets: &Buckets,
    input: dto::HeadObjectInput,
) -> Result<dto::HeadObjectOutput, Error> {
    let version = input.version_id.as_deref();
    let view = View::of(buckets, &input.bucket, &input.key, version, wanted!(input))?;
    Ok(shown!(dto::HeadObjectOutput, view))
}

/// Size, entity tag and the like, as asked.
pub(crate) fn attributes(
    buckets: &Buckets,
    input: dto::GetObjectAttributesInput,
) -> Result<dto::GetObjectAttributesOutput, Error> {
    let version = buckets.find(&input.bucket, &input.key, input.version_id.as_deref())?;
    let content = version.content.clone().unwrap_or_default();
    // Clients put several names into one header, which the library leaves together.
    let names = input.object_attributes.iter().flat_map(|names| names.as_str().split(','));
    let names: Vec<&str> = names.map(str::trim).collect();
    let asked = |name: &str| names.contains(&name);
    let class = content.storage_class.unwrap_or_else(|| "STANDARD".to_owned());
    Ok(dto::GetObjectAttributesOutput {
        e_tag: asked("ETag").then(|| wire_etag(&content.etag)),
        last_modified: Some(wire_time(version.modified)),
        object_size: asked("ObjectSize").then(|| signed(content.blob.size)),
        storage_class: asked("StorageClass").then(|| dto::StorageClass::from(class)),
        object_parts: (asked("ObjectParts") && !content.parts.is_empty()).then(|| {
            dto::GetObjectAttributesParts {
                total_parts_count: count(content.parts.len()),
                ..Default::default()
            }
        }),
        checksum: content.checksums.kind().filter(|_| asked("Checksum")).map(|kind| {
            let mut shown = dto::Checksum {
                checksum_type: Some(dto::ChecksumType::from_static(kind)),
                ..Default::default()
            };
            show_checksums!(shown, content.checksums.clone());
            shown
        }),
        version_id: shown_version(buckets, &version)?,
        ..Default::default()
    })
}

/// Copies an object.
pub(crate) async fn copy(
    buckets: &Buckets,
    input: dto::CopyObjectInput,
) -> Result<dto::CopyObjectOutput, Error> {
    check_key(&input.key)?;
    let (bucket, key, version) = source(&input.copy_source)?;
    let origin = buckets.find(bucket, key, version)?;
    let condition = ReadCondition {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    condition.demand(&origin)?;
    let mut content = origin.content.clone().unwrap_or_default();
    let replaces = |directive: Option<&str>| directive == Some("REPLACE");
    let replaced = replaces(input.metadata_directive.as_ref().map(|d| d.as_str()));
    let algorithm = &input.server_side_encryption;
    let redirects = input.website_redirect_location.clone();
    let class = storage_class(input.storage_class.clone())?;
    let asks = replaced || class.is_some() || algorithm.is_some() || redirects.is_some();
    let before = content.encryption.clone();
    content.encryption = encryption(
        buckets,
        &input.bucket,
        algorithm.as_ref().map(dto::ServerSideEncryption::as_str),
        input.ssekms_key_id.clone(),
        input.bucket_key_enabled,
    )?;
    let changed = asks || version.is_some() || content.encryption != before;
    if *bucket == input.bucket && *key == input.key && !changed {
        let reason = "This copy request is illegal because it is trying to copy an object to \
                      itself without changing the object's metadata, storage class, website \
                      redirect location or encryption attributes.";
        return Err(Error::InvalidRequest(reason.to_owned()));
    }
    // What redirects is never copied.
    content.headers.website_redirect_location = redirects;
    if replaced {
        content.metadata = input.metadata.unwrap_or_default().into_iter().collect();
        content.headers = headers!(input);
    }
    if replaces(input.tagging_directive.as_ref().map(|directive| directive.as_str())) {
        let tags = input.tagging.as_deref().map(tags_of_header).transpose()?;
        content.tags = tags.unwrap_or_default();
    }
    content.storage_class = class;
    buckets.read(&input.bucket, |_| ())?;
    // A copy is written at once, whatever its source was: with checksums of the whole.
    let wanted = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str().to_owned());
    let of_parts = !content.parts.is_empty();
    if of_parts || wanted.is_some() {
        let bytes = read_all(buckets, &content.blob).await?;
        let wants = |name: &str| match &wanted {
            Some(wanted) => wanted.eq_ignore_ascii_case(name),
            None => content.checksums.get(name).is_some(),
        };
        content.checksums = checksums(&bytes, wants);
        if of_parts {
            content.etag = iotstack_local_kernel::id::hex(&Md5::digest(&bytes));
        }
    }
    (content.parts, content.upload) = (Vec::new(), None);
    content.blob = buckets.blobs.copy(&content.blob).await?;
    let made = buckets
        .put(&input.bucket, &input.key, content, &WriteCondition::default(), Happening::Copy)
        .await?;
    let content = made.content.clone().unwrap_or_default();
    let mut result = dto::CopyObjectResult {
        e_tag: Some(wire_etag(&content.etag)),
        last_modified: Some(wire_time(made.modified)),
        checksum_type: content.checksums.kind().map(dto::ChecksumType::from_static),
        ..Default::default()
    };
    show_checksums!(result, content.checksums);
    Ok(dto::CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: shown_version(buckets, &origin)?,
        version_id: shown_version(buckets, &made)?,
        server_side_encryption: content.encryption.wire(),
        ssekms_key_id: content.encryption.kms_key_id,
        bucket_key_enabled: content.encryption.bucket_key,
        ..Default::default()
    })
}

/// Where a copy comes from: bucket, key, version.
pub(crate) fn source(source: &dto::CopySource) -> Result<(&str, &str, Option<&str>), Error> {
    match source {
        dto::CopySource::Bucket { bucket, key, version_id } => {
            Ok((bucket, key, version_id.as_deref()))
        }
        _ => Err(Error::NotImplemented("copies from access points and Outposts".to_owned())),
    }
}

/// The version's id, if the bucket shows versions at all.
pub(crate) fn shown_version(buckets: &Buckets, version: &Version) -> Result<Option<String>, Error> {
    use crate::record::Versioning;
    let versioning = buckets.read(&version.bucket, |bucket| bucket.record.versioning)?;
    Ok((versioning != Versioning::Never).then(|| version.id.clone()))
}

/// A storage class that S3 knows.
pub(crate) fn storage_class(class: Option<dto::StorageClass>) -> Result<Option<String>, Error> {
    let known = [
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "GLACIER_IR",
        "OUTPOSTS",
        "SNOW",
        "EXPRESS_ONEZONE",
        "FSX_OPENZFS",
        "FSX_ONTAP",
    ];
    match class {
        Some(class) if !known.contains(&class.as_str()) => {
            Err(Error::InvalidStorageClass(class.as_str().to_owned()))
        }
        class => Ok(class.map(|class| class.as_str().to_owned())),
    }
}

/// How an object will be said to be encrypted: as the request wants it, else as
/// the bucket does by default.
pub(crate) fn encryption(
    buckets: &Buckets,
    bucket: &str,
    algorithm: Option<&str>,
    kms_key_id: Option<String>,
    bucket_key: Option<bool>,
) -> Result<Encryption, Error> {
    let account = &buckets.cloud.account;
    let mut found = Encryption { algorithm: algorithm.map(str::to_owned), kms_key_id, bucket_key };
    if found.algorithm.is_none() {
        let default = buckets.setting(bucket, &ENCRYPTION).ok();
        let rules: Option<dto::ServerSideEncryptionConfiguration> =
            default.and_then(|default| serde_json::from_value(default).ok());
        let rule = rules.and_then(|rules| rules.rules.into_iter().next()).unwrap_or_default();
        found.bucket_key = found.bucket_key.or(rule.bucket_key_enabled);
        match rule.apply_server_side_encryption_by_default {
            Some(default) => {
                found.algorithm = Some(default.sse_algorithm.as_str().to_owned());
                found.kms_key_id = found.kms_key_id.or(default.kms_master_key_id);
            }
            None => found.algorithm = Some("AES256".to_owned()),
        }
    }
    if found.algorithm.as_deref() == Some("AES256") {
        (found.kms_key_id, found.bucket_key) = (None, None);
    } else {
        found.kms_key_id = Some(match found.kms_key_id {
            None => account.arn("kms", "alias/aws/s3"),
            Some(id) if id.starts_with("arn:") => id,
            Some(id) if id.starts_with("alias/") => account.arn("kms", id),
            Some(id) => account.arn("kms", format!("key/{id}")),
        });
    }
    Ok(found)
}

/// A moment in the wire library's form, without milliseconds: HTTP has none.
pub(crate) fn wire_time(at: Timestamp) -> dto::Timestamp {
    let moment = time::OffsetDateTime::from_unix_timestamp(at.seconds());
    moment.unwrap_or(time::OffsetDateTime::UNIX_EPOCH).into()
}

/// A size on the wire.
pub(crate) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Keys are 1 to 1024 bytes.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    if key.len() > 1024 { Err(Error::KeyTooLong(key.len())) } else { Ok(()) }
}

impl Encryption {
    /// The algorithm on the wire.
    pub(crate) fn wire(&self) -> Option<dto::ServerSideEncryption> {
        self.algorithm.clone().map(dto::ServerSideEncryption::from)
    }
}

struct Wanted {
    condition: ReadCondition,
    range: Option<dto::Range>,
    part: Option<i32>,
    checksums: bool,
}

/// What a read will show.
struct View {
    content: Content,
    modified: Timestamp,
    version_id: Option<String>,
    range: (u64, u64),
    content_range: Option<String>,
    parts_count: Option<i32>,
    checksums: bool,
}

impl View {
    fn of(
        buckets: &Buckets,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        wanted: Wanted,
    ) -> Result<Self, Error> {
        let version = buckets.find(bucket, key, version)?;
        let content = version.content.clone().unwrap_or_default();
        if wanted.condition.judge(&version)? == Verdict::NotModified {
            return Err(Error::NotModified { etag: content.etag });
        }
        let size = content.blob.size;
        let asked = match (wanted.range, wanted.part) {
            (Some(_), Some(_)) => {
                let reason = "range and partNumber exclude each other";
                return Err(Error::InvalidRequest(reason.to_owned()));
            }
            (Some(range), None) => {
                let range = range.check(size).map_err(|_| Error::InvalidRange(size))?;
                Some((range.start, range.end))
            }
            (None, Some(number)) => Some(part_range(&content, number)?),
            (None, None) => None,
        };
        let (start, end) = asked.unwrap_or((0, size));
        // An empty object has no first byte to name.
        let content_range =
            asked.filter(|_| end > start).map(|_| format!("bytes {start}-{}/{size}", end - 1));
        Ok(View {
            modified: version.modified,
            version_id: shown_version(buckets, &version)?,
            range: (start, end),
            content_range,
            checksums: wanted.checksums,
            parts_count: wanted.part.and_then(|_| count(content.parts.len())),
            content,
        })
    }
}

/// Where a part lies; an object that was uploaded at once has one.
fn part_range(content: &Content, number: i32) -> Result<(u64, u64), Error> {
    let size = content.blob.size;
    let parts: &[u64] = if content.parts.is_empty() { &[size] } else { &content.parts };
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let index = index.filter(|index| *index < parts.len());
    let index = index.ok_or(Error::InvalidPartNumber(number))?;
    let start: u64 = parts[..index].iter().sum();
    Ok((start, start + parts[index]))
}

fn wire_metadata(metadata: BTreeMap<String, String>) -> Option<dto::Metadata> {
    (!metadata.is_empty()).then(|| metadata.into_iter().collect())
}

fn without_aws_chunked(encoding: String) -> Option<String> {
    let kept: Vec<&str> =
        encoding.split(',').map(str::trim).filter(|name| *name != "aws-chunked").collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

fn count(length: usize) -> Option<i32> {
    i32::try_from(length).ok().filter(|count| *count > 0)
}

fn default_type() -> String {
    "binary/octet-stream".to_owned()
}

/// Reads a version whole.
pub(crate) async fn read_all(buckets: &Buckets, blob: &Blob) -> Result<Bytes, Error> {
    buckets.blobs.read(blob, 0, blob.size).await
}
