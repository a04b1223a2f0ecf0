//! Fleet indexing, dynamic groups and fleet metrics.
//!
//! Shadows and connections are told on the bus, as the data plane and the broker
//! do. What follows a task is waited for, with a bound.

use iotstack_local_kernel::ports::Metrics;
use iotstack_local_kernel::{CloudEvent, Fault};

use super::*;

async fn switch_on(cloud: &Cloud, mode: &str) {
    let input = json!({
        "thingIndexingConfiguration": {
            "thingIndexingMode": mode,
            "thingConnectivityIndexingMode": "STATUS",
            "namedShadowIndexingMode": "ON",
            "filter": {"namedShadowNames": ["config"]},
            "customFields": [
                {"name": "attributes.floor", "type": "Number"},
                {"name": "shadow.reported.firmware", "type": "String"},
            ],
        },
        "thingGroupIndexingConfiguration": {"thingGroupIndexingMode": "ON"},
    });
    iot(cloud, "UpdateIndexingConfiguration", input).await;
}

async fn pump(cloud: &Cloud, name: &str, floor: i32) {
    let input = json!({
        "thingName": name,
        "attributePayload": {"attributes": {"floor": floor.to_string(), "room": format!("R{floor}")}},
    });
    iot(cloud, "CreateThing", input).await;
}

async fn found(cloud: &Cloud, query: &str) -> Vec<String> {
    let answer = iot(cloud, "SearchIndex", json!({"queryString": query})).await;
    let things = answer["things"].as_array().unwrap();
    things.iter().map(|thing| thing["thingName"].as_str().unwrap().to_owned()).collect()
}

fn shadow(cloud: &Cloud, thing: &str, name: Option<&str>, document: Value) {
    cloud.bus.tell(&CloudEvent::ShadowChanged {
        thing: thing.into(),
        name: name.map(Arc::from),
        document: Some(Arc::new(document)),
    });
}

#[tokio::test]
async fn the_console_finds_things_by_what_the_account_does_not_index() {
    #[derive(Default)]
    struct Fixed(Mutex<Vec<String>>);
    impl iotstack_local_kernel::ports::Shadows for Fixed {
        fn shadow(&self, thing: &str, name: Option<&str>) -> Option<Arc<Value>> {
            self.0.lock().unwrap().push(thing.to_owned());
            let reported = json!({"state": {"reported": {"firmware": {"version": "2.0.0"}}}});
            (thing == "pump-2" && name.is_none()).then(|| Arc::new(reported))
        }
    }
    let cloud = testing::cloud();
    let fixed = Arc::new(Fixed::default());
    cloud.ports.serve_shadows(fixed.clone());
    let (_, search) = crate::start(&cloud).unwrap();
    for (name, floor) in [("pump-1", 1), ("pump-2", 2), ("pump-3", 3)] {
        pump(&cloud, name, floor).await;
    }
    cloud
        .bus
        .tell(&CloudEvent::ClientConnected { client_id: "pump-3".into(), at: cloud.clock.now() });
    let names = |query: &str| {
        let (names, next) = search.things(query, None, 10).unwrap();
        assert_eq!(next, None);
        names.iter().map(|name| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names("connectivity.connected:true"), ["pump-3"]);
    assert_eq!(names("connectivity.connected:false"), ["pump-1", "pump-2"]);
    assert_eq!(names("shadow.reported.firmware.version:2.0.0"), ["pump-2"]);
    assert_eq!(names("attributes.floor:1 OR thingName:pump-3"), ["pump-1", "pump-3"]);
    pump(&cloud, "pump-4", 4).await;
    fixed.0.lock().unwrap().clear();
    let (first, next) = search.things("thingName:pump*", None, 2).unwrap();
    assert_eq!(first.len(), 2);
    let asked = || std::mem::take(&mut *fixed.0.lock().unwrap());
    assert_eq!(asked(), ["pump-1", "pump-2", "pump-3"], "one more than the page, to know the next");
    let (rest, none) = search.things("thingName:pump*", next.as_deref(), 2).unwrap();
    assert_eq!((&*rest[0], rest.len(), none), ("pump-3", 2, None));
    assert_eq!(asked(), ["pump-3", "pump-4"]);
    assert_eq!(search.things("a:(", None, 10).unwrap_err().status, 400);
    // What AWS answers stays what AWS answers.
    let refused = refusal(&cloud, "SearchIndex", json!({"queryString": "*"})).await;
    assert_eq!(refused.0, "IndexNotReadyException");
}

#[tokio::test]
async fn an_index_that_is_off_is_not_ready() {
    let cloud = cloud();
    let search = json!({"queryString": "*"});
    assert_eq!(
        refusal(&cloud, "SearchIndex", search).await,
        ("IndexNotReadyException".to_owned(), 400)
    );
    let other = json!({"queryString": "*", "indexName": "Else"});
    assert_eq!(refusal(&cloud, "SearchIndex", other).await.1, 404);
    assert_eq!(refusal(&cloud, "DescribeIndex", json!({"indexName": "AWS_Things"})).await.1, 404);
    switch_on(&cloud, "REGISTRY_AND_SHADOW").await;
    let index = iot(&cloud, "DescribeIndex", json!({"indexName": "AWS_Things"})).await;
    assert_eq!(index["schema"], "MULTI_INDEXING_MODE");
    let names = iot(&cloud, "ListIndices", json!({})).await;
    assert_eq!(names["indexNames"], json!(["AWS_ThingGroups", "AWS_Things"]));
}

#[tokio::test]
async fn things_are_found_by_registry_shadow_and_connectivity() {
    let cloud = cloud();
    switch_on(&cloud, "REGISTRY_AND_SHADOW").await;
    for (name, floor) in [("pump-1", 1), ("pump-2", 2), ("pump-10", 10)] {
        pump(&cloud, name, floor).await;
    }
    shadow(
        &cloud,
        "pump-1",
        None,
        json!({
            "state": {"reported": {"firmware": "1.2.0", "a": {"b": [1, 2]}}, "desired": {"firmware": "1.3.0"}},
            "version": 4,
        }),
    );
    shadow(&cloud, "pump-2", Some("config"), json!({"state": {"reported": {"mode": "eco"}}}));
    shadow(&cloud, "pump-2", Some("other"), json!({"state": {"reported": {"mode": "eco"}}}));
    let at = cloud.clock.now();
    cloud.bus.tell(&CloudEvent::ClientConnected { client_id: "pump-1".into(), at });
    cloud.bus.tell(&CloudEvent::ClientConnected { client_id: "stranger".into(), at });
    for (query, expected) in [
        ("*", vec!["pump-1", "pump-10", "pump-2"]),
        ("thingName:pump-1", vec!["pump-1"]),
        ("thingName:PUMP-1*", vec!["pump-1", "pump-10"]),
        ("attributes.floor>1", vec!["pump-10", "pump-2"]),
        ("attributes.floor >= 2 AND attributes.floor<10", vec!["pump-2"]),
        ("attributes.floor:[1 TO 2]", vec!["pump-1", "pump-2"]),
        ("attributes.floor:{1 TO *]", vec!["pump-10", "pump-2"]),
        ("attributes.room:(r1 OR \"R2\")", vec!["pump-1", "pump-2"]),
        ("NOT attributes.room:R1 -attributes.room:R2", vec!["pump-10"]),
        ("r10", vec!["pump-10"]),
        ("shadow.reported.firmware:1.2*", vec!["pump-1"]),
        ("shadow.reported.a.b:2", vec!["pump-1"]),
        ("shadow.hasDelta:true", vec!["pump-1"]),
        ("shadow.name.config.reported.mode:ECO", vec!["pump-2"]),
        ("shadow.name.other.reported.mode:eco", vec![]),
        ("connectivity.connected:true", vec!["pump-1"]),
        ("connectivity.connected:false", vec!["pump-10", "pump-2"]),
        (
            "thingName:pump-? AND (attributes.floor:1 OR attributes.floor:2)",
            vec!["pump-1", "pump-2"],
        ),
    ] {
        assert_eq!(found(&cloud, query).await, expected, "{query}");
    }
    let answer = iot(&cloud, "SearchIndex", json!({"queryString": "thingName:pump-1"})).await;
    let thing = &answer["things"][0];
    assert_eq!(thing["connectivity"]["connected"], true);
    let shown: Value = serde_json::from_str(thing["shadow"].as_str().unwrap()).unwrap();
    assert_eq!(shown["reported"]["firmware"], "1.2.0");
    cloud.bus.tell(&CloudEvent::ClientDisconnected {
        client_id: "pump-1".into(),
        reason: "CONNECTION_LOST",
        at,
    });
    assert_eq!(found(&cloud, "connectivity.disconnectReason:connection_lost").await, ["pump-1"]);
    let data = iot(&cloud, "GetThingConnectivityData", json!({"thingName": "pump-1"})).await;
    assert_eq!(
        (&data["connected"], &data["disconnectReason"]),
        (&json!(false), &json!("CONNECTION_LOST"))
    );
}

#[tokio::test]
async fn groups_are_found_too() {
    let cloud = cloud();
    switch_on(&cloud, "REGISTRY").await;
    iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "root"})).await;
    iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "leaf", "parentGroupName": "root"}))
        .await;
    let input = json!({"indexName": "AWS_ThingGroups", "queryString": "parentGroupNames:root"});
    let answer = iot(&cloud, "SearchIndex", input).await;
    assert_eq!(answer["thingGroups"][0]["thingGroupName"], "leaf");
}

#[tokio::test]
async fn a_dynamic_group_follows_its_query() {
    let cloud = cloud();
    let group = json!({"thingGroupName": "upper", "queryString": "attributes.floor>5"});
    assert_eq!(refusal(&cloud, "CreateDynamicThingGroup", group.clone()).await.1, 400);
    switch_on(&cloud, "REGISTRY_AND_SHADOW").await;
    pump(&cloud, "a", 9).await;
    iot(&cloud, "CreateDynamicThingGroup", group).await;
    let registry = cloud.ports.registry().unwrap().clone();
    until(async || registry.members("upper").unwrap().len() == 1).await;
    let name = json!({"thingGroupName": "upper"});
    let described = iot(&cloud, "DescribeThingGroup", name.clone()).await;
    assert_eq!(described["status"], "ACTIVE");
    pump(&cloud, "b", 7).await;
    until(async || registry.members("upper").unwrap().len() == 2).await;
    let down = json!({"thingName": "b", "attributePayload": {"attributes": {"floor": "1"}}});
    iot(&cloud, "UpdateThing", down).await;
    until(async || registry.members("upper").unwrap().len() == 1).await;
    let change = json!({"thingGroupName": "upper", "thingGroupProperties": {}, "queryString": "shadow.reported.on:true"});
    iot(&cloud, "UpdateDynamicThingGroup", change).await;
    until(async || registry.members("upper").unwrap().is_empty()).await;
    shadow(&cloud, "b", None, json!({"state": {"reported": {"on": true}}}));
    until(async || registry.members("upper").unwrap().len() == 1).await;

    let member = json!({"thingName": "a", "thingGroupName": "upper"});
    assert_eq!(refusal(&cloud, "AddThingToThingGroup", member).await.1, 400);
    let arn = described["thingGroupArn"].clone();
    iot(
        &cloud,
        "CreatePolicy",
        json!({"policyName": "p", "policyDocument": document(json!([allow("iot:*", "*")]))}),
    )
    .await;
    assert_eq!(
        refusal(&cloud, "AttachPolicy", json!({"policyName": "p", "target": arn})).await.1,
        400
    );
    let off = json!({"thingIndexingConfiguration": {"thingIndexingMode": "OFF"}});
    assert_eq!(refusal(&cloud, "UpdateIndexingConfiguration", off.clone()).await.1, 400);
    assert_eq!(refusal(&cloud, "DeleteThingGroup", name.clone()).await.1, 400);
    iot(&cloud, "DeleteDynamicThingGroup", name).await;
    iot(&cloud, "UpdateIndexingConfiguration", off).await;
}

#[tokio::test]
async fn a_static_group_pushes_the_youngest_dynamic_one_out() {
    let cloud = cloud();
    switch_on(&cloud, "REGISTRY").await;
    create_things(&cloud, &["a"]).await;
    for number in 0..9 {
        let name = format!("s{number}");
        iot(&cloud, "CreateThingGroup", json!({"thingGroupName": name})).await;
        iot(&cloud, "AddThingToThingGroup", json!({"thingName": "a", "thingGroupName": name}))
            .await;
    }
    iot(
        &cloud,
        "CreateDynamicThingGroup",
        json!({"thingGroupName": "d", "queryString": "thingName:a"}),
    )
    .await;
    let registry = cloud.ports.registry().unwrap().clone();
    until(async || registry.members("d").unwrap().len() == 1).await;
    iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "s9"})).await;
    let add = |over: bool| json!({"thingName": "a", "thingGroupName": "s9", "overrideDynamicGroups": over});
    assert_eq!(refusal(&cloud, "AddThingToThingGroup", add(false)).await.1, 400);
    iot(&cloud, "AddThingToThingGroup", add(true)).await;
    assert!(registry.members("d").unwrap().is_empty());
}

#[tokio::test]
async fn numbers_over_the_fleet_are_exact() {
    let cloud = cloud();
    switch_on(&cloud, "REGISTRY").await;
    for floor in 1..=4 {
        pump(&cloud, &format!("p{floor}"), floor).await;
    }
    let ask = |field: &str| json!({"queryString": "*", "aggregationField": field});
    let statistics =
        iot(&cloud, "GetStatistics", ask("attributes.floor")).await["statistics"].clone();
    assert_eq!((&statistics["count"], &statistics["average"]), (&json!(4), &json!(2.5)));
    assert_eq!(
        (&statistics["minimum"], &statistics["maximum"], &statistics["sum"]),
        (&json!(1.0), &json!(4.0), &json!(10.0))
    );
    assert_eq!(statistics["variance"], 1.25);
    let cardinality = iot(&cloud, "GetCardinality", ask("thingName")).await;
    assert_eq!(cardinality["cardinality"], 4);
    let input =
        json!({"queryString": "*", "aggregationField": "attributes.floor", "percents": [50]});
    let percentiles = iot(&cloud, "GetPercentiles", input).await;
    assert_eq!(percentiles["percentiles"], json!([{"percent": 50.0, "value": 2.5}]));
    let input = json!({
        "queryString": "attributes.floor<3",
        "aggregationField": "registry.version",
        "bucketsAggregationType": {"termsAggregation": {"maxBuckets": 5}},
    });
    let buckets = iot(&cloud, "GetBucketsAggregation", input).await;
    assert_eq!((&buckets["totalCount"], &buckets["buckets"][0]["count"]), (&json!(2), &json!(2)));
    let unknown = refusal(&cloud, "GetStatistics", ask("attributes.room")).await;
    assert_eq!(unknown, ("InvalidAggregationException".to_owned(), 400));
    assert_eq!(
        refusal(&cloud, "GetPercentiles", ask("thingName")).await.0,
        "InvalidAggregationException"
    );
}

#[derive(Default)]
struct Sink(Mutex<Vec<(String, String, f64)>>);

impl Metrics for Sink {
    fn put(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)], value: f64, _: &str) {
        assert_eq!(namespace, "AWS/IoTFleetMetrics");
        self.0.lock().unwrap().push((name.to_owned(), dimensions[0].1.to_owned(), value));
    }

    fn set_alarm_state(&self, _: &str, _: &str, _: &str) -> Result<(), Fault> {
        Ok(())
    }
}

#[tokio::test]
async fn a_fleet_metric_reports_each_period() {
    let cloud = cloud();
    let sink = Arc::new(Sink::default());
    cloud.ports.serve_metrics(sink.clone());
    let metric = json!({
        "metricName": "Upper",
        "queryString": "attributes.floor>1",
        "aggregationType": {"name": "Statistics", "values": ["count", "average"]},
        "aggregationField": "attributes.floor",
        "period": 60,
    });
    assert_eq!(
        refusal(&cloud, "CreateFleetMetric", metric.clone()).await.0,
        "IndexNotReadyException"
    );
    switch_on(&cloud, "REGISTRY").await;
    for floor in 1..=3 {
        pump(&cloud, &format!("p{floor}"), floor).await;
    }
    iot(&cloud, "CreateFleetMetric", metric).await;
    // The task sets its timer before the clock moves.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    cloud.clock.step(Duration::from_secs(60));
    until(async || sink.0.lock().unwrap().len() >= 2).await;
    let values = sink.0.lock().unwrap().clone();
    assert_eq!(values[0], ("Upper".to_owned(), "count".to_owned(), 2.0));
    assert_eq!(values[1], ("Upper".to_owned(), "average".to_owned(), 2.5));
    let found = iot(&cloud, "DescribeFleetMetric", json!({"metricName": "Upper"})).await;
    assert_eq!((&found["version"], &found["indexName"]), (&json!(1), &json!("AWS_Things")));
    iot(&cloud, "DeleteFleetMetric", json!({"metricName": "Upper"})).await;
}
