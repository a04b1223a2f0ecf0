//! L1 tables: the text of `src/aws/<service>/cfn.rs`.
//!
//! A resource `AWS::IoT::Thing` becomes `CfnThing`; an object inside it that the
//! schema calls `AttributePayload` becomes `CfnThingAttributePayload`, and text with
//! a list of values gets an enum named in the same way. The names are flat, so that
//! one `use` line brings them and a search finds them. Tags are the same everywhere
//! and share one type.
//!
//! Properties that can only be read get no setter; everything that can be read gets
//! a constant for `Fn::GetAtt`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use iotstack_schema::{ObjectShape, ResourceType, Shape, StringShape};

use crate::names::{constant, method, type_part, variant};

/// Writes one table file per service; returns the service folders with their text.
pub fn generate(types: &[&ResourceType]) -> Vec<(String, String)> {
    let mut services: BTreeMap<String, Vec<&ResourceType>> = BTreeMap::new();
    for resource_type in types {
        let service = resource_type.name.split("::").nth(1).unwrap_or_default();
        services.entry(service.to_lowercase()).or_default().push(resource_type);
    }
    services
        .into_iter()
        .map(|(service, types)| {
            let text = Service::default().text(&types);
            (service, text)
        })
        .collect()
}

/// The tables of a service while they are being made.
#[derive(Default)]
struct Service {
    /// The names that are taken, with what they stand for.
    taken: BTreeMap<String, Meaning>,
    resources: String,
    property_types: String,
    choices: String,
}

/// What a name stands for.
#[derive(Clone, PartialEq)]
enum Meaning {
    Resource,
    Object(ObjectShape),
    Choice(Vec<&'static str>),
}

/// Where in a resource something is.
struct Place<'a> {
    resource_type: &'a ResourceType,
    /// The name of the resource's type in Rust.
    base: &'a str,
    /// The path from the resource, with dots.
    path: String,
}

impl Place<'_> {
    fn below(&self, name: &str) -> Place<'_> {
        let path = match self.path.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.path),
        };
        Place { resource_type: self.resource_type, base: self.base, path }
    }

    /// Whether the place can only be read.
    fn is_read_only(&self) -> bool {
        let path: Vec<&str> = self.path.split('.').collect();
        self.resource_type.is_read_only(&path)
    }
}

impl Service {
    fn text(mut self, types: &[&ResourceType]) -> String {
        for resource_type in types {
            self.taken.insert(resource_name(resource_type), Meaning::Resource);
        }
        for resource_type in types {
            self.resource(resource_type);
        }
        let tables = [
            ("l1_resources", &self.resources),
            ("l1_property_types", &self.property_types),
            ("l1_choices", &self.choices),
        ];
        let mut body = String::new();
        for (name, table) in tables {
            let used = !table.is_empty() || name == "l1_property_types";
            if used {
                let space = if table.is_empty() { "" } else { "\n" };
                _ = write!(body, "\niotstack_core::{name}! {{{space}{table}}}\n");
            }
        }
        let namespace = types[0].name.rsplit_once("::").map_or("", |(namespace, _)| namespace);
        header(namespace, &body) + &body
    }

    fn resource(&mut self, resource_type: &ResourceType) {
        let name = resource_name(resource_type);
        let place = Place { resource_type, base: &name, path: String::new() };
        let (required, setters) = self.setters(&place, &resource_type.properties, true);
        let tagging = tagging(resource_type);
        let attributes = attributes(resource_type);
        let page = page(resource_type.name);
        let text = &mut self.resources;
        let space = if text.is_empty() { "" } else { "\n" };
        _ = write!(
            text,
            "{space}    /// [`{}`]({page})\n    {name} = {:?}, {tagging}\n    new({required})\n    \
             {{\n{setters}    }}\n    [{attributes}]\n",
            resource_type.name, resource_type.name,
        );
    }

    /// Writes the required properties and the lines of all setters of an object.
    fn setters(
        &mut self,
        place: &Place<'_>,
        object: &ObjectShape,
        noted: bool,
    ) -> (String, String) {
        let mut required = Vec::new();
        let mut setters = String::new();
        for property in &object.properties {
            let below = place.below(property.name);
            if below.is_read_only() {
                continue;
            }
            let value = self.value(&below, &property.shape, Some(property.name));
            let setter = method(property.name);
            if property.required {
                required.push(format!("{setter} = {:?}: {value}", property.name));
            }
            let note = if noted { note(place.resource_type, property.name) } else { "" };
            _ = writeln!(setters, "        {setter} = {:?}: {value}{note};", property.name);
        }
        (required.join(", "), setters)
    }

    /// Finds the type that a setter takes; defines it where it does not exist yet.
    fn value(&mut self, place: &Place<'_>, shape: &Shape, name: Option<&str>) -> String {
        match self.literal(place, shape, name) {
            Some(Literal::One(literal)) => format!("Value<{literal}>"),
            Some(Literal::Collection(literal)) => literal,
            None => "Expr".to_owned(),
        }
    }

    /// Finds the type of a literal; `None` where only an expression will do.
    fn literal(&mut self, place: &Place<'_>, shape: &Shape, name: Option<&str>) -> Option<Literal> {
        let one = |name: &str| Some(Literal::One(name.to_owned()));
        match shape {
            Shape::Any | Shape::Json => None,
            Shape::Boolean => one("bool"),
            Shape::Integer(_) => one("i64"),
            Shape::Number(_) => one("f64"),
            Shape::String(string) => {
                let choice = self.choice(place, string, name);
                Some(Literal::One(choice.unwrap_or_else(|| "String".to_owned())))
            }
            Shape::Array(array) => {
                let items = self.literal(&place.below("*"), &array.items, name)?;
                Some(Literal::Collection(format!("List<{}>", items.text())))
            }
            Shape::Map(map) => {
                let mut shapes = map.patterns.iter().map(|(_, shape)| shape).chain(&map.other);
                let shape = shapes.next()?;
                if shapes.any(|other| other != shape) {
                    return None;
                }
                // Named by a pattern and of any kind: text with variables, such as a
                // function's environment.
                if !map.patterns.is_empty() && *shape == Shape::Any {
                    return Some(Literal::Collection("Map<String>".to_owned()));
                }
                let items = self.literal(&place.below("*"), shape, name)?;
                Some(Literal::Collection(format!("Map<{}>", items.text())))
            }
            Shape::Object(object) => self.object(place, object, name).map(Literal::One),
            Shape::Definition(index) => {
                let definition = place.resource_type.definitions.get(*index)?;
                self.literal(place, &definition.shape, Some(definition.name))
            }
            Shape::AnyOf(shapes) => {
                // JSON text is only another way to write what the other shape says.
                let mut shapes = shapes.iter().filter(|shape| **shape != Shape::Json);
                let first = self.literal(place, shapes.next()?, name)?;
                shapes
                    .all(|shape| self.literal(place, shape, name).as_ref() == Some(&first))
                    .then_some(first)
            }
        }
    }

    /// Names an object's type and writes its table the first time.
    fn object(
        &mut self,
        place: &Place<'_>,
        object: &ObjectShape,
        name: Option<&str>,
    ) -> Option<String> {
        if is_tag(object, name) {
            return Some("CfnTag".to_owned());
        }
        let (name, new) = self.name(place, name?, Meaning::Object(object.clone()));
        if new {
            let (required, setters) = self.setters(place, object, false);
            let text = &mut self.property_types;
            let space = if text.is_empty() { "" } else { "\n" };
            _ = write!(
                text,
                "{space}    {name} = {:?} at {:?}\n    new({required})\n    {{\n{setters}    }}\n",
                place.resource_type.name, place.path,
            );
        }
        Some(name)
    }

    /// Names the enum of text with a list of values and writes it the first time.
    fn choice(
        &mut self,
        place: &Place<'_>,
        string: &StringShape,
        name: Option<&str>,
    ) -> Option<String> {
        let values = &string.values;
        if values.is_empty() || values.len() > MOST_CHOICES || string.ignore_case {
            return None;
        }
        let (name, new) = self.name(place, name?, Meaning::Choice(values.clone()));
        if new {
            let variants: Vec<String> = variants(values)
                .iter()
                .map(|(variant, value)| format!("{variant} = {value:?}"))
                .collect();
            let space = if self.choices.is_empty() { "" } else { "\n" };
            _ = write!(
                self.choices,
                "{space}    {name} {{\n        {}\n    }}\n",
                variants.join(",\n        ")
            );
        }
        Some(name)
    }

    /// Finds a free name, or the one that already has this meaning. Says whether it
    /// is new.
    fn name(&mut self, place: &Place<'_>, name: &str, meaning: Meaning) -> (String, bool) {
        let own = type_part(name);
        let mut around: Vec<&str> = place.path.split('.').filter(|part| *part != "*").collect();
        around.pop();
        let longer = type_part(around.last().copied().unwrap_or("Property"));
        let candidates = [
            format!("{}{own}", place.base),
            format!("{}{longer}{own}", place.base),
            format!("{}{own}Property", place.base),
            format!("{}{longer}{own}Property", place.base),
        ];
        for candidate in candidates {
            match self.taken.get(&candidate) {
                Some(other) if *other == meaning => return (candidate, false),
                Some(_) => {}
                None => {
                    self.taken.insert(candidate.clone(), meaning);
                    return (candidate, true);
                }
            }
        }
        // A name that says where, which cannot be taken by anything else.
        let path: String = place.path.split('.').map(type_part).collect();
        let name = format!("{}{path}At", place.base);
        let new = self.taken.insert(name.clone(), meaning).is_none();
        (name, new)
    }
}

/// The type of a literal: one value, or a collection that is a setting of its own.
#[derive(PartialEq)]
enum Literal {
    One(String),
    Collection(String),
}

impl Literal {
    fn text(&self) -> &str {
        match self {
            Literal::One(text) | Literal::Collection(text) => text,
        }
    }
}

/// The largest number of values for which an enum is a help.
const MOST_CHOICES: usize = 80;

fn resource_name(resource_type: &ResourceType) -> String {
    format!("Cfn{}", resource_type.name.rsplit("::").next().unwrap_or_default())
}

/// Whether an object is an ordinary tag.
fn is_tag(object: &ObjectShape, name: Option<&str>) -> bool {
    let names: Vec<&str> = object.properties.iter().map(|property| property.name).collect();
    names == ["Key", "Value"] && name.is_some_and(|name| name.ends_with("Tag") || name == "Tags")
}

fn tagging(resource_type: &ResourceType) -> String {
    let tagging = resource_type.tagging.as_ref().and_then(|tagging| {
        let [property] = tagging.property.segments() else { return None };
        match resource_type.shape_at(&[property])? {
            Shape::Array(_) => Some(format!("List({property:?})")),
            Shape::Map(_) | Shape::Json | Shape::Any => Some(format!("Map({property:?})")),
            _ => None,
        }
    });
    tagging.unwrap_or_else(|| "None".to_owned())
}

fn attributes(resource_type: &ResourceType) -> String {
    let mut taken = BTreeSet::new();
    let lines: Vec<String> = resource_type
        .attributes
        .iter()
        .filter(|attribute| taken.insert(constant(attribute.name)))
        .map(|attribute| format!("{} = {:?}", constant(attribute.name), attribute.name))
        .collect();
    let short = lines.join(", ");
    match short.len() {
        0..80 => short,
        _ => format!("\n        {}\n    ", lines.join(",\n        ")),
    }
}

fn note(resource_type: &ResourceType, property: &str) -> &'static str {
    let whole = |paths: &[iotstack_schema::PropertyPath]| {
        paths.iter().any(|path| path.segments() == [property])
    };
    if resource_type.immutable || whole(&resource_type.create_only) {
        ", replaces"
    } else if whole(&resource_type.conditional_create_only) {
        ", may_replace"
    } else {
        ""
    }
}

/// Gives every value a variant of its own.
fn variants<'a>(values: &[&'a str]) -> Vec<(String, &'a str)> {
    let mut taken = BTreeSet::new();
    values
        .iter()
        .map(|value| {
            let plain = variant(value);
            let mut name = plain.clone();
            let mut number = 2;
            while !taken.insert(name.clone()) {
                name = format!("{plain}Variant{number}");
                number += 1;
            }
            (name, *value)
        })
        .collect()
}

/// The page of the user's guide about a resource type.
fn page(name: &str) -> String {
    let words: Vec<String> = name.split("::").skip(1).map(str::to_lowercase).collect();
    format!("{GUIDE}/aws-resource-{}.html", words.join("-"))
}

fn header(namespace: &str, body: &str) -> String {
    let has = |word: &str| body.contains(word);
    let mut header = format!(
        "//! L1 resources of `{namespace}`: generated by `iotstack-codegen`, never edited.\n\
         //!\n\
         //! Every property of every type has a setter, every attribute a constant. The\n\
         //! facts are those of CloudFormation's resource schemas; the pages they link to\n\
         //! explain them.\n\n"
    );
    let l1: Vec<&str> = [("CfnTag", has("CfnTag>")), ("List", has("List<")), ("Map", has("Map<"))]
        .iter()
        .filter(|(_, used)| *used)
        .map(|(name, _)| *name)
        .collect();
    let core: Vec<&str> = [("Expr", has(": Expr")), ("Value", has("Value<"))]
        .iter()
        .filter(|(_, used)| *used)
        .map(|(name, _)| *name)
        .collect();
    // In the order that rustfmt would give them: names before modules before lists.
    let mut uses = [("iotstack_core::l1", l1), ("iotstack_core", core)];
    if uses[1].1.len() == 1 {
        uses.reverse();
    }
    for (module, names) in uses {
        match &names[..] {
            [] => {}
            [name] => _ = writeln!(header, "use {module}::{name};"),
            names => _ = writeln!(header, "use {module}::{{{}}};", names.join(", ")),
        }
    }
    header
}

const GUIDE: &str = "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference";

#[cfg(test)]
mod tests;
