//! The control plane: requests over HTTP, refusals with their statuses, templates.
//!
//! What the engine refuses has tests of its own; here is how it looks on the wire.

use http::{Method, Request};
use iotstack_local_kernel::Caller;
use serde_json::json;

use super::*;

/// Sends a request as it comes over HTTP.
pub(super) async fn http(
    world: &World,
    scope: &str,
    method: Method,
    uri: &str,
    body: Value,
    caller: Caller,
) -> (u16, String, Value) {
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let request = Request::builder().method(method).uri(uri).body(body).unwrap();
    let at = world.cloud.clock.now();
    let response = world.cloud.services.answer(scope, request, caller, at).await;
    let kind = response.headers().get("x-amzn-errortype");
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let body = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    (response.status().as_u16(), kind, body)
}

async fn root(world: &World, method: Method, uri: &str, body: Value) -> (u16, String, Value) {
    http(world, "iot", method, uri, body, Caller::Root).await
}

#[tokio::test]
async fn a_job_lives_and_dies_over_http() {
    let world = World::new();
    let (get, put, delete) = (Method::GET, Method::PUT, Method::DELETE);
    let target = "arn:aws:iot:us-east-1:123456789012:thing/lamp-1";
    let request = json!({"targets": [target], "document": "{}", "description": "d"});
    let (status, _, body) = root(&world, put.clone(), "/jobs/j1", request.clone()).await;
    assert_eq!(status, 200, "{body}");
    let arn = "arn:aws:iot:us-east-1:123456789012:job/j1";
    assert_eq!(body, json!({"jobArn": arn, "jobId": "j1", "description": "d"}));
    let (status, kind, _) = root(&world, put.clone(), "/jobs/j1", request).await;
    assert_eq!((status, kind.as_str()), (409, "ResourceAlreadyExistsException"));

    let (_, _, body) = root(&world, get.clone(), "/jobs/j1", Value::Null).await;
    assert_eq!(body["job"]["jobArn"], arn);
    assert_eq!(body["job"]["status"], "IN_PROGRESS");
    assert_eq!(body["job"]["createdAt"], json!(1_767_225_600.0));
    let (_, _, body) = root(&world, get.clone(), "/jobs/j1/job-document", Value::Null).await;
    assert_eq!(body, json!({"document": "{}"}));
    let (_, _, body) = root(&world, get.clone(), "/jobs?status=IN_PROGRESS", Value::Null).await;
    assert_eq!(body["jobs"][0]["jobId"], "j1");
    let (_, _, body) = root(&world, get.clone(), "/jobs/j1/things", Value::Null).await;
    assert_eq!(body["executionSummaries"][0]["thingArn"], target);
    assert_eq!(body["executionSummaries"][0]["jobExecutionSummary"]["status"], "QUEUED");
    let (_, _, body) = root(&world, get.clone(), "/things/lamp-1/jobs", Value::Null).await;
    assert_eq!(body["executionSummaries"][0]["jobId"], "j1");
    let (_, _, body) = root(&world, get.clone(), "/things/lamp-1/jobs/j1", Value::Null).await;
    assert_eq!(body["execution"]["thingArn"], target);
    assert_eq!(body["execution"]["versionNumber"], 1);

    let (status, kind, _) = root(&world, delete.clone(), "/jobs/j1", Value::Null).await;
    assert_eq!((status, kind.as_str()), (409, "InvalidStateTransitionException"));
    let reason = json!({"reasonCode": "NOT_NOW", "comment": "later"});
    let (status, _, _) = root(&world, put, "/jobs/j1/cancel?force=true", reason).await;
    assert_eq!(status, 200);
    let job = world.until_job("j1", "CANCELED").await;
    assert_eq!((&job["reasonCode"], &job["forceCanceled"]), (&json!("NOT_NOW"), &json!(true)));
    let uri = "/things/lamp-1/jobs/j1/executionNumber/1";
    let (status, _, body) = root(&world, delete.clone(), uri, Value::Null).await;
    assert_eq!(status, 200, "{body}");
    let (status, _, _) = root(&world, delete, "/jobs/j1", Value::Null).await;
    assert_eq!(status, 200);
    world.cloud.clock.step(Duration::from_secs(1));
    for _ in 0..5000 {
        if root(&world, get.clone(), "/jobs/j1", Value::Null).await.0 == 404 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the job was never deleted");
}

#[tokio::test]
async fn refusals_have_the_status_of_the_service() {
    let world = World::new();
    world.create("j1", &["lamp-1"], json!({})).await.unwrap();
    for (operation, input, code, status) in [
        ("DescribeJob", json!({"jobId": "j9"}), "ResourceNotFoundException", 404),
        ("CancelJob", json!({"jobId": "j1", "reasonCode": "x"}), "InvalidRequestException", 400),
        ("ListJobs", json!({"status": "DONE"}), "InvalidRequestException", 400),
        ("ListJobs", json!({"maxResults": 251}), "InvalidRequestException", 400),
        (
            "UpdateJob",
            json!({"jobId": "j1", "abortConfig": {"criteriaList": []}}),
            "InvalidRequestException",
            400,
        ),
        (
            "ListJobExecutionsForThing",
            json!({"thingName": "ghost"}),
            "ResourceNotFoundException",
            404,
        ),
        (
            "CancelJobExecution",
            json!({"jobId": "j1", "thingName": "lamp-1", "expectedVersion": 4}),
            "VersionConflictException",
            409,
        ),
        (
            "DeleteJobExecution",
            json!({"jobId": "j1", "thingName": "lamp-1", "executionNumber": 1}),
            "InvalidStateTransitionException",
            409,
        ),
        (
            "AssociateTargetsWithJob",
            json!({"jobId": "j1", "targets": ["x"]}),
            "InvalidRequestException",
            400,
        ),
        (
            "DescribeManagedJobTemplate",
            json!({"templateName": "AWS-X"}),
            "ResourceNotFoundException",
            404,
        ),
    ] {
        let fault = world.call(operation, input).await.unwrap_err();
        assert_eq!((fault.code.as_str(), fault.status), (code, status), "{operation}: {fault}");
    }
    let fault = world.create("j2", &["ghost"], json!({})).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.status), ("ResourceNotFoundException", 404));
    let fault =
        world.create("j2", &["lamp-1"], json!({"targets": vec!["x"; 101]})).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.status), ("LimitExceededException", 410));
    let fault = world.create("j2", &["lamp-1"], json!({"abortConfig": 7})).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.status), ("InvalidRequestException", 400));
}

#[tokio::test]
async fn a_certificate_opens_nothing_of_the_control_plane() {
    let world = World::new();
    world.create("j1", &["lamp-1"], json!({})).await.unwrap();
    for (method, uri) in [
        (Method::GET, "/jobs"),
        (Method::GET, "/jobs/j1"),
        (Method::PUT, "/jobs/j1/cancel"),
        (Method::DELETE, "/jobs/j1?force=true"),
        (Method::GET, "/things/lamp-1/jobs/j1"),
        (Method::GET, "/job-templates"),
        (Method::GET, "/otaUpdates"),
    ] {
        let caller = Caller::Device { certificate_id: "c1".to_owned() };
        let (status, kind, _) = http(&world, "iot", method, uri, Value::Null, caller).await;
        assert_eq!((status, kind.as_str()), (403, "AccessDeniedException"), "{uri}");
    }
    world.until_job("j1", "IN_PROGRESS").await;
}

#[tokio::test]
async fn a_document_is_fetched_once() {
    let world = World::new();
    let url = "https://documents.s3.us-east-1.amazonaws.com/job.json";
    let more = json!({"document": null, "documentSource": url});
    world.create("j1", &["lamp-1"], more).await.unwrap();
    let described = world.call("DescribeJob", json!({"jobId": "j1"})).await.unwrap();
    assert_eq!(described["documentSource"], url);
    let document = world.call("GetJobDocument", json!({"jobId": "j1"})).await.unwrap();
    assert_eq!(document["document"], "{\"from\":\"s3\"}");
    let more = json!({"document": null, "documentSource": "s3://documents/other.json"});
    let fault = world.create("j2", &["lamp-1"], more).await.unwrap_err();
    assert_eq!(fault.code, "InvalidRequestException");
    assert!(fault.message.contains("s3://documents/other.json"), "{fault}");
}

#[tokio::test]
async fn templates_are_kept_and_used() {
    let world = World::new();
    let input = json!({"jobTemplateId": "t1", "description": "d", "document": "{\"t\":1}",
        "timeoutConfig": {"inProgressTimeoutInMinutes": 7}});
    let made = world.call("CreateJobTemplate", input.clone()).await.unwrap();
    let arn = made["jobTemplateArn"].clone();
    assert_eq!(arn, "arn:aws:iot:us-east-1:123456789012:jobtemplate/t1");
    let fault = world.call("CreateJobTemplate", input).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.status), ("ConflictException", 409));
    let more = json!({"document": null, "jobTemplateArn": arn});
    world.create("j1", &["lamp-1"], more).await.unwrap();
    let described = world.call("DescribeJob", json!({"jobId": "j1"})).await.unwrap();
    assert_eq!(described["job"]["timeoutConfig"]["inProgressTimeoutInMinutes"], 7);
    let described =
        world.call("DescribeJobTemplate", json!({"jobTemplateId": "t1"})).await.unwrap();
    assert_eq!(described["document"], "{\"t\":1}");
    let listed = world.call("ListJobTemplates", json!({})).await.unwrap();
    assert_eq!(listed["jobTemplates"][0]["jobTemplateId"], "t1");
    world.call("DeleteJobTemplate", json!({"jobTemplateId": "t1"})).await.unwrap();
    let fault =
        world.call("DescribeJobTemplate", json!({"jobTemplateId": "t1"})).await.unwrap_err();
    assert_eq!(fault.status, 404);
}

#[tokio::test]
async fn managed_templates_are_listed_described_and_filled() {
    let world = World::new();
    let listed = world.call("ListManagedJobTemplates", json!({"maxResults": 5})).await.unwrap();
    assert_eq!(listed["managedJobTemplates"].as_array().unwrap().len(), 5);
    let next = json!({"nextToken": listed["nextToken"]});
    let listed = world.call("ListManagedJobTemplates", next).await.unwrap();
    assert_eq!(listed["managedJobTemplates"].as_array().unwrap().len(), 3);
    let input = json!({"templateName": "AWS-Run-Command"});
    let described = world.call("DescribeManagedJobTemplate", input).await.unwrap();
    assert_eq!(described["documentParameters"][0]["key"], "command");
    let more = json!({"document": null, "jobTemplateArn": described["templateArn"],
        "documentParameters": {"command": "ls"}});
    world.create("j1", &["lamp-1"], more).await.unwrap();
    for (before, expected) in
        [(false, "\"command\":\"ls\""), (true, "${aws:iot:parameter:command}")]
    {
        let input = json!({"jobId": "j1", "beforeSubstitution": before});
        let document = world.call("GetJobDocument", input).await.unwrap();
        assert!(document["document"].as_str().unwrap().contains(expected), "{document}");
    }
}

#[tokio::test]
async fn tags_of_jobs_and_templates_are_read_and_changed_in_every_state() {
    let world = World::new();
    let tags = json!([{"Key": "team", "Value": "a"}]);
    let more = json!({"document": "{}", "tags": tags});
    world.create("j1", &["lamp-1"], more).await.unwrap();
    let template = json!({"jobTemplateId": "t1", "description": "d", "document": "{}"});
    world.call("CreateJobTemplate", template).await.unwrap();
    for (kind, name, known) in [("job", "j1", 1), ("jobtemplate", "t1", 0)] {
        let keeper = world.cloud.ports.tagged(kind).unwrap();
        assert_eq!(keeper.tags(kind, name).unwrap().len(), known, "{kind}");
        assert_eq!(keeper.tags(kind, "gone"), None, "{kind}");
        if kind == "job" {
            world.call("CancelJob", json!({"jobId": "j1"})).await.unwrap();
        }
        let put: iotstack_local_kernel::tags::ChangeTags = Box::new(|tags| {
            tags.insert("stage".to_owned(), "dev".to_owned());
            Ok(())
        });
        keeper.change_tags(kind, name, put).await.unwrap();
        assert_eq!(keeper.tags(kind, name).unwrap().len(), known + 1, "{kind}");
        let bad: iotstack_local_kernel::tags::ChangeTags = Box::new(|tags| {
            tags.insert("aws:x".to_owned(), String::new());
            Ok(())
        });
        assert_eq!(keeper.change_tags(kind, name, bad).await.unwrap_err().status, 400);
        assert_eq!(keeper.tags(kind, name).unwrap().len(), known + 1, "{kind}");
    }
}
