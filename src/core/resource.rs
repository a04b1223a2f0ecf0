//! L1 resources: one CloudFormation type over an ordered map of properties.
//!
//! The types themselves are generated tables (see [`crate::l1`]); this file says what
//! every one of them is. A placed resource is a [`Handle`]: grants, `add_*` methods and
//! escape hatches all change it through [`Handle::edit`], the one door.

use std::fmt;
use std::marker::PhantomData;

use crate::construct::Scope;
use crate::token::{Intrinsic, NodeRef};
use crate::tree::{DeletionPolicy, NodeId};
use crate::value::{Expr, Props, Text};

/// A CloudFormation resource type in its raw form.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an L1 resource",
    label = "expected a `Cfn…` type",
    note = "a construct is placed by `add`"
)]
pub trait Resource: 'static {
    /// The type's name, such as `AWS::S3::Bucket`.
    const TYPE: &'static str;

    /// Where and how the type takes tags.
    const TAGGING: Tagging = Tagging::None;

    /// The resource over properties that were taken out of another one of its type.
    fn from_properties(properties: Props) -> Self;

    /// The properties as set so far.
    fn properties(&self) -> &Props;

    /// The properties, by value.
    fn into_properties(self) -> Props;
}

/// How a resource type takes tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tagging {
    /// Not at all.
    #[default]
    None,
    /// As a list of `Key` and `Value` in this property.
    List(&'static str),
    /// As a map in this property.
    Map(&'static str),
}

/// An untyped resource, for types that the generated tables do not hold: `Custom::…`,
/// types of the registry, types newer than this version. Still checked and diffed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Untyped(Props);

impl Untyped {
    /// Sets a property.
    #[must_use]
    pub fn set(mut self, name: impl Into<Text>, value: impl Into<Expr>) -> Self {
        self.0.set(name, value);
        self
    }
}

impl Resource for Untyped {
    // Placed by `Scope::untyped`, which is told the real type.
    const TYPE: &'static str = "";

    fn from_properties(properties: Props) -> Self {
        Untyped(properties)
    }

    fn properties(&self) -> &Props {
        &self.0
    }

    fn into_properties(self) -> Props {
        self.0
    }
}

/// The name of an attribute that `Fn::GetAtt` can read from an `R`.
///
/// The generated types carry their attributes as constants
/// (`CfnBucket::ARN`), so an attribute that a type does not have does not compile.
pub struct Attribute<R>(Text, PhantomData<fn() -> R>);

impl<R> Attribute<R> {
    /// An attribute by its CloudFormation name. Generated code calls this; so does
    /// whoever needs an attribute that the schema does not list, such as the values
    /// that a custom resource returns.
    pub const fn new(name: &'static str) -> Self {
        Attribute(Text::Borrowed(name), PhantomData)
    }

    /// The name as CloudFormation knows it.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// A placed L1 resource.
pub struct Handle<R> {
    scope: Scope,
    node: NodeId,
    kind: PhantomData<fn() -> R>,
}

impl<R> Clone for Handle<R> {
    fn clone(&self) -> Self {
        Handle { scope: self.scope.clone(), node: self.node, kind: PhantomData }
    }
}

impl<R> fmt::Debug for Handle<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Handle({})", self.scope.tree().borrow().path(self.node))
    }
}

impl<R: Resource> Handle<R> {
    pub(crate) fn new(scope: Scope, node: NodeId) -> Self {
        Handle { scope, node, kind: PhantomData }
    }

    /// Changes the resource's properties.
    pub fn edit(&self, change: impl FnOnce(&mut R)) {
        let properties = self.scope.tree().borrow_mut().take_properties(self.node);
        let mut resource = R::from_properties(properties);
        change(&mut resource);
        self.scope.tree().borrow_mut().put_properties(self.node, resource.into_properties());
    }

    /// Looks at the resource's properties.
    pub fn inspect<T>(&self, look: impl FnOnce(&Props) -> T) -> T {
        look(self.scope.tree().borrow().properties(self.node))
    }

    /// What `Ref` gives for this type.
    pub fn reference(&self) -> Expr {
        Intrinsic::Ref(self.node_ref()).into()
    }

    /// What `Fn::GetAtt` gives for one of the type's attributes.
    pub fn attribute(&self, attribute: Attribute<R>) -> Expr {
        Intrinsic::Attribute(self.node_ref(), attribute.0).into()
    }

    /// An attribute by name, for values that no schema lists: what a custom resource
    /// answers, or `Outputs.Name` of a nested stack.
    pub fn attribute_named(&self, name: impl Into<Text>) -> Expr {
        Intrinsic::Attribute(self.node_ref(), name.into()).into()
    }

    /// Deploys this resource only after `other`, whatever the references say.
    pub fn depends_on(&self, other: &impl Dependable) {
        let target = other.dependency();
        self.scope.tree().borrow_mut().add_dependency(self.node, target);
    }

    /// What happens to the real thing when the resource leaves the stack or is replaced.
    pub fn removal_policy(&self, policy: DeletionPolicy) {
        // A replacement is no creation, and CloudFormation knows the long word only there.
        let replacement = match policy {
            DeletionPolicy::RetainExceptOnCreate => DeletionPolicy::Retain,
            other => other,
        };
        self.removal_policies(policy, replacement);
    }

    /// What happens on deletion and on replacement, said apart.
    pub fn removal_policies(&self, deletion: DeletionPolicy, replacement: DeletionPolicy) {
        self.scope.tree().borrow_mut().set_removal_policy(self.node, deletion, replacement);
    }

    /// Creates the resource only where `condition` holds.
    pub fn condition(&self, condition: &crate::condition::Condition) {
        self.scope.tree().borrow_mut().set_condition(self.node, condition.node());
    }

    /// Sets one entry of the resource's `Metadata`.
    pub fn metadata(&self, key: impl Into<Text>, value: impl Into<Expr>) {
        self.scope.tree().borrow_mut().add_metadata(self.node, key.into(), value.into());
    }

    /// Sets the resource's `CreationPolicy`.
    pub fn creation_policy(&self, policy: impl Into<Expr>) {
        self.scope.tree().borrow_mut().set_creation_policy(self.node, policy.into());
    }

    /// Sets the resource's `UpdatePolicy`.
    pub fn update_policy(&self, policy: impl Into<Expr>) {
        self.scope.tree().borrow_mut().set_update_policy(self.node, policy.into());
    }

    /// Uses exactly this logical id, for a resource that a deployed stack already has
    /// under another name.
    pub fn override_logical_id(&self, id: impl Into<String>) {
        self.scope.tree().borrow_mut().override_logical_id(self.node, id.into());
    }

    /// Where the resource stands in the tree.
    pub fn path(&self) -> String {
        self.scope.tree().borrow().path(self.node)
    }

    /// The scope the resource was placed in.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn node_ref(&self) -> NodeRef {
        NodeRef { tree: self.scope.tree().borrow().id(), node: self.node }
    }
}

/// Something that `DependsOn` can name: a resource, or a whole construct, which stands
/// for every resource in it.
pub trait Dependable {
    /// The node that stands for it.
    fn dependency(&self) -> NodeId;
}

impl<R: Resource> Dependable for Handle<R> {
    fn dependency(&self) -> NodeId {
        self.node
    }
}

impl Dependable for Scope {
    fn dependency(&self) -> NodeId {
        self.node()
    }
}
