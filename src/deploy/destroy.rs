//! Takes a stack away again.
//!
//! [`inspect`] says first what would go, what would stay, and what stands in the way;
//! the caller answers with a [`Consent`]; [`destroy`] does that much and no more.

use crate::event::{EventSink, Failure};
use crate::stack::{Stack, StackResource};
use crate::{Clients, Result};

/// What destroying a stack means.
#[derive(Debug, Clone, PartialEq)]
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
    todo!()
}

/// Destroys the stack that was inspected, as far as `consent` goes.
pub async fn destroy(
    clients: &Clients,
    demolition: &Demolition,
    consent: Consent,
    sink: &dyn EventSink,
) -> Result<Destroyed> {
    todo!()
}
