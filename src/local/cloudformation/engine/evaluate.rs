//! Intrinsic functions, resolved.
//!
//! A [`Scope`] knows the template's names and asks [`Known`] for what lies
//! outside of it: resources, exports of other stacks. The same walk serves the
//! deployment, where resources exist, and the change set, where [`Known`] puts
//! [`LATER`] in the place of what nobody knows yet.
//!
//! Dynamic references stay as they are (see [`super::dynamic`]). Nothing here
//! changes anything.

use std::borrow::Cow;
use std::collections::BTreeMap;

use indexmap::IndexMap;
use iotstack_assembly::Template;
use iotstack_assembly::intrinsic::Function;
use iotstack_local_kernel::Account;
use serde_json::{Map, Value, json};

use super::functions;
use crate::state::{MASK, Parameter};

/// What stands in a change set for a value that is known only after execution.
pub const LATER: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// What is known outside of the template.
pub trait Known: Send + Sync {
    /// What `Ref` gives for a resource.
    ///
    /// # Errors
    /// Why there is nothing, in words.
    fn reference(&self, logical_id: &str) -> Result<Value, String>;

    /// What `Fn::GetAtt` gives for a resource.
    ///
    /// # Errors
    /// Why there is nothing, in words.
    fn attribute(&self, logical_id: &str, attribute: &str) -> Result<Value, String>;

    /// The value of an export.
    ///
    /// # Errors
    /// Why there is nothing, in words.
    fn import(&self, name: &str) -> Result<Value, String>;
}

/// Nothing is known: for conditions and rules, which may not ask for resources.
pub struct Nothing;

impl Known for Nothing {
    fn reference(&self, logical_id: &str) -> Result<Value, String> {
        Err(format!("the resource {logical_id} cannot be asked for here"))
    }
    fn attribute(&self, logical_id: &str, _: &str) -> Result<Value, String> {
        self.reference(logical_id)
    }
    fn import(&self, name: &str) -> Result<Value, String> {
        Err(format!("the export {name} cannot be asked for here"))
    }
}

/// Everything that the functions of a template may ask for.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The template.
    pub template: &'a Template,
    /// The values of its parameters.
    pub parameters: &'a IndexMap<String, Parameter>,
    /// Its conditions, decided.
    pub conditions: &'a BTreeMap<String, bool>,
    /// Whose cloud it is.
    pub account: &'a Account,
    /// The stack.
    pub stack: StackNames<'a>,
    /// What lies outside.
    pub known: &'a dyn Known,
    /// Whether secret parameters are shown as asterisks.
    pub masked: bool,
}

/// The pseudo parameters that differ from stack to stack.
#[derive(Debug, Clone, Copy)]
pub struct StackNames<'a> {
    /// `AWS::StackName`
    pub name: &'a str,
    /// `AWS::StackId`
    pub id: &'a str,
    /// `AWS::NotificationARNs`
    pub notification_arns: &'a [String],
}

impl Scope<'_> {
    /// The value with all functions resolved; nothing for `AWS::NoValue`.
    ///
    /// # Errors
    /// What is wrong with a function, in words.
    pub fn value(&self, value: &Value) -> Result<Option<Value>, String> {
        match value {
            Value::Array(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.extend(self.value(item)?);
                }
                Ok(Some(Value::Array(list)))
            }
            Value::Object(map) => match Function::of_map(map) {
                Some(function) => self.call(function),
                None => self.object(map).map(Value::Object).map(Some),
            },
            scalar => Ok(Some(scalar.clone())),
        }
    }

    /// The object with all functions inside it resolved.
    ///
    /// # Errors
    /// What is wrong with a function, in words.
    pub fn object(&self, map: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut object = Map::new();
        for (key, value) in map {
            if let Some(value) = self.value(value)? {
                object.insert(key.clone(), value);
            }
        }
        Ok(object)
    }

    /// The value as a text.
    ///
    /// # Errors
    /// What is wrong with a function, or that the value is no text.
    pub fn text(&self, value: &Value, place: &str) -> Result<String, String> {
        let found = self.value(value)?.unwrap_or(Value::Null);
        functions::scalar(&found).map(Cow::into_owned).ok_or_else(|| {
            let found = iotstack_assembly::template::describe(&found);
            format!("{place} needs a text, and found {found}")
        })
    }

    /// Whether a condition holds: one of the template, or one made of functions.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn condition(&self, value: &Value) -> Result<bool, String> {
        let map = value.as_object().filter(|map| map.len() == 1);
        let Some((name, argument)) = map.and_then(|map| map.iter().next()) else {
            return Err(format!("a condition is a function of its own, not `{value}`"));
        };
        let several = || {
            argument
                .as_array()
                .filter(|parts| !parts.is_empty())
                .ok_or_else(|| format!("{name} needs a list of conditions"))
        };
        match name.as_str() {
            "Condition" => self.named_condition(argument.as_str().unwrap_or_default()),
            "Fn::Equals" => match argument.as_array().map(Vec::as_slice) {
                Some([left, right]) => {
                    Ok(same(self.value(left)?.as_ref(), self.value(right)?.as_ref()))
                }
                _ => Err("Fn::Equals needs a list of two values".to_owned()),
            },
            "Fn::Not" => match several()?.as_slice() {
                [one] => self.condition(one).map(|holds| !holds),
                _ => Err("Fn::Not needs a list of one condition".to_owned()),
            },
            "Fn::And" => several()?
                .iter()
                .try_fold(true, |all, part| self.condition(part).map(|holds| all && holds)),
            "Fn::Or" => several()?
                .iter()
                .try_fold(false, |any, part| self.condition(part).map(|holds| any || holds)),
            "Fn::Contains" | "Fn::EachMemberIn" | "Fn::EachMemberEquals" => {
                self.member_test(name, argument)
            }
            other => Err(format!("{other} gives no condition")),
        }
    }

    fn named_condition(&self, name: &str) -> Result<bool, String> {
        self.conditions
            .get(name)
            .copied()
            .ok_or_else(|| format!("Unresolved condition dependency {name}"))
    }

    /// The tests of lists, which only rules have.
    fn member_test(&self, name: &str, argument: &Value) -> Result<bool, String> {
        let Some([left, right]) = argument.as_array().map(Vec::as_slice) else {
            return Err(format!("{name} needs a list of two values"));
        };
        let (left, right) = (self.value(left)?, self.value(right)?);
        let left = left.unwrap_or_default();
        let right = right.unwrap_or_default();
        let items = match &left {
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        let is_in = |item: &Value, list: &Value| match list {
            Value::Array(list) => list.iter().any(|other| same(Some(item), Some(other))),
            one => same(Some(item), Some(one)),
        };
        Ok(match name {
            "Fn::Contains" => is_in(&right, &left),
            "Fn::EachMemberIn" => items.iter().all(|item| is_in(item, &right)),
            _ => items.iter().all(|item| same(Some(item), Some(&right))),
        })
    }

    fn call(&self, function: Function<'_>) -> Result<Option<Value>, String> {
        let Function { name, argument } = function;
        let list =
            |expected: &str| argument.as_array().ok_or_else(|| format!("{name} needs {expected}"));
        let found = match name {
            "Ref" => {
                let name = argument.as_str().ok_or("Ref needs a name")?;
                return self.reference(name);
            }
            "Fn::GetAtt" => self.attribute(argument)?,
            "Fn::Sub" => Value::String(self.substitute(argument)?),
            "Fn::If" => {
                let [condition, then, otherwise] = list("a condition and two values")?.as_slice()
                else {
                    return Err("Fn::If needs a condition and two values".to_owned());
                };
                let holds = match condition {
                    Value::String(name) => self.named_condition(name)?,
                    other => self.condition(other)?,
                };
                return self.value(if holds { then } else { otherwise });
            }
            "Fn::Join" => {
                let [between, items] = list("a text and a list")?.as_slice() else {
                    return Err("Fn::Join needs a text and a list".to_owned());
                };
                let between = self.text(between, "Fn::Join")?;
                functions::join(&between, &self.value(items)?.unwrap_or_default())?
            }
            "Fn::Split" => {
                let [between, text] = list("a text to split at, and a text")?.as_slice() else {
                    return Err("Fn::Split needs a text to split at, and a text".to_owned());
                };
                let between = self.text(between, "Fn::Split")?;
                let text = self.text(text, "Fn::Split")?;
                functions::split(&between, &text)?
            }
            "Fn::Select" => {
                let [index, items] = list("an index and a list")?.as_slice() else {
                    return Err("Fn::Select needs an index and a list".to_owned());
                };
                let index = self.text(index, "Fn::Select")?;
                functions::select(&index, self.value(items)?.unwrap_or_default())?
            }
            "Fn::FindInMap" => return self.find_in_map(list("a map and two keys")?),
            "Fn::Base64" => functions::base64(&self.text(argument, name)?),
            "Fn::Cidr" => {
                let parts = match self.value(argument)? {
                    Some(Value::Array(parts)) => parts,
                    _ => return Err("Fn::Cidr needs a block, a count and bits".to_owned()),
                };
                functions::cidr(&parts)?
            }
            "Fn::GetAZs" => {
                let region = self.text(argument, name)?;
                let region = if region.is_empty() { &self.account.region } else { &region };
                json!(["a", "b", "c"].map(|zone| format!("{region}{zone}")))
            }
            "Fn::ImportValue" => self.known.import(&self.text(argument, name)?)?,
            "Fn::Length" => match self.value(argument)? {
                Some(Value::Array(items)) => json!(items.len()),
                _ => return Err("Fn::Length needs a list".to_owned()),
            },
            "Fn::ToJsonString" => {
                Value::String(self.value(argument)?.unwrap_or_default().to_string())
            }
            "Fn::RefAll" => json!([]),
            "Fn::And" | "Fn::Or" | "Fn::Not" | "Fn::Equals" => {
                json!(self.condition(&json!({ name: argument }))?)
            }
            other => return Err(format!("the local cloud does not offer the function {other}")),
        };
        match &found {
            Value::String(text) if text.len() > functions::LONGEST => {
                Err(format!("{name} makes a text of more than {} bytes", functions::LONGEST))
            }
            _ => Ok(Some(found)),
        }
    }

    fn reference(&self, name: &str) -> Result<Option<Value>, String> {
        Ok(Some(match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::AccountId" => json!(self.account.id),
            "AWS::Region" => json!(self.account.region),
            "AWS::Partition" => json!(self.account.partition()),
            "AWS::URLSuffix" => json!(self.account.url_suffix()),
            "AWS::StackName" => json!(self.stack.name),
            "AWS::StackId" => json!(self.stack.id),
            "AWS::NotificationARNs" => json!(self.stack.notification_arns),
            name => match self.parameters.get(name) {
                Some(parameter) if self.masked && parameter.is_secret => json!(MASK),
                Some(parameter) => parameter.value(),
                None => self.known.reference(name)?,
            },
        }))
    }

    fn attribute(&self, argument: &Value) -> Result<Value, String> {
        match argument {
            Value::String(text) => match text.split_once('.') {
                Some((id, attribute)) => self.known.attribute(id, attribute),
                None => {
                    Err(format!("Fn::GetAtt needs a logical id and an attribute, not `{text}`"))
                }
            },
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(id), attribute] => {
                    self.known.attribute(id, &self.text(attribute, "Fn::GetAtt")?)
                }
                _ => Err("Fn::GetAtt needs a logical id and an attribute".to_owned()),
            },
            _ => Err("Fn::GetAtt needs a logical id and an attribute".to_owned()),
        }
    }

    fn substitute(&self, argument: &Value) -> Result<String, String> {
        let (text, variables) = match argument {
            Value::String(text) => (text.as_str(), None),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(text), Value::Object(variables)] => (text.as_str(), Some(variables)),
                _ => return Err("Fn::Sub needs a text and an object of variables".to_owned()),
            },
            _ => return Err("Fn::Sub needs a text".to_owned()),
        };
        let mut out = String::with_capacity(text.len());
        // Each variable is resolved once: in functions within functions, each use of
        // each would be resolved for each use of the one around it.
        let mut resolved: BTreeMap<&str, Value> = BTreeMap::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            functions::append("Fn::Sub", &mut out, before)?;
            let Some((name, behind)) = after.split_once('}') else {
                out.push_str("${");
                rest = after;
                continue;
            };
            rest = behind;
            if let Some(literal) = name.strip_prefix('!') {
                out.push_str("${");
                out.push_str(literal);
                out.push('}');
                continue;
            }
            let name = name.trim();
            if !resolved.contains_key(name) {
                let value = match variables.and_then(|variables| variables.get(name)) {
                    Some(value) => self.value(value)?,
                    None => match name.split_once('.') {
                        Some((id, attribute)) => Some(self.known.attribute(id, attribute)?),
                        None => self.reference(name)?,
                    },
                };
                resolved.insert(name, value.unwrap_or_default());
            }
            match resolved.get(name).and_then(functions::scalar) {
                Some(text) => functions::append("Fn::Sub", &mut out, &text)?,
                None => {
                    return Err(format!("Fn::Sub cannot put {name} into a text: it is no text"));
                }
            }
        }
        functions::append("Fn::Sub", &mut out, rest)?;
        Ok(out)
    }

    fn find_in_map(&self, parts: &[Value]) -> Result<Option<Value>, String> {
        let (keys, options) = match parts {
            [map, first, second] => ([map, first, second], None),
            [map, first, second, options] => ([map, first, second], Some(options)),
            _ => return Err("Fn::FindInMap needs a map and two keys".to_owned()),
        };
        let mut names = Vec::with_capacity(3);
        for key in keys {
            names.push(self.text(key, "Fn::FindInMap")?);
        }
        let found = self
            .template
            .mappings
            .get(&names[0])
            .and_then(|map| map.get(&names[1]))
            .and_then(|map| map.get(&names[2]));
        if let Some(found) = found {
            return Ok(Some(found.clone()));
        }
        match options.and_then(|options| options.get("DefaultValue")) {
            Some(default) => self.value(default),
            None => {
                Err(format!("Unable to get mapping for {}::{}::{}", names[0], names[1], names[2]))
            }
        }
    }
}

/// Whether `Fn::Equals` takes two values for the same: `5` and `"5"` are.
fn same(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => match (functions::scalar(left), functions::scalar(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left == right,
        },
        (left, right) => left.is_none() && right.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(value: &Value) -> Result<Option<Value>, String> {
        let names = StackNames { name: "s", id: "s", notification_arns: &[] };
        let scope = Scope {
            template: &Template::default(),
            parameters: &IndexMap::new(),
            conditions: &BTreeMap::new(),
            account: &Account::default(),
            stack: names,
            known: &Nothing,
            masked: false,
        };
        scope.value(value)
    }

    /// A function around a function, 40 times.
    fn nested(wrap: impl Fn(Value) -> Value) -> Value {
        (0..40).fold(json!("a\""), |inner, _| wrap(inner))
    }

    #[test]
    fn refuses_functions_that_double_a_text_without_end() {
        for value in [
            nested(|inner| json!({"Fn::Sub": ["${X}${X}", {"X": inner}]})),
            nested(|inner| json!({"Fn::Join": [inner, ["", "", ""]]})),
            nested(|inner| json!({"Fn::ToJsonString": inner})),
        ] {
            let refused = evaluated(&value).unwrap_err();
            assert!(refused.contains("a text of more than"), "{refused}");
        }
    }

    #[test]
    fn resolves_each_variable_of_a_text_once() {
        let value = nested(
            |inner| json!({"Fn::Select": [0, {"Fn::Split": [",", {"Fn::Sub": ["${X},${X}", {"X": inner}]}]}]}),
        );
        assert_eq!(evaluated(&value), Ok(Some(json!("a\""))));
    }
}
