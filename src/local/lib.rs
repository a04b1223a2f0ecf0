//! A cloud on this machine: the endpoint of all AWS APIs, the message broker, the
//! console.
//!
//! [`start`] puts the services together, opens the sockets and gives a
//! [`LocalCloud`]. Everything that a service does lives in its own crate below
//! this one, on the ground of `iotstack-local-kernel`; here is only what has to
//! know all of them: the list of services ([`mod@parts`]), the gateway that finds
//! out who calls, the console.
//!
//! Sockets are bound to loopback unless [`Options::host`] says otherwise. The
//! state is in memory, or in a folder that survives the process.
//!
//! Not here: anything of AWS's SDK, any construct, any device.

mod console;
mod coverage;
mod error;
mod gateway;
mod options;
mod parts;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use iotstack_local_broker::{Broker, DoorSettings, Listener, raise_file_limit};
use iotstack_local_kernel::cloud::Addresses;
use iotstack_local_kernel::{Cloud, Store};
use iotstack_local_lambda::Functions;
use iotstack_local_registry::ServerCertificate;
use iotstack_mqtt::tls::Identity;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use error::Error;
pub use iotstack_local_broker::{Error as DoorError, Misbehaviour, keep_door};
pub use iotstack_local_identity::RootKey;
pub use iotstack_local_kernel::{Account, Clock, Timestamp};
pub use options::{Door, Options};

use gateway::Gateway;
use parts::Parts;

/// A cloud that runs until it is dropped.
pub struct LocalCloud {
    cloud: Arc<Cloud>,
    broker: Arc<Broker>,
    functions: Functions,
    addresses: Addresses,
    ca_pem: String,
    root: RootKey,
    http: JoinHandle<()>,
    // Dropping it closes the socket.
    _mqtt: Arc<Listener>,
}

/// Opens the sockets and starts all services. Needs a runtime of tokio.
///
/// # Errors
/// If the state cannot be read or a port is taken.
pub async fn start(options: Options) -> Result<LocalCloud, Error> {
    let open_files = raise_file_limit().unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files stays as it is");
        FEWEST_OPEN_FILES
    });
    let store = match &options.state {
        Some(folder) => Store::open(folder)?,
        None => Store::memory(),
    };
    let cloud = Cloud::new(options.account.clone(), options.clock.clone(), store);
    let parts = Parts::install(&cloud, &options)?;

    let bind = |port| SocketAddr::new(options.host, port);
    let refuse = |address, source| Error::Listen { address, source };
    let http_address = bind(options.http_port);
    let socket = TcpListener::bind(http_address).await.map_err(|e| refuse(http_address, e))?;
    let http_address = socket.local_addr().map_err(|e| refuse(http_address, e))?;
    let certificate = server_certificate(&parts, &options)?;
    let identity = Identity::from_pem(&certificate.chain_pem, &certificate.key_pem)
        .map_err(|error| Error::ServerCertificate(error.to_string()))?;
    let doors = options.door.map(|door| DoorSettings {
        program: door.program,
        arguments: door.arguments,
        connections: options.connections_per_process.unwrap_or_else(|| within(open_files)),
        chain_pem: certificate.chain_pem,
        key_pem: certificate.key_pem,
    });
    let mqtt =
        Arc::new(parts.broker.listen_with_doors(bind(options.mqtt_port), identity, doors)?);

    let addresses = Addresses {
        endpoint: format!("http://{}", reachable(http_address)),
        mqtt: format!("localhost:{}", mqtt.address().port()),
    };
    cloud.listen_at(addresses.clone());
    let (broker, ca_pem) = (parts.broker.clone(), parts.ca.pem().to_owned());
    let functions = parts.functions.clone();
    let loopback_only = options.host.is_loopback();
    let history = console::History::of(&cloud);
    let gateway = Arc::new(Gateway {
        cloud: cloud.clone(),
        parts,
        mqtt: Arc::downgrade(&mqtt),
        history,
        loopback_only,
    });
    let routes = gateway::router(gateway).into_make_service_with_connect_info::<SocketAddr>();
    let http = tokio::spawn(async move {
        if let Err(error) = axum::serve(socket, routes).await {
            tracing::error!(%error, "the endpoint has ended");
        }
    });
    tracing::info!(endpoint = addresses.endpoint, mqtt = addresses.mqtt, "the local cloud runs");
    let root = options.root;
    Ok(LocalCloud { cloud, broker, functions, addresses, ca_pem, root, http, _mqtt: mqtt })
}

impl LocalCloud {
    /// The endpoint of all AWS APIs, such as `http://127.0.0.1:4566`.
    pub fn endpoint(&self) -> &str {
        &self.addresses.endpoint
    }

    /// Host and port of MQTT with mutual TLS.
    pub fn mqtt(&self) -> &str {
        &self.addresses.mqtt
    }

    /// The certificate of the authority that certifies the broker, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.cloud.account
    }

    /// The key with which the owner of the account signs.
    pub fn root(&self) -> &RootKey {
        &self.root
    }

    /// The clock of the services.
    pub fn clock(&self) -> &Clock {
        &self.cloud.clock
    }

    /// Lets the broker misbehave towards one client from now on, until
    /// [`Misbehaviour::default`] is set.
    pub fn misbehave(&self, client_id: &str, misbehaviour: Misbehaviour) {
        self.broker.misbehave(client_id, misbehaviour);
    }

    /// What is offered and what is refused, as JSON.
    pub fn coverage(&self) -> serde_json::Value {
        coverage::as_json(&self.cloud)
    }
}

impl Drop for LocalCloud {
    fn drop(&mut self) {
        self.http.abort();
        self.functions.end();
    }
}

/// A certificate for all names under which the broker may be reached.
fn server_certificate(parts: &Parts, options: &Options) -> Result<ServerCertificate, Error> {
    let host = options.host.to_string();
    let region = &options.account.region;
    let named = format!("*.iot.{region}.amazonaws.com");
    let mut names = vec!["localhost", "127.0.0.1", "::1", named.as_str()];
    if !names.contains(&host.as_str()) && !options.host.is_unspecified() {
        names.push(&host);
    }
    names.extend(options.host_names.iter().map(String::as_str));
    parts.ca.server_certificate(&names).map_err(Error::ServerCertificate)
}

/// How many connections a process may have that can open so many files; the others are
/// for requests, functions and the state.
fn within(open_files: u64) -> usize {
    usize::try_from(open_files / 4 * 3).unwrap_or(usize::MAX)
}

/// Where a client of this machine reaches a socket that may listen everywhere.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        false => address,
    }
}

/// What every system that we run on allows.
const FEWEST_OPEN_FILES: u64 = 256;
