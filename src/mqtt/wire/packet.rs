//! The packets of MQTT 3.1.1 and 5, as one set of types.
//!
//! What only MQTT 5 knows is optional and is left out when a packet is written
//! for 3.1.1. Topics, payloads and texts share the memory of the bytes they were
//! read from, so that a message goes to any number of receivers without a copy.
//! Debug output shows no payload and no password.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::{ReasonCode, Text};

/// The version of MQTT that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Version {
    /// MQTT 3.1.1.
    #[default]
    V311,
    /// MQTT 5.
    V5,
}

/// How hard a message is tried to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum QoS {
    /// QoS 0: sent once, never acknowledged.
    #[default]
    AtMostOnce = 0,
    /// QoS 1: sent until it is acknowledged.
    AtLeastOnce = 1,
    /// QoS 2, which AWS IoT does not serve.
    ExactlyOnce = 2,
}

/// Names one unacknowledged packet of a connection.
pub type PacketId = NonZeroU16;

/// Names and values that travel along with a packet of MQTT 5.
pub type UserProperties = Vec<(Text, Text)>;

/// One MQTT control packet.
#[derive(Debug, Clone, PartialEq)]
pub enum Packet {
    /// A client asks to connect.
    Connect(Box<Connect>),
    /// The server's answer to CONNECT.
    ConnAck(Box<ConnAck>),
    /// A message.
    Publish(Publish),
    /// A message of QoS 1 has arrived.
    PubAck(Ack),
    /// A message of QoS 2 has arrived.
    PubRec(Ack),
    /// A message of QoS 2 may be passed on.
    PubRel(Ack),
    /// A message of QoS 2 is done.
    PubComp(Ack),
    /// A client asks for the messages of some filters.
    Subscribe(Subscribe),
    /// The server's answer to SUBSCRIBE.
    SubAck(SubAck),
    /// A client gives filters up.
    Unsubscribe(Unsubscribe),
    /// The server's answer to UNSUBSCRIBE.
    UnsubAck(SubAck),
    /// A client shows that it is alive.
    PingReq,
    /// The server's answer to PINGREQ.
    PingResp,
    /// The end of the connection, announced.
    Disconnect(Disconnect),
    /// A step of enhanced authentication, MQTT 5 only.
    Auth(Box<Auth>),
}

impl Packet {
    /// The packet's name in the standard, such as `PUBLISH`.
    pub fn name(&self) -> &'static str {
        match self {
            Packet::Connect(_) => "CONNECT",
            Packet::ConnAck(_) => "CONNACK",
            Packet::Publish(_) => "PUBLISH",
            Packet::PubAck(_) => "PUBACK",
            Packet::PubRec(_) => "PUBREC",
            Packet::PubRel(_) => "PUBREL",
            Packet::PubComp(_) => "PUBCOMP",
            Packet::Subscribe(_) => "SUBSCRIBE",
            Packet::SubAck(_) => "SUBACK",
            Packet::Unsubscribe(_) => "UNSUBSCRIBE",
            Packet::UnsubAck(_) => "UNSUBACK",
            Packet::PingReq => "PINGREQ",
            Packet::PingResp => "PINGRESP",
            Packet::Disconnect(_) => "DISCONNECT",
            Packet::Auth(_) => "AUTH",
        }
    }
}

/// A client asks to connect.
#[derive(Clone, PartialEq, Default)]
pub struct Connect {
    /// The version of MQTT that the connection will speak.
    pub version: Version,
    /// Names the client and its session.
    pub client_id: Text,
    /// Whether an earlier session is forgotten; `clean session` in 3.1.1.
    pub clean_start: bool,
    /// Seconds after which the client sends something at the latest; 0 is never.
    pub keep_alive: u16,
    /// What the server publishes when the client is lost.
    pub will: Option<Will>,
    /// The user name.
    pub username: Option<Text>,
    /// The password.
    pub password: Option<Bytes>,
    /// What only MQTT 5 knows.
    pub properties: ConnectProperties,
}

/// What a CONNECT of MQTT 5 may add.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectProperties {
    /// Seconds for which the session outlives the connection.
    pub session_expiry: u32,
    /// The number of unacknowledged messages that the client takes at a time.
    pub receive_maximum: Option<NonZeroU16>,
    /// The largest packet that the client takes.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The largest topic alias that the client takes; 0 is none.
    pub topic_alias_maximum: u16,
    /// Whether the client wants reasons in words.
    pub request_problem_information: bool,
    /// Whether the client wants response information.
    pub request_response_information: bool,
    /// The method of enhanced authentication.
    pub authentication_method: Option<Text>,
    /// The data of enhanced authentication.
    pub authentication_data: Option<Bytes>,
    /// Names and values of the client's own.
    pub user_properties: UserProperties,
}

impl Default for ConnectProperties {
    fn default() -> Self {
        ConnectProperties {
            session_expiry: 0,
            receive_maximum: None,
            maximum_packet_size: None,
            topic_alias_maximum: 0,
            request_problem_information: true,
            request_response_information: false,
            authentication_method: None,
            authentication_data: None,
            user_properties: Vec::new(),
        }
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("will", &self.will.as_ref().map(|will| &will.topic))
            .finish_non_exhaustive()
    }
}

/// What the server publishes when a client is lost.
#[derive(Clone, PartialEq, Default)]
pub struct Will {
    /// Where it is published.
    pub topic: Text,
    /// What is published.
    pub payload: Bytes,
    /// How hard its delivery is tried.
    pub qos: QoS,
    /// Whether it is kept as the topic's retained message.
    pub retain: bool,
    /// Seconds that the server waits for the client to come back, MQTT 5 only.
    pub delay: u32,
    /// What only MQTT 5 knows.
    pub properties: Option<Box<PublishProperties>>,
}

impl fmt::Debug for Will {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Will")
            .field("topic", &self.topic)
            .field("bytes", &self.payload.len())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .finish_non_exhaustive()
    }
}

/// The server's answer to CONNECT.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnAck {
    /// Whether the server goes on with an earlier session.
    pub session_present: bool,
    /// [`ReasonCode::SUCCESS`], or why the connection is refused.
    pub reason: ReasonCode,
    /// What only MQTT 5 knows.
    pub properties: ConnAckProperties,
}

impl ConnAck {
    /// An answer without properties.
    pub fn new(reason: ReasonCode, session_present: bool) -> Self {
        ConnAck { session_present, reason, properties: ConnAckProperties::default() }
    }

    /// Whether the connection stands.
    pub fn is_accepted(&self) -> bool {
        self.reason == ReasonCode::SUCCESS
    }
}

/// What a CONNACK of MQTT 5 may add.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnAckProperties {
    /// Seconds for which the session outlives the connection, if not as asked for.
    pub session_expiry: Option<u32>,
    /// The number of unacknowledged messages that the server takes at a time.
    pub receive_maximum: NonZeroU16,
    /// The highest QoS that the server takes.
    pub maximum_qos: QoS,
    /// Whether the server keeps retained messages.
    pub retain_available: bool,
    /// The largest packet that the server takes.
    pub maximum_packet_size: Option<u32>,
    /// The client id that the server chose for a client without one.
    pub assigned_client_id: Option<Text>,
    /// The largest topic alias that the server takes; 0 is none.
    pub topic_alias_maximum: u16,
    /// Whether filters may hold wildcards.
    pub wildcard_subscription_available: bool,
    /// Whether subscriptions may have identifiers.
    pub subscription_identifiers_available: bool,
    /// Whether subscriptions may be shared.
    pub shared_subscription_available: bool,
    /// The keep-alive interval that holds, if not as asked for.
    pub server_keep_alive: Option<u16>,
    /// The reason in words.
    pub reason_string: Option<Text>,
    /// Names and values of the server's own.
    pub user_properties: UserProperties,
}

impl Default for ConnAckProperties {
    fn default() -> Self {
        ConnAckProperties {
            session_expiry: None,
            receive_maximum: NonZeroU16::MAX,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            maximum_packet_size: None,
            assigned_client_id: None,
            topic_alias_maximum: 0,
            wildcard_subscription_available: true,
            subscription_identifiers_available: true,
            shared_subscription_available: true,
            server_keep_alive: None,
            reason_string: None,
            user_properties: Vec::new(),
        }
    }
}

/// A message on its way.
#[derive(Clone, PartialEq, Default)]
pub struct Publish {
    /// Where the message is published; empty when a topic alias says it.
    pub topic: Text,
    /// The message.
    pub payload: Bytes,
    /// How hard its delivery is tried.
    pub qos: QoS,
    /// To the server: keep it. From the server: it was kept.
    pub retain: bool,
    /// Whether it may have been sent before.
    pub dup: bool,
    /// The name for its acknowledgement; present above QoS 0.
    pub packet_id: Option<PacketId>,
    /// What only MQTT 5 knows.
    pub properties: Option<Box<PublishProperties>>,
}

impl Publish {
    /// A message of QoS 0.
    pub fn new(topic: impl Into<Text>, payload: impl Into<Bytes>) -> Self {
        Publish { topic: topic.into(), payload: payload.into(), ..Publish::default() }
    }

    /// The same message at QoS 1 under `id`.
    #[must_use]
    pub fn at_least_once(mut self, id: PacketId) -> Self {
        self.qos = QoS::AtLeastOnce;
        self.packet_id = Some(id);
        self
    }
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("topic", &self.topic)
            .field("bytes", &self.payload.len())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("dup", &self.dup)
            .field("packet_id", &self.packet_id)
            .finish_non_exhaustive()
    }
}

/// What a message of MQTT 5 may carry beside its payload.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PublishProperties {
    /// Whether the payload is declared to be UTF-8 text.
    pub payload_is_utf8: bool,
    /// Seconds after which the message is worthless.
    pub message_expiry: Option<NonZeroU32>,
    /// What the payload is, such as `application/json`.
    pub content_type: Option<Text>,
    /// Where an answer is expected.
    pub response_topic: Option<Text>,
    /// What an answer repeats.
    pub correlation_data: Option<Bytes>,
    /// Names and values of the sender's own.
    pub user_properties: UserProperties,
    /// A number in place of the topic.
    pub topic_alias: Option<NonZeroU16>,
    /// The identifiers of the subscriptions that the message is for.
    pub subscription_ids: Vec<NonZeroU32>,
}

/// An acknowledgement of one packet: PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Debug, Clone, PartialEq)]
pub struct Ack {
    /// The packet that is acknowledged.
    pub packet_id: PacketId,
    /// What became of it; always success in 3.1.1.
    pub reason: ReasonCode,
    /// What only MQTT 5 knows.
    pub properties: Option<Box<AckProperties>>,
}

impl Ack {
    /// Says that all is well.
    pub fn success(packet_id: PacketId) -> Self {
        Ack::new(packet_id, ReasonCode::SUCCESS)
    }

    /// Says what became of the packet.
    pub fn new(packet_id: PacketId, reason: ReasonCode) -> Self {
        Ack { packet_id, reason, properties: None }
    }
}

/// What an acknowledgement of MQTT 5 may add.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AckProperties {
    /// The reason in words.
    pub reason_string: Option<Text>,
    /// Names and values of the sender's own.
    pub user_properties: UserProperties,
}

/// A client asks for the messages of some filters.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscribe {
    /// The name for the answer.
    pub packet_id: PacketId,
    /// The filters, at least one.
    pub filters: Vec<Subscription>,
    /// A number that comes back with every message, MQTT 5 only.
    pub subscription_id: Option<NonZeroU32>,
    /// Names and values of the client's own.
    pub user_properties: UserProperties,
}

/// One filter of a SUBSCRIBE and how its messages are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscription {
    /// Which topics.
    pub filter: Text,
    /// The highest QoS at which messages are wanted.
    pub qos: QoS,
    /// Whether the client's own messages are left out, MQTT 5 only.
    pub no_local: bool,
    /// Whether messages keep their retain flag, MQTT 5 only.
    pub retain_as_published: bool,
    /// When retained messages are sent, MQTT 5 only.
    pub retain_handling: RetainHandling,
}

impl Subscription {
    /// A filter at `qos` with nothing special.
    pub fn new(filter: impl Into<Text>, qos: QoS) -> Self {
        Subscription { filter: filter.into(), qos, ..Subscription::default() }
    }
}

/// When retained messages are sent to a new subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetainHandling {
    /// At every SUBSCRIBE.
    #[default]
    Send = 0,
    /// Only if the subscription did not exist.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

/// The server's answer to SUBSCRIBE or UNSUBSCRIBE.
#[derive(Debug, Clone, PartialEq)]
pub struct SubAck {
    /// The packet that is answered.
    pub packet_id: PacketId,
    /// One code for each filter. An UNSUBACK of 3.1.1 has none.
    pub reasons: Vec<ReasonCode>,
    /// What only MQTT 5 knows.
    pub properties: Option<Box<AckProperties>>,
}

/// A client gives filters up.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsubscribe {
    /// The name for the answer.
    pub packet_id: PacketId,
    /// The filters, at least one.
    pub filters: Vec<Text>,
    /// Names and values of the client's own.
    pub user_properties: UserProperties,
}

/// The end of the connection, announced.
#[derive(Debug, Clone, PartialEq)]
pub struct Disconnect {
    /// Why; always success in 3.1.1.
    pub reason: ReasonCode,
    /// What only MQTT 5 knows.
    pub properties: Option<Box<DisconnectProperties>>,
}

impl Disconnect {
    /// A goodbye without properties.
    pub fn new(reason: ReasonCode) -> Self {
        Disconnect { reason, properties: None }
    }
}

/// What a DISCONNECT of MQTT 5 may add.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DisconnectProperties {
    /// Seconds for which the session outlives the connection, said at the end.
    pub session_expiry: Option<u32>,
    /// The reason in words.
    pub reason_string: Option<Text>,
    /// Another server to go to.
    pub server_reference: Option<Text>,
    /// Names and values of the sender's own.
    pub user_properties: UserProperties,
}

/// A step of enhanced authentication, which AWS IoT does not serve.
#[derive(Clone, PartialEq)]
pub struct Auth {
    /// Success, go on (0x18) or start again (0x19).
    pub reason: ReasonCode,
    /// The method.
    pub method: Option<Text>,
    /// The data.
    pub data: Option<Bytes>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("reason", &self.reason).finish_non_exhaustive()
    }
}
