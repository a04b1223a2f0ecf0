//! Patterns of REST operations: which path fits, and which members it binds.
//!
//! The syntax is told in [`crate::service`]. Patterns are written in this
//! workspace, so a bad one is a fault of the program and shows in its tests.

use bytes::Bytes;
use http::Request;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::Fault;

/// A pattern, taken apart.
#[derive(Debug, Clone)]
pub struct Pattern {
    segments: Vec<Segment>,
    parameters: Vec<Parameter>,
    headers: Vec<(&'static str, &'static str)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(&'static str),
    Label(&'static str),
    Rest(&'static str),
}

#[derive(Debug, Clone)]
struct Parameter {
    name: &'static str,
    member: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Flag,
    List,
}

impl Pattern {
    /// Takes a pattern apart.
    pub fn parse(text: &'static str) -> Self {
        let (path, bindings) = text.split_once('?').unwrap_or((text, ""));
        let segments = path.trim_start_matches('/').split('/').map(segment).collect();
        let (mut parameters, mut headers) = (Vec::new(), Vec::new());
        for binding in bindings.split('&').filter(|binding| !binding.is_empty()) {
            if let Some(header) = binding.strip_prefix('@') {
                headers.push(header.split_once('=').unwrap_or((header, header)));
                continue;
            }
            let (binding, kind) = match binding.split_once(':') {
                Some((name, "int")) => (name, Kind::Integer),
                Some((name, "bool")) => (name, Kind::Flag),
                Some((name, "list")) => (name, Kind::List),
                Some((name, _)) => (name, Kind::Text),
                None => (binding, Kind::Text),
            };
            let (name, member) = binding.split_once('=').unwrap_or((binding, binding));
            parameters.push(Parameter { name, member, kind });
        }
        Pattern { segments, parameters, headers }
    }

    /// Whether a path, still percent-encoded, fits.
    pub fn fits(&self, path: &str) -> bool {
        let mut parts = split(path);
        for segment in &self.segments {
            match (segment, parts.next()) {
                (Segment::Literal(literal), Some(part)) if decoded(part) == *literal => {}
                (Segment::Label(_), Some(part)) if !part.is_empty() => {}
                (Segment::Rest(_), Some(part)) => return !part.is_empty(),
                _ => return false,
            }
        }
        parts.next().is_none()
    }

    /// Whether it says more about a path that both fit.
    pub fn is_closer_than(&self, other: &Pattern) -> bool {
        let rank = |pattern: &Pattern| -> Vec<u8> {
            let rank = |segment: &Segment| match segment {
                Segment::Literal(_) => 0,
                Segment::Label(_) => 1,
                Segment::Rest(_) => 2,
            };
            pattern.segments.iter().map(rank).collect()
        };
        rank(self) < rank(other)
    }

    /// Adds the labels, parameters and headers of a request to its members.
    ///
    /// # Errors
    /// [`Fault::invalid_input`] for a parameter of the wrong kind.
    pub fn bind(
        &self,
        request: &Request<Bytes>,
        mut members: Map<String, Value>,
    ) -> Result<Map<String, Value>, Fault> {
        let mut parts = split(request.uri().path());
        for segment in &self.segments {
            let part = parts.next().unwrap_or_default();
            match segment {
                Segment::Literal(_) => {}
                Segment::Label(name) => {
                    members.insert((*name).to_owned(), json!(decoded(part)));
                }
                Segment::Rest(name) => {
                    let rest = parts.by_ref().fold(part.to_owned(), |rest, part| rest + "/" + part);
                    members.insert((*name).to_owned(), json!(decoded(&rest)));
                }
            }
        }
        for (key, value) in pairs(request.uri().query().unwrap_or_default()) {
            if let Some(parameter) = self.parameters.iter().find(|parameter| parameter.name == key)
            {
                parameter.bind(value, &mut members)?;
            }
        }
        for (header, member) in &self.headers {
            if let Some(value) = request.headers().get(*header) {
                let value = value.to_str().map_err(|_| {
                    Fault::invalid_input(format!("header `{header}` must be plain ASCII"))
                })?;
                members.insert((*member).to_owned(), json!(value));
            }
        }
        Ok(members)
    }
}

impl Parameter {
    fn bind(&self, value: String, members: &mut Map<String, Value>) -> Result<(), Fault> {
        let refuse = |wanted: &str| {
            Fault::invalid_input(format!(
                "query parameter `{}` must be {wanted}, not `{value}`",
                self.name
            ))
        };
        let value = match self.kind {
            Kind::Text => json!(value),
            Kind::Integer => json!(value.parse::<i64>().map_err(|_| refuse("a whole number"))?),
            Kind::Flag => match value.as_str() {
                // A flag without a value is set, as in `?retain`.
                "true" | "" => json!(true),
                "false" => json!(false),
                _ => return Err(refuse("true or false")),
            },
            Kind::List => {
                let list = members.entry(self.member).or_insert_with(|| json!([]));
                if let Value::Array(list) = list {
                    list.push(json!(value));
                }
                return Ok(());
            }
        };
        members.insert(self.member.to_owned(), value);
        Ok(())
    }
}

/// The pairs of a query or a form, decoded.
pub fn pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| decoded(&text.replace('+', " "));
        (decode(key), decode(value))
    })
}

fn segment(text: &'static str) -> Segment {
    match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        None => Segment::Literal(text),
        Some(name) => match name.strip_suffix('+') {
            Some(name) => Segment::Rest(name),
            None => Segment::Label(name),
        },
    }
}

fn split(path: &str) -> std::str::Split<'_, char> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
