//! What others are told of executions: an event and metrics for every way to end.
//!
//! Events of whole jobs are with the life of a job.

use http::Method;
use iotstack_local_kernel::Caller;
use serde_json::json;

use super::control::http;
use super::*;

/// Seven things on one continuous job; each of the first six leaves the queue in its way.
async fn seven(world: &World) {
    world.registry.group("lamps", 7);
    let more = json!({"targetSelection": "CONTINUOUS",
        "timeoutConfig": {"inProgressTimeoutInMinutes": 1}});
    world.create("j1", &["lamps"], more).await.unwrap();
    for (thing, status) in [("lamp-0", "SUCCEEDED"), ("lamp-1", "FAILED"), ("lamp-2", "REJECTED")] {
        let report = json!({"status": status, "statusDetails": {"said": status}}).to_string();
        let topic = format!("$aws/things/{thing}/jobs/j1/update");
        assert_eq!(world.ask(&topic, report).await.0, format!("{topic}/accepted"));
    }
    let input = json!({"jobId": "j1", "thingName": "lamp-3"});
    world.call("CancelJobExecution", input).await.unwrap();
    world.ask("$aws/things/lamp-4/jobs/start-next", "{}").await;
    world.moves("lamp-5", "lamps", false);
    // Told when it was queued, and when it was removed.
    let notify = "$aws/things/lamp-5/jobs/notify";
    world
        .until(|sent| sent.published.iter().filter(|(topic, _)| topic == notify).count() == 2)
        .await;
}

#[tokio::test]
async fn every_end_of_an_execution_has_its_event() {
    let world = World::new();
    world.registry.enable("JOB_EXECUTION");
    seven(&world).await;
    world.cloud.clock.step(Duration::from_secs(60));
    let input = json!({"jobId": "j1", "thingName": "lamp-6", "executionNumber": 1, "force": true});
    world.call("DeleteJobExecution", input).await.unwrap();
    let mut ids = BTreeSet::new();
    for (thing, operation, details) in [
        ("lamp-0", "succeeded", json!({"said": "SUCCEEDED"})),
        ("lamp-1", "failed", json!({"said": "FAILED"})),
        ("lamp-2", "rejected", json!({"said": "REJECTED"})),
        ("lamp-3", "canceled", json!({})),
        ("lamp-4", "timed_out", json!({})),
        ("lamp-5", "removed", json!({})),
        ("lamp-6", "deleted", json!({})),
    ] {
        let topic = format!("$aws/events/jobExecution/j1/{operation}");
        world.until(|sent| sent.published.iter().any(|(t, _)| *t == topic)).await;
        let told = world.published(&topic);
        assert_eq!(told.len(), 1, "{topic}");
        let mut event = told[0].clone();
        // Those who share the types can read it.
        iotstack_protocol::event::Event::from_json(&event).unwrap();
        let fields = event.as_object_mut().unwrap();
        let id = fields.remove("eventId").unwrap();
        assert_eq!(id.as_str().unwrap().len(), 36, "{id}");
        assert!(ids.insert(id.to_string()));
        assert!(fields.remove("timestamp").unwrap().is_u64());
        assert_eq!(
            event,
            json!({"eventType": "JOB_EXECUTION", "operation": operation, "jobId": "j1",
                "thingArn": format!("arn:aws:iot:us-east-1:123456789012:thing/{thing}"),
                "status": operation.to_uppercase(), "statusDetails": details})
        );
    }
    let events = "$aws/events/";
    assert_eq!(world.topics().iter().filter(|topic| topic.starts_with(events)).count(), 7);
}

#[tokio::test]
async fn every_state_with_a_metric_is_counted() {
    let world = World::new();
    seven(&world).await;
    world.cloud.clock.step(Duration::from_secs(30));
    for (name, entered, now) in [
        ("Queued", 7.0, 1.0),
        ("InProgress", 1.0, 1.0),
        // AWS spells it so.
        ("Succeded", 1.0, 1.0),
        ("Failed", 1.0, 1.0),
        ("Canceled", 1.0, 1.0),
        ("Rejected", 1.0, 1.0),
        ("Removed", 1.0, 1.0),
    ] {
        let count = format!("{name}JobExecutionCount");
        let total = format!("{name}JobExecutionTotalCount");
        for _ in 0..5000 {
            if !world.values(&total, "j1").is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(world.values(&count, "j1").iter().sum::<f64>(), entered, "{count}");
        assert_eq!(world.values(&total, "j1").last(), Some(&now), "{total}");
    }
    let values = world.metrics.0.lock().unwrap();
    assert!(values.iter().all(|(name, ..)| !name.contains("TimedOut")));
}

#[tokio::test]
async fn errors_are_counted_by_whose_they_are() {
    let world = World::new();
    let broken = "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/broken/k}";
    let more = json!({
        "document": json!({"url": broken}).to_string(),
        "presignedUrlConfig": {"roleArn": "arn:aws:iam::123456789012:role/presigner"},
    });
    world.create("j1", &["lamp-1"], more).await.unwrap();
    let errors = || {
        ["ClientErrorCount", "ServerErrorCount"]
            .map(|name| world.values(name, "j1").iter().sum::<f64>())
    };
    let device = async |method, path: &str, body| {
        let uri = format!("/things/lamp-1/jobs/{path}");
        let caller = Caller::Device { certificate_id: "c1".to_owned() };
        http(&world, "iot-jobs-data", method, &uri, body, caller).await
    };
    // The document cannot be handed out, whoever asks for it.
    let (_, body) = world.ask("$aws/things/lamp-1/jobs/start-next", "{}").await;
    assert_eq!(body["code"], "InternalError");
    assert_eq!(errors(), [0.0, 1.0]);
    let (status, kind, _) = device(Method::GET, "j1", Value::Null).await;
    assert_eq!((status, kind.as_str()), (500, "InternalFailureException"));
    assert_eq!(errors(), [0.0, 2.0]);
    // A version that does not fit is the device's own error.
    let report = json!({"status": "FAILED", "expectedVersion": 9});
    world.ask("$aws/things/lamp-1/jobs/j1/update", report.to_string()).await;
    assert_eq!(errors(), [1.0, 2.0]);
    assert_eq!(device(Method::POST, "j1", report.clone()).await.0, 409);
    assert_eq!(errors(), [2.0, 2.0]);
    // What does not exist is not counted, or devices could fill the metrics with names.
    world.ask("$aws/things/lamp-1/jobs/j9/update", report.to_string()).await;
    assert_eq!(device(Method::POST, "j9", report).await.0, 404);
    assert!(world.values("ClientErrorCount", "j9").is_empty());
}
