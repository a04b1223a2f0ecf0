//! What CloudFormation refuses before anything exists.
//!
//! Refusals of a template, of its parameters and of a request end here; what
//! happens to resources later is told by the stack's events instead. The codes
//! are AWS's, the words are ours, except where clients look for certain ones
//! (`does not exist`, `No updates are to be performed`).

use iotstack_local_kernel::Fault;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The request, the template or a parameter is not valid.
    #[error("{0}")]
    Validation(String),
    /// The template can do something that the caller did not agree to.
    #[error("Requires capabilities : [{}]", .0.join(", "))]
    Capabilities(Vec<&'static str>),
    /// There is a stack or a change set of this name.
    #[error("{0}")]
    AlreadyExists(String),
    /// There is no such change set.
    #[error("ChangeSet [{0}] does not exist")]
    ChangeSetNotFound(String),
    /// The change set is in a state in which this cannot be done.
    #[error("{0}")]
    ChangeSetStatus(String),
    /// A quota is used up.
    #[error("{0}")]
    Limit(String),
    /// AWS offers it and the local cloud does not.
    #[error("the local cloud does not offer {0}")]
    NotOffered(String),
    /// Another service, or the disk, refused.
    #[error(transparent)]
    Other(#[from] Fault),
}

impl Error {
    /// A refusal with AWS's most common code.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::Validation(message.into())
    }

    /// The refusal of a stack that does not exist, with the words that clients look for.
    pub fn no_stack(name: &str) -> Self {
        Error::Validation(format!("Stack with id {name} does not exist"))
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let (code, status) = match error {
            Error::Validation(_) | Error::NotOffered(_) => ("ValidationError", 400),
            Error::Capabilities(_) => ("InsufficientCapabilitiesException", 400),
            Error::AlreadyExists(_) => ("AlreadyExistsException", 400),
            Error::ChangeSetNotFound(_) => ("ChangeSetNotFound", 404),
            Error::ChangeSetStatus(_) => ("InvalidChangeSetStatus", 400),
            Error::Limit(_) => ("LimitExceededException", 400),
            Error::Other(fault) => return fault,
        };
        Fault::new(code, status, message)
    }
}
