//! Topics.

use iotstack_aws::iam::{Condition, Service};
use iotstack_aws::sns::Topic;
use iotstack_core::{Pseudo, text};

use crate::template::{check, check_stack};

#[test]
fn topic_with_defaults() {
    check(Topic::default(), "topic_defaults");
}

#[test]
fn topic_with_everything() {
    check_stack("topic_everything", |stack| {
        let topic = Topic { topic_name: "garden-alarms".into(), display_name: "The garden".into() };
        let topic = stack.add("It", topic);
        topic.subscribe_email("Gardener", "gardener@example.com");
        let alarms = text!(
            "arn:{}:cloudwatch:{}:{}:alarm:*",
            Pseudo::Partition,
            Pseudo::Region,
            Pseudo::AccountId
        );
        topic.allow_service(
            Service::CLOUDWATCH,
            vec![Condition::source_account(), Condition::source_arn(alarms)],
        );
        topic.allow_service(Service::EVENTS, Vec::new());
        stack.output("Name", topic.name());
        stack.output("Arn", topic.arn());
    });
}
