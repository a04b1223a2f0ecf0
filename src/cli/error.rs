//! What a command can fail with, and the exit code of each kind.
//!
//! Libraries say what went wrong; here every library error becomes one of a few kinds,
//! because a script only wants to know whose turn it is: the caller's (2), the stack's
//! author's (1), the cloud's (3) or ours (101). Hints, how to go on, are kept apart from
//! the message, so that the message stays one line.
//!
//! Findings of checks are no errors: they are printed by `ui::findings`, and the command
//! then ends with [`Error::told`].

use std::process::ExitCode;

use iotstack_assembly as assembly;

/// A result of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command stops.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hints: Vec<String>,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line or `iotstack.yaml` is wrong.
    Usage,
    /// The user's stack, app or folder is wrong, or the answer to a question is no.
    Stack,
    /// AWS refused, or could not be reached.
    Cloud,
    /// The user pressed Ctrl-C.
    Interrupted,
    /// iotstack is wrong.
    Bug,
}

impl Kind {
    /// The exit code that scripts see.
    pub const fn exit_code(self) -> u8 {
        match self {
            Kind::Stack => 1,
            Kind::Usage => 2,
            Kind::Cloud => 3,
            Kind::Bug => 101,
            Kind::Interrupted => 130,
        }
    }
}

impl Error {
    /// An error of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hints: Vec::new() }
    }

    /// Something on the command line or in `iotstack.yaml` is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Error::new(Kind::Usage, message)
    }

    /// Something about the user's stack is wrong.
    pub fn stack(message: impl Into<String>) -> Self {
        Error::new(Kind::Stack, message)
    }

    /// The command fails, and the user was told why already.
    pub fn told(kind: Kind) -> Self {
        Error::new(kind, String::new())
    }

    /// The same error with advice on how to go on.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What went wrong; empty if the user was told already.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How to go on.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The exit code that scripts see.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.exit_code())
    }
}

impl From<assembly::Error> for Error {
    fn from(error: assembly::Error) -> Self {
        let hint = match &error {
            assembly::Error::Version { .. } => Some("install a newer iotstack"),
            _ => None,
        };
        let told = Error::stack(error.to_string());
        hint.into_iter().fold(told, Error::hint)
    }
}

impl From<iotstack_deploy::Error> for Error {
    fn from(error: iotstack_deploy::Error) -> Self {
        use iotstack_deploy::Kind as Theirs;
        let kind = match error.kind() {
            Theirs::Usage => Kind::Usage,
            Theirs::Stack => Kind::Stack,
            Theirs::Cloud => Kind::Cloud,
            Theirs::Bug => Kind::Bug,
        };
        error.hint().into_iter().fold(Error::new(kind, error.to_string()), Error::hint)
    }
}
