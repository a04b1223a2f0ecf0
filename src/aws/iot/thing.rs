//! Things, thing types and thing groups.
//!
//! CloudFormation can neither give a thing its type nor put it into a group; whoever
//! needs that uses a custom resource, as [the ready stacks](crate) do.

use std::collections::BTreeMap;

use iotstack_core::{Arn, Construct, Expr, Name, Pseudo, Scope, Value, object, text};

use super::{CfnThing, CfnThingGroup, CfnThingType};
use crate::empty::unless_empty;

/// A thing: a device in the registry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thing {
    /// The name: 1 to 128 of `a-z A-Z 0-9 : _ -`. It can never change.
    pub thing_name: Value<String>,
    /// Facts about the device. A thing without a type has at most three.
    pub attributes: BTreeMap<String, String>,
}

impl Construct for Thing {
    type Ref = ThingRef;

    fn build(self, scope: &Scope) -> ThingRef {
        let mut thing = CfnThing::new().thing_name(self.thing_name);
        if !self.attributes.is_empty() {
            let attributes = self.attributes.into_iter().map(|(key, value)| (key, value.into()));
            thing = thing.attribute_payload(object! { "Attributes": Expr::object(attributes) });
        }
        let thing = scope.resource("Resource", thing);
        ThingRef { arn: thing.attribute(CfnThing::ARN), name: thing.reference() }
    }
}

/// A thing type: what things of one model have in common.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ThingType {
    /// The name; it can never change.
    pub thing_type_name: Value<String>,
    /// What it describes.
    pub description: Value<String>,
    /// At most three attributes that can be searched for.
    pub searchable_attributes: Vec<String>,
}

impl Construct for ThingType {
    type Ref = ThingTypeRef;

    fn build(self, scope: &Scope) -> ThingTypeRef {
        let properties = object! {
            "ThingTypeDescription": self.description,
            "SearchableAttributes": unless_empty(self.searchable_attributes.into()).unwrap_or(Expr::Null),
        };
        let mut thing_type = CfnThingType::new().thing_type_name(self.thing_type_name);
        if let Some(properties) = unless_empty(properties) {
            thing_type = thing_type.thing_type_properties(properties);
        }
        let thing_type = scope.resource("Resource", thing_type);
        ThingTypeRef { arn: thing_type.attribute(CfnThingType::ARN), name: thing_type.reference() }
    }
}

/// A static thing group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ThingGroup {
    /// The name. It must be given: what `Ref` returns for a group differs between AWS's
    /// own documents.
    pub thing_group_name: String,
    /// What the things in it have in common.
    pub description: Value<String>,
    /// The group around it; it can never change.
    pub parent: Option<Name<ThingGroup>>,
    /// Facts about the group.
    pub attributes: BTreeMap<String, String>,
}

impl Construct for ThingGroup {
    type Ref = ThingGroupRef;

    fn build(self, scope: &Scope) -> ThingGroupRef {
        let attributes = self.attributes.into_iter().map(|(key, value)| (key, Expr::from(value)));
        let payload = unless_empty(Expr::object(attributes))
            .map_or(Expr::Null, |attributes| object! { "Attributes": attributes });
        let properties = object! {
            "ThingGroupDescription": self.description,
            "AttributePayload": payload,
        };
        let mut group = CfnThingGroup::new().thing_group_name(self.thing_group_name.clone());
        if let Some(properties) = unless_empty(properties) {
            group = group.thing_group_properties(properties);
        }
        if let Some(parent) = self.parent {
            group = group.parent_group_name(parent);
        }
        let group = scope.resource("Resource", group);
        ThingGroupRef { arn: group.attribute(CfnThingGroup::ARN), name: self.thing_group_name }
    }
}

/// What a [`Thing`] leaves in the hand.
#[derive(Debug, Clone, PartialEq)]
pub struct ThingRef {
    arn: Expr,
    name: Expr,
}

/// What a [`ThingType`] leaves in the hand.
#[derive(Debug, Clone, PartialEq)]
pub struct ThingTypeRef {
    arn: Expr,
    name: Expr,
}

/// What a [`ThingGroup`] leaves in the hand.
#[derive(Debug, Clone, PartialEq)]
pub struct ThingGroupRef {
    arn: Expr,
    name: String,
}

impl ThingRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<Thing> {
        Arn::from_expr(self.arn.clone())
    }

    /// The name.
    pub fn name(&self) -> Name<Thing> {
        Name::from_expr(self.name.clone())
    }
}

impl ThingTypeRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<ThingType> {
        Arn::from_expr(self.arn.clone())
    }

    /// The name.
    pub fn name(&self) -> Name<ThingType> {
        Name::from_expr(self.name.clone())
    }
}

impl ThingGroupRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<ThingGroup> {
        Arn::from_expr(self.arn.clone())
    }

    /// The name, as it was given.
    pub fn name(&self) -> Name<ThingGroup> {
        Name::from_expr(self.name.clone())
    }
}

/// The ARNs of things whose name begins with `prefix`, in the stack's account and region.
pub fn thing_arns(prefix: &str) -> Expr {
    text!(
        "arn:{}:iot:{}:{}:thing/{}*",
        Pseudo::Partition,
        Pseudo::Region,
        Pseudo::AccountId,
        prefix
    )
}
