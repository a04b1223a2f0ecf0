//! Fleet provisioning over MQTT: certificates and things for devices that hold
//! a claim.
//!
//! Requests are answered in the format of their topic, JSON or CBOR, and only to
//! the client that asked, if it subscribed to the answer and may receive it:
//! answers hold private keys. An answer leaves when what it confirms is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use iotstack_local_kernel::{Fault, Message, Publisher, Reserved};
use iotstack_protocol::{TopicFilter, TopicName};
use serde_json::{Map, Value, json};

use super::hook::{self, Question};
use super::{Plan, evaluate, register};
use crate::core::{Changed, Registry};
use crate::policy::Action;
use crate::state::{Certificate, Template};

/// The reserved topics of fleet provisioning.
pub struct Topics {
    registry: Arc<Registry>,
}

impl Topics {
    pub fn new(registry: Arc<Registry>) -> Self {
        Topics { registry }
    }
}

impl Reserved for Topics {
    fn owns(&self, topic: &str) -> bool {
        topic.starts_with("$aws/certificates/") || topic.starts_with("$aws/provisioning-templates/")
    }

    fn receive(&self, from: &Arc<Publisher>, message: &Message) {
        let Some((request, format)) = read_topic(&message.topic) else { return };
        let answering = Answering {
            registry: self.registry.clone(),
            to: from.clone(),
            topic: message.topic.clone(),
            format,
        };
        let payload = match format.read(&message.payload) {
            Ok(payload) => payload,
            Err(reason) => return answering.reject(&bad_request(reason)),
        };
        match request {
            Request::CreateKeys => create_keys(answering),
            Request::CreateFromCsr => answering.finish(create_from_csr(&self.registry, &payload)),
            Request::Provision(template) => provision(answering, &template, &payload),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Request {
    CreateKeys,
    CreateFromCsr,
    Provision(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Json,
    Cbor,
}

impl Format {
    fn read(self, payload: &Bytes) -> Result<Map<String, Value>, String> {
        if payload.is_empty() {
            return Ok(Map::new());
        }
        let value = match self {
            Format::Json => serde_json::from_slice(payload).map_err(|error| error.to_string()),
            Format::Cbor => ciborium::from_reader(&payload[..]).map_err(|error| error.to_string()),
        };
        match value {
            Ok(Value::Object(members)) => Ok(members),
            Ok(_) => Err("the payload must be an object".to_owned()),
            Err(error) => Err(format!("the payload cannot be read: {error}")),
        }
    }

    fn write(self, value: &Value) -> Bytes {
        match self {
            Format::Json => Bytes::from(value.to_string()),
            Format::Cbor => {
                let mut bytes = Vec::new();
                // Writing into memory does not fail.
                match ciborium::into_writer(value, &mut bytes) {
                    Ok(()) => Bytes::from(bytes),
                    Err(_) => Bytes::new(),
                }
            }
        }
    }
}

/// Which request a topic is, and in which format.
fn read_topic(topic: &str) -> Option<(Request, Format)> {
    let (rest, format) = topic.rsplit_once('/')?;
    let format = match format {
        "json" => Format::Json,
        "cbor" => Format::Cbor,
        _ => return None,
    };
    let request = match rest {
        "$aws/certificates/create" => Request::CreateKeys,
        "$aws/certificates/create-from-csr" => Request::CreateFromCsr,
        _ => {
            let name =
                rest.strip_prefix("$aws/provisioning-templates/")?.strip_suffix("/provision")?;
            (!name.contains('/')).then(|| Request::Provision(name.to_owned()))?
        }
    };
    Some((request, format))
}

/// CreateKeysAndCertificate. The client goes on while its keys are made.
fn create_keys(answering: Answering) {
    tokio::spawn(async move {
        let registry = answering.registry.clone();
        let issued = match registry.ca.issue_keys().await {
            Ok(issued) => issued,
            Err(fault) => return answering.reject(&fault),
        };
        answering.finish(registry.change(|tx| {
            let token = tx.issued_for_owner(&issued)?;
            let keys = issued.keys.as_ref();
            Ok(json!({
                "certificateId": issued.id,
                "certificatePem": tx.certificate(&issued.id)?.pem(),
                "privateKey": keys.map(|keys| &keys.private),
                "certificateOwnershipToken": token,
            }))
        }));
    });
}

fn create_from_csr(registry: &Registry, payload: &Map<String, Value>) -> Changed {
    let Some(Value::String(request)) = payload.get("certificateSigningRequest") else {
        return Err(bad_request("certificateSigningRequest is required and must be a text"));
    };
    let issued = registry.ca.issue_request(request).map_err(bad_request)?;
    registry.change(|tx| {
        let token = tx.issued_for_owner(&issued)?;
        Ok(json!({
            "certificateOwnershipToken": token,
            "certificateId": issued.id,
            "certificatePem": tx.certificate(&issued.id)?.pem(),
        }))
    })
}

/// RegisterThing. Only a hook is waited for; everything else is done at once.
fn provision(answering: Answering, name: &str, payload: &Map<String, Value>) {
    let registry = answering.registry.clone();
    let prepared = match prepare(&registry, name, payload) {
        Ok(prepared) => prepared,
        Err(fault) => return answering.reject(&fault),
    };
    let Some(hook) = prepared.template.hook.clone() else {
        let outcome = prepared.carry_out(&registry);
        return answering.finish(outcome);
    };
    tokio::spawn(async move {
        let mut prepared = prepared;
        let question = Question {
            template_arn: &prepared.template_arn,
            claim_certificate_id: &answering.to.principal,
            certificate_id: &prepared.certificate.id,
            certificate_pem: &prepared.certificate.pem(),
            client_id: &answering.to.client_id,
            parameters: &prepared.parameters,
        };
        match hook::ask(&registry, &hook, &question).await {
            Ok(overrides) => {
                prepared.parameters.extend(overrides);
                answering.finish(prepared.carry_out(&registry));
            }
            Err(reason) => {
                let refused = Fault::new(
                    "AccessDenied",
                    403,
                    format!("the pre-provisioning hook refused the device: {reason}"),
                );
                answering.reject(&refused);
            }
        }
    });
}

/// A request that may be carried out.
struct Prepared {
    template: Template,
    template_arn: String,
    certificate: Certificate,
    parameters: BTreeMap<String, String>,
}

fn prepare(
    registry: &Registry,
    name: &str,
    payload: &Map<String, Value>,
) -> Result<Prepared, Fault> {
    let mut parameters = BTreeMap::new();
    match payload.get("parameters") {
        None | Some(Value::Null) => {}
        Some(Value::Object(members)) => {
            for (name, value) in members {
                let Value::String(value) = value else {
                    return Err(invalid(format!("parameter `{name}` must be a text, not {value}")));
                };
                if name.starts_with("AWS::") {
                    return Err(invalid(format!("parameter `{name}` cannot be given by a device")));
                }
                parameters.insert(name.clone(), value.clone());
            }
        }
        Some(other) => return Err(invalid(format!("parameters must be an object, not {other}"))),
    }
    let token = payload.get("certificateOwnershipToken").and_then(Value::as_str);
    let now = registry.clock.now();
    let (template, certificate) = registry.read(|state| {
        let template = state.templates.get(name).filter(|template| !template.just_in_time);
        let Some(template) = template else {
            return Err(Fault::new(
                "ResourceNotFound",
                404,
                format!("provisioning template `{name}` does not exist"),
            ));
        };
        if !template.enabled {
            return Err(Fault::new(
                "AccessDenied",
                403,
                format!("provisioning template `{name}` is not enabled"),
            ));
        }
        // A token begins with the id of its certificate.
        let found = token.and_then(|token| {
            let certificate = state.certificates.get(token.get(..64)?)?;
            let ownership = certificate.ownership.as_ref()?;
            (ownership.token == token && ownership.expires > now).then_some(certificate)
        });
        match found {
            Some(certificate) => Ok((template.clone(), certificate.clone())),
            None => Err(Fault::new(
                "InvalidCertificateOwnershipToken",
                400,
                "certificateOwnershipToken is unknown or older than an hour",
            )),
        }
    })?;
    check_role(registry, &template.role)?;
    parameters.insert("AWS::IoT::Certificate::Id".to_owned(), certificate.id.to_string());
    let template_arn =
        registry.account.arn("iot", format_args!("provisioningtemplate/{}", template.name));
    Ok(Prepared { template, template_arn, certificate, parameters })
}

impl Prepared {
    fn carry_out(&self, registry: &Registry) -> Changed {
        let evaluated = evaluate(self.template.body(), &self.parameters, true).map_err(invalid)?;
        let plan = Plan::of(&evaluated).map_err(invalid)?;
        registry.change(|tx| {
            let done = register(tx, &plan, None, Some(&self.certificate.id))?;
            tx.settle_ownership(&self.certificate.id);
            let mut answer = json!({"deviceConfiguration": plan.device_configuration});
            if let Some(name) = done.thing_name {
                answer["thingName"] = json!(name);
            }
            Ok(answer)
        })
    }
}

/// Whether IoT may take the provisioning role. What was found is not asked again
/// for a while: a fleet provisions with one role.
fn check_role(registry: &Registry, role: &str) -> Result<(), Fault> {
    let now = registry.clock.now();
    if registry.roles.holds(role, now) {
        return Ok(());
    }
    let cloud = registry.cloud()?;
    let Ok(credentials) = cloud.ports.credentials() else { return Ok(()) };
    match credentials.assume(role, "provisioning", "iot.amazonaws.com") {
        Ok(_) => {
            registry.roles.remember(role, now);
            Ok(())
        }
        Err(fault) => Err(Fault::new(
            "AccessDenied",
            403,
            format!("the provisioning role `{role}` cannot be taken: {}", fault.message),
        )),
    }
}

/// Whom an answer goes to, and how.
struct Answering {
    registry: Arc<Registry>,
    to: Arc<Publisher>,
    topic: Arc<str>,
    format: Format,
}

impl Answering {
    /// Answers when the change is stored.
    fn finish(self, outcome: Changed) {
        match outcome {
            Ok((answer, commit)) => commit.then(move || self.send("accepted", &answer)),
            Err(fault) => self.reject(&fault),
        }
    }

    fn reject(&self, fault: &Fault) {
        let code = match fault.code.as_str() {
            "InvalidRequestException"
            | "ResourceRegistrationFailureException"
            | "MalformedPolicyException"
            | "InvalidInput" => "InvalidParameters",
            "ResourceNotFoundException" => "ResourceNotFound",
            "InternalFailure" => "InternalError",
            "ConflictingResourceUpdateException" => "ResourceConflict",
            "LimitExceededException" => "LimitExceeded",
            "ThrottlingException" => "Throttled",
            other => other.strip_suffix("Exception").unwrap_or(other),
        };
        let rejection = json!({
            "statusCode": fault.status,
            "errorCode": code,
            "errorMessage": fault.message,
        });
        tracing::debug!(client = &*self.to.client_id, topic = &*self.topic, %fault, "rejected");
        self.send("rejected", &rejection);
    }

    fn send(&self, outcome: &str, payload: &Value) {
        let Ok(cloud) = self.registry.cloud() else { return };
        let Ok(messages) = cloud.ports.messages() else { return };
        let topic = format!("{}/{outcome}", self.topic);
        let Ok(name) = topic.parse::<TopicName>() else { return };
        let Some(connection) = messages.connection(&self.to.client_id) else { return };
        // Somebody else may have taken the client id meanwhile.
        if connection.principal != self.to.principal {
            return;
        }
        let subscribed = connection.subscriptions.iter().any(|(filter, _)| {
            filter.parse::<TopicFilter>().is_ok_and(|filter| filter.matches(&name))
        });
        if !subscribed || !self.registry.client_may(&self.to, Action::Receive, &topic) {
            tracing::debug!(
                client = &*self.to.client_id,
                topic,
                subscribed,
                "an answer reaches nobody"
            );
            return;
        }
        let message = Message::new(topic, self.format.write(payload), self.registry.clock.now());
        messages.send(&self.to.client_id, message);
    }
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameters", 400, message)
}

fn bad_request(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameters", 400, message)
}
