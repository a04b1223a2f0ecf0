//! The Lambda Runtime API, on a socket of its own for each process.
//!
//! A process asks for its next invocation and posts its answer or its error. As
//! every process has its own socket, it can see nobody else's invocations.
//! Extensions and streamed responses are not offered.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use iotstack_local_kernel::id;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

/// An invocation on its way to the process.
pub(super) struct Task {
    pub(super) request_id: String,
    pub(super) function_arn: String,
    pub(super) payload: Bytes,
    pub(super) client_context: Option<String>,
    pub(super) timeout: Duration,
}

/// What the process posted.
pub(super) enum Answer {
    Response(Bytes),
    Failure { payload: Bytes },
}

/// How far the process is with its start.
pub(super) enum Init {
    Starting,
    Ready,
    Failed(Bytes),
}

/// Where the worker and its process meet.
pub(super) struct Exchange {
    desk: Mutex<Desk>,
    arrived: Notify,
    init: watch::Sender<Init>,
}

#[derive(Default)]
struct Desk {
    waiting: Option<(Task, oneshot::Sender<Answer>)>,
    running: Option<(String, oneshot::Sender<Answer>)>,
}

impl Default for Exchange {
    fn default() -> Self {
        Exchange {
            desk: Mutex::default(),
            arrived: Notify::new(),
            init: watch::Sender::new(Init::Starting),
        }
    }
}

impl Exchange {
    /// Lays an invocation down and waits for its answer; none if another one
    /// took its place.
    pub(super) fn hand_over(&self, task: Task) -> impl Future<Output = Option<Answer>> + use<> {
        let (done, answer) = oneshot::channel();
        self.lock().waiting = Some((task, done));
        self.arrived.notify_one();
        async move { answer.await.ok() }
    }

    pub(super) fn init(&self) -> watch::Receiver<Init> {
        self.init.subscribe()
    }

    async fn next(&self) -> Task {
        self.init.send_if_modified(|init| {
            let is_first = matches!(init, Init::Starting);
            if is_first {
                *init = Init::Ready;
            }
            is_first
        });
        loop {
            {
                let mut desk = self.lock();
                if let Some((task, done)) = desk.waiting.take() {
                    desk.running = Some((task.request_id.clone(), done));
                    return task;
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Whether `id` was running and is answered now.
    fn answer(&self, id: &str, answer: Answer) -> bool {
        let mut desk = self.lock();
        match desk.running.take() {
            Some((running, done)) if running == id => done.send(answer).is_ok(),
            other => {
                desk.running = other;
                false
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The socket of one process; closed when it is dropped.
pub(super) struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens the socket.
pub(super) async fn serve(exchange: Arc<Exchange>) -> std::io::Result<(SocketAddr, Server)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let accept = async move {
        // Connections live in this set, so that they end with the socket.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let _ = stream.set_nodelay(true);
                    let exchange = exchange.clone();
                    connections.spawn(async move {
                        let service = hyper::service::service_fn(move |request| {
                            let exchange = exchange.clone();
                            async move { Ok::<_, Infallible>(handle(&exchange, request).await) }
                        });
                        let io = TokioIo::new(stream);
                        if let Err(error) =
                            hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
                        {
                            tracing::trace!(%error, "a connection of a function ended");
                        }
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    };
    Ok((address, Server(tokio::spawn(accept))))
}

async fn handle(exchange: &Exchange, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let Some(place) = path.strip_prefix("/2018-06-01/runtime/") else {
        return refuse(StatusCode::NOT_FOUND, "NotFound", "the Runtime API has no such path");
    };
    let parts: Vec<&str> = place.split('/').collect();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => deliver(exchange.next().await),
        (&Method::POST, ["invocation", id, "response"]) => {
            let (id, body) = ((*id).to_owned(), read(request).await);
            match body {
                Ok(payload) => accept(exchange.answer(&id, Answer::Response(payload))),
                Err(()) => {
                    let message = format!(
                        "the response exceeds the {LARGEST_RESPONSE} bytes that are allowed"
                    );
                    let error = json!({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message});
                    let payload = error.to_string().into();
                    exchange.answer(&id, Answer::Failure { payload });
                    refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
                }
            }
        }
        (&Method::POST, ["invocation", id, "error"]) => {
            let id = (*id).to_owned();
            let payload = error_of(request).await;
            accept(exchange.answer(&id, Answer::Failure { payload }))
        }
        (&Method::POST, ["init", "error"]) => {
            let payload = error_of(request).await;
            exchange.init.send_replace(Init::Failed(payload));
            accept(true)
        }
        _ => refuse(StatusCode::NOT_FOUND, "NotFound", "the Runtime API has no such path"),
    }
}

fn deliver(task: Task) -> Response<Full<Bytes>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let deadline = (now + task.timeout).as_millis();
    let trace = format!("Root=1-{:08x}-{};Sampled=0", now.as_secs(), id::hex_digits(24));
    let mut response = Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", task.request_id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", task.function_arn)
        .header("Lambda-Runtime-Trace-Id", trace);
    if let Some(context) = task.client_context {
        response = response.header("Lambda-Runtime-Client-Context", context);
    }
    response.body(Full::new(task.payload)).unwrap_or_else(|_| {
        refuse(StatusCode::INTERNAL_SERVER_ERROR, "Internal", "the invocation cannot be written")
    })
}

/// A body of at most the size that a response may have.
async fn read(request: Request<Incoming>) -> Result<Bytes, ()> {
    let body = Limited::new(request.into_body(), LARGEST_RESPONSE).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|_| ())
}

/// The description of an error; made from the header if the body has none.
async fn error_of(request: Request<Incoming>) -> Bytes {
    let kind = request
        .headers()
        .get("lambda-runtime-function-error-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("Unhandled")
        .to_owned();
    let body = read(request).await.unwrap_or_default();
    if body.is_empty() { json!({"errorType": kind}).to_string().into() } else { body }
}

fn accept(known: bool) -> Response<Full<Bytes>> {
    if !known {
        let message = "no invocation with this request id is running";
        return refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", message);
    }
    let mut response = Response::new(Full::from(r#"{"status":"OK"}"#));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn refuse(status: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
    let body = json!({"errorType": kind, "errorMessage": message}).to_string();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}

/// What a function may answer at most.
const LARGEST_RESPONSE: usize = 6 * 1024 * 1024 + 100 * 1024;
