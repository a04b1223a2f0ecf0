//! A rule: its payload as the API knows it, and read for use.
//!
//! The payload is kept as it was written, so that reading a rule gives back what was
//! sent; statement and actions are read once beside it.

use std::sync::Arc;

use iotstack_local_kernel::tags::Tags;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::action::Action;
use crate::sql::{Statement, Version};

/// What a rule is made of, under the names of the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payload {
    /// The statement.
    pub sql: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What is done with the result.
    pub actions: Vec<Value>,
    /// Whether the rule rests.
    #[serde(default)]
    pub rule_disabled: Option<bool>,
    /// The version of the language.
    #[serde(default)]
    pub aws_iot_sql_version: Option<String>,
    /// What is done when an action fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_action: Option<Value>,
}

/// A rule as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What it is made of.
    pub payload: Payload,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Its tags, pairs on disk.
    #[serde(default, with = "iotstack_local_kernel::tags::pairs")]
    pub tags: Tags,
}

/// A rule, ready to run.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: Arc<str>,
    /// As it is stored.
    pub record: Record,
    /// Its statement.
    pub statement: Statement,
    /// Its actions.
    pub actions: Vec<Action>,
    /// What is done when an action fails.
    pub error_action: Option<Action>,
}

impl Rule {
    /// Reads a rule; all that can be wrong with it shows here.
    pub fn read(name: &str, record: Record) -> Result<Rule, Error> {
        let good_name = (1..=128).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !good_name {
            return Err(Error::Invalid(format!(
                "rule name `{name}` is not valid: expected 1 to 128 letters, digits and underscores"
            )));
        }
        let payload = &record.payload;
        let size = serde_json::to_vec(payload).map_or(usize::MAX, |bytes| bytes.len());
        if size > LARGEST {
            return Err(Error::Invalid(format!(
                "the definition of rule `{name}` has {size} bytes; at most {LARGEST} are accepted"
            )));
        }
        let version = payload.aws_iot_sql_version.as_deref().unwrap_or("2015-10-08");
        let version = Version::parse(version).ok_or_else(|| {
            Error::Invalid(format!(
                "awsIotSqlVersion `{version}` is not one of 2015-10-08, 2016-03-23, beta"
            ))
        })?;
        let statement = Statement::parse(&payload.sql, version)?;
        if payload.actions.len() > 10 {
            return Err(Error::Invalid(format!(
                "rule `{name}` has {} actions; at most 10 are accepted",
                payload.actions.len()
            )));
        }
        let read = |action: &Value| Action::parse(action, &statement);
        let actions = payload.actions.iter().map(read).collect::<Result<_, _>>()?;
        let error_action = payload
            .error_action
            .as_ref()
            .filter(|action| !action.is_null())
            .map(read)
            .transpose()?;
        if error_action.as_ref().is_some_and(Action::asks) {
            return Err(Error::Invalid(
                "templates of an error action must not ask other services".to_owned(),
            ));
        }
        Ok(Rule { name: name.into(), statement, actions, error_action, record })
    }

    /// Whether the rule rests.
    pub fn disabled(&self) -> bool {
        self.record.payload.rule_disabled.unwrap_or(false)
    }
}

/// The largest definition of a rule, in bytes of JSON.
const LARGEST: usize = 128 * 1024;
