//! What the firmware manager answers: `{"statusCode", "body"}`, body a JSON text.
//!
//! A refusal has a status code for programs in a hurry, a code that does not
//! change for programs with patience, and a message for people.

use serde_json::{Value, json};

use crate::Error;
use crate::error::ServiceFault;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    status_code: u16,
    body: Value,
}

/// Why there is nothing better to answer.
#[derive(Debug)]
pub(super) struct Refusal {
    status_code: u16,
    code: String,
    message: String,
    /// More for the body's `error`, such as a command to run.
    details: Vec<(&'static str, Value)>,
}

impl Answer {
    pub(super) fn ok(body: Value) -> Self {
        Answer { status_code: 200, body }
    }

    pub(super) fn status_code(&self) -> u16 {
        self.status_code
    }

    pub(super) fn into_value(self) -> Value {
        json!({ "statusCode": self.status_code, "body": self.body.to_string() })
    }
}

impl Refusal {
    pub(super) fn new(status_code: u16, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Refusal { status_code, code, message, details: Vec::new() }
    }

    /// Input that is not what it should be.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Refusal::new(400, "InvalidRequest", message)
    }

    pub(super) fn out_of_time() -> Self {
        Refusal::new(
            502,
            "Timeout",
            "the function's time was over before the work was done: raise its timeout, or its \
             memory, with which its speed grows",
        )
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    pub(super) fn status_code(&self) -> u16 {
        self.status_code
    }

    pub(super) fn code(&self) -> &str {
        &self.code
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn into_answer(self) -> Answer {
        let mut error = json!({ "code": self.code, "message": self.message });
        for (name, value) in self.details {
            error[name] = value;
        }
        Answer { status_code: self.status_code, body: json!({ "error": error }) }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match &error {
            Error::Service(fault) => fault_refusal(fault, message),
            Error::Protocol(iotstack_protocol::Error::DocumentTooLarge { .. }) => {
                Refusal::new(400, "DocumentTooLarge", message)
            }
            Error::Protocol(_) => Refusal::invalid(message),
            _ => Refusal::new(502, "InternalError", message),
        }
    }
}

impl From<iotstack_protocol::Error> for Refusal {
    fn from(error: iotstack_protocol::Error) -> Self {
        Error::from(error).into()
    }
}

/// The answer to a fault of a service that has no meaning of its own here.
fn fault_refusal(fault: &ServiceFault, message: String) -> Refusal {
    let code = fault.code.as_deref().unwrap_or("ServiceError");
    let status_code = if fault.is_throttled() || fault.has_code("LimitExceededException") {
        429
    } else {
        match code {
            "ResourceNotFoundException" => 404,
            "InvalidRequestException" | "ValidationException" => 400,
            "ResourceAlreadyExistsException" | "InvalidStateTransitionException" => 409,
            _ => 502,
        }
    };
    Refusal::new(status_code, code, message)
}
