//! Operations of the control plane that AWS offers and this service refuses.
//!
//! They have routes only so that the refusal can name them; the coverage list
//! shows them with their reasons.

use std::sync::LazyLock;

use http::Method;
use iotstack_local_kernel::service::{Refused, reasons};

/// The refused operations with their reasons.
pub fn list() -> &'static [(&'static str, &'static str)] {
    static LIST: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| reasons(REFUSED));
    &LIST
}

#[rustfmt::skip]
pub const REFUSED: &[Refused] = &[
    ("AcceptCertificateTransfer", Method::PATCH, "/accept-certificate-transfer/{certificateId}", ONE_ACCOUNT),
    ("AssociateSbomWithPackageVersion", Method::PUT, "/packages/{packageName}/versions/{versionName}/sbom", NO_PACKAGES),
    ("CancelCertificateTransfer", Method::PATCH, "/cancel-certificate-transfer/{certificateId}", ONE_ACCOUNT),
    ("CreateAuditSuppression", Method::POST, "/audit/suppressions/create", NO_DEFENDER),
    ("CreateAuthorizer", Method::POST, "/authorizer/{authorizerName}", NO_AUTHORIZERS),
    ("CreateCertificateProvider", Method::POST, "/certificate-providers/{certificateProviderName}", OWN_CA),
    ("CreateCommand", Method::PUT, "/commands/{commandId}", NO_COMMANDS),
    ("CreateCustomMetric", Method::POST, "/custom-metric/{metricName}", NO_DEFENDER),
    ("CreateDimension", Method::POST, "/dimensions/{name}", NO_DEFENDER),
    ("CreateDomainConfiguration", Method::POST, "/domainConfigurations/{domainConfigurationName}", ONE_ENDPOINT),
    ("CreateMitigationAction", Method::POST, "/mitigationactions/actions/{actionName}", NO_DEFENDER),
    ("CreatePackage", Method::PUT, "/packages/{packageName}", NO_PACKAGES),
    ("CreatePackageVersion", Method::PUT, "/packages/{packageName}/versions/{versionName}", NO_PACKAGES),
    ("CreateScheduledAudit", Method::POST, "/audit/scheduledaudits/{scheduledAuditName}", NO_DEFENDER),
    ("CreateSecurityProfile", Method::POST, "/security-profiles/{securityProfileName}", NO_DEFENDER),
    ("DescribeAccountAuditConfiguration", Method::GET, "/audit/configuration", NO_DEFENDER),
    ("ListAuthorizers", Method::GET, "/authorizers/", NO_AUTHORIZERS),
    ("ListCertificateProviders", Method::GET, "/certificate-providers/", OWN_CA),
    ("ListCommands", Method::GET, "/commands", NO_COMMANDS),
    ("ListDomainConfigurations", Method::GET, "/domainConfigurations", ONE_ENDPOINT),
    ("ListOutgoingCertificates", Method::GET, "/certificates-out-going", ONE_ACCOUNT),
    ("ListPackages", Method::GET, "/packages", NO_PACKAGES),
    ("ListSecurityProfiles", Method::GET, "/security-profiles", NO_DEFENDER),
    ("ListThingRegistrationTasks", Method::GET, "/thing-registration-tasks", NO_BULK),
    ("RejectCertificateTransfer", Method::PATCH, "/reject-certificate-transfer/{certificateId}", ONE_ACCOUNT),
    ("StartOnDemandAuditTask", Method::POST, "/audit/tasks", NO_DEFENDER),
    ("StartThingRegistrationTask", Method::POST, "/thing-registration-tasks", NO_BULK),
    ("TestInvokeAuthorizer", Method::POST, "/authorizer/{authorizerName}/test", NO_AUTHORIZERS),
    ("TransferCertificate", Method::PATCH, "/transfer-certificate/{certificateId}", ONE_ACCOUNT),
    ("UpdateEncryptionConfiguration", Method::PATCH, "/encryption-configuration", NO_ENCRYPTION),
    ("UpdatePackageConfiguration", Method::PATCH, "/package-configuration", NO_PACKAGES),
];

const NO_AUTHORIZERS: &str = "custom authorizers are not offered";
const NO_BULK: &str = "bulk registration is not offered; RegisterThing is";
const NO_COMMANDS: &str = "commands are not offered; jobs are";
const NO_DEFENDER: &str = "Device Defender is not offered";
const NO_ENCRYPTION: &str = "the state is not encrypted";
const NO_PACKAGES: &str = "software packages are not kept";
const ONE_ACCOUNT: &str = "there is one account";
const ONE_ENDPOINT: &str = "there is one endpoint";
const OWN_CA: &str = "certificates come from the local authority";
