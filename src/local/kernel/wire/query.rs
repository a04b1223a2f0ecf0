//! The query format: a form in, XML out.
//!
//! `Tags.member.1.Key=a` becomes `{"Tags": [{"Key": "a"}]}`: `member` is left
//! out and numbered keys become lists. All values are texts, as the format knows
//! no others. In answers a list becomes `<member>` elements, and an object made
//! by [`map`] becomes `<entry><key/><value/></entry>` elements.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use serde_json::{Map, Value, json};

use crate::Fault;
use crate::wire::pattern::pairs;
use crate::wire::unpacked;

/// Whether the body of a request is a form of this format. Older clients say so of JSON
/// for a target as well.
pub fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form = kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    is_form && !headers.contains_key("x-amz-target")
}

/// The form of a request (in its body, or in the URL of a GET), if it is one.
///
/// # Errors
/// [`Fault::invalid_input`] if its body cannot be unpacked, or is no text.
pub fn form(request: &Request<Bytes>) -> Result<Option<Vec<(String, String)>>, Fault> {
    if is_form(request.headers()) {
        let body = unpacked(request)?;
        let body = std::str::from_utf8(&body)
            .map_err(|error| Fault::invalid_input(format!("the form is not UTF-8: {error}")))?;
        return Ok(Some(pairs(body).collect()));
    }
    // Only forms are asked for at the root: the queries of other paths are not read here.
    let query = request.uri().query().filter(|_| request.uri().path() == "/");
    let form: Vec<_> = pairs(query.unwrap_or_default()).collect();
    Ok(form.iter().any(|(key, _)| key == "Action").then_some(form))
}

/// The members that a form means.
pub fn read(form: &[(String, String)]) -> Map<String, Value> {
    let mut root = Node::default();
    for (key, value) in form {
        if key == "Action" || key == "Version" {
            continue;
        }
        let mut node = &mut root;
        for part in key.split('.').take(DEEPEST) {
            node = node.children.entry(part.to_owned()).or_default();
        }
        node.text = Some(value.clone());
    }
    match root.value() {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Marks an object as a map, which XML writes as entries.
pub fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    let entries: Vec<Value> =
        entries.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({ ENTRIES: entries })
}

/// Marks a list that XML writes without an element around it: its items bear the
/// name of the member.
pub fn flat(items: impl IntoIterator<Item = Value>) -> Value {
    let items: Vec<Value> = items.into_iter().collect();
    json!({ ITEMS: items })
}

/// Writes an answer.
pub fn write(operation: &str, namespace: &str, members: &Value, request_id: &str) -> String {
    let mut xml =
        format!("<{operation}Response xmlns=\"{}\"><{operation}Result>", escaped(namespace));
    content(&mut xml, members);
    let _ = write!(
        xml,
        "</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    );
    xml
}

/// Writes a refusal.
pub fn write_fault(fault: &Fault, namespace: &str, request_id: &str) -> String {
    let kind = if fault.status < 500 { "Sender" } else { "Receiver" };
    format!(
        "<ErrorResponse xmlns=\"{}\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        escaped(namespace),
        escaped(fault.query_code()),
        escaped(&fault.message),
    )
}

#[derive(Default)]
struct Node {
    text: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn value(self) -> Value {
        if self.children.is_empty() {
            return json!(self.text.unwrap_or_default());
        }
        let mut children = self.children;
        // `member` and `entry` only say that a list follows.
        if children.len() == 1
            && let Some(inner) = children.remove("member").or_else(|| children.remove("entry"))
        {
            return inner.value();
        }
        let mut numbered: Vec<(u32, Node)> = Vec::new();
        if children.keys().all(|key| key.parse::<u32>().is_ok()) {
            for (key, node) in children {
                numbered.push((key.parse().unwrap_or(0), node));
            }
            numbered.sort_by_key(|(number, _)| *number);
            return numbered.into_iter().map(|(_, node)| node.value()).collect();
        }
        Value::Object(children.into_iter().map(|(key, node)| (key, node.value())).collect())
    }
}

fn content(xml: &mut String, value: &Value) {
    match value {
        Value::Null => {}
        Value::Bool(value) => {
            let _ = write!(xml, "{value}");
        }
        Value::Number(value) => {
            let _ = write!(xml, "{value}");
        }
        Value::String(text) => xml.push_str(&escaped(text)),
        Value::Array(items) => {
            for item in items {
                element(xml, "member", item);
            }
        }
        Value::Object(members) => {
            if let (1, Some(Value::Array(entries))) = (members.len(), members.get(ENTRIES)) {
                for entry in entries {
                    element(xml, "entry", entry);
                }
                return;
            }
            for (name, member) in members.iter().filter(|(_, member)| !member.is_null()) {
                element(xml, name, member);
            }
        }
    }
}

fn element(xml: &mut String, name: &str, value: &Value) {
    if let Some(Value::Array(items)) = value.get(ITEMS) {
        items.iter().for_each(|item| element(xml, name, item));
        return;
    }
    let _ = write!(xml, "<{name}>");
    content(xml, value);
    let _ = write!(xml, "</{name}>");
}

/// Text that XML may hold; characters that it may not are replaced.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(character),
            control if control < ' ' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

/// The only member of an object that [`map`] made.
const ENTRIES: &str = "\u{1}entries";

/// The only member of an object that [`flat`] made.
const ITEMS: &str = "\u{1}items";

/// No AWS API nests deeper; what lies below is taken as one text.
const DEEPEST: usize = 24;
