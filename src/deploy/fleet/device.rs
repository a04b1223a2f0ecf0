//! Devices of a fleet: their certificates, shadows and state, and the claim
//! certificate with which they provision themselves.
//!
//! Private keys are made here or read from the secret, handed to the caller in types
//! whose `Debug` does not show them, and are never logged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Fleet, gone, is_missing};
use crate::{Error, Result};

/// A thing of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// The thing's name.
    pub thing: String,
    /// The firmware that its shadow reports.
    pub firmware: Option<String>,
    /// Its certificates, by id.
    pub certificates: Vec<String>,
}

/// Where devices connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// The host, with a port if it is not the usual one.
    pub host: String,
}

/// A certificate with its key. `Debug` does not show the key.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceCredentials {
    /// The certificate's id.
    pub certificate_id: String,
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The private key, PEM.
    pub private_key: String,
}

impl std::fmt::Debug for DeviceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceCredentials")
            .field("certificate_id", &self.certificate_id)
            .finish_non_exhaustive()
    }
}

/// What a device needs to provision itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The provisioning template.
    pub template: String,
    /// The claim certificate and its key.
    pub credentials: DeviceCredentials,
}

/// A device's shadow.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Shadow(pub Value);

impl Shadow {
    /// The firmware version that the device reports.
    pub fn firmware(&self) -> Option<String> {
        self.0["state"]["reported"]["firmware"]["version"].as_str().map(str::to_owned)
    }
}

impl Fleet {
    /// Where devices connect.
    pub async fn endpoint(&self) -> Result<Endpoint> {
        let request = self.sdk.iot.describe_endpoint().endpoint_type("iot:Data-ATS");
        let answer = request.send().await.map_err(self.clients.failed("iot:DescribeEndpoint"))?;
        let missing =
            Error::UnexpectedAnswer { action: "iot:DescribeEndpoint", missing: "endpointAddress" };
        Ok(Endpoint { host: answer.endpoint_address.ok_or(missing)? })
    }

    /// The claim certificate with its key, from the secret of the stack.
    ///
    /// # Errors
    /// [`Error::MissingOutput`] if the stack has no claim provisioning.
    pub async fn claim(&self) -> Result<Claim> {
        let template = self.output("ProvisioningTemplateName")?.to_owned();
        let secret = self.output("ClaimSecretArn")?;
        let request = self.sdk.secrets.get_secret_value().secret_id(secret).send().await;
        let answer = request.map_err(self.clients.failed("secretsmanager:GetSecretValue"))?;
        let credentials = answer.secret_string.as_deref().and_then(|text| {
            // The text itself never becomes part of an error.
            serde_json::from_str(text).ok()
        });
        let missing = Error::UnexpectedAnswer {
            action: "secretsmanager:GetSecretValue",
            missing: "certificate and key",
        };
        Ok(Claim { template, credentials: credentials.ok_or(missing)? })
    }

    /// The public certificate that devices check firmware signatures with, PEM, and the
    /// name under which they keep it.
    pub async fn signing_certificate(&self) -> Result<(String, String)> {
        let profile = self.output("SigningProfileName")?;
        let request = self.sdk.signer.get_signing_profile().profile_name(profile).send().await;
        let profile = request.map_err(self.clients.failed("signer:GetSigningProfile"))?;
        let missing =
            |missing| Error::UnexpectedAnswer { action: "signer:GetSigningProfile", missing };
        let name = profile.signing_parameters.and_then(|mut all| all.remove("certname"));
        let arn = profile.signing_material.map(|material| material.certificate_arn);
        let arn = arn.ok_or_else(|| missing("signingMaterial"))?;
        let request = self.sdk.acm.get_certificate().certificate_arn(arn).send().await;
        let answer = request.map_err(self.clients.failed("acm:GetCertificate"))?;
        let certificate = answer.certificate.ok_or_else(|| missing("certificate"))?;
        Ok((name.ok_or_else(|| missing("certname"))?, certificate))
    }

    /// Makes a thing of the fleet with a certificate of its own, whose key is made here
    /// and never crosses the network. One that exists gets one certificate more.
    pub async fn provision(&self, thing: &str) -> Result<DeviceCredentials> {
        let policy = self.device_policy()?;
        let group = self.thing_group()?;
        let iot = &self.sdk.iot;
        let created = iot.create_thing().thing_name(thing).thing_type_name(group).send().await;
        if let Err(error) = created.map_err(self.clients.failed("iot:CreateThing"))
            && !is_there_already(&error)
        {
            return Err(error);
        }
        let request = iot.add_thing_to_thing_group().thing_name(thing).thing_group_name(group);
        request.send().await.map_err(self.clients.failed("iot:AddThingToThingGroup"))?;
        let (private_key, request) = new_key().map_err(Error::DeviceKey)?;
        let request = iot.create_certificate_from_csr().certificate_signing_request(request);
        let made = request.set_as_active(true).send().await;
        let made = made.map_err(self.clients.failed("iot:CreateCertificateFromCsr"))?;
        let missing =
            |missing| Error::UnexpectedAnswer { action: "iot:CreateCertificateFromCsr", missing };
        let arn = made.certificate_arn.ok_or_else(|| missing("certificateArn"))?;
        // The thing first: by it the certificate is found again if something fails.
        let request = iot.attach_thing_principal().thing_name(thing).principal(&arn);
        let attached = request.send().await;
        if let Err(error) = attached.map_err(self.clients.failed("iot:AttachThingPrincipal")) {
            // The first error is the one to tell.
            let _ = self.delete_certificate(&arn).await;
            return Err(error);
        }
        let request = iot.attach_policy().policy_name(policy).target(&arn);
        request.send().await.map_err(self.clients.failed("iot:AttachPolicy"))?;
        Ok(DeviceCredentials {
            certificate_id: made.certificate_id.ok_or_else(|| missing("certificateId"))?,
            certificate_pem: made.certificate_pem.ok_or_else(|| missing("certificatePem"))?,
            private_key,
        })
    }

    /// The same for several things, by their names; none is begun any more once `stopped`
    /// is set.
    pub async fn provision_all(
        &self,
        things: &[String],
        stopped: &AtomicBool,
    ) -> Result<BTreeMap<String, DeviceCredentials>> {
        let provision = |fleet: Fleet, thing: String| async move {
            let credentials = fleet.provision(&thing).await?;
            Ok((thing, credentials))
        };
        let things = things.iter().take_while(|_| !stopped.load(Ordering::Relaxed));
        let made = self.for_each(things.cloned(), provision).await?;
        Ok(made.into_iter().collect())
    }

    /// One of these things that exists, in this fleet or elsewhere in the account.
    pub async fn first_existing(&self, things: &[String]) -> Result<Option<String>> {
        let look = |fleet: Fleet, thing: String| async move {
            let answer = fleet.sdk.iot.describe_thing().thing_name(&thing).send().await;
            match answer.map_err(fleet.clients.failed("iot:DescribeThing")) {
                Ok(_) => Ok(Some(thing)),
                Err(error) if is_missing(&error) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let found = self.for_each(things.iter().cloned(), look).await?;
        Ok(found.into_iter().flatten().min())
    }

    /// The shadow of a thing, the classic one if no name is given; nothing if it
    /// has none.
    pub async fn shadow(&self, thing: &str, name: Option<&str>) -> Result<Option<Shadow>> {
        let request = self.sdk.data.get_thing_shadow().thing_name(thing);
        let answer = request.set_shadow_name(name.map(str::to_owned)).send().await;
        match answer.map_err(self.clients.failed("iot:GetThingShadow")) {
            Ok(answer) => {
                let bytes = answer.payload.map(|payload| payload.into_inner()).unwrap_or_default();
                let missing =
                    Error::UnexpectedAnswer { action: "iot:GetThingShadow", missing: "JSON" };
                serde_json::from_slice(&bytes).map(|value| Some(Shadow(value))).map_err(|_| missing)
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The things of the fleet, by name.
    pub async fn devices(&self) -> Result<Vec<Device>> {
        let device = |fleet: Fleet, thing: String| async move {
            let certificates = fleet.certificates(&thing).await?;
            let certificates = certificates.iter().filter_map(|arn| arn.rsplit('/').next());
            let certificates = certificates.map(str::to_owned).collect();
            let firmware = fleet.shadow(&thing, None).await?.and_then(|shadow| shadow.firmware());
            Ok::<_, Error>(Device { firmware, certificates, thing })
        };
        let mut found = self.for_each(self.things().await?, device).await?;
        found.sort_by(|one: &Device, other| one.thing.cmp(&other.thing));
        Ok(found)
    }

    /// The names of the things of the fleet, in order.
    pub async fn things(&self) -> Result<Vec<String>> {
        let request = self.sdk.iot.list_things_in_thing_group();
        let request = request.thing_group_name(self.thing_group()?).recursive(true);
        let mut pages = request.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(self.clients.failed("iot:ListThingsInThingGroup"))?;
            found.extend(page.things.unwrap_or_default());
        }
        found.sort();
        Ok(found)
    }

    /// Takes away things with their certificates. One that is not there is no failure;
    /// after a failure the others are taken away all the same.
    pub async fn retire(&self, things: &[String]) -> Result<()> {
        let retire =
            |fleet: Fleet, thing: String| async move { gone(fleet.retire_one(&thing).await) };
        self.for_each(things.iter().cloned(), retire).await.map(drop)
    }

    /// Takes away a thing, in the order that AWS IoT wants.
    async fn retire_one(&self, thing: &str) -> Result<()> {
        let iot = &self.sdk.iot;
        for arn in self.certificates(thing).await? {
            let attached = iot.list_attached_policies().target(&arn).send().await;
            let attached = attached.map_err(self.clients.failed("iot:ListAttachedPolicies"))?;
            for policy in attached.policies() {
                let request = iot.detach_policy().target(&arn);
                let request = request.set_policy_name(policy.policy_name.clone());
                request.send().await.map_err(self.clients.failed("iot:DetachPolicy"))?;
            }
            let request = iot.detach_thing_principal().thing_name(thing).principal(&arn);
            request.send().await.map_err(self.clients.failed("iot:DetachThingPrincipal"))?;
            self.delete_certificate(&arn).await?;
        }
        let request = iot.delete_thing().thing_name(thing).send().await;
        request.map(drop).map_err(self.clients.failed("iot:DeleteThing"))
    }

    /// Deletes a certificate that is attached to nothing.
    async fn delete_certificate(&self, arn: &str) -> Result<()> {
        let (iot, id) = (&self.sdk.iot, arn.rsplit('/').next().unwrap_or_default());
        let inactive = aws_sdk_iot::types::CertificateStatus::Inactive;
        let request = iot.update_certificate().certificate_id(id).new_status(inactive);
        request.send().await.map_err(self.clients.failed("iot:UpdateCertificate"))?;
        let request = iot.delete_certificate().certificate_id(id).send().await;
        request.map(drop).map_err(self.clients.failed("iot:DeleteCertificate"))
    }

    async fn certificates(&self, thing: &str) -> Result<Vec<String>> {
        let request = self.sdk.iot.list_thing_principals().thing_name(thing);
        let mut pages = request.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(self.clients.failed("iot:ListThingPrincipals"))?;
            found.extend(page.principals.unwrap_or_default());
        }
        Ok(found)
    }
}

/// A key, and the request for its certificate, both PEM.
fn new_key() -> std::result::Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "AWS IoT Certificate");
    let request = params.serialize_request(&key)?;
    Ok((key.serialize_pem(), request.pem()?))
}

fn is_there_already(error: &Error) -> bool {
    matches!(error, Error::Service { code, .. } if code == "ResourceAlreadyExistsException")
}
