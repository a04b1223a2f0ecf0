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
    let details = |key: String, value: String| {
        json!({"status": "IN_PROGRESS", "statusDetails": {key: value}}).to_string()
    };
    let long_key = details("k".repeat(129), "v".to_owned());
    let long_value = details("k".to_owned(), "v".repeat(1025));
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
        ("j1/update", &long_key, "InvalidRequest"),
        ("j1/update", &long_value, "InvalidRequest"),
        ("j1/update", r#"{"status":"FAILED","statusDetails":{"a":"b\u0007"}}"#, "InvalidRequest"),
        ("start-next", r#"{"statusDetails":{"a":"b\u200b"}}"#, "InvalidRequest"),
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
async fn a_notification_lists_at_most_ten_executions() {
    let world = World::new();
    for number in 1..=12 {
        world.create(&format!("j{number}"), &["lamp-1"], json!({})).await.unwrap();
    }
    let ids = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap();
        list.iter().map(|each| each["jobId"].as_str().unwrap().to_owned()).collect()
    };
    let first = |count: usize| -> Vec<String> { (1..=count).map(|n| format!("j{n}")).collect() };
    let notify = format!("{JOBS}/notify");
    let told = world.published(&notify);
    assert_eq!(told.len(), 12);
    assert_eq!(ids(&told[11]["jobs"]["QUEUED"]), first(10));
    // What is in progress comes first and counts too.
    world.ask(&format!("{JOBS}/j12/update"), r#"{"status":"IN_PROGRESS"}"#).await;
    world.create("j13", &["lamp-1"], json!({})).await.unwrap();
    let told = world.published(&notify);
    assert_eq!(told.len(), 13);
    assert_eq!(ids(&told[12]["jobs"]["IN_PROGRESS"]), ["j12"]);
    assert_eq!(ids(&told[12]["jobs"]["QUEUED"]), first(9));
    let (_, body) = world.ask(&format!("{JOBS}/get"), "{}").await;
    assert_eq!((ids(&body["inProgressJobs"]).len(), ids(&body["queuedJobs"]).len()), (1, 12));
}

#[tokio::test]
async fn a_device_sees_how_much_time_is_left() {
    let world = World::new();
    let more = json!({"timeoutConfig": {"inProgressTimeoutInMinutes": 2}});
    world.create("j1", &["lamp-1"], more).await.unwrap();
    let left = |body: &Value| body["execution"]["approximateSecondsBeforeTimedOut"].clone();
    let (_, body) = world.ask(&format!("{JOBS}/j1/get"), "{}").await;
    assert_eq!(left(&body), Value::Null);
    let (_, body) = world.ask(&format!("{JOBS}/start-next"), "{}").await;
    assert_eq!(left(&body), 120);
    world.cloud.clock.step(Duration::from_secs(30));
    let (_, body) = world.ask(&format!("{JOBS}/j1/get"), "{}").await;
    assert_eq!(left(&body), 90);
    let step = r#"{"status":"IN_PROGRESS","stepTimeoutInMinutes":1}"#;
    world.ask(&format!("{JOBS}/j1/update"), step).await;
    let input = json!({"jobId": "j1", "thingName": "lamp-1"});
    assert_eq!(left(&world.call("DescribeJobExecution", input).await.unwrap()), 60);
}

#[tokio::test]
async fn a_job_with_a_namespace_is_told_on_a_topic_of_its_own() {
    let world = World::new();
    world.create("n1", &["lamp-1"], json!({"namespaceId": "space"})).await.unwrap();
    assert_eq!(world.topics(), [format!("{JOBS}/notify-namespace-space")]);
    let told = &world.published(&format!("{JOBS}/notify-namespace-space"))[0];
    assert_eq!(told["jobs"]["QUEUED"][0]["jobId"], "n1");
    let (_, body) = world.ask(&format!("{JOBS}/get"), "{}").await;
    assert_eq!((&body["inProgressJobs"], &body["queuedJobs"]), (&json!([]), &json!([])));
    let (_, body) = world.ask(&format!("{JOBS}/start-next"), "{}").await;
    assert_eq!(body.get("execution"), None);
    let (_, body) = world.ask(&format!("{JOBS}/n1/get"), "{}").await;
    assert_eq!(body["execution"]["jobId"], "n1");
    let report = r#"{"status":"SUCCEEDED"}"#;
    let (topic, _) = world.ask(&format!("{JOBS}/n1/update"), report).await;
    assert_eq!(topic, format!("{JOBS}/n1/update/accepted"));
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
