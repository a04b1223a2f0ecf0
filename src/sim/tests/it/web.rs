//! An HTTP server for images, good or bad.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use iotstack_mqtt::tls::TlsAcceptor;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// How the server behaves, request by request; the last one stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Good,
    /// Sends this many bytes and closes the connection.
    BreaksAfter(usize),
    /// Sends this many bytes and nothing more.
    StallsAfter(usize),
    /// Answers 403.
    Expired,
    /// Sends everything, whatever range was asked for.
    IgnoresRange,
    /// Another ETag, and everything.
    OtherTag,
    /// Another ETag, though only the rest is sent.
    SplicesOther,
    /// Never ends.
    Endless,
    /// Says that there is more than was declared.
    SaysMore,
    /// The image ends early, and the server says so.
    EndsEarly,
    /// Leads to another host.
    RedirectsAway,
    /// Leads elsewhere on this host.
    RedirectsHome,
    /// Answers 500.
    Fails,
}

/// The server.
pub struct Web {
    pub address: SocketAddr,
    is_tls: bool,
    state: Arc<State>,
}

struct State {
    image: Mutex<Bytes>,
    manners: Mutex<Vec<Manner>>,
    asked: Mutex<Vec<String>>,
    /// Which token a URL must have, so that an old one expires.
    token: Mutex<u32>,
}

type Body = BoxBody<Bytes, Infallible>;

impl Web {
    pub async fn start() -> Self {
        Web::start_with(None).await
    }

    pub async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            image: Mutex::new(Bytes::new()),
            manners: Mutex::new(vec![Manner::Good]),
            asked: Mutex::default(),
            token: Mutex::new(1),
        });
        let (serving, is_tls) = (state.clone(), tls.is_some());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(state.clone(), request));
                    let server = hyper::server::conn::http1::Builder::new();
                    match tls {
                        None => {
                            let _ = server.serve_connection(TokioIo::new(stream), service).await;
                        }
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let _ = server.serve_connection(TokioIo::new(stream), service).await;
                        }
                    }
                });
            }
        });
        Web { address, is_tls, state }
    }

    pub fn serve(&self, image: Bytes) {
        *self.state.image.lock().unwrap() = image;
    }

    pub fn behave(&self, manners: &[Manner]) {
        let mut manners = manners.to_vec();
        manners.reverse();
        *self.state.manners.lock().unwrap() = manners;
    }

    /// Makes URLs that work until they are made to expire.
    pub fn presign(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let (address, is_tls, state) = (self.address, self.is_tls, self.state.clone());
        Arc::new(move || {
            let token = *state.token.lock().unwrap();
            let (scheme, host) = match is_tls {
                true => ("https", "localhost"),
                false => ("http", "127.0.0.1"),
            };
            format!("{scheme}://{host}:{}/image?X-Amz-Signature={token}", address.port())
        })
    }

    pub fn expire_urls(&self) {
        *self.state.token.lock().unwrap() += 1;
    }

    /// The ranges that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let range = request.headers().get("range").map(|range| range.to_str().unwrap().to_owned());
    state.asked.lock().unwrap().push(range.clone().unwrap_or_default());
    let manner = {
        let mut manners = state.manners.lock().unwrap();
        if manners.len() > 1 { manners.pop().unwrap() } else { manners[0] }
    };
    let token = format!("X-Amz-Signature={}", state.token.lock().unwrap());
    let image = state.image.lock().unwrap().clone();
    let simple = |status: StatusCode| {
        Response::builder().status(status).body(Full::new(Bytes::new()).boxed()).unwrap()
    };
    let is_current = request.uri().query() == Some(&token) || request.uri().path() == "/home";
    if manner == Manner::Expired || !is_current {
        return Ok(simple(StatusCode::FORBIDDEN));
    }
    let redirect = |to: &str| {
        let response = Response::builder().status(StatusCode::FOUND).header("location", to);
        response.body(Full::new(Bytes::new()).boxed()).unwrap()
    };
    match manner {
        Manner::RedirectsAway => return Ok(redirect("http://127.0.0.2:1/image")),
        Manner::RedirectsHome if request.uri().path() != "/home" => return Ok(redirect("/home")),
        Manner::Fails => return Ok(simple(StatusCode::INTERNAL_SERVER_ERROR)),
        _ => {}
    }
    let tag = match manner {
        Manner::OtherTag | Manner::SplicesOther => "\"other\"",
        _ => "\"one\"",
    };
    let if_range = request.headers().get("if-range").map(|tag| tag.to_str().unwrap().to_owned());
    let is_same = if_range.is_none_or(|asked| asked == tag) || manner == Manner::SplicesOther;
    let start = range
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok())
        .filter(|_| is_same && !matches!(manner, Manner::IgnoresRange | Manner::OtherTag))
        .unwrap_or(0);
    let mut body = image.slice(start..);
    let mut response = Response::builder().header("etag", tag);
    if start > 0 {
        let range = format!("bytes {start}-{}/{}", image.len() - 1, image.len());
        response = response.status(StatusCode::PARTIAL_CONTENT).header("content-range", range);
    }
    let (send, mut receive) = mpsc::channel::<Option<Bytes>>(4);
    let mut length = Some(body.len());
    let (mut stops, mut repeats) = (false, false);
    match manner {
        Manner::BreaksAfter(bytes) => {
            body.truncate(bytes);
            stops = true;
        }
        Manner::StallsAfter(bytes) => body.truncate(bytes),
        Manner::EndsEarly => {
            body.truncate(body.len() / 2);
            length = Some(body.len());
        }
        Manner::SaysMore => length = Some(body.len() + 100),
        Manner::Endless => {
            length = None;
            repeats = true;
        }
        _ => {}
    }
    let stalls = matches!(manner, Manner::StallsAfter(_));
    tokio::spawn(async move {
        for chunk in body.chunks(2000) {
            if send.send(Some(Bytes::copy_from_slice(chunk))).await.is_err() {
                return;
            }
        }
        while repeats && send.send(Some(Bytes::from_static(&[0; 2000]))).await.is_ok() {}
        if stalls {
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        if stops {
            let _ = send.send(None).await;
        }
    });
    let body = Frames(Box::new(move |cx| receive.poll_recv(cx)));
    if let Some(length) = length {
        response = response.header("content-length", length);
    }
    Ok(response.body(body.boxed()).unwrap())
}

/// Gives bytes, then nothing; `Some(None)` ends the body early.
type PollFrame = dyn FnMut(&mut Context<'_>) -> Poll<Option<Option<Bytes>>> + Send + Sync;

struct Frames(Box<PollFrame>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        (self.0)(cx).map(|item| item.flatten().map(|bytes| Ok(Frame::data(bytes))))
    }
}
