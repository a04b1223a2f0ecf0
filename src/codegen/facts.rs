//! Facts: one [`ResourceType`] per type, out of what the packages say about it.
//!
//! The provider schema leads. The service specification adds what the schema does
//! not have: what `Ref` returns, the form of the ARN, where permissions are granted,
//! whether a resource holds data, relations to other resources, and replacements
//! of older types whose schema is silent.

use std::collections::BTreeSet;

use iotstack_schema::codec::DatabaseSource;
use iotstack_schema::{
    ArrayShape, Attribute, Definition, Lifecycle, NumberShape, ObjectShape, PropertyPath,
    ReplacementOrder, ResourceType, Scrutiny, Shape, StringShape, Tagging, Target,
};
use serde_json::Value;

use crate::pattern::Patterns;
use crate::shapes::{Shapes, keep};
use crate::source::{Source, TypeSource, strings};

/// Everything the generator knows when it has read the packages.
pub struct Facts {
    /// What goes into the database.
    pub database: DatabaseSource,
    /// What became of the patterns.
    pub patterns: Patterns,
}

/// Takes the facts of all types.
pub fn collect(source: &Source) -> Facts {
    let patterns = Patterns::default();
    let target = |resource_type: &str, attribute: &str| target(source, resource_type, attribute);
    let types = source
        .types
        .iter()
        .map(|(name, found)| {
            let shapes = Shapes::new(&found.schema, &patterns, &target);
            TypeFacts { name, source: found, shapes }.resource_type()
        })
        .collect();
    let database =
        DatabaseSource { date: source.date.clone(), regions: source.regions.clone(), types };
    Facts { database, patterns }
}

/// Finds the name under which another type has an attribute. Formats use `Id` and
/// `Name` for whatever identifies a resource.
fn target(source: &Source, resource_type: &str, attribute: &str) -> Option<Target> {
    let (name, found) = source.types.get_key_value(resource_type)?;
    let has = |attribute: &str| {
        let outer = attribute.split('.').next().unwrap_or_default();
        found.schema["properties"].get(outer).is_some()
            || found.attributes.iter().any(|other| other == attribute)
    };
    let identifier = strings(&found.schema["primaryIdentifier"]);
    let identifier = match &identifier[..] {
        [only] => only.trim_start_matches("/properties/"),
        _ => "",
    };
    let short = name.rsplit("::").next().unwrap_or_default();
    let candidates = [attribute.to_owned(), format!("{short}{attribute}"), identifier.to_owned()];
    let attribute = candidates.iter().find(|candidate| !candidate.is_empty() && has(candidate))?;
    Some(Target { resource_type: keep(name), attribute: keep(attribute) })
}

struct TypeFacts<'a> {
    name: &'a str,
    source: &'a TypeSource,
    shapes: Shapes<'a>,
}

impl TypeFacts<'_> {
    fn resource_type(&self) -> ResourceType {
        let schema = &self.source.schema;
        let spec = self.source.spec.as_ref();
        let whole = schema.as_object().cloned().unwrap_or_default();
        let mut properties = self.shapes.object(&whole);
        let (create_only, conditional_create_only) = self.replacing();
        let mut read_only = self.paths("readOnlyProperties");
        // What can be given once, at creation, can be given; that it can be read as
        // well is said by the attributes.
        read_only.retain(|path| !create_only.contains(path));
        for property in &mut properties.properties {
            property.required &= !read_only.iter().any(|path| path.segments() == [property.name]);
            if read_only.iter().any(|path| path.segments() == [property.name]) {
                property.shape = without_limits(&property.shape);
            } else {
                self.relate(&mut property.shape, spec, property.name);
            }
        }
        let mut definitions = self.definitions();
        keep_reachable(&mut properties, &mut definitions);
        let handlers = schema["handlers"].as_object();
        let immutable = handlers.is_some_and(|handlers| {
            handlers.contains_key("create") && !handlers.contains_key("update")
        });
        let delete_first = schema["replacementStrategy"] == "delete_then_create";
        let region_bits = self.source.regions.iter().fold(0, |bits, place| bits | 1 << place);
        let reference = spec.map_or(Vec::new(), |spec| strings(&spec["cfnRefIdentifier"]));
        let primary_identifier = self.paths("primaryIdentifier");
        let reference = match reference.is_empty() {
            true => primary_identifier.clone(),
            false => reference.iter().map(|name| path(name)).collect(),
        };
        ResourceType {
            name: keep(self.name),
            properties,
            definitions,
            attributes: self.attributes(),
            attribute_prefixes: self.attribute_prefixes(),
            read_only,
            write_only: self.paths("writeOnlyProperties"),
            create_only,
            conditional_create_only,
            deprecated: self.paths("deprecatedProperties"),
            primary_identifier,
            reference,
            arn_template: spec.and_then(|spec| spec["arnTemplate"].as_str()).map(keep),
            scrutiny: self.scrutiny(),
            immutable,
            replacement_order: if delete_first {
                ReplacementOrder::DeleteFirst
            } else {
                ReplacementOrder::CreateFirst
            },
            stateful: spec.is_some_and(|spec| spec["isStateful"] == true)
                || STATEFUL.contains(&self.name),
            tagging: self.tagging(),
            lifecycle: self.lifecycle(),
            region_bits,
        }
    }

    fn paths(&self, key: &str) -> Vec<PropertyPath> {
        let mut paths: Vec<PropertyPath> =
            strings(&self.source.schema[key]).iter().map(|pointer| path(pointer)).collect();
        // The order of an identifier's parts means something.
        if key != "primaryIdentifier" {
            paths.sort();
            paths.dedup();
        }
        paths
    }

    fn definitions(&self) -> Vec<Definition> {
        let shape = |name: &str| {
            let mut shape = self.shapes.shape(&self.source.schema["definitions"][name]);
            let spec = self.source.spec_types.get(name);
            if let Shape::Object(object) = &mut shape {
                for property in &mut object.properties {
                    self.relate(&mut property.shape, spec, property.name);
                }
            }
            shape
        };
        let names = self.shapes.definitions.iter();
        names.map(|name| Definition { name: keep(name), shape: shape(name) }).collect()
    }

    /// Adds the relations that the specification has for a property.
    fn relate(&self, shape: &mut Shape, spec: Option<&Value>, property: &str) {
        let Some(spec) = spec else { return };
        let relations = spec["properties"][property]["relationshipRefs"].as_array();
        for relation in relations.into_iter().flatten() {
            let resource_type = relation["cloudFormationType"].as_str().unwrap_or_default();
            let attribute = relation["propertyName"].as_str().unwrap_or_default();
            self.shapes.add_target(shape, resource_type, attribute);
        }
    }

    fn attributes(&self) -> Vec<Attribute> {
        let mut names: BTreeSet<&str> = self.source.attributes.iter().map(String::as_str).collect();
        names.retain(|name| !name.ends_with('*'));
        names
            .into_iter()
            .map(|name| {
                let pointer = format!("/properties/{}", name.replace('.', "/"));
                let schema = self.shapes.at(&pointer);
                let shape = schema.map_or(Shape::Any, |schema| {
                    self.shapes.resolved(schema, |shape| without_limits(&shape))
                });
                Attribute { name: keep(name), shape }
            })
            .collect()
    }

    fn attribute_prefixes(&self) -> Vec<&'static str> {
        let names = self.source.attributes.iter();
        names.filter_map(|name| name.strip_suffix('*')).map(keep).collect()
    }

    /// What always replaces, and what sometimes does.
    fn replacing(&self) -> (Vec<PropertyPath>, Vec<PropertyPath>) {
        let mut always = self.paths("createOnlyProperties");
        let mut sometimes = self.paths("conditionalCreateOnlyProperties");
        // Where a schema came out of the registry it is complete; only those without
        // handlers, which were derived from older lists, may be silent.
        let silent = self.source.schema.get("handlers").is_none() && always.is_empty();
        let properties = self.source.spec.as_ref().and_then(|spec| spec["properties"].as_object());
        for (name, property) in properties.into_iter().flatten().filter(|_| silent) {
            let known = self.source.schema["properties"].get(name).is_some();
            match property["causesReplacement"].as_str() {
                Some("yes") if known => always.push(path(name)),
                Some("maybe") if known => sometimes.push(path(name)),
                _ => {}
            }
        }
        sometimes.retain(|path| !always.contains(path));
        always.sort();
        sometimes.sort();
        (always, sometimes)
    }

    fn scrutiny(&self) -> Vec<(PropertyPath, Scrutiny)> {
        let Some(spec) = &self.source.spec else { return Vec::new() };
        let mut found = Vec::new();
        if let Some(kind) = scrutiny_of(&spec["scrutinizable"]) {
            found.push((PropertyPath::new(Vec::new()), kind));
        }
        for (name, property) in spec["properties"].as_object().into_iter().flatten() {
            if let Some(kind) = scrutiny_of(&property["scrutinizable"]) {
                found.push((path(name), kind));
            }
        }
        // AWS IoT's policies give devices permissions; the specification knows only IAM's.
        if IDENTITY_POLICIES.contains(&self.name) {
            found.push((PropertyPath::new(Vec::new()), Scrutiny::IdentityPolicy));
        }
        found.sort();
        found.dedup();
        found
    }

    fn tagging(&self) -> Option<Tagging> {
        let schema = &self.source.schema;
        let tagging = &schema["tagging"];
        let taggable = tagging["taggable"].as_bool().or(schema["taggable"].as_bool());
        if taggable == Some(false) {
            return None;
        }
        let spec = self.source.spec.as_ref();
        let named = spec.and_then(|spec| spec["tagInformation"]["tagPropertyName"].as_str());
        let pointer = tagging["tagProperty"].as_str().or(named).unwrap_or("/properties/Tags");
        let property = path(pointer);
        schema["properties"].get(property.segments().first()?)?;
        Some(Tagging {
            property,
            updatable: tagging["tagUpdatable"].as_bool().unwrap_or(true),
            system_tags: tagging["cloudFormationSystemTags"].as_bool().unwrap_or(true),
        })
    }

    fn lifecycle(&self) -> Lifecycle {
        let lifecycle = &self.source.schema["lifecycle"];
        match lifecycle["status"].as_str() {
            Some("shutdown") => Lifecycle::Ended,
            Some(_) => Lifecycle::Ending { date: lifecycle["date"].as_str().map(keep) },
            None => Lifecycle::Active,
        }
    }
}

/// The kind of a value without its limits: enough for what is only ever read.
fn without_limits(shape: &Shape) -> Shape {
    match shape {
        Shape::Boolean => Shape::Boolean,
        Shape::Integer(_) => Shape::Integer(NumberShape::default()),
        Shape::Number(_) => Shape::Number(NumberShape::default()),
        Shape::String(_) => Shape::String(StringShape::default()),
        Shape::Array(array) => Shape::Array(Box::new(ArrayShape {
            items: without_limits(&array.items),
            prefix: Vec::new(),
            min: None,
            max: None,
            unique: false,
            ordered: array.ordered,
            unique_keys: Vec::new(),
        })),
        Shape::Definition(place) => Shape::Definition(*place),
        Shape::Object(_) | Shape::Map(_) | Shape::Json | Shape::Any | Shape::AnyOf(_) => Shape::Any,
    }
}

/// Leaves out definitions that no property leads to.
fn keep_reachable(properties: &mut ObjectShape, definitions: &mut Vec<Definition>) {
    let mut reached = BTreeSet::new();
    let mut waiting = Vec::new();
    each_in_object(properties, &mut |place| waiting.push(*place));
    while let Some(place) = waiting.pop() {
        if reached.insert(place) {
            each_definition(&mut definitions[place].shape, &mut |place| waiting.push(*place));
        }
    }
    let places: Vec<usize> = reached.into_iter().collect();
    // Only what is kept is ever asked for, so every place is found.
    let mut renumber = |place: &mut usize| *place = places.binary_search(place).unwrap_or_default();
    each_in_object(properties, &mut renumber);
    let kept = places.iter().map(|place| {
        let mut definition = definitions[*place].clone();
        each_definition(&mut definition.shape, &mut renumber);
        definition
    });
    *definitions = kept.collect();
}

fn each_in_object(object: &mut ObjectShape, visit: &mut dyn FnMut(&mut usize)) {
    for property in &mut object.properties {
        each_definition(&mut property.shape, visit);
    }
}

/// Visits every reference to a definition.
fn each_definition(shape: &mut Shape, visit: &mut dyn FnMut(&mut usize)) {
    match shape {
        Shape::Definition(place) => visit(place),
        Shape::Array(array) => {
            each_definition(&mut array.items, visit);
            array.prefix.iter_mut().for_each(|shape| each_definition(shape, visit));
        }
        Shape::Object(object) => each_in_object(object, visit),
        Shape::Map(map) => {
            let patterns = map.patterns.iter_mut().map(|(_, shape)| shape);
            patterns.chain(map.other.as_mut()).for_each(|shape| each_definition(shape, visit));
        }
        Shape::AnyOf(shapes) => shapes.iter_mut().for_each(|shape| each_definition(shape, visit)),
        Shape::Any
        | Shape::Json
        | Shape::Boolean
        | Shape::Integer(_)
        | Shape::Number(_)
        | Shape::String(_) => {}
    }
}

/// Makes a path of a pointer such as `/properties/Tags/*/Key`, or of a name.
fn path(pointer: &str) -> PropertyPath {
    let inner = pointer.strip_prefix("/properties/").unwrap_or(pointer);
    PropertyPath::new(inner.split('/').map(keep).collect())
}

fn scrutiny_of(value: &Value) -> Option<Scrutiny> {
    Some(match value.as_str()? {
        "ResourcePolicyResource" | "InlineResourcePolicy" => Scrutiny::ResourcePolicy,
        "IdentityPolicyResource" | "InlineIdentityPolicies" => Scrutiny::IdentityPolicy,
        "ManagedPolicies" => Scrutiny::ManagedPolicies,
        "LambdaPermission" => Scrutiny::LambdaPermission,
        "IngressRules" | "IngressRuleResource" => Scrutiny::IngressRules,
        "EgressRules" | "EgressRuleResource" => Scrutiny::EgressRules,
        "SsoAssignmentResource" | "SsoInstanceACAConfigResource" | "SsoPermissionSet" => {
            Scrutiny::IdentityCenter
        }
        _ => return None,
    })
}

/// Types that hold data and that the specification does not count among them.
const STATEFUL: [&str; 12] = [
    "AWS::Cassandra::Keyspace",
    "AWS::Cassandra::Table",
    "AWS::Cognito::IdentityPool",
    "AWS::ECR::Repository",
    "AWS::IoTAnalytics::Channel",
    "AWS::IoTAnalytics::Dataset",
    "AWS::IoTAnalytics::Datastore",
    "AWS::MemoryDB::Cluster",
    "AWS::S3Tables::TableBucket",
    "AWS::Timestream::Database",
    "AWS::Timestream::InfluxDBInstance",
    "AWS::Timestream::Table",
];

/// Types whose resources say what a device may do.
const IDENTITY_POLICIES: [&str; 2] = ["AWS::IoT::Policy", "AWS::IoT::PolicyPrincipalAttachment"];
