//! HTTP endpoints of subscriptions: on this machine only, without TLS.
//!
//! A local cloud that called foreign machines would be a surprise, so it refuses. What
//! an endpoint does not take is tried again a few times within seconds.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use iotstack_local_kernel::Fault;
use tokio::net::TcpStream;

use super::invalid;

/// Judges an endpoint: it must lead to this machine.
pub(super) fn judge(endpoint: &str) -> Result<(), Fault> {
    address(endpoint).map(drop)
}

/// Posts, and tries again if the endpoint does not take it.
pub(super) async fn post_with_retries(
    endpoint: &str,
    body: String,
    headers: &[(&'static str, String)],
) -> Result<(), Fault> {
    let body = Bytes::from(body);
    let mut pause = Duration::from_millis(200);
    for _ in 0..3 {
        if post(endpoint, body.clone(), headers).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        pause *= 5;
    }
    post(endpoint, body, headers).await
}

async fn post(
    endpoint: &str,
    body: Bytes,
    headers: &[(&'static str, String)],
) -> Result<(), Fault> {
    let (host, port, path) = address(endpoint)?;
    let refuse =
        |problem: String| Fault::new("EndpointDisabled", 400, format!("{endpoint}: {problem}"));
    let deliver = async {
        let stream = TcpStream::connect((host, port)).await.map_err(|e| refuse(e.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| refuse(e.to_string()))?;
        let connection = tokio::spawn(connection);
        let mut request = Request::post(path)
            .header("host", format!("{host}:{port}"))
            .header("content-type", "text/plain; charset=UTF-8")
            .header("user-agent", "Amazon Simple Notification Service Agent");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body)).map_err(|e| refuse(e.to_string()))?;
        let response = sender.send_request(request).await.map_err(|e| refuse(e.to_string()));
        connection.abort();
        let status = response?.status();
        if status.is_success() { Ok(()) } else { Err(refuse(format!("status {status}"))) }
    };
    match tokio::time::timeout(Duration::from_secs(15), deliver).await {
        Ok(outcome) => outcome,
        Err(_) => Err(refuse("no answer within 15 seconds".to_owned())),
    }
}

fn address(endpoint: &str) -> Result<(IpAddr, u16, String), Fault> {
    let refuse = || {
        invalid(format!(
            "endpoint `{endpoint}` must be http://127.0.0.1:PORT/…: the local cloud calls nobody but this machine"
        ))
    };
    let uri: Uri = endpoint.parse().map_err(|_| refuse())?;
    let host = uri.host().ok_or_else(refuse)?.trim_matches(['[', ']']);
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    let host: IpAddr = host.parse().map_err(|_| refuse())?;
    if uri.scheme_str() != Some("http") || !host.is_loopback() {
        return Err(refuse());
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Ok((host, uri.port_u16().unwrap_or(80), path))
}
