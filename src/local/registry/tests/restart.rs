//! What is there after the cloud was started again on the same state.
//!
//! Everything is written through, so the first cloud is dropped without a word.

use iotstack_local_kernel::{Account, Clock, Store, Timestamp};

use super::*;

fn open(folder: &std::path::Path) -> Arc<Cloud> {
    // The tasks of a cloud that is gone may hold its state for a moment.
    let store = (0..2000)
        .find_map(|_| {
            let store = Store::open(folder).ok();
            if store.is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            store
        })
        .unwrap();
    let cloud = Cloud::new(Account::default(), Clock::stepped(Timestamp(1_767_225_600_000)), store);
    crate::install(&cloud).unwrap();
    cloud
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (arn, der) = {
        let cloud = open(folder.path());
        iot(&cloud, "CreateThingType", json!({"thingTypeName": "pump"})).await;
        iot(&cloud, "CreateThing", json!({"thingName": "a", "thingTypeName": "pump"})).await;
        iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "root"})).await;
        iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "g", "parentGroupName": "root"}))
            .await;
        iot(&cloud, "AddThingToThingGroup", json!({"thingName": "a", "thingGroupName": "g"})).await;
        let (arn, der) = certificate(&cloud).await;
        iot(&cloud, "AttachThingPrincipal", json!({"thingName": "a", "principal": arn})).await;
        attach(&cloud, "p", json!([allow("iot:*", "*")]), &arn).await;
        let on = json!({"eventConfigurations": {"JOB": {"Enabled": true}}});
        iot(&cloud, "UpdateEventConfigurations", on).await;
        let index = json!({"thingIndexingConfiguration": {"thingIndexingMode": "REGISTRY"}});
        iot(&cloud, "UpdateIndexingConfiguration", index).await;
        let group = json!({"thingGroupName": "pumps", "queryString": "thingTypeName:pump"});
        iot(&cloud, "CreateDynamicThingGroup", group).await;
        super::provisioning::template(&cloud, "fleet", json!({})).await;
        (arn, der)
    };
    let cloud = open(folder.path());
    let found = iot(&cloud, "DescribeThing", json!({"thingName": "a"})).await;
    assert_eq!(found["thingTypeName"], "pump");
    let registry = cloud.ports.registry().unwrap();
    assert_eq!(registry.members("root").unwrap().len(), 1);
    assert!(registry.events_enabled("JOB"));
    let rights =
        cloud.ports.authority().unwrap().connect(&super::authority::attempt("a", &der)).unwrap();
    assert!(rights.may_publish("x", false));
    let targets = iot(&cloud, "ListTargetsForPolicy", json!({"policyName": "p"})).await;
    assert_eq!(targets["targets"], json!([arn]));
    iot(&cloud, "DescribeProvisioningTemplate", json!({"templateName": "fleet"})).await;
    until(async || registry.members("pumps").unwrap().len() == 1).await;
    create_things(&cloud, &["b"]).await;
    iot(&cloud, "UpdateThing", json!({"thingName": "b", "thingTypeName": "pump"})).await;
    until(async || registry.members("pumps").unwrap().len() == 2).await;
}
