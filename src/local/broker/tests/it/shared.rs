//! Shared subscriptions: one of a group gets each message.
//!
//! Who gets it is the broker's choice among those who are there.

use iotstack_mqtt::wire::*;

use crate::world::*;

#[tokio::test]
async fn hands_each_message_to_one_member_in_turn() {
    let world = World::new();
    let mut first = world.client("first").await;
    let mut second = world.client("second").await;
    for client in [&mut first, &mut second] {
        client.subscribe("$share/group/a/+", QoS::AtLeastOnce).await;
    }
    let mut other = world.client("other").await;
    other.subscribe("$share/another/a/+", QoS::AtLeastOnce).await;
    let mut plain = world.client("plain").await;
    plain.subscribe("a/b", QoS::AtLeastOnce).await;
    let mut publisher = world.client("publisher").await;
    for number in 0..4 {
        publisher.publish("a/b", &number.to_string()).await;
    }
    for (client, expected) in [(&mut first, 2), (&mut second, 2), (&mut other, 4), (&mut plain, 4)]
    {
        for _ in 0..expected {
            client.take().await;
        }
        client.nothing().await;
    }
}

#[tokio::test]
async fn prefers_members_who_are_there_and_keeps_messages_if_none_is() {
    let world = World::new();
    let (mut away, _) = world.connect(kept(v311("away"))).await;
    away.subscribe("$share/group/a", QoS::AtLeastOnce).await;
    away.disconnect().await;
    let mut present = world.client("present").await;
    present.subscribe("$share/group/a", QoS::AtLeastOnce).await;
    let mut publisher = world.client("publisher").await;
    for _ in 0..3 {
        publisher.publish("a", "x").await;
        present.take().await;
    }
    present.disconnect().await;
    publisher.publish("a", "kept").await;
    let (mut away, _) = world.connect(kept(v311("away"))).await;
    assert_eq!(&away.take().await.payload[..], b"kept");
    away.nothing().await;
}

#[tokio::test]
async fn limits_groups_and_their_members() {
    let world = World::new();
    let mut clients = Vec::new();
    for number in 0..101 {
        let mut client = world.client(&format!("client-{number}")).await;
        let code = client.subscribe("$share/group/a", QoS::AtMostOnce).await;
        assert_eq!(code.is_failure(), number == 100, "{number}");
        clients.push(client);
    }
    for (number, client) in clients.iter_mut().enumerate().take(100) {
        let filter = format!("$share/group-{number}/a");
        let code = client.subscribe(&filter, QoS::AtMostOnce).await;
        assert_eq!(code.is_failure(), number == 99, "{number}");
    }
    // A group that everybody has left makes room for another.
    clients[0].unsubscribe("$share/group-0/a").await;
    let code = clients[0].subscribe("$share/late/a", QoS::AtMostOnce).await;
    assert_eq!(code, ReasonCode::SUCCESS);
    let long = format!("$share/{}/a", "x".repeat(129));
    let mut client = world.client5("five").await;
    assert_eq!(client.subscribe(&long, QoS::AtMostOnce).await, ReasonCode::TOPIC_FILTER_INVALID);
}

#[tokio::test]
async fn no_local_is_an_error_on_a_shared_subscription() {
    let world = World::new();
    let mut client = world.client5("lamp").await;
    let wanted =
        Subscription { no_local: true, ..Subscription::new("$share/g/a", QoS::AtMostOnce) };
    client.send(subscribe(id(1), vec![wanted])).await;
    assert_eq!(client.closed().await, Some(ReasonCode::PROTOCOL_ERROR));
}
