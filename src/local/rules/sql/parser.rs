//! From the text of a statement to its tree.
//!
//! Expressions are read by precedence climbing (Pratt): each operator binds with a
//! power, and an operand takes all operators that bind tighter than the one before
//! it. From loose to tight: OR, AND, NOT, comparisons and IN, sums, products, the
//! sign, members.
//!
//! Statements come from users, so nesting is bounded: both how deep the reader
//! recurses and how high a tree becomes by long chains of operators.

use regex::RegexBuilder;

use super::ast::{CastType, Expr, Item, Items, Operator, Select};
use super::error::SqlError;
use super::functions::{self, Function};
use super::token::{Kind, Token, tokens};
use super::value::Value;
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
    once_per_statement(&statement).map_err(|message| SqlError::new(source, 0, message))?;
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
        Ok(Parser { source, version, tokens: tokens(source)?, at: 0, depth: 0, peak: 0, variables })
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
            Some(Kind::Word(word)) => {
                !["AS", "FROM", "AND", "OR", "IN", "WHERE", "NOT"]
                    .iter()
                    .any(|keyword| word.eq_ignore_ascii_case(keyword))
            }
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
        check_filter(&filter).map_err(|message| SqlError::new(self.source, start, message))?;
        Ok(filter)
    }

    fn condition(&mut self) -> Result<Option<Expr>, SqlError> {
        if !self.take_word("WHERE") {
            return Ok(None);
        }
        Ok(Some(self.expr(LOOSEST)?.0))
    }

    /// Reads an operand and all operators that bind at least as tight as `power`.
    fn expr(&mut self, power: u8) -> Result<Node, SqlError> {
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
            let range = if least == most { format!("{least}") } else { format!("{least} to {most}") };
            return Err(fail(format!(
                "function `{name}` takes {range} arguments, not {}",
                arguments.len()
            )));
        }
        check_arguments(function, &arguments).map_err(fail)?;
        let pattern = match (function.pattern, arguments.get(1)) {
            (true, Some(Expr::Literal(Value::String(pattern)))) => Some(
                RegexBuilder::new(pattern)
                    .size_limit(functions::PATTERN_SIZE)
                    .build()
                    .map_err(|error| fail(format!("pattern `{pattern}` is not accepted: {error}")))?,
            ),
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
                let found: String =
                    self.source[token.start..token.end].chars().take(40).collect();
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

enum Infix {
    Binary(Operator),
    In,
}

fn check_filter(filter: &str) -> Result<(), String> {
    let fail = |why: &str| Err(format!("topic filter `{filter}` is not valid: {why}"));
    if filter.is_empty() {
        return fail("it is empty");
    }
    if filter.len() > 256 {
        return fail("it is longer than 256 bytes");
    }
    if filter.contains('\0') {
        return fail("it contains a NUL");
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return fail("`#` must be the last level, alone");
        }
        if level.contains('+') && level != "+" {
            return fail("`+` must be alone in its level");
        }
    }
    Ok(())
}

/// What functions say about their arguments beyond how many there are.
fn check_arguments(function: &Function, arguments: &[Expr]) -> Result<(), String> {
    let text = |place: usize| match arguments.get(place) {
        Some(Expr::Literal(Value::String(text))) => Some(text.as_str()),
        _ => None,
    };
    let one_of = |place: usize, accepted: &[&str]| match text(place) {
        Some(text) if !accepted.contains(&text) => Err(format!(
            "argument {} of `{}` is `{text}`; accepted are {}",
            place + 1,
            function.name,
            accepted.join(", ")
        )),
        _ => Ok(()),
    };
    match function.name {
        "encode" => one_of(1, &["base64"]),
        "decode" if text(1) == Some("proto") => {
            Err("decoding of `proto` is not offered here; `base64` is".to_owned())
        }
        "decode" => one_of(1, &["base64"]),
        "transform" => one_of(0, &["enrichArray"]),
        "get_mqtt_property" => one_of(
            0,
            &["content_type", "format_indicator", "response_topic", "correlation_data"],
        ),
        "get_registry_data" => one_of(0, &["DescribeThing", "ListThingGroupsForThing"]),
        "get_dynamodb" if arguments.len() == 5 => {
            Err("`get_dynamodb` takes a sort key with its value".to_owned())
        }
        "get_or_default" => {
            let mut external = None;
            if let Some(default) = arguments.get(1) {
                default.functions(&mut |called| {
                    if called.is_external() {
                        external = Some(called.name);
                    }
                });
            }
            external.map_or(Ok(()), |name| {
                Err(format!("the default of `get_or_default` must not call `{name}`"))
            })
        }
        _ => Ok(()),
    }
}

fn once_per_statement(statement: &Statement) -> Result<(), String> {
    for name in ["get_registry_data", "get_dynamodb"] {
        let mut count = 0;
        statement.functions(&mut |function| count += usize::from(function.name == name));
        if count > 1 {
            return Err(format!("`{name}` can be called once in a statement, not {count} times"));
        }
    }
    Ok(())
}

const LOOSEST: u8 = 1;
const COMPARISON: u8 = 4;
const SIGN: u8 = 7;
const DEPTH: usize = 48;
const HEIGHT: usize = 250;
