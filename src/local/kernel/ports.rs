//! What one service may ask of another, as small traits.
//!
//! A port is filled once, at start, by the crate that serves it. Whoever asks
//! for one that nobody filled gets a fault that names it, so that a test may
//! run a service alone.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::tags::Tagged;
use crate::{Authority, BoxFuture, Caller, Fault, Message, Reserved, Timestamp};

/// The ports of a cloud.
#[derive(Default)]
pub struct Ports {
    authority: OnceLock<Arc<dyn Authority>>,
    certificates: OnceLock<Arc<dyn Certificates>>,
    credentials: OnceLock<Arc<dyn Credentials>>,
    event_buses: OnceLock<Arc<dyn EventBuses>>,
    functions: OnceLock<Arc<dyn Functions>>,
    log_streams: OnceLock<Arc<dyn LogStreams>>,
    messages: OnceLock<Arc<dyn Messages>>,
    metrics: OnceLock<Arc<dyn Metrics>>,
    objects: OnceLock<Arc<dyn Objects>>,
    parameters: OnceLock<Arc<dyn Parameters>>,
    queues: OnceLock<Arc<dyn Queues>>,
    registry: OnceLock<Arc<dyn Registry>>,
    secrets: OnceLock<Arc<dyn Secrets>>,
    shadows: OnceLock<Arc<dyn Shadows>>,
    tables: OnceLock<Arc<dyn Tables>>,
    topics: OnceLock<Arc<dyn Topics>>,
    reserved: std::sync::RwLock<Vec<Arc<dyn Reserved>>>,
    tagged: std::sync::RwLock<Vec<Arc<dyn Tagged>>>,
    listeners: std::sync::RwLock<Vec<Arc<dyn MessageListener>>>,
}

macro_rules! ports {
    ($($field:ident / $fill:ident: $port:ident, $what:literal;)*) => {
        impl Ports {
            $(
                #[doc = concat!("The port of ", $what, ".\n\n# Errors\nA fault that names it if nobody serves it.")]
                pub fn $field(&self) -> Result<&Arc<dyn $port>, Fault> {
                    self.$field.get().ok_or_else(|| Fault::not_implemented(concat!($what, " here")))
                }

                #[doc = concat!("Serves ", $what, ". The first one stays.")]
                pub fn $fill(&self, port: Arc<dyn $port>) {
                    if self.$field.set(port).is_err() {
                        tracing::warn!(port = $what, "served twice");
                    }
                }
            )*
        }
    };
}

ports! {
    authority / serve_authority: Authority, "the authority over connections";
    certificates / serve_certificates: Certificates, "imported certificates";
    credentials / serve_credentials: Credentials, "credentials and permissions";
    event_buses / serve_event_buses: EventBuses, "event buses";
    functions / serve_functions: Functions, "functions";
    log_streams / serve_log_streams: LogStreams, "logs";
    messages / serve_messages: Messages, "the message broker";
    metrics / serve_metrics: Metrics, "metrics";
    objects / serve_objects: Objects, "objects";
    parameters / serve_parameters: Parameters, "parameters";
    queues / serve_queues: Queues, "queues";
    registry / serve_registry: Registry, "the thing registry";
    secrets / serve_secrets: Secrets, "secrets";
    shadows / serve_shadows: Shadows, "shadows";
    tables / serve_tables: Tables, "tables";
    topics / serve_topics: Topics, "notification topics";
}

impl Ports {
    /// Adds a family of reserved topics.
    pub fn add_reserved(&self, family: Arc<dyn Reserved>) {
        self.reserved.write().unwrap_or_else(|poisoned| poisoned.into_inner()).push(family);
    }

    /// The families of reserved topics, in the order of registration.
    pub fn reserved(&self) -> Vec<Arc<dyn Reserved>> {
        self.reserved.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Adds somebody who keeps resources with tags.
    pub fn add_tagged(&self, keeper: Arc<dyn Tagged>) {
        self.tagged.write().unwrap_or_else(|poisoned| poisoned.into_inner()).push(keeper);
    }

    /// Who keeps resources of a kind, as it stands in their ARNs.
    pub fn tagged(&self, kind: &str) -> Option<Arc<dyn Tagged>> {
        let all = self.tagged.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        all.iter().find(|keeper| keeper.kinds().contains(&kind)).cloned()
    }

    /// Adds somebody who hears every message that passes through the broker.
    pub fn add_listener(&self, listener: Arc<dyn MessageListener>) {
        self.listeners.write().unwrap_or_else(|poisoned| poisoned.into_inner()).push(listener);
    }

    /// Those who hear every message.
    pub fn listeners(&self) -> Vec<Arc<dyn MessageListener>> {
        self.listeners.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

/// Hears every message that passes through the broker (topic rules do).
pub trait MessageListener: Send + Sync {
    /// Called on the publisher's task: must be quick; what waits is spawned.
    fn heard(&self, message: &Message);
    /// A message for one rule alone (Basic Ingest), on the topic after `$aws/rules/<rule>/`.
    fn ingested(&self, rule: &str, message: &Message);
}

/// The message broker.
pub trait Messages: Send + Sync {
    /// Publishes through the broker, as the cloud itself: no policy is asked.
    fn publish(&self, message: Message);
    /// Delivers to one client, whether it subscribed or not; to nobody else.
    fn send(&self, client_id: &str, message: Message);
    /// The retained message of a topic.
    fn retained(&self, topic: &str) -> Option<Message>;
    /// All retained messages in the order of their topics.
    fn all_retained(&self) -> Vec<Message>;
    /// What the broker knows of a client, connected or with a kept session.
    fn connection(&self, client_id: &str) -> Option<ConnectionInfo>;
    /// Ends a connection; `clean_session` also forgets the session. False if
    /// there is none.
    fn disconnect(&self, client_id: &str, clean_session: bool, prevent_will: bool) -> bool;
}

/// What the broker knows of a client.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionInfo {
    /// Whether it is connected now.
    pub connected: bool,
    /// The certificate's id or the caller's ARN.
    pub principal: Arc<str>,
    /// The thing that the connection stands for.
    pub thing: Option<Arc<str>>,
    /// Since when it is connected, or not.
    pub since: Timestamp,
    /// Why the last connection ended, in AWS's words.
    pub disconnect_reason: Option<&'static str>,
    /// Where from.
    pub source: Option<std::net::SocketAddr>,
    /// Seconds between two signs of life.
    pub keep_alive: u16,
    /// Whether the session ends with the connection.
    pub clean_session: bool,
    /// Its filters with their QoS.
    pub subscriptions: Vec<(String, crate::QoS)>,
}

/// The thing registry.
pub trait Registry: Send + Sync {
    /// A thing.
    fn thing(&self, name: &str) -> Option<ThingInfo>;
    /// The things of a group and of the groups below it; `None` if there is no
    /// such group.
    fn members(&self, group: &str) -> Option<Vec<Arc<str>>>;
    /// The groups of a thing, the ancestors of its groups included.
    fn groups_of(&self, thing: &str) -> Vec<Arc<str>>;
    /// Whether events of a kind (`JOB`, `JOB_EXECUTION`, `THING`, …) are enabled.
    fn events_enabled(&self, kind: &str) -> bool;
    /// The thing that a certificate is attached to, if it is one.
    fn thing_of_certificate(&self, certificate_id: &str) -> Option<Arc<str>>;
    /// Whether a certificate's policies allow `action` (such as
    /// `iotjobsdata:DescribeJobExecution`) on `resource` over HTTPS.
    fn certificate_may(&self, certificate_id: &str, action: &str, resource: &str) -> bool;
}

/// A thing of the registry.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ThingInfo {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, which no other thing ever had.
    pub id: String,
    /// Its type.
    pub thing_type: Option<String>,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its version, which grows with every change.
    pub version: i64,
}

/// Device shadows, for rules and for indexing.
pub trait Shadows: Send + Sync {
    /// The document of a shadow (`state`, `metadata`, `version`, `timestamp`).
    fn shadow(&self, thing: &str, name: Option<&str>) -> Option<Arc<Value>>;
}

/// Objects in buckets.
pub trait Objects: Send + Sync {
    /// Reads an object; without a version the newest.
    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>>;
    /// Writes an object.
    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        bytes: Bytes,
        content_type: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>>;
    /// A URL that lets its holder read (or write, if `write`) the object for a while.
    ///
    /// # Errors
    /// A fault if no such URL can be made.
    fn presign(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        write: bool,
        expires: Duration,
    ) -> Result<String, Fault>;
}

/// An object.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its entity tag, with quotes.
    pub etag: String,
    /// Its version, in versioned buckets.
    pub version: Option<String>,
}

/// Lambda functions.
pub trait Functions: Send + Sync {
    /// Runs a function (name or ARN) and waits for its answer.
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<Invoked, Fault>>;
    /// Runs a function later, with retries, as AWS does for events.
    fn invoke_event(&self, function: &str, payload: Bytes);
    /// Whether `principal` (such as `iot.amazonaws.com`) may run it on behalf of
    /// `source_arn`.
    fn permits(&self, function: &str, principal: &str, source_arn: &str) -> bool;
}

/// The outcome of a function.
#[derive(Debug, Clone)]
pub struct Invoked {
    /// What it gave back, or the description of its error.
    pub payload: Bytes,
    /// `Unhandled` or `Handled` if it failed.
    pub error: Option<String>,
}

/// Notification topics (SNS).
pub trait Topics: Send + Sync {
    /// Publishes to a topic.
    fn publish<'a>(
        &'a self,
        topic_arn: &'a str,
        message: &'a str,
        subject: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String, Fault>>;
}

/// Queues (SQS).
pub trait Queues: Send + Sync {
    /// Sends to a queue, by URL or ARN; gives the message's id.
    fn send<'a>(&'a self, queue: &'a str, body: &'a str) -> BoxFuture<'a, Result<String, Fault>>;
}

/// Event buses (EventBridge).
pub trait EventBuses: Send + Sync {
    /// Puts an event on a bus (name or ARN).
    fn put<'a>(&'a self, bus: &'a str, event: BusEvent) -> BoxFuture<'a, Result<String, Fault>>;
}

/// An event on a bus.
#[derive(Debug, Clone)]
pub struct BusEvent {
    /// Such as `aws.signer` or an own name.
    pub source: String,
    /// What kind of event.
    pub detail_type: String,
    /// Its content.
    pub detail: Value,
    /// ARNs of what it is about.
    pub resources: Vec<String>,
}

/// Metrics (CloudWatch).
pub trait Metrics: Send + Sync {
    /// Adds one value to a metric. Called often: must be quick.
    fn put(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)], value: f64, unit: &str);
    /// Sets the state of an alarm.
    ///
    /// # Errors
    /// A fault if there is no such alarm.
    fn set_alarm_state(&self, alarm: &str, state: &str, reason: &str) -> Result<(), Fault>;
}

/// The units that a metric may have.
pub const METRIC_UNITS: &[&str] = &[
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// Logs (CloudWatch Logs).
pub trait LogStreams: Send + Sync {
    /// Writes lines to a stream; group and stream are made if they are missing.
    fn write(&self, group: &str, stream: &str, lines: &[(Timestamp, String)]);
}

/// Tables (DynamoDB).
pub trait Tables: Send + Sync {
    /// Puts an item (in DynamoDB's JSON).
    fn put_item<'a>(&'a self, table: &'a str, item: Value) -> BoxFuture<'a, Result<(), Fault>>;
}

/// Imported certificates (ACM), for Signer.
pub trait Certificates: Send + Sync {
    /// The certificate and its private key, both PEM.
    ///
    /// # Errors
    /// A fault if there is no such certificate.
    fn material(&self, arn: &str) -> Result<CertificateMaterial, Fault>;
}

/// A certificate with its private key. `Debug` does not show the key.
#[derive(Clone)]
pub struct CertificateMaterial {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PEM.
    pub private_key: String,
}

impl std::fmt::Debug for CertificateMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateMaterial").finish_non_exhaustive()
    }
}

/// Secrets (Secrets Manager).
pub trait Secrets: Send + Sync {
    /// The current value of a secret, by name or ARN.
    ///
    /// # Errors
    /// A fault if there is no such secret.
    fn value(&self, secret: &str) -> Result<String, Fault>;
}

/// Parameters (SSM), for CloudFormation's parameter types and dynamic references.
pub trait Parameters: Send + Sync {
    /// The value of a parameter.
    ///
    /// # Errors
    /// A fault if there is no such parameter.
    fn value(&self, name: &str) -> Result<String, Fault>;
}

/// Credentials and permissions (IAM, STS).
pub trait Credentials: Send + Sync {
    /// Who an access key belongs to.
    fn identity(&self, access_key_id: &str) -> Option<Identity>;
    /// Whether `caller` may do `action` (such as `s3:GetObject`) on `resource`
    /// (an ARN, or `*` where the gateway does not know it).
    fn allows(&self, caller: &Caller, action: &str, resource: &str) -> bool;
    /// Keys for the session of a role, as `sts:AssumeRole` gives them.
    ///
    /// # Errors
    /// A fault if there is no such role or it does not trust `service`.
    fn assume(&self, role_arn: &str, session: &str, service: &str) -> Result<SessionKeys, Fault>;
}

/// Who an access key belongs to. `Debug` does not show the secret.
#[derive(Clone)]
pub struct Identity {
    /// The secret that signs.
    pub secret: String,
    /// The token that temporary keys come with.
    pub session_token: Option<String>,
    /// Whose they are.
    pub caller: Caller,
    /// Until when they are good.
    pub expires: Option<Timestamp>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// Temporary keys. `Debug` does not show the secrets.
#[derive(Clone)]
pub struct SessionKeys {
    /// The key's id.
    pub access_key_id: String,
    /// The secret that signs.
    pub secret_access_key: String,
    /// The token that goes with them.
    pub session_token: String,
    /// Until when they are good.
    pub expires: Timestamp,
}

impl std::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionKeys")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}
