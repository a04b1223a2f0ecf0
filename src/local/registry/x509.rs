//! Reading X.509: certificates and certificate signing requests as they come
//! from outside.
//!
//! Nothing is trusted here by being read; [`signed_by`] is the only check of a
//! signature between two certificates.

use iotstack_local_kernel::{Timestamp, id};
use sha2::{Digest, Sha256};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::Oid;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

/// The id of a certificate: the SHA-256 of its DER form.
pub fn fingerprint(der: &[u8]) -> String {
    id::hex(&Sha256::digest(der))
}

/// The DER form of the first certificate of a PEM text.
///
/// # Errors
/// Why it cannot be read.
pub fn certificate_der(pem: &str) -> Result<Vec<u8>, String> {
    let der = pem_block(pem, "CERTIFICATE")?;
    parse(&der)?;
    Ok(der)
}

/// What a certificate says about itself.
#[derive(Debug, Clone)]
pub struct Facts {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub is_ca: bool,
    pub subject: String,
    pub common_name: Option<String>,
}

/// What the certificate says about itself.
///
/// # Errors
/// Why it cannot be read.
pub fn facts(der: &[u8]) -> Result<Facts, String> {
    let certificate = parse(der)?;
    let validity = certificate.validity();
    Ok(Facts {
        not_before: Timestamp(validity.not_before.timestamp().saturating_mul(1000)),
        not_after: Timestamp(validity.not_after.timestamp().saturating_mul(1000)),
        is_ca: certificate.is_ca(),
        subject: certificate.subject().to_string(),
        common_name: value(certificate.subject(), "CommonName"),
    })
}

/// Whether `certificate` was signed by the key of `authority`.
pub fn signed_by(certificate: &[u8], authority: &[u8]) -> bool {
    let (Ok(certificate), Ok(authority)) = (parse(certificate), parse(authority)) else {
        return false;
    };
    certificate.issuer().as_raw() == authority.subject().as_raw()
        && certificate.verify_signature(Some(authority.public_key())).is_ok()
}

/// The first value of a part of the subject, by its name in IoT (`CommonName`).
pub fn subject_part(der: &[u8], part: &str) -> Option<String> {
    value(parse(der).ok()?.subject(), part)
}

/// All values of a variable `iot:Certificate.<path>` in the order of the certificate.
pub fn variable(der: &[u8], path: &str) -> Vec<String> {
    let Ok(certificate) = parse(der) else { return Vec::new() };
    if let Some(kind) = path.strip_prefix("Subject.AlternativeName.") {
        return certificate
            .subject_alternative_name()
            .ok()
            .flatten()
            .map(|names| alternative_names(&names.value.general_names, kind))
            .unwrap_or_default();
    }
    if let Some(kind) = path.strip_prefix("Issuer.AlternativeName.") {
        use x509_parser::extensions::ParsedExtension;
        return certificate
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::IssuerAlternativeName(names) => {
                    Some(alternative_names(&names.general_names, kind))
                }
                _ => None,
            })
            .unwrap_or_default();
    }
    if let Some(part) = path.strip_prefix("Subject.") {
        return values(certificate.subject(), part);
    }
    if let Some(part) = path.strip_prefix("Issuer.") {
        return values(certificate.issuer(), part);
    }
    match path {
        "SerialNumber" => vec![id::hex(certificate.raw_serial())],
        _ => Vec::new(),
    }
}

/// What a request asks to be certified.
#[derive(Debug)]
pub struct Request {
    /// The subject as pairs of object identifier and text.
    pub subject: Vec<(Vec<u64>, String)>,
    pub key: SubjectKey,
}

/// A public key to certify.
#[derive(Debug)]
pub struct SubjectKey {
    algorithm: &'static rcgen::SignatureAlgorithm,
    bytes: Vec<u8>,
}

impl SubjectKey {
    /// An RSA key in PKCS #1, DER.
    pub fn rsa(pkcs1: Vec<u8>) -> Self {
        SubjectKey { algorithm: &rcgen::PKCS_RSA_SHA256, bytes: pkcs1 }
    }
}

impl rcgen::PublicKeyData for SubjectKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm
    }
}

/// Reads a certificate signing request and checks that whoever wrote it holds
/// the key.
///
/// # Errors
/// Why it is refused.
pub fn request(pem: &str) -> Result<Request, String> {
    if pem.len() > LONGEST_REQUEST {
        return Err(format!(
            "a certificate signing request has at most {LONGEST_REQUEST} characters, not {}",
            pem.len()
        ));
    }
    let der = pem_block(pem, "CERTIFICATE REQUEST")
        .or_else(|_| pem_block(pem, "NEW CERTIFICATE REQUEST"))?;
    let (_, request) = X509CertificationRequest::from_der(&der)
        .map_err(|error| format!("the certificate signing request cannot be read: {error}"))?;
    request.verify_signature().map_err(|_| {
        "the signature of the certificate signing request does not fit its key; RSA from 2048 \
         bits, P-256 and P-384 are accepted"
            .to_owned()
    })?;
    let info = &request.certification_request_info;
    let key = &info.subject_pki;
    let algorithm = match key.parsed() {
        Ok(PublicKey::RSA(rsa)) if rsa.key_size() >= 2048 => &rcgen::PKCS_RSA_SHA256,
        Ok(PublicKey::RSA(rsa)) => {
            return Err(format!("an RSA key needs 2048 bits, not {}", rsa.key_size()));
        }
        Ok(PublicKey::EC(point)) if point.key_size() == 256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        Ok(PublicKey::EC(point)) if point.key_size() == 384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        _ => return Err("the key must be RSA from 2048 bits, P-256 or P-384".to_owned()),
    };
    let mut subject = Vec::new();
    for attribute in info.subject.iter_attributes() {
        let Some(oid) = attribute.attr_type().iter() else { continue };
        if let Ok(text) = attribute.as_str() {
            subject.push((oid.collect(), text.to_owned()));
        }
    }
    let bytes = key.subject_public_key.data.to_vec();
    Ok(Request { subject, key: SubjectKey { algorithm, bytes } })
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|error| format!("the certificate cannot be read: {error}"))
}

fn pem_block(pem: &str, label: &str) -> Result<Vec<u8>, String> {
    for block in Pem::iter_from_buffer(pem.as_bytes()) {
        let block = block.map_err(|error| format!("the PEM text cannot be read: {error}"))?;
        if block.label == label {
            return Ok(block.contents);
        }
    }
    Err(format!("the text holds no `-----BEGIN {label}-----`"))
}

fn value(name: &X509Name<'_>, part: &str) -> Option<String> {
    values(name, part).into_iter().next()
}

fn values(name: &X509Name<'_>, part: &str) -> Vec<String> {
    let Some((_, arcs)) = PARTS.iter().find(|(known, _)| *known == part) else {
        return Vec::new();
    };
    let Ok(oid) = Oid::from(arcs) else { return Vec::new() };
    name.iter_by_oid(&oid).filter_map(|value| value.as_str().ok().map(str::to_owned)).collect()
}

fn alternative_names(names: &[GeneralName<'_>], kind: &str) -> Vec<String> {
    names
        .iter()
        .filter_map(|name| match (name, kind) {
            (GeneralName::RFC822Name(text), "RFC822Name")
            | (GeneralName::DNSName(text), "DNSName")
            | (GeneralName::URI(text), "UniformResourceIdentifier") => Some((*text).to_owned()),
            (GeneralName::DirectoryName(name), "DirectoryName") => Some(name.to_string()),
            (GeneralName::IPAddress(bytes), "IPAddress") => match bytes.len() {
                4 => <[u8; 4]>::try_from(*bytes)
                    .ok()
                    .map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
                _ => <[u8; 16]>::try_from(*bytes)
                    .ok()
                    .map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
            },
            _ => None,
        })
        .collect()
}

/// IoT's names of the parts of a distinguished name, with their object identifiers.
const PARTS: &[(&str, &[u64])] = &[
    ("CommonName", &[2, 5, 4, 3]),
    ("Country", &[2, 5, 4, 6]),
    ("DistinguishedNameQualifier", &[2, 5, 4, 46]),
    ("GenerationQualifier", &[2, 5, 4, 44]),
    ("GivenName", &[2, 5, 4, 42]),
    ("Initials", &[2, 5, 4, 43]),
    ("Organization", &[2, 5, 4, 10]),
    ("OrganizationalUnit", &[2, 5, 4, 11]),
    ("Pseudonym", &[2, 5, 4, 65]),
    ("SerialNumber", &[2, 5, 4, 5]),
    ("State", &[2, 5, 4, 8]),
    ("StateName", &[2, 5, 4, 8]),
    ("Surname", &[2, 5, 4, 4]),
    ("Title", &[2, 5, 4, 12]),
];

const LONGEST_REQUEST: usize = 4096;
