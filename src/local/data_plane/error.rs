//! Why a request about a shadow is rejected: on MQTT a code with a fixed text, over
//! HTTP an exception.
//!
//! The texts are those that clients of AWS IoT compare with, so they begin with a
//! capital letter.

use iotstack_local_kernel::Fault;

/// A rejected request. The client can put most of them right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The payload is not JSON, or no object.
    #[error("Invalid JSON")]
    Json,
    /// The payload is not UTF-8.
    #[error("Unsupported documented encoding; supported encoding is UTF-8")]
    Encoding,
    /// There is no `state`.
    #[error("Missing required node: state")]
    NoState,
    /// `state` is no object.
    #[error("State node must be an object")]
    State,
    /// `state.desired` is no object.
    #[error("Desired node must be an object")]
    Desired,
    /// `state.reported` is no object.
    #[error("Reported node must be an object")]
    Reported,
    /// `version` is no whole number.
    #[error("Invalid version")]
    Version,
    /// `clientToken` is no text or longer than 64 bytes.
    #[error("Invalid clientToken")]
    Token,
    /// The state has too many levels.
    #[error("JSON contains too many levels of nesting; maximum is 6")]
    TooDeep,
    /// The state has a section that no shadow has, or null in an array.
    #[error("State contains an invalid node")]
    InvalidNode,
    /// The name of the thing or of the shadow is not valid.
    #[error("{0}")]
    Name(String),
    /// The policies of the caller do not allow it.
    #[error("Forbidden")]
    Forbidden,
    /// Neither the registry nor the shadows know the thing.
    #[error("Thing not found")]
    NoThing,
    /// There is no such shadow.
    #[error("No shadow exists with name: '{0}'")]
    NoShadow(String),
    /// The shadow has another version than the client has seen.
    #[error("Version conflict")]
    Conflict,
    /// The state would be larger than a shadow may be.
    #[error("The payload exceeds the maximum size allowed")]
    TooLarge,
    /// Too many requests of one connection wait for an answer.
    #[error("Too many requests in flight")]
    Throttled,
    /// The change could not be stored.
    #[error("Internal service failure")]
    Internal,
}

impl Error {
    /// The code of a rejection on MQTT, which is also the status over HTTP.
    pub fn code(&self) -> u16 {
        match self {
            Error::Forbidden => 403,
            Error::NoThing | Error::NoShadow(_) => 404,
            Error::Conflict => 409,
            Error::TooLarge => 413,
            Error::Encoding => 415,
            Error::Throttled => 429,
            Error::Internal => 500,
            _ => 400,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let name = match error.code() {
            403 => "ForbiddenException",
            404 => "ResourceNotFoundException",
            409 => "ConflictException",
            413 => "RequestEntityTooLargeException",
            415 => "UnsupportedDocumentEncodingException",
            429 => "ThrottlingException",
            500 => "InternalFailureException",
            _ => "InvalidRequestException",
        };
        Fault::new(name, error.code(), error.to_string())
    }
}

/// A rejection with what it repeats of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub error: Error,
    /// The client token, if it could be read.
    pub token: Option<String>,
}
