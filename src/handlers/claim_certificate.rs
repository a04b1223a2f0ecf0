//! `Custom::IoTStackClaimCertificate`: the certificate with which devices claim
//! their own.
//!
//! CloudFormation's `AWS::IoT::Certificate` makes no keys, and a template must
//! never hold one. So the key is made here, the certificate is asked for with a
//! signing request, and both go into a secret of Secrets Manager from which a
//! factory takes them. The key is never logged, and leaves this process only for
//! the secret; our copies are overwritten.
//!
//! A new certificate becomes active last. If the function dies on the way, what
//! is left over can do nothing. The physical id is the certificate's id.

use aws_sdk_iot::Client;
use aws_sdk_iot::types::CertificateStatus;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde::Deserialize;
use serde_json::json;
use tracing::info;
use zeroize::{Zeroize, Zeroizing};

use crate::custom_resource::{Context, Outcome, Resource};
use crate::environment::Aws;
use crate::error::failed;
use crate::retry::{until, with_patience};
use crate::{Error, Result};

/// The resource.
pub(crate) struct ClaimCertificates {
    iot: Client,
    secrets: aws_sdk_secretsmanager::Client,
}

/// What a template says about it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Properties {
    /// The IoT policy that says what a claim may do.
    policy_name: String,
    /// The secret that takes certificate and key, by ARN.
    secret_id: String,
    /// The common name of the certificate.
    common_name: String,
}

/// What the secret holds of a certificate; the key is read by nobody here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    certificate_id: String,
}

impl ClaimCertificates {
    pub(crate) fn new(aws: &Aws) -> Self {
        ClaimCertificates {
            iot: Client::new(&aws.config),
            secrets: aws_sdk_secretsmanager::Client::new(&aws.config),
        }
    }
}

impl Resource for ClaimCertificates {
    const TYPE: &'static str = "Custom::IoTStackClaimCertificate";
    type Properties = Properties;

    async fn create(&self, properties: Properties, context: &Context) -> Result<Outcome> {
        // A repeated request finds what the first one has made.
        if let Some(id) = self.kept(&properties.secret_id).await?
            && let Some(arn) = self.arn(&id).await?
        {
            context.intend(&id);
            return self.activate(id, arn, &properties, context).await;
        }
        self.make(&properties, context).await
    }

    async fn update(
        &self,
        physical_id: &str,
        properties: Properties,
        old: Option<Properties>,
        context: &Context,
    ) -> Result<Outcome> {
        let is_same = |old: &Properties| {
            old.secret_id == properties.secret_id && old.common_name == properties.common_name
        };
        let arn = match old.as_ref().is_none_or(is_same) {
            true => self.arn(physical_id).await?,
            false => None,
        };
        let Some(arn) = arn else { return self.make(&properties, context).await };
        let outcome =
            self.activate(physical_id.to_owned(), arn.clone(), &properties, context).await?;
        if let Some(old) = old.filter(|old| old.policy_name != properties.policy_name) {
            self.detach(&old.policy_name, &arn).await?;
        }
        Ok(outcome)
    }

    async fn delete(
        &self,
        physical_id: &str,
        _: Option<Properties>,
        context: &Context,
    ) -> Result<()> {
        // An id that CloudFormation made up after a failed Create is none of ours.
        if physical_id.len() != 64 {
            return Ok(());
        }
        let Some(arn) = self.arn(physical_id).await? else { return Ok(()) };
        let attached = self.iot.list_attached_policies().target(&arn).send().await;
        let attached = attached.map_err(failed("ListAttachedPolicies"))?;
        for policy in attached.policies() {
            self.detach(policy.policy_name().unwrap_or_default(), &arn).await?;
        }
        self.set_status(physical_id, CertificateStatus::Inactive).await?;
        // A detached policy may hold on to the certificate for a moment.
        let is_passing =
            |error: &Error| error.is_throttled() || error.has_code("DeleteConflictException");
        until(context.work_until, is_passing, || async {
            let answer = self.iot.delete_certificate().certificate_id(physical_id).send().await;
            match answer.map_err(failed("DeleteCertificate")) {
                Err(error) if !error.is_not_found() => Err(error),
                _ => Ok(()),
            }
        })
        .await
    }
}

impl ClaimCertificates {
    /// Makes key and certificate, hands them to the secret and makes them good.
    async fn make(&self, properties: &Properties, context: &Context) -> Result<Outcome> {
        let (key, request) = new_key(&properties.common_name)?;
        let answer = with_patience(context.work_until, || async {
            let call = self.iot.create_certificate_from_csr().certificate_signing_request(&request);
            call.set_as_active(false).send().await.map_err(failed("CreateCertificateFromCsr"))
        });
        let answer = answer.await?;
        let id = answer.certificate_id.unwrap_or_default();
        let arn = answer.certificate_arn.unwrap_or_default();
        context.intend(&id);
        let mut content = json!({
            "certificateId": id,
            "certificatePem": answer.certificate_pem.unwrap_or_default(),
            "privateKey": key.as_str(),
        });
        let text = Zeroizing::new(content.to_string());
        if let Some(serde_json::Value::String(copy)) = content.get_mut("privateKey") {
            copy.zeroize();
        }
        let call = self.secrets.put_secret_value().secret_id(&properties.secret_id);
        let answer = call.secret_string(text.as_str()).send().await;
        answer.map_err(failed("PutSecretValue"))?;
        self.activate(id, arn, properties, context).await
    }

    /// Attaches the policy and makes the certificate active.
    async fn activate(
        &self,
        id: String,
        arn: String,
        properties: &Properties,
        context: &Context,
    ) -> Result<Outcome> {
        with_patience(context.work_until, || async {
            let call = self.iot.attach_policy().policy_name(&properties.policy_name).target(&arn);
            call.send().await.map(drop).map_err(failed("AttachPolicy"))
        })
        .await?;
        self.set_status(&id, CertificateStatus::Active).await?;
        info!(certificate = id, "claim certificate");
        let data = json!({ "CertificateId": id, "CertificateArn": arn });
        Ok(Outcome { physical_id: id, data: data.as_object().cloned().unwrap_or_default() })
    }

    /// The certificate that the secret holds; none while it is empty.
    async fn kept(&self, secret: &str) -> Result<Option<String>> {
        let answer = self.secrets.get_secret_value().secret_id(secret).send().await;
        match answer.map_err(failed("GetSecretValue")) {
            Ok(answer) => {
                let text = Zeroizing::new(answer.secret_string.unwrap_or_default());
                let kept = serde_json::from_str::<Kept>(&text).ok();
                Ok(kept.map(|kept| kept.certificate_id))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn arn(&self, id: &str) -> Result<Option<String>> {
        let answer = self.iot.describe_certificate().certificate_id(id).send().await;
        match answer.map_err(failed("DescribeCertificate")) {
            Ok(answer) => {
                Ok(answer.certificate_description.and_then(|found| found.certificate_arn))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn detach(&self, policy: &str, arn: &str) -> Result<()> {
        let answer = self.iot.detach_policy().policy_name(policy).target(arn).send().await;
        match answer.map_err(failed("DetachPolicy")) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    async fn set_status(&self, id: &str, status: CertificateStatus) -> Result<()> {
        let answer = self.iot.update_certificate().certificate_id(id).new_status(status);
        answer.send().await.map(drop).map_err(failed("UpdateCertificate"))
    }
}

/// A key, and the request for its certificate, both PEM.
fn new_key(common_name: &str) -> Result<(Zeroizing<String>, String)> {
    let refuse = |error: rcgen::Error| Error::Properties {
        resource: ClaimCertificates::TYPE,
        reason: format!("`CommonName` is `{common_name}`: {error}"),
    };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refuse)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let request =
        params.serialize_request(&key).and_then(|request| request.pem()).map_err(refuse)?;
    Ok((Zeroizing::new(key.serialize_pem()), request))
}

#[cfg(test)]
mod tests;
