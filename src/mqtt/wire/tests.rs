//! Packets there and back, and what must be refused.
//!
//! Spoilt packets are tried at random, with the fuzzer's own way in.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;

const BOTH: [Version; 2] = [Version::V311, Version::V5];

fn id(number: u16) -> PacketId {
    NonZeroU16::new(number).unwrap()
}

fn there_and_back(packet: &Packet, version: Version) -> Packet {
    let mut bytes = BytesMut::new();
    encode(packet, version, LARGEST_PACKET, &mut bytes).unwrap();
    decode(bytes, version).unwrap()
}

fn refused(bytes: &[u8], version: Version) -> Error {
    decode(BytesMut::from(bytes), version).expect_err("the packet was accepted")
}

fn common_packets() -> Vec<Packet> {
    let message = Publish::new("lamp/1/state", &b"on"[..]);
    vec![
        Packet::Publish(message.clone()),
        Packet::Publish(message.clone().at_least_once(id(7))),
        Packet::Publish(Publish { dup: true, retain: true, ..message.at_least_once(id(8)) }),
        Packet::PubAck(Ack::success(id(7))),
        Packet::PubRec(Ack::success(id(9))),
        Packet::PubRel(Ack::success(id(9))),
        Packet::PubComp(Ack::success(id(9))),
        Packet::Subscribe(Subscribe {
            packet_id: id(1),
            filters: vec![
                Subscription::new("a/+/b", QoS::AtLeastOnce),
                Subscription::new("$share/group/c/#", QoS::AtMostOnce),
            ],
            subscription_id: None,
            user_properties: Vec::new(),
        }),
        Packet::SubAck(SubAck {
            packet_id: id(1),
            reasons: vec![ReasonCode::GRANTED_QOS_1, ReasonCode::UNSPECIFIED_ERROR],
            properties: None,
        }),
        Packet::Unsubscribe(Unsubscribe {
            packet_id: id(2),
            filters: vec!["a/+/b".into()],
            user_properties: Vec::new(),
        }),
        Packet::PingReq,
        Packet::PingResp,
        Packet::Disconnect(Disconnect::new(ReasonCode::SUCCESS)),
        Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::SUCCESS, true))),
        Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::NOT_AUTHORIZED, false))),
    ]
}

fn connect(version: Version) -> Connect {
    Connect {
        version,
        client_id: "lamp-1".into(),
        clean_start: true,
        keep_alive: 60,
        will: Some(Will {
            topic: "lamp/1/gone".into(),
            payload: Bytes::from_static(b"bye"),
            qos: QoS::AtLeastOnce,
            retain: true,
            ..Will::default()
        }),
        username: Some("user".into()),
        password: Some(Bytes::from_static(b"secret")),
        properties: ConnectProperties::default(),
    }
}

#[test]
fn every_packet_comes_back_as_it_went() {
    for version in BOTH {
        for packet in common_packets() {
            assert_eq!(there_and_back(&packet, version), packet);
        }
        let packet = Packet::Connect(Box::new(connect(version)));
        assert_eq!(there_and_back(&packet, version), packet);
    }
}

#[test]
fn a_client_of_mqtt_5_may_keep_a_session_under_an_id_to_come() {
    for clean_start in [false, true] {
        let anonymous = Connect { client_id: "".into(), clean_start, ..connect(Version::V5) };
        let packet = Packet::Connect(Box::new(anonymous));
        assert_eq!(there_and_back(&packet, Version::V5), packet);
    }
}

#[test]
fn mqtt_5_properties_come_back_as_they_went() {
    let user = vec![("name".into(), "value".into())];
    let properties = PublishProperties {
        payload_is_utf8: true,
        message_expiry: NonZeroU32::new(30),
        content_type: Some("application/json".into()),
        response_topic: Some("lamp/1/answers".into()),
        correlation_data: Some(Bytes::from_static(b"17")),
        user_properties: user.clone(),
        topic_alias: NonZeroU16::new(3),
        subscription_ids: vec![NonZeroU32::new(300).unwrap()],
    };
    let without_topic =
        Publish { properties: Some(Box::new(properties.clone())), ..Publish::new("", &b"on"[..]) };
    let mut asking = connect(Version::V5);
    asking.properties = ConnectProperties {
        session_expiry: 3600,
        receive_maximum: NonZeroU16::new(10),
        maximum_packet_size: NonZeroU32::new(1024),
        topic_alias_maximum: 8,
        request_problem_information: false,
        request_response_information: true,
        authentication_method: Some("method".into()),
        authentication_data: Some(Bytes::from_static(b"data")),
        user_properties: user.clone(),
    };
    asking.will.as_mut().unwrap().delay = 5;
    asking.will.as_mut().unwrap().properties = Some(Box::new(PublishProperties {
        topic_alias: None,
        subscription_ids: Vec::new(),
        ..properties
    }));
    let mut answer = ConnAck::new(ReasonCode::SUCCESS, false);
    answer.properties = ConnAckProperties {
        session_expiry: Some(60),
        receive_maximum: id(100),
        maximum_qos: QoS::AtLeastOnce,
        retain_available: true,
        maximum_packet_size: Some(149_504),
        assigned_client_id: Some("chosen".into()),
        topic_alias_maximum: 8,
        wildcard_subscription_available: true,
        subscription_identifiers_available: false,
        shared_subscription_available: true,
        server_keep_alive: Some(1200),
        reason_string: Some("welcome".into()),
        user_properties: user.clone(),
    };
    let reasons = Some(Box::new(AckProperties {
        reason_string: Some("no policy allows it".into()),
        user_properties: user.clone(),
    }));
    let packets = [
        Packet::Publish(without_topic),
        Packet::Connect(Box::new(asking)),
        Packet::ConnAck(Box::new(answer)),
        Packet::PubAck(Ack {
            packet_id: id(1),
            reason: ReasonCode::NOT_AUTHORIZED,
            properties: reasons.clone(),
        }),
        Packet::UnsubAck(SubAck {
            packet_id: id(1),
            reasons: vec![ReasonCode::SUCCESS, ReasonCode::NO_SUBSCRIPTION_EXISTED],
            properties: reasons,
        }),
        Packet::Subscribe(Subscribe {
            packet_id: id(1),
            filters: vec![Subscription {
                filter: "a/#".into(),
                qos: QoS::AtLeastOnce,
                no_local: true,
                retain_as_published: true,
                retain_handling: RetainHandling::SendIfNew,
            }],
            subscription_id: NonZeroU32::new(5),
            user_properties: user.clone(),
        }),
        Packet::Disconnect(Disconnect {
            reason: ReasonCode::DISCONNECT_WITH_WILL,
            properties: Some(Box::new(DisconnectProperties {
                session_expiry: Some(0),
                reason_string: Some("going".into()),
                server_reference: None,
                user_properties: user,
            })),
        }),
        Packet::Auth(Box::new(Auth {
            reason: ReasonCode(0x18),
            method: Some("m".into()),
            data: Some(Bytes::from_static(b"d")),
        })),
    ];
    for packet in packets {
        assert_eq!(there_and_back(&packet, Version::V5), packet);
    }
}

#[test]
fn writes_the_code_seven_of_aws_into_a_connack_of_3_1_1() {
    let mut bytes = BytesMut::new();
    let refusal = ConnAck::new(ReasonCode::AWS_NOT_AUTHORIZED_V311, false);
    encode(&Packet::ConnAck(Box::new(refusal)), Version::V311, 100, &mut bytes).unwrap();
    assert_eq!(&bytes[..], [0x20, 2, 0, 7]);
}

#[test]
fn refuses_what_the_codec_lets_through() {
    let cases: &[(&str, &[u8])] = &[
        ("a wildcard in a topic name", b"\x30\x05\x00\x03a/#"),
        ("a plus in a topic name", b"\x30\x05\x00\x03a/+"),
        ("NUL in a topic name", b"\x30\x05\x00\x03a\0b"),
        ("a hash in the middle of a filter", b"\x82\x0a\x00\x01\x00\x05a/#/b\x00"),
        ("a plus within a level", b"\x82\x07\x00\x01\x00\x02a+\x00"),
        ("a PINGREQ of one byte", b"\xc0\x01\x00"),
        ("a PINGRESP of one byte", b"\xd0\x01\x00"),
        ("a goodbye with a body", b"\xe0\x01\x00"),
        ("reserved bits in a SUBSCRIBE", b"\x82\x06\x00\x01\x00\x01a\x40"),
        ("the wrong flags of a SUBSCRIBE", b"\x80\x06\x00\x01\x00\x01a\x00"),
        ("the wrong flags of a PUBREL", b"\x60\x02\x00\x01"),
        ("dup at qos 0", b"\x38\x03\x00\x01a"),
        ("qos 3", b"\x36\x05\x00\x01a\x00\x01"),
        ("packet id 0", b"\x32\x05\x00\x01a\x00\x00"),
        ("bytes behind a CONNECT", b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x00\x00"),
        ("a will qos of 3", b"\x10\x0c\x00\x04MQTT\x04\x1e\x00\x00\x00\x00"),
        ("the reserved flag of a CONNECT", b"\x10\x0c\x00\x04MQTT\x04\x03\x00\x00\x00\x00"),
        ("a password without a user", b"\x10\x0f\x00\x04MQTT\x04\x42\x00\x00\x00\x00\x00\x01x"),
        ("an empty id that wants a session", b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x00\x00\x00"),
        ("NUL in a client id", b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02a\0"),
        ("MQTT 3.1", b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00"),
        ("another protocol", b"\x10\x0c\x00\x04HTTP\x04\x02\x00\x00\x00\x00"),
        ("AUTH in 3.1.1", b"\xf0\x00"),
        ("packet type 0", b"\x00\x00"),
        ("a topic that is not UTF-8", b"\x30\x03\x00\x01\xff"),
        ("a topic longer than the packet", b"\x30\x03\x00\x09a"),
        ("no filters", b"\x82\x02\x00\x01"),
        ("a share without a filter", b"\x82\x0d\x00\x01\x00\x08$share/g\x00"),
        ("nothing", b""),
    ];
    for (what, bytes) in cases {
        let error = refused(bytes, Version::V311);
        assert!(error.reason_code().is_failure(), "{what}: {error}");
    }
}

#[test]
fn refuses_what_only_mqtt_5_can_get_wrong() {
    let cases: &[(&str, &[u8], ReasonCode)] = &[
        ("no topic and no alias", b"\x30\x03\x00\x00\x00", ReasonCode::PROTOCOL_ERROR),
        ("alias 0", b"\x30\x06\x00\x00\x03\x23\x00\x00", ReasonCode::MALFORMED_PACKET),
        (
            "a property twice",
            b"\x30\x08\x00\x01a\x04\x01\x01\x01\x01",
            ReasonCode::MALFORMED_PACKET,
        ),
        (
            "no local on a shared subscription",
            b"\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04",
            ReasonCode::PROTOCOL_ERROR,
        ),
        (
            "a bad filter",
            b"\x82\x0b\x00\x01\x00\x00\x05a/#/b\x00",
            ReasonCode::TOPIC_FILTER_INVALID,
        ),
        ("a bad topic", b"\x30\x06\x00\x03a/+\x00", ReasonCode::TOPIC_NAME_INVALID),
    ];
    for (what, bytes, code) in cases {
        assert_eq!(refused(bytes, Version::V5).reason_code(), *code, "{what}");
    }
}

#[test]
fn leaves_the_buffer_as_it_was_when_a_packet_is_too_large() {
    let mut bytes = BytesMut::from(&b"before"[..]);
    let packet = Packet::Publish(Publish::new("a", vec![0; 100]));
    for version in BOTH {
        let error = encode(&packet, version, 64, &mut bytes).unwrap_err();
        assert_eq!(error.reason_code(), ReasonCode::PACKET_TOO_LARGE);
        assert_eq!(&bytes[..], b"before");
    }
}

#[test]
fn cannot_answer_with_a_code_that_the_packet_does_not_know() {
    let mut bytes = BytesMut::new();
    let packet = Packet::PubAck(Ack::new(id(1), ReasonCode::SESSION_TAKEN_OVER));
    let error = encode(&packet, Version::V5, 100, &mut bytes).unwrap_err();
    assert!(error.to_string().contains("0x8E"), "{error}");
}

#[test]
fn shows_no_secret_in_debug_output() {
    let packets = [
        Packet::Connect(Box::new(connect(Version::V5))),
        Packet::Publish(Publish::new("a", &b"secret"[..])),
    ];
    for packet in packets {
        let shown = format!("{packet:?}");
        assert!(!shown.contains("secret") && !shown.contains("bye"), "{shown}");
        assert!(!shown.contains("115, 101"), "{shown}");
    }
}

#[tokio::test]
async fn reads_packets_however_the_bytes_come() {
    let packets = common_packets();
    let mut bytes = BytesMut::new();
    for packet in &packets {
        encode(packet, Version::V311, LARGEST_PACKET, &mut bytes).unwrap();
    }
    for piece in [1, 2, 3, 7, 64, bytes.len()] {
        let (mut near, mut far) = tokio::io::duplex(piece);
        let all = bytes.clone();
        let sending = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut far, &all).await.unwrap();
        });
        let mut reader = Reader::new();
        for packet in &packets {
            let read = reader.read(&mut near, Version::V311, 1000).await.unwrap();
            assert_eq!(read.as_ref(), Some(packet));
        }
        assert_eq!(reader.read(&mut near, Version::V311, 1000).await.unwrap(), None);
        assert!(!reader.has_left_over());
        sending.await.unwrap();
    }
}

#[tokio::test]
async fn refuses_a_large_packet_before_it_has_come() {
    let (mut near, mut far) = tokio::io::duplex(64);
    tokio::io::AsyncWriteExt::write_all(&mut far, b"\x30\xff\xff\xff\x7f").await.unwrap();
    let error = Reader::new().read(&mut near, Version::V311, 131_072).await.unwrap_err();
    assert_eq!(error.reason_code(), ReasonCode::PACKET_TOO_LARGE);
}

#[tokio::test]
async fn tells_a_broken_packet_from_the_end() {
    let (mut near, mut far) = tokio::io::duplex(64);
    tokio::io::AsyncWriteExt::write_all(&mut far, b"\x30\x05\x00").await.unwrap();
    drop(far);
    let error = Reader::new().read(&mut near, Version::V311, 1000).await.unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error}");
}

#[tokio::test]
async fn writes_what_was_pushed_in_order_through_a_narrow_stream() {
    let (mut near, mut far) = tokio::io::duplex(5);
    let packets = common_packets();
    let sent = packets.clone();
    let sending = tokio::spawn(async move {
        let mut writer = Writer::new();
        for packet in &sent {
            writer.push(packet, Version::V5, 1000).unwrap();
        }
        assert!(!writer.is_empty());
        writer.flush(&mut near).await.unwrap();
        assert!(writer.is_empty());
    });
    let mut reader = Reader::new();
    for packet in &packets {
        let read = reader.read(&mut far, Version::V5, 1000).await.unwrap();
        assert_eq!(read.as_ref(), Some(packet));
    }
    sending.await.unwrap();
}

/// Packets of both versions as bytes, to be spoilt.
fn good_bytes() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for version in BOTH {
        let mut packets = common_packets();
        packets.push(Packet::Connect(Box::new(connect(version))));
        for packet in packets {
            let mut bytes = BytesMut::new();
            encode(&packet, version, LARGEST_PACKET, &mut bytes).unwrap();
            all.push(bytes.to_vec());
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn survives_arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz(&bytes);
    }

    #[test]
    fn survives_spoilt_packets(
        which in any::<prop::sample::Index>(),
        spoils in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        keeps_length in any::<bool>(),
    ) {
        let good = good_bytes();
        let mut bytes = which.get(&good).clone();
        for (place, byte) in spoils {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if !keeps_length {
            bytes.truncate(cut.index(bytes.len()) + 1);
        } else if bytes.len() - 2 < 128 {
            bytes[1] = (bytes.len() - 2) as u8;
        }
        fuzz(&bytes);
    }
}
