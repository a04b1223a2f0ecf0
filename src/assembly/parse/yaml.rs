//! YAML text to a JSON value, with CloudFormation's tags in their long form.
//!
//! Scalars follow the reading of YAML 1.1 for null and booleans. A number becomes a
//! number only if it would be written the same way again: `007`, `1.10`, `1_000` and
//! `12:30` stay text, as most people who write them mean text, and no digit is lost.
//! Keys are always text.

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::{Map, Number, Value};

use super::positions::Recorder;
use crate::{Error, Result};

/// Reads one YAML document, and notes places if asked to.
pub(super) fn value(text: &str, recorder: Option<&mut Recorder>) -> Result<Value> {
    let mut reader = Reader { parser: Parser::new_from_str(text), recorder, depth: 0 };
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(Value::Null),
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            event => {
                let value = reader.node(event, span, true)?;
                reader.end()?;
                return Ok(value);
            }
        }
    }
}

/// The long name of a short tag, such as `Fn::Sub` for `Sub`.
fn long_name(suffix: &str) -> Option<String> {
    match suffix {
        "Ref" | "Condition" => Some(suffix.to_owned()),
        _ if FUNCTIONS.contains(&suffix) => Some(format!("Fn::{suffix}")),
        _ => None,
    }
}

struct Reader<'a, 'r> {
    parser: Parser<'a, StrInput<'a>>,
    recorder: Option<&'r mut Recorder>,
    depth: usize,
}

impl<'a> Reader<'a, '_> {
    /// Reads the node that `event` starts. The place of a mapping's value is that of
    /// its key, which is already noted; other nodes are noted where they start.
    fn node(&mut self, event: Event<'a>, span: Span, is_item: bool) -> Result<Value> {
        if is_item && let Some(recorder) = &mut self.recorder {
            recorder.here(position(span));
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(refused(span, format!("values are nested deeper than {DEEPEST} levels")));
        }
        let value = self.content(event, span);
        self.depth -= 1;
        value
    }

    fn content(&mut self, event: Event<'a>, span: Span) -> Result<Value> {
        match event {
            Event::Scalar(text, style, _, tag) => self.scalar(&text, style, tag.as_deref(), span),
            Event::SequenceStart(_, tag) => {
                let function = function_of(tag.as_deref(), span)?;
                self.enter_function(&function);
                let items = self.sequence()?;
                self.leave_function(&function);
                Ok(call(function, items))
            }
            Event::MappingStart(_, tag) => {
                let function = function_of(tag.as_deref(), span)?;
                self.enter_function(&function);
                let map = self.mapping()?;
                self.leave_function(&function);
                Ok(call(function, map))
            }
            Event::Alias(_) => Err(refused(
                span,
                "aliases (`*name`) are not supported by CloudFormation; write the value out",
            )),
            _ => Err(refused(span, "expected a value")),
        }
    }

    fn sequence(&mut self) -> Result<Value> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::Array(items));
            }
            if let Some(recorder) = &mut self.recorder {
                recorder.enter(items.len().to_string());
            }
            items.push(self.node(event, span, true)?);
            if let Some(recorder) = &mut self.recorder {
                recorder.leave();
            }
        }
    }

    fn mapping(&mut self) -> Result<Value> {
        let mut map = Map::new();
        // Lines of the keys, to name the first of two.
        let mut lines: Vec<usize> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Object(map)),
                Event::Scalar(text, ScalarStyle::Plain, _, _) if text == "<<" => {
                    return Err(refused(
                        span,
                        "merged keys (`<<`) are not supported by CloudFormation; write them out",
                    ));
                }
                Event::Scalar(text, ..) => text.into_owned(),
                Event::Alias(_) => {
                    return Err(refused(span, "an alias cannot be a key; write the key out"));
                }
                _ => return Err(refused(span, "a key must be text, found a collection")),
            };
            if map.contains_key(&key) {
                let index = map.keys().position(|known| *known == key).unwrap_or_default();
                let first = lines.get(index).copied().unwrap_or_default();
                return Err(refused(
                    span,
                    format!("key `{key}` is given twice, first in line {first}; keep one of them"),
                ));
            }
            lines.push(span.start.line());
            if let Some(recorder) = &mut self.recorder {
                recorder.enter(&key);
                recorder.here(position(span));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, false)?;
            if let Some(recorder) = &mut self.recorder {
                recorder.leave();
            }
            map.insert(key, value);
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Value> {
        let Some(tag) = tag else {
            let is_plain = style == ScalarStyle::Plain;
            return Ok(if is_plain { resolve(text) } else { Value::from(text) });
        };
        if tag.is_yaml_core_schema() {
            return match tag.suffix.as_str() {
                "str" => Ok(Value::from(text)),
                "int" | "float" | "bool" | "null" => Ok(resolve(text)),
                other => Err(refused(
                    span,
                    format!("tag `!!{other}` is not supported by CloudFormation"),
                )),
            };
        }
        let function = function_of(Some(tag), span)?;
        let argument = match (function.as_deref(), text.split_once('.')) {
            (Some("Fn::GetAtt"), Some((id, attribute))) => {
                Value::from(vec![id.to_owned(), attribute.to_owned()])
            }
            _ => Value::from(text),
        };
        Ok(call(function, argument))
    }

    /// Makes sure that nothing follows the document.
    fn end(&mut self) -> Result<()> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(_), span) => {
                    return Err(refused(span, "a second document starts; expected one only"));
                }
                _ => {}
            }
        }
    }

    fn enter_function(&mut self, function: &Option<String>) {
        if let (Some(recorder), Some(name)) = (&mut self.recorder, function) {
            recorder.enter(name);
        }
    }

    fn leave_function(&mut self, function: &Option<String>) {
        if let (Some(recorder), Some(_)) = (&mut self.recorder, function) {
            recorder.leave();
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span)> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let marker = error.marker();
                Err(Error::Syntax {
                    line: marker.line(),
                    column: marker.col() + 1,
                    message: error.info().to_owned(),
                })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }
}

/// The function that a tag stands for; `None` where the tag says nothing.
fn function_of(tag: Option<&Tag>, span: Span) -> Result<Option<String>> {
    let Some(tag) = tag else { return Ok(None) };
    if tag.is_yaml_core_schema() {
        return match tag.suffix.as_str() {
            "map" | "seq" => Ok(None),
            other => {
                Err(refused(span, format!("tag `!!{other}` is not supported by CloudFormation")))
            }
        };
    }
    // A lone `!` says that a scalar is text.
    if tag.suffix.is_empty() || (tag.handle.is_empty() && tag.suffix == "!") {
        return Ok(None);
    }
    if tag.handle == "!"
        && let Some(name) = long_name(&tag.suffix)
    {
        return Ok(Some(name));
    }
    Err(refused(
        span,
        format!(
            "tag `{tag}` is no function of CloudFormation; expected `!Ref`, `!Condition`, `!{}`",
            FUNCTIONS.join("`, `!")
        ),
    ))
}

fn call(function: Option<String>, argument: Value) -> Value {
    match function {
        Some(name) => Value::Object(Map::from_iter([(name, argument)])),
        None => argument,
    }
}

/// What a plain scalar stands for.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => true.into(),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => false.into(),
        _ => number(text).map_or_else(|| text.into(), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let starts = text.strip_prefix('-').unwrap_or(text).as_bytes().first()?;
    if !starts.is_ascii_digit() {
        return None;
    }
    if let Ok(integer) = text.parse::<i64>() {
        return (integer.to_string() == text).then(|| integer.into());
    }
    if let Ok(integer) = text.parse::<u64>() {
        return (integer.to_string() == text).then(|| integer.into());
    }
    let number = Number::from_f64(text.parse().ok()?)?;
    // `1.0e+20` and `1e20` are the same number; digits are what must not get lost.
    let normal = |text: &str| text.replacen(".0e", "e", 1).replace('+', "");
    (normal(&number.to_string()) == normal(text)).then_some(number)
}

fn position(span: Span) -> (usize, usize) {
    (span.start.line(), span.start.col() + 1)
}

fn refused(span: Span, message: impl Into<String>) -> Error {
    let (line, column) = position(span);
    Error::Syntax { line, column, message: message.into() }
}

/// As deep as JSON text may be.
const DEEPEST: usize = 128;

/// The functions that have a short tag, besides `!Ref` and `!Condition`.
const FUNCTIONS: &[&str] = &[
    "And",
    "Base64",
    "Cidr",
    "Contains",
    "EachMemberEquals",
    "EachMemberIn",
    "Equals",
    "FindInMap",
    "GetAZs",
    "GetAtt",
    "GetStackOutput",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "RefAll",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
    "ValueOf",
    "ValueOfAll",
];
