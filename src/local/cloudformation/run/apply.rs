//! One resource on the way forward: made, changed, replaced, or left as it is.
//!
//! The record of a resource always says what was tried last, and what was replaced is
//! put aside in the same step in which its successor is written down, so that the way
//! back can begin after every line of this file.

use std::collections::BTreeMap;

use iotstack_assembly::diff::{PropertyChange, Replacement};
use iotstack_assembly::template::is_custom;
use iotstack_local_kernel::{ResourceRequest, ResourceState, id};
use iotstack_schema::ReplacementOrder;
use serde_json::Value;

use super::known::Existing;
use super::ledger::STACK_TYPE;
use super::provider::{Failure, Provider};
use super::{Run, remove};
use crate::engine::stack_policy::UpdateAction;
use crate::engine::{dynamic, judge, plan};
use crate::state::{Leftover, Resource, ResourceStatus, put_head, put_resource};

/// Brings one resource to what the template says. False if that failed; then
/// the whole operation is given up.
pub async fn apply(run: Run, logical_id: String) -> bool {
    let present = run.ledger.resource(&logical_id).filter(|resource| resource.status.exists());
    let done = match &present {
        Some(present) if !was_never_made(present) => {
            change(&run, present, wanted(&run, &logical_id)).await
        }
        _ => {
            if let Some(broken) = &present {
                // What a failed attempt left must not stand in the way of the next one.
                remove::quietly(&run, broken).await;
            }
            make(&run, &logical_id, wanted(&run, &logical_id)).await
        }
    };
    if !done {
        run.give_up(&logical_id);
    }
    done
}

/// A request for a resource of this run.
pub fn request(
    run: &Run,
    resource: &Resource,
    properties: Value,
    stack_tags: &BTreeMap<String, String>,
) -> ResourceRequest {
    ResourceRequest {
        type_name: resource.kind.clone(),
        logical_id: resource.logical_id.clone(),
        stack_name: run.name.clone(),
        stack_id: run.ledger.id.clone(),
        stack_tags: stack_tags.clone(),
        properties,
        previous: None,
        physical_id: resource.physical_id.clone(),
        token: id::uuid(),
    }
}

/// The properties as the handler gets them: dynamic references resolved.
pub fn resolved(run: &Run, kind: &str, properties: &Value) -> Result<Value, String> {
    if !dynamic::is_in(properties) {
        return Ok(properties.clone());
    }
    let mut resolved = dynamic::resolve(properties, &run.ledger.cloud)?;
    if let (Some(facts), Value::Object(map)) = (iotstack_schema::resource_type(kind), &mut resolved)
    {
        judge::coerce(facts, map);
    }
    Ok(resolved)
}

/// A resource as the template wants it.
struct Wanted {
    resource: Resource,
    /// The properties for the handler, or why there are none.
    resolved: Result<Value, String>,
}

fn wanted(run: &Run, logical_id: &str) -> Wanted {
    let prepared = &run.prepared;
    let declared = &prepared.template.resources[logical_id];
    let known = Existing::of(run);
    let scope = prepared.scope(&run.ledger.cloud.account, &run.name, &run.ledger.id, &known);
    let facts = iotstack_schema::resource_type(&declared.kind);
    let evaluated = scope.object(&declared.properties).map(|mut properties| {
        if let Some(facts) = facts {
            judge::coerce(facts, &mut properties);
        }
        properties
    });
    let (properties, outcome) = match evaluated {
        Err(reason) => (Value::Null, Err(reason)),
        Ok(properties) => {
            let judged = judge::judge(logical_id, &declared.kind, &properties);
            let properties = Value::Object(properties);
            let outcome = judged.and_then(|()| resolved(run, &declared.kind, &properties));
            (properties, outcome)
        }
    };
    let resource = Resource {
        logical_id: logical_id.to_owned(),
        kind: declared.kind.clone(),
        properties,
        stack_tags: prepared.definition.tags.clone(),
        needs: prepared.needs.get(logical_id).cloned().unwrap_or_default(),
        deletion_policy: declared.deletion_policy.clone(),
        replace_policy: declared.update_replace_policy.clone(),
        metadata: plan::metadata_of(declared),
        ..Resource::empty(run.ledger.cloud.clock.now())
    };
    Wanted { resource, resolved: outcome }
}

/// Whether a record stands for nothing that could be changed.
fn was_never_made(present: &Resource) -> bool {
    matches!(present.status, ResourceStatus::CreateFailed | ResourceStatus::CreateInProgress)
        || present.physical_id.is_none()
}

async fn make(run: &Run, id: &str, wanted: Wanted) -> bool {
    let Wanted { resource, resolved } = wanted;
    run.ledger.record(id, ResourceStatus::CreateInProgress, None, |record| {
        *record = resource.clone();
    });
    match create(run, &resource, resolved.clone()).await {
        Ok(state) => {
            made(run, id, state);
            finish(run, id, ResourceStatus::CreateComplete, ResourceStatus::CreateFailed)
        }
        Err(Failure::Failed { reason, .. })
            if reason.ends_with(EXISTS) && can_take_in(run, &resource).is_some() =>
        {
            take_in(run, resource, resolved).await
        }
        Err(Failure::Failed { reason, physical_id }) => {
            run.ledger.record(id, ResourceStatus::CreateFailed, Some(&reason), |record| {
                record.physical_id = physical_id;
            });
            false
        }
        Err(Failure::Replace) => {
            let reason = "the handler wants to replace a resource that is new";
            run.ledger.record(id, ResourceStatus::CreateFailed, Some(reason), |_| {});
            false
        }
    }
}

/// The name under which a resource that exists already can be taken in: the change
/// set must ask for that, the template must name and keep the resource, and no stack
/// may have it.
fn can_take_in<'r>(run: &Run, resource: &'r Resource) -> Option<&'r str> {
    let is_wanted = run.ledger.look(|stack| stack.head.takes_in)?;
    let facts = iotstack_schema::resource_type(&resource.kind)?;
    let [path] = facts.primary_identifier.as_slice() else { return None };
    let name = resource.properties.get(*path.segments().first()?)?.as_str()?;
    let is_free = !run.ledger.engine.read(|state| state.owns(&resource.kind, name));
    (is_wanted && is_free && keeps(&resource.deletion_policy)).then_some(name)
}

/// Takes a resource in that exists already: it becomes what the template says.
async fn take_in(run: &Run, resource: Resource, resolved: Result<Value, String>) -> bool {
    let id = &resource.logical_id;
    let name = can_take_in(run, &resource).map(str::to_owned);
    run.ledger.record(id, ResourceStatus::ImportInProgress, None, |record| {
        record.physical_id.clone_from(&name);
    });
    let outcome = match resolved {
        Ok(properties) => {
            let found = Resource {
                physical_id: name,
                properties: Value::Object(Default::default()),
                ..resource.clone()
            };
            update(run, &found, &resource, properties).await
        }
        Err(reason) => Err(Failure::of(reason)),
    };
    match outcome {
        Ok(state) => {
            run.ledger.amend(id, |record| {
                record.physical_id = Some(state.physical_id);
                record.attributes = state.attributes;
            });
            let stands =
                finish(run, id, ResourceStatus::ImportComplete, ResourceStatus::CreateFailed);
            if !stands {
                run.ledger.amend(id, |record| record.physical_id = None);
            }
            stands
        }
        Err(failure) => {
            let reason = match failure {
                Failure::Failed { reason, .. } => reason,
                Failure::Replace => "what exists cannot become what the template says".to_owned(),
            };
            // It was there before, so it is not the stack's to delete.
            run.ledger.record(id, ResourceStatus::CreateFailed, Some(&reason), |record| {
                record.physical_id = None;
            });
            false
        }
    }
}

/// How the refusal of a service ends that has the resource already.
const EXISTS: &str = "HandlerErrorCode: AlreadyExists)";

/// Asks the provider for a new resource.
async fn create(
    run: &Run,
    resource: &Resource,
    resolved: Result<Value, String>,
) -> Result<ResourceState, Failure> {
    let properties = resolved.map_err(Failure::of)?;
    let mut request = request(run, resource, properties, &resource.stack_tags);
    request.physical_id = None;
    provider(run, &resource.kind)?.create(&run.context(), &request).await
}

/// Writes down that a resource exists now, under its name.
fn made(run: &Run, id: &str, state: ResourceState) {
    const BEGUN: &str = "Resource creation Initiated";
    run.ledger.record(id, ResourceStatus::CreateInProgress, Some(BEGUN), |record| {
        record.physical_id = Some(state.physical_id);
        record.attributes = state.attributes;
    });
}

/// Writes down the end of the work on a resource. Where the operation was given
/// up meanwhile, that is no success.
fn finish(run: &Run, id: &str, good: ResourceStatus, bad: ResourceStatus) -> bool {
    if run.is_given_up() {
        let reason = match bad {
            ResourceStatus::CreateFailed => "Resource creation cancelled",
            _ => "Resource update cancelled",
        };
        run.ledger.record(id, bad, Some(reason), |_| {});
        return false;
    }
    run.ledger.record(id, good, None, |_| {});
    true
}

async fn change(run: &Run, present: &Resource, wanted: Wanted) -> bool {
    let Wanted { resource, resolved } = wanted;
    let id = &resource.logical_id.clone();
    let resolved = match resolved {
        Ok(resolved) => resolved,
        Err(reason) => {
            run.ledger.record(id, ResourceStatus::UpdateFailed, Some(&reason), |_| {});
            return false;
        }
    };
    let changes = plan::compare(&resource.kind, &present.properties, &resource.properties);
    let is_same = changes.is_empty()
        && !present.status.has_failed()
        && resource.kind != STACK_TYPE
        && (present.stack_tags == resource.stack_tags || !takes_tags(&resource.kind));
    if is_same {
        keep(run, present, resource);
        return true;
    }
    if let Some(reason) = refused(present, &resource, &changes) {
        run.ledger.record(id, ResourceStatus::UpdateFailed, Some(&reason), |_| {});
        return false;
    }
    if changes.iter().any(|change| change.replacement == Replacement::Always) {
        return replace(run, present, resource, resolved).await;
    }
    // A stack in the stack is always looked at, which alone changes nothing.
    let modifies = resource.kind != STACK_TYPE || !changes.is_empty();
    if modifies && let Some(reason) = run.refusal(UpdateAction::Modify, present) {
        run.ledger.record(id, ResourceStatus::UpdateFailed, Some(&reason), |_| {});
        return false;
    }
    // The record says what is tried, so that a rollback knows what to take back.
    run.ledger.record(id, ResourceStatus::UpdateInProgress, None, |record| {
        record.properties = resource.properties.clone();
    });
    match update(run, present, &resource, resolved.clone()).await {
        Ok(state) => {
            let is_new = present.physical_id.as_ref() != Some(&state.physical_id);
            let old = is_new.then(|| keeps(&resource.replace_policy));
            succeed(run, present, old, resource, state);
            finish(run, id, ResourceStatus::UpdateComplete, ResourceStatus::UpdateFailed)
        }
        Err(Failure::Replace) => replace(run, present, resource, resolved).await,
        Err(Failure::Failed { reason, .. }) => {
            run.ledger.record(id, ResourceStatus::UpdateFailed, Some(&reason), |_| {});
            false
        }
    }
}

/// Asks the provider for a change.
pub async fn update(
    run: &Run,
    present: &Resource,
    wanted: &Resource,
    properties: Value,
) -> Result<ResourceState, Failure> {
    let mut request = request(run, present, properties, &wanted.stack_tags);
    // A secret that changed or vanished since must not stand in the way of the change.
    let previous = resolved(run, &present.kind, &present.properties);
    request.previous = Some(previous.unwrap_or_else(|_| present.properties.clone()));
    provider(run, &present.kind)?.update(&run.context(), &request).await
}

async fn replace(run: &Run, present: &Resource, wanted: Resource, resolved: Value) -> bool {
    const WHY: &str =
        "Requested update requires the creation of a new physical resource; hence creating one.";
    let id = wanted.logical_id.clone();
    if let Some(reason) = run.refusal(UpdateAction::Replace, present) {
        run.ledger.record(&id, ResourceStatus::UpdateFailed, Some(&reason), |_| {});
        return false;
    }
    run.ledger.record(&id, ResourceStatus::UpdateInProgress, Some(WHY), |_| {});
    let facts = iotstack_schema::resource_type(&wanted.kind);
    let deletes_first = facts
        .is_some_and(|facts| facts.replacement_order == ReplacementOrder::DeleteFirst)
        && !keeps(&wanted.replace_policy);
    if deletes_first && let Err(reason) = remove::old(run, present).await {
        run.ledger.record(&id, ResourceStatus::UpdateFailed, Some(&reason), |_| {});
        return false;
    }
    match create(run, &wanted, Ok(resolved)).await {
        Ok(state) => {
            let old = (!deletes_first).then(|| keeps(&wanted.replace_policy));
            succeed(run, present, old, wanted, state);
            const BEGUN: &str = "Resource creation Initiated";
            run.ledger.record(&id, ResourceStatus::UpdateInProgress, Some(BEGUN), |_| {});
            finish(run, &id, ResourceStatus::UpdateComplete, ResourceStatus::UpdateFailed)
        }
        Err(failure) => {
            let (reason, made) = match failure {
                Failure::Failed { reason, physical_id } => (reason, physical_id),
                Failure::Replace => ("the handler wants to replace what is new".to_owned(), None),
            };
            if let Some(made) = made {
                let half = Resource { physical_id: Some(made), ..wanted };
                let _ = run.ledger.change(|stack, batch| {
                    let leftover = Leftover { resource: half, is_kept: false };
                    stack.head.leftovers.push(leftover);
                    put_head(batch, stack);
                });
            }
            run.ledger.record(&id, ResourceStatus::UpdateFailed, Some(&reason), |_| {});
            false
        }
    }
}

/// Writes down what does not concern the resource itself.
fn keep(run: &Run, present: &Resource, wanted: Resource) {
    let differs = present.needs != wanted.needs
        || present.deletion_policy != wanted.deletion_policy
        || present.replace_policy != wanted.replace_policy
        || present.metadata != wanted.metadata
        || present.stack_tags != wanted.stack_tags;
    if differs {
        run.ledger.amend(&present.logical_id, |record| {
            record.needs = wanted.needs;
            record.deletion_policy = wanted.deletion_policy;
            record.replace_policy = wanted.replace_policy;
            record.metadata = wanted.metadata;
            record.stack_tags = wanted.stack_tags;
        });
    }
}

/// Writes down what a resource is now. Where it is a new one, the old one is put
/// aside in the same step, to be deleted, or kept, when the update is over.
fn succeed(
    run: &Run,
    present: &Resource,
    old: Option<bool>,
    wanted: Resource,
    state: ResourceState,
) {
    let _ = run.ledger.change(|stack, batch| {
        if let Some(is_kept) = old {
            stack.head.leftovers.push(Leftover { resource: present.clone(), is_kept });
            put_head(batch, stack);
        }
        let id = wanted.logical_id.clone();
        let record = Resource {
            physical_id: Some(state.physical_id),
            attributes: state.attributes,
            status: ResourceStatus::UpdateInProgress,
            ..wanted
        };
        stack.resources.insert(id.clone(), record);
        put_resource(batch, stack, &id);
    });
}

/// What CloudFormation refuses to change.
fn refused(present: &Resource, wanted: &Resource, changes: &[PropertyChange]) -> Option<String> {
    if is_custom(&wanted.kind) {
        let is_token = |change: &PropertyChange| {
            change.path.first().is_some_and(|name| name == "ServiceToken")
        };
        return changes
            .iter()
            .any(is_token)
            .then(|| "Modifying service token is not allowed.".to_owned());
    }
    let replaces = changes.iter().any(|change| change.replacement == Replacement::Always);
    let facts = iotstack_schema::resource_type(&wanted.kind)?;
    let [name] = facts.primary_identifier.as_slice() else { return None };
    let [name] = name.segments() else { return None };
    let before = present.properties.get(name).and_then(Value::as_str)?;
    let after = wanted.properties.get(name).and_then(Value::as_str)?;
    (replaces && before == after).then(|| {
        format!(
            "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {after} and update the stack again."
        )
    })
}

fn takes_tags(kind: &str) -> bool {
    iotstack_schema::resource_type(kind)
        .is_some_and(|facts| facts.tagging.as_ref().is_some_and(|tagging| tagging.updatable))
}

fn keeps(policy: &Option<String>) -> bool {
    matches!(policy.as_deref(), Some("Retain" | "RetainExceptOnCreate"))
}

/// Who makes resources of a type.
pub fn provider(run: &Run, kind: &str) -> Result<Provider, Failure> {
    Provider::of(&run.ledger.cloud, kind)
        .ok_or_else(|| Failure::of(format!("the local cloud does not offer the type {kind}")))
}
