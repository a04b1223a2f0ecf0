//! What can go wrong around checking.
//!
//! Checking itself cannot fail: whatever is wrong with a template is a finding. Only
//! asking for something that does not exist is an error.

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No report has this name. The user names another.
    #[error("report format `{name}` is unknown: expected one of json, sarif, junit")]
    UnknownFormat {
        /// The name that was given.
        name: String,
    },
}
