//! What other services ask of functions.
//!
//! Rules, topics, alarms and stacks reach functions through it. Whether they may is
//! their question to ask (`permits`); an invocation itself does not ask again.

use std::sync::Arc;

use bytes::Bytes;
use iotstack_local_kernel::ports::{Functions, Invoked};
use iotstack_local_kernel::{BoxFuture, Fault, id};

use crate::name::FunctionName;
use crate::service::Lambda;

/// The port. It holds the service, which asynchronous invocations must share.
pub(crate) struct Port(pub(crate) Arc<Lambda>);

impl Functions for Port {
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<Invoked, Fault>> {
        Box::pin(async move {
            let plan = self.0.plan(&FunctionName::parse(function, None)?)?;
            let outcome = self.0.clone().run(plan, id::uuid(), payload, None, false).await?;
            Ok(Invoked { payload: outcome.payload, error: outcome.error })
        })
    }

    fn invoke_event(&self, function: &str, payload: Bytes) {
        let accepted = FunctionName::parse(function, None).and_then(|name| {
            self.0.plan(&name)?;
            self.0.enqueue(&name, payload)
        });
        if let Err(error) = accepted {
            tracing::warn!(function, %error, "an event is not taken");
        }
    }

    fn permits(&self, function: &str, principal: &str, source_arn: &str) -> bool {
        let Ok(name) = FunctionName::parse(function, None) else { return false };
        let key = name.qualifier.clone().filter(|qualifier| qualifier != "$LATEST");
        let permitted = self.0.read(&name, |function| {
            let statements = function.statements.get(&key.unwrap_or_default());
            Ok(statements
                .into_iter()
                .flatten()
                .any(|statement| statement.permits(&self.0.account, principal, source_arn)))
        });
        permitted.unwrap_or(false)
    }
}
