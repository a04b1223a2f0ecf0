//! EventBridge buses and rules.

use iotstack_core::{Arn, Construct, Expr, Handle, Name, Scope, Value, object};

use super::{CfnEventBus, CfnRule};
use crate::empty::unless_empty;
use crate::iam::{Grant, Grantee, Service, Statement};
use crate::sns::TopicRef;

/// A bus of one's own.
#[derive(Debug, Clone)]
pub struct EventBus {
    /// The name; CloudFormation makes none for buses.
    pub event_bus_name: String,
}

impl Construct for EventBus {
    type Ref = EventBusRef;

    fn build(self, scope: &Scope) -> EventBusRef {
        let bus = scope.resource("Resource", CfnEventBus::new(self.event_bus_name));
        EventBusRef { bus }
    }
}

/// What an [`EventBus`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct EventBusRef {
    bus: Handle<CfnEventBus>,
}

impl EventBusRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<EventBus> {
        Arn::from_expr(self.bus.attribute(CfnEventBus::ARN))
    }

    /// The name.
    pub fn name(&self) -> Name<EventBus> {
        Name::from_expr(self.bus.reference())
    }

    /// Lets `to` put events on the bus.
    pub fn grant_put(&self, to: &impl Grantee) -> Grant {
        to.allow(Statement::allow(["events:PutEvents"], [Expr::from(self.arn())]))
    }
}

/// A rule that hands events of a bus to targets.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The bus it listens to.
    pub event_bus: Name<EventBus>,
    /// What it is for.
    pub description: Value<String>,
    /// What an event must look like.
    pub pattern: Expr,
    /// Where matching events go, at most five.
    pub targets: Vec<Target>,
}

/// Where a rule sends events.
#[derive(Debug, Clone)]
pub enum Target {
    /// To a topic, as text made of parts of the event.
    Topic {
        /// The topic.
        topic: TopicRef,
        /// Names for parts of the event, by JSON path.
        inputs: Vec<(&'static str, &'static str)>,
        /// Lines in which `<name>` stands for a part.
        lines: Vec<String>,
    },
}

impl Construct for Rule {
    type Ref = RuleRef;

    fn build(self, scope: &Scope) -> RuleRef {
        let topics: Vec<TopicRef> =
            self.targets.iter().map(|Target::Topic { topic, .. }| topic.clone()).collect();
        let targets = self.targets.into_iter().enumerate().map(|(index, target)| {
            let Target::Topic { topic, inputs, lines } = target;
            // The template is JSON text: a line in quotes becomes a line of the message.
            let template: Vec<String> =
                lines.into_iter().map(|line| serde_json::Value::String(line).to_string()).collect();
            object! {
                "Id": format!("Target{index}"),
                "Arn": topic.arn(),
                "InputTransformer": object! {
                    "InputPathsMap": Expr::object(
                        inputs.into_iter().map(|(name, path)| (name, Expr::from(path))),
                    ),
                    "InputTemplate": template.join("\n"),
                },
            }
        });
        let rule = CfnRule::new()
            .event_bus_name(self.event_bus)
            .description(self.description)
            .event_pattern(self.pattern)
            .state(Expr::from("ENABLED"))
            .targets(unless_empty(Expr::list(targets)));
        let rule = scope.resource("Resource", rule);
        for topic in topics {
            // EventBridge does not support conditions in topic policies: with one, messages
            // would silently not arrive.
            topic.allow_service(Service::EVENTS, Vec::new());
        }
        RuleRef { rule }
    }
}

/// What a [`Rule`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct RuleRef {
    rule: Handle<CfnRule>,
}

impl RuleRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<Rule> {
        Arn::from_expr(self.rule.attribute(CfnRule::ARN))
    }
}
