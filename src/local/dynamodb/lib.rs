//! DynamoDB of the local cloud, on an embedded engine.
//!
//! Does: tables with indexes, items, conditions and updates, queries and scans,
//! batches, transactions, PartiQL, streams, time to live. All of it is the work of
//! the `dynoxide` library on SQLite, in memory or as a file in the state folder;
//! nothing of that library is visible outside of this crate.
//!
//! Does not: backups, global tables, exports and imports, capacity limits; these
//! are refused by name. With a state folder items expire by the machine's time,
//! without one by the cloud's clock.
//!
//! Invariants: the engine is only called on threads that may block; ARNs carry
//! the account and region of the cloud, whatever the engine writes.

mod arn;
mod engine;
mod resource;
mod service;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, StoreError};

/// Opens the tables and registers the service, its resource type and its port.
///
/// # Errors
/// [`StoreError`] if the tables on disk cannot be opened.
pub fn install(cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    let service = Arc::new(service::DynamoDb::open(cloud)?);
    cloud.services.add(service.clone());
    cloud.ports.serve_tables(service.clone());
    cloud.add_resource(Arc::new(resource::TableType(service.clone())));
    service.sweep_every_minute(&cloud.clock);
    Ok(())
}
