//! What clients of CloudWatch, alarms and dashboards rely on.
//!
//! The clock is stepped by hand; a fake topic witnesses what alarms tell.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes_of::form;
use iotstack_local_kernel::ports::Topics;
use iotstack_local_kernel::testing::{call, cloud};
use iotstack_local_kernel::{BoxFuture, Caller, Cloud, Fault, ResourceRequest};
use serde_json::{Value, json};

/// Requests as older clients write them.
mod bytes_of {
    use http::Request;

    pub fn form(body: &'static str) -> Request<bytes::Bytes> {
        Request::post("/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(bytes::Bytes::from_static(body.as_bytes()))
            .unwrap()
    }
}

#[derive(Default)]
struct Mailbox(Mutex<Vec<Value>>);

impl Topics for Mailbox {
    fn publish<'a>(
        &'a self,
        topic: &'a str,
        message: &'a str,
        subject: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        let mut message: Value = serde_json::from_str(message).unwrap();
        message["topic"] = json!(topic);
        message["subject"] = json!(subject);
        self.0.lock().unwrap().push(message);
        Box::pin(async { Ok(String::new()) })
    }
}

fn watch() -> (Arc<Cloud>, Arc<Mailbox>) {
    let (cloud, mailbox) = (cloud(), Arc::new(Mailbox::default()));
    crate::install(&cloud).unwrap();
    cloud.ports.serve_topics(mailbox.clone());
    (cloud, mailbox)
}

async fn on(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "monitoring", operation, input).await
}

fn put(cloud: &Cloud, name: &str, value: f64) {
    cloud.ports.metrics().unwrap().put("N", name, &[("D", "x")], value, "Count");
}

async fn data(cloud: &Cloud, queries: Value) -> Result<Vec<Value>, Fault> {
    let now = cloud.clock.now().seconds();
    let input = json!({
        "MetricDataQueries": queries, "StartTime": now - 3600, "EndTime": now + 60,
        "ScanBy": "TimestampAscending",
    });
    let answer = on(cloud, "GetMetricData", input).await?;
    Ok(answer["MetricDataResults"].as_array().unwrap().clone())
}

fn stat(id: &str, name: &str, stat: &str) -> Value {
    let metric =
        json!({"Namespace": "N", "MetricName": name, "Dimensions": [{"Name": "D", "Value": "x"}]});
    json!({"Id": id, "MetricStat": {"Metric": metric, "Stat": stat, "Period": 60}, "ReturnData": false})
}

fn step(cloud: &Cloud, seconds: u64) {
    cloud.clock.step(Duration::from_secs(seconds));
}

async fn until(cloud: &Cloud, alarm: &str, state: &str) {
    let began = Instant::now();
    loop {
        let shown = on(
            cloud,
            "DescribeAlarms",
            json!({"AlarmNames": [alarm], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}),
        )
        .await
        .unwrap();
        let found = shown["MetricAlarms"].get(0).or(shown["CompositeAlarms"].get(0)).unwrap();
        if found["StateValue"] == state {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{found}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn values_add_up_per_period() {
    let (cloud, _) = watch();
    for value in [1.0, 2.0, 6.0] {
        put(&cloud, "m", value);
    }
    step(&cloud, 60);
    put(&cloud, "m", 10.0);
    let now = cloud.clock.now().seconds();
    let input = json!({
        "Namespace": "N", "MetricName": "m", "Dimensions": [{"Name": "D", "Value": "x"}],
        "StartTime": now - 600, "EndTime": now + 60, "Period": 60,
        "Statistics": ["Sum", "Average", "SampleCount", "Minimum", "Maximum"],
        "ExtendedStatistics": ["p50"],
    });
    let answer = on(&cloud, "GetMetricStatistics", input.clone()).await.unwrap();
    let first = &answer["Datapoints"][0];
    assert_eq!(
        (
            &first["Sum"],
            &first["Average"],
            &first["SampleCount"],
            &first["Minimum"],
            &first["Maximum"]
        ),
        (&json!(9.0), &json!(3.0), &json!(3.0), &json!(1.0), &json!(6.0))
    );
    assert_eq!(
        (&first["Unit"], &first["ExtendedStatistics"]["p50"]),
        (&json!("Count"), &json!(2.0))
    );
    assert_eq!(answer["Datapoints"].as_array().unwrap().len(), 2);
    let mut other = input;
    other["Dimensions"] = json!([]);
    let answer = on(&cloud, "GetMetricStatistics", other).await.unwrap();
    assert_eq!(answer["Datapoints"], json!([]));
}

#[tokio::test]
async fn data_that_was_put_comes_back_and_wrong_data_is_refused_whole() {
    let (cloud, _) = watch();
    let now = cloud.clock.now().seconds();
    let datum = json!({
        "MetricName": "m", "Dimensions": [{"Name": "D", "Value": "x"}], "Unit": "Count",
        "Values": [1, 2], "Counts": [3, 1], "Timestamp": now - 60,
    });
    let sums = json!({
        "MetricName": "s", "Dimensions": [{"Name": "D", "Value": "x"}],
        "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 5},
    });
    on(&cloud, "PutMetricData", json!({"Namespace": "N", "MetricData": [datum.clone(), sums]}))
        .await
        .unwrap();
    let mut queries = [stat("a", "m", "Sum"), stat("b", "s", "Average")];
    queries.iter_mut().for_each(|query| query["ReturnData"] = json!(true));
    let results = data(&cloud, json!(queries)).await.unwrap();
    assert_eq!((&results[0]["Values"], &results[1]["Values"]), (&json!([5.0]), &json!([2.5])));
    for wrong in [
        json!({"MetricName": "m"}),
        json!({"MetricName": "m", "Value": 1, "Values": [1]}),
        json!({"MetricName": "m", "Value": 1, "Unit": "Lamps"}),
        json!({"MetricName": "m", "Value": 1, "Timestamp": now - 16 * 86_400}),
        json!({"MetricName": "m", "Value": "NaN"}),
        json!({"Value": 1}),
    ] {
        let input = json!({"Namespace": "N", "MetricData": [datum, wrong]});
        assert_eq!(on(&cloud, "PutMetricData", input).await.unwrap_err().status, 400);
    }
    assert_eq!(data(&cloud, json!(queries)).await.unwrap()[0]["Values"], json!([5.0]));
    let listed =
        on(&cloud, "ListMetrics", json!({"Namespace": "N", "MetricName": "s"})).await.unwrap();
    assert_eq!(listed["Metrics"][0]["Dimensions"], json!([{"Name": "D", "Value": "x"}]));
}

#[tokio::test]
async fn expressions_calculate() {
    let (cloud, _) = watch();
    for (a, b) in [(1.0, 10.0), (4.0, 0.0), (9.0, 30.0)] {
        put(&cloud, "a", a);
        put(&cloud, "b", b);
        step(&cloud, 60);
    }
    for (expression, values) in [
        ("a + b", json!([11.0, 4.0, 39.0])),
        ("a / b * 100", json!([10.0, 30.0])),
        ("a / b", json!([0.1, 0.3])),
        ("-a", json!([-1.0, -4.0, -9.0])),
        ("DIFF(a)", json!([3.0, 5.0])),
        ("RATE(a)", json!([0.05, 5.0 / 60.0])),
        ("RUNNING_SUM(a)", json!([1.0, 5.0, 14.0])),
        ("SUM([a, b])", json!([11.0, 4.0, 39.0])),
        ("MAX(METRICS())", json!([10.0, 4.0, 30.0])),
        ("AVG(METRICS(\"a\"))", json!([1.0, 4.0, 9.0])),
        ("IF(b > 5, a, 0)", json!([1.0, 0.0, 9.0])),
        ("a > 2 && b > 2", json!([0.0, 0.0, 1.0])),
        ("a * 0 + SUM(a)", json!([14.0, 14.0, 14.0])),
        ("a * 0 + PERIOD(a)", json!([60.0, 60.0, 60.0])),
        ("a ^ 2", json!([1.0, 16.0, 81.0])),
        ("CEIL(a / 2)", json!([1.0, 2.0, 5.0])),
    ] {
        let queries = json!([
            stat("a", "a", "Sum"), stat("b", "b", "Sum"),
            {"Id": "e", "Expression": expression},
        ]);
        let results = data(&cloud, queries).await.unwrap();
        assert_eq!((results.len(), &results[0]["Values"]), (1, &values), "{expression}");
        assert_eq!(results[0]["Label"], "e");
    }
    for expression in ["e", "nothing", "SUM(", "ANOMALY_DETECTION_BAND(a)", "a b", "1 / 0"] {
        let queries = json!([stat("a", "a", "Sum"), {"Id": "e", "Expression": expression}]);
        assert!(data(&cloud, queries).await.is_err(), "{expression}");
    }
}

#[tokio::test]
async fn gaps_are_filled_and_searches_find() {
    let (cloud, _) = watch();
    put(&cloud, "a", 1.0);
    step(&cloud, 120);
    put(&cloud, "a", 3.0);
    let queries = json!([stat("a", "a", "Sum"), {"Id": "e", "Expression": "FILL(a, LINEAR)"}]);
    assert_eq!(data(&cloud, queries).await.unwrap()[0]["Values"], json!([1.0, 2.0, 3.0]));
    let queries = json!([{"Id": "e", "Expression": "SEARCH('{N,D} MetricName=\"a\"', 'Sum', 60)", "Label": "found"}]);
    let results = data(&cloud, queries).await.unwrap();
    assert_eq!(
        (&results[0]["Values"], &results[0]["Label"]),
        (&json!([1.0, 3.0]), &json!("found x"))
    );
    let queries = json!([{"Id": "e", "Expression": "SEARCH('{N,D} other', 'Sum', 60)"}]);
    assert_eq!(data(&cloud, queries).await.unwrap(), Vec::<Value>::new());
}

#[tokio::test]
async fn an_alarm_rises_tells_its_topic_and_falls() {
    let (cloud, mailbox) = watch();
    let alarm = json!({
        "AlarmName": "many", "Namespace": "N", "MetricName": "m", "Statistic": "Sum",
        "Dimensions": [{"Name": "D", "Value": "x"}], "Period": 300, "EvaluationPeriods": 1,
        "Threshold": 5, "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching", "AlarmActions": ["arn:aws:sns:us-east-1:123456789012:t"],
        "OKActions": ["arn:aws:sns:us-east-1:123456789012:t"],
    });
    on(&cloud, "PutMetricAlarm", alarm).await.unwrap();
    // The task that evaluates must hear every step.
    tokio::task::yield_now().await;
    step(&cloud, 60);
    until(&cloud, "many", "OK").await;
    for _ in 0..5 {
        put(&cloud, "m", 1.0);
    }
    step(&cloud, 60);
    until(&cloud, "many", "ALARM").await;
    step(&cloud, 60);
    tokio::time::sleep(Duration::from_millis(5)).await;
    step(&cloud, 300);
    until(&cloud, "many", "OK").await;
    let began = Instant::now();
    while mailbox.0.lock().unwrap().len() < 3 {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mails = mailbox.0.lock().unwrap().clone();
    let states: Vec<&Value> = mails.iter().map(|mail| &mail["NewStateValue"]).collect();
    assert_eq!(states, ["OK", "ALARM", "OK"]);
    assert_eq!(mails[1]["Trigger"]["MetricName"], "m");
    assert_eq!(mails[1]["subject"], "ALARM: \"many\" in us-east-1");
    let history = on(
        &cloud,
        "DescribeAlarmHistory",
        json!({"AlarmName": "many", "HistoryItemType": "StateUpdate"}),
    )
    .await
    .unwrap();
    assert_eq!(history["AlarmHistoryItems"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn missing_data_means_what_the_alarm_says() {
    let (cloud, _) = watch();
    for (treatment, state) in
        [("breaching", "ALARM"), ("notBreaching", "OK"), ("missing", "INSUFFICIENT_DATA")]
    {
        let alarm = json!({
            "AlarmName": treatment, "Namespace": "N", "MetricName": "none", "Statistic": "Sum",
            "Period": 60, "EvaluationPeriods": 2, "Threshold": 1,
            "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": treatment,
        });
        on(&cloud, "PutMetricAlarm", alarm).await.unwrap();
        tokio::task::yield_now().await;
        step(&cloud, 60);
        until(&cloud, treatment, state).await;
    }
}

#[tokio::test]
async fn composite_alarms_follow() {
    let (cloud, mailbox) = watch();
    for name in ["a", "b"] {
        let alarm = json!({
            "AlarmName": name, "Namespace": "N", "MetricName": name, "Statistic": "Sum",
            "Period": 60, "EvaluationPeriods": 1, "Threshold": 1,
            "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "ignore",
        });
        on(&cloud, "PutMetricAlarm", alarm).await.unwrap();
    }
    let both = json!({
        "AlarmName": "both", "AlarmRule": "ALARM(a) AND ALARM(b)",
        "AlarmActions": ["arn:aws:sns:us-east-1:123456789012:t"],
    });
    on(&cloud, "PutCompositeAlarm", both).await.unwrap();
    let set =
        |name: &str| json!({"AlarmName": name, "StateValue": "ALARM", "StateReason": "by hand"});
    on(&cloud, "SetAlarmState", set("a")).await.unwrap();
    until(&cloud, "both", "OK").await;
    on(&cloud, "SetAlarmState", set("b")).await.unwrap();
    until(&cloud, "both", "ALARM").await;
    assert_eq!(mailbox.0.lock().unwrap()[0]["AlarmRule"], "ALARM(a) AND ALARM(b)");
    let refused = on(&cloud, "SetAlarmState", set("c")).await.unwrap_err();
    assert_eq!(refused.code, "ResourceNotFound");
}

#[tokio::test]
async fn wrong_alarms_are_refused() {
    let (cloud, _) = watch();
    let good = json!({
        "AlarmName": "a", "Namespace": "N", "MetricName": "m", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold",
    });
    for (member, value) in [
        ("Period", json!(30)),
        ("Statistic", json!("Median")),
        ("ComparisonOperator", json!("GreaterThanUpperThreshold")),
        ("EvaluationPeriods", json!(0)),
        ("DatapointsToAlarm", json!(2)),
        ("TreatMissingData", json!("good")),
        ("AlarmActions", json!(["arn:aws:s3:::bucket"])),
        ("Threshold", Value::Null),
        ("MetricName", Value::Null),
        ("Metrics", json!([{"Id": "e", "Expression": "1"}])),
    ] {
        let mut alarm = good.clone();
        alarm[member] = value;
        let refused = on(&cloud, "PutMetricAlarm", alarm).await.unwrap_err();
        assert_eq!(refused.status, 400, "{member}");
    }
    on(&cloud, "PutMetricAlarm", good).await.unwrap();
}

#[tokio::test]
async fn dashboards_are_kept_as_they_are() {
    let (cloud, _) = watch();
    let body = r#"{"widgets":[{"type":"text","properties":{"markdown":"x"}}]}"#;
    on(&cloud, "PutDashboard", json!({"DashboardName": "d", "DashboardBody": body})).await.unwrap();
    let found = on(&cloud, "GetDashboard", json!({"DashboardName": "d"})).await.unwrap();
    assert_eq!(found["DashboardBody"], body);
    for wrong in
        ["no json", "[]", r#"{"widgets":{}}"#, r#"{"widgets":[{"type":"x","properties":{}}]}"#]
    {
        let input = json!({"DashboardName": "d", "DashboardBody": wrong});
        assert_eq!(
            on(&cloud, "PutDashboard", input).await.unwrap_err().code,
            "InvalidParameterInput"
        );
    }
    let listed = on(&cloud, "ListDashboards", json!({})).await.unwrap();
    assert_eq!(listed["DashboardEntries"][0]["Size"], body.len());
    on(&cloud, "DeleteDashboards", json!({"DashboardNames": ["d"]})).await.unwrap();
    let gone = on(&cloud, "GetDashboard", json!({"DashboardName": "d"})).await.unwrap_err();
    assert_eq!((gone.code.as_str(), gone.status), ("ResourceNotFound", 404));
}

#[tokio::test]
async fn forms_are_understood_and_answered_with_readable_times() {
    let (cloud, _) = watch();
    let answer =
        |request| cloud.services.answer("monitoring", request, Caller::Root, cloud.clock.now());
    let response = answer(form(
        "Action=PutMetricData&Version=2010-08-01&Namespace=N&MetricData.member.1.MetricName=m\
         &MetricData.member.1.Value=4.5&MetricData.member.1.Dimensions.member.1.Name=D\
         &MetricData.member.1.Dimensions.member.1.Value=x",
    ))
    .await;
    assert_eq!(response.status(), 200);
    let response = answer(form(
        "Action=GetMetricStatistics&Version=2010-08-01&Namespace=N&MetricName=m\
         &Dimensions.member.1.Name=D&Dimensions.member.1.Value=x&Period=60&Statistics.member.1=Sum\
         &StartTime=2025-12-31T23%3A00%3A00Z&EndTime=2026-01-01T01%3A00%3A00Z",
    ))
    .await;
    let text = std::str::from_utf8(response.body()).unwrap();
    assert!(text.contains("<Timestamp>2026-01-01T00:00:00.000Z</Timestamp>"), "{text}");
    assert!(text.contains("<Sum>4.5</Sum>"), "{text}");
}

#[tokio::test]
async fn the_newest_clients_speak_cbor_and_get_times_as_times() {
    use iotstack_local_kernel::wire::cbor;
    let (cloud, _) = watch();
    let now = cloud.clock.now();
    let answer = |operation: &str, members: Value| {
        let request = http::Request::post(format!(
            "/service/GraniteServiceVersion20100801/operation/{operation}"
        ));
        let request = request.header("smithy-protocol", "rpc-v2-cbor");
        let request = request.body(bytes::Bytes::from(cbor::write(&members))).unwrap();
        cloud.services.answer("monitoring", request, Caller::Root, now)
    };
    let data = json!([{"MetricName": "m", "Value": 4.5, "Timestamp": cbor::time(now)}]);
    let put = answer("PutMetricData", json!({"Namespace": "N", "MetricData": data})).await;
    assert_eq!(put.status(), 200);
    let minute = iotstack_local_kernel::Timestamp(now.0 + 60_000);
    let wanted = json!({
        "Namespace": "N", "MetricName": "m", "Period": 60, "Statistics": ["Sum"],
        "StartTime": cbor::time(now), "EndTime": cbor::time(minute),
    });
    let read = answer("GetMetricStatistics", wanted).await;
    // Behind the name stands tag 1.
    let tagged = b"iTimestamp\xc1";
    assert!(read.body().windows(tagged.len()).any(|window| window == tagged), "{:?}", read.body());
    let members = cbor::read(read.body()).unwrap();
    assert_eq!(members["Datapoints"][0]["Sum"], 4.5);
    let refused = answer("GetDashboard", json!({"DashboardName": "d"})).await;
    assert_eq!(cbor::read(refused.body()).unwrap()["__type"], "ResourceNotFound");
}

#[tokio::test]
async fn a_stack_makes_alarms_and_dashboards() {
    let (cloud, _) = watch();
    let request = |properties: Value| ResourceRequest {
        logical_id: "R".to_owned(),
        stack_name: "s".to_owned(),
        properties,
        ..ResourceRequest::default()
    };
    let alarm = json!({
        "Namespace": "N", "MetricName": "m", "Statistic": "Sum", "Period": "60",
        "EvaluationPeriods": "1", "Threshold": "1", "ComparisonOperator": "GreaterThanThreshold",
    });
    let handler = cloud.resource("AWS::CloudWatch::Alarm").unwrap();
    let mut alarm = request(alarm);
    let made = handler.create(&alarm).await.unwrap();
    let arn = format!("arn:aws:cloudwatch:us-east-1:123456789012:alarm:{}", made.physical_id);
    assert_eq!(made.attributes["Arn"], arn);
    alarm.physical_id = Some(made.physical_id.clone());
    alarm.properties["Threshold"] = json!("7");
    handler.update(&alarm).await.unwrap();
    let shown = on(&cloud, "DescribeAlarms", json!({})).await.unwrap();
    assert_eq!(shown["MetricAlarms"][0]["Threshold"], 7.0);
    handler.delete(&alarm).await.unwrap();
    handler.delete(&alarm).await.unwrap();

    let mut dashboard = request(json!({"DashboardBody": "{\"widgets\":[]}"}));
    let handler = cloud.resource("AWS::CloudWatch::Dashboard").unwrap();
    let made = handler.create(&dashboard).await.unwrap();
    assert!(made.physical_id.starts_with("s-R-"));
    dashboard.physical_id = Some(made.physical_id);
    handler.delete(&dashboard).await.unwrap();
}

#[tokio::test]
async fn refusals_have_the_codes_of_aws() {
    let (cloud, _) = watch();
    let now = cloud.clock.now().seconds();
    let datum = |mut datum: Value| {
        datum["MetricName"] = json!("M");
        json!({"Namespace": "N", "MetricData": [datum]})
    };
    let sums = json!({"SampleCount": 1, "Sum": 1, "Minimum": 1, "Maximum": 1});
    let statistics = |start: i64, end: i64| {
        json!({
            "Namespace": "N", "MetricName": "M", "StartTime": start, "EndTime": end, "Period": 60,
            "Statistics": ["Sum"],
        })
    };
    let query = |query: Value, start: i64| json!({"MetricDataQueries": [query], "StartTime": start, "EndTime": now});
    let metric = json!({"Id": "m", "MetricStat": {
        "Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum",
    }});
    let alarm = |statistic: &str, option: &str| {
        json!({
            "AlarmName": "a", "Namespace": "N", "MetricName": "M", "Period": 60, "Threshold": 1,
            "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold",
            "ExtendedStatistic": statistic, "EvaluateLowSampleCountPercentile": option,
        })
    };
    let unknown = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:unknown";
    let (value, unfit) = ("InvalidParameterValue", "ValidationError");
    for (operation, input, code, problem) in [
        ("PutMetricData", datum(json!({"Value": "NaN"})), value, "The value NaN"),
        ("PutMetricData", datum(json!({"Value": 1, "Values": [1]})), value, "member.1.Values"),
        ("PutMetricData", datum(json!({"Values": [1], "Counts": [1, 2]})), value, "same size"),
        (
            "PutMetricData",
            datum(json!({"Value": 1, "StatisticValues": sums})),
            "InvalidParameterCombination",
            "mutually exclusive",
        ),
        ("GetMetricStatistics", statistics(now, now), value, "less than"),
        ("GetMetricData", query(metric.clone(), now), unfit, "must not equal"),
        ("GetMetricData", query(metric, now + 1), unfit, "greater than"),
        ("GetMetricData", query(json!({"Id": "m"}), now - 60), unfit, "MetricStat is required"),
        ("PutMetricAlarm", alarm("90", "ignore"), value, "The value 90"),
        ("PutMetricAlarm", alarm("p90", "unknown"), unfit, "Option unknown"),
        ("DeleteDashboards", json!({"DashboardNames": []}), value, "empty"),
        (
            "ListTagsForResource",
            json!({"ResourceARN": unknown}),
            "ResourceNotFoundException",
            "no alarm",
        ),
        (
            "UntagResource",
            json!({"ResourceARN": unknown, "TagKeys": []}),
            "ResourceNotFoundException",
            "no alarm",
        ),
    ] {
        let refused = on(&cloud, operation, input).await.unwrap_err();
        assert_eq!(refused.code, code, "{operation}: {refused}");
        assert!(refused.message.contains(problem), "{operation}: {refused}");
    }
}
