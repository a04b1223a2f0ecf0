//! `AWS::IoT::JobTemplate` and `AWS::IoT::Job` for CloudFormation.
//!
//! Templates write the members of the API with capital letters, and two of them
//! under other names. A job that a stack removes is deleted by force: it would keep
//! the stack for as long as one device is away otherwise.

use std::sync::Arc;

use iotstack_jobs::Force;
use iotstack_local_kernel::{
    BoxFuture, Cloud, Fault, ResourceFault, ResourceHandler, ResourceRequest, ResourceState,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::control::Control;
use crate::error;

/// Adds both types to the cloud.
pub(crate) fn register(cloud: &Cloud, control: &Arc<Control>) {
    cloud.add_resource(Arc::new(TemplateHandler { control: control.clone() }));
    cloud.add_resource(Arc::new(JobHandler { control: control.clone() }));
}

struct TemplateHandler {
    control: Arc<Control>,
}

impl ResourceHandler for TemplateHandler {
    fn type_name(&self) -> &'static str {
        "AWS::IoT::JobTemplate"
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async {
            let properties = members(request)?;
            let id = name(&properties, "jobTemplateId", request);
            let arn = self.control.add_template(&id, read(properties)?).await?;
            Ok(ResourceState::new(id).with("Arn", arn))
        })
    }

    fn update<'a>(
        &'a self,
        _: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        // A template never changes.
        Box::pin(std::future::ready(Err(ResourceFault::Replace)))
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        Box::pin(async { gone_is_fine(self.control.remove_template(request.physical_id()?).await) })
    }
}

struct JobHandler {
    control: Arc<Control>,
}

impl ResourceHandler for JobHandler {
    fn type_name(&self) -> &'static str {
        "AWS::IoT::Job"
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async {
            let properties = members(request)?;
            let id = name(&properties, "jobId", request);
            self.control.create(&id, read(properties)?).await?;
            self.state(&id)
        })
    }

    fn update<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async {
            let id = job_id(request)?;
            self.control.update(id, read(members(request)?)?).await?;
            self.state(id)
        })
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        Box::pin(async { gone_is_fine(self.control.delete(job_id(request)?, Force::Yes).await) })
    }
}

impl JobHandler {
    fn state(&self, id: &str) -> Result<ResourceState, ResourceFault> {
        let job = self.control.jobs.read(|engine, now| engine.job(id, now));
        let job = job.map_err(error::control)?;
        Ok(ResourceState::new(job.job_arn.clone())
            .with("Arn", job.job_arn)
            .with("CreatedAt", job.created_at.seconds().to_string()))
    }
}

/// The properties under the names of the API.
fn members(request: &ResourceRequest) -> Result<Map<String, Value>, Fault> {
    let mut members = Map::new();
    for (name, value) in request.members()? {
        let name = renamed(&name);
        // Labels are written alike in both; the names of parameters are the user's.
        let value = match name.as_str() {
            "tags" | "documentParameters" => value,
            _ => convert(value),
        };
        members.insert(name, value);
    }
    Ok(members)
}

fn convert(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                let name = renamed(&name);
                let value = match value {
                    // A parameter of the template is a text, also where a number belongs.
                    Value::String(text) if NUMBERS.contains(&name.as_str()) => number(text),
                    other => convert(other),
                };
                (name, value)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(convert).collect(),
        other => other,
    }
}

fn renamed(name: &str) -> String {
    match name {
        "ExponentialRolloutRate" => return "exponentialRate".to_owned(),
        "RetryCriteriaList" => return "criteriaList".to_owned(),
        _ => {}
    }
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn number(text: String) -> Value {
    serde_json::from_str(&text).ok().filter(Value::is_number).unwrap_or(Value::String(text))
}

fn read<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, ResourceFault> {
    serde_json::from_value(Value::Object(members))
        .map_err(|error| ResourceFault::failed("InvalidRequest", error.to_string()))
}

fn name(properties: &Map<String, Value>, member: &str, request: &ResourceRequest) -> String {
    match properties.get(member) {
        Some(Value::String(name)) => name.clone(),
        _ => request.generated_name(64),
    }
}

fn job_id(request: &ResourceRequest) -> Result<&str, ResourceFault> {
    let id = request.physical_id()?;
    Ok(id.rsplit_once(":job/").map_or(id, |(_, id)| id))
}

fn gone_is_fine(deleted: Result<(), Fault>) -> Result<(), ResourceFault> {
    match deleted {
        Err(fault) if fault.code != "ResourceNotFoundException" => Err(fault.into()),
        _ => Ok(()),
    }
}

const NUMBERS: &[&str] = &[
    "baseRatePerMinute",
    "durationInMinutes",
    "expiresInSec",
    "inProgressTimeoutInMinutes",
    "incrementFactor",
    "maximumPerMinute",
    "minNumberOfExecutedThings",
    "numberOfNotifiedThings",
    "numberOfRetries",
    "numberOfSucceededThings",
    "thresholdPercentage",
];
