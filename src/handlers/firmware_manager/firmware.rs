//! The firmware image in S3 and its signature: what exists, and whether it fits.
//!
//! Everything is about one version of the object. Between two requests somebody
//! may put another image under the same key, and a job whose hash, size and
//! signature come from different versions would fail on every device.

use aws_sdk_signer::types::{SigningJob, SigningStatus};
use iotstack_protocol::jobs::Sha256Digest;
use iotstack_protocol::signing::SIGNING_PLATFORM;
use iotstack_protocol::{DetachedSignature, ObjectVersion};
use sha2::{Digest, Sha256};

use super::FirmwareManager;
use super::answer::Refusal;
use super::request::CreateJob;
use crate::Error;
use crate::error::failed;

/// A version of an image.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) object: ObjectVersion,
    pub(super) size: u64,
}

/// A signature, and where it was found.
#[derive(Debug)]
pub(super) struct FoundSignature {
    pub(super) signature: DetachedSignature,
    pub(super) key: String,
    pub(super) signing_job_id: Option<String>,
}

impl FirmwareManager {
    /// Looks up the version of the image that the job will deliver.
    pub(super) async fn image(&self, request: &CreateJob) -> Result<Image, Refusal> {
        let (bucket, key) = (&request.s3_bucket, &request.s3_key);
        if *bucket != self.settings.bucket {
            return Err(Refusal::invalid(format!(
                "`s3_bucket` is `{bucket}`: expected `{}`, the firmware bucket of this stack",
                self.settings.bucket
            )));
        }
        let head = self.s3.head_object().bucket(bucket).key(key);
        let head = head.set_version_id(request.s3_version_id.clone()).send().await;
        let head = head.map_err(failed("HeadObject")).map_err(|error| {
            let place = place(request);
            match error.fault().and_then(|fault| fault.status) {
                Some(404) => Refusal::new(
                    404,
                    "FirmwareNotFound",
                    format!("there is no object {place}: publish the firmware there first"),
                ),
                Some(400) => Refusal::invalid(format!(
                    "S3 knows no object {place}: expected a key and the id of one of its versions"
                )),
                // So S3 answers also for a key that does not exist, to whoever may not
                // list the bucket.
                Some(403) => Refusal::new(
                    502,
                    "AccessDenied",
                    format!("object {place} does not exist, or the function may not read it"),
                ),
                _ => error.into(),
            }
        })?;
        let version = head.version_id().filter(|version| *version != "null");
        let Some(version) = version else {
            return Err(Refusal::new(
                409,
                "FirmwareNotVersioned",
                format!(
                    "object {} has no version id: a signature is for one version, so turn on \
                     versioning for the bucket and publish the firmware again",
                    place(request)
                ),
            ));
        };
        let size = head.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
        if size == 0 {
            return Err(Refusal::invalid(format!("object {} is empty", place(request))));
        }
        let object = ObjectVersion::new(&self.settings.region, bucket, key, version)?;
        Ok(Image { object, size })
    }

    /// Hashes the image, piece by piece: it may be larger than the function's memory.
    pub(super) async fn sha256(&self, image: &Image) -> Result<Sha256Digest, Refusal> {
        let object = &image.object;
        let request = self.s3.get_object().bucket(object.bucket()).key(object.key());
        let answer = request.version_id(object.version_id()).send().await;
        let mut body = answer.map_err(failed("GetObject"))?.body;
        let (mut hash, mut read) = (Sha256::new(), 0);
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| {
                Refusal::new(502, "ServiceError", format!("GetObject broke off: {error}"))
            })?;
            hash.update(&piece);
            read += piece.len() as u64;
        }
        if read != image.size {
            return Err(Refusal::new(
                502,
                "ServiceError",
                format!("GetObject returned {read} bytes of {}", image.size),
            ));
        }
        Ok(Sha256Digest(hash.finalize().into()))
    }

    /// Finds Signer's signature of the image and reads it.
    pub(super) async fn signature(
        &self,
        request: &CreateJob,
        image: &Image,
    ) -> Result<FoundSignature, Refusal> {
        let (key, signing_job_id) = match &request.signed_object_key {
            Some(key) => (key.clone(), None),
            None => self.signed_object(image).await?,
        };
        let signature = self.read_signature(&key).await?;
        signature.check(&image.object, image.size).map_err(|error| {
            Refusal::new(
                409,
                "SignatureDoesNotFit",
                format!("signature `{key}` is not one of this firmware: {error}"),
            )
            .with("command", self.sign_command(&image.object))
        })?;
        Ok(FoundSignature { signature, key, signing_job_id })
    }

    /// The key of the newest signature by our profile, and the id of its job.
    async fn signed_object(&self, image: &Image) -> Result<(String, Option<String>), Refusal> {
        let jobs = self.signer.list_signing_jobs().status(SigningStatus::Succeeded);
        let jobs = jobs.platform_id(SIGNING_PLATFORM).is_revoked(false);
        let mut pages = jobs.into_paginator().send();
        let mut newest: Option<SigningJob> = None;
        while let Some(page) = pages.next().await {
            for job in page.map_err(failed("ListSigningJobs"))?.jobs.unwrap_or_default() {
                let is_newer = newest.as_ref().is_none_or(|n| job.created_at > n.created_at);
                if self.has_signed(&job, image) && is_newer {
                    newest = Some(job);
                }
            }
        }
        let Some(job) = newest else { return Err(self.unsigned(image)) };
        let key = signed_key(&job).unwrap_or_default().to_owned();
        Ok((key, job.job_id))
    }

    /// Whether a signing job is by our profile, about this image, and still good.
    fn has_signed(&self, job: &SigningJob, image: &Image) -> bool {
        let source = job.source().and_then(|source| source.s3());
        let is_source = source.is_some_and(|source| {
            source.bucket_name() == image.object.bucket()
                && source.key() == image.object.key()
                && source.version() == image.object.version_id()
        });
        let signed = job.signed_object().and_then(|object| object.s3());
        // Only the firmware bucket can be read from here.
        let is_readable =
            signed.is_some_and(|s3| s3.bucket_name() == Some(self.settings.bucket.as_str()));
        is_source
            && is_readable
            && signed_key(job).is_some()
            && job.profile_name() == Some(self.settings.profile.as_str())
            && job.status() == Some(&SigningStatus::Succeeded)
            && !job.is_revoked
    }

    async fn read_signature(&self, key: &str) -> Result<DetachedSignature, Refusal> {
        let bucket = &self.settings.bucket;
        let answer = self.s3.get_object().bucket(bucket).key(key).send().await;
        let answer = answer.map_err(failed("GetObject")).map_err(|error| {
            if error.is_not_found() {
                let message = format!("there is no signature `{key}` in bucket `{bucket}`");
                Refusal::new(404, "SignatureNotFound", message)
            } else {
                error.into()
            }
        })?;
        let size = answer.content_length().unwrap_or_default();
        if size > LARGEST_SIGNATURE {
            return Err(Refusal::new(
                409,
                "SignatureDoesNotFit",
                format!(
                    "object `{key}` has {size} bytes: expected the small JSON object that AWS \
                     Signer writes beside the firmware"
                ),
            ));
        }
        let bytes = answer.body.collect().await.map_err(|error| {
            Refusal::new(502, "ServiceError", format!("GetObject broke off: {error}"))
        })?;
        DetachedSignature::from_json(&bytes.to_vec()).map_err(|error| {
            let message = format!("object `{key}` is not a signature: {error}");
            Refusal::new(409, "SignatureDoesNotFit", message)
        })
    }

    fn unsigned(&self, image: &Image) -> Refusal {
        let object = &image.object;
        let command = self.sign_command(object);
        Refusal::new(
            409,
            "FirmwareNotSigned",
            format!(
                "signing profile `{}` has not signed `{}` in version `{}`: run the command, wait \
                 for its job to succeed, and ask again: {command}",
                self.settings.profile,
                object.key(),
                object.version_id()
            ),
        )
        .with("command", command)
    }

    /// The command that signs this version of the image.
    fn sign_command(&self, object: &ObjectVersion) -> String {
        let source = serde_json::json!({ "s3": {
            "bucketName": object.bucket(), "key": object.key(), "version": object.version_id(),
        }});
        let destination = serde_json::json!({ "s3": {
            "bucketName": object.bucket(), "prefix": SIGNED_PREFIX,
        }});
        format!(
            "aws signer start-signing-job --region {} --profile-name {} --source {} \
             --destination {}",
            self.settings.region,
            self.settings.profile,
            quoted(&source.to_string()),
            quoted(&destination.to_string()),
        )
    }
}

fn signed_key(job: &SigningJob) -> Option<&str> {
    job.signed_object()?.s3()?.key()
}

fn place(request: &CreateJob) -> String {
    let version = request.s3_version_id.as_ref();
    let version = version.map(|version| format!(" in version `{version}`")).unwrap_or_default();
    format!("`{}` in bucket `{}`{version}", request.s3_key, request.s3_bucket)
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl From<Box<crate::error::ServiceFault>> for Refusal {
    fn from(fault: Box<crate::error::ServiceFault>) -> Self {
        Error::from(fault).into()
    }
}

/// Where signatures go: Signer puts its job's id behind it.
const SIGNED_PREFIX: &str = "signed/";

/// A signature has a few hundred bytes; an image given in its place has many more.
const LARGEST_SIGNATURE: i64 = 16 * 1024;
