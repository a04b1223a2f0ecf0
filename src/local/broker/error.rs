//! Why the broker cannot listen.
//!
//! What clients do wrong is answered on the wire and logged; it is no error of this
//! crate.

use std::net::SocketAddr;

/// Why the broker cannot listen; whoever starts the cloud can fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is in use or not one of this machine.
    #[error("cannot listen for mqtt on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server's certificate or key cannot be used.
    #[error("cannot speak tls: {0}")]
    Identity(iotstack_mqtt::Error),
    /// A door and the broker do not understand each other.
    #[error("a door of the broker: {0}")]
    Door(String),
}
