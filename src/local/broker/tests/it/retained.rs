//! Retained messages as AWS IoT serves them.
//!
//! What survives a restart is tried in `session`.

use std::num::NonZeroU32;

use iotstack_local_kernel::ports::Messages;
use iotstack_mqtt::wire::*;

use crate::world::*;

#[tokio::test]
async fn sends_a_retained_message_to_an_exact_filter_only() {
    let world = World::new();
    let mut publisher = world.client("publisher").await;
    publisher.retain("a/b", "1").await;
    publisher.retain("a/b", "2").await;
    let mut client = world.client("lamp").await;
    for filter in ["a/#", "a/+", "#", "$share/group/a/b"] {
        client.subscribe(filter, QoS::AtLeastOnce).await;
    }
    client.nothing().await;
    client.subscribe("a/b", QoS::AtLeastOnce).await;
    let message = client.take().await;
    assert_eq!((&message.payload[..], message.retain), (&b"2"[..], true));
    client.nothing().await;
}

#[tokio::test]
async fn an_empty_payload_removes_the_message_and_is_delivered() {
    let world = World::new();
    let mut client = world.client("lamp").await;
    client.subscribe("a", QoS::AtMostOnce).await;
    let mut publisher = world.client("publisher").await;
    publisher.retain("a", "1").await;
    publisher.retain("a", "").await;
    assert_eq!(&client.message().await.payload[..], b"1");
    assert!(client.message().await.payload.is_empty());
    client.subscribe("a", QoS::AtMostOnce).await;
    client.nothing().await;
    assert!(world.broker.all_retained().is_empty());
}

#[tokio::test]
async fn forgets_a_retained_message_that_has_expired() {
    let world = World::new();
    let mut publisher = world.client5("publisher").await;
    let properties =
        PublishProperties { message_expiry: NonZeroU32::new(10), ..PublishProperties::default() };
    let message =
        Publish { retain: true, properties: Some(Box::new(properties)), ..Publish::new("a", "x") };
    publisher.publish_message(message).await;
    world.step(4);
    publisher.subscribe("a", QoS::AtMostOnce).await;
    let left = publisher.message().await.properties.unwrap().message_expiry;
    assert_eq!(left, NonZeroU32::new(6));
    world.step(6);
    publisher.subscribe("a", QoS::AtMostOnce).await;
    publisher.nothing().await;
    assert!(world.broker.retained("a").is_none());
}

#[tokio::test]
async fn obeys_the_retain_handling_of_mqtt_5() {
    let world = World::new();
    let mut client = world.client5("lamp").await;
    client.retain("a", "x").await;
    let wanted = |retain_handling| {
        vec![Subscription { retain_handling, ..Subscription::new("a", QoS::AtMostOnce) }]
    };
    client.subscribe_all(wanted(RetainHandling::DoNotSend)).await;
    client.nothing().await;
    client.subscribe_all(wanted(RetainHandling::SendIfNew)).await;
    client.nothing().await;
    client.subscribe_all(wanted(RetainHandling::Send)).await;
    assert!(client.message().await.retain);
    client.unsubscribe("a").await;
    client.subscribe_all(wanted(RetainHandling::SendIfNew)).await;
    assert!(client.message().await.retain);
}

#[tokio::test]
async fn lists_retained_messages_in_the_order_of_their_topics() {
    let world = World::new();
    let mut publisher = world.client("publisher").await;
    for topic in ["b", "a/c", "a"] {
        publisher.retain(topic, topic).await;
    }
    let all: Vec<_> =
        world.broker.all_retained().iter().map(|each| each.topic.to_string()).collect();
    assert_eq!(all, ["a", "a/c", "b"]);
    assert_eq!(&world.broker.retained("b").unwrap().payload[..], b"b");
}
