//! Thing groups and membership, one rule per test.
//!
//! Dynamic groups are tried with the index that they follow.

use super::*;

async fn group(cloud: &Cloud, name: &str, parent: Option<&str>) {
    iot(cloud, "CreateThingGroup", json!({"thingGroupName": name, "parentGroupName": parent}))
        .await;
}

async fn join(cloud: &Cloud, thing: &str, group: &str) {
    iot(cloud, "AddThingToThingGroup", json!({"thingName": thing, "thingGroupName": group})).await;
}

#[tokio::test]
async fn a_group_knows_its_ancestors_and_its_descendants_things() {
    let cloud = cloud();
    create_things(&cloud, &["a", "b"]).await;
    group(&cloud, "root", None).await;
    group(&cloud, "middle", Some("root")).await;
    group(&cloud, "leaf", Some("middle")).await;
    join(&cloud, "a", "leaf").await;
    join(&cloud, "b", "root").await;
    let found = iot(&cloud, "DescribeThingGroup", json!({"thingGroupName": "leaf"})).await;
    let ancestors = &found["thingGroupMetadata"]["rootToParentThingGroups"];
    assert_eq!(
        (&ancestors[0]["groupName"], &ancestors[1]["groupName"]),
        (&json!("root"), &json!("middle"))
    );
    let things = async |recursive: bool| {
        let input = json!({"thingGroupName": "root", "recursive": recursive});
        iot(&cloud, "ListThingsInThingGroup", input).await["things"].clone()
    };
    assert_eq!(things(false).await, json!(["b"]));
    assert_eq!(things(true).await, json!(["a", "b"]));
    let registry = cloud.ports.registry().unwrap();
    assert_eq!(registry.members("root").unwrap().len(), 2);
    assert_eq!(registry.groups_of("a").len(), 3);
    assert!(registry.members("none").is_none());
    let below =
        iot(&cloud, "ListThingGroups", json!({"parentGroup": "root", "recursive": false})).await;
    assert_eq!(below["thingGroups"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_thing_is_in_one_group_of_a_hierarchy() {
    let cloud = cloud();
    create_things(&cloud, &["a"]).await;
    group(&cloud, "root", None).await;
    group(&cloud, "left", Some("root")).await;
    group(&cloud, "right", Some("root")).await;
    join(&cloud, "a", "left").await;
    join(&cloud, "a", "left").await;
    for other in ["right", "root"] {
        let input = json!({"thingName": "a", "thingGroupName": other});
        assert_eq!(
            refusal(&cloud, "AddThingToThingGroup", input).await.0,
            "InvalidRequestException"
        );
    }
    let input =
        json!({"thingName": "a", "thingGroupsToAdd": ["right"], "thingGroupsToRemove": ["left"]});
    iot(&cloud, "UpdateThingGroupsForThing", input).await;
    let groups = iot(&cloud, "ListThingGroupsForThing", json!({"thingName": "a"})).await;
    assert_eq!(groups["thingGroups"][0]["groupName"], "right");
}

#[tokio::test]
async fn a_thing_is_in_ten_groups_at_most() {
    let cloud = cloud();
    create_things(&cloud, &["a"]).await;
    for number in 0..11 {
        group(&cloud, &format!("g{number}"), None).await;
    }
    for number in 0..10 {
        join(&cloud, "a", &format!("g{number}")).await;
    }
    let input = json!({"thingName": "a", "thingGroupName": "g10"});
    assert!(refused(&cloud, "AddThingToThingGroup", input).await.message.contains("10"));
}

#[tokio::test]
async fn a_hierarchy_has_seven_levels() {
    let cloud = cloud();
    group(&cloud, "g1", None).await;
    for level in 2..=7 {
        group(&cloud, &format!("g{level}"), Some(&format!("g{}", level - 1))).await;
    }
    let input = json!({"thingGroupName": "g8", "parentGroupName": "g7"});
    assert_eq!(refusal(&cloud, "CreateThingGroup", input).await.1, 400);
}

#[tokio::test]
async fn a_group_with_children_stays_and_one_with_members_goes() {
    let cloud = cloud();
    create_things(&cloud, &["a"]).await;
    group(&cloud, "root", None).await;
    group(&cloud, "leaf", Some("root")).await;
    join(&cloud, "a", "leaf").await;
    assert_eq!(refusal(&cloud, "DeleteThingGroup", json!({"thingGroupName": "root"})).await.1, 400);
    iot(&cloud, "DeleteThingGroup", json!({"thingGroupName": "leaf"})).await;
    let groups = iot(&cloud, "ListThingGroupsForThing", json!({"thingName": "a"})).await;
    assert_eq!(groups["thingGroups"], json!([]));
    iot(&cloud, "DeleteThingGroup", json!({"thingGroupName": "root"})).await;
}

#[tokio::test]
async fn names_may_be_given_as_arns() {
    let cloud = cloud();
    create_things(&cloud, &["a"]).await;
    group(&cloud, "g", None).await;
    let input = json!({
        "thingArn": "arn:aws:iot:us-east-1:123456789012:thing/a",
        "thingGroupArn": "arn:aws:iot:us-east-1:123456789012:thinggroup/g",
    });
    iot(&cloud, "AddThingToThingGroup", input.clone()).await;
    iot(&cloud, "RemoveThingFromThingGroup", input).await;
    assert_eq!(cloud.ports.registry().unwrap().members("g").unwrap().len(), 0);
    let missing = json!({"thingGroupName": "g"});
    assert_eq!(refusal(&cloud, "AddThingToThingGroup", missing).await.1, 400);
}

#[tokio::test]
async fn a_group_changes_by_version() {
    let cloud = cloud();
    group(&cloud, "g", None).await;
    let input = json!({
        "thingGroupName": "g",
        "thingGroupProperties": {"thingGroupDescription": "new", "attributePayload": {"attributes": {"a": "b"}}},
        "expectedVersion": 1,
    });
    assert_eq!(iot(&cloud, "UpdateThingGroup", input.clone()).await["version"], 2);
    assert_eq!(refusal(&cloud, "UpdateThingGroup", input).await.1, 409);
    let found = iot(&cloud, "DescribeThingGroup", json!({"thingGroupName": "g"})).await;
    assert_eq!(found["thingGroupProperties"]["thingGroupDescription"], "new");
}
