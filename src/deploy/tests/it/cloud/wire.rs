//! Requests and answers as they are on the wire: the query protocol for CloudFormation
//! and STS, paths for S3.
//!
//! Only what the tests need is understood; an unknown request is an action that nobody
//! answers, and the test that makes it fails.

use std::collections::BTreeMap;

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

/// A request, read.
#[derive(Debug)]
pub struct Call {
    pub action: String,
    fields: BTreeMap<String, String>,
}

/// An answer, before it is written.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    body: String,
    is_error: bool,
}

impl Call {
    pub fn read(request: &HttpRequest) -> Self {
        let body = request.body().bytes().unwrap_or_default();
        let body = String::from_utf8_lossy(body);
        let mut fields: BTreeMap<String, String> = body
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect();
        if request.method() == "POST" && fields.contains_key("Action") {
            let action = fields["Action"].clone();
            return Call { action, fields };
        }
        // `https://BUCKET.s3.eu-west-1.amazonaws.com/KEY?…`
        let uri = request.uri().to_owned();
        let (host, path) = uri.trim_start_matches("https://").split_once('/').unwrap_or((&uri, ""));
        let bucket = host.split(".s3.").next().unwrap_or(host);
        let key = path.split('?').next().unwrap_or_default();
        let kind = if key.is_empty() { "bucket" } else { "object" };
        let path = if key.is_empty() { bucket.to_owned() } else { format!("{bucket}/{key}") };
        fields.insert("path".into(), path);
        Call { action: format!("{} {kind}", request.method()), fields }
    }

    pub fn get(&self, name: &str) -> &str {
        self.fields.get(name).map(String::as_str).unwrap_or_default()
    }

    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// The values of `NAME.member.N` and, with `field`, of `NAME.member.N.FIELD`.
    pub fn list(&self, name: &str, field: &str) -> Vec<String> {
        (1..)
            .map_while(|number| {
                let dot = if field.is_empty() { "" } else { "." };
                self.fields.get(&format!("{name}.member.{number}{dot}{field}")).cloned()
            })
            .collect()
    }
}

impl Answer {
    pub fn ok(body: impl Into<String>) -> Self {
        Answer { status: 200, body: body.into(), is_error: false }
    }

    pub fn refuse(code: &str, message: &str) -> Self {
        let body = format!("{}{}", tag("Code", code), tag("Message", &escape(message)));
        let status = if code == "AccessDenied" { 403 } else { 400 };
        Answer { status, body, is_error: true }
    }

    /// The bare answer of S3 to a question about existence.
    pub fn found(found: bool) -> Self {
        Answer { status: if found { 200 } else { 404 }, body: String::new(), is_error: false }
    }

    pub fn write(self, call: &Call) -> HttpResponse {
        let body = if call.has("path") {
            String::new()
        } else if self.is_error {
            format!(
                "<ErrorResponse><Error>{}</Error><RequestId>r</RequestId></ErrorResponse>",
                self.body
            )
        } else {
            let action = &call.action;
            format!(
                "<{action}Response><{action}Result>{}</{action}Result>\
                 <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>",
                self.body
            )
        };
        HttpResponse::new(StatusCode::try_from(self.status).unwrap(), SdkBody::from(body))
    }
}

pub fn tag(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

pub fn members<T>(
    name: &str,
    items: impl IntoIterator<Item = T>,
    write: impl Fn(T) -> String,
) -> String {
    let items: String = items.into_iter().map(|item| tag("member", &write(item))).collect();
    tag(name, &items)
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let hex = std::str::from_utf8(&tail[..2]).unwrap();
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
                rest = &tail[2..];
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).unwrap()
}
