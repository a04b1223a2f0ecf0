//! Every intrinsic function, as the template shows it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::testing::Template;
use crate::{App, Condition, Handle, Parameter, Props, Pseudo, Stack, StackRef, Untyped, text};

/// What the functions refer to.
struct Fixture {
    stack: StackRef,
    topic: Handle<Untyped>,
    size: crate::ParameterRef,
    large: Condition,
    sizes: Mapping,
}

impl Fixture {
    fn new(stack: StackRef) -> Self {
        let topic = stack.untyped("Topic", "AWS::SNS::Topic", Props::new());
        let size = stack.parameter("Size", Parameter::default());
        let large = stack.condition("Large", equals(size, "l"));
        let sizes = Expr::object([("Shards", 4.into())]);
        let sizes = stack.mapping("Sizes", [("l".into(), sizes)]);
        Fixture { stack, topic, size, large, sizes }
    }

    /// Every function with `inner` wherever it takes a value.
    fn table(&self, inner: &Expr, shown: &Value) -> Vec<(Expr, Value)> {
        let inner = || inner.clone();
        let Fixture { topic, size, large, sizes, .. } = self;
        vec![
            (topic.reference(), json!({"Ref": "Topic"})),
            (size.reference(), json!({"Ref": "Size"})),
            (Intrinsic::RefName("Included".into()).into(), json!({"Ref": "Included"})),
            (topic.attribute_named("TopicName"), json!({"Fn::GetAtt": ["Topic", "TopicName"]})),
            (Pseudo::StackName.into(), json!({"Ref": "AWS::StackName"})),
            (join("-", ["a".into(), inner()]), json!({"Fn::Join": ["-", ["a", shown]]})),
            (join_list(",", inner()), json!({"Fn::Join": [",", shown]})),
            (select(1, inner()), json!({"Fn::Select": [1, shown]})),
            (select(inner(), ["a", "b"]), json!({"Fn::Select": [shown, ["a", "b"]]})),
            (split(":", inner()), json!({"Fn::Split": [":", shown]})),
            (sub("${AWS::Region}-x", [("", ""); 0]), json!({"Fn::Sub": "${AWS::Region}-x"})),
            (sub("${A}-x", [("A", inner())]), json!({"Fn::Sub": ["${A}-x", {"A": shown}]})),
            (sizes.find(inner(), "Shards"), json!({"Fn::FindInMap": ["Sizes", shown, "Shards"]})),
            (
                sizes.find_or("l", inner(), inner()),
                json!({"Fn::FindInMap": ["Sizes", "l", shown, {"DefaultValue": shown}]}),
            ),
            (availability_zones(), json!({"Fn::GetAZs": ""})),
            (Intrinsic::GetAzs(inner()).into(), json!({"Fn::GetAZs": shown})),
            (import_value(inner()), json!({"Fn::ImportValue": shown})),
            (base64(inner()), json!({"Fn::Base64": shown})),
            (cidr(inner(), 6, 8), json!({"Fn::Cidr": [shown, 6, 8]})),
            (
                Intrinsic::Cidr("10.0.0.0/16".into(), inner(), None).into(),
                json!({"Fn::Cidr": ["10.0.0.0/16", shown]}),
            ),
            (large.choose(inner(), "s"), json!({"Fn::If": ["Large", shown, "s"]})),
            (large.only(inner()), json!({"Fn::If": ["Large", shown, {"Ref": "AWS::NoValue"}]})),
            (equals(inner(), "l"), json!({"Fn::Equals": [shown, "l"]})),
            (
                and([large.test(), equals(inner(), 1)]),
                json!({"Fn::And": [{"Condition": "Large"}, {"Fn::Equals": [shown, 1]}]}),
            ),
            (
                or([large.not(), equals(1, inner())]),
                json!({"Fn::Or": [{"Fn::Not": [{"Condition": "Large"}]},
                                  {"Fn::Equals": [1, shown]}]}),
            ),
            (large.test(), json!({"Condition": "Large"})),
            (not(inner()), json!({"Fn::Not": [shown]})),
            (
                transform("AWS::Include", [("Location", inner())]),
                json!({"Fn::Transform": {"Name": "AWS::Include",
                                         "Parameters": {"Location": shown}}}),
            ),
            (length(inner()), json!({"Fn::Length": shown})),
            (to_json_string(inner()), json!({"Fn::ToJsonString": shown})),
            (
                text::json_of(Expr::list([inner()])),
                json!({"Fn::Join": ["", ["[\"", shown, "\"]"]]}),
            ),
            (Intrinsic::LogicalId(topic.node_ref()).into(), json!("Topic")),
        ]
    }
}

/// A number for every function: a new one does not compile before it has one, and does
/// not pass before the table has it.
fn number(intrinsic: &Intrinsic) -> usize {
    use Intrinsic as I;
    match intrinsic {
        I::Ref(_) => 0,
        I::RefName(_) => 1,
        I::Attribute(..) => 2,
        I::Pseudo(_) => 3,
        I::Join(..) => 4,
        I::JoinList(..) => 5,
        I::Select(..) => 6,
        I::Split(..) => 7,
        I::Sub(..) => 8,
        I::FindInMap(..) => 9,
        I::GetAzs(_) => 10,
        I::ImportValue(_) => 11,
        I::Base64(_) => 12,
        I::Cidr(..) => 13,
        I::If(..) => 14,
        I::Equals(..) => 15,
        I::And(_) => 16,
        I::Or(_) => 17,
        I::Not(_) => 18,
        I::Condition(_) => 19,
        I::Transform(..) => 20,
        I::Length(_) => 21,
        I::ToJsonString(_) => 22,
        I::Json(_) => 23,
        I::LogicalId(_) => LAST,
    }
}

const LAST: usize = 24;

#[test]
fn every_function_is_rendered() {
    let app = App::new();
    let fixture = Fixture::new(app.add("fleet", Stack::default()));
    let table = fixture.table(&Pseudo::Region.into(), &json!({"Ref": "AWS::Region"}));
    let mut seen = BTreeSet::new();
    for (index, (expr, _)) in table.iter().enumerate() {
        let Expr::Late(intrinsic) = expr else { panic!("{expr:?} is not late") };
        seen.insert(number(intrinsic));
        fixture.stack.output(format!("Value{index}"), expr.clone());
    }
    assert_eq!(seen, (0..=LAST).collect());
    let template = Template::from(&fixture.stack).to_json();
    for (index, (expr, expected)) in table.iter().enumerate() {
        let rendered = &template["Outputs"][format!("Value{index}")]["Value"];
        assert_eq!(rendered, expected, "{expr:?}");
    }
}

#[test]
fn a_reference_into_another_stack_is_found_inside_every_function() {
    let app = App::new();
    let storage = app.add("storage", Stack::default());
    let bucket = storage.untyped("Firmware", "AWS::S3::Bucket", Props::new());
    let fixture = Fixture::new(app.add("fleet", Stack::default()));
    let export = "storage:ExportsOutputRefFirmware502538CC";
    let table = fixture.table(&bucket.reference(), &json!({"Fn::ImportValue": export}));
    for (index, (expr, _)) in table.iter().enumerate() {
        fixture.stack.output(format!("Value{index}"), expr.clone());
    }
    let template = Template::from(&fixture.stack).to_json();
    for (index, (expr, expected)) in table.iter().enumerate() {
        let rendered = &template["Outputs"][format!("Value{index}")]["Value"];
        assert_eq!(rendered, expected, "{expr:?}");
    }
}

#[test]
fn every_pseudo_parameter_has_the_name_that_cloudformation_knows() {
    for (pseudo, name) in [
        (Pseudo::AccountId, "AWS::AccountId"),
        (Pseudo::NotificationArns, "AWS::NotificationARNs"),
        (Pseudo::NoValue, "AWS::NoValue"),
        (Pseudo::Partition, "AWS::Partition"),
        (Pseudo::Region, "AWS::Region"),
        (Pseudo::StackId, "AWS::StackId"),
        (Pseudo::StackName, "AWS::StackName"),
        (Pseudo::UrlSuffix, "AWS::URLSuffix"),
    ] {
        assert_eq!(pseudo.name(), name);
    }
}

#[test]
fn conditions_and_mappings_stay_in_their_stack() {
    let app = App::new();
    let fixture = Fixture::new(app.add("fleet", Stack::default()));
    let other = app.add("other", Stack::default());
    other.output("If", fixture.large.choose("a", "b"));
    other.output("Found", fixture.sizes.find("l", "Shards"));
    let topic = other.untyped("Topic", "AWS::SNS::Topic", Props::new());
    topic.condition(&fixture.large);
    let found: Vec<_> = app
        .diagnostics()
        .iter()
        .map(|found| format!("{} {}", found.place.construct.clone().unwrap(), found.message))
        .collect();
    assert_eq!(
        found,
        [
            "other/If `fleet/Large` is in another stack, where conditions and mappings do not reach",
            "other/Found `fleet/Sizes` is in another stack, where conditions and mappings do not reach",
            "other/Topic `fleet/Large` is in another stack, where conditions and mappings do not reach",
        ]
    );
}
