//! The switch for interoperability suites: the standard instead of AWS IoT.
//!
//! Each test shows a rule that does not hold without the switch.

use iotstack_mqtt::wire::*;

use crate::world::*;

#[tokio::test]
async fn a_hash_matches_its_parent() {
    let world = World::standard();
    let mut client = world.client("lamp").await;
    client.subscribe("sensor/#", QoS::AtMostOnce).await;
    world.client("publisher").await.publish("sensor", "x").await;
    assert_eq!(&*client.message().await.topic, "sensor");
}

#[tokio::test]
async fn wildcards_get_retained_messages() {
    let world = World::standard();
    let mut client = world.client("lamp").await;
    for topic in ["a", "a/b", "a/c/d", "b"] {
        client.retain(topic, "x").await;
    }
    client.subscribe("a/#", QoS::AtMostOnce).await;
    for expected in ["a", "a/b", "a/c/d"] {
        assert_eq!(&*client.message().await.topic, expected);
    }
    client.nothing().await;
}

#[tokio::test]
async fn delivers_exactly_once_at_qos_2() {
    let world = World::standard();
    for version in [Version::V311, Version::V5] {
        let mut client = world.connect(Connect { version, ..v311("lamp") }).await.0;
        assert_eq!(client.subscribe("a", QoS::ExactlyOnce).await, ReasonCode::GRANTED_QOS_2);
        let message = |dup| Publish {
            qos: QoS::ExactlyOnce,
            packet_id: Some(id(40)),
            dup,
            ..Publish::new("a", "x")
        };
        let mut other = world.client("other").await;
        for dup in [false, true] {
            other.send(Packet::Publish(message(dup))).await;
            assert_eq!(other.receive().await, Packet::PubRec(Ack::success(id(40))));
        }
        other.send(Packet::PubRel(Ack::success(id(40)))).await;
        assert_eq!(other.receive().await, Packet::PubComp(Ack::success(id(40))));
        let message = client.message().await;
        assert_eq!((message.qos, message.dup), (QoS::ExactlyOnce, false));
        let received = message.packet_id.unwrap();
        client.send(Packet::PubRec(Ack::success(received))).await;
        assert_eq!(client.receive().await, Packet::PubRel(Ack::success(received)));
        client.send(Packet::PubComp(Ack::success(received))).await;
        client.nothing().await;
        client.disconnect().await;
    }
}

#[tokio::test]
async fn goes_on_with_each_message_where_it_stopped() {
    let world = World::standard();
    let (mut client, _) = world.connect(kept(v311("lamp"))).await;
    client.subscribe("a", QoS::ExactlyOnce).await;
    let mut other = world.client("other").await;
    for number in 1..=2 {
        let (qos, packet_id) = (QoS::ExactlyOnce, Some(id(number)));
        let payload = number.to_string();
        other.send(Packet::Publish(Publish { qos, packet_id, ..Publish::new("a", payload) })).await;
        other.receive().await;
    }
    let first = client.message().await.packet_id.unwrap();
    let second = client.message().await.packet_id.unwrap();
    client.send(Packet::PubRec(Ack::success(first))).await;
    assert_eq!(client.receive().await, Packet::PubRel(Ack::success(first)));
    drop(client);
    eventually("the client is gone", || world.broker.connections() == 1).await;
    let (mut client, answer) = world.connect(kept(v311("lamp"))).await;
    assert!(answer.session_present);
    assert_eq!(client.receive().await, Packet::PubRel(Ack::success(first)));
    let again = client.message().await;
    assert_eq!((again.packet_id, again.dup), (Some(second), true));
    assert_eq!(&again.payload[..], b"2");
    client.send(Packet::PubComp(Ack::success(first))).await;
    client.send(Packet::PubRec(Ack::success(second))).await;
    assert_eq!(client.receive().await, Packet::PubRel(Ack::success(second)));
    client.nothing().await;
}

#[tokio::test]
async fn gives_the_identifiers_of_all_subscriptions_that_match() {
    let world = World::standard();
    let (mut client, answer) = world.connect(v5("lamp")).await;
    assert!(answer.properties.subscription_identifiers_available);
    client.retain("a/kept", "x").await;
    for (number, filter) in [(1, "a/+"), (2, "a/#"), (3, "b")] {
        client
            .send(Packet::Subscribe(Subscribe {
                packet_id: id(number),
                filters: vec![Subscription::new(filter, QoS::AtMostOnce)],
                subscription_id: std::num::NonZeroU32::new(number.into()),
                user_properties: Vec::new(),
            }))
            .await;
        assert!(matches!(client.receive().await, Packet::SubAck(_)));
        if number < 3 {
            assert_eq!(ids(client.message().await), [u32::from(number)]);
        }
    }
    let mut other = world.client("other").await;
    other.publish("a/b", "x").await;
    other.publish("b", "x").await;
    assert_eq!(ids(client.message().await), [1, 2]);
    assert_eq!(ids(client.message().await), [3]);
}

fn ids(message: Publish) -> Vec<u32> {
    let ids = message.properties.map(|each| each.subscription_ids).unwrap_or_default();
    let mut ids: Vec<u32> = ids.into_iter().map(u32::from).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn ends_a_connection_with_more_unreleased_messages_than_were_agreed_on() {
    let world = World::standard();
    let mut client = world.client5("lamp").await;
    for number in 1..=101 {
        let (qos, packet_id) = (QoS::ExactlyOnce, Some(id(number)));
        client.send(Packet::Publish(Publish { qos, packet_id, ..Publish::new("a", "x") })).await;
    }
    for number in 1..=100 {
        assert_eq!(client.receive().await, Packet::PubRec(Ack::success(id(number))));
    }
    assert_eq!(client.closed().await, Some(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED));
}

#[tokio::test]
async fn knows_neither_the_limits_of_aws_nor_its_keep_alive() {
    let world = World::standard();
    let (mut client, answer) = world.connect(Connect { keep_alive: 0, ..v5("lamp") }).await;
    assert_eq!(answer.properties.server_keep_alive, None);
    assert_eq!(client.publish("1/2/3/4/5/6/7/8/9/10", "x").await, ReasonCode::SUCCESS);
    let filters = (0..60).map(|each| Subscription::new(format!("a/{each}"), QoS::AtMostOnce));
    let codes = client.subscribe_all(filters.collect()).await;
    assert_eq!(codes, [ReasonCode::SUCCESS; 60]);
    world.step(100_000);
    client.nothing().await;
}
