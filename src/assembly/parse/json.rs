//! JSON text to a value, with duplicate keys refused, and the places of its keys.
//!
//! The values come from `serde_json`. It does not tell positions, so a small scanner
//! goes over text that is already known to be JSON and notes where each key and item
//! starts. The scanner checks nothing.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::positions::Recorder;
use crate::{Error, Result};

/// Reads JSON text.
pub(super) fn value(text: &str) -> Result<Value> {
    serde_json::from_str::<Strict>(text).map(|strict| strict.0).map_err(|error| {
        let full = error.to_string();
        // The position is told apart from the message.
        let message = full.rsplit_once(" at line ").map_or(full.as_str(), |(head, _)| head);
        Error::Syntax {
            line: error.line().max(1),
            column: error.column().max(1),
            message: message.to_owned(),
        }
    })
}

/// Notes where every key and item of valid JSON text starts.
pub(super) fn record(text: &str, recorder: &mut Recorder) {
    Scanner { rest: text, line: 1, column: 1 }.value(recorder, true);
}

/// A value without duplicate keys.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(de::Error::custom(format_args!(
                    "key `{key}` is given twice; keep one of them"
                )));
            }
            let Strict(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
}

impl Scanner<'_> {
    fn value(&mut self, recorder: &mut Recorder, is_item: bool) {
        self.skip_space();
        if is_item {
            recorder.here((self.line, self.column));
        }
        match self.peek() {
            Some('{') => {
                self.bump();
                while let Some(next) = self.skip_to_content() {
                    if next == '}' {
                        break;
                    }
                    let position = (self.line, self.column);
                    let key = self.string();
                    recorder.enter(key);
                    recorder.here(position);
                    self.skip_space();
                    self.bump();
                    self.value(recorder, false);
                    recorder.leave();
                }
                self.bump();
            }
            Some('[') => {
                self.bump();
                let mut index = 0;
                while let Some(next) = self.skip_to_content() {
                    if next == ']' {
                        break;
                    }
                    recorder.enter(index.to_string());
                    self.value(recorder, true);
                    recorder.leave();
                    index += 1;
                }
                self.bump();
            }
            Some('"') => {
                self.string();
            }
            _ => {
                while self.peek().is_some_and(|next| !",]} \t\r\n".contains(next)) {
                    self.bump();
                }
            }
        }
    }

    /// Reads a string; its quotes are where the scanner stands.
    fn string(&mut self) -> String {
        let start = self.rest;
        self.bump();
        while let Some(next) = self.peek() {
            self.bump();
            match next {
                '\\' => self.bump(),
                '"' => break,
                _ => {}
            }
        }
        let raw = &start[..start.len() - self.rest.len()];
        serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned())
    }

    /// Skips white space and commas, and says what comes then.
    fn skip_to_content(&mut self) -> Option<char> {
        self.skip_space();
        while self.peek() == Some(',') {
            self.bump();
            self.skip_space();
        }
        self.peek()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|next| " \t\r\n".contains(next)) {
            self.bump();
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) {
        let mut characters = self.rest.chars();
        match characters.next() {
            Some('\n') => (self.line, self.column) = (self.line + 1, 1),
            Some(_) => self.column += 1,
            None => {}
        }
        self.rest = characters.as_str();
    }
}
