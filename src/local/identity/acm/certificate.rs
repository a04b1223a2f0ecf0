//! What a certificate says about itself.
//!
//! It is read once, when it is imported, and kept in ACM's words. Its chain is
//! kept and not verified, as ACM takes certificates of any issuer.

use iotstack_local_kernel::{Fault, Timestamp};
use p256::pkcs8::{DecodePrivateKey, EncodePublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::at;
use crate::wire::Tags;

/// An imported certificate. Not `Debug`, for its key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Certificate {
    pub(super) arn: String,
    pub(super) pem: String,
    pub(super) chain: Option<String>,
    pub(super) private_key: String,
    pub(super) facts: Facts,
    pub(super) created: Timestamp,
    pub(super) imported: Timestamp,
    pub(super) tags: Tags,
}

/// What stands in a certificate, in ACM's words.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(super) domain: String,
    pub(super) alternatives: Vec<String>,
    pub(super) serial: String,
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    /// Such as `EC_prime256v1`.
    pub(crate) key_algorithm: String,
    pub(super) signature_algorithm: String,
    /// Such as `DIGITAL_SIGNATURE`; empty if the certificate does not limit it.
    pub(crate) key_usages: Vec<String>,
    /// Name (such as `CODE_SIGNING`) and object identifier.
    pub(super) extended: Vec<(String, String)>,
    /// The public key (SubjectPublicKeyInfo), hexadecimal.
    public_key: String,
}

impl Facts {
    /// Reads a PEM certificate.
    pub(super) fn read(pem: &str) -> Result<Self, Fault> {
        let refuse = |reason: String| {
            Fault::new(
                "ValidationException",
                400,
                format!("the certificate is not valid: {reason}"),
            )
        };
        let (_, block) =
            parse_x509_pem(pem.as_bytes()).map_err(|_| refuse("it is not PEM".to_owned()))?;
        if block.label != "CERTIFICATE" {
            return Err(refuse(format!("it is a PEM block of {}", block.label)));
        }
        let (_, certificate) = X509Certificate::from_der(&block.contents)
            .map_err(|error| refuse(error.to_string()))?;
        let subject = certificate.subject();
        let common = subject.iter_common_name().next().and_then(|name| name.as_str().ok());
        let names = certificate.subject_alternative_name().ok().flatten();
        let alternatives: Vec<String> = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
            .collect();
        let validity = certificate.validity();
        Ok(Facts {
            domain: common
                .map(str::to_owned)
                .or_else(|| alternatives.first().cloned())
                .unwrap_or_default(),
            alternatives,
            serial: certificate.raw_serial_as_string(),
            subject: subject.to_string(),
            issuer: certificate.issuer().to_string(),
            not_before: Timestamp(validity.not_before.timestamp() * 1000),
            not_after: Timestamp(validity.not_after.timestamp() * 1000),
            key_algorithm: key_algorithm(&certificate).ok_or_else(|| {
                refuse("its key is neither RSA nor on a curve of NIST".to_owned())
            })?,
            signature_algorithm: signature_algorithm(&certificate),
            key_usages: key_usages(&certificate),
            extended: extended_usages(&certificate),
            public_key: iotstack_local_kernel::id::hex(certificate.public_key().raw),
        })
    }

    /// Checks that a private key (PEM) belongs to the certificate. Keys on P-256
    /// are compared; of others only the form is looked at.
    pub(super) fn check_key(&self, pem: &str) -> Result<(), Fault> {
        let refuse = |reason: &str| Err(Fault::new("ValidationException", 400, reason));
        if !pem.trim_start().starts_with("-----BEGIN ") || !pem.contains("PRIVATE KEY-----") {
            return refuse("the private key is not an unencrypted PEM key");
        }
        if pem.contains("ENCRYPTED") {
            return refuse("the private key is encrypted; only plain keys are accepted");
        }
        if self.key_algorithm != P256 {
            return Ok(());
        }
        let key = p256::SecretKey::from_pkcs8_pem(pem)
            .ok()
            .or_else(|| p256::SecretKey::from_sec1_pem(pem).ok());
        let Some(key) = key else { return refuse("the private key is no key on P-256") };
        let public = key.public_key().to_public_key_der();
        let same = public
            .is_ok_and(|der| iotstack_local_kernel::id::hex(der.as_bytes()) == self.public_key);
        if same { Ok(()) } else { refuse("the private key does not belong to the certificate") }
    }

    /// Whether it may sign code: P-256, digital signatures, code signing.
    pub(crate) fn check_code_signing(&self) -> Result<(), String> {
        if self.key_algorithm != P256 {
            return Err(format!("its key is {}, {P256} is needed", self.key_algorithm));
        }
        if !self.key_usages.is_empty()
            && !self.key_usages.iter().any(|usage| usage == "DIGITAL_SIGNATURE")
        {
            return Err("its key usage does not include digital signatures".to_owned());
        }
        if !self.extended_names().iter().any(|name| name == "CODE_SIGNING") {
            return Err("its extended key usage does not include code signing".to_owned());
        }
        Ok(())
    }

    pub(super) fn extended_names(&self) -> Vec<String> {
        self.extended.iter().map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn status(&self, now: Timestamp) -> &'static str {
        if now > self.not_after { "EXPIRED" } else { "ISSUED" }
    }
}

impl Certificate {
    /// As `DescribeCertificate` shows it.
    pub(super) fn described(&self, status: &str) -> Value {
        let facts = &self.facts;
        let named = |name: &String| json!({ "Name": name });
        json!({
            "CertificateArn": self.arn,
            "DomainName": facts.domain,
            "SubjectAlternativeNames": facts.alternatives,
            "Serial": facts.serial,
            "Subject": facts.subject,
            "Issuer": facts.issuer,
            "CreatedAt": at(self.created),
            "ImportedAt": at(self.imported),
            "Status": status,
            "NotBefore": at(facts.not_before),
            "NotAfter": at(facts.not_after),
            "KeyAlgorithm": facts.key_algorithm,
            "SignatureAlgorithm": facts.signature_algorithm,
            "Type": "IMPORTED",
            "KeyUsages": facts.key_usages.iter().map(named).collect::<Vec<_>>(),
            "ExtendedKeyUsages": facts
                .extended
                .iter()
                .map(|(name, oid)| json!({"Name": name, "OID": oid}))
                .collect::<Vec<_>>(),
            "RenewalEligibility": "INELIGIBLE",
            "Options": {"CertificateTransparencyLoggingPreference": "DISABLED"},
        })
    }

    /// As `ListCertificates` shows it.
    pub(super) fn summary(&self, status: &str, in_use: bool) -> Value {
        let facts = &self.facts;
        json!({
            "CertificateArn": self.arn,
            "DomainName": facts.domain,
            "SubjectAlternativeNameSummaries": facts.alternatives,
            "HasAdditionalSubjectAlternativeNames": false,
            "Status": status,
            "Type": "IMPORTED",
            "KeyAlgorithm": facts.key_algorithm,
            "KeyUsages": facts.key_usages,
            "ExtendedKeyUsages": facts.extended_names(),
            "InUse": in_use,
            "RenewalEligibility": "INELIGIBLE",
            "NotBefore": at(facts.not_before),
            "NotAfter": at(facts.not_after),
            "CreatedAt": at(self.created),
            "ImportedAt": at(self.imported),
        })
    }
}

fn key_algorithm(certificate: &X509Certificate<'_>) -> Option<String> {
    match certificate.public_key().parsed().ok()? {
        PublicKey::RSA(key) => Some(format!("RSA_{}", key.key_size())),
        PublicKey::EC(point) => match point.key_size() {
            256 => Some(P256.to_owned()),
            384 => Some("EC_secp384r1".to_owned()),
            520..=528 => Some("EC_secp521r1".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

fn signature_algorithm(certificate: &X509Certificate<'_>) -> String {
    let oid = certificate.signature_algorithm.algorithm.to_id_string();
    let known = [
        ("1.2.840.10045.4.3.2", "SHA256WITHECDSA"),
        ("1.2.840.10045.4.3.3", "SHA384WITHECDSA"),
        ("1.2.840.10045.4.3.4", "SHA512WITHECDSA"),
        ("1.2.840.113549.1.1.5", "SHA1WITHRSA"),
        ("1.2.840.113549.1.1.11", "SHA256WITHRSA"),
        ("1.2.840.113549.1.1.12", "SHA384WITHRSA"),
        ("1.2.840.113549.1.1.13", "SHA512WITHRSA"),
    ];
    let found = known.iter().find(|(known, _)| *known == oid);
    found.map_or(oid.clone(), |(_, name)| (*name).to_owned())
}

fn key_usages(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(usage)) = certificate.key_usage() else { return Vec::new() };
    let usage = usage.value;
    let all = [
        (usage.digital_signature(), "DIGITAL_SIGNATURE"),
        (usage.non_repudiation(), "NON_REPUDIATION"),
        (usage.key_encipherment(), "KEY_ENCIPHERMENT"),
        (usage.data_encipherment(), "DATA_ENCIPHERMENT"),
        (usage.key_agreement(), "KEY_AGREEMENT"),
        (usage.key_cert_sign(), "CERTIFICATE_SIGNING"),
        (usage.crl_sign(), "CRL_SIGNING"),
        (usage.encipher_only(), "ENCIPHER_ONLY"),
        (usage.decipher_only(), "DECIPHER_ONLY"),
    ];
    all.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()).collect()
}

fn extended_usages(certificate: &X509Certificate<'_>) -> Vec<(String, String)> {
    let Ok(Some(usage)) = certificate.extended_key_usage() else { return Vec::new() };
    let usage = usage.value;
    let all = [
        (usage.any, "ANY", "2.5.29.37.0"),
        (usage.server_auth, "TLS_WEB_SERVER_AUTHENTICATION", "1.3.6.1.5.5.7.3.1"),
        (usage.client_auth, "TLS_WEB_CLIENT_AUTHENTICATION", "1.3.6.1.5.5.7.3.2"),
        (usage.code_signing, "CODE_SIGNING", "1.3.6.1.5.5.7.3.3"),
        (usage.email_protection, "EMAIL_PROTECTION", "1.3.6.1.5.5.7.3.4"),
        (usage.time_stamping, "TIME_STAMPING", "1.3.6.1.5.5.7.3.8"),
        (usage.ocsp_signing, "OCSP_SIGNING", "1.3.6.1.5.5.7.3.9"),
    ];
    let known = all.iter().filter(|(set, ..)| *set);
    let mut found: Vec<(String, String)> =
        known.map(|(_, name, oid)| ((*name).to_owned(), (*oid).to_owned())).collect();
    found.extend(usage.other.iter().map(|oid| ("CUSTOM".to_owned(), oid.to_id_string())));
    found
}

/// ACM's name of keys on P-256.
const P256: &str = "EC_prime256v1";
