//! Brings a stack out of a state in which it cannot be deployed.
//!
//! Each way out loses or changes something, so it is first described as a [`Recovery`]
//! and done only when the caller hands that back to [`recover`]. Stopping an update that
//! runs is here too, because it ends in the same rollback.

use crate::change_set::failed;
use crate::event::{Event, EventSink, Failure, Operation};
use crate::monitor::{Since, last_failures, watch};
use crate::stack::{self, Stack};
use crate::state::StackStatus;
use crate::{Clients, Error, Result, token};

/// The way out of a bad state, to be agreed to.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// The stack's name.
    pub stack: String,
    /// The stack's ARN.
    pub stack_id: String,
    /// Where it stands.
    pub status: StackStatus,
    /// What will be done.
    pub action: RecoveryAction,
    /// What failed and led here, if the history still says so.
    pub failure: Option<Failure>,
    /// Resources in a failed state now; candidates for being left out.
    pub failed_resources: Vec<Failure>,
}

/// What brings a stack out of a bad state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecoveryAction {
    /// Deletes the stack, which never came up or is half deleted.
    Delete,
    /// Goes back to the last good state; a stack that never had one is deleted.
    RollBack,
    /// Goes on with the rollback that failed.
    ContinueRollback,
}

/// Does what `recovery` says and follows it to the end. `skip` names resources that a
/// continued rollback leaves out, or that a deletion leaves behind.
pub async fn recover(
    clients: &Clients,
    recovery: &Recovery,
    skip: &[String],
    sink: &dyn EventSink,
) -> Result<()> {
    let Recovery { stack, stack_id, .. } = recovery;
    let token = token::new();
    let operation = match recovery.action {
        RecoveryAction::Delete => Operation::Delete,
        RecoveryAction::RollBack | RecoveryAction::ContinueRollback => Operation::RollBack,
    };
    ask(clients, recovery, skip, &token).await?;
    sink.hear(Event::Started { stack: stack.clone(), operation });
    let watched = watch(clients, stack_id, Since::Token(token), None, sink).await?;
    let status = watched.status.clone();
    sink.hear(Event::Finished { stack: stack.clone(), operation, status });
    match (recovery.action, watched.status) {
        (_, None) => Ok(()),
        (RecoveryAction::Delete, Some(_)) => {
            Err(Error::DeleteFailed { stack: stack.clone(), failures: watched.failures })
        }
        (_, Some(status)) if !status.as_str().ends_with("FAILED") => Ok(()),
        (_, status) => Err(failed(stack, status, watched.failure)),
    }
}

/// Stops an update that is running; CloudFormation then takes the stack back. Returns
/// when the rollback is over.
pub async fn cancel_update(clients: &Clients, stack: &str, sink: &dyn EventSink) -> Result<()> {
    let found = stack::describe(clients, stack).await?.ok_or_else(|| Error::StackNotFound {
        stack: stack.to_owned(),
        environment: clients.environment().to_string(),
    })?;
    if found.status != StackStatus::UpdateInProgress {
        return Err(Error::StackState {
            stack: found.name,
            status: found.status,
            advice: "only an update that is running can be cancelled",
        });
    }
    let call = clients.cloudformation.cancel_update_stack().stack_name(&found.id);
    call.send().await.map_err(clients.failed("cloudformation:CancelUpdateStack"))?;
    let operation = Operation::RollBack;
    sink.hear(Event::Started { stack: found.name.clone(), operation });
    let watched = watch(clients, &found.id, Since::RunningOperation, None, sink).await?;
    let status = watched.status.clone();
    sink.hear(Event::Finished { stack: found.name.clone(), operation, status });
    match watched.status {
        Some(status) if status.as_str().ends_with("FAILED") => {
            Err(failed(&found.name, Some(status), watched.failure))
        }
        _ => Ok(()),
    }
}

/// Describes the way out for a stack as it stands.
pub(crate) async fn describe(
    clients: &Clients,
    stack: Stack,
    action: RecoveryAction,
) -> Result<Recovery> {
    let failures = last_failures(clients, &stack.id).await?;
    let resources = stack::resources(clients, &stack.id).await?;
    let failed_resources = resources
        .into_iter()
        .filter(|resource| resource.status.ends_with("_FAILED"))
        .map(|resource| Failure {
            stack: stack.name.clone(),
            logical_id: resource.logical_id,
            resource_type: resource.resource_type,
            status: resource.status,
            reason: resource.reason.unwrap_or_else(|| "no reason given".into()),
        })
        .collect();
    Ok(Recovery {
        stack: stack.name,
        stack_id: stack.id,
        status: stack.status,
        action,
        failure: failures.into_iter().next(),
        failed_resources,
    })
}

async fn ask(clients: &Clients, recovery: &Recovery, skip: &[String], token: &str) -> Result<()> {
    let client = &clients.cloudformation;
    let stack = &recovery.stack_id;
    let skip = (!skip.is_empty()).then(|| skip.to_vec());
    match recovery.action {
        RecoveryAction::Delete => {
            let call = client
                .delete_stack()
                .stack_name(stack)
                .client_request_token(token)
                .set_retain_resources(skip);
            call.send().await.map_err(clients.failed("cloudformation:DeleteStack"))?;
        }
        RecoveryAction::RollBack => {
            let call = client
                .rollback_stack()
                .stack_name(stack)
                .client_request_token(token)
                .retain_except_on_create(true);
            call.send().await.map_err(clients.failed("cloudformation:RollbackStack"))?;
        }
        RecoveryAction::ContinueRollback => {
            let call = client
                .continue_update_rollback()
                .stack_name(stack)
                .client_request_token(token)
                .set_resources_to_skip(skip);
            call.send().await.map_err(clients.failed("cloudformation:ContinueUpdateRollback"))?;
        }
    }
    Ok(())
}
