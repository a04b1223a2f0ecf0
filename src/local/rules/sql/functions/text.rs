//! Functions on text.
//!
//! Arguments that are not text are converted to it; `Null` and `Undefined` cannot
//! be, and give `Undefined`. Characters are counted, not bytes, except by
//! `numbytes`. No function makes a text above the limit of the parent module.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

use super::{Call, PATTERN_SIZE};
use crate::sql::value::Value;

pub fn chr(call: &Call<'_>) -> Option<Value> {
    let code = u32::try_from(call.int(0)?).ok()?;
    char::from_u32(code).map(Value::text)
}

/// Texts one after the other; with an array among the arguments, one array of all.
pub fn concat(call: &Call<'_>) -> Option<Value> {
    if call.count() == 0 {
        return None;
    }
    let values = || (0..call.count()).map(|place| call.value(place));
    if values().any(|value| matches!(value, Value::Array(_))) {
        let mut all = Vec::new();
        for value in values() {
            call.copy(value)?;
            match value {
                Value::Array(items) => all.extend(items.iter().cloned()),
                Value::Undefined => return None,
                other => all.push(other.clone()),
            }
        }
        return Some(Value::Array(all));
    }
    let mut all = String::new();
    for place in 0..call.count() {
        all.push_str(&call.text(place)?);
        call.allows(all.len())?;
    }
    Some(Value::String(all))
}

pub fn endswith(call: &Call<'_>) -> Option<Value> {
    Some(call.text(0)?.ends_with(&*call.text(1)?).into())
}

/// Where the second text begins in the first, from 0; -1 if nowhere.
pub fn indexof(call: &Call<'_>) -> Option<Value> {
    let (text, part) = (call.text(0)?, call.text(1)?);
    Some(Value::Int(match text.find(&*part) {
        Some(at) => text[..at].chars().count() as i128,
        None => -1,
    }))
}

pub fn length(call: &Call<'_>) -> Option<Value> {
    Some(Value::Int(call.text(0)?.chars().count() as i128))
}

pub fn lower(call: &Call<'_>) -> Option<Value> {
    Some(Value::text(call.text(0)?.to_lowercase()))
}

/// So many spaces before the text, at most 1000.
pub fn lpad(call: &Call<'_>) -> Option<Value> {
    let text = format!("{}{}", spaces(call)?, call.text(0)?);
    call.allows(text.len())?;
    Some(Value::String(text))
}

pub fn ltrim(call: &Call<'_>) -> Option<Value> {
    Some(Value::text(call.text(0)?.trim_start()))
}

pub fn numbytes(call: &Call<'_>) -> Option<Value> {
    Some(Value::Int(call.text(0)?.len() as i128))
}

/// Whether the text contains a match of the pattern.
pub fn regexp_matches(call: &Call<'_>) -> Option<Value> {
    let text = call.text(0)?;
    Some(pattern(call, &text)?.is_match(&text).into())
}

/// The text with each match replaced; `$1` is the first group, `$0` the match.
pub fn regexp_replace(call: &Call<'_>) -> Option<Value> {
    let (text, replacement) = (call.text(0)?, call.text(2)?);
    let pattern = pattern(call, &text)?;
    let mut result = String::new();
    let mut end = 0;
    for captures in pattern.captures_iter(&text) {
        let Some(all) = captures.get(0) else { continue };
        // The next search may look at all of the rest in vain.
        call.work(1 + replacement.len() / 8 + (text.len() - all.start()) / 1024)?;
        result.push_str(&text[end..all.start()]);
        end = all.end();
        let mut rest = &*replacement;
        while let Some(at) = rest.find('$') {
            result.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let group = rest.chars().next().and_then(|digit| digit.to_digit(10));
            match group.filter(|group| (*group as usize) < captures.len()) {
                Some(group) => {
                    let found = captures.get(group as usize);
                    result.push_str(found.map_or("", |group| group.as_str()));
                    rest = &rest[1..];
                    call.allows(result.len())?;
                }
                None => result.push('$'),
            }
        }
        result.push_str(rest);
        call.allows(result.len())?;
    }
    result.push_str(&text[end..]);
    call.allows(result.len())?;
    Some(Value::String(result))
}

/// The first match of the pattern.
pub fn regexp_substr(call: &Call<'_>) -> Option<Value> {
    let text = call.text(0)?;
    pattern(call, &text)?.find(&text).map(|found| Value::text(found.as_str()))
}

pub fn replace(call: &Call<'_>) -> Option<Value> {
    let (text, part, other) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let matches = text.matches(&*part).count();
    call.allows((text.len()).saturating_add(matches.saturating_mul(other.len())))?;
    Some(Value::text(text.replace(&*part, &other)))
}

/// So many spaces after the text, at most 1000.
pub fn rpad(call: &Call<'_>) -> Option<Value> {
    let text = format!("{}{}", call.text(0)?, spaces(call)?);
    call.allows(text.len())?;
    Some(Value::String(text))
}

pub fn rtrim(call: &Call<'_>) -> Option<Value> {
    Some(Value::text(call.text(0)?.trim_end()))
}

pub fn startswith(call: &Call<'_>) -> Option<Value> {
    Some(call.text(0)?.starts_with(&*call.text(1)?).into())
}

/// From the first index to before the second; both are moved into the text.
pub fn substring(call: &Call<'_>) -> Option<Value> {
    let text = call.text(0)?;
    let length = text.chars().count() as i128;
    let start = call.int(1)?.clamp(0, length);
    let end = if call.count() > 2 { call.int(2)?.clamp(0, length) } else { length };
    let count = usize::try_from(end - start).unwrap_or(0);
    let start = usize::try_from(start).unwrap_or(0);
    Some(Value::String(text.chars().skip(start).take(count).collect()))
}

pub fn trim(call: &Call<'_>) -> Option<Value> {
    Some(Value::text(call.text(0)?.trim()))
}

pub fn upper(call: &Call<'_>) -> Option<Value> {
    let upper = call.text(0)?.to_uppercase();
    call.allows(upper.len())?;
    Some(Value::String(upper))
}

fn spaces(call: &Call<'_>) -> Option<String> {
    Some(" ".repeat(call.int(1)?.clamp(0, 1000) as usize))
}

/// The pattern, with the work counted that it takes to search `text` for it.
fn pattern<'c>(call: &'c Call<'_>, text: &str) -> Option<Cow<'c, Regex>> {
    call.work(text.len())?;
    if let Some(pattern) = call.pattern {
        return Some(Cow::Borrowed(pattern));
    }
    call.work(READING)?;
    let built = RegexBuilder::new(&call.text(1)?).size_limit(PATTERN_SIZE).build();
    built.ok().map(Cow::Owned)
}

/// What it takes to read a pattern that comes with the message, in steps.
const READING: usize = 8 * 1024;
