//! Requests as CloudFormation makes them, for the tests of all custom resources.

use serde_json::{Value, json};

use super::{CustomResource, Resource};
use crate::Result;
use crate::function::Function;
use crate::testing::{Cloud, Reply, aws, invocation};

pub(crate) const RESPONSE_URL: &str = "https://cloudformation-custom-resource-response.example/arn%3Aaws%3Acloudformation?X-Amz-Signature=s%2B";

/// A request of this type with these properties.
pub(crate) fn request(kind: &str, physical_id: Option<&str>, properties: Value) -> Value {
    let mut event = json!({
        "RequestType": kind,
        "ServiceToken": "arn:aws:lambda:eu-central-1:123456789012:function:f",
        "ResponseURL": RESPONSE_URL,
        "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/S/1b2c3d4e",
        "RequestId": "5a1b",
        "ResourceType": "Custom::Test",
        "LogicalResourceId": "Resource1",
        "ResourceProperties": properties,
    });
    event["ResourceProperties"]["ServiceToken"] = event["ServiceToken"].clone();
    if let Some(id) = physical_id {
        event["PhysicalResourceId"] = id.into();
    }
    event
}

/// Lets `resource` handle `event`, and returns what CloudFormation is answered.
pub(crate) async fn handle<R: Resource>(resource: R, event: Value, cloud: &Cloud) -> Value {
    try_handle(resource, event, cloud).await.unwrap();
    let answers = cloud.asked("PUT", RESPONSE_URL);
    assert_eq!(answers.len(), 1, "{:?}", cloud.seen());
    answers[0].json()
}

/// Lets `resource` handle `event`.
pub(crate) async fn try_handle<R: Resource>(
    resource: R,
    event: Value,
    cloud: &Cloud,
) -> Result<Value> {
    cloud.on("PUT", RESPONSE_URL, Reply::empty(200));
    CustomResource::new(resource, &aws(cloud)).call(event, invocation()).await
}
