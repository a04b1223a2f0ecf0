//! Search expressions: `{AWS/IoT,JobId} MetricName="Failed" firmware OR pump`.
//!
//! The braces fix namespace and dimension names; words must be parts of what the
//! metric is called, quoted words whole ones. A search is read once and bounded
//! in depth.

use iotstack_local_kernel::Fault;

use super::invalid;
use super::series::Metric;

/// A search that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Search {
    /// Namespace and dimension names, if the search fixes them.
    schema: Option<(String, Vec<String>)>,
    terms: Option<Term>,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    And(Vec<Term>),
    Or(Vec<Term>),
    Not(Box<Term>),
    /// A word, perhaps of one property only, perhaps as a whole.
    Word {
        property: Option<String>,
        text: String,
        whole: bool,
    },
}

impl Search {
    /// Reads a search.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > 1024 {
            return Err(invalid("a search must have at most 1024 characters"));
        }
        let mut rest = text.trim();
        let mut schema = None;
        if let Some(after) = rest.strip_prefix('{') {
            let (inner, next) = after
                .split_once('}')
                .ok_or_else(|| invalid(format!("search `{text}` has no closing `}}`")))?;
            let mut names = inner.split(',').map(|name| name.trim().trim_matches('"').to_owned());
            let namespace = names.next().unwrap_or_default();
            let mut dimensions: Vec<String> = names.collect();
            dimensions.sort();
            schema = Some((namespace, dimensions));
            rest = next;
        }
        let mut parser = Parser { text, tokens: tokens(rest)?, at: 0, depth: 0 };
        let terms = if parser.tokens.is_empty() { None } else { Some(parser.or()?) };
        if parser.at < parser.tokens.len() {
            return Err(parser.refuse());
        }
        Ok(Search { schema, terms })
    }

    /// Whether a metric is found.
    pub(super) fn finds(&self, namespace: &str, name: &str, metric: &Metric) -> bool {
        if let Some((wanted, dimensions)) = &self.schema {
            let same = metric.dimensions.len() == dimensions.len()
                && metric.dimensions.iter().zip(dimensions).all(|((name, _), other)| name == other);
            if wanted != namespace || !same {
                return false;
            }
        }
        self.terms.as_ref().is_none_or(|term| term.fits(namespace, name, metric))
    }
}

impl Term {
    fn fits(&self, namespace: &str, name: &str, metric: &Metric) -> bool {
        match self {
            Term::And(all) => all.iter().all(|term| term.fits(namespace, name, metric)),
            Term::Or(any) => any.iter().any(|term| term.fits(namespace, name, metric)),
            Term::Not(term) => !term.fits(namespace, name, metric),
            Term::Word { property, text, whole } => {
                let fits = |value: &str| {
                    if *whole { value == text } else { has_words(value, text) }
                };
                match property.as_deref() {
                    Some("MetricName") => fits(name),
                    Some("Namespace") => fits(namespace),
                    Some(wanted) => {
                        metric.dimensions.iter().any(|(name, value)| name == wanted && fits(value))
                    }
                    None => {
                        fits(name)
                            || fits(namespace)
                            || metric
                                .dimensions
                                .iter()
                                .any(|(name, value)| fits(name) || fits(value))
                    }
                }
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Equals,
    Word(String),
    Quoted(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' | '=' => {
                found.push(match first {
                    '(' => Token::Open,
                    ')' => Token::Close,
                    _ => Token::Equals,
                });
                1
            }
            '"' => {
                let end = rest[1..]
                    .find('"')
                    .ok_or_else(|| invalid(format!("search `{text}` has an open quote")))?;
                found.push(Token::Quoted(rest[1..=end].to_owned()));
                end + 2
            }
            _ => {
                let is_end = |c: char| c.is_whitespace() || "()=\"".contains(c);
                let end = rest.find(is_end).unwrap_or(rest.len());
                found.push(Token::Word(rest[..end].to_owned()));
                end
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(found)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn or(&mut self) -> Result<Term, Fault> {
        let mut all = vec![self.and()?];
        while self.take_word("OR") {
            all.push(self.and()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Term::Or(all) })
    }

    fn and(&mut self) -> Result<Term, Fault> {
        let mut all = vec![self.term()?];
        loop {
            self.take_word("AND");
            match self.tokens.get(self.at) {
                None | Some(Token::Close) => break,
                Some(Token::Word(word)) if word == "OR" => break,
                Some(_) => all.push(self.term()?),
            }
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Term::And(all) })
    }

    fn term(&mut self) -> Result<Term, Fault> {
        if self.take_word("NOT") {
            return Ok(Term::Not(Box::new(self.term_below()?)));
        }
        let token = self.tokens.get(self.at).cloned().ok_or_else(|| self.refuse())?;
        self.at += 1;
        let (text, whole) = match token {
            Token::Open => {
                self.at -= 1;
                return self.term_below();
            }
            Token::Quoted(text) => (text, true),
            Token::Word(text) => (text, false),
            Token::Close | Token::Equals => return Err(self.refuse()),
        };
        if self.tokens.get(self.at) != Some(&Token::Equals) {
            return Ok(Term::Word { property: None, text, whole });
        }
        self.at += 1;
        let value = self.tokens.get(self.at).cloned().ok_or_else(|| self.refuse())?;
        self.at += 1;
        match value {
            Token::Quoted(value) => {
                Ok(Term::Word { property: Some(text), text: value, whole: true })
            }
            Token::Word(value) => {
                Ok(Term::Word { property: Some(text), text: value, whole: false })
            }
            _ => Err(self.refuse()),
        }
    }

    /// A term in parentheses, or a single one after NOT.
    fn term_below(&mut self) -> Result<Term, Fault> {
        self.depth += 1;
        if self.depth > 16 {
            return Err(invalid(format!("search `{}` is nested too deeply", self.text)));
        }
        let found = if self.tokens.get(self.at) == Some(&Token::Open) {
            self.at += 1;
            let inner = self.or()?;
            if self.tokens.get(self.at) != Some(&Token::Close) {
                return Err(self.refuse());
            }
            self.at += 1;
            inner
        } else {
            self.term()?
        };
        self.depth -= 1;
        Ok(found)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(other)) if other == word);
        self.at += usize::from(found);
        found
    }

    fn refuse(&self) -> Fault {
        invalid(format!("search `{}` cannot be read at its word {}", self.text, self.at + 1))
    }
}

/// Whether all words of `wanted` are words of `value`, whatever their case.
fn has_words(value: &str, wanted: &str) -> bool {
    let there = split(value);
    split(wanted).iter().all(|word| there.contains(word))
}

/// The words of a name: `firmware-dev`, `JobExecutions.failed`.
fn split(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let whole: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect();
    for part in whole {
        found.push(part.to_lowercase());
        let mut current = String::new();
        for c in part.chars() {
            if c.is_uppercase() && current.chars().last().is_some_and(char::is_lowercase) {
                found.push(std::mem::take(&mut current));
            }
            current.extend(c.to_lowercase());
        }
        found.push(current);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use iotstack_local_kernel::Timestamp;

    use super::super::series::Series;
    use super::*;

    #[test]
    fn finds_what_the_words_say() {
        let mut series = Series::default();
        let at = Timestamp(0).after(Duration::from_secs(1));
        let job = [("JobId", "firmware-dev-1.2.0")];
        series.add("AWS/IoT", "FailedJobExecutionTotalCount", &job, "Count", at, 1.0, 1.0);
        let finds = |text: &str| {
            let search = Search::parse(text).unwrap();
            series.all().any(|(namespace, name, metric)| search.finds(namespace, name, metric))
        };
        for text in [
            "{AWS/IoT,JobId} MetricName=\"FailedJobExecutionTotalCount\" firmware dev",
            "{AWS/IoT,JobId} failed",
            "firmware OR nothing",
            "(nothing OR firmware) AND NOT pump",
            "JobId=\"firmware-dev-1.2.0\"",
            "",
        ] {
            assert!(finds(text), "{text}");
        }
        for text in [
            "{AWS/IoT} failed",
            "{AWS/IoT,ThingName} failed",
            "MetricName=\"Failed\"",
            "firmware prod",
            "NOT firmware",
            "\"firmware\"",
        ] {
            assert!(!finds(text), "{text}");
        }
        for text in ["{AWS/IoT", "\"open", "(a", "a = ", "a )", "NOT"] {
            assert!(Search::parse(text).is_err(), "{text}");
        }
        assert!(Search::parse(&"(".repeat(500)).is_err());
    }
}
