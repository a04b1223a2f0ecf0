//! Custom resources: the user's own function makes them, and answers by a PUT
//! to an address that it was sent.
//!
//! The function is called through the port of functions; [`respond`] is where
//! the gateway brings the answers. A function that ends with an error is called
//! twice more, as AWS does with events; where AWS would then wait for an answer
//! that never comes, the failure is told at once, with the function's own words.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use iotstack_local_kernel::{Cloud, ResourceRequest, ResourceState, id};
use serde_json::{Map, Value, json};
use tokio::sync::{oneshot, watch};

use super::provider::{Context, Failure};
use super::wait;
use crate::engine::judge::as_texts;

/// Brings the answer of a custom resource, or the signal of a wait condition.
/// False if nobody waits for it under this token.
pub fn respond(token: &str, body: &[u8]) -> bool {
    let waiting = WAITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(token);
    match waiting {
        // The operation may have been given up in this moment; then nobody listens.
        Some(answer) => answer.send(body.to_vec()).is_ok(),
        None => wait::signal(token, body),
    }
}

/// Makes a custom resource.
///
/// # Errors
/// What the function said, or that it said nothing.
pub async fn create(
    context: &Context,
    request: &ResourceRequest,
) -> Result<ResourceState, Failure> {
    // So that a failed creation can be taken back even if the function gave no name.
    let fallback = format!("{}-{}-{}", request.stack_name, request.logical_id, id::capitals(12));
    ask(context, request, "Create", None, Some(fallback)).await
}

/// Changes a custom resource.
///
/// # Errors
/// What the function said, or that it said nothing.
pub async fn update(
    context: &Context,
    request: &ResourceRequest,
) -> Result<ResourceState, Failure> {
    ask(context, request, "Update", request.previous.as_ref(), None).await
}

/// Deletes a custom resource.
///
/// # Errors
/// What the function said, or that it said nothing.
pub async fn delete(context: &Context, request: &ResourceRequest) -> Result<(), Failure> {
    ask(context, request, "Delete", None, None).await.map(|_| ())
}

/// The address to which an answer goes.
pub fn address(cloud: &Cloud, token: &str) -> String {
    format!("{}{ANSWERS}{token}", cloud.addresses().endpoint)
}

/// The path of that address, before the token.
pub const ANSWERS: &str = "/_iotstack/cfn-response/";

static WAITING: LazyLock<Mutex<HashMap<String, oneshot::Sender<Vec<u8>>>>> =
    LazyLock::new(Mutex::default);

/// Forgets the answer that nobody waits for any more.
struct Waiting(String);

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(&self.0);
    }
}

/// Calls the function and waits for its answer. What a function that was reached may
/// have made is called `fallback`, unless it says how.
async fn ask(
    context: &Context,
    request: &ResourceRequest,
    kind: &str,
    previous: Option<&Value>,
    fallback: Option<String>,
) -> Result<ResourceState, Failure> {
    let Some(function) = request.properties.get("ServiceToken").and_then(Value::as_str) else {
        return Err(Failure::of("a custom resource needs a ServiceToken, the ARN of a function"));
    };
    let token = id::uuid();
    let request_id = id::uuid();
    let (send, mut answer) = oneshot::channel();
    WAITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(token.clone(), send);
    let _waiting = Waiting(token.clone());
    let event = event(context, request, (kind, &token, &request_id), previous);
    let payload = Bytes::from(event.to_string());
    let functions = context.cloud.ports.functions().map_err(|fault| Failure::of(fault.message))?;
    let limit = time_limit(&request.properties);
    let mut cancelled = context.cancelled.clone();
    let working = watch::Sender::new(true);
    let late = too_late(&context.cloud, limit, working.subscribe());
    let calls = async {
        let mut last = String::new();
        for _ in 0..CALLS {
            let outcome = functions.invoke(function, payload.clone()).await;
            working.send_replace(outcome.as_ref().is_ok_and(|invoked| invoked.error.is_some()));
            // An answer that came while the function ended is looked at first.
            tokio::task::yield_now().await;
            match outcome {
                Err(fault) => return (fault.message, false),
                // It may answer later, from somewhere else.
                Ok(invoked) if invoked.error.is_none() => std::future::pending::<()>().await,
                Ok(invoked) => last = String::from_utf8_lossy(&invoked.payload).into_owned(),
            }
        }
        let told = "the function ended with an error";
        (format!("{told} {CALLS} times and gave no answer: {last}"), true)
    };
    let failed = |reason: String| Failure::Failed { reason, physical_id: fallback.clone() };
    tokio::select! {
        biased;
        body = &mut answer => {
            let body = body.map_err(|_| Failure::of("the answer was lost"))?;
            read(&body, request, &request_id, kind).map_err(|failure| match failure {
                Failure::Failed { reason, physical_id: None } => failed(reason),
                other => other,
            })
        }
        () = given_up(&mut cancelled), if kind != "Delete" => {
            let what = if kind == "Create" { "creation" } else { "update" };
            Err(failed(format!("Resource {what} cancelled")))
        }
        (reason, is_reached) = calls => {
            let reason = format!("{reason} (RequestId: {request_id})");
            Err(if is_reached { failed(reason) } else { Failure::of(reason) })
        }
        () = late => Err(failed(format!(
            "CloudFormation did not receive a response from your Custom Resource within {} seconds (RequestId: {request_id})",
            limit.as_secs()
        ))),
    }
}

/// Waits until the time for an answer is over. The limit counts on the cloud's clock,
/// which may run faster than the machine's; a function that is working has the same
/// limit on the machine's clock, as it cannot work faster.
async fn too_late(cloud: &Cloud, limit: Duration, mut working: watch::Receiver<bool>) {
    let real = tokio::time::sleep(limit);
    cloud.clock.sleep(limit).await;
    tokio::select! {
        () = real => {}
        _ = working.wait_for(|working| !working) => {}
    }
    tokio::task::yield_now().await;
}

/// Waits until the operation is given up.
pub async fn given_up(cancelled: &mut watch::Receiver<Option<String>>) {
    if cancelled.wait_for(Option::is_some).await.is_err() {
        // Whoever could give it up is gone, so nobody will.
        std::future::pending::<()>().await;
    }
}

fn event(
    context: &Context,
    request: &ResourceRequest,
    (kind, token, request_id): (&str, &str, &str),
    previous: Option<&Value>,
) -> Value {
    let mut event = json!({
        "RequestType": kind,
        "ServiceToken": request.properties.get("ServiceToken"),
        "ResponseURL": address(&context.cloud, token),
        "StackId": request.stack_id,
        "RequestId": request_id,
        "LogicalResourceId": request.logical_id,
        "ResourceType": request.type_name,
        "ResourceProperties": as_texts(&request.properties),
    });
    if let Some(physical_id) = request.physical_id.as_ref().filter(|_| kind != "Create") {
        event["PhysicalResourceId"] = json!(physical_id);
    }
    if let Some(previous) = previous {
        event["OldResourceProperties"] = as_texts(previous);
    }
    event
}

/// What an answer means.
fn read(
    body: &[u8],
    request: &ResourceRequest,
    request_id: &str,
    kind: &str,
) -> Result<ResourceState, Failure> {
    if body.len() > LARGEST_ANSWER {
        return Err(Failure::of(format!(
            "Response object is too long: {} bytes, and {LARGEST_ANSWER} are accepted",
            body.len()
        )));
    }
    let answer: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| Failure::of(format!("Error parsing response object: {error}")))?;
    let text =
        |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let physical_id = text("PhysicalResourceId").map(str::to_owned);
    match text("Status") {
        Some("SUCCESS") => {}
        Some("FAILED") => {
            let reason = text("Reason").unwrap_or("no reason given");
            return Err(Failure::Failed {
                reason: format!(
                    "Received response status [FAILED] from custom resource. Message returned: {reason} (RequestId: {request_id})"
                ),
                physical_id,
            });
        }
        other => {
            return Err(Failure::Failed {
                reason: format!(
                    "Invalid response status {}; SUCCESS and FAILED are accepted",
                    other.unwrap_or("(none)")
                ),
                physical_id,
            });
        }
    }
    for (name, expected) in [
        ("StackId", request.stack_id.as_str()),
        ("LogicalResourceId", &request.logical_id),
        ("RequestId", request_id),
    ] {
        // A function that leaves them out means the request that it answers.
        if text(name).is_some_and(|found| found != expected) {
            return Err(Failure::Failed {
                reason: format!("Invalid response: its {name} is not that of the request"),
                physical_id,
            });
        }
    }
    let kept = request.physical_id.clone().filter(|_| kind == "Delete");
    let Some(physical_id) = physical_id.or(kept) else {
        return Err(Failure::of("Invalid PhysicalResourceId: the response has none"));
    };
    let mut attributes = BTreeMap::new();
    if let Some(Value::Object(data)) = answer.get("Data") {
        flatten("", data, &mut attributes);
    }
    Ok(ResourceState { physical_id, attributes })
}

/// What lies inside an object can be asked for with dots.
fn flatten(prefix: &str, data: &Map<String, Value>, attributes: &mut BTreeMap<String, Value>) {
    for (key, value) in data {
        let name = format!("{prefix}{key}");
        if let Value::Object(inner) = value {
            flatten(&format!("{name}."), inner, attributes);
        }
        attributes.insert(name, value.clone());
    }
}

fn time_limit(properties: &Value) -> Duration {
    let given = match properties.get("ServiceTimeout") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => other.as_u64(),
        None => None,
    };
    Duration::from_secs(given.unwrap_or(LONGEST).clamp(1, LONGEST))
}

/// The seconds that a custom resource may take.
const LONGEST: u64 = 3600;

/// How often a function that fails is called in all.
const CALLS: usize = 3;

/// The bytes of an answer.
const LARGEST_ANSWER: usize = 4096;
