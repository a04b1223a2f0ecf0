//! The client against a server that does as it is told, over a pipe.

use std::time::Duration;

use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::wire::{ConnAck, LARGEST_PACKET, PacketId, SubAck};

/// The other end.
struct Server {
    stream: DuplexStream,
    reader: Reader,
}

impl Server {
    async fn hear(&mut self) -> Option<Packet> {
        self.reader.read(&mut self.stream, Version::V311, LARGEST_PACKET).await.unwrap()
    }

    async fn say(&mut self, packet: Packet) {
        let written =
            Writer::new().write(&mut self.stream, &packet, Version::V311, LARGEST_PACKET).await;
        written.unwrap();
    }

    async fn welcome(&mut self) -> Box<Connect> {
        let Some(Packet::Connect(connect)) = self.hear().await else { panic!("expected CONNECT") };
        self.say(Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::SUCCESS, false)))).await;
        connect
    }
}

fn pipe() -> (DuplexStream, Server) {
    let (near, stream) = duplex(64 * 1024);
    (near, Server { stream, reader: Reader::new() })
}

fn options() -> Options {
    Options { patience: Duration::from_secs(5), ..Options::new("lamp-1") }
}

async fn connected() -> (Client<DuplexStream>, Server) {
    let (near, mut server) = pipe();
    let options = options();
    let (client, _) =
        tokio::join!(Client::open(near, &options, Session::default()), server.welcome());
    (client.map_err(|(error, _)| error).unwrap(), server)
}

#[tokio::test(start_paused = true)]
async fn mqtt_connect_gives_up_on_a_server_without_connack() {
    let (near, mut server) = pipe();
    let opening = tokio::spawn(async move {
        Client::open(near, &options(), Session::default()).await.map(|_| ()).map_err(|(e, _)| e)
    });
    assert!(matches!(server.hear().await, Some(Packet::Connect(_))));
    let error = opening.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "no CONNACK within 5 s");
}

#[tokio::test]
async fn mqtt_connect_names_the_reason_of_a_refusal() {
    let (near, mut server) = pipe();
    let no = Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::NOT_AUTHORIZED, false)));
    let refusing = async {
        server.hear().await;
        server.say(no).await;
    };
    let options = options();
    let (client, ()) = tokio::join!(Client::open(near, &options, Session::default()), refusing);
    let (error, _) = client.err().unwrap();
    assert_eq!(error.to_string(), "the server refused the connection: not authorized");
}

#[tokio::test(start_paused = true)]
async fn mqtt_publish_retry_no_puback_sends_again_on_the_next_connection() {
    let (mut client, mut server) = connected().await;
    client.publish("a/b", "one", QoS::AtLeastOnce).await.unwrap();
    client.publish("a/b", "two", QoS::AtLeastOnce).await.unwrap();
    let Some(Packet::Publish(one)) = server.hear().await else { panic!("expected PUBLISH") };
    assert!(!one.dup);
    let id = one.packet_id.unwrap();
    server.say(Packet::PubAck(Ack::success(id))).await;
    assert_eq!(client.next().await.unwrap(), Heard::Acknowledged(ReasonCode::SUCCESS));
    let error = client.next().await.unwrap_err();
    assert_eq!(error.to_string(), "no PUBACK within 5 s");
    let session = client.into_session();
    assert!(!session.is_settled());
    let (near, mut server) = pipe();
    let options = options();
    let (client, _) = tokio::join!(Client::open(near, &options, session), server.welcome());
    let mut client = client.map_err(|(error, _)| error).unwrap();
    let Some(Packet::Publish(two)) = server.hear().await else { panic!("expected PUBLISH") };
    assert!(two.dup && two.payload == "two", "{two:?}");
    server.say(Packet::PubAck(Ack::success(two.packet_id.unwrap()))).await;
    assert!(matches!(client.next().await.unwrap(), Heard::Acknowledged(_)));
    assert!(client.into_session().is_settled());
}

#[tokio::test(start_paused = true)]
async fn mqtt_subscribe_retry_no_suback_is_noticed() {
    let (mut client, mut server) = connected().await;
    client.subscribe(&["a/+", "b/#"]).await.unwrap();
    let Some(Packet::Subscribe(ask)) = server.hear().await else { panic!("expected SUBSCRIBE") };
    assert_eq!(ask.filters.len(), 2);
    assert_eq!(client.next().await.unwrap_err().to_string(), "no SUBACK within 5 s");
}

#[tokio::test(start_paused = true)]
async fn mqtt_no_ack_pingresp_is_noticed() {
    let (mut client, mut server) = connected().await;
    let waiting = tokio::spawn(async move { client.next().await });
    assert_eq!(server.hear().await, Some(Packet::PingReq));
    assert_eq!(waiting.await.unwrap().unwrap_err().to_string(), "no PINGRESP within 5 s");
}

#[tokio::test(start_paused = true)]
async fn keeps_an_idle_connection_alive() {
    let (mut client, mut server) = connected().await;
    let waiting = tokio::spawn(async move { client.next().await });
    for _ in 0..5 {
        assert_eq!(server.hear().await, Some(Packet::PingReq));
        server.say(Packet::PingResp).await;
    }
    server.say(Packet::Publish(Publish::new("a", "b"))).await;
    assert!(matches!(waiting.await.unwrap().unwrap(), Heard::Message(_)));
}

#[tokio::test]
async fn mqtt_client_puback_qos1_acknowledges_what_it_hears() {
    let (mut client, mut server) = connected().await;
    let id = PacketId::new(77).unwrap();
    server.say(Packet::Publish(Publish::new("a", "b").at_least_once(id))).await;
    let Heard::Message(message) = client.next().await.unwrap() else { panic!("no message") };
    assert_eq!(message.payload, "b");
    let waiting = tokio::spawn(async move { client.next().await });
    let Some(Packet::PubAck(ack)) = server.hear().await else { panic!("expected PUBACK") };
    assert_eq!(ack.packet_id, id);
    waiting.abort();
}

#[tokio::test]
async fn says_why_the_connection_is_over() {
    let (mut client, server) = connected().await;
    drop(server);
    assert_eq!(client.next().await.unwrap_err().to_string(), "the server closed the connection");
    let (mut client, mut server) = connected().await;
    server.say(Packet::PingReq).await;
    let error = client.next().await.unwrap_err().to_string();
    assert_eq!(error, "protocol error at PINGREQ: a server does not send it");
}

#[tokio::test]
async fn hears_the_answer_to_a_subscription() {
    let (mut client, mut server) = connected().await;
    client.subscribe(&["a", "b"]).await.unwrap();
    let Some(Packet::Subscribe(ask)) = server.hear().await else { panic!("expected SUBSCRIBE") };
    let reasons = vec![ReasonCode::GRANTED_QOS_1, ReasonCode::UNSPECIFIED_ERROR];
    let answer = SubAck { packet_id: ask.packet_id, reasons: reasons.clone(), properties: None };
    server.say(Packet::SubAck(answer)).await;
    assert_eq!(client.next().await.unwrap(), Heard::Subscribed(reasons));
    client.unsubscribe(&["a"]).await.unwrap();
    assert!(matches!(server.hear().await, Some(Packet::Unsubscribe(_))));
}

#[tokio::test(start_paused = true)]
async fn a_deaf_client_behaves_as_if_the_network_had_lost_the_packet() {
    let (mut client, mut server) = connected().await;
    client.session_mut().deafen(Deafness { packet: "PUBACK", times: 1 });
    client.publish("a", "b", QoS::AtLeastOnce).await.unwrap();
    let Some(Packet::Publish(message)) = server.hear().await else { panic!("expected PUBLISH") };
    server.say(Packet::PubAck(Ack::success(message.packet_id.unwrap()))).await;
    assert_eq!(client.next().await.unwrap_err().to_string(), "no PUBACK within 5 s");
}

#[tokio::test]
async fn leaves_with_a_goodbye() {
    let (client, mut server) = connected().await;
    client.close().await;
    assert!(matches!(server.hear().await, Some(Packet::Disconnect(_))));
    assert_eq!(server.hear().await, None);
}

#[test]
fn packet_ids_are_never_used_twice_at_a_time() {
    let mut session = Session::default();
    let kept = session.next_id();
    session.keep(Publish::new("a", "b").at_least_once(kept));
    for _ in 0..70_000 {
        assert_ne!(session.next_id(), kept);
    }
}
