//! Stacks in stacks: a resource that is a stack of its own.
//!
//! The inner stack is deployed in the task of the outer one, and given up with
//! it. Its outputs are its attributes. What its update has replaced stays until the
//! outer update has come to its end, so that both can go back together.

use std::collections::BTreeSet;
use std::sync::Arc;

use iotstack_local_kernel::{BoxFuture, Cloud, ResourceRequest, ResourceState, id};
use serde_json::Value;

use super::ledger::{Ledger, STACK_TYPE};
use super::provider::{Context, Failure};
use super::{Run, back, begin, custom, remove};
use crate::Engine;
use crate::engine::functions::scalar;
use crate::engine::parameters::Given;
use crate::engine::plan::{self, Present};
use crate::engine::{Prepared, Wanted, prepare, source};
use crate::state::{Definition, Head, Resource, StackStatus, put_head};

/// Makes a stack in a stack.
///
/// # Errors
/// Why the inner stack does not stand. It is left for deletion.
pub fn create<'a>(
    context: &'a Context,
    request: &'a ResourceRequest,
) -> BoxFuture<'a, Result<ResourceState, Failure>> {
    Box::pin(async move {
        let Context { engine, cloud, .. } = context;
        let name: String = format!("{}-{}", request.stack_name, request.logical_id);
        let name =
            format!("{}-{}", name.chars().take(LONGEST_NAME).collect::<String>(), id::capitals(12));
        let prepared = prepared(context, request, &name, None).await?;
        let stack_id = begin::new_stack_id(cloud, &name);
        let mut head =
            Head::new(stack_id.clone(), name, StackStatus::CreateInProgress, cloud.clock.now());
        let root = engine.read(|state| state.stacks.get(&request.stack_id)?.head.root.clone());
        let (token, disable_rollback) = of_outer(engine, &request.stack_id);
        head.parent = Some(request.stack_id.clone());
        head.root = root.or_else(|| Some(request.stack_id.clone()));
        head.disable_rollback = disable_rollback;
        head.timeout = match request.properties.get("TimeoutInMinutes") {
            Some(Value::String(text)) => text.parse().ok(),
            Some(other) => other.as_u64().and_then(|minutes| u32::try_from(minutes).ok()),
            None => None,
        };
        let _ =
            begin::insert(engine, cloud, head).map_err(|error| Failure::of(error.to_string()))?;
        let run = begin::run(engine, cloud, &stack_id, Arc::new(prepared));
        begin(begin::creation(&run, token))?;
        if together(context, &run, super::create(run.clone())).await {
            return Ok(state(&run));
        }
        let reason = run.ledger.look(|stack| stack.head.reason.clone()).flatten();
        let first = first_failure(&run);
        Err(Failure::Failed {
            reason: format!(
                "Embedded stack {stack_id} was not successfully created: {}",
                first.or(reason).unwrap_or_default()
            ),
            physical_id: Some(stack_id),
        })
    })
}

/// Changes a stack in a stack.
///
/// # Errors
/// Why the inner stack does not stand as wanted.
pub fn update<'a>(
    context: &'a Context,
    request: &'a ResourceRequest,
) -> BoxFuture<'a, Result<ResourceState, Failure>> {
    Box::pin(async move {
        let Context { engine, cloud, .. } = context;
        let stack_id = request.physical_id.as_deref().unwrap_or_default();
        let (head, mut present) = engine
            .read(|state| {
                let head = state.stacks.get(stack_id)?.head.clone();
                Some((head, begin::present(state, stack_id)))
            })
            .filter(|(head, _)| head.status != StackStatus::DeleteComplete)
            .ok_or_else(|| gone(stack_id))?;
        let stands = head.status.can_update() || head.awaits_outer();
        if !stands && head.status != StackStatus::UpdateRollbackFailed {
            return Err(Failure::of(format!(
                "Stack:{stack_id} is in {} state and can not be updated.",
                head.status.as_str()
            )));
        }
        present.nested_changes = changes(engine, cloud, &present).await;
        let previous = present.definition.clone();
        let prepared = prepared(context, request, &head.name, previous.as_deref()).await?;
        let planned = plan::plan(&prepared, &present, &cloud.account, (&head.name, stack_id))
            .map_err(|error| Failure::of(error.to_string()))?;
        let run = begin::run(engine, cloud, stack_id, Arc::new(prepared));
        if planned.changes.is_empty() && !planned.changes_stack && stands && !head.status.was_left()
        {
            return Ok(state(&run));
        }
        let run = run.guarded(None).map_err(|error| Failure::of(error.to_string()))?;
        let (token, disable_rollback) = of_outer(engine, &request.stack_id);
        begin(begin::update(&run, token))?;
        let _ = run.ledger.change(|stack, batch| {
            stack.head.disable_rollback = disable_rollback;
            stack.head.serves_outer = true;
            put_head(batch, stack);
        });
        if together(context, &run, super::update(run.clone())).await {
            return Ok(state(&run));
        }
        let now = run.ledger.look(|stack| stack.head.status.as_str()).unwrap_or("DELETE_COMPLETE");
        Err(Failure::of(format!(
            "Embedded stack {stack_id} was not successfully updated. Currently in {now} with reason: {}",
            first_failure(&run).unwrap_or_default()
        )))
    })
}

/// Whether a stack in a stack has gone a way that the outer one may want to take back.
pub fn is_ahead(outer: &Run, resource: &Resource) -> bool {
    resource.kind == STACK_TYPE
        && inner(outer, resource).look(|stack| stack.head.serves_outer && stack.stable.is_some())
            == Some(true)
}

/// Takes a stack in a stack back to what it was when the outer update began. Its old
/// template is not asked for again: something else may lie at its address by now.
///
/// # Errors
/// Why the inner stack is not what it was.
pub fn take_back<'a>(
    outer: &'a Run,
    resource: &'a Resource,
) -> BoxFuture<'a, Result<ResourceState, Failure>> {
    Box::pin(async move {
        let Ledger { engine, cloud, id: stack_id } = &inner(outer, resource);
        let run = begin::bare(engine, cloud, stack_id);
        if is_ahead(outer, resource) {
            let (token, _) = of_outer(engine, &outer.ledger.id);
            begin(begin::way_back(&run, "ROLLBACK", token, |head| !head.is_taken()))?;
            let reason = "The outer stack is taken back. ".to_owned();
            back::undo_update(&run, reason, &[]).await;
        }
        let status = run.ledger.look(|stack| stack.head.status).ok_or_else(|| gone(stack_id))?;
        match status.can_update() {
            true => Ok(state(&run)),
            false => Err(Failure::of(format!(
                "Embedded stack {stack_id} was not taken back. Currently in {} with reason: {}",
                status.as_str(),
                first_failure(&run).unwrap_or_default()
            ))),
        }
    })
}

/// Ends the updates of the stacks in a stack whose own update stands.
pub async fn clean_up(outer: &Run) {
    let resources = outer.ledger.look(|stack| stack.resources.clone()).unwrap_or_default();
    for resource in resources.values() {
        let_go(outer, resource).await;
    }
}

/// Ends the update of the stack in a stack, if it waits for the outer one.
pub fn let_go<'a>(outer: &'a Run, resource: &'a Resource) -> BoxFuture<'a, ()> {
    Box::pin(async move {
        let inner = inner(outer, resource);
        let waits = inner.look(|stack| stack.head.awaits_outer()) == Some(true);
        if resource.kind == STACK_TYPE && waits {
            super::clean_up_again(&inner).await;
        }
    })
}

/// Deletes a stack in a stack.
///
/// # Errors
/// Why it is still there.
pub fn delete<'a>(
    context: &'a Context,
    request: &'a ResourceRequest,
) -> BoxFuture<'a, Result<(), Failure>> {
    Box::pin(async move {
        let Context { engine, cloud, .. } = context;
        let stack_id = request.physical_id.as_deref().unwrap_or_default();
        let found = engine.read(|state| {
            state.stacks.get(stack_id).map(|stack| (stack.head.status, stack.head.outputs.clone()))
        });
        let Some((status, outputs)) = found else { return Ok(()) };
        if status == StackStatus::DeleteComplete {
            return Ok(());
        }
        for export in outputs.iter().filter_map(|output| output.export.as_deref()) {
            let user = engine.read(|state| state.importers(export).next().map(str::to_owned));
            if let Some(user) = user {
                return Err(Failure::of(format!(
                    "Export {export} cannot be deleted as it is in use by {user}"
                )));
            }
        }
        let run = begin::bare(engine, cloud, stack_id);
        begin(begin::deletion(&run, None, Vec::new()))?;
        if remove::stack(&run, false).await {
            return Ok(());
        }
        let reason = run.ledger.look(|stack| stack.head.reason.clone()).flatten();
        Err(Failure::of(format!(
            "Embedded stack {stack_id} was not successfully deleted: {}",
            reason.unwrap_or_default()
        )))
    })
}

/// The book of the stack that a resource stands for.
fn inner(outer: &Run, resource: &Resource) -> Ledger {
    Ledger { id: resource.physical_id.clone().unwrap_or_default(), ..outer.ledger.clone() }
}

/// What the operation of the outer stack says for the inner ones: the client's token, and
/// whether failures leave everything as it is.
fn of_outer(engine: &Engine, id: &str) -> (Option<String>, bool) {
    let found = engine.read(|state| {
        let head = &state.stacks.get(id)?.head;
        let token = head.operation.as_ref().and_then(|operation| operation.token.clone());
        Some((token, head.disable_rollback))
    });
    found.unwrap_or_default()
}

fn gone(stack_id: &str) -> Failure {
    Failure::of(format!("Stack with id {stack_id} does not exist"))
}

fn begin(begun: crate::Result<iotstack_local_kernel::Commit>) -> Result<(), Failure> {
    // The outer operation waits for the store when it ends, and this comes before.
    begun.map(drop).map_err(|error| Failure::of(error.to_string()))
}

/// The resources that are stacks whose template is another one now behind the same
/// address, or that hold such a stack.
pub async fn changes(engine: &Engine, cloud: &Cloud, present: &Present) -> BTreeSet<String> {
    let mut changed = BTreeSet::new();
    for resource in present.resources.values() {
        if resource.kind != STACK_TYPE || !resource.status.exists() {
            continue;
        }
        let url = resource.properties.get("TemplateURL").and_then(Value::as_str);
        let inner = resource.physical_id.as_deref().unwrap_or_default();
        // What cannot be read is told when it is deployed.
        let Ok(text) = source::fetch(cloud, url.unwrap_or_default()).await else { continue };
        let found = engine.read(|state| {
            let definition = state.stacks.get(inner)?.definition.as_ref()?;
            Some((definition.text == text, begin::present(state, inner)))
        });
        let Some((is_same, below)) = found else { continue };
        if !is_same || !Box::pin(changes(engine, cloud, &below)).await.is_empty() {
            changed.insert(resource.logical_id.clone());
        }
    }
    changed
}

/// Runs the inner operation; what is given up outside is given up inside.
async fn together(context: &Context, run: &Run, inner: impl Future<Output = bool>) -> bool {
    let mut cancelled = context.cancelled.clone();
    let mut inner = std::pin::pin!(inner);
    tokio::select! {
        stands = &mut inner => return stands,
        () = custom::given_up(&mut cancelled) => run.give_up("the outer stack was given up. "),
    }
    inner.await
}

async fn prepared(
    context: &Context,
    request: &ResourceRequest,
    name: &str,
    previous: Option<&Definition>,
) -> Result<Prepared, Failure> {
    let Context { engine, cloud, .. } = context;
    let refused = |error: crate::Error| Failure::of(error.to_string());
    let properties = &request.properties;
    let url = properties.get("TemplateURL").and_then(Value::as_str).unwrap_or_default();
    let text = source::fetch(cloud, url).await.map_err(refused)?;
    let parameters = properties.get("Parameters").and_then(Value::as_object);
    let given = parameters
        .into_iter()
        .flatten()
        .map(|(name, value)| Given { name: name.clone(), value: Some(parameter(value)) })
        .collect();
    let outer = engine.read(|state| state.stacks.get(&request.stack_id)?.definition.clone());
    let mut definition = Definition {
        tags: request.tags().map_err(|fault| Failure::of(fault.message))?,
        capabilities: outer.map(|outer| outer.capabilities.clone()).unwrap_or_default(),
        ..Definition::default()
    };
    if let Some(Value::Array(arns)) = properties.get("NotificationARNs") {
        definition.notification_arns =
            arns.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    let previous = previous.map(|previous| previous.parameters.clone()).unwrap_or_default();
    prepare(cloud, text, Wanted { given, previous, definition }, name).map_err(refused)
}

/// Lists are given to an inner stack with commas between their items.
fn parameter(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().filter_map(scalar).collect();
            items.join(",")
        }
        other => scalar(other).map(|text| text.into_owned()).unwrap_or_default(),
    }
}

fn state(run: &Run) -> ResourceState {
    let outputs = run.ledger.look(|stack| stack.head.outputs.clone()).unwrap_or_default();
    let mut state = ResourceState::new(run.ledger.id.clone());
    for output in outputs {
        state = state.with(&format!("Outputs.{}", output.name), output.value);
    }
    state
}

/// What failed first inside.
fn first_failure(run: &Run) -> Option<String> {
    run.ledger
        .look(|stack| {
            let operation = stack.head.operation.as_ref().map(|operation| &operation.id);
            stack
                .events
                .iter()
                .filter(|event| event.operation.as_ref() == operation)
                .find(|event| event.status.ends_with("_FAILED"))
                .map(|event| {
                    let reason = event.reason.as_deref().unwrap_or_default();
                    format!("{}: {reason}", event.logical_id)
                })
        })
        .flatten()
}

/// What of the outer names goes into the name of an inner stack.
const LONGEST_NAME: usize = 115;
