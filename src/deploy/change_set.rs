//! Change sets: propose a template, wait for the answer, execute it.
//!
//! CloudFormation computes a change set in the background, so creation is a request
//! followed by polling. An empty change set is reported by the service as a failure
//! with a reason text; [`propose`] turns that into [`Proposal::NoChanges`], so that
//! callers never see the trick.
//!
//! Nothing here decides whether to go on. The caller does, with the [`Proposal`] in its
//! hand.

mod describe;
mod request;

use indexmap::IndexMap;
use iotstack_assembly::StackArtifact;
use serde_json::Value;
use tracing::debug;

use crate::error::{code_of, message_of};
use crate::event::{Event, EventSink, Failure, Operation};
use crate::monitor::{Since, watch};
use crate::outputs::{Output, sorted};
use crate::recover::{Recovery, RecoveryAction};
use crate::state::{DeployAction, StackStatus, on_deploy};
use crate::{Clients, Error, Result, stack};

pub(crate) use request::{Request, TemplateSource};

/// How to deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployOptions {
    /// Values of template parameters. Others keep their previous value or take their
    /// default.
    pub parameters: IndexMap<String, String>,
    /// Keeps the previous values of parameters that are not given. Switched off, they
    /// take their defaults.
    pub previous_parameters: bool,
    /// Tags on the stack, added to those of the assembly.
    pub tags: IndexMap<String, String>,
    /// Topics that hear the stack's events; empty leaves the assembly's.
    pub notification_arns: Vec<String>,
    /// The role that CloudFormation uses, instead of the assembly's.
    pub role_arn: Option<String>,
    /// What happens when a resource fails.
    pub on_failure: OnFailure,
    /// The change set's name.
    pub change_set_name: String,
}

impl Default for DeployOptions {
    fn default() -> Self {
        DeployOptions {
            parameters: IndexMap::new(),
            previous_parameters: true,
            tags: IndexMap::new(),
            notification_arns: Vec::new(),
            role_arn: None,
            on_failure: OnFailure::RollBack,
            change_set_name: DEFAULT_NAME.into(),
        }
    }
}

/// What happens when a resource fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The stack goes back to where it was.
    #[default]
    RollBack,
    /// The stack stays as it is, so that the next deployment goes on from there.
    Keep,
}

/// What deploying would do.
#[derive(Debug, Clone, PartialEq)]
pub enum Proposal {
    /// The stack is what the template says.
    NoChanges(Deployed),
    /// A change set that waits for [`execute`] or [`discard`].
    Changes(ChangeSet),
    /// The stack must be brought out of a bad state first, by [`crate::recover::recover`];
    /// then propose again.
    Recover(Recovery),
}

/// A change set that CloudFormation computed.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeSet {
    /// The stack's name.
    pub stack: String,
    /// The stack's ARN.
    pub stack_id: String,
    /// The change set's name.
    pub name: String,
    /// The change set's ARN.
    pub id: String,
    /// Whether the stack is made by it.
    pub creates_stack: bool,
    /// What happens to resources, in the service's order.
    pub changes: Vec<Change>,
    /// Whether CloudFormation would accept its execution now, such as `AVAILABLE`.
    pub execution_status: String,
    /// What happens when a resource fails.
    pub on_failure: OnFailure,
}

/// What happens to one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Added, changed, removed…
    pub action: ChangeAction,
    /// The resource's logical id.
    pub logical_id: String,
    /// Its name in the account, if it has one.
    pub physical_id: Option<String>,
    /// Its type.
    pub resource_type: String,
    /// Whether it is made anew.
    pub replacement: Replacement,
    /// What happens to the old one: `Delete`, `Retain`, `Snapshot`…
    pub policy_action: Option<String>,
    /// What changes in it.
    pub details: Vec<ChangeDetail>,
    /// The resource's properties before, if CloudFormation gave them.
    pub before: Option<Value>,
    /// The resource's properties afterwards, if CloudFormation gave them.
    pub after: Option<Value>,
}

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeAction {
    /// Made.
    Add,
    /// Changed, in place or by replacement.
    Modify,
    /// Deleted, or left behind if its policy says so.
    Remove,
    /// Taken in.
    Import,
    /// Not known before execution: a nested stack or a macro.
    Dynamic,
}

/// Whether a changed resource is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Replacement {
    /// Changed in place.
    No,
    /// Made anew.
    Yes,
    /// Made anew if a value that is not known yet differs.
    Maybe,
}

/// One change inside a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeDetail {
    /// `Properties`, `Tags`, `Metadata`, `DeletionPolicy`…
    pub attribute: String,
    /// The property's name, or its path if CloudFormation gave one.
    pub property: Option<String>,
    /// Whether this one makes the resource anew.
    pub replacement: Replacement,
    /// The value before, if CloudFormation gave it.
    pub before: Option<String>,
    /// The value afterwards, if CloudFormation gave it.
    pub after: Option<String>,
    /// What causes it, such as `DirectModification` or `ResourceReference`.
    pub source: Option<String>,
}

/// A stack that is deployed.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployed {
    /// The stack's name.
    pub stack: String,
    /// The stack's ARN.
    pub stack_id: String,
    /// Where it stands.
    pub status: StackStatus,
    /// Its outputs, sorted by name.
    pub outputs: Vec<Output>,
}

/// The name that change sets get, as the `cdk` program names them.
pub const DEFAULT_NAME: &str = "cdk-deploy-change-set";

/// The bytes of a template that fit into a request.
pub const INLINE_TEMPLATE_LIMIT: usize = 51_200;

/// The bytes of a template that CloudFormation accepts through a bucket.
pub const TEMPLATE_LIMIT: usize = 1_048_576;

/// Sends the artifact's template as a change set and waits for the answer. Follows what
/// is running to its end first. Publish the assets before.
pub async fn propose(
    clients: &Clients,
    artifact: &StackArtifact,
    options: &DeployOptions,
    sink: &dyn EventSink,
) -> Result<Proposal> {
    let request = Request::from_artifact(clients, artifact, options)?;
    crate::bootstrap::check_version(clients, artifact).await?;
    propose_request(clients, &request, sink).await
}

/// The change set that an earlier [`propose`] left, by name.
pub async fn prepared(clients: &Clients, stack: &str, change_set: &str) -> Result<ChangeSet> {
    describe::wait(clients, stack, change_set, OnFailure::RollBack).await.and_then(|answer| {
        match answer {
            describe::Answer::Ready(change_set) => Ok(*change_set),
            describe::Answer::Empty => Err(Error::ChangeSetNotExecutable {
                stack: stack.to_owned(),
                change_set: change_set.to_owned(),
                status: "empty".into(),
            }),
        }
    })
}

/// Executes a change set and follows it to the end.
pub async fn execute(
    clients: &Clients,
    change_set: &ChangeSet,
    sink: &dyn EventSink,
) -> Result<Deployed> {
    let ChangeSet { stack, stack_id, .. } = change_set;
    let token = crate::token::new();
    let mut call = clients
        .cloudformation
        .execute_change_set()
        .change_set_name(&change_set.id)
        .stack_name(stack)
        .client_request_token(&token);
    if change_set.on_failure == OnFailure::Keep {
        call = call.disable_rollback(true);
    }
    if let Err(error) = call.send().await {
        return Err(match code_of(&error) {
            Some("InvalidChangeSetStatus" | "InvalidChangeSetStatusException") => {
                Error::ChangeSetNotExecutable {
                    stack: stack.clone(),
                    change_set: change_set.name.clone(),
                    status: change_set.execution_status.clone(),
                }
            }
            Some("ChangeSetNotFound" | "ChangeSetNotFoundException") => Error::ChangeSetNotFound {
                stack: stack.clone(),
                change_set: change_set.name.clone(),
            },
            _ => clients.failed("cloudformation:ExecuteChangeSet")(error),
        });
    }
    let operation = if change_set.creates_stack { Operation::Create } else { Operation::Update };
    sink.hear(Event::Started { stack: stack.clone(), operation });
    let total = Some(change_set.changes.len());
    let watched = watch(clients, stack_id, Since::Token(token), total, sink).await?;
    let status = watched.status.clone();
    sink.hear(Event::Finished { stack: stack.clone(), operation, status });
    match watched.status {
        Some(status) if status.is_success() => deployed(clients, stack_id).await,
        status => Err(failed(stack, status, watched.failure)),
    }
}

/// Sets the stack's termination protection if the artifact says something about it and
/// the stack has it otherwise.
pub async fn protect(clients: &Clients, artifact: &StackArtifact) -> Result<()> {
    match artifact.properties.termination_protection {
        Some(wanted) => set_protection(clients, &artifact.stack_name, wanted).await,
        None => Ok(()),
    }
}

/// Deletes a change set, and the empty stack that it made, if it made one.
pub async fn discard(clients: &Clients, change_set: &ChangeSet) -> Result<()> {
    delete(clients, &change_set.stack, &change_set.name).await?;
    let ChangeSet { creates_stack: true, stack_id, .. } = change_set else { return Ok(()) };
    let stack = stack::describe(clients, stack_id).await?;
    if stack.is_some_and(|stack| stack.status == StackStatus::ReviewInProgress) {
        let call = clients.cloudformation.delete_stack().stack_name(stack_id);
        call.send().await.map_err(clients.failed("cloudformation:DeleteStack"))?;
    }
    Ok(())
}

/// Proposes what a request says, as often as a running operation comes in between.
pub(crate) async fn propose_request(
    clients: &Clients,
    request: &Request,
    sink: &dyn EventSink,
) -> Result<Proposal> {
    let stack = loop {
        let stack = stack::describe(clients, &request.stack).await?;
        let action = on_deploy(stack.as_ref().map(|stack| &stack.status));
        let Some(stack) = stack else { break None };
        match action {
            DeployAction::Create => break None,
            DeployAction::CreateAfterReview | DeployAction::Update => break Some(stack),
            DeployAction::RollBackOrRetry if request.on_failure == OnFailure::Keep => {
                break Some(stack);
            }
            DeployAction::Wait | DeployAction::WaitForRollback => {
                attach(clients, &stack, sink).await?;
            }
            DeployAction::Delete => {
                return recovery(clients, stack, RecoveryAction::Delete).await;
            }
            DeployAction::RollBackOrRetry => {
                return recovery(clients, stack, RecoveryAction::RollBack).await;
            }
            DeployAction::ContinueRollback => {
                return recovery(clients, stack, RecoveryAction::ContinueRollback).await;
            }
            DeployAction::Refuse => {
                return Err(Error::StackState {
                    stack: stack.name,
                    status: stack.status,
                    advice: "this version does not know the state; look at the stack in the console",
                });
            }
        }
    };
    let change_set = &request.change_set_name;
    create(clients, request, stack.as_ref(), sink).await?;
    match describe::wait(clients, &request.stack, change_set, request.on_failure).await {
        Ok(describe::Answer::Ready(mut ready)) => {
            ready.creates_stack = creates(stack.as_ref());
            sink.hear(Event::ChangeSetReady {
                stack: request.stack.clone(),
                change_set: change_set.clone(),
                changes: ready.changes.len(),
            });
            Ok(Proposal::Changes(*ready))
        }
        Ok(describe::Answer::Empty) => {
            delete(clients, &request.stack, change_set).await?;
            Ok(Proposal::NoChanges(deployed(clients, &request.stack).await?))
        }
        Err(error @ Error::ChangeSetFailed { .. }) => {
            clean_up(clients, request, stack.as_ref()).await;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Switches termination protection, unless it is as wanted already.
pub(crate) async fn set_protection(clients: &Clients, stack: &str, wanted: bool) -> Result<()> {
    let found = stack::describe(clients, stack).await?;
    if found.is_none_or(|found| found.termination_protected == wanted) {
        return Ok(());
    }
    let call = clients
        .cloudformation
        .update_termination_protection()
        .stack_name(stack)
        .enable_termination_protection(wanted);
    call.send().await.map_err(clients.failed("cloudformation:UpdateTerminationProtection"))?;
    Ok(())
}

/// Deletes a change set; that there is none is just as well.
pub(crate) async fn delete(clients: &Clients, stack: &str, change_set: &str) -> Result<()> {
    let call =
        clients.cloudformation.delete_change_set().stack_name(stack).change_set_name(change_set);
    match call.send().await {
        Ok(_) => Ok(()),
        Err(error) if stack::is_absent(&error) => Ok(()),
        Err(error) if code_of(&error).is_some_and(|code| code.starts_with("ChangeSetNotFound")) => {
            Ok(())
        }
        Err(error) => Err(clients.failed("cloudformation:DeleteChangeSet")(error)),
    }
}

/// The error for a stack that did not get where it should.
pub(crate) fn failed(stack: &str, status: Option<StackStatus>, failure: Option<Failure>) -> Error {
    let (stack, failure) = (stack.to_owned(), failure.map(Box::new));
    let status = status.unwrap_or(StackStatus::DeleteComplete);
    let rolled_back = status.is_rollback() && !status.as_str().ends_with("FAILED");
    match rolled_back || status == StackStatus::DeleteComplete {
        true => Error::RolledBack { stack, status, failure },
        false => Error::Failed { stack, status, failure },
    }
}

/// Follows what is running. A change that ends badly ends the deployment too: the same
/// template would most likely fail again.
async fn attach(clients: &Clients, stack: &stack::Stack, sink: &dyn EventSink) -> Result<()> {
    sink.hear(Event::Attached { stack: stack.name.clone(), status: stack.status.clone() });
    let watched = watch(clients, &stack.id, Since::RunningOperation, None, sink).await?;
    match watched.status {
        None => Ok(()),
        Some(status) if status.is_success() => Ok(()),
        // A deletion that failed has a way out, which the next look proposes.
        Some(StackStatus::DeleteFailed) => Ok(()),
        status => Err(failed(&stack.name, status, watched.failure)),
    }
}

async fn recovery(
    clients: &Clients,
    stack: stack::Stack,
    action: RecoveryAction,
) -> Result<Proposal> {
    Ok(Proposal::Recover(crate::recover::describe(clients, stack, action).await?))
}

async fn create(
    clients: &Clients,
    request: &Request,
    stack: Option<&stack::Stack>,
    sink: &dyn EventSink,
) -> Result<()> {
    // One of the same name may be left from an interrupted or undecided deployment.
    if stack.is_some() {
        delete(clients, &request.stack, &request.change_set_name).await?;
    }
    sink.hear(Event::ChangeSetCreating {
        stack: request.stack.clone(),
        change_set: request.change_set_name.clone(),
    });
    let mut attempts = 0;
    loop {
        let call = request.call(clients, stack)?;
        let Err(error) = call.send().await else { return Ok(()) };
        // Deletion of the old one may take a moment.
        let exists = code_of(&error).is_some_and(|code| code.starts_with("AlreadyExists"));
        if exists && attempts < ATTEMPTS {
            attempts += 1;
            tokio::time::sleep(clients.pace.change_set).await;
            continue;
        }
        let message = message_of(&error).to_owned();
        let needs_bootstrap = message.contains("/cdk-bootstrap/")
            || (message.contains("role") || message.contains("Role"))
                && message.contains("cannot be assumed");
        return Err(match needs_bootstrap {
            true => Error::NotBootstrapped {
                environment: clients.environment().to_string(),
                reason: message,
            },
            false => clients.failed("cloudformation:CreateChangeSet")(error),
        });
    }
}

/// Leaves nothing of a change set that failed. Its reason is told already, so what goes
/// wrong here is not worth hiding it.
async fn clean_up(clients: &Clients, request: &Request, before: Option<&stack::Stack>) {
    if let Err(error) = delete(clients, &request.stack, &request.change_set_name).await {
        debug!(%error, "the failed change set was not deleted");
    }
    if before.is_some() {
        return;
    }
    let call = clients.cloudformation.delete_stack().stack_name(&request.stack);
    if let Err(error) = call.send().await {
        debug!(error = %error.into_service_error(), "the empty stack was not deleted");
    }
}

async fn deployed(clients: &Clients, name: &str) -> Result<Deployed> {
    let stack = stack::describe(clients, name).await?.ok_or_else(|| Error::StackNotFound {
        stack: name.to_owned(),
        environment: clients.environment().to_string(),
    })?;
    Ok(Deployed {
        stack: stack.name,
        stack_id: stack.id,
        status: stack.status,
        outputs: sorted(stack.outputs),
    })
}

fn creates(stack: Option<&stack::Stack>) -> bool {
    stack.is_none_or(|stack| stack.status == StackStatus::ReviewInProgress)
}

/// How often a change set is asked for while one of the same name is being deleted.
const ATTEMPTS: u32 = 10;
