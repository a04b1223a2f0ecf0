//! Actions: what a rule does with its result.
//!
//! An action is read when the rule is made, its templates with it, so that
//! mistakes show at once. Offered are those whose services the local cloud has:
//! lambda, republish, sns, sqs, s3, dynamoDBv2, dynamoDB (inserts), the three of
//! CloudWatch. All others of AWS are refused by name.
//!
//! Smaller than on AWS: of an SNS message in the format JSON only `default` is
//! sent, and a metric has the time of its arrival whatever `metricTimestamp` says.

mod run;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;
use crate::sql::{Statement, Template};

pub use run::{Failure, Run, may};

/// An action, ready to run.
#[derive(Debug, Clone)]
pub struct Action {
    /// The member of the API, such as `dynamoDBv2`.
    pub kind: &'static str,
    role: Option<String>,
    target: Target,
}

#[derive(Debug, Clone)]
enum Target {
    Lambda { function: Template },
    Republish { topic: Template, qos: u8, headers: Option<Box<Headers>> },
    Sns { topic: Template, json: bool },
    Sqs { queue: Template, base64: bool },
    S3 { bucket: Template, key: Template },
    DynamoV2 { table: Template },
    Dynamo(Box<Dynamo>),
    Metric(Box<Metric>),
    Alarm { alarm: Template, reason: Template, state: Template },
    Logs { group: Template, batch: bool },
}

#[derive(Debug, Clone)]
struct Dynamo {
    table: Template,
    hash: (Template, Template, bool),
    range: Option<(Template, Template, bool)>,
    payload: Template,
}

#[derive(Debug, Clone)]
struct Metric {
    namespace: Template,
    name: Template,
    value: Template,
    unit: Template,
}

#[derive(Debug, Clone)]
struct Headers {
    is_text: Option<Template>,
    content_type: Option<Template>,
    response_topic: Option<Template>,
    correlation_data: Option<Template>,
    expiry: Option<Template>,
    user: Vec<(Template, Template)>,
}

impl Action {
    /// Reads an action of the rule with this statement.
    pub fn parse(action: &Value, statement: &Statement) -> Result<Action, Error> {
        let members = action
            .as_object()
            .ok_or_else(|| Error::Invalid(format!("an action is an object, not {action}")))?;
        let mut members = members.iter().filter(|(_, value)| !value.is_null());
        let (Some((name, settings)), None) = (members.next(), members.next()) else {
            return Err(Error::Invalid(
                "an action has exactly one member, such as `lambda` or `republish`".to_owned(),
            ));
        };
        let Some(kind) = KINDS.iter().find(|kind| *kind == name) else {
            return Err(if ELSEWHERE.contains(&name.as_str()) {
                Error::NotOffered(name.clone())
            } else {
                Error::Invalid(format!(
                    "`{name}` is not an action; actions are {}",
                    KINDS.join(", ")
                ))
            });
        };
        let reader = Reader { kind, settings, statement };
        let (role, target) = reader.target()?;
        if let Some(role) = &role {
            check_role(kind, role)?;
        }
        Ok(Action { kind, role, target })
    }

    /// Whether a template of the action asks another service.
    pub fn asks(&self) -> bool {
        self.templates().iter().any(|template| template.asks())
    }

    fn templates(&self) -> Vec<&Template> {
        match &self.target {
            Target::Lambda { function: one }
            | Target::Sns { topic: one, .. }
            | Target::Sqs { queue: one, .. }
            | Target::DynamoV2 { table: one }
            | Target::Logs { group: one, .. } => vec![one],
            Target::Republish { topic, headers, .. } => {
                let mut all = vec![topic];
                if let Some(headers) = headers {
                    let one = [
                        &headers.is_text,
                        &headers.content_type,
                        &headers.response_topic,
                        &headers.correlation_data,
                        &headers.expiry,
                    ];
                    all.extend(one.into_iter().flatten());
                    all.extend(headers.user.iter().flat_map(|(key, value)| [key, value]));
                }
                all
            }
            Target::S3 { bucket, key } => vec![bucket, key],
            Target::Dynamo(dynamo) => {
                let mut all = vec![&dynamo.table, &dynamo.hash.0, &dynamo.hash.1, &dynamo.payload];
                all.extend(dynamo.range.iter().flat_map(|(field, value, _)| [field, value]));
                all
            }
            Target::Metric(metric) => {
                vec![&metric.namespace, &metric.name, &metric.value, &metric.unit]
            }
            Target::Alarm { alarm, reason, state } => vec![alarm, reason, state],
        }
    }
}

struct Reader<'a> {
    kind: &'static str,
    settings: &'a Value,
    statement: &'a Statement,
}

impl Reader<'_> {
    fn target(&self) -> Result<(Option<String>, Target), Error> {
        Ok(match self.kind {
            "lambda" => {
                let settings: LambdaSettings = self.settings()?;
                (None, Target::Lambda { function: self.template(&settings.function_arn)? })
            }
            "republish" => self.republish(self.settings()?)?,
            "sns" => {
                let settings: SnsSettings = self.settings()?;
                let json = match settings.message_format.as_deref() {
                    None | Some("RAW") => false,
                    Some("JSON") => true,
                    Some(other) => return Err(self.wrong("messageFormat", other, "RAW or JSON")),
                };
                let topic = self.template(&settings.target_arn)?;
                (Some(settings.role_arn), Target::Sns { topic, json })
            }
            "sqs" => {
                let settings: SqsSettings = self.settings()?;
                let base64 = settings.use_base64.unwrap_or(false);
                let queue = self.template(&settings.queue_url)?;
                (Some(settings.role_arn), Target::Sqs { queue, base64 })
            }
            "s3" => {
                let settings: S3Settings = self.settings()?;
                if let Some(acl) = settings.canned_acl.as_deref()
                    && !ACLS.contains(&acl)
                {
                    return Err(self.wrong("cannedAcl", acl, &ACLS.join(", ")));
                }
                let bucket = self.template(&settings.bucket_name)?;
                let key = self.template(&settings.key)?;
                (Some(settings.role_arn), Target::S3 { bucket, key })
            }
            "dynamoDBv2" => {
                let settings: DynamoV2Settings = self.settings()?;
                let role = settings.role_arn.ok_or_else(|| self.missing("roleArn"))?;
                let table = self.template(&settings.put_item.table_name)?;
                (Some(role), Target::DynamoV2 { table })
            }
            "dynamoDB" => self.dynamo(self.settings()?)?,
            "cloudwatchMetric" => {
                let settings: MetricSettings = self.settings()?;
                let metric = Metric {
                    namespace: self.template(&settings.metric_namespace)?,
                    name: self.template(&settings.metric_name)?,
                    value: self.template(&settings.metric_value)?,
                    unit: self.template(&settings.metric_unit)?,
                };
                if let Some(time) = &settings.metric_timestamp {
                    self.template(time)?;
                }
                (Some(settings.role_arn), Target::Metric(Box::new(metric)))
            }
            "cloudwatchAlarm" => {
                let settings: AlarmSettings = self.settings()?;
                let state = self.template(&settings.state_value)?;
                if let Some(value) = state.constant()
                    && !["OK", "ALARM", "INSUFFICIENT_DATA"].contains(&value)
                {
                    return Err(self.wrong("stateValue", value, "OK, ALARM or INSUFFICIENT_DATA"));
                }
                let alarm = self.template(&settings.alarm_name)?;
                let reason = self.template(&settings.state_reason)?;
                (Some(settings.role_arn), Target::Alarm { alarm, reason, state })
            }
            _ => {
                let settings: LogsSettings = self.settings()?;
                let group = self.template(&settings.log_group_name)?;
                let batch = settings.batch_mode.unwrap_or(false);
                (Some(settings.role_arn), Target::Logs { group, batch })
            }
        })
    }

    fn republish(&self, settings: RepublishSettings) -> Result<(Option<String>, Target), Error> {
        let qos = settings.qos.unwrap_or(0);
        if qos > 1 {
            return Err(self.wrong("qos", &qos.to_string(), "0 or 1"));
        }
        if settings.topic.starts_with("$aws/") {
            return Err(self.wrong("topic", &settings.topic, "a reserved topic written `$$aws/…`"));
        }
        let headers = settings.headers.map(|headers| {
            if headers.user_properties.as_ref().is_some_and(|all| all.is_empty() || all.len() > 100)
            {
                return Err(self.wrong("userProperties", "its count", "1 to 100 of them"));
            }
            let one =
                |text: &Option<String>| text.as_deref().map(|text| self.template(text)).transpose();
            let user = headers.user_properties.iter().flatten();
            Ok(Box::new(Headers {
                is_text: one(&headers.payload_format_indicator)?,
                content_type: one(&headers.content_type)?,
                response_topic: one(&headers.response_topic)?,
                correlation_data: one(&headers.correlation_data)?,
                expiry: one(&headers.message_expiry)?,
                user: user
                    .map(|pair| Ok((self.template(&pair.key)?, self.template(&pair.value)?)))
                    .collect::<Result<_, Error>>()?,
            }))
        });
        let topic = self.template(&settings.topic)?;
        let headers = headers.transpose()?;
        Ok((Some(settings.role_arn), Target::Republish { topic, qos, headers }))
    }

    fn dynamo(&self, settings: DynamoSettings) -> Result<(Option<String>, Target), Error> {
        if let Some(operation) = settings.operation.as_deref()
            && operation != "INSERT"
        {
            return Err(Error::NotOffered(format!("dynamoDB with the operation {operation}")));
        }
        let is_number = |kind: &Option<String>, member: &str| match kind.as_deref() {
            None | Some("STRING") => Ok(false),
            Some("NUMBER") => Ok(true),
            Some(other) => Err(self.wrong(member, other, "STRING or NUMBER")),
        };
        let key = |field: &str, value: &str, number| {
            Ok::<_, Error>((self.template(field)?, self.template(value)?, number))
        };
        let hash_number = is_number(&settings.hash_key_type, "hashKeyType")?;
        let range_number = is_number(&settings.range_key_type, "rangeKeyType")?;
        let range = match (&settings.range_key_field, &settings.range_key_value) {
            (None, None) => None,
            (Some(field), Some(value)) => Some(key(field, value, range_number)?),
            (Some(_), None) => return Err(self.missing("rangeKeyValue")),
            (None, Some(_)) => return Err(self.missing("rangeKeyField")),
        };
        let dynamo = Dynamo {
            table: self.template(&settings.table_name)?,
            hash: key(&settings.hash_key_field, &settings.hash_key_value, hash_number)?,
            range,
            payload: self.template(settings.payload_field.as_deref().unwrap_or("payload"))?,
        };
        Ok((Some(settings.role_arn), Target::Dynamo(Box::new(dynamo))))
    }

    fn settings<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(self.settings)
            .map_err(|error| Error::Invalid(format!("action `{}`: {error}", self.kind)))
    }

    fn template(&self, text: &str) -> Result<Template, Error> {
        Ok(Template::parse(text, self.statement)?)
    }

    fn wrong(&self, member: &str, value: &str, accepted: &str) -> Error {
        Error::Invalid(format!(
            "`{member}` of action `{}` is `{value}`; accepted is {accepted}",
            self.kind
        ))
    }

    fn missing(&self, member: &str) -> Error {
        Error::Invalid(format!("action `{}`: missing field `{member}`", self.kind))
    }
}

fn check_role(kind: &str, role: &str) -> Result<(), Error> {
    let mut parts = role.splitn(6, ':');
    let shape = [parts.next(), parts.next(), parts.next(), parts.next()];
    let account = parts.next().unwrap_or("");
    let name = parts.next().and_then(|resource| resource.strip_prefix("role/"));
    let good = matches!(shape, [Some("arn"), Some(_), Some("iam"), Some("")])
        && account.len() == 12
        && account.bytes().all(|digit| digit.is_ascii_digit())
        && name.is_some_and(|name| !name.is_empty());
    if good {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "`roleArn` of action `{kind}` is `{role}`; expected an ARN such as \
         `arn:aws:iam::123456789012:role/name`"
    )))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LambdaSettings {
    function_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RepublishSettings {
    role_arn: String,
    topic: String,
    qos: Option<u8>,
    headers: Option<HeaderSettings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HeaderSettings {
    payload_format_indicator: Option<String>,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<String>,
    message_expiry: Option<String>,
    user_properties: Option<Vec<UserProperty>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserProperty {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SnsSettings {
    target_arn: String,
    role_arn: String,
    message_format: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SqsSettings {
    role_arn: String,
    queue_url: String,
    use_base64: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct S3Settings {
    role_arn: String,
    bucket_name: String,
    key: String,
    canned_acl: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DynamoV2Settings {
    role_arn: Option<String>,
    put_item: PutItemSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PutItemSettings {
    table_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DynamoSettings {
    table_name: String,
    role_arn: String,
    operation: Option<String>,
    hash_key_field: String,
    hash_key_value: String,
    hash_key_type: Option<String>,
    range_key_field: Option<String>,
    range_key_value: Option<String>,
    range_key_type: Option<String>,
    payload_field: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MetricSettings {
    role_arn: String,
    metric_namespace: String,
    metric_name: String,
    metric_value: String,
    metric_unit: String,
    metric_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AlarmSettings {
    role_arn: String,
    alarm_name: String,
    state_reason: String,
    state_value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LogsSettings {
    role_arn: String,
    log_group_name: String,
    batch_mode: Option<bool>,
}

const KINDS: &[&str] = &[
    "cloudwatchAlarm",
    "cloudwatchLogs",
    "cloudwatchMetric",
    "dynamoDB",
    "dynamoDBv2",
    "lambda",
    "republish",
    "s3",
    "sns",
    "sqs",
];

/// The actions of AWS whose services the local cloud does not have.
const ELSEWHERE: &[&str] = &[
    "elasticsearch",
    "firehose",
    "http",
    "influxDB",
    "iotAnalytics",
    "iotEvents",
    "iotSiteWise",
    "kafka",
    "kinesis",
    "location",
    "openSearch",
    "salesforce",
    "stepFunctions",
    "timestream",
];

const ACLS: &[&str] = &[
    "private",
    "public-read",
    "public-read-write",
    "aws-exec-read",
    "authenticated-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
];
