//! Stack policies: what an update may do to which resource.
//!
//! A stack without a policy allows everything; with one, only what a statement allows
//! and none denies. Policies speak of `Update:Modify`, `Update:Replace` and
//! `Update:Delete` on `LogicalResourceId/<id>`, with `*` and `?`, and may be limited to
//! resource types by a condition. They say nothing about creation, about the deletion of
//! the stack, or about the way back of a failed update.

use iotstack_local_kernel::policy::like;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// The policy of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackPolicy {
    statements: Vec<Statement>,
}

/// What an update does to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateAction {
    /// It stays and becomes something else.
    Modify,
    /// Another one takes its place.
    Replace,
    /// It leaves the stack.
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    denies: bool,
    actions: Choice,
    resources: Choice,
    /// Patterns of resource types; none for any type.
    types: Vec<String>,
}

/// Names that are meant, or all others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    patterns: Vec<String>,
    inverted: bool,
}

impl StackPolicy {
    /// Reads a policy.
    ///
    /// # Errors
    /// What AWS would not take for a stack policy, with the number of the statement.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > LONGEST {
            let message = format!("it has {} bytes: expected at most {LONGEST}", text.len());
            return Err(refused(&message));
        }
        let policy: Value = serde_json::from_str(text)
            .map_err(|error| refused(&format!("it is no JSON: {error}")))?;
        let statements = match policy.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().collect(),
            Some(only @ Value::Object(_)) => vec![only],
            _ => return Err(refused("expected an object with a list Statement")),
        };
        let statements = statements.into_iter().enumerate().map(|(place, statement)| {
            let number = place + 1;
            let wrong = |reason: String| refused(&format!("Statement [#{number}]: {reason}"));
            match statement {
                Value::Object(members) => Statement::read(members).map_err(wrong),
                other => Err(wrong(format!("`{other}` is no object"))),
            }
        });
        Ok(StackPolicy { statements: statements.collect::<Result<_>>()? })
    }

    /// Why an update may not do this to a resource; nothing if it may.
    pub fn refusal(&self, action: UpdateAction, id: &str, kind: &str) -> Option<String> {
        let (name, resource) = (action.as_str(), format!("LogicalResourceId/{id}"));
        let applies = |statement: &Statement| {
            statement.actions.means(name)
                && statement.resources.means(&resource)
                && (statement.types.is_empty()
                    || statement.types.iter().any(|pattern| like(pattern, kind)))
        };
        let applying = self.statements.iter().enumerate().filter(|(_, one)| applies(one));
        let (denying, allowing): (Vec<_>, Vec<_>) = applying.partition(|(_, one)| one.denies);
        let who = match (denying.first(), allowing.is_empty()) {
            (Some((place, _)), _) => format!("Statement [#{}] does not allow", place + 1),
            (None, true) => "no statement allows".to_owned(),
            (None, false) => return None,
        };
        Some(format!("Action denied by stack policy: {who} [{name}] for resource [{resource}]"))
    }
}

impl UpdateAction {
    /// The name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            UpdateAction::Modify => "Update:Modify",
            UpdateAction::Replace => "Update:Replace",
            UpdateAction::Delete => "Update:Delete",
        }
    }
}

impl Statement {
    fn read(members: &Map<String, Value>) -> Result<Self, String> {
        let denies = match members.get("Effect").and_then(Value::as_str) {
            Some("Deny") => true,
            Some("Allow") => false,
            _ => {
                return Err(format!(
                    "Effect is {}: expected Allow or Deny",
                    shown(members, "Effect")
                ));
            }
        };
        let principal = members.get("Principal");
        let is_everybody =
            |value: &Value| value == "*" || value.get("AWS").is_some_and(|all| all == "*");
        if !principal.is_some_and(is_everybody) {
            let found = shown(members, "Principal");
            return Err(format!("Principal is {found}: a stack policy holds for \"*\" alone"));
        }
        let actions = Choice::read(members, "Action", "NotAction")?;
        if let Some(wrong) = actions.patterns.iter().find(|action| !is_action(action)) {
            return Err(format!(
                "Action `{wrong}` is unknown: expected Update:Modify, Update:Replace, \
                 Update:Delete or Update:*"
            ));
        }
        let resources = Choice::read(members, "Resource", "NotResource")?;
        let is_resource = |text: &String| text == "*" || text.starts_with("LogicalResourceId/");
        if let Some(wrong) = resources.patterns.iter().find(|resource| !is_resource(resource)) {
            return Err(format!(
                "Resource `{wrong}` is none: expected `LogicalResourceId/ID` or `*`"
            ));
        }
        let types = match members.get("Condition") {
            None => Vec::new(),
            Some(condition) => types(condition)?,
        };
        Ok(Statement { denies, actions, resources, types })
    }
}

impl Choice {
    fn read(members: &Map<String, Value>, plain: &str, inverse: &str) -> Result<Self, String> {
        let (name, inverted) = match (members.contains_key(plain), members.contains_key(inverse)) {
            (true, false) => (plain, false),
            (false, true) => (inverse, true),
            _ => return Err(format!("expected either {plain} or {inverse}")),
        };
        let patterns = texts(&members[name]).filter(|patterns| !patterns.is_empty());
        let patterns = patterns.ok_or_else(|| {
            format!("{name} is {}: expected a text or a list of texts", members[name])
        })?;
        Ok(Choice { patterns, inverted })
    }

    fn means(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| like(pattern, name)) != self.inverted
    }
}

/// The resource types that a condition names; it knows no other key.
fn types(condition: &Value) -> Result<Vec<String>, String> {
    let expected = "expected StringEquals or StringLike with ResourceType";
    let wrong = || format!("Condition is {condition}: {expected}");
    let operators = condition.as_object().filter(|operators| operators.len() == 1);
    let (operator, keys) = operators.and_then(|them| them.iter().next()).ok_or_else(wrong)?;
    if operator != "StringEquals" && operator != "StringLike" {
        return Err(wrong());
    }
    let keys = keys.as_object().filter(|keys| keys.len() == 1).ok_or_else(wrong)?;
    let types = keys.get("ResourceType").and_then(texts).filter(|types| !types.is_empty());
    let types = types.ok_or_else(wrong)?;
    let has_pattern = |text: &String| text.contains(['*', '?']);
    if operator == "StringEquals" && types.iter().any(has_pattern) {
        return Err(format!("Condition is {condition}: patterns need StringLike"));
    }
    Ok(types)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn is_action(text: &str) -> bool {
    const ALL: [UpdateAction; 3] =
        [UpdateAction::Modify, UpdateAction::Replace, UpdateAction::Delete];
    text == "*" || text == "Update:*" || ALL.iter().any(|action| action.as_str() == text)
}

fn shown(members: &Map<String, Value>, name: &str) -> String {
    members.get(name).map_or_else(|| "missing".to_owned(), Value::to_string)
}

fn refused(reason: &str) -> Error {
    Error::invalid(format!("Error validating stack policy: {reason}"))
}

/// The bytes of a policy.
pub const LONGEST: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> StackPolicy {
        StackPolicy::parse(text).unwrap()
    }

    const GUARDED: &str = r#"{"Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["Update:Replace", "Update:Delete"], "Principal": "*",
         "Resource": ["LogicalResourceId/Prod*", "LogicalResourceId/Key?"]},
        {"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "*",
         "Condition": {"StringLike": {"ResourceType": "AWS::S3::*"}}}
    ]}"#;

    #[test]
    fn what_is_denied_stays_denied_whoever_allows_it() {
        let policy = policy(GUARDED);
        let refusal = |action, id, kind| policy.refusal(action, id, kind);
        assert_eq!(refusal(UpdateAction::Modify, "ProdQueue", "AWS::SQS::Queue"), None);
        assert_eq!(refusal(UpdateAction::Replace, "DevQueue", "AWS::SQS::Queue"), None);
        assert_eq!(refusal(UpdateAction::Replace, "Key12", "AWS::SQS::Queue"), None);
        assert_eq!(
            refusal(UpdateAction::Replace, "ProdQueue", "AWS::SQS::Queue").unwrap(),
            "Action denied by stack policy: Statement [#2] does not allow [Update:Replace] for \
             resource [LogicalResourceId/ProdQueue]"
        );
        assert!(refusal(UpdateAction::Delete, "Key1", "AWS::SQS::Queue").is_some());
        assert!(refusal(UpdateAction::Modify, "B", "AWS::S3::Bucket").unwrap().contains("[#3]"));
    }

    #[test]
    fn what_nobody_allows_is_denied() {
        let policy = policy(
            r#"{"Statement": [{"Effect": "Allow", "NotAction": "Update:Delete", "Principal": "*",
                "NotResource": "LogicalResourceId/A"}]}"#,
        );
        assert_eq!(policy.refusal(UpdateAction::Modify, "B", "T"), None);
        for (action, id) in [(UpdateAction::Delete, "B"), (UpdateAction::Modify, "A")] {
            let reason = policy.refusal(action, id, "T").unwrap();
            assert!(reason.contains("no statement allows"), "{reason}");
        }
    }

    #[test]
    fn says_which_statement_is_none_and_why() {
        let of = |statement: &str| {
            let text = format!(r#"{{"Statement": [{statement}]}}"#);
            StackPolicy::parse(&text).unwrap_err().to_string()
        };
        for (statement, part) in [
            (r#"{"Effect": "Maybe"}"#, "Effect is \"Maybe\": expected Allow or Deny"),
            (r#"{"Effect": "Deny"}"#, "Principal is missing"),
            (r#"{"Effect": "Deny", "Principal": "*"}"#, "either Action or NotAction"),
            (r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:*"}"#, "`s3:*` is unknown"),
            (r#"{"Effect": "Deny", "Principal": "*", "Action": []}"#, "Action is []"),
            (
                r#"{"Effect": "Deny", "Principal": "*", "Action": "Update:*", "Resource": "Q"}"#,
                "Resource `Q` is none",
            ),
            (
                r#"{"Effect": "Deny", "Principal": "*", "Action": "Update:*", "Resource": "*",
                    "Condition": {"Bool": {"ResourceType": "x"}}}"#,
                "expected StringEquals or StringLike",
            ),
            ("7", "[#1]: `7` is no object"),
        ] {
            let error = of(statement);
            assert!(error.contains(part), "{error}");
        }
        for (text, part) in [("{", "no JSON"), ("[]", "expected an object")] {
            let error = StackPolicy::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let long = " ".repeat(LONGEST + 1);
        assert!(StackPolicy::parse(&long).unwrap_err().to_string().contains("at most 16384"));
    }

    #[test]
    fn a_pattern_with_many_stars_takes_no_time() {
        assert!(!like(&"*a".repeat(500), &"a".repeat(400)));
        assert!(like("LogicalResourceId/*b?d", "LogicalResourceId/abcabcd"));
    }
}
