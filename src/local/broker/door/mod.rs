//! Doors: processes that take connections in, when one process may not open files enough.
//!
//! Systems let a process open so many files, often 20,000, and every connection is one. A
//! door is a further process of the same program that accepts on the listener's socket,
//! does the TLS, and carries the bytes of all its connections to the broker over one pair
//! of sockets. It opens by itself when the connections of those that are open come to an end.
//!
//! A door decides nothing: whose certificate may come in is asked in the broker, after the
//! handshake and not during it, and everything after that is the broker's as always. The
//! streams are multiplexed by yamux, which keeps a slow client from holding up the others.

mod process;

use std::ffi::OsString;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, UnixStream};
use tokio::process::Command;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

use crate::greeting::Origin;
use crate::{Broker, Error};

pub use process::keep_door;

/// How doors are opened.
#[derive(Clone)]
pub struct DoorSettings {
    /// The program; it must call [`keep_door`].
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The most connections of one process, the broker's own included.
    pub connections: usize,
    /// The certificate of the broker and what it is signed with, PEM.
    pub chain_pem: String,
    /// Its private key, PEM. A door gets it through a socket that nobody else can read.
    pub key_pem: String,
}

/// How many connections stand, and whether there is room for more.
#[derive(Debug)]
pub(crate) struct Crowd {
    standing: AtomicUsize,
    doors: AtomicUsize,
    of_a_process: usize,
    tightness: Notify,
}

/// One connection of the crowd, as long as it stands.
#[derive(Debug)]
pub(crate) struct Place(Arc<Crowd>);

impl Crowd {
    pub(crate) fn new(of_a_process: usize) -> Arc<Self> {
        Arc::new(Crowd {
            standing: AtomicUsize::new(0),
            doors: AtomicUsize::new(0),
            of_a_process: of_a_process.min(Semaphore::MAX_PERMITS),
            tightness: Notify::new(),
        })
    }

    /// Counts a connection. The next door opens a little before it is needed, as a
    /// process takes its time to start.
    pub(crate) fn enter(self: &Arc<Self>) -> Place {
        self.standing.fetch_add(1, Ordering::Relaxed);
        if self.is_tight() {
            self.tightness.notify_one();
        }
        Place(self.clone())
    }

    /// Whether the processes that there are will soon be full.
    pub(crate) fn is_tight(&self) -> bool {
        let standing = self.standing.load(Ordering::Relaxed);
        let room = self.of_a_process.saturating_mul(self.doors() + 1);
        standing + self.of_a_process / 8 >= room
    }

    /// The most connections of one process.
    pub(crate) fn of_a_process(&self) -> usize {
        self.of_a_process
    }

    /// Waits until another door is needed.
    pub(crate) async fn tight(&self) {
        self.tightness.notified().await;
    }

    /// How many doors are open besides the broker's own process.
    pub(crate) fn doors(&self) -> usize {
        self.doors.load(Ordering::Relaxed)
    }

    /// Says how many they are.
    pub(crate) fn set_doors(&self, doors: usize) {
        self.doors.store(doors, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.standing.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The first message to a door.
#[derive(Serialize, Deserialize)]
struct Opening {
    chain_pem: String,
    key_pem: String,
    connections: usize,
    greeting_milliseconds: u64,
    needs_server_name: bool,
}

/// The first message on the stream of each connection.
#[derive(Serialize, Deserialize)]
struct Arrival {
    source: SocketAddr,
    certificate: Option<Vec<u8>>,
    server_name: Option<String>,
}

/// Opens one door after the other as they are needed, and another one for each that has
/// closed, unless there is room without it. Ends with whoever waits for it.
pub(crate) async fn keep_open<D>(crowd: &Crowd, mut open: impl FnMut() -> std::io::Result<D>)
where
    D: Future<Output = ()> + Send + 'static,
{
    let mut doors = JoinSet::new();
    loop {
        while doors.try_join_next().is_some() {}
        crowd.set_doors(doors.len());
        if doors.len() < MOST_DOORS && crowd.is_tight() {
            match open() {
                Ok(door) => {
                    doors.spawn(door);
                    tracing::info!(doors = doors.len(), "another process takes connections in");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot open another door for connections");
                    tokio::time::sleep(PAUSE).await;
                }
            }
            continue;
        }
        tokio::select! {
            () = crowd.tight() => {}
            // A program that ends as soon as it is started is not started all the time.
            Some(_) = doors.join_next() => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Opens a door on the socket and serves what comes through it, until one of the two
/// processes ends or this is dropped.
pub(crate) fn open(
    broker: Weak<Broker>,
    socket: &TcpListener,
    settings: &DoorSettings,
    crowd: Arc<Crowd>,
) -> std::io::Result<impl Future<Output = ()> + Send + use<>> {
    let (link, theirs) = UnixStream::pair()?;
    let theirs = theirs.into_std()?;
    // Standard input and output are what a child is given without unsafe code: the one
    // is the way to the broker, the other the socket to accept on.
    let mut child = Command::new(&settings.program)
        .args(&settings.arguments)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(socket.as_fd().try_clone_to_owned()?))
        // What a terminal tells its programs to do, the broker hears: doors end with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let settings = settings.clone();
    Ok(async move {
        if let Err(error) = serve(broker, link, &settings, &crowd).await {
            tracing::warn!(%error, "a door of the broker has closed");
        }
        if let Err(error) = child.wait().await {
            tracing::warn!(%error, "a door of the broker is lost");
        }
    })
}

/// Serves the connections that a door carries.
async fn serve(
    broker: Weak<Broker>,
    mut link: UnixStream,
    settings: &DoorSettings,
    crowd: &Arc<Crowd>,
) -> Result<(), Error> {
    let Some(agreed) = broker.upgrade().map(|broker| broker.settings.clone()) else {
        return Ok(());
    };
    let opening = Opening {
        chain_pem: settings.chain_pem.clone(),
        key_pem: settings.key_pem.clone(),
        connections: settings.connections,
        greeting_milliseconds: u64::try_from(agreed.greeting_time.as_millis()).unwrap_or(u64::MAX),
        needs_server_name: agreed.needs_server_name,
    };
    tell(&mut link, &opening).await?;
    let mut carrier = carrier(link, yamux::Mode::Server);
    while let Some(stream) = poll_fn(|context| carrier.poll_next_inbound(context)).await {
        let stream = stream.map_err(|error| Error::Door(error.to_string()))?;
        let Some(broker) = broker.upgrade() else { return Ok(()) };
        let place = crowd.enter();
        tokio::spawn(async move {
            let _place = place;
            let patience = broker.settings.greeting_time;
            let mut stream = stream.compat();
            match tokio::time::timeout(patience, hear::<Arrival>(&mut stream)).await {
                Ok(Ok(arrival)) => take_in(broker, stream, arrival).await,
                Ok(Err(error)) => tracing::debug!(%error, "a connection was lost at the door"),
                Err(_) => tracing::debug!("a connection said nothing at the door"),
            }
        });
    }
    Ok(())
}

/// What the TLS handshake does where there is no door, and then the same as there. The
/// door is told at once who may come in: it may have so many streams only of which nothing
/// was heard, and clients that say nothing would keep others out.
async fn take_in<S>(broker: Arc<Broker>, mut stream: S, arrival: Arrival)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let is_admitted = arrival.certificate.as_deref().is_some_and(|each| broker.admits(each));
    if !is_admitted {
        tracing::debug!(source = %arrival.source, "a certificate may not come in");
        return;
    }
    if let Err(error) = welcome(&mut stream).await {
        tracing::debug!(source = %arrival.source, %error, "a connection was lost at the door");
        return;
    }
    let Arrival { source, certificate, server_name } = arrival;
    broker.accept(stream, Origin { certificate, server_name, ..Origin::at(source) }).await;
}

async fn welcome(stream: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    stream.write_u8(WELCOME).await?;
    stream.flush().await
}

/// Writes one message: its length, then JSON.
async fn tell(pipe: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_vec(message).map_err(|error| Error::Door(error.to_string()))?;
    let length = u32::try_from(text.len()).map_err(|error| Error::Door(error.to_string()))?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(text);
    pipe.write_all(&bytes).await.map_err(|error| Error::Door(error.to_string()))
}

/// Reads what [`tell`] wrote.
async fn hear<T: DeserializeOwned>(pipe: &mut (impl AsyncRead + Unpin)) -> Result<T, Error> {
    let lost = |error: std::io::Error| Error::Door(error.to_string());
    let length = pipe.read_u32().await.map_err(lost)? as usize;
    if length > LONGEST_MESSAGE {
        return Err(Error::Door(format!("a message of {length} bytes")));
    }
    let mut text = vec![0; length];
    pipe.read_exact(&mut text).await.map_err(lost)?;
    serde_json::from_slice(&text).map_err(|error| Error::Door(error.to_string()))
}

type Carrier = yamux::Connection<Compat<DuplexStream>>;

/// Many streams over one link.
///
/// An end of yamux reads no further while an answer of its own cannot be written, so two
/// ends whose sockets are full would wait for each other for ever. What they write is
/// therefore taken at once; the windows of the streams bound how much that can be.
fn carrier(mut link: UnixStream, mode: yamux::Mode) -> Carrier {
    let (near, mut far) = tokio::io::duplex(ROOM);
    tokio::spawn(async move {
        if let Err(error) = tokio::io::copy_bidirectional(&mut far, &mut link).await {
            tracing::debug!(%error, "the link of a door is lost");
        }
    });
    // As many streams as a process can have connections; each end trusts the other.
    let mut config = yamux::Config::default();
    config.set_max_connection_receive_window(None);
    config.set_max_num_streams(STREAMS);
    yamux::Connection::new(near.compat(), config, mode)
}

/// The first byte to a door of each connection that may come in. What follows is MQTT.
const WELCOME: u8 = 1;
/// How long it takes until something that has failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// More connections than so many processes hold are nobody's on one machine.
const MOST_DOORS: usize = 32;
const ROOM: usize = 1 << 30;
const STREAMS: usize = 1_000_000;
/// A certificate in JSON is three to four times as long as in DER.
const LONGEST_MESSAGE: usize = 256 * 1024;

#[cfg(test)]
mod tests;
