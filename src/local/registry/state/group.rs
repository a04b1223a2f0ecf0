//! Thing groups, static and dynamic, and billing groups, as they are stored.
//!
//! Members and children are derived from things and parents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iotstack_local_kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::index::Query;

/// A thing group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    pub name: Arc<str>,
    pub id: String,
    pub version: i64,
    pub created: Timestamp,
    pub parent: Option<Arc<str>>,
    pub description: Option<String>,
    pub attributes: BTreeMap<String, String>,
    /// What makes it dynamic.
    pub dynamic: Option<DynamicQuery>,
    /// Derived from the things.
    #[serde(skip)]
    pub members: BTreeSet<Arc<str>>,
    /// Derived from the parents.
    #[serde(skip)]
    pub children: BTreeSet<Arc<str>>,
    /// The query, taken apart.
    #[serde(skip)]
    pub compiled: Option<Arc<Query>>,
}

/// The query of a dynamic group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicQuery {
    pub query: String,
    /// Whether things were not yet judged by the query as it is now.
    pub building: bool,
}

/// A billing group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BillingGroup {
    pub name: Arc<str>,
    pub id: String,
    pub version: i64,
    pub created: Timestamp,
    pub description: Option<String>,
}
