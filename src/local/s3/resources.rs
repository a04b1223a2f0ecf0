//! `AWS::S3::Bucket` and `AWS::S3::BucketPolicy`.
//!
//! A bucket that the stack does not name gets a name in lower case. A bucket
//! that is not empty is not deleted. Properties for which there is nothing here
//! (replication, websites, object lock, …) are refused by name.

use std::sync::Arc;

use iotstack_local_kernel::{
    BoxFuture, Cloud, ResourceFault, ResourceHandler, ResourceRequest, ResourceState, id,
};
use s3s::dto;
use serde_json::{Value, json};

use crate::record::{
    BucketRecord, CORS, ENCRYPTION, LIFECYCLE, NOTIFICATION, OWNERSHIP, POLICY, PUBLIC_ACCESS,
    Setting, TAGGING, Versioning,
};
use crate::store::Buckets;
use crate::{Error, configuration};

/// Registers the handlers.
pub(crate) fn register(cloud: &Cloud, buckets: &Arc<Buckets>) {
    cloud.add_resource(Arc::new(BucketHandler(buckets.clone())));
    cloud.add_resource(Arc::new(PolicyHandler(buckets.clone())));
}

struct BucketHandler(Arc<Buckets>);

struct PolicyHandler(Arc<Buckets>);

type Outcome<'a, T> = BoxFuture<'a, Result<T, ResourceFault>>;

impl ResourceHandler for BucketHandler {
    fn type_name(&self) -> &'static str {
        "AWS::S3::Bucket"
    }

    fn create<'a>(&'a self, request: &'a ResourceRequest) -> Outcome<'a, ResourceState> {
        Box::pin(async move {
            let cloud = &self.0.cloud;
            let name = match request.properties["BucketName"].as_str() {
                Some(name) => name.to_owned(),
                None => generated_name(request),
            };
            let mut record = BucketRecord {
                name: name.clone(),
                created: cloud.clock.now(),
                region: cloud.account.region.clone(),
                versioning: Versioning::Never,
                settings: Default::default(),
            };
            apply(&mut record, request)?;
            match self.0.create(record).await {
                Ok(()) => Ok(self.state(&name)),
                Err(Error::BucketAlreadyOwnedByYou(name)) => {
                    Err(ResourceFault::failed("AlreadyExists", format!("{name} already exists")))
                }
                Err(error) => Err(fault(error)),
            }
        })
    }

    fn update<'a>(&'a self, request: &'a ResourceRequest) -> Outcome<'a, ResourceState> {
        Box::pin(async move {
            let name = request.physical_id()?;
            if request.properties["BucketName"].as_str().is_some_and(|wanted| wanted != name) {
                return Err(ResourceFault::Replace);
            }
            let mut changed = self.0.read(name, |bucket| bucket.record.clone()).map_err(fault)?;
            let policy = changed.settings.remove(POLICY.name);
            let had_versions = changed.versioning != Versioning::Never;
            apply(&mut changed, request)?;
            // A bucket never forgets that it kept versions.
            if had_versions && changed.versioning == Versioning::Never {
                changed.versioning = Versioning::Suspended;
            }
            changed.settings.extend(policy.map(|policy| (POLICY.name.to_owned(), policy)));
            let change = |record: &mut BucketRecord| *record = changed;
            self.0.configure(name, change).await.map_err(fault)?;
            Ok(self.state(name))
        })
    }

    fn delete<'a>(&'a self, request: &'a ResourceRequest) -> Outcome<'a, ()> {
        Box::pin(async move {
            match self.0.delete_bucket(request.physical_id()?).await {
                Ok(()) | Err(Error::NoSuchBucket(_)) => Ok(()),
                Err(error) => Err(fault(error)),
            }
        })
    }
}

impl BucketHandler {
    fn state(&self, name: &str) -> ResourceState {
        let account = &self.0.cloud.account;
        let (region, suffix) = (&account.region, account.url_suffix());
        ResourceState::new(name)
            .with("Arn", format!("arn:{}:s3:::{name}", account.partition()))
            .with("DomainName", format!("{name}.s3.{suffix}"))
            .with("RegionalDomainName", format!("{name}.s3.{region}.{suffix}"))
            .with("DualStackDomainName", format!("{name}.s3.dualstack.{region}.{suffix}"))
            .with("WebsiteURL", format!("http://{name}.s3-website-{region}.{suffix}"))
    }
}

impl ResourceHandler for PolicyHandler {
    fn type_name(&self) -> &'static str {
        "AWS::S3::BucketPolicy"
    }

    fn create<'a>(&'a self, request: &'a ResourceRequest) -> Outcome<'a, ResourceState> {
        Box::pin(async move {
            let bucket = bucket_of(request)?;
            if self.0.setting(bucket, &POLICY).is_ok() {
                let reason = format!("the bucket {bucket} has a policy already");
                return Err(ResourceFault::failed("AlreadyExists", reason));
            }
            self.put(bucket, request).await
        })
    }

    fn update<'a>(&'a self, request: &'a ResourceRequest) -> Outcome<'a, ResourceState> {
        Box::pin(async move {
            let bucket = bucket_of(request)?;
            if request.physical_id()? != bucket {
                return Err(ResourceFault::Replace);
            }
            self.put(bucket, request).await
        })
    }

    fn delete<'a>(&'a self, request: &'a ResourceRequest) -> Outcome<'a, ()> {
        Box::pin(async move {
            match configuration::remove(&self.0, request.physical_id()?, &POLICY).await {
                Ok(()) | Err(Error::NoSuchBucket(_)) => Ok(()),
                Err(error) => Err(fault(error)),
            }
        })
    }
}

impl PolicyHandler {
    async fn put(
        &self,
        bucket: &str,
        request: &ResourceRequest,
    ) -> Result<ResourceState, ResourceFault> {
        let document = match &request.properties["PolicyDocument"] {
            Value::String(text) => text.clone(),
            document => document.to_string(),
        };
        configuration::set_policy(&self.0, bucket, &document).await.map_err(fault)?;
        Ok(ResourceState::new(bucket))
    }
}

fn bucket_of(request: &ResourceRequest) -> Result<&str, ResourceFault> {
    request.properties["Bucket"].as_str().ok_or_else(|| invalid("Bucket must be a bucket's name"))
}

/// Sets what the properties say; what they do not mention is as in a new bucket.
fn apply(record: &mut BucketRecord, request: &ResourceRequest) -> Result<(), ResourceFault> {
    let none = serde_json::Map::new();
    let properties = request.properties.as_object().unwrap_or(&none);
    record.settings.clear();
    record.versioning = Versioning::Never;
    configuration::defaults(record);
    let mut tags: Vec<Value> = Vec::new();
    for (name, value) in properties {
        match name.as_str() {
            // Access control lists are the owner's alone, whatever is asked.
            "BucketName" | "AccessControl" => {}
            "VersioningConfiguration" => {
                let status = value["Status"].as_str();
                record.versioning = configuration::versioning(status).map_err(fault)?;
            }
            "BucketEncryption" => set(record, &ENCRYPTION, encryption(value))?,
            "PublicAccessBlockConfiguration" => set(record, &PUBLIC_ACCESS, public_access(value))?,
            "OwnershipControls" => {
                let rules = items(&value["Rules"]).map(|rule| rule["ObjectOwnership"].clone());
                set(record, &OWNERSHIP, rules.collect())?;
            }
            "LifecycleConfiguration" => {
                let rules: Vec<Value> = items(&value["Rules"]).map(lifecycle_rule).collect();
                let rules = json!({ "rules": rules });
                check::<dto::BucketLifecycleConfiguration>(&rules)?;
                set(record, &LIFECYCLE, rules)?;
            }
            "CorsConfiguration" => {
                let rules: Vec<Value> = items(&value["CorsRules"]).map(cors_rule).collect();
                let rules = json!({ "cors_rules": rules });
                check::<dto::CORSConfiguration>(&rules)?;
                set(record, &CORS, rules)?;
            }
            "NotificationConfiguration" => {
                let notification = notification(value);
                check::<dto::NotificationConfiguration>(&notification)?;
                set(record, &NOTIFICATION, notification)?;
            }
            "Tags" => {
                let tag = |tag: &Value| json!({"key": tag["Key"], "value": tag["Value"]});
                tags.extend(items(value).map(tag));
            }
            other => {
                return Err(invalid(&format!("buckets of the local cloud take no {other}")));
            }
        }
    }
    for (key, value) in [
        ("aws:cloudformation:stack-name", request.stack_name.as_str()),
        ("aws:cloudformation:stack-id", request.stack_id.as_str()),
        ("aws:cloudformation:logical-id", request.logical_id.as_str()),
    ] {
        tags.push(json!({"key": key, "value": value}));
    }
    for (key, value) in &request.stack_tags {
        if !tags.iter().any(|tag| tag["key"] == key.as_str()) {
            tags.push(json!({"key": key, "value": value}));
        }
    }
    set(record, &TAGGING, json!({ "tag_set": tags }))
}

fn set(record: &mut BucketRecord, setting: &Setting, value: Value) -> Result<(), ResourceFault> {
    configuration::check(setting, &value).map_err(fault)?;
    let mut value = value;
    configuration::complete(setting, &mut value);
    record.settings.insert(setting.name.to_owned(), value);
    Ok(())
}

/// What is stored must be readable by the wire later.
fn check<T: serde::de::DeserializeOwned>(value: &Value) -> Result<(), ResourceFault> {
    serde_json::from_value::<T>(value.clone())
        .map(drop)
        .map_err(|error| invalid(&error.to_string()))
}

fn encryption(value: &Value) -> Value {
    let rule = |rule: &Value| {
        let default = &rule["ServerSideEncryptionByDefault"];
        json!({
            "apply_server_side_encryption_by_default": match default {
                Value::Null => Value::Null,
                default => json!({
                    "kms_master_key_id": default["KMSMasterKeyID"],
                    "sse_algorithm": default["SSEAlgorithm"],
                }),
            },
            "bucket_key_enabled": flag(&rule["BucketKeyEnabled"]),
        })
    };
    let rules: Vec<Value> = items(&value["ServerSideEncryptionConfiguration"]).map(rule).collect();
    json!({ "rules": rules })
}

fn public_access(value: &Value) -> Value {
    let asked = |name: &str| json!(flag(&value[name]).as_bool().unwrap_or(false));
    json!({
        "block_public_acls": asked("BlockPublicAcls"),
        "block_public_policy": asked("BlockPublicPolicy"),
        "ignore_public_acls": asked("IgnorePublicAcls"),
        "restrict_public_buckets": asked("RestrictPublicBuckets"),
    })
}

/// A rule of a lifecycle, with the older single forms of its actions.
fn lifecycle_rule(rule: &Value) -> Value {
    let transition = |transition: &Value| {
        json!({
            "date": transition["TransitionDate"],
            "days": number(&transition["TransitionInDays"]),
            "storage_class": transition["StorageClass"],
        })
    };
    let old_transition = |transition: &Value| {
        json!({
            "newer_noncurrent_versions": number(&transition["NewerNoncurrentVersions"]),
            "noncurrent_days": number(&transition["TransitionInDays"]),
            "storage_class": transition["StorageClass"],
        })
    };
    let list = |many: &str, one: &str, form: &dyn Fn(&Value) -> Value| {
        let single = Some(&rule[one]).filter(|single| !single.is_null());
        let all: Vec<Value> = items(&rule[many]).chain(single).map(form).collect();
        if all.is_empty() { Value::Null } else { Value::Array(all) }
    };
    let marker = flag(&rule["ExpiredObjectDeleteMarker"]);
    let (date, days) = (&rule["ExpirationDate"], number(&rule["ExpirationInDays"]));
    let expires = !(marker.is_null() && date.is_null() && days.is_null());
    let old = &rule["NoncurrentVersionExpiration"];
    let old_days = number(&old["NoncurrentDays"]);
    let old_days = match old_days {
        Value::Null => number(&rule["NoncurrentVersionExpirationInDays"]),
        days => days,
    };
    let abort = &rule["AbortIncompleteMultipartUpload"];
    json!({
        "id": rule["Id"],
        "status": rule["Status"],
        "prefix": if rule["Prefix"].is_null() { Value::Null } else { rule["Prefix"].clone() },
        "filter": if rule["Prefix"].is_null() { json!({"prefix": ""}) } else { Value::Null },
        "expiration": expires.then(|| json!({
            "date": date,
            "days": days,
            "expired_object_delete_marker": marker,
        })),
        "noncurrent_version_expiration": (!old_days.is_null()).then(|| json!({
            "newer_noncurrent_versions": number(&old["NewerNoncurrentVersions"]),
            "noncurrent_days": old_days,
        })),
        "noncurrent_version_transitions": list(
            "NoncurrentVersionTransitions",
            "NoncurrentVersionTransition",
            &old_transition,
        ),
        "transitions": list("Transitions", "Transition", &transition),
        "abort_incomplete_multipart_upload": (!abort.is_null()).then(|| json!({
            "days_after_initiation": number(&abort["DaysAfterInitiation"]),
        })),
    })
}

fn cors_rule(rule: &Value) -> Value {
    json!({
        "allowed_headers": rule["AllowedHeaders"],
        "allowed_methods": rule["AllowedMethods"],
        "allowed_origins": rule["AllowedOrigins"],
        "expose_headers": rule["ExposedHeaders"],
        "id": rule["Id"],
        "max_age_seconds": number(&rule["MaxAge"]),
    })
}

fn notification(value: &Value) -> Value {
    let list = |name: &str, target: &str, arn: &str| {
        let one = |one: &Value| {
            let rules: Vec<Value> = items(&one["Filter"]["S3Key"]["Rules"])
                .map(|rule| json!({"name": rule["Name"], "value": rule["Value"]}))
                .collect();
            let filter = (!rules.is_empty()).then(|| json!({"key": {"filter_rules": rules}}));
            let mut made = json!({"events": [one["Event"]], "filter": filter, "id": null});
            made[arn] = one[target].clone();
            made
        };
        let all: Vec<Value> = items(&value[name]).map(one).collect();
        if all.is_empty() { Value::Null } else { Value::Array(all) }
    };
    let bridge = &value["EventBridgeConfiguration"];
    let bridge = !bridge.is_null() && flag(&bridge["EventBridgeEnabled"]) != json!(false);
    json!({
        "event_bridge_configuration": bridge.then(|| json!({})),
        "lambda_function_configurations":
            list("LambdaConfigurations", "Function", "lambda_function_arn"),
        "queue_configurations": list("QueueConfigurations", "Queue", "queue_arn"),
        "topic_configurations": list("TopicConfigurations", "Topic", "topic_arn"),
    })
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Templates write numbers and flags as texts, too.
fn number(value: &Value) -> Value {
    match value {
        Value::String(text) => text.parse::<i64>().map_or(Value::Null, |number| json!(number)),
        other => other.clone(),
    }
}

fn flag(value: &Value) -> Value {
    match value.as_str() {
        Some("true") => json!(true),
        Some("false") => json!(false),
        _ => value.clone(),
    }
}

/// Bucket names are lower case, 63 characters at most, and hold no other signs.
fn generated_name(request: &ResourceRequest) -> String {
    let head = format!("{}-{}", request.stack_name, request.logical_id).to_ascii_lowercase();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let head: String = head.chars().map(plain).take(63 - 13).collect();
    format!("{}-{}", head.trim_matches('-'), id::capitals(12).to_ascii_lowercase())
}

fn invalid(reason: &str) -> ResourceFault {
    ResourceFault::failed("InvalidRequest", reason)
}

fn fault(error: Error) -> ResourceFault {
    iotstack_local_kernel::Fault::from(error).into()
}
