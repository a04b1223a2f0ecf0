//! What a fleet costs: memory of an idle device, time to claim, connect and update.
//!
//! The other end is a process of its own, this program started again, so that only the
//! devices are measured. It is no broker: it says yes to everything.
//!
//! `cargo bench -p iotstack-sim --bench idle -- 1000` plays a thousand devices.

// A benchmark that cannot go on says so by panicking.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use iotstack_mqtt::tls::{ClientGate, Identity, ServerSettings, TlsAcceptor};
use iotstack_mqtt::wire::{
    Ack, ConnAck, LARGEST_PACKET, Packet, Publish, Reader, ReasonCode, SubAck, Version, Writer,
};
use iotstack_sim::{
    Address, Claiming, DevicePlan, Fleet, KeyOrigin, KeyPair, Pace, Profile, Silence, Target,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa,
    KeyPair as Generated,
};
use serde_json::{Value, json};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match words.first().map(String::as_str) {
        Some("serve") => runtime.block_on(serve()),
        first => {
            let size = first.and_then(|word| word.parse().ok()).unwrap_or(500);
            runtime.block_on(play(size));
        }
    }
}

async fn play(size: usize) {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .arg("serve")
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let text = |name: &str| said[name].as_str().unwrap().to_owned();
    let port = said["port"].as_u64().unwrap() as u16;
    let broker = Address { host: "127.0.0.1".to_owned(), port };
    let mut target = Target::new(broker, "bench");
    target.authority = Some(text("authority"));
    target.server_name = Some("localhost".to_owned());
    target.claim = Some(Claiming {
        claim: KeyPair { certificate: text("certificate"), private_key: text("key") },
        template: "bench".to_owned(),
        serial_parameter: "SerialNumber".to_owned(),
        parameters: BTreeMap::new(),
        key: KeyOrigin::Device,
    });
    target.pace = Pace { connects_per_second: 1000.0, ..Pace::local() };
    target.sources = (1..=4).map(|last| [127, 0, 0, last].into()).collect();
    let profile = Arc::new(Profile::default());
    let device = |number: usize| DevicePlan {
        serial: number.to_string(),
        profile: profile.clone(),
        fault: None,
    };
    let plan: Vec<_> = (0..size).map(device).collect();
    let (memory, cpu, began) = (resident(), cpu(), Instant::now());
    let fleet = Fleet::start(&plan, 0..size, target, 1, Arc::new(Silence)).unwrap();
    let is_ready = |counts: &iotstack_sim::Counts| counts.ready == size as u64;
    assert!(fleet.wait(Duration::from_secs(300), is_ready).await, "{:?}", fleet.counts());
    let took = began.elapsed();
    // What was needed to get there is given back soon.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let each = (resident() - memory) as f64 / size as f64;
    let work = (self::cpu() - cpu) * 1000.0 / size as f64;
    println!("{size} devices are ready after {:.1} s", took.as_secs_f64());
    println!("{each:.1} KB and {work:.2} ms of CPU for each (claim, two handshakes, idle)");
    drop(fleet.stop().await);
    drop(server.stdin.take());
    server.wait().unwrap();
}

#[derive(Debug)]
struct Everybody;

impl ClientGate for Everybody {
    fn admit(&self, _: &[u8], _: &[&[u8]]) -> bool {
        true
    }
}

type Issuer = CertifiedIssuer<'static, Generated>;

async fn serve() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Arc::new(Issuer::self_signed(params, Generated::generate().unwrap()).unwrap());
    let key = Generated::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap();
    let identity = Identity::from_pem(&own.pem(), &key.serialize_pem()).unwrap();
    let tls = ServerSettings::mutual(identity, Arc::new(Everybody)).build().unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let claim_key = Generated::generate().unwrap();
    let claim = CertificateParams::default().signed_by(&claim_key, &issuer).unwrap();
    println!(
        "{}",
        json!({"port": listener.local_addr().unwrap().port(), "authority": issuer.pem(),
               "certificate": claim.pem(), "key": claim_key.serialize_pem()})
    );
    // The other process is gone when its end of the pipe is.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    let acceptor = TlsAcceptor::from(tls);
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, issuer) = (acceptor.clone(), issuer.clone());
        tokio::spawn(async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let (mut reader, mut writer) = (Reader::new(), Writer::new());
            while let Ok(Some(packet)) =
                reader.read(&mut stream, Version::V311, LARGEST_PACKET).await
            {
                for answer in answers(packet, &issuer) {
                    writer.push(&answer, Version::V311, LARGEST_PACKET).unwrap();
                }
                if writer.flush(&mut stream).await.is_err() {
                    return;
                }
            }
        });
    }
}

fn answers(packet: Packet, issuer: &Issuer) -> Vec<Packet> {
    match packet {
        Packet::Connect(_) => {
            vec![Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::SUCCESS, false)))]
        }
        Packet::Subscribe(ask) => vec![Packet::SubAck(SubAck {
            packet_id: ask.packet_id,
            reasons: vec![ReasonCode::GRANTED_QOS_1; ask.filters.len()],
            properties: None,
        })],
        Packet::PingReq => vec![Packet::PingResp],
        Packet::Publish(message) => {
            let mut answers = Vec::new();
            if let Some(id) = message.packet_id {
                answers.push(Packet::PubAck(Ack::success(id)));
            }
            let body: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
            let reply = match &*message.topic {
                "$aws/certificates/create-from-csr/json" => {
                    let csr = body["certificateSigningRequest"].as_str().unwrap();
                    let csr = CertificateSigningRequestParams::from_pem(csr).unwrap();
                    json!({"certificatePem": csr.signed_by(issuer).unwrap().pem(),
                           "certificateOwnershipToken": "t"})
                }
                topic if topic.ends_with("/provision/json") => {
                    let serial = body["parameters"]["SerialNumber"].as_str().unwrap();
                    json!({"thingName": format!("bench-{serial}")})
                }
                topic if topic.ends_with("/start-next") => {
                    json!({"clientToken": body["clientToken"]})
                }
                _ => return answers,
            };
            let topic = format!("{}/accepted", message.topic);
            answers.push(Packet::Publish(Publish::new(topic, reply.to_string())));
            answers
        }
        _ => Vec::new(),
    }
}

/// What this process has in memory, in KB; 0 where the system does not say.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4
}

/// The CPU time of this process, in seconds; 0 where the system does not say.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    // User and system time, in hundredths of a second on every Linux there is.
    (ticks(12).unwrap_or(0.0) + ticks(13).unwrap_or(0.0)) / 100.0
}
