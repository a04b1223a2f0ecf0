//! Certificates of devices, authorities of the account, and what is attached to
//! principals.
//!
//! Private keys are not here and nowhere else: whoever asked for them has them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iotstack_local_kernel::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A certificate of a device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Certificate {
    /// The SHA-256 of the certificate, in hexadecimal digits.
    pub id: Arc<str>,
    #[serde(serialize_with = "write_base64", deserialize_with = "read_base64")]
    pub der: Box<[u8]>,
    pub status: CertStatus,
    /// The registered authority that signed it.
    pub ca: Option<Arc<str>>,
    /// Whether it was registered without its authority.
    pub sni_only: bool,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub customer_version: i64,
    /// Until somebody proves to own it, it may be deleted.
    pub ownership: Option<Ownership>,
    /// Until when a claim made by a trusted user is good; such a certificate is not listed.
    pub claim_until: Option<Timestamp>,
}

impl Certificate {
    /// When it is deleted unless it is used.
    pub fn expires(&self) -> Option<Timestamp> {
        let unused = self.ownership.as_ref().filter(|ownership| !ownership.used);
        self.claim_until.or(unused.map(|ownership| ownership.expires))
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }
}

/// The proof that a device holds a new certificate. `Debug` does not show the token.
#[derive(Clone, Serialize, Deserialize)]
pub struct Ownership {
    pub token: String,
    pub expires: Timestamp,
    /// Whether it was used. It stays good, as the answer may have been lost.
    #[serde(default)]
    pub used: bool,
}

impl std::fmt::Debug for Ownership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ownership").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// The status of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CertStatus {
    PendingActivation,
    Active,
    Inactive,
    Revoked,
    RegisterInactive,
}

impl CertStatus {
    pub fn word(self) -> &'static str {
        match self {
            CertStatus::PendingActivation => "PENDING_ACTIVATION",
            CertStatus::Active => "ACTIVE",
            CertStatus::Inactive => "INACTIVE",
            CertStatus::Revoked => "REVOKED",
            CertStatus::RegisterInactive => "REGISTER_INACTIVE",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        use CertStatus::{Active, Inactive, PendingActivation, RegisterInactive, Revoked};
        [PendingActivation, Active, Inactive, Revoked, RegisterInactive]
            .into_iter()
            .find(|status| status.word() == word)
    }
}

/// An authority whose devices the account accepts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ca {
    pub id: Arc<str>,
    #[serde(serialize_with = "write_base64", deserialize_with = "read_base64")]
    pub der: Box<[u8]>,
    pub active: bool,
    pub auto_registration: bool,
    pub registration: Option<RegistrationConfig>,
    pub sni_only: bool,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub customer_version: i64,
}

impl Ca {
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }
}

/// What happens to a device of an authority at its first connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_name: Option<String>,
}

/// What is attached to a certificate, an identity or a group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Principal {
    pub policies: BTreeSet<Arc<str>>,
    /// The things, and whether the principal belongs to that thing alone.
    pub things: BTreeMap<Arc<str>, bool>,
}

impl Principal {
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.things.is_empty()
    }
}

/// Bytes as PEM, lines of 64 characters.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::with_capacity(text.len() + text.len() / 64 + 64);
    pem.push_str("-----BEGIN ");
    pem.push_str(label);
    pem.push_str("-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so every cut is at a character.
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}

fn write_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn read_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[u8]>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map(Vec::into_boxed_slice).map_err(serde::de::Error::custom)
}
