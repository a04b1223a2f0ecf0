//! Tests of the firmware manager: the four actions, and everything it refuses.

use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;
use crate::testing::{Cloud, Reply, invocation, lambda_variables};

const IMAGE: &[u8] = b"firmware image 1.1.0";
const GROUP: &str = "arn:aws:iot:eu-central-1:123456789012:thinggroup/lamps";
const JOB: &str = "firmware-1-1-0-8f14e45f";
const JOB_ARN: &str = "arn:aws:iot:eu-central-1:123456789012:job/firmware-1-1-0-8f14e45f";

fn variables() -> Vec<(&'static str, &'static str)> {
    let mut variables = lambda_variables();
    variables.extend([
        ("FIRMWARE_BUCKET", "firmware-dev"),
        ("PRESIGN_ROLE_ARN", "arn:aws:iam::123456789012:role/presign"),
        ("SIGNING_PROFILE_NAME", "firmware_dev_0a1b2c3d"),
        ("CERTIFICATE_NAME", "signer.pem"),
        ("JOB_ID_PREFIX", "firmware"),
        ("JOB_SETTINGS", "{}"),
    ]);
    variables
}

fn function(cloud: &Cloud, variables: &[(&str, &str)]) -> FirmwareManager {
    let environment = Environment::of(variables);
    FirmwareManager::new(&environment, &cloud.aws(&environment)).unwrap()
}

/// Asks, and returns the status code and the body.
async fn ask(cloud: &Cloud, event: Value) -> (u64, Value) {
    ask_with(cloud, &variables(), event).await
}

async fn ask_with(cloud: &Cloud, variables: &[(&str, &str)], event: Value) -> (u64, Value) {
    let answer = function(cloud, variables).call(event, invocation()).await.unwrap();
    let body = answer["body"].as_str().unwrap();
    (answer["statusCode"].as_u64().unwrap(), serde_json::from_str(body).unwrap())
}

/// The code and the message of a refusal.
fn error(body: &Value) -> (&str, &str) {
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default();
    (text("code"), text("message"))
}

fn order() -> Value {
    json!({
        "action": "create_job",
        "firmware_version": "1.1.0",
        "thing_group": "lamps",
        "s3_bucket": "firmware-dev",
        "s3_key": "lamp.bin",
    })
}

fn signature(size: usize) -> Value {
    json!({
        "rawPayloadSize": size,
        "signature": "MEUCIQD0+/8=",
        "signatureAlgorithm": "SHA256withECDSA",
        "payloadLocation":
            { "s3": { "bucketName": "firmware-dev", "key": "lamp.bin", "version": "v1" } },
    })
}

fn signing_job(id: &str, created: i64, change: Value) -> Value {
    let mut job = json!({
        "jobId": id,
        "createdAt": created,
        "status": "Succeeded",
        "isRevoked": false,
        "profileName": "firmware_dev_0a1b2c3d",
        "source": { "s3": { "bucketName": "firmware-dev", "key": "lamp.bin", "version": "v1" } },
        "signedObject": { "s3": { "bucketName": "firmware-dev", "key": format!("signed/{id}") } },
    });
    for (name, value) in change.as_object().cloned().unwrap_or_default() {
        job[name] = value;
    }
    job
}

/// A cloud with a signed image; routes that are added before win.
fn with_firmware(cloud: &Cloud) {
    let size = IMAGE.len().to_string();
    let head = Reply::empty(200).header("x-amz-version-id", "v1").header("content-length", &size);
    cloud.otherwise("HEAD", "/lamp.bin", head);
    cloud.otherwise("GET", "/lamp.bin", Reply::bytes(200, IMAGE));
    let jobs = json!({ "jobs": [signing_job("s1", 1, json!({}))] });
    cloud.otherwise("GET", "/signing-jobs", Reply::json(200, jobs));
    cloud.otherwise("GET", "/signed/", Reply::json(200, signature(IMAGE.len())));
    let group = json!({ "thingGroupName": "lamps", "thingGroupArn": GROUP });
    cloud.otherwise("GET", "/thing-groups/lamps", Reply::json(200, group));
    let created = json!({ "jobArn": JOB_ARN, "jobId": JOB });
    cloud.otherwise("PUT", "/jobs/", Reply::json(200, created));
}

fn ready() -> Cloud {
    let cloud = Cloud::new();
    with_firmware(&cloud);
    cloud
}

fn document() -> Value {
    let digest: String = Sha256::digest(IMAGE).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "version": "1.0",
        "operation": "firmware_update",
        "firmware": {
            "version": "1.1.0",
            "url": "${aws:iot:s3-presigned-url-v2:https://firmware-dev.s3.eu-central-1.\
                    amazonaws.com/lamp.bin%3FversionId%3Dv1}",
            "size": IMAGE.len(),
            "sha256": digest,
            "signature": {
                "algorithm": "SHA256withECDSA",
                "value": "MEUCIQD0+/8=",
                "certificate": "signer.pem",
            },
        },
    })
}

#[tokio::test(start_paused = true)]
async fn creates_a_job_with_document_and_settings() {
    let cloud = ready();
    let (status, body) = ask(&cloud, order()).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["job_id"], JOB);
    assert_eq!(body["job_arn"], JOB_ARN);
    assert_eq!(body["created"], true);
    assert_eq!(body["signing_job_id"], "s1");
    assert_eq!(body["s3_version_id"], "v1");

    let requests = cloud.asked("PUT", "/jobs/");
    assert!(requests[0].uri.ends_with(&format!("/jobs/{JOB}")), "{requests:?}");
    let mut request = requests[0].json();
    let text = request["document"].take();
    assert_eq!(serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap(), document());
    assert_eq!(
        request,
        json!({
            "document": null,
            "targets": [GROUP],
            "targetSelection": "SNAPSHOT",
            "presignedUrlConfig":
                { "roleArn": "arn:aws:iam::123456789012:role/presign", "expiresInSec": 900 },
            "jobExecutionsRolloutConfig": {
                "maximumPerMinute": 1000,
                "exponentialRate": {
                    "baseRatePerMinute": 10,
                    "incrementFactor": 2.0,
                    "rateIncreaseCriteria": { "numberOfSucceededThings": 50 },
                },
            },
            "abortConfig": { "criteriaList": [
                { "failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 20.0,
                  "minNumberOfExecutedThings": 10 },
                { "failureType": "FAILED", "action": "CANCEL", "thresholdPercentage": 5.0,
                  "minNumberOfExecutedThings": 100 },
            ]},
            "timeoutConfig": { "inProgressTimeoutInMinutes": 60 },
            "jobExecutionsRetryConfig": { "criteriaList": [
                { "failureType": "FAILED", "numberOfRetries": 1 },
                { "failureType": "TIMED_OUT", "numberOfRetries": 2 },
            ]},
        })
    );
}

#[tokio::test(start_paused = true)]
async fn reads_exactly_the_version_that_was_signed() {
    let cloud = ready();
    ask(&cloud, order()).await;
    let read = cloud.asked("GET", "/lamp.bin");
    assert_eq!(read.len(), 1);
    assert!(read[0].uri.contains("versionId=v1"), "{read:?}");
}

#[tokio::test(start_paused = true)]
async fn passes_on_what_the_caller_chooses() {
    let cloud = ready();
    let mut event = order();
    event["job_id"] = "firmware-my-job".into();
    event["s3_version_id"] = "v1".into();
    event["signed_object_key"] = "signed/s1".into();
    event["target_selection"] = "CONTINUOUS".into();
    event["description"] = "night shift".into();
    let (status, body) = ask(&cloud, event).await;
    assert_eq!(status, 200, "{body}");
    assert!(cloud.asked("HEAD", "/lamp.bin")[0].uri.contains("versionId=v1"));
    // The search is left out.
    assert!(cloud.asked("GET", "/signing-jobs").is_empty());
    let created = &cloud.asked("PUT", "/jobs/firmware-my-job")[0].json();
    assert_eq!(created["targetSelection"], "CONTINUOUS");
    assert_eq!(created["description"], "night shift");
}

#[tokio::test(start_paused = true)]
async fn leaves_out_settings_that_are_switched_off() {
    let mut variables = variables();
    variables.push((
        "JOB_SETTINGS",
        r#"{"rollout":{"maximum_per_minute":7},"abort":[],"retries":[],
            "in_progress_timeout_minutes":null,"presigned_url_expires_seconds":60}"#,
    ));
    let cloud = ready();
    let (status, body) = ask_with(&cloud, &variables, order()).await;
    assert_eq!(status, 200, "{body}");
    let request = cloud.asked("PUT", "/jobs/")[0].json();
    assert_eq!(request["jobExecutionsRolloutConfig"], json!({ "maximumPerMinute": 7 }));
    for name in ["abortConfig", "timeoutConfig", "jobExecutionsRetryConfig"] {
        assert!(request.get(name).is_none(), "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_can_bring_the_settings_of_its_job() {
    let cloud = ready();
    let mut event = order();
    event["job_settings"] = json!({
        "rollout": { "maximum_per_minute": 7 },
        "abort": [],
        "in_progress_timeout_minutes": 5,
        "retries": [{ "failure_type": "ALL", "number_of_retries": 3 }],
        "presigned_url_expires_seconds": 60,
    });
    let (status, body) = ask(&cloud, event).await;
    assert_eq!(status, 200, "{body}");
    let request = cloud.asked("PUT", "/jobs/")[0].json();
    assert_eq!(request["jobExecutionsRolloutConfig"], json!({ "maximumPerMinute": 7 }));
    assert_eq!(request.get("abortConfig"), None);
    assert_eq!(request["timeoutConfig"], json!({ "inProgressTimeoutInMinutes": 5 }));
    assert_eq!(
        request["jobExecutionsRetryConfig"],
        json!({ "criteriaList": [{ "failureType": "ALL", "numberOfRetries": 3 }] })
    );
    assert_eq!(request["presignedUrlConfig"]["expiresInSec"], 60);
}

#[tokio::test(start_paused = true)]
async fn finds_the_newest_good_signature_on_any_page() {
    let cloud = Cloud::new();
    let other_version =
        json!({ "s3": { "bucketName": "firmware-dev", "key": "lamp.bin", "version": "v0" } });
    let other_bucket = json!({ "s3": { "bucketName": "elsewhere", "key": "signed/x" } });
    let first = json!({ "nextToken": "n", "jobs": [
        signing_job("other-profile", 90, json!({ "profileName": "firmware_prod_0a1b2c3d" })),
        signing_job("other-version", 80, json!({ "source": other_version })),
        signing_job("revoked", 70, json!({ "isRevoked": true })),
        signing_job("failed", 60, json!({ "status": "Failed" })),
        signing_job("unreadable", 50, json!({ "signedObject": other_bucket })),
        signing_job("old", 10, json!({})),
    ]});
    let second = json!({ "jobs": [
        signing_job("newest", 30, json!({})),
        signing_job("older", 20, json!({})),
    ]});
    cloud.on("GET", "nextToken=n", Reply::json(200, second));
    cloud.on("GET", "/signing-jobs", Reply::json(200, first));
    with_firmware(&cloud);
    let (status, body) = ask(&cloud, order()).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["signed_object_key"], "signed/newest");
    assert_eq!(body["signing_job_id"], "newest");
    assert_eq!(cloud.asked("GET", "/signed/newest").len(), 1);
    let asked = &cloud.asked("GET", "/signing-jobs")[0].uri;
    assert!(asked.contains("status=Succeeded") && asked.contains("isRevoked=false"), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn says_how_to_sign_what_is_not_signed() {
    let cloud = Cloud::new();
    cloud.on("GET", "/signing-jobs", Reply::json(200, json!({ "jobs": [] })));
    with_firmware(&cloud);
    let (status, body) = ask(&cloud, order()).await;
    assert_eq!((status, error(&body).0), (409, "FirmwareNotSigned"));
    assert_eq!(
        body["error"]["command"],
        "aws signer start-signing-job --region eu-central-1 --profile-name \
         firmware_dev_0a1b2c3d --source '{\"s3\":{\"bucketName\":\"firmware-dev\",\
         \"key\":\"lamp.bin\",\"version\":\"v1\"}}' --destination \
         '{\"s3\":{\"bucketName\":\"firmware-dev\",\"prefix\":\"signed/\"}}'"
    );
    assert!(error(&body).1.contains("aws signer start-signing-job"), "{body}");
    assert!(cloud.asked("PUT", "/jobs/").is_empty());
}

#[tokio::test(start_paused = true)]
async fn refuses_the_signature_of_other_bytes() {
    let mut wrong_size = signature(IMAGE.len());
    wrong_size["rawPayloadSize"] = 7.into();
    let mut wrong_version = signature(IMAGE.len());
    wrong_version["payloadLocation"]["s3"]["version"] = "v0".into();
    let mut wrong_algorithm = signature(IMAGE.len());
    wrong_algorithm["signatureAlgorithm"] = "SHA1withRSA".into();
    for (reply, expected) in [
        (wrong_size, "`rawPayloadSize` has the value `7`"),
        (wrong_version, "`payloadLocation.s3.version` has the value `v0`"),
        (wrong_algorithm, "signature algorithm `SHA1withRSA` is not known"),
        (json!({ "no": "signature" }), "detached signature is not valid"),
    ] {
        let cloud = Cloud::new();
        cloud.on("GET", "/signed/", Reply::json(200, reply));
        with_firmware(&cloud);
        let (status, body) = ask(&cloud, order()).await;
        assert_eq!((status, error(&body).0), (409, "SignatureDoesNotFit"), "{body}");
        assert!(error(&body).1.contains(expected), "{body}");
        assert!(cloud.asked("PUT", "/jobs/").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_an_image_in_place_of_a_signature() {
    let cloud = Cloud::new();
    cloud.on("GET", "/signed/", Reply::bytes(200, vec![0; 20_000]));
    with_firmware(&cloud);
    let (status, body) = ask(&cloud, order()).await;
    assert_eq!((status, error(&body).0), (409, "SignatureDoesNotFit"));
    assert!(error(&body).1.contains("has 20000 bytes"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn refuses_another_bucket() {
    let cloud = ready();
    let mut event = order();
    event["s3_bucket"] = "somebody-elses".into();
    let (status, body) = ask(&cloud, event).await;
    assert_eq!(status, 400);
    assert_eq!(
        error(&body),
        (
            "InvalidRequest",
            "`s3_bucket` is `somebody-elses`: expected `firmware-dev`, the firmware bucket of \
             this stack"
        )
    );
    assert!(cloud.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn refuses_firmware_that_is_not_there_or_has_no_version() {
    for (reply, expected) in [
        (Reply::empty(404), (404, "FirmwareNotFound")),
        (Reply::empty(403), (502, "AccessDenied")),
        (Reply::empty(200).header("content-length", "5"), (409, "FirmwareNotVersioned")),
        (
            Reply::empty(200).header("content-length", "5").header("x-amz-version-id", "null"),
            (409, "FirmwareNotVersioned"),
        ),
        (
            Reply::empty(200).header("content-length", "0").header("x-amz-version-id", "v1"),
            (400, "InvalidRequest"),
        ),
    ] {
        let cloud = Cloud::new();
        cloud.on("HEAD", "/lamp.bin", reply);
        with_firmware(&cloud);
        let (status, body) = ask(&cloud, order()).await;
        assert_eq!((status, error(&body).0), expected, "{body}");
        assert!(cloud.asked("PUT", "/jobs/").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_a_group_that_does_not_exist() {
    let cloud = Cloud::new();
    let missing = Reply::error(404, "ResourceNotFoundException", "no");
    cloud.on("GET", "/thing-groups/lamps", missing);
    with_firmware(&cloud);
    let (status, body) = ask(&cloud, order()).await;
    assert_eq!(status, 404);
    assert_eq!(error(&body), ("ThingGroupNotFound", "there is no thing group `lamps`"));
}

#[tokio::test(start_paused = true)]
async fn refuses_a_document_over_the_limit() {
    let name = "x".repeat(33_000);
    let mut variables = variables();
    variables.push(("CERTIFICATE_NAME", &name));
    let cloud = ready();
    let (status, body) = ask_with(&cloud, &variables, order()).await;
    assert_eq!((status, error(&body).0), (400, "DocumentTooLarge"));
    assert!(error(&body).1.ends_with("AWS IoT Jobs accepts at most 32768"), "{body}");
    assert!(cloud.asked("PUT", "/jobs/").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_finds_the_first_job() {
    let cloud = Cloud::new();
    let exists = Reply::error(409, "ResourceAlreadyExistsException", "exists");
    cloud.on("PUT", "/jobs/", exists);
    let existing = json!({ "document": document().to_string() });
    cloud.on("GET", "/job-document", Reply::json(200, existing));
    let job = json!({ "job": { "jobId": JOB, "jobArn": JOB_ARN, "targets": [GROUP] } });
    cloud.on("GET", "/jobs/", Reply::json(200, job));
    with_firmware(&cloud);
    let (status, body) = ask(&cloud, order()).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["job_id"], JOB);
    assert_eq!(body["job_arn"], JOB_ARN);
    assert_eq!(body["created"], false);
}

#[tokio::test(start_paused = true)]
async fn refuses_an_id_that_another_job_has() {
    for (document, target) in [
        (json!({ "version": "2" }), GROUP.to_owned()),
        (document(), GROUP.replace("lamps", "others")),
    ] {
        let cloud = Cloud::new();
        let exists = Reply::error(409, "ResourceAlreadyExistsException", "exists");
        cloud.on("PUT", "/jobs/", exists);
        let existing = json!({ "document": document.to_string() });
        cloud.on("GET", "/job-document", Reply::json(200, existing));
        let job = json!({ "job": { "jobArn": JOB_ARN, "targets": [target] } });
        cloud.on("GET", "/jobs/", Reply::json(200, job));
        with_firmware(&cloud);
        let (status, body) = ask(&cloud, order()).await;
        assert_eq!((status, error(&body).0), (409, "JobAlreadyExists"), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn says_429_when_the_account_has_no_room() {
    for code in ["ThrottlingException", "LimitExceededException"] {
        let cloud = Cloud::new();
        cloud.on("PUT", "/jobs/", Reply::error(400, code, "too much"));
        with_firmware(&cloud);
        let (status, body) = ask(&cloud, order()).await;
        assert_eq!((status, error(&body).0), (429, code));
        assert!(error(&body).1.starts_with("CreateJob failed:"), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn says_502_when_a_service_fails() {
    let cloud = Cloud::new();
    cloud.on("PUT", "/jobs/", Reply::error(503, "ServiceUnavailableException", "later"));
    with_firmware(&cloud);
    let (status, body) = ask(&cloud, order()).await;
    assert_eq!((status, error(&body).0), (502, "ServiceUnavailableException"));
    // The SDK has tried four times.
    assert_eq!(cloud.asked("PUT", "/jobs/").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn answers_before_lambda_stops_the_function() {
    let cloud = Cloud::new();
    cloud.on("GET", "/lamp.bin", Reply::Never);
    with_firmware(&cloud);
    let invocation =
        Invocation { deadline: Instant::now() + Duration::from_secs(10), ..invocation() };
    let deadline = invocation.deadline;
    let answer = function(&cloud, &variables()).call(order(), invocation).await.unwrap();
    assert_eq!(answer["statusCode"], 502);
    assert!(answer["body"].as_str().unwrap().contains("\"Timeout\""), "{answer}");
    assert!(Instant::now() < deadline);
}

#[tokio::test(start_paused = true)]
async fn names_what_is_wrong_with_the_input() {
    let with = |name: &str, value: Value| {
        let mut event = order();
        event[name] = value;
        event
    };
    for (event, expected) in [
        (
            json!("create_job"),
            "the event is a text: expected an object with an `action`, one of create_job, \
             check_job_status, cancel_job, list_jobs",
        ),
        (
            json!({}),
            "`action` is missing: expected one of create_job, check_job_status, cancel_job, \
             list_jobs",
        ),
        (
            json!({ "action": "create" }),
            "`action` is `create`: expected one of create_job, check_job_status, cancel_job, \
             list_jobs",
        ),
        (with("thing_group", Value::Null), "`thing_group` is missing"),
        (with("thing_group", 5.into()), "`thing_group` is 5: expected a text"),
        (
            with("thing_group", "a b".into()),
            "`thing_group`: thing group name `a b` is not valid: expected 1 to 128 of the \
             characters a-z, A-Z, 0-9, `:`, `_` and `-`",
        ),
        (
            with("target_selection", "ALL".into()),
            "`target_selection`: target selection `ALL` is not known: expected one of SNAPSHOT, \
             CONTINUOUS",
        ),
        (
            with("targetselection", "SNAPSHOT".into()),
            "field `targetselection` is not known: expected firmware_version, thing_group, \
             s3_bucket, s3_key, s3_version_id, signed_object_key, job_id, target_selection, \
             description, job_settings",
        ),
        (
            with("job_settings", json!({ "rollout": { "maximum_per_minute": 5000 } })),
            "`job_settings`: job settings are not valid: `rollout.maximum_per_minute` is 5000: \
             expected 1 to 1000",
        ),
        (
            with("job_settings", json!({ "speed": 1 })),
            "`job_settings`: unknown field `speed`, expected one of `rollout`, `abort`, \
             `in_progress_timeout_minutes`, `retries`, `presigned_url_expires_seconds`",
        ),
        (
            json!({ "action": "list_jobs", "max_results": 251 }),
            "`max_results` is 251: expected a whole number from 1 to 250",
        ),
        (
            json!({ "action": "cancel_job", "job_id": "a", "force": "yes" }),
            "`force` is \"yes\": expected true or false",
        ),
        (json!({ "action": "check_job_status" }), "`job_id` is missing"),
    ] {
        let cloud = Cloud::new();
        let (status, body) = ask(&cloud, event).await;
        assert_eq!((status, error(&body)), (400, ("InvalidRequest", expected)));
        assert!(cloud.seen().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn tells_how_far_a_job_has_come() {
    let cloud = Cloud::new();
    let job = json!({ "job": {
        "jobId": "firmware-j", "jobArn": "arn:j", "status": "CANCELED", "targets": [GROUP],
        "targetSelection": "SNAPSHOT", "description": "night shift",
        "createdAt": 1_700_000_000.5, "lastUpdatedAt": 1_700_000_060, "completedAt": 1_700_000_060,
        "reasonCode": "ABORTED", "comment": "too many failures",
        "jobProcessDetails": {
            "numberOfSucceededThings": 40, "numberOfFailedThings": 3,
            "numberOfTimedOutThings": 2, "numberOfQueuedThings": 5
        }
    }});
    cloud.on("GET", "/jobs/firmware-j", Reply::json(200, job));
    let (status, body) =
        ask(&cloud, json!({ "action": "check_job_status", "job_id": "firmware-j" })).await;
    assert_eq!(status, 200);
    assert_eq!(body["status"], "CANCELED");
    assert_eq!(
        body["executions"],
        json!({
            "QUEUED": 5, "IN_PROGRESS": 0, "SUCCEEDED": 40, "FAILED": 3, "TIMED_OUT": 2,
            "REJECTED": 0, "REMOVED": 0, "CANCELED": 0
        })
    );
    assert_eq!(body["created_at"], "2023-11-14T22:13:20.5Z");
    assert_eq!(body["completed_at"], "2023-11-14T22:14:20Z");
    assert_eq!(body["reason_code"], "ABORTED");
    assert_eq!(body["reason"], "too many failures");
}

#[tokio::test(start_paused = true)]
async fn says_404_for_a_job_that_does_not_exist() {
    let cloud = Cloud::new();
    let missing = || Reply::error(404, "ResourceNotFoundException", "no");
    cloud.on("GET", "/jobs/firmware-j", missing());
    cloud.on("PUT", "/jobs/firmware-j/cancel", missing());
    for action in ["check_job_status", "cancel_job"] {
        let (status, body) = ask(&cloud, json!({ "action": action, "job_id": "firmware-j" })).await;
        assert_eq!((status, error(&body)), (404, ("JobNotFound", "there is no job `firmware-j`")));
    }
}

#[tokio::test(start_paused = true)]
async fn cancels_a_job_with_force_and_reason() {
    let cloud = Cloud::new();
    cloud.on("PUT", "/jobs/firmware-j/cancel", Reply::json(200, json!({ "jobArn": "arn:j" })));
    let event = json!({ "action": "cancel_job", "job_id": "firmware-j", "force": true, "reason": "wrong image" });
    let (status, body) = ask(&cloud, event).await;
    assert_eq!(status, 200);
    assert_eq!(body["job_id"], "firmware-j");
    assert_eq!(body["status"], "CANCELED");
    let request = &cloud.seen()[0];
    assert!(request.uri.contains("force=true"), "{request:?}");
    assert_eq!(
        request.json(),
        json!({ "reasonCode": "CANCELED_BY_OPERATOR", "comment": "wrong image" })
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_cancel_is_fine_and_a_late_one_is_not() {
    for (state, expected) in [("CANCELED", 200), ("COMPLETED", 409), ("IN_PROGRESS", 400)] {
        let cloud = Cloud::new();
        let refused = Reply::error(400, "InvalidRequestException", "not now");
        cloud.on("PUT", "/jobs/firmware-j/cancel", refused);
        let job = json!({ "job": { "jobId": "firmware-j", "status": state } });
        cloud.on("GET", "/jobs/firmware-j", Reply::json(200, job));
        let (status, body) =
            ask(&cloud, json!({ "action": "cancel_job", "job_id": "firmware-j" })).await;
        assert_eq!(status, expected, "{body}");
        if state == "COMPLETED" {
            let message = "job `firmware-j` is COMPLETED and cannot be canceled";
            assert_eq!(error(&body), ("JobEnded", message));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lists_jobs_by_state_and_group() {
    let cloud = Cloud::new();
    let jobs = json!({ "nextToken": "more", "jobs": [
        { "jobId": "firmware-j", "jobArn": "arn:j", "status": "IN_PROGRESS", "createdAt": 1_700_000_000 }
    ]});
    cloud.on("GET", "/jobs", Reply::json(200, jobs));
    let event = json!({
        "action": "list_jobs", "status": "IN_PROGRESS", "thing_group": "lamps", "max_results": 5
    });
    let (status, body) = ask(&cloud, event).await;
    assert_eq!(status, 200);
    assert_eq!(body["jobs"][0]["job_id"], "firmware-j");
    assert_eq!(body["jobs"][0]["created_at"], "2023-11-14T22:13:20Z");
    assert_eq!(body["next_token"], "more");
    let uri = &cloud.seen()[0].uri;
    for part in ["status=IN_PROGRESS", "thingGroupName=lamps", "maxResults=5"] {
        assert!(uri.contains(part), "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn does_not_start_with_a_wrong_configuration() {
    for (name, value, expected) in [
        ("FIRMWARE_BUCKET", "", "environment variable `FIRMWARE_BUCKET` is not set"),
        (
            "SIGNING_PROFILE_NAME",
            "a-b",
            "environment variable `SIGNING_PROFILE_NAME` is wrong: signing profile name `a-b` is \
             not valid: expected 2 to 64 of the characters a-z, A-Z, 0-9 and `_`",
        ),
        (
            "JOB_SETTINGS",
            r#"{"presigned_url_expires_seconds":5}"#,
            "environment variable `JOB_SETTINGS` is wrong: job settings are not valid: \
             `presigned_url_expires_seconds` is 5: expected 60 to 3600",
        ),
    ] {
        let mut variables = variables();
        variables.push((name, value));
        let environment = Environment::of(&variables);
        let aws = Cloud::new().aws(&environment);
        let error = FirmwareManager::new(&environment, &aws).err().unwrap();
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn jobs_of_other_fleets_are_neither_touched_nor_listed() {
    let cloud = Cloud::new();
    for action in ["check_job_status", "cancel_job"] {
        let (status, body) = ask(&cloud, json!({ "action": action, "job_id": "other-j" })).await;
        assert_eq!(status, 400);
        let message = "`job_id` is `other-j`: job ids of this fleet begin with `firmware-`";
        assert_eq!(error(&body), ("InvalidRequest", message));
    }
    let jobs = json!({ "jobs": [{ "jobId": "other-j" }, { "jobId": "firmware-j" }] });
    cloud.on("GET", "/jobs", Reply::json(200, jobs));
    let (_, body) = ask(&cloud, json!({ "action": "list_jobs" })).await;
    assert_eq!(body["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(body["jobs"][0]["job_id"], "firmware-j");
}
