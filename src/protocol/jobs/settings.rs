//! How a firmware job is rolled out, stopped, timed and repeated.
//!
//! The settings travel from a stack's configuration through the environment of
//! the firmware update manager to CreateJob. They are judged where they are
//! written, against the ranges of AWS IoT Jobs, and all problems are told at
//! once: a job with wrong settings would otherwise fail on the day of the update.
//!
//! The defaults are careful. A rollout starts with ten devices a minute and
//! grows only with devices that report success; it stops by itself when devices
//! fail; a device that never answers does not keep a job open for ever.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::word::words;
use crate::{Error, Problem, Result};

/// How firmware jobs are rolled out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSettings {
    /// How fast devices are told.
    pub rollout: Rollout,
    /// When the job is cancelled by itself; never if empty.
    pub abort: Vec<AbortCriterion>,
    /// How many minutes a device may take from its start to its result, 1 to
    /// 10080; as long as it likes if `null`, one hour if the field is absent.
    pub in_progress_timeout_minutes: Option<u32>,
    /// How often a device is asked again; never if empty.
    pub retries: Vec<RetryCriterion>,
    /// How long the URL of the image lasts after a device has asked for it, 60
    /// to 3600.
    pub presigned_url_expires_seconds: u32,
}

/// How fast devices are told about a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// The most devices that are told in a minute, 1 to 1000.
    #[serde(default = "highest_rate")]
    pub maximum_per_minute: u32,
    /// Starts slowly and speeds up; at full speed from the start if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exponential: Option<ExponentialRate>,
}

/// A rollout that speeds up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExponentialRate {
    /// How many devices are told in a minute at first, 1 to 1000.
    pub base_rate_per_minute: u32,
    /// By how much the rate grows each time, 1.1 to 5 with one decimal.
    pub increment_factor: f64,
    /// The rate grows whenever so many more devices have been told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_of_notified_things: Option<u32>,
    /// The rate grows whenever so many more devices have succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_of_succeeded_things: Option<u32>,
}

/// When a job is cancelled by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbortCriterion {
    /// Which results count.
    pub failure_type: AbortFailureType,
    /// From which share of all results on, above 0 to 100 with two decimals.
    pub threshold_percentage: f64,
    /// How many devices must have ended before the share is looked at.
    pub min_number_of_executed_things: u32,
}

/// How often a device is asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryCriterion {
    /// After which result.
    pub failure_type: RetryFailureType,
    /// How often, 0 to 10, and at most 10 over all criteria.
    pub number_of_retries: u32,
}

words! {
    /// The results that can cancel a job.
    pub enum AbortFailureType as "failure type" {
        /// The device reported failure.
        Failed = "FAILED",
        /// The device refused the job.
        Rejected = "REJECTED",
        /// The device did not end in time.
        TimedOut = "TIMED_OUT",
        /// Any of the three.
        All = "ALL",
    }
}

words! {
    /// The results after which a device can be asked again.
    pub enum RetryFailureType as "failure type" {
        /// The device reported failure.
        Failed = "FAILED",
        /// The device did not end in time.
        TimedOut = "TIMED_OUT",
        /// Either of the two.
        All = "ALL",
    }
}

impl JobSettings {
    /// Reads settings and checks them.
    pub fn from_json(text: &str) -> Result<Self> {
        let settings: JobSettings = serde_json::from_str(text).map_err(|error| {
            Error::InvalidJson { what: "job settings", reason: error.to_string() }
        })?;
        settings.validate()?;
        Ok(settings)
    }

    /// Checks every setting against what AWS IoT Jobs accepts.
    pub fn validate(&self) -> Result<()> {
        let problems = self.problems();
        if problems.is_empty() { Ok(()) } else { Err(Error::InvalidSettings(problems)) }
    }

    /// Everything that AWS IoT Jobs would refuse; empty if the settings are valid.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        self.rollout.judge(&mut found);
        for (index, criterion) in self.abort.iter().enumerate() {
            criterion.judge(index, &mut found);
        }
        if let Some(minutes) = self.in_progress_timeout_minutes {
            within(&mut found, "in_progress_timeout_minutes", minutes, 1, 10_080);
        }
        self.judge_retries(&mut found);
        within(
            &mut found,
            "presigned_url_expires_seconds",
            self.presigned_url_expires_seconds,
            60,
            3600,
        );
        found
    }

    fn judge_retries(&self, found: &mut Vec<Problem>) {
        if self.retries.len() > 2 {
            problem(found, "retries", self.retries.len(), "at most 2 criteria");
        }
        for (index, criterion) in self.retries.iter().enumerate() {
            let field = format!("retries[{index}].number_of_retries");
            within(found, &field, criterion.number_of_retries, 0, 10);
        }
        let total: u64 = self.retries.iter().map(|c| u64::from(c.number_of_retries)).sum();
        if total > 10 {
            problem(found, "retries", total, "at most 10 retries over all criteria");
        }
        let only_timeouts =
            self.retries.iter().any(|c| c.failure_type == RetryFailureType::TimedOut);
        if only_timeouts && self.in_progress_timeout_minutes.is_none() {
            problem(
                found,
                "in_progress_timeout_minutes",
                "null",
                "a number of minutes, because a retry after TIMED_OUT needs a timeout",
            );
        }
    }
}

impl Default for JobSettings {
    fn default() -> Self {
        JobSettings {
            rollout: Rollout::default(),
            abort: vec![
                AbortCriterion {
                    failure_type: AbortFailureType::All,
                    threshold_percentage: 20.0,
                    min_number_of_executed_things: 10,
                },
                AbortCriterion {
                    failure_type: AbortFailureType::Failed,
                    threshold_percentage: 5.0,
                    min_number_of_executed_things: 100,
                },
            ],
            in_progress_timeout_minutes: Some(60),
            retries: vec![
                RetryCriterion { failure_type: RetryFailureType::Failed, number_of_retries: 1 },
                RetryCriterion { failure_type: RetryFailureType::TimedOut, number_of_retries: 2 },
            ],
            presigned_url_expires_seconds: 900,
        }
    }
}

impl Default for Rollout {
    fn default() -> Self {
        Rollout {
            maximum_per_minute: highest_rate(),
            exponential: Some(ExponentialRate {
                base_rate_per_minute: 10,
                increment_factor: 2.0,
                number_of_notified_things: None,
                number_of_succeeded_things: Some(50),
            }),
        }
    }
}

impl Rollout {
    fn judge(&self, found: &mut Vec<Problem>) {
        within(found, "rollout.maximum_per_minute", self.maximum_per_minute, 1, 1000);
        let Some(rate) = &self.exponential else { return };
        let base = "rollout.exponential.base_rate_per_minute";
        within(found, base, rate.base_rate_per_minute, 1, 1000);
        if rate.base_rate_per_minute > self.maximum_per_minute {
            let expected = format!("at most maximum_per_minute, {}", self.maximum_per_minute);
            problem(found, base, rate.base_rate_per_minute, &expected);
        }
        let factor = rate.increment_factor;
        if !(1.1..=5.0).contains(&factor) || !has_decimals(factor, 1) {
            let field = "rollout.exponential.increment_factor";
            problem(found, field, factor, "1.1 to 5 with at most one decimal");
        }
        for (field, count) in [
            ("rollout.exponential.number_of_notified_things", rate.number_of_notified_things),
            ("rollout.exponential.number_of_succeeded_things", rate.number_of_succeeded_things),
        ] {
            if count == Some(0) {
                problem(found, field, 0, "at least 1");
            }
        }
        if rate.number_of_notified_things.or(rate.number_of_succeeded_things).is_none() {
            problem(
                found,
                "rollout.exponential",
                "without a criterion",
                "number_of_notified_things or number_of_succeeded_things",
            );
        }
    }
}

impl AbortCriterion {
    fn judge(&self, index: usize, found: &mut Vec<Problem>) {
        let share = self.threshold_percentage;
        let is_share = share > 0.0 && share <= 100.0;
        if !is_share || !has_decimals(share, 2) {
            let field = format!("abort[{index}].threshold_percentage");
            problem(found, &field, share, "above 0 to 100 with at most two decimals");
        }
        if self.min_number_of_executed_things == 0 {
            let field = format!("abort[{index}].min_number_of_executed_things");
            problem(found, &field, 0, "at least 1");
        }
    }
}

fn within(found: &mut Vec<Problem>, field: &str, value: u32, least: u32, most: u32) {
    if !(least..=most).contains(&value) {
        problem(found, field, value, &format!("{least} to {most}"));
    }
}

fn problem(found: &mut Vec<Problem>, field: &str, value: impl Display, expected: &str) {
    found.push(Problem {
        field: field.to_owned(),
        value: value.to_string(),
        expected: expected.to_owned(),
    });
}

/// Whether `number` can be written with so many decimals.
fn has_decimals(number: f64, decimals: i32) -> bool {
    let scaled = number * 10_f64.powi(decimals);
    (scaled - scaled.round()).abs() < 1e-6
}

const fn highest_rate() -> u32 {
    1000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ships_defaults_that_aws_accepts() {
        assert_eq!(JobSettings::default().problems(), []);
        assert_eq!(JobSettings::from_json("{}").unwrap(), JobSettings::default());
    }

    #[test]
    fn a_rollout_that_is_given_has_only_what_is_given() {
        let settings = JobSettings::from_json(r#"{"rollout":{"maximum_per_minute":5}}"#).unwrap();
        assert_eq!(settings.rollout, Rollout { maximum_per_minute: 5, exponential: None });
    }

    #[test]
    fn tells_every_problem_at_once() {
        let settings = JobSettings::from_json(
            r#"{"rollout":{"maximum_per_minute":0,"exponential":{"base_rate_per_minute":1001,
                "increment_factor":1.15}},
                "abort":[{"failure_type":"ALL","threshold_percentage":100.5,
                "min_number_of_executed_things":0}],
                "in_progress_timeout_minutes":10081,
                "retries":[{"failure_type":"ALL","number_of_retries":11}],
                "presigned_url_expires_seconds":59}"#,
        );
        let Err(Error::InvalidSettings(problems)) = settings else { panic!("{settings:?}") };
        let fields: Vec<_> = problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "rollout.maximum_per_minute",
                "rollout.exponential.base_rate_per_minute",
                "rollout.exponential.base_rate_per_minute",
                "rollout.exponential.increment_factor",
                "rollout.exponential",
                "abort[0].threshold_percentage",
                "abort[0].min_number_of_executed_things",
                "in_progress_timeout_minutes",
                "retries[0].number_of_retries",
                "retries",
                "presigned_url_expires_seconds",
            ]
        );
    }

    #[test]
    fn names_the_value_and_what_would_be_accepted() {
        let error = JobSettings::from_json(r#"{"presigned_url_expires_seconds":86400}"#);
        assert_eq!(
            error.unwrap_err().to_string(),
            "job settings are not valid: `presigned_url_expires_seconds` is 86400: expected 60 \
             to 3600"
        );
    }

    #[test]
    fn a_retry_after_a_timeout_needs_a_timeout() {
        let settings = JobSettings { in_progress_timeout_minutes: None, ..JobSettings::default() };
        let problems = settings.problems();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].field, "in_progress_timeout_minutes");
    }

    #[test]
    fn refuses_settings_that_it_does_not_know() {
        let error = JobSettings::from_json(r#"{"timeout":5}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `timeout`"), "{error}");
        assert!(error.contains("line 1 column"), "{error}");
    }

    fn any_settings() -> impl Strategy<Value = JobSettings> {
        let rollout =
            (1_u32..=1000, 11_u32..=50, 1_u32..1000).prop_map(|(base, factor, count)| Rollout {
                maximum_per_minute: 1000,
                exponential: Some(ExponentialRate {
                    base_rate_per_minute: base,
                    increment_factor: f64::from(factor) / 10.0,
                    number_of_notified_things: Some(count),
                    number_of_succeeded_things: None,
                }),
            });
        let abort = (1_u32..=10_000, 1_u32..1000).prop_map(|(share, least)| AbortCriterion {
            failure_type: AbortFailureType::Rejected,
            threshold_percentage: f64::from(share) / 100.0,
            min_number_of_executed_things: least,
        });
        (
            rollout,
            proptest::collection::vec(abort, 0..4),
            proptest::option::of(1_u32..=10_080),
            0_u32..=10,
            60_u32..=3600,
        )
            .prop_map(|(rollout, abort, timeout, retries, expires)| JobSettings {
                rollout,
                abort,
                in_progress_timeout_minutes: timeout,
                retries: vec![RetryCriterion {
                    failure_type: RetryFailureType::All,
                    number_of_retries: retries,
                }],
                presigned_url_expires_seconds: expires,
            })
    }

    proptest! {
        #[test]
        fn everything_within_the_ranges_is_valid(settings in any_settings()) {
            prop_assert_eq!(settings.problems(), []);
        }

        #[test]
        fn reads_back_what_it_writes(settings in any_settings()) {
            let text = serde_json::to_string(&settings).unwrap();
            prop_assert_eq!(JobSettings::from_json(&text).unwrap(), settings);
        }
    }
}
