//! Who hears of changes to objects.
//!
//! Queues, functions and buses are of paper and write down what they hear.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use iotstack_local_kernel::ports::{BusEvent, EventBuses, Functions, Invoked, Queues};
use iotstack_local_kernel::{BoxFuture, Fault};
use serde_json::{Value, json};

use super::Bench;

const F: &str = "arn:aws:lambda:us-east-1:1:function:f";

/// Hears as a queue, a function and a bus.
#[derive(Default)]
struct Ears(Mutex<Vec<(String, Value)>>);

impl Ears {
    fn hear(&self, who: &str, what: Value) {
        self.0.lock().unwrap().push((who.to_owned(), what));
    }

    /// Waits until so many have been heard, and gives them.
    async fn heard(&self, count: usize) -> Vec<(String, Value)> {
        for _ in 0..1000 {
            if self.0.lock().unwrap().len() >= count {
                break;
            }
            tokio::task::yield_now().await;
        }
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Queues for Ears {
    fn send<'a>(&'a self, queue: &'a str, body: &'a str) -> BoxFuture<'a, Result<String, Fault>> {
        self.hear(queue, serde_json::from_str(body).unwrap());
        Box::pin(std::future::ready(Ok("id".to_owned())))
    }
}

impl Functions for Ears {
    fn invoke<'a>(&'a self, _: &'a str, _: Bytes) -> BoxFuture<'a, Result<Invoked, Fault>> {
        Box::pin(std::future::ready(Err(Fault::internal("unused"))))
    }

    fn invoke_event(&self, function: &str, payload: Bytes) {
        self.hear(function, serde_json::from_slice(&payload).unwrap());
    }

    fn permits(&self, function: &str, principal: &str, source: &str) -> bool {
        assert_eq!((principal, source), ("s3.amazonaws.com", "arn:aws:s3:::firmware"));
        function == F
    }
}

impl EventBuses for Ears {
    fn put<'a>(&'a self, bus: &'a str, event: BusEvent) -> BoxFuture<'a, Result<String, Fault>> {
        self.hear(bus, json!({"type": event.detail_type, "detail": event.detail}));
        Box::pin(std::future::ready(Ok("id".to_owned())))
    }
}

#[tokio::test]
async fn changes_reach_those_whose_events_and_filters_fit() {
    let bench = Bench::start().await;
    let ears = Arc::new(Ears::default());
    bench.cloud.ports.serve_queues(ears.clone());
    bench.cloud.ports.serve_functions(ears.clone());
    bench.cloud.ports.serve_event_buses(ears.clone());
    bench.bucket("firmware", true).await;
    let rule = |name: &str, value: &str| {
        format!("<FilterRule><Name>{name}</Name><Value>{value}</Value></FilterRule>")
    };
    let configuration = format!(
        "<NotificationConfiguration>\
         <QueueConfiguration><Id>q</Id><Queue>arn:aws:sqs:us-east-1:1:q</Queue>\
         <Event>s3:ObjectCreated:*</Event>\
         <Filter><S3Key>{}{}</S3Key></Filter></QueueConfiguration>\
         <CloudFunctionConfiguration><Id>f</Id><CloudFunction>arn:aws:lambda:us-east-1:1:function:f</CloudFunction>\
         <Event>s3:ObjectRemoved:DeleteMarkerCreated</Event></CloudFunctionConfiguration>\
         <CloudFunctionConfiguration><Id>g</Id><CloudFunction>arn:aws:lambda:us-east-1:1:function:g</CloudFunction>\
         <Event>s3:ObjectRemoved:*</Event></CloudFunctionConfiguration>\
         </NotificationConfiguration>",
        rule("prefix", "in/"),
        rule("suffix", ".bin"),
    );
    assert_eq!(bench.put("/firmware?notification", &configuration).await.status, 200);

    let heard = ears.heard(1).await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(
        (&heard[0].1["Event"], &heard[0].1["Bucket"]),
        (&json!("s3:TestEvent"), &json!("firmware"))
    );

    bench.put("/firmware/out/a.bin", "x").await;
    bench.put("/firmware/in/a.txt", "x").await;
    let version = bench.put("/firmware/in/a%20b.bin", "hello").await;
    let heard = ears.heard(1).await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    let (queue, message) = &heard[0];
    assert_eq!(queue, "arn:aws:sqs:us-east-1:1:q");
    let record = &message["Records"][0];
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["s3"]["configurationId"], "q");
    assert_eq!(record["s3"]["object"]["key"], "in/a+b.bin");
    assert_eq!(record["s3"]["object"]["size"], 5);
    assert_eq!(record["s3"]["object"]["versionId"], version.header("x-amz-version-id"));

    // The second function does not permit S3, and hears nothing.
    bench.delete("/firmware/in/a.txt").await;
    let heard = ears.heard(1).await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0].0, F);
}

#[tokio::test]
async fn the_bus_hears_everything_that_really_changed() {
    let bench = Bench::start().await;
    let ears = Arc::new(Ears::default());
    bench.cloud.ports.serve_event_buses(ears.clone());
    bench.bucket("firmware", false).await;
    let on = "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
    assert_eq!(bench.put("/firmware?notification", on).await.status, 200);
    bench.put("/firmware/a%20b", "x").await;
    bench.delete("/firmware/none").await;
    bench.delete("/firmware/a%20b").await;
    let heard = ears.heard(2).await;
    let types: Vec<_> = heard.iter().map(|(_, event)| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["Object Created", "Object Deleted"]);
    assert_eq!(heard[1].1["detail"]["deletion-type"], "Permanently Deleted");
}
