//! Who else may invoke a function: the statements of its resource policy.
//!
//! A statement allows a principal, perhaps only on behalf of one resource or account.
//! There are no denials, as Lambda's API can write none.

use iotstack_local_kernel::policy::like;
use iotstack_local_kernel::{Account, Fault};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One permission, as `AddPermission` gives it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Statement {
    pub(crate) id: String,
    pub(crate) action: String,
    pub(crate) principal: String,
    pub(crate) source_arn: Option<String>,
    pub(crate) source_account: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) event_source_token: Option<String>,
}

impl Statement {
    /// Whether it lets a service invoke the function on behalf of a resource.
    pub(crate) fn permits(&self, account: &Account, principal: &str, source_arn: &str) -> bool {
        let action = matches!(self.action.as_str(), "lambda:InvokeFunction" | "lambda:*" | "*");
        let principal = self.principal == principal || self.principal == "*";
        let source = self.source_arn.as_deref().is_none_or(|pattern| like(pattern, source_arn));
        let owner = self.source_account.as_deref().is_none_or(|wanted| {
            // ARNs of buckets name no account; everything here is this account's.
            let named = source_arn.split(':').nth(4).filter(|named| !named.is_empty());
            wanted == named.unwrap_or(&account.id)
        });
        action
            && principal
            && source
            && owner
            && self.organization.is_none()
            && self.event_source_token.is_none()
    }

    /// The statement of the policy document.
    pub(crate) fn shown(&self, function_arn: &str) -> Value {
        let principal = match self.principal.as_str() {
            "*" => json!("*"),
            service if service.contains(".amazonaws.com") => json!({"Service": service}),
            account if account.len() == 12 => {
                json!({"AWS": format!("arn:aws:iam::{account}:root")})
            }
            arn => json!({"AWS": arn}),
        };
        let mut shown = json!({
            "Sid": self.id,
            "Effect": "Allow",
            "Principal": principal,
            "Action": self.action,
            "Resource": function_arn,
        });
        let mut condition = Map::new();
        let mut equals = Map::new();
        for (key, value) in [
            ("AWS:SourceAccount", &self.source_account),
            ("aws:PrincipalOrgID", &self.organization),
            ("lambda:EventSourceToken", &self.event_source_token),
        ] {
            if let Some(value) = value {
                equals.insert(key.to_owned(), json!(value));
            }
        }
        if !equals.is_empty() {
            condition.insert("StringEquals".to_owned(), Value::Object(equals));
        }
        if let Some(arn) = &self.source_arn {
            condition.insert("ArnLike".to_owned(), json!({"AWS:SourceArn": arn}));
        }
        if !condition.is_empty() {
            shown["Condition"] = Value::Object(condition);
        }
        shown
    }
}

/// The policy document of some statements.
pub(crate) fn document(statements: &[Statement], function_arn: &str) -> String {
    let shown: Vec<Value> =
        statements.iter().map(|statement| statement.shown(function_arn)).collect();
    json!({"Version": "2012-10-17", "Id": "default", "Statement": shown}).to_string()
}

/// Judges an action that a permission may allow.
pub(crate) fn judge_action(action: &str) -> Result<(), Fault> {
    let known = action == "*"
        || action.strip_prefix("lambda:").is_some_and(|name| {
            name == "*"
                || (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        });
    if known {
        return Ok(());
    }
    Err(Fault::invalid_input(format!("Action `{action}` must be an action of Lambda")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_as_narrow_as_its_source() {
        let account = Account::default();
        let statement = Statement {
            id: "s".to_owned(),
            action: "lambda:InvokeFunction".to_owned(),
            principal: "iot.amazonaws.com".to_owned(),
            source_arn: Some("arn:aws:iot:us-east-1:123456789012:rule/a*".to_owned()),
            source_account: Some(account.id.clone()),
            organization: None,
            event_source_token: None,
        };
        let permits = |principal, arn| statement.permits(&account, principal, arn);
        assert!(permits("iot.amazonaws.com", "arn:aws:iot:us-east-1:123456789012:rule/a_1"));
        assert!(!permits("iot.amazonaws.com", "arn:aws:iot:us-east-1:123456789012:rule/b"));
        assert!(!permits("iot.amazonaws.com", "arn:aws:iot:us-east-1:210987654321:rule/a"));
        assert!(!permits("s3.amazonaws.com", "arn:aws:iot:us-east-1:123456789012:rule/a"));
    }
}
