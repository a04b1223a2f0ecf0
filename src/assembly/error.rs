//! What can be wrong with an assembly or a template on disk.
//!
//! One enum for the crate, each variant with who can fix it. Findings about a template that
//! can be read are diagnostics, not errors.

use std::path::PathBuf;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an assembly or a template could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written. The user fixes the path or its
    /// permissions.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not what its place in the assembly demands. Whoever wrote it fixes it.
    #[error("{} is not valid: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what would be accepted.
        message: String,
    },
    /// A template is not a template.
    #[error("the template is not valid at `{place}`: {message}")]
    Template {
        /// The place, as keys joined by `/`.
        place: String,
        /// What is wrong, and what would be accepted.
        message: String,
    },
    /// Template text cannot be read. The author fixes it at the place named.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong, and what would be accepted.
        message: String,
    },
    /// The assembly was written by a newer tool than this one can follow.
    #[error(
        "{} has cloud assembly version {found}; this program reads up to {supported}.x.x",
        path.display()
    )]
    Version {
        /// The manifest.
        path: PathBuf,
        /// The version found.
        found: String,
        /// The highest major version understood.
        supported: u64,
    },
    /// Stacks depend on each other in a circle.
    #[error("the stacks {} depend on each other in a circle", stacks.join(" → "))]
    Cycle {
        /// The stacks of the circle, the first again at the end.
        stacks: Vec<String>,
    },
}

impl Error {
    /// An I/O error with its path.
    pub fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { action, path, source }
    }
}
