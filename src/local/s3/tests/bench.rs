//! A server on loopback, keys, and a client that signs by hand.
//!
//! The client uses no SDK, so that a test can send what no SDK would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use iotstack_local_kernel::cloud::Addresses;
use iotstack_local_kernel::ports::{Credentials, Identity, SessionKeys};
use iotstack_local_kernel::signature::{Scope, sign};
use iotstack_local_kernel::{Account, Caller, Clock, Cloud, Fault, Store, Timestamp, id};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};

use crate::Front;
use crate::presign::{canonical_query, split, stamp};

pub(crate) struct Bench {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) host: String,
}

/// The keys `test` (root) and `session` (a role's session, with a token). What
/// the session may not do stands in a list.
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) denied: Mutex<Vec<String>>,
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) expires: Mutex<Option<Timestamp>>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::over(Store::memory()).await
    }

    pub(crate) async fn over(store: Store) -> Self {
        let clock = Clock::stepped(Timestamp(1_767_225_600_000));
        let cloud = Cloud::new(Account::default(), clock, store);
        let keys = Arc::new(Keys::default());
        cloud.ports.serve_credentials(keys.clone());
        let front = crate::install(&cloud).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let endpoint = format!("http://{host}");
        cloud.listen_at(Addresses { endpoint, mqtt: String::new() });
        tokio::spawn(serve(listener, front));
        Bench { cloud, keys, host }
    }

    pub(crate) async fn bucket(&self, name: &str, versioned: bool) {
        assert_eq!(self.put(&format!("/{name}"), "").await.status, 200);
        if versioned {
            let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
            assert_eq!(self.put(&format!("/{name}?versioning"), on).await.status, 200);
        }
    }

    pub(crate) async fn put(&self, target: &str, body: &str) -> Answer {
        self.send(request(Method::PUT, target, body)).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send(request(Method::GET, target, "")).await
    }

    pub(crate) async fn delete(&self, target: &str) -> Answer {
        self.send(request(Method::DELETE, target, "")).await
    }

    /// Signs with the key `test` and sends.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Answer {
        self.send_as(request, "test", "secret of test").await
    }

    pub(crate) async fn send_as(
        &self,
        mut request: Request<Bytes>,
        key: &str,
        secret: &str,
    ) -> Answer {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let stamp = stamp(Timestamp(i64::try_from(now).unwrap()));
        let hash = match request.headers().get("x-amz-content-sha256") {
            Some(given) => given.to_str().unwrap().to_owned(),
            None => id::hex(&Sha256::digest(request.body())),
        };
        let headers = request.headers_mut();
        headers.insert("host", self.host.parse().unwrap());
        headers.insert("x-amz-date", stamp.parse().unwrap());
        headers.insert("x-amz-content-sha256", hash.parse().unwrap());
        let signed: BTreeMap<String, String> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let names = signed.keys().cloned().collect::<Vec<_>>().join(";");
        let lines: String =
            signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let mut query: Vec<_> = split(request.uri().query().unwrap_or_default()).collect();
        let canonical = format!(
            "{}\n{}\n{}\n{lines}\n{names}\n{hash}",
            request.method(),
            request.uri().path(),
            canonical_query(&mut query)
        );
        let date = &stamp[..8];
        let scope = Scope { date, region: "us-east-1", service: "s3" };
        let signature = sign(secret, &scope, &stamp, canonical.as_bytes());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key}/{date}/us-east-1/s3/aws4_request, \
             SignedHeaders={names}, Signature={signature}"
        );
        request.headers_mut().insert("authorization", authorization.parse().unwrap());
        self.send_plain(request).await
    }

    /// Sends without a signature of its own.
    pub(crate) async fn send_plain(&self, mut request: Request<Bytes>) -> Answer {
        request.headers_mut().insert("host", self.host.parse().unwrap());
        let stream = TcpStream::connect(&self.host).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(request.map(Full::new)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Follows a URL on this server.
    pub(crate) async fn follow(&self, url: &str) -> Answer {
        let target = url.strip_prefix(&format!("http://{}", self.host)).unwrap();
        self.send_plain(request(Method::GET, target, "")).await
    }
}

async fn serve(listener: TcpListener, front: Front) {
    while let Ok((stream, _)) = listener.accept().await {
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), front.clone());
        tokio::spawn(connection);
    }
}

pub(crate) fn request(method: Method, target: &str, body: &str) -> Request<Bytes> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Request::builder().method(method).uri(target).body(body).unwrap()
}

pub(crate) trait RequestExt {
    fn with(self, name: &'static str, value: &str) -> Self;
}

impl RequestExt for Request<Bytes> {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers_mut().insert(name, value.parse().unwrap());
        self
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The texts of all elements of a name.
    pub(crate) fn all(&self, element: &str) -> Vec<&str> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let rest = self.text().split(&open).skip(1);
        rest.map(|text| text.split(&close).next().unwrap()).collect()
    }

    /// Status and code of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let code = self.all("Code").first().map(|code| (*code).to_owned());
        (self.status.as_u16(), code.unwrap_or_default())
    }
}

impl Credentials for Keys {
    fn identity(&self, access_key_id: &str) -> Option<Identity> {
        match access_key_id {
            "test" => Some(Identity {
                secret: "secret of test".to_owned(),
                session_token: None,
                caller: Caller::Root,
                expires: None,
            }),
            "session" => Some(Identity {
                secret: "secret of session".to_owned(),
                session_token: Some("token".to_owned()),
                caller: Caller::Principal { arn: SESSION.to_owned() },
                expires: *self.expires.lock().unwrap(),
            }),
            _ => None,
        }
    }

    fn allows(&self, caller: &Caller, action: &str, resource: &str) -> bool {
        self.asked.lock().unwrap().push(format!("{action} {resource}"));
        matches!(caller, Caller::Root | Caller::Service { .. })
            || !self.denied.lock().unwrap().iter().any(|denied| denied == action)
    }

    fn assume(&self, role: &str, _: &str, _: &str) -> Result<SessionKeys, Fault> {
        Err(Fault::not_implemented(role))
    }
}

pub(crate) const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/manager/s";
