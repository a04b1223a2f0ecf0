//! The clock of a device, which a fault can set wrong.
//!
//! A device keeps no time while it has no power, and what it is told can be wrong. It
//! notices when certificates are not valid at the time that its clock says; then it sets
//! the clock before it judges again. How a real device does that (NTP, its network) is not
//! played. Waits and time limits never go by this clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use iotstack_mqtt::tls::ClientConfig;
use rustls_pki_types::UnixTime;

use crate::fault::Fault;
use crate::outcome::Reason;

/// What the clock of a device says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// The time.
    Right,
    /// That it has just got power: shortly after 1970.
    Behind,
    /// The last seconds of the year 9999.
    Ahead,
}

impl Clock {
    /// What it says when the device begins to live.
    pub(super) fn at_first(fault: Option<Fault>) -> Self {
        match fault {
            Some(Fault::WrongClock) => Clock::Behind,
            Some(Fault::ClockAhead) => Clock::Ahead,
            _ => Clock::Right,
        }
    }

    /// In seconds since 1970.
    pub(super) fn now(self) -> u64 {
        match self {
            Clock::Right => {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
            }
            Clock::Behind => 100,
            Clock::Ahead => 253_402_300_000,
        }
    }

    /// Whether an update that ended for this reason may end otherwise at another time.
    pub(super) fn may_be_why(self, reason: Reason) -> bool {
        self != Clock::Right
            && matches!(reason, Reason::Clock | Reason::Expired | Reason::UntrustedSigner)
    }

    /// TLS as a device with this clock does it.
    pub(super) fn applied_to(self, config: Arc<ClientConfig>) -> Arc<ClientConfig> {
        if self == Clock::Right {
            return config;
        }
        let mut config = ClientConfig::clone(&config);
        config.time_provider = Arc::new(Still(self.now()));
        Arc::new(config)
    }
}

/// A clock that stands still.
#[derive(Debug)]
struct Still(u64);

impl rustls::time_provider::TimeProvider for Still {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}
