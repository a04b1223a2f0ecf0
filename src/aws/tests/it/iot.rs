//! Things, policies, job templates and topic rules.

use std::collections::BTreeMap;

use iotstack_aws::iam::{Effect, Role, Service};
use iotstack_aws::iot::{
    Abort, Action, ErrorAction, ExponentialRate, FailureType, JobTemplate, Policy, PolicyStatement,
    PresignedUrls, Retry, Rollout, THING_NAME, Thing, ThingGroup, ThingType, TopicRule, thing_arns,
};
use iotstack_aws::lambda::{Code, Function, Runtime};
use iotstack_aws::logs::LogGroup;
use iotstack_core::{Duration, Pseudo, Value, default, object};

use crate::template::{check, check_stack};

fn facts<const N: usize>(facts: [(&str, &str); N]) -> BTreeMap<String, String> {
    facts.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn thing_with_defaults() {
    check(Thing::default(), "thing_defaults");
}

#[test]
fn thing_with_everything() {
    check_stack("thing_everything", |stack| {
        let attributes = facts([("bed", "roses"), ("model", "p1")]);
        let thing = stack.add("It", Thing { thing_name: "pump-1".into(), attributes });
        stack.output("Name", thing.name());
        stack.output("Arn", thing.arn());
        stack.output("Pumps", thing_arns("pump-"));
    });
}

#[test]
fn thing_type_with_defaults() {
    check(ThingType::default(), "thing_type_defaults");
}

#[test]
fn thing_type_with_everything() {
    check_stack("thing_type_everything", |stack| {
        let thing_type = ThingType {
            thing_type_name: "pump".into(),
            description: "Pumps of the garden".into(),
            searchable_attributes: vec!["bed".into(), "model".into()],
        };
        let thing_type = stack.add("It", thing_type);
        stack.output("Name", thing_type.name());
        stack.output("Arn", thing_type.arn());
    });
}

#[test]
fn thing_group_with_defaults() {
    let group = ThingGroup { thing_group_name: "pumps".into(), ..default() };
    check(group, "thing_group_defaults");
}

#[test]
fn thing_group_with_everything() {
    check_stack("thing_group_everything", |stack| {
        let garden = ThingGroup { thing_group_name: "garden".into(), ..default() };
        let garden = stack.add("Garden", garden);
        let group = ThingGroup {
            thing_group_name: "pumps".into(),
            description: "Pumps of the garden".into(),
            parent: Some(garden.name()),
            attributes: facts([("owner", "gardener")]),
        };
        let group = stack.add("It", group);
        stack.output("Name", group.name());
        stack.output("Arn", group.arn());
    });
}

#[test]
fn policy_with_defaults() {
    let statements = vec![PolicyStatement::connect_as_thing()];
    check(Policy { policy_name: Value::Unset, statements }, "policy_defaults");
}

#[test]
fn policy_with_everything() {
    check_stack("policy_everything", |stack| {
        let own = format!("garden/{THING_NAME}");
        let statements = vec![
            PolicyStatement::connect_as_thing(),
            PolicyStatement::publish([format!("{own}/moisture"), format!("{own}/errors")]),
            PolicyStatement::subscribe([format!("{own}/water")]),
            PolicyStatement::receive([format!("{own}/water")]),
            PolicyStatement { effect: Effect::Deny, ..PolicyStatement::publish(["garden/all"]) },
        ];
        let policy = stack.add("It", Policy { policy_name: "pump".into(), statements });
        stack.output("Name", policy.name());
        stack.output("Arn", policy.arn());
    });
}

#[test]
fn job_template_with_defaults() {
    let document = object! { "operation": "restart" };
    check(JobTemplate::new("restart", "Restarts a pump", document), "job_template_defaults");
}

#[test]
fn job_template_with_everything() {
    check_stack("job_template_everything", |stack| {
        let presigner = stack.add("Presigner", Role::new(Service::IOT));
        let document = object! { "operation": "install", "region": Pseudo::Region };
        let template = JobTemplate {
            presigned_urls: Some(PresignedUrls {
                role: presigner.arn(),
                expires: Duration::minutes(15),
            }),
            rollout: Rollout {
                max_per_minute: Some(50),
                exponential: Some(ExponentialRate {
                    base_per_minute: 10,
                    factor: 1.5,
                    after_notified: None,
                    after_succeeded: Some(100),
                }),
            },
            abort: vec![Abort { failure: FailureType::All, threshold_percent: 12.5, after: 20 }],
            timeout: Some(Duration::seconds(90)),
            retries: vec![
                Retry { failure: FailureType::Failed, times: 2 },
                Retry { failure: FailureType::TimedOut, times: 1 },
            ],
            ..JobTemplate::new("install", "Installs firmware", document)
        };
        let template = stack.add("It", template);
        stack.output("Arn", template.arn());
    });
}

#[test]
fn topic_rule_with_defaults() {
    let action = Action::Republish { topic: "garden/copy".into(), qos: 0 };
    check(TopicRule::new("copy", "SELECT * FROM 'garden/in'", action), "topic_rule_defaults");
}

#[test]
fn topic_rule_with_everything() {
    check_stack("topic_rule_everything", |stack| {
        let code = Code::Inline("exports.handler = async () => {};".into());
        let function =
            Function { runtime: Runtime::Nodejs22, ..Function::new(code, "index.handler") };
        let function = stack.add("Function", function);
        let failures = stack.add("Failures", LogGroup::default());
        let rule = TopicRule {
            description: "Watches the beds".into(),
            actions: vec![
                Action::Lambda(function),
                Action::Metric {
                    namespace: "Garden".into(),
                    name: "Moisture".into(),
                    value: "${moisture}".into(),
                    unit: "Percent",
                },
                Action::Republish { topic: "$$aws/things/${bed}/shadow/update".into(), qos: 1 },
            ],
            error_action: Some(ErrorAction::Log(failures)),
            disabled: true,
            ..TopicRule::new(
                "beds",
                "SELECT *, topic(2) AS bed FROM 'garden/+/moisture'",
                Action::Republish { topic: String::new(), qos: 0 },
            )
        };
        let rule = stack.add("It", rule);
        stack.output("Name", rule.name());
        stack.output("Arn", rule.arn());
    });
}
