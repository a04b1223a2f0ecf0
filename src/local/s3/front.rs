//! The door of S3: every HTTP request that belongs to S3 comes in here.
//!
//! A presigned URL is checked and freed of its signature first. Everything else
//! (routing, XML, signatures in headers, chunked bodies) the wire library does.
//! Requests may name the bucket in the path or in the host.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Body;
use iotstack_local_kernel::wire::pattern::pairs;
use iotstack_local_kernel::wire::query::escaped;
use iotstack_local_kernel::{BoxFuture, Cloud};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3Result};

use crate::access::{Asker, Permissions, Signatures};
use crate::error::MEMBERS;
use crate::operations::Backend;
use crate::presign::Presigner;
use crate::refused::Younger;
use crate::store::Buckets;

/// The body of an answer.
pub type Payload = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Answers the requests of S3. Clones share everything.
#[derive(Clone)]
pub struct Front {
    service: S3Service,
    presigner: Arc<Presigner>,
}

impl Front {
    pub(crate) fn new(
        cloud: &Arc<Cloud>,
        buckets: Arc<Buckets>,
        presigner: Arc<Presigner>,
    ) -> Self {
        let mut builder = S3ServiceBuilder::new(Backend(buckets));
        builder.set_auth(Signatures(cloud.clone()));
        builder.set_access(Permissions(cloud.clone()));
        builder.set_host(Hosts);
        builder.set_route(Younger);
        Front { service: builder.build(), presigner }
    }

    /// Answers a request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Payload>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let request_id = iotstack_local_kernel::id::capitals(16);
        let method = request.method().clone();
        let range = request.headers().get(header::RANGE).cloned();
        let mut response = match self.prepare(request.map(s3s::Body::http_body_unsync)) {
            Ok(request) => self.serve(request).await,
            Err(refused) => plain(refused),
        };
        if let Some(status) = response.extensions().get::<http::StatusCode>().copied() {
            *response.status_mut() = status;
        }
        if response.status() == http::StatusCode::NOT_MODIFIED {
            // The library writes a body for it, which HTTP does not allow.
            *response.body_mut() = s3s::Body::empty();
        }
        let members = response.headers_mut().remove(MEMBERS);
        if response.status().is_client_error() || response.status().is_server_error() {
            let mut told = Vec::new();
            for (name, value) in pairs(text(members.as_ref())) {
                told.push(match name.as_str() {
                    "Method" => (name, method.to_string()),
                    "RangeRequested" => (name, text(range.as_ref()).to_owned()),
                    _ => (name, value),
                });
            }
            told.push(("RequestId".to_owned(), request_id.clone()));
            told.push(("HostId".to_owned(), request_id.clone()));
            tell(&mut response, &told);
        }
        if let Ok(request_id) = request_id.parse() {
            response.headers_mut().insert("x-amz-request-id", request_id);
        }
        response.map(|body| UnsyncBoxBody::new(body.map_err(Into::into)))
    }

    async fn serve(&self, request: s3s::HttpRequest) -> s3s::HttpResponse {
        match self.service.call(request).await {
            Ok(response) => response,
            Err(error) => {
                let error: Box<dyn std::error::Error + Send + Sync> = error.into();
                tracing::error!(%error, "no answer of s3 could be written");
                plain(s3s::s3_error!(InternalError, "{error}"))
            }
        }
    }

    fn prepare(&self, mut request: s3s::HttpRequest) -> S3Result<s3s::HttpRequest> {
        drop_odd_range(request.headers_mut());
        let query = request.uri().query().unwrap_or_default();
        if !query.contains("X-Amz-Signature=") {
            return Ok(request);
        }
        let (caller, rest) =
            self.presigner.check(request.method(), request.uri(), request.headers())?;
        request.extensions_mut().insert(Asker(caller));
        let path = request.uri().path();
        let target = if rest.is_empty() { path.to_owned() } else { format!("{path}?{rest}") };
        // Both halves were parts of a URI before.
        *request.uri_mut() =
            target.parse::<Uri>().map_err(|error| s3s::s3_error!(InvalidURI, "{error}"))?;
        // A presigned upload may say what it would have hashed; it was checked as signed.
        request.headers_mut().remove("x-amz-content-sha256");
        Ok(request)
    }
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").finish_non_exhaustive()
    }
}

impl<B> hyper::service::Service<Request<B>> for Front
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Response = Response<Payload>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<B>) -> Self::Future {
        let front = self.clone();
        Box::pin(async move { Ok(front.answer(request).await) })
    }
}

/// Finds the bucket in the host: `<bucket>.s3.<region>.amazonaws.com`,
/// `<bucket>.s3.localhost`, `<bucket>.localhost`. Any other host names none.
pub(crate) struct Hosts;

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let bucket = if let Some(inner) =
            name.strip_suffix(".amazonaws.com").or_else(|| name.strip_suffix(".amazonaws.com.cn"))
        {
            // The last `s3` counts: a bucket's own name may hold one.
            inner
                .strip_suffix(".s3")
                .map(str::len)
                .or_else(|| inner.rfind(".s3."))
                .or_else(|| inner.rfind(".s3-"))
                .map(|at| &inner[..at])
        } else {
            let inner = name.strip_suffix(".localhost");
            inner.map(|inner| inner.strip_suffix(".s3").unwrap_or(inner))
        };
        let host = VirtualHost::new(name);
        match bucket.filter(|bucket| !bucket.is_empty() && *bucket != "s3") {
            Some(bucket) => Ok(host.with_bucket(bucket)),
            None => Ok(host),
        }
    }
}

fn text(header: Option<&HeaderValue>) -> &str {
    header.and_then(|header| header.to_str().ok()).unwrap_or_default()
}

/// Writes the members of an error, which the library does not know, into its body.
fn tell(response: &mut s3s::HttpResponse, members: &[(String, String)]) {
    let body = response.body().bytes().unwrap_or_default();
    let Some(start) = std::str::from_utf8(&body).ok().and_then(|body| body.strip_suffix(END))
    else {
        return;
    };
    let mut body = start.to_owned();
    if !body.contains("<Message>") && body.contains("<Code>SignatureDoesNotMatch</Code>") {
        body.push_str(
            "<Message>The request signature we calculated does not match the signature you \
             provided. Check your key and signing method.</Message>",
        );
    }
    for (name, value) in members {
        body.push_str(&format!("<{name}>{}</{name}>", escaped(value)));
    }
    body.push_str(END);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = s3s::Body::from(body);
}

const END: &str = "</Error>";

fn plain(refused: S3Error) -> s3s::HttpResponse {
    refused.to_http_response().unwrap_or_else(|_| {
        let mut response = s3s::HttpResponse::new(s3s::Body::empty());
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// S3 answers a range that it does not understand (several at once, other units)
/// with the whole object, the wire library with an error.
fn drop_odd_range(headers: &mut http::HeaderMap) {
    // A signed header must stay, or the signature would not fit.
    if text(headers.get(header::AUTHORIZATION)).contains("range") {
        return;
    }
    let parses = |text: &str| text != "bytes=-" && s3s::dto::Range::parse(text).is_ok();
    let understood = |value: &HeaderValue| value.to_str().is_ok_and(parses);
    if headers.get(header::RANGE).is_some_and(|value| !understood(value)) {
        headers.remove(header::RANGE);
    }
}
