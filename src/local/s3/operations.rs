//! The operations of S3 as the wire library calls them: typed input in, the
//! matching function of this crate, typed output out.
//!
//! What is not here is refused by its name, before it is read ([`crate::refused`]).

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::access::{Asker, permit};
use crate::condition::WriteCondition;
use crate::record::{
    BucketRecord, CORS, ENCRYPTION, LIFECYCLE, NOTIFICATION, OWNERSHIP, POLICY, PUBLIC_ACCESS,
    TAGGING, Versioning,
};
use crate::store::Buckets;
use crate::{Error, configuration, listing, multipart, notify, object, tags};

/// What answers typed requests.
pub(crate) struct Backend(pub(crate) Arc<Buckets>);

fn reply<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

/// Replies with a status that is not the ordinary one. The library forgets it; what travels
/// with the answer [`crate::front`] finds.
fn reply_as<T>(output: T, status: http::StatusCode) -> S3Result<S3Response<T>> {
    let mut response = S3Response::new(output);
    response.extensions.insert(status);
    Ok(response)
}

/// Writes the trait of the wire library, whose methods all look the same.
macro_rules! operations {
    ($($name:ident($input:ty) -> $output:ty = |$buckets:ident, $req:ident| $body:block)*) => {
        #[async_trait::async_trait]
        impl S3 for Backend {
            $(
                async fn $name(
                    &self,
                    $req: S3Request<$input>,
                ) -> S3Result<S3Response<$output>> {
                    let $buckets: &Buckets = &self.0;
                    $body
                }
            )*
        }

        /// The names of the methods, to compare with the coverage list.
        #[cfg(test)]
        pub(crate) const METHODS: &[&str] = &[$(stringify!($name)),*];
    };
}

operations! {
    list_buckets(ListBucketsInput) -> ListBucketsOutput = |buckets, req| {
        reply(listing::buckets(buckets, req.input)?)
    }

    create_bucket(CreateBucketInput) -> CreateBucketOutput = |buckets, req| {
        let cloud = &buckets.cloud;
        let wanted = req.input.create_bucket_configuration;
        let wanted = wanted.and_then(|configuration| configuration.location_constraint);
        let wanted = wanted.as_ref().map(|region| region.as_str());
        // The region of the endpoint is the one that the caller signed for.
        let endpoint = req.region.as_ref().map(|region| region.as_str().to_owned());
        let endpoint = endpoint.unwrap_or_else(|| cloud.account.region.clone());
        let region = configuration::location(&endpoint, wanted)?;
        let mut record = BucketRecord {
            name: req.input.bucket.clone(),
            created: cloud.clock.now(),
            region: region.clone(),
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
        match buckets.create(record).await {
            // In its oldest region S3 takes a second creation by the owner for done.
            Err(Error::BucketAlreadyOwnedByYou(name))
                if region == "us-east-1"
                    && buckets.read(&name, |bucket| bucket.record.region == region)? => {}
            outcome => outcome?,
        }
        reply(CreateBucketOutput { location: Some(format!("/{}", req.input.bucket)) })
    }

    head_bucket(HeadBucketInput) -> HeadBucketOutput = |buckets, req| {
        let region = buckets.read(&req.input.bucket, |bucket| bucket.record.region.clone())?;
        let output = HeadBucketOutput { bucket_region: Some(region), ..Default::default() };
        let mut headers = http::HeaderMap::new();
        let kind = http::HeaderValue::from_static("application/xml");
        headers.insert(http::header::CONTENT_TYPE, kind);
        Ok(S3Response::with_headers(output, headers))
    }

    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = |buckets, req| {
        let region = buckets.read(&req.input.bucket, |bucket| bucket.record.region.clone())?;
        // The oldest region has no name here.
        let region = Some(region).filter(|region| region != "us-east-1");
        reply(GetBucketLocationOutput {
            location_constraint: region.map(BucketLocationConstraint::from),
        })
    }

    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = |buckets, req| {
        buckets.delete_bucket(&req.input.bucket).await?;
        reply(DeleteBucketOutput::default())
    }

    put_object(PutObjectInput) -> PutObjectOutput = |buckets, req| {
        reply(object::put(buckets, req.input, req.trailing_headers).await?)
    }

    get_object(GetObjectInput) -> GetObjectOutput = |buckets, req| {
        reply(object::get(buckets, req.input).await?)
    }

    head_object(HeadObjectInput) -> HeadObjectOutput = |buckets, req| {
        let output = object::head(buckets, req.input)?;
        match output.content_range {
            Some(_) => reply_as(output, http::StatusCode::PARTIAL_CONTENT),
            None => reply(output),
        }
    }

    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput = |buckets, req| {
        reply(object::attributes(buckets, req.input)?)
    }

    copy_object(CopyObjectInput) -> CopyObjectOutput = |buckets, req| {
        let (bucket, key, version) = object::source(&req.input.copy_source)?;
        permit_read(buckets, req.extensions.get(), bucket, key, version)?;
        reply(object::copy(buckets, req.input).await?)
    }

    delete_object(DeleteObjectInput) -> DeleteObjectOutput = |buckets, req| {
        let input = req.input;
        let version = input.version_id.as_deref();
        let condition = WriteCondition { if_match: input.if_match, if_none_match: None };
        let deleted = buckets.delete(&input.bucket, &input.key, version, &condition).await?;
        reply(DeleteObjectOutput {
            delete_marker: deleted.marker.then_some(true),
            version_id: deleted.version,
            ..Default::default()
        })
    }

    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = |buckets, req| {
        let S3Request { input, extensions, .. } = req;
        if input.delete.objects.len() > 1000 {
            let reason = format!("1000 objects at once, not {}", input.delete.objects.len());
            return Err(s3s::s3_error!(MalformedXML, "{reason}"));
        }
        buckets.read(&input.bucket, |_| ())?;
        let quiet = input.delete.quiet.unwrap_or(false);
        let (mut done, mut errors) = (Vec::new(), Vec::new());
        for wanted in input.delete.objects {
            let version = wanted.version_id.as_deref();
            let action =
                if version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
            let place = format!("{}/{}", input.bucket, wanted.key);
            let outcome = match permit(&buckets.cloud, extensions.get(), action, &place) {
                Ok(()) => {
                    let if_match = wanted.e_tag.map(ETagCondition::ETag);
                    let condition = WriteCondition { if_match, if_none_match: None };
                    buckets.delete(&input.bucket, &wanted.key, version, &condition).await
                }
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

    list_objects(ListObjectsInput) -> ListObjectsOutput = |buckets, req| {
        reply(listing::objects(buckets, req.input)?)
    }

    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = |buckets, req| {
        reply(listing::objects_v2(buckets, req.input)?)
    }

    list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput = |buckets, req| {
        reply(listing::versions(buckets, req.input)?)
    }

    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput = |buckets, req| {
        let input = req.input;
        let version = buckets.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        let found = version.content.as_ref().map(|content| content.tags.as_slice());
        reply(GetObjectTaggingOutput {
            tag_set: tags::wire_tags(found.unwrap_or_default()),
            version_id: object::shown_version(buckets, &version)?,
        })
    }

    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput = |buckets, req| {
        let input = req.input;
        let wanted = tags::tags_of(input.tagging)?;
        let version = input.version_id.as_deref();
        let version = buckets.tag(&input.bucket, &input.key, version, wanted).await?;
        let version_id = object::shown_version(buckets, &version)?;
        reply(PutObjectTaggingOutput { version_id })
    }

    delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput = |buckets, req| {
        let input = req.input;
        let version = input.version_id.as_deref();
        let version = buckets.tag(&input.bucket, &input.key, version, Vec::new()).await?;
        let version_id = object::shown_version(buckets, &version)?;
        reply(DeleteObjectTaggingOutput { version_id })
    }

    get_object_acl(GetObjectAclInput) -> GetObjectAclOutput = |buckets, req| {
        let input = req.input;
        buckets.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        reply(GetObjectAclOutput {
            grants: Some(owner_grants(buckets)),
            owner: Some(listing::owner(buckets)),
            ..Default::default()
        })
    }

    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = |buckets, req| {
        reply(multipart::create(buckets, req.input).await?)
    }

    upload_part(UploadPartInput) -> UploadPartOutput = |buckets, req| {
        reply(multipart::upload_part(buckets, req.input, req.trailing_headers).await?)
    }

    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = |buckets, req| {
        let (bucket, key, version) = object::source(&req.input.copy_source)?;
        permit_read(buckets, req.extensions.get(), bucket, key, version)?;
        reply(multipart::copy_part(buckets, req.input).await?)
    }

    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = |buckets, req| {
        reply(multipart::complete(buckets, req.input).await?)
    }

    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = |buckets, req| {
        let input = req.input;
        buckets.abort(&input.bucket, &input.key, &input.upload_id).await?;
        reply(AbortMultipartUploadOutput::default())
    }

    list_parts(ListPartsInput) -> ListPartsOutput = |buckets, req| {
        reply(multipart::parts(buckets, req.input)?)
    }

    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = |buckets, req| {
        reply(listing::uploads(buckets, req.input)?)
    }

    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput = |buckets, req| {
        let versioning = buckets.read(&req.input.bucket, |bucket| bucket.record.versioning)?;
        let status = configuration::versioning_status(versioning);
        reply(GetBucketVersioningOutput { status, ..Default::default() })
    }

    put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput = |buckets, req| {
        let status = req.input.versioning_configuration.status;
        let status = status.as_ref().map(BucketVersioningStatus::as_str);
        configuration::set_versioning(buckets, &req.input.bucket, status).await?;
        reply(PutBucketVersioningOutput::default())
    }

    get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput = |buckets, req| {
        let policy = configuration::get(buckets, &req.input.bucket, &POLICY)?;
        reply(GetBucketPolicyOutput { policy: Some(policy) })
    }

    get_bucket_policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput = |buckets, req| {
        let policy: String = configuration::get(buckets, &req.input.bucket, &POLICY)?;
        let is_public = Some(configuration::is_public(&policy));
        reply(GetBucketPolicyStatusOutput { policy_status: Some(PolicyStatus { is_public }) })
    }

    put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput = |buckets, req| {
        configuration::set_policy(buckets, &req.input.bucket, &req.input.policy).await?;
        reply(PutBucketPolicyOutput::default())
    }

    delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput = |buckets, req| {
        configuration::remove(buckets, &req.input.bucket, &POLICY).await?;
        reply(DeleteBucketPolicyOutput::default())
    }

    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput = |buckets, req| {
        let found = configuration::get(buckets, &req.input.bucket, &ENCRYPTION)?;
        reply(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(found) })
    }

    put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput = |buckets, req| {
        let wanted = &req.input.server_side_encryption_configuration;
        configuration::set(buckets, &req.input.bucket, &ENCRYPTION, wanted).await?;
        reply(PutBucketEncryptionOutput::default())
    }

    delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput = |buckets, req| {
        // What remains is the encryption that every bucket has.
        let mut fresh = buckets.read(&req.input.bucket, |bucket| bucket.record.clone())?;
        configuration::defaults(&mut fresh);
        let default = fresh.settings.remove(ENCRYPTION.name);
        configuration::set(buckets, &req.input.bucket, &ENCRYPTION, &default).await?;
        reply(DeleteBucketEncryptionOutput::default())
    }

    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput = |buckets, req| {
        let found: BucketLifecycleConfiguration =
            configuration::get(buckets, &req.input.bucket, &LIFECYCLE)?;
        reply(GetBucketLifecycleConfigurationOutput {
            rules: Some(found.rules),
            ..Default::default()
        })
    }

    put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput) -> PutBucketLifecycleConfigurationOutput = |buckets, req| {
        let wanted = req.input.lifecycle_configuration.unwrap_or_default();
        configuration::set(buckets, &req.input.bucket, &LIFECYCLE, &wanted).await?;
        reply(PutBucketLifecycleConfigurationOutput::default())
    }

    delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput = |buckets, req| {
        configuration::remove(buckets, &req.input.bucket, &LIFECYCLE).await?;
        reply(DeleteBucketLifecycleOutput::default())
    }

    get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput = |buckets, req| {
        let found: CORSConfiguration = configuration::get(buckets, &req.input.bucket, &CORS)?;
        reply(GetBucketCorsOutput { cors_rules: Some(found.cors_rules) })
    }

    put_bucket_cors(PutBucketCorsInput) -> PutBucketCorsOutput = |buckets, req| {
        let wanted = &req.input.cors_configuration;
        configuration::set(buckets, &req.input.bucket, &CORS, wanted).await?;
        reply(PutBucketCorsOutput::default())
    }

    delete_bucket_cors(DeleteBucketCorsInput) -> DeleteBucketCorsOutput = |buckets, req| {
        configuration::remove(buckets, &req.input.bucket, &CORS).await?;
        reply(DeleteBucketCorsOutput::default())
    }

    get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput = |buckets, req| {
        let found = configuration::get(buckets, &req.input.bucket, &PUBLIC_ACCESS)?;
        reply(GetPublicAccessBlockOutput { public_access_block_configuration: Some(found) })
    }

    put_public_access_block(PutPublicAccessBlockInput) -> PutPublicAccessBlockOutput = |buckets, req| {
        let wanted = &req.input.public_access_block_configuration;
        configuration::set(buckets, &req.input.bucket, &PUBLIC_ACCESS, wanted).await?;
        reply(PutPublicAccessBlockOutput::default())
    }

    delete_public_access_block(DeletePublicAccessBlockInput) -> DeletePublicAccessBlockOutput = |buckets, req| {
        configuration::remove(buckets, &req.input.bucket, &PUBLIC_ACCESS).await?;
        reply(DeletePublicAccessBlockOutput::default())
    }

    get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput = |buckets, req| {
        let found: Vec<String> = configuration::get(buckets, &req.input.bucket, &OWNERSHIP)?;
        let rule = |name| OwnershipControlsRule { object_ownership: ObjectOwnership::from(name) };
        let rules = found.into_iter().map(rule).collect();
        reply(GetBucketOwnershipControlsOutput {
            ownership_controls: Some(OwnershipControls { rules }),
        })
    }

    put_bucket_ownership_controls(PutBucketOwnershipControlsInput) -> PutBucketOwnershipControlsOutput = |buckets, req| {
        let rules = req.input.ownership_controls.rules;
        let wanted: Vec<_> = rules.iter().map(|rule| rule.object_ownership.as_str()).collect();
        configuration::set(buckets, &req.input.bucket, &OWNERSHIP, &wanted).await?;
        reply(PutBucketOwnershipControlsOutput::default())
    }

    delete_bucket_ownership_controls(DeleteBucketOwnershipControlsInput) -> DeleteBucketOwnershipControlsOutput = |buckets, req| {
        configuration::remove(buckets, &req.input.bucket, &OWNERSHIP).await?;
        reply(DeleteBucketOwnershipControlsOutput::default())
    }

    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput = |buckets, req| {
        let found: Tagging = configuration::get(buckets, &req.input.bucket, &TAGGING)?;
        reply(GetBucketTaggingOutput { tag_set: found.tag_set })
    }

    put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput = |buckets, req| {
        let (bucket, tagging) = (&req.input.bucket, &req.input.tagging);
        tags::check_bucket_tags(tagging)?;
        match tagging.tag_set.is_empty() {
            true => configuration::remove(buckets, bucket, &TAGGING).await?,
            false => configuration::set(buckets, bucket, &TAGGING, tagging).await?,
        }
        reply_as(PutBucketTaggingOutput::default(), http::StatusCode::NO_CONTENT)
    }

    delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput = |buckets, req| {
        configuration::remove(buckets, &req.input.bucket, &TAGGING).await?;
        reply(DeleteBucketTaggingOutput::default())
    }

    get_bucket_notification_configuration(GetBucketNotificationConfigurationInput) -> GetBucketNotificationConfigurationOutput = |buckets, req| {
        buckets.read(&req.input.bucket, |_| ())?;
        let found: NotificationConfiguration =
            configuration::get(buckets, &req.input.bucket, &NOTIFICATION).unwrap_or_default();
        reply(GetBucketNotificationConfigurationOutput {
            event_bridge_configuration: found.event_bridge_configuration,
            lambda_function_configurations: found.lambda_function_configurations,
            queue_configurations: found.queue_configurations,
            topic_configurations: found.topic_configurations,
        })
    }

    put_bucket_notification_configuration(PutBucketNotificationConfigurationInput) -> PutBucketNotificationConfigurationOutput = |buckets, req| {
        let (bucket, wanted) = (&req.input.bucket, &req.input.notification_configuration);
        let region = buckets.read(bucket, |bucket| bucket.record.region.clone())?;
        notify::check(wanted, [&region, &buckets.cloud.account.region])?;
        configuration::set(buckets, bucket, &NOTIFICATION, wanted).await?;
        notify::greet(&buckets.cloud, bucket, wanted);
        reply(PutBucketNotificationConfigurationOutput::default())
    }

    get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput = |buckets, req| {
        buckets.read(&req.input.bucket, |_| ())?;
        reply(GetBucketAclOutput {
            grants: Some(owner_grants(buckets)),
            owner: Some(listing::owner(buckets)),
        })
    }

    get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput = |buckets, req| {
        buckets.read(&req.input.bucket, |_| ())?;
        reply(GetBucketLoggingOutput::default())
    }

    get_bucket_accelerate_configuration(GetBucketAccelerateConfigurationInput) -> GetBucketAccelerateConfigurationOutput = |buckets, req| {
        buckets.read(&req.input.bucket, |_| ())?;
        reply(GetBucketAccelerateConfigurationOutput::default())
    }

    get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput = |buckets, req| {
        buckets.read(&req.input.bucket, |_| ())?;
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
