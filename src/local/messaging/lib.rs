//! SNS, SQS and EventBridge of the local cloud.
//!
//! Does: standard and FIFO queues with visibility, delay, dead letters and long
//! polling on the cloud's clock; topics with subscriptions of queues, functions,
//! HTTP endpoints on this machine and mail addresses, filter policies and raw
//! delivery; event buses with patterns, schedules, input transformers and targets.
//! What one resource sends to another needs the permission of the receiver's
//! policy, as on AWS.
//!
//! Does not: send mail or text messages (such subscriptions stay pending), archives,
//! API destinations, HTTPS endpoints; these are refused by name. Messages outlive
//! the process; the ids with which FIFO queues find doubles do not.
//!
//! Invariants: no lock is held while another service is called; a message is
//! confirmed only after it is stored.

mod events;
mod pattern;
mod policy;
mod queues;
mod topics;

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, StoreError};

/// Restores queues, topics and buses and registers the services, their resource
/// types and their ports.
///
/// # Errors
/// [`StoreError`] if the state on disk cannot be read.
pub fn install(cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    let queues = queues::install(cloud)?;
    let topics = topics::install(cloud, &queues)?;
    events::install(cloud, &queues, &topics)
}
