//! How much CPU one execution costs the service: notify, start, update.
//!
//! Ten thousand things are told, start and succeed, each by messages on the reserved
//! topics, with a presigned URL in every document. Broker and registry cost nothing
//! here; what they cost is measured where they live. Times are CPU times.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use iotstack_local_kernel::ports::{
    ConnectionInfo, Messages, Object, Objects, Registry, ThingInfo,
};
use iotstack_local_kernel::{BoxFuture, Fault, Message, Publisher, Reserved, testing};
use serde_json::json;

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let things = if std::env::args().any(|arg| arg == "--test") { 100 } else { 10_000 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return println!("there is no runtime") };
    runtime.block_on(run(things));
}

async fn run(things: usize) {
    let cloud = testing::cloud();
    let broker = Arc::new(Counter::default());
    cloud.ports.serve_messages(broker.clone());
    cloud.ports.serve_registry(Arc::new(Fleet(things)));
    cloud.ports.serve_objects(Arc::new(Signer));
    if let Err(error) = iotstack_local_jobs::install(&cloud) {
        return println!("jobs cannot be installed: {error}");
    }
    let url = "${aws:iot:s3-presigned-url-v2:https://firmware.s3.us-east-1.amazonaws.com/lamp.bin%3FversionId%3Dv7}";
    let input = json!({
        "jobId": "j1",
        "targets": [cloud.account.arn("iot", "thinggroup/all")],
        "document": json!({"operation": "firmware_update", "firmware": {"url": url}}).to_string(),
        "presignedUrlConfig": {"roleArn": "arn:aws:iam::123456789012:role/presigner"},
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 1000},
        "timeoutConfig": {"inProgressTimeoutInMinutes": 60},
    });
    let begin = cpu_seconds();
    let created = testing::call(&cloud, "iot", "CreateJob", input).await;
    assert!(created.is_ok(), "{created:?}");
    let mut told = 0;
    while told < things {
        told = (told + 1000).min(things);
        broker.wait(2 * told).await;
        cloud.clock.step(Duration::from_secs(60));
    }
    let notified = cpu_seconds();
    let families = cloud.ports.reserved();
    let topics = (0..things).map(|n| format!("$aws/things/lamp-{n}/jobs/start-next"));
    send(&families[0], topics, "{}", &broker).await;
    let started = cpu_seconds();
    let topics = (0..things).map(|n| format!("$aws/things/lamp-{n}/jobs/j1/update"));
    send(
        &families[0],
        topics,
        r#"{"status":"SUCCEEDED","statusDetails":{"version":"2"}}"#,
        &broker,
    )
    .await;
    let ended = cpu_seconds();
    let per = |from: f64, to: f64| (to - from) * 1e6 / things as f64;
    println!(
        "notify {:.1} µs, start {:.1} µs, update {:.1} µs",
        per(begin, notified),
        per(notified, started),
        per(started, ended)
    );
    println!("one execution: {:.1} µs of CPU", per(begin, ended));
}

async fn send(
    family: &Arc<dyn Reserved>,
    topics: impl Iterator<Item = String>,
    payload: &'static str,
    broker: &Counter,
) {
    let mut expected = broker.answers.load(Ordering::Relaxed);
    for topic in topics {
        let publisher = Arc::new(Publisher {
            client_id: "device".into(),
            principal: "certificate".into(),
            thing: None,
            source: std::net::Ipv4Addr::LOCALHOST.into(),
        });
        let at = iotstack_local_kernel::Timestamp(0);
        family.receive(&publisher, &Message::new(topic, payload, at));
        expected += 1;
        if expected.is_multiple_of(100) {
            while broker.answers.load(Ordering::Relaxed) < expected {
                tokio::task::yield_now().await;
            }
        }
    }
    while broker.answers.load(Ordering::Relaxed) < expected {
        tokio::task::yield_now().await;
    }
}

/// A broker that counts.
#[derive(Default)]
struct Counter {
    published: AtomicUsize,
    answers: AtomicUsize,
}

impl Counter {
    async fn wait(&self, published: usize) {
        while self.published.load(Ordering::Relaxed) < published {
            tokio::task::yield_now().await;
        }
    }
}

impl Messages for Counter {
    fn publish(&self, _: Message) {
        self.published.fetch_add(1, Ordering::Relaxed);
    }

    fn send(&self, _: &str, message: Message) {
        assert!(message.topic.ends_with("/accepted"), "{}", message.topic);
        self.answers.fetch_add(1, Ordering::Relaxed);
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

struct Fleet(usize);

impl Registry for Fleet {
    fn thing(&self, name: &str) -> Option<ThingInfo> {
        Some(ThingInfo { name: name.into(), ..ThingInfo::default() })
    }

    fn members(&self, _: &str) -> Option<Vec<Arc<str>>> {
        Some((0..self.0).map(|n| format!("lamp-{n}").into()).collect())
    }

    fn groups_of(&self, _: &str) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn events_enabled(&self, _: &str) -> bool {
        true
    }

    fn thing_of_certificate(&self, _: &str) -> Option<Arc<str>> {
        None
    }

    fn certificate_may(&self, _: &str, _: &str, _: &str) -> bool {
        true
    }
}

struct Signer;

impl Objects for Signer {
    fn get<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        Box::pin(std::future::ready(Err(Fault::not_implemented("reading here"))))
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
        _: bool,
        expires: Duration,
    ) -> Result<String, Fault> {
        Ok(format!(
            "https://{bucket}/{key}?versionId={version:?}&X-Amz-Expires={}",
            expires.as_secs()
        ))
    }
}

/// Seconds of CPU that the process has taken; 0 where the system does not tell.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program stands in brackets and may hold spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
    ticks / 100.0
}
