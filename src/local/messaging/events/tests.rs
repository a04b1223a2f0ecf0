//! What rules and their targets rely on.
//!
//! Fake functions and logs witness what reaches them; queues and topics are those of the
//! same cloud.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iotstack_local_kernel::ports::{BusEvent, Functions, Invoked, LogStreams};
use iotstack_local_kernel::testing::{call, cloud};
use iotstack_local_kernel::{BoxFuture, Cloud, Fault, ResourceRequest, Timestamp};
use serde_json::{Value, json};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:t";

#[derive(Default)]
struct Witness(Mutex<Vec<String>>);

impl Functions for Witness {
    fn invoke<'a>(&'a self, _: &'a str, _: Bytes) -> BoxFuture<'a, Result<Invoked, Fault>> {
        Box::pin(async { Err(Fault::internal("events are not waited for")) })
    }

    fn invoke_event(&self, _: &str, payload: Bytes) {
        self.0.lock().unwrap().push(String::from_utf8(payload.to_vec()).unwrap());
    }

    fn permits(&self, function: &str, principal: &str, source: &str) -> bool {
        function == FUNCTION && principal == "events.amazonaws.com" && source.contains(":rule/")
    }
}

impl LogStreams for Witness {
    fn write(&self, group: &str, _: &str, lines: &[(Timestamp, String)]) {
        self.0.lock().unwrap().push(format!("{group}: {}", lines[0].1));
    }
}

fn events() -> (Arc<Cloud>, Arc<Witness>) {
    let (cloud, witness) = (cloud(), Arc::new(Witness::default()));
    crate::install(&cloud).unwrap();
    cloud.ports.serve_functions(witness.clone());
    cloud.ports.serve_log_streams(witness.clone());
    (cloud, witness)
}

async fn on(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "events", operation, input).await
}

async fn rule(cloud: &Cloud, bus: &str, pattern: Value, target: Value) {
    let name = format!("r-{}", target["Id"].as_str().unwrap());
    let input = json!({"Name": name, "EventBusName": bus, "EventPattern": pattern.to_string()});
    on(cloud, "PutRule", input).await.unwrap();
    let input = json!({"Rule": name, "EventBusName": bus, "Targets": [target]});
    on(cloud, "PutTargets", input).await.unwrap();
}

async fn put(cloud: &Cloud, bus: &str, detail: Value) -> Value {
    let entry = json!({
        "Source": "iotstack.jobs", "DetailType": "IoT Job Event", "Detail": detail.to_string(), "EventBusName": bus,
    });
    on(cloud, "PutEvents", json!({"Entries": [entry]})).await.unwrap()
}

#[tokio::test]
async fn an_event_reaches_the_function_whose_pattern_fits() {
    let (cloud, witness) = events();
    on(&cloud, "CreateEventBus", json!({"Name": "b"})).await.unwrap();
    rule(
        &cloud,
        "b",
        json!({"detail": {"status": ["FAILED"]}}),
        json!({"Id": "1", "Arn": FUNCTION}),
    )
    .await;
    let answer = put(&cloud, "b", json!({"status": "FAILED"})).await;
    assert_eq!(answer["FailedEntryCount"], 0);
    put(&cloud, "b", json!({"status": "SUCCEEDED"})).await;
    put(&cloud, "default", json!({"status": "FAILED"})).await;
    let heard = witness.0.lock().unwrap().clone();
    let event: Value = serde_json::from_str(&heard[0]).unwrap();
    assert_eq!(
        (heard.len(), &event["source"], &event["time"]),
        (1, &json!("iotstack.jobs"), &json!("2026-01-01T00:00:00Z"))
    );
    assert_eq!(event["id"], answer["Entries"][0]["EventId"]);
    let off = json!({"Name": "r-1", "EventBusName": "b"});
    on(&cloud, "DisableRule", off).await.unwrap();
    put(&cloud, "b", json!({"status": "FAILED"})).await;
    assert_eq!(witness.0.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_topic_needs_a_policy_and_gets_the_text_of_the_template() {
    let (cloud, _) = events();
    call(&cloud, "sns", "CreateTopic", json!({"Name": "t"})).await.unwrap();
    let statement = |service: &str, action: &str| {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": service}, "Action": action, "Resource": "*",
        }]})
        .to_string()
    };
    let input = json!({"QueueName": "q", "Attributes": {"Policy": statement("sns.amazonaws.com", "sqs:SendMessage")}});
    call(&cloud, "sqs", "CreateQueue", input).await.unwrap();
    let input = json!({
        "TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": "arn:aws:sqs:us-east-1:123456789012:q",
        "Attributes": {"RawMessageDelivery": "true"},
    });
    call(&cloud, "sns", "Subscribe", input).await.unwrap();
    let transformer = json!({
        "InputPathsMap": {"job": "$.detail.jobId", "time": "$.time"},
        "InputTemplate": "\"<time> Job <job> is complete.\"",
    });
    rule(
        &cloud,
        "default",
        json!({"source": ["iotstack.jobs"]}),
        json!({"Id": "1", "Arn": TOPIC, "InputTransformer": transformer}),
    )
    .await;
    let received = || async {
        let found = call(&cloud, "sqs", "ReceiveMessage", json!({"QueueUrl": "q"})).await.unwrap();
        found["Messages"][0]["Body"].as_str().map(str::to_owned)
    };
    put(&cloud, "default", json!({"jobId": "j"})).await;
    assert_eq!(received().await, None);
    let policy = json!({
        "TopicArn": TOPIC, "AttributeName": "Policy",
        "AttributeValue": statement("events.amazonaws.com", "sns:Publish"),
    });
    call(&cloud, "sns", "SetTopicAttributes", policy).await.unwrap();
    put(&cloud, "default", json!({"jobId": "j"})).await;
    assert_eq!(received().await.as_deref(), Some("\"2026-01-01T00:00:00Z Job j is complete.\""));
}

#[tokio::test]
async fn what_is_not_delivered_becomes_a_dead_letter() {
    let (cloud, _) = events();
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*",
    }]});
    let input = json!({"QueueName": "dead", "Attributes": {"Policy": policy.to_string()}});
    call(&cloud, "sqs", "CreateQueue", input).await.unwrap();
    let target = json!({
        "Id": "1", "Arn": format!("{FUNCTION}x"), "Input": "{\"n\":1}",
        "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:123456789012:dead"},
    });
    rule(&cloud, "default", json!({"source": ["iotstack.jobs"]}), target).await;
    put(&cloud, "default", json!({})).await;
    let found = call(&cloud, "sqs", "ReceiveMessage", json!({"QueueUrl": "dead"})).await.unwrap();
    assert_eq!(found["Messages"][0]["Body"], "{\"n\":1}");
}

#[tokio::test]
async fn a_fifo_queue_must_tell_doubles_by_their_content() {
    let (cloud, _) = events();
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*",
    }]});
    for (id, by_content, count) in [("1", "true", 1), ("2", "false", 0)] {
        let name = format!("q{id}.fifo");
        let input = json!({"QueueName": name, "Attributes": {
            "FifoQueue": "true", "ContentBasedDeduplication": by_content, "Policy": policy.to_string(),
        }});
        call(&cloud, "sqs", "CreateQueue", input).await.unwrap();
        let target = json!({
            "Id": id, "Arn": format!("arn:aws:sqs:us-east-1:123456789012:{name}"),
            "SqsParameters": {"MessageGroupId": "g"},
        });
        rule(&cloud, "default", json!({"source": ["iotstack.jobs"]}), target).await;
        put(&cloud, "default", json!({})).await;
        let found = call(&cloud, "sqs", "ReceiveMessage", json!({"QueueUrl": name})).await.unwrap();
        assert_eq!(found["Messages"].as_array().map_or(0, Vec::len), count, "{name}");
    }
}

#[tokio::test]
async fn buses_pass_events_on_but_not_for_ever() {
    let (cloud, witness) = events();
    for bus in ["a", "b"] {
        on(&cloud, "CreateEventBus", json!({"Name": bus})).await.unwrap();
    }
    let all = json!({"source": [{"prefix": ""}]});
    let arn = |bus: &str| format!("arn:aws:events:us-east-1:123456789012:event-bus/{bus}");
    rule(&cloud, "a", all.clone(), json!({"Id": "1", "Arn": arn("b")})).await;
    rule(&cloud, "b", all.clone(), json!({"Id": "2", "Arn": arn("a")})).await;
    let group = "arn:aws:logs:us-east-1:123456789012:log-group:/events/b";
    rule(&cloud, "b", all, json!({"Id": "3", "Arn": group, "InputPath": "$.detail"})).await;
    put(&cloud, "a", json!({"n": 1})).await;
    let heard = witness.0.lock().unwrap().clone();
    assert_eq!(heard, ["/events/b: {\"n\":1}", "/events/b: {\"n\":1}"]);
}

#[tokio::test]
async fn schedules_fire_on_the_clock() {
    let (cloud, witness) = events();
    let input = json!({"Name": "r", "ScheduleExpression": "rate(5 minutes)"});
    on(&cloud, "PutRule", input).await.unwrap();
    let input = json!({"Rule": "r", "Targets": [{"Id": "1", "Arn": FUNCTION}]});
    on(&cloud, "PutTargets", input).await.unwrap();
    let heard = || witness.0.lock().unwrap().len();
    for minutes in [4_u64, 1] {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(heard(), 0);
        cloud.clock.step(Duration::from_secs(minutes * 60));
    }
    let began = Instant::now();
    while heard() == 0 {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let event: Value = serde_json::from_str(&witness.0.lock().unwrap()[0]).unwrap();
    assert_eq!(
        (&event["source"], &event["detail-type"]),
        (&json!("aws.events"), &json!("Scheduled Event"))
    );
}

#[tokio::test]
async fn wrong_rules_targets_and_events_are_refused() {
    let (cloud, _) = events();
    for (input, code) in [
        (json!({"Name": "r"}), "ValidationException"),
        (json!({"Name": "a b", "EventPattern": "{\"a\":[1]}"}), "ValidationException"),
        (json!({"Name": "r", "EventPattern": "{\"a\":1}"}), "InvalidEventPatternException"),
        (json!({"Name": "r", "ScheduleExpression": "rate(5)"}), "ValidationException"),
        (
            json!({"Name": "r", "EventBusName": "none", "EventPattern": "{\"a\":[1]}"}),
            "ResourceNotFoundException",
        ),
    ] {
        assert_eq!(on(&cloud, "PutRule", input).await.unwrap_err().code, code);
    }
    on(&cloud, "PutRule", json!({"Name": "r", "EventPattern": "{\"a\":[1]}"})).await.unwrap();
    for target in [
        json!({"Id": "1", "Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/s"}),
        json!({"Id": "1", "Arn": "arn:aws:sqs:us-east-1:123456789012:q.fifo"}),
        json!({"Id": "1", "Arn": FUNCTION, "Input": "no json"}),
        json!({"Arn": FUNCTION}),
    ] {
        assert!(on(&cloud, "PutTargets", json!({"Rule": "r", "Targets": [target]})).await.is_err());
    }
    let entries = json!([
        {"Source": "s", "DetailType": "t", "Detail": "[]"},
        {"Source": "aws.iot", "DetailType": "t", "Detail": "{}"},
        {"DetailType": "t", "Detail": "{}"},
    ]);
    let answer = on(&cloud, "PutEvents", json!({"Entries": entries})).await.unwrap();
    let codes: Vec<&Value> =
        answer["Entries"].as_array().unwrap().iter().map(|entry| &entry["ErrorCode"]).collect();
    assert_eq!(codes, ["MalformedDetail", "NotAuthorizedForSourceException", "InvalidArgument"]);
    let missing = cloud.ports.event_buses().unwrap().put(
        "none",
        BusEvent {
            source: "s".to_owned(),
            detail_type: "t".to_owned(),
            detail: json!({}),
            resources: Vec::new(),
        },
    );
    assert_eq!(missing.await.unwrap_err().code, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_bus_tells_its_settings() {
    let (cloud, _) = events();
    let queue = json!({"Arn": "arn:aws:sqs:us-east-1:123456789012:q"});
    let input = json!({"Name": "b", "Description": "d", "DeadLetterConfig": queue});
    let made = on(&cloud, "CreateEventBus", input).await.unwrap();
    assert_eq!((&made["Description"], &made["DeadLetterConfig"]), (&json!("d"), &queue));
    let input = json!({"Name": "b", "Description": "e"});
    assert_eq!(on(&cloud, "UpdateEventBus", input).await.unwrap()["Description"], "e");
    let shown = on(&cloud, "ListEventBuses", json!({"NamePrefix": "b"})).await.unwrap();
    assert_eq!(shown["EventBuses"][0]["Description"], "e");
}

#[tokio::test]
async fn targets_and_rules_of_a_target_come_in_pages() {
    let (cloud, _) = events();
    for name in ["a", "b"] {
        let input = json!({"Name": name, "EventPattern": "{\"a\":[1]}"});
        on(&cloud, "PutRule", input).await.unwrap();
        let targets: Vec<Value> =
            (0..3).map(|n| json!({"Id": n.to_string(), "Arn": FUNCTION})).collect();
        on(&cloud, "PutTargets", json!({"Rule": name, "Targets": targets})).await.unwrap();
    }
    for (operation, mut input, list, sizes) in [
        ("ListTargetsByRule", json!({"Rule": "a", "Limit": 2}), "Targets", [2, 1]),
        ("ListRuleNamesByTarget", json!({"TargetArn": FUNCTION, "Limit": 1}), "RuleNames", [1, 1]),
    ] {
        let first = on(&cloud, operation, input.clone()).await.unwrap();
        input["NextToken"] = first["NextToken"].clone();
        let second = on(&cloud, operation, input).await.unwrap();
        let found = [&first, &second].map(|page| page[list].as_array().unwrap().len());
        assert_eq!((found, &second["NextToken"]), (sizes, &Value::Null), "{operation}");
    }
}

#[tokio::test]
async fn refusals_have_the_codes_of_aws() {
    let (cloud, _) = events();
    on(&cloud, "CreateEventBus", json!({"Name": "b"})).await.unwrap();
    let kinesis = json!([{"Id": "1", "Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/s"}]);
    let nothing = json!([{"Id": "1", "Arn": "stream"}]);
    let permission = |action: &str| {
        json!({
            "EventBusName": "b", "StatementId": "s", "Principal": "210987654321", "Action": action,
        })
    };
    let (missing, invalid) = ("ResourceNotFoundException", "ValidationException");
    for (operation, input, code) in [
        ("CreateEventBus", json!({"Name": "default"}), "ResourceAlreadyExistsException"),
        ("CreateEventBus", json!({"Name": "a/b"}), invalid),
        ("CreateEventBus", json!({"Name": "a/b", "EventSourceName": "aws.partner/a/b"}), missing),
        ("PutTargets", json!({"Rule": "r", "Targets": kinesis}), missing),
        ("PutTargets", json!({"Rule": "r", "Targets": nothing}), invalid),
        ("PutPermission", permission("events:PutRule"), invalid),
        ("RemovePermission", json!({"EventBusName": "b", "StatementId": "s"}), missing),
        ("ListRuleNamesByTarget", json!({"TargetArn": FUNCTION, "EventBusName": "c"}), missing),
        ("ListRules", json!({"Limit": 101}), invalid),
    ] {
        assert_eq!(on(&cloud, operation, input).await.unwrap_err().code, code, "{operation}");
    }
}

#[tokio::test]
async fn a_stack_makes_buses_rules_and_policies() {
    let (cloud, witness) = events();
    let request = |properties: Value| ResourceRequest {
        logical_id: "R".to_owned(),
        stack_name: "s".to_owned(),
        properties,
        ..ResourceRequest::default()
    };
    let buses = cloud.resource("AWS::Events::EventBus").unwrap();
    let mut bus = request(json!({"Name": "b"}));
    let made = buses.create(&bus).await.unwrap();
    assert_eq!(made.attributes["Arn"], "arn:aws:events:us-east-1:123456789012:event-bus/b");
    bus.physical_id = Some(made.physical_id);
    let rules = cloud.resource("AWS::Events::Rule").unwrap();
    let mut rule = request(json!({
        "EventBusName": "b", "EventPattern": {"source": ["iotstack.jobs"]}, "State": "ENABLED",
        "Targets": [{"Id": "T", "Arn": FUNCTION}],
    }));
    let made = rules.create(&rule).await.unwrap();
    assert!(made.physical_id.starts_with("b|s-R-"));
    put(&cloud, "b", json!({})).await;
    assert_eq!(witness.0.lock().unwrap().len(), 1);
    rule.physical_id = Some(made.physical_id);
    rule.properties["State"] = json!("DISABLED");
    rules.update(&rule).await.unwrap();
    put(&cloud, "b", json!({})).await;
    assert_eq!(witness.0.lock().unwrap().len(), 1);
    let policy = request(json!({
        "EventBusName": "b", "StatementId": "p", "Action": "events:PutEvents", "Principal": "210987654321",
    }));
    cloud.resource("AWS::Events::EventBusPolicy").unwrap().create(&policy).await.unwrap();
    let shown = on(&cloud, "DescribeEventBus", json!({"Name": "b"})).await.unwrap();
    assert!(shown["Policy"].as_str().unwrap().contains("210987654321"));
    assert!(buses.delete(&bus).await.is_err());
    rules.delete(&rule).await.unwrap();
    rules.delete(&rule).await.unwrap();
    buses.delete(&bus).await.unwrap();
}
