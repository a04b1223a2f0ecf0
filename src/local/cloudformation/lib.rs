//! CloudFormation of the local cloud, as strict as AWS.
//!
//! What it does: stacks and change sets, all intrinsic functions, parameters,
//! conditions, rules, dynamic references, nested stacks, custom resources, wait
//! conditions, exports, replacement and update by the schemas' facts, rollback,
//! retention, and a history with reasons. Templates are judged by the rules of
//! `iotstack check`; a type that nobody serves here is refused by name before
//! anything is made.
//!
//! What it does not: import by name (what exists already is taken in where a change
//! set asks for `ImportExistingResources`), drift, stack sets, macros other than the
//! language extensions, modules, hooks, refactoring. The role of a stack is looked for and
//! not used. A creation or update that was running when the process ended is rolled back
//! at the next start.
//!
//! [`engine`] turns a request into a plan in pure steps, [`run`] executes plans,
//! [`state`] is what is kept, `api` speaks to clients.

mod api;
pub mod engine;
mod error;
pub mod run;
mod stacks;
pub mod state;

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, StoreError};

pub use error::{Error, Result};
pub use run::custom::{ANSWERS, respond};
pub use stacks::Engine;

/// Adds CloudFormation to a cloud.
///
/// # Errors
/// State that cannot be read.
pub fn install(cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    let engine = Engine::load(cloud)?;
    cloud.services.add(Arc::new(api::CloudFormation::new(engine.clone())));
    run::resume::start(&engine, cloud);
    Ok(())
}

#[cfg(test)]
mod tests;
