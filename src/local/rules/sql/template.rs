//! Substitution templates: `${expression}` in the fields of an action.
//!
//! A template is evaluated apart from SELECT. It sees the message as it came, all
//! functions and what SET assigned, but no alias. What is `Undefined` becomes an
//! empty text.

use super::ast::Expr;
use super::context::{Answers, Context, Interrupt};
use super::error::SqlError;
use super::evaluate::Evaluator;
use super::{Statement, functions, parser};

/// A field of an action, read once when the rule is made.
#[derive(Debug, Clone)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Expr(Expr),
}

impl Template {
    /// Reads a field of an action of the rule with this statement.
    pub fn parse(source: &str, statement: &Statement) -> Result<Template, SqlError> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some(start) = rest.find("${") {
            if start > 0 {
                parts.push(Part::Text(rest[..start].to_owned()));
            }
            let at = source.len() - rest.len() + start;
            let inner = &rest[start + 2..];
            let Some(end) = closing(inner) else {
                return Err(SqlError::new(source, at, "the template that begins here has no `}`"));
            };
            let expr =
                parser::expression(&inner[..end], statement.version, statement.names.clone())
                    .map_err(|error| SqlError {
                        message: format!(
                            "in template `{}`: {error}",
                            &rest[start..start + end + 3]
                        ),
                        ..SqlError::new(source, at, "")
                    })?;
            parts.push(Part::Expr(expr));
            rest = &inner[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template(parts))
    }

    /// The text, if nothing in it depends on the message.
    pub fn constant(&self) -> Option<&str> {
        match &self.0[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether the template calls a function that asks another service.
    pub fn asks(&self) -> bool {
        let mut asks = false;
        for part in &self.0 {
            if let Part::Expr(expr) = part {
                expr.functions(&mut |function| asks |= function.is_external());
            }
        }
        asks
    }

    /// Fills the template in for a message.
    pub fn fill(
        &self,
        statement: &Statement,
        context: &Context<'_>,
        answers: &Answers,
    ) -> Result<String, Interrupt> {
        if let Some(text) = self.constant() {
            return Ok(text.to_owned());
        }
        let evaluator = Evaluator::with_variables(statement, context, answers)?;
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(constant) => text.push_str(constant),
                Part::Expr(expr) => {
                    let value = evaluator.eval(expr, evaluator.row())?;
                    match &*value {
                        super::Value::Null => text.push_str("null"),
                        value => {
                            text.push_str(&value.to_text(evaluator.version).unwrap_or_default())
                        }
                    }
                }
            }
            if text.len() > functions::LARGEST {
                return Err(functions::outgrown());
            }
        }
        Ok(text)
    }
}

/// The `}` that ends a template: not one in a text or of an object.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0usize, None);
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(_), b'\\') => escaped = !escaped,
            (Some(open), byte) => {
                if byte == open && !escaped {
                    quote = None;
                }
                escaped = false;
            }
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth == 0 => return Some(at),
            (None, b'}') => depth -= 1,
            _ => {}
        }
    }
    None
}
