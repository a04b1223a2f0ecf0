//! The tree: every node of an app, in the order of its making.
//!
//! Nodes live in one vector and point at each other by index, so the tree has no cycles
//! of ownership and 100,000 resources cost one allocation each and little more. Only
//! this file and [`crate::synth`] see nodes; everybody else holds a [`crate::Scope`].

use std::cell::Cell;
use std::collections::HashMap;

use iotstack_assembly::{Diagnostic, Diagnostics, Place};

use crate::asset::Asset;
use crate::resource::Tagging;
use crate::stack::Stack;
use crate::value::{Expr, Props, Text};

/// A node's place in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

impl NodeId {
    /// The root of every tree.
    pub(crate) const ROOT: NodeId = NodeId(0);
}

/// All nodes of an app.
#[derive(Debug)]
pub struct Tree {
    id: u32,
    nodes: Vec<Node>,
    by_name: HashMap<(NodeId, Text), NodeId>,
    pub(crate) context: serde_json::Map<String, serde_json::Value>,
    pub(crate) diagnostics: Diagnostics,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub name: Text,
    pub parent: NodeId,
    pub children: Vec<NodeId>,
    /// The stack the node is in; for a stack, itself.
    pub stack: Option<NodeId>,
    pub element: Element,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Element {
    App,
    Stage,
    Stack(Box<StackData>),
    Scope,
    Resource(Box<ResourceData>),
    Parameter(Props),
    Condition(Expr),
    Mapping(Vec<(Text, Expr)>),
    Output(Box<OutputData>),
}

#[derive(Debug)]
pub(crate) struct StackData {
    pub stack: Stack,
    /// Names of stack nodes that were said to come first.
    pub depends_on: Vec<NodeId>,
    pub assets: Vec<Asset>,
    pub transforms: Vec<Text>,
}

#[derive(Debug)]
pub(crate) struct ResourceData {
    pub kind: Text,
    pub properties: Props,
    pub tagging: Tagging,
    pub depends_on: Vec<NodeId>,
    pub deletion_policy: Option<DeletionPolicy>,
    pub update_replace_policy: Option<DeletionPolicy>,
    /// Rarely used parts stand apart, so that a plain resource stays small.
    pub extra: Option<Box<Extra>>,
}

#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub condition: Option<NodeId>,
    pub metadata: Vec<(Text, Expr)>,
    pub creation_policy: Option<Expr>,
    pub update_policy: Option<Expr>,
    pub logical_id: Option<String>,
}

#[derive(Debug)]
pub(crate) struct OutputData {
    pub value: Expr,
    pub description: Option<String>,
    pub export: Option<Expr>,
    pub condition: Option<NodeId>,
}

/// What happens to the real thing when its resource goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// It is deleted.
    Delete,
    /// It stays and belongs to nobody.
    Retain,
    /// It stays, unless it was made by the very operation that is rolled back.
    RetainExceptOnCreate,
    /// A snapshot stays, for types that have them.
    Snapshot,
}

impl DeletionPolicy {
    /// The word in the template.
    pub fn word(self) -> &'static str {
        match self {
            DeletionPolicy::Delete => "Delete",
            DeletionPolicy::Retain => "Retain",
            DeletionPolicy::RetainExceptOnCreate => "RetainExceptOnCreate",
            DeletionPolicy::Snapshot => "Snapshot",
        }
    }
}

impl Tree {
    pub(crate) fn new(context: serde_json::Map<String, serde_json::Value>) -> Self {
        thread_local!(static NEXT: Cell<u32> = const { Cell::new(0) });
        let root = Node {
            name: Text::Borrowed(""),
            parent: NodeId::ROOT,
            children: Vec::new(),
            stack: None,
            element: Element::App,
        };
        Tree {
            id: NEXT.replace(NEXT.get() + 1),
            nodes: vec![root],
            by_name: HashMap::new(),
            context,
            diagnostics: Diagnostics::new(),
        }
    }

    /// Tells this tree from others, so that a reference into another app is found out.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Adds a node. A name that is taken is a finding, and the node is added anyway, so
    /// that everything else can be judged too.
    pub(crate) fn add(&mut self, parent: NodeId, name: Text, element: Element) -> NodeId {
        // The tree would need four billion nodes to overflow; memory ends long before.
        let id = NodeId(self.nodes.len() as u32);
        let stack = match element {
            Element::Stack(_) => Some(id),
            _ => self.node(parent).stack,
        };
        if name.is_empty() || name.contains('/') {
            let place = Place::construct(self.path(parent));
            let message = format!("id `{name}` is not valid: an id is not empty and has no `/`");
            self.diagnostics.push(Diagnostic::error("invalid-id", place, message));
        }
        if self.by_name.insert((parent, name.clone()), id).is_some() {
            let place = Place::construct(self.path(parent));
            let message = format!("id `{name}` is used twice in this scope");
            let finding = Diagnostic::error("duplicate-id", place, message);
            self.diagnostics.push(finding.help("give one of the two another id"));
        }
        self.nodes.push(Node { name, parent, children: Vec::new(), stack, element });
        self.nodes[parent.0 as usize].children.push(id);
        id
    }

    pub(crate) fn child(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        self.by_name.get(&(parent, Text::Owned(name.to_owned()))).copied()
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index as u32), node))
    }

    /// The nodes below `top`, parents before children, in the order they were added.
    pub(crate) fn below(&self, top: NodeId) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut open = vec![top];
        while let Some(id) = open.pop() {
            found.push(id);
            open.extend(self.node(id).children.iter().rev());
        }
        found
    }

    /// Names from just below `top` down to the node.
    pub(crate) fn components(&self, top: NodeId, mut id: NodeId) -> Vec<&str> {
        let mut names = Vec::new();
        while id != top && id != NodeId::ROOT {
            names.push(self.node(id).name.as_ref());
            id = self.node(id).parent;
        }
        names.reverse();
        names
    }

    /// The path from the root, names joined by `/`.
    pub(crate) fn path(&self, id: NodeId) -> String {
        self.components(NodeId::ROOT, id).join("/")
    }

    pub(crate) fn stack(&self, id: NodeId) -> Option<&StackData> {
        match &self.node(id).element {
            Element::Stack(data) => Some(data),
            _ => None,
        }
    }

    pub(crate) fn stack_mut(&mut self, id: NodeId) -> Option<&mut StackData> {
        match &mut self.nodes[id.0 as usize].element {
            Element::Stack(data) => Some(data),
            _ => None,
        }
    }

    pub(crate) fn resource(&self, id: NodeId) -> Option<&ResourceData> {
        match &self.node(id).element {
            Element::Resource(data) => Some(data),
            _ => None,
        }
    }

    /// Changes a resource. Handles are only made for resources, so the node is one.
    fn resource_mut(&mut self, id: NodeId, change: impl FnOnce(&mut ResourceData)) {
        if let Element::Resource(data) = &mut self.nodes[id.0 as usize].element {
            change(data);
        }
    }

    fn extra_mut(&mut self, id: NodeId, change: impl FnOnce(&mut Extra)) {
        self.resource_mut(id, |data| change(data.extra.get_or_insert_default()));
    }

    pub(crate) fn properties(&self, id: NodeId) -> &Props {
        static NONE: Props = Props::new();
        self.resource(id).map_or(&NONE, |data| &data.properties)
    }

    pub(crate) fn take_properties(&mut self, id: NodeId) -> Props {
        let mut taken = Props::new();
        self.resource_mut(id, |data| taken = std::mem::take(&mut data.properties));
        taken
    }

    pub(crate) fn put_properties(&mut self, id: NodeId, properties: Props) {
        self.resource_mut(id, |data| data.properties = properties);
    }

    /// Adds a tag unless the resource has one of that key already.
    pub(crate) fn add_tag(&mut self, id: NodeId, key: &str, value: &Expr) {
        self.resource_mut(id, |data| match data.tagging {
            Tagging::None => {}
            Tagging::List(property) => {
                let mut tags = match data.properties.remove(property) {
                    Some(Expr::List(tags)) => tags,
                    Some(late) => return data.properties.set(property, late),
                    None => Vec::new(),
                };
                let has_key = |tag: &Expr| match tag {
                    Expr::Object(pairs) => pairs
                        .iter()
                        .any(|(name, value)| name == "Key" && value.as_text() == Some(key)),
                    _ => false,
                };
                if !tags.iter().any(has_key) {
                    tags.push(Expr::object([("Key", key.into()), ("Value", value.clone())]));
                }
                data.properties.set(property, tags);
            }
            Tagging::Map(property) => match data.properties.get_mut(property) {
                None => {
                    data.properties.set(property, Expr::object([(key.to_owned(), value.clone())]))
                }
                Some(Expr::Object(pairs)) if pairs.iter().all(|(name, _)| name != key) => {
                    pairs.push((Text::Owned(key.to_owned()), value.clone()));
                }
                Some(_) => {}
            },
        });
    }

    pub(crate) fn add_dependency(&mut self, id: NodeId, target: NodeId) {
        self.resource_mut(id, |data| {
            if !data.depends_on.contains(&target) {
                data.depends_on.push(target);
            }
        });
    }

    pub(crate) fn set_removal_policy(
        &mut self,
        id: NodeId,
        deletion: DeletionPolicy,
        replacement: DeletionPolicy,
    ) {
        self.resource_mut(id, |data| {
            data.deletion_policy = Some(deletion);
            data.update_replace_policy = Some(replacement);
        });
    }

    pub(crate) fn set_condition(&mut self, id: NodeId, condition: NodeId) {
        self.extra_mut(id, |extra| extra.condition = Some(condition));
    }

    pub(crate) fn add_metadata(&mut self, id: NodeId, key: Text, value: Expr) {
        self.extra_mut(id, |extra| extra.metadata.push((key, value)));
    }

    pub(crate) fn set_creation_policy(&mut self, id: NodeId, policy: Expr) {
        self.extra_mut(id, |extra| extra.creation_policy = Some(policy));
    }

    pub(crate) fn set_update_policy(&mut self, id: NodeId, policy: Expr) {
        self.extra_mut(id, |extra| extra.update_policy = Some(policy));
    }

    pub(crate) fn override_logical_id(&mut self, id: NodeId, logical_id: String) {
        self.extra_mut(id, |extra| extra.logical_id = Some(logical_id));
    }
}
