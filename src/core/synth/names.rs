//! Names: the logical id of every node, the name and artifact id of every stack.

use std::collections::HashMap;

use iotstack_assembly::{Diagnostic, Diagnostics, Place};

use crate::logical_id::logical_id;
use crate::tree::{Element, NodeId, Tree};

/// The logical ids of a tree's resources, parameters, conditions, mappings and outputs.
pub(crate) struct Names(HashMap<NodeId, String>);

impl Names {
    /// The logical id of a node that has one.
    pub fn of(&self, node: NodeId) -> &str {
        self.0.get(&node).map_or("", String::as_str)
    }
}

/// Gives every node that stands in a template its logical id.
pub(crate) fn assign(tree: &Tree, findings: &mut Diagnostics) -> Names {
    let mut names = HashMap::new();
    let mut taken: HashMap<(NodeId, &'static str, String), NodeId> = HashMap::new();
    for (id, node) in tree.nodes() {
        let (Some(stack), Some(section)) = (node.stack, section(&node.element)) else { continue };
        let name = match &node.element {
            Element::Resource(data) => {
                data.extra.as_ref().and_then(|extra| extra.logical_id.clone())
            }
            _ => None,
        };
        let name = name.unwrap_or_else(|| logical_id(&tree.components(stack, id)));
        // CloudFormation keeps one space of names for resources and parameters.
        if let Some(other) = taken.insert((stack, section, name.clone()), id) {
            let message = format!("logical id `{name}` is also that of `{}`", tree.path(other));
            let finding =
                Diagnostic::error("duplicate-logical-id", Place::construct(tree.path(id)), message);
            // The same path twice was reported when it was added.
            if tree.path(other) != tree.path(id) {
                findings.push(finding.help(
                    "ids that differ only in characters other than letters and digits collide",
                ));
            }
        }
        names.insert(id, name);
    }
    Names(names)
}

fn section(element: &Element) -> Option<&'static str> {
    match element {
        Element::Resource(_) | Element::Parameter(_) => Some("Resources"),
        Element::Condition(_) => Some("Conditions"),
        Element::Mapping(_) => Some("Mappings"),
        Element::Output(_) => Some("Outputs"),
        Element::App | Element::Stage | Element::Stack(_) | Element::Scope => None,
    }
}

/// The stack's name in the account: what it was given, or the ids on the way to it.
pub(crate) fn stack_name(tree: &Tree, stack: NodeId) -> String {
    let given = tree.stack(stack).and_then(|data| data.stack.stack_name.clone());
    given.unwrap_or_else(|| tree.components(NodeId::ROOT, stack).join("-"))
}

/// The stack's id in the manifest.
pub(crate) fn artifact_id(tree: &Tree, stack: NodeId) -> String {
    match tree.components(NodeId::ROOT, stack).as_slice() {
        [only] => (*only).to_owned(),
        components => logical_id(components),
    }
}
