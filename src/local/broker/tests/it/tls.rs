//! Mutual TLS: whose certificate gets in, and what the authority learns of it.
//!
//! Certificates are made for each test; the authority knows them byte for byte.

use std::sync::Arc;

use iotstack_local_broker::{Listener, Origin, Settings};
use iotstack_local_kernel::Admission;
use iotstack_mqtt::tls::{ALPN_MQTT, ClientSettings, Identity, ServerName, TlsConnector, Versions};
use iotstack_mqtt::wire::*;
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpStream;

use crate::world::*;

struct Made {
    pem: String,
    identity: Identity,
}

fn made(name: &str) -> Made {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let identity = Identity::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap();
    Made { pem: certificate.pem(), identity }
}

struct Secure {
    world: World,
    listener: Listener,
    clients: ClientSettings,
}

impl Secure {
    fn new() -> Self {
        Secure::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let world = World::with(settings);
        let server = made("localhost");
        let listener =
            world.broker.listen("127.0.0.1:0".parse().unwrap(), server.identity).unwrap();
        let clients = ClientSettings::trusting(&server.pem, Versions::Both).unwrap();
        Secure { world, listener, clients }
    }

    fn register(&self, identity: &Identity, admission: Admission) {
        let mut known = self.world.authority.certificates.lock().unwrap();
        known.insert(identity.certificate().to_vec(), admission);
    }

    async fn connect(&self, clients: &ClientSettings, identity: &Identity) -> Option<Client> {
        let stream = TcpStream::connect(self.listener.address()).await.unwrap();
        let connector = TlsConnector::from(clients.with_identity(identity));
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, stream).await.ok()?;
        let mut client = Client::on(stream, Version::V311);
        // With TLS 1.3 a client learns only now that it was refused.
        let connect = Packet::Connect(Box::new(v311("lamp")));
        let mut bytes = bytes::BytesMut::new();
        encode(&connect, Version::V311, LARGEST, &mut bytes).unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut client.stream, &bytes).await.ok()?;
        match client.next().await {
            Some(Packet::ConnAck(answer)) if answer.is_accepted() => Some(client),
            _ => None,
        }
    }
}

#[tokio::test]
async fn lets_only_active_certificates_in() {
    let secure = Secure::new();
    let lamp = made("lamp").identity;
    for (admission, gets_in) in [
        (Admission::Active, true),
        (Admission::FirstSeen, true),
        (Admission::Inactive, false),
        (Admission::Unknown, false),
    ] {
        secure.register(&lamp, admission);
        let client = secure.connect(&secure.clients, &lamp).await;
        assert_eq!(client.is_some(), gets_in, "{admission:?}");
    }
    assert!(secure.connect(&secure.clients, &made("self-signed").identity).await.is_none());
    let failed = secure.world.heard.events("presence/connect_failed");
    assert!(failed.is_empty(), "nobody said who it was");
}

#[tokio::test]
async fn speaks_with_and_without_the_alpn_of_mqtt() {
    let secure = Secure::new();
    let lamp = made("lamp").identity;
    secure.register(&lamp, Admission::Active);
    for (alpn, gets_in) in [(&[ALPN_MQTT][..], true), (&[], true), (&[&b"http/1.1"[..]], false)] {
        let clients = secure.clients.clone().with_alpn(alpn);
        assert_eq!(secure.connect(&clients, &lamp).await.is_some(), gets_in);
    }
}

#[tokio::test]
async fn refuses_clients_that_name_no_server_if_it_is_told_to() {
    for needs_server_name in [false, true] {
        let secure = Secure::with(Settings { needs_server_name, ..Settings::default() });
        let lamp = made("lamp").identity;
        secure.register(&lamp, Admission::Active);
        assert!(secure.connect(&secure.clients, &lamp).await.is_some());
        let nameless = secure.clients.clone().without_server_name();
        assert_eq!(secure.connect(&nameless, &lamp).await.is_none(), needs_server_name);
    }
}

#[tokio::test]
async fn hands_the_certificate_to_the_authority() {
    let secure = Secure::new();
    let lamp = made("lamp").identity;
    secure.register(&lamp, Admission::Active);
    let mut client = secure.connect(&secure.clients, &lamp).await.unwrap();
    client.subscribe("a", QoS::AtLeastOnce).await;
    client.publish_to_self("a").await;
    let connected = secure.world.heard.events("presence/connected").remove(0);
    assert_eq!(connected["principalIdentifier"], "certificate");
}

impl Client {
    async fn publish_to_self(&mut self, topic: &str) {
        let id = self.next_id();
        self.send(Packet::Publish(Publish::new(topic, "x").at_least_once(id))).await;
        let both = [self.receive().await, self.receive().await];
        assert!(both.iter().any(|packet| matches!(packet, Packet::Publish(_))), "{both:?}");
        assert!(both.contains(&Packet::PubAck(Ack::success(id))), "{both:?}");
    }
}

#[tokio::test]
async fn a_plain_client_gets_nothing_from_the_port_of_tls() {
    let secure = Secure::new();
    let stream = TcpStream::connect(secure.listener.address()).await.unwrap();
    let mut client = Client::on(stream, Version::V311);
    client.send(Packet::Connect(Box::new(v311("lamp")))).await;
    assert!(!matches!(client.next().await, Some(Packet::ConnAck(_))));
    assert_eq!(secure.world.broker.connections(), 0);
}

#[tokio::test]
async fn serves_a_stream_that_is_handed_in_for_a_day() {
    let world = World::new();
    let (near, far) = tokio::io::duplex(4096);
    let origin = Origin {
        source: "127.0.0.1:1".parse().unwrap(),
        certificate: None,
        caller: Some(iotstack_local_kernel::Caller::Root),
        server_name: None,
        is_websocket: true,
    };
    let serving = tokio::spawn(Arc::clone(&world.broker).accept(far, origin));
    let mut client = Client::on(near, Version::V5);
    let connect = Connect { keep_alive: 1200, ..v5("browser") };
    client.send(Packet::Connect(Box::new(connect))).await;
    assert!(matches!(client.receive().await, Packet::ConnAck(_)));
    for _ in 0..24 * 4 - 1 {
        world.step(15 * 60);
        client.nothing().await;
    }
    world.step(15 * 60);
    assert_eq!(client.closed().await, Some(ReasonCode::ADMINISTRATIVE_ACTION));
    let ended = &world.heard.events("presence/disconnected")[0];
    assert_eq!(ended["disconnectReason"], "WEBSOCKET_TTL_EXPIRATION");
    serving.await.unwrap();
}
