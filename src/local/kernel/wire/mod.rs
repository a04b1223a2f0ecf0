//! The wire formats of AWS's APIs: REST-JSON, AWS-JSON, CBOR and query.
//!
//! A service never sees them. REST-XML is S3's alone and lives with it.

pub mod cbor;
pub mod pattern;
pub mod query;

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderValue, Request, Response, header};
use serde_json::{Map, Value, json};

use crate::{Body, Fault, Reply};

/// The wire format of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// JSON, the error's code in a header.
    RestJson,
    /// JSON, the error's code in the body.
    AwsJson {
        /// `1.0` or `1.1`.
        version: &'static str,
        /// Whether the service also speaks query, or once did.
        spoke_query: bool,
    },
    /// CBOR, the error's code in the body.
    Cbor,
    /// XML.
    Query {
        /// The namespace of the answer.
        namespace: &'static str,
    },
}

/// The body of a request, which clients may have compressed with gzip.
///
/// # Errors
/// [`Fault::invalid_input`] if it is compressed otherwise, badly, or to be far larger.
pub fn unpacked(request: &Request<Bytes>) -> Result<Bytes, Fault> {
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    match encoding.map(|encoding| encoding.to_str().unwrap_or_default()) {
        None | Some("" | "identity") => Ok(request.body().clone()),
        Some("gzip") => {
            let mut unpacked = Vec::new();
            let mut reader = MultiGzDecoder::new(&request.body()[..]).take(LARGEST_UNPACKED + 1);
            reader.read_to_end(&mut unpacked).map_err(|error| {
                Fault::invalid_input(format!("the body is not gzip, as it says: {error}"))
            })?;
            if unpacked.len() as u64 > LARGEST_UNPACKED {
                return Err(Fault::invalid_input(format!(
                    "the body unpacks to more than {LARGEST_UNPACKED} bytes"
                )));
            }
            Ok(unpacked.into())
        }
        Some(other) => Err(Fault::invalid_input(format!(
            "the body is encoded with `{other}`: expected gzip or nothing"
        ))),
    }
}

/// The members of a JSON body; none for an empty one.
///
/// # Errors
/// [`Fault::invalid_input`] if it is no JSON object.
pub fn members(body: &Bytes) -> Result<Map<String, Value>, Fault> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(other) => {
            let what = if other.is_array() { "a list" } else { "a single value" };
            Err(Fault::invalid_input(format!("the body must be a JSON object, not {what}")))
        }
        Err(error) => Err(Fault::invalid_input(format!("the body is not JSON: {error}"))),
    }
}

/// Writes an answer.
pub fn write_reply(
    reply: Reply,
    format: &Format,
    operation: &str,
    request_id: &str,
) -> Response<Bytes> {
    let (content_type, bytes) = match (reply.body, format) {
        (Body::Bytes { content_type, bytes }, _) => (content_type.to_owned(), bytes),
        (Body::Members(members), Format::RestJson) => {
            ("application/json".to_owned(), members.to_string().into())
        }
        (Body::Members(members), Format::AwsJson { version, .. }) => {
            (format!("application/x-amz-json-{version}"), members.to_string().into())
        }
        (Body::Members(members), Format::Cbor) => {
            (cbor::CONTENT_TYPE.to_owned(), cbor::write(&members).into())
        }
        (Body::Members(members), Format::Query { namespace }) => {
            ("text/xml".to_owned(), query::write(operation, namespace, &members, request_id).into())
        }
    };
    let mut response = response(reply.status, &content_type, bytes, request_id);
    if *format == Format::Cbor {
        insert(&mut response, cbor::HEADER, cbor::NAME);
    }
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Writes a refusal.
pub fn write_fault(fault: &Fault, format: &Format, request_id: &str) -> Response<Bytes> {
    let status = fault.status;
    let mut members = fault.members();
    match format {
        Format::RestJson => {
            members.insert("message".to_owned(), json!(fault.message));
            let body = Value::Object(members).to_string();
            let mut response = response(status, "application/json", body.into(), request_id);
            insert(&mut response, "x-amzn-errortype", &fault.code);
            response
        }
        Format::AwsJson { version, spoke_query } => {
            members.insert("__type".to_owned(), json!(fault.code));
            members.insert("message".to_owned(), json!(fault.message));
            members.insert("Message".to_owned(), json!(fault.message));
            let body = Value::Object(members).to_string();
            let kind = format!("application/x-amz-json-{version}");
            let mut response = response(status, &kind, body.into(), request_id);
            // Clients show what it says beside the error, so others must not have it.
            if *spoke_query {
                insert(&mut response, "x-amzn-query-error", &query_error(fault));
            }
            response
        }
        Format::Cbor => {
            members.insert("__type".to_owned(), json!(fault.code));
            members.insert("message".to_owned(), json!(fault.message));
            let body = cbor::write(&Value::Object(members));
            let mut response = response(status, cbor::CONTENT_TYPE, body.into(), request_id);
            insert(&mut response, cbor::HEADER, cbor::NAME);
            insert(&mut response, "x-amzn-query-error", &query_error(fault));
            response
        }
        Format::Query { namespace } => {
            let body = query::write_fault(fault, namespace, request_id);
            response(status, "text/xml", body.into(), request_id)
        }
    }
}

/// Services that once spoke query keep their old codes in a header.
fn query_error(fault: &Fault) -> String {
    let sender = if fault.status < 500 { "Sender" } else { "Receiver" };
    format!("{};{sender}", fault.query_code())
}

fn response(status: u16, content_type: &str, body: Bytes, request_id: &str) -> Response<Bytes> {
    let mut response = Response::new(body);
    if let Ok(status) = http::StatusCode::from_u16(status) {
        *response.status_mut() = status;
    }
    insert(&mut response, header::CONTENT_TYPE.as_str(), content_type);
    insert(&mut response, "x-amzn-requestid", request_id);
    response
}

fn insert(response: &mut Response<Bytes>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// No operation that takes members takes nearly as much.
const LARGEST_UNPACKED: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests;
