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
    let forbidden = format!("iotjobsdata:GetPendingJobExecutions {thing}");
    world.registry.lock().forbidden.insert(forbidden);
    let (status, _, _) = device(&world, Method::GET, "/things/lamp-2/jobs", Value::Null).await;
    assert_eq!(status, 403);
    let (status, _, _) = device(&world, Method::GET, "/things/lamp-1/jobs", Value::Null).await;
    assert_eq!(status, 200);
}
