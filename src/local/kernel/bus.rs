//! The bus: what one service tells all others.
//!
//! Hearing happens on the teller's thread, in the order of registration. A
//! listener must be quick, must not tell anything itself while it hears, and
//! must hold no lock of its own that it also holds while telling.

use std::sync::{Arc, RwLock};

use serde_json::Value;

use crate::Timestamp;

/// Something that happened in the cloud.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CloudEvent {
    /// A client connected.
    ClientConnected {
        /// Its client id.
        client_id: Arc<str>,
        /// When.
        at: Timestamp,
    },
    /// A client's connection ended.
    ClientDisconnected {
        /// Its client id.
        client_id: Arc<str>,
        /// AWS's word for the reason.
        reason: &'static str,
        /// When.
        at: Timestamp,
    },
    /// A thing was created, changed or deleted.
    ThingChanged {
        /// Its name.
        thing: Arc<str>,
        /// Whether it exists now.
        exists: bool,
    },
    /// A thing joined or left a group, static or dynamic.
    MembershipChanged {
        /// The thing.
        thing: Arc<str>,
        /// The group.
        group: Arc<str>,
        /// Whether it is a member now.
        member: bool,
    },
    /// A shadow has a new version, or is gone.
    ShadowChanged {
        /// The thing.
        thing: Arc<str>,
        /// The shadow's name; the classic one has none.
        name: Option<Arc<str>>,
        /// The document with `state`, `metadata`, `version`; nothing after a deletion.
        document: Option<Arc<Value>>,
    },
    /// A job was created or changed.
    JobChanged {
        /// The job's id.
        job_id: Arc<str>,
        /// Its status.
        status: &'static str,
        /// When.
        at: Timestamp,
    },
    /// An execution of a job was created or changed.
    ExecutionChanged {
        /// The job's id.
        job_id: Arc<str>,
        /// The thing.
        thing: Arc<str>,
        /// Its status.
        status: &'static str,
        /// When.
        at: Timestamp,
    },
    /// A certificate, a policy or what is attached to what changed: rights of
    /// connections must be judged again.
    RightsChanged,
    /// An object was written.
    ObjectCreated {
        /// The bucket.
        bucket: Arc<str>,
        /// The key.
        key: Arc<str>,
    },
    /// A stack has a new status.
    StackChanged {
        /// The stack's name.
        stack: Arc<str>,
        /// Its status.
        status: &'static str,
    },
    /// Lines were written to a log.
    LogWritten {
        /// The log group.
        group: Arc<str>,
    },
}

/// Where events are told and heard.
#[derive(Default)]
pub struct Bus {
    listeners: RwLock<Vec<Listener>>,
}

type Listener = Arc<dyn Fn(&CloudEvent) + Send + Sync>;

impl Bus {
    /// Hears every event from now on.
    pub fn hear(&self, listener: impl Fn(&CloudEvent) + Send + Sync + 'static) {
        self.listeners
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(Arc::new(listener));
    }

    /// Tells all listeners.
    pub fn tell(&self, event: &CloudEvent) {
        // A copy of the list, so that a listener may register another one.
        let listeners =
            self.listeners.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        for listener in listeners {
            listener(event);
        }
    }
}
