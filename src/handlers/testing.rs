//! A cloud for tests: answers that were written down, and what was asked.
//!
//! It stands where the HTTP client would, below the real SDK clients, so that a
//! test sees the requests as they would go over the wire. A request without an
//! answer gets one that no service gives, which is not tried again.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::{SharedTimeSource, StaticTimeSource};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;
use tokio::time::Instant;

use crate::environment::{Aws, Environment};
use crate::function::Invocation;

/// Answers by script.
#[derive(Clone, Default)]
pub(crate) struct Cloud {
    routes: Arc<Mutex<Vec<Route>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

struct Route {
    method: &'static str,
    part: String,
    replies: Vec<Reply>,
}

/// An answer.
#[derive(Clone)]
pub(crate) enum Reply {
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    Never,
}

/// A request that came.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Cloud {
    pub(crate) fn new() -> Self {
        Cloud::default()
    }

    /// Adds an answer to requests with this method whose URL or target holds
    /// `part`. Answers of one route are given in order, the last one for ever;
    /// routes are tried in order.
    pub(crate) fn on(&self, method: &'static str, part: &str, reply: Reply) {
        let mut routes = self.routes.lock().unwrap();
        match routes.iter_mut().find(|route| route.method == method && route.part == part) {
            Some(route) => route.replies.push(reply),
            None => {
                routes.push(Route { method, part: part.to_owned(), replies: vec![reply] });
            }
        }
    }

    /// Adds an answer like [`Cloud::on`], unless the same route has one already.
    pub(crate) fn otherwise(&self, method: &'static str, part: &str, reply: Reply) {
        let routes = self.routes.lock().unwrap();
        let is_known = routes.iter().any(|route| route.method == method && route.part == part);
        drop(routes);
        if !is_known {
            self.on(method, part, reply);
        }
    }

    /// Everything that was asked so far, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What was asked with this method of URLs or targets that hold `part`.
    pub(crate) fn asked(&self, method: &str, part: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.is(method, part)).collect()
    }

    pub(crate) fn aws(&self, environment: &Environment) -> Aws {
        let client = SharedHttpClient::new(self.clone());
        let connector = SharedHttpConnector::new(self.clone());
        environment.aws_through(client, connector, fixed_time()).unwrap()
    }

    fn answer(&self, seen: Seen) -> Reply {
        let mut routes = self.routes.lock().unwrap();
        let route = routes.iter_mut().find(|route| seen.is(route.method, &route.part));
        let reply = match route {
            Some(route) if route.replies.len() > 1 => route.replies.remove(0),
            Some(route) => route.replies[0].clone(),
            None => Reply::error(
                418,
                "NotInTheScript",
                &format!("{} {} {:?}", seen.method, seen.uri, seen.header("x-amz-target")),
            ),
        };
        self.seen.lock().unwrap().push(seen);
        reply
    }
}

impl Reply {
    pub(crate) fn empty(status: u16) -> Self {
        Reply::bytes(status, Vec::new())
    }

    pub(crate) fn bytes(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Reply::Answer { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn json(status: u16, body: impl fmt::Display) -> Self {
        Reply::bytes(status, body.to_string()).header("content-type", "application/json")
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        // REST services name the error in a header, JSON services in the body.
        let body = serde_json::json!({ "__type": code, "message": message });
        Reply::json(status, body).header("x-amzn-errortype", code)
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Reply::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn is(&self, method: &str, part: &str) -> bool {
        let target = self.header("x-amz-target").unwrap_or_default();
        self.method == method && (self.uri.contains(part) || target.contains(part))
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.header("x-amz-target").unwrap_or_default();
        write!(f, "{} {} {target}", self.method, self.uri)
    }
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cloud")
    }
}

impl HttpConnector for Cloud {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let headers = request.headers().iter();
        let seen = Seen {
            method: request.method().to_owned(),
            uri: request.uri().to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: request.body().bytes().unwrap_or_default().to_vec(),
        };
        match self.answer(seen) {
            Reply::Never => HttpConnectorFuture::new(std::future::pending()),
            Reply::Answer { status, headers, body } => {
                let status = status.try_into().unwrap();
                let length = body.len().to_string();
                let mut response = HttpResponse::new(status, SdkBody::from(body));
                if !headers.iter().any(|(name, _)| *name == "content-length") {
                    response.headers_mut().insert("content-length", length);
                }
                for (name, value) in headers {
                    response.headers_mut().insert(name, value);
                }
                HttpConnectorFuture::ready(Ok(response))
            }
        }
    }
}

impl HttpClient for Cloud {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// What Lambda sets for every function.
pub(crate) fn lambda_variables() -> Vec<(&'static str, &'static str)> {
    vec![
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "example-secret"),
        ("AWS_SESSION_TOKEN", "token"),
    ]
}

/// How to reach `cloud` from a function.
pub(crate) fn aws(cloud: &Cloud) -> Aws {
    cloud.aws(&Environment::of(&lambda_variables()))
}

/// An invocation with a minute to go.
pub(crate) fn invocation() -> Invocation {
    Invocation {
        request_id: "8f14e45f-ceea-467a-9575-1ad9a1f5f5f5".to_owned(),
        deadline: Instant::now() + Duration::from_secs(60),
        log_stream: "2026/11/21/[$LATEST]abc".to_owned(),
    }
}

/// The clock of the SDK, which stands still.
fn fixed_time() -> SharedTimeSource {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    SharedTimeSource::new(StaticTimeSource::new(time))
}
