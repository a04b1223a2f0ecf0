//! Things, thing types and billing groups, one rule per test.
//!
//! Codes and statuses are AWS's; messages are ours and only looked at where they
//! must name something.

use super::*;

#[tokio::test]
async fn a_thing_is_made_described_changed_and_deleted() {
    let cloud = cloud();
    let made = iot(
        &cloud,
        "CreateThing",
        json!({"thingName": "lamp-1", "attributePayload": {"attributes": {"room": "attic"}}}),
    )
    .await;
    assert_eq!(made["thingArn"], "arn:aws:iot:us-east-1:123456789012:thing/lamp-1");
    let change = json!({
        "thingName": "lamp-1",
        "expectedVersion": 1,
        "attributePayload": {"attributes": {"watts": "7"}, "merge": true},
    });
    iot(&cloud, "UpdateThing", change).await;
    let found = iot(&cloud, "DescribeThing", json!({"thingName": "lamp-1"})).await;
    assert_eq!(found["attributes"], json!({"room": "attic", "watts": "7"}));
    assert_eq!((&found["version"], &found["defaultClientId"]), (&json!(2), &json!("lamp-1")));
    assert_eq!(found["thingId"], made["thingId"]);
    iot(&cloud, "DeleteThing", json!({"thingName": "lamp-1"})).await;
    let gone = refusal(&cloud, "DescribeThing", json!({"thingName": "lamp-1"})).await;
    assert_eq!(gone, ("ResourceNotFoundException".to_owned(), 404));
    iot(&cloud, "DeleteThing", json!({"thingName": "lamp-1"})).await;
}

#[tokio::test]
async fn the_same_thing_twice_is_one_and_another_is_a_conflict() {
    let cloud = cloud();
    let input = json!({"thingName": "a", "attributePayload": {"attributes": {"k": "v"}}});
    let first = iot(&cloud, "CreateThing", input.clone()).await;
    assert_eq!(iot(&cloud, "CreateThing", input).await, first);
    let fault = refused(&cloud, "CreateThing", json!({"thingName": "a"})).await;
    assert_eq!((fault.code.as_str(), fault.status), ("ResourceAlreadyExistsException", 409));
    assert_eq!(fault.members()["resourceId"], first["thingId"]);
}

#[tokio::test]
async fn a_thing_without_a_type_has_three_attributes_and_with_one_fifty() {
    let cloud = cloud();
    let many = |count: usize| -> Value {
        (0..count)
            .map(|number| (format!("k{number}"), json!("v")))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let input = |name: &str, count: usize, kind: Option<&str>| json!({"thingName": name, "thingTypeName": kind, "attributePayload": {"attributes": many(count)}});
    iot(&cloud, "CreateThing", input("a", 3, None)).await;
    assert_eq!(refusal(&cloud, "CreateThing", input("b", 4, None)).await.1, 400);
    iot(&cloud, "CreateThingType", json!({"thingTypeName": "pump"})).await;
    iot(&cloud, "CreateThing", input("c", 50, Some("pump"))).await;
    assert_eq!(refusal(&cloud, "CreateThing", input("d", 51, Some("pump"))).await.1, 400);
    // The type cannot go while its attributes need it.
    let remove = json!({"thingName": "c", "removeThingType": true});
    assert_eq!(refusal(&cloud, "UpdateThing", remove).await.1, 400);
}

#[tokio::test]
async fn an_empty_value_removes_an_attribute() {
    let cloud = cloud();
    let input = json!({"thingName": "a", "attributePayload": {"attributes": {"x": "1", "y": "2"}}});
    iot(&cloud, "CreateThing", input).await;
    let change =
        json!({"thingName": "a", "attributePayload": {"attributes": {"x": ""}, "merge": true}});
    iot(&cloud, "UpdateThing", change).await;
    let found = iot(&cloud, "DescribeThing", json!({"thingName": "a"})).await;
    assert_eq!(found["attributes"], json!({"y": "2"}));
}

#[tokio::test]
async fn names_and_attributes_outside_of_the_alphabet_are_refused() {
    let cloud = cloud();
    for name in ["a b", "ä", &"x".repeat(129), "a/b"] {
        assert_eq!(
            refusal(&cloud, "CreateThing", json!({"thingName": name})).await.0,
            "InvalidRequestException"
        );
    }
    for attributes in
        [json!({"a b": "c"}), json!({"a": "b c"}), json!({"a": 1}), json!({"a": "x".repeat(801)})]
    {
        let input = json!({"thingName": "a", "attributePayload": {"attributes": attributes}});
        assert_eq!(refusal(&cloud, "CreateThing", input).await.1, 400);
    }
}

#[tokio::test]
async fn a_version_that_is_not_the_expected_one_is_a_conflict() {
    let cloud = cloud();
    create_things(&cloud, &["a"]).await;
    for operation in ["UpdateThing", "DeleteThing"] {
        let input = json!({"thingName": "a", "expectedVersion": 7});
        assert_eq!(
            refusal(&cloud, operation, input).await,
            ("VersionConflictException".to_owned(), 409)
        );
    }
}

#[tokio::test]
async fn things_are_listed_in_pages_by_type_and_attribute() {
    let cloud = cloud();
    iot(&cloud, "CreateThingType", json!({"thingTypeName": "pump"})).await;
    for number in 0..7 {
        let input = json!({
            "thingName": format!("t{number}"),
            "thingTypeName": if number < 3 { Some("pump") } else { None },
            "attributePayload": {"attributes": {"place": format!("north-{}", number % 2)}},
        });
        iot(&cloud, "CreateThing", input).await;
    }
    let mut names = Vec::new();
    let mut token = Value::Null;
    loop {
        let page = iot(&cloud, "ListThings", json!({"maxResults": 3, "nextToken": token})).await;
        names.extend(
            page["things"].as_array().unwrap().iter().map(|thing| thing["thingName"].clone()),
        );
        token = page["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(names, ["t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
    let count = async |input: Value| {
        iot(&cloud, "ListThings", input).await["things"].as_array().unwrap().len()
    };
    assert_eq!(count(json!({"thingTypeName": "pump"})).await, 3);
    assert_eq!(count(json!({"attributeName": "place", "attributeValue": "north-1"})).await, 3);
    let prefix =
        json!({"attributeName": "place", "attributeValue": "nor", "usePrefixAttributeValue": true});
    assert_eq!(count(prefix).await, 7);
    assert_eq!(refusal(&cloud, "ListThings", json!({"maxResults": 251})).await.1, 400);
    assert_eq!(
        refusal(&cloud, "ListThings", json!({"nextToken": "?"})).await.0,
        "InvalidRequestException"
    );
}

#[tokio::test]
async fn a_thing_type_is_deleted_five_minutes_after_it_was_deprecated() {
    let cloud = cloud();
    let name = json!({"thingTypeName": "pump"});
    iot(&cloud, "CreateThingType", name.clone()).await;
    iot(&cloud, "CreateThing", json!({"thingName": "a", "thingTypeName": "pump"})).await;
    assert_eq!(refusal(&cloud, "DeleteThingType", name.clone()).await.0, "InvalidRequestException");
    iot(&cloud, "DeprecateThingType", name.clone()).await;
    let another = json!({"thingName": "b", "thingTypeName": "pump"});
    assert!(refused(&cloud, "CreateThing", another).await.message.contains("deprecated"));
    cloud.clock.step(Duration::from_secs(299));
    assert!(
        refused(&cloud, "DeleteThingType", name.clone()).await.message.contains("five minutes")
    );
    cloud.clock.step(Duration::from_secs(1));
    let used = refused(&cloud, "DeleteThingType", name.clone()).await;
    assert!(used.message.contains("things of this type"), "{used}");
    iot(&cloud, "UpdateThing", json!({"thingName": "a", "removeThingType": true})).await;
    iot(&cloud, "DeleteThingType", name.clone()).await;
    assert_eq!(refusal(&cloud, "DescribeThingType", name.clone()).await.1, 404);
    assert_eq!(refusal(&cloud, "DeleteThingType", name).await.1, 404);
}

#[tokio::test]
async fn deprecation_can_be_taken_back() {
    let cloud = cloud();
    iot(&cloud, "CreateThingType", json!({"thingTypeName": "pump"})).await;
    iot(&cloud, "DeprecateThingType", json!({"thingTypeName": "pump"})).await;
    iot(&cloud, "DeprecateThingType", json!({"thingTypeName": "pump", "undoDeprecate": true}))
        .await;
    let found = iot(&cloud, "DescribeThingType", json!({"thingTypeName": "pump"})).await;
    assert_eq!(found["thingTypeMetadata"]["deprecated"], false);
    iot(&cloud, "CreateThing", json!({"thingName": "a", "thingTypeName": "pump"})).await;
}

#[tokio::test]
async fn a_billing_group_holds_things_that_are_in_no_other() {
    let cloud = cloud();
    create_things(&cloud, &["a"]).await;
    for name in ["one", "two"] {
        iot(&cloud, "CreateBillingGroup", json!({"billingGroupName": name})).await;
    }
    let member = |group: &str| json!({"billingGroupName": group, "thingName": "a"});
    iot(&cloud, "AddThingToBillingGroup", member("one")).await;
    assert_eq!(refusal(&cloud, "AddThingToBillingGroup", member("two")).await.1, 400);
    let things = iot(&cloud, "ListThingsInBillingGroup", json!({"billingGroupName": "one"})).await;
    assert_eq!(things["things"], json!(["a"]));
    assert_eq!(
        refusal(&cloud, "DeleteBillingGroup", json!({"billingGroupName": "one"})).await.1,
        400
    );
    iot(&cloud, "RemoveThingFromBillingGroup", member("one")).await;
    iot(&cloud, "DeleteBillingGroup", json!({"billingGroupName": "one"})).await;
}
