//! What rules look at: the template, and one resource of it with its facts.
//!
//! Questions that several rules ask are answered here once, above all whether names
//! may come from somewhere else: macros and modules make resources that the template
//! does not show, and then an unknown name proves nothing.

use iotstack_assembly::intrinsic::Trail;
use iotstack_assembly::{Resource, Template};
use iotstack_schema::ResourceType;
use serde_json::Value;

use crate::Context;

/// A template with its surroundings.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The template.
    pub template: &'a Template,
    /// Its surroundings.
    pub context: &'a Context,
    has_macros: bool,
    has_own_macros: bool,
    has_extensions: bool,
    is_open: bool,
}

impl<'a> Subject<'a> {
    /// Takes a template for judgement.
    pub fn new(template: &'a Template, context: &'a Context) -> Self {
        let mut has_macros = false;
        let mut has_own_macros = false;
        let mut has_extensions = false;
        for name in transforms(template.transform.as_ref()) {
            if name == "AWS::LanguageExtensions" {
                has_extensions = true;
            } else {
                has_macros = true;
                has_own_macros |= !name.starts_with("AWS::");
            }
        }
        let has_modules =
            || template.resources.values().any(|resource| resource.kind.ends_with("::MODULE"));
        let is_open = has_macros
            || !template.generators.is_empty()
            || (has_extensions && has_loops(template))
            || has_modules();
        Subject { template, context, has_macros, has_own_macros, has_extensions, is_open }
    }

    /// Whether macros other than AWS's language extensions change the template.
    pub fn has_macros(&self) -> bool {
        self.has_macros
    }

    /// Whether macros that are not AWS's change the template, in ways that nobody knows.
    pub fn has_own_macros(&self) -> bool {
        self.has_own_macros
    }

    /// Whether AWS's language extensions apply.
    pub fn has_extensions(&self) -> bool {
        self.has_extensions
    }

    /// Whether there may be resources, parameters and conditions that the template
    /// does not show.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// The resource that a literal `Ref` or `Fn::GetAtt` points at.
    pub fn referred(&self, value: &Value) -> Option<&'a Resource> {
        use iotstack_assembly::intrinsic::{Function, attribute_of};
        let function = Function::of(value)?;
        match function.name {
            "Ref" => self.template.resources.get(function.argument.as_str()?),
            "Fn::GetAtt" => self.template.resources.get(&attribute_of(function.argument)?.0),
            _ => None,
        }
    }
}

/// One resource.
#[derive(Debug, Clone, Copy)]
pub struct ResourceSubject<'a> {
    /// Its logical id.
    pub id: &'a str,
    /// The resource.
    pub resource: &'a Resource,
    /// What is known about its type.
    pub facts: Option<&'static ResourceType>,
    /// Where it is.
    pub place: &'a Trail<'a>,
    /// Where its properties are.
    pub properties: &'a Trail<'a>,
}

impl<'a> ResourceSubject<'a> {
    /// A property's value.
    pub fn property(&self, name: &str) -> Option<&'a Value> {
        self.resource.properties.get(name)
    }
}

/// Whether anything outside the list of resources is made by a loop.
fn has_loops(template: &Template) -> bool {
    fn is_loop((key, value): (&String, &Value)) -> bool {
        key.starts_with("Fn::ForEach::") || contains(value)
    }
    fn contains(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(contains),
            Value::Object(map) => map.iter().any(is_loop),
            _ => false,
        }
    }
    template.conditions.iter().any(is_loop)
        || template.outputs.iter().any(is_loop)
        || template.resources.values().any(|resource| resource.properties.iter().any(is_loop))
}

/// The names of the transforms.
fn transforms(value: Option<&Value>) -> Vec<&str> {
    match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(transform).collect(),
        Some(value) => vec![transform(value)],
    }
}

/// The name of one transform; empty where it is not literal.
fn transform(value: &Value) -> &str {
    let name = value.as_object().and_then(|map| map.get("Name")).unwrap_or(value);
    name.as_str().unwrap_or_default()
}
