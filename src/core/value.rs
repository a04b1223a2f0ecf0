//! Values of properties: written down now, or late.
//!
//! A template holds two kinds of values: literals, and intrinsic expressions that
//! CloudFormation evaluates when it deploys. [`Expr`] is a tree of both. Nothing late
//! hides inside a string: a property is either a literal or an expression, and the
//! renderer in [`crate::synth`] turns the tree into JSON without parsing text.
//!
//! [`Value`] is what a typed property holds: left out, a literal of the right type,
//! or an expression. [`Props`] is the ordered map of a resource's properties.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::token::Intrinsic;

/// A name or text that is usually part of the program.
pub type Text = Cow<'static, str>;

/// A JSON value that may contain intrinsic expressions.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// JSON `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(Text),
    /// An array.
    List(Vec<Expr>),
    /// An object; the order is kept.
    Object(Vec<(Text, Expr)>),
    /// A value that CloudFormation computes.
    Late(Box<Intrinsic>),
}

impl Expr {
    /// An object from pairs, in the order given.
    pub fn object<K: Into<Text>>(pairs: impl IntoIterator<Item = (K, Expr)>) -> Self {
        Expr::Object(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// A list of anything that converts.
    pub fn list<T: Into<Expr>>(items: impl IntoIterator<Item = T>) -> Self {
        Expr::List(items.into_iter().map(Into::into).collect())
    }

    /// The text, if this is literal text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Expr::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether no intrinsic is anywhere inside.
    pub fn is_literal(&self) -> bool {
        match self {
            Expr::Late(_) => false,
            Expr::List(items) => items.iter().all(Expr::is_literal),
            Expr::Object(pairs) => pairs.iter().all(|(_, value)| value.is_literal()),
            _ => true,
        }
    }
}

impl From<Intrinsic> for Expr {
    fn from(intrinsic: Intrinsic) -> Self {
        Expr::Late(Box::new(intrinsic))
    }
}

/// A property value: left out, written down, or late.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value<T> {
    /// Left out; AWS's default applies.
    #[default]
    Unset,
    /// Written down.
    Literal(T),
    /// Known only when CloudFormation deploys.
    Token(Expr),
}

impl<T> Value<T> {
    /// Whether the value is left out.
    pub fn is_unset(&self) -> bool {
        matches!(self, Value::Unset)
    }

    /// The literal, if it is one.
    pub fn literal(&self) -> Option<&T> {
        match self {
            Value::Literal(value) => Some(value),
            _ => None,
        }
    }
}

impl<T: Literal> Value<T> {
    /// The expression to render, or nothing where the value is left out.
    pub fn into_expr(self) -> Option<Expr> {
        match self {
            Value::Unset => None,
            Value::Literal(value) => Some(value.into_expr()),
            Value::Token(expr) => Some(expr),
        }
    }

    /// This value, or `other` where it is left out.
    pub fn or(self, other: impl Into<Value<T>>) -> Value<T> {
        if self.is_unset() { other.into() } else { self }
    }
}

/// A type whose values can be written into a template.
pub trait Literal {
    /// The value as JSON.
    fn into_expr(self) -> Expr;
}

impl<T: Literal> From<T> for Value<T> {
    fn from(value: T) -> Self {
        Value::Literal(value)
    }
}

impl<T> From<Expr> for Value<T> {
    fn from(expr: Expr) -> Self {
        Value::Token(expr)
    }
}

impl<T> From<Intrinsic> for Value<T> {
    fn from(intrinsic: Intrinsic) -> Self {
        Value::Token(intrinsic.into())
    }
}

impl<T: Literal> From<Option<T>> for Value<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Unset, Value::Literal)
    }
}

impl From<&str> for Value<String> {
    fn from(value: &str) -> Self {
        Value::Literal(value.to_owned())
    }
}

impl From<&String> for Value<String> {
    fn from(value: &String) -> Self {
        Value::Literal(value.clone())
    }
}

/// Types that are literals and expressions by the same conversion.
macro_rules! literal {
    ($($type:ty, $value:ident => $expr:expr;)*) => {$(
        impl Literal for $type {
            fn into_expr(self) -> Expr {
                let $value = self;
                $expr
            }
        }
        impl From<$type> for Expr {
            fn from($value: $type) -> Expr {
                $expr
            }
        }
    )*};
}

literal! {
    bool, value => Expr::Bool(value);
    i64, value => Expr::Int(value);
    f64, value => number(value);
    String, value => Expr::Text(Text::Owned(value));
    Text, value => Expr::Text(value);
    Props, value => Expr::Object(value.0);
}

/// A number as a template has it: a whole one without a fraction, as AWS CDK writes it, so
/// that a stack of its own can be taken over without a difference.
pub(crate) fn number(value: f64) -> Expr {
    // Up to here every whole number has a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        Expr::Int(value as i64)
    } else {
        Expr::Float(value)
    }
}

/// Number types that are written where the template has an integer or a number.
macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl From<$type> for Expr {
            fn from(value: $type) -> Expr {
                Expr::Int(i64::from(value))
            }
        }
        impl From<$type> for Value<i64> {
            fn from(value: $type) -> Self {
                Value::Literal(i64::from(value))
            }
        }
        impl From<$type> for Value<f64> {
            fn from(value: $type) -> Self {
                Value::Literal(f64::from(value))
            }
        }
    )*};
}

numbers!(i32, u32, u16, u8);

impl From<&str> for Expr {
    fn from(value: &str) -> Expr {
        Expr::Text(Text::Owned(value.to_owned()))
    }
}

impl From<&String> for Expr {
    fn from(value: &String) -> Expr {
        Expr::Text(Text::Owned(value.clone()))
    }
}

impl<T: Into<Expr>> From<Vec<T>> for Expr {
    fn from(items: Vec<T>) -> Expr {
        Expr::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Expr>, const N: usize> From<[T; N]> for Expr {
    fn from(items: [T; N]) -> Expr {
        Expr::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Literal> From<Value<T>> for Expr {
    /// A value that was left out becomes `null`, which synthesis leaves out in turn.
    fn from(value: Value<T>) -> Expr {
        value.into_expr().unwrap_or(Expr::Null)
    }
}

impl From<serde_json::Value> for Expr {
    fn from(value: serde_json::Value) -> Expr {
        use serde_json::Value as Json;
        match value {
            Json::Null => Expr::Null,
            Json::Bool(value) => Expr::Bool(value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Expr::Int(whole),
                None => self::number(number.as_f64().unwrap_or(f64::MAX)),
            },
            Json::String(text) => Expr::Text(Text::Owned(text)),
            Json::Array(items) => Expr::List(items.into_iter().map(Into::into).collect()),
            Json::Object(map) => Expr::Object(
                map.into_iter().map(|(key, value)| (Text::Owned(key), value.into())).collect(),
            ),
        }
    }
}

/// A list whose items may be late one by one.
impl<T: Literal> Literal for Vec<T> {
    fn into_expr(self) -> Expr {
        Expr::List(self.into_iter().map(Literal::into_expr).collect())
    }
}

/// A map of literal values; the order is that of the keys.
impl<T: Literal> Literal for BTreeMap<String, T> {
    fn into_expr(self) -> Expr {
        Expr::Object(
            self.into_iter().map(|(key, value)| (Text::Owned(key), value.into_expr())).collect(),
        )
    }
}

impl<T: Literal> Literal for Value<T> {
    fn into_expr(self) -> Expr {
        self.into()
    }
}

/// The properties of a resource or of an object inside one, in the order they were set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Props(Vec<(Text, Expr)>);

impl Props {
    /// No properties.
    pub const fn new() -> Self {
        Props(Vec::new())
    }

    /// Sets a property; one that was set before is replaced and keeps its place.
    pub fn set(&mut self, name: impl Into<Text>, value: impl Into<Expr>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(slot) => slot.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// Sets a property unless the value is left out.
    pub fn set_value<T: Literal>(&mut self, name: &'static str, value: Value<T>) {
        if let Some(expr) = value.into_expr() {
            self.set(name, expr);
        }
    }

    /// The property's value.
    pub fn get(&self, name: &str) -> Option<&Expr> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The property's value, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Expr> {
        self.0.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Takes a property away and returns what it was.
    pub fn remove(&mut self, name: &str) -> Option<Expr> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(place).1)
    }

    /// The properties in the order they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Expr)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs, by value.
    pub fn into_pairs(self) -> Vec<(Text, Expr)> {
        self.0
    }
}

impl From<Vec<(Text, Expr)>> for Props {
    fn from(pairs: Vec<(Text, Expr)>) -> Self {
        Props(pairs)
    }
}

/// A JSON object as an expression, written as the template shows it.
///
/// Values are anything that converts to [`Expr`]; one that was left out (a
/// [`Value::Unset`]) leaves its key out.
///
/// ```
/// use iotstack_core::{Pseudo, object};
///
/// let rule = object! { "Id": "expire-old", "Status": "Enabled", "Region": Pseudo::Region };
/// # let _ = rule;
/// ```
#[macro_export]
macro_rules! object {
    ($($key:literal : $value:expr),* $(,)?) => {
        $crate::Expr::Object(vec![
            $(($crate::Text::Borrowed($key), $crate::Expr::from($value))),*
        ])
    };
}
