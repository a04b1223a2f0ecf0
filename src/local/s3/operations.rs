//! The operations of S3 as the wire library calls them: typed input in, the
//! matching function of this crate, typed output out.
//!
//! What is not here is refused by the library with `NotImplemented`.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::access::{Asker, permit};
use crate::record::{
    BucketRecord, CORS, ENCRYPTION, LIFECYCLE, NOTIFICATION, OWNERSHIP, POLICY, PUBLIC_ACCESS,
    TAGGING, Versioning,
};
use crate::store::Buckets;
use crate::{Error, configuration, listing, multipart, object};

/// What answers typed requests.
pub(crate) struct Backend(pub(crate) Arc<Buckets>);

fn reply<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

#[async_trait::async_trait]
impl S3 for Backend {
    async fn list_buckets(
        &self,
        req: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        reply(listing::buckets(&self.0, req.input)?)
    }

    async fn create_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let cloud = &self.0.cloud;
        let wanted = req.input.create_bucket_configuration;
        let region = wanted.and_then(|configuration| configuration.location_constraint);
        let region = region.map(|region| region.as_str().to_owned());
        let mut record = BucketRecord {
            name: req.input.bucket.clone(),
            created: cloud.clock.now(),
            region: region.unwrap_or_else(|| cloud.account.region.clone()),
            versioning: Versioning::Never,
            settings: Default::default(),
        };
        configuration::defaults(&mut record);
        if let Some(ownership) = req.input.object_ownership {
            let ownership = serde_json::json!([ownership.as_str()]);
            record.settings.insert(OWNERSHIP.name.to_owned(), ownership);
        }
        if req.input.object_lock_enabled_for_bucket == Some(true) {
            return Err(Error::NotImplemented("object lock".to_owned()).into());
        }
        match self.0.create(record).await {
            // In its oldest region S3 takes a second creation by the owner for done.
            Err(Error::BucketAlreadyOwnedByYou(_)) if cloud.account.region == "us-east-1" => {}
            outcome => outcome?,
        }
        reply(CreateBucketOutput { location: Some(format!("/{}", req.input.bucket)) })
    }

    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let region = self.0.read(&req.input.bucket, |bucket| bucket.record.region.clone())?;
        reply(HeadBucketOutput { bucket_region: Some(region), ..Default::default() })
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let region = self.0.read(&req.input.bucket, |bucket| bucket.record.region.clone())?;
        // The oldest region has no name here.
        let region = Some(region).filter(|region| region != "us-east-1");
        reply(GetBucketLocationOutput {
            location_constraint: region.map(BucketLocationConstraint::from),
        })
    }

    async fn delete_bucket(
        &self,
        req: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.0.delete_bucket(&req.input.bucket).await?;
        reply(DeleteBucketOutput::default())
    }

    async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        reply(object::put(&self.0, req.input, req.trailing_headers).await?)
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        reply(object::get(&self.0, req.input).await?)
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        reply(object::head(&self.0, req.input)?)
    }

    async fn get_object_attributes(
        &self,
        req: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        reply(object::attributes(&self.0, req.input)?)
    }

    async fn copy_object(
        &self,
        req: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let (bucket, key, version) = object::source(&req.input.copy_source)?;
        permit_read(&self.0, req.extensions.get(), bucket, key, version)?;
        reply(object::copy(&self.0, req.input).await?)
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = req.input;
        let version = input.version_id.as_deref();
        let deleted = self.0.delete(&input.bucket, &input.key, version).await?;
        reply(DeleteObjectOutput {
            delete_marker: deleted.marker.then_some(true),
            version_id: deleted.version,
            ..Default::default()
        })
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let S3Request { input, extensions, .. } = req;
        if input.delete.objects.len() > 1000 {
            let reason = format!("1000 objects at once, not {}", input.delete.objects.len());
            return Err(s3s::s3_error!(MalformedXML, "{reason}"));
        }
        self.0.read(&input.bucket, |_| ())?;
        let quiet = input.delete.quiet.unwrap_or(false);
        let (mut done, mut errors) = (Vec::new(), Vec::new());
        for wanted in input.delete.objects {
            let version = wanted.version_id.as_deref();
            let action =
                if version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
            let place = format!("{}/{}", input.bucket, wanted.key);
            let outcome = match permit(&self.0.cloud, extensions.get(), action, &place) {
                Ok(()) => self.0.delete(&input.bucket, &wanted.key, version).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(_) if quiet => {}
                Ok(deleted) => done.push(DeletedObject {
                    key: Some(wanted.key),
                    delete_marker: deleted.marker.then_some(true),
                    delete_marker_version_id: deleted.version.filter(|_| deleted.marker),
                    version_id: wanted.version_id,
                }),
                Err(error) => errors.push(s3s::dto::Error {
                    code: Some(error.code().to_owned()),
                    message: Some(error.to_string()),
                    key: Some(wanted.key),
                    version_id: wanted.version_id,
                }),
            }
        }
        reply(DeleteObjectsOutput {
            deleted: Some(done),
            errors: Some(errors),
            ..Default::default()
        })
    }

    async fn list_objects(
        &self,
        req: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        reply(listing::objects(&self.0, req.input)?)
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        reply(listing::objects_v2(&self.0, req.input)?)
    }

    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        reply(listing::versions(&self.0, req.input)?)
    }

    async fn get_object_tagging(
        &self,
        req: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let input = req.input;
        let version = self.0.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        let tags = version.content.as_ref().map(|content| content.tags.as_slice());
        reply(GetObjectTaggingOutput {
            tag_set: object::wire_tags(tags.unwrap_or_default()),
            version_id: object::shown_version(&self.0, &version)?,
        })
    }

    async fn put_object_tagging(
        &self,
        req: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let input = req.input;
        let tags = object::tags_of(input.tagging)?;
        let version = input.version_id.as_deref();
        let version = self.0.tag(&input.bucket, &input.key, version, tags).await?;
        let version_id = object::shown_version(&self.0, &version)?;
        reply(PutObjectTaggingOutput { version_id })
    }

    async fn delete_object_tagging(
        &self,
        req: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let input = req.input;
        let version = input.version_id.as_deref();
        let version = self.0.tag(&input.bucket, &input.key, version, Vec::new()).await?;
        let version_id = object::shown_version(&self.0, &version)?;
        reply(DeleteObjectTaggingOutput { version_id })
    }

    async fn get_object_acl(
        &self,
        req: S3Request<GetObjectAclInput>,
    ) -> S3Result<S3Response<GetObjectAclOutput>> {
        let input = req.input;
        self.0.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        reply(GetObjectAclOutput {
            grants: Some(owner_grants(&self.0)),
            owner: Some(listing::owner(&self.0)),
            ..Default::default()
        })
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        reply(multipart::create(&self.0, req.input).await?)
    }

    async fn upload_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        reply(multipart::upload_part(&self.0, req.input, req.trailing_headers).await?)
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let (bucket, key, version) = object::source(&req.input.copy_source)?;
        permit_read(&self.0, req.extensions.get(), bucket, key, version)?;
        reply(multipart::copy_part(&self.0, req.input).await?)
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        reply(multipart::complete(&self.0, req.input).await?)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = req.input;
        self.0.abort(&input.bucket, &input.key, &input.upload_id).await?;
        reply(AbortMultipartUploadOutput::default())
    }

    async fn list_parts(
        &self,
        req: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        reply(multipart::parts(&self.0, req.input)?)
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        reply(listing::uploads(&self.0, req.input)?)
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let versioning = self.0.read(&req.input.bucket, |bucket| bucket.record.versioning)?;
        let status = configuration::versioning_status(versioning);
        reply(GetBucketVersioningOutput { status, ..Default::default() })
    }

    async fn put_bucket_versioning(
        &self,
        req: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let status = req.input.versioning_configuration.status;
        let status = status.as_ref().map(BucketVersioningStatus::as_str);
        configuration::set_versioning(&self.0, &req.input.bucket, status).await?;
        reply(PutBucketVersioningOutput::default())
    }

    async fn get_bucket_policy(
        &self,
        req: S3Request<GetBucketPolicyInput>,
    ) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        let policy = configuration::get(&self.0, &req.input.bucket, &POLICY)?;
        reply(GetBucketPolicyOutput { policy: Some(policy) })
    }

    async fn get_bucket_policy_status(
        &self,
        req: S3Request<GetBucketPolicyStatusInput>,
    ) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
        let policy: String = configuration::get(&self.0, &req.input.bucket, &POLICY)?;
        let is_public = Some(configuration::is_public(&policy));
        reply(GetBucketPolicyStatusOutput { policy_status: Some(PolicyStatus { is_public }) })
    }

    async fn put_bucket_policy(
        &self,
        req: S3Request<PutBucketPolicyInput>,
    ) -> S3Result<S3Response<PutBucketPolicyOutput>> {
        configuration::set_policy(&self.0, &req.input.bucket, &req.input.policy).await?;
        reply(PutBucketPolicyOutput::default())
    }

    async fn delete_bucket_policy(
        &self,
        req: S3Request<DeleteBucketPolicyInput>,
    ) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
        configuration::remove(&self.0, &req.input.bucket, &POLICY).await?;
        reply(DeleteBucketPolicyOutput::default())
    }

    async fn get_bucket_encryption(
        &self,
        req: S3Request<GetBucketEncryptionInput>,
    ) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        let found = configuration::get(&self.0, &req.input.bucket, &ENCRYPTION)?;
        reply(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(found) })
    }

    async fn put_bucket_encryption(
        &self,
        req: S3Request<PutBucketEncryptionInput>,
    ) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
        let wanted = &req.input.server_side_encryption_configuration;
        configuration::set(&self.0, &req.input.bucket, &ENCRYPTION, wanted).await?;
        reply(PutBucketEncryptionOutput::default())
    }

    async fn delete_bucket_encryption(
        &self,
        req: S3Request<DeleteBucketEncryptionInput>,
    ) -> S3Result<S3Response<DeleteBucketEncryptionOutput>> {
        // What remains is the encryption that every bucket has.
        let mut fresh = self.0.read(&req.input.bucket, |bucket| bucket.record.clone())?;
        configuration::defaults(&mut fresh);
        let default = fresh.settings.remove(ENCRYPTION.name);
        configuration::set(&self.0, &req.input.bucket, &ENCRYPTION, &default).await?;
        reply(DeleteBucketEncryptionOutput::default())
    }

    async fn get_bucket_lifecycle_configuration(
        &self,
        req: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        let found: BucketLifecycleConfiguration =
            configuration::get(&self.0, &req.input.bucket, &LIFECYCLE)?;
        reply(GetBucketLifecycleConfigurationOutput {
            rules: Some(found.rules),
            ..Default::default()
        })
    }

    async fn put_bucket_lifecycle_configuration(
        &self,
        req: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
        let wanted = req.input.lifecycle_configuration.unwrap_or_default();
        configuration::set(&self.0, &req.input.bucket, &LIFECYCLE, &wanted).await?;
        reply(PutBucketLifecycleConfigurationOutput::default())
    }

    async fn delete_bucket_lifecycle(
        &self,
        req: S3Request<DeleteBucketLifecycleInput>,
    ) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
        configuration::remove(&self.0, &req.input.bucket, &LIFECYCLE).await?;
        reply(DeleteBucketLifecycleOutput::default())
    }

    async fn get_bucket_cors(
        &self,
        req: S3Request<GetBucketCorsInput>,
    ) -> S3Result<S3Response<GetBucketCorsOutput>> {
        let found: CORSConfiguration = configuration::get(&self.0, &req.input.bucket, &CORS)?;
        reply(GetBucketCorsOutput { cors_rules: Some(found.cors_rules) })
    }

    async fn put_bucket_cors(
        &self,
        req: S3Request<PutBucketCorsInput>,
    ) -> S3Result<S3Response<PutBucketCorsOutput>> {
        let wanted = &req.input.cors_configuration;
        configuration::set(&self.0, &req.input.bucket, &CORS, wanted).await?;
        reply(PutBucketCorsOutput::default())
    }

    async fn delete_bucket_cors(
        &self,
        req: S3Request<DeleteBucketCorsInput>,
    ) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
        configuration::remove(&self.0, &req.input.bucket, &CORS).await?;
        reply(DeleteBucketCorsOutput::default())
    }

    async fn get_public_access_block(
        &self,
        req: S3Request<GetPublicAccessBlockInput>,
    ) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        let found = configuration::get(&self.0, &req.input.bucket, &PUBLIC_ACCESS)?;
        reply(GetPublicAccessBlockOutput { public_access_block_configuration: Some(found) })
    }

    async fn put_public_access_block(
        &self,
        req: S3Request<PutPublicAccessBlockInput>,
    ) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
        let wanted = &req.input.public_access_block_configuration;
        configuration::set(&self.0, &req.input.bucket, &PUBLIC_ACCESS, wanted).await?;
        reply(PutPublicAccessBlockOutput::default())
    }

    async fn delete_public_access_block(
        &self,
        req: S3Request<DeletePublicAccessBlockInput>,
    ) -> S3Result<S3Response<DeletePublicAccessBlockOutput>> {
        configuration::remove(&self.0, &req.input.bucket, &PUBLIC_ACCESS).await?;
        reply(DeletePublicAccessBlockOutput::default())
    }

    async fn get_bucket_ownership_controls(
        &self,
        req: S3Request<GetBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
        let found: Vec<String> = configuration::get(&self.0, &req.input.bucket, &OWNERSHIP)?;
        let rule = |name| OwnershipControlsRule { object_ownership: ObjectOwnership::from(name) };
        let rules = found.into_iter().map(rule).collect();
        reply(GetBucketOwnershipControlsOutput {
            ownership_controls: Some(OwnershipControls { rules }),
        })
    }

    async fn put_bucket_ownership_controls(
        &self,
        req: S3Request<PutBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
        let rules = req.input.ownership_controls.rules;
        let wanted: Vec<_> = rules.iter().map(|rule| rule.object_ownership.as_str()).collect();
        configuration::set(&self.0, &req.input.bucket, &OWNERSHIP, &wanted).await?;
        reply(PutBucketOwnershipControlsOutput::default())
    }

    async fn delete_bucket_ownership_controls(
        &self,
        req: S3Request<DeleteBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<DeleteBucketOwnershipControlsOutput>> {
        configuration::remove(&self.0, &req.input.bucket, &OWNERSHIP).await?;
        reply(DeleteBucketOwnershipControlsOutput::default())
    }

    async fn get_bucket_tagging(
        &self,
        req: S3Request<GetBucketTaggingInput>,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        let found: Tagging = configuration::get(&self.0, &req.input.bucket, &TAGGING)?;
        reply(GetBucketTaggingOutput { tag_set: found.tag_set })
    }

    async fn put_bucket_tagging(
        &self,
        req: S3Request<PutBucketTaggingInput>,
    ) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        configuration::set(&self.0, &req.input.bucket, &TAGGING, &req.input.tagging).await?;
        reply(PutBucketTaggingOutput::default())
    }

    async fn delete_bucket_tagging(
        &self,
        req: S3Request<DeleteBucketTaggingInput>,
    ) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        configuration::remove(&self.0, &req.input.bucket, &TAGGING).await?;
        reply(DeleteBucketTaggingOutput::default())
    }

    async fn get_bucket_notification_configuration(
        &self,
        req: S3Request<GetBucketNotificationConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
        self.0.read(&req.input.bucket, |_| ())?;
        let found: NotificationConfiguration =
            configuration::get(&self.0, &req.input.bucket, &NOTIFICATION).unwrap_or_default();
        reply(GetBucketNotificationConfigurationOutput {
            event_bridge_configuration: found.event_bridge_configuration,
            lambda_function_configurations: found.lambda_function_configurations,
            queue_configurations: found.queue_configurations,
            topic_configurations: found.topic_configurations,
        })
    }

    async fn put_bucket_notification_configuration(
        &self,
        req: S3Request<PutBucketNotificationConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketNotificationConfigurationOutput>> {
        let wanted = &req.input.notification_configuration;
        configuration::set(&self.0, &req.input.bucket, &NOTIFICATION, wanted).await?;
        reply(PutBucketNotificationConfigurationOutput::default())
    }

    async fn get_bucket_acl(
        &self,
        req: S3Request<GetBucketAclInput>,
    ) -> S3Result<S3Response<GetBucketAclOutput>> {
        self.0.read(&req.input.bucket, |_| ())?;
        reply(GetBucketAclOutput {
            grants: Some(owner_grants(&self.0)),
            owner: Some(listing::owner(&self.0)),
        })
    }

    async fn get_bucket_logging(
        &self,
        req: S3Request<GetBucketLoggingInput>,
    ) -> S3Result<S3Response<GetBucketLoggingOutput>> {
        self.0.read(&req.input.bucket, |_| ())?;
        reply(GetBucketLoggingOutput::default())
    }

    async fn get_bucket_accelerate_configuration(
        &self,
        req: S3Request<GetBucketAccelerateConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketAccelerateConfigurationOutput>> {
        self.0.read(&req.input.bucket, |_| ())?;
        reply(GetBucketAccelerateConfigurationOutput::default())
    }

    async fn get_bucket_request_payment(
        &self,
        req: S3Request<GetBucketRequestPaymentInput>,
    ) -> S3Result<S3Response<GetBucketRequestPaymentOutput>> {
        self.0.read(&req.input.bucket, |_| ())?;
        let payer = Some(Payer::from_static(Payer::BUCKET_OWNER));
        reply(GetBucketRequestPaymentOutput { payer })
    }
}

/// Copying reads its source, which the caller must be permitted to do.
fn permit_read(
    buckets: &Buckets,
    asker: Option<&Asker>,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<(), Error> {
    let action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    permit(&buckets.cloud, asker, action, &format!("{bucket}/{key}"))
}

fn owner_grants(buckets: &Buckets) -> Vec<Grant> {
    let owner = listing::owner(buckets);
    let grantee = Grantee {
        display_name: owner.display_name,
        email_address: None,
        id: owner.id,
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let permission = Some(Permission::from_static(Permission::FULL_CONTROL));
    vec![Grant { grantee: Some(grantee), permission }]
}

/// The operations above.
pub(crate) const OFFERED: &[&str] = &[
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "CreateMultipartUpload",
    "DeleteBucket",
    "DeleteBucketCors",
    "DeleteBucketEncryption",
    "DeleteBucketLifecycle",
    "DeleteBucketOwnershipControls",
    "DeleteBucketPolicy",
    "DeleteBucketTagging",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjects",
    "DeletePublicAccessBlock",
    "GetBucketAccelerateConfiguration",
    "GetBucketAcl",
    "GetBucketCors",
    "GetBucketEncryption",
    "GetBucketLifecycleConfiguration",
    "GetBucketLocation",
    "GetBucketLogging",
    "GetBucketNotificationConfiguration",
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
    "GetBucketPolicyStatus",
    "GetBucketRequestPayment",
    "GetBucketTagging",
    "GetBucketVersioning",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectTagging",
    "GetPublicAccessBlock",
    "HeadBucket",
    "HeadObject",
    "ListBuckets",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
    "PostObject",
    "PutBucketCors",
    "PutBucketEncryption",
    "PutBucketLifecycleConfiguration",
    "PutBucketNotificationConfiguration",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketTagging",
    "PutBucketVersioning",
    "PutObject",
    "PutObjectTagging",
    "PutPublicAccessBlock",
    "UploadPart",
    "UploadPartCopy",
];
