//! References between stacks.
//!
//! A value that points into another stack of the same assembly becomes an output with
//! an export there, an import here, and an order of deployment between the two. The
//! names of output and export are CDK's, so a deployed pair of stacks can be taken over.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use iotstack_assembly::{Diagnostic, Diagnostics, Place};

use super::names::{Names, stack_name};
use crate::logical_id::logical_id;
use crate::token::{Intrinsic, NodeRef};
use crate::tree::{Element, NodeId, Tree};
use crate::value::{Expr, Text};

/// What crosses the borders of stacks.
#[derive(Default)]
pub(crate) struct References {
    /// By producing stack: what it exports, in the order of first use.
    pub exports: BTreeMap<NodeId, IndexMap<Target, Export>>,
    /// By stack: the stacks that come first.
    pub stack_dependencies: BTreeMap<NodeId, BTreeSet<NodeId>>,
}

/// What a reference asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub node: NodeId,
    /// The attribute, or nothing for `Ref`.
    pub attribute: Option<Text>,
}

/// How a value leaves its stack.
#[derive(Debug, Clone)]
pub(crate) struct Export {
    pub output_id: String,
    pub name: String,
}

/// Finds every reference between stacks.
pub(crate) fn resolve(tree: &Tree, names: &Names, findings: &mut Diagnostics) -> References {
    let mut resolver = Resolver { tree, names, findings, found: References::default() };
    for (id, node) in tree.nodes() {
        resolver.visit_node(id, &node.element);
    }
    let References { exports, stack_dependencies } = resolver.found;
    find_circle(tree, &stack_dependencies, findings);
    References { exports, stack_dependencies }
}

struct Resolver<'a> {
    tree: &'a Tree,
    names: &'a Names,
    findings: &'a mut Diagnostics,
    found: References,
}

impl Resolver<'_> {
    fn visit_node(&mut self, id: NodeId, element: &Element) {
        match element {
            Element::Stack(data) => {
                for needed in &data.depends_on {
                    self.order(id, id, *needed);
                }
            }
            Element::Resource(data) => {
                for (_, value) in data.properties.iter() {
                    self.visit(id, value);
                }
                for target in &data.depends_on {
                    if let (Some(from), Some(to)) =
                        (self.tree.node(id).stack, self.tree.node(*target).stack)
                    {
                        self.order(id, from, to);
                    }
                }
                if let Some(extra) = &data.extra {
                    extra.metadata.iter().for_each(|(_, value)| self.visit(id, value));
                    for policy in extra.creation_policy.iter().chain(&extra.update_policy) {
                        self.visit(id, policy);
                    }
                    extra.condition.iter().for_each(|condition| self.same_stack(id, *condition));
                }
            }
            Element::Output(data) => {
                self.visit(id, &data.value);
                data.export.iter().for_each(|name| self.visit(id, name));
                data.condition.iter().for_each(|condition| self.same_stack(id, *condition));
            }
            Element::Condition(test) => self.visit(id, test),
            Element::App
            | Element::Stage
            | Element::Scope
            | Element::Parameter(_)
            | Element::Mapping(_) => {}
        }
    }

    fn visit(&mut self, user: NodeId, expr: &Expr) {
        match expr {
            Expr::List(items) => items.iter().for_each(|item| self.visit(user, item)),
            Expr::Object(pairs) => pairs.iter().for_each(|(_, value)| self.visit(user, value)),
            Expr::Late(intrinsic) => {
                match &**intrinsic {
                    Intrinsic::Ref(target) => self.reference(user, *target, None),
                    Intrinsic::Attribute(target, name) => {
                        self.reference(user, *target, Some(name.clone()));
                    }
                    Intrinsic::If(target, ..)
                    | Intrinsic::Condition(target)
                    | Intrinsic::FindInMap(target, ..) => self.local(user, *target),
                    _ => {}
                }
                for_each_argument(intrinsic, &mut |argument| self.visit(user, argument));
            }
            _ => {}
        }
    }

    /// Whether a reference stays in this app; one that does not is a finding.
    fn belongs(&mut self, user: NodeId, target: NodeRef) -> bool {
        if target.tree == self.tree.id() {
            return true;
        }
        let place = Place::construct(self.tree.path(user));
        let message = "a value comes from a construct of another app";
        let finding = Diagnostic::error("foreign-reference", place, message);
        self.findings.push(finding.help("add both constructs to the same app"));
        false
    }

    /// Conditions and mappings can only be used in the stack that they stand in.
    fn local(&mut self, user: NodeId, target: NodeRef) {
        if self.belongs(user, target) {
            self.same_stack(user, target.node);
        }
    }

    fn same_stack(&mut self, user: NodeId, target: NodeId) {
        if self.tree.node(user).stack != self.tree.node(target).stack {
            let place = Place::construct(self.tree.path(user));
            let message = format!(
                "`{}` is in another stack, where conditions and mappings do not reach",
                self.tree.path(target)
            );
            let finding = Diagnostic::error("cross-stack-condition", place, message);
            self.findings.push(finding.help("add it to this stack as well"));
        }
    }

    fn reference(&mut self, user: NodeId, target: NodeRef, attribute: Option<Text>) {
        if !self.belongs(user, target) {
            return;
        }
        let (Some(from), Some(to)) =
            (self.tree.node(user).stack, self.tree.node(target.node).stack)
        else {
            return;
        };
        if from == to || !self.order(user, from, to) {
            return;
        }
        let environment = |stack| self.tree.stack(stack).map(|data| &data.stack.environment);
        if environment(from) != environment(to) {
            let place = Place::construct(self.tree.path(user));
            let message = format!(
                "`{}` is in another account or region ({}); CloudFormation exports do not reach that far",
                self.tree.path(target.node),
                environment(to).map(ToString::to_string).unwrap_or_default()
            );
            let finding = Diagnostic::error("cross-environment-reference", place, message);
            return self
                .findings
                .push(finding.help("give the resource a physical name and refer to that"));
        }
        let target = Target { node: target.node, attribute };
        let export = self.export(to, &target);
        self.found.exports.entry(to).or_default().entry(target).or_insert(export);
    }

    /// Puts `to` before `from`. False where the two cannot be ordered.
    fn order(&mut self, user: NodeId, from: NodeId, to: NodeId) -> bool {
        if from == to {
            return true;
        }
        if self.tree.node(from).parent != self.tree.node(to).parent {
            let place = Place::construct(self.tree.path(user));
            let message = format!("stack `{}` is in another stage", self.tree.path(to));
            let finding = Diagnostic::error("cross-stage-reference", place, message);
            self.findings
                .push(finding.help("stages are deployed on their own; refer to a physical name"));
            return false;
        }
        self.found.stack_dependencies.entry(from).or_default().insert(to);
        true
    }

    fn export(&self, stack: NodeId, target: &Target) -> Export {
        let id = self.names.of(target.node);
        let component = match &target.attribute {
            None => format!("Output{{\"Ref\":\"{id}\"}}"),
            Some(name) => format!("Output{{\"Fn::GetAtt\":[\"{id}\",\"{name}\"]}}"),
        };
        let output_id = logical_id(&["Exports", &component]);
        Export { name: format!("{}:{output_id}", stack_name(self.tree, stack)), output_id }
    }
}

/// Calls `visit` for every expression directly inside an intrinsic.
pub(super) fn for_each_argument<'a>(intrinsic: &'a Intrinsic, visit: &mut impl FnMut(&'a Expr)) {
    use Intrinsic as I;
    match intrinsic {
        I::Ref(_) | I::RefName(_) | I::Attribute(..) | I::Pseudo(_) => {}
        I::Condition(_) | I::LogicalId(_) => {}
        I::Join(_, items) | I::And(items) | I::Or(items) => items.iter().for_each(visit),
        I::JoinList(_, expr) | I::Split(_, expr) => visit(expr),
        I::GetAzs(expr) | I::ImportValue(expr) | I::Base64(expr) | I::Not(expr) => visit(expr),
        I::Length(expr) | I::ToJsonString(expr) | I::Json(expr) => visit(expr),
        I::Select(first, second) | I::Equals(first, second) | I::If(_, first, second) => {
            visit(first);
            visit(second);
        }
        I::Sub(_, pairs) | I::Transform(_, pairs) => {
            pairs.iter().for_each(|(_, value)| visit(value));
        }
        I::FindInMap(_, first, second, third) | I::Cidr(first, second, third) => {
            visit(first);
            visit(second);
            third.iter().for_each(visit);
        }
    }
}

/// Reports stacks that need each other in a circle.
fn find_circle(
    tree: &Tree,
    dependencies: &BTreeMap<NodeId, BTreeSet<NodeId>>,
    findings: &mut Diagnostics,
) {
    let mut done = BTreeSet::new();
    for start in dependencies.keys() {
        let mut path = Vec::new();
        if let Some(circle) = circle_from(*start, dependencies, &mut path, &mut done) {
            let names: Vec<String> = circle.iter().map(|stack| tree.path(*stack)).collect();
            let place = Place::construct(names[0].clone());
            let message =
                format!("the stacks {} depend on each other in a circle", names.join(" → "));
            let finding = Diagnostic::error("stack-circle", place, message);
            findings.push(
                finding.help(
                    "move one of the resources that refer to each other into the other stack",
                ),
            );
            return;
        }
    }
}

fn circle_from(
    stack: NodeId,
    dependencies: &BTreeMap<NodeId, BTreeSet<NodeId>>,
    path: &mut Vec<NodeId>,
    done: &mut BTreeSet<NodeId>,
) -> Option<Vec<NodeId>> {
    if let Some(begin) = path.iter().position(|known| *known == stack) {
        return Some(path[begin..].iter().copied().chain([stack]).collect());
    }
    if !done.insert(stack) {
        return None;
    }
    path.push(stack);
    let circle = dependencies
        .get(&stack)
        .into_iter()
        .flatten()
        .find_map(|needed| circle_from(*needed, dependencies, path, done));
    path.pop();
    circle
}
