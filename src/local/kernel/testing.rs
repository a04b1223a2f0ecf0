//! For the tests of services: a cloud in memory with a clock stepped by hand.
//!
//! It has no services and no ports; a test installs what it needs. It is no
//! substitute for tests over the wire, which the gateway has.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{Account, Clock, Cloud, Fault, Store, Timestamp};

/// A cloud without services, in memory, at the first second of 2026, with a
/// clock that the test steps.
pub fn cloud() -> Arc<Cloud> {
    Cloud::new(Account::default(), Clock::stepped(Timestamp(1_767_225_600_000)), Store::memory())
}

/// Calls an operation and gives the members of its answer; the bytes of an
/// answer of bytes as a text.
///
/// # Errors
/// What the operation refuses.
pub async fn call(
    cloud: &Cloud,
    scope: &str,
    operation: &str,
    input: Value,
) -> Result<Value, Fault> {
    call_with_body(cloud, scope, operation, input, Bytes::new()).await
}

/// As [`call`], for operations that take bytes.
///
/// # Errors
/// What the operation refuses.
pub async fn call_with_body(
    cloud: &Cloud,
    scope: &str,
    operation: &str,
    input: Value,
    body: impl Into<Bytes>,
) -> Result<Value, Fault> {
    let at = cloud.clock.now();
    let reply = cloud.services.call(scope, operation, input, body.into(), at).await?;
    Ok(match reply.body {
        crate::Body::Members(members) => members,
        crate::Body::Bytes { bytes, .. } => json!(String::from_utf8_lossy(&bytes)),
    })
}
