//! Signer with ACM and a bucket.
//!
//! The bucket is of paper. Signatures are verified with the certificate's key, as
//! a device does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use iotstack_local_kernel::ports::{BusEvent, EventBuses, Object, Objects};
use iotstack_local_kernel::testing::call;
use iotstack_local_kernel::{BoxFuture, Cloud, Fault, ResourceRequest};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use rcgen::ExtendedKeyUsagePurpose;
use serde_json::{Value, json};

use crate::acm::tests::{certificate, cloud, code_signing, import};

/// A bucket `fw` whose objects have one version, `v1`.
#[derive(Default)]
struct Bucket(Mutex<BTreeMap<String, Bytes>>);

impl Objects for Bucket {
    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        let found = self.0.lock().unwrap().get(key).cloned();
        let found = found.filter(|_| bucket == "fw" && version.is_none_or(|v| v == "v1"));
        Box::pin(std::future::ready(match found {
            Some(bytes) => {
                Ok(Object { bytes, etag: String::new(), version: Some("v1".to_owned()) })
            }
            None => Err(Fault::new("NoSuchVersion", 404, "no such version")),
        }))
    }

    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        bytes: Bytes,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        if bucket != "fw" {
            let fault = Fault::new("NoSuchBucket", 404, format!("no bucket {bucket}"));
            return Box::pin(std::future::ready(Err(fault)));
        }
        self.0.lock().unwrap().insert(key.to_owned(), bytes.clone());
        let version = Some("v1".to_owned());
        Box::pin(std::future::ready(Ok(Object { bytes, etag: String::new(), version })))
    }

    fn presign(
        &self,
        _: &str,
        _: &str,
        _: Option<&str>,
        _: bool,
        _: Duration,
    ) -> Result<String, Fault> {
        Err(Fault::internal("unused"))
    }
}

#[derive(Default)]
struct Events(Mutex<Vec<BusEvent>>);

impl EventBuses for Events {
    fn put<'a>(&'a self, bus: &'a str, event: BusEvent) -> BoxFuture<'a, Result<String, Fault>> {
        assert_eq!(bus, "default");
        self.0.lock().unwrap().push(event);
        Box::pin(std::future::ready(Ok("id".to_owned())))
    }
}

async fn signer(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "signer", operation, input).await
}

fn profile(name: &str, certificate: &str) -> Value {
    json!({
        "profileName": name,
        "platformId": "AWSIoTDeviceManagement-SHA256-ECDSA",
        "signingMaterial": {"certificateArn": certificate},
        "signingParameters": {"certname": "/etc/firmware.pem"},
        "tags": {"made-for": "pumps"},
    })
}

fn job(profile: &str, version: &str, token: &str) -> Value {
    json!({
        "source": {"s3": {"bucketName": "fw", "key": "pump/1.2.0", "version": version}},
        "destination": {"s3": {"bucketName": "fw", "prefix": "signed-"}},
        "profileName": profile,
        "clientRequestToken": token,
    })
}

#[tokio::test]
async fn a_job_writes_a_signature_that_the_certificate_proves() {
    let cloud = cloud();
    let bucket = Arc::new(Bucket::default());
    cloud.ports.serve_objects(bucket.clone());
    let events = Arc::new(Events::default());
    cloud.ports.serve_event_buses(events.clone());
    let firmware = Bytes::from_static(b"firmware image");
    bucket.0.lock().unwrap().insert("pump/1.2.0".to_owned(), firmware.clone());
    let material = code_signing();
    let arn = import(&cloud, &material).await.unwrap();
    let made = signer(&cloud, "PutSigningProfile", profile("firmware_dev", &arn)).await.unwrap();
    assert_eq!(made["arn"], "arn:aws:signer:us-east-1:123456789012:/signing-profiles/firmware_dev");

    let started = signer(&cloud, "StartSigningJob", job("firmware_dev", "v1", "t")).await.unwrap();
    let id = started["jobId"].as_str().unwrap().to_owned();
    let described = signer(&cloud, "DescribeSigningJob", json!({"jobId": id})).await.unwrap();
    assert_eq!(described["status"], "Succeeded");
    let key = described["signedObject"]["s3"]["key"].as_str().unwrap().to_owned();
    assert_eq!(key, format!("signed-{id}"));
    assert_eq!(described["source"]["s3"]["version"], "v1");

    let written = bucket.0.lock().unwrap()[&key].clone();
    let detached: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(detached["rawPayloadSize"], 14);
    assert_eq!(detached["signatureAlgorithm"], "SHA256withECDSA");
    assert_eq!(
        detached["payloadLocation"],
        json!({"s3": {"bucketName": "fw", "key": "pump/1.2.0", "version": "v1"}})
    );
    let (_, block) = x509_parser::pem::parse_x509_pem(material.0.as_bytes()).unwrap();
    let certificate = block.parse_x509().unwrap();
    let key = VerifyingKey::from_public_key_der(certificate.public_key().raw).unwrap();
    let der = STANDARD.decode(detached["signature"].as_str().unwrap()).unwrap();
    let signature = Signature::from_der(&der).unwrap();
    key.verify(&firmware, &signature).unwrap();
    assert!(key.verify(b"other image", &signature).is_err());

    // The same token is the same job; with other content it is a mistake.
    let again = signer(&cloud, "StartSigningJob", job("firmware_dev", "v1", "t")).await.unwrap();
    assert_eq!(again["jobId"], id);
    let other = signer(&cloud, "StartSigningJob", job("firmware_dev", "v2", "t")).await;
    assert_eq!(other.unwrap_err().code, "ConflictException");
    let input = json!({
        "status": "Succeeded",
        "platformId": "AWSIoTDeviceManagement-SHA256-ECDSA",
        "isRevoked": false,
    });
    let listed = signer(&cloud, "ListSigningJobs", input).await.unwrap();
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(listed["jobs"][0]["profileName"], "firmware_dev");
    tokio::task::yield_now().await;
    let events = events.0.lock().unwrap();
    assert_eq!(events[0].detail_type, "Signer Job Status Change");
    assert_eq!(events[0].detail["job_id"], id);
}

#[tokio::test]
async fn only_an_exact_version_that_exists_is_signed() {
    let cloud = cloud();
    let bucket = Arc::new(Bucket::default());
    cloud.ports.serve_objects(bucket.clone());
    bucket.0.lock().unwrap().insert("pump/1.2.0".to_owned(), Bytes::from_static(b"x"));
    let arn = import(&cloud, &code_signing()).await.unwrap();
    signer(&cloud, "PutSigningProfile", profile("fw", &arn)).await.unwrap();
    let mut unversioned = job("fw", "v1", "a");
    unversioned["source"]["s3"].as_object_mut().unwrap().remove("version");
    let refused = signer(&cloud, "StartSigningJob", unversioned).await.unwrap_err();
    assert_eq!(refused.code, "ValidationException");
    assert!(refused.message.contains("version"), "{}", refused.message);
    let refused = signer(&cloud, "StartSigningJob", job("fw", "v9", "b")).await.unwrap_err();
    assert_eq!(refused.code, "ResourceNotFoundException");
    let refused = signer(&cloud, "StartSigningJob", job("nobody", "v1", "c")).await.unwrap_err();
    assert_eq!(refused.code, "ResourceNotFoundException");
    // A destination that cannot be written makes the job fail, with the reason.
    let mut lost = job("fw", "v1", "d");
    lost["destination"]["s3"]["bucketName"] = json!("elsewhere");
    let started = signer(&cloud, "StartSigningJob", lost).await.unwrap();
    let job = signer(&cloud, "DescribeSigningJob", json!({"jobId": started["jobId"]})).await;
    let job = job.unwrap();
    assert_eq!(job["status"], "Failed");
    assert_eq!(job["statusReason"], "no bucket elsewhere");
}

#[tokio::test]
async fn a_profile_needs_a_certificate_that_may_sign_code() {
    let cloud = cloud();
    let code = import(&cloud, &code_signing()).await.unwrap();
    let server =
        import(&cloud, &certificate(&[ExtendedKeyUsagePurpose::ServerAuth])).await.unwrap();
    let put = async |change: &dyn Fn(&mut Value)| {
        let mut input = profile("fw", &code);
        change(&mut input);
        signer(&cloud, "PutSigningProfile", input).await.map_err(|fault| fault.code)
    };
    let invalid = Err("ValidationException".to_owned());
    let material = |arn: &str| json!({ "certificateArn": arn });
    assert_eq!(put(&|p| p["signingMaterial"] = material(&server)).await, invalid);
    assert_eq!(put(&|p| p["signingMaterial"] = json!({})).await, invalid);
    assert_eq!(put(&|p| p["profileName"] = json!("fw-dev")).await, invalid);
    assert_eq!(put(&|p| p["platformId"] = json!("Nonsense")).await, invalid);
    let period = json!({"value": 1, "type": "YEARS"});
    assert_eq!(put(&|p| p["signatureValidityPeriod"] = period.clone()).await, invalid);
    let embedded = |format: &str| json!({ "signingImageFormat": format });
    assert_eq!(put(&|p| p["overrides"] = embedded("JSON")).await, invalid);
    assert_eq!(put(&|p| p["platformId"] = json!("AWSLambda-SHA384-ECDSA")).await, invalid);
    let missing = "arn:aws:acm:us-east-1:123456789012:certificate/none";
    let missing = put(&|p| p["signingMaterial"] = material(missing)).await;
    assert_eq!(missing, Err("ResourceNotFoundException".to_owned()));
    assert!(put(&|_| ()).await.is_ok());
}

#[tokio::test]
async fn a_cancelled_name_is_never_given_free_but_its_certificate_is() {
    let cloud = cloud();
    let arn = import(&cloud, &code_signing()).await.unwrap();
    signer(&cloud, "PutSigningProfile", profile("fw", &arn)).await.unwrap();
    let delete = || call(&cloud, "acm", "DeleteCertificate", json!({"CertificateArn": arn}));
    assert_eq!(delete().await.unwrap_err().code, "ResourceInUseException");
    for _ in 0..2 {
        signer(&cloud, "CancelSigningProfile", json!({"profileName": "fw"})).await.unwrap();
    }
    let shown = signer(&cloud, "GetSigningProfile", json!({"profileName": "fw"})).await.unwrap();
    assert_eq!(shown["status"], "Canceled");
    let again = signer(&cloud, "PutSigningProfile", profile("fw", &arn)).await.unwrap_err();
    assert_eq!(again.code, "ValidationException");
    let started = signer(&cloud, "StartSigningJob", job("fw", "v1", "t")).await.unwrap_err();
    assert_eq!(started.code, "ValidationException");
    delete().await.unwrap();
    let again = signer(&cloud, "PutSigningProfile", profile("fw", &arn)).await.unwrap_err();
    assert_eq!(again.code, "ValidationException");
    let unknown = signer(&cloud, "CancelSigningProfile", json!({"profileName": "no"})).await;
    assert_eq!(unknown.unwrap_err().status, 404);
}

#[tokio::test]
async fn profiles_are_tagged_and_listed() {
    let cloud = cloud();
    let arn = import(&cloud, &code_signing()).await.unwrap();
    let made = signer(&cloud, "PutSigningProfile", profile("fw", &arn)).await.unwrap();
    let tag = json!({"resourceArn": made["arn"], "tags": {"a": "1"}});
    signer(&cloud, "TagResource", tag).await.unwrap();
    let untag = json!({"resourceArn": made["arn"], "tagKeys": ["made-for"]});
    signer(&cloud, "UntagResource", untag).await.unwrap();
    let tags = json!({"resourceArn": made["arn"]});
    let tags = signer(&cloud, "ListTagsForResource", tags).await.unwrap();
    assert_eq!(tags, json!({"tags": {"a": "1"}}));
    let all = signer(&cloud, "ListSigningProfiles", json!({})).await.unwrap();
    assert_eq!(all["profiles"].as_array().unwrap().len(), 1);
    let wrong = json!({"resourceArn": "arn:aws:s3:::x"});
    let wrong = signer(&cloud, "ListTagsForResource", wrong).await.unwrap_err();
    assert_eq!(wrong.code, "BadRequestException");
    let platform = json!({"platformId": "AWSIoTDeviceManagement-SHA256-ECDSA"});
    let platform = signer(&cloud, "GetSigningPlatform", platform).await.unwrap();
    assert_eq!(platform["signingImageFormat"]["defaultFormat"], "JSONDetached");
}

#[tokio::test]
async fn a_stack_makes_only_the_profiles_that_cloudformation_takes() {
    let cloud = cloud();
    let profiles = cloud.resource("AWS::Signer::SigningProfile").unwrap();
    let wanted = |properties: Value| ResourceRequest {
        logical_id: "Profile".to_owned(),
        stack_name: "fleet".to_owned(),
        properties,
        ..ResourceRequest::default()
    };
    let iot = json!({"PlatformId": "AWSIoTDeviceManagement-SHA256-ECDSA"});
    assert!(profiles.create(&wanted(iot)).await.is_err());
    let request = wanted(json!({"PlatformId": "AWSLambda-SHA384-ECDSA"}));
    let made = profiles.create(&request).await.unwrap();
    assert_eq!(made.attributes["Arn"], made.physical_id.as_str());
    let name = made.attributes["ProfileName"].as_str().unwrap().to_owned();
    assert!(name.starts_with("fleet_Profile_"), "{name}");
    let gone = ResourceRequest { physical_id: Some(made.physical_id), ..request };
    profiles.delete(&gone).await.unwrap();
    profiles.delete(&gone).await.unwrap();
    let shown = signer(&cloud, "GetSigningProfile", json!({"profileName": name})).await.unwrap();
    assert_eq!(shown["status"], "Canceled");
}
