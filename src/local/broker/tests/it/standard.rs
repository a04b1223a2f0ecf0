//! The switch for interoperability suites: the standard instead of AWS IoT.

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
async fn grants_qos_2_down_and_takes_such_messages_once() {
    let world = World::standard();
    for version in [Version::V311, Version::V5] {
        let mut client = world.connect(Connect { version, ..v311("lamp") }).await.0;
        assert_eq!(client.subscribe("a", QoS::ExactlyOnce).await, ReasonCode::GRANTED_QOS_1);
        let message = |dup| Publish {
            qos: QoS::ExactlyOnce,
            packet_id: Some(id(40)),
            dup,
            ..Publish::new("a", "x")
        };
        client.send(Packet::Publish(message(false))).await;
        client.send(Packet::Publish(message(true))).await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(client.receive().await);
        }
        let received = Packet::PubRec(Ack::success(id(40)));
        assert_eq!(seen.iter().filter(|packet| **packet == received).count(), 2, "{seen:?}");
        client.send(Packet::PubRel(Ack::success(id(40)))).await;
        assert_eq!(client.receive().await, Packet::PubComp(Ack::success(id(40))));
        client.disconnect().await;
    }
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
