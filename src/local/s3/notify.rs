//! Notifications of a bucket: what happened to an object, told to functions,
//! queues, topics and the event bus that the bucket's configuration names.
//!
//! Told after the change is stored, on a task of its own, once; a destination
//! that refuses is logged. Functions must permit S3 to call them; queues and
//! topics are not asked for their policies.

use std::collections::BTreeSet;
use std::sync::Arc;

use iotstack_local_kernel::ports::BusEvent;
use iotstack_local_kernel::{Cloud, Fault, id};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto;
use serde_json::{Value, json};

use crate::Error;
use crate::record::Version;

/// What happened to an object, in S3's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    Put,
    Copy,
    Completed,
    Deleted,
    Marked,
    Tagged,
    Untagged,
}

/// Tells whoever the configuration names.
pub(crate) fn tell(
    cloud: &Arc<Cloud>,
    configuration: Option<Value>,
    version: &Version,
    happening: Happening,
) {
    let Some(configuration) = configuration else { return };
    let Ok(configuration) = serde_json::from_value::<dto::NotificationConfiguration>(configuration)
    else {
        return;
    };
    let destinations = destinations(configuration, &version.key, happening);
    if destinations.is_empty() {
        return;
    }
    let cloud = cloud.clone();
    let version = version.clone();
    tokio::spawn(async move {
        for destination in destinations {
            let arn = destination.arn().to_owned();
            if let Err(fault) = destination.send(&cloud, &version, happening).await {
                tracing::warn!(%fault, destination = arn, "a notification of s3 was refused");
            }
        }
    });
}

/// Refuses a configuration that AWS would not take for a bucket of a region: that of the
/// bucket, or the only one that the destinations of this cloud have. Whether they exist is
/// not asked.
pub(crate) fn check(
    configuration: &dto::NotificationConfiguration,
    regions: [&str; 2],
) -> Result<(), Error> {
    let functions = configuration.lambda_function_configurations.as_deref().unwrap_or_default();
    let queues = configuration.queue_configurations.as_deref().unwrap_or_default();
    let topics = configuration.topic_configurations.as_deref().unwrap_or_default();
    let all = functions
        .iter()
        .map(|one| ("lambda", &one.lambda_function_arn, &one.events))
        .chain(queues.iter().map(|one| ("sqs", &one.queue_arn, &one.events)))
        .chain(topics.iter().map(|one| ("sns", &one.topic_arn, &one.events)));
    for (service, arn, events) in all {
        let parts: Vec<&str> = arn.split(':').collect();
        if parts.len() < 6 || parts[0] != "arn" || parts[2] != service {
            return Err(Error::InvalidArgument("The ARN is not well formed".to_owned()));
        }
        if !regions.contains(&parts[3]) {
            let reason = "The notification destination service region is not valid for the \
                          bucket location constraint";
            return Err(Error::InvalidArgument(reason.to_owned()));
        }
        if let Some(event) = events.iter().find(|event| !EVENTS.contains(&event.as_ref())) {
            let known = EVENTS.map(|event| format!("'{event}'")).join(", ");
            let reason = format!(
                "The event '{}' is not supported for notifications. Supported events are as \
                 follows: [{known}]",
                AsRef::<str>::as_ref(event)
            );
            return Err(Error::InvalidArgument(reason));
        }
    }
    Ok(())
}

/// Sends the queues and topics of a new configuration the message that S3 tries them with.
pub(crate) fn greet(
    cloud: &Arc<Cloud>,
    bucket: &str,
    configuration: &dto::NotificationConfiguration,
) {
    let queues = configuration.queue_configurations.as_deref().unwrap_or_default();
    let topics = configuration.topic_configurations.as_deref().unwrap_or_default();
    // One for each, however often it is named.
    let queues: BTreeSet<String> = queues.iter().map(|one| one.queue_arn.clone()).collect();
    let topics: BTreeSet<String> = topics.iter().map(|one| one.topic_arn.clone()).collect();
    let message = json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": cloud.clock.now().iso8601(),
        "Bucket": bucket,
        "RequestId": id::capitals(16),
        "HostId": "",
    })
    .to_string();
    let cloud = cloud.clone();
    tokio::spawn(async move {
        for arn in queues {
            let sent = async { cloud.ports.queues()?.send(&arn, &message).await };
            if let Err(fault) = sent.await {
                tracing::warn!(%fault, destination = arn, "a queue of s3 cannot be reached");
            }
        }
        for arn in topics {
            let subject = Some("Amazon S3 Notification");
            let sent = async { cloud.ports.topics()?.publish(&arn, &message, subject).await };
            if let Err(fault) = sent.await {
                tracing::warn!(%fault, destination = arn, "a topic of s3 cannot be reached");
            }
        }
    });
}

enum Destination {
    Function { arn: String, id: String },
    Queue { arn: String, id: String },
    Topic { arn: String, id: String },
    Bus,
}

impl Happening {
    /// Such as `ObjectCreated:Put`.
    fn name(self) -> &'static str {
        match self {
            Happening::Put => "ObjectCreated:Put",
            Happening::Copy => "ObjectCreated:Copy",
            Happening::Completed => "ObjectCreated:CompleteMultipartUpload",
            Happening::Deleted => "ObjectRemoved:Delete",
            Happening::Marked => "ObjectRemoved:DeleteMarkerCreated",
            Happening::Tagged => "ObjectTagging:Put",
            Happening::Untagged => "ObjectTagging:Delete",
        }
    }

    /// Whether a configured event, such as `s3:ObjectCreated:*`, means it.
    fn is_meant_by(self, event: &str) -> bool {
        let event = event.strip_prefix("s3:").unwrap_or(event);
        match event.strip_suffix('*') {
            Some(family) => self.name().starts_with(family),
            None => self.name() == event,
        }
    }
}

impl Destination {
    fn arn(&self) -> &str {
        match self {
            Destination::Function { arn, .. }
            | Destination::Queue { arn, .. }
            | Destination::Topic { arn, .. } => arn,
            Destination::Bus => "default event bus",
        }
    }

    async fn send(
        &self,
        cloud: &Cloud,
        version: &Version,
        happening: Happening,
    ) -> Result<(), Fault> {
        let bucket = format!("arn:{}:s3:::{}", cloud.account.partition(), version.bucket);
        match self {
            Destination::Function { arn, id } => {
                let functions = cloud.ports.functions()?;
                if !functions.permits(arn, "s3.amazonaws.com", &bucket) {
                    let reason = format!("{arn} does not permit s3.amazonaws.com to call it");
                    return Err(Fault::new("AccessDenied", 403, reason));
                }
                let record = record(cloud, version, happening, id).to_string();
                functions.invoke_event(arn, record.into());
                Ok(())
            }
            Destination::Queue { arn, id } => {
                let record = record(cloud, version, happening, id).to_string();
                cloud.ports.queues()?.send(arn, &record).await.map(drop)
            }
            Destination::Topic { arn, id } => {
                let record = record(cloud, version, happening, id).to_string();
                let subject = Some("Amazon S3 Notification");
                cloud.ports.topics()?.publish(arn, &record, subject).await.map(drop)
            }
            Destination::Bus => {
                let event = bus_event(cloud, version, happening, bucket);
                cloud.ports.event_buses()?.put("default", event).await.map(drop)
            }
        }
    }
}

fn destinations(
    configuration: dto::NotificationConfiguration,
    key: &str,
    happening: Happening,
) -> Vec<Destination> {
    let fits = |events: &dto::EventList, filter: &Option<dto::NotificationConfigurationFilter>| {
        events.iter().any(|event| happening.is_meant_by(event.as_ref()))
            && filter_holds(filter.as_ref(), key)
    };
    let id = |id: Option<String>| id.unwrap_or_default();
    let mut found = Vec::new();
    for one in configuration.lambda_function_configurations.unwrap_or_default() {
        if fits(&one.events, &one.filter) {
            let (arn, id) = (one.lambda_function_arn, id(one.id));
            found.push(Destination::Function { arn, id });
        }
    }
    for one in configuration.queue_configurations.unwrap_or_default() {
        if fits(&one.events, &one.filter) {
            found.push(Destination::Queue { arn: one.queue_arn, id: id(one.id) });
        }
    }
    for one in configuration.topic_configurations.unwrap_or_default() {
        if fits(&one.events, &one.filter) {
            found.push(Destination::Topic { arn: one.topic_arn, id: id(one.id) });
        }
    }
    // The bus hears everything and filters by its own rules.
    if configuration.event_bridge_configuration.is_some() {
        found.push(Destination::Bus);
    }
    found
}

fn filter_holds(filter: Option<&dto::NotificationConfigurationFilter>, key: &str) -> bool {
    let rules = filter
        .and_then(|filter| filter.key.as_ref())
        .and_then(|filter| filter.filter_rules.as_deref())
        .unwrap_or_default();
    rules.iter().all(|rule| {
        let wanted = rule.value.as_deref().unwrap_or_default();
        let name = rule.name.as_ref().map(|name| name.as_str().to_ascii_lowercase());
        match name.as_deref() {
            Some("prefix") => key.starts_with(wanted),
            Some("suffix") => key.ends_with(wanted),
            _ => true,
        }
    })
}

/// The message for functions, queues and topics.
fn record(cloud: &Cloud, version: &Version, happening: Happening, id: &str) -> Value {
    let mut object = json!({
        // Keys are written as in a form: percent signs, and `+` for spaces.
        "key": utf8_percent_encode(&version.key, FORM).to_string().replace("%20", "+"),
        "sequencer": sequencer(version),
    });
    if let Some(content) = &version.content {
        object["size"] = json!(content.blob.size);
        object["eTag"] = json!(content.etag);
    }
    if version.id != crate::store::NULL {
        object["versionId"] = json!(version.id);
    }
    let owner = json!({ "principalId": cloud.account.id });
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": cloud.account.region,
        "eventTime": version.modified.iso8601(),
        "eventName": happening.name(),
        "userIdentity": owner,
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": id::capitals(16), "x-amz-id-2": ""},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": id,
            "bucket": {
                "name": version.bucket,
                "ownerIdentity": owner,
                "arn": format!("arn:{}:s3:::{}", cloud.account.partition(), version.bucket),
            },
            "object": object,
        },
    }]})
}

/// The event for the bus.
fn bus_event(cloud: &Cloud, version: &Version, happening: Happening, bucket: String) -> BusEvent {
    let mut object = json!({"key": version.key, "sequencer": sequencer(version)});
    if let Some(content) = &version.content {
        object["size"] = json!(content.blob.size);
        object["etag"] = json!(content.etag);
    }
    if version.id != crate::store::NULL {
        object["version-id"] = json!(version.id);
    }
    let mut detail = json!({
        "version": "0",
        "bucket": {"name": version.bucket},
        "object": object,
        "request-id": id::capitals(16),
        "requester": cloud.account.id,
        "source-ip-address": "127.0.0.1",
    });
    let (kind, member, value) = match happening {
        Happening::Put => ("Object Created", "reason", "PutObject"),
        Happening::Copy => ("Object Created", "reason", "CopyObject"),
        Happening::Completed => ("Object Created", "reason", "CompleteMultipartUpload"),
        Happening::Deleted => ("Object Deleted", "deletion-type", "Permanently Deleted"),
        Happening::Marked => ("Object Deleted", "deletion-type", "Delete Marker Created"),
        Happening::Tagged | Happening::Untagged => {
            let added = happening == Happening::Tagged;
            (if added { "Object Tags Added" } else { "Object Tags Deleted" }, "", "")
        }
    };
    if !member.is_empty() {
        detail[member] = json!(value);
    }
    if kind == "Object Deleted" {
        detail["reason"] = json!("DeleteObject");
    }
    BusEvent {
        source: "aws.s3".to_owned(),
        detail_type: kind.to_owned(),
        detail,
        resources: vec![bucket],
    }
}

/// Grows with every change of a key; compared as a text.
fn sequencer(version: &Version) -> String {
    format!("{:016X}", version.sequence)
}

/// The events that can be asked for.
const EVENTS: [&str; 31] = [
    "s3:IntelligentTiering",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:LifecycleTransition",
    "s3:ObjectAcl:Put",
    "s3:ObjectAnnotation:*",
    "s3:ObjectAnnotation:Delete",
    "s3:ObjectAnnotation:Put",
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Put",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectRestore:*",
    "s3:ObjectRestore:Completed",
    "s3:ObjectRestore:Delete",
    "s3:ObjectRestore:Post",
    "s3:ObjectRetention:Put",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Delete",
    "s3:ObjectTagging:Put",
    "s3:ReducedRedundancyLostObject",
    "s3:Replication:*",
    "s3:Replication:OperationFailedReplication",
    "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationNotTracked",
    "s3:Replication:OperationReplicatedAfterThreshold",
];

const FORM: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');
