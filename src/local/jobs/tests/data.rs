//! The data plane over HTTP, as a device with a certificate uses it.
//!
//! Requests go through the routing of the kernel, so that paths, queries and statuses
//! are those of the wire.

use http::Method;
use iotstack_local_kernel::Caller;
use serde_json::json;

use super::control::http;
use super::*;

async fn device(world: &World, method: Method, uri: &str, body: Value) -> (u16, String, Value) {
    let caller = Caller::Device { certificate_id: "c1".to_owned() };
    http(world, "iot-jobs-data", method, uri, body, caller).await
}

#[tokio::test]
async fn a_device_updates_itself_over_http() {
    let world = World::new();
    world.create("j1", &["lamp-1"], download()).await.unwrap();
    let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
    let (status, _, body) = device(&world, get.clone(), "/things/lamp-1/jobs", Value::Null).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["queuedJobs"][0]["jobId"], "j1");
    let (_, _, body) = device(&world, put, "/things/lamp-1/jobs/$next", json!({})).await;
    assert_eq!(body["execution"]["status"], "IN_PROGRESS");
    let document = body["execution"]["jobDocument"].as_str().unwrap();
    assert_eq!(document, r#"{"firmware":{"url":"get firmware lamp.bin v7 300"}}"#);
    for uri in [
        "/things/lamp-1/jobs/j1?includeJobDocument=false",
        "/things/lamp-1/jobs/%24next?includeJobDocument=false",
    ] {
        let (status, _, body) = device(&world, get.clone(), uri, Value::Null).await;
        assert_eq!((status, &body["execution"]["jobId"]), (200, &json!("j1")), "{uri}");
        assert_eq!(body["execution"].get("jobDocument"), None);
    }
    let report =
        json!({"status": "SUCCEEDED", "expectedVersion": 2, "includeJobExecutionState": true});
    let (status, _, body) = device(&world, post.clone(), "/things/lamp-1/jobs/j1", report).await;
    assert_eq!((status, &body["executionState"]["versionNumber"]), (200, &json!(3)));

    let (status, kind, _) =
        device(&world, get.clone(), "/things/lamp-1/jobs/j1", Value::Null).await;
    assert_eq!((status, kind.as_str()), (410, "TerminalStateException"));
    let report = json!({"status": "FAILED"});
    let (status, kind, _) = device(&world, post.clone(), "/things/lamp-1/jobs/j1", report).await;
    assert_eq!((status, kind.as_str()), (409, "InvalidStateTransitionException"));
    let report = json!({"status": "DONE"});
    let (status, kind, _) = device(&world, post, "/things/lamp-1/jobs/j1", report).await;
    assert_eq!((status, kind.as_str()), (400, "InvalidRequestException"));
    let (status, kind, _) = device(&world, get.clone(), "/things/ghost/jobs", Value::Null).await;
    assert_eq!((status, kind.as_str()), (404, "ResourceNotFoundException"));
    let (status, _, body) = device(&world, get, "/things/lamp-1/jobs/$next", Value::Null).await;
    assert_eq!((status, body), (200, json!({})));
}

#[tokio::test]
async fn a_device_needs_the_permission_for_its_thing() {
    let world = World::new();
    let thing = "arn:aws:iot:us-east-1:123456789012:thing/lamp-2";
    world.create("j1", &["lamp-1", "lamp-2"], json!({})).await.unwrap();
    let report = json!({"status": "IN_PROGRESS"});
    for (action, method, uri, body) in [
        ("GetPendingJobExecutions", Method::GET, "", Value::Null),
        ("StartNextPendingJobExecution", Method::PUT, "/$next", json!({})),
        ("DescribeJobExecution", Method::GET, "/j1", Value::Null),
        ("UpdateJobExecution", Method::POST, "/j1", report),
    ] {
        let forbidden = format!("iotjobsdata:{action} {thing}");
        world.registry.lock().forbidden.insert(forbidden.clone());
        for (thing, expected) in [("lamp-2", 403), ("lamp-1", 200)] {
            let uri = format!("/things/{thing}/jobs{uri}");
            let (status, _, answer) = device(&world, method.clone(), &uri, body.clone()).await;
            assert_eq!(status, expected, "{action}: {answer}");
        }
        world.registry.lock().forbidden.remove(&forbidden);
        let uri = format!("/things/lamp-2/jobs{uri}");
        let (status, _, answer) = device(&world, method, &uri, body).await;
        assert_eq!(status, 200, "{action}: {answer}");
    }
}

#[tokio::test]
async fn refusals_have_the_status_of_the_data_plane() {
    let world = World::new();
    world.create("j1", &["lamp-1"], json!({})).await.unwrap();
    let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
    let update = |more: Value| {
        let mut body = json!({"status": "IN_PROGRESS"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (invalid, moved) = ("InvalidRequestException", "InvalidStateTransitionException");
    let missing = "ResourceNotFoundException";
    for (method, path, body, status, code) in [
        (post.clone(), "j1", json!({}), 400, invalid),
        (post.clone(), "j1", update(json!({"statusDetails": {"a b": "c"}})), 400, invalid),
        (put, "$next", json!({"stepTimeoutInMinutes": 0}), 400, invalid),
        (post.clone(), "j1", update(json!({"expectedVersion": 7})), 409, moved),
        (post.clone(), "j1", json!({"status": "TIMED_OUT"}), 409, moved),
        (post.clone(), "j1", update(json!({"executionNumber": 2})), 404, missing),
        (post.clone(), "j9", update(json!({})), 404, missing),
        (get.clone(), "j1?executionNumber=2", Value::Null, 404, missing),
        (get.clone(), "j9", Value::Null, 404, missing),
    ] {
        let uri = format!("/things/lamp-1/jobs/{path}");
        let (answered, kind, body) = device(&world, method, &uri, body).await;
        assert_eq!((answered, kind.as_str()), (status, code), "{uri}: {body}");
    }
    let uri = "/things/lamp-1/jobs/j1?executionNumber=1";
    let (status, _, body) = device(&world, get, uri, Value::Null).await;
    assert_eq!((status, &body["execution"]["versionNumber"]), (200, &json!(1)));
    let (status, kind, body) = device(&world, post, "/command-executions", json!({})).await;
    assert_eq!((status, kind.as_str()), (501, "NotImplemented"));
    assert!(body["message"].as_str().unwrap().contains("commands are not part"), "{body}");
}
