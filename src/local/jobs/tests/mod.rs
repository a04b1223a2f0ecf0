//! The service through its wires: every message that leaves it is seen here.
//!
//! A little broker, registry and object store stand in for the real ones; the clock is
//! stepped by hand.

mod control;
mod data;
mod events;
mod life;
mod operations;
mod ota;
mod resources;
mod rules;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use iotstack_local_kernel::ports::{
    ConnectionInfo, Messages, Metrics, Object, Objects, Registry, ThingInfo,
};
use iotstack_local_kernel::{BoxFuture, Cloud, CloudEvent, Fault, Message, Publisher, testing};
use serde_json::{Value, json};

/// A cloud with jobs, and what it has sent.
pub(crate) struct World {
    pub cloud: Arc<Cloud>,
    pub broker: Arc<Broker>,
    pub registry: Arc<Things>,
    pub metrics: Arc<Values>,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(testing::cloud())
    }

    pub(crate) fn with(cloud: Arc<Cloud>) -> World {
        let broker = Arc::new(Broker::default());
        let registry = Arc::new(Things::default());
        let metrics = Arc::new(Values::default());
        cloud.ports.serve_messages(broker.clone());
        cloud.ports.serve_registry(registry.clone());
        cloud.ports.serve_metrics(metrics.clone());
        cloud.ports.serve_objects(Arc::new(Bucket));
        crate::install(&cloud).unwrap();
        World { cloud, broker, registry, metrics }
    }

    /// Calls an operation of the control plane.
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Result<Value, Fault> {
        testing::call(&self.cloud, "iot", operation, input).await
    }

    /// Creates a job over things and groups.
    pub(crate) async fn create(
        &self,
        id: &str,
        targets: &[&str],
        more: Value,
    ) -> Result<Value, Fault> {
        let targets: Vec<String> = targets
            .iter()
            .map(|name| {
                let group = self.registry.lock().groups.contains_key(*name);
                let kind = if group { "thinggroup" } else { "thing" };
                self.cloud.account.arn("iot", format_args!("{kind}/{name}"))
            })
            .collect();
        let mut input = json!({"jobId": id, "targets": targets, "document": "{\"do\":\"it\"}"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("CreateJob", input).await
    }

    /// Publishes as a device does, and gives what was sent to it alone.
    pub(crate) async fn ask(&self, topic: &str, payload: impl Into<Bytes>) -> (String, Value) {
        let before = self.broker.lock().sent.len();
        let publisher = Arc::new(Publisher {
            client_id: "lamp-1".into(),
            principal: "certificate".into(),
            thing: Some("lamp-1".into()),
            source: std::net::Ipv4Addr::LOCALHOST.into(),
        });
        let message = Message::new(topic, payload, self.cloud.clock.now());
        let families = self.cloud.ports.reserved();
        let family = families.iter().find(|family| family.owns(topic)).expect("nobody owns it");
        family.receive(&publisher, &message);
        self.until(|broker| broker.sent.len() > before).await;
        let (client, topic, body) = self.broker.lock().sent[before].clone();
        assert_eq!(client, "lamp-1");
        (topic, body)
    }

    /// Waits, at most five seconds, until something holds of what the broker got.
    pub(crate) async fn until(&self, holds: impl Fn(&Sent) -> bool) {
        for _ in 0..5000 {
            if holds(&self.broker.lock()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("it never came: {:?}", self.broker.lock());
    }

    /// Waits until a job is in a state.
    pub(crate) async fn until_job(&self, id: &str, status: &str) -> Value {
        for _ in 0..5000 {
            let job = self.call("DescribeJob", json!({"jobId": id})).await.unwrap();
            if job["job"]["status"] == status {
                return job["job"].clone();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{id} never became {status}");
    }

    pub(crate) async fn counts(&self, id: &str, count: &str) -> u64 {
        let job = self.call("DescribeJob", json!({"jobId": id})).await.unwrap();
        job["job"]["jobProcessDetails"][count].as_u64().unwrap()
    }

    /// What was published on a topic through the broker.
    pub(crate) fn published(&self, topic: &str) -> Vec<Value> {
        let sent = self.broker.lock();
        sent.published.iter().filter(|(t, _)| t == topic).map(|(_, body)| body.clone()).collect()
    }

    /// What was put under the name of a metric for a job, in order.
    pub(crate) fn values(&self, name: &str, job: &str) -> Vec<f64> {
        let values = self.metrics.0.lock().unwrap();
        let found = values.iter().filter(|(n, j, _)| n == name && j == job);
        found.map(|(_, _, value)| *value).collect()
    }

    pub(crate) fn topics(&self) -> Vec<String> {
        self.broker.lock().published.iter().map(|(topic, _)| topic.clone()).collect()
    }
}

/// A broker that remembers.
#[derive(Debug, Default)]
pub(crate) struct Broker(Mutex<Sent>);

#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// What went to one client.
    pub sent: Vec<(String, String, Value)>,
    /// What went through the broker.
    pub published: Vec<(String, Value)>,
}

impl Broker {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().unwrap()
    }
}

impl Messages for Broker {
    fn publish(&self, message: Message) {
        let body = serde_json::from_slice(&message.payload).unwrap();
        self.lock().published.push((message.topic.to_string(), body));
    }

    fn send(&self, client_id: &str, message: Message) {
        let body = serde_json::from_slice(&message.payload).unwrap();
        self.lock().sent.push((client_id.to_owned(), message.topic.to_string(), body));
    }

    fn retained(&self, _: &str) -> Option<Message> {
        None
    }

    fn all_retained(&self) -> Vec<Message> {
        Vec::new()
    }

    fn connection(&self, _: &str) -> Option<ConnectionInfo> {
        None
    }

    fn disconnect(&self, _: &str, _: bool, _: bool) -> bool {
        false
    }
}

/// A registry of a few things.
#[derive(Default)]
pub(crate) struct Things(Mutex<Known>);

#[derive(Default)]
pub(crate) struct Known {
    pub groups: BTreeMap<String, BTreeSet<String>>,
    pub events: BTreeSet<String>,
    pub forbidden: BTreeSet<String>,
}

impl Things {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap()
    }

    /// Makes a group of `lamp-0` and so on.
    pub(crate) fn group(&self, name: &str, size: usize) {
        let things = (0..size).map(|n| format!("lamp-{n}")).collect();
        self.lock().groups.insert(name.to_owned(), things);
    }

    pub(crate) fn enable(&self, kind: &str) {
        self.lock().events.insert(kind.to_owned());
    }
}

impl World {
    /// Puts a thing into a group or takes it out, and tells everybody.
    pub(crate) fn moves(&self, thing: &str, group: &str, member: bool) {
        {
            let mut known = self.registry.lock();
            let things = known.groups.get_mut(group).unwrap();
            if member {
                things.insert(thing.to_owned())
            } else {
                things.remove(thing)
            };
        }
        let (thing, group) = (thing.into(), group.into());
        self.cloud.bus.tell(&CloudEvent::MembershipChanged { thing, group, member });
    }
}

impl Registry for Things {
    fn thing(&self, name: &str) -> Option<ThingInfo> {
        let exists = !name.starts_with("ghost");
        exists.then(|| ThingInfo { name: name.into(), ..ThingInfo::default() })
    }

    fn members(&self, group: &str) -> Option<Vec<Arc<str>>> {
        let known = self.lock();
        Some(known.groups.get(group)?.iter().map(|thing| thing.as_str().into()).collect())
    }

    fn groups_of(&self, thing: &str) -> Vec<Arc<str>> {
        let known = self.lock();
        let groups = known.groups.iter().filter(|(_, things)| things.contains(thing));
        groups.map(|(name, _)| name.as_str().into()).collect()
    }

    fn events_enabled(&self, kind: &str) -> bool {
        self.lock().events.contains(kind)
    }

    fn thing_of_certificate(&self, _: &str) -> Option<Arc<str>> {
        None
    }

    fn certificate_may(&self, _: &str, action: &str, resource: &str) -> bool {
        !self.lock().forbidden.contains(&format!("{action} {resource}"))
    }
}

/// Metrics that were put.
#[derive(Default)]
pub(crate) struct Values(pub Mutex<Vec<(String, String, f64)>>);

impl Metrics for Values {
    fn put(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)], value: f64, _: &str) {
        assert_eq!(namespace, "AWS/IoT");
        assert_eq!(dimensions[0].0, "JobId");
        let value = (name.to_owned(), dimensions[0].1.to_owned(), value);
        self.0.lock().unwrap().push(value);
    }

    fn set_alarm_state(&self, _: &str, _: &str, _: &str) -> Result<(), Fault> {
        Ok(())
    }
}

/// Buckets with a document, an image and what Signer wrote about it.
struct Bucket;

impl Objects for Bucket {
    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        let bytes = match (bucket, key) {
            ("documents", "job.json") => "{\"from\":\"s3\"}".to_owned(),
            ("documents", "signed") => json!({
                "rawPayloadSize": 8, "signature": "c2lnbmVk", "signatureAlgorithm": "SHA256withECDSA",
                "payloadLocation": {"s3": {"bucketName": "firmware", "key": "lamp.bin", "version": "v7"}},
            })
            .to_string(),
            ("firmware", "lamp.bin") => "firmware".to_owned(),
            _ => String::new(),
        };
        let found = if bytes.is_empty() {
            Err(Fault::new("NoSuchKey", 404, "there is no such object"))
        } else {
            Ok(Object { bytes: bytes.into(), etag: "\"1\"".to_owned(), version: None })
        };
        Box::pin(std::future::ready(found))
    }

    fn put<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Bytes,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        Box::pin(std::future::ready(Err(Fault::not_implemented("writing here"))))
    }

    fn presign(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        write: bool,
        expires: Duration,
    ) -> Result<String, Fault> {
        if bucket == "broken" {
            return Err(Fault::new("NoSuchBucket", 404, "there is no such bucket"));
        }
        let verb = if write { "put" } else { "get" };
        let version = version.unwrap_or("-");
        Ok(format!("{verb} {bucket} {key} {version} {}", expires.as_secs()))
    }
}

/// A document that downloads one version of an object.
pub(crate) fn download() -> Value {
    json!({
        "document": json!({"firmware": {"url": "${aws:iot:s3-presigned-url-v2:https://firmware.s3.us-east-1.amazonaws.com/lamp.bin%3FversionId%3Dv7}"}}).to_string(),
        "presignedUrlConfig": {"roleArn": "arn:aws:iam::123456789012:role/presigner", "expiresInSec": 300},
    })
}
