//! Signing profiles for firmware.
//!
//! The AWS IoT platform of AWS Signer is not among those that the CloudFormation type
//! takes. The service itself does take it.

use crate::value::branches;
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Signing;

impl Rule for Signing {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&SIGNING_PLATFORM]
    }

    fn types(&self) -> Types {
        Types::Only(&["AWS::Signer::SigningProfile"])
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        _: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let Some(platform) = resource.property("PlatformId") else { return };
        branches(platform, &resource.properties.key("PlatformId"), &mut |value, trail| {
            let Some(name) = value.as_str() else { return };
            if name.starts_with("AWSIoT") || name.starts_with("AmazonFreeRTOS") {
                findings.advise(
                    &SIGNING_PLATFORM,
                    trail,
                    format!("CloudFormation makes no signing profiles for the platform `{name}`"),
                    "make the profile with a custom resource that calls PutSigningProfile",
                );
            }
        });
    }
}

static SIGNING_PLATFORM: Code = Code::error(
    "signing-platform",
    "`AWS::Signer::SigningProfile` makes profiles for Lambda and container images only. A profile \
     that signs firmware for AWS IoT has to be made by calling the service, for example with a \
     custom resource; it also needs a certificate in ACM, which the type cannot name.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::json;

    fn profile(platform: &str) -> iotstack_assembly::Diagnostics {
        resource("AWS::Signer::SigningProfile", json!({ "PlatformId": platform }))
    }

    #[test]
    fn accepts_the_platform_of_lambda() {
        clean(&profile("AWSLambda-SHA384-ECDSA"));
    }

    #[test]
    fn says_what_to_do_about_firmware() {
        let found = profile("AWSIoTDeviceManagement-SHA256-ECDSA");
        has_codes(&found, &["signing-platform"]);
    }
}
