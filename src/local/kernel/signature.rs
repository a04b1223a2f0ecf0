//! AWS's signature version 4: who signed a request, and whether nobody changed it.
//!
//! Signatures stand in the `Authorization` header or, for WebSockets and
//! presigned requests, in the query. S3 checks its own, as its bodies come in
//! signed chunks. Signature version 4A and anonymous requests are refused.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Request, Uri, header};
use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode,
};
use sha2::{Digest, Sha256};

use crate::ports::{Credentials, Identity};
use crate::{Fault, Timestamp, id};

/// The parts of a signature that say who signed, for what, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The id of the key.
    pub access_key_id: String,
    /// The service that the request is for.
    pub scope: String,
    date: String,
    region: String,
    signed_headers: Vec<String>,
    given: String,
    time: String,
    token: Option<String>,
    /// How long it is good, for signatures in the query.
    expires: Option<Duration>,
}

impl Signature {
    /// Finds the signature of a request.
    ///
    /// # Errors
    /// `MissingAuthenticationToken` if there is none, `IncompleteSignature` if
    /// it cannot be read.
    pub fn of<B>(request: &Request<B>) -> Result<Self, Fault> {
        if let Some(value) = request.headers().get(header::AUTHORIZATION) {
            let text = value.to_str().map_err(|_| incomplete("the header is not plain ASCII"))?;
            return from_header(text, request.headers());
        }
        if let Some(query) =
            request.uri().query().filter(|query| query.contains("X-Amz-Signature="))
        {
            return from_query(query);
        }
        Err(Fault::new(
            "MissingAuthenticationTokenException",
            403,
            "the request is not signed; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ))
    }

    /// Checks the signature, and gives whose it is.
    ///
    /// `now` holds the moments that count as now: the machine's, and the cloud's
    /// where its clock runs differently.
    ///
    /// # Errors
    /// AWS's words for an unknown key, a wrong signature, one out of time.
    pub fn verify(
        &self,
        request: &Request<Bytes>,
        credentials: &dyn Credentials,
        now: &[Timestamp],
    ) -> Result<Identity, Fault> {
        let Some(identity) = credentials.identity(&self.access_key_id) else {
            return Err(refused(
                "UnrecognizedClientException",
                &format!("the access key id `{}` is not known here", shown(&self.access_key_id)),
            ));
        };
        if let Some(token) = &identity.session_token
            && self.token.as_ref() != Some(token)
        {
            return Err(refused("UnrecognizedClientException", "the session token is not valid"));
        }
        if identity.expires.is_some_and(|expires| now.iter().all(|now| *now >= expires)) {
            return Err(refused("ExpiredTokenException", "the session token has expired"));
        }
        self.check_time(now)?;
        let wanted = self.sign(request, &identity.secret)?;
        if !equal(wanted.as_bytes(), self.given.as_bytes()) {
            return Err(refused(
                "SignatureDoesNotMatch",
                "the signature does not fit the request and the secret of the key",
            ));
        }
        Ok(identity)
    }

    fn check_time(&self, now: &[Timestamp]) -> Result<(), Fault> {
        let signed = moment(&self.time).ok_or_else(|| {
            incomplete(&format!(
                "X-Amz-Date is `{}`; expected the form 20260131T235959Z",
                shown(&self.time)
            ))
        })?;
        let early = now.iter().all(|now| signed.since(*now) > SKEW);
        let allowed = self.expires.unwrap_or(SKEW);
        let late = now.iter().all(|now| now.since(signed) > allowed);
        if early || late {
            let what = if early { "not yet valid" } else { "expired" };
            return Err(refused(
                "RequestExpired",
                &format!("the signature of {} is {what}", self.time),
            ));
        }
        Ok(())
    }

    /// The signature that the request should have.
    fn sign(&self, request: &Request<Bytes>, secret: &str) -> Result<String, Fault> {
        let body = id::hex(&Sha256::digest(request.body()));
        let payload = match request.headers().get("x-amz-content-sha256") {
            Some(value) => value.as_bytes(),
            None => body.as_bytes(),
        };
        if payload.len() == body.len() && payload != body.as_bytes() {
            return Err(refused(
                "SignatureDoesNotMatch",
                "the body is not the one that was signed",
            ));
        }
        // Bytes, not text: what is no UTF-8 must not become the same as something else.
        let mut canonical = format!(
            "{}\n{}\n{}\n",
            request.method(),
            canonical_path(request.uri()),
            canonical_query(request.uri()),
        )
        .into_bytes();
        for name in &self.signed_headers {
            canonical.extend_from_slice(name.as_bytes());
            let mut before = b':';
            for value in request.headers().get_all(name.as_str()) {
                canonical.push(before);
                collapse(value.as_bytes(), &mut canonical);
                before = b',';
            }
            if before == b':' {
                return Err(incomplete(&format!("signed header `{}` is missing", shown(name))));
            }
            canonical.push(b'\n');
        }
        canonical.push(b'\n');
        canonical.extend_from_slice(self.signed_headers.join(";").as_bytes());
        canonical.push(b'\n');
        canonical.extend_from_slice(payload);
        let scope = Scope { date: &self.date, region: &self.region, service: &self.scope };
        Ok(sign(secret, &scope, &self.time, &canonical))
    }
}

/// What a signature is good for.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The day, such as `20260131`.
    pub date: &'a str,
    /// The region.
    pub region: &'a str,
    /// The service.
    pub service: &'a str,
}

/// The signature of a canonical request, made at a `time` such as `20260131T235959Z`.
pub fn sign(secret: &str, scope: &Scope<'_>, time: &str, canonical: &[u8]) -> String {
    let Scope { date, region, service } = scope;
    let hash = id::hex(&Sha256::digest(canonical));
    let text = format!("{ALGORITHM}\n{time}\n{date}/{region}/{service}/{TERMINATOR}\n{hash}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [date, region, service, TERMINATOR, &text] {
        key = mac(&key, part.as_bytes());
    }
    id::hex(&key)
}

fn from_header(text: &str, headers: &HeaderMap) -> Result<Signature, Fault> {
    let rest = text
        .strip_prefix(ALGORITHM)
        // Without a blank it may be somebody's whole secret, which is not repeated.
        .ok_or_else(|| another_algorithm(text.split_once(' ').map_or("", |(name, _)| name)))?;
    let mut found = [None; 3];
    for part in rest.split(',') {
        let Some((name, value)) = part.trim().split_once('=') else { continue };
        let at = match name {
            "Credential" => 0,
            "SignedHeaders" => 1,
            "Signature" => 2,
            _ => continue,
        };
        found[at] = Some(value);
    }
    let [Some(credential), Some(signed), Some(given)] = found else {
        return Err(incomplete("Credential, SignedHeaders and Signature are needed"));
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let time = header("x-amz-date").ok_or_else(|| incomplete("X-Amz-Date is missing"))?;
    assemble(credential, signed, given, time, header("x-amz-security-token"), None)
}

fn from_query(query: &str) -> Result<Signature, Fault> {
    let find = |wanted: &str| pairs(query).find(|(name, _)| name == wanted).map(|(_, value)| value);
    let need = |name: &str| find(name).ok_or_else(|| incomplete(&format!("{name} is missing")));
    let algorithm = need("X-Amz-Algorithm")?;
    if algorithm != ALGORITHM {
        return Err(another_algorithm(&algorithm));
    }
    let expires = match find("X-Amz-Expires") {
        None => SKEW,
        Some(text) => match text.parse::<u64>() {
            Ok(seconds) if seconds <= WEEK => Duration::from_secs(seconds),
            _ => {
                return Err(incomplete(&format!(
                    "X-Amz-Expires is `{}`; accepted are 0 to {WEEK} seconds",
                    shown(&text)
                )));
            }
        },
    };
    assemble(
        &need("X-Amz-Credential")?,
        &need("X-Amz-SignedHeaders")?,
        &need("X-Amz-Signature")?,
        &need("X-Amz-Date")?,
        find("X-Amz-Security-Token").as_deref(),
        Some(expires),
    )
}

fn assemble(
    credential: &str,
    signed: &str,
    given: &str,
    time: &str,
    token: Option<&str>,
    expires: Option<Duration>,
) -> Result<Signature, Fault> {
    // A key id may hold slashes, the other parts may not.
    let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
    let [TERMINATOR, scope, region, date, key] = parts[..] else {
        return Err(incomplete(&format!(
            "Credential is `{}`; expected <key>/<date>/<region>/<service>/{TERMINATOR}",
            shown(credential)
        )));
    };
    if time.get(..8) != Some(date) {
        return Err(incomplete(&format!(
            "Credential is of the day `{}` and X-Amz-Date is `{}`; expected the same day",
            shown(date),
            shown(time)
        )));
    }
    let mut signed_headers: Vec<String> = signed.split(';').map(str::to_lowercase).collect();
    signed_headers.sort();
    // Each mention of a header would stand for all of its value once more.
    if let Some(twice) = signed_headers.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(incomplete(&format!("SignedHeaders names `{}` twice", shown(&twice[0]))));
    }
    if !signed_headers.iter().any(|name| name == "host") {
        return Err(incomplete(&format!(
            "SignedHeaders is `{}`; the host must be among them",
            shown(signed)
        )));
    }
    Ok(Signature {
        access_key_id: key.to_owned(),
        scope: scope.to_owned(),
        date: date.to_owned(),
        region: region.to_owned(),
        signed_headers,
        given: given.to_owned(),
        time: time.to_owned(),
        token: token.map(str::to_owned),
        expires,
    })
}

/// The path, each segment encoded once more than it was sent, as all services
/// but S3 want it.
fn canonical_path(uri: &Uri) -> String {
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    path.split('/')
        .map(|segment| utf8_percent_encode(segment, RESERVED).to_string())
        .collect::<Vec<_>>()
        .join("/")
}

fn canonical_query(uri: &Uri) -> String {
    let encode = |text: &str| {
        let bytes: Vec<u8> = percent_decode_str(text).collect();
        percent_encode(&bytes, RESERVED).to_string()
    };
    let mut parts: Vec<(String, String)> = raw_pairs(uri.query().unwrap_or_default())
        .map(|(name, value)| (encode(name), encode(value)))
        .filter(|(name, _)| name != "X-Amz-Signature")
        .collect();
    parts.sort();
    let parts: Vec<String> =
        parts.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    parts.join("&")
}

fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    raw_pairs(query).map(|(name, value)| {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        (decode(name), decode(value))
    })
}

fn raw_pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Adds a header's value to `out` with runs of blanks as one.
fn collapse(value: &[u8], out: &mut Vec<u8>) {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for (place, word) in words.enumerate() {
        if place > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// Compares without telling by its time where the difference is.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// Reads `20260131T235959Z`.
pub fn moment(text: &str) -> Option<Timestamp> {
    let digits = text.len() == 16
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    if !digits {
        return None;
    }
    let iso = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &text[..4],
        &text[4..6],
        &text[6..8],
        &text[9..11],
        &text[11..13],
        &text[13..15]
    );
    Timestamp::parse(&iso)
}

fn incomplete(reason: &str) -> Fault {
    Fault::new(
        "IncompleteSignatureException",
        400,
        format!("the signature cannot be read: {reason}"),
    )
}

fn another_algorithm(found: &str) -> Fault {
    incomplete(&format!("its algorithm is `{}`; only {ALGORITHM} is understood", shown(found)))
}

/// As much of a client's text as an error repeats.
fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

fn refused(code: &str, message: &str) -> Fault {
    Fault::new(code, 403, message)
}

/// The name of the algorithm, as requests carry it.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
/// How far the clocks of client and cloud may differ.
const SKEW: Duration = Duration::from_secs(15 * 60);
const WEEK: u64 = 7 * 24 * 60 * 60;
/// What a canonical request percent-encodes: all but letters, digits and `-_.~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[cfg(test)]
mod tests;
