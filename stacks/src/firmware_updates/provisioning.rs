//! How devices get certificates of their own: fleet provisioning by claim.
//!
//! A factory puts one claim certificate on every device. With it a device can do nothing
//! but ask for a certificate of its own and become a thing of the fleet. The key of the
//! claim certificate is made by a custom resource and handed to a secret; it appears in
//! no template, no log and no output. Whoever holds it can add devices, so this part is
//! optional, and a secret that got out is answered with a new claim certificate.

use iotstack::aws::iam::{Grantee, Role, RoleRef, Service, Statement};
use iotstack::aws::iot::{CfnProvisioningTemplate, Policy, PolicyStatement};
use iotstack::aws::patterns::CustomResource;
use iotstack::aws::secretsmanager::CfnSecret;
use iotstack::prelude::*;
use serde_json::json;

use super::Deployment;
use super::functions::Functions;

pub struct Provisioning<'a> {
    pub deployment: &'a Deployment,
    pub functions: &'a Functions,
}

pub struct ProvisioningRef {
    pub template_name: Expr,
    pub claim_secret_arn: Expr,
}

impl Construct for Provisioning<'_> {
    type Ref = ProvisioningRef;

    fn build(self, scope: &Scope) -> ProvisioningRef {
        let prefix = self.deployment.prefix();
        let role = scope.add(
            "Role",
            Role {
                description: "Registers devices that claim their certificate".into(),
                managed_policies: vec!["service-role/AWSIoTThingsRegistration".into()],
                ..Role::new(Service::IOT)
            },
        );
        let template = self.template(scope, &role);
        let policy = scope.add(
            "ClaimPolicy",
            Policy {
                policy_name: format!("{prefix}-claim").into(),
                statements: claim_policy(&prefix),
            },
        );
        let secret = scope.resource(
            "ClaimSecret",
            CfnSecret::new().description(format!(
                "Claim certificate of {prefix} with its private key, for the factory"
            )),
        );
        let secret_arn = secret.attribute(CfnSecret::ID);
        let provider = scope.add(
            "Provider",
            self.functions.provider("claim-certificate", "Makes the claim certificate"),
        );
        allow_claims(provider.function(), &secret_arn);
        let mut properties = Props::new();
        properties.set("PolicyName", policy.name());
        properties.set("SecretId", secret_arn.clone());
        properties.set("CommonName", format!("{prefix} claim"));
        scope.add(
            "ClaimCertificate",
            CustomResource { kind: "Custom::IoTStackClaimCertificate", provider, properties },
        );
        ProvisioningRef { template_name: template, claim_secret_arn: secret_arn }
    }
}

impl Provisioning<'_> {
    /// The template that makes a thing of the fleet out of a serial number.
    fn template(&self, scope: &Scope, role: &RoleRef) -> Expr {
        let prefix = self.deployment.prefix();
        let body = json!({
            "Parameters": {
                "SerialNumber": { "Type": "String" },
                "AWS::IoT::Certificate::Id": { "Type": "String" },
            },
            "Resources": {
                "Certificate": {
                    "Type": "AWS::IoT::Certificate",
                    "Properties": {
                        "CertificateId": { "Ref": "AWS::IoT::Certificate::Id" },
                        "Status": "ACTIVE",
                    },
                },
                "Policy": {
                    "Type": "AWS::IoT::Policy",
                    "Properties": { "PolicyName": format!("{prefix}-device") },
                },
                "Thing": {
                    "Type": "AWS::IoT::Thing",
                    // A thing that the stack has made already is taken as it is.
                    "OverrideSettings": {
                        "AttributePayload": "DO_NOTHING",
                        "ThingGroups": "MERGE",
                        "ThingTypeName": "REPLACE",
                    },
                    "Properties": {
                        "ThingName": {
                            "Fn::Join": ["", [format!("{prefix}-"), { "Ref": "SerialNumber" }]],
                        },
                        "ThingTypeName": prefix,
                        "ThingGroups": [prefix],
                    },
                },
            },
        });
        let template = CfnProvisioningTemplate::new(role.arn(), body.to_string())
            .template_name(prefix.clone())
            .description(format!("Makes a thing of {prefix} out of a serial number"))
            .enabled(true);
        let template = scope.resource("Template", template);
        template.reference()
    }
}

/// A claim may connect under a name of the fleet and ask for a certificate of its own.
fn claim_policy(prefix: &str) -> Vec<PolicyStatement> {
    let topics = [
        "$aws/certificates/create/*".to_owned(),
        "$aws/certificates/create-from-csr/*".to_owned(),
        format!("$aws/provisioning-templates/{prefix}/provision/*"),
    ];
    vec![
        PolicyStatement {
            attached_thing_only: false,
            resources: vec![format!("client/{prefix}-*")],
            ..PolicyStatement::connect_as_thing()
        },
        PolicyStatement::publish(topics.clone()),
        PolicyStatement::subscribe(topics.clone()),
        PolicyStatement::receive(topics),
    ]
}

fn allow_claims(function: &impl Grantee, secret_arn: &Expr) {
    let certificates =
        text!("arn:{}:iot:{}:{}:cert/*", Pseudo::Partition, Pseudo::Region, Pseudo::AccountId);
    // A certificate that does not exist yet has no ARN, and a list knows no narrower resource.
    let _ = function.allow(Statement::allow(
        ["iot:CreateCertificateFromCsr", "iot:ListAttachedPolicies"],
        ["*"],
    ));
    let _ = function.allow(Statement::allow(
        [
            "iot:AttachPolicy",
            "iot:DeleteCertificate",
            "iot:DescribeCertificate",
            "iot:DetachPolicy",
            "iot:UpdateCertificate",
        ],
        [certificates],
    ));
    let _ = function.allow(Statement::allow(
        ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"],
        [secret_arn.clone()],
    ));
}
