//! Text with late values inside.
//!
//! [`text!`](crate::text!) reads like `format!` and renders as `Fn::Join`. Join rather
//! than `Fn::Sub`, because job documents, IoT policies and topic rules use `${…}` for
//! purposes of their own. [`json`] does the same for whole documents.

use serde::Serialize;

use crate::serialize;
use crate::token::Intrinsic;
use crate::value::{Expr, Text};

/// Text with values in place of each `{}`; a value may be late.
///
/// ```
/// use iotstack_core::{Pseudo, text};
///
/// let folder = text!("arn:{}:s3:::firmware-{}/*", Pseudo::Partition, "dev");
/// # let _ = folder;
/// ```
#[macro_export]
macro_rules! text {
    ($format:literal $(, $value:expr)* $(,)?) => {{
        const _: () = assert!(
            $crate::text::placeholders($format) == <[&str]>::len(&[$(stringify!($value)),*]),
            "the text needs exactly one value for each pair of braces"
        );
        $crate::text::format($format, [$($crate::Expr::from($value)),*])
    }};
}

/// What [`text!`](crate::text!) calls.
#[doc(hidden)]
pub fn format<const N: usize>(format: &'static str, values: [Expr; N]) -> Expr {
    let mut parts = Vec::with_capacity(2 * N + 1);
    let mut values = values.into_iter();
    for (index, literal) in format.split("{}").enumerate() {
        if index > 0 {
            parts.extend(values.next());
        }
        if !literal.is_empty() {
            parts.push(Expr::Text(Text::Borrowed(literal)));
        }
    }
    concat(parts)
}

/// How many `{}` a format has.
#[doc(hidden)]
pub const fn placeholders(format: &str) -> usize {
    let bytes = format.as_bytes();
    let (mut index, mut count) = (0, 0);
    while index + 1 < bytes.len() {
        if bytes[index] == b'{' && bytes[index + 1] == b'}' {
            count += 1;
            index += 1;
        }
        index += 1;
    }
    count
}

/// The parts one after the other: literal text where all of them are, else a `Fn::Join`
/// with as few parts as possible.
pub fn concat(parts: impl IntoIterator<Item = Expr>) -> Expr {
    let mut merged: Vec<Expr> = Vec::new();
    flatten(parts, &mut merged);
    match merged.len() {
        0 => Expr::Text(Text::Borrowed("")),
        1 => merged.remove(0),
        _ => Intrinsic::Join(Text::Borrowed(""), merged).into(),
    }
}

fn flatten(parts: impl IntoIterator<Item = Expr>, merged: &mut Vec<Expr>) {
    for part in parts {
        let literal = match part {
            Expr::Late(intrinsic) => match *intrinsic {
                Intrinsic::Join(separator, parts) if separator.is_empty() => {
                    flatten(parts, merged);
                    continue;
                }
                other => {
                    merged.push(other.into());
                    continue;
                }
            },
            Expr::Text(text) => text,
            Expr::Bool(value) => value.to_string().into(),
            Expr::Int(value) => value.to_string().into(),
            Expr::Float(value) => value.to_string().into(),
            other => {
                merged.push(other);
                continue;
            }
        };
        match merged.last_mut() {
            Some(Expr::Text(last)) => last.to_mut().push_str(&literal),
            _ => merged.push(Expr::Text(literal)),
        }
    }
}

/// JSON text of a document that may hold late values: a job document, a dashboard, an
/// environment variable.
///
/// Anything that serializes will do; [`Expr`], [`crate::Arn`] and [`crate::Name`]
/// inside it become parts of a `Fn::Join`.
pub fn json(document: &impl Serialize) -> Expr {
    Intrinsic::Json(serialize::to_expr(document)).into()
}

/// The same from an expression that is already at hand.
pub fn json_of(document: impl Into<Expr>) -> Expr {
    Intrinsic::Json(document.into()).into()
}

/// A document as an expression, for properties that take JSON objects.
pub fn object(document: &impl Serialize) -> Expr {
    serialize::to_expr(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pseudo;

    #[test]
    fn literal_parts_become_one_text() {
        assert_eq!(crate::text!("a/{}/{}", "b", 3), Expr::Text("a/b/3".into()));
    }

    #[test]
    fn late_parts_are_joined() {
        let inner = crate::text!("{}-x", Pseudo::Region);
        let Expr::Late(intrinsic) = crate::text!("arn:{}:y", inner) else { panic!("not late") };
        let expected: Vec<Expr> = vec!["arn:".into(), Pseudo::Region.into(), "-x:y".into()];
        assert_eq!(*intrinsic, Intrinsic::Join("".into(), expected));
    }
}
