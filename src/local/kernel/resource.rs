//! How CloudFormation makes, changes and removes a resource of a service.
//!
//! The engine has resolved all intrinsics and judged the properties by the
//! schema before a handler is asked. It also decides on replacement by the
//! schema's create-only properties; a handler may still ask for it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{BoxFuture, Fault, id, loose};

/// Makes, changes and removes resources of one type.
pub trait ResourceHandler: Send + Sync {
    /// Such as `AWS::IoT::Thing`.
    fn type_name(&self) -> &'static str;

    /// Makes the resource.
    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>>;

    /// Changes the resource `request.physical_id` from `request.previous` to
    /// `request.properties`. [`ResourceFault::Replace`] makes the engine replace it.
    fn update<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>>;

    /// Removes the resource `request.physical_id`. One that is already gone is no error.
    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>>;
}

/// What the engine asks for.
#[derive(Debug, Clone, Default)]
pub struct ResourceRequest {
    /// The resource's type, such as `AWS::IoT::Thing`.
    pub type_name: String,
    /// The id in the template.
    pub logical_id: String,
    /// The stack's name.
    pub stack_name: String,
    /// The stack's ARN.
    pub stack_id: String,
    /// The tags of the stack.
    pub stack_tags: BTreeMap<String, String>,
    /// The properties wanted, all intrinsics resolved.
    pub properties: Value,
    /// The properties until now, for an update.
    pub previous: Option<Value>,
    /// The resource's name in the account, for update and delete.
    pub physical_id: Option<String>,
    /// Changes with every attempt; makes generated names differ.
    pub token: String,
}

impl ResourceRequest {
    /// The properties as a type.
    ///
    /// # Errors
    /// [`ResourceFault::Failed`] naming the property that does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ResourceFault> {
        serde_json::from_value(self.properties.clone())
            .map_err(|error| ResourceFault::failed("InvalidRequest", error.to_string()))
    }

    /// The tags of the stack, and over them those of the property `Tags`, which
    /// is a list of pairs or a map.
    ///
    /// # Errors
    /// [`Fault::invalid_input`] if `Tags` is something else.
    pub fn tags(&self) -> Result<BTreeMap<String, String>, Fault> {
        let mut tags = self.stack_tags.clone();
        if let Value::Object(members) = &self.properties {
            tags.extend(loose::pairs(members, "Tags", ("Key", "Value"))?);
        }
        Ok(tags)
    }

    /// A name as CloudFormation makes one for a resource without a name of its
    /// own: stack, logical id and twelve random characters, at most `longest` long.
    pub fn generated_name(&self, longest: usize) -> String {
        let tail = id::capitals(12);
        let head = format!("{}-{}", self.stack_name, self.logical_id);
        let room = longest.saturating_sub(tail.len() + 1);
        let head: String = head.chars().take(room).collect();
        format!("{head}-{tail}")
    }

    /// The physical id.
    ///
    /// # Errors
    /// An internal failure if the engine forgot it.
    pub fn physical_id(&self) -> Result<&str, ResourceFault> {
        self.physical_id
            .as_deref()
            .ok_or_else(|| ResourceFault::failed("InternalFailure", "no physical id"))
    }
}

/// A resource that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceState {
    /// What `Ref` gives, and the name in the account.
    pub physical_id: String,
    /// What `Fn::GetAtt` gives; nested attributes under their dotted name.
    pub attributes: BTreeMap<String, Value>,
}

impl ResourceState {
    /// A resource without attributes.
    pub fn new(physical_id: impl Into<String>) -> Self {
        ResourceState { physical_id: physical_id.into(), attributes: BTreeMap::new() }
    }

    /// With one attribute more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }
}

/// Why a resource could not be made, changed or removed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ResourceFault {
    /// The service refused. The message becomes the reason of the stack event.
    #[error("{message} (HandlerErrorCode: {code})")]
    Failed {
        /// CloudFormation's handler error code, such as `AlreadyExists`.
        code: String,
        /// What the service said.
        message: String,
    },
    /// The change needs a new resource.
    #[error("the change needs a new resource")]
    Replace,
}

impl ResourceFault {
    /// A refusal with CloudFormation's handler error code.
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        ResourceFault::Failed { code: code.to_owned(), message: message.into() }
    }
}

impl From<Fault> for ResourceFault {
    fn from(fault: Fault) -> Self {
        let code = match (fault.status, fault.code.as_str()) {
            (_, code) if code.contains("AlreadyExists") => "AlreadyExists",
            (_, code) if code.contains("NotFound") || code.starts_with("NoSuch") => "NotFound",
            (_, code) if code.contains("Throttl") => "Throttling",
            (_, code) if code.contains("AccessDenied") => "AccessDenied",
            (_, code) if code.contains("Limit") => "ServiceLimitExceeded",
            (409, _) => "ResourceConflict",
            (500.., _) => "ServiceInternalError",
            _ => "InvalidRequest",
        };
        ResourceFault::failed(code, fault.message)
    }
}
