//! Templates as YAML text.
//!
//! A small emitter of our own, because the plain scalars of the general ones are
//! read as something else by YAML 1.1, which CloudFormation and PyYAML speak: `yes`
//! becomes a boolean, `12:30:45` a number of seconds, `2012-10-17` a date. Whatever
//! could be misread is quoted here. Functions are written in their long form, so no
//! reader needs to know CloudFormation's tags.
//!
//! Reading YAML is not done here but in [`crate::parse`]. Anchors, tags and flow
//! style are never written, apart from `{}` and `[]`.

use std::fmt::Write;

use serde_json::{Number, Value};

use crate::Template;

/// A JSON value as YAML text in block style, ending with a line break.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::with_capacity(4096);
    match value {
        Value::Object(map) if !map.is_empty() => write_block(&mut out, value, 0, false),
        Value::Array(items) if !items.is_empty() => write_block(&mut out, value, 0, false),
        Value::String(text) => {
            // Without a surrounding mapping a literal block would have no indentation.
            write_double_quoted(&mut out, text);
            out.push('\n');
        }
        _ => write_after_indicator(&mut out, value, 0),
    }
    out
}

impl Template {
    /// The template as YAML text.
    pub fn to_yaml(&self) -> String {
        to_yaml(&self.to_value())
    }
}

/// Writes the lines of a collection that is not empty. With `inline` the first line
/// continues the current one, as after `- `.
fn write_block(out: &mut String, value: &Value, indent: usize, inline: bool) {
    let mut first = inline;
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                start_line(out, indent, &mut first);
                if key.len() > LONGEST_SIMPLE_KEY {
                    out.push_str("? ");
                    write_double_quoted(out, key);
                    out.push('\n');
                    pad(out, indent);
                } else {
                    write_flat_text(out, key);
                }
                out.push(':');
                write_value(out, item, indent);
            }
        }
        Value::Array(items) => {
            for item in items {
                start_line(out, indent, &mut first);
                out.push('-');
                if is_filled(item) {
                    out.push(' ');
                    write_block(out, item, indent + 2, true);
                } else {
                    out.push(' ');
                    write_after_indicator(out, item, indent);
                }
            }
        }
        _ => {}
    }
}

/// Writes what follows a key's colon, and the line break.
fn write_value(out: &mut String, value: &Value, indent: usize) {
    if is_filled(value) {
        out.push('\n');
        write_block(out, value, indent + 2, false);
    } else {
        out.push(' ');
        write_after_indicator(out, value, indent);
    }
}

/// Writes a scalar or an empty collection, and the line break.
fn write_after_indicator(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => return write_text(out, text, indent),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
    out.push('\n');
}

fn write_text(out: &mut String, text: &str, indent: usize) {
    if !fits_literal_block(text) {
        write_flat_text(out, text);
        out.push('\n');
        return;
    }
    out.push_str(if text.ends_with('\n') { "|\n" } else { "|-\n" });
    for line in text.lines() {
        // Empty lines stay empty, so no editor complains about trailing spaces.
        if !line.is_empty() {
            pad(out, indent + 2);
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// Writes text on one line, quoted if it needs to be.
fn write_flat_text(out: &mut String, text: &str) {
    if is_safe_plain(text) {
        out.push_str(text);
    } else if text.contains(['"', '\\']) && text.chars().all(is_printable) {
        out.push('\'');
        for character in text.chars() {
            if character == '\'' {
                out.push('\'');
            }
            out.push(character);
        }
        out.push('\'');
    } else {
        write_double_quoted(out, text);
    }
}

fn write_double_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if is_printable(other) => out.push(other),
            // Everything that is not printable lies in the first plane.
            other => {
                let _ = write!(out, "\\u{:04x}", other as u32);
            }
        }
    }
    out.push('"');
}

/// YAML 1.1 wants a dot in a float's mantissa and a sign in its exponent.
fn write_number(out: &mut String, number: &Number) {
    let text = number.to_string();
    match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            out.push_str(mantissa);
            if !mantissa.contains('.') {
                out.push_str(".0");
            }
            out.push('e');
            if !exponent.starts_with(['-', '+']) {
                out.push('+');
            }
            out.push_str(exponent);
        }
        None => out.push_str(&text),
    }
}

/// Whether text can stand without quotes and is read as the same text by readers of
/// YAML 1.1 and 1.2.
fn is_safe_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    if first == b' ' || last == b' ' || last == b':' || INDICATORS.contains(&first) {
        return false;
    }
    if looks_like_number(bytes) || is_reserved_word(text) {
        return false;
    }
    let breaks_off = bytes.windows(2).any(|pair| pair == b": " || pair == b" #");
    !breaks_off && text.chars().all(is_printable)
}

/// Whether text might be a number, a time or a date to some reader.
fn looks_like_number(bytes: &[u8]) -> bool {
    matches!(bytes[0], b'0'..=b'9' | b'+' | b'-' | b'.')
        && bytes.iter().all(|byte| {
            byte.is_ascii_hexdigit()
                || matches!(
                    byte,
                    b'x' | b'X'
                        | b'o'
                        | b'O'
                        | b'_'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b':'
                        | b'T'
                        | b't'
                        | b'Z'
                        | b'z'
                        | b' '
                        | b','
                        | b'i'
                        | b'I'
                        | b'n'
                        | b'N'
                )
        })
}

fn is_reserved_word(text: &str) -> bool {
    text.len() <= 5 && RESERVED_WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Whether text is best shown as a literal block, and survives it.
fn fits_literal_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && !text.ends_with("\n\n")
        && text.split('\n').all(|line| {
            line.is_empty() || (!line.starts_with('\t') && line.contains(|c: char| c != ' '))
        })
        && text.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
}

/// Whether a character may be written as it is. Tabs and line breaks of any script
/// may not.
fn is_printable(character: char) -> bool {
    matches!(character,
        ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}'
        | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_filled(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn start_line(out: &mut String, indent: usize, first: &mut bool) {
    if *first {
        *first = false;
    } else {
        pad(out, indent);
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Keys beyond this need YAML's explicit form; readers may stop at 1,024 characters.
const LONGEST_SIMPLE_KEY: usize = 500;

/// Characters that cannot start a plain scalar, or that mean something alone.
const INDICATORS: &[u8] = b"-?:,[]{}#&*!|>'\"%@`=<~\t";

/// Words that some reader takes for null, a boolean or a number.
const RESERVED_WORDS: &[&str] =
    &["null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan", "nan", "inf"];

#[cfg(test)]
mod tests;
