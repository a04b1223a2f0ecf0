//! A resource type whose changes are made at once: three functions and a name.
//!
//! Most resources need no waiting but for their change to be stored. What is
//! already gone counts as deleted.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{
    BoxFuture, Cloud, Commit, Fault, ResourceFault, ResourceHandler, ResourceRequest, ResourceState,
};

/// A resource type of the service `S`.
pub struct Immediate<S> {
    /// The service that owns it.
    pub service: Arc<S>,
    /// Such as `AWS::Logs::LogGroup`.
    pub type_name: &'static str,
    /// Makes it.
    pub create: Change<S>,
    /// Changes it.
    pub update: Change<S>,
    /// Removes it.
    pub delete: Remove<S>,
}

/// Makes or changes a resource.
pub type Change<S> = fn(&S, &ResourceRequest) -> Result<(ResourceState, Commit), ResourceFault>;

/// Removes a resource.
pub type Remove<S> = fn(&S, &ResourceRequest) -> Result<Commit, ResourceFault>;

impl<S: Send + Sync + 'static> Immediate<S> {
    /// Adds the type to a cloud.
    pub fn register(self, cloud: &Cloud) {
        cloud.add_resource(Arc::new(self));
    }
}

impl<S: Send + Sync + 'static> ResourceHandler for Immediate<S> {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        let changed = (self.create)(&self.service, request);
        Box::pin(stored(changed))
    }

    fn update<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        let changed = (self.update)(&self.service, request);
        Box::pin(stored(changed))
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        let removed = (self.delete)(&self.service, request);
        Box::pin(async move {
            match removed {
                Ok(commit) => Ok(commit.stored().await.map_err(Fault::from)?),
                Err(ResourceFault::Failed { code, .. }) if code == "NotFound" => Ok(()),
                Err(fault) => Err(fault),
            }
        })
    }
}

impl ResourceRequest {
    /// The properties as an object.
    ///
    /// # Errors
    /// [`Fault::invalid_input`] if they are something else.
    pub fn members(&self) -> Result<Map<String, Value>, Fault> {
        match &self.properties {
            Value::Object(members) => Ok(members.clone()),
            Value::Null => Ok(Map::new()),
            other => {
                Err(Fault::invalid_input(format!("properties must be an object, not {other}")))
            }
        }
    }
}

async fn stored(
    changed: Result<(ResourceState, Commit), ResourceFault>,
) -> Result<ResourceState, ResourceFault> {
    let (state, commit) = changed?;
    commit.stored().await.map_err(Fault::from)?;
    Ok(state)
}
