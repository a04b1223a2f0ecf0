//! What other services may ask about connections, and rights that are withdrawn.
//!
//! Asked through the kernel's port, as the data plane does.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use iotstack_local_kernel::ports::Messages;
use iotstack_local_kernel::{CloudEvent, Message, QoS as KernelQoS};
use iotstack_mqtt::wire::*;

use crate::world::*;

#[tokio::test]
async fn describes_a_connection_and_a_kept_session() {
    let world = World::new();
    assert!(world.broker.connection("lamp").is_none());
    let (mut client, _) = world.connect(kept(v311("lamp"))).await;
    client.subscribe("a", QoS::AtLeastOnce).await;
    let known = world.broker.connection("lamp").unwrap();
    assert!(known.connected && !known.clean_session);
    assert_eq!((&*known.principal, known.thing.as_deref()), ("anonymous", Some("lamp")));
    assert_eq!((known.keep_alive, known.since), (60, world.cloud.clock.now()));
    assert_eq!(known.subscriptions, [("a".to_owned(), KernelQoS::AtLeastOnce)]);
    assert!(known.source.unwrap().ip().is_loopback());
    client.disconnect().await;
    eventually("the client is gone", || world.broker.connections() == 0).await;
    let known = world.broker.connection("lamp").unwrap();
    assert!(!known.connected);
    assert_eq!(known.disconnect_reason, Some("CLIENT_INITIATED_DISCONNECT"));
    assert_eq!(known.subscriptions.len(), 1);
}

#[tokio::test]
async fn ends_connections_and_sessions_by_the_api() {
    let world = World::new();
    let mut watcher = world.client("watcher").await;
    watcher.subscribe("gone", QoS::AtLeastOnce).await;
    let connect = kept(with_will(v5("lamp"), "gone"));
    let (mut client, _) = world.connect(connect.clone()).await;
    assert!(world.broker.disconnect("lamp", false, true));
    assert_eq!(client.closed().await, Some(ReasonCode::ADMINISTRATIVE_ACTION));
    watcher.nothing().await;
    let (mut client, answer) = world.connect(connect.clone()).await;
    assert!(answer.session_present);
    assert!(world.broker.disconnect("lamp", true, false));
    client.closed().await;
    assert_eq!(&*watcher.take().await.topic, "gone");
    assert!(world.broker.connection("lamp").is_none());
    assert!(!world.broker.disconnect("lamp", true, false));
    // A session that is only kept is forgotten as well.
    let (client, answer) = world.connect(kept(v5("lamp"))).await;
    assert!(!answer.session_present);
    client.disconnect().await;
    eventually("the client is gone", || world.broker.connections() == 1).await;
    assert!(world.broker.disconnect("lamp", true, false));
    assert!(!world.connect(kept(v5("lamp"))).await.1.session_present);
}

#[tokio::test]
async fn ends_connections_whose_rights_are_withdrawn() {
    let world = World::new();
    let mut client = world.client5("lamp").await;
    world.cloud.bus.tell(&CloudEvent::RightsChanged);
    client.nothing().await;
    world.authority.withdrawn.store(true, Ordering::SeqCst);
    world.cloud.bus.tell(&CloudEvent::RightsChanged);
    assert_eq!(client.closed().await, Some(ReasonCode::NOT_AUTHORIZED));
    let ended = &world.heard.events("presence/disconnected")[0];
    assert_eq!(ended["disconnectReason"], "FORBIDDEN_ACCESS");
}

#[tokio::test]
async fn tells_the_bus_who_comes_and_goes() {
    let world = World::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let hearing = told.clone();
    world.cloud.bus.hear(move |event| hearing.lock().unwrap().push(event.clone()));
    world.client("lamp").await.disconnect().await;
    eventually("the client is gone", || world.broker.connections() == 0).await;
    eventually("both are told", || told.lock().unwrap().len() == 2).await;
    let at = world.cloud.clock.now();
    let told = told.lock().unwrap();
    assert_eq!(told[0], CloudEvent::ClientConnected { client_id: "lamp".into(), at });
    let reason = "CLIENT_INITIATED_DISCONNECT";
    assert_eq!(told[1], CloudEvent::ClientDisconnected { client_id: "lamp".into(), reason, at });
}

#[tokio::test]
async fn publishes_for_the_cloud_without_asking_a_policy() {
    let world = World::new();
    let mut client = world.client("lamp").await;
    client.subscribe("$aws/things/lamp/jobs/notify", QoS::AtLeastOnce).await;
    let at = world.cloud.clock.now();
    world.broker.publish(Message::new("$aws/things/lamp/jobs/notify", "{}", at));
    assert_eq!(client.take().await.qos, QoS::AtLeastOnce);
}

#[tokio::test]
async fn shuts_all_connections_down() {
    let world = World::new();
    let mut old = world.client("old").await;
    let mut new = world.client5("new").await;
    world.broker.shut_down();
    assert_eq!(old.closed().await, None);
    assert_eq!(new.closed().await, Some(ReasonCode::SERVER_SHUTTING_DOWN));
    assert_eq!(world.broker.connections(), 0);
}
