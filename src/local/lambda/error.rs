//! What goes wrong with code and processes, and the faults of Lambda's API.
//!
//! [`Error`] is what this crate meets on its own machine; the functions below it
//! make the faults that a client sees, under AWS's codes.

use iotstack_local_kernel::Fault;

/// Why code cannot be taken or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no zip archive, or a damaged one.
    #[error("the code is no zip archive that can be read: {0}")]
    Archive(String),
    /// An entry of the archive would leave its folder, or is no plain file.
    #[error("entry `{entry}` of the code {problem}")]
    Entry {
        /// The entry's name.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The archive unpacks to more than a function may hold.
    #[error("the code unpacks to more than {limit} {unit}")]
    TooLarge {
        /// How much is allowed.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// The machine refused to write or run something.
    #[error("{what}: {source}")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// What the machine said.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn machine(what: &'static str) -> impl Fn(std::io::Error) -> Error {
        move |source| Error::Machine { what, source }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Machine { .. } => Fault::new("ServiceException", 500, error.to_string()),
            other => invalid(other.to_string()),
        }
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterValueException", 400, message).with("Type", "User")
}

pub(crate) fn not_found(message: impl Into<String>) -> Fault {
    Fault::new("ResourceNotFoundException", 404, message).with("Type", "User")
}

pub(crate) fn conflict(message: impl Into<String>) -> Fault {
    Fault::new("ResourceConflictException", 409, message).with("Type", "User")
}

pub(crate) fn stale_revision() -> Fault {
    let message = "the RevisionId given is not the current one; read the function again";
    Fault::new("PreconditionFailedException", 412, message).with("Type", "User")
}

pub(crate) fn throttled(reason: &'static str, message: impl Into<String>) -> Fault {
    Fault::new("TooManyRequestsException", 429, message).with("Reason", reason).with("Type", "User")
}

pub(crate) fn too_large(message: impl Into<String>) -> Fault {
    Fault::new("RequestTooLargeException", 413, message).with("Type", "User")
}
