//! The SQL of topic rules, without a rule engine around it.
//!
//! A [`Statement`] is read once, when a rule is made, and applied to each message.
//! Applying is pure: the message, the time and a seed for random functions come in
//! as a [`Context`], and functions that must ask another service do not ask. They
//! interrupt with the [`Question`]; whoever runs the rule finds the answer and
//! applies the statement again. So the language needs no I/O and no async.
//!
//! Not here: `decode` of protocol buffers, `machinelearning_predict`, and the
//! patterns that Java knows beyond regular expressions (look-around, references).
//! They are refused by name when a statement is read.

mod ast;
mod budget;
mod context;
mod error;
mod evaluate;
mod functions;
mod json;
mod number;
mod operators;
mod parser;
mod template;
mod token;
mod value;

use std::fmt;

pub use context::{Answers, Context, Interrupt, Message, MqttProperties, Output, Question, Source};
pub use error::SqlError;
pub use json::parse as parse_json;
pub use number::Decimal;
pub use template::Template;
pub use value::{Number, Value};

use ast::{Expr, Select};
use functions::Function;

/// A version of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// `2015-10-08`, the default.
    V2015,
    /// `2016-03-23`, which has arrays, objects, nested queries and more functions.
    V2016,
    /// `beta`: the newest; here the same as 2016-03-23.
    Beta,
}

impl Version {
    /// The version of that name; AWS IoT knows no others.
    pub fn parse(name: &str) -> Option<Version> {
        match name {
            "2015-10-08" => Some(Version::V2015),
            "2016-03-23" => Some(Version::V2016),
            "beta" => Some(Version::Beta),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V2015 => "2015-10-08",
            Version::V2016 => "2016-03-23",
            Version::Beta => "beta",
        })
    }
}

/// A statement that has been read.
#[derive(Debug, Clone)]
pub struct Statement {
    version: Version,
    set: Vec<Expr>,
    names: Vec<String>,
    select: Select<Option<String>>,
}

impl Statement {
    /// Reads `[SET …] SELECT … [FROM …] [WHERE …]`.
    pub fn parse(source: &str, version: Version) -> Result<Statement, SqlError> {
        parser::statement(source, version)
    }

    /// The version that the statement was read as.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The topic filter after FROM; a rule for Basic Ingest alone has none.
    pub fn filter(&self) -> Option<&str> {
        self.select.from.as_deref()
    }

    /// The names that SET assigns, without `@`.
    pub fn variables(&self) -> &[String] {
        &self.names
    }

    /// Writes a result of the statement as JSON, as its version of the language does.
    pub fn write(&self, value: &Value) -> String {
        json::to_string(value, self.version)
    }

    /// Whether any function of the statement asks another service.
    pub fn asks(&self) -> bool {
        let mut asks = false;
        self.functions(&mut |function| asks |= function.is_external());
        asks
    }

    fn functions(&self, visit: &mut dyn FnMut(&'static Function)) {
        self.set.iter().for_each(|value| value.functions(visit));
        self.select.functions(visit);
    }
}

/// Reads and applies whatever `data` holds: a statement, a NUL, a message. The
/// entrance of a fuzz target; whatever comes, it must return.
pub fn exercise(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let Ok(source) = std::str::from_utf8(&data[..end]) else { return };
    let message = Message::new(data.get(end + 1..).unwrap_or_default());
    let context = Context {
        message: &message,
        topic: "fuzz/topic",
        source: Source::default(),
        account: "123456789012",
        trace_id: "trace",
        now: 0,
        seed: 1,
    };
    for version in [Version::V2015, Version::V2016] {
        let Ok(statement) = Statement::parse(source, version) else { continue };
        if let Ok(Some(Output::Value(value))) = statement.apply(&context, &Answers::default()) {
            let _ = statement.write(&value);
        }
        if let Ok(template) = Template::parse(source, &statement) {
            let _ = template.fill(&statement, &context, &Answers::default());
        }
    }
}

#[cfg(test)]
mod tests;
