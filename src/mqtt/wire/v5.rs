//! MQTT 5 through the codec.
//!
//! Reason codes are checked against the packet they travel in when writing, so
//! that a server cannot answer with a code that the standard does not know there.
//! Enhanced authentication is read and written and means nothing to this crate.

use std::num::NonZeroU32;

use bytes::BytesMut;
use rmqtt_codec::types::Publish as CodecPublish;
use rmqtt_codec::v5::{self as codec, Codec, Packet as Codec5};
use tokio_util::codec::{Decoder, Encoder};

use super::v311::{codec_qos, malformed, qos};
use super::{
    Ack, AckProperties, Auth, ConnAck, ConnAckProperties, Connect, ConnectProperties, Disconnect,
    DisconnectProperties, Packet, PacketId, Publish, PublishProperties, ReasonCode, RetainHandling,
    SubAck, Subscribe, Subscription, Text, Unsubscribe, UserProperties, Version, Will, check,
};
use crate::{Error, Result};

/// Reads a packet that has passed the raw checks.
pub(super) fn decode(first: u8, header: usize, mut frame: BytesMut) -> Result<Packet> {
    let name = check::NAMES[usize::from(first >> 4)];
    // The codec wants a clean start of a client without an id, which the standard does
    // not. The raw checks have found the flags where they must be.
    let mut cleans = true;
    if first == CONNECT
        && let Some(flags) = frame.get_mut(header + CONNECT_FLAGS)
    {
        cleans = *flags & CLEAN_START != 0;
        *flags |= CLEAN_START;
    }
    let packet =
        match Codec::new(0, 0).decode(&mut frame).map_err(|error| malformed(name, error))? {
            Some((packet, _)) => ours(name, packet)?,
            None => return Err(Error::Malformed { packet: name, reason: "it ends too early" }),
        };
    Ok(match packet {
        Packet::Connect(mut connect) => {
            connect.clean_start = cleans;
            Packet::Connect(connect)
        }
        packet => packet,
    })
}

/// Writes a packet.
pub(super) fn encode(packet: &Packet, out: &mut BytesMut) -> Result<()> {
    Codec::new(0, 0)
        .encode(theirs(packet)?, out)
        .map_err(|error| Error::Unwritable { packet: packet.name(), reason: error.to_string() })
}

/// The codec has a type for PUBACK and PUBREC and one for PUBREL and PUBCOMP, with the
/// same fields.
macro_rules! ack_of {
    ($name:expr, $ack:expr) => {
        ack_of($name, $ack.packet_id, $ack.reason_code.into(), $ack.reason_string, $ack.properties)?
    };
}

fn ours(name: &'static str, packet: Codec5) -> Result<Packet> {
    Ok(match packet {
        Codec5::Connect(connect) => Packet::Connect(Box::new(connect_of(*connect)?)),
        Codec5::ConnectAck(answer) => Packet::ConnAck(Box::new(connack_of(*answer))),
        Codec5::Publish(message) => Packet::Publish(publish_of(*message)?),
        Codec5::PublishAck(ack) => Packet::PubAck(ack_of!(name, ack)),
        Codec5::PublishReceived(ack) => Packet::PubRec(ack_of!(name, ack)),
        Codec5::PublishRelease(ack) => Packet::PubRel(ack_of!(name, ack)),
        Codec5::PublishComplete(ack) => Packet::PubComp(ack_of!(name, ack)),
        Codec5::Subscribe(subscribe) => Packet::Subscribe(subscribe_of(subscribe)?),
        Codec5::SubscribeAck(answer) => Packet::SubAck(SubAck {
            packet_id: answer.packet_id,
            reasons: answer.status.into_iter().map(|code| ReasonCode(code.into())).collect(),
            properties: ack_properties(answer.reason_string, answer.properties),
        }),
        Codec5::Unsubscribe(unsubscribe) => {
            unsubscribe.topic_filters.iter().try_for_each(check::topic_filter)?;
            Packet::Unsubscribe(Unsubscribe {
                packet_id: unsubscribe.packet_id,
                filters: unsubscribe.topic_filters,
                user_properties: unsubscribe.user_properties,
            })
        }
        Codec5::UnsubscribeAck(answer) => Packet::UnsubAck(SubAck {
            packet_id: answer.packet_id,
            reasons: answer.status.into_iter().map(|code| ReasonCode(code.into())).collect(),
            properties: ack_properties(answer.reason_string, answer.properties),
        }),
        Codec5::PingRequest => Packet::PingReq,
        Codec5::PingResponse => Packet::PingResp,
        Codec5::Disconnect(goodbye) => {
            let properties = DisconnectProperties {
                session_expiry: goodbye.session_expiry_interval_secs,
                reason_string: goodbye.reason_string,
                server_reference: goodbye.server_reference,
                user_properties: goodbye.user_properties,
            };
            Packet::Disconnect(Disconnect {
                reason: ReasonCode(goodbye.reason_code.into()),
                properties: (properties != DisconnectProperties::default())
                    .then(|| Box::new(properties)),
            })
        }
        Codec5::Auth(step) => Packet::Auth(Box::new(Auth {
            reason: ReasonCode(step.reason_code.into()),
            method: step.auth_method,
            data: step.auth_data,
        })),
    })
}

fn connect_of(connect: codec::Connect) -> Result<Connect> {
    check::text("CONNECT", &connect.client_id)?;
    if let Some(username) = &connect.username {
        check::text("CONNECT", username)?;
    }
    if connect.auth_data.is_some() && connect.auth_method.is_none() {
        let reason = "authentication data without a method";
        return Err(Error::Protocol { packet: "CONNECT", reason });
    }
    Ok(Connect {
        version: Version::V5,
        client_id: connect.client_id,
        clean_start: connect.clean_start,
        keep_alive: connect.keep_alive,
        will: connect.last_will.map(will_of).transpose()?,
        username: connect.username,
        password: connect.password,
        properties: ConnectProperties {
            session_expiry: connect.session_expiry_interval_secs,
            receive_maximum: connect.receive_max,
            maximum_packet_size: connect.max_packet_size,
            topic_alias_maximum: connect.topic_alias_max,
            request_problem_information: connect.request_problem_info,
            request_response_information: connect.request_response_info,
            authentication_method: connect.auth_method,
            authentication_data: connect.auth_data,
            user_properties: connect.user_properties,
        },
    })
}

fn will_of(will: codec::LastWill) -> Result<Will> {
    check::topic_name(&will.topic)?;
    if let Some(response) = &will.response_topic {
        check::topic_name(response)?;
    }
    let properties = PublishProperties {
        payload_is_utf8: will.is_utf8_payload.unwrap_or(false),
        message_expiry: will.message_expiry_interval,
        content_type: will.content_type,
        response_topic: will.response_topic,
        correlation_data: will.correlation_data,
        user_properties: will.user_properties,
        topic_alias: None,
        subscription_ids: Vec::new(),
    };
    Ok(Will {
        topic: will.topic,
        payload: will.message,
        qos: qos(will.qos),
        retain: will.retain,
        delay: will.will_delay_interval_sec.unwrap_or(0),
        properties: boxed(properties),
    })
}

fn connack_of(answer: codec::ConnectAck) -> ConnAck {
    ConnAck {
        session_present: answer.session_present,
        reason: ReasonCode(answer.reason_code.into()),
        properties: ConnAckProperties {
            session_expiry: answer.session_expiry_interval_secs,
            receive_maximum: answer.receive_max,
            maximum_qos: qos(answer.max_qos),
            retain_available: answer.retain_available,
            maximum_packet_size: answer.max_packet_size,
            assigned_client_id: answer.assigned_client_id,
            topic_alias_maximum: answer.topic_alias_max,
            wildcard_subscription_available: answer.wildcard_subscription_available,
            subscription_identifiers_available: answer.subscription_identifiers_available,
            shared_subscription_available: answer.shared_subscription_available,
            server_keep_alive: answer.server_keepalive_sec,
            reason_string: answer.reason_string,
            user_properties: answer.user_properties,
        },
    }
}

fn publish_of(message: CodecPublish) -> Result<Publish> {
    let properties = message.properties.map(|properties| PublishProperties {
        payload_is_utf8: properties.is_utf8_payload,
        message_expiry: properties.message_expiry_interval,
        content_type: properties.content_type,
        response_topic: properties.response_topic,
        correlation_data: properties.correlation_data,
        user_properties: properties.user_properties,
        topic_alias: properties.topic_alias,
        subscription_ids: properties.subscription_ids,
    });
    let has_alias = properties.as_ref().is_some_and(|each| each.topic_alias.is_some());
    if message.topic.is_empty() && !has_alias {
        let reason = "neither a topic nor a topic alias";
        return Err(Error::Protocol { packet: "PUBLISH", reason });
    }
    if !message.topic.is_empty() {
        check::topic_name(&message.topic)?;
    }
    if let Some(response) = properties.as_ref().and_then(|each| each.response_topic.as_ref()) {
        check::topic_name(response)?;
    }
    Ok(Publish {
        topic: message.topic,
        payload: message.payload,
        qos: qos(message.qos),
        retain: message.retain,
        dup: message.dup,
        packet_id: message.packet_id,
        properties: properties.and_then(boxed),
    })
}

fn subscribe_of(subscribe: codec::Subscribe) -> Result<Subscribe> {
    let filters = subscribe.topic_filters.into_iter().map(|(filter, options)| {
        check::topic_filter(&filter)?;
        if options.no_local && filter.starts_with("$share/") {
            let reason = "no local on a shared subscription";
            return Err(Error::Protocol { packet: "SUBSCRIBE", reason });
        }
        Ok(Subscription {
            filter,
            qos: qos(options.qos),
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            retain_handling: match options.retain_handling {
                codec::RetainHandling::AtSubscribe => RetainHandling::Send,
                codec::RetainHandling::AtSubscribeNew => RetainHandling::SendIfNew,
                codec::RetainHandling::NoAtSubscribe => RetainHandling::DoNotSend,
            },
        })
    });
    Ok(Subscribe {
        packet_id: subscribe.packet_id,
        filters: filters.collect::<Result<_>>()?,
        subscription_id: subscribe.id,
        user_properties: subscribe.user_properties,
    })
}

fn ack_of(
    name: &'static str,
    packet_id: PacketId,
    reason: u8,
    reason_string: Option<Text>,
    user_properties: UserProperties,
) -> Result<Ack> {
    if let Some(text) = &reason_string {
        check::text(name, text)?;
    }
    let properties = ack_properties(reason_string, user_properties);
    Ok(Ack { packet_id, reason: ReasonCode(reason), properties })
}

fn ack_properties(
    reason_string: Option<Text>,
    user_properties: UserProperties,
) -> Option<Box<AckProperties>> {
    let properties = AckProperties { reason_string, user_properties };
    (properties != AckProperties::default()).then(|| Box::new(properties))
}

fn boxed(properties: PublishProperties) -> Option<Box<PublishProperties>> {
    (properties != PublishProperties::default()).then(|| Box::new(properties))
}

fn theirs(packet: &Packet) -> Result<Codec5> {
    Ok(match packet {
        Packet::Connect(connect) => Codec5::from(codec_connect(connect)),
        Packet::ConnAck(answer) => Codec5::from(codec_connack(answer)?),
        Packet::Publish(message) => Codec5::from(CodecPublish {
            dup: message.dup,
            retain: message.retain,
            qos: codec_qos(message.qos),
            topic: message.topic.clone(),
            packet_id: message.packet_id,
            payload: message.payload.clone(),
            properties: message.properties.as_deref().map(codec_publish_properties),
        }),
        Packet::PubAck(ack) => Codec5::PublishAck(codec_ack(packet, ack)?),
        Packet::PubRec(ack) => Codec5::PublishReceived(codec_ack(packet, ack)?),
        Packet::PubRel(ack) => Codec5::PublishRelease(codec_ack2(packet, ack)?),
        Packet::PubComp(ack) => Codec5::PublishComplete(codec_ack2(packet, ack)?),
        Packet::Subscribe(subscribe) => Codec5::Subscribe(codec::Subscribe {
            packet_id: subscribe.packet_id,
            id: subscribe.subscription_id,
            user_properties: subscribe.user_properties.clone(),
            topic_filters: subscribe.filters.iter().map(codec_subscription).collect(),
        }),
        Packet::SubAck(answer) => {
            let (reason_string, properties) = codec_properties(&answer.properties);
            Codec5::SubscribeAck(codec::SubscribeAck {
                packet_id: answer.packet_id,
                properties,
                reason_string,
                status: codes(packet, &answer.reasons)?,
            })
        }
        Packet::Unsubscribe(unsubscribe) => Codec5::Unsubscribe(codec::Unsubscribe {
            packet_id: unsubscribe.packet_id,
            user_properties: unsubscribe.user_properties.clone(),
            topic_filters: unsubscribe.filters.clone(),
        }),
        Packet::UnsubAck(answer) => {
            let (reason_string, properties) = codec_properties(&answer.properties);
            Codec5::UnsubscribeAck(codec::UnsubscribeAck {
                packet_id: answer.packet_id,
                properties,
                reason_string,
                status: codes(packet, &answer.reasons)?,
            })
        }
        Packet::PingReq => Codec5::PingRequest,
        Packet::PingResp => Codec5::PingResponse,
        Packet::Disconnect(goodbye) => {
            let properties = goodbye.properties.as_deref().cloned().unwrap_or_default();
            Codec5::Disconnect(codec::Disconnect {
                reason_code: code(packet, goodbye.reason)?,
                session_expiry_interval_secs: properties.session_expiry,
                server_reference: properties.server_reference,
                reason_string: properties.reason_string,
                user_properties: properties.user_properties,
            })
        }
        Packet::Auth(step) => Codec5::Auth(codec::Auth {
            reason_code: code(packet, step.reason)?,
            auth_method: step.method.clone(),
            auth_data: step.data.clone(),
            reason_string: None,
            user_properties: Vec::new(),
        }),
    })
}

fn codec_connect(connect: &Connect) -> codec::Connect {
    let properties = &connect.properties;
    codec::Connect {
        clean_start: connect.clean_start,
        keep_alive: connect.keep_alive,
        session_expiry_interval_secs: properties.session_expiry,
        auth_method: properties.authentication_method.clone(),
        auth_data: properties.authentication_data.clone(),
        request_problem_info: properties.request_problem_information,
        request_response_info: properties.request_response_information,
        receive_max: properties.receive_maximum,
        topic_alias_max: properties.topic_alias_maximum,
        user_properties: properties.user_properties.clone(),
        max_packet_size: properties.maximum_packet_size,
        last_will: connect.will.as_ref().map(|will| {
            let properties = will.properties.as_deref().cloned().unwrap_or_default();
            codec::LastWill {
                qos: codec_qos(will.qos),
                retain: will.retain,
                topic: will.topic.clone(),
                message: will.payload.clone(),
                will_delay_interval_sec: (will.delay > 0).then_some(will.delay),
                correlation_data: properties.correlation_data,
                message_expiry_interval: properties.message_expiry,
                content_type: properties.content_type,
                user_properties: properties.user_properties,
                is_utf8_payload: properties.payload_is_utf8.then_some(true),
                response_topic: properties.response_topic,
            }
        }),
        client_id: connect.client_id.clone(),
        username: connect.username.clone(),
        password: connect.password.clone(),
        cert: None,
    }
}

fn codec_connack(answer: &ConnAck) -> Result<codec::ConnectAck> {
    let properties = &answer.properties;
    let reason_code = codec::ConnectAckReason::try_from(answer.reason.0)
        .map_err(|_| unknown_code("CONNACK", answer.reason))?;
    Ok(codec::ConnectAck {
        session_present: answer.session_present,
        reason_code,
        session_expiry_interval_secs: properties.session_expiry,
        receive_max: properties.receive_maximum,
        max_qos: codec_qos(properties.maximum_qos),
        max_packet_size: properties.maximum_packet_size,
        assigned_client_id: properties.assigned_client_id.clone(),
        topic_alias_max: properties.topic_alias_maximum,
        retain_available: properties.retain_available,
        wildcard_subscription_available: properties.wildcard_subscription_available,
        subscription_identifiers_available: properties.subscription_identifiers_available,
        shared_subscription_available: properties.shared_subscription_available,
        server_keepalive_sec: properties.server_keep_alive,
        response_info: None,
        server_reference: None,
        auth_method: None,
        auth_data: None,
        reason_string: properties.reason_string.clone(),
        user_properties: properties.user_properties.clone(),
    })
}

fn codec_publish_properties(properties: &PublishProperties) -> codec::PublishProperties {
    codec::PublishProperties {
        topic_alias: properties.topic_alias,
        correlation_data: properties.correlation_data.clone(),
        message_expiry_interval: properties.message_expiry,
        content_type: properties.content_type.clone(),
        user_properties: properties.user_properties.clone(),
        is_utf8_payload: properties.payload_is_utf8,
        response_topic: properties.response_topic.clone(),
        subscription_ids: properties.subscription_ids.iter().map(NonZeroU32::clone).collect(),
    }
}

fn codec_subscription(each: &Subscription) -> (Text, codec::SubscriptionOptions) {
    let options = codec::SubscriptionOptions {
        qos: codec_qos(each.qos),
        no_local: each.no_local,
        retain_as_published: each.retain_as_published,
        retain_handling: match each.retain_handling {
            RetainHandling::Send => codec::RetainHandling::AtSubscribe,
            RetainHandling::SendIfNew => codec::RetainHandling::AtSubscribeNew,
            RetainHandling::DoNotSend => codec::RetainHandling::NoAtSubscribe,
        },
    };
    (each.filter.clone(), options)
}

fn codec_ack(packet: &Packet, ack: &Ack) -> Result<codec::PublishAck> {
    let (reason_string, properties) = codec_properties(&ack.properties);
    let reason_code = code(packet, ack.reason)?;
    Ok(codec::PublishAck { packet_id: ack.packet_id, reason_code, properties, reason_string })
}

fn codec_ack2(packet: &Packet, ack: &Ack) -> Result<codec::PublishAck2> {
    let (reason_string, properties) = codec_properties(&ack.properties);
    let reason_code = code(packet, ack.reason)?;
    Ok(codec::PublishAck2 { packet_id: ack.packet_id, reason_code, properties, reason_string })
}

fn codec_properties(properties: &Option<Box<AckProperties>>) -> (Option<Text>, UserProperties) {
    match properties {
        Some(properties) => (properties.reason_string.clone(), properties.user_properties.clone()),
        None => (None, Vec::new()),
    }
}

fn codes<C: TryFrom<u8>>(packet: &Packet, reasons: &[ReasonCode]) -> Result<Vec<C>> {
    reasons.iter().map(|reason| code(packet, *reason)).collect()
}

fn code<C: TryFrom<u8>>(packet: &Packet, reason: ReasonCode) -> Result<C> {
    C::try_from(reason.0).map_err(|_| unknown_code(packet.name(), reason))
}

fn unknown_code(packet: &'static str, reason: ReasonCode) -> Error {
    Error::Unwritable { packet, reason: format!("it cannot carry the reason code {reason}") }
}

const CONNECT: u8 = 0x10;
/// Where the flags of a CONNECT stand: behind `MQTT` with its length, and the level.
const CONNECT_FLAGS: usize = 7;
const CLEAN_START: u8 = 0b0000_0010;
