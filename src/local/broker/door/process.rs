//! The inside of a door: accepts, does the TLS, carries bytes.
//!
//! It holds no state beyond its connections and ends when the way to the broker does, so
//! that none outlives the cloud.

use std::future::poll_fn;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use iotstack_mqtt::tls::{ClientGate, Identity, ServerSettings, TlsAcceptor, server};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

use super::{Arrival, Carrier, Opening, WELCOME, carrier, hear, tell};
use crate::greeting::Origin;
use crate::listener::accept;
use crate::{Error, raise_file_limit};

pub(super) type Wish = oneshot::Sender<yamux::Stream>;

/// Keeps a door that a broker has opened, whose sockets are this process's standard input
/// and output. Returns when the broker is gone.
///
/// # Errors
/// If the two are no such sockets, or the broker says something else than it should.
pub async fn keep_door() -> Result<(), Error> {
    if let Err(error) = raise_file_limit() {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let (link, socket) = sockets().map_err(|error| {
        Error::Door(format!("only a broker opens doors, with two sockets: {error}"))
    })?;
    keep(link, socket).await
}

fn sockets() -> std::io::Result<(UnixStream, TcpListener)> {
    let link = std::io::stdin().as_fd().try_clone_to_owned()?;
    let link = std::os::unix::net::UnixStream::from(link);
    link.peer_addr()?;
    link.set_nonblocking(true)?;
    let socket = std::io::stdout().as_fd().try_clone_to_owned()?;
    let socket = std::net::TcpListener::from(socket);
    socket.local_addr()?;
    socket.set_nonblocking(true)?;
    Ok((UnixStream::from_std(link)?, TcpListener::from_std(socket)?))
}

pub(super) async fn keep(mut link: UnixStream, socket: TcpListener) -> Result<(), Error> {
    let opening: Opening = hear(&mut link).await?;
    let identity = Identity::from_pem(&opening.chain_pem, &opening.key_pem);
    let identity = identity.map_err(Error::Identity)?;
    let settings = ServerSettings {
        needs_server_name: opening.needs_server_name,
        ..ServerSettings::mutual(identity, Arc::new(Everybody))
    };
    let acceptor = TlsAcceptor::from(settings.build().map_err(Error::Identity)?);
    let patience = Duration::from_millis(opening.greeting_milliseconds);
    let carrier = carrier(link, yamux::Mode::Client);
    let (wishes, wanted) = mpsc::channel::<Wish>(64);
    let places = Arc::new(Semaphore::new(opening.connections));
    let taking = async {
        // It is never closed.
        while let Ok(place) = places.clone().acquire_owned().await {
            let Some((stream, source)) = accept(&socket).await else { return };
            let (acceptor, wishes) = (acceptor.clone(), wishes.clone());
            tokio::spawn(async move {
                let _place = place;
                let greeting = Box::pin(async {
                    let client = Box::new(acceptor.accept(stream).await.ok()?);
                    let Origin { certificate, server_name, .. } = Origin::over_tls(source, &client);
                    let arrival = Arrival { source, certificate, server_name };
                    let (wish, granted) = oneshot::channel();
                    wishes.send(wish).await.ok()?;
                    let mut broker = granted.await.ok()?.compat();
                    tell(&mut broker, &arrival).await.ok()?;
                    let answer = broker.read_u8().await.ok()?;
                    (answer == WELCOME).then_some((client, broker))
                });
                if let Ok(Some((client, broker))) = tokio::time::timeout(patience, greeting).await {
                    relay(client, broker).await;
                }
            });
        }
    };
    tokio::select! {
        () = carry(carrier, wanted) => Ok(()),
        () = taking => Ok(()),
    }
}

/// Drives the way to the broker, and opens a stream on it for every wish.
pub(super) async fn carry(mut carrier: Carrier, mut wanted: mpsc::Receiver<Wish>) {
    let mut wish: Option<Wish> = None;
    poll_fn(|context| {
        loop {
            if wish.is_none()
                && let Poll::Ready(next) = wanted.poll_recv(context)
            {
                wish = next;
            }
            if wish.is_some() {
                match carrier.poll_new_outbound(context) {
                    Poll::Ready(Ok(stream)) => {
                        // Whoever wished may have lost its client since.
                        let _ = wish.take().map(|wish| wish.send(stream));
                        continue;
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
            }
            match carrier.poll_next_inbound(context) {
                // The broker opens no streams.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

/// Carries bytes both ways until the broker is done with the client, as it would close
/// the socket itself, or the client is gone and the broker has heard of it.
async fn relay(mut client: Box<server::TlsStream<TcpStream>>, mut broker: Compat<yamux::Stream>) {
    let (mut from_client, mut to_client) = tokio::io::split(&mut *client);
    let (mut from_broker, mut to_broker) = tokio::io::split(&mut broker);
    let up = async {
        let _ = copy(&mut from_client, &mut to_broker, None).await;
        let _ = to_broker.shutdown().await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = up => {}
        _ = copy(&mut from_broker, &mut to_client, Some(PATIENCE)) => {}
    }
    let _ = tokio::time::timeout(FAREWELL, to_client.shutdown()).await;
}

/// Copies until the end, or until what was read cannot be written for as long as
/// `patience` says. Its buffer is small, as there is one each way for every connection, and
/// most of them are idle.
pub(super) async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    patience: Option<Duration>,
) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let writing = async {
            to.write_all(&buffer[..length]).await?;
            to.flush().await
        };
        match patience {
            Some(patience) => tokio::time::timeout(patience, writing).await??,
            None => writing.await?,
        }
    }
}

/// The broker asks about certificates itself.
#[derive(Debug)]
struct Everybody;

impl ClientGate for Everybody {
    fn admit(&self, _certificate: &[u8], _intermediates: &[&[u8]]) -> bool {
        true
    }
}

/// How long a client may read nothing of what there is for it: one and a half times the
/// longest keep-alive. While the door waits for it, it does not hear that the broker has
/// given the client up.
const PATIENCE: Duration = Duration::from_secs(1800);

/// How long a client may take to hear that the connection ends.
const FAREWELL: Duration = Duration::from_secs(5);
