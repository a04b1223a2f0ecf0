//! The way to a server: its address, the address to come from, and TLS.
//!
//! A process that plays many thousand devices comes from several loopback addresses,
//! because one address has no more than some 28,000 ports to come from.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{Error, Result, Stream};
use crate::tls::{ClientConfig, ServerName, TlsConnector};

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The name or the IP address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// How to get to a server.
#[derive(Debug, Clone)]
pub struct Dial {
    /// Where it is.
    pub address: Address,
    /// TLS; TCP alone if absent.
    pub tls: Option<Arc<ClientConfig>>,
    /// The name that the server's certificate must have, if not the host's.
    pub server_name: Option<String>,
    /// The address to come from.
    pub source: Option<IpAddr>,
    /// How long TCP and TLS may take, each.
    pub patience: Duration,
}

impl Dial {
    /// Connects.
    pub async fn connect(&self) -> Result<Stream> {
        let tcp = self.tcp().await?;
        let Some(config) = &self.tls else { return Ok(Stream::Plain(tcp)) };
        let failed = |source| Error::Tls { address: self.address.to_string(), source };
        let name = self.server_name.as_ref().unwrap_or(&self.address.host);
        let name = ServerName::try_from(name.clone())
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let shaking = TlsConnector::from(config.clone()).connect(name, tcp);
        match timeout(self.patience, shaking).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
        }
    }

    async fn tcp(&self) -> Result<TcpStream> {
        let failed = |source| Error::Unreachable { address: self.address.to_string(), source };
        let place = (self.address.host.as_str(), self.address.port);
        let connecting = async {
            let mut last = io::Error::from(io::ErrorKind::NotFound);
            for address in tokio::net::lookup_host(place).await? {
                match self.tcp_to(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        match timeout(self.patience, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
        }
    }

    async fn tcp_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(source) = self.source.filter(|source| source.is_ipv4() == address.is_ipv4()) {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
