//! What a statement is applied to, and what comes out.
//!
//! All that a message, its sender and the clock contribute is in a [`Context`], so
//! that applying a statement twice gives the same result. Questions to other
//! services go out as an [`Interrupt`] and come back as [`Answers`].

use std::sync::OnceLock;

use super::json;
use super::value::Value;

/// A message as rules see it: read as JSON at most once, whatever number of rules.
#[derive(Debug)]
pub struct Message<'a> {
    payload: &'a [u8],
    json: OnceLock<Option<Value>>,
}

impl<'a> Message<'a> {
    /// A message with this payload.
    pub fn new(payload: &'a [u8]) -> Message<'a> {
        Message { payload, json: OnceLock::new() }
    }

    /// The payload as it came.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Whether somebody wanted JSON and there was none.
    pub fn was_no_json(&self) -> bool {
        matches!(self.json.get(), Some(None))
    }

    /// The payload as JSON, if it is.
    pub fn json(&self) -> Option<&Value> {
        self.json.get_or_init(|| json::parse(self.payload)).as_ref()
    }
}

/// What a statement can know about a message beside its payload.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The message itself.
    pub message: &'a Message<'a>,
    /// The topic; for Basic Ingest only what follows the name of the rule.
    pub topic: &'a str,
    /// Who sent it.
    pub source: Source<'a>,
    /// The account of the rule.
    pub account: &'a str,
    /// The trace id of the message.
    pub trace_id: &'a str,
    /// Milliseconds since 1970.
    pub now: i64,
    /// Where random values begin; the same seed gives the same values.
    pub seed: u64,
}

/// Who sent a message, and with which properties.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source<'a> {
    /// The client, if it came by MQTT.
    pub client_id: Option<&'a str>,
    /// The certificate, role session or user.
    pub principal: Option<&'a str>,
    /// The properties of MQTT 5.
    pub properties: Option<&'a MqttProperties>,
}

/// The properties of a message that MQTT 5 adds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MqttProperties {
    /// The type of the content.
    pub content_type: Option<String>,
    /// Whether the payload says that it is UTF-8 text.
    pub is_text: Option<bool>,
    /// Where an answer is wanted.
    pub response_topic: Option<String>,
    /// What the answer has to carry.
    pub correlation_data: Option<Vec<u8>>,
    /// Names and values of the user.
    pub user_properties: Vec<(String, String)>,
}

/// What a statement makes of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// The message as it came.
    Unchanged,
    /// Another value.
    Value(Value),
}

/// Why a statement could not be applied now.
#[derive(Debug, Clone, PartialEq)]
pub enum Interrupt {
    /// A function has to ask; apply the statement again with the answer.
    Asks(Question),
    /// The rule ends here for this message.
    Failed(String),
}

/// What a function wants to know from another service.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The name of the function, such as `get_thing_shadow`.
    pub function: &'static str,
    /// Its arguments.
    pub arguments: Vec<Value>,
}

/// The answers found so far.
#[derive(Debug, Clone, Default)]
pub struct Answers(Vec<(Question, Result<Value, String>)>);

impl Answers {
    /// Adds an answer, or why there is none.
    pub fn add(&mut self, question: Question, answer: Result<Value, String>) {
        self.0.push((question, answer));
    }

    /// How many questions are answered.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn find(&self, question: &Question) -> Option<&Result<Value, String>> {
        self.0.iter().find(|(known, _)| known == question).map(|(_, answer)| answer)
    }
}
