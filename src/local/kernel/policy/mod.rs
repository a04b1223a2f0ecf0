//! Policy documents of identities, roles and resources: read, checked, and asked.
//!
//! A question is an action on a resource in a context. An explicit Deny wins
//! over every Allow, and what nobody allows is denied.
//!
//! Two things may be unknown here that AWS knows: the resource, where a caller
//! cannot name it (`*`), and condition keys of single services. What is unknown
//! holds in an Allow and does not hold in a Deny, so that a policy that is right
//! on AWS works here; it is never the other way round. Whoever knows all keys of
//! a request says so ([`Context::complete`]); then nothing is unknown.
//!
//! Policies of devices (AWS IoT) have rules of their own and live with the registry.

mod condition;
mod pattern;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use condition::{Context, in_network, moment};
pub use pattern::like;

use condition::{Condition, Truth};
use pattern::Pattern;

/// A policy document.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    allow: bool,
    principals: Option<Principals>,
    actions: Choice,
    resources: Option<Choice>,
    conditions: Vec<Condition>,
}

/// A list of patterns, or all that fit none of them.
#[derive(Debug, Clone)]
struct Choice {
    patterns: Vec<Pattern>,
    others: bool,
}

#[derive(Debug, Clone)]
struct Principals {
    /// Kind (`AWS`, `Service`, `Federated`, `*`) and name.
    list: Vec<(String, String)>,
    others: bool,
}

/// The members that a document may have.
pub const DOCUMENT: &[&str] = &["Version", "Id", "Statement"];

/// The members that a statement may have.
pub const STATEMENT: &[&str] = &[
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Kind and name of who asks, for policies of resources.
    pub principal: Option<(&'a str, &'a str)>,
    /// Such as `s3:GetObject`.
    pub action: &'a str,
    /// An ARN, or `*` if it is not known.
    pub resource: &'a str,
    /// What is known of the request.
    pub context: &'a Context,
}

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A statement allows it, and none denies it.
    Allow,
    /// A statement denies it.
    Deny,
    /// Neither.
    Silent,
}

impl Policy {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let policy = Self::parse_resource(text)?;
        if policy.statements.is_empty() {
            return Err("it has no statement".to_owned());
        }
        Ok(policy)
    }

    /// For policies of queues and topics, which may have no statement: then nobody
    /// is let in but the owner.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_resource(text: &str) -> Result<Self, String> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let Value::Object(document) = document else {
            return Err("it must be a JSON object".to_owned());
        };
        known_members(&document, DOCUMENT)?;
        if let Some(version) = document.get("Version")
            && version != "2012-10-17"
            && version != "2008-10-17"
        {
            return Err(format!("Version must be 2012-10-17 or 2008-10-17, not {version}"));
        }
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) => statements.as_slice(),
            Some(single @ Value::Object(_)) => std::slice::from_ref(single),
            _ => return Err("Statement must be a statement or a list of them".to_owned()),
        };
        let statements = statements.iter().map(Statement::parse).collect::<Result<_, _>>()?;
        Ok(Policy { statements })
    }

    /// For policies of identities: each statement names resources and nobody.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_identity(text: &str) -> Result<Self, String> {
        let policy = Self::parse(text)?;
        for statement in &policy.statements {
            if statement.principals.is_some() {
                return Err("a policy of an identity has no Principal".to_owned());
            }
            if statement.resources.is_none() {
                return Err("a statement needs Resource or NotResource".to_owned());
            }
        }
        Ok(policy)
    }

    /// For the trust policy of a role: each statement names somebody, and no resource.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_trust(text: &str) -> Result<Self, String> {
        let policy = Self::parse(text)?;
        for statement in &policy.statements {
            if statement.principals.is_none() {
                return Err("a trust policy needs a Principal".to_owned());
            }
            if statement.resources.is_some() {
                return Err("a trust policy has no Resource".to_owned());
            }
            let assumes = |pattern: &Pattern| {
                let text = pattern.text().to_ascii_lowercase();
                text == "*" || text.starts_with("sts:")
            };
            if !statement.actions.patterns.iter().all(assumes) {
                return Err("a trust policy holds actions of sts only".to_owned());
            }
        }
        Ok(policy)
    }

    /// A policy from tables: each pair of actions allowed on a resource.
    pub fn allowing(statements: &[(&[&str], &str)]) -> Self {
        let choice = |patterns: &[&str]| Choice {
            patterns: patterns.iter().map(|text| Pattern::new(text)).collect(),
            others: false,
        };
        let statement = |(actions, resource): &(&[&str], &str)| Statement {
            allow: true,
            principals: None,
            actions: choice(actions),
            resources: Some(choice(&[resource])),
            conditions: Vec::new(),
        };
        Policy { statements: statements.iter().map(statement).collect() }
    }

    /// What the document says.
    pub fn verdict(&self, question: &Question<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        let action = question.action.to_ascii_lowercase();
        for statement in &self.statements {
            if statement.applies(&action, question) {
                if !statement.allow {
                    return Verdict::Deny;
                }
                verdict = Verdict::Allow;
            }
        }
        verdict
    }
}

impl Verdict {
    /// What several policies say together.
    pub fn all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        let mut together = Verdict::Silent;
        for verdict in verdicts {
            match verdict {
                Verdict::Deny => return Verdict::Deny,
                Verdict::Allow => together = Verdict::Allow,
                Verdict::Silent => {}
            }
        }
        together
    }
}

impl Statement {
    fn parse(value: &Value) -> Result<Self, String> {
        let Value::Object(members) = value else {
            return Err(format!("a statement must be an object, not {value}"));
        };
        known_members(members, STATEMENT)?;
        let allow = match members.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err("Effect must be Allow or Deny".to_owned()),
        };
        let actions = Choice::parse(members, "Action", "NotAction")?
            .ok_or("a statement needs Action or NotAction")?;
        for action in &actions.patterns {
            let text = action.text();
            let named = text.split_once(':').is_some_and(|(service, name)| {
                !service.is_empty() && !name.is_empty() && !name.contains(':')
            });
            if text != "*" && !named {
                return Err(format!("action `{text}` must look like `service:Action`"));
            }
        }
        let resources = Choice::parse(members, "Resource", "NotResource")?;
        for resource in resources.iter().flat_map(|resources| &resources.patterns) {
            let text = resource.text();
            let is_arn = text.starts_with("arn:") && text.split(':').count() >= 6;
            if text != "*" && !is_arn && !text.starts_with("arn:*") {
                return Err(format!("resource `{text}` must be an ARN or `*`"));
            }
        }
        Ok(Statement {
            allow,
            principals: Principals::parse(members)?,
            actions,
            resources,
            conditions: Condition::parse_all(members.get("Condition"))?,
        })
    }

    /// Whether it is about the question, whose action comes in lower case.
    fn applies(&self, action: &str, question: &Question<'_>) -> bool {
        let Question { resource, context, .. } = *question;
        let names = |pattern: &Pattern| pattern.fits_lowercase(action);
        if self.actions.patterns.iter().any(names) == self.actions.others {
            return false;
        }
        if let (Some(principals), Some(asker)) = (&self.principals, question.principal)
            && !principals.hold(asker)
        {
            return false;
        }
        if let Some(resources) = &self.resources {
            let everything = resources.patterns.iter().any(|pattern| pattern.text() == "*");
            let applies = if resource == "*" {
                // Unknown: an Allow of anything may be meant, a Deny only of everything.
                self.allow || (everything && !resources.others)
            } else {
                let fits = |pattern: &Pattern| pattern.fits(resource, context);
                resources.patterns.iter().any(fits) != resources.others
            };
            if !applies {
                return false;
            }
        }
        self.conditions.iter().all(|condition| match condition.judge(context) {
            Truth::Holds => true,
            Truth::Fails => false,
            Truth::Unknown => self.allow,
        })
    }
}

impl Choice {
    fn parse(members: &Map<String, Value>, name: &str, not: &str) -> Result<Option<Self>, String> {
        let (value, others) = match (members.get(name), members.get(not)) {
            (Some(_), Some(_)) => return Err(format!("{name} and {not} exclude each other")),
            (Some(value), None) => (value, false),
            (None, Some(value)) => (value, true),
            (None, None) => return Ok(None),
        };
        let patterns: Vec<Pattern> =
            texts(value, name)?.iter().map(|text| Pattern::new(text)).collect();
        if patterns.is_empty() {
            return Err(format!("{name} must not be empty"));
        }
        Ok(Some(Choice { patterns, others }))
    }
}

impl Principals {
    fn parse(members: &Map<String, Value>) -> Result<Option<Self>, String> {
        let (value, others) = match (members.get("Principal"), members.get("NotPrincipal")) {
            (Some(value), None) => (value, false),
            (None, Some(value)) => (value, true),
            (None, None) => return Ok(None),
            _ => return Err("Principal and NotPrincipal exclude each other".to_owned()),
        };
        let mut list = Vec::new();
        match value {
            Value::String(text) if text == "*" => list.push(("*".to_owned(), "*".to_owned())),
            Value::Object(kinds) => {
                for (kind, names) in kinds {
                    if !["AWS", "Service", "Federated", "CanonicalUser"].contains(&kind.as_str()) {
                        return Err(format!("`{kind}` is no kind of principal"));
                    }
                    list.extend(texts(names, kind)?.into_iter().map(|name| (kind.clone(), name)));
                }
            }
            other => return Err(format!("Principal must be `*` or an object, not {other}")),
        }
        Ok(Some(Principals { list, others }))
    }

    fn hold(&self, (kind, name): (&str, &str)) -> bool {
        let account = name.split(':').nth(4).unwrap_or_default();
        let fits = |(known, wanted): &(String, String)| {
            // In a policy `*` and all of `AWS` mean the same: everybody.
            if known == "*" || (known == "AWS" && wanted == "*") {
                return true;
            }
            // An account stands for everybody in it.
            let root = wanted == account || wanted.ends_with(&format!("::{account}:root"));
            let whole = kind == "AWS" && !account.is_empty() && root;
            known == kind && (wanted == name || wanted == "*" || whole)
        };
        self.list.iter().any(fits) != self.others
    }
}

/// Refuses a member that is not among the known ones.
///
/// # Errors
/// Which member it is.
pub fn known_members(members: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("`{name}` is no member of a policy")),
        None => Ok(()),
    }
}

/// A text or a list of texts.
fn texts(value: &Value, name: &str) -> Result<Vec<String>, String> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(text.clone()),
                Value::Bool(flag) => Ok(flag.to_string()),
                Value::Number(number) => Ok(number.to_string()),
                other => Err(format!("{name} holds {other}, which is no text")),
            })
            .collect(),
        Value::Bool(flag) => Ok(vec![flag.to_string()]),
        Value::Number(number) => Ok(vec![number.to_string()]),
        other => Err(format!("{name} must be a text or a list of texts, not {other}")),
    }
}
