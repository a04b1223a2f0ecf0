//! Late values: the intrinsic functions, and references with a kind.
//!
//! [`Intrinsic`] is every function CloudFormation has; a reference points at a node of
//! the tree, never at a logical id, so it survives renames and can cross stacks.
//! [`Arn`] and [`Name`] say in their type what they point at: a bucket's ARN does not
//! compile where a role's is needed.

use std::fmt;
use std::marker::PhantomData;

use crate::tree::NodeId;
use crate::value::{Expr, Text, Value};

/// A node of a tree, with the tree it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeRef {
    pub(crate) tree: u32,
    pub(crate) node: NodeId,
}

/// An intrinsic function or pseudo parameter.
///
/// Late values are made by methods ([`crate::Handle::attribute`], [`crate::Parameter`])
/// and by the functions of [`crate::intrinsic`]; few people write these variants.
#[derive(Debug, Clone, PartialEq)]
pub enum Intrinsic {
    /// `Ref` to a resource or parameter.
    Ref(NodeRef),
    /// `Ref` to a name that this tree does not hold, such as a parameter of an included
    /// template.
    RefName(Text),
    /// `Fn::GetAtt`.
    Attribute(NodeRef, Text),
    /// `Ref` to a pseudo parameter.
    Pseudo(Pseudo),
    /// `Fn::Join`.
    Join(Text, Vec<Expr>),
    /// `Fn::Join` of a list that is itself late.
    JoinList(Text, Expr),
    /// `Fn::Select`.
    Select(Expr, Expr),
    /// `Fn::Split`.
    Split(Text, Expr),
    /// `Fn::Sub` with its variables.
    Sub(Text, Vec<(Text, Expr)>),
    /// `Fn::FindInMap`: map, first key, second key, default.
    FindInMap(NodeRef, Expr, Expr, Option<Expr>),
    /// `Fn::GetAZs` of a region; empty text is the stack's own.
    GetAzs(Expr),
    /// `Fn::ImportValue`.
    ImportValue(Expr),
    /// `Fn::Base64`.
    Base64(Expr),
    /// `Fn::Cidr`: block, count, host bits.
    Cidr(Expr, Expr, Option<Expr>),
    /// `Fn::If`.
    If(NodeRef, Expr, Expr),
    /// `Fn::Equals`.
    Equals(Expr, Expr),
    /// `Fn::And` of two to ten conditions.
    And(Vec<Expr>),
    /// `Fn::Or` of two to ten conditions.
    Or(Vec<Expr>),
    /// `Fn::Not`.
    Not(Expr),
    /// `Condition`, by reference.
    Condition(NodeRef),
    /// `Fn::Transform`: macro name and parameters.
    Transform(Text, Vec<(Text, Expr)>),
    /// `Fn::Length`; needs the `AWS::LanguageExtensions` transform.
    Length(Expr),
    /// `Fn::ToJsonString`; needs the `AWS::LanguageExtensions` transform.
    ToJsonString(Expr),
    /// JSON text made of the value: a literal string where nothing inside is late,
    /// else a `Fn::Join` around the late parts. No transform needed.
    Json(Expr),
    /// The logical id of a resource, as text.
    LogicalId(NodeRef),
}

/// A pseudo parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pseudo {
    /// `AWS::AccountId`
    AccountId,
    /// `AWS::NotificationARNs`
    NotificationArns,
    /// `AWS::NoValue`: the property is left out.
    NoValue,
    /// `AWS::Partition`, such as `aws` or `aws-cn`.
    Partition,
    /// `AWS::Region`
    Region,
    /// `AWS::StackId`
    StackId,
    /// `AWS::StackName`
    StackName,
    /// `AWS::URLSuffix`, usually `amazonaws.com`.
    UrlSuffix,
}

impl Pseudo {
    /// The name as `Ref` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Pseudo::AccountId => "AWS::AccountId",
            Pseudo::NotificationArns => "AWS::NotificationARNs",
            Pseudo::NoValue => "AWS::NoValue",
            Pseudo::Partition => "AWS::Partition",
            Pseudo::Region => "AWS::Region",
            Pseudo::StackId => "AWS::StackId",
            Pseudo::StackName => "AWS::StackName",
            Pseudo::UrlSuffix => "AWS::URLSuffix",
        }
    }
}

impl From<Pseudo> for Expr {
    fn from(pseudo: Pseudo) -> Expr {
        Intrinsic::Pseudo(pseudo).into()
    }
}

impl<T> From<Pseudo> for Value<T> {
    fn from(pseudo: Pseudo) -> Self {
        Value::Token(pseudo.into())
    }
}

/// The two kinds of typed reference differ only in what they promise.
macro_rules! typed_reference {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<R>(Expr, PhantomData<fn() -> R>);

        impl<R> $name<R> {
            /// Claims that `expr` is one. Constructs call this on what CloudFormation
            /// returns; nobody checks the claim.
            pub fn from_expr(expr: impl Into<Expr>) -> Self {
                $name(expr.into(), PhantomData)
            }

            /// The expression.
            pub fn expr(&self) -> &Expr {
                &self.0
            }
        }

        impl<R> Clone for $name<R> {
            fn clone(&self) -> Self {
                $name(self.0.clone(), PhantomData)
            }
        }

        impl<R> PartialEq for $name<R> {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }

        impl<R> fmt::Debug for $name<R> {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({:?})", stringify!($name), self.0)
            }
        }

        impl<R> From<$name<R>> for Expr {
            fn from(reference: $name<R>) -> Expr {
                reference.0
            }
        }

        impl<R> From<&$name<R>> for Expr {
            fn from(reference: &$name<R>) -> Expr {
                reference.0.clone()
            }
        }

        impl<R> From<$name<R>> for Value<String> {
            fn from(reference: $name<R>) -> Self {
                Value::Token(reference.0)
            }
        }
    };
}

typed_reference! {
    /// The ARN of an `R`, known now or only when CloudFormation has made it.
    Arn
}

typed_reference! {
    /// The physical name of an `R`.
    Name
}
