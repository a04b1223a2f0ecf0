//! The job document: what a device is told to install.
//!
//! AWS IoT Jobs does not prescribe the contents of a document, so this is the
//! agreement between the firmware update manager and the devices. A device finds
//! in it everything that it needs to refuse a wrong image before it runs it: the
//! size and the SHA-256 of the bytes, Signer's signature, and which certificate
//! to verify it with.
//!
//! On the cloud's side `url` holds a placeholder, on the device's side the
//! presigned URL that AWS IoT has put there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{CertificateName, FirmwareVersion};
use crate::signing::{SignatureAlgorithm, is_der_in_base64};
use crate::word::words;
use crate::{DetachedSignature, Error, ObjectVersion, Result};

/// The largest job document that AWS IoT Jobs accepts, in bytes.
pub const DOCUMENT_LIMIT: usize = 32_768;

/// What a device is told to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobDocument {
    /// The version of this format.
    pub version: FormatVersion,
    /// What to do.
    pub operation: Operation,
    /// What to install.
    pub firmware: Firmware,
}

words! {
    /// The version of the document's format.
    pub enum FormatVersion as "job document version" {
        /// The only one so far.
        V1 = "1.0",
    }
}

words! {
    /// What a job document can ask for.
    pub enum Operation as "operation" {
        /// Download, verify and install a firmware image.
        FirmwareUpdate = "firmware_update",
    }
}

/// A firmware image and how to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// The version that the device will run afterwards.
    pub version: FirmwareVersion,
    /// Where to download it: a placeholder, or the URL that has replaced it.
    pub url: String,
    /// The size of the image in bytes.
    pub size: u64,
    /// The SHA-256 of the image.
    pub sha256: Sha256Digest,
    /// The signature of the image.
    pub signature: Signature,
}

/// The signature of a firmware image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// How the signature was made.
    pub algorithm: SignatureAlgorithm,
    /// The signature, DER, in base64.
    pub value: String,
    /// The certificate on the device that verifies it.
    pub certificate: CertificateName,
}

impl JobDocument {
    /// The document of a firmware update.
    ///
    /// Fails if `signature` is not a signature of all `size` bytes of `object`.
    pub fn firmware_update(
        version: FirmwareVersion,
        object: &ObjectVersion,
        size: u64,
        sha256: Sha256Digest,
        signature: &DetachedSignature,
        certificate: CertificateName,
    ) -> Result<Self> {
        let algorithm = signature.check(object, size)?;
        Ok(JobDocument {
            version: FormatVersion::V1,
            operation: Operation::FirmwareUpdate,
            firmware: Firmware {
                version,
                url: object.placeholder(),
                size,
                sha256,
                signature: Signature { algorithm, value: signature.signature.clone(), certificate },
            },
        })
    }

    /// The document as text for CreateJob; fails if AWS IoT would refuse its size.
    pub fn to_json(&self) -> Result<String> {
        let text = serde_json::to_string(self).map_err(not_json)?;
        check_size(text.len())?;
        Ok(text)
    }

    /// Reads a document.
    pub fn from_json(text: &str) -> Result<Self> {
        check_size(text.len())?;
        let document: JobDocument = serde_json::from_str(text).map_err(not_json)?;
        let value = &document.firmware.signature.value;
        if !is_der_in_base64(value) {
            return Err(Error::InvalidField {
                field: "firmware.signature.value",
                value: value.clone(),
                expected: "a DER signature in base64",
            });
        }
        Ok(document)
    }
}

/// A SHA-256 digest, in JSON as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Digest(pub [u8; 32]);

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Digest({self})")
    }
}

impl FromStr for Sha256Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::InvalidField {
            field: "sha256",
            value: text.to_owned(),
            expected: "64 lowercase hexadecimal digits",
        };
        let is_hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() != 64 || !is_hex {
            return Err(refused());
        }
        let mut digest = [0; 32];
        for (index, byte) in digest.iter_mut().enumerate() {
            let digits = &text[2 * index..2 * index + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| refused())?;
        }
        Ok(Sha256Digest(digest))
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> String {
        digest.to_string()
    }
}

fn check_size(size: usize) -> Result<()> {
    if size > DOCUMENT_LIMIT {
        return Err(Error::DocumentTooLarge { size, limit: DOCUMENT_LIMIT });
    }
    Ok(())
}

fn not_json(error: serde_json::Error) -> Error {
    Error::InvalidJson { what: "job document", reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signing::{PayloadLocation, S3Location};

    fn document(certificate: &str, size: u64) -> JobDocument {
        let object = ObjectVersion::new("eu-central-1", "firmware-dev", "lamp.bin", "v1").unwrap();
        let signature = DetachedSignature {
            raw_payload_size: size,
            signature: "MEUCIQD0+/8=".to_owned(),
            signature_algorithm: "SHA256withECDSA".to_owned(),
            payload_location: PayloadLocation {
                s3: S3Location {
                    bucket_name: "firmware-dev".to_owned(),
                    key: "lamp.bin".to_owned(),
                    version: "v1".to_owned(),
                },
            },
        };
        JobDocument::firmware_update(
            "1.1.0".parse().unwrap(),
            &object,
            size,
            Sha256Digest([0xab; 32]),
            &signature,
            certificate.parse().unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn writes_what_a_device_expects() {
        let expected = format!(
            concat!(
                r#"{{"version":"1.0","operation":"firmware_update","firmware":{{"#,
                r#""version":"1.1.0","url":"{}","size":4096,"sha256":"{}","#,
                r#""signature":{{"algorithm":"SHA256withECDSA","value":"MEUCIQD0+/8=","#,
                r#""certificate":"signer.pem"}}}}}}"#,
            ),
            "${aws:iot:s3-presigned-url-v2:https://firmware-dev.s3.eu-central-1.amazonaws.com/\
             lamp.bin%3FversionId%3Dv1}",
            "ab".repeat(32),
        );
        assert_eq!(document("signer.pem", 4096).to_json().unwrap(), expected);
    }

    #[test]
    fn refuses_a_document_over_the_limit() {
        let error = document(&"x".repeat(DOCUMENT_LIMIT), 1).to_json().unwrap_err();
        assert!(matches!(error, Error::DocumentTooLarge { limit: DOCUMENT_LIMIT, .. }), "{error}");
        let room = DOCUMENT_LIMIT - document("x", 1).to_json().unwrap().len();
        let largest = document(&"x".repeat(room + 1), 1).to_json().unwrap();
        assert_eq!(largest.len(), DOCUMENT_LIMIT);
        assert!(document(&"x".repeat(room + 2), 1).to_json().is_err());
    }

    #[test]
    fn refuses_documents_for_somebody_else() {
        let text = document("signer.pem", 1).to_json().unwrap();
        for (from, to) in [
            ("\"1.0\"", "\"2.0\""),
            ("firmware_update", "reboot"),
            ("\"size\":1", "\"size\":-1"),
            ("\"size\":1", "\"size\":1,\"other\":1"),
            ("abab", "ABAB"),
            ("MEUC", "!!!!"),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            assert!(JobDocument::from_json(&changed).is_err(), "{changed}");
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(
            size in any::<u64>(), digest in any::<[u8; 32]>(), certificate in "[ -#%-~]{1,80}"
        ) {
            let mut document = document(&certificate, size);
            document.firmware.sha256 = Sha256Digest(digest);
            let text = document.to_json().unwrap();
            prop_assert_eq!(JobDocument::from_json(&text).unwrap(), document);
        }
    }
}
