//! Evaluating a provisioning template.
//!
//! Parameters, Mappings, Resources and DeviceConfiguration, with Ref, Fn::Join,
//! Fn::Select, Fn::FindInMap, Fn::Split and Fn::Sub. Everything is a text or a
//! list of texts in the end. Conditions and Outputs are not part of the language.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A template with all its functions resolved.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluated {
    /// By logical name: type, properties, override settings.
    pub resources: BTreeMap<String, Resource>,
    /// What the device is told beside its name.
    pub device_configuration: BTreeMap<String, String>,
}

/// A resource of a template.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resource {
    pub kind: String,
    pub properties: Map<String, Value>,
    pub overrides: Map<String, Value>,
}

/// Whether a body can be a template at all; `fleet` ones may have mappings and a
/// device configuration.
///
/// # Errors
/// What is wrong with it.
pub fn check_body(body: &str, fleet: bool) -> Result<(), String> {
    let length = body.chars().count();
    if length > LONGEST {
        return Err(format!("a template has at most {LONGEST} characters, not {length}"));
    }
    let body = object(body)?;
    for section in body.keys() {
        let known = match section.as_str() {
            "Parameters" | "Resources" => true,
            "Mappings" | "DeviceConfiguration" => fleet,
            _ => false,
        };
        if !known {
            return Err(format!(
                "section `{section}` is no part of a provisioning template; Parameters, Resources, \
                 Mappings and DeviceConfiguration are"
            ));
        }
    }
    let Some(Value::Object(resources)) = body.get("Resources") else {
        return Err("the template has no Resources".to_owned());
    };
    for (name, resource) in resources {
        let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default();
        if !KINDS.contains(&kind) {
            return Err(format!(
                "resource `{name}` has the type `{kind}`; {} are known",
                KINDS.join(", ")
            ));
        }
    }
    Ok(())
}

/// Resolves a template with the values of its parameters.
///
/// # Errors
/// What cannot be resolved.
pub fn evaluate(
    body: &str,
    parameters: &BTreeMap<String, String>,
    fleet: bool,
) -> Result<Evaluated, String> {
    check_body(body, fleet)?;
    let body = object(body)?;
    let scope = Scope { values: values(&body, parameters)?, mappings: section(&body, "Mappings")? };
    let mut evaluated = Evaluated::default();
    for (name, resource) in section(&body, "Resources")? {
        let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let place = format!("resource `{name}`");
        let mut properties = Map::new();
        for (key, value) in member(&resource, "Properties", &place)? {
            let value = match (kind.as_str(), key.as_str()) {
                // Braces in a policy document belong to its variables.
                ("AWS::IoT::Policy", "PolicyDocument") if value.get("Fn::Sub").is_none() => {
                    document(&scope, &value, 0)?
                }
                _ => scope.resolve(&value, 0)?,
            };
            properties.insert(key, value);
        }
        let overrides = member(&resource, "OverrideSettings", &place)?;
        evaluated.resources.insert(name, Resource { kind, properties, overrides });
    }
    for (key, value) in section(&body, "DeviceConfiguration")? {
        let resolved = match scope.resolve(&value, 0)? {
            Value::String(text) => text,
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            other => {
                return Err(format!("DeviceConfiguration `{key}` must be a text, not {other}"));
            }
        };
        evaluated.device_configuration.insert(key, resolved);
    }
    Ok(evaluated)
}

/// The values of all parameters: given, or by default.
fn values(
    body: &Map<String, Value>,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let declared = section(body, "Parameters")?;
    let mut values = BTreeMap::new();
    for (name, parameter) in &declared {
        if let Some(kind) = parameter.get("Type").and_then(Value::as_str)
            && kind != "String"
        {
            return Err(format!(
                "parameter `{name}` has the type `{kind}`; String is the only one"
            ));
        }
        let value = match (given.get(name), parameter.get("Default")) {
            (Some(value), _) => value.clone(),
            (None, Some(Value::String(default))) => default.clone(),
            (None, Some(other)) => {
                return Err(format!("the default of `{name}` must be a text, not {other}"));
            }
            (None, None) => return Err(format!("parameter `{name}` has no value and no default")),
        };
        values.insert(name.clone(), value);
    }
    // Special parameters may be used without being declared.
    for (name, value) in given.iter().filter(|(name, _)| name.starts_with("AWS::IoT::")) {
        values.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Ok(values)
}

struct Scope {
    values: BTreeMap<String, String>,
    mappings: Map<String, Value>,
}

impl Scope {
    /// Resolves all functions in a value.
    fn resolve(&self, value: &Value, depth: usize) -> Result<Value, String> {
        if depth > DEEPEST {
            return Err(format!("the template nests deeper than {DEEPEST} levels"));
        }
        let deeper = |value: &Value| self.resolve(value, depth + 1);
        match value {
            Value::Array(items) => items.iter().map(deeper).collect(),
            Value::Object(members) => {
                let mut entries = members.iter();
                if let (Some((name, argument)), None) = (entries.next(), entries.next())
                    && (name == "Ref" || name.starts_with("Fn::"))
                {
                    return self.call(name, argument, depth + 1);
                }
                let mut resolved = Map::new();
                for (key, value) in members {
                    resolved.insert(key.clone(), deeper(value)?);
                }
                Ok(Value::Object(resolved))
            }
            plain => Ok(plain.clone()),
        }
    }

    fn call(&self, name: &str, argument: &Value, depth: usize) -> Result<Value, String> {
        if name == "Ref" {
            let wanted = argument.as_str().unwrap_or_default();
            return self
                .values
                .get(wanted)
                .map(|value| json!(value))
                .ok_or_else(|| format!("Ref of `{wanted}`, which is no parameter with a value"));
        }
        if name == "Fn::Sub" {
            return self.substitute(argument, depth);
        }
        let argument = self.resolve(argument, depth)?;
        let list = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match (name, list) {
            ("Fn::Join", [Value::String(delimiter), Value::Array(items)]) => {
                Ok(json!(strings(items, name)?.join(delimiter)))
            }
            ("Fn::Split", [Value::String(delimiter), Value::String(text)]) => {
                if delimiter.is_empty() {
                    return Err("Fn::Split needs a delimiter".to_owned());
                }
                Ok(json!(text.split(delimiter.as_str()).collect::<Vec<_>>()))
            }
            ("Fn::Select", [index, Value::Array(items)]) => {
                let place = match index {
                    Value::String(text) => text.parse::<usize>().ok(),
                    other => other.as_u64().and_then(|index| usize::try_from(index).ok()),
                };
                match place.and_then(|place| items.get(place)) {
                    Some(found) if !found.is_null() => Ok(found.clone()),
                    _ => Err(format!("Fn::Select finds nothing at {index} of {}", json!(items))),
                }
            }
            (
                "Fn::FindInMap",
                [Value::String(map), Value::String(first), Value::String(second)],
            ) => {
                let found = self.mappings.get(map).and_then(|map| map.get(first));
                found.and_then(|map| map.get(second)).cloned().ok_or_else(|| {
                    format!("Fn::FindInMap finds no `{map}`, `{first}`, `{second}` in Mappings")
                })
            }
            _ if FUNCTIONS.contains(&name) => Err(format!("{name} cannot use {argument}")),
            _ => Err(format!("{name} is not supported; Ref, {} are", FUNCTIONS.join(", "))),
        }
    }

    /// `${Name}` is a parameter, `${!Name}` stays as `${Name}`.
    fn substitute(&self, argument: &Value, depth: usize) -> Result<Value, String> {
        let (text, own) = match argument {
            Value::String(text) => (text.as_str(), Map::new()),
            Value::Array(items) => match items.as_slice() {
                [Value::String(text), Value::Object(own)] => {
                    let own = self.resolve(&Value::Object(own.clone()), depth)?;
                    (text.as_str(), own.as_object().cloned().unwrap_or_default())
                }
                _ => return Err(format!("Fn::Sub cannot use {argument}")),
            },
            _ => return Err(format!("Fn::Sub cannot use {argument}")),
        };
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                return Err(format!("Fn::Sub has no `}}` after `${{` in `{text}`"));
            };
            if let Some(literal) = name.strip_prefix('!') {
                out.push_str("${");
                out.push_str(literal);
                out.push('}');
            } else if let Some(Value::String(value)) = own.get(name) {
                out.push_str(value);
            } else if let Some(value) = self.values.get(name) {
                out.push_str(value);
            } else {
                return Err(format!("Fn::Sub of `{name}`, which is no parameter with a value"));
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(json!(out))
    }
}

/// A policy document: as it is, but for Ref and the functions that are allowed in it.
fn document(scope: &Scope, value: &Value, depth: usize) -> Result<Value, String> {
    match value {
        Value::Object(members) if members.len() == 1 && members.contains_key("Fn::Join") => {
            Err("Fn::Join is not supported in a policy; write the ARN with policy variables or \
                 Fn::Sub"
                .to_owned())
        }
        Value::Object(members)
            if !members.keys().any(|key| key == "Ref" || key.starts_with("Fn::")) =>
        {
            if depth > DEEPEST {
                return Err(format!("the template nests deeper than {DEEPEST} levels"));
            }
            let mut resolved = Map::new();
            for (key, value) in members {
                resolved.insert(key.clone(), document(scope, value, depth + 1)?);
            }
            Ok(Value::Object(resolved))
        }
        Value::Array(items) => items.iter().map(|item| document(scope, item, depth + 1)).collect(),
        other => scope.resolve(other, depth),
    }
}

fn object(body: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(body) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err("the template must be a JSON object".to_owned()),
        Err(error) => Err(format!("the template is not JSON: {error}")),
    }
}

fn section(body: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, String> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members.clone()),
        Some(_) => Err(format!("section `{name}` must be an object")),
    }
}

fn member(resource: &Value, name: &str, place: &str) -> Result<Map<String, Value>, String> {
    match resource.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members.clone()),
        Some(_) => Err(format!("`{name}` of {place} must be an object")),
    }
}

fn strings(items: &[Value], name: &str) -> Result<Vec<String>, String> {
    items
        .iter()
        .map(|item| {
            item.as_str().map(str::to_owned).ok_or_else(|| format!("{name} cannot use {item}"))
        })
        .collect()
}

const DEEPEST: usize = 24;
const FUNCTIONS: [&str; 5] = ["Fn::Join", "Fn::Select", "Fn::FindInMap", "Fn::Split", "Fn::Sub"];
const KINDS: [&str; 3] = ["AWS::IoT::Thing", "AWS::IoT::Certificate", "AWS::IoT::Policy"];
const LONGEST: usize = 10_240;
