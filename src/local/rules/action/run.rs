//! Running an action: fill its templates, ask whether its role may, do it.
//!
//! A rule acts as the role of the action. The role must exist and trust
//! `iot.amazonaws.com`, and its policies must allow the call; a Lambda function
//! must let the rule in by its own policy. What is refused is a failure of the
//! action, which the rule's error action hears.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use iotstack_local_kernel::ports::METRIC_UNITS;
use iotstack_local_kernel::{Caller, Cloud, Fault, Message, Properties, Publisher, QoS, Timestamp};
use serde_json::{Map, Value, json};

use super::{Action, Headers, Target};
use crate::ask;
use crate::hops;
use crate::sql::{Answers, Context, Statement, Template, Value as SqlValue, parse_json};

/// What an action runs on.
pub struct Run<'a> {
    /// The cloud.
    pub cloud: &'a Cloud,
    /// The name of the rule.
    pub rule: &'a str,
    /// The statement of the rule, for its variables.
    pub statement: &'a Statement,
    /// The message.
    pub context: &'a Context<'a>,
    /// What the rule made of it.
    pub output: &'a Bytes,
    /// How often the message was published by rules already.
    pub hops: u32,
}

/// Why an action failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it was aimed at.
    pub resource: String,
    /// Why it failed.
    pub message: String,
}

impl Action {
    /// How error payloads name the action, such as `S3Action`.
    pub fn title(&self) -> String {
        let mut title = self.kind.to_owned();
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        title + "Action"
    }

    /// Runs the action.
    pub async fn run(&self, run: &Run<'_>, answers: &mut Answers) -> Result<(), Failure> {
        let mut filler = Filler { run, answers, resource: String::new() };
        let outcome = self.perform(&mut filler).await;
        let resource = filler.resource;
        outcome.map_err(|message| Failure { resource, message })
    }

    async fn perform(&self, filler: &mut Filler<'_, '_>) -> Result<(), String> {
        let run = filler.run;
        let cloud = run.cloud;
        match &self.target {
            Target::Lambda { function } => {
                let function = filler.aim(function).await?;
                let functions = cloud.ports.functions().map_err(said)?;
                let rule = cloud.account.arn("iot", format_args!("rule/{}", run.rule));
                if !functions.permits(&function, "iot.amazonaws.com", &rule) {
                    return Err(format!(
                        "the policy of the function does not let iot.amazonaws.com invoke it for {rule}"
                    ));
                }
                if parse_json(run.output).is_none() {
                    return Err(
                        "the result is not JSON; select encode(*, 'base64') AS a member".to_owned()
                    );
                }
                functions.invoke_event(&function, run.output.clone());
                Ok(())
            }
            Target::Republish { topic, qos, headers } => {
                let topic = filler.aim(topic).await?;
                let topic = match topic.strip_prefix("$$") {
                    Some(reserved) => format!("${reserved}"),
                    None => topic,
                };
                let properties = match headers {
                    Some(headers) => Some(filler.properties(headers).await?),
                    None => None,
                };
                self.republish(run, topic, *qos, properties)
            }
            Target::Sns { topic, json } => {
                let topic = filler.aim(topic).await?;
                self.may(run, "sns:Publish", &topic)?;
                let mut message = text(run.output)?.to_owned();
                if *json {
                    let all: Map<String, Value> = serde_json::from_str(&message)
                        .map_err(|error| format!("the result is no JSON object: {error}"))?;
                    message = match all.get("default") {
                        Some(Value::String(text)) => text.clone(),
                        _ => return Err("the result has no text `default`".to_owned()),
                    };
                }
                let topics = cloud.ports.topics().map_err(said)?;
                topics.publish(&topic, &message, None).await.map(drop).map_err(said)
            }
            Target::Sqs { queue, base64 } => {
                let queue = filler.aim(queue).await?;
                self.may(run, "sqs:SendMessage", &queue_arn(cloud, &queue))?;
                if queue.ends_with(".fifo") {
                    return Err(
                        "rules do not support FIFO queues: a message has no group".to_owned()
                    );
                }
                let encoded;
                let body = if *base64 {
                    encoded = STANDARD.encode(run.output);
                    &encoded
                } else {
                    text(run.output)?
                };
                let queues = cloud.ports.queues().map_err(said)?;
                queues.send(&queue, body).await.map(drop).map_err(said)
            }
            Target::S3 { bucket, key } => {
                let bucket = filler.aim(bucket).await?;
                let key = filler.fill(key).await?;
                let arn = format!("arn:{}:s3:::{bucket}/{key}", cloud.account.partition());
                self.may(run, "s3:PutObject", &arn)?;
                let objects = cloud.ports.objects().map_err(said)?;
                objects.put(&bucket, &key, run.output.clone(), None).await.map(drop).map_err(said)
            }
            Target::DynamoV2 { table } => {
                let table = filler.aim(table).await?;
                let Some(SqlValue::Object(members)) = parse_json(run.output) else {
                    return Err("the result is not a JSON object".to_owned());
                };
                let item = members.iter().map(|(name, value)| (name.clone(), attribute(value)));
                self.put_item(run, &table, Value::Object(item.collect())).await
            }
            Target::Dynamo(dynamo) => {
                let table = filler.aim(&dynamo.table).await?;
                let mut item = Map::new();
                for (field, value, number) in std::iter::once(&dynamo.hash).chain(&dynamo.range) {
                    let field = filler.fill(field).await?;
                    let value = filler.fill(value).await?;
                    item.insert(
                        field,
                        if *number { json!({"N": value}) } else { json!({"S": value}) },
                    );
                }
                let payload = match parse_json(run.output) {
                    Some(value) => attribute(&value),
                    None => json!({"B": STANDARD.encode(run.output)}),
                };
                item.insert(filler.fill(&dynamo.payload).await?, payload);
                self.put_item(run, &table, Value::Object(item)).await
            }
            Target::Metric(metric) => {
                let name = filler.aim(&metric.name).await?;
                let namespace = filler.fill(&metric.namespace).await?;
                let value = filler.fill(&metric.value).await?;
                let unit = filler.fill(&metric.unit).await?;
                self.may(run, "cloudwatch:PutMetricData", "*")?;
                let number: f64 = value
                    .trim()
                    .parse()
                    .ok()
                    .filter(|number: &f64| number.is_finite())
                    .ok_or_else(|| format!("metric value `{value}` is not a number"))?;
                if name.is_empty() || namespace.is_empty() {
                    return Err("the metric has no name or no namespace".to_owned());
                }
                if !METRIC_UNITS.contains(&unit.as_str()) {
                    let units = METRIC_UNITS.join(", ");
                    return Err(format!("metric unit `{unit}` is none of {units}"));
                }
                let metrics = cloud.ports.metrics().map_err(said)?;
                metrics.put(&namespace, &name, &[], number, &unit);
                Ok(())
            }
            Target::Alarm { alarm, reason, state } => {
                let alarm = filler.aim(alarm).await?;
                let reason = filler.fill(reason).await?;
                let state = filler.fill(state).await?;
                let arn = cloud.account.arn("cloudwatch", format_args!("alarm:{alarm}"));
                self.may(run, "cloudwatch:SetAlarmState", &arn)?;
                let metrics = cloud.ports.metrics().map_err(said)?;
                metrics.set_alarm_state(&alarm, &state, &reason).map_err(said)
            }
            Target::Logs { group, batch } => {
                let group = filler.aim(group).await?;
                let stream = run.rule;
                let arn = format!("log-group:{group}:log-stream:{stream}");
                self.may(run, "logs:PutLogEvents", &cloud.account.arn("logs", arn))?;
                let lines = if *batch {
                    batch_lines(run.output)?
                } else {
                    vec![(Timestamp(run.context.now), text(run.output)?.to_owned())]
                };
                let logs = cloud.ports.log_streams().map_err(said)?;
                logs.write(&group, stream, &lines);
                Ok(())
            }
        }
    }

    fn republish(
        &self,
        run: &Run<'_>,
        topic: String,
        qos: u8,
        properties: Option<Properties>,
    ) -> Result<(), String> {
        iotstack_mqtt::topic::name_syntax(&topic)
            .map_err(|problem| format!("topic `{topic}` is not valid: {problem}"))?;
        if topic.starts_with("$aws/things/") && topic.split('/').nth(3) == Some("jobs") {
            return Err(format!("rules cannot publish to job topics such as `{topic}`"));
        }
        if run.hops >= MOST_HOPS {
            return Err(format!(
                "the message was republished {} times in a row; rules feed each other",
                run.hops
            ));
        }
        let cloud = run.cloud;
        self.may(run, "iot:Publish", &cloud.account.arn("iot", format_args!("topic/{topic}")))?;
        let messages = cloud.ports.messages().map_err(said)?;
        let mut message = Message::new(topic, run.output.clone(), cloud.clock.now());
        if qos == 0 {
            message.qos = QoS::AtMostOnce;
        }
        message.properties = properties.map(Arc::new);
        hops::publishing(run.hops + 1, || match message.topic.starts_with("$aws/") {
            true => self.publish_reserved(cloud, &message),
            false => {
                messages.publish(message);
                Ok(())
            }
        })
    }

    /// Hands a message to whoever answers the reserved topic, or to a rule.
    fn publish_reserved(&self, cloud: &Cloud, message: &Message) -> Result<(), String> {
        if let Some((rule, topic)) = iotstack_mqtt::topic::basic_ingest(&message.topic) {
            let message = Message { topic: topic.into(), ..message.clone() };
            cloud.ports.listeners().iter().for_each(|one| one.ingested(rule, &message));
            return Ok(());
        }
        let families = cloud.ports.reserved();
        let Some(family) = families.iter().find(|family| family.owns(&message.topic)) else {
            return Err(format!("nobody answers the reserved topic `{}`", message.topic));
        };
        let publisher = Publisher {
            client_id: "iot-rules".into(),
            principal: self.role.as_deref().unwrap_or_default().into(),
            thing: None,
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        family.receive(&Arc::new(publisher), message);
        Ok(())
    }

    async fn put_item(&self, run: &Run<'_>, table: &str, item: Value) -> Result<(), String> {
        let arn = run.cloud.account.arn("dynamodb", format_args!("table/{table}"));
        self.may(run, "dynamodb:PutItem", &arn)?;
        let tables = run.cloud.ports.tables().map_err(said)?;
        tables.put_item(table, item).await.map_err(said)
    }

    /// Whether the role exists, trusts the service and is allowed `action`.
    fn may(&self, run: &Run<'_>, action: &str, resource: &str) -> Result<(), String> {
        match &self.role {
            Some(role) => may(run.cloud, role, action, resource),
            None => Ok(()),
        }
    }
}

/// Whether IoT may take the role and the role may do `action`. A cloud without
/// identities, as tests of single services run it, allows everything.
pub fn may(cloud: &Cloud, role: &str, action: &str, resource: &str) -> Result<(), String> {
    let Ok(credentials) = cloud.ports.credentials() else { return Ok(()) };
    let keys = credentials
        .assume(role, "iot-rules", "iot.amazonaws.com")
        .map_err(|fault| format!("role {role} cannot be taken: {}", fault.message))?;
    let caller = match credentials.identity(&keys.access_key_id) {
        Some(identity) => identity.caller,
        None => Caller::Principal { arn: role.to_owned() },
    };
    if credentials.allows(&caller, action, resource) {
        return Ok(());
    }
    Err(format!("role {role} is not allowed to do {action} on {resource}"))
}

/// Fills templates, and remembers what the action is aimed at.
struct Filler<'a, 'r> {
    run: &'r Run<'a>,
    answers: &'r mut Answers,
    resource: String,
}

impl Filler<'_, '_> {
    async fn aim(&mut self, template: &Template) -> Result<String, String> {
        let text = self.fill(template).await?;
        self.resource.clone_from(&text);
        Ok(text)
    }

    async fn fill(&mut self, template: &Template) -> Result<String, String> {
        if let Some(text) = template.constant() {
            return Ok(text.to_owned());
        }
        let run = self.run;
        ask::settle(run.cloud, run.rule, self.answers, |answers| {
            template.fill(run.statement, run.context, answers)
        })
        .await
    }

    async fn optional(&mut self, template: &Option<Template>) -> Result<Option<String>, String> {
        match template {
            Some(template) => Ok(Some(self.fill(template).await?).filter(|text| !text.is_empty())),
            None => Ok(None),
        }
    }

    async fn properties(&mut self, headers: &Headers) -> Result<Properties, String> {
        let is_text = match self.optional(&headers.is_text).await?.as_deref() {
            None => None,
            Some("UTF8_DATA" | "1") => Some(true),
            Some("UNSPECIFIED_BYTES" | "0") => Some(false),
            Some(other) => {
                return Err(format!(
                    "payloadFormatIndicator `{other}` is neither UTF8_DATA nor UNSPECIFIED_BYTES"
                ));
            }
        };
        let expiry_seconds = match self.optional(&headers.expiry).await? {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|_| format!("messageExpiry `{text}` is no number of seconds"))?,
            ),
        };
        let correlation_data = match self.optional(&headers.correlation_data).await? {
            None => None,
            Some(text) => Some(Bytes::from(
                STANDARD
                    .decode(&text)
                    .map_err(|_| format!("correlationData `{text}` is not base64"))?,
            )),
        };
        let mut user = Vec::with_capacity(headers.user.len());
        for (key, value) in &headers.user {
            user.push((self.fill(key).await?, self.fill(value).await?));
        }
        Ok(Properties {
            payload_is_text: is_text,
            content_type: self.optional(&headers.content_type).await?,
            response_topic: self.optional(&headers.response_topic).await?,
            correlation_data,
            expiry_seconds,
            user,
        })
    }
}

fn said(fault: Fault) -> String {
    fault.to_string()
}

fn text(output: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(output)
        .map_err(|_| "the result is not UTF-8 text; use base64 for bytes".to_owned())
}

fn queue_arn(cloud: &Cloud, queue: &str) -> String {
    if queue.starts_with("arn:") {
        return queue.to_owned();
    }
    let name = queue.rsplit('/').next().unwrap_or(queue);
    cloud.account.arn("sqs", name)
}

/// A value as DynamoDB's JSON writes it.
fn attribute(value: &SqlValue) -> Value {
    match value {
        SqlValue::Undefined | SqlValue::Null => json!({"NULL": true}),
        SqlValue::Boolean(value) => json!({"BOOL": value}),
        SqlValue::Int(_) | SqlValue::Decimal(_) => json!({"N": value.to_string()}),
        SqlValue::String(text) => json!({"S": text}),
        SqlValue::Array(items) => {
            json!({"L": items.iter().map(attribute).collect::<Vec<Value>>()})
        }
        SqlValue::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), attribute(value)));
            json!({"M": members.collect::<Map<String, Value>>()})
        }
    }
}

/// The lines of a batch: an array of objects with `timestamp` and `message`.
fn batch_lines(output: &[u8]) -> Result<Vec<(Timestamp, String)>, String> {
    let shape = "the result is no array of objects with `timestamp` and `message`";
    let Some(SqlValue::Array(items)) = parse_json(output) else { return Err(shape.to_owned()) };
    let mut lines = Vec::with_capacity(items.len());
    for item in &items {
        let time = item.member("timestamp").to_int().and_then(|time| i64::try_from(time).ok());
        match (time, item.member("message")) {
            (Some(time), SqlValue::String(message)) => {
                lines.push((Timestamp(time), message.clone()));
            }
            _ => return Err(shape.to_owned()),
        }
    }
    Ok(lines)
}

/// How often rules may publish one message on to each other.
const MOST_HOPS: u32 = 10;
