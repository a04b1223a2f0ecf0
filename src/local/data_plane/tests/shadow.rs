//! Shadows over MQTT: one test per rule.
//!
//! Each request is checked to reach other subscribers too; then follow the answers in
//! their order.

use iotstack_local_kernel::CloudEvent;
use serde_json::json;

use super::*;

const NOW: i64 = 1_767_225_600;
const LAMP: &str = "$aws/things/lamp/shadow";

/// What the service says to one request; the request itself is the first message.
fn say(cloud: &Cloud, paper: &Paper, topic: &str, payload: &str) -> Vec<(String, Value)> {
    receive(cloud, topic, payload.to_owned());
    let mut said = paper.published();
    let (request, _) = said.remove(0);
    assert_eq!(request, topic, "a request is an ordinary message to others");
    let prefix = topic.rsplit_once('/').unwrap().0;
    let tail = |(topic, payload): (String, Value)| {
        (topic.strip_prefix(prefix).unwrap().trim_start_matches('/').to_owned(), payload)
    };
    said.into_iter().map(tail).collect()
}

fn update(cloud: &Cloud, paper: &Paper, payload: Value) -> Vec<(String, Value)> {
    say(cloud, paper, &format!("{LAMP}/update"), &payload.to_string())
}

fn stamp() -> Value {
    json!({"timestamp": NOW})
}

#[tokio::test]
async fn the_example_of_the_guide_goes_through() {
    let (cloud, paper) = world();
    let said = update(
        &cloud,
        &paper,
        json!({"state": {"desired": {"color": "RED"}}, "clientToken": "t1"}),
    );
    assert_eq!(
        said,
        [
            (
                "update/accepted".to_owned(),
                json!({
            "state": {"desired": {"color": "RED"}}, "metadata": {"desired": {"color": stamp()}},
            "version": 1, "timestamp": NOW, "clientToken": "t1"})
            ),
            (
                "update/documents".to_owned(),
                json!({
            "previous": {"state": {}, "metadata": {}, "version": 0},
            "current": {"state": {"desired": {"color": "RED"}},
                "metadata": {"desired": {"color": stamp()}}, "version": 1},
            "timestamp": NOW, "clientToken": "t1"})
            ),
            (
                "update/delta".to_owned(),
                json!({
            "version": 1, "timestamp": NOW, "state": {"color": "RED"},
            "metadata": {"color": stamp()}, "clientToken": "t1"})
            ),
        ]
    );
    let said = update(&cloud, &paper, json!({"state": {"reported": {"color": "RED"}}}));
    let topics: Vec<&str> = said.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(topics, ["update/accepted", "update/documents"]);
    assert_eq!(said[0].1["version"], 2);
    assert!(said[0].1.get("clientToken").is_none());
}

#[tokio::test]
async fn a_get_shows_the_state_the_delta_and_the_metadata() {
    let (cloud, paper) = world();
    update(
        &cloud,
        &paper,
        json!({"state": {
        "desired": {"color": "RED", "power": {"level": 5, "mode": "eco"}},
        "reported": {"color": "BLUE", "power": {"level": 5}, "uptime": 7}}}),
    );
    for payload in ["", "{}", r#"{"clientToken":"t2"}"#] {
        let said = say(&cloud, &paper, &format!("{LAMP}/get"), payload);
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].0, "get/accepted");
        let answer = &said[0].1;
        assert_eq!(answer["state"]["delta"], json!({"color": "RED", "power": {"mode": "eco"}}));
        assert_eq!(answer["state"]["reported"]["uptime"], 7);
        assert_eq!(answer["metadata"]["desired"]["power"]["level"], stamp());
        assert_eq!(answer["version"], 1);
        assert_eq!(answer["timestamp"], NOW);
        assert_eq!(answer.get("clientToken").is_some(), payload.contains("t2"));
    }
}

#[tokio::test]
async fn keys_merge_null_removes_and_arrays_are_replaced() {
    let (cloud, paper) = world();
    let rows = [
        (json!({"a": {"b": 1, "c": 2}, "l": [1, 2]}), json!({"a": {"b": 1, "c": 2}, "l": [1, 2]})),
        (json!({"a": {"b": null, "d": 3}}), json!({"a": {"c": 2, "d": 3}, "l": [1, 2]})),
        (json!({"l": [3]}), json!({"a": {"c": 2, "d": 3}, "l": [3]})),
        (json!({"a": 7}), json!({"a": 7, "l": [3]})),
        (json!({"a": {"x": {"y": null, "z": 1}}}), json!({"a": {"x": {"z": 1}}, "l": [3]})),
        (json!({"missing": null}), json!({"a": {"x": {"z": 1}}, "l": [3]})),
        (json!({}), json!({"a": {"x": {"z": 1}}, "l": [3]})),
    ];
    for (place, (change, expected)) in rows.into_iter().enumerate() {
        let said = update(&cloud, &paper, json!({"state": {"reported": change}}));
        assert_eq!(said[0].1["state"], json!({"reported": change}), "only what was asked");
        let current = &said[1].1["current"];
        assert_eq!(current["state"]["reported"], expected);
        assert_eq!(current["version"], place + 1, "every accepted update counts");
    }
    // Metadata has the shape of the state, with an entry for each element.
    let said = update(&cloud, &paper, json!({"state": {"desired": {"l": [1, {"k": 2}]}}}));
    assert_eq!(said[0].1["metadata"]["desired"]["l"], json!([stamp(), {"k": stamp()}]));
    // A section that is set to null is empty, but the shadow is still there.
    let all = json!({"timestamp": NOW});
    for (state, metadata) in
        [(json!({"reported": null}), json!({"reported": null})), (Value::Null, all)]
    {
        let said = update(&cloud, &paper, json!({"state": state}));
        assert_eq!(said[0].0, "update/accepted");
        assert_eq!((&said[0].1["state"], &said[0].1["metadata"]), (&state, &metadata));
        assert!(said[1].1["current"]["state"].get("reported").is_none());
    }
    let said = say(&cloud, &paper, &format!("{LAMP}/get"), "");
    assert_eq!(said[0].1["state"], json!({}));
    assert_eq!(said[0].1["version"], 10);
}

#[tokio::test]
async fn only_the_leaves_that_change_get_a_new_time() {
    let (cloud, paper) = world();
    update(&cloud, &paper, json!({"state": {"reported": {"a": 1, "b": {"c": 2, "d": 3}}}}));
    cloud.clock.step(Duration::from_secs(60));
    let said = update(&cloud, &paper, json!({"state": {"reported": {"b": {"c": 5}}}}));
    assert_eq!(
        said[1].1["current"]["metadata"]["reported"],
        json!({
        "a": stamp(), "b": {"c": {"timestamp": NOW + 60}, "d": stamp()}})
    );
    assert_eq!(said[0].1["timestamp"], NOW + 60);
}

#[tokio::test]
async fn a_delta_tells_all_that_differs_with_every_update() {
    let (cloud, paper) = world();
    let delta = |said: Vec<(String, Value)>| {
        said.into_iter()
            .find(|(topic, _)| topic == "update/delta")
            .map(|(_, delta)| delta["state"].clone())
    };
    let step = |state: Value| delta(update(&cloud, &paper, json!({"state": state})));
    assert_eq!(step(json!({"reported": {"x": 1}})), None, "what is only reported never appears");
    assert_eq!(step(json!({"desired": {"a": 1, "b": [1, 2]}})), Some(json!({"a": 1, "b": [1, 2]})));
    // The update touches neither, the delta tells both.
    assert_eq!(step(json!({"reported": {"x": 2}})), Some(json!({"a": 1, "b": [1, 2]})));
    assert_eq!(step(json!({"reported": {"b": [2, 1]}})), Some(json!({"a": 1, "b": [1, 2]})));
    assert_eq!(step(json!({"reported": {"b": [1, 2]}})), Some(json!({"a": 1})));
    assert_eq!(step(json!({"reported": {"a": 1.0}})), None, "1 and 1.0 are the same");
    assert_eq!(step(json!({"reported": {"a": null}})), Some(json!({"a": 1})));
    assert_eq!(step(json!({"desired": {"a": null}})), None);
}

#[tokio::test]
async fn a_version_that_is_not_the_current_one_conflicts() {
    let (cloud, paper) = world();
    let versioned = |version: u64| json!({"state": {"reported": {"a": version}}, "version": version, "clientToken": "t"});
    assert_eq!(update(&cloud, &paper, versioned(4))[0].1["code"], 409);
    assert_eq!(update(&cloud, &paper, versioned(0))[0].1["version"], 1);
    assert_eq!(update(&cloud, &paper, versioned(1))[0].1["version"], 2);
    let said = update(&cloud, &paper, versioned(1));
    assert_eq!(
        said,
        [(
            "update/rejected".to_owned(),
            json!({
        "code": 409, "message": "Version conflict", "timestamp": NOW, "clientToken": "t"})
        )]
    );
}

#[tokio::test]
async fn bad_requests_are_rejected_with_the_fixed_texts() {
    let (cloud, paper) = world();
    let nested = |levels: usize| {
        let mut value = json!(1);
        for _ in 0..levels {
            value = json!({"k": value});
        }
        json!({"state": {"desired": value}}).to_string()
    };
    let rows: Vec<(Vec<u8>, u16, &str)> = vec![
        (b"{".to_vec(), 400, "Invalid JSON"),
        (b"[]".to_vec(), 400, "Invalid JSON"),
        (b"".to_vec(), 400, "Invalid JSON"),
        (b"{}".to_vec(), 400, "Missing required node: state"),
        (br#"{"state":5}"#.to_vec(), 400, "State node must be an object"),
        (br#"{"state":{"desired":5}}"#.to_vec(), 400, "Desired node must be an object"),
        (br#"{"state":{"reported":[]}}"#.to_vec(), 400, "Reported node must be an object"),
        (br#"{"state":{},"version":"1"}"#.to_vec(), 400, "Invalid version"),
        (br#"{"state":{},"version":-1}"#.to_vec(), 400, "Invalid version"),
        (br#"{"state":{},"clientToken":5}"#.to_vec(), 400, "Invalid clientToken"),
        (
            format!(r#"{{"state":{{}},"clientToken":"{}"}}"#, "t".repeat(65)).into_bytes(),
            400,
            "Invalid clientToken",
        ),
        (br#"{"state":{"delta":{}}}"#.to_vec(), 400, "State contains an invalid node"),
        (
            br#"{"state":{"desired":{"a":[1,null]}}}"#.to_vec(),
            400,
            "State contains an invalid node",
        ),
        (nested(9).into_bytes(), 400, "JSON contains too many levels of nesting; maximum is 6"),
        (
            format!(r#"{{"state":{{"desired":{{"a":{}{}}}}}}}"#, "[".repeat(20), "]".repeat(20))
                .into_bytes(),
            400,
            "JSON contains too many levels of nesting; maximum is 6",
        ),
        (
            b"{\"state\":{\"desired\":{\"a\":\"\xff\"}}}".to_vec(),
            415,
            "Unsupported documented encoding; supported encoding is UTF-8",
        ),
        (
            json!({"state": {"desired": {"a": "x".repeat(8 * 1024)}}}).to_string().into_bytes(),
            413,
            "The payload exceeds the maximum size allowed",
        ),
    ];
    for (payload, code, message) in rows {
        receive(&cloud, &format!("{LAMP}/update"), payload.clone());
        let said = paper.published();
        let text = String::from_utf8_lossy(&payload);
        assert_eq!(said[1].0, format!("{LAMP}/update/rejected"), "{text}");
        assert_eq!(said[1].1["code"], code, "{text}");
        assert_eq!(said[1].1["message"], message, "{text}");
        assert_eq!(said.len(), 2);
    }
    // What is just allowed.
    assert_eq!(say(&cloud, &paper, &format!("{LAMP}/update"), &nested(8))[0].0, "update/accepted");
    let full = json!({"state": {"reported": {"a": "x".repeat(8 * 1024 - 80)}}});
    assert_eq!(update(&cloud, &paper, full)[0].0, "update/accepted");
    let more = json!({"state": {"reported": {"b": "x".repeat(80)}}});
    assert_eq!(update(&cloud, &paper, more)[0].1["code"], 413, "the sum counts");
    for (topic, message) in [
        ("$aws/things/la mp/shadow/update", "Invalid thing name 'la mp'"),
        ("$aws/things/lamp/shadow/name/a.b/update", "Invalid shadow name 'a.b'"),
    ] {
        receive(&cloud, topic, r#"{"state":{}}"#);
        let said = paper.published();
        assert_eq!(said[1].0, format!("{topic}/rejected"));
        assert!(said[1].1["message"].as_str().unwrap().starts_with(message));
    }
}

#[tokio::test]
async fn a_missing_shadow_is_not_found() {
    let (cloud, paper) = world();
    for (topic, name) in [
        ("$aws/things/lamp/shadow/get", "lamp"),
        ("$aws/things/lamp/shadow/delete", "lamp"),
        ("$aws/things/lamp/shadow/name/config/get", "lamp~config"),
    ] {
        receive(&cloud, topic, r#"{"clientToken":"t"}"#);
        assert_eq!(
            paper.published()[1],
            (
                format!("{topic}/rejected"),
                json!({
            "code": 404, "message": format!("No shadow exists with name: '{name}'"),
            "timestamp": NOW, "clientToken": "t"})
            )
        );
    }
}

#[tokio::test]
async fn a_shadow_that_comes_back_within_two_days_goes_on_counting() {
    let (cloud, paper) = world();
    let report = json!({"state": {"reported": {"a": 1}}});
    let remove =
        |cloud: &Cloud| say(cloud, &paper, &format!("{LAMP}/delete"), r#"{"clientToken":"t"}"#);
    update(&cloud, &paper, report.clone());
    update(&cloud, &paper, report.clone());
    assert_eq!(
        remove(&cloud),
        [(
            "delete/accepted".to_owned(),
            json!({"version": 2, "timestamp": NOW, "clientToken": "t"})
        )]
    );
    assert_eq!(remove(&cloud)[0].1["code"], 404, "it is gone");
    cloud.clock.step(Duration::from_secs(48 * 3600 - 1));
    assert_eq!(update(&cloud, &paper, report.clone())[0].1["version"], 3);
    remove(&cloud);
    cloud.clock.step(Duration::from_secs(48 * 3600));
    assert_eq!(update(&cloud, &paper, report)[0].1["version"], 1);
}

#[tokio::test]
async fn named_shadows_stand_beside_the_classic_one() {
    let (cloud, paper) = world();
    update(&cloud, &paper, json!({"state": {"reported": {"a": 1}}}));
    let named = "$aws/things/lamp/shadow/name/$package";
    let said = say(&cloud, &paper, &format!("{named}/update"), r#"{"state":{"desired":{"v":2}}}"#);
    let topics: Vec<&str> = said.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(topics, ["update/accepted", "update/documents", "update/delta"]);
    assert_eq!(said[0].1["version"], 1);
    let said = say(&cloud, &paper, &format!("{LAMP}/get"), "");
    assert_eq!(said[0].1["state"], json!({"reported": {"a": 1}}));
    let port = cloud.ports.shadows().unwrap();
    assert_eq!(port.shadow("lamp", Some("$package")).unwrap()["state"]["desired"]["v"], 2);
    assert_eq!(port.shadow("lamp", None).unwrap()["version"], 1);
    assert!(port.shadow("lamp", Some("other")).is_none());
}

#[tokio::test]
async fn only_requests_are_owned() {
    let (cloud, _) = world();
    let owned = |topic: &str| cloud.ports.reserved().iter().any(|family| family.owns(topic));
    for topic in [
        "$aws/things/t/shadow/get",
        "$aws/things/t/shadow/name/n/update",
        "$aws/things/t/shadow/delete",
    ] {
        assert!(owned(topic), "{topic}");
    }
    for topic in [
        "$aws/things/t/shadow",
        "$aws/things/t/shadow/update/accepted",
        "$aws/things/t/shadow/name/n",
        "$aws/things/t/shadow/name/n/update/delta",
        "$aws/things/t/jobs/get",
        "things/t/shadow/get",
    ] {
        assert!(!owned(topic), "{topic}");
    }
}

#[tokio::test]
async fn the_bus_hears_of_every_change() {
    let (cloud, paper) = world();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = heard.clone();
    cloud.bus.hear(move |event| {
        if let CloudEvent::ShadowChanged { thing, name, document } = event {
            let version = document.as_ref().map(|document| document["version"].clone());
            notes.lock().unwrap().push(format!("{thing} {name:?} {version:?}"));
        }
    });
    update(&cloud, &paper, json!({"state": {"reported": {"a": 1}}}));
    say(&cloud, &paper, "$aws/things/lamp/shadow/name/n/update", r#"{"state":{}}"#);
    say(&cloud, &paper, &format!("{LAMP}/delete"), "");
    assert_eq!(
        *heard.lock().unwrap(),
        ["lamp None Some(Number(1))", "lamp Some(\"n\") Some(Number(1))", "lamp None None"]
    );
}

#[tokio::test]
async fn shadows_survive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let answered = async |paper: &Paper, tail: &str| {
        for _ in 0..2_000 {
            let published = paper.published();
            if let Some((_, payload)) =
                published.into_iter().find(|(topic, _)| topic.ends_with(tail))
            {
                return payload;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no answer on {tail}");
    };
    {
        let (cloud, paper) = world_in(Store::open(folder.path()).unwrap());
        for (thing, payload) in
            [("kept", r#"{"state":{"desired":{"b":1,"a":[2]}}}"#), ("gone", r#"{"state":{}}"#)]
        {
            receive(&cloud, &format!("$aws/things/{thing}/shadow/update"), payload);
            answered(&paper, "update/accepted").await;
        }
        receive(&cloud, "$aws/things/gone/shadow/delete", "");
        answered(&paper, "delete/accepted").await;
        cloud.clock.step(Duration::from_secs(1));
    }
    settle().await;
    let (cloud, paper) = world_in(Store::open(folder.path()).unwrap());
    receive(&cloud, "$aws/things/kept/shadow/get", "");
    let found = answered(&paper, "get/accepted").await;
    assert_eq!(found["state"]["desired"], json!({"b": 1, "a": [2]}));
    assert_eq!(found["metadata"]["desired"]["a"], json!([stamp()]));
    receive(&cloud, "$aws/things/gone/shadow/update", r#"{"state":{}}"#);
    assert_eq!(answered(&paper, "update/accepted").await["version"], 2);
}

#[tokio::test]
async fn at_most_ten_requests_of_a_connection_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (cloud, paper) = world_in(Store::open(folder.path()).unwrap());
    // Nothing is answered while this task does not yield, so all of them wait.
    for _ in 0..11 {
        receive(&cloud, &format!("{LAMP}/update"), r#"{"state":{},"clientToken":"t"}"#);
    }
    let rejected: Vec<Value> = paper
        .published()
        .into_iter()
        .filter_map(|(topic, payload)| topic.ends_with("rejected").then_some(payload))
        .collect();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0]["code"], 429);
    assert_eq!(rejected[0]["clientToken"], "t");
    let mut accepted = 0;
    for _ in 0..2_000 {
        accepted +=
            paper.published().iter().filter(|(topic, _)| topic.ends_with("accepted")).count();
        if accepted == 10 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(accepted, 10);
    receive(&cloud, &format!("{LAMP}/update"), r#"{"state":{}}"#);
    assert!(!paper.published().iter().any(|(topic, _)| topic.ends_with("rejected")));
}
