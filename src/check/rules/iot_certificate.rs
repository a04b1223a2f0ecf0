//! Certificates: which of their properties belong together.
//!
//! AWS IoT makes a certificate from a signing request, takes one of a registered CA
//! with that CA's certificate, or takes one without a CA in SNI mode. It makes no keys.

use crate::value::{Given, given};
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Certificates;

impl Rule for Certificates {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&CERTIFICATE_SOURCE]
    }

    fn types(&self) -> Types {
        Types::Only(&["AWS::IoT::Certificate", "AWS::IoT::CACertificate"])
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        _: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let is = |name: &str| given(&resource.resource.properties, name);
        let mode = match resource.property("CertificateMode") {
            None => Some("DEFAULT"),
            // A function decides the mode.
            Some(value) => value.as_str().filter(|_| value.is_string()),
        };
        let Some(mode) = mode else { return };
        let message = if resource.resource.kind == "AWS::IoT::CACertificate" {
            match (mode, is("VerificationCertificatePem")) {
                ("DEFAULT", Given::No) => {
                    "a CA in the mode DEFAULT needs `VerificationCertificatePem`"
                }
                ("SNI_ONLY", Given::Yes) => {
                    "a CA in the mode SNI_ONLY takes no `VerificationCertificatePem`"
                }
                _ => return,
            }
        } else {
            match (is("CertificateSigningRequest"), is("CertificatePem"), is("CACertificatePem")) {
                (Given::No, Given::No, _) => {
                    "a certificate needs `CertificateSigningRequest` or `CertificatePem`; AWS IoT \
                     makes no keys in a template"
                }
                (Given::No, Given::Yes, Given::No) if mode == "DEFAULT" => {
                    "`CertificatePem` needs `CACertificatePem`, or the mode SNI_ONLY"
                }
                _ => return,
            }
        };
        findings.add(&CERTIFICATE_SOURCE, resource.properties, message);
    }
}

static CERTIFICATE_SOURCE: Code = Code::error(
    "certificate-source",
    "A certificate comes from a signing request; or as PEM together with the PEM of its CA; or as \
     PEM alone with `CertificateMode: SNI_ONLY`. A CA's certificate is proven by a verification \
     certificate unless its mode is SNI_ONLY.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn certificate(properties: Value) -> iotstack_assembly::Diagnostics {
        resource("AWS::IoT::Certificate", properties)
    }

    #[test]
    fn accepts_the_three_ways() {
        let pem = "-----BEGIN CERTIFICATE-----";
        clean(&certificate(json!({"Status": "ACTIVE", "CertificateSigningRequest": "csr"})));
        clean(&certificate(
            json!({"Status": "ACTIVE", "CertificatePem": pem, "CACertificatePem": pem}),
        ));
        clean(&certificate(
            json!({"Status": "ACTIVE", "CertificatePem": pem, "CertificateMode": "SNI_ONLY"}),
        ));
    }

    #[test]
    fn finds_a_certificate_out_of_nothing() {
        has_codes(&certificate(json!({"Status": "ACTIVE"})), &["certificate-source"]);
        has_codes(
            &certificate(json!({"Status": "ACTIVE", "CertificatePem": "x"})),
            &["certificate-source"],
        );
    }

    #[test]
    fn a_ca_is_verified_in_the_default_mode() {
        let ca = |extra: Value| {
            let mut properties = json!({"Status": "ACTIVE", "CACertificatePem": "x"});
            properties.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            resource("AWS::IoT::CACertificate", properties)
        };
        has_codes(&ca(json!({})), &["certificate-source"]);
        clean(&ca(json!({"CertificateMode": "SNI_ONLY"})));
    }
}
