//! Firmware in the bucket: publish it, let Signer sign it, list what is there.
//!
//! A signature is for one version of one object, and so is everything here:
//! publishing the same file again makes a new version that is not signed yet.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_signer::types::{
    Destination, S3Destination, S3Source, SigningJob, SigningStatus, Source,
};
use iotstack_protocol::FirmwareVersion;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Fleet;
use crate::{Error, Result};

/// Firmware that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The version of the object.
    pub version_id: String,
    /// How many bytes it has.
    pub size: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// Firmware that was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signed {
    /// The key of the firmware.
    pub key: String,
    /// The version that was signed.
    pub version_id: String,
    /// The profile that signed.
    pub profile: String,
    /// Signer's job.
    pub signing_job_id: String,
    /// The key of the signature.
    pub signature_key: String,
}

/// Firmware in the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Firmware {
    /// The firmware's version, read from its key.
    pub version: String,
    /// The key.
    pub key: String,
    /// The newest version of the object.
    pub version_id: String,
    /// How many bytes it has.
    pub size: u64,
    /// When it was published, ISO 8601.
    pub published_at: Option<String>,
    /// Whether the profile of the stack has signed it.
    pub signed: bool,
}

/// Where firmware of a version lies: `firmware/<version>/<file name>`.
pub fn firmware_key(version: &FirmwareVersion, file_name: &str) -> String {
    format!("{FIRMWARE_PREFIX}{version}/{file_name}")
}

impl Fleet {
    /// Publishes a file as the firmware of a version.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::InvalidOption`] if it is empty.
    pub async fn publish_firmware(
        &self,
        file: &Path,
        version: &FirmwareVersion,
    ) -> Result<Published> {
        let refuse = |source| Error::Io { action: "read", path: file.to_owned(), source };
        let bytes = tokio::fs::read(file).await.map_err(refuse)?;
        let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        self.publish_image(&name, bytes, version).await
    }

    /// Publishes bytes as the firmware of a version, under a file name.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if there are none.
    pub async fn publish_image(
        &self,
        name: &str,
        bytes: impl Into<Vec<u8>>,
        version: &FirmwareVersion,
    ) -> Result<Published> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Err(Error::InvalidOption {
                option: "the firmware".to_owned(),
                value: name.to_owned(),
                expected: "expected a file that is not empty",
            });
        }
        let (bucket, key) = (self.bucket()?, firmware_key(version, name));
        let sha256: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let size = bytes.len() as u64;
        let request = self
            .sdk
            .s3
            .put_object()
            .bucket(bucket)
            .key(&key)
            .content_type("application/octet-stream")
            .body(ByteStream::from(bytes));
        let answer = request.send().await.map_err(self.clients.failed("s3:PutObject"))?;
        let missing = Error::UnexpectedAnswer { action: "s3:PutObject", missing: "VersionId" };
        let version_id = answer.version_id.ok_or(missing)?;
        Ok(Published { bucket: bucket.to_owned(), key, version_id, size, sha256 })
    }

    /// Lets Signer sign a version of an object, the newest if none is named, and
    /// waits until it has.
    ///
    /// # Errors
    /// [`Error::FirmwareNotFound`] if there is no such object, [`Error::SigningFailed`]
    /// with Signer's reason.
    pub async fn sign_firmware(&self, key: &str, version_id: Option<&str>) -> Result<Signed> {
        let (bucket, profile) = (self.bucket()?, self.output("SigningProfileName")?);
        let version_id = self.newest_version(bucket, key, version_id).await?;
        let source = S3Source::builder().bucket_name(bucket).key(key).version(&version_id).build();
        let source = source.map_err(|_| incomplete("Source"))?;
        let destination =
            S3Destination::builder().bucket_name(bucket).prefix(SIGNED_PREFIX).build();
        let request = self
            .sdk
            .signer
            .start_signing_job()
            .profile_name(profile)
            .source(Source::builder().s3(source).build())
            .destination(Destination::builder().s3(destination).build());
        let answer = request.send().await.map_err(self.clients.failed("signer:StartSigningJob"))?;
        let job_id = answer.job_id.ok_or_else(|| incomplete("jobId"))?;
        let signature_key = self.wait_for_signature(&job_id, key).await?;
        Ok(Signed {
            key: key.to_owned(),
            version_id,
            profile: profile.to_owned(),
            signing_job_id: job_id,
            signature_key,
        })
    }

    /// Deletes files of firmware, every version, and their signatures, also those that
    /// Signer still makes. What is not there is no failure; after a failure the others are
    /// deleted all the same.
    pub async fn delete_firmware(&self, keys: &[String]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut outcome = self.delete_signatures(keys).await;
        for key in keys {
            outcome = outcome.and(self.delete_versions(key).await);
        }
        outcome
    }

    async fn delete_signatures(&self, keys: &[String]) -> Result<()> {
        let mut outcome = Ok(());
        for job in self.signing_jobs(None).await? {
            let source = job.source().and_then(|source| source.s3()).map(|source| source.key());
            let Some(key) = source.filter(|source| keys.iter().any(|key| key == source)) else {
                continue;
            };
            let deleted = match self.wait_for_signature(job.job_id().unwrap_or_default(), key).await
            {
                Ok(signature) => self.delete_versions(&signature).await,
                // Signer has made none.
                Err(Error::SigningFailed { .. }) => Ok(()),
                Err(error) => Err(error),
            };
            outcome = outcome.and(deleted);
        }
        outcome
    }

    /// Deletes every version of an object.
    async fn delete_versions(&self, key: &str) -> Result<()> {
        let bucket = self.bucket()?;
        let versions = self.sdk.s3.list_object_versions().bucket(bucket).prefix(key).send().await;
        let versions = versions.map_err(self.clients.failed("s3:ListObjectVersions"))?;
        for version in versions.versions().iter().filter(|version| version.key() == Some(key)) {
            let request = self.sdk.s3.delete_object().bucket(bucket).key(key);
            let answer = request.set_version_id(version.version_id.clone()).send().await;
            answer.map_err(self.clients.failed("s3:DeleteObject"))?;
        }
        Ok(())
    }

    /// The id of a version that is there: this one, or the newest.
    async fn newest_version(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> Result<String> {
        let not_found = || Error::FirmwareNotFound {
            key: key.to_owned(),
            version_id: version_id.map(str::to_owned),
            bucket: bucket.to_owned(),
        };
        // No object has it, and the SDK does not ask for it.
        if key.is_empty() {
            return Err(not_found());
        }
        let head = self.sdk.s3.head_object().bucket(bucket).key(key);
        let head = head.set_version_id(version_id.map(str::to_owned)).send().await;
        if let Err(error) = &head
            && error.raw_response().is_some_and(|answer| answer.status().as_u16() == 400)
            && version_id.is_some()
        {
            // So S3 answers where no version could have such an id.
            return Err(not_found());
        }
        let head = head.map_err(self.clients.failed("s3:HeadObject")).map_err(|error| {
            match &error {
                // An answer without a body has no better words.
                Error::Service { code, .. }
                    if matches!(code.as_str(), "NotFound" | "NoSuchKey" | "NoSuchVersion") =>
                {
                    not_found()
                }
                _ => error,
            }
        })?;
        let missing = Error::UnexpectedAnswer { action: "s3:HeadObject", missing: "VersionId" };
        head.version_id.ok_or(missing)
    }

    /// The firmware in the bucket, newest first.
    pub async fn list_firmware(&self) -> Result<Vec<Firmware>> {
        let bucket = self.bucket()?;
        let signed = self.signed_versions().await?;
        let mut found = Vec::new();
        let (mut key_marker, mut version_marker) = (None, None);
        loop {
            let request = self.sdk.s3.list_object_versions().bucket(bucket).prefix(FIRMWARE_PREFIX);
            let request = request.set_key_marker(key_marker).set_version_id_marker(version_marker);
            let page =
                request.send().await.map_err(self.clients.failed("s3:ListObjectVersions"))?;
            for object in page.versions().iter().filter(|object| object.is_latest() == Some(true)) {
                let (Some(key), Some(version_id)) = (object.key(), object.version_id()) else {
                    continue;
                };
                let version = key.strip_prefix(FIRMWARE_PREFIX).unwrap_or(key);
                found.push(Firmware {
                    version: version.split('/').next().unwrap_or(version).to_owned(),
                    key: key.to_owned(),
                    version_id: version_id.to_owned(),
                    size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                    published_at: object.last_modified().map(ToString::to_string),
                    signed: signed.contains(&(key.to_owned(), version_id.to_owned())),
                });
            }
            if page.is_truncated() != Some(true) {
                break;
            }
            (key_marker, version_marker) = (page.next_key_marker, page.next_version_id_marker);
        }
        found.sort_by(|a, b| b.published_at.cmp(&a.published_at).then(a.key.cmp(&b.key)));
        Ok(found)
    }

    /// Keys and versions that the profile of the stack has signed.
    async fn signed_versions(&self) -> Result<HashSet<(String, String)>> {
        let mut found = HashSet::new();
        for job in self.signing_jobs(Some(SigningStatus::Succeeded)).await? {
            let source = job.source().and_then(|source| source.s3());
            if let Some(source) = source.filter(|_| !job.is_revoked()) {
                found.insert((source.key().to_owned(), source.version().to_owned()));
            }
        }
        Ok(found)
    }

    /// The jobs of Signer for the profile of the stack.
    async fn signing_jobs(&self, status: Option<SigningStatus>) -> Result<Vec<SigningJob>> {
        let profile = self.output("SigningProfileName")?;
        let jobs = self.sdk.signer.list_signing_jobs().set_status(status);
        let mut pages = jobs.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(self.clients.failed("signer:ListSigningJobs"))?;
            let jobs = page.jobs.unwrap_or_default().into_iter();
            found.extend(jobs.filter(|job| job.profile_name() == Some(profile)));
        }
        Ok(found)
    }

    async fn wait_for_signature(&self, job_id: &str, key: &str) -> Result<String> {
        for _ in 0..LONGEST_WAIT {
            let request = self.sdk.signer.describe_signing_job().job_id(job_id).send().await;
            let job = request.map_err(self.clients.failed("signer:DescribeSigningJob"))?;
            match job.status() {
                Some(SigningStatus::Succeeded) => {
                    let signed = job.signed_object().and_then(|object| object.s3());
                    let key = signed.and_then(|object| object.key());
                    return key.map(str::to_owned).ok_or_else(|| incomplete("signedObject"));
                }
                Some(SigningStatus::Failed) => {
                    return Err(Error::SigningFailed {
                        key: key.to_owned(),
                        reason: job.status_reason().unwrap_or("no reason was given").to_owned(),
                    });
                }
                _ => tokio::time::sleep(self.clients.pace.stack.min(Duration::from_secs(1))).await,
            }
        }
        Err(Error::SigningLate { job: job_id.to_owned(), looks: LONGEST_WAIT })
    }
}

fn incomplete(missing: &'static str) -> Error {
    Error::UnexpectedAnswer { action: "signer:StartSigningJob", missing }
}

/// Where firmware lies in the bucket.
const FIRMWARE_PREFIX: &str = "firmware/";
/// Where Signer puts signatures.
const SIGNED_PREFIX: &str = "signed/";
/// How often Signer is asked whether it is done; it needs seconds.
const LONGEST_WAIT: u32 = 300;
