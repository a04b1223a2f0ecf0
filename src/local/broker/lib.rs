//! The message broker of the local cloud.
//!
//! Does: MQTT 3.1.1 and 5 over mutual TLS and over streams that the gateway opens
//! (WebSockets), as AWS IoT departs from the standard or, with a switch, as the
//! standard has it; sessions, retained messages, wills, shared subscriptions, topic
//! aliases, expiry, limits, lifecycle events; faults on demand. Reserved topics go to
//! the services that serve them, Basic Ingest to the topic rules, and every question
//! of who may do what to the kernel's `Authority`.
//!
//! On demand alone: what AWS IoT limits per second and client ([`Settings::with_aws_limits`]:
//! 100 messages of a connection, one CONNECT of a client id, one retained message of a
//! topic), and that a client names the server it wants in the TLS handshake
//! ([`Settings::needs_server_name`]). AWS IoT needs the name; but a client that connects to
//! an IP address has none to give, a board that tries the cloud of somebody's machine
//! often does, and the server cannot tell it from a client that merely forgot.
//!
//! Does not: QoS 2 and subscription identifiers outside the standard mode, enhanced
//! authentication, custom authorizers, the pace at which AWS IoT hands out queued
//! messages (10 per second of a connection, 20 of a shared subscription), 512 KB per second
//! of a connection, 100 requests per second of a group of shared subscriptions, and what is
//! counted per account: connections, messages, subscriptions and retained messages per
//! second. Wills of clients and what they have of QoS 2 are lost when the process ends; with
//! a folder for the state, sessions, messages that wait for them and retained messages are
//! not.

mod broker;
mod connection;
mod door;
mod error;
mod files;
mod greeting;
mod lifecycle;
mod limits;
mod listener;
mod message;
mod misbehaviour;
mod port;
mod publish;
mod rate;
mod record;
mod retained;
mod routing;
mod session;
mod settings;
mod stored;
mod subscribe;
mod subscriptions;
mod sweeper;
mod waiting;

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, CloudEvent, StoreError};

pub use broker::Broker;
pub use door::{DoorSettings, keep_door};
pub use error::Error;
pub use files::raise_file_limit;
pub use greeting::Origin;
pub use listener::Listener;
pub use misbehaviour::Misbehaviour;
pub use settings::Settings;

/// Puts the broker into a cloud: restores what it kept, serves the port of messages
/// and begins to look after sessions. Needs a runtime of tokio; listens nowhere yet.
pub fn install(cloud: &Arc<Cloud>, settings: Settings) -> Result<Arc<Broker>, StoreError> {
    let broker = Broker::restore(cloud, settings)?;
    cloud.ports.serve_messages(broker.clone());
    let hearing = Arc::downgrade(&broker);
    cloud.bus.hear(move |event| {
        if *event == CloudEvent::RightsChanged
            && let Some(broker) = hearing.upgrade()
        {
            broker.rights_changed.notify_one();
        }
    });
    tokio::spawn(sweeper::sweep(Arc::downgrade(&broker)));
    tokio::spawn(sweeper::judge_again(Arc::downgrade(&broker)));
    Ok(broker)
}
