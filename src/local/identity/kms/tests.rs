//! KMS as clients and stacks use it.
//!
//! Time is stepped by hand: keys wait for their end on the cloud's clock. That
//! ciphertext is safe is AES's affair and not tested.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iotstack_local_kernel::testing::{self, call};
use iotstack_local_kernel::{Cloud, Fault, ResourceRequest};
use serde_json::{Value, json};

use crate::RootKey;

fn cloud() -> Arc<Cloud> {
    let cloud = testing::cloud();
    crate::install(&cloud, RootKey::default()).unwrap();
    cloud
}

async fn kms(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "kms", operation, input).await
}

async fn key(cloud: &Cloud) -> String {
    let made = kms(cloud, "CreateKey", json!({"Description": "firmware"})).await.unwrap();
    made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_encrypted_opens_only_in_its_context_and_unchanged() {
    let cloud = cloud();
    let key = key(&cloud).await;
    let alias = json!({"AliasName": "alias/firmware", "TargetKeyId": key});
    kms(&cloud, "CreateAlias", alias).await.unwrap();
    let plain = STANDARD.encode("a secret");
    let input = json!({
        "KeyId": "alias/firmware",
        "Plaintext": plain,
        "EncryptionContext": {"fleet": "pumps"},
    });
    let sealed = kms(&cloud, "Encrypt", input.clone()).await.unwrap();
    let again = kms(&cloud, "Encrypt", input).await.unwrap();
    assert_ne!(sealed["CiphertextBlob"], again["CiphertextBlob"]);
    let blob = sealed["CiphertextBlob"].as_str().unwrap().to_owned();
    let open = async |blob: &str, context: Value| {
        let input = json!({"CiphertextBlob": blob, "EncryptionContext": context});
        kms(&cloud, "Decrypt", input).await.map(|answer| answer["Plaintext"].clone())
    };
    assert_eq!(open(&blob, json!({"fleet": "pumps"})).await.unwrap(), plain);
    let invalid = |outcome: Result<Value, Fault>| outcome.unwrap_err().code;
    let wrong = "InvalidCiphertextException";
    assert_eq!(invalid(open(&blob, json!({"fleet": "lamps"})).await), wrong);
    assert_eq!(invalid(open(&blob, json!({})).await), wrong);
    let mut bytes = STANDARD.decode(&blob).unwrap();
    for at in 0..bytes.len() {
        bytes[at] ^= 1;
        let outcome = open(&STANDARD.encode(&bytes), json!({"fleet": "pumps"})).await;
        assert_eq!(invalid(outcome), wrong, "byte {at}");
        bytes[at] ^= 1;
    }
    assert_eq!(invalid(open("AAAA", json!({})).await), wrong);
}

#[tokio::test]
async fn data_keys_come_with_their_ciphertext() {
    let cloud = cloud();
    let first = key(&cloud).await;
    let other = key(&cloud).await;
    let input = json!({"KeyId": first, "KeySpec": "AES_256"});
    let made = kms(&cloud, "GenerateDataKey", input.clone()).await.unwrap();
    assert_eq!(STANDARD.decode(made["Plaintext"].as_str().unwrap()).unwrap().len(), 32);
    let moved = json!({"CiphertextBlob": made["CiphertextBlob"], "DestinationKeyId": other});
    let moved = kms(&cloud, "ReEncrypt", moved).await.unwrap();
    let open = json!({"CiphertextBlob": moved["CiphertextBlob"], "KeyId": other});
    assert_eq!(kms(&cloud, "Decrypt", open).await.unwrap()["Plaintext"], made["Plaintext"]);
    let wrong = json!({"CiphertextBlob": moved["CiphertextBlob"], "KeyId": first});
    let wrong = kms(&cloud, "Decrypt", wrong).await.unwrap_err();
    assert_eq!(wrong.code, "IncorrectKeyException");
    let hidden = kms(&cloud, "GenerateDataKeyWithoutPlaintext", input).await.unwrap();
    assert!(hidden.get("Plaintext").is_none());
}

#[tokio::test]
async fn a_key_rests_waits_and_goes() {
    let cloud = cloud();
    let key = key(&cloud).await;
    let on = || json!({"KeyId": key});
    let encrypt = async || {
        let input = json!({"KeyId": key, "Plaintext": "AAAA"});
        kms(&cloud, "Encrypt", input).await.map_err(|fault| fault.code)
    };
    kms(&cloud, "DisableKey", on()).await.unwrap();
    assert_eq!(encrypt().await.unwrap_err(), "DisabledException");
    kms(&cloud, "EnableKey", on()).await.unwrap();
    let sealed = encrypt().await.unwrap();
    let schedule = |days: i64| json!({"KeyId": key, "PendingWindowInDays": days});
    assert!(kms(&cloud, "ScheduleKeyDeletion", schedule(6)).await.is_err());
    kms(&cloud, "ScheduleKeyDeletion", schedule(7)).await.unwrap();
    assert_eq!(encrypt().await.unwrap_err(), "KMSInvalidStateException");
    kms(&cloud, "CancelKeyDeletion", on()).await.unwrap();
    assert_eq!(encrypt().await.unwrap_err(), "DisabledException");
    kms(&cloud, "ScheduleKeyDeletion", schedule(7)).await.unwrap();
    cloud.clock.step(Duration::from_secs(7 * 86_400));
    assert_eq!(kms(&cloud, "DescribeKey", on()).await.unwrap_err().code, "NotFoundException");
    let lost = json!({"CiphertextBlob": sealed["CiphertextBlob"]});
    let lost = kms(&cloud, "Decrypt", lost).await.unwrap_err();
    assert_eq!(lost.code, "InvalidCiphertextException");
}

#[tokio::test]
async fn keys_of_aws_are_made_when_first_used_and_stay() {
    let cloud = cloud();
    let input = json!({"KeyId": "alias/aws/s3", "Plaintext": "AAAA"});
    let first = kms(&cloud, "Encrypt", input.clone()).await.unwrap();
    assert_eq!(kms(&cloud, "Encrypt", input).await.unwrap()["KeyId"], first["KeyId"]);
    let key = kms(&cloud, "DescribeKey", json!({"KeyId": "alias/aws/s3"})).await.unwrap();
    assert_eq!(key["KeyMetadata"]["KeyManager"], "AWS");
    let delete = json!({"KeyId": key["KeyMetadata"]["KeyId"], "PendingWindowInDays": 7});
    assert!(kms(&cloud, "ScheduleKeyDeletion", delete).await.is_err());
    let mine = json!({"AliasName": "alias/aws/mine", "TargetKeyId": key["KeyMetadata"]["KeyId"]});
    let mine = kms(&cloud, "CreateAlias", mine).await.unwrap_err();
    assert_eq!(mine.code, "NotAuthorizedException");
}

#[tokio::test]
async fn an_alias_names_a_key_to_those_who_use_it_and_to_nobody_else() {
    let cloud = cloud();
    let key = key(&cloud).await;
    let create = async |name: &str, target: &str| {
        let input = json!({"AliasName": name, "TargetKeyId": target});
        kms(&cloud, "CreateAlias", input).await.map_err(|fault| fault.code)
    };
    create("alias/mine", &key).await.unwrap();
    for wrong in ["mine", "alias/", "alias/my:alias", "alias/mine!"] {
        assert_eq!(create(wrong, &key).await.unwrap_err(), "ValidationException", "{wrong}");
    }
    assert_eq!(create("alias/other", "alias/mine").await.unwrap_err(), "ValidationException");
    assert_eq!(create("alias/mine", &key).await.unwrap_err(), "AlreadyExistsException");
    let arn = "arn:aws:kms:us-east-1:123456789012:alias/mine";
    for alias in ["alias/mine", arn] {
        for operation in ["EnableKeyRotation", "GetKeyPolicy", "TagResource", "DisableKey"] {
            let refused = kms(&cloud, operation, json!({"KeyId": alias})).await.unwrap_err();
            assert_eq!(refused.code, "NotFoundException", "{operation}");
        }
        let used = json!({"KeyId": alias, "Plaintext": "AAAA"});
        kms(&cloud, "Encrypt", used).await.unwrap();
        assert!(kms(&cloud, "DescribeKey", json!({"KeyId": alias})).await.is_ok());
    }
}

#[tokio::test]
async fn what_is_not_offered_is_refused_by_name() {
    let cloud = cloud();
    for (member, value) in [("KeySpec", "ECC"), ("KeyUsage", "SIGN"), ("Origin", "MINE")] {
        let refused = kms(&cloud, "CreateKey", json!({ member: value })).await.unwrap_err();
        assert_eq!(refused.code, "ValidationException", "{member}");
    }
    let signing = json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"});
    let refused = kms(&cloud, "CreateKey", signing).await.unwrap_err();
    assert!(refused.message.contains("ECC_NIST_P256"), "{}", refused.message);
    assert_eq!(kms(&cloud, "Sign", json!({})).await.unwrap_err().code, "NotImplemented");
    let policy = json!({"Policy": "{}"});
    let policy = kms(&cloud, "CreateKey", policy).await.unwrap_err();
    assert_eq!(policy.code, "MalformedPolicyDocumentException");
}

#[tokio::test]
async fn a_stack_makes_changes_and_removes_keys_and_aliases() {
    let cloud = cloud();
    let keys = cloud.resource("AWS::KMS::Key").unwrap();
    let wanted = |properties: Value| ResourceRequest {
        logical_id: "Key".to_owned(),
        stack_name: "fleet".to_owned(),
        properties,
        ..ResourceRequest::default()
    };
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "kms:*",
        "Resource": "*",
    }]});
    let properties = json!({
        "Description": "firmware",
        "EnableKeyRotation": true,
        "KeyPolicy": policy,
        "Tags": [{"Key": "team", "Value": "fleet"}],
    });
    let made = keys.create(&wanted(properties)).await.unwrap();
    let id = made.physical_id.clone();
    assert_eq!(made.attributes["Arn"], format!("arn:aws:kms:us-east-1:123456789012:key/{id}"));
    let status = kms(&cloud, "GetKeyRotationStatus", json!({"KeyId": id})).await.unwrap();
    assert_eq!(status["KeyRotationEnabled"], true);
    let aliases = cloud.resource("AWS::KMS::Alias").unwrap();
    let alias = wanted(json!({"AliasName": "alias/fw", "TargetKeyId": id}));
    let named = aliases.create(&alias).await.unwrap();
    assert!(aliases.create(&alias).await.is_err());
    let changed =
        ResourceRequest { physical_id: Some(id.clone()), ..wanted(json!({"Description": "new"})) };
    keys.update(&changed).await.unwrap();
    let shown = kms(&cloud, "DescribeKey", json!({"KeyId": "alias/fw"})).await.unwrap();
    assert_eq!(shown["KeyMetadata"]["Description"], "new");
    let gone = ResourceRequest { physical_id: Some(named.physical_id), ..alias };
    aliases.delete(&gone).await.unwrap();
    aliases.delete(&gone).await.unwrap();
    keys.delete(&changed).await.unwrap();
    keys.delete(&changed).await.unwrap();
    let shown = kms(&cloud, "DescribeKey", json!({"KeyId": id})).await.unwrap();
    assert_eq!(shown["KeyMetadata"]["KeyState"], "PendingDeletion");
}
