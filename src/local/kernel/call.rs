//! One call of an operation, and its answer, free of any wire format.
//!
//! Path labels, query parameters, bound headers and the members of the body are
//! one object, [`Call::input`], under the names of AWS's models. Operations that
//! take or give bytes (a Lambda payload, a shadow) use [`Call::body`] and
//! [`Body::Bytes`].

use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Fault, Timestamp};

/// A call of an operation.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation's name.
    pub operation: &'static str,
    /// Its members, under the names of the service's model.
    pub input: Map<String, Value>,
    /// The body as it came.
    pub body: Bytes,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// Who calls.
    pub caller: Caller,
    /// When.
    pub at: Timestamp,
    /// The id under which the call is answered.
    pub request_id: String,
}

impl Call {
    /// The input as a type.
    ///
    /// # Errors
    /// [`Fault::invalid_input`] with the member that does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_value(Value::Object(self.input.clone()))
            .map_err(|error| Fault::invalid_input(error.to_string()))
    }

    /// A member that must be a text.
    ///
    /// # Errors
    /// [`Fault::invalid_input`] if it is missing or no text.
    pub fn text(&self, member: &str) -> Result<&str, Fault> {
        self.optional_text(member)?
            .ok_or_else(|| Fault::invalid_input(format!("{member} is required")))
    }

    /// A member that is a text if it is there.
    ///
    /// # Errors
    /// [`Fault::invalid_input`] if it is no text.
    pub fn optional_text(&self, member: &str) -> Result<Option<&str>, Fault> {
        match self.input.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => {
                Err(Fault::invalid_input(format!("{member} must be a text, not {other}")))
            }
        }
    }

    /// A member that is a whole number if it is there.
    ///
    /// # Errors
    /// [`Fault::invalid_input`] if it is no whole number.
    pub fn optional_integer(&self, member: &str) -> Result<Option<i64>, Fault> {
        match self.input.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| {
                Fault::invalid_input(format!("{member} must be a whole number, not {value}"))
            }),
        }
    }

    /// A member that is true; false if it is missing.
    ///
    /// # Errors
    /// [`Fault::invalid_input`] if it is neither true nor false.
    pub fn flag(&self, member: &str) -> Result<bool, Fault> {
        match self.input.get(member) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => {
                Err(Fault::invalid_input(format!("{member} must be true or false, not {other}")))
            }
        }
    }
}

/// Who calls an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The owner of the account, by the key that the local cloud was started with.
    Root,
    /// A user or the session of a role, by its ARN.
    Principal {
        /// `arn:aws:sts::…:assumed-role/<role>/<session>` or `arn:aws:iam::…:user/<name>`.
        arn: String,
    },
    /// A device, by its certificate (HTTPS with mutual TLS).
    Device {
        /// The certificate's id.
        certificate_id: String,
    },
    /// A service of the local cloud, on its own behalf.
    Service {
        /// Such as `iot.amazonaws.com`.
        name: &'static str,
    },
}

/// The answer to a call.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status, 200 unless the operation's model says otherwise.
    pub status: u16,
    /// Headers that the operation's model binds.
    pub headers: Vec<(&'static str, String)>,
    /// What it holds.
    pub body: Body,
}

/// What an answer holds.
#[derive(Debug, Clone)]
pub enum Body {
    /// Members, under the names of the service's model.
    Members(Value),
    /// Bytes as they are.
    Bytes {
        /// Their media type.
        content_type: &'static str,
        /// The bytes.
        bytes: Bytes,
    },
}

impl Reply {
    /// An answer without members.
    pub fn empty() -> Self {
        Value::Object(Map::new()).into()
    }

    /// An answer with the members of a type.
    ///
    /// # Errors
    /// An internal fault if the type cannot be written as JSON.
    pub fn of(members: &impl Serialize) -> Result<Self, Fault> {
        serde_json::to_value(members)
            .map(Reply::from)
            .map_err(|error| Fault::internal(error.to_string()))
    }

    /// An answer of bytes.
    pub fn bytes(content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        Reply {
            status: 200,
            headers: Vec::new(),
            body: Body::Bytes { content_type, bytes: bytes.into() },
        }
    }

    /// With another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The members; nothing for bytes.
    pub fn members(&self) -> Option<&Value> {
        match &self.body {
            Body::Members(members) => Some(members),
            Body::Bytes { .. } => None,
        }
    }
}

impl From<Value> for Reply {
    fn from(members: Value) -> Self {
        Reply { status: 200, headers: Vec::new(), body: Body::Members(members) }
    }
}
