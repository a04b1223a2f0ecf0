//! Schedules of rules: `rate(5 minutes)` and `cron(0 12 * * ? *)`, in UTC.
//!
//! The day of the month and the day of the week exclude each other, as in AWS's cron;
//! one of them must be `?`.

use iotstack_local_kernel::{Fault, Timestamp};
use time::{Duration, OffsetDateTime};

use super::{MINUTE, invalid};

/// A schedule.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Schedule {
    /// Every so many minutes.
    Rate(i64),
    Cron(Box<Cron>),
}

/// The fields of a cron expression; each holds the values that fit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cron {
    minutes: Vec<u32>,
    hours: Vec<u32>,
    days: Days,
    months: Vec<u32>,
    years: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq)]
enum Days {
    OfMonth(Vec<u32>),
    LastOfMonth,
    NearestWeekday(u32),
    /// 1 is Sunday.
    OfWeek(Vec<u32>),
    LastOfWeek(u32),
    NthOfWeek(u32, u32),
}

impl Schedule {
    /// Reads a schedule.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let refuse = || {
            invalid(format!(
                "ScheduleExpression `{text}` must be like `rate(5 minutes)` or `cron(0 12 * * ? *)`"
            ))
        };
        let inner = |name: &str| {
            text.trim().strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')').map(str::trim)
        };
        if let Some(inner) = inner("rate") {
            let (count, unit) = inner.split_once(' ').ok_or_else(refuse)?;
            let count: i64 = count.parse().map_err(|_| refuse())?;
            let minutes = match (unit.trim(), count) {
                ("minute", 1) => 1,
                ("hour", 1) => 60,
                ("day", 1) => 1440,
                ("minutes", 2..) => count,
                ("hours", 2..) => count.saturating_mul(60),
                ("days", 2..) => count.saturating_mul(1440),
                _ => return Err(refuse()),
            };
            return Ok(Schedule::Rate(minutes.min(1440 * 3650)));
        }
        let fields: Vec<&str> = inner("cron").ok_or_else(refuse)?.split_whitespace().collect();
        let [minutes, hours, of_month, months, of_week, years] = fields.as_slice() else {
            return Err(refuse());
        };
        let read = || {
            Some(Cron {
                minutes: values(minutes, 0, 59, &[])?,
                hours: values(hours, 0, 23, &[])?,
                days: days(of_month, of_week)?,
                months: values(months, 1, 12, MONTHS)?,
                years: values(years, 1970, 2199, &[])?,
            })
        };
        read().map(|cron| Schedule::Cron(Box::new(cron))).ok_or_else(refuse)
    }

    /// Whether its time came after `last` and by `now`.
    pub(super) fn is_due(&self, since: Timestamp, last: Timestamp, now: Timestamp) -> bool {
        match self {
            Schedule::Rate(minutes) => {
                let step = minutes * MINUTE;
                let turns = |at: Timestamp| (at.0 - since.0).max(0).div_euclid(step);
                turns(now) > turns(last)
            }
            Schedule::Cron(cron) => {
                let first = last.0.div_euclid(MINUTE) + 1;
                let end = now.0.div_euclid(MINUTE);
                // A clock that jumps further than this misses what lies before.
                (first.max(end - LONGEST_JUMP)..=end)
                    .any(|minute| cron.fits(Timestamp(minute * MINUTE)))
            }
        }
    }
}

impl Cron {
    fn fits(&self, at: Timestamp) -> bool {
        let Ok(moment) = OffsetDateTime::from_unix_timestamp(at.seconds()) else { return false };
        let has = |values: &[u32], value: u32| values.contains(&value);
        has(&self.minutes, moment.minute().into())
            && has(&self.hours, moment.hour().into())
            && has(&self.months, u8::from(moment.month()).into())
            && has(&self.years, moment.year().unsigned_abs())
            && self.days.fit(moment)
    }
}

impl Days {
    fn fit(&self, moment: OffsetDateTime) -> bool {
        let day = u32::from(moment.day());
        let week_day = u32::from(moment.weekday().number_days_from_sunday()) + 1;
        let is_last = |ahead: i64| (moment + Duration::days(ahead)).month() != moment.month();
        match self {
            Days::OfMonth(days) => days.contains(&day),
            Days::LastOfMonth => is_last(1),
            Days::OfWeek(days) => days.contains(&week_day),
            Days::LastOfWeek(wanted) => week_day == *wanted && is_last(7),
            Days::NthOfWeek(wanted, nth) => week_day == *wanted && day.div_ceil(7) == *nth,
            Days::NearestWeekday(wanted) => {
                // The weekday next to a day of this month, never in another month.
                let is_weekday = |number: u32| (2..=6).contains(&number);
                if !is_weekday(week_day) {
                    return false;
                }
                day == *wanted
                    || (day + 1 == *wanted && week_day == 6)
                    || (day == *wanted + 1 && week_day == 2)
                    || (day == 3 && *wanted == 1 && week_day == 2)
                    || (day + 2 == *wanted && week_day == 6 && is_last(3))
            }
        }
    }
}

fn days(of_month: &str, of_week: &str) -> Option<Days> {
    match (of_month, of_week) {
        ("L", "?") => Some(Days::LastOfMonth),
        (day, "?") => match day.strip_suffix('W') {
            Some(day) => {
                day.parse().ok().filter(|day| (1..=31).contains(day)).map(Days::NearestWeekday)
            }
            None => values(day, 1, 31, &[]).map(Days::OfMonth),
        },
        ("?", day) => {
            let single =
                |text: &str| values(text, 1, 7, WEEK).filter(|v| v.len() == 1).map(|v| v[0]);
            if day == "L" {
                Some(Days::OfWeek(vec![7]))
            } else if let Some(day) = day.strip_suffix('L') {
                single(day).map(Days::LastOfWeek)
            } else if let Some((day, nth)) = day.split_once('#') {
                let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth))?;
                Some(Days::NthOfWeek(single(day)?, nth))
            } else {
                values(day, 1, 7, WEEK).map(Days::OfWeek)
            }
        }
        _ => None,
    }
}

/// The values of a field: `*`, `5`, `1-5`, `0/15`, `MON-FRI`, and lists of these.
fn values(field: &str, least: u32, most: u32, names: &[&str]) -> Option<Vec<u32>> {
    let number = |text: &str| -> Option<u32> {
        let by_name = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let found = match by_name {
            Some(place) => u32::try_from(place).ok()? + 1,
            None => text.parse().ok()?,
        };
        (least..=most).contains(&found).then_some(found)
    };
    let mut found = Vec::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse().ok().filter(|step: &u32| *step > 0)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None if range == "*" => (least, most),
            None => {
                let first = number(range)?;
                (first, if step.is_some() { most } else { first })
            }
        };
        if first <= last {
            found.extend((first..=last).step_by(step.unwrap_or(1) as usize));
        } else {
            // A range such as FRI-MON goes over the end.
            found.extend((first..=most).chain(least..=last));
        }
    }
    Some(found)
}

const MONTHS: &[&str] =
    &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEK: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A week of minutes.
const LONGEST_JUMP: i64 = 7 * 1440;

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(schedule: &str, at: &str) -> bool {
        let at = Timestamp::parse(at).unwrap();
        let last = Timestamp(at.0 - MINUTE);
        Schedule::parse(schedule).unwrap().is_due(last, last, at)
    }

    #[test]
    fn cron_fits_its_minutes() {
        for (schedule, at, fit) in [
            ("cron(0 12 * * ? *)", "2026-01-01T12:00:00Z", true),
            ("cron(0 12 * * ? *)", "2026-01-01T12:01:00Z", false),
            ("cron(0/15 * * * ? *)", "2026-01-01T03:45:00Z", true),
            ("cron(0 8 ? * MON-FRI *)", "2026-01-01T08:00:00Z", true),
            ("cron(0 8 ? * MON-FRI *)", "2026-01-03T08:00:00Z", false),
            ("cron(0 8 ? * FRI-MON *)", "2026-01-04T08:00:00Z", true),
            ("cron(0 0 L * ? *)", "2026-02-28T00:00:00Z", true),
            ("cron(0 0 L * ? *)", "2026-02-27T00:00:00Z", false),
            ("cron(0 0 ? * 6L *)", "2026-01-30T00:00:00Z", true),
            ("cron(0 0 ? * 5#1 *)", "2026-01-01T00:00:00Z", true),
            ("cron(0 0 1W * ? *)", "2026-02-02T00:00:00Z", true),
            ("cron(0 0 1 JAN ? 2027)", "2026-01-01T00:00:00Z", false),
        ] {
            assert_eq!(fits(schedule, at), fit, "{schedule} {at}");
        }
    }

    #[test]
    fn rates_count_from_their_beginning() {
        let schedule = Schedule::parse("rate(5 minutes)").unwrap();
        let since = Timestamp(1000);
        let at = |minutes: i64| Timestamp(1000 + minutes * MINUTE);
        assert!(schedule.is_due(since, at(4), at(5)));
        assert!(!schedule.is_due(since, at(5), at(6)));
        assert!(schedule.is_due(since, at(9), at(30)));
    }

    #[test]
    fn wrong_schedules_are_refused() {
        for text in [
            "",
            "rate(5)",
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(0 minutes)",
            "rate(-1 days)",
            "cron(0 12 * * ?)",
            "cron(0 12 * * * *)",
            "cron(60 12 * * ? *)",
            "cron(0 12 32 * ? *)",
            "cron(0 12 ? * 8 *)",
            "cron(a 12 * * ? *)",
            "cron(0/0 12 * * ? *)",
            "at(2026-01-01T00:00:00)",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }
}
