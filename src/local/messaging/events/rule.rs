//! Buses, rules and targets, as they are kept and judged.
//!
//! A target is kept as it was given, for those who list it, and is read again when an
//! event comes.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Fault, Timestamp, loose};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::invalid;
use super::schedule::Schedule;
use super::transform::Input;
use crate::pattern::Pattern;

/// An event bus.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Bus {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) kms_key: Option<String>,
    pub(super) dead_letter: Option<String>,
    /// Statements of its policy, by their id.
    pub(super) policy: BTreeMap<String, Value>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
}

/// A rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) bus: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) pattern: Option<String>,
    pub(super) schedule: Option<String>,
    pub(super) state: String,
    pub(super) role: Option<String>,
    pub(super) targets: BTreeMap<String, Target>,
    pub(super) tags: BTreeMap<String, String>,
    /// Since when its schedule runs.
    pub(super) since: Timestamp,
    #[serde(skip)]
    pub(super) parsed: Option<Pattern>,
}

/// Where events of a rule go.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) id: String,
    pub(super) arn: String,
    /// The target as it was given.
    pub(super) given: Value,
}

impl Bus {
    pub(super) fn new(name: &str, now: Timestamp) -> Self {
        Bus {
            name: name.to_owned(),
            description: None,
            kms_key: None,
            dead_letter: None,
            policy: BTreeMap::new(),
            tags: BTreeMap::new(),
            created: now,
            modified: now,
        }
    }

    /// The policy document, if there is any statement.
    pub(super) fn document(&self) -> Option<String> {
        if self.policy.is_empty() {
            return None;
        }
        let statements: Vec<&Value> = self.policy.values().collect();
        Some(json!({"Version": "2012-10-17", "Statement": statements}).to_string())
    }
}

impl Rule {
    /// Reads a rule from a request; targets and tags of a known one stay.
    pub(super) fn read(
        input: &Map<String, Value>,
        bus: String,
        known: Option<&Rule>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let name = loose::required(input, "Name")?;
        let is_fit = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.len() > 64 || !name.chars().all(is_fit) {
            return Err(invalid(format!(
                "rule name `{name}` must be up to 64 letters, digits and `._-`"
            )));
        }
        let pattern = match input.get("EventPattern") {
            // Templates write the pattern as an object.
            Some(pattern @ Value::Object(_)) => Some(pattern.to_string()),
            _ => loose::text(input, "EventPattern")?.filter(|text| !text.is_empty()),
        };
        let schedule = loose::text(input, "ScheduleExpression")?.filter(|text| !text.is_empty());
        if pattern.is_none() && schedule.is_none() {
            return Err(invalid("a rule must have an EventPattern or a ScheduleExpression"));
        }
        let parsed = pattern.as_deref().map(Pattern::parse).transpose().map_err(|problem| {
            let message = format!("Event pattern is not valid. Reason: {problem}");
            Fault::new("InvalidEventPatternException", 400, message)
        })?;
        if let Some(text) = &schedule {
            Schedule::parse(text)?;
            if bus != super::DEFAULT {
                return Err(invalid(
                    "ScheduleExpression is supported only on the default event bus.",
                ));
            }
        }
        let state = loose::text(input, "State")?.unwrap_or_else(|| "ENABLED".to_owned());
        let states = ["ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"];
        if !states.contains(&state.as_str()) {
            return Err(invalid(format!(
                "State must be one of {}, not `{state}`",
                states.join(", ")
            )));
        }
        let same_schedule = known.is_some_and(|known| known.schedule == schedule);
        Ok(Rule {
            bus,
            name,
            description: loose::text(input, "Description")?,
            pattern,
            schedule,
            state,
            role: loose::text(input, "RoleArn")?,
            targets: known.map(|known| known.targets.clone()).unwrap_or_default(),
            tags: known.map(|known| known.tags.clone()).unwrap_or_default(),
            since: known.filter(|_| same_schedule).map_or(now, |known| known.since),
            parsed,
        })
    }

    /// A rule from the store, its pattern read again.
    pub(super) fn restored(mut self) -> Self {
        self.parsed = self.pattern.as_deref().and_then(|text| Pattern::parse(text).ok());
        self
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.state != "DISABLED"
    }

    pub(super) fn key(&self) -> String {
        format!("{}\0{}", self.bus, self.name)
    }

    pub(super) fn shown(&self, arn: &str) -> Value {
        let mut shown = json!({
            "Name": self.name,
            "Arn": arn,
            "State": self.state,
            "EventBusName": self.bus,
        });
        for (member, value) in [
            ("EventPattern", &self.pattern),
            ("ScheduleExpression", &self.schedule),
            ("Description", &self.description),
            ("RoleArn", &self.role),
        ] {
            if let Some(value) = value {
                shown[member] = json!(value);
            }
        }
        shown
    }
}

impl Target {
    /// Reads targets. Whether they can be reached from here is another question.
    pub(super) fn read_all(given: &[Value]) -> Result<Vec<Self>, Fault> {
        given.iter().map(Self::read).collect()
    }

    fn read(given: &Value) -> Result<Self, Fault> {
        let Value::Object(members) = given else {
            return Err(invalid("a target must be an object"));
        };
        let id = loose::required(members, "Id")?;
        let arn = loose::required(members, "Arn")?;
        if !arn.starts_with("arn:") || arn.split(':').count() < 6 {
            return Err(invalid(format!(
                "Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
            )));
        }
        let target = Target { id, arn, given: given.clone() };
        let group = &given["SqsParameters"]["MessageGroupId"];
        if target.service() == "sqs" && target.arn.ends_with(".fifo") && !group.is_string() {
            return Err(invalid(format!(
                "Parameter(s) SqsParameters must be specified for target: {}.",
                target.id
            )));
        }
        Input::read(members)?;
        Ok(target)
    }

    /// Refuses what cannot be reached from here.
    pub(super) fn judge(&self) -> Result<(), Fault> {
        let arn = &self.arn;
        match self.service() {
            "lambda" | "sqs" | "sns" => Ok(()),
            "logs" if arn.contains(":log-group:") => Ok(()),
            "events" if arn.contains(":event-bus/") => Ok(()),
            _ => Err(invalid(format!(
                "target `{arn}` must be a function, a queue, a topic, a log group or an event bus; others are not offered here"
            ))),
        }
    }

    /// The service that it belongs to, as its ARN has it.
    pub(super) fn service(&self) -> &str {
        self.arn.split(':').nth(2).unwrap_or_default()
    }

    pub(super) fn dead_letter(&self) -> Option<&str> {
        self.given["DeadLetterConfig"]["Arn"].as_str()
    }
}
