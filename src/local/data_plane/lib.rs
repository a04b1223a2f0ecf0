//! The IoT data plane of the local cloud: shadows, streams, retained messages.
//!
//! Real: device shadows, classic and named, over MQTT and HTTP with versions,
//! metadata, deltas and limits; streams (MQTT file delivery) in JSON and CBOR with
//! their operations and `AWS::IoT::Stream`; publishing over HTTP; retained messages
//! and connections as the broker knows them. Not real: the rate limits of shadows,
//! the delivery confirmation of SendDirectMessage (refused by name).
//!
//! Invariants: an answer goes out when the change that it confirms is stored. No
//! lock is held while somebody is told. A shadow needs no thing.

mod access;
mod error;
mod publish;
mod service;
mod shadow;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use iotstack_local_kernel::{Cloud, CloudEvent, StoreError};

pub use error::Error;

use service::DataService;
use shadow::Shadows;
use shadow::topics::ShadowTopics;
use stream::Streams;
use stream::files::Files;
use stream::resource::StreamResource;
use stream::service::StreamService;
use stream::topics::StreamTopics;

/// Adds the data plane to the cloud. Needs a running tokio runtime.
///
/// # Errors
/// [`StoreError::Read`] if stored shadows or streams cannot be read.
pub fn install(cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    let weak = Arc::downgrade(cloud);
    let shadows = Shadows::restore(cloud)?;
    cloud.services.add(Arc::new(DataService { cloud: weak.clone(), shadows: shadows.clone() }));
    cloud.ports.serve_shadows(shadows.clone());
    cloud.ports.add_reserved(Arc::new(ShadowTopics::new(cloud, shadows.clone())));
    tokio::spawn(sweep(Arc::downgrade(&shadows), cloud.clock.clone()));

    let streams = Streams::restore(&cloud.store)?;
    let files = Arc::new(Files::default());
    let service = Arc::new(StreamService { cloud: weak.clone(), streams: streams.clone() });
    cloud.services.add(service.clone());
    cloud.ports.add_tagged(service);
    cloud.add_resource(Arc::new(StreamResource { cloud: weak, streams: streams.clone() }));
    cloud.ports.add_reserved(Arc::new(StreamTopics::new(cloud, streams, files.clone())));
    cloud.bus.hear(move |event| {
        if let CloudEvent::ObjectCreated { bucket, key } = event {
            files.forget(bucket, key);
        }
    });
    Ok(())
}

/// Forgets old deletions until the shadows are gone.
async fn sweep(shadows: std::sync::Weak<Shadows>, clock: iotstack_local_kernel::Clock) {
    loop {
        clock.sleep(SWEEP).await;
        let Some(shadows) = shadows.upgrade() else { return };
        shadows.forget_old(clock.now());
    }
}

/// How often old deletions are looked for.
const SWEEP: Duration = Duration::from_secs(6 * 60 * 60);

#[cfg(test)]
mod tests;
