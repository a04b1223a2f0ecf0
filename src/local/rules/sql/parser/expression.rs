//! Expressions, by precedence climbing (Pratt).
//!
//! Each operator binds with a power, and an operand takes all operators that bind
//! tighter than the one before it. From loose to tight: OR, AND, NOT, comparisons
//! and IN, sums, products, the sign, members.

use regex::RegexBuilder;

use super::super::Version;
use super::super::ast::{CastType, Expr, Operator, Select};
use super::super::error::SqlError;
use super::super::functions;
use super::super::token::Kind;
use super::super::value::Value;
use super::{LOOSEST, Node, Parser, check};

impl<'a> Parser<'a> {
    /// Reads an operand and all operators that bind at least as tight as `power`.
    pub(super) fn expr(&mut self, power: u8) -> Result<Node, SqlError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.error(format!("expressions are nested deeper than {DEPTH} levels")));
        }
        let (mut left, mut height) = self.operand()?;
        while let Some((operator, own)) = self.operator() {
            if own < power {
                break;
            }
            let not = self.take_word("NOT");
            self.at += 1;
            let right;
            match operator {
                Infix::In => {
                    let (list, list_height) = self.list()?;
                    left = Expr::In(Box::new(left), Box::new(list));
                    right = list_height;
                }
                Infix::Binary(operator) => {
                    let (expr, expr_height) = self.expr(own + 1)?;
                    left = Expr::Binary(operator, Box::new(left), Box::new(expr));
                    right = expr_height;
                }
            }
            if not {
                left = Expr::Not(Box::new(left));
            }
            height = height.max(right) + 1 + usize::from(not);
            if height > HEIGHT {
                return Err(self.error(format!("an expression has at most {HEIGHT} operators")));
            }
        }
        if height > HEIGHT {
            return Err(self.error(format!("an expression has at most {HEIGHT} levels")));
        }
        self.depth -= 1;
        self.peak = self.peak.max(height);
        Ok((left, height))
    }

    fn operator(&self) -> Option<(Infix, u8)> {
        Some(match self.kind()? {
            Kind::Word(word) => match word.to_ascii_uppercase().as_str() {
                "OR" => (Infix::Binary(Operator::Or), 1),
                "AND" => (Infix::Binary(Operator::And), 2),
                "IN" => (Infix::In, COMPARISON),
                "NOT" => {
                    let next = self.tokens.get(self.at + 1)?;
                    if !next.kind.is_word("IN") {
                        return None;
                    }
                    (Infix::In, COMPARISON)
                }
                _ => return None,
            },
            Kind::Sign(sign) => {
                let (operator, power) = match *sign {
                    "=" => (Operator::Equal, COMPARISON),
                    "<>" => (Operator::Different, COMPARISON),
                    "<" => (Operator::Less, COMPARISON),
                    "<=" => (Operator::LessOrEqual, COMPARISON),
                    ">" => (Operator::Greater, COMPARISON),
                    ">=" => (Operator::GreaterOrEqual, COMPARISON),
                    "+" => (Operator::Add, 5),
                    "-" => (Operator::Subtract, 5),
                    "*" => (Operator::Multiply, 6),
                    "/" => (Operator::Divide, 6),
                    "%" => (Operator::Modulo, 6),
                    _ => return None,
                };
                (Infix::Binary(operator), power)
            }
            _ => return None,
        })
    }

    /// `(a, b, c)` or one operand that is an array.
    fn list(&mut self) -> Result<Node, SqlError> {
        let nested = self.tokens.get(self.at + 1).is_some_and(|token| token.kind.is_word("SELECT"));
        if nested || !self.kind().is_some_and(|kind| kind.is_sign("(")) {
            return self.expr(COMPARISON + 1);
        }
        self.at += 1;
        let (items, height) = self.expressions(")")?;
        // One value in brackets is a list of one, not the value itself.
        Ok((Expr::Array(items), height + 1))
    }

    fn operand(&mut self) -> Result<Node, SqlError> {
        let Some(token) = self.tokens.get(self.at) else {
            return Err(self.expected("a value"));
        };
        let start = token.start;
        let (expr, height) = match token.kind.clone() {
            Kind::Number(value) => {
                self.at += 1;
                if value.is_undefined() {
                    return Err(SqlError::new(self.source, start, "this number is too large"));
                }
                (Expr::Literal(value), 1)
            }
            Kind::Text(text) => {
                self.at += 1;
                (Expr::Literal(Value::String(text)), 1)
            }
            Kind::Variable(name) => {
                let Some(place) = self.variables.iter().position(|known| known == name) else {
                    return Err(self.error(format!("variable `@{name}` is not set before this")));
                };
                self.at += 1;
                (Expr::Variable(place), 1)
            }
            Kind::Word(word) => self.word_operand(word)?,
            Kind::Sign(sign) => self.sign_operand(sign)?,
        };
        self.members(expr, height)
    }

    fn word_operand(&mut self, word: &'a str) -> Result<Node, SqlError> {
        let constant = match word.to_ascii_uppercase().as_str() {
            "NOT" => {
                self.at += 1;
                let (expr, height) = self.expr(COMPARISON)?;
                return Ok((Expr::Not(Box::new(expr)), height + 1));
            }
            "CASE" => return self.case(),
            "NULL" => Value::Null,
            "UNDEFINED" => Value::Undefined,
            "TRUE" => Value::Boolean(true),
            "FALSE" => Value::Boolean(false),
            "SELECT" | "FROM" | "WHERE" | "AS" | "AND" | "OR" | "IN" | "WHEN" | "THEN" | "ELSE"
            | "END" => return Err(self.expected("a value")),
            _ if self.tokens.get(self.at + 1).is_some_and(|token| token.kind.is_sign("(")) => {
                return self.call(word);
            }
            _ => {
                self.at += 1;
                return Ok((Expr::Path(vec![word.to_owned()]), 1));
            }
        };
        self.at += 1;
        Ok((Expr::Literal(constant), 1))
    }

    fn sign_operand(&mut self, sign: &'a str) -> Result<Node, SqlError> {
        match sign {
            "-" => {
                self.at += 1;
                let (expr, height) = self.expr(SIGN)?;
                Ok((Expr::Negative(Box::new(expr)), height + 1))
            }
            "(" => {
                self.at += 1;
                if self.kind().is_some_and(|kind| kind.is_word("SELECT")) {
                    return self.nested();
                }
                let node = self.expr(LOOSEST)?;
                self.sign(")")?;
                Ok(node)
            }
            "[" => {
                self.since(Version::V2016, "an array literal")?;
                self.at += 1;
                let (items, height) = self.expressions("]")?;
                Ok((Expr::Array(items), height + 1))
            }
            "{" => {
                self.since(Version::V2016, "an object literal")?;
                self.at += 1;
                self.object()
            }
            "!=" => Err(self.error("`!=` is not an operator; write `<>`")),
            _ => Err(self.expected("a value")),
        }
    }

    fn object(&mut self) -> Result<Node, SqlError> {
        let (mut members, mut height) = (Vec::new(), 0);
        if self.take_sign("}") {
            return Ok((Expr::Object(members), 1));
        }
        loop {
            let name = match self.kind() {
                Some(Kind::Text(text)) => text.clone(),
                Some(Kind::Word(word)) => (*word).to_owned(),
                _ => return Err(self.expected("the name of a member")),
            };
            self.at += 1;
            self.sign(":")?;
            let (value, own) = self.expr(LOOSEST)?;
            height = height.max(own);
            members.push((name, value));
            if !self.take_sign(",") {
                self.sign("}")?;
                return Ok((Expr::Object(members), height + 1));
            }
        }
    }

    fn nested(&mut self) -> Result<Node, SqlError> {
        self.since(Version::V2016, "a nested query")?;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.error(format!("queries are nested deeper than {DEPTH} levels")));
        }
        let outside = std::mem::take(&mut self.peak);
        self.word("SELECT")?;
        let items = self.items()?;
        self.word("FROM")?;
        let from = self.expr(COMPARISON)?.0;
        let condition = self.condition()?;
        self.sign(")")?;
        self.depth -= 1;
        let inside = std::mem::replace(&mut self.peak, outside);
        Ok((Expr::Select(Box::new(Select { items, from, condition })), inside + 1))
    }

    fn case(&mut self) -> Result<Node, SqlError> {
        self.at += 1;
        let (value, mut height) = self.expr(LOOSEST)?;
        let mut arms = Vec::new();
        while self.take_word("WHEN") {
            let (when, when_height) = self.expr(LOOSEST)?;
            self.word("THEN")?;
            let (then, then_height) = self.expr(LOOSEST)?;
            height = height.max(when_height).max(then_height);
            arms.push((when, then));
        }
        if arms.is_empty() {
            return Err(self.expected("`WHEN`"));
        }
        let mut other = None;
        if self.take_word("ELSE") {
            let (expr, own) = self.expr(LOOSEST)?;
            height = height.max(own);
            other = Some(Box::new(expr));
        }
        self.word("END")?;
        Ok((Expr::Case(Box::new(value), arms, other), height + 1))
    }

    fn call(&mut self, name: &str) -> Result<Node, SqlError> {
        let start = self.tokens.get(self.at).map_or(0, |token| token.start);
        let fail = |message: String| SqlError::new(self.source, start, message);
        if name.eq_ignore_ascii_case("cast") {
            return self.cast();
        }
        let function = functions::find(name)
            .ok_or_else(|| fail(format!("`{name}` is not a function of the rule SQL")))?;
        if let Some(reason) = function.refused() {
            return Err(fail(format!("function `{name}` is not offered here: {reason}")));
        }
        if self.version < function.since {
            return Err(fail(format!(
                "function `{name}` needs SQL version {}; this rule has {}",
                function.since, self.version
            )));
        }
        self.at += 2;
        let mut star = false;
        if function.takes_star && self.take_sign("*") {
            star = true;
            if !self.take_sign(",") {
                return Err(self.expected("`,`"));
            }
        }
        let (mut arguments, height) = self.expressions(")")?;
        if star {
            arguments.insert(0, Expr::Star);
        }
        let fail = |message: String| SqlError::new(self.source, start, message);
        if !function.arity.contains(&arguments.len()) {
            let (least, most) = (function.arity.start(), function.arity.end());
            let range =
                if least == most { format!("{least}") } else { format!("{least} to {most}") };
            return Err(fail(format!(
                "function `{name}` takes {range} arguments, not {}",
                arguments.len()
            )));
        }
        check::arguments(function, &arguments).map_err(fail)?;
        let pattern = match (function.pattern, arguments.get(1)) {
            (true, Some(Expr::Literal(Value::String(pattern)))) => {
                self.patterns += 1;
                if self.patterns > PATTERNS {
                    return Err(fail(format!("a statement has at most {PATTERNS} patterns")));
                }
                let built = RegexBuilder::new(pattern).size_limit(functions::PATTERN_SIZE).build();
                Some(built.map_err(|error| {
                    fail(format!("pattern `{pattern}` is not accepted: {error}"))
                })?)
            }
            _ => None,
        };
        Ok((Expr::Call(function, arguments, pattern), height + 1))
    }

    fn cast(&mut self) -> Result<Node, SqlError> {
        self.at += 2;
        let (value, height) = self.expr(LOOSEST)?;
        self.word("AS")?;
        let Some(Kind::Word(word)) = self.kind() else {
            return Err(self.expected("a type such as `String`, `Int` or `Decimal`"));
        };
        let (target, since) = match word.to_ascii_lowercase().as_str() {
            "string" | "nvarchar" | "text" | "ntext" | "varchar" => {
                (CastType::String, Version::V2015)
            }
            "int" | "integer" => (CastType::Int, Version::V2015),
            "double" => (CastType::Decimal, Version::V2015),
            "decimal" => (CastType::Decimal, Version::V2016),
            "bool" | "boolean" => (CastType::Boolean, Version::V2016),
            _ => return Err(self.expected("a type such as `String`, `Int` or `Decimal`")),
        };
        self.since(since, "this type")?;
        self.at += 1;
        self.sign(")")?;
        Ok((Expr::Cast(Box::new(value), target), height + 1))
    }

    fn members(&mut self, expr: Expr, height: usize) -> Result<Node, SqlError> {
        let mut path = Vec::new();
        while self.take_sign(".") {
            match self.kind() {
                Some(Kind::Word(word)) => path.push((*word).to_owned()),
                _ => return Err(self.expected("the name of a member")),
            }
            self.at += 1;
        }
        Ok(match expr {
            expr if path.is_empty() => (expr, height),
            Expr::Path(mut start) => {
                start.append(&mut path);
                (Expr::Path(start), height)
            }
            expr => (Expr::Members(Box::new(expr), path), height + 1),
        })
    }

    fn expressions(&mut self, end: &str) -> Result<(Vec<Expr>, usize), SqlError> {
        let (mut items, mut height) = (Vec::new(), 0);
        if self.take_sign(end) {
            return Ok((items, height));
        }
        loop {
            let (item, own) = self.expr(LOOSEST)?;
            items.push(item);
            height = height.max(own);
            if !self.take_sign(",") {
                self.sign(end)?;
                return Ok((items, height));
            }
        }
    }
}

enum Infix {
    Binary(Operator),
    In,
}

const COMPARISON: u8 = 4;
const SIGN: u8 = 7;
const DEPTH: usize = 48;
const HEIGHT: usize = 250;
/// A compiled pattern can be large, however short it is.
const PATTERNS: usize = 64;
