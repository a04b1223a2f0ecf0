//! Metric math, evaluated over series of values.
//!
//! A value is a number, a series or a list of series. Operators between series
//! take the times that both have; a number stands for a series that is the same
//! at all times. What divides by zero is left out, as AWS does.

use std::collections::BTreeMap;

use iotstack_local_kernel::Fault;

use super::invalid;
use super::math::{Expression, Sign};

/// Values by the start of their period, in milliseconds.
pub(super) type Points = BTreeMap<i64, f64>;

/// A series with what it is called.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) label: String,
    pub(super) points: Points,
    /// Milliseconds between two points.
    pub(super) period: i64,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    Number(f64),
    Text(String),
    Series(Line),
    List(Vec<Line>),
}

/// What an expression may refer to.
pub(super) trait Context {
    /// The outcome of another query.
    fn query(&self, id: &str) -> Result<Outcome, Fault>;
    /// All metrics of the request whose id holds a text.
    fn metrics(&self, part: &str) -> Vec<Line>;
    /// The series that a search finds.
    fn search(&self, text: &str, statistic: &str, period: Option<f64>) -> Result<Vec<Line>, Fault>;
    /// All times of the request, for series made from numbers.
    fn times(&self) -> (Vec<i64>, i64);
}

/// Evaluates an expression.
pub(super) fn evaluate(expression: &Expression, context: &dyn Context) -> Result<Outcome, Fault> {
    match expression {
        Expression::Number(number) => Ok(Outcome::Number(*number)),
        Expression::Text(text) => Ok(Outcome::Text(text.clone())),
        // The two words that FILL knows are written like ids.
        Expression::Query(word) if matches!(word.as_str(), "REPEAT" | "LINEAR") => {
            Ok(Outcome::Text(word.clone()))
        }
        Expression::Query(id) => context.query(id),
        Expression::Negative(inner) => {
            let inner = evaluate(inner, context)?;
            map(inner, |value| -value)
        }
        Expression::Binary(left, sign, right) => {
            binary(evaluate(left, context)?, *sign, evaluate(right, context)?)
        }
        Expression::List(items) => {
            let mut lines = Vec::new();
            for item in items {
                lines.extend(series(evaluate(item, context)?)?);
            }
            Ok(Outcome::List(lines))
        }
        Expression::Call(name, arguments) => {
            let arguments = arguments
                .iter()
                .map(|argument| evaluate(argument, context))
                .collect::<Result<Vec<_>, _>>()?;
            call(name, arguments, context)
        }
    }
}

fn call(name: &str, mut arguments: Vec<Outcome>, context: &dyn Context) -> Result<Outcome, Fault> {
    let count = arguments.len();
    let wrong = || invalid(format!("function {name} does not take {count} arguments like these"));
    let one = |arguments: &mut Vec<Outcome>| {
        if arguments.len() == 1 { Ok(arguments.remove(0)) } else { Err(wrong()) }
    };
    match name {
        "METRICS" => match arguments.as_slice() {
            [] => Ok(Outcome::List(context.metrics(""))),
            [Outcome::Text(part)] => Ok(Outcome::List(context.metrics(part))),
            _ => Err(wrong()),
        },
        "SEARCH" => match arguments.as_slice() {
            [Outcome::Text(text), Outcome::Text(statistic)] => {
                Ok(Outcome::List(context.search(text, statistic, None)?))
            }
            [Outcome::Text(text), Outcome::Text(statistic), Outcome::Number(period)] => {
                Ok(Outcome::List(context.search(text, statistic, Some(*period))?))
            }
            _ => Err(wrong()),
        },
        "ABS" => map(one(&mut arguments)?, f64::abs),
        "CEIL" => map(one(&mut arguments)?, f64::ceil),
        "FLOOR" => map(one(&mut arguments)?, f64::floor),
        "LOG" => map(one(&mut arguments)?, f64::ln),
        "LOG10" => map(one(&mut arguments)?, f64::log10),
        "SUM" => fold(one(&mut arguments)?, |values| values.iter().sum()),
        "AVG" => {
            fold(one(&mut arguments)?, |values| values.iter().sum::<f64>() / values.len() as f64)
        }
        "MIN" => fold(one(&mut arguments)?, |values| {
            values.iter().copied().fold(f64::INFINITY, f64::min)
        }),
        "MAX" => fold(one(&mut arguments)?, |values| {
            values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
        }),
        "STDDEV" => fold(one(&mut arguments)?, deviation),
        "DATAPOINT_COUNT" => match one(&mut arguments)? {
            Outcome::Series(line) => Ok(Outcome::Number(line.points.len() as f64)),
            list => fold(list, |values| values.len() as f64),
        },
        "METRIC_COUNT" => Ok(Outcome::Number(series(one(&mut arguments)?)?.len() as f64)),
        "FIRST" => {
            series(one(&mut arguments)?)?.into_iter().next().map(Outcome::Series).ok_or_else(wrong)
        }
        "LAST" => series(one(&mut arguments)?)?.pop().map(Outcome::Series).ok_or_else(wrong),
        "PERIOD" => match one(&mut arguments)? {
            Outcome::Series(line) => Ok(Outcome::Number(line.period as f64 / 1000.0)),
            _ => Err(wrong()),
        },
        "TIME_SERIES" => match one(&mut arguments)? {
            Outcome::Number(number) => {
                let (times, period) = context.times();
                let points = times.into_iter().map(|at| (at, number)).collect();
                Ok(Outcome::Series(Line { label: String::new(), points, period }))
            }
            _ => Err(wrong()),
        },
        "DIFF" => each(one(&mut arguments)?, |line| {
            pairs(&line.points).map(|(_, before, at, value)| (at, value - before)).collect()
        }),
        "DIFF_TIME" => each(one(&mut arguments)?, |line| {
            pairs(&line.points).map(|(then, _, at, _)| (at, (at - then) as f64 / 1000.0)).collect()
        }),
        "RATE" => each(one(&mut arguments)?, |line| {
            pairs(&line.points)
                .map(|(then, before, at, value)| {
                    (at, (value - before) / ((at - then) as f64 / 1000.0))
                })
                .collect()
        }),
        "RUNNING_SUM" => each(one(&mut arguments)?, |line| {
            let mut sum = 0.0;
            line.points
                .iter()
                .map(|(at, value)| {
                    sum += value;
                    (*at, sum)
                })
                .collect()
        }),
        "REMOVE_EMPTY" => {
            let lines = series(one(&mut arguments)?)?;
            Ok(Outcome::List(lines.into_iter().filter(|line| !line.points.is_empty()).collect()))
        }
        "FILL" => fill(arguments, context).ok_or_else(wrong),
        "IF" => choose(arguments).ok_or_else(wrong),
        other => Err(invalid(format!("the local cloud does not offer the function {other}"))),
    }
}

/// Fills the gaps of series with a number, with what came before, or on a line.
fn fill(mut arguments: Vec<Outcome>, context: &dyn Context) -> Option<Outcome> {
    if arguments.len() != 2 {
        return None;
    }
    let with = arguments.pop()?;
    let (times, _) = context.times();
    let filled = |line: &Line| -> Points {
        let mut points = line.points.clone();
        for at in times.iter().copied().filter(|at| (at % line.period.max(1)) == 0) {
            if points.contains_key(&at) {
                continue;
            }
            let before = line.points.range(..at).next_back();
            let after = line.points.range(at..).next();
            let value = match &with {
                Outcome::Number(number) => Some(*number),
                Outcome::Series(other) => other.points.get(&at).copied(),
                Outcome::Text(word) if word == "REPEAT" => before.map(|(_, value)| *value),
                Outcome::Text(word) if word == "LINEAR" => match (before, after) {
                    (Some((from, low)), Some((to, high))) => {
                        Some(low + (high - low) * (at - from) as f64 / (to - from) as f64)
                    }
                    _ => None,
                },
                _ => None,
            };
            if let Some(value) = value {
                points.insert(at, value);
            }
        }
        points
    };
    each(arguments.pop()?, filled).ok()
}

/// `IF(condition, then, else)`, point by point.
fn choose(mut arguments: Vec<Outcome>) -> Option<Outcome> {
    if !(2..=3).contains(&arguments.len()) {
        return None;
    }
    let otherwise = if arguments.len() == 3 { arguments.pop() } else { None };
    let then = arguments.pop()?;
    let condition = match arguments.pop()? {
        Outcome::Number(number) => {
            return if number != 0.0 { Some(then) } else { otherwise };
        }
        Outcome::Series(line) => line,
        _ => return None,
    };
    let at = |outcome: &Option<Outcome>, at: i64| match outcome {
        Some(Outcome::Number(number)) => Some(*number),
        Some(Outcome::Series(line)) => line.points.get(&at).copied(),
        _ => None,
    };
    let then = Some(then);
    let points = condition
        .points
        .iter()
        .filter_map(|(time, value)| {
            let chosen = if *value != 0.0 { at(&then, *time) } else { at(&otherwise, *time) };
            chosen.map(|value| (*time, value))
        })
        .collect();
    Some(Outcome::Series(Line { points, ..condition }))
}

fn binary(left: Outcome, sign: Sign, right: Outcome) -> Result<Outcome, Fault> {
    let apply = |a: f64, b: f64| -> Option<f64> {
        let truth = |holds: bool| f64::from(u8::from(holds));
        let value = match sign {
            Sign::Or => truth(a != 0.0 || b != 0.0),
            Sign::And => truth(a != 0.0 && b != 0.0),
            Sign::Equal => truth(a == b),
            Sign::Unequal => truth(a != b),
            Sign::Less => truth(a < b),
            Sign::LessOrEqual => truth(a <= b),
            Sign::Greater => truth(a > b),
            Sign::GreaterOrEqual => truth(a >= b),
            Sign::Plus => a + b,
            Sign::Minus => a - b,
            Sign::Times => a * b,
            Sign::Over => a / b,
            Sign::Power => a.powf(b),
        };
        value.is_finite().then_some(value)
    };
    let with_number = |line: Line, number: f64, swapped: bool| Line {
        points: line
            .points
            .iter()
            .filter_map(|(at, value)| {
                let (a, b) = if swapped { (number, *value) } else { (*value, number) };
                apply(a, b).map(|value| (*at, value))
            })
            .collect(),
        ..line
    };
    let together = |a: Line, b: &Line| Line {
        points: a
            .points
            .iter()
            .filter_map(|(at, value)| apply(*value, *b.points.get(at)?).map(|value| (*at, value)))
            .collect(),
        ..a
    };
    Ok(match (left, right) {
        (Outcome::Number(a), Outcome::Number(b)) => {
            Outcome::Number(apply(a, b).ok_or_else(|| invalid("an expression divides by zero"))?)
        }
        (Outcome::Series(line), Outcome::Number(number)) => {
            Outcome::Series(with_number(line, number, false))
        }
        (Outcome::Number(number), Outcome::Series(line)) => {
            Outcome::Series(with_number(line, number, true))
        }
        (Outcome::Series(a), Outcome::Series(b)) => Outcome::Series(together(a, &b)),
        (Outcome::List(lines), Outcome::Number(number)) => {
            Outcome::List(lines.into_iter().map(|line| with_number(line, number, false)).collect())
        }
        (Outcome::Number(number), Outcome::List(lines)) => {
            Outcome::List(lines.into_iter().map(|line| with_number(line, number, true)).collect())
        }
        (Outcome::List(lines), Outcome::Series(other)) => {
            Outcome::List(lines.into_iter().map(|line| together(line, &other)).collect())
        }
        (Outcome::Series(line), Outcome::List(others)) => {
            Outcome::List(others.iter().map(|other| together(line.clone(), other)).collect())
        }
        _ => return Err(invalid("an operator stands between values that it does not take")),
    })
}

/// Applies a function to every value.
fn map(outcome: Outcome, apply: fn(f64) -> f64) -> Result<Outcome, Fault> {
    match outcome {
        Outcome::Number(number) => Ok(Outcome::Number(apply(number))),
        other => each(other, |line| {
            line.points
                .iter()
                .map(|(at, value)| (*at, apply(*value)))
                .filter(|(_, value)| value.is_finite())
                .collect()
        }),
    }
}

/// Applies a function to every series.
fn each(outcome: Outcome, apply: impl Fn(&Line) -> Points) -> Result<Outcome, Fault> {
    let changed = |line: Line| Line { points: apply(&line), ..line };
    match outcome {
        Outcome::Series(line) => Ok(Outcome::Series(changed(line))),
        Outcome::List(lines) => Ok(Outcome::List(lines.into_iter().map(changed).collect())),
        Outcome::Number(_) | Outcome::Text(_) => Err(invalid("a series was expected")),
    }
}

/// One number of a series, or one series of a list.
fn fold(outcome: Outcome, apply: impl Fn(&[f64]) -> f64) -> Result<Outcome, Fault> {
    match outcome {
        Outcome::Series(line) => {
            let values: Vec<f64> = line.points.into_values().collect();
            // Nothing in, nothing out: a sum of nothing is no zero here either.
            if values.is_empty() {
                return Ok(Outcome::Series(Line {
                    points: Points::new(),
                    label: line.label,
                    period: line.period,
                }));
            }
            Ok(Outcome::Number(apply(&values)))
        }
        Outcome::List(lines) => {
            let mut columns: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
            let period = lines.iter().map(|line| line.period).max().unwrap_or(60_000);
            for line in &lines {
                for (at, value) in &line.points {
                    columns.entry(*at).or_default().push(*value);
                }
            }
            let points = columns.iter().map(|(at, values)| (*at, apply(values))).collect();
            Ok(Outcome::Series(Line { label: String::new(), points, period }))
        }
        Outcome::Number(number) => Ok(Outcome::Number(apply(&[number]))),
        Outcome::Text(_) => Err(invalid("a series was expected")),
    }
}

fn series(outcome: Outcome) -> Result<Vec<Line>, Fault> {
    match outcome {
        Outcome::Series(line) => Ok(vec![line]),
        Outcome::List(lines) => Ok(lines),
        _ => Err(invalid("a series was expected")),
    }
}

fn pairs(points: &Points) -> impl Iterator<Item = (i64, f64, i64, f64)> {
    points
        .iter()
        .zip(points.iter().skip(1))
        .map(|((then, before), (at, value))| (*then, *before, *at, *value))
}

fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}
