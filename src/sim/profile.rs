//! The character of a device: what it is, how it is connected, how often it fails.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::link::Link;

/// The character of some devices of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Names it in reports.
    pub name: String,
    /// What kind of device it is.
    pub model: String,
    /// The firmware it comes with.
    pub version: String,
    /// Its network.
    pub link: Link,
    /// How many of a hundred new images fail their self test on it, as 0.0 to 1.0.
    pub failure_rate: f64,
    /// How many of a hundred new images crash on it, as 0.0 to 1.0.
    pub crash_rate: f64,
    /// How often it sends telemetry; never if absent.
    pub telemetry: Option<Duration>,
    /// How many bytes each slot of its flash holds.
    pub slot_size: u64,
    /// Whether an order for the running version is a success without any work.
    pub same_version_is_success: bool,
    /// Whether it tells the cloud when the new image is installed.
    pub reports_progress: bool,
    /// Whether the broker keeps its session when it is gone.
    pub keeps_session: bool,
    /// How many minutes it gives itself for an update, in the words of the Jobs service
    /// the step timeout.
    pub step_timeout_minutes: Option<u32>,
}

impl Default for Profile {
    fn default() -> Self {
        Profile {
            name: "default".to_owned(),
            model: "device".to_owned(),
            version: "1.0.0".to_owned(),
            link: Link::default(),
            failure_rate: 0.0,
            crash_rate: 0.0,
            telemetry: None,
            slot_size: 16 * 1024 * 1024,
            same_version_is_success: false,
            reports_progress: true,
            keeps_session: false,
            step_timeout_minutes: None,
        }
    }
}
