//! Takes a stack away again.
//!
//! [`inspect`] says first what would go, what would stay, and what stands in the way;
//! the caller answers with a [`Consent`]; [`destroy`] does that much and no more. What is
//! known to fail is refused before anything is deleted; what fails unforeseen is cleared
//! and tried again, left behind, or forgotten, as far as the consent goes.

mod blocker;
mod clear;

use std::fmt;

use aws_sdk_cloudformation as cfn;
use iotstack_assembly::{Resource, Template};

use crate::diff::deployed_template;
use crate::event::{Event, EventSink, Failure, Operation};
use crate::monitor::{Since, watch};
use crate::stack::{self, Stack, StackResource};
use crate::state::{DestroyAction, StackStatus, on_destroy};
use crate::{Clients, Error, Result, token};

use blocker::Thoroughness;

/// What destroying a stack means.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Demolition {
    /// The stack; `None` if there is nothing to do.
    pub stack: Option<Stack>,
    /// Its resources.
    pub resources: Vec<StackResource>,
    /// Resources that their deletion policy keeps in the account.
    pub retained: Vec<StackResource>,
    /// What AWS would refuse to delete as it is.
    pub blockers: Vec<Blocker>,
    /// Log groups that functions made themselves, if they did; no stack deletes them.
    pub log_groups: Vec<String>,
}

/// What stands in the way of deletion, and what clearing it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// A bucket with objects, versions, delete markers or unfinished uploads.
    BucketNotEmpty {
        /// The resource's logical id.
        logical_id: String,
        /// The bucket.
        bucket: String,
        /// How many entries there are at least; `more` says whether that is all.
        entries: u64,
        /// Whether there are more.
        more: bool,
    },
    /// An IoT policy that is attached to certificates or groups outside the stack.
    PolicyAttached {
        /// The resource's logical id.
        logical_id: String,
        /// The policy's name.
        policy: String,
        /// ARNs that hold it.
        targets: Vec<String>,
    },
    /// A certificate that is active, or attached to things or policies.
    CertificateInUse {
        /// The resource's logical id.
        logical_id: String,
        /// The certificate's id.
        certificate: String,
        /// Whether devices may connect with it.
        active: bool,
        /// Things it is attached to.
        things: Vec<String>,
        /// Policies attached to it.
        policies: Vec<String>,
    },
    /// A thing that has certificates from outside the stack.
    ThingHasPrincipals {
        /// The resource's logical id.
        logical_id: String,
        /// The thing.
        thing: String,
        /// ARNs of its principals.
        principals: Vec<String>,
    },
    /// A thing group with children from outside the stack.
    GroupHasChildren {
        /// The resource's logical id.
        logical_id: String,
        /// The group.
        group: String,
        /// The child groups. They are never deleted by this program.
        children: Vec<String>,
    },
    /// A thing type that things from outside the stack have.
    TypeHasThings {
        /// The resource's logical id.
        logical_id: String,
        /// The thing type.
        thing_type: String,
        /// The first things. They keep existing, without a type.
        things: Vec<String>,
        /// Whether there are more.
        more: bool,
    },
}

/// What the caller agrees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Consent {
    /// Deletes every version of every object in the stack's buckets.
    pub empty_buckets: bool,
    /// Detaches policies, certificates and things, deactivates certificates, takes the
    /// type from things.
    pub detach_iot: bool,
    /// Leaves resources behind that still cannot be deleted.
    pub leave_failed: bool,
    /// As the last resort, lets CloudFormation forget whatever it cannot delete.
    pub force: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Destroyed {
    /// Resources that outlive the stack.
    pub retained: Vec<StackResource>,
    /// Resources that could not be deleted and were left behind with consent.
    pub left_behind: Vec<Failure>,
}

/// Says what destroying the stack means. Follows what is running to its end first.
pub async fn inspect(clients: &Clients, stack: &str, sink: &dyn EventSink) -> Result<Demolition> {
    let mut name = stack.to_owned();
    let stack = loop {
        let found = stack::describe(clients, &name).await?;
        match (on_destroy(found.as_ref().map(|found| &found.status)), found) {
            (DestroyAction::Nothing, _) | (_, None) => return Ok(Demolition::default()),
            (DestroyAction::Wait, Some(found)) => {
                let status = found.status.clone();
                sink.hear(Event::Attached { stack: found.name.clone(), status });
                watch(clients, &found.id, Since::RunningOperation, None, sink).await?;
                // By its ARN even a stack that is deleted meanwhile is found.
                name = found.id;
            }
            (_, Some(found)) => break found,
        }
    };
    if stack.status == StackStatus::ReviewInProgress {
        return Ok(Demolition { stack: Some(stack), ..Demolition::default() });
    }
    let resources: Vec<StackResource> = stack::resources(clients, &stack.id)
        .await?
        .into_iter()
        .filter(|resource| resource.status != "DELETE_COMPLETE")
        .collect();
    let kept = kept_by_policy(clients, &stack.id).await?;
    let (retained, going): (Vec<_>, Vec<_>) =
        resources.iter().cloned().partition(|resource| kept.contains(&resource.logical_id));
    let blockers = blocker::find(clients, &resources, &going, Thoroughness::Foreseen).await?;
    Ok(Demolition {
        log_groups: log_groups(&resources),
        stack: Some(stack),
        resources,
        retained,
        blockers,
    })
}

/// Destroys the stack that was inspected, as far as `consent` goes.
pub async fn destroy(
    clients: &Clients,
    demolition: &Demolition,
    consent: Consent,
    sink: &dyn EventSink,
) -> Result<Destroyed> {
    let Some(stack) = &demolition.stack else { return Ok(Destroyed::default()) };
    if stack.termination_protected {
        return Err(Error::TerminationProtected { stack: stack.name.clone() });
    }
    refuse_blocked(stack, &demolition.blockers, consent)?;
    for blocker in demolition.blockers.iter().filter(|blocker| consent.covers(blocker)) {
        clear::clear(clients, blocker, sink).await?;
    }
    let operation = Operation::Delete;
    sink.hear(Event::Started { stack: stack.name.clone(), operation });
    let mut left_behind = Vec::new();
    let failures =
        delete_in_steps(clients, demolition, stack, consent, &mut left_behind, sink).await?;
    let status = failures.is_some().then_some(StackStatus::DeleteFailed);
    sink.hear(Event::Finished { stack: stack.name.clone(), operation, status });
    if let Some(failures) = failures {
        return Err(Error::DeleteFailed { stack: stack.name.clone(), failures });
    }
    for resource in &demolition.retained {
        sink.hear(Event::Retained {
            stack: stack.name.clone(),
            logical_id: resource.logical_id.clone(),
            resource_type: resource.resource_type.clone(),
            physical_id: resource.physical_id.clone(),
        });
    }
    Ok(Destroyed { retained: demolition.retained.clone(), left_behind })
}

impl Consent {
    /// Whether clearing this is agreed to.
    pub fn covers(&self, blocker: &Blocker) -> bool {
        match blocker {
            Blocker::BucketNotEmpty { .. } => self.empty_buckets,
            Blocker::PolicyAttached { .. }
            | Blocker::CertificateInUse { .. }
            | Blocker::ThingHasPrincipals { .. }
            | Blocker::TypeHasThings { .. } => self.detach_iot,
            // Groups of other people's are not ours to delete.
            Blocker::GroupHasChildren { .. } => false,
        }
    }
}

impl Blocker {
    /// The logical id of the resource that could not be deleted.
    pub fn logical_id(&self) -> &str {
        match self {
            Blocker::BucketNotEmpty { logical_id, .. }
            | Blocker::PolicyAttached { logical_id, .. }
            | Blocker::CertificateInUse { logical_id, .. }
            | Blocker::ThingHasPrincipals { logical_id, .. }
            | Blocker::GroupHasChildren { logical_id, .. }
            | Blocker::TypeHasThings { logical_id, .. } => logical_id,
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_least = |more: &bool| if *more { "at least " } else { "" };
        match self {
            Blocker::BucketNotEmpty { bucket, entries, more, .. } => {
                let at_least = at_least(more);
                write!(formatter, "bucket `{bucket}` holds {at_least}{entries} versions or uploads")
            }
            Blocker::PolicyAttached { policy, targets, .. } => {
                write!(formatter, "IoT policy `{policy}` is attached to {} targets", targets.len())
            }
            Blocker::CertificateInUse { certificate, active, things, policies, .. } => {
                let state = if *active { "active" } else { "inactive" };
                write!(
                    formatter,
                    "certificate `{certificate}` is {state}, with {} things and {} policies",
                    things.len(),
                    policies.len()
                )
            }
            Blocker::ThingHasPrincipals { thing, principals, .. } => {
                write!(formatter, "thing `{thing}` has {} certificates", principals.len())
            }
            Blocker::GroupHasChildren { group, children, .. } => {
                write!(formatter, "thing group `{group}` has the groups {}", children.join(", "))
            }
            Blocker::TypeHasThings { thing_type, things, more, .. } => {
                let at_least = at_least(more);
                let count = things.len();
                write!(formatter, "thing type `{thing_type}` is that of {at_least}{count} things")
            }
        }
    }
}

/// Deletes; then clears what turned out to stand in the way and deletes again; then
/// leaves behind what remains; then lets CloudFormation forget the rest. Each step after
/// the first needs consent. What it returns failed in the end.
async fn delete_in_steps(
    clients: &Clients,
    demolition: &Demolition,
    stack: &Stack,
    consent: Consent,
    left_behind: &mut Vec<Failure>,
    sink: &dyn EventSink,
) -> Result<Option<Vec<Failure>>> {
    let total = demolition.resources.len() - demolition.retained.len();
    let mut failures = match delete(clients, &stack.id, Last::No, Some(total), sink).await? {
        None => return Ok(None),
        Some(failures) => failures,
    };
    let failed = failed_resources(clients, &stack.id).await?;
    let blockers =
        blocker::find(clients, &demolition.resources, &failed, Thoroughness::Everything).await?;
    let clearable: Vec<&Blocker> =
        blockers.iter().filter(|blocker| consent.covers(blocker)).collect();
    for blocker in &clearable {
        clear::clear(clients, blocker, sink).await?;
    }
    if !clearable.is_empty() {
        failures = match delete(clients, &stack.id, Last::No, None, sink).await? {
            None => return Ok(None),
            Some(failures) => failures,
        };
    }
    if consent.leave_failed {
        let failed = failed_resources(clients, &stack.id).await?;
        let ids: Vec<String> = failed.iter().map(|resource| resource.logical_id.clone()).collect();
        if !ids.is_empty() {
            left_behind.extend(failed.into_iter().map(|resource| failure(stack, resource)));
            failures = match delete(clients, &stack.id, Last::Retain(ids), None, sink).await? {
                None => return Ok(None),
                Some(failures) => failures,
            };
        }
    }
    if consent.force {
        let failed = failed_resources(clients, &stack.id).await?;
        left_behind.extend(failed.into_iter().map(|resource| failure(stack, resource)));
        left_behind.dedup_by(|a, b| a.logical_id == b.logical_id);
        match delete(clients, &stack.id, Last::Force, None, sink).await? {
            None => return Ok(None),
            Some(still) => failures = still,
        }
    }
    Ok(Some(failures))
}

/// What else is asked of a deletion.
enum Last {
    No,
    Retain(Vec<String>),
    Force,
}

/// One attempt; nothing if the stack is gone afterwards.
async fn delete(
    clients: &Clients,
    stack_id: &str,
    last: Last,
    total: Option<usize>,
    sink: &dyn EventSink,
) -> Result<Option<Vec<Failure>>> {
    let token = token::new();
    let call =
        clients.cloudformation.delete_stack().stack_name(stack_id).client_request_token(&token);
    let call = match last {
        Last::No => call,
        Last::Retain(ids) => call.set_retain_resources(Some(ids)),
        Last::Force => call.deletion_mode(cfn::types::DeletionMode::ForceDeleteStack),
    };
    call.send().await.map_err(clients.failed("cloudformation:DeleteStack"))?;
    let watched = watch(clients, stack_id, Since::Token(token), total, sink).await?;
    Ok(watched.status.map(|_| watched.failures))
}

async fn failed_resources(clients: &Clients, stack_id: &str) -> Result<Vec<StackResource>> {
    let resources = stack::resources(clients, stack_id).await?;
    Ok(resources.into_iter().filter(|resource| resource.status == "DELETE_FAILED").collect())
}

fn failure(stack: &Stack, resource: StackResource) -> Failure {
    Failure {
        stack: stack.name.clone(),
        logical_id: resource.logical_id,
        resource_type: resource.resource_type,
        status: resource.status,
        reason: resource.reason.unwrap_or_else(|| "no reason given".into()),
    }
}

/// Refuses to begin what is known to fail half-way.
fn refuse_blocked(stack: &Stack, blockers: &[Blocker], consent: Consent) -> Result<()> {
    let open = blockers.iter().filter(|blocker| !consent.covers(blocker));
    let blockers: Vec<String> = open.map(Blocker::to_string).collect();
    match blockers.is_empty() || consent.leave_failed || consent.force {
        true => Ok(()),
        false => Err(Error::DeleteBlocked { stack: stack.name.clone(), blockers }),
    }
}

/// The logical ids that the deployed template keeps in the account.
async fn kept_by_policy(clients: &Clients, stack_id: &str) -> Result<Vec<String>> {
    let Some(bytes) = deployed_template(clients, stack_id).await? else { return Ok(Vec::new()) };
    // A template in YAML, from another tool, is not read: its policies still hold at
    // CloudFormation, they are only not announced.
    let Ok(template) = Template::from_json(&bytes) else { return Ok(Vec::new()) };
    let keeps = |resource: &Resource| {
        matches!(resource.deletion_policy.as_deref(), Some("Retain" | "RetainExceptOnCreate"))
    };
    let kept = template.resources.into_iter().filter(|(_, resource)| keeps(resource));
    Ok(kept.map(|(id, _)| id).collect())
}

/// Functions make their log group when they first run, unless the stack has one.
fn log_groups(resources: &[StackResource]) -> Vec<String> {
    let names = |kind: &'static str| {
        resources
            .iter()
            .filter(move |resource| resource.resource_type == kind)
            .filter_map(|resource| resource.physical_id.clone())
    };
    let own: Vec<String> = names("AWS::Logs::LogGroup").collect();
    names("AWS::Lambda::Function")
        .map(|function| format!("/aws/lambda/{function}"))
        .filter(|group| !own.contains(group))
        .collect()
}
