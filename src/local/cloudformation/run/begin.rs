//! The first step of an operation: what is written before anybody is answered.
//!
//! The stack is in its new state when the caller hears of it; the operation
//! itself goes on in a task of its own, or in that of the stack outside of it.

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, Commit, id};

use super::Run;
use super::ledger::Ledger;
use crate::Engine;
use crate::engine::{Prepared, plan::Present};
use crate::state::{
    Head, Operation, Stable, Stack, StackStatus, State, put_definition, put_head, remove_stack,
};
use crate::{Error, Result};

/// An ARN for a new stack.
pub fn new_stack_id(cloud: &Cloud, name: &str) -> String {
    cloud.account.arn("cloudformation", format!("stack/{name}/{}", id::uuid()))
}

/// Puts a new stack among the others.
///
/// # Errors
/// That the name is taken, or that there are too many stacks.
pub fn insert(engine: &Engine, cloud: &Cloud, head: Head) -> Result<Commit> {
    let (outcome, commit) = engine.change_all(cloud, |state, batch| {
        if let Some(existing) = state.find(&head.name) {
            return Err(Error::AlreadyExists(format!(
                "Stack [{}] already exists ({})",
                head.name,
                existing.head.status.as_str()
            )));
        }
        if state.names.len() >= MOST_STACKS {
            return Err(Error::Limit(format!("there are {MOST_STACKS} stacks already")));
        }
        state.names.insert(head.name.clone(), head.id.clone());
        let stack = Stack::new(head);
        put_head(batch, &stack);
        state.stacks.insert(stack.head.id.clone(), stack);
        Ok(())
    });
    outcome.map(|()| commit)
}

/// Takes away a stack that was only looked at so far.
pub fn forget(engine: &Engine, cloud: &Cloud, id: &str) -> Commit {
    let (_, commit) = engine.change_all(cloud, |state, batch| {
        if let Some(stack) = state.stacks.remove(id) {
            state.names.remove(&stack.head.name);
            remove_stack(batch, &stack);
        }
    });
    commit
}

/// A run that only takes away.
pub fn bare(engine: &Arc<Engine>, cloud: &Arc<Cloud>, id: &str) -> Run {
    let ledger = Ledger { engine: engine.clone(), cloud: cloud.clone(), id: id.to_owned() };
    let name = ledger.look(|stack| stack.head.name.clone()).unwrap_or_default();
    Run::new(ledger, name, Arc::new(Prepared::empty()))
}

/// A run for a definition.
pub fn run(engine: &Arc<Engine>, cloud: &Arc<Cloud>, id: &str, prepared: Arc<Prepared>) -> Run {
    let ledger = Ledger { engine: engine.clone(), cloud: cloud.clone(), id: id.to_owned() };
    let name = ledger.look(|stack| stack.head.name.clone()).unwrap_or_default();
    Run::new(ledger, name, prepared)
}

/// Writes that the creation of a stack begins.
///
/// # Errors
/// That it began before.
pub fn creation(run: &Run, token: Option<String>) -> Result<Commit> {
    let definition = run.prepared.definition.clone();
    begin(run, StackStatus::CreateInProgress, |stack| {
        if stack.definition.is_some() {
            return Err(refused(stack));
        }
        stack.head.operation = Some(operation("CREATE_STACK", token));
        stack.definition = Some(definition);
        Ok(())
    })
}

/// Writes that an update of a stack begins. What the stack is now is kept if it
/// stands well. After a failure that left it as it was, or for an outer update that has
/// not ended, the older copy stays.
///
/// # Errors
/// That another operation runs.
pub fn update(run: &Run, token: Option<String>) -> Result<Commit> {
    let definition = run.prepared.definition.clone();
    begin(run, StackStatus::UpdateInProgress, |stack| {
        if stack.head.is_taken() {
            return Err(refused(stack));
        }
        stack.head.operation = Some(operation("UPDATE_STACK", token));
        let stands = !stack.head.status.as_str().ends_with("_FAILED") && !stack.head.awaits_outer();
        stack.head.serves_outer = false;
        if let Some(before) = stack.definition.replace(definition)
            && stands
        {
            stack.stable = Some(Arc::new(Stable {
                definition: before,
                resources: stack.resources.clone(),
                outputs: stack.head.outputs.clone(),
                imports: stack.head.imports.clone(),
            }));
        }
        Ok(())
    })
}

/// Writes that the deletion of a stack begins; of `retained`, resources stay.
///
/// # Errors
/// That another operation runs.
pub fn deletion(run: &Run, token: Option<String>, retained: Vec<String>) -> Result<Commit> {
    begin(run, StackStatus::DeleteInProgress, |stack| {
        if stack.head.is_taken() {
            return Err(refused(stack));
        }
        stack.head.operation = Some(operation("DELETE_STACK", token));
        stack.head.retained.extend(retained);
        Ok(())
    })
}

/// Writes that somebody asked for a way back, under AWS's name for its kind. The
/// way back itself tells of its beginning.
///
/// # Errors
/// That the stack is not in a state for it any more.
pub fn way_back(
    run: &Run,
    kind: &str,
    token: Option<String>,
    fits: impl Fn(&Head) -> bool,
) -> Result<Commit> {
    let mut outcome = Ok(());
    let commit = run.ledger.change(|stack, batch| {
        if !fits(&stack.head) {
            outcome = Err(refused(stack));
            return;
        }
        stack.head.operation = Some(operation(kind, token));
        stack.head.status = match stack.stable {
            Some(_) => StackStatus::UpdateRollbackInProgress,
            None => StackStatus::RollbackInProgress,
        };
        put_head(batch, stack);
    });
    outcome.map(|()| commit)
}

/// Takes the stack for an operation, in one step with the question whether it is free.
fn begin(
    run: &Run,
    status: StackStatus,
    take: impl FnOnce(&mut Stack) -> Result<()>,
) -> Result<Commit> {
    let mut outcome = Ok(());
    let _ = run.ledger.change(|stack, batch| {
        outcome = take(stack);
        if outcome.is_ok() {
            stack.head.status = status;
            put_definition(batch, stack);
        }
    });
    outcome.map(|()| run.ledger.status(status, Some(super::USER_INITIATED.to_owned())))
}

fn refused(stack: &Stack) -> Error {
    Error::invalid(format!(
        "Stack:{} is in {} state and can not be updated.",
        stack.head.id,
        stack.head.status.as_str()
    ))
}

/// A new operation.
pub fn operation(kind: &str, token: Option<String>) -> Operation {
    Operation { id: id::uuid(), kind: kind.to_owned(), token }
}

/// A stack as it stands, for comparison with a definition.
pub fn present(state: &State, id: &str) -> Present {
    let stack = state.stacks.get(id);
    let exports = state
        .exports()
        .filter(|(other, _)| other.head.id != id)
        .filter_map(|(other, output)| {
            let name = output.export.clone()?;
            Some((name, (output.value.clone(), other.head.name.clone())))
        })
        .collect();
    Present {
        resources: stack.map(|stack| stack.resources.clone()).unwrap_or_default(),
        definition: stack.and_then(|stack| stack.definition.clone()),
        outputs: stack.map(|stack| stack.head.outputs.clone()).unwrap_or_default(),
        exports,
        nested_changes: Default::default(),
    }
}

/// How many stacks an account may have.
const MOST_STACKS: usize = 2000;
