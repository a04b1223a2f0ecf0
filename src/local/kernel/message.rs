//! Messages, who publishes them, who may, and who answers reserved topics.
//!
//! The broker knows sessions and packets; what a certificate may do and what a
//! reserved topic means it asks through the traits of this file.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Caller, Timestamp};

/// A message of the broker. Cloning shares topic and payload.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where to.
    pub topic: Arc<str>,
    /// What.
    pub payload: Bytes,
    /// At most once or at least once.
    pub qos: QoS,
    /// Whether the broker shall keep it for later subscribers.
    pub retain: bool,
    /// What MQTT 5 adds.
    pub properties: Option<Arc<Properties>>,
    /// Who published it; nobody for messages of the cloud itself.
    pub publisher: Option<Arc<Publisher>>,
    /// When it reached the broker.
    pub at: Timestamp,
}

impl Message {
    /// A message of the cloud itself, QoS 1, not retained.
    pub fn new(topic: impl Into<Arc<str>>, payload: impl Into<Bytes>, at: Timestamp) -> Self {
        Message {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: None,
            publisher: None,
            at,
        }
    }
}

/// How often a message may arrive. AWS IoT knows no exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QoS {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce,
}

/// The properties of an MQTT 5 message that travel with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// Whether the payload is UTF-8 text.
    pub payload_is_text: Option<bool>,
    /// The media type of the payload.
    pub content_type: Option<String>,
    /// Where an answer is expected.
    pub response_topic: Option<String>,
    /// What an answer shall repeat.
    pub correlation_data: Option<Bytes>,
    /// Seconds until the message is worthless.
    pub expiry_seconds: Option<u32>,
    /// Pairs of the user, in order.
    pub user: Vec<(String, String)>,
}

/// A connected client, as services see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// The client id.
    pub client_id: Arc<str>,
    /// The id of its certificate, or the ARN of whoever signed the WebSocket.
    pub principal: Arc<str>,
    /// The thing that the connection stands for, if it does.
    pub thing: Option<Arc<str>>,
    /// Its address.
    pub source: IpAddr,
}

/// Says who may connect, and with which rights.
pub trait Authority: Send + Sync {
    /// What a certificate is to the account; asked during the TLS handshake.
    fn admits(&self, certificate: &[u8]) -> Admission;

    /// Judges a CONNECT.
    ///
    /// # Errors
    /// Why the client is refused.
    fn connect(&self, attempt: &ConnectAttempt<'_>) -> Result<Arc<dyn Rights>, Refused>;
}

/// What a certificate is to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Registered and active.
    Active,
    /// Registered, but not active: the handshake fails.
    Inactive,
    /// Not registered, and signed by no registered authority: the handshake fails.
    Unknown,
    /// Signed by a registered authority that registers devices at their first
    /// connection: the handshake succeeds, CONNECT decides.
    FirstSeen,
}

/// A CONNECT, as the authority judges it.
#[derive(Debug, Clone)]
pub struct ConnectAttempt<'a> {
    /// The client id; never empty.
    pub client_id: &'a str,
    /// The client's certificate (DER), for mutual TLS.
    pub certificate: Option<&'a [u8]>,
    /// Who signed the request, for WebSockets.
    pub caller: Option<&'a Caller>,
    /// The name that the client asked for in the TLS handshake.
    pub server_name: Option<&'a str>,
    /// The client's address.
    pub source: IpAddr,
    /// The topic of the last will.
    pub last_will: Option<&'a str>,
    /// Whether the last will shall be retained.
    pub retained_will: bool,
    /// Whether the session shall outlive the connection.
    pub persistent: bool,
    /// The user name, where one was sent.
    pub user_name: Option<&'a str>,
}

/// Why a CONNECT is refused, as presence events name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The certificate is not active or not known.
    NotAuthenticated,
    /// No policy allows it.
    NotAuthorized,
    /// Something is wrong with the request itself, such as the client id.
    Malformed,
}

/// What one connection may do. Asked for every message, so it must be quick.
pub trait Rights: Send + Sync {
    /// Who it is.
    fn publisher(&self) -> &Arc<Publisher>;
    /// Whether it may publish on `topic`, and retained if `retain`.
    fn may_publish(&self, topic: &str, retain: bool) -> bool;
    /// Whether it may subscribe to `filter`.
    fn may_subscribe(&self, filter: &str) -> bool;
    /// Whether messages on `topic` may be delivered to it.
    fn may_receive(&self, topic: &str) -> bool;
    /// Whether its certificate is still active and its policies still allow it to connect.
    fn holds(&self) -> bool;
}

/// Answers a family of reserved topics.
///
/// A message on a topic of the family does not pass through the broker: no
/// other client and no rule sees it.
pub trait Reserved: Send + Sync {
    /// Whether the topic belongs to the family; topics begin with `$aws/`.
    fn owns(&self, topic: &str) -> bool;

    /// Handles a message that a client was allowed to publish. Called on the
    /// connection's task: must not block; what waits is spawned. Answers go
    /// through [`crate::ports::Messages`].
    fn receive(&self, from: &Arc<Publisher>, message: &Message);
}
