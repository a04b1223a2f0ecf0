//! Operations on stacks: forward, and back again when that fails.
//!
//! - [`create`], [`update`]: [`apply`] brings each resource to what the template
//!   says, in the order of dependencies; then outputs, then what was replaced or
//!   removed is deleted by [`remove`].
//! - A failure takes a new stack away again and an old one [`back`] to its last
//!   good state, which is kept as a copy of its resources until it is not needed.
//! - [`resume`]: what was running when the process ended is taken back at the next
//!   start; deletions and clean-ups go on.
//!
//! [`ledger`] writes down every step. A run never holds the lock while it asks
//! a provider for anything.

pub mod apply;
pub mod back;
pub mod begin;
pub mod custom;
pub mod known;
pub mod ledger;
pub mod nested;
pub mod order;
pub mod provider;
pub mod remove;
pub mod resume;
pub mod wait;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::Engine;
use crate::engine::stack_policy::{StackPolicy, UpdateAction};
use crate::engine::{Prepared, plan, prepare_again};
use crate::state::{
    OnFailure, Output, Resource, ResourceStatus, StackStatus, put_definition, put_head,
};
use known::{Existing, Imports};
use ledger::Ledger;
use provider::Context;

/// An operation that runs.
#[derive(Clone)]
pub struct Run {
    /// The stack's book.
    pub ledger: Ledger,
    /// The stack's name.
    pub name: String,
    /// What the stack is being made into.
    pub prepared: Arc<Prepared>,
    /// The exports that it uses.
    pub imports: Imports,
    /// What an update may do to the resources; nothing is forbidden without it.
    pub policy: Option<Arc<StackPolicy>>,
    cancel: Arc<watch::Sender<Option<String>>>,
}

impl Run {
    /// A run for a stack. It can be given up from outside through the engine.
    pub fn new(ledger: Ledger, name: String, prepared: Arc<Prepared>) -> Self {
        let cancel = Arc::new(watch::Sender::new(None));
        ledger.engine.running(&ledger.id, &cancel);
        Run { ledger, name, prepared, imports: Imports::default(), policy: None, cancel }
    }

    /// The same operation, held to the policy that stands in for this once, or to the
    /// stack's own.
    ///
    /// # Errors
    /// A policy that cannot be read.
    pub fn guarded(self, stands_in: Option<String>) -> crate::Result<Self> {
        let own = || self.ledger.look(|stack| stack.head.policy.clone()).flatten();
        let policy = stands_in.or_else(own).map(|text| StackPolicy::parse(&text));
        Ok(Run { policy: policy.transpose()?.map(Arc::new), ..self })
    }

    /// Why the operation may not do this to a resource; nothing if it may.
    pub fn refusal(&self, action: UpdateAction, resource: &Resource) -> Option<String> {
        self.policy.as_ref()?.refusal(action, &resource.logical_id, &resource.kind)
    }

    /// The same operation, not given up: for the way back.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Run { cancel: Arc::new(watch::Sender::new(None)), ..self.clone() }
    }

    /// Begins nothing new, and ends what only waits.
    pub fn give_up(&self, why: &str) {
        give_up(&self.cancel, why);
    }

    /// Whether the operation was given up.
    pub fn is_given_up(&self) -> bool {
        self.cancel.borrow().is_some()
    }

    /// What providers need to know.
    pub fn context(&self) -> Context {
        Context {
            engine: self.ledger.engine.clone(),
            cloud: self.ledger.cloud.clone(),
            cancelled: self.cancel.subscribe(),
        }
    }
}

/// Sets a mark that nobody takes away; the first reason stays.
pub fn give_up(cancel: &watch::Sender<Option<String>>, why: &str) {
    cancel.send_if_modified(|reason| {
        let is_first = reason.is_none();
        reason.get_or_insert_with(|| why.to_owned());
        is_first
    });
}

/// Makes a stack whose creation was begun. True if it stands.
pub async fn create(run: Run) -> bool {
    let facts = run.ledger.look(|stack| (stack.head.timeout, stack.head.disable_rollback));
    let (timeout, keeps) = facts.unwrap_or_default();
    let outcome = match forward(&run, timeout).await {
        Ok(()) => complete(&run, StackStatus::CreateComplete).await,
        Err(reason) => Err(reason),
    };
    let Err(reason) = outcome else { return true };
    let on_failure = run.ledger.look(|stack| stack.head.on_failure);
    match on_failure.unwrap_or(OnFailure::RollBack) {
        OnFailure::Delete => {
            let _ = run.ledger.status(StackStatus::DeleteInProgress, Some(reason));
            remove::stack(&run.renewed(), false).await;
        }
        OnFailure::RollBack if !keeps => {
            let reason = format!("{reason}Rollback requested by user.");
            back::undo_creation(&run.renewed(), reason).await;
        }
        _ => {
            let _ = run.ledger.status(StackStatus::CreateFailed, Some(reason));
        }
    }
    false
}

/// Changes a stack whose update was begun. True if it stands as the template says.
pub async fn update(run: Run) -> bool {
    let outcome = match removals(&run) {
        Ok(()) => forward(&run, None).await,
        Err(reason) => Err(reason),
    };
    let outcome = match outcome {
        Ok(()) => complete(&run, StackStatus::UpdateCompleteCleanupInProgress).await,
        Err(reason) => Err(reason),
    };
    let keeps = run.ledger.look(|stack| stack.head.disable_rollback).unwrap_or_default();
    match outcome {
        Ok(()) => {
            // What an inner stack has replaced is still needed if the outer one goes back.
            if run.ledger.look(|stack| stack.head.awaits_outer()) != Some(true) {
                clean_up(&run).await;
            }
            true
        }
        Err(reason) if keeps && !is_cancelled_by_user(&run) => {
            let _ = run.ledger.status(StackStatus::UpdateFailed, Some(reason));
            false
        }
        Err(reason) => {
            back::undo_update(&run.renewed(), reason, &[]).await;
            false
        }
    }
}

/// Deletes what an update replaced or left out, in the inner stacks first; the update
/// stands in any case.
pub async fn clean_up(run: &Run) {
    // There is no way back any more, so that the outer stack has no say in what follows.
    let _ = run.ledger.change(|stack, batch| {
        stack.head.serves_outer = false;
        put_head(batch, stack);
    });
    nested::clean_up(run).await;
    let failed = remove::what_left(run, false, |id| run.prepared.needs.contains_key(id)).await;
    stands(&run.ledger, failed.is_empty());
}

/// The same for a stack whose update came to its end some time ago.
pub async fn clean_up_again(ledger: &Ledger) {
    let Ledger { engine, cloud, id } = ledger;
    let found = ledger.look(|stack| Some((stack.head.name.clone(), stack.definition.clone()?)));
    let Some((name, definition)) = found.flatten() else { return };
    match prepare_again(&definition, &cloud.account, &name) {
        Ok(prepared) => clean_up(&begin::run(engine, cloud, id, Arc::new(prepared))).await,
        Err(error) => {
            tracing::error!(stack = id, %error, "what an update replaced is not deleted");
            stands(ledger, false);
        }
    }
}

/// Writes down the end of an update, which stands however clean it is.
fn stands(ledger: &Ledger, is_clean: bool) {
    let reason = (!is_clean)
        .then(|| "Update successful. One or more resources could not be deleted.".to_owned());
    let _ = ledger.change(|stack, batch| {
        stack.stable = None;
        stack.head.leftovers.clear();
        put_definition(batch, stack);
    });
    let _ = ledger.status(StackStatus::UpdateComplete, reason);
}

/// Asks the policy about what is to leave the stack. That is deleted only after the way
/// forward, but it must not begin if it cannot come to its end.
fn removals(run: &Run) -> Result<(), String> {
    if run.policy.is_none() {
        return Ok(());
    }
    let leaving = run.ledger.look(|stack| {
        let resources = stack.resources.values().filter(|resource| resource.status.exists());
        let leaves = |resource: &&Resource| !run.prepared.needs.contains_key(&resource.logical_id);
        resources.filter(leaves).cloned().collect::<Vec<_>>()
    });
    let mut refused = Vec::new();
    for resource in leaving.unwrap_or_default() {
        if let Some(reason) = run.refusal(UpdateAction::Delete, &resource) {
            run.ledger.tell(&resource, ResourceStatus::UpdateFailed, Some(&reason));
            refused.push(resource.logical_id);
        }
    }
    match refused.is_empty() {
        true => Ok(()),
        false => {
            Err(format!("The following resource(s) failed to update: [{}]. ", refused.join(", ")))
        }
    }
}

/// Brings all resources to what the template says.
async fn forward(run: &Run, timeout: Option<u32>) -> Result<(), String> {
    let work = order::in_order(
        &run.prepared.needs,
        || run.is_given_up(),
        |id| apply::apply(run.clone(), id),
    );
    let clock = &run.ledger.cloud.clock;
    let limit = timeout.map(|minutes| Duration::from_secs(u64::from(minutes) * 60));
    let mut work = std::pin::pin!(work);
    if let Some(limit) = limit {
        tokio::select! {
            failed = &mut work => return judged(run, &failed),
            () = clock.sleep(limit) => {
                run.give_up("Stack creation time exceeded the specified timeout. ");
            }
        }
    }
    let failed = work.await;
    judged(run, &failed)
}

/// What came of the way forward.
fn judged(run: &Run, failed: &[String]) -> Result<(), String> {
    for id in failed {
        // Work that broke off could not say so itself.
        run.give_up(id);
        let status = run.ledger.resource(id).map(|resource| resource.status);
        let status = match status {
            Some(ResourceStatus::CreateInProgress) | None => ResourceStatus::CreateFailed,
            Some(ResourceStatus::UpdateInProgress) => ResourceStatus::UpdateFailed,
            Some(_) => continue,
        };
        run.ledger.record(id, status, Some("Internal failure of the local cloud"), |_| {});
    }
    let Some(why) = run.cancel.borrow().clone() else { return Ok(()) };
    let reason = run.ledger.look(|stack| {
        let named = |prefix: &str, what: &str| {
            let failed: Vec<&str> = run
                .prepared
                .needs
                .keys()
                .filter(|id| {
                    stack.resources.get(*id).is_some_and(|resource| {
                        let status = resource.status.as_str();
                        resource.status.has_failed() && status.starts_with(prefix)
                    })
                })
                .map(String::as_str)
                .collect();
            match failed.is_empty() {
                true => String::new(),
                false => {
                    format!("The following resource(s) failed to {what}: [{}]. ", failed.join(", "))
                }
            }
        };
        named("CREATE", "create") + &named("UPDATE", "update")
    });
    let is_resource = run.prepared.needs.contains_key(&why);
    Err(match reason {
        Some(reason) if !reason.is_empty() && is_resource => reason,
        Some(reason) if !is_resource && why != USER_INITIATED => format!("{why}{reason}"),
        _ => why,
    })
}

/// Writes down the outputs and the end of the way forward.
async fn complete(run: &Run, status: StackStatus) -> Result<(), String> {
    let outputs = outputs(run)?;
    let imports = run.imports.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
    if run.is_given_up() {
        return judged(run, &[]);
    }
    let _ = run.ledger.change(|stack, batch| {
        stack.head.outputs = outputs;
        stack.head.imports = imports;
        if status == StackStatus::CreateComplete {
            stack.stable = None;
            put_definition(batch, stack);
        }
        put_head(batch, stack);
    });
    let _ = run.ledger.status(status, None);
    Ok(())
}

/// The outputs, if their exports get along with those of other stacks.
fn outputs(run: &Run) -> Result<Vec<Output>, String> {
    let known = Existing::of(run);
    let account = &run.ledger.cloud.account;
    let scope = run.prepared.scope(account, &run.name, &run.ledger.id, &known);
    let outputs = plan::outputs(&run.prepared, &scope)?;
    run.ledger.engine.read(|state| {
        for output in &outputs {
            let Some(export) = &output.export else { continue };
            if let Some((other, _)) =
                state.export(export).filter(|(other, _)| other.head.id != run.ledger.id)
            {
                return Err(format!(
                    "Export with name {export} is already exported by stack {}. ",
                    other.head.name
                ));
            }
        }
        let before = state.stacks.get(&run.ledger.id).map(|stack| stack.head.outputs.as_slice());
        for old in before.unwrap_or_default() {
            let Some(export) = &old.export else { continue };
            let now = outputs.iter().find(|output| output.export.as_ref() == Some(export));
            if now.is_some_and(|now| now.value == old.value) {
                continue;
            }
            if let Some(user) = state.importers(export).next() {
                let what = if now.is_some() { "updated" } else { "deleted" };
                return Err(format!(
                    "Export {export} cannot be {what} as it is in use by {user}. "
                ));
            }
        }
        Ok(())
    })?;
    Ok(outputs)
}

fn is_cancelled_by_user(run: &Run) -> bool {
    run.cancel.borrow().as_deref() == Some(USER_INITIATED)
}

/// Makes sure that an operation that has ended can no longer be given up.
pub fn ended(engine: &Engine, stack_id: &str) {
    engine.stopped(stack_id);
}

/// The reason of what somebody asked for.
pub const USER_INITIATED: &str = "User Initiated";
