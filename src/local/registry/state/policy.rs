//! IoT policies with their versions, as they are stored.
//!
//! The default version is kept ready to judge beside its text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iotstack_local_kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::policy::Document;

/// A policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Policy {
    pub name: Arc<str>,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub generation: String,
    pub versions: BTreeMap<u32, PolicyVersion>,
    pub default: u32,
    /// The number of the next version; numbers are not used twice.
    pub next: u32,
    /// Derived from the principals: certificates, identities and groups.
    #[serde(skip)]
    pub targets: BTreeSet<Arc<str>>,
    /// The default version, ready to judge.
    #[serde(skip)]
    pub compiled: Arc<Document>,
}

/// A version of a policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyVersion {
    pub document: String,
    pub created: Timestamp,
}

impl Policy {
    /// The text of the default version.
    pub fn document(&self) -> &str {
        self.versions.get(&self.default).map_or("{}", |version| version.document.as_str())
    }

    /// Prepares the default version for judging.
    pub fn compile(&mut self) {
        // Documents were judged before they were stored.
        self.compiled = Arc::new(Document::parse(self.document()).unwrap_or_default());
    }
}
