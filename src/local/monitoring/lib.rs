//! CloudWatch and CloudWatch Logs of the local cloud.
//!
//! Does: log groups, streams, events, metric filters, subscription filters that send
//! lines to functions; metrics per minute with statistics, percentiles, metric math and searches; alarms that are
//! evaluated every minute of the cloud's clock and tell topics, functions and
//! the event bus; composite alarms; dashboards.
//!
//! Does not: anomaly detection, periods below a minute, insights queries, live
//! tails, metric streams; these are refused by name.
//! Groups, alarms and dashboards outlive the process; metrics, log lines and the
//! history of alarms live in memory, bounded, and are lost with it.
//!
//! Invariants: no lock is held while an action of an alarm runs or another
//! service is called; writing a metric never waits.

mod logs;
mod metrics;

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, StoreError};

/// Restores groups, alarms and dashboards and registers both services, their
/// resource types and their ports.
///
/// # Errors
/// [`StoreError`] if the state on disk cannot be read.
pub fn install(cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    logs::install(cloud)?;
    metrics::install(cloud)
}
