//! `Custom::IoTStackSigningProfile`: a profile of AWS Signer for firmware.
//!
//! CloudFormation's own type knows Signer's platforms for Lambda and containers
//! only, and no type can import a certificate. This resource makes a certificate
//! for signing firmware, or takes one that exists, and a profile for the platform
//! of AWS IoT Device Management that signs with it.
//!
//! Signer never gives a name free: a cancelled profile keeps it for ever. The
//! name, which is the physical id, therefore holds a hash of the stack and of
//! everything about the certificate: a stack that is made again gets a new one,
//! and another certificate is a replacement, under which devices can be brought
//! to trust the new certificate before the old profile goes.
//!
//! What was made is found again by a tag, so that a request may be repeated at
//! any point.

mod certificate;
mod profile;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use iotstack_protocol::{CertificateName, SigningProfileName};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use sha2::{Digest, Sha256};
use tracing::info;

use crate::custom_resource::{Context, Outcome, Resource, number};
use crate::environment::Aws;
use crate::{Error, Result};
use certificate::Certificates;
use profile::Profiles;

/// The resource.
pub(crate) struct SigningProfiles {
    certificates: Certificates,
    profiles: Profiles,
}

/// What a template says about a signing profile.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Properties {
    /// What the profile's name starts with.
    profile_name: SigningProfileName,
    /// Where devices keep the certificate.
    certificate_name: CertificateName,
    /// A certificate that exists; the fields below are not looked at then.
    certificate_arn: Option<String>,
    common_name: Option<String>,
    organization: Option<String>,
    #[serde(default, deserialize_with = "number")]
    validity_days: Option<u32>,
    #[serde(default, deserialize_with = "tags")]
    tags: BTreeMap<String, String>,
}

/// Where the certificate comes from.
enum Source {
    Existing(String),
    Made(Subject),
}

/// What a self-signed certificate says about its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Subject {
    common_name: String,
    organization: Option<String>,
    validity_days: u32,
}

/// What was made while a request was handled.
#[derive(Debug, Default)]
struct Made {
    certificate: Option<String>,
    profile: Option<String>,
}

impl SigningProfiles {
    pub(crate) fn new(aws: &Aws) -> Self {
        SigningProfiles {
            certificates: Certificates::new(&aws.config),
            profiles: Profiles::new(&aws.config),
        }
    }
}

impl Resource for SigningProfiles {
    const TYPE: &'static str = "Custom::IoTStackSigningProfile";
    type Properties = Properties;

    async fn create(&self, properties: Properties, context: &Context) -> Result<Outcome> {
        // What a failed Create has made is deleted under the intended id.
        self.ensure(&properties, context, &mut Made::default()).await
    }

    async fn update(
        &self,
        _: &str,
        properties: Properties,
        old: Option<Properties>,
        context: &Context,
    ) -> Result<Outcome> {
        let mut made = Made::default();
        let result = self.ensure(&properties, context, &mut made).await;
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                // CloudFormation keeps to the old id and will never ask for this one.
                self.undo(made).await;
                return Err(error);
            }
        };
        let gone = old.map(|old| old.tags).unwrap_or_default().into_keys();
        let gone: Vec<_> = gone.filter(|key| !properties.tags.contains_key(key)).collect();
        self.untag(&outcome, gone).await?;
        Ok(outcome)
    }

    async fn delete(
        &self,
        physical_id: &str,
        _: Option<Properties>,
        context: &Context,
    ) -> Result<()> {
        // Not a profile's name: the Create failed before anything was made.
        let Ok(name) = physical_id.parse::<SigningProfileName>() else { return Ok(()) };
        self.profiles.cancel(name.as_str()).await?;
        for arn in self.certificates.made_for(name.as_str()).await? {
            self.certificates.delete(&arn, context.work_until).await?;
        }
        Ok(())
    }
}

impl SigningProfiles {
    /// Makes what is missing, and returns what is there then.
    async fn ensure(
        &self,
        properties: &Properties,
        context: &Context,
        made: &mut Made,
    ) -> Result<Outcome> {
        let source = properties.source()?;
        let (name, existing) = self.name(properties, context).await?;
        context.intend(&name);
        let mut tags = properties.tags.clone();
        tags.insert(MADE_FOR.to_owned(), name.clone());

        let (arn, pem) = match source {
            Source::Existing(arn) => {
                let pem = self.certificates.check(&arn).await?;
                (arn, pem)
            }
            Source::Made(subject) => match self.certificates.made_for(&name).await?.pop() {
                Some(arn) => {
                    self.certificates.tag(&arn, &tags).await?;
                    let pem = self.certificates.pem(&arn).await?;
                    (arn, pem)
                }
                None => {
                    let (arn, pem) = self.certificates.make(&subject, &tags).await?;
                    made.certificate = Some(arn.clone());
                    (arn, pem)
                }
            },
        };
        let certificate_name = properties.certificate_name.as_str();
        let profile = match existing.filter(|profile| profile.certificate_arn == arn) {
            Some(profile) => {
                self.profiles.tag(&profile.arn, &tags).await?;
                profile
            }
            None => {
                let until = context.work_until;
                let profile = self.profiles.put(&name, &arn, certificate_name, &tags, until);
                let profile = profile.await?;
                made.profile = Some(name.clone());
                profile
            }
        };
        info!(profile = name, certificate = arn, "signing profile");
        let data = json!({
            "ProfileName": name,
            "ProfileArn": profile.arn,
            "ProfileVersionArn": profile.version_arn,
            "CertificateArn": arn,
            "CertificatePem": pem,
        });
        let data = data.as_object().cloned().unwrap_or_default();
        Ok(Outcome { physical_id: name, data })
    }

    /// The name for these properties, and its profile if it is there already.
    ///
    /// A name whose profile is cancelled is passed over: that happens when
    /// properties change and change back.
    async fn name(
        &self,
        properties: &Properties,
        context: &Context,
    ) -> Result<(String, Option<profile::Profile>)> {
        for round in 0..=MORE_NAMES {
            let name = properties.physical_id(context, round)?;
            match self.profiles.find(&name).await? {
                profile::Found::Nothing => return Ok((name, None)),
                profile::Found::Active(profile) => return Ok((name, Some(profile))),
                profile::Found::Cancelled => {}
            }
        }
        let first = properties.physical_id(context, 0)?;
        Err(Error::NoProfileName { first, count: MORE_NAMES })
    }

    /// Takes back what was made, as far as possible; the first error is told anyway.
    async fn undo(&self, made: Made) {
        if let Some(name) = made.profile
            && let Err(error) = self.profiles.cancel(&name).await
        {
            tracing::warn!(%error, "a signing profile is left over");
        }
        if let Some(arn) = made.certificate
            && let Err(error) = self.certificates.delete_now(&arn).await
        {
            tracing::warn!(%error, "a certificate is left over");
        }
    }

    async fn untag(&self, outcome: &Outcome, keys: Vec<String>) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let arn = |name: &str| outcome.data.get(name).and_then(|arn| arn.as_str());
        if let Some(arn) = arn("ProfileArn") {
            self.profiles.untag(arn, keys.clone()).await?;
        }
        // A certificate that exists without us keeps its tags.
        if let Some(arn) = arn("CertificateArn")
            && self.certificates.made_for(&outcome.physical_id).await?.iter().any(|a| a == arn)
        {
            self.certificates.untag(arn, &keys).await?;
        }
        Ok(())
    }
}

impl Properties {
    /// Where the certificate comes from, with what a new one would say.
    fn source(&self) -> Result<Source> {
        let refuse =
            |reason: String| Err(Error::Properties { resource: SigningProfiles::TYPE, reason });
        if let Some(arn) = &self.certificate_arn {
            return Ok(Source::Existing(arn.clone()));
        }
        let Some(common_name) = self.common_name.clone() else {
            return refuse("expected `CommonName` or `CertificateArn`".to_owned());
        };
        let texts =
            [("CommonName", Some(&common_name)), ("Organization", self.organization.as_ref())];
        for (field, text) in texts {
            let Some(text) = text else { continue };
            if !(1..=64).contains(&text.chars().count()) || text.chars().any(char::is_control) {
                let expected = "expected 1 to 64 characters, none of them a control character";
                return refuse(format!("`{field}` is `{text}`: {expected}"));
            }
        }
        let validity_days = self.validity_days.unwrap_or(DEFAULT_VALIDITY_DAYS);
        if !(1..=LONGEST_VALIDITY_DAYS).contains(&validity_days) {
            let expected = format!("expected 1 to {LONGEST_VALIDITY_DAYS}");
            return refuse(format!("`ValidityDays` is {validity_days}: {expected}"));
        }
        let organization = self.organization.clone();
        Ok(Source::Made(Subject { common_name, organization, validity_days }))
    }

    /// The profile's name: the prefix, and eight digits for this stack, this
    /// certificate and the round.
    fn physical_id(&self, context: &Context, round: u32) -> Result<String> {
        let content = json!([
            context.stack_id,
            context.logical_id,
            self.certificate_name,
            self.certificate_arn,
            self.common_name,
            self.organization,
            self.validity_days,
            round,
        ]);
        let digest = Sha256::digest(content.to_string());
        let digits: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let name: SigningProfileName = format!("{}_{digits}", self.profile_name).parse()?;
        Ok(name.into())
    }
}

/// Reads tags as a map, or as the list of keys and values that templates use.
fn tags<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Tags {
        Map(BTreeMap<String, String>),
        List(Vec<Tag>),
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Tag {
        key: String,
        value: String,
    }

    Ok(match Tags::deserialize(deserializer)? {
        Tags::Map(map) => map,
        Tags::List(list) => list.into_iter().map(|tag| (tag.key, tag.value)).collect(),
    })
}

/// The tag that says which profile a certificate was made for.
const MADE_FOR: &str = "iotstack:signing-profile";

/// How many names are tried after the first.
const MORE_NAMES: u32 = 15;

const DEFAULT_VALIDITY_DAYS: u32 = 3650;
const LONGEST_VALIDITY_DAYS: u32 = 36_500;
