//! Filter patterns: words in any order, or conditions on the fields of JSON.
//!
//! Words: `ERROR`, `"two words"`, `-not`, `?any ?of`. JSON:
//! `{ ($.level = "error" || $.code >= 500) && $.user EXISTS }`. Patterns with
//! columns (`[a, b]`) and regular expressions (`%…%`) are refused by name.

use iotstack_local_kernel::{Fault, loose};
use serde_json::{Map, Value};

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pattern {
    /// Every line.
    All,
    /// Lines with words.
    Words { all: Vec<String>, any: Vec<String>, none: Vec<String> },
    /// Lines that are JSON with these fields.
    Fields(Condition),
}

/// A condition on JSON.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Compare { path: Vec<Step>, operator: Operator, value: Literal },
    Is { path: Vec<Step>, value: Value },
    Exists { path: Vec<Step>, wanted: bool },
}

/// The name of a member: requests begin it with a small letter, templates with a capital.
pub(super) fn member(name: &str, capitals: bool) -> String {
    if capitals { name[..1].to_uppercase() + &name[1..] } else { name.to_owned() }
}

/// One step into JSON.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Field(String),
    Index(usize),
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Number(f64),
    Text(String),
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let trimmed = text.trim();
        if trimmed.len() > 1024 {
            return Err(Fault::invalid_input("filterPattern must have at most 1024 characters"));
        }
        match trimmed.chars().next() {
            None => Ok(Pattern::All),
            Some('{') => {
                let inner = trimmed.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
                let inner = inner.ok_or_else(|| invalid(text, "it has no closing `}`"))?;
                let mut parser = Parser { text, rest: inner, depth: 0 };
                let condition = parser.or()?;
                parser.skip();
                if !parser.rest.is_empty() {
                    return Err(parser.refuse("an operator was expected"));
                }
                Ok(Pattern::Fields(condition))
            }
            Some('[') => Err(invalid(text, "patterns with columns are not offered here")),
            Some(_) => words(text),
        }
    }

    /// The pattern that a filter must have, as it was written and as it was read.
    pub(super) fn required(
        input: &Map<String, Value>,
        capitals: bool,
    ) -> Result<(String, Self), Fault> {
        let text = loose::text(input, &member("filterPattern", capitals))?
            .ok_or_else(|| Fault::invalid_input("filterPattern is required"))?;
        let parsed = Pattern::parse(&text)?;
        Ok((text, parsed))
    }

    /// The pattern of a filter that is kept as text: one that was restored is read when it
    /// is first needed.
    pub(super) fn kept<'a>(parsed: &'a mut Option<Self>, text: &str) -> Option<&'a Self> {
        if parsed.is_none() {
            *parsed = Pattern::parse(text).ok();
        }
        parsed.as_ref()
    }

    /// Whether a line fits.
    pub(super) fn fits(&self, line: &str) -> bool {
        match self {
            Pattern::All => true,
            Pattern::Words { all, any, none } => {
                all.iter().all(|word| line.contains(word.as_str()))
                    && (any.is_empty() || any.iter().any(|word| line.contains(word.as_str())))
                    && !none.iter().any(|word| line.contains(word.as_str()))
            }
            Pattern::Fields(condition) => {
                serde_json::from_str(line).is_ok_and(|value: Value| condition.holds(&value))
            }
        }
    }
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Condition::And(all) => all.iter().all(|condition| condition.holds(value)),
            Condition::Or(any) => any.iter().any(|condition| condition.holds(value)),
            Condition::Compare { path, operator, value: wanted } => {
                select(value, path).iter().any(|found| operator.holds(found, wanted))
            }
            Condition::Is { path, value: wanted } => select(value, path).contains(&wanted),
            Condition::Exists { path, wanted } => select(value, path).is_empty() != *wanted,
        }
    }
}

impl Operator {
    fn holds(self, found: &Value, wanted: &Literal) -> bool {
        match wanted {
            Literal::Number(wanted) => {
                let found = match found {
                    Value::Number(number) => number.as_f64(),
                    Value::String(text) => text.parse().ok(),
                    _ => None,
                };
                let Some(found) = found else { return self == Operator::Unequal };
                match self {
                    Operator::Equal => found == *wanted,
                    Operator::Unequal => found != *wanted,
                    Operator::Less => found < *wanted,
                    Operator::LessOrEqual => found <= *wanted,
                    Operator::Greater => found > *wanted,
                    Operator::GreaterOrEqual => found >= *wanted,
                }
            }
            Literal::Text(wanted) => {
                let found = match found {
                    Value::String(text) => text.clone(),
                    Value::Number(_) | Value::Bool(_) => found.to_string(),
                    _ => return self == Operator::Unequal,
                };
                let fits = like(wanted, &found);
                match self {
                    Operator::Equal => fits,
                    Operator::Unequal => !fits,
                    _ => false,
                }
            }
        }
    }
}

/// The values at a path.
pub(super) fn select<'a>(value: &'a Value, path: &[Step]) -> Vec<&'a Value> {
    let mut found = vec![value];
    for step in path {
        found = found
            .into_iter()
            .flat_map(|value| -> Vec<&Value> {
                match step {
                    Step::Field(name) => value.get(name).into_iter().collect(),
                    Step::Index(index) => value.get(index).into_iter().collect(),
                    Step::Any => value.as_array().into_iter().flatten().collect(),
                }
            })
            .collect();
    }
    found
}

/// Reads `$.a.b[0]`.
pub(super) fn path(text: &str) -> Option<Vec<Step>> {
    let mut rest = text.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, next) = after.split_at(end);
            if name.is_empty() {
                return None;
            }
            steps.push(Step::Field(name.to_owned()));
            rest = next;
        } else {
            let after = rest.strip_prefix('[')?;
            let (inner, next) = after.split_once(']')?;
            steps.push(match inner.trim_matches(['"', '\'']) {
                "*" => Step::Any,
                number if inner == number => Step::Index(number.parse().ok()?),
                name => Step::Field(name.to_owned()),
            });
            rest = next;
        }
    }
    Some(steps)
}

fn words(text: &str) -> Result<Pattern, Fault> {
    let (mut all, mut any, mut none) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (list, after) = match rest.as_bytes()[0] {
            b'-' => (&mut none, &rest[1..]),
            b'?' => (&mut any, &rest[1..]),
            b'%' => return Err(invalid(text, "regular expressions are not offered here")),
            _ => (&mut all, rest),
        };
        let (word, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                quoted.split_once('"').ok_or_else(|| invalid(text, "a quote is not closed"))?
            }
            None => {
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                after.split_at(end)
            }
        };
        if word.is_empty() {
            return Err(invalid(text, "a word is empty"));
        }
        list.push(word.to_owned());
        rest = next.trim_start();
    }
    Ok(Pattern::Words { all, any, none })
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn or(&mut self) -> Result<Condition, Fault> {
        let mut all = vec![self.and()?];
        while self.take("||") {
            all.push(self.and()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::Or(all) })
    }

    fn and(&mut self) -> Result<Condition, Fault> {
        let mut all = vec![self.term()?];
        while self.take("&&") {
            all.push(self.term()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::And(all) })
    }

    fn term(&mut self) -> Result<Condition, Fault> {
        if self.take("(") {
            self.depth += 1;
            if self.depth > 32 {
                return Err(self.refuse("it is nested too deeply"));
            }
            let inner = self.or()?;
            self.depth -= 1;
            return if self.take(")") { Ok(inner) } else { Err(self.refuse("`)` is missing")) };
        }
        self.skip();
        let is_end = |c: char| c.is_whitespace() || "=!<>()&|".contains(c);
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (selector, rest) = self.rest.split_at(end);
        let path =
            path(selector).ok_or_else(|| self.refuse("a field such as `$.level` was expected"))?;
        self.rest = rest;
        if self.take("NOT EXISTS") {
            return Ok(Condition::Exists { path, wanted: false });
        }
        if self.take("EXISTS") {
            return Ok(Condition::Exists { path, wanted: true });
        }
        if self.take("IS") {
            for (word, value) in
                [("TRUE", Value::Bool(true)), ("FALSE", Value::Bool(false)), ("NULL", Value::Null)]
            {
                if self.take(word) {
                    return Ok(Condition::Is { path, value });
                }
            }
            return Err(self.refuse("TRUE, FALSE or NULL was expected after IS"));
        }
        for (sign, operator) in [
            ("!=", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ] {
            if self.take(sign) {
                let value = self.literal()?;
                return Ok(Condition::Compare { path, operator, value });
            }
        }
        Err(self.refuse("a comparison was expected"))
    }

    fn literal(&mut self) -> Result<Literal, Fault> {
        self.skip();
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let (text, rest) =
                quoted.split_once('"').ok_or_else(|| self.refuse("a quote is not closed"))?;
            self.rest = rest;
            return Ok(Literal::Text(text.to_owned()));
        }
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || "()&|".contains(c))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.starts_with('%') {
            return Err(self.refuse("regular expressions are not offered here"));
        }
        if word.is_empty() {
            return Err(self.refuse("a value was expected"));
        }
        self.rest = rest;
        Ok(word.parse().map_or_else(|_| Literal::Text(word.to_owned()), Literal::Number))
    }

    fn take(&mut self, word: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn refuse(&self, problem: &str) -> Fault {
        let at = self.text.len().saturating_sub(self.rest.len() + 1);
        invalid(self.text, &format!("{problem} near character {at}"))
    }
}

/// Whether a text fits a pattern with `*`.
fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn invalid(pattern: &str, problem: &str) -> Fault {
    Fault::invalid_input(format!("filterPattern `{pattern}` cannot be read: {problem}"))
}
