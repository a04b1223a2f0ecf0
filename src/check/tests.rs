//! The frame: codes, order, places, and that nothing is found where nothing is wrong.
//!
//! What single rules find is tested beside them. Here is what all of them share.

use iotstack_assembly::{Environment, parse};
use serde_json::json;

use super::*;

#[test]
fn every_code_is_unique_and_explained() {
    let mut names: Vec<&str> = codes().map(|code| code.name).collect();
    for code in codes() {
        let is_kebab = code.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(is_kebab && !code.name.is_empty(), "{}", code.name);
        assert!(code.explanation.ends_with('.'), "{} ends in the middle", code.name);
        assert_eq!(explain(code.name), Some(code.explanation));
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert_eq!(explain("no-such-code"), None);
}

#[test]
fn findings_come_in_the_order_of_the_template() {
    let template = Template::from_value(json!({
        "Parameters": {"P": {"Type": "Strin"}},
        "Resources": {
            "B": {"Type": "AWS::SNS::Topic", "Properties": {"Nope": 1, "TopicName": {"Ref": "X"}}},
            "A": {"Type": "AWS::SNS::Topik"}
        },
        "Outputs": {"O": {}}
    }))
    .unwrap();
    let found = check(&template, &Context::default());
    let places: Vec<_> = found.iter().map(|f| f.place.path[..2].join("/")).collect();
    let expected =
        ["Parameters/P", "Parameters/P", "Resources/B", "Resources/B", "Resources/A", "Outputs/O"];
    assert_eq!(places, expected);
}

#[test]
fn places_tell_stack_file_construct_and_line() {
    let text = "Resources:\n  A:\n    Type: AWS::SNS::Topic\n    Metadata:\n      \
                aws:cdk:path: Stack/Alarms/Resource\n    Properties:\n      Nope: 1\n";
    let (template, positions) = parse::template(text).unwrap();
    let context = Context {
        stack: Some("Stack".into()),
        environment: Environment::default(),
        file: Some("a.yaml".into()),
        size: None,
    };
    let mut found = check(&template, &context);
    locate(&mut found, &positions);
    let place = &found.iter().next().unwrap().place;
    assert_eq!(place.stack.as_deref(), Some("Stack"));
    assert_eq!(place.file.as_deref(), Some("a.yaml"));
    assert_eq!(place.construct.as_deref(), Some("Stack/Alarms/Resource"));
    assert_eq!(place.position, Some((7, 7)));
}

#[test]
fn the_more_special_of_two_findings_is_kept() {
    let template = Template::from_value(json!({"Resources": {"A": {
        "Type": "AWS::Signer::SigningProfile",
        "Properties": {"PlatformId": "AWSIoTDeviceManagement-SHA256-ECDSA"}
    }}}))
    .unwrap();
    let codes: Vec<_> =
        check(&template, &Context::default()).iter().map(|found| found.code).collect();
    assert_eq!(codes, ["signing-platform"]);
}

#[test]
fn explains_what_the_program_asks_for() {
    assert!(explain("unknown-property").unwrap().contains("case-sensitive"));
}
