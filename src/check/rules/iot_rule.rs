//! Topic rules: one member per action, ten actions, a stated SQL version, no FIFO.
//!
//! The schema lets an action have none or several members; the service wants one. A
//! queue or topic that keeps the order of messages cannot be a target, because a rule
//! has nowhere to put the message group.

use iotstack_assembly::Resource;
use iotstack_assembly::intrinsic::Trail;
use serde_json::{Map, Value};

use crate::value::{Given, branches, choices, given, is_dynamic, is_true};
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct TopicRules;

impl Rule for TopicRules {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&RULE_ACTION, &RULE_SQL, &RULE_SQL_VERSION, &FIFO_ACTION]
    }

    fn types(&self) -> Types {
        Types::Only(&["AWS::IoT::TopicRule"])
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        subject: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        let Some(payload) = resource.property("TopicRulePayload") else { return };
        branches(payload, &resource.properties.key("TopicRulePayload"), &mut |value, trail| {
            if let Value::Object(payload) = value {
                sql(payload, trail, findings);
                actions(payload, trail, subject, findings);
            }
        });
    }
}

fn sql(payload: &Map<String, Value>, trail: &Trail<'_>, findings: &mut Findings<'_>) {
    match payload.get("AwsIotSqlVersion") {
        None => findings.advise(
            &RULE_SQL_VERSION,
            trail,
            "the rule states no `AwsIotSqlVersion`, so the version of 2015 applies",
            "state `2016-03-23`",
        ),
        Some(version) => {
            branches(version, &trail.key("AwsIotSqlVersion"), &mut |value, trail| {
                if let Value::String(text) = value
                    && !VERSIONS.contains(&text.as_str())
                    && !is_dynamic(text)
                {
                    findings.add(
                        &RULE_SQL,
                        trail,
                        format!("there is no SQL version `{text}`; expected {}", choices(VERSIONS)),
                    );
                }
            });
        }
    }
    let Some(sql) = payload.get("Sql") else { return };
    branches(sql, &trail.key("Sql"), &mut |value, trail| {
        let Value::String(text) = value else { return };
        let first = text.split_whitespace().next().unwrap_or_default();
        let is_statement = ["SELECT", "SET"].iter().any(|word| first.eq_ignore_ascii_case(word));
        if !is_statement && !is_dynamic(text) {
            findings.add(
                &RULE_SQL,
                trail,
                format!("the SQL begins with `{first}`; expected `SELECT`, or `SET` before it"),
            );
        }
    });
}

fn actions(
    payload: &Map<String, Value>,
    trail: &Trail<'_>,
    subject: &Subject<'_>,
    findings: &mut Findings<'_>,
) {
    if let Some(Value::Array(actions)) = payload.get("Actions") {
        let trail = trail.key("Actions");
        let sure =
            actions.iter().filter(|action| crate::value::presence(action) == Given::Yes).count();
        if sure > MOST_ACTIONS {
            findings.add(
                &RULE_ACTION,
                &trail,
                format!("the rule has {sure} actions; AWS IoT accepts {MOST_ACTIONS}"),
            );
        }
        for (index, action) in actions.iter().enumerate() {
            branches(action, &trail.item(index), &mut |value, trail| {
                judge_action(value, trail, subject, findings);
            });
        }
    }
    if let Some(action) = payload.get("ErrorAction") {
        branches(action, &trail.key("ErrorAction"), &mut |value, trail| {
            judge_action(value, trail, subject, findings);
        });
    }
}

fn judge_action(
    action: &Value,
    trail: &Trail<'_>,
    subject: &Subject<'_>,
    findings: &mut Findings<'_>,
) {
    let Value::Object(members) = action else { return };
    if members.keys().any(|key| key.starts_with("Fn::")) {
        return;
    }
    let sure = members.keys().filter(|key| given(members, key) == Given::Yes).count();
    let possible = members.keys().filter(|key| given(members, key) != Given::No).count();
    if sure > 1 || possible == 0 {
        let found = match members.len() {
            0 => "nothing".to_owned(),
            _ => choices(members.keys()),
        };
        findings.advise(
            &RULE_ACTION,
            trail,
            format!("an action has exactly one member; found {found}"),
            "make an action of each",
        );
    }
    for (member, target, is_fifo, kind) in
        [("Sqs", "QueueUrl", "FifoQueue", "queue"), ("Sns", "TargetArn", "FifoTopic", "topic")]
    {
        let Some(value) = members.get(member).and_then(|value| value.get(target)) else {
            continue;
        };
        branches(value, &trail.key(member).key(target), &mut |value, trail| {
            let is_literal = value.as_str().is_some_and(|text| text.ends_with(".fifo"));
            let is_referred = subject.referred(value).is_some_and(|other| is_on(other, is_fifo));
            if is_literal || is_referred {
                findings.advise(
                    &FIFO_ACTION,
                    trail,
                    format!("a topic rule cannot send to a FIFO {kind}"),
                    "send to a Lambda function that sends on with a message group, or use a \
                     standard queue",
                );
            }
        });
    }
}

fn is_on(resource: &Resource, property: &str) -> bool {
    resource.properties.get(property).is_some_and(is_true)
}

const MOST_ACTIONS: usize = 10;
const VERSIONS: &[&str] = &["2016-03-23", "2015-10-08", "beta"];

static RULE_ACTION: Code = Code::error(
    "rule-action",
    "A topic rule has up to ten actions, and each action object has exactly one member, such as \
     `Lambda` or `Sqs`. To do two things write two actions.",
);

static RULE_SQL: Code = Code::error(
    "rule-sql",
    "The SQL of a topic rule begins with `SELECT`, or with `SET` before it, and its version is \
     2016-03-23, 2015-10-08 or beta.",
);

static RULE_SQL_VERSION: Code = Code::warning(
    "rule-sql-version",
    "Without a stated version AWS IoT reads the SQL by its oldest rules, in which arrays, nested \
     queries and many functions do not work. State 2016-03-23.",
);

static FIFO_ACTION: Code = Code::error(
    "fifo-action",
    "The actions of topic rules have no place for the message group that FIFO queues and topics \
     demand, so every message fails. AWS IoT keeps no order of deliveries either.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn rule(actions: Value) -> iotstack_assembly::Diagnostics {
        findings(json!({"Resources": {
            "A": {"Type": "AWS::IoT::TopicRule", "Properties": {"TopicRulePayload": {
                "Sql": "SELECT * FROM 'a/+'", "AwsIotSqlVersion": "2016-03-23", "Actions": actions}}},
            "Fifo": {"Type": "AWS::SQS::Queue", "Properties": {"FifoQueue": true}},
            "Queue": {"Type": "AWS::SQS::Queue"}
        }}))
    }

    fn to_queue(url: Value) -> Value {
        json!({"Sqs": {"QueueUrl": url, "RoleArn": "arn:aws:iam::123456789012:role/r"}})
    }

    #[test]
    fn accepts_ten_actions() {
        clean(&rule(json!(vec![to_queue(json!({"Ref": "Queue"})); 10])));
    }

    #[test]
    fn an_eleventh_is_too_many() {
        let found = rule(json!(vec![to_queue(json!({"Ref": "Queue"})); 11]));
        assert_eq!(
            only(&found),
            "rule-action Resources/A/Properties/TopicRulePayload/Actions: \
             the rule has 11 actions; AWS IoT accepts 10"
        );
    }

    #[test]
    fn an_action_has_one_member() {
        let mut both = to_queue(json!({"Ref": "Queue"}));
        both["Lambda"] = json!({"FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:f"});
        has_codes(&rule(json!([both])), &["rule-action"]);
        has_codes(&rule(json!([{}])), &["rule-action"]);
    }

    #[test]
    fn a_fifo_queue_is_no_target() {
        has_codes(&rule(json!([to_queue(json!({"Ref": "Fifo"}))])), &["fifo-action"]);
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/a.fifo";
        has_codes(&rule(json!([to_queue(json!(url))])), &["fifo-action"]);
    }

    #[test]
    fn the_version_is_stated_and_known() {
        let with = |payload: Value| {
            resource("AWS::IoT::TopicRule", json!({ "TopicRulePayload": payload }))
        };
        let found = with(json!({"Sql": "SELECT * FROM 'a'", "Actions": []}));
        has_codes(&found, &["rule-sql-version"]);
        assert!(!found.has_errors());
        let found = with(json!({"Sql": "DELETE 'a'", "AwsIotSqlVersion": "2017", "Actions": []}));
        has_codes(&found, &["rule-sql", "rule-sql"]);
    }
}
