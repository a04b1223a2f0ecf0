//! What the registry costs a fleet: provisioning by claim, connecting, judging
//! messages, searching.
//!
//! It prints CPU times of one thread and the memory that each device takes. Other
//! work on the machine disturbs them little, as waiting is not counted.
//! Sockets, TLS and the broker are left out: they have a bench of their own.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iotstack_local_kernel::ports::{ConnectionInfo, Messages};
use iotstack_local_kernel::{
    Admission, Authority, Cloud, ConnectAttempt, Message, Publisher, QoS, Rights, Timestamp,
    testing,
};
use serde_json::{Value, json};

fn main() {
    // `cargo test --benches` only asks whether it starts.
    let devices = if std::env::args().any(|argument| argument == "--bench") { 15_000 } else { 20 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime without threads can always be built");
    runtime.block_on(run(devices));
}

async fn run(devices: usize) {
    let cloud = testing::cloud();
    iotstack_local_registry::install(&cloud).expect("an empty state can be restored");
    let broker = Arc::new(Answers::default());
    cloud.ports.serve_messages(broker.clone());
    let claim = prepare(&cloud).await;

    let before = memory();
    let certificates = provision(&cloud, &broker, &claim, devices);
    println!("memory of a device in the registry: {} bytes", (memory() - before) / devices);

    let authority = cloud.ports.authority().expect("the registry is the authority").clone();
    timed("admit a certificate", devices, || {
        for certificate in &certificates {
            assert_eq!(authority.admits(certificate), Admission::Active);
        }
    });
    let mut rights = Vec::new();
    timed("judge a CONNECT", devices, || rights = connect(&*authority, &certificates));
    // The first connections took memory that provisioning had given back.
    let before = memory();
    let more: Vec<_> = (0..SETS).map(|_| connect(&*authority, &certificates)).collect();
    let grown = memory().saturating_sub(before) / (SETS * devices);
    println!("memory of the rights of a connection: {grown} bytes");
    drop(more);

    let topics: Vec<String> =
        (0..devices).map(|number| format!("$aws/things/pump-{number}/jobs/job-1/update")).collect();
    let all = |judge: fn(&dyn Rights, &str) -> bool| {
        for _ in 0..ROUNDS {
            assert!(rights.iter().zip(&topics).all(|(rights, topic)| judge(&**rights, topic)));
        }
    };
    timed("judge a PUBLISH", devices * ROUNDS, || {
        all(|rights, topic| rights.may_publish(topic, false))
    });
    timed("judge a delivery", devices * ROUNDS, || all(|rights, topic| rights.may_receive(topic)));
    timed("see that nothing changed", devices * ROUNDS, || all(|rights, _| rights.holds()));

    let index = json!({"thingIndexingConfiguration": {"thingIndexingMode": "REGISTRY"}});
    call(&cloud, "UpdateIndexingConfiguration", index).await;
    let start = cpu_time();
    let query = json!({"queryString": "thingTypeName:pump AND thingName:pump-7*"});
    call(&cloud, "SearchIndex", query).await;
    println!("search all things: {:.1} ms", (cpu_time() - start) * 1e3);
}

/// A template, the policy of the devices, and a claim; gives the claim's id.
async fn prepare(cloud: &Cloud) -> String {
    let arn = "arn:aws:iot:us-east-1:123456789012:";
    let thing = "${iot:Connection.Thing.ThingName}";
    let jobs = |kind: &str| format!("{arn}{kind}/$aws/things/{thing}/jobs/*");
    let shadow = |kind: &str| format!("{arn}{kind}/$aws/things/{thing}/shadow/*");
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {
            "Effect": "Allow",
            "Action": "iot:Connect",
            "Resource": format!("{arn}client/{thing}"),
            "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
        },
        {"Effect": "Allow", "Action": "iot:Publish", "Resource": [
            format!("{arn}topic/$aws/things/{thing}/jobs/get"),
            format!("{arn}topic/$aws/things/{thing}/jobs/start-next"),
            format!("{arn}topic/$aws/things/{thing}/jobs/*/get"),
            format!("{arn}topic/$aws/things/{thing}/jobs/*/update"),
            format!("{arn}topic/$aws/things/{thing}/shadow/update"),
        ]},
        {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": [jobs("topicfilter"), shadow("topicfilter")]},
        {"Effect": "Allow", "Action": "iot:Receive", "Resource": [jobs("topic"), shadow("topic")]},
    ]});
    let body = json!({
        "Parameters": {"Serial": {"Type": "String"}, "AWS::IoT::Certificate::Id": {"Type": "String"}},
        "Resources": {
            "thing": {"Type": "AWS::IoT::Thing", "Properties": {
                "ThingName": {"Ref": "Serial"}, "ThingTypeName": "pump", "ThingGroups": ["pumps"],
            }},
            "certificate": {"Type": "AWS::IoT::Certificate", "Properties": {
                "CertificateId": {"Ref": "AWS::IoT::Certificate::Id"},
            }},
            "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": "device"}},
        },
    });
    let template = json!({
        "templateName": "fleet",
        "templateBody": body.to_string(),
        "enabled": true,
        "provisioningRoleArn": "arn:aws:iam::123456789012:role/provisioning",
    });
    call(
        cloud,
        "CreatePolicy",
        json!({"policyName": "device", "policyDocument": policy.to_string()}),
    )
    .await;
    call(cloud, "CreateThingType", json!({"thingTypeName": "pump"})).await;
    call(cloud, "CreateThingGroup", json!({"thingGroupName": "pumps"})).await;
    call(cloud, "CreateProvisioningTemplate", template).await;
    let claim = call(cloud, "CreateProvisioningClaim", json!({"templateName": "fleet"})).await;
    claim["certificateId"].as_str().unwrap_or_default().to_owned()
}

/// Provisions devices over the reserved topics; gives their certificates.
fn provision(cloud: &Cloud, broker: &Answers, claim: &str, devices: usize) -> Vec<Vec<u8>> {
    let _ = broker.principal.set(claim.into());
    let publisher = Arc::new(Publisher {
        client_id: "bench".into(),
        principal: claim.into(),
        thing: None,
        source: SOURCE,
    });
    let family = cloud.ports.reserved().remove(0);
    let ask = |topic: &str, payload: String| -> Value {
        family.receive(&publisher, &Message::new(topic, payload, cloud.clock.now()));
        let answer = broker.sent.lock().ok().and_then(|mut sent| sent.pop()).expect("an answer");
        assert!(answer.topic.ends_with("/accepted"), "{answer:?}");
        serde_json::from_slice(&answer.payload).expect("JSON")
    };
    let mut made = Vec::with_capacity(devices);
    // The same key for all: making keys is the business of devices.
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    let request = json!({"certificateSigningRequest": request.pem().expect("PEM")}).to_string();
    timed("certify a key", devices, || {
        let ask = |_| ask("$aws/certificates/create-from-csr/json", request.clone());
        made.extend((0..devices).map(ask));
    });
    timed("register a thing", devices, || {
        for (number, keys) in made.iter().enumerate() {
            let request = json!({
                "certificateOwnershipToken": keys["certificateOwnershipToken"],
                "parameters": {"Serial": format!("pump-{number}")},
            });
            ask("$aws/provisioning-templates/fleet/provision/json", request.to_string());
        }
    });
    let der = |keys: Value| {
        let pem = keys["certificatePem"].as_str().unwrap_or_default();
        let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        STANDARD.decode(text).expect("base64")
    };
    made.into_iter().map(der).collect()
}

fn connect(authority: &dyn Authority, certificates: &[Vec<u8>]) -> Vec<Arc<dyn Rights>> {
    let open = |(number, certificate): (usize, &Vec<u8>)| {
        let client_id = format!("pump-{number}");
        let attempt = ConnectAttempt {
            client_id: &client_id,
            certificate: Some(certificate),
            caller: None,
            server_name: None,
            source: SOURCE,
            last_will: None,
            retained_will: false,
            persistent: false,
            user_name: None,
        };
        authority.connect(&attempt).unwrap_or_else(|refused| panic!("{refused:?}"))
    };
    certificates.iter().enumerate().map(open).collect()
}

fn timed(what: &str, times: usize, mut run: impl FnMut()) {
    let start = cpu_time();
    run();
    println!("{what}: {:.2} µs", (cpu_time() - start) * 1e6 / times as f64);
}

async fn call(cloud: &Cloud, operation: &str, input: Value) -> Value {
    match testing::call(cloud, "iot", operation, input).await {
        Ok(answer) => answer,
        Err(fault) => panic!("{operation}: {fault}"),
    }
}

/// The seconds that this thread has worked; the time of the machine where the
/// system does not tell.
fn cpu_time() -> f64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = status.split_whitespace().next().and_then(|text| text.parse::<f64>().ok());
    nanoseconds.map_or_else(|| BEGAN.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

/// The memory of this process, in bytes; nothing where the system does not tell.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

/// A broker with one client, who hears its answers.
#[derive(Default)]
struct Answers {
    sent: Mutex<Vec<Message>>,
    principal: OnceLock<Arc<str>>,
}

impl Messages for Answers {
    fn publish(&self, _: Message) {}

    fn send(&self, _: &str, message: Message) {
        if let Ok(mut sent) = self.sent.lock() {
            sent.push(message);
        }
    }

    fn retained(&self, _: &str) -> Option<Message> {
        None
    }

    fn all_retained(&self) -> Vec<Message> {
        Vec::new()
    }

    fn connection(&self, _: &str) -> Option<ConnectionInfo> {
        let filters = [
            "$aws/certificates/create-from-csr/json/+",
            "$aws/provisioning-templates/fleet/provision/json/+",
        ];
        Some(ConnectionInfo {
            connected: true,
            principal: self.principal.get().cloned().unwrap_or_else(|| "".into()),
            thing: None,
            since: Timestamp(0),
            disconnect_reason: None,
            source: None,
            keep_alive: 30,
            clean_session: true,
            subscriptions: filters.map(|filter| (filter.to_owned(), QoS::AtLeastOnce)).into(),
        })
    }

    fn disconnect(&self, _: &str, _: bool, _: bool) -> bool {
        false
    }
}

const ROUNDS: usize = 20;
const SETS: usize = 4;
const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
