//! Lifecycle events on `$aws/events/…`, with AWS's reasons.
//!
//! They are read where topic rules would hear them.

use iotstack_local_kernel::ports::Messages;
use iotstack_mqtt::wire::*;
use serde_json::json;

use crate::world::*;

#[tokio::test]
async fn tells_of_connections_with_a_growing_version_number() {
    let world = World::new();
    for number in 0..3 {
        world.client("lamp").await.disconnect().await;
        eventually("the client is gone", || world.broker.connections() == 0).await;
        let connected = world.heard.events("presence/connected");
        let disconnected = world.heard.events("presence/disconnected");
        assert_eq!(connected[number]["versionNumber"], json!(number));
        assert_eq!(disconnected[number]["versionNumber"], json!(number));
        assert_eq!(
            connected[number]["sessionIdentifier"],
            disconnected[number]["sessionIdentifier"]
        );
    }
    let connected = world.heard.events("presence/connected").remove(0);
    assert_eq!(connected["clientId"], "lamp");
    assert_eq!(connected["eventType"], "connected");
    assert_eq!(connected["principalIdentifier"], "anonymous");
    assert_eq!(connected["ipAddress"], "127.0.0.1");
    assert_eq!(connected["timestamp"], json!(world.cloud.clock.now().millis()));
    assert!(connected.get("thingName").is_none());
    let disconnected = world.heard.events("presence/disconnected").remove(0);
    assert_eq!(disconnected["eventType"], "disconnected");
    assert_eq!(disconnected["clientInitiatedDisconnect"], true);
    assert_eq!(disconnected["disconnectReason"], "CLIENT_INITIATED_DISCONNECT");
}

#[tokio::test]
async fn names_the_reason_of_every_end() {
    let world = World::new();
    let reason = |world: &World| {
        let last = world.heard.events("presence/disconnected").pop().unwrap();
        (
            last["disconnectReason"].as_str().unwrap().to_owned(),
            last["clientInitiatedDisconnect"] == true,
        )
    };
    let gone = async || eventually("the client is gone", || world.broker.connections() == 0).await;
    drop(world.client("lamp").await);
    gone().await;
    assert_eq!(reason(&world), ("CONNECTION_LOST".to_owned(), false));
    let mut client = world.client("lamp").await;
    client.raw(b"\xc0\x01\x00").await;
    gone().await;
    assert_eq!(reason(&world), ("CLIENT_ERROR".to_owned(), false));
    let mut client = world.client5("lamp").await;
    assert!(world.broker.disconnect("lamp", false, false));
    assert_eq!(client.closed().await, Some(ReasonCode::ADMINISTRATIVE_ACTION));
    assert_eq!(reason(&world), ("API_INITIATED_DISCONNECT".to_owned(), false));
    let mut client = world.client5("lamp").await;
    assert!(world.broker.kick("lamp"));
    assert_eq!(client.closed().await, Some(ReasonCode::SERVER_SHUTTING_DOWN));
    assert_eq!(reason(&world), ("SERVER_INITIATED_DISCONNECT".to_owned(), false));
    assert!(!world.broker.kick("lamp"));
}

#[tokio::test]
async fn tells_of_clients_that_are_refused() {
    let world = World::new();
    world.connect(v311("denied")).await;
    let failed = world.heard.events("presence/connect_failed").remove(0);
    assert_eq!(failed["clientId"], "denied");
    assert_eq!(failed["eventType"], "connect_failed");
    assert_eq!(failed["connectFailureReason"], "AUTHORIZATION_FAILED");
    assert!(world.heard.events("presence/connected").is_empty());
}

#[tokio::test]
async fn tells_of_subscriptions() {
    let world = World::new();
    let mut client = world.client5("lamp").await;
    let filters = ["a/#", "secret/x", "b"].map(|each| Subscription::new(each, QoS::AtMostOnce));
    client.subscribe_all(filters.to_vec()).await;
    client.unsubscribe("b").await;
    client.unsubscribe("c").await;
    let subscribed = world.heard.events("subscriptions/subscribed");
    assert_eq!(subscribed.len(), 1);
    assert_eq!(subscribed[0]["topics"], json!(["a/#", "b"]));
    assert_eq!(subscribed[0]["eventType"], "subscribed");
    let unsubscribed = world.heard.events("subscriptions/unsubscribed");
    assert_eq!(unsubscribed.len(), 1);
    assert_eq!(unsubscribed[0]["topics"], json!(["b"]));
}

#[tokio::test]
async fn tells_nothing_of_a_client_id_with_a_wildcard() {
    let world = World::new();
    let mut client = world.client("a#b").await;
    client.subscribe("x", QoS::AtMostOnce).await;
    client.disconnect().await;
    world.client("a+b").await;
    let heard = world.heard.topics();
    assert!(heard.iter().all(|topic| !topic.starts_with("$aws/events/")), "{heard:?}");
}
