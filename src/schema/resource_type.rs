//! Resource types: everything that is known about one of them.
//!
//! [`ResourceType`] is plain data with a few questions that its users would
//! otherwise each answer in their own way: what a change at a path replaces, whether
//! an attribute can be read, whether a region has the type.

use crate::path::PropertyPath;
use crate::shape::{ObjectShape, Shape};

/// The facts of one resource type.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceType {
    /// The name, as in `AWS::IoT::Thing`.
    pub name: &'static str,
    /// The properties that a template may give, and those that can only be read.
    pub properties: ObjectShape,
    /// The named shapes that properties refer to, sorted by name.
    pub definitions: Vec<Definition>,
    /// What `Fn::GetAtt` can read, sorted by name.
    pub attributes: Vec<Attribute>,
    /// Beginnings of attribute names that the type takes with any ending: `Outputs.`
    /// for a nested stack, the empty text for a custom resource.
    pub attribute_prefixes: Vec<&'static str>,
    /// Properties that cannot be set, only read.
    pub read_only: Vec<PropertyPath>,
    /// Properties that can be set and never read again.
    pub write_only: Vec<PropertyPath>,
    /// Properties whose change always replaces the resource.
    pub create_only: Vec<PropertyPath>,
    /// Properties whose change may replace the resource.
    pub conditional_create_only: Vec<PropertyPath>,
    /// Properties that should no longer be used.
    pub deprecated: Vec<PropertyPath>,
    /// The properties that identify a resource of this type.
    pub primary_identifier: Vec<PropertyPath>,
    /// The properties that `Ref` returns, joined with `|` where there are several;
    /// empty where that is not known.
    pub reference: Vec<PropertyPath>,
    /// The form of the type's ARN with `${Name}` in its variable places, if known.
    pub arn_template: Option<&'static str>,
    /// Where permissions and network access are granted: a change there deserves a
    /// second look. An empty path is the whole resource.
    pub scrutiny: Vec<(PropertyPath, Scrutiny)>,
    /// Whether no property can be changed in place, so that every change replaces.
    pub immutable: bool,
    /// The order of a replacement, where the type does not follow the usual one.
    pub replacement_order: ReplacementOrder,
    /// Whether resources of this type hold data that is lost with them.
    pub stateful: bool,
    /// How resources of this type are tagged; `None` when they cannot be.
    pub tagging: Option<Tagging>,
    /// Whether the service is being withdrawn.
    pub lifecycle: Lifecycle,
    /// The regions as bits of the database's list; ask
    /// [`exists_in`](Self::exists_in) instead.
    pub region_bits: u64,
}

impl ResourceType {
    /// Follows references to definitions until a real shape is found.
    pub fn resolve<'a>(&'a self, shape: &'a Shape) -> &'a Shape {
        let mut shape = shape;
        // A definition may be another name for a second one, never for itself;
        // the bound keeps damaged data from hanging the program.
        for _ in 0..16 {
            let Shape::Definition(place) = shape else { return shape };
            match self.definitions.get(*place) {
                Some(definition) => shape = &definition.shape,
                None => return &Shape::Any,
            }
        }
        &Shape::Any
    }

    /// Finds the shape at a path below the properties. In the path, items of lists
    /// may be written as numbers or as `*`.
    pub fn shape_at(&self, path: &[&str]) -> Option<&Shape> {
        let (first, rest) = path.split_first()?;
        let mut shape = self.resolve(&self.properties.property(first)?.shape);
        for segment in rest {
            shape = self.resolve(self.step(shape, segment)?);
        }
        Some(shape)
    }

    /// Says what a change at `path` does to the resource. In the path, items of
    /// lists may be written as numbers or as `*`.
    ///
    /// A change of a whole object of which only a part replaces is
    /// [`Replacement::Conditional`]: ask for the parts that really differ.
    pub fn replacement(&self, path: &[&str]) -> Replacement {
        if self.immutable || self.create_only.iter().any(|own| own.contains(path)) {
            return Replacement::Always;
        }
        let conditional = self.conditional_create_only.iter().any(|own| own.contains(path));
        let partly = self
            .create_only
            .iter()
            .chain(&self.conditional_create_only)
            .any(|own| own.lies_inside(path));
        if conditional || partly { Replacement::Conditional } else { Replacement::Never }
    }

    /// Finds what is known about an attribute; `None` also for attributes that are
    /// only accepted by their beginning.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        let place = self.attributes.binary_search_by(|attribute| attribute.name.cmp(name)).ok()?;
        self.attributes.get(place)
    }

    /// Says whether `Fn::GetAtt` may ask for this attribute.
    pub fn has_attribute(&self, name: &str) -> bool {
        self.attribute(name).is_some()
            || self.attribute_prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    /// Says whether a property path can be read only, so that a template must not
    /// set it.
    pub fn is_read_only(&self, path: &[&str]) -> bool {
        self.read_only.iter().any(|own| own.contains(path))
    }

    /// Says whether the type exists in a region; `true` where nothing is known about
    /// the region.
    pub fn exists_in(&self, region: &str) -> bool {
        match crate::index::region_bit(region) {
            Some(bit) => self.region_bits & bit != 0,
            None => true,
        }
    }

    /// Lists the regions in which the type is known to exist.
    pub fn regions(&self) -> impl Iterator<Item = &'static str> + '_ {
        crate::index::regions()
            .enumerate()
            .filter(|(place, _)| self.region_bits & (1 << place) != 0)
            .map(|(_, name)| name)
    }

    fn step<'a>(&'a self, shape: &'a Shape, segment: &str) -> Option<&'a Shape> {
        match shape {
            Shape::Object(object) => object.property(segment).map(|property| &property.shape),
            Shape::Array(array) => Some(&array.items),
            Shape::Map(map) => map.patterns.first().map(|(_, shape)| shape).or(map.other.as_ref()),
            Shape::AnyOf(shapes) => {
                shapes.iter().find_map(|shape| self.step(self.resolve(shape), segment))
            }
            _ => None,
        }
    }
}

/// A named shape inside a type.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The name, unique within the type.
    pub name: &'static str,
    /// The shape.
    pub shape: Shape,
}

/// Something that `Fn::GetAtt` can read.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// The name, with dots where it lies inside an object.
    pub name: &'static str,
    /// What the value looks like.
    pub shape: Shape,
}

/// What a change does to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Replacement {
    /// The resource is updated in place.
    Never,
    /// Depends on values that only the service knows, or on which part changes.
    Conditional,
    /// The resource is replaced by a new one.
    Always,
}

/// What comes first in a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplacementOrder {
    /// The new resource is made before the old one is deleted.
    #[default]
    CreateFirst,
    /// The old resource is deleted before the new one is made.
    DeleteFirst,
}

/// How a type is tagged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagging {
    /// The property that holds the tags, as in `Tags`.
    pub property: PropertyPath,
    /// Whether tags can be changed without replacing the resource.
    pub updatable: bool,
    /// Whether CloudFormation adds its own `aws:` tags.
    pub system_tags: bool,
}

/// Where a type is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifecycle {
    /// In use.
    #[default]
    Active,
    /// To be shut down, or no longer open to new users, as of this date if known.
    Ending {
        /// The date as `YYYY-MM-DD`, if it is known.
        date: Option<&'static str>,
    },
    /// Shut down.
    Ended,
}

/// What is granted at a place that deserves a second look when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Scrutiny {
    /// A policy that says who may use the resource.
    ResourcePolicy,
    /// A policy, or several, that says what an identity may do.
    IdentityPolicy,
    /// Names of managed policies that an identity gets.
    ManagedPolicies,
    /// A permission to invoke a Lambda function.
    LambdaPermission,
    /// Network traffic that is let in.
    IngressRules,
    /// Network traffic that is let out.
    EgressRules,
    /// An assignment, or a permission set, of IAM Identity Center.
    IdentityCenter,
}
