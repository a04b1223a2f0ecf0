//! Conditions: decisions that CloudFormation takes when it deploys.

use crate::intrinsic;
use crate::token::{Intrinsic, NodeRef};
use crate::tree::NodeId;
use crate::value::Expr;

/// A condition of a stack.
///
/// ```
/// use iotstack_core::{App, Expr, Parameter, Stack, intrinsic};
///
/// let app = App::new();
/// let stack = app.add("fleet", Stack::default());
/// let size = stack.parameter("Size", Parameter { default: "small".into(), ..Parameter::default() });
/// let large = stack.condition("IsLarge", intrinsic::equals(size.reference(), "large"));
/// stack.output("Shards", large.choose("4", "1"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Condition(NodeRef);

impl Condition {
    pub(crate) fn new(node: NodeRef) -> Self {
        Condition(node)
    }

    /// One of two values, by the condition.
    pub fn choose(&self, then: impl Into<Expr>, otherwise: impl Into<Expr>) -> Expr {
        Intrinsic::If(self.0, then.into(), otherwise.into()).into()
    }

    /// The value where the condition holds, else nothing at all.
    pub fn only(&self, then: impl Into<Expr>) -> Expr {
        self.choose(then, crate::Pseudo::NoValue)
    }

    /// The condition as part of another one.
    pub fn test(&self) -> Expr {
        Intrinsic::Condition(self.0).into()
    }

    /// The opposite, as part of another condition.
    pub fn not(&self) -> Expr {
        intrinsic::not(self.test())
    }

    pub(crate) fn node(&self) -> NodeId {
        self.0.node
    }
}
