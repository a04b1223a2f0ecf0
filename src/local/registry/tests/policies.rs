//! Policies, versions, targets, and what they come to.
//!
//! How single statements are judged is tried in `policy/tests.rs`.

use super::*;

#[tokio::test]
async fn a_policy_has_five_versions_and_one_of_them_counts() {
    let cloud = cloud();
    let text = |topic: &str| {
        document(json!([allow(
            "iot:Publish",
            &format!("arn:aws:iot:us-east-1:123456789012:topic/{topic}")
        )]))
    };
    let input = json!({"policyName": "p", "policyDocument": text("1")});
    let made = iot(&cloud, "CreatePolicy", input.clone()).await;
    assert_eq!(
        (&made["policyVersionId"], &made["policyDocument"]),
        (&json!("1"), &json!(text("1")))
    );
    assert_eq!(refusal(&cloud, "CreatePolicy", input).await.0, "ResourceAlreadyExistsException");
    for number in 2..=5 {
        let input = json!({"policyName": "p", "policyDocument": text(&number.to_string()), "setAsDefault": number == 3});
        iot(&cloud, "CreatePolicyVersion", input).await;
    }
    let sixth = json!({"policyName": "p", "policyDocument": text("6")});
    assert_eq!(
        refusal(&cloud, "CreatePolicyVersion", sixth).await,
        ("VersionsLimitExceededException".to_owned(), 409)
    );
    let found = iot(&cloud, "GetPolicy", json!({"policyName": "p"})).await;
    assert_eq!(
        (&found["defaultVersionId"], &found["policyDocument"]),
        (&json!("3"), &json!(text("3")))
    );
    let default = json!({"policyName": "p", "policyVersionId": "3"});
    assert_eq!(refusal(&cloud, "DeletePolicyVersion", default).await.1, 409);
    assert_eq!(refusal(&cloud, "DeletePolicy", json!({"policyName": "p"})).await.1, 409);
    for number in [1, 2, 4, 5] {
        iot(
            &cloud,
            "DeletePolicyVersion",
            json!({"policyName": "p", "policyVersionId": number.to_string()}),
        )
        .await;
    }
    let next = json!({"policyName": "p", "policyDocument": text("6")});
    assert_eq!(iot(&cloud, "CreatePolicyVersion", next).await["policyVersionId"], "6");
    iot(&cloud, "SetDefaultPolicyVersion", json!({"policyName": "p", "policyVersionId": "6"}))
        .await;
    iot(&cloud, "DeletePolicyVersion", json!({"policyName": "p", "policyVersionId": "3"})).await;
    iot(&cloud, "DeletePolicy", json!({"policyName": "p"})).await;
}

#[tokio::test]
async fn documents_that_are_none_are_malformed() {
    let cloud = cloud();
    let many = "x".repeat(2100);
    for document in [
        "{}".to_owned(),
        "not json".to_owned(),
        document(json!([{"Effect": "Maybe", "Action": "iot:*", "Resource": "*"}])),
        document(json!([{"Effect": "Allow", "Action": "iot:*"}])),
        document(json!([{"Effect": "Allow", "Action": "iot:*", "Resource": "topic/x"}])),
        document(json!([{"Effect": "Allow", "NotAction": "iot:*", "Resource": "*"}])),
        document(
            json!([{"Effect": "Allow", "Principal": "*", "Action": "iot:*", "Resource": "*"}]),
        ),
        document(
            json!([{"Effect": "Allow", "Action": "iot:*", "Resource": "*", "Condition": {"Strange": {"a": "b"}}}]),
        ),
        document(json!([allow(
            "iot:*",
            &format!("arn:aws:iot:us-east-1:123456789012:topic/{many}")
        )])),
    ] {
        let input = json!({"policyName": "p", "policyDocument": document});
        assert_eq!(
            refusal(&cloud, "CreatePolicy", input).await,
            ("MalformedPolicyException".to_owned(), 400),
            "{document}"
        );
    }
    // White space is not counted.
    let spaced = format!("{}{}", document(json!([allow("iot:*", "*")])), " ".repeat(3000));
    iot(&cloud, "CreatePolicy", json!({"policyName": "p", "policyDocument": spaced})).await;
}

#[tokio::test]
async fn ten_policies_fit_a_certificate_and_two_a_group() {
    let cloud = cloud();
    let (arn, _) = certificate(&cloud).await;
    let group =
        iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "g"})).await["thingGroupArn"]
            .clone();
    for number in 0..11 {
        let text = document(json!([allow("iot:Connect", "*")]));
        iot(
            &cloud,
            "CreatePolicy",
            json!({"policyName": format!("p{number}"), "policyDocument": text}),
        )
        .await;
        let attach = json!({"policyName": format!("p{number}"), "target": arn});
        if number == 10 {
            assert_eq!(
                refusal(&cloud, "AttachPolicy", attach).await,
                ("LimitExceededException".to_owned(), 410)
            );
        } else {
            iot(&cloud, "AttachPolicy", attach.clone()).await;
            iot(&cloud, "AttachPolicy", attach).await;
        }
    }
    for name in ["p0", "p1"] {
        iot(&cloud, "AttachPolicy", json!({"policyName": name, "target": group})).await;
    }
    let third = json!({"policyName": "p2", "target": group});
    assert_eq!(refusal(&cloud, "AttachPolicy", third).await.1, 410);
    let targets = iot(&cloud, "ListTargetsForPolicy", json!({"policyName": "p0"})).await;
    assert_eq!(targets["targets"].as_array().unwrap().len(), 2);
    let principals = iot(&cloud, "ListPolicyPrincipals", json!({"policyName": "p0"})).await;
    assert_eq!(principals["principals"], json!([arn]));
    let attached = iot(&cloud, "ListAttachedPolicies", json!({"target": arn, "pageSize": 4})).await;
    assert_eq!(attached["policies"].as_array().unwrap().len(), 4);
    assert!(attached["nextMarker"].is_string());
    assert_eq!(
        refusal(&cloud, "DeletePolicy", json!({"policyName": "p0"})).await.0,
        "DeleteConflictException"
    );
}

#[tokio::test]
async fn policies_of_a_group_and_its_ancestors_are_effective_for_its_things() {
    let cloud = cloud();
    create_things(&cloud, &["a"]).await;
    let root = iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "root"})).await;
    iot(&cloud, "CreateThingGroup", json!({"thingGroupName": "leaf", "parentGroupName": "root"}))
        .await;
    iot(&cloud, "AddThingToThingGroup", json!({"thingName": "a", "thingGroupName": "leaf"})).await;
    let (arn, _) = certificate(&cloud).await;
    attach(&cloud, "own", json!([allow("iot:Connect", "*")]), &arn).await;
    attach(
        &cloud,
        "inherited",
        json!([allow("iot:Publish", "*")]),
        root["thingGroupArn"].as_str().unwrap(),
    )
    .await;
    let found =
        iot(&cloud, "GetEffectivePolicies", json!({"principal": arn, "thingName": "a"})).await;
    let names: Vec<_> = found["effectivePolicies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| policy["policyName"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["own", "inherited"]);
    let alone = iot(&cloud, "GetEffectivePolicies", json!({"principal": arn})).await;
    assert_eq!(alone["effectivePolicies"].as_array().unwrap().len(), 1);
    let leaf = "arn:aws:iot:us-east-1:123456789012:thinggroup/leaf";
    let attached =
        iot(&cloud, "ListAttachedPolicies", json!({"target": leaf, "recursive": true})).await;
    assert_eq!(attached["policies"][0]["policyName"], "inherited");
}

#[tokio::test]
async fn authorization_is_tested_as_a_connection_would_see_it() {
    let cloud = cloud();
    create_things(&cloud, &["a"]).await;
    let (arn, _) = certificate(&cloud).await;
    iot(&cloud, "AttachThingPrincipal", json!({"thingName": "a", "principal": arn})).await;
    let own = "arn:aws:iot:us-east-1:123456789012:topic/things/${iot:Connection.Thing.ThingName}/*";
    let secret = "arn:aws:iot:us-east-1:123456789012:topic/things/a/secret";
    let statements = json!([allow("iot:Publish", own), {"Effect": "Deny", "Action": "iot:*", "Resource": secret}]);
    attach(&cloud, "p", statements, &arn).await;
    let ask = async |client: &str, topic: &str| {
        let input = json!({
            "principal": arn,
            "clientId": client,
            "authInfos": [{"actionType": "PUBLISH", "resources": [format!("arn:aws:iot:us-east-1:123456789012:topic/{topic}")]}],
        });
        iot(&cloud, "TestAuthorization", input).await["authResults"][0]["authDecision"].clone()
    };
    assert_eq!(ask("a", "things/a/x").await, "ALLOWED");
    assert_eq!(ask("a", "things/a/secret").await, "EXPLICIT_DENY");
    assert_eq!(ask("a", "things/b/x").await, "IMPLICIT_DENY");
    assert_eq!(ask("somebody", "things/a/x").await, "IMPLICIT_DENY");
}
