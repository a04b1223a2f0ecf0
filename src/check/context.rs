//! What a template is judged in: which stack it is, where it goes, which file it is.
//!
//! Everything is optional. What is not known is not judged.

use iotstack_assembly::Environment;

/// What is known about a template besides its content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The stack's name as shown to users.
    pub stack: Option<String>,
    /// The account and region that the stack goes to.
    pub environment: Environment,
    /// The file that holds the template, as the user named it.
    pub file: Option<String>,
    /// The size of that file in bytes; estimated where it is not given.
    pub size: Option<usize>,
}

impl Context {
    /// A stack in an environment.
    pub fn stack(name: impl Into<String>, environment: Environment) -> Self {
        Context { stack: Some(name.into()), environment, ..Context::default() }
    }

    /// A template file that belongs to no known stack.
    pub fn file(name: impl Into<String>) -> Self {
        Context { file: Some(name.into()), ..Context::default() }
    }

    /// The region, if it is known.
    pub fn region(&self) -> Option<&str> {
        self.environment.region.as_deref()
    }
}
