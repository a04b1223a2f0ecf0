//! Topic rules: SQL over messages, and where results go.

use iotstack_core::{Arn, Construct, Expr, Handle, Name, Pseudo, Scope, Value, object, text};

use super::CfnTopicRule;
use crate::iam::{Condition, Grantee, Role, RoleRef, Service, Statement};
use crate::lambda::FunctionRef;
use crate::logs::LogGroupRef;

/// A topic rule.
#[derive(Debug, Clone)]
pub struct TopicRule {
    /// The name: 1 to 128 of `a-z A-Z 0-9 _`. It must be given, as permissions name it.
    pub rule_name: String,
    /// What it is for.
    pub description: Value<String>,
    /// The SQL, always of version 2016-03-23.
    pub sql: Expr,
    /// What is done with each result; at most ten.
    pub actions: Vec<Action>,
    /// What is done when an action fails.
    pub error_action: Option<ErrorAction>,
    /// Keeps the rule without running it.
    pub disabled: bool,
}

/// What a rule does with a result.
#[derive(Debug, Clone)]
pub enum Action {
    /// Calls a function, without waiting for it.
    Lambda(FunctionRef),
    /// Counts in CloudWatch.
    Metric {
        /// The namespace, which must not begin with `AWS/`.
        namespace: String,
        /// The metric's name; may hold `${expressions}` over the message.
        name: String,
        /// The value; may hold `${expressions}`.
        value: String,
        /// The unit, such as `Count`.
        unit: &'static str,
    },
    /// Publishes to another topic.
    Republish {
        /// The topic; may hold `${expressions}`. A reserved topic begins with `$$`.
        topic: String,
        /// 0 or 1.
        qos: u8,
    },
}

/// What is done when an action fails.
#[derive(Debug, Clone)]
pub enum ErrorAction {
    /// Writes the failure, with the message it was about, to a log group.
    Log(LogGroupRef),
}

impl TopicRule {
    /// A rule that does one thing.
    pub fn new(rule_name: impl Into<String>, sql: impl Into<Expr>, action: Action) -> Self {
        TopicRule {
            rule_name: rule_name.into(),
            description: Value::Unset,
            sql: sql.into(),
            actions: vec![action],
            error_action: None,
            disabled: false,
        }
    }
}

impl Construct for TopicRule {
    type Ref = TopicRuleRef;

    fn build(self, scope: &Scope) -> TopicRuleRef {
        let source = text!(
            "arn:{}:iot:{}:{}:rule/{}",
            Pseudo::Partition,
            Pseudo::Region,
            Pseudo::AccountId,
            self.rule_name.clone()
        );
        let mut acts_as = ActsAs { scope, source: source.clone(), role: None };
        let actions: Vec<Expr> =
            self.actions.iter().map(|action| action.render(&mut acts_as)).collect();
        let error_action = self.error_action.map(|ErrorAction::Log(group)| {
            let role = acts_as.role();
            let _ = group.grant_write(role);
            // The error action looks the group's streams up before it writes.
            let _ = role
                .allow(Statement::allow(["logs:DescribeLogStreams"], [Expr::from(group.arn())]));
            object! {
                "CloudwatchLogs": object! { "LogGroupName": group.name(), "RoleArn": role.arn() },
            }
        });
        let payload = object! {
            "AwsIotSqlVersion": "2016-03-23",
            "Sql": self.sql,
            "Description": self.description,
            "RuleDisabled": self.disabled,
            "Actions": actions,
            "ErrorAction": error_action.unwrap_or(Expr::Null),
        };
        let role = acts_as.role;
        let rule = scope.resource("Resource", CfnTopicRule::new(payload).rule_name(self.rule_name));
        if let Some(role) = role {
            rule.depends_on(role.scope());
        }
        for (index, action) in self.actions.iter().enumerate() {
            if let Action::Lambda(function) = action {
                let id = format!("AllowCall{index}");
                let permission = function.allow_service(scope, id, Service::IOT, source.clone());
                // The first message may come as soon as the rule is there.
                rule.depends_on(&permission);
            }
        }
        TopicRuleRef { rule }
    }
}

impl Action {
    fn render(&self, acts_as: &mut ActsAs<'_>) -> Expr {
        match self {
            Action::Lambda(function) => {
                object! { "Lambda": object! { "FunctionArn": function.arn() } }
            }
            Action::Metric { namespace, name, value, unit } => {
                let role = acts_as.role();
                let _ = role.allow(Statement {
                    conditions: vec![Condition::new(
                        "StringEquals",
                        "cloudwatch:namespace",
                        namespace.clone(),
                    )],
                    ..Statement::allow(["cloudwatch:PutMetricData"], ["*"])
                });
                object! {
                    "CloudwatchMetric": object! {
                        "MetricNamespace": namespace,
                        "MetricName": name,
                        "MetricValue": value,
                        "MetricUnit": *unit,
                        "RoleArn": role.arn(),
                    },
                }
            }
            Action::Republish { topic, qos } => {
                let role = acts_as.role();
                // Expressions are known only when a message comes, so the permission
                // covers whatever stands in their place.
                let pattern = wildcard(
                    topic.strip_prefix('$').filter(|rest| rest.starts_with('$')).unwrap_or(topic),
                );
                let resource = text!(
                    "arn:{}:iot:{}:{}:topic/{}",
                    Pseudo::Partition,
                    Pseudo::Region,
                    Pseudo::AccountId,
                    pattern
                );
                let _ = role.allow(Statement::allow(["iot:Publish"], [resource]));
                object! {
                    "Republish": object! { "Topic": topic, "Qos": *qos, "RoleArn": role.arn() },
                }
            }
        }
    }
}

/// The role that a rule's actions act as, made when the first of them needs it.
struct ActsAs<'a> {
    scope: &'a Scope,
    source: Expr,
    role: Option<RoleRef>,
}

impl ActsAs<'_> {
    fn role(&mut self) -> &RoleRef {
        let ActsAs { scope, source, role } = self;
        role.get_or_insert_with(|| {
            let role = Role {
                trust_conditions: vec![
                    Condition::source_account(),
                    Condition::source_arn(source.clone()),
                ],
                ..Role::new(Service::IOT)
            };
            scope.add("Role", role)
        })
    }
}

/// The text with `*` in place of each `${expression}`.
fn wildcard(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        result.push_str(before);
        result.push('*');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    result + rest
}

/// What a [`TopicRule`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct TopicRuleRef {
    rule: Handle<CfnTopicRule>,
}

impl TopicRuleRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<TopicRule> {
        Arn::from_expr(self.rule.attribute(CfnTopicRule::ARN))
    }

    /// The name.
    pub fn name(&self) -> Name<TopicRule> {
        Name::from_expr(self.rule.reference())
    }

    /// The rule's resource, for dependencies.
    pub fn cfn(&self) -> &Handle<CfnTopicRule> {
        &self.rule
    }
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn expressions_become_wildcards() {
        assert_eq!(wildcard("alarms/${topic(2)}/high"), "alarms/*/high");
        assert_eq!(wildcard("$aws/things/${thing}/shadow"), "$aws/things/*/shadow");
    }
}
