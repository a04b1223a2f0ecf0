//! The network between a device and the world: how fast, how far, how often it is gone.
//!
//! Applied to what a device sends and fetches itself; nothing is done to the operating
//! system's network, so it works without privileges and for each device apart.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The link of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Link {
    /// How many bytes of an image arrive in a second; as many as there are if absent.
    pub bytes_per_second: Option<u64>,
    /// How long a request is under way.
    pub latency: Duration,
    /// When the link is gone; never if absent.
    pub offline: Option<Offline>,
}

/// A link that is gone again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offline {
    /// From one time to the next.
    pub every: Duration,
    /// For how long.
    pub lasts: Duration,
}
