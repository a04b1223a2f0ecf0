//! Policy documents: statements, principals and conditions.
//!
//! One form serves every policy that IAM evaluates: on roles, on buckets, topics, keys
//! and queues. IoT policies have other actions and variables and a form of their own in
//! [`crate::iot`].

use iotstack_core::{Expr, Literal, Props, Pseudo, Text, Value, object};

/// One statement of a policy.
///
/// ```
/// use iotstack_aws::iam::{Condition, Statement};
///
/// let read = Statement {
///     conditions: vec![Condition::source_account()],
///     ..Statement::allow(["s3:GetObject"], ["arn:aws:s3:::firmware/*"])
/// };
/// # let _ = read;
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statement {
    /// The statement's name in its policy.
    pub sid: Value<String>,
    /// Whether it allows or denies.
    pub effect: Effect,
    /// The actions, such as `iot:CreateJob`.
    pub actions: Vec<String>,
    /// The resources, by ARN. Empty in trust policies.
    pub resources: Vec<Expr>,
    /// Who it is about. Empty in policies of a role.
    pub principals: Vec<Principal>,
    /// What must hold besides.
    pub conditions: Vec<Condition>,
}

impl Statement {
    /// Allows actions on resources.
    pub fn allow<A: Into<String>, R: Into<Expr>>(
        actions: impl IntoIterator<Item = A>,
        resources: impl IntoIterator<Item = R>,
    ) -> Self {
        Statement {
            actions: actions.into_iter().map(Into::into).collect(),
            resources: resources.into_iter().map(Into::into).collect(),
            ..Statement::default()
        }
    }

    /// Denies actions on resources.
    pub fn deny<A: Into<String>, R: Into<Expr>>(
        actions: impl IntoIterator<Item = A>,
        resources: impl IntoIterator<Item = R>,
    ) -> Self {
        Statement { effect: Effect::Deny, ..Statement::allow(actions, resources) }
    }
}

impl Literal for Statement {
    fn into_expr(self) -> Expr {
        self.into()
    }
}

impl From<Statement> for Expr {
    fn from(statement: Statement) -> Expr {
        let effect = match statement.effect {
            Effect::Allow => "Allow",
            Effect::Deny => "Deny",
        };
        object! {
            "Sid": statement.sid,
            "Effect": effect,
            "Principal": principals(statement.principals),
            "Action": one_or_many(statement.actions),
            "Resource": one_or_many(statement.resources),
            "Condition": conditions(statement.conditions),
        }
    }
}

/// Whether a statement allows or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// It allows.
    #[default]
    Allow,
    /// It denies, whatever else allows.
    Deny,
}

/// Who a statement is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Principal {
    /// An AWS service.
    Service(Service),
    /// A role, user or account by ARN.
    Aws(Expr),
    /// Everybody; only sensible with conditions or in a `Deny`.
    Everybody,
}

impl From<Service> for Principal {
    fn from(service: Service) -> Self {
        Principal::Service(service)
    }
}

/// An AWS service as a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service(pub &'static str);

impl Service {
    /// CloudWatch alarms.
    pub const CLOUDWATCH: Service = Service("cloudwatch.amazonaws.com");
    /// EventBridge.
    pub const EVENTS: Service = Service("events.amazonaws.com");
    /// AWS IoT: rules, jobs, provisioning.
    pub const IOT: Service = Service("iot.amazonaws.com");
    /// Lambda.
    pub const LAMBDA: Service = Service("lambda.amazonaws.com");
    /// SNS.
    pub const SNS: Service = Service("sns.amazonaws.com");
}

/// What must hold besides: an operator, a key and the values it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The operator, such as `StringEquals`.
    pub operator: &'static str,
    /// The key, such as `aws:SourceAccount`.
    pub key: &'static str,
    /// One value or a list.
    pub value: Expr,
}

impl Condition {
    /// A comparison.
    pub fn new(operator: &'static str, key: &'static str, value: impl Into<Expr>) -> Self {
        Condition { operator, key, value: value.into() }
    }

    /// Only on behalf of the stack's own account: without it another account could make
    /// the service use the permission for them (the confused deputy).
    pub fn source_account() -> Self {
        Condition::new("StringEquals", "aws:SourceAccount", Pseudo::AccountId)
    }

    /// Only on behalf of resources with an ARN like this.
    pub fn source_arn(pattern: impl Into<Expr>) -> Self {
        Condition::new("ArnLike", "aws:SourceArn", pattern)
    }
}

/// A policy document of these statements, in the order given; one that is there already
/// is not repeated.
pub fn document(statements: impl IntoIterator<Item = Statement>) -> Expr {
    let mut unique: Vec<Statement> = Vec::new();
    for statement in statements {
        if !unique.contains(&statement) {
            unique.push(statement);
        }
    }
    object! { "Version": "2012-10-17", "Statement": unique }
}

/// Adds a statement to the `PolicyDocument` of a resource unless it is there already.
pub(crate) fn add_statement(properties: &mut Props, statement: Statement) {
    let statement = Expr::from(statement);
    if let Some(Expr::Object(document)) = properties.get_mut("PolicyDocument")
        && let Some((_, Expr::List(statements))) =
            document.iter_mut().find(|(key, _)| key == "Statement")
        && !statements.contains(&statement)
    {
        statements.push(statement);
    }
}

/// One value stands alone, several stand in a list, none is left out: the form that
/// policies usually have, so that diffs against existing ones stay small.
pub(crate) fn one_or_many<T: Into<Expr>>(values: Vec<T>) -> Expr {
    let mut values: Vec<Expr> = values.into_iter().map(Into::into).collect();
    match values.len() {
        0 => Expr::Null,
        1 => values.remove(0),
        _ => Expr::List(values),
    }
}

fn principals(principals: Vec<Principal>) -> Expr {
    let mut kinds: Vec<(Text, Vec<Expr>)> = Vec::new();
    for principal in principals {
        let (kind, value) = match principal {
            Principal::Everybody => return "*".into(),
            Principal::Service(service) => ("Service", service.0.into()),
            Principal::Aws(arn) => ("AWS", arn),
        };
        match kinds.iter_mut().find(|(known, _)| known == kind) {
            Some((_, values)) => values.push(value),
            None => kinds.push((kind.into(), vec![value])),
        }
    }
    if kinds.is_empty() {
        return Expr::Null;
    }
    Expr::Object(kinds.into_iter().map(|(kind, values)| (kind, one_or_many(values))).collect())
}

/// Conditions by operator, then by key, as policies write them.
fn conditions(conditions: Vec<Condition>) -> Expr {
    let mut operators: Vec<(Text, Vec<(Text, Expr)>)> = Vec::new();
    for Condition { operator, key, value } in conditions {
        match operators.iter_mut().find(|(known, _)| known == operator) {
            Some((_, keys)) => keys.push((key.into(), value)),
            None => operators.push((operator.into(), vec![(key.into(), value)])),
        }
    }
    if operators.is_empty() {
        return Expr::Null;
    }
    Expr::Object(operators.into_iter().map(|(name, keys)| (name, Expr::Object(keys))).collect())
}
