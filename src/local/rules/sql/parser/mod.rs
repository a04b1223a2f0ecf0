//! From the text of a statement to its tree.
//!
//! This file reads the clauses; expressions are read in `expression`, rules about
//! names, filters and arguments are in `check`.
//!
//! Statements come from users, so nesting is bounded: both how deep the reader
//! recurses and how high a tree becomes by long chains of operators.

mod check;
mod expression;

use super::ast::{Expr, Item, Items, Select};
use super::error::SqlError;
use super::token::{Kind, Token, tokens};
use super::{Statement, Version};

/// Reads `[SET …] SELECT … [FROM …] [WHERE …]`.
pub fn statement(source: &str, version: Version) -> Result<Statement, SqlError> {
    let mut parser = Parser::new(source, version, Vec::new())?;
    let set = parser.set()?;
    parser.word("SELECT")?;
    let items = parser.items()?;
    let from = if parser.take_word("FROM") { Some(parser.filter()?) } else { None };
    let condition = parser.condition()?;
    parser.end()?;
    let names = parser.variables;
    let statement = Statement { version, set, names, select: Select { items, from, condition } };
    check::once_per_statement(&statement).map_err(|message| SqlError::new(source, 0, message))?;
    Ok(statement)
}

/// Reads an expression on its own, as in a substitution template.
pub fn expression(
    source: &str,
    version: Version,
    variables: Vec<String>,
) -> Result<Expr, SqlError> {
    let mut parser = Parser::new(source, version, variables)?;
    let expr = parser.expr(LOOSEST)?.0;
    parser.end()?;
    Ok(expr)
}

struct Parser<'a> {
    source: &'a str,
    version: Version,
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    /// The height of the highest tree since the innermost query began.
    peak: usize,
    /// How many constant patterns have been compiled.
    patterns: usize,
    variables: Vec<String>,
}

/// An expression and the height of its tree.
type Node = (Expr, usize);

impl<'a> Parser<'a> {
    fn new(
        source: &'a str,
        version: Version,
        variables: Vec<String>,
    ) -> Result<Parser<'a>, SqlError> {
        let tokens = tokens(source)?;
        Ok(Parser { source, version, tokens, at: 0, depth: 0, peak: 0, patterns: 0, variables })
    }

    fn set(&mut self) -> Result<Vec<Expr>, SqlError> {
        let mut values = Vec::new();
        if !self.take_word("SET") {
            return Ok(values);
        }
        loop {
            let Some(Kind::Variable(name)) = self.kind() else {
                return Err(self.expected("a variable such as `@name`"));
            };
            let name = (*name).to_owned();
            if name.chars().count() > 64 {
                return Err(self.error("the name of a variable has at most 64 characters"));
            }
            if self.variables.contains(&name) {
                return Err(self.error(format!("variable `@{name}` is assigned twice")));
            }
            if values.len() == 10 {
                return Err(self.error("a statement sets at most 10 variables"));
            }
            self.at += 1;
            self.sign("=")?;
            values.push(self.expr(LOOSEST)?.0);
            // Known only from here on, so that no variable depends on itself.
            self.variables.push(name);
            if !self.take_sign(",") {
                return Ok(values);
            }
        }
    }

    fn items(&mut self) -> Result<Items, SqlError> {
        if self.value_keyword() {
            self.since(Version::V2016, "SELECT VALUE")?;
            self.at += 1;
            if self.take_sign("*") {
                return Ok(Items::ValueStar);
            }
            return Ok(Items::Value(self.expr(LOOSEST)?.0));
        }
        let mut items = Vec::new();
        loop {
            if self.take_sign("*") {
                items.push(Item::Star);
            } else {
                let start = self.at;
                let expr = self.expr(LOOSEST)?.0;
                let name =
                    if self.take_word("AS") { self.alias()? } else { self.own_name(&expr, start)? };
                items.push(Item::Named(expr, name));
            }
            if !self.take_sign(",") {
                return Ok(Items::List(items));
            }
        }
    }

    /// Whether the next word is the keyword VALUE and not a field of that name.
    fn value_keyword(&self) -> bool {
        if !self.kind().is_some_and(|kind| kind.is_word("VALUE")) {
            return false;
        }
        match self.tokens.get(self.at + 1).map(|token| &token.kind) {
            None => false,
            Some(Kind::Sign("*")) => {
                let after = self.tokens.get(self.at + 2).map(|token| &token.kind);
                after.is_none_or(|kind| kind.is_word("FROM") || kind.is_sign(")"))
            }
            Some(Kind::Sign(sign)) => matches!(*sign, "(" | "{" | "["),
            Some(Kind::Word(word)) => !["AS", "FROM", "AND", "OR", "IN", "WHERE", "NOT"]
                .iter()
                .any(|keyword| word.eq_ignore_ascii_case(keyword)),
            Some(_) => true,
        }
    }

    fn alias(&mut self) -> Result<Vec<String>, SqlError> {
        let mut path = Vec::new();
        loop {
            match self.kind() {
                Some(Kind::Word(word)) => path.push((*word).to_owned()),
                _ => return Err(self.expected("a name")),
            }
            if path.len() > ALIAS {
                return Err(self.error(format!("the name of a value has at most {ALIAS} parts")));
            }
            self.at += 1;
            if !self.take_sign(".") {
                return Ok(path);
            }
        }
    }

    /// The name of a value without AS: its last member, or the function's.
    fn own_name(&self, expr: &Expr, start: usize) -> Result<Vec<String>, SqlError> {
        let name = match expr {
            Expr::Path(path) | Expr::Members(_, path) => path.last().cloned(),
            Expr::Variable(place) => self.variables.get(*place).cloned(),
            Expr::Call(function, ..) => Some(function.name.to_owned()),
            Expr::Cast(..) => Some("cast".to_owned()),
            _ => None,
        };
        name.map(|name| vec![name]).ok_or_else(|| {
            let at = self.tokens.get(start).map_or(0, |token| token.start);
            SqlError::new(self.source, at, "this value has no name; give it one with `AS name`")
        })
    }

    fn filter(&mut self) -> Result<String, SqlError> {
        let Some(token) = self.tokens.get(self.at) else {
            return Err(self.expected("a topic filter in quotes"));
        };
        let start = token.start;
        let filter = match &token.kind {
            Kind::Text(text) => {
                let text = text.clone();
                self.at += 1;
                text
            }
            _ => {
                // Old statements leave the quotes out: everything to the next space.
                let text = self.source[start..].split_whitespace().next().unwrap_or("");
                let end = start + text.len();
                while self.tokens.get(self.at).is_some_and(|token| token.start < end) {
                    self.at += 1;
                }
                text.to_owned()
            }
        };
        check::filter(&filter).map_err(|message| SqlError::new(self.source, start, message))?;
        Ok(filter)
    }

    fn condition(&mut self) -> Result<Option<Expr>, SqlError> {
        if !self.take_word("WHERE") {
            return Ok(None);
        }
        Ok(Some(self.expr(LOOSEST)?.0))
    }

    fn kind(&self) -> Option<&Kind<'a>> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.kind().is_some_and(|kind| kind.is_word(word));
        self.at += usize::from(found);
        found
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.kind().is_some_and(|kind| kind.is_sign(sign));
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> Result<(), SqlError> {
        if self.take_word(word) { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    fn sign(&mut self, sign: &str) -> Result<(), SqlError> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    fn end(&self) -> Result<(), SqlError> {
        match self.kind() {
            None => Ok(()),
            Some(Kind::Sign("!=")) => Err(self.error("`!=` is not an operator; write `<>`")),
            Some(_) => Err(self.expected("the end of the statement")),
        }
    }

    fn since(&self, version: Version, what: &str) -> Result<(), SqlError> {
        if self.version >= version {
            return Ok(());
        }
        Err(self.error(format!("{what} needs SQL version {version}; this has {}", self.version)))
    }

    fn expected(&self, what: &str) -> SqlError {
        match self.tokens.get(self.at) {
            Some(token) => {
                let found: String = self.source[token.start..token.end].chars().take(40).collect();
                self.error(format!("expected {what}, found `{found}`"))
            }
            None => self.error(format!("expected {what}, found the end")),
        }
    }

    fn error(&self, message: impl Into<String>) -> SqlError {
        let at = self.tokens.get(self.at).map_or(self.source.len(), |token| token.start);
        SqlError::new(self.source, at, message)
    }
}

const LOOSEST: u8 = 1;
/// Each part of `AS a.b` makes an object within the one before it.
const ALIAS: usize = 48;
