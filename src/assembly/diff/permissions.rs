//! What is permitted in one template and not in the other.
//!
//! Collects the statements of every policy in both templates: trust and inline
//! policies of IAM, policies of buckets, queues, topics, keys and of AWS IoT,
//! permissions of Lambda functions; managed policies that are attached; network rules.
//! A policy document is known by its form, so types that nobody listed here are seen
//! as well.

use serde::Serialize;
use serde_json::Value;

use super::statement::{Effect, Statement, words};
use super::values::describe_value;
use crate::intrinsic::Function;
use crate::{Resource, Template};

/// What becomes permitted and what stops being so.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PermissionDiff {
    /// Statements that are new.
    pub added: Vec<Statement>,
    /// Statements that are gone.
    pub removed: Vec<Statement>,
    /// Managed policies and network rules that are new.
    pub attached: Vec<Attachment>,
    /// Managed policies and network rules that are gone.
    pub detached: Vec<Attachment>,
    /// Whether somebody may do more than before.
    pub broadening: bool,
}

impl PermissionDiff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.attached.is_empty()
            && self.detached.is_empty()
    }

    /// Whether somebody may do more than before.
    pub fn is_broadening(&self) -> bool {
        self.broadening
    }
}

/// A managed policy on an identity, or a network rule on a security group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// The logical id of the resource that says so.
    pub logical_id: String,
    /// What is attached: `managed policy`, `ingress` or `egress`.
    pub kind: &'static str,
    /// To whom.
    pub target: String,
    /// The policy's ARN, or the rule.
    pub what: String,
}

/// Compares the permissions of two templates.
pub(super) fn between(old: &Template, new: &Template) -> PermissionDiff {
    let (old, new) = (Permissions::of(old), Permissions::of(new));
    let added = missing_statements(&new.statements, &old.statements);
    let removed = missing_statements(&old.statements, &new.statements);
    let attached = missing_attachments(&new.attachments, &old.attachments);
    let detached = missing_attachments(&old.attachments, &new.attachments);
    // Narrowing a statement removes one and adds one. The added one permits nothing
    // new if an old one said as much; the same with what was forbidden.
    let says = |among: &[Statement], statement: &Statement| {
        among.iter().any(|other| other.covers(statement))
    };
    let broadening = !attached.is_empty()
        || added.iter().any(|s| s.effect == Effect::Allow && !says(&old.statements, s))
        || removed.iter().any(|s| s.effect == Effect::Deny && !says(&new.statements, s));
    PermissionDiff { added, removed, attached, detached, broadening }
}

#[derive(Default)]
struct Permissions {
    statements: Vec<Statement>,
    attachments: Vec<Attachment>,
}

impl Permissions {
    fn of(template: &Template) -> Self {
        let mut found = Permissions::default();
        for (id, resource) in &template.resources {
            match resource.kind.as_str() {
                "AWS::Lambda::Permission" => found.lambda_permission(id, resource),
                "AWS::EC2::SecurityGroup"
                | "AWS::EC2::SecurityGroupIngress"
                | "AWS::EC2::SecurityGroupEgress" => found.network_rules(id, resource),
                _ => found.policies(id, resource),
            }
        }
        found
    }

    /// Finds the policy documents and managed policies of a resource.
    fn policies(&mut self, id: &str, resource: &Resource) {
        let (principals, resources) = defaults(id, resource);
        for (name, value) in &resource.properties {
            match name.as_str() {
                // A role's trust policy says who may become it, and names no resource.
                "AssumeRolePolicyDocument" => self.documents(id, value, &[], &resources),
                "ManagedPolicyArns" => {
                    let target = format!("${{{id}}}");
                    for arn in words(value, "") {
                        self.attachments.push(Attachment {
                            logical_id: id.to_owned(),
                            kind: "managed policy",
                            target: target.clone(),
                            what: arn,
                        });
                    }
                }
                _ => self.documents(id, value, &principals, &resources),
            }
        }
    }

    /// Finds policy documents at any depth of a value, also as text.
    fn documents(&mut self, id: &str, value: &Value, principals: &[String], resources: &[String]) {
        match value {
            Value::String(text) => {
                if text.contains("\"Statement\"")
                    && let Ok(inner) = serde_json::from_str::<Value>(text)
                {
                    self.documents(id, &inner, principals, resources);
                }
            }
            Value::Array(items) => {
                items.iter().for_each(|item| self.documents(id, item, principals, resources));
            }
            Value::Object(map) => match map.get("Statement") {
                Some(statements) => self.statements(id, statements, principals, resources),
                None => {
                    map.values().for_each(|item| self.documents(id, item, principals, resources))
                }
            },
            _ => {}
        }
    }

    /// Reads one statement, a list of them, or the branches of a condition.
    fn statements(&mut self, id: &str, value: &Value, principals: &[String], resources: &[String]) {
        match (value, Function::of(value)) {
            (Value::Array(items), _) => {
                items.iter().for_each(|item| self.statements(id, item, principals, resources));
            }
            (_, Some(Function { name: "Fn::If", argument: Value::Array(parts) })) => {
                for branch in parts.iter().skip(1) {
                    self.statements(id, branch, principals, resources);
                }
            }
            (_, Some(_)) => {}
            _ => self.statements.extend(Statement::read(value, id, principals, resources)),
        }
    }

    fn lambda_permission(&mut self, id: &str, resource: &Resource) {
        let property = |name: &str| resource.properties.get(name);
        let principal = property("Principal").map(describe_value).unwrap_or_default();
        let kind = if principal.contains(".amazonaws.com") { "Service" } else { "AWS" };
        let condition: serde_json::Map<String, Value> =
            ["SourceArn", "SourceAccount", "PrincipalOrgID", "EventSourceToken"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), property(name)?.clone())))
                .collect();
        self.statements.push(Statement {
            logical_id: id.to_owned(),
            effect: Effect::Allow,
            principals: vec![format!("{kind}:{principal}")],
            actions: property("Action").map(|value| words(value, "")).unwrap_or_default(),
            resources: property("FunctionName").map(|value| words(value, "")).unwrap_or_default(),
            condition: (!condition.is_empty()).then_some(Value::Object(condition)),
        });
    }

    fn network_rules(&mut self, id: &str, resource: &Resource) {
        let own = format!("${{{id}}}");
        let mut add = |kind, target: String, rule: &Value| {
            let what = describe_rule(rule);
            self.attachments.push(Attachment { logical_id: id.to_owned(), kind, target, what });
        };
        let all = Value::Object(resource.properties.clone());
        let group = resource.properties.get("GroupId").map_or(own.clone(), describe_value);
        match resource.kind.as_str() {
            "AWS::EC2::SecurityGroupIngress" => add("ingress", group, &all),
            "AWS::EC2::SecurityGroupEgress" => add("egress", group, &all),
            _ => {
                for (kind, name) in
                    [("ingress", "SecurityGroupIngress"), ("egress", "SecurityGroupEgress")]
                {
                    let rules = resource.properties.get(name).and_then(Value::as_array);
                    rules.into_iter().flatten().for_each(|rule| add(kind, own.clone(), rule));
                }
            }
        }
    }
}

/// Who a policy without principals is for, and what one without resources is about.
fn defaults(id: &str, resource: &Resource) -> (Vec<String>, Vec<String>) {
    let own = format!("${{{id}}}");
    let of = |name: &str| resource.properties.get(name).map(|value| words(value, ""));
    match resource.kind.as_str() {
        "AWS::IAM::Role" => (vec![own], vec![format!("${{{id}.Arn}}")]),
        "AWS::IAM::User" | "AWS::IAM::Group" | "AWS::IoT::Policy" => (vec![own], Vec::new()),
        "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" => {
            let identities = ["Roles", "Users", "Groups"].into_iter().filter_map(of).flatten();
            let identities: Vec<String> = identities.collect();
            (if identities.is_empty() { vec![own] } else { identities }, Vec::new())
        }
        "AWS::IAM::RolePolicy" => (of("RoleName").unwrap_or_default(), Vec::new()),
        "AWS::IAM::UserPolicy" => (of("UserName").unwrap_or_default(), Vec::new()),
        "AWS::IAM::GroupPolicy" => (of("GroupName").unwrap_or_default(), Vec::new()),
        _ => (Vec::new(), vec![own]),
    }
}

/// A network rule in one line, without its description.
fn describe_rule(rule: &Value) -> String {
    let Some(map) = rule.as_object() else { return describe_value(rule) };
    let mut parts: Vec<String> = map
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "Description" | "GroupId" | "Tags"))
        .map(|(name, value)| format!("{name} {}", describe_value(value)))
        .collect();
    parts.sort();
    parts.join(", ")
}

/// The statements of the first list that the second does not have.
fn missing_statements(here: &[Statement], there: &[Statement]) -> Vec<Statement> {
    let known = |statement: &&Statement| !there.iter().any(|s| s.says_the_same(statement));
    here.iter().filter(known).cloned().collect()
}

/// The attachments of the first list that the second does not have, wherever said.
fn missing_attachments(here: &[Attachment], there: &[Attachment]) -> Vec<Attachment> {
    let same = |a: &Attachment, b: &Attachment| {
        (a.kind, &a.target, &a.what) == (b.kind, &b.target, &b.what)
    };
    here.iter().filter(|a| !there.iter().any(|b| same(a, b))).cloned().collect()
}
