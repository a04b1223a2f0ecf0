//! The way back: a new stack is taken away, an old one becomes what it was.
//!
//! What an old stack was is known as a copy of its resources. Each resource that
//! differs from its copy is changed back; one that was replaced gets its old self
//! back, which still exists, and the new self is deleted at the end. So it does
//! not matter how far the way forward came, nor whether the way back was begun
//! before.

use std::sync::Arc;

use indexmap::IndexMap;
use iotstack_local_kernel::ResourceState;

use super::apply::{provider, request, resolved, update};
use super::ledger::STACK_TYPE;
use super::order::in_order;
use super::provider::Failure;
use super::{Run, ended, nested, remove};
use crate::state::{
    Leftover, Resource, ResourceStatus, Stable, StackStatus, put_definition, put_head, put_resource,
};

/// Takes away what was made of a new stack.
pub async fn undo_creation(run: &Run, reason: String) {
    let spares_nothing = run.ledger.look(|stack| stack.head.retain_except_on_create);
    let _ = run.ledger.status(StackStatus::RollbackInProgress, Some(reason));
    let failed = remove::after_creation(run, spares_nothing.unwrap_or_default()).await;
    ended(&run.ledger.engine, &run.ledger.id);
    if failed.is_empty() {
        let _ = run.ledger.change(|stack, batch| {
            stack.head.leftovers.clear();
            stack.head.outputs.clear();
            stack.head.imports.clear();
            put_head(batch, stack);
        });
        let _ = run.ledger.status(StackStatus::RollbackComplete, None);
    } else {
        let reason =
            format!("The following resource(s) failed to delete: [{}]. ", failed.join(", "));
        let _ = run.ledger.status(StackStatus::RollbackFailed, Some(reason));
    }
}

/// Takes an old stack back to its last good state. Resources of `skip` are taken
/// for being there already.
pub async fn undo_update(run: &Run, reason: String, skip: &[String]) {
    let Some(stable) = run.ledger.look(|stack| stack.stable.clone()).flatten() else {
        return undo_creation(run, reason).await;
    };
    let _ = run.ledger.status(StackStatus::UpdateRollbackInProgress, Some(reason));
    for id in skip {
        if let Some(target) = stable.resources.get(id) {
            put_back(run, target);
        }
    }
    let waits: IndexMap<String, Vec<String>> = stable
        .resources
        .values()
        .filter(|resource| resource.status.exists())
        .map(|resource| (resource.logical_id.clone(), resource.needs.clone()))
        .collect();
    let failed = in_order(
        &waits,
        || false,
        |id| {
            let (run, stable) = (run.clone(), stable.clone());
            let is_skipped = skip.contains(&id);
            async move { is_skipped || restore(&run, &stable, &id).await }
        },
    )
    .await;
    ended(&run.ledger.engine, &run.ledger.id);
    if failed.is_empty() {
        settle(run, &stable);
        let status = StackStatus::UpdateRollbackCompleteCleanupInProgress;
        let _ = run.ledger.status(status, None);
        clean_up(run).await;
    } else {
        let reason =
            format!("The following resource(s) failed to update: [{}]. ", failed.join(", "));
        let _ = run.ledger.status(StackStatus::UpdateRollbackFailed, Some(reason));
    }
}

/// Deletes what the failed update had made; the stack is what it was in any case.
pub async fn clean_up(run: &Run) {
    let stable = run.ledger.look(|stack| stack.stable.clone()).flatten();
    let stays = |id: &str| stable.as_ref().is_none_or(|stable| stable.resources.contains_key(id));
    let failed = remove::what_left(run, true, stays).await;
    let _ = run.ledger.change(|stack, batch| {
        stack.stable = None;
        stack.head.leftovers.clear();
        stack.head.serves_outer = false;
        put_definition(batch, stack);
    });
    let reason = (!failed.is_empty())
        .then(|| "Rollback successful. One or more resources could not be deleted.".to_owned());
    let _ = run.ledger.status(StackStatus::UpdateRollbackComplete, reason);
}

/// The stack is again made from what it was made from.
fn settle(run: &Run, stable: &Arc<Stable>) {
    let _ = run.ledger.change(|stack, batch| {
        stack.definition = Some(stable.definition.clone());
        stack.head.outputs.clone_from(&stable.outputs);
        stack.head.imports.clone_from(&stable.imports);
        put_definition(batch, stack);
    });
}

/// Brings one resource back to what it was. False if that failed.
async fn restore(run: &Run, stable: &Stable, id: &str) -> bool {
    let target = &stable.resources[id];
    let Some(current) = run.ledger.resource(id) else {
        put_back(run, target);
        return true;
    };
    if current.physical_id != target.physical_id {
        return swap(run, target, &current).await;
    }
    let is_touched = nested::is_ahead(run, &current)
        || current.status.has_failed()
        || current.status.as_str().ends_with("_IN_PROGRESS")
        || current.properties != target.properties
        || current.stack_tags != target.stack_tags;
    if !is_touched {
        put_back(run, target);
        return true;
    }
    run.ledger.record(id, ResourceStatus::UpdateInProgress, None, |_| {});
    let outcome = if target.kind == STACK_TYPE {
        nested::take_back(run, &current).await
    } else {
        match resolved(run, &target.kind, &target.properties) {
            Ok(properties) => update(run, &current, target, properties).await,
            Err(reason) => Err(Failure::of(reason)),
        }
    };
    match outcome {
        Ok(state) => is_again(run, target, state),
        // What cannot be changed back in place is made anew.
        Err(Failure::Replace) => make_again(run, target, Some(&current)).await,
        Err(Failure::Failed { reason, .. }) => {
            run.ledger.record(id, ResourceStatus::UpdateFailed, Some(&reason), |_| {});
            false
        }
    }
}

/// A replaced resource gets its old self back; the new one is put aside.
async fn swap(run: &Run, target: &Resource, current: &Resource) -> bool {
    let is_there = run.ledger.look(|stack| {
        stack.head.leftovers.iter().any(|leftover| {
            leftover.resource.logical_id == target.logical_id
                && leftover.resource.physical_id == target.physical_id
        })
    });
    if is_there != Some(true) {
        return make_again(run, target, Some(current)).await;
    }
    let id = &target.logical_id;
    run.ledger.record(id, ResourceStatus::UpdateInProgress, None, |_| {});
    let _ = run.ledger.change(|stack, batch| {
        stack.head.leftovers.retain(|leftover| {
            leftover.resource.logical_id != *id
                || leftover.resource.physical_id != target.physical_id
        });
        if current.physical_id.is_some() {
            stack.head.leftovers.push(Leftover { resource: current.clone(), is_kept: false });
        }
        stack.resources.insert(id.clone(), target.clone());
        put_head(batch, stack);
        put_resource(batch, stack, id);
    });
    run.ledger.record(id, ResourceStatus::UpdateComplete, None, |_| {});
    true
}

/// Makes a resource with its old properties, as its old self is gone.
async fn make_again(run: &Run, target: &Resource, current: Option<&Resource>) -> bool {
    let id = &target.logical_id;
    run.ledger.record(id, ResourceStatus::UpdateInProgress, None, |_| {});
    // The new self may have the old one's name.
    if let Some(current) = current {
        remove::quietly(run, current).await;
    }
    let outcome = match resolved(run, &target.kind, &target.properties) {
        Ok(properties) => {
            let request = request(run, target, properties, &target.stack_tags);
            match provider(run, &target.kind) {
                Ok(provider) => provider.create(&run.context(), &request).await,
                Err(failure) => Err(failure),
            }
        }
        Err(reason) => Err(Failure::of(reason)),
    };
    match outcome {
        Ok(state) => is_again(run, target, state),
        Err(failure) => {
            let reason = match failure {
                Failure::Failed { reason, .. } => reason,
                Failure::Replace => "the handler wants to replace what is new".to_owned(),
            };
            run.ledger.record(id, ResourceStatus::UpdateFailed, Some(&reason), |_| {});
            false
        }
    }
}

/// Writes down that a resource is what it was, under the name that it has now.
fn is_again(run: &Run, target: &Resource, state: ResourceState) -> bool {
    run.ledger.record(&target.logical_id, ResourceStatus::UpdateComplete, None, |record| {
        *record = target.clone();
        record.physical_id = Some(state.physical_id);
        record.attributes = state.attributes;
    });
    true
}

/// Writes a resource down as it was, without an event.
fn put_back(run: &Run, target: &Resource) {
    let _ = run.ledger.change(|stack, batch| {
        if stack.resources.get(&target.logical_id) != Some(target) {
            stack.resources.insert(target.logical_id.clone(), target.clone());
            put_resource(batch, stack, &target.logical_id);
        }
    });
}
