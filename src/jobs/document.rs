//! Job documents and the placeholders in them.
//!
//! The service does not care what a document says, but it puts presigned URLs into
//! it whenever a device asks. This file finds the placeholders, says which object
//! each is about, and puts the caller's URLs in; it signs nothing. Placeholders
//! of code signing are the console's business on AWS and stay as they are.

use iotstack_protocol::jobs::DOCUMENT_LIMIT;
use serde_json::Value;

use crate::error::{Error, Result, invalid};

/// What a presigned URL is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRequest {
    /// Whether the device will download or upload.
    pub purpose: Purpose,
    /// The region in the URL, if it names one.
    pub region: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// The key, decoded, with the variables of an upload filled in.
    pub key: String,
    /// Which version to download; the newest if absent.
    pub version_id: Option<String>,
}

/// What a device does with a presigned URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It gets the object.
    Download,
    /// It puts an object there.
    Upload,
}

/// For whom a document is written.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// The thing.
    pub thing: &'a str,
    /// The job.
    pub job: &'a str,
    /// Which attempt.
    pub number: u32,
}

/// Whether `document` holds something that [`substitute`] would replace.
pub fn has_placeholders(document: &str) -> bool {
    document.contains(PRESIGNED)
}

/// Puts a URL from `sign` in the place of every placeholder of `document`.
///
/// A placeholder that stands for no object was refused when the job was created,
/// so that nothing but the signing itself can fail here.
pub fn substitute<E>(
    document: &mut Value,
    recipient: Recipient<'_>,
    sign: &mut dyn FnMut(&ObjectRequest) -> std::result::Result<String, E>,
) -> std::result::Result<(), E> {
    match document {
        Value::String(text) if text.contains(PRESIGNED) => {
            let mut written = String::with_capacity(text.len() + 512);
            let mut rest = text.as_str();
            while let Some((before, placeholder, after)) = next(rest) {
                written.push_str(before);
                match parse(placeholder) {
                    Ok(mut object) => {
                        if object.purpose == Purpose::Upload {
                            object.key = bind(&object.key, recipient);
                        }
                        written.push_str(&sign(&object)?);
                    }
                    Err(_) => written.push_str(placeholder),
                }
                rest = after;
            }
            written.push_str(rest);
            *text = written;
            Ok(())
        }
        Value::Array(items) => {
            items.iter_mut().try_for_each(|item| substitute(item, recipient, sign))
        }
        Value::Object(fields) => {
            fields.values_mut().try_for_each(|field| substitute(field, recipient, sign))
        }
        _ => Ok(()),
    }
}

/// The object that a document source names: bucket, key and version.
///
/// Accepts the URLs of Amazon S3 in both styles, `s3://bucket/key`, and a path
/// below another endpoint, as the local cloud has one.
pub fn source(url: &str) -> Option<(String, String, Option<String>)> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let version = query.split('&').find_map(|pair| pair.strip_prefix("versionId="));
    let (bucket, key) = if let Some(path) = path.strip_prefix("s3://") {
        path.split_once('/')?
    } else {
        let rest = path.strip_prefix("https://").or_else(|| path.strip_prefix("http://"))?;
        let (host, path) = rest.split_once('/')?;
        match s3_host(host) {
            Some((Some(bucket), _)) => (bucket, path),
            _ => path.split_once('/')?,
        }
    };
    let key = percent_decode(key)?;
    (!bucket.is_empty() && !key.is_empty())
        .then(|| (bucket.to_owned(), key, version.map(str::to_owned)))
}

/// Judges a document that a job is created with; says whether URLs must be signed.
pub(crate) fn check(document: &str) -> Result<bool> {
    if document.len() > DOCUMENT_LIMIT {
        return invalid(format!(
            "the job document has {} bytes: expected at most {DOCUMENT_LIMIT}",
            document.len()
        ));
    }
    let parsed: Value = serde_json::from_str(document)
        .or_else(|error| invalid(format!("the job document is not valid JSON: {error}")))?;
    if !parsed.is_object() {
        return invalid("the job document is not a JSON object");
    }
    let mut signs = false;
    each_text(&parsed, &mut |text| {
        let mut rest = text;
        while let Some((_, placeholder, after)) = next(rest) {
            parse(placeholder)?;
            signs = true;
            rest = after;
        }
        match rest.find(PRESIGNED) {
            Some(at) => invalid(format!("the placeholder `{}` has no end", &rest[at..])),
            None => Ok(()),
        }
    })?;
    Ok(signs)
}

/// Puts `value` in the place of each `${aws:iot:parameter:…}`.
pub(crate) fn fill_parameters(
    document: &str,
    mut value: impl FnMut(&str) -> Option<String>,
) -> Result<String> {
    let mut parsed: Value = serde_json::from_str(document)
        .map_err(|e| Error::InvalidRequest(format!("the job document is not valid JSON: {e}")))?;
    fill(&mut parsed, &mut value)?;
    Ok(parsed.to_string())
}

fn fill(document: &mut Value, value: &mut dyn FnMut(&str) -> Option<String>) -> Result<()> {
    match document {
        Value::String(text) => {
            while let Some(start) = text.find(PARAMETER) {
                let from = start + PARAMETER.len();
                let Some(length) = text[from..].find('}') else { break };
                let name = &text[from..from + length];
                let Some(value) = value(name) else {
                    return invalid(format!("documentParameters has no value for `{name}`"));
                };
                // A value that holds a placeholder itself would never end.
                if value.contains(PARAMETER) {
                    return invalid(format!("documentParameters.{name} holds a placeholder"));
                }
                text.replace_range(start..=from + length, &value);
            }
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| fill(item, value)),
        Value::Object(fields) => fields.values_mut().try_for_each(|field| fill(field, value)),
        _ => Ok(()),
    }
}

fn each_text(value: &Value, visit: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().try_for_each(|item| each_text(item, visit)),
        Value::Object(fields) => fields.values().try_for_each(|field| each_text(field, visit)),
        _ => Ok(()),
    }
}

/// Splits `text` around its first complete placeholder.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find(PRESIGNED)?;
    // Braces nest: the variables of an upload have their own.
    let mut depth = 0_u32;
    for (offset, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some((&text[..start], &text[start..=offset], &text[offset + 1..]));
                }
            }
            _ => {}
        }
    }
    None
}

fn parse(placeholder: &str) -> Result<ObjectRequest> {
    let refuse = |reason: &str| {
        Error::InvalidRequest(format!("the placeholder `{placeholder}` is not valid: {reason}"))
    };
    let inner = &placeholder[PRESIGNED.len()..placeholder.len() - 1];
    let (form, url) = inner.split_once(':').ok_or_else(|| refuse("it names no URL"))?;
    let (purpose, encoded) = match form {
        "" | "-v1" => (Purpose::Download, false),
        "-v2" => (Purpose::Download, true),
        "-upload" => (Purpose::Upload, false),
        _ => return Err(refuse("expected s3-presigned-url, -v1, -v2 or -upload")),
    };
    if url.contains("${aws:iot:") {
        return Err(refuse("placeholders inside placeholders are made by the console only"));
    }
    let url = url
        .strip_prefix("https://")
        .or_else(|| if encoded { url.strip_prefix("https%3A%2F%2F") } else { None })
        .ok_or_else(|| refuse("expected an https URL of Amazon S3"))?;
    let (host, path) = url.split_once('/').unwrap_or((url, ""));
    let (bucket, region) =
        s3_host(host).ok_or_else(|| refuse("its host is not one of Amazon S3"))?;
    let (bucket, path) = match bucket {
        Some(bucket) => (bucket, path),
        None => path.split_once('/').unwrap_or((path, "")),
    };
    let (key, version_id) = if encoded {
        let (key, version) = match path.rsplit_once("%3FversionId%3D") {
            Some((key, version)) => (key, Some(version)),
            None => (path, None),
        };
        let decode = |part| percent_decode(part).ok_or_else(|| refuse("it is not percent-encoded"));
        (decode(key)?, version.map(decode).transpose()?)
    } else {
        if path.contains("?versionId=") {
            return Err(refuse("only the -v2 form can name a version"));
        }
        (path.to_owned(), None)
    };
    let needs_object = purpose == Purpose::Download;
    if needs_object && (bucket.is_empty() || key.is_empty()) {
        return Err(refuse("it names no bucket and key"));
    }
    for variable in VARIABLES {
        if key.matches(variable).count() > 2 {
            return Err(refuse("a variable may stand at most twice"));
        }
    }
    Ok(ObjectRequest { purpose, region, bucket: bucket.to_owned(), key, version_id })
}

/// The bucket, if it is in the host, and the region, if it is named.
fn s3_host(host: &str) -> Option<(Option<&str>, Option<String>)> {
    let at = host.rfind(".amazonaws.").or_else(|| {
        let suffixes = [".c2s.ic.gov", ".sc2s.sgov.gov", ".csp.hci.ic.gov", ".cloud.adc-e.uk"];
        suffixes.iter().find_map(|suffix| host.ends_with(suffix).then(|| host.len() - suffix.len()))
    })?;
    let name = &host[..at];
    let (bucket, service) = match name.rsplit_once(".s3") {
        Some((bucket, rest)) if rest.is_empty() || rest.starts_with(['.', '-']) => {
            (Some(bucket), rest)
        }
        _ => (None, name.strip_prefix("s3")?),
    };
    let region = match service {
        "" => None,
        _ => Some(service.strip_prefix(['.', '-'])?.to_owned()),
    };
    Some((bucket.filter(|bucket| !bucket.is_empty()), region))
}

fn bind(key: &str, recipient: Recipient<'_>) -> String {
    let [thing, job, number] = VARIABLES;
    let key = if key.is_empty() { "${thingName}/${jobId}/${executionNumber}" } else { key };
    key.replace(thing, recipient.thing)
        .replace(job, recipient.job)
        .replace(number, &recipient.number.to_string())
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

const PRESIGNED: &str = "${aws:iot:s3-presigned-url";
const PARAMETER: &str = "${aws:iot:parameter:";
const VARIABLES: [&str; 3] = ["${thingName}", "${jobId}", "${executionNumber}"];

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn objects(document: &Value) -> (Value, Vec<ObjectRequest>) {
        let (mut document, mut found) = (document.clone(), Vec::new());
        let recipient = Recipient { thing: "lamp-1", job: "j1", number: 2 };
        let Ok(()) = substitute(&mut document, recipient, &mut |object| {
            found.push(object.clone());
            Ok::<_, Infallible>(format!("<{}>", found.len()))
        });
        (document, found)
    }

    fn object(text: &str) -> ObjectRequest {
        let (written, mut found) = objects(&json!({ "url": text }));
        assert_eq!(written, json!({"url": "<1>"}), "{text}");
        found.remove(0)
    }

    #[test]
    fn finds_the_object_of_every_form() {
        let v2 = "${aws:iot:s3-presigned-url-v2:https://firmware.s3.eu-central-1.amazonaws.com/a%20b/c%3FversionId%3Dv%2F1}";
        let v2 = object(v2);
        assert_eq!((v2.bucket.as_str(), v2.key.as_str()), ("firmware", "a b/c"));
        assert_eq!(v2.region.as_deref(), Some("eu-central-1"));
        assert_eq!(v2.version_id.as_deref(), Some("v/1"));
        for text in [
            "${aws:iot:s3-presigned-url:https://s3.eu-central-1.amazonaws.com/firmware/a%20b}",
            "${aws:iot:s3-presigned-url-v1:https://firmware.s3.eu-central-1.amazonaws.com/a%20b}",
        ] {
            let v1 = object(text);
            assert_eq!((v1.bucket.as_str(), v1.key.as_str()), ("firmware", "a%20b"), "{text}");
            assert_eq!(v1.version_id, None);
        }
        let global = object("${aws:iot:s3-presigned-url:https://s3.amazonaws.com/b/k}");
        assert_eq!((global.region, global.bucket.as_str()), (None, "b"));
        let dotted = object(
            "${aws:iot:s3-presigned-url-v2:https://s3.cn-north-1.amazonaws.com.cn/a.b/k%3FversionId%3D1}",
        );
        assert_eq!((dotted.bucket.as_str(), dotted.key.as_str()), ("a.b", "k"));
    }

    #[test]
    fn reads_where_a_document_lies() {
        let found = Some(("b".to_owned(), "a b/c.json".to_owned(), None));
        for url in [
            "https://s3.eu-central-1.amazonaws.com/b/a%20b/c.json",
            "https://s3.amazonaws.com/b/a b/c.json",
            "https://b.s3.eu-central-1.amazonaws.com/a%20b/c.json",
            "https://b.s3.amazonaws.com/a%20b/c.json",
            "http://127.0.0.1:4566/b/a%20b/c.json",
            "s3://b/a b/c.json",
        ] {
            assert_eq!(source(url), found, "{url}");
        }
        let version = source("s3://b/k?versionId=v1").and_then(|(_, _, version)| version);
        assert_eq!(version.as_deref(), Some("v1"));
        for url in ["", "b/k", "https://s3.amazonaws.com/", "s3://b", "s3://b/%zz"] {
            assert_eq!(source(url), None, "{url}");
        }
    }

    #[test]
    fn binds_the_variables_of_an_upload() {
        let upload = object(
            "${aws:iot:s3-presigned-url-upload:https://s3.us-east-1.amazonaws.com/logs/${thingName}/${jobId}-${executionNumber}.txt}",
        );
        assert_eq!(upload.purpose, Purpose::Upload);
        assert_eq!((upload.bucket.as_str(), upload.key.as_str()), ("logs", "lamp-1/j1-2.txt"));
    }

    #[test]
    fn replaces_only_placeholders_wherever_they_stand() {
        let one = "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/b/k}";
        let (written, found) = objects(&json!({
            "list": [format!("{one} and {one}"), 1], "plain": "https://s3.us-east-1.amazonaws.com/b/k",
            "sign": "${aws:iot:code-sign-signature:s3://us-east-1.b/k@v}",
        }));
        assert_eq!(found.len(), 2);
        assert_eq!(
            written,
            json!({
                "list": ["<1> and <2>", 1], "plain": "https://s3.us-east-1.amazonaws.com/b/k",
                "sign": "${aws:iot:code-sign-signature:s3://us-east-1.b/k@v}",
            })
        );
    }

    #[test]
    fn refuses_documents_that_could_never_be_handed_out() {
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(DOCUMENT_LIMIT));
        for (document, part) in [
            ("{", "is not valid JSON"),
            ("[1]", "is not a JSON object"),
            (large.as_str(), "expected at most 32768"),
            (r#"{"a":"${aws:iot:s3-presigned-url:ftp://x}"}"#, "expected an https URL"),
            (r#"{"a":"${aws:iot:s3-presigned-url:https://example.com/b/k}"}"#, "its host"),
            (r#"{"a":"${aws:iot:s3-presigned-url-v3:https://s3.amazonaws.com/b/k}"}"#, "-upload"),
            (r#"{"a":"${aws:iot:s3-presigned-url:https://s3.amazonaws.com/b"}"#, "has no end"),
            (
                r#"{"a":"${aws:iot:s3-presigned-url:https://s3.amazonaws.com/b}"}"#,
                "no bucket and key",
            ),
            (
                r#"{"a":"${aws:iot:s3-presigned-url:${aws:iot:code-sign-signature:s3://b/k@v}}"}"#,
                "made by the console only",
            ),
            (
                r#"{"a":"${aws:iot:s3-presigned-url-upload:https://s3.amazonaws.com/b/${jobId}${jobId}${jobId}}"}"#,
                "at most twice",
            ),
            (
                r#"{"a":"${aws:iot:s3-presigned-url:https://s3.amazonaws.com/b/k?versionId=1}"}"#,
                "only the -v2 form",
            ),
        ] {
            let error = check(document).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(check("{}"), Ok(false));
    }

    #[test]
    fn fills_the_parameters_of_a_managed_template() {
        let document =
            r#"{"args":["${aws:iot:parameter:packages}"],"user":"${aws:iot:parameter:u}"}"#;
        let value = |name: &str| (name == "packages").then(|| "a\"b".to_owned());
        let error = fill_parameters(document, value).unwrap_err().to_string();
        assert_eq!(error, "documentParameters has no value for `u`");
        let filled = fill_parameters(document, |_| Some("a\"b".to_owned())).unwrap();
        assert_eq!(filled, r#"{"args":["a\"b"],"user":"a\"b"}"#);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics(text in r"(\$\{aws:iot:s3-presigned-url(-v2|-upload)?:https://)?[a-z.{}$/%?=3é]{0,40}\}?") {
            let _ = check(&json!({"a": text}).to_string());
            objects(&json!({"a": text}));
        }
    }
}
