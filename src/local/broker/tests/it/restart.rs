//! What a cloud with a folder for its state finds after a restart, or after kill -9.
//!
//! A killed process is imitated by a copy of its folder, taken while it still runs: what
//! was promised to a client before must be there, whatever the process would have
//! written at its end.

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};

use iotstack_local_broker::Settings;
use iotstack_local_kernel::ports::MessageListener;
use iotstack_local_kernel::{Account, Clock, Cloud, Message, Store, Timestamp};
use iotstack_mqtt::wire::*;
use tempfile::TempDir;

use crate::world::*;

fn open(folder: &Path) -> Arc<Cloud> {
    let clock = Clock::stepped(Timestamp(1_767_225_600_000));
    Cloud::new(Account::default(), clock, Store::open(folder).unwrap())
}

/// The world that another process finds if this one is killed now.
fn killed(folder: &TempDir, settings: Settings) -> (TempDir, World) {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let world = World::on(open(copy.path()), settings);
    (copy, world)
}

async fn payloads(client: &mut Client, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(String::from_utf8(client.take().await.payload.to_vec()).unwrap());
    }
    all
}

#[tokio::test]
async fn no_message_that_waits_for_a_client_is_lost_when_the_cloud_is_killed() {
    for connect in [v311("lamp"), v5("lamp")] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::on(open(folder.path()), Settings::default());
        let (mut client, _) = world.connect(kept(connect.clone())).await;
        client.subscribe("a/#", QoS::AtLeastOnce).await;
        client.disconnect().await;
        eventually("the client is gone", || world.broker.connections() == 0).await;
        let mut publisher = world.client("publisher").await;
        for number in 0..20 {
            publisher.publish("a/1", &number.to_string()).await;
        }
        publisher.send(Packet::Publish(Publish::new("a/2", "lost at qos 0"))).await;
        publisher.publish("b", "not wanted").await;

        let (copy, again) = killed(&folder, Settings::default());
        let (mut client, answer) = again.connect(kept(connect.clone())).await;
        assert!(answer.session_present);
        let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        assert_eq!(payloads(&mut client, 20).await, expected);
        client.nothing().await;
        // What came before the second kill is behind what comes after it.
        client.disconnect().await;
        eventually("the client is gone", || again.broker.connections() == 0).await;
        let mut publisher = again.client("publisher").await;
        publisher.publish("a/1", "second").await;
        let (_copy, third) = killed(&copy, Settings::default());
        let (mut client, _) = third.connect(kept(connect)).await;
        assert_eq!(payloads(&mut client, 1).await, ["second"]);
        client.nothing().await;
    }
}

#[tokio::test]
async fn what_a_connected_client_had_not_acknowledged_comes_again_after_a_kill() {
    for settings in [Settings::default(), Settings { standard_mqtt: true, ..Settings::default() }] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::on(open(folder.path()), settings.clone());
        let (mut client, _) = world.connect(kept(v311("lamp"))).await;
        client.subscribe("a", QoS::AtLeastOnce).await;
        let mut publisher = world.client("publisher").await;
        for payload in ["acknowledged", "sent"] {
            publisher.publish("a", payload).await;
        }
        assert_eq!(payloads(&mut client, 1).await, ["acknowledged"]);
        assert_eq!(&client.message().await.payload[..], b"sent");
        client.nothing().await;
        publisher.publish("a", "later").await;

        let (_copy, again) = killed(&folder, settings);
        let (mut client, answer) = again.connect(kept(v311("lamp"))).await;
        assert!(answer.session_present);
        assert_eq!(payloads(&mut client, 2).await, ["sent", "later"]);
        client.nothing().await;
    }
}

#[tokio::test]
async fn messages_come_back_as_they_were_published() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::on(open(folder.path()), Settings::default());
    let (mut client, _) = world.connect(kept(v5("lamp"))).await;
    client.subscribe("a", QoS::AtLeastOnce).await;
    client.disconnect().await;
    eventually("the client is gone", || world.broker.connections() == 0).await;
    let mut publisher = world.client5("publisher").await;
    let properties = PublishProperties {
        payload_is_utf8: true,
        message_expiry: std::num::NonZeroU32::new(10),
        content_type: Some("text/plain".into()),
        response_topic: Some("answers".into()),
        correlation_data: Some(vec![0, 255, 7].into()),
        user_properties: vec![("colour".into(), "red".into()); 2],
        ..PublishProperties::default()
    };
    let message = |payload: &'static [u8], properties: PublishProperties| Publish {
        properties: Some(Box::new(properties)),
        ..Publish::new("a", payload)
    };
    publisher.publish_message(message(b"\x00\xff\x80", properties.clone())).await;
    let short = PublishProperties {
        message_expiry: std::num::NonZeroU32::new(3),
        ..PublishProperties::default()
    };
    publisher.publish_message(message(b"expires", short)).await;

    let (_copy, again) = killed(&folder, Settings::default());
    again.step(4);
    let (mut client, _) = again.connect(kept(v5("lamp"))).await;
    let message = client.take().await;
    assert_eq!(&message.payload[..], b"\x00\xff\x80");
    let left = std::num::NonZeroU32::new(6);
    assert_eq!(
        *message.properties.unwrap(),
        PublishProperties { message_expiry: left, ..properties }
    );
    client.nothing().await;
}

#[tokio::test]
async fn nothing_waits_after_a_restart_for_a_session_that_had_ended() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::on(open(folder.path()), Settings::default());
    for id in ["clean", "expired", "api"] {
        let (mut client, _) = world.connect(kept(v5(id))).await;
        client.subscribe("a", QoS::AtLeastOnce).await;
        client.disconnect().await;
    }
    eventually("all are gone", || world.broker.connections() == 0).await;
    let mut publisher = world.client("publisher").await;
    publisher.publish("a", "for a session that ends").await;
    drop(world.client5("clean").await);
    assert!(world.cloud.ports.messages().unwrap().disconnect("api", true, false));
    // The session of `publisher` is not kept, but this is stored after all of the above.
    publisher.retain("r", "x").await;

    let (_copy, again) = killed(&folder, Settings::default());
    again.step(601);
    for id in ["clean", "expired", "api"] {
        let (mut client, answer) = again.connect(kept(v5(id))).await;
        assert!(!answer.session_present, "{id}");
        client.subscribe("a", QoS::AtLeastOnce).await;
        client.nothing().await;
    }
}

/// Lets whoever ends a connection wait where everybody is told of it.
struct Pause {
    reached: mpsc::Sender<()>,
    goes_on: Mutex<mpsc::Receiver<()>>,
}

impl MessageListener for Pause {
    fn heard(&self, message: &Message) {
        if &*message.topic == "$aws/events/presence/disconnected/lamp"
            // Nobody waits for a second time.
            && self.reached.send(()).is_ok()
        {
            self.goes_on.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
    }

    fn ingested(&self, _rule: &str, _message: &Message) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_connection_takes_nothing_from_the_session_that_follows_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::on(open(folder.path()), Settings::default());
    let (reached, is_reached) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    world.cloud.ports.add_listener(Arc::new(Pause { reached, goes_on: Mutex::new(goes_on) }));
    let _clean = world.client5("lamp").await;
    let messages = world.cloud.ports.messages().unwrap().clone();
    let ending = std::thread::spawn(move || messages.disconnect("lamp", false, false));
    tokio::task::spawn_blocking(move || is_reached.recv_timeout(PATIENCE)).await.unwrap().unwrap();
    // The old connection is gone, and whoever ended it is still busy with that.
    let (mut client, _) = world.connect(kept(v5("lamp"))).await;
    client.subscribe("a", QoS::AtLeastOnce).await;
    go_on.send(()).unwrap();
    assert!(tokio::task::spawn_blocking(move || ending.join()).await.unwrap().unwrap());
    // Stored after all of the above.
    world.client("publisher").await.retain("r", "x").await;

    let (_copy, again) = killed(&folder, Settings::default());
    let (mut client, answer) = again.connect(kept(v5("lamp"))).await;
    assert!(answer.session_present);
    again.client("publisher").await.publish("a", "x").await;
    assert_eq!(payloads(&mut client, 1).await, ["x"]);
}

#[tokio::test]
async fn answers_publishers_in_the_order_of_their_messages() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::on(open(folder.path()), Settings::default());
    let (mut client, _) = world.connect(kept(v311("lamp"))).await;
    client.subscribe("stored", QoS::AtLeastOnce).await;
    client.disconnect().await;
    eventually("the client is gone", || world.broker.connections() == 0).await;
    let mut publisher = world.client("publisher").await;
    // Every other message has to be stored first, and more are on their way than wait.
    for number in 1..=300 {
        let topic = if number % 2 == 0 { "stored" } else { "nobody/wants" };
        let message = Publish::new(topic, number.to_string());
        publisher.send(Packet::Publish(message.at_least_once(id(number)))).await;
    }
    for number in 1..=300 {
        let Packet::PubAck(ack) = publisher.receive().await else { panic!("no PUBACK") };
        assert_eq!(ack.packet_id, id(number));
    }
    let (mut client, _) = world.connect(kept(v311("lamp"))).await;
    assert_eq!(payloads(&mut client, 150).await.last().unwrap(), "300");
}

#[tokio::test]
async fn finds_subscriptions_and_retained_messages_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let world = World::on(open(folder.path()), Settings::default());
        let (mut client, _) = world.connect(kept(v311("kept"))).await;
        client.subscribe("a/+", QoS::AtLeastOnce).await;
        client.subscribe("$share/group/b", QoS::AtLeastOnce).await;
        client.subscribe("c", QoS::AtLeastOnce).await;
        client.unsubscribe("c").await;
        client.retain("r", "remember").await;
        client.retain("s", "forget").await;
        client.retain("s", "").await;
        world.client("clean").await.subscribe("a/+", QoS::AtLeastOnce).await;
        world.broker.shut_down();
        let (broker, cloud) = (Arc::downgrade(&world.broker), Arc::downgrade(&world.cloud));
        drop((client, world));
        eventually("all is closed", || broker.strong_count() + cloud.strong_count() == 0).await;
    }
    let world = World::on(open(folder.path()), Settings::default());
    let mut publisher = world.client("publisher").await;
    publisher.publish("a/1", "x").await;
    publisher.publish("b", "y").await;
    publisher.publish("c", "z").await;
    let (mut client, answer) = world.connect(kept(v311("kept"))).await;
    assert!(answer.session_present);
    assert_eq!(&*client.take().await.topic, "a/1");
    assert_eq!(&*client.take().await.topic, "b");
    client.nothing().await;
    client.subscribe("r", QoS::AtLeastOnce).await;
    assert_eq!(&client.take().await.payload[..], b"remember");
    client.subscribe("s", QoS::AtLeastOnce).await;
    client.nothing().await;
    assert!(!world.connect(kept(v311("clean"))).await.1.session_present);
}
