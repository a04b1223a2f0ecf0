//! The calls of AWS Signer that make, find and cancel a profile.
//!
//! A profile of this kind is its platform, a certificate in ACM, and the name of
//! that certificate on the device, which Signer hands on as a signing parameter.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_signer::Client;
use aws_sdk_signer::types::{SigningMaterial, SigningProfileStatus};
use aws_types::SdkConfig;
use iotstack_protocol::signing::{CERTIFICATE_PARAMETER, SIGNING_PLATFORM};
use tokio::time::Instant;

use crate::Result;
use crate::error::{Error, failed};
use crate::retry::until;

/// Signer.
pub(super) struct Profiles {
    client: Client,
}

/// A profile that can sign.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) arn: String,
    pub(super) version_arn: String,
    pub(super) certificate_arn: String,
}

/// What is there under a name.
pub(super) enum Found {
    Nothing,
    Active(Profile),
    Cancelled,
}

impl Profiles {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Profiles { client: Client::new(config) }
    }

    pub(super) async fn find(&self, name: &str) -> Result<Found> {
        let answer = self.client.get_signing_profile().profile_name(name).send().await;
        let profile = match answer.map_err(failed("GetSigningProfile")) {
            Ok(profile) => profile,
            Err(error) if error.is_not_found() => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        if profile.status() != Some(&SigningProfileStatus::Active) {
            return Ok(Found::Cancelled);
        }
        let material = profile.signing_material.map(|material| material.certificate_arn);
        Ok(Found::Active(Profile {
            arn: profile.arn.unwrap_or_default(),
            version_arn: profile.profile_version_arn.unwrap_or_default(),
            certificate_arn: material.unwrap_or_default(),
        }))
    }

    pub(super) async fn put(
        &self,
        name: &str,
        certificate_arn: &str,
        certificate_name: &str,
        tags: &BTreeMap<String, String>,
        deadline: Instant,
    ) -> Result<Profile> {
        let material = SigningMaterial::builder().certificate_arn(certificate_arn).build();
        let material = material.map_err(|error| Error::Certificate {
            certificate: certificate_arn.to_owned(),
            reason: error.to_string(),
        })?;
        // Signer may not see a certificate at once that was just imported.
        let is_passing = |error: &Error| error.is_throttled() || error.is_not_found();
        let answer = until(deadline, is_passing, || async {
            let request = self.client.put_signing_profile().profile_name(name);
            let request = request
                .platform_id(SIGNING_PLATFORM)
                .signing_material(material.clone())
                .signing_parameters(CERTIFICATE_PARAMETER, certificate_name)
                .set_tags(Some(map(tags)));
            request.send().await.map_err(failed("PutSigningProfile"))
        });
        let answer = answer.await?;
        Ok(Profile {
            arn: answer.arn.unwrap_or_default(),
            version_arn: answer.profile_version_arn.unwrap_or_default(),
            certificate_arn: certificate_arn.to_owned(),
        })
    }

    /// Cancels a profile; one that is cancelled or was never there is fine.
    pub(super) async fn cancel(&self, name: &str) -> Result<()> {
        let answer = self.client.cancel_signing_profile().profile_name(name).send().await;
        let error = match answer.map_err(failed("CancelSigningProfile")) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        match self.find(name).await? {
            Found::Nothing | Found::Cancelled => Ok(()),
            Found::Active(_) => Err(error),
        }
    }

    pub(super) async fn tag(&self, arn: &str, tags: &BTreeMap<String, String>) -> Result<()> {
        let request = self.client.tag_resource().resource_arn(arn).set_tags(Some(map(tags)));
        request.send().await.map(drop).map_err(failed("TagResource"))
    }

    pub(super) async fn untag(&self, arn: &str, keys: Vec<String>) -> Result<()> {
        let request = self.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys));
        request.send().await.map(drop).map_err(failed("UntagResource"))
    }
}

fn map(tags: &BTreeMap<String, String>) -> HashMap<String, String> {
    tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}
