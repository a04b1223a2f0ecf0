//! Policy documents, read into statements.
//!
//! An IoT policy knows Effect, Action, Resource and Condition. Principal,
//! NotAction and NotResource belong to other kinds of policies and are refused.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::condition::Condition;
use super::pattern::Pattern;
use super::variable::Variable;

/// A policy document.
#[derive(Debug, Clone, Default)]
pub struct Document {
    pub statements: Box<[Arc<Statement>]>,
}

/// One statement.
#[derive(Debug)]
pub struct Statement {
    pub allow: bool,
    /// Which of the actions of MQTT it is about, one bit each.
    mqtt: u8,
    /// The actions as written, in small letters.
    actions: Box<[Pattern]>,
    pub resources: Box<[Pattern]>,
    pub conditions: Box<[Condition]>,
    /// The variables of resources and condition values; all need a value.
    pub variables: Box<[Variable]>,
    /// Whether it must be judged anew for every message.
    pub timed: bool,
}

/// What a connection does again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Connect,
    Publish,
    RetainPublish,
    Subscribe,
    Receive,
}

impl Action {
    pub const ALL: [Action; 5] = [
        Action::Connect,
        Action::Publish,
        Action::RetainPublish,
        Action::Subscribe,
        Action::Receive,
    ];

    /// AWS's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Action::Connect => "iot:Connect",
            Action::Publish => "iot:Publish",
            Action::RetainPublish => "iot:RetainPublish",
            Action::Subscribe => "iot:Subscribe",
            Action::Receive => "iot:Receive",
        }
    }

    /// What stands before the value in the ARN of its resource.
    pub fn resource(self) -> &'static str {
        match self {
            Action::Connect => "client/",
            Action::Publish | Action::RetainPublish | Action::Receive => "topic/",
            Action::Subscribe => "topicfilter/",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Value = serde_json::from_str(text)
            .map_err(|error| format!("the document is not JSON: {error}"))?;
        let Value::Object(document) = document else {
            return Err("the document must be a JSON object".to_owned());
        };
        for key in document.keys() {
            if !["Version", "Id", "Statement"].contains(&key.as_str()) {
                return Err(format!(
                    "`{key}` is no part of a policy; Version, Id and Statement are"
                ));
            }
        }
        match document.get("Version") {
            None => {}
            Some(Value::String(version)) if version == "2012-10-17" || version == "2008-10-17" => {}
            Some(other) => return Err(format!("the version must be `2012-10-17`, not {other}")),
        }
        let statements = match document.get("Statement") {
            Some(Value::Array(items)) => items.iter().map(statement).collect::<Result<_, _>>()?,
            Some(one @ Value::Object(_)) => Box::from([statement(one)?]),
            _ => return Err("the document has no Statement".to_owned()),
        };
        Ok(Document { statements })
    }

    /// Reads a document that is to be stored: its size is judged too.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_new(text: &str) -> Result<Self, String> {
        let size = text.chars().filter(|character| !character.is_whitespace()).count();
        if size > LARGEST {
            return Err(format!(
                "the document has {size} characters without white space; {LARGEST} are the most"
            ));
        }
        Self::parse(text)
    }
}

impl Statement {
    /// Whether it is about an action of MQTT.
    pub fn is_about(&self, action: Action) -> bool {
        self.mqtt & action.bit() != 0
    }

    /// Whether it is about any action, by its name.
    pub fn is_about_name(&self, action: &str) -> bool {
        let action = action.to_ascii_lowercase();
        let none = super::variable::Values::default();
        self.actions.iter().any(|pattern| pattern.matches(&action, &none))
    }
}

fn statement(value: &Value) -> Result<Arc<Statement>, String> {
    let Value::Object(members) = value else {
        return Err(format!("a statement must be an object, not {value}"));
    };
    for key in members.keys() {
        if !["Sid", "Effect", "Action", "Resource", "Condition"].contains(&key.as_str()) {
            return Err(format!(
                "`{key}` is no part of a statement; Sid, Effect, Action, Resource and Condition are"
            ));
        }
    }
    let allow = match members.get("Effect").and_then(Value::as_str) {
        Some("Allow") => true,
        Some("Deny") => false,
        _ => return Err("the Effect of a statement must be Allow or Deny".to_owned()),
    };
    let actions = texts(members, "Action")?;
    for action in &actions {
        if action != "*" && !action.contains(':') {
            return Err(format!("action `{action}` names no service, as in `iot:Connect`"));
        }
    }
    let resources = texts(members, "Resource")?;
    for resource in &resources {
        if resource != "*" && !resource.starts_with("arn:") {
            return Err(format!("resource `{resource}` is neither an ARN nor `*`"));
        }
    }
    let actions: Box<[Pattern]> =
        actions.iter().map(|action| Pattern::wild(&action.to_ascii_lowercase())).collect();
    let resources: Box<[Pattern]> =
        resources.iter().map(|resource| Pattern::wild(resource)).collect();
    let conditions = conditions(members.get("Condition"))?;
    let mut variables: Vec<Variable> = resources
        .iter()
        .flat_map(Pattern::variables)
        .chain(conditions.iter().flat_map(Condition::variables))
        .cloned()
        .collect();
    variables.sort();
    variables.dedup();
    let timed = variables.iter().any(Variable::changes)
        || conditions.iter().any(|condition| condition.key.changes());
    let mut statement = Statement {
        allow,
        mqtt: 0,
        actions,
        resources,
        conditions,
        variables: variables.into_boxed_slice(),
        timed,
    };
    statement.mqtt = Action::ALL
        .into_iter()
        .filter(|action| statement.is_about_name(action.name()))
        .fold(0, |bits, action| bits | action.bit());
    Ok(Arc::new(statement))
}

fn texts(members: &Map<String, Value>, name: &str) -> Result<Vec<String>, String> {
    let refuse = || format!("the {name} of a statement must be a text or a list of texts");
    match members.get(name) {
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(items)) if !items.is_empty() => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(refuse)).collect()
        }
        _ => Err(refuse()),
    }
}

fn conditions(value: Option<&Value>) -> Result<Box<[Condition]>, String> {
    let mut found = Vec::new();
    match value {
        None => {}
        Some(Value::Object(operators)) => {
            for (operator, keys) in operators {
                let Value::Object(keys) = keys else {
                    return Err(format!("condition `{operator}` must be an object, not {keys}"));
                };
                for (key, wanted) in keys {
                    found.push(Condition::parse(operator, key, wanted)?);
                }
            }
        }
        Some(other) => return Err(format!("the Condition must be an object, not {other}")),
    }
    Ok(found.into_boxed_slice())
}

/// Characters of a document, white space not counted.
const LARGEST: usize = 2048;
