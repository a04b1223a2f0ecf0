//! Sizes, times and shares as people write them in a scenario.
//!
//! `64 KiB`, `256 KB/s`, `1.5 min`, `2%`. Each has one reader that says what it would
//! accept; a bare number is bytes, seconds or a fraction. Whole numbers know their range.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

/// A number of bytes, or of bytes in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub u64);

/// A time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub Duration);

/// A share from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share(pub f64);

/// How much of something there is beside the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Weight(pub f64);

/// A whole number in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole<const FROM: u64, const TO: u64>(pub u64);

const SIZES: &str = "a size such as 4096, 64 KiB or 2 MB, with /s for a bandwidth";
const SPANS: &str = "a time such as 250 ms, 30 s, 5 min or 1 h";
const SHARES: &str = "a share such as 2% or 0.02, from 0 to 1";
const WEIGHTS: &str = "a share beside the others, such as 90% or 0.9, from 0 on";

/// Reads a time.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok()
}

/// Reads a share; above 1 it is none.
fn share(text: &str) -> Option<f64> {
    weight(text).filter(|share| *share <= 1.0)
}

fn weight(text: &str) -> Option<f64> {
    let (number, unit) = split(text)?;
    match unit {
        "%" => Some(number / 100.0),
        "" => Some(number),
        _ => None,
    }
}

fn size(text: &str) -> Option<u64> {
    let text = text.trim().strip_suffix("/s").unwrap_or(text);
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => return None,
    };
    let bytes = number * factor;
    (bytes.is_finite() && bytes < 1e15).then_some(bytes.round() as u64)
}

/// A number and its unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim()))
}

macro_rules! readable {
    ($type:ident, $expected:expr, $read:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Read;
                impl Visitor<'_> for Read {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        let read: fn(&str) -> Option<$type> = $read;
                        read(text).ok_or_else(|| {
                            E::custom(format!("`{text}` is not valid: expected {}", $expected))
                        })
                    }

                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }

                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }

                    fn visit_f64<E: de::Error>(self, number: f64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Read)
            }
        }
    };
}

readable!(Size, SIZES, |text| size(text).map(Size));
readable!(Span, SPANS, |text| span(text).map(Span));
readable!(Share, SHARES, |text| share(text).map(Share));
readable!(Weight, WEIGHTS, |text| weight(text).map(Weight));

impl<'de, const FROM: u64, const TO: u64> Deserialize<'de> for Whole<FROM, TO> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<const FROM: u64, const TO: u64>;
        impl<const FROM: u64, const TO: u64> Visitor<'_> for Read<FROM, TO> {
            type Value = Whole<FROM, TO>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match TO {
                    u64::MAX => write!(f, "a whole number from {FROM} on"),
                    _ => write!(f, "a whole number from {FROM} to {TO}"),
                }
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                match (FROM..=TO).contains(&number) {
                    true => Ok(Whole(number)),
                    false => Err(E::invalid_value(de::Unexpected::Unsigned(number), &self)),
                }
            }
        }
        deserializer.deserialize_any(Read::<FROM, TO>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let size = |text: &str| serde_yaml::from_str::<Size>(text).map(|size| size.0);
        assert_eq!(size("4096").unwrap(), 4096);
        assert_eq!(size("64 KiB").unwrap(), 65_536);
        assert_eq!(size("1.5MB/s").unwrap(), 1_500_000);
        let span = |text: &str| serde_yaml::from_str::<Span>(text).map(|span| span.0);
        assert_eq!(span("30").unwrap(), Duration::from_secs(30));
        assert_eq!(span("250 ms").unwrap(), Duration::from_millis(250));
        assert_eq!(span("1.5 min").unwrap(), Duration::from_secs(90));
        let share = |text: &str| serde_yaml::from_str::<Share>(text).map(|share| share.0);
        assert_eq!(share("2%").unwrap(), 0.02);
        assert_eq!(share("0.5").unwrap(), 0.5);
        assert_eq!(share("1").unwrap(), 1.0);
    }

    #[test]
    fn says_what_would_be_accepted() {
        let error = serde_yaml::from_str::<Size>("64 parsecs").unwrap_err().to_string();
        assert!(error.contains("`64 parsecs` is not valid: expected a size such as"), "{error}");
        for text in ["-1 s", "soon", "1 fortnight"] {
            assert!(serde_yaml::from_str::<Span>(text).is_err(), "{text}");
        }
        for text in ["130%", "2", "lots", "-1"] {
            assert!(serde_yaml::from_str::<Share>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn whole_numbers_know_their_range() {
        type Few = Whole<1, 20>;
        assert_eq!(serde_yaml::from_str::<Few>("20").unwrap(), Whole(20));
        for text in ["0", "21", "-1", "1.5", "many"] {
            let error = serde_yaml::from_str::<Few>(text).unwrap_err().to_string();
            assert!(error.contains("expected a whole number from 1 to 20"), "{error}");
            assert!(error.contains(text), "{error}");
        }
    }
}
