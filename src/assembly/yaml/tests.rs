//! What the emitter writes, and that readers understand it as it was meant.
//!
//! Two other readers take part: the general YAML crate, and our own parser. A reader of
//! YAML 1.1 would be the third; it is run outside this crate.

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

#[test]
fn writes_block_style_with_long_functions() {
    let template = json!({
        "Resources": {
            "Queue": {
                "Type": "AWS::SQS::Queue",
                "Properties": {
                    "QueueName": {"Fn::Sub": "${AWS::StackName}-queue"},
                    "Tags": [{"Key": "a", "Value": "yes"}, {"Key": "b", "Value": ""}],
                    "Nested": [["x", "z"], []],
                    "DelaySeconds": 5,
                },
                "Metadata": {}
            }
        }
    });
    assert_eq!(
        to_yaml(&template),
        "\
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName:
        Fn::Sub: ${AWS::StackName}-queue
      Tags:
        - Key: a
          Value: \"yes\"
        - Key: b
          Value: \"\"
      Nested:
        - - x
          - z
        - []
      DelaySeconds: 5
    Metadata: {}
"
    );
}

#[test]
fn quotes_what_yaml_1_1_would_misread() {
    for text in [
        "yes",
        "No",
        "ON",
        "off",
        "y",
        "N",
        "null",
        "~",
        "true",
        "False",
        "12:30:45",
        "1_000",
        "2012-10-17",
        "0o7",
        "0x1f",
        "010",
        "1e3",
        "+5",
        "-1",
        ".5",
        ".inf",
        ".NaN",
        "=",
        "<<",
        "",
        " a",
        "a ",
        "- a",
        "# a",
        "a: b",
        "a #b",
        "a:",
        "*",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "2001-12-14t21:59:43.10-05:00",
        "\t",
        "a\tb",
        "\u{2028}",
        "\u{feff}",
        "[a",
        "{a",
        "'a",
        "123456789012",
    ] {
        let yaml = to_yaml(&json!({ "k": text }));
        let value = yaml.strip_prefix("k: ").unwrap();
        assert!(value.starts_with(['"', '\'']), "{text:?} was written as {value}");
    }
}

#[test]
fn leaves_ordinary_text_alone() {
    for text in [
        "AWS::IoT::Thing",
        "arn:aws:iam::aws:policy/x",
        "10.0.0.0/16",
        "a-b_c.d",
        "it's",
        "s3:GetObject",
        "rate(5 minutes)",
        "Größe",
    ] {
        assert_eq!(to_yaml(&json!({ "k": text })), format!("k: {text}\n"));
    }
}

#[test]
fn writes_lines_of_text_as_a_literal_block() {
    let value = json!({"Code": {"ZipFile": "import x\n\nif a:\n  b()\n"}, "Next": "a\nb"});
    assert_eq!(
        to_yaml(&value),
        "Code:\n  ZipFile: |\n    import x\n\n    if a:\n      b()\nNext: |-\n  a\n  b\n"
    );
}

#[test]
fn writes_floats_that_yaml_1_1_knows() {
    assert_eq!(to_yaml(&json!([1e30, 0.5, -3, 1.5e-9])), "- 1.0e+30\n- 0.5\n- -3\n- 1.5e-9\n");
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "[ \\n\\t:#'\"\\-a]{0,12}",
        "[0-9+._:eExXoOtTzZ -]{0,8}",
        "(yes|no|on|off|true|null|~|<<|=)",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e12..1e12f64).prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn another_reader_reads_what_was_written(value in any_value()) {
        let yaml = to_yaml(&value);
        let read: Value = serde_yaml::from_str(&yaml)
            .map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?;
        prop_assert_eq!(read, value, "{}", yaml);
    }

    #[test]
    fn our_own_reader_reads_what_was_written(value in any_value()) {
        // `<<` as a key is refused by our reader, as it is by CloudFormation.
        let yaml = to_yaml(&value);
        prop_assume!(!yaml.contains("<<"));
        let (read, _) = crate::parse::value(&yaml)
            .map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?;
        prop_assert_eq!(read, value, "{}", yaml);
    }
}
