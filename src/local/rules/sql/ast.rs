//! A statement after reading: plain data, walked by the evaluator.
//!
//! Paths and calls are flat on purpose: the height of the tree is what the reader
//! bounds, so that neither evaluating nor dropping it can exhaust the stack.

use regex::Regex;

use super::functions::Function;
use super::value::Value;

/// The part of a statement from SELECT to WHERE.
#[derive(Debug, Clone)]
pub struct Select<F> {
    /// What is selected.
    pub items: Items,
    /// Where from: a topic filter, or for a nested query an array.
    pub from: F,
    /// The condition.
    pub condition: Option<Expr>,
}

/// What comes after SELECT.
#[derive(Debug, Clone)]
pub enum Items {
    /// `VALUE expression`: the bare value.
    Value(Expr),
    /// `VALUE *`: the bare row.
    ValueStar,
    /// A list of members.
    List(Vec<Item>),
}

impl Items {
    /// Whether this is `*` and nothing else.
    pub fn is_everything(&self) -> bool {
        match self {
            Items::Value(_) => false,
            Items::ValueStar => true,
            Items::List(items) => matches!(items[..], [Item::Star]),
        }
    }
}

/// One member of the result.
#[derive(Debug, Clone)]
pub enum Item {
    /// Everything in the row.
    Star,
    /// A value with its name; `AS a.b` makes an object `a`.
    Named(Expr, Vec<String>),
}

/// An expression.
#[derive(Debug, Clone)]
pub enum Expr {
    /// A constant.
    Literal(Value),
    /// `a.b.c`: a member of the row.
    Path(Vec<String>),
    /// `@name`: what SET assigned, by its place.
    Variable(usize),
    /// `.b.c` of another expression.
    Members(Box<Expr>, Vec<String>),
    /// `*` as the argument of a function: the message as it came.
    Star,
    /// `NOT x`.
    Not(Box<Expr>),
    /// `-x`.
    Negative(Box<Expr>),
    /// Two operands.
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// `x IN (a, b)` or `x IN array`.
    In(Box<Expr>, Box<Expr>),
    /// A function with its arguments; the expression is that of a constant pattern.
    Call(&'static Function, Vec<Expr>, Option<Regex>),
    /// `cast(x AS Type)`.
    Cast(Box<Expr>, CastType),
    /// `CASE x WHEN y THEN z … ELSE w END`.
    Case(Box<Expr>, Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// A query over an array of the row.
    Select(Box<Select<Expr>>),
    /// `{'a': x}`.
    Object(Vec<(String, Expr)>),
    /// `[x, y]`.
    Array(Vec<Expr>),
}

/// What stands between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `OR`
    Or,
    /// `AND`
    And,
    /// `=`
    Equal,
    /// `<>`
    Different,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
}

/// What `cast` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastType {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// A decimal.
    Decimal,
    /// True or false.
    Boolean,
}

impl Expr {
    /// Calls `visit` with each function that is called anywhere in this expression.
    pub fn functions(&self, visit: &mut dyn FnMut(&'static Function)) {
        match self {
            Expr::Literal(_) | Expr::Path(_) | Expr::Variable(_) | Expr::Star => {}
            Expr::Members(inner, _)
            | Expr::Not(inner)
            | Expr::Negative(inner)
            | Expr::Cast(inner, _) => inner.functions(visit),
            Expr::Binary(_, left, right) | Expr::In(left, right) => {
                left.functions(visit);
                right.functions(visit);
            }
            Expr::Call(function, arguments, _) => {
                visit(function);
                arguments.iter().for_each(|argument| argument.functions(visit));
            }
            Expr::Case(inner, arms, other) => {
                inner.functions(visit);
                for (when, then) in arms {
                    when.functions(visit);
                    then.functions(visit);
                }
                other.iter().for_each(|other| other.functions(visit));
            }
            Expr::Select(select) => {
                select.from.functions(visit);
                select.functions(visit);
            }
            Expr::Object(members) => members.iter().for_each(|(_, value)| value.functions(visit)),
            Expr::Array(items) => items.iter().for_each(|item| item.functions(visit)),
        }
    }
}

impl<F> Select<F> {
    /// Calls `visit` with each function of the items and the condition.
    pub fn functions(&self, visit: &mut dyn FnMut(&'static Function)) {
        match &self.items {
            Items::Value(expr) => expr.functions(visit),
            Items::ValueStar => {}
            Items::List(items) => {
                for item in items {
                    if let Item::Named(expr, _) = item {
                        expr.functions(visit);
                    }
                }
            }
        }
        self.condition.iter().for_each(|condition| condition.functions(visit));
    }
}
