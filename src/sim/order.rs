//! The job document as a device reads it: what to install, from where, how to know it.
//!
//! A device must understand documents that the rest of this house would never
//! write, because telling a wrong algorithm from an unreadable document is its duty.
//! So this reader is lenient about what it does not need and exact about what it
//! does. Two forms are understood: the firmware document of the ready stack, and the
//! `afr_ota` document of CreateOTAUpdate.
//!
//! Whether the image may be installed is not decided here.

use iotstack_protocol::jobs::Sha256Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::outcome::{Outcome, Reason};
use crate::trust::Claim;

/// What a device is told to install.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The version, if the document says it.
    pub version: Option<String>,
    /// Where the image is.
    pub source: Source,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest, if the document says it.
    pub sha256: Option<Sha256Digest>,
    /// Its signature.
    pub claim: Claim,
    /// From when on the order must no longer be followed, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Grows with each release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// Where an image is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// At a URL that lets in whoever has it, for a while.
    Url(String),
    /// In a file of an MQTT stream.
    Stream {
        /// The stream.
        name: String,
        /// The file in it.
        file: u8,
    },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // The query holds a signature that opens the object.
            Source::Url(url) => {
                let place = url.split_once('?').map_or(url.as_str(), |(place, _)| place);
                f.debug_tuple("Url").field(&place).finish()
            }
            Source::Stream { name, file } => {
                f.debug_struct("Stream").field("name", name).field("file", file).finish()
            }
        }
    }
}

impl Order {
    /// Reads a job document.
    ///
    /// The outcome of a document that cannot be followed names the field, what it
    /// holds, and what would be accepted.
    pub fn read(document: &Value) -> Result<Order, Outcome> {
        match document {
            Value::Object(fields) if fields.contains_key("afr_ota") => {
                stream_or_url(&fields["afr_ota"])
            }
            Value::Object(_) => firmware_update(document),
            // Over HTTP the document is a string with JSON in it.
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                Ok(inner @ Value::Object(_)) => Order::read(&inner),
                _ => Err(unreadable("document", document, "a JSON object")),
            },
            _ => Err(unreadable("document", document, "a JSON object")),
        }
    }

    /// Whether another order asks for the same bytes, wherever they are now.
    pub fn is_same_image(&self, other: &Order) -> bool {
        (self.size, &self.sha256, &self.claim, &self.version)
            == (other.size, &other.sha256, &other.claim, &other.version)
    }
}

fn firmware_update(document: &Value) -> Result<Order, Outcome> {
    expect_word(document, "/version", "1.0")?;
    expect_word(document, "/operation", "firmware_update")?;
    let version = text(document, "/firmware/version")?;
    if version.parse::<iotstack_protocol::FirmwareVersion>().is_err() {
        let found = &document["firmware"]["version"];
        return Err(unreadable("firmware.version", found, "a firmware version"));
    }
    let url = text(document, "/firmware/url")?;
    let size = number(document, "/firmware/size")?;
    let sha256 = text(document, "/firmware/sha256")?.parse().map_err(|_| {
        let found = &document["firmware"]["sha256"];
        unreadable("firmware.sha256", found, "64 lowercase hexadecimal digits")
    })?;
    // An image without a signature is refused for that, not as unreadable.
    let signature = document.pointer("/firmware/signature");
    let claim = match signature {
        None | Some(Value::Null) => Claim::default(),
        Some(signature) => {
            let part = |name: &str| match signature.get(name) {
                Some(Value::String(text)) => text.clone(),
                _ => String::new(),
            };
            Claim {
                algorithm: part("algorithm"),
                value: part("value"),
                certificate: part("certificate"),
            }
        }
    };
    Ok(Order {
        version: Some(version.to_owned()),
        source: Source::Url(url.to_owned()),
        size,
        sha256: Some(sha256),
        claim,
        expires: document.get("expires").and_then(Value::as_u64),
        sequence: document.get("sequence").and_then(Value::as_u64),
    })
}

/// The document of CreateOTAUpdate; of its files the first is the image.
fn stream_or_url(ota: &Value) -> Result<Order, Outcome> {
    let file = ota
        .pointer("/files/0")
        .ok_or_else(|| unreadable("afr_ota.files", &ota["files"], "a list with one file"))?;
    let size = number(file, "/filesize")?;
    let algorithms = ["sig-sha256-ecdsa", "sig-sha256-rsa", "sig-sha1-rsa", "sig-sha1-ecdsa"];
    let signature = algorithms.iter().find_map(|name| Some((*name, file.get(*name)?.as_str()?)));
    let claim = match signature {
        None => Claim::default(),
        Some((algorithm, value)) => Claim {
            algorithm: algorithm.to_owned(),
            value: value.to_owned(),
            certificate: text(file, "/certfile").unwrap_or_default().to_owned(),
        },
    };
    let protocols = ota.get("protocols").and_then(Value::as_array);
    let prefers_http = protocols.and_then(|all| all.first()).is_some_and(|first| first == "HTTP");
    let url = file.get("update_data_url").and_then(Value::as_str);
    let stream = ota.get("streamname").and_then(Value::as_str);
    let source = match (url, stream) {
        (Some(url), None) => Source::Url(url.to_owned()),
        (Some(url), Some(_)) if prefers_http => Source::Url(url.to_owned()),
        (_, Some(stream)) => {
            let found = file.get("fileid").and_then(Value::as_u64);
            let file = found.and_then(|file| u8::try_from(file).ok()).ok_or_else(|| {
                unreadable("afr_ota.files[0].fileid", &file["fileid"], "a number from 0 to 255")
            })?;
            Source::Stream { name: stream.to_owned(), file }
        }
        (None, None) => {
            return Err(unreadable("afr_ota.streamname", &Value::Null, "a stream or a URL"));
        }
    };
    Ok(Order { version: None, source, size, sha256: None, claim, expires: None, sequence: None })
}

fn expect_word(document: &Value, pointer: &str, expected: &str) -> Result<(), Outcome> {
    match document.pointer(pointer) {
        Some(Value::String(found)) if found == expected => Ok(()),
        found => Err(unreadable(&dotted(pointer), found.unwrap_or(&Value::Null), expected)),
    }
}

fn text<'a>(document: &'a Value, pointer: &str) -> Result<&'a str, Outcome> {
    match document.pointer(pointer) {
        Some(Value::String(text)) => Ok(text),
        found => Err(unreadable(&dotted(pointer), found.unwrap_or(&Value::Null), "text")),
    }
}

fn number(document: &Value, pointer: &str) -> Result<u64, Outcome> {
    let found = document.pointer(pointer).unwrap_or(&Value::Null);
    found.as_u64().ok_or_else(|| unreadable(&dotted(pointer), found, "a number of bytes"))
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn unreadable(field: &str, found: &Value, expected: &str) -> Outcome {
    let found: String = found.to_string().chars().take(100).collect();
    Outcome::new(Reason::Document, format!("`{field}` is {found}: expected {expected}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({"version": "1.0", "operation": "firmware_update", "firmware": {
            "version": "1.1.0", "url": "https://h/k?X-Amz-Signature=s3cret", "size": 10,
            "sha256": "ab".repeat(32),
            "signature": {"algorithm": "SHA256withECDSA", "value": "MEUCIQ==", "certificate": "c"}}})
    }

    #[test]
    fn reads_what_the_firmware_manager_writes() {
        let order = Order::read(&document()).unwrap();
        assert_eq!((order.version.as_deref(), order.size), (Some("1.1.0"), 10));
        assert_eq!(order.sha256, Some(Sha256Digest([0xab; 32])));
        assert_eq!(order.claim.certificate, "c");
        assert_eq!(Order::read(&Value::String(document().to_string())).unwrap(), order);
    }

    #[test]
    fn shows_no_signature_of_a_url() {
        let order = Order::read(&document()).unwrap();
        assert!(!format!("{order:?}").contains("s3cret"), "{order:?}");
    }

    #[test]
    fn reads_the_document_of_an_ota_update() {
        let mut document = json!({"afr_ota": {"protocols": ["MQTT"], "streamname": "AFR_OTA-1",
            "files": [{"filepath": "/fw", "filesize": 9, "fileid": 3, "certfile": "c",
                       "sig-sha256-ecdsa": "MEUCIQ=="}]}});
        let order = Order::read(&document).unwrap();
        assert_eq!(order.source, Source::Stream { name: "AFR_OTA-1".to_owned(), file: 3 });
        assert_eq!(order.claim.algorithm, "sig-sha256-ecdsa");
        document["afr_ota"]["files"][0]["update_data_url"] = json!("https://h/k");
        assert!(matches!(Order::read(&document).unwrap().source, Source::Stream { .. }));
        document["afr_ota"]["protocols"] = json!(["HTTP", "MQTT"]);
        assert!(matches!(Order::read(&document).unwrap().source, Source::Url(_)));
    }

    #[test]
    fn an_image_without_signature_can_be_read() {
        let mut document = document();
        document["firmware"]["signature"] = Value::Null;
        assert_eq!(Order::read(&document).unwrap().claim, Claim::default());
    }

    #[test]
    fn says_what_is_wrong_with_a_document() {
        for (pointer, value, message) in [
            ("/version", json!("2.0"), "`version` is \"2.0\": expected 1.0"),
            ("/operation", json!(5), "`operation` is 5: expected firmware_update"),
            ("/firmware/size", json!(-1), "`firmware.size` is -1: expected a number of bytes"),
            ("/firmware/url", json!(null), "`firmware.url` is null: expected text"),
            (
                "/firmware/sha256",
                json!("xy"),
                "`firmware.sha256` is \"xy\": expected 64 lowercase hexadecimal digits",
            ),
        ] {
            let mut document = document();
            *document.pointer_mut(pointer).unwrap() = value;
            let outcome = Order::read(&document).unwrap_err();
            assert_eq!((outcome.reason, outcome.detail.as_str()), (Reason::Document, message));
        }
        for other in [json!(null), json!([1]), json!("x"), json!({}), json!({"afr_ota": 1})] {
            assert_eq!(Order::read(&other).unwrap_err().reason, Reason::Document, "{other}");
        }
    }
}
