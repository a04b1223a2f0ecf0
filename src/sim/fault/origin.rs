//! Servers of images that a device meets in place of the real one.
//!
//! Raw HTTP over TLS on the loopback address, a few lines of it, because a good library
//! would not let a server misbehave. A device whose URL leads here really connects, shakes
//! hands and asks; only who answers is not who should.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use iotstack_mqtt::tls::{ClientConfig, ServerConfig, TlsAcceptor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};

use super::authority::{Authority, Flaw};
use crate::download::Web;
use crate::{Error, Result};

/// What a server of images is like.
#[derive(Debug, Clone)]
pub(crate) enum Habit {
    /// Says that it has more than this many bytes.
    SaysMore { size: u64 },
    /// Leads to another host.
    LeadsAway,
    /// Leads to plain HTTP.
    LeadsToPlain,
    /// Its certificate is for another name.
    OtherName,
    /// Its certificate is of an authority that nobody knows.
    Unknown,
    /// Has the image of this URL, breaks off once, and knows nothing of ranges.
    IgnoresRanges { url: String, web: Box<Web>, size: u64 },
}

/// A server of images. Dropping it cuts its connections.
pub(crate) struct Origin {
    pub url: String,
    /// Whom the device trusts there; whom it always does if absent.
    pub tls: Option<Arc<ClientConfig>>,
    task: JoinHandle<()>,
}

impl Origin {
    pub(crate) async fn start(habit: Habit, authority: &Authority) -> Result<Origin> {
        let failed = |error: std::io::Error| Error::invalid("server with a fault", error);
        let listener = TcpListener::bind((HOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (server, tls) = match habit {
            Habit::Unknown => (Authority::unknown()?.server(HOST, Flaw::Nothing)?, None),
            Habit::OtherName => {
                (authority.server(HOST, Flaw::OtherName)?, Some(authority.client()))
            }
            _ => (authority.server(HOST, Flaw::Nothing)?, Some(authority.client())),
        };
        let url = format!("https://{address}/image");
        let task = tokio::spawn(serve(listener, server, address, Arc::new(habit)));
        Ok(Origin { url, tls, task })
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    server: Arc<ServerConfig>,
    address: SocketAddr,
    habit: Arc<Habit>,
) {
    let image = Arc::new(Mutex::new(None));
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (server, habit, image) = (server.clone(), habit.clone(), image.clone());
        connections.spawn(async move {
            // A connection that breaks is the device's to notice.
            let _ = answer(stream, server, address, &habit, &image).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    stream: TcpStream,
    server: Arc<ServerConfig>,
    address: SocketAddr,
    habit: &Habit,
    image: &Mutex<Option<Bytes>>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = TlsAcceptor::from(server).accept(stream).await?;
    let mut asked = Vec::new();
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        // No request of a device is as long as this.
        if asked.len() > 8192 || stream.read_buf(&mut asked).await? == 0 {
            return Ok(());
        }
    }
    let redirect =
        |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let good = |length: u64| {
        format!("HTTP/1.1 200 OK\r\nETag: \"one\"\r\nContent-Length: {length}\r\n\r\n")
    };
    let (head, body) = match habit {
        Habit::SaysMore { size } => (good(size + 1000), Bytes::from_static(b"more")),
        Habit::LeadsAway => (redirect("https://other.invalid/image"), Bytes::new()),
        Habit::LeadsToPlain => (redirect(&format!("http://{address}/image")), Bytes::new()),
        Habit::OtherName | Habit::Unknown => (good(0), Bytes::new()),
        Habit::IgnoresRanges { url, web, size } => {
            let mut kept = image.lock().await;
            match kept.as_ref() {
                Some(image) => (good(image.len() as u64), image.clone()),
                None => {
                    let image = fetch(web, url, *size).await.map_err(std::io::Error::other)?;
                    let half = image.slice(..image.len() / 2);
                    let head = good(image.len() as u64);
                    *kept = Some(image);
                    (head, half)
                }
            }
        }
    };
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

/// The whole image, from the server that really has it.
async fn fetch(web: &Web, url: &str, size: u64) -> Result<Bytes, String> {
    let mut answer = web.get(url, 0, None).await.map_err(|error| format!("{error:?}"))?;
    let mut image = Vec::new();
    while let Some(bytes) = answer.next().await {
        image.extend_from_slice(&bytes?);
        if image.len() as u64 > size {
            return Err("the image is larger than declared".to_owned());
        }
    }
    Ok(image.into())
}

/// Where these servers are; certificates can be for addresses as well as for names.
const HOST: &str = "127.0.0.1";
