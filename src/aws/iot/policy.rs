//! IoT policies: what a connected device may do.
//!
//! Their resources are clients, topics and topic filters, and their variables
//! (`${iot:Connection.Thing.ThingName}`) are filled in by the broker. In a policy, `*`
//! crosses levels of a topic, and `+` and `#` are plain characters.

use iotstack_core::{Arn, Construct, Expr, Name, Pseudo, Scope, Value, object, text};

use super::CfnPolicy;
use crate::iam::Effect;

/// An IoT policy, attached to certificates or thing groups outside the template.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The name: 1 to 128 of `a-z A-Z 0-9 + = , . @ _ -`.
    pub policy_name: Value<String>,
    /// What it allows and denies; at most 2,048 characters without white space in all.
    pub statements: Vec<PolicyStatement>,
}

/// One statement of an IoT policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyStatement {
    /// Whether it allows or denies.
    pub effect: Effect,
    /// Actions such as `iot:Connect`.
    pub actions: Vec<&'static str>,
    /// Resources without their ARN: `client/…`, `topic/…`, `topicfilter/…`.
    pub resources: Vec<String>,
    /// Whether the certificate must be attached to the thing whose name is the client id.
    pub attached_thing_only: bool,
}

impl PolicyStatement {
    /// Lets a device connect under the name of the thing its certificate is attached to.
    pub fn connect_as_thing() -> Self {
        PolicyStatement {
            effect: Effect::Allow,
            actions: vec!["iot:Connect"],
            resources: vec![format!("client/{THING_NAME}")],
            attached_thing_only: true,
        }
    }

    /// Lets a device publish to topics.
    pub fn publish(topics: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::on("iot:Publish", "topic", topics)
    }

    /// Lets a device subscribe to topic filters; it needs [`Self::receive`] besides.
    pub fn subscribe(filters: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::on("iot:Subscribe", "topicfilter", filters)
    }

    /// Lets a device receive what it subscribed to.
    pub fn receive(topics: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::on("iot:Receive", "topic", topics)
    }

    fn on(
        action: &'static str,
        kind: &str,
        topics: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        PolicyStatement {
            effect: Effect::Allow,
            actions: vec![action],
            resources: topics.into_iter().map(|topic| format!("{kind}/{}", topic.into())).collect(),
            attached_thing_only: false,
        }
    }
}

impl From<PolicyStatement> for Expr {
    fn from(statement: PolicyStatement) -> Expr {
        let resources = statement.resources.into_iter().map(|resource| {
            text!(
                "arn:{}:iot:{}:{}:{}",
                Pseudo::Partition,
                Pseudo::Region,
                Pseudo::AccountId,
                resource
            )
        });
        let condition = match statement.attached_thing_only {
            true => object! { "Bool": object! { "iot:Connection.Thing.IsAttached": "true" } },
            false => Expr::Null,
        };
        object! {
            "Effect": match statement.effect { Effect::Allow => "Allow", Effect::Deny => "Deny" },
            "Action": crate::iam::one_or_many(statement.actions),
            "Resource": crate::iam::one_or_many(resources.collect()),
            "Condition": condition,
        }
    }
}

impl Construct for Policy {
    type Ref = PolicyRef;

    fn build(self, scope: &Scope) -> PolicyRef {
        let document = object! { "Version": "2012-10-17", "Statement": self.statements };
        let policy =
            scope.resource("Resource", CfnPolicy::new(document).policy_name(self.policy_name));
        PolicyRef { arn: policy.attribute(CfnPolicy::ARN), name: policy.reference() }
    }
}

/// What a [`Policy`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct PolicyRef {
    arn: Expr,
    name: Expr,
}

impl PolicyRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<Policy> {
        Arn::from_expr(self.arn.clone())
    }

    /// The name.
    pub fn name(&self) -> Name<Policy> {
        Name::from_expr(self.name.clone())
    }
}

/// The policy variable for the name of the thing that is connected.
pub const THING_NAME: &str = "${iot:Connection.Thing.ThingName}";
