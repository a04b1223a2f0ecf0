//! A lean client: what a device on the wire needs, and no buffer while it is idle.
//!
//! One connection is one value, driven by whoever calls [`Client::next`]; there is no
//! task behind it. It keeps the promises of QoS 1 (what was not acknowledged is sent
//! again on the next connection), keeps the connection alive, and says within a
//! bounded time when the other end has gone silent: CONNACK, SUBACK, PUBACK and
//! PINGRESP all have their time. After an error the connection is gone;
//! [`Client::into_session`] gives what the next one goes on with, and [`Backoff`] how
//! long to wait before it.
//!
//! QoS 2 is not spoken, because AWS IoT does not serve it.

mod backoff;
mod dial;
mod session;
mod stream;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

pub use backoff::Backoff;
pub use dial::{Address, Dial};
pub use session::{Deafness, Session};
pub use stream::Stream;

use crate::wire::{
    Ack, Connect, ConnectProperties, Disconnect, Packet, Publish, QoS, Reader, ReasonCode,
    Subscribe, Subscription, Text, Unsubscribe, Version, Will, Writer,
};

/// The result of something that a client does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server does not let the client in.
    #[error("the server refused the connection: {}", .0.words())]
    Refused(ReasonCode),
    /// The server has said goodbye.
    #[error("the server ended the connection: {}", .0.words())]
    Ended(ReasonCode),
    /// The server has closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server does not answer.
    #[error("no {packet} within {seconds} s")]
    NoAnswer {
        /// The packet that was waited for.
        packet: &'static str,
        /// How long.
        seconds: u64,
    },
    /// The server cannot be reached.
    #[error("cannot reach {address}: {source}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The server is not the one that is wanted, or does not want this client.
    #[error("no TLS with {address}: {source}")]
    Tls {
        /// Host and port.
        address: String,
        /// What TLS says.
        source: std::io::Error,
    },
    /// The connection broke, or what came over it was no MQTT.
    #[error(transparent)]
    Wire(#[from] crate::Error),
}

/// How a client connects.
#[derive(Debug, Clone)]
pub struct Options {
    /// Names the client and its session.
    pub client_id: String,
    /// The version of MQTT.
    pub version: Version,
    /// Seconds after which the client sends something at the latest.
    pub keep_alive: u16,
    /// Whether the server forgets the session with the connection.
    pub clean_session: bool,
    /// With MQTT 5, how long the server keeps the session otherwise.
    pub session_expiry: u32,
    /// What the server publishes when the client is lost.
    pub will: Option<Will>,
    /// How long the server may take for a CONNACK, SUBACK, PUBACK or PINGRESP.
    pub patience: Duration,
    /// The largest packet that is taken.
    pub maximum_packet: usize,
}

impl Options {
    /// MQTT 3.1.1, a clean session, and the patience of a careful device.
    pub fn new(client_id: impl Into<String>) -> Self {
        Options {
            client_id: client_id.into(),
            version: Version::V311,
            keep_alive: 60,
            clean_session: true,
            session_expiry: 3600,
            will: None,
            patience: Duration::from_secs(20),
            maximum_packet: 256 * 1024,
        }
    }
}

/// What a client hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A message. One of QoS 1 is acknowledged when [`Client::next`] is called again.
    Message(Publish),
    /// The answer to a SUBSCRIBE: one code for each filter.
    Subscribed(Vec<ReasonCode>),
    /// The answer to an UNSUBSCRIBE.
    Unsubscribed,
    /// A message of this client has arrived, or was refused (MQTT 5).
    Acknowledged(ReasonCode),
}

/// A client that is connected.
pub struct Client<S> {
    stream: S,
    reader: Reader,
    writer: Writer,
    session: Session,
    version: Version,
    maximum: usize,
    patience: Duration,
    keep_alive: Option<Duration>,
    last_sent: Instant,
    /// When a PINGRESP is due.
    ping_due: Option<Instant>,
    /// When a SUBACK or UNSUBACK is due.
    subscribe_due: Option<Instant>,
    /// When a PUBACK is due.
    publish_due: Option<Instant>,
    is_resumed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Says CONNECT and waits for the server's yes; then sends again what `session`
    /// has not got acknowledged.
    ///
    /// Gives the session back if the server does not say yes.
    pub async fn open(
        stream: S,
        options: &Options,
        session: Session,
    ) -> Result<Self, (Error, Session)> {
        let mut client = Client {
            stream,
            reader: Reader::new(),
            writer: Writer::new(),
            session,
            version: options.version,
            maximum: options.maximum_packet,
            patience: options.patience,
            keep_alive: match options.keep_alive {
                0 => None,
                seconds => Some(Duration::from_secs(seconds.into())),
            },
            last_sent: Instant::now(),
            ping_due: None,
            subscribe_due: None,
            publish_due: None,
            is_resumed: false,
        };
        match client.shake_hands(options).await {
            Ok(()) => Ok(client),
            Err(error) => Err((error, client.session)),
        }
    }

    /// Whether the server has gone on with an earlier session, subscriptions included.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Publishes a message. At QoS 1 it is kept until the server has acknowledged it.
    pub async fn publish(
        &mut self,
        topic: impl Into<Text>,
        payload: impl Into<bytes::Bytes>,
        qos: QoS,
    ) -> Result<()> {
        let mut message = Publish::new(topic, payload);
        if qos != QoS::AtMostOnce {
            message = message.at_least_once(self.session.next_id());
            self.session.keep(message.clone());
            self.publish_due.get_or_insert_with(|| Instant::now() + self.patience);
        }
        self.send(Packet::Publish(message)).await
    }

    /// Asks for the messages of some filters, at QoS 1. The answer is
    /// [`Heard::Subscribed`].
    pub async fn subscribe(&mut self, filters: &[&str]) -> Result<()> {
        let packet = Packet::Subscribe(Subscribe {
            packet_id: self.session.next_id(),
            filters: filters
                .iter()
                .map(|filter| Subscription::new(*filter, QoS::AtLeastOnce))
                .collect(),
            subscription_id: None,
            user_properties: Vec::new(),
        });
        self.subscribe_due = Some(Instant::now() + self.patience);
        self.send(packet).await
    }

    /// Gives filters up. The answer is [`Heard::Unsubscribed`].
    pub async fn unsubscribe(&mut self, filters: &[&str]) -> Result<()> {
        let packet = Packet::Unsubscribe(Unsubscribe {
            packet_id: self.session.next_id(),
            filters: filters.iter().map(|filter| Text::from(*filter)).collect(),
            user_properties: Vec::new(),
        });
        self.subscribe_due = Some(Instant::now() + self.patience);
        self.send(packet).await
    }

    /// Waits for what the server sends, and keeps the connection alive meanwhile.
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Heard> {
        loop {
            self.flush().await?;
            let (due, what) = self.next_due();
            let read = self.reader.read(&mut self.stream, self.version, self.maximum);
            let packet = match due {
                None => read.await?,
                Some(due) => tokio::select! {
                    biased;
                    packet = read => packet?,
                    () = sleep_until(due) => {
                        match what {
                            Due::Ping => self.ping().await?,
                            Due::Answer(packet) => return Err(self.no_answer(packet)),
                        }
                        continue;
                    }
                },
            };
            let Some(packet) = packet else { return Err(Error::Closed) };
            if self.session.is_deaf_to(&packet) {
                continue;
            }
            if let Some(heard) = self.hear(packet)? {
                return Ok(heard);
            }
        }
    }

    /// Says goodbye and closes the connection.
    pub async fn close(mut self) -> Session {
        let goodbye = Packet::Disconnect(Disconnect::new(ReasonCode::SUCCESS));
        // Whether the server hears it is no concern of a client that leaves.
        if self.send(goodbye).await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
        self.session
    }

    /// What the next connection goes on with. The connection is cut without a goodbye.
    pub fn into_session(self) -> Session {
        self.session
    }

    /// The session, to look at it or to make it deaf.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    async fn shake_hands(&mut self, options: &Options) -> Result<()> {
        let session_expiry = if options.clean_session { 0 } else { options.session_expiry };
        let connect = Packet::Connect(Box::new(Connect {
            version: options.version,
            client_id: options.client_id.as_str().into(),
            clean_start: options.clean_session,
            keep_alive: options.keep_alive,
            will: options.will.clone(),
            properties: ConnectProperties { session_expiry, ..ConnectProperties::default() },
            ..Connect::default()
        }));
        self.send(connect).await?;
        let due = Instant::now() + self.patience;
        let answer = loop {
            let read = self.reader.read(&mut self.stream, self.version, self.maximum);
            let packet = tokio::select! {
                packet = read => packet?,
                () = sleep_until(due) => return Err(self.no_answer("CONNACK")),
            };
            match packet {
                None => return Err(Error::Closed),
                Some(packet) if self.session.is_deaf_to(&packet) => {}
                Some(Packet::ConnAck(answer)) => break answer,
                Some(other) => {
                    let packet = other.name();
                    let reason = "expected CONNACK";
                    return Err(crate::Error::Protocol { packet, reason }.into());
                }
            }
        };
        if !answer.is_accepted() {
            return Err(Error::Refused(answer.reason));
        }
        if let Some(seconds) = answer.properties.server_keep_alive {
            self.keep_alive = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        }
        self.is_resumed = answer.session_present;
        let again: Vec<Publish> = self.session.unacknowledged().collect();
        for message in again {
            self.writer.push(&Packet::Publish(message), self.version, self.maximum)?;
            self.publish_due.get_or_insert_with(|| Instant::now() + self.patience);
        }
        self.flush().await
    }

    fn hear(&mut self, packet: Packet) -> Result<Option<Heard>> {
        match packet {
            Packet::Publish(message) => {
                if let Some(id) = message.packet_id {
                    self.push(&Packet::PubAck(Ack::success(id)))?;
                }
                Ok(Some(Heard::Message(message)))
            }
            Packet::PubAck(ack) => {
                let was_awaited = self.session.acknowledge(ack.packet_id);
                // The clock begins anew with each answer: the server is alive.
                self.publish_due =
                    (!self.session.is_settled()).then(|| Instant::now() + self.patience);
                Ok(was_awaited.then_some(Heard::Acknowledged(ack.reason)))
            }
            Packet::SubAck(answer) => {
                self.subscribe_due = None;
                Ok(Some(Heard::Subscribed(answer.reasons)))
            }
            Packet::UnsubAck(_) => {
                self.subscribe_due = None;
                Ok(Some(Heard::Unsubscribed))
            }
            Packet::PingResp => {
                self.ping_due = None;
                Ok(None)
            }
            Packet::Disconnect(goodbye) => Err(Error::Ended(goodbye.reason)),
            other => {
                let packet = other.name();
                let reason = "a server does not send it";
                Err(crate::Error::Protocol { packet, reason }.into())
            }
        }
    }

    /// What is due next, and when.
    fn next_due(&self) -> (Option<Instant>, Due) {
        let ping = match self.ping_due {
            Some(due) => Some((due, Due::Answer("PINGRESP"))),
            // A little early, so that the server's patience is never tried.
            None => self.keep_alive.map(|interval| (self.last_sent + interval * 3 / 4, Due::Ping)),
        };
        let waits = [
            ping,
            self.publish_due.map(|due| (due, Due::Answer("PUBACK"))),
            self.subscribe_due.map(|due| (due, Due::Answer("SUBACK"))),
        ];
        match waits.into_iter().flatten().min_by_key(|(due, _)| *due) {
            Some((due, what)) => (Some(due), what),
            None => (None, Due::Ping),
        }
    }

    async fn ping(&mut self) -> Result<()> {
        self.ping_due = Some(Instant::now() + self.patience);
        self.send(Packet::PingReq).await
    }

    fn no_answer(&self, packet: &'static str) -> Error {
        Error::NoAnswer { packet, seconds: self.patience.as_secs() }
    }

    fn push(&mut self, packet: &Packet) -> Result<()> {
        Ok(self.writer.push(packet, self.version, crate::wire::LARGEST_PACKET)?)
    }

    async fn send(&mut self, packet: Packet) -> Result<()> {
        self.push(&packet)?;
        self.flush().await
    }

    async fn flush(&mut self) -> Result<()> {
        if self.writer.is_empty() {
            return Ok(());
        }
        self.last_sent = Instant::now();
        // A server that reads nothing must not hold the client for ever.
        match tokio::time::timeout(self.patience, self.writer.flush(&mut self.stream)).await {
            Ok(written) => Ok(written.map_err(crate::Error::Io)?),
            Err(_) => {
                Err(Error::NoAnswer { packet: "TCP window", seconds: self.patience.as_secs() })
            }
        }
    }
}

enum Due {
    Ping,
    Answer(&'static str),
}

#[cfg(test)]
mod tests;
