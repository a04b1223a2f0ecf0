//! What is set once for the account: events, indexing, logging.
//!
//! One record, stored whole with every change.

use std::collections::BTreeMap;

use iotstack_local_kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::index::Configuration;

/// The settings of the account.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub events: EventSettings,
    pub indexing: Configuration,
    pub logging: Logging,
    /// What the verification certificate of an authority must carry.
    pub registration_code: Option<String>,
}

/// Which kinds of events are published.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EventSettings {
    pub enabled: BTreeMap<String, bool>,
    pub created: Option<Timestamp>,
    pub modified: Option<Timestamp>,
}

/// Logging options. They are kept, and nothing is logged by them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Logging {
    pub role: Option<String>,
    pub level: Option<String>,
    pub disabled: bool,
    pub configured: bool,
    /// Levels of single targets, by type and name.
    pub targets: BTreeMap<String, (String, String, String)>,
}
