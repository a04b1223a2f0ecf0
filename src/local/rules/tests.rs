//! Rules in a cloud of which everything else is made of paper.
//!
//! The paper services write down what they are told; tests read that. The engine runs
//! on the test's own thread, so that giving way is enough to let it work.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use iotstack_local_kernel::ports::{
    ConnectionInfo, Credentials, Functions, Identity, Invoked, LogStreams, Messages, Metrics,
    Object, Objects, Queues, SessionKeys, Shadows, Tables, Topics,
};
use iotstack_local_kernel::testing::{call, cloud};
use iotstack_local_kernel::{
    BoxFuture, Caller, Cloud, Fault, Message, Publisher, ResourceRequest, Store, Timestamp,
};
use serde_json::{Value, json};

/// Everything that rules can reach; it writes down what it was told.
#[derive(Default)]
struct Paper {
    cloud: Mutex<std::sync::Weak<Cloud>>,
    told: Mutex<Vec<String>>,
    metrics: Mutex<BTreeMap<String, f64>>,
    denied: Mutex<Vec<&'static str>>,
}

impl Paper {
    fn tell(&self, line: String) {
        self.told.lock().unwrap().push(line);
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    fn metric(&self, name: &str) -> f64 {
        self.metrics.lock().unwrap().get(name).copied().unwrap_or(0.0)
    }
}

impl Messages for Paper {
    fn publish(&self, message: Message) {
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        let headers = message.properties.as_ref().map_or(String::new(), |p| format!(" {p:?}"));
        self.tell(format!("publish {} {:?} {text}{headers}", message.topic, message.qos));
        let cloud = self.cloud.lock().unwrap().upgrade().unwrap();
        for listener in cloud.ports.listeners() {
            listener.heard(&message);
        }
    }
    fn send(&self, _: &str, _: Message) {}
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

impl Functions for Paper {
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<Invoked, Fault>> {
        Box::pin(async move {
            if function.ends_with(":slow") {
                std::future::pending::<()>().await;
            }
            let error = function.ends_with(":broken").then(|| "Unhandled".to_owned());
            Ok(Invoked { payload, error })
        })
    }
    fn invoke_event(&self, function: &str, payload: Bytes) {
        self.tell(format!("invoke {function} {}", String::from_utf8_lossy(&payload)));
    }
    fn permits(&self, _: &str, principal: &str, source_arn: &str) -> bool {
        principal == "iot.amazonaws.com" && !source_arn.ends_with("rule/stranger")
    }
}

impl Topics for Paper {
    fn publish<'a>(
        &'a self,
        topic_arn: &'a str,
        message: &'a str,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        self.tell(format!("notify {topic_arn} {message}"));
        Box::pin(async { Ok("id".to_owned()) })
    }
}

impl Queues for Paper {
    fn send<'a>(&'a self, queue: &'a str, body: &'a str) -> BoxFuture<'a, Result<String, Fault>> {
        self.tell(format!("send {queue} {body}"));
        Box::pin(async { Ok("id".to_owned()) })
    }
}

impl Objects for Paper {
    fn get<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        Box::pin(async { Err(Fault::new("NoSuchKey", 404, "none")) })
    }
    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        bytes: Bytes,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        Box::pin(async move {
            // Waits once, as a real disk does.
            tokio::task::yield_now().await;
            if bucket == "missing" {
                return Err(Fault::new("NoSuchBucket", 404, "the bucket does not exist"));
            }
            self.tell(format!("put {bucket}/{key} {}", String::from_utf8_lossy(&bytes)));
            Ok(Object { bytes, etag: String::new(), version: None })
        })
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

impl Tables for Paper {
    fn put_item<'a>(&'a self, table: &'a str, item: Value) -> BoxFuture<'a, Result<(), Fault>> {
        self.tell(format!("item {table} {item}"));
        Box::pin(async { Ok(()) })
    }
}

impl Metrics for Paper {
    fn put(
        &self,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        value: f64,
        unit: &str,
    ) {
        if namespace == "AWS/IoT" {
            let mut key = name.to_owned();
            dimensions.iter().for_each(|(_, value)| key = format!("{key} {value}"));
            *self.metrics.lock().unwrap().entry(key).or_default() += value;
        } else {
            self.tell(format!("metric {namespace} {name} {value} {unit}"));
        }
    }
    fn set_alarm_state(&self, alarm: &str, state: &str, reason: &str) -> Result<(), Fault> {
        self.tell(format!("alarm {alarm} {state} {reason}"));
        Ok(())
    }
}

impl LogStreams for Paper {
    fn write(&self, group: &str, stream: &str, lines: &[(Timestamp, String)]) {
        for (at, line) in lines {
            self.tell(format!("log {group} {stream} {} {line}", at.millis()));
        }
    }
}

impl Shadows for Paper {
    fn shadow(&self, thing: &str, name: Option<&str>) -> Option<Arc<Value>> {
        (thing == "lamp" && name.is_none())
            .then(|| Arc::new(json!({"state": {"desired": {"on": true}}})))
    }
}

impl Credentials for Paper {
    fn identity(&self, _: &str) -> Option<Identity> {
        None
    }
    fn allows(&self, _: &Caller, action: &str, _: &str) -> bool {
        !self.denied.lock().unwrap().contains(&action)
    }
    fn assume(&self, role_arn: &str, _: &str, service: &str) -> Result<SessionKeys, Fault> {
        assert_eq!(service, "iot.amazonaws.com");
        if role_arn.ends_with("/untrusting") {
            return Err(Fault::new("AccessDenied", 403, "the role does not trust it"));
        }
        Ok(SessionKeys {
            access_key_id: "ASIA".into(),
            secret_access_key: String::new(),
            session_token: String::new(),
            expires: Timestamp(0),
        })
    }
}

fn world() -> (Arc<Cloud>, Arc<Paper>) {
    let cloud = cloud();
    let paper = Arc::new(Paper::default());
    *paper.cloud.lock().unwrap() = Arc::downgrade(&cloud);
    cloud.ports.serve_messages(paper.clone());
    cloud.ports.serve_functions(paper.clone());
    cloud.ports.serve_topics(paper.clone());
    cloud.ports.serve_queues(paper.clone());
    cloud.ports.serve_objects(paper.clone());
    cloud.ports.serve_tables(paper.clone());
    cloud.ports.serve_metrics(paper.clone());
    cloud.ports.serve_log_streams(paper.clone());
    cloud.ports.serve_shadows(paper.clone());
    cloud.ports.serve_credentials(paper.clone());
    crate::install(&cloud).unwrap();
    (cloud, paper)
}

const ROLE: &str = "arn:aws:iam::123456789012:role/rules";

async fn create(cloud: &Cloud, name: &str, mut payload: Value) -> Result<Value, Fault> {
    payload["ruleName"] = name.into();
    if payload.get("awsIotSqlVersion").is_none() {
        payload["awsIotSqlVersion"] = "2016-03-23".into();
    }
    call(cloud, "iot", "CreateTopicRule", payload).await
}

fn device_message(topic: &str, payload: &str) -> Message {
    let mut message = Message::new(topic, payload.to_owned(), Timestamp(0));
    message.publisher = Some(Arc::new(Publisher {
        client_id: "device-1".into(),
        principal: "cert-1".into(),
        thing: None,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }));
    message
}

fn hear(cloud: &Cloud, topic: &str, payload: &str) {
    for listener in cloud.ports.listeners() {
        listener.heard(&device_message(topic, payload));
    }
}

/// Lets the engine work until it has told `count` lines, and a little longer.
async fn until(paper: &Paper, count: usize) -> Vec<String> {
    for _ in 0..10_000 {
        if paper.told().len() >= count {
            break;
        }
        tokio::task::yield_now().await;
    }
    settle().await;
    paper.told()
}

async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn every_action_reaches_its_service() {
    let (cloud, paper) = world();
    let rows = [
        (
            json!({"lambda": {"functionArn": "arn:aws:lambda:us-east-1:123456789012:function:f"}}),
            r#"invoke arn:aws:lambda:us-east-1:123456789012:function:f {"t":21,"d":"lamp"}"#,
        ),
        (
            json!({"republish": {"roleArn": ROLE, "topic": "out/${topic(2)}", "qos": 1}}),
            r#"publish out/lamp AtLeastOnce {"t":21,"d":"lamp"}"#,
        ),
        (
            json!({"sns": {"roleArn": ROLE, "targetArn": "arn:aws:sns:us-east-1:123456789012:alerts"}}),
            r#"notify arn:aws:sns:us-east-1:123456789012:alerts {"t":21,"d":"lamp"}"#,
        ),
        (
            json!({"sqs": {"roleArn": ROLE, "queueUrl": "http://127.0.0.1/123456789012/q", "useBase64": true}}),
            "send http://127.0.0.1/123456789012/q eyJ0IjoyMSwiZCI6ImxhbXAifQ==",
        ),
        (
            json!({"s3": {"roleArn": ROLE, "bucketName": "data", "key": "${topic(2)}/${timestamp()}.json"}}),
            r#"put data/lamp/1767225600000.json {"t":21,"d":"lamp"}"#,
        ),
        (
            json!({"dynamoDBv2": {"roleArn": ROLE, "putItem": {"tableName": "readings"}}}),
            r#"item readings {"t":{"N":"21"},"d":{"S":"lamp"}}"#,
        ),
        (
            json!({"dynamoDB": {"roleArn": ROLE, "tableName": "readings", "hashKeyField": "id",
            "hashKeyValue": "${topic(2)}", "rangeKeyField": "at", "rangeKeyValue": "${t}", "rangeKeyType": "NUMBER"}}),
            r#"item readings {"id":{"S":"lamp"},"at":{"N":"21"},"payload":{"M":{"t":{"N":"21"},"d":{"S":"lamp"}}}}"#,
        ),
        (
            json!({"cloudwatchMetric": {"roleArn": ROLE, "metricNamespace": "Plant", "metricName": "T",
            "metricValue": "${t}", "metricUnit": "None"}}),
            "metric Plant T 21 None",
        ),
        (
            json!({"cloudwatchAlarm": {"roleArn": ROLE, "alarmName": "hot", "stateReason": "${t}", "stateValue": "ALARM"}}),
            "alarm hot ALARM 21",
        ),
        (
            json!({"cloudwatchLogs": {"roleArn": ROLE, "logGroupName": "/plant"}}),
            r#"log /plant rule_9 1767225600000 {"t":21,"d":"lamp"}"#,
        ),
    ];
    for (place, (action, expected)) in rows.into_iter().enumerate() {
        paper.told.lock().unwrap().clear();
        let name = format!("rule_{place}");
        create(
            &cloud,
            &name,
            json!({
                "sql": "SELECT t, topic(2) AS d FROM 'in/+' WHERE t > 20",
                "actions": [action],
            }),
        )
        .await
        .unwrap();
        hear(&cloud, "in/lamp", r#"{"t":19}"#);
        hear(&cloud, "in/lamp", r#"{"t":21}"#);
        hear(&cloud, "other", r#"{"t":21}"#);
        assert_eq!(until(&paper, 1).await, [expected]);
        call(&cloud, "iot", "DeleteTopicRule", json!({"ruleName": name})).await.unwrap();
    }
    assert_eq!(paper.metric("TopicMatch rule_0"), 2.0);
    assert_eq!(paper.metric("Success rule_0 Lambda"), 1.0);
    assert_eq!(paper.metric("Success rule_5 DynamoDBv2"), 1.0);
    assert_eq!(paper.metric("RulesExecuted"), 10.0);
}

#[tokio::test]
async fn messages_that_pass_unchanged_keep_their_bytes_and_their_order() {
    let (cloud, paper) = world();
    create(
        &cloud,
        "copy",
        json!({
            "sql": "SELECT * FROM 'in/#'",
            "actions": [{"republish": {"roleArn": ROLE, "topic": "copy"}}],
        }),
    )
    .await
    .unwrap();
    let sent: Vec<String> = (0..50).map(|n| format!("{{ \"n\" :  {n} }} not json")).collect();
    sent.iter().for_each(|payload| hear(&cloud, "in/a", payload));
    let expected: Vec<String> =
        sent.iter().map(|payload| format!("publish copy AtMostOnce {payload}")).collect();
    assert_eq!(until(&paper, 50).await, expected);
}

#[tokio::test]
async fn republish_sets_headers_and_writes_to_reserved_topics() {
    let (cloud, paper) = world();
    create(&cloud, "headers", json!({
        "sql": "SELECT * FROM 'in'",
        "actions": [{"republish": {"roleArn": ROLE, "topic": "out", "headers": {
            "payloadFormatIndicator": "UTF8_DATA", "contentType": "${type}", "messageExpiry": "60",
            "correlationData": "YWJj", "userProperties": [{"key": "k", "value": "${clientid()}"}]}}}],
    }))
    .await
    .unwrap();
    hear(&cloud, "in", r#"{"type":"text/x"}"#);
    let told = until(&paper, 1).await;
    for part in [
        "payload_is_text: Some(true)",
        "content_type: Some(\"text/x\")",
        "expiry_seconds: Some(60)",
        "correlation_data: Some(b\"abc\")",
        "user: [(\"k\", \"device-1\")]",
    ] {
        assert!(told[0].contains(part), "{part}: {}", told[0]);
    }
    // A reserved topic goes to whoever answers it, here to a rule by Basic Ingest.
    create(
        &cloud,
        "on",
        json!({
            "sql": "SELECT VALUE topic() FROM 'go'",
            "actions": [{"republish": {"roleArn": ROLE, "topic": "$$aws/rules/direct/a/b"}}],
        }),
    )
    .await
    .unwrap();
    create(
        &cloud,
        "direct",
        json!({
            "sql": "SELECT topic() AS topic, topic(1) AS first",
            "actions": [{"republish": {"roleArn": ROLE, "topic": "arrived"}}],
        }),
    )
    .await
    .unwrap();
    hear(&cloud, "go", "{}");
    let told = until(&paper, 2).await;
    assert_eq!(told[1], r#"publish arrived AtMostOnce {"topic":"a/b","first":"a"}"#);
}

#[tokio::test]
async fn a_failed_action_is_told_to_the_error_action_once() {
    let (cloud, paper) = world();
    create(
        &cloud,
        "store",
        json!({
            "sql": "SELECT * FROM 'in'",
            "actions": [
                {"s3": {"roleArn": ROLE, "bucketName": "missing", "key": "k"}},
                {"sqs": {"roleArn": ROLE, "queueUrl": "http://127.0.0.1/1/orders.fifo"}},
                {"s3": {"roleArn": ROLE, "bucketName": "good", "key": "k"}},
            ],
            "errorAction": {"republish": {"roleArn": ROLE, "topic": "errors/${topic(1)}"}},
        }),
    )
    .await
    .unwrap();
    hear(&cloud, "in", r#"{"t":1}"#);
    let told = until(&paper, 2).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], r#"put good/k {"t":1}"#);
    let (topic, payload) = told[1].split_once(" AtMostOnce ").unwrap();
    assert_eq!(topic, "publish errors/in");
    let payload: Value = serde_json::from_str(payload).unwrap();
    assert_eq!(payload["ruleName"], "store");
    assert_eq!(payload["topic"], "in");
    assert_eq!(payload["clientId"], "device-1");
    assert_eq!(payload["base64OriginalPayload"], "eyJ0IjoxfQ==");
    assert_eq!(payload["cloudwatchTraceId"].as_str().unwrap().len(), 36);
    let failures = payload["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 2);
    assert_eq!(failures[0]["failedAction"], "S3Action");
    assert_eq!(failures[0]["failedResource"], "missing");
    assert!(failures[0]["errorMessage"].as_str().unwrap().contains("NoSuchBucket"));
    assert_eq!(failures[1]["failedAction"], "SqsAction");
    assert!(failures[1]["errorMessage"].as_str().unwrap().contains("FIFO"));
    assert_eq!(paper.metric("Failure store S3"), 1.0);
    assert_eq!(paper.metric("Success store S3"), 1.0);
    assert_eq!(paper.metric("ErrorActionSuccess store Republish"), 1.0);
}

#[tokio::test]
async fn an_action_may_only_what_its_role_may() {
    let (cloud, paper) = world();
    let error = json!({"cloudwatchLogs": {"roleArn": ROLE, "logGroupName": "/errors"}});
    let function =
        json!({"lambda": {"functionArn": "arn:aws:lambda:us-east-1:123456789012:function:f"}});
    for (name, action, reason) in [
        ("stranger", function, "does not let iot.amazonaws.com invoke it"),
        (
            "untrusted",
            json!({"sns": {"roleArn": "arn:aws:iam::123456789012:role/untrusting",
            "targetArn": "arn:aws:sns:us-east-1:123456789012:t"}}),
            "cannot be taken",
        ),
        (
            "denied",
            json!({"sqs": {"roleArn": ROLE, "queueUrl": "http://127.0.0.1/123456789012/q"}}),
            "is not allowed to do sqs:SendMessage on arn:aws:sqs:us-east-1:123456789012:q",
        ),
    ] {
        paper.denied.lock().unwrap().push("sqs:SendMessage");
        paper.told.lock().unwrap().clear();
        create(
            &cloud,
            name,
            json!({
                "sql": "SELECT * FROM 'in'", "actions": [action], "errorAction": error,
            }),
        )
        .await
        .unwrap();
        hear(&cloud, "in", "{}");
        let told = until(&paper, 1).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("log /errors") && told[0].contains(reason), "{told:?}");
        call(&cloud, "iot", "DeleteTopicRule", json!({"ruleName": name})).await.unwrap();
    }
}

#[tokio::test]
async fn rules_that_feed_each_other_are_stopped() {
    let (cloud, paper) = world();
    for (name, from, to) in [("ping", "ping", "pong"), ("pong", "pong", "ping")] {
        create(
            &cloud,
            name,
            json!({
                "sql": format!("SELECT * FROM '{from}'"),
                "actions": [{"republish": {"roleArn": ROLE, "topic": to}}],
            }),
        )
        .await
        .unwrap();
    }
    hear(&cloud, "ping", "{}");
    let told = until(&paper, 10).await;
    assert_eq!(told.len(), 10);
    assert_eq!(
        paper.metric("Failure ping Republish") + paper.metric("Failure pong Republish"),
        1.0
    );
}

#[tokio::test]
async fn basic_ingest_reaches_one_rule_and_asks_no_filter() {
    let (cloud, paper) = world();
    create(
        &cloud,
        "direct",
        json!({
            "sql": "SELECT t, topic() AS topic, clientid() AS c FROM 'nowhere'",
            "actions": [{"republish": {"roleArn": ROLE, "topic": "out"}}],
        }),
    )
    .await
    .unwrap();
    let listener = cloud.ports.listeners().remove(0);
    listener.ingested("direct", &device_message("site/7", r#"{"t":1}"#));
    listener.ingested("unknown", &device_message("site/7", r#"{"t":1}"#));
    let told = until(&paper, 1).await;
    assert_eq!(told, [r#"publish out AtMostOnce {"t":1,"topic":"site/7","c":"device-1"}"#]);
    assert_eq!(paper.metric("RuleNotFound unknown"), 1.0);
    call(&cloud, "iot", "DisableTopicRule", json!({"ruleName": "direct"})).await.unwrap();
    listener.ingested("direct", &device_message("site/7", r#"{"t":1}"#));
    settle().await;
    assert_eq!(paper.told().len(), 1);
}

#[tokio::test]
async fn functions_ask_other_services() {
    let (cloud, paper) = world();
    let rows = [
        (
            "SELECT get_thing_shadow('lamp', '{role}').state.desired.on AS x FROM 'in'",
            r#"{"x":true}"#,
        ),
        (
            "SELECT get_or_default(get_thing_shadow('none', '{role}').state, 'd') AS x FROM 'in'",
            r#"{"x":"d"}"#,
        ),
        ("SELECT aws_lambda('arn:f', {'a': t}).a AS x FROM 'in'", r#"{"x":5}"#),
        (
            "SELECT get_or_default(aws_lambda('arn:broken', 1), 'failed') AS x FROM 'in'",
            r#"{"x":"failed"}"#,
        ),
        ("SELECT t FROM 'in' WHERE aws_lambda('arn:f', t) = 5", r#"{"t":5}"#),
    ];
    for (place, (sql, expected)) in rows.into_iter().enumerate() {
        paper.told.lock().unwrap().clear();
        let name = format!("rule_{place}");
        create(
            &cloud,
            &name,
            json!({
                "sql": sql.replace("{role}", ROLE),
                "actions": [{"republish": {"roleArn": ROLE, "topic": "out"}}],
            }),
        )
        .await
        .unwrap();
        hear(&cloud, "in", r#"{"t":5}"#);
        assert_eq!(until(&paper, 1).await, [format!("publish out AtMostOnce {expected}")], "{sql}");
        call(&cloud, "iot", "DeleteTopicRule", json!({"ruleName": name})).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_that_does_not_answer_holds_up_nobody_else() {
    let (cloud, paper) = world();
    create(
        &cloud,
        "slow",
        json!({
            "sql": "SELECT aws_lambda('arn:slow', 1) AS x FROM 'in'",
            "actions": [{"republish": {"roleArn": ROLE, "topic": "never"}}],
            "errorAction": {"republish": {"roleArn": ROLE, "topic": "late"}},
        }),
    )
    .await
    .unwrap();
    create(
        &cloud,
        "swift",
        json!({
            "sql": "SELECT * FROM 'in'",
            "actions": [{"republish": {"roleArn": ROLE, "topic": "soon"}}],
        }),
    )
    .await
    .unwrap();
    hear(&cloud, "in", "{}");
    assert_eq!(until(&paper, 1).await, ["publish soon AtMostOnce {}"]);
    tokio::time::advance(Duration::from_millis(2_001)).await;
    let told = until(&paper, 2).await;
    assert!(
        told[1].starts_with("publish late") && told[1].contains("within 2 seconds"),
        "{told:?}"
    );
}

#[tokio::test]
async fn the_api_keeps_rules_as_they_were_written() {
    let (cloud, _) = world();
    let payload = json!({
        "sql": "SELECT * FROM 'a/+/b'",
        "description": "all of b",
        "actions": [{"lambda": {"functionArn": "arn:aws:lambda:us-east-1:123456789012:function:f"}}],
        "errorAction": {"sqs": {"roleArn": ROLE, "queueUrl": "http://127.0.0.1/1/q"}},
        "ruleDisabled": false,
    });
    assert_eq!(create(&cloud, "first", payload.clone()).await.unwrap(), json!({}));
    let again = create(&cloud, "first", payload.clone()).await.unwrap_err();
    assert_eq!((again.code.as_str(), again.status), ("ResourceAlreadyExistsException", 409));
    let found = call(&cloud, "iot", "GetTopicRule", json!({"ruleName": "first"})).await.unwrap();
    assert_eq!(found["ruleArn"], "arn:aws:iot:us-east-1:123456789012:rule/first");
    assert_eq!(found["rule"]["sql"], payload["sql"]);
    assert_eq!(found["rule"]["actions"], payload["actions"]);
    assert_eq!(found["rule"]["errorAction"], payload["errorAction"]);
    assert_eq!(found["rule"]["awsIotSqlVersion"], "2016-03-23");
    assert_eq!(found["rule"]["createdAt"], 1_767_225_600.0);
    assert_eq!(found["rule"]["ruleDisabled"], false);
    // The default version is the old one.
    let old = json!({"ruleName": "second", "sql": "SELECT * FROM 'c'", "actions": []});
    call(&cloud, "iot", "CreateTopicRule", old).await.unwrap();
    let found = call(&cloud, "iot", "GetTopicRule", json!({"ruleName": "second"})).await.unwrap();
    assert_eq!(found["rule"]["awsIotSqlVersion"], "2015-10-08");

    let names = |reply: Value| -> Vec<String> {
        reply["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["ruleName"].as_str().unwrap().to_owned())
            .collect()
    };
    let list = async |input: Value| call(&cloud, "iot", "ListTopicRules", input).await.unwrap();
    assert_eq!(names(list(json!({})).await), ["first", "second"]);
    assert_eq!(names(list(json!({"topic": "a/x/b"})).await), ["first"]);
    call(&cloud, "iot", "DisableTopicRule", json!({"ruleName": "second"})).await.unwrap();
    assert_eq!(names(list(json!({"ruleDisabled": true})).await), ["second"]);
    let page = list(json!({"maxResults": 1})).await;
    assert_eq!(names(page.clone()), ["first"]);
    assert_eq!(
        names(list(json!({"maxResults": 1, "nextToken": page["nextToken"]})).await),
        ["second"]
    );
    call(&cloud, "iot", "EnableTopicRule", json!({"ruleName": "second"})).await.unwrap();
    assert_eq!(names(list(json!({"ruleDisabled": true})).await), Vec::<String>::new());

    let changed = json!({"ruleName": "first", "sql": "SELECT a FROM 'z'", "actions": []});
    call(&cloud, "iot", "ReplaceTopicRule", changed).await.unwrap();
    let found = call(&cloud, "iot", "GetTopicRule", json!({"ruleName": "first"})).await.unwrap();
    assert_eq!(found["rule"]["sql"], "SELECT a FROM 'z'");
    assert!(found["rule"].get("errorAction").is_none());
    call(&cloud, "iot", "DeleteTopicRule", json!({"ruleName": "first"})).await.unwrap();
    for operation in ["GetTopicRule", "DeleteTopicRule", "EnableTopicRule"] {
        let missing =
            call(&cloud, "iot", operation, json!({"ruleName": "first"})).await.unwrap_err();
        assert_eq!((missing.code.as_str(), missing.status), ("UnauthorizedException", 401));
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_rule_shows_when_it_is_made() {
    let (cloud, _) = world();
    let rule = |actions: Value| json!({"sql": "SELECT * FROM 'a'", "actions": actions});
    let rows = [
        ("r", json!({"sql": "SELEC * FROM 'a'", "actions": []}), "SqlParseException", "at 1:1"),
        (
            "r",
            rule(json!([{"sns": {"roleArn": ROLE, "targetArn": "${topic("}}])),
            "SqlParseException",
            "no `}`",
        ),
        ("bad-name", rule(json!([])), "InvalidRequestException", "letters, digits and underscores"),
        ("r", json!({"sql": "SELECT * FROM 'a'"}), "InvalidRequestException", "actions"),
        ("r", json!({"actions": []}), "InvalidRequestException", "sql"),
        ("r", rule(json!([{}])), "InvalidRequestException", "exactly one member"),
        (
            "r",
            rule(json!([{"lambda": {"functionArn": "f"}, "sns": {}}])),
            "InvalidRequestException",
            "exactly one",
        ),
        ("r", rule(json!([{"carrierPigeon": {}}])), "InvalidRequestException", "not an action"),
        (
            "r",
            rule(json!([{"kinesis": {"roleArn": ROLE, "streamName": "s"}}])),
            "NotImplemented",
            "`kinesis`",
        ),
        ("r", rule(json!([{"http": {"url": "https://x"}}])), "NotImplemented", "`http`"),
        (
            "r",
            rule(json!([{"sqs": {"roleArn": ROLE, "queueUrl": "q", "messageGroupId": "g"}}])),
            "InvalidRequestException",
            "messageGroupId",
        ),
        (
            "r",
            rule(json!([{"sqs": {"roleArn": "rules", "queueUrl": "q"}}])),
            "InvalidRequestException",
            "roleArn",
        ),
        ("r", rule(json!([{"sqs": {"queueUrl": "q"}}])), "InvalidRequestException", "roleArn"),
        (
            "r",
            rule(json!([{"republish": {"roleArn": ROLE, "topic": "$aws/things/x/shadow/update"}}])),
            "InvalidRequestException",
            "$$aws",
        ),
        (
            "r",
            rule(json!([{"republish": {"roleArn": ROLE, "topic": "t", "qos": 2}}])),
            "InvalidRequestException",
            "0 or 1",
        ),
        (
            "r",
            rule(json!([{"dynamoDB": {"roleArn": ROLE, "tableName": "t", "operation": "DELETE",
            "hashKeyField": "a", "hashKeyValue": "b"}}])),
            "NotImplemented",
            "DELETE",
        ),
        (
            "r",
            rule(Value::Array(vec![json!({"lambda": {"functionArn": "f"}}); 11])),
            "InvalidRequestException",
            "at most 10",
        ),
        (
            "r",
            json!({"sql": "SELECT * FROM 'a'", "actions": [], "awsIotSqlVersion": "2020-01-01"}),
            "InvalidRequestException",
            "2016-03-23",
        ),
        (
            "r",
            json!({"sql": "SELECT * FROM 'a'", "actions": [], "description": "x".repeat(140_000)}),
            "InvalidRequestException",
            "131072",
        ),
        (
            "r",
            json!({"sql": "SELECT * FROM 'a'", "actions": [], "errorAction": {"sns": {"roleArn": ROLE,
            "targetArn": "${get_secret('s', 'SecretString', 'r')}"}}}),
            "InvalidRequestException",
            "error action",
        ),
    ];
    for (name, payload, code, message) in rows {
        let fault = create(&cloud, name, payload.clone()).await.unwrap_err();
        assert_eq!(fault.code, code, "{payload}");
        assert!(fault.message.contains(message), "{payload}: {}", fault.message);
    }
}

#[tokio::test]
async fn stacks_make_change_and_remove_rules() {
    let (cloud, paper) = world();
    let handler = cloud.resource("AWS::IoT::TopicRule").unwrap();
    let mut request = ResourceRequest {
        logical_id: "OnJob".into(),
        stack_name: "fleet-dev".into(),
        properties: json!({"TopicRulePayload": {
            "Sql": "SELECT * FROM 'in'", "AwsIotSqlVersion": "2016-03-23", "RuleDisabled": "false",
            "Actions": [
                {"Republish": {"RoleArn": ROLE, "Topic": "out", "Qos": "1"}},
                {"DynamoDBv2": {"RoleArn": ROLE, "PutItem": {"TableName": "t"}}},
            ],
        }}),
        ..ResourceRequest::default()
    };
    let state = handler.create(&request).await.unwrap();
    assert!(state.physical_id.starts_with("fleet_dev_OnJob_"), "{}", state.physical_id);
    assert_eq!(
        state.attributes["Arn"],
        format!("arn:aws:iot:us-east-1:123456789012:rule/{}", state.physical_id)
    );
    hear(&cloud, "in", r#"{"a":1}"#);
    assert_eq!(
        until(&paper, 2).await,
        [r#"publish out AtLeastOnce {"a":1}"#, r#"item t {"a":{"N":"1"}}"#]
    );
    request.physical_id = Some(state.physical_id.clone());
    request.properties["TopicRulePayload"]["Sql"] = "SELECT b FROM 'in'".into();
    assert_eq!(handler.update(&request).await.unwrap(), state);
    hear(&cloud, "in", r#"{"a":1}"#);
    assert_eq!(until(&paper, 4).await[2], "publish out AtLeastOnce {}");
    handler.delete(&request).await.unwrap();
    handler.delete(&request).await.unwrap();
    assert!(handler.update(&request).await.is_err());
    request.properties = json!({"TopicRulePayload": {"Sql": "SELECT FROM", "Actions": []}});
    assert!(handler.create(&request).await.unwrap_err().to_string().contains("1:8"));
}

#[tokio::test]
async fn rules_survive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let begin = || {
        let store = Store::open(folder.path()).unwrap();
        let cloud = Cloud::new(
            iotstack_local_kernel::Account::default(),
            iotstack_local_kernel::Clock::stepped(Timestamp(0)),
            store,
        );
        crate::install(&cloud).unwrap();
        cloud
    };
    {
        let cloud = begin();
        for name in ["kept", "gone"] {
            create(&cloud, name, json!({"sql": "SELECT * FROM 'a'", "actions": []})).await.unwrap();
        }
        call(&cloud, "iot", "DisableTopicRule", json!({"ruleName": "kept"})).await.unwrap();
        call(&cloud, "iot", "DeleteTopicRule", json!({"ruleName": "gone"})).await.unwrap();
    }
    settle().await;
    let cloud = begin();
    let rules = call(&cloud, "iot", "ListTopicRules", json!({})).await.unwrap();
    assert_eq!(rules["rules"].as_array().unwrap().len(), 1);
    assert_eq!(rules["rules"][0]["ruleName"], "kept");
    assert_eq!(rules["rules"][0]["ruleDisabled"], true);
}

#[tokio::test]
async fn a_thousand_rules_cost_a_message_nothing_that_does_not_concern_it() {
    let (cloud, paper) = world();
    for place in 0..1_000 {
        create(
            &cloud,
            &format!("rule_{place}"),
            json!({
                "sql": format!("SELECT * FROM 'site/{place}/+/data'"),
                "actions": [{"republish": {"roleArn": ROLE, "topic": format!("out/{place}")}}],
            }),
        )
        .await
        .unwrap();
    }
    let full = create(&cloud, "one_more", json!({"sql": "SELECT * FROM 'a'", "actions": []})).await;
    assert_eq!(full.unwrap_err().code, "LimitExceededException");
    hear(&cloud, "site/500/pump/data", "{}");
    hear(&cloud, "site/5000/pump/data", "{}");
    assert_eq!(until(&paper, 1).await, ["publish out/500 AtMostOnce {}"]);
}

#[tokio::test]
async fn tags_of_a_rule_are_read_and_changed_without_the_rule() {
    let (cloud, _) = world();
    create(&cloud, "r", json!({"sql": "SELECT * FROM 'a'", "actions": []})).await.unwrap();
    let keeper = cloud.ports.tagged("rule").unwrap();
    assert_eq!(keeper.tags("rule", "r").unwrap().len(), 0);
    assert_eq!(keeper.tags("rule", "gone"), None);
    let put: iotstack_local_kernel::tags::ChangeTags = Box::new(|tags| {
        tags.insert("team".to_owned(), "a".to_owned());
        Ok(())
    });
    keeper.change_tags("rule", "r", put).await.unwrap();
    assert_eq!(keeper.tags("rule", "r").unwrap()["team"], "a");
    let refusing = Box::new(|tags: &mut iotstack_local_kernel::tags::Tags| {
        tags.clear();
        Err(Fault::invalid_input("no"))
    });
    assert!(keeper.change_tags("rule", "r", refusing).await.is_err());
    assert_eq!(keeper.tags("rule", "r").unwrap().len(), 1);
    let nothing = Box::new(|_: &mut _| Ok(()));
    assert!(keeper.change_tags("rule", "gone", nothing).await.is_err());
}

#[tokio::test]
async fn the_routes_are_those_of_aws() {
    use iotstack_local_kernel::Caller;
    let (cloud, _) = world();
    let send = async |method: &str, path: &str, tags: Option<&str>, body: &str| {
        let mut request = http::Request::builder().method(method).uri(path);
        if let Some(tags) = tags {
            request = request.header("x-amz-tagging", tags);
        }
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        let response = cloud.services.answer("iot", request, Caller::Root, Timestamp(0)).await;
        let code = response
            .headers()
            .get("x-amzn-errortype")
            .map(|code| code.to_str().unwrap().to_owned());
        (response.status().as_u16(), code.unwrap_or_default())
    };
    let body = r#"{"sql":"SELECT * FROM 'a'","actions":[],"awsIotSqlVersion":"2016-03-23"}"#;
    assert_eq!(send("POST", "/rules/r_1", Some("team=a%20b&x=y"), body).await.0, 200);
    let (status, code) = send("POST", "/rules/r_2", Some("aws%3Ax=y"), body).await;
    assert_eq!(status, 400);
    assert!(code.starts_with("InvalidRequestException"), "{code}");
    assert_eq!(send("GET", "/rules/r_1", None, "").await.0, 200);
    assert_eq!(
        send("GET", "/rules?topic=a&maxResults=5&ruleDisabled=false", None, "").await.0,
        200
    );
    assert_eq!(send("PATCH", "/rules/r_1", None, body).await.0, 200);
    assert_eq!(send("POST", "/rules/r_1/disable", None, "").await.0, 200);
    assert_eq!(send("POST", "/rules/r_1/enable", None, "").await.0, 200);
    assert_eq!(send("DELETE", "/rules/r_1", None, "").await.0, 200);
    let (status, code) = send("GET", "/rules/r_1", None, "").await;
    assert_eq!(status, 401);
    assert!(code.starts_with("UnauthorizedException"), "{code}");
    let (status, code) = send("POST", "/rules/r_1", None, r#"{"sql":"SELECT","actions":[]}"#).await;
    assert_eq!(status, 400);
    assert!(code.starts_with("SqlParseException"), "{code}");
    let (status, code) = send("POST", "/rules/r_1", None, "{").await;
    assert_eq!(status, 400);
    assert!(!code.is_empty());
}

/// A registry with one thing, a secret, and a table with one item.
struct Answering;

impl iotstack_local_kernel::ports::Registry for Answering {
    fn thing(&self, name: &str) -> Option<iotstack_local_kernel::ports::ThingInfo> {
        (name == "lamp").then(|| iotstack_local_kernel::ports::ThingInfo {
            name: "lamp".into(),
            id: "id-1".into(),
            thing_type: Some("light".into()),
            attributes: BTreeMap::from([("room".to_owned(), "hall".to_owned())]),
            version: 3,
        })
    }
    fn members(&self, _: &str) -> Option<Vec<Arc<str>>> {
        None
    }
    fn groups_of(&self, _: &str) -> Vec<Arc<str>> {
        vec!["lights".into()]
    }
    fn events_enabled(&self, _: &str) -> bool {
        false
    }
    fn thing_of_certificate(&self, _: &str) -> Option<Arc<str>> {
        None
    }
    fn certificate_may(&self, _: &str, _: &str, _: &str) -> bool {
        false
    }
}

impl iotstack_local_kernel::ports::Secrets for Answering {
    fn value(&self, secret: &str) -> Result<String, Fault> {
        match secret {
            "api" => Ok(r#"{"key":"k-1"}"#.to_owned()),
            _ => Err(Fault::new("ResourceNotFoundException", 404, "there is no such secret")),
        }
    }
}

impl iotstack_local_kernel::Service for Answering {
    fn scopes(&self) -> &'static [&'static str] {
        &["dynamodb"]
    }
    fn protocols(&self) -> &'static [iotstack_local_kernel::Protocol] {
        &[]
    }
    fn operations(self: Arc<Self>) -> Vec<iotstack_local_kernel::Operation> {
        iotstack_local_kernel::Operations::of(self)
            .named("GetItem", |_, call| {
                assert_eq!(call.input["TableName"], "plants");
                let found = call.input["Key"] == json!({"id": {"S": "p1"}, "at": {"N": "7"}});
                let item = json!({"Item": {"n": {"N": "1.5"}, "l": {"L": [{"NULL": true}, {"S": "x"}]},
                    "m": {"M": {"b": {"BOOL": true}}}, "s": {"NS": ["1", "2"]}}});
                Ok(if found { item.into() } else { json!({}).into() })
            })
            .list()
    }
}

#[tokio::test]
async fn functions_ask_the_registry_secrets_and_tables() {
    let (cloud, paper) = world();
    cloud.ports.serve_registry(Arc::new(Answering));
    cloud.ports.serve_secrets(Arc::new(Answering));
    cloud.services.add(Arc::new(Answering));
    let rows = [
        ("get_registry_data('DescribeThing', d, '{role}').attributes.room", r#""hall""#),
        ("get_registry_data('DescribeThing', d, '{role}').thingTypeName", r#""light""#),
        (
            "get(get_registry_data('ListThingGroupsForThing', d, '{role}').thingGroups, 0).groupName",
            r#""lights""#,
        ),
        (
            "get_or_default(get_registry_data('DescribeThing', 'none', '{role}'), 'no thing')",
            r#""no thing""#,
        ),
        ("get_secret('api', 'SecretString', 'key', '{role}')", r#""k-1""#),
        ("get_secret('api', 'SecretString', '{role}')", r#""{\"key\":\"k-1\"}""#),
        (
            "get_or_default(get_secret('other', 'SecretString', '{role}'), 'no secret')",
            r#""no secret""#,
        ),
        (
            "get_dynamodb('plants', 'id', 'p1', 'at', 7, '{role}')",
            r#"{"n":1.5,"l":[null,"x"],"m":{"b":true},"s":[1,2]}"#,
        ),
        ("isUndefined(get_dynamodb('plants', 'id', 'p2', '{role}'))", "true"),
    ];
    for (place, (expr, expected)) in rows.into_iter().enumerate() {
        paper.told.lock().unwrap().clear();
        let name = format!("rule_{place}");
        create(
            &cloud,
            &name,
            json!({
                "sql": format!("SELECT VALUE {} FROM 'in'", expr.replace("{role}", ROLE)),
                "actions": [{"republish": {"roleArn": ROLE, "topic": "out"}}],
            }),
        )
        .await
        .unwrap();
        hear(&cloud, "in", r#"{"d":"lamp"}"#);
        assert_eq!(
            until(&paper, 1).await,
            [format!("publish out AtMostOnce {expected}")],
            "{expr}"
        );
        call(&cloud, "iot", "DeleteTopicRule", json!({"ruleName": name})).await.unwrap();
    }
}
