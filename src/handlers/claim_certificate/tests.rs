//! Tests of claim certificates: what is made, in which order, and what never shows.

use serde_json::{Value, json};

use super::*;
use crate::custom_resource::testing::{handle, request};
use crate::testing::{Cloud, Reply, aws};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ARN: &str = "arn:aws:iot:eu-central-1:123456789012:cert/0123456789abcdef";

fn properties(policy: &str) -> Value {
    json!({ "PolicyName": policy, "SecretId": "arn:secret", "CommonName": "firmware-dev claim" })
}

/// An empty secret, and an IoT that does as it is told.
fn cloud() -> Cloud {
    let cloud = Cloud::new();
    cloud.on("PUT", "/target-policies/", Reply::json(200, "{}"));
    cloud.on("POST", "/target-policies/", Reply::json(200, "{}"));
    cloud.on("PUT", "/certificates/", Reply::json(200, "{}"));
    cloud.on("DELETE", "/certificates/", Reply::json(200, "{}"));
    cloud.on(
        "POST",
        "/attached-policies/",
        Reply::json(200, json!({"policies": [{"policyName": "claim"}]})),
    );
    cloud.on(
        "POST",
        "/certificates",
        Reply::json(
            200,
            json!({"certificateArn": ARN, "certificateId": ID, "certificatePem": "PEM"}),
        ),
    );
    cloud.on("POST", "PutSecretValue", Reply::json(200, "{}"));
    cloud
}

fn with_certificate(cloud: &Cloud) {
    let description =
        json!({"certificateDescription": {"certificateArn": ARN, "certificateId": ID}});
    cloud.on("GET", "/certificates/", Reply::json(200, description));
}

async fn ask(cloud: &Cloud, event: Value) -> Value {
    cloud.otherwise(
        "POST",
        "GetSecretValue",
        Reply::error(400, "ResourceNotFoundException", "the secret has no value"),
    );
    handle(ClaimCertificates::new(&aws(cloud)), event, cloud).await
}

#[tokio::test(start_paused = true)]
async fn the_key_goes_into_the_secret_and_nowhere_else() {
    let cloud = cloud();
    let answer = ask(&cloud, request("Create", None, properties("claim"))).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["PhysicalResourceId"], ID);
    assert_eq!(answer["Data"], json!({ "CertificateId": ID, "CertificateArn": ARN }));

    let put = cloud.asked("POST", "PutSecretValue")[0].json();
    assert_eq!(put["SecretId"], "arn:secret");
    let kept: Value = serde_json::from_str(put["SecretString"].as_str().unwrap()).unwrap();
    assert_eq!((&kept["certificateId"], &kept["certificatePem"]), (&json!(ID), &json!("PEM")));
    let key = kept["privateKey"].as_str().unwrap();
    assert!(KeyPair::from_pem(key).is_ok());
    let secret = key.lines().nth(1).unwrap();
    for seen in cloud.seen().iter().filter(|seen| seen.header("x-amz-target").is_none()) {
        assert!(!String::from_utf8_lossy(&seen.body).contains(secret), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_certificate_becomes_active_last() {
    let cloud = cloud();
    ask(&cloud, request("Create", None, properties("claim"))).await;
    let steps: Vec<String> = cloud.seen().iter().map(|seen| format!("{seen:?}")).collect();
    let place = |part: &str| steps.iter().position(|step| step.contains(part)).unwrap();
    assert!(cloud.asked("POST", "/certificates")[0].uri.contains("setAsActive=false"));
    assert!(place("PutSecretValue") < place("newStatus=ACTIVE"));
    assert!(place("/target-policies/claim") < place("newStatus=ACTIVE"));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_makes_no_second_certificate() {
    let cloud = cloud();
    with_certificate(&cloud);
    let kept = json!({ "certificateId": ID, "privateKey": "k", "certificatePem": "PEM" });
    cloud.on("POST", "GetSecretValue", Reply::json(200, json!({"SecretString": kept.to_string()})));
    let answer = ask(&cloud, request("Create", None, properties("claim"))).await;
    assert_eq!(answer["PhysicalResourceId"], ID, "{answer}");
    assert!(cloud.asked("POST", "setAsActive").is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_policy_takes_the_place_of_the_old_one() {
    let cloud = cloud();
    with_certificate(&cloud);
    let mut event = request("Update", Some(ID), properties("new"));
    event["OldResourceProperties"] = properties("claim");
    let answer = ask(&cloud, event).await;
    assert_eq!(answer["PhysicalResourceId"], ID, "{answer}");
    assert_eq!(cloud.asked("PUT", "/target-policies/new").len(), 1);
    assert_eq!(cloud.asked("POST", "/target-policies/claim").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_secret_gets_a_certificate_of_its_own() {
    let cloud = cloud();
    let mut event = request("Update", Some("a".repeat(64).as_str()), properties("claim"));
    event["OldResourceProperties"] = properties("claim");
    event["OldResourceProperties"]["SecretId"] = "arn:other".into();
    assert_eq!(ask(&cloud, event).await["PhysicalResourceId"], ID);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_goes_in_the_order_that_iot_wants() {
    let cloud = cloud();
    with_certificate(&cloud);
    let answer = ask(&cloud, request("Delete", Some(ID), properties("claim"))).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let steps: Vec<String> = cloud.seen().iter().map(|seen| format!("{seen:?}")).collect();
    let place = |part: &str| steps.iter().position(|step| step.contains(part)).unwrap();
    assert!(
        place("POST https://iot.eu-central-1.amazonaws.com/target-policies")
            < place("newStatus=INACTIVE")
    );
    assert!(place("newStatus=INACTIVE") < place("DELETE"));
}

#[tokio::test(start_paused = true)]
async fn what_was_never_made_is_gone_already() {
    let cloud = Cloud::new();
    for id in ["Resource1", ID] {
        cloud.otherwise(
            "GET",
            "/certificates/",
            Reply::error(404, "ResourceNotFoundException", "gone"),
        );
        let event = request("Delete", Some(id), properties("claim"));
        let fresh = cloud.clone();
        let resource = ClaimCertificates::new(&aws(&fresh));
        let answer = crate::custom_resource::testing::try_handle(resource, event, &fresh).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert!(cloud.asked("DELETE", "").is_empty());
}
