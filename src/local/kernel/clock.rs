//! The clock of the cloud: real, faster than real, or stepped by hand.
//!
//! Timers of services (rollouts, time limits, maintenance windows, expiry) hang
//! on this clock alone, so that `--time-lapse 60` runs an hour of rollout in a
//! minute and a test can step over a week. The network keeps the real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

/// A moment, in milliseconds since 1970 (UTC).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Seconds since 1970 with their fraction, as AWS's JSON APIs write times.
    pub fn fractional_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// ISO 8601 in UTC with milliseconds, as AWS's XML APIs write times.
    pub fn iso8601(self) -> String {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let format = time::macros::format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        moment.format(format).unwrap_or_default()
    }

    /// Reads ISO 8601, `None` if the text is no moment.
    pub fn parse(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp)
    }

    /// This moment and `duration` later.
    pub fn after(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(millis))
    }

    /// How long it is from `earlier` to this moment; nothing if it lies behind.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The source of time. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Running { began: Instant, at: i64, factor: f64 },
    Stepped { now: AtomicI64, changed: watch::Sender<()> },
}

impl Clock {
    /// The machine's time.
    pub fn real() -> Self {
        Self::time_lapse(1.0)
    }

    /// Begins at the machine's time and runs `factor` times faster.
    pub fn time_lapse(factor: f64) -> Self {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        Clock(Arc::new(Kind::Running { began: Instant::now(), at, factor: factor.max(0.001) }))
    }

    /// Stands still until it is stepped.
    pub fn stepped(now: Timestamp) -> Self {
        Clock(Arc::new(Kind::Stepped {
            now: AtomicI64::new(now.0),
            changed: watch::Sender::new(()),
        }))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Kind::Running { began, at, factor } => Timestamp(
                at.saturating_add((began.elapsed().as_secs_f64() * 1000.0 * factor) as i64),
            ),
            Kind::Stepped { now, .. } => Timestamp(now.load(Ordering::SeqCst)),
        }
    }

    /// Moves a stepped clock forward; a running clock is left alone.
    pub fn step(&self, duration: Duration) {
        if let Kind::Stepped { now, changed } = &*self.0 {
            let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            now.fetch_add(millis, Ordering::SeqCst);
            changed.send_replace(());
        }
    }

    /// Waits until the clock shows `moment`.
    pub async fn sleep_until(&self, moment: Timestamp) {
        match &*self.0 {
            Kind::Running { factor, .. } => loop {
                let rest = moment.since(self.now());
                if rest.is_zero() {
                    return;
                }
                // Long sleeps are cut, so that a factor far below one cannot overflow.
                let rest = (rest.as_secs_f64() / factor).clamp(0.000_5, 86_400.0);
                tokio::time::sleep(Duration::from_secs_f64(rest)).await;
            },
            Kind::Stepped { changed, .. } => {
                let mut changed = changed.subscribe();
                while self.now() < moment {
                    if changed.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Waits for `duration` of this clock.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now().after(duration)).await;
    }

    /// How much of the machine's time passes in `duration` of this clock; a
    /// stepped clock knows no other time than its own.
    pub fn real_duration(&self, duration: Duration) -> Duration {
        match &*self.0 {
            Kind::Running { factor, .. } => duration.div_f64(*factor),
            Kind::Stepped { .. } => duration,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_iso_8601() {
        let moment = Timestamp(1_700_000_000_123);
        assert_eq!(moment.iso8601(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp::parse(&moment.iso8601()), Some(moment));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[tokio::test]
    async fn a_stepped_clock_wakes_sleepers_when_their_time_has_come() {
        let clock = Clock::stepped(Timestamp(0));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(10)).await }
        });
        tokio::task::yield_now().await;
        clock.step(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.step(Duration::from_secs(1));
        sleeper.await.unwrap();
    }

    #[tokio::test]
    async fn a_time_lapse_shortens_sleep() {
        let clock = Clock::time_lapse(10_000.0);
        let before = clock.now();
        clock.sleep(Duration::from_secs(60)).await;
        assert!(clock.now().since(before) >= Duration::from_secs(60));
    }
}
