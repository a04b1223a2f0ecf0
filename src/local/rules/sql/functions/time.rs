//! Times as text and back, by the patterns of Java's libraries.
//!
//! `parse_time` writes a time by a Joda pattern, `time_to_epoch` reads one by a JDK
//! pattern. A pattern is a run of letters per part (`yyyy`, `MM`), text in single
//! quotes, and anything else as it stands. Names are English. A pattern with a
//! letter that is not known, or a text that does not fit it, gives `Undefined`.
//!
//! Zones are those of the IANA database, which is part of the program, and offsets
//! such as `+02:00`.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::Call;
use crate::sql::value::Value;

/// `parse_time(pattern, milliseconds[, zone])`: the time as text.
pub fn parse_time(call: &Call<'_>) -> Option<Value> {
    let pattern = call.text(0)?;
    let moment = Timestamp::from_millisecond(i64::try_from(call.int(1)?).ok()?).ok()?;
    let zone = if call.count() > 2 { zone(&call.text(2)?)? } else { TimeZone::UTC };
    let moment = moment.to_zoned(zone);
    let mut text = String::new();
    for part in parts(&pattern)? {
        match part {
            Part::Literal(literal) => text.push_str(&literal),
            Part::Letters(letter, count) => write(&moment, letter, count, &mut text)?,
        }
    }
    Some(Value::String(text))
}

/// `time_to_epoch(text, pattern)`: the milliseconds since 1970.
pub fn time_to_epoch(call: &Call<'_>) -> Option<Value> {
    let text = call.text(0)?;
    let pattern = call.text(1)?;
    let mut read = Fields { rest: &text, ..Fields::default() };
    let all = parts(&pattern)?;
    for (at, part) in all.iter().enumerate() {
        match part {
            Part::Literal(literal) => read.rest = read.rest.strip_prefix(literal.as_str())?,
            // Two parts without a separator: the first takes only its own width.
            Part::Letters(letter, count) => {
                let adjacent = matches!(all.get(at + 1), Some(Part::Letters(..)));
                read.part(*letter, *count, adjacent)?;
            }
        }
    }
    if !read.rest.is_empty() {
        return None;
    }
    Some(Value::Int(read.milliseconds()?.into()))
}

enum Part {
    Literal(String),
    Letters(char, usize),
}

fn parts(pattern: &str) -> Option<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    let mut characters = pattern.chars().peekable();
    let literal = |parts: &mut Vec<Part>, character: char| match parts.last_mut() {
        Some(Part::Literal(text)) => text.push(character),
        _ => parts.push(Part::Literal(character.to_string())),
    };
    while let Some(character) = characters.next() {
        if character == '\'' {
            if characters.next_if_eq(&'\'').is_some() {
                literal(&mut parts, '\'');
                continue;
            }
            loop {
                match characters.next()? {
                    '\'' if characters.next_if_eq(&'\'').is_some() => literal(&mut parts, '\''),
                    '\'' => break,
                    other => literal(&mut parts, other),
                }
            }
        } else if character.is_ascii_alphabetic() {
            let mut count = 1;
            while characters.next_if_eq(&character).is_some() {
                count += 1;
            }
            if count > WIDEST {
                return None;
            }
            parts.push(Part::Letters(character, count));
        } else {
            literal(&mut parts, character);
        }
    }
    Some(parts)
}

fn write(moment: &Zoned, letter: char, count: usize, text: &mut String) -> Option<()> {
    let padded = |number: i64| format!("{number:0count$}");
    let year = |year: i64| {
        if count == 2 { format!("{:02}", year.rem_euclid(100)) } else { padded(year) }
    };
    let hour = i64::from(moment.hour());
    let date = moment.date();
    let written = match letter {
        'G' => if moment.year() > 0 { "AD" } else { "BC" }.to_owned(),
        'C' => padded(i64::from(moment.year()) / 100),
        'y' | 'u' => year(moment.year().into()),
        'Y' => year(i64::from(moment.year()).abs().max(1)),
        'x' => year(date.iso_week_date().year().into()),
        'w' => padded(date.iso_week_date().week().into()),
        'e' => padded(date.weekday().to_monday_one_offset().into()),
        'E' => name(WEEKDAYS[usize::try_from(date.weekday().to_monday_zero_offset()).ok()?], count),
        'D' => padded(date.day_of_year().into()),
        'M' | 'L' if count > 2 => name(month_name(moment.month())?, count),
        'M' | 'L' => padded(moment.month().into()),
        'd' => padded(moment.day().into()),
        'a' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        'K' => padded(hour % 12),
        'h' => padded((hour + 11) % 12 + 1),
        'H' => padded(hour),
        'k' => padded((hour + 23) % 24 + 1),
        'm' => padded(moment.minute().into()),
        's' => padded(moment.second().into()),
        'S' => {
            let nanoseconds = format!("{:09}", moment.subsec_nanosecond());
            nanoseconds.chars().chain(std::iter::repeat('0')).take(count).collect()
        }
        'z' => {
            let zone = moment.time_zone();
            zone.to_offset_info(moment.timestamp()).abbreviation().to_owned()
        }
        'Z' if count > 2 => moment.time_zone().iana_name().unwrap_or("UTC").to_owned(),
        'Z' => offset(moment.offset(), if count == 2 { ":" } else { "" }),
        _ => return None,
    };
    text.push_str(&written);
    Some(())
}

fn name(full: &str, count: usize) -> String {
    full.chars().take(if count < 4 { 3 } else { usize::MAX }).collect()
}

fn month_name(month: i8) -> Option<&'static str> {
    MONTHS.get(usize::try_from(month).ok()?.checked_sub(1)?).copied()
}

fn offset(offset: Offset, separator: &str) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}{separator}{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

fn zone(name: &str) -> Option<TimeZone> {
    if matches!(name, "UTC" | "GMT" | "Z") {
        return Some(TimeZone::UTC);
    }
    if name.starts_with(['+', '-']) {
        let mut fields = Fields { rest: name, ..Fields::default() };
        fields.offset()?;
        return if fields.rest.is_empty() { fields.zone } else { None };
    }
    TimeZone::get(name).ok()
}

/// What has been read of a time.
#[derive(Default)]
struct Fields<'a> {
    rest: &'a str,
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    half_hour: Option<i64>,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    nanosecond: i64,
    zone: Option<TimeZone>,
}

impl Fields<'_> {
    fn part(&mut self, letter: char, count: usize, adjacent: bool) -> Option<()> {
        match letter {
            'y' | 'u' | 'Y' if count == 2 => self.year = Some(2000 + self.number(2, 2)?),
            'y' | 'u' | 'Y' => {
                let widest = if adjacent { count } else { WIDEST };
                self.year = Some(self.number(count.min(4), widest)?);
            }
            'M' | 'L' if count > 2 => self.month = Some(self.name(&MONTHS, count)? + 1),
            'M' | 'L' => self.month = Some(self.number(count, 2)?),
            'd' => self.day = Some(self.number(count, 2)?),
            'D' => self.day_of_year = Some(self.number(count, 3)?),
            'E' => drop(self.name(&WEEKDAYS, count)?),
            'H' => self.hour = Some(self.number(count, 2)?),
            'k' => self.hour = Some(self.number(count, 2)? % 24),
            'h' => self.half_hour = Some(self.number(count, 2)? % 12),
            'K' => self.half_hour = Some(self.number(count, 2)?),
            'a' => self.afternoon = Some(self.name(&["AM", "PM"], 4)? == 1),
            'm' => self.minute = self.number(count, 2)?,
            's' => self.second = self.number(count, 2)?,
            'S' => {
                let digits = self.digits(count, count)?;
                let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
                self.nanosecond = nine.parse().ok()?;
            }
            'n' => self.nanosecond = self.number(count, 9)?,
            'X' if self.rest.starts_with('Z') => {
                self.rest = &self.rest[1..];
                self.zone = Some(TimeZone::UTC);
            }
            'X' | 'x' | 'Z' => self.offset()?,
            'V' | 'z' | 'O' => {
                let end = self.rest.find(|c: char| !c.is_alphanumeric() && !"/_+-:".contains(c));
                let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.zone = Some(zone(name)?);
                self.rest = rest;
            }
            _ => return None,
        }
        Some(())
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<&str> {
        let count = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        Some(digits)
    }

    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        self.digits(least, most.max(least))?.parse().ok()
    }

    fn name(&mut self, names: &[&str], count: usize) -> Option<i64> {
        for (place, full) in names.iter().enumerate() {
            let wanted = name(full, count);
            if self.rest.get(..wanted.len()).is_some_and(|text| text.eq_ignore_ascii_case(&wanted))
            {
                self.rest = &self.rest[wanted.len()..];
                return i64::try_from(place).ok();
            }
        }
        None
    }

    fn offset(&mut self) -> Option<()> {
        let sign = match self.rest.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        self.rest = &self.rest[1..];
        let hours = self.number(2, 2)?;
        self.rest = self.rest.strip_prefix(':').unwrap_or(self.rest);
        let minutes = self.number(2, 2).unwrap_or(0);
        let seconds = i32::try_from(sign * (hours * 60 + minutes) * 60).ok()?;
        self.zone = Some(TimeZone::fixed(Offset::from_seconds(seconds).ok()?));
        Some(())
    }

    fn milliseconds(&self) -> Option<i64> {
        let year = i16::try_from(self.year?).ok()?;
        let date = match self.day_of_year {
            Some(day) => Date::new(year, 1, 1)
                .ok()?
                .with()
                .day_of_year(i16::try_from(day).ok()?)
                .build()
                .ok()?,
            None => {
                let month = i8::try_from(self.month.unwrap_or(1)).ok()?;
                Date::new(year, month, i8::try_from(self.day.unwrap_or(1)).ok()?).ok()?
            }
        };
        let half = self.half_hour.map(|hour| hour + 12 * i64::from(self.afternoon == Some(true)));
        let hour = i8::try_from(self.hour.or(half).unwrap_or(0)).ok()?;
        let time = Time::new(
            hour,
            i8::try_from(self.minute).ok()?,
            i8::try_from(self.second).ok()?,
            i32::try_from(self.nanosecond).ok()?,
        );
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        let moment = DateTime::from_parts(date, time.ok()?).to_zoned(zone).ok()?;
        Some(moment.timestamp().as_millisecond())
    }
}

const WIDEST: usize = 9;
const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
