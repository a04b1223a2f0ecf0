//! What is refused before anything exists.
//!
//! Each test looks for the words that clients and people look for, and that nothing
//! was asked of any service.

use super::*;

async fn refused(template: Value) -> String {
    let world = World::new();
    let refusal = world.refusal("CreateStack", request("s", &template)).await;
    assert!(world.shelf.asked().is_empty());
    let none = world.ask("DescribeStacks", json!({})).await;
    assert_eq!(none["Stacks"], json!([]));
    refusal
}

#[tokio::test]
async fn names_what_does_not_resolve() {
    let text = refused(json!({"Resources": {"T": {"Type": "AWS::SNS::Topic",
        "Properties": {"TopicName": {"Ref": "Nobody"}}}}}))
    .await;
    assert!(
        text.contains("Unresolved resource dependencies [Nobody] in the Resources block"),
        "{text}"
    );
}

#[tokio::test]
async fn names_circles_unknown_types_and_wrong_attributes() {
    let circle = json!({"Resources": {
        "A": {"Type": "AWS::SNS::Topic", "DependsOn": "B"},
        "B": {"Type": "AWS::SNS::Topic", "DependsOn": "A"}}});
    assert!(refused(circle).await.contains("Circular dependency between resources: [A, B]"));
    let unknown = json!({"Resources": {"A": {"Type": "AWS::SNS::Topik"}}});
    assert!(refused(unknown).await.contains("Unrecognized resource types: [AWS::SNS::Topik]"));
    let attribute = json!({"Resources": {"A": topic("a"), "B": {"Type": "AWS::SNS::Topic",
        "Properties": {"TopicName": {"Fn::GetAtt": ["A", "Nope"]}}}}});
    assert!(refused(attribute).await.contains("has no attribute `Nope`"));
}

#[tokio::test]
async fn names_types_that_nobody_serves() {
    let text = refused(json!({"Resources": {"T": topic("t"),
        "A": {"Type": "AWS::RDS::DBInstance"}, "B": {"Type": "AWS::EC2::VPC"}}}))
    .await;
    assert!(text.contains("[AWS::EC2::VPC, AWS::RDS::DBInstance]"), "{text}");
}

#[tokio::test]
async fn capabilities_must_be_given() {
    let world = World::new();
    let role = |name: Value| {
        json!({"Resources": {"R": {"Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": {}, "RoleName": name}}}})
    };
    let named = role(json!("r")).to_string();
    let plain = role(json!({"Ref": "AWS::NoValue"}));
    let mut plain = plain;
    plain["Resources"]["R"]["Properties"].as_object_mut().unwrap().shift_remove("RoleName");
    let plain = plain.to_string();
    for (body, given, needed) in [
        (&plain, vec![], "CAPABILITY_IAM"),
        (&named, vec!["CAPABILITY_IAM"], "CAPABILITY_NAMED_IAM"),
    ] {
        let input = json!({"StackName": "s", "TemplateBody": body, "Capabilities": given});
        let refusal = world.refusal("CreateStack", input).await;
        assert_eq!(
            refusal,
            format!("InsufficientCapabilitiesException: Requires capabilities : [{needed}]")
        );
    }
    let input = json!({"StackName": "s", "TemplateBody": plain,
        "Capabilities": ["CAPABILITY_NAMED_IAM"]});
    world.ask("CreateStack", input).await;
}

#[tokio::test]
async fn rules_are_asserted() {
    let world = World::new();
    world.shelf.values.lock().unwrap().insert("/bootstrap/version".into(), "3".into());
    let template = json!({
        "Parameters": {"Version": {"Type": "AWS::SSM::Parameter::Value<String>",
            "Default": "/bootstrap/version"}},
        "Rules": {"Check": {"Assertions": [{
            "Assert": {"Fn::Not": [{"Fn::Contains": [["1", "2", "3"], {"Ref": "Version"}]}]},
            "AssertDescription": "bootstrap again, please"}]}},
        "Resources": {"T": topic("t")}});
    let refusal = world.refusal("CreateStack", request("s", &template)).await;
    assert!(refusal.contains("bootstrap again, please"), "{refusal}");
    world.shelf.values.lock().unwrap().insert("/bootstrap/version".into(), "6".into());
    assert_eq!(world.create("s", template).await, "CREATE_COMPLETE");
}

#[tokio::test]
async fn templates_have_limits() {
    let world = World::new();
    let long = json!({"Resources": {"T": topic(&"x".repeat(60_000))}});
    let refusal = world.refusal("CreateStack", request("s", &long)).await;
    assert!(refusal.contains("51200"), "{refusal}");
    let mut resources = serde_json::Map::new();
    for number in 0..501 {
        resources.insert(format!("T{number}"), json!({"Type": "AWS::SNS::Topic"}));
    }
    let many = json!({ "Resources": resources });
    let refusal = world.refusal("CreateStack", request("s", &many)).await;
    assert!(refusal.contains("501") && refusal.contains("500"), "{refusal}");
    for (body, reason) in [
        ("{", "Template format error"),
        ("[1]", "Template format error"),
        ("Resources: {A: &x {Type: AWS::SNS::Topic}, B: *x}", "Template format error"),
        ("{}", "At least one Resources member"),
    ] {
        let input = json!({"StackName": "s", "TemplateBody": body});
        let refusal = world.refusal("CreateStack", input).await;
        assert!(refusal.contains(reason), "{body}: {refusal}");
    }
}

#[tokio::test]
async fn requests_are_checked() {
    let world = World::new();
    let template = json!({"Resources": {"T": topic("t")}});
    for (name, change, reason) in [
        ("1s", json!({}), "failed to satisfy constraint"),
        ("s", json!({"DisableRollback": "true", "OnFailure": "DELETE"}), "not both"),
        ("s", json!({"Tags": [{"Key": "aws:x", "Value": "y"}]}), "belong to AWS"),
        ("s", json!({"TemplateURL": "https://s3.amazonaws.com/b/k"}), "only one of"),
        ("s", json!({"Capabilities": ["CAPABILITY_ALL"]}), "CAPABILITY_ALL"),
        ("s", json!({"TimeoutInMinutes": "soon"}), "soon"),
        (
            "s",
            json!({"Parameters": [{"ParameterKey": "X", "ParameterValue": "1"}]}),
            "[X] do not exist",
        ),
    ] {
        let mut input = request(name, &template);
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refusal = world.refusal("CreateStack", input).await;
        assert!(refusal.contains(reason), "{change}: {refusal}");
    }
    let missing = json!({"StackName": "s", "TemplateURL": "https://s3.amazonaws.com/b/k"});
    assert!(world.refusal("CreateStack", missing).await.contains("S3 error"));
    for (operation, input, reason) in [
        ("UpdateStack", request("s", &template), "does not exist"),
        ("DescribeStackEvents", json!({"StackName": "s"}), "does not exist"),
        ("GetTemplate", json!({"StackName": "s"}), "does not exist"),
        ("ListStackResources", json!({"StackName": "s"}), "does not exist"),
    ] {
        let refusal = world.refusal(operation, input).await;
        assert!(refusal.starts_with("ValidationError") && refusal.contains(reason), "{refusal}");
    }
    let import = json!({"StackName": "s", "ChangeSetName": "c", "ChangeSetType": "IMPORT",
        "TemplateBody": template.to_string()});
    assert!(world.refusal("CreateChangeSet", import).await.contains("IMPORT"));
    let sns = json!({"Resources": {"C": {"Type": "Custom::X",
        "Properties": {"ServiceToken": "arn:aws:sns:us-east-1:123456789012:t"}}}});
    assert!(world.refusal("CreateStack", request("s", &sns)).await.contains("SNS"));
}

#[tokio::test]
async fn what_a_condition_leaves_out_cannot_be_asked_for() {
    let world = World::new();
    let template = json!({
        "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
        "Resources": {"Kept": topic("a"),
            "Left": {"Type": "AWS::SNS::Topic", "Condition": "Never"}},
        "Outputs": {"O": {"Value": {"Ref": "Left"}}}});
    let set = world.propose("s", "CREATE", &template).await;
    assert_eq!(set["Status"], "FAILED");
    let reason = set["StatusReason"].as_str().unwrap();
    assert!(reason.contains("Unresolved resource dependencies [Left]"), "{reason}");
}

#[tokio::test]
async fn a_transform_inside_is_refused_by_name() {
    let include = json!({"Name": "AWS::Include", "Parameters": {"Location": "s3://b/k"}});
    let text = refused(json!({
        "Mappings": {"M": {"Fn::Transform": include}},
        "Resources": {"T": topic("t")}}))
    .await;
    assert!(text.contains("the transform AWS::Include"), "{text}");
}

#[tokio::test]
async fn a_new_stack_is_refused_if_it_asks_for_what_a_condition_leaves_out() {
    let with = |value: Value| {
        json!({
            "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
            "Resources": {"Kept": topic("a"),
                "Left": {"Type": "AWS::SNS::Topic", "Condition": "Never"}},
            "Outputs": {"O": {"Value": value}}})
    };
    let text = refused(with(json!({"Ref": "Left"}))).await;
    let reason = "Unresolved resource dependencies [Left] in the Outputs block of the template";
    assert!(text.contains(reason), "{text}");
    let world = World::new();
    world.create("s", with(json!({"Fn::If": ["Never", {"Ref": "Left"}, "none"]}))).await;
    assert_eq!(world.outputs("s").await["O"], "none");
    world.create("t", json!({"Resources": {"Kept": topic("b")}})).await;
    let found = world.ask("DescribeStacks", json!({"StackName": "t"})).await;
    assert!(found["Stacks"][0].get("Outputs").is_none_or(Value::is_null));
}

#[tokio::test]
async fn conditions_decide_what_is_made_and_what_goes() {
    let world = World::new();
    let with = |stage: &str| {
        json!({
            "Parameters": {"Stage": {"Type": "String", "Default": stage}},
            "Conditions": {"IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
                "IsBig": {"Fn::And": [{"Condition": "IsProd"}, {"Fn::Or": [
                    {"Condition": "IsProd"}, {"Fn::Equals": ["x", "y"]}]}]}},
            "Resources": {"Always": topic("a"),
                "Big": {"Type": "AWS::SNS::Topic", "Condition": "IsBig",
                    "Properties": {"TopicName": "big"}}}})
    };
    world.create("s", with("dev")).await;
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic a"]);
    assert_eq!(world.update("s", with("prod")).await, "UPDATE_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic a", "AWS::SNS::Topic big"]);
    assert_eq!(world.update("s", with("dev")).await, "UPDATE_COMPLETE");
    assert_eq!(world.shelf.names(), ["AWS::SNS::Topic a"]);
}
