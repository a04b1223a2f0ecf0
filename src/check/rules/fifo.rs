//! FIFO queues and topics: their names, and settings that only they have.
//!
//! AWS says these things only when the resource is made. What a function decides is left
//! alone.

use serde_json::Value;

use crate::value::{Given, branches, given, is_true};
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Fifo;

impl Rule for Fifo {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&FIFO_NAME, &FIFO_SETTING]
    }

    fn types(&self) -> Types {
        Types::Only(&["AWS::SQS::Queue", "AWS::SNS::Topic"])
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        _: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let is_queue = resource.resource.kind == "AWS::SQS::Queue";
        let (switch, name) =
            if is_queue { ("FifoQueue", "QueueName") } else { ("FifoTopic", "TopicName") };
        let is_fifo = match resource.property(switch) {
            None => false,
            Some(value @ (Value::Bool(_) | Value::String(_))) => is_true(value),
            // A function decides.
            Some(_) => return,
        };
        if let Some(value) = resource.property(name) {
            branches(value, &resource.properties.key(name), &mut |value, trail| {
                let Some(text) = value.as_str() else { return };
                let has_suffix = text.ends_with(".fifo");
                if has_suffix && !is_fifo {
                    findings.advise(
                        &FIFO_NAME,
                        trail,
                        format!("name `{text}` ends with `.fifo`, but `{switch}` is not true"),
                        format!("set `{switch}`, or choose another name"),
                    );
                } else if is_fifo && !has_suffix {
                    findings.advise(
                        &FIFO_NAME,
                        trail,
                        format!("name `{text}` has to end with `.fifo`, as `{switch}` is true"),
                        format!("for example `{text}.fifo`"),
                    );
                }
            });
        }
        if is_fifo {
            return;
        }
        for setting in ONLY_FIFO {
            if given(&resource.resource.properties, setting) == Given::Yes {
                let value = resource.property(setting);
                let is_off = value.is_some_and(|value| !is_true(value) && !value.is_object());
                if *setting == "ContentBasedDeduplication" && is_off {
                    continue;
                }
                findings.add(
                    &FIFO_SETTING,
                    &resource.properties.key(setting),
                    format!("`{setting}` is for FIFO only, and `{switch}` is not true"),
                );
            }
        }
    }
}

const ONLY_FIFO: &[&str] = &[
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoThroughputLimit",
    "FifoThroughputScope",
];

static FIFO_NAME: Code = Code::error(
    "fifo-name",
    "The names of FIFO queues and topics end with `.fifo`, and no other names do.",
);

static FIFO_SETTING: Code = Code::error(
    "fifo-setting",
    "Deduplication and throughput per message group exist for FIFO queues and topics only. AWS \
     refuses these settings on others.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::json;

    #[test]
    fn accepts_both_kinds_of_queues() {
        clean(&resource("AWS::SQS::Queue", json!({"QueueName": "a"})));
        clean(&resource(
            "AWS::SQS::Queue",
            json!({"QueueName": "a.fifo", "FifoQueue": true, "ContentBasedDeduplication": true}),
        ));
        clean(&resource(
            "AWS::SNS::Topic",
            json!({"TopicName": {"Fn::Sub": "x"}, "FifoTopic": "true"}),
        ));
    }

    #[test]
    fn finds_names_that_do_not_fit() {
        has_codes(&resource("AWS::SQS::Queue", json!({"QueueName": "a.fifo"})), &["fifo-name"]);
        assert_eq!(
            only(&resource("AWS::SQS::Queue", json!({"QueueName": "a", "FifoQueue": true}))),
            "fifo-name Resources/A/Properties/QueueName: name `a` has to end with `.fifo`, \
             as `FifoQueue` is true"
        );
    }

    #[test]
    fn finds_settings_of_fifo_queues_on_others() {
        let found = resource("AWS::SQS::Queue", json!({"ContentBasedDeduplication": true}));
        has_codes(&found, &["fifo-setting"]);
        clean(&resource("AWS::SQS::Queue", json!({"ContentBasedDeduplication": false})));
    }
}
