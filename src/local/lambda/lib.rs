//! Lambda of the local cloud: functions as local processes.
//!
//! Does: functions from zips (custom runtimes, and Python and Node where their
//! interpreter is installed), run through the Lambda Runtime API on loopback with
//! time limit, session keys of their role, warm processes, reserved concurrency,
//! logs, metrics, asynchronous invocations with retries and destinations,
//! versions, aliases, permissions.
//!
//! Does not: layers, images, function URLs, code signing, provisioned
//! concurrency, event source mappings, extensions; these are refused by name. A
//! function is a process of this machine under this user: its folder is its own
//! and its environment is clean, but nothing keeps it from reading what the user
//! may read. Networks (`VpcConfig`) are stored and change nothing. Processes are
//! built for this machine, whatever `Architectures` says. Asynchronous
//! invocations that wait are lost when the cloud ends.
//!
//! Invariants: no lock is held while a process runs; no environment of a function
//! is logged; every process belongs to a group that ends with its worker.

mod archive;
mod code;
mod error;
mod event;
mod interpreter;
mod name;
mod operations;
mod policy;
mod pool;
mod port;
mod process;
mod record;
mod resource;
mod service;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, StoreError};

pub use error::Error;

/// Restores functions and registers the service, its resource types and its port.
///
/// # Errors
/// [`StoreError`] if the state on disk cannot be read.
pub fn install(cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    let lambda = service::Lambda::restore(cloud)?;
    cloud.services.add(lambda.clone());
    cloud.ports.serve_functions(Arc::new(port::Port(lambda.clone())));
    resource::register(cloud, &lambda);
    lambda.start();
    Ok(())
}
