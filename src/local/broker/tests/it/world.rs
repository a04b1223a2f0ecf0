//! A cloud with a broker and nothing else, and clients for it.
//!
//! The clock is stepped by hand. Nothing waits for luck: a client that must receive
//! nothing proves it by two answers to its pings, which would come after.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iotstack_local_broker::{Broker, Listener, Settings, install};
use iotstack_local_kernel::ports::MessageListener;
use iotstack_local_kernel::{
    Admission, Authority, Cloud, ConnectAttempt, Message, Publisher, Refused, Rights, testing,
};
use iotstack_mqtt::wire::*;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

pub const PATIENCE: Duration = Duration::from_secs(10);
pub const LARGEST: usize = 1024 * 1024;

pub struct World {
    pub cloud: Arc<Cloud>,
    pub broker: Arc<Broker>,
    pub authority: Arc<Rules>,
    pub heard: Arc<Heard>,
    pub listener: Listener,
}

impl World {
    pub fn new() -> Self {
        World::with(Settings::default())
    }

    pub fn standard() -> Self {
        World::with(Settings { standard_mqtt: true, ..Settings::default() })
    }

    pub fn with(settings: Settings) -> Self {
        World::on(testing::cloud(), settings)
    }

    pub fn on(cloud: Arc<Cloud>, settings: Settings) -> Self {
        let authority = Arc::new(Rules::default());
        cloud.ports.serve_authority(authority.clone());
        let heard = Arc::new(Heard::default());
        cloud.ports.add_listener(heard.clone());
        let broker = install(&cloud, settings).unwrap();
        let listener = broker.listen_plain("127.0.0.1:0".parse().unwrap()).unwrap();
        World { cloud, broker, authority, heard, listener }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// A client of MQTT 3.1.1 with a clean session.
    pub async fn client(&self, id: &str) -> Client {
        let (client, answer) = self.connect(v311(id)).await;
        assert!(answer.is_accepted(), "{answer:?}");
        client
    }

    /// A client of MQTT 5 with a clean session.
    pub async fn client5(&self, id: &str) -> Client {
        let (client, answer) = self.connect(v5(id)).await;
        assert!(answer.is_accepted(), "{answer:?}");
        client
    }

    pub async fn connect(&self, connect: Connect) -> (Client, ConnAck) {
        let mut client = self.open(connect.version).await;
        client.send(Packet::Connect(Box::new(connect))).await;
        let Packet::ConnAck(answer) = client.receive().await else { panic!("no CONNACK") };
        (client, *answer)
    }

    /// A client that has said nothing.
    pub async fn open(&self, version: Version) -> Client {
        Client::on(TcpStream::connect(self.address()).await.unwrap(), version)
    }

    pub fn step(&self, seconds: u64) {
        self.cloud.clock.step(Duration::from_secs(seconds));
    }
}

pub fn v311(id: &str) -> Connect {
    Connect { client_id: id.into(), clean_start: true, keep_alive: 60, ..Connect::default() }
}

pub fn v5(id: &str) -> Connect {
    Connect { version: Version::V5, ..v311(id) }
}

/// The session outlives the connection.
pub fn kept(mut connect: Connect) -> Connect {
    connect.clean_start = false;
    if connect.version == Version::V5 {
        connect.properties.session_expiry = 600;
    }
    connect
}

pub fn with_will(mut connect: Connect, topic: &str) -> Connect {
    connect.will = Some(Will {
        topic: topic.into(),
        payload: "gone".into(),
        qos: QoS::AtLeastOnce,
        ..Will::default()
    });
    connect
}

pub fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

pub struct Client {
    pub stream: Box<dyn Duplex>,
    pub version: Version,
    reader: Reader,
    writer: Writer,
    last_id: u16,
}

impl Client {
    pub fn on(stream: impl Duplex + 'static, version: Version) -> Self {
        Client {
            stream: Box::new(stream),
            version,
            reader: Reader::new(),
            writer: Writer::new(),
            last_id: 0,
        }
    }

    pub async fn send(&mut self, packet: Packet) {
        self.writer.write(&mut self.stream, &packet, self.version, LARGEST).await.unwrap();
    }

    pub async fn raw(&mut self, bytes: &[u8]) {
        tokio::io::AsyncWriteExt::write_all(&mut self.stream, bytes).await.unwrap();
    }

    /// The next packet; `None` when the server has closed.
    pub async fn next(&mut self) -> Option<Packet> {
        let read = self.reader.read(&mut self.stream, self.version, LARGEST);
        tokio::time::timeout(PATIENCE, read).await.expect("nothing came").unwrap_or(None)
    }

    pub async fn receive(&mut self) -> Packet {
        self.next().await.expect("the server closed")
    }

    pub async fn message(&mut self) -> Publish {
        match self.receive().await {
            Packet::Publish(message) => message,
            other => panic!("{other:?} instead of a message"),
        }
    }

    /// The next message, acknowledged.
    pub async fn take(&mut self) -> Publish {
        let message = self.message().await;
        if let Some(id) = message.packet_id {
            self.send(Packet::PubAck(Ack::success(id))).await;
        }
        message
    }

    pub async fn nothing(&mut self) {
        for _ in 0..2 {
            self.send(Packet::PingReq).await;
            let packet = self.receive().await;
            assert_eq!(packet, Packet::PingResp);
        }
    }

    /// The server closes, without or with a word.
    pub async fn closed(&mut self) -> Option<ReasonCode> {
        match self.next().await {
            None => None,
            Some(Packet::Disconnect(goodbye)) => {
                assert_eq!(self.next().await, None);
                Some(goodbye.reason)
            }
            Some(other) => panic!("{other:?} instead of the end"),
        }
    }

    pub fn next_id(&mut self) -> PacketId {
        self.last_id += 1;
        id(self.last_id)
    }

    pub async fn subscribe(&mut self, filter: &str, qos: QoS) -> ReasonCode {
        self.subscribe_all(vec![Subscription::new(filter, qos)]).await[0]
    }

    pub async fn subscribe_all(&mut self, filters: Vec<Subscription>) -> Vec<ReasonCode> {
        let packet_id = self.next_id();
        self.send(subscribe(packet_id, filters)).await;
        match self.receive().await {
            Packet::SubAck(answer) => {
                assert_eq!(answer.packet_id, packet_id);
                answer.reasons
            }
            other => panic!("{other:?} instead of a SUBACK"),
        }
    }

    pub async fn unsubscribe(&mut self, filter: &str) -> SubAck {
        let packet_id = self.next_id();
        self.send(Packet::Unsubscribe(Unsubscribe {
            packet_id,
            filters: vec![filter.into()],
            user_properties: Vec::new(),
        }))
        .await;
        match self.receive().await {
            Packet::UnsubAck(answer) => answer,
            other => panic!("{other:?} instead of an UNSUBACK"),
        }
    }

    /// Publishes at QoS 1 and gives the code of the acknowledgement.
    pub async fn publish(&mut self, topic: &str, payload: &str) -> ReasonCode {
        let message = Publish::new(topic, payload.to_owned());
        self.publish_message(message).await
    }

    pub async fn retain(&mut self, topic: &str, payload: &str) -> ReasonCode {
        let message = Publish { retain: true, ..Publish::new(topic, payload.to_owned()) };
        self.publish_message(message).await
    }

    pub async fn publish_message(&mut self, message: Publish) -> ReasonCode {
        let id = self.next_id();
        self.send(Packet::Publish(message.at_least_once(id))).await;
        match self.receive().await {
            Packet::PubAck(ack) => {
                assert_eq!(ack.packet_id, id);
                ack.reason
            }
            other => panic!("{other:?} instead of a PUBACK"),
        }
    }

    pub async fn disconnect(mut self) {
        self.send(Packet::Disconnect(Disconnect::new(ReasonCode::SUCCESS))).await;
        assert_eq!(self.closed().await, None);
    }
}

pub fn subscribe(packet_id: PacketId, filters: Vec<Subscription>) -> Packet {
    let (subscription_id, user_properties) = (None, Vec::new());
    Packet::Subscribe(Subscribe { packet_id, filters, subscription_id, user_properties })
}

/// Waits until something holds, with a bound.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Everybody may connect but `denied…` and `stranger…`; nobody may publish to or
/// subscribe to `secret/…`, retain on `fleeting/…`, or receive `hidden/…`.
#[derive(Default)]
pub struct Rules {
    pub certificates: Mutex<HashMap<Vec<u8>, Admission>>,
    pub withdrawn: Arc<AtomicBool>,
    pub attempts: Mutex<Vec<(String, Option<String>, bool)>>,
}

struct Granted {
    publisher: Arc<Publisher>,
    withdrawn: Arc<AtomicBool>,
}

impl Authority for Rules {
    fn admits(&self, certificate: &[u8]) -> Admission {
        let known = self.certificates.lock().unwrap();
        known.get(certificate).copied().unwrap_or(Admission::Unknown)
    }

    fn connect(&self, attempt: &ConnectAttempt<'_>) -> Result<Arc<dyn Rights>, Refused> {
        self.attempts.lock().unwrap().push((
            attempt.client_id.to_owned(),
            attempt.last_will.map(str::to_owned),
            attempt.persistent,
        ));
        if attempt.client_id.starts_with("denied") {
            return Err(Refused::NotAuthorized);
        }
        if attempt.client_id.starts_with("stranger") {
            return Err(Refused::NotAuthenticated);
        }
        let publisher = Publisher {
            client_id: attempt.client_id.into(),
            principal: attempt.certificate.map_or("anonymous", |_| "certificate").into(),
            thing: Some(attempt.client_id.into()),
            source: attempt.source,
        };
        assert!(matches!(publisher.source, IpAddr::V4(address) if address.is_loopback()));
        Ok(Arc::new(Granted { publisher: Arc::new(publisher), withdrawn: self.withdrawn.clone() }))
    }
}

impl Rights for Granted {
    fn publisher(&self) -> &Arc<Publisher> {
        &self.publisher
    }
    fn may_publish(&self, topic: &str, retain: bool) -> bool {
        !topic.starts_with("secret/") && (!retain || !topic.starts_with("fleeting/"))
    }
    fn may_subscribe(&self, filter: &str) -> bool {
        !filter.starts_with("secret/")
    }
    fn may_receive(&self, topic: &str) -> bool {
        !topic.starts_with("hidden/")
    }
    fn holds(&self) -> bool {
        !self.withdrawn.load(Ordering::SeqCst)
    }
}

/// What topic rules would hear.
#[derive(Default)]
pub struct Heard {
    pub messages: Mutex<Vec<Message>>,
    pub ingested: Mutex<Vec<(String, Message)>>,
}

impl Heard {
    pub fn topics(&self) -> Vec<String> {
        self.messages.lock().unwrap().iter().map(|each| each.topic.to_string()).collect()
    }

    pub fn events(&self, kind: &str) -> Vec<serde_json::Value> {
        let messages = self.messages.lock().unwrap();
        let of_kind = |each: &&Message| each.topic.starts_with(&format!("$aws/events/{kind}/"));
        messages
            .iter()
            .filter(of_kind)
            .map(|each| serde_json::from_slice(&each.payload).unwrap())
            .collect()
    }
}

impl MessageListener for Heard {
    fn heard(&self, message: &Message) {
        self.messages.lock().unwrap().push(message.clone());
    }
    fn ingested(&self, rule: &str, message: &Message) {
        self.ingested.lock().unwrap().push((rule.to_owned(), message.clone()));
    }
}
