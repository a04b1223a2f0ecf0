//! Names that AWS keeps for itself.
//!
//! Tags that begin with `aws:`, bucket names with reserved beginnings and ends, and
//! environment variables that Lambda sets.

use iotstack_assembly::intrinsic::Trail;
use serde_json::Value;

use crate::value::{branches, choices};
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Reserved;

impl Rule for Reserved {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&RESERVED_TAG, &RESERVED_NAME, &RESERVED_VARIABLE]
    }

    fn types(&self) -> Types {
        Types::All
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        _: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let is_aws = resource.resource.kind.starts_with("AWS::");
        if is_aws && let Some(tags) = resource.property("Tags") {
            judge_tags(tags, &resource.properties.key("Tags"), findings);
        }
        match resource.resource.kind.as_str() {
            "AWS::S3::Bucket" => bucket(resource, findings),
            "AWS::Lambda::Function" => variables(resource, findings),
            _ => {}
        }
    }
}

fn judge_tags(tags: &Value, trail: &Trail<'_>, findings: &mut Findings<'_>) {
    let mut judge = |key: &str, trail: &Trail<'_>| {
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            findings.add(
                &RESERVED_TAG,
                trail,
                format!("tag `{key}` begins with `aws:`, which is reserved"),
            );
        }
    };
    match tags {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(key) = item.get("Key").and_then(Value::as_str) {
                    judge(key, &trail.item(index));
                }
            }
        }
        Value::Object(map) => map.keys().for_each(|key| judge(key, &trail.key(key))),
        _ => {}
    }
}

fn bucket(resource: &ResourceSubject<'_>, findings: &mut Findings<'_>) {
    let Some(name) = resource.property("BucketName") else { return };
    branches(name, &resource.properties.key("BucketName"), &mut |value, trail| {
        let Some(name) = value.as_str() else { return };
        let start = BUCKET_STARTS.iter().find(|start| name.starts_with(**start));
        let end = BUCKET_ENDS.iter().find(|end| name.ends_with(**end));
        let message = if let Some(start) = start {
            format!("bucket name `{name}` begins with `{start}`, which is reserved")
        } else if let Some(end) = end {
            format!("bucket name `{name}` ends with `{end}`, which is reserved")
        } else if name.parse::<std::net::Ipv4Addr>().is_ok() {
            format!("bucket name `{name}` has the form of an IP address")
        } else if name.contains("..") {
            format!("bucket name `{name}` has two dots in a row")
        } else {
            return;
        };
        findings.add(&RESERVED_NAME, trail, message);
    });
}

fn variables(resource: &ResourceSubject<'_>, findings: &mut Findings<'_>) {
    let Some(environment) = resource.property("Environment") else { return };
    let trail = resource.properties.key("Environment");
    let Some(Value::Object(variables)) = environment.get("Variables") else { return };
    let trail = trail.key("Variables");
    for name in variables.keys() {
        if VARIABLES.contains(&name.as_str()) {
            findings.advise(
                &RESERVED_VARIABLE,
                &trail.key(name),
                format!("Lambda sets the environment variable `{name}` itself"),
                format!("reserved are {}", choices(VARIABLES)),
            );
        }
    }
}

const BUCKET_STARTS: &[&str] = &["xn--", "sthree-", "amzn-s3-demo-"];
const BUCKET_ENDS: &[&str] = &["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

const VARIABLES: &[&str] = &[
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
];

static RESERVED_TAG: Code = Code::error(
    "reserved-tag",
    "Tags whose key begins with `aws:`, in any case, are set by AWS only. A resource that brings \
     one is refused.",
);

static RESERVED_NAME: Code = Code::error(
    "reserved-name",
    "S3 keeps some beginnings and ends of bucket names for access points and other things, and \
     refuses names that look like an IP address or have two dots in a row.",
);

static RESERVED_VARIABLE: Code = Code::error(
    "reserved-variable",
    "Lambda sets these environment variables itself and refuses a function that brings one.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::json;

    #[test]
    fn accepts_names_of_ones_own() {
        clean(&resource(
            "AWS::S3::Bucket",
            json!({"BucketName": "my-firmware", "Tags": [{"Key": "aws", "Value": "x"}]}),
        ));
    }

    #[test]
    fn finds_reserved_tags_and_names() {
        let tagged = json!({"Tags": [{"Key": "AWS:x", "Value": "y"}]});
        has_codes(&resource("AWS::SNS::Topic", tagged), &["reserved-tag"]);
        for name in ["xn--a", "a--ol-s3", "10.0.0.1", "a..b"] {
            let found = resource("AWS::S3::Bucket", json!({ "BucketName": name }));
            assert!(found.iter().any(|found| found.code == "reserved-name"), "{name}");
        }
    }

    #[test]
    fn finds_variables_that_lambda_sets() {
        let found = resource(
            "AWS::Lambda::Function",
            json!({"Code": {"ZipFile": "x"}, "Role": "arn:aws:iam::123456789012:role/r",
                "Environment": {"Variables": {"AWS_REGION": "x", "STAGE": "dev"}}}),
        );
        assert_eq!(
            only(&found),
            "reserved-variable Resources/A/Properties/Environment/Variables/AWS_REGION: \
             Lambda sets the environment variable `AWS_REGION` itself"
        );
    }
}
