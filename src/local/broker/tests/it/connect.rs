//! CONNECT and CONNACK: who gets in, and what is agreed on.
//!
//! The authority of `world` refuses client ids that begin with `denied` or `stranger`.

use iotstack_local_broker::Settings;
use iotstack_mqtt::wire::*;

use crate::world::*;

#[tokio::test]
async fn refuses_the_unauthorised_with_code_seven_of_aws() {
    let world = World::new();
    let (mut client, answer) = world.connect(v311("denied-1")).await;
    assert_eq!(answer.reason, ReasonCode(7));
    assert_eq!(client.closed().await, None);
    let (_, answer) = world.connect(v311("stranger-1")).await;
    assert_eq!(answer.reason, ReasonCode(7));
    let (mut client, answer) = world.connect(v5("denied-5")).await;
    assert_eq!(answer.reason, ReasonCode::NOT_AUTHORIZED);
    assert_eq!(client.closed().await, None);
}

#[tokio::test]
async fn refuses_the_unauthorised_with_code_five_in_standard_mode() {
    let (_, answer) = World::standard().connect(v311("denied-1")).await;
    assert_eq!(answer.reason, ReasonCode::NOT_AUTHORIZED);
}

#[tokio::test]
async fn announces_what_it_serves_to_a_client_of_mqtt_5() {
    let world = World::new();
    let (_client, answer) = world.connect(v5("lamp")).await;
    let properties = answer.properties;
    assert_eq!(properties.maximum_qos, QoS::AtLeastOnce);
    assert!(properties.retain_available);
    assert!(properties.wildcard_subscription_available);
    assert!(properties.shared_subscription_available);
    assert!(!properties.subscription_identifiers_available);
    assert_eq!(properties.receive_maximum.get(), 100);
    assert_eq!(properties.topic_alias_maximum, 8);
    assert_eq!(properties.maximum_packet_size, Some(146 * 1024));
    assert_eq!(properties.server_keep_alive, None);
    assert_eq!(properties.assigned_client_id, None);
}

#[tokio::test]
async fn keeps_the_keep_alive_within_its_limits() {
    let world = World::new();
    for (wanted, agreed) in [(0, Some(1200)), (5, Some(30)), (60, None), (5000, Some(1200))] {
        let connect = Connect { keep_alive: wanted, ..v5("lamp") };
        let (_client, answer) = world.connect(connect).await;
        assert_eq!(answer.properties.server_keep_alive, agreed, "{wanted}");
    }
}

#[tokio::test]
async fn ends_a_silent_connection_after_one_and_a_half_intervals() {
    let world = World::new();
    let mut client = world.client5("silent").await;
    let mut lively = world.client("lively").await;
    world.step(80);
    lively.nothing().await;
    world.step(15);
    assert_eq!(client.closed().await, Some(ReasonCode::KEEP_ALIVE_TIMEOUT));
    let ended = &world.heard.events("presence/disconnected")[0];
    assert_eq!(ended["disconnectReason"], "MQTT_KEEP_ALIVE_TIMEOUT");
    lively.nothing().await;
}

#[tokio::test]
async fn assigns_a_client_id_to_a_client_without_one() {
    let world = World::new();
    let (mut client, answer) = world.connect(v5("")).await;
    let assigned = answer.properties.assigned_client_id.unwrap();
    assert_eq!(assigned.len(), 36);
    client.nothing().await;
    world.client("").await.nothing().await;
    let (_, answer) = world.connect(kept(v5(""))).await;
    assert!(answer.is_accepted() && answer.properties.assigned_client_id.is_some());
    let (_, answer) = world.connect(Connect { clean_start: false, ..v311("") }).await;
    assert_eq!(answer.reason, ReasonCode::CLIENT_IDENTIFIER_NOT_VALID);
}

#[tokio::test]
async fn refuses_a_client_id_of_more_than_128_bytes() {
    let world = World::new();
    world.client(&"x".repeat(128)).await;
    let (_, answer) = world.connect(v311(&"x".repeat(129))).await;
    assert_eq!(answer.reason, ReasonCode::CLIENT_IDENTIFIER_NOT_VALID);
    let (_, answer) = world.connect(v5(&"x".repeat(129))).await;
    assert_eq!(answer.reason, ReasonCode::CLIENT_IDENTIFIER_NOT_VALID);
}

#[tokio::test]
async fn refuses_versions_that_it_does_not_speak() {
    let world = World::new();
    for packet in [
        &b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01a"[..],
        &b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x3c\x00\x01a"[..],
    ] {
        let mut client = world.open(Version::V311).await;
        client.raw(packet).await;
        let Packet::ConnAck(answer) = client.receive().await else { panic!() };
        assert_eq!(answer.reason, ReasonCode::UNSUPPORTED_PROTOCOL_VERSION);
        assert_eq!(client.closed().await, None);
    }
}

#[tokio::test]
async fn lets_the_newer_of_two_connections_with_one_client_id_win() {
    let world = World::new();
    let mut old = world.client5("twin").await;
    let mut new = world.client5("twin").await;
    assert_eq!(old.closed().await, Some(ReasonCode::SESSION_TAKEN_OVER));
    new.nothing().await;
    let mut newest = world.client("twin").await;
    assert_eq!(new.closed().await, Some(ReasonCode::SESSION_TAKEN_OVER));
    newest.nothing().await;
    let ended = world.heard.events("presence/disconnected");
    assert_eq!(ended.len(), 2);
    assert_eq!(ended[0]["disconnectReason"], "DUPLICATE_CLIENTID");
    assert_eq!(ended[0]["clientInitiatedDisconnect"], false);
    assert_eq!(world.broker.connections(), 1);
}

#[tokio::test]
async fn refuses_a_largest_packet_below_512_bytes() {
    let world = World::new();
    let mut connect = v5("tiny");
    connect.properties.maximum_packet_size = std::num::NonZeroU32::new(511);
    let (_, answer) = world.connect(connect.clone()).await;
    assert!(answer.reason.is_failure());
    connect.properties.maximum_packet_size = std::num::NonZeroU32::new(512);
    assert!(world.connect(connect).await.1.is_accepted());
}

#[tokio::test]
async fn sends_no_packet_that_is_larger_than_the_client_takes() {
    let world = World::new();
    let mut connect = v5("tiny");
    connect.properties.maximum_packet_size = std::num::NonZeroU32::new(512);
    let (mut tiny, _) = world.connect(connect).await;
    assert_eq!(tiny.subscribe("a", QoS::AtLeastOnce).await, ReasonCode::GRANTED_QOS_1);
    let mut other = world.client("other").await;
    other.publish("a", &"x".repeat(600)).await;
    other.publish("a", "small").await;
    assert_eq!(&tiny.take().await.payload[..], b"small");
    tiny.nothing().await;
}

#[tokio::test]
async fn closes_on_a_first_packet_that_is_no_connect() {
    let world = World::new();
    let mut client = world.open(Version::V311).await;
    client.send(Packet::PingReq).await;
    assert_eq!(client.closed().await, None);
    let mut client = world.client("twice").await;
    client.send(Packet::Connect(Box::new(v311("twice")))).await;
    assert_eq!(client.closed().await, None);
}

#[tokio::test]
async fn refuses_enhanced_authentication() {
    let world = World::new();
    let mut connect = v5("lamp");
    connect.properties.authentication_method = Some("SCRAM".into());
    assert!(world.connect(connect).await.1.reason.is_failure());
    let mut client = world.client5("lamp").await;
    let auth = Auth { reason: ReasonCode(0x19), method: Some("m".into()), data: None };
    client.send(Packet::Auth(Box::new(auth))).await;
    assert_eq!(client.closed().await, Some(ReasonCode::PROTOCOL_ERROR));
}

#[tokio::test]
async fn tells_the_authority_about_will_and_session() {
    let world = World::new();
    world.connect(with_will(v311("a"), "lamp/gone")).await;
    world.connect(kept(v311("b"))).await;
    world.connect(kept(v5("c"))).await;
    let attempts = world.authority.attempts.lock().unwrap().clone();
    assert_eq!(attempts[0], ("a".to_owned(), Some("lamp/gone".to_owned()), false));
    assert_eq!(attempts[1], ("b".to_owned(), None, true));
    assert_eq!(attempts[2], ("c".to_owned(), None, true));
}

#[tokio::test]
async fn refuses_a_will_that_may_not_be_published() {
    let world = World::new();
    let (_, answer) = world.connect(with_will(v5("a"), "secret/gone")).await;
    assert_eq!(answer.reason, ReasonCode::NOT_AUTHORIZED);
    let mut connect = with_will(v5("a"), "fleeting/gone");
    connect.will.as_mut().unwrap().retain = true;
    assert_eq!(world.connect(connect).await.1.reason, ReasonCode::NOT_AUTHORIZED);
    let mut connect = with_will(v5("a"), "gone");
    connect.will.as_mut().unwrap().qos = QoS::ExactlyOnce;
    assert_eq!(world.connect(connect).await.1.reason, ReasonCode::QOS_NOT_SUPPORTED);
    let (_, answer) = world.connect(with_will(v5("a"), "1/2/3/4/5/6/7/8/9")).await;
    assert_eq!(answer.reason, ReasonCode::TOPIC_NAME_INVALID);
}

#[tokio::test]
async fn refuses_more_connections_than_the_settings_allow() {
    let world = World::with(Settings { connections: 1, ..Settings::default() });
    let _first = world.client("first").await;
    let (_, answer) = world.connect(v5("second")).await;
    assert_eq!(answer.reason, ReasonCode::QUOTA_EXCEEDED);
}

#[tokio::test]
async fn takes_one_connect_of_a_client_id_per_second_under_the_limits_of_aws() {
    let world = World::with(Settings::default().with_aws_limits());
    let mut lamp = world.client5("lamp").await;
    assert_eq!(world.connect(v5("lamp")).await.1.reason, ReasonCode::QUOTA_EXCEEDED);
    assert_eq!(world.connect(v311("lamp")).await.1.reason, ReasonCode::SERVER_UNAVAILABLE);
    world.client5("other").await;
    lamp.nothing().await;
    world.step(1);
    world.client5("lamp").await;
    assert_eq!(lamp.closed().await, Some(ReasonCode::SESSION_TAKEN_OVER));
}

#[tokio::test]
async fn leaves_no_connection_behind_whose_client_cannot_take_the_answer() {
    let world = World::standard();
    let mut connect = kept(v5("tiny"));
    connect.properties.maximum_packet_size = std::num::NonZeroU32::new(2);
    let mut client = world.open(Version::V5).await;
    client.send(Packet::Connect(Box::new(connect))).await;
    assert_eq!(client.closed().await, None);
    assert_eq!(world.broker.connections(), 0);
    let ended = &world.heard.events("presence/disconnected")[0];
    assert_eq!(ended["disconnectReason"], "CLIENT_ERROR");
}
