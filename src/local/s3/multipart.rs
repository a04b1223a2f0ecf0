//! Multipart uploads: parts that become one object.
//!
//! Parts are kept as blobs of their own until the object is made of them or the
//! upload is given up. Uploads that nobody ends stay, as on AWS.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use s3s::TrailingHeaders;
use s3s::dto;

use iotstack_local_kernel::id;

use crate::Error;
use crate::blob::Blob;
use crate::body::{LARGEST, Received, checksums};
use crate::condition::{ReadCondition, WriteCondition, wire_etag};
use crate::listing::owner;
use crate::members::{announced, headers, show_checksums};
use crate::object::{self, check_key, encryption, shown_version, signed, storage_class, wire_time};
use crate::record::{COMPOSITE, Checksums, Content, Part, Upload, Version};
use crate::store::Buckets;
use crate::tags::tags_of_header;

/// Begins an upload.
pub(crate) async fn create(
    buckets: &Buckets,
    input: dto::CreateMultipartUploadInput,
) -> Result<dto::CreateMultipartUploadOutput, Error> {
    check_key(&input.key)?;
    let tags = input.tagging.as_deref().map(tags_of_header).transpose()?;
    let upload = Upload {
        id: id::hex_digits(64),
        bucket: input.bucket.clone(),
        key: input.key.clone(),
        initiated: buckets.cloud.clock.now(),
        content: Content {
            headers: headers!(input),
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            tags: tags.unwrap_or_default(),
            encryption: encryption(
                buckets,
                &input.bucket,
                input.server_side_encryption.as_ref().map(dto::ServerSideEncryption::as_str),
                input.ssekms_key_id,
                input.bucket_key_enabled,
            )?,
            storage_class: storage_class(input.storage_class)?,
            ..Content::default()
        },
        checksum_algorithm: input
            .checksum_algorithm
            .as_ref()
            .map(|algorithm| algorithm.as_str().to_owned()),
        checksum_type: input.checksum_type.as_ref().map(|kind| kind.as_str().to_owned()),
        parts: Default::default(),
    };
    let (upload_id, encryption) = (upload.id.clone(), upload.content.encryption.clone());
    buckets.begin(upload).await?;
    Ok(dto::CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload_id),
        server_side_encryption: encryption.wire(),
        ssekms_key_id: encryption.kms_key_id,
        bucket_key_enabled: encryption.bucket_key,
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        ..Default::default()
    })
}

/// Takes a part.
pub(crate) async fn upload_part(
    buckets: &Buckets,
    mut input: dto::UploadPartInput,
    trailers: Option<TrailingHeaders>,
) -> Result<dto::UploadPartOutput, Error> {
    let upload = buckets.upload(&input.bucket, &input.key, &input.upload_id)?;
    check_number(input.part_number)?;
    let announced = announced!(input);
    let algorithm = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str());
    let algorithm = algorithm.or(upload.checksum_algorithm.as_deref());
    let body = Received::all(input.body.take(), input.content_length).await?;
    let sums = body.check(announced, algorithm, trailers, input.content_md5.as_deref())?;
    let part = Part {
        md5: body.md5,
        modified: buckets.cloud.clock.now(),
        checksums: sums.clone(),
        blob: buckets.blobs.keep(body.bytes).await?,
    };
    let etag = id::hex(&part.md5);
    buckets.put_part(&input.bucket, &input.upload_id, input.part_number, part).await?;
    let mut output = dto::UploadPartOutput {
        e_tag: Some(wire_etag(&etag)),
        server_side_encryption: upload.content.encryption.wire(),
        ssekms_key_id: upload.content.encryption.kms_key_id,
        ..Default::default()
    };
    show_checksums!(output, sums);
    Ok(output)
}

/// Takes a part from an object that is here already.
pub(crate) async fn copy_part(
    buckets: &Buckets,
    input: dto::UploadPartCopyInput,
) -> Result<dto::UploadPartCopyOutput, Error> {
    let upload = buckets.upload(&input.bucket, &input.key, &input.upload_id)?;
    check_number(input.part_number)?;
    let (bucket, key, version) = object::source(&input.copy_source)?;
    let origin = buckets.find(bucket, key, version)?;
    let condition = ReadCondition {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    condition.demand(&origin)?;
    let content = origin.content.clone().unwrap_or_default();
    let size = content.blob.size;
    let (start, end) = match input.copy_source_range.as_deref() {
        None => (0, size),
        Some(text) => {
            let wanted = "The x-amz-copy-source-range value must be of the form \
                          bytes=first-last where first and last are the zero-based offsets of \
                          the first and last bytes to copy";
            let refuse = || Error::InvalidArgument(wanted.to_owned());
            let range = dto::Range::parse(text).map_err(|_| refuse())?;
            let range = range.check(size).map_err(|_| Error::InvalidRange(size))?;
            (range.start, range.end)
        }
    };
    let bytes = buckets.blobs.read(&content.blob, start, end).await?;
    let algorithm = upload.checksum_algorithm.as_deref();
    let part = Part {
        md5: Md5::digest(&bytes).into(),
        modified: buckets.cloud.clock.now(),
        checksums: checksums(&bytes, |name| algorithm == Some(name)),
        blob: buckets.blobs.keep(bytes).await?,
    };
    let mut result = dto::CopyPartResult {
        e_tag: Some(wire_etag(&id::hex(&part.md5))),
        last_modified: Some(wire_time(part.modified)),
        ..Default::default()
    };
    show_checksums!(result, part.checksums.clone());
    buckets.put_part(&input.bucket, &input.upload_id, input.part_number, part).await?;
    Ok(dto::UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: shown_version(buckets, &origin)?,
        ..Default::default()
    })
}

/// Makes the object of the parts that are named.
pub(crate) async fn complete(
    buckets: &Buckets,
    mut input: dto::CompleteMultipartUploadInput,
) -> Result<dto::CompleteMultipartUploadOutput, Error> {
    let upload = match buckets.upload(&input.bucket, &input.key, &input.upload_id) {
        // Whoever did not hear that an upload is completed may say the same again.
        Err(Error::NoSuchUpload(id)) => {
            let made = buckets.completed(&input.bucket, &input.key, &id);
            let named = input.multipart_upload.and_then(|named| named.parts);
            let etag = etag_of(&named.unwrap_or_default());
            let same = |made: &Arc<Version>| {
                made.content.as_ref().is_some_and(|content| etag.as_ref() == Some(&content.etag))
            };
            let made = made.filter(same).ok_or(Error::NoSuchUpload(id))?;
            return completed(buckets, input.bucket, input.key, &made);
        }
        found => found?,
    };
    let named = input.multipart_upload.and_then(|named| named.parts).unwrap_or_default();
    if named.is_empty() {
        return Err(Error::MalformedXml(String::new()));
    }
    let mut parts: Vec<(i32, &Part)> = Vec::with_capacity(named.len());
    for wanted in &named {
        let number = wanted.part_number.unwrap_or_default();
        if parts.last().is_some_and(|(before, _)| number <= *before) {
            return Err(Error::InvalidPartOrder);
        }
        let part = upload.parts.get(&number).ok_or(Error::InvalidPart(number))?;
        let etag = id::hex(&part.md5);
        if wanted.e_tag.as_ref().is_none_or(|wanted| wanted.value() != etag) {
            return Err(Error::InvalidPart(number));
        }
        parts.push((number, part));
    }
    let mut all_but_last = parts.iter().take(parts.len() - 1);
    if let Some((number, part)) = all_but_last.find(|(_, part)| part.blob.size < SMALLEST_PART) {
        return Err(Error::EntityTooSmall { number: *number, size: part.blob.size });
    }
    let mut digests = Md5::new();
    parts.iter().for_each(|(_, part)| digests.update(part.md5));
    let sizes: Vec<u64> = parts.iter().map(|(_, part)| part.blob.size).collect();
    let blobs: Vec<Blob> = parts.iter().map(|(_, part)| part.blob.clone()).collect();
    if sizes.iter().sum::<u64>() > LARGEST {
        return Err(Error::EntityTooLarge(LARGEST));
    }
    let mut content = upload.content.clone();
    content.etag = format!("{}-{}", id::hex(&digests.finalize()), named.len());
    content.parts = sizes;
    content.upload = Some(upload.id.clone());
    content.blob = buckets.blobs.join(blobs).await?;
    let sums: Vec<&Checksums> = parts.iter().map(|(_, part)| &part.checksums).collect();
    match checksums_of(buckets, &upload, &content.blob, &sums, &announced!(input)).await {
        Ok(found) => content.checksums = found,
        Err(error) => {
            buckets.blobs.remove(&content.blob);
            return Err(error);
        }
    }
    let condition = WriteCondition { if_match: input.if_match, if_none_match: input.if_none_match };
    let made = buckets.complete(&upload, content, &condition).await?;
    completed(buckets, input.bucket, input.key, &made)
}

/// The checksums of what an upload's parts have become, if it was to have any.
async fn checksums_of(
    buckets: &Buckets,
    upload: &Upload,
    whole: &Blob,
    parts: &[&Checksums],
    announced: &Checksums,
) -> Result<Checksums, Error> {
    let Some(algorithm) = upload.checksum_algorithm.as_deref() else {
        return Ok(Checksums::default());
    };
    if of_parts(algorithm, upload.checksum_type.as_deref()) {
        return Ok(composite(algorithm, parts));
    }
    let bytes = object::read_all(buckets, whole).await?;
    let found = checksums(&bytes, |name| name == algorithm);
    if announced.get(algorithm).is_some_and(|told| found.get(algorithm) != Some(told)) {
        return Err(Error::BadDigest("the whole object"));
    }
    Ok(found)
}

/// What is answered when an upload has become an object.
fn completed(
    buckets: &Buckets,
    bucket: String,
    key: String,
    made: &Version,
) -> Result<dto::CompleteMultipartUploadOutput, Error> {
    let content = made.content.clone().unwrap_or_default();
    let endpoint = buckets.cloud.addresses().endpoint;
    let mut output = dto::CompleteMultipartUploadOutput {
        location: Some(format!("{endpoint}/{bucket}/{key}")),
        bucket: Some(bucket),
        key: Some(key),
        e_tag: Some(wire_etag(&content.etag)),
        version_id: shown_version(buckets, made)?,
        server_side_encryption: content.encryption.wire(),
        ssekms_key_id: content.encryption.kms_key_id,
        bucket_key_enabled: content.encryption.bucket_key,
        checksum_type: content.checksums.kind().map(dto::ChecksumType::from_static),
        ..Default::default()
    };
    show_checksums!(output, content.checksums);
    Ok(output)
}

/// The entity tag of what parts would become, by their own entity tags.
fn etag_of(parts: &[dto::CompletedPart]) -> Option<String> {
    let mut digests = Md5::new();
    for part in parts {
        let etag = part.e_tag.as_ref()?.value();
        let pairs = etag.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        let digest: Option<Vec<u8>> =
            pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
        digests.update(digest?);
    }
    Some(format!("{}-{}", id::hex(&digests.finalize()), parts.len()))
}

/// Whether an object's checksum is made of those of its parts, or of all its bytes.
fn of_parts(algorithm: &str, kind: Option<&str>) -> bool {
    match kind {
        Some(kind) => kind == COMPOSITE,
        None => algorithm != "CRC64NVME",
    }
}

/// The checksum of the checksums of parts, with their number.
fn composite(algorithm: &str, sums: &[&Checksums]) -> Checksums {
    let decoded = |sum: &&Checksums| STANDARD.decode(sum.get(algorithm)?).ok();
    let all: Option<Vec<Vec<u8>>> = sums.iter().map(decoded).collect();
    // A part without one, which older versions of this cloud have kept, leaves the object
    // without one.
    let Some(all) = all.map(|all| all.concat()) else { return Checksums::default() };
    let mut found = checksums(&all, |name| name == algorithm);
    let Checksums { crc32, crc32c, crc64nvme, sha1, sha256 } = &mut found;
    for sum in [crc32, crc32c, crc64nvme, sha1, sha256].into_iter().flatten() {
        sum.push_str(&format!("-{}", sums.len()));
    }
    found
}

/// The parts that have arrived.
pub(crate) fn parts(
    buckets: &Buckets,
    input: dto::ListPartsInput,
) -> Result<dto::ListPartsOutput, Error> {
    let upload = buckets.upload(&input.bucket, &input.key, &input.upload_id)?;
    let positive = |name: &str, value: i32| {
        let wanted = "must be an integer between 0 and 2147483647";
        usize::try_from(value)
            .map_err(|_| Error::InvalidArgument(format!("Argument {name} {wanted}")))
    };
    let limit = positive("max-parts", input.max_parts.unwrap_or(1000))?.min(1000);
    let after = input.part_number_marker.unwrap_or(0);
    positive("part-number-marker", after)?;
    let rest: Vec<_> = upload.parts.range(after.saturating_add(1)..).collect();
    let page = &rest[..rest.len().min(limit)];
    let truncated = page.len() < rest.len();
    let part = |(number, part): &(&i32, &Part)| {
        let mut shown = dto::Part {
            part_number: Some(**number),
            e_tag: Some(wire_etag(&id::hex(&part.md5))),
            size: Some(signed(part.blob.size)),
            last_modified: Some(wire_time(part.modified)),
            ..Default::default()
        };
        show_checksums!(shown, part.checksums.clone());
        shown
    };
    let next = page.last().map_or(0, |(number, _)| **number);
    Ok(dto::ListPartsOutput {
        parts: Some(page.iter().map(part).collect()),
        is_truncated: Some(truncated),
        next_part_number_marker: Some(next),
        part_number_marker: Some(after),
        max_parts: i32::try_from(limit).ok(),
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        owner: Some(owner(buckets)),
        storage_class: Some(dto::StorageClass::from("STANDARD".to_owned())),
        ..Default::default()
    })
}

fn check_number(number: i32) -> Result<(), Error> {
    if (1..=10_000).contains(&number) {
        return Ok(());
    }
    Err(Error::PartNumber(number))
}

const SMALLEST_PART: u64 = 5 * 1024 * 1024;
