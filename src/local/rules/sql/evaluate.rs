//! Applying a statement to a message.
//!
//! Values are borrowed from the message and the statement as long as they are only
//! looked at, so that a condition on a field copies nothing. Nothing fails for lack
//! of a field: what is missing is `Undefined`, and a condition that is not true
//! keeps the rule from running.
//!
//! What does fail is a function that asked another service without success, and a
//! value that outgrows its limit; both end the rule for this message.

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;

use indexmap::IndexMap;

use super::ast::{CastType, Expr, Item, Items, Operator, Select};
use super::context::{Answers, Context, Interrupt, Output, Question};
use super::functions::{self, Body, Call};
use super::number::{Decimal, Rounding};
use super::value::{Number, Value};
use super::{Statement, Version, json};

impl Statement {
    /// Applies the statement; nothing if its condition is not true.
    pub fn apply(
        &self,
        context: &Context<'_>,
        answers: &Answers,
    ) -> Result<Option<Output>, Interrupt> {
        if self.passes_everything() {
            // The message need not even be read.
            return Ok(Some(Output::Unchanged));
        }
        let evaluator = Evaluator::with_variables(self, context, answers)?;
        evaluator.select(&self.select, evaluator.row())
    }

    /// Whether every message passes as it came.
    fn passes_everything(&self) -> bool {
        self.set.is_empty() && self.select.condition.is_none() && self.select.items.is_everything()
    }
}

/// Evaluates expressions for one message.
pub(super) struct Evaluator<'a> {
    pub version: Version,
    pub context: &'a Context<'a>,
    answers: &'a Answers,
    variables: Vec<Value>,
    draws: Cell<u64>,
    failure: Cell<Option<String>>,
    copied: Cell<usize>,
}

type Evaluated<'e> = Result<Cow<'e, Value>, Interrupt>;

impl<'a> Evaluator<'a> {
    /// An evaluator that has run the SET clause of `statement`.
    pub fn with_variables(
        statement: &Statement,
        context: &'a Context<'a>,
        answers: &'a Answers,
    ) -> Result<Evaluator<'a>, Interrupt> {
        let mut evaluator = Evaluator {
            version: statement.version,
            context,
            answers,
            variables: Vec::with_capacity(statement.set.len()),
            draws: Cell::new(0),
            failure: Cell::new(None),
            copied: Cell::new(0),
        };
        let mut size = 0;
        for (expr, name) in statement.set.iter().zip(&statement.names) {
            let value = evaluator.eval(expr, evaluator.row())?.into_owned();
            size += json::to_string(&value, statement.version).len();
            if size > VARIABLES_SIZE {
                return Err(Interrupt::Failed(format!(
                    "the variables up to `@{name}` are larger than {VARIABLES_SIZE} bytes"
                )));
            }
            evaluator.variables.push(value);
        }
        Ok(evaluator)
    }

    /// What paths begin at: the message as JSON.
    pub fn row(&self) -> &'a Value {
        self.context.message.json().unwrap_or(&Value::Undefined)
    }

    /// The next random number of this evaluation.
    pub fn random(&self) -> u64 {
        let draw = self.draws.get() + 1;
        self.draws.set(draw);
        // SplitMix64: good enough for identifiers and samples, nothing secret.
        let mut z = self.context.seed.wrapping_add(draw.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Ends the rule for this message.
    pub fn fail(&self, reason: String) {
        self.failure.set(Some(reason));
    }

    /// Counts a value that is about to be copied. A short statement can name a large
    /// value thousands of times; all copies together are bounded.
    pub fn spend(&self, value: &Value) -> Result<(), Interrupt> {
        let copied = self.copied.get().saturating_add(weight(value));
        self.copied.set(copied);
        if copied > MOST_COPIED {
            return Err(Interrupt::Failed(format!("the result outgrew {MOST_COPIED} bytes")));
        }
        Ok(())
    }

    fn own(&self, value: Cow<'_, Value>) -> Result<Value, Interrupt> {
        if let Cow::Borrowed(value) = &value {
            self.spend(value)?;
        }
        Ok(value.into_owned())
    }

    /// Applies the parts of a query to the message.
    fn select<F>(&self, select: &Select<F>, row: &Value) -> Result<Option<Output>, Interrupt> {
        if !self.holds(select, row)? {
            return Ok(None);
        }
        if select.items.is_everything() {
            return Ok(Some(Output::Unchanged));
        }
        Ok(Some(Output::Value(self.items(&select.items, row)?)))
    }

    fn holds<F>(&self, select: &Select<F>, row: &Value) -> Result<bool, Interrupt> {
        match &select.condition {
            None => Ok(true),
            Some(condition) => Ok(*self.eval(condition, row)? == Value::Boolean(true)),
        }
    }

    fn items(&self, items: &Items, row: &Value) -> Result<Value, Interrupt> {
        let list = match items {
            Items::Value(expr) => return self.own(self.eval(expr, row)?),
            Items::ValueStar => return self.own(Cow::Borrowed(row)),
            Items::List(list) => list,
        };
        if let ([Item::Star], Value::Boolean(_) | Value::Int(_) | Value::String(_)) =
            (&list[..], row)
        {
            return self.own(Cow::Borrowed(row));
        }
        let mut members = IndexMap::with_capacity(list.len());
        for item in list {
            match item {
                Item::Star => {
                    if let Value::Object(all) = row {
                        self.spend(row)?;
                        members
                            .extend(all.iter().map(|(name, value)| (name.clone(), value.clone())));
                    }
                }
                Item::Named(expr, path) => {
                    let value = self.own(self.eval(expr, row)?)?;
                    if !value.is_undefined() {
                        place(&mut members, path, value);
                    }
                }
            }
        }
        Ok(Value::Object(members))
    }

    /// Evaluates one expression; paths begin at `row`.
    pub fn eval<'e>(&'e self, expr: &'e Expr, row: &'e Value) -> Evaluated<'e> {
        Ok(match expr {
            Expr::Literal(value) => Cow::Borrowed(value),
            Expr::Path(path) => Cow::Borrowed(walk(row, path)),
            Expr::Variable(place) => {
                Cow::Borrowed(self.variables.get(*place).unwrap_or(&Value::Undefined))
            }
            Expr::Members(inner, path) => match self.eval(inner, row)? {
                Cow::Borrowed(value) => Cow::Borrowed(walk(value, path)),
                Cow::Owned(value) => Cow::Owned(walk(&value, path).clone()),
            },
            Expr::Star => Cow::Borrowed(self.row()),
            Expr::Not(inner) => Cow::Owned(match self.eval(inner, row)?.to_boolean() {
                Some(value) => Value::Boolean(!value),
                None => Value::Undefined,
            }),
            Expr::Negative(inner) => {
                Cow::Owned(match self.eval(inner, row)?.to_number(self.version) {
                    Some(Number::Int(value)) => Value::int(-value),
                    Some(Number::Decimal(value)) => Value::Decimal(value.negate()),
                    None => Value::Undefined,
                })
            }
            Expr::Binary(operator, left, right) => {
                let (left, right) = (self.eval(left, row)?, self.eval(right, row)?);
                let result = self.binary(*operator, &left, &right);
                if let Some(reason) = self.failure.take() {
                    return Err(Interrupt::Failed(reason));
                }
                Cow::Owned(result)
            }
            Expr::In(value, list) => {
                let (value, list) = (self.eval(value, row)?, self.eval(list, row)?);
                Cow::Owned(match (&*value, &*list) {
                    (Value::Undefined, _) => Value::Undefined,
                    (value, Value::Array(items)) => {
                        items.iter().any(|item| item.same(value)).into()
                    }
                    _ => Value::Undefined,
                })
            }
            Expr::Cast(inner, target) => Cow::Owned(self.cast(&*self.eval(inner, row)?, *target)),
            Expr::Case(value, arms, other) => return self.case(value, arms, other.as_deref(), row),
            Expr::Call(function, arguments, pattern) => match function.body {
                Body::OrDefault => return self.or_default(arguments, row),
                Body::Pure(body) => {
                    let values = self.values(arguments, row)?;
                    let star = matches!(arguments.first(), Some(Expr::Star));
                    let call =
                        Call { evaluator: self, values: &values, pattern: pattern.as_ref(), star };
                    let result = body(&call).unwrap_or_default();
                    if let Some(reason) = self.failure.take() {
                        return Err(Interrupt::Failed(reason));
                    }
                    Cow::Owned(result)
                }
                Body::External => self.ask(function.name, arguments, row)?,
                // The reader lets no statement with such a function pass.
                Body::Refused(reason) => return Err(Interrupt::Failed(reason.to_owned())),
            },
            Expr::Select(select) => Cow::Owned(self.nested(select, row)?),
            Expr::Object(members) => {
                let mut object = IndexMap::with_capacity(members.len());
                for (name, value) in members {
                    object.insert(name.clone(), self.own(self.eval(value, row)?)?);
                }
                Cow::Owned(Value::Object(object))
            }
            Expr::Array(items) => {
                let mut array = Vec::with_capacity(items.len());
                for item in items {
                    array.push(self.own(self.eval(item, row)?)?);
                }
                Cow::Owned(Value::Array(array))
            }
        })
    }

    fn values<'e>(
        &'e self,
        arguments: &'e [Expr],
        row: &'e Value,
    ) -> Result<Vec<Cow<'e, Value>>, Interrupt> {
        arguments.iter().map(|argument| self.eval(argument, row)).collect()
    }

    fn ask<'e>(
        &'e self,
        function: &'static str,
        arguments: &'e [Expr],
        row: &'e Value,
    ) -> Evaluated<'e> {
        let values = self.values(arguments, row)?;
        if values.iter().any(|value| value.is_undefined()) {
            return Ok(Cow::Owned(Value::Undefined));
        }
        let arguments = values.into_iter().map(Cow::into_owned).collect();
        let question = Question { function, arguments };
        match self.answers.find(&question) {
            Some(Ok(value)) => Ok(Cow::Borrowed(value)),
            Some(Err(reason)) => Err(Interrupt::Failed(reason.clone())),
            None => Err(Interrupt::Asks(question)),
        }
    }

    fn or_default<'e>(&'e self, arguments: &'e [Expr], row: &'e Value) -> Evaluated<'e> {
        let Some(first) = arguments.first() else { return Ok(Cow::Owned(Value::Undefined)) };
        match self.eval(first, row) {
            Err(asks @ Interrupt::Asks(_)) => Err(asks),
            Ok(value) if !value.is_undefined() => Ok(value),
            Ok(_) | Err(Interrupt::Failed(_)) => match arguments.get(1) {
                Some(default) => self.eval(default, row),
                None => Ok(Cow::Owned(Value::Undefined)),
            },
        }
    }

    fn case<'e>(
        &'e self,
        value: &'e Expr,
        arms: &'e [(Expr, Expr)],
        other: Option<&'e Expr>,
        row: &'e Value,
    ) -> Evaluated<'e> {
        let value = self.eval(value, row)?;
        if value.is_undefined() {
            return Ok(Cow::Owned(Value::Undefined));
        }
        for (when, then) in arms {
            if self.eval(when, row)?.same(&value) {
                return self.eval(then, row);
            }
        }
        match other {
            Some(other) => self.eval(other, row),
            None => Ok(Cow::Owned(Value::Undefined)),
        }
    }

    fn nested(&self, select: &Select<Expr>, row: &Value) -> Result<Value, Interrupt> {
        let from = self.eval(&select.from, row)?;
        let Value::Array(rows) = &*from else { return Ok(Value::Undefined) };
        let mut results = Vec::new();
        for row in rows {
            if self.holds(select, row)? {
                let result = self.items(&select.items, row)?;
                if !result.is_undefined() {
                    results.push(result);
                }
            }
        }
        Ok(Value::Array(results))
    }

    fn binary(&self, operator: Operator, left: &Value, right: &Value) -> Value {
        match operator {
            Operator::And | Operator::Or => match (left.to_boolean(), right.to_boolean()) {
                (Some(a), Some(b)) if operator == Operator::And => Value::Boolean(a && b),
                (Some(a), Some(b)) => Value::Boolean(a || b),
                _ => Value::Undefined,
            },
            Operator::Equal | Operator::Different => {
                if left.is_undefined() || right.is_undefined() {
                    return Value::Undefined;
                }
                Value::Boolean(left.same(right) == (operator == Operator::Equal))
            }
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => {
                let (Some(a), Some(b)) = (left.to_decimal(), right.to_decimal()) else {
                    return Value::Undefined;
                };
                let order = a.cmp(&b);
                Value::Boolean(match operator {
                    Operator::Less => order == Ordering::Less,
                    Operator::LessOrEqual => order != Ordering::Greater,
                    Operator::Greater => order == Ordering::Greater,
                    _ => order != Ordering::Less,
                })
            }
            Operator::Add
                if matches!(left, Value::String(_)) || matches!(right, Value::String(_)) =>
            {
                match (left.to_text(self.version), right.to_text(self.version)) {
                    (Some(a), Some(b)) => {
                        let text = a + &b;
                        if text.len() > functions::LARGEST {
                            self.fail(format!("a text outgrew {} bytes", functions::LARGEST));
                        }
                        Value::String(text)
                    }
                    _ => Value::Undefined,
                }
            }
            Operator::Add => match (left.number(self.version), right.number(self.version)) {
                (Some(a), Some(b)) => arithmetic(operator, a, b),
                _ => Value::Undefined,
            },
            _ => match (left.to_number(self.version), right.to_number(self.version)) {
                (Some(a), Some(b)) => arithmetic(operator, a, b),
                _ => Value::Undefined,
            },
        }
    }

    fn cast(&self, value: &Value, target: CastType) -> Value {
        match (target, value) {
            (CastType::String, _) => {
                value.to_text(self.version).map_or(Value::Undefined, Value::String)
            }
            (CastType::Boolean, _) => value.to_boolean().map_or(Value::Undefined, Value::Boolean),
            (CastType::Int | CastType::Decimal, Value::Null) => Value::Null,
            (CastType::Int, Value::Boolean(value)) => Value::Int((*value).into()),
            (CastType::Int, _) => value
                .to_decimal()
                .and_then(|value| value.round(Rounding::Floor))
                .map_or(Value::Undefined, Value::Int),
            (CastType::Decimal, Value::Boolean(value)) => {
                Value::Decimal(Decimal::from_int((*value).into()))
            }
            (CastType::Decimal, _) => Value::decimal(value.to_decimal()),
        }
    }
}

/// Calculates with two numbers: whole ones stay whole.
pub(super) fn arithmetic(operator: Operator, left: Number, right: Number) -> Value {
    if let (Number::Int(a), Number::Int(b)) = (left, right) {
        let result = match operator {
            Operator::Add => a.checked_add(b),
            Operator::Subtract => a.checked_sub(b),
            Operator::Multiply => a.checked_mul(b),
            Operator::Divide if b == 0 => return Value::Undefined,
            Operator::Divide => a.checked_div(b),
            _ if b == 0 => return Value::Undefined,
            _ => a.checked_rem(b),
        };
        if let Some(result) = result {
            return Value::int(result);
        }
    }
    let (a, b) = (left.decimal(), right.decimal());
    Value::decimal(match operator {
        Operator::Add => a.plus(b),
        Operator::Subtract => a.subtract(b),
        Operator::Multiply => a.multiply(b),
        Operator::Divide => a.divide(b),
        _ => a.remainder(b),
    })
}

fn walk<'v>(value: &'v Value, path: &[String]) -> &'v Value {
    path.iter().fold(value, |value, name| value.member(name))
}

/// Puts a value where `AS a.b` says, making objects on the way.
fn place(members: &mut IndexMap<String, Value>, path: &[String], value: Value) {
    let Some((name, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        members.insert(name.clone(), value);
        return;
    }
    let inner = members.entry(name.clone()).or_default();
    if !matches!(inner, Value::Object(_)) {
        *inner = Value::Object(IndexMap::new());
    }
    if let Value::Object(inner) = inner {
        place(inner, rest, value);
    }
}

/// Roughly the bytes of memory that a value takes.
fn weight(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| 64 + name.len() + weight(value)).sum()
            }
            _ => 0,
        }
}

const VARIABLES_SIZE: usize = 128 * 1024;
const MOST_COPIED: usize = 32 * 1024 * 1024;
