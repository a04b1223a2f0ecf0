//! Where clients come in: mutual TLS, and streams that somebody else has opened.
//!
//! The TLS handshake asks the cloud's authority about the client's certificate, so a
//! certificate that is not active never gets as far as a packet. A WebSocket comes in
//! as a stream of bytes, authenticated and unwrapped by the gateway.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use iotstack_local_kernel::Admission;
use iotstack_mqtt::tls::{ClientGate, Identity, ServerSettings, TlsAcceptor};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::door::{self, Crowd, DoorSettings};
use crate::greeting::{Origin, greet};
use crate::{Broker, Error};

/// A socket that takes connections in until it is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    crowd: Option<Arc<Crowd>>,
    task: JoinHandle<()>,
}

impl Listener {
    /// The address that clients connect to; with the port that was chosen for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many processes take connections in besides this one.
    pub fn doors(&self) -> usize {
        self.crowd.as_ref().map_or(0, |crowd| crowd.doors())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Broker {
    /// Listens for clients with mutual TLS, with and without the ALPN of MQTT.
    pub fn listen(
        self: &Arc<Self>,
        address: SocketAddr,
        identity: Identity,
    ) -> Result<Listener, Error> {
        self.listen_with_doors(address, identity, None)
    }

    /// The same, opening doors when this process alone cannot hold the connections.
    pub fn listen_with_doors(
        self: &Arc<Self>,
        address: SocketAddr,
        identity: Identity,
        doors: Option<DoorSettings>,
    ) -> Result<Listener, Error> {
        let gate = Arc::new(Gate { broker: Arc::downgrade(self) });
        let needs_server_name = self.settings.needs_server_name;
        let settings =
            ServerSettings { needs_server_name, ..ServerSettings::mutual(identity, gate) };
        let settings = settings.build().map_err(Error::Identity)?;
        let refuse = |source| Error::Listen { address, source };
        let socket = bind(address).map_err(refuse)?;
        let address = socket.local_addr().map_err(refuse)?;
        let acceptor = TlsAcceptor::from(settings);
        let broker = Arc::downgrade(self);
        let doors = doors.map(|doors| (Crowd::new(doors.connections), doors));
        let crowd = doors.as_ref().map(|(crowd, _)| crowd.clone());
        let task = tokio::spawn(async move {
            match doors {
                None => accept_all(&broker, &socket, &acceptor, None).await,
                Some((crowd, doors)) => {
                    let open = || door::open(broker.clone(), &socket, &doors, crowd.clone());
                    tokio::join!(
                        accept_all(&broker, &socket, &acceptor, Some(&crowd)),
                        door::keep_open(&crowd, open),
                    );
                }
            }
        });
        tracing::info!(%address, "mqtt with mutual tls");
        Ok(Listener { address, crowd, task })
    }

    /// Whether the cloud lets a client with this certificate (DER) in.
    pub(crate) fn admits(&self, certificate: &[u8]) -> bool {
        let Some(cloud) = self.cloud() else { return false };
        let Ok(authority) = cloud.ports.authority() else { return false };
        matches!(authority.admits(certificate), Admission::Active | Admission::FirstSeen)
    }

    /// Listens for clients without TLS, who are whoever the authority takes them for.
    /// For interoperability suites that know no certificates.
    pub fn listen_plain(self: &Arc<Self>, address: SocketAddr) -> Result<Listener, Error> {
        let refuse = |source| Error::Listen { address, source };
        let socket = bind(address).map_err(refuse)?;
        let address = socket.local_addr().map_err(refuse)?;
        let broker = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            while let Some((stream, source)) = accept(&socket).await {
                let Some(broker) = broker.upgrade() else { return };
                tokio::spawn(async move { broker.accept(stream, Origin::at(source)).await });
            }
        });
        tracing::info!(%address, "mqtt without tls");
        Ok(Listener { address, crowd: None, task })
    }

    /// Serves a client on a stream that is open, until the connection ends.
    ///
    /// For a WebSocket: the stream carries the bytes of its binary frames, and whoever
    /// hands it in has found out who the caller is.
    pub async fn accept<S>(self: Arc<Self>, stream: S, origin: Origin)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let patience = self.settings.greeting_time;
        // Boxed, so that the greeting takes no memory from a connection that stands.
        let greeting = Box::pin(greet(self, Box::new(stream), origin));
        if let Ok(Some(connection)) = tokio::time::timeout(patience, greeting).await {
            connection.run().await;
        }
    }
}

/// Takes connections in; with a crowd only as many as this process may have.
async fn accept_all(
    broker: &Weak<Broker>,
    socket: &TcpListener,
    acceptor: &TlsAcceptor,
    crowd: Option<&Arc<Crowd>>,
) {
    let places = crowd.map(|crowd| Arc::new(Semaphore::new(crowd.of_a_process())));
    loop {
        let place = match &places {
            // It is never closed.
            Some(places) => places.clone().acquire_owned().await.ok(),
            None => None,
        };
        let Some((stream, source)) = accept(socket).await else { return };
        let Some(broker) = broker.upgrade() else { return };
        let place = (place, crowd.map(Crowd::enter));
        let handshake = acceptor.accept(stream);
        tokio::spawn(async move {
            let _place = place;
            let patience = broker.settings.greeting_time;
            let greeting = Box::pin(async move {
                let stream = match handshake.await {
                    Ok(stream) => Box::new(stream),
                    Err(error) => {
                        tracing::debug!(%source, %error, "a tls handshake failed");
                        return None;
                    }
                };
                let origin = Origin::over_tls(source, &stream);
                greet(broker, stream, origin).await
            });
            if let Ok(Some(connection)) = tokio::time::timeout(patience, greeting).await {
                connection.run().await;
            }
        });
    }
}

/// The next connection. Errors that pass, such as too many open files, are waited out.
pub(crate) async fn accept(socket: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    loop {
        match socket.accept().await {
            Ok((stream, source)) => {
                // Acknowledgements are small and wanted at once.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%source, %error, "a connection was lost at once");
                    continue;
                }
                return Some((stream, source));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection in");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // A fleet that comes back after a restart comes all at once.
    socket.listen(BACKLOG)
}

/// Asks the cloud's authority about certificates.
struct Gate {
    broker: Weak<Broker>,
}

impl ClientGate for Gate {
    fn admit(&self, certificate: &[u8], _intermediates: &[&[u8]]) -> bool {
        self.broker.upgrade().is_some_and(|broker| broker.admits(certificate))
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

const BACKLOG: u32 = 4096;
const PAUSE: Duration = Duration::from_millis(50);
