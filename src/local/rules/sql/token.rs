//! The words and signs of a statement.
//!
//! Text stands in single or double quotes; a doubled quote is one quote, and a
//! backslash before the quote or another backslash takes away its meaning. Any
//! other backslash stays, so that patterns such as `'\d+'` are written as they are.
//!
//! What the language does not know becomes a sign of its own, so that the reader
//! of expressions can say what it expected there.

use winnow::Parser;
use winnow::ascii::{digit1, multispace0};
use winnow::combinator::{alt, opt, preceded};
use winnow::error::{ContextError, ErrMode};
use winnow::stream::{LocatingSlice, Location, Stream};
use winnow::token::{any, one_of, take_while};

use super::error::SqlError;
use super::number::{Decimal, fits};
use super::value::Value;

/// A word or a sign, with its place in the statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind<'a>,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind<'a> {
    /// A name or keyword.
    Word(&'a str),
    /// `@name`.
    Variable(&'a str),
    /// A number.
    Number(Value),
    /// Text in quotes.
    Text(String),
    /// An operator or a bracket.
    Sign(&'a str),
}

impl Kind<'_> {
    /// Whether this is the keyword `word`; keywords have no case.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(self, Kind::Word(text) if text.eq_ignore_ascii_case(word))
    }

    /// Whether this is the sign `sign`.
    pub fn is_sign(&self, sign: &str) -> bool {
        matches!(self, Kind::Sign(text) if *text == sign)
    }
}

/// Splits a statement.
pub fn tokens(source: &str) -> Result<Vec<Token<'_>>, SqlError> {
    let mut input = LocatingSlice::new(source);
    let mut tokens = Vec::new();
    loop {
        let space: Result<&str, ErrMode<ContextError>> = multispace0.parse_next(&mut input);
        let start = input.current_token_start();
        if space.is_err() || input.eof_offset() == 0 {
            return Ok(tokens);
        }
        let Ok(kind) = token.parse_next(&mut input) else {
            return Err(SqlError::new(source, start, "the text that begins here has no end"));
        };
        tokens.push(Token { kind, start, end: input.current_token_start() });
    }
}

type Input<'a> = LocatingSlice<&'a str>;
type Parsed<T> = Result<T, ErrMode<ContextError>>;

fn token<'a>(input: &mut Input<'a>) -> Parsed<Kind<'a>> {
    alt((
        word.map(Kind::Word),
        preceded('@', word).map(Kind::Variable),
        number.map(Kind::Number),
        text,
        sign,
    ))
    .parse_next(input)
}

fn word<'a>(input: &mut Input<'a>) -> Parsed<&'a str> {
    (
        one_of(|c: char| c.is_alphabetic() || c == '_'),
        take_while(0.., |c: char| c.is_alphanumeric() || c == '_'),
    )
        .take()
        .parse_next(input)
}

fn number(input: &mut Input<'_>) -> Parsed<Value> {
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1);
    let written = (digit1, opt(('.', digit1)), opt(exponent)).take().parse_next(input)?;
    if let Some(value) = written.parse().ok().filter(|value| fits(*value)) {
        return Ok(Value::Int(value));
    }
    Ok(Value::decimal(Decimal::parse(written)))
}

fn text<'a>(input: &mut Input<'a>) -> Parsed<Kind<'a>> {
    let quote = one_of(['\'', '"']).parse_next(input)?;
    let mut text = String::new();
    loop {
        let next: char = any.parse_next(input)?;
        let after: Option<char> = input.peek_token();
        match next {
            '\\' if after == Some(quote) || after == Some('\\') => {
                text.push(any.parse_next(input)?);
            }
            next if next == quote && after == Some(quote) => {
                text.push(any.parse_next(input)?);
            }
            next if next == quote => return Ok(Kind::Text(text)),
            next => text.push(next),
        }
    }
}

fn sign<'a>(input: &mut Input<'a>) -> Parsed<Kind<'a>> {
    // A quote here began a text without an end.
    alt(("<>", "<=", ">=", "!=", any.verify(|c: &char| !matches!(c, '\'' | '"')).take()))
        .map(Kind::Sign)
        .parse_next(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<Kind<'_>> {
        tokens(source).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn splits_words_numbers_texts_and_signs() {
        assert_eq!(
            kinds("a_1>=2.5 '#'@v"),
            vec![
                Kind::Word("a_1"),
                Kind::Sign(">="),
                Kind::Number(Value::Decimal(Decimal::parse("2.5").unwrap())),
                Kind::Text("#".into()),
                Kind::Variable("v"),
            ]
        );
        assert_eq!(
            kinds(r"'it''s' '\d\\\''"),
            vec![Kind::Text("it's".into()), Kind::Text(r"\d\'".into()),]
        );
        assert_eq!(
            kinds("1.x"),
            vec![Kind::Number(Value::Int(1)), Kind::Sign("."), Kind::Word("x")]
        );
    }

    #[test]
    fn tells_where_a_text_without_end_begins() {
        let error = tokens("SELECT *\n  FROM 'a").unwrap_err();
        assert_eq!((error.line, error.column), (2, 8));
    }
}
