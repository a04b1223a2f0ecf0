//! Change sets: propose a template, wait for the answer, execute it.
//!
//! CloudFormation computes a change set in the background, so creation is a request
//! followed by polling. An empty change set is reported by the service as a failure
//! with a reason text; [`propose`] turns that into [`Proposal::NoChanges`], so that
//! callers never see the trick.
//!
//! Nothing here decides whether to go on. The caller does, with the [`Proposal`] in its
//! hand.

use indexmap::IndexMap;
use iotstack_assembly::StackArtifact;
use serde_json::Value;

use crate::event::EventSink;
use crate::outputs::Output;
use crate::recover::Recovery;
use crate::state::StackStatus;
use crate::{Clients, Result};

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
    todo!()
}

/// The change set that an earlier [`propose`] left, by name.
pub async fn prepared(clients: &Clients, stack: &str, change_set: &str) -> Result<ChangeSet> {
    todo!()
}

/// Executes a change set and follows it to the end. Termination protection is set as the
/// artifact wants it.
pub async fn execute(
    clients: &Clients,
    change_set: &ChangeSet,
    sink: &dyn EventSink,
) -> Result<Deployed> {
    todo!()
}

/// Sets the stack's termination protection if the artifact says something about it.
pub async fn protect(clients: &Clients, artifact: &StackArtifact) -> Result<()> {
    todo!()
}

/// Deletes a change set, and the empty stack that it made, if it made one.
pub async fn discard(clients: &Clients, change_set: &ChangeSet) -> Result<()> {
    todo!()
}
