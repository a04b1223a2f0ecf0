//! Metric math, read: numbers, ids of queries, operators and functions.
//!
//! A hand-written descent over the text; depth and length are bounded. What the
//! expression means is told in [`super::evaluate`].

use iotstack_local_kernel::Fault;

use super::invalid;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Number(f64),
    Text(String),
    /// Another query, by its id.
    Query(String),
    Negative(Box<Expression>),
    Binary(Box<Expression>, Sign, Box<Expression>),
    Call(String, Vec<Expression>),
    /// `[a, b]`.
    List(Vec<Expression>),
}

/// An operator between two expressions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sign {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Times,
    Over,
    Power,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expression, Fault> {
    if text.len() > 2048 {
        return Err(invalid("an expression must have at most 2048 characters"));
    }
    let mut parser = Parser { text, rest: text.trim_start(), depth: 0 };
    let found = parser.binary(0)?;
    if parser.rest.is_empty() { Ok(found) } else { Err(parser.refuse("an operator was expected")) }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    /// A chain of operators that bind at least as strongly as `level`.
    fn binary(&mut self, level: usize) -> Result<Expression, Fault> {
        self.depth += 1;
        if self.depth > 128 {
            return Err(self.refuse("it is nested too deeply"));
        }
        let Some(signs) = LEVELS.get(level) else {
            let found = self.single();
            self.depth -= 1;
            return found;
        };
        let mut left = self.binary(level + 1)?;
        'chain: loop {
            for (text, sign) in *signs {
                if self.take(text) {
                    let right = self.binary(level + 1)?;
                    left = Expression::Binary(Box::new(left), *sign, Box::new(right));
                    continue 'chain;
                }
            }
            self.depth -= 1;
            return Ok(left);
        }
    }

    fn single(&mut self) -> Result<Expression, Fault> {
        if self.take("-") {
            self.depth += 1;
            if self.depth > 128 {
                return Err(self.refuse("it is nested too deeply"));
            }
            let inner = self.single()?;
            self.depth -= 1;
            return Ok(Expression::Negative(Box::new(inner)));
        }
        if self.take("(") {
            let inner = self.binary(0)?;
            return self.close(")", inner);
        }
        if self.take("[") {
            let items = self.items("]")?;
            return Ok(Expression::List(items));
        }
        for quote in ['\'', '"'] {
            if let Some(after) = self.rest.strip_prefix(quote) {
                let (text, rest) =
                    after.split_once(quote).ok_or_else(|| self.refuse("a quote is not closed"))?;
                self.rest = rest.trim_start();
                return Ok(Expression::Text(text.to_owned()));
            }
        }
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        if self.rest.starts_with(is_number) {
            let end = self.rest.find(|c| !is_number(c)).unwrap_or(self.rest.len());
            let (number, rest) = self.rest.split_at(end);
            let number = number.parse().map_err(|_| self.refuse("a number was expected"))?;
            self.rest = rest.trim_start();
            return Ok(Expression::Number(number));
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            return Err(self.refuse("a value was expected"));
        }
        let word = word.to_owned();
        self.rest = rest.trim_start();
        if self.take("(") {
            return Ok(Expression::Call(word, self.items(")")?));
        }
        Ok(Expression::Query(word))
    }

    fn items(&mut self, end: &str) -> Result<Vec<Expression>, Fault> {
        let mut found = Vec::new();
        if self.take(end) {
            return Ok(found);
        }
        loop {
            found.push(self.binary(0)?);
            if self.take(end) {
                return Ok(found);
            }
            if !self.take(",") {
                return Err(self.refuse(&format!("`,` or `{end}` was expected")));
            }
        }
    }

    fn close(&mut self, end: &str, found: Expression) -> Result<Expression, Fault> {
        if self.take(end) { Ok(found) } else { Err(self.refuse(&format!("`{end}` is missing"))) }
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

    fn refuse(&self, problem: &str) -> Fault {
        let at = self.text.len() - self.rest.len();
        invalid(format!("expression `{}` cannot be read: {problem} at character {at}", self.text))
    }
}

/// Operators from the weakest to the strongest; longer signs before their beginnings.
const LEVELS: &[&[(&str, Sign)]] = &[
    &[("||", Sign::Or), ("OR ", Sign::Or)],
    &[("&&", Sign::And), ("AND ", Sign::And)],
    &[
        ("==", Sign::Equal),
        ("!=", Sign::Unequal),
        ("<=", Sign::LessOrEqual),
        (">=", Sign::GreaterOrEqual),
        ("<", Sign::Less),
        (">", Sign::Greater),
    ],
    &[("+", Sign::Plus), ("-", Sign::Minus)],
    &[("*", Sign::Times), ("/", Sign::Over)],
    &[("^", Sign::Power)],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_bind_as_in_arithmetic() {
        let shown = |text: &str| format!("{:?}", parse(text).unwrap());
        assert_eq!(shown("a + b * 2"), shown("a + (b * 2)"));
        assert_eq!(shown("a - b - c"), shown("(a - b) - c"));
        assert_eq!(shown("a > 1 && b < 2"), shown("(a > 1) && (b < 2)"));
        assert_eq!(shown("-a ^ 2"), shown("(-a) ^ 2"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        for text in ["", "a +", "(a", "SUM(a", "1.2.3", "'open", "a b", "[a", "$"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"(".repeat(2000)).is_err());
        assert!(parse(&"-".repeat(2000)).is_err());
        let refused = parse("a + $").unwrap_err().message;
        assert!(refused.contains("character 4"), "{refused}");
    }
}
