//! AWS IoT Jobs of the local cloud: both planes and the reserved topics.
//!
//! The rules of the service are those of `iotstack-jobs`, a state machine without
//! I/O. This crate gives it a clock, a store, the registry's groups, and wires: the
//! control plane (`iot`), the data plane over HTTP (`iot-jobs-data`), and
//! `$aws/things/+/jobs/#`. Presigned URLs are put into documents when a device asks.
//!
//! OTA updates (`CreateOTAUpdate`) are jobs that the service makes itself.
//!
//! Not real: commands, which are refused, and the `$package` shadow of software
//! versions, which is left alone. Roles are not assumed to sign URLs. Requests are not
//! throttled by the account's quotas, only when the cloud itself is behind.
//!
//! Invariants: nobody is told of a change, and nobody gets an answer to it, before it
//! is stored. Messages leave in the order of the changes. No other service is called
//! while the engine is locked.

mod clock;
mod control;
mod data;
mod device;
mod error;
mod members;
mod ota;
mod outbox;
mod resources;
mod service;
mod tags;
mod topics;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, StoreError};

use crate::service::Jobs;

/// Puts the Jobs service into a cloud.
///
/// # Errors
/// If the stored jobs cannot be read.
pub fn install(cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    let (jobs, outgoing) = Jobs::restore(cloud)?;
    let control = Arc::new(control::Control { jobs: jobs.clone() });
    let updates = ota::Updates::restore(cloud, control.clone())?;
    cloud.ports.add_tagged(updates.clone());
    cloud.services.add(updates);
    cloud.services.add(control.clone());
    cloud.services.add(Arc::new(data::DataPlane { jobs: jobs.clone() }));
    cloud.ports.add_reserved(Arc::new(topics::Topics { jobs: jobs.clone() }));
    cloud.ports.add_tagged(jobs.clone());
    resources::register(cloud, &control);
    clock::hear(cloud, &jobs);
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        tracing::warn!("jobs rest: there is no runtime that could drive them");
        return Ok(());
    };
    runtime.spawn(outbox::send_all(Arc::downgrade(&jobs), outgoing));
    runtime.spawn(clock::drive(Arc::downgrade(&jobs), cloud.clock.clone()));
    Ok(())
}
