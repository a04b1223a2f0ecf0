//! Synthesis: from the tree to a cloud assembly on disk.
//!
//! The steps, in order: `names` gives every node its logical id, `references` finds
//! references that cross stacks and turns them into exports and an order of stacks,
//! `render` makes one template per stack, `write` puts templates, assets and
//! manifest into a folder. Findings of all steps are collected first; nothing is
//! written while there is an error among them.

mod names;
mod references;
mod render;
mod write;

use std::path::Path;

use iotstack_assembly::{Diagnostics, Template};

use crate::construct::Scope;
use crate::tree::{NodeId, Tree};
use crate::{Error, Result};

pub(crate) use names::stack_name;

/// What the first two steps found out about a tree.
pub(crate) struct Plan {
    pub names: names::Names,
    pub references: references::References,
    pub findings: Diagnostics,
}

impl Plan {
    fn of(tree: &Tree) -> Plan {
        let mut findings = tree.diagnostics.clone();
        let names = names::assign(tree, &mut findings);
        let references = references::resolve(tree, &names, &mut findings);
        Plan { names, references, findings }
    }
}

/// Everything that constructs reported and that synthesis finds.
pub(crate) fn findings(app: &Scope) -> Diagnostics {
    Plan::of(&app.tree().borrow()).findings
}

/// Writes the assembly of the whole tree into `directory`.
pub(crate) fn write_assembly(app: &Scope, directory: &Path) -> Result<()> {
    let tree = app.tree().borrow();
    let plan = Plan::of(&tree);
    if plan.findings.has_errors() {
        return Err(Error::Invalid(plan.findings));
    }
    write::write(&tree, &plan, directory)
}

/// The template of one stack.
pub(crate) fn template(tree: &Tree, stack: NodeId) -> Result<Template> {
    let plan = Plan::of(tree);
    if plan.findings.has_errors() {
        return Err(Error::Invalid(plan.findings));
    }
    Ok(render::template(tree, &plan, stack))
}

#[cfg(test)]
mod tests;
