//! Tests of fleet membership: which calls, in which order, and under pressure.

use serde_json::{Value, json};

use super::*;
use crate::custom_resource::testing::{handle, request};
use crate::testing::{Cloud, Reply, aws};

const JOIN: &str = "/thing-groups/addThingToThingGroup";
const LEAVE: &str = "/thing-groups/removeThingFromThingGroup";

fn properties(things: &[&str], group: &str) -> Value {
    json!({ "ThingNames": things, "ThingGroupName": group, "ThingTypeName": "lamp" })
}

fn cloud() -> Cloud {
    let cloud = Cloud::new();
    cloud.on("PUT", JOIN, Reply::json(200, "{}"));
    cloud.on("PUT", LEAVE, Reply::json(200, "{}"));
    cloud.on("PATCH", "/things/", Reply::json(200, "{}"));
    cloud
}

async fn ask(cloud: &Cloud, event: Value) -> Value {
    handle(FleetMembership::new(&aws(cloud)), event, cloud).await
}

fn read(value: Value) -> Properties {
    serde_json::from_value(value).unwrap()
}

#[tokio::test(start_paused = true)]
async fn puts_new_things_into_their_group_and_type() {
    let cloud = cloud();
    let answer = ask(&cloud, request("Create", None, properties(&["a", "b"], "lamps"))).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["PhysicalResourceId"], "Resource1/fleet-membership");
    let joins = cloud.asked("PUT", JOIN);
    assert_eq!(joins.len(), 2);
    assert_eq!(joins[0].json(), json!({ "thingGroupName": "lamps", "thingName": "a" }));
    let types = cloud.asked("PATCH", "/things/b");
    assert_eq!(types[0].json(), json!({ "thingTypeName": "lamp" }));
}

#[test]
fn changes_only_the_difference() {
    let old = read(properties(&["a", "b"], "lamps"));
    let new = read(properties(&["b", "c"], "lamps"));
    let (lamps, lamp): (ThingGroupName, ThingTypeName) =
        ("lamps".parse().unwrap(), "lamp".parse().unwrap());
    assert_eq!(
        plan(&old, &new),
        [
            ("a".parse().unwrap(), vec![Step::LeaveGroup(lamps.clone()), Step::DropType]),
            ("c".parse().unwrap(), vec![Step::JoinGroup(lamps), Step::TakeType(lamp)]),
        ]
    );
    assert_eq!(plan(&new, &new), []);
}

#[test]
fn leaves_the_old_group_before_it_joins_the_new_one() {
    let old = read(properties(&["a"], "lamps"));
    let new = read(json!({
        "ThingNames": ["a"], "ThingGroupName": "lights", "BillingGroupName": "b"
    }));
    let (_, steps) = plan(&old, &new).remove(0);
    assert_eq!(
        steps,
        [
            Step::LeaveGroup("lamps".parse().unwrap()),
            Step::JoinGroup("lights".parse().unwrap()),
            Step::JoinBillingGroup("b".parse().unwrap()),
            Step::DropType,
        ]
    );
}

#[test]
fn a_new_type_replaces_the_old_one_in_one_call() {
    let old = read(json!({ "ThingNames": ["a"], "ThingTypeName": "lamp" }));
    let new = read(json!({ "ThingNames": ["a"], "ThingTypeName": "lamp2" }));
    let (_, steps) = plan(&old, &new).remove(0);
    assert_eq!(steps, [Step::TakeType("lamp2".parse().unwrap())]);
}

#[tokio::test(start_paused = true)]
async fn an_update_compares_with_the_old_properties() {
    let cloud = cloud();
    let mut event = request("Update", Some("id"), properties(&["a", "b"], "lamps"));
    event["OldResourceProperties"] = properties(&["a"], "lamps");
    let answer = ask(&cloud, event).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["PhysicalResourceId"], "id");
    assert_eq!(cloud.asked("PUT", JOIN).len(), 1);
    assert!(cloud.asked("PATCH", "/things/a").is_empty());
}

#[tokio::test(start_paused = true)]
async fn takes_everything_back_twice() {
    let cloud = cloud();
    let event = request("Delete", Some("id"), properties(&["a"], "lamps"));
    assert_eq!(ask(&cloud, event.clone()).await["Status"], "SUCCESS");
    assert_eq!(cloud.asked("PUT", LEAVE).len(), 1);
    assert_eq!(cloud.asked("PATCH", "/things/a")[0].json(), json!({ "removeThingType": true }));

    let empty = Cloud::new();
    let gone = || Reply::error(404, "ResourceNotFoundException", "no such thing");
    empty.on("PUT", LEAVE, gone());
    empty.on("PATCH", "/things/a", gone());
    assert_eq!(ask(&empty, event).await["Status"], "SUCCESS");
    assert_eq!(empty.asked("PATCH", "/things/a").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn names_the_thing_that_is_missing() {
    let cloud = Cloud::new();
    cloud.on("PUT", JOIN, Reply::error(404, "ResourceNotFoundException", "Thing a not found"));
    let answer = ask(&cloud, request("Create", None, properties(&["a"], "lamps"))).await;
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(
        answer["Reason"],
        "thing `a`: AddThingToThingGroup failed: ResourceNotFoundException: Thing a not found"
    );
}

#[tokio::test(start_paused = true)]
async fn waits_while_the_account_is_throttled() {
    let cloud = Cloud::new();
    for _ in 0..15 {
        cloud.on("PUT", JOIN, Reply::error(400, "ThrottlingException", "Rate exceeded"));
    }
    cloud.on("PUT", JOIN, Reply::json(200, "{}"));
    cloud.on("PATCH", "/things/", Reply::json(200, "{}"));
    let answer = ask(&cloud, request("Create", None, properties(&["a"], "lamps"))).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(cloud.asked("PUT", JOIN).len(), 16);
}

#[tokio::test(start_paused = true)]
async fn stops_in_time_and_says_how_far_it_came() {
    let cloud = Cloud::new();
    cloud.on("PUT", JOIN, Reply::json(200, "{}"));
    cloud.on("PATCH", "/things/a", Reply::json(200, "{}"));
    cloud.on("PATCH", "/things/", Reply::error(400, "ThrottlingException", "Rate exceeded"));
    let answer = ask(&cloud, request("Create", None, properties(&["a", "b"], "lamps"))).await;
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(
        answer["Reason"],
        "time was over after 1 of 2 things: raise the timeout of the function"
    );
    assert_eq!(answer["PhysicalResourceId"], "Resource1/fleet-membership");
}

#[tokio::test(start_paused = true)]
async fn stays_under_the_quota_with_a_full_stack() {
    let cloud = cloud();
    let names: Vec<String> = (0..400).map(|index| format!("lamp-{index:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let start = Instant::now();
    let answer = ask(&cloud, request("Create", None, properties(&names, "lamps"))).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    // 800 calls at 40 a second.
    let taken = start.elapsed();
    assert!(taken >= Duration::from_millis(19_900), "{taken:?}");
    assert!(taken < Duration::from_secs(25), "{taken:?}");
    assert_eq!(cloud.asked("PUT", JOIN).len(), 400);
}
