//! Bytes that are no packets, and clients that do not go on.
//!
//! Each of them costs its own connection and nobody else's.

use std::time::Duration;

use iotstack_local_broker::Settings;
use iotstack_mqtt::wire::*;

use crate::world::*;

#[tokio::test]
async fn closes_on_malformed_packets_with_the_code_of_mqtt_5() {
    let world = World::new();
    let cases: &[(&[u8], ReasonCode)] = &[
        (b"\x30\x06\x00\x03a/#\x00", ReasonCode::TOPIC_NAME_INVALID),
        (b"\x30\x06\x00\x03a\0b\x00", ReasonCode::TOPIC_NAME_INVALID),
        (b"\x82\x0b\x00\x01\x00\x00\x05a/#/b\x00", ReasonCode::TOPIC_FILTER_INVALID),
        (b"\xc0\x01\x00", ReasonCode::MALFORMED_PACKET),
        (b"\x30\xff\xff\xff\xff\x7f", ReasonCode::MALFORMED_PACKET),
        (b"\x32\x06\x00\x01a\x00\x00\x00", ReasonCode::MALFORMED_PACKET),
        (b"\x30\x04\x00\x00\x00x", ReasonCode::PROTOCOL_ERROR),
        (b"\x50\x02\x00\x01", ReasonCode::PROTOCOL_ERROR),
        (b"\x20\x03\x00\x00\x00", ReasonCode::PROTOCOL_ERROR),
        (b"\x30\xff\xff\xff\x7f", ReasonCode::QUOTA_EXCEEDED),
    ];
    for (bytes, code) in cases {
        let mut client = world.client5("rude").await;
        client.raw(bytes).await;
        assert_eq!(client.closed().await, Some(*code), "{bytes:x?}");
        let mut client = world.client("rude").await;
        client.raw(bytes).await;
        assert_eq!(client.closed().await, None, "{bytes:x?}");
    }
    // And it goes on serving everybody else.
    world.client("polite").await.nothing().await;
}

#[tokio::test]
async fn closes_on_garbage_before_a_connect() {
    let world = World::new();
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01", b"\x10\xff\xff\xff\x7f"]
    {
        let mut client = world.open(Version::V311).await;
        client.raw(bytes).await;
        assert_eq!(client.closed().await, None, "{bytes:x?}");
    }
}

#[tokio::test]
async fn does_not_wait_forever_for_a_connect() {
    let greeting_time = Duration::from_millis(50);
    let world = World::with(Settings { greeting_time, ..Settings::default() });
    let mut silent = world.open(Version::V311).await;
    assert_eq!(silent.closed().await, None);
    let mut slow = world.open(Version::V311).await;
    slow.raw(b"\x10\x0d\x00\x04MQ").await;
    assert_eq!(slow.closed().await, None);
}

#[tokio::test]
async fn drops_messages_for_a_receiver_that_does_not_read_and_serves_the_others() {
    let world = World::new();
    let mut deaf = world.client("deaf").await;
    deaf.subscribe("a", QoS::AtMostOnce).await;
    let mut publisher = world.client("publisher").await;
    let payload = "x".repeat(100_000);
    for _ in 0..400 {
        assert_eq!(publisher.publish("a", &payload).await, ReasonCode::SUCCESS);
    }
    // 40 MB were published; no more than the queue and the socket hold is kept.
    let mut received = 0;
    loop {
        deaf.send(Packet::PingReq).await;
        let before = received;
        while let Packet::Publish(_) = deaf.receive().await {
            received += 1;
        }
        if received == before {
            break;
        }
    }
    assert!((150..400).contains(&received), "{received} of 400 came");
    publisher.publish("a", "live").await;
    assert_eq!(&deaf.message().await.payload[..], b"live");
}
