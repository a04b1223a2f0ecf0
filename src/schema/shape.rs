//! Shapes: what a property's value may look like.
//!
//! A [`Shape`] describes a literal value. It says nothing about intrinsic functions:
//! whoever walks a template decides what to do where a value is late. Shapes refer
//! to a type's named definitions by index, because definitions may contain
//! themselves; [`ResourceType::resolve`](crate::ResourceType::resolve) follows such
//! a reference.
//!
//! Patterns are sources for the `regex` crate, searched anywhere in the text unless
//! they are anchored. Those that the crate cannot express were left out when the
//! data was generated.

/// What a value may look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Any value: the type says nothing, or nothing that can be expressed here.
    Any,
    /// JSON: an object of any form, or the same written as text.
    Json,
    /// `true` or `false`, also accepted as text by CloudFormation.
    Boolean,
    /// A whole number, also accepted as text by CloudFormation.
    Integer(NumberShape),
    /// A number, also accepted as text by CloudFormation.
    Number(NumberShape),
    /// Text.
    String(StringShape),
    /// A list.
    Array(Box<ArrayShape>),
    /// An object with named properties.
    Object(Box<ObjectShape>),
    /// An object whose names the user chooses.
    Map(Box<MapShape>),
    /// The definition with this index, see
    /// [`ResourceType::resolve`](crate::ResourceType::resolve).
    Definition(usize),
    /// A value that has at least one of these shapes.
    AnyOf(Vec<Shape>),
}

/// An object with named properties.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObjectShape {
    /// The properties, sorted by name.
    pub properties: Vec<Property>,
    /// Whether names outside `properties` are accepted too.
    pub open: bool,
    /// What has to be given together, or must not.
    pub rules: Vec<ObjectRule>,
}

impl ObjectShape {
    /// Finds a property by its exact name.
    pub fn property(&self, name: &str) -> Option<&Property> {
        let place = self.properties.binary_search_by(|property| property.name.cmp(name)).ok()?;
        self.properties.get(place)
    }

    /// Lists the names that must always be given, in alphabetical order.
    pub fn required(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.properties.iter().filter(|property| property.required).map(|property| property.name)
    }
}

/// One named property of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// The name as it is written in a template.
    pub name: &'static str,
    /// What the value may look like.
    pub shape: Shape,
    /// Whether the property must be given.
    pub required: bool,
}

/// What an object's properties demand of each other.
///
/// A group is satisfied when all its names are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectRule {
    /// Exactly one of these groups has to be satisfied.
    ExactlyOne(Vec<Vec<&'static str>>),
    /// At least one of these groups has to be satisfied.
    AtLeastOne(Vec<Vec<&'static str>>),
    /// Where `name` is given, all of `needs` have to be given.
    Requires {
        /// The property that asks for others.
        name: &'static str,
        /// What it asks for.
        needs: Vec<&'static str>,
    },
    /// Where `name` is given, none of `others` may be given.
    Excludes {
        /// The property that does not bear others.
        name: &'static str,
        /// What it does not bear.
        others: Vec<&'static str>,
    },
}

/// An object whose names the user chooses.
#[derive(Debug, Clone, PartialEq)]
pub struct MapShape {
    /// Patterns for the names, each with the shape of the values below such names.
    /// The first pattern that is found in a name decides.
    pub patterns: Vec<(&'static str, Shape)>,
    /// The shape of values whose name no pattern fits; `None` when such names are
    /// not accepted.
    pub other: Option<Shape>,
    /// The smallest number of names.
    pub min: Option<u32>,
    /// The largest number of names.
    pub max: Option<u32>,
}

/// A list.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayShape {
    /// What each item may look like.
    pub items: Shape,
    /// What the items in the first places may look like, in addition to `items`.
    pub prefix: Vec<Shape>,
    /// The smallest number of items.
    pub min: Option<u32>,
    /// The largest number of items.
    pub max: Option<u32>,
    /// Whether no item may occur twice.
    pub unique: bool,
    /// Whether the order of the items means something. Where it does not, two lists
    /// with the same items are the same list.
    pub ordered: bool,
    /// Names of properties whose values have to differ from item to item.
    pub unique_keys: Vec<&'static str>,
}

/// Text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StringShape {
    /// The only values accepted; empty when every value is.
    pub values: Vec<&'static str>,
    /// Whether `values` are compared without regard to case.
    pub ignore_case: bool,
    /// A pattern for the `regex` crate that must be found in the text.
    pub pattern: Option<&'static str>,
    /// The smallest number of characters.
    pub min_length: Option<u32>,
    /// The largest number of characters.
    pub max_length: Option<u32>,
    /// A notation that is not expressed by a pattern.
    pub format: Option<Format>,
    /// What the text refers to, where it names another resource.
    pub targets: Vec<Target>,
}

/// A notation that text has to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A date and time of RFC 3339.
    DateTime,
    /// A JSON document.
    Json,
    /// An IPv4 network, as in `10.0.0.0/16`.
    Ipv4Network,
    /// An IPv6 network, as in `2001:db8::/32`.
    Ipv6Network,
    /// A URI.
    Uri,
}

/// Another resource's attribute, which text may hold.
///
/// Where a property has targets, a reference to a resource of another type, or to
/// another attribute, is probably a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The type of the resource, as in `AWS::IAM::Role`.
    pub resource_type: &'static str,
    /// The property or attribute of it, as in `Arn`.
    pub attribute: &'static str,
}

/// A number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NumberShape {
    /// The only values accepted; empty when every value is.
    pub values: Vec<f64>,
    /// The smallest value.
    pub min: Option<f64>,
    /// The largest value.
    pub max: Option<f64>,
}
