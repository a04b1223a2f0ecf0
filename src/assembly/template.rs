//! One CloudFormation template.
//!
//! The sections keep their order and everything in them; a section or a resource
//! attribute that this file does not name is kept in `other`, so reading and writing a
//! template loses nothing. Values inside are JSON; [`crate::intrinsic`] finds the
//! functions among them.

use indexmap::IndexMap;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// A template: the sections CloudFormation knows, in the order it documents them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Template {
    /// `AWSTemplateFormatVersion`
    pub format_version: Option<String>,
    /// `Description`, at most 1,024 bytes.
    pub description: Option<String>,
    /// `Metadata`
    pub metadata: Map<String, Value>,
    /// `Transform`: one name or a list.
    pub transform: Option<Value>,
    /// `Parameters` by name.
    pub parameters: IndexMap<String, Value>,
    /// `Rules` by name.
    pub rules: IndexMap<String, Value>,
    /// `Mappings` by name.
    pub mappings: IndexMap<String, Value>,
    /// `Conditions` by name.
    pub conditions: IndexMap<String, Value>,
    /// `Resources` by logical id.
    pub resources: IndexMap<String, Resource>,
    /// Entries of `Resources` that a transform turns into resources, such as
    /// `Fn::ForEach::Name`, as they were. They are written after the resources.
    pub generators: Map<String, Value>,
    /// `Outputs` by name.
    pub outputs: IndexMap<String, Value>,
    /// Sections with other names, as they were.
    pub other: Map<String, Value>,
}

/// One resource of a template.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resource {
    /// The type, such as `AWS::IoT::Thing` or `Custom::Anything`.
    pub kind: String,
    /// `Properties`
    pub properties: Map<String, Value>,
    /// `DependsOn`, always as a list.
    pub depends_on: Vec<String>,
    /// `Condition`
    pub condition: Option<String>,
    /// `DeletionPolicy`
    pub deletion_policy: Option<String>,
    /// `UpdateReplacePolicy`
    pub update_replace_policy: Option<String>,
    /// `CreationPolicy`
    pub creation_policy: Option<Value>,
    /// `UpdatePolicy`
    pub update_policy: Option<Value>,
    /// `Metadata`
    pub metadata: Map<String, Value>,
    /// Attributes with other names, as they were.
    pub other: Map<String, Value>,
}

impl Template {
    /// Reads a template from JSON text.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(text)
            .map_err(|error| invalid("", format!("{error}; expected a JSON object")))?;
        Self::from_value(value)
    }

    /// Reads a template from a JSON value.
    pub fn from_value(value: Value) -> Result<Self> {
        let mut sections = object(value, "")?;
        let mut template = Template {
            format_version: take_text(&mut sections, "AWSTemplateFormatVersion", "")?,
            description: take_text(&mut sections, "Description", "")?,
            metadata: take_object(&mut sections, "Metadata", "")?,
            transform: sections.shift_remove("Transform"),
            parameters: take_named(&mut sections, "Parameters")?,
            rules: take_named(&mut sections, "Rules")?,
            mappings: take_named(&mut sections, "Mappings")?,
            conditions: take_named(&mut sections, "Conditions")?,
            resources: IndexMap::new(),
            generators: Map::new(),
            outputs: take_named(&mut sections, "Outputs")?,
            other: Map::new(),
        };
        for (id, value) in take_object(&mut sections, "Resources", "")? {
            if id.starts_with("Fn::") {
                template.generators.insert(id, value);
                continue;
            }
            let resource = Resource::from_value(value, &format!("Resources/{id}"))?;
            template.resources.insert(id, resource);
        }
        template.other = sections;
        Ok(template)
    }

    /// The template as a JSON value; empty sections are left out.
    pub fn to_value(&self) -> Value {
        to_value(self)
    }

    /// The template as JSON text, indented by one space as CDK writes it.
    pub fn to_json(&self) -> Vec<u8> {
        to_indented_json(self)
    }
}

impl Resource {
    /// A resource of a type, with nothing set.
    pub fn new(kind: impl Into<String>) -> Self {
        Resource { kind: kind.into(), ..Resource::default() }
    }

    fn from_value(value: Value, place: &str) -> Result<Self> {
        let mut fields = object(value, place)?;
        let kind = take_text(&mut fields, "Type", place)?
            .ok_or_else(|| invalid(place, "`Type` is missing; every resource has one"))?;
        let depends_on = match fields.shift_remove("DependsOn") {
            None => Vec::new(),
            Some(Value::String(id)) => vec![id],
            Some(Value::Array(ids)) => ids
                .into_iter()
                .map(|id| text(id, &format!("{place}/DependsOn")))
                .collect::<Result<_>>()?,
            Some(other) => {
                let place = format!("{place}/DependsOn");
                return Err(invalid(
                    &place,
                    format!("found {}", describe(&other))
                        + "; expected a logical id or a list of them",
                ));
            }
        };
        Ok(Resource {
            kind,
            depends_on,
            properties: take_object(&mut fields, "Properties", place)?,
            condition: take_text(&mut fields, "Condition", place)?,
            deletion_policy: take_text_or_call(&mut fields, "DeletionPolicy", place)?,
            update_replace_policy: take_text_or_call(&mut fields, "UpdateReplacePolicy", place)?,
            creation_policy: fields.shift_remove("CreationPolicy"),
            update_policy: fields.shift_remove("UpdatePolicy"),
            metadata: take_object(&mut fields, "Metadata", place)?,
            other: fields,
        })
    }

    /// The resource as a JSON value, in the order CDK writes it.
    pub fn to_value(&self) -> Value {
        to_value(self)
    }

    /// The construct path that CDK and iotstack write into the metadata.
    pub fn construct_path(&self) -> Option<&str> {
        self.metadata.get("aws:cdk:path").and_then(Value::as_str)
    }
}

/// Sections in the order CloudFormation documents them; empty ones are left out.
///
/// Serializing borrows, so that writing a large template does not copy it first.
impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sections = serializer.serialize_map(None)?;
        put_some(&mut sections, "AWSTemplateFormatVersion", &self.format_version)?;
        put_some(&mut sections, "Description", &self.description)?;
        put_unless(&mut sections, self.metadata.is_empty(), "Metadata", &self.metadata)?;
        put_some(&mut sections, "Transform", &self.transform)?;
        for (name, section) in [
            ("Parameters", &self.parameters),
            ("Rules", &self.rules),
            ("Mappings", &self.mappings),
            ("Conditions", &self.conditions),
        ] {
            put_unless(&mut sections, section.is_empty(), name, section)?;
        }
        let resources = Resources { resources: &self.resources, generators: &self.generators };
        let none = self.resources.is_empty() && self.generators.is_empty();
        put_unless(&mut sections, none, "Resources", &resources)?;
        put_unless(&mut sections, self.outputs.is_empty(), "Outputs", &self.outputs)?;
        put_all(&mut sections, &self.other)?;
        sections.end()
    }
}

/// Attributes in the order CDK writes them.
impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("Type", &self.kind)?;
        put_unless(&mut fields, self.properties.is_empty(), "Properties", &self.properties)?;
        put_unless(&mut fields, self.depends_on.is_empty(), "DependsOn", &self.depends_on)?;
        put_some(&mut fields, "Condition", &self.condition)?;
        put_some(&mut fields, "CreationPolicy", &self.creation_policy)?;
        put_some(&mut fields, "UpdatePolicy", &self.update_policy)?;
        put_some(&mut fields, "UpdateReplacePolicy", &self.update_replace_policy)?;
        put_some(&mut fields, "DeletionPolicy", &self.deletion_policy)?;
        put_unless(&mut fields, self.metadata.is_empty(), "Metadata", &self.metadata)?;
        put_all(&mut fields, &self.other)?;
        fields.end()
    }
}

/// The section `Resources`: resources, and what `Fn::ForEach` makes.
struct Resources<'a> {
    resources: &'a IndexMap<String, Resource>,
    generators: &'a Map<String, Value>,
}

impl Serialize for Resources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let count = self.resources.len() + self.generators.len();
        let mut section = serializer.serialize_map(Some(count))?;
        for (id, resource) in self.resources {
            section.serialize_entry(id, resource)?;
        }
        put_all(&mut section, self.generators)?;
        section.end()
    }
}

fn put_some<M: SerializeMap>(
    map: &mut M,
    name: &str,
    value: &Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.as_ref().map_or(Ok(()), |value| map.serialize_entry(name, value))
}

fn put_unless<M: SerializeMap>(
    map: &mut M,
    empty: bool,
    name: &str,
    value: &impl Serialize,
) -> Result<(), M::Error> {
    if empty { Ok(()) } else { map.serialize_entry(name, value) }
}

fn put_all<M: SerializeMap>(map: &mut M, entries: &Map<String, Value>) -> Result<(), M::Error> {
    entries.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))
}

/// Everything here is JSON values under text keys, which always become a value.
fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// JSON text indented by one space, the way CDK writes its files.
pub fn to_indented_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4096);
    let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, format);
    // Writing JSON values into memory cannot fail: keys are strings, and a `Vec` grows.
    let written = value.serialize(&mut serializer);
    debug_assert!(written.is_ok(), "JSON values always serialize");
    bytes
}

fn take_named(sections: &mut Map<String, Value>, name: &str) -> Result<IndexMap<String, Value>> {
    Ok(take_object(sections, name, "")?.into_iter().collect())
}

fn take_object(
    fields: &mut Map<String, Value>,
    name: &str,
    place: &str,
) -> Result<Map<String, Value>> {
    match fields.shift_remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(value) => object(value, &join(place, name)),
    }
}

fn take_text(fields: &mut Map<String, Value>, name: &str, place: &str) -> Result<Option<String>> {
    fields.shift_remove(name).map(|value| text(value, &join(place, name))).transpose()
}

/// Takes text. A function, which a transform may resolve, stays among the fields.
fn take_text_or_call(
    fields: &mut Map<String, Value>,
    name: &str,
    place: &str,
) -> Result<Option<String>> {
    match fields.get(name) {
        Some(Value::Object(_)) => Ok(None),
        _ => take_text(fields, name, place),
    }
}

fn object(value: Value, place: &str) -> Result<Map<String, Value>> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(invalid(place, format!("found {}; expected an object", describe(&other)))),
    }
}

fn text(value: Value, place: &str) -> Result<String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(invalid(place, format!("found {}; expected text", describe(&other)))),
    }
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}/{name}") }
}

fn invalid(place: &str, message: impl Into<String>) -> Error {
    Error::Template {
        place: if place.is_empty() { "/" } else { place }.into(),
        message: message.into(),
    }
}

/// Whether a resource type is a custom one, which a function of the user makes.
pub fn is_custom(kind: &str) -> bool {
    kind == "AWS::CloudFormation::CustomResource" || kind.starts_with("Custom::")
}

/// What kind of JSON a value is, for messages.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text `{text}`"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keeps_everything_that_it_reads() {
        let source = json!({
            "Description": "d", "Hooks": {"x": 1},
            "Resources": {"B": {"Type": "AWS::S3::Bucket", "DependsOn": ["A"], "Future": true,
                "DeletionPolicy": {"Fn::If": ["P", "Retain", "Delete"]},
                "Properties": {"BucketName": {"Ref": "N"}}},
                "Fn::ForEach::Topics": ["T", ["a"], {}]}
        });
        assert_eq!(Template::from_value(source.clone()).unwrap().to_value(), source);
    }

    #[test]
    fn names_the_place_of_what_is_wrong() {
        let refused = |value| Template::from_value(value).unwrap_err().to_string();
        assert_eq!(
            refused(json!({"Resources": {"B": {"Properties": {}}}})),
            "the template is not valid at `Resources/B`: `Type` is missing; every resource has one"
        );
        assert_eq!(
            refused(json!({"Resources": []})),
            "the template is not valid at `Resources`: found a list; expected an object"
        );
    }
}
