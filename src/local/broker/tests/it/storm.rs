//! Everything at once: clients that come, go, subscribe and publish under a few client
//! ids, while connections are ended from outside and the clock jumps.
//!
//! What each of them sees is left open; the broker must neither hang nor lose count,
//! and serve as before when the storm is over. The storm is the same in every run but
//! for the order in which the threads do their part.

use std::sync::Arc;
use std::time::Duration;

use iotstack_local_broker::Misbehaviour;
use iotstack_local_kernel::CloudEvent;
use iotstack_local_kernel::ports::Messages;
use iotstack_mqtt::wire::*;
use tokio::time::timeout;

use crate::world::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn survives_a_storm_and_keeps_count() {
    let world = Arc::new(World::new());
    let mut tasks = tokio::task::JoinSet::new();
    for seed in 0..8 {
        let world = world.clone();
        tasks.spawn(async move {
            let mut dice = Dice(seed * 7919 + 1);
            for _ in 0..60 {
                // A client may be thrown out at any moment, so its errors are none.
                let _ = timeout(Duration::from_secs(5), visit(&world, &mut dice)).await;
            }
        });
    }
    let unrest = tokio::spawn({
        let world = world.clone();
        async move {
            let mut dice = Dice(17);
            loop {
                let id = format!("client-{}", dice.below(6));
                match dice.below(6) {
                    0 => drop(world.broker.disconnect(&id, dice.below(2) == 0, dice.below(2) == 0)),
                    1 => drop(world.broker.kick(&id)),
                    2 => drop(world.broker.connection(&id)),
                    3 => world.step(20),
                    4 => world.cloud.bus.tell(&CloudEvent::RightsChanged),
                    _ => {
                        let withholds_puback = dice.below(2) == 0;
                        let fault = Misbehaviour { withholds_puback, ..Misbehaviour::default() };
                        world.broker.misbehave(&id, fault);
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let all = async { while tasks.join_next().await.transpose().unwrap().is_some() {} };
    timeout(Duration::from_secs(60), all).await.expect("the storm never ends");
    unrest.abort();

    eventually("everybody is gone", || world.broker.connections() == 0).await;
    for number in 0..6 {
        let id = format!("client-{number}");
        world.broker.misbehave(&id, Misbehaviour::default());
        world.broker.disconnect(&id, true, true);
        assert!(world.broker.connection(&id).is_none(), "{id}");
    }
    let mut client = world.client("client-0").await;
    client.subscribe("calm", QoS::AtLeastOnce).await;
    let mut other = world.client5("client-1").await;
    assert_eq!(other.publish("calm", "x").await, ReasonCode::SUCCESS);
    assert_eq!(&client.take().await.payload[..], b"x");
    // Nobody gets anything for a filter of the storm.
    assert_eq!(other.publish("storm/1", "x").await, ReasonCode::SUCCESS);
    client.nothing().await;
    other.nothing().await;
    assert_eq!(world.broker.connections(), 2);
}

/// One connection with a few random packets.
async fn visit(world: &World, dice: &mut Dice) -> Option<()> {
    let id = format!("client-{}", dice.below(6));
    let mut connect = if dice.below(2) == 0 { v311(&id) } else { v5(&id) };
    if dice.below(2) == 0 {
        connect = kept(connect);
    }
    if dice.below(3) == 0 {
        connect = with_will(connect, "storm/wills");
    }
    let version = connect.version;
    let mut client = world.open(version).await;
    let mut packets = vec![Packet::Connect(Box::new(connect))];
    for number in 1..=dice.below(12) as u16 + 1 {
        let topic = format!("storm/{}", dice.below(4));
        let filters =
            ["storm/1", "storm/+", "storm/#", "$share/crew/storm/+", "$share/crew/storm/2"];
        let filter = filters[dice.below(5) as usize];
        let packet_id = PacketId::new(number).unwrap();
        let message = Publish { retain: dice.below(4) == 0, ..Publish::new(topic, vec![0; 100]) };
        packets.push(match dice.below(5) {
            0 => subscribe(packet_id, vec![Subscription::new(filter, QoS::AtLeastOnce)]),
            1 => Packet::Unsubscribe(Unsubscribe {
                packet_id,
                filters: vec![filter.into()],
                user_properties: Vec::new(),
            }),
            2 => Packet::Publish(message),
            3 => Packet::PingReq,
            _ => Packet::Publish(message.at_least_once(packet_id)),
        });
    }
    if dice.below(2) == 0 {
        packets.push(Packet::Disconnect(Disconnect::new(ReasonCode::SUCCESS)));
    }
    let mut bytes = bytes::BytesMut::new();
    for packet in &packets {
        encode(packet, version, LARGEST, &mut bytes).unwrap();
    }
    tokio::io::AsyncWriteExt::write_all(&mut client.stream, &bytes).await.ok()?;
    for _ in 0..dice.below(8) {
        let packet = timeout(Duration::from_millis(5), client.next()).await.ok()??;
        if let Packet::Publish(Publish { packet_id: Some(id), .. }) = packet {
            let mut bytes = bytes::BytesMut::new();
            encode(&Packet::PubAck(Ack::success(id)), version, LARGEST, &mut bytes).unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut client.stream, &bytes).await.ok()?;
        }
    }
    Some(())
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
