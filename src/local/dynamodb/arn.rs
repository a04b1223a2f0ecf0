//! ARNs: the engine writes an account and a region of its own; clients see those
//! of the cloud.
//!
//! Data of items is never touched: what looks like an ARN there is the user's own text.

use std::collections::BTreeSet;

use iotstack_local_kernel::Account;
use serde_json::{Map, Value};

/// Both beginnings of an ARN.
pub(crate) struct Arns {
    ours: String,
    our_keys: String,
}

impl Arns {
    pub(crate) fn new(account: &Account) -> Self {
        Arns { ours: account.arn("dynamodb", ""), our_keys: account.arn("kms", "") }
    }

    /// The ARN of a table.
    pub(crate) fn table(&self, name: &str) -> String {
        format!("{}table/{name}", self.ours)
    }

    /// Writes the members of a request as the engine knows them. A table may be
    /// named by its ARN, also inside of a batch and of a transaction.
    pub(crate) fn inward(&self, input: &mut Map<String, Value>) -> Renamed {
        for (member, value) in input.iter_mut() {
            let Value::String(text) = value else { continue };
            let Some(rest) = text.strip_prefix(&self.ours) else { continue };
            *text = match (member.as_str(), rest.strip_prefix("table/")) {
                ("TableName", Some(name)) => name.to_owned(),
                _ => format!("{THEIRS}{rest}"),
            };
        }
        let actions = input.get_mut("TransactItems").and_then(Value::as_array_mut);
        for action in actions.into_iter().flatten().filter_map(Value::as_object_mut) {
            for table in action.values_mut().filter_map(|action| action.get_mut("TableName")) {
                if let Some(name) = self.name_of(table.as_str()) {
                    *table = Value::String(name);
                }
            }
        }
        let mut renamed = Renamed::default();
        if let Some(batch) = input.get_mut("RequestItems").and_then(Value::as_object_mut) {
            let given = std::mem::take(batch);
            let names: BTreeSet<String> = given.keys().cloned().collect();
            for (arn, requests) in given {
                match self.name_of(Some(&arn)) {
                    // Who names a table in both ways is refused, as the ARN stays.
                    Some(name) if !names.contains(&name) => {
                        batch.insert(name.clone(), requests);
                        renamed.0.push((name, arn));
                    }
                    _ => {
                        batch.insert(arn, requests);
                    }
                }
            }
        }
        renamed
    }

    /// The name of a table that is named by its ARN.
    fn name_of(&self, table: Option<&str>) -> Option<String> {
        table?.strip_prefix(&self.ours)?.strip_prefix("table/").map(str::to_owned)
    }

    /// Writes the ARNs of an answer as clients know them.
    pub(crate) fn outward(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(rest) = text.strip_prefix(THEIRS) {
                    *text = format!("{}{rest}", self.ours);
                } else if let Some(rest) = text.strip_prefix(THEIR_KEYS) {
                    *text = format!("{}{rest}", self.our_keys);
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

/// The tables of a batch that were named by their ARNs: names, and ARNs.
#[derive(Default)]
pub(crate) struct Renamed(Vec<(String, String)>);

impl Renamed {
    /// Names the tables in the answer as the request did.
    pub(crate) fn back(self, answer: &mut Value) {
        for (name, arn) in self.0 {
            for member in ["Responses", "UnprocessedKeys", "UnprocessedItems"] {
                let tables = answer.get_mut(member).and_then(Value::as_object_mut);
                if let Some(tables) = tables
                    && let Some(found) = tables.remove(&name)
                {
                    tables.insert(arn.clone(), found);
                }
            }
        }
    }
}

/// How the engine's ARNs begin.
const THEIRS: &str = "arn:aws:dynamodb:dynoxide:000000000000:";

/// How its ARNs of keys begin.
const THEIR_KEYS: &str = "arn:aws:kms:dynoxide:000000000000:";
