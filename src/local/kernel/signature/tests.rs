//! Signatures that hold, and all the ways in which one does not.
//!
//! The signature of one request was made by botocore; the others are made by the
//! code under test and then spoiled.

use http::HeaderValue;

use super::*;
use crate::Caller;
use crate::ports::SessionKeys;

/// One key of the owner, one of a session.
struct Keys;

impl Credentials for Keys {
    fn identity(&self, key: &str) -> Option<Identity> {
        match key {
            "root" => Some(Identity {
                secret: "secret".to_owned(),
                session_token: None,
                caller: Caller::Root,
                expires: None,
            }),
            "session" => Some(Identity {
                secret: "secret".to_owned(),
                session_token: Some("token".to_owned()),
                caller: Caller::Principal { arn: "arn:aws:sts::1:assumed-role/r/s".to_owned() },
                expires: Some(NOW.after(Duration::from_secs(60))),
            }),
            _ => None,
        }
    }

    fn allows(&self, _: &Caller, _: &str, _: &str) -> bool {
        true
    }

    fn assume(&self, _: &str, _: &str, _: &str) -> Result<SessionKeys, Fault> {
        Err(Fault::internal("no roles here"))
    }
}

const NOW: Timestamp = Timestamp(1_767_225_600_000);
const TIME: &str = "20260101T000000Z";

/// A request as a client would sign it.
fn signed(key: &str, secret: &str, body: &'static str, time: &str) -> Request<Bytes> {
    let mut request = Request::post("/jobs/a%20b?x=2&a=1%2F2")
        .header("host", "127.0.0.1:4566")
        .header("x-amz-date", time)
        .header("x-amz-security-token", "token")
        .body(Bytes::from_static(body.as_bytes()))
        .unwrap();
    let credential = format!("{key}/{}/us-east-1/iot/aws4_request", &time[..8]);
    let unsigned =
        format!("{ALGORITHM} Credential={credential}, SignedHeaders=host;x-amz-date, Signature=");
    let signature =
        from_header(&unsigned, request.headers()).unwrap().sign(&request, secret).unwrap();
    let value = format!("{unsigned}{signature}").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, value);
    request
}

fn verdict(request: &Request<Bytes>, now: Timestamp) -> Result<Caller, String> {
    let signature = Signature::of(request).map_err(|fault| fault.code)?;
    signature
        .verify(request, &Keys, &[now])
        .map(|identity| identity.caller)
        .map_err(|fault| fault.code)
}

/// Made with botocore's `SigV4Auth` for the key `AKIDEXAMPLE`.
#[test]
fn signs_as_botocore_does() {
    let request = Request::get("/things/a%20b/jobs?maxResults=5&status=QUEUED")
        .header("host", "iot.us-east-1.amazonaws.com")
        .header("x-amz-date", "20260101T000000Z")
        .body(Bytes::new())
        .unwrap();
    let text = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/iot/aws4_request, \
                SignedHeaders=host;x-amz-date, Signature=";
    let signature = from_header(text, request.headers()).unwrap();
    assert_eq!(
        signature.sign(&request, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY").unwrap(),
        BOTOCORE
    );
}

const BOTOCORE: &str = "81afdda7bca1d323c1cf711b00fd77e886d6b87952e636a8edbff53e3f711e46";

#[test]
fn a_good_signature_tells_who_signed() {
    assert_eq!(verdict(&signed("root", "secret", "{}", TIME), NOW), Ok(Caller::Root));
    assert!(matches!(
        verdict(&signed("session", "secret", "{}", TIME), NOW),
        Ok(Caller::Principal { .. })
    ));
}

#[test]
fn a_signature_of_another_secret_body_path_or_header_is_refused() {
    let wrong = Err("SignatureDoesNotMatch".to_owned());
    assert_eq!(verdict(&signed("root", "other", "{}", TIME), NOW), wrong);
    let mut request = signed("root", "secret", "{}", TIME);
    *request.body_mut() = Bytes::from_static(b"[]");
    assert_eq!(verdict(&request, NOW), wrong);
    let mut request = signed("root", "secret", "{}", TIME);
    *request.uri_mut() = "/jobs/other".parse().unwrap();
    assert_eq!(verdict(&request, NOW), wrong);
    let mut request = signed("root", "secret", "{}", TIME);
    request.headers_mut().insert("host", "evil.example".parse().unwrap());
    assert_eq!(verdict(&request, NOW), wrong);
}

#[test]
fn a_signature_out_of_time_is_refused() {
    let late = NOW.after(Duration::from_secs(16 * 60));
    let request = signed("root", "secret", "{}", TIME);
    assert_eq!(verdict(&request, late), Err("RequestExpired".to_owned()));
    assert_eq!(verdict(&request, Timestamp(NOW.0 - 16 * 60_000)), Err("RequestExpired".to_owned()));
    // A cloud in time-lapse accepts its own time and the machine's.
    let signature = Signature::of(&request).unwrap();
    assert!(signature.verify(&request, &Keys, &[late, NOW]).is_ok());
}

#[test]
fn unknown_keys_and_expired_sessions_are_refused() {
    assert_eq!(
        verdict(&signed("nobody", "secret", "{}", TIME), NOW),
        Err("UnrecognizedClientException".to_owned())
    );
    let mut request = signed("session", "secret", "{}", TIME);
    let later = NOW.after(Duration::from_secs(61));
    assert_eq!(verdict(&request, later), Err("ExpiredTokenException".to_owned()));
    request.headers_mut().insert("x-amz-security-token", "guess".parse().unwrap());
    assert_eq!(verdict(&request, NOW), Err("UnrecognizedClientException".to_owned()));
}

#[test]
fn bytes_that_are_no_text_cannot_be_exchanged() {
    let wrong = Err("SignatureDoesNotMatch".to_owned());
    let mut request = resigned("/a?x=%FF", "host;x-amz-meta", b"a\xff  b");
    assert_eq!(verdict(&request, NOW), Ok(Caller::Root));
    request.headers_mut().insert("x-amz-meta", HeaderValue::from_bytes(b"a\xff b").unwrap());
    assert_eq!(verdict(&request, NOW), Ok(Caller::Root));
    request.headers_mut().insert("x-amz-meta", HeaderValue::from_bytes(b"a\xfe b").unwrap());
    assert_eq!(verdict(&request, NOW), wrong);
    let mut request = resigned("/a?x=%FF", "host", b"");
    *request.uri_mut() = "/a?x=%FE".parse().unwrap();
    assert_eq!(verdict(&request, NOW), wrong);
}

#[test]
fn a_header_is_signed_once_and_on_the_day_of_the_request() {
    let text = |headers: &str, day: &str| {
        let text = format!(
            "{ALGORITHM} Credential=root/{day}/r/iot/aws4_request, SignedHeaders={headers}, Signature=0"
        );
        let request = Request::get("/")
            .header("host", "h")
            .header("x-amz-date", TIME)
            .header("authorization", text)
            .body(Bytes::new())
            .unwrap();
        Signature::of(&request).map(drop).map_err(|fault| fault.message)
    };
    assert_eq!(text("host", "20260101"), Ok(()));
    let refused = text("host;Host", "20260101").unwrap_err();
    assert!(refused.ends_with("SignedHeaders names `host` twice"), "{refused}");
    for day in ["", "2026", "20260102", "20260101T"] {
        let refused = text("host", day).unwrap_err();
        assert!(refused.contains(&format!("of the day `{day}`")), "{refused}");
    }
}

/// A request that the owner signs, with a header of any bytes.
fn resigned(target: &str, headers: &str, meta: &[u8]) -> Request<Bytes> {
    let mut request = Request::get(target)
        .header("host", "h")
        .header("x-amz-date", TIME)
        .header("x-amz-meta", HeaderValue::from_bytes(meta).unwrap())
        .body(Bytes::new())
        .unwrap();
    let unsigned = format!(
        "{ALGORITHM} Credential=root/20260101/r/iot/aws4_request, SignedHeaders={headers}, Signature="
    );
    let signature =
        from_header(&unsigned, request.headers()).unwrap().sign(&request, "secret").unwrap();
    let value = format!("{unsigned}{signature}").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, value);
    request
}

#[test]
fn what_is_no_signature_is_refused_without_a_panic() {
    for text in [
        "",
        "Basic eDp5",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=x",
        "AWS4-HMAC-SHA256 Credential=k/20260101/r/iot/aws4_request, SignedHeaders=, Signature=",
        "AWS4-ECDSA-P256-SHA256 Credential=k/20260101/iot/aws4_request",
    ] {
        let request = Request::get("/")
            .header("authorization", text)
            .header("x-amz-date", TIME)
            .body(Bytes::new())
            .unwrap();
        assert_eq!(
            verdict(&request, NOW),
            Err("IncompleteSignatureException".to_owned()),
            "{text}"
        );
    }
    let request = Request::get("/").body(Bytes::new()).unwrap();
    assert_eq!(verdict(&request, NOW), Err("MissingAuthenticationTokenException".to_owned()));
    let request = Request::get("/mqtt?X-Amz-Signature=é&X-Amz-Expires=-1").body(Bytes::new());
    assert!(request.is_err() || verdict(&request.unwrap(), NOW).is_err());
}
