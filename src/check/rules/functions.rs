//! Function calls that CloudFormation cannot read, or not here.
//!
//! The form of each function's argument, names of functions that do not exist, and
//! functions in sections that take literals only. What is referred to is another
//! rule's business.

use iotstack_assembly::intrinsic::{Function, Trail, substitutions};
use serde_json::{Map, Value};

use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Functions;

impl Rule for Functions {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&MALFORMED_FUNCTION, &UNKNOWN_FUNCTION, &MISPLACED_FUNCTION]
    }

    fn types(&self) -> Types {
        Types::All
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let template = subject.template;
        for (section, values, place) in [
            ("Parameters", &template.parameters, Place::Literal),
            ("Mappings", &template.mappings, Place::Literal),
            ("Conditions", &template.conditions, Place::Condition),
            ("Outputs", &template.outputs, Place::Value),
        ] {
            for (name, value) in values {
                let trail = Trail::Root.key(section);
                Walk { subject, findings, place }.value(value, &trail.key(name));
            }
        }
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        subject: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let mut walk = Walk { subject, findings, place: Place::Value };
        for (name, value) in &resource.resource.properties {
            walk.value(value, &resource.properties.key(name));
        }
    }
}

/// What a part of a template may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// No functions.
    Literal,
    /// Functions that say yes or no, and what they compare.
    Condition,
    /// Functions that return values.
    Value,
}

struct Walk<'w, 'a> {
    subject: &'w Subject<'w>,
    findings: &'w mut Findings<'a>,
    place: Place,
}

impl Walk<'_, '_> {
    fn value(&mut self, value: &Value, trail: &Trail<'_>) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, &trail.item(index));
                }
            }
            Value::Object(map) => match Function::of_map(map) {
                Some(function) => self.call(function, &trail.key(function.name)),
                None => {
                    self.mixed(map, trail);
                    for (key, item) in map {
                        self.value(item, &trail.key(key));
                    }
                }
            },
            _ => {}
        }
    }

    fn call(&mut self, function: Function<'_>, trail: &Trail<'_>) {
        let name = function.name;
        let is_loop = name.starts_with("Fn::ForEach::");
        if self.place == Place::Literal {
            // With AWS's language extensions even mappings may be transformed.
            let is_allowed = name == "Fn::Transform" || self.is_extended() || is_loop;
            if !is_allowed {
                self.misplaced(name, trail, "literal values only");
            }
            return;
        }
        if !KNOWN.contains(&name) && !is_loop {
            if !self.is_extended() && !self.subject.has_macros() {
                let help = iotstack_schema::nearest(name, KNOWN.iter().copied())
                    .map(|near| format!("did you mean `{near}`?"));
                self.findings
                    .add(
                        &UNKNOWN_FUNCTION,
                        trail,
                        format!("CloudFormation has no function `{name}`"),
                    )
                    .help = help;
            }
            return;
        }
        let decides = DECIDING.contains(&name);
        if decides && self.place == Place::Value && !self.subject.has_macros() {
            self.misplaced(name, trail, "values; give the condition a name and use `Fn::If`");
        }
        if let Some(expected) = misses(function, self.is_extended()) {
            self.findings.add(
                &MALFORMED_FUNCTION,
                trail,
                format!("`{name}` cannot be read: expected {expected}"),
            );
        }
        if name == "Fn::Sub" {
            self.substitutions(function, trail);
        }
        // Inside, a condition's operands are values, but never decisions.
        self.arguments(function, trail);
    }

    fn arguments(&mut self, function: Function<'_>, trail: &Trail<'_>) {
        if function.name == "Fn::Transform" || function.name.starts_with("Fn::ForEach::") {
            return;
        }
        match function.argument {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, &trail.item(index));
                }
            }
            other => self.value(other, trail),
        }
    }

    /// Finds variables in `Fn::Sub` that CloudFormation does not accept as names.
    fn substitutions(&mut self, function: Function<'_>, trail: &Trail<'_>) {
        let text = match function.argument {
            Value::Array(parts) => parts.first(),
            other => Some(other),
        };
        for name in substitutions(text.and_then(Value::as_str).unwrap_or_default()) {
            let is_name = !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:".contains(&b));
            // With language extensions `&{…}` and loops make names of other forms.
            if !is_name && !self.is_extended() && !self.subject.has_macros() {
                self.findings.advise(
                    &MALFORMED_FUNCTION,
                    trail,
                    format!("`${{{name}}}` is no name that `Fn::Sub` can replace"),
                    format!("write `${{!{name}}}` to leave it as it is"),
                );
            }
        }
    }

    /// Finds functions that have other keys beside them, so that nothing calls them.
    fn mixed(&mut self, map: &Map<String, Value>, trail: &Trail<'_>) {
        if map.len() < 2 {
            return;
        }
        let called = map.keys().find(|key| {
            KNOWN.contains(&key.as_str()) && *key != "Fn::Transform" && key.starts_with("Fn::")
        });
        if let Some(name) = called {
            self.findings.advise(
                &MALFORMED_FUNCTION,
                &trail.key(name),
                format!("`{name}` has other keys beside it, so it is no function call"),
                "let the function be the only key of its object",
            );
        }
    }

    fn misplaced(&mut self, name: &str, trail: &Trail<'_>, expected: &str) {
        self.findings.add(
            &MISPLACED_FUNCTION,
            trail,
            format!("`{name}` is not allowed here: expected {expected}"),
        );
    }

    fn is_extended(&self) -> bool {
        self.subject.has_extensions()
    }
}

/// What a function's argument should be, where it is not.
fn misses(function: Function<'_>, is_extended: bool) -> Option<&'static str> {
    let argument = function.argument;
    // Null is told by another rule; a macro may stand for anything.
    let is_macro = Function::of(argument).is_some_and(|inner| inner.name == "Fn::Transform");
    if argument.is_null() || is_macro {
        return None;
    }
    let items = argument.as_array().map(Vec::as_slice);
    let is_call = Function::of(argument).is_some();
    let is_text = argument.as_str().is_some_and(|text| !text.is_empty());
    let scalar_or_call = |value: &Value| {
        !matches!(value, Value::Array(_) | Value::Null)
            && (!value.is_object() || Function::of(value).is_some())
    };
    let list_or_call = |value: &Value| value.is_array() || Function::of(value).is_some();
    let (is_right, expected) = match function.name {
        "Ref" => (is_text || (is_extended && is_call), "the name of a resource or parameter"),
        "Condition" => (is_text, "the name of a condition"),
        "Fn::GetAtt" => (
            match items {
                Some([id, attribute]) => {
                    (id.is_string() || is_extended) && scalar_or_call(attribute)
                }
                Some(_) => false,
                None => argument.as_str().is_some_and(|text| text.contains('.')),
            },
            "a logical id and an attribute",
        ),
        "Fn::Sub" => (
            match items {
                Some([text, Value::Object(_)]) => text.is_string(),
                Some(_) => false,
                None => argument.is_string(),
            },
            "text, or a list of text and an object with variables",
        ),
        "Fn::Join" => (
            matches!(items, Some([between, list]) if (between.is_string() || is_extended)
                && list_or_call(list)),
            "a list of a separator and a list of values",
        ),
        "Fn::Select" => (
            match items {
                Some([index, Value::Array(list)]) => {
                    scalar_or_call(index) && position(index).is_none_or(|index| index < list.len())
                }
                Some([index, list]) => scalar_or_call(index) && list_or_call(list),
                _ => false,
            },
            "a position, counted from 0, and a list that has it",
        ),
        "Fn::Split" => (
            matches!(items, Some([between, text]) if (between.is_string() || is_extended)
                && scalar_or_call(text)),
            "a list of a separator and text",
        ),
        "Fn::If" => (
            matches!(items, Some([condition, _, _]) if condition.is_string()),
            "a list of a condition's name and two values",
        ),
        "Fn::FindInMap" => (
            match items {
                Some([_, _, _]) => items.is_some_and(|items| items.iter().all(scalar_or_call)),
                Some([_, _, _, _]) => is_extended,
                _ => false,
            },
            "a list of a mapping's name and two keys",
        ),
        "Fn::Base64" => (scalar_or_call(argument), "text"),
        "Fn::GetAZs" => (argument.is_string() || is_call, "a region, or empty text for its own"),
        "Fn::ImportValue" => (is_text || is_call, "the name of an export"),
        "Fn::Cidr" => (
            items.is_some_and(|items| matches!(items.len(), 2 | 3)) || is_call,
            "a list of a network, a count and a number of bits",
        ),
        "Fn::Equals" => (items.is_some_and(|items| items.len() == 2), "a list of two values"),
        "Fn::And" | "Fn::Or" => (
            items.is_some_and(|items| (2..=10).contains(&items.len())),
            "a list of 2 to 10 conditions",
        ),
        "Fn::Not" => (items.is_some_and(|items| items.len() == 1), "a list of one condition"),
        _ => (true, ""),
    };
    (!is_right).then_some(expected)
}

/// A literal position in a list.
fn position(value: &Value) -> Option<usize> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Every function of CloudFormation, also those of its language extensions.
const KNOWN: &[&str] = &[
    "Ref",
    "Condition",
    "Fn::And",
    "Fn::Base64",
    "Fn::Cidr",
    "Fn::Contains",
    "Fn::EachMemberEquals",
    "Fn::EachMemberIn",
    "Fn::Equals",
    "Fn::FindInMap",
    "Fn::GetAZs",
    "Fn::GetAtt",
    "Fn::GetStackOutput",
    "Fn::If",
    "Fn::ImportValue",
    "Fn::Join",
    "Fn::Length",
    "Fn::Not",
    "Fn::Or",
    "Fn::RefAll",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
    "Fn::ToJsonString",
    "Fn::Transform",
    "Fn::ValueOf",
    "Fn::ValueOfAll",
];

/// Functions that say yes or no, which no property can hold.
const DECIDING: &[&str] = &["Fn::And", "Fn::Equals", "Fn::Not", "Fn::Or"];

static MALFORMED_FUNCTION: Code = Code::error(
    "malformed-function",
    "A function's argument does not have the form that CloudFormation reads. The message says \
     which form that is. A function is an object with one key only.",
);

static UNKNOWN_FUNCTION: Code = Code::error(
    "unknown-function",
    "Keys that begin with `Fn::` are functions, and CloudFormation has none of this name.",
);

static MISPLACED_FUNCTION: Code = Code::error(
    "misplaced-function",
    "Parameters and mappings are literal: no function is resolved there. Functions that decide \
     (`Fn::Equals`, `Fn::And`, `Fn::Or`, `Fn::Not`) belong into `Conditions`; elsewhere `Fn::If` \
     chooses by a condition's name.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn named(name: Value) -> iotstack_assembly::Diagnostics {
        findings(json!({
            "Parameters": {"P": {"Type": "String"}, "L": {"Type": "CommaDelimitedList"}},
            "Mappings": {"M": {"a": {"b": "c"}}},
            "Conditions": {"C": {"Fn::And": [{"Fn::Equals": [{"Ref": "P"}, "x"]},
                {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": "L"}]}, ""]}]}]}},
            "Resources": {"A": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name,
                "DisplayName": {"Fn::FindInMap": ["M", "a", "b"]}}, "Condition": "C"}}
        }))
    }

    #[test]
    fn accepts_every_form() {
        for value in [
            json!({"Fn::Join": ["", ["a", {"Ref": "P"}]]}),
            json!({"Fn::Select": ["0", {"Fn::Split": [",", {"Ref": "P"}]}]}),
            json!({"Fn::Select": [1, ["a", "b"]]}),
            json!({"Fn::Sub": ["${P}${x}", {"x": {"Fn::ImportValue": {"Fn::Sub": "${P}-x"}}}]}),
            json!({"Fn::FindInMap": ["M", {"Ref": "P"}, "b"]}),
            json!({"Fn::Select": [0, {"Fn::GetAZs": {"Ref": "AWS::Region"}}]}),
            json!({"Fn::Base64": {"Fn::Sub": "x"}}),
        ] {
            clean(&named(value));
        }
    }

    #[test]
    fn finds_arguments_of_the_wrong_form() {
        for value in [
            json!({"Fn::Join": ["", "a"]}),
            json!({"Fn::Join": [["a"]]}),
            json!({"Fn::Select": [2, ["a", "b"]]}),
            json!({"Fn::If": ["C", "a"]}),
            json!({"Fn::GetAtt": "A"}),
            json!({"Fn::Sub": {"a": "b"}}),
            json!({"Ref": ["P"]}),
            json!({"Fn::FindInMap": ["M", "a"]}),
        ] {
            has_codes(&named(value), &["malformed-function"]);
        }
        let line = only(&named(json!({"Fn::Join": [","]})));
        assert_eq!(
            line,
            "malformed-function Resources/A/Properties/TopicName/Fn::Join: \
             `Fn::Join` cannot be read: expected a list of a separator and a list of values"
        );
    }

    #[test]
    fn finds_variables_that_are_no_names() {
        let found = named(json!({"Fn::Sub": "${topic(2)}"}));
        let first = found.iter().next().unwrap();
        assert_eq!(first.code, "malformed-function");
        assert_eq!(first.help.as_deref(), Some("write `${!topic(2)}` to leave it as it is"));
    }

    #[test]
    fn finds_functions_that_do_not_exist_or_do_not_belong_there() {
        let found = named(json!({"Fn::Jion": ["", []]}));
        assert_eq!(found.iter().next().unwrap().help.as_deref(), Some("did you mean `Fn::Join`?"));
        has_codes(&found, &["unknown-function"]);
        has_codes(&named(json!({"Fn::Equals": ["a", "b"]})), &["misplaced-function"]);
        let mapped = findings(json!({
            "Mappings": {"M": {"a": {"b": {"Ref": "AWS::Region"}}}},
            "Resources": {"A": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::FindInMap": ["M", "a", "b"]}}}}
        }));
        has_codes(&mapped, &["misplaced-function"]);
    }

    #[test]
    fn finds_a_function_with_company() {
        let found = findings(json!({"Resources": {"A": {"Type": "AWS::IAM::Role", "Properties": {
            "AssumeRolePolicyDocument": {"Fn::Sub": "x", "Version": "2012-10-17"}}}}}));
        has_codes(&found, &["malformed-function"]);
    }
}
