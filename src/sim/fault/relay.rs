//! Servers that a device meets in place of its broker.
//!
//! An impostor must be refused while TLS shakes hands; it serves nobody. A relay is odd but
//! honest: it ends the device's TLS, and carries every byte to the real broker over a
//! connection that is made as the device would make it, certificate included. So what is
//! odd about the relay is met during a whole update, on any cloud. It carries nothing for
//! whoever comes without a certificate of the injector's own authority.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use iotstack_mqtt::client::Dial;
use iotstack_mqtt::tls::{ServerConfig, TlsAcceptor};
use iotstack_mqtt::wire::{LARGEST_PACKET, Packet, Publish, Version, Writer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::authority::{Authority, Flaw};
use crate::{Error, Result};

/// What a server in place of the broker is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guise {
    /// Of an authority that nobody knows.
    Unknown,
    /// For another name.
    OtherName,
    /// Its certificate ran out.
    RanOut,
    /// With a very large certificate.
    VeryLarge,
    /// With one cipher suite at a time.
    SuiteBySuite,
    /// Sends fragments of the largest size.
    LargestFragments,
}

impl Guise {
    /// Whether a device must have nothing to do with it.
    pub(crate) fn is_impostor(self) -> bool {
        matches!(self, Guise::Unknown | Guise::OtherName | Guise::RanOut)
    }
}

/// A server in place of the broker. Dropping it cuts its connections.
pub(crate) struct Relay {
    pub address: SocketAddr,
    /// How many connections it takes until a device has met all that there is to it.
    pub faces: usize,
    task: JoinHandle<()>,
}

impl Relay {
    /// Starts a server in a guise, for the broker of this name. Without the way to the
    /// broker it serves nobody.
    pub(crate) async fn start(
        guise: Guise,
        authority: &Authority,
        name: &str,
        broker: Option<Dial>,
    ) -> Result<Relay> {
        let faces = match guise {
            Guise::Unknown => vec![Authority::unknown()?.server(name, Flaw::Nothing)?],
            Guise::OtherName => vec![authority.server(name, Flaw::OtherName)?],
            Guise::RanOut => vec![authority.server(name, Flaw::RanOut)?],
            Guise::VeryLarge => vec![authority.server(name, Flaw::VeryLarge)?],
            Guise::SuiteBySuite => authority.servers_by_suite(name)?,
            Guise::LargestFragments => vec![authority.server(name, Flaw::Nothing)?],
        };
        let failed = |error: std::io::Error| Error::invalid("server with a fault", error);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let count = faces.len();
        let is_large = guise == Guise::LargestFragments;
        let task = tokio::spawn(serve(listener, faces, broker.map(Arc::new), is_large));
        Ok(Relay { address, faces: count, task })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    faces: Vec<Arc<ServerConfig>>,
    broker: Option<Arc<Dial>>,
    is_large: bool,
) {
    let next = AtomicUsize::new(0);
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let face = faces[next.fetch_add(1, Ordering::Relaxed) % faces.len()].clone();
        let broker = broker.clone();
        connections.spawn(async move {
            // A connection that breaks is the device's to notice.
            let _ = carry(stream, face, broker, is_large).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(
    stream: TcpStream,
    face: Arc<ServerConfig>,
    broker: Option<Arc<Dial>>,
    is_large: bool,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut device = TlsAcceptor::from(face).accept(stream).await?;
    let Some(broker) = broker else { return Ok(()) };
    // Who says nothing only wanted to shake hands.
    let mut first = [0; 1024];
    let length = device.read(&mut first).await?;
    if length == 0 {
        return Ok(());
    }
    let mut broker = broker.connect().await.map_err(std::io::Error::other)?;
    broker.write_all(&first[..length]).await?;
    broker.flush().await?;
    if is_large {
        // CONNACK has four bytes, and what follows begins a packet.
        let mut answer = [0; 4];
        broker.read_exact(&mut answer).await?;
        device.write_all(&answer).await?;
        let message = Publish::new("iotstack/fault", vec![b'x'; 5 * LARGEST_FRAGMENT]);
        Writer::new()
            .write(&mut device, &Packet::Publish(message), Version::V311, LARGEST_PACKET)
            .await
            .map_err(std::io::Error::other)?;
    }
    copy_bidirectional(&mut device, &mut broker).await?;
    Ok(())
}

/// The most bytes that a record of TLS holds.
const LARGEST_FRAGMENT: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use iotstack_mqtt::client::{Address, Stream};
    use iotstack_mqtt::tls::Versions;

    use super::*;

    async fn start(guise: Guise) -> (Relay, Dial) {
        let authority = Authority::new().unwrap();
        let relay = Relay::start(guise, &authority, "broker.example", None).await.unwrap();
        let (host, port) = (relay.address.ip().to_string(), relay.address.port());
        let dial = Dial {
            address: Address { host, port },
            tls: Some(authority.client()),
            server_name: Some("broker.example".to_owned()),
            source: None,
            patience: Duration::from_secs(20),
        };
        (relay, dial)
    }

    #[tokio::test]
    async fn impostors_are_wrong_in_one_way_and_relays_in_none() {
        for (guise, words) in [
            (Guise::Unknown, Some("UnknownIssuer")),
            (Guise::OtherName, Some("not valid for name")),
            (Guise::RanOut, Some("expired")),
            (Guise::VeryLarge, None),
            (Guise::LargestFragments, None),
        ] {
            let (_relay, dial) = start(guise).await;
            let met = dial.connect().await.err().map(|error| error.to_string());
            assert_eq!(met.is_some(), guise.is_impostor(), "{guise:?}: {met:?}");
            let is_named = met.iter().zip(words).all(|(met, words)| met.contains(words));
            assert!(is_named, "{guise:?}: {met:?}");
        }
    }

    #[tokio::test]
    async fn nobody_else_comes_to_the_broker_through_a_relay() {
        let broker = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let way = |address: SocketAddr, tls| Dial {
            address: Address { host: address.ip().to_string(), port: address.port() },
            tls,
            server_name: Some("broker.example".to_owned()),
            source: None,
            patience: Duration::from_secs(20),
        };
        let authority = Authority::new().unwrap();
        let to_broker = way(broker.local_addr().unwrap(), None);
        let relay = Relay::start(Guise::VeryLarge, &authority, "broker.example", Some(to_broker));
        let relay = relay.await.unwrap();
        for versions in [Versions::Only12, Versions::Only13] {
            for tls in authority.strangers(versions) {
                // In TLS 1.3 a client hears only afterwards that it is not let in.
                if let Ok(mut stream) = way(relay.address, Some(tls)).connect().await {
                    assert_eq!(versions, Versions::Only13);
                    let _ = stream.write_all(b"stranger").await;
                    let _ = stream.flush().await;
                    assert!(stream.read(&mut [0; 8]).await.is_err());
                }
            }
        }
        let mut device = way(relay.address, Some(authority.client())).connect().await.unwrap();
        device.write_all(b"device").await.unwrap();
        device.flush().await.unwrap();
        // The first one whom the broker meets is the device.
        let (mut met, _) = broker.accept().await.unwrap();
        let mut said = [0; 6];
        met.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"device");
    }

    #[tokio::test]
    async fn a_relay_shows_every_suite_in_turn() {
        let (relay, dial) = start(Guise::SuiteBySuite).await;
        let mut suites = BTreeSet::new();
        for _ in 0..relay.faces {
            let Stream::Tls(stream) = dial.connect().await.unwrap() else { panic!("no TLS") };
            let suite = stream.get_ref().1.negotiated_cipher_suite().unwrap();
            suites.insert(format!("{:?}", suite.suite()));
        }
        assert_eq!((suites.len(), relay.faces), (6, 6), "{suites:?}");
    }
}
