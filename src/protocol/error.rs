//! What can be wrong with a value of the protocol.
//!
//! Every variant is a fault of the input, so every message names the value that
//! was received and what would have been accepted. Settings are judged as a
//! whole: all problems of one document are told at once.

use std::fmt;

/// The result of parsing or checking a value of the protocol.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a value is not one of the protocol's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that AWS IoT or AWS Signer would refuse; whoever chose it can fix it.
    #[error("{kind} `{value}` is not valid: expected {expected}")]
    InvalidName {
        /// What the name was meant to be, such as `thing name`.
        kind: &'static str,
        /// The name received.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A topic name or topic filter that AWS IoT would refuse.
    #[error("{kind} `{value}` is not valid: {reason}")]
    InvalidTopic {
        /// `topic name` or `topic filter`.
        kind: &'static str,
        /// The text received.
        value: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A word that is not one of a closed list, such as a job status.
    #[error("{kind} `{value}` is not known: expected one of {expected}")]
    UnknownWord {
        /// What the word was meant to be, such as `job status`.
        kind: &'static str,
        /// The word received.
        value: String,
        /// The words that exist.
        expected: String,
    },
    /// An object in S3 that a presigned URL cannot lead a device to.
    #[error("{part} `{value}` cannot be part of a presigned URL: {reason}")]
    InvalidObject {
        /// `bucket`, `key`, `region`, `version id` or `placeholder`.
        part: &'static str,
        /// The text received.
        value: String,
        /// Why it cannot be used.
        reason: &'static str,
    },
    /// A field of a job document or a signature that does not hold what it should.
    #[error("`{field}` has the value `{value}`: expected {expected}")]
    InvalidField {
        /// The field's path in the document.
        field: &'static str,
        /// The value received.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// Job settings outside of what AWS IoT Jobs accepts; all problems at once.
    #[error("job settings are not valid: {}", list(.0))]
    InvalidSettings(Vec<Problem>),
    /// A job document that AWS IoT Jobs would refuse for its size.
    #[error("job document has {size} bytes: AWS IoT Jobs accepts at most {limit}")]
    DocumentTooLarge {
        /// The size of the document in bytes.
        size: usize,
        /// The largest accepted size in bytes.
        limit: usize,
    },
    /// Text that is not the JSON it should be.
    #[error("{what} is not valid: {reason}")]
    InvalidJson {
        /// What the text was meant to be, such as `job settings`.
        what: &'static str,
        /// What the JSON reader found, with line and column.
        reason: String,
    },
}

/// One setting with a value that AWS IoT Jobs does not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting's path, such as `rollout.maximum_per_minute`.
    pub field: String,
    /// The value received.
    pub value: String,
    /// What would be accepted.
    pub expected: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}: expected {}", self.field, self.value, self.expected)
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}
