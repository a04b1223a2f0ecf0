//! The IoT control plane of the local cloud: things, types, groups,
//! certificates, policies, fleet provisioning, fleet indexing.
//!
//! Does: the registry with AWS's rules and limits; X.509 certificates issued by
//! an own authority ([`LocalCa`]); IoT policies, judged for every message of a
//! connection; provisioning by claim (JSON and CBOR over MQTT), by template
//! (`RegisterThing`) and just in time; fleet indexing with its query language,
//! dynamic groups and fleet metrics; registry events; the CloudFormation types
//! of all of these.
//!
//! Does not: transfer certificates between accounts, run bulk registration
//! tasks, know software packages, custom authorizers, domains or Device
//! Defender. Those are refused by name.
//!
//! Invariants: private keys of devices are never kept. Every change is stored in
//! one batch with all that it touches. No lock is held while another service is
//! called or the bus is told.

mod api;
mod authority;
mod ca;
mod core;
mod events;
mod fault;
mod index;
mod policy;
mod port;
mod provisioning;
mod resources;
mod search;
mod state;
mod x509;

#[doc(hidden)]
pub mod fuzz;

use std::sync::Arc;
use std::time::Duration;

use iotstack_local_kernel::{Cloud, StoreError};

pub use ca::{LocalCa, ServerCertificate};
pub use search::FleetSearch;

/// Restores the registry and connects it to the cloud.
///
/// # Errors
/// [`StoreError`] if stored records cannot be read.
pub fn install(cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    start(cloud).map(drop)
}

/// As [`install`], and gives the authority whose certificate devices trust and
/// which certifies the server, and a way to search the fleet.
///
/// # Errors
/// [`StoreError`] if stored records cannot be read.
pub fn start(cloud: &Arc<Cloud>) -> Result<(Arc<LocalCa>, FleetSearch), StoreError> {
    start_with_delay(cloud, Duration::ZERO)
}

/// As [`start`], with a delay until a policy that has changed holds for devices.
///
/// # Errors
/// [`StoreError`] if stored records cannot be read.
pub fn start_with_delay(
    cloud: &Arc<Cloud>,
    policy_delay: Duration,
) -> Result<(Arc<LocalCa>, FleetSearch), StoreError> {
    let registry = core::Registry::restore(cloud, policy_delay)?;
    let ca = registry.ca.clone();
    cloud.services.add(registry.clone());
    cloud.ports.serve_registry(registry.clone());
    cloud.ports.serve_authority(registry.clone());
    cloud.ports.add_reserved(Arc::new(provisioning::Topics::new(registry.clone())));
    resources::add(cloud, &registry);
    core::background::start(cloud, &registry);
    Ok((ca, FleetSearch::new(registry)))
}

#[cfg(test)]
mod tests;
