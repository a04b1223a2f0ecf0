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
    BucketRecord, CORS, ENCRYPTION, LIFECYCLE, OWNERSHIP, POLICY, Setting, Versioning,
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
    let value =
        serde_json::to_value(value).map_err(|error| Error::InvalidRequest(error.to_string()))?;
    check(setting, &value)?;
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

/// What a new bucket comes with, as on AWS since 2023.
pub(crate) fn defaults(record: &mut BucketRecord) {
    let block = json!({
        "block_public_acls": true,
        "block_public_policy": true,
        "ignore_public_acls": true,
        "restrict_public_buckets": true,
    });
    record.settings.insert(crate::record::PUBLIC_ACCESS.name.to_owned(), block);
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
            return refuse(format!("a lifecycle takes 1 to 1000 rules, not {}", rules.len()));
        }
        for rule in rules {
            let status = rule["status"].as_str().unwrap_or_default();
            if !["Enabled", "Disabled"].contains(&status) {
                return refuse(format!("a rule is Enabled or Disabled, not `{status}`"));
            }
            let does = [
                "abort_incomplete_multipart_upload",
                "expiration",
                "noncurrent_version_expiration",
                "noncurrent_version_transitions",
                "transitions",
            ];
            if does.iter().all(|action| rule[action].is_null()) {
                return refuse("a lifecycle rule needs at least one action".to_owned());
            }
        }
    }
    if setting.name == CORS.name {
        for rule in value["cors_rules"].as_array().into_iter().flatten() {
            for method in rule["allowed_methods"].as_array().into_iter().flatten() {
                let method = method.as_str().unwrap_or_default();
                if !["GET", "PUT", "POST", "DELETE", "HEAD"].contains(&method) {
                    return refuse(format!("CORS knows no method `{method}`"));
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
