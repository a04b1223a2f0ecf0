//! The registry through its operations, its topics and its ports.
//!
//! Each test has a cloud of its own, in memory, with a clock that it steps.

mod authority;
mod bus;
mod certificates;
mod golden;
mod groups;
mod http;
mod indexing;
mod policies;
mod provisioning;
mod restart;
mod settings;
mod things;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use iotstack_local_kernel::ports::{ConnectionInfo, Messages};
use iotstack_local_kernel::{Cloud, Fault, Message, QoS, testing};
use serde_json::{Value, json};

/// A cloud with nothing but the registry.
fn cloud() -> Arc<Cloud> {
    let cloud = testing::cloud();
    crate::install(&cloud).unwrap();
    cloud
}

/// Calls an operation that must succeed.
async fn iot(cloud: &Cloud, operation: &str, input: Value) -> Value {
    match testing::call(cloud, "iot", operation, input.clone()).await {
        Ok(answer) => answer,
        Err(fault) => panic!("{operation} {input}: {fault}"),
    }
}

/// Calls an operation that must be refused.
async fn refused(cloud: &Cloud, operation: &str, input: Value) -> Fault {
    match testing::call(cloud, "iot", operation, input.clone()).await {
        Ok(answer) => panic!("{operation} {input} gave {answer}"),
        Err(fault) => fault,
    }
}

/// The code and the status of a refusal.
async fn refusal(cloud: &Cloud, operation: &str, input: Value) -> (String, u16) {
    let fault = refused(cloud, operation, input).await;
    (fault.code, fault.status)
}

/// Waits until `done`, for a bounded time.
async fn until(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..10_000 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it did not come to pass");
}

async fn create_things(cloud: &Cloud, names: &[&str]) {
    for name in names {
        iot(cloud, "CreateThing", json!({"thingName": name})).await;
    }
}

/// A new active certificate: its ARN and its DER form.
async fn certificate(cloud: &Cloud) -> (String, Vec<u8>) {
    let made = iot(cloud, "CreateKeysAndCertificate", json!({"setAsActive": true})).await;
    let pem = made["certificatePem"].as_str().unwrap();
    (
        made["certificateArn"].as_str().unwrap().to_owned(),
        crate::x509::certificate_der(pem).unwrap(),
    )
}

/// A policy that allows `action` on `resource`.
fn allow(action: &str, resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": resource})
}

fn document(statements: Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

async fn attach(cloud: &Cloud, name: &str, statements: Value, target: &str) {
    let input = json!({"policyName": name, "policyDocument": document(statements)});
    iot(cloud, "CreatePolicy", input).await;
    iot(cloud, "AttachPolicy", json!({"policyName": name, "target": target})).await;
}

/// A broker that keeps what it is given.
#[derive(Default)]
pub struct Broker {
    published: Mutex<Vec<Message>>,
    sent: Mutex<Vec<(String, Message)>>,
    subscriptions: Mutex<Vec<(String, QoS)>>,
    /// Whose connection its only client has.
    principal: Mutex<String>,
}

impl Broker {
    fn on(cloud: &Cloud) -> Arc<Self> {
        let broker = Arc::new(Broker::default());
        cloud.ports.serve_messages(broker.clone());
        broker
    }

    fn subscribe(&self, filter: &str) {
        self.subscriptions.lock().unwrap().push((filter.to_owned(), QoS::AtLeastOnce));
    }

    /// What was published since the last time: topics and payloads.
    fn published(&self) -> Vec<(String, Value)> {
        let messages = std::mem::take(&mut *self.published.lock().unwrap());
        messages
            .iter()
            .map(|message| {
                (message.topic.to_string(), serde_json::from_slice(&message.payload).unwrap())
            })
            .collect()
    }
}

impl Messages for Broker {
    fn publish(&self, message: Message) {
        self.published.lock().unwrap().push(message);
    }

    fn send(&self, client_id: &str, message: Message) {
        self.sent.lock().unwrap().push((client_id.to_owned(), message));
    }

    fn retained(&self, _: &str) -> Option<Message> {
        None
    }

    fn all_retained(&self) -> Vec<Message> {
        Vec::new()
    }

    fn connection(&self, _: &str) -> Option<ConnectionInfo> {
        Some(ConnectionInfo {
            connected: true,
            principal: self.principal.lock().unwrap().as_str().into(),
            thing: None,
            since: iotstack_local_kernel::Timestamp(0),
            disconnect_reason: None,
            source: None,
            keep_alive: 30,
            clean_session: true,
            subscriptions: self.subscriptions.lock().unwrap().clone(),
        })
    }

    fn disconnect(&self, _: &str, _: bool, _: bool) -> bool {
        false
    }
}
