//! What the registry tells others about its changes.
//!
//! Each change once, in order, and only what really happened.

use iotstack_local_kernel::CloudEvent;

use super::*;

#[tokio::test]
async fn changes_of_things_and_memberships_are_told() {
    let cloud = cloud();
    let told = Arc::new(Mutex::new(Vec::new()));
    cloud.bus.hear({
        let told = told.clone();
        move |event| told.lock().unwrap().push(event.clone())
    });
    create_things(&cloud, &["a"]).await;
    iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "g"})).await;
    iot(&cloud, "AddThingToThingGroup", json!({"thingName": "a", "thingGroupName": "g"})).await;
    iot(&cloud, "AddThingToThingGroup", json!({"thingName": "a", "thingGroupName": "g"})).await;
    iot(&cloud, "DeleteThing", json!({"thingName": "a"})).await;
    let thing: Arc<str> = "a".into();
    let group: Arc<str> = "g".into();
    let membership = |member| CloudEvent::MembershipChanged {
        thing: thing.clone(),
        group: group.clone(),
        member,
    };
    assert_eq!(
        *told.lock().unwrap(),
        [
            CloudEvent::ThingChanged { thing: thing.clone(), exists: true },
            membership(true),
            membership(false),
            CloudEvent::ThingChanged { thing: thing.clone(), exists: false },
        ]
    );
}

#[tokio::test]
async fn a_refused_change_is_told_to_nobody() {
    let cloud = cloud();
    let told = Arc::new(Mutex::new(0));
    cloud.bus.hear({
        let told = told.clone();
        move |_| *told.lock().unwrap() += 1
    });
    refused(&cloud, "CreateThing", json!({"thingName": "a", "thingTypeName": "none"})).await;
    refused(&cloud, "UpdateThing", json!({"thingName": "a"})).await;
    assert_eq!(*told.lock().unwrap(), 0);
}
