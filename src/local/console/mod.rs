//! The console: the cloud in a browser, under `/_iotstack/console`.
//!
//! Pages are three files that are part of the program (`page`), with no build step
//! and nothing from elsewhere. They read JSON from here ([`mod@view`],
//! [`mod@widget`]) and hear of changes as server-sent events ([`mod@history`]).
//!
//! The console only looks. Whoever wants to change something uses the AWS APIs or
//! the program, which ask for a signature; this asks for none, and the gateway
//! keeps foreign pages out.

mod history;
mod view;
mod widget;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::BroadcastStream;

use crate::gateway::Gateway;

pub use history::History;

/// The routes of the console.
pub fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/_iotstack/console", get(|| async { Redirect::permanent("/_iotstack/console/") }))
        .route("/_iotstack/console/", get(|| async { file(Path("index.html".to_owned())).await }))
        .route("/_iotstack/console/{name}", get(file))
        .route("/_iotstack/console/events", get(events))
        .route("/_iotstack/console/api/overview", get(overview))
        .route("/_iotstack/console/api/things", get(things))
        .route("/_iotstack/console/api/things/{thing}", get(thing))
        .route("/_iotstack/console/api/jobs", get(jobs))
        .route("/_iotstack/console/api/jobs/{job}", get(job))
        .route("/_iotstack/console/api/dashboards", get(dashboards))
        .route("/_iotstack/console/api/dashboards/{name}", get(dashboard))
        .route("/_iotstack/console/api/logs", get(logs))
        .route("/_iotstack/console/api/log", get(log))
}

/// A part of a long list.
#[derive(Debug, Default, Deserialize)]
struct Part {
    token: Option<String>,
    query: Option<String>,
    group: Option<String>,
    minutes: Option<i64>,
}

async fn file(Path(name): Path<String>) -> Response {
    let (content_type, text) = match name.as_str() {
        "index.html" => ("text/html; charset=utf-8", include_str!("page/index.html")),
        "style.css" => ("text/css; charset=utf-8", include_str!("page/style.css")),
        "app.js" => ("text/javascript; charset=utf-8", include_str!("page/app.js")),
        "chart.js" => ("text/javascript; charset=utf-8", include_str!("page/chart.js")),
        _ => return (StatusCode::NOT_FOUND, "no such page\n").into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        // Nothing from elsewhere, and no frame of somebody else's around it.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

async fn events(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    let heard = BroadcastStream::new(gateway.history.listen());
    // Who is too slow for single events is told to look at everything again.
    let stream = heard.map(|event| {
        let data = event.unwrap_or_else(|_| Arc::from(r#"{"kind":"everything"}"#));
        Ok::<_, Infallible>(Event::default().data(&*data))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

async fn overview(State(gateway): State<Arc<Gateway>>) -> Response {
    answer(view::overview(&gateway).await)
}

async fn things(State(gateway): State<Arc<Gateway>>, Query(part): Query<Part>) -> Response {
    answer(view::things(&gateway, part.token, part.query).await)
}

async fn thing(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>) -> Response {
    answer(view::thing(&gateway, &name).await)
}

async fn jobs(State(gateway): State<Arc<Gateway>>, Query(part): Query<Part>) -> Response {
    answer(view::jobs(&gateway, part.token).await)
}

async fn job(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    answer(view::job(&gateway, &id).await)
}

async fn dashboards(State(gateway): State<Arc<Gateway>>) -> Response {
    answer(view::dashboards(&gateway).await)
}

async fn dashboard(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    Query(part): Query<Part>,
) -> Response {
    let minutes = part.minutes.unwrap_or(180).clamp(1, 7 * 24 * 60);
    answer(view::dashboard(&gateway, &name, minutes).await)
}

async fn logs(State(gateway): State<Arc<Gateway>>) -> Response {
    answer(view::logs(&gateway).await)
}

async fn log(State(gateway): State<Arc<Gateway>>, Query(part): Query<Part>) -> Response {
    answer(view::log(&gateway, &part.group.unwrap_or_default(), part.query).await)
}

fn answer(outcome: Result<Value, iotstack_local_kernel::Fault>) -> Response {
    let (status, body) = match outcome {
        Ok(value) => (StatusCode::OK, value),
        Err(fault) => {
            let status = StatusCode::from_u16(fault.status);
            let body = json!({ "code": fault.code, "message": fault.message });
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body)
        }
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
