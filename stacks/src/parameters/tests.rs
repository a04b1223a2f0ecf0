//! Tests of the parameters: every mistake with the message that its author gets.

use serde_json::json;

use super::*;

fn read(parameters: Value) -> Result<Parameters, Error> {
    let Value::Object(parameters) = parameters else { panic!("parameters are an object") };
    Parameters::read(parameters)
}

#[track_caller]
fn refuses(parameters: Value, message: &str) {
    match read(parameters.clone()) {
        Ok(_) => panic!("{parameters} was accepted"),
        Err(error) => assert_eq!(error.to_string(), message, "{parameters}"),
    }
}

#[test]
fn every_parameter_has_a_default() {
    let parameters = read(json!({})).unwrap();
    assert_eq!(parameters.project, "firmware");
    assert_eq!(parameters.fleet.things("firmware", "dev"), Vec::<Option<String>>::new());
    assert_eq!(parameters.encryption, Encryption::S3);
    assert_eq!(parameters.retain, None);
}

#[test]
fn names_with_dots_reach_into_objects() {
    let parameters = read(json!({"fleet": {"count": 3}, "fleet.count": 5})).unwrap();
    assert_eq!(parameters.fleet.count, Some(5));
    let parameters = read(json!({"jobs.rollout.maximum_per_minute": 7})).unwrap();
    assert_eq!(parameters.jobs.rollout.maximum_per_minute, 7);
    refuses(
        json!({"project": "pumps", "project.name": "x"}),
        "parameter `project.name`: `project` is a value and has nothing inside",
    );
}

#[test]
fn things_are_counted_or_named() {
    let fleet = read(json!({"fleet": {"count": 2}})).unwrap().fleet;
    let names = ["pumps-dev-0001", "pumps-dev-0002"].map(|name| Some(name.to_owned()));
    assert_eq!(fleet.things("pumps", "dev"), names);
    let fleet = read(json!({"fleet": {"names": ["a", null, "b"]}})).unwrap().fleet;
    assert_eq!(fleet.things("pumps", "dev"), [Some("a".into()), None, Some("b".into())]);
}

#[test]
fn refuses_parameters_that_do_not_exist() {
    refuses(
        json!({"flete": {}}),
        "parameter `flete`: unknown field `flete`, expected one of `project`, `fleet`, `claim_provisioning`, \
         `signing`, `jobs`, `encryption`, `tier_old_versions_after_days`, \
         `expire_old_versions_after_days`, `retain`, `notify`, `failure_alarm_threshold`, \
         `manager_concurrency`, `log_retention_days`, `vpc`, `tags`, `bootstrap_qualifier`",
    );
    refuses(
        json!({"fleet.cuont": 3}),
        "parameter `fleet.cuont`: unknown field `cuont`, expected one of `count`, `names`, \
         `attributes`",
    );
}

#[test]
fn refuses_values_of_another_type() {
    for (parameters, message) in [
        (
            json!({"fleet": {"count": "three"}}),
            "parameter `fleet.count`: invalid type: string \"three\", expected a whole number \
             from 0 to 4294967295",
        ),
        (
            json!({"fleet": {"count": -1}}),
            "parameter `fleet.count`: invalid value: integer `-1`, expected a whole number from \
             0 to 4294967295",
        ),
        (
            json!({"fleet": {"names": "pump-1"}}),
            "parameter `fleet.names`: invalid type: string \"pump-1\", expected a list",
        ),
        (
            json!({"fleet": {"names": ["pump-1", 2]}}),
            "parameter `fleet.names[1]`: invalid type: integer `2`, expected a string",
        ),
        (json!({"fleet": 3}), "parameter `fleet`: invalid type: integer `3`, expected an object"),
        (json!({"tags": ["a"]}), "parameter `tags`: invalid type: list, expected an object"),
        (
            json!({"retain": "yes"}),
            "parameter `retain`: invalid type: string \"yes\", expected a boolean",
        ),
        (
            json!({"encryption": "aes"}),
            "parameter `encryption`: unknown variant `aes`, expected one of `s3`, `kms`, \
             `kms_key_arn`",
        ),
        (
            json!({"vpc": {"subnet_ids": ["subnet-1"]}}),
            "parameter `vpc`: missing field `security_group_ids`",
        ),
    ] {
        refuses(parameters, message);
    }
}

#[test]
fn refuses_fleets_that_cannot_be() {
    for (fleet, message) in [
        (
            json!({"count": 1, "names": ["pump-1"]}),
            "parameter `fleet`: has both `count` and `names`; expected one of them",
        ),
        (
            json!({"count": 800_001}),
            "parameter `fleet.count`: is 800001; expected at most 800000, which already needs \
             2000 stacks",
        ),
        (
            json!({"names": ["pump-1", null, "pump-2", "pump-1"]}),
            "parameter `fleet.names[3]`: `pump-1` is also `fleet.names[0]`",
        ),
        (
            json!({"names": ["pump 1"]}),
            "parameter `fleet.names[0]`: thing name `pump 1` is not valid: expected 1 to 128 of \
             the characters a-z, A-Z, 0-9, `:`, `_` and `-`",
        ),
        (
            json!({"attributes": {"a": "1", "b": "2", "c": "3", "d": "4"}}),
            "parameter `fleet.attributes`: has 4 entries; a thing has at most 3 until it has its \
             type",
        ),
    ] {
        refuses(json!({"fleet": fleet}), message);
    }
}

#[test]
fn refuses_names_that_aws_would_refuse() {
    for project in ["", "Pumps", "1pump", "pump-", "a-project-with-a-long-name"] {
        let message = format!(
            "parameter `project`: `{project}` is not valid; expected 1 to 24 of `a-z 0-9 -`, a \
             letter first and no `-` last"
        );
        refuses(json!({"project": project}), &message);
    }
    let error = check_environment_name("Dev").unwrap_err().to_string();
    assert_eq!(
        error,
        "parameter `environment`: `Dev` is not valid; expected 1 to 16 of `a-z 0-9 -`, a letter \
         first and no `-` last"
    );
    assert!(check_environment_name("staging").is_ok());
}

#[test]
fn refuses_job_settings_that_iot_would_refuse() {
    for (jobs, message) in [
        (
            json!({"rollout": {"maximum_per_minute": 1001}}),
            "parameter `jobs.rollout.maximum_per_minute`: is 1001; expected 1 to 1000",
        ),
        (
            json!({"in_progress_timeout_minutes": 10_081}),
            "parameter `jobs.in_progress_timeout_minutes`: is 10081; expected 1 to 10080",
        ),
        (
            json!({"presigned_url_expires_seconds": 59}),
            "parameter `jobs.presigned_url_expires_seconds`: is 59; expected 60 to 3600",
        ),
        (
            json!({"retries": [{"failure_type": "FAILED", "number_of_retries": 11}]}),
            "parameter `jobs.retries[0].number_of_retries`: is 11; expected 0 to 10",
        ),
        (
            json!({"abort": [{"failure_type": "ALL", "threshold_percentage": 0.0,
                              "min_number_of_executed_things": 1}]}),
            "parameter `jobs.abort[0].threshold_percentage`: is 0; expected above 0 to 100 with \
             at most two decimals",
        ),
        (
            json!({"abort": [{"failure_type": "BROKEN", "threshold_percentage": 1.0,
                              "min_number_of_executed_things": 1}]}),
            "parameter `jobs.abort[0].failure_type`: unknown variant `BROKEN`, expected one of \
             `FAILED`, `REJECTED`, `TIMED_OUT`, `ALL`",
        ),
        (
            json!({"timeout": 5}),
            "parameter `jobs.timeout`: unknown field `timeout`, expected one of `rollout`, \
             `abort`, `in_progress_timeout_minutes`, `retries`, `presigned_url_expires_seconds`",
        ),
    ] {
        refuses(json!({"jobs": jobs}), message);
    }
}

#[test]
fn refuses_mail_addresses_that_are_none() {
    for address in ["ops", "@example.com", "ops@example", "ops team@example.com"] {
        let message =
            format!("parameter `notify`: `{address}` is not a mail address; expected `NAME@HOST`");
        refuses(json!({"notify": ["good@example.com", address]}), &message);
    }
}

#[test]
fn refuses_numbers_out_of_range() {
    for name in [
        "tier_old_versions_after_days",
        "failure_alarm_threshold",
        "log_retention_days",
        "manager_concurrency",
    ] {
        refuses(json!({name: 0}), &format!("parameter `{name}`: must be at least 1"));
    }
    let message = "parameter `expire_old_versions_after_days`: is 30; expected more than \
                   `tier_old_versions_after_days`, 30, or `null`";
    refuses(json!({"expire_old_versions_after_days": 30}), message);
    assert!(read(json!({"expire_old_versions_after_days": null})).is_ok());
    assert!(read(json!({"manager_concurrency": null})).is_ok());
}

#[test]
fn refuses_ids_and_arns_of_something_else() {
    for (parameters, message) in [
        (
            json!({"signing": {"certificate_arn": "arn:aws:iam::1:role/x"}}),
            "parameter `signing.certificate_arn`: `arn:aws:iam::1:role/x` is not the ARN of a \
             certificate; expected `arn:aws:acm:REGION:ACCOUNT:certificate/ID`",
        ),
        (
            json!({"signing": {"validity_days": 0}}),
            "parameter `signing.validity_days`: is 0; expected 1 to 36500",
        ),
        (
            json!({"encryption": {"kms_key_arn": "alias/firmware"}}),
            "parameter `encryption.kms_key_arn`: `alias/firmware` is not the ARN of a KMS key; \
             expected `arn:aws:kms:REGION:ACCOUNT:key/ID`",
        ),
        (
            json!({"vpc": {"subnet_ids": ["vpc-1"], "security_group_ids": ["sg-1"]}}),
            "parameter `vpc.subnet_ids`: `vpc-1` is not valid; expected `subnet-…`",
        ),
        (
            json!({"vpc": {"subnet_ids": ["subnet-1"], "security_group_ids": []}}),
            "parameter `vpc.security_group_ids`: is empty; expected at least one `sg-…`",
        ),
    ] {
        refuses(parameters, message);
    }
}
