//! Patterns of policy resources and condition values.
//!
//! `*` is any run of characters, slashes included, `?` exactly one character,
//! `+` and `#` mean themselves. `${…}` is a policy variable; `${*}`, `${?}` and
//! `${$}` are the characters themselves.

use super::variable::{Values, Variable};

/// A pattern, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Any,
    One,
    Value(Variable),
}

impl Pattern {
    /// A pattern with wildcards.
    pub fn wild(text: &str) -> Self {
        Self::parse(text, true)
    }

    /// A text in which only variables mean something else.
    pub fn plain(text: &str) -> Self {
        Self::parse(text, false)
    }

    /// The variables that it uses.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(variable) => Some(variable),
            _ => None,
        })
    }

    /// Whether `text` fits. Variables without a value, or whose value holds
    /// wildcards, fit nothing.
    pub fn matches(&self, text: &str, values: &Values) -> bool {
        let mut text = text;
        let mut at = 0;
        // Where to go on after the last `*` if what follows does not fit.
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let rest = match self.parts.get(at) {
                None if text.is_empty() => return true,
                None => None,
                Some(Part::Any) => {
                    if at + 1 == self.parts.len() {
                        return true;
                    }
                    retry = Some((at + 1, text));
                    Some(text)
                }
                Some(Part::One) => {
                    let mut characters = text.chars();
                    characters.next().map(|_| characters.as_str())
                }
                Some(Part::Text(expected)) => text.strip_prefix(&**expected),
                Some(Part::Value(variable)) => match values.substitute(variable) {
                    Some(value) => text.strip_prefix(value),
                    None => return false,
                },
            };
            if let Some(rest) = rest {
                text = rest;
                at += 1;
                continue;
            }
            let Some((after, from)) = retry else { return false };
            let mut characters = from.chars();
            if characters.next().is_none() {
                return false;
            }
            text = characters.as_str();
            retry = Some((after, text));
            at = after;
        }
    }

    /// The text with its variables filled in, if it has no wildcards.
    pub fn fill(&self, values: &Values) -> Option<String> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Value(variable) => filled.push_str(values.substitute(variable)?),
                Part::Any | Part::One => return None,
            }
        }
        Some(filled)
    }

    fn parse(text: &str, wild: bool) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        let flush = |literal: &mut String, parts: &mut Vec<Part>| {
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(literal).into_boxed_str()));
            }
        };
        while let Some(character) = rest.chars().next() {
            if let Some((name, after)) =
                rest.strip_prefix("${").and_then(|inner| inner.split_once('}'))
            {
                match name {
                    "*" | "?" | "$" => literal.push_str(name),
                    name => {
                        flush(&mut literal, &mut parts);
                        parts.push(Part::Value(Variable::parse(name)));
                    }
                }
                rest = after;
                continue;
            }
            rest = &rest[character.len_utf8()..];
            match character {
                '*' if wild => {
                    flush(&mut literal, &mut parts);
                    // Two in a row mean the same as one.
                    if parts.last() != Some(&Part::Any) {
                        parts.push(Part::Any);
                    }
                }
                '?' if wild => {
                    flush(&mut literal, &mut parts);
                    parts.push(Part::One);
                }
                other => literal.push(other),
            }
        }
        flush(&mut literal, &mut parts);
        Pattern { parts: parts.into_boxed_slice() }
    }
}
