//! What the Jobs service answers when it says no.
//!
//! The variants are AWS's own error types; whoever serves the engine maps them to
//! the codes of a wire. A refusal never changes the state.

use std::fmt;

use iotstack_protocol::JobExecutionStatus;

use crate::effect::Details;

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller sent something that the service does not accept.
    #[error("{0}")]
    InvalidRequest(String),
    /// The job, the execution or the template does not exist.
    #[error("{0}")]
    ResourceNotFound(String),
    /// The id is taken.
    #[error("{0}")]
    ResourceAlreadyExists(String),
    /// A template of that id exists already.
    #[error("{0}")]
    Conflict(String),
    /// A quota is reached.
    #[error("{0}")]
    LimitExceeded(String),
    /// The job or the execution is in a state that does not allow this.
    #[error("{message}")]
    InvalidStateTransition {
        /// What was tried and what holds.
        message: String,
        /// The state of the execution, if it is about one.
        state: Option<Box<ExecutionState>>,
    },
    /// The caller expected another version of the execution.
    #[error("{message}")]
    VersionMismatch {
        /// Both versions.
        message: String,
        /// The state that the execution has.
        state: Box<ExecutionState>,
    },
    /// A device asked for an execution that has ended.
    #[error("{0}")]
    TerminalState(String),
    /// A stored record cannot be read back; the caller's store is damaged.
    #[error("{0}")]
    DamagedRecord(String),
}

/// The state of an execution, as a refused device is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionState {
    /// Where it stands.
    pub status: JobExecutionStatus,
    /// What the device has reported last.
    pub status_details: Details,
    /// How often it has changed.
    pub version_number: u32,
}

/// Refuses a request with a message.
pub(crate) fn invalid<T>(message: impl fmt::Display) -> Result<T> {
    Err(Error::InvalidRequest(message.to_string()))
}
