//! Taking resources away: a whole stack, what an update left out, what failed.
//!
//! A resource goes after those that need it. What its policy keeps is skipped.
//! Where one cannot be deleted, those that it needs stay as well.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::Value;

use super::apply::{provider, request, resolved};
use super::order::in_order;
use super::provider::Failure;
use super::{Run, ended, nested};
use crate::state::{Leftover, Resource, ResourceStatus, StackStatus, put_head, put_resource};

/// Deletes a stack whose deletion was begun. True if it is gone.
pub async fn stack(run: &Run, forced: bool) -> bool {
    let mut doomed: Vec<Doomed> = Vec::new();
    let found = run.ledger.look(|stack| {
        let resources: Vec<Resource> =
            stack.resources.values().filter(|resource| resource.status.exists()).cloned().collect();
        (resources, stack.head.leftovers.clone(), stack.head.retained.clone())
    });
    let Some((resources, leftovers, retained)) = found else { return true };
    for resource in resources {
        let is_kept = retained.contains(&resource.logical_id)
            || matches!(
                resource.deletion_policy.as_deref(),
                Some("Retain" | "RetainExceptOnCreate")
            );
        doomed.push(Doomed { resource, is_record: true, is_kept });
    }
    doomed.extend(leftovers.into_iter().map(Doomed::from));
    let failed = all(run, doomed, false).await;
    ended(&run.ledger.engine, &run.ledger.id);
    if !failed.is_empty() && !forced {
        let reason =
            format!("The following resource(s) failed to delete: [{}]. ", failed.join(", "));
        let _ = run.ledger.status(StackStatus::DeleteFailed, Some(reason));
        return false;
    }
    // The name is free before the end is told: whoever hears of it may use it.
    run.ledger.engine.free_name(&run.ledger.id);
    let _ = run.ledger.change(|stack, batch| {
        stack.head.leftovers.clear();
        stack.stable = None;
        put_head(batch, stack);
    });
    let _ = run.ledger.status(StackStatus::DeleteComplete, None);
    run.ledger.engine.forget_oldest(&run.ledger.cloud);
    true
}

/// Deletes what belongs to the stack no more: what was replaced, and resources for
/// which `stays` says no. Their records go in any case. Gives what failed.
///
/// Where the way forward failed, resources that are new `go_as_new`: policies that
/// keep what has been in use say less about them.
pub async fn what_left(run: &Run, go_as_new: bool, stays: impl Fn(&str) -> bool) -> Vec<String> {
    let spares_nothing = run.ledger.look(|stack| stack.head.retain_except_on_create);
    let spares_nothing = spares_nothing.unwrap_or_default();
    let found = run.ledger.look(|stack| {
        let resources: Vec<Resource> = stack
            .resources
            .values()
            .filter(|resource| !stays(&resource.logical_id))
            .cloned()
            .collect();
        (resources, stack.head.leftovers.clone())
    });
    let Some((resources, leftovers)) = found else { return Vec::new() };
    let doomed = resources.into_iter().map(|resource| {
        let is_kept = match resource.deletion_policy.as_deref() {
            Some(_) if go_as_new && resource.status.is_import() => true,
            Some("Retain") => !(go_as_new && spares_nothing),
            Some("RetainExceptOnCreate") => !go_as_new,
            _ => false,
        };
        Doomed { resource, is_record: true, is_kept }
    });
    all(run, doomed.chain(leftovers.into_iter().map(Doomed::from)).collect(), true).await
}

/// Deletes the resources of a stack that was not to be. Of what is kept by policy only
/// goes what `spares_nothing` or its policy says. Gives what failed.
pub async fn after_creation(run: &Run, spares_nothing: bool) -> Vec<String> {
    let found = run.ledger.look(|stack| {
        let resources: Vec<Resource> =
            stack.resources.values().filter(|resource| resource.status.exists()).cloned().collect();
        (resources, stack.head.leftovers.clone())
    });
    let Some((resources, leftovers)) = found else { return Vec::new() };
    let doomed = resources.into_iter().map(|resource| {
        let is_kept = resource.status.is_import()
            || (resource.deletion_policy.as_deref() == Some("Retain") && !spares_nothing);
        Doomed { resource, is_record: true, is_kept }
    });
    all(run, doomed.chain(leftovers.into_iter().map(Doomed::from)).collect(), false).await
}

/// Deletes a resource that an update is about to replace.
///
/// # Errors
/// Why it could not be deleted.
pub async fn old(run: &Run, resource: &Resource) -> Result<(), String> {
    run.ledger.tell(resource, ResourceStatus::DeleteInProgress, None);
    delete(run, resource).await.inspect_err(|reason| {
        run.ledger.tell(resource, ResourceStatus::DeleteFailed, Some(reason));
    })?;
    run.ledger.tell(resource, ResourceStatus::DeleteComplete, None);
    Ok(())
}

/// Deletes what is left of a resource that was never made, without telling. What
/// cannot be deleted shows when the resource is made again.
pub async fn quietly(run: &Run, resource: &Resource) {
    if let Err(reason) = delete(run, resource).await {
        tracing::debug!(resource = resource.logical_id, reason, "not deleted");
    }
}

/// Something that is to be deleted.
#[derive(Clone)]
struct Doomed {
    resource: Resource,
    /// Whether the stack has a record of it under its logical id.
    is_record: bool,
    is_kept: bool,
}

impl From<Leftover> for Doomed {
    fn from(leftover: Leftover) -> Self {
        Doomed { resource: leftover.resource, is_record: false, is_kept: leftover.is_kept }
    }
}

/// Deletes all, each after what needs it; gives the logical ids of what failed.
async fn all(run: &Run, doomed: Vec<Doomed>, forgets: bool) -> Vec<String> {
    let mut named: BTreeMap<String, Doomed> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    for (number, one) in doomed.into_iter().enumerate() {
        // A resource and what it replaced may both go, and have one logical id.
        let name = if one.is_record {
            one.resource.logical_id.clone()
        } else {
            format!("{} {number}", one.resource.logical_id)
        };
        order.push(name.clone());
        named.insert(name, one);
    }
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, one) in &named {
        for needed in &one.resource.needs {
            users.entry(needed).or_default().push(name);
        }
    }
    // What it needs is deleted after whoever needs it.
    let waits: IndexMap<String, Vec<String>> = order
        .iter()
        .map(|name| {
            let own = named[name].resource.logical_id.as_str();
            let users = users.get(own).into_iter().flatten();
            (name.clone(), users.map(|user| (*user).to_owned()).collect())
        })
        .collect();
    let named = std::sync::Arc::new(named);
    let failed = in_order(
        &waits,
        || false,
        |name| {
            let (run, named) = (run.clone(), named.clone());
            async move {
                match named.get(&name) {
                    Some(one) => remove_one(&run, one, forgets).await,
                    None => true,
                }
            }
        },
    )
    .await;
    failed
        .iter()
        .map(|name| named.get(name).map_or(name, |one| &one.resource.logical_id).clone())
        .collect()
}

async fn remove_one(run: &Run, one: &Doomed, forgets: bool) -> bool {
    let tell = |status: ResourceStatus, reason: Option<&str>| {
        if one.is_record {
            run.ledger.record(&one.resource.logical_id, status, reason, |_| {});
        } else {
            run.ledger.tell(&one.resource, status, reason);
        }
    };
    let outcome = if one.is_kept {
        // A stack that nothing is outside of any more must not wait for it.
        nested::let_go(run, &one.resource).await;
        tell(ResourceStatus::DeleteSkipped, None);
        Ok(())
    } else {
        tell(ResourceStatus::DeleteInProgress, None);
        let outcome = delete(run, &one.resource).await;
        match &outcome {
            Ok(()) => tell(ResourceStatus::DeleteComplete, None),
            Err(reason) => tell(ResourceStatus::DeleteFailed, Some(reason)),
        }
        outcome
    };
    if forgets && one.is_record {
        let _ = run.ledger.change(|stack, batch| {
            stack.resources.shift_remove(&one.resource.logical_id);
            put_resource(batch, stack, &one.resource.logical_id);
        });
    }
    outcome.is_ok()
}

/// Asks the provider to delete a resource. One that has no name was never made.
async fn delete(run: &Run, resource: &Resource) -> Result<(), String> {
    if resource.physical_id.is_none() {
        return Ok(());
    }
    let properties = match resolved(run, &resource.kind, &resource.properties) {
        Ok(properties) => properties,
        // A secret that is gone must not keep its user alive.
        Err(_) => resource.properties.clone(),
    };
    let properties =
        if properties.is_object() { properties } else { Value::Object(Default::default()) };
    let request = request(run, resource, properties, &resource.stack_tags);
    let outcome = match provider(run, &resource.kind) {
        Ok(provider) => provider.delete(&run.context(), &request).await,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(()) => Ok(()),
        Err(Failure::Failed { reason, .. }) => Err(reason),
        Err(Failure::Replace) => {
            Err("the handler wants to replace what is to be deleted".to_owned())
        }
    }
}
