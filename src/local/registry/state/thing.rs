//! Things and thing types, as they are stored.
//!
//! A thing knows its groups; who is in a group is derived from that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iotstack_local_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A thing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Thing {
    pub name: Arc<str>,
    pub id: String,
    pub thing_type: Option<Arc<str>>,
    pub attributes: BTreeMap<String, String>,
    pub version: i64,
    pub billing_group: Option<Arc<str>>,
    /// The groups that it is in itself, static and dynamic.
    pub groups: BTreeSet<Arc<str>>,
    /// Derived from the principals.
    #[serde(skip)]
    pub principals: BTreeSet<Arc<str>>,
}

/// A thing type.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ThingType {
    pub name: Arc<str>,
    pub id: String,
    pub description: Option<String>,
    pub searchable: Vec<String>,
    /// The properties that MQTT 5 messages of such things carry, as given.
    pub mqtt5: Option<Value>,
    pub deprecated: Option<Timestamp>,
    pub created: Timestamp,
}
