//! Filters: what is granted, what matches, and what is refused.
//!
//! One test per row of AWS's limits and of its departures from the standard.

use iotstack_local_broker::Settings;
use iotstack_mqtt::wire::*;

use crate::world::*;

#[tokio::test]
async fn does_not_match_the_parent_of_a_hash() {
    let world = World::new();
    let mut receiver = world.client("receiver").await;
    receiver.subscribe("sensor/#", QoS::AtLeastOnce).await;
    let mut publisher = world.client("publisher").await;
    for topic in ["sensor", "sensor/a", "sensor/a/b", "other"] {
        publisher.publish(topic, "x").await;
    }
    assert_eq!(&*receiver.take().await.topic, "sensor/a");
    assert_eq!(&*receiver.take().await.topic, "sensor/a/b");
    receiver.nothing().await;
}

#[tokio::test]
async fn does_not_show_reserved_topics_to_wildcards_at_the_first_level() {
    let world = World::new();
    let mut receiver = world.client("receiver").await;
    receiver.subscribe("#", QoS::AtMostOnce).await;
    receiver.subscribe("+/events/#", QoS::AtMostOnce).await;
    world.client("another").await;
    receiver.nothing().await;
    receiver.subscribe("$aws/events/presence/+/#", QoS::AtMostOnce).await;
    world.client("third").await;
    assert_eq!(&*receiver.message().await.topic, "$aws/events/presence/connected/third");
}

#[tokio::test]
async fn delivers_once_to_a_client_with_several_filters_that_match() {
    let world = World::new();
    let mut receiver = world.client("receiver").await;
    for (filter, qos) in
        [("a/b", QoS::AtMostOnce), ("a/+", QoS::AtLeastOnce), ("#", QoS::AtMostOnce)]
    {
        receiver.subscribe(filter, qos).await;
    }
    world.client("publisher").await.publish("a/b", "x").await;
    assert_eq!(receiver.take().await.qos, QoS::AtLeastOnce);
    receiver.nothing().await;
}

#[tokio::test]
async fn drops_the_connection_of_3_1_1_that_subscribes_without_right() {
    let world = World::new();
    let mut client = world.client("lamp").await;
    client.send(subscribe(id(1), vec![Subscription::new("secret/#", QoS::AtMostOnce)])).await;
    assert_eq!(client.closed().await, None);
    let ended = &world.heard.events("presence/disconnected")[0];
    assert_eq!(ended["disconnectReason"], "AUTH_ERROR");
}

#[tokio::test]
async fn can_answer_0x80_instead_to_a_client_of_3_1_1() {
    let settings = Settings { answers_refused_subscriptions: true, ..Settings::default() };
    let mut client = World::with(settings).client("lamp").await;
    assert_eq!(client.subscribe("secret/#", QoS::AtMostOnce).await, ReasonCode(0x80));
}

#[tokio::test]
async fn answers_0x87_to_a_client_of_mqtt_5_that_subscribes_without_right() {
    let world = World::new();
    let mut client = world.client5("lamp").await;
    let filters = ["secret/#", "open/#"].map(|each| Subscription::new(each, QoS::AtLeastOnce));
    let codes = client.subscribe_all(filters.to_vec()).await;
    assert_eq!(codes, [ReasonCode::NOT_AUTHORIZED, ReasonCode::GRANTED_QOS_1]);
}

#[tokio::test]
async fn answers_no_subscription_at_qos_2() {
    let world = World::new();
    let qos_2 = subscribe(id(1), vec![Subscription::new("a", QoS::ExactlyOnce)]);
    let mut client = world.client("old").await;
    client.send(qos_2.clone()).await;
    client.nothing().await;
    let mut client = world.client5("new").await;
    client.send(qos_2).await;
    assert_eq!(client.closed().await, Some(ReasonCode::QOS_NOT_SUPPORTED));
}

#[tokio::test]
async fn refuses_more_than_50_subscriptions() {
    let world = World::new();
    for version in [Version::V311, Version::V5] {
        let mut client = world.connect(Connect { version, ..v311("lamp") }).await.0;
        for number in 0..50 {
            let code = client.subscribe(&format!("a/{number}"), QoS::AtMostOnce).await;
            assert_eq!(code, ReasonCode::SUCCESS);
        }
        assert!(client.subscribe("a/50", QoS::AtMostOnce).await.is_failure());
        // One that is there already may be changed, and a place may be given up.
        assert!(!client.subscribe("a/49", QoS::AtLeastOnce).await.is_failure());
        client.unsubscribe("a/0").await;
        assert!(!client.subscribe("a/50", QoS::AtMostOnce).await.is_failure());
    }
}

#[tokio::test]
async fn refuses_more_than_8_filters_in_one_subscribe() {
    let world = World::new();
    let filters =
        |count| (0..count).map(|each| Subscription::new(format!("a/{each}"), QoS::AtMostOnce));
    let mut client = world.client5("lamp").await;
    assert_eq!(client.subscribe_all(filters(8).collect()).await, [ReasonCode::SUCCESS; 8]);
    let codes = client.subscribe_all(filters(9).collect()).await;
    assert_eq!(codes, [ReasonCode::QUOTA_EXCEEDED; 9]);
}

#[tokio::test]
async fn refuses_filters_that_are_too_long_or_too_deep() {
    let world = World::new();
    let mut client = world.client5("lamp").await;
    let long = format!("{}/#", "x".repeat(255));
    for filter in ["1/2/3/4/5/6/7/8/+", long.as_str()] {
        let code = client.subscribe(filter, QoS::AtMostOnce).await;
        assert_eq!(code, ReasonCode::TOPIC_FILTER_INVALID);
    }
    let code = client.subscribe("$share/group/1/2/3/4/5/6/7/8", QoS::AtMostOnce).await;
    assert_eq!(code, ReasonCode::SUCCESS);
}

#[tokio::test]
async fn serves_no_subscription_identifiers() {
    let world = World::new();
    let mut client = world.client5("lamp").await;
    client
        .send(Packet::Subscribe(Subscribe {
            packet_id: id(1),
            filters: vec![Subscription::new("a", QoS::AtMostOnce)],
            subscription_id: std::num::NonZeroU32::new(1),
            user_properties: Vec::new(),
        }))
        .await;
    let code = ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED;
    assert_eq!(client.closed().await, Some(code));
}

#[tokio::test]
async fn stops_delivering_after_unsubscribe() {
    let world = World::new();
    let mut client = world.client5("lamp").await;
    client.subscribe("a/+", QoS::AtMostOnce).await;
    let answer = client.unsubscribe("a/+").await;
    assert_eq!(answer.reasons, [ReasonCode::SUCCESS]);
    let answer = client.unsubscribe("a/+").await;
    assert_eq!(answer.reasons, [ReasonCode::NO_SUBSCRIPTION_EXISTED]);
    client.publish("a/b", "x").await;
    client.nothing().await;
    let mut old = world.client("old").await;
    assert!(old.unsubscribe("a/+").await.reasons.is_empty());
}

#[tokio::test]
async fn leaves_own_messages_out_if_asked_to() {
    let world = World::new();
    let mut client = world.client5("lamp").await;
    let wanted = Subscription { no_local: true, ..Subscription::new("a", QoS::AtMostOnce) };
    client.subscribe_all(vec![wanted]).await;
    client.publish("a", "own").await;
    client.nothing().await;
    world.client("other").await.publish("a", "other").await;
    assert_eq!(&client.message().await.payload[..], b"other");
}

#[tokio::test]
async fn keeps_the_retain_flag_only_for_those_who_ask_for_it() {
    let world = World::new();
    let mut client = world.client5("lamp").await;
    let plain = Subscription::new("a", QoS::AtMostOnce);
    let asking =
        Subscription { retain_as_published: true, ..Subscription::new("b", QoS::AtMostOnce) };
    client.subscribe_all(vec![plain, asking]).await;
    let mut publisher = world.client("publisher").await;
    publisher.retain("a", "x").await;
    publisher.retain("b", "x").await;
    assert!(!client.message().await.retain);
    assert!(client.message().await.retain);
}
