//! Evaluating templates: each function, and what it refuses.
//!
//! What becomes of a plan is tried in `tests/provisioning.rs`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn thing_name(expression: Value, mappings: Value) -> Result<String, String> {
    let body = json!({
        "Parameters": {
            "Serial": {"Type": "String"},
            "Region": {"Type": "String", "Default": "eu"},
        },
        "Mappings": mappings,
        "Resources": {"t": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": expression}}},
    });
    let values = BTreeMap::from([("Serial".to_owned(), "a-b-c".to_owned())]);
    let evaluated = evaluate(&body.to_string(), &values, true)?;
    Ok(Plan::of(&evaluated)?.thing.unwrap().name)
}

#[test]
fn every_function_is_resolved() {
    let places = json!({"Places": {"eu": {"Name": "Berlin"}}});
    for (expression, expected) in [
        (json!("plain"), "plain"),
        (json!({"Ref": "Serial"}), "a-b-c"),
        (json!({"Ref": "Region"}), "eu"),
        (json!({"Fn::Join": ["_", ["x", {"Ref": "Region"}]]}), "x_eu"),
        (json!({"Fn::Split": ["-", "n"]}), ""),
        (json!({"Fn::Select": [1, {"Fn::Split": ["-", {"Ref": "Serial"}]}]}), "b"),
        (json!({"Fn::Select": ["2", {"Fn::Split": ["-", {"Ref": "Serial"}]}]}), "c"),
        (json!({"Fn::FindInMap": ["Places", {"Ref": "Region"}, "Name"]}), "Berlin"),
        (json!({"Fn::Sub": "n-${Serial}-${!literal}"}), "n-a-b-c-${literal}"),
        (json!({"Fn::Sub": ["${x}-${Region}", {"x": {"Ref": "Serial"}}]}), "a-b-c-eu"),
    ] {
        let found = thing_name(expression.clone(), places.clone());
        if expected.is_empty() {
            assert!(found.is_err(), "{expression}");
        } else {
            assert_eq!(found.as_deref(), Ok(expected), "{expression}");
        }
    }
}

#[test]
fn what_cannot_be_resolved_fails() {
    for expression in [
        json!({"Ref": "Nothing"}),
        json!({"Fn::Select": [9, {"Fn::Split": ["-", "a"]}]}),
        json!({"Fn::Select": ["x", ["a"]]}),
        json!({"Fn::Select": [0, [null]]}),
        json!({"Fn::FindInMap": ["Places", "eu", "Name"]}),
        json!({"Fn::Sub": "${Nothing}"}),
        json!({"Fn::Sub": "${open"}),
        json!({"Fn::Split": ["", "a"]}),
        json!({"Fn::GetAtt": ["t", "Arn"]}),
        json!({"Fn::Join": "a"}),
        json!(7),
    ] {
        assert!(thing_name(expression.clone(), json!({})).is_err(), "{expression}");
    }
    let mut deep = json!("x");
    for _ in 0..30 {
        deep = json!({"Fn::Join": ["", [deep]]});
    }
    assert!(thing_name(deep, json!({})).unwrap_err().contains("deeper"));
}

#[test]
fn properties_that_nobody_knows_are_refused() {
    let body = json!({"Resources": {"t": {
        "Type": "AWS::IoT::Thing",
        "Properties": {"ThingName": "x", "PackageVersions": {"p": "1"}},
    }}});
    let evaluated = evaluate(&body.to_string(), &BTreeMap::new(), true).unwrap();
    assert!(Plan::of(&evaluated).unwrap_err().contains("`PackageVersions`"));
}

#[test]
fn policies_keep_their_variables_and_refuse_join() {
    let policy = |document: Value| {
        let body = json!({
            "Parameters": {"AWS::IoT::Certificate::Id": {"Type": "String"}, "P": {"Type": "String", "Default": "v"}},
            "Resources": {
                "c": {"Type": "AWS::IoT::Certificate", "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}}},
                "p": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument": document}},
            },
        });
        let values = BTreeMap::from([("AWS::IoT::Certificate::Id".to_owned(), "0".repeat(64))]);
        evaluate(&body.to_string(), &values, true)
            .map(|found| found.resources["p"].properties["PolicyDocument"].clone())
    };
    let kept = json!({"Statement": {"Resource": "topic/${iot:ClientId}", "Action": {"Ref": "P"}}});
    assert_eq!(
        policy(kept).unwrap()["Statement"],
        json!({"Resource": "topic/${iot:ClientId}", "Action": "v"})
    );
    assert!(policy(json!({"Statement": {"Resource": {"Fn::Join": ["", ["a"]]}}})).is_err());
    assert_eq!(
        policy(json!("{\"a\": \"${iot:ClientId}\"}")).unwrap(),
        "{\"a\": \"${iot:ClientId}\"}"
    );
}

#[test]
fn a_device_configuration_is_flat() {
    let body = |configuration: Value| {
        json!({
            "Resources": {"t": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": "x"}}},
            "DeviceConfiguration": configuration,
        })
        .to_string()
    };
    let none = BTreeMap::new();
    let found = evaluate(&body(json!({"url": "a", "on": true, "n": 3})), &none, true).unwrap();
    let expected = [("n", "3"), ("on", "true"), ("url", "a")];
    assert_eq!(
        found.device_configuration,
        expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    );
    assert!(evaluate(&body(json!({"nested": {"a": "b"}})), &none, true).is_err());
    assert!(check_body(&body(json!({})), false).is_err(), "only fleet templates have one");
}
