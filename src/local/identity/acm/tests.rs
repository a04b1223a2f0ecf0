//! ACM as clients use it.
//!
//! Certificates are made by the tests, on P-256 as Signer needs them; nothing
//! here issues one.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iotstack_local_kernel::testing::{self, call};
use iotstack_local_kernel::{Cloud, Fault};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};

use crate::RootKey;

pub(crate) fn cloud() -> Arc<Cloud> {
    let cloud = testing::cloud();
    crate::install(&cloud, RootKey::default()).unwrap();
    cloud
}

async fn acm(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "acm", operation, input).await
}

/// A certificate for signing code, and its key, both PEM.
pub(crate) fn code_signing() -> (String, String) {
    certificate(&[ExtendedKeyUsagePurpose::CodeSigning])
}

pub(crate) fn certificate(usages: &[ExtendedKeyUsagePurpose]) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["firmware.example".to_owned()]).unwrap();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usages.to_vec();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

pub(crate) async fn import(cloud: &Cloud, (pem, key): &(String, String)) -> Result<String, Fault> {
    let input = json!({
        "Certificate": STANDARD.encode(pem),
        "PrivateKey": STANDARD.encode(key),
        "Tags": [{"Key": "made-for", "Value": "test"}],
    });
    let answer = acm(cloud, "ImportCertificate", input).await?;
    Ok(answer["CertificateArn"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_imported_certificate_tells_what_it_is_and_keeps_its_key() {
    let cloud = cloud();
    let material = code_signing();
    let arn = import(&cloud, &material).await.unwrap();
    let shown = acm(&cloud, "DescribeCertificate", json!({"CertificateArn": arn})).await.unwrap();
    let shown = &shown["Certificate"];
    assert_eq!(shown["KeyAlgorithm"], "EC_prime256v1");
    assert_eq!(shown["SignatureAlgorithm"], "SHA256WITHECDSA");
    assert_eq!(shown["KeyUsages"], json!([{"Name": "DIGITAL_SIGNATURE"}]));
    assert_eq!(shown["ExtendedKeyUsages"][0]["Name"], "CODE_SIGNING");
    assert_eq!(shown["SubjectAlternativeNames"], json!(["firmware.example"]));
    assert_eq!(shown["InUseBy"], json!([]));
    let pem = acm(&cloud, "GetCertificate", json!({"CertificateArn": arn})).await.unwrap();
    assert_eq!(pem, json!({"Certificate": material.0}));
    let kept = cloud.ports.certificates().unwrap().material(&arn).unwrap();
    assert_eq!(kept.private_key, material.1);
    assert!(!format!("{kept:?}").contains("PRIVATE"));
}

#[tokio::test]
async fn a_key_that_does_not_belong_is_refused() {
    let cloud = cloud();
    let (pem, _) = code_signing();
    let (_, other) = code_signing();
    for (pem, key) in [
        (pem.clone(), other),
        (pem.clone(), pem.clone()),
        ("no certificate".to_owned(), "no key".to_owned()),
    ] {
        let refused = import(&cloud, &(pem, key)).await.unwrap_err();
        assert_eq!(refused.code, "ValidationException");
        assert!(!refused.message.contains("BEGIN"), "{}", refused.message);
    }
}

#[tokio::test]
async fn keys_on_curves_are_listed_only_to_those_who_ask() {
    let cloud = cloud();
    let first = import(&cloud, &code_signing()).await.unwrap();
    import(&cloud, &certificate(&[ExtendedKeyUsagePurpose::ServerAuth])).await.unwrap();
    let list = async |input: Value| {
        let answer = acm(&cloud, "ListCertificates", input).await.unwrap();
        answer["CertificateSummaryList"].as_array().unwrap().clone()
    };
    assert_eq!(list(json!({})).await.len(), 0);
    assert_eq!(list(json!({"Includes": {"keyTypes": ["EC_prime256v1"]}})).await.len(), 2);
    let both = json!({"Includes": {
        "keyTypes": ["EC_prime256v1"],
        "extendedKeyUsage": ["CODE_SIGNING"],
    }});
    assert_eq!(list(both).await[0]["CertificateArn"], first);
    let page = json!({"Includes": {"keyTypes": ["EC_prime256v1"]}, "MaxItems": 1});
    let page = acm(&cloud, "ListCertificates", page).await.unwrap();
    let rest = json!({
        "Includes": {"keyTypes": ["EC_prime256v1"]},
        "NextToken": page["NextToken"],
    });
    assert_eq!(list(rest).await.len(), 1);
}

#[tokio::test]
async fn tags_come_and_go_and_a_deleted_certificate_is_gone() {
    let cloud = cloud();
    let arn = import(&cloud, &code_signing()).await.unwrap();
    let tag = |key: &str, value: &str| json!({"CertificateArn": arn, "Tags": [{"Key": key, "Value": value}]});
    acm(&cloud, "AddTagsToCertificate", tag("a", "1")).await.unwrap();
    let many: Vec<Value> = (0..49).map(|n| json!({"Key": format!("{n}")})).collect();
    let many = json!({"CertificateArn": arn, "Tags": many});
    let many = acm(&cloud, "AddTagsToCertificate", many).await.unwrap_err();
    assert_eq!(many.code, "TooManyTagsException");
    acm(&cloud, "RemoveTagsFromCertificate", tag("made-for", "other")).await.unwrap();
    acm(&cloud, "RemoveTagsFromCertificate", tag("a", "1")).await.unwrap();
    let tags = acm(&cloud, "ListTagsForCertificate", json!({"CertificateArn": arn})).await.unwrap();
    assert_eq!(tags["Tags"], json!([{"Key": "made-for", "Value": "test"}]));
    acm(&cloud, "DeleteCertificate", json!({"CertificateArn": arn})).await.unwrap();
    let gone = acm(&cloud, "DescribeCertificate", json!({"CertificateArn": arn})).await;
    assert_eq!(gone.unwrap_err().code, "ResourceNotFoundException");
    let wrong = acm(&cloud, "DescribeCertificate", json!({"CertificateArn": "x"})).await;
    assert_eq!(wrong.unwrap_err().code, "InvalidArnException");
    let request = acm(&cloud, "RequestCertificate", json!({})).await.unwrap_err();
    assert_eq!(request.code, "NotImplemented");
}
