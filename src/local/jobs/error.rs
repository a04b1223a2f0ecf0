//! How refusals look on the three wires.
//!
//! The control plane and the data plane over HTTP have exceptions with statuses, MQTT
//! has short codes and, for two of them, the state of the execution. What the store or
//! the end of the cloud causes is never the caller's fault. Nobody is throttled here.

use iotstack_jobs::{Error, ExecutionState};
use iotstack_local_kernel::Fault;
use serde_json::{Value, json};

use crate::service::Refusal;

/// A refusal of the control plane.
pub(crate) fn control(refusal: Refusal) -> Fault {
    refused(refusal, ("ServiceUnavailableException", 503))
}

/// A refusal of an operation on templates, which know no unavailable service.
pub(crate) fn template(refusal: Refusal) -> Fault {
    refused(refusal, INTERNAL)
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

/// A document that cannot be handed out to a device, whatever the store of objects said.
pub(crate) fn document(fault: &Fault) -> Fault {
    Fault::new(INTERNAL.0, INTERNAL.1, fault.message.as_str())
}

fn refused(refusal: Refusal, unavailable: (&str, u16)) -> Fault {
    let (message, (code, status)) = match refusal {
        Refusal::Engine(error) => (error.to_string(), engine(&error)),
        Refusal::Store(error) => (error.to_string(), unavailable),
        Refusal::Ended => ("the local cloud is ending".to_owned(), unavailable),
    };
    Fault::new(code, status, message)
}

fn engine(error: &Error) -> (&'static str, u16) {
    match error {
        Error::InvalidRequest(_) => ("InvalidRequestException", 400),
        Error::ResourceNotFound(_) => ("ResourceNotFoundException", 404),
        Error::ResourceAlreadyExists(_) => ("ResourceAlreadyExistsException", 409),
        Error::Conflict(_) => ("ConflictException", 409),
        Error::LimitExceeded(_) => ("LimitExceededException", 410),
        Error::InvalidStateTransition { .. } => ("InvalidStateTransitionException", 409),
        Error::VersionMismatch { .. } => ("VersionConflictException", 409),
        Error::TerminalState(_) => ("TerminalStateException", 410),
        _ => INTERNAL,
    }
}

const INTERNAL: (&str, u16) = ("InternalFailureException", 500);

#[cfg(test)]
mod tests {
    use iotstack_local_kernel::StoreError;
    use iotstack_protocol::JobExecutionStatus;

    use super::*;

    #[test]
    fn every_refusal_has_its_code_on_each_wire() {
        let message = || "m".to_owned();
        let state = || ExecutionState {
            status: JobExecutionStatus::Queued,
            status_details: None,
            version_number: 1,
        };
        let moved = || Error::InvalidStateTransition { message: message(), state: None };
        let mismatch = || Error::VersionMismatch { message: message(), state: Box::new(state()) };
        let (transition, conflict) = ("InvalidStateTransition", "VersionConflict");
        for (error, device_code, control_code, status, data_code) in [
            (Error::InvalidRequest(message()), "InvalidRequest", "InvalidRequest", 400, ""),
            (Error::ResourceNotFound(message()), "ResourceNotFound", "ResourceNotFound", 404, ""),
            (Error::TerminalState(message()), "TerminalStateReached", "TerminalState", 410, ""),
            (moved(), transition, transition, 409, ""),
            (mismatch(), "VersionMismatch", conflict, 409, transition),
            (
                Error::ResourceAlreadyExists(message()),
                "InternalError",
                "ResourceAlreadyExists",
                409,
                "",
            ),
            (Error::Conflict(message()), "InternalError", "Conflict", 409, ""),
            (Error::LimitExceeded(message()), "RequestThrottled", "LimitExceeded", 410, ""),
            (Error::DamagedRecord(message()), "InternalError", "InternalFailure", 500, ""),
        ] {
            assert_eq!(device(&error).0, device_code);
            for fault in [control, template].map(|wire| wire(Refusal::Engine(error.clone()))) {
                assert_eq!(fault.code, format!("{control_code}Exception"));
                assert_eq!((fault.status, fault.message.as_str()), (status, "m"));
            }
            let data_code = if data_code.is_empty() { control_code } else { data_code };
            let fault = data(Refusal::Engine(error));
            assert_eq!((fault.code, fault.status), (format!("{data_code}Exception"), status));
        }
        let lost = || Refusal::Store(StoreError::Write { reason: "the disk is full".to_owned() });
        for refusal in [|| Refusal::Ended, lost] {
            for wire in [control, data] {
                let fault = wire(refusal());
                assert_eq!((&*fault.code, fault.status), ("ServiceUnavailableException", 503));
            }
            let fault = template(refusal());
            assert_eq!((&*fault.code, fault.status), INTERNAL);
        }
    }
}
