//! The endpoint of all AWS APIs: one HTTP port.
//!
//! The signature's scope says which service a request is for. S3 checks its own
//! signatures, as its bodies come in signed chunks; for all others the gateway
//! does, and asks IAM whether the caller may. What comes from a foreign web page
//! is refused before anything else: a page that a user happens to look at must
//! not reach a cloud on the same machine.
//!
//! Under `/_iotstack/` live the things that AWS does not have: health, coverage,
//! the answers of custom resources, the console. `/mqtt` is MQTT over WebSocket.

mod origin;
mod websocket;

use std::sync::{Arc, Weak};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, put};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use iotstack_local_broker::Listener;
use iotstack_local_kernel::signature::Signature;
use iotstack_local_kernel::wire::{self, Format};
use iotstack_local_kernel::{Caller, Cloud, Fault, Timestamp, id};
use serde_json::json;

use crate::console::History;
use crate::parts::Parts;

/// What the gateway hands requests to.
pub struct Gateway {
    /// The services.
    pub cloud: Arc<Cloud>,
    /// What is no ordinary service.
    pub parts: Parts,
    /// Where devices come in.
    pub mqtt: Weak<Listener>,
    /// What happened lately, for the console.
    pub history: Arc<History>,
    /// Whether only loopback names may stand in `Host`.
    pub loopback_only: bool,
}

/// The routes of the endpoint.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/_iotstack/health", get(health))
        .route("/_iotstack/coverage", get(coverage))
        .route("/_iotstack/cfn-response/{token}", put(custom_resource_answer))
        .route("/mqtt", any(mqtt))
        .merge(crate::console::router())
        .fallback(api)
        .layer(axum::middleware::from_fn_with_state(gateway.clone(), origin::guard))
        .with_state(gateway)
}

async fn health(State(gateway): State<Arc<Gateway>>) -> Response {
    let addresses = gateway.cloud.addresses();
    let account = &gateway.cloud.account;
    axum_json(&json!({
        "endpoint": addresses.endpoint,
        "mqtt": addresses.mqtt,
        "authority": gateway.parts.ca.pem(),
        "account": account.id,
        "region": account.region,
        "doors": gateway.mqtt.upgrade().map_or(0, |mqtt| mqtt.doors()),
        "time": gateway.cloud.clock.now().iso8601(),
    }))
}

async fn coverage(State(gateway): State<Arc<Gateway>>) -> Response {
    axum_json(&crate::coverage::as_json(&gateway.cloud))
}

/// The answer of a custom resource; its token is the permission.
async fn custom_resource_answer(
    axum::extract::Path(token): axum::extract::Path<String>,
    body: Bytes,
) -> StatusCode {
    if iotstack_local_cloudformation::respond(&token, &body) {
        StatusCode::OK
    } else {
        StatusCode::FORBIDDEN
    }
}

async fn mqtt(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    let request = Request::from_parts(parts, Bytes::new());
    let caller = match gateway.authenticate(&request) {
        Ok((_, caller)) => caller,
        Err(fault) => return refuse(&fault, &Format::RestJson),
    };
    match upgrade {
        Ok(upgrade) => websocket::serve(upgrade, gateway, caller, peer),
        Err(rejection) => rejection.into_response(),
    }
}

/// Every request of an AWS API.
async fn api(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    let scope = match Signature::of(&request) {
        Ok(signature) => signature.scope,
        // Who signs nothing, or in S3's older ways, means S3, unless S3 speaks no such format.
        Err(_) if speaks_rest(request.headers()) => "s3".to_owned(),
        Err(fault) => return refuse(&fault, &format_of("", request.headers())),
    };
    if scope == "s3" {
        return gateway.parts.objects.answer(request).await.map(Body::new);
    }
    let (head, body) = request.into_parts();
    let format = format_of(&scope, &head.headers);
    let body = match axum::body::to_bytes(body, LARGEST_BODY).await {
        Ok(body) => body,
        Err(_) => {
            let message = format!("the body must be at most {LARGEST_BODY} bytes and complete");
            return refuse(&Fault::new("RequestEntityTooLargeException", 413, message), &format);
        }
    };
    let request = Request::from_parts(head, body);
    match gateway.answer(request).await {
        Ok(response) => response,
        Err(fault) => refuse(&fault, &format),
    }
}

impl Gateway {
    /// Checks who signed, asks whether they may, and calls the operation.
    async fn answer(&self, request: Request<Bytes>) -> Result<Response, Fault> {
        let (scope, caller) = self.authenticate(&request)?;
        let meant = self.cloud.services.read(&scope, &request);
        let operation = meant.operation();
        if let (Some(operation), Caller::Principal { arn }) = (operation, &caller) {
            let action = format!("{}:{operation}", action_prefix(&scope));
            if !self.cloud.ports.credentials()?.allows(&caller, &action, "*") {
                let message = format!("{arn} may not do {action}: none of its policies allows it");
                return Err(Fault::new("AccessDeniedException", 403, message));
            }
        }
        tracing::debug!(scope, operation, "call");
        let now = self.cloud.clock.now();
        let response = meant.answer(request, caller, now).await;
        Ok(response.map(Body::from))
    }

    /// Whose request it is, and for which service.
    fn authenticate(&self, request: &Request<Bytes>) -> Result<(String, Caller), Fault> {
        let signature = Signature::of(request)?;
        let credentials = self.cloud.ports.credentials()?;
        // Clients sign with the machine's time, also when the cloud's runs faster.
        let now = [machine_time(), self.cloud.clock.now()];
        let identity = signature.verify(request, &**credentials, &now)?;
        Ok((signature.scope, identity.caller))
    }
}

fn machine_time() -> Timestamp {
    iotstack_local_kernel::Clock::real().now()
}

/// What stands before the colon in IAM's name of an action.
fn action_prefix(scope: &str) -> &str {
    match scope {
        "iotdata" | "iotdevicegateway" | "execute-api" => "iot",
        "iot-jobs-data" => "iotjobsdata",
        "monitoring" => "cloudwatch",
        other => other,
    }
}

fn speaks_rest(headers: &HeaderMap) -> bool {
    let is_form = wire::query::is_form(headers);
    !is_form && !wire::cbor::is_spoken(headers) && !headers.contains_key("x-amz-target")
}

/// The format in which a request is refused before a service is reached.
fn format_of(scope: &str, headers: &HeaderMap) -> Format {
    if wire::cbor::is_spoken(headers) {
        return Format::Cbor;
    }
    if wire::query::is_form(headers) {
        return Format::Query { namespace: "" };
    }
    match scope {
        "cloudformation" | "iam" | "sts" | "sns" => Format::Query { namespace: "" },
        "ssm" | "kms" | "logs" | "events" | "secretsmanager" | "acm" | "dynamodb" => {
            Format::AwsJson { version: "1.1", spoke_query: false }
        }
        "sqs" | "monitoring" => Format::AwsJson { version: "1.1", spoke_query: true },
        _ => Format::RestJson,
    }
}

fn refuse(fault: &Fault, format: &Format) -> Response {
    wire::write_fault(fault, format, &id::uuid()).map(Body::from)
}

fn axum_json(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// The code of a function may come inside the call, in base64.
const LARGEST_BODY: usize = 80 * 1024 * 1024;
