//! Metrics, aggregated per minute.
//!
//! A minute keeps count, sum, smallest and largest value, and the values
//! themselves as long as they are few; beyond that percentiles are approximate.
//! Everything is bounded: series, minutes of a series, values of a minute.

use std::collections::{BTreeMap, VecDeque};

use iotstack_local_kernel::{Fault, Timestamp};

use super::{LONGEST, MINUTE, invalid};

/// All metrics.
#[derive(Default)]
pub(super) struct Series {
    namespaces: BTreeMap<String, BTreeMap<String, BTreeMap<String, Metric>>>,
    count: usize,
}

/// A metric with its dimensions.
pub(super) struct Metric {
    pub(super) dimensions: Vec<(String, String)>,
    pub(super) last: Timestamp,
    units: BTreeMap<String, VecDeque<(i64, Summary)>>,
}

/// What is known of the values of some time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Summary {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) least: f64,
    pub(super) most: f64,
    /// Values and how often they came, in their order.
    values: Vec<(f64, f64)>,
}

/// A statistic of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Statistic {
    SampleCount,
    Average,
    Sum,
    Minimum,
    Maximum,
    Percentile(f64),
}

/// Which metric, from when to when, in steps of how long.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) dimensions: Vec<(String, String)>,
    pub(super) unit: Option<String>,
}

impl Series {
    /// Adds `count` times a value.
    #[expect(clippy::too_many_arguments, reason = "a value has all these")]
    pub(super) fn add(
        &mut self,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        unit: &str,
        at: Timestamp,
        value: f64,
        count: f64,
    ) {
        if let Some(summary) = self.summary(namespace, name, dimensions, unit, at) {
            summary.add(value, count);
        }
    }

    /// Adds values that somebody else summed up.
    pub(super) fn merge(
        &mut self,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        unit: &str,
        at: Timestamp,
        other: &Summary,
    ) {
        if let Some(summary) = self.summary(namespace, name, dimensions, unit, at) {
            summary.merge(other);
        }
    }

    /// The minute that a value belongs to; none if there are too many metrics.
    fn summary(
        &mut self,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        unit: &str,
        at: Timestamp,
    ) -> Option<&mut Summary> {
        let key = key_of(dimensions);
        if !self.namespaces.contains_key(namespace) {
            self.namespaces.insert(namespace.to_owned(), BTreeMap::new());
        }
        let names = self.namespaces.get_mut(namespace)?;
        if !names.contains_key(name) {
            names.insert(name.to_owned(), BTreeMap::new());
        }
        let metrics = names.get_mut(name)?;
        if !metrics.contains_key(&key) {
            if self.count >= MOST_SERIES {
                tracing::debug!(namespace, name, "too many metrics: a value is dropped");
                return None;
            }
            self.count += 1;
            let mut dimensions: Vec<(String, String)> = dimensions
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            dimensions.sort();
            let metric = Metric { dimensions, last: at, units: BTreeMap::new() };
            metrics.insert(key.clone(), metric);
        }
        let metric = metrics.get_mut(&key)?;
        metric.last = metric.last.max(at);
        if !metric.units.contains_key(unit) {
            metric.units.insert(unit.to_owned(), VecDeque::new());
        }
        let minutes = metric.units.get_mut(unit)?;
        let minute = at.0.div_euclid(MINUTE);
        let place = match minutes.back() {
            Some((last, _)) if *last == minute => minutes.len() - 1,
            Some((last, _)) if *last > minute => {
                let place = minutes.partition_point(|(known, _)| *known < minute);
                if minutes[place].0 != minute {
                    minutes.insert(place, (minute, Summary::default()));
                }
                place
            }
            _ => {
                minutes.push_back((minute, Summary::default()));
                let horizon = minute - i64::try_from(LONGEST.as_secs() / 60).unwrap_or(0);
                while minutes.front().is_some_and(|(first, _)| *first < horizon) {
                    minutes.pop_front();
                }
                minutes.len() - 1
            }
        };
        minutes.get_mut(place).map(|(_, summary)| summary)
    }

    /// What came in the steps of `period` between two times, by the step's start.
    pub(super) fn read(
        &self,
        selection: &Selection,
        start: Timestamp,
        end: Timestamp,
        period: i64,
    ) -> BTreeMap<i64, Summary> {
        let mut found: BTreeMap<i64, Summary> = BTreeMap::new();
        let Some(metric) = self.metric(selection) else { return found };
        for (unit, minutes) in &metric.units {
            if selection.unit.as_ref().is_some_and(|wanted| wanted != unit) {
                continue;
            }
            let begin = minutes.partition_point(|(minute, _)| *minute * MINUTE < start.0);
            for (minute, summary) in minutes.range(begin..) {
                let at = minute * MINUTE;
                if at >= end.0 {
                    break;
                }
                let step = start.0 + (at - start.0).div_euclid(period) * period;
                found.entry(step).or_default().merge(summary);
            }
        }
        found
    }

    /// The unit of a metric, if it has only one.
    pub(super) fn unit(&self, selection: &Selection) -> Option<String> {
        let metric = self.metric(selection)?;
        let mut units = metric.units.keys();
        let only = units.next()?;
        units.next().is_none().then(|| only.clone())
    }

    fn metric(&self, selection: &Selection) -> Option<&Metric> {
        let dimensions: Vec<(&str, &str)> = selection
            .dimensions
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.namespaces.get(&selection.namespace)?.get(&selection.name)?.get(&key_of(&dimensions))
    }

    /// All metrics with namespace and name, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str, &Metric)> {
        self.namespaces.iter().flat_map(|(namespace, names)| {
            names.iter().flat_map(move |(name, metrics)| {
                metrics.values().map(move |metric| (namespace.as_str(), name.as_str(), metric))
            })
        })
    }
}

impl Default for Summary {
    fn default() -> Self {
        Summary {
            count: 0.0,
            sum: 0.0,
            least: f64::INFINITY,
            most: f64::NEG_INFINITY,
            values: Vec::new(),
        }
    }
}

impl Summary {
    /// A sum that came without its values.
    pub(super) fn of(count: f64, sum: f64, least: f64, most: f64) -> Self {
        let average = if count > 0.0 { sum / count } else { 0.0 };
        Summary { count, sum, least, most, values: vec![(average, count)] }
    }

    pub(super) fn add(&mut self, value: f64, count: f64) {
        self.count += count;
        self.sum += value * count;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
        self.keep(value, count);
    }

    fn merge(&mut self, other: &Summary) {
        self.count += other.count;
        self.sum += other.sum;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
        for (value, count) in &other.values {
            self.keep(*value, *count);
        }
    }

    fn keep(&mut self, value: f64, count: f64) {
        let place = self.values.partition_point(|(known, _)| *known < value);
        let is_known = self.values.get(place).is_some_and(|(known, _)| *known == value);
        if !is_known && self.values.len() < MOST_VALUES {
            self.values.insert(place, (value, count));
            return;
        }
        // Too many different ones: the nearest stands for it.
        let place = place.min(self.values.len() - 1);
        self.values[place].1 += count;
    }

    pub(super) fn statistic(&self, statistic: Statistic) -> f64 {
        match statistic {
            Statistic::SampleCount => self.count,
            Statistic::Average => self.sum / self.count,
            Statistic::Sum => self.sum,
            Statistic::Minimum => self.least,
            Statistic::Maximum => self.most,
            Statistic::Percentile(wanted) => {
                let rank = wanted / 100.0 * self.count;
                let mut passed = 0.0;
                for (value, count) in &self.values {
                    passed += count;
                    if passed >= rank {
                        return *value;
                    }
                }
                self.most
            }
        }
    }
}

impl Statistic {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        Ok(match text {
            "SampleCount" => Statistic::SampleCount,
            "Average" => Statistic::Average,
            "Sum" => Statistic::Sum,
            "Minimum" => Statistic::Minimum,
            "Maximum" => Statistic::Maximum,
            _ => {
                let percent = text.strip_prefix('p').and_then(|rest| rest.parse::<f64>().ok());
                match percent {
                    Some(percent) if (0.0..=100.0).contains(&percent) => {
                        Statistic::Percentile(percent)
                    }
                    _ => {
                        return Err(invalid(format!(
                            "statistic `{text}` must be SampleCount, Average, Sum, Minimum, \
                             Maximum or a percentile such as p99.9"
                        )));
                    }
                }
            }
        })
    }
}

/// One text for a set of dimensions, whatever their order.
fn key_of(dimensions: &[(&str, &str)]) -> String {
    let mut sorted: Vec<&(&str, &str)> = dimensions.iter().collect();
    sorted.sort_unstable();
    let mut key = String::with_capacity(
        sorted.iter().map(|(name, value)| name.len() + value.len() + 2).sum(),
    );
    for (name, value) in sorted {
        key.push_str(name);
        key.push('\u{1}');
        key.push_str(value);
        key.push('\u{2}');
    }
    key
}

const MOST_SERIES: usize = 50_000;
const MOST_VALUES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_follow_the_ranks() {
        let mut summary = Summary::default();
        for value in 1..=100 {
            summary.add(f64::from(value % 50), 1.0);
        }
        assert_eq!(summary.statistic(Statistic::Percentile(50.0)), 24.0);
        assert_eq!(summary.statistic(Statistic::Percentile(100.0)), 49.0);
        assert_eq!(summary.statistic(Statistic::SampleCount), 100.0);
        assert_eq!(Statistic::parse("p99.9").unwrap(), Statistic::Percentile(99.9));
        for text in ["p101", "median", "tm99", "p"] {
            assert!(Statistic::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_minute_is_bounded() {
        let mut summary = Summary::default();
        for value in 0..10_000 {
            summary.add(f64::from(value), 1.0);
        }
        assert!(summary.values.len() <= MOST_VALUES);
        assert_eq!((summary.count, summary.least, summary.most), (10_000.0, 0.0, 9_999.0));
    }

    #[test]
    fn dimensions_have_no_order() {
        assert_eq!(key_of(&[("b", "2"), ("a", "1")]), key_of(&[("a", "1"), ("b", "2")]));
        assert_ne!(key_of(&[("a", "1")]), key_of(&[]));
    }
}
