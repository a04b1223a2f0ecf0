//! Tests of the assertions: what they find, and what they say when they find nothing.

use serde_json::json;

use super::*;
use crate::{App, Expr, Parameter, Props, Stack};

fn template() -> Template {
    let app = App::new();
    let stack = app.add("fleet", Stack::default());
    let mut rule = Props::new();
    rule.set("RuleName", "events");
    rule.set("Topics", Expr::list(["a", "b", "c"]));
    rule.set("Document", crate::text::json(&json!({"steps": [1, 2]})));
    stack.untyped("Rule", "AWS::IoT::TopicRule", rule);
    stack.output("Name", "x");
    Template::from(&stack)
}

#[test]
fn objects_and_lists_match_in_part() {
    template().has_properties(
        "AWS::IoT::TopicRule",
        object_like([
            ("RuleName", Match::from("events")),
            ("Topics", array_with(["a", "c"])),
            ("Document", serialized_json(object_like([("steps", exact(json!([1, 2])))]))),
            ("Description", absent()),
        ]),
    );
}

#[test]
#[should_panic(expected = "Rule: /RuleName is \"events\", expected \"other\"")]
fn says_which_value_is_different() {
    template().has_properties("AWS::IoT::TopicRule", object_like([("RuleName", "other")]));
}

#[test]
#[should_panic(expected = "/Topics has no item (after those before it) like \"a\"")]
fn lists_match_in_order() {
    let pattern = object_like([("Topics", array_with(["b", "a"]))]);
    template().has_properties("AWS::IoT::TopicRule", pattern);
}

#[test]
#[should_panic(
    expected = "no resource of type AWS::S3::Bucket with properties; the template has: Rule (AWS::IoT::TopicRule)"
)]
fn says_what_the_template_has() {
    template().has_properties("AWS::S3::Bucket", any());
}

#[test]
#[should_panic(expected = "no output `Nam`; the template has: Name")]
fn says_which_outputs_there_are() {
    template().has_output("Nam", any());
}

#[test]
fn captures_only_what_fits_as_a_whole() {
    let capture = Capture::new();
    let pattern = object_like([("RuleName", capture.anything()), ("Topics", any())]);
    template().has_properties("AWS::IoT::TopicRule", pattern);
    assert_eq!(capture.text(), "events");
}

#[test]
fn whole_resources_and_every_section_can_be_looked_at() {
    let app = App::new();
    let stack = app.add("fleet", Stack::default());
    let size = stack.parameter("Size", Parameter { default: "s".into(), ..Parameter::default() });
    let large = stack.condition("Large", crate::intrinsic::equals(size, "l"));
    let topic = stack.untyped("Topic", "AWS::SNS::Topic", Props::new());
    topic.condition(&large);
    let template = Template::from(&stack);
    template.has_parameter("Size", object_like([("Default", "s")]));
    template.has_condition("Large", any());
    template.matches(object_like([
        ("Resources", object_like([("Topic", object_like([("Condition", "Large")]))])),
        ("Outputs", absent()),
    ]));
}

#[test]
fn not_and_parts_of_text() {
    template().has_properties(
        "AWS::IoT::TopicRule",
        object_like([
            ("RuleName", not("other")),
            ("Document", text_containing("steps")),
            ("Missing", not("anything")),
        ]),
    );
}

#[test]
#[should_panic(expected = "expected 2 resources of type AWS::IoT::TopicRule, found 1: Rule")]
fn says_how_many_there_are() {
    template().resource_count_is("AWS::IoT::TopicRule", 2);
}

#[test]
#[should_panic(expected = "/Description is missing, expected anything")]
fn says_what_is_missing() {
    template().has_properties("AWS::IoT::TopicRule", object_like([("Description", any())]));
}

#[test]
#[should_panic(expected = "/RuleName is \"events\", expected nothing")]
fn says_what_should_not_be_there() {
    template().has_properties("AWS::IoT::TopicRule", object_like([("RuleName", absent())]));
}

#[test]
#[should_panic(expected = "nothing was captured; assert with the pattern first")]
fn a_capture_without_an_assertion_says_so() {
    Capture::new().text();
}

#[test]
#[should_panic(expected = "id `Twice` is used twice in this scope")]
fn a_template_of_an_app_with_errors_tells_them() {
    let app = App::new();
    let stack = app.add("fleet", Stack::default());
    stack.child("Twice");
    stack.child("Twice");
    let _ = Template::from(&stack);
}
