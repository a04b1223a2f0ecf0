//! The reserved topics of streams: describe and get, in JSON and CBOR.
//!
//! Each wanted block is a message of its own. Reading an object may wait, so every
//! request runs on a task; a bound on how many run at once keeps a fleet that asks
//! all together from filling the memory with blocks.

use std::sync::{Arc, Weak};

use iotstack_local_kernel::{Cloud, Message, Publisher, Reserved};
use tokio::sync::Semaphore;

use super::files::Files;
use super::wire::{Format, Get, Item, Refusal, read_describe, write};
use super::{Stream, Streams};

/// Answers the topics of streams.
pub struct StreamTopics {
    cloud: Weak<Cloud>,
    streams: Arc<Streams>,
    files: Arc<Files>,
    slots: Arc<Semaphore>,
}

impl StreamTopics {
    /// Answers with these streams.
    pub fn new(cloud: &Arc<Cloud>, streams: Arc<Streams>, files: Arc<Files>) -> StreamTopics {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        StreamTopics { cloud: Arc::downgrade(cloud), streams, files, slots }
    }
}

impl Reserved for StreamTopics {
    fn owns(&self, topic: &str) -> bool {
        Place::read(topic).is_some()
    }

    fn receive(&self, _: &Arc<Publisher>, message: &Message) {
        let Some(cloud) = self.cloud.upgrade() else { return };
        let Some(place) = Place::read(&message.topic) else { return };
        let answers = Answers {
            topic: format!("$aws/things/{}/streams/{}", place.thing, place.stream),
            format: Format::parse(place.format).unwrap_or(Format::Json),
            cloud,
        };
        if Format::parse(place.format).is_none() {
            let refusal = format!("format `{}` is neither json nor cbor", place.format);
            return answers.refuse(&Refusal::new("InvalidTopic", refusal));
        }
        let Some(stream) = self.streams.stream(place.stream) else {
            let token = read_describe(answers.format, &message.payload).ok().flatten();
            let missing = format!("stream `{}` does not exist", place.stream);
            return answers.refuse(&Refusal { token, ..Refusal::new("ResourceNotFound", missing) });
        };
        let (files, slots) = (self.files.clone(), self.slots.clone());
        let (payload, describes) = (message.payload.clone(), place.operation == "describe");
        tokio::spawn(async move {
            let Ok(_slot) = slots.acquire().await else { return };
            let outcome = match describes {
                true => answers.describe(&files, &stream, &payload).await,
                false => answers.get(&files, &stream, &payload).await,
            };
            if let Err(refusal) = outcome {
                answers.refuse(&refusal);
            }
        });
    }
}

/// Where the answers to one request go.
struct Answers {
    cloud: Arc<Cloud>,
    topic: String,
    format: Format,
}

impl Answers {
    async fn describe(
        &self,
        files: &Files,
        stream: &Stream,
        payload: &[u8],
    ) -> Result<(), Refusal> {
        let token = read_describe(self.format, payload)?;
        let mut list = Vec::with_capacity(stream.files.len());
        for file in &stream.files {
            let object = files.read(&self.cloud, stream, file).await;
            let object = object.map_err(|refusal| Refusal { token: token.clone(), ..refusal })?;
            list.push(vec![
                ("f", Item::Number(file.file_id.into())),
                ("z", Item::Number(object.bytes.len() as u64)),
            ]);
        }
        let mut members = Vec::with_capacity(4);
        if let Some(token) = token {
            members.push(("c", Item::Text(token)));
        }
        members.push(("s", Item::Number(stream.version.into())));
        if let Some(description) = &stream.description {
            members.push(("d", Item::Text(description.clone())));
        }
        members.push(("r", Item::List(list)));
        self.publish("description", write(self.format, members));
        Ok(())
    }

    async fn get(&self, files: &Files, stream: &Stream, payload: &[u8]) -> Result<(), Refusal> {
        let get = Get::read(self.format, payload)?;
        let refuse = |code, message: String| Refusal {
            token: get.token.clone(),
            ..Refusal::new(code, message)
        };
        if let Some(version) = get.version.filter(|version| *version != u64::from(stream.version)) {
            return Err(refuse(
                "VersionMismatch",
                format!("the stream has version {}, not {version}", stream.version),
            ));
        }
        let Some(file) = stream.files.iter().find(|file| file.file_id == get.file) else {
            return Err(refuse("ResourceNotFound", format!("the stream has no file {}", get.file)));
        };
        let object = files
            .read(&self.cloud, stream, file)
            .await
            .map_err(|refusal| Refusal { token: get.token.clone(), ..refusal })?;
        let bytes = &object.bytes;
        if get.offset > 0 && get.offset * get.size >= bytes.len() {
            return Err(refuse(
                "OffsetOutOfBounds",
                format!("block {} lies behind the end of the file", get.offset),
            ));
        }
        for block in get.blocks(bytes.len()) {
            let start = block * get.size;
            let part = &bytes[start..bytes.len().min(start + get.size)];
            let mut members = Vec::with_capacity(5);
            if let Some(token) = &get.token {
                members.push(("c", Item::Text(token.clone())));
            }
            members.push(("f", Item::Number(get.file.into())));
            members.push(("l", Item::Number(part.len() as u64)));
            members.push(("i", Item::Number(block as u64)));
            members.push(("p", Item::Bytes(part.to_vec())));
            self.publish("data", write(self.format, members));
        }
        Ok(())
    }

    fn refuse(&self, refusal: &Refusal) {
        tracing::debug!(
            topic = self.topic,
            code = refusal.code,
            reason = refusal.message,
            "stream request refused"
        );
        self.publish("rejected", refusal.write(self.format));
    }

    fn publish(&self, what: &str, payload: Vec<u8>) {
        if let Ok(messages) = self.cloud.ports.messages() {
            let topic = format!("{}/{what}/{}", self.topic, self.format.name());
            messages.publish(Message::new(topic, payload, self.cloud.clock.now()));
        }
    }
}

/// The topic of a request, taken apart.
struct Place<'a> {
    thing: &'a str,
    stream: &'a str,
    operation: &'a str,
    format: &'a str,
}

impl<'a> Place<'a> {
    fn read(topic: &'a str) -> Option<Place<'a>> {
        let (thing, rest) = topic.strip_prefix("$aws/things/")?.split_once("/streams/")?;
        let mut parts = rest.split('/');
        let (stream, operation, format) = (parts.next()?, parts.next()?, parts.next()?);
        let known = matches!(operation, "describe" | "get") && parts.next().is_none();
        known.then_some(Place { thing, stream, operation, format })
    }
}

/// How many requests are answered at once.
const AT_ONCE: usize = 64;
