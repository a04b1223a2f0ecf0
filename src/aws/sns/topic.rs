//! SNS topics.

use iotstack_core::{Arn, Construct, Expr, Handle, Name, Scope, Text, Value};

use super::{CfnSubscription, CfnTopic, CfnTopicPolicy};
use crate::iam::{self, Condition, Principal, Service, Statement};

/// A topic that takes messages over TLS only.
#[derive(Debug, Clone, Default)]
pub struct Topic {
    /// The name; CloudFormation makes one where none is given.
    pub topic_name: Value<String>,
    /// What mails call the sender.
    pub display_name: Value<String>,
}

impl Construct for Topic {
    type Ref = TopicRef;

    fn build(self, scope: &Scope) -> TopicRef {
        let topic = CfnTopic::new().topic_name(self.topic_name).display_name(self.display_name);
        let topic = scope.resource("Resource", topic);
        let tls_only = Statement {
            sid: "TlsOnly".into(),
            principals: vec![Principal::Everybody],
            conditions: vec![Condition::new("Bool", "aws:SecureTransport", "false")],
            ..Statement::deny(["sns:Publish"], [topic.reference()])
        };
        let policy =
            CfnTopicPolicy::new(iam::document([tls_only]), Expr::list([topic.reference()]));
        let policy = scope.child("Policy").resource("Resource", policy);
        TopicRef { topic, policy }
    }
}

/// What a [`Topic`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct TopicRef {
    topic: Handle<CfnTopic>,
    policy: Handle<CfnTopicPolicy>,
}

impl TopicRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<Topic> {
        Arn::from_expr(self.topic.reference())
    }

    /// The name.
    pub fn name(&self) -> Name<Topic> {
        Name::from_expr(self.topic.attribute(CfnTopic::TOPIC_NAME))
    }

    /// Sends what is published to a mail address, whose owner must agree by a link in
    /// the first mail.
    pub fn subscribe_email(&self, id: impl Into<Text>, address: impl Into<String>) {
        let subscription =
            CfnSubscription::new("email", self.topic.reference()).endpoint(address.into());
        self.topic.scope().resource(id, subscription);
    }

    /// Lets an AWS service publish. Give conditions that keep it from publishing on
    /// behalf of others, where the service supports them.
    pub fn allow_service(&self, service: Service, conditions: Vec<Condition>) {
        let statement = Statement {
            principals: vec![service.into()],
            conditions,
            ..Statement::allow(["sns:Publish"], [self.topic.reference()])
        };
        self.policy.edit(|policy| iam::add_statement(policy.properties_mut(), statement));
    }
}
