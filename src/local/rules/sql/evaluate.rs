//! Applying a statement to a message.
//!
//! Values are borrowed from the message and the statement as long as they are only
//! looked at, so that a condition on a field copies nothing. Nothing fails for lack
//! of a field: what is missing is `Undefined`, and a condition that is not true
//! keeps the rule from running.
//!
//! What does fail is a function that asked another service without success, a value
//! that outgrows its limit, and a statement that outgrows its [`Budget`]; each ends the
//! rule for this message.

use std::borrow::Cow;
use std::cell::Cell;

use indexmap::IndexMap;
use regex::Regex;

use super::ast::{CastType, Expr, Item, Items, Operator, Select};
use super::budget::{Budget, name_weight, steps, text_steps};
use super::context::{Answers, Context, Interrupt, Output, Question};
use super::functions::{Body, Call, Function};
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
    failure: Cell<Option<Interrupt>>,
    pub budget: Budget,
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
            budget: Budget::default(),
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

    /// Ends the rule for this message, once the function that runs has returned.
    pub fn fail(&self, reason: Interrupt) {
        self.failure.set(Some(reason));
    }

    /// The value, to be kept in the result. What was made for it has been counted
    /// part by part.
    fn own(&self, value: Cow<'_, Value>) -> Result<Value, Interrupt> {
        match &value {
            Cow::Borrowed(value) => self.budget.copy(value)?,
            Cow::Owned(Value::Array(_) | Value::Object(_)) => {
                self.budget.hold(size_of::<Value>())?;
            }
            Cow::Owned(scalar) => self.budget.copy(scalar)?,
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
                        self.budget.copy(row)?;
                        members
                            .extend(all.iter().map(|(name, value)| (name.clone(), value.clone())));
                    }
                }
                Item::Named(expr, path) => {
                    let value = self.own(self.eval(expr, row)?)?;
                    if !value.is_undefined() {
                        self.budget.hold(path.iter().map(|name| name_weight(name)).sum())?;
                        place(&mut members, path, value);
                    }
                }
            }
        }
        Ok(Value::Object(members))
    }

    /// Evaluates one expression; paths begin at `row`.
    ///
    /// Statements are trees of some height, so each kind of expression has a method of
    /// its own: what one needs on the stack is not paid for by all others.
    pub fn eval<'e>(&'e self, expr: &'e Expr, row: &'e Value) -> Evaluated<'e> {
        self.budget.work(1)?;
        match expr {
            Expr::Literal(value) => Ok(Cow::Borrowed(value)),
            Expr::Path(path) => self.walk(row, path).map(Cow::Borrowed),
            Expr::Variable(place) => {
                Ok(Cow::Borrowed(self.variables.get(*place).unwrap_or(&Value::Undefined)))
            }
            Expr::Members(inner, path) => self.members(inner, path, row),
            Expr::Star => Ok(Cow::Borrowed(self.row())),
            Expr::Not(inner) => self.not(inner, row),
            Expr::Negative(inner) => self.negative(inner, row),
            Expr::Binary(operator, left, right) => self.operation(*operator, left, right, row),
            Expr::In(value, list) => self.is_in(value, list, row),
            Expr::Cast(inner, target) => self.cast_of(inner, *target, row),
            Expr::Case(value, arms, other) => self.case(value, arms, other.as_deref(), row),
            Expr::Call(function, arguments, pattern) => {
                self.call(function, arguments, pattern.as_ref(), row)
            }
            Expr::Select(select) => self.nested(select, row).map(Cow::Owned),
            Expr::Object(members) => self.object(members, row),
            Expr::Array(items) => self.array(items, row),
        }
    }

    fn members<'e>(&'e self, inner: &'e Expr, path: &[String], row: &'e Value) -> Evaluated<'e> {
        Ok(match self.eval(inner, row)? {
            Cow::Borrowed(value) => Cow::Borrowed(self.walk(value, path)?),
            Cow::Owned(value) => Cow::Owned(self.walk(&value, path)?.clone()),
        })
    }

    fn not<'e>(&'e self, inner: &'e Expr, row: &'e Value) -> Evaluated<'e> {
        Ok(Cow::Owned(match self.eval(inner, row)?.to_boolean() {
            Some(value) => Value::Boolean(!value),
            None => Value::Undefined,
        }))
    }

    fn negative<'e>(&'e self, inner: &'e Expr, row: &'e Value) -> Evaluated<'e> {
        let inner = self.eval(inner, row)?;
        self.budget.work(text_steps(&inner))?;
        Ok(Cow::Owned(match inner.to_number(self.version) {
            Some(Number::Int(value)) => Value::int(-value),
            Some(Number::Decimal(value)) => Value::Decimal(value.negate()),
            None => Value::Undefined,
        }))
    }

    fn operation<'e>(
        &'e self,
        operator: Operator,
        left: &'e Expr,
        right: &'e Expr,
        row: &'e Value,
    ) -> Evaluated<'e> {
        let (left, right) = (self.eval(left, row)?, self.eval(right, row)?);
        self.binary(operator, &left, &right).map(Cow::Owned)
    }

    fn is_in<'e>(&'e self, value: &'e Expr, list: &'e Expr, row: &'e Value) -> Evaluated<'e> {
        let (value, list) = (self.eval(value, row)?, self.eval(list, row)?);
        let (false, Value::Array(items)) = (value.is_undefined(), &*list) else {
            return Ok(Cow::Owned(Value::Undefined));
        };
        for item in items {
            if self.same(item, &value)? {
                return Ok(Cow::Owned(Value::Boolean(true)));
            }
        }
        Ok(Cow::Owned(Value::Boolean(false)))
    }

    fn cast_of<'e>(&'e self, inner: &'e Expr, target: CastType, row: &'e Value) -> Evaluated<'e> {
        let value = self.eval(inner, row)?;
        self.budget.work(steps(&value))?;
        Ok(Cow::Owned(self.cast(&value, target)))
    }

    fn call<'e>(
        &'e self,
        function: &'static Function,
        arguments: &'e [Expr],
        pattern: Option<&'e Regex>,
        row: &'e Value,
    ) -> Evaluated<'e> {
        let body = match function.body {
            Body::OrDefault => return self.or_default(arguments, row),
            Body::External => return self.ask(function.name, arguments, row),
            // The reader lets no statement with such a function pass.
            Body::Refused(reason) => return Err(Interrupt::Failed(reason.to_owned())),
            Body::Pure(body) => body,
        };
        let values = self.values(arguments, row)?;
        self.budget.work(values.iter().map(|value| text_steps(value)).sum())?;
        let star = matches!(arguments.first(), Some(Expr::Star));
        let result =
            body(&Call { evaluator: self, values: &values, pattern, star }).unwrap_or_default();
        if let Some(reason) = self.failure.take() {
            return Err(reason);
        }
        match &result {
            Value::Array(_) | Value::Object(_) => self.budget.copy(&result)?,
            scalar => self.budget.work(text_steps(scalar))?,
        }
        Ok(Cow::Owned(result))
    }

    fn object<'e>(&'e self, members: &'e [(String, Expr)], row: &'e Value) -> Evaluated<'e> {
        let mut object = IndexMap::with_capacity(members.len());
        for (name, value) in members {
            self.budget.hold(name_weight(name))?;
            object.insert(name.clone(), self.own(self.eval(value, row)?)?);
        }
        Ok(Cow::Owned(Value::Object(object)))
    }

    fn array<'e>(&'e self, items: &'e [Expr], row: &'e Value) -> Evaluated<'e> {
        let mut array = Vec::with_capacity(items.len());
        for item in items {
            array.push(self.own(self.eval(item, row)?)?);
        }
        Ok(Cow::Owned(Value::Array(array)))
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
        // Each argument is copied, and compared with what was asked before.
        let asked = self.answers.count() + 1;
        self.budget.work(values.iter().map(|value| steps(value) * asked).sum())?;
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
            if self.same(&*self.eval(when, row)?, &value)? {
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
            self.budget.work(1)?;
            if self.holds(select, row)? {
                let result = self.items(&select.items, row)?;
                if !result.is_undefined() {
                    self.budget.hold(size_of::<Value>())?;
                    results.push(result);
                }
            }
        }
        Ok(Value::Array(results))
    }

    fn walk<'v>(&self, value: &'v Value, path: &[String]) -> Result<&'v Value, Interrupt> {
        self.budget.work(path.len())?;
        Ok(path.iter().fold(value, |value, name| value.member(name)))
    }
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

const VARIABLES_SIZE: usize = 128 * 1024;
