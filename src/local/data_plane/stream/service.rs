//! The operations on streams, in the scope `iot`.
//!
//! They answer when the change is stored. Whether the objects of a stream exist is not
//! checked here: a device that asks for them hears it.

use std::sync::{Arc, Weak};

use http::Method;
use iotstack_local_kernel::page::page;
use iotstack_local_kernel::tags::{self, Tags};
use iotstack_local_kernel::{
    Call, Cloud, Commit, Fault, Operation, Operations, Protocol, Reply, Service,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{File, Stream, Streams, Wish, arn, missing};

/// The operations on streams.
pub struct StreamService {
    pub(crate) cloud: Weak<Cloud>,
    pub(crate) streams: Arc<Streams>,
}

impl Service for StreamService {
    fn scopes(&self) -> &'static [&'static str] {
        &["iot", "execute-api"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::RestJson]
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidRequestException"
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .rest_async("CreateStream", Method::POST, "/streams/{streamId}", Self::create)
            .rest_async("UpdateStream", Method::PUT, "/streams/{streamId}", Self::update)
            .rest("DescribeStream", Method::GET, "/streams/{streamId}", Self::describe)
            .rest_stored("DeleteStream", Method::DELETE, "/streams/{streamId}", Self::delete)
            .rest(
                "ListStreams",
                Method::GET,
                "/streams?isAscendingOrder:bool&maxResults:int&nextToken",
                Self::list,
            )
            .list()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    stream_id: String,
    description: Option<String>,
    files: Option<Vec<File>>,
    role_arn: Option<String>,
}

impl Input {
    fn wish(self, tags: Option<Tags>) -> (String, Wish) {
        let Input { stream_id, description, files, role_arn } = self;
        (stream_id, Wish { description, files, role_arn, tags })
    }
}

impl StreamService {
    async fn create(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let cloud = self.cloud()?;
        let tags = tags::read(&call.input)?;
        let (id, wish) = call.parse::<Input>()?.wish(Some(tags));
        let stream = self.streams.create(&cloud, &id, wish).await?;
        Ok(Value::Object(summary(&cloud, &id, &stream)).into())
    }

    async fn update(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let cloud = self.cloud()?;
        let (id, wish) = call.parse::<Input>()?.wish(None);
        let stream = self.streams.update(&cloud, &id, wish).await?;
        Ok(Value::Object(summary(&cloud, &id, &stream)).into())
    }

    fn describe(&self, call: Call) -> Result<Reply, Fault> {
        let cloud = self.cloud()?;
        let id = call.text("streamId")?;
        let stream = self.streams.stream(id).ok_or_else(|| missing(id))?;
        let mut info = summary(&cloud, id, &stream);
        let mut put = |name: &str, value: Value| drop(info.insert(name.to_owned(), value));
        put("files", json!(stream.files));
        put("createdAt", json!(stream.created_at.fractional_seconds()));
        put("lastUpdatedAt", json!(stream.updated_at.fractional_seconds()));
        put("roleArn", stream.role_arn.as_str().into());
        Ok(json!({"streamInfo": info}).into())
    }

    fn delete(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let commit = self.streams.delete(&*self.cloud()?, call.text("streamId")?)?;
        Ok((Reply::empty(), commit))
    }

    fn list(&self, call: Call) -> Result<Reply, Fault> {
        let cloud = self.cloud()?;
        let most = call.optional_integer("maxResults")?.unwrap_or(250);
        let most = usize::try_from(most).ok().filter(|most| (1..=250).contains(most));
        let most = most.ok_or_else(|| Fault::invalid_input("maxResults must be 1 to 250"))?;
        let all = self.streams.all();
        let ascending = call.flag("isAscendingOrder")?;
        // Pages are cut by a key that grows: the place in the wanted order.
        let count = all.len();
        let mut placed: Vec<_> = all.into_iter().enumerate().collect();
        if !ascending {
            placed.reverse();
        }
        let place = |place: usize| if ascending { place } else { count - 1 - place };
        let token = call.optional_text("nextToken")?;
        let (found, next) = page(placed, |(at, _)| format!("{:06}", place(*at)), token, most)?;
        let streams = found
            .iter()
            .map(|(_, (id, stream))| Value::Object(summary(&cloud, id, stream)))
            .collect::<Vec<Value>>();
        let mut reply = json!({"streams": streams});
        if let (Some(next), Some(members)) = (next, reply.as_object_mut()) {
            members.insert("nextToken".to_owned(), next.into());
        }
        Ok(reply.into())
    }

    pub(crate) fn cloud(&self) -> Result<Arc<Cloud>, Fault> {
        Cloud::held(&self.cloud)
    }
}

fn summary(cloud: &Cloud, id: &str, stream: &Stream) -> Map<String, Value> {
    let mut summary = Map::new();
    summary.insert("streamId".to_owned(), id.into());
    summary.insert("streamArn".to_owned(), arn(cloud, id).into());
    if let Some(description) = &stream.description {
        summary.insert("description".to_owned(), description.as_str().into());
    }
    summary.insert("streamVersion".to_owned(), stream.version.into());
    summary
}
