//! The functions of the rule SQL: one table, one file per family.
//!
//! A pure function gets its evaluated arguments and gives a value, or nothing for
//! `Undefined`. Functions that ask another service are in the table without a body;
//! the evaluator interrupts for them. Functions that are not offered are in the
//! table with the reason, so that a statement is refused by name.

mod context;
mod encode;
mod math;
mod text;
mod time;

use std::borrow::Cow;
use std::ops::RangeInclusive;

use regex::Regex;

use super::Version;
use super::budget::steps;
use super::context::Interrupt;
use super::evaluate::Evaluator;
use super::number::Decimal;
use super::value::Value;

/// A function of the language.
#[derive(Debug)]
pub struct Function {
    /// Its name; statements may write it in any case.
    pub name: &'static str,
    /// How many arguments it takes.
    pub arity: RangeInclusive<usize>,
    /// The first version that has it.
    pub since: Version,
    /// Whether its first argument may be `*`, the message as it came.
    pub takes_star: bool,
    /// Whether its second argument is a pattern.
    pub pattern: bool,
    /// What it does.
    pub body: Body,
}

/// What a function does.
#[derive(Debug)]
pub enum Body {
    /// Makes a value of its arguments.
    Pure(fn(&Call<'_>) -> Option<Value>),
    /// Asks another service.
    External,
    /// `get_or_default`, which must see whether its argument fails.
    OrDefault,
    /// Is not offered, for this reason.
    Refused(&'static str),
}

impl Function {
    /// Whether it asks another service.
    pub fn is_external(&self) -> bool {
        matches!(self.body, Body::External)
    }

    /// Why it is not offered, if so.
    pub fn refused(&self) -> Option<&'static str> {
        match self.body {
            Body::Refused(reason) => Some(reason),
            _ => None,
        }
    }
}

/// One call of a pure function.
pub struct Call<'c> {
    pub(super) evaluator: &'c Evaluator<'c>,
    pub(super) values: &'c [Cow<'c, Value>],
    pub(super) pattern: Option<&'c Regex>,
    pub(super) star: bool,
}

impl Call<'_> {
    fn count(&self) -> usize {
        self.values.len()
    }

    fn value(&self, place: usize) -> &Value {
        self.values.get(place).map_or(&Value::Undefined, |value| value)
    }

    fn decimal(&self, place: usize) -> Option<Decimal> {
        self.value(place).to_decimal()
    }

    fn float(&self, place: usize) -> Option<f64> {
        self.decimal(place).map(Decimal::to_f64)
    }

    fn int(&self, place: usize) -> Option<i128> {
        self.value(place).to_int()
    }

    /// The argument as text, borrowed if it is text already.
    fn text(&self, place: usize) -> Option<Cow<'_, str>> {
        match self.value(place) {
            Value::String(text) => Some(Cow::Borrowed(text)),
            other => {
                self.work(steps(other))?;
                other.to_text(self.evaluator.version).map(Cow::Owned)
            }
        }
    }

    /// Whether a result of this size is allowed; if not, the rule ends here.
    fn allows(&self, size: usize) -> Option<()> {
        if size <= LARGEST {
            return Some(());
        }
        self.evaluator.fail(outgrown());
        None
    }

    /// Counts work beyond reading texts; if there is too much of it, the rule ends here.
    fn work(&self, steps: usize) -> Option<()> {
        self.within(self.evaluator.budget.work(steps))
    }

    /// Counts a value before it is copied; if there are too many, the rule ends here.
    fn copy(&self, value: &Value) -> Option<()> {
        self.within(self.evaluator.budget.copy(value))
    }

    fn within(&self, counted: Result<(), Interrupt>) -> Option<()> {
        counted.map_err(|reason| self.evaluator.fail(reason)).ok()
    }
}

/// The function of that name, in any case.
pub fn find(name: &str) -> Option<&'static Function> {
    TABLE.iter().find(|function| function.name.eq_ignore_ascii_case(name))
}

/// The end of a rule that makes a text above [`LARGEST`].
pub fn outgrown() -> Interrupt {
    Interrupt::Failed(format!("a value outgrew {LARGEST} bytes"))
}

/// The largest text that a function makes: some times the largest message.
pub const LARGEST: usize = 1024 * 1024;

/// How large a compiled pattern may be.
pub const PATTERN_SIZE: usize = 1024 * 1024;

const fn pure(
    name: &'static str,
    arity: RangeInclusive<usize>,
    body: fn(&Call<'_>) -> Option<Value>,
) -> Function {
    Function {
        name,
        arity,
        since: Version::V2015,
        takes_star: false,
        pattern: false,
        body: Body::Pure(body),
    }
}

const fn newer(
    name: &'static str,
    arity: RangeInclusive<usize>,
    body: fn(&Call<'_>) -> Option<Value>,
) -> Function {
    Function { since: Version::V2016, ..pure(name, arity, body) }
}

const fn matching(
    name: &'static str,
    arity: RangeInclusive<usize>,
    body: fn(&Call<'_>) -> Option<Value>,
) -> Function {
    Function { pattern: true, ..pure(name, arity, body) }
}

const fn coding(name: &'static str, body: fn(&Call<'_>) -> Option<Value>) -> Function {
    Function { takes_star: true, ..newer(name, 2..=6, body) }
}

const fn external(name: &'static str, since: Version, arity: RangeInclusive<usize>) -> Function {
    Function { name, arity, since, takes_star: false, pattern: false, body: Body::External }
}

static TABLE: &[Function] = &[
    pure("abs", 1..=1, math::abs),
    pure("accountid", 0..=0, context::accountid),
    pure("acos", 1..=1, math::acos),
    pure("asin", 1..=1, math::asin),
    pure("atan", 1..=1, math::atan),
    pure("atan2", 2..=2, math::atan2),
    external("aws_lambda", Version::V2015, 2..=2),
    pure("bitand", 2..=2, math::bitand),
    pure("bitor", 2..=2, math::bitor),
    pure("bitxor", 2..=2, math::bitxor),
    pure("bitnot", 1..=1, math::bitnot),
    pure("ceil", 1..=1, math::ceil),
    pure("chr", 1..=1, text::chr),
    pure("clientid", 0..=0, context::clientid),
    pure("concat", 0..=usize::MAX, text::concat),
    pure("cos", 1..=1, math::cos),
    pure("cosh", 1..=1, math::cosh),
    coding("decode", encode::decode),
    coding("encode", encode::encode),
    pure("endswith", 2..=2, text::endswith),
    pure("exp", 1..=1, math::exp),
    pure("floor", 1..=1, math::floor),
    pure("get", 2..=2, context::get),
    external("get_dynamodb", Version::V2016, 4..=6),
    pure("get_mqtt_property", 1..=1, context::get_mqtt_property),
    Function { body: Body::OrDefault, ..external("get_or_default", Version::V2016, 1..=2) },
    external("get_registry_data", Version::V2016, 3..=3),
    external("get_secret", Version::V2016, 3..=4),
    external("get_thing_shadow", Version::V2016, 2..=3),
    pure("get_user_properties", 0..=1, context::get_user_properties),
    newer("indexof", 2..=2, text::indexof),
    pure("isNull", 1..=1, context::is_null),
    newer("isUndefined", 1..=1, context::is_undefined),
    newer("length", 1..=1, text::length),
    pure("ln", 1..=1, math::ln),
    pure("log", 1..=1, math::log),
    pure("lower", 1..=1, text::lower),
    pure("lpad", 2..=2, text::lpad),
    pure("ltrim", 1..=1, text::ltrim),
    Function {
        body: Body::Refused("there is no model to ask on this machine"),
        ..external("machinelearning_predict", Version::V2015, 0..=usize::MAX)
    },
    pure("md2", 1..=1, encode::md2),
    pure("md5", 1..=1, encode::md5),
    pure("mod", 2..=2, math::remainder),
    pure("nanvl", 2..=2, math::nanvl),
    pure("newuuid", 0..=0, context::newuuid),
    newer("numbytes", 1..=1, text::numbytes),
    newer("parse_time", 2..=3, time::parse_time),
    pure("power", 2..=2, math::power),
    pure("principal", 0..=0, context::principal),
    pure("rand", 0..=0, math::rand),
    matching("regexp_matches", 2..=2, text::regexp_matches),
    matching("regexp_replace", 3..=3, text::regexp_replace),
    matching("regexp_substr", 2..=2, text::regexp_substr),
    pure("remainder", 2..=2, math::remainder),
    pure("replace", 3..=3, text::replace),
    pure("round", 1..=1, math::round),
    pure("rpad", 2..=2, text::rpad),
    pure("rtrim", 1..=1, text::rtrim),
    pure("sha1", 1..=1, encode::sha1),
    pure("sha224", 1..=1, encode::sha224),
    pure("sha256", 1..=1, encode::sha256),
    pure("sha384", 1..=1, encode::sha384),
    pure("sha512", 1..=1, encode::sha512),
    pure("sign", 1..=1, math::sign),
    pure("sin", 1..=1, math::sin),
    pure("sinh", 1..=1, math::sinh),
    pure("sql_version", 0..=0, context::sql_version),
    pure("sqrt", 1..=1, math::sqrt),
    pure("startswith", 2..=2, text::startswith),
    pure("substring", 2..=3, text::substring),
    pure("tan", 1..=1, math::tan),
    pure("tanh", 1..=1, math::tanh),
    newer("time_to_epoch", 2..=2, time::time_to_epoch),
    pure("timestamp", 0..=0, context::timestamp),
    pure("topic", 0..=1, context::topic),
    pure("traceid", 0..=0, context::traceid),
    newer("transform", 3..=3, context::transform),
    pure("trim", 1..=1, text::trim),
    pure("trunc", 2..=2, math::trunc),
    pure("upper", 1..=1, text::upper),
];
