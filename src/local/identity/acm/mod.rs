//! ACM: certificates that somebody else issued, imported with their keys.
//!
//! Real: import and import again, description from the certificate itself, the
//! check that key and certificate belong together, tags, filters, refusal to
//! delete what a signing profile uses. The private key never comes out again;
//! Signer signs with it.
//!
//! Not offered: certificates that ACM would issue and renew (there is no domain
//! to validate), export, private authorities.

mod certificate;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use iotstack_local_kernel::page::Paging;
use iotstack_local_kernel::ports::{CertificateMaterial, Certificates};
use iotstack_local_kernel::{
    Account, Call, Clock, Cloud, Fault, Operation, Operations, Protocol, Reply, Service,
    StoreError, id, loose,
};
use serde_json::{Value, json};

use crate::records::{Records, Written};
use crate::wire::{Tags, add_tags, bytes, moment, tag_list};
pub(crate) use certificate::Certificate;
use certificate::Facts;

/// ACM.
pub(crate) struct Acm {
    account: Account,
    clock: Clock,
    certificates: Records<Certificate>,
    /// Who uses a certificate: ARNs of signing profiles.
    users: OnceLock<Users>,
}

type Users = Box<dyn Fn(&str) -> Vec<String> + Send + Sync>;

impl Acm {
    pub(crate) fn restore(cloud: &Cloud) -> Result<Self, StoreError> {
        Ok(Acm {
            account: cloud.account.clone(),
            clock: cloud.clock.clone(),
            certificates: Records::restore(&cloud.store, "acm_certificates")?,
            users: OnceLock::new(),
        })
    }

    /// Says who can tell who uses a certificate.
    pub(crate) fn ask_users(&self, users: impl Fn(&str) -> Vec<String> + Send + Sync + 'static) {
        if self.users.set(Box::new(users)).is_err() {
            tracing::warn!("users of certificates are known twice");
        }
    }

    /// A certificate with its facts, for Signer.
    pub(crate) fn facts(&self, arn: &str) -> Result<Facts, Fault> {
        Ok(self.named(arn)?.facts)
    }

    fn import(&self, call: Call) -> Written {
        let input = &call.input;
        let pem = |member: &str| -> Result<Option<String>, Fault> {
            let Some(bytes) = bytes(input, member)? else { return Ok(None) };
            let text = String::from_utf8(bytes)
                .map_err(|_| Fault::invalid_input(format!("{member} must be PEM")))?;
            Ok(Some(text))
        };
        let missing = |member: &str| Fault::invalid_input(format!("{member} is required"));
        let certificate = pem("Certificate")?.ok_or_else(|| missing("Certificate"))?;
        let private_key = pem("PrivateKey")?.ok_or_else(|| missing("PrivateKey"))?;
        let chain = pem("CertificateChain")?;
        let facts = Facts::read(&certificate)?;
        facts.check_key(&private_key)?;
        let tags = loose::pairs(input, "Tags", ("Key", "Value"))?;
        let again = loose::text(input, "CertificateArn")?;
        if again.is_some() && !tags.is_empty() {
            return Err(invalid("tags cannot be given when a certificate is imported again"));
        }
        let now = self.clock.now();
        let (arn, commit) = match again {
            Some(arn) => self.certificates.change(|certificates| {
                let mut kept = certificates.get(&arn).cloned().ok_or_else(|| missing_arn(&arn))?;
                if kept.facts.key_algorithm != facts.key_algorithm {
                    return Err(invalid("the new certificate must have the same kind of key"));
                }
                kept.pem = certificate;
                kept.private_key = private_key;
                kept.chain = chain;
                kept.facts = facts;
                kept.imported = now;
                certificates.put(&arn, kept);
                Ok(arn)
            })?,
            None => {
                let mut checked = Tags::new();
                tag(&mut checked, tags)?;
                let made = Certificate {
                    arn: self.account.arn("acm", format!("certificate/{}", id::uuid())),
                    pem: certificate,
                    chain,
                    private_key,
                    facts,
                    created: now,
                    imported: now,
                    tags: checked,
                };
                self.certificates.change(|certificates| {
                    certificates.put(&made.arn, made.clone());
                    Ok(made.arn)
                })?
            }
        };
        Ok((json!({"CertificateArn": arn}).into(), commit))
    }

    fn describe(&self, call: Call) -> Result<Reply, Fault> {
        let certificate = self.called(&call)?;
        let users = self.users_of(&certificate.arn);
        let status = certificate.facts.status(self.clock.now());
        let mut shown = certificate.described(status);
        shown["InUseBy"] = json!(users);
        Ok(json!({"Certificate": shown}).into())
    }

    fn get(&self, call: Call) -> Result<Reply, Fault> {
        let certificate = self.called(&call)?;
        let mut shown = json!({"Certificate": certificate.pem});
        if let Some(chain) = certificate.chain {
            shown["CertificateChain"] = json!(chain);
        }
        Ok(shown.into())
    }

    fn list(&self, call: Call) -> Result<Reply, Fault> {
        let input = &call.input;
        let includes = loose::object(input, "Includes")?;
        let mut key_types = loose::texts(&includes, "keyTypes")?;
        if key_types.is_empty() {
            // What ACM shows to those who do not ask.
            key_types = vec!["RSA_1024".to_owned(), "RSA_2048".to_owned()];
        }
        let usages = loose::texts(&includes, "keyUsage")?;
        let extended = loose::texts(&includes, "extendedKeyUsage")?;
        let statuses = loose::texts(input, "CertificateStatuses")?;
        let now = self.clock.now();
        let mut all = self.certificates.all();
        all.retain(|certificate| {
            let facts = &certificate.facts;
            let has = |wanted: &[String], held: &[String]| {
                wanted.is_empty() || wanted.iter().any(|wanted| held.contains(wanted))
            };
            key_types.contains(&facts.key_algorithm)
                && has(&usages, &facts.key_usages)
                && has(&extended, &facts.extended_names())
                && has(&statuses, &[facts.status(now).to_owned()])
        });
        let (items, next) = PAGING.cut(input, all, |certificate| certificate.arn.clone())?;
        let list: Vec<Value> = items
            .iter()
            .map(|certificate| {
                let used = !self.users_of(&certificate.arn).is_empty();
                certificate.summary(certificate.facts.status(now), used)
            })
            .collect();
        let mut reply = json!({"CertificateSummaryList": list});
        if let Some(next) = next {
            reply["NextToken"] = json!(next);
        }
        Ok(reply.into())
    }

    fn delete(&self, call: Call) -> Written {
        let arn = self.called(&call)?.arn;
        let users = self.users_of(&arn);
        if !users.is_empty() {
            let reason = format!("the certificate {arn} is used by {}", users.join(", "));
            return Err(Fault::new("ResourceInUseException", 400, reason));
        }
        let ((), commit) = self.certificates.change(|certificates| {
            certificates.remove(&arn).map(drop).ok_or_else(|| missing_arn(&arn))
        })?;
        Ok((Reply::empty(), commit))
    }

    fn add_tags(&self, call: Call) -> Written {
        let tags = loose::pairs(&call.input, "Tags", ("Key", "Value"))?;
        self.tag(&call, |kept| tag(kept, tags))
    }

    fn remove_tags(&self, call: Call) -> Written {
        let tags: BTreeMap<String, String> =
            loose::pairs(&call.input, "Tags", ("Key", "Value"))?.into_iter().collect();
        self.tag(&call, |kept| {
            // A tag that is named with its value goes only if it has that value.
            kept.retain(|key, value| match tags.get(key) {
                Some(wanted) => !wanted.is_empty() && wanted != value,
                None => true,
            });
            Ok(())
        })
    }

    fn list_tags(&self, call: Call) -> Result<Reply, Fault> {
        let certificate = self.called(&call)?;
        Ok(json!({"Tags": tag_list(&certificate.tags, ("Key", "Value"))}).into())
    }

    fn tag(&self, call: &Call, change: impl FnOnce(&mut Tags) -> Result<(), Fault>) -> Written {
        let arn = self.called(call)?.arn;
        let ((), commit) = self.certificates.change(|certificates| {
            let mut kept = certificates.get(&arn).cloned().ok_or_else(|| missing_arn(&arn))?;
            change(&mut kept.tags)?;
            certificates.put(&arn, kept);
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    fn called(&self, call: &Call) -> Result<Certificate, Fault> {
        self.named(&loose::required(&call.input, "CertificateArn")?)
    }

    fn named(&self, arn: &str) -> Result<Certificate, Fault> {
        if !arn.starts_with("arn:") || !arn.contains(":certificate/") {
            let reason = format!("`{arn}` is not the ARN of a certificate");
            return Err(Fault::new("InvalidArnException", 400, reason));
        }
        self.certificates.get(arn).ok_or_else(|| missing_arn(arn))
    }

    fn users_of(&self, arn: &str) -> Vec<String> {
        self.users.get().map(|users| users(arn)).unwrap_or_default()
    }
}

impl Certificates for Acm {
    fn material(&self, arn: &str) -> Result<CertificateMaterial, Fault> {
        let certificate = self.named(arn)?;
        Ok(CertificateMaterial {
            certificate: certificate.pem,
            private_key: certificate.private_key,
        })
    }
}

impl Service for Acm {
    fn scopes(&self) -> &'static [&'static str] {
        &["acm"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::AwsJson { version: "1.1", target: "CertificateManager" }]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named_stored("ImportCertificate", Acm::import)
            .named("DescribeCertificate", Acm::describe)
            .named("GetCertificate", Acm::get)
            .named("ListCertificates", Acm::list)
            .named_stored("DeleteCertificate", Acm::delete)
            .named_stored("AddTagsToCertificate", Acm::add_tags)
            .named_stored("RemoveTagsFromCertificate", Acm::remove_tags)
            .named("ListTagsForCertificate", Acm::list_tags)
            .list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("ExportCertificate", "keys do not leave the local cloud"),
            ("GetAccountConfiguration", "nobody is told of certificates that expire"),
            ("PutAccountConfiguration", "nobody is told of certificates that expire"),
            ("RenewCertificate", "nothing is issued here, so nothing is renewed"),
            ("RequestCertificate", "there is no domain to validate; import a certificate instead"),
            ("ResendValidationEmail", "there is no domain to validate"),
            ("UpdateCertificateOptions", "imported certificates are in no transparency log"),
        ]
    }
}

/// Adds tags; ACM has a code of its own for too many.
fn tag(kept: &mut Tags, more: Vec<(String, String)>) -> Result<(), Fault> {
    let mut together = kept.clone();
    together.extend(more.iter().cloned());
    if together.len() > 50 {
        let all: Vec<String> = together.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let reason = format!("the TagSet '{{{}}}' contains too many Tags", all.join(", "));
        return Err(Fault::new("TooManyTagsException", 400, reason));
    }
    add_tags(kept, more)
}

fn invalid(reason: &str) -> Fault {
    Fault::new("InvalidParameterException", 400, reason)
}

fn missing_arn(arn: &str) -> Fault {
    let reason = format!("there is no certificate {arn}");
    Fault::new("ResourceNotFoundException", 400, reason)
}

/// When a certificate was imported, as the API shows it.
fn at(time: iotstack_local_kernel::Timestamp) -> Value {
    moment(time)
}

const PAGING: Paging = Paging { limit: "MaxItems", token: "NextToken", default: 1000, most: 1000 };
