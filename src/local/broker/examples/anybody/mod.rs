//! An authority that lets everybody do everything but one thing.
//!
//! For the broker alone, without a registry: interoperability suites and measurements
//! share it. It looks at every topic, as a real one does, and knows no certificates.

use std::sync::Arc;

use iotstack_local_kernel::{Admission, Authority, ConnectAttempt, Publisher, Refused, Rights};

/// Everybody may do everything, except with topics that begin as this says.
pub struct Anybody(pub &'static str);

struct Everything {
    publisher: Arc<Publisher>,
    forbidden: &'static str,
}

impl Authority for Anybody {
    fn admits(&self, _certificate: &[u8]) -> Admission {
        Admission::Active
    }

    fn connect(&self, attempt: &ConnectAttempt<'_>) -> Result<Arc<dyn Rights>, Refused> {
        let publisher = Arc::new(Publisher {
            client_id: attempt.client_id.into(),
            principal: "anybody".into(),
            thing: None,
            source: attempt.source,
        });
        Ok(Arc::new(Everything { publisher, forbidden: self.0 }))
    }
}

impl Rights for Everything {
    fn publisher(&self) -> &Arc<Publisher> {
        &self.publisher
    }
    fn may_publish(&self, topic: &str, _retain: bool) -> bool {
        !topic.starts_with(self.forbidden)
    }
    fn may_subscribe(&self, filter: &str) -> bool {
        !filter.starts_with(self.forbidden)
    }
    fn may_receive(&self, topic: &str) -> bool {
        !topic.starts_with(self.forbidden)
    }
    fn holds(&self) -> bool {
        true
    }
}
