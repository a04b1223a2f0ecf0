//! What the broker costs: kilobytes per connection and processor time per handshake
//! and message.
//!
//! The clients run in a process of their own, so that the figures are the broker's
//! alone: `cargo bench -p iotstack-local-broker -- [connections] [messages]`. Echoes go
//! 50 at a time, ping-pong one at a time. Time is
//! processor time of all threads, which a busy machine does not change much. The
//! authority allows everything after looking at the topic, so real policies come on
//! top. Reads `/proc`, so it measures on Linux only.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use iotstack_local_broker::{Settings, install, raise_file_limit};
use iotstack_local_kernel::{Account, Clock, Cloud, Store};
use iotstack_mqtt::tls::{ClientSettings, Identity, ServerName, TlsConnector, Versions};
use iotstack_mqtt::wire::*;
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use anybody::Anybody;

#[path = "../examples/anybody/mod.rs"]
mod anybody;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|each| each != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let number = |place: usize, otherwise: usize| {
        arguments.get(place).and_then(|each| each.parse().ok()).unwrap_or(otherwise)
    };
    match arguments.first().map(String::as_str) {
        Some("clients") => runtime.block_on(clients(&arguments[1..])),
        Some("broker") => {
            runtime.block_on(measure(&arguments[1], number(2, 0), number(3, 0)));
        }
        // A broker of its own for each kind: memory that one has freed would be used
        // by the other.
        _ => {
            for kind in ["tls", "plain"] {
                let (connections, messages) = (number(0, 2_000), number(1, 200_000));
                let status = Command::new(std::env::current_exe().unwrap())
                    .args(["broker", kind, &connections.to_string(), &messages.to_string()])
                    .status();
                assert!(status.unwrap().success());
            }
        }
    }
}

async fn measure(kind: &str, connections: usize, messages: usize) {
    raise_file_limit().unwrap();
    let cloud = Cloud::new(Account::default(), Clock::real(), Store::memory());
    cloud.ports.serve_authority(Arc::new(Anybody("forbidden/")));
    let broker = install(&cloud, Settings::default()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let identity = Identity::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = match kind {
        "tls" => broker.listen(any, identity).unwrap(),
        _ => broker.listen_plain(any).unwrap(),
    };
    let file = std::env::temp_dir().join(format!("broker-bench-{}.pem", std::process::id()));
    std::fs::write(&file, certificate.pem()).unwrap();
    let mut clients = Clients::start(kind, listener.address(), file.to_str().unwrap());
    // The first connections pay for what all share.
    clients.order("connect 64");
    let (memory, cpu) = (resident(), processor());
    clients.order(&format!("connect {connections}"));
    assert_eq!(broker.connections(), connections + 64);
    println!(
        "{kind}: {:.1} KB per connection, {:.3} ms per connect",
        (resident() - memory) / connections as f64,
        (processor() - cpu) / connections as f64 * 1000.0,
    );
    for (what, count) in [("publish", messages), ("echo", messages), ("ping-pong", messages / 10)] {
        let (cpu, wall) = (processor(), Instant::now());
        clients.order(&format!("{what} {count}"));
        let (cpu, wall) = (processor() - cpu, wall.elapsed().as_secs_f64());
        println!(
            "{kind}: {what} {:.1} µs per message, {:.0} a second",
            cpu / count as f64 * 1e6,
            count as f64 / wall,
        );
    }
    let cpu = processor();
    std::thread::sleep(std::time::Duration::from_secs(2));
    println!("{kind}: {:.1} ms per second while idle", (processor() - cpu) * 500.0);
    clients.stop();
    std::fs::remove_file(file).unwrap();
}

/// The process of the clients.
struct Clients {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Clients {
    fn start(kind: &str, address: SocketAddr, authority: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["clients", kind, &address.to_string(), authority])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Clients { process, answers }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), "done", "{order}");
    }

    fn stop(mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

async fn clients(arguments: &[String]) {
    raise_file_limit().unwrap();
    let address: SocketAddr = arguments[1].parse().unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["lamp".to_owned()]).unwrap().self_signed(&key).unwrap();
    let identity = Identity::from_pem(&own.pem(), &key.serialize_pem()).unwrap();
    let authority = std::fs::read_to_string(&arguments[2]).unwrap();
    let settings = ClientSettings::trusting(&authority, Versions::Both).unwrap();
    let connector =
        (arguments[0] == "tls").then(|| TlsConnector::from(settings.with_identity(&identity)));
    let mut kept = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (what, count) = line.split_once(' ').unwrap();
        let count: usize = count.parse().unwrap();
        match what {
            "connect" => {
                let mut joining = tokio::task::JoinSet::new();
                let first = kept.len();
                for number in first..first + count {
                    if joining.len() >= 64 {
                        kept.push(joining.join_next().await.unwrap().unwrap());
                    }
                    joining.spawn(connect(connector.clone(), address, format!("lamp-{number}")));
                }
                while let Some(joined) = joining.join_next().await {
                    kept.push(joined.unwrap());
                }
            }
            "publish" => {
                let talker = connect(connector.clone(), address, "publisher".to_owned()).await;
                talk(talker, "nobody/listens", count, 50, 1).await;
            }
            "echo" | "ping-pong" => {
                let mut talker = connect(connector.clone(), address, "echo".to_owned()).await;
                let subscription_id = None;
                let filters = vec![Subscription::new("echo/me", QoS::AtLeastOnce)];
                let (packet_id, user_properties) = (PacketId::MIN, Vec::new());
                let wanted = Subscribe { packet_id, filters, subscription_id, user_properties };
                talker.write(&Packet::Subscribe(wanted)).await;
                assert!(matches!(talker.read().await, Packet::SubAck(_)));
                let batch = if what == "echo" { 50 } else { 1 };
                talk(talker, "echo/me", count, batch, 2).await;
            }
            other => panic!("{other}"),
        }
        println!("done");
    }
}

struct Talker {
    stream: Box<dyn Duplex>,
    reader: Reader,
    writer: Writer,
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

impl Talker {
    async fn write(&mut self, packet: &Packet) {
        self.writer.write(&mut self.stream, packet, Version::V311, 100_000).await.unwrap();
    }

    async fn read(&mut self) -> Packet {
        self.reader.read(&mut self.stream, Version::V311, 100_000).await.unwrap().unwrap()
    }
}

async fn connect(connector: Option<TlsConnector>, address: SocketAddr, id: String) -> Talker {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let stream: Box<dyn Duplex> = match connector {
        None => Box::new(stream),
        Some(connector) => {
            let name = ServerName::try_from("localhost").unwrap();
            Box::new(connector.connect(name, stream).await.unwrap())
        }
    };
    let mut talker = Talker { stream, reader: Reader::new(), writer: Writer::new() };
    let connect =
        Connect { client_id: id.into(), clean_start: true, keep_alive: 1200, ..Connect::default() };
    talker.write(&Packet::Connect(Box::new(connect))).await;
    assert!(matches!(talker.read().await, Packet::ConnAck(answer) if answer.is_accepted()));
    talker
}

/// Publishes at QoS 1, `batch` messages at a time; each brings `answers` packets.
async fn talk(mut talker: Talker, topic: &'static str, count: usize, batch: usize, answers: usize) {
    let payload = bytes::Bytes::from_static(&[b'x'; 128]);
    for _ in 0..count / batch {
        for id in 1..=batch as u16 {
            let message = Publish::new(topic, payload.clone());
            let message = message.at_least_once(PacketId::new(id).unwrap());
            talker.writer.push(&Packet::Publish(message), Version::V311, 100_000).unwrap();
        }
        talker.writer.flush(&mut talker.stream).await.unwrap();
        for _ in 0..batch * answers {
            if let Packet::Publish(message) = talker.read().await {
                let id = message.packet_id.unwrap();
                talker
                    .writer
                    .push(&Packet::PubAck(Ack::success(id)), Version::V311, 100_000)
                    .unwrap();
            }
        }
        talker.writer.flush(&mut talker.stream).await.unwrap();
    }
}

/// Kilobytes that this process holds.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Seconds that all threads of this process have run.
fn processor() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let run = |folder: std::fs::DirEntry| -> Option<f64> {
        let text = std::fs::read_to_string(folder.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    threads.filter_map(|thread| run(thread.ok()?)).sum::<f64>() / 1e9
}
