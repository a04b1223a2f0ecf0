//! Invocations: answered, later, or only judged.
//!
//! A synchronous invocation waits for its process, an event returns at once, a dry run
//! only asks whether the function is there. Errors of functions are answers with a
//! header, not faults.

use std::sync::Arc;

use iotstack_local_kernel::{Call, Fault, Reply};

use super::named;
use crate::error::{invalid, too_large};
use crate::service::Lambda;

impl Lambda {
    pub(crate) async fn invoke(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let name = named(&call)?;
        let plan = self.plan(&name)?;
        let executed = plan.version.number.clone();
        let kind = call.optional_text("InvocationType")?.unwrap_or("RequestResponse");
        let limit = if kind == "Event" { LARGEST_EVENT } else { LARGEST_REQUEST };
        if call.body.len() > limit {
            return Err(too_large(format!(
                "the payload has {} bytes; {limit} are allowed",
                call.body.len()
            )));
        }
        let payload = if call.body.is_empty() { "{}".into() } else { call.body.clone() };
        if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
            let message = format!("the payload is not JSON: {error}");
            return Err(
                Fault::new("InvalidRequestContentException", 400, message).with("Type", "User")
            );
        }
        match kind {
            "RequestResponse" => {}
            "Event" => {
                self.enqueue(&name, payload)?;
                let reply = Reply::bytes("application/json", "");
                return Ok(reply.status(202).header("x-amz-executed-version", executed));
            }
            "DryRun" => return Ok(Reply::bytes("application/json", "").status(204)),
            other => {
                return Err(invalid(format!(
                    "InvocationType must be RequestResponse, Event or DryRun, not `{other}`"
                )));
            }
        }
        let tail = match call.optional_text("LogType")? {
            None | Some("None") => false,
            Some("Tail") => true,
            Some(other) => {
                return Err(invalid(format!("LogType must be None or Tail, not `{other}`")));
            }
        };
        let context = call.optional_text("ClientContext")?.map(decoded).transpose()?;
        let outcome = self.run(plan, call.request_id.clone(), payload, context, tail).await?;
        let mut reply = Reply::bytes("application/json", outcome.payload)
            .header("x-amz-executed-version", executed);
        if let Some(error) = outcome.error {
            reply = reply.header("x-amz-function-error", error);
        }
        if let Some(log) = outcome.log_tail {
            reply = reply.header("x-amz-log-result", log);
        }
        Ok(reply)
    }
}

fn decoded(context: &str) -> Result<String, Fault> {
    use base64::Engine;
    let decoded = base64::engine::general_purpose::STANDARD.decode(context).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    // What cannot be a header could not reach the function either.
    text.filter(|text| text.bytes().all(|byte| byte >= b' '))
        .ok_or_else(|| invalid("ClientContext must be JSON on one line, in base64"))
}

/// What a request may bring.
const LARGEST_REQUEST: usize = 6 * 1024 * 1024;

/// What an asynchronous invocation may bring.
pub(crate) const LARGEST_EVENT: usize = 1024 * 1024;
