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

/// Everything that can be asked of a small registry.
async fn picture(cloud: &Cloud) -> Value {
    let mut all = Vec::new();
    let names = async |operation: &str, list: &str, name: &str| -> Vec<Value> {
        let found = iot(cloud, operation, json!({})).await;
        let items = found[list].as_array().unwrap().clone();
        items.into_iter().map(|item| item[name].clone()).collect()
    };
    for thing in names("ListThings", "things", "thingName").await {
        let input = json!({"thingName": thing});
        for operation in ["DescribeThing", "ListThingGroupsForThing", "ListThingPrincipalsV2"] {
            all.push(iot(cloud, operation, input.clone()).await);
        }
    }
    for group in names("ListThingGroups", "thingGroups", "groupName").await {
        let input = json!({"thingGroupName": group, "recursive": true});
        for operation in ["DescribeThingGroup", "ListThingsInThingGroup"] {
            all.push(iot(cloud, operation, input.clone()).await);
        }
        let arn = json!({"resourceArn": format!("arn:aws:iot:us-east-1:123456789012:thinggroup/{}", group.as_str().unwrap())});
        all.push(iot(cloud, "ListTagsForResource", arn).await);
    }
    for policy in names("ListPolicies", "policies", "policyName").await {
        let input = json!({"policyName": policy});
        for operation in ["GetPolicy", "ListPolicyVersions", "ListTargetsForPolicy"] {
            all.push(iot(cloud, operation, input.clone()).await);
        }
    }
    for certificate in names("ListCertificates", "certificates", "certificateId").await {
        all.push(iot(cloud, "DescribeCertificate", json!({"certificateId": certificate})).await);
    }
    for operation in [
        "ListThingTypes",
        "ListBillingGroups",
        "ListProvisioningTemplates",
        "ListRoleAliases",
        "GetIndexingConfiguration",
        "DescribeEventConfigurations",
    ] {
        all.push(iot(cloud, operation, json!({})).await);
    }
    Value::Array(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_done_is_the_same_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut seed: u64 = 7;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut arns: Vec<String> = Vec::new();
    for round in 0..3 {
        let before = {
            let cloud = open(folder.path());
            for _ in 0..120 {
                let (thing, group) = (format!("t{}", random(6)), format!("g{}", random(6)));
                let policy = format!("p{}", random(3));
                let some = |arns: &[String], at: u64| {
                    arns.get(at as usize % arns.len().max(1)).cloned().unwrap_or_default()
                };
                let arn = some(&arns, random(50));
                let id = arn.rsplit('/').next().unwrap_or_default().to_owned();
                let text = document(json!([allow("iot:Connect", "*")]));
                let (operation, input) = match random(22) {
                    0..3 => ("CreateThing", json!({"thingName": thing})),
                    3 => (
                        "UpdateThing",
                        json!({"thingName": thing, "attributePayload": {"attributes": {"a": round.to_string()}}}),
                    ),
                    4 => ("DeleteThing", json!({"thingName": thing})),
                    5 => (
                        "CreateThingGroup",
                        json!({"thingGroupName": group, "tags": [{"Key": "k", "Value": "v"}]}),
                    ),
                    6 => (
                        "CreateThingGroup",
                        json!({"thingGroupName": group, "parentGroupName": format!("g{}", random(6))}),
                    ),
                    7 => ("DeleteThingGroup", json!({"thingGroupName": group})),
                    8..11 => (
                        "AddThingToThingGroup",
                        json!({"thingName": thing, "thingGroupName": group}),
                    ),
                    11 => (
                        "RemoveThingFromThingGroup",
                        json!({"thingName": thing, "thingGroupName": group}),
                    ),
                    12 => ("CreatePolicy", json!({"policyName": policy, "policyDocument": text})),
                    13 => (
                        "CreatePolicyVersion",
                        json!({"policyName": policy, "policyDocument": text, "setAsDefault": true}),
                    ),
                    14 => ("DeletePolicy", json!({"policyName": policy})),
                    15 => ("AttachPolicy", json!({"policyName": policy, "target": arn})),
                    16 => (
                        "AttachPolicy",
                        json!({"policyName": policy, "target": format!("arn:aws:iot:us-east-1:123456789012:thinggroup/{group}")}),
                    ),
                    17 => ("DetachPolicy", json!({"policyName": policy, "target": arn})),
                    18 => ("AttachThingPrincipal", json!({"thingName": thing, "principal": arn})),
                    19 => ("DetachThingPrincipal", json!({"thingName": thing, "principal": arn})),
                    20 => {
                        ("UpdateCertificate", json!({"certificateId": id, "newStatus": "INACTIVE"}))
                    }
                    _ => ("DeleteCertificate", json!({"certificateId": id, "forceDelete": true})),
                };
                if arns.len() < 5 {
                    arns.push(certificate(&cloud).await.0);
                }
                // Many of these are refused; a refusal must leave nothing behind.
                let _ = testing::call(&cloud, "iot", operation, input).await;
            }
            picture(&cloud).await
        };
        let after = picture(&open(folder.path())).await;
        assert_eq!(before, after, "round {round}");
        assert!(before.as_array().unwrap().len() > 20, "too little was done");
    }
}
