//! Tests of what an app takes from its caller, and of stages.

use serde_json::json;

use super::*;
use crate::testing::Template;
use crate::{Construct, Expr, Props};

fn context(variables: &[(&str, &str)]) -> Result<Value> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name)?;
        Some(found.1.to_owned())
    };
    context_of(variable).map(Value::Object)
}

#[test]
fn takes_the_context_of_its_caller() {
    assert_eq!(context(&[]).unwrap(), json!({}));
    let given = context(&[("CDK_CONTEXT_JSON", r#"{"fleet": {"count": 3}}"#)]).unwrap();
    assert_eq!(given, json!({"fleet": {"count": 3}}));
}

#[test]
fn takes_the_rest_of_a_long_context_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("context.json");
    std::fs::write(&file, r#"{"b": 2, "c": 3}"#).unwrap();
    let variables = [
        ("CDK_CONTEXT_JSON", r#"{"a": 1, "b": 1}"#),
        ("CONTEXT_OVERFLOW_LOCATION_ENV", file.to_str().unwrap()),
    ];
    assert_eq!(context(&variables).unwrap(), json!({"a": 1, "b": 2, "c": 3}));
}

#[test]
fn says_which_variable_is_wrong() {
    let error = context(&[("CDK_CONTEXT_JSON", "[1]")]).unwrap_err().to_string();
    assert_eq!(
        error,
        "the context in `CDK_CONTEXT_JSON` is not valid: invalid type: sequence, expected a map \
         at line 1 column 0; expected a JSON object"
    );
    let error = context(&[("CONTEXT_OVERFLOW_LOCATION_ENV", "/nowhere/c.json")]).unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nowhere/c.json: "), "{error}");
}

#[test]
fn takes_account_and_region_of_its_caller() {
    let variable = |name: &str| match name {
        "CDK_DEFAULT_REGION" => Some("eu-west-1".to_owned()),
        _ => None,
    };
    let expected = Environment { account: None, region: Some("eu-west-1".into()) };
    assert_eq!(environment_of(variable), expected);
}

#[test]
fn context_reaches_constructs_and_says_when_it_has_another_shape() {
    let Value::Object(values) = json!({"iotstack:env": "dev", "count": 3, "bad": "x"}) else {
        panic!("not an object");
    };
    let app = App::with_context(values);
    assert_eq!(app.environment_name().as_deref(), Some("dev"));
    assert_eq!(app.context("count"), Some(json!(3)));
    let stack = app.add("fleet", Stack::default());
    assert_eq!(stack.context_as::<u32>("count"), Some(3));
    assert_eq!(stack.context_as::<u32>("missing"), None);
    assert!(app.diagnostics().is_empty());
    assert_eq!(stack.context_as::<u32>("bad"), None);
    let found = app.diagnostics();
    let found = found.iter().next().unwrap();
    assert_eq!(found.code, "invalid-context");
    assert_eq!(
        found.message,
        "context value `bad` is not valid: invalid type: string \"x\", expected u32"
    );
    assert_eq!(found.place.construct.as_deref(), Some("fleet"));
}

fn region(region: &str) -> Environment {
    Environment::new("123456789012", region)
}

#[test]
fn a_stack_of_a_stage_goes_where_the_stage_goes_unless_it_says_otherwise() {
    let app = App::new();
    let stage = app.stage("Prod", Stage { environment: region("eu-west-1") });
    stage.add("Core", Stack::default());
    stage.add("Edge", Stack { environment: region("us-east-1"), ..Stack::default() });
    let folder = tempfile::tempdir().unwrap();
    let assembly = app.synth(folder.path()).unwrap();
    let environments: Vec<_> =
        assembly.stacks().iter().map(|stack| stack.environment.to_string()).collect();
    let expected = ["aws://123456789012/eu-west-1", "aws://123456789012/us-east-1"];
    assert_eq!(environments, expected);
}

#[test]
fn stacks_of_a_stage_depend_on_each_other_inside_it() {
    let app = App::new();
    let stage = app.stage("Prod", Stage::default());
    let storage = stage.add("Storage", Stack::default());
    let updates = stage.add("Updates", Stack::default());
    let alarms = stage.add("Alarms", Stack::default());
    let bucket = storage.untyped("Firmware", "AWS::S3::Bucket", Props::new());
    updates.output("Bucket", bucket.reference());
    alarms.untyped("Topic", "AWS::SNS::Topic", Props::new());
    alarms.depends_on(&updates);

    let output = Template::from(&updates).to_json()["Outputs"]["Bucket"]["Value"].clone();
    let export = output["Fn::ImportValue"].as_str().unwrap();
    assert!(export.starts_with("Prod-Storage:ExportsOutputRefFirmware"), "{export}");

    let folder = tempfile::tempdir().unwrap();
    let assembly = app.synth(folder.path()).unwrap();
    let stacks: Vec<_> = assembly
        .stacks()
        .iter()
        .map(|stack| (stack.display_name.as_str(), stack.dependencies.clone()))
        .collect();
    let id = |name: &str| vec![crate::logical_id::logical_id(&["Prod", name])];
    assert_eq!(
        stacks,
        [("Prod/Storage", vec![]), ("Prod/Updates", id("Storage")), ("Prod/Alarms", id("Updates"))]
    );
}

#[test]
fn a_reference_does_not_leave_its_stage() {
    let app = App::new();
    let bucket = app.stage("Dev", Stage::default()).add("Core", Stack::default()).untyped(
        "Firmware",
        "AWS::S3::Bucket",
        Props::new(),
    );
    let prod = app.stage("Prod", Stage::default()).add("Core", Stack::default());
    prod.output("Bucket", bucket.reference());
    let found = app.diagnostics();
    let found = found.iter().next().unwrap();
    assert_eq!(found.code, "cross-stage-reference");
    assert_eq!(found.message, "stack `Dev/Core` is in another stage");
    assert_eq!(found.place.construct.as_deref(), Some("Prod/Core/Bucket"));
}

/// Two topics, one of them in a scope of its own.
struct Topics;

impl Construct for Topics {
    type Ref = Expr;

    fn build(self, scope: &Scope) -> Expr {
        scope.untyped("Resource", "AWS::SNS::Topic", Props::new());
        scope.child("Spare").untyped("Resource", "AWS::SNS::Topic", Props::new()).reference()
    }
}

#[test]
fn a_scope_finds_what_is_in_it() {
    let app = App::new();
    let stack = app.add("fleet", Stack::default());
    stack.add("Topics", Topics);
    let topics = stack.find("Topics").unwrap();
    assert_eq!(topics.path(), "fleet/Topics");
    assert_eq!(topics.find("Spare").unwrap().stack().unwrap().path(), "fleet");
    assert!(topics.find("Other").is_none());
    Template::from(&stack).resource_count_is("AWS::SNS::Topic", 2);
}
