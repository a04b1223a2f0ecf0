//! What a function is, and how Lambda runs it.
//!
//! A function takes an event and what it needs to know of the invocation, and
//! returns a value or an error. The clock is read once, here at the border: from
//! then on there is only a deadline, so that tests run on a stepped clock.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::time::Instant;

use crate::{Error, Result};

/// A Lambda function.
pub(crate) trait Function: Send + Sync + 'static {
    /// Handles one event.
    fn call(
        &self,
        event: Value,
        invocation: Invocation,
    ) -> impl Future<Output = Result<Value>> + Send;
}

/// What a function knows about how it was called.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    /// The id of the request; a repeated invocation of an event has the same one.
    pub(crate) request_id: String,
    /// When Lambda stops the function.
    pub(crate) deadline: Instant,
    /// Where the function's log goes.
    pub(crate) log_stream: String,
}

impl Invocation {
    fn new(context: &Context) -> Self {
        // A deadline that has passed leaves no time rather than an error.
        let left = context.deadline().duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        Invocation {
            request_id: context.request_id.clone(),
            deadline: Instant::now() + left,
            log_stream: context.env_config.log_stream.clone(),
        }
    }
}

/// Hands events from Lambda to `function`, one after the other.
pub(crate) async fn serve<F: Function>(function: F) -> Result<()> {
    let function = Arc::new(function);
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let function = Arc::clone(&function);
        async move {
            let invocation = Invocation::new(&event.context);
            let result = function.call(event.payload, invocation).await;
            if let Err(error) = &result {
                tracing::error!(%error, "the invocation failed");
            }
            result
        }
    });
    lambda_runtime::run(service).await.map_err(|error| Error::Runtime(error.to_string()))
}
