//! Rules of composite alarms: `ALARM("a") AND NOT (OK(b) OR FALSE)`.
//!
//! A rule is read when it is put and again when it is evaluated; depth and length are
//! bounded.

use iotstack_local_kernel::Fault;

use super::alarm::State;
use super::invalid;

/// A rule that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rule {
    And(Box<Rule>, Box<Rule>),
    Or(Box<Rule>, Box<Rule>),
    Not(Box<Rule>),
    Is(State, String),
    Constant(bool),
}

impl Rule {
    /// Reads a rule.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > 10_240 {
            return Err(invalid("AlarmRule must have at most 10240 characters"));
        }
        let mut parser = Parser { text, rest: text.trim_start(), depth: 0 };
        let rule = parser.or()?;
        if parser.rest.is_empty() { Ok(rule) } else { Err(parser.refuse()) }
    }

    /// Whether it holds. An alarm that is not there is in no state.
    pub(super) fn holds(&self, state_of: &dyn Fn(&str) -> Option<State>) -> bool {
        match self {
            Rule::And(a, b) => a.holds(state_of) && b.holds(state_of),
            Rule::Or(a, b) => a.holds(state_of) || b.holds(state_of),
            Rule::Not(rule) => !rule.holds(state_of),
            Rule::Is(state, name) => state_of(name) == Some(*state),
            Rule::Constant(value) => *value,
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn or(&mut self) -> Result<Rule, Fault> {
        let mut left = self.and()?;
        while self.take_word("OR") {
            left = Rule::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Rule, Fault> {
        let mut left = self.single()?;
        while self.take_word("AND") {
            left = Rule::And(Box::new(left), Box::new(self.single()?));
        }
        Ok(left)
    }

    fn single(&mut self) -> Result<Rule, Fault> {
        self.depth += 1;
        if self.depth > 64 {
            return Err(invalid("AlarmRule is nested too deeply"));
        }
        let found = self.single_below();
        self.depth -= 1;
        found
    }

    fn single_below(&mut self) -> Result<Rule, Fault> {
        if self.take_word("NOT") {
            return Ok(Rule::Not(Box::new(self.single()?)));
        }
        if self.take("(") {
            let inner = self.or()?;
            return if self.take(")") { Ok(inner) } else { Err(self.refuse()) };
        }
        for (word, value) in [("TRUE", true), ("FALSE", false)] {
            if self.take_word(word) {
                return Ok(Rule::Constant(value));
            }
        }
        for state in [State::InsufficientData, State::Alarm, State::Ok] {
            if self.take_word(state.name()) {
                return Ok(Rule::Is(state, self.name()?));
            }
        }
        Err(self.refuse())
    }

    /// `("name")`, `(name)` or `(arn)`.
    fn name(&mut self) -> Result<String, Fault> {
        if !self.take("(") {
            return Err(self.refuse());
        }
        let (inner, rest) = match self.rest.strip_prefix('"') {
            Some(quoted) => {
                let (name, rest) = quoted.split_once('"').ok_or_else(|| self.refuse())?;
                let rest = rest.trim_start().strip_prefix(')').ok_or_else(|| self.refuse())?;
                (name, rest)
            }
            None => self.rest.split_once(')').ok_or_else(|| self.refuse())?,
        };
        let name = inner.trim();
        let name = name.split_once(":alarm:").map_or(name, |(_, name)| name).to_owned();
        self.rest = rest.trim_start();
        if name.is_empty() { Err(self.refuse()) } else { Ok(name) }
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn take_word(&mut self, word: &str) -> bool {
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        match self.rest.strip_prefix(word).filter(|rest| ends(rest)) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn refuse(&self) -> Fault {
        let at = self.text.len() - self.rest.len();
        invalid(format!("AlarmRule `{}` cannot be read at character {at}", self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_hold_as_they_say() {
        let state_of = |name: &str| match name {
            "a" => Some(State::Alarm),
            "b" => Some(State::Ok),
            _ => None,
        };
        for (rule, holds) in [
            ("ALARM(a)", true),
            ("ALARM(\"a\") AND OK(b)", true),
            ("ALARM(b) OR INSUFFICIENT_DATA(a)", false),
            ("NOT ALARM(b) AND (FALSE OR TRUE)", true),
            ("ALARM(arn:aws:cloudwatch:us-east-1:1:alarm:a)", true),
            ("ALARM(c)", false),
        ] {
            assert_eq!(Rule::parse(rule).unwrap().holds(&state_of), holds, "{rule}");
        }
        for rule in ["", "ALARM", "ALARM()", "ALARM(a", "ALARM(a) OK(b)", "AND", "(TRUE"] {
            assert!(Rule::parse(rule).is_err(), "{rule}");
        }
        assert!(Rule::parse(&"(".repeat(5000)).is_err());
    }
}
