//! What happens by itself: rollouts, timers, groups, events, metrics, restarts.
//!
//! The clock is stepped by hand, and every wait is for something that must come.

use iotstack_local_kernel::{Account, Clock, Store, Timestamp};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_clock_that_is_stepped_lets_every_minute_happen() {
    let world = World::new();
    world.registry.group("lamps", 10);
    let more = json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 2}});
    world.create("j1", &["lamps"], more).await.unwrap();
    assert_eq!(world.counts("j1", "numberOfQueuedThings").await, 2);
    world.cloud.clock.step(Duration::from_secs(180));
    world.until(|sent| sent.published.len() == 16).await;
    assert_eq!(world.counts("j1", "numberOfQueuedThings").await, 8);
}

#[tokio::test]
async fn a_device_that_takes_too_long_is_timed_out() {
    let world = World::new();
    let more = json!({"timeoutConfig": {"inProgressTimeoutInMinutes": 1}});
    world.create("j1", &["lamp-1"], more).await.unwrap();
    world.ask("$aws/things/lamp-1/jobs/start-next", "{}").await;
    world.cloud.clock.step(Duration::from_secs(59));
    assert_eq!(world.counts("j1", "numberOfInProgressThings").await, 1);
    world.cloud.clock.step(Duration::from_secs(1));
    world.until_job("j1", "COMPLETED").await;
    assert_eq!(world.counts("j1", "numberOfTimedOutThings").await, 1);
}

#[tokio::test]
async fn things_that_join_and_leave_are_noticed() {
    let world = World::new();
    world.registry.group("lamps", 1);
    world.create("j1", &["lamps"], json!({"targetSelection": "CONTINUOUS"})).await.unwrap();
    world.moves("lamp-7", "lamps", true);
    let notify = "$aws/things/lamp-7/jobs/notify";
    world.until(|sent| sent.published.iter().any(|(topic, _)| topic == notify)).await;
    world.moves("lamp-0", "lamps", false);
    world.until(|sent| sent.published.len() == 6).await;
    assert_eq!(world.counts("j1", "numberOfRemovedThings").await, 1);
    let gone = CloudEvent::ThingChanged { thing: "lamp-7".into(), exists: false };
    world.moves("lamp-7", "lamps", false);
    world.cloud.bus.tell(&gone);
    world.until(|sent| sent.published.len() == 8).await;
    assert_eq!(world.counts("j1", "numberOfRemovedThings").await, 2);
}

#[tokio::test]
async fn events_are_published_when_they_are_enabled() {
    let world = World::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = heard.clone();
    world.cloud.bus.hear(move |event| {
        if let CloudEvent::JobChanged { status, .. } | CloudEvent::ExecutionChanged { status, .. } =
            event
        {
            told.lock().unwrap().push(*status);
        }
    });
    world.create("quiet", &["lamp-1"], json!({})).await.unwrap();
    world.ask("$aws/things/lamp-1/jobs/quiet/update", r#"{"status":"FAILED"}"#).await;
    world.until_job("quiet", "COMPLETED").await;
    assert!(!world.topics().iter().any(|topic| topic.starts_with("$aws/events/")));
    world.registry.enable("JOB");
    world.registry.enable("JOB_EXECUTION");
    world.create("j1", &["lamp-1"], json!({"description": "d"})).await.unwrap();
    let report = r#"{"status":"SUCCEEDED","statusDetails":{"version":"2"}}"#;
    world.ask("$aws/things/lamp-1/jobs/j1/update", report).await;
    let completed = "$aws/events/job/j1/completed";
    world.until(|sent| sent.published.iter().any(|(topic, _)| topic == completed)).await;
    let event = &world.published("$aws/events/jobExecution/j1/succeeded")[0];
    assert_eq!(event["eventType"], "JOB_EXECUTION");
    assert_eq!(event["operation"], "succeeded");
    assert_eq!(event["thingArn"], "arn:aws:iot:us-east-1:123456789012:thing/lamp-1");
    assert_eq!(event["statusDetails"], json!({"version": "2"}));
    let event = &world.published(completed)[0];
    let millis = world.cloud.clock.now().0;
    assert_eq!((&event["status"], &event["createdAt"]), (&json!("COMPLETED"), &json!(millis)));
    assert_eq!(event["completedAt"], json!(millis));
    assert_eq!(event["timestamp"], json!(millis / 1000));
    assert_eq!(event["jobProcessDetails"]["numberOfSucceededThings"], 1);
    assert_eq!(event["jobProcessDetails"].get("numberOfTimedOutThings"), None);
    assert_eq!(event.get("comment"), None);
    // What leaves can be read by those who share the types.
    iotstack_protocol::event::Event::from_json(event).unwrap();
    for status in ["QUEUED", "FAILED", "COMPLETED", "SUCCEEDED", "IN_PROGRESS"] {
        assert!(heard.lock().unwrap().contains(&status), "{status}");
    }
}

#[tokio::test]
async fn a_cancelled_and_deleted_job_says_so() {
    let world = World::new();
    world.registry.enable("JOB");
    world.create("j1", &["lamp-1"], json!({})).await.unwrap();
    world.call("CancelJob", json!({"jobId": "j1", "comment": "why"})).await.unwrap();
    world.call("DeleteJob", json!({"jobId": "j1"})).await.unwrap();
    world.cloud.clock.step(Duration::from_secs(1));
    let deleted = "$aws/events/job/j1/deleted";
    world.until(|sent| sent.published.iter().any(|(topic, _)| topic == deleted)).await;
    let events: Vec<String> =
        world.topics().into_iter().filter(|topic| topic.starts_with("$aws/events/")).collect();
    let expected = ["cancellation_in_progress", "canceled", "deletion_in_progress", "deleted"];
    assert_eq!(events, expected.map(|word| format!("$aws/events/job/j1/{word}")));
    assert_eq!(world.published(deleted)[0]["comment"], "why");
    assert_eq!(world.published(deleted)[0]["status"], "DELETED");
}

#[tokio::test]
async fn metrics_count_what_has_changed() {
    let world = World::new();
    world.registry.group("lamps", 3);
    world.create("j1", &["lamps"], json!({})).await.unwrap();
    world.ask("$aws/things/lamp-1/jobs/j1/update", r#"{"status":"SUCCEEDED"}"#).await;
    world.cloud.clock.step(Duration::from_secs(30));
    let found = |name: &str| {
        let values = world.metrics.0.lock().unwrap();
        values.iter().filter(|(n, ..)| n == name).map(|(_, _, value)| *value).sum::<f64>()
    };
    for _ in 0..5000 {
        if found("SuccededJobExecutionCount") > 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(found("QueuedJobExecutionCount"), 3.0);
    assert_eq!(found("QueuedJobExecutionTotalCount"), 2.0);
    assert_eq!(found("SuccededJobExecutionTotalCount"), 1.0);
}

fn stored(folder: &std::path::Path, at: i64) -> World {
    let clock = Clock::stepped(Timestamp(at));
    World::with(Cloud::new(Account::default(), clock, Store::open(folder).unwrap()))
}

#[tokio::test]
async fn a_rollout_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let world = stored(folder.path(), 1_767_225_600_000);
    world.registry.group("lamps", 4);
    let more = json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 2}});
    world.create("j1", &["lamps"], more).await.unwrap();
    world.ask("$aws/things/lamp-0/jobs/start-next", "{}").await;
    world.ask("$aws/things/lamp-0/jobs/j1/update", r#"{"status":"SUCCEEDED"}"#).await;
    drop(world);
    // The old tasks end by themselves; only then the database is free.
    let mut world = None;
    for _ in 0..500 {
        if let Ok(store) = Store::open(folder.path()) {
            let clock = Clock::stepped(Timestamp(1_767_225_610_000));
            world = Some(World::with(Cloud::new(Account::default(), clock, store)));
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let world = world.unwrap();
    assert_eq!(world.counts("j1", "numberOfSucceededThings").await, 1);
    assert_eq!(world.counts("j1", "numberOfQueuedThings").await, 1);
    let (topic, body) =
        world.ask("$aws/things/lamp-0/jobs/j1/update", r#"{"status":"SUCCEEDED"}"#).await;
    assert!(topic.ends_with("/rejected"), "{body}");
    world.cloud.clock.step(Duration::from_secs(60));
    world.until(|sent| sent.published.len() == 4).await;
    assert_eq!(world.counts("j1", "numberOfQueuedThings").await, 3);
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let world = stored(folder.path(), 1_767_225_600_000);
    world.registry.group("lamps", 3);
    let more = json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 3},
        "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}});
    world.create("j1", &["lamps"], more).await.unwrap();
    for (thing, request, payload, status, number, version) in [
        ("lamp-0", "start-next", "{}", "IN_PROGRESS", 1, 2),
        ("lamp-0", "j1/update", r#"{"status":"IN_PROGRESS"}"#, "IN_PROGRESS", 1, 3),
        ("lamp-1", "j1/update", r#"{"status":"FAILED"}"#, "QUEUED", 2, 1),
        ("lamp-0", "j1/update", r#"{"status":"SUCCEEDED"}"#, "SUCCEEDED", 1, 4),
        ("lamp-1", "start-next", "{}", "IN_PROGRESS", 2, 2),
        ("lamp-2", "j1/update", r#"{"status":"REJECTED"}"#, "REJECTED", 1, 2),
    ] {
        world.ask(&format!("$aws/things/{thing}/jobs/{request}"), payload).await;
        // What lies on the disk now is what a killed process leaves behind.
        let left = tempfile::tempdir().unwrap();
        std::fs::copy(folder.path().join("state.redb"), left.path().join("state.redb")).unwrap();
        let again = stored(left.path(), 1_767_225_600_000);
        let input = json!({"jobId": "j1", "thingName": thing});
        let found = again.call("DescribeJobExecution", input).await.unwrap();
        let found = &found["execution"];
        assert_eq!(found["status"], status, "{thing} {request}");
        assert_eq!(
            (&found["executionNumber"], &found["versionNumber"]),
            (&json!(number), &json!(version))
        );
    }
}
