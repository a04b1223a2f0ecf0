//! Things: how many attributes, and which characters in them.
//!
//! A thing that CloudFormation makes has no thing type, and without one AWS IoT takes
//! three attributes.

use iotstack_assembly::intrinsic::Trail;
use serde_json::{Map, Value};

use crate::value::{Given, is_dynamic, presence};
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Things;

impl Rule for Things {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&THING_ATTRIBUTES, &ATTRIBUTE_FORM]
    }

    fn types(&self) -> Types {
        Types::Only(&["AWS::IoT::Thing", "AWS::IoT::ThingGroup", "AWS::IoT::BillingGroup"])
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        _: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let (outer, is_thing) = match resource.resource.kind.as_str() {
            "AWS::IoT::Thing" => (resource.resource.properties.get("AttributePayload"), true),
            "AWS::IoT::ThingGroup" => {
                let properties = resource.property("ThingGroupProperties");
                (properties.and_then(|value| value.get("AttributePayload")), false)
            }
            _ => (None, false),
        };
        let Some(Value::Object(attributes)) = outer.and_then(|value| value.get("Attributes"))
        else {
            return;
        };
        let first = if is_thing { "AttributePayload" } else { "ThingGroupProperties" };
        let trail = resource.properties.key(first);
        let inner = trail.key("AttributePayload");
        let trail = if is_thing { trail } else { inner };
        judge(attributes, is_thing, &trail.key("Attributes"), findings);
    }
}

fn judge(
    attributes: &Map<String, Value>,
    is_thing: bool,
    trail: &Trail<'_>,
    findings: &mut Findings<'_>,
) {
    let count = attributes.values().filter(|value| presence(value) == Given::Yes).count();
    if is_thing && count > WITHOUT_TYPE {
        findings.advise(
            &THING_ATTRIBUTES,
            trail,
            format!(
                "the thing has {count} attributes; without a thing type AWS IoT accepts \
                 {WITHOUT_TYPE}"
            ),
            "keep three, and let the custom resource that gives the thing its type set the others",
        );
    }
    if count > AT_MOST {
        findings.add(
            &ATTRIBUTE_FORM,
            trail,
            format!("found {count} attributes; AWS IoT accepts {AT_MOST}"),
        );
    }
    for (key, value) in attributes {
        if key.starts_with("Fn::") || key == "Ref" {
            continue;
        }
        let is_key = (1..=LONGEST_KEY).contains(&key.len())
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.,@/:#-".contains(&b));
        if !is_key {
            findings.add(
                &ATTRIBUTE_FORM,
                &trail.key(key),
                format!(
                    "attribute `{key}` is not valid: expected 1 to {LONGEST_KEY} letters, digits \
                     and characters of `_.,@/:#-`"
                ),
            );
        }
        if let Value::String(text) = value
            && !is_dynamic(text)
            && !is_attribute_value(text)
        {
            findings.add(
                &ATTRIBUTE_FORM,
                &trail.key(key),
                format!(
                    "value `{text}` of attribute `{key}` is not valid: expected at most \
                     {LONGEST_VALUE} letters, digits and characters of `_.,@/:#=[]-`"
                ),
            );
        }
    }
}

fn is_attribute_value(text: &str) -> bool {
    text.len() <= LONGEST_VALUE
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.,@/:#=[]-".contains(&b))
}

const WITHOUT_TYPE: usize = 3;
const AT_MOST: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 800;

static THING_ATTRIBUTES: Code = Code::warning(
    "thing-attributes",
    "AWS IoT accepts three attributes for a thing without a thing type and fifty for one with. \
     `AWS::IoT::Thing` cannot name a type, so things in templates begin without one.",
);

static ATTRIBUTE_FORM: Code = Code::error(
    "attribute-form",
    "Names and values of attributes of things and groups are made of few characters; spaces, for \
     one, are not among them.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn thing(attributes: Value) -> iotstack_assembly::Diagnostics {
        resource("AWS::IoT::Thing", json!({"AttributePayload": {"Attributes": attributes}}))
    }

    #[test]
    fn accepts_three_attributes() {
        clean(&thing(json!({"a": "1", "b": "x[0]=y", "c": {"Ref": "AWS::Region"}})));
    }

    #[test]
    fn warns_of_a_fourth() {
        let found = thing(json!({"a": "1", "b": "2", "c": "3", "d": "4"}));
        assert!(!found.has_errors());
        assert_eq!(
            only(&found),
            "thing-attributes Resources/A/Properties/AttributePayload/Attributes: the thing has 4 \
             attributes; without a thing type AWS IoT accepts 3"
        );
    }

    #[test]
    fn finds_spaces_in_values() {
        has_codes(&thing(json!({"place": "hall 5"})), &["attribute-form"]);
        has_codes(
            &resource(
                "AWS::IoT::ThingGroup",
                json!({"ThingGroupProperties": {
                "AttributePayload": {"Attributes": {"a": "b c"}}}}),
            ),
            &["attribute-form"],
        );
    }
}
