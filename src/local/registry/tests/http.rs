//! Requests as the clients of AWS write them: methods, paths, headers.
//!
//! Signatures are the gateway's affair and left out.

use bytes::Bytes;
use iotstack_local_kernel::{Caller, Timestamp};

use super::*;

async fn send(
    cloud: &Cloud,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String, Value) {
    let mut request = ::http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Bytes::from(body.to_owned())).unwrap();
    let answer = cloud.services.answer("iot", request, Caller::Root, Timestamp(0)).await;
    let kind =
        answer.headers().get("x-amzn-errortype").map(|kind| kind.to_str().unwrap().to_owned());
    let members = serde_json::from_slice(answer.body()).unwrap();
    (answer.status().as_u16(), kind.unwrap_or_default(), members)
}

#[tokio::test]
async fn requests_are_routed_by_method_path_and_headers() {
    let cloud = cloud();
    let (status, _, made) = send(&cloud, "POST", "/things/a%3Ab", &[], "{}").await;
    assert_eq!((status, &made["thingName"]), (200, &json!("a:b")));
    let (_, _, keys) =
        send(&cloud, "POST", "/keys-and-certificate?setAsActive=true", &[], "").await;
    let arn = keys["certificateArn"].as_str().unwrap();
    let principal = [("x-amzn-principal", arn)];
    let (status, _, _) = send(&cloud, "PUT", "/things/a%3Ab/principals", &principal, "").await;
    assert_eq!(status, 200);
    let (_, _, found) = send(&cloud, "GET", "/principals/things", &principal, "").await;
    assert_eq!(found["things"], json!(["a:b"]));
    let (_, _, found) = send(&cloud, "GET", "/things/a%3Ab/principals", &[], "").await;
    assert_eq!(found["principals"], json!([arn]));

    let body = json!({"policyDocument": document(json!([allow("iot:Connect", "*")]))}).to_string();
    send(&cloud, "POST", "/policies/p", &[], &body).await;
    let target = json!({"target": arn}).to_string();
    assert_eq!(send(&cloud, "PUT", "/target-policies/p", &[], &target).await.0, 200);
    let encoded = arn.replace(':', "%3A").replace('/', "%2F");
    let (_, _, found) =
        send(&cloud, "POST", &format!("/attached-policies/{encoded}"), &[], "").await;
    assert_eq!(found["policies"][0]["policyName"], "p");
    let member = json!({"thingName": "a:b", "thingGroupName": "g"}).to_string();
    send(&cloud, "POST", "/thing-groups/g", &[], "{}").await;
    assert_eq!(
        send(&cloud, "PUT", "/thing-groups/addThingToThingGroup", &[], &member).await.0,
        200
    );
    let config =
        json!({"thingIndexingConfiguration": {"thingIndexingMode": "REGISTRY"}}).to_string();
    assert_eq!(send(&cloud, "POST", "/indexing/config", &[], &config).await.0, 200);
    let query = json!({"queryString": "thingGroupNames:g"}).to_string();
    let (_, _, found) = send(&cloud, "POST", "/indices/search", &[], &query).await;
    assert_eq!(found["things"][0]["thingName"], "a:b");
    let (_, _, found) = send(&cloud, "GET", "/indices/AWS_Things", &[], "").await;
    assert_eq!((&found["indexStatus"], &found["schema"]), (&json!("ACTIVE"), &json!("REGISTRY")));
}

#[tokio::test]
async fn faults_carry_their_code_and_status() {
    let cloud = cloud();
    let (status, kind, body) = send(&cloud, "GET", "/things/none", &[], "").await;
    assert_eq!((status, kind.as_str()), (404, "ResourceNotFoundException"));
    assert_eq!(body["message"], "thing `none` does not exist");
    let (status, kind, _) = send(&cloud, "GET", "/things?maxResults=many", &[], "").await;
    assert_eq!((status, kind.as_str()), (400, "InvalidRequestException"));
    let (status, kind, _) = send(&cloud, "POST", "/things/a", &[], "[1]").await;
    assert_eq!((status, kind.as_str()), (400, "InvalidRequestException"));
    let (status, kind, body) = send(&cloud, "GET", "/packages", &[], "").await;
    assert_eq!((status, kind.as_str()), (501, "NotImplemented"));
    let message = body["message"].as_str().unwrap();
    assert!(message.contains("iot:ListPackages: software packages"), "{message}");
    assert_eq!(send(&cloud, "GET", "/nothing", &[], "").await.0, 501);
}

#[tokio::test]
async fn every_operation_has_its_own_route() {
    let cloud = cloud();
    let coverage = cloud.services.coverage();
    let iot = coverage.iter().find(|line| line.scope == "iot").unwrap();
    let mut names = iot.operations.clone();
    names.dedup();
    assert_eq!(names.len(), iot.operations.len());
    for (name, _) in &iot.refused {
        assert!(!names.contains(name), "{name} is both offered and refused");
    }
    assert!(cloud.services.serves("execute-api"));
    assert!(cloud.doubled_resources().is_empty());
}
