//! Sessions that outlive their connections, and wills.
//!
//! Time passes by steps of the cloud's clock only.

use iotstack_mqtt::wire::*;

use crate::world::*;

/// A kept session of `connect` with a filter, and nobody connected.
async fn left_behind(world: &World, connect: Connect) {
    let (mut client, answer) = world.connect(kept(connect)).await;
    assert!(!answer.session_present);
    client.subscribe("a/#", QoS::AtLeastOnce).await;
    client.disconnect().await;
    eventually("the client is gone", || world.broker.connections() == 0).await;
}

#[tokio::test]
async fn keeps_subscriptions_and_messages_of_qos_1_for_a_client_that_is_away() {
    for connect in [v311("lamp"), v5("lamp")] {
        let world = World::new();
        left_behind(&world, connect.clone()).await;
        let mut publisher = world.client("publisher").await;
        publisher.publish("a/1", "kept").await;
        publisher.send(Packet::Publish(Publish::new("a/2", "lost at qos 0"))).await;
        publisher.publish("a/3", "kept too").await;
        let (mut client, answer) = world.connect(kept(connect)).await;
        assert!(answer.session_present);
        assert_eq!(&*client.take().await.topic, "a/1");
        assert_eq!(&*client.take().await.topic, "a/3");
        client.nothing().await;
        publisher.publish("a/4", "live").await;
        assert_eq!(&*client.take().await.topic, "a/4");
    }
}

#[tokio::test]
async fn forgets_a_session_at_a_clean_start() {
    let world = World::new();
    left_behind(&world, v5("lamp")).await;
    let mut client = world.client5("lamp").await;
    world.client("publisher").await.publish("a/1", "x").await;
    client.nothing().await;
    drop(client);
    eventually("both are gone", || world.broker.connections() == 0).await;
    let (_, answer) = world.connect(kept(v5("lamp"))).await;
    assert!(!answer.session_present);
}

#[tokio::test]
async fn forgets_a_session_whose_time_is_over() {
    for (connect, seconds) in [(v311("lamp"), 3600), (v5("lamp"), 600)] {
        let world = World::new();
        left_behind(&world, connect.clone()).await;
        world.step(seconds - 1);
        let (client, answer) = world.connect(kept(connect.clone())).await;
        assert!(answer.session_present);
        client.disconnect().await;
        eventually("the client is gone", || world.broker.connections() == 0).await;
        world.step(seconds);
        let (mut client, answer) = world.connect(kept(connect)).await;
        assert!(!answer.session_present);
        client.publish("a/1", "x").await;
        client.nothing().await;
    }
}

#[tokio::test]
async fn limits_the_expiry_that_a_client_asks_for() {
    let world = World::new();
    let mut connect = kept(v5("lamp"));
    connect.properties.session_expiry = u32::MAX;
    let (_, answer) = world.connect(connect).await;
    assert_eq!(answer.properties.session_expiry, Some(3600));
}

#[tokio::test]
async fn does_not_go_on_with_a_session_of_the_other_version() {
    let world = World::new();
    left_behind(&world, v311("lamp")).await;
    let (_, answer) = world.connect(kept(v5("lamp"))).await;
    assert!(!answer.session_present);
}

#[tokio::test]
async fn sends_again_what_was_not_acknowledged_before_what_came_later() {
    let world = World::new();
    let (mut client, _) = world.connect(kept(v311("lamp"))).await;
    client.subscribe("a", QoS::AtLeastOnce).await;
    let mut publisher = world.client("publisher").await;
    publisher.publish("a", "1").await;
    publisher.publish("a", "2").await;
    assert_eq!(&client.message().await.payload[..], b"1");
    assert_eq!(&client.take().await.payload[..], b"2");
    client.nothing().await;
    drop(client);
    publisher.publish("a", "3").await;
    let (mut client, _) = world.connect(kept(v311("lamp"))).await;
    for expected in ["1", "3"] {
        let message = client.take().await;
        assert_eq!((&message.payload[..], message.dup), (expected.as_bytes(), false));
    }
    client.nothing().await;
}

#[tokio::test]
async fn goes_on_with_the_session_of_a_connection_that_it_replaces() {
    let world = World::new();
    let (mut old, _) = world.connect(kept(v311("lamp"))).await;
    old.subscribe("a", QoS::AtLeastOnce).await;
    let (mut new, answer) = world.connect(kept(v311("lamp"))).await;
    assert!(answer.session_present);
    assert_eq!(old.closed().await, None);
    world.client("publisher").await.publish("a", "x").await;
    assert_eq!(&new.take().await.payload[..], b"x");
}

#[tokio::test]
async fn a_client_of_mqtt_5_may_change_the_expiry_when_it_says_goodbye() {
    let world = World::new();
    let goodbye = |expiry| {
        let properties = DisconnectProperties {
            session_expiry: Some(expiry),
            ..DisconnectProperties::default()
        };
        let reason = ReasonCode::SUCCESS;
        Packet::Disconnect(Disconnect { reason, properties: Some(Box::new(properties)) })
    };
    let (mut client, _) = world.connect(kept(v5("lamp"))).await;
    client.send(goodbye(0)).await;
    assert_eq!(client.closed().await, None);
    let (mut client, answer) = world.connect(kept(v5("lamp"))).await;
    assert!(!answer.session_present);
    client.send(goodbye(100)).await;
    assert_eq!(client.closed().await, None);
    world.step(101);
    assert!(!world.connect(kept(v5("lamp"))).await.1.session_present);
    // A session that was to end with its connection cannot be kept by a goodbye.
    let mut client = world.client5("other").await;
    client.send(goodbye(100)).await;
    assert_eq!(client.closed().await, Some(ReasonCode::PROTOCOL_ERROR));
}

#[tokio::test]
async fn publishes_the_will_of_a_client_that_is_lost_and_of_no_other() {
    let world = World::new();
    let mut watcher = world.client("watcher").await;
    watcher.subscribe("gone/+", QoS::AtLeastOnce).await;
    let (client, _) = world.connect(with_will(v311("polite"), "gone/polite")).await;
    client.disconnect().await;
    let (client, _) = world.connect(with_will(v311("lost"), "gone/lost")).await;
    drop(client);
    assert_eq!(&*watcher.take().await.topic, "gone/lost");
    let (mut client, _) = world.connect(with_will(v5("asking"), "gone/asking")).await;
    client.send(Packet::Disconnect(Disconnect::new(ReasonCode::DISCONNECT_WITH_WILL))).await;
    assert_eq!(&*watcher.take().await.topic, "gone/asking");
    let (mut client, _) = world.connect(with_will(v311("rude"), "gone/rude")).await;
    client.raw(b"\x30\x05\x00\x03a/#").await;
    assert_eq!(&*watcher.take().await.topic, "gone/rude");
    let (_old, _) = world.connect(with_will(v311("twin"), "gone/twin")).await;
    let _new = world.client("twin").await;
    assert_eq!(&*watcher.take().await.topic, "gone/twin");
    watcher.nothing().await;
}

#[tokio::test]
async fn waits_with_a_will_that_has_a_delay() {
    let world = World::new();
    let mut watcher = world.connect(Connect { keep_alive: 1200, ..v311("watcher") }).await.0;
    watcher.subscribe("gone/+", QoS::AtLeastOnce).await;
    let mut connect = kept(with_will(v5("lamp"), "gone/lamp"));
    connect.will.as_mut().unwrap().delay = 20;
    let lose = async |connect: &Connect| {
        drop(world.connect(connect.clone()).await);
        eventually("the client is gone", || world.broker.connections() == 1).await;
    };
    lose(&connect).await;
    world.step(19);
    watcher.nothing().await;
    // Whoever comes back in time leaves no will behind.
    lose(&connect).await;
    world.step(19);
    watcher.nothing().await;
    world.step(2);
    assert_eq!(&*watcher.take().await.topic, "gone/lamp");
    // A session that ends takes its will along, without waiting.
    connect.properties.session_expiry = 5;
    lose(&connect).await;
    watcher.nothing().await;
    world.step(6);
    assert_eq!(&*watcher.take().await.topic, "gone/lamp");
    connect.properties.session_expiry = 0;
    lose(&connect).await;
    assert_eq!(&*watcher.take().await.topic, "gone/lamp");
    watcher.nothing().await;
}

#[tokio::test]
async fn retains_a_will_that_asks_for_it() {
    let world = World::new();
    let mut connect = with_will(v311("lamp"), "gone/lamp");
    connect.will.as_mut().unwrap().retain = true;
    drop(world.connect(connect).await);
    eventually("the client is gone", || world.broker.connections() == 0).await;
    let mut watcher = world.client("watcher").await;
    watcher.subscribe("gone/lamp", QoS::AtLeastOnce).await;
    assert!(watcher.take().await.retain);
}
