//! Numbers over many things: statistics, percentiles, cardinality, buckets.
//!
//! AWS approximates percentiles and cardinality; here they are exact.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The values of a field over the things that a query finds.
#[derive(Debug, Default)]
pub struct Aggregate {
    /// How many documents the query finds.
    pub documents: usize,
    /// The numbers among the values.
    pub numbers: Vec<f64>,
    /// All values as texts, with how often they occur.
    pub values: BTreeMap<String, usize>,
}

impl Aggregate {
    /// Takes a value in.
    pub fn add(&mut self, value: super::Scalar<'_>, numeric: bool) {
        let text = match value {
            super::Scalar::Text(text) => {
                if numeric && let Ok(number) = text.parse::<f64>() {
                    self.numbers.push(number);
                }
                text.to_owned()
            }
            super::Scalar::Number(number) => {
                self.numbers.push(number);
                number.to_string()
            }
            super::Scalar::Bool(value) => value.to_string(),
        };
        *self.values.entry(text).or_default() += 1;
    }
}

/// The statistics of GetStatistics. Fields that hold no numbers have a count only.
pub fn aggregate(found: &Aggregate, numeric: bool) -> Map<String, Value> {
    let mut shown = Map::new();
    if !numeric {
        let count: usize = found.values.values().sum();
        shown.insert("count".to_owned(), json!(count));
        return shown;
    }
    let count = found.numbers.len();
    shown.insert("count".to_owned(), json!(count));
    if count == 0 {
        return shown;
    }
    let sum: f64 = found.numbers.iter().sum();
    let squares: f64 = found.numbers.iter().map(|number| number * number).sum();
    let average = sum / count as f64;
    let variance = (squares / count as f64 - average * average).max(0.0);
    let smallest = found.numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = found.numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for (name, value) in [
        ("average", average),
        ("sum", sum),
        ("minimum", smallest),
        ("maximum", largest),
        ("sumOfSquares", squares),
        ("variance", variance),
        ("stdDeviation", variance.sqrt()),
    ] {
        shown.insert(name.to_owned(), json!(value));
    }
    shown
}

/// The values below which the given per cents of the numbers lie.
pub fn percentiles(found: &Aggregate, percents: &[f64]) -> Vec<(f64, f64)> {
    let mut sorted = found.numbers.clone();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return Vec::new() };
    percents
        .iter()
        .map(|percent| {
            let place = (percent / 100.0).clamp(0.0, 1.0) * last as f64;
            let (low, high) = (place.floor() as usize, place.ceil() as usize);
            let value = sorted[low] + (sorted[high.min(last)] - sorted[low]) * place.fract();
            (*percent, value)
        })
        .collect()
}

/// The most frequent values.
pub fn buckets(found: &Aggregate, most: usize) -> Vec<(&str, usize)> {
    let mut all: Vec<(&str, usize)> =
        found.values.iter().map(|(value, count)| (value.as_str(), *count)).collect();
    // Values that are equally frequent stay in their order.
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all.truncate(most);
    all
}
