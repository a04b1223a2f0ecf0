//! Lambda of the local cloud: functions as local processes.
//!
//! Does: functions from zips (custom runtimes, and Python and Node where their
//! interpreter is installed) through the Lambda Runtime API, with time limit, session
//! keys, warm processes, reserved concurrency, logs, metrics, events with retries and
//! destinations, queues as sources, versions, aliases and permissions. Does not, and
//! refuses by name: layers, images, URLs, code signing, extensions. A function
//! has its own folder and a clean environment, but nothing keeps it from reading what
//! its user may read; it is built for this machine, whatever `Architectures` says, and
//! `VpcConfig` changes nothing. Events that wait are lost when the cloud ends.
//!
//! Invariants: no lock is held while a process runs; no environment of a function
//! is logged; every process belongs to a group that ends with its worker.

mod archive;
mod code;
mod error;
mod event;
mod interpreter;
mod mapping;
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
mod table;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};

use iotstack_local_kernel::{Cloud, StoreError};

pub use error::Error;

/// The functions of a cloud, for whoever ends it.
#[derive(Clone)]
pub struct Functions(Weak<service::Lambda>);

impl Functions {
    /// Ends all idle processes and removes the folders in which they ran. What is
    /// stored stays; nothing can be invoked any more.
    pub fn end(&self) {
        if let Some(lambda) = self.0.upgrade() {
            lambda.end();
        }
    }
}

/// Restores functions and registers the service, its resource types and its port.
///
/// # Errors
/// [`StoreError`] if the state on disk cannot be read.
pub fn install(cloud: &Arc<Cloud>) -> Result<Functions, StoreError> {
    let lambda = service::Lambda::restore(cloud)?;
    cloud.services.add(lambda.clone());
    cloud.ports.serve_functions(Arc::new(port::Port(lambda.clone())));
    resource::register(cloud, &lambda);
    lambda.start();
    Ok(Functions(Arc::downgrade(&lambda)))
}
