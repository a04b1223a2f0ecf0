//! MQTT 3.1.1 through the codec.
//!
//! CONNACK is read and written here, because the codec knows only the return
//! codes of the standard and AWS IoT uses one more. Everything that only MQTT 5
//! knows is left out when writing.

use bytes::{BufMut, BytesMut};
use rmqtt_codec::types::{Protocol, Publish as CodecPublish, QoS as CodecQoS};
use rmqtt_codec::v3::{
    Codec, Connect as CodecConnect, LastWill, Packet as Codec3, SubscribeReturnCode,
};
use tokio_util::codec::{Decoder, Encoder};

use super::{
    Ack, ConnAck, Connect, ConnectProperties, Disconnect, Packet, Publish, QoS, ReasonCode, SubAck,
    Subscribe, Subscription, Unsubscribe, Version, Will, check,
};
use crate::{Error, Result};

/// Reads a packet that has passed the raw checks.
pub(super) fn decode(first: u8, header: usize, mut frame: BytesMut) -> Result<Packet> {
    let name = check::NAMES[usize::from(first >> 4)];
    if first == CONNACK {
        return connack(&frame[header..]);
    }
    let refused = |error| malformed(name, error);
    match Codec::new(0).decode(&mut frame).map_err(refused)? {
        Some((packet, _)) => ours(name, packet),
        None => Err(Error::Malformed { packet: name, reason: "it ends too early" }),
    }
}

/// Writes a packet.
pub(super) fn encode(packet: &Packet, out: &mut BytesMut) -> Result<()> {
    if let Packet::ConnAck(answer) = packet {
        let present = u8::from(answer.session_present && answer.is_accepted());
        out.put_slice(&[CONNACK, 2, present, answer.reason.to_v311_connack()]);
        return Ok(());
    }
    Codec::new(0)
        .encode(theirs(packet)?, out)
        .map_err(|error| Error::Unwritable { packet: packet.name(), reason: error.to_string() })
}

/// What the codec says about bytes that it cannot read.
pub(super) fn malformed(packet: &'static str, error: rmqtt_codec::error::DecodeError) -> Error {
    use rmqtt_codec::error::DecodeError as E;
    let reason = match error {
        E::InvalidLength => "a length does not fit",
        E::InvalidClientId => {
            return Error::Protocol { packet, reason: "an empty client id needs a clean session" };
        }
        E::Utf8Error => "a text is not UTF-8",
        E::InvalidTopicName => "its topic is empty",
        E::InvalidTopicFilter => "it has no topic filter",
        E::InvalidConnectFlags | E::ConnectReservedFlagSet | E::ConnAckReservedFlagSet => {
            "its flags contradict each other"
        }
        _ => "it cannot be read",
    };
    Error::Malformed { packet, reason }
}

pub(super) fn qos(qos: CodecQoS) -> QoS {
    match qos {
        CodecQoS::AtMostOnce => QoS::AtMostOnce,
        CodecQoS::AtLeastOnce => QoS::AtLeastOnce,
        CodecQoS::ExactlyOnce => QoS::ExactlyOnce,
    }
}

pub(super) fn codec_qos(qos: QoS) -> CodecQoS {
    match qos {
        QoS::AtMostOnce => CodecQoS::AtMostOnce,
        QoS::AtLeastOnce => CodecQoS::AtLeastOnce,
        QoS::ExactlyOnce => CodecQoS::ExactlyOnce,
    }
}

fn connack(body: &[u8]) -> Result<Packet> {
    let &[flags @ 0..=1, code @ 0..=0x7F] = body else {
        let reason = "it is not a flag and a return code";
        return Err(Error::Malformed { packet: "CONNACK", reason });
    };
    let answer = ConnAck::new(ReasonCode::from_v311_connack(code), flags == 1 && code == 0);
    Ok(Packet::ConnAck(Box::new(answer)))
}

fn ours(name: &'static str, packet: Codec3) -> Result<Packet> {
    Ok(match packet {
        Codec3::Connect(connect) => Packet::Connect(Box::new(connect_of(*connect)?)),
        Codec3::Publish(message) => {
            let message = *message;
            check::topic_name(&message.topic)?;
            Packet::Publish(Publish {
                topic: message.topic,
                payload: message.payload,
                qos: qos(message.qos),
                retain: message.retain,
                dup: message.dup,
                packet_id: message.packet_id,
                properties: None,
            })
        }
        Codec3::PublishAck { packet_id } => Packet::PubAck(Ack::success(packet_id)),
        Codec3::PublishReceived { packet_id } => Packet::PubRec(Ack::success(packet_id)),
        Codec3::PublishRelease { packet_id } => Packet::PubRel(Ack::success(packet_id)),
        Codec3::PublishComplete { packet_id } => Packet::PubComp(Ack::success(packet_id)),
        Codec3::Subscribe { packet_id, topic_filters } => {
            let filters = topic_filters.into_iter().map(|(filter, wanted)| {
                check::topic_filter(&filter)?;
                Ok(Subscription::new(filter, qos(wanted)))
            });
            Packet::Subscribe(Subscribe {
                packet_id,
                filters: filters.collect::<Result<_>>()?,
                subscription_id: None,
                user_properties: Vec::new(),
            })
        }
        Codec3::SubscribeAck { packet_id, status } => {
            let code = |status| match status {
                SubscribeReturnCode::Success(granted) => ReasonCode(qos(granted) as u8),
                SubscribeReturnCode::Failure => ReasonCode::UNSPECIFIED_ERROR,
            };
            let reasons = status.into_iter().map(code).collect();
            Packet::SubAck(SubAck { packet_id, reasons, properties: None })
        }
        Codec3::Unsubscribe { packet_id, topic_filters } => {
            topic_filters.iter().try_for_each(check::topic_filter)?;
            let user_properties = Vec::new();
            Packet::Unsubscribe(Unsubscribe { packet_id, filters: topic_filters, user_properties })
        }
        Codec3::UnsubscribeAck { packet_id } => {
            Packet::UnsubAck(SubAck { packet_id, reasons: Vec::new(), properties: None })
        }
        Codec3::PingRequest => Packet::PingReq,
        Codec3::PingResponse => Packet::PingResp,
        Codec3::Disconnect => Packet::Disconnect(Disconnect::new(ReasonCode::SUCCESS)),
        Codec3::ConnectAck(_) => {
            return Err(Error::Malformed { packet: name, reason: "it cannot be read" });
        }
    })
}

fn connect_of(connect: CodecConnect) -> Result<Connect> {
    check::text("CONNECT", &connect.client_id)?;
    if let Some(username) = &connect.username {
        check::text("CONNECT", username)?;
    }
    let will = match connect.last_will {
        None => None,
        Some(will) => {
            check::topic_name(&will.topic)?;
            Some(Will {
                topic: will.topic,
                payload: will.message,
                qos: qos(will.qos),
                retain: will.retain,
                delay: 0,
                properties: None,
            })
        }
    };
    Ok(Connect {
        version: Version::V311,
        client_id: connect.client_id,
        clean_start: connect.clean_session,
        keep_alive: connect.keep_alive,
        will,
        username: connect.username,
        password: connect.password,
        properties: ConnectProperties::default(),
    })
}

fn theirs(packet: &Packet) -> Result<Codec3> {
    let unwritable =
        |reason: &str| Error::Unwritable { packet: packet.name(), reason: reason.to_owned() };
    Ok(match packet {
        Packet::Connect(connect) => Codec3::from(CodecConnect {
            protocol: Protocol(4),
            clean_session: connect.clean_start,
            keep_alive: connect.keep_alive,
            last_will: connect.will.as_ref().map(|will| LastWill {
                qos: codec_qos(will.qos),
                retain: will.retain,
                topic: will.topic.clone(),
                message: will.payload.clone(),
            }),
            client_id: connect.client_id.clone(),
            username: connect.username.clone(),
            password: connect.password.clone(),
            cert: None,
        }),
        Packet::Publish(message) => {
            if message.topic.is_empty() {
                return Err(unwritable("its topic is empty"));
            }
            Codec3::from(CodecPublish {
                dup: message.dup,
                retain: message.retain,
                qos: codec_qos(message.qos),
                topic: message.topic.clone(),
                packet_id: message.packet_id,
                payload: message.payload.clone(),
                properties: None,
            })
        }
        Packet::PubAck(ack) => Codec3::PublishAck { packet_id: ack.packet_id },
        Packet::PubRec(ack) => Codec3::PublishReceived { packet_id: ack.packet_id },
        Packet::PubRel(ack) => Codec3::PublishRelease { packet_id: ack.packet_id },
        Packet::PubComp(ack) => Codec3::PublishComplete { packet_id: ack.packet_id },
        Packet::Subscribe(subscribe) => Codec3::Subscribe {
            packet_id: subscribe.packet_id,
            topic_filters: subscribe
                .filters
                .iter()
                .map(|each| (each.filter.clone(), codec_qos(each.qos)))
                .collect(),
        },
        Packet::SubAck(answer) => Codec3::SubscribeAck {
            packet_id: answer.packet_id,
            status: answer.reasons.iter().map(|code| return_code(*code)).collect(),
        },
        Packet::Unsubscribe(unsubscribe) => Codec3::Unsubscribe {
            packet_id: unsubscribe.packet_id,
            topic_filters: unsubscribe.filters.clone(),
        },
        Packet::UnsubAck(answer) => Codec3::UnsubscribeAck { packet_id: answer.packet_id },
        Packet::PingReq => Codec3::PingRequest,
        Packet::PingResp => Codec3::PingResponse,
        Packet::Disconnect(_) => Codec3::Disconnect,
        Packet::Auth(_) => return Err(unwritable("it does not exist in MQTT 3.1.1")),
        Packet::ConnAck(_) => return Err(unwritable("it is written without the codec")),
    })
}

fn return_code(code: ReasonCode) -> SubscribeReturnCode {
    match code.0 {
        0 => SubscribeReturnCode::Success(CodecQoS::AtMostOnce),
        1 => SubscribeReturnCode::Success(CodecQoS::AtLeastOnce),
        2 => SubscribeReturnCode::Success(CodecQoS::ExactlyOnce),
        _ => SubscribeReturnCode::Failure,
    }
}

const CONNACK: u8 = 0x20;
