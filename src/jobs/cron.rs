//! The cron expressions of maintenance windows.
//!
//! AWS writes six fields, `cron(minute hour day-of-month month day-of-week year)`,
//! one of the two day fields being `?`. Beside lists, ranges and steps there are
//! `L` (the last day), `W` (the weekday nearest to a day) and `#` (the n-th such
//! weekday). Everything is UTC. Nothing here knows how long a window lasts.

use crate::time::{DAY, Date, MINUTE, Time};

/// A parsed cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u32,
    months: u16,
    days: Days,
    years: Vec<(u32, u32, u32)>,
}

/// Which days of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    /// By their number; `nearest` holds the days of `W`, 0 standing for `LW`.
    OfMonth { mask: u32, last: bool, nearest: Vec<u32> },
    /// By their name; `last` is a mask, `nth` holds weekday and occurrence.
    OfWeek { mask: u32, last: u32, nth: Vec<(u32, u32)> },
}

impl Cron {
    /// Reads an expression; the error says which field is wrong and why.
    pub fn parse(text: &str) -> Result<Cron, String> {
        let length = text.chars().count();
        if length > 256 {
            return Err(format!("a cron expression has {length} characters: expected at most 256"));
        }
        let fields = text.trim().strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')'));
        let fields = fields.ok_or_else(|| {
            format!("`{text}` is no cron expression: expected `cron(minute hour day-of-month month day-of-week year)`")
        })?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week, year] = fields[..] else {
            return Err(format!("`{text}` has {} fields: expected six", fields.len()));
        };
        let days = match (day_of_month, day_of_week) {
            ("?", "?") => return Err(format!("`{text}` names no day: only one field may be `?`")),
            ("?", week) => days_of_week(week)?,
            (month, "?") => days_of_month(month)?,
            _ => {
                return Err(format!(
                    "`{text}` names days twice: day-of-month or day-of-week must be `?`"
                ));
            }
        };
        Ok(Cron {
            minutes: mask(minute, &MINUTES)?,
            hours: mask(hour, &HOURS)? as u32,
            months: mask(month, &MONTHS)? as u16,
            days,
            years: year_ranges(year)?,
        })
    }

    /// The first moment at or after `from`; none if there is none before 2200.
    pub fn at_or_after(&self, from: Time) -> Option<Time> {
        let from = Time(from.0.div_ceil(MINUTE) * MINUTE);
        let mut day = (from.0 / DAY) as i64;
        let mut first_minute = from.0 % DAY / MINUTE;
        loop {
            let date = Date::of_day(day);
            if date.year > LAST_YEAR {
                return None;
            }
            if !self.has_year(date.year) {
                day = Date { year: date.year + 1, month: 1, day: 1 }.day_number();
                first_minute = 0;
                continue;
            }
            if self.months & (1 << date.month) == 0 {
                day += i64::from(date.days_in_month() - date.day) + 1;
                first_minute = 0;
                continue;
            }
            if self.has_day(date)
                && let Some(minute) = self.minute_of_day(first_minute)
            {
                return Some(Time(day as u64 * DAY + minute * MINUTE));
            }
            day += 1;
            first_minute = 0;
        }
    }

    fn minute_of_day(&self, from: u64) -> Option<u64> {
        let is_set = |minute: &u64| {
            self.hours & (1 << (minute / 60)) != 0 && self.minutes & (1 << (minute % 60)) != 0
        };
        (from..24 * 60).find(is_set)
    }

    fn has_year(&self, year: i64) -> bool {
        let year = year as u32;
        self.years.iter().any(|(first, last, step)| {
            (*first..=*last).contains(&year) && (year - first).is_multiple_of(*step)
        })
    }

    fn has_day(&self, date: Date) -> bool {
        match &self.days {
            Days::OfMonth { mask, last, nearest } => {
                mask & (1 << date.day) != 0
                    || (*last && date.day == date.days_in_month())
                    || nearest.iter().any(|day| nearest_weekday(date, *day) == date.day)
            }
            Days::OfWeek { mask, last, nth } => {
                let weekday = date.day_of_week();
                mask & (1 << weekday) != 0
                    || (last & (1 << weekday) != 0 && date.day + 7 > date.days_in_month())
                    || nth.contains(&(weekday, (date.day - 1) / 7 + 1))
            }
        }
    }
}

/// The day of the month of `date` that is a weekday and nearest to `wanted`.
///
/// It never leaves the month: the 1st on a Saturday moves to Monday the 3rd. A day
/// that the month does not have matches nothing.
fn nearest_weekday(date: Date, wanted: u32) -> u32 {
    let length = date.days_in_month();
    let wanted = if wanted == 0 { length } else { wanted };
    if wanted > length {
        return 0;
    }
    match (Date { day: wanted, ..date }).day_of_week() {
        SATURDAY if wanted == 1 => 3,
        SATURDAY => wanted - 1,
        SUNDAY if wanted == length => wanted - 2,
        SUNDAY => wanted + 1,
        _ => wanted,
    }
}

/// What a field may hold.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    words: &'static [&'static str],
}

fn days_of_month(text: &str) -> Result<Days, String> {
    let (mut found, mut last, mut nearest) = (0, false, Vec::new());
    for part in text.split(',') {
        if part == "L" {
            last = true;
        } else if part == "LW" {
            nearest.push(0);
        } else if let Some(day) = part.strip_suffix('W') {
            nearest.push(value(day, &DAYS_OF_MONTH)?);
        } else {
            found |= mask(part, &DAYS_OF_MONTH)? as u32;
        }
    }
    Ok(Days::OfMonth { mask: found, last, nearest })
}

fn days_of_week(text: &str) -> Result<Days, String> {
    let (mut found, mut last, mut nth) = (0, 0, Vec::new());
    for part in text.split(',') {
        if part == "L" {
            found |= 1 << SATURDAY;
        } else if let Some(day) = part.strip_suffix('L') {
            last |= 1 << value(day, &DAYS_OF_WEEK)?;
        } else if let Some((day, occurrence)) = part.split_once('#') {
            let day = value(day, &DAYS_OF_WEEK)?;
            nth.push((day, value(occurrence, &OCCURRENCES)?));
        } else {
            found |= mask(part, &DAYS_OF_WEEK)? as u32;
        }
    }
    Ok(Days::OfWeek { mask: found, last, nth })
}

fn mask(text: &str, field: &Field) -> Result<u64, String> {
    let mut mask = 0;
    for part in text.split(',') {
        let (first, last, step) = range(part, field)?;
        let mut next = first;
        while next <= last {
            mask |= 1 << next;
            next += step;
        }
    }
    Ok(mask)
}

fn year_ranges(text: &str) -> Result<Vec<(u32, u32, u32)>, String> {
    text.split(',').map(|part| range(part, &YEARS)).collect()
}

fn range(part: &str, field: &Field) -> Result<(u32, u32, u32), String> {
    let (base, step) = match part.split_once('/') {
        Some((base, step)) => {
            let step = number(step).filter(|step| *step > 0 && *step <= field.most);
            (base, Some(step.ok_or_else(|| refused(part, field))?))
        }
        None => (part, None),
    };
    let (first, last) = match base.split_once('-') {
        _ if base == "*" => (field.least, field.most),
        Some((first, last)) => (value(first, field)?, value(last, field)?),
        // `5/15` counts from 5 to the end of the field.
        None if step.is_some() => (value(base, field)?, field.most),
        None => {
            let only = value(base, field)?;
            (only, only)
        }
    };
    if first > last {
        return Err(refused(part, field));
    }
    Ok((first, last, step.unwrap_or(1)))
}

fn value(text: &str, field: &Field) -> Result<u32, String> {
    let word = field.words.iter().position(|word| word.eq_ignore_ascii_case(text));
    let found = word.map(|index| index as u32 + 1).or_else(|| number(text));
    found
        .filter(|value| (field.least..=field.most).contains(value))
        .ok_or_else(|| refused(text, field))
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn refused(text: &str, field: &Field) -> String {
    format!(
        "`{text}` is not valid in the field {}: expected values from {} to {}",
        field.name, field.least, field.most
    )
}

const SUNDAY: u32 = 1;
const SATURDAY: u32 = 7;
const LAST_YEAR: i64 = 2199;
const MINUTES: Field = Field { name: "minute", least: 0, most: 59, words: &[] };
const HOURS: Field = Field { name: "hour", least: 0, most: 23, words: &[] };
const DAYS_OF_MONTH: Field = Field { name: "day-of-month", least: 1, most: 31, words: &[] };
const OCCURRENCES: Field = Field { name: "day-of-week", least: 1, most: 5, words: &[] };
const MONTHS: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    words: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
const DAYS_OF_WEEK: Field = Field {
    name: "day-of-week",
    least: 1,
    most: 7,
    words: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
};
const YEARS: Field = Field { name: "year", least: 1970, most: 2199, words: &[] };

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::{format, parse};

    #[test]
    fn finds_the_moments_of_every_form() {
        // Expression, from, the moments that follow.
        for (text, from, expected) in [
            ("cron(0 20 * * ? *)", "2026-11-21 19:00", "2026-11-21 20:00, 2026-11-22 20:00"),
            ("cron(0 20 * * ? *)", "2026-11-21 20:00", "2026-11-21 20:00, 2026-11-22 20:00"),
            (
                "cron(15/20 8-9 ? * MON-FRI *)",
                "2026-11-20 09:36",
                "2026-11-20 09:55, 2026-11-23 08:15",
            ),
            ("cron(0 0 L * ? *)", "2026-01-31 00:01", "2026-02-28 00:00, 2026-03-31 00:00"),
            ("cron(0 0 1W 8 ? *)", "2026-01-01 00:00", "2026-08-03 00:00, 2027-08-02 00:00"),
            ("cron(0 0 15W * ? *)", "2026-11-01 00:00", "2026-11-16 00:00, 2026-12-15 00:00"),
            ("cron(0 0 LW * ? *)", "2026-05-01 00:00", "2026-05-29 00:00, 2026-06-30 00:00"),
            ("cron(0 0 ? * 6L *)", "2026-11-01 00:00", "2026-11-27 00:00, 2026-12-25 00:00"),
            ("cron(30 1 ? * 3#2 *)", "2026-11-01 00:00", "2026-11-10 01:30, 2026-12-08 01:30"),
            ("cron(0 0 ? * L *)", "2026-11-21 00:01", "2026-11-28 00:00, 2026-12-05 00:00"),
            ("cron(0 12 29 2 ? *)", "2026-01-01 00:00", "2028-02-29 12:00, 2032-02-29 12:00"),
            (
                "cron(0 0 1 1 ? 2030-2040/5)",
                "2026-01-01 00:00",
                "2030-01-01 00:00, 2035-01-01 00:00",
            ),
            ("cron(0 0 1 JAN,jul ? *)", "2026-02-01 00:00", "2026-07-01 00:00, 2027-01-01 00:00"),
        ] {
            let cron = Cron::parse(text).unwrap();
            let first = cron.at_or_after(parse(from).unwrap()).unwrap();
            let second = cron.at_or_after(first.after(1)).unwrap();
            assert_eq!(format!("{}, {}", format(first), format(second)), expected, "{text}");
        }
    }

    #[test]
    fn ends_when_the_years_end() {
        let cron = Cron::parse("cron(0 0 1 1 ? 2020)").unwrap();
        assert_eq!(cron.at_or_after(parse("2026-01-01 00:00").unwrap()), None);
        let never = Cron::parse("cron(0 0 31 2 ? *)").unwrap();
        assert_eq!(never.at_or_after(Time(0)), None);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("rate(5 minutes)", "is no cron expression"),
            ("cron(0 20 * * ?)", "has 5 fields"),
            ("cron(0 20 * * * *)", "names days twice"),
            ("cron(0 20 ? * ? *)", "names no day"),
            ("cron(60 20 * * ? *)", "`60` is not valid in the field minute"),
            ("cron(0 24 * * ? *)", "the field hour"),
            ("cron(0 0 32 * ? *)", "the field day-of-month"),
            ("cron(0 0 * 13 ? *)", "the field month"),
            ("cron(0 0 ? * 8 *)", "the field day-of-week"),
            ("cron(0 0 ? * 3#6 *)", "`6` is not valid"),
            ("cron(0 0 * * ? 2200)", "the field year"),
            ("cron(5-1 0 * * ? *)", "`5-1` is not valid"),
            ("cron(0/0 0 * * ? *)", "`0/0` is not valid"),
        ] {
            let error = Cron::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics_and_never_goes_back(
            fields in "cron\\(([0-9*?/,LW#-]{1,6} ){5}[0-9*?/,-]{1,9}\\)", from in 0_u64..7_000_000_000_000
        ) {
            if let Ok(cron) = Cron::parse(&fields)
                && let Some(found) = cron.at_or_after(Time(from))
            {
                prop_assert!(found.0 >= from);
                prop_assert_eq!(cron.at_or_after(found), Some(found));
            }
        }
    }
}
