//! Lists: objects, versions, uploads, buckets, with prefixes, delimiters, pages.
//!
//! One walk serves all lists of keys. It jumps over everything below a common
//! prefix instead of looking at each key, so that a list of a thousand folders
//! costs a thousand steps.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto;

use crate::Error;
use crate::condition::wire_etag;
use crate::object::{signed, wire_time};
use crate::record::{Checksums, Upload, Version};
use crate::store::Buckets;

/// `ListObjectsV2`.
pub(crate) fn objects_v2(
    buckets: &Buckets,
    input: dto::ListObjectsV2Input,
) -> Result<dto::ListObjectsV2Output, Error> {
    let limit = limit(input.max_keys)?;
    let token = input.continuation_token.as_deref().map(decode).transpose()?;
    let walk = Walk {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
        after: token.as_deref().or(input.start_after.as_deref()),
        limit,
    };
    let owner = input.fetch_owner.unwrap_or(false).then(|| owner(buckets));
    let found = buckets.read(&input.bucket, |bucket| walk.run(&bucket.keys, newest))?;
    let url = encodes(input.encoding_type.as_ref());
    let contents: dto::ObjectList =
        found.items.iter().map(|(_, version)| entry(version, url, owner.clone())).collect();
    let prefixes = common_prefixes(&found.prefixes, url);
    Ok(dto::ListObjectsV2Output {
        key_count: i32::try_from(found.items.len() + found.prefixes.len()).ok(),
        contents: Some(contents),
        common_prefixes: Some(prefixes),
        is_truncated: Some(found.next.is_some()),
        next_continuation_token: found.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
        continuation_token: input.continuation_token,
        name: Some(input.bucket),
        prefix: Some(shown(walk.prefix, url)),
        delimiter: input.delimiter.map(|delimiter| shown(&delimiter, url)),
        start_after: input.start_after.map(|after| shown(&after, url)),
        max_keys: i32::try_from(limit).ok(),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

/// `ListObjects`, the old way.
pub(crate) fn objects(
    buckets: &Buckets,
    input: dto::ListObjectsInput,
) -> Result<dto::ListObjectsOutput, Error> {
    let limit = limit(input.max_keys)?;
    let walk = Walk {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
        after: input.marker.as_deref().filter(|marker| !marker.is_empty()),
        limit,
    };
    let owner = owner(buckets);
    let found = buckets.read(&input.bucket, |bucket| walk.run(&bucket.keys, newest))?;
    let url = encodes(input.encoding_type.as_ref());
    let contents =
        found.items.iter().map(|(_, version)| entry(version, url, Some(owner.clone()))).collect();
    Ok(dto::ListObjectsOutput {
        contents: Some(contents),
        common_prefixes: Some(common_prefixes(&found.prefixes, url)),
        is_truncated: Some(found.next.is_some()),
        // Without a delimiter the last key of the page says it.
        next_marker: found.next.filter(|_| walk.delimiter.is_some()).map(|next| shown(&next, url)),
        name: Some(input.bucket),
        prefix: Some(shown(walk.prefix, url)),
        delimiter: input.delimiter.map(|delimiter| shown(&delimiter, url)),
        marker: Some(shown(&input.marker.unwrap_or_default(), url)),
        max_keys: i32::try_from(limit).ok(),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

/// `ListObjectVersions`: every key with all its versions, the newest first.
pub(crate) fn versions(
    buckets: &Buckets,
    input: dto::ListObjectVersionsInput,
) -> Result<dto::ListObjectVersionsOutput, Error> {
    let limit = limit(input.max_keys)?;
    let after = input.key_marker.as_deref().filter(|marker| !marker.is_empty());
    let version_after = input.version_id_marker.as_deref().filter(|marker| !marker.is_empty());
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let url = encodes(input.encoding_type.as_ref());
    let owner = owner(buckets);
    let mut found = Vec::new();
    let mut prefixes = Vec::new();
    // The token of a page is a key with one of its versions.
    let mut last: Option<(String, String)> = None;
    let mut truncated = false;
    buckets.read(&input.bucket, |bucket| {
        if let (Some(key), Some(version)) = (after, version_after)
            && let Some(rest) = bucket.keys.get(key)
        {
            let rest = rest.iter().rev().skip_while(|other| other.id != version).skip(1);
            let newest = bucket.keys[key].last().map(|newest| newest.id.clone());
            found.extend(rest.map(|other| (other.clone(), newest.as_ref() == Some(&other.id))));
        }
        let mut at = after.map(str::to_owned);
        while found.len() + prefixes.len() <= limit {
            let walk = Walk { prefix, delimiter, after: at.as_deref(), limit: 1 };
            let step = walk.run(&bucket.keys, |versions| Some(versions.clone()));
            let Some(next) = step.last else { break };
            at = Some(next);
            prefixes.extend(step.prefixes);
            for (_, versions) in step.items {
                let newest = versions.len().saturating_sub(1);
                let rows = versions.into_iter().enumerate().rev();
                found.extend(rows.map(|(index, version)| (version, index == newest)));
            }
        }
    })?;
    // Keys and common prefixes share one order and one limit.
    let mut rows: Vec<Row> = prefixes.into_iter().map(|prefix| (prefix, None)).collect();
    rows.extend(found.into_iter().map(|row| (row.0.key.clone(), Some(row))));
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    if rows.len() > limit {
        rows.truncate(limit);
        truncated = limit > 0;
        last = rows.last().map(|(name, row)| {
            let version = row.as_ref().map(|(version, _)| version.id.clone());
            (name.clone(), version.unwrap_or_default())
        });
    }
    let mut output = dto::ListObjectVersionsOutput::default();
    let (mut versions, mut markers, mut prefixes) = (Vec::new(), Vec::new(), Vec::new());
    for (name, row) in rows {
        match row {
            None => prefixes.push(name),
            Some((version, latest)) if version.is_marker() => {
                markers.push(dto::DeleteMarkerEntry {
                    is_latest: Some(latest),
                    key: Some(shown(&version.key, url)),
                    last_modified: Some(wire_time(version.modified)),
                    owner: Some(owner.clone()),
                    version_id: Some(version.id.clone()),
                });
            }
            Some((version, latest)) => versions.push(version_entry(&version, latest, url, &owner)),
        }
    }
    output.versions = Some(versions);
    output.delete_markers = Some(markers);
    output.common_prefixes = Some(common_prefixes(&prefixes, url));
    output.is_truncated = Some(truncated);
    if let Some((key, version)) = last {
        output.next_key_marker = Some(shown(&key, url));
        output.next_version_id_marker = Some(version).filter(|version| !version.is_empty());
    }
    output.name = Some(input.bucket.clone());
    output.prefix = Some(shown(prefix, url));
    output.delimiter = input.delimiter.as_deref().map(|delimiter| shown(delimiter, url));
    output.key_marker = Some(shown(input.key_marker.as_deref().unwrap_or_default(), url));
    output.version_id_marker = Some(input.version_id_marker.unwrap_or_default());
    output.max_keys = i32::try_from(limit).ok();
    output.encoding_type = input.encoding_type;
    Ok(output)
}

/// `ListMultipartUploads`, in the order of keys and ids.
pub(crate) fn uploads(
    buckets: &Buckets,
    input: dto::ListMultipartUploadsInput,
) -> Result<dto::ListMultipartUploadsOutput, Error> {
    let limit = limit(input.max_uploads)?;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let url = encodes(input.encoding_type.as_ref());
    let owner = owner(buckets);
    let mut all = buckets.read(&input.bucket, |bucket| {
        let fitting = bucket.uploads.values().filter(|upload| upload.key.starts_with(prefix));
        fitting.cloned().collect::<Vec<_>>()
    })?;
    all.sort_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
    if let Some(marker) = input.key_marker.as_deref().filter(|marker| !marker.is_empty()) {
        let id = input.upload_id_marker.as_deref().filter(|id| !id.is_empty());
        all.retain(|upload| match id {
            Some(id) => (upload.key.as_str(), upload.id.as_str()) > (marker, id),
            None => upload.key.as_str() > marker,
        });
    }
    let truncated = all.len() > limit && limit > 0;
    all.truncate(limit);
    let last = truncated.then(|| all.last().cloned()).flatten();
    let upload = |upload: &Upload| dto::MultipartUpload {
        key: Some(shown(&upload.key, url)),
        upload_id: Some(upload.id.clone()),
        initiated: Some(wire_time(upload.initiated)),
        owner: Some(owner.clone()),
        storage_class: Some(dto::StorageClass::from(
            upload.content.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned()),
        )),
        checksum_algorithm: upload.checksum_algorithm.clone().map(dto::ChecksumAlgorithm::from),
        checksum_type: upload.checksum_type.clone().map(dto::ChecksumType::from),
        ..Default::default()
    };
    Ok(dto::ListMultipartUploadsOutput {
        uploads: Some(all.iter().map(upload).collect()),
        is_truncated: Some(truncated),
        next_key_marker: last.as_ref().map(|last| shown(&last.key, url)),
        next_upload_id_marker: last.map(|last| last.id),
        bucket: Some(input.bucket),
        prefix: Some(shown(prefix, url)),
        key_marker: Some(input.key_marker.unwrap_or_default()),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        max_uploads: i32::try_from(limit).ok(),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

/// `ListBuckets`.
pub(crate) fn buckets(
    buckets: &Buckets,
    input: dto::ListBucketsInput,
) -> Result<dto::ListBucketsOutput, Error> {
    let prefix = input.prefix.clone().unwrap_or_default();
    let after = input.continuation_token.as_deref().map(decode).transpose()?;
    let mut all = buckets.all();
    all.retain(|bucket| {
        bucket.name.starts_with(&prefix)
            && after.as_ref().is_none_or(|after| bucket.name > *after)
            && input.bucket_region.as_ref().is_none_or(|region| *region == bucket.region)
    });
    let limit = input.max_buckets.and_then(|max| usize::try_from(max).ok()).unwrap_or(10_000);
    let truncated = all.len() > limit;
    all.truncate(limit);
    let next = truncated.then(|| all.last().map(|last| URL_SAFE_NO_PAD.encode(&last.name)));
    let bucket = |record: &crate::record::BucketRecord| dto::Bucket {
        name: Some(record.name.clone()),
        creation_date: Some(wire_time(record.created)),
        bucket_region: Some(record.region.clone()),
    };
    Ok(dto::ListBucketsOutput {
        buckets: Some(all.iter().map(bucket).collect()),
        continuation_token: next.flatten(),
        owner: Some(owner(buckets)),
        prefix: input.prefix,
    })
}

/// The owner of everything: the account.
pub(crate) fn owner(buckets: &Buckets) -> dto::Owner {
    // A canonical user id has 64 hexadecimal digits; the account's id fills them.
    dto::Owner { display_name: None, id: Some(format!("{:0>64}", buckets.cloud.account.id)) }
}

/// A line of a list of versions: a key with a version and whether it is the
/// newest, or a common prefix.
type Row = (String, Option<(Arc<Version>, bool)>);

struct Walk<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    after: Option<&'a str>,
    limit: usize,
}

struct Found<T> {
    items: Vec<(String, T)>,
    prefixes: Vec<String>,
    /// The last key or prefix of the page.
    last: Option<String>,
    /// The same, if there is more.
    next: Option<String>,
}

impl Walk<'_> {
    fn run<V, T>(&self, keys: &BTreeMap<String, V>, take: impl Fn(&V) -> Option<T>) -> Found<T> {
        let mut found = Found { items: Vec::new(), prefixes: Vec::new(), last: None, next: None };
        if self.limit == 0 {
            return found;
        }
        let mut from = match self.after {
            Some(after) if after >= self.prefix => self.behind(after),
            _ => Bound::Included(self.prefix.to_owned()),
        };
        loop {
            let Some((key, value)) = keys.range::<String, _>((from, Bound::Unbounded)).next()
            else {
                return found;
            };
            if !key.starts_with(self.prefix) {
                return found;
            }
            let common = self.common(key);
            let taken = match &common {
                // A folder counts if anything in it does.
                Some(prefix) => self.any_below(keys, prefix, &take).then_some(None),
                None => take(value).map(Some),
            };
            if let Some(taken) = taken {
                if found.items.len() + found.prefixes.len() == self.limit {
                    found.next = found.last.clone();
                    return found;
                }
                found.last = Some(common.clone().unwrap_or_else(|| key.clone()));
                match (taken, &common) {
                    (Some(item), _) => found.items.push((key.clone(), item)),
                    (None, Some(prefix)) => found.prefixes.push(prefix.clone()),
                    (None, None) => {}
                }
            }
            from = match common {
                Some(prefix) => after_prefix(&prefix),
                None => Bound::Excluded(key.clone()),
            };
        }
    }

    fn common(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter?;
        let at = key[self.prefix.len()..].find(delimiter)?;
        Some(key[..self.prefix.len() + at + delimiter.len()].to_owned())
    }

    fn any_below<V, T>(
        &self,
        keys: &BTreeMap<String, V>,
        prefix: &str,
        take: &impl Fn(&V) -> Option<T>,
    ) -> bool {
        let from = Bound::Included(prefix.to_owned());
        keys.range::<String, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .any(|(_, value)| take(value).is_some())
    }

    /// A page that ended with a common prefix goes on behind all of it.
    fn behind(&self, after: &str) -> Bound<String> {
        match self.delimiter {
            Some(delimiter) if after.ends_with(delimiter) && after.len() > self.prefix.len() => {
                after_prefix(after)
            }
            _ => Bound::Excluded(after.to_owned()),
        }
    }
}

/// The first text behind all that begin with `prefix`.
fn after_prefix(prefix: &str) -> Bound<String> {
    let mut text: Vec<char> = prefix.chars().collect();
    while let Some(last) = text.pop() {
        // The range of characters steps over what is none.
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Bound::Included(text.into_iter().collect());
        }
    }
    // Nothing comes behind the last character of all; no key can reach this.
    Bound::Excluded(char::MAX.to_string().repeat(1024))
}

// The maps of buckets hold `Vec`s, and a walk hands their values out as they are.
#[allow(clippy::ptr_arg)]
fn newest(versions: &Vec<Arc<Version>>) -> Option<Arc<Version>> {
    versions.last().filter(|version| !version.is_marker()).cloned()
}

fn entry(version: &Version, url: bool, owner: Option<dto::Owner>) -> dto::Object {
    let content = version.content.clone().unwrap_or_default();
    let class = content.storage_class.unwrap_or_else(|| "STANDARD".to_owned());
    dto::Object {
        key: Some(shown(&version.key, url)),
        e_tag: Some(wire_etag(&content.etag)),
        last_modified: Some(wire_time(version.modified)),
        size: Some(signed(content.blob.size)),
        storage_class: Some(dto::ObjectStorageClass::from(class)),
        checksum_type: content.checksums.kind().map(dto::ChecksumType::from_static),
        checksum_algorithm: algorithms(&content.checksums),
        owner,
        ..Default::default()
    }
}

fn version_entry(
    version: &Version,
    latest: bool,
    url: bool,
    owner: &dto::Owner,
) -> dto::ObjectVersion {
    let content = version.content.clone().unwrap_or_default();
    let class = content.storage_class.unwrap_or_else(|| "STANDARD".to_owned());
    dto::ObjectVersion {
        key: Some(shown(&version.key, url)),
        version_id: Some(version.id.clone()),
        is_latest: Some(latest),
        e_tag: Some(wire_etag(&content.etag)),
        last_modified: Some(wire_time(version.modified)),
        size: Some(signed(content.blob.size)),
        storage_class: Some(dto::ObjectVersionStorageClass::from(class)),
        checksum_type: content.checksums.kind().map(dto::ChecksumType::from_static),
        checksum_algorithm: algorithms(&content.checksums),
        owner: Some(owner.clone()),
        ..Default::default()
    }
}

fn algorithms(checksums: &Checksums) -> Option<dto::ChecksumAlgorithmList> {
    let names = checksums.each().map(|(name, _)| dto::ChecksumAlgorithm::from_static(name));
    let names: dto::ChecksumAlgorithmList = names.collect();
    (!names.is_empty()).then_some(names)
}

fn common_prefixes(prefixes: &[String], url: bool) -> dto::CommonPrefixList {
    let prefix = |prefix: &String| dto::CommonPrefix { prefix: Some(shown(prefix, url)) };
    prefixes.iter().map(prefix).collect()
}

fn limit(max: Option<i32>) -> Result<usize, Error> {
    let max = max.unwrap_or(1000);
    let max = usize::try_from(max).map_err(|_| {
        Error::InvalidArgument(format!("a page takes 0 to 1000 entries, not {max}"))
    })?;
    Ok(max.min(1000))
}

fn decode(token: &str) -> Result<String, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.filter(|text| !text.is_empty()).ok_or_else(|| {
        Error::InvalidArgument("The continuation token provided is incorrect".to_owned())
    })
}

fn encodes(kind: Option<&dto::EncodingType>) -> bool {
    kind.is_some_and(|kind| kind.as_str() == "url")
}

/// A name as the list shows it; XML cannot hold every character.
fn shown(name: &str, url: bool) -> String {
    if url { utf8_percent_encode(name, KEY).to_string() } else { name.to_owned() }
}

const KEY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'*');
