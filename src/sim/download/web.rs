//! HTTP as far as a careful device needs it: one GET, with a range, of one host.
//!
//! A redirect to another host, or from HTTPS to HTTP, is refused: a presigned URL names
//! the host that the cloud has chosen. Plain HTTP is allowed only where whoever set the
//! device up has allowed it, such as a local cloud. Nothing is cached or decoded.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HOST, IF_RANGE, LOCATION, RANGE};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use iotstack_mqtt::client::{Address, Dial, Error as DialError};
use iotstack_mqtt::tls::ClientConfig;
use tokio::task::JoinHandle;

use crate::outcome::{Outcome, Reason};

/// How a device fetches from the web.
#[derive(Debug, Clone)]
pub(crate) struct Web {
    /// Whom HTTPS trusts.
    pub tls: Arc<ClientConfig>,
    /// Whether a URL may be plain HTTP.
    pub allows_plain: bool,
    /// The address to come from.
    pub source: Option<IpAddr>,
    /// How long a connection may take to stand.
    pub patience: Duration,
}

/// Why there is nothing to read.
#[derive(Debug)]
pub(crate) enum WebError {
    /// The URL opens the object no longer.
    Expired,
    /// The part that was asked for is not there any more.
    Changed,
    /// Another attempt may go better.
    Lost(String),
    /// It will never go better.
    Fails(Outcome),
}

/// A body that is being read. Dropping it closes the connection.
pub(crate) struct Answer {
    /// Where in the image the body begins.
    pub at: u64,
    pub tag: Option<String>,
    /// How many bytes the server says will come.
    pub length: Option<u64>,
    body: Incoming,
    connection: JoinHandle<()>,
}

impl Web {
    /// Asks for the bytes from `at` on, if the image still has this ETag.
    pub(crate) async fn get(
        &self,
        url: &str,
        at: u64,
        tag: Option<&str>,
    ) -> Result<Answer, WebError> {
        let mut uri = self.check(url)?;
        for _ in 0..REDIRECTS {
            let (response, connection) = self.ask(&uri, at, tag).await?;
            if response.status().is_redirection() {
                connection.abort();
                uri = self.follow(&uri, &response)?;
                continue;
            }
            return judge(response, connection, at);
        }
        Err(WebError::Fails(Outcome::new(Reason::Tls, "the server leads in circles")))
    }

    fn check(&self, url: &str) -> Result<Uri, WebError> {
        let refused = |reason, detail: String| WebError::Fails(Outcome::new(reason, detail));
        let uri: Uri = url
            .parse()
            .map_err(|error| refused(Reason::Document, format!("the URL is not one: {error}")))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => Ok(uri),
            (Some("http"), Some(_)) if self.allows_plain => Ok(uri),
            (Some("http"), Some(host)) => {
                Err(refused(Reason::Tls, format!("plain HTTP from {host} is not allowed")))
            }
            _ => Err(refused(Reason::Document, "the URL is not one of HTTPS".to_owned())),
        }
    }

    fn follow(&self, from: &Uri, response: &Response<Incoming>) -> Result<Uri, WebError> {
        let refused = |detail: String| WebError::Fails(Outcome::new(Reason::Tls, detail));
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let to = location.unwrap_or_default();
        let uri = match to.starts_with('/') && !to.starts_with("//") {
            true => {
                let mut parts = from.clone().into_parts();
                parts.path_and_query = to.parse().ok();
                Uri::from_parts(parts).map_err(|error| refused(error.to_string()))?
            }
            false => to.parse().map_err(|_| refused("the server leads nowhere".to_owned()))?,
        };
        if (uri.scheme(), uri.authority()) != (from.scheme(), from.authority()) {
            let (scheme, host) = (uri.scheme_str().unwrap_or("?"), uri.host().unwrap_or("?"));
            return Err(refused(format!("the server leads to {scheme}://{host}, refused")));
        }
        Ok(uri)
    }

    async fn ask(
        &self,
        uri: &Uri,
        at: u64,
        tag: Option<&str>,
    ) -> Result<(Response<Incoming>, JoinHandle<()>), WebError> {
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        let dial = Dial {
            address: Address {
                host: host.trim_matches(['[', ']']).to_owned(),
                port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            },
            tls: is_tls.then(|| self.tls.clone()),
            server_name: None,
            source: self.source,
            patience: self.patience,
        };
        let stream = dial.connect().await.map_err(|error| match error {
            DialError::Tls { source, .. } if is_distrust(&source) => {
                WebError::Fails(Outcome::new(Reason::Tls, format!("{host}: {source}")))
            }
            other => WebError::Lost(other.to_string()),
        })?;
        let lost = |error: hyper::Error| WebError::Lost(error.to_string());
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(16 * 1024)
            .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(lost)?;
        let connection = tokio::spawn(async move {
            // What goes wrong is told to whoever reads the body.
            let _ = connection.await;
        });
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::get(path).header(HOST, authority);
        if at > 0 {
            request = request.header(RANGE, format!("bytes={at}-"));
            if let Some(tag) = tag {
                request = request.header(IF_RANGE, tag);
            }
        }
        let request =
            request.body(Empty::new()).map_err(|error| WebError::Lost(error.to_string()))?;
        match sender.send_request(request).await {
            Ok(response) => Ok((response, connection)),
            Err(error) => {
                connection.abort();
                Err(lost(error))
            }
        }
    }
}

impl Answer {
    /// The next bytes; `None` when that was everything.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, String>> {
        loop {
            match self.body.frame().await? {
                Err(error) => return Some(Err(error.to_string())),
                Ok(frame) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Some(Ok(bytes));
                    }
                }
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn judge(
    response: Response<Incoming>,
    connection: JoinHandle<()>,
    asked: u64,
) -> Result<Answer, WebError> {
    let status = response.status();
    let text = |name| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let tag = text(ETAG);
    let at = match status {
        StatusCode::OK => 0,
        StatusCode::PARTIAL_CONTENT => {
            let range = text(CONTENT_RANGE).unwrap_or_default();
            match range_start(&range) {
                Some(start) if start == asked => start,
                _ => return Err(WebError::Lost(format!("a range `{range}` that nobody wanted"))),
            }
        }
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => return Err(WebError::Expired),
        StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PRECONDITION_FAILED => {
            return Err(WebError::Changed);
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            let detail = format!("the server has no such image: {status}");
            return Err(WebError::Fails(Outcome::new(Reason::Download, detail)));
        }
        _ => return Err(WebError::Lost(format!("the server answers {status}"))),
    };
    Ok(Answer { at, tag, length, body: response.into_body(), connection })
}

fn range_start(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// Whether TLS failed because the server is not to be trusted, and not because the
/// network broke.
fn is_distrust(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// How many redirects within one host are followed.
const REDIRECTS: usize = 3;
