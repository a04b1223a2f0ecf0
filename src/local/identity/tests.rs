//! What holds for all services of this crate: no input makes them panic, and no
//! refusal repeats a secret.
//!
//! What each service does is tested in its own folder.

use iotstack_local_kernel::testing;
use serde_json::{Map, Value, json};

use crate::RootKey;

/// The members that operations look at, all of them given at once.
const MEMBERS: &[&str] = &[
    "AccessKeyId",
    "ActionNames",
    "AliasName",
    "AllowedPattern",
    "AssumeRolePolicyDocument",
    "Certificate",
    "CertificateArn",
    "CiphertextBlob",
    "ClientRequestToken",
    "Description",
    "DurationSeconds",
    "EncryptionContext",
    "Filters",
    "Includes",
    "KeyId",
    "KeySpec",
    "Labels",
    "Limit",
    "Marker",
    "MaxItems",
    "MaxResults",
    "MaxSessionDuration",
    "Name",
    "Names",
    "NextToken",
    "NumberOfBytes",
    "ParameterFilters",
    "PasswordLength",
    "Path",
    "PendingWindowInDays",
    "Plaintext",
    "Policy",
    "PolicyArn",
    "PolicyDocument",
    "PolicyName",
    "PolicySourceArn",
    "PrivateKey",
    "RecoveryWindowInDays",
    "ResourceArns",
    "ResourceId",
    "ResourceType",
    "RoleArn",
    "RoleName",
    "RoleSessionName",
    "SecretBinary",
    "SecretId",
    "SecretString",
    "TagKeys",
    "Tags",
    "TargetKeyId",
    "Type",
    "UserName",
    "Value",
    "VersionId",
    "VersionStage",
    "VersionStages",
    "clientRequestToken",
    "destination",
    "jobId",
    "maxResults",
    "nextToken",
    "overrides",
    "platformId",
    "profileName",
    "resourceArn",
    "signingMaterial",
    "signingParameters",
    "source",
    "statuses",
    "tagKeys",
    "tags",
];

#[tokio::test]
async fn no_input_makes_a_service_panic() {
    let cloud = testing::cloud();
    crate::install(&cloud, RootKey::default()).unwrap();
    let values = [
        json!(""),
        json!("a"),
        json!("ü"),
        json!("/"),
        json!(":"),
        json!("arn:"),
        json!("arn:aws:ssm:us-east-1:123456789012:parameter"),
        json!("arn:aws:ssm:us-east-1:123456789012:parameterü"),
        json!("arn:aws:kms:us-east-1:123456789012:key/"),
        json!("arn:aws:iam::123456789012:role/"),
        json!("arn:aws:signer:us-east-1:123456789012:/signing-profiles/"),
        json!("alias/aws/"),
        json!("AAAA"),
        json!("AQ".repeat(60)),
        json!("${"),
        json!("%00\u{0}"),
        json!("*".repeat(3000)),
        json!(-1),
        json!(0),
        json!(i64::MAX),
        json!(f64::MAX),
        json!(true),
        json!(null),
        json!([]),
        json!([null]),
        json!(["a", {"Key": "a", "Value": "b"}]),
        json!({}),
        json!({"s3": {"bucketName": "a", "key": "b", "version": "c"}}),
        json!("{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"*\"}}"),
    ];
    let mut calls = 0;
    for line in cloud.services.coverage() {
        for operation in &line.operations {
            for value in &values {
                let input: Map<String, Value> =
                    MEMBERS.iter().map(|member| ((*member).to_owned(), value.clone())).collect();
                let input = Value::Object(input);
                let _ = testing::call(&cloud, line.scope, operation, input).await;
                calls += 1;
            }
        }
    }
    assert!(calls > 3000, "{calls}");
}

#[tokio::test]
async fn refusals_do_not_repeat_secrets() {
    let cloud = testing::cloud();
    crate::install(&cloud, RootKey::default()).unwrap();
    let secret = "hidden-value-of-somebody";
    let pem = "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t";
    for (scope, operation, input) in [
        ("secretsmanager", "CreateSecret", json!({"Name": "a b", "SecretString": secret})),
        ("secretsmanager", "PutSecretValue", json!({"SecretId": "no", "SecretString": secret})),
        ("secretsmanager", "CreateSecret", json!({"Name": "a", "SecretBinary": secret})),
        ("ssm", "PutParameter", json!({"Name": "//", "Value": secret, "Type": "SecureString"})),
        ("ssm", "PutParameter", json!({"Name": "a", "Value": secret, "Type": "Nonsense"})),
        ("kms", "Encrypt", json!({"KeyId": "no", "Plaintext": secret})),
        ("acm", "ImportCertificate", json!({"Certificate": pem, "PrivateKey": pem})),
    ] {
        let refused = testing::call(&cloud, scope, operation, input).await.unwrap_err();
        assert!(!refused.message.contains(secret), "{refused}");
        assert!(!refused.message.contains("PRIVATE"), "{refused}");
    }
    let root = RootKey { secret_access_key: secret.to_owned(), ..RootKey::default() };
    assert!(!format!("{root:?}").contains(secret));
}
