//! Wait conditions: a resource that is there when enough signals have come.
//!
//! The handle's name is the address of the signals. Signals come through the
//! same door as the answers of custom resources. They are not kept on disk: an
//! operation that waits does not outlive the process (see [`super::resume`]).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use indexmap::IndexMap;
use iotstack_local_kernel::{Cloud, ResourceRequest, ResourceState, id};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::custom::{address, given_up};
use super::provider::{Context, Failure};

/// Makes a handle.
pub fn open(cloud: &Cloud) -> ResourceState {
    let token = id::uuid();
    handles().insert(token.clone(), Arc::default());
    ResourceState::new(address(cloud, &token))
}

/// Forgets a handle.
pub fn close(handle: &str) {
    handles().remove(token_of(handle));
}

/// Brings a signal. False if there is no such handle.
pub fn signal(token: &str, body: &[u8]) -> bool {
    let Some(signals) = handles().get(token).cloned() else { return false };
    let signal: Signal = match serde_json::from_slice(body) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::debug!(%error, "a signal that cannot be read");
            return false;
        }
    };
    let mut heard = signals.heard.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if heard.len() < MOST_SIGNALS || heard.contains_key(&signal.id) {
        heard.insert(signal.id.clone(), signal);
    }
    drop(heard);
    signals.changed.notify_waiters();
    true
}

/// Waits until enough signals have come.
///
/// # Errors
/// A signal of failure, or too few in time.
pub async fn create(
    context: &Context,
    request: &ResourceRequest,
) -> Result<ResourceState, Failure> {
    let number = |name: &str| match request.properties.get(name) {
        Some(Value::String(text)) => text.parse::<u64>().ok(),
        Some(other) => other.as_u64(),
        None => None,
    };
    let handle = request.properties.get("Handle").and_then(Value::as_str).unwrap_or_default();
    let Some(signals) = handles().get(token_of(handle)).cloned() else {
        return Err(Failure::of(format!("`{handle}` is no WaitConditionHandle of this cloud")));
    };
    let count = usize::try_from(number("Count").unwrap_or(1)).unwrap_or(usize::MAX);
    let timeout = Duration::from_secs(number("Timeout").unwrap_or(0).min(LONGEST));
    let mut late = std::pin::pin!(context.cloud.clock.sleep(timeout));
    let mut cancelled = context.cancelled.clone();
    loop {
        // Asked for before the look, so that no signal falls between.
        let mut changed = std::pin::pin!(signals.changed.notified());
        changed.as_mut().enable();
        if let Some(data) = signals.enough(count)? {
            let state = ResourceState::new(format!(
                "{}-{}-{}",
                request.stack_name,
                request.logical_id,
                id::capitals(12)
            ));
            return Ok(state.with("Data", data));
        }
        tokio::select! {
            () = changed => {}
            () = &mut late => {
                let heard = signals.heard.lock().unwrap_or_else(|p| p.into_inner()).len();
                return Err(Failure::of(format!(
                    "WaitCondition timed out. Received {heard} conditions when expecting {count}"
                )));
            }
            () = given_up(&mut cancelled) => {
                return Err(Failure::of("Resource creation cancelled"));
            }
        }
    }
}

/// The signals of one handle.
#[derive(Debug, Default)]
struct Signals {
    heard: Mutex<IndexMap<String, Signal>>,
    changed: Notify,
}

impl Signals {
    /// What the signals said, if there are enough and none is a failure.
    fn enough(&self, count: usize) -> Result<Option<String>, Failure> {
        let heard = self.heard.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(bad) = heard.values().find(|signal| signal.status != "SUCCESS") {
            return Err(Failure::of(format!(
                "WaitCondition received failed message: '{}' for uniqueId: {}",
                bad.reason, bad.id
            )));
        }
        let data: Value =
            heard.values().map(|signal| (signal.id.clone(), json!(signal.data))).collect();
        Ok((heard.len() >= count).then(|| data.to_string()))
    }
}

#[derive(Debug, Deserialize)]
struct Signal {
    #[serde(rename = "Status")]
    status: String,
    #[serde(rename = "UniqueId")]
    id: String,
    #[serde(rename = "Reason", default)]
    reason: String,
    #[serde(rename = "Data", default)]
    data: String,
}

type Handles = HashMap<String, Arc<Signals>>;

fn handles() -> std::sync::MutexGuard<'static, Handles> {
    static HANDLES: LazyLock<Mutex<Handles>> = LazyLock::new(Mutex::default);
    HANDLES.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn token_of(handle: &str) -> &str {
    handle.rsplit('/').next().unwrap_or(handle)
}

/// The seconds that a condition may wait.
const LONGEST: u64 = 43_200;

/// How many different signals a handle remembers.
const MOST_SIGNALS: usize = 1000;
