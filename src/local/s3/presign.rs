//! Presigned URLs (signature version 4 in the query): made and checked.
//!
//! The wire library would check them too, but against the machine's clock, which
//! is not the cloud's when time is lapsed or stepped. URLs that the cloud makes
//! (in job documents, for example) are signed with a key of its own and live on
//! the cloud's clock. A URL that a client made is dated by the client's clock,
//! so it is judged by the machine's; the session behind it still ends on the
//! cloud's.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Method, Uri};
use iotstack_local_kernel::signature::{ALGORITHM, Scope, equal, moment, sign};
use iotstack_local_kernel::wire::pattern::pairs;
use iotstack_local_kernel::{Caller, Cloud, StoreError, Timestamp, id};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

use crate::access;

/// Signs URLs with the cloud's own key, and checks everybody's.
pub(crate) struct Presigner {
    cloud: Arc<Cloud>,
    key: Key,
}

/// The cloud's own key. Not `Debug`.
#[derive(Clone, Serialize, Deserialize)]
struct Key {
    id: String,
    secret: String,
}

impl Presigner {
    pub(crate) fn restore(cloud: &Arc<Cloud>) -> Result<Self, StoreError> {
        let kept = cloud.store.load::<Key>(TABLE)?.into_iter().next();
        let key = match kept {
            Some((_, key)) => key,
            None => {
                let key =
                    Key { id: format!("AKIA{}", id::capitals(16)), secret: id::hex_digits(40) };
                let mut batch = cloud.store.batch();
                batch.put(TABLE, "own", &key);
                // Stored before anything that is signed with it, as batches keep their order.
                drop(cloud.store.commit(batch));
                key
            }
        };
        Ok(Presigner { cloud: cloud.clone(), key })
    }

    /// A URL on the cloud's endpoint, path style.
    pub(crate) fn url(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        method: &Method,
        expires: Duration,
    ) -> String {
        let endpoint = self.cloud.addresses().endpoint;
        let host = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, host)| host);
        let region = &self.cloud.account.region;
        let stamp = stamp(self.cloud.clock.now());
        let date = &stamp[..8];
        let path = format!("/{bucket}/{}", utf8_percent_encode(key, PATH));
        let mut query = vec![
            ("X-Amz-Algorithm".to_owned(), ALGORITHM.to_owned()),
            (
                "X-Amz-Credential".to_owned(),
                format!("{}/{date}/{region}/s3/aws4_request", self.key.id),
            ),
            ("X-Amz-Date".to_owned(), stamp.clone()),
            ("X-Amz-Expires".to_owned(), expires.as_secs().clamp(1, LONGEST).to_string()),
            ("X-Amz-SignedHeaders".to_owned(), "host".to_owned()),
        ];
        if let Some(version) = version {
            query.push(("versionId".to_owned(), version.to_owned()));
        }
        let canonical = canonical_query(&mut query);
        let request =
            format!("{method}\n{path}\n{canonical}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let scope = Scope { date, region, service: "s3" };
        let signature = sign(&self.key.secret, &scope, &stamp, request.as_bytes());
        format!("{endpoint}{path}?{canonical}&X-Amz-Signature={signature}")
    }

    /// Checks a request with a signature in its query. Gives who signed, and the
    /// query without what belongs to the signature.
    pub(crate) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> S3Result<(Caller, String)> {
        let mut query: Vec<(String, String)> = split(uri.query().unwrap_or_default()).collect();
        let one = |name: &str| -> S3Result<String> {
            let mut found = query.iter().filter(|(key, _)| key == name);
            match (found.next(), found.next()) {
                (Some((_, value)), None) => Ok(value.clone()),
                _ => Err(s3_error!(
                    AuthorizationQueryParametersError,
                    "the query must hold {name} exactly once"
                )),
            }
        };
        let wrong = |reason: String| s3_error!(AuthorizationQueryParametersError, "{reason}");
        let algorithm = one("X-Amz-Algorithm")?;
        if algorithm != ALGORITHM {
            return Err(wrong(format!("X-Amz-Algorithm must be {ALGORITHM}, not {algorithm}")));
        }
        let credential = one("X-Amz-Credential")?;
        // From the right, as an access key may hold anything.
        let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
        let [_, service, region, date, access_key] = parts[..] else {
            return Err(wrong(
                "X-Amz-Credential must be <key>/<date>/<region>/s3/aws4_request".to_owned(),
            ));
        };
        let stamp = one("X-Amz-Date")?;
        let signed_at = moment(&stamp)
            .ok_or_else(|| wrong("X-Amz-Date must look like 20260101T000000Z".to_owned()))?;
        if !stamp.starts_with(date) || service != "s3" {
            return Err(wrong("X-Amz-Credential does not fit X-Amz-Date and s3".to_owned()));
        }
        let expires: u64 = one("X-Amz-Expires")?
            .parse()
            .ok()
            .filter(|seconds| (1..=LONGEST).contains(seconds))
            .ok_or_else(|| wrong(format!("X-Amz-Expires must be 1 to {LONGEST} seconds")))?;
        let signed_headers = one("X-Amz-SignedHeaders")?;
        let given = one("X-Amz-Signature")?;
        let own = access_key == self.key.id;
        let token = query.iter().find(|(key, _)| key == "X-Amz-Security-Token");
        let token = token.map(|(_, token)| token.clone());

        let secret = if own {
            self.key.secret.clone()
        } else {
            let credentials = self.cloud.ports.credentials();
            let credentials = credentials.map_err(|f| s3_error!(AccessDenied, "{}", f.message))?;
            credentials.identity(access_key).ok_or_else(access::unknown_key)?.secret
        };
        if !signed_headers.split(';').any(|name| name == "host") {
            return Err(wrong("X-Amz-SignedHeaders must hold host".to_owned()));
        }
        let hash = headers
            .get("x-amz-content-sha256")
            .and_then(|value| value.to_str().ok())
            .unwrap_or("UNSIGNED-PAYLOAD");
        query.retain(|(key, _)| key != "X-Amz-Signature");
        let canonical = canonical_query(&mut query);
        let path = percent_decode_str(uri.path()).decode_utf8_lossy();
        let mut request = format!("{method}\n{}\n{canonical}\n", utf8_percent_encode(&path, PATH));
        for name in signed_headers.split(';') {
            let values: Vec<&str> =
                headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            let joined = values.iter().map(|value| squeezed(value)).collect::<Vec<_>>().join(",");
            let _ = writeln!(request, "{name}:{joined}");
        }
        let _ = write!(request, "\n{signed_headers}\n{hash}");
        let scope = Scope { date, region, service };
        let wanted = sign(&secret, &scope, &stamp, request.as_bytes());
        if !equal(wanted.as_bytes(), given.as_bytes()) {
            return Err(s3_error!(
                SignatureDoesNotMatch,
                "the signature is not the one that the secret of the access key makes"
            ));
        }

        // The date is only worth looking at once it is known who wrote it.
        let now = if own { self.cloud.clock.now() } else { machine_time() };
        if signed_at > now.after(SKEW) {
            return Err(s3_error!(AccessDenied, "Request is not valid yet"));
        }
        if now >= signed_at.after(Duration::from_secs(expires)) {
            return Err(s3_error!(AccessDenied, "Request has expired"));
        }
        let caller = if own {
            Caller::Service { name: "s3.amazonaws.com" }
        } else {
            access::caller(&self.cloud, access_key, token.as_deref())?
        };
        query.retain(|(key, _)| !key.starts_with("X-Amz-"));
        Ok((caller, canonical_query(&mut query)))
    }
}

pub(crate) fn canonical_query(query: &mut [(String, String)]) -> String {
    query.sort();
    let pair = |(key, value): &(String, String)| {
        format!("{}={}", utf8_percent_encode(key, WORD), utf8_percent_encode(value, WORD))
    };
    query.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// The pairs of a query. A `+` stands for itself in signatures.
pub(crate) fn split(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let query = query.replace('+', "%2B");
    pairs(&query).collect::<Vec<_>>().into_iter()
}

/// A header's value with single spaces.
fn squeezed(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// `20260101T000000Z`.
pub(crate) fn stamp(at: Timestamp) -> String {
    let iso = at.iso8601();
    let seconds = iso.split('.').next().unwrap_or_default();
    format!("{}Z", seconds.replace(['-', ':'], ""))
}

fn machine_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

const TABLE: &str = "s3_presigner";

/// A week, the longest that AWS accepts, in seconds.
const LONGEST: u64 = 7 * 24 * 3600;

/// How far a client's clock may be ahead.
const SKEW: Duration = Duration::from_secs(15 * 60);

const WORD: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &WORD.remove(b'/');
