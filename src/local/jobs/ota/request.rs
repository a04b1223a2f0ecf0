//! What an OTA update is asked for, as on the wire.
//!
//! The names are those of the API. Members of the job are judged when the job is
//! created; here is judged what only an OTA update has.

use std::collections::BTreeMap;

use iotstack_jobs::{AbortCriterion, RolloutConfig, TimeoutConfig};
use iotstack_local_kernel::Fault;
use iotstack_protocol::TargetSelection;
use serde::{Deserialize, Serialize};

/// A request to create an OTA update.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct OtaRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub targets: Vec<String>,
    /// Over what devices may fetch the files, the preferred way first.
    pub protocols: Option<Vec<Transfer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_selection: Option<TargetSelection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_job_executions_rollout_config: Option<RolloutConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_job_presigned_url_config: Option<Expiry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_job_abort_config: Option<Abort>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_job_timeout_config: Option<TimeoutConfig>,
    pub files: Vec<OtaFile>,
    pub role_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_parameters: Option<BTreeMap<String, String>>,
}

/// A way to fetch a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Transfer {
    Mqtt,
    Http,
}

/// How long presigned URLs last.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Expiry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_sec: Option<i64>,
}

/// When the job is cancelled by itself; the list has a name of its own here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Abort {
    pub abort_criteria_list: Vec<AbortCriterion>,
}

/// A file of an update.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct OtaFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_type: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_location: Option<Location>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_signing: Option<CodeSigning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<BTreeMap<String, String>>,
}

/// Where a file lies; exactly one of both.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_location: Option<S3Object>,
}

/// A file of a stream that exists.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamFile {
    pub stream_id: String,
    pub file_id: i64,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct S3Object {
    pub bucket: String,
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Where a file's signature comes from; exactly one of the three.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CodeSigning {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_signer_job_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_signing_job_parameter: Option<StartSigning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_code_signing: Option<CustomSigning>,
}

/// How Signer is asked for a signature.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct StartSigning {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_profile_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_profile_parameter: Option<ProfileParameter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
}

/// From what a signing profile is made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ProfileParameter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_path_on_device: Option<String>,
}

/// Where Signer writes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Destination {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_destination: Option<S3Prefix>,
}

/// A place in a bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct S3Prefix {
    pub bucket: String,
    #[serde(default)]
    pub prefix: String,
}

/// A signature that the caller has made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CustomSigning {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<InlineSignature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_chain: Option<CertificateChain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_algorithm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_algorithm: Option<String>,
}

/// A signature in base64.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InlineSignature {
    pub inline_document: String,
}

/// Which certificate verifies a signature.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CertificateChain {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline_document: Option<String>,
}

/// Judges a request; what the job will judge is left to it.
pub(crate) fn check(id: &str, request: &OtaRequest) -> Result<(), Fault> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !(1..=128).contains(&id.len()) || !id.bytes().all(is_word) {
        return invalid(
            "otaUpdateId must have 1 to 128 of the characters a-z, A-Z, 0-9, `_` and `-`",
        );
    }
    if request.targets.is_empty() {
        return invalid("targets is empty: expected at least one thing or thing group");
    }
    if request.role_arn.len() < 20 {
        return invalid("roleArn is required: expected the ARN of a role");
    }
    if request.files.is_empty() {
        return invalid("files is empty: expected at least one file");
    }
    let protocols = request.protocols.as_deref().unwrap_or(&[Transfer::Mqtt]);
    if !(1..=2).contains(&protocols.len()) || (protocols.len() == 2 && protocols[0] == protocols[1])
    {
        return invalid("protocols must be MQTT, HTTP or both");
    }
    for (index, file) in request.files.iter().enumerate() {
        let place = format!("files[{index}]");
        if file.file_type.is_some_and(|kind| !(0..=255).contains(&kind)) {
            return invalid(&format!("{place}.fileType must be 0 to 255"));
        }
        let places = file.file_location.as_ref().map_or(0, |location| {
            usize::from(location.stream.is_some()) + usize::from(location.s3_location.is_some())
        });
        if places != 1 {
            return invalid(&format!("{place}.fileLocation must have either stream or s3Location"));
        }
        if let Some(signing) = &file.code_signing {
            let ways = usize::from(signing.aws_signer_job_id.is_some())
                + usize::from(signing.start_signing_job_parameter.is_some())
                + usize::from(signing.custom_code_signing.is_some());
            if ways != 1 {
                return invalid(&format!(
                    "{place}.codeSigning must have exactly one of awsSignerJobId, \
                     startSigningJobParameter and customCodeSigning"
                ));
            }
        }
    }
    Ok(())
}

fn invalid<T>(message: &str) -> Result<T, Fault> {
    Err(Fault::new("InvalidRequestException", 400, message))
}
