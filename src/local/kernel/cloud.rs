//! The cloud as its services see it.
//!
//! One value holds all that is shared, so that a service is installed with it
//! alone. The cloud owns its services; whoever of them needs it later keeps a
//! [`Weak`] reference, or neither would ever end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};

use crate::ports::Ports;
use crate::{Account, Bus, Clock, Fault, ResourceHandler, Services, Store};

/// What every service is handed at start.
pub struct Cloud {
    /// Whose cloud it is.
    pub account: Account,
    /// The only source of time.
    pub clock: Clock,
    /// What survives the process.
    pub store: Store,
    /// What one service tells all others.
    pub bus: Bus,
    /// What one service may ask of another.
    pub ports: Ports,
    /// All operations of all services.
    pub services: Services,
    resources: RwLock<BTreeMap<&'static str, Arc<dyn ResourceHandler>>>,
    doubled: Mutex<Vec<&'static str>>,
    addresses: OnceLock<Addresses>,
}

/// Where the cloud can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The endpoint of all AWS APIs, such as `http://127.0.0.1:4566`.
    pub endpoint: String,
    /// Host and port of MQTT with mutual TLS, such as `localhost:8883`.
    pub mqtt: String,
}

impl Cloud {
    /// A cloud without services.
    pub fn new(account: Account, clock: Clock, store: Store) -> Arc<Self> {
        Arc::new(Cloud {
            account,
            clock,
            store,
            bus: Bus::default(),
            ports: Ports::default(),
            services: Services::default(),
            resources: RwLock::default(),
            doubled: Mutex::default(),
            addresses: OnceLock::new(),
        })
    }

    /// The cloud behind a reference that does not keep it.
    ///
    /// # Errors
    /// An internal fault if the cloud is gone already.
    pub fn held(cloud: &Weak<Self>) -> Result<Arc<Self>, Fault> {
        cloud.upgrade().ok_or_else(|| Fault::internal("the local cloud is shutting down"))
    }

    /// Adds a handler of a resource type. Two handlers of one type are a fault
    /// of the program, which [`Cloud::doubled_resources`] shows at start.
    pub fn add_resource(&self, handler: Arc<dyn ResourceHandler>) {
        let name = handler.type_name();
        let mut resources = self.resources.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        if resources.insert(name, handler).is_some() {
            self.doubled.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(name);
        }
    }

    /// The handler of a resource type.
    pub fn resource(&self, type_name: &str) -> Option<Arc<dyn ResourceHandler>> {
        let resources = self.resources.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        resources.get(type_name).cloned()
    }

    /// The resource types that have a handler, in order.
    pub fn resource_types(&self) -> Vec<&'static str> {
        let resources = self.resources.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        resources.keys().copied().collect()
    }

    /// The types that two crates claim.
    pub fn doubled_resources(&self) -> Vec<&'static str> {
        self.doubled.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Says where the cloud can be reached; the first answer stays.
    pub fn listen_at(&self, addresses: Addresses) {
        if self.addresses.set(addresses).is_err() {
            tracing::warn!("the addresses were set twice");
        }
    }

    /// Where the cloud can be reached; nowhere before its sockets are open.
    pub fn addresses(&self) -> Addresses {
        self.addresses.get().cloned().unwrap_or_else(|| Addresses {
            endpoint: "http://127.0.0.1:0".to_owned(),
            mqtt: "localhost:0".to_owned(),
        })
    }
}
