//! Clears what stands in the way of deletion, once it was agreed to.
//!
//! Everything here can be done twice: what is detached or deleted already is no error,
//! because devices and people go on working while a stack is being destroyed.

use aws_sdk_iot as iot;
use aws_sdk_s3 as s3;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use s3::types::{Delete, ObjectIdentifier};

use super::Blocker;
use crate::error::code_of;
use crate::event::{Event, EventSink};
use crate::{Clients, Error, Result};

/// Clears one blocker.
pub(super) async fn clear(
    clients: &Clients,
    blocker: &Blocker,
    sink: &dyn EventSink,
) -> Result<()> {
    let iot = &clients.own.iot;
    match blocker {
        Blocker::BucketNotEmpty { bucket, .. } => empty(clients, bucket, sink).await?,
        Blocker::PolicyAttached { policy, targets, .. } => {
            for target in targets {
                detach_policy(clients, policy, target).await?;
            }
        }
        Blocker::CertificateInUse { certificate, active, things, policies, .. } => {
            let call = iot.describe_certificate().certificate_id(certificate);
            let answer = call.send().await.map_err(clients.failed("iot:DescribeCertificate"))?;
            let arn = answer
                .certificate_description
                .and_then(|description| description.certificate_arn)
                .ok_or(Error::UnexpectedAnswer {
                    action: "iot:DescribeCertificate",
                    missing: "certificateArn",
                })?;
            for thing in things {
                detach_thing(clients, thing, &arn).await?;
            }
            for policy in policies {
                detach_policy(clients, policy, &arn).await?;
            }
            if *active {
                let call = iot
                    .update_certificate()
                    .certificate_id(certificate)
                    .new_status(iot::types::CertificateStatus::Inactive);
                done(clients, "iot:UpdateCertificate", call.send().await)?;
            }
        }
        Blocker::ThingHasPrincipals { thing, principals, .. } => {
            for principal in principals {
                detach_thing(clients, thing, principal).await?;
            }
        }
        Blocker::TypeHasThings { thing_type, .. } => remove_type(clients, thing_type).await?,
        Blocker::GroupHasChildren { .. } => return Ok(()),
    }
    sink.hear(Event::BlockerCleared { blocker: blocker.to_string() });
    Ok(())
}

/// Deletes every version, delete marker and unfinished upload of a bucket.
async fn empty(clients: &Clients, bucket: &str, sink: &dyn EventSink) -> Result<()> {
    let client = &clients.own.s3;
    let mut removed = 0;
    // Always the first page again: what was on it is gone, so markers are not needed.
    loop {
        let call = client.list_object_versions().bucket(bucket);
        let page = match call.send().await {
            Err(error) if code_of(&error) == Some("NoSuchBucket") => return Ok(()),
            page => page.map_err(clients.failed("s3:ListBucketVersions"))?,
        };
        let versions = page.versions().iter().map(|it| (it.key(), it.version_id()));
        let markers = page.delete_markers().iter().map(|it| (it.key(), it.version_id()));
        let mut objects = Vec::new();
        for (key, version) in versions.chain(markers) {
            let Some(key) = key else { continue };
            let version = version.map(str::to_owned);
            let object = ObjectIdentifier::builder().key(key).set_version_id(version).build();
            objects.push(object.map_err(|_| missing("Key"))?);
        }
        if objects.is_empty() {
            break;
        }
        removed += objects.len() as u64;
        delete_objects(clients, bucket, objects).await?;
        sink.hear(Event::BucketEmptying { bucket: bucket.to_owned(), removed });
    }
    loop {
        let call = client.list_multipart_uploads().bucket(bucket);
        let page = call.send().await.map_err(clients.failed("s3:ListBucketMultipartUploads"))?;
        if page.uploads().is_empty() {
            return Ok(());
        }
        for upload in page.uploads() {
            let call = client
                .abort_multipart_upload()
                .bucket(bucket)
                .set_key(upload.key.clone())
                .set_upload_id(upload.upload_id.clone());
            match call.send().await {
                Err(error) if code_of(&error) == Some("NoSuchUpload") => {}
                result => {
                    result.map_err(clients.failed("s3:AbortMultipartUpload"))?;
                }
            }
            removed += 1;
        }
        sink.hear(Event::BucketEmptying { bucket: bucket.to_owned(), removed });
    }
}

async fn delete_objects(
    clients: &Clients,
    bucket: &str,
    objects: Vec<ObjectIdentifier>,
) -> Result<()> {
    let batch = Delete::builder().set_objects(Some(objects)).quiet(true).build();
    let batch = batch.map_err(|_| missing("Objects"))?;
    let call = clients.own.s3.delete_objects().bucket(bucket).delete(batch);
    let answer = call.send().await.map_err(clients.failed("s3:DeleteObjectVersion"))?;
    // The call as a whole succeeds even if an object is locked.
    match answer.errors().first() {
        None => Ok(()),
        Some(error) => Err(Error::Service {
            action: "s3:DeleteObjectVersion",
            code: error.code().unwrap_or("Unknown").to_owned(),
            message: format!(
                "`{}` of bucket `{bucket}`: {}",
                error.key().unwrap_or_default(),
                error.message().unwrap_or("no message")
            ),
            request_id: None,
        }),
    }
}

async fn remove_type(clients: &Clients, thing_type: &str) -> Result<()> {
    let iot = &clients.own.iot;
    let mut pages = iot.list_things().thing_type_name(thing_type).into_paginator().send();
    // All names first: a page's token may not survive what happens to its things.
    let mut things = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(clients.failed("iot:ListThings"))?;
        things.extend(page.things.unwrap_or_default().into_iter().filter_map(|it| it.thing_name));
    }
    for thing in things {
        let call = iot.update_thing().thing_name(thing).remove_thing_type(true);
        done(clients, "iot:UpdateThing", call.send().await)?;
    }
    Ok(())
}

async fn detach_policy(clients: &Clients, policy: &str, target: &str) -> Result<()> {
    let call = clients.own.iot.detach_policy().policy_name(policy).target(target);
    done(clients, "iot:DetachPolicy", call.send().await)
}

async fn detach_thing(clients: &Clients, thing: &str, principal: &str) -> Result<()> {
    let call = clients.own.iot.detach_thing_principal().thing_name(thing).principal(principal);
    done(clients, "iot:DetachThingPrincipal", call.send().await)
}

/// That there is nothing left to do is as good as having done it.
fn done<T, E, R>(
    clients: &Clients,
    action: &'static str,
    result: std::result::Result<T, SdkError<E, R>>,
) -> Result<()>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match result {
        Ok(_) => Ok(()),
        Err(error) if code_of(&error) == Some("ResourceNotFoundException") => Ok(()),
        Err(error) => Err(clients.failed(action)(error)),
    }
}

fn missing(missing: &'static str) -> Error {
    Error::UnexpectedAnswer { action: "s3:ListBucketVersions", missing }
}
