//! Constructs and the places they are added to.
//!
//! A construct is a struct: its fields describe it, [`Construct::build`] puts its
//! resources into a [`Scope`], and what remains in the hand is its `Ref`. `add` is the
//! only verb.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use iotstack_assembly::{Diagnostic, Place};
use serde::de::DeserializeOwned;

use crate::asset::{Asset, AssetLocation};
use crate::condition::Condition;
use crate::output::Output;
use crate::parameter::{Parameter, ParameterRef};
use crate::resource::{Handle, Resource, Tagging, Untyped};
use crate::stack::DEFAULT_QUALIFIER;
use crate::token::NodeRef;
use crate::tree::{Element, NodeId, ResourceData, Tree};
use crate::value::{Expr, Props, Text};

/// Something that can be placed in the tree.
///
/// The struct is the description; `Ref` is what remains in the hand afterwards.
///
/// ```
/// use iotstack_core::{Construct, Expr, Props, Scope};
///
/// /// A topic that fans out alarms.
/// struct Alarms {
///     pub display_name: String,
/// }
///
/// impl Construct for Alarms {
///     type Ref = Expr;
///
///     fn build(self, scope: &Scope) -> Expr {
///         let mut properties = Props::new();
///         properties.set("DisplayName", self.display_name);
///         scope.untyped("Resource", "AWS::SNS::Topic", properties).reference()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a construct",
    label = "expected a construct",
    note = "an L1 resource (`Cfn…`) is placed by `resource`, a stack is added to an `App` or a `Stage`"
)]
pub trait Construct {
    /// What remains in the hand after adding: usually a typed reference.
    type Ref;

    /// Puts the construct's resources into `scope`, which is its own.
    fn build(self, scope: &Scope) -> Self::Ref;
}

/// `Default::default()`, short enough to end a struct literal: `..default()`.
pub fn default<T: Default>() -> T {
    T::default()
}

/// A place in the tree. Cheap to clone; lives on one thread.
#[derive(Clone)]
pub struct Scope {
    tree: Rc<RefCell<Tree>>,
    node: NodeId,
}

impl Scope {
    pub(crate) fn new(tree: Rc<RefCell<Tree>>, node: NodeId) -> Self {
        Scope { tree, node }
    }

    /// Adds a construct under an id that is unique in this scope. The id becomes part
    /// of the names of everything inside, so renaming it later replaces resources.
    pub fn add<C: Construct>(&self, id: impl Into<Text>, construct: C) -> C::Ref {
        construct.build(&self.child(id))
    }

    /// Adds an empty scope.
    pub fn child(&self, id: impl Into<Text>) -> Scope {
        self.with_node(self.insert(id.into(), Element::Scope))
    }

    /// Places an L1 resource.
    pub fn resource<R: Resource>(&self, id: impl Into<Text>, resource: R) -> Handle<R> {
        let tagging = R::TAGGING;
        self.place(id.into(), Text::Borrowed(R::TYPE), resource.into_properties(), tagging)
    }

    /// Places a resource of any type, by its CloudFormation name.
    pub fn untyped(
        &self,
        id: impl Into<Text>,
        kind: impl Into<Text>,
        properties: Props,
    ) -> Handle<Untyped> {
        self.place(id.into(), kind.into(), properties, Tagging::None)
    }

    /// Adds a stack output, shown after a deployment.
    pub fn output(&self, name: impl Into<Text>, value: impl Into<Expr>) {
        self.add_output(name, Output { value: value.into(), ..Output::default() });
    }

    /// Adds a stack output with description, export name or condition.
    pub fn add_output(&self, name: impl Into<Text>, output: Output) {
        self.insert(name.into(), Element::Output(Box::new(output.into_data())));
    }

    /// Adds a template parameter.
    pub fn parameter(&self, name: impl Into<Text>, parameter: Parameter) -> ParameterRef {
        let node = self.insert(name.into(), Element::Parameter(parameter.into_properties()));
        ParameterRef::new(self.node_ref(node))
    }

    /// Adds a condition that resources, outputs and values can depend on.
    pub fn condition(&self, name: impl Into<Text>, test: impl Into<Expr>) -> Condition {
        let node = self.insert(name.into(), Element::Condition(test.into()));
        Condition::new(self.node_ref(node))
    }

    /// Adds a mapping of two levels.
    pub fn mapping(
        &self,
        name: impl Into<Text>,
        entries: impl IntoIterator<Item = (Text, Expr)>,
    ) -> crate::intrinsic::Mapping {
        let entries = entries.into_iter().collect();
        let node = self.insert(name.into(), Element::Mapping(entries));
        crate::intrinsic::Mapping::new(self.node_ref(node))
    }

    /// Adds a file or folder that is published before the stack is deployed.
    pub fn asset(&self, asset: Asset) -> AssetLocation {
        let mut tree = self.tree.borrow_mut();
        let stack = tree.node(self.node).stack;
        let Some(data) = stack.and_then(|stack| tree.stack_mut(stack)) else {
            let place = Place::construct(tree.path(self.node));
            let message = "an asset needs a stack around it";
            tree.diagnostics.push(Diagnostic::error("outside-stack", place, message));
            return asset.location(DEFAULT_QUALIFIER);
        };
        let location = asset.location(data.stack.synthesizer.qualifier());
        if !data.assets.contains(&asset) {
            data.assets.push(asset);
        }
        location
    }

    /// Uses a macro or transform in the stack, such as `AWS::LanguageExtensions`.
    pub fn transform(&self, name: impl Into<Text>) {
        let mut tree = self.tree.borrow_mut();
        if let Some(stack) = tree.node(self.node).stack
            && let Some(data) = tree.stack_mut(stack)
        {
            let name = name.into();
            if !data.transforms.contains(&name) {
                data.transforms.push(name);
            }
        }
    }

    /// Tags every resource in this scope that takes tags and is there by now. Tags of a
    /// whole stack are a field of [`crate::Stack`].
    pub fn tag(&self, key: &str, value: impl Into<Expr>) {
        let value = value.into();
        let mut tree = self.tree.borrow_mut();
        for node in tree.below(self.node) {
            tree.add_tag(node, key, &value);
        }
    }

    /// A value from the context: `-c key=value`, `context:` in `iotstack.yaml` or
    /// `cdk.json`.
    pub fn context(&self, key: &str) -> Option<serde_json::Value> {
        self.tree.borrow().context.get(key).cloned()
    }

    /// A context value as a type of yours; a value of another shape is a finding.
    pub fn context_as<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        match serde_json::from_value(self.context(key)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(
                    "invalid-context",
                    format!("context value `{key}` is not valid: {error}"),
                );
                None
            }
        }
    }

    /// Reports something that must stop the synthesis.
    pub fn error(&self, code: &'static str, message: impl Into<String>) {
        self.report(Diagnostic::error(code, self.place_of_findings(), message));
    }

    /// Reports something that the user should know.
    pub fn warning(&self, code: &'static str, message: impl Into<String>) {
        self.report(Diagnostic::warning(code, self.place_of_findings(), message));
    }

    /// Reports a finding.
    pub fn report(&self, finding: Diagnostic) {
        self.tree.borrow_mut().diagnostics.push(finding);
    }

    /// The place of this scope, for findings.
    pub fn place_of_findings(&self) -> Place {
        Place::construct(self.path())
    }

    /// The names from the root to here, joined by `/`.
    pub fn path(&self) -> String {
        self.tree.borrow().path(self.node)
    }

    /// The scope of the stack around this one.
    pub fn stack(&self) -> Option<Scope> {
        let stack = self.tree.borrow().node(self.node).stack;
        stack.map(|stack| self.with_node(stack))
    }

    /// The scope of this name directly below, if there is one.
    pub fn find(&self, id: &str) -> Option<Scope> {
        let child = self.tree.borrow().child(self.node, id);
        child.map(|child| self.with_node(child))
    }

    pub(crate) fn tree(&self) -> &RefCell<Tree> {
        &self.tree
    }

    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    pub(crate) fn with_node(&self, node: NodeId) -> Scope {
        Scope { tree: Rc::clone(&self.tree), node }
    }

    pub(crate) fn insert(&self, name: Text, element: Element) -> NodeId {
        self.tree.borrow_mut().add(self.node, name, element)
    }

    fn place<R>(&self, id: Text, kind: Text, properties: Props, tagging: Tagging) -> Handle<R>
    where
        R: Resource,
    {
        let data = ResourceData {
            kind,
            properties,
            tagging,
            depends_on: Vec::new(),
            deletion_policy: None,
            update_replace_policy: None,
            extra: None,
        };
        if self.tree.borrow().node(self.node).stack.is_none() {
            self.error("outside-stack", format!("resource `{id}` needs a stack around it"));
        }
        let node = self.insert(id, Element::Resource(Box::new(data)));
        Handle::new(self.clone(), node)
    }

    fn node_ref(&self, node: NodeId) -> NodeRef {
        NodeRef { tree: self.tree.borrow().id(), node }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Scope({})", self.path())
    }
}
