//! Feeds spoilt packets to the reader for as long as one likes.
//!
//! `cargo run --release -p iotstack-mqtt --example fuzz -- [seconds] [seed]` begins
//! with good packets of both versions, spoils a few bytes, and keeps what is still read
//! as a packet to be spoilt again. It ends with a panic at the first fault, naming the
//! seed; the way in, [`iotstack_mqtt::wire::fuzz`], fits any other fuzzer as well.

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use iotstack_mqtt::wire::{
    self, Ack, AckProperties, ConnAck, Connect, Disconnect, Packet, PacketId, Publish,
    PublishProperties, QoS, ReasonCode, SubAck, Subscribe, Subscription, Unsubscribe, Version,
    Will,
};

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|each| each.parse::<u64>().ok());
    let seconds = Duration::from_secs(arguments.next().unwrap_or(60));
    let seed = arguments.next().unwrap_or(1);
    let mut dice = Dice(seed);
    let mut corpus = good();
    let (began, mut tried, mut read) = (Instant::now(), 0u64, 0u64);
    while began.elapsed() < seconds {
        for _ in 0..10_000 {
            let mut bytes = corpus[dice.below(corpus.len())].clone();
            for _ in 0..=dice.below(4) {
                spoil(&mut bytes, &mut dice);
            }
            if dice.below(4) > 0 && (2..130).contains(&bytes.len()) {
                // Most spoilt packets would fail at their length already.
                bytes[1] = (bytes.len() - 2) as u8;
            }
            wire::fuzz(&bytes);
            tried += 1;
            let is_packet = [Version::V311, Version::V5]
                .iter()
                .any(|version| wire::decode(BytesMut::from(&bytes[..]), *version).is_ok());
            if is_packet {
                read += 1;
                if corpus.len() < 4_000 {
                    corpus.push(bytes);
                } else {
                    let place = dice.below(corpus.len());
                    corpus[place] = bytes;
                }
            }
        }
    }
    println!("seed {seed}: {tried} spoilt packets, {read} of them read, no fault");
}

fn spoil(bytes: &mut Vec<u8>, dice: &mut Dice) {
    if bytes.is_empty() {
        bytes.push(dice.byte());
        return;
    }
    let place = dice.below(bytes.len());
    match dice.below(5) {
        0 => bytes[place] = dice.byte(),
        1 => bytes[place] ^= 1 << dice.below(8),
        2 => bytes.insert(place, dice.byte()),
        3 => drop(bytes.remove(place)),
        _ => bytes.truncate(place + 1),
    }
}

/// Good packets of both versions.
fn good() -> Vec<Vec<u8>> {
    let id = PacketId::MIN;
    let user = vec![("name".into(), "value".into())];
    let properties = Some(Box::new(PublishProperties {
        payload_is_utf8: true,
        message_expiry: std::num::NonZeroU32::new(7),
        content_type: Some("text".into()),
        response_topic: Some("answer".into()),
        correlation_data: Some("17".into()),
        user_properties: user.clone(),
        topic_alias: NonZeroU16::new(2),
        subscription_ids: Vec::new(),
    }));
    let reasons = Some(Box::new(AckProperties {
        reason_string: Some("because".into()),
        user_properties: user.clone(),
    }));
    let will = Will {
        topic: "gone".into(),
        payload: "x".into(),
        qos: QoS::AtLeastOnce,
        delay: 3,
        properties: properties.clone(),
        ..Will::default()
    };
    let mut all = Vec::new();
    for version in [Version::V311, Version::V5] {
        let packets = [
            Packet::Connect(Box::new(Connect {
                version,
                client_id: "lamp".into(),
                clean_start: true,
                will: Some(will.clone()),
                username: Some("user".into()),
                password: Some("word".into()),
                ..Connect::default()
            })),
            Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::SUCCESS, true))),
            Packet::Publish(Publish { properties: properties.clone(), ..Publish::new("a/b", "x") }),
            Packet::Publish(Publish::new("a", "x").at_least_once(id)),
            Packet::PubAck(Ack { properties: reasons.clone(), ..Ack::success(id) }),
            Packet::PubRel(Ack::success(id)),
            Packet::Subscribe(Subscribe {
                packet_id: id,
                filters: vec![
                    Subscription::new("a/+/#", QoS::AtLeastOnce),
                    Subscription::new("$share/g/b", QoS::AtMostOnce),
                ],
                subscription_id: None,
                user_properties: user.clone(),
            }),
            Packet::SubAck(SubAck {
                packet_id: id,
                reasons: vec![ReasonCode::GRANTED_QOS_1],
                properties: reasons.clone(),
            }),
            Packet::Unsubscribe(Unsubscribe {
                packet_id: id,
                filters: vec!["a/b".into()],
                user_properties: user.clone(),
            }),
            Packet::PingReq,
            Packet::Disconnect(Disconnect::new(ReasonCode::SUCCESS)),
        ];
        for packet in packets {
            let mut bytes = BytesMut::new();
            if wire::encode(&packet, version, wire::LARGEST_PACKET, &mut bytes).is_ok() {
                all.push(bytes.to_vec());
            }
        }
    }
    all
}

/// Numbers that look random and follow from the seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}
