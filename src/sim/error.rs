//! What can go wrong in a simulation, apart from what is simulated.
//!
//! A device that refuses an image is a result, not an error: results are
//! [`crate::Outcome`]s. An error here stops the run or the device for a reason that
//! a person must look at: a scenario that says something impossible, a target
//! that cannot be reached, a folder that cannot be written.

use std::io;
use std::path::PathBuf;

/// The result of something in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a simulation cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A scenario file that cannot be read as one; its author can fix it.
    #[error("scenario is not valid: {0}")]
    Scenario(String),
    /// An expectation that cannot be understood; its author can fix it.
    #[error("expectation `{text}` is not valid: {reason}")]
    Expectation {
        /// The expectation received.
        text: String,
        /// What would be accepted.
        reason: String,
    },
    /// A value that the simulator cannot take, such as a key that is none.
    #[error("{what} is not valid: {reason}")]
    Invalid {
        /// What the value was meant to be.
        what: &'static str,
        /// Why it is not, and what would be accepted.
        reason: String,
    },
    /// A file or folder of a device that cannot be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// What was tried, such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The broker, or the way to it.
    #[error("broker {address}: {source}")]
    Mqtt {
        /// Host and port.
        address: String,
        /// What went wrong.
        source: iotstack_mqtt::client::Error,
    },
    /// A claim that the cloud refuses.
    #[error("provisioning of `{device}` was refused: {status} {code}: {message}")]
    Provisioning {
        /// The device.
        device: String,
        /// The status code of the answer.
        status: i64,
        /// The error code of the answer.
        code: String,
        /// The cloud's words.
        message: String,
    },
    /// The cloud, as the program that runs the simulation sees it.
    #[error("cannot {action}: {reason}")]
    Cloud {
        /// What was tried, such as `create the job`.
        action: String,
        /// What the cloud says.
        reason: String,
    },
    /// Something that should have happened in time.
    #[error("{what} did not happen within {seconds} s")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// A worker process that cannot be started, or has ended too early.
    #[error("a worker process failed: {reason}")]
    Worker {
        /// What it said, or how it ended.
        reason: String,
    },
    /// A report that cannot be written.
    #[error("cannot write the report: {0}")]
    Report(String),
}

impl Error {
    /// An error about a value.
    pub(crate) fn invalid(what: &'static str, reason: impl ToString) -> Self {
        Error::Invalid { what, reason: reason.to_string() }
    }
}
