//! The reserved topics, as a device sees them.
//!
//! Requests reach the service as the broker hands them over; answers must go to the
//! client that asked, to the letter of the wire.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::*;

const JOBS: &str = "$aws/things/lamp-1/jobs";

#[tokio::test]
async fn a_device_is_told_starts_and_succeeds() {
    let world = World::new();
    world.create("j1", &["lamp-1"], json!({})).await.unwrap();
    assert_eq!(world.topics(), [format!("{JOBS}/notify"), format!("{JOBS}/notify-next")]);
    let at = world.cloud.clock.now().seconds();
    let summary = json!({"jobId": "j1", "queuedAt": at, "lastUpdatedAt": at, "versionNumber": 1,
        "executionNumber": 1});
    let notify = &world.published(&format!("{JOBS}/notify"))[0];
    assert_eq!(*notify, json!({"timestamp": at, "jobs": {"QUEUED": [summary]}}));
    let next = &world.published(&format!("{JOBS}/notify-next"))[0];
    assert_eq!(next["execution"]["jobDocument"], json!({"do": "it"}));
    assert_eq!(next["execution"]["status"], "QUEUED");

    world.cloud.clock.step(Duration::from_secs(5));
    let (topic, body) = world
        .ask(&format!("{JOBS}/start-next"), r#"{"clientToken":"t1","statusDetails":{"a":"b"}}"#)
        .await;
    assert_eq!(topic, format!("{JOBS}/start-next/accepted"));
    assert_eq!(
        body,
        json!({"timestamp": at + 5, "clientToken": "t1", "execution": {
            "jobId": "j1", "thingName": "lamp-1", "status": "IN_PROGRESS",
            "statusDetails": {"a": "b"}, "queuedAt": at, "startedAt": at + 5,
            "lastUpdatedAt": at + 5, "versionNumber": 2, "executionNumber": 1,
            "jobDocument": {"do": "it"}}})
    );
    let report = r#"{"status":"SUCCEEDED","expectedVersion":"2","includeJobExecutionState":true,
        "includeJobDocument":true,"clientToken":"t2"}"#;
    let (topic, body) = world.ask(&format!("{JOBS}/j1/update"), report).await;
    assert_eq!(topic, format!("{JOBS}/j1/update/accepted"));
    assert_eq!(
        body,
        json!({"timestamp": at + 5, "clientToken": "t2", "jobDocument": {"do": "it"},
            "executionState": {"status": "SUCCEEDED", "statusDetails": {"a": "b"}, "versionNumber": 3}})
    );
    world.until(|sent| sent.published.len() == 4).await;
    assert_eq!(
        world.published(&format!("{JOBS}/notify"))[1],
        json!({"timestamp": at + 5, "jobs": {}})
    );
    assert_eq!(world.published(&format!("{JOBS}/notify-next"))[1], json!({"timestamp": at + 5}));
    world.until_job("j1", "COMPLETED").await;
}

#[tokio::test]
async fn the_lists_and_one_execution_are_answered() {
    let world = World::new();
    world.create("j1", &["lamp-1"], json!({})).await.unwrap();
    world.cloud.clock.step(Duration::from_millis(1));
    world.create("j2", &["lamp-1"], json!({})).await.unwrap();
    world.ask(&format!("{JOBS}/j2/update"), r#"{"status":"IN_PROGRESS"}"#).await;
    // An empty message asks for everything by default.
    let (topic, body) = world.ask(&format!("{JOBS}/get"), "").await;
    assert_eq!(topic, format!("{JOBS}/get/accepted"));
    assert_eq!(body["inProgressJobs"][0]["jobId"], "j2");
    assert_eq!(body["queuedJobs"][0]["jobId"], "j1");
    let (topic, body) = world.ask(&format!("{JOBS}/$next/get"), "{}").await;
    assert_eq!(topic, format!("{JOBS}/$next/get/accepted"));
    assert_eq!(body["execution"]["jobId"], "j2");
    let without = r#"{"includeJobDocument":false,"executionNumber":1}"#;
    let (_, body) = world.ask(&format!("{JOBS}/j1/get"), without).await;
    assert_eq!(body["execution"]["jobId"], "j1");
    assert_eq!(body["execution"].get("jobDocument"), None);
    let (_, body) = world.ask("$aws/things/lamp-7/jobs/start-next", "{}").await;
    assert_eq!(body.get("execution"), None);
    let (_, body) = world.ask("$aws/things/lamp-7/jobs/$next/get", "{}").await;
    assert_eq!(body.get("execution"), None);
}

#[tokio::test]
async fn refusals_have_the_codes_of_the_service() {
    let world = World::new();
    world.create("j1", &["lamp-1"], json!({})).await.unwrap();
    world.create("j2", &["lamp-1"], json!({})).await.unwrap();
    world.ask(&format!("{JOBS}/j2/update"), r#"{"status":"REJECTED"}"#).await;
    let many: Vec<String> = (0..11).map(|n| format!("\"k{n}\":\"v\"")).collect();
    let many = format!(r#"{{"status":"IN_PROGRESS","statusDetails":{{{}}}}}"#, many.join(","));
    for (topic, payload, code) in [
        ("notify", "{}", "InvalidTopic"),
        ("get/accepted", "{}", "InvalidTopic"),
        ("j1/delete", "{}", "InvalidTopic"),
        ("get", "{", "InvalidJson"),
        ("get", "[]", "InvalidJson"),
        ("get", "\u{1}\u{ff}", "InvalidJson"),
        ("j1/update", "{}", "InvalidRequest"),
        ("j1/update", r#"{"status":"DONE"}"#, "InvalidRequest"),
        ("j1/update", r#"{"status":"FAILED","statusDetails":{"a":1}}"#, "InvalidRequest"),
        ("j1/update", r#"{"status":"FAILED","expectedVersion":"one"}"#, "InvalidRequest"),
        ("j1/update", &many, "InvalidRequest"),
        ("start-next", r#"{"stepTimeoutInMinutes":0}"#, "InvalidRequest"),
        ("j9/update", r#"{"status":"FAILED"}"#, "ResourceNotFound"),
        ("j9/get", "{}", "ResourceNotFound"),
        ("j1/get", r#"{"executionNumber":7}"#, "ResourceNotFound"),
        ("j1/update", r#"{"status":"QUEUED"}"#, "InvalidStateTransition"),
        ("j2/update", r#"{"status":"SUCCEEDED"}"#, "InvalidStateTransition"),
        ("j1/update", r#"{"status":"FAILED","expectedVersion":9}"#, "VersionMismatch"),
        ("j2/get", "{}", "TerminalStateReached"),
    ] {
        let (answered, body) = world.ask(&format!("{JOBS}/{topic}"), payload.to_owned()).await;
        assert_eq!(answered, format!("{JOBS}/{topic}/rejected"));
        assert_eq!(body["code"], code, "{topic} {payload}: {body}");
        assert!(body["message"].as_str().is_some_and(|text| !text.is_empty()));
        let carries_state = matches!(code, "InvalidStateTransition" | "VersionMismatch");
        assert_eq!(body.get("executionState").is_some(), carries_state, "{body}");
    }
    let (_, body) = world
        .ask(&format!("{JOBS}/j2/update"), r#"{"status":"SUCCEEDED","clientToken":"again"}"#)
        .await;
    assert_eq!(body["clientToken"], "again");
    let state = json!({"status": "REJECTED", "statusDetails": {}, "versionNumber": 2});
    assert_eq!(body["executionState"], state);
    let errors = world.metrics.0.lock().unwrap();
    assert!(errors.iter().any(|(name, job, _)| name == "ClientErrorCount" && job == "j2"));
}

#[tokio::test]
async fn a_url_is_signed_when_the_device_asks() {
    let world = World::new();
    world.create("j1", &["lamp-1"], download()).await.unwrap();
    let url = json!({"firmware": {"url": "get firmware lamp.bin v7 300"}});
    let next = &world.published(&format!("{JOBS}/notify-next"))[0];
    assert_eq!(next["execution"]["jobDocument"], url);
    let (_, body) = world.ask(&format!("{JOBS}/start-next"), "{}").await;
    assert_eq!(body["execution"]["jobDocument"], url);
    let (_, body) = world.ask(&format!("{JOBS}/j1/get"), "{}").await;
    assert_eq!(body["execution"]["jobDocument"], url);
    let document = world.call("GetJobDocument", json!({"jobId": "j1"})).await.unwrap();
    assert!(document["document"].as_str().unwrap().contains("${aws:iot:s3-presigned-url-v2:"));
}

#[tokio::test]
async fn a_place_for_an_upload_is_bound_to_the_execution() {
    let world = World::new();
    let upload = "${aws:iot:s3-presigned-url-upload:https://s3.us-east-1.amazonaws.com/logs/${thingName}/${jobId}-${executionNumber}}";
    let more = json!({
        "document": json!({"logs": upload}).to_string(),
        "presignedUrlConfig": {"roleArn": "arn:aws:iam::123456789012:role/presigner"},
    });
    world.create("j1", &["lamp-1"], more).await.unwrap();
    let (_, body) = world.ask(&format!("{JOBS}/start-next"), "{}").await;
    let document = &body["execution"]["jobDocument"];
    assert_eq!(document["logs"], "put logs lamp-1/j1-1 - 3600");
}

#[tokio::test]
async fn a_url_that_cannot_be_signed_is_a_fault_of_the_service() {
    let world = World::new();
    let broken = "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/broken/k}";
    let more = json!({
        "document": json!({"url": broken}).to_string(),
        "presignedUrlConfig": {"roleArn": "arn:aws:iam::123456789012:role/presigner"},
    });
    world.create("j1", &["lamp-1"], more).await.unwrap();
    let (topic, body) = world.ask(&format!("{JOBS}/start-next"), "{}").await;
    assert_eq!(topic, format!("{JOBS}/start-next/rejected"));
    assert_eq!(body["code"], "InternalError");
}

#[tokio::test]
async fn other_topics_belong_to_others() {
    let world = World::new();
    let families = world.cloud.ports.reserved();
    for topic in [
        "$aws/things/lamp-1/shadow/get",
        "$aws/things/lamp-1/jobs",
        "$aws/things//jobs/get",
        "$aws/events/job/j1/completed",
        "lamps/jobs/get",
    ] {
        assert!(!families.iter().any(|family| family.owns(topic)), "{topic}");
    }
}

#[tokio::test]
async fn a_flood_is_throttled_and_every_request_is_answered() {
    let world = World::new();
    world.create("j1", &["lamp-1"], json!({})).await.unwrap();
    let publisher = Arc::new(Publisher {
        client_id: "lamp-1".into(),
        principal: "certificate".into(),
        thing: None,
        source: std::net::Ipv4Addr::LOCALHOST.into(),
    });
    let families = world.cloud.ports.reserved();
    let topic = format!("{JOBS}/get");
    let message = Message::new(topic.as_str(), r#"{"clientToken":"t"}"#, world.cloud.clock.now());
    // Nothing is sent while this task does not wait, so that the outbox fills up.
    for _ in 0..5000 {
        families[0].receive(&publisher, &message);
    }
    world.until(|sent| sent.sent.len() == 5000).await;
    let sent = world.broker.lock();
    let throttled = sent.sent.iter().filter(|(_, _, body)| body["code"] == "RequestThrottled");
    assert_eq!(throttled.count(), 5000 - 4096);
    assert!(sent.sent.iter().all(|(_, _, body)| body["clientToken"] == "t"));
}

#[tokio::test]
async fn whatever_a_device_sends_is_answered_once() {
    let world = World::new();
    world.create("j1", &["lamp-1"], json!({})).await.unwrap();
    let field = prop::sample::select(vec![
        "status",
        "statusDetails",
        "expectedVersion",
        "executionNumber",
        "stepTimeoutInMinutes",
        "includeJobDocument",
        "includeJobExecutionState",
        "clientToken",
        "other",
    ]);
    let value = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,80}".prop_map(Value::from),
        Just(json!("IN_PROGRESS")),
        Just(json!({"a": "b"})),
        Just(json!({"a": {"b": [1]}})),
        Just(json!(["x"])),
    ];
    let fields = prop::collection::btree_map(field, value, 0..6);
    let payload = prop_oneof![
        3 => fields.prop_map(|fields| json!(fields).to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ];
    let topic = prop_oneof![
        prop::sample::select(vec![
            "get",
            "start-next",
            "j1/get",
            "j1/update",
            "$next/get",
            "$next/update"
        ])
        .prop_map(str::to_owned),
        "[a-z$/-]{1,40}",
    ];
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let strategy = (topic, payload);
    for number in 1..=400 {
        let (topic, payload) = strategy.new_tree(&mut runner).unwrap().current();
        let topic = format!("{JOBS}/{topic}");
        let (answered, body) = world.ask(&topic, payload).await;
        assert!(answered == format!("{topic}/accepted") || answered == format!("{topic}/rejected"));
        assert!(body["timestamp"].is_u64(), "{body}");
        assert_eq!(world.broker.lock().sent.len(), number);
    }
}
