//! How long to wait before the next attempt to connect.
//!
//! The wait doubles with each failure up to a limit, and half of it is left to
//! chance: a fleet that lost its server at one moment must not come back at one
//! moment. The other half is fixed, so that waits grow whatever chance says.

use std::time::Duration;

/// The waits between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    limit: Duration,
    attempts: u32,
}

impl Backoff {
    /// Begins with `base` and never waits for longer than `limit`.
    pub fn new(base: Duration, limit: Duration) -> Self {
        Backoff { base, limit, attempts: 0 }
    }

    /// How often an attempt has failed since the last success.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long to wait after one more failure; `chance` is a number in 0.0..1.0.
    pub fn next(&mut self, chance: f64) -> Duration {
        let factor = 1_u32 << self.attempts.min(20);
        self.attempts = self.attempts.saturating_add(1);
        let whole = self.base.saturating_mul(factor).min(self.limit);
        whole / 2 + (whole / 2).mul_f64(chance.clamp(0.0, 1.0))
    }

    /// An attempt has succeeded.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff::new(Duration::from_secs(1), Duration::from_secs(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_limit_and_leave_half_to_chance() {
        for chance in [0.0, 0.3, 0.999] {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
            let waits: Vec<_> = (0..40).map(|_| backoff.next(chance)).collect();
            assert!(waits.is_sorted(), "{waits:?}");
            assert!(waits[0] >= Duration::from_millis(500) && waits[0] < Duration::from_secs(1));
            assert!(waits[39] >= Duration::from_secs(15) && waits[39] < Duration::from_secs(30));
            backoff.reset();
            assert_eq!(backoff.next(chance), waits[0]);
        }
    }

    #[test]
    fn two_devices_wait_differently_and_never_for_longer_than_the_whole() {
        let (base, limit) = (Duration::from_millis(100), Duration::from_secs(3));
        let mut devices = [Backoff::new(base, limit), Backoff::new(base, limit)];
        for attempt in 0..12 {
            let whole = (base * 2_u32.pow(attempt)).min(limit);
            let waits = [devices[0].next(0.25), devices[1].next(0.75)];
            assert!(waits[0] < waits[1], "{attempt}: {waits:?}");
            for wait in waits {
                assert!(whole / 2 <= wait && wait <= whole, "{attempt}: {wait:?} of {whole:?}");
            }
        }
        let at_most = Backoff::new(base, limit).next(1.0);
        assert_eq!(at_most, base, "chance at its end is the whole, and no more");
        assert_eq!(Backoff::new(base, limit).next(7.0), base);
    }
}
