//! What is happening, told while it happens.
//!
//! Every long function takes an [`EventSink`]; a closure is one. Events are for people
//! and progress bars: nothing in this crate reads them back, and leaving them unheard
//! changes nothing. How they look is not decided here.

use std::time::SystemTime;

use crate::state::StackStatus;

/// Hears what happens.
pub trait EventSink: Send + Sync {
    /// Hears one event. Called from the task that does the work, so it should be quick.
    fn hear(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> EventSink for F {
    fn hear(&self, event: Event) {
        self(event);
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silence;

impl EventSink for Silence {
    fn hear(&self, _event: Event) {}
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A role that the assembly names could not be assumed; the caller's own
    /// credentials are used instead.
    RoleNotAssumed {
        /// The role's ARN.
        role: String,
        /// What STS said.
        reason: String,
    },
    /// A file was already where it belongs.
    AssetPresent {
        /// The name for people.
        asset: String,
        /// Where it is, `s3://BUCKET/KEY`.
        location: String,
    },
    /// A file is being packed and sent.
    AssetPublishing {
        /// The name for people.
        asset: String,
        /// Where it goes, `s3://BUCKET/KEY`.
        location: String,
    },
    /// A file arrived.
    AssetPublished {
        /// The name for people.
        asset: String,
        /// Where it is, `s3://BUCKET/KEY`.
        location: String,
        /// How many bytes were sent.
        bytes: u64,
    },
    /// Something is running already at CloudFormation; it is followed to its end first.
    Attached {
        /// The stack's name.
        stack: String,
        /// What it is doing.
        status: StackStatus,
    },
    /// A change set was asked for.
    ChangeSetCreating {
        /// The stack's name.
        stack: String,
        /// The change set's name.
        change_set: String,
    },
    /// A change set can be executed.
    ChangeSetReady {
        /// The stack's name.
        stack: String,
        /// The change set's name.
        change_set: String,
        /// How many resources it touches.
        changes: usize,
    },
    /// An operation on a stack began.
    Started {
        /// The stack's name.
        stack: String,
        /// What is done.
        operation: Operation,
    },
    /// A resource, or the stack itself, went from one state to another.
    Resource {
        /// What CloudFormation reported.
        event: StackEvent,
        /// How far the operation is.
        progress: Progress,
    },
    /// An operation on a stack came to its end, good or bad.
    Finished {
        /// The stack's name.
        stack: String,
        /// What was done.
        operation: Operation,
        /// Where the stack stands now; nothing if it is gone.
        status: Option<StackStatus>,
    },
    /// Objects were removed from a bucket that stands in the way.
    BucketEmptying {
        /// The bucket.
        bucket: String,
        /// How many versions, markers and unfinished uploads were removed so far.
        removed: u64,
    },
    /// Something that stood in the way of deletion was cleared.
    BlockerCleared {
        /// What it was, for people.
        blocker: String,
    },
    /// A resource outlives its stack.
    Retained {
        /// The stack's name.
        stack: String,
        /// The resource's logical id.
        logical_id: String,
        /// The resource's type.
        resource_type: String,
        /// The resource's name in the account, if it has one.
        physical_id: Option<String>,
    },
}

/// What is done to a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is taken back to its last good state.
    RollBack,
    /// It is deleted.
    Delete,
}

/// One line of a stack's history, as CloudFormation reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct StackEvent {
    /// The event's id; unique.
    pub id: String,
    /// When it happened.
    pub time: SystemTime,
    /// The stack it belongs to, a nested one perhaps.
    pub stack: String,
    /// The resource's logical id; the stack's name for the stack itself.
    pub logical_id: String,
    /// The resource's name in the account, once it has one.
    pub physical_id: Option<String>,
    /// The resource's type.
    pub resource_type: String,
    /// The state, such as `CREATE_IN_PROGRESS`.
    pub status: String,
    /// Why, if there is something to say.
    pub reason: Option<String>,
    /// Which request caused it.
    pub token: Option<String>,
    /// Whether it is about the stack itself and not about one of its resources.
    pub is_stack: bool,
}

impl StackEvent {
    /// Whether something failed, and not only because something else did first.
    pub fn is_cause(&self) -> bool {
        self.status.ends_with("_FAILED") && !self.is_consequence()
    }

    /// Whether it failed only because another resource did.
    fn is_consequence(&self) -> bool {
        // `Resource creation cancelled`, `Resource update cancelled`…: the words are
        // CloudFormation's own, so a reason of a service that mentions a cancellation is
        // not mistaken for one.
        let reason = self.reason.as_deref().unwrap_or_default().to_ascii_lowercase();
        reason.starts_with("resource ")
            && reason.trim_end_matches(['.', ' ']).ends_with(" cancelled")
    }
}

/// How far an operation on a stack is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Resources that came to their end.
    pub done: usize,
    /// Resources that the operation touches, if known.
    pub total: Option<usize>,
}

/// The resource that failed first, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stack, a nested one perhaps.
    pub stack: String,
    /// The resource's logical id.
    pub logical_id: String,
    /// The resource's type.
    pub resource_type: String,
    /// The state, such as `CREATE_FAILED`.
    pub status: String,
    /// What AWS said.
    pub reason: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { stack, logical_id, resource_type, status, reason } = self;
        write!(formatter, "`{logical_id}` ({resource_type}) of `{stack}` is {status}: {reason}")
    }
}
