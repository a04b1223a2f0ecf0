//! The platforms that Signer signs for.
//!
//! All are listed with their formats. Jobs can be run for those that sign with a
//! certificate of ACM; the others need keys that only AWS has.

use iotstack_local_kernel::{Call, Fault, Reply, loose};
use serde_json::{Value, json};

use super::{Signer, not_found};

/// A platform.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    target: &'static str,
    pub(super) encryption: &'static str,
    pub(super) hash: &'static str,
    /// The first is the default.
    pub(super) formats: &'static [&'static str],
    megabytes: u32,
    /// Whether it signs with a certificate of ACM, and not with a key of Signer's.
    pub(super) certificate: bool,
}

impl Platform {
    pub(super) fn of(id: &str) -> Option<&'static Platform> {
        PLATFORMS.iter().find(|platform| platform.id == id)
    }

    /// Whether jobs for it can be run here.
    pub(super) fn signs(&self) -> bool {
        self.certificate && self.encryption == "ECDSA" && self.hash == "SHA256"
    }

    fn shown(&self) -> Value {
        let options = |value: &str| json!({"allowedValues": [value], "defaultValue": value});
        json!({
            "platformId": self.id,
            "displayName": self.name,
            "partner": if self.certificate { "AWSIoT" } else { self.name },
            "target": self.target,
            "category": "AWSIoT",
            "signingConfiguration": {
                "encryptionAlgorithmOptions": options(self.encryption),
                // Signer's model has no name for SHA-384.
                "hashAlgorithmOptions": options(if self.hash == "SHA1" { "SHA1" } else { "SHA256" }),
            },
            "signingImageFormat": {
                "supportedFormats": self.formats,
                "defaultFormat": self.formats[0],
            },
            "maxSizeInMB": self.megabytes,
            "revocationSupported": !self.certificate,
        })
    }
}

impl Signer {
    pub(super) fn get_platform(&self, call: Call) -> Result<Reply, Fault> {
        let id = loose::required(&call.input, "platformId")?;
        let platform =
            Platform::of(&id).ok_or_else(|| not_found(format!("there is no platform `{id}`")))?;
        Ok(platform.shown().into())
    }

    pub(super) fn list_platforms(&self, call: Call) -> Result<Reply, Fault> {
        let target = loose::text(&call.input, "target")?;
        let fitting = PLATFORMS
            .iter()
            .filter(|platform| target.as_ref().is_none_or(|target| platform.target == target));
        let platforms: Vec<Value> = fitting.map(Platform::shown).collect();
        Ok(json!({ "platforms": platforms }).into())
    }
}

const PLATFORMS: &[Platform] = &[
    Platform {
        id: "AWSIoTDeviceManagement-SHA256-ECDSA",
        name: "AWS IoT Device Management SHA256-ECDSA",
        target: "SHA256-ECDSA",
        encryption: "ECDSA",
        hash: "SHA256",
        formats: &["JSONDetached", "JSONEmbedded"],
        megabytes: 2048,
        certificate: true,
    },
    Platform {
        id: "AWSLambda-SHA384-ECDSA",
        name: "AWS Lambda",
        target: "SHA384-ECDSA",
        encryption: "ECDSA",
        hash: "SHA384",
        formats: &["JSONEmbedded"],
        megabytes: 250,
        certificate: false,
    },
    Platform {
        id: "AmazonFreeRTOS-Default",
        name: "Amazon FreeRTOS SHA256-ECDSA",
        target: "SHA256-ECDSA",
        encryption: "ECDSA",
        hash: "SHA256",
        formats: &["JSONDetached", "JSONEmbedded"],
        megabytes: 16,
        certificate: true,
    },
    Platform {
        id: "AmazonFreeRTOS-TI-CC3220SF",
        name: "Amazon FreeRTOS SHA1-RSA CC3220SF-Format",
        target: "SHA1-RSA-TISHA1",
        encryption: "RSA",
        hash: "SHA1",
        formats: &["JSONDetached", "JSONEmbedded"],
        megabytes: 16,
        certificate: true,
    },
    Platform {
        id: "Notation-OCI-SHA384-ECDSA",
        name: "Notation for Container Registries",
        target: "SHA384-ECDSA",
        encryption: "ECDSA",
        hash: "SHA384",
        formats: &["JSONDetached"],
        megabytes: 1,
        certificate: false,
    },
];
