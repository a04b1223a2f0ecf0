//! Certificates of devices: issue, register, change, delete.
//!
//! A certificate is deleted only when it is not ACTIVE and nothing is attached
//! to it. Transfers between accounts are refused by name: there is one account.

use std::sync::Arc;

use iotstack_local_kernel::{Call, Fault, Reply, Timestamp, id};
use serde_json::{Value, json};

use super::input::marked;
use super::routes::stored;
use crate::ca::Issued;
use crate::core::{Changed, Registry, Tx};
use crate::state::{Ca, CertStatus, Certificate, Ownership};
use crate::{fault, x509};

pub async fn create_keys(registry: Arc<Registry>, call: Call) -> Result<Reply, Fault> {
    let active = call.flag("setAsActive")?;
    let issued = registry.ca.issue_keys().await?;
    let created = registry.change(|tx| {
        let mut answer = tx.issued(&issued, active);
        if let Some(keys) = &issued.keys {
            answer["keyPair"] = json!({"PublicKey": keys.public, "PrivateKey": keys.private});
        }
        Ok(answer)
    });
    stored(created).await
}

pub fn create_from_csr(registry: &Registry, call: &Call) -> Changed {
    let active = call.flag("setAsActive")?;
    let request = call.text("certificateSigningRequest")?;
    let issued = registry.ca.issue_request(request).map_err(fault::invalid)?;
    registry.change(|tx| Ok(tx.issued(&issued, active)))
}

pub fn register(registry: &Registry, call: &Call) -> Changed {
    let pem = call.text("certificatePem")?;
    let ca_pem = call.optional_text("caCertificatePem")?;
    let status = wanted_status(call)?;
    registry.change(|tx| {
        let id = tx.register_certificate(pem, ca_pem, status)?;
        Ok(json!({"certificateArn": tx.arn(format_args!("cert/{id}")), "certificateId": id}))
    })
}

pub fn register_without_ca(registry: &Registry, call: &Call) -> Changed {
    let pem = call.text("certificatePem")?;
    let status = wanted_status(call)?;
    registry.change(|tx| {
        let id = tx.register_alone(pem, status)?;
        Ok(json!({"certificateArn": tx.arn(format_args!("cert/{id}")), "certificateId": id}))
    })
}

pub fn describe(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("certificateId")?;
    registry.read(|state| {
        let found =
            state.certificates.get(name).ok_or_else(|| fault::not_found("certificate", name))?;
        let mut description = json!({
            "certificateArn": registry.certificate_arn(name),
            "certificateId": name,
            "status": found.status.word(),
            "certificatePem": found.pem(),
            "ownedBy": registry.account.id,
            "creationDate": found.created.fractional_seconds(),
            "lastModifiedDate": found.modified.fractional_seconds(),
            "customerVersion": found.customer_version,
            "transferData": {},
            "generationId": generation(&found.id),
            "validity": {
                "notBefore": found.not_before.fractional_seconds(),
                "notAfter": found.not_after.fractional_seconds(),
            },
            "certificateMode": mode(found.sni_only),
        });
        if let Some(ca) = &found.ca {
            description["caCertificateId"] = json!(&**ca);
        }
        Ok(json!({"certificateDescription": description}))
    })
}

pub fn list(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    list_some(registry, call, |_| true)
}

pub fn list_by_ca(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let ca = call.text("caCertificateId")?.to_owned();
    list_some(registry, call, |found| found.ca.as_deref() == Some(&ca))
}

pub fn update(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("certificateId")?;
    let status = read_status(call.text("newStatus")?)?;
    registry.change(|tx| {
        tx.set_certificate_status(name, status)?;
        Ok(json!({}))
    })
}

pub fn delete(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("certificateId")?;
    let force = call.flag("forceDelete")?;
    registry.change(|tx| {
        tx.delete_certificate(name, force)?;
        Ok(json!({}))
    })
}

fn list_some(
    registry: &Registry,
    call: &Call,
    fits: impl Fn(&Certificate) -> bool,
) -> Result<Value, Fault> {
    registry.read(|state| {
        let found: Vec<&Certificate> = state
            .certificates
            .values()
            .filter(|found| found.claim_until.is_none() && fits(found))
            .collect();
        marked(
            call,
            "certificates",
            found,
            |found| found.id.to_string(),
            |found| {
                json!({
                    "certificateArn": registry.certificate_arn(&found.id),
                    "certificateId": &*found.id,
                    "status": found.status.word(),
                    "certificateMode": mode(found.sni_only),
                    "creationDate": found.created.fractional_seconds(),
                })
            },
        )
    })
}

fn wanted_status(call: &Call) -> Result<CertStatus, Fault> {
    match call.optional_text("status")? {
        Some(word) => read_status(word),
        None if call.flag("setAsActive")? => Ok(CertStatus::Active),
        None => Ok(CertStatus::Inactive),
    }
}

/// Reads a status that a caller may set.
pub fn read_status(word: &str) -> Result<CertStatus, Fault> {
    match CertStatus::from_word(word) {
        Some(status) => Ok(status),
        None => Err(fault::invalid(format!(
            "status `{word}` cannot be set; ACTIVE, INACTIVE, REVOKED and PENDING_ACTIVATION can"
        ))),
    }
}

/// `DEFAULT` or `SNI_ONLY`.
pub fn mode(sni_only: bool) -> &'static str {
    if sni_only { "SNI_ONLY" } else { "DEFAULT" }
}

/// An id that stays the same as long as the certificate is there.
pub fn generation(id: &str) -> String {
    let digits = id.get(..32).unwrap_or("00000000000000000000000000000000");
    format!(
        "{}-{}-{}-{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..]
    )
}

impl Tx<'_> {
    /// Registers a certificate that the local authority has just issued.
    pub fn issued(&mut self, issued: &Issued, active: bool) -> Value {
        let status = if active { CertStatus::Active } else { CertStatus::Inactive };
        let certificate = self.new_certificate(issued, status);
        let answer = json!({
            "certificateArn": self.arn(format_args!("cert/{}", certificate.id)),
            "certificateId": &*certificate.id,
            "certificatePem": certificate.pem(),
        });
        self.put_certificate(certificate);
        answer
    }

    /// A record of an issued certificate.
    pub fn new_certificate(&self, issued: &Issued, status: CertStatus) -> Certificate {
        Certificate {
            id: issued.id.as_str().into(),
            der: issued.der.clone().into_boxed_slice(),
            status,
            ca: None,
            sni_only: false,
            created: self.now,
            modified: self.now,
            not_before: issued.not_before,
            not_after: issued.not_after,
            customer_version: 1,
            ownership: None,
            claim_until: None,
        }
    }

    /// Registers a certificate that waits for its owner; gives the proof of ownership.
    ///
    /// # Errors
    /// If too many wait already: whoever holds a claim must not fill the memory.
    pub fn issued_for_owner(&mut self, issued: &Issued) -> Result<String, Fault> {
        if self.state.expiring.len() >= MOST_WAITING {
            return Err(Fault::new(
                "ThrottlingException",
                429,
                format!("{MOST_WAITING} certificates wait for their owners; provision them first"),
            ));
        }
        let token = format!("{}{}", issued.id, id::hex_digits(64));
        let expires = Timestamp(self.now.millis() + OWNERSHIP_LASTS);
        let mut certificate = self.new_certificate(issued, CertStatus::PendingActivation);
        certificate.ownership = Some(Ownership { token: token.clone(), expires, used: false });
        self.expire_later(expires, &certificate);
        self.put_certificate(certificate);
        Ok(token)
    }

    /// Registers a claim that a trusted user uses at once.
    pub fn issued_as_claim(&mut self, issued: &Issued) -> Timestamp {
        let until = Timestamp(self.now.millis() + CLAIM_LASTS);
        let mut certificate = self.new_certificate(issued, CertStatus::Active);
        certificate.claim_until = Some(until);
        self.expire_later(until, &certificate);
        self.put_certificate(certificate);
        until
    }

    /// Registers a certificate of a registered authority.
    pub fn register_certificate(
        &mut self,
        pem: &str,
        ca_pem: Option<&str>,
        status: CertStatus,
    ) -> Result<String, Fault> {
        let der = x509::certificate_der(pem).map_err(fault::certificate_validation)?;
        let ca = self.authority_of(&der, ca_pem)?;
        let (ca, sni_only) = (ca.id.clone(), ca.sni_only);
        self.registered(der, status, Some(ca), sni_only)
    }

    /// Whether a certificate can be registered, or is; gives its id.
    pub fn check_certificate(&self, pem: &str, ca_pem: Option<&str>) -> Result<String, Fault> {
        let der = x509::certificate_der(pem).map_err(fault::certificate_validation)?;
        let id = x509::fingerprint(&der);
        if !self.state.certificates.contains_key(&*id) {
            if ca_pem.is_some() {
                self.authority_of(&der, ca_pem)?;
            }
            self.check_unexpired(&der)?;
        }
        Ok(id)
    }

    /// The registered authority that signed a certificate.
    fn authority_of(&self, der: &[u8], ca_pem: Option<&str>) -> Result<&Ca, Fault> {
        let wanted = match ca_pem {
            Some(pem) => Some(x509::certificate_der(pem).map_err(fault::certificate_validation)?),
            None => None,
        };
        let ca = self.state.cas.values().find(|ca| {
            wanted.as_ref().is_none_or(|wanted| **wanted == *ca.der)
                && x509::signed_by(der, &ca.der)
        });
        ca.ok_or_else(|| {
            fault::certificate_validation(
                "no registered CA certificate signed the certificate; register it with \
                 RegisterCACertificate, or the device's with RegisterCertificateWithoutCA",
            )
        })
    }

    fn check_unexpired(&self, der: &[u8]) -> Result<x509::Facts, Fault> {
        let facts = x509::facts(der).map_err(fault::certificate_validation)?;
        match facts.not_after < self.now {
            true => Err(fault::certificate_validation(format!(
                "the certificate expired at {}",
                facts.not_after.iso8601()
            ))),
            false => Ok(facts),
        }
    }

    /// Registers a certificate without its authority.
    pub fn register_alone(&mut self, pem: &str, status: CertStatus) -> Result<String, Fault> {
        let der = x509::certificate_der(pem).map_err(fault::certificate_validation)?;
        self.registered(der, status, None, true)
    }

    /// Registers a certificate that was checked.
    pub fn registered(
        &mut self,
        der: Vec<u8>,
        status: CertStatus,
        ca: Option<std::sync::Arc<str>>,
        sni_only: bool,
    ) -> Result<String, Fault> {
        let id = x509::fingerprint(&der);
        if self.state.certificates.contains_key(&*id) {
            let arn = self.arn(format_args!("cert/{id}"));
            return Err(fault::exists("certificate", &id, &id, &arn));
        }
        let facts = self.check_unexpired(&der)?;
        self.put_certificate(Certificate {
            id: id.as_str().into(),
            der: der.into_boxed_slice(),
            status,
            ca,
            sni_only,
            created: self.now,
            modified: self.now,
            not_before: facts.not_before,
            not_after: facts.not_after,
            customer_version: 1,
            ownership: None,
            claim_until: None,
        });
        Ok(id)
    }

    /// Sets the status of a certificate.
    pub fn set_certificate_status(&mut self, id: &str, status: CertStatus) -> Result<(), Fault> {
        let found = self.certificate(id)?;
        if found.status == CertStatus::Revoked && status != CertStatus::Revoked {
            return Err(fault::certificate_state(format!(
                "certificate `{id}` is revoked and stays so"
            )));
        }
        if found.status == status {
            return Ok(());
        }
        let now = self.now;
        self.edit_certificate(id, |found| {
            found.status = status;
            found.modified = now;
        });
        if status == CertStatus::Active {
            self.settle_ownership(id);
        }
        let arn = self.arn(format_args!("cert/{id}"));
        self.effects.principals.push(arn.into());
        Ok(())
    }

    /// Keeps a certificate whose owner has used it.
    pub fn settle_ownership(&mut self, id: &str) {
        let Some(found) = self.state.certificates.get(id) else { return };
        let Some(expires) = found.expires().filter(|_| found.claim_until.is_none()) else { return };
        self.edit_certificate(id, |found| {
            if let Some(ownership) = &mut found.ownership {
                ownership.used = true;
            }
        });
        self.state.expiring.remove(&(expires, id.into()));
    }

    /// Deletes a certificate that is not active and that nothing is attached to.
    /// `force` detaches policies, but never things.
    pub fn delete_certificate(&mut self, id: &str, force: bool) -> Result<(), Fault> {
        let found = self.certificate(id)?;
        if found.status == CertStatus::Active {
            return Err(fault::certificate_state(format!(
                "certificate `{id}` is ACTIVE; make it INACTIVE before it is deleted"
            )));
        }
        let arn: std::sync::Arc<str> = self.arn(format_args!("cert/{id}")).into();
        if let Some(principal) = self.state.principals.get(&arn) {
            if !principal.things.is_empty() {
                return Err(fault::delete_conflict(format!(
                    "certificate `{id}` cannot be deleted: things are attached to it (first detach \
                     them)"
                )));
            }
            if !force {
                return Err(fault::delete_conflict(format!(
                    "certificate `{id}` cannot be deleted: policies are attached to it (first \
                     detach them)"
                )));
            }
        }
        self.drop_certificate(id);
        Ok(())
    }

    /// Removes a certificate with all that is attached to it.
    pub fn drop_certificate(&mut self, id: &str) {
        let arn: std::sync::Arc<str> = self.arn(format_args!("cert/{id}")).into();
        if let Some(principal) = self.state.principals.get(&arn).cloned() {
            for policy in &principal.policies {
                self.detach_policy(policy, &arn);
            }
            for thing in principal.things.keys() {
                self.detach_thing(thing, &arn);
            }
        }
        if let Some(removed) = self.remove_certificate(id)
            && let Some(expires) = removed.expires()
        {
            self.state.expiring.remove(&(expires, removed.id));
        }
        self.effects.principals.push(arn);
    }

    /// Deletes certificates that nobody proved to own, and claims that are over.
    pub fn drop_expired(&mut self) {
        while let Some((expires, id)) = self.state.expiring.first().cloned() {
            if expires > self.now {
                break;
            }
            self.state.expiring.pop_first();
            self.drop_certificate(&id);
        }
    }

    fn expire_later(&mut self, at: Timestamp, certificate: &Certificate) {
        self.state.expiring.insert((at, certificate.id.clone()));
        self.effects.timers = true;
    }
}

/// Certificates that wait for their owners.
const MOST_WAITING: usize = 100_000;
const OWNERSHIP_LASTS: i64 = 3_600_000;
const CLAIM_LASTS: i64 = 300_000;
