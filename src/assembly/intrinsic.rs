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
        Function::of_map(value.as_object()?)
    }

    /// The function that an object calls, if it calls one.
    pub fn of_map(map: &'a serde_json::Map<String, Value>) -> Option<Self> {
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
    each_reference(value, &Trail::Root, &mut |target, trail| {
        let reference = match target {
            Target::Name(name) => Reference::Name(name.into()),
            Target::Attribute(id, attribute) => Reference::Attribute(id.into(), attribute.into()),
            Target::Condition(name) => Reference::Condition(name.into()),
            Target::Mapping(name) => Reference::Mapping(name.into()),
        };
        found.push(Found { reference, path: trail.to_path() });
    });
    found
}

/// What a reference points at, borrowed from the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// See [`Reference::Name`].
    Name(&'a str),
    /// See [`Reference::Attribute`]. The attribute is empty where it is not literal.
    Attribute(&'a str, &'a str),
    /// See [`Reference::Condition`].
    Condition(&'a str),
    /// See [`Reference::Mapping`].
    Mapping(&'a str),
}

impl<'a> Target<'a> {
    /// The logical id or parameter that is pointed at, if it is one of these.
    pub fn id(self) -> Option<&'a str> {
        match self {
            Target::Name(id) | Target::Attribute(id, _) => Some(id),
            Target::Condition(_) | Target::Mapping(_) => None,
        }
    }
}

/// The keys that lead to a value, linked from the inside to the outside, so that
/// walking a template costs no memory.
#[derive(Debug, Clone, Copy)]
pub enum Trail<'a> {
    /// Where the walk began.
    Root,
    /// A key of the object at the first trail.
    Key(&'a Trail<'a>, &'a str),
    /// An item of the list at the first trail.
    Item(&'a Trail<'a>, usize),
}

impl<'a> Trail<'a> {
    /// The place of a key below this one.
    pub fn key(&'a self, key: &'a str) -> Trail<'a> {
        Trail::Key(self, key)
    }

    /// The place of an item below this one.
    pub fn item(&'a self, index: usize) -> Trail<'a> {
        Trail::Item(self, index)
    }

    /// The keys and list positions from the outside to the inside.
    pub fn to_path(&self) -> Vec<String> {
        let mut path = Vec::new();
        let mut trail = self;
        loop {
            trail = match trail {
                Trail::Root => break,
                Trail::Key(outer, key) => {
                    path.push((*key).to_owned());
                    outer
                }
                Trail::Item(outer, index) => {
                    path.push(index.to_string());
                    outer
                }
            };
        }
        path.reverse();
        path
    }
}

/// Calls `found` for every reference inside `value`, in reading order, with its place
/// below `trail`. Nothing is allocated.
pub fn each_reference<'v>(
    value: &'v Value,
    trail: &Trail<'_>,
    found: &mut dyn FnMut(Target<'v>, &Trail<'_>),
) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                each_reference(item, &trail.item(index), found);
            }
        }
        Value::Object(map) => match Function::of(value) {
            Some(function) => each_in_function(function, &trail.key(function.name), found),
            None => {
                for (key, item) in map {
                    each_reference(item, &trail.key(key), found);
                }
            }
        },
        _ => {}
    }
}

fn each_in_function<'v>(
    function: Function<'v>,
    trail: &Trail<'_>,
    found: &mut dyn FnMut(Target<'v>, &Trail<'_>),
) {
    match (function.name, function.argument) {
        ("Ref", Value::String(name)) => found(Target::Name(name), trail),
        ("Fn::GetAtt", Value::String(text)) => {
            if let Some((id, attribute)) = text.split_once('.') {
                found(Target::Attribute(id, attribute), trail);
            }
        }
        ("Fn::GetAtt", Value::Array(parts)) => {
            if let Some(Value::String(id)) = parts.first() {
                let attribute = parts.get(1).and_then(Value::as_str).unwrap_or_default();
                found(Target::Attribute(id, attribute), trail);
            }
            // The attribute's name may itself be a `Ref`.
            for (index, part) in parts.iter().enumerate().skip(1) {
                each_reference(part, &trail.item(index), found);
            }
        }
        ("Fn::Sub", argument) => {
            let (text, variables) = match argument {
                Value::String(text) => (text.as_str(), None),
                Value::Array(parts) => {
                    (parts.first().and_then(Value::as_str).unwrap_or_default(), parts.get(1))
                }
                _ => ("", None),
            };
            for name in substitutions(text) {
                let is_given = variables.and_then(|map| map.get(name)).is_some();
                if !is_given {
                    let target = match name.split_once('.') {
                        Some((id, attribute)) => Target::Attribute(id, attribute),
                        None => Target::Name(name),
                    };
                    found(target, trail);
                }
            }
            if let Some(Value::Object(variables)) = variables {
                let trail = trail.item(1);
                for (key, item) in variables {
                    each_reference(item, &trail.key(key), found);
                }
            }
        }
        ("Fn::If", Value::Array(parts)) => {
            if let Some(Value::String(condition)) = parts.first() {
                found(Target::Condition(condition), trail);
            }
            for (index, part) in parts.iter().enumerate().skip(1) {
                each_reference(part, &trail.item(index), found);
            }
        }
        ("Fn::FindInMap", Value::Array(parts)) => {
            if let Some(Value::String(mapping)) = parts.first() {
                found(Target::Mapping(mapping), trail);
            }
            for (index, part) in parts.iter().enumerate() {
                each_reference(part, &trail.item(index), found);
            }
        }
        (_, argument) => each_reference(argument, trail, found),
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
