//! Where the signature of a file comes from.
//!
//! Signer signs the exact bytes of one version of an object and leaves a small file
//! beside it; what stands in that file must be about the object that is delivered.

use std::time::Duration;

use iotstack_local_kernel::{Cloud, Fault, id};
use iotstack_protocol::DetachedSignature;
use serde_json::{Value, json};

use super::make::call;
use super::request::{CodeSigning, CustomSigning, S3Object, StartSigning};

/// A signature, as a device is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// The member that names its algorithm, such as `sig-sha256-ecdsa`.
    pub member: String,
    /// The signature in base64.
    pub value: String,
    /// The certificate on the device that verifies it.
    pub certificate: Option<String>,
}

/// Gets the signature of an object.
pub(super) async fn signature(
    cloud: &Cloud,
    signing: &CodeSigning,
    object: &S3Object,
) -> Result<Signature, Fault> {
    if let Some(custom) = &signing.custom_code_signing {
        return given(custom);
    }
    let job = match (&signing.aws_signer_job_id, &signing.start_signing_job_parameter) {
        (Some(job), _) => job.clone(),
        (None, Some(parameter)) => start(cloud, parameter, object).await?,
        (None, None) => return Err(invalid("codeSigning names no signature")),
    };
    signed(cloud, &job, object).await
}

/// A signature that came with the request.
fn given(custom: &CustomSigning) -> Result<Signature, Fault> {
    let missing = |what: &str| invalid(&format!("customCodeSigning has no {what}"));
    let value = custom.signature.as_ref().ok_or_else(|| missing("signature"))?;
    let hash = custom.hash_algorithm.as_deref().ok_or_else(|| missing("hashAlgorithm"))?;
    let key = custom.signature_algorithm.as_deref().ok_or_else(|| missing("signatureAlgorithm"))?;
    let word = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let (hash, key) = (word(hash), word(key));
    if !["sha1", "sha256"].contains(&hash.as_str()) || !["rsa", "ecdsa"].contains(&key.as_str()) {
        return Err(invalid("customCodeSigning: expected SHA1 or SHA256 with RSA or ECDSA"));
    }
    let chain = custom.certificate_chain.as_ref();
    Ok(Signature {
        member: format!("sig-{hash}-{key}"),
        value: value.inline_document.clone(),
        certificate: chain.and_then(|chain| chain.certificate_name.clone()),
    })
}

/// Starts a signing job and gives its id.
async fn start(
    cloud: &Cloud,
    parameter: &StartSigning,
    object: &S3Object,
) -> Result<String, Fault> {
    let profile = match (&parameter.signing_profile_name, &parameter.signing_profile_parameter) {
        (Some(name), _) => name.clone(),
        (None, Some(wanted)) => {
            let name = format!("AFR_OTA_{}", id::hex_digits(16));
            let path = wanted.certificate_path_on_device.clone().unwrap_or_default();
            let input = json!({
                "profileName": name,
                "platformId": wanted.platform,
                "signingMaterial": {"certificateArn": wanted.certificate_arn},
                "signingParameters": {"certname": path},
            });
            call(cloud, "signer", "PutSigningProfile", input).await?;
            name
        }
        (None, None) => return Err(invalid("startSigningJobParameter names no signing profile")),
    };
    let place = parameter.destination.as_ref().and_then(|d| d.s3_destination.as_ref());
    let place = place.ok_or_else(|| invalid("startSigningJobParameter has no s3Destination"))?;
    let version = object.version.as_ref();
    let version = version.ok_or_else(|| invalid("only a version of an object can be signed"))?;
    let input = json!({
        "profileName": profile,
        "source": {"s3": {"bucketName": object.bucket, "key": object.key, "version": version}},
        "destination": {"s3": {"bucketName": place.bucket, "prefix": place.prefix}},
        "clientRequestToken": id::uuid(),
    });
    let started = call(cloud, "signer", "StartSigningJob", input).await?;
    let job = started["jobId"].as_str();
    job.map(str::to_owned).ok_or_else(|| Fault::internal("Signer names no job"))
}

/// Waits for a signing job and reads what it has written.
async fn signed(cloud: &Cloud, job: &str, object: &S3Object) -> Result<Signature, Fault> {
    let mut described = Value::Null;
    for _ in 0..POLLS {
        described = call(cloud, "signer", "DescribeSigningJob", json!({ "jobId": job })).await?;
        match described["status"].as_str() {
            Some("Succeeded") => break,
            Some("InProgress") => tokio::time::sleep(BETWEEN_POLLS).await,
            _ => {
                let reason = described["statusReason"].as_str().unwrap_or("no reason is given");
                return Err(invalid(&format!("the signing job `{job}` has failed: {reason}")));
            }
        }
    }
    let place = &described["signedObject"]["s3"];
    let (Some(bucket), Some(key)) = (place["bucketName"].as_str(), place["key"].as_str()) else {
        return Err(invalid(&format!("the signing job `{job}` does not end")));
    };
    let file = cloud.ports.objects()?.get(bucket, key, None).await?;
    let detached = DetachedSignature::from_json(&file.bytes)
        .map_err(|error| invalid(&format!("what Signer wrote is not valid: {error}")))?;
    let s3 = &detached.payload_location.s3;
    let version = object.version.as_ref().is_none_or(|version| *version == s3.version);
    if (s3.bucket_name.as_str(), s3.key.as_str()) != (&object.bucket, &object.key) || !version {
        return Err(invalid(&format!(
            "the signing job `{job}` has signed `{}/{}` and not `{}/{}`",
            s3.bucket_name, s3.key, object.bucket, object.key
        )));
    }
    let (hash, key) = detached
        .signature_algorithm
        .to_lowercase()
        .split_once("with")
        .map(|(hash, key)| (hash.to_owned(), key.to_owned()))
        .ok_or_else(|| invalid("Signer names no algorithm"))?;
    let profile = json!({"profileName": described["profileName"]});
    let profile = call(cloud, "signer", "GetSigningProfile", profile).await?;
    Ok(Signature {
        member: format!("sig-{hash}-{key}"),
        value: detached.signature,
        certificate: profile["signingParameters"]["certname"].as_str().map(str::to_owned),
    })
}

fn invalid(message: &str) -> Fault {
    Fault::new("InvalidRequestException", 400, message)
}

/// A signing job takes moments here; half a minute is generous.
const POLLS: usize = 300;
const BETWEEN_POLLS: Duration = Duration::from_millis(100);
