//! Keeps web pages out: a browser that shows a foreign page must not be able to
//! use the cloud behind the user's back.
//!
//! A page elsewhere shows in `Origin` or `Sec-Fetch-Site`; a name that was bent
//! to this machine (DNS rebinding) shows in `Host`. Programs send none of the
//! first two and the address that they were given.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Request, StatusCode, header};

use super::Gateway;

/// Refuses requests that a foreign page made.
pub async fn guard(
    State(gateway): State<Arc<Gateway>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    match judge(request.headers(), gateway.loopback_only) {
        Ok(()) => next.run(request).await,
        Err(reason) => (StatusCode::FORBIDDEN, format!("refused: {reason}\n")).into_response(),
    }
}

fn judge(headers: &HeaderMap, loopback_only: bool) -> Result<(), String> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    if loopback_only && !is_ours(name_of(host)) {
        return Err(format!("host `{host}` is no name of this machine"));
    }
    if let Some(origin) = text(header::ORIGIN) {
        let page = origin.split_once("://").map_or(origin, |(_, rest)| rest);
        if page != host {
            return Err(format!("the page `{origin}` is not of this cloud"));
        }
    }
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Err("a page of another site asked".to_owned());
    }
    Ok(())
}

/// The host without its port.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    }
}

/// Loopback addresses and names, and AWS's own names, which an S3 client may
/// put into `Host` when it was told where to connect.
fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        || name == "localhost"
        || name.ends_with(".localhost")
        || name.ends_with(".amazonaws.com")
        || name.ends_with(".amazonaws.com.cn")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        judge(&headers, true).is_ok()
    }

    #[test]
    fn programs_and_the_console_pass() {
        assert!(verdict(&[("host", "127.0.0.1:4566")]));
        assert!(verdict(&[("host", "[::1]:4566")]));
        assert!(verdict(&[("host", "bucket.s3.eu-central-1.amazonaws.com")]));
        assert!(verdict(&[("host", "localhost:4566"), ("origin", "http://localhost:4566")]));
    }

    #[test]
    fn foreign_pages_and_bent_names_do_not() {
        assert!(!verdict(&[("host", "evil.example:4566")]));
        assert!(!verdict(&[("host", "127.0.0.1.evil.example")]));
        assert!(!verdict(&[("host", "127.0.0.1:4566"), ("origin", "https://evil.example")]));
        assert!(!verdict(&[("host", "127.0.0.1:4566"), ("origin", "null")]));
        assert!(!verdict(&[("host", "127.0.0.1:4566"), ("origin", "http://127.0.0.1:3000")]));
        assert!(!verdict(&[("host", "127.0.0.1:4566"), ("sec-fetch-site", "cross-site")]));
        assert!(!verdict(&[]));
    }
}
