//! What happens to jobs, told to whoever wants to know.
//!
//! AWS IoT puts no job events on EventBridge, and its topic rules have no EventBridge
//! action. So: event configurations are switched on, rules hear the events on their
//! reserved topics, a function puts them on a bus, and the bus's rules tell a topic.
//! The same rules count executions for the whole account, which AWS's own metrics, one
//! set for each job, do not.

use iotstack::aws::events::{EventBus, EventBusRef, Rule, Target};
use iotstack::aws::iam::{Grantee, Statement};
use iotstack::aws::iot::{Action, ErrorAction, TopicRule, TopicRuleRef};
use iotstack::aws::lambda::{Function, FunctionRef};
use iotstack::aws::logs::LogGroup;
use iotstack::aws::patterns::CustomResource;
use iotstack::aws::sns::{Topic, TopicRef};
use iotstack::prelude::*;

use super::Deployment;
use super::functions::Functions;

pub struct Notifications<'a> {
    pub deployment: &'a Deployment,
    pub functions: &'a Functions,
}

pub struct NotificationsRef {
    pub topic: TopicRef,
    pub bus: EventBusRef,
    /// The function that carries events to the bus.
    pub carrier: FunctionRef,
    /// The rules that hear job events.
    pub rules: Vec<TopicRuleRef>,
    /// The namespace of the counters.
    pub metric_namespace: String,
}

impl Construct for Notifications<'_> {
    type Ref = NotificationsRef;

    fn build(self, scope: &Scope) -> NotificationsRef {
        let Notifications { deployment, functions } = self;
        let prefix = deployment.prefix();
        let bus = scope.add("Bus", EventBus { event_bus_name: prefix.clone() });
        let carrier = scope.add(
            "Carrier",
            Function {
                environment: vec![
                    ("EVENT_BUS_NAME", bus.name().into()),
                    ("ENVIRONMENT", deployment.environment_name.clone().into()),
                ],
                ..functions.function("job-events", "Carries job events to the event bus")
            },
        );
        let _ = bus.grant_put(&carrier);

        let metric_namespace = format!("IoTStack/{prefix}");
        let rules = topic_rules(scope, deployment, &carrier, &metric_namespace);
        switch_on_events(scope, functions, &rules);
        let topic = topic(scope, deployment);
        bus_rules(scope, &bus, &topic, &prefix);
        NotificationsRef { topic, bus, carrier, rules, metric_namespace }
    }
}

/// Hears the events of this environment's jobs, whose ids begin with its prefix.
fn topic_rules(
    scope: &Scope,
    deployment: &Deployment,
    carrier: &FunctionRef,
    metric_namespace: &str,
) -> Vec<TopicRuleRef> {
    let failures = scope.add("RuleFailures", LogGroup::default());
    let rule = |id: &'static str, topic: &str, description: &str, more: Option<Action>| {
        let sql = format!(
            "SELECT *, topic() AS topic FROM '{topic}' WHERE startswith(jobId, '{}-')",
            deployment.prefix()
        );
        let name = format!("{}_{}", deployment.prefix_with_underscores(), snake(id));
        let mut rule = TopicRule {
            description: description.into(),
            error_action: Some(ErrorAction::Log(failures.clone())),
            ..TopicRule::new(name, sql, Action::Lambda(carrier.clone()))
        };
        rule.actions.extend(more);
        scope.add(id, rule)
    };
    let count = Action::Metric {
        namespace: metric_namespace.into(),
        name: "JobExecutions.${operation}".into(),
        value: "1".into(),
        unit: "Count",
    };
    vec![
        rule("JobEvents", "$aws/events/job/#", "Carries job events to the bus", None),
        rule(
            "JobExecutionEvents",
            "$aws/events/jobExecution/#",
            "Carries job execution events to the bus and counts them",
            Some(count),
        ),
    ]
}

/// Job events are off in a new account, and no CloudFormation resource switches them on.
fn switch_on_events(scope: &Scope, functions: &Functions, rules: &[TopicRuleRef]) {
    let provider = scope
        .add("EventProvider", functions.provider("event-configurations", "Switches job events on"));
    // These know no narrower resource.
    let _ = provider.function().allow(Statement::allow(
        ["iot:DescribeEventConfigurations", "iot:UpdateEventConfigurations", "iot:ListTopicRules"],
        ["*"],
    ));
    let mut properties = Props::new();
    properties.set("EventTypes", ["JOB", "JOB_EXECUTION"]);
    let kind = "Custom::IoTStackEventConfigurations";
    let events = scope.add("Events", CustomResource { kind, provider, properties });
    for rule in rules {
        // On the way down the rules go first, so that the function can see whether
        // anybody else still listens.
        rule.cfn().depends_on(events.resource());
    }
}

fn topic(scope: &Scope, deployment: &Deployment) -> TopicRef {
    let prefix = deployment.prefix();
    let topic = scope.add(
        "Topic",
        Topic {
            topic_name: format!("{prefix}-updates").into(),
            display_name: format!("Firmware updates {}", deployment.environment_name).into(),
        },
    );
    for (index, address) in deployment.parameters.notify.iter().enumerate() {
        topic.subscribe_email(format!("Mail{index}"), address);
    }
    topic
}

/// Turns events on the bus into messages that people read.
fn bus_rules(scope: &Scope, bus: &EventBusRef, topic: &TopicRef, prefix: &str) {
    let rule = |id: &'static str, description: &str, pattern: Expr, line: &str| {
        let inputs = vec![
            ("job", "$.detail.jobId"),
            ("status", "$.detail.status"),
            ("environment", "$.detail.environment"),
            ("thing", "$.detail.thingArn"),
            ("time", "$.time"),
        ];
        // An input that the event lacks would stay empty in the text; leave it out.
        let inputs =
            inputs.into_iter().filter(|(name, _)| line.contains(&format!("<{name}>"))).collect();
        let target = Target::Topic { topic: topic.clone(), inputs, lines: vec![line.to_owned()] };
        let rule = Rule {
            event_bus: bus.name(),
            description: description.into(),
            pattern,
            targets: vec![target],
        };
        scope.add(id, rule);
    };
    let pattern = |detail_type: &str, detail: Expr| {
        object! { "source": ["iotstack.jobs"], "detail-type": [detail_type], "detail": detail }
    };
    rule(
        "JobCompleted",
        &format!("Tells of completed jobs of {prefix}"),
        pattern("IoT Job Event", object! { "operation": ["completed"] }),
        "<time> [<environment>] Job <job> is complete.",
    );
    rule(
        "JobChanged",
        &format!("Tells of cancelled and deleted jobs of {prefix}"),
        pattern(
            "IoT Job Event",
            object! { "operation": Expr::list([object! { "anything-but": ["completed"] }]) },
        ),
        "<time> [<environment>] Job <job> is now <status>.",
    );
    rule(
        "ExecutionFailed",
        &format!("Tells of devices of {prefix} that did not update"),
        pattern(
            "IoT Job Execution Event",
            object! { "operation": ["failed", "rejected", "timed_out"] },
        ),
        "<time> [<environment>] <thing> did not finish job <job>: <status>.",
    );
}

/// `JobEvents` as `job_events`.
fn snake(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}
