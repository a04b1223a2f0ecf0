//! Bodies of uploads: read whole, and compared with what was announced.
//!
//! Length, MD5 and checksums are compared before anything is kept, so that a body
//! that was cut off or changed writes nothing.

use base64::Engine;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use md5::{Digest, Md5};
use s3s::{TrailingHeaders, dto};

use crate::Error;
use crate::record::Checksums;

/// A body that arrived whole.
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    pub(crate) md5: [u8; 16],
}

impl Received {
    /// Reads a body up to the largest object that is kept.
    pub(crate) async fn all(
        body: Option<dto::StreamingBlob>,
        announced: Option<i64>,
    ) -> Result<Self, Error> {
        let announced = announced.and_then(|length| u64::try_from(length).ok());
        if announced.is_some_and(|announced| announced > LARGEST) {
            return Err(Error::EntityTooLarge(LARGEST));
        }
        let mut hasher = Md5::new();
        let mut bytes = BytesMut::new();
        if let Some(mut body) = body {
            while let Some(chunk) = body.next().await {
                let chunk = chunk.map_err(|error| Error::InvalidRequest(error.to_string()))?;
                if (bytes.len() + chunk.len()) as u64 > LARGEST {
                    return Err(Error::EntityTooLarge(LARGEST));
                }
                hasher.update(&chunk);
                bytes.extend_from_slice(&chunk);
            }
        }
        let received = bytes.len() as u64;
        // The wire library sets nothing here for bodies that it unwrapped itself.
        if let Some(announced) =
            announced.filter(|announced| *announced != received && *announced > 0)
        {
            return Err(Error::IncompleteBody { received, announced });
        }
        Ok(Received { bytes: bytes.freeze(), md5: hasher.finalize().into() })
    }

    /// Compares with what was announced before or after the body, and gives the
    /// checksums to keep.
    pub(crate) fn check(
        &self,
        mut announced: Checksums,
        algorithm: Option<&str>,
        trailers: Option<TrailingHeaders>,
        content_md5: Option<&str>,
    ) -> Result<Checksums, Error> {
        if let Some(trailers) = trailers.and_then(|trailers| trailers.take()) {
            let text = |name: &str| Some(trailers.get(name)?.to_str().ok()?.to_owned());
            announced.crc32 = announced.crc32.or_else(|| text("x-amz-checksum-crc32"));
            announced.crc32c = announced.crc32c.or_else(|| text("x-amz-checksum-crc32c"));
            announced.crc64nvme = announced.crc64nvme.or_else(|| text("x-amz-checksum-crc64nvme"));
            announced.sha1 = announced.sha1.or_else(|| text("x-amz-checksum-sha1"));
            announced.sha256 = announced.sha256.or_else(|| text("x-amz-checksum-sha256"));
        }
        let wants = |name: &str| {
            announced.get(name).is_some()
                || algorithm.is_some_and(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        let found = checksums(&self.bytes, wants);
        let wrong = announced.each().find(|(name, sum)| found.get(name) != Some(sum));
        if let Some((name, _)) = wrong {
            return Err(Error::BadDigest(name));
        }
        if let Some(content_md5) = content_md5 {
            let sent = base64::engine::general_purpose::STANDARD.decode(content_md5);
            if sent.ok().as_deref() != Some(&self.md5) {
                return Err(Error::BadDigest("Content-MD5"));
            }
        }
        Ok(found)
    }
}

/// The checksums of bytes, of the algorithms that are wanted.
pub(crate) fn checksums(bytes: &[u8], wants: impl Fn(&str) -> bool) -> Checksums {
    let mut hasher = s3s::checksum::ChecksumHasher::default();
    if wants("CRC32") {
        hasher.crc32 = Some(s3s::crypto::Checksum::new());
    }
    if wants("CRC32C") {
        hasher.crc32c = Some(s3s::crypto::Checksum::new());
    }
    if wants("CRC64NVME") {
        hasher.crc64nvme = Some(s3s::crypto::Checksum::new());
    }
    if wants("SHA1") {
        hasher.sha1 = Some(s3s::crypto::Checksum::new());
    }
    if wants("SHA256") {
        hasher.sha256 = Some(s3s::crypto::Checksum::new());
    }
    hasher.update(bytes);
    let found = hasher.finalize();
    Checksums {
        crc32: found.checksum_crc32,
        crc32c: found.checksum_crc32c,
        crc64nvme: found.checksum_crc64nvme,
        sha1: found.checksum_sha1,
        sha256: found.checksum_sha256,
    }
}

/// An upload is held in memory until it is kept, so it has a bound.
pub(crate) const LARGEST: u64 = 1024 * 1024 * 1024;
