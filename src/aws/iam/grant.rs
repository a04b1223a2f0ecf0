//! Grants: permissions given by intent.
//!
//! A method such as `bucket.grant_read(&role)` knows the actions and resources; the
//! grantee knows where its policy is. Nothing else writes policies of roles.

use iotstack_core::{Dependable, Handle};

use super::{CfnPolicy, Statement};

/// Whoever can be given permissions: roles, and what runs as one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given permissions",
    label = "expected a role, or a function that has one"
)]
pub trait Grantee {
    /// Adds a statement to the grantee's policy.
    fn allow(&self, statement: Statement) -> Grant;
}

/// A permission that was given. Whatever uses it right away should be deployed after it.
#[derive(Debug, Clone)]
pub struct Grant {
    policy: Handle<CfnPolicy>,
}

impl Grant {
    pub(crate) fn new(policy: Handle<CfnPolicy>) -> Self {
        Grant { policy }
    }

    /// The policy that holds the permission.
    pub fn policy(&self) -> &Handle<CfnPolicy> {
        &self.policy
    }
}

impl Dependable for Grant {
    fn dependency(&self) -> iotstack_core::tree::NodeId {
        self.policy.dependency()
    }
}
