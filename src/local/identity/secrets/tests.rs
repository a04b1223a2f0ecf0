//! Secrets Manager as clients and stacks use it.
//!
//! Deletion waits on the clock, which is stepped by hand. Values are compared only
//! where an operation is meant to show them.

use std::sync::Arc;
use std::time::Duration;

use iotstack_local_kernel::testing::{self, call};
use iotstack_local_kernel::{Cloud, Fault, ResourceRequest};
use serde_json::{Value, json};

use crate::RootKey;

fn cloud() -> Arc<Cloud> {
    let cloud = testing::cloud();
    crate::install(&cloud, RootKey::default()).unwrap();
    cloud
}

async fn secrets(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "secretsmanager", operation, input).await
}

#[tokio::test]
async fn the_newest_value_is_current_and_the_one_before_stays_readable() {
    let cloud = cloud();
    let made = json!({"Name": "fleet/claim", "SecretString": "one"});
    let made = secrets(&cloud, "CreateSecret", made).await.unwrap();
    let arn = made["ARN"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:us-east-1:123456789012:secret:fleet/claim-"));
    let put = json!({"SecretId": "fleet/claim", "SecretString": "two"});
    let put = secrets(&cloud, "PutSecretValue", put).await.unwrap();
    assert_eq!(put["VersionStages"], json!(["AWSCURRENT"]));
    let get = async |more: Value| {
        let mut input = json!({"SecretId": arn});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        secrets(&cloud, "GetSecretValue", input).await.map(|v| v["SecretString"].clone())
    };
    assert_eq!(get(json!({})).await.unwrap(), "two");
    assert_eq!(get(json!({"VersionStage": "AWSPREVIOUS"})).await.unwrap(), "one");
    assert_eq!(get(json!({"VersionId": made["VersionId"]})).await.unwrap(), "one");
    let missing = get(json!({"VersionStage": "MINE"})).await.unwrap_err();
    assert_eq!(missing.code, "ResourceNotFoundException");
    let back = json!({
        "SecretId": arn,
        "VersionStage": "AWSCURRENT",
        "RemoveFromVersionId": put["VersionId"],
        "MoveToVersionId": made["VersionId"],
    });
    secrets(&cloud, "UpdateSecretVersionStage", back).await.unwrap();
    assert_eq!(get(json!({})).await.unwrap(), "one");
    assert_eq!(get(json!({"VersionStage": "AWSPREVIOUS"})).await.unwrap(), "two");
    assert_eq!(cloud.ports.secrets().unwrap().value("fleet/claim").unwrap(), "one");
}

#[tokio::test]
async fn a_secret_without_a_value_has_none() {
    let cloud = cloud();
    secrets(&cloud, "CreateSecret", json!({"Name": "empty"})).await.unwrap();
    let refused = secrets(&cloud, "GetSecretValue", json!({"SecretId": "empty"})).await;
    assert_eq!(refused.unwrap_err().code, "ResourceNotFoundException");
    let bytes = json!({"SecretId": "empty", "SecretBinary": "AAEC"});
    secrets(&cloud, "PutSecretValue", bytes).await.unwrap();
    let read = secrets(&cloud, "GetSecretValue", json!({"SecretId": "empty"})).await.unwrap();
    assert_eq!(read["SecretBinary"], "AAEC");
    let both = json!({"SecretId": "empty", "SecretBinary": "AAEC", "SecretString": "x"});
    let both = secrets(&cloud, "PutSecretValue", both).await.unwrap_err();
    assert_eq!(both.code, "InvalidParameterException");
}

#[tokio::test]
async fn the_first_value_is_current_whatever_its_stages() {
    let cloud = cloud();
    secrets(&cloud, "CreateSecret", json!({"Name": "s"})).await.unwrap();
    let put =
        |value: &str| json!({"SecretId": "s", "SecretString": value, "VersionStages": ["MINE"]});
    let first = secrets(&cloud, "PutSecretValue", put("one")).await.unwrap();
    assert_eq!(first["VersionStages"], json!(["AWSCURRENT", "MINE"]));
    let second = secrets(&cloud, "PutSecretValue", put("two")).await.unwrap();
    assert_eq!(second["VersionStages"], json!(["MINE"]));
    let read = secrets(&cloud, "GetSecretValue", json!({"SecretId": "s"})).await.unwrap();
    assert_eq!(read["SecretString"], "one");
}

#[tokio::test]
async fn a_secret_that_never_was_can_be_deleted_by_force_alone() {
    let cloud = cloud();
    let missing = secrets(&cloud, "DeleteSecret", json!({"SecretId": "s"})).await.unwrap_err();
    assert_eq!(missing.code, "ResourceNotFoundException");
    let force = json!({"SecretId": "s", "ForceDeleteWithoutRecovery": true});
    let gone = secrets(&cloud, "DeleteSecret", force).await.unwrap();
    assert_eq!(gone["Name"], "s");
    let arn = gone["ARN"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:us-east-1:123456789012:secret:s-"), "{arn}");
    assert!(gone["DeletionDate"].is_number());
}

#[tokio::test]
async fn the_same_token_is_the_same_version() {
    let cloud = cloud();
    let token = "a".repeat(32);
    let put =
        |value: &str| json!({"SecretId": "s", "SecretString": value, "ClientRequestToken": token});
    let create = json!({"Name": "s", "SecretString": "v", "ClientRequestToken": token});
    let first = secrets(&cloud, "CreateSecret", create.clone()).await.unwrap();
    assert_eq!(secrets(&cloud, "CreateSecret", create).await.unwrap()["ARN"], first["ARN"]);
    let other = secrets(&cloud, "CreateSecret", json!({"Name": "s"})).await.unwrap_err();
    assert_eq!(other.code, "ResourceExistsException");
    secrets(&cloud, "PutSecretValue", put("v")).await.unwrap();
    let changed = secrets(&cloud, "PutSecretValue", put("w")).await.unwrap_err();
    assert_eq!(changed.code, "ResourceExistsException");
}

#[tokio::test]
async fn a_deleted_secret_can_be_brought_back_until_its_window_ends() {
    let cloud = cloud();
    secrets(&cloud, "CreateSecret", json!({"Name": "s", "SecretString": "v"})).await.unwrap();
    let short = json!({"SecretId": "s", "RecoveryWindowInDays": 6});
    let short = secrets(&cloud, "DeleteSecret", short).await.unwrap_err();
    assert_eq!(short.code, "InvalidParameterException");
    let delete = || json!({"SecretId": "s", "RecoveryWindowInDays": 7});
    secrets(&cloud, "DeleteSecret", delete()).await.unwrap();
    let refused = secrets(&cloud, "GetSecretValue", json!({"SecretId": "s"})).await.unwrap_err();
    assert_eq!(refused.code, "InvalidRequestException");
    assert!(cloud.ports.secrets().unwrap().value("s").is_err());
    let taken = secrets(&cloud, "CreateSecret", json!({"Name": "s"})).await.unwrap_err();
    assert_eq!(taken.code, "InvalidRequestException");
    secrets(&cloud, "RestoreSecret", json!({"SecretId": "s"})).await.unwrap();
    assert!(secrets(&cloud, "GetSecretValue", json!({"SecretId": "s"})).await.is_ok());
    secrets(&cloud, "DeleteSecret", delete()).await.unwrap();
    cloud.clock.step(Duration::from_secs(7 * 86_400));
    let gone = secrets(&cloud, "RestoreSecret", json!({"SecretId": "s"})).await.unwrap_err();
    assert_eq!(gone.code, "ResourceNotFoundException");
    secrets(&cloud, "CreateSecret", json!({"Name": "s"})).await.unwrap();
    let now = json!({"SecretId": "s", "ForceDeleteWithoutRecovery": true});
    secrets(&cloud, "DeleteSecret", now).await.unwrap();
    assert!(secrets(&cloud, "DescribeSecret", json!({"SecretId": "s"})).await.is_err());
}

#[tokio::test]
async fn lists_describe_without_values() {
    let cloud = cloud();
    for name in ["a/one", "a/two", "b"] {
        let input = json!({
            "Name": name,
            "SecretString": "hidden value",
            "Tags": [{"Key": "team", "Value": name}],
        });
        secrets(&cloud, "CreateSecret", input).await.unwrap();
    }
    let list = async |filter: Value| {
        let input = json!({"Filters": [filter]});
        let answer = secrets(&cloud, "ListSecrets", input).await.unwrap();
        assert!(!answer.to_string().contains("hidden"), "{answer}");
        answer["SecretList"].as_array().unwrap().len()
    };
    assert_eq!(list(json!({"Key": "name", "Values": ["a/"]})).await, 2);
    assert_eq!(list(json!({"Key": "name", "Values": ["!a/"]})).await, 1);
    assert_eq!(list(json!({"Key": "tag-value", "Values": ["b"]})).await, 1);
    let page = secrets(&cloud, "ListSecrets", json!({"MaxResults": 2})).await.unwrap();
    let rest = json!({"NextToken": page["NextToken"]});
    let rest = secrets(&cloud, "ListSecrets", rest).await.unwrap();
    assert_eq!(rest["SecretList"][0]["Name"], "b");
}

#[tokio::test]
async fn lists_search_descriptions_by_words_and_names_by_how_they_begin() {
    let cloud = cloud();
    for (name, description) in
        [("pump", "Claim of pumps"), ("Lamp", "claims and lamps"), ("FleetClaim", "none")]
    {
        let input = json!({"Name": name, "SecretString": "v", "Description": description});
        secrets(&cloud, "CreateSecret", input).await.unwrap();
        cloud.clock.step(Duration::from_secs(1));
    }
    let list = async |input: Value| {
        let answer = secrets(&cloud, "ListSecrets", input).await?;
        let found = answer["SecretList"].as_array().unwrap().iter();
        Ok::<_, Fault>(found.map(|one| one["Name"].as_str().unwrap().to_owned()).collect())
    };
    let found = async |key: &str, value: &str| -> Vec<String> {
        list(json!({"Filters": [{"Key": key, "Values": [value]}]})).await.unwrap()
    };
    assert_eq!(found("description", "c p").await, ["pump"]);
    assert_eq!(found("description", "laim").await, [""; 0]);
    assert_eq!(found("name", "lamp").await, [""; 0]);
    assert_eq!(found("all", "claim").await, ["pump", "Lamp", "FleetClaim"]);
    let last: Vec<String> = list(json!({"SortOrder": "desc"})).await.unwrap();
    assert_eq!(last, ["FleetClaim", "Lamp", "pump"]);
    let named: Vec<String> = list(json!({"SortBy": "name"})).await.unwrap();
    assert_eq!(named, ["FleetClaim", "Lamp", "pump"]);
    for (wrong, code) in [
        (json!({"Values": ["v"]}), "InvalidParameterException"),
        (json!({"Key": "name"}), "InvalidParameterException"),
        (json!({"Key": "colour", "Values": ["v"]}), "ValidationException"),
    ] {
        let refused: Result<Vec<String>, Fault> = list(json!({"Filters": [wrong]})).await;
        assert_eq!(refused.unwrap_err().code, code);
    }
}

#[tokio::test]
async fn several_values_are_read_at_once_and_errors_stand_beside_them() {
    let cloud = cloud();
    for name in ["a", "b", "c"] {
        let input = json!({"Name": name, "SecretString": name});
        secrets(&cloud, "CreateSecret", input).await.unwrap();
    }
    secrets(&cloud, "DeleteSecret", json!({"SecretId": "c"})).await.unwrap();
    let batch = async |input: Value| secrets(&cloud, "BatchGetSecretValue", input).await;
    let found = batch(json!({"SecretIdList": ["a", "x", "c"]})).await.unwrap();
    assert_eq!(found["SecretValues"][0]["SecretString"], "a");
    let codes: Vec<&Value> =
        found["Errors"].as_array().unwrap().iter().map(|error| &error["ErrorCode"]).collect();
    assert_eq!(codes, ["ResourceNotFoundException", "InvalidRequestException"]);
    let all = json!([{"Key": "name", "Values": ["a", "b"]}]);
    let page = batch(json!({"Filters": all, "MaxResults": 1})).await.unwrap();
    let rest = batch(json!({"Filters": all, "NextToken": page["NextToken"]})).await.unwrap();
    assert_eq!(rest["SecretValues"][0]["Name"], "b");
    for wrong in [json!({}), json!({"SecretIdList": ["a"], "MaxResults": 1})] {
        assert_eq!(batch(wrong).await.unwrap_err().code, "InvalidParameterException");
    }
    // A version and a stage that are not together, and a token that has another value.
    let read = json!({"SecretId": "a", "VersionStage": "MINE"});
    let missing = secrets(&cloud, "GetSecretValue", read).await.unwrap_err();
    assert_eq!(missing.code, "ResourceNotFoundException");
    let version = found["SecretValues"][0]["VersionId"].clone();
    let read = json!({"SecretId": "a", "VersionStage": "MINE", "VersionId": version});
    let apart = secrets(&cloud, "GetSecretValue", read).await.unwrap_err();
    assert_eq!(apart.code, "InvalidRequestException");
}

#[tokio::test]
async fn a_stack_makes_generated_and_empty_secrets() {
    let cloud = cloud();
    let handler = cloud.resource("AWS::SecretsManager::Secret").unwrap();
    let wanted = |properties: Value| ResourceRequest {
        logical_id: "Secret".to_owned(),
        stack_name: "fleet".to_owned(),
        properties,
        ..ResourceRequest::default()
    };
    let empty = handler.create(&wanted(json!({"Description": "claim"}))).await.unwrap();
    assert!(empty.physical_id.contains(":secret:fleet-Secret-"), "{}", empty.physical_id);
    let generate = json!({"GenerateSecretString": {
        "SecretStringTemplate": "{\"user\": \"pump\"}",
        "GenerateStringKey": "password",
        "PasswordLength": "20",
        "ExcludePunctuation": true,
    }});
    let made = handler.create(&wanted(generate.clone())).await.unwrap();
    let read = async |arn: &str| {
        let input = json!({"SecretId": arn});
        let value = secrets(&cloud, "GetSecretValue", input).await.unwrap();
        value["SecretString"].as_str().unwrap().to_owned()
    };
    let first = read(&made.physical_id).await;
    let document: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(document["user"], "pump");
    let password = document["password"].as_str().unwrap();
    assert!(password.len() == 20 && password.chars().all(|c| c.is_ascii_alphanumeric()));
    // An update that wants the same does not make another one.
    let changed = ResourceRequest {
        physical_id: Some(made.physical_id.clone()),
        previous: Some(generate.clone()),
        ..wanted(generate)
    };
    handler.update(&changed).await.unwrap();
    assert_eq!(read(&made.physical_id).await, first);
    handler.delete(&changed).await.unwrap();
    handler.delete(&changed).await.unwrap();
}

#[tokio::test]
async fn passwords_hold_each_kind_and_nothing_excluded() {
    let cloud = cloud();
    for _ in 0..50 {
        let input = json!({"PasswordLength": 5, "IncludeSpace": true, "ExcludeCharacters": "abc"});
        let made = secrets(&cloud, "GetRandomPassword", input).await.unwrap();
        let made = made["RandomPassword"].as_str().unwrap();
        assert_eq!(made.chars().count(), 5);
        assert!(made.contains(' ') && made.chars().any(|c| c.is_ascii_digit()), "{made}");
        assert!(!made.contains(['a', 'b', 'c']), "{made}");
    }
    let impossible = json!({"PasswordLength": 3});
    assert!(secrets(&cloud, "GetRandomPassword", impossible).await.is_err());
}
