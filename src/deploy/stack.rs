//! A stack as it stands in the account: read by name, never changed here.
//!
//! CloudFormation says that a stack does not exist by refusing the question, with a
//! message that no error code tells from others; [`describe`] turns that into `None`.

use std::time::SystemTime;

use indexmap::IndexMap;

use crate::outputs::Output;
use crate::state::StackStatus;
use crate::{Clients, Result};

/// A stack as it stands in the account.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// The stack's ARN; it stays valid after deletion.
    pub id: String,
    /// The stack's name.
    pub name: String,
    /// Where it stands.
    pub status: StackStatus,
    /// Why, if there is something to say.
    pub reason: Option<String>,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// When it was changed last.
    pub updated: Option<SystemTime>,
    /// The parameters with their values; secret ones are masked by CloudFormation.
    pub parameters: IndexMap<String, String>,
    /// The tags.
    pub tags: IndexMap<String, String>,
    /// The outputs, in the service's order.
    pub outputs: Vec<Output>,
    /// Whether deletion is refused.
    pub termination_protected: bool,
    /// The role that CloudFormation uses for it.
    pub role_arn: Option<String>,
}

/// A resource of a stack as it stands in the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackResource {
    /// The logical id.
    pub logical_id: String,
    /// The name in the account, once it has one.
    pub physical_id: Option<String>,
    /// The type.
    pub resource_type: String,
    /// The state, such as `CREATE_COMPLETE`.
    pub status: String,
    /// Why, if there is something to say.
    pub reason: Option<String>,
}

/// The stack of this name or ARN, if there is one. A deleted stack is found by its ARN
/// alone.
pub async fn describe(clients: &Clients, name: &str) -> Result<Option<Stack>> {
    todo!()
}

/// The resources of a stack, all pages.
pub async fn resources(clients: &Clients, name: &str) -> Result<Vec<StackResource>> {
    todo!()
}
