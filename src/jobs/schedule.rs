//! When a job may tell things: start time, end time and maintenance windows.
//!
//! A schedule is a pure function of the moment. Everything is UTC. What happens
//! to the job at the end is not decided here.

use crate::config::{EndBehavior, MaintenanceWindow, SchedulingConfig, within};
use crate::cron::Cron;
use crate::error::{Result, invalid};
use crate::time::{DAY, MINUTE, Time, parse};
use iotstack_protocol::TargetSelection;

/// The parsed schedule of a job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schedule {
    start: Option<Time>,
    end: Option<Time>,
    pub behavior: Option<EndBehavior>,
    windows: Vec<Window>,
}

#[derive(Debug, Clone)]
struct Window {
    cron: Cron,
    millis: u64,
}

/// What a schedule says about a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not yet, or not between windows; something changes then, if ever.
    Closed(Option<Time>),
    /// Things may be told until then.
    Open(Option<Time>),
    /// The end time is over.
    Ended,
}

impl Schedule {
    /// Parses what was stored; the moment of creation is not judged again.
    pub(crate) fn parse(config: &SchedulingConfig) -> Result<Schedule> {
        let windows = config.maintenance_windows.as_deref().unwrap_or_default();
        Ok(Schedule {
            start: moment("startTime", config.start_time.as_deref())?,
            end: moment("endTime", config.end_time.as_deref())?,
            behavior: config.end_behavior,
            windows: windows.iter().map(Window::parse).collect::<Result<_>>()?,
        })
    }

    /// Parses and judges a schedule that is created at `now`.
    pub(crate) fn create(
        config: &SchedulingConfig,
        selection: TargetSelection,
        now: Time,
    ) -> Result<Schedule> {
        let schedule = Schedule::parse(config)?;
        if let Some(start) = schedule.start {
            ahead("startTime", start, now, HALF_HOUR, YEAR, "30 minutes to one year ahead")?;
        }
        match schedule.end {
            Some(end) => {
                let from = schedule.start.unwrap_or(now);
                let expected = "30 minutes to two years after the start";
                ahead("endTime", end, from, HALF_HOUR, 2 * YEAR, expected)?;
            }
            None if schedule.behavior.is_some() => {
                return invalid("schedulingConfig.endBehavior needs an endTime");
            }
            None => {}
        }
        if !schedule.windows.is_empty() && selection != TargetSelection::Continuous {
            return invalid(
                "schedulingConfig.maintenanceWindows is for jobs with targetSelection CONTINUOUS",
            );
        }
        check_windows(config.maintenance_windows.as_deref().unwrap_or_default(), now)?;
        Ok(schedule)
    }

    /// What holds at `now`.
    pub(crate) fn phase(&self, now: Time) -> Phase {
        if self.end.is_some_and(|end| now >= end) {
            return Phase::Ended;
        }
        if let Some(start) = self.start
            && now < start
        {
            return Phase::Closed(Some(start));
        }
        if self.windows.is_empty() {
            return Phase::Open(self.end);
        }
        let closes = self.windows.iter().filter_map(|window| window.closes(now)).max();
        let opens = || self.windows.iter().filter_map(|w| w.cron.at_or_after(now.after(1))).min();
        match closes {
            Some(closes) => Phase::Open(earlier(Some(closes), self.end)),
            None => Phase::Closed(earlier(opens(), self.end)),
        }
    }

    /// When the next `count` windows open.
    pub(crate) fn next_windows(&self, now: Time, count: usize) -> Vec<Time> {
        let mut found = Vec::new();
        let mut from = self.start.unwrap_or(now).max(now);
        while found.len() < count {
            let next = self.windows.iter().filter_map(|w| w.cron.at_or_after(from)).min();
            match next {
                Some(next) if self.end.is_none_or(|end| next < end) => {
                    found.push(next);
                    from = next.after(1);
                }
                _ => break,
            }
        }
        found
    }
}

impl Window {
    fn parse(window: &MaintenanceWindow) -> Result<Window> {
        let minutes = window.duration_in_minutes;
        within("maintenanceWindows[].durationInMinutes", minutes, 1, 1430)?;
        let cron = Cron::parse(&window.start_time)
            .or_else(|reason| invalid(format!("maintenanceWindows[].startTime: {reason}")))?;
        Ok(Window { cron, millis: minutes.unsigned_abs() * MINUTE })
    }

    /// When the window that is open at `now` closes.
    fn closes(&self, now: Time) -> Option<Time> {
        // The earliest opening that could still last: windows never overlap themselves.
        let opened = self.cron.at_or_after(Time((now.0 + 1).saturating_sub(self.millis)))?;
        (opened <= now).then(|| opened.after(self.millis))
    }
}

/// Judges windows that are created at `now`, also those of a job template.
pub(crate) fn check_windows(windows: &[MaintenanceWindow], now: Time) -> Result<()> {
    for window in windows {
        let parsed = Window::parse(window)?;
        let mut previous: Option<Time> = None;
        let mut from = now;
        for _ in 0..OVERLAP_CHECKS {
            let Some(next) = parsed.cron.at_or_after(from) else { break };
            if previous.is_some_and(|previous| next < previous.after(parsed.millis)) {
                return invalid(format!(
                    "the maintenance window `{}` of {} minutes overlaps itself: expected the next \
                     one to open after it has closed",
                    window.start_time, window.duration_in_minutes
                ));
            }
            previous = Some(next);
            from = next.after(1);
        }
        if previous.is_none() {
            return invalid(format!(
                "the maintenance window `{}` never opens again",
                window.start_time
            ));
        }
    }
    Ok(())
}

fn moment(field: &str, text: Option<&str>) -> Result<Option<Time>> {
    let Some(text) = text else { return Ok(None) };
    match parse(text) {
        Some(time) => Ok(Some(time)),
        None => invalid(format!(
            "schedulingConfig.{field} `{text}` is not valid: expected a moment in UTC such as \
             `2030-01-31 18:30`"
        )),
    }
}

fn ahead(field: &str, time: Time, from: Time, least: u64, most: u64, expected: &str) -> Result<()> {
    // Moments are written in whole minutes, so the minute that has begun counts.
    if time.0 + MINUTE < from.0 + least || time.0 > from.0 + most + MINUTE {
        let written = crate::time::format(time);
        return invalid(format!("schedulingConfig.{field} is {written}: expected {expected}"));
    }
    Ok(())
}

fn earlier(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

const HALF_HOUR: u64 = 30 * MINUTE;
const YEAR: u64 = 366 * DAY;
const OVERLAP_CHECKS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        parse(text).unwrap()
    }

    fn windows(cron: &str, minutes: i64) -> SchedulingConfig {
        let window =
            MaintenanceWindow { start_time: cron.to_owned(), duration_in_minutes: minutes };
        SchedulingConfig { maintenance_windows: Some(vec![window]), ..SchedulingConfig::default() }
    }

    const NOW: &str = "2026-11-21 10:00";

    #[test]
    fn a_window_opens_and_closes() {
        let config = windows("cron(0 20 * * ? *)", 90);
        let schedule = Schedule::create(&config, TargetSelection::Continuous, at(NOW)).unwrap();
        let open = Phase::Open(Some(at("2026-11-21 21:30")));
        assert_eq!(schedule.phase(at(NOW)), Phase::Closed(Some(at("2026-11-21 20:00"))));
        assert_eq!(schedule.phase(at("2026-11-21 20:00")), open);
        assert_eq!(schedule.phase(at("2026-11-21 21:29")), open);
        let next = Phase::Closed(Some(at("2026-11-22 20:00")));
        assert_eq!(schedule.phase(at("2026-11-21 21:30")), next);
        let starts = schedule.next_windows(at(NOW), 7);
        assert_eq!(starts.len(), 7);
        assert_eq!(starts[6], at("2026-11-27 20:00"));
    }

    #[test]
    fn start_and_end_frame_the_job() {
        let config = SchedulingConfig {
            start_time: Some("2026-11-21 11:00".to_owned()),
            end_time: Some("2026-11-21 12:00".to_owned()),
            ..SchedulingConfig::default()
        };
        let schedule = Schedule::create(&config, TargetSelection::Snapshot, at(NOW)).unwrap();
        assert_eq!(schedule.phase(at(NOW)), Phase::Closed(Some(at("2026-11-21 11:00"))));
        let open = Phase::Open(Some(at("2026-11-21 12:00")));
        assert_eq!(schedule.phase(at("2026-11-21 11:00")), open);
        assert_eq!(schedule.phase(at("2026-11-21 12:00")), Phase::Ended);
    }

    #[test]
    fn refuses_schedules_that_the_service_refuses() {
        let scheduled = |start: Option<&str>, end: Option<&str>, behavior| SchedulingConfig {
            start_time: start.map(str::to_owned),
            end_time: end.map(str::to_owned),
            end_behavior: behavior,
            maintenance_windows: None,
        };
        for (config, part) in [
            (scheduled(Some("soon"), None, None), "startTime `soon` is not valid"),
            (scheduled(Some("2026-11-21 10:10"), None, None), "30 minutes to one year ahead"),
            (scheduled(Some("2028-11-21 10:10"), None, None), "30 minutes to one year ahead"),
            (
                scheduled(Some("2026-11-21 11:00"), Some("2026-11-21 11:20"), None),
                "30 minutes to two years after the start",
            ),
            (scheduled(None, Some("2029-11-21 11:20"), None), "30 minutes to two years"),
            (scheduled(None, None, Some(EndBehavior::Cancel)), "endBehavior needs an endTime"),
            (windows("cron(0 20 * * ? *)", 1431), "expected 1 to 1430"),
            (windows("cron(0 20 * * ?)", 60), "has 5 fields"),
            (windows("cron(0 * * * ? *)", 61), "overlaps itself"),
            (windows("cron(0 0 1 1 ? 2020)", 60), "never opens again"),
        ] {
            let error = Schedule::create(&config, TargetSelection::Continuous, at(NOW));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let config = windows("cron(0 20 * * ? *)", 60);
        let error = Schedule::create(&config, TargetSelection::Snapshot, at(NOW)).unwrap_err();
        assert!(error.to_string().contains("CONTINUOUS"), "{error}");
    }
}
