//! Shapes out of JSON Schema.
//!
//! The schemas use a good part of JSON Schema, and not always the same way. This
//! file reads the forms that occur: alternatives of values become
//! [`Shape::AnyOf`], alternatives of required names become rules of an object,
//! formats that name another resource's attribute become targets. What has no
//! counterpart (conditions on values) is left out, which only makes a shape accept
//! more.

use std::collections::{BTreeMap, BTreeSet};

use iotstack_schema::{
    ArrayShape, Format, MapShape, NumberShape, ObjectRule, ObjectShape, Property, Shape,
    StringShape, Target,
};
use serde_json::{Map, Value};

use crate::pattern::Patterns;
use crate::source::strings;

/// Gives text the life of the program, which is what facts are made of.
pub fn keep(text: &str) -> &'static str {
    Box::leak(Box::<str>::from(text))
}

/// What is needed to read the shapes of one type.
pub struct Shapes<'a> {
    /// The provider schema.
    pub schema: &'a Value,
    /// The names of its definitions, sorted; shapes refer to them by place.
    pub definitions: Vec<&'a str>,
    /// Where patterns are translated.
    pub patterns: &'a Patterns,
    /// Finds out whether another resource's attribute exists, and under which name.
    pub target: &'a dyn Fn(&str, &str) -> Option<Target>,
}

impl<'a> Shapes<'a> {
    /// Prepares to read one type's schema.
    pub fn new(
        schema: &'a Value,
        patterns: &'a Patterns,
        target: &'a dyn Fn(&str, &str) -> Option<Target>,
    ) -> Self {
        let names = schema["definitions"].as_object().into_iter().flatten();
        let mut definitions: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        definitions.sort_unstable();
        Self { schema, definitions, patterns, target }
    }

    /// Reads any schema.
    pub fn shape(&self, schema: &Value) -> Shape {
        let Some(schema) = schema.as_object() else { return Shape::Any };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.reference(reference);
        }
        if let Some(only) = self.only_reference(schema) {
            return only;
        }
        let types = types(schema);
        let json = schema.get("format").is_some_and(|format| format == "json");
        let free = !schema.contains_key("properties") && !schema.contains_key("patternProperties");
        let document = free && types == BTreeSet::from(["object", "string"]);
        if document || (json && types != BTreeSet::from(["string"])) {
            return Shape::Json;
        }
        if let Some(alternatives) = self.alternatives(schema) {
            return alternatives;
        }
        let mut shapes: Vec<Shape> =
            types.iter().filter_map(|name| self.of_type(name, schema)).collect();
        match shapes.len() {
            0 => Shape::Any,
            1 => shapes.remove(0),
            // Everything that a JSON value can be is no restriction.
            5.. => Shape::Any,
            _ => Shape::AnyOf(shapes),
        }
    }

    /// Reads a schema for use outside the type, where references mean nothing: they
    /// are followed, also that of a list's items.
    pub fn resolved(&self, schema: &'a Value, simplify: impl Fn(Shape) -> Shape) -> Shape {
        let schema = self.follow(schema);
        let mut shape = simplify(self.shape(schema));
        if let Shape::Array(array) = &mut shape {
            let items = schema.get("items").map(|items| self.shape(self.follow(items)));
            array.items = simplify(items.unwrap_or(Shape::Any));
        }
        match shape {
            Shape::Definition(_) => Shape::Any,
            shape => shape,
        }
    }

    /// Reads the properties of an object, a definition's or the resource's own.
    pub fn object(&self, schema: &Map<String, Value>) -> ObjectShape {
        let mut properties: BTreeMap<&str, &Value> = BTreeMap::new();
        let mut required: BTreeSet<String> = names(schema, "required").into_iter().collect();
        let mut rules = Vec::new();
        let mut closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        properties.extend(entries(schema, "properties"));
        for part in items(schema, "allOf").filter_map(Value::as_object) {
            properties.extend(entries(part, "properties"));
            required.extend(names(part, "required"));
            rules.extend(self.rules(part, &properties));
        }
        // A union's members stand in the alternatives, each as an object of its own.
        let own = !properties.is_empty();
        for part in alternatives_of(schema).filter(|_| !own) {
            closed |= part.get("additionalProperties") == Some(&Value::Bool(false));
            properties.extend(entries(part, "properties"));
        }
        rules.extend(self.rules(schema, &properties));
        let open = !closed || schema.contains_key("patternProperties");
        let properties = properties
            .into_iter()
            .map(|(name, schema)| Property {
                name: keep(name),
                shape: self.shape(schema),
                required: required.contains(name),
            })
            .collect();
        ObjectShape { properties, open, rules }
    }

    /// Finds the schema that a pointer such as `/properties/A/B` leads to.
    pub fn at(&self, pointer: &str) -> Option<&'a Value> {
        let mut segments = pointer.split('/').skip(2);
        let mut schema = self.schema.get("properties")?.get(segments.next()?)?;
        for segment in segments {
            schema = self.follow(schema);
            schema = match segment {
                "*" => schema.get("items")?,
                name => schema.get("properties")?.get(name)?,
            };
        }
        Some(schema)
    }

    fn follow(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..8 {
            let reference = schema.get("$ref").and_then(Value::as_str);
            match reference.and_then(|path| self.schema.pointer(path.strip_prefix('#')?)) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    fn reference(&self, reference: &str) -> Shape {
        let name = reference.strip_prefix("#/definitions/").unwrap_or_default();
        if let Ok(place) = self.definitions.binary_search(&name) {
            return Shape::Definition(place);
        }
        match reference.strip_prefix('#').and_then(|path| self.schema.pointer(path)) {
            Some(target) if target.get("$ref").is_none() => self.shape(target),
            _ => Shape::Any,
        }
    }

    /// An `allOf` around one reference only adds a description or a default to it.
    fn only_reference(&self, schema: &Map<String, Value>) -> Option<Shape> {
        if schema.contains_key("type") || schema.contains_key("properties") {
            return None;
        }
        let mut references =
            items(schema, "allOf").filter_map(|part| part.get("$ref").and_then(Value::as_str));
        let reference = references.next()?;
        references.next().is_none().then(|| self.reference(reference))
    }

    /// Reads alternatives of values; `None` where there are none, or where they only
    /// say which names are required or what text refers to.
    fn alternatives(&self, schema: &Map<String, Value>) -> Option<Shape> {
        let parts: Vec<&Map<String, Value>> = alternatives_of(schema).collect();
        let is_value = |part: &&Map<String, Value>| {
            ["type", "$ref", "enum", "pattern", "const", "items"]
                .iter()
                .any(|key| part.contains_key(*key))
        };
        let is_object = |part: &&Map<String, Value>| {
            part.contains_key("properties") || part.contains_key("required")
        };
        if schema.contains_key("properties")
            || !parts.iter().all(is_value)
            || parts.iter().all(is_object)
            || parts.is_empty()
        {
            return None;
        }
        let mut shapes: Vec<Shape> = Vec::new();
        for part in parts {
            // What stands beside the alternatives holds for each of them.
            let mut whole: Map<String, Value> = schema.clone();
            ["oneOf", "anyOf", "description"].iter().for_each(|key| drop(whole.remove(*key)));
            whole.extend(part.iter().map(|(key, value)| (key.clone(), value.clone())));
            let shape = self.shape(&Value::Object(whole));
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
        if shapes.contains(&Shape::Any) {
            return Some(Shape::Any);
        }
        if shapes.len() == 1 { shapes.pop() } else { Some(Shape::AnyOf(shapes)) }
    }

    fn of_type(&self, name: &str, schema: &Map<String, Value>) -> Option<Shape> {
        Some(match name {
            "string" => Shape::String(self.string(schema)),
            "integer" => Shape::Integer(number(schema, true)),
            "number" => Shape::Number(number(schema, false)),
            "boolean" => Shape::Boolean,
            "array" => Shape::Array(Box::new(self.array(schema))),
            "object" => self.object_or_map(schema),
            _ => return None,
        })
    }

    fn object_or_map(&self, schema: &Map<String, Value>) -> Shape {
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let other = schema.get("additionalProperties").filter(|other| other.is_object());
        let patterned = schema.get("patternProperties").is_some();
        let object = self.object(schema);
        if !object.properties.is_empty() || (closed && !patterned) {
            return Shape::Object(Box::new(object));
        }
        let patterns = entries(schema, "patternProperties")
            .map(|(pattern, schema)| {
                let pattern = self.patterns.translate(pattern).pattern.unwrap_or_default();
                (keep(&pattern), self.shape(schema))
            })
            .collect();
        let other = match other {
            Some(other) => Some(self.shape(other)),
            None => (!closed).then_some(Shape::Any),
        };
        let (min, max) = (size(schema, "minProperties"), size(schema, "maxProperties"));
        Shape::Map(Box::new(MapShape { patterns, other, min, max }))
    }

    fn array(&self, schema: &Map<String, Value>) -> ArrayShape {
        let mut items_shape = schema.get("items").map_or(Shape::Any, |items| self.shape(items));
        if let Some((resource_type, attribute)) = reference_format(schema) {
            // Formats of lists are in the plural: `AWS::EC2::Subnet.Ids`.
            let attribute = attribute.strip_suffix('s').unwrap_or(attribute);
            self.add_target(&mut items_shape, resource_type, attribute);
        }
        ArrayShape {
            items: items_shape,
            prefix: items(schema, "prefixItems").map(|item| self.shape(item)).collect(),
            min: size(schema, "minItems"),
            max: size(schema, "maxItems"),
            unique: schema.get("uniqueItems") == Some(&Value::Bool(true)),
            ordered: schema.get("insertionOrder") != Some(&Value::Bool(false)),
            unique_keys: names(schema, "uniqueKeys").iter().map(|name| keep(name)).collect(),
        }
    }

    /// Adds what text refers to, where the shape is text or a list of it.
    pub fn add_target(&self, shape: &mut Shape, resource_type: &str, attribute: &str) {
        match shape {
            Shape::String(string) => {
                let target = (self.target)(resource_type, attribute);
                if let Some(target) = target.filter(|target| !string.targets.contains(target)) {
                    string.targets.push(target);
                    string.targets.sort();
                }
            }
            Shape::Array(array) => self.add_target(&mut array.items, resource_type, attribute),
            _ => {}
        }
    }

    fn string(&self, schema: &Map<String, Value>) -> StringShape {
        let mut string = StringShape::default();
        let relaxed = names(schema, "enumCaseInsensitive");
        string.ignore_case = !relaxed.is_empty();
        let values = schema.get("enum").or(schema.get("enumCaseInsensitive"));
        let only = schema.get("const").into_iter();
        let listed = values.and_then(Value::as_array).into_iter().flatten().chain(only);
        for value in listed {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if !string.values.contains(&text.as_str()) {
                string.values.push(keep(&text));
            }
        }
        (string.min_length, string.max_length) =
            (size(schema, "minLength"), size(schema, "maxLength"));
        // A list of values leaves nothing for a pattern to say.
        let pattern = schema.get("pattern").and_then(Value::as_str);
        if let Some(pattern) = pattern.filter(|_| string.values.is_empty()) {
            let found = self.patterns.translate(pattern);
            string.pattern = found.pattern.filter(|text| !text.is_empty()).map(|text| keep(&text));
            string.min_length = string.min_length.max(found.min_length);
            string.max_length = [string.max_length, found.max_length].into_iter().flatten().min();
        }
        string.format = schema.get("format").and_then(Value::as_str).and_then(format);
        let mut shape = Shape::String(string);
        for part in std::iter::once(schema).chain(alternatives_of(schema)) {
            if let Some((resource_type, attribute)) = reference_format(part) {
                self.add_target(&mut shape, resource_type, attribute);
            }
            if let Some(relation) = part.get("relationshipRef") {
                let path = relation["propertyPath"].as_str().unwrap_or_default();
                let attribute = path.trim_start_matches("/properties/").replace('/', ".");
                let resource_type = relation["typeName"].as_str().unwrap_or_default();
                self.add_target(&mut shape, resource_type, &attribute);
            }
        }
        match shape {
            Shape::String(string) => string,
            _ => StringShape::default(),
        }
    }

    fn rules(
        &self,
        schema: &Map<String, Value>,
        properties: &BTreeMap<&str, &Value>,
    ) -> Vec<ObjectRule> {
        let known = |name: &String| properties.contains_key(name.as_str());
        let kept = |names: Vec<String>| -> Vec<&'static str> {
            names.iter().filter(|name| known(name)).map(|name| keep(name)).collect()
        };
        let mut rules = Vec::new();
        for key in ["oneOf", "anyOf"] {
            let groups: Vec<Vec<&'static str>> = items(schema, key)
                .map(|part| kept(part.as_object().map_or(Vec::new(), |p| names(p, "required"))))
                .collect();
            if groups.is_empty() || groups.iter().any(Vec::is_empty) {
                continue;
            }
            // A group inside another makes "exactly one" impossible for the larger.
            let nested = groups.iter().enumerate().any(|(place, group)| {
                groups.iter().enumerate().any(|(other_place, other)| {
                    place != other_place && group.iter().all(|name| other.contains(name))
                })
            });
            rules.push(if key == "oneOf" && !nested {
                ObjectRule::ExactlyOne(groups)
            } else {
                ObjectRule::AtLeastOne(groups)
            });
        }
        let single = |names: Vec<&'static str>| names.into_iter().map(|name| vec![name]).collect();
        if schema.contains_key("requiredXor") {
            rules.push(ObjectRule::ExactlyOne(single(kept(names(schema, "requiredXor")))));
        }
        if schema.contains_key("requiredOr") {
            rules.push(ObjectRule::AtLeastOne(single(kept(names(schema, "requiredOr")))));
        }
        for key in ["dependentRequired", "dependencies"] {
            for (name, needs) in entries(schema, key).filter(|(_, needs)| needs.is_array()) {
                let needs = kept(strings(needs));
                if known(&name.to_owned()) && !needs.is_empty() {
                    rules.push(ObjectRule::Requires { name: keep(name), needs });
                }
            }
        }
        for (name, others) in entries(schema, "dependentExcluded") {
            let others = kept(strings(others));
            if known(&name.to_owned()) && !others.is_empty() {
                rules.push(ObjectRule::Excludes { name: keep(name), others });
            }
        }
        rules
    }
}

/// The types that a schema allows; where it names none, what its words imply.
fn types(schema: &Map<String, Value>) -> BTreeSet<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => return BTreeSet::from([name.as_str()]),
        Some(Value::Array(names)) => return names.iter().filter_map(Value::as_str).collect(),
        _ => {}
    }
    let has = |keys: &[&str]| keys.iter().any(|key| schema.contains_key(*key));
    let texts = schema
        .get("enum")
        .and_then(Value::as_array)
        .is_some_and(|values| values.iter().all(Value::is_string));
    let unions = alternatives_of(schema).any(|part| part.contains_key("properties"));
    if has(&["properties", "patternProperties"]) || unions {
        BTreeSet::from(["object"])
    } else if has(&["items"]) {
        BTreeSet::from(["array"])
    } else if texts || has(&["pattern", "minLength", "maxLength"]) {
        BTreeSet::from(["string"])
    } else {
        BTreeSet::new()
    }
}

fn number(schema: &Map<String, Value>, whole: bool) -> NumberShape {
    let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
    let below = limit("exclusiveMaximum").filter(|_| whole).map(|limit| limit - 1.0);
    let values = schema.get("enum").and_then(Value::as_array);
    NumberShape {
        values: values.into_iter().flatten().filter_map(Value::as_f64).collect(),
        min: limit("minimum"),
        max: limit("maximum").or(below),
    }
}

fn format(name: &str) -> Option<Format> {
    Some(match name {
        "date-time" => Format::DateTime,
        "json" => Format::Json,
        "ipv4-network" => Format::Ipv4Network,
        "ipv6-network" => Format::Ipv6Network,
        "uri" => Format::Uri,
        _ => return None,
    })
}

/// Reads a format such as `AWS::IAM::Role.Arn`.
fn reference_format(schema: &Map<String, Value>) -> Option<(&str, &str)> {
    let format = schema.get("format")?.as_str()?;
    format.starts_with("AWS::").then(|| format.split_once('.')).flatten()
}

fn alternatives_of(schema: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    items(schema, "oneOf").chain(items(schema, "anyOf")).filter_map(Value::as_object)
}

fn items<'a>(schema: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn entries<'a>(
    schema: &'a Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let object = schema.get(key).and_then(Value::as_object);
    object.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn names(schema: &Map<String, Value>, key: &str) -> Vec<String> {
    schema.get(key).map_or(Vec::new(), strings)
}

fn size(schema: &Map<String, Value>, key: &str) -> Option<u32> {
    schema.get(key)?.as_u64().and_then(|value| u32::try_from(value).ok())
}

#[cfg(test)]
mod tests;
