//! Intrinsic functions inside the JSON of a template.
//!
//! CloudFormation writes a function as an object with one key. [`Function::of`] says
//! whether a value is one; [`references`] finds every logical id or name that a value
//! points at, through `Ref`, `Fn::GetAtt`, `Fn::Sub` and conditions.

use serde_json::Value;

/// A function call found in a template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Function<'a> {
    /// `Ref`, `Condition`, or a name that starts with `Fn::`.
    pub name: &'a str,
    /// The argument.
    pub argument: &'a Value,
}

impl<'a> Function<'a> {
    /// The function that `value` calls, if it calls one.
    pub fn of(value: &'a Value) -> Option<Self> {
        let map = value.as_object()?;
        let (name, argument) = map.iter().next()?;
        let call = map.len() == 1 && (name == "Ref" || name.starts_with("Fn::"));
        call.then_some(Function { name, argument })
    }
}

/// What a reference points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `Ref`, or `${Name}` in `Fn::Sub`: a resource, parameter or pseudo parameter.
    Name(String),
    /// `Fn::GetAtt`, or `${Name.Attribute}` in `Fn::Sub`.
    Attribute(String, String),
    /// The name of a condition.
    Condition(String),
    /// The name of a mapping, where it is literal.
    Mapping(String),
}

/// A reference with the keys that lead to it from where the search began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What is pointed at.
    pub reference: Reference,
    /// Keys and list positions.
    pub path: Vec<String>,
}

/// Every reference inside `value`, in reading order.
pub fn references(value: &Value) -> Vec<Found> {
    let mut found = Vec::new();
    visit(value, &mut Vec::new(), &mut found);
    found
}

fn visit(value: &Value, path: &mut Vec<String>, found: &mut Vec<Found>) {
    if let Some(function) = Function::of(value) {
        path.push(function.name.to_owned());
        visit_function(function, path, found);
        path.pop();
        return;
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                visit(item, path, found);
                path.pop();
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                path.push(key.clone());
                visit(item, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

fn visit_function(function: Function<'_>, path: &mut Vec<String>, found: &mut Vec<Found>) {
    let mut add = |reference| found.push(Found { reference, path: path.clone() });
    match (function.name, function.argument) {
        ("Ref", Value::String(name)) => add(Reference::Name(name.clone())),
        ("Fn::GetAtt", argument) => {
            if let Some((id, attribute)) = attribute_of(argument) {
                add(Reference::Attribute(id, attribute));
            }
            // The attribute's name may itself be a `Ref`.
            if let Value::Array(parts) = argument {
                parts.iter().skip(1).for_each(|part| visit(part, path, found));
            }
        }
        ("Fn::Sub", argument) => {
            let (text, variables) = match argument {
                Value::String(text) => (Some(text), None),
                Value::Array(parts) => (
                    parts.first().and_then(|part| match part {
                        Value::String(text) => Some(text),
                        _ => None,
                    }),
                    parts.get(1),
                ),
                _ => (None, None),
            };
            for name in text.into_iter().flat_map(|text| substitutions(text)) {
                let given = variables.and_then(|map| map.get(name)).is_some();
                if !given {
                    add(match name.split_once('.') {
                        Some((id, attribute)) => Reference::Attribute(id.into(), attribute.into()),
                        None => Reference::Name(name.into()),
                    });
                }
            }
            variables.into_iter().for_each(|map| visit(map, path, found));
        }
        ("Fn::If", Value::Array(parts)) => {
            if let Some(Value::String(condition)) = parts.first() {
                add(Reference::Condition(condition.clone()));
            }
            for (index, part) in parts.iter().enumerate().skip(1) {
                path.push(index.to_string());
                visit(part, path, found);
                path.pop();
            }
        }
        ("Fn::FindInMap", Value::Array(parts)) => {
            if let Some(Value::String(mapping)) = parts.first() {
                add(Reference::Mapping(mapping.clone()));
            }
            parts.iter().for_each(|part| visit(part, path, found));
        }
        (_, argument) => visit(argument, path, found),
    }
}

/// The id and attribute of a `Fn::GetAtt` argument, in its list or text form.
pub fn attribute_of(argument: &Value) -> Option<(String, String)> {
    match argument {
        Value::String(text) => {
            text.split_once('.').map(|(id, attribute)| (id.to_owned(), attribute.to_owned()))
        }
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(id), Value::String(attribute)] => Some((id.clone(), attribute.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// The names that `Fn::Sub` replaces in `text`; `${!Literal}` is left out.
pub fn substitutions(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        (!name.starts_with('!')).then_some(name.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn finds_references_of_every_form() {
        let value = json!({
            "A": {"Ref": "Bucket"},
            "B": [{"Fn::GetAtt": ["Role", "Arn"]}, {"Fn::GetAtt": "Role.Arn"}],
            "C": {"Fn::Sub": ["${X}/${Topic.TopicName}/${!iot:Id}", {"X": {"Ref": "Param"}}]},
            "D": {"Fn::If": ["IsProd", {"Ref": "Big"}, {"Ref": "AWS::NoValue"}]}
        });
        let found: Vec<_> = references(&value).into_iter().map(|found| found.reference).collect();
        let name = |text: &str| Reference::Name(text.into());
        let attribute = |id: &str, name: &str| Reference::Attribute(id.into(), name.into());
        assert_eq!(
            found,
            [
                name("Bucket"),
                attribute("Role", "Arn"),
                attribute("Role", "Arn"),
                attribute("Topic", "TopicName"),
                name("Param"),
                Reference::Condition("IsProd".into()),
                name("Big"),
                name("AWS::NoValue"),
            ]
        );
    }

    #[test]
    fn an_object_with_two_keys_is_no_function() {
        assert_eq!(Function::of(&json!({"Ref": "A", "B": 1})), None);
    }
}
