//! Configurations of a bucket: kept as the wire library reads them, given back.
//!
//! Each is checked for what AWS refuses at once (a policy that is no JSON, a
//! rule without a name of a status); whether it has an effect is told in the
//! crate's header.

use s3s::dto;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Error;
use crate::record::{
    BucketRecord, CORS, ENCRYPTION, LIFECYCLE, NOTIFICATION, OWNERSHIP, POLICY, PUBLIC_ACCESS,
    Setting, Versioning,
};
use crate::store::Buckets;

/// A configuration as a type of the wire.
pub(crate) fn get<T: DeserializeOwned>(
    buckets: &Buckets,
    bucket: &str,
    setting: &Setting,
) -> Result<T, Error> {
    serde_json::from_value(buckets.setting(bucket, setting)?)
        .map_err(|error| Error::InvalidRequest(error.to_string()))
}

/// Sets a configuration.
pub(crate) async fn set(
    buckets: &Buckets,
    bucket: &str,
    setting: &Setting,
    value: &impl Serialize,
) -> Result<(), Error> {
    let mut value =
        serde_json::to_value(value).map_err(|error| Error::InvalidRequest(error.to_string()))?;
    check(setting, &value)?;
    complete(setting, &mut value);
    buckets
        .configure(bucket, |record| {
            record.settings.insert(setting.name.to_owned(), value);
        })
        .await
}

/// Removes a configuration; one that was never set is no error.
pub(crate) async fn remove(
    buckets: &Buckets,
    bucket: &str,
    setting: &Setting,
) -> Result<(), Error> {
    buckets
        .configure(bucket, |record| {
            record.settings.remove(setting.name);
        })
        .await
}

/// Sets the policy, a JSON document.
pub(crate) async fn set_policy(buckets: &Buckets, bucket: &str, policy: &str) -> Result<(), Error> {
    check_policy(policy, bucket)?;
    set(buckets, bucket, &POLICY, &policy).await
}

/// Switches versioning.
pub(crate) async fn set_versioning(
    buckets: &Buckets,
    bucket: &str,
    status: Option<&str>,
) -> Result<(), Error> {
    let versioning = versioning(status)?;
    buckets.configure(bucket, |record| record.versioning = versioning).await
}

/// What a status means.
pub(crate) fn versioning(status: Option<&str>) -> Result<Versioning, Error> {
    match status {
        Some("Enabled") => Ok(Versioning::Enabled),
        Some("Suspended") => Ok(Versioning::Suspended),
        other => Err(Error::InvalidArgument(format!(
            "the versioning status must be Enabled or Suspended, not `{}`",
            other.unwrap_or_default()
        ))),
    }
}

/// The status of versioning on the wire; nothing if it was never set.
pub(crate) fn versioning_status(versioning: Versioning) -> Option<dto::BucketVersioningStatus> {
    let name = match versioning {
        Versioning::Never => return None,
        Versioning::Enabled => dto::BucketVersioningStatus::ENABLED,
        Versioning::Suspended => dto::BucketVersioningStatus::SUSPENDED,
    };
    Some(dto::BucketVersioningStatus::from_static(name))
}

/// In which region a bucket is made that is asked for at an endpoint.
pub(crate) fn location(endpoint: &str, wanted: Option<&str>) -> Result<String, Error> {
    let wanted = wanted.filter(|wanted| !wanted.is_empty());
    match (endpoint, wanted) {
        // The oldest region has no name here, and makes buckets for all others.
        ("us-east-1", None) => Ok(endpoint.to_owned()),
        ("us-east-1", Some("us-east-1")) => {
            Err(Error::InvalidLocationConstraint(endpoint.to_owned()))
        }
        ("us-east-1" | "eu-west-1", Some("EU")) => Ok("eu-west-1".to_owned()),
        ("us-east-1", Some(other)) => Ok(other.to_owned()),
        (_, Some(wanted)) if wanted == endpoint => Ok(wanted.to_owned()),
        (_, wanted) => {
            Err(Error::IllegalLocationConstraint(wanted.unwrap_or("unspecified").to_owned()))
        }
    }
}

/// Says what a configuration leaves open, as AWS gives it back.
pub(crate) fn complete(setting: &Setting, value: &mut Value) {
    let fill = |value: &mut Value, member: &str, with: Value| {
        if value.is_object() && value[member].is_null() {
            value[member] = with;
        }
    };
    let each = |value: &mut Value, list: &str, member: &str, with: &dyn Fn() -> Value| {
        for one in value[list].as_array_mut().into_iter().flatten() {
            fill(one, member, with());
        }
    };
    let fresh = || json!(iotstack_local_kernel::id::uuid());
    match setting.name {
        name if name == ENCRYPTION.name => {
            each(value, "rules", "bucket_key_enabled", &|| json!(false))
        }
        name if name == LIFECYCLE.name => each(value, "rules", "id", &fresh),
        name if name == PUBLIC_ACCESS.name => {
            for member in PUBLIC_ACCESS_MEMBERS {
                fill(value, member, json!(false));
            }
        }
        name if name == NOTIFICATION.name => {
            for list in ["lambda_function", "queue", "topic"] {
                each(value, &format!("{list}_configurations"), "id", &fresh);
            }
        }
        _ => {}
    }
}

const PUBLIC_ACCESS_MEMBERS: [&str; 4] =
    ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"];

/// What a new bucket comes with, as on AWS since 2023.
pub(crate) fn defaults(record: &mut BucketRecord) {
    let block = json!({
        "block_public_acls": true,
        "block_public_policy": true,
        "ignore_public_acls": true,
        "restrict_public_buckets": true,
    });
    record.settings.insert(PUBLIC_ACCESS.name.to_owned(), block);
    record.settings.insert(OWNERSHIP.name.to_owned(), json!(["BucketOwnerEnforced"]));
    let encryption = json!({"rules": [{
        "apply_server_side_encryption_by_default": {
            "kms_master_key_id": null,
            "sse_algorithm": "AES256",
        },
        "bucket_key_enabled": false,
    }]});
    record.settings.insert(ENCRYPTION.name.to_owned(), encryption);
}

/// Whether a policy lets everybody in, roughly: an Allow for any principal
/// without a condition.
pub(crate) fn is_public(policy: &str) -> bool {
    let document: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        single @ Value::Object(_) => std::slice::from_ref(single),
        _ => &[],
    };
    statements.iter().any(|statement| {
        let anybody = statement["Principal"] == "*" || statement["Principal"]["AWS"] == "*";
        statement["Effect"] == "Allow" && anybody && statement["Condition"].is_null()
    })
}

/// Refuses what AWS would refuse at once.
pub(crate) fn check(setting: &Setting, value: &Value) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::InvalidRequest(reason));
    if setting.name == LIFECYCLE.name {
        let rules = value["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
        if rules.is_empty() || rules.len() > 1000 {
            let reason = format!("a lifecycle takes 1 to 1000 rules, not {}", rules.len());
            return Err(Error::MalformedXml(reason));
        }
        for rule in rules {
            let status = rule["status"].as_str().unwrap_or_default();
            if !["Enabled", "Disabled"].contains(&status) {
                let reason = format!("a rule is Enabled or Disabled, not `{status}`");
                return Err(Error::MalformedXml(reason));
            }
            check_rule(rule)?;
            let does = [
                "abort_incomplete_multipart_upload",
                "expiration",
                "noncurrent_version_expiration",
                "noncurrent_version_transitions",
                "transitions",
            ];
            if does.iter().all(|action| rule[action].is_null()) {
                return refuse("At least one action needs to be specified in a rule".to_owned());
            }
        }
    }
    if setting.name == CORS.name {
        let count = value["cors_rules"].as_array().map_or(0, Vec::len);
        if count == 0 || count > 100 {
            return Err(Error::MalformedXml(format!("CORS takes 1 to 100 rules, not {count}")));
        }
        for rule in value["cors_rules"].as_array().into_iter().flatten() {
            for method in rule["allowed_methods"].as_array().into_iter().flatten() {
                let method = method.as_str().unwrap_or_default();
                if !["GET", "PUT", "POST", "DELETE", "HEAD"].contains(&method) {
                    return refuse(format!(
                        "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
                    ));
                }
            }
        }
    }
    if setting.name == ENCRYPTION.name {
        for rule in value["rules"].as_array().into_iter().flatten() {
            let default = &rule["apply_server_side_encryption_by_default"];
            let algorithm = default["sse_algorithm"].as_str().unwrap_or_default();
            if !["AES256", "aws:kms", "aws:kms:dsse"].contains(&algorithm) {
                let known = "AES256, aws:kms and aws:kms:dsse are accepted";
                return refuse(format!("unknown algorithm `{algorithm}`: {known}"));
            }
            if algorithm == "AES256" && !default["kms_master_key_id"].is_null() {
                return refuse("a KMS key needs the algorithm aws:kms".to_owned());
            }
        }
    }
    if setting.name == PUBLIC_ACCESS.name
        && PUBLIC_ACCESS_MEMBERS.iter().all(|member| value[*member].is_null())
    {
        return refuse("Must specify at least one configuration.".to_owned());
    }
    Ok(())
}

/// Refuses a rule of a lifecycle whose elements exclude each other or lack others.
fn check_rule(rule: &Value) -> Result<(), Error> {
    let malformed = |reason: &str| Err(Error::MalformedXml(reason.to_owned()));
    let count = |value: &Value, members: &[&str]| {
        members.iter().filter(|member| !value[**member].is_null()).count()
    };
    if rule["filter"].is_null() == rule["prefix"].is_null() {
        return malformed("a rule needs either Filter or Prefix");
    }
    let filters = ["and", "object_size_greater_than", "object_size_less_than", "prefix", "tag"];
    if count(&rule["filter"], &filters) > 1 {
        return malformed("a Filter takes one element; And takes several");
    }
    let expiration = &rule["expiration"];
    let times = ["date", "days", "expired_object_delete_marker"];
    if !expiration.is_null() && count(expiration, &times) != 1 {
        return malformed("an Expiration takes one of Date, Days and ExpiredObjectDeleteMarker");
    }
    for transition in rule["transitions"].as_array().into_iter().flatten() {
        if count(transition, &["date", "days"]) != 1 || transition["storage_class"].is_null() {
            return malformed("a Transition needs a StorageClass, and either Date or Days");
        }
    }
    for transition in rule["noncurrent_version_transitions"].as_array().into_iter().flatten() {
        if count(transition, &["noncurrent_days", "storage_class"]) != 2 {
            return malformed(
                "a NoncurrentVersionTransition needs NoncurrentDays and StorageClass",
            );
        }
    }
    Ok(())
}

fn check_policy(policy: &str, bucket: &str) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::MalformedPolicy(reason));
    if policy.len() > 20_480 {
        return refuse(format!("it has {} bytes, at most 20480 are accepted", policy.len()));
    }
    let document: Value = match serde_json::from_str(policy) {
        Ok(document @ Value::Object(_)) => document,
        Ok(_) => return refuse("it must be a JSON object".to_owned()),
        Err(error) => return refuse(format!("it is not JSON: {error}")),
    };
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        single @ Value::Object(_) => std::slice::from_ref(single),
        _ => return refuse("it has no Statement".to_owned()),
    };
    for statement in statements {
        let effect = statement["Effect"].as_str().unwrap_or_default();
        if !["Allow", "Deny"].contains(&effect) {
            return refuse(format!("the effect must be Allow or Deny, not `{effect}`"));
        }
        for (wanted, other) in
            [("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")]
        {
            if statement[wanted].is_null() && statement[other].is_null() {
                return refuse(format!("a statement has no {wanted}"));
            }
        }
        let resources = match &statement["Resource"] {
            Value::Array(resources) => resources.as_slice(),
            Value::Null => &[],
            single => std::slice::from_ref(single),
        };
        for resource in resources {
            let text = resource.as_str().unwrap_or_default();
            let path = text.splitn(6, ':').nth(5).unwrap_or(text);
            let name = path.split('/').next().unwrap_or_default();
            if name != bucket && !name.contains(['*', '?']) {
                return refuse(format!("resource `{text}` is not of the bucket `{bucket}`"));
            }
        }
    }
    Ok(())
}
