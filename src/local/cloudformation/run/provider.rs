//! Who makes a resource: a handler of another service, or this crate itself.
//!
//! This crate makes custom resources, nested stacks, wait conditions and their
//! handles. Two types are kept as records only: `AWS::CDK::Metadata`, which is
//! nothing anywhere, and `AWS::ECR::Repository`, which `cdk bootstrap` makes and
//! which has no API here: images can neither be pushed nor pulled.

use std::sync::Arc;

use iotstack_assembly::template::is_custom;
use iotstack_local_kernel::{
    Cloud, ResourceFault, ResourceHandler, ResourceRequest, ResourceState, id,
};
use tokio::sync::watch;

use super::ledger::STACK_TYPE;
use super::{custom, nested, wait};
use crate::Engine;

/// Where a resource is made.
#[derive(Clone)]
pub struct Context {
    /// All stacks.
    pub engine: Arc<Engine>,
    /// The cloud.
    pub cloud: Arc<Cloud>,
    /// Set when the operation is given up.
    pub cancelled: watch::Receiver<Option<String>>,
}

/// Why a resource was not made or changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// For this reason. What was made so far has this name.
    Failed {
        /// Why.
        reason: String,
        /// The name of what has to be deleted.
        physical_id: Option<String>,
    },
    /// The change needs a new resource.
    Replace,
}

/// Whether anybody makes resources of a type.
pub fn is_offered(cloud: &Cloud, kind: &str) -> bool {
    Provider::of(cloud, kind).is_some()
}

/// Who makes resources of one type.
pub enum Provider {
    /// Another service.
    Handler(Arc<dyn ResourceHandler>),
    /// The user's own function.
    Custom,
    /// A stack in the stack.
    Nested,
    /// Waits for signals.
    WaitCondition,
    /// The address of the signals.
    WaitHandle,
    /// Nobody needs to.
    Record,
}

impl Provider {
    /// Who makes resources of a type, if anybody does.
    pub fn of(cloud: &Cloud, kind: &str) -> Option<Self> {
        // A handler of another service goes before what is only a record here.
        if let Some(handler) = cloud.resource(kind) {
            return Some(Provider::Handler(handler));
        }
        Some(match kind {
            STACK_TYPE => Provider::Nested,
            "AWS::CloudFormation::WaitCondition" => Provider::WaitCondition,
            "AWS::CloudFormation::WaitConditionHandle" => Provider::WaitHandle,
            "AWS::CDK::Metadata" | "AWS::ECR::Repository" => Provider::Record,
            kind if is_custom(kind) => Provider::Custom,
            _ => return None,
        })
    }

    /// Makes a resource.
    ///
    /// # Errors
    /// Why it could not be made.
    pub async fn create(
        &self,
        context: &Context,
        request: &ResourceRequest,
    ) -> Result<ResourceState, Failure> {
        match self {
            Provider::Handler(handler) => {
                handler.create(request).await.map_err(|fault| failure(fault, &request.token))
            }
            Provider::Custom => custom::create(context, request).await,
            Provider::Nested => nested::create(context, request).await,
            Provider::WaitCondition => wait::create(context, request).await,
            Provider::WaitHandle => Ok(wait::open(&context.cloud)),
            Provider::Record => Ok(record(&context.cloud, request)),
        }
    }

    /// Changes a resource.
    ///
    /// # Errors
    /// Why it could not be changed, or that it must be replaced.
    pub async fn update(
        &self,
        context: &Context,
        request: &ResourceRequest,
    ) -> Result<ResourceState, Failure> {
        match self {
            Provider::Handler(handler) => {
                handler.update(request).await.map_err(|fault| failure(fault, &request.token))
            }
            Provider::Custom => custom::update(context, request).await,
            Provider::Nested => nested::update(context, request).await,
            // The old condition has been met; new times and counts need a new one.
            Provider::WaitCondition | Provider::WaitHandle => Err(Failure::Replace),
            Provider::Record => {
                let mut state = record(&context.cloud, request);
                state.physical_id = request.physical_id.clone().unwrap_or(state.physical_id);
                Ok(state)
            }
        }
    }

    /// Deletes a resource. One that is gone already is deleted.
    ///
    /// # Errors
    /// Why it could not be deleted.
    pub async fn delete(
        &self,
        context: &Context,
        request: &ResourceRequest,
    ) -> Result<(), Failure> {
        match self {
            Provider::Handler(handler) => match handler.delete(request).await {
                Err(ResourceFault::Failed { code, .. }) if code == "NotFound" => Ok(()),
                outcome => outcome.map_err(|fault| failure(fault, &request.token)),
            },
            Provider::Custom => custom::delete(context, request).await,
            Provider::Nested => nested::delete(context, request).await,
            Provider::WaitHandle => {
                wait::close(request.physical_id.as_deref().unwrap_or_default());
                Ok(())
            }
            Provider::WaitCondition | Provider::Record => Ok(()),
        }
    }
}

impl Failure {
    /// A failure that leaves nothing behind.
    pub fn of(reason: impl Into<String>) -> Self {
        Failure::Failed { reason: reason.into(), physical_id: None }
    }
}

/// A handler's refusal in the form in which CloudFormation tells it.
fn failure(fault: ResourceFault, token: &str) -> Failure {
    match fault {
        ResourceFault::Replace => Failure::Replace,
        ResourceFault::Failed { code, message } => Failure::of(format!(
            "Resource handler returned message: \"{message}\" (RequestToken: {token}, HandlerErrorCode: {code})"
        )),
    }
}

fn record(cloud: &Cloud, request: &ResourceRequest) -> ResourceState {
    if request.type_name != "AWS::ECR::Repository" {
        return ResourceState::new(format!("{}-{}", request.logical_id, id::hex_digits(12)));
    }
    let given = request.properties.get("RepositoryName").and_then(|name| name.as_str());
    let name = given.map_or_else(|| request.generated_name(200).to_lowercase(), str::to_owned);
    let account = &cloud.account;
    let uri = format!("{}.dkr.ecr.{}.{}/{name}", account.id, account.region, account.url_suffix());
    let arn = account.arn("ecr", format!("repository/{name}"));
    ResourceState::new(name).with("Arn", arn).with("RepositoryUri", uri)
}
