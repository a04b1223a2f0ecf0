//! Judging requests by the statements that apply to a connection.
//!
//! Whatever does not change while a connection lasts is decided once: statements
//! whose conditions are not met or whose variables have no value are left out.
//! Judging a message matches texts and allocates nothing.

use std::sync::Arc;

use iotstack_local_kernel::Timestamp;

use super::document::{Action, Document, Statement};
use super::variable::{Env, Values, Variable};

/// The statements that can apply to a connection, with the values that they use.
#[derive(Debug, Clone, Default)]
pub struct Judge {
    statements: Box<[Arc<Statement>]>,
    values: Values,
}

/// A request that is judged.
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    /// An action of MQTT on a client id, topic or filter.
    Mqtt(Action, &'a str),
    /// Any action on an ARN.
    Named(&'a str, &'a str),
}

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Allowed,
    ExplicitDeny,
    ImplicitDeny,
}

impl Decision {
    pub fn allows(self) -> bool {
        self == Decision::Allowed
    }

    /// AWS's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Allowed => "ALLOWED",
            Decision::ExplicitDeny => "EXPLICIT_DENY",
            Decision::ImplicitDeny => "IMPLICIT_DENY",
        }
    }
}

impl Judge {
    /// Takes the statements that can apply. What depends on the time stays in
    /// and is judged with every request.
    pub fn new<'d>(documents: impl Iterator<Item = &'d Document>, env: &Env<'_>) -> Self {
        let all: Vec<&Arc<Statement>> =
            documents.flat_map(|document| document.statements.iter()).collect();
        let values = Values::resolve(used(all.iter().copied()), env);
        let statements: Box<[_]> = all
            .into_iter()
            .filter(|statement| {
                let known =
                    |variable: &Variable| values.all(variable).is_some_and(|all| !all.is_empty());
                statement.variables.iter().all(known)
                    && (statement.timed
                        || statement.conditions.iter().all(|condition| condition.holds(&values)))
            })
            .cloned()
            .collect();
        // Conditions that were met need their values no more.
        let timed = statements.iter().any(|statement| statement.timed);
        let values = if timed {
            values
        } else {
            Values::resolve(statements.iter().flat_map(|statement| statement.variables.iter()), env)
        };
        Judge { statements, values }
    }

    /// Judges a request. `prefix` is the ARN up to the kind of resource.
    pub fn judge(&self, request: Request<'_>, prefix: &str, now: Timestamp) -> Decision {
        match request {
            Request::Named(action, arn) => {
                self.decide(arn, now, |statement| statement.is_about_name(action))
            }
            Request::Mqtt(action, value) => {
                let kind = action.resource();
                let length = prefix.len() + kind.len() + value.len();
                let about = |statement: &Statement| statement.is_about(action);
                let mut buffer = [0; ON_STACK];
                match buffer.get_mut(..length) {
                    Some(place) => {
                        let (head, rest) = place.split_at_mut(prefix.len());
                        let (middle, tail) = rest.split_at_mut(kind.len());
                        head.copy_from_slice(prefix.as_bytes());
                        middle.copy_from_slice(kind.as_bytes());
                        tail.copy_from_slice(value.as_bytes());
                        match std::str::from_utf8(place) {
                            Ok(arn) => self.decide(arn, now, about),
                            Err(_) => Decision::ImplicitDeny,
                        }
                    }
                    None => self.decide(&format!("{prefix}{kind}{value}"), now, about),
                }
            }
        }
    }

    fn decide(&self, arn: &str, now: Timestamp, about: impl Fn(&Statement) -> bool) -> Decision {
        let mut allowed = false;
        for statement in &self.statements {
            // One that only repeats a yes need not be matched.
            if (statement.allow && allowed)
                || !about(statement)
                || !self.applies(statement, arn, now)
            {
                continue;
            }
            if !statement.allow {
                return Decision::ExplicitDeny;
            }
            allowed = true;
        }
        if allowed { Decision::Allowed } else { Decision::ImplicitDeny }
    }

    fn applies(&self, statement: &Statement, arn: &str, now: Timestamp) -> bool {
        if !statement.timed {
            return statement.resources.iter().any(|pattern| pattern.matches(arn, &self.values));
        }
        let values = self.values.at(now);
        statement.resources.iter().any(|pattern| pattern.matches(arn, &values))
            && statement.conditions.iter().all(|condition| condition.holds(&values))
    }
}

/// The variables that statements use, the keys of conditions included.
fn used<'s>(
    statements: impl Iterator<Item = &'s Arc<Statement>>,
) -> impl Iterator<Item = &'s Variable> {
    statements.flat_map(|statement| {
        let keys = statement.conditions.iter().map(|condition| &condition.key);
        statement.variables.iter().chain(keys)
    })
}

/// An ARN with the longest topic fits.
const ON_STACK: usize = 512;
