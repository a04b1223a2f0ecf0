//! What CloudFormation makes: job templates and jobs.
//!
//! The handlers are called as the engine calls them, with all intrinsics resolved.

use iotstack_local_kernel::{ResourceFault, ResourceRequest};
use serde_json::json;

use super::*;

fn request(type_name: &str, properties: Value) -> ResourceRequest {
    ResourceRequest {
        type_name: type_name.to_owned(),
        logical_id: "Update".to_owned(),
        stack_name: "stack".to_owned(),
        properties,
        ..ResourceRequest::default()
    }
}

#[tokio::test]
async fn a_job_template_is_made_and_removed() {
    let world = World::new();
    let handler = world.cloud.resource("AWS::IoT::JobTemplate").unwrap();
    let mut wanted = request(
        "AWS::IoT::JobTemplate",
        json!({
            "JobTemplateId": "t1", "Description": "d", "Document": "{}",
            "JobExecutionsRolloutConfig": {"MaximumPerMinute": "50", "ExponentialRolloutRate": {
                "BaseRatePerMinute": 10, "IncrementFactor": 2.0,
                "RateIncreaseCriteria": {"NumberOfSucceededThings": 5}}},
            "JobExecutionsRetryConfig": {"RetryCriteriaList": [{"FailureType": "ALL", "NumberOfRetries": 2}]},
            "AbortConfig": {"CriteriaList": [{"Action": "CANCEL", "FailureType": "FAILED",
                "MinNumberOfExecutedThings": 5, "ThresholdPercentage": 20}]},
            "TimeoutConfig": {"InProgressTimeoutInMinutes": 60},
            "PresignedUrlConfig": {"RoleArn": "arn:aws:iam::123456789012:role/r", "ExpiresInSec": 900},
            "MaintenanceWindows": [{"StartTime": "cron(0 20 * * ? *)", "DurationInMinutes": 60}],
            "Tags": [{"Key": "a", "Value": "b"}],
        }),
    );
    let state = handler.create(&wanted).await.unwrap();
    assert_eq!(state.physical_id, "t1");
    assert_eq!(state.attributes["Arn"], "arn:aws:iot:us-east-1:123456789012:jobtemplate/t1");
    let made = world.call("DescribeJobTemplate", json!({"jobTemplateId": "t1"})).await.unwrap();
    let rollout = &made["jobExecutionsRolloutConfig"];
    assert_eq!(rollout["maximumPerMinute"], 50);
    assert_eq!(rollout["exponentialRate"]["rateIncreaseCriteria"]["numberOfSucceededThings"], 5);
    assert_eq!(made["jobExecutionsRetryConfig"]["criteriaList"][0]["numberOfRetries"], 2);
    let again = handler.create(&wanted).await.unwrap_err();
    assert!(
        matches!(&again, ResourceFault::Failed { code, .. } if code == "ResourceConflict"),
        "{again}"
    );
    wanted.physical_id = Some("t1".to_owned());
    assert_eq!(handler.update(&wanted).await, Err(ResourceFault::Replace));
    handler.delete(&wanted).await.unwrap();
    handler.delete(&wanted).await.unwrap();
    assert!(world.call("DescribeJobTemplate", json!({"jobTemplateId": "t1"})).await.is_err());
}

#[tokio::test]
async fn a_job_is_made_changed_and_removed() {
    let world = World::new();
    let handler = world.cloud.resource("AWS::IoT::Job").unwrap();
    let target = "arn:aws:iot:us-east-1:123456789012:thing/lamp-1";
    let mut wanted = request(
        "AWS::IoT::Job",
        json!({"JobId": "j1", "Targets": [target],
        "Document": "{}", "TimeoutConfig": {"InProgressTimeoutInMinutes": 5}}),
    );
    let state = handler.create(&wanted).await.unwrap();
    assert_eq!(state.physical_id, "arn:aws:iot:us-east-1:123456789012:job/j1");
    wanted.physical_id = Some(state.physical_id);
    wanted.properties["TimeoutConfig"]["InProgressTimeoutInMinutes"] = json!(6);
    handler.update(&wanted).await.unwrap();
    let made = world.call("DescribeJob", json!({"jobId": "j1"})).await.unwrap();
    assert_eq!(made["job"]["timeoutConfig"]["inProgressTimeoutInMinutes"], 6);
    handler.delete(&wanted).await.unwrap();
    let made = world.call("DescribeJob", json!({"jobId": "j1"})).await.unwrap();
    assert_eq!(made["job"]["status"], "DELETION_IN_PROGRESS");
    let error =
        handler.create(&request("AWS::IoT::Job", json!({"Targets": []}))).await.unwrap_err();
    assert!(matches!(error, ResourceFault::Failed { .. }), "{error}");
}
