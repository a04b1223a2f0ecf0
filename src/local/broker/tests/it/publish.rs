//! Messages: who may publish what, and how they reach their receivers.
//!
//! One test per row of AWS's limits and of its departures from the standard.

use std::num::{NonZeroU16, NonZeroU32};

use iotstack_local_broker::Settings;
use iotstack_mqtt::wire::*;

use crate::world::*;

#[tokio::test]
async fn delivers_at_the_lower_of_both_qos() {
    let world = World::new();
    let mut publisher = world.client("publisher").await;
    for version in [Version::V311, Version::V5] {
        let mut receiver = world.connect(Connect { version, ..v311("receiver") }).await.0;
        assert_eq!(receiver.subscribe("one", QoS::AtLeastOnce).await, ReasonCode::GRANTED_QOS_1);
        assert_eq!(receiver.subscribe("zero", QoS::AtMostOnce).await, ReasonCode::SUCCESS);
        publisher.publish("one", "1").await;
        publisher.publish("zero", "2").await;
        publisher.send(Packet::Publish(Publish::new("one", "3"))).await;
        let message = receiver.take().await;
        assert_eq!((message.qos, &message.payload[..]), (QoS::AtLeastOnce, &b"1"[..]));
        let message = receiver.take().await;
        assert_eq!((message.qos, &message.payload[..]), (QoS::AtMostOnce, &b"2"[..]));
        assert_eq!(receiver.take().await.qos, QoS::AtMostOnce);
        receiver.nothing().await;
    }
}

#[tokio::test]
async fn drops_the_connection_of_3_1_1_that_publishes_without_right() {
    let world = World::new();
    let mut client = world.client("lamp").await;
    client.send(Packet::Publish(Publish::new("secret/x", "1").at_least_once(id(1)))).await;
    assert_eq!(client.closed().await, None);
    let ended = &world.heard.events("presence/disconnected")[0];
    assert_eq!(ended["disconnectReason"], "AUTH_ERROR");
    assert!(!world.heard.topics().contains(&"secret/x".to_owned()));
}

#[tokio::test]
async fn answers_0x87_to_a_client_of_mqtt_5_that_publishes_without_right() {
    let world = World::new();
    let mut client = world.client5("lamp").await;
    assert_eq!(client.publish("secret/x", "1").await, ReasonCode::NOT_AUTHORIZED);
    assert_eq!(client.retain("fleeting/x", "1").await, ReasonCode::NOT_AUTHORIZED);
    assert_eq!(client.publish("fleeting/x", "1").await, ReasonCode::SUCCESS);
    client.send(Packet::Publish(Publish::new("secret/x", "1"))).await;
    assert_eq!(client.closed().await, Some(ReasonCode::NOT_AUTHORIZED));
}

#[tokio::test]
async fn answers_no_message_of_qos_2_and_does_not_publish_it() {
    let world = World::new();
    let qos_2 = || {
        let qos = QoS::ExactlyOnce;
        Packet::Publish(Publish { qos, packet_id: Some(id(9)), ..Publish::new("a", "x") })
    };
    let mut client = world.client("old").await;
    client.send(qos_2()).await;
    client.nothing().await;
    let mut client = world.client5("new").await;
    client.send(qos_2()).await;
    assert_eq!(client.closed().await, Some(ReasonCode::QOS_NOT_SUPPORTED));
    assert!(!world.heard.topics().contains(&"a".to_owned()));
}

#[tokio::test]
async fn refuses_a_payload_of_more_than_128_kb() {
    let world = World::new();
    let mut receiver = world.client("receiver").await;
    receiver.subscribe("a", QoS::AtMostOnce).await;
    let mut client = world.client5("new").await;
    assert_eq!(client.publish("a", &"x".repeat(131_072)).await, ReasonCode::SUCCESS);
    assert_eq!(receiver.message().await.payload.len(), 131_072);
    assert_eq!(client.publish("a", &"x".repeat(131_073)).await, ReasonCode::QUOTA_EXCEEDED);
    let mut client = world.client("old").await;
    client.send(Packet::Publish(Publish::new("a", "x".repeat(131_073)))).await;
    assert_eq!(client.closed().await, None);
    receiver.nothing().await;
}

#[tokio::test]
async fn refuses_topics_that_are_too_long_or_too_deep() {
    let world = World::new();
    let mut client = world.client5("new").await;
    let long = "x".repeat(257);
    for topic in ["1/2/3/4/5/6/7/8/9", long.as_str()] {
        assert_eq!(client.publish(topic, "").await, ReasonCode::TOPIC_NAME_INVALID);
        let mut old = world.client("old").await;
        old.send(Packet::Publish(Publish::new(topic, ""))).await;
        assert_eq!(old.closed().await, None);
    }
    assert_eq!(client.publish("1/2/3/4/5/6/7/8", "").await, ReasonCode::SUCCESS);
    assert_eq!(client.publish(&long[1..], "").await, ReasonCode::SUCCESS);
}

#[tokio::test]
async fn passes_the_properties_of_mqtt_5_on_and_counts_the_expiry_down() {
    let world = World::new();
    let (mut receiver, _) = world.connect(kept(v5("receiver"))).await;
    receiver.subscribe("a", QoS::AtLeastOnce).await;
    drop(receiver);
    eventually("the receiver is gone", || world.broker.connections() == 0).await;
    let mut publisher = world.client5("publisher").await;
    let properties = PublishProperties {
        payload_is_utf8: true,
        message_expiry: NonZeroU32::new(100),
        content_type: Some("text/plain".into()),
        response_topic: Some("answers".into()),
        correlation_data: Some("17".into()),
        user_properties: vec![("k".into(), "v".into()), ("k".into(), "w".into())],
        ..PublishProperties::default()
    };
    for expiry in [100, 5] {
        let message_expiry = NonZeroU32::new(expiry);
        let properties = Some(Box::new(PublishProperties { message_expiry, ..properties.clone() }));
        publisher.publish_message(Publish { properties, ..Publish::new("a", "x") }).await;
    }
    world.step(30);
    let (mut receiver, answer) = world.connect(kept(v5("receiver"))).await;
    assert!(answer.session_present);
    let message = receiver.take().await;
    let received = message.properties.unwrap();
    assert_eq!(received.message_expiry, NonZeroU32::new(70));
    assert_eq!(
        *received,
        PublishProperties { message_expiry: received.message_expiry, ..properties }
    );
    receiver.nothing().await;
}

#[tokio::test]
async fn refuses_properties_beyond_the_limits_of_aws() {
    let world = World::new();
    let mut client = world.client5("lamp").await;
    let many = vec![(Text::from("k"), Text::from("x".repeat(8192)))];
    let cases = [
        PublishProperties { user_properties: many, ..PublishProperties::default() },
        PublishProperties {
            content_type: Some("x".repeat(257).into()),
            ..PublishProperties::default()
        },
        PublishProperties {
            correlation_data: Some(vec![0; 8193].into()),
            ..PublishProperties::default()
        },
        PublishProperties {
            message_expiry: NonZeroU32::new(604_801),
            ..PublishProperties::default()
        },
    ];
    for properties in cases {
        let properties = Some(Box::new(properties));
        let message = Publish { properties, ..Publish::new("a", "x") };
        assert_eq!(client.publish_message(message).await, ReasonCode::QUOTA_EXCEEDED);
    }
}

#[tokio::test]
async fn understands_topic_aliases_and_uses_its_own() {
    let world = World::new();
    let mut connect = v5("receiver");
    connect.properties.topic_alias_maximum = 1;
    let (mut receiver, _) = world.connect(connect).await;
    receiver.subscribe("#", QoS::AtMostOnce).await;
    let mut publisher = world.client5("publisher").await;
    let aliased = |topic: &str, alias: u16| {
        let properties = PublishProperties {
            topic_alias: NonZeroU16::new(alias),
            ..PublishProperties::default()
        };
        Publish { properties: Some(Box::new(properties)), ..Publish::new(topic, "x") }
    };
    assert_eq!(publisher.publish_message(aliased("a/b", 8)).await, ReasonCode::SUCCESS);
    assert_eq!(publisher.publish_message(aliased("", 8)).await, ReasonCode::SUCCESS);
    publisher.publish("c", "x").await;
    let alias = |message: Publish| {
        (message.topic.to_string(), message.properties.and_then(|each| each.topic_alias))
    };
    let one = NonZeroU16::new(1);
    assert_eq!(alias(receiver.message().await), ("a/b".to_owned(), one));
    assert_eq!(alias(receiver.message().await), (String::new(), one));
    assert_eq!(alias(receiver.message().await), ("c".to_owned(), None));
    publisher.send(Packet::Publish(aliased("", 3))).await;
    assert_eq!(publisher.closed().await, Some(ReasonCode::TOPIC_ALIAS_INVALID));
    let mut publisher = world.client5("publisher").await;
    publisher.send(Packet::Publish(aliased("a", 9))).await;
    assert_eq!(publisher.closed().await, Some(ReasonCode::TOPIC_ALIAS_INVALID));
}

#[tokio::test]
async fn sends_no_more_than_the_client_takes_unacknowledged() {
    let world = World::new();
    let mut publisher = world.client("publisher").await;
    let mut narrow = v5("narrow");
    narrow.properties.receive_maximum = NonZeroU16::new(3);
    let mut generous = v5("generous");
    generous.properties.receive_maximum = NonZeroU16::new(500);
    for (connect, window) in [(narrow, 3), (v311("default"), 100), (generous, 100)] {
        let (mut receiver, _) = world.connect(connect).await;
        receiver.subscribe("a", QoS::AtLeastOnce).await;
        for number in 0..window + 2 {
            publisher.publish("a", &number.to_string()).await;
        }
        let mut ids = Vec::new();
        for _ in 0..window {
            ids.push(receiver.message().await.packet_id.unwrap());
        }
        receiver.nothing().await;
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), window, "every message has an id of its own");
        receiver.send(Packet::PubAck(Ack::success(ids[0]))).await;
        assert_eq!(receiver.take().await.payload, window.to_string());
        assert_eq!(receiver.take().await.payload, (window + 1).to_string());
        receiver.nothing().await;
        receiver.disconnect().await;
    }
}

#[tokio::test]
async fn gives_up_on_a_message_that_is_never_acknowledged() {
    let world = World::new();
    let mut publisher = world.client("publisher").await;
    let mut connect = v5("slow");
    connect.properties.receive_maximum = NonZeroU16::new(1);
    connect.keep_alive = 1200;
    let (mut slow, _) = world.connect(connect).await;
    slow.subscribe("a", QoS::AtLeastOnce).await;
    publisher.publish("a", "1").await;
    publisher.publish("a", "2").await;
    assert_eq!(&slow.message().await.payload[..], b"1");
    slow.nothing().await;
    world.step(961);
    slow.send(Packet::PingReq).await;
    assert_eq!(slow.receive().await, Packet::PingResp);
    assert_eq!(&slow.message().await.payload[..], b"2");
}

#[tokio::test]
async fn sends_again_under_another_packet_id_what_is_not_acknowledged() {
    let world = World::new();
    let mut publisher = world.client("publisher").await;
    let mut slow = world.connect(Connect { keep_alive: 1200, ..v311("slow") }).await.0;
    slow.subscribe("a", QoS::AtLeastOnce).await;
    publisher.publish("a", "1").await;
    publisher.publish("a", "2").await;
    let first = slow.message().await;
    slow.take().await;
    slow.nothing().await;
    world.step(61);
    slow.send(Packet::PingReq).await;
    assert_eq!(slow.receive().await, Packet::PingResp);
    let again = slow.take().await;
    assert_eq!((&again.payload[..], again.dup), (&b"1"[..], false));
    assert_ne!(again.packet_id, first.packet_id);
    world.step(61);
    slow.nothing().await;
}

#[tokio::test]
async fn discards_what_is_above_the_rate_if_a_rate_is_set() {
    let world = World::with(Settings { publishes_per_second: Some(2), ..Settings::default() });
    let mut client = world.client5("fast").await;
    assert_eq!(client.publish("a", "1").await, ReasonCode::SUCCESS);
    assert_eq!(client.publish("a", "2").await, ReasonCode::SUCCESS);
    assert_eq!(client.publish("a", "3").await, ReasonCode::QUOTA_EXCEEDED);
    world.step(1);
    assert_eq!(client.publish("a", "4").await, ReasonCode::SUCCESS);
    assert_eq!(world.heard.topics().iter().filter(|topic| *topic == "a").count(), 3);
}

#[tokio::test]
async fn retains_one_message_of_a_topic_per_second_under_the_limits_of_aws() {
    let world = World::with(Settings::default().with_aws_limits());
    let mut client = world.client5("fast").await;
    let mut other = world.client5("other").await;
    assert_eq!(client.retain("a", "1").await, ReasonCode::SUCCESS);
    assert_eq!(other.retain("a", "2").await, ReasonCode::QUOTA_EXCEEDED);
    assert_eq!(client.publish("a", "3").await, ReasonCode::SUCCESS);
    assert_eq!(client.retain("b", "4").await, ReasonCode::SUCCESS);
    let kept = world.cloud.ports.messages().unwrap().retained("a").unwrap();
    assert_eq!(&kept.payload[..], b"1");
    world.step(1);
    assert_eq!(client.retain("a", "5").await, ReasonCode::SUCCESS);
}

#[tokio::test]
async fn takes_a_hundred_messages_per_second_under_the_limits_of_aws() {
    let world = World::with(Settings::default().with_aws_limits());
    let mut client = world.client5("fast").await;
    for _ in 0..100 {
        assert_eq!(client.publish("a", "x").await, ReasonCode::SUCCESS);
    }
    assert_eq!(client.publish("a", "x").await, ReasonCode::QUOTA_EXCEEDED);
}

#[tokio::test]
async fn does_not_deliver_what_the_receiver_may_not_receive() {
    let world = World::new();
    let mut receiver = world.client("receiver").await;
    receiver.subscribe("#", QoS::AtLeastOnce).await;
    let mut publisher = world.client("publisher").await;
    publisher.publish("hidden/a", "1").await;
    publisher.publish("open/a", "2").await;
    assert_eq!(&*receiver.take().await.topic, "open/a");
    receiver.nothing().await;
}

#[tokio::test]
async fn delivers_ten_thousand_messages_in_order() {
    let world = World::new();
    let mut receiver = world.client("receiver").await;
    receiver.subscribe("a/+", QoS::AtLeastOnce).await;
    let mut publisher = world.client("publisher").await;
    let count = 10_000;
    let publishing = tokio::spawn(async move {
        let mut acknowledged = 0;
        for number in 0..count {
            let id = id(number % 60_000 + 1);
            let message = Publish::new("a/b", number.to_string()).at_least_once(id);
            publisher.send(Packet::Publish(message)).await;
            if number % 50 == 49 {
                while acknowledged <= number {
                    assert!(matches!(publisher.receive().await, Packet::PubAck(_)));
                    acknowledged += 1;
                }
            }
        }
    });
    for number in 0..count {
        assert_eq!(receiver.take().await.payload, number.to_string());
    }
    publishing.await.unwrap();
}
