//! Both notations, their lines, and what is refused.
//!
//! Positions are checked to the column, because editors jump there. What CloudFormation
//! itself would say about a template that can be read is not tested here.

use serde_json::json;

use super::*;

fn read(text: &str) -> Value {
    value(text).unwrap().0
}

fn refusal(text: &str) -> String {
    template(text).unwrap_err().to_string()
}

#[test]
fn short_tags_become_long_functions() {
    let yaml = r#"
A: !Ref Bucket
B: !GetAtt Role.Arn
C: !GetAtt [Stack, Outputs.Url]
D: !Sub "${A}-x"
E: !Sub ["${X}", {X: !Ref Y}]
F: !If [IsProd, !Ref Big, !Ref "AWS::NoValue"]
G: !Join ["", [a, !Select [0, !GetAZs ""]]]
H: !Condition IsProd
I: !Not [!Equals [a, b]]
J: !Transform {Name: M, Parameters: {}}
K: !ToJsonString {a: 1}
"#;
    assert_eq!(
        read(yaml),
        json!({
            "A": {"Ref": "Bucket"},
            "B": {"Fn::GetAtt": ["Role", "Arn"]},
            "C": {"Fn::GetAtt": ["Stack", "Outputs.Url"]},
            "D": {"Fn::Sub": "${A}-x"},
            "E": {"Fn::Sub": ["${X}", {"X": {"Ref": "Y"}}]},
            "F": {"Fn::If": ["IsProd", {"Ref": "Big"}, {"Ref": "AWS::NoValue"}]},
            "G": {"Fn::Join": ["", ["a", {"Fn::Select": [0, {"Fn::GetAZs": ""}]}]]},
            "H": {"Condition": "IsProd"},
            "I": {"Fn::Not": [{"Fn::Equals": ["a", "b"]}]},
            "J": {"Fn::Transform": {"Name": "M", "Parameters": {}}},
            "K": {"Fn::ToJsonString": {"a": 1}},
        })
    );
}

#[test]
fn scalars_keep_every_digit() {
    let yaml = "a: 007\nb: 1.10\nc: 12:30\nd: 1_000\ne: 5\nf: 0.5\ng: 2012-10-17\nh: yes\n\
                i: 'yes'\nj:\nk: 123456789012\nl: 99999999999999999999\nm: !!str 5\nn: +1\n\
                o: inf\np: -3\n123: x\ntrue: y\n";
    assert_eq!(
        read(yaml),
        json!({
            "a": "007", "b": "1.10", "c": "12:30", "d": "1_000", "e": 5, "f": 0.5,
            "g": "2012-10-17", "h": true, "i": "yes", "j": null, "k": 123456789012u64,
            "l": "99999999999999999999", "m": "5", "n": "+1", "o": "inf", "p": -3,
            "123": "x", "true": "y",
        })
    );
}

#[test]
fn flow_style_yaml_is_not_taken_for_json() {
    assert_eq!(read("{a: !Ref B, c: [d]}"), json!({"a": {"Ref": "B"}, "c": ["d"]}));
}

#[test]
fn finds_lines_in_yaml() {
    let yaml = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties:\n      \
                Tags:\n        - Key: a\n          Value: !Sub\n            - ${X}\n            - X: 1\n";
    let (_, positions) = template(yaml).unwrap();
    assert_eq!(positions.of(&["Resources", "Topic"]), Some((2, 3)));
    assert_eq!(positions.of(&["Resources", "Topic", "Properties", "Tags", "0"]), Some((6, 11)));
    let value = ["Resources", "Topic", "Properties", "Tags", "0", "Value"];
    assert_eq!(positions.of(&value), Some((7, 11)));
    let deeper = [&value[..], &["Fn::Sub", "1", "X"]].concat();
    assert_eq!(positions.of(&deeper), Some((9, 15)));
    // A place that is not there is answered with the nearest around it.
    assert_eq!(positions.of(&["Resources", "Topic", "Properties", "Nope"]), Some((4, 5)));
    assert_eq!(positions.of::<&str>(&[]), Some((1, 1)));
}

#[test]
fn finds_lines_in_json() {
    let json = "{\n \"Resources\": {\n  \"T\\u00f6\": {\"Type\": \"X::Y::Z\",\n   \
                \"Properties\": {\"L\": [1, {\"a\\\"b\": true}]}}\n }\n}";
    let (_, positions) = template(json).unwrap();
    assert_eq!(positions.of(&["Resources", "Tö"]), Some((3, 3)));
    let list = ["Resources", "Tö", "Properties", "L"];
    assert_eq!(positions.of(&list), Some((4, 19)));
    assert_eq!(positions.of(&[&list[..], &["1"]].concat()), Some((4, 28)));
    assert_eq!(positions.of(&[&list[..], &["1", "a\"b"]].concat()), Some((4, 29)));
}

#[test]
fn refuses_a_key_that_is_given_twice() {
    assert_eq!(
        refusal("Resources:\n  A:\n    Type: X\n  B: {}\n  A:\n    Type: Y\n"),
        "line 5, column 3: key `A` is given twice, first in line 2; keep one of them"
    );
    assert_eq!(
        refusal("{\"Resources\": {\n  \"A\": {},\n  \"A\": {}}}"),
        "line 3, column 5: key `A` is given twice; keep one of them"
    );
}

#[test]
fn refuses_what_cloudformation_does_not_support() {
    assert_eq!(
        refusal("a: &x 1\nb: *x\n"),
        "line 2, column 4: aliases (`*name`) are not supported by CloudFormation; \
         write the value out"
    );
    assert!(refusal("a:\n  <<: {b: 1}\n").contains("merged keys (`<<`)"));
    let unknown = refusal("a: !Foo b\n");
    assert!(
        unknown.starts_with("line 1, column 4: tag `!Foo` is no function of CloudFormation"),
        "{unknown}"
    );
    assert!(refusal("a: 1\n---\nb: 2\n").contains("a second document starts"));
}

#[test]
fn names_the_line_of_broken_text() {
    assert!(refusal("a:\n  - b\n c: d\n").starts_with("line 3, column 2: "));
    assert!(refusal("{\n \"a\": \n}").starts_with("line 3, column 1: expected value"));
}

#[test]
fn names_the_line_of_a_value_that_is_no_template() {
    assert_eq!(
        refusal("Resources:\n  A:\n    Properties: {}\n"),
        "line 2, column 3: `Resources/A`: `Type` is missing; every resource has one"
    );
    assert_eq!(refusal(""), "line 1, column 1: found null; expected an object");
}
