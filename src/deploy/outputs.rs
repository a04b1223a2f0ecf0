//! The outputs of a stack.

use serde::Serialize;

use crate::{Clients, Error, Result, stack};

/// One output of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// Its name in the template.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What the template says about it.
    pub description: Option<String>,
    /// The name under which other stacks import it.
    pub export: Option<String>,
}

/// The outputs of the stack `name`, sorted by name.
pub async fn outputs(clients: &Clients, name: &str) -> Result<Vec<Output>> {
    todo!()
}
