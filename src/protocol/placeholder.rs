//! The placeholder that AWS IoT Jobs replaces with a presigned S3 URL.
//!
//! A device has no credentials for S3. The job document therefore holds a
//! placeholder, and AWS IoT puts a fresh presigned URL in its place whenever the
//! device asks for the document. The second form of the placeholder is used,
//! because only that one can name a version of the object: a device must
//! download the bytes that were signed, whatever has been put there since.
//!
//! Nothing here signs a URL or asks whether the object exists.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// One version of one object in S3.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectVersion {
    region: String,
    bucket: String,
    key: String,
    version_id: String,
}

impl ObjectVersion {
    /// Names an object version that a presigned URL can lead to.
    pub fn new(region: &str, bucket: &str, key: &str, version_id: &str) -> Result<Self> {
        check("region", region, is_region(region), "expected a name such as `eu-central-1`")?;
        check(
            "bucket",
            bucket,
            is_bucket(bucket),
            "expected 3 to 63 lowercase letters, digits, dots and hyphens",
        )?;
        check("key", key, (1..=1024).contains(&key.len()), "expected 1 to 1024 bytes")?;
        // Every HTTP client resolves such segments before it sends the request,
        // so the URL would ask for another object than the one that was signed.
        let is_relative = key.split('/').any(|segment| matches!(segment, "." | ".."));
        check("key", key, !is_relative, "a segment `.` or `..` is resolved by HTTP clients")?;
        check(
            "version id",
            version_id,
            !matches!(version_id, "" | "null") && version_id.bytes().all(|b| b.is_ascii_graphic()),
            "expected the id of a version in a versioned bucket",
        )?;
        Ok(ObjectVersion {
            region: region.to_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version_id: version_id.to_owned(),
        })
    }

    /// The region of the bucket.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key, as it is, without any encoding.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The id of the version.
    pub fn version_id(&self) -> &str {
        &self.version_id
    }

    /// The placeholder for a job document.
    pub fn placeholder(&self) -> String {
        let domain = domain_suffix(&self.region);
        // A dot in the bucket's name would put it outside of the wildcard
        // certificate of the virtual host, so such a bucket moves into the path.
        let (host, path) = if self.bucket.contains('.') {
            (format!("s3.{}.{domain}", self.region), format!("{}/", self.bucket))
        } else {
            (format!("{}.s3.{}.{domain}", self.bucket, self.region), String::new())
        };
        let key = percent_encode(&self.key, b"/");
        let version = percent_encode(&self.version_id, b"");
        format!("{OPEN}{host}/{path}{key}%3FversionId%3D{version}}}")
    }
}

impl fmt::Display for ObjectVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.placeholder())
    }
}

impl FromStr for ObjectVersion {
    type Err = Error;

    /// Reads a placeholder as [`ObjectVersion::placeholder`] writes it.
    fn from_str(text: &str) -> Result<Self> {
        let refuse =
            |reason| Error::InvalidObject { part: "placeholder", value: text.to_owned(), reason };
        let url = text
            .strip_prefix(OPEN)
            .and_then(|rest| rest.strip_suffix('}'))
            .ok_or_else(|| refuse("expected `${aws:iot:s3-presigned-url-v2:https://…}`"))?;
        let (host, path) = url.split_once('/').ok_or_else(|| refuse("the URL has no path"))?;
        let (path, version) = path
            .rsplit_once("%3FversionId%3D")
            .ok_or_else(|| refuse("the URL names no version of the object"))?;
        let decode = |part| percent_decode(part).ok_or_else(|| refuse("it is not percent-encoded"));
        let (bucket, host, key) = match host.strip_prefix("s3.") {
            Some(host) => {
                let (bucket, key) =
                    path.split_once('/').ok_or_else(|| refuse("the URL names no bucket"))?;
                (bucket, host, key)
            }
            None => {
                let (bucket, host) = host
                    .split_once(".s3.")
                    .ok_or_else(|| refuse("its host is not one of Amazon S3"))?;
                (bucket, host, path)
            }
        };
        let region = host.split('.').next().unwrap_or_default();
        if host != format!("{region}.{}", domain_suffix(region)) {
            return Err(refuse("its host is not one of Amazon S3"));
        }
        ObjectVersion::new(region, bucket, &decode(key)?, &decode(version)?)
    }
}

/// The domain under which AWS serves `region`, such as `amazonaws.com`.
pub fn domain_suffix(region: &str) -> &'static str {
    let suffixes = [
        ("cn-", "amazonaws.com.cn"),
        ("eusc-", "amazonaws.eu"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-isof-", "csp.hci.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
    ];
    let found = suffixes.iter().find(|(prefix, _)| region.starts_with(prefix));
    found.map_or("amazonaws.com", |(_, suffix)| suffix)
}

fn check(part: &'static str, value: &str, is_valid: bool, reason: &'static str) -> Result<()> {
    if is_valid {
        return Ok(());
    }
    Err(Error::InvalidObject { part, value: value.to_owned(), reason })
}

fn is_region(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_bucket(text: &str) -> bool {
    (3..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b))
}

fn percent_encode(text: &str, keep: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

const OPEN: &str = "${aws:iot:s3-presigned-url-v2:https://";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn placeholder(region: &str, bucket: &str, key: &str) -> String {
        ObjectVersion::new(region, bucket, key, "v.1").unwrap().placeholder()
    }

    #[test]
    fn names_the_version_inside_the_encoded_url() {
        assert_eq!(
            placeholder("eu-central-1", "firmware-dev", "lamp/1.1.0/image.bin"),
            "${aws:iot:s3-presigned-url-v2:https://firmware-dev.s3.eu-central-1.amazonaws.com/\
             lamp/1.1.0/image.bin%3FversionId%3Dv.1}"
        );
    }

    #[test]
    fn encodes_what_would_end_the_placeholder_or_the_path() {
        let text = placeholder("us-east-1", "firmware", "a}b?c&d e+%ü.bin");
        assert!(text.contains("/a%7Db%3Fc%26d%20e%2B%25%C3%BC.bin%3FversionId%3D"), "{text}");
    }

    #[test]
    fn follows_the_partition_of_the_region() {
        assert!(
            placeholder("cn-north-1", "firmware", "a")
                .contains("//firmware.s3.cn-north-1.amazonaws.com.cn/a")
        );
        assert!(
            placeholder("us-gov-west-1", "firmware", "a")
                .contains("//firmware.s3.us-gov-west-1.amazonaws.com/a")
        );
        assert_eq!(domain_suffix("eusc-de-east-1"), "amazonaws.eu");
        assert_eq!(domain_suffix("us-isob-east-1"), "sc2s.sgov.gov");
    }

    #[test]
    fn moves_a_bucket_with_dots_into_the_path() {
        assert!(
            placeholder("us-east-1", "firmware.example", "a/b")
                .contains("//s3.us-east-1.amazonaws.com/firmware.example/a/b%3F")
        );
    }

    #[test]
    fn refuses_objects_that_a_url_cannot_reach() {
        for (bucket, key, version) in [
            ("Firmware", "a", "1"),
            ("fw", "a", "1"),
            ("firmware", "", "1"),
            ("firmware", "a/../b", "1"),
            ("firmware", "a", "null"),
            ("firmware", "a", ""),
        ] {
            assert!(
                ObjectVersion::new("us-east-1", bucket, key, version).is_err(),
                "{bucket} {key} {version}"
            );
        }
    }

    #[test]
    fn refuses_placeholders_of_another_form() {
        for text in [
            "https://firmware.s3.us-east-1.amazonaws.com/a",
            "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/firmware/a}",
            "${aws:iot:s3-presigned-url-v2:https://firmware.s3.us-east-1.amazonaws.com/a}",
            "${aws:iot:s3-presigned-url-v2:https://firmware.s3.us-east-1.example.com/a%3FversionId%3D1}",
        ] {
            assert!(text.parse::<ObjectVersion>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(
            region in "(us|eu|cn|eusc-de|us-iso|us-gov)-(east|west)-[1-9]",
            bucket in "[a-z0-9][a-z0-9.-]{1,40}[a-z0-9]",
            key in "[^./\\x00][^\\x00]{0,60}",
            version in "[!-~]{1,40}",
        ) {
            prop_assume!(version != "null");
            // A bucket called `x.s3.y` reads like a host; those are not proven here.
            prop_assume!(!bucket.contains("s3"));
            if let Ok(object) = ObjectVersion::new(&region, &bucket, &key, &version) {
                let text = object.placeholder();
                prop_assert_eq!(text.find('}'), Some(text.len() - 1));
                prop_assert_eq!(text.parse::<ObjectVersion>(), Ok(object));
            }
        }

        #[test]
        fn nothing_makes_parsing_panic(text in "\\PC{0,100}") {
            let _ = text.parse::<ObjectVersion>();
            let _ = format!("{OPEN}{text}}}").parse::<ObjectVersion>();
        }
    }
}
