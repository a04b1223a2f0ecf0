//! What clients of CloudWatch Logs rely on.
//!
//! The clock is stepped by hand, so that retention and the age of lines can be tried.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use iotstack_local_kernel::ports::{Functions, Invoked};
use iotstack_local_kernel::testing::{call, cloud};
use iotstack_local_kernel::{BoxFuture, Cloud, Fault, ResourceRequest, Timestamp};
use serde_json::{Value, json};

use super::pattern::Pattern;

fn logs() -> Arc<Cloud> {
    let cloud = cloud();
    crate::install(&cloud).unwrap();
    cloud
}

async fn on(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "logs", operation, input).await
}

fn write(cloud: &Cloud, stream: &str, texts: &[&str]) {
    let now = cloud.clock.now();
    let lines: Vec<(Timestamp, String)> =
        texts.iter().map(|text| (now, (*text).to_owned())).collect();
    cloud.ports.log_streams().unwrap().write("g", stream, &lines);
}

fn messages(answer: &Value) -> Vec<&str> {
    let events = answer["events"].as_array().unwrap();
    events.iter().map(|event| event["message"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn lines_come_back_in_order_and_in_pages() {
    let cloud = logs();
    write(&cloud, "s", &["1", "2"]);
    cloud.clock.step(Duration::from_secs(1));
    write(&cloud, "s", &["3"]);
    let input =
        json!({"logGroupName": "g", "logStreamName": "s", "limit": 2, "startFromHead": true});
    let first = on(&cloud, "GetLogEvents", input.clone()).await.unwrap();
    assert_eq!(messages(&first), ["1", "2"]);
    let with = |token: &Value| {
        let mut input = input.clone();
        input["nextToken"] = token.clone();
        input
    };
    let second = on(&cloud, "GetLogEvents", with(&first["nextForwardToken"])).await.unwrap();
    assert_eq!(messages(&second), ["3"]);
    let end = on(&cloud, "GetLogEvents", with(&second["nextForwardToken"])).await.unwrap();
    assert_eq!(messages(&end), [""; 0]);
    assert_eq!(end["nextForwardToken"], second["nextForwardToken"]);
    let back = on(&cloud, "GetLogEvents", with(&second["nextBackwardToken"])).await.unwrap();
    assert_eq!(messages(&back), ["1", "2"]);
    let newest = json!({"logGroupName": "g", "logStreamName": "s", "limit": 1});
    assert_eq!(messages(&on(&cloud, "GetLogEvents", newest).await.unwrap()), ["3"]);
}

#[tokio::test]
async fn filters_reach_over_streams() {
    let cloud = logs();
    write(&cloud, "a", &["ERROR one", "fine"]);
    write(&cloud, "b", &["ERROR two"]);
    let input = json!({"logGroupName": "g", "filterPattern": "ERROR", "limit": 1});
    let first = on(&cloud, "FilterLogEvents", input.clone()).await.unwrap();
    assert_eq!(messages(&first), ["ERROR one"]);
    let mut next = input;
    next["nextToken"] = first["nextToken"].clone();
    let second = on(&cloud, "FilterLogEvents", next).await.unwrap();
    assert_eq!((messages(&second), &second["nextToken"]), (vec!["ERROR two"], &Value::Null));
    assert_eq!(second["events"][0]["logStreamName"], "b");
    let input = json!({"logGroupName": "g", "logStreamNamePrefix": "b"});
    assert_eq!(messages(&on(&cloud, "FilterLogEvents", input).await.unwrap()), ["ERROR two"]);
    let input = json!({"logGroupName": "other"});
    let refused = on(&cloud, "FilterLogEvents", input).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.status), ("ResourceNotFoundException", 400));
}

#[tokio::test]
async fn what_is_too_old_or_too_new_is_rejected() {
    let cloud = logs();
    on(&cloud, "CreateLogGroup", json!({"logGroupName": "g"})).await.unwrap();
    on(&cloud, "CreateLogStream", json!({"logGroupName": "g", "logStreamName": "s"}))
        .await
        .unwrap();
    let now = cloud.clock.now().millis();
    let event = |at: i64, text: &str| json!({"timestamp": at, "message": text});
    let events =
        [event(now - 15 * 86_400_000, "old"), event(now, "now"), event(now + 8_000_000, "new")];
    let input = json!({"logGroupName": "g", "logStreamName": "s", "logEvents": events});
    let answer = on(&cloud, "PutLogEvents", input).await.unwrap();
    assert_eq!(
        answer["rejectedLogEventsInfo"],
        json!({"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2})
    );
    let input = json!({"logGroupName": "g", "logStreamName": "s"});
    assert_eq!(messages(&on(&cloud, "GetLogEvents", input).await.unwrap()), ["now"]);
    for events in [
        [event(now, "b"), event(now - 1, "a")],
        [event(now - 86_400_001, "a day"), event(now, "is too long")],
    ] {
        let input = json!({"logGroupName": "g", "logStreamName": "s", "logEvents": events});
        let refused = on(&cloud, "PutLogEvents", input).await.unwrap_err();
        assert_eq!(refused.code, "InvalidParameterException");
    }
    let input = json!({"logGroupName": "g", "retentionInDays": 1});
    on(&cloud, "PutRetentionPolicy", input).await.unwrap();
    let events = [event(now - 2 * 86_400_000, "expired"), event(now, "kept")];
    let input = json!({"logGroupName": "g", "logStreamName": "s", "logEvents": events});
    let answer = on(&cloud, "PutLogEvents", input).await.unwrap();
    assert_eq!(answer["rejectedLogEventsInfo"], json!({"expiredLogEventEndIndex": 1}));
}

#[tokio::test]
async fn retention_is_the_clouds_time() {
    let cloud = logs();
    write(&cloud, "s", &["line"]);
    let input = json!({"logGroupName": "g", "retentionInDays": 3});
    on(&cloud, "PutRetentionPolicy", input).await.unwrap();
    let read = json!({"logGroupName": "g", "logStreamName": "s"});
    assert_eq!(messages(&on(&cloud, "GetLogEvents", read.clone()).await.unwrap()), ["line"]);
    cloud.clock.step(Duration::from_secs(4 * 86_400));
    assert_eq!(messages(&on(&cloud, "GetLogEvents", read).await.unwrap()), [""; 0]);
    let input = json!({"logGroupName": "g", "retentionInDays": 2});
    assert!(on(&cloud, "PutRetentionPolicy", input).await.unwrap_err().message.contains("not 2"));
}

#[tokio::test]
async fn a_metric_filter_counts_lines() {
    let cloud = logs();
    on(&cloud, "CreateLogGroup", json!({"logGroupName": "g"})).await.unwrap();
    let filter = json!({
        "logGroupName": "g", "filterName": "f", "filterPattern": "{ $.level = \"error\" }",
        "metricTransformations": [{"metricNamespace": "N", "metricName": "Errors", "metricValue": "$.weight"}],
    });
    on(&cloud, "PutMetricFilter", filter).await.unwrap();
    write(
        &cloud,
        "s",
        &[r#"{"level":"error","weight":3}"#, r#"{"level":"info","weight":9}"#, "no json"],
    );
    let now = cloud.clock.now().seconds();
    let input = json!({
        "Namespace": "N", "MetricName": "Errors", "StartTime": now - 60, "EndTime": now + 60,
        "Period": 60, "Statistics": ["Sum"],
    });
    let answer = call(&cloud, "monitoring", "GetMetricStatistics", input).await.unwrap();
    assert_eq!(answer["Datapoints"][0]["Sum"], 3.0);
}

#[test]
fn patterns_fit_as_documented() {
    for (pattern, line, fits) in [
        ("", "anything", true),
        ("ERROR", "an ERROR", true),
        ("ERROR", "an error", false),
        ("a b", "b then a", true),
        ("\"a b\"", "b a", false),
        ("?a ?b", "only b", true),
        ("ERROR -retry", "ERROR on retry", false),
        ("{ $.a = 1 }", r#"{"a":1}"#, true),
        ("{ $.a = 1 }", r#"{"a":2}"#, false),
        ("{ $.a != 1 }", r#"{"a":2}"#, true),
        ("{ $.a.b >= 2.5 }", r#"{"a":{"b":3}}"#, true),
        ("{ $.a = \"x*\" }", r#"{"a":"xyz"}"#, true),
        ("{ $.a = x }", r#"{"a":"x"}"#, true),
        ("{ $.a IS NULL }", r#"{"a":null}"#, true),
        ("{ $.a NOT EXISTS }", r#"{"b":1}"#, true),
        ("{ $.a[1] = 5 }", r#"{"a":[4,5]}"#, true),
        ("{ $.a[*] = 5 }", r#"{"a":[4,5]}"#, true),
        ("{ ($.a = 1 || $.a = 2) && $.b IS TRUE }", r#"{"a":2,"b":true}"#, true),
        ("{ ($.a = 1 || $.a = 2) && $.b IS TRUE }", r#"{"a":3,"b":true}"#, false),
        ("{ $.a = 1 }", "no json", false),
    ] {
        assert_eq!(Pattern::parse(pattern).unwrap().fits(line), fits, "{pattern} on {line}");
    }
    for pattern in ["{ $.a }", "{ a = 1 }", "{ $.a = 1", "[a, b]", "%x%", "\"open", "{ ($.a = 1 }"]
    {
        assert!(Pattern::parse(pattern).is_err(), "{pattern}");
    }
    let deep = format!("{{ {} $.a = 1 {} }}", "(".repeat(400), ")".repeat(400));
    assert!(Pattern::parse(&deep).is_err());
}

#[tokio::test]
async fn a_stack_makes_groups() {
    let cloud = logs();
    let handler = cloud.resource("AWS::Logs::LogGroup").unwrap();
    let mut request = ResourceRequest {
        logical_id: "Logs".to_owned(),
        stack_name: "s".to_owned(),
        properties: json!({"RetentionInDays": "90"}),
        ..ResourceRequest::default()
    };
    let made = handler.create(&request).await.unwrap();
    let arn = format!("arn:aws:logs:us-east-1:123456789012:log-group:{}:*", made.physical_id);
    assert_eq!(made.attributes["Arn"], arn);
    let shown = on(&cloud, "DescribeLogGroups", json!({})).await.unwrap();
    assert_eq!(shown["logGroups"][0]["retentionInDays"], 90);
    request.physical_id = Some(made.physical_id);
    request.properties = json!({});
    handler.update(&request).await.unwrap();
    let shown = on(&cloud, "DescribeLogGroups", json!({})).await.unwrap();
    assert_eq!(shown["logGroups"][0].get("retentionInDays"), None);
    handler.delete(&request).await.unwrap();
    handler.delete(&request).await.unwrap();
    assert_eq!(on(&cloud, "DescribeLogGroups", json!({})).await.unwrap()["logGroups"], json!([]));
}

#[tokio::test]
async fn the_newest_streams_come_first_if_wanted() {
    let cloud = logs();
    for stream in ["b", "a", "c"] {
        write(&cloud, stream, &["x"]);
        cloud.clock.step(Duration::from_secs(1));
    }
    let input =
        json!({"logGroupName": "g", "orderBy": "LastEventTime", "descending": true, "limit": 2});
    let shown = on(&cloud, "DescribeLogStreams", input.clone()).await.unwrap();
    let names: Vec<&Value> = shown["logStreams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| &stream["logStreamName"])
        .collect();
    assert_eq!(names, ["c", "a"]);
    let mut next = input;
    next["nextToken"] = shown["nextToken"].clone();
    let shown = on(&cloud, "DescribeLogStreams", next).await.unwrap();
    assert_eq!(shown["logStreams"][0]["logStreamName"], "b");
    let wrong = json!({"logGroupName": "g", "orderBy": "LastEvent"});
    let refused = on(&cloud, "DescribeLogStreams", wrong).await.unwrap_err();
    assert_eq!(refused.code, "InvalidParameterException");
    assert!(refused.message.contains("'LastEvent'"), "{}", refused.message);
}

#[tokio::test]
async fn what_has_the_wrong_shape_is_refused_before_it_is_looked_up() {
    let cloud = logs();
    let long = "x".repeat(513);
    for (operation, input, problem) in [
        ("CreateLogGroup", json!({"logGroupName": long}), "length less than or equal to 512"),
        (
            "DeleteMetricFilter",
            json!({"logGroupName": "g", "filterName": "a:b"}),
            "pattern: [^:*]*",
        ),
        ("DescribeMetricFilters", json!({"metricName": "$"}), "Value '$' at 'metricName'"),
        ("DescribeLogGroups", json!({"limit": 51}), "Value '51' at 'limit'"),
        ("DescribeLogGroups", json!({"nextToken": "?"}), "nextToken is invalid"),
        (
            "DescribeLogStreams",
            json!({"logGroupIdentifier": "g:*"}),
            "Value at 'logGroupIdentifier'",
        ),
        (
            "DescribeLogStreams",
            json!({"logGroupName": "g", "orderBy": "", "logStreamNamePrefix": ""}),
            "2 validation errors detected: ",
        ),
    ] {
        let refused = on(&cloud, operation, input).await.unwrap_err();
        assert_eq!(refused.code, "InvalidParameterException", "{operation}");
        assert!(refused.message.contains(problem), "{refused}");
    }
    write(&cloud, "s", &["x"]);
    let input = json!({"logGroupName": "g", "nextToken": "elsewhere"});
    let refused = on(&cloud, "DescribeLogStreams", input).await.unwrap_err();
    assert_eq!(refused.code, "InvalidParameterException");
}

#[tokio::test]
async fn resource_policies_are_kept() {
    let cloud = logs();
    let document = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*",
    }]});
    let put = |name: String, document: String| {
        let input = json!({"policyName": name, "policyDocument": document});
        on(&cloud, "PutResourcePolicy", input)
    };
    for n in [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9] {
        put(format!("p{n}"), document.to_string()).await.unwrap();
    }
    let refused = put("p10".to_owned(), document.to_string()).await.unwrap_err();
    assert_eq!(refused.code, "LimitExceededException");
    let refused = put("p1".to_owned(), "{}".to_owned()).await.unwrap_err();
    assert_eq!(refused.code, "InvalidParameterException");
    let shown = on(&cloud, "DescribeResourcePolicies", json!({})).await.unwrap();
    let policies = shown["resourcePolicies"].as_array().unwrap();
    assert_eq!((policies.len(), &policies[0]["policyName"]), (10, &json!("p0")));
    let input = json!({"policyName": "p0"});
    on(&cloud, "DeleteResourcePolicy", input.clone()).await.unwrap();
    let gone = on(&cloud, "DeleteResourcePolicy", input).await.unwrap_err();
    assert_eq!(gone.code, "ResourceNotFoundException");
    let handler = cloud.resource("AWS::Logs::ResourcePolicy").unwrap();
    let properties = json!({"PolicyName": "of-stack", "PolicyDocument": document.to_string()});
    let mut request = ResourceRequest { properties, ..ResourceRequest::default() };
    request.physical_id = Some(handler.create(&request).await.unwrap().physical_id);
    let names = async || {
        let shown = on(&cloud, "DescribeResourcePolicies", json!({})).await.unwrap();
        shown["resourcePolicies"].to_string().matches("of-stack").count()
    };
    assert_eq!(names().await, 1);
    handler.delete(&request).await.unwrap();
    assert_eq!(names().await, 0);
}

/// Functions that remember what they were sent; `denied` may not be called.
#[derive(Default)]
struct Listener(Mutex<Vec<(String, Value)>>);

impl Functions for Listener {
    fn invoke<'a>(&'a self, _: &'a str, _: bytes::Bytes) -> BoxFuture<'a, Result<Invoked, Fault>> {
        Box::pin(std::future::ready(Err(Fault::internal("nobody waits for a function here"))))
    }

    fn invoke_event(&self, function: &str, payload: bytes::Bytes) {
        use base64::Engine;
        use std::io::Read;
        let event: Value = serde_json::from_slice(&payload).unwrap();
        let data = event["awslogs"]["data"].as_str().unwrap();
        let packed = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
        let name = function.rsplit(':').next().unwrap().to_owned();
        self.0.lock().unwrap().push((name, serde_json::from_str(&text).unwrap()));
    }

    fn permits(&self, function: &str, principal: &str, source: &str) -> bool {
        let group = "arn:aws:logs:us-east-1:123456789012:log-group:g:*";
        !function.ends_with("denied") && principal == "logs.amazonaws.com" && source == group
    }
}

fn function(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:123456789012:function:{name}")
}

#[tokio::test]
async fn lines_that_fit_a_subscription_are_sent_on_as_aws_packs_them() {
    let cloud = logs();
    let listener = Arc::new(Listener::default());
    cloud.ports.serve_functions(listener.clone());
    write(&cloud, "s", &["ERROR before anybody asked"]);
    let input = json!({"logGroupName": "g", "filterName": "errors", "filterPattern": "ERROR",
        "destinationArn": function("alarm")});
    on(&cloud, "PutSubscriptionFilter", input).await.unwrap();
    write(&cloud, "s", &["fine", "ERROR one", "ERROR two"]);
    write(&cloud, "s", &["fine again"]);
    let sent = std::mem::take(&mut *listener.0.lock().unwrap());
    let [(name, data)] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(name, "alarm");
    assert_eq!(data["messageType"], "DATA_MESSAGE");
    assert_eq!(data["owner"], "123456789012");
    assert_eq!((&data["logGroup"], &data["logStream"]), (&json!("g"), &json!("s")));
    assert_eq!(data["subscriptionFilters"], json!(["errors"]));
    let events = data["logEvents"].as_array().unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["message"], "ERROR two");
    assert_eq!(events[1]["timestamp"], cloud.clock.now().millis());
    assert_eq!(events[1]["id"].as_str().unwrap().len(), 56);
    // More than one call can carry comes in several.
    let long = "ERROR ".repeat(10_000);
    write(&cloud, "s", &[&long, &long, &long, &long]);
    let sent = std::mem::take(&mut *listener.0.lock().unwrap());
    let counts: Vec<usize> =
        sent.iter().map(|(_, data)| data["logEvents"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [2, 2]);
    let input = json!({"logGroupName": "g", "filterName": "errors"});
    on(&cloud, "DeleteSubscriptionFilter", input.clone()).await.unwrap();
    write(&cloud, "s", &["ERROR three"]);
    assert!(listener.0.lock().unwrap().is_empty());
    let gone = on(&cloud, "DeleteSubscriptionFilter", input).await.unwrap_err();
    assert_eq!(gone.code, "ResourceNotFoundException");
}

#[tokio::test]
async fn subscriptions_are_listed_bounded_and_need_a_permission() {
    let cloud = logs();
    cloud.ports.serve_functions(Arc::new(Listener::default()));
    on(&cloud, "CreateLogGroup", json!({"logGroupName": "g"})).await.unwrap();
    let put = |group: &str, name: &str, destination: String| {
        let input = json!({"logGroupName": group, "filterName": name, "filterPattern": "",
            "destinationArn": destination, "distribution": "Random"});
        let cloud = cloud.clone();
        async move { on(&cloud, "PutSubscriptionFilter", input).await }
    };
    put("g", "a", function("f")).await.unwrap();
    put("g", "b", function("f")).await.unwrap();
    put("g", "b", function("g")).await.unwrap();
    let full = put("g", "c", function("f")).await.unwrap_err();
    assert_eq!(full.code, "LimitExceededException");
    for (group, destination, part) in [
        ("g", function("denied"), "Could not execute the lambda function"),
        ("g", "arn:aws:kinesis:us-east-1:123456789012:stream/s".to_owned(), "is no function"),
        ("none", function("f"), "does not exist"),
    ] {
        let refused = put(group, "d", destination).await.unwrap_err();
        assert!(refused.message.contains(part), "{refused}");
    }
    on(&cloud, "CreateLogGroup", json!({"logGroupName": "/aws/lambda/f"})).await.unwrap();
    let circle = put("/aws/lambda/f", "d", function("f")).await.unwrap_err();
    assert!(circle.message.contains("its own lines"), "{circle}");
    let listed = on(&cloud, "DescribeSubscriptionFilters", json!({"logGroupName": "g"})).await;
    let listed = listed.unwrap();
    let filters = listed["subscriptionFilters"].as_array().unwrap();
    assert_eq!(filters.len(), 2);
    assert_eq!(filters[1]["destinationArn"], function("g"));
    assert_eq!(filters[1]["distribution"], "Random");
}

#[tokio::test]
async fn a_stack_makes_subscriptions() {
    let cloud = logs();
    cloud.ports.serve_functions(Arc::new(Listener::default()));
    on(&cloud, "CreateLogGroup", json!({"logGroupName": "g"})).await.unwrap();
    let handler = cloud.resource("AWS::Logs::SubscriptionFilter").unwrap();
    let mut request = ResourceRequest {
        logical_id: "Errors".to_owned(),
        stack_name: "s".to_owned(),
        properties: json!({"LogGroupName": "g", "FilterPattern": "ERROR",
            "DestinationArn": function("f")}),
        ..ResourceRequest::default()
    };
    let made = handler.create(&request).await.unwrap();
    assert!(made.physical_id.starts_with("s-Errors-"));
    request.physical_id = Some(made.physical_id.clone());
    request.properties["FilterPattern"] = json!("WARN");
    handler.update(&request).await.unwrap();
    let listed = on(&cloud, "DescribeSubscriptionFilters", json!({"logGroupName": "g"})).await;
    let filter = listed.unwrap()["subscriptionFilters"][0].clone();
    assert_eq!(
        (&filter["filterName"], &filter["filterPattern"]),
        (&json!(made.physical_id), &json!("WARN"))
    );
    handler.delete(&request).await.unwrap();
    handler.delete(&request).await.unwrap();
}
