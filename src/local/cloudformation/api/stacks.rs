//! Stacks: made, changed, taken back, deleted.
//!
//! Each operation checks the request, takes the stack in one step with the
//! question whether it is free, and answers when that is stored. What follows
//! runs in a task of its own; how it goes is told by events.

use std::sync::Arc;

use iotstack_local_kernel::{Call, Cloud, Commit, Reply};
use serde_json::json;

use super::input::{self, flag, number, required, text, texts};
use super::{CloudFormation, wrong_state};
use crate::engine::{Prepared, Wanted, left_out, plan, prepare, source};
use crate::run::{self, back, begin, nested, remove};
use crate::state::{Definition, Head, OnFailure, Stack, StackStatus, put_head};
use crate::{Error, Result};

pub async fn create(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let cloud = service.cloud()?;
    let name = input::new_name(&call, "StackName")?;
    let taken = service.engine.read(|state| state.find(name).is_some());
    if taken {
        return Err(Error::AlreadyExists(format!("Stack [{name}] already exists")));
    }
    let disable_rollback = flag(&call, "DisableRollback")?;
    let on_failure = input::on_failure(&call, "OnFailure")?;
    if disable_rollback.is_some() && on_failure.is_some() {
        return Err(Error::invalid(
            "Either DisableRollback or OnFailure can be specified, not both.",
        ));
    }
    let definition = input::definition(&call, None)?;
    check_role(&cloud, &definition)?;
    let wanted = Wanted { given: input::parameters(&call)?, definition, ..Wanted::default() };
    let text = source::read(&cloud, text(&call, "TemplateBody"), text(&call, "TemplateURL"))
        .await?
        .ok_or_else(no_template)?;
    let prepared = prepare(&cloud, text, wanted, name)?;
    left_out::refuse(&prepared, &cloud.account, name)?;
    let id = begin::new_stack_id(&cloud, name);
    let mut head =
        Head::new(id.clone(), name.to_owned(), StackStatus::CreateInProgress, cloud.clock.now());
    head.on_failure = on_failure.unwrap_or(OnFailure::RollBack);
    head.disable_rollback = disable_rollback.unwrap_or_default();
    head.retain_except_on_create = flag(&call, "RetainExceptOnCreate")?.unwrap_or_default();
    head.protected = flag(&call, "EnableTerminationProtection")?.unwrap_or_default();
    head.timeout = number(&call, "TimeoutInMinutes")?;
    head.policy = input::policy(&cloud, &call, POLICY).await?;
    let _ = begin::insert(&service.engine, &cloud, head)?;
    let run = begin::run(&service.engine, &cloud, &id, Arc::new(prepared));
    let commit = begin::creation(&run, text_of(&call, "ClientRequestToken"))?;
    let operation = operation_of(&service, &id);
    go(commit, async move {
        run::create(run).await;
    })
    .await?;
    Ok(json!({ "StackId": id, "OperationId": operation }).into())
}

pub async fn update(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let cloud = service.cloud()?;
    let name = required(&call, "StackName")?;
    let (id, stack_name, status, before) = updatable(&service, name)?;
    let prepared = Arc::new(proposed(&cloud, &call, before.as_deref(), &stack_name).await?);
    let mut present = service.engine.read(|state| begin::present(state, &id));
    present.nested_changes = nested::changes(&service.engine, &cloud, &present).await;
    let planned = plan::plan(&prepared, &present, &cloud.account, (&stack_name, &id))?;
    if planned.changes.is_empty() && !planned.changes_stack && !status.was_left() {
        return Err(Error::invalid("No updates are to be performed."));
    }
    // A new policy is for the updates that follow; for this one another may stand in.
    let options = Options::of(&call, input::policy(&cloud, &call, POLICY).await?)?;
    let during = input::policy(&cloud, &call, POLICY_DURING_UPDATE).await?;
    let run = begin::run(&service.engine, &cloud, &id, prepared).guarded(during)?;
    let commit = begin::update(&run, text_of(&call, "ClientRequestToken"))?;
    options.set(&run);
    let operation = operation_of(&service, &id);
    go(commit, async move {
        run::update(run).await;
    })
    .await?;
    Ok(json!({ "StackId": id, "OperationId": operation }).into())
}

pub async fn delete(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let cloud = service.cloud()?;
    let name = required(&call, "StackName")?;
    let found = service.engine.read(|state| {
        let stack = state.find(name)?;
        let used = stack.head.outputs.iter().find_map(|output| {
            let export = output.export.as_deref()?;
            state.importers(export).next().map(|user| (export.to_owned(), user.to_owned()))
        });
        let failed: Vec<String> = stack
            .resources
            .values()
            .filter(|resource| resource.status.has_failed())
            .map(|resource| resource.logical_id.clone())
            .collect();
        Some((stack.head.clone(), used, failed))
    });
    let Some((head, used, failed)) = found else { return Ok(Reply::empty()) };
    if matches!(head.status, StackStatus::DeleteComplete | StackStatus::DeleteInProgress) {
        return Ok(Reply::empty());
    }
    if head.protected {
        return Err(Error::invalid(format!(
            "Stack [{}] cannot be deleted while TerminationProtection is enabled",
            head.name
        )));
    }
    let is_created = head.status == StackStatus::CreateInProgress;
    if head.status.is_running() && !is_created {
        return Err(Error::invalid(format!(
            "Stack [{}] cannot be deleted while in status {}",
            head.name,
            head.status.as_str()
        )));
    }
    if let Some((export, user)) = used {
        return Err(Error::invalid(format!(
            "Export {export} cannot be deleted as it is in use by {user}"
        )));
    }
    let retained = texts(&call, "RetainResources").unwrap_or_default();
    let forced = text(&call, "DeletionMode") == Some("FORCE_DELETE_STACK");
    let has_failed = head.status == StackStatus::DeleteFailed;
    if (!retained.is_empty() || forced) && !has_failed {
        return Err(Error::invalid(format!(
            "Invalid operation on stack [{}]. The resources to retain, and forced deletion, can be specified only when the stack is in the DELETE_FAILED state.",
            head.id
        )));
    }
    if let Some(unknown) = retained.iter().find(|id| !failed.contains(id)) {
        return Err(Error::invalid(format!(
            "{unknown} cannot be retained: it is not among the resources that could not be deleted [{}]",
            failed.join(", ")
        )));
    }
    let token = text_of(&call, "ClientRequestToken");
    if is_created {
        // The creation that runs takes everything away when it has come to a halt.
        let ledger = run::ledger::Ledger {
            engine: service.engine.clone(),
            cloud: cloud.clone(),
            id: head.id.clone(),
        };
        let _ = ledger.change(|stack, batch| {
            stack.head.on_failure = OnFailure::Delete;
            stack.head.operation = Some(begin::operation("DELETE_STACK", token));
            put_head(batch, stack);
        });
        service.engine.give_up(&head.id, "Deletion requested by user. ");
        return Ok(Reply::empty());
    }
    let run = begin::bare(&service.engine, &cloud, &head.id);
    let commit = begin::deletion(&run, token, retained)?;
    go(commit, async move {
        remove::stack(&run, forced).await;
    })
    .await?;
    Ok(Reply::empty())
}

pub async fn cancel_update(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let name = required(&call, "StackName")?;
    let head = head_of(&service, name)?;
    if head.status != StackStatus::UpdateInProgress
        || !service.engine.give_up(&head.id, run::USER_INITIATED)
    {
        return Err(Error::invalid(format!(
            "CancelUpdateStack cannot be called from current stack status {}",
            head.status.as_str()
        )));
    }
    Ok(Reply::empty())
}

pub async fn roll_back(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let cloud = service.cloud()?;
    let head = head_of(&service, required(&call, "StackName")?)?;
    if !head.status.was_left() {
        return Err(Error::invalid(format!(
            "Stack:{} is in {} state and can not be rolled back; CREATE_FAILED and UPDATE_FAILED can",
            head.id,
            head.status.as_str()
        )));
    }
    let retains = flag(&call, "RetainExceptOnCreate")?;
    let run = begin::bare(&service.engine, &cloud, &head.id);
    let token = text_of(&call, "ClientRequestToken");
    let commit = begin::way_back(&run, "ROLLBACK", token, |head| head.status.was_left())?;
    let _ = run.ledger.change(|stack, batch| {
        if let Some(retains) = retains {
            stack.head.retain_except_on_create = retains;
        }
        put_head(batch, stack);
    });
    let operation = operation_of(&service, &head.id);
    go(commit, async move {
        back::undo_update(&run, run::USER_INITIATED.to_owned(), &[]).await;
    })
    .await?;
    Ok(json!({ "StackId": head.id, "OperationId": operation }).into())
}

pub async fn continue_rollback(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let cloud = service.cloud()?;
    let name = required(&call, "StackName")?;
    let head = head_of(&service, name)?;
    if head.status != StackStatus::UpdateRollbackFailed {
        return Err(Error::invalid(format!(
            "Stack:{} is in {} state; only the rollback of a stack in UPDATE_ROLLBACK_FAILED can be continued",
            head.id,
            head.status.as_str()
        )));
    }
    let skip = texts(&call, "ResourcesToSkip").unwrap_or_default();
    let failed: Vec<String> = service.engine.read(|state| {
        let resources = state.stacks.get(&head.id).map(|stack| stack.resources.values());
        resources
            .into_iter()
            .flatten()
            .filter(|resource| resource.status.has_failed())
            .map(|resource| resource.logical_id.clone())
            .collect()
    });
    if let Some(wrong) = skip.iter().find(|id| !failed.contains(id)) {
        return Err(Error::invalid(format!(
            "{wrong} cannot be skipped: it is not among the resources that failed [{}]",
            failed.join(", ")
        )));
    }
    let run = begin::bare(&service.engine, &cloud, &head.id);
    let token = text_of(&call, "ClientRequestToken");
    let fits = |head: &Head| head.status == StackStatus::UpdateRollbackFailed;
    let commit = begin::way_back(&run, "CONTINUE_ROLLBACK", token, fits)?;
    go(commit, async move {
        back::undo_update(&run, run::USER_INITIATED.to_owned(), &skip).await;
    })
    .await?;
    Ok(Reply::empty())
}

pub async fn protect(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let wanted = flag(&call, "EnableTerminationProtection")?
        .ok_or_else(|| Error::invalid("EnableTerminationProtection must be true or false"))?;
    let id = change(&service, &call, |stack| {
        if stack.head.parent.is_some() {
            return Err(Error::invalid(
                "TerminationProtection belongs to the outermost stack; it cannot be set on a nested one",
            ));
        }
        stack.head.protected = wanted;
        Ok(())
    })
    .await?;
    Ok(json!({ "StackId": id }).into())
}

pub async fn set_policy(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let cloud = service.cloud()?;
    let policy = input::policy(&cloud, &call, POLICY).await?.ok_or_else(|| {
        Error::invalid("Either StackPolicyBody or StackPolicyURL must be specified.")
    })?;
    change(&service, &call, |stack| {
        stack.head.policy = Some(policy);
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

pub fn get_policy(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let head = head_of(service, required(call, "StackName")?)?;
    Ok(json!({ "StackPolicyBody": head.policy }).into())
}

/// What a request makes of a stack: its template, or the previous one.
pub async fn proposed(
    cloud: &Cloud,
    call: &Call,
    before: Option<&Definition>,
    name: &str,
) -> Result<Prepared> {
    let definition = input::definition(call, before)?;
    check_role(cloud, &definition)?;
    let previous = before.map(|before| before.parameters.clone()).unwrap_or_default();
    let wanted = Wanted { given: input::parameters(call)?, previous, definition };
    let given = source::read(cloud, text(call, "TemplateBody"), text(call, "TemplateURL")).await?;
    let uses_previous = flag(call, "UsePreviousTemplate")?.unwrap_or_default();
    let text = match (given, before) {
        (Some(_), _) if uses_previous => {
            return Err(Error::invalid(
                "You cannot specify both usePreviousTemplate and Template Body/Template URL.",
            ));
        }
        (Some(text), _) => text,
        (None, Some(before)) if uses_previous => before.text.clone(),
        _ => return Err(no_template()),
    };
    prepare(cloud, text, wanted, name)
}

/// A stack that can be updated: its id, name, state and definition.
pub fn updatable(
    service: &CloudFormation,
    name: &str,
) -> Result<(String, String, StackStatus, Option<Arc<Definition>>)> {
    let found = service.engine.read(|state| {
        state.find(name).map(|stack| {
            (
                stack.head.id.clone(),
                stack.head.name.clone(),
                stack.head.status,
                stack.definition.clone(),
            )
        })
    });
    let found = found
        .filter(|(_, _, status, _)| *status != StackStatus::DeleteComplete)
        .ok_or_else(|| Error::invalid(format!("Stack [{name}] does not exist")))?;
    if found.2.can_update() { Ok(found) } else { Err(wrong_state(&found.0, found.2)) }
}

/// Lets an operation that was begun go on, and waits until its beginning is stored.
/// It goes on even if that fails or the caller is gone: a stack that was begun must
/// come to an end.
pub async fn go(
    commit: Commit,
    operation: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    tokio::spawn(operation);
    commit.stored().await.map_err(fault)
}

/// What an operation may set of a stack's own.
pub struct Options {
    disable_rollback: bool,
    retain_except_on_create: bool,
    policy: Option<String>,
}

impl Options {
    /// The options of a request, and the new policy if it brings one.
    pub fn of(call: &Call, policy: Option<String>) -> Result<Self> {
        Ok(Options {
            disable_rollback: flag(call, "DisableRollback")?.unwrap_or_default(),
            retain_except_on_create: flag(call, "RetainExceptOnCreate")?.unwrap_or_default(),
            policy,
        })
    }

    /// Sets them.
    pub fn set(self, run: &run::Run) {
        let _ = run.ledger.change(|stack, batch| {
            stack.head.disable_rollback = self.disable_rollback;
            stack.head.retain_except_on_create = self.retain_except_on_create;
            if self.policy.is_some() {
                stack.head.policy = self.policy;
            }
            put_head(batch, stack);
        });
    }
}

/// Refuses a role that there is not, where roles are known at all.
pub fn check_role(cloud: &Cloud, definition: &Definition) -> Result<()> {
    let Some(role) = &definition.role_arn else { return Ok(()) };
    let Ok(credentials) = cloud.ports.credentials() else { return Ok(()) };
    match credentials.assume(role, "AWSCloudFormation", "cloudformation.amazonaws.com") {
        Ok(_) => Ok(()),
        Err(fault) => {
            tracing::debug!(role, %fault, "not assumed");
            Err(Error::invalid(format!("Role {role} is invalid or cannot be assumed")))
        }
    }
}

/// A member that is a text if it is there.
pub fn text_of(call: &Call, name: &str) -> Option<String> {
    text(call, name).map(str::to_owned)
}

/// The id of the operation that runs on a stack.
pub fn operation_of(service: &CloudFormation, id: &str) -> Option<String> {
    service.engine.read(|state| {
        state.stacks.get(id)?.head.operation.as_ref().map(|operation| operation.id.clone())
    })
}

/// The fault of a disk that does not take a change.
pub fn fault(error: iotstack_local_kernel::StoreError) -> Error {
    Error::Other(error.into())
}

/// A stack's own facts.
pub fn head_of(service: &CloudFormation, name: &str) -> Result<Head> {
    service
        .engine
        .read(|state| state.find(name).map(|stack| stack.head.clone()))
        .filter(|head| head.status != StackStatus::DeleteComplete)
        .ok_or_else(|| Error::no_stack(name))
}

async fn change(
    service: &CloudFormation,
    call: &Call,
    change: impl FnOnce(&mut Stack) -> Result<()>,
) -> Result<String> {
    let cloud = service.cloud()?;
    let head = head_of(service, required(call, "StackName")?)?;
    let mut outcome = Ok(());
    let commit = service.engine.change(&cloud, &head.id, |stack, batch| {
        outcome = change(stack);
        put_head(batch, stack);
    });
    outcome?;
    commit.stored().await.map_err(fault)?;
    Ok(head.id)
}

/// The members that bring a policy for the stack.
const POLICY: (&str, &str) = ("StackPolicyBody", "StackPolicyURL");

/// The members that bring one for the time of an update.
const POLICY_DURING_UPDATE: (&str, &str) =
    ("StackPolicyDuringUpdateBody", "StackPolicyDuringUpdateURL");

fn no_template() -> Error {
    Error::invalid("Either Template URL or Template Body must be specified.")
}
