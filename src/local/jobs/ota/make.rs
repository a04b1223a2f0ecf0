//! Makes an update: signatures, stream, document, job.
//!
//! Streams and signatures are other services' business; they are called as a client
//! would call them. What was made before a failure stays, so that whoever asked can see
//! and delete it.

use std::sync::Arc;

use bytes::Bytes;
use iotstack_jobs::{AbortConfig, CreateJob, PresignedUrlConfig};
use iotstack_local_kernel::{Body, Cloud, Fault, id};
use iotstack_protocol::ObjectVersion;
use serde_json::{Map, Value, json};

use super::job_id;
use super::request::{Location, OtaFile, OtaRequest, S3Object, StreamFile, Transfer};
use super::signature::signature;
use crate::control::Control;

/// Makes everything that an update consists of; `stream` gets the stream's id as soon
/// as there is one, so that a failure later does not hide it.
pub(super) async fn make(
    control: &Arc<Control>,
    id: &str,
    request: &OtaRequest,
    stream: &mut Option<String>,
) -> Result<(), Fault> {
    let cloud = control.jobs.cloud()?;
    let protocols = request.protocols.clone().unwrap_or_else(|| vec![Transfer::Mqtt]);
    let mut files = Vec::new();
    for (index, file) in request.files.iter().enumerate() {
        files.push(Found::of(&cloud, index, file).await?);
    }
    let mut update = Map::new();
    update.insert("protocols".to_owned(), json!(protocols));
    if protocols.contains(&Transfer::Mqtt) {
        let name = match existing_stream(&files)? {
            Some(name) => name,
            None => {
                let name = create_stream(&cloud, id, &files, &request.role_arn).await?;
                stream.insert(name).clone()
            }
        };
        update.insert("streamname".to_owned(), name.into());
    }
    let mut entries = Vec::new();
    for (found, file) in files.iter().zip(&request.files) {
        entries.push(entry(&cloud, found, file, protocols.contains(&Transfer::Http)).await?);
    }
    update.insert("files".to_owned(), entries.into());
    let expires = request.aws_job_presigned_url_config.as_ref().and_then(|c| c.expires_in_sec);
    let job = CreateJob {
        targets: request.targets.clone(),
        document: Some(json!({ "afr_ota": update }).to_string()),
        description: request.description.clone(),
        target_selection: request.target_selection,
        presigned_url_config: Some(PresignedUrlConfig {
            role_arn: Some(request.role_arn.clone()),
            expires_in_sec: Some(expires.unwrap_or(DEFAULT_EXPIRY)),
        }),
        job_executions_rollout_config: request.aws_job_executions_rollout_config.clone(),
        abort_config: request
            .aws_job_abort_config
            .clone()
            .map(|abort| AbortConfig { criteria_list: abort.abort_criteria_list }),
        timeout_config: request.aws_job_timeout_config.clone(),
        ..CreateJob::default()
    };
    control.create(&job_id(id), job).await.map(|_| ())
}

/// Calls another service of the cloud, as the owner of the account.
pub(super) async fn call(
    cloud: &Cloud,
    scope: &str,
    operation: &str,
    input: Value,
) -> Result<Value, Fault> {
    let at = cloud.clock.now();
    let reply = cloud.services.call(scope, operation, input, Bytes::new(), at).await?;
    Ok(match reply.body {
        Body::Members(members) => members,
        Body::Bytes { .. } => Value::Null,
    })
}

/// A file that was looked up.
struct Found {
    file_id: i64,
    object: S3Object,
    size: usize,
    /// The stream that has it already.
    stream: Option<String>,
}

impl Found {
    async fn of(cloud: &Cloud, index: usize, file: &OtaFile) -> Result<Found, Fault> {
        let location = file.file_location.clone().unwrap_or_default();
        let (file_id, object, stream) = match location {
            Location { s3_location: Some(object), .. } => {
                (i64::try_from(index).unwrap_or(i64::MAX), object, None)
            }
            Location { stream: Some(StreamFile { stream_id, file_id }), .. } => {
                let object = streamed(cloud, &stream_id, file_id).await?;
                (file_id, object, Some(stream_id))
            }
            Location { .. } => return Err(invalid("a file has no location")),
        };
        let version = object.version.as_deref();
        let found = cloud.ports.objects()?.get(&object.bucket, &object.key, version).await;
        let found = found.map_err(|fault| {
            invalid(&format!(
                "`{}/{}` cannot be read: {}",
                object.bucket, object.key, fault.message
            ))
        })?;
        let object = S3Object { version: object.version.or(found.version), ..object };
        Ok(Found { file_id, object, size: found.bytes.len(), stream })
    }
}

/// The object of a file in a stream.
async fn streamed(cloud: &Cloud, stream: &str, file: i64) -> Result<S3Object, Fault> {
    let described = call(cloud, "iot", "DescribeStream", json!({ "streamId": stream })).await?;
    let files = described["streamInfo"]["files"].as_array().cloned().unwrap_or_default();
    let found = files.into_iter().find(|each| each["fileId"] == file);
    let found = found.map(|mut each| each["s3Location"].take());
    found
        .and_then(|location| serde_json::from_value(location).ok())
        .ok_or_else(|| invalid(&format!("the stream `{stream}` has no file {file}")))
}

/// The stream that has all files already; none if one must be made.
fn existing_stream(files: &[Found]) -> Result<Option<String>, Fault> {
    let first = files.first().and_then(|file| file.stream.clone());
    if files.iter().any(|file| file.stream != first) {
        return Err(invalid("the files of an update must lie in one stream, or in none"));
    }
    Ok(first)
}

async fn create_stream(
    cloud: &Cloud,
    update: &str,
    files: &[Found],
    role: &str,
) -> Result<String, Fault> {
    let name = format!("AFR_OTA-{}", id::uuid());
    let files: Vec<Value> = files
        .iter()
        .map(|file| json!({"fileId": file.file_id, "s3Location": file.object}))
        .collect();
    let input = json!({
        "streamId": name,
        "description": format!("files of the OTA update {update}"),
        "files": files,
        "roleArn": role,
    });
    call(cloud, "iot", "CreateStream", input).await?;
    Ok(name)
}

/// What a device is told about a file.
async fn entry(
    cloud: &Cloud,
    found: &Found,
    file: &OtaFile,
    over_http: bool,
) -> Result<Value, Fault> {
    let mut entry = Map::new();
    let mut put = |name: &str, value: Value| drop(entry.insert(name.to_owned(), value));
    put("filepath", file.file_name.as_deref().unwrap_or_default().into());
    put("filesize", found.size.into());
    put("fileid", found.file_id.into());
    if let Some(kind) = file.file_type {
        put("fileType", kind.into());
    }
    if over_http {
        let S3Object { bucket, key, version } = &found.object;
        let region = &cloud.account.region;
        let url = match version {
            Some(version) => ObjectVersion::new(region, bucket, key, version)
                .map_err(|error| invalid(&error.to_string()))?
                .placeholder(),
            None => format!(
                "${{aws:iot:s3-presigned-url:https://s3.{region}.{}/{bucket}/{key}}}",
                cloud.account.url_suffix()
            ),
        };
        put("update_data_url", url.into());
        put("auth_scheme", "aws.s3.presigned".into());
    }
    if let Some(signing) = &file.code_signing {
        let signature = signature(cloud, signing, &found.object).await?;
        put("certfile", signature.certificate.unwrap_or_default().into());
        put(&signature.member, signature.value.into());
    }
    Ok(Value::Object(entry))
}

fn invalid(message: &str) -> Fault {
    Fault::new("InvalidRequestException", 400, message)
}

/// How many seconds presigned URLs of updates last; jobs have another default.
const DEFAULT_EXPIRY: i64 = 1800;
