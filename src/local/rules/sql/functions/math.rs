//! Functions on numbers.
//!
//! What stays exact in base ten is exact; the transcendental functions go through
//! `f64` and are as good as that. A result that is no number, such as the root of
//! a negative one, is `Undefined`.

use super::Call;
use crate::sql::ast::Operator;
use crate::sql::number::{Decimal, Rounding};
use crate::sql::operators::arithmetic;
use crate::sql::value::{Number, Value};

pub fn abs(call: &Call<'_>) -> Option<Value> {
    Some(match number(call, 0)? {
        Number::Int(value) => Value::int(value.abs()),
        Number::Decimal(value) => Value::Decimal(value.absolute()),
    })
}

pub fn acos(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.acos())
}

pub fn asin(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.asin())
}

pub fn atan(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.atan())
}

pub fn atan2(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.atan2(call.float(1)?))
}

pub fn bitand(call: &Call<'_>) -> Option<Value> {
    Some(Value::int(call.int(0)? & call.int(1)?))
}

pub fn bitor(call: &Call<'_>) -> Option<Value> {
    Some(Value::int(call.int(0)? | call.int(1)?))
}

pub fn bitxor(call: &Call<'_>) -> Option<Value> {
    Some(Value::int(call.int(0)? ^ call.int(1)?))
}

/// All bits the other way round, in two's complement: `bitnot(13)` is -14.
pub fn bitnot(call: &Call<'_>) -> Option<Value> {
    Some(Value::int(!call.int(0)?))
}

pub fn ceil(call: &Call<'_>) -> Option<Value> {
    whole(call, Rounding::Ceiling)
}

pub fn cos(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.cos())
}

pub fn cosh(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.cosh())
}

pub fn exp(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.exp())
}

pub fn floor(call: &Call<'_>) -> Option<Value> {
    whole(call, Rounding::Floor)
}

pub fn ln(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.ln())
}

/// The logarithm to base ten.
pub fn log(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.log10())
}

/// The first argument if it is a number, else the second.
pub fn nanvl(call: &Call<'_>) -> Option<Value> {
    let first = call.value(0).to_number(call.evaluator.version);
    Some(match first {
        Some(number) => number.into(),
        None => call.value(1).clone(),
    })
}

/// The power, exact for small whole exponents; always a decimal.
pub fn power(call: &Call<'_>) -> Option<Value> {
    let (base, exponent) = (call.decimal(0)?, call.decimal(1)?);
    if let Some(times) = exponent.whole().filter(|times| times.abs() <= 64) {
        let mut result = Decimal::from_int(1);
        for _ in 0..times.abs() {
            result = result.multiply(base)?;
        }
        if times < 0 {
            result = Decimal::from_int(1).divide(result)?;
        }
        return Some(Value::Decimal(result));
    }
    float(base.to_f64().powf(exponent.to_f64()))
}

/// A random number from 0 to 1.
pub fn rand(call: &Call<'_>) -> Option<Value> {
    // 53 bits are what an f64 holds exactly.
    float((call.evaluator.random() >> 11) as f64 / (1u64 << 53) as f64)
}

pub fn remainder(call: &Call<'_>) -> Option<Value> {
    Some(arithmetic(Operator::Modulo, number(call, 0)?, number(call, 1)?))
}

/// The nearest whole number; a half goes away from zero.
pub fn round(call: &Call<'_>) -> Option<Value> {
    whole(call, Rounding::HalfAway)
}

pub fn sign(call: &Call<'_>) -> Option<Value> {
    Some(Value::Int(call.decimal(0)?.sign()))
}

pub fn sin(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.sin())
}

pub fn sinh(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.sinh())
}

pub fn sqrt(call: &Call<'_>) -> Option<Value> {
    call.decimal(0)?.square_root().map(Value::Decimal)
}

pub fn tan(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.tan())
}

pub fn tanh(call: &Call<'_>) -> Option<Value> {
    float(call.float(0)?.tanh())
}

/// The number cut after so many places, at most 34.
pub fn trunc(call: &Call<'_>) -> Option<Value> {
    let places = call.int(1)?.clamp(0, 34) as i32;
    Some(Value::decimal(call.decimal(0)?.round_to(places, Rounding::Truncate)))
}

fn number(call: &Call<'_>, place: usize) -> Option<Number> {
    call.value(place).to_number(call.evaluator.version)
}

fn whole(call: &Call<'_>, mode: Rounding) -> Option<Value> {
    Some(match number(call, 0)? {
        Number::Int(value) => Value::Int(value),
        Number::Decimal(value) => match value.round(mode) {
            Some(whole) => Value::Int(whole),
            // More than 34 digits: there are no others to round.
            None => Value::Decimal(value),
        },
    })
}

fn float(value: f64) -> Option<Value> {
    Decimal::from_f64(value).map(Value::Decimal)
}
