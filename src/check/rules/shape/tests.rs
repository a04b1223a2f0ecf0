//! Good and bad properties for each code of the rule.
//!
//! Real types are used, so a new release of the schemas may change what is expected here.
//! Each bad case has a good one beside it.

use serde_json::json;

use crate::testing::*;

#[test]
fn accepts_a_complete_thing() {
    clean(&resource(
        "AWS::IoT::Thing",
        json!({"ThingName": "pump-1", "AttributePayload": {"Attributes": {"site": "north"}}}),
    ));
}

#[test]
fn suggests_the_property_that_was_meant() {
    let found = resource("AWS::IoT::Thing", json!({"ThignName": "pump-1"}));
    assert_eq!(
        only(&found),
        "unknown-property Resources/A/Properties/ThignName: \
         AWS::IoT::Thing has no property `ThignName` here"
    );
    let help = found.iter().next().unwrap().help.clone().unwrap();
    assert_eq!(help, "did you mean `ThingName`?");
}

#[test]
fn lists_what_would_be_accepted_where_nothing_is_near() {
    let found = resource("AWS::IoT::Thing", json!({"Colour": "red"}));
    let help = found.iter().next().unwrap().help.clone().unwrap();
    assert_eq!(help, "expected one of `AttributePayload`, `ThingName`");
}

#[test]
fn finds_a_missing_property_deep_inside() {
    let rule = json!({"TopicRulePayload": {"Sql": "SELECT * FROM 'a'",
        "AwsIotSqlVersion": "2016-03-23", "Actions": [{"Sqs": {"QueueUrl": "https://q"}}]}});
    assert_eq!(
        only(&resource("AWS::IoT::TopicRule", rule)),
        "missing-property Resources/A/Properties/TopicRulePayload/Actions/0/Sqs: \
         property `RoleArn` is missing"
    );
}

#[test]
fn an_absent_value_does_not_satisfy_a_requirement() {
    let with = |value| json!({"PolicyDocument": value});
    has_codes(
        &resource("AWS::IoT::Policy", with(json!({"Ref": "AWS::NoValue"}))),
        &["missing-property"],
    );
}

#[test]
fn takes_what_cloudformation_takes_for_the_same() {
    clean(&resource(
        "AWS::SQS::Queue",
        json!({"DelaySeconds": "5", "VisibilityTimeout": 30.0, "SqsManagedSseEnabled": "true",
            "QueueName": 12}),
    ));
}

#[test]
fn finds_values_of_the_wrong_kind() {
    let found = resource(
        "AWS::SQS::Queue",
        json!({"DelaySeconds": "soon", "VisibilityTimeout": 1.5, "QueueName": ["a"],
            "Tags": {"a": "b"}, "SqsManagedSseEnabled": "maybe"}),
    );
    assert_eq!(
        lines(&found),
        [
            "wrong-type Resources/A/Properties/DelaySeconds: found the text `soon`; \
             expected a whole number",
            "wrong-type Resources/A/Properties/VisibilityTimeout: found the number 1.5; \
             expected a whole number",
            "wrong-type Resources/A/Properties/QueueName: found a list; expected text",
            "wrong-type Resources/A/Properties/Tags: found an object; expected a list",
            "wrong-type Resources/A/Properties/SqsManagedSseEnabled: found the text `maybe`; \
             expected true or false",
        ]
    );
}

#[test]
fn json_may_be_an_object_or_text() {
    for document in [json!({"Statement": []}), json!("{\"Statement\": []}")] {
        clean(&resource("AWS::IoT::Policy", json!({ "PolicyDocument": document })));
    }
}

#[test]
fn judges_both_branches_of_a_condition() {
    let template = json!({
        "Conditions": {"C": {"Fn::Equals": [{"Ref": "AWS::Region"}, "eu-west-1"]}},
        "Resources": {"A": {"Type": "AWS::SQS::Queue", "Properties": {
            "DelaySeconds": {"Fn::If": ["C", 5, "x"]},
            "QueueName": {"Fn::If": ["C", {"Fn::Sub": "${AWS::StackName}"}, {"Ref": "AWS::NoValue"}]}}}}
    });
    assert_eq!(
        only(&findings(template)),
        "wrong-type Resources/A/Properties/DelaySeconds/Fn::If/2: found the text `x`; \
         expected a whole number"
    );
}

#[test]
fn knows_which_functions_return_lists() {
    let with = |value| {
        findings(json!({
            "Parameters": {"One": {"Type": "String"}, "Many": {"Type": "CommaDelimitedList"}},
            "Resources": {"A": {"Type": "AWS::Lambda::Function", "Properties": {
                "Code": {"ZipFile": {"Ref": "One"}}, "Role": {"Fn::Join": ["", {"Ref": "Many"}]},
                "Layers": value}}}
        }))
    };
    clean(&with(json!({"Ref": "Many"})));
    clean(&with(json!({"Fn::Split": [",", {"Ref": "One"}]})));
    clean(&with(json!([{"Ref": "One"}])));
    assert_eq!(
        only(&with(json!({"Ref": "One"}))),
        "wrong-type Resources/A/Properties/Layers: `Ref` returns text; expected a list"
    );
}

#[test]
fn finds_a_value_outside_the_list_of_values() {
    let found = resource(
        "AWS::IoT::Certificate",
        json!({"Status": "ACTIV", "CertificateSigningRequest": "x"}),
    );
    assert!(only(&found).starts_with(
        "invalid-value Resources/A/Properties/Status: found `ACTIV`; expected one of `ACTIVE`"
    ));
}

#[test]
fn finds_numbers_out_of_range_and_texts_of_wrong_length() {
    has_codes(&resource("AWS::SQS::Queue", json!({"DelaySeconds": 901})), &["out-of-range"]);
    has_codes(
        &resource(
            "AWS::IAM::Role",
            json!({"AssumeRolePolicyDocument": {}, "RoleName": "x".repeat(65)}),
        ),
        &["invalid-length"],
    );
}

#[test]
fn what_is_resolved_while_deploying_is_not_judged() {
    clean(&resource(
        "AWS::SQS::Queue",
        json!({"DelaySeconds": "{{resolve:ssm:/delay}}", "KmsMasterKeyId": "{{resolve:ssm:/key}}"}),
    ));
}

#[test]
fn finds_a_property_that_can_only_be_read() {
    assert_eq!(
        only(&resource("AWS::IoT::Thing", json!({"Arn": "arn:aws:iot:eu-west-1:1:thing/x"}))),
        "read-only-property Resources/A/Properties/Arn: property `Arn` of AWS::IoT::Thing \
         can be read, but not set"
    );
}

#[test]
fn custom_resources_take_any_property() {
    clean(&resource("Custom::Anything", json!({"ServiceToken": "arn:aws:lambda:x", "Any": [1]})));
    has_codes(&resource("Custom::Anything", json!({"Any": 1})), &["missing-property"]);
}

#[test]
fn exclusions_are_told_once_and_empty_values_count_as_absent() {
    let alarm = |dimensions: serde_json::Value| {
        resource(
            "AWS::CloudWatch::Alarm",
            json!({"EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold",
                "Threshold": 1, "Dimensions": dimensions,
                "Metrics": [{"Id": "e1", "Expression": "1", "ReturnData": true}]}),
        )
    };
    clean(&alarm(json!([])));
    has_codes(&alarm(json!([{"Name": "a", "Value": "b"}])), &["property-group"]);
    let subnet = json!({"VpcId": "vpc-12345678", "CidrBlock": "10.0.0.0/24",
        "AvailabilityZone": "eu-west-1a", "AvailabilityZoneId": "euw1-az1"});
    assert_eq!(
        only(&resource("AWS::EC2::Subnet", subnet)),
        "property-group Resources/A/Properties: \
         properties `AvailabilityZone` and `AvailabilityZoneId` exclude each other"
    );
}

#[test]
fn a_policy_that_is_published_as_text_may_be_an_object() {
    clean(&resource("AWS::IAM::ManagedPolicy", json!({"PolicyDocument": {"Statement": []}})));
}

#[test]
fn properties_that_a_macro_rewrites_are_not_judged() {
    clean(&findings(json!({"Transform": "MyMacro", "Resources": {
        "A": {"Type": "AWS::IAM::Role", "Properties": {"Permissions": "some"}}}})));
}
