//! Custom resources: what CloudFormation asks, and that it is always answered.
//!
//! CloudFormation waits an hour for an answer that never comes, and then rolls
//! back for another hour. So the work runs in a task of its own, and whatever
//! becomes of it (success, error, panic, no time left) leads to exactly one
//! answer per invocation.
//!
//! A resource itself knows nothing of this. It creates, updates and deletes, and
//! may be called again at any point with the same request: Lambda and
//! CloudFormation both repeat.

mod request;
mod response;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};
use tracing::{error, info};

pub(crate) use request::number;

use crate::Result;
use crate::environment::Aws;
use crate::function::{Function, Invocation};
use request::{Request, RequestType, properties};
use response::{Responder, Response};

/// Something that CloudFormation can create through a function.
pub(crate) trait Resource: Send + Sync + 'static {
    /// The type's name in a template.
    const TYPE: &'static str;

    /// What a template says about it.
    type Properties: DeserializeOwned + Send;

    /// Makes the resource, or finds it if it has been made before.
    fn create(
        &self,
        properties: Self::Properties,
        context: &Context,
    ) -> impl Future<Output = Result<Outcome>> + Send;

    /// Brings the resource from `old` to `properties`. An outcome with another
    /// physical id makes CloudFormation delete the resource with the old one.
    fn update(
        &self,
        physical_id: &str,
        properties: Self::Properties,
        old: Option<Self::Properties>,
        context: &Context,
    ) -> impl Future<Output = Result<Outcome>> + Send;

    /// Removes what was made under `physical_id`; what is gone already is fine.
    /// `properties` are missing if they are not valid, as after a failed Create.
    fn delete(
        &self,
        physical_id: &str,
        properties: Option<Self::Properties>,
        context: &Context,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// A resource that exists now.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The id that CloudFormation knows it by.
    pub(crate) physical_id: String,
    /// What `Fn::GetAtt` returns.
    pub(crate) data: Map<String, Value>,
}

/// What a resource may know about the request, besides its properties.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The ARN of the stack; a stack that is made again has another one.
    pub(crate) stack_id: String,
    /// The name of the resource in the template.
    pub(crate) logical_id: String,
    /// When the work must have ended.
    pub(crate) work_until: Instant,
    intended: Arc<Mutex<Option<String>>>,
}

impl Context {
    /// Says under which physical id something is about to be made, so that it can
    /// be deleted again even if nothing more is heard of this invocation.
    pub(crate) fn intend(&self, physical_id: &str) {
        *self.intended.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(physical_id.to_owned());
    }

    fn intended(&self) -> Option<String> {
        self.intended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The function of a custom resource.
pub(crate) struct CustomResource<R> {
    resource: Arc<R>,
    responder: Responder,
}

impl<R: Resource> CustomResource<R> {
    pub(crate) fn new(resource: R, aws: &Aws) -> Self {
        CustomResource {
            resource: Arc::new(resource),
            responder: Responder::new(aws.connector.clone()),
        }
    }
}

impl<R: Resource> Function for CustomResource<R> {
    async fn call(&self, event: Value, invocation: Invocation) -> Result<Value> {
        let request = Request::new(&event)?;
        info!(
            request_type = request.request_type.as_str(),
            stack_id = request.stack_id,
            logical_id = request.logical_id,
            physical_id = request.physical_id,
            "custom resource"
        );
        let left = invocation.deadline.saturating_duration_since(Instant::now());
        let context = Context {
            stack_id: request.stack_id.clone(),
            logical_id: request.logical_id.clone(),
            work_until: Instant::now() + left - TIME_TO_ANSWER.min(left / 2),
            intended: Arc::default(),
        };
        let verdict = self.verdict(&request, &context).await;
        if let Err(reason) = &verdict {
            error!(reason, "custom resource failed");
        }
        let response = Response::new(&request, verdict, context.intended(), &invocation);
        self.responder.send(&request.response_url, &response).await?;
        Ok(Value::Null)
    }
}

impl<R: Resource> CustomResource<R> {
    /// What becomes of the work: an outcome, or why there is none.
    async fn verdict(
        &self,
        request: &Request,
        context: &Context,
    ) -> std::result::Result<Outcome, String> {
        let work = work(Arc::clone(&self.resource), request.clone(), context.clone());
        let mut task = tokio::spawn(work);
        match timeout_at(context.work_until, &mut task).await {
            Ok(Ok(result)) => result.map_err(|error| error.to_string()),
            // What a panic says is for the log; it might hold anything.
            Ok(Err(_)) => Err("the function panicked: its log has the details".to_owned()),
            Err(_) => {
                task.abort();
                Err("the work did not end in time: raise the timeout of the function".to_owned())
            }
        }
    }
}

async fn work<R: Resource>(
    resource: Arc<R>,
    request: Request,
    context: Context,
) -> Result<Outcome> {
    let physical_id = request.physical_id.as_deref().unwrap_or_default();
    match request.request_type {
        RequestType::Create => {
            let properties = properties(R::TYPE, &request.properties)?;
            resource.create(properties, &context).await
        }
        RequestType::Update => {
            let old = properties(R::TYPE, &request.old_properties).ok();
            let properties = properties(R::TYPE, &request.properties)?;
            resource.update(physical_id, properties, old, &context).await
        }
        RequestType::Delete => {
            let properties = properties(R::TYPE, &request.properties).ok();
            resource.delete(physical_id, properties, &context).await?;
            Ok(Outcome { physical_id: physical_id.to_owned(), ..Outcome::default() })
        }
    }
}

/// What is kept of a function's time for the answer, with its repetitions.
const TIME_TO_ANSWER: Duration = Duration::from_secs(8);
