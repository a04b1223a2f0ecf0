//! `AWS::IoT::Stream` for CloudFormation. Its physical id is its ARN.
//!
//! Numbers may come as texts, as templates write them. A stream that is already gone is
//! no error when it is deleted.

use std::sync::{Arc, Weak};

use iotstack_local_kernel::{
    BoxFuture, Cloud, Fault, ResourceFault, ResourceHandler, ResourceRequest, ResourceState, loose,
};
use serde_json::{Map, Value};

use super::{File, Location, Stream, Streams, Wish, arn};

/// Makes, changes and removes streams for stacks.
pub struct StreamResource {
    pub(crate) cloud: Weak<Cloud>,
    pub(crate) streams: Arc<Streams>,
}

impl ResourceHandler for StreamResource {
    fn type_name(&self) -> &'static str {
        "AWS::IoT::Stream"
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let cloud = self.cloud()?;
            let id = stream_id(request)?;
            let stream = self.streams.create(&cloud, &id, wish(request)?).await?;
            Ok(state(&cloud, &id, &stream))
        })
    }

    fn update<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let cloud = self.cloud()?;
            let id = stream_id(request)?;
            if request.physical_id()? != arn(&cloud, &id) {
                return Err(ResourceFault::Replace);
            }
            let stream = self.streams.update(&cloud, &id, wish(request)?).await?;
            Ok(state(&cloud, &id, &stream))
        })
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        Box::pin(async move {
            let id = request.physical_id()?.rsplit('/').next().unwrap_or_default();
            match self.streams.delete(&*self.cloud()?, id) {
                Ok(commit) => Ok(commit.stored().await.map_err(Fault::from)?),
                Err(fault) if fault.status == 404 => Ok(()),
                Err(fault) => Err(fault.into()),
            }
        })
    }
}

impl StreamResource {
    fn cloud(&self) -> Result<Arc<Cloud>, Fault> {
        Cloud::held(&self.cloud)
    }
}

fn properties(request: &ResourceRequest) -> Map<String, Value> {
    request.properties.as_object().cloned().unwrap_or_default()
}

fn stream_id(request: &ResourceRequest) -> Result<String, ResourceFault> {
    Ok(loose::required(&properties(request), "StreamId")?)
}

fn wish(request: &ResourceRequest) -> Result<Wish, ResourceFault> {
    let properties = properties(request);
    let files = loose::list(&properties, "Files")?;
    let files = files.iter().map(file).collect::<Result<_, Fault>>()?;
    Ok(Wish {
        description: loose::text(&properties, "Description")?,
        files: Some(files),
        role_arn: Some(loose::required(&properties, "RoleArn")?),
        tags: Some(request.tags()?),
    })
}

fn file(value: &Value) -> Result<File, Fault> {
    let file = value.as_object().cloned().unwrap_or_default();
    let location = loose::object(&file, "S3Location")?;
    let id = loose::integer(&file, "FileId")?.unwrap_or(0);
    Ok(File {
        file_id: u8::try_from(id)
            .map_err(|_| Fault::invalid_input(format!("FileId is {id}; expected 0 to 255")))?,
        s3_location: Location {
            bucket: loose::required(&location, "Bucket")?,
            key: loose::required(&location, "Key")?,
            version: loose::text(&location, "Version")?,
        },
    })
}

fn state(cloud: &Cloud, id: &str, stream: &Stream) -> ResourceState {
    ResourceState::new(arn(cloud, id))
        .with("Arn", arn(cloud, id))
        .with("StreamVersion", stream.version)
        .with("CreatedAt", stream.created_at.iso8601())
        .with("LastUpdatedAt", stream.updated_at.iso8601())
}
