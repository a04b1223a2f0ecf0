//! Tests of the signing profile: what is made, found again, and taken away.

use aws_smithy_types::base64;
use rcgen::{KeyPair, PublicKeyData};
use serde_json::{Value, json};
use x509_parser::pem::parse_x509_pem;

use super::*;
use crate::custom_resource::testing::{handle, request};
use crate::testing::{Cloud, Reply, Seen, aws};

const CERTIFICATE: &str = "arn:aws:acm:eu-central-1:123456789012:certificate/1";
const OTHER: &str = "arn:aws:acm:eu-central-1:123456789012:certificate/2";

fn properties() -> Value {
    json!({
        "ProfileName": "firmware_dev",
        "CertificateName": "signer.pem",
        "CommonName": "Firmware signer dev",
        "Organization": "Example",
        "ValidityDays": "365",
        "Tags": { "environment": "dev" },
    })
}

fn not_found() -> Reply {
    Reply::error(404, "ResourceNotFoundException", "no such thing")
}

fn put_answer() -> Reply {
    Reply::json(
        200,
        json!({
            "arn": "arn:profile", "profileVersion": "abcdefghij",
            "profileVersionArn": "arn:profile/abcdefghij"
        }),
    )
}

fn profile(status: &str, certificate: &str) -> Reply {
    Reply::json(
        200,
        json!({
            "profileName": "x", "status": status, "arn": "arn:profile",
            "profileVersionArn": "arn:profile/abcdefghij",
            "signingMaterial": { "certificateArn": certificate }
        }),
    )
}

fn certificates(arns: &[&str]) -> Reply {
    let summary = |arn: &&str| json!({ "CertificateArn": arn, "Type": "IMPORTED" });
    let list: Vec<Value> = arns.iter().map(summary).collect();
    Reply::json(200, json!({ "CertificateSummaryList": list }))
}

fn tagged_for(profile: &str) -> Reply {
    Reply::json(200, json!({ "Tags": [{ "Key": MADE_FOR, "Value": profile }] }))
}

/// Answers to what every request may ask, behind the routes that a test has added.
fn with_defaults(cloud: &Cloud) {
    cloud.otherwise("GET", "/signing-profiles/", not_found());
    cloud.otherwise("PUT", "/signing-profiles/", put_answer());
    cloud.otherwise("POST", "/tags/", Reply::json(200, "{}"));
    cloud.otherwise("POST", "ListCertificates", certificates(&[]));
    let imported = json!({ "CertificateArn": CERTIFICATE });
    cloud.otherwise("POST", "ImportCertificate", Reply::json(200, imported));
    cloud.otherwise("POST", "AddTagsToCertificate", Reply::json(200, "{}"));
    cloud.otherwise("POST", "GetCertificate", Reply::json(200, json!({ "Certificate": "PEM" })));
    cloud.otherwise("POST", "DeleteCertificate", Reply::json(200, "{}"));
}

async fn ask(cloud: &Cloud, event: Value) -> Value {
    with_defaults(cloud);
    handle(SigningProfiles::new(&aws(cloud)), event, cloud).await
}

async fn create(cloud: &Cloud) -> Value {
    ask(cloud, request("Create", None, properties())).await
}

/// The physical id of these properties.
async fn id(properties: Value) -> String {
    let answer = ask(&Cloud::new(), request("Create", None, properties)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    answer["PhysicalResourceId"].as_str().unwrap().to_owned()
}

fn imported(seen: &Seen, field: &str) -> String {
    let text = seen.json()[field].as_str().unwrap().to_owned();
    String::from_utf8(base64::decode(text).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn makes_a_certificate_and_a_profile() {
    let cloud = Cloud::new();
    let answer = create(&cloud).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let name = answer["PhysicalResourceId"].as_str().unwrap();
    assert!(name.starts_with("firmware_dev_") && name.len() == 21, "{name}");

    let import = &cloud.asked("POST", "ImportCertificate")[0];
    let pem = imported(import, "Certificate");
    assert_eq!(
        answer["Data"],
        json!({
            "ProfileName": name,
            "ProfileArn": "arn:profile",
            "ProfileVersionArn": "arn:profile/abcdefghij",
            "CertificateArn": CERTIFICATE,
            "CertificatePem": pem,
        })
    );
    let tag = |key: &str, value: &str| json!({ "Key": key, "Value": value });
    assert_eq!(import.json()["Tags"], json!([tag("environment", "dev"), tag(MADE_FOR, name)]));

    let put = &cloud.asked("PUT", "/signing-profiles/")[0];
    assert!(put.uri.ends_with(&format!("/signing-profiles/{name}")), "{put:?}");
    assert_eq!(
        put.json(),
        json!({
            "platformId": "AWSIoTDeviceManagement-SHA256-ECDSA",
            "signingMaterial": { "certificateArn": CERTIFICATE },
            "signingParameters": { "certname": "signer.pem" },
            "tags": { "environment": "dev", MADE_FOR: name },
        })
    );
}

#[tokio::test(start_paused = true)]
async fn makes_a_certificate_that_signs_code_with_its_own_key() {
    let cloud = Cloud::new();
    create(&cloud).await;
    let import = &cloud.asked("POST", "ImportCertificate")[0];
    let pem = imported(import, "Certificate");
    let (_, pem) = parse_x509_pem(pem.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    assert_eq!(certificate.subject().to_string(), "CN=Firmware signer dev, O=Example");
    assert_eq!(certificate.issuer(), certificate.subject());
    assert!(!certificate.is_ca());
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && usage.flags == 1);
    assert!(certificate.extended_key_usage().unwrap().unwrap().value.code_signing);
    let validity = certificate.validity();
    assert_eq!(validity.not_before.timestamp(), 1_700_000_000 - 300);
    assert_eq!(validity.not_after.timestamp(), 1_700_000_000 + 365 * 86_400);

    let key = KeyPair::from_pem(&imported(import, "PrivateKey")).unwrap();
    assert_eq!(certificate.public_key().subject_public_key.data.as_ref(), key.der_bytes());
}

#[tokio::test(start_paused = true)]
async fn the_private_key_goes_to_acm_and_nowhere_else() {
    let cloud = Cloud::new();
    let answer = create(&cloud).await;
    assert!(!answer.to_string().contains("PRIVATE KEY"));
    for seen in cloud.seen() {
        let is_import = seen.header("x-amz-target").is_some_and(|t| t.contains("ImportCert"));
        let body = String::from_utf8(seen.body.clone()).unwrap();
        assert_eq!(body.contains("PrivateKey"), is_import, "{seen:?}");
        assert!(!body.contains("PRIVATE KEY"), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_create_finds_its_certificate_by_the_tag() {
    let name = id(properties()).await;
    let cloud = Cloud::new();
    cloud.on("POST", "ListCertificates", certificates(&[OTHER, CERTIFICATE]));
    cloud.on("POST", "ListTagsForCertificate", tagged_for("somebody_else"));
    cloud.on("POST", "ListTagsForCertificate", tagged_for(&name));
    let answer = create(&cloud).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["Data"]["CertificateArn"], CERTIFICATE);
    assert_eq!(answer["Data"]["CertificatePem"], "PEM");
    assert!(cloud.asked("POST", "ImportCertificate").is_empty());
    let filters = &cloud.asked("POST", "ListCertificates")[0].json()["Includes"];
    assert_eq!(filters["keyTypes"], json!(["EC_prime256v1"]));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_create_finds_its_profile() {
    let name = id(properties()).await;
    let cloud = Cloud::new();
    cloud.on("GET", "/signing-profiles/", profile("Active", CERTIFICATE));
    cloud.on("POST", "ListCertificates", certificates(&[CERTIFICATE]));
    cloud.on("POST", "ListTagsForCertificate", tagged_for(&name));
    let answer = create(&cloud).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["PhysicalResourceId"], name);
    assert_eq!(answer["Data"]["ProfileArn"], "arn:profile");
    assert!(cloud.asked("PUT", "/signing-profiles/").is_empty());
    assert!(cloud.asked("POST", "ImportCertificate").is_empty());
}

#[tokio::test(start_paused = true)]
async fn passes_over_names_that_are_cancelled() {
    let first = id(properties()).await;
    let cloud = Cloud::new();
    cloud.on("GET", &first, profile("Canceled", CERTIFICATE));
    let answer = create(&cloud).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_ne!(answer["PhysicalResourceId"], first);

    let cloud = Cloud::new();
    cloud.on("GET", "/signing-profiles/", profile("Canceled", CERTIFICATE));
    let answer = create(&cloud).await;
    assert_eq!(
        answer["Reason"],
        format!("no signing profile name is left: `{first}` and the next 15 are cancelled")
    );
    assert!(cloud.asked("POST", "ImportCertificate").is_empty());
}

#[tokio::test(start_paused = true)]
async fn waits_until_signer_sees_the_certificate() {
    let cloud = Cloud::new();
    cloud.on("PUT", "/signing-profiles/", not_found());
    cloud.on("PUT", "/signing-profiles/", not_found());
    cloud.on("PUT", "/signing-profiles/", put_answer());
    let answer = create(&cloud).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(cloud.asked("PUT", "/signing-profiles/").len(), 3);
    assert_eq!(cloud.asked("POST", "ImportCertificate").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_create_names_the_id_to_delete() {
    let name = id(properties()).await;
    let cloud = Cloud::new();
    let refused = Reply::error(400, "ValidationException", "bad platform");
    cloud.on("PUT", "/signing-profiles/", refused);
    let answer = create(&cloud).await;
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(answer["PhysicalResourceId"], name);
    assert_eq!(answer["Reason"], "PutSigningProfile failed: ValidationException: bad platform");
}

#[tokio::test(start_paused = true)]
async fn uses_a_certificate_that_exists() {
    let cloud = Cloud::new();
    let detail = json!({ "Certificate": {
        "KeyAlgorithm": "EC_prime256v1", "ExtendedKeyUsages": [{ "Name": "CODE_SIGNING" }]
    }});
    cloud.on("POST", "DescribeCertificate", Reply::json(200, detail));
    let properties = json!({
        "ProfileName": "firmware_dev", "CertificateName": "signer.pem", "CertificateArn": OTHER
    });
    let answer = ask(&cloud, request("Create", None, properties)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["Data"]["CertificateArn"], OTHER);
    assert_eq!(answer["Data"]["CertificatePem"], "PEM");
    for target in ["ImportCertificate", "AddTagsToCertificate"] {
        assert!(cloud.asked("POST", target).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_certificates_that_cannot_sign_firmware() {
    for (detail, expected) in [
        (json!({ "KeyAlgorithm": "RSA_2048" }), "its key is RSA_2048, expected EC_prime256v1"),
        (
            json!({
                "KeyAlgorithm": "EC_prime256v1",
                "ExtendedKeyUsages": [{ "Name": "TLS_WEB_SERVER_AUTHENTICATION" }]
            }),
            "its extended key usage does not include code signing",
        ),
    ] {
        let cloud = Cloud::new();
        let detail = json!({ "Certificate": detail });
        cloud.on("POST", "DescribeCertificate", Reply::json(200, detail));
        let properties = json!({
            "ProfileName": "firmware_dev", "CertificateName": "c", "CertificateArn": OTHER
        });
        let answer = ask(&cloud, request("Create", None, properties)).await;
        let reason = format!("certificate `{OTHER}` cannot sign firmware: {expected}");
        assert_eq!(answer["Reason"], reason);
    }
}

#[tokio::test(start_paused = true)]
async fn another_certificate_is_another_profile() {
    let first = id(properties()).await;
    let mut ids = vec![first.clone()];
    for (name, value) in [
        ("CertificateName", "other.pem"),
        ("CommonName", "Other"),
        ("Organization", "Other"),
        ("ValidityDays", "730"),
    ] {
        let mut changed = properties();
        changed[name] = value.into();
        ids.push(id(changed).await);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);

    let mut tags = properties();
    tags["Tags"] = json!([{ "Key": "team", "Value": "lamps" }]);
    assert_eq!(id(tags).await, first);
}

#[tokio::test(start_paused = true)]
async fn another_stack_has_another_profile() {
    let mut event = request("Create", None, properties());
    event["StackId"] = "arn:aws:cloudformation:eu-central-1:123456789012:stack/S/another".into();
    let answer = ask(&Cloud::new(), event).await;
    assert_ne!(answer["PhysicalResourceId"], id(properties()).await);
}

#[tokio::test(start_paused = true)]
async fn an_update_of_tags_keeps_the_profile() {
    let name = id(properties()).await;
    let cloud = Cloud::new();
    cloud.on("GET", "/signing-profiles/", profile("Active", CERTIFICATE));
    cloud.on("POST", "ListCertificates", certificates(&[CERTIFICATE]));
    cloud.on("POST", "ListTagsForCertificate", tagged_for(&name));
    cloud.on("DELETE", "/tags/", Reply::json(200, "{}"));
    cloud.on("POST", "RemoveTagsFromCertificate", Reply::json(200, "{}"));
    let mut new = properties();
    new["Tags"] = json!({ "team": "lamps" });
    let mut event = request("Update", Some(&name), new);
    event["OldResourceProperties"] = properties();
    let answer = ask(&cloud, event).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["PhysicalResourceId"], name);
    let tagged = &cloud.asked("POST", "/tags/")[0].json()["tags"];
    assert_eq!(*tagged, json!({ "team": "lamps", MADE_FOR: name }));
    assert!(cloud.asked("DELETE", "/tags/")[0].uri.contains("tagKeys=environment"));
    let removed = &cloud.asked("POST", "RemoveTagsFromCertificate")[0].json()["Tags"];
    assert_eq!(*removed, json!([{ "Key": "environment" }]));
}

#[tokio::test(start_paused = true)]
async fn a_failed_update_takes_back_what_it_made() {
    let cloud = Cloud::new();
    let refused = Reply::error(400, "ValidationException", "no");
    cloud.on("PUT", "/signing-profiles/", refused);
    let mut event = request("Update", Some("firmware_dev_00000000"), properties());
    event["OldResourceProperties"] = properties();
    let answer = ask(&cloud, event).await;
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(answer["PhysicalResourceId"], "firmware_dev_00000000");
    let deleted = cloud.asked("POST", "DeleteCertificate");
    assert_eq!(deleted[0].json()["CertificateArn"], CERTIFICATE);
}

#[tokio::test(start_paused = true)]
async fn deletes_the_profile_and_only_its_own_certificate() {
    let cloud = Cloud::new();
    cloud.on("DELETE", "/signing-profiles/firmware_dev_0a1b2c3d", Reply::empty(200));
    cloud.on("POST", "ListCertificates", certificates(&[OTHER, CERTIFICATE]));
    cloud.on("POST", "ListTagsForCertificate", Reply::json(200, json!({ "Tags": [] })));
    cloud.on("POST", "ListTagsForCertificate", tagged_for("firmware_dev_0a1b2c3d"));
    let in_use = Reply::error(400, "ResourceInUseException", "Signer");
    cloud.on("POST", "DeleteCertificate", in_use);
    cloud.on("POST", "DeleteCertificate", Reply::json(200, "{}"));
    let event = request("Delete", Some("firmware_dev_0a1b2c3d"), properties());
    let answer = ask(&cloud, event).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let deleted = cloud.asked("POST", "DeleteCertificate");
    assert_eq!(deleted.len(), 2);
    assert!(deleted.iter().all(|seen| seen.json()["CertificateArn"] == CERTIFICATE));
}

#[tokio::test(start_paused = true)]
async fn a_second_delete_is_fine() {
    for state in [not_found(), profile("Canceled", CERTIFICATE)] {
        let cloud = Cloud::new();
        cloud.on("DELETE", "/signing-profiles/", not_found());
        cloud.on("GET", "/signing-profiles/", state);
        let event = request("Delete", Some("firmware_dev_0a1b2c3d"), properties());
        assert_eq!(ask(&cloud, event).await["Status"], "SUCCESS");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_signer_refuses_is_told() {
    let cloud = Cloud::new();
    let refused = Reply::error(403, "AccessDeniedException", "not you");
    cloud.on("DELETE", "/signing-profiles/", refused);
    cloud.on("GET", "/signing-profiles/", profile("Active", CERTIFICATE));
    let event = request("Delete", Some("firmware_dev_0a1b2c3d"), properties());
    let answer = ask(&cloud, event).await;
    assert_eq!(answer["Reason"], "CancelSigningProfile failed: AccessDeniedException: not you");
}

#[tokio::test(start_paused = true)]
async fn deletes_nothing_under_an_id_that_means_nothing() {
    let cloud = Cloud::new();
    let event = request("Delete", Some("failed-create/2026/11/21/[$LATEST]abc"), json!({}));
    assert_eq!(ask(&cloud, event).await["Status"], "SUCCESS");
    assert_eq!(cloud.seen().len(), 1, "{:?}", cloud.seen());
}

#[tokio::test(start_paused = true)]
async fn names_wrong_properties() {
    for (name, value, expected) in [
        ("ProfileName", json!("firmware-dev"), "signing profile name `firmware-dev` is not valid"),
        ("ProfileName", json!("f".repeat(60)), "signing profile name `fff"),
        ("CommonName", Value::Null, "expected `CommonName` or `CertificateArn`"),
        ("CommonName", json!("c".repeat(65)), "expected 1 to 64 characters"),
        ("ValidityDays", json!("soon"), "invalid value: string \"soon\", expected a whole number"),
        ("ValidityDays", json!("0"), "`ValidityDays` is 0: expected 1 to 36500"),
        ("Certificate", json!("x"), "unknown field `Certificate`"),
    ] {
        let cloud = Cloud::new();
        let mut properties = properties();
        properties[name] = value;
        let answer = ask(&cloud, request("Create", None, properties)).await;
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains(expected), "{reason}");
        assert!(cloud.asked("POST", "ImportCertificate").is_empty());
    }
}
