//! Queries over metrics: statistics of one metric, and expressions over others.
//!
//! `GetMetricData` and alarms with several metrics share this.

use std::cell::RefCell;
use std::collections::BTreeMap;

use iotstack_local_kernel::{Fault, Timestamp, loose};
use serde_json::{Map, Value};

use super::evaluate::{Context, Line, Outcome, Points, evaluate};
use super::math::{Expression, parse};
use super::search::Search;
use super::series::{Selection, Series, Statistic};
use super::{MINUTE, invalid};

/// One query.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) id: String,
    pub(super) label: Option<String>,
    pub(super) returned: bool,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Metric { selection: Selection, statistic: Statistic, period: i64 },
    Expression { expression: Expression, period: Option<i64> },
}

/// Queries over some time.
pub(super) struct Run<'a> {
    series: &'a Series,
    queries: &'a [Query],
    start: Timestamp,
    end: Timestamp,
    /// Whether all the time is one period, wherever it begins.
    one_period: bool,
    // Outcomes so far; `None` while a query is being evaluated, to find circles.
    known: RefCell<BTreeMap<String, Option<Outcome>>>,
}

impl Query {
    /// Reads queries. Their ids are unique, and at least one is returned.
    pub(super) fn read_all(items: &[Value]) -> Result<Vec<Self>, Fault> {
        if items.is_empty() || items.len() > 500 {
            return Err(invalid(format!("give 1 to 500 queries, not {}", items.len())));
        }
        let mut queries: Vec<Query> = Vec::with_capacity(items.len());
        for item in items {
            let Value::Object(item) = item else {
                return Err(invalid("a query must be an object"));
            };
            let query = Query::read(item)?;
            if queries.iter().any(|known| known.id == query.id) {
                return Err(invalid(format!("query id `{}` is there twice", query.id)));
            }
            queries.push(query);
        }
        if queries.iter().all(|query| !query.returned) {
            return Err(invalid("at least one query must return data"));
        }
        Ok(queries)
    }

    fn read(item: &Map<String, Value>) -> Result<Self, Fault> {
        let id = loose::required(item, "Id")?;
        let begins_well = id.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins_well || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(invalid(format!(
                "query id `{id}` must begin with a small letter and have letters, digits and `_`"
            )));
        }
        let own_period = loose::integer(item, "Period")?.map(period).transpose()?;
        let expression = loose::text(item, "Expression")?.filter(|text| !text.is_empty());
        let source = match (expression, item.get("MetricStat")) {
            (Some(text), None | Some(Value::Null)) => {
                Source::Expression { expression: parse(&text)?, period: own_period }
            }
            (None, Some(Value::Object(stat))) => {
                let wanted = loose::integer(stat, "Period")?
                    .ok_or_else(|| invalid("MetricStat.Period is required"))?;
                let mut selection = selection(&loose::object(stat, "Metric")?)?;
                selection.unit = loose::text(stat, "Unit")?;
                Source::Metric {
                    selection,
                    statistic: Statistic::parse(&loose::required(stat, "Stat")?)?,
                    period: period(wanted)?,
                }
            }
            _ => {
                return Err(invalid(format!(
                    "query `{id}` must have either MetricStat or Expression"
                )));
            }
        };
        Ok(Query {
            id,
            label: loose::text(item, "Label")?.filter(|label| !label.is_empty()),
            returned: loose::flag(item, "ReturnData")?.unwrap_or(true),
            source,
        })
    }

    /// A query for one statistic.
    pub(super) fn of_metric(selection: Selection, statistic: Statistic, period: i64) -> Self {
        Query {
            id: "m1".to_owned(),
            label: None,
            returned: true,
            source: Source::Metric { selection, statistic, period },
        }
    }

    /// Milliseconds between its points, where the query says it.
    pub(super) fn period(&self) -> Option<i64> {
        match &self.source {
            Source::Metric { period, .. } => Some(*period),
            Source::Expression { period, .. } => *period,
        }
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(
        series: &'a Series,
        queries: &'a [Query],
        start: Timestamp,
        end: Timestamp,
    ) -> Self {
        Run { series, queries, start, end, one_period: false, known: RefCell::default() }
    }

    /// As [`Run::new`], with the whole time as one period of every metric.
    pub(super) fn over_one_period(
        series: &'a Series,
        queries: &'a [Query],
        start: Timestamp,
        end: Timestamp,
    ) -> Self {
        Run { one_period: true, ..Run::new(series, queries, start, end) }
    }

    /// The series of a query; a search gives several.
    pub(super) fn lines(&self, query: &Query) -> Result<Vec<Line>, Fault> {
        let outcome = self.query(&query.id)?;
        let named = |line: Line, several: bool| {
            let label = match (&query.label, several && !line.label.is_empty()) {
                (Some(label), true) => format!("{label} {}", line.label),
                (Some(label), false) => label.clone(),
                (None, _) if line.label.is_empty() => query.id.clone(),
                (None, _) => line.label.clone(),
            };
            Line { label, ..line }
        };
        Ok(match outcome {
            Outcome::Number(number) => {
                let (times, period) = self.times();
                let points = times.into_iter().map(|at| (at, number)).collect();
                vec![named(Line { label: String::new(), points, period }, false)]
            }
            Outcome::Series(mut line) => {
                // What was calculated is called by its id, not by what it was made of.
                if matches!(query.source, Source::Expression { .. }) {
                    line.label.clear();
                }
                vec![named(line, false)]
            }
            Outcome::List(lines) => lines.into_iter().map(|line| named(line, true)).collect(),
            Outcome::Text(_) => return Err(invalid(format!("query `{}` is a text", query.id))),
        })
    }

    fn read(&self, selection: &Selection, statistic: Statistic, period: i64) -> Line {
        let (start, period) = if self.one_period {
            (self.start, self.end.0 - self.start.0)
        } else {
            // Steps begin at multiples of the period, as AWS rounds them.
            (Timestamp(self.start.0.div_euclid(period) * period), period)
        };
        let points: Points = self
            .series
            .read(selection, start, self.end, period)
            .into_iter()
            .map(|(at, summary)| (at, summary.statistic(statistic)))
            .collect();
        Line { label: selection.name.clone(), points, period }
    }
}

impl Context for Run<'_> {
    fn query(&self, id: &str) -> Result<Outcome, Fault> {
        match self.known.borrow().get(id) {
            Some(Some(outcome)) => return Ok(outcome.clone()),
            Some(None) => return Err(invalid(format!("query `{id}` refers to itself"))),
            None => {}
        }
        let query = self.queries.iter().find(|query| query.id == id);
        let query = query.ok_or_else(|| invalid(format!("there is no query `{id}`")))?;
        self.known.borrow_mut().insert(id.to_owned(), None);
        let outcome = match &query.source {
            Source::Metric { selection, statistic, period } => {
                Outcome::Series(self.read(selection, *statistic, *period))
            }
            Source::Expression { expression, .. } => evaluate(expression, self)?,
        };
        self.known.borrow_mut().insert(id.to_owned(), Some(outcome.clone()));
        Ok(outcome)
    }

    fn metrics(&self, part: &str) -> Vec<Line> {
        self.queries
            .iter()
            .filter(|query| query.id.contains(part))
            .filter_map(|query| match &query.source {
                Source::Metric { selection, statistic, period } => {
                    Some(self.read(selection, *statistic, *period))
                }
                Source::Expression { .. } => None,
            })
            .collect()
    }

    fn search(&self, text: &str, statistic: &str, step: Option<f64>) -> Result<Vec<Line>, Fault> {
        let (search, statistic) = (Search::parse(text)?, Statistic::parse(statistic)?);
        let step = match step {
            Some(seconds) => period(seconds as i64)?,
            None => self.times().1,
        };
        let found = self
            .series
            .all()
            .filter(|(namespace, name, metric)| search.finds(namespace, name, metric))
            .take(MOST_FOUND)
            .map(|(namespace, name, metric)| {
                let selection = Selection {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    dimensions: metric.dimensions.clone(),
                    unit: None,
                };
                let label = match metric.dimensions.as_slice() {
                    [] => name.to_owned(),
                    [(_, value)] => value.clone(),
                    all => {
                        all.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ")
                    }
                };
                Line { label, ..self.read(&selection, statistic, step) }
            })
            .collect();
        Ok(found)
    }

    fn times(&self) -> (Vec<i64>, i64) {
        if self.one_period {
            return (vec![self.start.0], self.end.0 - self.start.0);
        }
        let step = self.queries.iter().filter_map(Query::period).min().unwrap_or(5 * MINUTE);
        let start = self.start.0.div_euclid(step) * step;
        let all = (0..).map(|index| start + index * step).take_while(|at| *at < self.end.0);
        (all.take(MOST_POINTS).collect(), step)
    }
}

/// The metric that a request names.
pub(super) fn selection(metric: &Map<String, Value>) -> Result<Selection, Fault> {
    Ok(Selection {
        namespace: loose::required(metric, "Namespace")?,
        name: loose::required(metric, "MetricName")?,
        dimensions: loose::pairs(metric, "Dimensions", ("Name", "Value"))?,
        unit: loose::text(metric, "Unit")?,
    })
}

/// A period of a request, in milliseconds.
pub(super) fn period(seconds: i64) -> Result<i64, Fault> {
    if seconds >= 60 && seconds % 60 == 0 && seconds <= 30 * 86_400 {
        return Ok(seconds * 1000);
    }
    Err(invalid(format!(
        "period {seconds} must be a multiple of 60 seconds; the local cloud keeps metrics per minute"
    )))
}

/// What AWS gives at most.
pub(super) const MOST_POINTS: usize = 100_800;

const MOST_FOUND: usize = 100;
