//! Reserved topics: services that answer, Basic Ingest, and what nobody serves.
//!
//! A family of the test's own stands for jobs and shadows.

use std::sync::{Arc, Mutex};

use iotstack_local_kernel::ports::Messages;
use iotstack_local_kernel::{Cloud, Message, Publisher, Reserved};
use iotstack_mqtt::wire::*;

use crate::world::*;

/// Answers `…/get` directly and tells everybody on `…/told`.
struct Answering {
    cloud: std::sync::Weak<Cloud>,
    received: Mutex<Vec<(String, String)>>,
}

impl Reserved for Answering {
    fn owns(&self, topic: &str) -> bool {
        topic.starts_with("$aws/things/")
    }

    fn receive(&self, from: &Arc<Publisher>, message: &Message) {
        let (client_id, topic) = (from.client_id.to_string(), message.topic.to_string());
        self.received.lock().unwrap().push((client_id, topic));
        let cloud = self.cloud.upgrade().unwrap();
        let messages = cloud.ports.messages().unwrap();
        let answer = |end| Message::new(format!("{}/{end}", message.topic), "{}", message.at);
        messages.send(&from.client_id, answer("accepted"));
        messages.publish(answer("told"));
    }
}

fn answering(world: &World) -> Arc<Answering> {
    let cloud = Arc::downgrade(&world.cloud);
    let family = Arc::new(Answering { cloud, received: Mutex::default() });
    world.cloud.ports.add_reserved(family.clone());
    family
}

#[tokio::test]
async fn hands_reserved_topics_to_their_service_and_to_nobody_else() {
    let world = World::new();
    let family = answering(&world);
    let mut watcher = world.client("watcher").await;
    watcher.subscribe("$aws/things/#", QoS::AtLeastOnce).await;
    let mut lamp = world.client("lamp").await;
    let topic = "$aws/things/lamp/jobs/get";
    let id = lamp.next_id();
    lamp.send(Packet::Publish(Publish::new(topic, "{}").at_least_once(id))).await;
    // The direct answer needs no subscription; it and the acknowledgement may come
    // in any order.
    let both = [lamp.receive().await, lamp.receive().await];
    assert!(both.contains(&Packet::PubAck(Ack::success(id))), "{both:?}");
    let is_answer = |packet: &Packet| matches!(packet, Packet::Publish(message) if *message.topic == format!("{topic}/accepted"));
    assert!(both.iter().any(is_answer), "{both:?}");
    assert_eq!(&*watcher.take().await.topic, format!("{topic}/told"));
    watcher.nothing().await;
    let received = family.received.lock().unwrap().clone();
    assert_eq!(received, [("lamp".to_owned(), topic.to_owned())]);
    let topics = world.heard.topics();
    assert!(!topics.contains(&topic.to_owned()));
    assert!(topics.contains(&format!("{topic}/told")));
}

#[tokio::test]
async fn asks_the_policies_before_it_hands_a_message_to_a_service() {
    let world = World::new();
    let family = answering(&world);
    let mut lamp = world.client5("lamp").await;
    assert_eq!(lamp.publish("secret/x", "").await, ReasonCode::NOT_AUTHORIZED);
    assert!(family.received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn hands_a_message_of_another_way_to_the_service_too() {
    let world = World::new();
    let family = answering(&world);
    let publisher = Publisher {
        client_id: "http".into(),
        principal: "caller".into(),
        thing: None,
        source: "127.0.0.1".parse().unwrap(),
    };
    let mut message = Message::new("$aws/things/lamp/jobs/get", "{}", world.cloud.clock.now());
    // A message of the cloud itself goes to subscribers only.
    world.broker.publish(message.clone());
    assert!(family.received.lock().unwrap().is_empty());
    message.publisher = Some(Arc::new(publisher));
    world.broker.publish(message);
    assert_eq!(family.received.lock().unwrap()[0].0, "http");
}

#[tokio::test]
async fn closes_on_reserved_topics_that_nobody_serves() {
    let world = World::new();
    for topic in ["$aws/unknown", "$SYS/broker", "$anything"] {
        let mut lamp = world.client("lamp").await;
        lamp.send(Packet::Publish(Publish::new(topic, "").at_least_once(id(1)))).await;
        assert_eq!(lamp.closed().await, None, "{topic}");
        let mut lamp = world.client5("lamp").await;
        assert_eq!(lamp.publish(topic, "").await, ReasonCode::TOPIC_NAME_INVALID);
        lamp.send(Packet::Publish(Publish::new(topic, ""))).await;
        assert_eq!(lamp.closed().await, Some(ReasonCode::TOPIC_NAME_INVALID));
    }
}

#[tokio::test]
async fn leads_basic_ingest_straight_into_its_rule() {
    let world = World::new();
    let mut watcher = world.client("watcher").await;
    watcher.subscribe("#", QoS::AtMostOnce).await;
    let mut lamp = world.client5("lamp").await;
    let deep = "$aws/rules/my_rule/1/2/3/4/5/6/7/8";
    assert_eq!(lamp.publish(deep, "x").await, ReasonCode::SUCCESS);
    watcher.nothing().await;
    let ingested = world.heard.ingested.lock().unwrap().clone();
    let (rule, message) = &ingested[0];
    assert_eq!((rule.as_str(), &*message.topic), ("my_rule", "1/2/3/4/5/6/7/8"));
    assert_eq!(&*message.publisher.as_ref().unwrap().client_id, "lamp");
    let deeper = format!("{deep}/9");
    assert_eq!(lamp.publish(&deeper, "x").await, ReasonCode::TOPIC_NAME_INVALID);
    assert_eq!(world.heard.ingested.lock().unwrap().len(), ingested.len());
}

#[tokio::test]
async fn keeps_no_retained_message_on_a_reserved_topic() {
    let world = World::new();
    answering(&world);
    let mut lamp = world.client("lamp").await;
    let message = Publish { retain: true, ..Publish::new("$aws/things/lamp/x", "x") };
    lamp.send(Packet::Publish(message)).await;
    assert_eq!(&*lamp.take().await.topic, "$aws/things/lamp/x/accepted");
    assert!(world.broker.all_retained().is_empty());
}

#[tokio::test]
async fn a_direct_answer_to_a_client_that_is_away_is_lost() {
    let world = World::new();
    let (client, _) = world.connect(kept(v311("lamp"))).await;
    client.disconnect().await;
    eventually("the client is gone", || world.broker.connections() == 0).await;
    let at = world.cloud.clock.now();
    world.broker.send("lamp", Message::new("$aws/things/lamp/x", "x", at));
    world.broker.send("nobody", Message::new("$aws/things/lamp/x", "x", at));
    let (mut client, _) = world.connect(kept(v311("lamp"))).await;
    client.nothing().await;
}
