//! IoT policies with their versions, as they are stored.
//!
//! The default version is kept ready to judge beside its text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

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
    /// What devices are judged by until the default version has spread to all of AWS IoT,
    /// and until when.
    #[serde(skip)]
    pub spreading: Option<(Arc<Document>, Timestamp)>,
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

    /// The document that devices are judged by.
    pub fn in_force(&self, now: Timestamp) -> &Document {
        match &self.spreading {
            Some((earlier, until)) if now < *until => earlier,
            _ => &self.compiled,
        }
    }

    /// Holds devices to the document before this one for `delay`, and says until when. One
    /// that they are held to already stays: whoever looks after it finds the newest.
    pub fn spread(
        &mut self,
        earlier: Arc<Document>,
        delay: Duration,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let is_spreading = self.spreading.as_ref().is_some_and(|(_, until)| now < *until);
        if delay.is_zero() || is_spreading {
            return None;
        }
        let until = now.after(delay);
        self.spreading = Some((earlier, until));
        Some(until)
    }

    /// Prepares the default version for judging.
    pub fn compile(&mut self) {
        // Documents were judged before they were stored.
        self.compiled = Arc::new(Document::parse(self.document()).unwrap_or_default());
    }
}
