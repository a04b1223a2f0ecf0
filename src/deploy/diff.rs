//! What is deployed, for comparison with what would be.
//!
//! Comparing templates is the assembly crate's work; this file fetches the other side,
//! and asks CloudFormation for a change set that is deleted again.

use iotstack_assembly::{StackArtifact, Template};

use crate::change_set::{ChangeSet, DeployOptions};
use crate::event::EventSink;
use crate::{Clients, Result};

/// What CloudFormation says about a template that is not going to be deployed.
#[derive(Debug, Clone, PartialEq)]
pub enum Preview {
    /// There is no such stack: everything would be new. No change set is made, because
    /// that would leave an empty stack behind.
    NewStack,
    /// Nothing would change.
    NoChanges,
    /// This would change. The change set is deleted already.
    Changes(ChangeSet),
    /// CloudFormation cannot say, for this reason; compare the templates instead.
    Unavailable(String),
}

/// The template of the deployed stack as it was sent, if there is such a stack.
pub async fn deployed_template(clients: &Clients, stack: &str) -> Result<Option<Vec<u8>>> {
    todo!()
}

/// Asks CloudFormation what deploying would do, and leaves nothing behind.
pub async fn preview(
    clients: &Clients,
    artifact: &StackArtifact,
    options: &DeployOptions,
    sink: &dyn EventSink,
) -> Result<Preview> {
    todo!()
}
