//! What was running when the process ended.
//!
//! Creations and updates are rolled back; rollbacks, clean-ups and deletions go
//! on. Whether a resource whose creation was running exists is not known: where
//! the template names it, it is deleted by that name; otherwise its event says
//! that it may have to be deleted by hand.
//!
//! This waits until the cloud can be reached, because all services are there
//! then and functions know where to answer.

use std::iter::successors;
use std::sync::{Arc, Weak};
use std::time::Duration;

use iotstack_local_kernel::Cloud;
use serde_json::Value;

use super::{Run, back, begin, remove};
use crate::Engine;
use crate::state::{ResourceStatus, Stack, StackStatus};

/// Takes up what was running, as soon as the cloud can be reached.
pub fn start(engine: &Arc<Engine>, cloud: &Arc<Cloud>) {
    let interrupted: Vec<String> = engine.read(|state| {
        let outer = |stack: &&Stack| state.stacks.get(stack.head.parent.as_ref()?);
        let mut found: Vec<(usize, String)> = state
            .stacks
            .values()
            .filter(|stack| stack.head.is_taken())
            .map(|stack| (successors(Some(stack), outer).count(), stack.head.id.clone()))
            .collect();
        // Inner stacks come first: the outer ones ask for them.
        found.sort_by(|one, other| other.cmp(one));
        found.into_iter().map(|(_, id)| id).collect()
    });
    if interrupted.is_empty() {
        return;
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        tracing::error!("interrupted stacks stay as they are: nothing can run here");
        return;
    };
    let (engine, cloud) = (engine.clone(), Arc::downgrade(cloud));
    runtime.spawn(async move {
        let Some(cloud) = reachable(&cloud).await else { return };
        for id in interrupted {
            tracing::info!(stack = id, "an interrupted operation is taken up");
            take_up(&engine, &cloud, &id).await;
        }
    });
}

async fn reachable(cloud: &Weak<Cloud>) -> Option<Arc<Cloud>> {
    loop {
        let cloud = cloud.upgrade()?;
        if !cloud.addresses().endpoint.ends_with(":0") {
            return Some(cloud);
        }
        drop(cloud);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn take_up(engine: &Arc<Engine>, cloud: &Arc<Cloud>, id: &str) {
    let run = begin::bare(engine, cloud, id);
    let Some(status) = run.ledger.look(|stack| stack.head.status) else { return };
    settle_unknown(&run);
    let reason = || "The local cloud was stopped during the operation. ".to_owned();
    match status {
        StackStatus::CreateInProgress => {
            back::undo_creation(&run, reason() + "Rollback requested by user.").await;
        }
        StackStatus::RollbackInProgress => back::undo_creation(&run, reason()).await,
        StackStatus::UpdateInProgress | StackStatus::UpdateRollbackInProgress => {
            back::undo_update(&run, reason(), &[]).await;
        }
        StackStatus::UpdateRollbackCompleteCleanupInProgress => back::clean_up(&run).await,
        StackStatus::UpdateCompleteCleanupInProgress => super::clean_up_again(&run.ledger).await,
        StackStatus::DeleteInProgress => {
            remove::stack(&run, false).await;
        }
        _ => {}
    }
}

/// Gives names to resources whose creation was running, as far as they are known.
fn settle_unknown(run: &Run) {
    let unknown = run.ledger.look(|stack| {
        stack
            .resources
            .values()
            .filter(|resource| {
                resource.status == ResourceStatus::CreateInProgress
                    && resource.physical_id.is_none()
            })
            .cloned()
            .collect::<Vec<_>>()
    });
    for resource in unknown.unwrap_or_default() {
        let facts = iotstack_schema::resource_type(&resource.kind);
        let name = facts.and_then(|facts| match facts.primary_identifier.as_slice() {
            [path] => resource.properties.get(*path.segments().first()?).and_then(Value::as_str),
            _ => None,
        });
        let name = name.map(str::to_owned).or_else(|| inner_stack(run, &resource.logical_id));
        let reason = match &name {
            Some(_) => "The local cloud was stopped while the resource was being made",
            None => {
                "The local cloud was stopped while the resource was being made; if it exists, it has to be deleted by hand"
            }
        };
        run.ledger.record(
            &resource.logical_id,
            ResourceStatus::CreateFailed,
            Some(reason),
            |record| record.physical_id = name,
        );
    }
}

/// The inner stack that was being made for a resource.
fn inner_stack(run: &Run, logical_id: &str) -> Option<String> {
    let prefix = format!("{}-{logical_id}-", run.name);
    run.ledger.engine.read(|state| {
        state
            .names
            .iter()
            .filter_map(|(name, id)| name.starts_with(&prefix).then(|| state.stacks.get(id))?)
            .find(|stack| stack.head.parent.as_ref() == Some(&run.ledger.id))
            .map(|stack| stack.head.id.clone())
    })
}
