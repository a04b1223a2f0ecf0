//! Buses and rules.

use iotstack_aws::events::{EventBus, Rule, Target};
use iotstack_aws::iam::{Role, Service};
use iotstack_aws::sns::Topic;
use iotstack_core::{Value, object};

use crate::template::{check, check_stack};

#[test]
fn event_bus_with_defaults() {
    check(EventBus { event_bus_name: "garden".into() }, "event_bus_defaults");
}

#[test]
fn event_bus_with_everything() {
    check_stack("event_bus_everything", |stack| {
        let bus = stack.add("It", EventBus { event_bus_name: "garden".into() });
        let reporter = stack.add("Reporter", Role::new(Service::LAMBDA));
        let _ = bus.grant_put(&reporter);
        stack.output("Name", bus.name());
        stack.output("Arn", bus.arn());
    });
}

#[test]
fn rule_with_defaults() {
    check_stack("rule_defaults", |stack| {
        let bus = stack.add("Bus", EventBus { event_bus_name: "garden".into() });
        let rule = Rule {
            event_bus: bus.name(),
            description: Value::Unset,
            pattern: object! { "source": ["garden"] },
            targets: Vec::new(),
        };
        stack.add("It", rule);
    });
}

#[test]
fn rule_with_everything() {
    check_stack("rule_everything", |stack| {
        let bus = stack.add("Bus", EventBus { event_bus_name: "garden".into() });
        let topic = stack.add("Topic", Topic::default());
        let rule = Rule {
            event_bus: bus.name(),
            description: "Dry beds".into(),
            pattern: object! { "source": ["garden"], "detail": object! { "dry": [true] } },
            targets: vec![Target::Topic {
                topic,
                inputs: vec![("bed", "$.detail.bed"), ("time", "$.time")],
                lines: vec!["Bed <bed> is \"dry\".".into(), "Since <time>.".into()],
            }],
        };
        let rule = stack.add("It", rule);
        stack.output("Arn", rule.arn());
    });
}
