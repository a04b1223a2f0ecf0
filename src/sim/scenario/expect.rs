//! Expectations: sentences that a run is held to.
//!
//! A small language, made for the few questions that a rollout raises. Numbers compare
//! (`succeeded >= 99%`, `duration < 5 min`, `p95 update < 30 s`), sentences hold or do
//! not (`no device runs an unsigned image`, `aborts before 50 devices fail`). Shares
//! are shares of the fleet.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use iotstack_protocol::JobStatus;
use serde::Serialize;

use super::units::span;
use crate::Error;

/// Something that must come of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    text: String,
    question: Question,
}

/// What is known about a run that is over.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Facts {
    /// How many devices there were.
    pub devices: u64,
    /// Devices whose last update ended with SUCCEEDED.
    pub succeeded: u64,
    /// Devices whose last update ended with FAILED.
    pub failed: u64,
    /// Devices whose last update ended with REJECTED.
    pub rejected: u64,
    /// Devices whose last update was ended by the cloud.
    pub canceled: u64,
    /// Devices that had no update.
    pub untouched: u64,
    /// Devices that run the new version.
    pub updated: u64,
    /// Devices with a certificate of their own.
    pub provisioned: u64,
    /// Devices on which nothing boots.
    pub bricked: u64,
    /// Devices whose image is not signed, changed, or below the floor.
    pub unsigned: u64,
    /// Devices whose fault ended otherwise than it must.
    pub unexpected: u64,
    /// How many devices had failed when the job was stopped.
    pub failed_at_abort: Option<u64>,
    /// How the job ended, if it did.
    pub job: Option<JobStatus>,
    /// How long the run took, in seconds.
    pub seconds: f64,
    /// By `p95 update` and the like, in seconds.
    pub times: BTreeMap<String, f64>,
}

/// Whether an expectation was met.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The expectation, as it was written.
    pub expectation: String,
    /// Whether it was met.
    pub is_met: bool,
    /// What was found.
    pub found: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Question {
    Count { what: Counted, comparison: Comparison, limit: f64, is_share: bool },
    Time { what: String, comparison: Comparison, limit: Duration },
    NoneUnsigned,
    NoneBricked,
    AsFaultsDemand,
    AbortsBefore { failures: u64 },
    JobIs { status: JobStatus },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

macro_rules! counted {
    ($($name:ident = $word:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(non_camel_case_types)]
        enum Counted { $($name,)* }

        impl Counted {
            const WORDS: &'static [&'static str] = &[$($word),*];

            fn of(word: &str) -> Option<Self> {
                match word { $($word => Some(Counted::$name),)* _ => None }
            }

            fn read(self, facts: &Facts) -> u64 {
                match self { $(Counted::$name => facts.$name,)* }
            }
        }
    };
}

counted! {
    succeeded = "succeeded";
    failed = "failed";
    rejected = "rejected";
    canceled = "canceled";
    untouched = "untouched";
    updated = "updated";
    provisioned = "provisioned";
    bricked = "bricked";
    unsigned = "unsigned";
    unexpected = "unexpected";
    devices = "devices";
}

impl Expectation {
    /// The expectation as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Holds a run to it.
    pub fn judge(&self, facts: &Facts) -> Verdict {
        let (is_met, found) = self.question.judge(facts);
        Verdict { expectation: self.text.clone(), is_met, found }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Expectation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match question(&words) {
            Ok(question) => Ok(Expectation { text: words.join(" "), question }),
            Err(reason) => Err(Error::Expectation { text: text.to_owned(), reason }),
        }
    }
}

fn question(words: &[&str]) -> Result<Question, String> {
    match words {
        ["no", "device", "runs", "an", "unsigned", "image"] => Ok(Question::NoneUnsigned),
        ["no", "device", "is", "bricked"] => Ok(Question::NoneBricked),
        ["every", "fault", "ends", "as", "it", "must"] => Ok(Question::AsFaultsDemand),
        ["aborts", "before", number, "devices", "fail"] => match number.parse() {
            Ok(failures) => Ok(Question::AbortsBefore { failures }),
            Err(_) => Err(format!("`{number}` is no number of devices")),
        },
        ["job", "completes"] => Ok(Question::JobIs { status: JobStatus::Completed }),
        ["job", "aborts"] => Ok(Question::JobIs { status: JobStatus::Canceled }),
        [first, rest @ ..] if matches!(*first, "p50" | "p95" | "p99" | "maximum") => match rest {
            [what, comparison, limit @ ..] => {
                if !TIMES.contains(what) {
                    let times = TIMES.join(", ");
                    return Err(format!("`{what}` is not measured: expected one of {times}"));
                }
                time(format!("{first} {what}"), comparison, limit)
            }
            _ => Err(format!("expected something like `{first} update < 30 s`")),
        },
        ["duration", comparison, limit @ ..] => time("duration".to_owned(), comparison, limit),
        [what, comparison, limit] if let Some(what) = Counted::of(what) => {
            count(what, comparison, limit)
        }
        _ => Err(format!(
            "expected a comparison of one of {}, duration or `p95 update`, or one of the \
             sentences `no device runs an unsigned image`, `no device is bricked`, `every fault \
             ends as it must`, `aborts before N devices fail`, `job completes`, `job aborts`",
            Counted::WORDS.join(", ")
        )),
    }
}

fn count(what: Counted, sign: &str, limit: &str) -> Result<Question, String> {
    let comparison = comparison(sign)?;
    let (number, is_share) = match limit.strip_suffix('%') {
        Some(number) => (number, true),
        None => (limit, false),
    };
    let number: f64 = number
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| format!("`{limit}` is no number: expected one such as 5 or 99%"))?;
    if is_share && number > 100.0 {
        return Err(format!("`{limit}` is more than everybody: expected at most 100%"));
    }
    Ok(Question::Count { what, comparison, limit: number, is_share })
}

fn time(what: String, sign: &str, limit: &[&str]) -> Result<Question, String> {
    let text = limit.join(" ");
    let limit = span(&text)
        .ok_or_else(|| format!("`{text}` is no time: expected one such as 30 s or 5 min"))?;
    Ok(Question::Time { what, comparison: comparison(sign)?, limit })
}

fn comparison(sign: &str) -> Result<Comparison, String> {
    match sign {
        "<" => Ok(Comparison::Less),
        "<=" => Ok(Comparison::AtMost),
        "=" | "==" => Ok(Comparison::Equal),
        ">=" => Ok(Comparison::AtLeast),
        ">" => Ok(Comparison::More),
        _ => Err(format!("`{sign}` compares nothing: expected one of <, <=, =, >=, >")),
    }
}

impl Question {
    fn judge(&self, facts: &Facts) -> (bool, String) {
        match self {
            Question::Count { what, comparison, limit, is_share } => {
                let count = what.read(facts);
                if !is_share {
                    return (comparison.holds(count as f64, *limit), count.to_string());
                }
                let share = 100.0 * count as f64 / facts.devices.max(1) as f64;
                let found = format!("{share:.1}% ({count} of {})", facts.devices);
                (comparison.holds(share, *limit), found)
            }
            Question::Time { what, comparison, limit } => {
                let seconds = match what.as_str() {
                    "duration" => Some(facts.seconds),
                    other => facts.times.get(other).copied(),
                };
                match seconds {
                    None => (false, "never measured".to_owned()),
                    Some(seconds) => {
                        (comparison.holds(seconds, limit.as_secs_f64()), format!("{seconds:.2} s"))
                    }
                }
            }
            Question::NoneUnsigned => (facts.unsigned == 0, of_devices(facts.unsigned)),
            Question::NoneBricked => (facts.bricked == 0, of_devices(facts.bricked)),
            Question::AsFaultsDemand => (facts.unexpected == 0, of_devices(facts.unexpected)),
            Question::AbortsBefore { failures } => match facts.failed_at_abort {
                None => (false, "the job was not aborted".to_owned()),
                Some(failed) => {
                    (failed < *failures, format!("aborted after {}", of_devices(failed)))
                }
            },
            Question::JobIs { status } => match facts.job {
                None => (false, "the job's end is not known".to_owned()),
                Some(found) => (found == *status, format!("the job is {found}")),
            },
        }
    }
}

impl Comparison {
    fn holds(self, found: f64, limit: f64) -> bool {
        match self {
            Comparison::Less => found < limit,
            Comparison::AtMost => found <= limit,
            // Counts are whole, and shares are compared as they are shown.
            Comparison::Equal => (found - limit).abs() < 0.05,
            Comparison::AtLeast => found >= limit,
            Comparison::More => found > limit,
        }
    }
}

fn of_devices(count: u64) -> String {
    match count {
        1 => "1 device".to_owned(),
        count => format!("{count} devices"),
    }
}

/// What is measured.
const TIMES: [&str; 6] = ["connect", "provision", "request", "download", "update", "reconnect"];

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            devices: 200,
            succeeded: 198,
            failed: 2,
            updated: 198,
            job: Some(JobStatus::Completed),
            seconds: 42.0,
            times: BTreeMap::from([("p95 update".to_owned(), 3.5)]),
            ..Facts::default()
        }
    }

    fn judge(text: &str, facts: &Facts) -> (bool, String) {
        let verdict = text.parse::<Expectation>().unwrap().judge(facts);
        (verdict.is_met, verdict.found)
    }

    #[test]
    fn compares_counts_shares_and_times() {
        let facts = facts();
        for (text, is_met, found) in [
            ("succeeded >= 99%", true, "99.0% (198 of 200)"),
            ("succeeded > 99%", false, "99.0% (198 of 200)"),
            ("failed <= 1", false, "2"),
            ("failed = 2", true, "2"),
            ("rejected == 0", true, "0"),
            ("updated   <  100%", true, "99.0% (198 of 200)"),
            ("duration < 1 min", true, "42.00 s"),
            ("duration<1min", false, ""),
            ("p95 update <= 3.5s", true, "3.50 s"),
            ("p99 update < 10 s", false, "never measured"),
        ] {
            if found.is_empty() {
                assert!(text.parse::<Expectation>().is_err(), "{text}");
            } else {
                assert_eq!(judge(text, &facts), (is_met, found.to_owned()), "{text}");
            }
        }
    }

    #[test]
    fn holds_a_run_to_sentences() {
        let good = facts();
        let bad = Facts {
            unsigned: 1,
            bricked: 3,
            unexpected: 1,
            job: Some(JobStatus::Canceled),
            failed_at_abort: Some(49),
            ..facts()
        };
        for (text, of_good, of_bad) in [
            ("no device runs an unsigned image", true, false),
            ("no device is bricked", true, false),
            ("every fault ends as it must", true, false),
            ("aborts before 50 devices fail", false, true),
            ("aborts before 49 devices fail", false, false),
            ("job completes", true, false),
            ("job aborts", false, true),
        ] {
            assert_eq!(judge(text, &good).0, of_good, "{text}");
            assert_eq!(judge(text, &bad).0, of_bad, "{text}");
        }
        assert_eq!(judge("no device is bricked", &bad).1, "3 devices");
    }

    #[test]
    fn says_what_is_accepted() {
        for (text, part) in [
            ("succeeded is good", "`is` compares nothing: expected one of <, <=, =, >=, >"),
            ("succeeded >= many", "`many` is no number"),
            ("succeeded >= 101%", "at most 100%"),
            ("p95 coffee < 1 s", "`coffee` is not measured: expected one of connect, "),
            ("aborts before some devices fail", "`some` is no number of devices"),
            ("duration < soon", "`soon` is no time"),
            ("", "expected a comparison of one of succeeded, "),
        ] {
            let error = text.parse::<Expectation>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
