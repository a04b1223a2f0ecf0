//! What the embedded facts say about types that everybody knows.

use super::*;
use crate::{Format, ObjectRule, Replacement, ReplacementOrder, Scrutiny, Shape, Target};

fn facts(name: &str) -> &'static ResourceType {
    resource_type(name).unwrap_or_else(|| panic!("no facts of {name}"))
}

fn text<'a>(found: &'a ResourceType, path: &[&str]) -> &'a crate::StringShape {
    match found.shape_at(path) {
        Some(Shape::String(string)) => string,
        other => panic!("{path:?} of {} is {other:?}", found.name),
    }
}

#[test]
fn decodes_every_type() {
    let mut count = 0;
    for name in resource_types() {
        let found = facts(name);
        assert_eq!(found.name, name);
        for definition in &found.definitions {
            assert!(!matches!(found.resolve(&definition.shape), Shape::Definition(_)));
        }
        count += 1;
    }
    assert!(count >= 1_854, "only {count} types");
}

#[test]
fn is_embedded_in_little_space() {
    assert!(BYTES.len() < 600_000, "{} bytes", BYTES.len());
}

#[test]
fn knows_a_thing() {
    let thing = facts("AWS::IoT::Thing");
    let names: Vec<&str> = thing.properties.properties.iter().map(|own| own.name).collect();
    assert_eq!(names, ["Arn", "AttributePayload", "Id", "ThingName"]);
    assert!(!thing.properties.open);
    let name = text(thing, &["ThingName"]);
    assert_eq!((name.min_length, name.max_length), (Some(1), Some(128)));
    assert_eq!(name.pattern, Some("[a-zA-Z0-9:_-]+"));
    assert!(thing.is_read_only(&["Arn"]));
    assert!(!thing.is_read_only(&["ThingName"]));
    assert!(thing.has_attribute("Arn") && !thing.has_attribute("ThingName"));
    assert_eq!(thing.replacement(&["ThingName"]), Replacement::Always);
    assert_eq!(thing.replacement(&["AttributePayload", "Attributes"]), Replacement::Never);
    assert_eq!(thing.tagging, None);
    assert!(matches!(thing.shape_at(&["AttributePayload", "Attributes"]), Some(Shape::Map(_))));
}

#[test]
fn knows_what_a_function_requires() {
    let function = facts("AWS::Lambda::Function");
    assert_eq!(function.properties.required().collect::<Vec<_>>(), ["Code", "Role"]);
    let role = Target { resource_type: "AWS::IAM::Role", attribute: "Arn" };
    assert!(text(function, &["Role"]).targets.contains(&role));
    let Some(Shape::Integer(timeout)) = function.shape_at(&["Timeout"]) else { panic!() };
    assert_eq!(timeout.min, Some(1.0));
    assert!(function.is_read_only(&["Arn"]));
}

#[test]
fn knows_the_regions_of_a_job() {
    let job = facts("AWS::IoT::Job");
    assert!(job.exists_in("us-east-1") && job.exists_in("eu-central-1"));
    assert!(!job.exists_in("eu-west-1") && !job.exists_in("sa-east-1"));
    assert!(job.exists_in("moon-north-1"), "nothing is known about this region");
    assert!(job.regions().count() >= 4);
    assert!(facts("AWS::IoT::Thing").exists_in("af-south-1"));
}

#[test]
fn knows_groups_of_properties() {
    let rules = |name: &str| &facts(name).properties.rules;
    assert!(
        rules("AWS::Events::Rule").contains(&ObjectRule::AtLeastOne(vec![
            vec!["EventPattern"],
            vec!["ScheduleExpression"]
        ]))
    );
    assert!(rules("AWS::IAM::Policy").iter().any(
        |rule| matches!(rule, ObjectRule::AtLeastOne(groups) if groups.contains(&vec!["Roles"]))
    ));
    assert!(rules("AWS::CloudWatch::Alarm").iter().any(
        |rule| matches!(rule, ObjectRule::Excludes { name: "Metrics", others } if others.contains(&"MetricName"))
    ));
    assert!(rules("AWS::EC2::SecurityGroup").iter().any(
        |rule| matches!(rule, ObjectRule::Requires { name: "SecurityGroupEgress", needs } if needs == &["VpcId"])
    ));
}

#[test]
fn knows_what_a_change_replaces() {
    let template = facts("AWS::IoT::JobTemplate");
    assert_eq!(template.replacement(&["Description"]), Replacement::Always);
    assert_eq!(template.replacement(&["Tags", "0", "Value"]), Replacement::Always);
    let rule = facts("AWS::IoT::TopicRule");
    assert_eq!(rule.replacement(&["TopicRulePayload", "Sql"]), Replacement::Never);
    assert_eq!(facts("AWS::S3::Bucket").replacement(&["BucketName"]), Replacement::Always);
    let vpc = facts("AWS::EC2::VPC");
    assert_eq!(vpc.replacement(&["InstanceTenancy"]), Replacement::Conditional);
    assert_eq!(vpc.replacement(&["CidrBlock"]), Replacement::Always);
    assert_eq!(template.replacement_order, ReplacementOrder::CreateFirst);
}

#[test]
fn knows_what_holds_data_and_what_grants() {
    assert!(facts("AWS::S3::Bucket").stateful);
    assert!(facts("AWS::Timestream::Table").stateful);
    assert!(!facts("AWS::IoT::TopicRule").stateful);
    let role = &facts("AWS::IAM::Role").scrutiny;
    assert!(role.iter().any(|(path, kind)| {
        path.segments() == ["Policies"] && *kind == Scrutiny::IdentityPolicy
    }));
    let policy = &facts("AWS::IoT::Policy").scrutiny;
    assert!(policy.iter().any(|(path, _)| path.segments().is_empty()));
}

#[test]
fn knows_how_types_are_tagged_and_referred_to() {
    let bucket = facts("AWS::S3::Bucket");
    assert_eq!(
        bucket.tagging.as_ref().map(|own| own.property.to_string()).as_deref(),
        Some("Tags")
    );
    assert_eq!(bucket.reference[0].to_string(), "BucketName");
    assert!(bucket.arn_template.is_some_and(|arn| arn.contains("${BucketName}")));
    let pool = facts("AWS::Cognito::UserPool");
    let property = pool.tagging.as_ref().map(|own| own.property.to_string());
    assert_eq!(property.as_deref(), Some("UserPoolTags"));
    assert_eq!(facts("AWS::IoT::Policy").reference[0].to_string(), "PolicyName");
}

#[test]
fn takes_any_attribute_of_what_has_no_schema() {
    assert!(facts("Custom::Indexing").has_attribute("Whatever"));
    assert!(facts("Custom::Indexing").properties.open);
    let stack = facts("AWS::CloudFormation::Stack");
    assert!(stack.has_attribute("Outputs.Url") && !stack.has_attribute("Url"));
}

#[test]
fn reads_documents_as_json() {
    let policy = facts("AWS::IoT::Policy");
    assert_eq!(policy.shape_at(&["PolicyDocument"]), Some(&Shape::Json));
    let formats = resource_types().filter(|name| {
        let properties = &facts(name).properties.properties;
        properties.iter().any(|own| {
            matches!(&own.shape, Shape::String(string) if string.format == Some(Format::DateTime))
        })
    });
    assert!(formats.count() > 5);
}

#[test]
fn reads_unions_as_alternatives_of_properties() {
    let increase = facts("AWS::GreengrassV2::Deployment");
    let path = [
        "IotJobConfiguration",
        "JobExecutionsRolloutConfig",
        "ExponentialRate",
        "RateIncreaseCriteria",
    ];
    let Some(Shape::Object(object)) = increase.shape_at(&path) else { panic!("no object") };
    let names: Vec<&str> = object.properties.iter().map(|own| own.name).collect();
    assert_eq!(names, ["NumberOfNotifiedThings", "NumberOfSucceededThings"]);
}

#[test]
fn finds_similar_names() {
    assert_eq!(nearest_resource_types("AWS::IOT::Thing").first(), Some(&"AWS::IoT::Thing"));
    assert_eq!(nearest_resource_types("AWS::S3::Buckets").first(), Some(&"AWS::S3::Bucket"));
    assert!(resource_type("AWS::S3::Buckets").is_none());
    assert_eq!(schema_date(), "2026-10-20");
}
