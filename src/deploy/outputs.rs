//! The outputs of a stack, as the account has them.
//!
//! A stack has outputs only while it stands; one that was never made, or that is being
//! reviewed, has none and is an error here, so that a script does not go on with
//! nothing in its hand.

use serde::Serialize;

use crate::state::StackStatus;
use crate::{Clients, Error, Result, stack};

/// One output of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// Its name in the template.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What the template says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The name under which other stacks import it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
}

/// The outputs of the stack `name`, sorted by name.
pub async fn outputs(clients: &Clients, name: &str) -> Result<Vec<Output>> {
    match stack::describe(clients, name).await? {
        Some(stack) if stands(&stack.status) => Ok(sorted(stack.outputs)),
        _ => Err(Error::StackNotFound {
            stack: name.to_owned(),
            environment: clients.environment().to_string(),
        }),
    }
}

/// Outputs in the order of their names, because CloudFormation promises none.
pub(crate) fn sorted(mut outputs: Vec<Output>) -> Vec<Output> {
    outputs.sort_by(|a, b| a.name.cmp(&b.name));
    outputs
}

fn stands(status: &StackStatus) -> bool {
    !matches!(status, StackStatus::ReviewInProgress | StackStatus::DeleteComplete)
}
