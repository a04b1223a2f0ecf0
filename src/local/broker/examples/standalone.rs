//! A broker of its own for interoperability suites, without TLS and without policies.
//!
//! `cargo run -p iotstack-local-broker --example standalone -- [port] [standard]`
//! listens on loopback until it is interrupted. Without `standard` it departs from
//! the MQTT standard as AWS IoT does. Everybody may do everything, but nobody may
//! subscribe to `test/nosubscribe`, which Paho's suite expects.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use iotstack_local_broker::{Settings, install};
use iotstack_local_kernel::{
    Account, Admission, Authority, Clock, Cloud, ConnectAttempt, Publisher, Refused, Rights, Store,
};

// On one thread, because suites expect a packet to be handled before one that another
// client sends later.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let standard_mqtt = arguments.next().is_some_and(|mode| mode == "standard");
    let cloud = Cloud::new(Account::default(), Clock::real(), Store::memory());
    cloud.ports.serve_authority(Arc::new(Anybody));
    let broker = install(
        &cloud,
        Settings {
            standard_mqtt,
            answers_refused_subscriptions: standard_mqtt,
            ..Settings::default()
        },
    )?;
    let listener = broker.listen_plain(SocketAddr::from(([127, 0, 0, 1], port)))?;
    println!("{}", listener.address());
    tokio::signal::ctrl_c().await?;
    broker.shut_down();
    Ok(())
}

struct Anybody;

struct Everything(Arc<Publisher>);

impl Authority for Anybody {
    fn admits(&self, _certificate: &[u8]) -> Admission {
        Admission::Active
    }

    fn connect(&self, attempt: &ConnectAttempt<'_>) -> Result<Arc<dyn Rights>, Refused> {
        Ok(Arc::new(Everything(Arc::new(Publisher {
            client_id: attempt.client_id.into(),
            principal: "anybody".into(),
            thing: None,
            source: attempt.source,
        }))))
    }
}

impl Rights for Everything {
    fn publisher(&self) -> &Arc<Publisher> {
        &self.0
    }
    fn may_publish(&self, _topic: &str, _retain: bool) -> bool {
        true
    }
    fn may_subscribe(&self, filter: &str) -> bool {
        filter != "test/nosubscribe"
    }
    fn may_receive(&self, _topic: &str) -> bool {
        true
    }
    fn holds(&self) -> bool {
        true
    }
}
