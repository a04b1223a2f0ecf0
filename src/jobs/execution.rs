//! A job on one thing.
//!
//! [`Execution`] is the compact record that exists a million times; it names its
//! job and its thing by number and links itself into the lists of its thing.
//! [`ExecutionView`] is what the outside is shown.

use std::collections::BTreeMap;

use iotstack_protocol::JobExecutionStatus;

use crate::config::{MOST_MINUTES, within};
use crate::effect::Details;
use crate::error::{Result, invalid};
use crate::slab::NONE;
use crate::text::{check_length, shortened};
use crate::thing::ThingIndex;
use crate::time::{MINUTE, Time};

/// The record of a job on one thing. Eighty bytes; keep it small.
#[derive(Debug, Clone)]
pub(crate) struct Execution {
    pub queued_at: Time,
    pub started_at: Time,
    pub updated_at: Time,
    /// When the step timer ends, [`Time::NONE`] if it does not run.
    pub step_ends: Time,
    pub details: Details,
    pub job: u32,
    pub thing: ThingIndex,
    pub number: u32,
    pub version: u32,
    /// Neighbours in the pending list of the thing.
    pub next: u32,
    pub previous: u32,
    /// The next older execution of the thing.
    pub older: u32,
    /// The attempt before this one, of the same job on the same thing.
    pub attempt_before: u32,
    /// The in-progress timer in minutes, 0 if there is none.
    pub timeout: u16,
    pub status: JobExecutionStatus,
    pub flags: Flags,
    /// How many retries were used, by criterion.
    pub retries: [u8; 2],
}

/// Facts about an execution, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub u8);

impl Flags {
    /// It was cancelled by force.
    pub const FORCED: Flags = Flags(1);
    /// Its thing has left the targets since: a new attempt begins afresh.
    pub const DETACHED: Flags = Flags(2);
    /// It waits to be written down.
    pub const CHANGED: Flags = Flags(4);
    /// Its job has a namespace, so plain lists leave it out.
    pub const NAMESPACED: Flags = Flags(8);

    pub const fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    pub fn set(&mut self, flag: Flags) {
        self.0 |= flag.0;
    }

    pub fn clear(&mut self, flag: Flags) {
        self.0 &= !flag.0;
    }
}

impl Execution {
    /// What stands where no execution is.
    pub(crate) const fn vacant() -> Execution {
        Execution {
            queued_at: Time::NONE,
            started_at: Time::NONE,
            updated_at: Time::NONE,
            step_ends: Time::NONE,
            details: None,
            job: NONE,
            thing: ThingIndex(NONE),
            number: 0,
            version: 0,
            next: NONE,
            previous: NONE,
            older: NONE,
            attempt_before: NONE,
            timeout: 0,
            status: JobExecutionStatus::Removed,
            flags: Flags(0),
            retries: [0; 2],
        }
    }

    /// When the first of its timers ends.
    pub(crate) fn deadline(&self) -> Option<Time> {
        if self.status != JobExecutionStatus::InProgress {
            return None;
        }
        let total =
            (self.timeout > 0).then(|| self.started_at.after(u64::from(self.timeout) * MINUTE));
        match (total, self.step_ends.known()) {
            (Some(total), Some(step)) => Some(total.min(step)),
            (total, step) => total.or(step),
        }
    }

    /// Where it stands among the executions of its thing.
    pub(crate) fn order(&self) -> (Time, u32, u32) {
        (self.queued_at, self.job, self.number)
    }

    pub(crate) fn is_pending(&self) -> bool {
        !self.status.is_terminal()
    }
}

/// An execution, as it is shown.
#[derive(Debug, Clone, Copy)]
pub struct ExecutionView<'a> {
    /// The job.
    pub job_id: &'a str,
    /// The thing.
    pub thing_name: &'a str,
    /// Where it stands.
    pub status: JobExecutionStatus,
    /// What the device has reported last.
    pub status_details: Option<&'a BTreeMap<String, String>>,
    /// When it was queued.
    pub queued_at: Time,
    /// When the device started.
    pub started_at: Option<Time>,
    /// When it changed last.
    pub last_updated_at: Time,
    /// How often it has changed.
    pub version_number: u32,
    /// Which execution of the job on the thing it is.
    pub execution_number: u32,
    /// Which retry it is, 0 for the first attempt.
    pub retry_attempt: u32,
    /// Whether it was cancelled by force.
    pub force_canceled: bool,
    /// When the first of its timers ends.
    pub times_out_at: Option<Time>,
}

impl ExecutionView<'_> {
    /// The hint for the device, in seconds.
    pub fn approximate_seconds_before_timed_out(&self, now: Time) -> Option<u64> {
        self.times_out_at.map(|end| end.since(now).div_ceil(1000))
    }
}

/// A step timer in a request of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepTimer {
    Keep,
    Stop,
    Minutes(u16),
}

impl StepTimer {
    pub(crate) fn parse(minutes: Option<i64>) -> Result<StepTimer> {
        match minutes {
            None => Ok(StepTimer::Keep),
            Some(-1) => Ok(StepTimer::Stop),
            Some(minutes) => {
                let Ok(()) = within("stepTimeoutInMinutes", minutes, 1, MOST_MINUTES) else {
                    return invalid(format!(
                        "stepTimeoutInMinutes is {minutes}: expected 1 to {MOST_MINUTES}, or -1 to \
                         stop the timer"
                    ));
                };
                Ok(StepTimer::Minutes(u16::try_from(minutes).unwrap_or(u16::MAX)))
            }
        }
    }

    pub(crate) fn apply(self, execution: &mut Execution, now: Time) {
        match self {
            StepTimer::Keep => {}
            StepTimer::Stop => execution.step_ends = Time::NONE,
            StepTimer::Minutes(minutes) => {
                execution.step_ends = now.after(u64::from(minutes) * MINUTE);
            }
        }
    }
}

/// Judges what a device reports.
pub(crate) fn check_details(details: &BTreeMap<String, String>) -> Result<()> {
    if details.len() > 10 {
        return invalid(format!(
            "statusDetails has {} entries: expected at most 10",
            details.len()
        ));
    }
    for (key, value) in details {
        let is_key = |b: u8| b.is_ascii_alphanumeric() || b":_-".contains(&b);
        if !(1..=128).contains(&key.len()) || !key.bytes().all(is_key) {
            return invalid(format!(
                "the key `{}` of statusDetails is not valid: expected 1 to 128 of the characters \
                 a-z, A-Z, 0-9, `:`, `_` and `-`",
                shortened(key)
            ));
        }
        check_length(format_args!("statusDetails.{key}"), value, 1, 1024)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_stays_small() {
        assert!(size_of::<Execution>() <= 80, "{}", size_of::<Execution>());
    }

    #[test]
    fn the_first_timer_counts() {
        let mut execution = Execution {
            status: JobExecutionStatus::InProgress,
            started_at: Time(1000),
            timeout: 10,
            ..Execution::vacant()
        };
        assert_eq!(execution.deadline(), Some(Time(601_000)));
        StepTimer::Minutes(1).apply(&mut execution, Time(2000));
        assert_eq!(execution.deadline(), Some(Time(62_000)));
        StepTimer::Keep.apply(&mut execution, Time(3000));
        assert_eq!(execution.deadline(), Some(Time(62_000)));
        StepTimer::Stop.apply(&mut execution, Time(4000));
        assert_eq!(execution.deadline(), Some(Time(601_000)));
        execution.status = JobExecutionStatus::Succeeded;
        assert_eq!(execution.deadline(), None);
    }

    #[test]
    fn judges_step_timers() {
        assert_eq!(StepTimer::parse(Some(-1)), Ok(StepTimer::Stop));
        assert_eq!(StepTimer::parse(Some(10_080)), Ok(StepTimer::Minutes(10_080)));
        for minutes in [0, -2, 10_081, i64::MAX] {
            assert!(StepTimer::parse(Some(minutes)).is_err(), "{minutes}");
        }
    }

    #[test]
    fn judges_status_details() {
        let details = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        check_details(&details(&[("step:1_a-b", "50 %"), ("é".repeat(0).as_str(), "x")]))
            .unwrap_err();
        check_details(&details(&[("step:1_a-b", "50 %")])).unwrap();
        check_details(&details(&[("a", &"é".repeat(1024))])).unwrap();
        for bad in [
            ("a b", "x"),
            (&*"k".repeat(129), "x"),
            ("a", ""),
            ("a", "x\ny"),
            ("a", &*"v".repeat(1025)),
        ] {
            assert!(check_details(&details(&[bad])).is_err(), "{bad:?}");
        }
        let eleven: BTreeMap<String, String> =
            (0..11).map(|n| (n.to_string(), "x".to_owned())).collect();
        assert!(check_details(&eleven).unwrap_err().to_string().contains("11 entries"));
    }
}
