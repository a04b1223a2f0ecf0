//! The query language of fleet indexing.
//!
//! ```text
//! thingTypeName:pump AND (attributes.floor>3 OR -connectivity.connected:true)
//! thingName:(pump-1 OR "pump 2")  shadow.reported.firmware:1.*  attributes.size:[1 TO 5}
//! ```
//!
//! Two terms beside each other mean AND, and AND binds closer than OR. Limits
//! are those of the service; nesting is bounded, so no query can exhaust the
//! stack.

use iotstack_local_kernel::Fault;

use super::query::{Bound, Query, Test};
use crate::fault;

/// Reads a query.
///
/// # Errors
/// `InvalidQueryException` with what is wrong and where.
pub fn parse(text: &str) -> Result<Query, Fault> {
    let length = text.chars().count();
    if length > LONGEST {
        return Err(fault::invalid_query(format!(
            "a query has at most {LONGEST} characters, not {length}"
        )));
    }
    let mut parser = Parser { text, at: 0, depth: 0, leading: 0 };
    parser.skip_space();
    if parser.rest().is_empty() {
        return Err(fault::invalid_query("a query must not be empty; `*` finds everything"));
    }
    let query = parser.any(None)?;
    parser.skip_space();
    if !parser.rest().is_empty() {
        return Err(parser.refuse("the query should end here"));
    }
    if query.terms() > MOST_TERMS {
        return Err(fault::invalid_query(format!(
            "a query has at most {MOST_TERMS} terms, not {}",
            query.terms()
        )));
    }
    if parser.leading > 1 || (parser.leading == 1 && length > LONGEST_LEADING) {
        return Err(fault::invalid_query(format!(
            "one term may begin with a wildcard, in a query of at most {LONGEST_LEADING} characters"
        )));
    }
    Ok(query)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    /// How many terms begin with a wildcard.
    leading: usize,
}

impl<'t> Parser<'t> {
    /// Terms joined by OR. `field` is set inside `field:( … )`.
    fn any(&mut self, field: Option<&str>) -> Result<Query, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.refuse(&format!("parentheses nest at most {DEEPEST} deep")));
        }
        let mut parts = vec![self.all(field)?];
        while self.word("OR") || self.word("||") {
            parts.push(self.all(field)?);
        }
        self.depth -= 1;
        Ok(single(parts, Query::Or))
    }

    /// Terms joined by AND, which may be left out.
    fn all(&mut self, field: Option<&str>) -> Result<Query, Fault> {
        let mut parts = vec![self.one(field)?];
        loop {
            if self.word("AND") || self.word("&&") {
                parts.push(self.one(field)?);
                continue;
            }
            self.skip_space();
            let rest = self.rest();
            if rest.is_empty() || rest.starts_with(')') || self.sees("OR") || self.sees("||") {
                return Ok(single(parts, Query::And));
            }
            parts.push(self.one(field)?);
        }
    }

    fn one(&mut self, field: Option<&str>) -> Result<Query, Fault> {
        let mut not = false;
        // Counted, not recursed: `----a` must not nest.
        loop {
            self.skip_space();
            let minus = self.rest().starts_with('-') || self.rest().starts_with('!');
            if minus {
                self.at += 1;
                not = !not;
            } else if self.word("NOT") {
                not = !not;
            } else {
                break;
            }
        }
        let query = self.primary(field)?;
        Ok(if not { Query::Not(Box::new(query)) } else { query })
    }

    fn primary(&mut self, field: Option<&str>) -> Result<Query, Fault> {
        self.skip_space();
        if ["AND", "OR", "&&", "||"].iter().any(|operator| self.sees(operator)) {
            return Err(self.refuse("a field or a value is expected here, not an operator"));
        }
        if self.eat('(') {
            let query = self.any(field)?;
            return self.close(query);
        }
        if let Some(field) = field {
            let test = self.test()?;
            return Ok(Query::Term(Some(field.to_owned()), test));
        }
        if self.rest().starts_with('"') {
            return Ok(Query::Term(None, self.test()?));
        }
        let start = self.at;
        let (name, wild) = self.token(|character| !":<>()[]{}\"".contains(character))?;
        self.skip_space_before_operator();
        if self.eat(':') {
            check_field(&name).map_err(|reason| self.refuse(&reason))?;
            self.skip_space();
            if self.eat('(') {
                let query = self.any(Some(&name))?;
                return self.close(query);
            }
            let test = match self.comparison()? {
                Some(test) => test,
                None => self.test()?,
            };
            return Ok(Query::Term(Some(name), test));
        }
        if let Some(test) = self.comparison()? {
            check_field(&name).map_err(|reason| self.refuse(&reason))?;
            return Ok(Query::Term(Some(name), test));
        }
        if name == "*" && wild {
            return Ok(Query::Everything);
        }
        self.at = start;
        Ok(Query::Term(None, self.test()?))
    }

    /// `>5`, `>=5`, `<5`, `<=5`.
    fn comparison(&mut self) -> Result<Option<Test>, Fault> {
        let rest = self.rest();
        let (length, make): (usize, fn(String) -> Test) = if rest.starts_with(">=") {
            (2, |bound| Test::Within(Bound::With(bound), Bound::Open))
        } else if rest.starts_with("<=") {
            (2, |bound| Test::Within(Bound::Open, Bound::With(bound)))
        } else if rest.starts_with('>') {
            (1, |bound| Test::Within(Bound::Without(bound), Bound::Open))
        } else if rest.starts_with('<') {
            (1, |bound| Test::Within(Bound::Open, Bound::Without(bound)))
        } else {
            return Ok(None);
        };
        self.at += length;
        self.skip_space();
        self.value().map(|(bound, _)| Some(make(bound)))
    }

    /// A value, a phrase, a pattern or a range.
    fn test(&mut self) -> Result<Test, Fault> {
        self.skip_space();
        if self.rest().starts_with(['[', '{']) {
            return self.range();
        }
        let (text, wild) = self.value()?;
        if !wild {
            return Ok(Test::is(&text));
        }
        let stars = text.matches('*').count();
        let marks = text.matches('?').count();
        if stars > MOST_STARS || marks > MOST_MARKS {
            return Err(
                self.refuse(&format!("a term has at most {MOST_STARS} `*` and {MOST_MARKS} `?`"))
            );
        }
        if text.starts_with(['*', '?']) && text != "*" {
            self.leading += 1;
        }
        Ok(Test::Like(text.to_lowercase().chars().collect()))
    }

    fn range(&mut self) -> Result<Test, Fault> {
        let with_low = self.eat('[');
        if !with_low {
            self.eat('{');
        }
        self.skip_space();
        let (low, _) = self.value()?;
        if !self.word("TO") {
            return Err(self.refuse("a range is written [low TO high]"));
        }
        self.skip_space();
        let (high, _) = self.value()?;
        self.skip_space();
        let with_high = self.eat(']');
        if !with_high && !self.eat('}') {
            return Err(self.refuse("a range ends with `]` or `}`"));
        }
        let bound = |text: String, with: bool| match (text.as_str(), with) {
            ("*", _) => Bound::Open,
            (_, true) => Bound::With(text),
            (_, false) => Bound::Without(text),
        };
        Ok(Test::Within(bound(low, with_low), bound(high, with_high)))
    }

    /// A value and whether it has wildcards that mean something.
    fn value(&mut self) -> Result<(String, bool), Fault> {
        if self.eat('"') {
            return self.phrase().map(|text| (text, false));
        }
        self.token(|character| !"()[]{}\"<>".contains(character))
    }

    fn phrase(&mut self) -> Result<String, Fault> {
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.refuse("the phrase has no closing `\"`")),
                Some('"') => return Ok(text),
                Some('\\') => match self.next() {
                    Some(escaped) => text.push(escaped),
                    None => return Err(self.refuse("nothing follows `\\`")),
                },
                Some(other) => text.push(other),
            }
        }
    }

    fn token(&mut self, fits: impl Fn(char) -> bool) -> Result<(String, bool), Fault> {
        let mut text = String::new();
        let mut wild = false;
        while let Some(character) = self.rest().chars().next() {
            if character == '\\' {
                self.at += 1;
                match self.next() {
                    Some(escaped) => text.push(escaped),
                    None => return Err(self.refuse("nothing follows `\\`")),
                }
                continue;
            }
            if character.is_whitespace() || !fits(character) {
                break;
            }
            if UNSUPPORTED.contains(character) {
                return Err(self.refuse(&format!(
                    "`{character}` is not supported outside of a phrase; escape it as `\\{character}`"
                )));
            }
            wild |= character == '*' || character == '?';
            text.push(character);
            self.at += character.len_utf8();
        }
        match text.is_empty() {
            true => Err(self.refuse("a field or a value is expected here")),
            false => Ok((text, wild)),
        }
    }

    fn close(&mut self, query: Query) -> Result<Query, Fault> {
        self.skip_space();
        match self.eat(')') {
            true => Ok(query),
            false => Err(self.refuse("`)` is expected here")),
        }
    }

    /// Whether a word of the language stands here; takes it.
    fn word(&mut self, word: &str) -> bool {
        self.skip_space();
        let found = self.sees(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn sees(&self, word: &str) -> bool {
        self.rest().strip_prefix(word).is_some_and(|after| {
            after.is_empty()
                || after.starts_with(|character: char| {
                    character.is_whitespace() || "()-\"[{".contains(character)
                })
        })
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// `attributes.size > 5` may have spaces, two terms beside each other have them too.
    fn skip_space_before_operator(&mut self) {
        if self.rest().trim_start().starts_with(['<', '>']) {
            self.skip_space();
        }
    }

    fn eat(&mut self, character: char) -> bool {
        let found = self.rest().starts_with(character);
        if found {
            self.at += character.len_utf8();
        }
        found
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest().chars().next()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn refuse(&self, reason: &str) -> Fault {
        let place = self.text[..self.at].chars().count() + 1;
        fault::invalid_query(format!("query `{}`, character {place}: {reason}", self.text))
    }
}

fn single(mut parts: Vec<Query>, make: fn(Vec<Query>) -> Query) -> Query {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            parts.push(last);
            make(parts)
        }
        (_, None) => make(parts),
    }
}

/// Whether a field can be asked for.
fn check_field(name: &str) -> Result<(), String> {
    let plain = [
        "thingName",
        "thingId",
        "thingTypeName",
        "thingGroupNames",
        "billingGroupName",
        "version",
        "thingGroupName",
        "thingGroupId",
        "thingGroupDescription",
        "parentGroupNames",
    ];
    let nested = ["attributes.", "shadow.", "connectivity.", "registry.", "deviceDefender."];
    match plain.contains(&name) || nested.iter().any(|prefix| name.starts_with(prefix)) {
        true => Ok(()),
        false => Err(format!(
            "field `{name}` is not indexed; thingName, thingTypeName, thingGroupNames, \
             attributes.…, shadow.… and connectivity.… are"
        )),
    }
}

const DEEPEST: usize = 32;
const LONGEST: usize = 1000;
const LONGEST_LEADING: usize = 100;
const MOST_MARKS: usize = 5;
const MOST_STARS: usize = 2;
const MOST_TERMS: usize = 12;
const UNSUPPORTED: &str = "`@#%/';,";
