//! Stacks as they stand: plain data, kept in memory and written through.
//!
//! A stack's head (its state and its operation), its definitions, each of its
//! resources, each event and each change set are records of their own, so that a
//! change of one of five hundred resources writes one small record.
//!
//! Nothing here decides or calls anybody. [`crate::run`] changes stacks, always
//! under the one lock of [`crate::Engine`] and never across an await.

mod status;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use iotstack_local_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use status::{ResourceStatus, StackStatus};
pub use tables::{
    load, put_change_set, put_definition, put_event, put_head, put_resource, remove_event,
    remove_stack,
};

use crate::engine::plan::PlannedChange;

/// All stacks by id, the deleted ones among them.
#[derive(Debug, Default)]
pub struct State {
    /// The stacks.
    pub stacks: BTreeMap<String, Stack>,
    /// The ids of those that exist, by name.
    pub names: BTreeMap<String, String>,
}

/// One stack.
#[derive(Debug, Clone)]
pub struct Stack {
    /// What is written with every change of state.
    pub head: Head,
    /// What it is, or is being made into.
    pub definition: Option<Arc<Definition>>,
    /// What it was when it stood well for the last time; there while that may be needed.
    pub stable: Option<Arc<Stable>>,
    /// Its resources by logical id, in the order in which they were begun.
    pub resources: IndexMap<String, Resource>,
    /// Its history, the oldest first.
    pub events: Vec<Event>,
    /// Its change sets in the order of creation.
    pub change_sets: Vec<ChangeSet>,
}

/// A stack's own facts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Head {
    /// The ARN.
    pub id: String,
    /// The name.
    pub name: String,
    /// Where it stands.
    pub status: StackStatus,
    /// Why.
    pub reason: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When an update began last.
    pub updated: Option<Timestamp>,
    /// When it was deleted.
    pub deleted: Option<Timestamp>,
    /// The change set that made it what it is.
    pub change_set: Option<String>,
    /// Whether failures leave the stack as it is.
    pub disable_rollback: bool,
    /// Whether new resources with a policy of keeping go with a failed operation.
    pub retain_except_on_create: bool,
    /// Whether resources that exist already are taken in.
    pub takes_in: bool,
    /// What a failed creation leads to.
    pub on_failure: OnFailure,
    /// After how many minutes a creation is given up.
    pub timeout: Option<u32>,
    /// Whether deletion is refused.
    pub protected: bool,
    /// The stack that it is nested in.
    pub parent: Option<String>,
    /// The outermost of these.
    pub root: Option<String>,
    /// Whether its last operation is a part of one of the outer stack.
    #[serde(default)]
    pub serves_outer: bool,
    /// The policy about updates.
    pub policy: Option<String>,
    /// The outputs.
    pub outputs: Vec<Output>,
    /// The exports of other stacks that it uses.
    pub imports: BTreeSet<String>,
    /// What an update replaced and has still to delete.
    pub leftovers: Vec<Leftover>,
    /// The operation that runs, or ran last.
    pub operation: Option<Operation>,
    /// Resources that a deletion leaves behind.
    pub retained: BTreeSet<String>,
}

impl Head {
    /// Whether the stack waits for the one that it is nested in: its own update came to
    /// its end, and is cleaned up or taken back when the outer one's does.
    pub fn awaits_outer(&self) -> bool {
        self.serves_outer && self.status == StackStatus::UpdateCompleteCleanupInProgress
    }

    /// Whether an operation runs that leaves no room for another one.
    pub fn is_taken(&self) -> bool {
        self.status.is_running() && !self.awaits_outer()
    }
}

/// What a failed creation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// What was made is deleted, the stack stays.
    #[serde(rename = "ROLLBACK")]
    RollBack,
    /// Everything stays.
    #[serde(rename = "DO_NOTHING")]
    DoNothing,
    /// The stack is deleted.
    #[serde(rename = "DELETE")]
    Delete,
}

impl OnFailure {
    /// AWS's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            OnFailure::RollBack => "ROLLBACK",
            OnFailure::DoNothing => "DO_NOTHING",
            OnFailure::Delete => "DELETE",
        }
    }
}

/// What a stack is made from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Definition {
    /// The template as it was sent.
    pub text: String,
    /// What the template says that it is.
    pub description: Option<String>,
    /// The values of its parameters.
    pub parameters: IndexMap<String, Parameter>,
    /// The stack's tags.
    pub tags: BTreeMap<String, String>,
    /// What the caller agreed to.
    pub capabilities: Vec<String>,
    /// Topics that hear the stack's events.
    pub notification_arns: Vec<String>,
    /// The role that the caller named.
    pub role_arn: Option<String>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Parameter {
    /// The value as it was given, or the default.
    pub given: String,
    /// What was read from the parameter store under the given name.
    pub resolved: Option<String>,
    /// Whether it is shown to nobody.
    pub is_secret: bool,
    /// Whether it stands for a list.
    pub is_list: bool,
}

/// A stack that stood well.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stable {
    /// What it was made from.
    #[serde(with = "shared")]
    pub definition: Arc<Definition>,
    /// Its resources.
    pub resources: IndexMap<String, Resource>,
    /// Its outputs.
    pub outputs: Vec<Output>,
    /// The exports that it used.
    pub imports: BTreeSet<String>,
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// The id in the template.
    pub logical_id: String,
    /// The type.
    pub kind: String,
    /// The name in the account, once it has one.
    pub physical_id: Option<String>,
    /// Where it stands.
    pub status: ResourceStatus,
    /// Why.
    pub reason: Option<String>,
    /// When it changed last.
    pub at: Timestamp,
    /// The properties that it was last made or changed with, dynamic references
    /// as they stand in the template.
    pub properties: Value,
    /// What `Fn::GetAtt` gives.
    pub attributes: BTreeMap<String, Value>,
    /// The tags of the stack that it was made with.
    pub stack_tags: BTreeMap<String, String>,
    /// The logical ids that it needs.
    pub needs: Vec<String>,
    /// What happens to it when it leaves the stack.
    pub deletion_policy: Option<String>,
    /// What happens to it when it is replaced.
    pub replace_policy: Option<String>,
    /// Its metadata, as JSON.
    pub metadata: Option<String>,
}

/// Something in the account that the stack has no name for any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leftover {
    /// The resource as it was.
    pub resource: Resource,
    /// Whether it is left alone instead of deleted.
    pub is_kept: bool,
}

/// An operation on a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// AWS's name for its kind, such as `CREATE_STACK`.
    pub kind: String,
    /// The token of the client's request.
    pub token: Option<String>,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What it is about.
    pub description: Option<String>,
    /// The name under which other stacks find it.
    pub export: Option<String>,
}

/// Something that happened to a stack or to a resource of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the history.
    pub number: u64,
    /// Its id.
    pub id: String,
    /// The id of the resource in the template; the stack's name for the stack itself.
    pub logical_id: String,
    /// The name in the account, once it has one.
    pub physical_id: Option<String>,
    /// The type.
    pub kind: String,
    /// The new state.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The token of the client's request.
    pub token: Option<String>,
    /// The operation.
    pub operation: Option<String>,
    /// AWS's name for the operation's kind.
    pub operation_kind: Option<String>,
}

/// A change set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// The ARN.
    pub id: String,
    /// The name.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// `CREATE_COMPLETE` or `FAILED`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// Whether and how it can be executed.
    pub execution: String,
    /// Whether it makes the stack.
    pub creates_stack: bool,
    /// What it makes of the stack.
    #[serde(with = "shared")]
    pub definition: Arc<Definition>,
    /// What that changes.
    pub changes: Vec<PlannedChange>,
    /// What was found wrong with single resources.
    pub findings: Vec<Finding>,
    /// What a failed execution leads to.
    pub on_failure: Option<OnFailure>,
    /// Whether nested stacks were asked for.
    pub include_nested: bool,
    /// Whether resources that exist already are taken in.
    pub takes_in: bool,
}

/// Something wrong with a resource, found before anything was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The resource.
    pub logical_id: String,
    /// Its type.
    pub kind: String,
    /// The place in the template.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl State {
    /// The stack of a name that exists, or of an ARN.
    pub fn find(&self, name: &str) -> Option<&Stack> {
        let id = if name.starts_with("arn:") { name } else { self.names.get(name)? };
        self.stacks.get(id)
    }

    /// The export of a name, with the stack that has it.
    pub fn export(&self, name: &str) -> Option<(&Stack, &Output)> {
        self.exports().find(|(_, output)| output.export.as_deref() == Some(name))
    }

    /// All exports.
    pub fn exports(&self) -> impl Iterator<Item = (&Stack, &Output)> {
        self.names.values().filter_map(|id| self.stacks.get(id)).flat_map(|stack| {
            stack
                .head
                .outputs
                .iter()
                .filter(|output| output.export.is_some())
                .map(move |output| (stack, output))
        })
    }

    /// Whether a stack has a resource of this type and name.
    pub fn owns(&self, kind: &str, physical_id: &str) -> bool {
        let live = self.names.values().filter_map(|id| self.stacks.get(id));
        live.flat_map(|stack| stack.resources.values()).any(|resource| {
            resource.kind == kind
                && resource.physical_id.as_deref() == Some(physical_id)
                && resource.status.exists()
        })
    }

    /// The names of the stacks that use an export.
    pub fn importers<'a>(&'a self, export: &'a str) -> impl Iterator<Item = &'a str> {
        self.names
            .values()
            .filter_map(|id| self.stacks.get(id))
            .filter(move |stack| stack.head.imports.contains(export))
            .map(|stack| stack.head.name.as_str())
    }
}

impl Head {
    /// A new stack.
    pub fn new(id: String, name: String, status: StackStatus, created: Timestamp) -> Self {
        Head {
            id,
            name,
            status,
            reason: None,
            created,
            updated: None,
            deleted: None,
            change_set: None,
            disable_rollback: false,
            retain_except_on_create: false,
            takes_in: false,
            on_failure: OnFailure::RollBack,
            timeout: None,
            protected: false,
            parent: None,
            root: None,
            serves_outer: false,
            policy: None,
            outputs: Vec::new(),
            imports: BTreeSet::new(),
            leftovers: Vec::new(),
            operation: None,
            retained: BTreeSet::new(),
        }
    }
}

impl Stack {
    /// A new stack without anything in it.
    pub fn new(head: Head) -> Self {
        Stack {
            head,
            definition: None,
            stable: None,
            resources: IndexMap::new(),
            events: Vec::new(),
            change_sets: Vec::new(),
        }
    }

    /// The change set of a name or ARN. One that was executed is found by its ARN alone.
    pub fn change_set(&self, name: &str) -> Option<&ChangeSet> {
        self.change_sets.iter().find(|set| {
            set.id == name || (set.name == name && !set.execution.starts_with("EXECUTE"))
        })
    }

    /// As [`change_set`](Self::change_set), to be changed.
    pub fn change_set_mut(&mut self, name: &str) -> Option<&mut ChangeSet> {
        self.change_sets.iter_mut().find(|set| {
            set.id == name || (set.name == name && !set.execution.starts_with("EXECUTE"))
        })
    }
}

impl Resource {
    /// A resource of which nothing is known yet.
    pub fn empty(at: Timestamp) -> Self {
        Resource {
            logical_id: String::new(),
            kind: String::new(),
            physical_id: None,
            status: ResourceStatus::CreateInProgress,
            reason: None,
            at,
            properties: Value::Null,
            attributes: BTreeMap::new(),
            stack_tags: BTreeMap::new(),
            needs: Vec::new(),
            deletion_policy: None,
            replace_policy: None,
            metadata: None,
        }
    }
}

impl Parameter {
    /// The value that `Ref` gives.
    pub fn value(&self) -> Value {
        let text = self.resolved.as_deref().unwrap_or(&self.given);
        if !self.is_list {
            return Value::String(text.to_owned());
        }
        if text.is_empty() {
            return Value::Array(Vec::new());
        }
        text.split(',').map(|item| Value::String(item.trim().to_owned())).collect()
    }

    /// The value as it may be shown.
    pub fn shown(&self) -> &str {
        if self.is_secret { MASK } else { &self.given }
    }
}

/// What is shown instead of a secret.
pub const MASK: &str = "****";

/// Shared values are written as what they are.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(
        value: &Arc<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(serializer)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(deserializer).map(Arc::new)
    }
}
