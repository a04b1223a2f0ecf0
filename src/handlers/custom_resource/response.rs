//! What CloudFormation is answered, and the request that carries it.
//!
//! The answer goes to a presigned URL of S3, which wants an empty content type,
//! because that is what was signed. CloudFormation reads at most 4096 bytes; an
//! answer over that would be lost, so that it is turned into a failure that says so.
//!
//! The physical id of a failed request is chosen so that nothing is lost and
//! nothing is deleted by mistake: the one that CloudFormation knows, else the one
//! under which something may have been made, else one that means nothing.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::Outcome;
use super::request::Request;
use crate::function::Invocation;
use crate::{Error, Result};

/// An answer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Response {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    physical_resource_id: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    data: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Success,
    Failed,
}

impl Response {
    pub(super) fn new(
        request: &Request,
        verdict: std::result::Result<Outcome, String>,
        intended: Option<String>,
        invocation: &Invocation,
    ) -> Self {
        let (status, reason, physical_id, data) = match verdict {
            Ok(outcome) => (Status::Success, None, outcome.physical_id, outcome.data),
            Err(reason) => {
                let known = request.physical_id.clone().or(intended);
                let physical_id = known.unwrap_or_else(|| meaningless_id(invocation));
                (Status::Failed, Some(reason), physical_id, Map::new())
            }
        };
        let response = Response {
            status,
            reason,
            physical_resource_id: physical_id,
            stack_id: request.stack_id.clone(),
            request_id: request.request_id.clone(),
            logical_resource_id: request.logical_id.clone(),
            data,
        };
        response.fitted()
    }

    /// The same answer, or a failure in its place if CloudFormation would not
    /// read all of it.
    fn fitted(mut self) -> Self {
        let size = self.body().len();
        if size <= LARGEST_ANSWER {
            return self;
        }
        let excess = size - LARGEST_ANSWER;
        self.reason = Some(match self.reason {
            Some(reason) => shortened(&reason, excess),
            None => format!(
                "the answer has {size} bytes: CloudFormation reads at most {LARGEST_ANSWER}"
            ),
        });
        self.status = Status::Failed;
        self.data = Map::new();
        self
    }

    fn body(&self) -> Vec<u8> {
        // Writing texts and JSON values into memory cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Sends answers.
pub(super) struct Responder {
    connector: SharedHttpConnector,
}

impl Responder {
    pub(super) fn new(connector: SharedHttpConnector) -> Self {
        Responder { connector }
    }

    /// Puts `response` to `url`, again if that fails for a passing reason.
    pub(super) async fn send(&self, url: &str, response: &Response) -> Result<()> {
        let body = response.body();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match self.put(url, &body).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            warn!(attempts, reason = failure.reason, "the answer was not taken");
            if !failure.is_passing || attempts == MOST_ATTEMPTS {
                return Err(Error::Answer { attempts, reason: failure.reason });
            }
            sleep(PAUSE * attempts).await;
        }
    }

    async fn put(&self, url: &str, body: &[u8]) -> std::result::Result<(), Failure> {
        let request = request(url, body)?;
        let answer = match timeout(TIME_PER_ATTEMPT, self.connector.call(request)).await {
            Ok(Ok(answer)) => answer.status(),
            // The error of a connection may hold the URL, and so is not told.
            Ok(Err(error)) => {
                let kind = if error.is_timeout() { "timed out" } else { "failed" };
                return Err(Failure { reason: format!("the connection {kind}"), is_passing: true });
            }
            Err(_) => {
                let reason = format!("no answer in {} seconds", TIME_PER_ATTEMPT.as_secs());
                return Err(Failure { reason, is_passing: true });
            }
        };
        if answer.is_success() {
            return Ok(());
        }
        Err(Failure {
            reason: format!("the answer has status {}", answer.as_u16()),
            is_passing: answer.is_server_error() || matches!(answer.as_u16(), 408 | 429),
        })
    }
}

struct Failure {
    reason: String,
    is_passing: bool,
}

fn request(url: &str, body: &[u8]) -> std::result::Result<HttpRequest, Failure> {
    let invalid = |reason: &str| Failure { reason: reason.to_owned(), is_passing: false };
    let mut request = HttpRequest::new(SdkBody::from(body.to_vec()));
    request.set_method("PUT").map_err(|_| invalid("PUT is not a method"))?;
    request.set_uri(url).map_err(|_| invalid("the ResponseURL is not a URL"))?;
    request.headers_mut().insert("content-type", "");
    request.headers_mut().insert("content-length", body.len().to_string());
    Ok(request)
}

/// An id under which nothing exists, so that a Delete of it has nothing to do.
fn meaningless_id(invocation: &Invocation) -> String {
    let name = [&invocation.log_stream, &invocation.request_id];
    let name = name.into_iter().find(|name| !name.is_empty());
    format!("failed-create/{}", name.map_or("unknown", String::as_str))
}

/// `text` without its last `excess` bytes, and a few more for what escaping adds.
fn shortened(text: &str, excess: usize) -> String {
    let mut kept = text.to_owned();
    let escaped = |text: &str| Value::from(text).to_string().len();
    let target = escaped(text).saturating_sub(excess + '…'.len_utf8());
    while escaped(&kept) > target && kept.pop().is_some() {}
    kept + "…"
}

const LARGEST_ANSWER: usize = 4096;
const MOST_ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
const TIME_PER_ATTEMPT: Duration = Duration::from_secs(2);
