//! How refusals look on the three wires.
//!
//! The control plane and the data plane over HTTP have exceptions with statuses, MQTT
//! has short codes and, for two of them, the state of the execution. What the store or
//! the end of the cloud causes is never the caller's fault.

use iotstack_jobs::{Error, ExecutionState};
use iotstack_local_kernel::Fault;
use serde_json::{Value, json};

use crate::service::Refusal;

/// A refusal of the control plane.
pub(crate) fn control(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Engine(error) => engine(&error),
        Refusal::Store(error) => error.into(),
        Refusal::Ended => ended(),
    }
}

/// A refusal of the data plane over HTTP.
pub(crate) fn data(refusal: Refusal) -> Fault {
    match refusal {
        // The model has no error for another version; this is the closest one.
        Refusal::Engine(Error::VersionMismatch { message, .. }) => {
            Fault::new("InvalidStateTransitionException", 409, message)
        }
        other => control(other),
    }
}

/// The code that a device is told over MQTT, and the state that goes with it.
pub(crate) fn device(error: &Error) -> (&'static str, Option<&ExecutionState>) {
    match error {
        Error::InvalidRequest(_) => ("InvalidRequest", None),
        Error::ResourceNotFound(_) => ("ResourceNotFound", None),
        Error::InvalidStateTransition { state, .. } => ("InvalidStateTransition", state.as_deref()),
        Error::VersionMismatch { state, .. } => ("VersionMismatch", Some(state)),
        Error::TerminalState(_) => ("TerminalStateReached", None),
        Error::LimitExceeded(_) => ("RequestThrottled", None),
        _ => ("InternalError", None),
    }
}

/// The state of an execution, as devices read it.
pub(crate) fn execution_state(state: &ExecutionState) -> Value {
    json!({
        "status": state.status,
        "statusDetails": state.status_details.as_deref().cloned().unwrap_or_default(),
        "versionNumber": state.version_number,
    })
}

fn engine(error: &Error) -> Fault {
    let message = error.to_string();
    let (code, status) = match error {
        Error::InvalidRequest(_) => ("InvalidRequestException", 400),
        Error::ResourceNotFound(_) => ("ResourceNotFoundException", 404),
        Error::ResourceAlreadyExists(_) => ("ResourceAlreadyExistsException", 409),
        Error::Conflict(_) => ("ConflictException", 409),
        Error::LimitExceeded(_) => ("LimitExceededException", 410),
        Error::InvalidStateTransition { .. } => ("InvalidStateTransitionException", 409),
        Error::VersionMismatch { .. } => ("VersionConflictException", 409),
        Error::TerminalState(_) => ("TerminalStateException", 410),
        _ => ("InternalFailureException", 500),
    };
    Fault::new(code, status, message)
}

fn ended() -> Fault {
    Fault::new("ServiceUnavailableException", 503, "the local cloud is ending")
}
