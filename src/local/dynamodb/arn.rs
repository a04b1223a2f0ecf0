//! ARNs: the engine writes an account and a region of its own; clients see those
//! of the cloud.
//!
//! Data of items is never touched: what looks like an ARN there is the user's own text.

use iotstack_local_kernel::Account;
use serde_json::{Map, Value};

/// Both beginnings of an ARN.
pub(crate) struct Arns {
    ours: String,
}

impl Arns {
    pub(crate) fn new(account: &Account) -> Self {
        Arns { ours: account.arn("dynamodb", "") }
    }

    /// The ARN of a table.
    pub(crate) fn table(&self, name: &str) -> String {
        format!("{}table/{name}", self.ours)
    }

    /// Writes the members of a request as the engine knows them. A table may be
    /// named by its ARN.
    pub(crate) fn inward(&self, input: &mut Map<String, Value>) {
        for (member, value) in input {
            let Value::String(text) = value else { continue };
            let Some(rest) = text.strip_prefix(&self.ours) else { continue };
            *text = match (member.as_str(), rest.strip_prefix("table/")) {
                ("TableName", Some(name)) => name.to_owned(),
                _ => format!("{THEIRS}{rest}"),
            };
        }
    }

    /// Writes the ARNs of an answer as clients know them.
    pub(crate) fn outward(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(rest) = text.strip_prefix(THEIRS) {
                    *text = format!("{}{rest}", self.ours);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.outward(item)),
            Value::Object(members) => {
                members.values_mut().for_each(|member| self.outward(member));
            }
            _ => {}
        }
    }

    /// The same in the text of a message.
    pub(crate) fn in_message(&self, message: &str) -> String {
        message.replace(THEIRS, &self.ours)
    }
}

/// How the engine's ARNs begin.
const THEIRS: &str = "arn:aws:dynamodb:dynoxide:000000000000:";
