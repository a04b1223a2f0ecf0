//! The beginning of a connection: CONNECT, who may, and CONNACK.
//!
//! A client is told as little as its version of MQTT allows: 3.1.1 has five codes,
//! and AWS IoT uses a sixth, 7, for a client that no policy lets in. A client that
//! says nothing is left without an answer after a while.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use iotstack_local_kernel::{Caller, ConnectAttempt, Refused, Rights, Timestamp, id};
use iotstack_mqtt::Error;
use iotstack_mqtt::tls::server::TlsStream;
use iotstack_mqtt::topic;
use iotstack_mqtt::wire::{
    ConnAck, ConnAckProperties, Connect, Packet, QoS, Reader, ReasonCode, Text, Version, Will,
    Writer,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::broker::{Arrival, Attached, End};
use crate::connection::{Aliases, Connection};
use crate::lifecycle::reason;
use crate::rate::Rate;
use crate::session::{Link, Orders};
use crate::{Broker, lifecycle, limits};

/// What is known of a client before it says anything.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its address.
    pub source: SocketAddr,
    /// Its certificate in DER, for mutual TLS.
    pub certificate: Option<Vec<u8>>,
    /// Who signed its request, for a WebSocket.
    pub caller: Option<Caller>,
    /// The server name that it asked for.
    pub server_name: Option<String>,
    /// Whether it comes over a WebSocket, whose life is limited.
    pub is_websocket: bool,
}

impl Origin {
    /// A client of which only the address is known.
    pub(crate) fn at(source: SocketAddr) -> Self {
        Origin { source, certificate: None, caller: None, server_name: None, is_websocket: false }
    }

    /// A client whose TLS handshake is done.
    pub(crate) fn over_tls<S>(source: SocketAddr, stream: &TlsStream<S>) -> Self {
        let (_, tls) = stream.get_ref();
        let own = tls.peer_certificates().and_then(|chain| chain.first());
        Origin {
            certificate: own.map(|certificate| certificate.to_vec()),
            server_name: tls.server_name().map(str::to_owned),
            ..Origin::at(source)
        }
    }
}

/// Why a CONNECT gets no session.
struct Refusal {
    code: ReasonCode,
    why: Refused,
    words: &'static str,
}

/// Greets a client and gives its connection, or nothing if it was refused or lost.
pub(crate) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    broker: Arc<Broker>,
    mut stream: Box<S>,
    origin: Origin,
) -> Option<Connection<S>> {
    let mut reader = Reader::new();
    let mut writer = Writer::new();
    let read = reader.read(&mut *stream, Version::V311, limits::PACKET).await;
    let connect = match read {
        Ok(Some(Packet::Connect(connect))) => *connect,
        Ok(_) => return None,
        Err(error) => {
            tracing::debug!(source = %origin.source, %error, "a client sent no good CONNECT");
            if let Some(refusal) = answer_to(&error) {
                let answer = Packet::ConnAck(Box::new(ConnAck::new(refusal, false)));
                let _ = writer.write(&mut *stream, &answer, Version::V311, limits::PACKET).await;
                let _ = stream.shutdown().await;
            }
            return None;
        }
    };
    let version = connect.version;
    match broker.welcome(connect, &origin) {
        Ok((mut connection, answer)) => {
            if !connection.misbehaviour.withholds_connack {
                let answer = Packet::ConnAck(Box::new(answer));
                if let Err(error) = writer.push(&answer, version, connection.largest_out) {
                    tracing::debug!(source = %origin.source, %error, "a client cannot be answered");
                    connection.give_up();
                    return None;
                }
            }
            Some(connection.with_stream(stream, reader, writer))
        }
        Err(refusal) => {
            let mut answer = ConnAck::new(refusal.code, false);
            if version == Version::V5 {
                answer.properties.reason_string = Some(Text::from(refusal.words));
            }
            let answer = Packet::ConnAck(Box::new(answer));
            let _ = writer.write(&mut *stream, &answer, version, limits::PACKET).await;
            let _ = stream.shutdown().await;
            None
        }
    }
}

/// A connection that has a session and no stream yet.
struct Welcomed {
    broker: Arc<Broker>,
    attached: Attached,
    orders: Arc<Orders>,
    rights: Arc<dyn Rights>,
    version: Version,
    largest_out: usize,
    patience: Option<i64>,
    until: i64,
    aliases_out: u16,
    ends_session: bool,
    misbehaviour: crate::Misbehaviour,
}

impl Welcomed {
    /// Ends what was begun for a client that takes no packet as large as the answer.
    fn give_up(&self) {
        let end = End::because(reason::CLIENT_ERROR, None);
        self.broker.end(&self.attached.session, &self.orders, end);
    }

    fn with_stream<S>(&mut self, stream: Box<S>, reader: Reader, writer: Writer) -> Connection<S> {
        Connection {
            broker: self.broker.clone(),
            session: self.attached.session.clone(),
            orders: self.orders.clone(),
            rights: self.rights.clone(),
            stream,
            reader,
            writer,
            version: self.version,
            largest_out: self.largest_out,
            patience: self.patience,
            until: self.until,
            aliases: Aliases { most: self.aliases_out, ..Aliases::default() },
            rate: Rate::default(),
            ends_session: self.ends_session,
            unconfirmed: VecDeque::new(),
        }
    }
}

impl Broker {
    /// Judges a CONNECT, and attaches its client to a session.
    fn welcome(
        self: &Arc<Self>,
        mut connect: Connect,
        origin: &Origin,
    ) -> Result<(Welcomed, ConnAck), Refusal> {
        let now = self.clock.now();
        let is_assigned = connect.client_id.is_empty();
        if is_assigned {
            connect.client_id = Text::from(id::uuid());
        }
        let identifier = id::uuid();
        let judged = self.judge(&connect, origin, now);
        let rights = judged.inspect_err(|refusal| {
            tracing::debug!(
                client_id = %connect.client_id,
                source = %origin.source,
                code = %refusal.code,
                reason = refusal.words,
                "a client is refused"
            );
            let (source, why) = (origin.source.ip(), refusal.why);
            self.publish_event(lifecycle::connect_failed(
                &connect.client_id,
                why,
                &identifier,
                source,
                now,
            ));
        })?;

        let expires_after = self.session_expiry(&connect);
        let keep_alive = self.keep_alive(connect.keep_alive);
        let orders = Arc::new(Orders::default());
        let window = connect.properties.receive_maximum.map_or(u16::MAX, NonZeroU16::get);
        let client_id: Arc<str> = Arc::from(&*connect.client_id);
        let answer = self.answer(&connect, is_assigned, expires_after, keep_alive);
        let (version, aliases_out) = (connect.version, connect.properties.topic_alias_maximum);
        let largest_out = connect.properties.maximum_packet_size.map_or(limits::PACKET, |most| {
            usize::try_from(most.get()).unwrap_or(usize::MAX).min(limits::PACKET)
        });
        let ends = origin
            .is_websocket
            .then(|| now.after(self.network(Duration::from_secs(limits::WEBSOCKET))));
        let link = Box::new(Link {
            orders: orders.clone(),
            rights: rights.clone(),
            will: connect.will.map(compact),
            since: now,
            identifier: identifier.into(),
            version_number: 0,
            keep_alive,
            clean_session: expires_after == 0,
            source: origin.source,
            ends,
            window: window.min(limits::IN_FLIGHT),
            answers: std::collections::VecDeque::new(),
            waker: None,
        });
        let clean_start = connect.clean_start;
        let arrival =
            Arrival { link, client_id: client_id.clone(), version, clean_start, expires_after };
        let attached = self.attach(arrival, now);
        let answer = ConnAck { session_present: attached.is_resumed, ..answer };
        let patience = (keep_alive > 0).then(|| {
            let silence = Duration::from_millis(u64::from(keep_alive) * 1500);
            i64::try_from(self.network(silence).as_millis()).unwrap_or(i64::MAX)
        });
        let welcomed = Welcomed {
            broker: self.clone(),
            attached,
            orders,
            rights,
            version,
            largest_out,
            patience,
            until: ends.map_or(i64::MAX, Timestamp::millis),
            aliases_out: aliases_out.min(limits::TOPIC_ALIAS),
            ends_session: expires_after == 0,
            misbehaviour: self.misbehaviour(&client_id),
        };
        Ok((welcomed, answer))
    }

    /// Says whether the client may connect, and with which rights.
    fn judge(
        &self,
        connect: &Connect,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Arc<dyn Rights>, Refusal> {
        let malformed = |code, words| Refusal { code, why: Refused::Malformed, words };
        if connect.client_id.len() > limits::CLIENT_ID {
            let words = "the client id has more than 128 bytes";
            return Err(malformed(ReasonCode::CLIENT_IDENTIFIER_NOT_VALID, words));
        }
        if self.connections() >= self.settings.connections {
            let words = "there are as many connections as there may be";
            return Err(malformed(ReasonCode::QUOTA_EXCEEDED, words));
        }
        if self.settings.once_per_second && !self.turns.connecting.takes(&connect.client_id, now) {
            let words = "the client id has connected less than a second ago";
            return Err(malformed(ReasonCode::QUOTA_EXCEEDED, words));
        }
        if connect.properties.authentication_method.is_some() {
            let code = match self.settings.is_aws() {
                true => ReasonCode::UNSPECIFIED_ERROR,
                false => ReasonCode::BAD_AUTHENTICATION_METHOD,
            };
            return Err(malformed(code, "enhanced authentication is not supported"));
        }
        let too_small = |most: std::num::NonZeroU32| most.get() < limits::SMALLEST_PACKET;
        if self.settings.is_aws() && connect.properties.maximum_packet_size.is_some_and(too_small) {
            let words = "the maximum packet size is below 512 bytes";
            return Err(malformed(ReasonCode::UNSPECIFIED_ERROR, words));
        }
        if let Some(will) = &connect.will {
            self.judge_will(will).map_err(|(code, words)| malformed(code, words))?;
        }
        let attempt = ConnectAttempt {
            client_id: &connect.client_id,
            certificate: origin.certificate.as_deref(),
            caller: origin.caller.as_ref(),
            server_name: origin.server_name.as_deref(),
            source: origin.source.ip(),
            last_will: connect.will.as_ref().map(|will| &*will.topic),
            retained_will: connect.will.as_ref().is_some_and(|will| will.retain),
            persistent: self.session_expiry(connect) > 0,
            user_name: connect.username.as_deref(),
        };
        let refuse = |why| {
            let code = match why {
                Refused::Malformed => ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
                _ if connect.version == Version::V311 && self.settings.is_aws() => {
                    ReasonCode::AWS_NOT_AUTHORIZED_V311
                }
                _ => ReasonCode::NOT_AUTHORIZED,
            };
            Refusal { code, why, words: "not authorized" }
        };
        let cloud = self.cloud().ok_or_else(|| refuse(Refused::NotAuthorized))?;
        let Ok(authority) = cloud.ports.authority() else {
            tracing::error!("nobody says who may connect: every client is refused");
            return Err(refuse(Refused::NotAuthorized));
        };
        let rights = authority.connect(&attempt).map_err(refuse)?;
        if let Some(will) = &connect.will
            && !rights.may_publish(&will.topic, will.retain)
        {
            return Err(refuse(Refused::NotAuthorized));
        }
        Ok(rights)
    }

    fn judge_will(&self, will: &Will) -> Result<(), (ReasonCode, &'static str)> {
        if topic::name_size(&will.topic, self.settings.topic_limits()).is_err() {
            return Err((
                ReasonCode::TOPIC_NAME_INVALID,
                "the will's topic is too long or too deep",
            ));
        }
        if !self.settings.is_aws() {
            return Ok(());
        }
        if will.qos == QoS::ExactlyOnce {
            return Err((ReasonCode::QOS_NOT_SUPPORTED, "qos 2 is not supported"));
        }
        if will.payload.len() > limits::PAYLOAD {
            return Err((ReasonCode::QUOTA_EXCEEDED, "the will has more than 128 KB"));
        }
        Ok(())
    }

    /// Seconds for which the client's session outlives the connection.
    fn session_expiry(&self, connect: &Connect) -> u32 {
        let longest = self.settings.longest_session();
        match connect.version {
            Version::V311 if connect.clean_start => 0,
            Version::V311 => longest,
            Version::V5 => connect.properties.session_expiry.min(longest),
        }
    }

    /// The interval that holds for a client that asks for `wanted`.
    fn keep_alive(&self, wanted: u16) -> u16 {
        match wanted {
            wanted if !self.settings.is_aws() => wanted,
            0 => *limits::KEEP_ALIVE.end(),
            wanted => wanted.clamp(*limits::KEEP_ALIVE.start(), *limits::KEEP_ALIVE.end()),
        }
    }

    /// The CONNACK of a client that is let in.
    fn answer(
        &self,
        connect: &Connect,
        is_assigned: bool,
        expires_after: u32,
        keep_alive: u16,
    ) -> ConnAck {
        let mut answer = ConnAck::new(ReasonCode::SUCCESS, false);
        if connect.version == Version::V5 {
            let wanted = connect.properties.session_expiry;
            answer.properties = ConnAckProperties {
                session_expiry: (wanted != expires_after).then_some(expires_after),
                receive_maximum: NonZeroU16::new(limits::IN_FLIGHT).unwrap_or(NonZeroU16::MAX),
                maximum_qos: match self.settings.is_aws() {
                    true => QoS::AtLeastOnce,
                    false => QoS::ExactlyOnce,
                },
                maximum_packet_size: u32::try_from(limits::PACKET).ok(),
                assigned_client_id: is_assigned.then(|| connect.client_id.clone()),
                topic_alias_maximum: limits::TOPIC_ALIAS,
                subscription_identifiers_available: self.settings.standard_mqtt,
                server_keep_alive: (keep_alive != connect.keep_alive).then_some(keep_alive),
                ..ConnAckProperties::default()
            };
        }
        answer
    }
}

/// The code for a CONNECT that cannot be read, where there is one.
fn answer_to(error: &Error) -> Option<ReasonCode> {
    match error {
        Error::UnsupportedVersion { .. } => Some(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
        Error::Protocol { packet: "CONNECT", .. } => Some(ReasonCode::CLIENT_IDENTIFIER_NOT_VALID),
        _ => None,
    }
}

/// A will in memory of its own: it stays as long as its connection, and would keep
/// the whole CONNECT with it.
fn compact(will: Will) -> Will {
    Will {
        topic: Text::from(&*will.topic),
        payload: bytes::Bytes::copy_from_slice(&will.payload),
        ..will
    }
}
