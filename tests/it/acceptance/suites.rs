//! Test suites that others wrote: gmqtt's of a broker, moto's of the services of AWS.
//!
//! They say what clients expect, beyond what we thought of. Where they expect something
//! else than AWS does, or than the local cloud offers, `judge/suites.json` says so for each
//! test, by its reason. A test that fails and is not listed fails here, and so does one
//! that is listed and passes. Suites of what the local cloud does not offer at all are not
//! run, nor those that no package registry has, such as the ones of the Paho project.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::judge::cloud::Cloud;
use crate::judge::{self, install};

/// Tests that fail for one reason.
#[derive(Deserialize)]
struct Listed {
    reason: String,
    tests: Vec<String>,
}

#[test]
fn the_suite_of_gmqtt_passes_over_mutual_tls() {
    let cloud = Cloud::ours(&["--standard-mqtt"]);
    let order = json!({
        "endpoint": cloud.endpoint(),
        "host": "localhost",
        "port": cloud.mqtt().unwrap(),
        "authority": cloud.authority(),
        "source": install::source("gmqtt-0.8.0"),
    });
    let outcomes: BTreeMap<_, _> = judge::found(start("gmqtt_suite.py", &order));
    assert!(outcomes.len() > 12, "only {} tests were run", outcomes.len());
    compare("gmqtt", &outcomes);
}

#[test]
fn the_suites_of_moto_pass_except_where_it_is_known_why() {
    let source = install::source("moto-5.2.5");
    // In two shares at a time: each starts a cloud per test, and waits for it most of the time.
    let running = [0, 1].map(|share| {
        let tests: Vec<_> = MOTO.iter().skip(share).step_by(2).collect();
        let program = env!("CARGO_BIN_EXE_iotstack");
        start("moto_suite.py", &json!({"program": program, "source": source, "tests": tests}))
    });
    let outcomes: BTreeMap<String, String> =
        running.into_iter().flat_map(judge::found::<BTreeMap<_, _>>).collect();
    assert!(outcomes.len() > 2000, "only {} tests were run", outcomes.len());
    compare("moto", &outcomes);
}

/// Compares outcomes with what is listed for a suite.
fn compare(suite: &str, outcomes: &BTreeMap<String, String>) {
    let mut listed: BTreeMap<String, Vec<Listed>> =
        serde_json::from_str(include_str!("../judge/suites.json")).unwrap();
    let listed = listed.remove(suite).unwrap();
    assert!(listed.iter().all(|cause| !cause.reason.is_empty()));
    let mut known = BTreeSet::new();
    for test in listed.iter().flat_map(|cause| &cause.tests) {
        assert!(known.insert(test), "`{test}` is listed twice");
    }
    let failed: BTreeMap<&String, &String> = outcomes
        .iter()
        .filter(|(_, outcome)| !matches!(outcome.as_str(), "passed" | "skipped"))
        .collect();
    let new: Vec<_> = failed.iter().filter(|(test, _)| !known.contains(*test)).collect();
    let gone: Vec<_> = known.iter().filter(|test| !failed.contains_key(**test)).collect();
    assert!(new.is_empty() && gone.is_empty(), "new: {new:#?}\nlisted and gone: {gone:#?}");
}

fn start(script: &str, order: &Value) -> Child {
    judge::start(judge::script(script).stderr(Stdio::null()), order)
}

/// The suites of moto that apply.
const MOTO: &[&str] = &[
    "test_acm/test_acm.py",
    "test_awslambda/test_lambda.py",
    "test_awslambda/test_lambda_alias.py",
    "test_awslambda/test_lambda_concurrency.py",
    "test_awslambda/test_lambda_eventsourcemapping.py",
    "test_awslambda/test_lambda_policy.py",
    "test_awslambda/test_lambda_tags.py",
    "test_cloudformation/test_cloudformation_nested_stacks.py",
    "test_cloudformation/test_cloudformation_stack_integration.py",
    "test_cloudformation/test_conditions.py",
    "test_cloudformation/test_validate.py",
    "test_cloudwatch/test_cloudwatch.py",
    "test_cloudwatch/test_cloudwatch_alarms.py",
    "test_cloudwatch/test_cloudwatch_dashboards.py",
    "test_cloudwatch/test_cloudwatch_expressions.py",
    "test_cloudwatch/test_cloudwatch_tags.py",
    "test_dynamodb/exceptions/test_dynamodb_exceptions.py",
    "test_dynamodb/exceptions/test_dynamodb_transactions.py",
    "test_dynamodb/exceptions/test_key_length_exceptions.py",
    "test_dynamodb/test_dynamodb.py",
    "test_dynamodb/test_dynamodb_batch_get_item.py",
    "test_dynamodb/test_dynamodb_batch_write.py",
    "test_dynamodb/test_dynamodb_cloudformation.py",
    "test_dynamodb/test_dynamodb_condition_expressions.py",
    "test_dynamodb/test_dynamodb_consumedcapacity.py",
    "test_dynamodb/test_dynamodb_create_table.py",
    "test_dynamodb/test_dynamodb_multi_attribute_gsi.py",
    "test_dynamodb/test_dynamodb_query.py",
    "test_dynamodb/test_dynamodb_scan.py",
    "test_dynamodb/test_dynamodb_select.py",
    "test_dynamodb/test_dynamodb_statements.py",
    "test_dynamodb/test_dynamodb_table_with_range_key.py",
    "test_dynamodb/test_dynamodb_table_without_range_key.py",
    "test_dynamodb/test_dynamodb_transact.py",
    "test_dynamodb/test_dynamodb_update_expressions.py",
    "test_dynamodb/test_dynamodb_update_table.py",
    "test_events/test_event_pattern.py",
    "test_events/test_events.py",
    "test_events/test_events_cloudformation.py",
    "test_events/test_events_integration.py",
    "test_iam/test_iam.py",
    "test_iam/test_iam_cloudformation.py",
    "test_iam/test_iam_policies.py",
    "test_iam/test_iam_response_attributes.py",
    "test_iot/test_iot.py",
    "test_iot/test_iot_billing_groups.py",
    "test_iot/test_iot_ca_certificates.py",
    "test_iot/test_iot_certificates.py",
    "test_iot/test_iot_cloudformation.py",
    "test_iot/test_iot_deprecate_thing_type.py",
    "test_iot/test_iot_indexing_configuration.py",
    "test_iot/test_iot_integration.py",
    "test_iot/test_iot_job_executions.py",
    "test_iot/test_iot_job_templates.py",
    "test_iot/test_iot_jobs.py",
    "test_iot/test_iot_policies.py",
    "test_iot/test_iot_rolealias.py",
    "test_iot/test_iot_search.py",
    "test_iot/test_iot_thing_groups.py",
    "test_iot/test_iot_thing_types.py",
    "test_iot/test_iot_things.py",
    "test_iot/test_iot_topic_rules.py",
    "test_iotdata/test_iotdata.py",
    "test_kms/test_kms.py",
    "test_kms/test_kms_cloudformation.py",
    "test_kms/test_kms_encrypt.py",
    "test_logs/test_logs.py",
    "test_logs/test_logs_cloudformation.py",
    "test_logs/test_logs_filter_log_events.py",
    "test_logs/test_logs_metric_filters.py",
    "test_logs/test_logs_tags.py",
    "test_s3/test_s3.py",
    "test_s3/test_s3_bucket_policy.py",
    "test_s3/test_s3_classdecorator.py",
    "test_s3/test_s3_cloudformation.py",
    "test_s3/test_s3_conditionals.py",
    "test_s3/test_s3_content_encoding.py",
    "test_s3/test_s3_copyobject.py",
    "test_s3/test_s3_encryption.py",
    "test_s3/test_s3_lambda_integration.py",
    "test_s3/test_s3_lifecycle.py",
    "test_s3/test_s3_list_object_versions.py",
    "test_s3/test_s3_list_objects.py",
    "test_s3/test_s3_metadata.py",
    "test_s3/test_s3_multipart.py",
    "test_s3/test_s3_notifications.py",
    "test_s3/test_s3_object_attributes.py",
    "test_s3/test_s3_ownership.py",
    "test_s3/test_s3_presigned_url.py",
    "test_s3/test_s3_response_headers.py",
    "test_s3/test_s3_storageclass.py",
    "test_s3/test_s3_tagging.py",
    "test_secretsmanager/test_list_secrets.py",
    "test_secretsmanager/test_policy.py",
    "test_secretsmanager/test_secretsmanager.py",
    "test_signer/test_signing_platforms.py",
    "test_signer/test_signing_profiles.py",
    "test_sns/test_publish_batch.py",
    "test_sns/test_publishing.py",
    "test_sns/test_server.py",
    "test_sns/test_sns_cloudformation.py",
    "test_sns/test_subscriptions.py",
    "test_sns/test_topics.py",
    "test_sqs/test_sqs.py",
    "test_sqs/test_sqs_cloudformation.py",
    "test_sqs/test_sqs_message_attributes.py",
    "test_ssm/test_ssm.py",
    "test_ssm/test_ssm_parameterstore.py",
    "test_ssm/test_ssm_parameterstore_cloudformation.py",
    "test_sts/test_sts.py",
];
