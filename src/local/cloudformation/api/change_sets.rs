//! Change sets: made, looked at, executed, thrown away.
//!
//! A change set is computed while the request that asks for it is answered, so
//! it is never seen in progress.

use std::sync::Arc;

use iotstack_local_kernel::{Call, Reply, id, page::page};
use serde_json::{Value, json};

use super::input::{self, flag, items, required, text};
use super::stacks::{Options, fault, go, proposed, text_of, updatable};
use super::{CloudFormation, wrong_state};
use crate::engine::plan::{Detail, Plan, PlannedChange, plan};
use crate::engine::{prepare_again, validate};
use crate::run::{self, begin, nested};
use crate::state::{
    ChangeSet, Finding, Head, MASK, OnFailure, Parameter, StackStatus, put_change_set, put_head,
};
use crate::{Error, Result};

pub async fn create(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let cloud = service.cloud()?;
    let name = input::new_name(&call, "ChangeSetName")?.to_owned();
    refuse_imports(&call)?;
    let place = place(&service, &call)?;
    let before = match &place {
        Place::Update { definition, .. } => definition.clone(),
        _ => None,
    };
    let stack_name = place.name().to_owned();
    let prepared = Arc::new(proposed(&cloud, &call, before.as_deref(), &stack_name).await?);
    let on_failure = input::on_failure(&call, "OnStackFailure")?;
    let stack_id = match &place {
        Place::New { name } => {
            let id = begin::new_stack_id(&cloud, name);
            let now = cloud.clock.now();
            let status = StackStatus::ReviewInProgress;
            let head = Head::new(id.clone(), name.clone(), status, now);
            let _ = begin::insert(&service.engine, &cloud, head)?;
            let run = begin::bare(&service.engine, &cloud, &id);
            let _ = run.ledger.status(status, Some(run::USER_INITIATED.to_owned()));
            id
        }
        Place::Review { id, .. } | Place::Update { id, .. } => id.clone(),
    };
    let mut present = service.engine.read(|state| begin::present(state, &stack_id));
    present.nested_changes = nested::changes(&service.engine, &cloud, &present).await;
    let planned = plan(&prepared, &present, &cloud.account, (&stack_name, &stack_id));
    let is_forced = matches!(&place, Place::Update { status, .. } if status.was_left());
    let disables = flag(&call, "DisableValidation")?.unwrap_or_default();
    let findings =
        if disables { Vec::new() } else { validate::properties(&cloud, &prepared.template) };
    let outcome = outcome(planned, &findings, &place, is_forced);
    let arn = cloud.account.arn("cloudformation", format!("changeSet/{name}/{}", id::uuid()));
    let mut set = ChangeSet {
        id: arn.clone(),
        name: name.clone(),
        description: text_of(&call, "Description"),
        created: cloud.clock.now(),
        status: "CREATE_COMPLETE".to_owned(),
        reason: None,
        execution: "AVAILABLE".to_owned(),
        creates_stack: !matches!(place, Place::Update { .. }),
        definition: prepared.definition.clone(),
        changes: Vec::new(),
        findings,
        on_failure,
        include_nested: flag(&call, "IncludeNestedStacks")?.unwrap_or_default(),
        takes_in: flag(&call, "ImportExistingResources")?.unwrap_or_default(),
    };
    match outcome {
        Ok(plan) => set.changes = plan.changes,
        Err(reason) => {
            set.status = "FAILED".to_owned();
            set.execution = "UNAVAILABLE".to_owned();
            set.reason = Some(reason);
        }
    }
    let mut outcome = Ok(());
    let commit = service.engine.change(&cloud, &stack_id, |stack, batch| {
        if stack.change_set(&name).is_some() {
            outcome = Err(Error::AlreadyExists(format!("ChangeSet [{name}] already exists")));
        } else if stack.change_sets.len() >= MOST {
            outcome = Err(Error::Limit(format!("the stack has {MOST} change sets already")));
        } else {
            stack.change_sets.push(set);
            put_change_set(batch, stack, &arn);
        }
    });
    outcome?;
    commit.stored().await.map_err(fault)?;
    Ok(json!({ "Id": arn, "StackId": stack_id }).into())
}

pub async fn execute(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let cloud = service.cloud()?;
    let (stack_id, set) = find(&service, &call)?;
    if set.execution != "AVAILABLE" {
        return Err(Error::ChangeSetStatus(format!(
            "ChangeSet [{}] cannot be executed in its current status of [{}]",
            set.id,
            if set.status == "FAILED" { &set.status } else { &set.execution }
        )));
    }
    let (name, status) = service
        .engine
        .read(|state| {
            state.stacks.get(&stack_id).map(|stack| (stack.head.name.clone(), stack.head.status))
        })
        .ok_or_else(|| Error::no_stack(&stack_id))?;
    let is_ready = match set.creates_stack {
        true => status == StackStatus::ReviewInProgress,
        false => status.can_update(),
    };
    if !is_ready {
        return Err(wrong_state(&stack_id, status));
    }
    let prepared = Arc::new(prepare_again(&set.definition, &cloud.account, &name)?);
    let options = Options::of(&call, None)?;
    let run = begin::run(&service.engine, &cloud, &stack_id, prepared).guarded(None)?;
    let token = text_of(&call, "ClientRequestToken");
    let commit = match set.creates_stack {
        true => begin::creation(&run, token)?,
        false => begin::update(&run, token)?,
    };
    options.set(&run);
    let _ = run.ledger.change(|stack, batch| {
        // Executing one removes all others, as they speak of a stack that is no more.
        let others: Vec<String> = stack
            .change_sets
            .iter()
            .filter(|other| other.id != set.id)
            .map(|other| other.id.clone())
            .collect();
        stack.change_sets.retain(|other| other.id == set.id);
        for other in others {
            put_change_set(batch, stack, &other);
        }
        if let Some(set) = stack.change_sets.first_mut() {
            set.execution = "EXECUTE_IN_PROGRESS".to_owned();
        }
        stack.head.change_set = Some(set.id.clone());
        stack.head.takes_in = set.takes_in;
        if let Some(on_failure) = set.on_failure {
            stack.head.on_failure = on_failure;
            stack.head.disable_rollback |= on_failure == OnFailure::DoNothing;
        }
        put_change_set(batch, stack, &set.id);
        put_head(batch, stack);
    });
    go(commit, async move {
        let ledger = run.ledger.clone();
        let stands = match set.creates_stack {
            true => run::create(run).await,
            false => run::update(run).await,
        };
        let _ = ledger.change(|stack, batch| {
            if let Some(set) = stack.change_set_mut(&set.id) {
                let end = if stands { "EXECUTE_COMPLETE" } else { "EXECUTE_FAILED" };
                set.execution = end.to_owned();
            }
            put_change_set(batch, stack, &set.id);
        });
    })
    .await?;
    Ok(Reply::empty())
}

pub async fn delete(service: Arc<CloudFormation>, call: Call) -> Result<Reply> {
    let cloud = service.cloud()?;
    let name = required(&call, "ChangeSetName")?;
    let (stack_id, set) = match find(&service, &call) {
        Ok(found) => found,
        // One that is absent is deleted, as long as its stack is there.
        Err(Error::ChangeSetNotFound(_)) if !name.starts_with("arn:") => {
            return Ok(Reply::empty());
        }
        Err(error) => return Err(error),
    };
    if set.execution == "EXECUTE_IN_PROGRESS" {
        return Err(Error::ChangeSetStatus(format!(
            "ChangeSet [{}] cannot be deleted in its current status of [{}]",
            set.id, set.execution
        )));
    }
    let commit = service.engine.change(&cloud, &stack_id, |stack, batch| {
        stack.change_sets.retain(|other| other.id != set.id);
        put_change_set(batch, stack, &set.id);
    });
    commit.stored().await.map_err(fault)?;
    Ok(Reply::empty())
}

pub fn describe(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let (stack_id, set) = find(service, call)?;
    let shows_values = flag(call, "IncludePropertyValues")?.unwrap_or_default();
    let stack_name =
        service.engine.read(|state| state.stacks.get(&stack_id).map(|s| s.head.name.clone()));
    let numbered = set.changes.iter().enumerate();
    let key = |(number, _): &(usize, &PlannedChange)| format!("{number:06}");
    let (found, next) = page(numbered, key, text(call, "NextToken"), PAGE)?;
    let changes: Vec<Value> = found
        .into_iter()
        .map(|(_, change)| {
            json!({"Type": "Resource", "ResourceChange": described(change, shows_values)})
        })
        .collect();
    let parameters: Vec<Value> =
        set.definition.parameters.iter().map(|(name, value)| parameter(name, value)).collect();
    let tags: Vec<Value> = set
        .definition
        .tags
        .iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect();
    Ok(json!({
        "ChangeSetName": set.name,
        "ChangeSetId": set.id,
        "StackId": stack_id,
        "StackName": stack_name,
        "Description": set.description,
        "Parameters": parameters,
        "CreationTime": set.created.iso8601(),
        "ExecutionStatus": set.execution,
        "Status": set.status,
        "StatusReason": set.reason,
        "NotificationARNs": set.definition.notification_arns,
        "RollbackConfiguration": {},
        "Capabilities": set.definition.capabilities,
        "Tags": tags,
        "Changes": changes,
        "NextToken": next,
        "IncludeNestedStacks": set.include_nested,
        "ImportExistingResources": set.takes_in,
        "OnStackFailure": set.on_failure.map(OnFailure::as_str),
    })
    .into())
}

pub fn hooks(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let (stack_id, set) = find(service, call)?;
    Ok(json!({
        "ChangeSetId": set.id,
        "ChangeSetName": set.name,
        "Hooks": [],
        "Status": "PLANNED",
        "StackId": stack_id,
    })
    .into())
}

pub fn list(service: &CloudFormation, call: &Call) -> Result<Reply> {
    let name = required(call, "StackName")?;
    service.engine.read(|state| {
        let stack = state.find(name).ok_or_else(|| Error::no_stack(name))?;
        let key = |set: &&ChangeSet| set.id.clone();
        let mut sets: Vec<&ChangeSet> = stack.change_sets.iter().collect();
        sets.sort_by(|left, right| left.id.cmp(&right.id));
        let (found, next) = page(sets, key, text(call, "NextToken"), PAGE)?;
        let found: Vec<Value> = found
            .into_iter()
            .map(|set| {
                json!({
                    "StackId": stack.head.id,
                    "StackName": stack.head.name,
                    "ChangeSetId": set.id,
                    "ChangeSetName": set.name,
                    "ExecutionStatus": set.execution,
                    "Status": set.status,
                    "StatusReason": set.reason,
                    "CreationTime": set.created.iso8601(),
                    "Description": set.description,
                    "IncludeNestedStacks": set.include_nested,
                })
            })
            .collect();
        Ok(json!({ "Summaries": found, "NextToken": next }).into())
    })
}

/// A parameter in AWS's form.
pub fn parameter(name: &str, parameter: &Parameter) -> Value {
    let resolved = parameter.resolved.as_deref();
    json!({
        "ParameterKey": name,
        "ParameterValue": parameter.shown(),
        "ResolvedValue": if parameter.is_secret { resolved.map(|_| MASK) } else { resolved },
    })
}

/// The change set that a request names, with its stack.
pub fn find(service: &CloudFormation, call: &Call) -> Result<(String, ChangeSet)> {
    let name = required(call, "ChangeSetName")?;
    let stack_name = text(call, "StackName");
    service.engine.read(|state| {
        let found = match stack_name {
            Some(stack_name) => {
                let stack = state.find(stack_name).ok_or_else(|| Error::no_stack(stack_name))?;
                stack.change_set(name).map(|set| (stack, set))
            }
            None if name.starts_with("arn:") => state
                .stacks
                .values()
                .find_map(|stack| stack.change_set(name).map(|set| (stack, set))),
            None => {
                return Err(Error::invalid(
                    "StackName must be specified if ChangeSetName is not specified as an ARN.",
                ));
            }
        };
        found
            .map(|(stack, set)| (stack.head.id.clone(), set.clone()))
            .ok_or_else(|| Error::ChangeSetNotFound(name.to_owned()))
    })
}

/// Where a change set belongs.
enum Place {
    /// To a stack that is still to be made.
    New { name: String },
    /// To one that was only looked at so far.
    Review { id: String, name: String },
    /// To one that stands.
    Update {
        id: String,
        name: String,
        status: StackStatus,
        definition: Option<Arc<crate::state::Definition>>,
    },
}

impl Place {
    fn name(&self) -> &str {
        match self {
            Place::New { name } | Place::Review { name, .. } | Place::Update { name, .. } => name,
        }
    }
}

fn place(service: &CloudFormation, call: &Call) -> Result<Place> {
    let name = required(call, "StackName")?;
    match text(call, "ChangeSetType").unwrap_or("UPDATE") {
        "CREATE" => {
            let found = service.engine.read(|state| {
                state.find(name).map(|stack| {
                    (stack.head.id.clone(), stack.head.name.clone(), stack.head.status)
                })
            });
            match found {
                None => Ok(Place::New { name: input::new_name(call, "StackName")?.to_owned() }),
                Some((id, name, StackStatus::ReviewInProgress)) => Ok(Place::Review { id, name }),
                Some((_, name, StackStatus::DeleteComplete)) => Err(Error::no_stack(&name)),
                Some((_, name, status)) => Err(Error::invalid(format!(
                    "Stack [{name}] already exists and cannot be created again with a change set of type CREATE; it is in {} state",
                    status.as_str()
                ))),
            }
        }
        "UPDATE" => {
            let (id, name, status, definition) = updatable(service, name)?;
            Ok(Place::Update { id, name, status, definition })
        }
        "IMPORT" => Err(Error::NotOffered("change sets of type IMPORT".to_owned())),
        other => Err(Error::invalid(format!(
            "ChangeSetType must be CREATE, UPDATE or IMPORT, not {other}"
        ))),
    }
}

fn refuse_imports(call: &Call) -> Result<()> {
    if items(call, "ResourcesToImport").is_some_and(|items| !items.is_empty()) {
        return Err(Error::NotOffered("the import of resources into a stack".to_owned()));
    }
    Ok(())
}

/// What can be executed, or why nothing can.
fn outcome(
    planned: Result<Plan>,
    findings: &[Finding],
    place: &Place,
    is_forced: bool,
) -> Result<Plan, String> {
    let plan = planned.map_err(|error| error.to_string())?;
    if let Some(first) = findings.first() {
        return Err(format!(
            "The following validation failed: [{VALIDATION}], first for {} at {}: {}. To see all of it, use the DescribeEvents API with this change set.",
            first.logical_id, first.path, first.message
        ));
    }
    let is_update = matches!(place, Place::Update { .. });
    if is_update && plan.changes.is_empty() && !plan.changes_stack && !is_forced {
        return Err(
            "The submitted information didn't contain changes. Submit different information to create a change set."
                .to_owned(),
        );
    }
    Ok(plan)
}

fn described(change: &PlannedChange, shows_values: bool) -> Value {
    let details: Vec<Value> =
        change.details.iter().map(|detail| detail_of(detail, shows_values)).collect();
    json!({
        "PolicyAction": change.policy_action,
        "Action": change.action,
        "LogicalResourceId": change.logical_id,
        "PhysicalResourceId": change.physical_id,
        "ResourceType": change.kind,
        "Replacement": change.replacement,
        "Scope": change.scope,
        "Details": details,
        "BeforeContext": change.before.as_ref().filter(|_| shows_values),
        "AfterContext": change.after.as_ref().filter(|_| shows_values),
    })
}

fn detail_of(detail: &Detail, shows_values: bool) -> Value {
    json!({
        "Target": {
            "Attribute": detail.attribute,
            "Name": detail.name,
            "RequiresRecreation": detail.recreation,
            "Path": detail.path.as_ref().filter(|_| shows_values),
            "BeforeValue": detail.before.as_ref().filter(|_| shows_values),
            "AfterValue": detail.after.as_ref().filter(|_| shows_values),
            "AttributeChangeType": shows_values.then_some(detail.change.as_str()),
        },
        "Evaluation": detail.evaluation,
        "ChangeSource": detail.source,
        "CausingEntity": detail.cause,
    })
}

/// AWS's name of the validation of properties.
pub const VALIDATION: &str = "AWS::EarlyValidation::PropertyValidation";

/// How many changes are on a page.
const PAGE: usize = 100;

/// How many change sets a stack may have.
const MOST: usize = 1000;
