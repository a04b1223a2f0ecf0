//! The evaluation of alarms: which points breach, what the state becomes, and
//! what that does to composite alarms.
//!
//! A point is a whole period that ends at the last full minute or a period
//! earlier. Which of them count as breaching, and what missing ones mean, is the
//! alarm's own choice.

use std::sync::Arc;

use iotstack_local_kernel::{Fault, Timestamp};
use serde_json::json;

use super::action::{self, Change};
use super::alarm::{Alarm, HistoryItem, Kind, State, Threshold};
use super::composite::Rule;
use super::query::Run;
use super::series::Series;
use super::{ALARMS, Alarms, CloudWatch, MINUTE};

/// What an evaluation found.
struct Verdict {
    state: State,
    reason: String,
    data: String,
}

impl CloudWatch {
    /// Evaluates all alarms and runs the actions of those that changed.
    pub(super) async fn evaluate_all(self: Arc<Self>, now: Timestamp) {
        let changed = {
            let mut alarms = self.alarms();
            let verdicts: Vec<(String, Verdict)> = {
                let series = self.series();
                alarms
                    .all
                    .values()
                    .filter_map(|alarm| {
                        let Kind::Metric(threshold) = &alarm.kind else { return None };
                        match judge(threshold, &series, now, alarm.state) {
                            Ok(Some(verdict)) => Some((alarm.name.clone(), verdict)),
                            Ok(None) => None,
                            Err(error) => {
                                tracing::warn!(alarm = %alarm.name, %error, "an alarm cannot be evaluated");
                                None
                            }
                        }
                    })
                    .collect()
            };
            let mut changed = Vec::new();
            for (name, verdict) in verdicts {
                let Verdict { state, reason, data } = verdict;
                self.transition(&mut alarms, &name, state, &reason, Some(data), &mut changed);
            }
            self.follow(&mut alarms, &mut changed);
            changed
        };
        if let Some(cloud) = self.cloud.upgrade() {
            action::run(cloud, changed).await;
        }
    }

    /// Brings an alarm into a state. Only a change is told.
    pub(super) fn transition(
        &self,
        alarms: &mut Alarms,
        name: &str,
        state: State,
        reason: &str,
        data: Option<String>,
        changed: &mut Vec<Change>,
    ) {
        let now = self.clock.now();
        let Some(alarm) = alarms.all.get_mut(name) else { return };
        let before = alarm.state;
        if before == state {
            return;
        }
        let old_reason = std::mem::replace(&mut alarm.reason, reason.to_owned());
        let old_data = std::mem::replace(&mut alarm.reason_data, data);
        alarm.state = state;
        alarm.updated = now;
        alarm.transitioned = now;
        let alarm = alarm.clone();
        let mut batch = self.store.batch();
        batch.put(ALARMS, name, &alarm);
        // An alarm that is evaluated needs no client to wait for it.
        self.store.commit(batch).then(|| ());
        let side = |state: State, reason: &str, data: &Option<String>| json!({"stateValue": state.name(), "stateReason": reason, "stateReasonData": data});
        let data = json!({
            "version": "1.0",
            "oldState": side(before, &old_reason, &old_data),
            "newState": side(state, reason, &alarm.reason_data),
        });
        let summary = format!("Alarm updated from {} to {}", before.name(), state.name());
        alarms.note(&alarm, now, "StateUpdate", summary, &data.to_string());
        let arn = self.alarm_arn(name);
        changed.push(Change { alarm, arn, before, at: now });
    }

    /// Lets composite alarms follow the alarms that they name, also each other.
    pub(super) fn follow(&self, alarms: &mut Alarms, changed: &mut Vec<Change>) {
        // Circles end here; every round may change the next ones.
        for _ in 0..8 {
            let mut moved: Vec<(String, State)> = Vec::new();
            for alarm in alarms.all.values() {
                let Kind::Composite { rule } = &alarm.kind else { continue };
                let Ok(rule) = Rule::parse(rule) else { continue };
                let state_of = |name: &str| alarms.all.get(name).map(|alarm| alarm.state);
                let state = if rule.holds(&state_of) { State::Alarm } else { State::Ok };
                if state != alarm.state {
                    moved.push((alarm.name.clone(), state));
                }
            }
            if moved.is_empty() {
                return;
            }
            for (name, state) in moved {
                let reason = format!("the rule of the alarm is {}", state == State::Alarm);
                self.transition(alarms, &name, state, &reason, None, changed);
            }
        }
    }
}

impl Alarms {
    /// Remembers what happened to an alarm.
    pub(super) fn note(
        &mut self,
        alarm: &Alarm,
        at: Timestamp,
        kind: &'static str,
        summary: String,
        data: &str,
    ) {
        while self.history.len() >= LONGEST_HISTORY {
            self.history.pop_front();
        }
        let composite = matches!(alarm.kind, Kind::Composite { .. });
        let (alarm, data) = (alarm.name.clone(), data.to_owned());
        self.history.push_back(HistoryItem { alarm, composite, at, kind, summary, data });
    }
}

/// Judges an alarm; nothing if its state shall stay.
fn judge(
    threshold: &Threshold,
    series: &Series,
    now: Timestamp,
    state: State,
) -> Result<Option<Verdict>, Fault> {
    let queries = threshold.queries()?;
    let step = queries.iter().filter_map(super::query::Query::period).max().unwrap_or(MINUTE);
    let count = threshold.evaluation_periods;
    let end = Timestamp(now.0.div_euclid(MINUTE) * MINUTE);
    let long = i64::try_from(count).unwrap_or(1) * step;
    let start = Timestamp(end.0 - long);
    let points = windows(threshold, series, start, step, count)?;
    let breaches = |value: f64| match threshold.comparison.as_str() {
        "GreaterThanOrEqualToThreshold" => value >= threshold.threshold,
        "GreaterThanThreshold" => value > threshold.threshold,
        "LessThanThreshold" => value < threshold.threshold,
        _ => value <= threshold.threshold,
    };
    let wanted = threshold.datapoints_to_alarm.unwrap_or(count);
    let present: Vec<f64> = points.iter().flatten().copied().collect();
    let missing = count - present.len();
    let breaching = present.iter().filter(|value| breaches(**value)).count();
    let treatment = threshold.missing.as_deref().unwrap_or("missing");
    let found = match treatment {
        "breaching" if breaching + missing >= wanted => State::Alarm,
        "breaching" | "notBreaching" if breaching < wanted => State::Ok,
        "ignore" if present.is_empty() => return Ok(None),
        // As soon as enough points breach, what is missing does not matter.
        _ if breaching >= wanted => State::Alarm,
        "missing" if present.is_empty() => State::InsufficientData,
        // All that is there breaches, and there is too little of it: wait.
        "missing" | "ignore" if breaching == present.len() && missing > 0 && breaching > 0 => {
            if state == State::Alarm {
                State::Alarm
            } else {
                return Ok(None);
            }
        }
        _ => State::Ok,
    };
    if found == state {
        return Ok(None);
    }
    let reason = match found {
        State::InsufficientData => {
            format!("Insufficient Data: none of the last {count} datapoints is there")
        }
        _ => format!(
            "Threshold Crossed: {breaching} of the last {count} datapoints {present:?} crossed the threshold {} ({}); {missing} missing, treated as {treatment}",
            threshold.threshold, threshold.comparison,
        ),
    };
    let data = json!({
        "version": "1.0",
        "queryDate": now.iso8601(),
        "startDate": start.iso8601(),
        "statistic": threshold.statistic,
        "period": step / 1000,
        "recentDatapoints": present,
        "threshold": threshold.threshold,
    });
    Ok(Some(Verdict { state: found, reason, data: data.to_string() }))
}

/// The points of the last `count` periods, the oldest first.
fn windows(
    threshold: &Threshold,
    series: &Series,
    start: Timestamp,
    step: i64,
    count: usize,
) -> Result<Vec<Option<f64>>, Fault> {
    let queries = threshold.queries()?;
    let mut found = Vec::with_capacity(count);
    for place in 0..count {
        // Each period is read for itself, as it need not begin at a multiple of
        // its length: alarms look at windows that move by the minute.
        let from = Timestamp(start.0 + i64::try_from(place).unwrap_or(0) * step);
        let to = Timestamp(from.0 + step);
        let run = Run::over_one_period(series, &queries, from, to);
        let returned = queries.iter().find(|query| query.returned);
        let lines = match returned {
            Some(query) => run.lines(query)?,
            None => Vec::new(),
        };
        found.push(lines.first().and_then(|line| line.points.values().next_back().copied()));
    }
    Ok(found)
}

const LONGEST_HISTORY: usize = 2000;
