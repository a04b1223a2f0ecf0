//! Template text, JSON or YAML, to a [`Template`] that knows its lines.
//!
//! YAML may use CloudFormation's short tags (`!Ref`, `!Sub`, `!GetAtt`); they become
//! the long form, so the rest of the house sees one kind of template. What
//! CloudFormation refuses is refused here: duplicate keys, aliases, merged keys, and
//! tags that are no function.
//!
//! [`Positions`] finds the line of a place. It reads the text a second time when it
//! is first asked, because most templates have no findings.
//!
//! Includes and macros are not followed, and nothing is resolved.

mod json;
mod positions;
mod yaml;

use serde_json::Value;

pub use positions::Positions;

use crate::{Error, Result, Template};

/// Reads a template from JSON or YAML text.
pub fn template(text: &str) -> Result<(Template, Positions)> {
    let (value, positions) = value(text)?;
    match Template::from_value(value) {
        Ok(template) => Ok((template, positions)),
        Err(Error::Template { place, message }) => {
            let keys: Vec<&str> = place.split('/').filter(|key| !key.is_empty()).collect();
            let (line, column) = positions.of(&keys).unwrap_or((1, 1));
            let message = if keys.is_empty() { message } else { format!("`{place}`: {message}") };
            Err(Error::Syntax { line, column, message })
        }
        Err(other) => Err(other),
    }
}

/// Reads any JSON or YAML text as one value, with short tags in their long form.
pub fn value(text: &str) -> Result<(Value, Positions)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !is_meant_as_json(text) {
        let value = yaml::value(text, None)?;
        return Ok((value, Positions::yaml(text)));
    }
    Ok((json::value(text)?, Positions::json(text)))
}

/// Whether the author meant JSON. YAML in flow style starts with a brace too, but who
/// writes it leaves the quotes of the keys away.
fn is_meant_as_json(text: &str) -> bool {
    let text = text.trim_start();
    match text.strip_prefix('{') {
        Some(rest) => rest.trim_start().starts_with(['"', '}']),
        None => text.starts_with('['),
    }
}

#[cfg(test)]
mod tests;
