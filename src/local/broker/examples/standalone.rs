//! A broker of its own for interoperability suites, without TLS and without policies.
//!
//! `cargo run -p iotstack-local-broker --example standalone -- [port] [standard]`
//! listens on loopback until it is interrupted. Without `standard` it departs from
//! the MQTT standard as AWS IoT does. Everybody may do everything, but not with
//! `test/nosubscribe`, as Paho's suite expects.

mod anybody;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use iotstack_local_broker::{Settings, install};
use iotstack_local_kernel::{Account, Clock, Cloud, Store};

use anybody::Anybody;

// On one thread, because suites expect a packet to be handled before one that another
// client sends later.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let standard_mqtt = arguments.next().is_some_and(|mode| mode == "standard");
    let cloud = Cloud::new(Account::default(), Clock::real(), Store::memory());
    cloud.ports.serve_authority(Arc::new(Anybody("test/nosubscribe")));
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
