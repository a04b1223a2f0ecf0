//! Times and sizes that say their unit.

use std::fmt;

/// A span of time, as AWS properties take it in seconds, minutes or days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

impl Duration {
    /// Whole seconds.
    pub const fn seconds(count: u64) -> Self {
        Duration(count)
    }

    /// Whole minutes.
    pub const fn minutes(count: u64) -> Self {
        Duration(count * 60)
    }

    /// Whole hours.
    pub const fn hours(count: u64) -> Self {
        Duration(count * 3_600)
    }

    /// Whole days.
    pub const fn days(count: u64) -> Self {
        Duration(count * 86_400)
    }

    /// In seconds.
    pub const fn as_seconds(self) -> u64 {
        self.0
    }

    /// In minutes, a started one counted as whole.
    pub const fn as_minutes(self) -> u64 {
        self.0.div_ceil(60)
    }

    /// In days, a started one counted as whole.
    pub const fn as_days(self) -> u64 {
        self.0.div_ceil(86_400)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} s", self.0)
    }
}

/// An amount of memory or storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// Mebibytes, which AWS's pages call MB.
    pub const fn mebibytes(count: u64) -> Self {
        Size(count)
    }

    /// Gibibytes.
    pub const fn gibibytes(count: u64) -> Self {
        Size(count * 1_024)
    }

    /// In mebibytes.
    pub const fn as_mebibytes(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Size};

    #[test]
    fn a_started_minute_or_day_counts_as_whole() {
        assert_eq!(Duration::seconds(61).as_minutes(), 2);
        assert_eq!(Duration::hours(25).as_days(), 2);
        assert_eq!(Duration::days(1), Duration::hours(24));
        assert_eq!(Duration::minutes(2).to_string(), "120 s");
    }

    #[test]
    fn a_gibibyte_is_1024_mebibytes() {
        assert_eq!(Size::gibibytes(2).as_mebibytes(), 2_048);
        assert!(Size::mebibytes(1_025) > Size::gibibytes(1));
    }
}
