//! What AWS Signer writes when it has signed a firmware image.
//!
//! For the IoT platforms Signer leaves the image where it is and writes a small
//! JSON object beside it: the signature, its algorithm, and which bytes it is
//! for. A signature is worth something only together with that location, so the
//! two are read and compared as one value.
//!
//! Nothing here verifies a signature; that is what the device does.

use serde::{Deserialize, Serialize};

use crate::word::words;
use crate::{Error, ObjectVersion, Result};

words! {
    /// The algorithm of a firmware signature.
    pub enum SignatureAlgorithm as "signature algorithm" {
        /// SHA-256, signed with an elliptic curve key, DER-encoded.
        Sha256WithEcdsa = "SHA256withECDSA",
    }
}

/// The platform of AWS Signer for firmware that AWS IoT Jobs delivers.
pub const SIGNING_PLATFORM: &str = "AWSIoTDeviceManagement-SHA256-ECDSA";

/// The signing parameter that names the certificate on the device.
pub const CERTIFICATE_PARAMETER: &str = "certname";

/// Signer's signature of one version of one object, apart from the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetachedSignature {
    /// How many bytes were signed.
    pub raw_payload_size: u64,
    /// The signature, DER, in base64.
    pub signature: String,
    /// How it was made. Text, because Signer knows more algorithms than a
    /// firmware job may use, and the message should name the one found.
    pub signature_algorithm: String,
    /// What was signed.
    pub payload_location: PayloadLocation,
}

/// Where the signed bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadLocation {
    /// The object in S3.
    pub s3: S3Location,
}

/// An object version as Signer writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Location {
    /// The bucket.
    pub bucket_name: String,
    /// The key.
    pub key: String,
    /// The id of the version.
    pub version: String,
}

impl DetachedSignature {
    /// Reads Signer's file.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| Error::InvalidJson {
            what: "detached signature",
            reason: error.to_string(),
        })
    }

    /// Checks that this is a signature of all `size` bytes of `object`, in an
    /// algorithm that firmware jobs use, and returns that algorithm.
    pub fn check(&self, object: &ObjectVersion, size: u64) -> Result<SignatureAlgorithm> {
        let signed = &self.payload_location.s3;
        let differs = |field, value: &str, expected| {
            Err(Error::InvalidField { field, value: value.to_owned(), expected })
        };
        if signed.bucket_name != object.bucket() {
            return differs(
                "payloadLocation.s3.bucketName",
                &signed.bucket_name,
                "the bucket of the firmware",
            );
        }
        if signed.key != object.key() {
            return differs("payloadLocation.s3.key", &signed.key, "the key of the firmware");
        }
        if signed.version != object.version_id() {
            return differs(
                "payloadLocation.s3.version",
                &signed.version,
                "the version id of the firmware",
            );
        }
        if self.raw_payload_size != size {
            return differs(
                "rawPayloadSize",
                &self.raw_payload_size.to_string(),
                "the size of the firmware in bytes",
            );
        }
        if !is_der_in_base64(&self.signature) {
            return differs("signature", &self.signature, "a DER signature in base64");
        }
        self.signature_algorithm.parse()
    }
}

/// Whether `text` is base64 of something that starts like a DER sequence.
pub(crate) fn is_der_in_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let is_base64 = text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b));
    // The tag of a sequence, 0x30, is `M` and one of `A` to `P` in base64.
    let is_sequence = matches!(body.as_bytes(), [b'M', b'A'..=b'P', ..]);
    is_base64 && is_sequence && (8..=512).contains(&text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature() -> DetachedSignature {
        DetachedSignature::from_json(
            br#"{"rawPayloadSize":1048576,"signature":"MEUCIQD0+/8=",
                "signatureAlgorithm":"SHA256withECDSA","payloadLocation":{"s3":
                {"bucketName":"firmware","key":"a.bin","version":"v1"}}}"#,
        )
        .unwrap()
    }

    fn object(bucket: &str, key: &str, version: &str) -> ObjectVersion {
        ObjectVersion::new("us-east-1", bucket, key, version).unwrap()
    }

    #[test]
    fn accepts_the_signature_of_exactly_this_object() {
        let algorithm = signature().check(&object("firmware", "a.bin", "v1"), 1_048_576);
        assert_eq!(algorithm, Ok(SignatureAlgorithm::Sha256WithEcdsa));
    }

    #[test]
    fn refuses_the_signature_of_other_bytes() {
        for (other, size) in [
            (object("elsewhere", "a.bin", "v1"), 1_048_576),
            (object("firmware", "b.bin", "v1"), 1_048_576),
            (object("firmware", "a.bin", "v2"), 1_048_576),
            (object("firmware", "a.bin", "v1"), 1_048_577),
        ] {
            assert!(signature().check(&other, size).is_err(), "{other:?} {size}");
        }
    }

    #[test]
    fn names_the_size_that_was_signed() {
        let error = signature().check(&object("firmware", "a.bin", "v1"), 7).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`rawPayloadSize` has the value `1048576`: expected the size of the firmware in bytes"
        );
    }

    #[test]
    fn refuses_other_algorithms_by_name() {
        let rsa =
            DetachedSignature { signature_algorithm: "SHA1withRSA".to_owned(), ..signature() };
        assert_eq!(
            rsa.check(&object("firmware", "a.bin", "v1"), 1_048_576).unwrap_err().to_string(),
            "signature algorithm `SHA1withRSA` is not known: expected one of SHA256withECDSA"
        );
    }

    #[test]
    fn refuses_what_is_not_a_der_signature() {
        for text in ["", "MEUC", "MEUCIQD0-_8=", "AEUCIQD0+/8=", "MEUCIQD0+/8", "MEUCI==="] {
            assert!(!is_der_in_base64(text), "{text}");
        }
    }

    #[test]
    fn writes_the_names_that_signer_writes() {
        let json = serde_json::to_value(signature()).unwrap();
        assert_eq!(json["payloadLocation"]["s3"]["bucketName"], "firmware");
        assert_eq!(json["rawPayloadSize"], 1_048_576);
        assert_eq!(serde_json::from_value::<DetachedSignature>(json).unwrap(), signature());
    }
}
