//! Functions that CloudFormation evaluates, as Rust functions.
//!
//! `Ref`, `Fn::GetAtt` and `Fn::If` have no function here: a [`crate::Handle`], a
//! [`crate::ParameterRef`] or a [`crate::Condition`] makes them, so that they cannot
//! name what is not there.

use crate::token::{Intrinsic, NodeRef};
use crate::value::{Expr, Text};

/// `Fn::Join`: the parts with `separator` between them.
pub fn join<T: Into<Expr>>(separator: impl Into<Text>, parts: impl IntoIterator<Item = T>) -> Expr {
    Intrinsic::Join(separator.into(), parts.into_iter().map(Into::into).collect()).into()
}

/// `Fn::Join` of a list that only CloudFormation knows.
pub fn join_list(separator: impl Into<Text>, list: impl Into<Expr>) -> Expr {
    Intrinsic::JoinList(separator.into(), list.into()).into()
}

/// `Fn::Select`: one item of a list, counted from 0.
pub fn select(index: impl Into<Expr>, list: impl Into<Expr>) -> Expr {
    Intrinsic::Select(index.into(), list.into()).into()
}

/// `Fn::Split`: the list that results from cutting `text` at `separator`.
pub fn split(separator: impl Into<Text>, text: impl Into<Expr>) -> Expr {
    Intrinsic::Split(separator.into(), text.into()).into()
}

/// `Fn::Sub` with values for its `${Names}`.
///
/// [`crate::text!`] is the better choice for texts of your own; this is for texts that
/// come with such names.
pub fn sub<K: Into<Text>, V: Into<Expr>>(
    text: impl Into<Text>,
    values: impl IntoIterator<Item = (K, V)>,
) -> Expr {
    let values = values.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    Intrinsic::Sub(text.into(), values).into()
}

/// `Fn::GetAZs`: the availability zones of the stack's region.
pub fn availability_zones() -> Expr {
    Intrinsic::GetAzs(Expr::Text("".into())).into()
}

/// `Fn::ImportValue`: what another stack of the region exports under this name.
pub fn import_value(export_name: impl Into<Expr>) -> Expr {
    Intrinsic::ImportValue(export_name.into()).into()
}

/// `Fn::Base64`.
pub fn base64(text: impl Into<Expr>) -> Expr {
    Intrinsic::Base64(text.into()).into()
}

/// `Fn::Cidr`: `count` address blocks of `host_bits` each, cut from `block`.
pub fn cidr(block: impl Into<Expr>, count: u8, host_bits: u8) -> Expr {
    Intrinsic::Cidr(block.into(), count.into(), Some(host_bits.into())).into()
}

/// `Fn::Equals`, for conditions.
pub fn equals(left: impl Into<Expr>, right: impl Into<Expr>) -> Expr {
    Intrinsic::Equals(left.into(), right.into()).into()
}

/// `Fn::And` of two to ten tests, for conditions.
pub fn and(tests: impl IntoIterator<Item = Expr>) -> Expr {
    Intrinsic::And(tests.into_iter().collect()).into()
}

/// `Fn::Or` of two to ten tests, for conditions.
pub fn or(tests: impl IntoIterator<Item = Expr>) -> Expr {
    Intrinsic::Or(tests.into_iter().collect()).into()
}

/// `Fn::Not`, for conditions.
pub fn not(test: impl Into<Expr>) -> Expr {
    Intrinsic::Not(test.into()).into()
}

/// `Fn::Transform`: a macro with its parameters.
pub fn transform<K: Into<Text>, V: Into<Expr>>(
    name: impl Into<Text>,
    parameters: impl IntoIterator<Item = (K, V)>,
) -> Expr {
    let parameters =
        parameters.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    Intrinsic::Transform(name.into(), parameters).into()
}

/// `Fn::Length` of a list; the stack needs `AWS::LanguageExtensions`.
pub fn length(list: impl Into<Expr>) -> Expr {
    Intrinsic::Length(list.into()).into()
}

/// `Fn::ToJsonString`; the stack needs `AWS::LanguageExtensions`. [`crate::text::json`]
/// needs nothing and is usually what you want.
pub fn to_json_string(value: impl Into<Expr>) -> Expr {
    Intrinsic::ToJsonString(value.into()).into()
}

/// A mapping of a stack.
#[derive(Debug, Clone, Copy)]
pub struct Mapping(NodeRef);

impl Mapping {
    pub(crate) fn new(node: NodeRef) -> Self {
        Mapping(node)
    }

    /// `Fn::FindInMap`: the value under two keys.
    pub fn find(&self, first: impl Into<Expr>, second: impl Into<Expr>) -> Expr {
        Intrinsic::FindInMap(self.0, first.into(), second.into(), None).into()
    }

    /// The same with a value for keys that are not there; the stack needs
    /// `AWS::LanguageExtensions`.
    pub fn find_or(
        &self,
        first: impl Into<Expr>,
        second: impl Into<Expr>,
        otherwise: impl Into<Expr>,
    ) -> Expr {
        Intrinsic::FindInMap(self.0, first.into(), second.into(), Some(otherwise.into())).into()
    }
}

#[cfg(test)]
mod tests;
