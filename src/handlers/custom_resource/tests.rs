//! Tests of the answering: whatever the work does, one answer, and which.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::testing::{RESPONSE_URL, handle, request, try_handle};
use super::*;
use crate::Error;
use crate::testing::{Cloud, Reply, invocation};

/// Does what the properties say.
struct Obedient;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    #[serde(rename = "Do")]
    what: String,
}

impl Obedient {
    async fn obey(order: Order, context: &Context) -> Result<Outcome> {
        let outcome = |physical_id: &str, value: Value| Outcome {
            physical_id: physical_id.to_owned(),
            data: Map::from_iter([("Value".to_owned(), value)]),
        };
        match order.what.as_str() {
            "succeed" => Ok(outcome("made", "v".into())),
            "talk" => Ok(outcome("made", "v".repeat(5000).into())),
            "intend and fail" => {
                context.intend("half-made");
                Err(Error::Event("no".to_owned()))
            }
            "complain" => Err(Error::Event("\"no\" ".repeat(2000))),
            "panic" => panic!("private-key-material"),
            "panic holding an intention" => {
                context.intend("half-made");
                panic!("private-key-material")
            }
            "hang" => std::future::pending().await,
            _ => Err(Error::Event("no".to_owned())),
        }
    }
}

impl Resource for Obedient {
    const TYPE: &'static str = "Custom::Obedient";
    type Properties = Order;

    async fn create(&self, order: Order, context: &Context) -> Result<Outcome> {
        Self::obey(order, context).await
    }

    async fn update(
        &self,
        _: &str,
        order: Order,
        old: Option<Order>,
        context: &Context,
    ) -> Result<Outcome> {
        assert!(old.is_some());
        Self::obey(order, context).await
    }

    async fn delete(&self, id: &str, order: Option<Order>, context: &Context) -> Result<()> {
        if id.starts_with("failed-create/") {
            return Ok(());
        }
        match order {
            Some(order) => Self::obey(order, context).await.map(drop),
            None => Ok(()),
        }
    }
}

async fn create(what: &str) -> Value {
    handle(Obedient, request("Create", None, json!({ "Do": what })), &Cloud::new()).await
}

#[tokio::test(start_paused = true)]
async fn answers_success_with_data() {
    let answer = create("succeed").await;
    assert_eq!(
        answer,
        json!({
            "Status": "SUCCESS",
            "PhysicalResourceId": "made",
            "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/S/1b2c3d4e",
            "RequestId": "5a1b",
            "LogicalResourceId": "Resource1",
            "Data": { "Value": "v" },
        })
    );
}

#[tokio::test(start_paused = true)]
async fn sends_the_answer_as_the_url_was_signed() {
    let cloud = Cloud::new();
    handle(Obedient, request("Create", None, json!({ "Do": "succeed" })), &cloud).await;
    let seen = &cloud.seen()[0];
    assert_eq!(seen.uri, RESPONSE_URL);
    assert_eq!(seen.header("content-type"), Some(""));
    assert_eq!(seen.header("content-length"), Some(seen.body.len().to_string().as_str()));
}

#[tokio::test(start_paused = true)]
async fn answers_an_error_with_its_reason() {
    let answer = create("fail").await;
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(answer["Reason"], "the event is not one for this function: no");
    assert_eq!(answer["PhysicalResourceId"], "failed-create/2026/11/21/[$LATEST]abc");
}

#[tokio::test(start_paused = true)]
async fn answers_with_the_id_under_which_something_may_exist() {
    assert_eq!(create("intend and fail").await["PhysicalResourceId"], "half-made");
    assert_eq!(create("panic holding an intention").await["PhysicalResourceId"], "half-made");
}

#[tokio::test(start_paused = true)]
async fn answers_after_a_panic_without_repeating_what_it_said() {
    let answer = create("panic").await;
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(answer["Reason"], "the function panicked: its log has the details");
}

#[tokio::test(start_paused = true)]
async fn answers_before_lambda_stops_the_function() {
    let deadline = invocation().deadline;
    let answer = create("hang").await;
    assert_eq!(answer["Status"], "FAILED");
    assert!(answer["Reason"].as_str().unwrap().contains("raise the timeout"));
    assert!(Instant::now() < deadline);
}

#[tokio::test(start_paused = true)]
async fn turns_an_answer_that_is_too_long_into_a_failure() {
    let answer = create("talk").await;
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(answer["PhysicalResourceId"], "made");
    assert!(answer.get("Data").is_none());
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.ends_with("bytes: CloudFormation reads at most 4096"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn shortens_a_reason_that_is_too_long() {
    let cloud = Cloud::new();
    handle(Obedient, request("Create", None, json!({ "Do": "complain" })), &cloud).await;
    let body = &cloud.seen()[0].body;
    assert!((4000..=4096).contains(&body.len()), "{}", body.len());
    assert!(cloud.seen()[0].json()["Reason"].as_str().unwrap().ends_with('…'));
}

#[tokio::test(start_paused = true)]
async fn keeps_the_physical_id_when_an_update_fails() {
    let mut event = request("Update", Some("known"), json!({ "Do": "intend and fail" }));
    event["OldResourceProperties"] = json!({ "Do": "succeed", "ServiceToken": "t" });
    let answer = handle(Obedient, event, &Cloud::new()).await;
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(answer["PhysicalResourceId"], "known");
}

#[tokio::test(start_paused = true)]
async fn deletes_what_was_never_made() {
    let id = create("fail").await["PhysicalResourceId"].as_str().unwrap().to_owned();
    let event = request("Delete", Some(&id), json!({ "Do": "fail" }));
    let answer = handle(Obedient, event, &Cloud::new()).await;
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(answer["PhysicalResourceId"], id);
}

#[tokio::test(start_paused = true)]
async fn answers_wrong_properties_and_lets_them_be_deleted() {
    let event = request("Create", None, json!({ "Do": "succeed", "Other": "x" }));
    let answer = handle(Obedient, event, &Cloud::new()).await;
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(
        answer["Reason"],
        "properties of Custom::Obedient are not valid: unknown field `Other`, expected `Do`"
    );
    let event = request("Delete", Some("x"), json!({ "Other": "x" }));
    assert_eq!(handle(Obedient, event, &Cloud::new()).await["Status"], "SUCCESS");
}

#[tokio::test(start_paused = true)]
async fn tries_again_when_the_answer_is_not_taken() {
    let cloud = Cloud::new();
    cloud.on("PUT", RESPONSE_URL, Reply::empty(503));
    cloud.on("PUT", RESPONSE_URL, Reply::Never);
    let event = request("Create", None, json!({ "Do": "succeed" }));
    try_handle(Obedient, event, &cloud).await.unwrap();
    assert_eq!(cloud.asked("PUT", RESPONSE_URL).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn gives_up_an_answer_in_time_and_never_names_the_url() {
    for (reply, attempts) in [(Reply::Never, 3), (Reply::empty(403), 1)] {
        let cloud = Cloud::new();
        cloud.on("PUT", RESPONSE_URL, reply);
        let resource = CustomResource::new(Obedient, &crate::testing::aws(&cloud));
        let invocation = invocation();
        let deadline = invocation.deadline;
        // The slowest case: the work uses all of its time before the answer does.
        let event = request("Create", None, json!({ "Do": "hang" }));
        let error = resource.call(event, invocation).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot answer CloudFormation after {attempts}")));
        assert!(!error.contains("Signature"), "{error}");
        assert!(Instant::now() + Duration::from_millis(500) < deadline);
        assert_eq!(cloud.seen().len(), attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn fails_when_it_is_not_told_where_to_answer() {
    for field in ["ResponseURL", "StackId", "RequestId", "LogicalResourceId", "RequestType"] {
        let mut event = request("Create", None, json!({ "Do": "succeed" }));
        event.as_object_mut().unwrap().remove(field);
        let error = try_handle(Obedient, event, &Cloud::new()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the event is not one for this function: it has no text `{field}`")
        );
    }
}
