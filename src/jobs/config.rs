//! How a job is rolled out, aborted, timed, retried and scheduled, as on the wire.
//!
//! The structs have the names and the shape of the API. `check` judges a value
//! against the ranges of AWS IoT Jobs and names the field, the value received and
//! what would be accepted. Whether a moment lies far enough ahead is judged where
//! the clock is known, in `schedule`.

use serde::{Deserialize, Serialize};

use crate::error::{Result, invalid};

/// A part of a request that is judged by itself.
pub(crate) trait Checked {
    /// Refuses what AWS IoT would.
    fn check(&self) -> Result<()>;
}

impl<T: Checked> Checked for Option<T> {
    fn check(&self) -> Result<()> {
        self.as_ref().map_or(Ok(()), Checked::check)
    }
}

/// Judges parts in their order.
pub(crate) fn check_all(parts: &[&dyn Checked]) -> Result<()> {
    parts.iter().try_for_each(|part| part.check())
}

/// How presigned URLs are made for devices.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PresignedUrlConfig {
    /// The role that signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// How long a URL lasts, 60 to 3600 seconds; an hour if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_sec: Option<i64>,
}

impl Checked for PresignedUrlConfig {
    fn check(&self) -> Result<()> {
        if let Some(role) = &self.role_arn
            && !(20..=2048).contains(&role.len())
        {
            return invalid(format!(
                "presignedUrlConfig.roleArn `{role}` is no ARN of a role: expected 20 to 2048 \
                 characters"
            ));
        }
        optional("presignedUrlConfig.expiresInSec", self.expires_in_sec, 60, 3600)
    }
}

/// How fast things are told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutConfig {
    /// The most things that are told in a minute, 1 to 1000; 1000 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_per_minute: Option<i64>,
    /// Starts slowly and speeds up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponential_rate: Option<ExponentialRate>,
}

/// A rollout that speeds up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExponentialRate {
    /// How many things are told in a minute at first, 1 to 1000.
    pub base_rate_per_minute: i64,
    /// By how much the rate grows each time, 1.1 to 5 with one decimal.
    pub increment_factor: f64,
    /// When it grows.
    pub rate_increase_criteria: RateIncreaseCriteria,
}

/// When the rate of a rollout grows; if both are given, whichever comes first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateIncreaseCriteria {
    /// Whenever so many more things have been told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_notified_things: Option<i64>,
    /// Whenever so many more things have succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_succeeded_things: Option<i64>,
}

impl Checked for RolloutConfig {
    fn check(&self) -> Result<()> {
        let place = "jobExecutionsRolloutConfig";
        optional(&format!("{place}.maximumPerMinute"), self.maximum_per_minute, 1, 1000)?;
        let Some(rate) = &self.exponential_rate else { return Ok(()) };
        let place = format!("{place}.exponentialRate");
        within(&format!("{place}.baseRatePerMinute"), rate.base_rate_per_minute, 1, 1000)?;
        let factor = rate.increment_factor;
        if !(1.1..=5.0).contains(&factor) || !has_decimals(factor, 1) {
            return invalid(format!(
                "{place}.incrementFactor is {factor}: expected 1.1 to 5 with at most one decimal"
            ));
        }
        let criteria = &rate.rate_increase_criteria;
        let place = format!("{place}.rateIncreaseCriteria");
        let (notified, succeeded) =
            (criteria.number_of_notified_things, criteria.number_of_succeeded_things);
        if notified.or(succeeded).is_none() {
            return invalid(format!(
                "{place} is empty: expected numberOfNotifiedThings or numberOfSucceededThings"
            ));
        }
        optional(&format!("{place}.numberOfNotifiedThings"), notified, 1, i64::from(u32::MAX))?;
        optional(&format!("{place}.numberOfSucceededThings"), succeeded, 1, i64::from(u32::MAX))
    }
}

/// When a job is cancelled by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AbortConfig {
    /// Judged in this order.
    pub criteria_list: Vec<AbortCriterion>,
}

/// One reason to cancel a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AbortCriterion {
    /// `FAILED`, `REJECTED`, `TIMED_OUT` or `ALL`.
    pub failure_type: FailureType,
    /// Always `CANCEL`.
    pub action: String,
    /// From which share of all ended executions on, to 100 with two decimals.
    pub threshold_percentage: f64,
    /// How many executions must have ended before the share is looked at.
    pub min_number_of_executed_things: i64,
}

/// Which results count as a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureType {
    /// The device reported failure.
    Failed,
    /// The device refused the job; no retry criterion may name it.
    Rejected,
    /// The device did not end in time.
    TimedOut,
    /// All of them.
    All,
}

impl Checked for AbortConfig {
    fn check(&self) -> Result<()> {
        if self.criteria_list.is_empty() {
            return invalid("abortConfig.criteriaList is empty: expected at least one criterion");
        }
        for (index, criterion) in self.criteria_list.iter().enumerate() {
            let place = format!("abortConfig.criteriaList[{index}]");
            if criterion.action != "CANCEL" {
                return invalid(format!(
                    "{place}.action is `{}`: expected CANCEL",
                    criterion.action
                ));
            }
            let share = criterion.threshold_percentage;
            let is_share = share > 0.0 && share <= 100.0;
            if !is_share || !has_decimals(share, 2) {
                return invalid(format!(
                    "{place}.thresholdPercentage is {share}: expected above 0 to 100 with at most \
                     two decimals"
                ));
            }
            let least = criterion.min_number_of_executed_things;
            within(&format!("{place}.minNumberOfExecutedThings"), least, 1, i64::from(u32::MAX))?;
        }
        Ok(())
    }
}

/// How long a device may take.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeoutConfig {
    /// From its start to its result, 1 to 10080 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_progress_timeout_in_minutes: Option<i64>,
}

impl Checked for TimeoutConfig {
    fn check(&self) -> Result<()> {
        let minutes = self.in_progress_timeout_in_minutes;
        optional("timeoutConfig.inProgressTimeoutInMinutes", minutes, 1, MOST_MINUTES)
    }
}

impl TimeoutConfig {
    /// The limit in minutes, 0 for none.
    pub(crate) fn minutes(&self) -> u16 {
        self.in_progress_timeout_in_minutes.and_then(|m| u16::try_from(m).ok()).unwrap_or(0)
    }
}

/// How often a thing is asked again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryConfig {
    /// One or two criteria.
    pub criteria_list: Vec<RetryCriterion>,
}

/// How often a thing is asked again after one kind of failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryCriterion {
    /// `FAILED`, `TIMED_OUT` or `ALL`.
    pub failure_type: FailureType,
    /// How often, 0 to 10, and at most 10 over all criteria.
    pub number_of_retries: i64,
}

impl Checked for RetryConfig {
    fn check(&self) -> Result<()> {
        let place = "jobExecutionsRetryConfig.criteriaList";
        if !(1..=2).contains(&self.criteria_list.len()) {
            return invalid(format!(
                "{place} has {} criteria: expected one or two",
                self.criteria_list.len()
            ));
        }
        for (index, criterion) in self.criteria_list.iter().enumerate() {
            if criterion.failure_type == FailureType::Rejected {
                return invalid(format!(
                    "{place}[{index}].failureType is REJECTED: expected FAILED, TIMED_OUT or ALL"
                ));
            }
            let retries = criterion.number_of_retries;
            within(&format!("{place}[{index}].numberOfRetries"), retries, 0, 10)?;
        }
        let sum: i64 = self.criteria_list.iter().map(|c| c.number_of_retries).sum();
        within(&format!("the sum of {place}[].numberOfRetries"), sum, 0, 10)
    }
}

/// When a job starts, ends and pauses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchedulingConfig {
    /// When the rollout begins; at once if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// When the job ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// What happens then; `STOP_ROLLOUT` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_behavior: Option<EndBehavior>,
    /// When things may be told; always if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_windows: Option<Vec<MaintenanceWindow>>,
}

/// What happens to a job at its end time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EndBehavior {
    /// No more things are told; those that were told go on.
    StopRollout,
    /// The job is cancelled; devices at work go on.
    Cancel,
    /// The job is cancelled, devices at work too.
    ForceCancel,
}

/// A time in which things may be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceWindow {
    /// When it opens, as a cron expression.
    pub start_time: String,
    /// How long it stays open, 1 to 1430 minutes.
    pub duration_in_minutes: i64,
}

/// The longest timer in minutes.
pub(crate) const MOST_MINUTES: i64 = 10_080;

pub(crate) fn within(field: &str, value: i64, least: i64, most: i64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    invalid(format!("{field} is {value}: expected {least} to {most}"))
}

fn optional(field: &str, value: Option<i64>, least: i64, most: i64) -> Result<()> {
    value.map_or(Ok(()), |value| within(field, value, least, most))
}

/// Whether `number` can be written with so many decimals.
fn has_decimals(number: f64, decimals: i32) -> bool {
    let scaled = number * 10_f64.powi(decimals);
    (scaled - scaled.round()).abs() < 1e-6
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refusal<T: for<'a> Deserialize<'a>>(value: Value, check: fn(&T) -> Result<()>) -> String {
        let config: T = serde_json::from_value(value).unwrap();
        check(&config).unwrap_err().to_string()
    }

    #[test]
    fn accepts_the_ranges_of_the_service() {
        let rollout: RolloutConfig = serde_json::from_value(json!({
            "maximumPerMinute": 1000,
            "exponentialRate": {"baseRatePerMinute": 50, "incrementFactor": 2, "rateIncreaseCriteria":
                {"numberOfNotifiedThings": 1000, "numberOfSucceededThings": 1000}}
        }))
        .unwrap();
        rollout.check().unwrap();
        TimeoutConfig { in_progress_timeout_in_minutes: Some(10_080) }.check().unwrap();
        PresignedUrlConfig { role_arn: None, expires_in_sec: Some(3600) }.check().unwrap();
    }

    #[test]
    fn refuses_what_lies_outside_and_names_it() {
        for (value, part) in [
            (json!({"maximumPerMinute": 0}), "maximumPerMinute is 0: expected 1 to 1000"),
            (json!({"maximumPerMinute": 1001}), "is 1001: expected 1 to 1000"),
            (
                json!({"exponentialRate": {"baseRatePerMinute": 0, "incrementFactor": 2,
                    "rateIncreaseCriteria": {"numberOfNotifiedThings": 1}}}),
                "baseRatePerMinute is 0",
            ),
            (
                json!({"exponentialRate": {"baseRatePerMinute": 1, "incrementFactor": 1.15,
                    "rateIncreaseCriteria": {"numberOfNotifiedThings": 1}}}),
                "incrementFactor is 1.15: expected 1.1 to 5",
            ),
            (
                json!({"exponentialRate": {"baseRatePerMinute": 1, "incrementFactor": 2,
                    "rateIncreaseCriteria": {}}}),
                "rateIncreaseCriteria is empty",
            ),
        ] {
            let error = refusal(value, RolloutConfig::check);
            assert!(error.contains(part), "{error}");
        }
        for (value, part) in [
            (json!({"criteriaList": []}), "is empty"),
            (
                json!({"criteriaList": [{"failureType": "ALL", "action": "STOP",
                    "thresholdPercentage": 10, "minNumberOfExecutedThings": 1}]}),
                "action is `STOP`: expected CANCEL",
            ),
            (
                json!({"criteriaList": [{"failureType": "ALL", "action": "CANCEL",
                    "thresholdPercentage": 10.123, "minNumberOfExecutedThings": 1}]}),
                "thresholdPercentage is 10.123",
            ),
            (
                json!({"criteriaList": [{"failureType": "ALL", "action": "CANCEL",
                    "thresholdPercentage": 10, "minNumberOfExecutedThings": 0}]}),
                "minNumberOfExecutedThings is 0",
            ),
        ] {
            let error = refusal(value, AbortConfig::check);
            assert!(error.contains(part), "{error}");
        }
        for (value, part) in [
            (json!({"criteriaList": []}), "has 0 criteria"),
            (
                json!({"criteriaList": [{"failureType": "REJECTED", "numberOfRetries": 1}]}),
                "failureType is REJECTED",
            ),
            (
                json!({"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 11}]}),
                "numberOfRetries is 11",
            ),
            (
                json!({"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 6},
                    {"failureType": "TIMED_OUT", "numberOfRetries": 5}]}),
                "the sum of",
            ),
        ] {
            let error = refusal(value, RetryConfig::check);
            assert!(error.contains(part), "{error}");
        }
        let error = refusal(json!({"inProgressTimeoutInMinutes": 10081}), TimeoutConfig::check);
        assert!(error.contains("expected 1 to 10080"), "{error}");
        let error = refusal(json!({"expiresInSec": 59}), PresignedUrlConfig::check);
        assert!(error.contains("expected 60 to 3600"), "{error}");
    }
}
