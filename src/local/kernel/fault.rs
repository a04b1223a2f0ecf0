//! What a service answers when it refuses: a code, a message, a status.
//!
//! The code is AWS's name of the error; how it looks on the wire is the
//! business of [`crate::wire`]. Messages are for people and never hold secrets.

use std::fmt;

use serde_json::{Map, Value};

use crate::store::StoreError;

/// A refused operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// AWS's name of the error, such as `ResourceNotFoundException`.
    pub code: String,
    /// What is wrong, naming the value and what would be accepted.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
    /// The code that the service had for it when it spoke query, where that differs.
    former: Option<&'static str>,
    // Boxed, as few errors have any and every operation's result carries them.
    members: Option<Box<Map<String, Value>>>,
}

impl Fault {
    /// An error with its HTTP status.
    pub fn new(code: impl Into<String>, status: u16, message: impl Into<String>) -> Self {
        Fault { code: code.into(), message: message.into(), status, former: None, members: None }
    }

    /// Adds a member to the error.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.get_or_insert_default().insert(name.to_owned(), value.into());
        self
    }

    /// Names the code that clients know from the time when the service spoke query.
    #[must_use]
    pub fn formerly(mut self, code: &'static str) -> Self {
        self.former = Some(code);
        self
    }

    /// The code for clients that know the service from the time when it spoke query.
    pub fn query_code(&self) -> &str {
        self.former.unwrap_or(&self.code)
    }

    /// The further members of the error.
    pub fn members(&self) -> Map<String, Value> {
        self.members.as_deref().cloned().unwrap_or_default()
    }

    /// An input that does not have the shape of the operation. The wire puts the
    /// service's own code ([`crate::Service::invalid_input`]) in its place.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Fault::new(Self::INVALID_INPUT, 400, message)
    }

    /// Whether [`Fault::invalid_input`] made it.
    pub fn is_invalid_input(&self) -> bool {
        self.code == Self::INVALID_INPUT
    }

    /// A fault of the local cloud itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Fault::new("InternalFailure", 500, message)
    }

    /// Something that AWS offers and the local cloud does not.
    pub fn not_implemented(what: impl fmt::Display) -> Self {
        Fault::new(
            "NotImplemented",
            501,
            format!(
                "the local cloud does not offer {what}; `iotstack local --coverage` lists what it does"
            ),
        )
    }

    const INVALID_INPUT: &'static str = "InvalidInput";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Fault {}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::new("ServiceUnavailable", 503, error.to_string())
    }
}
