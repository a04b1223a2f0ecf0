//! Provisioning templates, role aliases and fleet metrics, as they are stored.
//!
//! Bodies are texts here; `provisioning` reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// A provisioning template.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Template {
    pub name: Arc<str>,
    pub description: Option<String>,
    pub enabled: bool,
    pub role: String,
    pub hook: Option<Hook>,
    /// For devices of registered authorities instead of claims.
    pub just_in_time: bool,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub versions: BTreeMap<u32, TemplateVersion>,
    pub default: u32,
    pub next: u32,
}

impl Template {
    /// The body of the default version.
    pub fn body(&self) -> &str {
        self.versions.get(&self.default).map_or("{}", |version| version.body.as_str())
    }

    /// `FLEET_PROVISIONING` or `JITP`.
    pub fn kind(&self) -> &'static str {
        if self.just_in_time { "JITP" } else { "FLEET_PROVISIONING" }
    }
}

/// A version of a template.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TemplateVersion {
    pub body: String,
    pub created: Timestamp,
}

/// The function that is asked before a device is provisioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_version: Option<String>,
    pub target_arn: String,
}

/// A name under which devices ask for the credentials of a role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoleAlias {
    pub name: Arc<str>,
    pub role: String,
    pub duration: i64,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// A fleet metric.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FleetMetric {
    pub name: Arc<str>,
    pub query: String,
    /// `Statistics`, `Percentiles` or `Cardinality`.
    pub aggregation: String,
    pub values: Vec<String>,
    pub field: String,
    pub period: i64,
    pub index: String,
    pub description: Option<String>,
    pub unit: Option<String>,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub version: i64,
}
