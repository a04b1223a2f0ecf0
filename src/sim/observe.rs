//! What a simulation tells while it runs, and what it counts.
//!
//! Events go to whoever watches, one device at a time; they are cheap to ignore. The
//! numbers are kept for everybody and can be read at any moment without stopping
//! anything.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use iotstack_protocol::JobId;
use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// Hears what devices do. Called from many threads; must not block.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn hear(&self, event: &Event<'_>);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silence;

impl Observer for Silence {
    fn hear(&self, _: &Event<'_>) {}
}

/// Something that happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The simulation does something as a whole, in words for people.
    Phase(&'a str),
    /// The numbers of this moment, several times a second.
    Numbers(&'a Counts),
    /// A device did something. Only devices of this process are heard.
    Device {
        /// Its thing name, or its serial number as long as it has none.
        thing: &'a str,
        /// What it did.
        did: Did<'a>,
    },
}

/// What a device did.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Did<'a> {
    /// It was reset and runs this version.
    Boot {
        /// The version.
        version: &'a str,
        /// Whether the version is on trial.
        is_trial: bool,
    },
    /// It has a certificate of its own now.
    Provision,
    /// It is connected.
    Connect,
    /// It lost its connection, or did not get one.
    Disconnect {
        /// Why.
        reason: &'a str,
    },
    /// It waits before it connects again.
    Wait {
        /// For how long.
        time: Duration,
    },
    /// It works on a job now.
    Start {
        /// The job.
        job: &'a JobId,
    },
    /// It has more of the image.
    Download {
        /// How many bytes it has.
        received: u64,
        /// How many there are.
        size: u64,
    },
    /// It has put a new image on trial.
    Install,
    /// It has ended an update, and the cloud knows.
    End {
        /// The job.
        job: &'a JobId,
        /// How.
        outcome: &'a Outcome,
    },
    /// It was told that the update is none of its business any more.
    Abandon {
        /// The job.
        job: &'a JobId,
    },
    /// It will not run again.
    Die {
        /// Why.
        reason: &'a str,
    },
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The numbers of a simulation, at one moment.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        #[derive(Debug, Default)]
        struct Counters { $($name: AtomicU64,)* }

        impl Counters {
            fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Counts {
            /// The sum of two parts of a fleet.
            #[must_use]
            pub fn plus(self, other: Counts) -> Counts {
                Counts { $($name: self.$name + other.$name,)* }
            }
        }

        impl Stats {
            $(pub(crate) fn $name(&self, change: i64) {
                // A count that goes down wraps around to what was meant.
                self.counters.$name.fetch_add(change as u64, Ordering::Relaxed);
            })*
        }
    };
}

counts! {
    /// Devices that run.
    devices,
    /// Devices that have a certificate of their own.
    provisioned,
    /// Devices that are connected now.
    connected,
    /// Devices that have been connected and subscribed once.
    ready,
    /// Connections that were lost or refused.
    lost,
    /// Resets.
    boots,
    /// Updates that were begun.
    started,
    /// Updates that are under way now.
    busy,
    /// Updates that ended with SUCCEEDED.
    succeeded,
    /// Updates that ended with FAILED.
    failed,
    /// Updates that ended with REJECTED.
    rejected,
    /// Updates that the cloud ended.
    abandoned,
    /// Bytes of images that arrived.
    bytes,
    /// Telemetry messages that were sent.
    telemetry,
    /// Devices that will not run again.
    dead,
}

/// What a fleet counts and measures.
pub(crate) struct Stats {
    began: Instant,
    counters: Counters,
    times: Mutex<Times>,
}

/// How long things took, in microseconds.
pub(crate) struct Times {
    pub connect: Histogram<u64>,
    pub provision: Histogram<u64>,
    pub download: Histogram<u64>,
    pub update: Histogram<u64>,
    pub request: Histogram<u64>,
    pub reconnect: Histogram<u64>,
}

/// Which duration is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Timed {
    Connect,
    Provision,
    Download,
    Update,
    Request,
    Reconnect,
}

impl Stats {
    pub(crate) fn new() -> Self {
        let new = || {
            // One hour at three digits. The bounds are constants that the library accepts.
            Histogram::new_with_max(3_600_000_000, 2).unwrap_or_else(|_| unreachable!("bounds"))
        };
        let times = Times {
            connect: new(),
            provision: new(),
            download: new(),
            update: new(),
            request: new(),
            reconnect: new(),
        };
        Stats { began: Instant::now(), counters: Counters::default(), times: Mutex::new(times) }
    }

    /// How long the simulation has been running.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counters.read()
    }

    pub(crate) fn time(&self, what: Timed, took: Duration) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = match what {
            Timed::Connect => &mut times.connect,
            Timed::Provision => &mut times.provision,
            Timed::Download => &mut times.download,
            Timed::Update => &mut times.update,
            Timed::Request => &mut times.request,
            Timed::Reconnect => &mut times.reconnect,
        };
        histogram.saturating_record(took.as_micros().try_into().unwrap_or(u64::MAX));
    }

    /// Reads the times.
    pub(crate) fn times<T>(&self, read: impl FnOnce(&Times) -> T) -> T {
        read(&self.times.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
