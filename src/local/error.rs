//! Why a local cloud cannot start.

use std::net::SocketAddr;

use iotstack_local_kernel::StoreError;

/// Why a local cloud cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state cannot be read; another cloud may be using it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A port is taken, or the address is not of this machine.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The broker cannot listen.
    #[error(transparent)]
    Broker(#[from] iotstack_local_broker::Error),
    /// The broker's certificate cannot be made; a name may be none.
    #[error("no certificate for the broker: {0}")]
    ServerCertificate(String),
    /// Two services claim the same resource types. A fault of iotstack.
    #[error("resource types are claimed twice: {}", .0.join(", "))]
    DoubledResources(Vec<&'static str>),
}
