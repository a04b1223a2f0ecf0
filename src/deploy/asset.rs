//! Publishes files: what the assembly lists and the bucket does not have yet.
//!
//! The key of an asset holds the hash of its content, so a key that exists is an asset
//! that is published; nothing is ever overwritten. Folders are packed only when they
//! must be sent. Container images are refused by name: building them is another tool's
//! work. A manifest may also name a command that prints a path; that is refused too,
//! because reading an assembly should never run what somebody wrote into it.

mod pack;

use std::path::{Path, PathBuf};

use aws_sdk_s3 as s3;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use iotstack_assembly::StackArtifact;
use iotstack_assembly::asset::{AssetManifest, FileAsset, FileDestination, Packaging};
use s3::primitives::ByteStream;

use crate::event::{Event, EventSink};
use crate::{Clients, Error, Result};

pub use pack::zip_folder;

/// What publishing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Publication {
    /// Files that were sent.
    pub sent: usize,
    /// Files that were there already.
    pub present: usize,
    /// Bytes that were sent.
    pub bytes: u64,
}

/// Publishes the assets of a stack, its template among them. What this session published
/// already is not looked at again.
pub async fn publish(
    clients: &Clients,
    artifact: &StackArtifact,
    sink: &dyn EventSink,
) -> Result<Publication> {
    publish_where(clients, artifact, sink, |_| true).await
}

/// Publishes the template alone, for a question about it.
pub(crate) async fn publish_template(
    clients: &Clients,
    artifact: &StackArtifact,
    sink: &dyn EventSink,
) -> Result<Publication> {
    let url = artifact.properties.stack_template_asset_object_url.as_deref().unwrap_or_default();
    let url = clients.fill_in(url);
    publish_where(clients, artifact, sink, |location| url == format!("s3://{location}")).await
}

async fn publish_where(
    clients: &Clients,
    artifact: &StackArtifact,
    sink: &dyn EventSink,
    wanted: impl Fn(&str) -> bool,
) -> Result<Publication> {
    let manifests = artifact.assets()?;
    // Everything that can be wrong here is said before the first byte is sent.
    for (folder, manifest) in &manifests {
        check(folder, manifest)?;
    }
    let mut publication = Publication::default();
    for (folder, manifest) in &manifests {
        for (id, asset) in &manifest.files {
            for destination in asset.destinations.values() {
                let target = Target::new(clients, id, asset, folder, destination);
                if !wanted(&target.location()) || clients.published.contains(&target.location()) {
                    continue;
                }
                match publish_one(clients, &target, sink).await? {
                    None => publication.present += 1,
                    Some(bytes) => {
                        publication.sent += 1;
                        publication.bytes += bytes;
                    }
                }
                clients.published.insert(target.location());
            }
        }
    }
    Ok(publication)
}

/// One file on its way to one bucket.
struct Target {
    asset: String,
    source: PathBuf,
    packaging: Packaging,
    bucket: String,
    key: String,
    region: Option<String>,
    role: Option<String>,
    external_id: Option<String>,
}

impl Target {
    fn new(
        clients: &Clients,
        id: &str,
        asset: &FileAsset,
        folder: &Path,
        destination: &FileDestination,
    ) -> Self {
        let fill_in = |text: &Option<String>| text.as_ref().map(|text| clients.fill_in(text));
        Target {
            asset: name(id, asset),
            source: folder.join(asset.source.path.as_deref().unwrap_or(Path::new(""))),
            packaging: asset.source.packaging,
            bucket: clients.fill_in(&destination.bucket_name),
            key: clients.fill_in(&destination.object_key),
            region: fill_in(&destination.region),
            role: fill_in(&destination.assume_role_arn),
            external_id: destination.assume_role_external_id.clone(),
        }
    }

    fn location(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }

    fn url(&self) -> String {
        format!("s3://{}", self.location())
    }
}

/// Sends one file unless it is there, and says how many bytes it sent.
async fn publish_one(
    clients: &Clients,
    target: &Target,
    sink: &dyn EventSink,
) -> Result<Option<u64>> {
    let Target { asset, bucket, key, .. } = target;
    let role = target.role.as_deref();
    let external_id = target.external_id.as_deref();
    let client = clients.bucket_client(role, external_id, target.region.as_deref(), sink).await?;
    if is_present(clients, &client, target).await? {
        sink.hear(Event::AssetPresent { asset: asset.clone(), location: target.url() });
        return Ok(None);
    }
    check_bucket(clients, &client, bucket).await?;
    sink.hear(Event::AssetPublishing { asset: asset.clone(), location: target.url() });
    let (body, bytes) = body(target).await?;
    let content_type = match (target.packaging, target.source.extension()) {
        (Packaging::Zip, _) => "application/zip",
        (_, Some(extension)) if extension == "zip" => "application/zip",
        (_, Some(extension)) if extension == "json" => "application/json",
        _ => "application/octet-stream",
    };
    let call = client
        .put_object()
        .bucket(bucket)
        .key(key)
        .expected_bucket_owner(&clients.account)
        .content_type(content_type)
        .body(body);
    call.send().await.map_err(|error| not_bootstrapped(clients, bucket, "s3:PutObject", error))?;
    sink.hear(Event::AssetPublished { asset: asset.clone(), location: target.url(), bytes });
    Ok(Some(bytes))
}

async fn is_present(clients: &Clients, client: &s3::Client, target: &Target) -> Result<bool> {
    let call = client
        .head_object()
        .bucket(&target.bucket)
        .key(&target.key)
        .expected_bucket_owner(&clients.account);
    match call.send().await {
        Ok(_) => Ok(true),
        Err(error) if status(&error) == Some(404) => Ok(false),
        Err(error) => Err(not_bootstrapped(clients, &target.bucket, "s3:GetObject", error)),
    }
}

/// A missing object and a missing bucket give the same bare 404; this tells them apart
/// before a large folder is packed for nothing.
async fn check_bucket(clients: &Clients, client: &s3::Client, bucket: &str) -> Result<()> {
    let call = client.head_bucket().bucket(bucket).expected_bucket_owner(&clients.account);
    match call.send().await {
        Ok(_) => Ok(()),
        // A role that may write but not look is no reason to stop.
        Err(error) if status(&error) == Some(403) => Ok(()),
        Err(error) => Err(not_bootstrapped(clients, bucket, "s3:ListBucket", error)),
    }
}

async fn body(target: &Target) -> Result<(ByteStream, u64)> {
    let source = target.source.clone();
    if target.packaging == Packaging::Zip && source.is_dir() {
        let packed = tokio::task::spawn_blocking(move || zip_folder(&source)).await;
        let bytes = packed.map_err(|error| Error::Task(error.to_string()))??;
        let length = bytes.len() as u64;
        return Ok((ByteStream::from(bytes), length));
    }
    let failed = |error: std::io::Error| Error::io("read", &source)(error);
    let length = tokio::fs::metadata(&source).await.map_err(failed)?.len();
    let stream = ByteStream::from_path(&source)
        .await
        .map_err(|error| Error::io("read", &source)(std::io::Error::other(error)))?;
    Ok((stream, length))
}

/// What is wrong with a list of assets, as far as this machine can tell.
fn check(folder: &Path, manifest: &AssetManifest) -> Result<()> {
    if !manifest.docker_images.is_empty() {
        let name = |(id, image): (&String, &serde_json::Value)| {
            image.get("displayName").and_then(|name| name.as_str()).unwrap_or(id).to_owned()
        };
        return Err(Error::DockerAssets {
            assets: manifest.docker_images.iter().map(name).collect(),
        });
    }
    for (id, asset) in &manifest.files {
        let asset_name = || name(id, asset);
        if asset.source.executable.is_some() {
            return Err(Error::AssetInvalid {
                asset: asset_name(),
                message: "its source is a command; expected a `path`".into(),
            });
        }
        let Some(path) = &asset.source.path else {
            return Err(Error::AssetInvalid {
                asset: asset_name(),
                message: "its source has no `path`".into(),
            });
        };
        let path = folder.join(path);
        if !path.exists() {
            return Err(Error::AssetMissing { asset: asset_name(), path });
        }
        if asset.source.packaging == Packaging::File && path.is_dir() {
            return Err(Error::AssetInvalid {
                asset: asset_name(),
                message: format!("{} is a folder; its packaging must be `zip`", path.display()),
            });
        }
    }
    Ok(())
}

fn name(id: &str, asset: &FileAsset) -> String {
    asset.display_name.clone().unwrap_or_else(|| id.to_owned())
}

/// The error for a bucket that is not there, belongs to somebody else, or refuses.
fn not_bootstrapped<E>(
    clients: &Clients,
    bucket: &str,
    action: &'static str,
    error: SdkError<E, HttpResponse>,
) -> Error
where
    E: aws_smithy_types::error::metadata::ProvideErrorMetadata + std::error::Error + 'static,
{
    let status = status(&error);
    match (clients.failed(action)(error), status) {
        (Error::Service { code, .. }, Some(404)) if code != "NoSuchKey" => Error::NotBootstrapped {
            environment: clients.environment().to_string(),
            reason: format!("bucket `{bucket}` does not exist"),
        },
        // A HEAD request has no body to carry AWS's words.
        (Error::Service { .. }, Some(403)) => Error::AccessDenied {
            action: action.to_owned(),
            resource: Some(format!("bucket `{bucket}`")),
            principal: None,
            message: format!(
                "the bucket refuses, or belongs to another account than {}",
                clients.account
            ),
        },
        (Error::Service { code, request_id, .. }, Some(301)) => Error::Service {
            action,
            code,
            message: format!("bucket `{bucket}` is in another region than {}", clients.region),
            request_id,
        },
        (error, _) => error,
    }
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

#[cfg(test)]
mod tests;
