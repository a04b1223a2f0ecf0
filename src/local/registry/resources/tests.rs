//! The CloudFormation types: made, changed, replaced, refused, removed.
//!
//! The handlers are asked as the engine asks them, with resolved properties.

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, ResourceFault, ResourceRequest, ResourceState, testing};
use serde_json::{Value, json};

fn cloud() -> Arc<Cloud> {
    let cloud = testing::cloud();
    crate::install(&cloud).unwrap();
    cloud
}

fn request(kind: &str, properties: Value) -> ResourceRequest {
    ResourceRequest {
        type_name: kind.to_owned(),
        logical_id: "Thing".to_owned(),
        stack_name: "stack".to_owned(),
        properties,
        ..ResourceRequest::default()
    }
}

async fn create(
    cloud: &Cloud,
    kind: &str,
    properties: Value,
) -> Result<ResourceState, ResourceFault> {
    cloud.resource(kind).unwrap().create(&request(kind, properties)).await
}

async fn update(
    cloud: &Cloud,
    kind: &str,
    id: &str,
    before: Value,
    after: Value,
) -> Result<ResourceState, ResourceFault> {
    let request = ResourceRequest {
        physical_id: Some(id.to_owned()),
        previous: Some(before),
        ..request(kind, after)
    };
    cloud.resource(kind).unwrap().update(&request).await
}

async fn delete(cloud: &Cloud, kind: &str, id: &str) -> Result<(), ResourceFault> {
    let request = ResourceRequest { physical_id: Some(id.to_owned()), ..request(kind, json!({})) };
    cloud.resource(kind).unwrap().delete(&request).await
}

fn code(fault: ResourceFault) -> String {
    match fault {
        ResourceFault::Failed { code, .. } => code,
        ResourceFault::Replace => "Replace".to_owned(),
    }
}

async fn iot(cloud: &Cloud, operation: &str, input: Value) -> Value {
    testing::call(cloud, "iot", operation, input).await.unwrap()
}

#[tokio::test]
async fn a_thing_is_made_changed_and_removed() {
    let cloud = cloud();
    let kind = "AWS::IoT::Thing";
    let before = json!({"ThingName": "a", "AttributePayload": {"Attributes": {"x": "1"}}});
    let made = create(&cloud, kind, before.clone()).await.unwrap();
    assert_eq!(made.physical_id, "a");
    assert_eq!(made.attributes["Arn"], "arn:aws:iot:us-east-1:123456789012:thing/a");
    assert_eq!(code(create(&cloud, kind, before.clone()).await.unwrap_err()), "AlreadyExists");
    let after = json!({"ThingName": "a", "AttributePayload": {"Attributes": {"y": "2"}}});
    let changed = update(&cloud, kind, "a", before.clone(), after).await.unwrap();
    assert_eq!(changed, made);
    let found = iot(&cloud, "DescribeThing", json!({"thingName": "a"})).await;
    assert_eq!(found["attributes"], json!({"y": "2"}));
    let renamed = update(&cloud, kind, "a", before, json!({"ThingName": "b"})).await;
    assert_eq!(renamed, Err(ResourceFault::Replace));
    let four: Value =
        json!({"AttributePayload": {"Attributes": {"a": "1", "b": "1", "c": "1", "d": "1"}}});
    assert_eq!(code(create(&cloud, kind, four).await.unwrap_err()), "InvalidRequest");
    delete(&cloud, kind, "a").await.unwrap();
    delete(&cloud, kind, "a").await.unwrap();
    let unnamed = create(&cloud, kind, json!({})).await.unwrap();
    assert!(unnamed.physical_id.starts_with("stack-Thing-"), "{unnamed:?}");
}

#[tokio::test]
async fn a_type_goes_at_once_unless_it_is_used() {
    let cloud = cloud();
    let kind = "AWS::IoT::ThingType";
    let properties = json!({
        "ThingTypeName": "pump",
        "ThingTypeProperties": {"ThingTypeDescription": "d", "SearchableAttributes": ["a"]},
        "Tags": [{"Key": "k", "Value": "v"}],
    });
    let made = create(&cloud, kind, properties.clone()).await.unwrap();
    let tags =
        iot(&cloud, "ListTagsForResource", json!({"resourceArn": made.attributes["Arn"]})).await;
    assert_eq!(tags["tags"][0]["Key"], "k");
    iot(&cloud, "CreateThing", json!({"thingName": "a", "thingTypeName": "pump"})).await;
    let used = delete(&cloud, kind, "pump").await.unwrap_err();
    assert!(used.to_string().contains("things of this type"), "{used}");
    let mut deprecated = properties.clone();
    deprecated["DeprecateThingType"] = json!(true);
    update(&cloud, kind, "pump", properties, deprecated).await.unwrap();
    let found = iot(&cloud, "DescribeThingType", json!({"thingTypeName": "pump"})).await;
    assert_eq!(found["thingTypeMetadata"]["deprecated"], true);
    iot(&cloud, "UpdateThing", json!({"thingName": "a", "removeThingType": true})).await;
    delete(&cloud, kind, "pump").await.unwrap();
}

#[tokio::test]
async fn a_group_is_static_or_dynamic_for_good() {
    let cloud = cloud();
    let kind = "AWS::IoT::ThingGroup";
    let parent = create(&cloud, kind, json!({"ThingGroupName": "root"})).await.unwrap();
    assert!(parent.attributes["Id"].is_string());
    let before = json!({"ThingGroupName": "g", "ParentGroupName": "root", "ThingGroupProperties": {
        "ThingGroupDescription": "d", "AttributePayload": {"Attributes": {"a": "b"}},
    }});
    create(&cloud, kind, before.clone()).await.unwrap();
    let mut after = before.clone();
    after["QueryString"] = json!("thingName:a");
    assert_eq!(
        code(update(&cloud, kind, "g", before.clone(), after).await.unwrap_err()),
        "InvalidRequest"
    );
    let mut after = before.clone();
    after["ThingGroupProperties"] = json!({});
    update(&cloud, kind, "g", before, after).await.unwrap();
    let found = iot(&cloud, "DescribeThingGroup", json!({"thingGroupName": "g"})).await;
    assert_eq!(found["thingGroupProperties"], json!({"attributePayload": {"attributes": {}}}));
    assert_eq!(code(delete(&cloud, kind, "root").await.unwrap_err()), "InvalidRequest");
    delete(&cloud, kind, "g").await.unwrap();
    delete(&cloud, kind, "root").await.unwrap();
    // A query needs an index.
    let dynamic = json!({"ThingGroupName": "d", "QueryString": "thingName:a"});
    assert!(create(&cloud, kind, dynamic.clone()).await.is_err());
    let index = json!({"thingIndexingConfiguration": {"thingIndexingMode": "REGISTRY"}});
    iot(&cloud, "UpdateIndexingConfiguration", index).await;
    create(&cloud, kind, dynamic).await.unwrap();
    delete(&cloud, kind, "d").await.unwrap();
}

#[tokio::test]
async fn an_attached_policy_is_not_removed() {
    let cloud = cloud();
    let kind = "AWS::IoT::Policy";
    let text = |action: &str| {
        json!({"PolicyName": "p", "PolicyDocument": {
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}],
        }})
    };
    let made = create(&cloud, kind, text("iot:Connect")).await.unwrap();
    assert_eq!((made.physical_id.as_str(), &made.attributes["Id"]), ("p", &json!("p")));
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let certificate = create(
        &cloud,
        "AWS::IoT::Certificate",
        json!({"CertificateSigningRequest": csr, "Status": "ACTIVE"}),
    )
    .await
    .unwrap();
    let arn = certificate.attributes["Arn"].clone();
    let attachment = json!({"PolicyName": "p", "Principal": arn});
    let attached =
        create(&cloud, "AWS::IoT::PolicyPrincipalAttachment", attachment.clone()).await.unwrap();
    let blocked = delete(&cloud, kind, "p").await.unwrap_err();
    assert!(blocked.to_string().contains("attached"), "{blocked}");
    assert_eq!(code(blocked), "ResourceConflict");

    create(&cloud, "AWS::IoT::Thing", json!({"ThingName": "a"})).await.unwrap();
    let pair = json!({"ThingName": "a", "Principal": arn});
    let tied = create(&cloud, "AWS::IoT::ThingPrincipalAttachment", pair.clone()).await.unwrap();
    assert!(delete(&cloud, "AWS::IoT::Thing", "a").await.is_err());
    assert!(delete(&cloud, "AWS::IoT::Certificate", &certificate.physical_id).await.is_err());
    assert_eq!(
        update(&cloud, "AWS::IoT::ThingPrincipalAttachment", &tied.physical_id, pair.clone(), pair)
            .await,
        Err(ResourceFault::Replace)
    );
    // Six updates leave one version.
    for number in 0..6 {
        update(&cloud, kind, "p", text("iot:Connect"), text(&format!("iot:Action{number}")))
            .await
            .unwrap();
    }
    let versions = iot(&cloud, "ListPolicyVersions", json!({"policyName": "p"})).await;
    assert_eq!(versions["policyVersions"].as_array().unwrap().len(), 1);

    delete(&cloud, "AWS::IoT::ThingPrincipalAttachment", &tied.physical_id).await.unwrap();
    delete(&cloud, "AWS::IoT::PolicyPrincipalAttachment", &attached.physical_id).await.unwrap();
    delete(&cloud, "AWS::IoT::PolicyPrincipalAttachment", &attached.physical_id).await.unwrap();
    delete(&cloud, "AWS::IoT::Certificate", &certificate.physical_id).await.unwrap();
    delete(&cloud, "AWS::IoT::Thing", "a").await.unwrap();
    delete(&cloud, kind, "p").await.unwrap();
}

#[tokio::test]
async fn a_malformed_document_fails_the_policy() {
    let cloud = cloud();
    let fault =
        create(&cloud, "AWS::IoT::Policy", json!({"PolicyDocument": {}})).await.unwrap_err();
    assert_eq!(code(fault), "InvalidRequest");
    let group =
        json!({"PolicyName": "p", "Principal": "arn:aws:iot:us-east-1:123456789012:thinggroup/g"});
    assert!(create(&cloud, "AWS::IoT::PolicyPrincipalAttachment", group).await.is_err());
}

#[tokio::test]
async fn a_template_an_alias_and_a_billing_group_are_made_and_changed() {
    let cloud = cloud();
    let role = "arn:aws:iam::123456789012:role/r";
    let body = |name: &str| {
        json!({"Resources": {"t": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": name}}}})
            .to_string()
    };
    let kind = "AWS::IoT::ProvisioningTemplate";
    let before = json!({"TemplateName": "fleet", "TemplateBody": body("a"), "ProvisioningRoleArn": role, "Enabled": true});
    let made = create(&cloud, kind, before.clone()).await.unwrap();
    assert_eq!(
        made.attributes["TemplateArn"],
        "arn:aws:iot:us-east-1:123456789012:provisioningtemplate/fleet"
    );
    for number in 0..6 {
        let mut after = before.clone();
        after["TemplateBody"] = json!(body(&format!("t{number}")));
        after["Enabled"] = json!(false);
        update(&cloud, kind, "fleet", before.clone(), after).await.unwrap();
    }
    let found = iot(&cloud, "DescribeProvisioningTemplate", json!({"templateName": "fleet"})).await;
    assert_eq!((&found["templateBody"], &found["enabled"]), (&json!(body("t5")), &json!(false)));
    delete(&cloud, kind, "fleet").await.unwrap();
    let unnamed = json!({"TemplateBody": body("a"), "ProvisioningRoleArn": role});
    assert!(create(&cloud, kind, unnamed).await.unwrap().physical_id.len() <= 36);

    let alias = json!({"RoleAlias": "r", "RoleArn": role, "CredentialDurationSeconds": 900});
    let made = create(&cloud, "AWS::IoT::RoleAlias", alias.clone()).await.unwrap();
    assert!(made.attributes["RoleAliasArn"].as_str().unwrap().ends_with("rolealias/r"));
    update(&cloud, "AWS::IoT::RoleAlias", "r", alias, json!({"RoleAlias": "r", "RoleArn": role}))
        .await
        .unwrap();
    let found = iot(&cloud, "DescribeRoleAlias", json!({"roleAlias": "r"})).await;
    assert_eq!(found["roleAliasDescription"]["credentialDurationSeconds"], 3600);
    delete(&cloud, "AWS::IoT::RoleAlias", "r").await.unwrap();

    let group = json!({"BillingGroupName": "b", "BillingGroupProperties": {"BillingGroupDescription": "x"}});
    create(&cloud, "AWS::IoT::BillingGroup", group).await.unwrap();
    delete(&cloud, "AWS::IoT::BillingGroup", "b").await.unwrap();
}

#[tokio::test]
async fn a_fleet_metric_needs_an_index() {
    let cloud = cloud();
    let kind = "AWS::IoT::FleetMetric";
    let before = json!({
        "MetricName": "m", "QueryString": "*", "AggregationField": "registry.version", "Period": 300,
        "AggregationType": {"Name": "Statistics", "Values": ["count"]},
    });
    assert!(create(&cloud, kind, before.clone()).await.is_err());
    let index = json!({"thingIndexingConfiguration": {"thingIndexingMode": "REGISTRY"}});
    iot(&cloud, "UpdateIndexingConfiguration", index).await;
    let made = create(&cloud, kind, before.clone()).await.unwrap();
    assert_eq!(
        (&made.attributes["Version"], made.attributes["MetricArn"].is_string()),
        (&json!(1), true)
    );
    let mut after = before.clone();
    after["Period"] = json!(60);
    let changed = update(&cloud, kind, "m", before, after).await.unwrap();
    assert_eq!(changed.attributes["Version"], 2);
    delete(&cloud, kind, "m").await.unwrap();
}
