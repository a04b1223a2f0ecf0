//! Which request means which operation: AWS's methods, paths and headers.
//!
//! Only tables stand here and in the files below, and the ways in which operations
//! are run and answered.

mod account;
mod certificates;
mod things;

use std::sync::Arc;

use iotstack_local_kernel::{BoxFuture, Call, Fault, Operation, Operations, Reply};
use serde_json::Value;

use super::refused;
use crate::core::{Changed, Registry};

/// All operations of the service.
pub fn all(registry: Arc<Registry>) -> Vec<Operation> {
    let table = things::add(Operations::of(registry));
    let table = certificates::add_attachments(certificates::add(table));
    let table = account::add_provisioning(account::add_indexing(account::add(table)));
    table.refusing("iot", refused::REFUSED).list()
}

type Table = Operations<Registry>;

/// An operation that only looks.
pub fn read(
    run: fn(&Registry, &Call) -> Result<Value, Fault>,
) -> impl Fn(&Registry, Call) -> Result<Reply, Fault> + Send + Sync + 'static {
    move |registry, call| run(registry, &call).map(Reply::from)
}

/// An operation that changes something: its answer waits until the change is stored.
pub fn write(
    run: fn(&Registry, &Call) -> Changed,
) -> impl Fn(Arc<Registry>, Call) -> BoxFuture<'static, Result<Reply, Fault>> + Send + Sync + 'static
{
    move |registry, call| {
        let outcome = run(&registry, &call);
        Box::pin(stored(outcome))
    }
}

/// The answer to a change, when it is stored.
pub async fn stored(outcome: Changed) -> Result<Reply, Fault> {
    let (members, commit) = outcome?;
    commit.stored().await?;
    Ok(Reply::from(members))
}
