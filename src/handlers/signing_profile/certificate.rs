//! The certificate that signs firmware: made in memory, kept by ACM alone.
//!
//! Signer needs a certificate in ACM with a P-256 key, for digital signatures and
//! code signing. The private key exists in this process between its making and
//! the import; our copies of it are overwritten, it is never written or logged,
//! and ACM does not give it out. What the HTTP client keeps in its buffers until
//! the request is sent is beyond our reach.
//!
//! A certificate that was made here carries a tag with the name of its profile.
//! Only such a certificate is ever changed or deleted.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_acm::Client;
use aws_sdk_acm::primitives::Blob;
use aws_sdk_acm::types::{CertificateType, ExtendedKeyUsageName, Filters, KeyAlgorithm, Tag};
use aws_smithy_async::time::SharedTimeSource;
use aws_types::SdkConfig;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use time::OffsetDateTime;
use tokio::time::Instant;
use zeroize::{Zeroize, Zeroizing};

use super::{MADE_FOR, Subject};
use crate::Result;
use crate::error::{Error, failed};
use crate::retry::until;

/// ACM.
pub(super) struct Certificates {
    client: Client,
    time: SharedTimeSource,
}

/// A certificate and its key, both PEM. Not `Debug`.
struct NewCertificate {
    pem: String,
    key: Zeroizing<Vec<u8>>,
}

impl Certificates {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Certificates { client: Client::new(config), time: config.time_source().unwrap_or_default() }
    }

    /// The certificates that were made for this profile. There is one, except
    /// after two requests at the same time.
    pub(super) async fn made_for(&self, profile: &str) -> Result<Vec<String>> {
        // Without this filter ACM leaves elliptic curve certificates out.
        let filters = Filters::builder().key_types(KeyAlgorithm::EcPrime256v1).build();
        let pages = self.client.list_certificates().includes(filters).into_paginator();
        let mut pages = pages.send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed("ListCertificates"))?;
            for summary in page.certificate_summary_list() {
                let is_other = summary.r#type().is_some_and(|t| *t != CertificateType::Imported);
                let Some(arn) = summary.certificate_arn().filter(|_| !is_other) else { continue };
                if self.is_made_for(arn, profile).await? {
                    found.push(arn.to_owned());
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Makes a certificate and imports it. Returns its ARN and the public PEM.
    pub(super) async fn make(
        &self,
        subject: &Subject,
        tags: &BTreeMap<String, String>,
    ) -> Result<(String, String)> {
        let NewCertificate { pem, key } = new_certificate(subject, self.time.now())?;
        let request = self
            .client
            .import_certificate()
            .certificate(Blob::new(pem.as_bytes()))
            .private_key(Blob::new(key.as_slice()))
            .set_tags(Some(list(tags)));
        drop(key);
        let answer = request.send().await.map_err(failed("ImportCertificate"))?;
        Ok((answer.certificate_arn.unwrap_or_default(), pem))
    }

    /// Checks that a certificate that exists can sign firmware. Returns its PEM.
    pub(super) async fn check(&self, arn: &str) -> Result<String> {
        let answer = self.client.describe_certificate().certificate_arn(arn).send().await;
        let detail = answer.map_err(failed("DescribeCertificate"))?.certificate;
        let refuse =
            |reason: String| Err(Error::Certificate { certificate: arn.to_owned(), reason });
        if let Some(detail) = detail {
            let algorithm = detail.key_algorithm();
            if algorithm.is_some_and(|algorithm| *algorithm != KeyAlgorithm::EcPrime256v1) {
                let algorithm = algorithm.map(KeyAlgorithm::as_str).unwrap_or_default();
                return refuse(format!("its key is {algorithm}, expected EC_prime256v1"));
            }
            let usages = detail.extended_key_usages();
            let signs_code =
                |usage: &&ExtendedKeyUsageName| **usage == ExtendedKeyUsageName::CodeSigning;
            let mut names = usages.iter().filter_map(|usage| usage.name());
            if !usages.is_empty() && !names.any(|name| signs_code(&name)) {
                let reason = "its extended key usage does not include code signing";
                return refuse(reason.to_owned());
            }
        }
        self.pem(arn).await
    }

    /// The public certificate.
    pub(super) async fn pem(&self, arn: &str) -> Result<String> {
        let answer = self.client.get_certificate().certificate_arn(arn).send().await;
        let answer = answer.map_err(failed("GetCertificate"))?;
        answer.certificate.ok_or_else(|| Error::Certificate {
            certificate: arn.to_owned(),
            reason: "ACM returns no certificate for it".to_owned(),
        })
    }

    pub(super) async fn tag(&self, arn: &str, tags: &BTreeMap<String, String>) -> Result<()> {
        let request = self.client.add_tags_to_certificate().certificate_arn(arn);
        let answer = request.set_tags(Some(list(tags))).send().await;
        answer.map(drop).map_err(failed("AddTagsToCertificate"))
    }

    pub(super) async fn untag(&self, arn: &str, keys: &[String]) -> Result<()> {
        let tags = keys.iter().filter_map(|key| Tag::builder().key(key).build().ok()).collect();
        let request = self.client.remove_tags_from_certificate().certificate_arn(arn);
        let answer = request.set_tags(Some(tags)).send().await;
        answer.map(drop).map_err(failed("RemoveTagsFromCertificate"))
    }

    /// Deletes a certificate as soon as Signer has let go of it.
    pub(super) async fn delete(&self, arn: &str, deadline: Instant) -> Result<()> {
        let is_passing =
            |error: &Error| error.is_throttled() || error.has_code("ResourceInUseException");
        until(deadline, is_passing, || self.delete_now(arn)).await
    }

    /// Deletes a certificate; one that is gone is fine.
    pub(super) async fn delete_now(&self, arn: &str) -> Result<()> {
        let answer = self.client.delete_certificate().certificate_arn(arn).send().await;
        match answer.map_err(failed("DeleteCertificate")) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    async fn is_made_for(&self, arn: &str, profile: &str) -> Result<bool> {
        let answer = self.client.list_tags_for_certificate().certificate_arn(arn).send().await;
        match answer.map_err(failed("ListTagsForCertificate")) {
            Ok(answer) => {
                let mut tags = answer.tags().iter();
                Ok(tags.any(|tag| tag.key() == MADE_FOR && tag.value() == Some(profile)))
            }
            // Deleted between the list and the question.
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Makes a self-signed certificate for signing code.
fn new_certificate(subject: &Subject, now: SystemTime) -> Result<NewCertificate> {
    let refused = |error: rcgen::Error| Error::Certificate {
        certificate: subject.common_name.clone(),
        reason: error.to_string(),
    };
    let mut key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refused)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, subject.common_name.as_str());
    if let Some(organization) = &subject.organization {
        name.push(DnType::OrganizationName, organization.as_str());
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    let now = OffsetDateTime::from(now);
    // Devices' clocks are not exact.
    params.not_before = now - CLOCK_DIFFERENCE;
    params.not_after = now + DAY * subject.validity_days;
    let certificate = params.self_signed(&key).map_err(refused)?;
    let key_pem = Zeroizing::new(key.serialize_pem().into_bytes());
    key.zeroize();
    Ok(NewCertificate { pem: certificate.pem(), key: key_pem })
}

fn list(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build().ok();
    tags.iter().filter_map(tag).collect()
}

const CLOCK_DIFFERENCE: Duration = Duration::from_secs(300);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
