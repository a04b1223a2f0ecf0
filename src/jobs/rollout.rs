//! How many things may be told now.
//!
//! A [`Rollout`] keeps the batches of the last minute, so that no span of a minute,
//! wherever it begins, holds more than the rate allows. A batch goes out as soon as
//! it is allowed to; the rate grows with the counts that the configuration names
//! and never shrinks again by itself.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::config::RolloutConfig;
use crate::time::{MINUTE, Time};

/// The memory of a rollout.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Rollout {
    /// When things were told within the last minute, and how many.
    recent: VecDeque<(Time, u32)>,
    /// How many things were told in all.
    pub notified: u64,
    /// How often the rate has grown.
    steps: u32,
}

impl Rollout {
    /// How many things may be told at `now`.
    pub(crate) fn allowance(
        &mut self,
        config: Option<&RolloutConfig>,
        succeeded: u64,
        now: Time,
    ) -> u32 {
        while self.recent.front().is_some_and(|(at, _)| now.since(*at) >= MINUTE) {
            self.recent.pop_front();
        }
        let told: u32 = self.recent.iter().map(|(_, count)| count).sum();
        self.rate(config, succeeded).saturating_sub(told)
    }

    /// When more things may be told than now.
    pub(crate) fn next_allowance(&self) -> Option<Time> {
        self.recent.front().map(|(at, _)| at.after(MINUTE))
    }

    /// Remembers that `count` things were told at `now`.
    pub(crate) fn told(&mut self, count: u32, now: Time) {
        self.notified += u64::from(count);
        match self.recent.back_mut() {
            Some((at, told)) if *at == now => *told += count,
            _ => self.recent.push_back((now, count)),
        }
    }

    /// Forgets how often the rate has grown, because it grows by other rules from now on.
    pub(crate) fn begin_again(&mut self) {
        self.steps = 0;
    }

    /// How often the rate has grown.
    pub(crate) const fn steps(&self) -> u32 {
        self.steps
    }

    /// The rate in things per minute.
    pub(crate) fn rate(&mut self, config: Option<&RolloutConfig>, succeeded: u64) -> u32 {
        let most = config.and_then(|c| c.maximum_per_minute).unwrap_or(HIGHEST_RATE);
        let most = u32::try_from(most).unwrap_or(1).clamp(1, HIGHEST_RATE as u32);
        let Some(rate) = config.and_then(|c| c.exponential_rate.as_ref()) else { return most };
        let passed = |count: u64, criterion: Option<i64>| {
            let criterion = criterion.and_then(|c| u64::try_from(c).ok()).filter(|c| *c > 0);
            criterion.map_or(0, |criterion| u32::try_from(count / criterion).unwrap_or(u32::MAX))
        };
        let criteria = &rate.rate_increase_criteria;
        let steps = passed(self.notified, criteria.number_of_notified_things)
            .max(passed(succeeded, criteria.number_of_succeeded_things));
        self.steps = self.steps.max(steps);
        let mut grown = rate.base_rate_per_minute as f64;
        for _ in 0..self.steps {
            if grown >= f64::from(most) {
                break;
            }
            grown *= rate.increment_factor;
        }
        // A tiny bit more, so that 10 × 1.1 is eleven in spite of binary fractions.
        ((grown + 1e-6) as u32).clamp(1, most)
    }
}

const HIGHEST_RATE: i64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ExponentialRate, RateIncreaseCriteria};

    fn config(
        base: i64,
        factor: f64,
        notified: Option<i64>,
        succeeded: Option<i64>,
    ) -> RolloutConfig {
        RolloutConfig {
            maximum_per_minute: Some(1000),
            exponential_rate: Some(ExponentialRate {
                base_rate_per_minute: base,
                increment_factor: factor,
                rate_increase_criteria: RateIncreaseCriteria {
                    number_of_notified_things: notified,
                    number_of_succeeded_things: succeeded,
                },
            }),
        }
    }

    #[test]
    fn the_rate_grows_as_in_the_worked_example() {
        let config = config(50, 2.0, Some(1000), Some(1000));
        for (notified, rate) in
            [(0, 50), (999, 50), (1000, 100), (2000, 200), (3000, 400), (4000, 800), (5000, 1000)]
        {
            let mut rollout = Rollout { notified, ..Rollout::default() };
            assert_eq!(rollout.rate(Some(&config), 0), rate, "{notified}");
        }
    }

    #[test]
    fn either_criterion_raises_the_rate() {
        let mut rollout = Rollout { notified: 90, ..Rollout::default() };
        assert_eq!(rollout.rate(Some(&config(10, 1.1, Some(100), Some(10))), 10), 11);
        let mut rollout = Rollout { notified: 200, ..Rollout::default() };
        assert_eq!(rollout.rate(Some(&config(10, 2.0, Some(100), Some(10))), 10), 40);
    }

    #[test]
    fn the_rate_does_not_fall_when_executions_are_deleted() {
        let config = config(10, 2.0, None, Some(10));
        let mut rollout = Rollout::default();
        assert_eq!(rollout.rate(Some(&config), 20), 40);
        assert_eq!(rollout.rate(Some(&config), 0), 40);
    }

    #[test]
    fn no_minute_holds_more_than_the_rate() {
        let config = RolloutConfig { maximum_per_minute: Some(5), exponential_rate: None };
        let mut rollout = Rollout::default();
        let mut told: Vec<u64> = Vec::new();
        for second in 0..600 {
            let now = Time(second * 1000 + 1);
            let allowed = rollout.allowance(Some(&config), 0, now).min(1 + second as u32 % 3);
            if allowed > 0 {
                rollout.told(allowed, now);
            }
            told.extend((0..allowed).map(|_| now.0));
            let last_minute = told.iter().filter(|at| now.0 - **at < MINUTE).count();
            assert!(last_minute <= 5, "{second}: {last_minute}");
        }
        assert_eq!(told.len(), 50);
    }

    #[test]
    fn without_a_configuration_a_thousand_a_minute_are_told() {
        let mut rollout = Rollout::default();
        assert_eq!(rollout.allowance(None, 0, Time(1)), 1000);
        rollout.told(1000, Time(1));
        assert_eq!(rollout.allowance(None, 0, Time(60_000)), 0);
        assert_eq!(rollout.next_allowance(), Some(Time(60_001)));
        assert_eq!(rollout.allowance(None, 0, Time(60_001)), 1000);
    }
}
