//! How firmware is signed: a profile of AWS Signer for the IoT platform.
//!
//! CloudFormation's `AWS::Signer::SigningProfile` knows neither that platform nor signing
//! material, and nothing in CloudFormation imports a certificate into ACM; so a custom
//! resource does both. The private key is made in the function, goes into ACM and is
//! forgotten; the public certificate becomes an SSM parameter for devices to trust.

use iotstack::aws::iam::{Condition, Grantee, Statement};
use iotstack::aws::patterns::CustomResource;
use iotstack::aws::ssm::{StringParameter, StringParameterRef};
use iotstack::prelude::*;

use super::Deployment;
use super::functions::Functions;

pub struct Signing<'a> {
    pub deployment: &'a Deployment,
    pub functions: &'a Functions,
}

pub struct SigningRef {
    pub profile_name: Expr,
    pub certificate_parameter: StringParameterRef,
}

impl Construct for Signing<'_> {
    type Ref = SigningRef;

    fn build(self, scope: &Scope) -> SigningRef {
        let signing = &self.deployment.parameters.signing;
        let prefix = self.deployment.prefix_with_underscores();
        let provider = scope.add(
            "Provider",
            self.functions.provider("signing-profile", "Makes the firmware signing profile"),
        );
        allow_signing(provider.function(), &prefix);

        let mut properties = Props::new();
        properties.set("ProfileName", prefix);
        properties.set("CertificateName", signing.certificate_name.clone());
        match &signing.certificate_arn {
            Some(arn) => properties.set("CertificateArn", arn.clone()),
            None => {
                let common_name = format!("{} firmware signing", self.deployment.prefix());
                properties.set("CommonName", common_name);
                properties.set("ValidityDays", signing.validity_days);
                if let Some(organization) = &signing.organization {
                    properties.set("Organization", organization.clone());
                }
            }
        }
        let profile = scope.add(
            "Profile",
            CustomResource { kind: "Custom::IoTStackSigningProfile", provider, properties },
        );
        if self.deployment.retains() {
            // Devices trust the certificate for years; a lost stack must not lose it.
            profile.resource().removal_policy(DeletionPolicy::RetainExceptOnCreate);
        }
        let certificate_parameter = scope.add(
            "Certificate",
            StringParameter {
                parameter_name: format!(
                    "/{}/{}/code-signing-certificate",
                    self.deployment.parameters.project, self.deployment.environment_name
                ),
                value: profile.value("CertificatePem").into(),
                description: "Public certificate that devices check firmware signatures with"
                    .into(),
            },
        );
        SigningRef { profile_name: profile.value("ProfileName"), certificate_parameter }
    }
}

fn allow_signing(function: &impl Grantee, prefix: &str) {
    let profiles = text!(
        "arn:{}:signer:{}:{}:/signing-profiles/{}_*",
        Pseudo::Partition,
        Pseudo::Region,
        Pseudo::AccountId,
        prefix
    );
    let certificates = text!(
        "arn:{}:acm:{}:{}:certificate/*",
        Pseudo::Partition,
        Pseudo::Region,
        Pseudo::AccountId
    );
    // These know no narrower resource.
    let _ = function
        .allow(Statement::allow(["signer:PutSigningProfile", "acm:ListCertificates"], ["*"]));
    let _ = function.allow(Statement::allow(
        [
            "signer:GetSigningProfile",
            "signer:CancelSigningProfile",
            "signer:TagResource",
            "signer:UntagResource",
        ],
        [profiles],
    ));
    let _ = function.allow(Statement::allow(
        [
            "acm:AddTagsToCertificate",
            "acm:DescribeCertificate",
            "acm:GetCertificate",
            "acm:ImportCertificate",
            "acm:ListTagsForCertificate",
            "acm:RemoveTagsFromCertificate",
        ],
        [certificates.clone()],
    ));
    // Deletes only what carries the tag of a signing profile.
    let _ = function.allow(Statement {
        conditions: vec![Condition::new(
            "Null",
            "aws:ResourceTag/iotstack:signing-profile",
            "false",
        )],
        ..Statement::allow(["acm:DeleteCertificate"], [certificates])
    });
}
