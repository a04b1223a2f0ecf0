//! Moments, as the engine is handed them.
//!
//! A [`Time`] is milliseconds since 1970 in UTC, made by the caller: the engine
//! never asks for it. Beside it stand the few calendar functions that schedules
//! and cron expressions need. No leap seconds, no time zones other than an offset
//! in the text of a start time.

use serde::{Deserialize, Serialize};

/// A moment in milliseconds since 1970, UTC.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// The moment that means "not yet" in a compact record.
    pub(crate) const NONE: Time = Time(0);

    /// Whole seconds since 1970, as devices are told.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Seconds since 1970 with a fraction, as the control plane tells.
    pub fn fractional_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The moment `millis` later.
    pub const fn after(self, millis: u64) -> Time {
        Time(self.0.saturating_add(millis))
    }

    /// The moment `minutes` later.
    pub const fn after_minutes(self, minutes: u64) -> Time {
        self.after(minutes.saturating_mul(MINUTE))
    }

    /// The time between `earlier` and this moment in milliseconds, 0 if it is later.
    pub const fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment, unless it stands for "not yet".
    pub(crate) const fn known(self) -> Option<Time> {
        if self.0 == 0 { None } else { Some(self) }
    }
}

/// Milliseconds in a minute.
pub(crate) const MINUTE: u64 = 60_000;
/// Milliseconds in a day.
pub(crate) const DAY: u64 = 24 * 60 * MINUTE;

/// A date of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date {
    pub year: i64,
    pub month: u32,
    pub day: u32,
}

impl Date {
    /// The date of a day counted from 1970-01-01.
    pub(crate) const fn of_day(days: i64) -> Date {
        // Years begin in March here, so that a leap day is the last of its year.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        Date { year, month: month as u32, day: day as u32 }
    }

    /// The number of this day, counted from 1970-01-01.
    pub(crate) const fn day_number(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month = self.month as i64;
        let shifted_month = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * shifted_month + 2) / 5 + self.day as i64 - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        era * 146_097 + of_era - 719_468
    }

    /// The day of the week, 1 for Sunday to 7 for Saturday.
    pub(crate) const fn day_of_week(self) -> u32 {
        ((self.day_number() + 4).rem_euclid(7) + 1) as u32
    }

    /// How many days the month of this date has.
    pub(crate) const fn days_in_month(self) -> u32 {
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0) => 29,
            2 => 28,
            _ => 31,
        }
    }
}

/// Reads `YYYY-MM-DD HH:MM`, also with seconds, `T`, `Z` or an offset.
pub(crate) fn parse(text: &str) -> Option<Time> {
    if !text.is_ascii() || text.len() < 16 {
        return None;
    }
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let separators = bytes[4] == b'-' && bytes[7] == b'-' && bytes[13] == b':';
    if !separators || !matches!(bytes[10], b' ' | b'T') {
        return None;
    }
    let date = Date { year: number(0, 4)?.into(), month: number(5, 7)?, day: number(8, 10)? };
    let (hour, minute) = (number(11, 13)?, number(14, 16)?);
    let mut rest = &text[16..];
    let mut second = 0;
    if rest.starts_with(':') {
        second = number(17, 19)?;
        rest = &text[19..];
        if let Some(fraction) = rest.strip_prefix('.') {
            rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }
    let offset = offset_minutes(rest)?;
    let in_range = (1..=12).contains(&date.month)
        && date.year >= 1970
        && (1..=date.days_in_month()).contains(&date.day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let minutes = date.day_number() * 1440 + i64::from(hour * 60 + minute) - offset;
    let millis = minutes.checked_mul(60_000)?.checked_add(i64::from(second) * 1000)?;
    u64::try_from(millis).ok().map(Time)
}

/// Writes a moment as `YYYY-MM-DD HH:MM`.
pub(crate) fn format(time: Time) -> String {
    let date = Date::of_day((time.0 / DAY) as i64);
    let minutes = time.0 % DAY / MINUTE;
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}",
        date.year,
        date.month,
        date.day,
        minutes / 60,
        minutes % 60
    )
}

fn offset_minutes(text: &str) -> Option<i64> {
    let sign = match text.as_bytes() {
        [] | [b'Z'] => return Some(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..=14).contains(&hours) && (0..60).contains(&minutes))
        .then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_number_and_its_date_agree_for_four_centuries() {
        for day in -1000..150_000 {
            let date = Date::of_day(day);
            assert_eq!(date.day_number(), day, "{date:?}");
            assert!((1..=date.days_in_month()).contains(&date.day), "{date:?}");
        }
        assert_eq!(Date::of_day(0), Date { year: 1970, month: 1, day: 1 });
        assert_eq!(Date::of_day(0).day_of_week(), 5);
        assert_eq!(Date { year: 2000, month: 2, day: 29 }.day_number(), 11_016);
    }

    #[test]
    fn reads_the_ways_in_which_start_times_are_written() {
        let expected = Some(Time(1_795_257_000_000));
        for text in [
            "2026-11-21 10:30",
            "2026-11-21T10:30",
            "2026-11-21T10:30:00Z",
            "2026-11-21T10:30:00.123Z",
            "2026-11-21T12:30:00+02:00",
            "2026-11-21 04:00:00-06:30",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(format(Time(1_795_257_000_000)), "2026-11-21 10:30");
    }

    #[test]
    fn refuses_what_is_no_moment() {
        for text in [
            "",
            "tomorrow",
            "2026-11-21",
            "2026-02-30 10:30",
            "2026-13-01 10:30",
            "2026-11-21 24:00",
            "2026-11-21 10:60",
            "2026-11-21 1é:30",
            "2026-11-21 10:30 CET",
            "+026-11-21 10:30",
            "1969-01-01 00:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
