//! The CloudFormation types of the registry.
//!
//! A type is a name and three functions over the registry; each is one change.
//! What `Ref` and `Fn::GetAtt` give follows the resource types' schemas.

mod certificates;
mod fleet;
mod things;

use std::sync::Arc;

use iotstack_local_kernel::{
    BoxFuture, Cloud, Commit, Fault, ResourceFault, ResourceHandler, ResourceRequest, ResourceState,
};
use serde_json::{Map, Value};

use crate::core::Registry;

/// Adds all handlers.
pub fn add(cloud: &Cloud, registry: &Arc<Registry>) {
    for kind in things::KINDS.iter().chain(certificates::KINDS).chain(fleet::KINDS) {
        cloud.add_resource(Arc::new(Handler { kind, registry: registry.clone() }));
    }
}

/// A resource type.
pub struct Kind {
    pub name: &'static str,
    pub create: fn(&Registry, &ResourceRequest) -> Outcome<ResourceState>,
    pub update: fn(&Registry, &ResourceRequest) -> Outcome<ResourceState>,
    pub delete: fn(&Registry, &ResourceRequest) -> Outcome<()>,
}

/// What a step comes to, and the promises that its changes are stored.
pub type Outcome<T> = Result<(T, Vec<Commit>), ResourceFault>;

struct Handler {
    kind: &'static Kind,
    registry: Arc<Registry>,
}

impl ResourceHandler for Handler {
    fn type_name(&self) -> &'static str {
        self.kind.name
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        stored((self.kind.create)(&self.registry, request))
    }

    fn update<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        stored((self.kind.update)(&self.registry, request))
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        stored((self.kind.delete)(&self.registry, request))
    }
}

fn stored<'a, T: Send + 'a>(outcome: Outcome<T>) -> BoxFuture<'a, Result<T, ResourceFault>> {
    Box::pin(async move {
        let (value, commits) = outcome?;
        for commit in commits {
            commit.stored().await.map_err(Fault::from)?;
        }
        Ok(value)
    })
}

/// One change as a step.
fn changed<T>(outcome: Result<(T, Commit), Fault>) -> Outcome<T> {
    let (value, commit) = outcome?;
    Ok((value, vec![commit]))
}

/// A deletion: what is already gone is no error.
fn gone(outcome: Result<((), Commit), Fault>) -> Outcome<()> {
    match outcome {
        Err(fault) if fault.code == "ResourceNotFoundException" => Ok(((), Vec::new())),
        outcome => changed(outcome),
    }
}

/// The properties wanted.
fn properties(request: &ResourceRequest) -> Map<String, Value> {
    request.properties.as_object().cloned().unwrap_or_default()
}

fn text(properties: &Map<String, Value>, name: &str) -> Option<String> {
    properties.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn required(properties: &Map<String, Value>, name: &str) -> Result<String, ResourceFault> {
    text(properties, name).ok_or_else(|| {
        ResourceFault::failed("InvalidRequest", format!("property {name} is required"))
    })
}

fn flag(properties: &Map<String, Value>, name: &str) -> bool {
    match properties.get(name) {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

fn integer(properties: &Map<String, Value>, name: &str) -> Option<i64> {
    match properties.get(name) {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    }
}

fn nested(properties: &Map<String, Value>, name: &str) -> Map<String, Value> {
    properties.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The name given, or one made from the stack's.
fn name_or_made(request: &ResourceRequest, property: &str, longest: usize) -> String {
    text(&properties(request), property).unwrap_or_else(|| request.generated_name(longest))
}

/// Refuses a property that cannot change in place.
fn unchanged(request: &ResourceRequest, names: &[&str]) -> Result<(), ResourceFault> {
    let Some(previous) = &request.previous else { return Ok(()) };
    match names.iter().any(|name| previous.get(name) != request.properties.get(name)) {
        true => Err(ResourceFault::Replace),
        false => Ok(()),
    }
}

/// The names of properties as the API has them: `thingTypeDescription`.
fn small(members: Map<String, Value>) -> Map<String, Value> {
    members
        .into_iter()
        .map(|(key, value)| {
            let mut characters = key.chars();
            let first = characters.next().map(|first| first.to_ascii_lowercase());
            (first.into_iter().chain(characters).collect(), value)
        })
        .collect()
}

#[cfg(test)]
mod tests;
