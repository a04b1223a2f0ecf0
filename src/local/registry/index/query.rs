//! A query, and whether something fits it.
//!
//! Texts are compared without regard to case. A value that reads as a number is
//! compared as one where the field holds numbers, or texts that read as such.

use super::document::{Fields, Scalar};

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// `*`: everything.
    Everything,
    /// All of them.
    And(Vec<Query>),
    /// Any of them.
    Or(Vec<Query>),
    /// Not this.
    Not(Box<Query>),
    /// A field, or any text of the document if none is named.
    Term(Option<String>, Test),
}

/// What a value is tested for.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Equal to a text, which may read as a number.
    Is(String, Option<f64>),
    /// Fits a text with `*` and `?`; small letters.
    Like(Vec<char>),
    /// Lies between two bounds.
    Within(Bound, Bound),
}

/// An end of a range.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// No end.
    Open,
    /// The bound itself lies within.
    With(String),
    /// The bound itself lies outside.
    Without(String),
}

impl Query {
    /// How many terms it has.
    pub fn terms(&self) -> usize {
        match self {
            Query::Everything | Query::Term(..) => 1,
            Query::And(parts) | Query::Or(parts) => parts.iter().map(Query::terms).sum(),
            Query::Not(part) => part.terms(),
        }
    }

    /// Whether a document fits.
    pub fn fits(&self, document: &impl Fields) -> bool {
        match self {
            Query::Everything => true,
            Query::And(parts) => parts.iter().all(|part| part.fits(document)),
            Query::Or(parts) => parts.iter().any(|part| part.fits(document)),
            Query::Not(part) => !part.fits(document),
            Query::Term(field, test) => {
                let mut found = false;
                let mut look = |value: Scalar<'_>| found = found || test.holds(value);
                match field {
                    Some(field) => document.field(field, &mut look),
                    None => document.texts(&mut look),
                }
                found
            }
        }
    }
}

impl Test {
    /// An exact test, numeric where the text is a number.
    pub fn is(text: &str) -> Self {
        Test::Is(text.to_lowercase(), text.parse().ok())
    }

    fn holds(&self, value: Scalar<'_>) -> bool {
        match self {
            Test::Is(wanted, number) => match value {
                Scalar::Text(text) => {
                    same(text, wanted)
                        || number.is_some_and(|number| text.parse::<f64>() == Ok(number))
                }
                Scalar::Number(found) => *number == Some(found),
                Scalar::Bool(found) => *wanted == if found { "true" } else { "false" },
            },
            Test::Like(pattern) => match value {
                Scalar::Text(text) => like(pattern, text),
                Scalar::Number(found) => like(pattern, &found.to_string()),
                Scalar::Bool(found) => like(pattern, if found { "true" } else { "false" }),
            },
            Test::Within(low, high) => low.is_below(value) && high.is_above(value),
        }
    }
}

impl Bound {
    fn is_below(&self, value: Scalar<'_>) -> bool {
        match self {
            Bound::Open => true,
            Bound::With(bound) => compare(value, bound).is_some_and(|order| order.is_ge()),
            Bound::Without(bound) => compare(value, bound).is_some_and(|order| order.is_gt()),
        }
    }

    fn is_above(&self, value: Scalar<'_>) -> bool {
        match self {
            Bound::Open => true,
            Bound::With(bound) => compare(value, bound).is_some_and(|order| order.is_le()),
            Bound::Without(bound) => compare(value, bound).is_some_and(|order| order.is_lt()),
        }
    }
}

/// How a value stands to a bound: as numbers if both are, as texts otherwise.
fn compare(value: Scalar<'_>, bound: &str) -> Option<std::cmp::Ordering> {
    let number = bound.parse::<f64>().ok();
    match (value, number) {
        (Scalar::Number(value), Some(bound)) => value.partial_cmp(&bound),
        (Scalar::Text(text), Some(bound)) => match text.parse::<f64>() {
            Ok(value) => value.partial_cmp(&bound),
            Err(_) => None,
        },
        (Scalar::Text(text), None) => Some(text.to_lowercase().cmp(&bound.to_lowercase())),
        _ => None,
    }
}

fn same(text: &str, small: &str) -> bool {
    text.chars().flat_map(char::to_lowercase).eq(small.chars())
}

/// Whether a text fits a pattern of small letters with `*` and `?`.
fn like(pattern: &[char], text: &str) -> bool {
    let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    let (mut at, mut on) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while on < text.len() {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at, on));
                at += 1;
            }
            Some(character) if *character == '?' || *character == text[on] => {
                at += 1;
                on += 1;
            }
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                at = star + 1;
                on = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|character| *character == '*')
}
