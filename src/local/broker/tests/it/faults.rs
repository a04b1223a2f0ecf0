//! Answers that are withheld on demand, and messages that come twice.
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
