//! Every operation of the control plane at its method, path and query.
//!
//! One walk through the life of a job, as a client of AWS writes its requests; what the
//! rules say about each of them is tested with the engine.

use http::Method;
use iotstack_local_kernel::Caller;
use serde_json::json;

use super::control::http;
use super::*;

async fn root(world: &World, method: Method, uri: &str, body: Value) -> (u16, String, Value) {
    http(world, "iot", method, uri, body, Caller::Root).await
}

fn thing(name: &str) -> String {
    format!("arn:aws:iot:us-east-1:123456789012:thing/{name}")
}

#[tokio::test]
async fn every_operation_answers_at_its_path() {
    let world = World::new();
    let none = || Value::Null;
    let (get, put, delete) = (Method::GET, Method::PUT, Method::DELETE);
    let job = json!({"targets": [thing("lamp-1")], "document": "{}", "description": "old",
        "targetSelection": "CONTINUOUS"});
    let change = json!({"description": "new", "timeoutConfig": {"inProgressTimeoutInMinutes": 7}});
    let more = json!({"targets": [thing("lamp-2")], "comment": "more"});
    let cancel = json!({"expectedVersion": 1, "statusDetails": {"by": "me"}});
    let template = json!({"description": "d", "document": "{}"});
    let reason = json!({"reasonCode": "WHY", "comment": "because"});
    for (method, uri, body, place, expected) in [
        (&put, "/jobs/j1", job, "/jobId", json!("j1")),
        (&get, "/jobs/j1?beforeSubstitution=true", none(), "/job/description", json!("old")),
        (&Method::PATCH, "/jobs/j1?namespaceId=n", change, "", none()),
        (&get, "/jobs/j1", none(), "/job/description", json!("new")),
        (&get, "/jobs/j1", none(), "/job/timeoutConfig/inProgressTimeoutInMinutes", json!(7)),
        (&Method::POST, "/jobs/j1/targets?namespaceId=n", more, "/description", json!("new")),
        (&get, "/jobs/j1", none(), "/job/targets/1", json!(thing("lamp-2"))),
        (&get, "/jobs/j1", none(), "/job/comment", json!("more")),
        (&get, "/jobs/j1/job-document?beforeSubstitution=false", none(), "/document", json!("{}")),
        (
            &get,
            "/jobs?status=IN_PROGRESS&targetSelection=CONTINUOUS&maxResults=1",
            none(),
            "/jobs/0/jobId",
            json!("j1"),
        ),
        (
            &get,
            "/jobs/j1/things?status=QUEUED&maxResults=1&nextToken=0",
            none(),
            "/executionSummaries/0/thingArn",
            json!(thing("lamp-2")),
        ),
        (
            &get,
            "/things/lamp-1/jobs?status=QUEUED&jobId=j1&maxResults=1",
            none(),
            "/executionSummaries/0/jobExecutionSummary/executionNumber",
            json!(1),
        ),
        (
            &get,
            "/things/lamp-1/jobs/j1?executionNumber=1",
            none(),
            "/execution/thingArn",
            json!(thing("lamp-1")),
        ),
        (&put, "/things/lamp-1/jobs/j1/cancel?force=false", cancel, "", none()),
        (&get, "/things/lamp-1/jobs/j1", none(), "/execution/status", json!("CANCELED")),
        (
            &get,
            "/things/lamp-1/jobs/j1",
            none(),
            "/execution/statusDetails/detailsMap/by",
            json!("me"),
        ),
        (
            &delete,
            "/things/lamp-1/jobs/j1/executionNumber/1?force=false&namespaceId=n",
            none(),
            "",
            none(),
        ),
        (&put, "/job-templates/t1", template, "/jobTemplateId", json!("t1")),
        (&get, "/job-templates/t1", none(), "/description", json!("d")),
        (&get, "/job-templates?maxResults=1", none(), "/jobTemplates/0/description", json!("d")),
        (&delete, "/job-templates/t1", none(), "", none()),
        (
            &get,
            "/managed-job-templates?templateName=AWS-Reboot&maxResults=1",
            none(),
            "/managedJobTemplates/0/templateVersion",
            json!("1.0"),
        ),
        (
            &get,
            "/managed-job-templates/AWS-Reboot?templateVersion=1.0",
            none(),
            "/templateName",
            json!("AWS-Reboot"),
        ),
        (&put, "/jobs/j1/cancel?force=true", reason, "/description", json!("new")),
        (&get, "/jobs/j1", none(), "/job/reasonCode", json!("WHY")),
        (&get, "/jobs/j1", none(), "/job/forceCanceled", json!(true)),
        (&delete, "/jobs/j1?force=true&namespaceId=n", none(), "", none()),
        (&get, "/jobs/j1", none(), "/job/status", json!("DELETION_IN_PROGRESS")),
    ] {
        let (status, _, answer) = root(&world, method.clone(), uri, body).await;
        assert_eq!(status, 200, "{method} {uri}: {answer}");
        if place.is_empty() {
            assert!(answer.is_null() || answer == json!({}), "{method} {uri}: {answer}");
        } else {
            assert_eq!(answer.pointer(place), Some(&expected), "{method} {uri}: {answer}");
        }
    }
    let (status, kind, _) = root(&world, get, "/things/lamp-1/jobs/j1", Value::Null).await;
    assert_eq!((status, kind.as_str()), (404, "ResourceNotFoundException"));
}

#[tokio::test]
async fn an_execution_in_progress_is_cancelled_by_force_only() {
    let world = World::new();
    world.create("j1", &["lamp-1", "lamp-2"], json!({})).await.unwrap();
    world.ask("$aws/things/lamp-1/jobs/start-next", "{}").await;
    let uri = "/things/lamp-1/jobs/j1/cancel";
    let (status, kind, _) = root(&world, Method::PUT, uri, json!({})).await;
    assert_eq!((status, kind.as_str()), (409, "InvalidStateTransitionException"));
    let uri = "/things/lamp-1/jobs/j1/cancel?force=true";
    let (status, _, body) = root(&world, Method::PUT, uri, json!({"expectedVersion": 2})).await;
    assert_eq!(status, 200, "{body}");
    let (status, kind, _) = root(&world, Method::PUT, uri, json!({})).await;
    assert_eq!((status, kind.as_str()), (409, "InvalidStateTransitionException"));
    let (_, _, body) = root(&world, Method::GET, "/things/lamp-1/jobs/j1", Value::Null).await;
    assert_eq!(body["execution"]["forceCanceled"], true);
    let report = r#"{"status":"SUCCEEDED"}"#;
    let (_, body) = world.ask("$aws/things/lamp-1/jobs/j1/update", report).await;
    assert_eq!(body["code"], "InvalidStateTransition");
    assert_eq!(body["executionState"]["status"], "CANCELED");
}

#[tokio::test]
async fn lists_are_asked_for_by_namespace_and_group() {
    let world = World::new();
    world.registry.group("lamps", 2);
    world.create("plain", &["lamps"], json!({})).await.unwrap();
    world.cloud.clock.step(Duration::from_millis(1));
    world.create("spaced", &["lamp-1"], json!({"namespaceId": "n"})).await.unwrap();
    for (uri, list, expected) in [
        ("/jobs", "jobs", &["spaced", "plain"][..]),
        ("/jobs?namespaceId=n", "jobs", &["spaced"]),
        ("/jobs?namespaceId=m", "jobs", &[]),
        ("/jobs?thingGroupName=lamps", "jobs", &["plain"]),
        ("/things/lamp-1/jobs", "executionSummaries", &["spaced", "plain"]),
        ("/things/lamp-1/jobs?namespaceId=n", "executionSummaries", &["spaced"]),
        ("/things/lamp-1/jobs?namespaceId=m", "executionSummaries", &[]),
        ("/things/lamp-0/jobs?namespaceId=n", "executionSummaries", &[]),
    ] {
        let (status, _, body) = root(&world, Method::GET, uri, Value::Null).await;
        let ids: Vec<&str> =
            body[list].as_array().unwrap().iter().filter_map(|e| e["jobId"].as_str()).collect();
        assert_eq!((status, &ids[..]), (200, expected), "{uri}");
    }
    let (_, _, body) = root(&world, Method::GET, "/jobs/spaced", Value::Null).await;
    assert_eq!(body["job"]["namespaceId"], "n");
    let uri = "/jobs?thingGroupId=0a1b";
    let (status, kind, body) = root(&world, Method::GET, uri, Value::Null).await;
    assert_eq!((status, kind.as_str()), (400, "InvalidRequestException"));
    assert!(body["message"].as_str().unwrap().contains("thingGroupId"), "{body}");
}

#[tokio::test]
async fn quotas_of_templates_and_deletions_are_limits() {
    let world = World::new();
    for number in 0..=100 {
        let uri = format!("/job-templates/t{number}");
        let body = json!({"description": "d", "document": "{}"});
        let (status, kind, _) = root(&world, Method::PUT, &uri, body).await;
        let expected = if number < 100 { (200, "") } else { (410, "LimitExceededException") };
        assert_eq!((status, kind.as_str()), expected, "{uri}");
    }
    for number in 0..=10 {
        let id = format!("j{number}");
        world.create(&id, &["lamp-1"], json!({})).await.unwrap();
        let uri = format!("/jobs/{id}?force=true");
        let (status, kind, _) = root(&world, Method::DELETE, &uri, Value::Null).await;
        let expected = if number < 10 { (200, "") } else { (410, "LimitExceededException") };
        assert_eq!((status, kind.as_str()), expected, "{uri}");
    }
}

#[tokio::test]
async fn nobody_is_throttled_by_the_number_of_requests() {
    let world = World::new();
    world.create("j1", &["lamp-1"], json!({})).await.unwrap();
    // All in one moment of the cloud's clock, far beyond what AWS allows in a second.
    for _ in 0..500 {
        let (status, _, body) = root(&world, Method::GET, "/jobs/j1", Value::Null).await;
        assert_eq!(status, 200, "{body}");
        let (topic, _) = world.ask("$aws/things/lamp-1/jobs/get", "{}").await;
        assert_eq!(topic, "$aws/things/lamp-1/jobs/get/accepted");
    }
}
