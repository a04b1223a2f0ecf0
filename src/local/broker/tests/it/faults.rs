//! Answers that are withheld on demand, and messages that come twice or out of turn.
//!
//! Devices are tested against these; here it is proved that they happen, and only then.

use iotstack_local_broker::Misbehaviour;
use iotstack_mqtt::wire::*;

use crate::world::*;

#[tokio::test]
async fn withholds_the_answer_that_it_is_told_to_and_no_other() {
    let world = World::new();
    let none = Misbehaviour::default();
    let mut lamp = world.client("lamp").await;
    let mut other = world.client("other").await;

    world.broker.misbehave("lamp", Misbehaviour { withholds_puback: true, ..none });
    lamp.send(Packet::Publish(Publish::new("a", "x").at_least_once(id(1)))).await;
    lamp.nothing().await;
    assert_eq!(other.publish("a", "x").await, ReasonCode::SUCCESS);

    world.broker.misbehave("lamp", Misbehaviour { withholds_suback: true, ..none });
    assert_eq!(lamp.publish("a", "x").await, ReasonCode::SUCCESS);
    let filters = vec![Subscription::new("b", QoS::AtMostOnce)];
    lamp.send(subscribe(id(9), filters)).await;
    lamp.nothing().await;
    other.publish("b", "x").await;
    lamp.nothing().await;

    world.broker.misbehave("lamp", Misbehaviour { withholds_pingresp: true, ..none });
    lamp.send(Packet::PingReq).await;
    assert_eq!(lamp.publish("a", "x").await, ReasonCode::SUCCESS);

    world.broker.misbehave("lamp", none);
    lamp.nothing().await;
}

#[tokio::test]
async fn withholds_connack() {
    let world = World::new();
    let fault = Misbehaviour { withholds_connack: true, ..Misbehaviour::default() };
    world.broker.misbehave("lamp", fault);
    let mut lamp = world.open(Version::V311).await;
    lamp.send(Packet::Connect(Box::new(v311("lamp")))).await;
    eventually("the client is connected", || world.broker.connections() == 1).await;
    // What comes next is the answer to the ping, not the CONNACK.
    lamp.nothing().await;
    world.broker.misbehave("lamp", Misbehaviour::default());
    world.client("lamp").await.nothing().await;
}

#[tokio::test]
async fn sends_messages_twice_on_demand() {
    let world = World::new();
    let fault = Misbehaviour { redelivers: true, ..Misbehaviour::default() };
    world.broker.misbehave("lamp", fault);
    let mut lamp = world.client("lamp").await;
    lamp.subscribe("a", QoS::AtLeastOnce).await;
    world.client("publisher").await.publish("a", "x").await;
    let (first, second) = (lamp.take().await, lamp.take().await);
    assert_eq!(first.payload, second.payload);
    assert!(first.packet_id != second.packet_id && !second.dup);
    lamp.nothing().await;
}

#[tokio::test]
async fn repeats_messages_of_qos_0_on_demand() {
    let world = World::new();
    let fault = Misbehaviour { repeats_qos0: true, ..Misbehaviour::default() };
    world.broker.misbehave("lamp", fault);
    let mut lamp = world.client("lamp").await;
    lamp.subscribe("a", QoS::AtMostOnce).await;
    lamp.subscribe("b", QoS::AtLeastOnce).await;
    let mut publisher = world.client("publisher").await;
    publisher.publish("a", "x").await;
    for _ in 0..2 {
        let message = lamp.message().await;
        assert_eq!((&message.payload[..], message.packet_id), (&b"x"[..], None));
    }
    lamp.nothing().await;
    publisher.publish("b", "y").await;
    assert_eq!(&lamp.take().await.payload[..], b"y");
    lamp.nothing().await;
}

#[tokio::test]
async fn swaps_messages_that_wait_on_demand() {
    let world = World::new();
    let fault = Misbehaviour { swaps_neighbours: true, ..Misbehaviour::default() };
    world.broker.misbehave("lamp", fault);
    let mut connect = kept(v5("lamp"));
    connect.properties.receive_maximum = std::num::NonZeroU16::new(1);
    let (mut lamp, _) = world.connect(connect.clone()).await;
    lamp.subscribe("a", QoS::AtLeastOnce).await;
    let mut publisher = world.client("publisher").await;
    // The first one is on its way, and the others wait until it is acknowledged.
    publisher.publish("a", "0").await;
    let first = lamp.message().await;
    for number in 1..=5 {
        publisher.publish("a", &number.to_string()).await;
    }
    lamp.send(Packet::PubAck(Ack::success(first.packet_id.unwrap()))).await;
    for expected in ["2", "1", "4", "3", "5"] {
        assert_eq!(lamp.take().await.payload, expected);
    }
    // The same for a client that is away.
    lamp.disconnect().await;
    eventually("the client is gone", || world.broker.connections() == 1).await;
    for number in 6..=8 {
        publisher.publish("a", &number.to_string()).await;
    }
    let (mut lamp, _) = world.connect(connect).await;
    for expected in ["7", "6", "8"] {
        assert_eq!(lamp.take().await.payload, expected);
    }
    lamp.nothing().await;
}
