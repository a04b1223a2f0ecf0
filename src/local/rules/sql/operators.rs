//! What operators and casts make of values.
//!
//! Whole numbers stay whole, text that writes a number counts as one, and what cannot
//! be converted gives `Undefined`. Operands come evaluated; evaluating them is the
//! business of `evaluate`.

use std::cmp::Ordering;

use super::ast::{CastType, Operator};
use super::budget::{steps, text_steps};
use super::context::Interrupt;
use super::evaluate::Evaluator;
use super::functions;
use super::number::{Decimal, Rounding};
use super::value::{Number, Value};

impl Evaluator<'_> {
    /// The result of an operator.
    pub fn binary(
        &self,
        operator: Operator,
        left: &Value,
        right: &Value,
    ) -> Result<Value, Interrupt> {
        self.budget.work(text_steps(left) + text_steps(right))?;
        Ok(match operator {
            Operator::And | Operator::Or => match (left.to_boolean(), right.to_boolean()) {
                (Some(a), Some(b)) if operator == Operator::And => Value::Boolean(a && b),
                (Some(a), Some(b)) => Value::Boolean(a || b),
                _ => Value::Undefined,
            },
            Operator::Equal | Operator::Different => {
                if left.is_undefined() || right.is_undefined() {
                    return Ok(Value::Undefined);
                }
                Value::Boolean(self.same(left, right)? == (operator == Operator::Equal))
            }
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => {
                let (Some(a), Some(b)) = (left.to_decimal(), right.to_decimal()) else {
                    return Ok(Value::Undefined);
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
                self.budget.work(steps(left) + steps(right))?;
                match (left.to_text(self.version), right.to_text(self.version)) {
                    (Some(a), Some(b)) => {
                        let text = a + &b;
                        if text.len() > functions::LARGEST {
                            return Err(functions::outgrown());
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
        })
    }

    /// The value as another kind, as `cast` converts it.
    pub fn cast(&self, value: &Value, target: CastType) -> Value {
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

    /// Whether two values are the same; comparing them is work.
    pub fn same(&self, left: &Value, right: &Value) -> Result<bool, Interrupt> {
        self.budget.work(steps(left))?;
        Ok(left.same(right))
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
