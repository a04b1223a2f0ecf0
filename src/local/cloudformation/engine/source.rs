//! Where a template's text comes from: the request, a bucket, or the stack itself.
//!
//! URLs are read through the port of objects. Path style on any host and AWS's
//! virtual-host style are understood, with `versionId`; what a host is called
//! does not matter, as there is only one cloud.

use iotstack_local_kernel::Cloud;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::{Error, Result};

/// The template of a request; nothing if the request names none.
///
/// # Errors
/// Both forms at once, a text that is too large, a URL that leads nowhere.
pub async fn read(cloud: &Cloud, body: Option<&str>, url: Option<&str>) -> Result<Option<String>> {
    match (body, url) {
        (Some(_), Some(_)) => {
            Err(Error::invalid("only one of TemplateBody and TemplateURL can be given"))
        }
        (Some(""), None) => Err(Error::invalid("TemplateBody must have at least one character")),
        (Some(body), None) if body.len() > INLINE => Err(Error::invalid(format!(
            "TemplateBody has {} bytes; at most {INLINE} are accepted, up to {IN_A_BUCKET} through TemplateURL",
            body.len()
        ))),
        (Some(body), None) => Ok(Some(body.to_owned())),
        (None, Some(url)) => fetch(cloud, url).await.map(Some),
        (None, None) => Ok(None),
    }
}

/// Reads the template behind a URL.
///
/// # Errors
/// As [`object`].
pub async fn fetch(cloud: &Cloud, url: &str) -> Result<String> {
    object(cloud, "TemplateURL", url, IN_A_BUCKET).await
}

/// Reads the text that a member of a request names by its URL.
///
/// # Errors
/// A URL that is none of a bucket, an object that cannot be read, too many bytes.
pub async fn object(cloud: &Cloud, member: &str, url: &str, most: usize) -> Result<String> {
    let location = Location::parse(url).ok_or_else(|| {
        Error::invalid(format!("{member} `{url}` must be the URL of an object in S3"))
    })?;
    let object = cloud
        .ports
        .objects()?
        .get(&location.bucket, &location.key, location.version.as_deref())
        .await
        .map_err(|fault| Error::invalid(format!("S3 error: {}", fault.message)))?;
    if object.bytes.len() > most {
        return Err(Error::invalid(format!(
            "what {member} {url} names has {} bytes; at most {most} are accepted",
            object.bytes.len()
        )));
    }
    String::from_utf8(object.bytes.to_vec())
        .map_err(|_| Error::invalid(format!("what {member} {url} names is not text in UTF-8")))
}

/// Reads a template's text as a value with the sections of a template.
///
/// # Errors
/// Where the text is no JSON or YAML, or no object.
pub fn parse(text: &str) -> Result<Value> {
    let value = super::parse_value(text)?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Error::invalid("Template format error: unsupported structure; an object is needed"))
    }
}

/// An object that a URL names.
#[derive(Debug, PartialEq, Eq)]
struct Location {
    bucket: String,
    key: String,
    version: Option<String>,
}

impl Location {
    fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
        let (host, path) = rest.split_once('/')?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let version = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("versionId="))
            .map(|version| decoded(version).into_owned());
        let host = host.split(':').next().unwrap_or(host);
        let bucket = [".s3.", ".s3-"]
            .iter()
            .find_map(|mark| host.find(mark))
            .filter(|_| host.contains(".amazonaws.com") || host.contains("localhost"))
            .map(|place| &host[..place]);
        let (bucket, key) = match bucket {
            Some(bucket) => (bucket, path),
            None => path.split_once('/')?,
        };
        let (bucket, key) = (decoded(bucket).into_owned(), decoded(key).into_owned());
        (!bucket.is_empty() && !key.is_empty()).then_some(Location { bucket, key, version })
    }
}

fn decoded(text: &str) -> std::borrow::Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The bytes of a template inside of a request.
const INLINE: usize = 51_200;

/// The bytes of a template in a bucket.
const IN_A_BUCKET: usize = 1_048_576;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls_of_every_style() {
        let at = |bucket: &str, key: &str, version: Option<&str>| {
            Some(Location {
                bucket: bucket.into(),
                key: key.into(),
                version: version.map(str::to_owned),
            })
        };
        for (url, expected) in [
            ("http://127.0.0.1:4566/b/a/c.json", at("b", "a/c.json", None)),
            ("https://s3.eu-west-1.amazonaws.com/b/k%20k", at("b", "k k", None)),
            ("https://b.s3.amazonaws.com/k", at("b", "k", None)),
            ("https://my.b.s3.us-east-1.amazonaws.com/k?versionId=v", at("my.b", "k", Some("v"))),
            ("https://b.s3-us-west-2.amazonaws.com/k", at("b", "k", None)),
            ("s3://b/k", None),
            ("https://s3.amazonaws.com/b", None),
            ("https://s3.amazonaws.com//k", None),
        ] {
            assert_eq!(Location::parse(url), expected, "{url}");
        }
    }
}
