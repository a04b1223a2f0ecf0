//! `AWS::IoT::TopicRule` for CloudFormation.
//!
//! The template writes the members of the API with a capital first letter; apart
//! from that the two are the same. Templates may write flags and numbers as text.

use std::sync::{Arc, Weak};

use iotstack_local_kernel::{
    BoxFuture, Cloud, Commit, Fault, ResourceFault, ResourceHandler, ResourceRequest, ResourceState,
};
use serde_json::{Map, Value};

use crate::Error;
use crate::engine::Engine;
use crate::rule::{Payload, Record, Rule};

/// Makes, changes and removes topic rules for stacks.
pub struct TopicRuleResource {
    pub(crate) cloud: Weak<Cloud>,
    pub(crate) engine: Arc<Engine>,
}

impl ResourceHandler for TopicRuleResource {
    fn type_name(&self) -> &'static str {
        "AWS::IoT::TopicRule"
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let cloud = self.cloud()?;
            let name = match request.properties.get("RuleName").and_then(Value::as_str) {
                Some(name) => name.to_owned(),
                None => request.generated_name(128).replace('-', "_"),
            };
            let record = Record {
                payload: payload(request)?,
                created_at: cloud.clock.now().millis(),
                tags: request.tags()?,
            };
            let rule = Rule::read(&name, record).map_err(Fault::from)?;
            stored(self.engine.create(&cloud.store, rule)).await?;
            Ok(state(&cloud, &name))
        })
    }

    fn update<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let cloud = self.cloud()?;
            let name = request.physical_id()?;
            let wanted = request.properties.get("RuleName").and_then(Value::as_str);
            if wanted.is_some_and(|wanted| wanted != name) {
                return Err(ResourceFault::Replace);
            }
            let payload = payload(request)?;
            let tags = request.tags()?;
            stored(self.engine.replace(&cloud.store, name, |rule| {
                let created_at = rule.record.created_at;
                Rule::read(name, Record { payload, created_at, tags })
            }))
            .await?;
            Ok(state(&cloud, name))
        })
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        Box::pin(async move {
            match self.engine.delete(&self.cloud()?.store, request.physical_id()?) {
                Err(Error::Missing(_)) => Ok(()),
                outcome => stored(outcome).await,
            }
        })
    }
}

impl TopicRuleResource {
    fn cloud(&self) -> Result<Arc<Cloud>, ResourceFault> {
        Ok(Cloud::held(&self.cloud)?)
    }
}

async fn stored(outcome: Result<Commit, Error>) -> Result<(), ResourceFault> {
    let commit = outcome.map_err(Fault::from)?;
    Ok(commit.stored().await.map_err(Fault::from)?)
}

fn state(cloud: &Cloud, name: &str) -> ResourceState {
    let arn = cloud.account.arn("iot", format_args!("rule/{name}"));
    ResourceState::new(name).with("Arn", arn)
}

fn payload(request: &ResourceRequest) -> Result<Payload, ResourceFault> {
    let payload = request.properties.get("TopicRulePayload").cloned().unwrap_or_default();
    serde_json::from_value(lower(payload))
        .map_err(|error| ResourceFault::failed("InvalidRequest", error.to_string()))
}

/// The members of the API: small first letters, and flags that are no text.
fn lower(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let value = match (name.as_str(), &value) {
                    ("RuleDisabled" | "UseBase64" | "BatchMode", Value::String(text)) => {
                        text.to_ascii_lowercase().parse().map_or(value, Value::Bool)
                    }
                    ("Qos", Value::String(text)) => text.parse::<u8>().map_or(value, Value::from),
                    _ => lower(value),
                };
                let mut name = name;
                if let Some(first) = name.get_mut(..1) {
                    first.make_ascii_lowercase();
                }
                (name, value)
            });
            Value::Object(members.collect::<Map<String, Value>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(lower).collect()),
        other => other,
    }
}
