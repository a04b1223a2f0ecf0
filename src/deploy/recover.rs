//! Brings a stack out of a state in which it cannot be deployed.
//!
//! Each way out loses or changes something, so it is first described as a [`Recovery`]
//! and done only when the caller hands that back to [`recover`].

use crate::event::{EventSink, Failure};
use crate::state::StackStatus;
use crate::{Clients, Result};

/// The way out of a bad state, to be agreed to.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// The stack's name.
    pub stack: String,
    /// The stack's ARN.
    pub stack_id: String,
    /// Where it stands.
    pub status: StackStatus,
    /// What will be done.
    pub action: RecoveryAction,
    /// What failed and led here, if the history still says so.
    pub failure: Option<Failure>,
    /// Resources in a failed state now; candidates for being left out.
    pub failed_resources: Vec<Failure>,
}

/// What brings a stack out of a bad state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecoveryAction {
    /// Deletes the stack, which never came up or is half deleted.
    Delete,
    /// Goes back to the last good state.
    RollBack,
    /// Goes on with the rollback that failed.
    ContinueRollback,
}

/// Does what `recovery` says and follows it to the end. `skip` names resources that a
/// continued rollback leaves out, or that a deletion leaves behind.
pub async fn recover(
    clients: &Clients,
    recovery: &Recovery,
    skip: &[String],
    sink: &dyn EventSink,
) -> Result<()> {
    todo!()
}

/// Stops an update that is running; CloudFormation then takes the stack back. Returns
/// when the rollback is over.
pub async fn cancel_update(clients: &Clients, stack: &str, sink: &dyn EventSink) -> Result<()> {
    todo!()
}
