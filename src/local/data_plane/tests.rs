//! The data plane in a cloud whose broker is made of paper.
//!
//! It writes down what is published; tests hand requests to the reserved topics as the
//! broker does, and read the answers.

mod http;
mod shadow;
mod stream;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use iotstack_local_kernel::ports::{ConnectionInfo, Messages, Object, Objects};
use iotstack_local_kernel::{
    Account, BoxFuture, Clock, Cloud, Fault, Message, Publisher, QoS, Store, Timestamp,
};
use serde_json::Value;

/// A broker and a bucket that write down what they are told.
#[derive(Default)]
pub struct Paper {
    published: Mutex<Vec<Message>>,
    sent: Mutex<Vec<(String, Message)>>,
    retained: Mutex<BTreeMap<String, Message>>,
    objects: Mutex<BTreeMap<String, Bytes>>,
    reads: Mutex<usize>,
}

impl Paper {
    /// What was published since the last call, with payloads as JSON.
    fn published(&self) -> Vec<(String, Value)> {
        let published = std::mem::take(&mut *self.published.lock().unwrap());
        let json = |message: &Message| serde_json::from_slice(&message.payload).unwrap_or_default();
        published.iter().map(|message| (message.topic.to_string(), json(message))).collect()
    }

    /// As [`Paper::published`], with payloads as bytes.
    fn raw(&self) -> Vec<(String, Bytes)> {
        let published = std::mem::take(&mut *self.published.lock().unwrap());
        published.into_iter().map(|message| (message.topic.to_string(), message.payload)).collect()
    }

    fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        self.objects.lock().unwrap().insert(key.to_owned(), bytes.into());
    }
}

impl Messages for Paper {
    fn publish(&self, message: Message) {
        self.published.lock().unwrap().push(message);
    }
    fn send(&self, client_id: &str, message: Message) {
        self.sent.lock().unwrap().push((client_id.to_owned(), message));
    }
    fn retained(&self, topic: &str) -> Option<Message> {
        self.retained.lock().unwrap().get(topic).cloned()
    }
    fn all_retained(&self) -> Vec<Message> {
        self.retained.lock().unwrap().values().cloned().collect()
    }
    fn connection(&self, client_id: &str) -> Option<ConnectionInfo> {
        let connected = client_id == "here";
        (connected || client_id == "away").then(|| ConnectionInfo {
            connected,
            principal: "cert".into(),
            thing: Some("lamp".into()),
            since: Timestamp(5_000),
            disconnect_reason: (!connected).then_some("CONNECTION_LOST"),
            source: connected.then(|| "127.0.0.1:5555".parse().unwrap()),
            keep_alive: 30,
            clean_session: false,
            subscriptions: vec![
                ("b/#".to_owned(), QoS::AtLeastOnce),
                ("a/+".to_owned(), QoS::AtMostOnce),
            ],
        })
    }
    fn disconnect(&self, client_id: &str, _: bool, _: bool) -> bool {
        client_id == "here"
    }
}

impl Objects for Paper {
    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        *self.reads.lock().unwrap() += 1;
        let found = self.objects.lock().unwrap().get(&format!("{bucket}/{key}")).cloned();
        let version = version.map(str::to_owned);
        Box::pin(async move {
            let bytes =
                found.ok_or_else(|| Fault::new("NoSuchKey", 404, "there is no such key"))?;
            Ok(Object { etag: format!("\"{}\"", bytes.len()), bytes, version })
        })
    }
    fn put<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Bytes,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        Box::pin(async { Err(Fault::internal("unused")) })
    }
    fn presign(
        &self,
        _: &str,
        _: &str,
        _: Option<&str>,
        _: bool,
        _: Duration,
    ) -> Result<String, Fault> {
        Err(Fault::internal("unused"))
    }
}

fn world() -> (Arc<Cloud>, Arc<Paper>) {
    world_in(Store::memory())
}

fn world_in(store: Store) -> (Arc<Cloud>, Arc<Paper>) {
    let clock = Clock::stepped(Timestamp(1_767_225_600_000));
    let cloud = Cloud::new(Account::default(), clock, store);
    let paper = Arc::new(Paper::default());
    cloud.ports.serve_messages(paper.clone());
    cloud.ports.serve_objects(paper.clone());
    crate::install(&cloud).unwrap();
    (cloud, paper)
}

/// A device publishes on a reserved topic.
fn receive(cloud: &Cloud, topic: &str, payload: impl Into<Bytes>) {
    let publisher = Arc::new(Publisher {
        client_id: "device-1".into(),
        principal: "cert-1".into(),
        thing: Some("lamp".into()),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
    });
    let mut message = Message::new(topic, payload, cloud.clock.now());
    message.publisher = Some(publisher.clone());
    let families = cloud.ports.reserved();
    let family = families.iter().find(|family| family.owns(topic)).expect("nobody owns the topic");
    family.receive(&publisher, &message);
}

/// Lets tasks run until nothing more is to be done.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
